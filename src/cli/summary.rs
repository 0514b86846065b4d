//! `casetrail summary`: how many cases stand how.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};

use super::as_of::AsOfArguments;
use super::connection::ServerArguments;
use super::failure::Failure;
use super::filter::FilterArguments;
use super::names;
use super::output::{Output, Table};
use crate::wire::v1::{CaseKind, CaseStatus, GetSummaryRequest, GetSummaryResponse, LegalCategory};

/// What to count, and how finely.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  casetrail summary
  casetrail summary --kind detention --by category
  casetrail summary --by district --status Released
  casetrail summary --known-at 2026-03-31 --true-at 2025-12-31")]
pub(super) struct SummaryArguments {
    /// Besides kind and status, count by
    #[arg(long, value_name = "WHAT")]
    by: Option<By>,
    /// As one line of canonical protobuf JSON, with all counts
    #[arg(long, conflicts_with = "by")]
    json: bool,
    #[command(flatten)]
    filter: FilterArguments,
    #[command(flatten)]
    as_of: AsOfArguments,
    #[command(flatten)]
    server: ServerArguments,
}

/// By what to count besides kind and status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum By {
    /// Legal category
    Category,
    /// First-level district
    District,
}

pub(super) async fn run(arguments: &SummaryArguments) -> Result<(), Failure> {
    let connection = arguments.server.connect().await?;
    let request = GetSummaryRequest {
        filter: Some(arguments.filter.filter()),
        as_of: arguments.as_of.as_of(),
    };
    let summary = connection.monitor().get_summary(request).await;
    let summary = summary
        .map_err(|status| connection.failure(&status))?
        .into_inner();
    let mut output = Output::stdout();
    if arguments.json {
        output.json(&summary)?;
    } else {
        print(&mut output, &summary, arguments.by)?;
    }
    output.flush()
}

/// Prints the counts as a table.
pub(super) fn print(
    output: &mut Output,
    summary: &GetSummaryResponse,
    by: Option<By>,
) -> Result<(), Failure> {
    let mut counts: BTreeMap<(i32, String, i32), (u64, u64)> = BTreeMap::new();
    for row in &summary.rows {
        let group = match by {
            None => String::new(),
            Some(By::Category) if row.category() == LegalCategory::Unspecified => "-".to_owned(),
            Some(By::Category) => names::category(row.category()),
            Some(By::District) if row.district.is_empty() => "-".to_owned(),
            Some(By::District) => row.district.clone(),
        };
        let count = counts.entry((row.kind, group, row.status)).or_default();
        count.0 = count.0.saturating_add(row.reported);
        count.1 = count.1.saturating_add(row.confirmed);
    }
    let group = match by {
        None => "",
        Some(By::Category) => "category",
        Some(By::District) => "district",
    };
    let mut table = Table::new(["kind", group, "status", "confirmed", "reported"]);
    for ((kind, group, status), (reported, confirmed)) in counts {
        let kind = CaseKind::try_from(kind).unwrap_or_default();
        let status = CaseStatus::try_from(status).unwrap_or_default();
        table.row([
            names::kind(kind),
            group,
            names::status(status).to_owned(),
            confirmed.to_string(),
            reported.to_string(),
        ]);
    }
    table.print(output)?;
    output.line(&format!(
        "\n{} cases, {} of them contested, at position {}",
        summary.cases, summary.contested, summary.position
    ))?;
    if summary.uncertain > 0 {
        output.line(&format!(
            "{} cases depend on an uncertain date: these are the counts of what certainly was, and \
             --json has those of what possibly was too",
            summary.uncertain
        ))?;
    }
    Ok(())
}
