//! Passes over all cases for alerts: how many there are at once, and the counts of clauses that they
//! share. What is counted at a position never changes, so that all pages of a list, and all watchers
//! who come back at once, count once.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::clauses::Clauses;
use crate::service::Shared;

/// How many bits of passes are looked at at once, whoever asks: the others wait, so that those who
/// come back at once don't take every core from the writer.
const PASSES_AT_ONCE_MAX: usize = 2;

/// Of how many positions the counts are kept: where a watcher was, and where it is told to.
const COUNTS_KEPT: usize = 2;

/// The passes that are under way, and what they counted last.
pub(in crate::service) struct Passes {
    places: Semaphore,
    counts: Mutex<VecDeque<(u64, Arc<Clauses>)>>,
}

impl Passes {
    /// A place for one bit of a pass; waits until there is one.
    pub(super) async fn place(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.places.acquire().await.ok()
    }

    /// The counts at a position. Passes over all cases where they are not there yet; whoever else
    /// wants some waits meanwhile.
    pub(super) fn clauses_at(&self, shared: &Shared, position: u64) -> Arc<Clauses> {
        // A count that panicked left the others as they were.
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = counts.iter().find(|(known, _)| *known == position) {
            return Arc::clone(known);
        }
        let counted = Arc::new(Clauses::count(&shared.cases().cases, position));
        counts.push_back((position, Arc::clone(&counted)));
        if counts.len() > COUNTS_KEPT {
            counts.pop_front();
        }
        counted
    }
}

impl Default for Passes {
    fn default() -> Self {
        Self {
            places: Semaphore::new(PASSES_AT_ONCE_MAX),
            counts: Mutex::default(),
        }
    }
}

impl fmt::Debug for Passes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Passes").finish_non_exhaustive()
    }
}
