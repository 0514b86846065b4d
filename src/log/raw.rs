//! The blocks of a log, found in sled's file without sled, by their own magic and checksum (rule 7).
//!
//! A block lies in one message of sled's and a message in one segment, so that the file is searched
//! segment by segment. sled writes a page anew every so often, so that the file holds most blocks
//! several times, each time the same: what the log stores under a position is never rewritten. Where
//! two blocks of the same position differ, one is left from a commit that failed and was lost at the
//! restart after it; which one is for the caller to find out.
//!
//! It opens files for reading only, and deliberately does not know which blocks belong to the log.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::error::OpenError;
use super::files::failed;
use super::sled_segments::{SEGMENT_LENGTH, Segments};
use crate::wire::block::{RecordBlock, find_blocks};

/// A disk that fails in places is read around them by so many bytes.
const SECTOR_BYTES: usize = 4096;

/// The whole blocks of a database's file, each once.
pub struct RawBlocks {
    db: File,
    path: PathBuf,
    blocks: Vec<RawBlock>,
    copies: u64,
    unreadable_bytes: u64,
}

/// Where a whole block is.
#[derive(Clone, Copy, Debug)]
pub struct RawBlock {
    /// The position of its first record.
    pub first_position: u64,
    /// How many records it has.
    pub count: u32,
    /// Its checksum, which tells two blocks of the same positions apart.
    pub checksum: u32,
    /// Its place in sled's log, which only grows; none where the header of its segment is damaged.
    pub lsn: Option<u64>,
    offset: u64,
    length: usize,
}

impl RawBlocks {
    /// Searches the database of a log's folder. Takes some 40 bytes of memory a block.
    pub fn search(log_folder: &Path) -> Result<Self, OpenError> {
        let path = log_folder.join("db");
        let db = File::open(&path).map_err(failed("open", &path))?;
        let segments = Segments::read(&db).map_err(failed("read", &path))?;
        let mut found = Self {
            db,
            path,
            blocks: Vec::new(),
            copies: 0,
            unreadable_bytes: 0,
        };
        let mut bytes = vec![0; SEGMENT_LENGTH];
        for offset in segments.offsets() {
            let (length, unreadable) = found.read_around_damage(&mut bytes, offset)?;
            found.unreadable_bytes = found.unreadable_bytes.saturating_add(unreadable);
            for (at, block) in find_blocks(bytes.get(..length).unwrap_or_default()) {
                let offset = offset.saturating_add(at as u64);
                found.copies = found.copies.saturating_add(1);
                found.blocks.push(RawBlock {
                    first_position: block.first_position(),
                    count: block.count(),
                    checksum: block.checksum(),
                    lsn: segments.lsn_of(offset),
                    offset,
                    length: block.as_bytes().len(),
                });
            }
        }
        let identity = |block: &RawBlock| {
            (
                block.first_position,
                block.count,
                block.checksum,
                block.length,
            )
        };
        // Of the copies of a block the latest one stays.
        found
            .blocks
            .sort_unstable_by_key(|block| (identity(block), std::cmp::Reverse(block.lsn)));
        found.blocks.dedup_by_key(|block| identity(block));
        Ok(found)
    }

    /// All blocks, in the order of their positions.
    pub fn blocks(&self) -> &[RawBlock] {
        &self.blocks
    }

    /// The blocks that begin at this position.
    pub fn at(&self, position: u64) -> &[RawBlock] {
        let before = |block: &RawBlock| block.first_position < position;
        let from = self.blocks.partition_point(before);
        let rest = self.blocks.get(from..).unwrap_or_default();
        let count = rest.partition_point(|block| block.first_position == position);
        rest.get(..count).unwrap_or_default()
    }

    /// Reads a block.
    pub fn read(&self, block: &RawBlock) -> Result<RecordBlock, OpenError> {
        let mut bytes = vec![0; block.length];
        let read = self.db.read_exact_at(&mut bytes, block.offset);
        read.map_err(failed("read", &self.path))?;
        // It was whole a moment ago, so that the disk gives another answer each time.
        let changed = |cause| io::Error::other(format!("it changes while it is read: {cause}"));
        RecordBlock::parse(Bytes::from(bytes))
            .map_err(|cause| failed("read", &self.path)(changed(cause)))
    }

    /// How many whole blocks the file holds, each copy counted.
    pub fn copies(&self) -> u64 {
        self.copies
    }

    /// How many bytes of the file the disk would not read.
    pub fn unreadable_bytes(&self) -> u64 {
        self.unreadable_bytes
    }

    /// Reads a segment, with zeros in the place of what can't be read; the bytes that are there, and
    /// how many of them can't be read.
    fn read_around_damage(&self, bytes: &mut [u8], offset: u64) -> Result<(usize, u64), OpenError> {
        if let Ok(length) = read_up_to(&self.db, bytes, offset) {
            return Ok((length, 0));
        }
        let metadata = self.db.metadata().map_err(failed("look at", &self.path))?;
        let there = metadata.len().saturating_sub(offset);
        let there = usize::try_from(there)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let mut unreadable: u64 = 0;
        let mut at = offset;
        for sector in bytes
            .get_mut(..there)
            .unwrap_or_default()
            .chunks_mut(SECTOR_BYTES)
        {
            if read_up_to(&self.db, sector, at).is_err() {
                sector.fill(0);
                unreadable = unreadable.saturating_add(sector.len() as u64);
            }
            at = at.saturating_add(sector.len() as u64);
        }
        Ok((there, unreadable))
    }
}

/// Fills the buffer from this offset of the file on, or as much of it as the file has.
pub(crate) fn read_up_to(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut length: usize = 0;
    while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset.saturating_add(length as u64)) {
            Ok(0) => break,
            Ok(count) => length = length.saturating_add(count),
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(cause),
        }
    }
    Ok(length)
}
