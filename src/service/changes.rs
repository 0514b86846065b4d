//! The changes of standing that records made, and the cases that they brought into an organisation's
//! sight, read from their blocks once for all watchers.
//!
//! Invariant: what a change is sent as is encoded when the first watcher wants it, and shared by all
//! that do.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use prost::Message;
use uuid::Uuid;

use super::status::Failure;
use super::stream::READ_BYTES_MAX;
use crate::log::Log;
use crate::wire::block::RecordBlock;
use crate::wire::encoded::Encoded;
use crate::wire::header::RecordHeader;
use crate::wire::v1::watch_status_response::Item;
use crate::wire::v1::{
    CaseKind, EventType, Record, StatusChange, WatchStatusResponse, event::Payload,
};
use crate::wire::validate::CaseFilter;

/// How many changes the feed keeps: enough for a watcher that is a little late.
const FEED_CHANGES_MAX: usize = 4_096;

/// One record that changed how its case stands, or brought it into sight.
#[derive(Debug)]
pub(super) struct Change {
    /// The record's position.
    pub(super) position: u64,
    /// The record's case.
    pub(super) case_id: Uuid,
    header: RecordHeader,
    /// The organisation into whose sight it brings the case, where it changes nothing else.
    comes_to: Option<String>,
    encoded: OnceLock<Encoded>,
}

impl Change {
    /// The change that a record made, if it made one, or whom it tells of the case.
    fn read(position: u64, record: Bytes) -> Result<Option<Self>, Failure> {
        let unreadable = |cause: &str| Failure::unreadable_record(position, cause);
        let header =
            RecordHeader::decode(record.clone()).map_err(|error| unreadable(&error.to_string()))?;
        let mut comes_to = None;
        if header.previous_standing.is_none() && header.case_version != 1 {
            let shares = [EventType::ReferralOffered, EventType::CaseTransferred];
            if !shares.contains(&header.event_type()) {
                return Ok(None);
            }
            let record = Record::decode(record).map_err(|error| unreadable(&error.to_string()))?;
            comes_to = match record.event.and_then(|event| event.payload) {
                Some(Payload::ReferralOffered(offered)) => Some(offered.recipient),
                Some(Payload::CaseTransferred(transferred)) => Some(transferred.to_organisation),
                _ => return Ok(None),
            };
        }
        let case_id =
            Uuid::try_parse(&header.case_id).map_err(|error| unreadable(&error.to_string()))?;
        Ok(Some(Self {
            position,
            case_id,
            header,
            comes_to,
            encoded: OnceLock::new(),
        }))
    }

    /// Whether it is no change of a case, but of a user account.
    pub(super) fn is_of_account(&self) -> bool {
        let standing = self.header.standing.as_ref();
        standing.is_some_and(|standing| standing.kind() == CaseKind::UserAccount)
    }

    /// Whether it is one for a caller: a change of standing is for all, and a case that comes into an
    /// organisation's sight for that one.
    pub(super) fn is_for(&self, organisation: Option<&str>) -> bool {
        self.comes_to.is_none() || self.comes_to.as_deref() == organisation
    }

    /// Whether the case matches before the change or after it.
    pub(super) fn matches(&self, filter: &CaseFilter) -> bool {
        [&self.header.standing, &self.header.previous_standing]
            .into_iter()
            .flatten()
            .any(|standing| filter.matches(self.case_id, standing))
    }

    /// The answer that tells it.
    pub(super) fn answer(&self) -> Encoded {
        self.encoded.get_or_init(|| self.encode(0)).clone()
    }

    /// The answer that tells it and says how many earlier ones of its case were left out.
    pub(super) fn answer_skipping(&self, skipped: u64) -> Encoded {
        match skipped {
            0 => self.answer(),
            _ => self.encode(skipped),
        }
    }

    fn encode(&self, skipped: u64) -> Encoded {
        Encoded::of(&WatchStatusResponse {
            next_position: self.position.saturating_add(1),
            item: Some(Item::StatusChange(self.to_message(skipped))),
        })
    }

