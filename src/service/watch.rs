//! What a watcher is sent: changes read from the log in, answers out. No I/O, no waiting, no clock.
//!
//! Invariants:
//! - Every change of a case's standing from the watch's position on is told once and in the order
//!   of the positions; [`WatchMode::LatestPerCase`] leaves out what a later change of the same read
//!   supersedes, only while the watcher is behind, and counts it.
//! - `next_position` is the position from which a new watch goes on without gap or duplicate: after
//!   a change at `p` it is `p + 1`, otherwise the position up to which the log was read. An
//!   unfinished snapshot can't be gone on with, so all until its end carries 0: a watch from there tells all
//!   changes that ever were, which leaves no gap either; asking for a new snapshot is quicker.
//! - A watcher *is at the head* when a read took all that the log then held, and *has fallen
//!   behind* when a read did not suffice for that. A watcher at the head who keeps up is told
//!   changes alone.
//!
//! The `previous_standing` of a change is always how the case stood right before that event, also
//! where earlier changes were left out.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use super::Shared;
use super::changes::{Change, Changes};
use crate::domain::{CaseState, Sight};
use crate::wire::encoded::Encoded;
use crate::wire::v1::watch_status_response::Item;
use crate::wire::v1::{
    CaseSnapshot, CaughtUp, FellBehind, Progress, SnapshotEnd, WatchMode, WatchStatusResponse,
};
use crate::wire::validate::CaseFilter;

/// What a watcher is sent, and the position from which it may resume after it.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) next_position: u64,
    pub(super) encoded: Encoded,
}

/// One watch: which changes it wants, and how far it has read.
#[derive(Debug)]
pub(super) struct Watch {
    filter: CaseFilter,
    mode: WatchMode,
    position: u64,
    at_head: bool,
    in_snapshot: bool,
    /// Which cases there are for the watcher; all where nothing says otherwise.
    sees: Option<Sees>,
}

/// Which cases there are for a watcher, by how they stand when it is asked.
pub(super) struct Sees {
    shared: Arc<Shared>,
    sight: Sight,
}

impl Sees {
    /// By the sight of the caller.
    pub(super) fn new(shared: &Arc<Shared>, sight: Sight) -> Self {
        let shared = Arc::clone(shared);
        Self { shared, sight }
    }
}

impl fmt::Debug for Sees {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Sees").field(&self.sight).finish()
    }
}

impl Watch {
    /// A watch of the changes from `position` on, not yet known to be at the head.
    pub(super) fn new(filter: CaseFilter, mode: WatchMode, position: u64) -> Self {
        Self {
            filter,
            mode,
            position,
            at_head: false,
            in_snapshot: false,
            sees: None,
        }
    }

    /// The same, of the cases that there are for the watcher.
    pub(super) fn seeing(self, sees: Sees) -> Self {
        Self {
            sees: Some(sees),
            ..self
        }
    }

    /// A watch that begins with the snapshot of the cases as they stand at `position`.
    pub(super) fn with_snapshot(filter: CaseFilter, mode: WatchMode, position: u64) -> Self {
        Self {
            in_snapshot: true,
            ..Self::new(filter, mode, position)
        }
    }

    /// The position up to which the log was read.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The position from which a watch goes on without gap or duplicate, where this one ends now.
    pub(super) fn next_position(&self) -> u64 {
        if self.in_snapshot { 0 } else { self.position }
    }

    /// The answer for a case of the snapshot, if the case matches.
    pub(super) fn case_snapshot(&self, case: &CaseState) -> Option<Answer> {
        let sees = self.sees.as_ref();
        if !sees.is_none_or(|sees| sees.sight.includes(case)) {
            return None;
        }
        let standing = case.standing();
        if !self.filter.matches(case.case_id(), &standing) {
            return None;
        }
        let snapshot = CaseSnapshot {
            case_id: case.case_id().to_string(),
            version: case.version(),
            standing: Some(standing),
        };
        Some(self.answer(Item::CaseSnapshot(snapshot)))
    }

    /// The answer that ends the snapshot.
    pub(super) fn snapshot_end(&mut self, cases: u64) -> Answer {
        self.in_snapshot = false;
        self.answer(Item::SnapshotEnd(SnapshotEnd { cases }))
    }

    /// The sign of life.
    pub(super) fn progress(&self, head: u64) -> Answer {
        self.answer(Item::Progress(Progress { head }))
    }

    /// Takes in what was read from the watch's position on, when the log's head was `head`, and
    /// returns what the watcher is sent of it. What was read may begin before the position.
    pub(super) fn take(&mut self, read: &[Arc<Changes>], head: u64) -> Vec<Answer> {
        let end = read.last().map_or(self.position, |changes| changes.end());
        let end = end.max(self.position);
        let reaches_head = end >= head;
        let mut answers = Vec::new();
        if self.at_head && !reaches_head {
            self.at_head = false;
            answers.push(self.answer(Item::FellBehind(FellBehind { head })));
        }
        let matching = read
            .iter()
            .flat_map(|changes| changes.from(self.position))
            .filter(|change| change.matches(&self.filter))
            .filter(|change| {
                let sees = self.sees.as_ref();
                sees.is_none_or(|sees| sees.shared.sees_change(&sees.sight, change))
            });
        if self.mode == WatchMode::LatestPerCase && !self.at_head {
            answers.extend(latest_per_case(matching.collect()));
        } else {
            answers.extend(matching.map(|change| told(change, change.answer())));
        }
        self.position = end;
        if reaches_head && !self.at_head {
            self.at_head = true;
            answers.push(self.answer(Item::CaughtUp(CaughtUp {})));
        }
        answers
    }

    fn answer(&self, item: Item) -> Answer {
        let next_position = self.next_position();
        Answer {
            next_position,
            encoded: Encoded::of(&WatchStatusResponse {
                next_position,
                item: Some(item),
            }),
        }
    }
}

fn told(change: &Change, encoded: Encoded) -> Answer {
    Answer {
        next_position: change.position.saturating_add(1),
        encoded,
    }
}

/// Of each case the last change, with the number of those before it, in the order of the positions.
fn latest_per_case(changes: Vec<&Change>) -> Vec<Answer> {
    let mut skipped_by_case: HashMap<Uuid, u64> = HashMap::new();
    for change in &changes {
        skipped_by_case
            .entry(change.case_id)
            .and_modify(|skipped| *skipped = skipped.saturating_add(1))
            .or_default();
    }
    // From the end, the first change met of a case is its latest; the others find no entry left.
    let mut latest: Vec<_> = changes
        .into_iter()
        .rev()
        .filter_map(|change| {
            let skipped = skipped_by_case.remove(&change.case_id)?;
            Some(told(change, change.answer_skipping(skipped)))
        })
        .collect();
    latest.reverse();
    latest
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
