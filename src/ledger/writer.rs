//! The writer: it takes submissions from the queue and judges each into the open batch, while the
//! batch before it is made durable by the committer.
//!
//! The two threads meet at a [`Desk`], which holds the open batch and the commit that is under way.
//! Its lock is held to judge one submission, or to hand a batch over, never over I/O.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::batch::{Batch, Finished, Ground, UnderWay, Verdict};
use super::channel::Reply;
use super::{Recorder, Shared};
use crate::seal::{NewKeys, SealError};
use crate::wire::block::RecordBlock;
use crate::wire::validate::Submission;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// Something for the writer to do.
pub(super) enum Work {
    Submission(Job),
    /// To be done while no commit is under way.
    Between(Box<dyn FnOnce(&Shared) + Send>),
}

/// A submission that waits for its verdict.
pub(super) struct Job {
    pub(super) submission: Submission,
    pub(super) sealing: Sealing,
    pub(super) recorder: Arc<Recorder>,
    pub(super) reply: Reply,
    /// Its room in the queue, given back once it is answered.
    pub(super) room: OwnedSemaphorePermit,
}

/// What became of the sealing of a submission's personal values.
#[derive(Default)]
pub(super) struct Sealing {
    /// The keys that it was the first to use.
    pub(super) new_keys: NewKeys,
    /// Why its values can't be sealed, if they can't: it is recorded already, or refused.
    pub(super) unsealed: Option<SealError>,
}

/// A verdict that is told once the commit is durable.
pub(super) struct Pending {
    pub(super) reply: Reply,
    pub(super) verdict: Verdict,
    /// The keys that its submission was the first to use.
    pub(super) new_keys: NewKeys,
    /// Whether it was judged by what is durable alone, and not by what commits were to bring.
    pub(super) by_durable: bool,
    /// Whether it erases anybody's data.
    pub(super) erases: bool,
    pub(super) room: OwnedSemaphorePermit,
}

/// Where the writer and the committer meet.
#[derive(Default)]
pub(super) struct Desk {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    open: Option<Open>,
    /// Whether the committer may take the open batch: it is full, or nothing waits to join it.
    ready: bool,
    under_way: Option<Arc<UnderWay>>,
    /// Whether the committer is at work.
    busy: bool,
    /// Whether one of the two threads is gone, so that the other ends too.
    closed: bool,
    /// How many submissions the last two commits had.
    last_sizes: [usize; 2],
}

/// How long a commit waits at most for the submissions that it can expect.
const GATHERING_MAX: Duration = Duration::from_millis(1);

/// The batch that takes submissions in, and those who wait for it.
struct Open {
    batch: Batch,
    pending: Vec<Pending>,
}

/// A batch that the committer has taken.
pub(super) struct Taken {
    pub(super) first_position: u64,
    pub(super) blocks: Vec<RecordBlock>,
    pub(super) under_way: Arc<UnderWay>,
    pub(super) pending: Vec<Pending>,
}

/// Closes the desk when the thread that holds it ends, however it ends.
pub(super) struct Seat<'a>(pub(super) &'a Desk);

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.closed = true;
        if std::thread::panicking() {
            // It may hold half a submission. Those who wait are told that the outcome is unknown.
            state.open = None;
        }
        drop(state);
        self.0.changed.notify_all();
    }
}

/// Runs until the queue is closed and empty, or the committer is gone.
pub(super) fn run(shared: &Arc<Shared>, desk: &Desk, mut work: mpsc::Receiver<Work>) {
    let _seat = Seat(desk);
    while let Some(mut item) = work.blocking_recv() {
        loop {
            let go_on = match item {
                Work::Submission(job) => desk.judge(shared, job),
                Work::Between(task) => desk.between(|| task(shared)),
            };
            if !go_on {
                return;
            }
            match work.try_recv() {
                Ok(next) => item = next,
                Err(_) => break,
            }
        }
        desk.release();
    }
}

impl Desk {
    /// Judges a submission into the open batch, once that has room. False where the committer is
    /// gone.
    fn judge(&self, shared: &Shared, job: Job) -> bool {
        let Job {
            submission,
            sealing,
            recorder,
            reply,
            room,
        } = job;
        let mut state = self.wait(|state| !state.open.as_ref().is_some_and(Open::is_full));
        if state.closed {
            return false;
        }
        let State {
            open,
            ready,
            under_way,
            ..
        } = &mut *state;
        let views = shared.views();
        let ground = Ground {
            views: &views,
            under_way: under_way.as_deref(),
            keyring: shared.keyring(),
        };
        let Open { batch, pending } = open.get_or_insert_with(|| Open {
            batch: Batch::new(ground, shared.clock.now(), shared.erasure),
            pending: Vec::new(),
        });
        let by_durable = ground.under_way.is_none() && !batch.holds_records();
        let erased_before = batch.erased_count();
        let Sealing { new_keys, unsealed } = sealing;
        let verdict = batch.judge(ground, submission, unsealed, &recorder);
        if matches!(verdict, Verdict::Recorded(_)) {
            new_keys.accepted();
        }
        pending.push(Pending {
            reply,
            verdict,
            new_keys,
            by_durable,
            erases: batch.erased_count() > erased_before,
            room,
        });
        if batch.is_full() {
            *ready = true;
            drop(views);
            drop(state);
            self.changed.notify_all();
        }
        true
    }

