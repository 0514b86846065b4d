//! What each caller sees and records: cases of the own organisation, or referred or transferred to
//! it. Any other case is answered as one that does not exist.

use std::collections::BTreeMap;

use casetrail::wire::v1::{
    self, CaseTransferred, Credibility, Event, EventType as E, ReferralOffered, ReferralRevoked,
    Role, VerificationChanged, event::Payload, watch_status_response::Item,
};
use tokio::time::timeout;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::two_persons::closed_on;
use super::world::{Caller, World, reason};
use crate::alert_world::PATIENCE;
use crate::practice::words::{Telling, an, clause, corrected, fact, linked, retracted, signed};
use crate::support::fresh_uuid;
use crate::together::{change, submission};

pub fn offered_to(organisation: &str) -> Event {
    fact(Payload::ReferralOffered(ReferralOffered {
        recipient: organisation.to_owned(),
        service: v1::Service::Tracing.into(),
        ..ReferralOffered::default()
    }))
    .on("2024-04-01")
}

pub fn transferred_to(organisation: &str) -> Event {
    fact(Payload::CaseTransferred(CaseTransferred {
        to_organisation: organisation.to_owned(),
    }))
    .on("2024-04-01")
}

/// Opens a case by this event.
pub async fn opened(caller: &Caller, event: Event) -> String {
    let case_id = fresh_uuid().to_string();
    let opening = submission(vec![change(&case_id, vec![event])]);
    caller.submit(opening).await.unwrap();
    case_id
}

pub async fn record(caller: &Caller, case_id: &str, event: Event) -> Result<String, Status> {
    let event_id = event.event_id.clone();
    let request = submission(vec![change(case_id, vec![event])]);
    caller.submit(request).await.map(|_| event_id)
}

pub fn is_not_permitted(answer: Result<String, Status>) {
    let status = answer.expect_err("it should be refused");
    assert_eq!(status.code(), Code::PermissionDenied);
    assert_eq!(reason(&status), "EVENT_NOT_PERMITTED");
}

/// The records of a case, oldest first.
pub async fn events_of(caller: &Caller, case_id: &str) -> Vec<v1::Record> {
    let request = v1::GetCaseHistoryRequest {
        case_id: case_id.to_owned(),
        page_size: 1_000,
        ..v1::GetCaseHistoryRequest::default()
    };
    let answer = caller.cases().get_case_history(request).await.unwrap();
    let entries = answer.into_inner().entries.into_iter();
    entries.map(|entry| entry.record.unwrap()).collect()
}

/// What a refusal tells, with the case's identifier left out of it.
fn told(status: &Status, case_id: &str) -> (Code, String, String) {
    let details = status.get_error_details();
    let info = details.error_info().unwrap();
    let facts: BTreeMap<_, _> = info.metadata.iter().collect();
    let violations = details.precondition_failure().map(|it| &it.violations);
    (
        status.code(),
        status.message().replace(case_id, "CASE"),
        format!("{} {facts:?} {violations:?}", info.reason).replace(case_id, "CASE"),
    )
}

