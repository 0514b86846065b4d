//! `casetrail outbox send`: submits what waits, in the order in which it was appended, and keeps each
//! answer durably.
//!
//! Invariants: an answer that is told is durable. What was not answered still waits, and is known to
//! the server by its request_id if it was recorded all the same. A refusal stays with its submission;
//! what is no verdict on the submission itself (a server that fails) leaves it waiting.

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tonic::Code;
use uuid::Uuid;

use super::entries::{Counts, State};
use super::format::Record;
use super::queue::{Missing, Queue};
use super::{QueueArguments, open, unless_closed};
use crate::cli::connection::{RecorderArguments, ServerArguments};
use crate::cli::failure::{Failure, describe};
use crate::cli::output::{Output, note};
use crate::cli::submit::{Report, submit_each};
use crate::wire::v1::{Refusal, SubmitEventsRequest};

/// How many answers are made durable together, where so many are there at once.
const BATCH_MAX: usize = 256;

/// What to send, and where to.
#[derive(Debug, Args)]
#[command(after_help = "\
Submits what waits in the order in which it was appended. A lost connection is resumed. Each answer
is kept in the queue: `list` shows it. Whatever interrupts the command, it is safe to run it again.

A refused submission stays, and is not sent again unless --retry-refused says so: for instance once
the event that it follows is recorded. To correct one, remove it and append another.

Examples:
  casetrail outbox send --queue outbox.queue
  casetrail outbox send --queue outbox.queue --actor field-7 --organisation mission-north
  casetrail outbox send --queue outbox.queue --retry-refused")]
pub(super) struct SendArguments {
    /// Send again what was refused, too
    #[arg(long)]
    retry_refused: bool,
    #[command(flatten)]
    queue: QueueArguments,
    #[command(flatten)]
    server: ServerArguments,
    #[command(flatten)]
    recorder: RecorderArguments,
}

/// An answer that is not kept yet.
struct Answered {
    record: Record,
    /// What there is to tell of it, where it is refused.
    text: Option<String>,
}

pub(super) async fn run(arguments: &SendArguments) -> Result<(), Failure> {
    let mut queue = open(&arguments.queue.queue, Missing::Refuse)?;
    let (request_ids, submissions) = due(&queue, arguments.retry_refused);
    let mut output = Output::stdout();
    if submissions.is_empty() {
        let text = format!("nothing to send; {}", told(queue.entries().counts()));
        return unless_closed(output.line(&text).and_then(|()| output.flush()));
    }
    let sent = submissions.len();
    // One for the whole command: an interrupt that comes while answers are kept is met afterwards.
    let mut interrupts = signal(SignalKind::interrupt())
        .map_err(|error| Failure::local("interrupts can't be awaited", &error))?;
    let connected = tokio::select! {
        connected = arguments.server.connect_as(&arguments.recorder) => connected,
        _ = interrupts.recv() => Err(interrupted()),
    };
    let connection = connected.map_err(|failure| {
        failure.with_advice(format!(
            "{sent} submissions still wait; send again once there is a connection."
        ))
    })?;
    let (sender, mut answers) = mpsc::unbounded_channel();
    let mut report = |report: Report<'_>, _: &_| match report {
        Report::Lost(cause) => note(&format!(
            "-- connection lost ({cause}); what was not answered is sent again"
        )),
        report => {
            if let Some(answered) = answered(&report, &request_ids) {
                // The queue takes all of them before it is done.
                let _ = sender.send(answered);
            }
        }
    };
    let mut flight = Box::pin(submit_each(&connection, submissions, &mut report));
    let mut batch = Vec::new();
    let mut kept = Kept::default();
    let submitted = loop {
        tokio::select! {
            biased;
            _ = interrupts.recv() => break Err(interrupted()),
            _ = answers.recv_many(&mut batch, BATCH_MAX) => kept.keep(&mut queue, &mut batch)?,
            submitted = &mut flight => break submitted,
        }
    };
    drop(flight);
    while let Ok(answered) = answers.try_recv() {
        batch.push(answered);
    }
    kept.keep(&mut queue, &mut batch)?;
    let counts = queue.entries().counts();
    let text = format!(
        "{sent} to send: {} recorded, {} already recorded, {} refused; {}",
        kept.recorded,
        kept.known,
        kept.refused,
        told(counts)
    );
    unless_closed(output.line(&text).and_then(|()| output.flush()))?;
    if let Err(failure) = submitted {
        note("What was not answered still waits. It is safe to send again.");
        return Err(failure);
    }
    match (kept.refused, kept.unanswered) {
        (0, 0) => Ok(()),
        (refused, 0) => Err(Failure::Failed(format!(
            "{refused} of {sent} submissions were refused; they stay in the queue"
        ))),
        (refused, unanswered) => Err(Failure::Failed(format!(
            "{refused} of {sent} submissions were refused, and {unanswered} still wait because the \
             server failed; they stay in the queue"
        ))),
    }
}

