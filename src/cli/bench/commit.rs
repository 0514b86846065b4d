//! `casetrail bench commit`: how many submissions are recorded, and how long each takes.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::figures::{Figures, Report, ratio};
use super::load::{Load, Mode, Tally};
use super::space::space;
use super::story::Plot;
use super::target::{Target, TargetArguments, fresh_folder};
use super::template::{PersonalShape, RECORD_BYTES, Shape};
use super::{RoundArguments, TimeArguments, disk, latencies};
use crate::cli::connection::authorization;
use crate::cli::failure::Failure;

/// The load.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Each submission is of a case of its own that goes through a lawful story of confirmed events; a
record takes about 300 bytes in the log. Every answer is checked to say that its submission is
recorded now; where one says otherwise, the exit code is 1.

Examples:
  casetrail bench commit --clients 1 --in-flight 1 --compare disk --rounds 5
  casetrail bench commit --clients 4 --in-flight 64 --compare nothing --rounds 5
  casetrail bench commit --mode stream --clients 4 --in-flight 256 --seconds 10
  casetrail bench commit --personal 2 --rounds 3
  casetrail bench commit --personal 2 --subjects 1000
  casetrail bench commit --mode stream --events 64 --folder /var/lib --json
  casetrail bench commit --server http://127.0.0.1:7611
  casetrail bench commit --server http://127.0.0.1:7611 --token-file worker-1.token")]
pub(super) struct CommitArguments {
    /// Number of connections
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1_024))]
    clients: u16,
    /// Number of submissions under way on each connection
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4_096))]
    in_flight: u16,
    /// Number of events of a submission
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100))]
    events: u64,
    /// Number of events of a case
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    case_events: u64,
    /// Number of personal values of each event, texts of 200 bytes, which the server seals
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=5))]
    personal: u8,
    /// Number of subjects whom personal values are about, over all cases; without it, one for each case
    #[arg(long, value_name = "N", requires = "personal", value_parser = clap::value_parser!(u64).range(1..))]
    subjects: Option<u64>,
    /// How submissions are sent
    #[arg(long, value_name = "MODE", default_value = "unary")]
    mode: Mode,
    /// File that holds a token or a JWT, for a server with accounts; it should take more calls a second
    /// from one account than it does by default (serve --calls-per-second)
    #[arg(long, value_name = "FILE", requires = "server")]
    token_file: Option<PathBuf>,
    /// Send for this long before it counts
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(0..=3_600))]
    warm_up: u64,
    /// Measure this as well before each round, and tell the ratio
    #[arg(long, value_name = "LIMIT")]
    compare: Vec<Limit>,
    #[command(flatten)]
    target: TargetArguments,
    #[command(flatten)]
    time: TimeArguments,
    #[command(flatten)]
    rounds: RoundArguments,
}

/// What a server can be compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Limit {
    /// A bare file on the same disk: 300 bytes appended and synced, one at a time
    Disk,
    /// The same load on a service that decodes it, answers and stores nothing
    Nothing,
}

pub(super) async fn run(arguments: &CommitArguments) -> Result<(), Failure> {
    let lanes = u32::from(arguments.clients) * u32::from(arguments.in_flight);
    if lanes > u32::from(u16::MAX) {
        return Err(Failure::Usage(format!(
            "--clients times --in-flight is {lanes}; at most {} are possible",
            u16::MAX
        )));
    }
    let case_events_min = Shape::case_events_min(arguments.events);
    if arguments.case_events < case_events_min {
        return Err(Failure::Usage(format!(
            "--case-events: with {} events a submission, at least {case_events_min} are needed, \
             since a submission changes 16 cases at most",
            arguments.events
        )));
    }
    let mut report = Report::new(arguments.rounds.json);
    let mut refused = Ok(());
    for _ in 0..arguments.rounds.rounds {
        let (figures, checked) = round(arguments).await?;
        report.round(figures)?;
        refused = refused.and(checked);
    }
    report.finish()?;
    refused
}

