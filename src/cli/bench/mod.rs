//! `casetrail bench`: what a machine can do, for those who size one.
//!
//! Each benchmark measures a running server, or starts one of its own in a fresh folder and removes
//! both at the end. Loads speak gRPC like anyone else; what they send is encoded beforehand and
//! what they receive decoded no further than it takes to check it, since they share the machine
//! with the server that they measure.
//!
//! Invariants: nothing is counted that was not checked. A benchmark of a server of its own leaves
//! neither process nor folder behind, also when it is interrupted.

mod caller;
mod commit;
mod correct;
mod disk;
mod figures;
mod fill;
mod history;
mod load;
mod nothing;
mod raw;
mod rebuild;
mod replay;
mod space;
mod start;
mod story;
mod target;
mod template;
mod usage;
mod watch;

use std::time::Duration;

use clap::{Args, Subcommand};
use hdrhistogram::Histogram;
use tokio::signal::unix::{SignalKind, signal};

use self::figures::{Figures, ratio};
use super::failure::Failure;
use super::output::Output;

/// Which benchmark.
#[derive(Debug, Args)]
#[command(after_help = "\
Figures are told by names that end in their units; with --json as one object a line, and with
--rounds the medians at the end. Memory and CPU time are those of a server that the benchmark
started itself, on Linux.

Examples:
  casetrail bench commit
  casetrail bench commit --mode stream --clients 4 --in-flight 256 --rounds 5 --json
  casetrail bench disk --folder /var/lib
  casetrail bench replay --events 3000000 --cold --rounds 5
  casetrail bench watch --watchers 1000
  casetrail bench rebuild
  casetrail bench correct --events 1000000 --cases 1000000
  casetrail bench start --events 10000000 --cases 1000000
  casetrail bench space --cases 10000")]
pub(super) struct BenchArguments {
    #[command(subcommand)]
    bench: Bench,
    /// Number of threads of the load
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64), global = true)]
    threads: u8,
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// Submissions a second, and how long each takes
    Commit(commit::CommitArguments),
    /// Appends and syncs of a bare file a second: the limit of the disk
    Disk(disk::DiskArguments),
    /// Records a second that one reader receives
    Replay(replay::ReplayArguments),
    /// Changes a second that many watchers receive
    Watch(watch::WatchArguments),
    /// Records a second that are folded into views
    Rebuild(rebuild::RebuildArguments),
    /// What taking an event back costs, and asking for what was known earlier
    Correct(correct::CorrectArguments),
    /// How long a server takes to start, and its memory then
    Start(start::StartArguments),
    /// What a log takes on the disk for what it holds
    Space(space::SpaceArguments),
    /// Serve and store nothing: the limit of what a server can reach. Used by `commit --compare`
    #[command(hide = true)]
    Nothing(nothing::NothingArguments),
}

/// How often is measured, and how it is told.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Measuring")]
struct RoundArguments {
    /// Number of rounds; more than one end with the medians
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// How long is measured.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Measuring")]
struct TimeArguments {
    /// How long each round is measured
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
}

impl TimeArguments {
    fn duration(self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

pub(super) fn run(arguments: &BenchArguments) -> Result<(), Failure> {
    if let Bench::Nothing(arguments) = &arguments.bench {
        return nothing::run(arguments);
    }
    // One thread costs the machine the least, as long as the server and not the load is the limit.
    let runtime = match arguments.threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    }
    .worker_threads(usize::from(arguments.threads))
    .enable_all()
    .build()
    .map_err(|error| Failure::local("starting the load failed", &error))?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())
            .map_err(|error| Failure::local("listening for signals failed", &error))?;
        // Where this ends early, dropping what it holds kills the server and removes the folder.
        tokio::select! {
            ended = measure(&arguments.bench) => ended,
            _ = tokio::signal::ctrl_c() => Err(Failure::Failed("interrupted".to_owned())),
            _ = terminate.recv() => Err(Failure::Failed("terminated".to_owned())),
        }
    })
}

async fn measure(bench: &Bench) -> Result<(), Failure> {
    match bench {
        Bench::Commit(arguments) => commit::run(arguments).await,
        Bench::Disk(arguments) => disk::run(arguments).await,
        Bench::Replay(arguments) => replay::run(arguments).await,
        Bench::Watch(arguments) => watch::run(arguments).await,
        Bench::Rebuild(arguments) => rebuild::run(arguments).await,
        Bench::Correct(arguments) => correct::run(arguments).await,
        Bench::Start(arguments) => start::run(arguments).await,
        Bench::Space(arguments) => space::run(arguments).await,
        Bench::Nothing(_) => Ok(()),
    }
}

/// How long answers took, in milliseconds.
fn latencies(latencies: &Histogram<u64>) -> Figures {
    let mut figures = Figures::default();
    for (name, quantile) in [
        ("p50_ms", 0.5),
        ("p99_ms", 0.99),
        ("p999_ms", 0.999),
        ("max_ms", 1.0),
    ] {
        figures.number(name, milliseconds_at(latencies, quantile));
    }
    figures
}

/// A quantile of latencies in nanoseconds, in milliseconds.
fn milliseconds_at(latencies: &Histogram<u64>, quantile: f64) -> f64 {
    const NANOSECONDS_PER_MS: u64 = 1_000_000;
    ratio(latencies.value_at_quantile(quantile), NANOSECONDS_PER_MS)
}

/// Sets what follows apart, for people.
fn blank_line(json: bool) -> Result<(), Failure> {
    if json {
        return Ok(());
    }
    let mut output = Output::stdout();
    output.line("")?;
    output.flush()
}
