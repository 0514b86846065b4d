//! `casetrail demo`: everything once, on a server of its own, with two crashes on the way.
//!
//! It is made of the same parts as the commands `sample`, `submit`, `watch`, `replay`, `rebuild` and
//! `summary`, and fails where anything that it shows is not as it says.

mod watcher;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use prost_types::Timestamp;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use self::watcher::Watcher;
use super::connection::{Connection, RecorderArguments, ServerArguments};
use super::failure::Failure;
use super::output::{Output, json_of};
use super::replay::{Replayed, replay};
use super::server_process::{Program, Server};
use super::submit::{Report, Tally, submit_file};
use super::{names, rebuild, sample, summary};
use crate::wire::v1::{
    GetServerStatusRequest, GetServerStatusResponse, GetSummaryRequest, RebuildViewsRequest,
    ReplayEventsRequest,
};

/// How the demonstration runs.
#[derive(Debug, Args)]
#[command(after_help = "\
The exit code is 0 only where everything was as it should be.

Examples:
  casetrail demo
  casetrail demo --cases 3000 --keep")]
pub(super) struct DemoArguments {
    /// Leave the server running at the end
    #[arg(long)]
    keep: bool,
    /// Number of cases
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    cases: u64,
}

/// The sample as a file.
struct SampleFile {
    path: PathBuf,
    submissions: u64,
    events: u64,
}

/// What a replay found.
#[derive(Default)]
struct History {
    records: u64,
    changes: u64,
    submissions: u64,
}

pub(super) async fn run(arguments: &DemoArguments) -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate())
        .map_err(|error| Failure::local("listening for signals failed", &error))?;
    // Where this ends early, dropping what it holds kills the server and removes the folder.
    tokio::select! {
        ended = show(arguments) => ended,
        _ = tokio::signal::ctrl_c() => Err(Failure::Failed("interrupted".to_owned())),
        _ = terminate.recv() => Err(Failure::Failed("terminated".to_owned())),
    }
}

async fn show(arguments: &DemoArguments) -> Result<(), Failure> {
    let mut output = Output::stdout();
    let folder = tempfile::Builder::new()
        .prefix("casetrail-demo-")
        .tempdir()
        .map_err(|error| Failure::local("making a folder for the demonstration failed", &error))?;
    let mut server = Server::start(Program::serve(folder.path()), arguments.keep).await?;
    tell(
        &mut output,
        1,
        &format!(
            "A server is running on {}, its log in a fresh folder\n      {}",
            server.address,
            folder.path().display()
        ),
    )?;
    match tour(arguments, folder.path(), &mut server, &mut output).await {
        Ok(()) => {}
        Err(Failure::OutputClosed) => return Err(Failure::OutputClosed),
        Err(failure) => {
            return Err(Failure::Failed(format!(
                "{failure}\nThe server's log ends with:\n{}",
                server.log_tail()
            )));
        }
    }
    if arguments.keep {
        keep(&mut output, server, folder.keep())
    } else {
        drop(server);
        output.line(
            "\nAll of it was as it should be. The folder is removed; with --keep it stays.",
        )?;
        output.line(&next_steps(
            "Start a server of your own with: casetrail serve --data ./data\n",
            "",
        ))?;
        output.flush()
    }
}

