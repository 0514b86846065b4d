//! The discipline that carries the log in sled through a power cut, rule by rule.

use std::collections::BTreeMap;
use std::fs;

use casetrail::log::{AppendError, DataFolder, Log, OpenError, SledOptions};
use casetrail::wire::block::{RecordBlock, find_blocks};

use super::support::{
    append, assert_whole, blocks_of, change_with_sled, open, open_with, record_at, wait_for_sled,
};
use super::trace::{Call, can_trace, traced, with_failing};

/// The calls between the line that the child told last and the one that begins with this.
fn before_told<'a>(calls: &'a [Call], after: usize, told: &str) -> (&'a [Call], usize) {
    let line = format!("\"{told}");
    let at = calls[after..]
        .iter()
        .position(|call| call.is("write", &line));
    let at = after + at.unwrap_or_else(|| panic!("the child never told {told}"));
    (&calls[after..at], at)
}

#[test]
fn rule_1_a_commit_is_written_then_synced_then_answered() {
    if !can_trace() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let calls = traced("append ten", folder.path());
    let (_, mut at) = before_told(&calls, 0, "opened");
    for commit in 1..=10 {
        let (of_commit, told) =
            before_told(&calls, at + 1, &format!("acknowledged {}", commit * 40));
        let writes = of_commit
            .iter()
            .filter(|call| call.is("pwrite64", "/log/db>"));
        let written = writes
            .map(|call| call.ended)
            .max()
            .expect("a write of the database's file");
        let synced = of_commit.iter().any(|call| {
            call.is("fdatasync", "/log/db>")
                && call.succeeded()
                && call.began > written
                && call.ended < calls[told].began
        });
        assert!(synced, "commit {commit}: {of_commit:#?}");
        at = told;
    }
}

#[test]
fn rule_1_a_failed_sync_ends_writing_and_a_restart_recovers() {
    if !can_trace() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let output = with_failing(
        "fdatasync",
        "EIO",
        4,
        "append until a sync fails",
        folder.path(),
    );
    assert!(output.status.success(), "{output:?}");
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(
        told.contains("acknowledged 120\n") && !told.contains("acknowledged 160"),
        "{told}"
    );
    assert!(
        told.contains("failed writing failed and has ended"),
        "{told}"
    );
    let log = open(folder.path()).unwrap();
    assert!([120, 160].contains(&log.head()), "{}", log.head());
    append(&log, 5);
    assert_whole(&log);
}

#[test]
fn rule_1_a_failed_write_ends_writing_and_a_restart_recovers() {
    if !can_trace() {
        return;
    }
    for error in ["ENOSPC", "EIO"] {
        let folder = tempfile::tempdir().unwrap();
        let output = with_failing(
            "pwrite64",
            error,
            9,
            "append until a write fails",
            folder.path(),
        );
        assert!(output.status.success(), "{error}: {output:?}");
        let told = String::from_utf8(output.stdout).unwrap();
        let acknowledged = told
            .lines()
            .filter(|line| line.starts_with("acknowledged"))
            .count();
        let log = open(folder.path()).unwrap();
        assert!(
            log.head() >= acknowledged as u64 * 40,
            "{error}: {} {told}",
            log.head()
        );
        assert_eq!(log.head() % 40, 0);
        append(&log, 5);
        assert_whole(&log);
    }
}

#[test]
fn rule_2_the_database_is_ours_alone_and_of_one_segment_size() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()).unwrap());
    let conf = fs::read(folder.path().join("log/conf")).unwrap();
    assert!(String::from_utf8_lossy(&conf).contains("segment_size: 8388608"));
    assert!(String::from_utf8_lossy(&conf).contains("use_compression: false"));
    change_with_sled(folder.path(), |db| drop(db.open_tree("another").unwrap()));
    let error = open(folder.path()).unwrap_err();
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");

    let folder = tempfile::tempdir().unwrap();
    drop(DataFolder::open(folder.path()).unwrap());
    drop(sled::open(folder.path().join("log")).unwrap());
    wait_for_sled(folder.path());
    let error = open(folder.path()).unwrap_err();
    assert!(matches!(error, OpenError::Engine { .. }), "{error}");
}

