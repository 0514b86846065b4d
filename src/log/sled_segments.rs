//! What sled 0.34 will make of its file when it opens, foreseen without changing anything.
//!
//! sled's file is a row of segments. A segment begins with a header that says its place in sled's
//! log (`lsn`, a number of bytes since the beginning of time) and how much of the log was stable
//! then; messages follow, each with a checksum. Opening, sled reads the segments from the newest
//! snapshot of its page table on, takes the first message that is not whole for the end, and
//! overwrites what comes after. [`Foreseen::look`] goes the same way, step by step as in sled's
//! `pagecache/iterator.rs` and `snapshot.rs`, and reads no other segment, so that it costs what sled's
//! own reading costs.
//!
//! sled's version is fixed in Cargo.toml; another one has to be compared with this file first. This
//! module deliberately does not know what is in a message.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;

use super::raw::read_up_to;

/// The size of a segment, fixed at creation: sled refuses a database of another one.
pub(super) const SEGMENT_LENGTH: usize = 8 * 1024 * 1024;
/// The same, to reckon with places.
pub(super) const SEGMENT_BYTES: u64 = SEGMENT_LENGTH as u64;

const HEADER_LENGTH: usize = 20;
/// Nothing begins so near to the end of a segment.
const MESSAGE_HEADER_BYTES_MAX: u64 = 32;
/// How many bytes sled reads of a message at first.
const FIRST_READ_BYTES: usize = 128;

/// The headers of all segments.
pub(super) struct Segments {
    /// Of each segment in the file's order the place in sled's log where its header is whole.
    lsns: Vec<Option<u64>>,
    /// The largest stable place that a segment of a place names.
    stable: BTreeMap<u64, u64>,
}

/// What sled will find.
pub(super) struct Foreseen {
    /// The place in sled's log at which it will go on; none where it finds no segment to read.
    pub(super) end: Option<u64>,
    /// The offset in the file of that place.
    pub(super) offset: u64,
}

impl Segments {
    /// Reads the headers.
    pub(super) fn read(db: &File) -> io::Result<Self> {
        let mut lsns = Vec::new();
        let mut stable = BTreeMap::new();
        let length = db.metadata()?.len();
        let mut offset = 0;
        while offset < length {
            let mut header = [0; HEADER_LENGTH];
            read_up_to(db, &mut header, offset)?;
            let header = parse_header(&header);
            lsns.push(header.map(|(lsn, _)| lsn));
            if let Some((lsn, segment_stable)) = header {
                stable.insert(lsn, segment_stable);
            }
            offset = offset.saturating_add(SEGMENT_BYTES);
        }
        Ok(Self { lsns, stable })
    }

    /// The place in sled's log of an offset in the file; none where the segment's header is damaged.
    pub(super) fn lsn_of(&self, offset: u64) -> Option<u64> {
        let index = usize::try_from(offset / SEGMENT_BYTES).ok()?;
        let lsn = self.lsns.get(index).copied().flatten()?;
        lsn.checked_add(offset % SEGMENT_BYTES)
    }

    /// The offsets of all segments.
    pub(super) fn offsets(&self) -> impl Iterator<Item = u64> {
        self.with_offsets().map(|(_, offset)| offset)
    }

    /// The offsets of the segments before a place in sled's log.
    pub(super) fn offsets_before(&self, lsn: u64) -> impl Iterator<Item = u64> {
        let before = move |segment: &Option<u64>| segment.is_some_and(|at| at < lsn);
        let segments = self.with_offsets();
        segments.filter_map(move |(segment, offset)| before(&segment).then_some(offset))
    }

    /// The segments from a place in sled's log on: of each its place and its offset in the file.
    fn from(&self, lsn: u64) -> BTreeMap<u64, u64> {
        let segments = self.with_offsets();
        segments
            .filter_map(|(segment, offset)| Some((segment?, offset)))
            .filter(|(segment, _)| *segment >= lsn)
            .collect()
    }

    fn with_offsets(&self) -> impl Iterator<Item = (Option<u64>, u64)> {
        self.lsns
            .iter()
            .copied()
            .zip((0..).map(|at: u64| at.saturating_mul(SEGMENT_BYTES)))
    }
}

impl Foreseen {
    /// Goes through what sled will read from the segment of `stable` on, the place up to which its
    /// newest snapshot reaches, and hands each message that it will take to `visit`.
    pub(super) fn look(
        db: &File,
        segments: &Segments,
        stable: u64,
        visit: &mut dyn FnMut(&[u8]),
    ) -> io::Result<Self> {
        let from = stable - stable % SEGMENT_BYTES;
        let all = segments.from(from);
        let newest_stable = segments.stable.range(from..).map(|(_, stable)| *stable);
        let newest_stable = newest_stable.max().unwrap_or(0).max(from);
        // First sled looks for the end in the segments that were not known to be stable, which have
        // to follow one another.
        let mut expected = newest_stable - newest_stable % SEGMENT_BYTES;
        let mut tail = BTreeMap::new();
        let mut limit = None;
        for (lsn, offset) in all.range(expected..) {
            if *lsn != expected {
                limit = Some(expected);
                break;
            }
            tail.insert(*lsn, *offset);
            expected = expected.saturating_add(SEGMENT_BYTES);
        }
        let tail = walk(db, tail, limit, false, &mut |_| ())?;
        // Then it reads all of them up to that end.
        let Some(limit) = tail.end.and_then(|end| end.checked_sub(1)) else {
            return Ok(Self {
                end: None,
                offset: 0,
            });
        };
        walk(db, all, Some(limit), true, visit)
    }
}

