//! Every event, confirmed, in every status: allowed where the catalogue allows it, with the result
//! that it tells, and refused everywhere else.

use casetrail::domain::RejectionKind;
use casetrail::wire::v1::{CaseClosedReason, CaseStatus, ContestedCause, EventType};

use super::case::{Telling, TestCase, assert_names, confirmed, event_of, opened_by_hearsay};
use super::catalogue::{
    COMMON, Claim, Guard, LIFECYCLES, Lifecycle, NEW, Result, Row, is_end, row_of,
};

/// A day after all those of the paths.
const LATER: i32 = 30;

/// The claims of a kind in a status: each row once, but Arrived three times and IntentionRecorded
/// four times, since their payload says the result.
const DETENTION_CLAIMS: usize = 25 + 2;
const REMAINS_CLAIMS: usize = 20;
const RETURN_CLAIMS: usize = 19 + 3;
const SITE_CLAIMS: usize = 11;
const INQUIRY_CLAIMS: usize = 8;
const AGREEMENT_CLAIMS: usize = 7;
const CONSULTATION_CLAIMS: usize = 4;
const USER_ACCOUNT_CLAIMS: usize = 6;

/// The claims of each kind with the number of its statuses, open and in all.
const KINDS: [(usize, usize, usize); 8] = [
    (DETENTION_CLAIMS, 8, 14),
    (REMAINS_CLAIMS, 8, 12),
    (RETURN_CLAIMS, 8, 12),
    (SITE_CLAIMS, 7, 9),
    (INQUIRY_CLAIMS, 4, 7),
    (AGREEMENT_CLAIMS, 3, 4),
    (CONSULTATION_CLAIMS, 2, 4),
    (USER_ACCOUNT_CLAIMS, 1, 2),
];

fn sum(of: impl Fn((usize, usize, usize)) -> usize) -> usize {
    KINDS.into_iter().map(of).sum()
}

#[test]
fn a_confirmed_event_is_allowed_where_the_catalogue_allows_it_and_nowhere_else() {
    let (mut checks, mut accepted) = (0, 0);
    for lifecycle in LIFECYCLES {
        for status in [vec![NEW], lifecycle.statuses()].concat() {
            for claim in lifecycle.claims() {
                accepted += usize::from(check(lifecycle, status, &claim));
                checks += 1;
            }
        }
    }
    assert_eq!(checks, sum(|(claims, _, statuses)| claims * (1 + statuses)));
    assert_eq!(checks, 951 + 110 + 64 + 35 + 20 + 18);
    assert!(accepted > 150 && accepted < 400, "{accepted}");
}

fn check(lifecycle: &Lifecycle, status: CaseStatus, claim: &Claim) -> bool {
    let row = row_of(claim.event).unwrap();
    let allowed = match &row.allowed {
        None => status != NEW,
        Some(allowed) => allowed.contains(&status),
    };
    let guard = if allowed { row.guard } else { Guard::None };
    let mut case = TestCase::in_status(lifecycle, status, guard);
    let context = format!("{claim:?} in {status:?}");
    let event = event_of(claim).on_day(LATER);
    if allowed {
        accepted(&mut case, status, claim, row, event, &context);
        return true;
    }
    if row.once && case.has(claim.event) {
        told_again(&mut case, status, claim, row, event, &context);
        return false;
    }
    let rejection = case.refused(event);
    match &row.allowed {
        None => {
            assert_eq!(rejection.reason(), "CASE_NOT_FOUND", "{context}");
            assert_eq!(rejection.kind(), RejectionKind::NotFound);
        }
        Some(allowed) => {
            assert_names(&rejection, lifecycle, status, allowed);
            assert_eq!(rejection.kind(), RejectionKind::Precondition);
        }
    }
    false
}

/// What happens once and is told of another day is kept, and disputed.
fn told_again(
    case: &mut TestCase,
    status: CaseStatus,
    claim: &Claim,
    row: &Row,
    event: casetrail::wire::v1::Event,
    context: &str,
) {
    case.record(event);
    let result = if row.brings().contains(&status) {
        claim.status.unwrap()
    } else {
        status
    };
    assert_eq!(case.confirmed(), result, "{context}");
    assert_eq!(case.reported(), result, "{context}");
    assert_eq!(case.contested(), [ContestedCause::OpenDispute], "{context}");
}

fn accepted(
    case: &mut TestCase,
    status: CaseStatus,
    claim: &Claim,
    row: &Row,
    event: casetrail::wire::v1::Event,
    context: &str,
) {
    let reported = case.reported();
    let event_id = case.record(event);
    let result = row.moved(status, claim.status);
    assert_eq!(case.confirmed(), result, "{context}");
    let moves = claim.status.is_some();
    assert_eq!(
        case.reported(),
        if moves { result } else { reported },
        "{context}"
    );
    let disputes = row.result == Result::Contested;
    let causes = [ContestedCause::OpenDispute];
    assert_eq!(
        case.contested(),
        &causes[usize::from(!disputes)..],
        "{context}"
    );
    let closing = case.case().closing_event_id;
    if is_end(result) && moves {
        assert_eq!(closing, event_id.to_string(), "{context}");
    } else {
        assert_eq!(closing.is_empty(), !is_end(result), "{context}");
    }
}

