//! Events of one submission: judged as a whole where only their places speak against them.

use casetrail::wire::v1::{CaseStatus as S, ContestedCause, Event, EventType as E};

use super::case::{Telling, TestCase, alleged, confirmed, retracted};
use super::catalogue::{DETENTION, Guard};

/// Acknowledged on day 1, transferred to another place on day 4.
fn transferred() -> TestCase {
    let mut case = TestCase::new();
    case.record(confirmed(E::DetentionAcknowledged).on_day(1));
    case.record(confirmed(E::PlaceTransferred).on_day(4));
    case
}

/// Out of sight on day 2, and acknowledged anew on day 3.
fn lost_and_found() -> [Event; 2] {
    [
        confirmed(E::WhereaboutsLost).on_day(2),
        confirmed(E::DetentionAcknowledged).on_day(3),
    ]
}

#[test]
fn late_events_that_only_fit_together_are_refused_one_by_one_and_taken_together() {
    let [lost, found] = lost_and_found();
    let mut case = transferred();
    let rejection = case.refused(lost.clone());
    assert_eq!(rejection.reason(), "SEQUENCE_BROKEN");
    let words = rejection.to_string();
    assert!(words.contains("submit it together with"), "{words}");
    assert!(words.contains("record it as an allegation"), "{words}");
    let rejection = case.refused(found.clone());
    assert_eq!(rejection.reason(), "EVENT_NOT_ALLOWED");
    assert_eq!(rejection.options().len(), 3);
    assert!(rejection.to_string().contains("submit it together with"));

    let mut in_order = TestCase::new();
    in_order.record(confirmed(E::DetentionAcknowledged).on_day(1));
    for event in lost_and_found() {
        in_order.record(event);
    }
    in_order.record(confirmed(E::PlaceTransferred).on_day(4));
    for events in [vec![lost.clone(), found.clone()], vec![found, lost]] {
        let mut case = transferred();
        case.submit_together(events).unwrap();
        assert_eq!(case.state.standing(), in_order.state.standing());
        assert_eq!(case.contested(), []);
    }
}

#[test]
fn a_whole_case_may_come_in_one_submission_in_any_order() {
    let mut case = TestCase::new();
    let events = vec![
        confirmed(E::VisitedAndRegistered).on_day(2),
        confirmed(E::Released).on_day(5),
        confirmed(E::DetentionAlleged).on_day(1),
        confirmed(E::ReleaseListed).on_day(3),
    ];
    case.submit_together(events).unwrap();
    assert_eq!(case.confirmed(), S::DetentionReleased);
    assert_eq!(case.contested(), []);
}

#[test]
fn what_does_not_fit_together_either_is_refused_whole_and_named() {
    let [lost, found] = lost_and_found();
    // Together with something else it fits no better.
    let mut case = transferred();
    let before = case.state.clone();
    let refusal = case.submit_together(vec![
        confirmed(E::VisitedAndRegistered).on_day(1),
        lost.clone(),
    ]);
    let refusal = refusal.unwrap_err();
    assert_eq!((refusal.event, refusal.event_type), (1, E::WhereaboutsLost));
    assert_eq!(refusal.rejection.reason(), "SEQUENCE_BROKEN");
    assert_eq!(case.state, before);
    // Of three the one that fits nowhere is named.
    let refusal = case
        .submit_together(vec![lost, found, confirmed(E::HandoverScheduled).on_day(5)])
        .unwrap_err();
    assert_eq!(
        (refusal.event, refusal.event_type),
        (2, E::HandoverScheduled)
    );
    assert_eq!(refusal.rejection.reason(), "EVENT_NOT_ALLOWED");
    assert_eq!(refusal.rejection.status(), Some(S::DetentionAcknowledged));
    // It comes last: nothing that is submitted with it would make it fit.
    assert_eq!(refusal.rejection.options(), [""; 0]);
    assert_eq!(case.state, before);
}

#[test]
fn a_release_before_a_visit_is_taken_with_the_retraction_of_the_visit_in_either_order() {
    for retraction_first in [true, false] {
        let mut case = TestCase::in_status(&DETENTION, S::DetentionRegistered, Guard::None);
        let visit = case.record(confirmed(E::VisitedAndRegistered).on_day(13));
        let release = confirmed(E::Released).on_day(12);
        assert_eq!(case.refused(release.clone()).reason(), "SEQUENCE_BROKEN");
        let mut events = vec![retracted(visit).on_day(20), release];
        if !retraction_first {
            events.reverse();
        }
        case.submit_together(events).unwrap();
        assert_eq!(case.confirmed(), S::DetentionReleased);
        assert_eq!(case.contested(), []);
    }
}

#[test]
fn what_a_retraction_leaves_without_ground_is_no_fault_of_its_submission() {
    let mut case = TestCase::new();
    case.record(confirmed(E::DetentionAcknowledged).on_day(1));
    let listed = case.record(confirmed(E::ReleaseListed).on_day(5));
    case.record(confirmed(E::HandoverScheduled).on_day(6));
    let [lost, found] = lost_and_found();
    let events = vec![lost, retracted(listed).on_day(20), found];
    case.submit_together(events).unwrap();
    assert_eq!(case.confirmed(), S::DetentionHandoverScheduled);
    assert_eq!(case.contested(), [ContestedCause::BrokenSequence]);
}

#[test]
fn no_allegation_waits_for_others() {
    let mut case = TestCase::in_status(&DETENTION, S::DetentionEscaped, Guard::None);
    let refusal = case.submit_together(vec![
        alleged(E::Released).on_day(20),
        confirmed(E::AttestationIssued).on_day(21),
    ]);
    assert_eq!(refusal.unwrap_err().event, 0);
}
