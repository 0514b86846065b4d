//! What becomes of the changes that were not durable: the ways in which disks are known to fail, and
//! chance.

use super::disk::{Fate, Sector};
use super::load::Chance;
use super::moments::SEGMENT_BYTES;

/// A page of the system's memory, which it may write back by itself at any time.
const PAGE_BYTES: u64 = 4_096;

/// Which changes of files are there. Numbers are those of the pending changes, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    Nothing,
    Everything,
    /// Those before this one.
    Before(usize),
    /// This one and those after it.
    From(usize),
    AllBut(usize),
    Only(usize),
    /// Those before this one, and of this one its first sectors.
    CutShort(usize),
    /// Those before this one, and of this one some sectors.
    TornIn(usize),
    /// Whole changes, so many in a hundred.
    Changes(u64),
    /// Sectors of each change, so many in a hundred.
    Sectors(u64),
    /// The pages of a file as they were last, so many in a hundred.
    Pages(u64),
    /// What lies within the durable length of its file: all that `sync_file_range` can promise.
    WithinLength,
    /// The heads of sled's segments.
    SegmentHeads,
    AllButSegmentHeads,
    /// The heads of sled's segments, and whole changes, so many in a hundred.
    SegmentHeadsAndChanges(u64),
}

/// Which changes of names are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NamesKept {
    None,
    All,
    Before(usize),
    Some,
}

/// A way of failing that always does the same to the same changes.
#[derive(Clone, Debug)]
pub struct Way {
    kept: Kept,
    names: NamesKept,
    keeps_length: bool,
    seed: u64,
}

/// So many ways for so many pending changes of files and of names; fewer where there are not so many.
pub fn ways(changes: usize, names: usize, count: usize, chance: &mut Chance) -> Vec<Way> {
    if changes == 0 && names == 0 {
        return vec![Way {
            kept: Kept::Nothing,
            names: NamesKept::None,
            keeps_length: false,
            seed: 0,
        }];
    }
    (0..count).map(|_| way(changes, names, chance)).collect()
}

fn way(changes: usize, names: usize, chance: &mut Chance) -> Way {
    let names = match chance.below(4) {
        0 => NamesKept::None,
        1 => NamesKept::All,
        2 => NamesKept::Before(chance.below(names as u64 + 1) as usize),
        _ => NamesKept::Some,
    };
    let nth = chance.below(changes.max(1) as u64) as usize;
    // The newest changes are the ones that matter most often.
    let late = changes.saturating_sub(1 + chance.below(3) as usize);
    let nth = if chance.below(3) == 0 { late } else { nth };
    let percent = [10, 50, 50, 90][chance.below(4) as usize];
    let kept = match chance.below(17) {
        0 => Kept::Nothing,
        1 => Kept::Everything,
        2 => Kept::Before(nth),
        3 => Kept::From(nth),
        4 => Kept::AllBut(nth),
        5 => Kept::Only(nth),
        6 | 7 => Kept::CutShort(nth),
        8 | 9 => Kept::TornIn(nth),
        10 => Kept::Changes(percent),
        11 => Kept::Sectors(percent),
        12 => Kept::Pages(percent),
        13 => Kept::WithinLength,
        14 => Kept::SegmentHeads,
        15 => Kept::AllButSegmentHeads,
        _ => Kept::SegmentHeadsAndChanges(percent),
    };
    Way {
        kept,
        names,
        keeps_length: chance.below(6) == 0,
        seed: chance.below(u64::MAX),
    }
}

impl Fate for Way {
    fn keeps(&self, sector: &Sector) -> bool {
        let change = sector.change;
        let number = sector.offset.map(|offset| offset / 512);
        let is_head = sector
            .offset
            .is_some_and(|offset| offset % SEGMENT_BYTES == 0);
        match self.kept {
            Kept::Nothing => false,
            Kept::Everything => true,
            Kept::Before(nth) => change < nth,
            Kept::From(nth) => change >= nth,
            Kept::AllBut(nth) => change != nth,
            Kept::Only(nth) => change == nth,
            Kept::CutShort(nth) => {
                let first = number.is_some_and(|number| number % 16 < self.chance(1, 0) % 16);
                change < nth || (change == nth && first)
            }
            Kept::TornIn(nth) => {
                let some = self.chance(2, number.unwrap_or(u64::MAX)).is_multiple_of(2);
                change < nth || (change == nth && some)
            }
            Kept::Changes(percent) => self.chance(3, change as u64) % 100 < percent,
            Kept::Sectors(percent) => {
                let which = (change as u64) << 40 | number.unwrap_or(0);
                self.chance(4, which) % 100 < percent
            }
            Kept::Pages(percent) => {
                let page = sector.offset.map_or(u64::MAX, |offset| offset / PAGE_BYTES);
                self.chance(5, page) % 100 < percent
            }
            Kept::WithinLength => !sector.is_beyond,
            Kept::SegmentHeads => is_head,
            Kept::AllButSegmentHeads => !is_head,
            Kept::SegmentHeadsAndChanges(percent) => {
                is_head || self.chance(6, change as u64) % 100 < percent
            }
        }
    }

    fn keeps_name(&self, index: usize, _count: usize) -> bool {
        match self.names {
            NamesKept::None => false,
            NamesKept::All => true,
            NamesKept::Before(nth) => index < nth,
            NamesKept::Some => self.chance(7, index as u64).is_multiple_of(2),
        }
    }

    fn keeps_length(&self) -> bool {
        self.keeps_length
    }
}

impl Way {
    /// Only what is durable is there, but for the names, which all are.
    pub const DURABLE: Self = Self {
        kept: Kept::Nothing,
        names: NamesKept::All,
        keeps_length: false,
        seed: 0,
    };

    /// A number that hangs on the way, the purpose and the index alone (splitmix64).
    fn chance(&self, purpose: u64, index: u64) -> u64 {
        let mut number =
            self.seed ^ purpose.rotate_left(32) ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ (number >> 31)
    }
}
