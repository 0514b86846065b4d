//! The clock of the ledger: the only place that reads the wall clock. Everything else is handed the
//! time. A clock can be set by hand instead, so that what days bring about can be tried without
//! waiting.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

use crate::wire::edtf::Day;
use crate::wire::moment::Moment;

/// What tells the time. Clones tell the same.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    /// The hands, where they are set by hand; none for the wall clock.
    hands: Option<watch::Receiver<Moment>>,
}

impl Clock {
    /// The wall clock.
    pub fn wall() -> Self {
        Self::default()
    }

    /// A clock that tells what was last sent.
    pub fn set_by_hand(hands: watch::Receiver<Moment>) -> Self {
        Self { hands: Some(hands) }
    }

    /// The time now, to the microsecond.
    pub fn now(&self) -> Moment {
        self.hands
            .as_ref()
            .map_or_else(now, |hands| *hands.borrow())
    }

    /// Waits until the clock was set. The wall clock never is: who waits for a day looks at it now
    /// and then.
    pub async fn was_set(&mut self) {
        let set = match &mut self.hands {
            Some(hands) => hands.changed().await.is_ok(),
            None => false,
        };
        if !set {
            std::future::pending::<()>().await;
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the wall clock"
)]
fn now() -> Moment {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Moment(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
}

/// The day that it is now, in UTC, by the clock of this machine.
pub fn today() -> Day {
    now().day()
}
