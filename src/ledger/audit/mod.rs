//! The audit of a log: whether a sequence of records is what a ledger could have recorded. One
//! mechanism for a restore, a check of a folder, a check of a running server and a salvage.
//!
//! It is pure: blocks go in one after the other, findings come out, and the views that the records
//! add up to are left at the end. It goes on behind what is wrong: behind records that are missing
//! or can't be read, what needs them is no longer looked at (how cases stand), and everything else
//! still is (checksums, order, versions of each case from the first that is met again).
//!
//! It deliberately does not know where the blocks come from, and does not judge again whether an
//! event was allowed: the lifecycle decided that when it was recorded, and may have changed since.
//! No finding repeats what a record holds but its identifiers.

mod finding;
mod record;

use std::collections::{HashMap, HashSet};
use std::fmt;

use prost::Message;
use prost_types::Timestamp;
use uuid::Uuid;

pub use self::finding::{Finding, FindingKind};
use self::record::Identifiers;
use crate::view::Views;
use crate::wire::block::{BLOCK_BYTES_TARGET, BLOCK_RECORDS_MAX, RecordBlock};
use crate::wire::limits::SUBMISSION_EVENTS_MAX;
use crate::wire::v1::{EventType, Record, Standing};

/// An audit that is under way.
#[derive(Default)]
pub struct Audit {
    position: u64,
    /// Number of records that were looked at.
    records: u64,
    views: Views,
    /// How many times records were missing or unreadable so far.
    gaps: u32,
    cases: HashMap<Uuid, Seen>,
    /// Cases that have an event which this version does not know.
    unknown_cases: HashSet<Uuid>,
    event_ids: HashSet<Uuid>,
    request_ids: HashSet<Uuid>,
    recorded_at: Option<Timestamp>,
    submission: Submission,
    /// Views that somebody else folded, up to where the audit will come.
    other: Option<Views>,
}

/// What was seen of a case.
#[derive(Clone, Copy, Default)]
struct Seen {
    version: u64,
    /// The number of gaps by then: records of the case may be missing since.
    gaps: u32,
}

/// Where in a submission the next record is.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Submission {
    /// Between two.
    #[default]
    Between,
    /// Within this one.
    Within {
        request_id: Uuid,
        size: u32,
        next_index: u32,
    },
    /// Behind a gap: it may be anywhere.
    Unknown,
}

impl Audit {
    /// An audit from position 0 on.
    pub fn new() -> Self {
        Self::default()
    }

    /// An audit from position 0 on that also holds views against the records: those of a snapshot,
    /// folded on to where the audit will come.
    pub fn against(other: Option<Views>) -> Self {
        Self {
            other,
            ..Self::default()
        }
    }

    /// The position that is next.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Number of records that were looked at.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Number of cases that were seen.
    pub fn cases(&self) -> usize {
        self.cases.len()
    }

    /// Whether a submission ends before the position that is next, so that a log may end there.
    pub fn is_between_submissions(&self) -> bool {
        self.submission == Submission::Between
    }

    /// Whether every record up to here was there and could be read.
    pub fn is_gapless(&self) -> bool {
        self.gaps == 0
    }

    /// The views that the records add up to; none where some are missing.
    pub fn views(&self) -> Option<&Views> {
        self.is_gapless().then_some(&self.views)
    }

    /// Looks at the next block, and tells what is wrong with it.
    pub fn take(&mut self, block: &RecordBlock, report: &mut dyn FnMut(Finding)) {
        let first = block.first_position();
        if let Some(what) = size_fault(block) {
            report(Finding::new(FindingKind::Block, first, what));
        }
        if first > self.position {
            let what = format!(
                "{} records are missing: the next block begins at position {first}",
                first.saturating_sub(self.position)
            );
            report(Finding::new(FindingKind::Missing, self.position, what));
            self.skip_to(first);
        } else if first < self.position {
            let what = format!(
                "a block begins here that comes too late: position {} is next",
                self.position
            );
            report(Finding::new(FindingKind::Order, first, what));
        }
        let next = self.position;
        for (position, bytes) in block.records().filter(|(at, _)| *at >= next) {
            match Record::decode(bytes) {
                Ok(record) => self.take_record(position, &record, report),
                Err(_) => {
                    let what = "the record can't be decoded";
                    report(Finding::new(FindingKind::Record, position, what));
                    self.skip_to(position.saturating_add(1));
                }
            }
        }
    }

