//! A calendar day, counted from 1970-01-01, in the years 0001 to 9999.
//!
//! It knows no time zone: a day is a date as somebody wrote it, or the UTC day of a timestamp.

use std::fmt;

use prost_types::Timestamp;
use serde::{Deserialize, Serialize};
use time::{Date, Month};

/// Days since 1970-01-01 (proleptic Gregorian calendar, ISO 8601).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Day(pub i32);

const SECONDS_OF_A_DAY: i64 = 86_400;
/// Julian day number of 1970-01-01.
const EPOCH_JULIAN_DAY: i32 = 2_440_588;

impl Day {
    /// 0001-01-01, the first day that there is; also the earliest day of an unknown start.
    pub const MIN: Self = Self(-719_162);
    /// 9999-12-31, the last day that there is; also the latest day of an open or unknown end.
    pub const MAX: Self = Self(2_932_896);

    /// The day of a year 1 to 9999, a month 1 to 12 and a day of the month; None where the
    /// calendar has no such day.
    pub fn from_calendar(year: u16, month: u8, day: u8) -> Option<Self> {
        if year == 0 {
            return None;
        }
        let month = Month::try_from(month).ok()?;
        let date = Date::from_calendar_date(i32::from(year), month, day).ok()?;
        Some(Self(date.to_julian_day() - EPOCH_JULIAN_DAY))
    }

    /// The UTC day of a timestamp; the first or the last day where it lies beyond them.
    pub fn from_timestamp(timestamp: &Timestamp) -> Self {
        let days = timestamp.seconds.div_euclid(SECONDS_OF_A_DAY);
        i32::try_from(days)
            .map(|days| Self(days).within_calendar())
            .unwrap_or(if days < 0 { Self::MIN } else { Self::MAX })
    }

    /// Reads a date of the form `2024-03-05`; None for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let year = text.get(..4)?;
        let month = text.get(4..7)?.strip_prefix('-')?;
        let day = text.get(7..)?.strip_prefix('-')?;
        Self::from_calendar(
            digits(year, 4)?,
            u8::try_from(digits(month, 2)?).ok()?,
            u8::try_from(digits(day, 2)?).ok()?,
        )
    }

    /// The year that it is in.
    pub fn year(self) -> i32 {
        let julian = self.0.saturating_add(EPOCH_JULIAN_DAY);
        Date::from_julian_day(julian).map_or(0, Date::year)
    }

    /// The day so many days later (or earlier), no further than the first and the last day.
    #[must_use]
    pub fn plus(self, days: i32) -> Self {
        Self(self.0.saturating_add(days)).within_calendar()
    }

    /// The month in which it lies, as YYYY-MM.
    pub fn month(self) -> String {
        let mut text = self.to_string();
        text.truncate(7);
        text
    }

    fn within_calendar(self) -> Self {
        self.clamp(Self::MIN, Self::MAX)
    }
}

/// As ISO 8601, `2024-03-05`.
impl fmt::Display for Day {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let julian_day = self.within_calendar().0.saturating_add(EPOCH_JULIAN_DAY);
        match Date::from_julian_day(julian_day) {
            Ok(date) => {
                let month = u8::from(date.month());
                write!(formatter, "{:04}-{month:02}-{:02}", date.year(), date.day())
            }
            Err(_) => write!(formatter, "day {}", self.0),
        }
    }
}

/// The number that exactly so many ASCII digits (four at most) write.
pub(super) fn digits(text: &str, count: usize) -> Option<u16> {
    if text.len() != count || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}
