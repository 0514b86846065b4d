//! What can go wrong with keys.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

/// Why a key store can't be opened or written.
#[derive(Debug)]
pub enum KeyError {
    /// The system failed at a file or folder.
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Another process uses the key store.
    Locked {
        /// The folder.
        folder: PathBuf,
    },
    /// There is no key store in the folder.
    NoStore {
        /// The folder.
        folder: PathBuf,
    },
    /// The file is no key store, or one of a newer version.
    NotAKeyStore {
        /// The file.
        path: PathBuf,
    },
    /// There is no master key where one was looked for.
    MasterKey {
        /// Where.
        source: String,
        /// What is wrong, and what would be right.
        fault: String,
    },
    /// The master key is not the one under which the store's keys are wrapped.
    WrongMasterKey {
        /// The store's folder.
        folder: PathBuf,
    },
    /// Slots of the store were damaged, or its end was cut off, since a start last told it what the log
    /// says.
    Damaged {
        /// The store's folder.
        folder: PathBuf,
        /// How many slots are damaged.
        slots: usize,
    },
    /// The system gave no random bytes.
    Random {
        /// What it said.
        cause: String,
    },
    /// The store holds more keys than it can.
    Full,
    /// A thread could not be started.
    Thread(io::Error),
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io {
                action,
                path,
                cause,
            } => write!(f, "can't {action} {}: {cause}", path.display()),
            Self::Locked { folder } => write!(
                f,
                "the key store {} is in use by another process: end that first",
                folder.display()
            ),
            Self::NoStore { folder } => write!(f, "there are no keys in {}", folder.display()),
            Self::NotAKeyStore { path } => write!(
                f,
                "{} is no key store of this version of casetrail: give the folder of the log's own \
                 keys",
                path.display()
            ),
            Self::MasterKey { source, fault } => write!(f, "the master key from {source} {fault}"),
            Self::WrongMasterKey { folder } => write!(
                f,
                "the master key is not the one under which the keys in {} are wrapped: give that one",
                folder.display()
            ),
            Self::Damaged { folder, slots } => write!(
                f,
                "the key store {} was damaged since a server last started with it ({slots} slots, or \
                 its end is cut off): start the server with it once, which mends what the log tells, \
                 or put a copy of it back",
                folder.display()
            ),
            Self::Random { cause } => write!(f, "the system gives no random bytes: {cause}"),
            Self::Full => write!(f, "the key store is full: it holds 2^32 keys"),
            Self::Thread(cause) => write!(f, "a thread can't be started: {cause}"),
        }
    }
}

impl std::error::Error for KeyError {}

/// Makes the error of what was tried with a file or folder.
pub(super) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeyError {
    move |cause| KeyError::Io {
        action,
        path: path.to_path_buf(),
        cause,
    }
}

/// Why personal values can't be sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SealError {
    /// The subject's data was erased.
    Erased {
        /// The subject.
        subject: Uuid,
    },
    /// The key store can't be read or written.
    Unavailable {
        /// Why.
        cause: String,
    },
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Erased { subject } => write!(
                f,
                "the personal data of subject {subject} was erased: no further value is taken under \
                 this subject_id"
            ),
            Self::Unavailable { cause } => write!(f, "the key store can't be used: {cause}"),
        }
    }
}

impl std::error::Error for SealError {}
