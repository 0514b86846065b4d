//! What a submission must be beyond its must-fields: limits, guards, identifiers, dates, privacy.

use casetrail::wire::{
    event_type, limits,
    v1::{self, EventType as Type, case_change::Expected as Sent, event::Payload},
    validate::{self, Expected, Invalid, Submission},
};
use proptest::prelude::*;
use prost::Message;

use crate::support::{
    event_with, fresh_uuid, place, replacement, submission_of, today, valid_event, valid_payload,
};

fn check(request: v1::SubmitEventsRequest) -> Result<Submission, Invalid> {
    validate::submission(request, today())
}

fn check_event(event: v1::Event) -> Result<Submission, Invalid> {
    check(submission_of(vec![event]))
}

fn check_payload(payload: Payload) -> Result<Submission, Invalid> {
    check_event(event_with(payload))
}

/// The paths of the violations, without the event's own.
fn fields(outcome: Result<Submission, Invalid>) -> Vec<String> {
    let violations = outcome.expect_err("it is refused").violations;
    let prefix = "changes[0].events[0].";
    violations
        .into_iter()
        .map(|it| it.field.replacen(prefix, "", 1))
        .collect()
}

fn filled(length: usize, request: &mut v1::SubmitEventsRequest) {
    // A text of any length in a field that bounds itself: only its length matters here.
    for _ in 0..4 {
        let missing = length as i64 - request.encoded_len() as i64;
        let occurred = &mut request.changes[0].events[0].occurred;
        *occurred = "x".repeat((occurred.len() as i64 + missing) as usize);
    }
    assert_eq!(request.encoded_len(), length);
}

#[test]
fn a_valid_submission_tells_what_it_holds() {
    let mut request = submission_of(vec![valid_event(Type::Released)]);
    request.changes[0].expected = Some(Sent::ExactVersion(7));
    let submission = check(request.clone()).unwrap();
    assert_eq!(submission.request_id.to_string(), request.request_id);
    assert_eq!(submission.encoded_len, request.encoded_len());
    let change = &submission.changes[0];
    assert_eq!(change.case_id.to_string(), request.changes[0].case_id);
    assert_eq!(change.expected, Expected::Version(7));
    let event = &change.events[0];
    assert_eq!(event.event(), &request.changes[0].events[0]);
    assert_eq!(
        event.event_id().to_string(),
        request.changes[0].events[0].event_id
    );
    assert_eq!(event.credibility(), v1::Credibility::Confirmed);
    assert_eq!(event.days().latest.to_string(), "2024-03-05");
    assert!(matches!(event.event().payload, Some(Payload::Released(_))));
}

#[test]
fn expectations_are_read_and_false_ones_refused() {
    let mut request = submission_of(vec![valid_event(Type::Escaped)]);
    for (sent, expected) in [
        (None, Expected::Any),
        (Some(Sent::Any(true)), Expected::Any),
        (Some(Sent::NoCase(true)), Expected::NoCase),
        (Some(Sent::ExactVersion(1)), Expected::Version(1)),
    ] {
        request.changes[0].expected = sent;
        assert_eq!(
            check(request.clone()).unwrap().changes[0].expected,
            expected
        );
    }
    for (sent, field) in [
        (Sent::Any(false), "changes[0].any"),
        (Sent::NoCase(false), "changes[0].no_case"),
        (Sent::ExactVersion(0), "changes[0].exact_version"),
    ] {
        request.changes[0].expected = Some(sent);
        assert_eq!(fields(check(request.clone())), [field]);
    }
}

