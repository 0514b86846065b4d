//! The options that say at what time: when it was known, and when it was so.

use std::str::FromStr;

use clap::Args;
use prost_types::Timestamp;

use crate::wire::day::Day;
use crate::wire::moment::Moment;
use crate::wire::v1::AsOf;
use crate::wire::v1::as_of::KnownAt;

/// At what time.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "At what time")]
pub(super) struct AsOfArguments {
    /// As the service knew it then: a position of the log, a day (its end, UTC), or a time such as
    /// 2026-03-05T10:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = known_at)]
    known_at: Option<KnownAt>,
    /// As it was at the end of this day, YYYY-MM-DD
    #[arg(long, value_name = "DAY", value_parser = true_at)]
    true_at: Option<Day>,
}

impl AsOfArguments {
    /// What is asked of the server; none for now.
    pub(super) fn as_of(&self) -> Option<AsOf> {
        as_of(self.known_at, self.true_at)
    }
}

/// What is asked of the server; none for now.
pub(super) fn as_of(known_at: Option<KnownAt>, true_at: Option<Day>) -> Option<AsOf> {
    let asked = known_at.is_some() || true_at.is_some();
    asked.then(|| AsOf {
        known_at,
        true_at: true_at.map(|day| day.to_string()).unwrap_or_default(),
    })
}

/// Reads a position, a day or a time.
pub(super) fn known_at(text: &str) -> Result<KnownAt, String> {
    if let Ok(position) = text.parse() {
        return Ok(KnownAt::Position(position));
    }
    if let Some(day) = Day::parse(text) {
        // The last microsecond of the day: moments of recording are whole ones.
        let end = Moment::at_start_of(day.plus(1));
        return Ok(KnownAt::RecordedAt(Moment(end.0.saturating_sub(1)).into()));
    }
    Timestamp::from_str(text)
        .map(KnownAt::RecordedAt)
        .map_err(|_| {
            "give a position, a day such as 2026-03-05, or a time such as 2026-03-05T10:00:00Z"
                .to_owned()
        })
}

/// Reads a day.
pub(super) fn true_at(text: &str) -> Result<Day, String> {
    Day::parse(text).ok_or_else(|| "give a day such as 2026-03-05".to_owned())
}
