//! Commits of a restore: within their limit, and never in the middle of a submission.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Mutex;

use tokio::sync::watch;

use super::Commits;
use crate::log::{AppendError, COMMIT_BYTES_MAX, Log, MemoryLog, OpenError, ReadError};
use crate::wire::block::{BlockBuilder, RecordBlock};

/// A log that remembers where its commits ended.
struct Remembering {
    log: MemoryLog,
    ends: Mutex<Vec<u64>>,
}

impl Log for Remembering {
    fn append(&self, expected_head: u64, blocks: &[RecordBlock]) -> Result<u64, AppendError> {
        let head = self.log.append(expected_head, blocks)?;
        self.ends.lock().unwrap().push(head);
        Ok(head)
    }

    fn read(&self, from: u64, bytes_max: usize) -> Result<Vec<RecordBlock>, ReadError> {
        self.log.read(from, bytes_max)
    }

    fn recent(&self, from: u64, bytes_max: usize) -> Option<Vec<RecordBlock>> {
        self.log.recent(from, bytes_max)
    }

    fn head(&self) -> u64 {
        self.log.head()
    }

    fn subscribe(&self) -> watch::Receiver<u64> {
        self.log.subscribe()
    }

    fn ended(&self) -> Option<String> {
        self.log.ended()
    }

    fn record_mark(&self) -> Result<(), OpenError> {
        self.log.record_mark()
    }

    fn close(&self) -> Result<(), OpenError> {
        self.log.close()
    }
}

#[test]
fn a_commit_ends_with_a_submission_and_holds_as_many_as_fit() {
    for (record_bytes, submission_blocks) in [(60_000, 7), (60_000, 1), (9_000, 100), (60_000, 17)]
    {
        let log = Remembering {
            log: MemoryLog::new(),
            ends: Mutex::default(),
        };
        let mut commits = Commits::new(&log);
        let mut builder = BlockBuilder::new();
        let count = submission_blocks * 20;
        for _ in 0..count {
            builder.push_encoded(&vec![0; record_bytes]).unwrap();
        }
        for block in builder.finish(0) {
            let ends_submission = block.end_position() % submission_blocks == 0;
            commits.push(block, ends_submission).unwrap();
        }
        commits.finish().unwrap();
        assert_eq!(log.head(), count);
        let ends = log.ends.lock().unwrap().clone();
        assert!(
            ends.iter().all(|end| end % submission_blocks == 0),
            "{ends:?}"
        );
        // The log refuses more than its limit; less than half of it would be a waste.
        let bytes = u64::try_from(record_bytes).unwrap() * count;
        let fewest = bytes.div_ceil(u64::try_from(COMMIT_BYTES_MAX).unwrap());
        let commits = u64::try_from(ends.len()).unwrap();
        assert!((fewest..=2 * fewest + 1).contains(&commits), "{ends:?}");
    }
}
