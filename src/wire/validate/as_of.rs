//! The time of an answer, and the months of a series.

use prost::Message;
use prost_types::Timestamp;

use super::{Checker, Invalid};
use crate::wire::edtf::Day;
use crate::wire::limits::SERIES_MONTHS_MAX;
use crate::wire::v1::{self, as_of::KnownAt as Sent};

/// At what time an answer is given, by two clocks.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AsOf {
    /// As known when; none means now.
    pub known_at: Option<KnownAt>,
    /// As it was at the end of which day; none means by all that is known.
    pub true_at: Option<Day>,
    /// What was asked, encoded: pages belong to it.
    pub encoded: Vec<u8>,
}

/// When something was known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum KnownAt {
    /// When the log ended before this position.
    Position(u64),
    /// When the log held all that was recorded up to this moment.
    RecordedAt(Timestamp),
}

/// A calendar month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Month {
    /// Its first day.
    pub first: Day,
    /// Its last day.
    pub last: Day,
}

/// Checks the time of an answer; none means now. The field is its path in the request.
///
/// # Errors
/// Tells what is wrong.
pub fn as_of(field: &'static str, as_of: Option<v1::AsOf>) -> Result<AsOf, Invalid> {
    let as_of = as_of.unwrap_or_default();
    let encoded = as_of.encode_to_vec();
    let mut checker = Checker::without_day();
    let checked = checker.at(field, |checker| AsOf {
        known_at: as_of.known_at.map(|known_at| match known_at {
            Sent::Position(position) => KnownAt::Position(position),
            Sent::RecordedAt(time) => {
                if !(0..1_000_000_000).contains(&time.nanos) {
                    checker.violation("recorded_at.nanos", "is not 0 to 999,999,999");
                }
                KnownAt::RecordedAt(time)
            }
        }),
        true_at: checker.day("true_at", &as_of.true_at),
        encoded,
    });
    checker.finish().map(|()| checked)
}

/// Checks a day, YYYY-MM-DD; none where the text is empty.
///
/// # Errors
/// Tells what is wrong.
pub fn day(field: &'static str, text: &str) -> Result<Option<Day>, Invalid> {
    let mut checker = Checker::without_day();
    let day = checker.day(field, text);
    checker.finish().map(|()| day)
}

/// Checks the first and the last month of a series, and gives all of them.
///
/// # Errors
/// Tells what is wrong: a text that is no month, or too many of them, or none.
pub fn months(first: &str, last: &str) -> Result<Vec<Month>, Invalid> {
    let mut checker = Checker::without_day();
    let (from, until) = (
        checker.month("first_month", first),
        checker.month("last_month", last),
    );
    let mut months = Vec::new();
    if let (Some(mut month), Some(until)) = (from, until) {
        while month.first <= until.first && months.len() <= SERIES_MONTHS_MAX {
            months.push(month);
            month = Month::beginning(month.last.plus(1));
        }
        if months.is_empty() || months.len() > SERIES_MONTHS_MAX {
            checker.violation(
                "last_month",
                format!("is not the first of the series or one of the {SERIES_MONTHS_MAX} months from it on"),
            );
        }
    }
    checker.finish().map(|()| months)
}

impl Month {
    fn beginning(first: Day) -> Self {
        let last = (27..=30)
            .rev()
            .map(|days| first.plus(days))
            .find(|last| last.month() == first.month());
        Self {
            first,
            last: last.unwrap_or(first),
        }
    }
}

impl Checker {
    /// A day as YYYY-MM-DD, or nothing.
    fn day(&mut self, field: &str, text: &str) -> Option<Day> {
        let day = Day::parse(text);
        if day.is_none() && !text.is_empty() {
            self.violation(field, "is no day; give one as YYYY-MM-DD, or leave it out");
        }
        day
    }

    fn month(&mut self, field: &str, text: &str) -> Option<Month> {
        let first = Day::parse(&format!("{text}-01"));
        if first.is_none() {
            self.violation(field, "is no month; give one as YYYY-MM");
        }
        first.map(Month::beginning)
    }
}
