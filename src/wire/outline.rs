//! What the fold needs of a record, read from its bytes without copying the rest.
//!
//! Folding a long history is reading millions of records of which a few fields count: the texts are
//! borrowed, what stands beside the event is skipped by its length, and only the event's payload is
//! decoded as a message. What is read is what decoding the whole [`Record`] would give, for the
//! fields that there are here (a test holds the two together); bytes that are no record are refused
//! alike, as far as they are looked at.

use std::borrow::Cow;

use prost::DecodeError;
use prost::Message;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use prost_types::Timestamp;

use super::moment::Moment;
use super::v1::{Credibility, Event, EventType, Record, SealedPersonal, event::Payload};

/// What the fold needs of a record.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordOutline<'a> {
    /// The case, as text.
    pub case_id: &'a str,
    /// The submission, as text.
    pub request_id: &'a str,
    /// Place of the event in its submission, from 0.
    pub submission_index: u32,
    /// The organisation for which it was recorded.
    pub organisation: &'a str,
    /// When it was recorded; the beginning of 1970 where the record does not say.
    pub recorded_at: Moment,
    /// What the event is; unspecified for a type that this version does not know.
    pub event_type: EventType,
    /// The event, as text.
    pub event_id: &'a str,
    /// When it happened, as text.
    pub occurred: &'a str,
    /// How far it is held to be true.
    pub credibility: Credibility,
    /// What happened; none for a payload that this version does not know.
    pub payload: Option<Cow<'a, Payload>>,
}

/// The bytes are not those of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotARecord;

impl From<DecodeError> for NotARecord {
    fn from(_: DecodeError) -> Self {
        Self
    }
}

impl Default for RecordOutline<'_> {
    fn default() -> Self {
        Self {
            case_id: "",
            request_id: "",
            submission_index: 0,
            organisation: "",
            recorded_at: Moment::default(),
            event_type: EventType::Unspecified,
            event_id: "",
            occurred: "",
            credibility: Credibility::Unspecified,
            payload: None,
        }
    }
}

impl<'a> RecordOutline<'a> {
    /// The outline of a decoded record.
    pub fn of(record: &'a Record) -> Self {
        let event = record.event.as_ref();
        let text = |of: fn(&Event) -> &str| event.map_or("", of);
        Self {
            case_id: &record.case_id,
            request_id: &record.request_id,
            submission_index: record.submission_index,
            organisation: &record.organisation,
            recorded_at: record.recorded_at.map(Moment::from).unwrap_or_default(),
            event_type: record.event_type(),
            event_id: text(|event| &event.event_id),
            occurred: text(|event| &event.occurred),
            credibility: event.map_or(Credibility::Unspecified, Event::credibility),
            payload: event
                .and_then(|event| event.payload.as_ref())
                .map(Cow::Borrowed),
        }
    }

    /// The outline of an encoded record.
    ///
    /// # Errors
    /// [`NotARecord`].
    pub fn read(bytes: &'a [u8]) -> Result<Self, NotARecord> {
        let mut outline = Self::default();
        let mut recorded_at = Timestamp::default();
        let mut rest = bytes;
        while !rest.is_empty() {
            let (tag, wire_type) = decode_key(&mut rest)?;
            match (tag, wire_type) {
                (1, WireType::LengthDelimited) => outline.case_id = text(&mut rest)?,
                (3, WireType::Varint) => {
                    outline.event_type = enumeration(decode_varint(&mut rest)?);
                }
                (4, WireType::LengthDelimited) => {
                    recorded_at.merge(delimited(&mut rest)?)?;
                    outline.recorded_at = Moment::from(recorded_at);
                }
                (6, WireType::LengthDelimited) => outline.organisation = text(&mut rest)?,
                (7, WireType::LengthDelimited) => outline.request_id = text(&mut rest)?,
                (8, WireType::Varint) => {
                    outline.submission_index = low_half(decode_varint(&mut rest)?);
                }
                (11, WireType::LengthDelimited) => outline.read_event(delimited(&mut rest)?)?,
                _ => skip_field(wire_type, tag, &mut rest, DecodeContext::default())?,
            }
        }
        Ok(outline)
    }

    fn read_event(&mut self, mut rest: &'a [u8]) -> Result<(), NotARecord> {
        while !rest.is_empty() {
            let (tag, wire_type) = decode_key(&mut rest)?;
            match (tag, wire_type) {
                (1, WireType::LengthDelimited) => self.event_id = text(&mut rest)?,
                (2, WireType::LengthDelimited) => self.occurred = text(&mut rest)?,
                (5, WireType::Varint) => self.credibility = enumeration(decode_varint(&mut rest)?),
                // The number of a payload's field is also its event type.
                (101.., WireType::LengthDelimited) if is_payload(tag) => {
                    let mut payload = self.payload.take().map(Cow::into_owned);
                    let context = DecodeContext::default();
                    Payload::merge(&mut payload, tag, wire_type, &mut rest, context)?;
                    self.payload = payload.map(Cow::Owned);
                }
                _ => skip_field(wire_type, tag, &mut rest, DecodeContext::default())?,
            }
        }
        Ok(())
    }
}

/// What of a record concerns keys, read without looking at the rest.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KeysOutline {
    /// What the event is; unspecified for a type that this version does not know.
    pub event_type: EventType,
    /// The sealed values.
    pub sealed: Vec<SealedPersonal>,
}

impl KeysOutline {
    /// The outline of an encoded record.
    ///
    /// # Errors
    /// [`NotARecord`].
    pub fn read(bytes: &[u8]) -> Result<Self, NotARecord> {
        let mut outline = Self::default();
        let mut rest = bytes;
        while !rest.is_empty() {
            let (tag, wire_type) = decode_key(&mut rest)?;
            match (tag, wire_type) {
                (3, WireType::Varint) => {
                    outline.event_type = enumeration(decode_varint(&mut rest)?);
                }
                (14, WireType::LengthDelimited) => {
                    outline
                        .sealed
                        .push(SealedPersonal::decode(delimited(&mut rest)?)?);
                }
                _ => skip_field(wire_type, tag, &mut rest, DecodeContext::default())?,
            }
        }
        Ok(outline)
    }
}

fn is_payload(tag: u32) -> bool {
    i32::try_from(tag).is_ok_and(|number| EventType::try_from(number).is_ok())
}

fn delimited<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], NotARecord> {
    let length = usize::try_from(decode_varint(rest)?).map_err(|_| NotARecord)?;
    let (field, after) = rest.split_at_checked(length).ok_or(NotARecord)?;
    *rest = after;
    Ok(field)
}

fn text<'a>(rest: &mut &'a [u8]) -> Result<&'a str, NotARecord> {
    std::str::from_utf8(delimited(rest)?).map_err(|_| NotARecord)
}

/// As protobuf has it: a 32-bit field takes the low half of what is sent.
fn low_half(number: u64) -> u32 {
    u32::try_from(number & u64::from(u32::MAX)).unwrap_or_default()
}

fn enumeration<T: TryFrom<i32> + Default>(number: u64) -> T {
    T::try_from(low_half(number).cast_signed()).unwrap_or_default()
}
