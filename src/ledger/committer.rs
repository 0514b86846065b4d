//! The committer: it appends each batch to the log as one durable commit, takes it into the views,
//! and only then answers those who wait for it.

use tokio::sync::OwnedSemaphorePermit;

use super::Shared;
use super::batch::Verdict;
use super::channel::Woken;
use super::error::SubmitError;
use super::writer::{Desk, Pending, Seat, Taken};
use crate::log::AppendError;

/// Runs until the writer is gone and nothing is left to be done.
pub(super) fn run(shared: &Shared, desk: &Desk) {
    let _seat = Seat(desk);
    while let Some(taken) = desk.take() {
        commit(shared, desk, taken);
    }
}

fn commit(shared: &Shared, desk: &Desk, taken: Taken) {
    let Taken {
        first_position: durable_before,
        blocks,
        under_way,
        pending,
    } = taken;
    let appended = match blocks.is_empty() {
        true => Ok(Ok(())),
        false => shared.log.append(durable_before, &blocks).map(|head| {
            // Before anybody is told of it, and before the key store's mark can come to lie behind it.
            shared.persons.iter().for_each(|it| it.recorded(&pending));
            let destroyed = shared.destroy_keys(&under_way.erased);
            shared.views_mut().install(&under_way.committed);
            shared.head.send_replace(head);
            destroyed
        }),
    };
    match appended {
        Ok(destroyed) => {
            desk.settle();
            answer(pending, |verdict, waiting| match &destroyed {
                Err(cause) if waiting.erases => {
                    let cause = cause.clone();
                    Verdict::Refused(SubmitError::KeysNotDestroyed { cause })
                }
                _ => verdict,
            });
        }
        Err(error) => {
            tracing::error!(%error, "a commit failed");
            let resting_on_it = desk.give_up();
            let failed = |own: fn(&AppendError) -> SubmitError| {
                let error = &error;
                move |verdict, waiting: &Waiting| match verdict {
                    // What was judged by what is durable holds, whatever became of the commit.
                    Verdict::Known(known) if known.first_position < durable_before => {
                        Verdict::Known(known)
                    }
                    // What became of an equal one that was to be recorded before it.
                    Verdict::Known(_) => Verdict::Refused(of_append(error)),
                    Verdict::Refused(cause) if waiting.by_durable => Verdict::Refused(cause),
                    _ => Verdict::Refused(own(error)),
                }
            };
            answer(pending, failed(of_append));
            // What rested on it was not written, whatever became of the commit itself.
            answer(resting_on_it, failed(not_tried));
        }
    }
}

/// What bears on what one who waits is told.
struct Waiting {
    /// Whether the verdict was made by what is durable alone.
    by_durable: bool,
    /// Whether the submission erases anybody's data.
    erases: bool,
}

/// Answers those who wait: `verdict` makes what each is told of its verdict.
fn answer(pending: Vec<Pending>, verdict: impl Fn(Verdict, &Waiting) -> Verdict) {
    let mut woken = Woken::default();
    // The room of all in the queue is given back at once.
    let mut rooms: Option<OwnedSemaphorePermit> = None;
    for waiting in pending {
        match &mut rooms {
            Some(rooms) => rooms.merge(waiting.room),
            None => rooms = Some(waiting.room),
        }
        let Pending {
            by_durable, erases, ..
        } = waiting;
        let told = verdict(waiting.verdict, &Waiting { by_durable, erases });
        waiting.reply.tell(told, &mut woken);
    }
}

fn not_tried(error: &AppendError) -> SubmitError {
    match of_append(error) {
        SubmitError::OutcomeUnknown { cause } => SubmitError::WritingEnded { cause },
        other => other,
    }
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
