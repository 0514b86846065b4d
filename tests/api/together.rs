//! Cases that belong together, through the API: links at both ends, merges that two cases hold, and
//! what became of the cases under an agreement's clauses.

use casetrail::wire::v1::{
    self, CaseFilter, CaseKind, EventType as E, ExclusionReason, LinkType, MergeRole,
    WishesOutcome, event::Payload,
};
use tempfile::TempDir;
use tonic::Code;

use crate::harness::{Client, Server};
use crate::support::{event_with, fresh_uuid, opposite, submission_of, valid_event};

pub fn change(case_id: &str, events: Vec<v1::Event>) -> v1::CaseChange {
    v1::CaseChange {
        case_id: case_id.to_owned(),
        expected: None,
        events,
    }
}

pub fn submission(changes: Vec<v1::CaseChange>) -> v1::SubmitEventsRequest {
    v1::SubmitEventsRequest {
        request_id: fresh_uuid().to_string(),
        changes,
    }
}

/// Opens a case with these events, and tells its id.
async fn opened(client: &Client, events: &[E]) -> String {
    let events: Vec<_> = events.iter().map(|event| valid_event(*event)).collect();
    let case_id = fresh_uuid().to_string();
    client
        .submit(submission(vec![change(&case_id, events)]))
        .await;
    case_id
}

async fn record(client: &Client, case_id: &str, payload: Payload) -> v1::SubmitEventsResponse {
    let events = vec![event_with(payload)];
    client
        .submit(submission(vec![change(case_id, events)]))
        .await
}

async fn get(client: &Client, case_id: &str) -> v1::Case {
    get_as_of(client, case_id, None).await
}

async fn known_at(client: &Client, case_id: &str, position: u64) -> v1::Case {
    get_as_of(client, case_id, Some(at(position))).await
}

fn at(position: u64) -> v1::AsOf {
    v1::AsOf {
        known_at: Some(v1::as_of::KnownAt::Position(position)),
        ..Default::default()
    }
}

async fn get_as_of(client: &Client, case_id: &str, as_of: Option<v1::AsOf>) -> v1::Case {
    let request = v1::GetCaseRequest {
        case_id: case_id.to_owned(),
        as_of,
    };
    let answer = client.cases().get_case(request).await.unwrap();
    answer.into_inner().case.unwrap()
}

/// Merges a case into another one, or undoes it, in both at once.
pub fn merge(survivor: &str, merged: &str) -> v1::SubmitEventsRequest {
    let event = event_with(Payload::CasesMerged(v1::CasesMerged {
        other_case_id: merged.to_owned(),
        role: MergeRole::Survivor.into(),
    }));
    in_both(survivor, event)
}

pub fn in_both(case_id: &str, event: v1::Event) -> v1::SubmitEventsRequest {
    let (other, opposite) = opposite(case_id, &event).unwrap();
    submission(vec![
        change(case_id, vec![event]),
        change(&other, vec![opposite]),
    ])
}

async fn counted(client: &Client) -> u64 {
    let filter = Some(CaseFilter {
        kinds: vec![CaseKind::Detention.into()],
        ..Default::default()
    });
    let request = v1::GetSummaryRequest {
        filter,
        ..Default::default()
    };
    let summary = client.monitor().get_summary(request).await.unwrap();
    summary.into_inner().cases
}

async fn coverage(client: &Client, agreement: &str) -> Vec<v1::ClauseCoverage> {
    coverage_as_of(client, agreement, None).await
}

