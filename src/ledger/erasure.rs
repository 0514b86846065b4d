//! Erasures on their way through the ledger: what has to come between, and which subjects a commit
//! erases.

use uuid::Uuid;

use crate::wire::v1::{Event, event::Payload};
use crate::wire::validate::Submission;

/// What has to come between a request for an erasure and its execution. It is written into each
/// request, so that a later change concerns later requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErasurePolicy {
    /// How many days a request has to wait: until then it can be withdrawn or refused.
    pub holding_days: u32,
    /// Whether somebody else than who requested an erasure has to execute it.
    pub second_person: bool,
}

impl Default for ErasurePolicy {
    /// Seven days, and a second person.
    fn default() -> Self {
        Self {
            holding_days: 7,
            second_person: true,
        }
    }
}

/// The subject that an event erases.
pub(super) fn subject_of(event: &Event) -> Option<Uuid> {
    match event.payload.as_ref()? {
        Payload::ErasureExecuted(executed) => Uuid::try_parse(&executed.subject_id).ok(),
        _ => None,
    }
}

/// Whether a submission erases anybody's data.
pub(super) fn is_in(submission: &Submission) -> bool {
    let mut events = submission.changes.iter().flat_map(|change| &change.events);
    events.any(|event| subject_of(event.event()).is_some())
}
