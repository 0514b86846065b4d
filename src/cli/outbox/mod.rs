//! `casetrail outbox`: a queue file for a worker without a line.
//!
//! Submissions are checked and kept while there is no server, and sent once there is one, by the same
//! path as `casetrail submit`. What they say stays as written; their order and their request_ids are
//! those of the appending, so that a server knows again what it recorded before.
//!
//! It deliberately knows no lifecycle: whether an event is allowed depends on what others recorded
//! meanwhile, and is the server's answer alone.

mod append;
mod entries;
mod format;
mod list;
mod queue;
mod send;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use uuid::Uuid;

use self::entries::State;
use self::format::Record;
use self::queue::{Missing, Queue, read_damaged};
use super::failure::Failure;
use super::output::{Output, note};
use crate::wire::validate;

/// How many numbers of lines are told that are not whole.
const LINES_TOLD_MAX: usize = 20;

/// What to do with a queue.
#[derive(Debug, Args)]
#[command(after_help = "\
append checks submissions and keeps them, list shows them, send submits what waits. A submission
that is told as appended is on disk, and survives a crash of the program or the machine.

It is safe to send again at any time: what a server recorded is known by its requestId and not
recorded twice. What a server refuses stays in the queue with the reason, and is not sent again
until `send --retry-refused`; `remove` takes a submission out for good. What was removed or recorded
is still in the file until `prune` leaves it out.

The file is made for its owner alone (mode 0600) and is not encrypted. One command at a time writes
it; list can be run meanwhile. --queue or CASETRAIL_OUTBOX names it.

Examples:
  casetrail outbox append --queue outbox.queue case.jsonl
  casetrail sample --cases 20 | casetrail outbox append --queue outbox.queue -
  casetrail outbox list --queue outbox.queue
  casetrail outbox send --queue outbox.queue --actor field-7 --organisation mission-north
  casetrail outbox send --queue outbox.queue --retry-refused
  casetrail outbox remove --queue outbox.queue 0190a000-0000-7000-8000-000000000004
  casetrail outbox prune --queue outbox.queue
  casetrail outbox salvage outbox.queue --queue outbox.queue.salvaged")]
pub(super) struct OutboxArguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check submissions and put them into the queue
    Append(append::AppendArguments),
    /// Show what waits, what was recorded, and what was refused and why
    List(list::ListArguments),
    /// Submit what waits to a server
    Send(send::SendArguments),
    /// Take submissions out of the queue, unsent
    Remove(RemoveArguments),
    /// Leave what was recorded or removed out of the file
    Prune(PruneArguments),
    /// Lift what is whole out of a damaged queue file into a new one
    Salvage(SalvageArguments),
}

/// Which queue.
#[derive(Debug, Clone, Args)]
struct QueueArguments {
    /// The queue file
    #[arg(long, value_name = "FILE", env = "CASETRAIL_OUTBOX")]
    queue: PathBuf,
}

/// What to take out.
#[derive(Debug, Args)]
#[command(after_help = "\
A submission whose sending was interrupted may have been recorded although it still waits; what is
recorded is only mended by a further event. One that is removed can be appended again.

Examples:
  casetrail outbox remove --queue outbox.queue 0190a000-0000-7000-8000-000000000004")]
struct RemoveArguments {
    /// Submissions by their requestId, as `list` shows them
    #[arg(value_name = "REQUEST_ID", required = true, value_parser = parse_request_id)]
    request_ids: Vec<Uuid>,
    #[command(flatten)]
    queue: QueueArguments,
}

/// Which queue to prune.
#[derive(Debug, Args)]
#[command(after_help = "\
A new file takes the place of the old one once it is on disk. What was in the old one may still be
found on the disk itself by those who search it.

Examples:
  casetrail outbox prune --queue outbox.queue")]
struct PruneArguments {
    #[command(flatten)]
    queue: QueueArguments,
}

/// What to salvage.
#[derive(Debug, Args)]
#[command(after_help = "\
Lines whose checksum is right are lifted out; the damaged file stays as it is. What the others said
is lost: a submission is missing then, or one that was answered or removed waits again. So look at
the new file with `list` and append your own files once more before you send it. The exit code is 1
where a line was not whole.

Examples:
  casetrail outbox salvage outbox.queue --queue outbox.queue.salvaged")]
