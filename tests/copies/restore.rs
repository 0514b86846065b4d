//! A restore without a server: what is good becomes a folder, and of anything else nothing is left.

use std::fs;
use std::path::Path;

use casetrail::ledger::restore::{RestoreError, Source, restore};
use casetrail::log::backup::{BackupError, BackupWriter, Header};
use casetrail::log::{DataFolder, SledLog, SledOptions};
use casetrail::wire::block::{BlockBuilder, RecordBlock};
use casetrail::wire::v1::{PersonalValue, Record};
use sha2::{Digest, Sha256};

use super::making::{
    FROM_THE_BEGINNING, SOFTWARE, backup_of, blocks_of, read_log, records, run, sample_blocks,
    small_blocks, views_digest,
};

fn sources<'a>(backups: &[&'a [u8]]) -> Vec<Source<'a>> {
    let sources = backups.iter().enumerate().map(|(index, bytes)| Source {
        name: format!("backup-{index}"),
        input: Box::new(*bytes) as Box<dyn std::io::Read>,
    });
    sources.collect()
}

/// Restores into a new folder; the blocks that its log then has, and its views' digest.
fn restored(
    backups: &[&[u8]],
    until: Option<u64>,
) -> Result<(Vec<RecordBlock>, [u8; 32]), RestoreError> {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let result = restore(sources(backups), &data, until, &mut |_| {});
    match result {
        Ok(restored) => {
            assert!(!data.join("restoring").exists());
            let folder = DataFolder::open(&data).unwrap();
            let log = SledLog::open(folder.into(), SledOptions::default()).unwrap();
            let blocks = read_log(&log);
            assert_eq!(
                restored.records,
                blocks.last().map_or(0, RecordBlock::end_position)
            );
            assert_eq!(restored.notes, Vec::<String>::new());
            Ok((blocks, restored.views_digest))
        }
        Err(error) => {
            assert!(!data.exists(), "{error}");
            Err(error)
        }
    }
}

/// A backup of two runs; the blocks are cut at a place where a submission ends.
fn two_runs(blocks: &[RecordBlock], cut: usize) -> Vec<u8> {
    let path = tempfile::NamedTempFile::new().unwrap();
    fs::write(path.path(), backup_of(&blocks[..cut])).unwrap();
    let existing = casetrail::log::backup::ExistingBackup::open(path.path()).unwrap();
    let mut backup = existing.go_on().unwrap();
    for block in &blocks[cut..] {
        backup.block(block).unwrap();
    }
    backup.end(views_digest(blocks), SOFTWARE).unwrap();
    fs::read(path.path()).unwrap()
}

/// A number of blocks, near `near`, after which a submission ends.
fn cut_near(blocks: &[RecordBlock], near: usize) -> usize {
    let ends = |cut: &usize| {
        let (_, last) = records(&blocks[cut - 1..*cut]).pop().unwrap();
        last.submission_index + 1 == last.submission_size
    };
    (near..blocks.len()).find(ends).unwrap()
}

/// A backup that begins where other blocks end.
fn continuing(before: &[RecordBlock], blocks: &[RecordBlock], all: &[RecordBlock]) -> Vec<u8> {
    let (_, last) = before.last().unwrap().records().last().unwrap();
    let header = Header {
        first_position: before.last().unwrap().end_position(),
        anchor: Sha256::digest(&last).into(),
    };
    let mut writer = BackupWriter::begin(Vec::new(), &header).unwrap();
    for block in blocks {
        writer.block(block).unwrap();
    }
    writer.end(views_digest(all), SOFTWARE).unwrap()
}

#[test]
fn a_backup_becomes_the_log_that_it_was_made_of() {
    let blocks = sample_blocks();
    let digest = views_digest(blocks);
    let (log, views) = restored(&[&backup_of(blocks)], None).unwrap();
    assert!(log == blocks && views == digest);
    let cut = cut_near(blocks, blocks.len() / 3);
    let (log, views) = restored(&[&two_runs(blocks, cut)], None).unwrap();
    assert!(log == blocks && views == digest);
    let second = continuing(&blocks[..cut], &blocks[cut..], blocks);
    let (log, views) = restored(&[&backup_of(&blocks[..cut]), &second], None).unwrap();
    assert!(log == blocks && views == digest);
}

#[test]
fn a_backup_of_nothing_becomes_an_empty_log() {
    let (log, views) = restored(&[&backup_of(&[])], None).unwrap();
    assert!(log.is_empty());
    assert_eq!(views, views_digest(&[]));
}