/// How every call that names a case is answered for it.
async fn answers(caller: &Caller, case_id: &str) -> Vec<(Code, String, String)> {
    let mut answers = Vec::new();
    let mut take = |answer: Result<(), Status>| {
        answers.push(told(&answer.expect_err("it should be refused"), case_id));
    };
    take(caller.get(case_id).await.map(drop));
    let history = v1::GetCaseHistoryRequest {
        case_id: case_id.to_owned(),
        ..v1::GetCaseHistoryRequest::default()
    };
    take(caller.cases().get_case_history(history).await.map(drop));
    let coverage = v1::GetAgreementCoverageRequest {
        agreement_case_id: case_id.to_owned(),
        ..v1::GetAgreementCoverageRequest::default()
    };
    take(
        caller
            .cases()
            .get_agreement_coverage(coverage)
            .await
            .map(drop),
    );
    let progress = v1::GetAgreementProgressRequest {
        agreement_case_id: case_id.to_owned(),
        first_month: "2024-01".to_owned(),
        last_month: "2024-02".to_owned(),
        as_of: None,
    };
    take(
        caller
            .cases()
            .get_agreement_progress(progress)
            .await
            .map(drop),
    );
    // Every way to submit to it but to open it.
    for events in [
        vec![an(E::VisitedAndRegistered).on("2024-03-02")],
        vec![an(E::NoteRecorded), an(E::FamilyContactRestored)],
        vec![an(E::ReleaseListed), an(E::WishesRecorded)],
        vec![offered_to("org-2")],
    ] {
        take(
            caller
                .submit(submission(vec![change(case_id, events)]))
                .await
                .map(drop),
        );
    }
    let mut stale = submission(vec![change(case_id, vec![an(E::DetentionAcknowledged)])]);
    stale.changes[0].expected = Some(v1::case_change::Expected::ExactVersion(1));
    take(caller.submit(stale).await.map(drop));
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_case_out_of_sight_is_answered_as_one_that_does_not_exist() {
    let world = World::start().await;
    let owner = world.caller("worker-1", Role::CaseWorker, "org-1").await;
    let supervisor = world
        .caller("supervisor-1", Role::Supervisor, "org-1")
        .await;
    let stranger = world.caller("worker-2", Role::CaseWorker, "org-2").await;
    let theirs = opened(&owner, an(E::DetentionAcknowledged).on("2024-03-01")).await;
    let agreement = opened(&owner, signed(vec![clause("1", vec![])])).await;
    let none = fresh_uuid().to_string();
    let of_none = answers(&stranger, &none).await;
    for case_id in [&theirs, &agreement] {
        assert_eq!(answers(&stranger, case_id).await, of_none);
    }
    // It is in no list, count, difference or alert,
    let mine = opened(&stranger, an(E::DetentionAcknowledged).on("2024-03-01")).await;
    assert_eq!(stranger.listed().await, [mine.as_str()]);
    assert_eq!(owner.listed().await, [theirs.as_str(), agreement.as_str()]);
    assert_eq!(
        supervisor.listed().await,
        [theirs.as_str(), agreement.as_str()]
    );
    let summary = |caller: &Caller| {
        let mut monitor = caller.monitor();
        async move {
            let request = v1::GetSummaryRequest::default();
            monitor
                .get_summary(request)
                .await
                .unwrap()
                .into_inner()
                .cases
        }
    };
    assert_eq!(summary(&stranger).await, 1);
    assert_eq!(summary(&owner).await, 2);
    let series = v1::GetSummarySeriesRequest {
        first_month: "2024-03".to_owned(),
        last_month: "2024-03".to_owned(),
        clock: v1::SeriesClock::True.into(),
        ..v1::GetSummarySeriesRequest::default()
    };
    let series = stranger.monitor().get_summary_series(series).await.unwrap();
    let points = series.into_inner().points;
    assert_eq!(points[0].summary.as_ref().unwrap().cases, 1);
    let from_nothing = Some(v1::AsOf {
        known_at: Some(v1::as_of::KnownAt::Position(0)),
        true_at: String::new(),
    });
    let compare = v1::CompareCasesRequest {
        from: from_nothing,
        ..v1::CompareCasesRequest::default()
    };
    let compared = stranger
        .cases()
        .compare_cases(compare)
        .await
        .unwrap()
        .into_inner();
    let differing: Vec<_> = compared.differences.iter().map(|it| &it.case_id).collect();
    assert_eq!(differing, [&mine]);
    let alerts = v1::ListAlertsRequest::default();
    let alerts = stranger
        .monitor()
        .list_alerts(alerts)
        .await
        .unwrap()
        .into_inner();
    let alerted: Vec<_> = alerts.alerts.iter().map(|alert| &alert.case_id).collect();
    assert!(!alerted.is_empty() && alerted.iter().all(|it| **it == mine));
    // nor in a stream, be it of the snapshot or of the changes.
    for start in [
        v1::watch_status_request::Start::Snapshot(true),
        v1::watch_status_request::Start::FromPosition(0),
    ] {
        assert_eq!(watched(&stranger, start).await, [mine.as_str()]);
    }
    // A link to one's own case that another organisation recorded is not told.
    record(&owner, &theirs, linked(&mine, v1::LinkType::Family))
        .await
        .unwrap();
    assert_eq!(stranger.get(&mine).await.unwrap().links, []);
    world.end().await;
}

/// The cases of a stream of changes until it has caught up.
async fn watched(caller: &Caller, start: v1::watch_status_request::Start) -> Vec<String> {
    let request = v1::WatchStatusRequest {
        start: Some(start),
        ..v1::WatchStatusRequest::default()
    };
    let mut answers = caller
        .monitor()
        .watch_status(request)
        .await
        .unwrap()
        .into_inner();
    let mut cases = Vec::new();
    loop {
        match answers.message().await.unwrap().unwrap().item.unwrap() {
            Item::CaseSnapshot(case) => cases.push(case.case_id),
            Item::StatusChange(change) => cases.push(change.case_id),
            Item::CaughtUp(_) => return cases,
            _ => {}
        }
    }
}

/// The next change of status that a stream tells.
async fn next_change(answers: &mut tonic::Streaming<v1::WatchStatusResponse>) -> v1::StatusChange {
    let change = async {
        loop {
            let answer = answers.message().await.unwrap().unwrap();
            if let Item::StatusChange(change) = answer.item.unwrap() {
                return change;
            }
        }
    };
    timeout(PATIENCE, change).await.expect("something is told")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watcher_is_told_of_a_case_that_comes_into_sight_and_of_none_that_went() {
    let world = World::start().await;
    let owner = world.caller("worker-1", Role::CaseWorker, "org-1").await;
    let partner = world.caller("worker-2", Role::CaseWorker, "org-2").await;
    let watch = |caller: &Caller| {
        let mut monitor = caller.monitor();
        async move {
            let request = v1::WatchStatusRequest {
                start: Some(v1::watch_status_request::Start::Snapshot(true)),
                ..v1::WatchStatusRequest::default()
            };
            monitor.watch_status(request).await.unwrap().into_inner()
        }
    };
    let (mut owners, mut partners) = (watch(&owner).await, watch(&partner).await);
    let theirs = opened(&owner, an(E::DetentionAcknowledged).on("2024-03-01")).await;
    // The watch has come past the opening, which it is not told, once it tells what came behind it.
    let first = opened(&partner, an(E::DetentionAcknowledged)).await;
    assert_eq!(next_change(&mut partners).await.case_id, first);
    let offer = record(&owner, &theirs, offered_to("org-2")).await.unwrap();
    let told = next_change(&mut partners).await;
    assert_eq!((&told.case_id, told.version), (&theirs, 2));
    assert_eq!(told.event_type(), E::ReferralOffered);
    let now = owner.get(&theirs).await.unwrap().standing;
    assert_eq!((told.standing, told.previous_standing), (now, None));
    let visit = an(E::VisitedAndRegistered).on("2024-03-02");
    record(&owner, &theirs, visit).await.unwrap();
    let told = next_change(&mut partners).await;
    assert_eq!(told.event_type(), E::VisitedAndRegistered);
    assert!(told.previous_standing.is_some());
    // Out of sight nothing more is told of it,
    let revoked = fact(Payload::ReferralRevoked(ReferralRevoked {
        referral_event_id: offer,
        reason: v1::ReasonCode::Other.into(),
    }));
    for event in [
        revoked.on("2024-04-02"),
        an(E::ReleaseListed).on("2024-04-03"),
    ] {
        record(&owner, &theirs, event).await.unwrap();
    }
    let own = opened(&partner, an(E::DetentionAcknowledged)).await;
    assert_eq!(next_change(&mut partners).await.case_id, own);
    // until it is transferred.
    record(&owner, &theirs, transferred_to("org-2"))
        .await
        .unwrap();
    let told = next_change(&mut partners).await;
    assert_eq!(told.case_id, theirs);
    assert_eq!(told.event_type(), E::CaseTransferred);
    // Whose case it was is told of changes alone.
    for event in [E::DetentionAcknowledged, E::VisitedAndRegistered] {
        assert_eq!(next_change(&mut owners).await.event_type(), event);
    }
    assert_eq!(
        next_change(&mut owners).await.event_type(),
        E::ReleaseListed
    );
    let end = opened(&owner, an(E::DetentionAcknowledged)).await;
    assert_eq!(next_change(&mut owners).await.case_id, end);
    drop((owners, partners));
    world.end().await;
}

#[tokio::test]
async fn an_identifier_in_use_out_of_sight_is_not_taken_and_nothing_of_its_case_is_told() {
    let world = World::start().await;
    let owner = world.caller("worker-1", Role::CaseWorker, "org-1").await;
    let stranger = world.caller("worker-2", Role::CaseWorker, "org-2").await;
    let theirs = opened(&owner, an(E::DetentionAcknowledged)).await;
    let status = record(&stranger, &theirs, an(E::RemainsReported))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::AlreadyExists);
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.reason, "CASE_ID_TAKEN");
    assert!(!info.metadata.contains_key("current_version"));
    assert_eq!(owner.get(&theirs).await.unwrap().version, 1);
    // The answer that another organisation's submission got is not given away either.
    let request = submission(vec![change(
        &fresh_uuid().to_string(),
        vec![an(E::DetentionAcknowledged)],
    )]);
    owner.submit(request.clone()).await.unwrap();
    assert!(owner.submit(request.clone()).await.unwrap().replayed);
    let status = stranger.submit(request).await.unwrap_err();
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.reason, "REQUEST_ID_REUSED");
    // Nor where it stands in the log.
    assert!(!info.metadata.contains_key("position"));
    assert!(!status.message().contains("position"), "{status:?}");
    world.end().await;
}

