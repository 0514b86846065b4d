//! Erasures on their way through the ledger: what has to come between, and which subjects a commit
//! erases; and the keys that are still to be destroyed.

use std::sync::{Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::seal::Keyring;
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

/// Subjects whose erasure is durable, while their keys are still in the key store, out of use, since it
/// can't be written. A restart takes them from the log.
#[derive(Default)]
pub(super) struct Owed(Mutex<Vec<Uuid>>);

impl Owed {
    /// Destroys the keys of subjects, or owes that from now on. Blocks.
    pub(super) fn destroy(&self, keyring: &Keyring, subjects: &[Uuid]) -> Result<(), String> {
        let destroyed = keyring.erase(subjects);
        let mut owed = self.lock();
        owed.retain(|subject| !subjects.contains(subject));
        if destroyed.is_err() {
            owed.extend(subjects);
        }
        drop(owed);
        destroyed.map_err(|error| error.to_string())
    }

    /// Tries again to destroy the keys that are owed; whether none is any more. Blocks.
    pub(super) fn settle(&self, keyring: &Keyring) -> bool {
        let subjects = self.lock().clone();
        if subjects.is_empty() {
            return true;
        }
        let settled = self.destroy(keyring, &subjects).is_ok();
        if settled {
            let subjects = subjects.len();
            tracing::warn!(
                subjects,
                "keys that could not be destroyed before are destroyed"
            );
        }
        settled && self.count() == 0
    }

    /// How many are owed.
    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    /// Whether the key of any of these subjects is owed.
    pub(super) fn includes_any(&self, subjects: &[Uuid]) -> bool {
        let owed = self.lock();
        subjects.iter().any(|subject| owed.contains(subject))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Uuid>> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