    /// Lets the committer take the open batch, since nothing more waits to join it.
    fn release(&self) {
        let mut state = self.lock();
        state.ready = state.open.is_some();
        let wakes = state.ready && !state.busy;
        drop(state);
        if wakes {
            self.changed.notify_all();
        }
    }

    /// Does something while no commit is under way, and nothing waits for one.
    fn between(&self, task: impl FnOnce()) -> bool {
        self.release();
        let state = self.wait(|state| state.open.is_none() && !state.busy);
        if state.closed {
            return false;
        }
        // The writer itself does it, and nobody else opens a batch.
        drop(state);
        task();
        true
    }

    /// Takes the open batch as soon as it may be taken; none once the writer is gone and nothing is
    /// left to be done.
    pub(super) fn take(&self) -> Option<Taken> {
        let state = self.wait(|state| state.ready);
        let mut state = self.gather(state);
        state.ready = false;
        let Open { batch, pending } = state.open.take()?;
        state.last_sizes = [pending.len(), state.last_sizes[0]];
        let Finished {
            first_position,
            mut builder,
            under_way,
        } = batch.finish();
        let under_way = Arc::new(under_way);
        state.busy = true;
        if !builder.is_empty() {
            state.under_way = Some(Arc::clone(&under_way));
        }
        drop(state);
        // The writer may wait for room.
        self.changed.notify_all();
        Some(Taken {
            first_position,
            blocks: builder.finish(first_position),
            under_way,
            pending,
        })
    }

    /// Waits a moment where the open batch is far smaller than commits were lately: those who were
    /// just answered send their next ones, and a commit of the first of them alone would make all
    /// others wait for a second one.
    fn gather<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let [last, before] = state.last_sizes;
        let expected = last.max(before) / 2;
        let gathered = self
            .changed
            .wait_timeout_while(state, GATHERING_MAX, |state| {
                !state.closed && state.size() < expected
            });
        gathered.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Ends the commit that was taken: it is in the views now.
    pub(super) fn settle(&self) {
        let mut state = self.lock();
        state.busy = false;
        state.under_way = None;
        drop(state);
        self.changed.notify_all();
    }

    /// Ends the commit that was taken, which failed, and gives up the batch that was judged as if
    /// it had not. Returns those who wait for that one.
    pub(super) fn give_up(&self) -> Vec<Pending> {
        let mut state = self.lock();
        state.busy = false;
        state.under_way = None;
        state.ready = false;
        let open = state.open.take();
        drop(state);
        self.changed.notify_all();
        open.map(|open| open.pending).unwrap_or_default()
    }

    /// Waits until something holds, or the desk is closed.
    fn wait(&self, holds: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let state = self.lock();
        self.changed
            .wait_while(state, |state| !state.closed && !holds(state))
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Poisoned where a thread panicked; the desk is closed then.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// How many submissions are in the open batch.
    fn size(&self) -> usize {
        self.open.as_ref().map_or(0, |open| open.pending.len())
    }
}

impl Open {
    fn is_full(&self) -> bool {
        self.batch.is_full()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::ErasurePolicy;
    use crate::view::Views;
    use crate::wire::moment::Moment;

    fn desk_with_an_open_batch() -> Desk {
        let views = Views::default();
        let ground = Ground {
            views: &views,
            under_way: None,
            keyring: None,
        };
        let desk = Desk::default();
        desk.lock().open = Some(Open {
            batch: Batch::new(ground, Moment::default(), ErasurePolicy::default()),
            pending: Vec::new(),
        });
        desk
    }

    #[test]
    fn a_writer_that_ends_in_a_panic_leaves_nothing_to_be_committed() {
        let desk = desk_with_an_open_batch();
        let ended = std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let _seat = Seat(&desk);
                std::panic::resume_unwind(Box::new("half way through a submission"));
            });
            writer.join()
        });
        assert!(ended.is_err());
        assert!(desk.take().is_none());
    }

    #[test]
    fn a_writer_that_ends_in_good_order_has_its_last_batch_committed() {
        let desk = desk_with_an_open_batch();
        drop(Seat(&desk));
        assert!(desk.take().is_some());
        assert!(desk.take().is_none());
    }
}
