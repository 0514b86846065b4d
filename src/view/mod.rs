//! The views: what the log adds up to, in memory. Current cases in the order in which they were
//! opened, and the identifiers that were used.
//!
//! Invariants:
//! - A view holds the records before its position and nothing beyond; it is never ahead of what is
//!   durable.
//! - Everything in it follows from the log: [`Views::fold`] from position 0 gives the same views,
//!   and [`Frozen::digest`] shows it.
//!
//! It deliberately does not know how records come to be decided, nor how views are served. Counts
//! are not kept but made from the cases when somebody asks, off the path of writing.

mod case_list;
mod hash;
mod ids;
mod mentions;
mod snapshot;
mod table;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use prost::Message;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::domain::CaseState;
use crate::wire::moment::Moment;
use crate::wire::outline::RecordOutline;
use crate::wire::v1::{EventType, Record};

pub use case_list::CaseList;
use hash::IdHasher;
use ids::{PlaceTable, RequestTable};
use mentions::Mentions;
pub use snapshot::{Restored, SnapshotError, SnapshotFile};

/// What the log adds up to, up to a position.
#[derive(Default)]
pub struct Views {
    position: u64,
    recorded_at: Moment,
    cases: CaseList,
    hasher: IdHasher,
    case_ids: PlaceTable,
    event_ids: PlaceTable,
    request_ids: RequestTable,
    mentions: Mentions,
    unknown_records: u64,
}

/// What one commit adds to the views: the new states of the cases that it touched.
#[derive(Default)]
pub struct Committed {
    /// Position after the commit.
    pub position: u64,
    /// When it was recorded.
    pub recorded_at: Moment,
    /// The cases that it touched, as they now stand, in the order in which they were opened.
    pub cases: Vec<Arc<CaseState>>,
    /// The event_ids that it recorded, for who judges by it before it is in the views. The views
    /// read them from the cases.
    pub event_ids: HashSet<Uuid>,
    /// The request_ids that it recorded, with the position of the first record of each.
    pub request_ids: HashMap<Uuid, u64>,
}

/// Records that are being folded. Their identifiers come into the tables together, at the end.
pub struct Folding<'a> {
    views: &'a mut Views,
    identifiers: Identifiers,
}

/// Identifiers that are to come into the tables, by their hashes.
#[derive(Default)]
struct Identifiers {
    /// Of events, with the place of the case.
    events: Vec<(u64, usize)>,
    /// Of submissions, with the position of the first record.
    requests: Vec<(u64, Uuid, u64)>,
}

/// The views at one position, kept by their own references while the views go on.
pub struct Frozen {
    position: u64,
    cases: CaseList,
}

impl Views {
    /// Number of records folded: the position of the first that is not.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// When the newest record was recorded; none while there is none.
    pub fn recorded_at(&self) -> Option<Moment> {
        (self.position > 0).then_some(self.recorded_at)
    }

    /// A case, where it exists.
    pub fn case(&self, case_id: Uuid) -> Option<&Arc<CaseState>> {
        self.cases.get(self.place_of(case_id)?)
    }

    /// The other cases that say, or once said, something of how this case and they belong together.
    pub fn linked_with(&self, case_id: Uuid) -> Vec<Arc<CaseState>> {
        self.at_places(self.mentions.linked(case_id))
    }

    /// The cases that are, or once were, put under a clause of this agreement one by one.
    pub fn covered_by(&self, agreement: Uuid) -> Vec<Arc<CaseState>> {
        self.at_places(self.mentions.covered(agreement))
    }

    fn at_places(&self, places: impl Iterator<Item = usize>) -> Vec<Arc<CaseState>> {
        places
            .filter_map(|place| self.cases.get(place).cloned())
            .collect()
    }

    /// All cases in the order in which they were opened; a case keeps its place for ever.
    pub fn cases(&self) -> &CaseList {
        &self.cases
    }

    /// Whether an event of this identifier is recorded.
    pub fn has_event(&self, event_id: Uuid) -> bool {
        let is_in = |place| {
            self.cases
                .get(place)
                .is_some_and(|case| case.has_event(event_id))
        };
        self.event_ids
            .get(self.hasher.hash(event_id), is_in)
            .is_some()
    }

    /// The position of the first record of a submission. Once in some 10^12 times it is that of
    /// another submission: whoever reads the record there compares its request_id, and tells
    /// [`Views::note_unrecorded`].
    pub fn request(&self, request_id: Uuid) -> Option<u64> {
        self.request_ids
            .get(self.hasher.hash(request_id), request_id)
    }

    /// Keeps that a submission is not recorded, although [`Views::request`] gave a position for it:
    /// from then on it gives none.
    pub fn note_unrecorded(&mut self, request_id: Uuid) {
        self.request_ids.note_absent(request_id);
    }

    /// Number of records whose event this version does not know.
    pub fn unknown_records(&self) -> u64 {
        self.unknown_records
    }

    /// The views at their present position, for work that takes longer than a lock may be held.
    pub fn frozen(&self) -> Frozen {
        Frozen {
            position: self.position,
            cases: self.cases.clone(),
        }
    }

    /// Takes in the next record.
    ///
    /// # Errors
    /// As [`Folding::fold`]. The views are then as they were.
    pub fn fold(&mut self, position: u64, record: &Record) -> Result<(), FoldError> {
        self.fold_many(|folding| folding.fold(position, &RecordOutline::of(record)))
    }

