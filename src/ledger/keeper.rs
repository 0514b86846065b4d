//! The keeper: one thread that now and then records the high-water marks of the log and of the record
//! of disclosures, repeats in the key store whose the keys are, tries again to destroy keys that are
//! owed, and writes a snapshot of the views. None of it holds up the writer, but for a commit that erases.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::{Shared, keys, recovery};

/// How often the keeper looks.
const INTERVAL: Duration = Duration::from_secs(5);

/// A snapshot is due once so many records came since the newest one, and they are at least this
/// share of all: a start then folds at most that share, and snapshots cost a bounded share of all
/// work however long the log grows.
const RECORDS_MIN: u64 = 50_000;
const SHARE_MIN: u64 = 20;

/// Runs until it is told to stop.
pub(super) fn run(shared: &Shared, stop: &Receiver<()>) {
    let mut marked = shared.log.head();
    let mut keys_at = marked;
    while stop.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
        record_disclosures(shared);
        let head = shared.log.head();
        if (head != keys_at || shared.owed.count() > 0) && record_keys(shared) {
            keys_at = head;
        }
        if head == marked {
            continue;
        }
        match shared.log.record_mark() {
            Ok(()) => marked = head,
            Err(error) => tracing::warn!(%error, "the high-water mark was not recorded"),
        }
        let since = head.saturating_sub(shared.snapshot_position.load(Ordering::Relaxed));
        if since >= RECORDS_MIN.max(head / SHARE_MIN) {
            write_snapshot(shared);
        }
    }
}

/// Destroys the keys that are owed, and repeats in the key store what the records so far say of keys.
/// False where that is to be tried again.
pub(super) fn record_keys(shared: &Shared) -> bool {
    let Some(keyring) = shared.keyring() else {
        return true;
    };
    // The keyring is told of what is recorded before the views are, so that it knows of all before this;
    // and what it erases was destroyed, or is owed.
    let position = shared.views().position();
    if !shared.owed.settle(keyring) {
        // The mark stays before it, so that a restart destroys what is owed.
        return false;
    }
    let recorded = match keys::mark(shared.log.as_ref(), position) {
        Ok(mark) => keyring.record(mark).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = &recorded {
        tracing::warn!(%error, "the key store was not told how far the log has come");
    }
    recorded.is_ok()
}

/// Records how many disclosures are durable by now.
pub(super) fn record_disclosures(shared: &Shared) {
    if let Some(persons) = &shared.persons
        && let Err(error) = persons.disclosures.record_mark()
    {
        tracing::warn!(%error, "the mark of the record of disclosures was not written");
    }
}

/// Writes a snapshot, if there is anything new to write.
pub(super) fn write_snapshot(shared: &Shared) {
    let Some(file) = &shared.snapshot else { return };
    let position = shared.views().position();
    if position == shared.snapshot_position.load(Ordering::Relaxed) {
        return;
    }
    let began = Instant::now();
    let anchor = |position| {
        recovery::anchor(shared.log.as_ref(), position)
            .map_err(|error| io::Error::other(error.to_string()))
    };
    match file.write(&shared.views, anchor) {
        Ok(position) => {
            shared.snapshot_position.store(position, Ordering::Relaxed);
            let milliseconds = began.elapsed().as_millis();
            tracing::info!(position, milliseconds, "a snapshot of the views is written");
        }
        // A start without it takes longer and loses nothing.
        Err(error) => tracing::warn!(%error, "no snapshot of the views was written"),
    }
}