/// What is to be sent, in the order in which it was appended.
fn due(queue: &Queue, retry_refused: bool) -> (Vec<Uuid>, Vec<SubmitEventsRequest>) {
    let entries = queue.entries().iter();
    let due = entries.filter(|entry| match entry.state {
        State::Waiting => true,
        State::Refused(_) => retry_refused,
        State::Recorded(_) => false,
    });
    due.map(|entry| (entry.request_id, entry.submission.clone()))
        .unzip()
}

/// What a report says of which submission.
fn answered(report: &Report<'_>, request_ids: &[Uuid]) -> Option<Answered> {
    // Their numbers count from 1.
    let request_id = |number: u64| {
        let place = usize::try_from(number).ok()?.checked_sub(1)?;
        request_ids.get(place).copied()
    };
    match report {
        Report::Recorded(number, answer) => Some(Answered {
            record: Record::Recorded {
                request_id: request_id(*number)?,
                answer: (*answer).clone(),
            },
            text: None,
        }),
        Report::Refused(number, refusal) => {
            let request_id = request_id(*number)?;
            Some(Answered {
                record: Record::Refused {
                    request_id,
                    refusal: (*refusal).clone(),
                },
                text: Some(format!("{request_id}: {}", describe(refusal))),
            })
        }
        Report::Malformed(..) | Report::Lost(_) => None,
    }
}

/// What became of what was sent.
#[derive(Debug, Default)]
struct Kept {
    recorded: usize,
    known: usize,
    refused: usize,
    /// Refused for a reason that says nothing of the submission.
    unanswered: usize,
}

impl Kept {
    /// Writes the answers into the queue, and tells of the refusals.
    fn keep(&mut self, queue: &mut Queue, batch: &mut Vec<Answered>) -> Result<(), Failure> {
        let mut records = Vec::new();
        let mut texts = Vec::new();
        for Answered { record, text } in batch.drain(..) {
            match &record {
                Record::Recorded { answer, .. } if answer.replayed => self.known += 1,
                Record::Recorded { .. } => self.recorded += 1,
                Record::Refused { refusal, .. } if !is_verdict(refusal) => {
                    self.unanswered += 1;
                    texts.extend(text);
                    continue;
                }
                _ => self.refused += 1,
            }
            records.push(record);
            texts.extend(text);
        }
        if !records.is_empty() {
            queue.write(records)?;
        }
        texts.iter().for_each(|text| note(text));
        Ok(())
    }
}

/// Whether a refusal is about the submission, and would come again.
fn is_verdict(refusal: &Refusal) -> bool {
    matches!(
        Code::from_i32(refusal.code),
        Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::OutOfRange
    )
}

fn interrupted() -> Failure {
    Failure::Failed("interrupted".to_owned())
}

fn told(counts: Counts) -> String {
    format!(
        "{} wait, {} recorded, {} refused in the queue",
        counts.waiting, counts.recorded, counts.refused
    )
}
