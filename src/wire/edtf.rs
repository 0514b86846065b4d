//! Dates of the Extended Date/Time Format, level 1 (ISO 8601-2:2019; Library of Congress, EDTF
//! specification of 2019), read as the days on which something can have happened.
//!
//! - `2024`, `2024-03`, `2024-03-05`: every day of it. Years run from 0001 to 9999.
//! - `2024-03-05T10:00:00`, with or without `Z` or an offset: that day as written; the offset does
//!   not move it, since a date without time is a local date too.
//! - `2024-03?`, `2024-03~`, `2024-03%` (uncertain, approximate, both): the same days as without
//!   the qualifier. The format does not say how far off they may be, so neither do we.
//! - `202X`, `20XX`, `2024-XX`, `2024-03-XX`, `2024-XX-XX`: every day that fits.
//! - `2024-21` to `2024-24` (spring, summer, autumn, winter): every day of that year, since level 1
//!   does not say on which hemisphere.
//! - `2024-03/2024-05-09`: from the first day of its start to the last day of its end.
//! - `2024-03/..` (open end), `2024-03/` (unknown end): the latest day is [`Day::MAX`]; the domain
//!   caps it at the day of recording. `../2024` and `/2024`: the earliest day is [`Day::MIN`].
//!
//! Refused in words: years with `Y` and years below 0001, level 2, and intervals with times.
//!
//! The crate `edtf` was considered: its last release is of 2021, it brings nom and num-integer, it
//! accepts years that a day count cannot hold, and its errors don't say what would be right.

use std::fmt;

use serde::{Deserialize, Serialize};

pub use super::day::Day;
use super::day::digits;

/// The days on which something can have happened: `earliest` is never after `latest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OccurredDays {
    /// The first day on which it can have happened.
    pub earliest: Day,
    /// The last day on which it can have happened.
    pub latest: Day,
}

impl OccurredDays {
    /// Any day that there is.
    pub const ALWAYS: Self = Self {
        earliest: Day::MIN,
        latest: Day::MAX,
    };
}

/// What is wrong with a date. It never holds the text itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EdtfError {
    /// The text is empty.
    Empty,
    /// The text has none of the forms.
    Form,
    /// A year with `Y`, or a negative one.
    LongYear,
    /// The year 0000.
    YearZero,
    /// More unspecified digits than level 1 knows, or elsewhere.
    UnspecifiedDigits,
    /// A month that is neither 01 to 12 nor a season.
    Month,
    /// A day that the month does not have.
    DayOfMonth,
    /// A qualifier that does not stand at the end of a date.
    Qualifier,
    /// A time that is not one.
    Time,
    /// An interval without a date.
    IntervalWithoutDate,
    /// An interval with a time.
    IntervalWithTime,
    /// An interval with unspecified digits.
    IntervalWithUnspecifiedDigits,
    /// An interval that ends before it begins.
    IntervalReversed,
}

/// The last day on which something can be that is dated so; none where that has no end, or the text is
/// no date.
pub fn last_day(text: &str) -> Option<Day> {
    let days = days(text).ok()?;
    Some(days.latest).filter(|latest| *latest < Day::MAX)
}

/// Reads a date, a date with time, or an interval.
///
/// # Errors
/// Tells what is wrong and what would be right.
pub fn days(text: &str) -> Result<OccurredDays, EdtfError> {
    if text.is_empty() {
        return Err(EdtfError::Empty);
    }
    if !text.is_ascii() {
        return Err(EdtfError::Form);
    }
    // Most dates are whole days. What is none is looked at more closely.
    if text.len() == 10
        && let Some(day) = Day::parse(text)
    {
        return Ok(OccurredDays {
            earliest: day,
            latest: day,
        });
    }
    if let Some((start, end)) = text.split_once('/') {
        return interval(start, end);
    }
    match text.split_once('T') {
        Some((date, time)) => date_with_time(date, time),
        None => date(text),
    }
}

fn interval(start: &str, end: &str) -> Result<OccurredDays, EdtfError> {
    let (start, end) = (interval_end(start)?, interval_end(end)?);
    if start.is_none() && end.is_none() {
        return Err(EdtfError::IntervalWithoutDate);
    }
    let earliest = start.map_or(Day::MIN, |days| days.earliest);
    let latest = end.map_or(Day::MAX, |days| days.latest);
    if earliest > latest {
        return Err(EdtfError::IntervalReversed);
    }
    Ok(OccurredDays { earliest, latest })
}

