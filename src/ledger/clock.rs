//! The wall clock: the only place that reads it. Everything else is handed the time.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::wire::edtf::Day;
use crate::wire::moment::Moment;

/// The time now, to the microsecond.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the wall clock"
)]
pub(super) fn now() -> Moment {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Moment(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
}

/// The day that it is now, in UTC, by the clock of this machine.
pub fn today() -> Day {
    now().day()
}
