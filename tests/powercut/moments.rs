//! The moments of a trace at which the power is cut: those at which something could go wrong.

use std::collections::{BTreeMap, BTreeSet};

use super::load::Chance;
use super::trace::{Entry, Happening, Trace};

/// The size of sled's segments, as the log fixes it.
pub const SEGMENT_BYTES: u64 = 8 * 1024 * 1024;

/// sled's file, below the recorded folder.
const DATABASE: &str = "data/log/db";

/// What is going on at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Anything between the start of a process and its first answer to anyone.
    Starting,
    /// Between the writes of a commit.
    Writing,
    /// Right before a sync, when most is at stake, and right after it.
    Syncing,
    /// Right after an answer.
    Answering,
    /// A new segment of sled's is begun.
    NewSegment,
    /// A segment of sled's is begun where another one was.
    ReusedSegment,
    /// The head of a segment that isn't durable yet says that more is durable than is.
    Claiming,
    /// A file is made, renamed, cut or removed while the server serves.
    Naming,
}

/// The moments of each kind: the number of entries that have happened.
pub type Moments = BTreeMap<Kind, BTreeSet<usize>>;

/// All moments of a trace. `answers` are the entries that told of a submission.
pub fn moments(trace: &Trace, answers: &BTreeSet<usize>) -> Moments {
    let mut moments = Moments::new();
    let mut is_starting = false;
    let mut claims = Claims::default();
    let mut segments = BTreeSet::new();
    for (index, Entry { path, happening }) in trace.entries.iter().enumerate() {
        let mut add = |kind, at| {
            moments.entry(kind).or_default().insert(at);
        };
        match happening {
            Happening::Start => is_starting = true,
            Happening::Send(_) => is_starting = false,
            _ => {}
        }
        if claims.is_pending() {
            add(Kind::Claiming, index);
        }
        if path == DATABASE {
            claims.happen(trace, happening);
            if let Happening::Write(offset, _) = happening
                && offset % SEGMENT_BYTES == 0
            {
                let kind = match segments.insert(offset) {
                    true => Kind::NewSegment,
                    false => Kind::ReusedSegment,
                };
                for at in index..(index + 4).min(trace.entries.len()) {
                    add(kind, at);
                }
            }
        }
        if is_starting {
            add(Kind::Starting, index + 1);
            continue;
        }
        match happening {
            Happening::Send(_) if answers.contains(&index) => add(Kind::Answering, index + 1),
            Happening::Write(..) => add(Kind::Writing, index + 1),
            Happening::Sync | Happening::SyncData => {
                add(Kind::Syncing, index);
                add(Kind::Syncing, index + 1);
            }
            Happening::Create
            | Happening::MakeFolder
            | Happening::Rename(_)
            | Happening::Unlink
            | Happening::Truncate(_)
            | Happening::SyncFolder => {
                add(Kind::Naming, index);
                add(Kind::Naming, index + 1);
            }
            _ => {}
        }
    }
    moments
}

/// Chooses so many moments, of each kind as many as of another where there are enough.
pub fn choose(moments: &Moments, count: usize, chance: &mut Chance) -> BTreeMap<usize, Kind> {
    let mut left: Vec<(Kind, Vec<usize>)> = moments
        .iter()
        .map(|(kind, moments)| (*kind, moments.iter().copied().collect()))
        .collect();
    let mut chosen = BTreeMap::new();
    while chosen.len() < count && !left.is_empty() {
        left.retain_mut(|(kind, moments)| {
            let index = chance.below(moments.len() as u64) as usize;
            chosen.entry(moments.swap_remove(index)).or_insert(*kind);
            !moments.is_empty()
        });
    }
    chosen
}

/// What the heads of sled's segments claim to be durable, against what is. A head is a checksum (u32)
/// and two numbers in sled's log (i64, turned over): where the segment begins, and up to where
/// everything was durable when it was written.
#[derive(Default)]
struct Claims {
    /// The place in sled's log at which the segment at an offset of the file begins.
    begins: BTreeMap<u64, i64>,
    written: i64,
    durable: i64,
    /// A claim beyond what is durable, in a head that was written since the last sync.
    is_pending: bool,
}

impl Claims {
    fn is_pending(&self) -> bool {
        self.is_pending
    }

    fn happen(&mut self, trace: &Trace, happening: &Happening) {
        match happening {
            Happening::Write(offset, data) => {
                let bytes = trace.data(data);
                let segment = offset / SEGMENT_BYTES * SEGMENT_BYTES;
                if *offset == segment && bytes.len() >= 20 {
                    let number = |at: usize| {
                        i64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) ^ i64::MAX
                    };
                    let (begin, claim) = (number(4), number(12));
                    if begin >= 0 && begin % SEGMENT_BYTES as i64 == 0 {
                        self.begins.insert(segment, begin);
                        self.is_pending |= claim > self.durable;
                    }
                }
                if let Some(begin) = self.begins.get(&segment) {
                    let end = begin + (offset - segment) as i64 + bytes.len() as i64 - 1;
                    self.written = self.written.max(end);
                }
            }
            Happening::Sync | Happening::SyncData => {
                self.durable = self.written;
                self.is_pending = false;
            }
            _ => {}
        }
    }
}