/// One round, and whether all was recorded in it.
async fn round(arguments: &CommitArguments) -> Result<(Figures, Result<(), Failure>), Failure> {
    let mut limits = Figures::default();
    for limit in &arguments.compare {
        match limit {
            Limit::Disk => {
                let folder = fresh_folder(arguments.target.folder.as_deref())?;
                let duration = arguments.time.duration();
                let disk = disk::measure(folder.path(), RECORD_BYTES, 1, duration).await?;
                let rate = disk.get("commits_per_s").unwrap_or(f64::NAN);
                limits.number("disk_commits_per_s", rate);
            }
            Limit::Nothing => {
                let target = Target::start_storing_nothing().await?;
                let loaded = load(arguments, &target).await;
                let (nothing, checked) = loaded.map_err(|failure| target.explain(failure))?;
                checked?;
                let rate = nothing.get("submissions_per_s").unwrap_or(f64::NAN);
                limits.number("nothing_submissions_per_s", rate);
            }
        }
    }
    let target = Target::start(&arguments.target).await?;
    let loaded = load(arguments, &target).await;
    let (mut figures, checked) = loaded.map_err(|failure| target.explain(failure))?;
    let rate = figures.get("submissions_per_s").unwrap_or(f64::NAN);
    for (name, of) in [
        ("disk_commits_per_s", "of_disk"),
        ("nothing_submissions_per_s", "of_nothing"),
    ] {
        if let Some(limit) = limits.get(name) {
            figures.number(of, rate / limit);
        }
    }
    figures.append(limits);
    let space = space(&target).await;
    figures.append(space.map_err(|failure| target.explain(failure))?);
    Ok((figures, checked))
}

/// Loads a server, first to warm up, then to count.
async fn load(
    arguments: &CommitArguments,
    target: &Target,
) -> Result<(Figures, Result<(), Failure>), Failure> {
    let shape = Shape {
        events: arguments.events,
        case_events: arguments.case_events,
        plot: Plot::Usual,
        stream_items: arguments.mode == Mode::Stream,
        padding: Shape::padding(arguments.events),
        personal: PersonalShape {
            values: usize::from(arguments.personal),
            subjects: arguments.subjects,
        },
    };
    let (clients, in_flight) = (arguments.clients, arguments.in_flight);
    let mut load = Load::connect(&target.url, arguments.mode, clients, in_flight, shape).await?;
    if let Some(file) = &arguments.token_file {
        load.authorize(&authorization(file)?);
    }
    let warmed_up = load.run(Duration::from_secs(arguments.warm_up)).await?;
    let before = target.usage();
    let tally = load.run(arguments.time.duration()).await?;
    let used = target.usage_since(&before);
    let checked = warmed_up.check().and_then(|()| tally.check());
    let mut figures = told(arguments, &tally);
    figures.append(used);
    let sent = u64::try_from(load.bytes_average()).unwrap_or_default();
    figures.number("sent_bytes_per_event", ratio(sent, arguments.events));
    Ok((figures, checked))
}

fn told(arguments: &CommitArguments, tally: &Tally) -> Figures {
    let mut figures = Figures::of("commit");
    figures.text(
        "mode",
        match arguments.mode {
            Mode::Unary => "unary",
            Mode::Stream => "stream",
        },
    );
    figures.count("clients", arguments.clients.into());
    figures.count("in_flight_per_client", arguments.in_flight.into());
    figures.count("events_per_submission", arguments.events);
    figures.count("personal_values_per_event", arguments.personal.into());
    let events = tally.recorded.saturating_mul(arguments.events);
    figures.rate("events_per_s", events, tally.elapsed);
    figures.rate("submissions_per_s", tally.recorded, tally.elapsed);
    figures.append(latencies(&tally.latencies));
    figures.count("submissions", tally.recorded);
    figures.count("refused", tally.refused);
    figures.count("events", events);
    figures.seconds("seconds", Some(tally.elapsed));
    figures
}
