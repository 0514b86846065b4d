//! The check of folders and of running servers: silent on what is sound, and nothing passes it.

use std::fs;
use std::path::{Path, PathBuf};

use casetrail::ledger::Ledger;
use casetrail::ledger::audit::{Finding, FindingKind};
use casetrail::ledger::check::check_log;
use casetrail::ledger::restore::{Source, restore};
use casetrail::log::{DataFolder, Log, MemoryLog, SledLog, SledOptions};
use casetrail::view::{SnapshotFile, Views};
use casetrail::wire::block::find_blocks;
use casetrail::wire::v1::Record;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::sync::{Arc, RwLock};

use super::making::{Ran, backup_of, blocks_of, records, run, sample_blocks, views_digest};
use crate::support::server::{Server, content, copy};

struct Folder(tempfile::TempDir);

impl Folder {
    /// A folder with the data folder of a sample in it, as a server left it.
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let backup = backup_of(sample_blocks());
        let source = Source {
            name: "sample".into(),
            input: Box::new(&*backup),
        };
        restore(vec![source], &folder.data(), None, &mut |_| {}).unwrap();
        folder
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    /// A copy of the data folder.
    fn copy(&self, name: &str) -> PathBuf {
        let target = self.0.path().join(name);
        copy(&self.data(), &target);
        target
    }
}

/// Writes the snapshot of these views, as of the log in the folder.
fn write_snapshot(data: &Path, views: Views) {
    let last = sample_blocks().last().unwrap().records().last().unwrap().1;
    let anchor = Sha256::digest(&last).into();
    let file = SnapshotFile::in_folder(data.join("views"));
    file.write(&RwLock::new(views), |_| Ok(anchor)).unwrap();
}

fn folded(records: &[(u64, Record)]) -> Views {
    let mut views = Views::default();
    for (position, record) in records {
        views.fold(*position, record).unwrap();
    }
    views
}

fn check(data: &Path) -> Ran {
    run(&["check", "--data", data.to_str().unwrap()])
}

/// The findings of a check, by kind and position.
fn findings(data: &Path) -> Vec<(String, u64)> {
    findings_of(&["--data", data.to_str().unwrap()])
}

fn findings_of(arguments: &[&str]) -> Vec<(String, u64)> {
    let ran = run(&[&["check", "--json"], arguments].concat());
    assert!(!ran.stderr.contains("panicked"), "{ran:?}");
    let lines: Vec<Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let (last, findings) = lines.split_last().unwrap();
    assert_eq!(last["findings"], findings.len().to_string());
    let kind = if findings.is_empty() {
        "sound"
    } else {
        "unsound"
    };
    assert_eq!(last["kind"], kind);
    assert_eq!(ran.code, Some(i32::from(!findings.is_empty())));
    findings
        .iter()
        .map(|line| {
            assert!(line["what"].is_string());
            let position = line["position"].as_str().unwrap().parse().unwrap();
            (line["kind"].as_str().unwrap().to_owned(), position)
        })
        .collect()
}

#[test]
fn a_sound_folder_is_sound_and_not_changed() {
    let folder = Folder::new();
    let data = folder.data();
    let before = content(&data);
    let ran = check(&data);
    let records = records(sample_blocks());
    assert!(
        ran.is_well()
            .stdout
            .contains(&format!("sound: {} records", records.len())),
        "{ran:?}"
    );
    assert_eq!(findings(&data), []);
    write_snapshot(&data, folded(&records));
    assert_eq!(findings(&data), []);
    fs::remove_dir_all(data.join("views")).unwrap();
    assert!(
        content(&data)
            .iter()
            .zip(before.iter().filter(|(path, _)| !path.ends_with("views")))
            .all(|(a, b)| a == b)
    );
    let ran = run(&["check", "--in-place", "--data", data.to_str().unwrap()]);
    ran.is_well();
}