/// The days of one end of an interval; None where it is open or unknown.
fn interval_end(text: &str) -> Result<Option<OccurredDays>, EdtfError> {
    if text.is_empty() || text == ".." {
        return Ok(None);
    }
    if text.contains('T') {
        return Err(EdtfError::IntervalWithTime);
    }
    if text.contains('X') {
        return Err(EdtfError::IntervalWithUnspecifiedDigits);
    }
    date(text).map(Some)
}

fn date_with_time(date: &str, time: &str) -> Result<OccurredDays, EdtfError> {
    let day = date_parts(date).and_then(|(year, rest)| match rest {
        Some((month, Some(day))) => calendar_day(plain_year(year)?, month, day),
        _ => Err(EdtfError::Time),
    })?;
    if !is_time(time) {
        return Err(EdtfError::Time);
    }
    Ok(OccurredDays {
        earliest: day,
        latest: day,
    })
}

/// Whether the text is `10:00:00`, with nothing, `Z`, `+05:30` or `+05` after it.
fn is_time(text: &str) -> bool {
    let (Some(clock), Some(zone)) = (text.get(..8), text.get(8..)) else {
        return false;
    };
    let mut parts = clock.splitn(3, ':');
    let mut part_below = |limit| {
        parts
            .next()
            .and_then(|part| digits(part, 2))
            .is_some_and(|number| number < limit)
    };
    part_below(24) && part_below(60) && part_below(60) && is_zone(zone)
}

fn is_zone(text: &str) -> bool {
    let Some(offset) = text.strip_prefix(['+', '-']) else {
        return text.is_empty() || text == "Z";
    };
    let (hours, minutes) = offset.split_once(':').unwrap_or((offset, "00"));
    digits(hours, 2).is_some_and(|hours| hours <= 14)
        && digits(minutes, 2).is_some_and(|minutes| minutes < 60)
}

/// A date of any precision, with or without a qualifier at its end.
fn date(text: &str) -> Result<OccurredDays, EdtfError> {
    let text = text.strip_suffix(['?', '~', '%']).unwrap_or(text);
    match date_parts(text)? {
        (year, None) => years(year),
        (year, Some(("XX", None | Some("XX")))) => whole_year(plain_year(year)?),
        (_, Some(("XX", Some(_)))) => Err(EdtfError::UnspecifiedDigits),
        (year, Some((month, None))) => match digits(month, 2) {
            Some(21..=24) => whole_year(plain_year(year)?),
            _ => whole_month(plain_year(year)?, month),
        },
        (year, Some((month, Some("XX")))) => whole_month(plain_year(year)?, month),
        (year, Some((month, Some(day)))) => {
            let day = calendar_day(plain_year(year)?, month, day)?;
            Ok(OccurredDays {
                earliest: day,
                latest: day,
            })
        }
    }
}

type DateParts<'a> = (&'a str, Option<(&'a str, Option<&'a str>)>);

/// Year, month and day as texts of four, two and two characters.
fn date_parts(text: &str) -> Result<DateParts<'_>, EdtfError> {
    if text.starts_with(['Y', '-']) {
        return Err(EdtfError::LongYear);
    }
    if text.contains(['?', '~', '%']) {
        return Err(EdtfError::Qualifier);
    }
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    let two_long = |part: Option<&str>| part.is_none_or(|part| part.len() == 2);
    if year.len() != 4 || !two_long(month) || !two_long(day) || parts.next().is_some() {
        return Err(EdtfError::Form);
    }
    Ok((year, month.map(|month| (month, day))))
}

/// All days of the years that a year, perhaps with unspecified digits, stands for.
fn years(text: &str) -> Result<OccurredDays, EdtfError> {
    let known = text.trim_end_matches('X');
    let step = match text.len() - known.len() {
        0 => return whole_year(plain_year(text)?),
        1 => 10,
        2 => 100,
        _ => return Err(EdtfError::UnspecifiedDigits),
    };
    let first = digits(known, known.len()).ok_or(EdtfError::UnspecifiedDigits)? * step;
    let earliest = Day::from_calendar(first.max(1), 1, 1).ok_or(EdtfError::Form)?;
    let latest = Day::from_calendar(first + step - 1, 12, 31).ok_or(EdtfError::Form)?;
    Ok(OccurredDays { earliest, latest })
}

