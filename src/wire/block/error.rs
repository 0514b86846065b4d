//! What can be wrong with a block.

use std::fmt;

/// Why bytes are not a block, or a record can't go into one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockError {
    /// The bytes are fewer or more than the header says.
    Length {
        /// The bytes that the header announces.
        expected: u64,
        /// The bytes that there are.
        actual: usize,
    },
    /// The bytes don't begin with a block's header.
    NotABlock,
    /// The block is larger than a block may be.
    TooLarge {
        /// The block's length in bytes.
        length: usize,
        /// The largest length in bytes.
        limit: usize,
    },
    /// The checksum is wrong: the block was changed after it was made.
    Checksum {
        /// The checksum that stands in the header.
        expected: u32,
        /// The checksum of what is there.
        actual: u32,
    },
    /// The records don't follow one another as encoded fields.
    Frame {
        /// The offset in the block at which no record begins.
        offset: usize,
    },
    /// There are fewer or more records than the header says.
    Count {
        /// The count in the header.
        expected: u32,
        /// The records that there are.
        actual: u32,
    },
    /// The block has no records.
    Empty,
    /// The positions run over the largest number.
    PositionOverflow {
        /// The first position in the header.
        first_position: u64,
    },
    /// A record is larger than a record may be.
    RecordTooLarge {
        /// The record's length in bytes.
        length: usize,
        /// The largest length in bytes.
        limit: usize,
    },
}

impl fmt::Display for BlockError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { expected, actual } => {
                write!(
                    formatter,
                    "the block has {actual} bytes instead of {expected}"
                )
            }
            Self::NotABlock => write!(formatter, "the bytes do not begin with a block's header"),
            Self::TooLarge { length, limit } => {
                write!(
                    formatter,
                    "the block has {length} bytes, at most {limit} are allowed"
                )
            }
            Self::Checksum { expected, actual } => write!(
                formatter,
                "the block's checksum is {actual:08x} instead of {expected:08x}: it was changed"
            ),
            Self::Frame { offset } => {
                write!(formatter, "no record begins at byte {offset} of the block")
            }
            Self::Count { expected, actual } => {
                write!(
                    formatter,
                    "the block has {actual} records instead of {expected}"
                )
            }
            Self::Empty => write!(formatter, "the block has no records"),
            Self::PositionOverflow { first_position } => {
                write!(formatter, "the positions from {first_position} on run over")
            }
            Self::RecordTooLarge { length, limit } => {
                write!(
                    formatter,
                    "the record has {length} bytes, at most {limit} are allowed"
                )
            }
        }
    }
}

impl std::error::Error for BlockError {}
