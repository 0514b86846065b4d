//! Headers, strict requests, and JSON.

use bytes::{BufMut, Bytes, BytesMut};
use casetrail::wire::{
    descriptor_pool, event_type,
    header::RecordHeader,
    json::{from_json, to_json},
    limits, strict, v1,
    v1::{EventType as Type, event::Payload},
};
use prost::{
    Message,
    encoding::{WireType, encode_key, encode_varint},
};
use prost_types::Timestamp;
use tonic::Code;
use tonic_types::StatusExt;

use crate::support::{submission_of, valid_event};

fn record() -> v1::Record {
    v1::Record {
        case_id: "018e0b5c-7a40-7cc1-8f00-0123456789ab".to_owned(),
        case_version: 7,
        event_type: Type::Released.into(),
        recorded_at: Some(Timestamp {
            seconds: 1_700_000_000,
            nanos: 5,
        }),
        actor: "actor".to_owned(),
        organisation: "organisation".to_owned(),
        request_id: "018e0b5c-7a40-7cc1-8f00-0123456789ac".to_owned(),
        submission_index: 1,
        submission_size: 2,
        submission_digest: Bytes::from_static(&[1; 32]),
        event: Some(valid_event(Type::Released)),
        standing: Some(v1::Standing {
            district: "XA01".to_owned(),
            ..Default::default()
        }),
        previous_standing: Some(v1::Standing {
            contested: true,
            ..Default::default()
        }),
        sealed: vec![v1::SealedPersonal {
            subject_id: "018e0b5c-7a40-7cc1-8f00-0123456789ad".to_owned(),
            key_id: 9,
            values: vec![v1::SealedValue {
                personal_class: v1::PersonalClass::Health.into(),
                sealed: Bytes::from_static(&[3; 72]),
            }],
        }],
    }
}

#[test]
fn a_header_is_read_from_a_whole_record() {
    let record = record();
    let header = RecordHeader::decode(record.encode_to_vec().as_slice()).unwrap();
    assert_eq!(header.case_id, record.case_id);
    assert_eq!(header.case_version, 7);
    assert_eq!(header.event_type(), Type::Released);
    assert_eq!(header.recorded_at, record.recorded_at);
    assert_eq!(
        (header.actor, header.organisation),
        (record.actor, record.organisation)
    );
    assert_eq!(header.standing, record.standing);
    assert_eq!(header.previous_standing, record.previous_standing);
}

#[test]
fn a_header_skips_the_event_without_decoding_it() {
    let mut bytes = BytesMut::from(
        v1::Record {
            event: None,
            ..record()
        }
        .encode_to_vec()
        .as_slice(),
    );
    encode_key(11, WireType::LengthDelimited, &mut bytes);
    encode_varint(4, &mut bytes);
    bytes.put_slice(&[0xff; 4]);
    assert!(v1::Record::decode(bytes.clone()).is_err());
    assert_eq!(RecordHeader::decode(bytes).unwrap().case_version, 7);
}

/// The bytes of a length-delimited field.
fn field(number: u32, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![];
    encode_key(number, WireType::LengthDelimited, &mut bytes);
    encode_varint(content.len() as u64, &mut bytes);
    bytes.extend_from_slice(content);
    bytes
}

fn decode_request(bytes: Vec<u8>) -> Result<v1::SubmitEventsRequest, tonic::Status> {
    strict::decode(Bytes::from(bytes))
}

#[test]
fn a_request_of_very_many_small_fields_is_refused_before_it_takes_up_memory() {
    let events = |count: usize| {
        let change = field(5, b"").repeat(count);
        field(2, &change)
    };
    let status = decode_request(events(limits::REQUEST_FIELDS_MAX)).unwrap_err();
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.reason, "TOO_LARGE");
    // One field is the change itself.
    assert!(decode_request(events(limits::REQUEST_FIELDS_MAX - 1)).is_ok());
}

