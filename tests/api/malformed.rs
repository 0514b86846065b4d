//! Bad submissions, first part of the table: those that are malformed or too large, whatever the
//! case.

use casetrail::wire::limits;
use casetrail::wire::v1::{
    self, CaseChange, Credibility, Event, EventType as E, SubmitEventsRequest,
    case_change::Expected, event::Payload,
};

use crate::bad_input::{Bad, MARKER};
use crate::support::{fresh_uuid, submission_of, valid_event};

/// An event of the type with the marker in every text that it takes.
pub fn event(event_type: E) -> Event {
    let mut event = valid_event(event_type);
    event.source.as_mut().unwrap().reference = MARKER.to_owned();
    match event.payload.as_mut().unwrap() {
        Payload::DetentionAlleged(it) => it.place.as_mut().unwrap().place_id = MARKER.to_owned(),
        Payload::HandoverScheduled(it) => it.operation = MARKER.to_owned(),
        Payload::DetentionAcknowledged(it) => it.authority = MARKER.to_owned(),
        Payload::IdentificationEstablished(it) => it.authority = MARKER.to_owned(),
        _ => {}
    }
    event
}

/// A good submission that opens a case, changed into a bad one.
pub fn opening(change: impl FnOnce(&mut SubmitEventsRequest)) -> SubmitEventsRequest {
    let mut submission = submission_of(vec![event(E::DetentionAlleged)]);
    change(&mut submission);
    submission
}

/// The same, changed in its event.
pub fn opening_event(change: impl FnOnce(&mut Event)) -> SubmitEventsRequest {
    opening(|submission| change(&mut submission.changes[0].events[0]))
}

pub fn with_payload(payload: Payload) -> SubmitEventsRequest {
    submission_of(vec![Event {
        payload: Some(payload),
        ..event(E::DetentionAlleged)
    }])
}

