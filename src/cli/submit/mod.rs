//! `casetrail submit`: submissions from JSON Lines, by way of SubmitStream.

mod flight;
mod lines;

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::mpsc;

use self::flight::Flight;
pub(super) use self::flight::{Report, Tally};
pub(super) use self::lines::Line;
use super::connection::{Connection, RecorderArguments, ServerArguments};
use super::failure::{Failure, describe};
use super::output::{Output, note};
use crate::wire::v1::SubmitEventsRequest;

/// What to submit.
#[derive(Debug, Args)]
#[command(after_help = "\
Each line is one SubmitEventsRequest in canonical protobuf JSON; `casetrail sample` prints some.
Each is recorded whole or not at all, and the answer means that it is on disk. A line that is
malformed or refused is reported with its number, and the others go on.

It is safe to run the same file again at any time, for instance after an interruption: a submission
that was recorded is known by its requestId and not recorded twice.

Examples:
  casetrail submit events.jsonl
  casetrail sample --cases 300 | casetrail submit -
  casetrail submit --actor field-7 --organisation mission-north events.jsonl")]
pub(super) struct SubmitArguments {
    /// The file, or - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// End at the first line that is malformed or refused
    #[arg(long)]
    stop_on_refusal: bool,
    #[command(flatten)]
    server: ServerArguments,
    #[command(flatten)]
    recorder: RecorderArguments,
}

pub(super) async fn run(arguments: &SubmitArguments) -> Result<(), Failure> {
    // The file first: a wrong name is told even where there is no server.
    let (input, bytes) = open(&arguments.file)?;
    let connection = arguments.server.connect_as(&arguments.recorder).await?;
    let bar = progress_bar(bytes);
    let mut latest = Tally::default();
    let mut report = |report: Report<'_>, tally: &Tally| {
        latest = *tally;
        bar.set_position(tally.bytes_done);
        if let Some(text) = text(&report) {
            bar.suspend(|| note(&text));
        }
    };
    let lines = lines::read(input);
    let mut flight = Flight::new(&connection, lines, arguments.stop_on_refusal, &mut report);
    let submitted = tokio::select! {
        submitted = flight.submit_all() => submitted,
        _ = tokio::signal::ctrl_c() => Err(Failure::Failed("interrupted".to_owned())),
    };
    bar.finish_and_clear();
    let tally = *submitted.as_ref().unwrap_or(&latest);
    let mut output = Output::stdout();
    output.line(&summary(&tally))?;
    output.flush()?;
    match submitted {
        Err(failure) => {
            note("Not everything was answered. It is safe to submit the same file again.");
            Err(failure)
        }
        Ok(_) if tally.refused > 0 || tally.malformed > 0 => Err(Failure::Failed(format!(
            "{} of {} lines were not recorded",
            tally.refused.saturating_add(tally.malformed),
            tally.lines
        ))),
        Ok(_) => Ok(()),
    }
}

/// Submits a file over a connection, as the command does.
///
/// # Errors
/// As [`Flight::submit_all`], and where the file can't be opened.
pub(super) async fn submit_file(
    connection: &Connection,
    file: &Path,
    report: &mut (dyn FnMut(Report<'_>, &Tally) + Send),
) -> Result<Tally, Failure> {
    let (input, _) = open(file)?;
    Flight::new(connection, lines::read(input), false, report)
        .submit_all()
        .await
}

/// Submits what is at hand, as a file with one of them a line would be.
///
/// # Errors
/// As [`Flight::submit_all`].
pub(super) async fn submit_each(
    connection: &Connection,
    submissions: Vec<SubmitEventsRequest>,
    report: &mut (dyn FnMut(Report<'_>, &Tally) + Send),
) -> Result<Tally, Failure> {
    let (sender, receiver) = mpsc::channel(1);
    let give = async move {
        for (number, submission) in (1..).zip(submissions) {
            let line = Line {
                number,
                end: 0,
                submission: Ok(submission),
            };
            if sender.send(Ok(line)).await.is_err() {
                return;
            }
        }
    };
    let mut flight = Flight::new(connection, receiver, false, report);
    // Where the flight fails, nobody takes the rest.
    tokio::select! {
        submitted = flight.submit_all() => submitted,
        never = async { give.await; std::future::pending().await } => never,
    }
}

/// Reads the lines of a file, or of standard input where it is named -.
///
/// # Errors
/// `Usage` where the file can't be opened.
pub(super) fn read_lines(file: &Path) -> Result<mpsc::Receiver<io::Result<Line>>, Failure> {
    Ok(lines::read(open(file)?.0))
}

/// What there is to tell of a line; nothing where all is well.
fn text(report: &Report<'_>) -> Option<String> {
    match report {
        Report::Recorded(..) => None,
        Report::Refused(line, refusal) => Some(format!("line {line}: {}", describe(refusal))),
        Report::Malformed(line, problem) => {
            Some(format!("line {line}: malformed, not sent: {problem}"))
        }
        Report::Lost(cause) => Some(format!(
            "-- connection lost ({cause}); what was not answered is sent again"
        )),
    }
}

/// What became of the lines, in one line.
fn summary(tally: &Tally) -> String {
    let mut text = format!(
        "{} lines: {} recorded ({} events), {} already recorded, {} refused",
        tally.lines, tally.recorded, tally.events, tally.already_recorded, tally.refused
    );
    if tally.malformed > 0 {
        text.push_str(&format!(", {} malformed", tally.malformed));
    }
    text
}

/// The input, and its size in bytes where that is known.
fn open(path: &Path) -> Result<(Box<dyn Read + Send>, Option<u64>), Failure> {
    if path == Path::new("-") {
        return Ok((Box::new(io::stdin()), None));
    }
    let failed = |error: io::Error| Failure::Usage(format!("{}: {error}", path.display()));
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(Failure::Usage(format!(
            "{}: is a folder, not a file",
            path.display()
        )));
    }
    let bytes = metadata.is_file().then_some(metadata.len());
    Ok((Box::new(file), bytes))
}

/// A progress bar on a terminal; nothing elsewhere.
fn progress_bar(bytes: Option<u64>) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    match bytes {
        Some(bytes) => {
            let template = "{wide_bar} {bytes} of {total_bytes}, {eta} left";
            let style = ProgressStyle::with_template(template);
            ProgressBar::new(bytes)
                .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        }
        None => {
            let style = ProgressStyle::with_template("{bytes} submitted");
            ProgressBar::no_length()
                .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
        }
    }
}
