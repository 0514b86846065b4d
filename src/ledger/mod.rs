//! The ledger: the one place where submissions become records.
//!
//! A single thread, the writer, takes submissions from a bounded queue and judges each against its
//! cases. Another, the committer, appends what was accepted in one durable commit, takes it into the
//! views, and answers; meanwhile the writer judges the next batch, as if the commit under way were
//! there already: that batch fails with it.
//!
//! Invariants:
//! - Nothing is answered, and nothing is visible to a reader, before it is durable.
//! - A submission is recorded whole or not at all; its request_id never records a second time.
//! - Any doubt about a write ends writing; reading goes on.
//!
//! It deliberately does not know gRPC, nor what makes an event well formed (`wire::validate`) or
//! allowed (`domain`).

pub mod audit;
mod batch;
mod channel;
pub mod check;
mod clock;
mod committer;
mod completion;
mod disclosures;
mod erasure;
mod error;
mod keeper;
mod keys;
mod rebuild;
mod recovery;
pub mod restore;
pub mod salvage;
mod stored;
mod writer;

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::thread::JoinHandle;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use uuid::Uuid;

use crate::domain::Authority;
use crate::log::Log;
use crate::seal::Keyring;
use crate::view::{SnapshotFile, Views};
use crate::wire::edtf::Day;
use crate::wire::limits::{QUEUE_BYTES_MAX, QUEUE_SUBMISSIONS_MAX};
use crate::wire::moment::Moment;
use crate::wire::v1::{Disclosure, SubmitEventsResponse};
use crate::wire::validate::Submission;

use batch::{Known, Verdict};
use channel::Reply;
pub use channel::{Answer, Channel};
pub use clock::{Clock, today};
pub use erasure::ErasurePolicy;
use erasure::Owed;
pub use error::{OpenError, RebuildError, SubmitError};
use keys::OpenPersons;
pub use keys::Persons;
pub use rebuild::Rebuilt;
use writer::{Desk, Job, Sealing, Work};

/// The unit in which the bytes of the queue are counted.
const QUEUE_UNIT_BYTES: usize = 1024;

/// Who records a submission, and for which organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorder {
    /// The actor.
    pub actor: String,
    /// The organisation.
    pub organisation: String,
    /// What they may see and record.
    pub authority: Authority,
}

impl Recorder {
    /// Who it is, as events name them: actor@organisation.
    pub(crate) fn name(&self) -> String {
        format!("{}@{}", self.actor, self.organisation)
    }
}

/// The ledger of one log.
pub struct Ledger {
    shared: Arc<Shared>,
    queue: Mutex<Option<mpsc::Sender<Work>>>,
    queue_bytes: Arc<Semaphore>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    stop_keeper: std::sync::mpsc::Sender<()>,
    started_at: Moment,
}

/// What the writer, the committer, the keeper and the readers share.
struct Shared {
    clock: Clock,
    log: Arc<dyn Log>,
    views: RwLock<Views>,
    /// The position up to which the views were folded: what a reader may see.
    head: watch::Sender<u64>,
    snapshot: Option<SnapshotFile>,
    snapshot_position: AtomicU64,
    /// Keys and disclosures; none where the ledger takes no personal values and opens none.
    persons: Option<OpenPersons>,
    erasure: ErasurePolicy,
    owed: Owed,
    /// True once the ledger stops: a rebuild that is under way is given up.
    stopping: AtomicBool,
}

impl Ledger {
    /// Opens the ledger of a log: takes the views from the newest snapshot, folds the records after
    /// it, and starts the writer. Blocks while it reads.
    ///
    /// # Errors
    /// A log that can't be read, that is shorter than its snapshot, or that ends in the middle of a
    /// submission.
    pub fn open(log: Arc<dyn Log>, snapshot: Option<SnapshotFile>) -> Result<Self, OpenError> {
        Self::open_by(Clock::wall(), log, snapshot, None)
    }

