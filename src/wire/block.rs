//! The record block: the bytes that the log stores and a replay sends, encoded once.
//!
//! A block is, byte for byte, this protobuf message:
//!
//! ```text
//! message RecordBlock {
//!   fixed32 magic = 1;            // "CTB1"
//!   fixed64 first_position = 2;   // the position of the first record
//!   fixed32 count = 3;            // how many records
//!   fixed32 records_length = 4;   // bytes of all entries of field 6, with their tags
//!   fixed32 checksum = 5;         // CRC-32 (IEEE) over the encoded fields 1 to 4 and field 6
//!   repeated Record records = 6;
//! }
//! ```
//!
//! Invariants: fields 1 to 5 are always there, in this order, so that the header has a fixed size
//! and a block can be found in arbitrary bytes and checked without anything beside it
//! ([`find_blocks`]). A block from [`RecordBlock::parse`] or [`BlockBuilder`] is whole and holds at
//! least one record. A block that was decoded as a message is only what the sender said, until
//! [`RecordBlock::verified`] has checked it.
//!
//! This module deliberately does not know what a record holds.

mod builder;
mod error;
mod layout;

use std::fmt;
use std::ops::Range;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use memchr::memmem;
use prost::encoding::{self, DecodeContext, WireType};
use prost::{DecodeError, Message};

pub use self::builder::BlockBuilder;
pub use self::error::BlockError;
use self::layout::{
    AT_CHECKSUM, AT_COUNT, AT_FIRST_POSITION, AT_MAGIC, AT_RECORDS_LENGTH, FRAME_OVERHEAD_MAX,
    HEADER_BYTES, MAGIC_FIELD, check, frame, frames_length, has_stored_form, overwrite,
    put_frame_head, put_header, seal, u32_at, u64_at,
};
pub use super::limits::RECORD_BYTES_MAX;

/// The most records that share a block.
pub const BLOCK_RECORDS_MAX: u32 = 16;

/// The size in bytes, header included, above which records no longer share a block.
pub const BLOCK_BYTES_TARGET: usize = 6 * 1024;

/// The largest block, in bytes: one record of the largest size, which stands alone.
pub const BLOCK_BYTES_MAX: usize = HEADER_BYTES + FRAME_OVERHEAD_MAX + RECORD_BYTES_MAX;

/// A block of records, as stored and as sent. Cloning it copies no bytes.
///
/// The default is the empty message: no bytes, no records; it is neither stored nor sent.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct RecordBlock {
    bytes: Bytes,
}

impl RecordBlock {
    /// The bytes of a block's header, which has a fixed size.
    pub const HEADER_BYTES: usize = HEADER_BYTES;

    /// How long the block is, in bytes, of which this is the header; none if it is no header. Only
    /// [`Self::parse`] tells whether that is true.
    pub fn announced_length(header: &[u8]) -> Option<usize> {
        let header = header.strip_prefix(&MAGIC_FIELD).map(|_| header)?;
        let records_length = usize::try_from(u32_at(header, AT_RECORDS_LENGTH)).ok()?;
        HEADER_BYTES.checked_add(records_length)
    }

    /// Takes the bytes for a block if they are exactly one whole and unchanged block.
    pub fn parse(bytes: Bytes) -> Result<Self, BlockError> {
        check(&bytes)?;
        Ok(Self { bytes })
    }

    /// Checks a block that came from somewhere else, for instance one that was decoded.
    pub fn verified(self) -> Result<Self, BlockError> {
        Self::parse(self.bytes)
    }

    /// The position of the first record.
    pub fn first_position(&self) -> u64 {
        u64_at(&self.bytes, AT_FIRST_POSITION)
    }

    /// How many records there are.
    pub fn count(&self) -> u32 {
        u32_at(&self.bytes, AT_COUNT)
    }

    /// The position after the last record.
    pub fn end_position(&self) -> u64 {
        self.first_position()
            .saturating_add(u64::from(self.count()))
    }

    /// The checksum over the positions and the records.
    pub fn checksum(&self) -> u32 {
        u32_at(&self.bytes, AT_CHECKSUM)
    }

    /// The encoded message.
    pub fn as_bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Each record's position and encoded bytes, in order; nothing is copied or decoded.
    pub fn records(&self) -> Records {
        let header_bytes = self.bytes.len().min(HEADER_BYTES);
        Records {
            position: self.first_position(),
            frames: self.bytes.slice(header_bytes..),
        }
    }

    /// The block without the records before `position`; none if it has no others.
    pub fn starting_at(&self, position: u64) -> Option<Self> {
        self.slice(position..self.end_position())
    }

    /// The block with only the records at these positions; none if it has none of them.
    pub fn slice(&self, positions: Range<u64>) -> Option<Self> {
        let first = positions.start.max(self.first_position());
        let end = positions.end.min(self.end_position());
        if first >= end {
            return None;
        }
        if first == self.first_position() && end == self.end_position() {
            return Some(self.clone());
        }
        let frames = self.bytes.get(HEADER_BYTES..)?;
        let cut_front = frames_length(frames, first.checked_sub(self.first_position())?)?;
        let kept = frames.get(cut_front..)?;
        let kept = kept.get(..frames_length(kept, end.checked_sub(first)?)?)?;
        let mut block = BytesMut::with_capacity(HEADER_BYTES.checked_add(kept.len())?);
        block.put_bytes(0, HEADER_BYTES);
        block.put_slice(kept);
        seal(
            &mut block,
            first,
            u32::try_from(end.checked_sub(first)?).ok()?,
        );
        Some(Self {
            bytes: block.freeze(),
        })
    }
}

