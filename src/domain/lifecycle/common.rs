//! The events common to every kind. What they need beyond the status is in `domain::decide`, since
//! it concerns other events of the case and not its status.

use super::{Allowed, Outcome, Row, rule};
use crate::wire::v1::EventType as E;

const fn row(event: E, must: &'static str, basis: &'static str) -> Row {
    rule(event, Allowed::Any, Outcome::Stays, must, basis)
}

pub(super) static TABLE: [Row; 7] = [
    row(E::CaseClosed, "reason", "an open case only"),
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
];
