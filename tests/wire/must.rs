//! The must-fields, driven from the comments of the protocol: a field whose comment begins with
//! `Must` (or says `Must, unless`) may not be left out, and any other may.

use casetrail::wire::v1::event::Payload;
use casetrail::wire::{descriptor_pool, event_type, v1, validate};
use prost_reflect::{
    DynamicMessage, FieldDescriptor, MessageDescriptor, ReflectMessage, SetFieldError, Value,
};

use crate::support::{dynamic, fresh_uuid, submission_of, today, valid_event};

/// The comment above a field.
fn comment(field: &FieldDescriptor) -> String {
    let file = field.parent_message().parent_file();
    let source_info = file
        .file_descriptor_proto()
        .source_code_info
        .as_ref()
        .unwrap()
        .clone();
    let location = source_info
        .location
        .into_iter()
        .find(|it| it.path == field.path());
    let comment = location.and_then(|it| it.leading_comments);
    comment
        .unwrap_or_else(|| panic!("{} has no comment", field.full_name()))
        .trim()
        .to_owned()
}

fn is_must(field: &FieldDescriptor) -> bool {
    let comment = comment(field);
    comment.starts_with("Must") || comment.contains("Must, unless")
}

/// For every field that is set in the message or in one in it: its path, whether it is a must, and
/// the whole message without it.
fn without_each(message: &DynamicMessage, prefix: &str) -> Vec<(String, bool, DynamicMessage)> {
    let mut found = vec![];
    for (field, value) in message.fields() {
        // Whether the payload itself is there is another test's question.
        let is_payload = field
            .containing_oneof()
            .is_some_and(|oneof| oneof.name() == "payload");
        let path = format!("{prefix}{}", field.name());
        if !is_payload {
            let mut without = message.clone();
            without.clear_field(&field);
            found.push((path.clone(), is_must(&field), without));
        }
        match value {
            Value::Message(inner) => {
                for (path, must, inner) in without_each(inner, &format!("{path}.")) {
                    found.push((path, must, with(message, &field, Value::Message(inner))));
                }
            }
            Value::List(values) if matches!(values[0], Value::Message(_)) => {
                let inner = values[0].as_message().unwrap();
                for (path, must, inner) in without_each(inner, &format!("{path}[0].")) {
                    let mut values = values.clone();
                    values[0] = Value::Message(inner);
                    found.push((path, must, with(message, &field, Value::List(values))));
                }
            }
            _ => {}
        }
    }
    found
}

fn with(message: &DynamicMessage, field: &FieldDescriptor, value: Value) -> DynamicMessage {
    let mut message = message.clone();
    let set: Result<(), SetFieldError> = message.try_set_field(field, value);
    set.unwrap();
    message
}

fn payload_message(event_type: v1::EventType) -> MessageDescriptor {
    let event = descriptor_pool()
        .get_message_by_name("casetrail.v1.Event")
        .unwrap();
    let field = event
        .get_field(u32::try_from(i32::from(event_type)).unwrap())
        .unwrap();
    field.kind().as_message().unwrap().clone()
}

#[test]
fn the_list_of_event_types_is_that_of_the_protocol() {
    let event = descriptor_pool()
        .get_message_by_name("casetrail.v1.Event")
        .unwrap();
    let payload = event
        .oneofs()
        .find(|oneof| oneof.name() == "payload")
        .unwrap();
    let fields: Vec<_> = payload.fields().collect();
    assert_eq!(fields.len(), event_type::ALL.len());
    for (field, &event_type) in fields.iter().zip(event_type::ALL) {
        assert_eq!(
            field.number(),
            u32::try_from(i32::from(event_type)).unwrap()
        );
        assert_eq!(field.name(), event_type::field_name(event_type));
        let message = field.kind().as_message().unwrap().name().to_owned();
        assert_eq!(message, event_type::message_name(event_type));
        let sample = valid_event(event_type);
        assert_eq!(event_type::of_payload(&sample.payload.unwrap()), event_type);
    }
}

