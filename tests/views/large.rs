//! A measurement, not a claim: it prints what a history of a given size costs.
//!
//! ```text
//! CASETRAIL_TEST_VIEW_CASES=1000000 cargo test --release --test views large -- --ignored --nocapture
//! ```

use std::sync::RwLock;
use std::time::{Duration, Instant};

use casetrail::view::{SnapshotFile, Views};
use casetrail::wire::outline::RecordOutline;
use casetrail::wire::v1::{EventType as E, Record};
use prost::Message;
use uuid::Uuid;

use super::support::valid_event;

/// A story of ten events, as most cases of persons detained go.
const STORY: [E; 10] = [
    E::DetentionAlleged,
    E::DetentionAcknowledged,
    E::VisitedAndRegistered,
    E::LegalCategoryAsserted,
    E::PlaceTransferred,
    E::WishesRecorded,
    E::ReleaseListed,
    E::HandoverScheduled,
    E::HandoverStarted,
    E::Released,
];

/// Number of cases whose stories are told beside one another.
fn together(cases: u64) -> u64 {
    match std::env::var("CASETRAIL_TEST_VIEW_TOGETHER") {
        Ok(text) => text.parse().unwrap(),
        Err(_) => cases,
    }
}

fn cases() -> u64 {
    match std::env::var("CASETRAIL_TEST_VIEW_CASES") {
        Ok(text) => text.parse().unwrap(),
        Err(_) => 1_000,
    }
}

/// The bytes that this process has in memory.
fn resident() -> i64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: i64 = statm
        .split(' ')
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or_default();
    pages * 4096
}

/// A UUID of version 4, the same for the same number.
fn id(kind: u64, number: u64) -> Uuid {
    let mixed = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ kind.rotate_left(40));
    let high = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let low = (high ^ (high >> 32)).wrapping_mul(0x94d0_49bb_1331_11eb) ^ number;
    uuid::Builder::from_random_bytes((u128::from(high) << 64 | u128::from(low)).to_be_bytes())
        .into_uuid()
}

/// The encoded records of the positions from `from` on, at most `count`.
struct Generator {
    templates: Vec<Record>,
    cases: u64,
    together: u64,
}

impl Generator {
    fn new(cases: u64) -> Self {
        let templates = STORY
            .iter()
            .enumerate()
            .map(|(index, event_type)| {
                let mut event = valid_event(*event_type);
                event.occurred = format!("2024-03-{:02}", 2 * index + 1);
                Record {
                    case_version: index as u64 + 1,
                    event_type: (*event_type).into(),
                    actor: "worker-1".into(),
                    organisation: "organisation-1".into(),
                    submission_size: 1,
                    submission_digest: vec![7; 32].into(),
                    event: Some(event),
                    standing: Some(Default::default()),
                    ..Record::default()
                }
            })
            .collect();
        Self {
            templates,
            cases,
            together: together(cases),
        }
    }

    fn records(&self) -> u64 {
        self.cases * STORY.len() as u64
    }

    fn record(&self, position: u64, buffer: &mut Vec<u8>) {
        let wave = self.together * STORY.len() as u64;
        let (wave, within) = (position / wave, position % wave);
        let (step, place) = (within / self.together, within % self.together);
        // Within a wave the cases take their turns in an order that no cache foresees.
        let shuffled = if step == 0 {
            place
        } else {
            place * 7_919 % self.together
        };
        let case = wave * self.together + shuffled;
        let mut record = self.templates[step as usize].clone();
        record.case_id = id(1, case).to_string();
        record.request_id = id(2, position).to_string();
        record.event.as_mut().unwrap().event_id = id(3, position).to_string();
        record.recorded_at = Some(prost_types::Timestamp {
            seconds: 1_712_000_000 + position as i64 / 10,
            nanos: 123_000,
        });
        record.encode(buffer).unwrap();
    }
}

#[test]
#[ignore = "measures; at full size it takes a minute and 2 GiB"]
fn large_history() {
    let generator = Generator::new(cases());
    let mut views = Views::default();
    let before = resident();
    let mut folding = Duration::ZERO;
    let mut slowest = Duration::ZERO;
    let mut bytes = 0;
    let mut position = 0;
    let mut buffer = Vec::new();
    let mut ends = Vec::new();
    while position < generator.records() {
        buffer.clear();
        ends.clear();
        let end = (position + 65_536).min(generator.records());
        for at in position..end {
            generator.record(at, &mut buffer);
            ends.push(buffer.len());
        }
        bytes += buffer.len();
        let began = Instant::now();
        let mut start = 0;
        for end in &ends {
            let began = Instant::now();
            let record = RecordOutline::read(&buffer[start..*end]).unwrap();
            views.fold_outline(position, &record).unwrap();
            start = *end;
            position += 1;
            slowest = slowest.max(began.elapsed());
        }
        folding += began.elapsed();
    }
    let views_bytes = resident() - before;
    let (events, cases) = (generator.records() as f64, generator.cases as f64);
    println!(
        "events {events} cases {cases} bytes_per_record {:.0}",
        bytes as f64 / events
    );
    println!(
        "fold_events_per_s {:.0} slowest_fold {slowest:?}",
        events / folding.as_secs_f64()
    );
    println!(
        "views_mib {:.0} bytes_per_event {:.1} bytes_per_case {:.1}",
        views_bytes as f64 / (1 << 20) as f64,
        views_bytes as f64 / events,
        views_bytes as f64 / cases
    );

    let began = Instant::now();
    let frozen = views.frozen();
    println!("frozen_under_lock {:?}", began.elapsed());
    let began = Instant::now();
    let digest = frozen.digest();
    println!("digest {:?}", began.elapsed());
    drop(frozen);

    let folder = tempfile::tempdir().unwrap();
    let file = SnapshotFile::in_folder(folder.path().to_owned());
    let views = RwLock::new(views);
    let before = resident();
    let began = Instant::now();
    let done = std::sync::atomic::AtomicBool::new(false);
    let longest = std::thread::scope(|scope| {
        // What a writer would wait for the lock.
        let probe = scope.spawn(|| {
            let mut longest = Duration::ZERO;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let began = Instant::now();
                drop(views.write().unwrap());
                longest = longest.max(began.elapsed());
                std::thread::sleep(Duration::from_micros(50));
            }
            longest
        });
        file.write(&views, |_| Ok([7; 32])).unwrap();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        probe.join().unwrap()
    });
    println!(
        "snapshot_write {:?} longest_wait_for_the_lock {longest:?} more_memory_mib {:.0} file_mib {:.0}",
        began.elapsed(),
        (resident() - before) as f64 / (1 << 20) as f64,
        std::fs::metadata(file.path()).unwrap().len() as f64 / (1 << 20) as f64
    );
    drop(views);
    let before = resident();
    let began = Instant::now();
    let restored = file.read().unwrap().unwrap();
    println!(
        "snapshot_read {:?} views_mib {:.0}",
        began.elapsed(),
        (resident() - before) as f64 / (1 << 20) as f64
    );
    assert_eq!(restored.views.frozen().digest(), digest);
}