    /// The same by another clock than that on the wall, and with what it needs to take personal values
    /// and to disclose them. Without, a submission that holds any is refused.
    ///
    /// # Errors
    /// As [`Ledger::open`].
    pub fn open_by(
        clock: Clock,
        log: Arc<dyn Log>,
        snapshot: Option<SnapshotFile>,
        persons: Option<Persons>,
    ) -> Result<Self, OpenError> {
        let erasure = persons
            .as_ref()
            .map(|persons| persons.erasure)
            .unwrap_or_default();
        let persons = persons
            .map(|persons| persons.open(log.as_ref()))
            .transpose()?;
        let recovered = recovery::recover(log.as_ref(), snapshot.as_ref())?;
        let (head, _) = watch::channel(recovered.views.position());
        let started_at = clock.now();
        let shared = Arc::new(Shared {
            clock,
            log,
            views: RwLock::new(recovered.views),
            head,
            snapshot,
            snapshot_position: AtomicU64::new(recovered.snapshot_position),
            persons,
            erasure,
            owed: Owed::default(),
            stopping: AtomicBool::new(false),
        });
        let (queue, work) = mpsc::channel(QUEUE_SUBMISSIONS_MAX);
        let (stop_keeper, keeper_stops) = std::sync::mpsc::channel();
        let desk = Arc::new(Desk::default());
        let threads = vec![
            spawn("writer", {
                let (shared, desk) = (Arc::clone(&shared), Arc::clone(&desk));
                move || writer::run(&shared, &desk, work)
            })?,
            spawn("committer", {
                let shared = Arc::clone(&shared);
                move || committer::run(&shared, &desk)
            })?,
            spawn("keeper", {
                let shared = Arc::clone(&shared);
                move || keeper::run(&shared, &keeper_stops)
            })?,
        ];
        Ok(Self {
            shared,
            queue: Mutex::new(Some(queue)),
            queue_bytes: Arc::new(Semaphore::new(QUEUE_BYTES_MAX / QUEUE_UNIT_BYTES)),
            threads: Mutex::new(threads),
            stop_keeper,
            started_at,
        })
    }

