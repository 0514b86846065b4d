//! Reads a backup from its beginning, and takes nothing that is not as it was written.

use std::fmt;
use std::io::{BufRead, BufReader, Read};

use bytes::{Bytes, BytesMut};

use super::marks::{END_BEGINS, EndMark, Header, TEXT_BYTES_MAX, TITLE};
use super::{Anchor, BackupError, Chain, anchor_after};
use crate::wire::block::{BLOCK_BYTES_MAX, RecordBlock};

const BUFFER_BYTES: usize = 1024 * 1024;

/// A part of a backup.
#[derive(Debug)]
pub enum Item {
    /// The next block; it begins at the position that was next, or, as the first, at the header's.
    Block {
        /// Where it begins in the file, in bytes.
        offset: u64,
        /// The block.
        block: RecordBlock,
    },
    /// The end of a run.
    End(EndMark),
}

/// A backup that is being read.
pub struct BackupReader<R> {
    input: BufReader<R>,
    /// Where the next part begins, in bytes.
    offset: u64,
    header: Header,
    position: u64,
    anchor: Anchor,
    chain: Chain,
    /// The position of the last end mark.
    whole_until: Option<u64>,
    /// Whether the last part was an end mark.
    at_end_mark: bool,
}

impl<R: Read> BackupReader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// What is not a backup, is of a newer format, or has a damaged header.
    pub fn open(input: R) -> Result<Self, BackupError> {
        let mut input = BufReader::with_capacity(BUFFER_BYTES, input);
        let text = read_header(&mut input)?;
        let header = Header::parse(&text)?;
        Ok(Self {
            input,
            offset: text.len() as u64,
            header,
            position: header.first_position,
            anchor: header.anchor,
            chain: Chain::begin(&header),
            whole_until: None,
            at_end_mark: false,
        })
    }

    /// What the backup begins with.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The position after the last record that was read.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Where the next part begins in the file, in bytes.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The record before [`Self::position`].
    pub fn anchor(&self) -> Anchor {
        self.anchor
    }

    pub(super) fn chain(&self) -> &Chain {
        &self.chain
    }

    /// The next part; none where the file ends after an end mark.
    ///
    /// # Errors
    /// `Damaged` or `Torn` with the place; nothing can be read after it.
    pub fn next_item(&mut self) -> Result<Option<Item>, BackupError> {
        let Some(first) = self.input.fill_buf()?.first().copied() else {
            return if self.at_end_mark {
                Ok(None)
            } else {
                Err(self.torn())
            };
        };
        let item = if END_BEGINS.as_bytes().first() == Some(&first) {
            self.end_mark()
        } else {
            self.block()
        }?;
        self.at_end_mark = matches!(item, Item::End(_));
        Ok(Some(item))
    }

    fn block(&mut self) -> Result<Item, BackupError> {
        let mut bytes = BytesMut::zeroed(RecordBlock::HEADER_BYTES);
        self.fill(&mut bytes)?;
        let length = RecordBlock::announced_length(&bytes)
            .filter(|length| *length <= BLOCK_BYTES_MAX)
            .ok_or_else(|| self.damaged("neither a block nor an end mark begins here"))?;
        bytes.resize(length, 0);
        let rest = bytes.get_mut(RecordBlock::HEADER_BYTES..);
        self.fill(rest.unwrap_or_default())?;
        let block = RecordBlock::parse(Bytes::from(bytes));
        let block = block.map_err(|error| self.damaged(&error.to_string()))?;
        if block.first_position() != self.position {
            return Err(self.damaged(&format!(
                "the next block begins at position {}: blocks are missing, doubled or out of order",
                block.first_position()
            )));
        }
        let offset = self.offset;
        self.offset = offset.saturating_add(length as u64);
        self.position = block.end_position();
        self.anchor = anchor_after(&block).unwrap_or(self.anchor);
        self.chain.add(&block);
        Ok(Item::Block { offset, block })
    }

    fn end_mark(&mut self) -> Result<Item, BackupError> {
        let mut text = Vec::new();
        let mut limited = self.input.by_ref().take(TEXT_BYTES_MAX as u64);
        // The first line feed, and the line to its end.
        limited.read_until(b'\n', &mut text)?;
        limited.read_until(b'\n', &mut text)?;
        let Some(mark) = EndMark::parse(&text) else {
            let begins = END_BEGINS.as_bytes().starts_with(&text) || text.last() != Some(&b'\n');
            return if begins && self.input.fill_buf()?.is_empty() {
                Err(self.torn())
            } else {
                Err(self.damaged("the end mark is not as it was written"))
            };
        };
        if mark.position != self.position || self.whole_until == Some(mark.position) {
            return Err(self.damaged(&format!(
                "an end mark of position {} stands here: blocks are missing, doubled or out of order",
                mark.position
            )));
        }
        if mark.records_digest != self.chain.digest() {
            return Err(BackupError::Digest {
                offset: self.offset,
                position: self.position,
            });
        }
        self.offset = self.offset.saturating_add(text.len() as u64);
        self.whole_until = Some(mark.position);
        Ok(Item::End(mark))
    }

    /// Fills the buffer from the file.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), BackupError> {
        match self.input.read_exact(buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Err(self.torn()),
            filled => Ok(filled?),
        }
    }

    fn damaged(&self, what: &str) -> BackupError {
        BackupError::Damaged {
            offset: self.offset,
            position: self.position,
            what: what.to_owned(),
        }
    }

    fn torn(&self) -> BackupError {
        BackupError::Torn {
            offset: self.offset,
            position: self.position,
            whole_until: self.whole_until,
        }
    }
}

impl<R> fmt::Debug for BackupReader<R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("BackupReader")
            .field("offset", &self.offset)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

/// The text of the header, up to its empty line.
fn read_header(input: &mut impl BufRead) -> Result<Vec<u8>, BackupError> {
    let mut text = Vec::new();
    let mut limited = input.take(TEXT_BYTES_MAX as u64);
    loop {
        let begins = text.len();
        let count = limited.read_until(b'\n', &mut text)?;
        let expected = TITLE.as_bytes().get(..text.len().min(TITLE.len()));
        let titled = expected.is_some_and(|title| text.starts_with(title));
        if !titled || text.is_empty() {
            return Err(BackupError::NotABackup);
        }
        if text.get(begins..) == Some(b"\n") {
            return Ok(text);
        }
        if count == 0 {
            // More than a header has, or less.
            return if text.len() >= TEXT_BYTES_MAX {
                Header::parse(&text).map(|_| text)
            } else {
                Err(BackupError::Torn {
                    offset: 0,
                    position: 0,
                    whole_until: None,
                })
            };
        }
    }
}
