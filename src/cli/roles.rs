//! `casetrail roles`: who may do what.

use clap::Args;

use super::failure::Failure;
use super::output::Output;
use crate::access::table;

/// Nothing to say.
#[derive(Debug, Args)]
#[command(after_help = "\
Prints, as Markdown, which role may make which call, what it sees, and what it records.

Examples:
  casetrail roles")]
pub(super) struct RolesArguments {}

pub(super) fn run(_arguments: &RolesArguments) -> Result<(), Failure> {
    let mut output = Output::stdout();
    for line in table::document().lines() {
        output.line(line)?;
    }
    output.flush()
}
