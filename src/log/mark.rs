//! The independent high-water mark: a small file that says how many records were once durable.
//!
//! sled takes what it can't read for the end of its log, wipes it and reports success. A log that
//! comes back with fewer records than the mark is therefore refused. The file is replaced as a
//! whole, so a mark that isn't whole was damaged. A missing mark means 0: that is how a person
//! accepts a loss.

use std::path::PathBuf;

use super::error::OpenError;
use super::files;

/// The mark's file.
#[derive(Clone, Debug)]
pub struct HighWaterMark {
    path: PathBuf,
}

impl HighWaterMark {
    /// The mark in this file, which need not be there yet.
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// The records that were once durable; 0 if none were ever marked.
    pub fn read(&self) -> Result<u64, OpenError> {
        let Some(content) = files::read_if_there(&self.path)? else {
            return Ok(0);
        };
        parse(&content).ok_or_else(|| OpenError::MarkDamaged {
            path: self.path.clone(),
        })
    }

    /// Whether a position was ever recorded.
    pub(super) fn is_there(&self) -> Result<bool, OpenError> {
        let is_there = self.path.try_exists();
        is_there.map_err(files::failed("look for", &self.path))
    }

    /// Records that all records before this position are durable. It is for the caller to make
    /// sure that they are, and that one record follows the other.
    pub fn record(&self, position: u64) -> Result<(), OpenError> {
        let aside = self.path.with_extension("new");
        files::replace(&self.path, &aside, render(position).as_bytes())
    }
}

fn render(position: u64) -> String {
    let checksum = crc32fast::hash(&position.to_le_bytes());
    format!("records {position} checksum {checksum:08x}\n")
}

/// Only what is exactly as we write it is a mark.
fn parse(content: &[u8]) -> Option<u64> {
    let text = str::from_utf8(content).ok()?;
    let position = text
        .strip_prefix("records ")?
        .split(' ')
        .next()?
        .parse()
        .ok()?;
    (render(position) == text).then_some(position)
}