#[test]
fn limits_hold_at_and_above_them() {
    let events = |count| {
        (0..count)
            .map(|_| valid_event(Type::Escaped))
            .collect::<Vec<_>>()
    };
    assert!(check(submission_of(events(limits::SUBMISSION_EVENTS_MAX))).is_ok());
    let invalid = check(submission_of(events(limits::SUBMISSION_EVENTS_MAX + 1))).unwrap_err();
    assert_eq!(invalid.reason, validate::TOO_LARGE);
    assert_eq!(invalid.violations[0].field, "changes");

    let cases = |count: usize| {
        let mut request = submission_of(vec![]);
        request.changes = (0..count)
            .flat_map(|_| submission_of(events(1)).changes)
            .collect();
        request
    };
    assert!(check(cases(limits::SUBMISSION_CASES_MAX)).is_ok());
    let invalid = check(cases(limits::SUBMISSION_CASES_MAX + 1)).unwrap_err();
    assert_eq!(invalid.reason, validate::TOO_LARGE);

    let mut request = submission_of(events(2));
    filled(limits::SUBMISSION_BYTES_MAX + 1, &mut request);
    let invalid = check(request).unwrap_err();
    assert_eq!(invalid.reason, validate::TOO_LARGE);
    assert!(
        invalid.violations[0].description.contains("262145 bytes"),
        "{invalid}"
    );
}

#[test]
fn an_event_is_too_large_above_16_kib() {
    let labels = |length: usize| {
        let mut event = valid_event(Type::RemainsSplit);
        let Some(Payload::RemainsSplit(split)) = &mut event.payload else {
            panic!()
        };
        split.labels = (0..100).map(|index| format!("{index:0128}")).collect();
        let text = length - event.encoded_len();
        event.causation_id = "x".repeat(text + event.causation_id.len());
        while event.encoded_len() > length {
            event.causation_id.pop();
        }
        assert_eq!(event.encoded_len(), length);
        check_event(event).unwrap_err()
    };
    let at_limit = labels(limits::EVENT_BYTES_MAX);
    assert_eq!(
        (at_limit.reason, at_limit.violations.len()),
        (validate::INVALID_FIELDS, 1)
    );
    let above = labels(limits::EVENT_BYTES_MAX + 1);
    assert_eq!(above.reason, validate::TOO_LARGE);
    assert_eq!(above.violations[0].field, "changes[0].events[0]");
}

#[test]
fn an_empty_submission_is_refused() {
    let mut request = submission_of(vec![]);
    assert_eq!(fields(check(request.clone())), ["changes[0].events"]);
    request.changes.clear();
    assert_eq!(fields(check(request)), ["changes"]);
    let mut event = valid_event(Type::Escaped);
    event.payload = None;
    assert_eq!(fields(check_event(event)), ["payload"]);
}

#[test]
fn identifiers_are_hyphenated_uuids_in_either_case_and_stored_in_lower_case() {
    let plain = "018e0b5c-7a40-7cc1-8f00-0123456789ab";
    let mut event = valid_event(Type::EventDisputed);
    event.event_id = plain.to_uppercase();
    event.causation_id = plain.to_uppercase();
    event.payload = Some(Payload::EventDisputed(v1::EventDisputed {
        target_event_id: plain.to_uppercase(),
    }));
    let mut request = submission_of(vec![event.clone()]);
    request.changes[0].case_id = plain.to_uppercase();
    let submission = check(request).unwrap();
    assert_eq!(submission.changes[0].case_id.to_string(), plain);
    let stored = submission.changes[0].events[0].event();
    assert_eq!(
        (stored.event_id.as_str(), stored.causation_id.as_str()),
        (plain, plain)
    );
    let Some(Payload::EventDisputed(disputed)) = &stored.payload else {
        panic!()
    };
    assert_eq!(disputed.target_event_id, plain);

    for text in [
        "018e0b5c7a407cc18f000123456789ab",
        "{018e0b5c-7a40-7cc1-8f00-0123456789ab}",
        "urn:uuid:018e0b5c-7a40-7cc1-8f00-0123456789ab",
        "00000000-0000-0000-0000-000000000000",
        "018e0b5c-7a40-7cc1-8f00-0123456789a",
        "018e0b5c-7a40-7cc1-8f00-0123456789ag",
        " 018e0b5c-7a40-7cc1-8f00-0123456789ab",
        "Ivan",
        "",
    ] {
        event.event_id = text.to_owned();
        assert_eq!(fields(check_event(event.clone())), ["event_id"], "{text}");
        assert!(validate::uuid("case_id", text).is_err(), "{text}");
    }
}

