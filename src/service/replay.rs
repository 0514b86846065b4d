//! What a replay sends: blocks of the log in, blocks out. No I/O, no waiting, no clock.
//!
//! Invariants: records go out in the order of their positions, each that is wanted once, in the
//! bytes in which they are stored. A block of which every record is wanted passes through as it is;
//! of any other the runs of wanted records are cut out without decoding an event.

use prost::Message;
use prost_types::Timestamp;

use super::status::Failure;
use crate::wire::block::RecordBlock;
use crate::wire::header::RecordHeader;
use crate::wire::v1::replay_events_response::Item;
use crate::wire::v1::{Progress, ReplayEventsResponse};
use crate::wire::validate::ReplayFilter;

/// One replay: which records it wants, and how far it has come.
#[derive(Debug)]
pub(super) struct Replay {
    filter: ReplayFilter,
    position: u64,
    /// The position before which it ends; none where it has no end.
    end: Option<u64>,
}

impl Replay {
    /// A replay from `position` until before `end`.
    pub(super) fn new(filter: ReplayFilter, position: u64, end: Option<u64>) -> Self {
        Self {
            filter,
            position,
            end,
        }
    }

    /// The position up to which the log was read.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The position before which it ends; the highest one where it has no end.
    pub(super) fn end(&self) -> u64 {
        self.end.unwrap_or(u64::MAX)
    }

    /// Whether it has come to its end.
    pub(super) fn is_complete(&self) -> bool {
        self.end.is_some_and(|end| self.position >= end)
    }

    /// The sign of life.
    pub(super) fn progress(&self, head: u64) -> ReplayEventsResponse {
        let item = Some(Item::Progress(Progress { head }));
        ReplayEventsResponse {
            next_position: self.position,
            item,
        }
    }

    /// Takes in the next block, which may begin before the position and go on after the end, and
    /// returns what is sent of it.
    pub(super) fn take(
        &mut self,
        block: &RecordBlock,
    ) -> Result<Vec<ReplayEventsResponse>, Failure> {
        let end = self
            .end
            .map_or(block.end_position(), |end| end.min(block.end_position()));
        let Some(wanted) = block.slice(self.position..end) else {
            return Ok(Vec::new());
        };
        let blocks = if self.filter.matches_all() {
            vec![wanted]
        } else {
            matching_runs(&self.filter, &wanted)?
        };
        self.position = end;
        Ok(blocks
            .into_iter()
            .map(|block| ReplayEventsResponse {
                next_position: block.end_position(),
                item: Some(Item::Block(block)),
            })
            .collect())
    }
}

/// When a block's records at `position` and last were recorded.
pub(super) fn recorded_at(
    block: &RecordBlock,
    position: u64,
) -> Result<(Timestamp, Timestamp), Failure> {
    let mut at = None;
    let mut last = None;
    for (each, record) in block.records() {
        if each == position || each.saturating_add(1) == block.end_position() {
            let time = header(each, record)?.recorded_at;
            let time = time.ok_or_else(|| {
                Failure::unreadable_record(each, "the time of its recording is missing")
            })?;
            at = if each == position { Some(time) } else { at };
            last = Some(time);
        }
    }
    at.zip(last)
        .ok_or_else(|| Failure::unreadable_record(position, "its block doesn't hold it"))
}

/// The runs of consecutive records that match, each as a block.
fn matching_runs(filter: &ReplayFilter, block: &RecordBlock) -> Result<Vec<RecordBlock>, Failure> {
    let mut runs = Vec::new();
    let mut run_start = None;
    for (position, record) in block.records() {
        if filter.matches(&header(position, record)?) {
            run_start.get_or_insert(position);
        } else if let Some(start) = run_start.take() {
            runs.extend(block.slice(start..position));
        }
    }
    if let Some(start) = run_start {
        runs.extend(block.slice(start..block.end_position()));
    }
    Ok(runs)
}

fn header(position: u64, record: bytes::Bytes) -> Result<RecordHeader, Failure> {
    RecordHeader::decode(record)
        .map_err(|error| Failure::unreadable_record(position, &error.to_string()))
}