async fn tour(
    arguments: &DemoArguments,
    folder: &Path,
    server: &mut Server,
    output: &mut Output,
) -> Result<(), Failure> {
    let sample = write_sample(folder.join("sample.jsonl"), arguments.cases)?;
    tell(
        output,
        2,
        &format!(
            "{} fictional cases are written to a file: {} submissions, {} events",
            arguments.cases, sample.submissions, sample.events
        ),
    )?;
    let connection = connect(server).await?;

    tell(
        output,
        3,
        "They are submitted while a watcher looks on; half way, the server is killed",
    )?;
    let watcher = Watcher::start(connection.clone());
    let tally = load_with_a_crash(&connection, server, &sample, output).await?;
    check(tally.refused == 0 && tally.malformed == 0, || {
        format!("{tally:?}")
    })?;
    let loaded = status(&connection).await?;
    check(loaded.head == sample.events, || {
        format!(
            "{} events were submitted, {} are recorded",
            sample.events, loaded.head
        )
    })?;
    let seen = watcher.seen_up_to(loaded.head).await?;
    tell(
        output,
        4,
        &format!(
            "All {} events are recorded, each once; the watcher saw {} changes",
            loaded.head, seen.changes
        ),
    )?;
    say(
        output,
        &format!("digest of all cases: {}", names::hex(&loaded.digest)),
    )?;

    server.kill();
    server.restart().await?;
    let restarted = status(&connection).await?;
    check(
        restarted.digest == loaded.digest && restarted.head == loaded.head,
        || format!("before the crash {loaded:?}, after it {restarted:?}"),
    )?;
    tell(
        output,
        5,
        "The server was killed again and restarted: the digest is the same",
    )?;

    let again = submit_file(&connection, &sample.path, &mut |_, _| {}).await?;
    let after = status(&connection).await?;
    check(
        again.already_recorded == sample.submissions && after.head == loaded.head,
        || format!("submitting again: {again:?}, {} records", after.head),
    )?;
    check(after.digest == loaded.digest, || {
        "the digest changed by submitting again".to_owned()
    })?;
    tell(
        output,
        6,
        &format!(
            "The same file was submitted again: {} of {} were known, nothing was stored twice",
            again.already_recorded, sample.submissions
        ),
    )?;

    let history = replay_all(&connection).await?;
    check(
        history.records == loaded.head && history.submissions == sample.submissions,
        || {
            format!(
                "the replay has {} records in {} submissions",
                history.records, history.submissions
            )
        },
    )?;
    check(
        history.changes == seen.changes && seen.duplicates == 0,
        || {
            format!(
                "the log has {} changes, the watcher saw {seen:?}",
                history.changes
            )
        },
    )?;
    tell(
        output,
        7,
        &format!(
            "The whole log was replayed: {} records, no gap, every checksum right; the watcher\n      \
         missed no change across the crash and saw none twice",
            history.records
        ),
    )?;

    let rebuilt = connection
        .admin()
        .rebuild_views(RebuildViewsRequest {})
        .await;
    let rebuilt = rebuilt
        .map_err(|status| connection.failure(&status))?
        .into_inner();
    rebuild::compare(&rebuilt)?;
    check(rebuilt.rebuilt_digest == loaded.digest, || {
        "the rebuilt digest differs".to_owned()
    })?;
    tell(
        output,
        8,
        "All views were rebuilt from the log: the digest is the same",
    )?;

    let counts = connection
        .monitor()
        .get_summary(GetSummaryRequest::default())
        .await;
    let counts = counts
        .map_err(|status| connection.failure(&status))?
        .into_inner();
    check(counts.cases == arguments.cases, || {
        format!("{} cases are counted", counts.cases)
    })?;
    tell(output, 9, "How the cases stand now:\n")?;
    summary::print(output, &counts, None)?;
    output.flush()
}

/// Submits the sample, kills the server half way and restarts it; the submitting goes on by itself.
async fn load_with_a_crash(
    connection: &Connection,
    server: &mut Server,
    sample: &SampleFile,
    output: &mut Output,
) -> Result<Tally, Failure> {
    let process = server.process();
    let killed = Notify::new();
    let mut answered_at_crash = None;
    let mut report = |_: Report<'_>, tally: &Tally| {
        let answered = tally.recorded + tally.already_recorded;
        // At once and not by another task: so it surely happens in the middle.
        if answered_at_crash.is_none() && answered * 2 >= sample.submissions {
            process.kill();
            answered_at_crash = Some(answered);
            killed.notify_one();
        }
    };
    let submitted = submit_file(connection, &sample.path, &mut report);
    let restarted = async {
        killed.notified().await;
        server.restart().await
    };
    let (tally, ()) = tokio::try_join!(submitted, restarted)?;
    say(
        output,
        &format!(
            "killed (SIGKILL) after {} of {} answers, restarted; what was not answered was sent again",
            answered_at_crash.unwrap_or(0),
            sample.submissions
        ),
    )?;
    Ok(tally)
}

