//! What each record by itself must have.

use uuid::Uuid;

use crate::seal;
use crate::wire::event_type;
use crate::wire::v1::{EventType, Record, SealedPersonal, event::Payload};

/// SHA-256 has so many bytes.
const DIGEST_BYTES: usize = 32;

/// The identifiers of a record.
#[derive(Clone, Copy)]
pub(super) struct Identifiers {
    pub(super) case_id: Uuid,
    pub(super) request_id: Uuid,
    pub(super) event_id: Uuid,
}

impl Identifiers {
    /// The identifiers, if all three are UUIDs as they are written: with hyphens, in lower case.
    pub(super) fn of(record: &Record) -> Option<Self> {
        Some(Self {
            case_id: uuid(&record.case_id)?,
            request_id: uuid(&record.request_id)?,
            event_id: uuid(&record.event.as_ref()?.event_id)?,
        })
    }
}

/// What is wrong with a record whatever stands beside it.
pub(super) fn faults(record: &Record) -> Vec<&'static str> {
    let mut faults = Vec::new();
    if Identifiers::of(record).is_none() {
        faults.push("its case, its submission or its event has no identifier that is a UUID");
    }
    let time = record.recorded_at;
    if !time.is_some_and(|time| (0..1_000_000_000).contains(&time.nanos)) {
        faults.push("it has no time of recording");
    }
    let digest_length = if record.submission_index == 0 {
        DIGEST_BYTES
    } else {
        0
    };
    if record.submission_digest.len() != digest_length {
        faults.push("the digest of a submission is on its first record, and on no other");
    }
    if record.standing.is_none() {
        faults.push("it does not say how its case stands");
    }
    if !record.sealed.iter().all(is_sealed) {
        faults.push("its sealed values are not what sealing makes");
    }
    // An event that this version does not know has no payload here, and a type without a name.
    let payload = record
        .event
        .as_ref()
        .and_then(|event| event.payload.as_ref());
    let is_of_type = match payload {
        Some(payload) => record.event_type() == event_type::of_payload(payload),
        None => record.event_type() == EventType::Unspecified && record.event_type != 0,
    };
    if !is_of_type {
        faults.push("its event is not of the type that it says");
    }
    faults
}

/// Whether personal values stand in the record, where none are stored.
pub(super) fn holds_personal_values(record: &Record) -> bool {
    let Some(event) = &record.event else {
        return false;
    };
    let replacement = match &event.payload {
        Some(Payload::EventCorrected(correction)) => correction.replacement.as_deref(),
        _ => None,
    };
    let mut told = [Some(event), replacement].into_iter().flatten();
    told.any(|event| !event.personal.is_empty())
}

/// Whether sealed values can be what they say.
fn is_sealed(sealed: &SealedPersonal) -> bool {
    let mut values = sealed.values.iter();
    uuid(&sealed.subject_id).is_some()
        && values.all(|value| value.personal_class != 0 && seal::is_sealed_length(&value.sealed))
}

fn uuid(text: &str) -> Option<Uuid> {
    let uuid = Uuid::try_parse(text).ok()?;
    let mut buffer = Uuid::encode_buffer();
    (uuid.hyphenated().encode_lower(&mut buffer) == text).then_some(uuid)
}
