//! What the tests share: logs of records that follow one another, chance that is the same each time,
//! and folders in memory where there are any.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use casetrail::log::{DataFolder, Log, OpenError, SledLog, SledOptions};
use casetrail::wire::block::{BlockBuilder, RecordBlock};
use casetrail::wire::v1::Record;
use prost::Message;
use prost_types::Timestamp;
use uuid::Uuid;

/// A small generator (SplitMix64): the same numbers for the same seed.
pub struct Chance(pub u64);

impl Chance {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// A length from 1 to a megabyte, the small ones as often as the large ones.
    pub fn length(&mut self) -> u64 {
        let magnitude = 1 << self.below(21);
        1 + self.below(magnitude)
    }
}

/// A folder that goes away with its value; in memory where the system has such a place, since the
/// tests sync thousands of times.
pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

pub fn open(folder: &Path) -> Result<SledLog, OpenError> {
    let options = SledOptions {
        reserve_bytes: 0,
        cache_bytes: 4 * 1024 * 1024,
        ..SledOptions::default()
    };
    SledLog::open(Arc::new(DataFolder::open(folder)?), options)
}

/// Writes records as a server would: each case's version goes up, each submission is whole.
pub struct Story {
    pub chance: Chance,
    versions: Vec<u64>,
    seconds: i64,
    /// All records so far.
    pub records: Vec<Vec<u8>>,
    /// The position after each submission.
    pub ends: Vec<u64>,
}

impl Story {
    pub fn new(seed: u64) -> Self {
        Self {
            chance: Chance(seed),
            versions: vec![0; 40],
            seconds: 1_700_000_000,
            records: Vec::new(),
            ends: vec![0],
        }
    }

    /// The records of a submission of so many events, each with so many bytes beside its own.
    pub fn submission(&mut self, events: u32, padding: usize) -> Vec<Vec<u8>> {
        let request_id = Uuid::from_u128(u128::from(self.chance.next()) << 64 | 1).to_string();
        self.seconds += 1;
        let records = (0..events).map(|index| {
            let case = self.chance.below(self.versions.len() as u64) as usize;
            self.versions[case] += 1;
            let mut padded = self.chance.next().to_string();
            while padded.len() < padding {
                padded.push_str(&self.chance.next().to_string());
            }
            let record = Record {
                case_id: Uuid::from_u128(1000 + case as u128).to_string(),
                case_version: self.versions[case],
                recorded_at: Some(Timestamp {
                    seconds: self.seconds,
                    nanos: 0,
                }),
                request_id: request_id.clone(),
                submission_index: index,
                submission_size: events,
                actor: padded,
                ..Record::default()
            };
            record.encode_to_vec()
        });
        let records: Vec<Vec<u8>> = records.collect();
        self.records.extend(records.clone());
        self.ends.push(self.records.len() as u64);
        records
    }

    /// Lets time go by.
    pub fn wait(&mut self, seconds: i64) {
        self.seconds += seconds;
    }

    /// Appends a commit of some submissions, small and large ones.
    pub fn commit(&mut self, log: &dyn Log) {
        let head = log.head();
        let mut builder = BlockBuilder::new();
        while builder.bytes_count() < 40_000 && self.chance.below(5) > 0 || builder.is_empty() {
            let events = 1 + self.chance.below(8) as u32;
            let padding = match self.chance.below(12) {
                0 => 20_000,
                1 => 3_000,
                _ => 200,
            };
            for record in self.submission(events, padding) {
                builder.push_encoded(&record).unwrap();
            }
        }
        log.append(head, &builder.finish(head)).unwrap();
    }
}

/// The blocks of these records.
pub fn blocks_of(first_position: u64, records: &[Vec<u8>]) -> Vec<RecordBlock> {
    let mut builder = BlockBuilder::new();
    for record in records {
        builder.push_encoded(record).unwrap();
    }
    builder.finish(first_position)
}

/// All blocks of a log that can be read to its end.
pub fn blocks(log: &dyn Log) -> Vec<RecordBlock> {
    log.read(0, usize::MAX).unwrap()
}

pub fn records(blocks: &[RecordBlock]) -> Vec<Vec<u8>> {
    let records = blocks.iter().flat_map(RecordBlock::records);
    records.map(|(_, bytes)| bytes.to_vec()).collect()
}

/// All records of the log in a data folder.
pub fn records_in(folder: &Path) -> Vec<Vec<u8>> {
    let log = open(folder).unwrap();
    let records = records(&blocks(&log));
    assert_eq!(records.len() as u64, log.head());
    records
}

/// Copies a folder with all that is in it.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
