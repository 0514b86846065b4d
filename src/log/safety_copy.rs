//! A copy of the log as a stop that was not in good order left it, made before sled opens and
//! writes: whatever opening it makes worse, the copy still has.
//!
//! `DIR/safety-copy` is a data folder itself, so that it can be served and salvaged like any other. Only
//! the newest copy is kept; but one of which no start has succeeded since is not replaced, since the
//! log may have been made worse meanwhile, and a supervisor may start the server over and over.
//! A file system that can share blocks between files (Btrfs, XFS) is asked to, and then a copy takes
//! no time and no room.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::error::OpenError;
use super::files::{self, failed};

const COPY: &str = "safety-copy";
const COPY_ASIDE: &str = "safety-copy.new";
const SUCCEEDED: &str = "a-start-has-succeeded";

/// The safety copy of a data folder, which need not be there.
#[derive(Debug)]
pub struct SafetyCopy {
    data: PathBuf,
}

impl SafetyCopy {
    pub(super) fn of(data: PathBuf) -> Self {
        Self { data }
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.data.join(COPY)
    }

    /// Copies the log and what is known about it, durably, unless the copy that is there has to be
    /// kept.
    pub(super) fn make(&self) -> Result<(), OpenError> {
        let path = self.path();
        if path.is_dir() && !path.join(SUCCEEDED).exists() {
            tracing::warn!(
                copy = %path.display(),
                "the safety copy is kept as it is: no start has succeeded since it was made"
            );
            return Ok(());
        }
        tracing::info!("the last stop was not in good order: copying the log aside");
        let began = Instant::now();
        let aside = self.data.join(COPY_ASIDE);
        remove_folder_if_there(&aside)?;
        let copied = self.copy_to(&aside);
        if copied.is_err() {
            // It takes up room that may be the cause.
            let _ = fs::remove_dir_all(&aside);
        }
        let bytes = copied?;
        remove_folder_if_there(&path)?;
        fs::rename(&aside, &path).map_err(failed("rename", &aside))?;
        files::sync(&self.data)?;
        tracing::info!(
            copy = %path.display(),
            bytes,
            milliseconds = began.elapsed().as_millis(),
            "the log is copied aside"
        );
        Ok(())
    }

    /// Notes that a server came to serve, so that the copy may be replaced after the next stop that
    /// is not in good order.
    pub fn start_succeeded(&self) -> Result<(), OpenError> {
        let path = self.path();
        let note = path.join(SUCCEEDED);
        if !path.is_dir() || note.exists() {
            return Ok(());
        }
        let text =
            b"A server came to serve after this copy was made, so that it may be replaced.\n";
        files::replace(&note, &note.with_extension("new"), text)
    }

    fn copy_to(&self, aside: &Path) -> Result<u64, OpenError> {
        // What is copied last makes it a data folder.
        let mut bytes = copy_folder(&self.data.join("log"), &aside.join("log"))?;
        for name in ["mark", "opened", "FORMAT"] {
            let file = self.data.join(name);
            if file.exists() {
                bytes = bytes.saturating_add(copy_file(&file, &aside.join(name))?);
            }
        }
        files::sync(aside)?;
        Ok(bytes)
    }
}

/// Copies a folder with all that is in it, durably; the bytes of its files.
fn copy_folder(from: &Path, to: &Path) -> Result<u64, OpenError> {
    fs::create_dir_all(to).map_err(failed("create", to))?;
    let mut bytes: u64 = 0;
    for entry in fs::read_dir(from).map_err(failed("read", from))? {
        let entry = entry.map_err(failed("read", from))?;
        let (path, copy) = (entry.path(), to.join(entry.file_name()));
        let copied = if path.is_dir() {
            copy_folder(&path, &copy)?
        } else {
            copy_file(&path, &copy)?
        };
        bytes = bytes.saturating_add(copied);
    }
    files::sync(to)?;
    Ok(bytes)
}

fn copy_file(from: &Path, to: &Path) -> Result<u64, OpenError> {
    let bytes = fs::copy(from, to).map_err(failed("copy", from))?;
    files::sync(to)?;
    Ok(bytes)
}

fn remove_folder_if_there(path: &Path) -> Result<(), OpenError> {
    match fs::remove_dir_all(path) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
            Err(failed("remove", path)(cause))
        }
        _ => Ok(()),
    }
}