#[test]
fn a_request_of_replacements_within_replacements_is_refused_and_not_followed_down() {
    // From the innermost message outwards, back to front, since each is as long as what it holds.
    let mut bytes = Vec::new();
    let mut wrap = |number: u32| {
        let mut head = BytesMut::new();
        encode_key(number, WireType::LengthDelimited, &mut head);
        encode_varint(bytes.len() as u64, &mut head);
        bytes.extend(head.iter().rev());
    };
    for _ in 0..90_000 {
        wrap(2); // EventCorrected.replacement
        wrap(106); // Event.event_corrected
    }
    wrap(5); // CaseChange.events
    wrap(2); // SubmitEventsRequest.changes
    bytes.reverse();
    assert!(bytes.len() < limits::REQUEST_MESSAGE_BYTES_MAX);
    let status = decode_request(bytes).unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.reason, "MALFORMED_MESSAGE");
}

#[test]
fn a_time_that_no_calendar_has_is_an_error_and_no_panic() {
    for seconds in [i64::MIN, i64::MAX] {
        let mut record = record();
        let nanos = i32::MAX;
        record.recorded_at = Some(Timestamp { seconds, nanos });
        let error = to_json(&record).unwrap_err();
        assert!(error.to_string().contains("out of range"), "{error}");
    }
}

#[test]
fn a_request_with_unknown_fields_is_refused_at_any_depth() {
    let request = submission_of(vec![valid_event(Type::HospitalAdmitted)]);
    assert_eq!(decode_request(request.encode_to_vec()).unwrap(), request);

    let mut bytes = request.encode_to_vec();
    bytes.extend(field(15, b"new"));
    let status = decode_request(bytes).unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(
        status
            .message()
            .contains("number 15 of casetrail.v1.SubmitEventsRequest")
    );

    // A field 9 in the place of the payload of the event.
    let place = field(1, &field(9, b"new"));
    let event = field(208, &place);
    let change = field(5, &event);
    let mut bytes = request.encode_to_vec();
    bytes.extend(field(2, &change));
    let status = decode_request(bytes).unwrap_err();
    assert!(
        status.message().contains("number 9 of casetrail.v1.Place"),
        "{status}"
    );
    assert!(!status.message().contains("new "), "{status}");
}

#[test]
fn an_unknown_payload_is_refused_and_not_dropped() {
    let mut bytes = submission_of(vec![]).encode_to_vec();
    bytes.extend(field(2, &field(5, &field(499, b""))));
    let status = decode_request(bytes).unwrap_err();
    assert!(
        status
            .message()
            .contains("number 499 of casetrail.v1.Event"),
        "{status}"
    );
}

#[test]
fn a_request_in_another_lawful_encoding_is_accepted() {
    // Defaults written out (protobuf.js does), and enum values that are not packed.
    let mut bytes = vec![];
    encode_key(1, WireType::Varint, &mut bytes);
    encode_varint(0, &mut bytes);
    let mut filter = vec![];
    for kind in [1, 2] {
        encode_key(1, WireType::Varint, &mut filter);
        encode_varint(kind, &mut filter);
    }
    bytes.extend(field(3, &filter));
    let request: v1::ListCasesRequest = strict::decode(Bytes::from(bytes)).unwrap();
    assert_eq!(request.filter.unwrap().kinds, [1, 2]);
}

#[test]
fn a_malformed_request_is_invalid_and_an_answer_may_hold_more_than_is_known() {
    let status = decode_request(vec![0xff; 8]).unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let response = v1::GetCaseResponse {
        case: None,
        position: 3,
        possible_case: None,
    };
    let mut bytes = response.encode_to_vec();
    bytes.extend(field(15, b"new"));
    assert_eq!(
        strict::decode::<v1::GetCaseResponse>(Bytes::from(bytes)).unwrap(),
        response
    );
}