#[test]
fn a_snapshot_that_lies_is_found() {
    let folder = Folder::new();
    let data = folder.data();
    let all = records(sample_blocks());
    let at = all
        .iter()
        .rposition(|(_, r)| r.submission_index == 0)
        .unwrap();
    // It does not know a submission.
    let mut lying = all.clone();
    lying[at].1.request_id = "018e0b5c-7a40-7000-8000-00000000abcd".into();
    write_snapshot(&data, folded(&lying));
    assert_eq!(findings(&data), [("snapshot".into(), at as u64)]);
    // It knows another event than the log.
    let mut lying = all.clone();
    lying[at].1.event.as_mut().unwrap().event_id = "018e0b5c-7a40-7000-8000-00000000abcd".into();
    write_snapshot(&data, folded(&lying));
    assert_eq!(findings(&data)[0], ("snapshot".into(), at as u64));
    // A case stands otherwise.
    let mut lying = all.clone();
    lying[0].1.organisation = "another".into();
    write_snapshot(&data, folded(&lying));
    assert_eq!(findings(&data), [("snapshot".into(), all.len() as u64)]);
    // It is of another log, and it is damaged.
    let file = SnapshotFile::in_folder(data.join("views"));
    file.write(&RwLock::new(folded(&all)), |_| Ok([7; 32]))
        .unwrap();
    assert_eq!(findings(&data), [("snapshot".into(), all.len() as u64)]);
    let mut bytes = fs::read(file.path()).unwrap();
    bytes[100] ^= 1;
    fs::write(file.path(), bytes).unwrap();
    assert_eq!(findings(&data), [("snapshot".into(), 0)]);
}

/// A folder whose log holds these records.
fn folder_of(records: &[Record]) -> Folder {
    let folder = Folder(tempfile::tempdir().unwrap());
    let opened = DataFolder::open(&folder.data()).unwrap();
    let log = SledLog::open(opened.into(), SledOptions::default()).unwrap();
    log.append(0, &blocks_of(records)).unwrap();
    log.close().unwrap();
    folder
}

#[test]
fn records_that_no_ledger_would_have_recorded_are_all_found() {
    let mut all: Vec<Record> = records(sample_blocks())
        .into_iter()
        .map(|(_, r)| r)
        .collect();
    all[30].standing.as_mut().unwrap().contested ^= true;
    all[60].case_version += 1;
    all[90].submission_size += 1;
    let found = findings(&folder_of(&all).data());
    for (kind, position) in [("standing", 30), ("version", 60)] {
        assert!(found.contains(&(kind.into(), position)), "{found:?}");
    }
    assert!(
        found
            .iter()
            .any(|(kind, at)| kind == "submission" && (90..=91).contains(at))
    );
    let data = folder_of(&all);
    let limited = run(&[
        "check",
        "--limit",
        "1",
        "--data",
        data.data().to_str().unwrap(),
    ]);
    assert_eq!(limited.stdout.lines().count(), 1, "{limited:?}");
    limited.fails(1, &["of which 1 are shown"]);
}

#[test]
fn marks_that_do_not_agree_with_the_log_are_found() {
    let folder = Folder::new();
    let head = records(sample_blocks()).len() as u64;
    let mark = |position: u64| {
        let checksum = crc32fast::hash(&position.to_le_bytes());
        format!("records {position} checksum {checksum:08x}\n")
    };
    let data = folder.copy("longer");
    fs::write(data.join("mark"), mark(head + 5)).unwrap();
    let found = findings(&data);
    assert_eq!(found, [("missing".into(), head)]);
    let data = folder.copy("opened");
    fs::write(data.join("opened"), mark(head + 5)).unwrap();
    assert_eq!(findings(&data), [("missing".into(), head)]);
    for name in ["mark", "opened"] {
        let data = folder.copy(&format!("damaged-{name}"));
        fs::write(data.join(name), "records 7\n").unwrap();
        let found = findings(&data);
        assert_eq!(found[0], ("folder".into(), 0), "{found:?}");
    }
}

#[test]
fn flipped_bits_of_the_database_are_found_or_harmless_and_nothing_is_changed() {
    let folder = Folder::new();
    let expected = views_digest(sample_blocks());
    let wanted = std::env::var("CASETRAIL_TEST_FLIPS").ok();
    let flips: usize = wanted.map_or(12, |wanted| wanted.parse().unwrap());
    let db = fs::read(folder.data().join("log/db")).unwrap();
    let used = db.iter().rposition(|byte| *byte != 0).unwrap();
    let mut told = 0;
    for number in 0..flips {
        let at = used * number / flips + number * 7 % 64;
        let data = folder.copy(&format!("flipped-{number}"));
        let mut bytes = db.clone();
        bytes[at] ^= 1 << (number % 8);
        fs::write(data.join("log/db"), &bytes).unwrap();
        let before = content(&data);
        let ran = check(&data);
        assert_eq!(content(&data), before);
        match ran.code {
            Some(1) => told += 1,
            _ => {
                let digest: String = expected.iter().map(|byte| format!("{byte:02x}")).collect();
                assert!(ran.is_well().stdout.contains(&digest), "{ran:?}");
            }
        }
        fs::remove_dir_all(&data).unwrap();
    }
    println!("{told} of {flips} flipped bits were told");
    assert!(told > 0);
}