    /// Goes on at a later position: what is before it is missing or can't be read, which the caller
    /// has told.
    pub fn skip_to(&mut self, position: u64) {
        if position > self.position {
            self.position = position;
            self.gaps = self.gaps.saturating_add(1);
            self.submission = Submission::Unknown;
        }
    }

    /// Ends: a log ends where a submission does.
    pub fn finish(&mut self, report: &mut dyn FnMut(Finding)) {
        if let Submission::Within {
            size, next_index, ..
        } = self.submission
        {
            let what = format!(
                "the log ends in the middle of a submission: {} of its {size} events are missing",
                size.saturating_sub(next_index)
            );
            report(Finding::new(FindingKind::Submission, self.position, what));
        }
    }

    fn take_record(&mut self, position: u64, record: &Record, report: &mut dyn FnMut(Finding)) {
        let mut tell = |kind, what: String| report(Finding::new(kind, position, what));
        self.records = self.records.saturating_add(1);
        for what in record::faults(record) {
            tell(FindingKind::Record, what.to_owned());
        }
        if record::holds_personal_values(record) {
            tell(
                FindingKind::Personal,
                "the record holds personal values in plain".to_owned(),
            );
        }
        let Some(ids) = Identifiers::of(record) else {
            // It was told as a fault; without them the record belongs nowhere.
            self.skip_to(position.saturating_add(1));
            return;
        };
        if let Some(what) = self.time_fault(record) {
            tell(FindingKind::RecordedAt, what);
        }
        if let Some(what) = self.submission_fault(record, ids.request_id) {
            tell(FindingKind::Submission, what);
        }
        if record.submission_index == 0 && !self.request_ids.insert(ids.request_id) {
            let what = format!("submission {} was recorded before", ids.request_id);
            tell(FindingKind::RequestId, what);
        }
        if !self.event_ids.insert(ids.event_id) {
            let what = format!("event {} was recorded before", ids.event_id);
            tell(FindingKind::EventId, what);
        }
        if let Some(what) = self.identifiers_fault(position, record, ids) {
            tell(FindingKind::Snapshot, what.to_owned());
        }
        if let Some(what) = self.version_fault(record, ids.case_id) {
            tell(FindingKind::Version, what);
        }
        if record.event_type() == EventType::Unspecified {
            self.unknown_cases.insert(ids.case_id);
        }
        if self.is_gapless()
            && let Some(what) = self.fold(position, record, ids.case_id)
        {
            tell(FindingKind::Standing, what);
        }
        self.position = position.saturating_add(1);
    }

    /// The times of recording never run backwards.
    fn time_fault(&mut self, record: &Record) -> Option<String> {
        let before = self.recorded_at;
        let now = record.recorded_at?;
        let runs_backwards = before.is_some_and(|before| is_before(now, before));
        if !runs_backwards {
            self.recorded_at = Some(now);
        }
        runs_backwards.then(|| "its time of recording is before that of an earlier record".into())
    }