#[test]
fn every_event_reads_back_from_its_json() {
    for &event_type in event_type::ALL {
        let request = submission_of(vec![valid_event(event_type)]);
        let json = to_json(&request).unwrap();
        assert!(!json.contains('\n'));
        assert_eq!(
            from_json::<v1::SubmitEventsRequest>(&json).unwrap(),
            request
        );
    }
}

#[test]
fn json_is_canonical_and_reads_both_forms_of_names() {
    let record = record();
    let json = to_json(&record).unwrap();
    for part in [
        r#""caseVersion":"7""#,
        r#""eventType":"EVENT_TYPE_RELEASED""#,
        r#""recordedAt":"2023-11-14T22:13:20.000000005Z""#,
        r#""submissionDigest":"AQEB"#,
        r#""released":{"mode":"RELEASE_MODE_HANDOVER"}"#,
    ] {
        assert!(json.contains(part), "{part} in {json}");
    }
    assert_eq!(from_json::<v1::Record>(&json).unwrap(), record);
    let text = r#"{"case_id": "x", "caseVersion": 7, "event_type": 219}"#;
    let read: v1::Record = from_json(text).unwrap();
    assert_eq!((read.case_version, read.event_type()), (7, Type::Released));
}

#[test]
fn json_errors_tell_the_place_and_no_value() {
    let read = |text: &str| from_json::<v1::SubmitEventsRequest>(text).unwrap_err();
    let error = read(r#"{"requestId": "Ivanka", "colour": 3}"#);
    assert_eq!(error.message, "the message has no field colour");
    assert_eq!((error.line, error.column), (1, 32));

    for (text, message) in [
        (
            r#"{"requestId": {"a": "Ivanka"}}"#,
            "this value is not a string",
        ),
        (
            r#"{"changes": "Ivanka, expected Ivanka"}"#,
            "this value is not a list",
        ),
        (r#"{"Ivanka Petrova": 1}"#, "the message has no such field"),
        (
            r#"{"Ivanka Petrova": 1, "Ivanka Petrova": 2}"#,
            "a field stands twice in one object",
        ),
        (
            r#"{"changes": [], "changes": []}"#,
            "the field changes stands twice in one object",
        ),
        (
            r#"{"request_id": "a", "requestId": "b"}"#,
            "the field requestId stands twice in one object",
        ),
        (
            r#"{"changes": [{"events": [{"credibility": "Ivanka"}]}]}"#,
            "the enum has no value of this name",
        ),
        (
            r#"{"changes": [{"exactVersion": "Ivanka"}]}"#,
            "this value has not the form of its field",
        ),
        (
            r#"{"changes": [{"noCase": true, "any": true}]}"#,
            "more than one field of expected is given; give exactly one",
        ),
    ] {
        let error = read(text);
        assert_eq!(error.message, message, "{text}");
        assert!(!format!("{error:?}").contains("Ivanka"));
    }
    for text in [
        "",
        "{",
        r#"{"requestId": Ivanka}"#,
        r#"{} {"requestId": "Ivanka"}"#,
        "nul",
    ] {
        let error = read(text);
        assert!(error.message.starts_with("this is no JSON"), "{error}");
        assert!(!error.message.contains("Ivanka"), "{error}");
    }
}

#[test]
fn two_payloads_in_one_event_are_refused() {
    let text = r#"{"escaped": {}, "released": {}}"#;
    let error = from_json::<v1::Event>(text).unwrap_err();
    assert!(
        error.message.contains("more than one field of payload"),
        "{error}"
    );
    let event: v1::Event = from_json(r#"{"escaped": {}}"#).unwrap();
    assert!(matches!(event.payload, Some(Payload::Escaped(_))));
}

#[test]
fn the_descriptors_hold_all_services() {
    let services: Vec<_> = descriptor_pool()
        .services()
        .map(|it| it.name().to_owned())
        .collect();
    for service in [
        "CaseService",
        "MonitorService",
        "AuditService",
        "AdminService",
        "PersonalService",
    ] {
        assert!(services.iter().any(|name| name == service), "{service}");
    }
}
