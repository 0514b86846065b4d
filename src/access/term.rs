//! For how long a caller goes on to be who they are.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::{Access, Identity};
use crate::wire::edtf::Day;

/// How often somebody who waits for the end of a term looks at the clock.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// The term of a caller: as long as what identified them holds. On a server without accounts it has no
/// end.
#[derive(Debug, Clone)]
pub struct Term(Option<Bounded>);

#[derive(Debug, Clone)]
struct Bounded {
    access: Arc<Access>,
    identity: Identity,
    changes: watch::Receiver<u64>,
    /// The day on which it was looked last: grants end with a day.
    looked_on: Day,
    is_over: bool,
}

impl Term {
    /// The term of somebody who was identified just now.
    pub fn of(access: Option<&Arc<Access>>, identity: &Identity) -> Self {
        Self(access.map(|access| {
            let mut bounded = Bounded {
                access: Arc::clone(access),
                identity: identity.clone(),
                changes: access.changes(),
                looked_on: access.clock.now().day(),
                is_over: false,
            };
            // What changed since they were identified counts as not looked at yet.
            bounded.changes.mark_changed();
            bounded
        }))
    }

    /// Whether it is over. It costs two comparisons as long as no account changes.
    pub fn is_over(&mut self) -> bool {
        self.0.as_mut().is_some_and(Bounded::is_over)
    }

    /// Waits until it is over: a revocation is learned of at once, a time within seconds.
    pub async fn over(&mut self) {
        let Some(bounded) = &mut self.0 else {
            return std::future::pending().await;
        };
        let mut clock = bounded.access.clock.clone();
        while !bounded.is_over() {
            tokio::select! {
                // Nobody waits for an access that is gone.
                changed = bounded.changes.changed() => if changed.is_err() { return },
                () = clock.was_set() => continue,
                () = sleep(LOOK_INTERVAL) => continue,
            }
            bounded.changes.mark_changed();
        }
    }
}

impl Bounded {
    fn is_over(&mut self) -> bool {
        if self.is_over {
            return true;
        }
        let now = self.access.clock.now();
        let is_known = self.identity.is_in_time(now) && self.looked_on == now.day();
        if is_known && !self.changes.has_changed().unwrap_or(true) {
            return false;
        }
        // Marked as seen before it is looked, so that no change is missed.
        self.changes.mark_unchanged();
        self.looked_on = now.day();
        self.is_over = !self.access.holds(&self.identity);
        self.is_over
    }
}
