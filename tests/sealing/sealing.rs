//! What is sealed, under what, and what comes back.

use casetrail::wire::v1::{
    Coordinates, EventType as E, PersonIdentifier, PersonName, PersonNamePart, PersonNamePartKind,
    PersonalClass as Class, PersonalValue, event::Payload, personal_value::Value,
};
use tonic::Code;
use tonic_types::StatusExt;

use super::office::{Office, asking, one, subject, text, with_values};
use super::support::{event_with, replacement, valid_event};

fn reason(status: &tonic::Status) -> String {
    status.get_details_error_info().unwrap().reason
}

/// One value of each form, each of another class.
fn every_form(subject: &str) -> Vec<PersonalValue> {
    let of = |class: Class, field: &str, value| PersonalValue {
        subject_id: subject.to_owned(),
        personal_class: class.into(),
        field: field.to_owned(),
        value: Some(value),
    };
    let part = |text: &str, kind: PersonNamePartKind| PersonNamePart {
        text: text.to_owned(),
        language: "uk-Cyrl".to_owned(),
        kind: kind.into(),
        ..PersonNamePart::default()
    };
    vec![
        of(
            Class::Identity,
            "name",
            Value::Name(PersonName {
                parts: vec![
                    part("Олена", PersonNamePartKind::Given),
                    part("Зразок", PersonNamePartKind::Family),
                ],
            }),
        ),
        of(
            Class::Identifiers,
            "capture_card",
            Value::Identifier(PersonIdentifier {
                scheme: "capture-card".to_owned(),
                issuer: "XB".to_owned(),
                value: "0017".to_owned(),
            }),
        ),
        of(
            Class::Place,
            "grave",
            Value::Coordinates(Coordinates {
                latitude: -12.5,
                longitude: 77.25,
                radius_metres: 30.0,
                method: "map".to_owned(),
            }),
        ),
        of(Class::Health, "state", Value::Text("x".to_owned())),
        of(Class::Wishes, "wish", Value::Text("to return".to_owned())),
        of(Class::Narrative, "account", Value::Text("ö".repeat(3_000))),
    ]
}

#[tokio::test]
async fn every_form_of_value_comes_back_as_it_was_also_after_a_restart() {
    let mut office = Office::open().await;
    let (one, other) = (subject(), subject());
    let mut values = every_form(&one);
    values.extend(every_form(&other));
    let case_id = office.case_with(values.clone()).await;
    for _ in 0..2 {
        let opened = office.opened(&case_id).await;
        let opened: Vec<_> = opened
            .entries
            .into_iter()
            .map(|it| it.value.unwrap())
            .collect();
        assert!(opened == values);
        office.stop().await;
        office.start().await;
    }
}

#[tokio::test]
async fn a_stored_event_has_no_personal_value_and_a_sealed_one_tells_little_of_its_length() {
    let office = Office::open().await;
    let subject = subject();
    let (short, longer) = ("a".to_owned(), "b".repeat(20));
    let of = |value: &String| text(&subject, Class::Health, value);
    office
        .case_with(vec![of(&short), of(&longer), of(&short)])
        .await;
    let record = office.records().await.remove(0);
    assert!(record.event.unwrap().personal.is_empty());
    assert_eq!(record.sealed.len(), 1);
    let sealed = &record.sealed[0];
    assert_eq!(sealed.subject_id, subject);
    let lengths: Vec<_> = sealed.values.iter().map(|it| it.sealed.len()).collect();
    assert_eq!(lengths, [24 + 32 + 16; 3]);
    // Equal values are sealed to bytes that have nothing to do with one another.
    assert_ne!(sealed.values[0].sealed, sealed.values[2].sealed);
}

#[tokio::test]
async fn a_submission_sent_again_is_known_by_its_values_and_one_with_others_is_refused() {
    let mut office = Office::open().await;
    let subject = subject();
    let request = with_values(vec![text(&subject, Class::Identity, "born in May")]);
    let first = office.submit(request.clone()).await.unwrap();
    assert!(!first.replayed);
    office.stop().await;
    office.start().await;
    let again = office.submit(request.clone()).await.unwrap();
    assert!(again.replayed);
    assert_eq!(again.results, first.results);
    for other in [
        text(&subject, Class::Identity, "born in June"),
        text(&subject, Class::Narrative, "born in May"),
        text(&super::office::subject(), Class::Identity, "born in May"),
    ] {
        let mut altered = request.clone();
        altered.changes[0].events[0].personal = vec![other];
        let refused = office.submit(altered).await.unwrap_err();
        assert_eq!(reason(&refused), "REQUEST_ID_REUSED");
    }
    let mut without = request.clone();
    without.changes[0].events[0].personal.clear();
    let refused = office.submit(without).await.unwrap_err();
    assert_eq!(reason(&refused), "REQUEST_ID_REUSED");
}

