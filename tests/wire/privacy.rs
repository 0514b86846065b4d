//! What no error and no Debug print may show: personal values, and texts that might be personal.

use casetrail::wire::{
    event_type,
    v1::{self, EventType as Type},
    validate::{self, Invalid, Submission},
};
use proptest::prelude::*;
use prost_reflect::{DynamicMessage, Value};

use crate::support::{dynamic, submission_of, today, valid_event};

fn check(request: v1::SubmitEventsRequest) -> Result<Submission, Invalid> {
    validate::submission(request, today())
}

fn check_event(event: v1::Event) -> Result<Submission, Invalid> {
    check(submission_of(vec![event]))
}

/// One personal value of each form, each with the word that may be seen nowhere.
fn personal_values() -> Vec<v1::PersonalValue> {
    use v1::personal_value::Value as Of;
    let word = || "Ivanka".to_owned();
    let part = v1::PersonNamePart {
        text: word(),
        language: word(),
        romanisation: word(),
        ..Default::default()
    };
    [
        Of::Name(v1::PersonName { parts: vec![part] }),
        Of::Identifier(v1::PersonIdentifier {
            scheme: word(),
            issuer: word(),
            value: word(),
        }),
        Of::Coordinates(v1::Coordinates {
            latitude: 41.625,
            method: word(),
            ..Default::default()
        }),
        Of::Text(word()),
    ]
    .map(|value| v1::PersonalValue {
        subject_id: word(),
        personal_class: v1::PersonalClass::Identity.into(),
        field: word(),
        value: Some(value),
    })
    .into()
}

#[test]
fn malformed_personal_values_are_refused_and_nothing_of_them_is_told() {
    let mut event = valid_event(Type::Escaped);
    event.personal = personal_values();
    let invalid = check_event(event.clone()).unwrap_err();
    assert_eq!(invalid.reason, validate::INVALID_FIELDS);
    // Each names nobody and no field.
    assert_eq!(invalid.violations.len(), 4 * 2);
    let fields: Vec<_> = invalid
        .violations
        .iter()
        .map(|it| it.field.as_str())
        .collect();
    assert_eq!(fields[0], "changes[0].events[0].personal[0].subject_id");
    assert_eq!(fields[1], "changes[0].events[0].personal[0].field");
    assert!(!format!("{invalid} {invalid:?}").contains("Ivanka"));

    event.occurred.clear();
    let invalid = check_event(event).unwrap_err();
    assert_eq!(invalid.violations.len(), 4 * 2 + 1);
    assert!(!format!("{invalid} {invalid:?}").contains("Ivanka"));
}

#[test]
fn personal_values_are_taken_out_of_the_event_and_their_debug_shows_nothing() {
    let mut event = valid_event(Type::Escaped);
    event.personal = personal_values();
    for value in &mut event.personal {
        value.subject_id = "018E0B5C-7a40-7cc1-8f00-0123456789ab".to_owned();
        value.field = "note".to_owned();
    }
    let without = v1::Event {
        personal: vec![],
        ..event.clone()
    };
    let mut request = submission_of(vec![event]);
    let submission = check(request.clone()).unwrap();
    assert!(submission.holds_personal());
    assert!(!format!("{submission:?} {submission:#?}").contains("Ivanka"));
    let checked = &submission.changes[0].events[0];
    assert_eq!(checked.event(), &without);
    // Before it is sealed, the digest says nothing of personal values.
    request.changes[0].events = vec![without];
    let plain = check(request).unwrap();
    assert!(!plain.holds_personal());
    assert_eq!(plain.digest, submission.digest);
}

#[test]
fn no_debug_print_shows_a_personal_value() {
    let mut event = valid_event(Type::Escaped);
    event.personal = personal_values();
    for value in &event.personal {
        let printed = format!("{value:?} {:?}", value.value);
        assert!(
            !printed.contains("Ivanka") && !printed.contains("41.6"),
            "{printed}"
        );
    }
    let printed = format!("{:?} {:#?}", submission_of(vec![event.clone()]), event);
    assert!(
        !printed.contains("Ivanka") && !printed.contains("41.6"),
        "{printed}"
    );
    assert!(printed.contains("PersonalValue(withheld)"), "{printed}");
}

/// The message with the text in each of its string fields, at any depth.
fn with_text_everywhere(message: &DynamicMessage, text: &str) -> DynamicMessage {
    let mut altered = message.clone();
    for (field, value) in message.fields() {
        let value = match value {
            Value::String(_) => Value::String(text.to_owned()),
            Value::Message(inner) => Value::Message(with_text_everywhere(inner, text)),
            Value::List(values) => Value::List(
                values
                    .iter()
                    .map(|value| match value {
                        Value::String(_) => Value::String(text.to_owned()),
                        Value::Message(inner) => Value::Message(with_text_everywhere(inner, text)),
                        other => other.clone(),
                    })
                    .collect(),
            ),
            other => other.clone(),
        };
        altered.set_field(&field, value);
    }
    altered
}

#[test]
fn a_violation_repeats_no_text_that_was_sent() {
    for &event_type in event_type::ALL {
        for text in ["Ivanka was seen", "Ivanka", "Ivanka/..", "2024-Ivanka"] {
            let request = dynamic(&submission_of(vec![valid_event(event_type)]));
            let request = with_text_everywhere(&request, text).transcode_to().unwrap();
            let invalid = check(request).unwrap_err();
            let told = format!("{invalid} {invalid:?}");
            assert!(!told.contains("Ivanka"), "{told}");
        }
    }
}

proptest! {
    #[test]
    fn no_texts_make_validation_panic_or_show(kind in 0..event_type::ALL.len(), text in ".{1,40}") {
        let text = format!("§{text}§");
        let request = dynamic(&submission_of(vec![valid_event(event_type::ALL[kind])]));
        let request = with_text_everywhere(&request, &text).transcode_to().unwrap();
        let invalid = check(request).unwrap_err();
        prop_assert!(!invalid.to_string().contains('§'));
    }
}