#[test]
fn rule_3_the_largest_records_make_no_blob_files() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path()).unwrap();
    let records = vec![vec![7; 60 * 1024]; 17];
    for _ in 0..8 {
        let head = log.head();
        log.append(head, &blocks_of(head, &records)).unwrap();
    }
    assert_eq!(
        fs::read_dir(folder.path().join("log/blobs"))
            .unwrap()
            .count(),
        0
    );
    drop(log);
    assert_eq!(open(folder.path()).unwrap().head(), 8 * 17);
}

#[test]
fn rule_3_a_log_with_blob_files_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    append(&open(folder.path()).unwrap(), 3);
    let blob = folder.path().join("log/blobs/123456789");
    fs::write(&blob, "a blob").unwrap();
    let error = open(folder.path()).unwrap_err();
    assert!(matches!(error, OpenError::BlobsPresent { .. }), "{error}");
    assert_eq!(fs::read(&blob).unwrap(), b"a blob");
    fs::remove_file(&blob).unwrap();
    assert_whole(&open(folder.path()).unwrap());
}

#[test]
fn rule_4_a_half_written_snapshot_is_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    append(&open(folder.path()).unwrap(), 30);
    drop(open(folder.path()).unwrap());
    let snapshot = folder.path().join("log/snap.7000000000000000.generating");
    for content in [
        &b""[..],
        b"half a snapshot, which sled would take for a whole one",
    ] {
        fs::write(&snapshot, content).unwrap();
        let log = open(folder.path()).unwrap();
        assert!(!snapshot.exists());
        assert_whole(&log);
        assert_eq!(log.head(), 30);
    }
}

#[test]
fn rule_4_a_torn_conf_without_a_database_is_taken_away() {
    for (conf, with_empty_db) in [
        ("", false),
        ("segment_size: 83", false),
        ("garbage!!", true),
    ] {
        let folder = tempfile::tempdir().unwrap();
        drop(DataFolder::open(folder.path()).unwrap());
        fs::write(folder.path().join("log/conf"), conf).unwrap();
        if with_empty_db {
            fs::write(folder.path().join("log/db"), "").unwrap();
        }
        let log = open(folder.path()).unwrap();
        append(&log, 3);
        drop(log);
        assert_whole(&open(folder.path()).unwrap());
    }
}

#[test]
fn rule_4_a_conf_that_was_torn_while_the_database_was_made_is_taken_away() {
    // Its checksum did not reach the disk, or nothing but its length.
    type Tear = fn(&mut Vec<u8>);
    let tears: [Tear; 2] = [|conf| conf.truncate(59), |conf| conf.fill(0)];
    for tear in tears {
        let folder = tempfile::tempdir().unwrap();
        drop(open(folder.path()).unwrap());
        let [conf, opened] = ["log/conf", "opened"].map(|name| folder.path().join(name));
        let mut content = fs::read(&conf).unwrap();
        tear(&mut content);
        fs::write(&conf, &content).unwrap();

        // Once it came to serve, it is damage.
        let error = open(folder.path()).unwrap_err();
        assert!(matches!(error, OpenError::Engine { .. }), "{error}");
        fs::remove_file(&opened).unwrap();
        let log = open(folder.path()).unwrap();
        append(&log, 3);
        drop(log);
        assert_whole(&open(folder.path()).unwrap());

        // Also where nothing says that it came to serve, but it holds something.
        fs::write(&conf, &content).unwrap();
        fs::remove_file(&opened).unwrap();
        let error = open(folder.path()).unwrap_err();
        assert!(matches!(error, OpenError::Engine { .. }), "{error}");
        assert!(fs::read(&conf).unwrap() == content);
    }
}

#[test]
fn rule_4_a_database_that_is_gone_while_its_snapshot_is_there_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    append(&open(folder.path()).unwrap(), 30);
    drop(open(folder.path()).unwrap());
    fs::remove_file(folder.path().join("log/db")).unwrap();
    let error = open(folder.path()).unwrap_err();
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
    assert!(!folder.path().join("log/db").exists());
}

