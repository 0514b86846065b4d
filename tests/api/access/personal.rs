//! Personal data by roles: who may open what of whom, and who is told of it.

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

use super::world::{Caller, World, reason, seconds_now, specification};
use crate::practice::words::{Telling, an, fact};
use crate::support::{event_with, fresh_uuid};
use crate::together::{change, submission};

fn value(subject: &str, class: Class, field: &str, text: &str) -> PersonalValue {
    PersonalValue {
        subject_id: subject.to_owned(),
        personal_class: class.into(),
        field: field.to_owned(),
        value: Some(Value::Text(text.to_owned())),
    }
}

/// Opens a case with a value of a class that identifies, and one of what the person told.
async fn opened_about(caller: &Caller, event: Event, subject: &str) -> String {
    let mut event = event;
    event.personal = vec![
        value(subject, Class::Identity, "birth_date", "1991-02-03"),
        value(subject, Class::Narrative, "account", "told by a neighbour"),
    ];
    let case_id = fresh_uuid().to_string();
    let opening = submission(vec![change(&case_id, vec![event])]);
    caller.submit(opening).await.unwrap();
    case_id
}

async fn personal(caller: &Caller, case_id: &str) -> Result<GetPersonalResponse, Status> {
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
    let requested = fact(Payload::ErasureRequested(ErasureRequested {
        subject_id: subject.clone(),
        ground: ErasureGround::SubjectRequest.into(),
        ..ErasureRequested::default()
    }));
    let request_event_id = requested.event_id.clone();
    let request = |event: Event| submission(vec![change(&case_id, vec![event])]);
    worker
        .submit(request(requested.on("2024-03-02")))
        .await
        .unwrap();
    let executed = || {
        event_with(Payload::ErasureExecuted(v1::ErasureExecuted {
            request_event_id: request_event_id.clone(),
            subject_id: subject.clone(),
            ..v1::ErasureExecuted::default()
        }))
    };
    let status = worker.submit(request(executed())).await.unwrap_err();
    assert_eq!(reason(&status), "EVENT_NOT_PERMITTED");
    supervisor.submit(request(executed())).await.unwrap();
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
    let request = v1::ReplayEventsRequest {
        filter: Some(v1::ReplayFilter {
            event_types: vec![E::UnsealingGranted.into()],
            ..v1::ReplayFilter::default()
        }),
        ..v1::ReplayEventsRequest::default()
    };
    let replayed = auditor.audit().replay_events(request).await;
    let mut replayed = replayed.unwrap().into_inner();
    let mut granted_by = Vec::new();
    while let Some(answer) = replayed.message().await.unwrap() {
        if let Some(v1::replay_events_response::Item::Block(block)) = answer.item {
            granted_by.extend(block.records().map(|(_, record)| {
                let record = v1::Record::decode(record).unwrap();
                record.actor
            }));
        }
    }
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
