//! Requests that chance writes: of any structure, of valid parts with changes, and of any bytes.
//! None makes reading or checking panic; one that is accepted is kept as it was sent; and every
//! violation names a field that the request has.
//!
//! Chance is a tape of bytes that proptest makes, so that a failure shrinks to a short tape: what
//! is read beyond its end is 0, which everywhere means the least.

use bytes::Bytes;
use casetrail::wire::{
    descriptor_pool, event_type, limits, strict, v1,
    v1::case_change::Expected as Sent,
    validate::{self, Expected, Submission},
};
use proptest::prelude::*;
use prost::{Message, Name};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, ReflectMessage, Value};
use uuid::Uuid;

use crate::support::{dynamic, submission_of, today, valid_event};

/// How many requests of each sort, unless PROPTEST_CASES says another number.
const CASES: u32 = 400;

/// Texts that mean something in some field.
const TEXTS: [&str; 22] = [
    "",
    "018e0b5c-7a40-7cc1-8f00-0123456789ab",
    "018E0B5C-7A40-7CC1-8F00-0123456789AC",
    "00000000-0000-0000-0000-000000000000",
    "018e0b5c7a407cc18f000123456789ab",
    "2024-03-05",
    "2024-03?",
    "2024-02-30",
    "20XX",
    "../2024",
    "2024-03-05T10:00:00+05:30",
    "9999-12-31",
    "XA",
    "XA01",
    "xa",
    "родич-17",
    "authority:7/2024",
    "two words",
    "e\u{301}\u{301}",
    "\0",
    "\u{202e}cba",
    "🕊",
];

/// Chance, as a tape of bytes.
struct Tape<'a>(std::slice::Iter<'a, u8>);

impl Tape<'_> {
    fn byte(&mut self) -> u8 {
        self.0.next().copied().unwrap_or_default()
    }

    /// A number from 0, below `end`, which is at most 256.
    fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }

    fn number(&mut self) -> u64 {
        const NUMBERS: [u64; 8] = [0, 1, 2, 7, 1_000, 1 << 31, 1 << 63, u64::MAX];
        NUMBERS[self.below(NUMBERS.len())]
    }

    fn text(&mut self) -> String {
        match self.below(8) {
            0 => {
                let length = self.below(24);
                let character = |_| char::from_u32(u32::from(self.byte()) << self.below(9));
                (0..length).filter_map(character).collect()
            }
            1 => TEXTS[self.below(TEXTS.len())].repeat(1 + self.below(40)),
            _ => TEXTS[self.below(TEXTS.len())].to_owned(),
        }
    }

    fn scalar(&mut self, kind: &Kind) -> Value {
        let number = self.number();
        match kind {
            Kind::Bool => Value::Bool(self.below(2) == 1),
            Kind::Uint32 | Kind::Fixed32 => Value::U32(number as u32),
            Kind::Uint64 | Kind::Fixed64 => Value::U64(number),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(number as i32),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(number as i64),
            Kind::Enum(values) => match self.below(4) {
                0 => Value::EnumNumber(number as i32),
                _ => {
                    let count = values.values().len();
                    let value = values.values().nth(self.below(count.min(256))).unwrap();
                    Value::EnumNumber(value.number())
                }
            },
            Kind::Bytes => Value::Bytes(self.text().into()),
            Kind::String => Value::String(self.text()),
            Kind::Message(inner) => {
                let mut message = DynamicMessage::new(inner.clone());
                self.fill(&mut message);
                Value::Message(message)
            }
            // Of a place on earth, in a personal value.
            Kind::Double => Value::F64(number as f64 - 90.0),
            Kind::Float => Value::F32(number as f32 - 90.0),
        }
    }

    fn value(&mut self, field: &FieldDescriptor) -> Value {
        if !field.is_list() {
            return self.scalar(&field.kind());
        }
        let count = match self.below(16) {
            // Beyond the limits of a submission, by the smallest parts.
            15 => 90 + self.below(20),
            few => few / 4,
        };
        Value::List((0..count).map(|_| self.scalar(&field.kind())).collect())
    }

    /// Sets some fields of a message at random; of a choice of fields the one set last stays.
    fn fill(&mut self, message: &mut DynamicMessage) {
        let descriptor = message.descriptor();
        let fields: Vec<_> = descriptor.fields().collect();
        let plain = fields.iter().filter(|it| it.containing_oneof().is_none());
        for field in plain {
            if self.below(4) > 0 {
                let value = self.value(field);
                message.set_field(field, value);
            }
        }
        for choice in descriptor.oneofs() {
            if self.below(8) > 0 {
                let field = choice.fields().nth(self.below(choice.fields().len()));
                let field = field.unwrap();
                let value = self.value(&field);
                message.set_field(&field, value);
            }
        }
    }

    /// Changes one field of a message, or of one in it.
    fn change(&mut self, message: &mut DynamicMessage) {
        let descriptor = message.descriptor();
        let set: Vec<_> = message.fields().map(|(field, _)| field).collect();
        if set.is_empty() || self.below(8) == 0 {
            let count = descriptor.fields().len();
            if count > 0 {
                let field = descriptor.fields().nth(self.below(count.min(256))).unwrap();
                let value = self.value(&field);
                message.set_field(&field, value);
            }
            return;
        }
        let field = &set[self.below(set.len())];
        let deeper = self.below(6) > 0;
        match message.get_field_mut(field) {
            Value::Message(inner) if deeper => self.change(inner),
            Value::List(values) if deeper && !values.is_empty() => {
                let count = values.len().min(256);
                let at = self.below(count);
                match self.below(6) {
                    0 => drop(values.remove(at)),
                    1 => values.push(values[at].clone()),
                    2 => values.reverse(),
                    _ => match &mut values[at] {
                        Value::Message(inner) => self.change(inner),
                        other => *other = self.scalar(&field.kind()),
                    },
                }
            }
            _ if self.below(3) == 0 => message.clear_field(field),
            _ => {
                let value = self.value(field);
                message.set_field(field, value);
            }
        }
    }
}