/// Reads the messages of these segments up to the end or the limit. A tear ends the segment where
/// `skips_tears`, and all otherwise.
fn walk(
    db: &File,
    segments: BTreeMap<u64, u64>,
    limit: Option<u64>,
    skips_tears: bool,
    visit: &mut dyn FnMut(&[u8]),
) -> io::Result<Foreseen> {
    let is_beyond = |lsn: u64| limit.is_some_and(|limit| lsn > limit);
    let mut foreseen = Foreseen {
        end: None,
        offset: 0,
    };
    let mut bytes = vec![0; SEGMENT_LENGTH];
    for (lsn, offset) in segments {
        if is_beyond(lsn) {
            break;
        }
        let length = read_up_to(db, &mut bytes, offset)?;
        let segment = bytes.get(..length).unwrap_or_default();
        let mut at = HEADER_LENGTH as u64;
        loop {
            foreseen.end = Some(lsn.saturating_add(at));
            foreseen.offset = offset.saturating_add(at);
            if at > SEGMENT_BYTES - MESSAGE_HEADER_BYTES_MAX {
                break;
            }
            if is_beyond(lsn.saturating_add(at)) {
                return Ok(foreseen);
            }
            match message(segment, at, lsn / SEGMENT_BYTES) {
                Message::Whole { body, end } => {
                    visit(segment.get(body).unwrap_or_default());
                    at = end;
                }
                Message::Manifest { last, .. } if is_beyond(last) => return Ok(foreseen),
                Message::Manifest { end, .. } | Message::Passed { end } => at = end,
                Message::Torn if skips_tears => break,
                Message::Cap => break,
                Message::Torn | Message::CutOff => return Ok(foreseen),
            }
        }
    }
    Ok(foreseen)
}

/// What stands at a place of a segment.
enum Message {
    /// A part of a page.
    Whole { body: Range<usize>, end: u64 },
    /// The place at which a batch ends.
    Manifest { last: u64, end: u64 },
    /// Something that is passed over.
    Passed { end: u64 },
    /// The segment ends here.
    Cap,
    /// Not a message, or a damaged one.
    Torn,
    /// The file ends within the message.
    CutOff,
}

fn message(segment: &[u8], at: u64, segment_number: u64) -> Message {
    let Ok(start) = usize::try_from(at) else {
        return Message::Torn;
    };
    let there = segment.get(start..).unwrap_or_default();
    // sled reads zeros where the file has ended.
    let mut first = [0; FIRST_READ_BYTES];
    let count = there.len().min(FIRST_READ_BYTES);
    if let (Some(to), Some(from)) = (first.get_mut(..count), there.get(..count)) {
        to.copy_from_slice(from);
    }
    let mut rest: &[u8] = &first;
    let (Some(checksum), Some(kind)) = (take::<4>(&mut rest), take::<1>(&mut rest)) else {
        return Message::Torn;
    };
    let (Some(length), Some(number), Some(_page)) =
        (number(&mut rest), number(&mut rest), number(&mut rest))
    else {
        return Message::Torn;
    };
    let header_bytes = FIRST_READ_BYTES - rest.len();
    let room = (SEGMENT_BYTES - at).saturating_sub(header_bytes as u64);
    let kind = kind[0];
    if length > room || !(1..=11).contains(&kind) {
        return Message::Torn;
    }
    let Ok(body_bytes) = usize::try_from(length) else {
        return Message::Torn;
    };
    let body_start = start.saturating_add(header_bytes);
    let range = body_start..body_start.saturating_add(body_bytes);
    let Some(body) = segment.get(range.clone()) else {
        return if body_bytes <= rest.len() {
            Message::Torn
        } else {
            Message::CutOff
        };
    };
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(body);
    hasher.update(first.get(4..header_bytes).unwrap_or_default());
    let is_whole = hasher.finalize() ^ u32::MAX == u32::from_le_bytes(checksum);
    if !is_whole || number != segment_number {
        return Message::Torn;
    }
    let end = at
        .saturating_add(header_bytes as u64)
        .saturating_add(length);
    match kind {
        2 => Message::Cap,
        3 => match <[u8; 8]>::try_from(body) {
            Ok(last) => Message::Manifest {
                last: u64::from_le_bytes(last),
                end,
            },
            Err(_) => Message::Torn,
        },
        // Free, counter, meta, node, link; neither cancelled nor in a file of its own.
        4..=6 | 8 | 10 => Message::Whole { body: range, end },
        _ => Message::Passed { end },
    }
}

/// A segment's place in sled's log and what was stable when it was begun, if its checksum holds.
fn parse_header(bytes: &[u8; HEADER_LENGTH]) -> Option<(u64, u64)> {
    let mut rest: &[u8] = bytes;
    let checksum = u32::from_le_bytes(take(&mut rest)?) ^ u32::MAX;
    if crc32fast::hash(rest) != checksum {
        return None;
    }
    let [lsn, stable] =
        [take(&mut rest)?, take(&mut rest)?].map(|bytes| i64::from_le_bytes(bytes) ^ i64::MAX);
    // Before anything is stable sled says -1.
    Some((u64::try_from(lsn).ok()?, u64::try_from(stable).unwrap_or(0)))
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, more) = rest.split_first_chunk()?;
    *rest = more;
    Some(*taken)
}

/// A number in sled's encoding of variable length.
fn number(rest: &mut &[u8]) -> Option<u64> {
    let [first] = take(rest)?;
    let first = u64::from(first);
    let mut next = || take::<1>(rest).map(|[byte]| u64::from(byte));
    match first {
        0..=240 => Some(first),
        241..=248 => Some(240 + 256 * (first - 241) + next()?),
        249 => Some(2288 + 256 * next()? + next()?),
        _ => (0..first - 247).try_fold(0, |number, place| Some(number | next()? << (8 * place))),
    }
}
