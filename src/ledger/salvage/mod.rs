//! Salvage: lifts the whole blocks out of a log that can't be opened any more, or came back short,
//! and writes them into a new data folder, up to the first gap.
//!
//! Invariants:
//! - Nothing in the damaged folder is changed, and nothing that exists is written over.
//! - The new log is the beginning of what was recorded: no gap, no half submission, and each record
//!   follows the one before it.
//! - No whole block is lost: those that can't go into the new log are put into a file beside it.
//! - The new folder gets its name last, so that one that is not finished is not taken for a log.
//!
//! Where two different blocks claim a position, one is left from a commit that failed, that the
//! database lost at the restart, and in whose place something else was recorded. That was recorded
//! later, so that the later one comes first; the other is tried where it does not follow. It
//! deliberately does not know what events mean: a start folds them.

mod chain;
mod error;

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use self::chain::Chain;
pub use self::chain::{Break, Cause};
pub use self::error::SalvageError;
use crate::log::{
    COMMIT_BYTES_MAX, DataFolder, Log, RawBlock, RawBlocks, SledLog, SledOptions, StoppedFolder,
};
use crate::view::SnapshotFile;
use crate::wire::block::RecordBlock;

/// The file in the new folder with the blocks that are not in its log.
pub const LEFT_OVER: &str = "left-over.blocks";

/// What a salvage found and wrote.
#[derive(Clone, Debug, Serialize)]
pub struct Salvaged {
    /// The different whole blocks in the damaged log's file.
    pub blocks_found: u64,
    /// The same with each copy counted.
    pub copies_found: u64,
    /// The bytes of the file that the disk would not read.
    pub unreadable_bytes: u64,
    /// The records of the new log: those before this position are back.
    pub records: u64,
    /// Where the new log ends, and why.
    pub end: End,
    /// The records that the damaged log once had by its high-water mark; none where the mark is
    /// damaged.
    pub mark: Option<u64>,
    /// The records that the snapshot of the views was made of; none where there is no whole one.
    pub snapshot: Option<u64>,
    /// The records that are missing up to the mark and the snapshot.
    pub missing: u64,
    /// The whole blocks that are not in the new log.
    pub left_over_blocks: u64,
    /// Their records.
    pub left_over_records: u64,
    /// The file that they were written to, one after the other in the order of their positions.
    pub left_over_file: Option<PathBuf>,
}

/// Why the new log ends where it ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum End {
    /// No whole block lies beyond it.
    EndOfLog,
    /// No whole block holds this position.
    Gap {
        /// The position.
        position: u64,
        /// Where the next whole block begins.
        next: Option<u64>,
    },
    /// The record at this position does not follow the one before it.
    DoesNotFollow {
        /// The position.
        position: u64,
        /// What does not fit.
        cause: String,
    },
    /// The submission that begins at this position is not whole.
    HalfSubmission {
        /// The position.
        position: u64,
        /// The position up to which its records are there.
        until: u64,
    },
}

impl Salvaged {
    /// Whether everything up to the mark and the snapshot is back.
    pub fn is_complete(&self) -> bool {
        // Without a mark a gap with something behind it still shows that there was more.
        let gap = self.end != End::EndOfLog && self.left_over_blocks > 0;
        match self.mark {
            Some(mark) if mark > 0 => self.missing == 0,
            Some(_) => self.missing == 0 && !gap,
            None => false,
        }
    }
}

