//! What can be wrong with a backup file, with its place.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::super::error::OpenError;
use super::BACKUP_FORMAT;

/// Why a backup can't be read or written.
#[derive(Debug)]
pub enum BackupError {
    /// The file does not begin as a backup does.
    NotABackup,
    /// A newer version wrote it.
    NewerFormat {
        /// The format of the file.
        found: u32,
    },
    /// Something is not as it was written.
    Damaged {
        /// Offset in the file, in bytes, of the part that is damaged.
        offset: u64,
        /// Position up to which the records before it are whole.
        position: u64,
        /// What is wrong.
        what: String,
    },
    /// The records up to an end mark are not those that it was made of, although each checksum
    /// holds.
    Digest {
        /// Offset in the file, in bytes, of the end mark.
        offset: u64,
        /// Its position.
        position: u64,
    },
    /// The file ends before an end mark.
    Torn {
        /// Offset in the file, in bytes, of the part in which it ends.
        offset: u64,
        /// Position up to which the records before it are whole.
        position: u64,
        /// Position of the last end mark; none where there is none.
        whole_until: Option<u64>,
    },
    /// A block to write does not follow, or is not whole.
    NotNext {
        /// The position that is next.
        expected: u64,
        /// The position of the block.
        actual: u64,
    },
    /// Another backup writes the file.
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// Reading or writing failed.
    Io(io::Error),
    /// The file system failed.
    System(OpenError),
}

impl BackupError {
    /// Whether there is no such file.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::System(OpenError::Io { cause, .. })
            if cause.kind() == io::ErrorKind::NotFound)
    }

    /// Whether it is the content that is wrong, behind a good header.
    pub(super) fn is_in_content(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Torn { .. })
    }
}

impl fmt::Display for BackupError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotABackup => write!(formatter, "it is not a casetrail backup"),
            Self::NewerFormat { found } => write!(
                formatter,
                "it has format {found}, and this version of casetrail knows formats up to \
                 {BACKUP_FORMAT}; use the version that wrote it, or a newer"
            ),
            Self::Damaged {
                offset,
                position,
                what,
            } => write!(formatter, "byte {offset}, position {position}: {what}"),
            Self::Digest { offset, position } => write!(
                formatter,
                "byte {offset}, position {position}: the digest of all records up to here is not \
                 the end mark's: records were changed"
            ),
            Self::Torn {
                offset,
                position,
                whole_until,
            } => {
                write!(
                    formatter,
                    "byte {offset}, position {position}: the file ends here, before an end mark; "
                )?;
                match whole_until {
                    Some(until) => write!(formatter, "it is whole up to position {until}"),
                    None => write!(formatter, "no run of it was completed"),
                }
            }
            Self::NotNext { expected, actual } => write!(
                formatter,
                "a block at position {actual} came where position {expected} is next"
            ),
            Self::InUse { path } => {
                write!(formatter, "another backup writes {}", path.display())
            }
            Self::Io(cause) => write!(formatter, "{cause}"),
            Self::System(error) => write!(formatter, "{error}"),
        }
    }
}

impl std::error::Error for BackupError {}

impl From<io::Error> for BackupError {
    fn from(cause: io::Error) -> Self {
        Self::Io(cause)
    }
}

impl From<OpenError> for BackupError {
    fn from(error: OpenError) -> Self {
        Self::System(error)
    }
}
