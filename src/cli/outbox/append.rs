//! `casetrail outbox append`: checks submissions as a server would, and keeps them durably.
//!
//! Invariants: nothing that is malformed enters the queue, and nothing twice. A submission is told as
//! appended once it is durable. What is wrong is told by line and field, and never repeated. That
//! nobody reads what is told keeps nothing from being appended.

use std::path::PathBuf;

use clap::Args;
use uuid::Uuid;

use super::entries::{Entries, Entry, State};
use super::format::Record;
use super::queue::{Missing, Queue};
use super::{QueueArguments, open, unless_closed};
use crate::cli::failure::Failure;
use crate::cli::output::{Output, note};
use crate::cli::submit::{Line, read_lines};
use crate::ledger;
use crate::wire::day::Day;
use crate::wire::v1::SubmitEventsRequest;
use crate::wire::validate::{self, Invalid, Submission};

/// How many submissions are made durable together, where so many are there at once.
const BATCH_MAX: usize = 64;

/// What to append.
#[derive(Debug, Args)]
#[command(after_help = "\
Each line is one SubmitEventsRequest in canonical protobuf JSON, as for `casetrail submit`. A line
that is malformed is reported with its number and its fields, and does not enter the queue; the
others do. What a lifecycle allows is told by the server alone, when the queue is sent.

It is safe to append the same file again: what is in the queue is known by its requestId.

Examples:
  casetrail outbox append --queue outbox.queue case.jsonl
  casetrail sample --cases 20 | casetrail outbox append --queue outbox.queue -")]
pub(super) struct AppendArguments {
    /// The file, or - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The day that it is (UTC), where the clock of this machine is wrong: no event can have happened
    /// later than a day after it
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = parse_day)]
    today: Option<Day>,
    #[command(flatten)]
    queue: QueueArguments,
}

pub(super) fn run(arguments: &AppendArguments) -> Result<(), Failure> {
    // The file first: a wrong name leaves no queue behind.
    let mut lines = read_lines(&arguments.file)?;
    let mut appending = Appending {
        queue: open(&arguments.queue.queue, Missing::Make)?,
        output: Output::stdout(),
        today: arguments.today.unwrap_or_else(ledger::today),
        batch: Vec::new(),
        tally: Tally::default(),
    };
    let mut result = Ok(());
    while let Some(line) = lines.blocking_recv() {
        match line {
            Ok(line) => appending.take(line)?,
            Err(error) => {
                result = Err(Failure::local("reading the input failed", &error));
            }
        }
        // What is there is made durable before one waits for more.
        if lines.is_empty() || appending.batch.len() >= BATCH_MAX {
            appending.write()?;
        }
    }
    appending.write()?;
    let tally = appending.tally;
    appending.tell(&format!(
        "{} lines: {} appended ({} events), {} already in the queue, {} not appended",
        tally.lines, tally.appended, tally.events, tally.known, tally.refused
    ))?;
    unless_closed(appending.output.flush())?;
    match tally.refused {
        _ if result.is_err() => result,
        0 => Ok(()),
        refused => Err(Failure::Failed(format!(
            "{refused} of {} lines were not appended",
            tally.lines
        ))),
    }
}

/// A queue that is appended to.
struct Appending {
    queue: Queue,
    output: Output,
    today: Day,
    /// What is not durable yet.
    batch: Vec<(Uuid, Record)>,
    tally: Tally,
}

/// What became of the lines.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    lines: u64,
    appended: u64,
    events: usize,
    known: u64,
    refused: u64,
}

impl Appending {
    /// Checks a line and takes it into the batch.
    fn take(&mut self, line: Line) -> Result<(), Failure> {
        self.tally.lines += 1;
        let submission = match line.submission {
            Ok(submission) => submission,
            Err(problem) => {
                self.refuse(line.number, &problem);
                return Ok(());
            }
        };
        let checked = match validate::submission(submission.clone(), self.today) {
            Ok(checked) => checked,
            Err(invalid) => {
                self.refuse(line.number, &describe(&invalid));
                return Ok(());
            }
        };
        // In the order of the lines: what this one may repeat is in the queue, and told, before it.
        if self.batch.iter().any(|(id, _)| *id == checked.request_id) {
            self.write()?;
        }
        match known(self.queue.entries(), &submission, &checked) {
            Known::No => {
                let events = checked.changes.iter().map(|change| change.events.len());
                self.tally.events += events.sum::<usize>();
                let record = Record::Appended {
                    on: self.today,
                    submission,
                };
                self.batch.push((checked.request_id, record));
            }
            Known::Same(state) => {
                self.write()?;
                self.tally.known += 1;
                self.tell(&format!("known     {}  {state}", checked.request_id))?;
            }
            Known::Other => self.refuse(
                line.number,
                "request_id is that of another submission in the queue; give this one a UUID of its \
                 own, or remove the other one first",
            ),
        }
        Ok(())
    }

    fn refuse(&mut self, line: u64, problem: &str) {
        self.tally.refused += 1;
        note(&format!("line {line}: not appended: {problem}"));
    }

    fn tell(&mut self, text: &str) -> Result<(), Failure> {
        unless_closed(self.output.line(text))
    }

    /// Makes the batch durable, and tells it.
    fn write(&mut self) -> Result<(), Failure> {
        if self.batch.is_empty() {
            return unless_closed(self.output.flush());
        }
        let (request_ids, records): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.batch).into_iter().unzip();
        self.queue.append(records)?;
        for request_id in request_ids {
            self.tally.appended += 1;
            self.tell(&format!("appended  {request_id}"))?;
        }
        unless_closed(self.output.flush())
    }
}

/// Whether a submission is in the queue.
enum Known {
    No,
    /// The same one, which stands so.
    Same(&'static str),
    /// Another one under its request_id.
    Other,
}

/// Whether the queue has a submission of this request_id.
fn known(entries: &Entries, submission: &SubmitEventsRequest, checked: &Submission) -> Known {
    match entries.get(checked.request_id) {
        None => Known::No,
        Some(entry) if is_same(entry, submission, checked) => Known::Same(match entry.state {
            State::Waiting => "waits",
            State::Recorded(_) => "is recorded",
            State::Refused(_) => "was refused; send --retry-refused sends it again",
        }),
        Some(_) => Known::Other,
    }
}

/// Whether a submission says what one in the queue says, as a server would judge: their forms may
/// differ. The one in the queue was valid on the day on which it was appended.
fn is_same(entry: &Entry, submission: &SubmitEventsRequest, checked: &Submission) -> bool {
    let digest = || {
        let checked = validate::submission(entry.submission.clone(), entry.appended_on);
        checked.ok().map(|submission| submission.digest)
    };
    entry.submission == *submission || digest() == Some(checked.digest)
}

/// What is wrong with a submission, a field a line, as a server would tell it.
fn describe(invalid: &Invalid) -> String {
    let mut text = invalid.reason.to_owned();
    for violation in &invalid.violations {
        text.push_str(&format!("\n  {violation}"));
    }
    text
}

fn parse_day(text: &str) -> Result<Day, String> {
    Day::parse(text).ok_or_else(|| "a day is needed, such as 2026-11-24".to_owned())
}