impl fmt::Debug for RecordBlock {
    /// Says where the block is and how large; never what is in it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RecordBlock")
            .field("first_position", &self.first_position())
            .field("count", &self.count())
            .field("length", &self.bytes.len())
            .finish()
    }
}

/// Writes the stored bytes as they are, and puts them together again from what is read: whatever
/// order a sender chose and whichever zeros it left out, the header stands at its fixed offsets.
impl Message for RecordBlock {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        buf.put_slice(&self.bytes);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        if !(1..=6).contains(&tag) {
            return encoding::skip_field(wire_type, tag, buf, ctx);
        }
        if tag == 1 && self.bytes.is_empty() {
            // As a server sends it, it is taken as it is.
            if let Some(bytes) = as_stored(buf) {
                self.bytes = bytes;
                return Ok(());
            }
        }
        let mut bytes = std::mem::take(&mut self.bytes)
            .try_into_mut()
            .unwrap_or_else(|shared| BytesMut::from(&*shared));
        if bytes.is_empty() {
            put_header(&mut bytes, 0, 0, 0, 0);
            // Unlike the other fields a magic that was left out is not a zero.
            overwrite(&mut bytes, AT_MAGIC, &[0; 4]);
        }
        match tag {
            2 => {
                let mut position = 0;
                encoding::fixed64::merge(wire_type, &mut position, buf, ctx)?;
                overwrite(&mut bytes, AT_FIRST_POSITION, &position.to_le_bytes());
            }
            6 => {
                let mut record = Bytes::new();
                encoding::bytes::merge(wire_type, &mut record, buf, ctx)?;
                put_frame_head(&mut bytes, record.len());
                bytes.put_slice(&record);
            }
            _ => {
                let mut value = 0;
                encoding::fixed32::merge(wire_type, &mut value, buf, ctx)?;
                let offset = match tag {
                    1 => AT_MAGIC,
                    3 => AT_COUNT,
                    4 => AT_RECORDS_LENGTH,
                    _ => AT_CHECKSUM,
                };
                overwrite(&mut bytes, offset, &value.to_le_bytes());
                if tag == 4 {
                    // What the sender announces is believed only as far as it has sent it.
                    let announced = usize::try_from(value).unwrap_or(usize::MAX);
                    bytes.reserve(announced.min(buf.remaining()));
                }
            }
        }
        self.bytes = bytes.freeze();
        Ok(())
    }

    fn encoded_len(&self) -> usize {
        self.bytes.len()
    }

    fn clear(&mut self) {
        self.bytes = Bytes::new();
    }
}

/// Takes all of a block whose first tag was read, if it is at hand in the order and the forms in
/// which blocks are stored. Anything else is put together field by field.
fn as_stored(buf: &mut impl Buf) -> Option<Bytes> {
    let rest = buf.chunk();
    let header_bytes = HEADER_BYTES.checked_sub(1)?;
    let records_length = u32_at(rest, AT_RECORDS_LENGTH.checked_sub(1)?);
    let length = header_bytes.checked_add(usize::try_from(records_length).ok()?)?;
    let rest = rest.get(..length)?;
    let mut bytes = BytesMut::with_capacity(length.checked_add(1)?);
    bytes.put_slice(MAGIC_FIELD.get(..1)?);
    bytes.put_slice(rest);
    has_stored_form(&bytes).then(|| {
        buf.advance(length);
        bytes.freeze()
    })
}

/// The records of a block: position and encoded bytes.
#[derive(Clone, Debug)]
pub struct Records {
    position: u64,
    frames: Bytes,
}

impl Iterator for Records {
    type Item = (u64, Bytes);

    fn next(&mut self) -> Option<Self::Item> {
        let record = frame(&self.frames)?;
        let position = self.position;
        let frame_bytes = self.frames.split_to(record.end);
        self.position = position.saturating_add(1);
        Some((position, frame_bytes.slice(record)))
    }
}

/// Finds every whole block in arbitrary bytes, by its magic and its checksum: each one's offset
/// and a copy of it. A database file may well hold a block more than once.
pub fn find_blocks(raw: &[u8]) -> impl Iterator<Item = (usize, RecordBlock)> {
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let rest = raw.get(from..)?;
            let skipped = memmem::find(rest, &MAGIC_FIELD)?;
            let candidate = rest.get(skipped..)?;
            let offset = from.saturating_add(skipped);
            match whole_block(candidate) {
                Some(block) => {
                    from = offset.saturating_add(block.bytes.len());
                    return Some((offset, block));
                }
                None => from = offset.saturating_add(1),
            }
        }
    })
}

/// The block that begins here, if the header's length and the checksum hold.
fn whole_block(bytes: &[u8]) -> Option<RecordBlock> {
    let records_length = usize::try_from(u32_at(bytes, AT_RECORDS_LENGTH)).ok()?;
    let block = bytes.get(..HEADER_BYTES.checked_add(records_length)?)?;
    check(block).ok()?;
    Some(RecordBlock {
        bytes: Bytes::copy_from_slice(block),
    })
}
