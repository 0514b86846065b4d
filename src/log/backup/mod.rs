//! The backup file: a copy of the log, made while its server works, that can be continued.
//!
//! ```text
//! header     text, up to an empty line: the format, the first position, the record before it
//! run        the stored blocks, exactly as they are, then an end mark
//! run ...
//! end mark   a line of text: the position reached, a digest of all records so far, a digest of the
//!            views at that position
//! ```
//!
//! Invariants: a file is whole where it ends in an end mark. Nothing in it is taken that is not
//! exactly as it was written: blocks have their checksum, header and end marks theirs, positions
//! follow one another, and each end mark's digest covers the header and every record before it, so
//! that nothing can be left out, put in or moved. What comes after the last end mark was left by a
//! run that did not come to its end.
//!
//! The digest is SHA-256 over the header's text and then, for each record, its length (8 bytes,
//! big-endian) and its bytes: how records are cut into blocks does not matter to it. It tells damage
//! and mix-ups; it is no signature.
//!
//! This module deliberately does not know what a record holds, nor where blocks come from or go to.

mod error;
mod file;
mod marks;
mod reader;
mod writer;

use std::fmt;

use sha2::{Digest, Sha256};

pub use self::error::BackupError;
pub use self::file::{BackupFile, ExistingBackup};
pub use self::marks::{EndMark, Header};
pub use self::reader::{BackupReader, Item};
pub use self::writer::BackupWriter;
use crate::wire::block::RecordBlock;

/// The version of the format that this build writes, and the newest that it reads.
pub const BACKUP_FORMAT: u32 = 1;

/// SHA-256 of the record before a position: it ties what begins there to its log. Zeros at
/// position 0.
pub type Anchor = [u8; 32];

/// The digest over all that was read or written so far.
#[derive(Clone)]
struct Chain(Sha256);

impl Chain {
    fn begin(header: &Header) -> Self {
        Self(Sha256::new_with_prefix(header.render()))
    }

    fn add(&mut self, block: &RecordBlock) {
        for (_, record) in block.records() {
            self.0.update((record.len() as u64).to_be_bytes());
            self.0.update(&record);
        }
    }

    fn digest(&self) -> [u8; 32] {
        self.0.clone().finalize().into()
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Chain")
    }
}

/// The anchor of what follows a block.
fn anchor_after(block: &RecordBlock) -> Option<Anchor> {
    let last = block.records().last();
    last.map(|(_, record)| Sha256::digest(&record).into())
}