async fn coverage_as_of(
    client: &Client,
    agreement: &str,
    as_of: Option<v1::AsOf>,
) -> Vec<v1::ClauseCoverage> {
    let request = v1::GetAgreementCoverageRequest {
        agreement_case_id: agreement.to_owned(),
        with_cases: true,
        as_of,
    };
    let answer = client.cases().get_agreement_coverage(request).await;
    answer.unwrap().into_inner().clauses
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_is_shown_at_both_ends_also_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path()).await;
    let client = &server.client;
    let detention = opened(client, &[E::DetentionAcknowledged, E::DiedInCustody]).await;
    let remains = opened(client, &[E::RemainsRecovered]).await;
    let linked = Payload::CasesLinked(v1::CasesLinked {
        other_case_id: remains.clone(),
        link_type: LinkType::DiedInCustody.into(),
    });
    record(client, &detention, linked).await;
    let suspected = Payload::DuplicateSuspected(v1::DuplicateSuspected {
        other_case_id: detention.clone(),
    });
    record(client, &remains, suspected).await;
    let before = (get(client, &detention).await, get(client, &remains).await);
    let links = [&before.0.links[0], &before.1.links[0]];
    assert_eq!(links.map(|link| link.inverse), [false, true]);
    assert_eq!(links[1].other_case_id, detention);
    assert_eq!(before.0.suspected_duplicates, [remains.as_str()]);
    assert_eq!(before.1.suspected_duplicates, [detention.as_str()]);
    // As it was known before the link, and before the suspicion.
    for (position, links, suspected) in [(3, 0, 0), (4, 1, 0), (5, 1, 1)] {
        for case_id in [&detention, &remains] {
            let then = known_at(client, case_id, position).await;
            assert_eq!(then.links.len(), links, "{position}");
            assert_eq!(then.suspected_duplicates.len(), suspected, "{position}");
        }
    }
    server.end().await;

    // From a snapshot of the views, and from the log alone.
    for with_snapshot in [true, false] {
        if !with_snapshot {
            std::fs::remove_dir_all(folder.path().join("views")).unwrap();
        }
        let server = Server::start(folder.path()).await;
        let after = (
            get(&server.client, &detention).await,
            get(&server.client, &remains).await,
        );
        assert_eq!(after, before);
        server.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merge_is_recorded_in_both_cases_or_in_none() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path()).await;
    let client = &server.client;
    let survivor = opened(client, &[E::DetentionAcknowledged]).await;
    let merged = opened(client, &[E::DetentionAlleged]).await;
    assert_eq!(counted(client).await, 2);

    let half = submission(vec![merge(&survivor, &merged).changes.remove(0)]);
    let refusal = client.cases().submit_events(half).await.unwrap_err();
    assert_eq!(refusal.code(), Code::InvalidArgument);
    let mut same_role = merge(&survivor, &merged);
    if let Some(Payload::CasesMerged(other)) = &mut same_role.changes[1].events[0].payload {
        other.set_role(MergeRole::Survivor);
    }
    let refusal = client.cases().submit_events(same_role).await.unwrap_err();
    assert_eq!(refusal.code(), Code::InvalidArgument);

    client.submit(merge(&survivor, &merged)).await;
    assert_eq!(counted(client).await, 1);
    let standing = get(client, &merged).await.standing.unwrap();
    assert_eq!(standing.merged_into, survivor);
    assert_eq!(
        get(client, &survivor).await.merged_case_ids,
        [merged.as_str()]
    );

    // An event for the merged case belongs in the survivor.
    let late = submission(vec![change(
        &merged,
        vec![valid_event(E::DetentionAcknowledged)],
    )]);
    let refusal = client.cases().submit_events(late).await.unwrap_err();
    assert_eq!(refusal.code(), Code::FailedPrecondition);
    let late = valid_event(E::ProofOfLifeReceived);
    let late_id = late.event_id.clone();
    client
        .submit(submission(vec![change(&survivor, vec![late])]))
        .await;

    let unmerged = |staying_event_ids: Vec<String>| {
        let payload = Payload::CasesUnmerged(v1::CasesUnmerged {
            other_case_id: merged.clone(),
            role: MergeRole::Survivor.into(),
            staying_event_ids,
        });
        in_both(&survivor, event_with(payload))
    };
    let refusal = client.cases().submit_events(unmerged(vec![])).await;
    assert_eq!(refusal.unwrap_err().code(), Code::FailedPrecondition);
    assert_eq!(counted(client).await, 1, "nothing of it is recorded");
    client.submit(unmerged(vec![late_id])).await;
    assert_eq!(counted(client).await, 2);
    assert_eq!(get(client, &merged).await.standing.unwrap().merged_into, "");
    let acknowledged = valid_event(E::DetentionAcknowledged);
    client
        .submit(submission(vec![change(&merged, vec![acknowledged])]))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agreement_tells_how_much_of_each_clause_is_met() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path()).await;
    let client = &server.client;
    let clause = |reference: &str, rules: Vec<v1::CoverageRule>| v1::Clause {
        reference: reference.to_owned(),
        basis: v1::ClauseBasis::Ihl.into(),
        due: "2024-12-31".to_owned(),
        rules,
    };
    let detentions_of_the_day = v1::CoverageRule {
        kind: CaseKind::Detention.into(),
        date: "../2024-03-31".to_owned(),
        ..Default::default()
    };
    let of_later = v1::CoverageRule {
        date: "2024-04/..".to_owned(),
        ..detentions_of_the_day.clone()
    };
    let signed = Payload::AgreementSigned(v1::AgreementSigned {
        parties: vec!["party-a".to_owned(), "party-b".to_owned()],
        text_reference: "text-1".to_owned(),
        clauses: vec![
            clause("1", vec![detentions_of_the_day]),
            clause("2", vec![of_later]),
            clause("3", vec![]),
        ],
    });
    let agreement = submission_of(vec![event_with(signed)]);
    let agreement_id = agreement.changes[0].case_id.clone();
    client.submit(agreement).await;

    let held = opened(client, &[E::DetentionAcknowledged]).await;
    opened(client, &[E::DetentionAcknowledged, E::Released]).await;
    opened(client, &[E::DetentionAcknowledged, E::DiedInCustody]).await;
    opened(client, &[E::DetentionAlleged, E::AllegationDisproved]).await;
    let declines = opened(client, &[E::DetentionAcknowledged]).await;
    let wishes = Payload::WishesRecorded(v1::WishesRecorded {
        in_private: Some(true),
        outcome: WishesOutcome::Decline.into(),
    });
    record(client, &declines, wishes).await;
    // A rumour of a release against an acknowledgement of the same day.
    let rumoured = opened(client, &[E::DetentionAcknowledged]).await;
    let mut rumour = valid_event(E::Released);
    rumour.set_credibility(v1::Credibility::Possible);
    client
        .submit(submission(vec![change(&rumoured, vec![rumour])]))
        .await;
    // One person in two cases.
    let duplicate = opened(client, &[E::DetentionAlleged]).await;
    client.submit(merge(&held, &duplicate)).await;

    let remains = opened(client, &[E::RemainsRecovered, E::ReturnedToParty]).await;
    let covered = |clause: &str| {
        Payload::CaseCovered(v1::CaseCovered {
            agreement_case_id: agreement_id.clone(),
            clause_reference: clause.to_owned(),
        })
    };
    record(client, &remains, covered("3")).await;
    // Put under the clause besides the rule, and as the case that is merged: still one.
    record(client, &duplicate, covered("1")).await;

    let clauses = coverage(client, &agreement_id).await;
    let numbers: Vec<_> = clauses
        .iter()
        .map(|it| {
            [
                it.covered,
                it.confirmed,
                it.reported,
                it.outstanding,
                it.disputed,
            ]
        })
        .collect();
    assert_eq!(numbers, [[6, 1, 2, 2, 1], [0, 0, 0, 0, 0], [1, 1, 1, 0, 0]]);
    let excluded: Vec<_> = clauses[0]
        .exclusions
        .iter()
        .map(|it| (it.reason(), it.cases))
        .collect();
    assert_eq!(
        excluded,
        [
            (ExclusionReason::Died, 1),
            (ExclusionReason::Unfounded, 1),
            (ExclusionReason::Declined, 1)
        ]
    );
    let named = clauses[0].cases.iter().map(|case| case.case_id.as_str());
    assert!(named.clone().any(|case| case == held));
    assert!(!named.clone().any(|case| case == duplicate));
    assert_eq!(clauses[2].cases[0].case_id, remains);

    let uncovered = Payload::CaseUncovered(v1::CaseUncovered {
        agreement_case_id: agreement_id.clone(),
        clause_reference: "3".to_owned(),
    });
    record(client, &remains, uncovered).await;
    assert_eq!(coverage(client, &agreement_id).await[2].covered, 0);

    // As it was known: the agreement alone, then with one person held and one released.
    for (position, expected) in [(1, [0, 0]), (2, [1, 0]), (3, [2, 0]), (4, [2, 1])] {
        let then = coverage_as_of(client, &agreement_id, Some(at(position))).await;
        assert_eq!([then[0].covered, then[0].confirmed], expected, "{position}");
    }

    for (case_id, code) in [
        (held, Code::InvalidArgument),
        (fresh_uuid().to_string(), Code::NotFound),
    ] {
        let request = v1::GetAgreementCoverageRequest {
            agreement_case_id: case_id,
            with_cases: false,
            as_of: None,
        };
        let refusal = client.cases().get_agreement_coverage(request).await;
        assert_eq!(refusal.unwrap_err().code(), code);
    }
}

