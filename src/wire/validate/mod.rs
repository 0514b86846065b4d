//! The only place where input is checked: what passed has the types that say so, and no floor
//! above checks it again.
//!
//! All violations of a request are collected (up to a limit), each with the path of its field from
//! the request and a description of what was wrong and what would be right. A description never
//! repeats a text or an identifier that was sent, since either might be personal; it repeats
//! numbers, numbers of enum values, and lengths.
//!
//! It knows no case: what the lifecycle allows is the domain's question.

use std::fmt;

use prost::Message;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    edtf::{Day, OccurredDays},
    v1,
};

mod as_of;
mod checker;
mod disclosure;
mod envelope;
mod filter;
mod marks;
mod page;
mod pair;
mod payload;
mod personal;

pub use as_of::{AsOf, KnownAt, Month, as_of, day, months};
use checker::{Checker, Segment};
pub use disclosure::{
    DisclosureQuery, PersonalPlace, PersonalQuery, disclosure_query, name_search, personal_query,
};
use envelope::Seen;
pub use filter::{CaseFilter, ReplayFilter, alert_rules, case_filter, replay_filter};
pub use page::{PageScope, page_size, page_token};

/// Reason of a refusal: fields that are missing or malformed.
pub const INVALID_FIELDS: &str = "INVALID_FIELDS";
/// Reason of a refusal: more events, cases or bytes than the limits allow.
pub const TOO_LARGE: &str = "TOO_LARGE";
/// Reason of a refusal: personal values where none can be taken.
pub const PERSONAL_DATA_NOT_ACCEPTED: &str = "PERSONAL_DATA_NOT_ACCEPTED";

/// A submission that is well formed.
#[derive(Clone, Debug, PartialEq)]
pub struct Submission {
    /// Identifier of the submission.
    pub request_id: Uuid,
    /// The changes, 1 to 16, each of another case; 1 to 100 events in all.
    pub changes: Vec<Change>,
    /// SHA-256 of what was submitted; see [`submission`].
    pub digest: [u8; 32],
    /// Length of the encoded request, in bytes.
    pub encoded_len: usize,
}

/// The events that a submission adds to one case.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The case.
    pub case_id: Uuid,
    /// In what version the case is expected.
    pub expected: Expected,
    /// The events, at least one.
    pub events: Vec<ValidEvent>,
}

/// In what version a case is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// In any version, existing or not.
    Any,
    /// The case does not exist yet.
    NoCase,
    /// Exactly in this version, at least 1.
    Version(u64),
}

/// An event that is well formed: every must-field is there and within its range, and every identifier
/// in it is a hyphenated UUID in lower case. Its personal values are taken out of it and stand beside,
/// plain until they are sealed.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidEvent {
    event: v1::Event,
    personal: Vec<Personal>,
    sealed: Vec<v1::SealedPersonal>,
    event_id: Uuid,
    event_type: v1::EventType,
    credibility: v1::Credibility,
    days: OccurredDays,
}

impl ValidEvent {
    /// The event as it is to be stored.
    pub fn event(&self) -> &v1::Event {
        &self.event
    }

    /// The event as it is to be stored, and the sealed values that are to be stored beside it.
    pub fn into_stored(self) -> (v1::Event, Vec<v1::SealedPersonal>) {
        (self.event, self.sealed)
    }

    /// Lets the server write what only it knows into the payload.
    pub fn complete(&mut self, write: impl FnOnce(&mut v1::event::Payload)) {
        if let Some(payload) = &mut self.event.payload {
            write(payload);
        }
    }

    /// Takes the personal values out, in the order in which they came, to seal them.
    pub fn take_personal(&mut self) -> Vec<Personal> {
        std::mem::take(&mut self.personal)
    }

    /// Puts sealed values beside the event.
    pub fn add_sealed(&mut self, sealed: v1::SealedPersonal) {
        self.sealed.push(sealed);
    }

    /// The sealed values that are to be stored beside it.
    pub fn sealed(&self) -> &[v1::SealedPersonal] {
        &self.sealed
    }

    /// Identifier of the event.
    pub fn event_id(&self) -> Uuid {
        self.event_id
    }

    /// What the event is; never unspecified.
    pub fn event_type(&self) -> v1::EventType {
        self.event_type
    }

    /// How far the event is held to be true; never unspecified.
    pub fn credibility(&self) -> v1::Credibility {
        self.credibility
    }

    /// The days on which it can have happened.
    pub fn days(&self) -> OccurredDays {
        self.days
    }
}

/// A personal value that is well formed.
#[derive(Clone, PartialEq)]
pub struct Personal {
    /// Whom it is about.
    pub subject: Uuid,
    /// Its class; never unspecified.
    pub class: v1::PersonalClass,
    /// The value, without its subject and class.
    pub value: v1::PersonalValue,
}

impl fmt::Debug for Personal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Personal(withheld)")
    }
}