#[tokio::test]
async fn values_of_one_case_are_those_of_its_events_and_can_be_chosen_from() {
    let office = Office::open().await;
    let (mother, child) = (subject(), subject());
    let case_id = office
        .case_with(vec![
            text(&mother, Class::Identity, "mother"),
            text(&child, Class::Identity, "child"),
            text(&child, Class::Health, "child's health"),
        ])
        .await;
    let mut visit = valid_event(E::VisitedAndRegistered);
    visit.personal = vec![text(&mother, Class::Wishes, "mother's wish")];
    office.submit(one(&case_id, visit)).await.unwrap();
    let other_case = office
        .case_with(vec![text(&child, Class::Identity, "elsewhere")])
        .await;

    let texts = |answer: casetrail::wire::v1::GetPersonalResponse| {
        let values = answer.entries.into_iter().map(|it| it.value.unwrap());
        values
            .map(|it| super::office::text_of(&it))
            .collect::<Vec<_>>()
    };
    let all = texts(office.ask(asking(&[&case_id])).await.unwrap());
    assert_eq!(all, ["mother", "child", "child's health", "mother's wish"]);
    let mut of_child = asking(&[&case_id, &other_case]);
    of_child.subject_ids = vec![child.clone()];
    assert_eq!(
        texts(office.ask(of_child.clone()).await.unwrap()),
        ["child", "child's health", "elsewhere"]
    );
    of_child.classes = vec![Class::Identity.into()];
    assert_eq!(
        texts(office.ask(of_child).await.unwrap()),
        ["child", "elsewhere"]
    );
    // Page by page it is the same.
    let mut paged = asking(&[&case_id, &other_case]);
    paged.page_size = 1;
    let mut collected = Vec::new();
    loop {
        let page = office.ask(paged.clone()).await.unwrap();
        paged.page_token.clone_from(&page.next_page_token);
        collected.extend(texts(page));
        if paged.page_token.is_empty() {
            break;
        }
    }
    let both = texts(office.ask(asking(&[&case_id, &other_case])).await.unwrap());
    assert_eq!(collected, both);
    assert_eq!(both.len(), 5);
}

#[tokio::test]
async fn a_server_without_keys_serves_all_but_personal_data() {
    let mut office = Office::open().await;
    let subject = subject();
    let case_id = office
        .case_with(vec![text(&subject, Class::Identity, "a name")])
        .await;
    let records = office.records().await;
    office.stop().await;
    let data = office.data();
    let mut without = Office::open_with(&["--without-keys"]).await;
    without.stop().await;
    without.try_start(&data, &[]).await.unwrap();
    assert_eq!(without.records().await, records);
    without.submit(with_values(vec![])).await.unwrap();
    let refused = without
        .submit(with_values(vec![text(&subject, Class::Identity, "b")]))
        .await;
    assert_eq!(reason(&refused.unwrap_err()), "NO_KEYS");
    let refused = without.ask(asking(&[&case_id])).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::FailedPrecondition, "NO_KEYS")
    );
}

#[tokio::test]
async fn a_correction_takes_personal_values_beside_its_replacement_and_not_in_it() {
    let office = Office::open().await;
    let subject = subject();
    let case_id = office
        .case_with(vec![text(&subject, Class::Identity, "misheard")])
        .await;
    let target = office.records().await[0].event.clone().unwrap().event_id;
    let mut corrected = valid_event(E::EventCorrected);
    let Some(Payload::EventCorrected(payload)) = &mut corrected.payload else {
        panic!()
    };
    payload.target_event_id = target;
    let mut instead = replacement(valid_event(E::DetentionAcknowledged));
    instead.personal = vec![text(&subject, Class::Identity, "planted")];
    payload.replacement = Some(Box::new(instead.clone()));
    let refused = office
        .submit(one(&case_id, corrected.clone()))
        .await
        .unwrap_err();
    assert_eq!(reason(&refused), "PERSONAL_DATA_NOT_ACCEPTED");
    let Some(Payload::EventCorrected(payload)) = &mut corrected.payload else {
        panic!()
    };
    instead.personal.clear();
    payload.replacement = Some(Box::new(instead));
    corrected.personal = vec![text(&subject, Class::Identity, "as it was")];
    office
        .submit(one(
            &case_id,
            event_with(corrected.payload.clone().unwrap()),
        ))
        .await
        .unwrap();
    let answer = office.opened(&case_id).await;
    // The value of the event that no longer counts says so.
    assert_eq!(answer.entries.len(), 1);
    assert!(answer.entries[0].voided);
}
