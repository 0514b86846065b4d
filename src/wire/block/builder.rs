//! Builds blocks; the only place that decides how many records share one.

use std::fmt;

use bytes::{BufMut, BytesMut};
use prost::Message;

use super::error::BlockError;
use super::layout::{HEADER_BYTES, frame_head_length, put_frame_head, seal};
use super::{BLOCK_BYTES_TARGET, BLOCK_RECORDS_MAX, RECORD_BYTES_MAX, RecordBlock};

/// Builds the blocks of one commit. Records are encoded straight into the buffer that the blocks
/// then share; a block's header is filled in at the end, when the position is known.
#[derive(Default)]
pub struct BlockBuilder {
    buffer: BytesMut,
    /// Of each block its length in bytes, header included, and its count of records.
    blocks: Vec<(usize, u32)>,
    /// Number of records in them all.
    records: u64,
}

impl BlockBuilder {
    /// An empty builder.
    pub fn new() -> Self {
        Self::default()
    }

    /// Encodes the record as the next one. A refused record leaves the builder as it was.
    pub fn push(&mut self, record: &impl Message) -> Result<(), BlockError> {
        self.begin_record(record.encoded_len())?;
        record.encode_raw(&mut self.buffer);
        Ok(())
    }

    /// Takes an encoded record as the next one. A refused record leaves the builder as it was.
    pub fn push_encoded(&mut self, record: &[u8]) -> Result<(), BlockError> {
        self.begin_record(record.len())?;
        self.buffer.put_slice(record);
        Ok(())
    }

    /// How many records have been pushed.
    pub fn record_count(&self) -> u64 {
        self.records
    }

    /// The size in bytes of all blocks so far, headers included: what the commit will weigh.
    pub fn bytes_count(&self) -> usize {
        self.buffer.len()
    }

    /// Whether no record has been pushed.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// The blocks of what was pushed, the first record at `first_position`. The builder is empty
    /// afterwards and can be used again.
    pub fn finish(&mut self, first_position: u64) -> Vec<RecordBlock> {
        self.records = 0;
        let mut rest = self.buffer.split();
        let mut position = first_position;
        let blocks = self.blocks.drain(..).map(|(length, count)| {
            let mut block = rest.split_to(length);
            seal(&mut block, position, count);
            position = position.saturating_add(u64::from(count));
            RecordBlock {
                bytes: block.freeze(),
            }
        });
        blocks.collect()
    }

    /// Makes room for a record of this length, in the current block or in a new one.
    fn begin_record(&mut self, length: usize) -> Result<(), BlockError> {
        if length > RECORD_BYTES_MAX {
            return Err(BlockError::RecordTooLarge {
                length,
                limit: RECORD_BYTES_MAX,
            });
        }
        let frame_head = frame_head_length(length);
        let frame_length = frame_head.saturating_add(length);
        match self.blocks.last_mut() {
            Some((block_length, count))
                if *count < BLOCK_RECORDS_MAX
                    && block_length.saturating_add(frame_length) <= BLOCK_BYTES_TARGET =>
            {
                *block_length = block_length.saturating_add(frame_length);
                *count = count.saturating_add(1);
            }
            _ => {
                self.buffer.put_bytes(0, HEADER_BYTES);
                self.blocks
                    .push((HEADER_BYTES.saturating_add(frame_length), 1));
            }
        }
        put_frame_head(&mut self.buffer, length);
        self.records = self.records.saturating_add(1);
        Ok(())
    }
}

impl fmt::Debug for BlockBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("BlockBuilder")
            .field("records", &self.record_count())
            .field("bytes", &self.bytes_count())
            .finish()
    }
}
