//! Corrections and retractions: what a case tells once something of it was wrong.

use casetrail::wire::v1::{CaseStatus as S, ContestedCause, Credibility, EventType as E};

use super::case::{
    Telling, TestCase, alleged, confirmed, corrected, disputed, reopened, resolved, retracted,
    verified,
};
use super::catalogue::{DETENTION, Guard, LIFECYCLES};
use super::support::fresh_uuid;

fn registered() -> TestCase {
    TestCase::in_status(&DETENTION, S::DetentionRegistered, Guard::None)
}

#[test]
fn a_retracted_rumour_takes_the_contest_along_that_rested_on_it() {
    let mut case = registered();
    let rumour = case.record(alleged(E::Released).on_day(20));
    case.record(confirmed(E::VisitedAndRegistered).on_day(21));
    assert_eq!(case.contested(), [ContestedCause::ContradictedAllegation]);
    let retraction = case.record(retracted(rumour).on_day(30));
    assert_eq!(case.contested(), []);
    assert_eq!(case.reported(), S::DetentionRegistered);
    // The retraction was wrong: the rumour counts again, and with it the contest.
    case.record(retracted(retraction).on_day(31));
    assert_eq!(case.contested(), [ContestedCause::ContradictedAllegation]);
}

#[test]
fn every_event_of_every_path_is_retracted_and_comes_back() {
    let mut checks = 0;
    for lifecycle in LIFECYCLES {
        for status in lifecycle.statuses() {
            let path = TestCase::in_status(lifecycle, status, Guard::None);
            for target in path.state.facts() {
                checks += 1;
                let mut case = path.clone();
                let retraction = case.record(retracted(target.event_id).on_day(30));
                case.record(retracted(retraction).on_day(31));
                assert_eq!(case.confirmed(), status);
                assert_eq!(case.contested(), []);
                assert_eq!(case.case().detail, path.case().detail);
            }
        }
    }
    assert_eq!(checks, 91 + 55 + 3);
}

#[test]
fn a_case_of_which_all_is_retracted_exists_and_has_no_status() {
    let mut case = TestCase::new();
    let only = case.record(confirmed(E::DetentionAcknowledged).on_day(1));
    case.record(retracted(only).on_day(2));
    assert_eq!(
        (case.confirmed(), case.reported()),
        (S::Unspecified, S::Unspecified)
    );
    assert_eq!(case.case().version, 2);
    case.record(confirmed(E::DetentionAcknowledged).on_day(3));
    assert_eq!(case.confirmed(), S::DetentionAcknowledged);
}

#[test]
fn a_retraction_that_leaves_a_later_event_without_ground_contests_the_case_until_it_is_mended() {
    let mut case = TestCase::new();
    case.record(confirmed(E::DetentionAcknowledged).on_day(1));
    let listed = case.record(confirmed(E::ReleaseListed).on_day(2));
    case.record(confirmed(E::HandoverScheduled).on_day(3));
    case.record(retracted(listed).on_day(4));
    assert_eq!(case.confirmed(), S::DetentionHandoverScheduled);
    assert_eq!(case.contested(), [ContestedCause::BrokenSequence]);
    case.record(confirmed(E::ReleaseListed).on_day(2));
    assert_eq!(case.contested(), []);
}

#[test]
fn a_corrected_event_is_told_as_the_correction_says_and_in_its_place() {
    let mut case = TestCase::new();
    // Both on one day: the correction of the first stays before the second.
    let acknowledged = case.record(confirmed(E::DetentionAlleged).on_day(1));
    case.record(confirmed(E::DetentionAcknowledged).on_day(1));
    let correction = case.record(corrected(
        acknowledged,
        confirmed(E::DetentionAlleged).on_day(1),
    ));
    assert_eq!(case.contested(), []);
    assert_eq!(case.confirmed(), S::DetentionAcknowledged);
    // Of another type, on another day.
    case.record(corrected(
        correction,
        alleged(E::DetentionAlleged).on_day(0),
    ));
    assert_eq!(case.contested(), []);
}

#[test]
fn a_date_without_an_end_does_not_move_to_the_day_of_its_correction() {
    let mut case = TestCase::new();
    let first = case.record(confirmed(E::DetentionAcknowledged).on("2024-03-01/.."));
    let day = case.state.facts()[0].day;
    case.recorded_on = case.recorded_on.plus(20);
    let replacement = confirmed(E::DetentionAcknowledged).on("2024-03-01/..");
    case.record(corrected(first, replacement));
    assert_eq!(case.state.facts()[1].day, day);
    // One that can't have happened before has its own.
    let later = case.recorded_on.plus(-1);
    let first = case.state.facts()[1].event_id;
    let replacement = confirmed(E::DetentionAcknowledged).on(&format!("{later}/.."));
    case.record(corrected(first, replacement));
    assert_eq!(case.state.facts()[2].day, case.recorded_on);
}

#[test]
fn a_replacement_that_does_not_fit_where_it_would_stand_is_refused() {
    let mut case = registered();
    let visit = case.state.facts().last().unwrap().event_id;
    let rejection = case.refused(corrected(visit, confirmed(E::Arrived).on_day(5)).on_day(30));
    assert_eq!(rejection.reason(), "EVENT_NOT_ALLOWED");
    assert!(rejection.to_string().starts_with("Arrived "), "{rejection}");
    let rejection = case.refused(corrected(visit, confirmed(E::RemainsRecovered)).on_day(30));
    assert_eq!(rejection.reason(), "CASE_KIND_MISMATCH");
}

