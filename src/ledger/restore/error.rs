//! Why a backup is not restored, with the place in the file.

use std::fmt;

use super::super::audit::Finding;
use crate::log::backup::BackupError;
use crate::log::{AppendError, OpenError};

/// Why nothing was restored.
#[derive(Debug)]
pub enum RestoreError {
    /// A backup is no backup, or damaged.
    Backup {
        /// The backup.
        name: String,
        /// What is wrong with it, and where.
        error: BackupError,
    },
    /// A backup is whole, and its records are not what a ledger would have recorded.
    Finding {
        /// The backup.
        name: String,
        /// The offset in the file, in bytes, of the block.
        offset: u64,
        /// What is wrong.
        finding: Finding,
    },
    /// A backup does not begin where the one before it ended.
    DoesNotFollow {
        /// The backup.
        name: String,
        /// Where it should begin.
        expected: u64,
        /// Where it begins.
        actual: u64,
    },
    /// A backup is of another log than the one before it.
    OtherLog {
        /// The backup.
        name: String,
        /// Where it begins.
        position: u64,
    },
    /// The records add up to other views than the server had.
    OtherViews {
        /// The backup.
        name: String,
        /// The position.
        position: u64,
    },
    /// The backups don't reach the position.
    EndsBefore {
        /// The position.
        until: u64,
        /// Where they end.
        reached: u64,
    },
    /// The new folder can't be made.
    Folder(OpenError),
    /// The records can't be written.
    Append(AppendError),
}

impl fmt::Display for RestoreError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Backup { name, error } => {
                write!(formatter, "{name}: {error}")?;
                if let BackupError::Torn {
                    whole_until: Some(until),
                    ..
                } = error
                {
                    write!(formatter, "; --until {until} restores that")?;
                }
                Ok(())
            }
            Self::Finding {
                name,
                offset,
                finding,
            } => write!(formatter, "{name}: byte {offset}, {finding}"),
            Self::DoesNotFollow {
                name,
                expected,
                actual,
            } => write!(
                formatter,
                "{name}: it begins at position {actual}, and position {expected} is next; name the \
                 backups in order, the first beginning at 0"
            ),
            Self::OtherLog { name, position } => write!(
                formatter,
                "{name}: it continues another log: the record before position {position} differs"
            ),
            Self::OtherViews { name, position } => write!(
                formatter,
                "{name}: its records add up to other views at position {position} than the server \
                 had that was backed up"
            ),
            Self::EndsBefore { until, reached } => write!(
                formatter,
                "the backups end at position {reached}, before position {until}"
            ),
            Self::Folder(error) => write!(formatter, "{error}"),
            Self::Append(error) => write!(formatter, "{error}"),
        }
    }
}

impl std::error::Error for RestoreError {}

impl From<OpenError> for RestoreError {
    fn from(error: OpenError) -> Self {
        Self::Folder(error)
    }
}

impl From<AppendError> for RestoreError {
    fn from(error: AppendError) -> Self {
        Self::Append(error)
    }
}
