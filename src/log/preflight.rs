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
use std::time::Instant;

use super::error::OpenError;
use super::files::failed;
use super::raw::read_up_to;
use super::sled_files::SledFiles;
use super::sled_segments::{Foreseen, SEGMENT_BYTES, SEGMENT_LENGTH, Segments};
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
    let began = Instant::now();
    let verdict = look(&db, stable, opened, mark).map_err(failed("read", &path))?;
    tracing::debug!(
        milliseconds = began.elapsed().as_millis(),
        "the database was looked at before it opens"
    );
    match verdict {
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
        None => stable.is_multiple_of(SEGMENT_BYTES),
    };
    if !is_enough {
        return Ok(Verdict::EndsBeforeSnapshot {
            offset: foreseen.offset,
        });
    }
    if held.first_missing(opened, mark).is_some() {
        // Where a crash came between sled's snapshot and our own note of the opening, some of what
        // was recorded since is in the segments that the snapshot covers.
        let mut bytes = vec![0; SEGMENT_LENGTH];
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
        for (_, block) in find_blocks(bytes).filter(|(_, block)| block.end_position() > opened) {
            let (first, end) = (block.first_position(), block.end_position());
            match self.ranges.last_mut() {
                // Most follow one another.
                Some(last) if last.1 == first => last.1 = end,
                _ => self.ranges.push((first, end)),
            }
        }
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

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]
mod tests {
    use std::fs;
    use std::ops::Range;
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::log::sled_database::Database;
    use crate::log::{DataFolder, Log, SledLog, SledOptions};
    use crate::wire::block::BlockBuilder;

    /// A multiplier of a good generator of random numbers (PCG).
    const MULTIPLIER: u64 = 6_364_136_223_846_793_005;

    struct Chance(u64);

    impl Chance {
        fn below(&mut self, limit: u64) -> u64 {
            self.0 = self.0.wrapping_mul(MULTIPLIER).wrapping_add(1);
            (self.0 >> 33) % limit
        }
    }

    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_file() {
                fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
            }
        }
    }

    fn append(log: &SledLog, commits: u64) {
        for _ in 0..commits {
            let mut builder = BlockBuilder::new();
            for at in 0..4 {
                let length = 20_000 + log.head() % 17 * 1_000;
                builder.push_encoded(&vec![at; length as usize]).unwrap();
            }
            log.append(log.head(), &builder.finish(log.head())).unwrap();
        }
    }

    /// The log of a server that was started twice and then killed: its folder, the head at the last
    /// opening and the head now. What it wrote since is in three segments.
    fn killed() -> (tempfile::TempDir, u64, u64) {
        let parent = tempfile::tempdir_in("/dev/shm").unwrap_or(tempfile::tempdir().unwrap());
        let open = || {
            let folder = DataFolder::open(&parent.path().join("data")).unwrap();
            SledLog::open(Arc::new(folder), SledOptions::default()).unwrap()
        };
        append(&open(), 40);
        let log = open();
        let opened = log.head();
        append(&log, 120);
        let (from, to) = (parent.path().join("data/log"), parent.path().join("log"));
        copy(&from, &to);
        let head = log.head();
        drop(log);
        fs::remove_dir_all(parent.path().join("data")).unwrap();
        (parent, opened, head)
    }

    #[test]
    fn what_is_foreseen_is_what_sled_then_finds() {
        let (parent, opened, head) = killed();
        let original = fs::read(parent.path().join("log/db")).unwrap();
        let files = SledFiles::in_folder(parent.path().join("log"));
        let stable = files.snapshot_reaches().unwrap();
        let written = written(&files, stable);
        assert!(written.len() >= 3, "{written:?}");
        let mut outcomes = [0; 3];
        let mut chance = Chance(4);
        for round in 0..24 {
            let mut db = original.clone();
            let area = written[chance.below(written.len() as u64) as usize].clone();
            let at = area.start + chance.below((area.end - area.start) as u64) as usize;
            match chance.below(5) {
                0 => db.truncate(at),
                1 => db[at] ^= 1 << chance.below(8),
                2 => db[area.start + chance.below(20) as usize] ^= 1,
                3 => db[at..area.end].fill(0),
                _ => {}
            }
            let folder = parent.path().join(format!("{round}"));
            copy(files.folder(), &folder);
            fs::write(folder.join("db"), &db).unwrap();
            let outcome = compare(&SledFiles::in_folder(folder.clone()), stable, opened, head);
            outcomes[outcome] += 1;
            fs::remove_dir_all(folder).unwrap();
        }
        assert!(outcomes.iter().all(|count| *count > 1), "{outcomes:?}");
    }

    /// The areas of the file that were written since a place in sled's log.
    fn written(files: &SledFiles, stable: u64) -> Vec<Range<usize>> {
        let db = File::open(files.db()).unwrap();
        let segments = Segments::read(&db).unwrap();
        let from = stable - stable % SEGMENT_BYTES;
        let offsets = segments
            .offsets()
            .filter(|offset| segments.lsn_of(*offset).is_some_and(|lsn| lsn >= from));
        let length = db.metadata().unwrap().len();
        offsets
            .map(|offset| offset as usize..(offset + SEGMENT_BYTES).min(length) as usize)
            .collect()
    }

    /// Foresees, opens with sled, and compares. 0 where sled finds all, 1 where it finds less, 2 where
    /// it can't open.
    fn compare(files: &SledFiles, stable: u64, opened: u64, head: u64) -> usize {
        let db = File::open(files.db()).unwrap();
        let segments = Segments::read(&db).unwrap();
        let mut held = Held::default();
        let foreseen = Foreseen::look(&db, &segments, stable, &mut |message| {
            held.take_blocks(message, opened);
        });
        let foreseen = foreseen.unwrap();
        let end = foreseen.end.map(next_segment_if_full);
        let verdict = look(&db, stable, opened, head).unwrap();
        let sled = Database::open(files, 1 << 20).and_then(|sled| sled.check_ends(files));
        match sled {
            Ok(found) => {
                assert_eq!(end.unwrap().max(stable), files.snapshot_reaches().unwrap());
                let missing = held.first_missing(opened, u64::MAX).unwrap();
                assert_eq!(missing, found, "the records that it finds");
                assert_eq!(matches!(verdict, Verdict::Fine), found == head);
                usize::from(found < head)
            }
            Err(error) => {
                assert!(!matches!(verdict, Verdict::Fine), "{error}");
                2
            }
        }
    }
}
