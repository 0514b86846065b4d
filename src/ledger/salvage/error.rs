//! Why a salvage can't be made.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::log::{AppendError, OpenError};

/// Why a salvage was not made. The damaged folder is as it was, and the new one is not there.
#[derive(Debug)]
pub enum SalvageError {
    /// The damaged folder can't be read.
    Source(OpenError),
    /// The log has no whole block at all.
    NothingFound {
        /// The log's folder.
        folder: PathBuf,
    },
    /// There is something where the new folder should be.
    TargetTaken {
        /// Its path.
        path: PathBuf,
    },
    /// The new folder would be within the damaged one.
    TargetWithin {
        /// Its path.
        path: PathBuf,
        /// The damaged folder.
        data: PathBuf,
    },
    /// A salvage into this folder began and was not finished.
    Unfinished {
        /// What it left.
        path: PathBuf,
    },
    /// The new folder can't be made.
    Target(OpenError),
    /// The new log can't be written.
    Append(AppendError),
    /// The system failed.
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

impl SalvageError {
    /// Makes the error of what was tried with a file or folder.
    pub(super) fn io(action: &'static str, path: &Path) -> impl Fn(io::Error) -> Self + use<> {
        let path = path.to_path_buf();
        move |cause| Self::Io {
            action,
            path: path.clone(),
            cause,
        }
    }
}

impl fmt::Display for SalvageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(error) => write!(f, "{error}"),
            Self::NothingFound { folder } => write!(
                f,
                "there is no whole block in {}: nothing can be lifted out of it, and nothing was \
                 written; restore from a backup",
                folder.display()
            ),
            Self::TargetTaken { path } => write!(
                f,
                "{} is not empty, and nothing is written over: name a new folder",
                path.display()
            ),
            Self::TargetWithin { path, data } => write!(
                f,
                "{} is within {}, which is not to be changed: name a folder elsewhere",
                path.display(),
                data.display()
            ),
            Self::Unfinished { path } => write!(
                f,
                "{} was left by a salvage that was not finished: remove it, and try again",
                path.display()
            ),
            Self::Target(error) => write!(f, "the new folder can't be made: {error}"),
            Self::Append(error) => write!(
                f,
                "the new log can't be written: {error}; the folder is not finished: remove it, and \
                 try again"
            ),
            Self::Io {
                action,
                path,
                cause,
            } => write!(f, "can't {action} {}: {cause}", path.display()),
        }
    }
}

impl std::error::Error for SalvageError {}
