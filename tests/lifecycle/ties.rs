//! What binds a case to other cases, to organisations and to dates: each is begun, shown while it
//! stands, ended where it stands, and bears on no status.

use casetrail::domain::Ties;
use casetrail::wire::v1::{
    Case, CaseStatus as S, Event, EventType as E, LinkType, MergeRole, event::Payload,
};
use uuid::Uuid;

use super::case::{Telling, TestCase, alleged, confirmed};
use super::catalogue::{COMMON, DETENTION, Guard, LIFECYCLES};
use super::support::fresh_uuid;

fn registered() -> TestCase {
    TestCase::in_status(&DETENTION, S::DetentionRegistered, Guard::None)
}

/// A confirmed event whose payload says more.
fn saying(event: E, say: impl FnOnce(&mut Payload)) -> Event {
    let mut event = confirmed(event).on_day(20);
    say(event.payload.as_mut().unwrap());
    event
}

/// An event of the follow-up, referral, request or consent that an event began.
fn of(event: E, begun: Uuid) -> Event {
    saying(event, |payload| {
        let named = match payload {
            Payload::ReferralAccepted(p) => &mut p.referral_event_id,
            Payload::ReferralRejected(p) => &mut p.referral_event_id,
            Payload::ReferralCompleted(p) => &mut p.referral_event_id,
            Payload::ReferralRevoked(p) => &mut p.referral_event_id,
            Payload::ConsentWithdrawn(p) => &mut p.consent_event_id,
            Payload::ReferralOffered(p) => &mut p.consent_event_id,
            Payload::AccessGranted(p) => &mut p.request_event_id,
            Payload::AccessDenied(p) => &mut p.request_event_id,
            Payload::FollowUpRescheduled(p) => &mut p.follow_up_event_id,
            Payload::FollowUpCompleted(p) => &mut p.follow_up_event_id,
            Payload::FollowUpCancelled(p) => &mut p.follow_up_event_id,
            Payload::EventRetracted(p) => &mut p.target_event_id,
            other => panic!("{other:?}"),
        };
        *named = begun.to_string();
    })
}

/// An event that names another case, and of links this type.
fn with(event: E, other: Uuid, link_type: LinkType) -> Event {
    saying(event, |payload| match payload {
        Payload::CasesLinked(p) => {
            p.other_case_id = other.to_string();
            p.set_link_type(link_type);
        }
        Payload::CasesUnlinked(p) => {
            p.other_case_id = other.to_string();
            p.set_link_type(link_type);
        }
        Payload::DuplicateSuspected(p) => p.other_case_id = other.to_string(),
        Payload::NotADuplicate(p) => p.other_case_id = other.to_string(),
        Payload::CaseCovered(p) => p.agreement_case_id = other.to_string(),
        Payload::CaseUncovered(p) => p.agreement_case_id = other.to_string(),
        other => panic!("{other:?}"),
    })
}

fn merged(other: Uuid, role: MergeRole) -> Event {
    saying(E::CasesMerged, |payload| {
        if let Payload::CasesMerged(p) = payload {
            p.other_case_id = other.to_string();
            p.set_role(role);
        }
    })
}

fn unmerged(other: Uuid, role: MergeRole, staying: &[Uuid]) -> Event {
    saying(E::CasesUnmerged, |payload| {
        if let Payload::CasesUnmerged(p) = payload {
            p.other_case_id = other.to_string();
            p.set_role(role);
            p.staying_event_ids = staying.iter().map(Uuid::to_string).collect();
        }
    })
}

/// The case as it is shown beside another one.
fn beside(case: &TestCase, other: &TestCase) -> Case {
    let mut ties = Ties::of(&case.state);
    ties.take_inverse(case.state.case_id(), &other.state);
    let mut shown = case.case();
    ties.show_in(&mut shown);
    shown
}

fn reason(case: &mut TestCase, event: Event) -> &'static str {
    case.refused(event).reason()
}

#[test]
fn a_common_event_bears_on_no_status() {
    for lifecycle in LIFECYCLES {
        for status in lifecycle.statuses() {
            let mut case = TestCase::in_status(lifecycle, status, Guard::None);
            for event in COMMON {
                // Those of the first group are about events of the case, and have tests of their own.
                if event < E::NoteRecorded {
                    continue;
                }
                let before = case.state.standing();
                let event = saying(event, |payload| {
                    if let Payload::ReferralOffered(p) = payload {
                        p.consent_event_id.clear();
                    }
                });
                let _ = case.submit(event);
                let mut after = case.state.standing();
                after.merged_into.clear();
                assert_eq!(after, before);
            }
            assert_eq!(case.confirmed(), status);
        }
    }
}

