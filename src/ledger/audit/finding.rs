//! What an audit finds.

use std::fmt;

/// Something that is not as a ledger would have recorded it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub kind: FindingKind,
    /// The position of the record, or the first of the block, that it is about.
    pub position: u64,
    /// What is wrong, in words.
    pub what: String,
}

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FindingKind {
    /// Bytes were changed after they were written.
    Damage,
    /// Records are missing.
    Missing,
    /// A block comes that does not come next.
    Order,
    /// A block is larger than one is made.
    Block,
    /// A record can't be decoded, or lacks what each has.
    Record,
    /// A record holds personal values in plain.
    Personal,
    /// The times of recording run backwards.
    RecordedAt,
    /// A submission is not whole, or not in one piece.
    Submission,
    /// A request_id was recorded before.
    RequestId,
    /// An event_id was recorded before.
    EventId,
    /// The versions of a case don't count up.
    Version,
    /// What a record says of how its case stands is not what the events add up to.
    Standing,
    /// The running views are not what the log says.
    Views,
    /// The snapshot of the views is damaged, or not what the log says.
    Snapshot,
    /// The high-water mark, or another file of the folder, is not as it should be.
    Folder,
}

impl Finding {
    pub(crate) fn new(kind: FindingKind, position: u64, what: impl Into<String>) -> Self {
        Self {
            kind,
            position,
            what: what.into(),
        }
    }
}

impl FindingKind {
    /// Its name, for scripts: it stays.
    pub fn name(self) -> &'static str {
        match self {
            Self::Damage => "damage",
            Self::Missing => "missing",
            Self::Order => "order",
            Self::Block => "block",
            Self::Record => "record",
            Self::Personal => "personal",
            Self::RecordedAt => "recorded_at",
            Self::Submission => "submission",
            Self::RequestId => "request_id",
            Self::EventId => "event_id",
            Self::Version => "version",
            Self::Standing => "standing",
            Self::Views => "views",
            Self::Snapshot => "snapshot",
            Self::Folder => "folder",
        }
    }

    /// Whether the records themselves are not to be trusted. How a case stands is folded anew by
    /// each version of the software, and another one may have folded otherwise.
    pub fn concerns_records(self) -> bool {
        !matches!(self, Self::Standing | Self::Views | Self::Snapshot)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            position,
            what,
        } = self;
        write!(formatter, "position {position}: {what} [{}]", kind.name())
    }
}