    /// Takes in the records that `fold` hands over, one after the other. An error of its ends it:
    /// the records before it are taken in.
    pub fn fold_many<E>(
        &mut self,
        fold: impl FnOnce(&mut Folding<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut folding = Folding {
            views: self,
            identifiers: Identifiers::default(),
        };
        let result = fold(&mut folding);
        let identifiers = folding.identifiers;
        self.index(&identifiers);
        result
    }

    /// Views without records, with room for so many.
    pub fn with_room_for(records: u64) -> Self {
        let mut views = Self::default();
        let records = usize::try_from(records).unwrap_or_default();
        views.event_ids.reserve(records);
        views
    }

    fn index(&mut self, identifiers: &Identifiers) {
        self.event_ids.insert_all(&identifiers.events);
        self.request_ids.insert_all(&identifiers.requests);
    }

    /// Takes in a commit that is durable.
    pub fn install(&mut self, committed: &Committed) {
        let hasher = self.hasher;
        let mut identifiers = Identifiers::default();
        for case in &committed.cases {
            let case_id = case.case_id();
            let known = self.place_of(case_id);
            let place = known.unwrap_or(self.cases.len());
            let earlier = self.cases.get(place).map(Arc::as_ref);
            for fact in case.facts_since(earlier) {
                let hash = hasher.hash(fact.event_id);
                identifiers.events.push((hash, place));
                self.mentions.note(place, case, &fact);
            }
            match self.cases.get_mut(place) {
                Some(known) => Arc::clone_from(known, case),
                None => {
                    self.case_ids.insert(hasher.hash(case_id), place);
                    self.cases.push(Arc::clone(case));
                }
            }
        }
        let requests = committed.request_ids.iter();
        identifiers
            .requests
            .extend(requests.map(|(id, position)| (hasher.hash(*id), *id, *position)));
        self.index(&identifiers);
        self.recorded_at = committed.recorded_at;
        self.position = committed.position;
    }

    /// Finds all mentions anew, where the cases came from elsewhere than from records.
    fn find_mentions(&mut self) {
        let mut mentions = Mentions::default();
        let cases = self.cases.iter().enumerate();
        for (place, case) in cases.filter(|(_, case)| case.keeps_payloads()) {
            for fact in case.facts_since(None) {
                mentions.note(place, case, &fact);
            }
        }
        self.mentions = mentions;
    }

    /// The place of a case in the order in which they were opened.
    pub fn place_of(&self, case_id: Uuid) -> Option<usize> {
        let is_at = |place| {
            self.cases
                .get(place)
                .is_some_and(|case| case.case_id() == case_id)
        };
        self.case_ids.get(self.hasher.hash(case_id), is_at)
    }
}

impl Folding<'_> {
    /// Takes in the next record by its outline.
    ///
    /// # Errors
    /// A record that is not the next one, or whose identifiers are not UUIDs. It is not taken in.
    pub fn fold(&mut self, position: u64, record: &RecordOutline<'_>) -> Result<(), FoldError> {
        let views = &mut *self.views;
        if position != views.position {
            return Err(FoldError::NotNext {
                expected: views.position,
                actual: position,
            });
        }
        let case_id = parse(position, "case_id", record.case_id)?;
        let request_id = parse(position, "request_id", record.request_id)?;
        let event_id = parse(position, "event_id", record.event_id)?;

        let place = views.place_of(case_id).unwrap_or_else(|| {
            let hash = views.hasher.hash(case_id);
            views.case_ids.insert(hash, views.cases.len());
            views.cases.push(Arc::new(CaseState::new(case_id)));
            views.cases.len() - 1
        });
        if let Some(case) = views.cases.get_mut(place) {
            Arc::make_mut(case).fold_outline(position, event_id, record);
            if let Some(fact) = case.newest_that_mentions(record.event_type) {
                views.mentions.note(place, case, &fact);
            }
        }
        let identifiers = &mut self.identifiers;
        identifiers
            .events
            .push((views.hasher.hash(event_id), place));
        if record.submission_index == 0 {
            let hash = views.hasher.hash(request_id);
            identifiers.requests.push((hash, request_id, position));
        }
        if record.event_type == EventType::Unspecified {
            views.unknown_records += 1;
        }
        views.recorded_at = views.recorded_at.max(record.recorded_at);
        views.position = position + 1;
        Ok(())
    }
}

impl Frozen {
    /// Position of the views.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The cases in the order in which they were opened.
    pub fn cases(&self) -> &CaseList {
        &self.cases
    }

    /// SHA-256 over the position (8 bytes, big-endian) and, for each case in the order in which it
    /// was opened, its read model as an encoded `casetrail.v1.Case` with its length before it.
    pub fn digest(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(self.position.to_be_bytes());
        let mut buffer = Vec::new();
        for case in &self.cases {
            buffer.clear();
            // Encoding into a Vec does not fail.
            let _ = case.to_case().encode_length_delimited(&mut buffer);
            hasher.update(&buffer);
        }
        hasher.finalize().into()
    }
}

/// Why a record can't be taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FoldError {
    /// It is not the next one.
    NotNext {
        /// The next position.
        expected: u64,
        /// The record's position.
        actual: u64,
    },
    /// An identifier is not a UUID.
    Identifier {
        /// The record's position.
        position: u64,
        /// The field.
        field: &'static str,
    },
}

impl fmt::Display for FoldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotNext { expected, actual } => {
                write!(
                    f,
                    "the record at position {actual} does not follow: {expected} is next"
                )
            }
            Self::Identifier { position, field } => {
                write!(
                    f,
                    "the {field} of the record at position {position} is not a UUID"
                )
            }
        }
    }
}

impl std::error::Error for FoldError {}

fn parse(position: u64, field: &'static str, text: &str) -> Result<Uuid, FoldError> {
    Uuid::try_parse(text).map_err(|_| FoldError::Identifier { position, field })
}
