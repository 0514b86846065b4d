//! How answers come back: to one call, or to a channel, through which a client submits one behind
//! the other without waiting for answers.
//!
//! Invariants:
//! - Each submission that was put in gets exactly one answer, also where the writer ends without one.
//! - The answers of a commit come to a channel together: it is woken once, not once for each.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::{BoxFuture, FutureExt};
use tokio::sync::{Notify, oneshot};

use super::batch::Verdict;
use super::error::SubmitError;
use super::{Ledger, Recorder};
use crate::wire::v1::SubmitEventsResponse;
use crate::wire::validate::Submission;

/// Submits one behind the other; made by [`Ledger::channel`].
pub struct Channel<'a> {
    ledger: &'a Ledger,
    recorder: Arc<Recorder>,
    inbox: Arc<Inbox>,
}

/// The answer to a submission that was put into a channel.
pub enum Answer {
    /// What became of it.
    Told(Result<SubmitEventsResponse, SubmitError>),
    /// It was recorded before: what it was told then is being read from the log.
    Stored(BoxFuture<'static, Result<SubmitEventsResponse, SubmitError>>),
}

impl<'a> Channel<'a> {
    pub(super) fn new(ledger: &'a Ledger, recorder: Recorder) -> Self {
        Self {
            ledger,
            recorder: Arc::new(recorder),
            inbox: Arc::default(),
        }
    }

    /// Puts a submission into the writer's queue, waiting for room. Submissions are judged in the
    /// order in which they were put in. The answer has the same `index`.
    ///
    /// # Errors
    /// Writing has ended, or the server has no keys; there is no further answer then.
    pub async fn put(&self, index: u64, mut submission: Submission) -> Result<(), SubmitError> {
        let sealing = self.ledger.seal(&mut submission).await?;
        let place = self.ledger.place(&submission).await?;
        let reply = Reply(Some(Recipient::Channel {
            inbox: Arc::clone(&self.inbox),
            index,
        }));
        place.take(submission, sealing, Arc::clone(&self.recorder), reply);
        Ok(())
    }

    /// Waits for answers, and returns all that have come, in no particular order. Nothing is lost
    /// where the future is dropped.
    pub async fn answers(&self) -> Vec<(u64, Answer)> {
        loop {
            let arrived = self.inbox.take();
            if !arrived.is_empty() {
                let answers = arrived.into_iter();
                return answers
                    .map(|(index, verdict)| (index, self.answer(verdict)))
                    .collect();
            }
            self.inbox.arrived.notified().await;
        }
    }

    fn answer(&self, verdict: Option<Verdict>) -> Answer {
        match verdict {
            Some(Verdict::Recorded(response)) => Answer::Told(Ok(response)),
            Some(Verdict::Refused(error)) => Answer::Told(Err(error)),
            Some(Verdict::Known(known)) => Answer::Stored(self.ledger.stored_answer(known).boxed()),
            None => Answer::Told(Err(self.ledger.unanswered())),
        }
    }
}

impl fmt::Debug for Channel<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Channel").finish_non_exhaustive()
    }
}

/// Where the verdict on a submission goes. One that is dropped says that there is none.
pub(super) struct Reply(Option<Recipient>);

enum Recipient {
    Call(oneshot::Sender<Verdict>),
    Channel { inbox: Arc<Inbox>, index: u64 },
}

/// Verdicts that wait for their channel to take them; none where the writer ended without one.
#[derive(Default)]
struct Inbox {
    verdicts: Mutex<Vec<(u64, Option<Verdict>)>>,
    arrived: Notify,
}

/// The channels that have got verdicts. They are woken when it is dropped.
#[derive(Default)]
pub(super) struct Woken(Vec<Arc<Inbox>>);

impl Reply {
    /// A reply to one call.
    pub(super) fn to_call(sender: oneshot::Sender<Verdict>) -> Self {
        Self(Some(Recipient::Call(sender)))
    }

    /// Tells the verdict. A channel is woken only once `woken` is dropped.
    pub(super) fn tell(mut self, verdict: Verdict, woken: &mut Woken) {
        match self.0.take() {
            Some(Recipient::Call(sender)) => {
                // A client that went away does not want its answer.
                let _ = sender.send(verdict);
            }
            Some(Recipient::Channel { inbox, index }) => {
                let is_first = inbox.put(index, Some(verdict));
                woken.0.extend(is_first.then_some(inbox));
            }
            None => {}
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(Recipient::Channel { inbox, index }) = self.0.take()
            && inbox.put(index, None)
        {
            inbox.arrived.notify_one();
        }
    }
}

impl Drop for Woken {
    fn drop(&mut self) {
        for inbox in &self.0 {
            inbox.arrived.notify_one();
        }
    }
}

impl Inbox {
    /// Returns whether it is the first that waits, so that the channel has to be woken.
    fn put(&self, index: u64, verdict: Option<Verdict>) -> bool {
        let mut verdicts = self.lock();
        verdicts.push((index, verdict));
        verdicts.len() == 1
    }

    fn take(&self) -> Vec<(u64, Option<Verdict>)> {
        let mut verdicts = self.lock();
        let room = Vec::with_capacity(verdicts.len());
        std::mem::replace(&mut *verdicts, room)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(u64, Option<Verdict>)>> {
        // Nothing panics while it is held.
        self.verdicts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(inbox: &Arc<Inbox>, index: u64) -> Reply {
        Reply(Some(Recipient::Channel {
            inbox: Arc::clone(inbox),
            index,
        }))
    }

    fn refusal() -> Verdict {
        Verdict::Refused(SubmitError::QueueFull)
    }

    #[tokio::test]
    async fn what_is_dropped_without_a_verdict_is_told_and_wakes() {
        let inbox = Arc::<Inbox>::default();
        drop(reply(&inbox, 7));
        inbox.arrived.notified().await;
        assert!(matches!(inbox.take()[..], [(7, None)]));
    }

    #[tokio::test]
    async fn the_verdicts_of_a_commit_wake_their_channel_once_all_are_there() {
        let inbox = Arc::<Inbox>::default();
        let mut woken = Woken::default();
        for index in 0..3 {
            reply(&inbox, index).tell(refusal(), &mut woken);
        }
        let mut arrived = std::pin::pin!(inbox.arrived.notified());
        assert!(arrived.as_mut().now_or_never().is_none());
        drop(woken);
        arrived.await;
        let indexes: Vec<_> = inbox.take().iter().map(|(index, _)| *index).collect();
        assert_eq!(indexes, [0, 1, 2]);
        assert!(inbox.take().is_empty());
    }

    #[tokio::test]
    async fn a_channel_that_takes_between_two_verdicts_is_woken_for_the_second() {
        let inbox = Arc::<Inbox>::default();
        let mut woken = Woken::default();
        reply(&inbox, 0).tell(refusal(), &mut woken);
        assert_eq!(inbox.take().len(), 1);
        reply(&inbox, 1).tell(refusal(), &mut woken);
        drop(woken);
        inbox.arrived.notified().await;
        assert_eq!(inbox.take().len(), 1);
    }
}