#[test]
fn a_link_is_shown_at_both_ends_and_taken_away_where_it_was_recorded() {
    let (mut first, mut next) = (registered(), registered());
    let (first_id, next_id) = (first.state.case_id(), next.state.case_id());
    let link = first.record(with(E::CasesLinked, next_id, LinkType::NextEpisode));
    let shown = beside(&first, &next).links;
    assert_eq!(shown.len(), 1);
    assert!(!shown[0].inverse);
    assert_eq!(shown[0].other_case_id, next_id.to_string());
    let shown = beside(&next, &first).links;
    assert_eq!(shown.len(), 1);
    assert!(shown[0].inverse);
    assert_eq!(shown[0].other_case_id, first_id.to_string());
    assert_eq!(shown[0].link_type(), LinkType::NextEpisode);
    assert_eq!(shown[0].event_id, link.to_string());

    let again = with(E::CasesLinked, next_id, LinkType::NextEpisode);
    assert_eq!(reason(&mut first, again), "LINK_STANDS");
    let elsewhere = with(E::CasesUnlinked, first_id, LinkType::NextEpisode);
    assert_eq!(reason(&mut next, elsewhere), "LINK_NOT_STANDING");
    let other_type = with(E::CasesUnlinked, next_id, LinkType::Family);
    assert_eq!(reason(&mut first, other_type), "LINK_NOT_STANDING");
    first.record(with(E::CasesUnlinked, next_id, LinkType::NextEpisode));
    assert_eq!(beside(&first, &next).links, []);
    assert_eq!(beside(&next, &first).links, []);
}

#[test]
fn a_link_that_is_retracted_is_gone_at_both_ends() {
    let (mut first, other) = (registered(), registered());
    let link = with(E::CasesLinked, other.state.case_id(), LinkType::Family);
    let link = first.record(link);
    first.record(of(E::EventRetracted, link));
    assert_eq!(beside(&first, &other).links, []);
    assert_eq!(beside(&other, &first).links, []);
}

#[test]
fn a_suspicion_is_shown_at_both_ends_until_either_denies_it() {
    let (mut a, mut b) = (registered(), registered());
    let (a_id, b_id) = (a.state.case_id(), b.state.case_id());
    a.record(with(E::DuplicateSuspected, b_id, LinkType::Family));
    let again = with(E::DuplicateSuspected, b_id, LinkType::Family);
    assert_eq!(reason(&mut a, again), "DUPLICATE_SAID_ALREADY");
    assert_eq!(beside(&a, &b).suspected_duplicates, [b_id.to_string()]);
    assert_eq!(beside(&b, &a).suspected_duplicates, [a_id.to_string()]);
    // The other end denies it, at a later position.
    for _ in 0..10 {
        b.record(confirmed(E::ProofOfLifeReceived).on_day(20));
    }
    b.record(with(E::NotADuplicate, a_id, LinkType::Family));
    assert_eq!(beside(&a, &b).suspected_duplicates, [""; 0]);
    assert_eq!(beside(&b, &a).suspected_duplicates, [""; 0]);
    let again = with(E::NotADuplicate, a_id, LinkType::Family);
    assert_eq!(reason(&mut b, again), "DUPLICATE_SAID_ALREADY");
    // It is suspected anew, later still.
    for _ in 0..20 {
        a.record(confirmed(E::ProofOfLifeReceived).on_day(20));
    }
    a.record(with(E::NotADuplicate, b_id, LinkType::Family));
    a.record(with(E::DuplicateSuspected, b_id, LinkType::Family));
    assert_eq!(beside(&b, &a).suspected_duplicates, [a_id.to_string()]);
}

#[test]
fn a_merged_case_shows_the_one_that_goes_on_and_takes_only_common_events() {
    let mut case = registered();
    let survivor = fresh_uuid();
    case.record(merged(survivor, MergeRole::Merged));
    assert_eq!(case.state.standing().merged_into, survivor.to_string());
    assert_eq!(case.confirmed(), S::DetentionRegistered);
    for event in [
        confirmed(E::ReleaseListed),
        alleged(E::Released),
        confirmed(E::LegalCategoryAsserted),
    ] {
        let rejection = case.refused(event.on_day(21));
        assert_eq!(rejection.reason(), "CASE_MERGED");
        assert!(rejection.to_string().contains(&survivor.to_string()));
    }
    case.record(confirmed(E::NoteRecorded).on_day(21));
    let again = merged(fresh_uuid(), MergeRole::Merged);
    assert_eq!(reason(&mut case, again), "CASE_MERGED_ALREADY");
    let wrong = unmerged(survivor, MergeRole::Survivor, &[]);
    assert_eq!(reason(&mut case, wrong), "MERGE_NOT_STANDING");
    case.record(unmerged(survivor, MergeRole::Merged, &[]));
    assert_eq!(case.state.standing().merged_into, "");
    case.record(confirmed(E::ReleaseListed).on_day(21));
    // It may be merged again, late and twice, and is what its records fold to.
    case.record(merged(survivor, MergeRole::Merged).on_day(3));
    assert_eq!(case.state.standing().merged_into, survivor.to_string());
}

