//! The data folder of a stopped server, looked at and not changed.
//!
//! Opening the log writes to its files, so that whoever only looks opens a copy. While it is made,
//! the folder is locked against a server. This module deliberately does not know what the files
//! hold.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::error::OpenError;
use super::files::failed;
use super::folder::{self, LOCK};
use super::mark::HighWaterMark;
use super::raw::RawBlocks;
use super::sled_files::SledFiles;

/// The data folder of a stopped server, locked for as long as this lives.
#[derive(Debug)]
pub struct StoppedFolder {
    path: PathBuf,
    /// Holds the lock; none where no server ever had the folder.
    _lock: Option<File>,
}

impl StoppedFolder {
    /// Takes hold of a data folder that exists and that no server uses.
    ///
    /// # Errors
    /// What is no data folder, is of a newer format or in use, and the file system's errors.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        if !path.is_dir() || !folder::has_format(path)? {
            return Err(OpenError::NoDataFolder {
                path: path.to_path_buf(),
            });
        }
        Self::hold(path)
    }

    /// Takes hold of a data folder that no server uses and that may be damaged: what says that it is
    /// one need not be readable.
    ///
    /// # Errors
    /// A folder that is of a newer format or in use, and the file system's errors.
    pub fn open_damaged(path: &Path) -> Result<Self, OpenError> {
        match folder::has_format(path) {
            Ok(_) | Err(OpenError::FormatUnreadable { .. } | OpenError::Io { .. }) => {}
            Err(error) => return Err(error),
        }
        Self::hold(path)
    }

    fn hold(path: &Path) -> Result<Self, OpenError> {
        let path = fs::canonicalize(path).map_err(failed("find", path))?;
        let lock_path = path.join(LOCK);
        let lock = match File::open(&lock_path) {
            Ok(file) => Some(folder::try_lock(file, &path)?),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => None,
            Err(cause) => return Err(failed("open", &lock_path)(cause)),
        };
        Ok(Self { path, _lock: lock })
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of the log's database.
    pub fn log_path(&self) -> PathBuf {
        self.path.join(folder::LOG)
    }

    /// The folder of the views' snapshots.
    pub fn views_path(&self) -> PathBuf {
        self.path.join(folder::VIEWS)
    }

    /// The position below which the log may not come back.
    pub fn mark(&self) -> HighWaterMark {
        HighWaterMark::at(self.path.join(folder::MARK))
    }

    /// How many records were durable when the log was last opened.
    pub fn opened(&self) -> HighWaterMark {
        HighWaterMark::at(self.path.join(folder::OPENED))
    }

    /// How many bytes its files have.
    fn bytes(&self) -> Result<u64, OpenError> {
        let mut bytes: u64 = 0;
        for_each_file(&self.path, Path::new(""), &mut |file, _| {
            let length = fs::metadata(file).map_err(failed("look at", file))?.len();
            bytes = bytes.saturating_add(length);
            Ok(())
        })?;
        Ok(bytes)
    }

    /// Copies all of it into an empty folder.
    ///
    /// # Errors
    /// `NoRoom`, and the file system's.
    pub fn copy_into(&self, target: &Path) -> Result<(), OpenError> {
        let needed = self.bytes()?;
        let room = rustix::fs::statvfs(target)
            .map_err(|cause| failed("look at the room of", target)(cause.into()))?;
        let available = room.f_bavail.saturating_mul(room.f_frsize);
        if available < needed {
            return Err(OpenError::NoRoom {
                folder: target.to_path_buf(),
                available,
                needed,
            });
        }
        for_each_file(&self.path, Path::new(""), &mut |file, relative| {
            let to = target.join(relative);
            if let Some(parent) = to.parent() {
                fs::create_dir_all(parent).map_err(failed("create", parent))?;
            }
            fs::copy(file, &to).map_err(failed("copy", file))?;
            Ok(())
        })
    }

    /// How many records, from position 0 on without a gap, are held by whole blocks somewhere in the
    /// log's file, whatever the database makes of it.
    ///
    /// # Errors
    /// The file system's.
    pub fn whole_records(&self) -> Result<u64, OpenError> {
        let files = SledFiles::in_folder(self.log_path());
        if files.is_new()? {
            return Ok(0);
        }
        let mut next: u64 = 0;
        for block in RawBlocks::search(files.folder())?.blocks() {
            if block.first_position > next {
                break;
            }
            let end = block.first_position.saturating_add(block.count.into());
            next = next.max(end);
        }
        Ok(next)
    }
}

/// Calls `each` with every file, and its name relative to the folder.
fn for_each_file(
    folder: &Path,
    relative: &Path,
    each: &mut dyn FnMut(&Path, &Path) -> Result<(), OpenError>,
) -> Result<(), OpenError> {
    for entry in fs::read_dir(folder).map_err(failed("read", folder))? {
        let entry = entry.map_err(failed("read", folder))?;
        let relative = relative.join(entry.file_name());
        if entry.path().is_dir() {
            for_each_file(&entry.path(), &relative, each)?;
        } else {
            each(&entry.path(), &relative)?;
        }
    }
    Ok(())
}