#[tokio::test]
async fn a_case_is_seen_by_whom_it_is_referred_or_transferred_to_as_long_as_that_stands() {
    let world = World::start().await;
    let owner = world.caller("worker-1", Role::CaseWorker, "org-1").await;
    let partner = world.caller("worker-2", Role::CaseWorker, "org-2").await;
    let theirs = opened(&owner, an(E::DetentionAcknowledged).on("2024-03-01")).await;
    assert_eq!(
        partner.get(&theirs).await.unwrap_err().code(),
        Code::NotFound
    );
    let offer = record(&owner, &theirs, offered_to("org-2")).await.unwrap();
    assert_eq!(partner.get(&theirs).await.unwrap().version, 2);
    assert_eq!(partner.listed().await, [theirs.as_str()]);
    assert_eq!(events_of(&partner, &theirs).await.len(), 2);
    let revoked = fact(Payload::ReferralRevoked(ReferralRevoked {
        referral_event_id: offer,
        reason: v1::ReasonCode::Other.into(),
    }));
    record(&owner, &theirs, revoked.on("2024-04-02"))
        .await
        .unwrap();
    assert_eq!(
        partner.get(&theirs).await.unwrap_err().code(),
        Code::NotFound
    );
    assert_eq!(partner.listed().await, Vec::<String>::new());
    record(&owner, &theirs, transferred_to("org-2"))
        .await
        .unwrap();
    assert_eq!(partner.get(&theirs).await.unwrap().version, 4);
    world.end().await;
}

