//! Events about the record: reopening, verifying, disputing.

use casetrail::wire::v1::{CaseStatus as S, ContestedCause, Credibility, EventType as E};

use super::case::{
    Telling, TestCase, alleged, confirmed, disputed, event_of, reopened, resolved, verified,
};
use super::catalogue::{DETENTION, Guard, LIFECYCLES, NEW, is_end, path_to};
use super::support::fresh_uuid;

fn registered() -> TestCase {
    TestCase::in_status(&DETENTION, S::DetentionRegistered, Guard::None)
}

#[test]
fn an_open_case_is_not_reopened() {
    let mut case = registered();
    let last = case.state.facts().last().unwrap().event_id;
    let rejection = case.refused(reopened(last).on_day(30));
    assert_eq!(rejection.reason(), "CASE_NOT_CLOSED");
    assert_eq!(rejection.status(), Some(S::DetentionRegistered));
}

#[test]
fn reopening_names_an_event_of_the_case_and_the_right_one() {
    let mut case = registered();
    let visit = case.state.facts().last().unwrap().event_id;
    let closing = case.record(confirmed(E::CaseClosed).on_day(30));
    let absent = fresh_uuid();
    let rejection = case.refused(reopened(absent).on_day(31));
    assert_eq!(rejection.reason(), "TARGET_EVENT_NOT_FOUND");
    assert_eq!(rejection.field(), Some("case_reopened.closing_event_id"));
    assert!(rejection.to_string().contains(&absent.to_string()));
    let rejection = case.refused(reopened(visit).on_day(31));
    assert_eq!(rejection.reason(), "NOT_THE_CLOSING_EVENT");
    assert!(rejection.to_string().contains(&closing.to_string()));
    assert_eq!(case.case().closing_event_id, closing.to_string());
}

#[test]
fn a_closing_that_was_wrong_is_undone() {
    let mut case = registered();
    let closing = case.record(confirmed(E::CaseClosed).on_day(30));
    case.refused(confirmed(E::ReleaseListed).on_day(31));
    case.record(reopened(closing).on_day(31));
    assert!(!case.state.standing().closed);
    assert_eq!(case.case().closing_event_id, "");
    assert_eq!(case.confirmed(), S::DetentionRegistered);
    assert_eq!(
        case.refused(reopened(closing).on_day(31)).reason(),
        "CASE_NOT_CLOSED"
    );
    case.record(confirmed(E::ReleaseListed).on_day(31));
    let again = case.record(confirmed(E::CaseClosed).on_day(32));
    assert_eq!(
        case.refused(reopened(closing).on_day(33)).reason(),
        "NOT_THE_CLOSING_EVENT"
    );
    case.record(reopened(again).on_day(33));
}

#[test]
fn every_end_is_undone_where_its_event_was_wrong() {
    let mut checks = 0;
    for lifecycle in LIFECYCLES {
        for end in lifecycle.ends() {
            checks += 1;
            let mut case = TestCase::in_status(lifecycle, end, Guard::None);
            let facts = case.state.facts();
            let (ending, before) = (facts.last().unwrap().event_id, facts.len() - 1);
            let mut without = TestCase::new();
            for claim in &path_to(lifecycle, end, Guard::None)[..before] {
                without.record(event_of(claim));
            }
            assert_eq!(case.case().closing_event_id, ending.to_string());
            case.record(reopened(ending).on_day(30));
            assert_eq!(case.confirmed(), without.confirmed());
            assert_eq!(case.reported(), without.reported());
            assert_eq!(case.contested(), []);
            assert!(case.state.removed_by(before as u32).is_some());
            // What no longer counts can be neither verified nor disputed.
            for event in [verified(ending, Credibility::Likely), disputed(ending)] {
                let rejection = case.refused(event.on_day(31));
                assert_eq!(rejection.reason(), "TARGET_EVENT_NOT_STANDING");
            }
        }
    }
    assert_eq!(checks, 6 + 4 + 4 + 2 + 3 + 1 + 2 + 1);
}

