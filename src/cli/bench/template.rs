//! Submissions that are encoded once and sent many times, each time with other identifiers: a load
//! that costs the machine next to nothing beside the server that it measures.
//!
//! Invariants: no two submissions of a load share an identifier, and none shares one with another
//! load. A case goes through its story in order, and each submission names the version that it
//! expects of the case. What is sent is what prost encodes, byte for byte.

use bytes::{Bytes, BytesMut};
use memchr::memmem;
use prost::Message;
use uuid::Uuid;

use super::caller::framed;
use super::story::{Plot, event};
use crate::wire::limits::{SUBMISSION_CASES_MAX, SUBMISSION_EVENTS_MAX};
use crate::wire::v1::case_change::Expected;
use crate::wire::v1::personal_value::Value;
use crate::wire::v1::{
    CaseChange, PersonalClass, PersonalValue, SubmitEventsRequest, SubmitStreamRequest,
};

/// Length of the text of a UUID.
const UUID_BYTES: usize = 36;
/// How many hexadecimal digits at the end of an identifier are overwritten: they tell apart the
/// identifiers of a load. The digits before them are the load's own.
const DIGITS: usize = 12;
/// The digits at the end of an identifier.
pub(super) type Digits = [u8; DIGITS];

/// A record is made to take about so many bytes in the log.
pub(super) const RECORD_BYTES: u64 = 300;
/// How many bytes the first record of each submission has more than the others: the digest.
const DIGEST_BYTES: u64 = 34;
/// What a record takes without padding and without that, on average.
const RECORD_BYTES_PLAIN: u64 = 234;

/// What submissions a load sends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// Number of events of a submission, 1 to 100.
    pub(super) events: u64,
    /// Number of events of a case, at least so many that a submission touches 16 cases at most.
    pub(super) case_events: u64,
    /// What the events are like.
    pub(super) plot: Plot,
    /// Whether each is an item of a stream. Else it is a call, and framed for [`super::caller`].
    pub(super) stream_items: bool,
    /// How many bytes the reference of an event's source is longer than need be.
    pub(super) padding: usize,
    /// The personal values of each event.
    pub(super) personal: PersonalShape,
}

/// The personal values that come with events.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PersonalShape {
    /// How many come with each event; each is a text of 200 bytes.
    pub(super) values: usize,
    /// Number of the subjects whom they are about, over all cases. None: one for each case.
    pub(super) subjects: Option<u64>,
}

/// The submissions of a load.
#[derive(Debug)]
pub(super) struct Templates {
    by_place: Vec<Template>,
    /// Number of subjects; none for one a case.
    subjects: Option<u64>,
}

/// One encoded submission, and where its identifiers stand in it.
#[derive(Debug)]
struct Template {
    bytes: Vec<u8>,
    /// The digits of the request_id.
    request: usize,
    cases: Vec<TemplateCase>,
    /// The digits of each event_id.
    events: Vec<usize>,
    /// The submission that follows in the same story, by its place among the templates.
    next: usize,
}

/// Where a case's identifiers stand in a submission.
#[derive(Debug)]
struct TemplateCase {
    /// The digits of the case_id.
    at: usize,
    /// Whether the case is a new one.
    is_new: bool,
    /// The digits of the subject of its personal values.
    subjects: Vec<usize>,
}

/// Sends submissions one after the other: each goes on with the case of the one before, or opens
/// new ones.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lane {
    /// Identifiers of this lane have it in their upper bits.
    number: u64,
    template: usize,
    requests: u64,
    cases: u64,
    events: u64,
}

/// One submission, ready to be sent.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    /// The encoded message.
    pub(super) bytes: Bytes,
    /// The digits at the end of its request_id.
    pub(super) request: Digits,
}

impl Shape {
    /// The fewest events of a case with which so many events fit into a submission.
    pub(super) fn case_events_min(events: u64) -> u64 {
        let cases = u64::try_from(SUBMISSION_CASES_MAX - 1).unwrap_or(1);
        events.div_ceil(cases).max(1)
    }

    /// How many bytes of padding make a record of the usual size.
    pub(super) fn padding(events: u64) -> usize {
        let plain = RECORD_BYTES_PLAIN + DIGEST_BYTES / events.max(1);
        usize::try_from(RECORD_BYTES.saturating_sub(plain)).unwrap_or_default()
    }