struct SalvageArguments {
    /// The damaged queue file
    #[arg(value_name = "DAMAGED")]
    damaged: PathBuf,
    #[command(flatten)]
    queue: QueueArguments,
}

pub(super) fn run(arguments: &OutboxArguments) -> Result<(), Failure> {
    match &arguments.command {
        Command::Append(arguments) => append::run(arguments),
        Command::List(arguments) => list::run(arguments),
        Command::Send(arguments) => super::runtime()?.block_on(send::run(arguments)),
        Command::Remove(arguments) => remove(arguments),
        Command::Prune(arguments) => prune(arguments),
        Command::Salvage(arguments) => salvage(arguments),
    }
}

/// Opens a queue to write to it, and says what an interrupted command left.
fn open(path: &Path, missing: Missing) -> Result<Queue, Failure> {
    let queue = Queue::open(path, missing)?;
    if queue.torn_bytes() > 0 {
        note(&format!(
            "{}: the last {} bytes are what an interrupted command left unfinished; nothing of it was \
             told as done; it is cut off",
            path.display(),
            queue.torn_bytes()
        ));
    }
    Ok(queue)
}

/// Takes all of the submissions out, or none.
fn remove(arguments: &RemoveArguments) -> Result<(), Failure> {
    let mut queue = open(&arguments.queue.queue, Missing::Refuse)?;
    for request_id in &arguments.request_ids {
        let problem = match queue.entries().get(*request_id).map(|entry| &entry.state) {
            None => "is not in the queue",
            Some(State::Recorded(_)) => {
                "is recorded; prune leaves it out of the file, and a further event mends it"
            }
            Some(State::Waiting | State::Refused(_)) => continue,
        };
        return Err(Failure::Failed(format!(
            "{request_id} {problem}; nothing was removed"
        )));
    }
    let records = arguments.request_ids.iter();
    let records = records.map(|request_id| Record::Removed {
        request_id: *request_id,
    });
    queue.write(records.collect())?;
    let mut output = Output::stdout();
    let mut told = arguments
        .request_ids
        .iter()
        .map(|request_id| output.line(&format!("removed   {request_id}")));
    unless_closed(told.try_for_each(|told| told))?;
    unless_closed(output.flush())
}

fn prune(arguments: &PruneArguments) -> Result<(), Failure> {
    let queue = open(&arguments.queue.queue, Missing::Refuse)?;
    let counts = queue.entries().counts();
    queue.prune()?;
    let mut output = Output::stdout();
    let told = output.line(&format!(
        "{} recorded left out; {} wait, {} refused",
        counts.recorded, counts.waiting, counts.refused
    ));
    unless_closed(told.and_then(|()| output.flush()))
}

fn salvage(arguments: &SalvageArguments) -> Result<(), Failure> {
    let (entries, others) = read_damaged(&arguments.damaged)?;
    let new = &arguments.queue.queue;
    if new.exists() {
        return Err(Failure::Usage(format!(
            "{}: is there already; name a new file",
            new.display()
        )));
    }
    let mut queue = Queue::open(new, Missing::Make)?;
    queue.write(entries.records(|_| true))?;
    let counts = entries.counts();
    let mut output = Output::stdout();
    let told = output.line(&format!(
        "lifted into {}: {} wait, {} recorded, {} refused",
        new.display(),
        counts.waiting,
        counts.recorded,
        counts.refused
    ));
    unless_closed(told.and_then(|()| output.flush()))?;
    if others.is_empty() {
        return Ok(());
    }
    let count = others.len();
    let mut others: Vec<_> = others.iter().map(ToString::to_string).collect();
    others.truncate(LINES_TOLD_MAX);
    Err(Failure::Failed(format!(
        "not whole: {count} lines, the first being {}; a submission may be missing, or one that was answered or removed may wait \
         again",
        others.join(", ")
    )))
}

/// Goes on where nobody reads any more what is told: how a command ends is by what it did.
fn unless_closed(told: Result<(), Failure>) -> Result<(), Failure> {
    match told {
        Err(Failure::OutputClosed) => Ok(()),
        told => told,
    }
}

fn parse_request_id(text: &str) -> Result<Uuid, String> {
    validate::uuid("REQUEST_ID", text).map_err(|violation| violation.description)
}
