//! The supporting kinds as practitioners know them, and what their cases tell.

use casetrail::wire::v1::{
    AgreementDetail, CaseStatus as S, ConsultationDetail, Credibility, Event, EventType as E,
    case::Detail, event::Payload,
};

use super::case::{Telling, TestCase, alleged, confirmed, corrected, reopened, verified};

fn play(case: &mut TestCase, first_day: i32, events: &[E]) {
    for (day, event) in (first_day..).zip(events) {
        case.record(confirmed(*event).on_day(day));
    }
}

fn agreement(case: &TestCase) -> AgreementDetail {
    match case.case().detail {
        Some(Detail::AgreementDetail(detail)) => detail,
        other => panic!("{other:?}"),
    }
}

fn consultation(case: &TestCase) -> ConsultationDetail {
    match case.case().detail {
        Some(Detail::ConsultationDetail(detail)) => detail,
        other => panic!("{other:?}"),
    }
}

fn candidate(case: &TestCase) -> String {
    match case.case().detail {
        Some(Detail::InquiryDetail(detail)) => detail.candidate_case_id,
        other => panic!("{other:?}"),
    }
}

fn clause_added(reference: &str) -> Event {
    let mut event = confirmed(E::ClauseAdded);
    if let Some(Payload::ClauseAdded(added)) = &mut event.payload {
        reference.clone_into(&mut added.clause.as_mut().unwrap().reference);
    }
    event
}

fn due_date_changed(reference: &str, due: &str) -> Event {
    let mut event = confirmed(E::ClauseDueDateChanged);
    if let Some(Payload::ClauseDueDateChanged(changed)) = &mut event.payload {
        reference.clone_into(&mut changed.clause_reference);
        due.clone_into(&mut changed.due);
    }
    event
}

#[test]
fn an_exhumation_that_finds_nothing_ends_the_search_and_leaves_the_allegation() {
    let mut allegation = TestCase::new();
    allegation.record(alleged(E::RemainsReported).on_day(1));
    let mut search = TestCase::new();
    search.record(alleged(E::SiteReported).on_day(1));
    play(
        &mut search,
        2,
        &[
            E::SiteAccessRequested,
            E::SiteAccessGranted,
            E::SiteCleared,
            E::SiteSurveyed,
            E::RecoveryStarted,
            E::NoRemainsFound,
        ],
    );
    assert_eq!(search.confirmed(), S::SiteNoRemainsFound);
    assert_eq!(allegation.confirmed(), S::RemainsReported);
    assert_eq!(
        search
            .refused(confirmed(E::RecoveryStarted).on_day(9))
            .reason(),
        "EVENT_NOT_ALLOWED"
    );
}

#[test]
fn a_site_to_which_access_is_lost_while_remains_are_recovered_is_asked_for_anew() {
    let mut site = TestCase::new();
    play(
        &mut site,
        1,
        &[
            E::SiteReported,
            E::SiteAccessGranted,
            E::RecoveryStarted,
            E::RecoverySuspended,
            E::SiteAccessRequested,
            E::SiteAccessRefused,
        ],
    );
    assert_eq!(site.confirmed(), S::SiteReported);
    play(
        &mut site,
        10,
        &[E::SiteAccessGranted, E::RecoveryStarted, E::SiteExhausted],
    );
    assert_eq!(site.confirmed(), S::SiteExhausted);
    assert_eq!(site.case().standing.unwrap().district, "XA01");
}

#[test]
fn an_inquiry_whose_answer_proved_wrong_is_reopened_and_traced_on() {
    let mut inquiry = TestCase::new();
    play(
        &mut inquiry,
        1,
        &[E::InquiryOpened, E::TracingStarted, E::PotentialMatchFound],
    );
    assert!(!candidate(&inquiry).is_empty());
    inquiry.record(confirmed(E::MatchVerified).on_day(4));
    let answer = inquiry.record(confirmed(E::FateClarified).on_day(5));
    assert_eq!(inquiry.confirmed(), S::InquiryFateClarified);
    inquiry.record(reopened(answer).on_day(20));
    assert_eq!(inquiry.confirmed(), S::InquiryVerified);
    inquiry.record(confirmed(E::MatchRejected).on_day(21));
    assert_eq!(inquiry.confirmed(), S::InquiryTracing);
    assert_eq!(candidate(&inquiry), "");
    inquiry.record(confirmed(E::InquiryContactRestored).on_day(30));
    assert_eq!(inquiry.confirmed(), S::InquiryContactRestored);
}

#[test]
fn an_agreement_tells_its_clauses_with_their_present_due_dates() {
    let mut case = TestCase::new();
    case.record(confirmed(E::AgreementSigned).on_day(1));
    case.record(clause_added("clause:2").on_day(2));
    case.record(due_date_changed("clause:1", "2024-12").on_day(3));
    case.record(due_date_changed("clause:2", "").on_day(4));
    // One that is not confirmed changes nothing.
    let rumour = due_date_changed("clause:1", "2030").held(Credibility::Likely);
    case.record(rumour.on_day(5));
    let detail = agreement(&case);
    assert_eq!(detail.parties, ["party-a:7/2024", "party-b:7/2024"]);
    let clauses: Vec<_> = detail
        .clauses
        .iter()
        .map(|clause| (clause.reference.as_str(), clause.due.as_str()))
        .collect();
    assert_eq!(clauses, [("clause:1", "2024-12"), ("clause:2", "")]);
    assert_eq!(detail.clauses[0].rules.len(), 1);
}

