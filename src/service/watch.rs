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
//! where earlier changes were left out. A case that is referred or transferred to the organisation of
//! the watcher is told as one that was opened; where it goes out of sight, nothing more is told of it.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use super::Shared;
use super::changes::{Change, Changes};
use super::mask::{Mask, Published};
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
    /// Who watches; somebody who sees all where nothing says otherwise.
    watcher: Option<Watcher>,
    /// What a monitor may be told of cases.
    published: Arc<Published>,
}

/// Who watches, on a server that tells callers apart or has accounts beside cases.
pub(super) struct Watcher {
    pub(super) shared: Arc<Shared>,
    /// Which cases there are, by how they stand when it is asked.
    pub(super) sight: Sight,
    /// For a monitor, how what it is told is masked.
    pub(super) mask: Option<Arc<Mask>>,
}

impl fmt::Debug for Watcher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Watcher").field(&self.sight).finish()
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
            watcher: None,
            published: Arc::default(),
        }
    }

    /// The same for who watches.
    pub(super) fn by(self, watcher: Watcher) -> Self {
        Self {
            watcher: Some(watcher),
            ..self
        }
    }

    /// How what is told is masked, if it is.
    pub(super) fn mask(&self) -> Option<&Arc<Mask>> {
        self.watcher.as_ref()?.mask.as_ref()
    }

    /// Keeps what a monitor may be told of cases from now on.
    pub(super) fn publish(&mut self, published: Arc<Published>) {
        self.published = published;
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
        let watcher = self.watcher.as_ref();
        if !watcher.is_none_or(|watcher| watcher.sight.includes(case)) {
            return None;
        }
        let snapshot = CaseSnapshot {
            case_id: case.case_id().to_string(),
            version: case.version(),
            standing: Some(case.standing()),
        };
        let snapshot = match self.mask() {
            Some(mask) => mask.snapshot(&self.published, snapshot),
            None => snapshot,
        };
        let standing = snapshot.standing.as_ref()?;
        self.filter
            .matches(case.case_id(), standing)
            .then(|| self.answer(Item::CaseSnapshot(snapshot)))
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
        let told = read
            .iter()
            .flat_map(|changes| changes.from(self.position))
            .filter(|change| self.is_told(change));
        if self.mode == WatchMode::LatestPerCase && !self.at_head {
            let latest = latest_per_case(told.collect());
            answers.extend(latest.map(|(change, skipped)| self.tell(change, skipped)));
        } else {
            answers.extend(told.map(|change| self.tell(change, 0)));
        }
        self.position = end;
        if reaches_head && !self.at_head {
            self.at_head = true;
            answers.push(self.answer(Item::CaughtUp(CaughtUp {})));
        }
        answers
    }

    /// Whether a change is wanted, and of a case that there is for the watcher. What a monitor is not
    /// told it can't find by a filter either.
    fn is_told(&self, change: &Change) -> bool {
        let watcher = self.watcher.as_ref();
        let organisation = watcher.and_then(|watcher| watcher.sight.organisation());
        if !change.is_for(organisation) {
            return false;
        }
        let Some(watcher) = watcher else {
            return change.matches(&self.filter);
        };
        let matches = match &watcher.mask {
            None => change.matches(&self.filter),
            Some(mask) => {
                let masked = mask.change(&self.published, change.to_message(0));
                let standings = [&masked.standing, &masked.previous_standing];
                let mut standings = standings.into_iter().flatten();
                standings.any(|standing| self.filter.matches(change.case_id, standing))
            }
        };
        matches && watcher.shared.sees_change(&watcher.sight, change)
    }

    /// The answer that tells a change, with how many earlier ones of its case were left out.
    fn tell(&self, change: &Change, skipped: u64) -> Answer {
        let next_position = change.position.saturating_add(1);
        let encoded = match self.mask() {
            None => change.answer_skipping(skipped),
            Some(mask) => {
                let change = mask.change(&self.published, change.to_message(skipped));
                Encoded::of(&WatchStatusResponse {
                    next_position,
                    item: Some(Item::StatusChange(change)),
                })
            }
        };
        Answer {
            next_position,
            encoded,
        }
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

/// Of each case the last change, with the number of those before it, in the order of the positions.
fn latest_per_case(changes: Vec<&Change>) -> impl Iterator<Item = (&Change, u64)> {
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
        .filter_map(|change| Some((change, skipped_by_case.remove(&change.case_id)?)))
        .collect();
    latest.reverse();
    latest.into_iter()
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