    /// Number of events of the largest submission of cases with so many events.
    pub(super) fn events_max(case_events: u64) -> u64 {
        let (events, cases) = (SUBMISSION_EVENTS_MAX, SUBMISSION_CASES_MAX - 1);
        let [events, cases] = [events, cases].map(|max| u64::try_from(max).unwrap_or(1));
        cases.saturating_mul(case_events).min(events)
    }
}

impl Templates {
    /// Encodes every submission that the load will send.
    pub(super) fn new(shape: Shape) -> Self {
        let run = Run::new();
        // The places in the story of a case at which a submission of this load begins.
        let mut places = vec![0];
        let mut by_place = Vec::new();
        while let Some(place) = places.get(by_place.len()).copied() {
            let end = (place + shape.events) % shape.case_events;
            let known = places.iter().position(|known| *known == end);
            let next = known.unwrap_or_else(|| {
                places.push(end);
                places.len() - 1
            });
            by_place.push(Template::new(shape, &run, place, next));
        }
        Self {
            by_place,
            subjects: shape.personal.subjects,
        }
    }

    /// The next submission of a lane.
    pub(super) fn next(&self, lane: &mut Lane) -> Prepared {
        let Some(template) = self.by_place.get(lane.template) else {
            return Prepared {
                bytes: Bytes::new(),
                request: [0; DIGITS],
            };
        };
        let mut bytes = BytesMut::from(template.bytes.as_slice());
        let request = lane.digits(lane.requests);
        put(&mut bytes, template.request, request);
        for case in &template.cases {
            lane.cases += u64::from(case.is_new);
            let own = lane.digits(lane.cases);
            put(&mut bytes, case.at, own);
            let subject = match self.subjects {
                Some(subjects) => digits(scramble((lane.cases + lane.number) % subjects.max(1))),
                None => own,
            };
            for at in &case.subjects {
                put(&mut bytes, *at, subject);
            }
        }
        for at in &template.events {
            put(&mut bytes, *at, lane.digits(lane.events));
            lane.events += 1;
        }
        lane.requests += 1;
        lane.template = template.next;
        Prepared {
            bytes: bytes.freeze(),
            request,
        }
    }

    /// Average length of the encoded submissions, in bytes.
    pub(super) fn bytes_average(&self) -> usize {
        let sum: usize = self.by_place.iter().map(|one| one.bytes.len()).sum();
        sum / self.by_place.len().max(1)
    }
}

impl Lane {
    /// A lane with a number that no other lane of the load has, up to 65,535.
    pub(super) fn new(number: u16) -> Self {
        Self {
            number: u64::from(number),
            template: 0,
            requests: 0,
            cases: 0,
            events: 0,
        }
    }

    /// Gives up the present case, and goes on with a new one.
    pub(super) fn begin_anew(&mut self) {
        self.template = 0;
    }

    /// The digits of one of the lane's identifiers.
    fn digits(&self, count: u64) -> Digits {
        digits(scramble((self.number << 32) | (count & 0xffff_ffff)))
    }
}

/// Spreads 48 bits over 48 bits, each to another one: identifiers that are counted up would flatter
/// whatever keeps them in order or hashes them badly.
fn scramble(number: u64) -> u64 {
    const MASK: u64 = (1 << 48) - 1;
    let mixed = (number & MASK).wrapping_mul(0x9e37_79b9_7f4b) & MASK;
    let mixed = mixed ^ (mixed >> 25);
    mixed.wrapping_mul(0xd6e8_feb8_6659) & MASK
}

fn digits(number: u64) -> Digits {
    let mut rest = number;
    let mut digits = [b'0'; DIGITS];
    for digit in digits.iter_mut().rev() {
        let nibble = u8::try_from(rest & 0xf).unwrap_or_default();
        *digit = if nibble < 10 {
            b'0' + nibble
        } else {
            b'a' + nibble - 10
        };
        rest >>= 4;
    }
    digits
}

fn put(bytes: &mut BytesMut, at: usize, digits: Digits) {
    if let Some(place) = bytes.get_mut(at..at + DIGITS) {
        place.copy_from_slice(&digits);
    }
}

