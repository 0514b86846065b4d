//! The events common to every kind. What they need beyond the status is in `domain::decide`, since
//! it concerns other events of the case and not its status.

use super::{Allowed, Outcome, Row, rule};
use crate::wire::v1::EventType as E;

const fn row(event: E, must: &'static str, basis: &'static str) -> Row {
    rule(event, Allowed::Any, Outcome::Stays, must, basis)
}

pub(super) static TABLE: [Row; 36] = [
    row(
        E::CaseClosed,
        "reason",
        "an open case only; on a proposal by somebody else where two persons are wanted",
    ),
    row(
        E::CaseReopened,
        "closing event, reason",
        "only where the closing fact was wrong",
    ),
    row(
        E::VerificationChanged,
        "target event, credibility",
        "the case is folded anew",
    ),
    row(
        E::EventDisputed,
        "target event",
        "the case is contested until it is resolved",
    ),
    row(
        E::DisputeResolved,
        "disputing event, outcome",
        "an open dispute only",
    ),
    row(
        E::EventCorrected,
        "target event, replacement, reason",
        "an event of the kind that counts; folded anew with the replacement",
    ),
    row(
        E::EventRetracted,
        "target event, reason",
        "any event that counts, retractions too; folded anew without it",
    ),
    row(E::NoteRecorded, "", "its text is personal data"),
    row(
        E::CasesLinked,
        "other case, link type",
        "a link that does not stand yet",
    ),
    row(
        E::CasesUnlinked,
        "other case, link type",
        "a link that stands here",
    ),
    row(
        E::DuplicateSuspected,
        "other case",
        "not suspected here already",
    ),
    row(E::NotADuplicate, "other case", "not said here already"),
    row(
        E::CasesMerged,
        "other case, role; both cases in one submission",
        "neither is merged into another",
    ),
    row(
        E::CasesUnmerged,
        "other case, role, events that stay; both cases in one submission",
        "a merge that stands",
    ),
    row(
        E::ReferralOffered,
        "recipient, service",
        "on a consent that stands, or on none",
    ),
    row(E::ReferralAccepted, "offer", "a referral that is offered"),
    row(
        E::ReferralRejected,
        "offer, reason code",
        "a referral that is offered",
    ),
    row(E::ReferralCompleted, "offer", "a referral that is accepted"),
    row(
        E::ReferralRevoked,
        "offer, reason code",
        "a referral that is offered or accepted",
    ),
    row(E::CaseTransferred, "organisation", "practice"),
    row(E::ConsentRecorded, "purpose, recipients", "practice"),
    row(E::ConsentWithdrawn, "consent", "a consent that stands"),
    row(E::AccessRequested, "object, authority", "practice"),
    row(E::AccessGranted, "request", "a request that is open"),
    row(
        E::AccessDenied,
        "request, reason code",
        "a request that is open",
    ),
    row(E::FollowUpScheduled, "due, task", "practice"),
    row(
        E::FollowUpRescheduled,
        "follow-up, due, reason code",
        "a follow-up that is open",
    ),
    row(
        E::FollowUpCompleted,
        "follow-up",
        "a follow-up that is open",
    ),
    row(
        E::FollowUpCancelled,
        "follow-up, reason code",
        "a follow-up that is open",
    ),
    row(
        E::CaseCovered,
        "agreement, clause",
        "not under the clause already",
    ),
    row(
        E::CaseUncovered,
        "agreement, clause",
        "under the clause by CaseCovered",
    ),
    row(
        E::ErasureRequested,
        "subject, ground",
        "not requested here already",
    ),
    row(
        E::ErasureExecuted,
        "request, subject",
        "a request that is open, after its holding time, by a second person",
    ),
    row(
        E::ErasureRefused,
        "request, reason",
        "a request that is open",
    ),
    row(E::DataDisclosed, "recipient, classes", "practice"),
    row(E::ClosureProposed, "reason", "an open case only"),
];