    /// The change as it is told, with how many earlier ones of its case were left out.
    pub(super) fn to_message(&self, skipped: u64) -> StatusChange {
        let header = &self.header;
        StatusChange {
            position: self.position,
            case_id: header.case_id.clone(),
            version: header.case_version,
            event_type: header.event_type,
            recorded_at: header.recorded_at,
            standing: header.standing.clone(),
            previous_standing: header.previous_standing.clone(),
            skipped,
        }
    }
}

/// The changes that the records of successive positions made.
#[derive(Debug)]
pub(super) struct Changes {
    first: u64,
    end: u64,
    list: Vec<Change>,
}

impl Changes {
    /// Reads the changes of successive blocks, of which there is at least one.
    pub(super) fn read(blocks: &[RecordBlock]) -> Result<Self, Failure> {
        let mut list = Vec::new();
        for (position, record) in blocks.iter().flat_map(RecordBlock::records) {
            list.extend(Change::read(position, record)?);
        }
        Ok(Self {
            first: blocks.first().map_or(0, RecordBlock::first_position),
            end: blocks.last().map_or(0, RecordBlock::end_position),
            list,
        })
    }

    /// The position after the last record.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// The changes at or after a position.
    pub(super) fn from(&self, position: u64) -> &[Change] {
        let first = self
            .list
            .partition_point(|change| change.position < position);
        self.list.get(first..).unwrap_or_default()
    }
}

/// The newest changes, which all watchers at the head share. Those who are behind read the log.
#[derive(Default)]
pub(super) struct Feed {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Without a gap, up to `end`.
    changes: VecDeque<Arc<Changes>>,
    count: usize,
    end: u64,
}

impl Feed {
    /// The changes from `position` on, up to `head` or a little less, where they are at hand; none
    /// where the log has to be read. It never waits for the disk.
    pub(super) fn from(
        &self,
        log: &dyn Log,
        position: u64,
        head: u64,
    ) -> Option<Vec<Arc<Changes>>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        while kept.end < head {
            if !kept.take_in(log, head) {
                // The feed was left behind: it begins anew where the watcher is.
                *kept = Kept {
                    end: position,
                    ..Kept::default()
                };
                if !kept.take_in(log, head) {
                    return None;
                }
            }
        }
        let first = kept
            .changes
            .partition_point(|changes| changes.end <= position);
        let mut count: usize = 0;
        let taken: Vec<_> = kept
            .changes
            .range(first..)
            .take_while(|changes| {
                let goes_on = count < READ_CHANGES_MAX;
                count = count.saturating_add(changes.list.len());
                goes_on
            })
            .cloned()
            .collect();
        let begins = taken.first()?.first <= position;
        begins.then_some(taken)
    }
}

/// A watcher takes no further changes at once beyond so many.
const READ_CHANGES_MAX: usize = 1_024;

impl Kept {
    /// Takes in what follows, if the log has it at hand and it can be read.
    fn take_in(&mut self, log: &dyn Log, head: u64) -> bool {
        let Some(mut blocks) = log.recent(self.end, READ_BYTES_MAX) else {
            return false;
        };
        blocks.retain(|block| block.end_position() <= head);
        if blocks.is_empty() {
            return false;
        }
        // Whoever meets a record that can't be read in the log itself is told so.
        let Ok(changes) = Changes::read(&blocks) else {
            return false;
        };
        self.end = changes.end;
        self.count = self.count.saturating_add(changes.list.len());
        self.changes.push_back(Arc::new(changes));
        while self.count > FEED_CHANGES_MAX && self.changes.len() > 1 {
            let oldest = self.changes.pop_front();
            let fewer = oldest.map_or(0, |oldest| oldest.list.len());
            self.count = self.count.saturating_sub(fewer);
        }
        true
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Feed").finish_non_exhaustive()
    }
}