/// Submissions with every event of the supporting kinds, and every one that binds cases together.
pub fn supporting_kinds_and_ties() -> Vec<v1::SubmitEventsRequest> {
    let histories: [&[E]; 9] = [
        &[
            E::SiteReported,
            E::SiteAccessRequested,
            E::SiteAccessRefused,
            E::SiteAccessGranted,
            E::SiteCleared,
            E::SiteSurveyed,
            E::RecoveryStarted,
            E::RecoverySuspended,
            E::RecoveryResumed,
            E::SiteExhausted,
        ],
        &[
            E::SiteReported,
            E::SiteAccessGranted,
            E::SiteSurveyed,
            E::NoRemainsFound,
        ],
        &[
            E::InquiryOpened,
            E::TracingStarted,
            E::PotentialMatchFound,
            E::MatchRejected,
            E::PotentialMatchFound,
            E::MatchVerified,
            E::FateClarified,
        ],
        &[E::InquiryOpened, E::InquiryContactRestored],
        &[E::InquiryOpened, E::InquiryClosedUnresolved],
        &[
            E::AgreementSigned,
            E::AgreementEnteredIntoForce,
            E::ClauseAdded,
            E::ClauseDueDateChanged,
            E::AgreementSuspended,
            E::AgreementResumed,
            E::AgreementEnded,
        ],
        &[
            E::ConsultationPlanned,
            E::ConsultationMoved,
            E::ConsultationHeld,
        ],
        &[E::ConsultationPlanned, E::ConsultationCancelled],
        &[
            E::DetentionAcknowledged,
            E::NoteRecorded,
            E::CaseTransferred,
        ],
    ];
    let histories = histories.into_iter();
    let mut submissions: Vec<_> = histories
        .map(|events| submission_of(events.iter().map(|event| valid_event(*event)).collect()))
        .collect();
    let (one, other) = (fresh_uuid().to_string(), fresh_uuid().to_string());
    for case_id in [&one, &other] {
        let opening = vec![valid_event(E::DetentionAcknowledged)];
        submissions.push(submission(vec![change(case_id, opening)]));
    }
    let mut ties = Vec::new();
    for events in [
        [E::CasesLinked, E::CasesUnlinked].as_slice(),
        &[E::DuplicateSuspected, E::NotADuplicate],
        &[E::CaseCovered, E::CaseUncovered],
        &[E::ConsentRecorded, E::ConsentWithdrawn],
        &[E::AccessRequested, E::AccessGranted],
        &[E::AccessRequested, E::AccessDenied],
        &[
            E::FollowUpScheduled,
            E::FollowUpRescheduled,
            E::FollowUpCompleted,
        ],
        &[E::FollowUpScheduled, E::FollowUpCancelled],
        &[
            E::ReferralOffered,
            E::ReferralAccepted,
            E::ReferralCompleted,
        ],
        &[E::ReferralOffered, E::ReferralRejected],
        &[E::ReferralOffered, E::ReferralRevoked],
        &[E::ErasureRequested, E::ErasureExecuted],
        &[E::ErasureRequested, E::ErasureRefused],
        &[E::DataDisclosed],
        &[E::ClosureProposed],
    ] {
        let begun = fresh_uuid().to_string();
        for (index, event) in events.iter().enumerate() {
            let mut event = valid_event(*event);
            if index == 0 {
                event.event_id.clone_from(&begun);
            }
            name(event.payload.as_mut().unwrap(), &begun, &other);
            ties.push(event);
        }
    }
    submissions.push(submission(vec![change(&one, ties)]));
    submissions.push(merge(&one, &other));
    let unmerged = Payload::CasesUnmerged(v1::CasesUnmerged {
        other_case_id: other,
        role: MergeRole::Survivor.into(),
        staying_event_ids: vec![],
    });
    submissions.push(in_both(&one, event_with(unmerged)));
    submissions
}

