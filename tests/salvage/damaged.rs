//! Random damages: what salvage brings back is judged by a search of its own, which knows every block
//! of the undamaged log and looks whether its bytes are still there.

use std::fs;
use std::path::Path;

use casetrail::ledger::salvage::{End, LEFT_OVER, salvage};
use casetrail::log::Log;
use casetrail::wire::block::{RecordBlock, find_blocks};
use memchr::memmem;

use super::fixture::{Chance, Story, blocks, folder, open, records, records_in};

const SEGMENT: usize = 8 * 1024 * 1024;

/// A log of several segments, written over several openings, and where each of its blocks is.
struct Original {
    folder: tempfile::TempDir,
    db: Vec<u8>,
    blocks: Vec<RecordBlock>,
    places: Vec<Vec<usize>>,
    submission_ends: Vec<u64>,
}

impl Original {
    fn write() -> Self {
        let folder = folder();
        let mut story = Story::new(1);
        let path = folder.path().join("log/db");
        for opening in 1.. {
            let log = open(folder.path()).unwrap();
            for _ in 0..60 {
                story.commit(&log);
            }
            log.close().unwrap();
            drop(log);
            let segments = fs::metadata(&path).unwrap().len() as usize / SEGMENT;
            if segments >= 3 && opening >= 3 {
                break;
            }
        }
        let log = open(folder.path()).unwrap();
        let blocks = blocks(&log);
        assert!(records(&blocks) == story.records);
        log.close().unwrap();
        drop(log);
        let db = fs::read(&path).unwrap();
        let places = blocks
            .iter()
            .map(|block| memmem::find_iter(&db, block.as_bytes()).collect())
            .collect();
        Self {
            folder,
            db,
            blocks,
            places,
            submission_ends: story.ends,
        }
    }

    /// Which blocks are still whole somewhere in the damaged file.
    fn whole_in<'a>(&'a self, db: &[u8]) -> impl Iterator<Item = (bool, &'a RecordBlock)> {
        let is_whole = |block: &RecordBlock, places: &[usize]| {
            let bytes = block.as_bytes();
            let is_there = |at: &usize| db.get(*at..at + bytes.len()) == Some(&**bytes);
            places.iter().any(is_there)
        };
        let whole: Vec<bool> = self
            .blocks
            .iter()
            .zip(&self.places)
            .map(|(block, places)| is_whole(block, places))
            .collect();
        whole.into_iter().zip(&self.blocks)
    }

    /// Damages the file in one way.
    fn damage(&self, db: &mut Vec<u8>, chance: &mut Chance) -> String {
        let length = db.len() as u64;
        let end_of_blocks = self.places.iter().flatten().max().unwrap() + 1;
        match chance.below(6) {
            0 => {
                let cut = chance.below(end_of_blocks as u64) as usize;
                db.truncate(cut.min(db.len()));
                format!("cut at {cut}")
            }
            1 => {
                let (at, length) = (chance.below(length), chance.length());
                fill(db, at as usize, length as usize, || 0);
                format!("{length} zeros at {at}")
            }
            2 => {
                let (at, length) = (chance.below(length), chance.length());
                fill(db, at as usize, length as usize, || chance.next() as u8);
                format!("{length} random bytes at {at}")
            }
            3 => {
                // The header of a segment, or of all.
                let segments = db.len().div_ceil(SEGMENT);
                let one = (chance.below(2) == 0).then(|| chance.below(segments as u64) as usize);
                for segment in (0..segments).filter(|at| one.is_none_or(|one| one == *at)) {
                    fill(db, segment * SEGMENT, 20, || chance.next() as u8);
                }
                format!("header of segment {one:?}")
            }
            4 => {
                // What sled writes before blocks: the headers of its messages, its keys and lengths.
                let block = chance.below(self.places.len() as u64) as usize;
                for place in &self.places[block] {
                    fill(db, place.saturating_sub(30), 30, || chance.next() as u8);
                }
                format!("before block {block}")
            }
            _ => {
                // A block itself, in each of its places or in all but one.
                let block = chance.below(self.places.len() as u64) as usize;
                let spared = chance.below(2) as usize;
                for place in self.places[block].iter().skip(spared) {
                    let at =
                        place + chance.below(self.blocks[block].as_bytes().len() as u64) as usize;
                    fill(db, at, 1, || 0x55);
                }
                format!("block {block} but for {spared} of its places")
            }
        }
    }
}

