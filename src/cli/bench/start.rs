//! `casetrail bench start`: how long a server takes to start with a history, from the start of its
//! process to its first answer, and the memory that it takes then.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use tempfile::TempDir;

use super::figures::{Figures, Report};
use super::fill::{HistoryArguments, fill, status};
use super::load::{Load, Mode};
use super::story::Plot;
use super::target::{Target, fresh_folder};
use super::template::{PersonalShape, Shape};
use super::{RoundArguments, TimeArguments, usage};
use crate::cli::failure::Failure;
use crate::wire::v1::{GetCaseRequest, ListCasesRequest};

/// With what history a server starts.
#[derive(Debug, Args)]
#[command(after_help = "\
First a history is submitted and the server ended in good order, which writes a snapshot. Then, in
each round, it is started with the page cache of its files dropped, until it has answered how it
stands and how a case stands; loaded with submissions for --seconds; killed (SIGKILL); and started
again. It starts from the snapshot both times and folds what was recorded since.

Examples:
  casetrail bench start
  casetrail bench start --events 10000000 --cases 1000000 --keep /var/tmp/bench --rounds 5
  casetrail bench start --events 0 --keep /var/tmp/bench --json")]
pub(super) struct StartArguments {
    /// Leave the page cache as it is before the first start
    #[arg(long)]
    warm: bool,
    /// Keep the history in this folder, and go on with what is in it: with --events 0 nothing is
    /// added
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Folder in which the server's own folder is made. It is removed at the end
    #[arg(long, value_name = "DIR", conflicts_with = "keep")]
    folder: Option<PathBuf>,
    #[command(flatten)]
    history: HistoryArguments,
    #[command(flatten)]
    time: TimeArguments,
    #[command(flatten)]
    rounds: RoundArguments,
}

/// The folder of the history.
enum Folder {
    Fresh(TempDir),
    Kept(PathBuf),
}

impl Folder {
    fn path(&self) -> &Path {
        match self {
            Self::Fresh(folder) => folder.path(),
            Self::Kept(folder) => folder,
        }
    }
}

pub(super) async fn run(arguments: &StartArguments) -> Result<(), Failure> {
    let folder = match &arguments.keep {
        Some(folder) => {
            std::fs::create_dir_all(folder)
                .map_err(|error| Failure::local("making the folder to keep failed", &error))?;
            Folder::Kept(folder.clone())
        }
        None => Folder::Fresh(fresh_folder(arguments.folder.as_deref())?),
    };
    let mut target = Target::start_in(folder.path()).await?;
    let measured = measure(arguments, &mut target).await;
    measured.map_err(|failure| target.explain(failure))
}

async fn measure(arguments: &StartArguments, target: &mut Target) -> Result<(), Failure> {
    let filled = fill(target, arguments.history).await?;
    let mut report = Report::new(arguments.rounds.json);
    for _ in 0..arguments.rounds.rounds {
        let mut figures = round(arguments, target).await?;
        figures.append(filled.clone());
        report.round(figures)?;
    }
    report.finish()?;
    target.own_server()?.stop().await
}

async fn round(arguments: &StartArguments, target: &mut Target) -> Result<Figures, Failure> {
    let head = status(target).await?.head;
    let data = target.data_folder();
    target.own_server()?.stop().await?;
    if let Some(data) = data.filter(|_| !arguments.warm) {
        usage::drop_page_cache(&data)
            .map_err(|error| Failure::local("dropping the page cache failed", &error))?;
    }
    let started = start(target, head).await?;
    let mut figures = Figures::of("start");
    figures.count("events", head);
    figures.count("cases", started.cases);
    figures.seconds("start_seconds", Some(started.elapsed));
    figures.known("server_memory_bytes", started.memory);
    figures.known("server_memory_peak_bytes", started.memory_peak);

    let head = load_and_kill(target, arguments.time.duration()).await?;
    let restarted = start(target, head).await?;
    figures.count("events_at_kill", head);
    figures.seconds("start_after_kill_seconds", Some(restarted.elapsed));
    figures.known("memory_after_kill_bytes", restarted.memory);
    figures.known("memory_peak_after_kill_bytes", restarted.memory_peak);
    Ok(figures)
}

/// A server that was started.
struct Started {
    elapsed: Duration,
    cases: u64,
    memory: Option<u64>,
    memory_peak: Option<u64>,
}

/// Starts the server that was stopped or killed, until it has answered.
///
/// # Errors
/// It does not start, or with fewer than `head` records.
async fn start(target: &mut Target, head: u64) -> Result<Started, Failure> {
    let began_at = Instant::now();
    target.own_server()?.restart().await?;
    let status = status(target).await?;
    let connection = target.connect().await?;
    let failure = |status: tonic::Status| connection.failure(&status);
    let page = ListCasesRequest {
        page_size: 1,
        ..ListCasesRequest::default()
    };
    let page = connection.cases().list_cases(page).await;
    if let Some(case) = page.map_err(failure)?.into_inner().cases.pop() {
        let case_id = case.case_id;
        let case = connection
            .cases()
            .get_case(GetCaseRequest {
                case_id,
                as_of: None,
            })
            .await;
        case.map_err(failure)?;
    }
    let elapsed = began_at.elapsed();
    if status.head < head {
        return Err(Failure::Failed(format!(
            "{head} events were recorded, and {} are there after the start",
            status.head
        )));
    }
    Ok(Started {
        elapsed,
        cases: status.cases,
        memory: target.process_id().and_then(usage::memory),
        memory_peak: target.process_id().and_then(usage::memory_peak),
    })
}

/// Loads the server for a time, kills it under the load, and returns a head that it told before.
async fn load_and_kill(target: &mut Target, duration: Duration) -> Result<u64, Failure> {
    const CASE_EVENTS: u64 = 10;
    /// How much longer the load would go on, were it not for the kill.
    const LONGER: Duration = Duration::from_secs(60);
    let shape = Shape {
        events: 1,
        case_events: CASE_EVENTS,
        plot: Plot::Usual,
        stream_items: true,
        padding: Shape::padding(1),
        personal: PersonalShape::default(),
    };
    let mut load = Load::connect(&target.url, Mode::Stream, 2, 64, shape).await?;
    let loading = tokio::spawn(async move { load.run(duration + LONGER).await.map(|_| ()) });
    tokio::time::sleep(duration).await;
    let head = status(target).await?.head;
    target.own_server()?.kill();
    // It ends with the connection.
    match loading.await {
        Ok(Err(Failure::NoConnection { .. })) => Ok(head),
        Ok(Err(failure)) => Err(failure),
        Ok(Ok(())) | Err(_) => Err(Failure::Failed(
            "The load went on without its server.".to_owned(),
        )),
    }
}
