//! Bad submissions, second part of the table: those that a case, a version or an identifier in use
//! refuses.

use casetrail::wire::v1::{
    self, CaseChange, Credibility, Event, EventType as E, SubmitEventsRequest,
    case_change::Expected, event::Payload,
};
use tonic::Code;

use crate::bad_input::Bad;
use crate::harness::Client;
use crate::malformed::event;
use crate::support::{fresh_uuid, submission_of};

/// The cases that the bad submissions are about.
pub struct Scene {
    /// Alleged, then acknowledged: in version 2.
    pub acknowledged: String,
    /// Handover scheduled, no wishes on record.
    pub scheduled: String,
    /// As that one, and the person declines.
    pub declining: String,
    /// Closed by an event.
    pub closed: String,
    /// A submission that is recorded.
    pub recorded: SubmitEventsRequest,
}

pub fn submission_to(case_id: &str, events: Vec<Event>) -> SubmitEventsRequest {
    let mut submission = submission_of(events);
    submission.changes[0].case_id = case_id.to_owned();
    submission
}

pub async fn set_up(client: &Client) -> Scene {
    let case = || fresh_uuid().to_string();
    let record = |case_id: String, events: &[E]| {
        let events = events.iter().map(|each| event(*each)).collect();
        let submission = submission_to(&case_id, events);
        async move {
            client.submit(submission.clone()).await;
            (case_id, submission)
        }
    };
    let to_scheduled = [
        E::DetentionAlleged,
        E::DetentionAcknowledged,
        E::ReleaseListed,
    ];
    let (acknowledged, recorded) =
        record(case(), &[E::DetentionAlleged, E::DetentionAcknowledged]).await;
    let scheduled = [&to_scheduled[..], &[E::HandoverScheduled]].concat();
    let (scheduled, _) = record(case(), &scheduled).await;
    let (declining, _) = record(case(), &to_scheduled).await;
    let mut wishes = event(E::WishesRecorded);
    if let Some(Payload::WishesRecorded(wishes)) = &mut wishes.payload {
        wishes.outcome = v1::WishesOutcome::Decline.into();
    }
    let declines = submission_to(&declining, vec![wishes, event(E::HandoverScheduled)]);
    client.submit(declines).await;
    let (closed, _) = record(case(), &[E::DetentionAlleged, E::CaseClosed]).await;
    Scene {
        acknowledged,
        scheduled,
        declining,
        closed,
        recorded,
    }
}

pub fn stale_or_reused(scene: &Scene) -> Vec<Bad> {
    let case = scene.acknowledged.as_str();
    let expecting = |case_id: &str, expected: Expected| {
        let mut submission = submission_to(case_id, vec![event(E::ProofOfLifeReceived)]);
        submission.changes[0].expected = Some(expected);
        submission
    };
    let nobody = fresh_uuid().to_string();
    let stale = |name, request, facts: &[_]| {
        Bad::refused(name, request, Code::Aborted, "STALE_VERSION", facts)
    };
    let mut other_content = scene.recorded.clone();
    other_content.changes[0].events[0].occurred = "2024-03-04".to_owned();
    let mut second_change = submission_of(vec![event(E::DetentionAlleged)]);
    second_change.changes.push(CaseChange {
        case_id: fresh_uuid().to_string(),
        expected: None,
        events: vec![
            event(E::DetentionAlleged),
            scene.recorded.changes[0].events[1].clone(),
        ],
    });
    let reused_event = scene.recorded.changes[0].events[1].event_id.as_str();
    vec![
        stale(
            "an older version",
            expecting(case, Expected::ExactVersion(1)),
            &[
                ("field", "changes[0].expected"),
                ("case_id", case),
                ("expected_version", "1"),
                ("current_version", "2"),
            ],
        ),
        stale(
            "a version yet to come",
            expecting(case, Expected::ExactVersion(3)),
            &[("expected_version", "3"), ("current_version", "2")],
        ),
        stale(
            "a case that was not expected",
            expecting(case, Expected::NoCase(true)),
            &[("expected_version", "0"), ("current_version", "2")],
        ),
        stale(
            "a version of no case",
            expecting(&nobody, Expected::ExactVersion(4)),
            &[
                ("case_id", nobody.as_str()),
                ("expected_version", "4"),
                ("current_version", "0"),
            ],
        ),
        Bad::refused(
            "a request_id reused",
            other_content,
            Code::AlreadyExists,
            "REQUEST_ID_REUSED",
            &[
                ("field", "request_id"),
                ("request_id", &scene.recorded.request_id),
                ("position", "0"),
            ],
        ),
        Bad::refused(
            "an event_id reused",
            second_change,
            Code::AlreadyExists,
            "EVENT_ID_REUSED",
            &[
                ("field", "changes[1].events[1].event_id"),
                ("event_id", reused_event),
            ],
        ),
    ]
}

