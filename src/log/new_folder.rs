//! A data folder that is built and not there until it is complete.
//!
//! ```text
//! DIR/restoring/    the data folder, while it is built
//! DIR/...           its entries, moved up at the end; FORMAT comes last
//! ```
//!
//! Invariants: until the very end `DIR` has no FORMAT and is not empty, so that no server takes it.
//! What is given up is removed. Building inside `DIR` and not beside it lets `DIR` be the root of a
//! file system of its own.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::OpenError;
use super::files::{self, failed};
use super::folder::{self, FORMAT, LOCK};

/// Where in the folder it is built.
pub(super) const BUILDING: &str = "restoring";

/// A data folder that is being built. One that is dropped and not finished is removed.
#[derive(Debug)]
pub struct NewFolder {
    path: PathBuf,
    building: PathBuf,
    /// Whether the folder itself was made for this.
    is_made: bool,
    is_finished: bool,
}

impl NewFolder {
    /// Begins a data folder where there is nothing yet, or an empty folder.
    ///
    /// # Errors
    /// `NotEmpty` where there is something, and the file system's.
    pub fn create(path: &Path) -> Result<Self, OpenError> {
        let is_made = !path.exists();
        folder::create_private_folder(path)?;
        let mut entries = fs::read_dir(path).map_err(failed("read", path))?;
        if entries.next().is_some() {
            return Err(OpenError::NotEmpty {
                folder: path.to_path_buf(),
                is_left_over: path.join(BUILDING).is_dir(),
            });
        }
        let building = path.join(BUILDING);
        folder::narrow(path)?;
        folder::create_private_folder(&building)?;
        Ok(Self {
            path: path.to_path_buf(),
            building,
            is_made,
            is_finished: false,
        })
    }

    /// Where to build it: an empty folder.
    pub fn building(&self) -> &Path {
        &self.building
    }

    /// Gives the folder its name, durably. Nothing in it may be open.
    ///
    /// # Errors
    /// The file system's; there is then no folder.
    pub fn finish(mut self) -> Result<(), OpenError> {
        sync_all(&self.building)?;
        let entries = fs::read_dir(&self.building).map_err(failed("read", &self.building))?;
        for entry in entries {
            let name = entry.map_err(failed("read", &self.building))?.file_name();
            if name != FORMAT && name != LOCK {
                self.move_up(&name)?;
            }
        }
        files::sync(&self.path)?;
        self.move_up(FORMAT.as_ref())?;
        self.is_finished = true;
        files::sync(&self.path)?;
        fs::remove_dir_all(&self.building).map_err(failed("remove", &self.building))?;
        files::sync(&self.path)
    }

    fn move_up(&self, name: &std::ffi::OsStr) -> Result<(), OpenError> {
        let to = self.path.join(name);
        fs::rename(self.building.join(name), &to).map_err(failed("make", &to))
    }
}

impl Drop for NewFolder {
    fn drop(&mut self) {
        if self.is_finished {
            return;
        }
        // The folder was empty, so that all that is in it is ours. What can't be removed has no
        // FORMAT, and is refused by every server.
        let entries = fs::read_dir(&self.path).into_iter().flatten().flatten();
        for entry in entries {
            let path = entry.path();
            let _ = if path.is_dir() {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
        }
        if self.is_made {
            let _ = fs::remove_dir(&self.path);
        }
    }
}

/// Syncs a folder with all that is in it.
fn sync_all(folder: &Path) -> Result<(), OpenError> {
    for entry in fs::read_dir(folder).map_err(failed("read", folder))? {
        let path = entry.map_err(failed("read", folder))?.path();
        if path.is_dir() {
            sync_all(&path)?;
        } else {
            files::sync(&path)?;
        }
    }
    files::sync(folder)
}
