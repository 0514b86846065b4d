//! What the tests of the log share: blocks, and a log in a folder of its own.

use std::path::Path;
use std::sync::Arc;

use casetrail::log::{DataFolder, Log, OpenError, ReadError, SledLog, SledOptions};
use casetrail::wire::block::{BlockBuilder, RecordBlock};

/// The record that the tests write at a position: different at each, and of very different sizes.
pub fn record_at(position: u64) -> Vec<u8> {
    let length = if position % 97 == 5 {
        9_000
    } else {
        40 + position % 700
    };
    let mut record = format!("record {position} ").into_bytes();
    while (record.len() as u64) < length {
        record.push(
            (position
                .wrapping_mul(31)
                .wrapping_add(record.len() as u64 * 7)
                % 251) as u8,
        );
    }
    record
}

pub fn blocks_of(first_position: u64, records: &[Vec<u8>]) -> Vec<RecordBlock> {
    let mut builder = BlockBuilder::new();
    for record in records {
        builder.push_encoded(record).unwrap();
    }
    builder.finish(first_position)
}

/// The blocks of `count` records from a position on.
pub fn blocks_at(first_position: u64, count: u64) -> Vec<RecordBlock> {
    let positions = first_position..first_position + count;
    blocks_of(
        first_position,
        &positions.map(record_at).collect::<Vec<_>>(),
    )
}

/// Appends `count` records at the head.
pub fn append(log: &dyn Log, count: u64) -> u64 {
    let head = log.head();
    log.append(head, &blocks_at(head, count)).unwrap()
}

/// All records from a position on, as far as they can be read, with the error that ended it.
/// Positions are checked to be gap-free.
pub fn read_all(log: &dyn Log, from: u64, bytes_max: usize) -> (Vec<Vec<u8>>, Option<ReadError>) {
    let mut records = Vec::new();
    let mut next = from;
    loop {
        match log.read(next, bytes_max) {
            Ok(blocks) if blocks.is_empty() => return (records, None),
            Ok(blocks) => {
                for block in blocks {
                    let block = block
                        .starting_at(next)
                        .expect("a block that holds the position");
                    for (position, record) in block.records() {
                        assert_eq!(position, next);
                        records.push(record.to_vec());
                        next += 1;
                    }
                }
            }
            Err(error) => return (records, Some(error)),
        }
    }
}

/// Asserts that the log holds exactly the tests' records, up to its head.
pub fn assert_whole(log: &dyn Log) {
    let (records, error) = read_all(log, 0, 64 * 1024);
    assert_eq!(error, None);
    assert_eq!(records.len() as u64, log.head());
    for (position, record) in records.iter().enumerate() {
        assert!(
            *record == record_at(position as u64),
            "another record at {position}"
        );
    }
}

pub fn open(folder: &Path) -> Result<SledLog, OpenError> {
    open_with(
        folder,
        SledOptions {
            reserve_bytes: 0,
            ..SledOptions::default()
        },
    )
}

pub fn open_with(folder: &Path, options: SledOptions) -> Result<SledLog, OpenError> {
    SledLog::open(Arc::new(DataFolder::open(folder)?), options)
}

/// Changes the log's database with sled alone, as nobody should.
pub fn change_with_sled(folder: &Path, change: impl FnOnce(&sled::Db)) {
    let log = folder.join("log");
    let config = sled::Config::new()
        .path(&log)
        .segment_size(8 * 1024 * 1024)
        .flush_every_ms(None);
    let db = config.open().unwrap();
    change(&db);
    db.flush().unwrap();
    drop(db);
    wait_for_sled(folder);
}

/// Waits until sled has let go of its file, which is a moment after it was dropped.
pub fn wait_for_sled(folder: &Path) {
    let file = std::fs::File::open(folder.join("log/db")).unwrap();
    file.lock().unwrap();
    file.unlock().unwrap();
}

/// Copies a folder with all that is in it.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