#[test]
fn commits_stay_within_their_limit_and_submissions_stay_whole() {
    // Far more than one commit: records of a sample, over and over, with other identifiers.
    let mut many: Vec<Record> = Vec::new();
    let renamed = |text: &str, round: usize| format!("{round:08x}{}", &text[8..]);
    for round in 0..5 {
        for (_, mut record) in records(sample_blocks()) {
            record.case_id = renamed(&record.case_id, round);
            record.request_id = renamed(&record.request_id, round);
            let event = record.event.as_mut().unwrap();
            event.event_id = renamed(&event.event_id, round);
            record.recorded_at.as_mut().unwrap().seconds += round as i64 * 1_000;
            many.push(record);
        }
    }
    let blocks = blocks_of(&many);
    let bytes: usize = blocks.iter().map(|block| block.as_bytes().len()).sum();
    assert!(bytes > 1024 * 1024, "{bytes}");
    // References to other cases and events lead nowhere now; they are not what is asked here.
    let mut writer = BackupWriter::begin(Vec::new(), &FROM_THE_BEGINNING).unwrap();
    for block in &blocks {
        writer.block(block).unwrap();
    }
    let backup = writer
        .end(views_digest(&blocks), "another version")
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let done = restore(sources(&[&backup]), &data, None, &mut |_| {}).unwrap();
    assert_eq!(done.records, many.len() as u64);
}

#[test]
fn until_a_position_gives_the_log_as_it_was_then() {
    let blocks = sample_blocks();
    let all = records(blocks);
    let backup = backup_of(blocks);
    let mut tried = [false; 2];
    for (position, record) in all.iter().skip(7).step_by(31) {
        let until = position + 1;
        let result = restored(&[&backup], Some(until));
        let is_end = record.submission_index + 1 == record.submission_size;
        tried[usize::from(is_end)] = true;
        if is_end {
            let expected: Vec<_> = blocks.iter().filter_map(|b| b.slice(0..until)).collect();
            let (log, views) = result.unwrap();
            assert!(log == expected && views == views_digest(&expected));
        } else {
            let text = result.unwrap_err().to_string();
            assert!(text.contains("in the middle of a submission"), "{text}");
        }
    }
    assert_eq!(tried, [true; 2]);
    let beyond = all.len() as u64 + 1;
    let text = restored(&[&backup], Some(beyond)).unwrap_err().to_string();
    assert!(text.contains(&beyond.to_string()), "{text}");
}

#[test]
fn what_is_whole_of_a_torn_backup_can_be_restored_by_naming_its_end() {
    let blocks = sample_blocks();
    let cut = cut_near(blocks, 10);
    let backup = two_runs(blocks, cut);
    let torn = &backup[..backup.len() - 300];
    let whole_until = blocks[cut - 1].end_position();
    let error = restored(&[torn], None).unwrap_err();
    assert!(
        matches!(&error, RestoreError::Backup { error: BackupError::Torn { whole_until: Some(until), .. }, .. } if *until == whole_until),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains(&format!("--until {whole_until}")),
        "{error}"
    );
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let done = restore(sources(&[torn]), &data, Some(whole_until), &mut |_| {}).unwrap();
    assert_eq!(done.records, whole_until);
    assert_eq!(done.views_digest, views_digest(&blocks[..cut]));
}

#[test]
fn backups_that_do_not_follow_one_another_are_refused() {
    let blocks = sample_blocks();
    let cut = cut_near(blocks, 10);
    let first = backup_of(&blocks[..cut]);
    let second = continuing(&blocks[..cut], &blocks[cut..], blocks);
    for backups in [&[&second[..]][..], &[&second, &first], &[&first, &first]] {
        let error = restored(backups, None).unwrap_err();
        assert!(
            matches!(error, RestoreError::DoesNotFollow { .. }),
            "{error}"
        );
    }
    let mut builder = BlockBuilder::new();
    for _ in 0..blocks[cut - 1].end_position() {
        builder.push_encoded(b"of another log").unwrap();
    }
    let other = continuing(&builder.finish(0), &blocks[cut..], blocks);
    let error = restored(&[&first, &other], None).unwrap_err();
    assert!(matches!(error, RestoreError::OtherLog { .. }), "{error}");
}