pub fn not_allowed(scene: &Scene) -> Vec<Bad> {
    let precondition = Code::FailedPrecondition;
    let nobody = fresh_uuid().to_string();
    let nobody = nobody.as_str();
    let case = scene.acknowledged.as_str();
    let to = |case_id: &str, event_type| submission_to(case_id, vec![event(event_type)]);
    let target = |payload| {
        submission_to(
            case,
            vec![Event {
                payload: Some(payload),
                ..event(E::CaseClosed)
            }],
        )
    };
    let target_event_id = scene.recorded.changes[0].events[0].event_id.clone();
    let retraction = || Event {
        payload: Some(Payload::EventRetracted(v1::EventRetracted {
            target_event_id: target_event_id.clone(),
            reason: v1::RetractionReason::RecordedTwice.into(),
        })),
        ..event(E::EventRetracted)
    };
    let twice = [retraction(), retraction()];
    let later = |event_type| {
        let mut late = event(event_type);
        late.occurred = "2024-02-01".to_owned();
        late
    };
    let mut bad = vec![
        Bad::refused(
            "not allowed in the status",
            submission_to(
                case,
                vec![event(E::ProofOfLifeReceived), event(E::HandoverScheduled)],
            ),
            precondition,
            "EVENT_NOT_ALLOWED",
            &[
                ("field", "changes[0].events[1].handover_scheduled"),
                ("case_id", case),
                ("status", "CASE_STATUS_DETENTION_ACKNOWLEDGED"),
                ("allowed_statuses", "CASE_STATUS_DETENTION_RELEASE_PENDING"),
            ],
        ),
        Bad::refused(
            "no such case, by an event that only a status allows",
            to(nobody, E::ReleaseListed),
            precondition,
            "EVENT_NOT_ALLOWED",
            &[
                ("case_id", nobody),
                ("status", "CASE_STATUS_UNSPECIFIED"),
                (
                    "allowed_statuses",
                    "CASE_STATUS_DETENTION_ACKNOWLEDGED,CASE_STATUS_DETENTION_REGISTERED",
                ),
            ],
        ),
        Bad::refused(
            "an event of another kind",
            to(case, E::RemainsRecovered),
            precondition,
            "CASE_KIND_MISMATCH",
            &[("case_id", case)],
        ),
        Bad::refused(
            "a closed case",
            to(&scene.closed, E::DetentionAcknowledged),
            precondition,
            "CASE_CLOSED",
            &[
                ("case_id", &scene.closed),
                ("status", "CASE_STATUS_DETENTION_ALLEGED"),
            ],
        ),
        Bad::refused(
            "no wishes on record",
            to(&scene.scheduled, E::HandoverStarted),
            precondition,
            "WISHES_MISSING",
            &[("status", "CASE_STATUS_DETENTION_HANDOVER_SCHEDULED")],
        ),
        Bad::refused(
            "the person declines",
            to(&scene.declining, E::HandoverStarted),
            precondition,
            "WISHES_DECLINED",
            &[("status", "CASE_STATUS_DETENTION_HANDOVER_SCHEDULED")],
        ),
        Bad::refused(
            "no proceedings to end",
            to(case, E::ProceedingsEnded),
            precondition,
            "NO_RELEASE_HOLD",
            &[("status", "CASE_STATUS_DETENTION_ACKNOWLEDGED")],
        ),
        Bad::refused(
            "a later event would not be allowed any more",
            submission_to(&scene.scheduled, vec![later(E::WhereaboutsLost)]),
            precondition,
            "EVENT_NOT_ALLOWED",
            &[("case_id", &scene.scheduled)],
        ),
        Bad::refused(
            "an event that no longer counts",
            submission_to(case, twice.to_vec()),
            precondition,
            "TARGET_EVENT_NOT_STANDING",
            &[
                (
                    "field",
                    "changes[0].events[1].event_retracted.target_event_id",
                ),
                ("removed_by_event_id", &twice[0].event_id),
            ],
        ),
        Bad::refused(
            "an event named that the case does not have",
            target(Payload::EventDisputed(v1::EventDisputed {
                target_event_id: fresh_uuid().to_string(),
            })),
            precondition,
            "TARGET_EVENT_NOT_FOUND",
            &[(
                "field",
                "changes[0].events[0].event_disputed.target_event_id",
            )],
        ),
        Bad::refused(
            "a credibility that it has already",
            target(Payload::VerificationChanged(v1::VerificationChanged {
                target_event_id: target_event_id.clone(),
                credibility: Credibility::Confirmed.into(),
            })),
            precondition,
            "CREDIBILITY_UNCHANGED",
            &[(
                "field",
                "changes[0].events[0].verification_changed.credibility",
            )],
        ),
        Bad::refused(
            "a dispute that is not open",
            target(Payload::DisputeResolved(v1::DisputeResolved {
                dispute_event_id: target_event_id.clone(),
                outcome: v1::DisputeOutcome::Upheld.into(),
            })),
            precondition,
            "DISPUTE_NOT_OPEN",
            &[(
                "field",
                "changes[0].events[0].dispute_resolved.dispute_event_id",
            )],
        ),
        Bad::refused(
            "an open case reopened",
            target(Payload::CaseReopened(v1::CaseReopened {
                closing_event_id: target_event_id,
                reason: v1::CaseReopenedReason::WrongCase.into(),
            })),
            precondition,
            "CASE_NOT_CLOSED",
            &[("status", "CASE_STATUS_DETENTION_ACKNOWLEDGED")],
        ),
    ];
    for event_type in [
        E::CaseClosed,
        E::CaseReopened,
        E::VerificationChanged,
        E::EventDisputed,
        E::DisputeResolved,
        E::EventCorrected,
        E::EventRetracted,
        E::LegalCategoryAsserted,
        E::FamilyContactRestored,
    ] {
        bad.push(Bad::refused(
            "no such case, by an event that any status allows",
            to(nobody, event_type),
            Code::NotFound,
            "CASE_NOT_FOUND",
            &[("case_id", nobody)],
        ));
    }
    bad
}
