//! What can go wrong in the ledger.

use std::fmt;
use std::io;

use uuid::Uuid;

use crate::domain::Rejection;
use crate::log::ReadError;
use crate::seal::{KeyError, SealError};
use crate::view::FoldError;

/// Why a submission was not recorded. Unless it says otherwise, nothing of it was.
#[derive(Debug)]
pub enum SubmitError {
    /// The queue is full; try again a little later.
    QueueFull,
    /// The case is in another version than expected.
    StaleVersion {
        /// Which change of the submission.
        change: usize,
        /// The case.
        case_id: Uuid,
        /// The version expected; 0 where no case was expected.
        expected: u64,
        /// The version that it has; 0 where it does not exist.
        current: u64,
    },
    /// An event is not allowed.
    Refused {
        /// Which change of the submission.
        change: usize,
        /// Which event of the change.
        event: usize,
        /// The name of the event's payload field.
        payload: &'static str,
        /// The case.
        case_id: Uuid,
        /// Version of the case.
        version: u64,
        /// Why.
        rejection: Rejection,
    },
    /// The event_id is recorded already, by another submission.
    EventIdReused {
        /// Which change of the submission.
        change: usize,
        /// Which event of the change.
        event: usize,
        /// The event_id.
        event_id: Uuid,
    },
    /// The request_id is recorded already, with other content.
    RequestIdReused {
        /// The request_id.
        request_id: Uuid,
        /// Position of its first record; none where another organisation recorded it.
        position: Option<u64>,
    },
    /// The request_id was taken for that of another submission, which about one in 10^12 is; that is
    /// known now, so that it will be judged when it is sent again.
    RequestIdConfused,
    /// An event is not one that the caller may record.
    NotPermitted {
        /// Index of the change.
        change: usize,
        /// Index of the event in it.
        event: usize,
        /// Field of the event's payload.
        payload: &'static str,
    },
    /// A case can't be opened under this identifier. It is in use, out of the caller's sight.
    CaseIdTaken {
        /// Index of the change.
        change: usize,
        /// The identifier.
        case_id: Uuid,
    },
    /// The records of the submission are larger than a commit or a record may be.
    TooLarge {
        /// Its size in bytes.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The disk is too full; try again once there is room.
    DiskFull {
        /// What is free and what is needed.
        cause: String,
    },
    /// Writing has ended; a restart begins it again.
    WritingEnded {
        /// Why.
        cause: String,
    },
    /// Writing failed on the way: the submission may or may not be recorded. Send it again under
    /// the same request_id after a restart.
    OutcomeUnknown {
        /// Why.
        cause: String,
    },
    /// The answer to a submission that is recorded can't be read back.
    Unreadable(ReadError),
    /// It holds personal values, and the server runs without keys to seal them.
    NoKeys,
    /// Its personal values can't be sealed.
    Unsealed(SealError),
    /// The erasure is recorded, but the key store can't be written. The keys are out of use; destroying
    /// them is tried again every few seconds, when the submission is sent again, and at the next start.
    KeysNotDestroyed {
        /// Why.
        cause: String,
    },
}

impl From<SealError> for SubmitError {
    fn from(error: SealError) -> Self {
        Self::Unsealed(error)
    }
}

impl fmt::Display for SubmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::QueueFull => write!(f, "the server has too much to do: try again a little later"),
            Self::StaleVersion {
                change,
                case_id,
                expected: 0,
                current,
            } => write!(
                f,
                "changes[{change}]: case {case_id} exists in version {current}, and none was \
                 expected"
            ),
            Self::StaleVersion {
                change,
                case_id,
                expected,
                current,
            } => write!(
                f,
                "changes[{change}]: case {case_id} is in version {current}, not {expected}: read it \
                 again"
            ),
            Self::Refused {
                change,
                event,
                case_id,
                version,
                rejection,
                ..
            } => write!(
                f,
                "changes[{change}].events[{event}], case {case_id} in version {version}: {rejection}"
            ),
            Self::EventIdReused {
                change,
                event,
                event_id,
            } => write!(
                f,
                "changes[{change}].events[{event}]: event {event_id} is recorded already by another \
                 submission: choose a new event_id for a new event"
            ),
            Self::RequestIdReused {
                request_id,
                position: Some(position),
            } => write!(
                f,
                "submission {request_id} is recorded already with other content, from position \
                 {position} on: choose a new request_id for a new submission"
            ),
            Self::RequestIdReused {
                request_id,
                position: None,
            } => write!(
                f,
                "submission {request_id} is recorded already: choose a new request_id for a new \
                 submission"
            ),
            Self::RequestIdConfused => write!(
                f,
                "the request_id was taken for that of another submission, which is mended now: send \
                 the submission again as it is"
            ),
            Self::NotPermitted {
                change,
                event,
                payload,
            } => write!(
                f,
                "changes[{change}].events[{event}].{payload}: the account may not record this, by its \
                 role or since the case is another organisation's: have it recorded by one that may"
            ),
            Self::CaseIdTaken { change, case_id } => write!(
                f,
                "changes[{change}]: no case can be opened as {case_id}: choose another identifier"
            ),
            Self::TooLarge { bytes, limit } => write!(
                f,
                "the records of the submission would have {bytes} bytes, at most {limit} are \
                 allowed: split it"
            ),
            Self::DiskFull { cause } => write!(f, "{cause}"),
            Self::WritingEnded { cause } => write!(
                f,
                "the server does not write any more ({cause}): nothing was recorded; send the \
                 submission again after a restart"
            ),
            Self::OutcomeUnknown { cause } => write!(
                f,
                "writing failed ({cause}): the submission may or may not be recorded; send it again \
                 under the same request_id after a restart"
            ),
            Self::Unreadable(error) => write!(
                f,
                "the submission is recorded, but its answer can't be read back: {error}"
            ),
            Self::NoKeys => write!(
                f,
                "the server runs without keys and takes no personal values: nothing was recorded"
            ),
            Self::Unsealed(error) => write!(f, "{error}: nothing was recorded"),
            Self::KeysNotDestroyed { cause } => write!(
                f,
                "the erasure is recorded and the keys are out of use, but they can't be destroyed yet \
                 ({cause}): the server goes on trying, and tells in its status how many it has to destroy"
            ),
        }
    }
}

