//! Events that arrive late, and on what day an event stands.

use casetrail::wire::day::Day;
use casetrail::wire::v1::{CaseStatus as S, EventType as E};

use super::case::{Telling, TestCase, alleged, confirmed, disputed, first_day};
use super::catalogue::{DETENTION, Guard};

/// Alleged on day 1, visited on day 10, listed for release on day 20.
fn listed() -> TestCase {
    let mut case = TestCase::new();
    case.record(confirmed(E::DetentionAlleged).on_day(1));
    case.record(confirmed(E::VisitedAndRegistered).on_day(10));
    case.record(confirmed(E::ReleaseListed).on_day(20));
    case
}

#[test]
fn a_late_event_that_fits_in_its_place_is_taken_there() {
    let mut case = listed();
    case.record(confirmed(E::DetentionAcknowledged).on_day(5));
    case.record(confirmed(E::PlaceTransferred).on_day(15));
    assert_eq!(case.confirmed(), S::DetentionReleasePending);
    assert_eq!(case.reported(), S::DetentionReleasePending);
    assert_eq!(case.contested(), []);
}

#[test]
fn a_late_event_that_its_place_does_not_allow_is_refused_with_the_status_there() {
    let mut case = listed();
    let rejection = case.refused(confirmed(E::HandoverScheduled).on_day(15));
    assert_eq!(rejection.reason(), "EVENT_NOT_ALLOWED");
    assert_eq!(rejection.status(), Some(S::DetentionRegistered));
    assert_eq!(rejection.allowed(), [S::DetentionReleasePending]);
}

#[test]
fn a_late_event_that_breaks_a_later_one_is_refused_with_the_first_place_that_breaks() {
    let mut case = listed();
    let scheduled = case.record(confirmed(E::HandoverScheduled).on_day(25));
    let listed = case.state.facts()[2].event_id;
    let rejection = case.refused(confirmed(E::WhereaboutsLost).on_day(15));
    assert_eq!(rejection.reason(), "SEQUENCE_BROKEN");
    assert_eq!(rejection.status(), Some(S::DetentionWhereaboutsUnknown));
    assert_eq!(
        rejection.allowed(),
        [S::DetentionAcknowledged, S::DetentionRegistered]
    );
    let words = rejection.to_string();
    let place = format!("ReleaseListed at position {},", case.position(listed));
    assert!(words.contains(&place), "{words}");
    assert!(!words.contains(&format!("position {},", case.position(scheduled))));
    assert!(words.contains("status WhereaboutsUnknown"), "{words}");
    assert!(
        words.contains("allowed in Acknowledged, Registered"),
        "{words}"
    );
}

#[test]
fn on_the_same_day_the_one_recorded_later_stands_later() {
    let mut case = TestCase::new();
    case.record(confirmed(E::DetentionAlleged).on_day(1));
    case.record(confirmed(E::VisitedAndRegistered).on_day(1));
    assert_eq!(case.confirmed(), S::DetentionRegistered);
    // Between the visit and what follows a day later.
    case.record(confirmed(E::ReleaseListed).on_day(2));
    case.record(confirmed(E::PlaceTransferred).on_day(1));
    assert_eq!(case.confirmed(), S::DetentionReleasePending);
}

#[test]
fn an_event_stands_on_the_latest_day_on_which_it_can_have_happened() {
    let days = |case: &TestCase| case.state.facts().last().unwrap().day;
    let mut case = TestCase::new();
    for (occurred, day) in [
        ("2024-03-05", (3, 5)),
        ("2024-03-05T23:30:00-05:00", (3, 5)),
        ("2024-03", (3, 31)),
        ("2024-03~", (3, 31)),
        ("2024-03-01/2024-04-09", (4, 9)),
        // No later than the day of the recording.
        ("2024", (6, 1)),
        ("2024-03-01/..", (6, 1)),
        ("2024-06-02", (6, 1)),
    ] {
        let event = alleged(E::DetentionAlleged).on(occurred);
        case.record(event);
        let (month, day) = day;
        assert_eq!(
            Day::from_calendar(2024, month, day),
            Some(days(&case)),
            "{occurred}"
        );
    }
}

#[test]
fn an_event_about_the_record_holds_up_no_event_of_the_case() {
    let mut case = listed();
    let visit = case.state.facts()[1].event_id;
    case.record(disputed(visit).on_day(30));
    case.record(confirmed(E::HandoverScheduled).on_day(25));
    assert_eq!(case.confirmed(), S::DetentionHandoverScheduled);
}

#[test]
fn what_happened_before_the_closing_is_still_taken_after_it() {
    let mut case = TestCase::in_status(&DETENTION, S::DetentionRegistered, Guard::None);
    case.record(confirmed(E::CaseClosed).on_day(30));
    case.record(confirmed(E::PlaceTransferred).on_day(20));
    case.record(alleged(E::Released).on_day(21));
    assert_eq!(case.confirmed(), S::DetentionRegistered);
    assert!(case.state.standing().closed);
    assert_eq!(
        case.refused(alleged(E::Released).on_day(30)).reason(),
        "CASE_CLOSED"
    );
}

#[test]
fn a_closing_dated_before_what_happened_since_is_refused() {
    let mut case = listed();
    let rejection = case.refused(confirmed(E::CaseClosed).on_day(15));
    assert_eq!(rejection.reason(), "SEQUENCE_BROKEN");
    let listed = case.state.facts()[2].position;
    assert!(
        rejection
            .to_string()
            .contains(&format!("position {listed},"))
    );
}

#[test]
fn a_long_case_folds_to_the_same_however_it_arrived() {
    let mut case = TestCase::new();
    case.record(confirmed(E::DetentionAlleged).on(&first_day().plus(-1).to_string()));
    case.record(confirmed(E::DetentionAcknowledged).on_day(0));
    for day in (1..60).rev() {
        case.record(confirmed(E::PlaceTransferred).on_day(day));
    }
    assert_eq!(case.confirmed(), S::DetentionAcknowledged);
    assert_eq!(case.contested(), []);
}

#[test]
fn late_hearsay_of_what_a_confirmed_event_has_opened_is_taken_and_breaks_nothing() {
    for (opening, status) in [
        (E::DetentionAlleged, S::DetentionAlleged),
        (E::RemainsReported, S::RemainsReported),
    ] {
        let mut case = TestCase::new();
        case.record(confirmed(opening).on_day(10));
        case.record(alleged(opening).on_day(5));
        assert_eq!(case.confirmed(), status);
        assert_eq!(case.reported(), status);
        assert_eq!(case.contested(), []);
    }
}

#[test]
fn an_event_allowed_in_any_status_may_have_occurred_before_the_first_one() {
    let mut case = listed();
    case.record(confirmed(E::FamilyContactRestored).on_day(0));
    assert_eq!(case.confirmed(), S::DetentionReleasePending);
    assert_eq!(case.contested(), []);
}
