//! `casetrail outbox append`: checks submissions as a server would, and keeps them durably.
//!
//! Invariants: nothing that is malformed enters the queue, and nothing twice. A submission is told as
//! appended once it is durable. What is wrong is told by line and field, and never repeated.

use std::collections::HashMap;
use std::path::PathBuf;

use clap::Args;
use uuid::Uuid;

use super::entries::{Entry, State};
use super::format::Record;
use super::queue::{Missing, Queue};
use super::{QueueArguments, open};
use crate::cli::failure::Failure;
use crate::cli::output::{Output, note};
use crate::cli::submit::{Line, read_lines};
use crate::ledger;
use crate::wire::day::Day;
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
        digests: HashMap::new(),
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
    appending.output.line(&format!(
        "{} lines: {} appended ({} events), {} already in the queue, {} not appended",
        tally.lines, tally.appended, tally.events, tally.known, tally.refused
    ))?;
    appending.output.flush()?;
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
    /// What was appended by this command, or is about to be.
    digests: HashMap<Uuid, [u8; 32]>,
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
        match self.known(&checked) {
            Known::No => {
                let events = checked.changes.iter().map(|change| change.events.len());
                self.tally.events += events.sum::<usize>();
                self.digests.insert(checked.request_id, checked.digest);
                let record = Record::Appended {
                    on: self.today,
                    submission,
                };
                self.batch.push((checked.request_id, record));
            }
            Known::Same(state) => {
                // In the order of the lines: what comes before it is told first.
                self.write()?;
                self.tally.known += 1;
                let text = format!("known     {}  {state}", checked.request_id);
                self.output.line(&text)?;
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

    /// Whether the queue has a submission of this request_id.
    fn known(&self, checked: &Submission) -> Known {
        if let Some(digest) = self.digests.get(&checked.request_id) {
            return match *digest == checked.digest {
                true => Known::Same("waits"),
                false => Known::Other,
            };
        }
        match self.queue.entries().get(checked.request_id) {
            None => Known::No,
            Some(entry) if digest(entry) == Some(checked.digest) => {
                Known::Same(match entry.state {
                    State::Waiting => "waits",
                    State::Recorded(_) => "is recorded",
                    State::Refused(_) => "was refused; send --retry-refused sends it again",
                })
            }
            Some(_) => Known::Other,
        }
    }

    /// Makes the batch durable, and tells it.
    fn write(&mut self) -> Result<(), Failure> {
        if self.batch.is_empty() {
            return self.output.flush();
        }
        let (request_ids, records): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.batch).into_iter().unzip();
        self.queue.write(records)?;
        for request_id in request_ids {
            self.tally.appended += 1;
            self.output.line(&format!("appended  {request_id}"))?;
        }
        self.output.flush()
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

/// The digest of a submission in the queue, which was valid on the day it was appended.
fn digest(entry: &Entry) -> Option<[u8; 32]> {
    let checked = validate::submission(entry.submission.clone(), entry.appended_on);
    checked.ok().map(|submission| submission.digest)
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
