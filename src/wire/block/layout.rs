//! The layout of a block's bytes, and the check whether they are whole.

use std::ops::Range;

use bytes::{BufMut, BytesMut};
use prost::encoding;

use super::BLOCK_BYTES_MAX;
use super::error::BlockError;

/// The size of the encoded fields 1 to 5.
pub(super) const HEADER_BYTES: usize = 29;
/// The encoded fields 1 to 4, which the checksum covers.
pub(super) const CHECKED_HEADER_BYTES: usize = 24;
/// The first field as encoded, by which a block is found: its tag, and 0x31425443 little-endian.
pub(super) const MAGIC_FIELD: [u8; 5] = [0x0d, b'C', b'T', b'B', b'1'];
/// A record's tag, and the longest length of a record of the largest size.
pub(super) const FRAME_OVERHEAD_MAX: usize = 4;

pub(super) const TAG_FIRST_POSITION: u8 = 0x11;
pub(super) const TAG_COUNT: u8 = 0x1d;
pub(super) const TAG_RECORDS_LENGTH: u8 = 0x25;
pub(super) const TAG_CHECKSUM: u8 = 0x2d;
pub(super) const TAG_RECORD: u8 = 0x32;

pub(super) const AT_MAGIC: usize = 1;
pub(super) const AT_FIRST_POSITION: usize = 6;
pub(super) const AT_COUNT: usize = 15;
pub(super) const AT_RECORDS_LENGTH: usize = 20;
pub(super) const AT_CHECKSUM: usize = 25;

/// Checks that the bytes are exactly one whole and unchanged block.
pub(super) fn check(bytes: &[u8]) -> Result<(), BlockError> {
    let (header, frames) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or({
        BlockError::Length {
            expected: HEADER_BYTES as u64,
            actual: bytes.len(),
        }
    })?;
    let first_position = u64_at(header, AT_FIRST_POSITION);
    let count = u32_at(header, AT_COUNT);
    let records_length = u32_at(header, AT_RECORDS_LENGTH);
    let checksum = u32_at(header, AT_CHECKSUM);
    let mut expected_header = [0; HEADER_BYTES];
    let mut writer = expected_header.as_mut_slice();
    put_header(&mut writer, first_position, count, records_length, checksum);
    if *header != expected_header {
        return Err(BlockError::NotABlock);
    }
    if bytes.len() > BLOCK_BYTES_MAX {
        return Err(BlockError::TooLarge {
            length: bytes.len(),
            limit: BLOCK_BYTES_MAX,
        });
    }
    let expected = u64::from(records_length).saturating_add(HEADER_BYTES as u64);
    if u64::try_from(bytes.len()) != Ok(expected) {
        return Err(BlockError::Length {
            expected,
            actual: bytes.len(),
        });
    }
    let actual = checksum_of(header, frames);
    if actual != checksum {
        return Err(BlockError::Checksum {
            expected: checksum,
            actual,
        });
    }
    check_frames(frames, count)?;
    if first_position.checked_add(u64::from(count)).is_none() {
        return Err(BlockError::PositionOverflow { first_position });
    }
    Ok(())
}

/// Whether the bytes have a header and as many records as it says, each field in its place. What the
/// header says of them may still be wrong.
pub(super) fn has_stored_form(bytes: &[u8]) -> bool {
    let Some((header, frames)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return false;
    };
    let tags = [
        (0, MAGIC_FIELD[0]),
        (AT_FIRST_POSITION - 1, TAG_FIRST_POSITION),
        (AT_COUNT - 1, TAG_COUNT),
        (AT_RECORDS_LENGTH - 1, TAG_RECORDS_LENGTH),
        (AT_CHECKSUM - 1, TAG_CHECKSUM),
    ];
    tags.iter().all(|(at, tag)| header.get(*at) == Some(tag))
        && check_frames(frames, u32_at(header, AT_COUNT)).is_ok()
}