/// The part of the identifiers that tells one load from every other.
struct Run(u64);

/// What an identifier is for.
#[derive(Clone, Copy)]
enum Kind {
    Request,
    Case,
    Event,
    Subject,
}

impl Run {
    fn new() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "a client chooses its identifiers, and two loads may not share any"
        )]
        let (run, _) = Uuid::new_v4().as_u64_pair();
        Self(run)
    }

    /// An identifier as a marker in a template: its digits at the end are overwritten later.
    fn marker(&self, kind: Kind, number: usize) -> String {
        let kind = match kind {
            Kind::Request => 1,
            Kind::Case => 2,
            Kind::Event => 3,
            Kind::Subject => 4,
        };
        let number = u64::try_from(number).unwrap_or_default();
        Uuid::from_u64_pair(self.0, (0b10 << 62) | (kind << 48) | number).to_string()
    }
}

impl Template {
    /// The submission whose first event is at this place of its case's story.
    fn new(shape: Shape, run: &Run, first: u64, next: usize) -> Self {
        let mut request = SubmitEventsRequest {
            request_id: run.marker(Kind::Request, 0),
            changes: Vec::new(),
        };
        let mut events = 0;
        let mut cases: Vec<bool> = Vec::new();
        let mut place = first;
        for _ in 0..shape.events {
            if place == 0 || request.changes.is_empty() {
                cases.push(place == 0);
                request.changes.push(CaseChange {
                    case_id: run.marker(Kind::Case, cases.len()),
                    expected: Some(match place {
                        0 => Expected::NoCase(true),
                        version => Expected::ExactVersion(version),
                    }),
                    events: Vec::new(),
                });
            }
            let mut event = event(shape.plot, place, shape.padding);
            event.event_id = run.marker(Kind::Event, events);
            let subject = run.marker(Kind::Subject, cases.len());
            event.personal = personal(shape.personal.values, &subject);
            if let Some(change) = request.changes.last_mut() {
                change.events.push(event);
            }
            events += 1;
            place = (place + 1) % shape.case_events;
        }
        let bytes = if shape.stream_items {
            let submission = Some(request);
            SubmitStreamRequest { submission }.encode_to_vec()
        } else {
            framed(&request.encode_to_vec())
        };
        let at = |kind, number| digits_at(&bytes, &run.marker(kind, number));
        let cases = (1..).zip(cases);
        Self {
            request: at(Kind::Request, 0),
            cases: cases
                .map(|(number, is_new)| TemplateCase {
                    at: at(Kind::Case, number),
                    is_new,
                    subjects: all_digits_at(&bytes, &run.marker(Kind::Subject, number)),
                })
                .collect(),
            events: (0..events).map(|number| at(Kind::Event, number)).collect(),
            next,
            bytes,
        }
    }
}

/// Where the digits of an identifier stand.
fn digits_at(bytes: &[u8], marker: &str) -> usize {
    memmem::find(bytes, marker.as_bytes())
        .map_or(usize::MAX - UUID_BYTES, |at| at + UUID_BYTES - DIGITS)
}

/// Where the digits of an identifier stand that stands anywhere, or nowhere.
fn all_digits_at(bytes: &[u8], marker: &str) -> Vec<usize> {
    memmem::find_iter(bytes, marker.as_bytes())
        .map(|at| at + UUID_BYTES - DIGITS)
        .collect()
}

/// So many personal values about a subject, of one class after the other.
fn personal(count: usize, subject: &str) -> Vec<PersonalValue> {
    const CLASSES: [PersonalClass; 6] = [
        PersonalClass::Identity,
        PersonalClass::Narrative,
        PersonalClass::Health,
        PersonalClass::Wishes,
        PersonalClass::Place,
        PersonalClass::Identifiers,
    ];
    let classes = CLASSES.iter().cycle().take(count);
    classes
        .map(|class| PersonalValue {
            subject_id: subject.to_owned(),
            personal_class: (*class).into(),
            field: "note".to_owned(),
            value: Some(Value::Text("a".repeat(PERSONAL_VALUE_BYTES))),
        })
        .collect()
}

/// Length of the text of a personal value, in bytes.
const PERSONAL_VALUE_BYTES: usize = 200;

#[cfg(test)]
#[path = "template_tests.rs"]
mod tests;