fn any_request(tape: &mut Tape<'_>) -> v1::SubmitEventsRequest {
    let descriptor = v1::SubmitEventsRequest::default();
    let descriptor = descriptor_pool().get_message_by_name(&message_name(&descriptor));
    let mut message = DynamicMessage::new(descriptor.unwrap());
    tape.fill(&mut message);
    message.transcode_to().unwrap()
}

fn message_name<M: Name>(_: &M) -> String {
    M::full_name()
}

/// A valid submission with some changes, or none.
fn changed_request(tape: &mut Tape<'_>) -> v1::SubmitEventsRequest {
    let mut request = submission_of(vec![]);
    request.changes.clear();
    for _ in 0..=tape.below(3) {
        let events = (0..=tape.below(3)).map(|_| {
            let event_type = event_type::ALL[tape.below(event_type::ALL.len())];
            valid_event(event_type)
        });
        request
            .changes
            .extend(submission_of(events.collect()).changes);
    }
    let mut message = dynamic(&request);
    for _ in 0..tape.below(4) {
        tape.change(&mut message);
    }
    message.transcode_to().unwrap()
}

/// What a submission that was accepted says was sent.
fn sent(submission: Submission) -> v1::SubmitEventsRequest {
    let changes = submission.changes.into_iter();
    v1::SubmitEventsRequest {
        request_id: submission.request_id.to_string(),
        changes: changes
            .map(|change| v1::CaseChange {
                case_id: change.case_id.to_string(),
                expected: match change.expected {
                    Expected::Any => None,
                    Expected::NoCase => Some(Sent::NoCase(true)),
                    Expected::Version(version) => Some(Sent::ExactVersion(version)),
                },
                events: change
                    .events
                    .into_iter()
                    .map(|event| event.into_stored().0)
                    .collect(),
            })
            .collect(),
    }
}

