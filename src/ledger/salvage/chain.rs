//! Whether one record follows the other, as far as the records themselves tell.

use std::collections::HashMap;
use std::fmt;

use prost::Message;
use prost_types::Timestamp;
use uuid::Uuid;

use crate::wire::block::RecordBlock;
use crate::wire::moment::Moment;

/// The part of a record that ties it to the one before it: a subset of the tags of `Record`.
#[derive(Clone, PartialEq, Message)]
struct Link {
    #[prost(string, tag = "1")]
    case_id: String,
    #[prost(uint64, tag = "2")]
    case_version: u64,
    #[prost(message, optional, tag = "4")]
    recorded_at: Option<Timestamp>,
    #[prost(string, tag = "7")]
    request_id: String,
    #[prost(uint32, tag = "8")]
    submission_index: u32,
    #[prost(uint32, tag = "9")]
    submission_size: u32,
}

/// What is known at the end of the records that were taken: each one's case is in the next version,
/// it was not recorded before the one before it, and it belongs to the same submission or begins the
/// next one where that is whole.
#[derive(Default)]
pub(super) struct Chain {
    /// The version of each case: 24 bytes and their share of the table.
    versions: HashMap<Uuid, u64>,
    end: End,
}

#[derive(Clone, Copy, Default)]
struct End {
    position: u64,
    recorded_at: Option<Moment>,
    /// The submission that isn't whole yet, its number of records so far, and all of them.
    open: Option<(Uuid, u32, u32)>,
    /// The position after the last submission that is whole.
    whole: u64,
}

/// A record that does not follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Break {
    /// Its position.
    pub position: u64,
    /// Why not.
    pub cause: Cause,
}

/// Why a record does not follow the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It is no record, or has no identifiers.
    Unreadable,
    /// It was recorded before the one before it.
    RecordedEarlier,
    /// Its case is in another version.
    CaseVersion {
        /// The version that comes next.
        expected: u64,
        /// The version that it names.
        actual: u64,
    },
    /// It is not the next record of its submission.
    Submission,
}

impl Chain {
    /// The position after the last record that was taken.
    pub(super) fn position(&self) -> u64 {
        self.end.position
    }

    /// The position after the last submission that is whole.
    pub(super) fn whole(&self) -> u64 {
        self.end.whole
    }

    /// Takes the records of the next block, all or none.
    pub(super) fn take(&mut self, block: &RecordBlock) -> Result<(), Break> {
        let mut end = self.end;
        let mut versions: Vec<(Uuid, u64)> = Vec::new();
        for (position, bytes) in block.records() {
            let follow = || {
                let link = Link::decode(bytes).map_err(|_| Cause::Unreadable)?;
                let case_id = Uuid::try_parse(&link.case_id).map_err(|_| Cause::Unreadable)?;
                let taken = versions.iter().rev().find(|(id, _)| *id == case_id);
                let taken = taken.map(|(_, version)| version);
                let version = taken.or_else(|| self.versions.get(&case_id)).copied();
                let expected = version.unwrap_or(0).saturating_add(1);
                if link.case_version != expected {
                    return Err(Cause::CaseVersion {
                        expected,
                        actual: link.case_version,
                    });
                }
                end = end.with(&link)?;
                Ok((case_id, expected))
            };
            versions.push(follow().map_err(|cause| Break { position, cause })?);
        }
        self.versions.extend(versions);
        self.end = end;
        Ok(())
    }
}

impl End {
    fn with(self, link: &Link) -> Result<Self, Cause> {
        let recorded_at = link
            .recorded_at
            .map(Moment::from)
            .ok_or(Cause::Unreadable)?;
        if self.recorded_at.is_some_and(|last| recorded_at < last) {
            return Err(Cause::RecordedEarlier);
        }
        let request_id = Uuid::try_parse(&link.request_id).map_err(|_| Cause::Unreadable)?;
        let expected = match self.open {
            Some(open) => open,
            None => (request_id, 0, link.submission_size),
        };
        if (request_id, link.submission_index, link.submission_size) != expected
            || link.submission_index >= link.submission_size
        {
            return Err(Cause::Submission);
        }
        let position = self.position.saturating_add(1);
        let count = link.submission_index.saturating_add(1);
        let is_whole = count == link.submission_size;
        Ok(Self {
            position,
            recorded_at: Some(recorded_at),
            open: (!is_whole).then_some((request_id, count, link.submission_size)),
            whole: if is_whole { position } else { self.whole },
        })
    }
}

/// When the first record of a block was recorded.
pub(super) fn recorded_at(block: &RecordBlock) -> Option<Moment> {
    let (_, bytes) = block.records().next()?;
    Link::decode(bytes).ok()?.recorded_at.map(Moment::from)
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the record at position {} ", self.position)?;
        match self.cause {
            Cause::Unreadable => write!(f, "can't be decoded"),
            Cause::RecordedEarlier => write!(f, "was recorded before the one before it"),
            Cause::CaseVersion { expected, actual } => write!(
                f,
                "is version {actual} of its case where {expected} comes next"
            ),
            Cause::Submission => write!(f, "is not the next one of its submission"),
        }
    }
}