#[test]
fn a_case_without_a_confirmed_status_takes_what_a_new_one_takes_and_what_any_takes() {
    let mut checks = 0;
    for lifecycle in LIFECYCLES {
        for claim in lifecycle.claims() {
            checks += 1;
            let row = row_of(claim.event).unwrap();
            let mut case = opened_by_hearsay(lifecycle);
            let event = event_of(&claim).on_day(LATER);
            match &row.allowed {
                Some(allowed) if !allowed.contains(&NEW) => {
                    assert_names(&case.refused(event), lifecycle, NEW, allowed);
                }
                _ => {
                    case.record(event);
                    assert_eq!(case.confirmed(), row.moved(NEW, claim.status));
                }
            }
        }
    }
    assert_eq!(checks, sum(|(claims, ..)| claims));
}

#[test]
fn a_closed_case_takes_what_any_takes_and_nothing_else() {
    let mut checks = 0;
    for lifecycle in LIFECYCLES {
        for status in lifecycle.open() {
            for claim in lifecycle.claims() {
                checks += 1;
                let row = row_of(claim.event).unwrap();
                let guard = if row.allows(status) {
                    row.guard
                } else {
                    Guard::None
                };
                let mut case = TestCase::in_status(lifecycle, status, guard);
                case.record(confirmed(EventType::CaseClosed).on_day(LATER));
                assert!(case.state.standing().closed);
                let event = event_of(&claim).on_day(LATER + 1);
                let told_before = row.once && case.has(claim.event);
                match &row.allowed {
                    None => {
                        case.record(event);
                        assert_eq!(case.confirmed(), status);
                    }
                    // What happened once may be told again, if not after the closing.
                    Some(allowed) if !allowed.contains(&status) && !told_before => {
                        assert_names(&case.refused(event), lifecycle, status, allowed);
                    }
                    Some(_) => {
                        let rejection = case.refused(event);
                        assert_eq!(rejection.reason(), "CASE_CLOSED");
                        assert_eq!(rejection.status(), Some(status));
                        assert!(rejection.to_string().contains(lifecycle.name(status)));
                    }
                }
            }
        }
    }
    assert_eq!(checks, sum(|(claims, open, _)| claims * open));
}

#[test]
fn an_event_of_another_kind_is_refused() {
    for lifecycle in LIFECYCLES {
        for other in LIFECYCLES {
            for claim in other.claims() {
                if other.kind == lifecycle.kind {
                    continue;
                }
                let mut case = opened_by_hearsay(lifecycle);
                let rejection = case.refused(event_of(&claim).on_day(LATER));
                assert_eq!(rejection.reason(), "CASE_KIND_MISMATCH");
            }
        }
    }
}

#[test]
fn a_common_event_opens_no_case() {
    for event in COMMON {
        let rejection = TestCase::new().refused(confirmed(event));
        assert_eq!(rejection.reason(), "CASE_NOT_FOUND", "{event:?}");
    }
}

#[test]
fn a_case_is_closed_while_it_is_open_and_at_no_end() {
    let mut checks = 0;
    for lifecycle in LIFECYCLES {
        for status in lifecycle.statuses() {
            checks += 1;
            let mut case = TestCase::in_status(lifecycle, status, Guard::None);
            let mut event = confirmed(EventType::CaseClosed).on_day(LATER);
            if let Some(casetrail::wire::v1::event::Payload::CaseClosed(closed)) =
                &mut event.payload
            {
                closed.set_reason(CaseClosedReason::Requested);
            }
            if is_end(status) {
                assert_names(&case.refused(event), lifecycle, status, &lifecycle.open());
            } else {
                case.record(event.clone());
                assert!(case.state.standing().closed);
                assert_eq!(case.confirmed(), status);
                let again = confirmed(EventType::CaseClosed).on_day(LATER);
                assert_eq!(case.refused(again).reason(), "CASE_CLOSED");
            }
        }
    }
    assert_eq!(checks, sum(|(.., statuses)| statuses));
}

#[test]
fn the_catalogue_counts_its_rows_and_every_event_is_in_it() {
    let rows: Vec<_> = LIFECYCLES.iter().map(|l| l.rows().len()).collect();
    assert_eq!(rows, [25, 20, 19, 11, 8, 7, 4, 6]);
    for event in casetrail::wire::event_type::ALL {
        assert!(
            row_of(*event).is_some() != COMMON.contains(event),
            "{event:?}"
        );
    }
}