#[test]
fn a_due_date_that_arrives_late_does_not_undo_a_later_one() {
    let mut case = TestCase::new();
    case.record(confirmed(E::AgreementSigned).on_day(1));
    case.record(due_date_changed("clause:1", "2025").on_day(10));
    case.record(due_date_changed("clause:1", "2026").on_day(5));
    assert_eq!(agreement(&case).clauses[0].due, "2025");
}

#[test]
fn a_clause_is_added_once_and_changed_only_where_it_is_there() {
    let mut case = TestCase::new();
    let signature = case.record(confirmed(E::AgreementSigned).on_day(1));
    let rejection = case.refused(clause_added("clause:1").on_day(2));
    assert_eq!(rejection.reason(), "CLAUSE_STANDS");
    assert_eq!(rejection.field(), Some("clause_added.clause.reference"));
    let rejection = case.refused(due_date_changed("clause:9", "2025").on_day(2));
    assert_eq!(rejection.reason(), "CLAUSE_NOT_FOUND");
    assert_eq!(
        rejection.field(),
        Some("clause_due_date_changed.clause_reference")
    );
    case.record(due_date_changed("clause:1", "2025").on_day(2));
    case.record(verified(signature, Credibility::Unlikely).on_day(3));
    // The clauses go with the signature that brought them.
    assert_eq!(agreement(&case), AgreementDetail::default());
}

#[test]
fn corrections_and_raised_hearsay_name_clauses_that_are_there_as_well() {
    let mut case = TestCase::new();
    let signature = case.record(confirmed(E::AgreementSigned).on_day(1));
    let second = case.record(clause_added("clause:2").on_day(2));
    let change = case.record(due_date_changed("clause:2", "2025").on_day(3));
    // A correction of a clause may keep its reference, and takes no other one's.
    let same = corrected(second, clause_added("clause:2").on_day(2));
    let second = case.record(same.on_day(9));
    let refused = |event: Event, reason: &str, field: &str| {
        let rejection = case.clone().refused(event.on_day(9));
        assert_eq!(rejection.reason(), reason, "{rejection}");
        assert_eq!(rejection.field(), Some(field));
    };
    let replacement = "event_corrected.replacement";
    let event = corrected(second, clause_added("clause:1").on_day(2));
    refused(event, "CLAUSE_STANDS", replacement);
    let event = corrected(change, due_date_changed("clause:9", "2025").on_day(3));
    refused(event, "CLAUSE_NOT_FOUND", replacement);
    // The signature can't come to bring a clause that was added since.
    let mut signed = confirmed(E::AgreementSigned).on_day(1);
    if let Some(Payload::AgreementSigned(signed)) = &mut signed.payload {
        "clause:2".clone_into(&mut signed.clauses[0].reference);
    }
    refused(corrected(signature, signed), "CLAUSE_STANDS", replacement);
    // Hearsay of a clause is taken, and is not confirmed beside one of its reference.
    let hearsay = clause_added("clause:1").held(Credibility::Likely);
    let hearsay = case.record(hearsay.on_day(4));
    let raised = verified(hearsay, Credibility::Confirmed).on_day(9);
    let rejection = case.refused(raised);
    assert_eq!(rejection.reason(), "CLAUSE_STANDS");
    assert_eq!(
        rejection.field(),
        Some("verification_changed.target_event_id")
    );
    let references = agreement(&case).clauses.into_iter();
    let references: Vec<_> = references.map(|clause| clause.reference).collect();
    assert_eq!(references, ["clause:1", "clause:2"]);
}

#[test]
fn an_agreement_is_suspended_resumed_and_ended() {
    let mut case = TestCase::new();
    play(
        &mut case,
        1,
        &[
            E::AgreementSigned,
            E::AgreementEnteredIntoForce,
            E::AgreementSuspended,
            E::AgreementResumed,
            E::AgreementEnded,
        ],
    );
    assert_eq!(case.confirmed(), S::AgreementEnded);
    // What it was about is still told.
    assert_eq!(agreement(&case).clauses.len(), 1);
}

#[test]
fn a_consultation_that_is_moved_twice_is_planned_for_the_newest_date() {
    let mut case = TestCase::new();
    case.record(confirmed(E::ConsultationPlanned).on_day(1));
    let moved = |date: &str| {
        let mut event = confirmed(E::ConsultationMoved);
        if let Some(Payload::ConsultationMoved(moved)) = &mut event.payload {
            date.clone_into(&mut moved.date);
        }
        event
    };
    case.record(moved("2025-04").on_day(2));
    case.record(moved("2025-06-01").on_day(3));
    let detail = consultation(&case);
    assert_eq!(
        (detail.plan_year, detail.date.as_str()),
        (2024, "2025-06-01")
    );
    case.record(confirmed(E::ConsultationHeld).on_day(4));
    assert_eq!(case.confirmed(), S::ConsultationHeld);
    let rejection = case.refused(confirmed(E::ConsultationCancelled).on_day(5));
    assert_eq!(rejection.reason(), "EVENT_NOT_ALLOWED");
}