fn fill(db: &mut [u8], at: usize, length: usize, mut byte: impl FnMut() -> u8) {
    let end = (at + length).min(db.len());
    for place in db.get_mut(at.min(end)..end).unwrap() {
        *place = byte();
    }
}

/// How many random damages are tried.
fn damages() -> u64 {
    let wanted = std::env::var("CASETRAIL_TEST_DAMAGES").ok();
    wanted.map_or(200, |wanted| wanted.parse().unwrap())
}

#[test]
fn every_whole_block_before_the_first_gap_comes_back_from_200_random_damages() {
    let original = Original::write();
    let gaps = std::thread::scope(|scope| {
        let halves = [0, 1].map(|half| {
            let original = &original;
            scope.spawn(move || {
                let seeds = (0..damages()).filter(|seed| seed % 2 == half);
                seeds.filter(|seed| is_cut_short(original, *seed)).count()
            })
        });
        halves
            .map(|half| half.join().unwrap())
            .iter()
            .sum::<usize>()
    });
    // Chance has to have done harm, or the test shows nothing; and not always the whole harm.
    let damages = damages() as usize;
    assert!(gaps > damages / 4 && gaps < damages, "{gaps} of {damages}");
}

/// Damages a copy of the log, salvages it and judges the result. Whether there was a gap.
fn is_cut_short(original: &Original, seed: u64) -> bool {
    let mut chance = Chance(1_000_003 * (seed + 1));
    let mut db = original.db.clone();
    let ways: Vec<String> = (0..=chance.below(3))
        .map(|_| original.damage(&mut db, &mut chance))
        .collect();
    let what = format!("damage {seed}: {}", ways.join(", "));

    let damaged = folder();
    fs::create_dir_all(damaged.path().join("log")).unwrap();
    for file in ["FORMAT", "LOCK", "mark"] {
        fs::copy(original.folder.path().join(file), damaged.path().join(file)).unwrap();
    }
    fs::write(damaged.path().join("log/db"), &db).unwrap();
    let parent = folder();
    let into = parent.path().join("salvaged");

    let mut expected_end = 0;
    let mut expected_left_over = Vec::new();
    for (is_whole, block) in original.whole_in(&db) {
        if is_whole && block.first_position() == expected_end {
            expected_end = block.end_position();
        } else if is_whole {
            expected_left_over.push(block);
        }
    }
    let is_submission_end = |end: &&u64| **end <= expected_end;
    let whole = *original
        .submission_ends
        .iter()
        .rfind(is_submission_end)
        .unwrap();
    let of_half = original.whole_in(&db).map(|(_, block)| block);
    let of_half = of_half
        .filter(|block| block.end_position() > whole && block.end_position() <= expected_end);
    let mut expected_left_over: Vec<&RecordBlock> = of_half.chain(expected_left_over).collect();
    expected_left_over.sort_by_key(|block| block.first_position());

    let salvaged = match salvage(damaged.path(), &into) {
        Ok(salvaged) => salvaged,
        Err(error) => {
            // Only where there is nothing at all.
            assert!(
                original.whole_in(&db).all(|(is_whole, _)| !is_whole),
                "{what}: {error}"
            );
            assert!(!into.exists(), "{what}");
            return true;
        }
    };
    let all = records(&original.blocks);
    assert_eq!(salvaged.records, whole, "{what}");
    assert!(
        records_in(&into) == all[..whole as usize],
        "{what}: other records"
    );
    assert_eq!(salvaged.missing, all.len() as u64 - whole, "{what}");
    assert_eq!(salvaged.is_complete(), whole == all.len() as u64, "{what}");
    assert_eq!(
        salvaged.end == End::EndOfLog,
        expected_left_over.is_empty(),
        "{what}"
    );
    assert_eq!(
        left_over(&into),
        expected_left_over.into_iter().cloned().collect::<Vec<_>>(),
        "{what}"
    );
    assert!(
        fs::read(damaged.path().join("log/db")).unwrap() == db,
        "{what}: it was changed"
    );
    whole < all.len() as u64
}

/// The blocks in the file beside the new log.
pub fn left_over(folder: &Path) -> Vec<RecordBlock> {
    let Ok(bytes) = fs::read(folder.join(LEFT_OVER)) else {
        return Vec::new();
    };
    let found: Vec<_> = find_blocks(&bytes).collect();
    let mut next = 0;
    for (at, block) in &found {
        assert_eq!(*at, next, "something else stands between the blocks");
        next = at + block.as_bytes().len();
    }
    assert_eq!(next, bytes.len());
    found.into_iter().map(|(_, block)| block).collect()
}
