//! `casetrail lifecycle`: the table of a kind and its diagram, from the rows that decide.

use clap::Args;

use super::failure::Failure;
use super::names;
use super::output::Output;
use crate::domain::lifecycle::document;
use crate::wire::v1::CaseKind;

/// Which lifecycle.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  casetrail lifecycle detention
  casetrail lifecycle remains --mermaid > remains.mmd")]
pub(super) struct LifecycleArguments {
    /// Kind of case
    #[arg(value_name = "KIND", value_parser = names::kind_parser(), ignore_case = true)]
    kind: i32,
    /// Only the diagram, in Mermaid
    #[arg(long)]
    mermaid: bool,
}

pub(super) fn run(arguments: &LifecycleArguments) -> Result<(), Failure> {
    let kind = CaseKind::try_from(arguments.kind).unwrap_or_default();
    let mut output = Output::stdout();
    if !arguments.mermaid {
        output.line(&document::text(kind))?;
    }
    output.line(document::mermaid(kind).trim_end())?;
    output.flush()
}
