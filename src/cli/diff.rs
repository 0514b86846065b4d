//! `casetrail diff`: what differs between two reports, case by case, and through which events.

use clap::Args;

use super::as_of::{as_of, known_at, true_at};
use super::connection::ServerArguments;
use super::failure::Failure;
use super::filter::FilterArguments;
use super::names;
use super::output::Output;
use crate::wire::day::Day;
use crate::wire::v1::as_of::KnownAt;
use crate::wire::v1::{CaseDifference, CompareCasesRequest, Standing};

/// The largest page that a server gives.
const PAGE_SIZE: i32 = 1000;

/// Which reports.
#[derive(Debug, Args)]
#[command(after_help = "\
A report is what the service knew at a position of the log, at a time, or at the end of a day (UTC).
With --true-at, both reports tell how cases stood at the end of that day: what differs is what was
learned of it in between.

Examples:
  casetrail diff --known-at 2026-03-31 --known-at 2026-04-30
  casetrail diff --known-at 120000 --kind detention --json
  casetrail diff --known-at 2026-04-01T06:00:00Z --true-at 2026-03-31")]
pub(super) struct DiffArguments {
    /// When each report was known, the earlier one first: a position, a day or a time; given once,
    /// the other report is that of now
    #[arg(long, value_name = "WHEN", required = true, value_parser = known_at)]
    known_at: Vec<KnownAt>,
    /// How cases stood at the end of this day, YYYY-MM-DD
    #[arg(long, value_name = "DAY", value_parser = true_at)]
    true_at: Option<Day>,
    /// One line of canonical protobuf JSON a case
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    filter: FilterArguments,
    #[command(flatten)]
    server: ServerArguments,
}

pub(super) async fn run(arguments: &DiffArguments) -> Result<(), Failure> {
    let mut known_at = arguments.known_at.iter().copied();
    let (from, to) = (known_at.next(), known_at.next());
    if known_at.next().is_some() {
        return Err(Failure::Usage("give --known-at once or twice".to_owned()));
    }
    let connection = arguments.server.connect().await?;
    let mut output = Output::stdout();
    let mut page_token = String::new();
    let mut cases: usize = 0;
    loop {
        let request = CompareCasesRequest {
            from: as_of(from, arguments.true_at),
            to: as_of(to, arguments.true_at),
            filter: Some(arguments.filter.filter()),
            page_size: PAGE_SIZE,
            page_token,
        };
        let page = connection.cases().compare_cases(request).await;
        let page = page
            .map_err(|status| connection.failure(&status))?
            .into_inner();
        for difference in &page.differences {
            if arguments.json {
                output.json(difference)?;
            } else {
                print(&mut output, difference)?;
            }
        }
        output.flush()?;
        cases = cases.saturating_add(page.differences.len());
        page_token = page.next_page_token;
        if page_token.is_empty() {
            if !arguments.json {
                output.line(&format!(
                    "{cases} cases stand otherwise at position {} than at {}",
                    page.to_position, page.from_position
                ))?;
            }
            return output.flush();
        }
    }
}

fn print(output: &mut Output, difference: &CaseDifference) -> Result<(), Failure> {
    let told = |standing: &Option<Standing>, possible: &Option<Standing>| {
        let text = standing
            .as_ref()
            .map_or_else(|| "not there".to_owned(), names::standing);
        match possible {
            Some(possible) => format!("{text}, possibly {}", names::standing(possible)),
            None => text,
        }
    };
    output.line(&format!(
        "{}  {} -> {}",
        difference.case_id,
        told(
            &difference.from_standing,
            &difference.from_possible_standing
        ),
        told(&difference.to_standing, &difference.to_possible_standing),
    ))?;
    for event in &difference.events {
        output.line(&format!(
            "{:>12}  {}  {:<26}  {}",
            event.position,
            names::time(event.recorded_at.as_ref()),
            names::event_type(event.event_type()),
            event.event_id
        ))?;
    }
    Ok(())
}
