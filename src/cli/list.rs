//! `casetrail list`: cases in the order in which they were opened.

use clap::Args;

use super::as_of::AsOfArguments;
use super::connection::ServerArguments;
use super::failure::Failure;
use super::filter::FilterArguments;
use super::names;
use super::output::{Output, note};
use crate::wire::v1::{Case, ListCasesRequest};

/// The largest page that a server gives.
const PAGE_SIZE_MAX: u64 = 1000;

/// Which cases.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  casetrail list --kind detention --status Registered
  casetrail list --contested --limit 1000
  casetrail list --status Registered --true-at 2025-12-31
  casetrail list --district XA01 --json | jq -r .caseId")]
pub(super) struct ListArguments {
    /// Number of cases at most
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u64,
    /// One line of canonical protobuf JSON a case; with --true-at a second one follows where the
    /// case possibly stood otherwise
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    filter: FilterArguments,
    #[command(flatten)]
    as_of: AsOfArguments,
    #[command(flatten)]
    server: ServerArguments,
}

pub(super) async fn run(arguments: &ListArguments) -> Result<(), Failure> {
    let connection = arguments.server.connect().await?;
    let mut cases = connection.cases();
    let mut output = Output::stdout();
    let mut left = arguments.limit;
    let mut page_token = String::new();
    while left > 0 {
        let request = ListCasesRequest {
            page_size: i32::try_from(left.min(PAGE_SIZE_MAX)).unwrap_or(i32::MAX),
            page_token,
            filter: Some(arguments.filter.filter()),
            as_of: arguments.as_of.as_of(),
        };
        let page = cases.list_cases(request).await;
        let page = page
            .map_err(|status| connection.failure(&status))?
            .into_inner();
        // Those that depend on an uncertain date are a few of the page, in its order.
        let mut possible = page.possible_cases.iter().peekable();
        for case in &page.cases {
            let possible = possible.next_if(|possible| possible.case_id == case.case_id);
            if arguments.json {
                output.json(case)?;
                if let Some(possible) = possible {
                    output.json(possible)?;
                }
            } else {
                output.line(&line(case, possible))?;
            }
        }
        output.flush()?;
        left = left.saturating_sub(u64::try_from(page.cases.len()).unwrap_or(u64::MAX));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(());
        }
    }
    if !arguments.json {
        note("There are more cases: raise --limit to see them.");
    }
    Ok(())
}

/// A case in one line. The columns have fixed widths, since a list may come page by page.
fn line(case: &Case, possible: Option<&Case>) -> String {
    let possible = possible.and_then(|possible| possible.standing.as_ref());
    let possible = possible.map_or_else(String::new, |standing| {
        format!("; possibly {}", names::standing(standing))
    });

    let standing = case.standing.clone().unwrap_or_default();
    let kind = names::kind(standing.kind());
    let district = if standing.district.is_empty() {
        "-"
    } else {
        &standing.district
    };
    let version = format!("v{}", case.version);
    format!(
        "{}  {kind:<9}  {version:<5}  {district:<6}  {}{possible}",
        case.case_id,
        names::standing(&standing)
    )
}