/// Lets a payload name what was begun, or the other case.
fn name(payload: &mut Payload, begun: &str, other: &str) {
    let (named, by) = match payload {
        Payload::CasesLinked(p) => (&mut p.other_case_id, other),
        Payload::CasesUnlinked(p) => (&mut p.other_case_id, other),
        Payload::DuplicateSuspected(p) => (&mut p.other_case_id, other),
        Payload::NotADuplicate(p) => (&mut p.other_case_id, other),
        Payload::CaseCovered(p) => (&mut p.agreement_case_id, other),
        Payload::CaseUncovered(p) => (&mut p.agreement_case_id, other),
        Payload::ReferralOffered(p) => (&mut p.consent_event_id, ""),
        Payload::ReferralAccepted(p) => (&mut p.referral_event_id, begun),
        Payload::ReferralRejected(p) => (&mut p.referral_event_id, begun),
        Payload::ReferralCompleted(p) => (&mut p.referral_event_id, begun),
        Payload::ReferralRevoked(p) => (&mut p.referral_event_id, begun),
        Payload::ConsentWithdrawn(p) => (&mut p.consent_event_id, begun),
        Payload::ErasureRequested(p) => (&mut p.subject_id, other),
        Payload::ErasureExecuted(p) => {
            other.clone_into(&mut p.subject_id);
            (&mut p.request_event_id, begun)
        }
        Payload::ErasureRefused(p) => (&mut p.request_event_id, begun),
        Payload::AccessGranted(p) => (&mut p.request_event_id, begun),
        Payload::AccessDenied(p) => (&mut p.request_event_id, begun),
        Payload::FollowUpRescheduled(p) => (&mut p.follow_up_event_id, begun),
        Payload::FollowUpCompleted(p) => (&mut p.follow_up_event_id, begun),
        Payload::FollowUpCancelled(p) => (&mut p.follow_up_event_id, begun),
        _ => return,
    };
    by.clone_into(named);
}
