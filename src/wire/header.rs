//! What tells of a record without its event: filters and watchers read it at a fraction of the
//! cost of the whole record.
//!
//! It is a message with a subset of the tags of `Record`, so that it is decoded from the same
//! bytes; the event, the largest part, is skipped by its length.

use prost_types::Timestamp;

use super::v1;

/// A record without its event, and without what belongs to its submission.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RecordHeader {
    /// The case, a UUID in lower case.
    #[prost(string, tag = "1")]
    pub case_id: String,
    /// Version of the case after the event, from 1.
    #[prost(uint64, tag = "2")]
    pub case_version: u64,
    /// What the event is.
    #[prost(enumeration = "v1::EventType", tag = "3")]
    pub event_type: i32,
    /// When it was recorded.
    #[prost(message, optional, tag = "4")]
    pub recorded_at: Option<Timestamp>,
    /// Who recorded it.
    #[prost(string, tag = "5")]
    pub actor: String,
    /// The organisation for which they recorded it.
    #[prost(string, tag = "6")]
    pub organisation: String,
    /// How the case stands after the event.
    #[prost(message, optional, tag = "12")]
    pub standing: Option<v1::Standing>,
    /// How it stood before, where the event changed it and was not the first of its case.
    #[prost(message, optional, tag = "13")]
    pub previous_standing: Option<v1::Standing>,
}