    /// A channel through which one client submits without waiting for answers.
    pub fn channel(&self, recorder: Recorder) -> Channel<'_> {
        Channel::new(self, recorder)
    }

    /// Records a submission, or refuses it at once with [`SubmitError::QueueFull`] where the queue
    /// has no room.
    ///
    /// # Errors
    /// See [`SubmitError`]; in each case but an unknown outcome nothing of it is recorded.
    pub async fn try_submit(
        &self,
        mut submission: Submission,
        recorder: Recorder,
    ) -> Result<SubmitEventsResponse, SubmitError> {
        let queue = self.queue()?;
        let sealing = self.seal(&mut submission).await?;
        let room = Arc::clone(&self.queue_bytes)
            .try_acquire_many_owned(units_of(&submission))
            .map_err(|_| SubmitError::QueueFull)?;
        let (reply, verdict) = oneshot::channel();
        let work = Work::Submission(Job {
            submission,
            sealing,
            recorder: Arc::new(recorder),
            reply: Reply::to_call(reply),
            room,
        });
        queue.try_send(work).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => SubmitError::QueueFull,
            mpsc::error::TrySendError::Closed(_) => self.writing_ended(),
        })?;
        match verdict.await {
            Ok(Verdict::Recorded(response)) => Ok(response),
            Ok(Verdict::Refused(error)) => Err(error),
            Ok(Verdict::Known(known)) => self.stored_answer(known).await,
            Err(_) => Err(self.unanswered()),
        }
    }

    /// The views. Hold the guard shortly, and never across an await or I/O.
    pub fn views(&self) -> RwLockReadGuard<'_, Views> {
        self.shared.views()
    }

    /// The log, to read from.
    pub fn log(&self) -> &Arc<dyn Log> {
        &self.shared.log
    }

    /// The position up to which the views were folded, to read and to wait for one beyond it. What
    /// lies before it is durable and in the views.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.shared.head.subscribe()
    }

    /// The keys of subjects; none where the ledger runs without.
    pub fn keyring(&self) -> Option<&Keyring> {
        self.shared.keyring()
    }

    /// Records a disclosure, durably, and returns its number. Only then may it be sent. Blocks.
    ///
    /// # Errors
    /// It can't be recorded; nothing may be sent.
    pub fn record_disclosure(&self, disclosure: Disclosure) -> io::Result<u64> {
        self.persons()?.disclosures.record(disclosure)
    }

    /// Disclosures from a place on, at most so many, of one subject or of all, and the place of the next
    /// one where there is one. `is_told` leaves out of one what is not told of it, and says whether
    /// anything is. Blocks.
    ///
    /// # Errors
    /// They can't be read.
    pub fn disclosures(
        &self,
        from: u64,
        subject: Option<Uuid>,
        count: usize,
        is_told: impl Fn(&mut Disclosure) -> bool,
    ) -> io::Result<(Vec<Disclosure>, Option<u64>)> {
        let disclosures = &self.persons()?.disclosures;
        disclosures.list(from, subject, count, is_told)
    }

    fn persons(&self) -> io::Result<&OpenPersons> {
        let persons = self.shared.persons.as_ref();
        persons.ok_or_else(|| io::Error::other("the server runs without keys"))
    }

    /// Seals the personal values of a submission, on the task of who submits it. Where they can't be
    /// sealed the writer refuses it for that, unless it is recorded already.
    async fn seal(&self, submission: &mut Submission) -> Result<Sealing, SubmitError> {
        match self.keyring() {
            Some(keyring) if submission.holds_personal() => {
                Ok(match keyring.seal(submission).await {
                    Ok(new_keys) => Sealing {
                        new_keys,
                        unsealed: None,
                    },
                    Err(error) => Sealing {
                        unsealed: Some(error),
                        ..Sealing::default()
                    },
                })
            }
            None if submission.holds_personal() || erasure::is_in(submission) => {
                Err(SubmitError::NoKeys)
            }
            _ => Ok(Sealing::default()),
        }
    }

    /// Number of subjects whose erasure is recorded and whose keys are still in the key store, out of
    /// use, since it can't be written. That is tried again every few seconds.
    pub fn keys_to_destroy(&self) -> usize {
        self.shared.owed.count()
    }

    /// Why writing has ended, if it has.
    pub fn writing_has_ended(&self) -> Option<String> {
        self.shared.log.ended()
    }

    /// Position of the newest snapshot; 0 while there is none.
    pub fn snapshot_position(&self) -> u64 {
        self.shared.snapshot_position.load(Ordering::Relaxed)
    }

    /// The day now, in UTC.
    pub fn today(&self) -> Day {
        self.shared.clock.now().day()
    }

    /// The clock, to wait until it was set.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// When the ledger was opened.
    pub fn started_at(&self) -> Moment {
        self.started_at
    }

    /// Folds all views anew from position 0 beside the running ones, puts them in their place, and
    /// compares the two. The views that were folded anew run from then on, equal or not.
    ///
    /// # Errors
    /// A log that can't be read; the views then stay as they are.
    pub async fn rebuild(&self) -> Result<Rebuilt, RebuildError> {
        let queue = || self.queue().map_err(|_| RebuildError::Stopped);
        rebuild::rebuild(&self.shared, queue).await
    }

    /// Stops in good order: finishes what is in the queue, writes a snapshot, closes the log.
    /// Blocks; may be called again.
    pub fn shut_down(&self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        drop(
            self.queue
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        let _ = self.stop_keeper.send(());
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        if threads.is_empty() {
            return;
        }
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the ledger ended in a panic");
            }
        }
        keeper::write_snapshot(&self.shared);
        keeper::record_keys(&self.shared);
        keeper::record_disclosures(&self.shared);
        if let Some(keyring) = self.keyring() {
            keyring.close();
        }
        if let Err(error) = self.shared.log.close() {
            tracing::error!(%error, "the log was not closed in good order");
        }
    }

    fn queue(&self) -> Result<mpsc::Sender<Work>, SubmitError> {
        let queue = self
            .queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        queue.ok_or_else(|| self.writing_ended())
    }

    fn writing_ended(&self) -> SubmitError {
        let stopping = || "the server is shutting down".to_owned();
        SubmitError::WritingEnded {
            cause: self.shared.log.ended().unwrap_or_else(stopping),
        }
    }

    /// Waits for room in the queue for a submission.
    async fn place(&self, submission: &Submission) -> Result<Place, SubmitError> {
        let queue = self.queue()?;
        let room = Arc::clone(&self.queue_bytes)
            .acquire_many_owned(units_of(submission))
            .await
            .map_err(|_| self.writing_ended())?;
        let place = queue.reserve_owned().await;
        let place = place.map_err(|_| self.writing_ended())?;
        Ok(Place { place, room })
    }

    /// Begins to read what a submission was told when it was recorded, off the writer's path, and
    /// waits for it.
    fn stored_answer(
        &self,
        known: Known,
    ) -> impl Future<Output = Result<SubmitEventsResponse, SubmitError>> + Send + use<> {
        let shared = Arc::clone(&self.shared);
        let stopped = self.writing_ended();
        let stored = tokio::task::spawn_blocking(move || {
            let stored = stored::answer(shared.log.as_ref(), &known)?;
            let stored = stored.ok_or_else(|| {
                // The views took it for another submission. From now on they don't, so that it is
                // judged when it is sent again, as a client then does.
                shared.views_mut().note_unrecorded(known.request_id);
                SubmitError::RequestIdConfused
            })?;
            // An erasure is not done before the keys are destroyed, however often it is sent.
            if shared.owed.includes_any(&stored.erased) {
                let destroyed = shared.destroy_keys(&stored.erased);
                destroyed.map_err(|cause| SubmitError::KeysNotDestroyed { cause })?;
            }
            Ok(stored.answer)
        });
        async move { stored.await.unwrap_or(Err(stopped)) }
    }

    /// The writer is gone without an answer: what became of the submission is not known.
    fn unanswered(&self) -> SubmitError {
        let cause = "the writer stopped before it answered".to_owned();
        let cause = self.shared.log.ended().unwrap_or(cause);
        SubmitError::OutcomeUnknown { cause }
    }
}