/// The request with its UUIDs in lower case, and without an expectation that means the same as none.
fn normalised(mut request: v1::SubmitEventsRequest) -> v1::SubmitEventsRequest {
    for change in &mut request.changes {
        change.expected = change.expected.filter(|it| *it != Sent::Any(true));
    }
    let mut message = dynamic(&request);
    lower_uuids(&mut message);
    message.transcode_to().unwrap()
}

fn lower_uuids(message: &mut DynamicMessage) {
    fn lower(value: &mut Value) {
        match value {
            Value::String(text) if Uuid::try_parse(text).is_ok() => text.make_ascii_lowercase(),
            Value::Message(inner) => lower_uuids(inner),
            Value::List(values) => values.iter_mut().for_each(lower),
            _ => {}
        }
    }
    message.fields_mut().for_each(|(_, value)| lower(value));
}

/// Whether the path leads to a field of this request, set or not, or to a choice of fields.
fn has_path(message: &DynamicMessage, path: &str) -> bool {
    let (first, rest) = match path.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (path, None),
    };
    let (name, index) = match first.strip_suffix(']').and_then(|it| it.split_once('[')) {
        Some((name, index)) => (name, Some(index.parse::<usize>().unwrap())),
        None => (first, None),
    };
    let descriptor = message.descriptor();
    let Some(field) = descriptor.get_field_by_name(name) else {
        return rest.is_none() && descriptor.oneofs().any(|choice| choice.name() == name);
    };
    let value = message.get_field(&field);
    let value = match (value.as_ref(), index) {
        (Value::List(values), Some(index)) => values.get(index),
        (Value::List(_), None) => return rest.is_none(),
        (value, None) => Some(value),
        (_, Some(_)) => None,
    };
    match (value, rest) {
        (Some(Value::Message(inner)), Some(rest)) => {
            message.has_field(&field) && has_path(inner, rest)
        }
        (Some(_), rest) => rest.is_none(),
        (None, _) => false,
    }
}

/// What holds of every request, accepted or not; whether it is accepted.
fn check(request: &v1::SubmitEventsRequest) -> Result<bool, TestCaseError> {
    let bytes = Bytes::from(request.encode_to_vec());
    let decoded = strict::decode::<v1::SubmitEventsRequest>(bytes);
    prop_assert_eq!(&decoded.unwrap(), request);
    match validate::submission(request.clone(), today()) {
        Ok(submission) => {
            let digest = submission.digest;
            let kept = sent(submission);
            prop_assert_eq!(normalised(kept.clone()), normalised(request.clone()));
            // What was kept is itself accepted, and is the same submission.
            let again = validate::submission(kept.clone(), today()).unwrap();
            prop_assert_eq!(again.digest, digest);
            prop_assert_eq!(sent(again), kept);
            Ok(true)
        }
        Err(invalid) => {
            let count = invalid.violations.len();
            prop_assert!((1..=limits::VIOLATIONS_MAX).contains(&count), "{count}");
            let message = dynamic(request);
            for violation in &invalid.violations {
                prop_assert!(has_path(&message, &violation.field), "{}", violation);
                prop_assert!(!violation.description.is_empty());
            }
            Ok(false)
        }
    }
}

/// Bytes that are no message, or one: no panic, and what is taken is taken whole.
fn check_bytes<M: Message + Name + Default + PartialEq>(
    bytes: &Bytes,
) -> Result<(), TestCaseError> {
    match strict::decode::<M>(bytes.clone()) {
        Ok(message) => {
            let encoded = Bytes::from(message.encode_to_vec());
            prop_assert!(strict::decode::<M>(encoded).unwrap() == message);
        }
        Err(status) => prop_assert_eq!(status.code(), tonic::Code::InvalidArgument),
    }
    Ok(())
}

