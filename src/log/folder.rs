//! The data folder: one server's files, and nobody else's.
//!
//! ```text
//! DIR/FORMAT        the version of the folder's format, in words
//! DIR/LOCK          locked by the server that uses the folder
//! DIR/log/          the log's database
//! DIR/mark          the position below which the log may not come back
//! DIR/opened        how many records there were when the log was last opened
//! DIR/clean         there while the log is closed in good order
//! DIR/safety-copy/  the log as it was before the last start after another stop; may be deleted
//! DIR/views/        snapshots of the views; may be deleted
//! ```
//!
//! Invariants: a folder that isn't ours, or is of a newer format, is refused before anything in it
//! is touched, and one that is belongs to its owner alone. At most one process has a folder open. What is created here is durable before
//! anything is built on it. This module deliberately does not know what the log and the snapshots
//! look like.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::error::OpenError;
use super::files::{self, failed};
use super::mark::HighWaterMark;
use super::safety_copy::SafetyCopy;

/// The version of the format that this build writes, and the newest that it reads.
pub const FORMAT_VERSION: u32 = 1;

pub(super) const FORMAT: &str = "FORMAT";
const FORMAT_ASIDE: &str = "FORMAT.new";
pub(super) const LOCK: &str = "LOCK";
pub(super) const LOG: &str = "log";
pub(super) const MARK: &str = "mark";
pub(super) const OPENED: &str = "opened";
const CLEAN: &str = "clean";
const CLEAN_ASIDE: &str = "clean.new";
pub(super) const VIEWS: &str = "views";

/// An open data folder, locked for as long as this lives.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    /// Holds the lock; the system gives it up when the process dies.
    lock: File,
}

impl DataFolder {
    /// Opens a data folder, or makes one of an empty or missing folder.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        create_private_folder(path)?;
        let path = fs::canonicalize(path).map_err(failed("find", path))?;
        if !has_format(&path)? {
            refuse_unless_empty(&path)?;
        }
        let lock = lock(&path)?;
        // Looked at once more: another server may have made the folder its own until now.
        if !has_format(&path)? {
            let format = path.join(FORMAT);
            files::replace(&format, &path.join(FORMAT_ASIDE), format_text().as_bytes())?;
        }
        narrow(&path)?;
        create_private_folder(&path.join(LOG))?;
        create_private_folder(&path.join(VIEWS))?;
        files::sync(&path)?;
        Ok(Self { path, lock })
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of the log's database.
    pub fn log_path(&self) -> PathBuf {
        self.path.join(LOG)
    }

    /// The folder of the views' snapshots.
    pub fn views_path(&self) -> PathBuf {
        self.path.join(VIEWS)
    }

    /// The position below which the log may not come back.
    pub fn mark(&self) -> HighWaterMark {
        HighWaterMark::at(self.path.join(MARK))
    }

    /// How many records were durable when the log was last opened: what came since is what opening
    /// it reads, and what it cuts off where it can't.
    pub fn opened(&self) -> HighWaterMark {
        HighWaterMark::at(self.path.join(OPENED))
    }

    /// The copy of the log that `serve --safety-copy` makes.
    pub fn safety_copy(&self) -> SafetyCopy {
        SafetyCopy::of(self.path.clone())
    }

    /// Whether the log was closed in good order, and not opened since.
    pub(super) fn is_clean(&self) -> bool {
        self.path.join(CLEAN).exists()
    }

    /// Notes that the log is closed in good order.
    pub(super) fn set_clean(&self) -> Result<(), OpenError> {
        let text = b"The log was closed in good order.\n";
        files::replace(&self.path.join(CLEAN), &self.path.join(CLEAN_ASIDE), text)
    }

    /// Takes that note away, before the log is changed.
    pub(super) fn set_not_clean(&self) -> Result<(), OpenError> {
        files::remove_if_there(&self.path.join(CLEAN))?;
        files::sync(&self.path)
    }
}