pub(super) fn check_frames(frames: &[u8], expected: u32) -> Result<(), BlockError> {
    let mut rest = frames;
    let mut actual: u32 = 0;
    while !rest.is_empty() {
        let offset = HEADER_BYTES.saturating_add(frames.len().saturating_sub(rest.len()));
        let record = frame(rest).ok_or(BlockError::Frame { offset })?;
        rest = rest.get(record.end..).unwrap_or_default();
        actual = actual.saturating_add(1);
    }
    if actual != expected {
        return Err(BlockError::Count { expected, actual });
    }
    if actual == 0 {
        return Err(BlockError::Empty);
    }
    Ok(())
}

/// Fills in the header of a block whose records stand in place.
pub(super) fn seal(block: &mut [u8], first_position: u64, count: u32) {
    let Some((header, frames)) = block.split_first_chunk_mut::<HEADER_BYTES>() else {
        return;
    };
    // A block is at most 64 KiB and a little, so its length always fits.
    let records_length = u32::try_from(frames.len()).unwrap_or(u32::MAX);
    let mut writer = header.as_mut_slice();
    put_header(&mut writer, first_position, count, records_length, 0);
    let checksum = checksum_of(header, frames);
    overwrite(header, AT_CHECKSUM, &checksum.to_le_bytes());
}

/// Writes the fields 1 to 5.
pub(super) fn put_header(
    buffer: &mut impl BufMut,
    first_position: u64,
    count: u32,
    records_length: u32,
    checksum: u32,
) {
    buffer.put_slice(&MAGIC_FIELD);
    buffer.put_u8(TAG_FIRST_POSITION);
    buffer.put_u64_le(first_position);
    buffer.put_u8(TAG_COUNT);
    buffer.put_u32_le(count);
    buffer.put_u8(TAG_RECORDS_LENGTH);
    buffer.put_u32_le(records_length);
    buffer.put_u8(TAG_CHECKSUM);
    buffer.put_u32_le(checksum);
}

pub(super) fn checksum_of(header: &[u8; HEADER_BYTES], frames: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(
        header
            .first_chunk::<CHECKED_HEADER_BYTES>()
            .map_or(&[], |checked| checked),
    );
    hasher.update(frames);
    hasher.finalize()
}

/// Where the record of the first frame begins and ends; none if no whole frame begins here.
pub(super) fn frame(frames: &[u8]) -> Option<Range<usize>> {
    let (tag, mut rest) = frames.split_first()?;
    if *tag != TAG_RECORD {
        return None;
    }
    let length = usize::try_from(encoding::decode_varint(&mut rest).ok()?).ok()?;
    let start = frames.len().checked_sub(rest.len())?;
    (length <= rest.len()).then_some(start..start.checked_add(length)?)
}

/// The length in bytes of this many frames.
pub(super) fn frames_length(frames: &[u8], count: u64) -> Option<usize> {
    let mut length: usize = 0;
    for _ in 0..count {
        length = length.checked_add(frame(frames.get(length..)?)?.end)?;
    }
    Some(length)
}

pub(super) fn frame_head_length(length: usize) -> usize {
    encoding::encoded_len_varint(length as u64).saturating_add(1)
}

pub(super) fn put_frame_head(buffer: &mut BytesMut, length: usize) {
    buffer.put_u8(TAG_RECORD);
    encoding::encode_varint(length as u64, buffer);
}

pub(super) fn overwrite(bytes: &mut [u8], offset: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(offset..offset.saturating_add(value.len())) {
        place.copy_from_slice(value);
    }
}

pub(super) fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    let value = bytes.get(offset..).and_then(|rest| rest.first_chunk());
    value.map_or(0, |four| u32::from_le_bytes(*four))
}

pub(super) fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    let value = bytes.get(offset..).and_then(|rest| rest.first_chunk());
    value.map_or(0, |eight| u64::from_le_bytes(*eight))
}