#[test]
fn a_merge_is_not_taken_back_in_one_case_alone() {
    let mut case = registered();
    let merge = case.record(merged(fresh_uuid(), MergeRole::Merged));
    let retraction = of(E::EventRetracted, merge);
    assert_eq!(reason(&mut case, retraction), "HELD_BY_TWO_CASES");
}

#[test]
fn a_merge_found_wrong_thirty_events_later_is_undone_once_each_event_is_assigned() {
    let mut case = registered();
    let other = fresh_uuid();
    let before = case.record(confirmed(E::ProofOfLifeReceived).on_day(5));
    case.record(merged(other, MergeRole::Survivor));
    assert_eq!(case.case().merged_case_ids, [other.to_string()]);
    let later: Vec<_> = (0..30)
        .map(|_| case.record(confirmed(E::ProofOfLifeReceived).on_day(21)))
        .collect();
    case.record(confirmed(E::NoteRecorded).on_day(21));
    let (moving, staying) = later.split_at(12);

    let rejection = case.refused(unmerged(other, MergeRole::Survivor, staying));
    assert_eq!(rejection.reason(), "EVENTS_NOT_ASSIGNED");
    assert_eq!(rejection.field(), Some("cases_unmerged.staying_event_ids"));
    let too_many = [&later[..], &[before]].concat();
    let too_many = unmerged(other, MergeRole::Survivor, &too_many);
    assert_eq!(reason(&mut case, too_many), "EVENTS_NOT_ASSIGNED");
    for event in moving {
        case.record(of(E::EventRetracted, *event));
    }
    let retracted_too = unmerged(other, MergeRole::Survivor, &later);
    assert_eq!(reason(&mut case, retracted_too), "EVENTS_NOT_ASSIGNED");
    case.record(unmerged(other, MergeRole::Survivor, staying));
    assert_eq!(case.case().merged_case_ids, [""; 0]);
    assert_eq!(case.confirmed(), S::DetentionRegistered);
}

#[test]
fn a_referral_goes_from_its_offer_to_its_end() {
    let mut case = registered();
    let consent = case.record(confirmed(E::ConsentRecorded).on_day(20));
    let offer = case.record(of(E::ReferralOffered, consent));
    let shown = &case.case().referrals[0];
    assert_eq!(
        (shown.event_id.as_str(), shown.accepted),
        (offer.to_string().as_str(), false)
    );
    assert_eq!(
        reason(&mut case, of(E::ReferralCompleted, offer)),
        "REFERRAL_NOT_ACCEPTED"
    );
    case.record(of(E::ReferralAccepted, offer));
    assert!(case.case().referrals[0].accepted);
    for event in [E::ReferralAccepted, E::ReferralRejected] {
        assert_eq!(reason(&mut case, of(event, offer)), "REFERRAL_NOT_OFFERED");
    }
    // A consent that is withdrawn ends no referral by itself, and shows that it is gone.
    case.record(of(E::ConsentWithdrawn, consent));
    assert!(case.case().referrals[0].consent_withdrawn);
    case.record(of(E::ReferralCompleted, offer));
    assert_eq!(case.case().referrals, []);
    assert_eq!(
        reason(&mut case, of(E::ReferralRevoked, offer)),
        "REFERRAL_NOT_LIVE"
    );
}

#[test]
fn a_referral_is_rejected_or_revoked_and_then_no_longer_live() {
    for (answers, end) in [
        (vec![], E::ReferralRejected),
        (vec![], E::ReferralRevoked),
        (vec![E::ReferralAccepted], E::ReferralRevoked),
    ] {
        let mut case = registered();
        let consent = case.record(confirmed(E::ConsentRecorded).on_day(20));
        let offer = case.record(of(E::ReferralOffered, consent));
        for answer in answers {
            case.record(of(answer, offer));
        }
        case.record(of(end, offer));
        assert_eq!(case.case().referrals, []);
        assert_eq!(
            reason(&mut case, of(E::ReferralAccepted, offer)),
            "REFERRAL_NOT_OFFERED"
        );
    }
}

#[test]
fn a_consent_stands_until_it_is_withdrawn_once() {
    let mut case = registered();
    let absent = of(E::ReferralOffered, fresh_uuid());
    assert_eq!(reason(&mut case, absent), "CONSENT_NOT_STANDING");
    let consent = case.record(confirmed(E::ConsentRecorded).on_day(20));
    let shown = &case.case().consents[0];
    assert_eq!(shown.recipients, ["organisation:7/2024"]);
    assert_eq!(shown.withheld_classes.len(), 1);
    case.record(of(E::ConsentWithdrawn, consent));
    assert_eq!(case.case().consents, []);
    for event in [E::ConsentWithdrawn, E::ReferralOffered] {
        assert_eq!(
            reason(&mut case, of(event, consent)),
            "CONSENT_NOT_STANDING"
        );
    }
}

