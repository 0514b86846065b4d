//! The writer: one thread that takes submissions from the queue, decides, appends and answers.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::batch::{Batch, Verdict};
use super::error::SubmitError;
use super::{Recorder, Shared, clock};
use crate::log::AppendError;
use crate::wire::validate::Submission;

/// Something for the writer to do.
pub(super) enum Work {
    Submission(Job),
    /// To be done between two commits.
    Between(Box<dyn FnOnce(&Shared) + Send>),
}

/// A submission that waits for its verdict.
pub(super) struct Job {
    pub(super) submission: Submission,
    pub(super) recorder: Recorder,
    pub(super) reply: oneshot::Sender<Verdict>,
    /// Its room in the queue, given back once it is answered.
    pub(super) room: OwnedSemaphorePermit,
}

/// A verdict that is told once the commit is durable.
struct Pending {
    reply: oneshot::Sender<Verdict>,
    verdict: Verdict,
    /// Whether it was judged by what is durable alone, and not by what this commit brings.
    by_durable: bool,
    _room: OwnedSemaphorePermit,
}

/// Runs until the queue is closed and empty.
pub(super) fn run(shared: &Arc<Shared>, mut work: mpsc::Receiver<Work>) {
    let mut next = work.blocking_recv();
    while let Some(item) = next {
        next = match item {
            Work::Between(task) => {
                task(shared);
                work.blocking_recv()
            }
            Work::Submission(first) => {
                let follower = commit(shared, first, &mut work);
                follower.or_else(|| work.blocking_recv())
            }
        };
    }
}

/// Takes the first submission and all that wait behind it into one commit. Returns an item that was
/// taken from the queue and does not belong to it.
fn commit(shared: &Shared, first: Job, work: &mut mpsc::Receiver<Work>) -> Option<Work> {
    let mut pending = Vec::new();
    let mut follower = None;
    let batch = {
        let views = shared.views();
        let recorded_at = clock::now().max(views.recorded_at().unwrap_or_default());
        let mut batch = Batch::new(&views, recorded_at);
        let mut job = Some(first);
        while let Some(Job {
            submission,
            recorder,
            reply,
            room,
        }) = job.take()
        {
            let by_durable = !batch.holds_records();
            let verdict = batch.judge(submission, &recorder);
            pending.push(Pending {
                by_durable,
                reply,
                verdict,
                _room: room,
            });
            if batch.is_full() {
                break;
            }
            match work.try_recv() {
                Ok(Work::Submission(next)) => job = Some(next),
                Ok(other) => follower = Some(other),
                Err(_) => {}
            }
        }
        batch.finish()
    };
    let durable_before = batch.first_position;
    let appended = if batch.blocks.is_empty() {
        Ok(())
    } else {
        shared
            .log
            .append(durable_before, &batch.blocks)
            .map(|head| {
                shared.views_mut().install(batch.committed);
                shared.head.send_replace(head);
            })
    };
    if let Err(error) = &appended {
        tracing::error!(%error, "a commit failed");
    }
    for Pending {
        reply,
        verdict,
        by_durable,
        ..
    } in pending
    {
        let verdict = match (verdict, &appended) {
            (verdict, Ok(())) => verdict,
            // What was judged by what is durable holds, whatever became of the commit.
            (Verdict::Known { first_position }, Err(_)) if first_position < durable_before => {
                Verdict::Known { first_position }
            }
            (Verdict::Refused(cause), Err(_)) if by_durable => Verdict::Refused(cause),
            (_, Err(error)) => Verdict::Refused(of_append(error)),
        };
        // A client that went away does not want its answer.
        let _ = reply.send(verdict);
    }
    follower
}

fn of_append(error: &AppendError) -> SubmitError {
    let cause = error.to_string();
    match error {
        AppendError::Full { .. } | AppendError::SpaceUnknown { .. } => {
            SubmitError::DiskFull { cause }
        }
        AppendError::TooLarge { bytes, limit } => SubmitError::TooLarge {
            bytes: *bytes,
            limit: *limit,
        },
        AppendError::OutcomeUnknown { cause } => SubmitError::OutcomeUnknown {
            cause: cause.clone(),
        },
        AppendError::Ended { cause } => SubmitError::WritingEnded {
            cause: cause.clone(),
        },
        AppendError::Conflict { .. }
        | AppendError::NotContiguous { .. }
        | AppendError::InvalidBlock { .. } => SubmitError::WritingEnded { cause },
    }
}