#[tokio::test]
async fn a_forensic_account_sees_remains_sites_and_inquiries_and_records_what_is_examined() {
    let world = World::start().await;
    let worker = world.caller("worker-1", Role::CaseWorker, "org-1").await;
    let forensic = world.caller("forensic-1", Role::Forensic, "org-1").await;
    let remains = opened(&worker, an(E::RemainsRecovered).on("2024-03-01")).await;
    let site = opened(&worker, an(E::SiteReported)).await;
    let inquiry = opened(&worker, an(E::InquiryOpened)).await;
    let detention = opened(&worker, an(E::DetentionAcknowledged)).await;
    assert_eq!(forensic.listed().await, [&*remains, &*site, &*inquiry]);
    assert_eq!(
        forensic.get(&detention).await.unwrap_err().code(),
        Code::NotFound
    );
    record(
        &forensic,
        &remains,
        an(E::ExaminationStarted).on("2024-03-02"),
    )
    .await
    .unwrap();
    let status = record(
        &worker,
        &remains,
        an(E::PostMortemCompleted).on("2024-03-03"),
    )
    .await;
    assert_eq!(reason(&status.unwrap_err()), "EVENT_NOT_PERMITTED");
    let status = record(&forensic, &remains, an(E::ReturnedToParty).on("2024-03-03")).await;
    assert_eq!(reason(&status.unwrap_err()), "EVENT_NOT_PERMITTED");
    world.end().await;
}

