//! Several confirmed events that tell of one happening: all are kept, and those that differ open a
//! dispute.

use casetrail::domain::lifecycle;
use casetrail::wire::v1::{
    ArrivalDestination, CaseStatus as S, ContestedCause, Credibility, Event, EventType as E,
    event::Payload,
};

use super::case::{
    Telling, TestCase, alleged, confirmed, corrected, reopened, resolved, retracted, verified,
};
use super::catalogue::{DETENTION, Guard, LIFECYCLES, RETURN};

const DISPUTED: [ContestedCause; 1] = [ContestedCause::OpenDispute];

fn registered() -> TestCase {
    TestCase::in_status(&DETENTION, S::DetentionRegistered, Guard::None)
}

fn arrived(destination: ArrivalDestination) -> Event {
    let mut event = confirmed(E::Arrived);
    if let Some(Payload::Arrived(arrived)) = &mut event.payload {
        arrived.set_destination(destination);
    }
    event
}

fn disputes(case: &TestCase) -> Vec<String> {
    case.case().open_disputes
}

#[test]
fn what_happens_once_is_what_the_catalogue_says() {
    let mut marked = 0;
    for kind in LIFECYCLES {
        for (row, expected) in lifecycle::table(kind.kind).iter().zip(kind.rows()) {
            assert_eq!(row.once, expected.once, "{:?}", row.event);
            marked += usize::from(row.once);
            if row.once {
                // It has a status to bring, and does not allow itself there a second time.
                let brings = expected.brings();
                assert!(!brings.is_empty());
                assert!(brings.iter().all(|status| !expected.allows(*status)));
            }
        }
        let once = kind.rows().iter().filter(|row| row.once).count();
        assert!(once <= 8, "the image keeps a bit for each");
    }
    assert_eq!(marked, 27);
}

#[test]
fn two_accounts_of_one_release_are_both_kept_in_whatever_order_they_arrive() {
    let days = [12, 14, 13];
    let told = |order: [usize; 3]| {
        let mut case = registered();
        let events = days.map(|day| confirmed(E::Released).on_day(day));
        for index in order {
            case.record(events[index].clone());
        }
        assert_eq!(case.contested(), DISPUTED);
        assert_eq!(disputes(&case).len(), 2);
        (case.state.standing(), case.case().detail)
    };
    let in_order = told([0, 2, 1]);
    for order in [[0, 1, 2], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        assert_eq!(told(order), in_order);
    }
}

#[test]
fn accounts_that_can_be_of_one_day_agree() {
    let mut case = registered();
    case.record(confirmed(E::Released).on_day(12));
    case.record(confirmed(E::Released).on_day(12));
    case.record(confirmed(E::Released).on("2024-03"));
    assert_eq!(case.contested(), []);
    case.record(confirmed(E::Released).on_day(13));
    assert_eq!(case.contested(), DISPUTED);
}

#[test]
fn a_dispute_between_accounts_ends_with_either_of_them_or_with_their_difference() {
    let mut case = registered();
    let first = case.record(confirmed(E::Released).on_day(12));
    let second = case.record(confirmed(E::Released).on_day(14));
    assert_eq!(disputes(&case), [second.to_string()]);
    let ended = |event: Event| {
        let mut case = case.clone();
        case.record(event.on_day(20));
        assert_eq!(case.contested(), []);
        assert_eq!(case.confirmed(), S::DetentionReleased);
        assert_eq!(disputes(&case), Vec::<String>::new());
    };
    for event in [first, second] {
        ended(retracted(event));
        ended(verified(event, Credibility::Unlikely));
    }
    ended(corrected(first, confirmed(E::Released).on_day(14)));
    ended(corrected(second, confirmed(E::Released).on_day(12)));
    ended(resolved(second));
    assert_eq!(
        case.refused(resolved(first).on_day(20)).reason(),
        "DISPUTE_NOT_OPEN"
    );
}

#[test]
fn a_third_account_opens_a_dispute_of_its_own_also_once_the_first_is_resolved() {
    let mut case = registered();
    case.record(confirmed(E::Released).on_day(12));
    let second = case.record(confirmed(E::Released).on_day(14));
    case.record(resolved(second).on_day(20));
    let third = case.record(confirmed(E::Released).on_day(16));
    assert_eq!(disputes(&case), [third.to_string()]);
}

#[test]
fn of_two_destinations_the_later_one_shows_until_the_dispute_is_settled() {
    let mut case = registered();
    case.record(confirmed(E::Released).on_day(12));
    let first = case.record(arrived(ArrivalDestination::Residence).on_day(13));
    assert_eq!(case.confirmed(), S::DetentionReturnedToResidence);
    let second = case.record(arrived(ArrivalDestination::OwnCountry).on_day(13));
    assert_eq!(case.confirmed(), S::DetentionRepatriated);
    assert_eq!(case.contested(), DISPUTED);
    // Each of them ends the case, and each is to be reopened where both are wrong.
    case.record(reopened(second).on_day(20));
    assert_eq!(case.confirmed(), S::DetentionReturnedToResidence);
    assert_eq!(case.contested(), []);
    case.record(reopened(first).on_day(20));
    assert_eq!(case.confirmed(), S::DetentionReleased);
}

