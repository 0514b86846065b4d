//! `casetrail bench rebuild`: how many records a second are folded into views.

use std::time::Instant;

use clap::Args;

use super::RoundArguments;
use super::figures::{Figures, Report};
use super::fill::{HistoryArguments, fill, status};
use super::target::{Target, TargetArguments};
use crate::cli::failure::Failure;
use crate::cli::rebuild::compare;
use crate::wire::v1::RebuildViewsRequest;

/// What is rebuilt.
#[derive(Debug, Args)]
#[command(after_help = "\
The server reads the log, decodes each record and folds it into fresh views, and then computes the
digests of both: the time is that of all of it.

Examples:
  casetrail bench rebuild
  casetrail bench rebuild --events 10000000 --cases 1000000 --rounds 5 --json")]
pub(super) struct RebuildArguments {
    #[command(flatten)]
    history: HistoryArguments,
    #[command(flatten)]
    target: TargetArguments,
    #[command(flatten)]
    rounds: RoundArguments,
}

pub(super) async fn run(arguments: &RebuildArguments) -> Result<(), Failure> {
    let target = Target::start(&arguments.target).await?;
    let measured = measure(arguments, &target).await;
    measured.map_err(|failure| target.explain(failure))
}

async fn measure(arguments: &RebuildArguments, target: &Target) -> Result<(), Failure> {
    fill(target, arguments.history).await?;
    let mut report = Report::new(arguments.rounds.json);
    for _ in 0..arguments.rounds.rounds {
        report.round(round(target).await?)?;
    }
    report.finish()?;
    Ok(())
}

async fn round(target: &Target) -> Result<Figures, Failure> {
    let connection = target.connect().await?;
    let before = target.usage();
    let began_at = Instant::now();
    let rebuilt = connection
        .admin()
        .rebuild_views(RebuildViewsRequest {})
        .await;
    let elapsed = began_at.elapsed();
    let rebuilt = rebuilt
        .map_err(|status| connection.failure(&status))?
        .into_inner();
    compare(&rebuilt)?;
    let used = target.usage_since(&before);
    let mut figures = Figures::of("rebuild");
    figures.rate("events_per_s", rebuilt.position, elapsed);
    figures.count("events", rebuilt.position);
    figures.count("cases", status(target).await?.cases);
    figures.seconds("seconds", Some(elapsed));
    figures.append(used);
    Ok(figures)
}