#[tokio::test]
async fn what_supervisors_record_case_workers_may_not_nor_by_a_detour() {
    let world = World::start().await;
    let worker = world.caller("worker-1", Role::CaseWorker, "org-1").await;
    let supervisor = world
        .caller("supervisor-1", Role::Supervisor, "org-1")
        .await;
    let case = opened(&worker, an(E::DetentionAcknowledged).on("2024-03-01")).await;
    let visit = an(E::VisitedAndRegistered).on("2024-03-02");
    let visit = record(&worker, &case, visit).await.unwrap();
    let died = || an(E::DiedInCustody).on("2024-03-05");
    let closed = || an(E::CaseClosed).on("2024-03-05");
    for refused in [died(), closed(), retracted(&visit)] {
        let status = record(&worker, &case, refused).await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied);
        assert_eq!(reason(&status), "EVENT_NOT_PERMITTED");
        let field = status.get_details_error_info().unwrap().metadata["field"].clone();
        assert!(field.starts_with("changes[0].events[0]."), "{field}");
    }
    // A death may be alleged; to raise it to confirmed, or to put a confirmed one in the place of
    // something else, is to confirm it: also where both come one behind the other, or at once.
    let alleged = record(&worker, &case, died().rumoured()).await.unwrap();
    let raised = |target: &str| {
        fact(Payload::VerificationChanged(VerificationChanged {
            target_event_id: target.to_owned(),
            credibility: Credibility::Confirmed.into(),
        }))
        .on("2024-03-06")
    };
    let status = record(&worker, &case, raised(&alleged)).await.unwrap_err();
    assert_eq!(reason(&status), "EVENT_NOT_PERMITTED");
    let at_once = died().rumoured();
    let raising = raised(&at_once.event_id);
    let at_once = submission(vec![change(&case, vec![at_once, raising])]);
    assert_eq!(
        reason(&worker.submit(at_once).await.unwrap_err()),
        "EVENT_NOT_PERMITTED"
    );
    let mut replacement = crate::support::replacement(died());
    replacement.set_credibility(Credibility::Confirmed);
    let corrected = fact(Payload::EventCorrected(Box::new(v1::EventCorrected {
        target_event_id: alleged.clone(),
        replacement: Some(Box::new(replacement)),
        reason: v1::CorrectionReason::SourceCorrected.into(),
    })));
    let status = record(&worker, &case, corrected.on("2024-03-06"))
        .await
        .unwrap_err();
    assert_eq!(reason(&status), "EVENT_NOT_PERMITTED");
    assert_eq!(worker.get(&case).await.unwrap().version, 3);
    // Supervisors may.
    record(&supervisor, &case, raised(&alleged)).await.unwrap();
    let other = opened(&worker, an(E::DetentionAcknowledged).on("2024-03-01")).await;
    let proposed = record(&worker, &other, an(E::ClosureProposed).on("2024-03-05"));
    let closing = closed_on(&proposed.await.unwrap()).on("2024-03-05");
    record(&supervisor, &other, closing).await.unwrap();
    world.end().await;
}

