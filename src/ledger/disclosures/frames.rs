//! The frames in the record of disclosures: how one is made, read, and looked for behind damage.
//!
//! ```text
//! bytes 0..4      length of the content, big-endian
//! bytes 4..8      CRC-32 of all other bytes of the frame
//! bytes 8..16     up to which byte the file was durable when the frame was written, big-endian
//! bytes 16..      an encoded casetrail.v1.Disclosure
//! ```
//!
//! Invariant: what lies before a frame's word of what was durable was told to somebody. A bad place
//! there is damage; one behind it can be what a crash tore.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use prost::Message;

use crate::log::read_up_to;
use crate::wire::v1::Disclosure;

const HEAD_BYTES: usize = 16;
/// A frame's content is no longer: it names at most what one page discloses.
const CONTENT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How many bytes are looked through at a time for a whole frame.
const WINDOW_BYTES: usize = 1024 * 1024;

/// A whole frame.
pub(super) struct Frame {
    pub(super) disclosure: Disclosure,
    /// Up to which byte the file was durable when it was written.
    pub(super) durable: u64,
    /// Where the next one begins.
    pub(super) next: u64,
}

/// The bytes of a frame.
pub(super) fn encode(disclosure: &Disclosure, durable: u64) -> io::Result<Vec<u8>> {
    let content = disclosure.encode_to_vec();
    let length = u32::try_from(content.len()).map_err(io::Error::other)?;
    let mut frame = Vec::with_capacity(HEAD_BYTES + content.len());
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&checksum(length, durable, &content).to_be_bytes());
    frame.extend_from_slice(&durable.to_be_bytes());
    frame.extend_from_slice(&content);
    Ok(frame)
}

/// The frame at a place; none where there is no whole one.
pub(super) fn read(file: &File, at: u64) -> io::Result<Option<Frame>> {
    let mut head = [0; HEAD_BYTES];
    if !read_whole(file, &mut head, at)? {
        return Ok(None);
    }
    let (length, sum, durable) = parts(&head);
    let content_length = usize::try_from(length).unwrap_or(usize::MAX);
    if content_length > CONTENT_BYTES_MAX {
        return Ok(None);
    }
    let mut content = vec![0; content_length];
    let at = at.saturating_add(HEAD_BYTES as u64);
    if !read_whole(file, &mut content, at)? || checksum(length, durable, &content) != sum {
        return Ok(None);
    }
    let disclosure = Disclosure::decode(content.as_slice()).map_err(io::Error::other)?;
    Ok(Some(Frame {
        disclosure,
        durable,
        next: at.saturating_add(u64::from(length)),
    }))
}

/// The next whole frame that begins at a place or behind it; none up to the end of the file.
pub(super) fn find(file: &File, from: u64) -> io::Result<Option<Frame>> {
    if let Some(frame) = read(file, from)? {
        return Ok(Some(frame));
    }
    let length = file.metadata()?.len();
    let mut window = vec![0; WINDOW_BYTES + HEAD_BYTES];
    let mut begin = from;
    while begin < length {
        let filled = read_up_to(file, &mut window, begin)?;
        let heads = window.get(..filled).unwrap_or_default().windows(HEAD_BYTES);
        let heads = heads.filter_map(|head| head.first_chunk::<HEAD_BYTES>());
        for (at, head) in (begin..).zip(heads.take(WINDOW_BYTES)) {
            let (content, _, durable) = parts(head);
            let end = at.saturating_add(HEAD_BYTES as u64 + u64::from(content));
            if durable > 0
                && durable <= at
                && end <= length
                && let Some(frame) = read(file, at)?
            {
                return Ok(Some(frame));
            }
        }
        begin = begin.saturating_add(WINDOW_BYTES as u64);
    }
    Ok(None)
}

fn parts(head: &[u8; HEAD_BYTES]) -> (u32, u32, u64) {
    let [a, b, c, d, e, f, g, h, durable @ ..] = *head;
    (
        u32::from_be_bytes([a, b, c, d]),
        u32::from_be_bytes([e, f, g, h]),
        u64::from_be_bytes(durable),
    )
}

/// False where the file ends before.
fn read_whole(file: &File, buffer: &mut [u8], at: u64) -> io::Result<bool> {
    match file.read_exact_at(buffer, at) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn checksum(length: u32, durable: u64, content: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length.to_be_bytes());
    hasher.update(&durable.to_be_bytes());
    hasher.update(content);
    hasher.finalize()
}
