//! Damage to the files is told: never a wrong record, never a gap that goes unnoticed, and never
//! a panic that escapes.

use std::fs;
use std::path::Path;

use casetrail::log::{Log, OpenError, ReadError};
use casetrail::wire::block::find_blocks;

use super::support::{append, blocks_at, change_with_sled, copy, open, read_all, record_at};

/// A closed log in a folder of its own, with its number of records.
fn closed_log() -> (tempfile::TempDir, u64) {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path()).unwrap();
    for _ in 0..30 {
        append(&log, 20);
    }
    log.close().unwrap();
    let head = log.head();
    drop(log);
    (folder, head)
}

/// Opens a damaged copy of the log. True if the damage was told; false if it did no harm.
fn is_told(original: &Path, head: u64, what: &str, damage: impl FnOnce(&mut Vec<u8>)) -> bool {
    let folder = tempfile::tempdir().unwrap();
    copy(original, folder.path());
    let db = folder.path().join("log/db");
    let mut bytes = fs::read(&db).unwrap();
    damage(&mut bytes);
    fs::write(&db, bytes).unwrap();
    let log = match open(folder.path()) {
        Ok(log) => log,
        Err(error) => return !error.to_string().is_empty(),
    };
    assert_eq!(
        log.head(),
        head,
        "{what}: a log of another length was taken for whole"
    );
    let mut next = 0;
    let mut told = false;
    while next < head {
        let (records, error) = read_all(&log, next, 1);
        for record in records {
            assert!(
                record == record_at(next),
                "{what}: another record at {next}"
            );
            next += 1;
        }
        if error.is_some() {
            told = true;
            next += 1;
        }
    }
    told
}

#[test]
fn a_flipped_byte_within_any_block_is_told() {
    let (folder, head) = closed_log();
    let raw = fs::read(folder.path().join("log/db")).unwrap();
    let mut told = 0;
    let blocks: Vec<_> = find_blocks(&raw).collect();
    assert!(blocks.len() >= 60, "{} blocks", blocks.len());
    for (offset, block) in blocks.iter().step_by(3) {
        let at = offset + block.as_bytes().len() / 2;
        let harmed = is_told(folder.path(), head, &format!("byte {at}"), |bytes| {
            bytes[at] ^= 0x20
        });
        told += usize::from(harmed);
    }
    // A copy that sled has since replaced does no harm; nearly all others are the only one.
    assert!(
        told > blocks.len() / 6,
        "only {told} of {} were told",
        blocks.len().div_ceil(3)
    );
}

#[test]
fn a_block_that_is_gone_is_told_as_a_gap() {
    let (folder, head) = closed_log();
    let log = open(folder.path()).unwrap();
    let blocks = log.read(0, usize::MAX).unwrap();
    drop(log);
    let gone = &blocks[blocks.len() / 2];
    change_with_sled(folder.path(), |db| {
        db.remove(gone.first_position().to_be_bytes())
            .unwrap()
            .unwrap();
    });
    let log = open(folder.path()).unwrap();
    let (before, error) = read_all(&log, 0, usize::MAX);
    assert_eq!(before.len() as u64, gone.first_position());
    assert_eq!(
        error,
        Some(ReadError::Missing {
            position: gone.first_position()
        })
    );
    let (after, error) = read_all(&log, gone.end_position(), usize::MAX);
    assert_eq!(
        (after.len() as u64, error),
        (head - gone.end_position(), None)
    );
}

#[test]
fn a_block_under_another_key_is_told() {
    let (folder, head) = closed_log();
    let log = open(folder.path()).unwrap();
    let moved = log.read(head / 2, 1).unwrap().remove(0);
    drop(log);
    let other = blocks_at(1_000_000, u64::from(moved.count())).remove(0);
    change_with_sled(folder.path(), |db| {
        db.insert(moved.first_position().to_be_bytes(), &**other.as_bytes())
            .unwrap();
    });
    let log = open(folder.path()).unwrap();
    let (before, error) = read_all(&log, 0, usize::MAX);
    assert_eq!(before.len() as u64, moved.first_position());
    assert!(
        matches!(error, Some(ReadError::Corrupt { .. })),
        "{error:?}"
    );
}