fn verified(target: &str, credibility: Credibility) -> Event {
    fact(Payload::VerificationChanged(VerificationChanged {
        target_event_id: target.to_owned(),
        credibility: credibility.into(),
    }))
    .on("2024-05-30")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_supervisors_and_forensic_accounts_established_a_case_worker_does_not_undo() {
    let world = World::start().await;
    let worker = world.caller("worker-1", Role::CaseWorker, "org-1").await;
    let supervisor = world
        .caller("supervisor-1", Role::Supervisor, "org-1")
        .await;
    let forensic = world.caller("forensic-1", Role::Forensic, "org-1").await;
    let second = world.caller("forensic-2", Role::Forensic, "org-1").await;
    // A death that a supervisor confirmed is not made a proof of life, nor unlikely.
    let person = opened(&worker, an(E::DetentionAcknowledged).on("2024-03-01")).await;
    let died = an(E::DiedInCustody).rumoured().on("2024-03-05");
    let died = record(&worker, &person, died).await.unwrap();
    // While it is an allegation, it is a case worker's.
    record(&worker, &person, verified(&died, Credibility::Likely))
        .await
        .unwrap();
    let later = an(E::DiedInCustody).rumoured().on("2024-03-06");
    let died = record(&worker, &person, corrected(&died, later))
        .await
        .unwrap();
    record(
        &supervisor,
        &person,
        verified(&died, Credibility::Confirmed),
    )
    .await
    .unwrap();
    let alive = || an(E::ProofOfLifeReceived).on("2024-03-05");
    is_not_permitted(record(&worker, &person, corrected(&died, alive())).await);
    for credibility in [Credibility::Unlikely, Credibility::Unknown] {
        is_not_permitted(record(&worker, &person, verified(&died, credibility)).await);
    }
    let still_dead = v1::CaseStatus::DetentionDiedInCustody;
    let case = worker.get(&person).await.unwrap();
    assert_eq!(case.standing.unwrap().confirmed(), still_dead);
    // Nor what two forensic accounts identified a transfer of custody, or less than confirmed; nor does
    // a supervisor put something else in its place, who may lower or retract it.
    let remains = opened(&worker, an(E::RemainsRecovered).on("2024-03-01")).await;
    for event in [
        an(E::ExaminationStarted).on("2024-03-02"),
        an(E::PostMortemCompleted).on("2024-03-03"),
    ] {
        record(&forensic, &remains, event).await.unwrap();
    }
    let identified = an(E::IdentificationEstablished).rumoured().on("2024-03-04");
    let identified = record(&forensic, &remains, identified).await.unwrap();
    let confirming = verified(&identified, Credibility::Confirmed);
    record(&second, &remains, confirming).await.unwrap();
    let moved = || an(E::CustodyTransferred).on("2024-03-04");
    for who in [&worker, &supervisor] {
        is_not_permitted(record(who, &remains, corrected(&identified, moved())).await);
    }
    let lowered = || verified(&identified, Credibility::Unlikely);
    is_not_permitted(record(&worker, &remains, lowered()).await);
    is_not_permitted(record(&worker, &remains, retracted(&identified)).await);
    record(&supervisor, &remains, lowered()).await.unwrap();
    world.end().await;
}

#[tokio::test]
async fn accounts_are_no_cases_and_nobody_submits_their_events() {
    let world = World::start().await;
    let supervisor = world
        .caller("supervisor-1", Role::Supervisor, "server")
        .await;
    let auditor = world.caller("auditor-1", Role::Auditor, "org-1").await;
    let accounts = world.admin().await.admin();
    let mut accounts = accounts;
    let accounts = accounts
        .list_accounts(v1::ListAccountsRequest {})
        .await
        .unwrap();
    let accounts = accounts.into_inner().accounts;
    assert_eq!(accounts.len(), 3);
    for account in &accounts {
        for caller in [&supervisor, &auditor] {
            let status = caller.get(&account.account_id).await.unwrap_err();
            assert_eq!(status.code(), Code::NotFound);
        }
    }
    assert_eq!(auditor.listed().await, Vec::<String>::new());
    let start = v1::watch_status_request::Start::FromPosition(0);
    assert_eq!(watched(&auditor, start).await, Vec::<String>::new());
    let request = v1::GetServerStatusRequest::default();
    let status = auditor.admin().get_server_status(request).await;
    let status = status.unwrap().into_inner();
    assert_eq!((status.cases, status.head), (0, 6));
    for event in [E::UserAccountCreated, E::TokenIssued] {
        let request = submission(vec![change(&accounts[0].account_id, vec![an(event)])]);
        let status = supervisor.submit(request).await.unwrap_err();
        assert_eq!(reason(&status), "EVENT_NOT_PERMITTED");
    }
    // An auditor replays them with all else, and finds no token in them.
    let request = v1::ReplayEventsRequest::default();
    let replayed = auditor.audit().replay_events(request).await;
    let mut replayed = replayed.unwrap().into_inner();
    let mut records = 0;
    while let Some(answer) = replayed.message().await.unwrap() {
        assert!(!format!("{answer:?}").contains("casetrail_"));
        if let Some(v1::replay_events_response::Item::Block(block)) = answer.item {
            records += block.records().count();
        }
    }
    assert_eq!(records, 6);
    world.end().await;
}

#[tokio::test]
async fn who_records_is_the_account_and_a_claim_that_differs_is_refused() {
    let world = World::start().await;
    let worker = world.caller("worker-1", Role::CaseWorker, "org-1").await;
    for (name, value, is_taken) in [
        ("casetrail-actor", "worker-1", true),
        ("casetrail-actor", "worker-2", false),
        ("casetrail-organisation", "org-1", true),
        ("casetrail-organisation", "org-2", false),
    ] {
        let case_id = fresh_uuid().to_string();
        let opening = submission(vec![change(&case_id, vec![an(E::DetentionAcknowledged)])]);
        let mut request = tonic::Request::new(opening);
        request.metadata_mut().insert(name, value.parse().unwrap());
        let answer = worker.cases().submit_events(request).await;
        match answer {
            Ok(_) => assert!(is_taken, "{name}: {value}"),
            Err(status) => {
                assert!(!is_taken, "{name}: {value}: {status:?}");
                assert_eq!(reason(&status), "RECORDER_DIFFERS");
                continue;
            }
        }
        let record = events_of(&worker, &case_id).await.remove(0);
        assert_eq!(record.actor, "worker-1");
        assert_eq!(record.organisation, "org-1");
    }
    world.end().await;
}