#[test]
fn a_request_for_access_is_answered_once() {
    for answer in [E::AccessGranted, E::AccessDenied] {
        let mut case = registered();
        let request = case.record(confirmed(E::AccessRequested).on_day(20));
        assert_eq!(
            case.case().open_access_requests[0].event_id,
            request.to_string()
        );
        case.record(of(answer, request));
        assert_eq!(case.case().open_access_requests, []);
        assert_eq!(
            reason(&mut case, of(answer, request)),
            "ACCESS_REQUEST_NOT_OPEN"
        );
    }
}

#[test]
fn a_follow_up_is_moved_and_done_or_cancelled_while_it_is_open() {
    for end in [E::FollowUpCompleted, E::FollowUpCancelled] {
        let mut case = registered();
        let follow_up = case.record(confirmed(E::FollowUpScheduled).on_day(20));
        case.record(of(E::FollowUpRescheduled, follow_up));
        case.record(saying(E::FollowUpRescheduled, |payload| {
            if let Payload::FollowUpRescheduled(p) = payload {
                p.follow_up_event_id = follow_up.to_string();
                p.due = "2026-08".to_owned();
            }
        }));
        let shown = &case.case().follow_ups[0];
        assert_eq!(
            (shown.due.as_str(), shown.times_rescheduled),
            ("2026-08", 2)
        );
        case.record(of(end, follow_up));
        assert_eq!(case.case().follow_ups, []);
        for event in [
            E::FollowUpRescheduled,
            E::FollowUpCompleted,
            E::FollowUpCancelled,
        ] {
            assert_eq!(
                reason(&mut case, of(event, follow_up)),
                "FOLLOW_UP_NOT_OPEN"
            );
        }
    }
}

#[test]
fn a_follow_up_whose_completion_is_retracted_is_open_again() {
    let mut case = registered();
    let follow_up = case.record(confirmed(E::FollowUpScheduled).on_day(20));
    let done = case.record(of(E::FollowUpCompleted, follow_up));
    case.record(of(E::EventRetracted, done));
    assert_eq!(case.case().follow_ups[0].event_id, follow_up.to_string());
    case.record(of(E::FollowUpCompleted, follow_up));
}

#[test]
fn a_case_is_put_under_a_clause_once_and_taken_out_again() {
    let mut case = registered();
    let agreement = fresh_uuid();
    let put = || with(E::CaseCovered, agreement, LinkType::Family);
    let out = || with(E::CaseUncovered, agreement, LinkType::Family);
    assert_eq!(reason(&mut case, out()), "COVERAGE_NOT_STANDING");
    case.record(put());
    assert_eq!(
        case.case().coverages[0].agreement_case_id,
        agreement.to_string()
    );
    assert_eq!(reason(&mut case, put()), "CASE_COVERED_ALREADY");
    case.record(out());
    assert_eq!(case.case().coverages, []);
    case.record(put());
}

#[test]
fn a_transfer_tells_who_is_responsible_and_not_who_opened_the_case() {
    let mut case = registered();
    let opened_by = case.state.standing().organisation;
    assert_eq!(case.case().transferred_to, "");
    case.record(confirmed(E::CaseTransferred).on_day(20));
    assert_eq!(case.case().transferred_to, "organisation:7/2024");
    assert_eq!(case.state.standing().organisation, opened_by);
}

#[test]
fn an_exchange_can_not_be_written_as_a_dependency() {
    // Two detentions under one clause, linked every way there is: each goes its whole way while the
    // other one stands still, and neither standing tells of the other.
    let (mut one, other) = (registered(), registered());
    let agreement = fresh_uuid();
    for link_type in 1..=6 {
        let link_type = LinkType::try_from(link_type).unwrap();
        one.record(with(E::CasesLinked, other.state.case_id(), link_type));
    }
    one.record(with(E::CaseCovered, agreement, LinkType::Family));
    for (day, event) in (21..).zip([
        E::ReleaseListed,
        E::WishesRecorded,
        E::HandoverScheduled,
        E::HandoverStarted,
        E::Arrived,
    ]) {
        let after = one.submit(confirmed(event).on_day(day));
        assert!(
            after.is_ok() || event == E::WishesRecorded,
            "{event:?}: {after:?}"
        );
    }
    assert_eq!(one.confirmed(), S::DetentionRepatriated);
    assert_eq!(other.confirmed(), S::DetentionRegistered);
}
