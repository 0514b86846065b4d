//! `casetrail bench watch`: how many changes a second reach many watchers at the head of the log.

mod watcher;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Args;

use self::watcher::watch;
use super::figures::{Figures, Report};
use super::fill::status;
use super::load::{Budget, Load, Mode, Tally};
use super::raw;
use super::story::Plot;
use super::target::{Target, TargetArguments};
use super::template::{PersonalShape, Shape};
use super::{RoundArguments, TimeArguments};
use crate::cli::failure::Failure;

/// How long nothing may reach any watcher before the benchmark gives up.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// How often it is looked how far the watchers are.
const LOOK: Duration = Duration::from_millis(1);
/// Number of submissions under way at most.
const IN_FLIGHT: u16 = 256;

/// How many watch, and what they are told.
#[derive(Debug, Args)]
#[command(after_help = "\
Every event that is submitted changes the status of its case, so that every watcher is told of
each. It is checked that each watcher receives every change, in order; where one does not, the exit
code is 1. With --server nobody else may submit meanwhile. On a server of its own the same load runs
first without watchers, so that the memory that they take can be told.

Examples:
  casetrail bench watch
  casetrail bench watch --watchers 1000 --rate 2000 --rounds 5 --json
  casetrail bench watch --watchers 10 --connections 2 --seconds 10")]
pub(super) struct WatchArguments {
    /// Number of watchers
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    watchers: u32,
    /// Number of connections that the watchers share
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    connections: u32,
    /// Number of changes that are submitted a second
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rate: u64,
    #[command(flatten)]
    target: TargetArguments,
    #[command(flatten)]
    time: TimeArguments,
    #[command(flatten)]
    rounds: RoundArguments,
}

pub(super) async fn run(arguments: &WatchArguments) -> Result<(), Failure> {
    let mut report = Report::new(arguments.rounds.json);
    for _ in 0..arguments.rounds.rounds {
        let mut alone = None;
        if arguments.target.server.is_none() {
            alone = Some(round(arguments, 0).await?);
        }
        let mut figures = round(arguments, arguments.watchers).await?;
        let peak = |figures: &Figures| figures.get("server_memory_peak_bytes");
        if let (Some(alone), Some(peak_with)) = (alone, peak(&figures)) {
            let peak_without = peak(&alone).unwrap_or(f64::NAN);
            figures.number("server_memory_peak_alone_bytes", peak_without);
            figures.number("watchers_memory_bytes", peak_with - peak_without);
        }
        report.round(figures)?;
    }
    report.finish()?;
    Ok(())
}

async fn round(arguments: &WatchArguments, watchers: u32) -> Result<Figures, Failure> {
    let target = Target::start(&arguments.target).await?;
    let measured = measure(arguments, &target, watchers).await;
    measured.map_err(|failure| target.explain(failure))
}

async fn measure(
    arguments: &WatchArguments,
    target: &Target,
    watchers: u32,
) -> Result<Figures, Failure> {
    const CASE_EVENTS: u64 = 10;
    let shape = Shape {
        events: 1,
        case_events: CASE_EVENTS,
        plot: Plot::Changes,
        stream_items: false,
        padding: Shape::padding(1),
        personal: PersonalShape::default(),
    };
    let mut load = Load::connect(&target.url, Mode::Unary, 1, IN_FLIGHT, shape).await?;
    let first = status(target).await?.head;
    let watching = Watching::start(&target.url, watchers, arguments.connections, first).await?;
    let before = target.usage();
    let began_at = Instant::now();
    let budget = Budget::paced(arguments.rate, arguments.time.duration());
    let tally = load.spend(&budget).await?;
    tally.check()?;
    let end = first.saturating_add(tally.recorded);
    watching.reach(end).await?;
    let elapsed = began_at.elapsed();
    let used = target.usage_since(&before);
    let mut figures = told(watchers, &tally, elapsed);
    figures.append(used);
    Ok(figures)
}

fn told(watchers: u32, tally: &Tally, elapsed: Duration) -> Figures {
    let mut figures = Figures::of("watch");
    figures.count("watchers", watchers.into());
    let delivered = tally.recorded.saturating_mul(watchers.into());
    figures.rate("delivered_per_s", delivered, elapsed);
    figures.rate("changes_per_s", tally.recorded, elapsed);
    figures.count("delivered", delivered);
    figures.count("changes", tally.recorded);
    figures.append(super::latencies(&tally.latencies));
    figures.seconds("seconds", Some(elapsed));
    figures
}

/// Watchers at work.
struct Watching {
    /// For each the position up to which it was told.
    positions: Vec<Arc<AtomicU64>>,
    tasks: tokio::task::JoinSet<Result<(), Failure>>,
}

impl Watching {
    /// Opens the watches, and waits until all are at the head, which is at `first`.
    ///
    /// # Errors
    /// A watch that can't be opened.
    async fn start(
        server: &str,
        watchers: u32,
        connections: u32,
        first: u64,
    ) -> Result<Self, Failure> {
        let mut watching = Self {
            positions: Vec::new(),
            tasks: tokio::task::JoinSet::new(),
        };
        let (at_head, mut ready) = tokio::sync::mpsc::unbounded_channel();
        let mut left = watchers;
        for connection in 0..connections.min(watchers) {
            let channel = raw::connect(server).await?;
            let share = left.div_ceil(connections.min(watchers) - connection);
            left -= share;
            for _ in 0..share {
                let position = Arc::new(AtomicU64::new(first));
                watching.positions.push(Arc::clone(&position));
                let (grpc, at_head) = (raw::client(&channel), at_head.clone());
                let server = server.to_owned();
                watching.tasks.spawn(async move {
                    let ended = watch(grpc, first, &position, at_head).await;
                    ended.map_err(|error| error.into_failure(&server))
                });
            }
        }
        drop(at_head);
        for _ in 0..watchers {
            if ready.recv().await.is_none() {
                return Err(watching.failed().await);
            }
        }
        Ok(watching)
    }

    /// Waits until each watcher was told of all before `end`.
    ///
    /// # Errors
    /// A watch that broke, a change that is missing, or nothing more that comes.
    async fn reach(mut self, end: u64) -> Result<(), Failure> {
        let mut slowest_before = 0;
        let mut moved_at = Instant::now();
        loop {
            let positions = self.positions.iter().map(|at| at.load(Ordering::Relaxed));
            let Some(slowest) = positions.min().filter(|slowest| *slowest < end) else {
                return Ok(());
            };
            if slowest > slowest_before {
                (slowest_before, moved_at) = (slowest, Instant::now());
            }
            if moved_at.elapsed() > SILENCE_MAX {
                return Err(Failure::Failed(format!(
                    "A watcher is at position {slowest} of {end}, and hears nothing more."
                )));
            }
            tokio::select! {
                biased;
                Some(ended) = self.tasks.join_next() => return Err(of_watch(ended)),
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Why a watch ended.
    async fn failed(mut self) -> Failure {
        let ended = self.tasks.join_next().await;
        ended.map_or_else(|| of_watch(Ok(Ok(()))), of_watch)
    }
}

fn of_watch(ended: Result<Result<(), Failure>, tokio::task::JoinError>) -> Failure {
    match ended {
        Ok(Err(failure)) => failure,
        Ok(Ok(())) => Failure::Failed("A watch ended before its time.".to_owned()),
        Err(error) => Failure::local("a watcher ended early", &error),
    }
}
