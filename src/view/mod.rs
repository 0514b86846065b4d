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

mod snapshot;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use prost::Message;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::domain::CaseState;
use crate::wire::moment::Moment;
use crate::wire::v1::{EventType, Record};

pub use snapshot::{Restored, SnapshotError, SnapshotFile};

/// Number of parts of the request identifiers, so that a snapshot can copy them part by part.
const REQUEST_PARTS: usize = 64;

/// What the log adds up to, up to a position.
#[derive(Default)]
pub struct Views {
    position: u64,
    recorded_at: Moment,
    cases: Vec<Arc<CaseState>>,
    case_index: HashMap<Uuid, usize>,
    event_ids: HashSet<Uuid>,
    request_ids: RequestIds,
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
    /// The event_ids that it recorded.
    pub event_ids: HashSet<Uuid>,
    /// The request_ids that it recorded, with the position of the first record of each.
    pub request_ids: HashMap<Uuid, u64>,
}

/// The views at one position, kept by their own references while the views go on.
pub struct Frozen {
    position: u64,
    cases: Vec<Arc<CaseState>>,
}

/// Which position each submission begins at.
#[derive(Default)]
struct RequestIds(Vec<HashMap<Uuid, u64>>);

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
        self.cases.get(*self.case_index.get(&case_id)?)
    }

    /// All cases in the order in which they were opened; a case keeps its place for ever.
    pub fn cases(&self) -> &[Arc<CaseState>] {
        &self.cases
    }

    /// Whether an event of this identifier is recorded.
    pub fn has_event(&self, event_id: Uuid) -> bool {
        self.event_ids.contains(&event_id)
    }

    /// The position of the first record of a submission.
    pub fn request(&self, request_id: Uuid) -> Option<u64> {
        self.request_ids.get(request_id)
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
    /// A record that is not the next one, or whose identifiers are not UUIDs. The views are then as
    /// they were.
    pub fn fold(&mut self, position: u64, record: &Record) -> Result<(), FoldError> {
        if position != self.position {
            return Err(FoldError::NotNext {
                expected: self.position,
                actual: position,
            });
        }
        let case_id = parse(position, "case_id", &record.case_id)?;
        let request_id = parse(position, "request_id", &record.request_id)?;
        let event_id = record.event.as_ref().map(|event| event.event_id.as_str());
        let event_id = parse(position, "event_id", event_id.unwrap_or_default())?;

        let index = *self.case_index.entry(case_id).or_insert_with(|| {
            self.cases.push(Arc::new(CaseState::new(case_id)));
            self.cases.len() - 1
        });
        if let Some(case) = self.cases.get_mut(index) {
            // A snapshot is taken piece by piece, so that a case may be further on than the rest.
            if case.last_position().is_none_or(|last| last < position) {
                Arc::make_mut(case).fold(position, record);
            }
        }
        self.event_ids.insert(event_id);
        if record.submission_index == 0 {
            self.request_ids.insert(request_id, position);
        }
        if record.event_type() == EventType::Unspecified {
            self.unknown_records += 1;
        }
        self.recorded_at = record
            .recorded_at
            .map(Moment::from)
            .unwrap_or(self.recorded_at);
        self.position = position + 1;
        Ok(())
    }

    /// Takes in a commit that is durable.
    pub fn install(&mut self, committed: &Committed) {
        for case in &committed.cases {
            let next = self.cases.len();
            let index = *self.case_index.entry(case.case_id()).or_insert(next);
            match self.cases.get_mut(index) {
                Some(place) => Arc::clone_from(place, case),
                None => self.cases.push(Arc::clone(case)),
            }
        }
        self.event_ids.extend(&committed.event_ids);
        for (request_id, position) in &committed.request_ids {
            self.request_ids.insert(*request_id, *position);
        }
        self.recorded_at = committed.recorded_at;
        self.position = committed.position;
    }
}

impl Frozen {
    /// Position of the views.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The cases in the order in which they were opened.
    pub fn cases(&self) -> &[Arc<CaseState>] {
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

impl RequestIds {
    fn get(&self, request_id: Uuid) -> Option<u64> {
        self.0
            .get(Self::part(request_id))?
            .get(&request_id)
            .copied()
    }

    fn insert(&mut self, request_id: Uuid, position: u64) {
        self.0.resize_with(REQUEST_PARTS, HashMap::new);
        if let Some(part) = self.0.get_mut(Self::part(request_id)) {
            part.insert(request_id, position);
        }
    }

    fn part(request_id: Uuid) -> usize {
        // The last byte is random in every version of UUID that a client would choose.
        usize::from(request_id.as_bytes()[15]) % REQUEST_PARTS
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