fn plain_year(text: &str) -> Result<u16, EdtfError> {
    match digits(text, 4) {
        Some(0) => Err(EdtfError::YearZero),
        Some(year) => Ok(year),
        None if text.contains('X') => Err(EdtfError::UnspecifiedDigits),
        None => Err(EdtfError::Form),
    }
}

fn whole_year(year: u16) -> Result<OccurredDays, EdtfError> {
    let earliest = Day::from_calendar(year, 1, 1).ok_or(EdtfError::YearZero)?;
    let latest = Day::from_calendar(year, 12, 31).ok_or(EdtfError::YearZero)?;
    Ok(OccurredDays { earliest, latest })
}

fn whole_month(year: u16, month: &str) -> Result<OccurredDays, EdtfError> {
    let month = month_number(month)?;
    let earliest = Day::from_calendar(year, month, 1).ok_or(EdtfError::Month)?;
    let latest = (28..=31)
        .rev()
        .find_map(|day| Day::from_calendar(year, month, day))
        .ok_or(EdtfError::Month)?;
    Ok(OccurredDays { earliest, latest })
}

fn calendar_day(year: u16, month: &str, day: &str) -> Result<Day, EdtfError> {
    let month = month_number(month)?;
    let day = match digits(day, 2).map(u8::try_from) {
        Some(Ok(day)) => day,
        _ if day.contains('X') => return Err(EdtfError::UnspecifiedDigits),
        _ => return Err(EdtfError::DayOfMonth),
    };
    Day::from_calendar(year, month, day).ok_or(EdtfError::DayOfMonth)
}

fn month_number(text: &str) -> Result<u8, EdtfError> {
    match digits(text, 2).map(u8::try_from) {
        Some(Ok(month @ 1..=12)) => Ok(month),
        _ if text.contains('X') => Err(EdtfError::UnspecifiedDigits),
        _ => Err(EdtfError::Month),
    }
}

impl fmt::Display for EdtfError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Empty => {
                "is empty; give an EDTF level 1 date such as 2024-03-05, 2024-03?, \
                            2024-XX or 2024-03-01/2024-03-09"
            }
            Self::Form => {
                "is no EDTF level 1 date; give one such as 2024-03-05, 2024-03?, \
                           2024-XX, 2024-03-05T10:00:00Z or 2024-03-01/2024-03-09"
            }
            Self::LongYear => {
                "has a negative year or one with Y; give a year from 0001 to 9999 \
                               in four digits"
            }
            Self::YearZero => "has the year 0000; give a year from 0001 to 9999",
            Self::UnspecifiedDigits => {
                "has X where level 1 knows none; give 202X, 20XX, 2024-XX, \
                                        2024-XX-XX or 2024-03-XX, or an interval with an unknown \
                                        start such as /2024-03-05"
            }
            Self::Month => "has a month that is not 01 to 12, or a season that is not 21 to 24",
            Self::DayOfMonth => "has a day that its month does not have",
            Self::Qualifier => {
                "has a qualifier elsewhere than at its end; give ?, ~ or % once, \
                                after a date without time"
            }
            Self::Time => {
                "has a time that is not one; give it after a full date, as in \
                           2024-03-05T10:00:00, with nothing, Z or an offset such as +05:30 \
                           after it"
            }
            Self::IntervalWithoutDate => {
                "is an interval without a date; give a date at one end \
                                          at least, as in ../2024-03-05"
            }
            Self::IntervalWithTime => {
                "is an interval with a time; give dates alone, as in \
                                       2024-03-01/2024-03-09"
            }
            Self::IntervalWithUnspecifiedDigits => {
                "is an interval with X; leave the unknown part \
                                                    out, as in 2024-03/2024-05"
            }
            Self::IntervalReversed => {
                "is an interval that ends before it begins; give its start \
                                       first"
            }
        })
    }
}

impl std::error::Error for EdtfError {}