    /// A submission is in one piece: its records count from 0 to its size.
    fn submission_fault(&mut self, record: &Record, request_id: Uuid) -> Option<String> {
        let (index, size) = (record.submission_index, record.submission_size);
        let expected = self.submission;
        self.submission = if index.saturating_add(1) < size {
            Submission::Within {
                request_id,
                size,
                next_index: index.saturating_add(1),
            }
        } else {
            Submission::Between
        };
        let size_is_right = (1..=SUBMISSION_EVENTS_MAX)
            .contains(&usize::try_from(size).unwrap_or(usize::MAX))
            && index < size;
        if !size_is_right {
            return Some(format!(
                "it is number {index} of a submission of {size} events"
            ));
        }
        match expected {
            Submission::Between if index > 0 => Some(format!(
                "a submission begins with its event {index} instead of 0"
            )),
            Submission::Within {
                request_id: begun,
                size: announced,
                next_index,
            } if (begun, announced, next_index) != (request_id, size, index) => Some(format!(
                "event {next_index} of {announced} of a submission is expected, and this is event \
                 {index} of {size}{}",
                if begun == request_id {
                    ""
                } else {
                    " of another"
                }
            )),
            _ => None,
        }
    }

    /// The other views know every submission and every event: one that they didn't know would be
    /// recorded again.
    fn identifiers_fault(
        &self,
        position: u64,
        record: &Record,
        ids: Identifiers,
    ) -> Option<&'static str> {
        let other = self.other.as_ref()?;
        let begins = record.submission_index == 0;
        if begins && other.request(ids.request_id) != Some(position) {
            Some("the snapshot does not know that the submission was recorded here")
        } else if !other.has_event(ids.event_id) {
            Some("the snapshot does not know the event")
        } else {
            None
        }
    }

    /// Versions of a case count from 1.
    fn version_fault(&mut self, record: &Record, case_id: Uuid) -> Option<String> {
        let gaps = self.gaps;
        let seen = self.cases.entry(case_id).or_default();
        let (before, actual) = (seen.version, record.case_version);
        let may_have_gap = seen.gaps < gaps;
        *seen = Seen {
            version: actual,
            gaps,
        };
        let expected = before.saturating_add(1);
        let follows = if may_have_gap {
            actual >= expected
        } else {
            actual == expected
        };
        (!follows)
            .then(|| format!("case {case_id} comes to version {actual}, and {expected} is next"))
    }

    /// Takes the record into the views, and compares how the case then stands with what the record
    /// says.
    fn fold(&mut self, position: u64, record: &Record, case_id: Uuid) -> Option<String> {
        let before = self.standing(case_id);
        if let Err(error) = self.views.fold(position, record) {
            return Some(error.to_string());
        }
        if self.unknown_cases.contains(&case_id) {
            return None;
        }
        let after = self.standing(case_id);
        if record.standing != after {
            return Some(
                "how its case stands by the record is not what the events so far add up to".into(),
            );
        }
        let changed_from = before.filter(|before| Some(before) != after.as_ref());
        if record.previous_standing != changed_from {
            return Some("how its case stood before is not what the record says".into());
        }
        None
    }

    /// How a case stands by the records so far; none where there is no such case.
    fn standing(&self, case_id: Uuid) -> Option<Standing> {
        self.views.case(case_id).map(|case| case.standing())
    }
}

impl fmt::Debug for Audit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Audit")
            .field("position", &self.position)
            .field("records", &self.records)
            .field("gaps", &self.gaps)
            .finish_non_exhaustive()
    }
}

/// Only a record that would not share a block with any other makes one larger than the target.
fn size_fault(block: &RecordBlock) -> Option<String> {
    let bytes = block.as_bytes().len();
    if block.count() > BLOCK_RECORDS_MAX {
        Some(format!(
            "{} records share a block, at most {BLOCK_RECORDS_MAX} do",
            block.count()
        ))
    } else if block.count() > 1 && bytes > BLOCK_BYTES_TARGET {
        Some(format!(
            "{} records share a block of {bytes} bytes, at most {BLOCK_BYTES_TARGET} are shared",
            block.count()
        ))
    } else {
        None
    }
}

fn is_before(left: Timestamp, right: Timestamp) -> bool {
    (left.seconds, left.nanos) < (right.seconds, right.nanos)
}