fn check_bytes_of_every_request(bytes: &Bytes) -> Result<(), TestCaseError> {
    check_bytes::<v1::SubmitEventsRequest>(bytes)?;
    check_bytes::<v1::SubmitStreamRequest>(bytes)?;
    check_bytes::<v1::GetCaseRequest>(bytes)?;
    check_bytes::<v1::ListCasesRequest>(bytes)?;
    check_bytes::<v1::GetCaseHistoryRequest>(bytes)?;
    check_bytes::<v1::WatchStatusRequest>(bytes)?;
    check_bytes::<v1::GetSummaryRequest>(bytes)?;
    check_bytes::<v1::ReplayEventsRequest>(bytes)
}

fn cases() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").map_or(CASES, |number| number.parse().unwrap());
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases)
    }
}

fn tape() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..1_000).prop_map(Bytes::from)
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn requests_of_any_structure_are_accepted_as_they_are_or_refused_by_their_fields(tape in tape()) {
        check(&any_request(&mut Tape(tape.iter())))?;
    }

    #[test]
    fn valid_requests_with_changes_are_accepted_as_they_are_or_refused_by_their_fields(
        tape in tape(),
    ) {
        check(&changed_request(&mut Tape(tape.iter())))?;
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        check_bytes_of_every_request(&bytes.into())?;
    }

    /// Bits flipped, parts cut out, doubled and put elsewhere.
    #[test]
    fn valid_bytes_with_changes_are_read_or_refused(tape in tape(), cuts in any::<[u16; 3]>()) {
        let mut tape = Tape(tape.iter());
        let mut bytes = changed_request(&mut tape).encode_to_vec();
        for _ in 0..=tape.below(6) {
            let mut at = cuts.map(|cut| usize::from(cut) % (bytes.len() + 1));
            at.sort_unstable();
            let [from, until, to] = at;
            match tape.below(4) {
                0 => drop(bytes.drain(from..until)),
                1 => {
                    let part = bytes[from..until].to_vec();
                    drop(bytes.splice(to..to, part));
                }
                2 => bytes.truncate(to),
                _ if from < bytes.len() => bytes[from] ^= 1 << tape.below(8),
                _ => {}
            }
        }
        let bytes = Bytes::from(bytes);
        check_bytes_of_every_request(&bytes)?;
        if let Ok(request) = strict::decode::<v1::SubmitEventsRequest>(bytes) {
            check(&request)?;
        }
    }
}

/// The properties hold of nothing where everything is refused, or everything accepted.
#[test]
fn requests_of_chance_are_of_both_sorts() {
    let (mut accepted, mut refused) = (0, 0);
    for seed in 0..300_u32 {
        let tape: Vec<_> = (0..60_u32)
            .map(|at| (seed.wrapping_mul(2_654_435_761).rotate_left(at) >> 8) as u8)
            .collect();
        match check(&changed_request(&mut Tape(tape.iter()))) {
            Ok(true) => accepted += 1,
            Ok(false) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(accepted > 30 && refused > 30, "{accepted} and {refused}");
}

#[test]
fn bytes_that_nest_without_end_or_promise_more_than_there_is_are_refused() {
    let length = limits::REQUEST_MESSAGE_BYTES_MAX;
    for pattern in [
        // Groups within groups, empty fields, and lengths of which nothing follows.
        &[0x0b_u8][..],
        &[0x0b, 0x0c],
        &[0x12, 0x00],
        &[0x12, 0xff, 0xff, 0xff, 0xff, 0x0f],
        &[0xff],
        &[0x00],
        &[0x12, 0x80],
    ] {
        let bytes: Vec<_> = pattern.iter().copied().cycle().take(length).collect();
        let bytes = Bytes::from(bytes);
        check_bytes_of_every_request(&bytes).unwrap();
        let refused = strict::decode::<v1::SubmitEventsRequest>(bytes).unwrap_err();
        assert_eq!(refused.code(), tonic::Code::InvalidArgument);
        assert!(
            refused.message().len() < 1_000,
            "{}",
            refused.message().len()
        );
    }
}
