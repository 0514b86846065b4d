//! A measurement, not a claim: it prints what a history of a given size costs.
//!
//! ```text
//! CASETRAIL_TEST_VIEW_CASES=1000000 cargo test --release --test views large -- --ignored --nocapture
//! ```

use std::sync::RwLock;
use std::time::{Duration, Instant};

use casetrail::view::{SnapshotFile, Views};
use casetrail::wire::outline::RecordOutline;

use super::generator::Generator;

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

/// The time that this thread has had a processor: other work on the machine doesn't count.
fn on_processor() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = text.split(' ').next().and_then(|text| text.parse().ok());
    Duration::from_nanos(first.unwrap_or_default())
}

#[test]
#[ignore = "measures; at full size it takes a minute and 2 GiB"]
fn large_history() {
    let generator = Generator::new(cases(), together(cases()));
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
        let began = on_processor();
        let mut start = 0;
        for end in &ends {
            let began = Instant::now();
            let record = RecordOutline::read(&buffer[start..*end]).unwrap();
            views
                .fold_many(|folding| folding.fold(position, &record))
                .unwrap();
            start = *end;
            position += 1;
            slowest = slowest.max(began.elapsed());
        }
        folding += on_processor() - began;
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
