//! What is not confirmed: accepted wherever the case is open, moves what is reported and never what
//! is confirmed.

use casetrail::wire::v1::{ContestedCause, Credibility, EventType as E};

use super::case::{Telling, TestCase, alleged, assert_names, confirmed, event_of};
use super::catalogue::{Guard, LIFECYCLES, NEW, is_end, is_further_on, row_of};

const LATER: i32 = 30;

const UNCONFIRMED: [Credibility; 4] = [
    Credibility::Likely,
    Credibility::Possible,
    Credibility::Unlikely,
    Credibility::Unknown,
];

#[test]
fn an_allegation_is_accepted_in_every_open_status_and_moves_only_what_is_reported() {
    let mut checks = 0;
    for lifecycle in LIFECYCLES {
        for status in lifecycle.open() {
            for claim in lifecycle.claims() {
                let row = row_of(claim.event).unwrap();
                let mut case = TestCase::in_status(lifecycle, status, Guard::None);
                let credibility = UNCONFIRMED[checks % UNCONFIRMED.len()];
                case.record(event_of(&claim).on_day(LATER).held(credibility));
                assert_eq!(case.confirmed(), status, "{claim:?}");
                assert_eq!(
                    case.reported(),
                    row.moved(status, claim.status),
                    "{claim:?}"
                );
                assert_eq!(
                    case.contested(),
                    [],
                    "{claim:?} after all that is confirmed"
                );
                checks += 1;
            }
        }
    }
    assert_eq!(
        checks,
        8 * (27 + 20 + 22) + 7 * 11 + 4 * 8 + 3 * 7 + 2 * 4 + 6
    );
}

#[test]
fn an_allegation_of_the_day_of_a_confirmed_event_contests_it_where_it_goes_further_on() {
    for lifecycle in LIFECYCLES {
        for status in lifecycle.statuses() {
            for claim in lifecycle.claims() {
                let row = row_of(claim.event).unwrap();
                let mut case = TestCase::in_status(lifecycle, status, Guard::None);
                // The path's last event moved the case into the status on this day.
                let day = case.state.facts().last().unwrap().day.to_string();
                let event = event_of(&claim).on(&day).held(Credibility::Possible);
                if is_end(status) && !row.allows(status) {
                    case.refused(event);
                    continue;
                }
                case.record(event);
                let goes_on = claim
                    .status
                    .is_some_and(|claim| is_further_on(claim, status));
                let cause = ContestedCause::ContradictedAllegation;
                let causes = if goes_on { vec![cause] } else { vec![] };
                assert_eq!(case.contested(), causes, "{claim:?} in {status:?}");
            }
        }
    }
}

#[test]
fn an_allegation_opens_a_case_that_has_no_confirmed_status_but_by_its_nature() {
    for lifecycle in LIFECYCLES {
        for claim in lifecycle.claims() {
            for credibility in UNCONFIRMED {
                let mut case = TestCase::new();
                case.record(event_of(&claim).held(credibility));
                let by_nature = matches!(
                    claim.event,
                    E::DetentionAlleged | E::RemainsReported | E::SiteReported
                );
                let claimed = claim.status.unwrap_or(NEW);
                assert_eq!(case.reported(), claimed, "{claim:?}");
                assert_eq!(case.confirmed(), if by_nature { claimed } else { NEW });
            }
        }
    }
}

#[test]
fn an_allegation_by_nature_confirms_its_status_where_none_was_confirmed_and_never_later() {
    for (event, first, second) in [
        (E::DetentionAlleged, E::Released, E::DetentionAcknowledged),
        (E::RemainsReported, E::SampleTaken, E::RemainsRecovered),
        (E::SiteReported, E::SiteSurveyed, E::SiteAccessGranted),
    ] {
        let status = super::catalogue::Claim::of(event).status.unwrap();
        let mut case = TestCase::new();
        case.record(alleged(first).on_day(1));
        case.record(alleged(event).on_day(2));
        assert_eq!(case.confirmed(), status);
        assert_eq!(case.reported(), status);
        case.record(confirmed(second).on_day(3));
        let further_on = case.confirmed();
        case.record(alleged(event).on_day(4));
        assert_eq!(case.confirmed(), further_on);
        assert_eq!(case.reported(), status);
    }
}

#[test]
fn at_an_end_an_allegation_is_refused_unless_its_row_says_otherwise() {
    let (mut checks, mut accepted) = (0, 0);
    for lifecycle in LIFECYCLES {
        for status in lifecycle.ends() {
            for claim in lifecycle.claims() {
                checks += 1;
                let row = row_of(claim.event).unwrap();
                let mut case = TestCase::in_status(lifecycle, status, Guard::None);
                let event = event_of(&claim).on_day(LATER).held(Credibility::Likely);
                if row.allows(status) {
                    accepted += 1;
                    case.record(event);
                    assert_eq!(case.confirmed(), status);
                    assert_eq!(case.reported(), row.moved(status, claim.status));
                } else {
                    let allowed = row.allowed.as_ref().unwrap();
                    assert_names(&case.refused(event), lifecycle, status, allowed);
                }
            }
        }
    }
    assert_eq!(
        checks,
        6 * 27 + 4 * 20 + 4 * 22 + 2 * 11 + 3 * 8 + 7 + 2 * 4 + 6
    );
    // Two rows of "any" at six ends, attestations at five, revocations at four, and the final
    // disposition after a handing over.
    assert_eq!(accepted, 2 * 6 + 5 + 4 + 1);
}

#[test]
fn in_a_closed_case_an_allegation_is_refused_unless_its_row_says_any() {
    for lifecycle in LIFECYCLES {
        for status in lifecycle.open() {
            for claim in lifecycle.claims() {
                let row = row_of(claim.event).unwrap();
                let mut case = TestCase::in_status(lifecycle, status, Guard::None);
                case.record(confirmed(E::CaseClosed).on_day(LATER));
                let event = event_of(&claim).on_day(LATER).held(Credibility::Likely);
                if row.allowed.is_none() {
                    case.record(event);
                } else {
                    let rejection = case.refused(event);
                    assert_eq!(rejection.reason(), "CASE_CLOSED", "{claim:?}");
                    assert_eq!(rejection.status(), Some(status));
                }
                assert_eq!(case.confirmed(), status);
            }
        }
    }
}
