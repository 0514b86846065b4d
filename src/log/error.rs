//! What can go wrong with a log, with the values that a person needs to put it right.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::wire::block::BlockError;

/// Why a commit was not made, or may not have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendError {
    /// The log's head is another one. Nothing was written.
    Conflict {
        /// The head that the caller expected.
        expected: u64,
        /// The head as it is.
        actual: u64,
    },
    /// The disk has too little room. Nothing was written, and the commit may be tried again.
    Full {
        /// The bytes that are free.
        available: u64,
        /// The bytes that have to be free: the commit and the reserve.
        needed: u64,
    },
    /// The commit has more bytes than one may have. Nothing was written.
    TooLarge {
        /// The bytes of all blocks.
        bytes: usize,
        /// The most bytes of one commit.
        limit: usize,
    },
    /// The blocks don't follow one another from the head on. Nothing was written.
    NotContiguous {
        /// The position at which a block has to begin.
        expected: u64,
        /// The position at which it begins.
        actual: u64,
    },
    /// A block is not whole. Nothing was written.
    InvalidBlock {
        /// The position at which it begins.
        position: u64,
        /// What is wrong with it.
        cause: BlockError,
    },
    /// The room on the disk couldn't be told. Nothing was written, and the commit may be tried
    /// again.
    SpaceUnknown {
        /// What the system said.
        cause: String,
    },
    /// Writing failed on the way: the commit may or may not be there after a restart. Writing has
    /// ended.
    OutcomeUnknown {
        /// What failed.
        cause: String,
    },
    /// Writing had ended before. Nothing was written.
    Ended {
        /// Why it ended.
        cause: String,
    },
}

impl fmt::Display for AppendError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict { expected, actual } => {
                write!(
                    formatter,
                    "the log's head is {actual}, not {expected}: nothing was written"
                )
            }
            Self::Full { available, needed } => write!(
                formatter,
                "the disk has {available} bytes free and {needed} are needed: nothing was written; \
                 make room and try again"
            ),
            Self::TooLarge { bytes, limit } => write!(
                formatter,
                "the commit has {bytes} bytes, at most {limit} are allowed: nothing was written"
            ),
            Self::NotContiguous { expected, actual } => write!(
                formatter,
                "a block begins at {actual} where {expected} comes next: nothing was written"
            ),
            Self::InvalidBlock { position, cause } => write!(
                formatter,
                "the block at {position} is not whole ({cause}): nothing was written"
            ),
            Self::SpaceUnknown { cause } => write!(
                formatter,
                "the free room on the disk can't be told ({cause}): nothing was written"
            ),
            Self::OutcomeUnknown { cause } => write!(
                formatter,
                "writing failed and has ended ({cause}); whether the last commit is there is known \
                 after a restart"
            ),
            Self::Ended { cause } => write!(
                formatter,
                "writing has ended ({cause}): nothing was written; a restart begins it again"
            ),
        }
    }
}

impl std::error::Error for AppendError {}

/// Why a part of the log can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// A block was changed after it was written.
    Corrupt {
        /// The position at which it begins.
        position: u64,
        /// What is wrong with it.
        cause: String,
    },
    /// No block holds a position that was written.
    Missing {
        /// The first position that is missing.
        position: u64,
    },
    /// The disk or the engine failed.
    Io {
        /// What it said.
        cause: String,
    },
}

impl fmt::Display for ReadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Corrupt { position, cause } => {
                write!(
                    formatter,
                    "the log's block at position {position} is damaged: {cause}"
                )
            }
            Self::Missing { position } => {
                write!(formatter, "the log has a gap at position {position}")
            }
            Self::Io { cause } => write!(formatter, "the log can't be read: {cause}"),
        }
    }
}

impl std::error::Error for ReadError {}

