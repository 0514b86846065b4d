//! Cases 6 and 7 of the catalogue again, with two organisations: the one that opened the case, and
//! the one to which it is referred.

use casetrail::wire::v1::{
    CaseStatus as S, ContestedCause, Event, EventType as E, ReferralAccepted, Role, event::Payload,
};
use tonic::Code;

use super::scope::{events_of, offered_to};
use super::world::{Caller, World};
use crate::practice::words::{Telling, an, confirmed, contested, corrected, fact, resolved};
use crate::support::fresh_uuid;
use crate::together::{change, submission};

async fn record(caller: &Caller, case_id: &str, event: Event) -> String {
    let event_id = event.event_id.clone();
    let request = submission(vec![change(case_id, vec![event])]);
    caller.submit(request).await.unwrap();
    event_id
}

/// A case of one organisation that the other one has accepted, with these first events.
async fn shared(owner: &Caller, partner: &Caller, first: Vec<Event>) -> String {
    let case_id = fresh_uuid().to_string();
    let opening = submission(vec![change(&case_id, first)]);
    owner.submit(opening).await.unwrap();
    let offer = record(owner, &case_id, offered_to("org-2")).await;
    let accepted = fact(Payload::ReferralAccepted(ReferralAccepted {
        referral_event_id: offer,
    }));
    record(partner, &case_id, accepted.on("2024-05-01")).await;
    case_id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_06_workers_of_two_organisations_record_different_release_dates() {
    let world = World::start().await;
    let owner = world.caller("worker-1", Role::CaseWorker, "org-1").await;
    let partner = world.caller("worker-2", Role::CaseWorker, "org-2").await;
    // Given a person who is registered by one organisation, and referred to another one,
    let first = vec![
        an(E::DetentionAcknowledged).on("2024-03-01"),
        an(E::VisitedAndRegistered).on("2024-03-02"),
    ];
    let person = shared(&owner, &partner, first).await;
    // when a worker of each comes back and records a release, confirmed, on another day,
    let fourteenth = record(&owner, &person, an(E::Released).on("2024-03-14")).await;
    let twelfth = record(&partner, &person, an(E::Released).on("2024-03-12")).await;
    // then both see both, the person is released, and a dispute is open between the two.
    for caller in [&owner, &partner] {
        let case = caller.get(&person).await.unwrap();
        assert_eq!(confirmed(&case), S::DetentionReleased);
        assert_eq!(contested(&case), [ContestedCause::OpenDispute]);
        assert_eq!(case.open_disputes, [fourteenth.as_str()]);
    }
    // Each is recorded in the name of whoever recorded it.
    let history = events_of(&partner, &person).await;
    let by = |event_id: &str| {
        let mut records = history.iter();
        let found = records.find(|it| it.event.as_ref().unwrap().event_id == event_id);
        let record = found.unwrap();
        (record.actor.clone(), record.organisation.clone())
    };
    assert_eq!(by(&fourteenth), ("worker-1".into(), "org-1".into()));
    assert_eq!(by(&twelfth), ("worker-2".into(), "org-2".into()));
    // A third organisation, to which it was not referred, can neither see nor mend it.
    let stranger = world.caller("worker-3", Role::CaseWorker, "org-3").await;
    let resolution = submission(vec![change(&person, vec![resolved(&fourteenth)])]);
    assert_eq!(
        stranger.submit(resolution).await.unwrap_err().code(),
        Code::NotFound
    );
    // When the partner corrects what the owner had recorded, both tell of one day.
    let correction = corrected(&fourteenth, an(E::Released).on("2024-03-12"));
    record(&partner, &person, correction).await;
    for caller in [&owner, &partner] {
        let case = caller.get(&person).await.unwrap();
        assert_eq!(contested(&case), []);
        assert_eq!(confirmed(&case), S::DetentionReleased);
    }
    let history = events_of(&owner, &person).await;
    let kept = history.iter().filter(|it| it.event_type() == E::Released);
    assert_eq!(kept.count(), 2);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_07_offline_events_of_two_organisations_end_alike_in_whatever_order() {
    let world = World::start().await;
    let owner = world.caller("worker-1", Role::CaseWorker, "org-1").await;
    let partner = world.caller("worker-2", Role::CaseWorker, "org-2").await;
    let history = || {
        [
            an(E::VisitedAndRegistered).on("2024-03-04"),
            an(E::ProceedingsNotified).on("2024-03-05"),
            an(E::Escaped).rumoured().on("2024-03-06"),
            an(E::PlaceTransferred).on("2024-03-07"),
            an(E::ProceedingsEnded).on("2024-03-08"),
            an(E::ReleaseListed).on("2024-03-09"),
        ]
    };
    let mut told = Vec::new();
    // In order by the owner alone, and out of order by both in turn.
    for (order, by_both) in [
        ([0, 1, 2, 3, 4, 5], false),
        ([1, 0, 3, 2, 4, 5], true),
        ([5, 3, 0, 1, 4, 2], true),
    ] {
        let first = vec![an(E::DetentionAcknowledged).on("2024-03-02")];
        let person = shared(&owner, &partner, first).await;
        let events = history();
        for (turn, index) in order.into_iter().enumerate() {
            let caller = if by_both && turn % 2 == 0 {
                &partner
            } else {
                &owner
            };
            record(caller, &person, events[index].clone()).await;
        }
        told.push(owner.get(&person).await.unwrap());
        assert_eq!(
            partner.get(&person).await.unwrap().standing,
            told[told.len() - 1].standing
        );
    }
    for case in &told {
        assert_eq!(confirmed(case), S::DetentionReleasePending);
        assert_eq!(case.standing, told[0].standing);
        assert_eq!(case.detail, told[0].detail);
    }
    world.end().await;
}
