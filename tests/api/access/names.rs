//! Search by name: in several orders, scripts and romanisations, by those who may, of those who are still
//! there; and each search is recorded.

use casetrail::wire::v1::{
    self, Disclosure, DisclosurePurpose, ErasureGround, ErasureRequested, EventRetracted,
    EventType as E, ListDisclosuresRequest, NameMatchKind, PersonName, PersonNamePart,
    PersonalClass as Class, PersonalValue, RetractionReason, Role, SearchByNameRequest,
    SearchByNameResponse, event::Payload, personal_value::Value,
};
use tonic::{Code, Status};

use super::world::{Caller, World, reason};
use crate::practice::words::{Telling, an, fact};
use crate::support::{event_with, fresh_uuid};
use crate::together::{change, submission};

fn value(subject: &str, class: Class, field: &str, value: Value) -> PersonalValue {
    PersonalValue {
        subject_id: subject.to_owned(),
        personal_class: class.into(),
        field: field.to_owned(),
        value: Some(value),
    }
}

/// A name in parts, each with its romanisation, or none.
pub fn named(subject: &str, parts: &[(&str, &str)]) -> PersonalValue {
    let parts = parts.iter().map(|(text, romanisation)| PersonNamePart {
        text: (*text).to_owned(),
        romanisation: (*romanisation).to_owned(),
        ..PersonNamePart::default()
    });
    let parts = parts.collect();
    let name = Value::Name(PersonName { parts });
    value(subject, Class::Identity, "name", name)
}

fn born(subject: &str, date: &str) -> PersonalValue {
    let date = Value::Text(date.to_owned());
    value(subject, Class::Identity, "birth_date", date)
}

/// Opens a case with these values; its case_id and the event's event_id.
pub async fn opened(caller: &Caller, values: Vec<PersonalValue>) -> (String, String) {
    let mut event = an(E::DetentionAcknowledged).on("2024-03-01");
    event.personal = values;
    let (case_id, event_id) = (fresh_uuid().to_string(), event.event_id.clone());
    let opening = submission(vec![change(&case_id, vec![event])]);
    caller.submit(opening).await.unwrap();
    (case_id, event_id)
}

fn asking(parts: &[&str]) -> SearchByNameRequest {
    SearchByNameRequest {
        name_parts: parts.iter().map(|part| (*part).to_owned()).collect(),
        birth_year: 0,
        purpose: DisclosurePurpose::Tracing.into(),
        purpose_reference: "inquiry-7".to_owned(),
    }
}

async fn search(
    caller: &Caller,
    request: SearchByNameRequest,
) -> Result<SearchByNameResponse, Status> {
    let answer = caller.personal().search_by_name(request).await;
    answer.map(tonic::Response::into_inner)
}

/// The subjects that are found, and how.
pub async fn found(caller: &Caller, parts: &[&str]) -> Vec<(String, NameMatchKind)> {
    let answer = search(caller, asking(parts)).await.unwrap();
    let matches = answer.matches.into_iter();
    matches
        .map(|matching| (matching.subject_id.clone(), matching.kind()))
        .collect()
}

