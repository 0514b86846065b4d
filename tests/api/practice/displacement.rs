//! Cases 14 and 15: a return that does not hold, and a household that arrives in part.

use casetrail::wire::v1::{
    self, Case, CaseKind, CaseStatus as S, Event, EventType as E, LinkType, ReturnDetail,
    case::Detail, case_change::Expected, event::Payload,
};

use super::words::{
    Office, Telling, an, change, confirmed, contested, counts, fact, linked, submission,
};
use crate::clocks;
use crate::support::{fresh_uuid, place};

fn displaced(household_size: u32) -> Event {
    fact(Payload::DisplacementRegistered(
        v1::DisplacementRegistered {
            origin: place(),
            current_place: place(),
            household_size,
        },
    ))
    .on("2024-01-10")
}

fn departed(members: u32) -> Event {
    fact(Payload::Departed(v1::Departed {
        movement: "movement-1".to_owned(),
        members,
    }))
    .on("2024-02-10")
}

fn arrived(members: u32) -> Event {
    let place = place();
    fact(Payload::ReturnArrived(v1::ReturnArrived { place, members })).on("2024-02-11")
}

/// What leads to the departure: all of it said freely, and in time.
fn prepared() -> Vec<Event> {
    vec![
        an(E::IntentionRecorded).on("2024-01-20"),
        an(E::VoluntarinessConfirmed).on("2024-01-25"),
        an(E::ReturnScheduled).on("2024-02-01"),
    ]
}

fn detail(case: &Case) -> ReturnDetail {
    match case.detail.clone().unwrap() {
        Detail::ReturnDetail(detail) => detail,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_14_a_return_that_fails_after_four_months() {
    let office = Office::open().await;
    // Given a household of five that returned in February, as a clause demands,
    let opening = [
        vec![displaced(5)],
        prepared(),
        vec![departed(5), arrived(5)],
    ]
    .concat();
    let household = office.new_case(opening).await;
    let agreement = office
        .agreement_about(std::slice::from_ref(&household))
        .await;
    let case = office.case(&household).await;
    assert_eq!(confirmed(&case), S::ReturnReturned);
    // (which is no end: a return must hold)
    assert_eq!(case.closing_event_id, "");
    let before = office.position().await;

    // when they have to leave again in June,
    let left = an(E::ReDisplaced).on("2024-06-10");
    let left = office.record(&household, left).await;
    // then the case has ended as ReDisplaced,
    let case = office.case(&household).await;
    assert_eq!(confirmed(&case), S::ReturnReDisplaced);
    assert_eq!(case.closing_event_id, left);
    assert_eq!(contested(&case), []);
    // and the earlier arrival stays: in the case, on the days between, as it was known, and in the
    // clause's count.
    let members = |case: &Case| (detail(case).household_size, detail(case).members_returned);
    assert_eq!(members(&case), (5, 5));
    for (day, status) in [
        ("2024-02-10", S::ReturnInTransit),
        ("2024-02-11", S::ReturnReturned),
        ("2024-06-09", S::ReturnReturned),
        ("2024-06-10", S::ReturnReDisplaced),
    ] {
        let then = office.case_true_at(&household, day).await;
        assert_eq!(confirmed(&then), status, "{day}");
    }
    let then = office.case_known_at(&household, before).await;
    assert_eq!(confirmed(&then), S::ReturnReturned);
    assert_eq!(counts(&office.clause_of(&agreement).await), [1, 1, 1, 0]);
    // The next displacement is a case of its own, bound to the first as its next episode.
    let again = office.new_case(vec![displaced(5).on("2024-06-10")]).await;
    office
        .record(&household, linked(&again, LinkType::NextEpisode))
        .await;
    assert!(office.case(&again).await.links[0].inverse);
    let returned = office
        .refused(&household, an(E::SpontaneousReturn).on("2024-06-20"))
        .await;
    assert_eq!(returned.reason, "EVENT_NOT_ALLOWED");
    office.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_15_a_household_of_six_of_whom_four_arrive() {
    let office = Office::open().await;
    // Given a household of six, of whom four set out,
    let household = office
        .new_case([vec![displaced(6)], prepared()].concat())
        .await;
    office.record(&household, departed(4)).await;
    // when the four arrive,
    office.record(&household, arrived(4)).await;
    // then one household is counted as returned, and of six persons four,
    let case = office.case(&household).await;
    assert_eq!(confirmed(&case), S::ReturnReturned);
    assert_eq!(detail(&case).household_size, 6);
    assert_eq!(detail(&case).members_returned, 4);

    // until the two who stayed are a household of their own: split off in one submission, which is
    // recorded in both cases or in neither.
    let stayed = fresh_uuid().to_string();
    let split = fact(Payload::HouseholdSplit(v1::HouseholdSplit { members: 2 })).on("2024-02-12");
    let halves = |version: u64| {
        let mut one = change(&household, vec![split.clone()]);
        one.expected = Some(Expected::ExactVersion(version));
        let opening = vec![displaced(2), linked(&household, LinkType::SplitFrom)];
        let mut other = change(&stayed, opening);
        other.expected = Some(Expected::NoCase(true));
        submission(vec![one, other])
    };
    let refused = office.refused_whole(halves(5)).await;
    assert_eq!(refused.reason, "STALE_VERSION");
    assert_eq!(office.cases_of(CaseKind::Return).await.len(), 1);
    office.submit(halves(6)).await;
    // Then there are two households and six persons: one household of four has returned with all its
    // members, and one of two is displaced,
    let cases = office.cases_of(CaseKind::Return).await;
    let told: Vec<_> = cases
        .iter()
        .map(|case| {
            let detail = detail(case);
            let members = (detail.household_size, detail.members_returned);
            (confirmed(case), members)
        })
        .collect();
    assert_eq!(
        told,
        [(S::ReturnReturned, (4, 4)), (S::ReturnDisplaced, (2, 0))]
    );
    let counted = clocks::summary(office.client(), None).await;
    assert_eq!(counted.cases, 2);
    let persons: u32 = cases.iter().map(|case| detail(case).household_size).sum();
    assert_eq!(persons, 6);
    let back: u32 = cases.iter().map(|case| detail(case).members_returned).sum();
    assert_eq!(back, 4);
    // and each is told of the other.
    let links = office.case(&household).await.links;
    assert_eq!(links[0].other_case_id, stayed);
    assert!(links[0].inverse);
    office.close().await;
}
