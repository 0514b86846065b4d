//! What all streams of answers share: a short queue between the task that makes the answers and
//! the wire, the ways in which a stream ends, and reading blocks off the async threads.
//!
//! Invariants: a client that reads slowly stops its own task and nothing else, and what waits for
//! it is bounded. A task ends when the term of its caller does, whether or not anybody reads. A stream that the server ends tells why, and from where to resume.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use std::vec;

use futures_util::Stream;
use futures_util::future::{Fuse, FutureExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use tonic::{Code, Status};

use super::Shared;
use super::call::{blocking, log_end};
use super::status::Failure;
use crate::access::{Identity, Term};
use crate::log::Log;
use crate::wire::block::RecordBlock;
use crate::wire::limits::{OPEN_STREAMS_MAX, PROGRESS_INTERVAL};

/// How many portions of answers wait at most for the wire.
const PORTIONS_WAITING_MAX: usize = 4;

/// How many answers of a watch go to the wire at once.
pub(super) const ANSWERS_AT_ONCE_MAX: usize = 64;

/// The most bytes of blocks that a stream reads at once.
pub(super) const READ_BYTES_MAX: usize = 256 * 1024;

/// How many reads are under way for a stream that reads ahead.
const READS_AHEAD: usize = 2;

/// How long a stream that the server ends waits for room to say why.
const LAST_WORD_WAIT_MAX: Duration = Duration::from_secs(5);

/// The answers of a stream, as tonic takes them: one by one, out of the portions in which they are
/// made.
#[derive(Debug)]
pub(super) struct Answers<T> {
    portions: mpsc::Receiver<Portion<T>>,
    portion: vec::IntoIter<T>,
}

/// Answers that go to the wire together, or the status that ends the stream.
type Portion<T> = Result<Vec<T>, Status>;

impl<T: Unpin> Stream for Answers<T> {
    type Item = Result<T, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(answer) = self.portion.next() {
                return Poll::Ready(Some(Ok(answer)));
            }
            match ready!(self.portions.poll_recv(context)) {
                Some(Ok(portion)) => self.portion = portion.into_iter(),
                Some(Err(status)) => return Poll::Ready(Some(Err(status))),
                None => return Poll::Ready(None),
            }
        }
    }
}

/// The server's places for open streams.
#[derive(Debug)]
pub(super) struct StreamPlaces {
    for_all: Arc<Semaphore>,
    to_submit: Arc<Semaphore>,
}

impl StreamPlaces {
    /// So many for all streams, and so many more for streams of submissions alone.
    pub(super) fn new(for_all: usize, to_submit: usize) -> Self {
        Self {
            for_all: Arc::new(Semaphore::new(for_all)),
            to_submit: Arc::new(Semaphore::new(to_submit)),
        }
    }

    fn take(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.for_all).try_acquire_owned().ok()
    }

    fn take_to_submit(&self) -> Option<OwnedSemaphorePermit> {
        let kept = Arc::clone(&self.to_submit).try_acquire_owned();
        kept.ok().or_else(|| self.take())
    }
}

/// Comes when the term of a caller is over. It is one for all waits of a stream, each of which would
/// subscribe to changes anew otherwise.
type TermEnd = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

/// Why a stream ends before it is complete.
#[derive(Debug)]
pub(super) enum Stop {
    /// The client has gone.
    ClientGone,
    /// The server is shutting down.
    ShuttingDown,
    /// What identified the caller no longer holds.
    TermOver,
    /// Something failed.
    Failed(Failure),
    /// The client's side of the stream broke off, or held what is no message of the protocol.
    Broken(Status),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// The end of a stream into which its task puts the answers. It holds one of the server's places
/// for streams until it is dropped.
pub(super) struct Outlet<T> {
    sender: mpsc::Sender<Portion<T>>,
    shutdown: watch::Receiver<bool>,
    term: Term,
    /// Comes when the term is over.
    over: Fuse<TermEnd>,
    next_position: Option<u64>,
    opened_at: Instant,
    _place: OwnedSemaphorePermit,
}

impl<T> Outlet<T> {
    /// Opens a stream for a caller, if the server has a place for it.
    pub(super) fn open(shared: &Shared, caller: &Identity) -> Result<(Self, Answers<T>), Failure> {
        Self::open_at(shared.stream_places.take(), shared, caller)
    }

    /// The same for a stream of submissions, for which places are kept.
    pub(super) fn open_to_submit(
        shared: &Shared,
        caller: &Identity,
    ) -> Result<(Self, Answers<T>), Failure> {
        Self::open_at(shared.stream_places.take_to_submit(), shared, caller)
    }

