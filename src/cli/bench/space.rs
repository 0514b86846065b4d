//! `casetrail bench space`: what a log takes on the disk for what it holds, on generated samples.

use clap::Args;
use futures_util::StreamExt;

use super::RoundArguments;
use super::figures::{Figures, Report, ratio};
use super::history::{Decode, replay};
use super::target::{Target, TargetArguments};
use super::usage;
use crate::cli::failure::{Failure, describe};
use crate::cli::sample::Sample;
use crate::wire::v1::SubmitStreamRequest;
use crate::wire::v1::submit_stream_response::Outcome;

/// What is stored.
#[derive(Debug, Args)]
#[command(after_help = "\
A logical byte is one of the encoded records. What the log takes on the disk is measured after the
server has ended in good order, without the snapshot of the views, which is told beside it.

Examples:
  casetrail bench space
  casetrail bench space --cases 100000 --json")]
pub(super) struct SpaceArguments {
    /// Number of cases of the sample, each with ten events or more
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    cases: u64,
    /// Seed of the sample; each round takes the next one
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Folder in which the server's own folder is made. It is removed at the end
    #[arg(long, value_name = "DIR")]
    folder: Option<std::path::PathBuf>,
    #[command(flatten)]
    rounds: RoundArguments,
}

pub(super) async fn run(arguments: &SpaceArguments) -> Result<(), Failure> {
    let mut report = Report::new(arguments.rounds.json);
    for round in 0..arguments.rounds.rounds {
        let mut target = Target::start(&TargetArguments {
            server: None,
            folder: arguments.folder.clone(),
        })
        .await?;
        let seed = arguments.seed.wrapping_add(round.into());
        let measured = measure(&mut target, arguments.cases, seed).await;
        report.round(measured.map_err(|failure| target.explain(failure))?)?;
    }
    report.finish()?;
    Ok(())
}

async fn measure(target: &mut Target, cases: u64, seed: u64) -> Result<Figures, Failure> {
    submit(target, Sample::new(cases, seed)).await?;
    let received = replay(&target.url, 0, Decode::Blocks).await?;
    target.own_server()?.stop().await?;
    let mut figures = Figures::of("space");
    figures.count("cases", cases);
    figures.count("events", received.records);
    figures.append(sizes(target, received.records, received.record_bytes));
    Ok(figures)
}

async fn submit(target: &Target, sample: Sample) -> Result<(), Failure> {
    let connection = target.connect().await?;
    let items = sample.map(|submission| SubmitStreamRequest {
        submission: Some(submission),
    });
    let answers = connection
        .cases()
        .submit_stream(tokio_stream::iter(items))
        .await;
    let mut answers = answers
        .map_err(|status| connection.failure(&status))?
        .into_inner();
    while let Some(answer) = answers.next().await {
        let answer = answer.map_err(|status| connection.failure(&status))?;
        if let Some(Outcome::Refused(refusal)) = answer.outcome {
            return Err(Failure::Failed(describe(&refusal)));
        }
    }
    Ok(())
}

/// What the log of a running server takes on the disk for what it holds, where the server is ours.
///
/// # Errors
/// Those of a replay.
pub(super) async fn space(target: &Target) -> Result<Figures, Failure> {
    if target.data_folder().is_none() {
        return Ok(Figures::default());
    }
    let received = replay(&target.url, 0, Decode::Blocks).await?;
    Ok(sizes(target, received.records, received.record_bytes))
}

fn sizes(target: &Target, events: u64, logical_bytes: u64) -> Figures {
    let mut figures = Figures::default();
    let Some(data) = target.data_folder() else {
        return figures;
    };
    let database_bytes = usage::disk_bytes(&data.join("log"));
    figures.number("stored_bytes_per_event", ratio(logical_bytes, events));
    figures.count("logical_bytes", logical_bytes);
    figures.count("database_bytes", database_bytes);
    let per_byte = ratio(database_bytes, logical_bytes);
    figures.number("database_bytes_per_logical_byte", per_byte);
    figures.count("snapshot_bytes", usage::disk_bytes(&data.join("views")));
    figures
}