#[test]
fn a_correction_that_leaves_a_later_event_without_ground_is_accepted_and_contests_the_case() {
    let mut case = TestCase::new();
    case.record(confirmed(E::DetentionAlleged).on_day(0));
    let first = case.record(confirmed(E::DetentionAcknowledged).on_day(1));
    case.record(confirmed(E::PlaceTransferred).on_day(2));
    case.record(corrected(first, confirmed(E::Released).on_day(1)).on_day(9));
    assert_eq!(case.confirmed(), S::DetentionReleased);
    assert_eq!(case.contested(), [ContestedCause::BrokenSequence]);
}

#[test]
fn an_event_that_stands_out_of_place_may_be_corrected_there() {
    let mut case = TestCase::new();
    let first = case.record(confirmed(E::DetentionAcknowledged).on_day(1));
    let moved = case.record(confirmed(E::PlaceTransferred).on_day(2));
    case.record(retracted(first).on_day(3));
    assert_eq!(case.contested(), [ContestedCause::BrokenSequence]);
    case.record(corrected(moved, confirmed(E::PlaceTransferred).on_day(2)).on_day(4));
    assert_eq!(case.contested(), [ContestedCause::BrokenSequence]);
}

#[test]
fn what_was_corrected_or_retracted_is_not_corrected_again_and_the_refusal_names_what_stands() {
    let mut case = registered();
    let visit = case.state.facts().last().unwrap().event_id;
    let same = || confirmed(E::VisitedAndRegistered).on_day(3);
    let first = case.record(corrected(visit, same()));
    let second = case.record(corrected(first, same()));
    for target in [visit, first] {
        for event in [
            corrected(target, same()),
            retracted(target),
            disputed(target),
        ] {
            let rejection = case.refused(event);
            assert_eq!(rejection.reason(), "TARGET_EVENT_NOT_STANDING");
            let words = rejection.to_string();
            assert!(words.contains(&second.to_string()), "{words}");
        }
    }
    let rejection = case.refused(corrected(first, same()));
    assert_eq!(rejection.field(), Some("event_corrected.target_event_id"));
    let retraction = case.record(retracted(second));
    let rejection = case.refused(retracted(second));
    assert!(rejection.to_string().contains(&retraction.to_string()));
    // The second correction is taken back: the first one counts again.
    case.record(verified(first, Credibility::Likely));
    let rejection = case.refused(retracted(fresh_uuid()));
    assert_eq!(rejection.reason(), "TARGET_EVENT_NOT_FOUND");
}

#[test]
fn a_correction_that_is_corrected_does_not_bring_back_the_first_account() {
    let mut case = TestCase::new();
    case.record(confirmed(E::DetentionAlleged).on_day(0));
    let told = case.record(confirmed(E::Escaped).on_day(1));
    let first = case.record(corrected(told, confirmed(E::DiedInCustody).on_day(1)));
    assert_eq!(case.confirmed(), S::DetentionDiedInCustody);
    case.record(corrected(
        first,
        confirmed(E::DetentionAcknowledged).on_day(1),
    ));
    assert_eq!(case.confirmed(), S::DetentionAcknowledged);
    let end = case.record(confirmed(E::Escaped).on_day(2));
    let end = case.record(corrected(end, confirmed(E::Escaped).on_day(3)));
    case.record(reopened(end).on_day(4));
    assert_eq!(case.confirmed(), S::DetentionAcknowledged);
}

#[test]
fn what_concerns_the_record_is_retracted_like_anything_else() {
    let mut case = registered();
    let visit = case.state.facts().last().unwrap().event_id;
    let dispute = case.record(disputed(visit).on_day(10));
    let resolution = case.record(resolved(dispute).on_day(11));
    case.record(retracted(resolution).on_day(12));
    assert_eq!(case.contested(), [ContestedCause::OpenDispute]);
    case.record(retracted(dispute).on_day(12));
    assert_eq!(case.contested(), []);
    let doubt = case.record(verified(visit, Credibility::Unlikely).on_day(13));
    assert_ne!(case.confirmed(), S::DetentionRegistered);
    case.record(retracted(doubt).on_day(13));
    assert_eq!(case.confirmed(), S::DetentionRegistered);
    let closing = case.record(confirmed(E::CaseClosed).on_day(14));
    let reopening = case.record(reopened(closing).on_day(15));
    case.record(retracted(reopening).on_day(16));
    assert!(case.state.standing().closed);
    case.record(retracted(closing).on_day(17));
    assert!(!case.state.standing().closed);
}

#[test]
fn a_dispute_lapses_with_its_event_and_goes_on_about_its_replacement() {
    let mut case = registered();
    let visit = case.state.facts().last().unwrap().event_id;
    case.record(disputed(visit).on_day(10));
    let replacement = confirmed(E::VisitedAndRegistered).on_day(3);
    let correction = case.record(corrected(visit, replacement).on_day(11));
    assert_eq!(case.contested(), [ContestedCause::OpenDispute]);
    case.record(retracted(correction).on_day(12));
    assert_eq!(case.contested(), [ContestedCause::OpenDispute]);
    case.record(retracted(visit).on_day(13));
    assert_eq!(case.contested(), []);
    // A denial that was resolved stays so where it is corrected.
    let denial = case.record(confirmed(E::DetentionDenied).on_day(14));
    case.record(resolved(denial).on_day(15));
    case.record(corrected(denial, confirmed(E::DetentionDenied).on_day(14)).on_day(16));
    assert_eq!(case.contested(), []);
}

#[test]
fn nothing_opens_a_case_by_correcting_or_retracting() {
    let mut case = TestCase::new();
    let replacement = confirmed(E::DetentionAcknowledged);
    for event in [
        corrected(fresh_uuid(), replacement),
        retracted(fresh_uuid()),
    ] {
        assert_eq!(case.refused(event).reason(), "CASE_NOT_FOUND");
    }
}
