//! A moment of recording, in microseconds since 1970-01-01 UTC.

use prost_types::Timestamp;
use serde::{Deserialize, Serialize};

use super::edtf::Day;

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// A moment of recording, in microseconds since 1970-01-01 UTC.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Moment(pub i64);

impl Moment {
    /// The moment at which a day begins, in UTC.
    pub fn at_start_of(day: Day) -> Self {
        Self(i64::from(day.0).saturating_mul(SECONDS_PER_DAY * MICROS_PER_SECOND))
    }

    /// The day of the moment, in UTC.
    pub fn day(self) -> Day {
        Day::from_timestamp(&self.into())
    }
}

impl From<Timestamp> for Moment {
    fn from(timestamp: Timestamp) -> Self {
        let micros = timestamp.seconds.saturating_mul(MICROS_PER_SECOND);
        Self(micros.saturating_add(i64::from(timestamp.nanos / 1_000)))
    }
}

impl From<Moment> for Timestamp {
    fn from(moment: Moment) -> Self {
        let micros = moment.0.rem_euclid(MICROS_PER_SECOND);
        Self {
            seconds: moment.0.div_euclid(MICROS_PER_SECOND),
            nanos: i32::try_from(micros).unwrap_or_default() * 1_000,
        }
    }
}