    fn open_at(
        place: Option<OwnedSemaphorePermit>,
        shared: &Shared,
        caller: &Identity,
    ) -> Result<(Self, Answers<T>), Failure> {
        let place = place.ok_or_else(|| Failure::too_many_streams(OPEN_STREAMS_MAX))?;
        let (sender, receiver) = mpsc::channel(PORTIONS_WAITING_MAX);
        let term = Term::of(shared.access.as_ref(), caller);
        let over: TermEnd = Box::pin(term.clone().over());
        let outlet = Self {
            sender,
            shutdown: shared.shutdown.clone(),
            over: over.fuse(),
            term,
            next_position: None,
            opened_at: Instant::now(),
            _place: place,
        };
        let answers = Answers {
            portions: receiver,
            portion: Vec::new().into_iter(),
        };
        Ok((outlet, answers))
    }

    /// The position from which the client may resume, where it has received nothing yet.
    pub(super) fn resume_from(&mut self, next_position: u64) {
        self.next_position = Some(next_position);
    }

    /// Sends a portion of answers, after which the client may resume from `next_position`; waits
    /// while the client is slow.
    pub(super) async fn send(&mut self, portion: Vec<T>, next_position: u64) -> Result<(), Stop> {
        self.send_on(portion).await?;
        self.next_position = Some(next_position);
        Ok(())
    }

    /// Sends a portion of answers that tell themselves with what to resume; waits while the client
    /// is slow.
    pub(super) async fn send_on(&mut self, portion: Vec<T>) -> Result<(), Stop> {
        if self.term.is_over() {
            return Err(Stop::TermOver);
        }
        tokio::select! {
            biased;
            _ = self.shutdown.wait_for(|stopped| *stopped) => Err(Stop::ShuttingDown),
            sent = self.sender.send(Ok(portion)) => sent.map_err(|_| Stop::ClientGone),
            () = &mut self.over => Err(Stop::TermOver),
        }
    }

    /// Room for a portion of answers; waits while the client is slow.
    pub(super) async fn reserve(&self) -> Result<mpsc::Permit<'_, Portion<T>>, Stop> {
        self.sender.reserve().await.map_err(|_| Stop::ClientGone)
    }

    /// The term of the caller.
    pub(super) fn term(&self) -> Term {
        self.term.clone()
    }

    /// Waits until the server is shutting down.
    pub(super) async fn shutdown(&self) {
        super::stopped(self.shutdown.clone()).await;
    }

    /// Waits until the head lies beyond `position`, or until `deadline`.
    pub(super) async fn wait(
        &mut self,
        heads: &mut watch::Receiver<u64>,
        position: u64,
        deadline: Instant,
    ) -> Result<(), Stop> {
        tokio::select! {
            biased;
            _ = self.shutdown.wait_for(|stopped| *stopped) => Err(Stop::ShuttingDown),
            () = self.sender.closed() => Err(Stop::ClientGone),
            () = &mut self.over => Err(Stop::TermOver),
            head = heads.wait_for(|head| *head > position) => {
                // The ledger tells of heads as long as it lives.
                head.map(drop).map_err(|_| Stop::ShuttingDown)
            }
            () = sleep_until(deadline) => Ok(()),
        }
    }

    /// Ends the stream: what stopped it is told to the client, and logged.
    pub(super) async fn finish(self, method: &'static str, result: Result<(), Stop>) {
        let failure = match result {
            Ok(()) => None,
            Err(Stop::ClientGone) => {
                log_end(
                    method,
                    self.opened_at,
                    Code::Cancelled,
                    None,
                    self.next_position,
                );
                return;
            }
            Err(Stop::Broken(status)) => {
                log_end(
                    method,
                    self.opened_at,
                    status.code(),
                    None,
                    self.next_position,
                );
                // Nothing reads it where the connection broke off.
                self.sender.try_send(Err(status)).ok();
                return;
            }
            Err(Stop::TermOver) => Some(Failure::unauthenticated()),
            Err(Stop::ShuttingDown) => Some(Failure::shutting_down(self.next_position)),
            Err(Stop::Failed(failure)) => Some(failure),
        };
        let code = failure.as_ref().map_or(Code::Ok, Failure::code);
        let cause = failure.as_ref().and_then(Failure::cause);
        log_end(method, self.opened_at, code, cause, self.next_position);
        if let Some(failure) = failure {
            let last_word = self.sender.send(Err(failure.into_status()));
            // A client that reads nothing until then learns of the end when the connection closes.
            timeout(LAST_WORD_WAIT_MAX, last_word).await.ok();
        }
    }
}