#[test]
fn an_end_undone_under_what_followed_it_leaves_the_case_contested() {
    let mut case = TestCase::in_status(&DETENTION, S::DetentionEscaped, Guard::None);
    let escape = case.state.facts().last().unwrap().event_id;
    case.record(confirmed(E::AttestationIssued).on_day(20));
    case.record(reopened(escape).on_day(30));
    assert_eq!(case.contested(), [ContestedCause::BrokenSequence]);
    case.record(confirmed(E::Released).on_day(19));
    assert_eq!(case.contested(), []);
}

#[test]
fn a_rumour_raised_to_confirmed_moves_the_confirmed_status_in_its_place() {
    let mut case = registered();
    let rumour = case.record(alleged(E::ReleaseListed).on_day(20));
    case.record(alleged(E::HandoverScheduled).on_day(21));
    case.record(verified(rumour, Credibility::Confirmed).on_day(25));
    assert_eq!(case.confirmed(), S::DetentionReleasePending);
    assert_eq!(case.reported(), S::DetentionHandoverScheduled);
    assert_eq!(case.contested(), []);
}

#[test]
fn raising_an_event_that_breaks_a_later_one_is_refused_with_the_place() {
    let mut case = registered();
    let rumour = case.record(alleged(E::Released).on_day(20));
    case.record(confirmed(E::HospitalAdmitted).on_day(19));
    let seen = case.record(confirmed(E::PlaceTransferred).on_day(22));
    let rejection = case.refused(verified(rumour, Credibility::Confirmed).on_day(25));
    assert_eq!(rejection.reason(), "SEQUENCE_BROKEN");
    assert_eq!(rejection.status(), Some(S::DetentionReleased));
    assert_eq!(
        rejection.allowed(),
        [S::DetentionAcknowledged, S::DetentionRegistered]
    );
    let words = rejection.to_string();
    let place = format!("PlaceTransferred at position {}", case.position(seen));
    assert!(words.contains(&place), "{words}");
    // It is Released that does not fit, and not the event that verifies it.
    assert!(words.starts_with("Released "), "{words}");
}

#[test]
fn raising_an_event_that_does_not_fit_in_its_place_is_refused() {
    let mut case = registered();
    let rumour = case.record(alleged(E::Arrived).on_day(20));
    let rejection = case.refused(verified(rumour, Credibility::Confirmed).on_day(25));
    assert_eq!(rejection.reason(), "EVENT_NOT_ALLOWED");
    assert_eq!(rejection.status(), Some(S::DetentionRegistered));
    assert_eq!(
        rejection.allowed(),
        [S::DetentionReleased, S::DetentionInTransfer]
    );
}

#[test]
fn lowering_is_never_refused_and_contests_what_it_leaves_without_ground() {
    let mut checks = 0;
    for lifecycle in LIFECYCLES {
        for status in lifecycle.statuses() {
            let path = TestCase::in_status(lifecycle, status, Guard::None);
            for target in path.state.facts().to_vec() {
                checks += 1;
                let mut case = path.clone();
                case.record(verified(target.event_id, Credibility::Unlikely).on_day(30));
                case.record(verified(target.event_id, Credibility::Confirmed).on_day(30));
                assert_eq!(case.confirmed(), status);
                assert_eq!(case.contested(), []);
            }
        }
    }
    assert_eq!(checks, 91 + 55 + 3);
}

#[test]
fn a_first_acknowledgement_found_doubtful_leaves_what_follows_contested() {
    let mut case = TestCase::new();
    let first = case.record(confirmed(E::DetentionAcknowledged).on_day(1));
    case.record(confirmed(E::PlaceTransferred).on_day(2));
    case.record(confirmed(E::ReleaseListed).on_day(3));
    case.record(verified(first, Credibility::Possible).on_day(4));
    assert_eq!(case.confirmed(), S::DetentionReleasePending);
    assert_eq!(case.contested(), [ContestedCause::BrokenSequence]);
    // What breaks nothing more is accepted meanwhile, also in between.
    case.record(confirmed(E::ProofOfLifeReceived).on_day(5));
    // Another acknowledgement of the day mends the sequence.
    case.record(confirmed(E::DetentionAcknowledged).on_day(1));
    assert_eq!(case.contested(), []);
}