async fn replay_all(connection: &Connection) -> Result<History, Failure> {
    let mut history = History::default();
    let mut replayed = Replayed::default();
    let mut newest = Timestamp::default();
    let request = ReplayEventsRequest::default();
    replay(connection, request, &mut replayed, |records| {
        for (position, record) in records {
            let changed = record.case_version == 1 || record.previous_standing.is_some();
            history.changes += u64::from(changed);
            history.submissions += u64::from(record.submission_index == 0);
            let recorded_at = record.recorded_at.unwrap_or_default();
            let earlier = (recorded_at.seconds, recorded_at.nanos) < (newest.seconds, newest.nanos);
            check(!earlier, || {
                format!("record {position} was recorded before the one before it")
            })?;
            newest = recorded_at;
        }
        Ok(())
    })
    .await?;
    history.records = replayed.records;
    Ok(history)
}

/// Writes a sample to a file, in the format that `casetrail submit` reads.
fn write_sample(path: PathBuf, cases: u64) -> Result<SampleFile, Failure> {
    let failed = |error| Failure::local("writing the sample failed", &error);
    let mut file = BufWriter::new(File::create(&path).map_err(failed)?);
    let mut sample = SampleFile {
        path,
        submissions: 0,
        events: 0,
    };
    for submission in sample::Sample::new(cases, 1) {
        let events: usize = submission
            .changes
            .iter()
            .map(|change| change.events.len())
            .sum();
        sample.submissions += 1;
        sample.events += u64::try_from(events).unwrap_or(0);
        writeln!(file, "{}", json_of(&submission)?).map_err(failed)?;
    }
    file.flush().map_err(failed)?;
    Ok(sample)
}

async fn connect(server: &Server) -> Result<Connection, Failure> {
    let recorder = RecorderArguments {
        actor: Some("demo".to_owned()),
        organisation: Some("demo-mission".to_owned()),
    };
    ServerArguments::at(server.url())
        .connect_as(&recorder)
        .await
}

async fn status(connection: &Connection) -> Result<GetServerStatusResponse, Failure> {
    let request = GetServerStatusRequest { with_digest: true };
    let status = connection.admin().get_server_status(request).await;
    Ok(status
        .map_err(|status| connection.failure(&status))?
        .into_inner())
}

fn keep(output: &mut Output, server: Server, folder: PathBuf) -> Result<(), Failure> {
    let url = server.url();
    let process = server.leave().unwrap_or_default();
    output.line("\nAll of it was as it should be. The server goes on running:\n")?;
    output.line(&format!("  address  {url}"))?;
    output.line(&format!("  folder   {}", folder.display()))?;
    output.line(&format!(
        "  stop it  kill {process} && rm -r {}",
        folder.display()
    ))?;
    output.line(&next_steps(
        "",
        &format!("  export CASETRAIL_SERVER={url}\n"),
    ))?;
    output.flush()
}

fn next_steps(before: &str, export: &str) -> String {
    format!(
        "\nWhat to try next\n{before}{export}\
        \x20 casetrail list --contested          cases whose accounts contradict each other\n\
        \x20 casetrail history CASE              what was recorded in one of them\n\
        \x20 casetrail watch --snapshot          how all cases stand, and every change since\n\
        \x20 casetrail replay --json | head      the records as they are stored\n\
        \x20 casetrail lifecycle detention       which event may follow which\n\
        \x20 casetrail sample | casetrail submit -"
    )
}

/// Tells the next thing that happened.
fn tell(output: &mut Output, number: u32, text: &str) -> Result<(), Failure> {
    output.line(&format!("[{number}/9] {text}"))?;
    output.flush()
}

fn say(output: &mut Output, text: &str) -> Result<(), Failure> {
    output.line(&format!("      {text}"))?;
    output.flush()
}

/// # Errors
/// `Failed` where something is not as it should be, with what it is.
fn check(holds: bool, actual: impl FnOnce() -> String) -> Result<(), Failure> {
    if holds {
        return Ok(());
    }
    Err(Failure::Failed(format!(
        "This is not as it should be: {}",
        actual()
    )))
}