pub fn malformed() -> Vec<Bad> {
    const EVENT: &str = "changes[0].events[0]";
    let mut bad = vec![
        Bad::invalid(
            "no payload",
            opening_event(|it| it.payload = None),
            &["changes[0].events[0].payload"],
        ),
        Bad::invalid(
            "no request_id",
            opening(|it| it.request_id.clear()),
            &["request_id"],
        ),
        Bad::invalid("no changes", opening(|it| it.changes.clear()), &["changes"]),
        Bad::invalid(
            "no case_id",
            opening(|it| it.changes[0].case_id.clear()),
            &["changes[0].case_id"],
        ),
        Bad::invalid(
            "no events",
            opening(|it| it.changes[0].events.clear()),
            &["changes[0].events"],
        ),
        Bad::invalid(
            "malformed request_id",
            opening(|it| it.request_id = MARKER.to_owned()),
            &["request_id"],
        ),
        Bad::invalid(
            "malformed case_id",
            opening(|it| it.changes[0].case_id = MARKER.to_owned()),
            &["changes[0].case_id"],
        ),
        Bad::invalid(
            "UUID without hyphens",
            opening(|it| it.request_id = fresh_uuid().simple().to_string()),
            &["request_id"],
        ),
        Bad::invalid(
            "nil UUID",
            opening(|it| it.request_id = "00000000-0000-0000-0000-000000000000".to_owned()),
            &["request_id"],
        ),
        Bad::invalid(
            "exact version 0",
            opening(|it| it.changes[0].expected = Some(Expected::ExactVersion(0))),
            &["changes[0].exact_version"],
        ),
        Bad::invalid(
            "no_case false",
            opening(|it| it.changes[0].expected = Some(Expected::NoCase(false))),
            &["changes[0].no_case"],
        ),
        Bad::invalid(
            "any false",
            opening(|it| it.changes[0].expected = Some(Expected::Any(false))),
            &["changes[0].any"],
        ),
        Bad::invalid(
            "a case twice in one submission",
            opening(|it| {
                let mut change = it.changes[0].clone();
                change.events[0].event_id = fresh_uuid().to_string();
                it.changes.push(change);
            }),
            &["changes[1].case_id"],
        ),
        Bad::invalid(
            "an event twice in one submission",
            opening(|it| {
                let event = it.changes[0].events[0].clone();
                it.changes[0].events.push(event);
            }),
            &["changes[0].events[1].event_id"],
        ),
        Bad::invalid(
            "everything missing at once",
            opening_event(|it| {
                *it = Event {
                    payload: it.payload.take(),
                    ..Event::default()
                }
            }),
            &[
                "changes[0].events[0].event_id",
                "changes[0].events[0].occurred",
                "changes[0].events[0].source",
                "changes[0].events[0].credibility",
            ],
        ),
        Bad::invalid(
            "a must-field of the payload missing",
            with_payload(Payload::DetentionAlleged(v1::DetentionAlleged::default())),
            &[
                "changes[0].events[0].detention_alleged.category",
                "changes[0].events[0].detention_alleged.place",
            ],
        ),
        Bad::invalid(
            "a must-field of a place missing",
            with_payload(Payload::RemainsReported(v1::RemainsReported {
                site: Some(v1::Place {
                    country: "XA".to_owned(),
                    ..Default::default()
                }),
            })),
            &["changes[0].events[0].remains_reported.site.place_id"],
        ),
        Bad::invalid(
            "malformed country and district",
            with_payload(Payload::RemainsReported(v1::RemainsReported {
                site: Some(v1::Place {
                    place_id: MARKER.to_owned(),
                    country: MARKER.to_owned(),
                    district: MARKER.to_owned(),
                    unknown: false,
                }),
            })),
            &[
                "changes[0].events[0].remains_reported.site.country",
                "changes[0].events[0].remains_reported.site.district",
            ],
        ),
        Bad::invalid(
            "a date of a payload malformed",
            with_payload(Payload::ProofOfLifeReceived(v1::ProofOfLifeReceived {
                date: format!("5 March, {MARKER}"),
                medium: v1::ProofOfLifeMedium::Letter.into(),
            })),
            &["changes[0].events[0].proof_of_life_received.date"],
        ),
        Bad::invalid(
            "visual recognition alone",
            with_payload(Payload::IdentificationEstablished(
                v1::IdentificationEstablished {
                    authority: MARKER.to_owned(),
                    methods: vec![v1::IdentificationMethod::Visual.into()],
                    secondary_combination_reference: String::new(),
                    report_reference: MARKER.to_owned(),
                    ..Default::default()
                },
            )),
            &[
                "changes[0].events[0].identification_established.secondary_combination_reference",
                "changes[0].events[0].identification_established.methods",
            ],
        ),
        Bad::invalid(
            "not voluntary",
            with_payload(Payload::VoluntarinessConfirmed(
                v1::VoluntarinessConfirmed {
                    free: Some(false),
                    informed: Some(true),
                    expressed: None,
                },
            )),
            &[
                "changes[0].events[0].voluntariness_confirmed.free",
                "changes[0].events[0].voluntariness_confirmed.expressed",
            ],
        ),
        Bad::invalid(
            "too many members of a household",
            with_payload(Payload::Departed(v1::Departed {
                movement: MARKER.to_owned(),
                members: limits::HOUSEHOLD_MEMBERS_MAX + 1,
            })),
            &["changes[0].events[0].departed.members"],
        ),
    ];
    type Fault = (&'static str, &'static [&'static str], fn(&mut Event));
    let fields: [Fault; 13] = [
        ("malformed event_id", &["event_id"], |it| {
            it.event_id = MARKER.to_owned()
        }),
        ("malformed causation_id", &["causation_id"], |it| {
            it.causation_id = MARKER.to_owned()
        }),
        ("malformed date", &["occurred"], |it| {
            it.occurred = MARKER.to_owned()
        }),
        ("a day that does not exist", &["occurred"], |it| {
            it.occurred = "2023-02-29".to_owned()
        }),
        ("an interval backwards", &["occurred"], |it| {
            it.occurred = "2024-03-09/2024-03-01".to_owned();
        }),
        ("a date ahead", &["occurred"], |it| {
            it.occurred = "9998-01-01".to_owned()
        }),
        ("malformed received_on", &["received_on"], |it| {
            it.received_on = MARKER.to_owned()
        }),
        ("received ahead", &["received_on"], |it| {
            it.received_on = "9998-01-01".to_owned()
        }),
        ("unknown credibility", &["credibility"], |it| {
            it.credibility = 77
        }),
        ("no credibility", &["credibility"], |it| it.credibility = 0),
        (
            "a source without its parts",
            &[
                "source.reference",
                "source.connection",
                "source.reliability",
            ],
            |it| it.source = Some(v1::Source::default()),
        ),
        ("a source with spaces", &["source.reference"], |it| {
            it.source.as_mut().unwrap().reference = format!("the witness {MARKER}");
        }),
        ("a source too long", &["source.reference"], |it| {
            it.source.as_mut().unwrap().reference =
                MARKER.repeat(limits::REFERENCE_BYTES_MAX / MARKER.len() + 1);
        }),
    ];
    for (name, paths, change) in fields {
        let paths: Vec<&str> = paths
            .iter()
            .map(|path| &*Box::leak(format!("{EVENT}.{path}").into_boxed_str()))
            .collect();
        bad.push(Bad::invalid(name, opening_event(change), &paths));
    }
    let mut unconfirmed = event(E::CaseClosed);
    unconfirmed.credibility = Credibility::Possible.into();
    bad.push(Bad::invalid(
        "a common event that is not confirmed",
        submission_of(vec![unconfirmed]),
        &["changes[0].events[0].credibility"],
    ));
    bad
}

pub fn personal_value() -> v1::PersonalValue {
    v1::PersonalValue {
        subject_id: fresh_uuid().to_string(),
        personal_class: v1::PersonalClass::Identity.into(),
        field: MARKER.to_owned(),
        value: Some(v1::personal_value::Value::Text(MARKER.to_owned())),
    }
}

pub fn oversize() -> Vec<Bad> {
    let padded = |bytes: usize| {
        let mut event = event(E::DetentionAlleged);
        event.source.as_mut().unwrap().reference = MARKER.repeat(bytes / MARKER.len());
        event
    };
    let change = |events: Vec<Event>| CaseChange {
        case_id: fresh_uuid().to_string(),
        expected: None,
        events,
    };
    let alleged = |_| event(E::DetentionAlleged);
    type Spoil = fn(&mut v1::PersonalValue);
    let personal = |name: &'static str, spoil: Spoil, paths: &'static [&'static str]| {
        let request = opening_event(|it| {
            let mut value = personal_value();
            value.field = "note".to_owned();
            spoil(&mut value);
            it.personal.push(value);
        });
        Bad::invalid(name, request, paths)
    };
    let coordinates = |value: &mut v1::PersonalValue| {
        let point = v1::Coordinates {
            latitude: 90.5,
            longitude: f64::NAN,
            radius_metres: -1.0,
            method: MARKER.to_owned(),
        };
        value.value = Some(v1::personal_value::Value::Coordinates(point));
    };
    let misplaced = Bad {
        reason: "PERSONAL_DATA_NOT_ACCEPTED",
        ..Bad::invalid(
            "a personal value in a replacement",
            {
                let mut event = event(E::EventCorrected);
                if let Some(Payload::EventCorrected(correction)) = &mut event.payload
                    && let Some(replacement) = &mut correction.replacement
                {
                    replacement.personal.push(personal_value());
                }
                submission_of(vec![event])
            },
            &["changes[0].events[0].event_corrected.replacement.personal"],
        )
    };
    vec![
        misplaced,
        personal(
            "a personal value that names nobody and no field",
            |it| {
                it.subject_id = MARKER.to_owned();
                it.field = MARKER.to_owned();
                it.personal_class = 77;
                it.value = None;
            },
            &[
                "changes[0].events[0].personal[0].subject_id",
                "changes[0].events[0].personal[0].personal_class",
                "changes[0].events[0].personal[0].field",
                "changes[0].events[0].personal[0].value",
            ],
        ),
        personal(
            "coordinates that are none",
            coordinates,
            &[
                "changes[0].events[0].personal[0].coordinates.latitude",
                "changes[0].events[0].personal[0].coordinates.longitude",
                "changes[0].events[0].personal[0].coordinates.radius_metres",
            ],
        ),
        personal(
            "an empty name",
            |it| it.value = Some(v1::personal_value::Value::Name(v1::PersonName::default())),
            &["changes[0].events[0].personal[0].name.parts"],
        ),
        Bad::too_large(
            "a personal value too large",
            opening_event(|it| {
                let mut value = personal_value();
                let text = MARKER.repeat(limits::PERSONAL_VALUE_BYTES_MAX / MARKER.len());
                value.value = Some(v1::personal_value::Value::Text(text));
                it.personal.push(value);
            }),
            "changes[0].events[0].personal[0]",
        ),
        Bad::too_large(
            "too many personal values",
            opening_event(|it| {
                let mut value = personal_value();
                value.field = "note".to_owned();
                it.personal = vec![value; limits::EVENT_PERSONAL_VALUES_MAX + 1];
            }),
            "changes[0].events[0].personal",
        ),
        Bad::too_large(
            "an event too large",
            submission_of(vec![padded(limits::EVENT_BYTES_MAX)]),
            "changes[0].events[0]",
        ),
        Bad::too_large(
            "a submission too large",
            submission_of((0..20).map(|_| padded(14_000)).collect()),
            "changes",
        ),
        Bad::too_large(
            "too many events",
            submission_of((0..=limits::SUBMISSION_EVENTS_MAX).map(alleged).collect()),
            "changes",
        ),
        Bad::too_large(
            "too many cases",
            opening(|it| {
                it.changes = (0..=limits::SUBMISSION_CASES_MAX)
                    .map(|_| change(vec![event(E::DetentionAlleged)]))
                    .collect();
            }),
            "changes",
        ),
    ]
}
