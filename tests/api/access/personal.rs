//! Personal data by roles: who may open what of whom, and who is told of it.

use std::time::Duration;

use casetrail::domain::TwoPersons;
use casetrail::ledger::Clock;
use casetrail::wire::moment::Moment;
use casetrail::wire::v1::{
    self, DisclosurePurpose, ErasureGround, ErasureRequested, Event, EventType as E,
    GetPersonalRequest, GetPersonalResponse, GrantUnsealingRequest, ListDisclosuresRequest,
    PersonalClass as Class, PersonalValue, Role, UnsealingReason, event::Payload,
    personal_value::Value,
};
use prost::Message;
use tokio::sync::watch;
use tonic::{Code, Status};

use super::world::{Caller, Rules, World, reason, seconds_now, specification};
use crate::practice::words::{Telling, an, fact};
use crate::support::{event_with, fresh_uuid};
use crate::together::{change, submission};

pub fn value(subject: &str, class: Class, field: &str, text: &str) -> PersonalValue {
    PersonalValue {
        subject_id: subject.to_owned(),
        personal_class: class.into(),
        field: field.to_owned(),
        value: Some(Value::Text(text.to_owned())),
    }
}

/// Opens a case with a value of a class that identifies, and one of what the person told.
pub async fn opened_about(caller: &Caller, event: Event, subject: &str) -> String {
    let values = vec![
        value(subject, Class::Identity, "birth_date", "1991-02-03"),
        value(subject, Class::Narrative, "account", "told by a neighbour"),
    ];
    opened_with(caller, event, values).await
}

async fn opened_with(caller: &Caller, event: Event, values: Vec<PersonalValue>) -> String {
    let mut event = event;
    event.personal = values;
    let case_id = fresh_uuid().to_string();
    record(caller, &case_id, event).await.unwrap();
    case_id
}

async fn record(
    caller: &Caller,
    case_id: &str,
    event: Event,
) -> Result<v1::SubmitEventsResponse, Status> {
    caller
        .submit(submission(vec![change(case_id, vec![event])]))
        .await
}

fn erasure_requested(subject: &str) -> Event {
    fact(Payload::ErasureRequested(ErasureRequested {
        subject_id: subject.to_owned(),
        ground: ErasureGround::SubjectRequest.into(),
        ..ErasureRequested::default()
    }))
    .on("2024-03-02")
}

fn erasure_executed(subject: &str, request_event_id: &str) -> Event {
    event_with(Payload::ErasureExecuted(v1::ErasureExecuted {
        request_event_id: request_event_id.to_owned(),
        subject_id: subject.to_owned(),
        ..v1::ErasureExecuted::default()
    }))
}

pub async fn personal(caller: &Caller, case_id: &str) -> Result<GetPersonalResponse, Status> {
    let request = GetPersonalRequest {
        case_ids: vec![case_id.to_owned()],
        purpose: DisclosurePurpose::CaseWork.into(),
        ..GetPersonalRequest::default()
    };
    let answer = caller.personal().get_personal(request).await;
    answer.map(tonic::Response::into_inner)
}

