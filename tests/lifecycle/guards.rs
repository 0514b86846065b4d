//! What must hold besides the status: a person's wishes before a handover, and proceedings before
//! their end.

use casetrail::wire::v1::{CaseStatus, ContestedCause, Credibility, EventType as E, WishesOutcome};

use super::case::{Telling, TestCase, alleged, confirmed, event_of, verified, wishes};
use super::catalogue::{DETENTION, Guard, event_named, path_to};

/// A case with a handover scheduled and no wishes on record.
fn handover_scheduled() -> TestCase {
    let mut case = TestCase::new();
    let events = [
        E::DetentionAlleged,
        E::DetentionAcknowledged,
        E::ReleaseListed,
        E::HandoverScheduled,
    ];
    for (day, event) in (1..).zip(events) {
        case.record(confirmed(event).on_day(day));
    }
    case
}

fn start(day: i32) -> casetrail::wire::v1::Event {
    confirmed(E::HandoverStarted).on_day(day)
}

#[test]
fn a_handover_does_not_start_without_wishes_on_record() {
    let mut case = handover_scheduled();
    let rejection = case.refused(start(9));
    assert_eq!(rejection.reason(), "WISHES_MISSING");
    assert_eq!(rejection.status(), Some(case.confirmed()));
    assert!(rejection.to_string().contains("GC III 109"));
    case.record(wishes(WishesOutcome::Return).on_day(8));
    case.record(start(9));
}

#[test]
fn wishes_that_are_not_confirmed_let_no_handover_start() {
    let mut case = handover_scheduled();
    let event = wishes(WishesOutcome::Return).held(Credibility::Likely);
    let hearsay = case.record(event.on_day(8));
    assert_eq!(case.refused(start(9)).reason(), "WISHES_MISSING");
    case.record(verified(hearsay, Credibility::Confirmed).on_day(9));
    case.record(start(9));
}

#[test]
fn a_handover_does_not_start_against_a_refusal() {
    let mut case = handover_scheduled();
    case.record(wishes(WishesOutcome::Decline).on_day(5));
    assert_eq!(case.detention().wishes(), WishesOutcome::Decline);
    let rejection = case.refused(start(9));
    assert_eq!(rejection.reason(), "WISHES_DECLINED");
    assert_eq!(rejection.status(), Some(case.confirmed()));
}

#[test]
fn a_person_may_change_their_mind_either_way() {
    let mut case = handover_scheduled();
    case.record(wishes(WishesOutcome::Return).on_day(5));
    case.record(wishes(WishesOutcome::Decline).on_day(6));
    assert_eq!(case.refused(start(9)).reason(), "WISHES_DECLINED");
    case.record(wishes(WishesOutcome::ReturnElsewhere).on_day(7));
    case.record(start(9));
    assert_eq!(case.detention().wishes(), WishesOutcome::ReturnElsewhere);
}

#[test]
fn a_refusal_told_late_does_not_slip_in_before_a_handover_that_started() {
    let mut case = handover_scheduled();
    case.record(wishes(WishesOutcome::Return).on_day(5));
    let started = case.record(start(9));
    let rejection = case.refused(wishes(WishesOutcome::Decline).on_day(7));
    assert_eq!(rejection.reason(), "SEQUENCE_BROKEN");
    let place = format!("position {}", case.position(started));
    assert!(rejection.to_string().contains(&place), "{rejection}");
    // What was said before the wishes that count stands, and so does what is said after the start.
    case.record(wishes(WishesOutcome::Decline).on_day(4));
    case.record(wishes(WishesOutcome::Decline).on_day(10));
    assert_eq!(case.contested(), []);
}

#[test]
fn wishes_found_doubtful_leave_a_started_handover_contested() {
    let mut case = handover_scheduled();
    let said = case.record(wishes(WishesOutcome::Return).on_day(5));
    case.record(start(9));
    let status = case.confirmed();
    case.record(verified(said, Credibility::Possible).on_day(10));
    assert_eq!(case.confirmed(), status);
    assert_eq!(case.contested(), [ContestedCause::BrokenSequence]);
    case.record(wishes(WishesOutcome::Return).on_day(6));
    assert_eq!(case.contested(), []);
}

#[test]
fn a_handover_that_only_may_have_started_needs_no_wishes() {
    let mut case = handover_scheduled();
    let status = case.confirmed();
    let rumour = case.record(alleged(E::HandoverStarted).on_day(9));
    assert_eq!(case.confirmed(), status);
    let rejection = case.refused(verified(rumour, Credibility::Confirmed).on_day(9));
    assert_eq!(rejection.reason(), "WISHES_MISSING");
}

#[test]
fn proceedings_end_once_they_were_notified_and_once_only() {
    let mut case = TestCase::new();
    case.record(confirmed(E::DetentionAcknowledged).on_day(1));
    let rejection = case.refused(confirmed(E::ProceedingsEnded).on_day(2));
    assert_eq!(rejection.reason(), "NO_RELEASE_HOLD");
    assert_eq!(rejection.status(), Some(case.confirmed()));
    case.record(confirmed(E::ProceedingsNotified).on_day(2));
    assert!(case.detention().release_hold);
    case.record(confirmed(E::ProceedingsEnded).on_day(3));
    assert!(!case.detention().release_hold);
    let rejection = case.refused(confirmed(E::ProceedingsEnded).on_day(4));
    assert_eq!(rejection.reason(), "NO_RELEASE_HOLD");
}

#[test]
fn a_release_hold_holds_up_nothing_but_the_end_of_proceedings() {
    for event in ["ReleaseListed", "Released", "Escaped", "WhereaboutsLost"] {
        let held = path_to(
            &DETENTION,
            CaseStatus::DetentionRegistered,
            Guard::ReleaseHold,
        );
        let mut case = TestCase::new();
        for (day, claim) in (1..).zip(held) {
            case.record(event_of(&claim).on_day(day));
        }
        assert!(case.detention().release_hold);
        case.record(confirmed(event_named(event)).on_day(20));
    }
}
