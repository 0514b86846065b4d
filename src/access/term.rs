//! For how long a caller goes on to be who they are.

use std::sync::Arc;
use std::time::Duration;

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
    /// How the accounts were when it was looked last; none before.
    looked_at: Option<AccountsAt>,
    is_over: bool,
}

/// What identifying somebody by an account hangs on: how the accounts are, and the day, with which
/// grants end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountsAt {
    /// How many changes of the accounts there were.
    pub(super) changes: u64,
    pub(super) day: Day,
}

impl Term {
    /// The term of somebody who was identified at some time before.
    pub fn of(access: Option<&Arc<Access>>, identity: &Identity) -> Self {
        Self(access.map(|access| Bounded::new(access, identity, None)))
    }

    /// The term of somebody who was identified after it was looked how the accounts are
    /// ([`Access::look`]).
    pub fn since(access: &Arc<Access>, identity: &Identity, looked_at: AccountsAt) -> Self {
        Self(Some(Bounded::new(access, identity, Some(looked_at))))
    }

    /// Whether it is over. As long as no account changes, the day is the same and a certificate need not
    /// be verified again, it costs a reading of the clock and a few comparisons.
    pub fn is_over(&mut self) -> bool {
        self.0.as_mut().is_some_and(Bounded::is_over)
    }

    /// Waits until it is over: a revocation is learned of at once, a time within seconds. Who waits for
    /// something else again and again keeps one of these, and polls it.
    pub async fn over(self) {
        let Some(mut bounded) = self.0 else {
            return std::future::pending().await;
        };
        let mut changes = bounded.access.changes();
        let mut clock = bounded.access.clock.clone();
        loop {
            // Marked as seen before it is looked, so that no change is missed.
            changes.mark_unchanged();
            if bounded.is_over() {
                return;
            }
            tokio::select! {
                // Nobody waits for an access that is gone.
                changed = changes.changed() => if changed.is_err() { return },
                () = clock.was_set() => {}
                () = sleep(LOOK_INTERVAL) => {}
            }
        }
    }
}

impl Bounded {
    fn new(access: &Arc<Access>, identity: &Identity, looked_at: Option<AccountsAt>) -> Self {
        Self {
            access: Arc::clone(access),
            identity: identity.clone(),
            looked_at,
            is_over: false,
        }
    }

    fn is_over(&mut self) -> bool {
        if self.is_over {
            return true;
        }
        // Asked before it is looked, so that no change is missed.
        let now = self.access.now();
        let accounts = Some(self.access.look(now));
        if self.looked_at == accounts && self.identity.is_in_time(now) {
            return false;
        }
        self.looked_at = accounts;
        self.is_over = !self.access.holds(&self.identity, now);
        self.is_over
    }
}