/// Room in the queue for a submission.
struct Place {
    place: mpsc::OwnedPermit<Work>,
    room: OwnedSemaphorePermit,
}

impl Place {
    fn take(self, submission: Submission, sealing: Sealing, recorder: Arc<Recorder>, reply: Reply) {
        self.place.send(Work::Submission(Job {
            submission,
            sealing,
            recorder,
            reply,
            room: self.room,
        }));
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.shut_down();
    }
}

impl Shared {
    fn keyring(&self) -> Option<&Keyring> {
        self.persons.as_ref().map(|persons| &persons.keyring)
    }

    /// Destroys the keys of subjects whose erasure is durable. Blocks.
    fn destroy_keys(&self, subjects: &[Uuid]) -> Result<(), String> {
        match self.keyring() {
            Some(keyring) if !subjects.is_empty() => self.owed.destroy(keyring, subjects),
            _ => Ok(()),
        }
    }

    fn views(&self) -> RwLockReadGuard<'_, Views> {
        // A poisoned lock means that a fold panicked, which folding never does.
        self.views.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn views_mut(&self) -> std::sync::RwLockWriteGuard<'_, Views> {
        self.views.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn units_of(submission: &Submission) -> u32 {
    u32::try_from(submission.encoded_len.div_ceil(QUEUE_UNIT_BYTES)).unwrap_or(u32::MAX)
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, OpenError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map_err(OpenError::Thread)
}