/// Who read what was disclosed, as far as the caller is told.
async fn readers(caller: &Caller, subject: &str) -> Vec<String> {
    let request = ListDisclosuresRequest {
        subject_id: subject.to_owned(),
        ..ListDisclosuresRequest::default()
    };
    let listed = caller.personal().list_disclosures(request).await.unwrap();
    let disclosures = listed.into_inner().disclosures.into_iter();
    disclosures.map(|disclosure| disclosure.actor).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn personal_values_are_opened_for_those_who_see_the_case_and_may_read_the_class() {
    let world = World::start().await;
    let worker = world.caller("worker-1", Role::CaseWorker, "org-1").await;
    let forensic = world.caller("forensic-1", Role::Forensic, "org-1").await;
    let supervisor = world
        .caller("supervisor-1", Role::Supervisor, "org-1")
        .await;
    let stranger = world.caller("worker-2", Role::CaseWorker, "org-2").await;
    let other = world
        .caller("supervisor-2", Role::Supervisor, "org-2")
        .await;
    let auditor = world.caller("auditor-1", Role::Auditor, "org-3").await;
    let subject = fresh_uuid().to_string();
    let recovered = an(E::RemainsRecovered).on("2024-03-01");
    let remains = opened_about(&worker, recovered, &subject).await;

    let told = personal(&worker, &remains).await.unwrap();
    assert_eq!((told.entries.len(), told.withheld), (2, 0));
    // What the person told says nothing of whose remains they are.
    let told = personal(&forensic, &remains).await.unwrap();
    assert_eq!((told.entries.len(), told.withheld), (1, 1));
    let class = told.entries[0].value.as_ref().unwrap().personal_class();
    assert_eq!(class, Class::Identity);
    // A case out of sight is none, also for who asks for the persons in it.
    let of_none = personal(&stranger, &fresh_uuid().to_string()).await;
    let status = personal(&stranger, &remains).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(reason(&status), reason(&of_none.unwrap_err()));
    // An auditor sees that values were sealed, and opens none.
    let status = personal(&auditor, &remains).await.unwrap_err();
    assert_eq!(reason(&status), "NOT_PERMITTED");

    // Who read it is told where the case is seen: by its actor, which is the account.
    let both = ["worker-1", "forensic-1"];
    assert_eq!(readers(&supervisor, &subject).await, both);
    assert_eq!(readers(&auditor, &subject).await, both);
    assert_eq!(readers(&other, &subject).await, [""; 0]);
    world.end().await;
}

/// A page of one disclosure, and the token of the next page.
async fn page(caller: &Caller, subject: &str, token: &str) -> (Vec<v1::Disclosure>, String) {
    let request = ListDisclosuresRequest {
        subject_id: subject.to_owned(),
        page_size: 1,
        page_token: token.to_owned(),
    };
    let listed = caller.personal().list_disclosures(request).await.unwrap();
    let listed = listed.into_inner();
    (listed.disclosures, listed.next_page_token)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pages_of_disclosures_tell_nothing_of_those_out_of_sight() {
    let world = World::start().await;
    let worker = world.caller("worker-1", Role::CaseWorker, "org-1").await;
    let other = world.caller("worker-2", Role::CaseWorker, "org-2").await;
    let supervisor = world
        .caller("supervisor-2", Role::Supervisor, "org-2")
        .await;
    let auditor = world.caller("auditor-1", Role::Auditor, "org-3").await;
    let subject = fresh_uuid().to_string();
    let theirs = opened_about(&worker, an(E::DetentionAcknowledged), &subject).await;
    let own = opened_about(&other, an(E::DetentionAcknowledged), &subject).await;
    // Two readings of one's own, with others before, between and behind them.
    for (caller, case, times) in [
        (&worker, &theirs, 3),
        (&other, &own, 1),
        (&worker, &theirs, 2),
        (&other, &own, 1),
        (&worker, &theirs, 2),
    ] {
        for _ in 0..times {
            let told = personal(caller, case).await.unwrap();
            assert_eq!((told.entries.len(), told.disclosure), (2, None));
        }
    }
    for subject in [subject.as_str(), ""] {
        let (first, token) = page(&supervisor, subject, "").await;
        assert_eq!(first.len(), 1);
        let (second, end) = page(&supervisor, subject, &token).await;
        assert_eq!((second.len(), end.as_str()), (1, ""));
        for disclosure in first.iter().chain(&second) {
            assert_eq!(
                (disclosure.actor.as_str(), disclosure.number),
                ("worker-2", 0)
            );
        }
        // A token is another one each time, and always as long.
        let again = page(&supervisor, subject, "").await.1;
        assert!(again != token && again.len() == token.len());
        // Who sees every case is told all, with their numbers.
        let (mut token, mut numbers) = (String::new(), Vec::new());
        loop {
            let (told, next) = page(&auditor, subject, &token).await;
            numbers.extend(told.iter().map(|it| it.number));
            token = next;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(numbers, (0..9).collect::<Vec<_>>());
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_case_worker_requests_an_erasure_and_another_supervisor_executes_it() {
    let world = World::start().await;
    let worker = world.caller("worker-1", Role::CaseWorker, "org-1").await;
    let supervisor = world
        .caller("supervisor-1", Role::Supervisor, "org-1")
        .await;
    let subject = fresh_uuid().to_string();
    let acknowledged = an(E::DetentionAcknowledged).on("2024-03-01");
    let case_id = opened_about(&worker, acknowledged, &subject).await;
    let requested = erasure_requested(&subject);
    let executed = || erasure_executed(&subject, &requested.event_id);
    record(&worker, &case_id, requested.clone()).await.unwrap();
    let status = record(&worker, &case_id, executed()).await.unwrap_err();
    assert_eq!(reason(&status), "EVENT_NOT_PERMITTED");
    record(&supervisor, &case_id, executed()).await.unwrap();
    let told = personal(&worker, &case_id).await.unwrap();
    assert_eq!((told.entries.len(), told.erased), (0, 2));
    world.end().await;
}

/// What an auditor may open, for the purpose audit.
async fn audited(caller: &Caller, case_id: &str) -> Result<GetPersonalResponse, Status> {
    let request = GetPersonalRequest {
        case_ids: vec![case_id.to_owned()],
        purpose: DisclosurePurpose::Audit.into(),
        purpose_reference: "audit-1".to_owned(),
        ..GetPersonalRequest::default()
    };
    let answer = caller.personal().get_personal(request).await;
    answer.map(tonic::Response::into_inner)
}

fn unsealing(account: &str, minutes: u32) -> GrantUnsealingRequest {
    GrantUnsealingRequest {
        account: account.to_owned(),
        reason: UnsealingReason::Complaint.into(),
        request_reference: "letter-12".to_owned(),
        minutes,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_auditor_opens_personal_data_while_an_admin_lets_it_and_that_is_recorded() {
    const MINUTE: i64 = 60 * 1_000_000;
    let began = seconds_now() * 1_000_000;
    let (hands, clock) = watch::channel(Moment(began));
    let world = World::by_clock(Clock::set_by_hand(clock)).await;
    let worker = world.caller("worker-1", Role::CaseWorker, "org-1").await;
    let auditor = world.caller("auditor-1", Role::Auditor, "org-3").await;
    let other = world.caller("auditor-2", Role::Auditor, "org-3").await;
    let by_jwt = world.jwt("auditor-1", Role::Auditor, "org-3");
    let by_jwt = world.by_token(&by_jwt).await;
    let admin = world.caller("admin-2", Role::Admin, "server").await;
    let subject = fresh_uuid().to_string();
    let case = opened_about(&worker, an(E::DetentionAcknowledged), &subject).await;
    let closed = |answer: Result<GetPersonalResponse, Status>| {
        let status = answer.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied);
        assert_eq!(reason(&status), "UNSEALING_NOT_GRANTED");
    };
    closed(audited(&auditor, &case).await);
    // An admin grants it: nobody else, for a reason, to an auditor, for a day at most.
    let grant = |caller: &Caller, request| {
        let mut client = caller.admin();
        async move { client.grant_unsealing(request).await }
    };
    let status = grant(&auditor, unsealing("auditor-1", 60)).await;
    assert_eq!(reason(&status.unwrap_err()), "NOT_PERMITTED");
    let mut without_reason = unsealing("auditor-1", 60);
    without_reason.reason = 0;
    let mut without_reference = unsealing("auditor-1", 60);
    without_reference.request_reference = String::new();
    for (request, expected) in [
        (without_reason, "INVALID_FIELDS"),
        (without_reference, "INVALID_FIELDS"),
        (unsealing("auditor-1", 0), "INVALID_FIELDS"),
        (unsealing("auditor-1", 24 * 60 + 1), "INVALID_FIELDS"),
        (unsealing("worker-1", 60), "NO_AUDITOR"),
        (unsealing("nobody", 60), "ACCOUNT_NOT_FOUND"),
    ] {
        let status = grant(&admin, request).await.unwrap_err();
        assert_eq!(reason(&status), expected);
    }
    // Nor by the admin who issued what the auditor's account is used by.
    let own = grant(&world.admin().await, unsealing("auditor-1", 60)).await;
    let own = own.unwrap_err();
    assert_eq!(own.code(), Code::FailedPrecondition);
    assert_eq!(reason(&own), "SECOND_ADMIN_NEEDED");
    closed(audited(&auditor, &case).await);
    let granted = grant(&admin, unsealing("auditor-1", 60)).await.unwrap();
    let until = granted.into_inner().until.map(Moment::from);
    assert_eq!(until, Some(Moment(began + 60 * MINUTE)));
    // The auditor opens all classes, to audit alone; nobody else is let by it.
    let told = audited(&auditor, &case).await.unwrap();
    assert_eq!((told.entries.len(), told.withheld), (2, 0));
    let status = personal(&auditor, &case).await.unwrap_err();
    assert_eq!(reason(&status), "NOT_PERMITTED");
    closed(audited(&other, &case).await);
    closed(audited(&by_jwt, &case).await);
    // While it lasts, who granted it hands out nothing by which the account is used; others may.
    let token = || v1::CreateTokenRequest {
        account: Some(specification("auditor-1", Role::Auditor, "org-3")),
        expires_on: String::new(),
    };
    let own = admin.admin().create_token(token()).await.unwrap_err();
    assert_eq!(reason(&own), "SECOND_ADMIN_NEEDED");
    let mut first_admin = world.admin().await.admin();
    first_admin.create_token(token()).await.unwrap();
    // Both persons are on record: the admin in the log, the auditor among those who read.
    assert_eq!(readers(&other, &subject).await, ["auditor-1"]);
    let mut records = blocks(&auditor).await;
    records.retain(|it| {
        let payload = it.event.as_ref().and_then(|event| event.payload.as_ref());
        matches!(payload, Some(Payload::UnsealingGranted(_)))
    });
    let granted_by: Vec<_> = records.into_iter().map(|it| it.actor).collect();
    assert_eq!(granted_by, ["admin-2"]);
    // It ends by itself to the microsecond, and at once where it is revoked.
    hands.send(Moment(began + 60 * MINUTE - 1)).unwrap();
    audited(&auditor, &case).await.unwrap();
    hands.send(Moment(began + 60 * MINUTE)).unwrap();
    closed(audited(&auditor, &case).await);
    let granted = grant(&admin, unsealing("auditor-1", 24 * 60))
        .await
        .unwrap();
    audited(&auditor, &case).await.unwrap();
    let grant_id = granted.into_inner().grant_id;
    let revocation = v1::RevokeGrantRequest { grant_id };
    admin.admin().revoke_grant(revocation).await.unwrap();
    closed(audited(&auditor, &case).await);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_supervisor_alone_erases_nobody() {
    let world = World::under(Rules {
        erasure_by_two: true,
        ..Rules::default()
    })
    .await;
    let worker = world.caller("worker-1", Role::CaseWorker, "org-1").await;
    let one = world
        .caller("supervisor-1", Role::Supervisor, "org-1")
        .await;
    // Another token of the same account is the same person.
    let again = world
        .caller("supervisor-1", Role::Supervisor, "org-1")
        .await;
    let second = world
        .caller("supervisor-2", Role::Supervisor, "org-1")
        .await;
    let stranger = world
        .caller("supervisor-3", Role::Supervisor, "org-2")
        .await;
    let subject = fresh_uuid().to_string();
    let acknowledged = an(E::DetentionAcknowledged).on("2024-03-01");
    let case_id = opened_about(&worker, acknowledged, &subject).await;
    let requested = erasure_requested(&subject);
    let executed = || erasure_executed(&subject, &requested.event_id);
    record(&one, &case_id, requested.clone()).await.unwrap();
    for alone in [&one, &again] {
        let status = record(alone, &case_id, executed()).await.unwrap_err();
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert_eq!(reason(&status), "SECOND_PERSON_NEEDED");
    }
    // Nobody becomes another one by saying so, nor by asking where the case is not seen.
    let mut claimed = executed();
    if let Some(Payload::ErasureExecuted(payload)) = &mut claimed.payload {
        payload.executed_by = "supervisor-2@org-1".to_owned();
    }
    let status = record(&one, &case_id, claimed).await.unwrap_err();
    assert_eq!(reason(&status), "INVALID_FIELDS");
    record(&stranger, &case_id, executed()).await.unwrap_err();
    let told = personal(&worker, &case_id).await.unwrap();
    assert_eq!((told.entries.len(), told.erased), (2, 0));

    record(&second, &case_id, executed()).await.unwrap();
    let told = personal(&worker, &case_id).await.unwrap();
    assert_eq!((told.entries.len(), told.erased), (0, 2));
    world.end().await;
}

/// All blocks of the log, each with the checksum that it came with.
async fn blocks(auditor: &Caller) -> Vec<v1::Record> {
    let request = v1::ReplayEventsRequest::default();
    let mut replayed = auditor.audit().replay_events(request).await;
    let replayed = replayed.as_mut().unwrap().get_mut();
    let mut records = Vec::new();
    while let Some(answer) = replayed.message().await.unwrap() {
        if let Some(v1::replay_events_response::Item::Block(block)) = answer.item {
            let block = block.verified().unwrap();
            let read = block.records();
            records.extend(read.map(|(_, record)| v1::Record::decode(record).unwrap()));
        }
    }
    records
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_erased_goes_dark_in_the_cases_of_others_too_and_nobody_else_does() {
    let world = World::start().await;
    let worker = world.caller("worker-1", Role::CaseWorker, "org-1").await;
    let supervisor = world
        .caller("supervisor-1", Role::Supervisor, "org-1")
        .await;
    let other = world.caller("worker-2", Role::CaseWorker, "org-2").await;
    let auditor = world.caller("auditor-1", Role::Auditor, "org-3").await;
    let (gone, stays) = (fresh_uuid().to_string(), fresh_uuid().to_string());
    let own = opened_about(&worker, an(E::DetentionAcknowledged), &gone).await;
    let told_of = |subject: &str| value(subject, Class::Narrative, "account", "was with them");
    let elsewhere = vec![told_of(&stays), told_of(&gone), told_of(&stays)];
    let elsewhere = opened_with(&other, an(E::DetentionAcknowledged), elsewhere).await;
    let told = personal(&other, &elsewhere).await.unwrap();
    assert_eq!((told.entries.len(), told.erased), (3, 0));
    let before = blocks(&auditor).await;

    let requested = erasure_requested(&gone);
    let executed = erasure_executed(&gone, &requested.event_id);
    record(&worker, &own, requested).await.unwrap();
    record(&supervisor, &own, executed).await.unwrap();
    let told = personal(&worker, &own).await.unwrap();
    assert_eq!((told.entries.len(), told.erased), (0, 2));
    let told = personal(&other, &elsewhere).await.unwrap();
    assert_eq!((told.entries.len(), told.erased), (2, 1));
    let mut left = told.entries.iter().filter_map(|entry| entry.value.as_ref());
    assert!(left.all(|value| value.subject_id == stays));
    // Who sees the other case alone is told nothing of the one in which it was asked for.
    assert!(personal(&other, &own).await.is_err());
    assert_eq!(other.get(&elsewhere).await.unwrap().version, 1);
    // No record changed by a bit, and each block is what its checksum says.
    let after = blocks(&auditor).await;
    assert!(after.starts_with(&before));
    assert_eq!(after.len(), before.len() + 2);
    // Whoever sends a value about them again is told so, whatever case it is in.
    let mut again = an(E::ProofOfLifeReceived);
    again.personal = vec![told_of(&gone)];
    let status = record(&other, &elsewhere, again).await.unwrap_err();
    assert_eq!(reason(&status), "SUBJECT_ERASED");
    world.end().await;
}

/// The subjects that a supervisor is told are due, and how many of their erasures are requested.
async fn due(supervisor: &Caller) -> (Vec<String>, u64) {
    let request = v1::ListRetentionDueRequest {};
    let listed = supervisor.personal().list_retention_due(request).await;
    let listed = listed.unwrap().into_inner();
    assert_eq!(listed.more, 0);
    let due = listed.due.into_iter().map(|due| due.subject_id);
    (due.collect(), listed.requested)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_organisation_is_told_whose_time_is_over_on_the_day_on_which_it_is() {
    const DAY: i64 = 24 * 60 * 60 * 1_000_000;
    let began = seconds_now() * 1_000_000;
    let (hands, clock) = watch::channel(Moment(began));
    let rules = ["detention=10", "detention:health=30", "detention:wishes=1"];
    let world = World::under(Rules {
        clock: Clock::set_by_hand(clock),
        two_persons: TwoPersons::NOWHERE,
        retention: rules.map(|rule| rule.parse().unwrap()).into(),
        ..Rules::default()
    })
    .await;
    let mut offices = Vec::new();
    for number in [1, 2] {
        let organisation = format!("org-{number}");
        let (worker, supervisor) = (format!("worker-{number}"), format!("supervisor-{number}"));
        let worker = world.caller(&worker, Role::CaseWorker, &organisation).await;
        let supervisor = world
            .caller(&supervisor, Role::Supervisor, &organisation)
            .await;
        let [plain, ill, wishing] = [(); 3].map(|()| fresh_uuid().to_string());
        let identity = |subject: &str| value(subject, Class::Identity, "name", "somebody");
        let values = vec![
            identity(&plain),
            identity(&ill),
            value(&ill, Class::Health, "wound", "healed"),
            value(&wishing, Class::Wishes, "wish", "to go home"),
            identity(&wishing),
        ];
        let case_id = opened_with(&worker, an(E::DetentionAcknowledged), values).await;
        record(&supervisor, &case_id, an(E::CaseClosed))
            .await
            .unwrap();
        let mut after_ten = vec![plain, wishing];
        after_ten.sort();
        offices.push((worker, supervisor, case_id, after_ten, ill));
    }
    // The rule of one day for wishes erases nothing earlier: a person's data is erased whole.
    for days in [0, 1, 9] {
        hands.send(Moment(began + days * DAY)).unwrap();
        for (_, supervisor, ..) in &offices {
            assert_eq!(due(supervisor).await, (vec![], 0), "{days}");
        }
    }
    for days in [10, 29] {
        hands.send(Moment(began + days * DAY)).unwrap();
        for (_, supervisor, _, after_ten, _) in &offices {
            assert_eq!(due(supervisor).await, (after_ten.clone(), 0), "{days}");
        }
    }
    // Each waits for the ones before it, and not for those who went away.
    for _ in 0..20 {
        let _ = tokio::time::timeout(Duration::ZERO, due(&offices[0].1)).await;
    }
    // What one organisation requests is none of the other one's.
    let (worker, supervisor, case_id, after_ten, _) = &offices[0];
    let requested = erasure_requested(&after_ten[0]);
    record(worker, case_id, requested).await.unwrap();
    assert_eq!(due(supervisor).await, (after_ten[1..].to_vec(), 1));
    hands.send(Moment(began + 30 * DAY)).unwrap();
    for (place, (_, supervisor, _, after_ten, ill)) in offices.iter().enumerate() {
        let requested = 1 - place;
        // Those who are due longest come first.
        let expected = [&after_ten[requested..], std::slice::from_ref(ill)].concat();
        assert_eq!(due(supervisor).await, (expected, requested as u64));
    }
    world.end().await;
}