#[test]
fn every_sample_sets_every_field_of_its_payload_and_is_valid() {
    for &event_type in event_type::ALL {
        let mut event = valid_event(event_type);
        // The samples close a case by one person, which needs no proposal.
        if let Some(Payload::CaseClosed(closed)) = &mut event.payload {
            closed.proposal_event_id = fresh_uuid().to_string();
        }
        let request = submission_of(vec![event]);
        let submission = validate::submission(request.clone(), today()).unwrap();
        assert_eq!(submission.changes[0].events[0].event_type(), event_type);
        let names = without_each(&dynamic(&request), "");
        let fields = payload_message(event_type).fields().collect::<Vec<_>>();
        let is_submitted = |field: &&FieldDescriptor| !comment(field).contains("by the server");
        for field in fields.iter().filter(is_submitted) {
            let end = format!(".{}.{}", event_type::field_name(event_type), field.name());
            assert!(
                names.iter().any(|(path, ..)| path.ends_with(&end)),
                "no {end}"
            );
        }
    }
}

#[test]
fn a_must_field_that_is_left_out_is_told_by_its_path_and_any_other_field_may_be() {
    let mut must_fields = 0;
    for &event_type in event_type::ALL {
        let request = dynamic(&submission_of(vec![valid_event(event_type)]));
        for (path, must, without) in without_each(&request, "") {
            assert_ne!(without, request);
            let outcome = validate::submission(without.transcode_to().unwrap(), today());
            if must {
                must_fields += 1;
                let invalid = outcome.expect_err(&path);
                let fields: Vec<_> = invalid.violations.iter().map(|it| &it.field).collect();
                assert_eq!(fields, [&path], "{event_type:?}: {invalid}");
                assert_eq!(invalid.reason, validate::INVALID_FIELDS);
            } else {
                outcome.unwrap_or_else(|invalid| panic!("{event_type:?} {path}: {invalid}"));
            }
        }
    }
    // Eight of the envelope for each event, and those of the payloads.
    assert!(must_fields > 125 * 8 + 125, "{must_fields}");
}

#[test]
fn an_enum_value_that_is_unknown_is_told_with_those_that_are_allowed() {
    let mut enums = 0;
    for &event_type in event_type::ALL {
        let mut request = submission_of(vec![valid_event(event_type)]);
        let event = dynamic(&request).descriptor().parent_pool().clone();
        let event = event.get_message_by_name("casetrail.v1.Event").unwrap();
        let mut sample = DynamicMessage::new(event.clone());
        sample
            .transcode_from(&request.changes[0].events[0])
            .unwrap();
        let number = u32::try_from(i32::from(event_type)).unwrap();
        let payload = sample
            .get_field_by_number(number)
            .unwrap()
            .as_message()
            .unwrap()
            .clone();
        for field in payload.descriptor().fields() {
            if field.kind().as_enum().is_none() || field.is_list() {
                continue;
            }
            enums += 1;
            let altered = with(&payload, &field, Value::EnumNumber(977));
            sample.set_field_by_number(number, Value::Message(altered));
            request.changes[0].events[0] = sample.transcode_to().unwrap();
            let invalid = validate::submission(request.clone(), today()).unwrap_err();
            let [violation] = invalid.violations.as_slice() else {
                panic!("{invalid}")
            };
            let path = format!("{}.{}", event_type::field_name(event_type), field.name());
            assert_eq!(violation.field, format!("changes[0].events[0].{path}"));
            assert!(violation.description.contains("is 977"), "{violation}");
            let known = field
                .kind()
                .as_enum()
                .unwrap()
                .values()
                .nth(1)
                .unwrap()
                .name()
                .to_owned();
            assert!(violation.description.contains(&known), "{violation}");
        }
    }
    assert!(enums > 30, "{enums}");
}