#[test]
fn a_log_without_its_first_or_its_last_block_is_refused() {
    for at_end in [false, true] {
        let (folder, head) = closed_log();
        let position = if at_end { head - 1 } else { 0 };
        let log = open(folder.path()).unwrap();
        let gone = log.read(position, 1).unwrap().remove(0).first_position();
        drop(log);
        change_with_sled(folder.path(), |db| {
            db.remove(gone.to_be_bytes()).unwrap().unwrap();
        });
        let error = open(folder.path()).unwrap_err();
        match error {
            OpenError::ShorterThanMark { .. } => assert!(at_end),
            OpenError::Corrupt { .. } => assert!(!at_end),
            _ => panic!("{error}"),
        }
    }
}

#[test]
fn a_file_cut_anywhere_is_told() {
    let (folder, head) = closed_log();
    let raw = fs::read(folder.path().join("log/db")).unwrap();
    let end = find_blocks(&raw)
        .map(|(at, block)| at + block.as_bytes().len())
        .max()
        .unwrap();
    for cut in (1..20).map(|part| end * part / 20) {
        assert!(is_told(
            folder.path(),
            head,
            &format!("cut at {cut}"),
            |b| b.truncate(cut)
        ));
    }
}

#[test]
fn a_file_of_something_else_is_told() {
    let (folder, head) = closed_log();
    for (what, byte) in [("zeros", 0_u8), ("ones", 0xff), ("text", b'x')] {
        assert!(is_told(folder.path(), head, what, |bytes| bytes.fill(byte)));
    }
    for at in [0, 1, 8, 12, 20, 40] {
        is_told(folder.path(), head, &format!("byte {at}"), |bytes| {
            bytes[at] ^= 0xff
        });
    }
}

/// All files of a folder with their content.
fn content(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(content(&path));
        } else {
            files.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
    files.sort();
    files
}

/// Damages a copy of the log in what the database reads when it opens: the start is refused, and
/// nothing is written.
fn is_refused_untouched(original: &Path, what: &str, damage: impl FnOnce(&mut Vec<u8>)) {
    let folder = tempfile::tempdir().unwrap();
    copy(original, folder.path());
    let db = folder.path().join("log/db");
    let mut bytes = fs::read(&db).unwrap();
    damage(&mut bytes);
    fs::write(&db, bytes).unwrap();
    let before = content(folder.path());
    let error = open(folder.path()).map(drop).unwrap_err();
    assert!(
        matches!(
            error,
            OpenError::DamagedBeforeOpening { .. } | OpenError::RecordMissing { .. }
        ),
        "{what}: {error}"
    );
    assert!(
        error.to_string().contains("nothing was changed"),
        "{what}: {error}"
    );
    assert!(error.is_damage());
    assert!(before == content(folder.path()), "{what}: it was changed");
}

#[test]
fn damage_to_what_the_database_opens_with_is_refused_before_anything_is_written() {
    for records_since in [0, 40] {
        let (folder, _) = closed_log();
        let log = open(folder.path()).unwrap();
        if records_since > 0 {
            append(&log, records_since);
        }
        log.close().unwrap();
        drop(log);
        let raw = fs::read(folder.path().join("log/db")).unwrap();
        let found: Vec<_> = find_blocks(&raw).collect();
        let end = found.iter().map(|(at, block)| at + block.as_bytes().len());
        let end = end.max().unwrap();
        for cut in (0..10).map(|part| 1 + (end - 1) * part / 10) {
            let what = format!("{records_since}: cut at {cut}");
            is_refused_untouched(folder.path(), &what, |bytes| bytes.truncate(cut));
        }
        for (at, _) in found.iter().step_by(found.len() / 10) {
            // Before the block stand the header of the database's message, the key and lengths.
            let what = format!("{records_since}: before the block at {at}");
            is_refused_untouched(folder.path(), &what, |bytes| bytes[at - 3] ^= 1);
            is_refused_untouched(folder.path(), &what, |bytes| bytes[at - 20..*at].fill(0));
        }
        let what = format!("{records_since}: the segment's header");
        is_refused_untouched(folder.path(), &what, |bytes| bytes[5] ^= 1);
    }
}