#[test]
fn an_identifier_stands_once_in_a_submission() {
    let mut second = valid_event(Type::Escaped);
    let first = valid_event(Type::Escaped);
    second.event_id = first.event_id.to_uppercase();
    let invalid = check(submission_of(vec![first, second])).unwrap_err();
    assert_eq!(invalid.violations[0].field, "changes[0].events[1].event_id");
    assert!(
        invalid.violations[0]
            .description
            .contains("changes[0].events[0].event_id")
    );

    let mut request = submission_of(vec![valid_event(Type::Escaped)]);
    let mut other = submission_of(vec![valid_event(Type::Escaped)])
        .changes
        .remove(0);
    other.case_id = request.changes[0].case_id.to_uppercase();
    request.changes.push(other);
    let invalid = check(request).unwrap_err();
    assert_eq!(invalid.violations[0].field, "changes[1].case_id");
    assert!(
        invalid.violations[0]
            .description
            .contains("put its events into one change")
    );
}

#[test]
fn an_event_names_another_case_than_its_own() {
    for event_type in [Type::MatchHypothesised, Type::RemainsReassociated] {
        let mut request = submission_of(vec![valid_event(event_type)]);
        let case_id = request.changes[0].case_id.clone();
        match &mut request.changes[0].events[0].payload {
            Some(Payload::MatchHypothesised(it)) => it.candidate_case_id = case_id.to_uppercase(),
            Some(Payload::RemainsReassociated(it)) => it.into_case_id = case_id,
            _ => panic!(),
        }
        assert_eq!(fields(check(request)).len(), 1);
    }
}

#[test]
fn references_take_every_script_and_no_text() {
    for text in [
        "a",
        "A-1_b.c:d/e#f+g",
        "лагерь-7",
        "معسكر٣",
        "मुक्ति-२",
        "营地1",
        "Ωμέγα",
        "บ้านใหม่",
        "e\u{301}cole",
        "ශ්‍රී"
            .trim_matches('\u{200d}')
            .replace('\u{200d}', "")
            .as_str(),
        &"x".repeat(128),
        &"я".repeat(64),
    ] {
        assert_eq!(validate::reference("actor", text), Ok(()), "{text}");
    }
    for text in [
        "",
        "a b",
        "a\u{a0}b",
        "a\u{200b}b",
        "a\u{202e}b",
        "a\n",
        "a,b",
        "a@b",
        "\"",
        "<x>",
        "a\0",
        "😀",
        &"x".repeat(129),
        &"я".repeat(65),
    ] {
        let violation = validate::reference("actor", text).expect_err(text);
        assert_eq!(violation.field, "actor");
    }
}

#[test]
fn a_place_is_named_or_unknown_and_not_both() {
    let with = |change: fn(&mut v1::Place)| {
        let mut place = place().unwrap();
        change(&mut place);
        check_payload(Payload::HospitalAdmitted(v1::HospitalAdmitted {
            place: Some(place),
        }))
    };
    assert!(
        with(|place| *place = v1::Place {
            unknown: true,
            ..Default::default()
        })
        .is_ok()
    );
    assert!(with(|place| place.district = "A1".into()).is_ok());
    assert!(with(|place| place.district = "ABCDEFGH12345678".into()).is_ok());
    let path = |field: &str| vec![format!("hospital_admitted.place.{field}")];
    assert_eq!(fields(with(|place| place.unknown = true)), path("unknown"));
    assert_eq!(
        fields(with(|place| place.place_id = "the old mill".into())),
        path("place_id")
    );
    for country in ["xa", "X", "XAA", "Xa", "X1", "ХА"] {
        let mut place = place().unwrap();
        place.country = country.to_owned();
        let payload = v1::HospitalAdmitted { place: Some(place) };
        assert_eq!(
            fields(check_payload(Payload::HospitalAdmitted(payload))),
            path("country")
        );
    }
    for district in ["A", "ABCDEFGH123456789", "xa01", "XA 01", "XA-1"] {
        let mut place = place().unwrap();
        place.district = district.to_owned();
        let payload = v1::HospitalAdmitted { place: Some(place) };
        assert_eq!(
            fields(check_payload(Payload::HospitalAdmitted(payload))),
            path("district")
        );
    }
}

