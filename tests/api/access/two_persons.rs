//! What takes two persons: a closing and an identification, on a server with accounts.

use casetrail::domain::TwoPersons;
use casetrail::wire::v1::{
    self, CaseClosed, CaseClosedReason, CaseStatus as S, Credibility, Event, EventType as E, Role,
    VerificationChanged, event::Payload,
};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::world::{Caller, World, reason};
use crate::practice::words::{Telling, an, confirmed, fact, retracted};
use crate::support::fresh_uuid;
use crate::together::{change, submission};

/// A closing on a proposal, for the reason that test events have.
pub fn closed_on(proposal: &str) -> Event {
    closed_for(proposal, CaseClosedReason::Completed)
}

fn closed_for(proposal: &str, reason: CaseClosedReason) -> Event {
    fact(Payload::CaseClosed(CaseClosed {
        reason: reason.into(),
        proposal_event_id: proposal.to_owned(),
    }))
}

async fn record(caller: &Caller, case_id: &str, event: Event) -> Result<String, Status> {
    let event_id = event.event_id.clone();
    let request = submission(vec![change(case_id, vec![event])]);
    caller.submit(request).await.map(|_| event_id)
}

async fn opened(caller: &Caller, events: Vec<Event>) -> String {
    let case_id = fresh_uuid().to_string();
    let opening = submission(vec![change(&case_id, events)]);
    caller.submit(opening).await.unwrap();
    case_id
}

fn takes_two(answer: Result<String, Status>, field: Option<&str>) {
    let status = answer.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(reason(&status), "TWO_PERSONS_REQUIRED");
    assert!(status.message().contains("another account"), "{status:?}");
    if let Some(field) = field {
        let told = &status.get_details_error_info().unwrap().metadata["field"];
        assert!(told.ends_with(field), "{told}");
    }
}

async fn supervisors(world: &World) -> (Caller, Caller) {
    let one = world.caller("supervisor-1", Role::Supervisor, "org-1");
    let one = one.await;
    let other = world.caller("supervisor-2", Role::Supervisor, "org-1");
    (one, other.await)
}

#[tokio::test]
async fn a_case_is_closed_on_the_proposal_of_another_account_alone() {
    let world = World::start().await;
    let (one, other) = supervisors(&world).await;
    let case = opened(&one, vec![an(E::DetentionAcknowledged).on("2024-03-01")]).await;
    let proposed = || an(E::ClosureProposed).on("2024-03-02");
    let field = Some("case_closed.proposal_event_id");
    // Not without a proposal, not on one's own, not both at once,
    takes_two(record(&one, &case, an(E::CaseClosed)).await, field);
    let own = record(&one, &case, proposed()).await.unwrap();
    takes_two(record(&one, &case, closed_on(&own)).await, field);
    let at_once = proposed();
    let closing = closed_on(&at_once.event_id);
    let at_once = submission(vec![change(&case, vec![at_once, closing])]);
    let answer = one.submit(at_once).await.map(|_| String::new());
    takes_two(answer, field);
    // nor for another reason than was proposed, nor on one that was withdrawn, nor of another case.
    let otherwise = closed_for(&own, CaseClosedReason::OpenedInError);
    takes_two(record(&other, &case, otherwise).await, field);
    let withdrawn = record(&one, &case, proposed()).await.unwrap();
    record(&one, &case, retracted(&withdrawn)).await.unwrap();
    let elsewhere = opened(&one, vec![an(E::DetentionAcknowledged)]).await;
    let elsewhere = record(&one, &elsewhere, proposed()).await.unwrap();
    for gone in [&withdrawn, &elsewhere, &fresh_uuid().to_string()] {
        takes_two(record(&other, &case, closed_on(gone)).await, field);
    }
    // The proposal is shown, with who made it, and moves nothing.
    let told = one.get(&case).await.unwrap();
    assert!(!told.standing.as_ref().unwrap().closed);
    let shown = v1::ClosureProposal {
        event_id: own.clone(),
        reason: CaseClosedReason::Completed.into(),
        proposed_by: "supervisor-1@org-1".to_owned(),
    };
    assert_eq!(told.closure_proposals, [shown]);
    // Another account closes.
    let closing = record(&other, &case, closed_on(&own)).await.unwrap();
    let told = one.get(&case).await.unwrap();
    assert!(told.standing.as_ref().unwrap().closed);
    assert_eq!(told.closure_proposals, []);
    // A closed case takes no proposal, and one that was used closes no second time.
    let status = record(&one, &case, proposed()).await.unwrap_err();
    assert_eq!(reason(&status), "CASE_CLOSED");
    let reopened = fact(Payload::CaseReopened(v1::CaseReopened {
        closing_event_id: closing,
        reason: v1::CaseReopenedReason::WrongCase.into(),
    }));
    record(&one, &case, reopened).await.unwrap();
    takes_two(record(&other, &case, closed_on(&own)).await, field);
    let anew = record(&other, &case, proposed()).await.unwrap();
    record(&one, &case, closed_on(&anew)).await.unwrap();
    world.end().await;
}

fn raised(target: &str) -> Event {
    verified(target, Credibility::Confirmed)
}

