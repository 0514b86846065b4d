//! A look at the database before sled opens it (rule 8). Opening writes: where sled meets a damaged
//! message in what it reads then, it takes it for the end and overwrites the rest of that segment,
//! whole blocks in it too. So what sled will find is foreseen first, and the start refused, with
//! nothing changed, where it would not get as far as it once was, or would lose a record that was
//! once durable.
//!
//! It reads what sled will read, the segments since the last opening. Damage to what is older is met
//! at reading, and everything else is still served.

use std::fs::File;
use std::io;

use super::error::OpenError;
use super::files::failed;
use super::raw::read_up_to;
use super::sled_files::SledFiles;
use super::sled_segments::{Foreseen, SEGMENT_BYTES, Segments};
use crate::wire::block::find_blocks;

/// Refuses a database that sled would damage further. `opened` is the number of records at the last
/// opening and `mark` the number that were once durable.
pub(super) fn check(files: &SledFiles, opened: u64, mark: u64) -> Result<(), OpenError> {
    let path = files.db();
    let stable = files.snapshot_reaches()?;
    let db = match File::open(&path) {
        Ok(db) => db,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(cause) => return Err(failed("open", &path)(cause)),
    };
    let looked = look(&db, stable, opened, mark);
    match looked.map_err(failed("read", &path))? {
        Verdict::Fine => Ok(()),
        Verdict::EndsBeforeSnapshot { offset } => Err(OpenError::DamagedBeforeOpening {
            folder: files.folder().into(),
            offset,
        }),
        Verdict::RecordMissing { position } => Err(OpenError::RecordMissing {
            folder: files.folder().into(),
            position,
            mark,
        }),
    }
}

enum Verdict {
    Fine,
    /// sled would not find again all that its own snapshot of its page table builds on.
    EndsBeforeSnapshot {
        offset: u64,
    },
    /// sled would not find this record.
    RecordMissing {
        position: u64,
    },
}

fn look(db: &File, stable: u64, opened: u64, mark: u64) -> io::Result<Verdict> {
    let segments = Segments::read(db)?;
    let mut held = Held::default();
    let foreseen = Foreseen::look(db, &segments, stable, &mut |message| {
        held.take_blocks(message, opened);
    })?;
    let is_enough = match foreseen.end {
        Some(end) => end.max(next_segment_if_full(end)) >= stable,
        // Its snapshot ends with a segment, and nothing was written since.
        None => stable % SEGMENT_BYTES == 0,
    };
    if !is_enough {
        return Ok(Verdict::EndsBeforeSnapshot {
            offset: foreseen.offset,
        });
    }
    if held.first_missing(opened, mark).is_some() {
        // Where a crash came between sled's snapshot and our own note of the opening, some of what
        // was recorded since is in the segments that the snapshot covers.
        let mut bytes = vec![0; usize::try_from(SEGMENT_BYTES).unwrap_or_default()];
        for offset in segments.offsets_before(stable - stable % SEGMENT_BYTES) {
            let length = read_up_to(db, &mut bytes, offset)?;
            held.take_blocks(bytes.get(..length).unwrap_or_default(), opened);
        }
    }
    Ok(match held.first_missing(opened, mark) {
        Some(position) => Verdict::RecordMissing { position },
        None => Verdict::Fine,
    })
}

/// sled begins a new segment where too little is left of one.
fn next_segment_if_full(end: u64) -> u64 {
    let near_its_end = end.saturating_add(32);
    if near_its_end / SEGMENT_BYTES > end / SEGMENT_BYTES {
        near_its_end - near_its_end % SEGMENT_BYTES
    } else {
        end
    }
}

/// The positions that whole blocks hold.
#[derive(Default)]
struct Held {
    ranges: Vec<(u64, u64)>,
}

impl Held {
    fn take_blocks(&mut self, bytes: &[u8], opened: u64) {
        let blocks = find_blocks(bytes).map(|(_, block)| block);
        let ranges = blocks.map(|block| (block.first_position(), block.end_position()));
        self.ranges.extend(ranges.filter(|(_, end)| *end > opened));
    }

    /// The first position from `opened` on and before `mark` that none holds.
    fn first_missing(&mut self, opened: u64, mark: u64) -> Option<u64> {
        self.ranges.sort_unstable();
        self.ranges.dedup();
        let mut next = opened;
        for (first, end) in &self.ranges {
            if *first > next {
                break;
            }
            next = next.max(*end);
        }
        (next < mark).then_some(next)
    }
}