#[test]
fn an_identification_needs_a_primary_method_or_a_documented_combination() {
    use v1::IdentificationMethod::{Dental, Dna, Marks, PersonalEffects as Effects, Visual};
    let outcome = |methods: &[v1::IdentificationMethod], combination: &str| {
        check_payload(Payload::IdentificationEstablished(
            v1::IdentificationEstablished {
                authority: "authority".to_owned(),
                methods: methods.iter().map(|&method| method.into()).collect(),
                secondary_combination_reference: combination.to_owned(),
                report_reference: "report".to_owned(),
                ..Default::default()
            },
        ))
    };
    let methods = "identification_established.methods";
    let combination = "identification_established.secondary_combination_reference";
    assert!(outcome(&[Dna], "").is_ok());
    assert!(outcome(&[Visual, Dental], "").is_ok());
    assert!(outcome(&[Marks, Effects], "combined-1").is_ok());
    assert_eq!(fields(outcome(&[Marks, Effects], "")), [combination]);
    assert_eq!(fields(outcome(&[Visual], "combined-1")), [methods]);
    assert_eq!(fields(outcome(&[Visual], "")), [combination, methods]);
    let twice = fields(outcome(&[Visual, Visual], "combined-1"));
    assert_eq!(twice, [format!("{methods}[1]"), methods.to_owned()]);
    assert_eq!(fields(outcome(&[Dna], "not a reference")), [combination]);
}

#[test]
fn a_return_is_voluntary_only_where_all_three_are_true() {
    for (free, informed, expressed, field) in [
        (Some(false), Some(true), Some(true), "free"),
        (Some(true), Some(false), Some(true), "informed"),
        (Some(true), Some(true), None, "expressed"),
    ] {
        let payload = v1::VoluntarinessConfirmed {
            free,
            informed,
            expressed,
        };
        let outcome = check_payload(Payload::VoluntarinessConfirmed(payload));
        assert_eq!(
            fields(outcome),
            [format!("voluntariness_confirmed.{field}")]
        );
    }
}

#[test]
fn a_common_event_is_confirmed_and_any_other_need_not_be() {
    for &event_type in event_type::ALL {
        let mut event = valid_event(event_type);
        event.credibility = v1::Credibility::Likely.into();
        let outcome = check_event(event);
        match i32::from(event_type) {
            101..=199 => assert_eq!(fields(outcome), ["credibility"], "{event_type:?}"),
            _ => assert!(outcome.is_ok(), "{event_type:?}"),
        }
    }
}