impl Submission {
    /// Whether it holds personal values that are not sealed.
    pub fn holds_personal(&self) -> bool {
        let mut events = self.changes.iter().flat_map(|change| &change.events);
        events.any(|event| !event.personal.is_empty())
    }
}

/// One field that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field from the request, for example
    /// `changes[0].events[2].detention_alleged.place.place_id`.
    pub field: String,
    /// What is wrong and what would be right, as the end of a sentence that the field begins.
    pub description: String,
}

/// Why a request is refused as malformed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The reason, in UPPER_SNAKE_CASE (AIP-193): one of this module's constants.
    pub reason: &'static str,
    /// The fields that are wrong, 1 to [`super::limits::VIOLATIONS_MAX`].
    pub violations: Vec<Violation>,
}

impl From<Violation> for Invalid {
    fn from(violation: Violation) -> Self {
        Self {
            reason: INVALID_FIELDS,
            violations: vec![violation],
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.field, self.description)
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, violation) in self.violations.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(formatter, "{separator}{violation}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Violation {}
impl std::error::Error for Invalid {}

/// Checks a submission that arrived on the given day (UTC).
///
/// Identifiers are normalised to lower case, so that equal ones compare equal.
///
/// The digest tells a repeated submission from another one under the same request_id. It is the
/// SHA-256 of the protobuf encoding of the request after normalisation, with `request_id` empty
/// and `expected.any` left out (it means the same as none), and without personal values, which it
/// covers only once they are sealed (`crate::seal`): fields in ascending order of their
/// numbers, those with the default value of their type left out where the field has no presence of
/// its own, repeated scalars packed. The messages hold no map, so that this encoding is unique. A
/// later version that knows more fields computes the same digest for the same request.
///
/// # Errors
/// Tells all fields that are wrong, up to a limit.
pub fn submission(mut request: v1::SubmitEventsRequest, today: Day) -> Result<Submission, Invalid> {
    let encoded_len = request.encoded_len();
    let mut checker = Checker::new(today);
    checker.submission_size(&request, encoded_len);
    checker.finish()?;

    let mut checker = Checker::new(today);
    let request_id = checker.identifier("request_id", &mut request.request_id);
    let mut seen = Seen::default();
    let mut checked = Vec::with_capacity(request.changes.len());
    for (index, change) in request.changes.iter_mut().enumerate() {
        checked.push(checker.at(Segment::Element("changes", index), |checker| {
            checker.change(index, change, &mut seen)
        }));
    }
    checker.finish()?;
    let mut checker = Checker::new(today);
    pair::check(&mut checker, &request.changes);
    checker.finish()?;

    request.request_id.clear();
    let digest = super::scratch::encoded(&request, |bytes| Sha256::digest(bytes).into());
    let changes = checked
        .into_iter()
        .zip(request.changes)
        .map(|(checked, change)| {
            let checked = checked?;
            let events = checked.events.into_iter().zip(change.events);
            let events = events
                .map(|(facts, event)| Some(facts?.of(event)))
                .collect::<Option<_>>()?;
            Some(Change {
                case_id: checked.case_id,
                expected: checked.expected,
                events,
            })
        });
    match (request_id, changes.collect::<Option<Vec<_>>>()) {
        (Some(request_id), Some(changes)) => Ok(Submission {
            request_id,
            changes,
            digest,
            encoded_len,
        }),
        // A part that is not valid has left a violation, so that this is never met.
        _ => Err(Invalid {
            reason: INVALID_FIELDS,
            violations: Vec::new(),
        }),
    }
}

/// Reads an identifier: a UUID (RFC 9562) in the hyphenated form, in either case, not nil.
///
/// # Errors
/// Tells what is wrong; it does not repeat the text.
pub fn uuid(field: &str, text: &str) -> Result<Uuid, Violation> {
    let violation = |description: &str| {
        Err(Violation {
            field: field.to_owned(),
            description: description.to_owned(),
        })
    };
    if text.is_empty() {
        return violation("is missing; give a UUID such as 018e0b5c-7a40-7cc1-8f00-0123456789ab");
    }
    // Of the forms that the parser knows, only the hyphenated one has 36 characters.
    match Uuid::try_parse(text) {
        Ok(uuid) if text.len() == 36 && !uuid.is_nil() => Ok(uuid),
        Ok(uuid) if uuid.is_nil() => violation("is the nil UUID; give one of version 7 or 4"),
        _ => violation(
            "is no UUID in the hyphenated form; give one such as \
             018e0b5c-7a40-7cc1-8f00-0123456789ab",
        ),
    }
}

/// Checks a reference: 1 to 128 bytes, letters and digits of any script with their combining
/// marks, and `-_.:/#+`. References are compared byte by byte, without Unicode normalisation.
///
/// # Errors
/// Tells what is wrong; it does not repeat the text.
pub fn reference(field: &str, text: &str) -> Result<(), Violation> {
    checker::reference_fault(text).map_or(Ok(()), |description| {
        Err(Violation {
            field: field.to_owned(),
            description,
        })
    })
}
