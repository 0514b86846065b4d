//! Writes the parts of a backup.

use std::fmt;
use std::io::Write;

use super::marks::{EndMark, Header};
use super::{BackupError, Chain};
use crate::wire::block::RecordBlock;

/// The most characters of the name of the software in an end mark.
const SOFTWARE_CHARACTERS_MAX: usize = 64;

/// A backup that is being written.
pub struct BackupWriter<W> {
    output: W,
    position: u64,
    chain: Chain,
}

impl<W: Write> BackupWriter<W> {
    /// Begins a backup.
    ///
    /// # Errors
    /// The output's.
    pub fn begin(mut output: W, header: &Header) -> Result<Self, BackupError> {
        output.write_all(header.render().as_bytes())?;
        Ok(Self {
            output,
            position: header.first_position,
            chain: Chain::begin(header),
        })
    }

    /// Goes on with a backup behind its last end mark.
    pub(super) fn go_on(output: W, position: u64, chain: Chain) -> Self {
        Self {
            output,
            position,
            chain,
        }
    }

    /// The position that is next.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Writes the next block.
    ///
    /// # Errors
    /// A block that does not begin at the position that is next, and the output's errors.
    pub fn block(&mut self, block: &RecordBlock) -> Result<(), BackupError> {
        if block.first_position() != self.position {
            return Err(BackupError::NotNext {
                expected: self.position,
                actual: block.first_position(),
            });
        }
        self.output.write_all(block.as_bytes())?;
        self.chain.add(block);
        self.position = block.end_position();
        Ok(())
    }

    /// Writes the end mark of a run, and gives back the output. Of the name of the software, which a
    /// server told, is kept what can stand in an end mark.
    ///
    /// # Errors
    /// The output's.
    pub fn end(mut self, views_digest: [u8; 32], software: &str) -> Result<W, BackupError> {
        let software = software.chars().filter(char::is_ascii_graphic);
        let mark = EndMark {
            position: self.position,
            records_digest: self.chain.digest(),
            views_digest,
            software: software.take(SOFTWARE_CHARACTERS_MAX).collect(),
        };
        self.output.write_all(mark.render().as_bytes())?;
        self.output.flush()?;
        Ok(self.output)
    }
}

impl<W> fmt::Debug for BackupWriter<W> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("BackupWriter")
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}