/// Lifts what is whole out of the data folder `data`, whose server is stopped, into the new data
/// folder `into`.
///
/// # Errors
/// See [`SalvageError`]; `into` is then not there.
pub fn salvage(data: &Path, into: &Path) -> Result<Salvaged, SalvageError> {
    let damaged = StoppedFolder::open_damaged(data).map_err(SalvageError::Source)?;
    let unfinished = unfinished_folder(damaged.path(), into)?;
    let raw = RawBlocks::search(&damaged.log_path()).map_err(SalvageError::Source)?;
    if raw.blocks().is_empty() {
        return Err(SalvageError::NothingFound {
            folder: damaged.log_path(),
        });
    }
    let folder = DataFolder::open(&unfinished).map_err(SalvageError::Target)?;
    let log = SledLog::open(Arc::new(folder), SledOptions::default());
    let log = log.map_err(SalvageError::Target)?;
    let lifted = lift(&raw, &log)?;
    let left_over = raw.blocks().iter().filter(|block| !lifted.holds(block));
    let left_over: Vec<&RawBlock> = left_over.collect();
    if !left_over.is_empty() {
        write_left_over(&raw, &left_over, &unfinished.join(LEFT_OVER))?;
    }
    log.close().map_err(SalvageError::Target)?;
    drop(log);
    finish(&unfinished, into)?;

    let mark = damaged.mark().read().ok();
    let snapshot = SnapshotFile::in_folder(damaged.views_path()).position();
    let goal = mark.unwrap_or(0).max(snapshot.unwrap_or(0));
    let records = lifted.records;
    Ok(Salvaged {
        blocks_found: raw.blocks().len() as u64,
        copies_found: raw.copies(),
        unreadable_bytes: raw.unreadable_bytes(),
        records,
        end: lifted.end,
        mark,
        snapshot,
        missing: goal.saturating_sub(records),
        left_over_blocks: left_over.len() as u64,
        left_over_records: left_over.iter().map(|block| u64::from(block.count)).sum(),
        left_over_file: (!left_over.is_empty()).then(|| into.join(LEFT_OVER)),
    })
}

/// What went into the new log.
struct Lifted {
    records: u64,
    end: End,
    /// Position and checksum of each block, in the order of the positions.
    blocks: Vec<(u64, u32)>,
}

impl Lifted {
    /// Whether the new log holds all of the block.
    fn holds(&self, block: &RawBlock) -> bool {
        let end = block.first_position.saturating_add(u64::from(block.count));
        let key = (block.first_position, block.checksum);
        end <= self.records && self.blocks.binary_search(&key).is_ok()
    }
}

/// Appends the blocks that follow one another from position 0 on, as far as submissions are whole.
fn lift(raw: &RawBlocks, log: &SledLog) -> Result<Lifted, SalvageError> {
    let mut chain = Chain::default();
    let mut blocks = Vec::new();
    let mut commit = Commit {
        log,
        waiting: Vec::new(),
    };
    let broken = loop {
        match next_block(raw, &mut chain)? {
            Next::Block(block) => {
                blocks.push((block.first_position(), block.checksum()));
                commit.push(block, chain.whole())?;
            }
            Next::Gap => break None,
            Next::Break(broken) => break Some(broken),
        }
    };
    commit.finish(chain.whole())?;
    let (whole, until) = (chain.whole(), chain.position());
    let next = raw.blocks().iter().map(|block| block.first_position);
    let next = next.filter(|first| *first >= until).min();
    let end = match broken {
        Some(broken) => End::DoesNotFollow {
            position: broken.position,
            cause: broken.to_string(),
        },
        None if whole < until => End::HalfSubmission {
            position: whole,
            until,
        },
        None if next.is_some() => End::Gap {
            position: until,
            next,
        },
        None => End::EndOfLog,
    };
    Ok(Lifted {
        records: whole,
        end,
        blocks,
    })
}

enum Next {
    Block(RecordBlock),
    Gap,
    Break(Break),
}

/// The block that comes next; of several the one that was recorded last and follows.
fn next_block(raw: &RawBlocks, chain: &mut Chain) -> Result<Next, SalvageError> {
    let mut candidates = Vec::new();
    for found in raw.at(chain.position()) {
        let block = raw.read(found).map_err(SalvageError::Source)?;
        candidates.push((chain::recorded_at(&block), found.lsn, block));
    }
    candidates.sort_by_key(|(recorded_at, lsn, _)| std::cmp::Reverse((*recorded_at, *lsn)));
    let mut next = Next::Gap;
    for (_, _, block) in candidates {
        match chain.take(&block) {
            Ok(()) => return Ok(Next::Block(block)),
            Err(broken) if matches!(next, Next::Gap) => next = Next::Break(broken),
            Err(_) => {}
        }
    }
    Ok(next)
}

