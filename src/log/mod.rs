//! The append-only log: the only thing that is made durable before a submission is answered.
//!
//! Invariants, which every engine keeps and one test suite (`tests/log`) holds against each:
//! - Positions are gap-free from 0. A commit is there as a whole or not at all.
//! - The head is told only once everything before it is durable, and nothing at or beyond the head
//!   is ever read.
//! - A failed write ends writing for ever: what became of it is unknown until a restart looks.
//!   Reading goes on, as far as the engine still can.
//! - What is read was checked: a changed or missing block is told as such, never passed on.
//!
//! The log deliberately does not know what a record holds, when it was recorded, or who reads it.

pub mod backup;
mod error;
mod files;
mod folder;
mod mark;
mod memory;
mod new_folder;
mod preflight;
mod raw;
mod safety_copy;
mod sled_database;
mod sled_files;
mod sled_log;
mod sled_segments;
mod stopped;
mod tail;
mod waker;

use bytes::Bytes;
use tokio::sync::watch;

pub use self::error::{AppendError, OpenError, ReadError};
pub use self::folder::{DataFolder, FORMAT_VERSION};
pub use self::mark::HighWaterMark;
pub use self::memory::{Fault, MemoryLog};
pub use self::new_folder::NewFolder;
pub(crate) use self::raw::read_up_to;
pub use self::raw::{RawBlock, RawBlocks};
pub use self::safety_copy::SafetyCopy;
pub use self::sled_log::{SledLog, SledOptions};
pub use self::stopped::StoppedFolder;
use crate::wire::block::RecordBlock;

/// The most bytes of blocks in one commit: what sled writes between two syncs has to stay well
/// under one of its segments, or a power cut can tear a commit.
pub const COMMIT_BYTES_MAX: usize = 1024 * 1024;

/// A log of blocks of records. All methods may block on the disk.
pub trait Log: Send + Sync + 'static {
    /// Appends the blocks as one atomic and durable commit if the head is still `expected_head`,
    /// and returns the new head. The blocks follow one another from the head on, and are together
    /// at most [`COMMIT_BYTES_MAX`]. No blocks at all is a commit that changes nothing.
    fn append(&self, expected_head: u64, blocks: &[RecordBlock]) -> Result<u64, AppendError>;

    /// Whole blocks, in order, from the one that holds `from` on: as many as fit in `bytes_max`
    /// bytes, but at least one; none if `from` is the head or beyond it. Blocks that come before a
    /// damaged one are still returned; a read that begins at the damage fails.
    fn read(&self, from: u64, bytes_max: usize) -> Result<Vec<RecordBlock>, ReadError>;

    /// As [`Log::read`], from memory alone and without blocking; none where the engine does not have
    /// the block that holds `from` at hand. Only the newest blocks are.
    fn recent(&self, from: u64, bytes_max: usize) -> Option<Vec<RecordBlock>>;

    /// The position that is written next: the number of durable records.
    fn head(&self) -> u64;

    /// The head, to wait for one beyond a position.
    fn subscribe(&self) -> watch::Receiver<u64>;

    /// Why writing has ended, if it has. It never begins again; a restart does.
    fn ended(&self) -> Option<String>;

    /// Makes the present head the mark below which the log may not come back. Cheap enough for
    /// every few seconds, too slow for every commit.
    fn record_mark(&self) -> Result<(), OpenError>;

    /// Ends writing in good order: what was appended is synced once more and the mark recorded.
    fn close(&self) -> Result<(), OpenError>;
}

/// Whether these blocks may be appended; the new head and the bytes if so.
fn check_append(
    head: u64,
    expected_head: u64,
    blocks: &[RecordBlock],
) -> Result<(u64, usize), AppendError> {
    if head != expected_head {
        return Err(AppendError::Conflict {
            expected: expected_head,
            actual: head,
        });
    }
    let mut position = head;
    let mut bytes: usize = 0;
    for block in blocks {
        if block.first_position() != position {
            let actual = block.first_position();
            return Err(AppendError::NotContiguous {
                expected: position,
                actual,
            });
        }
        // Checked once more before it is written: a block that was decoded may be anything.
        if let Err(cause) = block.clone().verified() {
            return Err(AppendError::InvalidBlock { position, cause });
        }
        position = block.end_position();
        bytes = bytes.saturating_add(block.as_bytes().len());
    }
    if bytes > COMMIT_BYTES_MAX {
        return Err(AppendError::TooLarge {
            bytes,
            limit: COMMIT_BYTES_MAX,
        });
    }
    Ok((position, bytes))
}

/// Checks what an engine has stored from the block that holds `from` on, and takes it until
/// `bytes_max` or the head.
fn take_blocks(
    stored: impl Iterator<Item = Result<(u64, Bytes), ReadError>>,
    from: u64,
    head: u64,
    bytes_max: usize,
) -> Result<Vec<RecordBlock>, ReadError> {
    let mut blocks: Vec<RecordBlock> = Vec::new();
    let mut bytes: usize = 0;
    let mut next = None;
    for entry in stored {
        match entry.and_then(|(key, value)| check_stored(key, value, next, from)) {
            Ok(block) => {
                bytes = bytes.saturating_add(block.as_bytes().len());
                if bytes > bytes_max && !blocks.is_empty() {
                    return Ok(blocks);
                }
                let end = block.end_position();
                next = Some(end);
                blocks.push(block);
                if end >= head {
                    return Ok(blocks);
                }
            }
            Err(_) if !blocks.is_empty() => return Ok(blocks),
            Err(error) => return Err(error),
        }
    }
    if blocks.is_empty() {
        Err(ReadError::Missing { position: from })
    } else {
        Ok(blocks)
    }
}

/// The block of a stored entry, if it is whole, is the one that its key says, and is the next one
/// (or, as the first, holds `from`).
fn check_stored(
    key: u64,
    value: Bytes,
    next: Option<u64>,
    from: u64,
) -> Result<RecordBlock, ReadError> {
    let expected = next.unwrap_or(key);
    if key != expected {
        return Err(ReadError::Missing { position: expected });
    }
    let block = RecordBlock::parse(value).map_err(|cause| ReadError::Corrupt {
        position: key,
        cause: cause.to_string(),
    })?;
    if block.first_position() != key {
        let cause = format!(
            "the block says that it begins at {}",
            block.first_position()
        );
        return Err(ReadError::Corrupt {
            position: key,
            cause,
        });
    }
    if next.is_none() && block.end_position() <= from {
        return Err(ReadError::Missing { position: from });
    }
    Ok(block)
}