impl std::error::Error for SubmitError {}

/// Why a ledger can't be opened.
#[derive(Debug)]
pub enum OpenError {
    /// The log can't be read.
    Read(ReadError),
    /// A record does not follow.
    Fold(FoldError),
    /// A record can't be decoded.
    Decode {
        /// Its position.
        position: u64,
    },
    /// The log is shorter than the snapshot that was made of it: records are lost.
    ShorterThanSnapshot {
        /// Number of records in the log.
        head: u64,
        /// Number of records that the snapshot holds.
        snapshot: u64,
    },
    /// The snapshot was made of another log.
    OtherLog {
        /// Its position.
        position: u64,
    },
    /// The log ends in the middle of a submission.
    TornSubmission {
        /// Number of records in the log.
        head: u64,
        /// Number of events of the submission that are missing.
        missing: u32,
    },
    /// A thread could not be started.
    Thread(io::Error),
    /// The key store can't be read or written.
    Keys(KeyError),
    /// The log holds values that are sealed under keys which the key store does not have.
    MissingKeys {
        /// How many.
        values: u64,
        /// Position of the first.
        position: u64,
    },
    /// The record of disclosures can't be opened.
    Disclosures(io::Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => write!(f, "the log can't be read: {error}"),
            Self::Fold(error) => write!(f, "the log is damaged: {error}"),
            Self::Decode { position } => {
                write!(
                    f,
                    "the log is damaged: the record at position {position} can't be decoded"
                )
            }
            Self::ShorterThanSnapshot { head, snapshot } => write!(
                f,
                "the log has {head} records, but its snapshot was made of {snapshot}: records are \
                 lost; keep a copy of the data folder and restore it from a backup, or, to \
                 accept the loss, delete the folder views"
            ),
            Self::OtherLog { position } => write!(
                f,
                "the snapshot was made of another log (the record before position {position} \
                 differs): remove the folder `views` if the log is the right one"
            ),
            Self::TornSubmission { head, missing } => write!(
                f,
                "the log ends at position {head} in the middle of a submission, {missing} of its \
                 events are missing: keep a copy of the data folder and restore it from a backup"
            ),
            Self::Thread(error) => write!(f, "a thread can't be started: {error}"),
            Self::Keys(error) => write!(f, "{error}"),
            Self::MissingKeys { values, position } => write!(
                f,
                "the log holds {values} personal values, from position {position} on, whose keys this \
                 key store never had, or has no longer because it is damaged: start with --keys and \
                 a folder, or a copy of it, that has them, or, if they are lost, once with --accept-missing-keys, to go on without those values"
            ),
            Self::Disclosures(error) => {
                write!(f, "the record of disclosures can't be opened: {error}")
            }
        }
    }
}

impl std::error::Error for OpenError {}

impl From<ReadError> for OpenError {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl From<KeyError> for OpenError {
    fn from(error: KeyError) -> Self {
        Self::Keys(error)
    }
}

impl From<FoldError> for OpenError {
    fn from(error: FoldError) -> Self {
        Self::Fold(error)
    }
}

/// Why the views can't be rebuilt.
#[derive(Debug)]
pub enum RebuildError {
    /// The log can't be folded.
    Fold(OpenError),
    /// The server is shutting down.
    Stopped,
}

impl fmt::Display for RebuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fold(error) => write!(f, "the views stay as they are: {error}"),
            Self::Stopped => write!(f, "the server is shutting down"),
        }
    }
}

impl std::error::Error for RebuildError {}