#[test]
fn a_case_of_which_all_is_doubted_has_no_confirmed_status() {
    let mut case = TestCase::new();
    let first = case.record(confirmed(E::Released).held(Credibility::Likely).on_day(1));
    let second = case.record(confirmed(E::DetentionAcknowledged).on_day(2));
    case.record(verified(second, Credibility::Unlikely).on_day(3));
    assert_eq!(case.confirmed(), NEW);
    let rejection = case.refused(verified(first, Credibility::Likely).on_day(3));
    assert_eq!(rejection.reason(), "CREDIBILITY_UNCHANGED");
    let rejection = case.refused(verified(second, Credibility::Unlikely).on_day(3));
    assert_eq!(rejection.reason(), "CREDIBILITY_UNCHANGED");
}

#[test]
fn an_event_about_the_record_is_neither_verified_nor_disputed() {
    let mut case = registered();
    let visit = case.state.facts().last().unwrap().event_id;
    let dispute = case.record(disputed(visit).on_day(10));
    let verification = case.record(verified(visit, Credibility::Likely).on_day(11));
    let resolution = case.record(resolved(dispute).on_day(12));
    let closing = case.record(confirmed(E::CaseClosed).on_day(13));
    let reopening = case.record(reopened(closing).on_day(14));
    for target in [dispute, verification, resolution, closing, reopening] {
        for event in [verified(target, Credibility::Likely), disputed(target)] {
            let rejection = case.refused(event.on_day(15));
            let expected = if target == closing {
                "TARGET_EVENT_NOT_STANDING"
            } else {
                "TARGET_EVENT_NOT_APPLICABLE"
            };
            assert_eq!(rejection.reason(), expected);
        }
    }
    for event in [
        verified(fresh_uuid(), Credibility::Likely),
        disputed(fresh_uuid()),
    ] {
        let rejection = case.refused(event.on_day(15));
        assert_eq!(rejection.reason(), "TARGET_EVENT_NOT_FOUND");
    }
}

#[test]
fn events_about_the_record_are_taken_in_every_status_and_in_a_closed_case() {
    let mut checks = 0;
    for lifecycle in LIFECYCLES {
        for status in lifecycle.statuses() {
            for closed in [false, true] {
                let mut case = TestCase::in_status(lifecycle, status, Guard::None);
                if closed && !is_end(status) {
                    case.record(confirmed(E::CaseClosed).on_day(30));
                }
                let first = case.state.facts()[0].event_id;
                let dispute = case.record(disputed(first).on_day(31));
                assert_eq!(case.contested(), [ContestedCause::OpenDispute]);
                case.record(resolved(dispute).on_day(31));
                assert_eq!(case.contested(), []);
                case.record(verified(first, Credibility::Likely).on_day(31));
                checks += 1;
            }
        }
    }
    assert_eq!(checks, 2 * (14 + 12 + 12 + 9 + 7 + 4 + 4 + 2));
}

#[test]
fn a_denial_opens_a_dispute_that_a_resolution_ends() {
    let mut case = registered();
    let denial = case.record(confirmed(E::DetentionDenied).on_day(20));
    assert_eq!(case.confirmed(), S::DetentionRegistered);
    assert_eq!(case.contested(), [ContestedCause::OpenDispute]);
    assert_eq!(case.case().open_disputes, [denial.to_string()]);
    let second = case.record(disputed(denial).on_day(21));
    case.record(resolved(denial).on_day(22));
    assert_eq!(case.case().open_disputes, [second.to_string()]);
    let rejection = case.refused(resolved(denial).on_day(23));
    assert_eq!(rejection.reason(), "DISPUTE_NOT_OPEN");
    case.record(resolved(second).on_day(23));
    assert_eq!(case.contested(), []);
}

#[test]
fn a_denial_disputes_while_it_is_confirmed() {
    let mut case = registered();
    let denial = case.record(alleged(E::DetentionDenied).on_day(20));
    assert_eq!(case.contested(), []);
    assert_eq!(case.refused(resolved(denial)).reason(), "DISPUTE_NOT_OPEN");
    case.record(verified(denial, Credibility::Confirmed).on_day(21));
    assert_eq!(case.contested(), [ContestedCause::OpenDispute]);
    case.record(verified(denial, Credibility::Unknown).on_day(22));
    assert_eq!(case.contested(), []);
}