fn verified(target: &str, credibility: Credibility) -> Event {
    fact(Payload::VerificationChanged(VerificationChanged {
        target_event_id: target.to_owned(),
        credibility: credibility.into(),
    }))
}

fn established() -> Event {
    an(E::IdentificationEstablished).on("2024-03-05")
}

/// Remains that wait for an identification.
async fn unidentified(world: &World, forensic: &Caller) -> String {
    let worker = world.caller("worker-1", Role::CaseWorker, "org-1").await;
    let recovered = vec![
        an(E::RemainsReported).on("2024-03-01"),
        an(E::RemainsRecovered).on("2024-03-02"),
    ];
    let case = opened(&worker, recovered).await;
    for event in [E::ExaminationStarted, E::PostMortemCompleted] {
        let examined = record(forensic, &case, an(event).on("2024-03-03")).await;
        examined.unwrap();
    }
    case
}

async fn is_identified(caller: &Caller, case: &str) -> bool {
    confirmed(&caller.get(case).await.unwrap()) == S::RemainsIdentified
}

#[tokio::test]
async fn an_identification_is_confirmed_by_another_account_than_recorded_it() {
    let world = World::start().await;
    let one = world.caller("forensic-1", Role::Forensic, "org-1").await;
    let other = world.caller("forensic-2", Role::Forensic, "org-1").await;
    let (supervisor, _) = supervisors(&world).await;
    let case = unidentified(&world, &one).await;
    let field = Some("verification_changed.target_event_id");
    // One account does not confirm it, neither at once nor step by step nor in one submission.
    takes_two(record(&one, &case, established()).await, None);
    let likely = record(&one, &case, established().rumoured()).await.unwrap();
    takes_two(record(&one, &case, raised(&likely)).await, field);
    let at_once = established().rumoured();
    let raising = raised(&at_once.event_id);
    let at_once = submission(vec![change(&case, vec![at_once, raising])]);
    takes_two(one.submit(at_once).await.map(|_| String::new()), field);
    assert!(!is_identified(&one, &case).await);
    // Another account does, and may let others lower it: it is not for the first one to raise again.
    record(&other, &case, raised(&likely)).await.unwrap();
    assert!(is_identified(&one, &case).await);
    let lowered = verified(&likely, Credibility::Likely);
    record(&supervisor, &case, lowered).await.unwrap();
    assert!(!is_identified(&one, &case).await);
    takes_two(record(&one, &case, raised(&likely)).await, field);
    record(&supervisor, &case, raised(&likely)).await.unwrap();
    assert!(is_identified(&one, &case).await);
    // Other events are raised by whoever recorded them, and forensic accounts raise their own alone.
    let detention = vec![an(E::DetentionAcknowledged).on("2024-03-01")];
    let detention = opened(&supervisor, detention).await;
    let released = an(E::Released).rumoured().on("2024-03-02");
    let released = record(&supervisor, &detention, released).await.unwrap();
    let raising = record(&supervisor, &detention, raised(&released)).await;
    raising.unwrap();
    let returned = an(E::ReturnedToParty).rumoured().on("2024-03-06");
    let returned = record(&supervisor, &case, returned).await.unwrap();
    let status = record(&one, &case, raised(&returned)).await.unwrap_err();
    assert_eq!(reason(&status), "EVENT_NOT_PERMITTED");
    world.end().await;
}

#[tokio::test]
async fn a_person_with_two_roles_is_one_person_and_says_not_who_recorded() {
    let world = World::start().await;
    let as_forensic = world.jwt("person-1", Role::Forensic, "org-1");
    let as_forensic = world.by_token(&as_forensic).await;
    let as_supervisor = world.jwt("person-1", Role::Supervisor, "org-1");
    let as_supervisor = world.by_token(&as_supervisor).await;
    let case = unidentified(&world, &as_forensic).await;
    // What a submission says of who recorded it is refused: the server writes it.
    let mut claimed = established().rumoured();
    if let Some(Payload::IdentificationEstablished(claimed)) = &mut claimed.payload {
        claimed.recorded_by = "person-2@org-1".to_owned();
    }
    let status = record(&as_forensic, &case, claimed).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let likely = record(&as_forensic, &case, established().rumoured()).await;
    let raising = raised(&likely.unwrap());
    takes_two(record(&as_supervisor, &case, raising).await, None);
    world.end().await;
}

#[tokio::test]
async fn where_the_rule_is_off_one_person_is_enough() {
    let world = World::with_two_persons(TwoPersons::NOWHERE).await;
    let forensic = world.caller("forensic-1", Role::Forensic, "org-1").await;
    let (supervisor, _) = supervisors(&world).await;
    let case = unidentified(&world, &forensic).await;
    record(&forensic, &case, established()).await.unwrap();
    assert!(is_identified(&forensic, &case).await);
    record(&supervisor, &case, an(E::CaseClosed)).await.unwrap();
    // A proposal that is named has to stand also here.
    let other = opened(&supervisor, vec![an(E::DetentionAcknowledged)]).await;
    let nowhere = closed_on(&fresh_uuid().to_string());
    let status = record(&supervisor, &other, nowhere).await.unwrap_err();
    assert_eq!(reason(&status), "CLOSURE_PROPOSAL_NOT_STANDING");
    world.end().await;
}