#[test]
fn a_replacement_is_an_event_of_a_kind_without_what_belongs_to_the_recording() {
    let correct = |event: v1::Event| {
        fields(check_payload(Payload::EventCorrected(Box::new(
            v1::EventCorrected {
                target_event_id: fresh_uuid().to_string(),
                replacement: Some(Box::new(event)),
                reason: v1::CorrectionReason::Other.into(),
            },
        ))))
    };
    let at = |field: &str| [format!("event_corrected.replacement.{field}")];
    let told = || replacement(valid_event(Type::Released));
    let named = v1::Event {
        event_id: fresh_uuid().to_string(),
        ..told()
    };
    assert_eq!(correct(named), at("event_id"));
    let caused = v1::Event {
        causation_id: fresh_uuid().to_string(),
        ..told()
    };
    assert_eq!(correct(caused), at("causation_id"));
    let personal = v1::Event {
        personal: vec![v1::PersonalValue::default()],
        ..told()
    };
    assert_eq!(correct(personal), at("personal"));
    let ahead = v1::Event {
        occurred: "2024-06-09".to_owned(),
        ..told()
    };
    assert_eq!(correct(ahead), at("occurred"));
    for event_type in [Type::CaseClosed, Type::EventCorrected, Type::EventRetracted] {
        let field = event_type::field_name(event_type);
        assert_eq!(correct(replacement(valid_event(event_type))), at(field));
    }
    let hearsay = v1::Event {
        credibility: v1::Credibility::Possible.into(),
        received_on: String::new(),
        ..told()
    };
    let correction = v1::EventCorrected {
        target_event_id: fresh_uuid().to_string(),
        replacement: Some(Box::new(hearsay)),
        reason: v1::CorrectionReason::Other.into(),
    };
    assert!(check_payload(Payload::EventCorrected(Box::new(correction))).is_ok());
}

#[test]
fn nothing_has_happened_later_than_a_day_ahead_but_plans_may() {
    let occurred = |text: &str| {
        let mut event = valid_event(Type::Escaped);
        event.occurred = text.to_owned();
        check_event(event)
    };
    assert!(occurred("2024-06-02").is_ok());
    assert!(occurred("2024-06-02/..").is_ok());
    assert!(occurred("2024").is_ok());
    assert!(occurred("../2030").is_ok());
    for text in [
        "2024-06-03",
        "2024-07",
        "2025",
        "2024-06-03/..",
        "2024-06-03T00:00:00Z",
    ] {
        assert_eq!(fields(occurred(text)), ["occurred"], "{text}");
    }

    let received = |text: &str| {
        let mut event = valid_event(Type::Escaped);
        event.received_on = text.to_owned();
        check_event(event)
    };
    assert!(received("2024-06-02").is_ok());
    for text in [
        "2024-06-03",
        "2024-06",
        "2024-06-01?",
        "2024-06-31",
        "1.6.2024",
    ] {
        assert_eq!(fields(received(text)), ["received_on"], "{text}");
    }

    let informed = |date: &str| {
        check_payload(Payload::FamilyInformed(v1::FamilyInformed {
            date: date.to_owned(),
        }))
    };
    assert_eq!(fields(informed("2024-06-03")), ["family_informed.date"]);
    let scheduled = |date: &str| {
        let Payload::ReturnScheduled(mut it) = valid_payload(Type::ReturnScheduled) else {
            panic!()
        };
        it.date = date.to_owned();
        check_payload(Payload::ReturnScheduled(it))
    };
    assert!(scheduled("2031-05").is_ok());
    assert_eq!(fields(scheduled("soon")), ["return_scheduled.date"]);
}

#[test]
fn numbers_and_lists_have_their_ranges() {
    for (members, valid) in [(0, false), (1, true), (1_000, true), (1_001, false)] {
        let payload = Payload::HouseholdSplit(v1::HouseholdSplit { members });
        assert_eq!(check_payload(payload).is_ok(), valid, "{members}");
    }
    let labels = |labels: Vec<String>| {
        let basis = v1::IdentificationMethod::Dna.into();
        check_payload(Payload::RemainsSplit(v1::RemainsSplit { labels, basis }))
    };
    let numbered = |count: usize| (0..count).map(|index| format!("label-{index}")).collect();
    assert!(labels(numbered(100)).is_ok());
    assert_eq!(fields(labels(numbered(101))), ["remains_split.labels"]);
    assert_eq!(
        fields(labels(vec!["a".into(), "a".into()])),
        ["remains_split.labels[1]"]
    );
    assert_eq!(
        fields(labels(vec!["a".into(), " ".into()])),
        ["remains_split.labels[1]"]
    );

    let scores = |criteria: &[i32]| {
        let score = |&criterion| v1::CriterionScore {
            criterion,
            rating: 1,
        };
        let criteria = criteria.iter().map(score).collect();
        check_payload(Payload::ReturnMonitored(v1::ReturnMonitored { criteria }))
    };
    assert!(scores(&[1, 2, 3, 4, 5, 6, 7, 8]).is_ok());
    assert_eq!(
        fields(scores(&[1, 1])),
        ["return_monitored.criteria[1].criterion"]
    );
    assert_eq!(
        fields(scores(&[9])),
        ["return_monitored.criteria[0].criterion"]
    );
    let drivers = |drivers: &[i32]| {
        check_payload(Payload::ReDisplaced(v1::ReDisplaced {
            drivers: drivers.to_vec(),
        }))
    };
    assert_eq!(fields(drivers(&[2, 2])), ["re_displaced.drivers[1]"]);
    assert_eq!(fields(drivers(&[0])), ["re_displaced.drivers[0]"]);
}

