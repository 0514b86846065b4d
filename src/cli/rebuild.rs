//! `casetrail rebuild`: the server folds its views anew and compares them with the running ones.

use clap::Args;

use super::connection::ServerArguments;
use super::failure::Failure;
use super::names;
use super::output::Output;
use crate::wire::v1::{RebuildViewsRequest, RebuildViewsResponse};

/// How to answer.
#[derive(Debug, Args)]
#[command(after_help = "\
The exit code is 1 where the rebuilt views differ from those that ran.

Examples:
  casetrail rebuild
  casetrail rebuild --json")]
pub(super) struct RebuildArguments {
    /// As one line of canonical protobuf JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

pub(super) async fn run(arguments: &RebuildArguments) -> Result<(), Failure> {
    let connection = arguments.server.connect().await?;
    let rebuilt = connection
        .admin()
        .rebuild_views(RebuildViewsRequest {})
        .await;
    let rebuilt = rebuilt
        .map_err(|status| connection.failure(&status))?
        .into_inner();
    let mut output = Output::stdout();
    if arguments.json {
        output.json(&rebuilt)?;
    } else {
        output.line(&format!("cases    {}", rebuilt.cases))?;
        output.line(&format!("position {}", rebuilt.position))?;
        output.line(&format!("running  {}", names::hex(&rebuilt.running_digest)))?;
        output.line(&format!("rebuilt  {}", names::hex(&rebuilt.rebuilt_digest)))?;
    }
    output.flush()?;
    compare(&rebuilt)
}

/// # Errors
/// `Failed` where what was rebuilt differs from what ran.
pub(super) fn compare(rebuilt: &RebuildViewsResponse) -> Result<(), Failure> {
    if rebuilt.equal && rebuilt.running_digest == rebuilt.rebuilt_digest {
        return Ok(());
    }
    Err(Failure::Failed(format!(
        "The views that ran differed from those rebuilt from the log at position {}. The rebuilt \
         ones are in use now; the log is untouched. Please report this.",
        rebuilt.position
    )))
}