/// Tells when the next sign of life is due: one goes out every few seconds, whatever else does.
#[derive(Debug)]
pub(super) struct Heartbeat {
    due: Instant,
}

impl Heartbeat {
    /// The first sign is due one interval from now.
    pub(super) fn new() -> Self {
        Self {
            due: Instant::now() + PROGRESS_INTERVAL,
        }
    }

    /// When the next sign is due.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// Whether a sign is due; if so the next one is, one interval from now.
    pub(super) fn beats(&mut self) -> bool {
        let now = Instant::now();
        let beats = now >= self.due;
        if beats {
            self.due = now + PROGRESS_INTERVAL;
        }
        beats
    }
}

/// Reads the log for one stream, up to what readers may see.
#[derive(Clone)]
pub(super) struct Reader {
    log: Arc<dyn Log>,
    heads: watch::Receiver<u64>,
}

impl Reader {
    /// A reader of the log.
    pub(super) fn new(shared: &Shared) -> Self {
        Self {
            log: Arc::clone(shared.ledger.log()),
            heads: shared.heads(),
        }
    }

    /// The head.
    pub(super) fn head(&self) -> u64 {
        *self.heads.borrow()
    }

    /// The heads, to wait for the next one.
    pub(super) fn heads(&mut self) -> &mut watch::Receiver<u64> {
        &mut self.heads
    }

    /// Reads whole blocks from the one that holds `from` on, up to `head`; none at the head.
    pub(super) async fn read(
        &self,
        from: u64,
        head: u64,
        bytes_max: usize,
    ) -> Result<Vec<RecordBlock>, Failure> {
        if from >= head {
            return Ok(Vec::new());
        }
        let mut blocks = match self.log.recent(from, bytes_max) {
            Some(blocks) => blocks,
            None => {
                let log = Arc::clone(&self.log);
                blocking(move || log.read(from, bytes_max)).await??
            }
        };
        // The log may be a commit ahead of what readers may see. A head never lies inside a block.
        blocks.retain(|block| block.end_position() <= head);
        Ok(blocks)
    }
}

/// Reads on while what was read before is sent. Two reads are under way at a time, since most of a
/// read is work of the database on one core: where the second begins is a guess, made so that the
/// two overlap a little. One that leaves a gap is thrown away.
pub(super) struct ReadAhead {
    reader: Reader,
    under_way: VecDeque<Reading>,
}

/// A read that is under way.
struct Reading {
    from: u64,
    blocks: JoinHandle<Result<Vec<RecordBlock>, Failure>>,
}

impl ReadAhead {
    /// Nothing is read yet.
    pub(super) fn new(reader: Reader) -> Self {
        Self {
            reader,
            under_way: VecDeque::new(),
        }
    }

    /// The reader that it reads by.
    pub(super) fn reader(&mut self) -> &mut Reader {
        &mut self.reader
    }

    /// The next whole blocks from the one that holds `position` on; none at the head, or where all
    /// that was read lies before. What follows `end` is not read ahead.
    pub(super) async fn next(
        &mut self,
        position: u64,
        end: u64,
    ) -> Result<Vec<RecordBlock>, Failure> {
        let head = self.reader.head();
        let first = self.under_way.pop_front();
        let mut blocks = match first.filter(|reading| reading.from <= position) {
            Some(reading) => reading.blocks.await.map_err(Failure::internal)??,
            None => {
                self.under_way.clear();
                self.reader.read(position, head, READ_BYTES_MAX).await?
            }
        };
        if let (Some(first), Some(last)) = (blocks.first(), blocks.last()) {
            let records = last.end_position().saturating_sub(first.first_position());
            self.begin(last.end_position(), records, head, end);
        }
        blocks.retain(|block| block.end_position() > position);
        Ok(blocks)
    }

    /// Begins to read what follows `position`, if a read brings about so many records.
    fn begin(&mut self, position: u64, records: u64, head: u64, end: u64) {
        let step = records.saturating_sub(records / 16).max(1);
        while self.under_way.len() < READS_AHEAD {
            let newest = self.under_way.back();
            let from = newest.map_or(position, |newest| newest.from.saturating_add(step));
            if from >= head.min(end) {
                return;
            }
            let reader = self.reader.clone();
            let blocks = tokio::spawn(async move { reader.read(from, head, READ_BYTES_MAX).await });
            self.under_way.push_back(Reading { from, blocks });
        }
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