/// Puts blocks together to commits.
struct Commit<'a> {
    log: &'a SledLog,
    waiting: Vec<RecordBlock>,
}

impl Commit<'_> {
    /// Takes a block; what waits is appended once it is enough, but nothing beyond `whole`.
    fn push(&mut self, block: RecordBlock, whole: u64) -> Result<(), SalvageError> {
        self.waiting.push(block);
        let bytes: usize = self
            .waiting
            .iter()
            .map(|block| block.as_bytes().len())
            .sum();
        if bytes > COMMIT_BYTES_MAX / 2 {
            let count = self
                .waiting
                .partition_point(|block| block.end_position() <= whole);
            let blocks: Vec<RecordBlock> = self.waiting.drain(..count).collect();
            self.append(&blocks)?;
        }
        Ok(())
    }

    /// Appends the rest up to `whole`.
    fn finish(&mut self, whole: u64) -> Result<(), SalvageError> {
        let waiting = std::mem::take(&mut self.waiting);
        let blocks = waiting.iter().filter_map(|block| block.slice(0..whole));
        self.append(&blocks.collect::<Vec<_>>())
    }

    /// In commits as large as they may be: what is appended is not a log before it is finished.
    fn append(&self, mut blocks: &[RecordBlock]) -> Result<(), SalvageError> {
        while !blocks.is_empty() {
            let mut bytes: usize = 0;
            let count = blocks
                .iter()
                .take_while(|block| {
                    bytes = bytes.saturating_add(block.as_bytes().len());
                    bytes <= COMMIT_BYTES_MAX
                })
                .count();
            let (now, later) = blocks.split_at(count.max(1));
            let appended = self.log.append(self.log.head(), now);
            appended.map_err(SalvageError::Append)?;
            blocks = later;
        }
        Ok(())
    }
}

/// Where the new folder is made: beside where it will be, under a name of its own.
fn unfinished_folder(damaged: &Path, into: &Path) -> Result<PathBuf, SalvageError> {
    let taken = || SalvageError::TargetTaken { path: into.into() };
    let name = into.file_name().ok_or_else(taken)?;
    let parent = match into.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let parent = fs::canonicalize(parent).map_err(SalvageError::io("find", parent))?;
    if parent.starts_with(damaged) {
        return Err(SalvageError::TargetWithin {
            path: into.into(),
            data: damaged.into(),
        });
    }
    let is_empty = |path: &Path| fs::read_dir(path).is_ok_and(|mut there| there.next().is_none());
    if into.symlink_metadata().is_ok() && !is_empty(into) {
        return Err(taken());
    }
    let mut unfinished = name.to_owned();
    unfinished.push(".unfinished");
    let unfinished = parent.join(unfinished);
    if unfinished.symlink_metadata().is_ok() {
        return Err(SalvageError::Unfinished { path: unfinished });
    }
    Ok(unfinished)
}

fn write_left_over(raw: &RawBlocks, blocks: &[&RawBlock], path: &Path) -> Result<(), SalvageError> {
    let created = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    let mut out = BufWriter::new(created.map_err(SalvageError::io("create", path))?);
    for block in blocks {
        let block = raw.read(block).map_err(SalvageError::Source)?;
        let written = out.write_all(block.as_bytes());
        written.map_err(SalvageError::io("write", path))?;
    }
    let file = out
        .into_inner()
        .map_err(std::io::IntoInnerError::into_error);
    let synced = file.and_then(|file| file.sync_all());
    synced.map_err(SalvageError::io("write", path))
}

/// Gives the new folder its name, durably.
fn finish(unfinished: &Path, into: &Path) -> Result<(), SalvageError> {
    // An empty folder gives way; one that was filled meanwhile does not.
    fs::rename(unfinished, into).map_err(SalvageError::io("rename to its name", unfinished))?;
    let parent = unfinished.parent().unwrap_or(unfinished);
    let synced = File::open(parent).and_then(|folder| folder.sync_all());
    synced.map_err(SalvageError::io("sync", parent))
}
