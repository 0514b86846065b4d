//! The log in sled 0.34, by a discipline that carries it through a power cut.
//!
//! sled's own `flush()` ends in `sync_file_range` on Linux, which a power cut doesn't respect, and
//! sled takes what it can't read for the end of its log. So:
//! 1. A commit is one batch on one tree, `flush()`, `fdatasync` on our own handle of sled's file,
//!    and only then an answer. A failed step ends writing; a restart recovers.
//! 2. The database is ours alone. No flushing in the background; a segment of 8 MiB, fixed at
//!    creation; a commit stays well under it.
//! 3. No blob files, which sled never syncs (`sled_files`).
//! 4. Before sled opens, its files are synced and left-overs removed (there too).
//! 5. After it opened, its files are synced before anything is served (there too).
//! 6. A log that comes back shorter than the mark is refused, and sled's panics are caught and
//!    told as errors.
//! 7. Blocks describe themselves, so that they can be lifted out of sled's file without sled.
//!
//! A key is a block's first position, 8 bytes big-endian; its value is the block.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::watch;

use super::error::{AppendError, OpenError, ReadError};
use super::folder::DataFolder;
use super::sled_database::Database;
use super::sled_files::SledFiles;
use super::tail::Tail;
use super::{Log, RawBlocks, check_append, preflight};
use crate::wire::block::RecordBlock;

/// What may be chosen about the log.
#[derive(Clone, Copy, Debug)]
pub struct SledOptions {
    /// The size in bytes of sled's cache. It shows up as resident memory.
    pub cache_bytes: u64,
    /// The bytes that stay free on the disk: a full disk is refused before sled meets it.
    pub reserve_bytes: u64,
    /// Whether the log is copied aside before the opening where it was not closed in good order.
    pub safety_copy: bool,
}

impl Default for SledOptions {
    fn default() -> Self {
        Self {
            cache_bytes: 64 * 1024 * 1024,
            reserve_bytes: 64 * 1024 * 1024,
            safety_copy: false,
        }
    }
}

/// A log in sled. The order of the fields matters: the data folder is unlocked last.
pub struct SledLog {
    database: Database,
    head: watch::Sender<u64>,
    tail: Tail,
    /// Held while a commit is made.
    writer: Mutex<()>,
    /// Why writing has ended, once it has.
    ended: OnceLock<String>,
    /// The last position that was recorded as the mark.
    mark: Mutex<u64>,
    reserve_bytes: u64,
    files: SledFiles,
    folder: Arc<DataFolder>,
}

impl SledLog {
    /// Opens the log of a data folder, or makes a new one if there is none.
    pub fn open(folder: Arc<DataFolder>, options: SledOptions) -> Result<Self, OpenError> {
        let files = SledFiles::in_folder(folder.log_path());
        let mark = folder.mark().read()?;
        files.refuse_blobs()?;
        if files.is_new()? {
            refuse_shorter(&files, 0, mark)?;
        } else {
            preflight::check(&files, folder.opened().read()?, mark)?;
            if options.safety_copy && !folder.is_clean() {
                folder.safety_copy().make()?;
            }
        }
        if mark == 0 && !folder.opened().is_there()? && !holds_blocks(&files)? {
            files.forget_torn_conf()?;
        }
        folder.set_not_clean()?;
        files.prepare()?;
        let database = Database::open(&files, options.cache_bytes)?;
        let head = database.check_ends(&files)?;
        refuse_shorter(&files, head, mark)?;
        database
            .flush()
            .map_err(|cause| files.engine_failed(cause))?;
        files.settle()?;
        folder.opened().record(head)?;
        Ok(Self {
            database,
            head: watch::Sender::new(head),
            tail: Tail::default(),
            writer: Mutex::new(()),
            ended: OnceLock::new(),
            mark: Mutex::new(mark),
            reserve_bytes: options.reserve_bytes,
            files,
            folder,
        })
    }

    /// Refuses a commit for which there is no room, so that sled never meets a full disk.
    fn check_space(&self, bytes: usize) -> Result<(), AppendError> {
        let room = rustix::fs::statvfs(self.files.folder()).map_err(|cause| {
            AppendError::SpaceUnknown {
                cause: cause.to_string(),
            }
        })?;
        let available = room.f_bavail.saturating_mul(room.f_frsize);
        let needed = self.reserve_bytes.saturating_add(bytes as u64);
        if available < needed {
            return Err(AppendError::Full { available, needed });
        }
        Ok(())
    }

    /// Ends writing because of a failure.
    fn end(&self, cause: &str) {
        if self.ended.set(cause.to_owned()).is_ok() {
            self.database.abandon();
        }
    }
}

impl Log for SledLog {
    fn append(&self, expected_head: u64, blocks: &[RecordBlock]) -> Result<u64, AppendError> {
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cause) = self.ended() {
            return Err(AppendError::Ended { cause });
        }
        let (new_head, bytes) = check_append(self.head(), expected_head, blocks)?;
        if blocks.is_empty() {
            return Ok(new_head);
        }
        self.check_space(bytes)?;
        if let Err(cause) = self.database.commit(blocks) {
            self.end(&cause);
            return Err(AppendError::OutcomeUnknown { cause });
        }
        self.tail.push(blocks);
        self.head.send_replace(new_head);
        Ok(new_head)
    }

    fn read(&self, from: u64, bytes_max: usize) -> Result<Vec<RecordBlock>, ReadError> {
        // What sled has of a commit that failed, or isn't durable yet, lies at or beyond the head.
        let head = self.head();
        if from >= head {
            return Ok(Vec::new());
        }
        self.database.read(from, head, bytes_max)
    }

    fn recent(&self, from: u64, bytes_max: usize) -> Option<Vec<RecordBlock>> {
        self.tail.read(from, bytes_max)
    }

    fn head(&self) -> u64 {
        *self.head.borrow()
    }

    fn subscribe(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }

    fn ended(&self) -> Option<String> {
        self.ended.get().cloned()
    }

    fn record_mark(&self) -> Result<(), OpenError> {
        let mut mark = self.mark.lock().unwrap_or_else(PoisonError::into_inner);
        let head = self.head();
        if head > *mark {
            self.folder.mark().record(head)?;
            *mark = head;
        }
        Ok(())
    }

    fn close(&self) -> Result<(), OpenError> {
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if self.ended().is_none() {
            if let Err(cause) = self.database.sync() {
                self.end(&cause);
                return Err(self.files.engine_failed(cause));
            }
            self.ended.get_or_init(|| "the log was closed".to_owned());
            self.record_mark()?;
            return self.folder.set_clean();
        }
        self.record_mark()
    }
}

impl std::fmt::Debug for SledLog {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("SledLog")
            .field("folder", &self.folder.path())
            .field("head", &self.head())
            .field("ended", &self.ended())
            .finish_non_exhaustive()
    }
}

/// Whether the database's file holds any whole block.
fn holds_blocks(files: &SledFiles) -> Result<bool, OpenError> {
    Ok(!files.is_new()? && !RawBlocks::search(files.folder())?.blocks().is_empty())
}

/// Rule 6.
fn refuse_shorter(files: &SledFiles, head: u64, mark: u64) -> Result<(), OpenError> {
    if head < mark {
        return Err(OpenError::ShorterThanMark {
            folder: files.folder().into(),
            head,
            mark,
        });
    }
    Ok(())
}
