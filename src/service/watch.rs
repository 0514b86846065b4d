//! What a watcher is sent: blocks of the log in, answers out. No I/O, no waiting, no clock.
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
use std::collections::hash_map::Entry;

use bytes::Bytes;
use prost::Message;
use uuid::Uuid;

use super::status::Failure;
use crate::domain::CaseState;
use crate::wire::block::RecordBlock;
use crate::wire::header::RecordHeader;
use crate::wire::v1::watch_status_response::Item;
use crate::wire::v1::{
    CaseSnapshot, CaughtUp, FellBehind, Progress, SnapshotEnd, StatusChange, WatchMode,
    WatchStatusResponse,
};
use crate::wire::validate::CaseFilter;

/// One watch: which changes it wants, and how far it has read.
#[derive(Debug)]
pub(super) struct Watch {
    filter: CaseFilter,
    mode: WatchMode,
    position: u64,
    at_head: bool,
    in_snapshot: bool,
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
    pub(super) fn case_snapshot(&self, case: &CaseState) -> Option<WatchStatusResponse> {
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
    pub(super) fn snapshot_end(&mut self, cases: u64) -> WatchStatusResponse {
        self.in_snapshot = false;
        self.answer(Item::SnapshotEnd(SnapshotEnd { cases }))
    }

    /// The sign of life.
    pub(super) fn progress(&self, head: u64) -> WatchStatusResponse {
        self.answer(Item::Progress(Progress { head }))
    }

    /// Takes in what was read from the watch's position on, when the log's head was `head`, and
    /// returns what the watcher is sent of it. Blocks may begin before the position.
    pub(super) fn take(
        &mut self,
        blocks: &[RecordBlock],
        head: u64,
    ) -> Result<Vec<WatchStatusResponse>, Failure> {
        let end = blocks
            .last()
            .map_or(self.position, RecordBlock::end_position);
        let end = end.max(self.position);
        let reaches_head = end >= head;
        let mut answers = Vec::new();
        if self.at_head && !reaches_head {
            self.at_head = false;
            answers.push(self.answer(Item::FellBehind(FellBehind { head })));
        }
        let mut changes = self.changes(blocks)?;
        if self.mode == WatchMode::LatestPerCase && !self.at_head {
            changes = latest_per_case(changes);
        }
        answers.extend(changes.into_iter().map(|change| WatchStatusResponse {
            next_position: change.position.saturating_add(1),
            item: Some(Item::StatusChange(change)),
        }));
        self.position = end;
        if reaches_head && !self.at_head {
            self.at_head = true;
            answers.push(self.answer(Item::CaughtUp(CaughtUp {})));
        }
        Ok(answers)
    }

    fn answer(&self, item: Item) -> WatchStatusResponse {
        WatchStatusResponse {
            next_position: self.next_position(),
            item: Some(item),
        }
    }

    fn changes(&self, blocks: &[RecordBlock]) -> Result<Vec<StatusChange>, Failure> {
        let mut changes = Vec::new();
        for (position, record) in blocks.iter().flat_map(RecordBlock::records) {
            if position >= self.position
                && let Some(change) = self.change(position, record)?
            {
                changes.push(change);
            }
        }
        Ok(changes)
    }

    /// The change that a record made, if it made one and the case matches before or after it.
    fn change(&self, position: u64, record: Bytes) -> Result<Option<StatusChange>, Failure> {
        let unreadable = |cause: &str| Failure::unreadable_record(position, cause);
        let header =
            RecordHeader::decode(record).map_err(|error| unreadable(&error.to_string()))?;
        if header.previous_standing.is_none() && header.case_version != 1 {
            return Ok(None);
        }
        let case_id =
            Uuid::try_parse(&header.case_id).map_err(|error| unreadable(&error.to_string()))?;
        let matches = [&header.standing, &header.previous_standing]
            .into_iter()
            .flatten()
            .any(|standing| self.filter.matches(case_id, standing));
        Ok(matches.then_some(StatusChange {
            position,
            case_id: header.case_id,
            version: header.case_version,
            event_type: header.event_type,
            recorded_at: header.recorded_at,
            standing: header.standing,
            previous_standing: header.previous_standing,
            skipped: 0,
        }))
    }
}

/// Of each case the last change, with the number of those before it, in the order of the positions.
fn latest_per_case(changes: Vec<StatusChange>) -> Vec<StatusChange> {
    let mut skipped_by_case: HashMap<String, u64> = HashMap::new();
    for change in &changes {
        match skipped_by_case.entry(change.case_id.clone()) {
            Entry::Occupied(mut skipped) => *skipped.get_mut() = skipped.get().saturating_add(1),
            Entry::Vacant(first) => {
                first.insert(0);
            }
        }
    }
    // From the end, the first change met of a case is its latest; the others find no entry left.
    let mut latest: Vec<StatusChange> = changes
        .into_iter()
        .rev()
        .filter_map(|change| {
            let skipped = skipped_by_case.remove(&change.case_id)?;
            Some(StatusChange { skipped, ..change })
        })
        .collect();
    latest.reverse();
    latest
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