#[test]
fn a_later_account_does_not_bring_a_case_back_that_has_gone_on() {
    let mut case = registered();
    case.record(confirmed(E::Released).on_day(12));
    let arrival = case.record(confirmed(E::Arrived).on_day(13));
    case.record(confirmed(E::Released).on_day(15));
    assert_eq!(case.confirmed(), S::DetentionRepatriated);
    assert_eq!(case.contested(), DISPUTED);
    assert_eq!(case.case().closing_event_id, arrival.to_string());
}

#[test]
fn another_number_or_another_place_differs_as_well() {
    let returned = |members: u32, district: &str| {
        let mut event = confirmed(E::SpontaneousReturn);
        if let Some(Payload::SpontaneousReturn(returned)) = &mut event.payload {
            returned.members = members;
            district.clone_into(&mut returned.place.as_mut().unwrap().district);
        }
        event.on_day(20)
    };
    for (members, district, disputed) in [
        (3, "XA01", false),
        (4, "XA01", true),
        (3, "XA02", true),
        (3, "", false),
    ] {
        let mut case = TestCase::in_status(&RETURN, S::ReturnDisplaced, Guard::None);
        case.record(returned(3, "XA01"));
        case.record(returned(members, district));
        assert_eq!(
            !case.contested().is_empty(),
            disputed,
            "{members} {district}"
        );
        assert_eq!(case.confirmed(), S::ReturnReturned);
    }
}

#[test]
fn what_is_revoked_may_be_established_anew_and_is_no_second_account() {
    let mut case = TestCase::new();
    for (day, event) in (1..).zip([
        E::RemainsRecovered,
        E::PostMortemCompleted,
        E::IdentificationEstablished,
        E::IdentificationRevoked,
        E::IdentificationEstablished,
    ]) {
        case.record(confirmed(event).on_day(day));
    }
    assert_eq!(case.contested(), []);
    case.record(confirmed(E::IdentificationEstablished).on_day(9));
    assert_eq!(case.contested(), DISPUTED);
    // Revoked and buried: an identification is allowed there no more, and is no account of the
    // revoked one.
    case.record(confirmed(E::IdentificationRevoked).on_day(10));
    assert_eq!(case.confirmed(), S::RemainsUnidentified);
    case.record(confirmed(E::BuriedUnidentified).on_day(11));
    let rejection = case.refused(confirmed(E::IdentificationEstablished).on_day(12));
    assert_eq!(rejection.reason(), "EVENT_NOT_ALLOWED");
}

#[test]
fn what_may_happen_again_is_no_account_of_what_happened_before() {
    let mut case = registered();
    for day in [5, 6, 7] {
        case.record(confirmed(E::PlaceTransferred).on_day(day));
        case.record(confirmed(E::VisitedAndRegistered).on_day(day));
    }
    assert_eq!(case.contested(), []);
    case.record(confirmed(E::ReleaseListed).on_day(8));
    // A second listing is no second account: it is refused, as it was.
    let rejection = case.refused(confirmed(E::ReleaseListed).on_day(9));
    assert_eq!(rejection.reason(), "EVENT_NOT_ALLOWED");
}

#[test]
fn hearsay_is_no_account_and_is_one_once_it_is_confirmed() {
    let mut case = registered();
    case.record(confirmed(E::Released).on_day(14));
    let rumour = case.record(alleged(E::Released).on_day(12));
    assert_eq!(case.contested(), []);
    case.record(verified(rumour, Credibility::Confirmed).on_day(20));
    assert_eq!(case.contested(), DISPUTED);
}

#[test]
fn an_account_that_leaves_no_place_for_something_else_is_refused_with_what_can_be_done() {
    let mut case = registered();
    case.record(confirmed(E::VisitedAndRegistered).on_day(13));
    case.record(confirmed(E::Released).on_day(14));
    let rejection = case.refused(confirmed(E::Released).on_day(12));
    assert_eq!(rejection.reason(), "SEQUENCE_BROKEN");
    assert_eq!(
        rejection.options(),
        [
            "SUBMIT_TOGETHER",
            "CORRECT_OR_RETRACT",
            "RECORD_AS_ALLEGATION"
        ]
    );
    case.record(alleged(E::Released).on_day(12));
    assert_eq!(case.confirmed(), S::DetentionReleased);
}

#[test]
fn as_of_a_day_between_two_accounts_only_the_earlier_one_had_happened() {
    let mut case = registered();
    case.record(confirmed(E::Released).on_day(12));
    case.record(confirmed(E::Released).on_day(14));
    let day = super::case::first_day().plus(13);
    let (case_then, possibly) = case.state.to_case_at(day);
    assert_eq!(
        case_then.standing.unwrap().confirmed(),
        S::DetentionReleased
    );
    assert_eq!(case_then.open_disputes, Vec::<String>::new());
    assert!(possibly.is_none());
}