#[test]
fn damage_for_which_the_database_does_not_open_is_told_with_its_position() {
    let folder = Folder::new();
    let data = folder.data();
    // The log was opened since, so that the damage is in what is old.
    let opened = DataFolder::open(&data).unwrap();
    drop(SledLog::open(opened.into(), SledOptions::default()).unwrap());
    let raw = fs::read(data.join("log/db")).unwrap();
    let blocks = sample_blocks();
    let victims = [&blocks[5], &blocks[blocks.len() / 2]];
    let mut bytes = raw.clone();
    for (offset, block) in find_blocks(&raw) {
        if victims.iter().any(|victim| **victim == block) {
            bytes[offset + block.as_bytes().len() / 2] ^= 4;
        }
    }
    fs::write(data.join("log/db"), &bytes).unwrap();
    // sled finds its own checksum wrong, and nothing is opened; the first position is told.
    let found = findings(&data);
    let missing = ("missing".to_owned(), victims[0].first_position());
    assert_eq!(found, [("folder".to_owned(), 0), missing]);
    let note = format!("the first {} records", victims[0].first_position());
    check(&data).fails(1, &[&note]);
}

/// A log in memory of the sample, and the kinds and positions that its damage at some blocks is to
/// give.
fn damaged_log() -> (Arc<MemoryLog>, Vec<(FindingKind, u64)>) {
    let blocks = sample_blocks();
    let log = MemoryLog::new();
    log.append(0, blocks).unwrap();
    let mut expected = Vec::new();
    // Two beside each other, one alone, and the last.
    for index in [5, 6, blocks.len() / 2, blocks.len() - 1] {
        expected.push((FindingKind::Damage, blocks[index].first_position()));
    }
    (Arc::new(log), expected)
}

#[test]
fn every_damaged_block_is_told_once_and_what_is_behind_it_is_looked_at() {
    let (log, expected) = damaged_log();
    let check = || {
        let mut found = Vec::new();
        let mut report = |finding: Finding| found.push((finding.kind, finding.position));
        let checked = check_log(log.as_ref(), None, &mut report, &mut |_, _| {});
        (checked, found)
    };
    let (sound, found) = check();
    assert_eq!(found, []);
    assert_eq!(sound.views_digest, Some(views_digest(sample_blocks())));
    expected
        .iter()
        .for_each(|(_, position)| log.damage(*position));
    let (checked, found) = check();
    assert_eq!(found, expected);
    let counts = sample_blocks().iter().filter(|block| {
        expected
            .iter()
            .any(|(_, position)| *position == block.first_position())
    });
    let lost: u64 = counts.map(|block| u64::from(block.count())).sum();
    assert_eq!(checked.records + lost, sound.records);
    assert_eq!(checked.views_digest, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_that_a_running_server_meets_is_told_and_what_is_behind_it_is_looked_at() {
    let (log, expected) = damaged_log();
    let ledger = Ledger::open(Arc::clone(&log) as Arc<dyn Log>, None).unwrap();
    let ledger = Arc::new(ledger);
    let server = casetrail::service::Server::bind("127.0.0.1:0".parse().unwrap());
    let server = server.await.unwrap();
    let url = format!("http://{}", server.address());
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let serving = tokio::spawn(server.run(Arc::clone(&ledger), stopped));
    let check = |url: String| tokio::task::spawn_blocking(move || findings_of(&["--server", &url]));
    assert_eq!(check(url.clone()).await.unwrap(), []);
    expected
        .iter()
        .for_each(|(_, position)| log.damage(*position));
    let found = check(url).await.unwrap();
    let expected: Vec<_> = expected
        .iter()
        .map(|(kind, position)| (kind.name().to_owned(), *position))
        .collect();
    assert_eq!(found, expected);
    stop.send_replace(true);
    serving.await.unwrap().unwrap();
}

#[test]
fn what_is_no_folder_of_ours_or_in_use_is_told() {
    let folder = Folder::new();
    let none = folder.0.path().join("none");
    check(&none).fails(1, &["not a casetrail data folder"]);
    assert!(!none.exists());
    fs::create_dir(&none).unwrap();
    check(&none).fails(1, &["not a casetrail data folder"]);
    assert_eq!(fs::read_dir(&none).unwrap().count(), 0);
    run(&["check"]).fails(2, &[]);
    run(&["check", "--server", "http://127.0.0.1:1"]).fails(3, &["no connection"]);
    let server = Server::start(&folder.data());
    check(&folder.data()).fails(1, &["in use"]);
    let ran = run(&["check", "--json", "--server", &server.url()]);
    assert!(
        ran.is_well().stdout.contains("\"kind\":\"sound\""),
        "{ran:?}"
    );
}
