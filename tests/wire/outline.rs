//! The outline that the fold reads from the bytes of a record is that of the decoded record.

use casetrail::wire::outline::{KeysOutline, RecordOutline};
use casetrail::wire::v1::{
    CaseKind, Event, EventType, Record, SealedPersonal, SealedValue, Standing,
};
use casetrail::wire::{event_type, moment::Moment};
use proptest::prelude::*;
use prost::Message;

use super::support::{fresh_uuid, valid_event};

fn record(event_type: EventType) -> Record {
    let standing = Standing {
        kind: CaseKind::Remains.into(),
        district: "XA01".into(),
        organisation: "org-1".into(),
        ..Standing::default()
    };
    Record {
        case_id: fresh_uuid().to_string(),
        case_version: 7,
        event_type: event_type.into(),
        recorded_at: Some(Moment(1_700_000_000_123_456).into()),
        actor: "worker-1".into(),
        organisation: "org-1".into(),
        request_id: fresh_uuid().to_string(),
        submission_index: 3,
        submission_size: 5,
        submission_digest: vec![7; 32].into(),
        event: Some(valid_event(event_type)),
        previous_standing: Some(standing.clone()),
        standing: Some(standing),
        sealed: vec![SealedPersonal {
            subject_id: fresh_uuid().to_string(),
            key_id: 0xfedc_ba98_7654_3210,
            values: vec![SealedValue::default()],
        }],
    }
}

#[test]
fn what_concerns_keys_is_what_decoding_the_record_gives() {
    for event_type in event_type::ALL {
        let record = record(*event_type);
        let outline = KeysOutline::read(&record.encode_to_vec()).unwrap();
        assert_eq!(outline.event_type, *event_type);
        assert_eq!(outline.sealed, record.sealed);
    }
}

#[test]
fn it_is_the_same_for_every_type_of_event() {
    for event_type in event_type::ALL {
        let record = record(*event_type);
        let outline = RecordOutline::of(&record);
        assert_eq!(outline.event_type, *event_type);
        assert!(outline.payload.is_some());
        assert_eq!(
            RecordOutline::read(&record.encode_to_vec()),
            Ok(outline),
            "{event_type:?}"
        );
    }
    let empty = Record::default();
    assert_eq!(RecordOutline::read(&[]), Ok(RecordOutline::of(&empty)));
    let bare = Record {
        event: Some(Event::default()),
        ..Record::default()
    };
    let bytes = bare.encode_to_vec();
    assert_eq!(RecordOutline::read(&bytes), Ok(RecordOutline::of(&bare)));
}

#[test]
fn an_event_of_a_newer_version_is_an_event_of_no_known_type() {
    // Field 150 of the event, a payload that this version does not know.
    let mut event = Event {
        payload: None,
        ..valid_event(EventType::CaseClosed)
    }
    .encode_to_vec();
    event.extend_from_slice(&[0xb2, 0x09, 0x02, 0x08, 0x01]);
    let mut bytes = Record {
        event: None,
        event_type: 150,
        ..record(EventType::CaseClosed)
    }
    .encode_to_vec();
    bytes.push(0x5a);
    bytes.push(u8::try_from(event.len()).unwrap() & 0x7f | 0x80);
    bytes.push(u8::try_from(event.len() >> 7).unwrap());
    bytes.extend_from_slice(&event);
    let outline = RecordOutline::read(&bytes).unwrap();
    assert_eq!(outline.event_type, EventType::Unspecified);
    assert_eq!(outline.payload, None);
    assert_ne!(outline.event_id, "");
    let record = Record::decode(bytes.as_slice()).unwrap();
    assert_eq!(outline, RecordOutline::of(&record));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn it_is_the_same_for_altered_bytes_that_are_still_a_record(
        event_type in proptest::sample::select(event_type::ALL),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        twice in any::<bool>(),
        length in any::<prop::sample::Index>(),
    ) {
        let mut bytes = record(event_type).encode_to_vec();
        if twice {
            // Fields that come again: the last one counts, and messages are merged.
            bytes.extend(record(event_type).encode_to_vec());
        }
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        for bytes in [&bytes[..], &bytes[..length.index(bytes.len())]] {
            if let Ok(record) = Record::decode(bytes) {
                prop_assert_eq!(RecordOutline::read(bytes), Ok(RecordOutline::of(&record)));
            }
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = RecordOutline::read(&bytes);
    }
}
