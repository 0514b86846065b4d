//! `casetrail bench replay`: how many records a second one reader receives.

use clap::Args;

use super::RoundArguments;
use super::figures::{Figures, Report};
use super::fill::{HistoryArguments, fill};
use super::history::{Decode, replay};
use super::target::{Target, TargetArguments};
use super::usage;
use crate::cli::failure::Failure;

/// What is read, and how.
#[derive(Debug, Args)]
#[command(after_help = "\
Each answer carries a block of up to 16 records as it is stored. With --decode blocks each record in
it is told apart and its place checked, which is what passing records on or filtering them by their
heads needs; with --decode records each is decoded into a message of its own, with a string for each
of its texts; with --decode none only bytes are counted.

Examples:
  casetrail bench replay
  casetrail bench replay --events 3000000 --decode records --rounds 5
  casetrail bench replay --cold --folder /var/lib --json
  casetrail bench replay --server http://127.0.0.1:7611 --events 0")]
pub(super) struct ReplayArguments {
    /// How far records are decoded
    #[arg(long, value_name = "HOW", default_value = "blocks")]
    decode: Decode,
    /// Restart the server and drop the system's page cache of its files before each round
    #[arg(long, conflicts_with = "server")]
    cold: bool,
    #[command(flatten)]
    history: HistoryArguments,
    #[command(flatten)]
    target: TargetArguments,
    #[command(flatten)]
    rounds: RoundArguments,
}

pub(super) async fn run(arguments: &ReplayArguments) -> Result<(), Failure> {
    let mut target = Target::start(&arguments.target).await?;
    let measured = measure(arguments, &mut target).await;
    measured.map_err(|failure| target.explain(failure))
}

async fn measure(arguments: &ReplayArguments, target: &mut Target) -> Result<(), Failure> {
    fill(target, arguments.history).await?;
    if !arguments.cold {
        // Once for whatever keeps in memory what was read.
        replay(&target.url, 0, Decode::None).await?;
    }
    let mut report = Report::new(arguments.rounds.json);
    for _ in 0..arguments.rounds.rounds {
        if arguments.cold {
            cool(target).await?;
        }
        report.round(round(arguments, target).await?)?;
    }
    report.finish()?;
    Ok(())
}

async fn round(arguments: &ReplayArguments, target: &Target) -> Result<Figures, Failure> {
    let before = target.usage();
    let received = replay(&target.url, 0, arguments.decode).await?;
    let used = target.usage_since(&before);
    let mut figures = Figures::of("replay");
    let decode = match arguments.decode {
        Decode::Records => "records",
        Decode::Blocks => "blocks",
        Decode::None => "none",
    };
    figures.text("decode", decode);
    let cache = if arguments.cold { "cold" } else { "warm" };
    figures.text("page_cache", cache);
    figures.rate("events_per_s", received.records, received.elapsed);
    figures.rate("bytes_per_s", received.message_bytes, received.elapsed);
    figures.count("events", received.records);
    figures.seconds("seconds", Some(received.elapsed));
    figures.append(used);
    Ok(figures)
}

/// Restarts the server, and lets the system forget what it keeps of its files.
async fn cool(target: &mut Target) -> Result<(), Failure> {
    let data = target.data_folder();
    let server = target.own_server()?;
    server.stop().await?;
    server.restart().await?;
    if let Some(data) = data {
        usage::drop_page_cache(&data)
            .map_err(|error| Failure::local("dropping the page cache failed", &error))?;
    }
    Ok(())
}