#[test]
fn rules_4_and_5_the_files_are_synced_before_sled_opens_and_before_anything_is_served() {
    if !can_trace() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    append(&open(folder.path()).unwrap(), 500);
    let calls = traced("append ten", folder.path());
    let (opening, _) = before_told(&calls, 0, "opened");
    let is_write = |call: &&Call| call.is("pwrite64", "/log/");
    let first = opening
        .iter()
        .filter(is_write)
        .map(|call| call.began)
        .min()
        .expect("a write");
    let last = opening
        .iter()
        .filter(is_write)
        .map(|call| call.ended)
        .max()
        .expect("a write");
    let data = folder.path().file_name().unwrap().to_str().unwrap();
    for file in ["/log/db>", "/log/conf>", "/log>", &format!("{data}>")] {
        let syncs = || {
            opening
                .iter()
                .filter(|call| call.is("fsync", file) && call.succeeded())
        };
        assert!(
            syncs().any(|call| call.ended < first),
            "{file} before sled opens: {opening:#?}"
        );
        assert!(
            syncs().any(|call| call.began > last),
            "{file} after sled opened: {opening:#?}"
        );
    }
}

#[test]
fn rule_6_a_log_shorter_than_its_mark_is_refused_with_both_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path()).unwrap();
    append(&log, 30);
    log.close().unwrap();
    drop(log);
    let data = DataFolder::open(folder.path()).unwrap();
    assert_eq!(data.mark().read().unwrap(), 30, "closing records the mark");
    data.mark().record(31).unwrap();
    drop(data);
    let error = open(folder.path()).unwrap_err();
    assert!(
        matches!(
            error,
            OpenError::RecordMissing {
                position: 30,
                mark: 31,
                ..
            }
        ),
        "{error}"
    );
    let text = error.to_string();
    assert!(
        text.contains("30") && text.contains("31") && text.contains("nothing was changed"),
        "{text}"
    );
    fs::remove_file(folder.path().join("mark")).unwrap();
    assert_whole(&open(folder.path()).unwrap());
}

#[test]
fn rule_6_a_log_that_is_gone_is_refused_and_none_is_made_in_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path()).unwrap();
    append(&log, 30);
    log.record_mark().unwrap();
    drop(log);
    fs::remove_dir_all(folder.path().join("log")).unwrap();
    let error = open(folder.path()).unwrap_err();
    assert!(
        matches!(
            error,
            OpenError::ShorterThanMark {
                head: 0,
                mark: 30,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(fs::read_dir(folder.path().join("log")).unwrap().count(), 0);
}

#[test]
fn rule_6_a_damaged_mark_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    append(&open(folder.path()).unwrap(), 3);
    fs::write(folder.path().join("mark"), "records 3 checksum 00000000\n").unwrap();
    let error = open(folder.path()).unwrap_err();
    assert!(matches!(error, OpenError::MarkDamaged { .. }), "{error}");
}

#[test]
fn rule_7_every_block_is_found_in_the_raw_file_without_sled() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path()).unwrap();
    for count in [1, 50, 300, 7, 500] {
        append(&log, count);
    }
    let stored = log.read(0, usize::MAX).unwrap();
    drop(log);
    let raw = fs::read(folder.path().join("log/db")).unwrap();
    let found: BTreeMap<u64, RecordBlock> = find_blocks(&raw)
        .map(|(_, block)| (block.first_position(), block))
        .collect();
    assert_eq!(found.into_values().collect::<Vec<_>>(), stored);
    let records = stored.iter().flat_map(RecordBlock::records);
    assert!(
        records
            .enumerate()
            .all(|(at, (_, record))| record == record_at(at as u64))
    );
}

#[test]
fn a_disk_with_less_room_than_the_reserve_is_full_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    append(&open(folder.path()).unwrap(), 3);
    let options = SledOptions {
        reserve_bytes: u64::MAX,
        ..SledOptions::default()
    };
    let log = open_with(folder.path(), options).unwrap();
    let refused = log.append(3, &blocks_of(3, &[record_at(3)])).unwrap_err();
    assert!(
        matches!(
            refused,
            AppendError::Full {
                needed: u64::MAX,
                ..
            }
        ),
        "{refused}"
    );
    assert_eq!((log.head(), log.ended()), (3, None));
    assert_whole(&log);
}
