//! Wakes who waits for sled in vain. A write that fails in one of sled's threads is noted there and
//! told without the lock of those who wait for it, so that one of them can miss it and wait for
//! ever. A flush from another thread meets the noted failure and wakes them all (seen once in some
//! ten runs of failing writes; without it the commit, and all behind it, would never be answered).
//!
//! It deliberately does nothing while commits take their usual time.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often is looked, and how long a commit may take before it may be waiting in vain.
const INTERVAL: Duration = Duration::from_secs(1);

/// The thread that wakes; it ends, and is waited for, when this is dropped.
pub(super) struct Waker {
    busy_since: Arc<Mutex<Option<Instant>>>,
    stop: Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Waker {
    /// Starts the thread. `wake` is what wakes.
    pub(super) fn start(wake: impl Fn() + Send + 'static) -> std::io::Result<Self> {
        let busy_since = Arc::new(Mutex::new(None));
        let (stop, stopped) = channel();
        let thread = std::thread::Builder::new()
            .name("sled-waker".to_owned())
            .spawn({
                let busy_since = Arc::clone(&busy_since);
                move || run(&busy_since, &stopped, wake)
            })?;
        Ok(Self {
            busy_since,
            stop,
            thread: Some(thread),
        })
    }

    /// Does work that may wait for sled.
    pub(super) fn watch<T>(&self, work: impl FnOnce() -> T) -> T {
        *lock(&self.busy_since) = Some(Instant::now());
        let done = work();
        *lock(&self.busy_since) = None;
        done
    }
}

impl Drop for Waker {
    fn drop(&mut self) {
        let _ = self.stop.send(());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that wakes the database's waiters ended in a panic");
        }
    }
}

fn run(busy_since: &Mutex<Option<Instant>>, stopped: &Receiver<()>, wake: impl Fn()) {
    while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
        let busy_since = *lock(busy_since);
        if busy_since.is_some_and(|since| since.elapsed() >= INTERVAL) {
            wake();
        }
    }
}

fn lock(busy_since: &Mutex<Option<Instant>>) -> std::sync::MutexGuard<'_, Option<Instant>> {
    busy_since.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_in_vain_is_woken_and_who_does_not_is_left_alone() {
        let (woken, wakes) = channel();
        let waker = Waker::start(move || woken.send(()).unwrap()).unwrap();
        for _ in 0..10_000 {
            waker.watch(|| ());
        }
        assert!(wakes.try_recv().is_err());
        // Without a wake this would wait for ever.
        waker.watch(|| wakes.recv().unwrap());
    }
}
