//! The files of sled's database, seen from outside: what has to be done with them around sled's
//! opening so that a power cut loses nothing (rules 3, 4 and 5 of the log's discipline; each was
//! found by breaking it in constructed power cuts).

use std::fs;
use std::path::{Path, PathBuf};

use super::error::OpenError;
use super::files::{self, failed};

/// The folder of a sled database.
pub(super) struct SledFiles {
    folder: PathBuf,
}

impl SledFiles {
    pub(super) fn in_folder(folder: PathBuf) -> Self {
        Self { folder }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file that holds everything.
    pub(super) fn db(&self) -> PathBuf {
        self.folder.join("db")
    }

    /// Whether nothing was ever written to the database.
    pub(super) fn is_new(&self) -> Result<bool, OpenError> {
        let db = self.db();
        match fs::metadata(&db) {
            Ok(metadata) => Ok(metadata.len() == 0),
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(true),
            Err(cause) => Err(failed("look at", &db)(cause)),
        }
    }

    /// The place in sled's log up to which its newest snapshot of its page table reaches, which is
    /// its name; 0 where there is none.
    pub(super) fn snapshot_reaches(&self) -> Result<u64, OpenError> {
        let snapshots = self.snapshots()?;
        let names = snapshots
            .iter()
            .filter_map(|path| path.file_name()?.to_str());
        let reaches =
            names.filter_map(|name| u64::from_str_radix(name.strip_prefix("snap.")?, 16).ok());
        Ok(reaches.max().unwrap_or(0))
    }

    /// Rule 3: sled never syncs blob files, so there may not be any.
    pub(super) fn refuse_blobs(&self) -> Result<(), OpenError> {
        let folder = self.folder.join("blobs");
        let mut entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(cause) => return Err(failed("read", &folder)(cause)),
        };
        if entries.next().is_some() {
            Err(OpenError::BlobsPresent { folder })
        } else {
            Ok(())
        }
    }

    /// Takes away a `conf` that a power cut tore while the database was made: sled writes to `db`
    /// before `conf` is durable, and would refuse to open with it. It says nothing that we don't say
    /// at each opening. It is for the caller to make sure that the database never came to serve and
    /// holds nothing; a torn `conf` of any other is damage, and left to sled to refuse.
    pub(super) fn forget_torn_conf(&self) -> Result<(), OpenError> {
        let conf = self.conf();
        let Some(content) = files::read_if_there(&conf)? else {
            return Ok(());
        };
        let is_whole = content
            .split_last_chunk()
            .is_some_and(|(text, checksum)| crc32fast::hash(text) == u32::from_le_bytes(*checksum));
        if is_whole {
            Ok(())
        } else {
            files::remove_if_there(&conf)
        }
    }

    /// Rule 4, before sled opens: what it is about to read and to build on is made durable, and
    /// what a crash left half-written is taken away.
    pub(super) fn prepare(&self) -> Result<(), OpenError> {
        files::sync_if_there(&self.db())?;
        let snapshots = self.snapshots()?;
        let (half_written, whole): (Vec<_>, Vec<_>) = snapshots.into_iter().partition(|path| {
            path.extension()
                .is_some_and(|extension| extension == "generating")
        });
        // sled takes a half-written snapshot for a snapshot, and then refuses to open.
        for path in &half_written {
            files::remove_if_there(path)?;
        }
        if self.is_new()? {
            if !whole.is_empty() {
                let cause = "its snapshots are there, but its file db is missing or empty";
                return Err(self.corrupt(cause.to_owned()));
            }
            files::remove_if_there(&self.conf())?;
        }
        for path in &whole {
            files::sync_if_there(path)?;
        }
        files::sync_if_there(&self.conf())?;
        self.sync_folders()
    }

    /// Rule 5, after sled opened and before anything is served: what it wrote is made durable.
    pub(super) fn settle(&self) -> Result<(), OpenError> {
        files::sync(&self.db())?;
        files::sync(&self.conf())?;
        self.sync_folders()
    }

    /// The error of a log that is not what was written.
    pub(super) fn corrupt(&self, cause: String) -> OpenError {
        OpenError::Corrupt {
            folder: self.folder.clone(),
            cause,
        }
    }

    /// The error of sled itself.
    pub(super) fn engine_failed(&self, cause: String) -> OpenError {
        OpenError::Engine {
            folder: self.folder.clone(),
            cause,
        }
    }

    fn conf(&self) -> PathBuf {
        self.folder.join("conf")
    }

    fn sync_folders(&self) -> Result<(), OpenError> {
        files::sync(&self.folder)?;
        files::sync_parent(&self.folder)
    }

    /// sled's snapshots of its page table: `snap.0123ABCD`, and half-written with `.generating`.
    fn snapshots(&self) -> Result<Vec<PathBuf>, OpenError> {
        let entries = fs::read_dir(&self.folder).map_err(failed("read", &self.folder))?;
        let mut snapshots = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed("read", &self.folder))?;
            if entry.file_name().to_string_lossy().starts_with("snap.") {
                snapshots.push(entry.path());
            }
        }
        Ok(snapshots)
    }
}
