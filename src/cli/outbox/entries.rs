//! What is in a queue: the fold of its records.
//!
//! Invariants: submissions stand in the order in which they were appended. One that is recorded stays
//! recorded. Folding never fails: a record about a submission that isn't there changes nothing.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use super::format::Record;
use crate::wire::day::Day;
use crate::wire::v1::{Refusal, SubmitEventsRequest, SubmitEventsResponse};
use crate::wire::validate;

/// A submission in the queue.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    /// Its request_id, fixed when it was appended.
    pub(super) request_id: Uuid,
    /// The day on which it was appended, by the clock of the machine.
    pub(super) appended_on: Day,
    /// The submission as it was appended.
    pub(super) submission: SubmitEventsRequest,
    /// How it stands.
    pub(super) state: State,
}

/// How a submission stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum State {
    /// No server has answered it.
    Waiting,
    /// A server recorded it.
    Recorded(SubmitEventsResponse),
    /// A server refused it, for this reason.
    Refused(Refusal),
}

/// The submissions of a queue.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Entries {
    by_order: BTreeMap<u64, Entry>,
    order_of: HashMap<Uuid, u64>,
    next: u64,
}

impl Entries {
    /// Takes a record in.
    pub(super) fn take(&mut self, record: Record) {
        match record {
            Record::Appended { on, submission } => self.append(on, submission),
            Record::Recorded { request_id, answer } => {
                self.set(request_id, State::Recorded(answer));
            }
            Record::Refused {
                request_id,
                refusal,
            } => self.set(request_id, State::Refused(refusal)),
            Record::Removed { request_id } => {
                if let Some(order) = self.order_of.remove(&request_id) {
                    self.by_order.remove(&order);
                }
            }
        }
    }

    fn append(&mut self, appended_on: Day, submission: SubmitEventsRequest) {
        let Ok(request_id) = validate::uuid("request_id", &submission.request_id) else {
            return;
        };
        if self.order_of.contains_key(&request_id) {
            return;
        }
        self.order_of.insert(request_id, self.next);
        let entry = Entry {
            request_id,
            appended_on,
            submission,
            state: State::Waiting,
        };
        self.by_order.insert(self.next, entry);
        self.next += 1;
    }

    fn set(&mut self, request_id: Uuid, state: State) {
        let order = self.order_of.get(&request_id);
        let entry = order.and_then(|order| self.by_order.get_mut(order));
        if let Some(entry) = entry
            && !matches!(entry.state, State::Recorded(_))
        {
            entry.state = state;
        }
    }

    /// The submissions, in the order in which they were appended.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.by_order.values()
    }

    /// A submission.
    pub(super) fn get(&self, request_id: Uuid) -> Option<&Entry> {
        self.by_order.get(self.order_of.get(&request_id)?)
    }

    /// The records of which those that `keeps` are the fold.
    pub(super) fn records(&self, keeps: impl Fn(&Entry) -> bool) -> Vec<Record> {
        let mut records = Vec::new();
        for entry in self.iter().filter(|entry| keeps(entry)) {
            records.push(Record::Appended {
                on: entry.appended_on,
                submission: entry.submission.clone(),
            });
            let request_id = entry.request_id;
            match entry.state.clone() {
                State::Waiting => {}
                State::Recorded(answer) => records.push(Record::Recorded { request_id, answer }),
                State::Refused(refusal) => records.push(Record::Refused {
                    request_id,
                    refusal,
                }),
            }
        }
        records
    }

    /// How many wait, are recorded and are refused.
    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for entry in self.iter() {
            match entry.state {
                State::Waiting => counts.waiting += 1,
                State::Recorded(_) => counts.recorded += 1,
                State::Refused(_) => counts.refused += 1,
            }
        }
        counts
    }
}

impl FromIterator<Record> for Entries {
    fn from_iter<T: IntoIterator<Item = Record>>(records: T) -> Self {
        let mut entries = Self::default();
        records.into_iter().for_each(|record| entries.take(record));
        entries
    }
}

impl Entry {
    /// How many events it has.
    pub(super) fn events(&self) -> usize {
        let changes = self.submission.changes.iter();
        changes.map(|change| change.events.len()).sum()
    }
}

/// How many submissions stand how.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) waiting: usize,
    pub(super) recorded: usize,
    pub(super) refused: usize,
}