#[test]
fn all_violations_are_told_up_to_a_limit() {
    let mut event = valid_event(Type::Arrived);
    event.event_id.clear();
    event.occurred.clear();
    event.source = None;
    event.credibility = 0;
    event.payload = Some(Payload::Arrived(v1::Arrived::default()));
    let told = fields(check_event(event));
    let expected = [
        "event_id",
        "occurred",
        "source",
        "credibility",
        "arrived.destination",
        "arrived.place",
    ];
    assert_eq!(told, expected);

    let many = check(submission_of(vec![v1::Event::default(); 100])).unwrap_err();
    assert_eq!(many.violations.len(), limits::VIOLATIONS_MAX);
}

#[test]
fn the_digest_tells_submissions_apart_by_their_content_alone() {
    let request = submission_of(vec![valid_event(Type::Escaped), valid_event(Type::Arrived)]);
    let digest = |request: &v1::SubmitEventsRequest| check(request.clone()).unwrap().digest;
    let original = digest(&request);

    let mut same = request.clone();
    same.request_id = fresh_uuid().to_string();
    same.changes[0].case_id.make_ascii_uppercase();
    same.changes[0].events[0].event_id.make_ascii_uppercase();
    same.changes[0].expected = None;
    assert_eq!(digest(&same), original);

    let altered: [fn(&mut v1::CaseChange); 4] = [
        |change| change.events.swap(0, 1),
        |change| change.expected = Some(Sent::NoCase(true)),
        |change| change.events[1].occurred = "2024-03-04".to_owned(),
        |change| drop(change.events.pop()),
    ];
    for alter in altered {
        let mut other = request.clone();
        alter(&mut other.changes[0]);
        assert_ne!(digest(&other), original);
    }
}

#[test]
fn the_digest_stays_what_it_is_since_it_is_stored() {
    let mut event = event_with(Payload::VisitedAndRegistered(v1::VisitedAndRegistered {
        visiting_organisation: "organisation".to_owned(),
        place: place(),
        in_private: Some(false),
    }));
    event.event_id = "018e0b5c-7a40-7cc1-8f00-0123456789ab".to_owned();
    event.causation_id.clear();
    let mut request = submission_of(vec![event]);
    request.changes[0].case_id = "018e0b5c-7a40-7cc1-8f00-0123456789ac".to_owned();
    request.changes[0].expected = Some(Sent::ExactVersion(300));
    let digest = check(request).unwrap().digest;
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        digest,
        "5307ba86ca088cf82dde76c0701ea736c15894540faa1d11e5630a2b2e873276"
    );
}

proptest! {
    #[test]
    fn no_bytes_make_validation_panic(
        kind in 0..event_type::ALL.len(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let request = submission_of(vec![valid_event(event_type::ALL[kind])]);
        let mut bytes = request.encode_to_vec();
        for (index, byte) in flips {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        if let Ok(request) = v1::SubmitEventsRequest::decode(bytes.as_slice()) {
            let _ = check(request);
        }
    }
}