async fn disclosures(caller: &Caller, subject: &str) -> Vec<Disclosure> {
    let request = ListDisclosuresRequest {
        subject_id: subject.to_owned(),
        ..ListDisclosuresRequest::default()
    };
    let listed = caller.personal().list_disclosures(request).await.unwrap();
    listed.into_inner().disclosures
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_19_a_name_in_two_scripts_reversed_with_a_birth_year_alone_is_found() {
    let world = World::start().await;
    let worker = world.caller("worker-1", Role::CaseWorker, "org-1").await;
    // Given a person whose name was written in Cyrillic, and later in Latin letters the other way round,
    // and of whose birth the year alone is known.
    let subject = fresh_uuid().to_string();
    let values = vec![
        named(&subject, &[("Олена", ""), ("Зразкова", "")]),
        named(&subject, &[("Zrazkova", ""), ("Olena", "")]),
        born(&subject, "1987"),
    ];
    let (case_id, _) = opened(&worker, values).await;
    let other = fresh_uuid().to_string();
    let values = vec![
        named(&other, &[("Олена", ""), ("Зразкова", "")]),
        born(&other, "1991-02-03"),
    ];
    opened(&worker, values).await;
    for (parts, kind) in [
        (["Zrazkova", "Olena"], NameMatchKind::Exact),
        (["OLENA", "zrazkova"], NameMatchKind::Exact),
        (["ЗРАЗКОВА", "олена"], NameMatchKind::Exact),
        // Half of one writing and half of the other is no name that was given.
        (["Zrazkova", "Олена"], NameMatchKind::Approximate),
        (["Srazkowa", "Olena"], NameMatchKind::Unspecified),
        (["Zrazkowa", "Olèna"], NameMatchKind::Approximate),
    ] {
        // When somebody searches in either script, in any order, with the year,
        let mut request = asking(&parts);
        request.birth_year = 1987;
        let answer = search(&worker, request).await.unwrap();
        // then that person is found, and nobody who was born in another year.
        let told: Vec<_> = answer
            .matches
            .iter()
            .map(|it| (it.case_id.as_str(), it.subject_id.as_str(), it.kind()))
            .collect();
        let expected = (case_id.as_str(), subject.as_str(), kind);
        let is_found = kind != NameMatchKind::Unspecified;
        assert_eq!(
            told,
            Vec::from_iter(is_found.then_some(expected)),
            "{parts:?}"
        );
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_found_over_scripts_exactly_where_written_so_and_approximately_where_they_sound_so()
 {
    use NameMatchKind::{Approximate, Exact};
    let world = World::start().await;
    let worker = world.caller("worker-1", Role::CaseWorker, "org-1").await;
    let name = |parts: &'static [(&str, &str)]| {
        let subject = fresh_uuid().to_string();
        let values = vec![named(&subject, parts)];
        (subject, values)
    };
    let (cyrillic, values) = name(&[("Юрий", ""), ("Жуков", "Joukov")]);
    opened(&worker, values).await;
    let (arabic, values) = name(&[("محمد", ""), ("الحسن", "")]);
    opened(&worker, values).await;
    let (greek, values) = name(&[("Γεώργιος", ""), ("Παπαδόπουλος", "")]);
    opened(&worker, values).await;
    let (latin, values) = name(&[("José", ""), ("Müller-Straß", "")]);
    opened(&worker, values).await;
    for (parts, subject, kind) in [
        (&["жуков", "юрий"][..], &cyrillic, Exact),
        // As it was given in Latin letters.
        (&["joukov"], &cyrillic, Exact),
        (&["Yuri", "Zhukov"], &cyrillic, Approximate),
        (&["Schukow", "Jurij"], &cyrillic, Approximate),
        (&["مُحَمَّد"], &arabic, Exact),
        (&["Hassan Mohamed"], &arabic, Approximate),
        (&["Muhammad", "al-Hasan"], &arabic, Approximate),
        (&["ΠΑΠΑΔΟΠΟΥΛΟΣ"], &greek, Exact),
        (&["Papadopoulos", "Georgios"], &greek, Approximate),
        (&["strass", "JOSE", "muller"], &latin, Exact),
        (&["Mueller", "Jose"], &latin, Approximate),
    ] {
        assert_eq!(
            found(&worker, parts).await,
            [(subject.clone(), kind)],
            "{parts:?}"
        );
    }
    assert_eq!(found(&worker, &["Papadopoulos", "Yuri"]).await, []);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_found_in_a_case_out_of_sight_and_each_search_is_recorded_without_the_name() {
    let world = World::start().await;
    let worker = world.caller("worker-1", Role::CaseWorker, "org-1").await;
    let supervisor = world
        .caller("supervisor-1", Role::Supervisor, "org-1")
        .await;
    let forensic = world.caller("forensic-1", Role::Forensic, "org-1").await;
    let stranger = world.caller("worker-2", Role::CaseWorker, "org-2").await;
    let auditor = world.caller("auditor-1", Role::Auditor, "org-3").await;
    let subject = fresh_uuid().to_string();
    let values = vec![named(&subject, &[("Zorvinka", "")])];
    let (case_id, _) = opened(&worker, values).await;
    assert_eq!(found(&stranger, &["Zorvinka"]).await, []);
    // A case of a kind that the role does not see.
    assert_eq!(found(&forensic, &["Zorvinka"]).await, []);
    let answer = search(&supervisor, asking(&["Zorvinka"])).await.unwrap();
    assert_eq!(answer.matches[0].case_id, case_id);
    let status = search(&auditor, asking(&["Zorvinka"])).await.unwrap_err();
    assert_eq!(reason(&status), "NOT_PERMITTED");

    // The one that found somebody is told to who sees the case, and the others to the auditor alone.
    let told = disclosures(&supervisor, "").await;
    assert_eq!(told, disclosures(&supervisor, &subject).await);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].number, answer.disclosure);
    assert_eq!(
        (told[0].actor.as_str(), told[0].name_search),
        ("supervisor-1", true)
    );
    assert_eq!(told[0].purpose(), DisclosurePurpose::Tracing);
    let values = &told[0].values[0];
    assert_eq!(
        (&values.case_id, &values.subject_id, values.count),
        (&case_id, &subject, 1)
    );
    let told = disclosures(&auditor, "").await;
    let actors: Vec<_> = told.iter().map(|told| told.actor.as_str()).collect();
    assert_eq!(actors, ["worker-2", "forensic-1", "supervisor-1"]);
    assert!(!format!("{told:?}").contains("Zorvinka"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_longer_counts_or_is_no_name_or_was_erased_finds_nobody() {
    let world = World::start().await;
    let worker = world.caller("worker-1", Role::CaseWorker, "org-1").await;
    let supervisor = world
        .caller("supervisor-1", Role::Supervisor, "org-1")
        .await;
    let (one, other) = (fresh_uuid().to_string(), fresh_uuid().to_string());
    let told = Value::Text("told by Ostrowska".to_owned());
    let values = vec![
        named(&one, &[("Zorvinka", "")]),
        named(&other, &[("Zorvinka", "")]),
        value(&one, Class::Narrative, "account", told),
    ];
    let (case_id, _) = opened(&worker, values).await;
    assert_eq!(found(&worker, &["Ostrowska"]).await, []);
    assert_eq!(found(&worker, &["Zorvinka"]).await.len(), 2);

    // A name that came with an event which was taken back.
    let mut visited = an(E::VisitedAndRegistered).on("2024-03-02");
    visited.personal = vec![named(&one, &[("Ostrowska", "")])];
    let visit = visited.event_id.clone();
    let record = |event| submission(vec![change(&case_id, vec![event])]);
    worker.submit(record(visited)).await.unwrap();
    assert_eq!(found(&worker, &["Ostrowska"]).await.len(), 1);
    assert_eq!(found(&worker, &["Ostrowska", "Zorvinka"]).await.len(), 1);
    let retracted = event_with(Payload::EventRetracted(EventRetracted {
        target_event_id: visit,
        reason: RetractionReason::EnteredByMistake.into(),
    }));
    supervisor.submit(record(retracted)).await.unwrap();
    assert_eq!(found(&worker, &["Ostrowska"]).await, []);
    assert_eq!(found(&worker, &["Zorvinka"]).await.len(), 2);

    // Somebody whose data was erased: from the answer to the erasure on.
    let requested = fact(Payload::ErasureRequested(ErasureRequested {
        subject_id: one.clone(),
        ground: ErasureGround::SubjectRequest.into(),
        ..ErasureRequested::default()
    }));
    let request_event_id = requested.event_id.clone();
    worker
        .submit(record(requested.on("2024-03-03")))
        .await
        .unwrap();
    let executed = event_with(Payload::ErasureExecuted(v1::ErasureExecuted {
        request_event_id,
        subject_id: one.clone(),
        ..v1::ErasureExecuted::default()
    }));
    supervisor.submit(record(executed)).await.unwrap();
    let left = found(&worker, &["Zorvinka"]).await;
    assert_eq!(left, [(other, NameMatchKind::Exact)]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_tells_at_most_a_hundred_and_that_there_are_more_the_exact_ones_first() {
    let world = World::start().await;
    let worker = world.caller("worker-1", Role::CaseWorker, "org-1").await;
    for name in ["Zorwinka", "Zorwinka", "Zorvinka"] {
        let subjects = (0..50).map(|_| fresh_uuid().to_string());
        let values = subjects.map(|subject| named(&subject, &[(name, "")]));
        opened(&worker, values.collect()).await;
    }
    let answer = search(&worker, asking(&["Zorvinka"])).await.unwrap();
    let kinds: Vec<_> = answer.matches.iter().map(|it| it.kind()).collect();
    assert!(answer.more);
    assert_eq!(kinds.len(), 100);
    assert!(kinds[..50].iter().all(|kind| *kind == NameMatchKind::Exact));
    assert!(
        kinds[50..]
            .iter()
            .all(|kind| *kind == NameMatchKind::Approximate)
    );
    let answer = search(&worker, asking(&["Zorvinka", "Maria"]))
        .await
        .unwrap();
    assert_eq!((answer.matches.len(), answer.more), (0, false));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_without_a_purpose_or_a_name_is_refused_and_repeats_nothing() {
    let world = World::start().await;
    let worker = world.caller("worker-1", Role::CaseWorker, "org-1").await;
    let long = "Zorvinka".repeat(26);
    for (parts, year, purpose) in [
        (vec!["Zorvinka"], 0, DisclosurePurpose::Unspecified),
        (vec![], 0, DisclosurePurpose::Tracing),
        (vec!["Zorvinka", " - "], 0, DisclosurePurpose::Tracing),
        (vec![long.as_str()], 0, DisclosurePurpose::Tracing),
        (vec!["Zorvinka"; 9], 0, DisclosurePurpose::Tracing),
        (vec!["Zorvinka"], -1, DisclosurePurpose::Tracing),
        (vec!["Zorvinka"], 10_000, DisclosurePurpose::Tracing),
    ] {
        let mut request = asking(&parts);
        request.birth_year = year;
        request.purpose = purpose.into();
        assert!(!format!("{request:?}").contains("Zorvinka"));
        let status = search(&worker, request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{parts:?}");
        assert!(!format!("{status:?}").contains("Zorvinka"), "{status:?}");
    }
    world.end().await;
}
