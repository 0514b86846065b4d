//! What a practitioner would try, told as given, when, then.

use casetrail::wire::v1::{CaseStatus as S, ContestedCause, Credibility, EventType as E};

use super::case::{Telling, TestCase, confirmed, resolved, verified};

/// Case 5.
#[test]
fn a_rumour_of_release_against_a_visit_that_saw_the_person_held() {
    // Given a person who was visited and registered on 20 March,
    let mut case = TestCase::new();
    case.record(confirmed(E::DetentionAlleged).on("2024-03-01"));
    case.record(confirmed(E::VisitedAndRegistered).on("2024-03-20"));

    // when a rumour says that they were released on 12 March,
    let rumour = confirmed(E::Released).held(Credibility::Possible);
    let rumour = case.record(rumour.on("2024-03-12"));

    // then what is confirmed stays, and the case is contested.
    assert_eq!(case.confirmed(), S::DetentionRegistered);
    assert_eq!(case.reported(), S::DetentionRegistered);
    assert_eq!(case.contested(), [ContestedCause::ContradictedAllegation]);

    // When the rumour is to be confirmed against the visit, then it is not that the release does
    // not fit, since a released person can't be visited later: the visit is named.
    let rejection = case.refused(verified(rumour, Credibility::Confirmed).on("2024-04-01"));
    assert_eq!(rejection.reason(), "SEQUENCE_BROKEN");
    assert_eq!(rejection.status(), Some(S::DetentionReleased));

    // When the visit turns out to have seen somebody else, then the rumour is contradicted no more.
    let visit = case.state.facts()[1].event_id;
    case.record(verified(visit, Credibility::Unlikely).on("2024-04-02"));
    assert_eq!(case.confirmed(), S::DetentionAlleged);
    assert_eq!(case.contested(), []);
}

#[test]
fn a_rumour_of_release_after_the_last_visit_contests_nothing_until_another_visit() {
    // Given a person who was visited on 20 March, and a rumour of their release on 2 April,
    let mut case = TestCase::new();
    case.record(
        confirmed(E::VisitedAndRegistered)
            .held(Credibility::Likely)
            .on("2024-02-01"),
    );
    case.record(confirmed(E::DetentionAcknowledged).on("2024-03-01"));
    case.record(confirmed(E::VisitedAndRegistered).on("2024-03-20"));
    case.record(
        confirmed(E::Released)
            .held(Credibility::Likely)
            .on("2024-04-02"),
    );

    // then the two statuses differ, and nothing contradicts the rumour,
    assert_eq!(case.confirmed(), S::DetentionRegistered);
    assert_eq!(case.reported(), S::DetentionReleased);
    let contested = case.contested();

    // until a visit on 9 April sees the person held.
    case.record(confirmed(E::VisitedAndRegistered).on("2024-04-09"));
    assert_eq!(case.confirmed(), S::DetentionRegistered);
    assert_eq!(case.reported(), S::DetentionRegistered);
    assert_eq!(case.contested(), [ContestedCause::ContradictedAllegation]);
    // The early hearsay of a visit was further on than the acknowledgement, so it contested before.
    assert_eq!(contested, [ContestedCause::ContradictedAllegation]);
}

/// Case 6.
#[test]
fn two_offline_workers_record_different_release_dates() {
    // Given a person who is registered,
    let mut case = TestCase::new();
    case.record(confirmed(E::DetentionAcknowledged).on("2024-03-01"));
    case.record(confirmed(E::VisitedAndRegistered).on("2024-03-02"));

    // when one worker's record says that they were released on 14 March, and another's says 12
    // March, both confirmed,
    let fourteenth = case.record(confirmed(E::Released).on("2024-03-14"));
    let twelfth = case.record(confirmed(E::Released).on("2024-03-12"));

    // then both are kept, the person is released, and the later date is in dispute:
    assert_eq!(case.state.facts().len(), 4);
    assert_eq!(case.confirmed(), S::DetentionReleased);
    assert_eq!(case.contested(), [ContestedCause::OpenDispute]);
    assert_eq!(case.case().open_disputes, [fourteenth.to_string()]);

    // until the one date is lowered and the dispute with it is over,
    let mut lowered = case.clone();
    lowered.record(verified(twelfth, Credibility::Unlikely).on("2024-03-21"));
    assert_eq!(lowered.confirmed(), S::DetentionReleased);
    assert_eq!(lowered.contested(), []);

    // or the dispute is resolved, both accounts kept.
    case.record(resolved(fourteenth).on("2024-03-21"));
    assert_eq!(case.confirmed(), S::DetentionReleased);
    assert_eq!(case.reported(), S::DetentionReleased);
    assert_eq!(case.contested(), []);
    assert_eq!(case.state.facts().len(), 5);
}

/// Case 7.
#[test]
fn offline_events_that_arrive_out_of_order_end_in_the_same_status_as_in_order() {
    // Given what happened to a person, and a rumour,
    let history = [
        confirmed(E::DetentionAlleged).on("2024-03-01"),
        confirmed(E::DetentionAcknowledged).on("2024-03-02"),
        confirmed(E::ProceedingsNotified).on("2024-03-03"),
        confirmed(E::VisitedAndRegistered).on("2024-03-04"),
        confirmed(E::Escaped)
            .held(Credibility::Unlikely)
            .on("2024-03-05"),
        confirmed(E::PlaceTransferred).on("2024-03-06"),
        confirmed(E::ProceedingsEnded).on("2024-03-07"),
        confirmed(E::WishesRecorded).on("2024-03-08"),
    ];
    let arrived_in = |order: [usize; 8]| {
        let mut case = TestCase::new();
        for index in order {
            case.record(history[index].clone());
        }
        case
    };

    // when it is recorded as it happened, or as the workers come back into coverage,
    let in_order = arrived_in([0, 1, 2, 3, 4, 5, 6, 7]);
    for order in [
        [0, 3, 1, 5, 2, 6, 4, 7],
        [1, 7, 0, 5, 3, 4, 2, 6],
        [0, 1, 7, 5, 4, 3, 2, 6],
    ] {
        let case = arrived_in(order);

        // then the case stands alike, in every respect.
        assert_eq!(
            case.state.standing(),
            in_order.state.standing(),
            "{order:?}"
        );
        assert_eq!(case.contested(), in_order.contested());
        assert_eq!(case.detention(), in_order.detention());
        assert_eq!(case.confirmed(), S::DetentionRegistered);
    }
}