/// Why a data folder or its log can't be opened, or not be left in good order.
#[derive(Debug)]
pub enum OpenError {
    /// Another server uses the folder.
    Locked {
        /// The data folder.
        folder: PathBuf,
    },
    /// The folder has other things in it, and no FORMAT of ours.
    NotOurs {
        /// The folder.
        folder: PathBuf,
    },
    /// There is no data folder of ours.
    NoDataFolder {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A folder that a data folder is to be made of has something in it.
    NotEmpty {
        /// The folder.
        folder: PathBuf,
        /// Whether it is what a restore left that was cut off.
        is_left_over: bool,
    },
    /// There is no room for a copy of a folder.
    NoRoom {
        /// Where the copy was to be.
        folder: PathBuf,
        /// The bytes that are free there.
        available: u64,
        /// The bytes that a copy needs.
        needed: u64,
    },
    /// The folder was written by a newer version.
    NewerFormat {
        /// The data folder.
        folder: PathBuf,
        /// The format of the folder.
        found: u32,
        /// The newest format that this version knows.
        supported: u32,
    },
    /// The file FORMAT doesn't say what it should.
    FormatUnreadable {
        /// The file.
        path: PathBuf,
    },
    /// The file with the high-water mark is damaged.
    MarkDamaged {
        /// The file.
        path: PathBuf,
    },
    /// The log has fewer records than were once durable in it.
    ShorterThanMark {
        /// The log's folder.
        folder: PathBuf,
        /// The records that the log has.
        head: u64,
        /// The records that it once had.
        mark: u64,
    },
    /// A record that was once durable is not to be found in the log's file any more. It was looked
    /// for before the database opened, so that nothing was changed.
    RecordMissing {
        /// The log's folder.
        folder: PathBuf,
        /// The position of the first record that is missing.
        position: u64,
        /// The records that the log once had.
        mark: u64,
    },
    /// The database would not find again what it once had, and would overwrite what it does not find.
    /// It was looked at before it opened, so that nothing was changed.
    DamagedBeforeOpening {
        /// The log's folder.
        folder: PathBuf,
        /// The offset in the file `db` at which the database would stop reading.
        offset: u64,
    },
    /// The log has files that are never synced, and that it is never given cause to write.
    BlobsPresent {
        /// The folder that should be empty.
        folder: PathBuf,
    },
    /// The log is not what was written.
    Corrupt {
        /// The log's folder.
        folder: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// The database failed, or gave up.
    Engine {
        /// The log's folder.
        folder: PathBuf,
        /// What it said.
        cause: String,
    },
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

impl OpenError {
    /// Whether records may be lost, so that lifting what is whole out of the log would help.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::ShorterThanMark { .. }
            | Self::RecordMissing { .. }
            | Self::DamagedBeforeOpening { .. }
            | Self::BlobsPresent { .. }
            | Self::MarkDamaged { .. }
            | Self::Corrupt { .. }
            | Self::Engine { .. } => true,
            Self::Locked { .. }
            | Self::NotOurs { .. }
            | Self::NewerFormat { .. }
            | Self::FormatUnreadable { .. }
            | Self::NoDataFolder { .. }
            | Self::NotEmpty { .. }
            | Self::NoRoom { .. }
            | Self::Io { .. } => false,
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked { folder } => write!(
                formatter,
                "{} is in use by another casetrail server; stop that one, or name another folder",
                folder.display()
            ),
            Self::NotOurs { folder } => write!(
                formatter,
                "{} is not empty and has no file FORMAT, so it is not a casetrail data folder; \
                 nothing in it was touched; name an empty or a new folder",
                folder.display()
            ),
            Self::NoDataFolder { path } => write!(
                formatter,
                "{} is not a casetrail data folder: it has no file FORMAT",
                path.display()
            ),
            Self::NoRoom {
                folder,
                available,
                needed,
            } => write!(
                formatter,
                "a copy of the folder needs {needed} bytes, and {} has {available} free",
                folder.display()
            ),
            Self::NotEmpty {
                folder,
                is_left_over: false,
            } => write!(
                formatter,
                "{} is not empty; nothing in it was touched; name an empty or a new folder",
                folder.display()
            ),
            Self::NotEmpty { folder, .. } => write!(
                formatter,
                "{} is what a restore left that was cut off, or one is under way in it; nothing in \
                 it was touched; delete it if none is, or name another folder",
                folder.display()
            ),
            Self::NewerFormat {
                folder,
                found,
                supported,
            } => write!(
                formatter,
                "{} has format {found}, and this version of casetrail knows formats up to \
                 {supported}; nothing in it was touched; use the version that wrote it, or a newer",
                folder.display()
            ),
            Self::FormatUnreadable { path } => write!(
                formatter,
                "{} does not name a format as casetrail writes it; nothing was touched; restore \
                 the file from a backup",
                path.display()
            ),
            Self::MarkDamaged { path } => write!(
                formatter,
                "{} is damaged, so whether the log is complete can't be told; casetrail wrote \
                 nothing; check the disk, restore from a backup, or delete this file to go on \
                 without the check",
                path.display()
            ),
            Self::ShorterThanMark { folder, head, mark } => write!(
                formatter,
                "the log in {} has {head} records, and {mark} were once durable in it: records \
                 are lost; the database may have cut off what it could not read when it opened; keep \
                 a copy of the folder and restore from a backup, or, to accept the loss, delete the \
                 file mark beside the log",
                folder.display()
            ),
            Self::RecordMissing {
                folder,
                position,
                mark,
            } => write!(
                formatter,
                "the log in {} is damaged: {mark} records were once durable in it, and the one at \
                 position {position} is not to be found whole any more; nothing was changed; keep a \
                 copy of the folder, check the disk and restore from a backup, or, to accept the \
                 loss, delete the file mark beside the log",
                folder.display()
            ),
            Self::DamagedBeforeOpening { folder, offset } => write!(
                formatter,
                "the log in {} is damaged: the database would stop reading at byte {offset} of its \
                 file db, before what it had when it was last opened, and would overwrite what comes \
                 after; it was not opened and nothing was changed; keep a copy of the folder, check \
                 the disk and restore from a backup",
                folder.display()
            ),
            Self::BlobsPresent { folder } => write!(
                formatter,
                "{} is not empty: casetrail never writes files there, and they would not survive \
                 a power cut; casetrail wrote nothing; keep a copy of the data folder and restore \
                 from a backup",
                folder.display()
            ),
            Self::Corrupt { folder, cause } => write!(
                formatter,
                "the log in {} is damaged: {cause}; keep a copy of the folder, check the disk and \
                 restore from a backup",
                folder.display()
            ),
            Self::Engine { folder, cause } => write!(
                formatter,
                "the database in {} failed: {cause}; keep a copy of the folder, check the disk, \
                 and try again or restore from a backup",
                folder.display()
            ),
            Self::Io {
                action,
                path,
                cause,
            } => {
                write!(formatter, "can't {action} {}: {cause}", path.display())
            }
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { cause, .. } => Some(cause),
            _ => None,
        }
    }
}
