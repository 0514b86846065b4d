//! `casetrail series`: how many cases stood how at the end of each of some months.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};

use super::as_of::{as_of, known_at};
use super::connection::ServerArguments;
use super::failure::Failure;
use super::filter::FilterArguments;
use super::names;
use super::output::{Output, Table};
use crate::wire::v1::as_of::KnownAt;
use crate::wire::v1::{CaseKind, CaseStatus, GetSummarySeriesRequest, SeriesClock, SummaryPoint};

/// What to count, and by which clock.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  casetrail series --from 2026-01 --to 2026-06
  casetrail series --from 2026-01 --to 2026-06 --clock known --kind return
  casetrail series --from 2025-01 --to 2025-12 --known-at 2026-01-15 --json")]
pub(super) struct SeriesArguments {
    /// The first month, YYYY-MM
    #[arg(long, value_name = "MONTH")]
    from: String,
    /// The last month, YYYY-MM
    #[arg(long, value_name = "MONTH")]
    to: String,
    /// By which clock
    #[arg(long, default_value = "true")]
    clock: Clock,
    /// By the clock of truth, as the service knew it then: a position, a day or a time
    #[arg(long, value_name = "WHEN", value_parser = known_at)]
    known_at: Option<KnownAt>,
    /// One line of canonical protobuf JSON a month, with all counts
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    filter: FilterArguments,
    #[command(flatten)]
    server: ServerArguments,
}

/// By which clock to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Clock {
    /// What was so at the end of each month
    True,
    /// What the service knew at the end of each month
    Known,
}

pub(super) async fn run(arguments: &SeriesArguments) -> Result<(), Failure> {
    let connection = arguments.server.connect().await?;
    let clock = match arguments.clock {
        Clock::True => SeriesClock::True,
        Clock::Known => SeriesClock::Known,
    };
    let request = GetSummarySeriesRequest {
        filter: Some(arguments.filter.filter()),
        first_month: arguments.from.clone(),
        last_month: arguments.to.clone(),
        clock: clock.into(),
        as_of: as_of(arguments.known_at, None),
    };
    let series = connection.monitor().get_summary_series(request).await;
    let series = series
        .map_err(|status| connection.failure(&status))?
        .into_inner();
    let mut output = Output::stdout();
    if arguments.json {
        for point in &series.points {
            output.json(point)?;
        }
    } else {
        print(&mut output, &series.points)?;
    }
    output.flush()
}

/// Prints a row for each month and status of a kind: months in their order, and statuses in theirs.
fn print(output: &mut Output, points: &[SummaryPoint]) -> Result<(), Failure> {
    let mut table = Table::new(["month", "kind", "status", "confirmed", "reported"]);
    let mut uncertain = Vec::new();
    for point in points {
        let summary = point.summary.clone().unwrap_or_default();
        let mut counts: BTreeMap<(i32, i32), (u64, u64)> = BTreeMap::new();
        for row in &summary.rows {
            let (confirmed, reported) = counts.entry((row.kind, row.status)).or_default();
            *confirmed = confirmed.saturating_add(row.confirmed);
            *reported = reported.saturating_add(row.reported);
        }
        for ((kind, status), (confirmed, reported)) in counts {
            table.row([
                point.month.clone(),
                names::kind(CaseKind::try_from(kind).unwrap_or_default()),
                names::status(CaseStatus::try_from(status).unwrap_or_default()).to_owned(),
                confirmed.to_string(),
                reported.to_string(),
            ]);
        }
        if summary.uncertain > 0 {
            uncertain.push(format!("{} in {}", summary.uncertain, point.month));
        }
    }
    table.print(output)?;
    if !uncertain.is_empty() {
        output.line(&format!(
            "\nCases that depend on an uncertain date: {}",
            uncertain.join(", ")
        ))?;
    }
    Ok(())
}