impl Drop for DataFolder {
    /// Closing the file would not be enough while a process that was just forked still has it.
    fn drop(&mut self) {
        if let Err(cause) = self.lock.unlock() {
            tracing::warn!(%cause, "the data folder can't be unlocked");
        }
    }
}

fn format_text() -> String {
    format!(
        "casetrail data folder\n\
         format: {FORMAT_VERSION}\n\
         \n\
         This folder belongs to casetrail. Its log is the only record of what was submitted:\n\
         back the folder up as a whole, and change nothing in it by hand.\n"
    )
}

/// Whether the folder says that it is ours and of a format that we know; an error if it says
/// something else.
pub(super) fn has_format(folder: &Path) -> Result<bool, OpenError> {
    let path = folder.join(FORMAT);
    let Some(content) = files::read_if_there(&path)? else {
        return Ok(false);
    };
    let text = String::from_utf8_lossy(&content);
    let mut lines = text.lines();
    let title = lines.next();
    let version = lines.next().and_then(|line| line.strip_prefix("format: "));
    match (
        title,
        version.and_then(|version| version.parse::<u32>().ok()),
    ) {
        (Some("casetrail data folder"), Some(FORMAT_VERSION)) => Ok(true),
        (Some("casetrail data folder"), Some(found)) if found > FORMAT_VERSION => {
            let folder = folder.to_path_buf();
            Err(OpenError::NewerFormat {
                folder,
                found,
                supported: FORMAT_VERSION,
            })
        }
        _ => Err(OpenError::FormatUnreadable { path }),
    }
}

/// What a server that died while it made the folder can leave behind counts as empty.
fn refuse_unless_empty(folder: &Path) -> Result<(), OpenError> {
    let entries = fs::read_dir(folder).map_err(failed("read", folder))?;
    for entry in entries {
        let name = entry.map_err(failed("read", folder))?.file_name();
        if name != LOCK && name != FORMAT_ASIDE {
            return Err(OpenError::NotOurs {
                folder: folder.to_path_buf(),
            });
        }
    }
    Ok(())
}

fn lock(folder: &Path) -> Result<File, OpenError> {
    let path = folder.join(LOCK);
    let opened = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path);
    try_lock(opened.map_err(failed("open", &path))?, folder)
}

pub(super) fn try_lock(file: File, folder: &Path) -> Result<File, OpenError> {
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked {
            folder: folder.to_path_buf(),
        }),
        Err(TryLockError::Error(cause)) => Err(failed("lock", &folder.join(LOCK))(cause)),
    }
}

/// What others than the owner of a folder may do in it.
const OF_OTHERS: u32 = 0o077;

/// Takes from others what they may do in a folder, as folders of earlier versions let them read it.
pub(super) fn narrow(path: &Path) -> Result<(), OpenError> {
    let metadata = fs::metadata(path).map_err(failed("read", path))?;
    let mode = metadata.permissions().mode();
    if mode & OF_OTHERS == 0 {
        return Ok(());
    }
    match fs::set_permissions(path, Permissions::from_mode(mode & !OF_OTHERS)) {
        Ok(()) => tracing::info!(folder = %path.display(), "the folder is its owner's alone now"),
        Err(error) => tracing::warn!(
            folder = %path.display(),
            %error,
            "others than the owner may read the folder, which can't be changed: do so with chmod 700"
        ),
    }
    Ok(())
}

/// Makes the folder, for its owner alone, and those that it is in, durably, if it isn't there.
pub(super) fn create_private_folder(path: &Path) -> Result<(), OpenError> {
    create_folder(path, 0o700)
}

fn create_folder(path: &Path, mode: u32) -> Result<(), OpenError> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        create_folder(parent, 0o777)?;
    }
    match fs::DirBuilder::new().mode(mode).create(path) {
        // Another process may have made it meanwhile.
        Err(cause) if !path.is_dir() => Err(failed("create", path)(cause)),
        _ => files::sync_parent(path),
    }
}
