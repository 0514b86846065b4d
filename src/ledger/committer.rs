//! The committer: it appends each batch to the log as one durable commit, takes it into the views,
//! and only then answers those who wait for it.

use super::Shared;
use super::batch::Verdict;
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
        true => Ok(()),
        false => shared.log.append(durable_before, &blocks).map(|head| {
            shared.views_mut().install(&under_way.committed);
            shared.head.send_replace(head);
        }),
    };
    match appended {
        Ok(()) => {
            desk.settle();
            for Pending { reply, verdict, .. } in pending {
                // A client that went away does not want its answer.
                let _ = reply.send(verdict);
            }
        }
        Err(error) => {
            tracing::error!(%error, "a commit failed");
            let resting_on_it = desk.give_up();
            for pending in pending {
                fail(
                    pending,
                    durable_before,
                    of_append(&error),
                    of_append(&error),
                );
            }
            // What rested on it was not written, whatever became of the commit itself.
            for pending in resting_on_it {
                fail(
                    pending,
                    durable_before,
                    not_tried(&error),
                    of_append(&error),
                );
            }
        }
    }
}

/// Answers one whose commit failed, or the one before it, on which it rested: `own` is what became
/// of it, `earlier` what became of an equal one that was to be recorded before it.
fn fail(pending: Pending, durable_before: u64, own: SubmitError, earlier: SubmitError) {
    let verdict = match pending.verdict {
        // What was judged by what is durable holds, whatever became of the commit.
        Verdict::Known { first_position } if first_position < durable_before => {
            Verdict::Known { first_position }
        }
        Verdict::Known { .. } => Verdict::Refused(earlier),
        Verdict::Refused(cause) if pending.by_durable => Verdict::Refused(cause),
        _ => Verdict::Refused(own),
    };
    let _ = pending.reply.send(verdict);
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