#[test]
fn records_that_no_ledger_would_have_recorded_are_refused_with_their_place() {
    type Alter = fn(&mut Record);
    let alterations: [(Alter, &str); 5] = [
        (|r| r.case_version += 1, "version"),
        (
            |r| r.recorded_at.as_mut().unwrap().seconds -= 1,
            "recorded_at",
        ),
        (|r| r.submission_size = 101, "submission"),
        (|r| r.submission_digest = vec![0; 31].into(), "record"),
        (
            |r| r.event.as_mut().unwrap().personal = vec![PersonalValue::default()],
            "personal",
        ),
    ];
    for (alter, kind) in alterations {
        let mut all: Vec<Record> = records(sample_blocks())
            .into_iter()
            .map(|(_, r)| r)
            .collect();
        let at = (20..).find(|at| all[*at].submission_index == 0).unwrap();
        alter(&mut all[at]);
        let error = restored(&[&backup_of(&blocks_of(&all))], None).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, RestoreError::Finding { .. }), "{text}");
        for word in ["backup-0: byte ", &format!("position {at}"), kind] {
            assert!(text.contains(word), "{word}: {text}");
        }
    }
}

#[test]
fn views_that_the_records_do_not_add_up_to_are_refused_unless_another_version_folded_them() {
    let write = |software: &str| {
        let mut writer = BackupWriter::begin(Vec::new(), &FROM_THE_BEGINNING).unwrap();
        for block in sample_blocks() {
            writer.block(block).unwrap();
        }
        writer.end([1; 32], software).unwrap()
    };
    let error = restored(&[&write(SOFTWARE)], None).unwrap_err();
    assert!(matches!(error, RestoreError::OtherViews { .. }), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let done = restore(sources(&[&write("0.0.1")]), &data, None, &mut |_| {}).unwrap();
    assert!(done.notes[0].contains("0.0.1"), "{:?}", done.notes);
}

/// Everything below goes through the command.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }
}

#[test]
fn the_command_names_the_byte_and_the_position_and_leaves_no_folder() {
    let folder = Folder::new();
    let blocks = small_blocks();
    let good = backup_of(&blocks);
    let last_block = good.len() - 280;
    let mut flipped = good.clone();
    flipped[last_block] ^= 1;
    let mut newer = good.clone();
    newer[25] = b'2';
    let cases: [(&str, Vec<u8>, &[&str]); 5] = [
        (
            "flipped",
            flipped,
            &["flipped: byte ", "position ", "checksum"],
        ),
        (
            "torn",
            good[..good.len() - 1].to_vec(),
            &["torn: byte ", "ends here"],
        ),
        (
            "foreign",
            b"%PDF-1.7 not ours".to_vec(),
            &["foreign", "not a casetrail backup"],
        ),
        ("empty", Vec::new(), &["empty", "not a casetrail backup"]),
        ("newer", newer, &["newer", "format 2"]),
    ];
    for (name, bytes, words) in cases {
        let file = folder.write(name, &bytes);
        let data = folder.path("data");
        let ran = run(&["restore", &file, "--data", &data]);
        ran.fails(1, words).fails(1, &["Nothing was restored"]);
        assert!(!Path::new(&data).exists(), "{name}");
    }
    let ran = run(&[
        "restore",
        &folder.path("none"),
        "--data",
        &folder.path("data"),
    ]);
    ran.fails(2, &["none"]);
}

#[test]
fn a_folder_that_has_something_in_it_is_refused_and_an_empty_one_is_taken() {
    let folder = Folder::new();
    let file = folder.write("backup", &backup_of(&small_blocks()));
    let data = folder.path("data");
    fs::create_dir(&data).unwrap();
    fs::write(Path::new(&data).join("notes"), "mine").unwrap();
    run(&["restore", &file, "--data", &data]).fails(1, &["is not empty"]);
    assert_eq!(fs::read_dir(&data).unwrap().count(), 1);
    fs::remove_file(Path::new(&data).join("notes")).unwrap();
    // One that was there stays there when it fails.
    let bad = folder.write("bad", b"bad");
    run(&["restore", &bad, "--data", &data]).fails(1, &["not a casetrail backup"]);
    assert_eq!(fs::read_dir(&data).unwrap().count(), 0);
    run(&["restore", &file, "--data", &data]).is_well();
    run(&["restore", &file, "--data", &data]).fails(1, &["is not empty"]);
    // What a restore left that was killed.
    let left = folder.path("left");
    fs::create_dir_all(Path::new(&left).join("restoring")).unwrap();
    run(&["restore", &file, "--data", &left]).fails(1, &["left", "cut off", "delete it"]);
    run(&["serve", "--data", &left, "--listen", "127.0.0.1:0"]).fails(1, &["no file FORMAT"]);
}
