//! The tail: the newest blocks, kept in memory, so that whoever reads at the head is served without
//! the database. Readers share the blocks' bytes.

use std::collections::VecDeque;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use crate::wire::block::RecordBlock;

/// The most bytes of blocks that are kept, unless one commit alone is larger.
const TAIL_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The newest blocks of a log, without a gap.
#[derive(Default)]
pub(super) struct Tail {
    kept: RwLock<Kept>,
}

#[derive(Default)]
struct Kept {
    blocks: VecDeque<RecordBlock>,
    bytes: usize,
}

impl Tail {
    /// Takes in the blocks of a commit that is durable; they follow those before.
    pub(super) fn push(&self, blocks: &[RecordBlock]) {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        for block in blocks {
            kept.bytes = kept.bytes.saturating_add(block.as_bytes().len());
            kept.blocks.push_back(block.clone());
        }
        while kept.bytes > TAIL_BYTES_MAX && kept.blocks.len() > blocks.len() {
            if let Some(block) = kept.blocks.pop_front() {
                kept.bytes = kept.bytes.saturating_sub(block.as_bytes().len());
            }
        }
    }

    /// Whole blocks in order, from the one that holds `from` on, until `bytes_max` but at least one;
    /// none where that one is not kept.
    pub(super) fn read(&self, from: u64, bytes_max: usize) -> Option<Vec<RecordBlock>> {
        let kept = self.read_kept();
        let first = kept
            .blocks
            .partition_point(|block| block.end_position() <= from);
        let mut bytes: usize = 0;
        let blocks: Vec<_> = kept
            .blocks
            .range(first..)
            .take_while(|block| {
                let is_first = bytes == 0;
                bytes = bytes.saturating_add(block.as_bytes().len());
                is_first || bytes <= bytes_max
            })
            .cloned()
            .collect();
        let begins = blocks.first()?.first_position() <= from;
        begins.then_some(blocks)
    }

    fn read_kept(&self) -> RwLockReadGuard<'_, Kept> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::wire::block::BlockBuilder;

    fn commit(first: u64, records: u64, bytes: usize) -> Vec<RecordBlock> {
        let mut builder = BlockBuilder::new();
        for _ in 0..records {
            builder.push_encoded(&Bytes::from(vec![0; bytes])).unwrap();
        }
        builder.finish(first)
    }

    #[test]
    fn what_is_kept_is_read_from_any_position_and_what_is_not_is_told() {
        let tail = Tail::default();
        assert_eq!(tail.read(0, 1), None);
        let blocks = commit(40, 40, 300);
        tail.push(&blocks);
        assert_eq!(tail.read(39, usize::MAX), None);
        assert_eq!(tail.read(80, usize::MAX), None);
        for from in 40..80 {
            let read = tail.read(from, usize::MAX).unwrap();
            assert!((read[0].first_position()..read[0].end_position()).contains(&from));
            assert_eq!(read.last().unwrap().end_position(), 80);
            assert_eq!(tail.read(from, 1).unwrap(), read[..1]);
        }
    }

    #[test]
    fn the_oldest_go_where_there_are_too_many_bytes_and_the_newest_commit_stays() {
        let tail = Tail::default();
        let mut head = 0;
        for _ in 0..200 {
            tail.push(&commit(head, 100, 1_000));
            head += 100;
            assert!(tail.read(head - 100, 1).is_some());
            assert!(tail.read_kept().bytes <= TAIL_BYTES_MAX);
        }
        assert_eq!(tail.read(0, 1), None);
    }
}
