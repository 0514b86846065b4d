//! sled itself: opened, written durably, read, and let go of. Every call of sled goes through
//! here, and a panic of sled's is told as an error like any other.

use std::fs::{File, OpenOptions};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use bytes::Bytes;

use super::error::{OpenError, ReadError};
use super::files::failed;
use super::sled_files::SledFiles;
use super::sled_segments::SEGMENT_LENGTH;
use super::take_blocks;
use super::waker::Waker;
use crate::wire::block::RecordBlock;

/// How often, and with what pause, is looked whether sled has let go of its file.
const RELEASE_ATTEMPTS: u32 = 1_000;
const RELEASE_PAUSE: Duration = Duration::from_millis(5);

/// An open sled database with our own handle of its file.
///
/// The order of the fields matters: the waker lets go of sled, sled is dropped, and the file then
/// waits for it.
pub(super) struct Database {
    waker: Waker,
    db: sled::Db,
    file: DatabaseFile,
}

impl Database {
    /// Opens the database, or makes a new one. Rule 2: it is as it was and will be; its mode and
    /// the lack of compression are sled's defaults.
    pub(super) fn open(files: &SledFiles, cache_bytes: u64) -> Result<Self, OpenError> {
        let config = sled::Config::new()
            .path(files.folder())
            .cache_capacity(cache_bytes)
            .segment_size(SEGMENT_LENGTH)
            .flush_every_ms(None);
        let db = caught(|| config.open()).map_err(|cause| files.engine_failed(cause))?;
        let waking = db.clone();
        let waker = Waker::start(move || {
            // What it finds is told to those whom it wakes.
            let _ = caught(|| waking.flush());
        });
        let waker = waker.map_err(failed("start a thread for", files.folder()))?;
        let path = files.db();
        let opened = OpenOptions::new().read(true).write(true).open(&path);
        let file = opened.map_err(failed("open", &path))?;
        Ok(Self {
            waker,
            db,
            file: DatabaseFile {
                file,
                abandoned: AtomicBool::new(false),
            },
        })
    }

    /// Rule 1: one batch, then [`Self::sync`]. An error says nothing about what is on the disk.
    pub(super) fn commit(&self, blocks: &[RecordBlock]) -> Result<(), String> {
        let mut batch = sled::Batch::default();
        for block in blocks {
            batch.insert(&block.first_position().to_be_bytes(), &**block.as_bytes());
        }
        self.waker.watch(|| {
            caught(|| self.db.apply_batch(batch))?;
            self.sync()
        })
    }

    /// Makes durable what sled has taken: first sled hands it to the system, and then the system
    /// is made to put it on the disk, which sled never asks for.
    pub(super) fn sync(&self) -> Result<(), String> {
        self.flush()?;
        let synced = self.file.file.sync_data();
        synced.map_err(|cause| format!("the database's file can't be synced: {cause}"))
    }

    /// The first half of [`Self::sync`].
    pub(super) fn flush(&self) -> Result<(), String> {
        caught(|| self.db.flush()).map(|_| ())
    }

    /// The blocks from the one that holds `from` on, before `head`, until `bytes_max`.
    pub(super) fn read(
        &self,
        from: u64,
        head: u64,
        bytes_max: usize,
    ) -> Result<Vec<RecordBlock>, ReadError> {
        let taken = caught(|| {
            let first = self.db.range(..=from.to_be_bytes()).next_back();
            let first = match first.map(|entry| stored(entry, from)) {
                Some(Ok((first, _))) => first,
                Some(Err(error)) => return Ok(Err(error)),
                None => return Ok(Err(ReadError::Missing { position: from })),
            };
            let entries = self.db.range(first.to_be_bytes()..head.to_be_bytes());
            Ok(take_blocks(
                entries.map(|entry| stored(entry, from)),
                from,
                head,
                bytes_max,
            ))
        });
        taken.map_err(|cause| ReadError::Io { cause })?
    }

    /// The head, if the log begins at 0, ends in a whole block and has nothing else beside it.
    pub(super) fn check_ends(&self, files: &SledFiles) -> Result<u64, OpenError> {
        let trees = caught(|| Ok(self.db.tree_names().len()));
        if trees.map_err(|cause| files.engine_failed(cause))? != 1 {
            let cause = "its database holds trees that casetrail does not make".to_owned();
            return Err(files.corrupt(cause));
        }
        let ends = caught(|| {
            let mut entries = self.db.iter();
            Ok((
                entries.next().map(whole_block),
                self.db.iter().next_back().map(whole_block),
            ))
        });
        let (first, last) = ends.map_err(|cause| files.engine_failed(cause))?;
        let (Some(first), Some(last)) = (first, last) else {
            return Ok(0);
        };
        let corrupt = |error: ReadError| files.corrupt(error.to_string());
        match first.map_err(corrupt)?.first_position() {
            0 => Ok(last.map_err(corrupt)?.end_position()),
            first => Err(files.corrupt(format!("its first record is {first} instead of 0"))),
        }
    }

    /// Keeps sled until the process ends, because it failed: its inner state is unknown then, and
    /// dropping it could block, or panic.
    pub(super) fn abandon(&self) {
        self.file.abandoned.store(true, Ordering::Relaxed);
        std::mem::forget(self.db.clone());
    }
}

/// Our own handle of sled's file: a sync through it is one that a power cut respects.
struct DatabaseFile {
    file: File,
    abandoned: AtomicBool,
}

impl Drop for DatabaseFile {
    /// Waits until sled's threads have let go of the file, a moment after sled was dropped: only
    /// then may the data folder be unlocked, and another open it.
    fn drop(&mut self) {
        if self.abandoned.load(Ordering::Relaxed) {
            return;
        }
        for _ in 0..RELEASE_ATTEMPTS {
            // Unlocked at once, not only closed: a process that was just forked may still have it.
            if self.file.try_lock().is_ok() && self.file.unlock().is_ok() {
                return;
            }
            thread::sleep(RELEASE_PAUSE);
        }
        tracing::warn!("the database's file is still in use after it was closed");
    }
}

fn whole_block(
    entry: Result<(sled::IVec, sled::IVec), sled::Error>,
) -> Result<RecordBlock, ReadError> {
    let (key, value) = stored(entry, 0)?;
    let blocks = take_blocks(std::iter::once(Ok((key, value))), key, u64::MAX, 0)?;
    blocks
        .into_iter()
        .next()
        .ok_or(ReadError::Missing { position: key })
}

/// The position and the bytes of a stored block, not copied. sled doesn't say where it failed, so
/// an error names the position from which on was read.
fn stored(
    entry: Result<(sled::IVec, sled::IVec), sled::Error>,
    from: u64,
) -> Result<(u64, Bytes), ReadError> {
    let (key, value) = entry.map_err(|error| match error {
        sled::Error::Corruption { .. } => ReadError::Corrupt {
            position: from,
            cause: error.to_string(),
        },
        _ => ReadError::Io {
            cause: error.to_string(),
        },
    })?;
    let Ok(position) = <[u8; 8]>::try_from(&*key) else {
        let cause = format!("a key of the database has {} bytes instead of 8", key.len());
        return Err(ReadError::Corrupt {
            position: from,
            cause,
        });
    };
    Ok((u64::from_be_bytes(position), Bytes::from_owner(value)))
}

/// Does something with sled, and tells a panic of its as an error.
fn caught<T>(work: impl FnOnce() -> sled::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|cause| cause.to_string()),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(format!(
                "the database gave up: {}",
                text.unwrap_or("it did not say why")
            ))
        }
    }
}
