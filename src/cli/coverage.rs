//! `casetrail coverage`: what became of the cases under an agreement's clauses.

use clap::Args;

use super::as_of::AsOfArguments;
use super::connection::{Connection, ServerArguments};
use super::failure::Failure;
use super::names;
use super::output::{Output, Table};
use crate::wire::v1::{
    GetAgreementCoverageRequest, GetAgreementCoverageResponse, GetAgreementProgressRequest,
    GetAgreementProgressResponse,
};

/// Which agreement.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  casetrail coverage 018f3a5e-7c1b-7d11-9a41-5be1f0e0c001
  casetrail coverage 018f3a5e-7c1b-7d11-9a41-5be1f0e0c001 --cases
  casetrail coverage 018f3a5e-7c1b-7d11-9a41-5be1f0e0c001 --known-at 2026-03-31
  casetrail coverage 018f3a5e-7c1b-7d11-9a41-5be1f0e0c001 --from 2026-01 --to 2026-06")]
pub(super) struct CoverageArguments {
    /// The agreement's case, a UUID
    #[arg(value_name = "AGREEMENT")]
    agreement_case_id: String,
    /// Name the cases behind the counts, up to 1,000 a clause
    #[arg(long)]
    cases: bool,
    /// How much was met over time, and by the due dates, by the end of each month from this one on,
    /// YYYY-MM
    #[arg(long, value_name = "MONTH", requires = "to", conflicts_with = "cases")]
    from: Option<String>,
    /// The last month, YYYY-MM
    #[arg(long, value_name = "MONTH", requires = "from")]
    to: Option<String>,
    /// As canonical protobuf JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    as_of: AsOfArguments,
    #[command(flatten)]
    server: ServerArguments,
}

pub(super) async fn run(arguments: &CoverageArguments) -> Result<(), Failure> {
    let connection = arguments.server.connect().await?;
    if let (Some(from), Some(to)) = (&arguments.from, &arguments.to) {
        return progress(arguments, &connection, from, to).await;
    }
    let request = GetAgreementCoverageRequest {
        agreement_case_id: arguments.agreement_case_id.clone(),
        with_cases: arguments.cases,
        as_of: arguments.as_of.as_of(),
    };
    let coverage = connection.cases().get_agreement_coverage(request).await;
    let coverage = coverage
        .map_err(|status| connection.failure(&status))?
        .into_inner();
    let mut output = Output::stdout();
    if arguments.json {
        output.json(&coverage)?;
    } else {
        print(&mut output, &coverage)?;
    }
    output.flush()
}

async fn progress(
    arguments: &CoverageArguments,
    connection: &Connection,
    from: &str,
    to: &str,
) -> Result<(), Failure> {
    let request = GetAgreementProgressRequest {
        agreement_case_id: arguments.agreement_case_id.clone(),
        first_month: from.to_owned(),
        last_month: to.to_owned(),
        as_of: arguments.as_of.as_of(),
    };
    let progress = connection.cases().get_agreement_progress(request).await;
    let progress = progress
        .map_err(|status| connection.failure(&status))?
        .into_inner();
    let mut output = Output::stdout();
    if arguments.json {
        output.json(&progress)?;
    } else {
        print_progress(&mut output, &progress)?;
    }
    output.flush()
}

fn print_progress(
    output: &mut Output,
    progress: &GetAgreementProgressResponse,
) -> Result<(), Failure> {
    let mut table = Table::new([
        "clause",
        "due",
        "covered",
        "met in time",
        "met late",
        "outstanding",
        "overdue",
        "excluded",
    ]);
    let mut by_month = Table::new(["month", "clause", "met", "of"]);
    for clause in &progress.clauses {
        let of = clause.clause.clone().unwrap_or_default();
        for month in &clause.months {
            by_month.row([
                month.month.clone(),
                of.reference.clone(),
                month.met.to_string(),
                clause.covered.to_string(),
            ]);
        }
        table.row([
            of.reference,
            due(of.due),
            clause.covered.to_string(),
            clause.met_by_due.to_string(),
            clause.met_late.to_string(),
            clause.outstanding.to_string(),
            clause.overdue.to_string(),
            clause.excluded.to_string(),
        ]);
    }
    table.print(output)?;
    output.line("")?;
    by_month.print(output)?;
    let (day, position) = (&progress.day, progress.position);
    output.line(&format!("\non {day}, at position {position}"))
}

fn due(due: String) -> String {
    if due.is_empty() { "-".to_owned() } else { due }
}

fn print(output: &mut Output, coverage: &GetAgreementCoverageResponse) -> Result<(), Failure> {
    let mut table = Table::new([
        "clause",
        "due",
        "covered",
        "confirmed",
        "reported",
        "outstanding",
        "disputed",
        "excluded",
    ]);
    for clause in &coverage.clauses {
        let of = clause.clause.clone().unwrap_or_default();
        let excluded: Vec<_> = clause
            .exclusions
            .iter()
            .map(|it| format!("{} {}", it.cases, names::exclusion(it.reason())))
            .collect();
        table.row([
            of.reference,
            due(of.due),
            clause.covered.to_string(),
            clause.confirmed.to_string(),
            clause.reported.to_string(),
            clause.outstanding.to_string(),
            clause.disputed.to_string(),
            if excluded.is_empty() {
                "-".to_owned()
            } else {
                excluded.join(", ")
            },
        ]);
    }
    table.print(output)?;
    for clause in &coverage.clauses {
        for case in &clause.cases {
            let reference = clause
                .clause
                .as_ref()
                .map_or("", |it| it.reference.as_str());
            let standing = case.standing.clone().unwrap_or_default();
            let standing = names::standing(&standing);
            output.line(&format!("{reference}  {}  {standing}", case.case_id))?;
        }
    }
    output.line(&format!("\nat position {}", coverage.position))
}
