//! The facts of a case as one string of bytes, in the order recorded: some 30 bytes a fact.
//!
//! A case is read far more often than it is folded anew, and there may be millions of them: so facts
//! are packed, and unpacked where somebody asks. Nothing of a fact is lost by it.
//!
//! Layout: items one behind the other. The first is the text of the organisation that opened the
//! case. A text is [`TEXT`], its length and its UTF-8 (or the bytes of a payload that is kept whole);
//! its place is where it begins. A fact is the code of its event type; a byte with its credibility and what follows; the 16 bytes of its
//! event_id; its position, its moment of recording and its day as differences from those of the fact
//! before it (the first from 0); how many days its earliest one lies before, where there is more
//! than one; its claim, where the lifecycle leaves it to the payload; the district's place; what it
//! corrects; its effect with what that has beside it. Numbers are varints (LEB128).
//!
//! The codes are those of this version of the software: a snapshot of another one is not read.

use std::fmt;
use std::num::NonZeroU32;

use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;

use super::fact::{Effect, Fact, TextPlace};
use super::lifecycle::{self, Outcome};
use crate::wire::edtf::Day;
use crate::wire::moment::Moment;
use crate::wire::v1::{CaseStatus, Credibility, EventType, LegalCategory, WishesOutcome};

/// The code of a text: no event type has it.
const TEXT: u8 = 255;

/// Where the codes of each hundred of event types begin. A hundred has room up to the beginning of
/// the next one; its number 0 is no event type.
const CODES: [i32; 9] = [0, 64, 104, 136, 168, 184, 200, 216, 232];

/// The bits beside the credibility that say what follows.
const TELLS_DISTRICT: u8 = 1 << 3;
const HAS_EFFECT: u8 = 1 << 4;
const IS_UNCERTAIN: u8 = 1 << 5;
const CORRECTS: u8 = 1 << 6;

/// The facts and texts of a case.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct PackedFacts {
    bytes: Vec<u8>,
    newest: Newest,
}

/// The newest fact: what the next one is told by its difference from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Newest {
    position: u64,
    recorded_at: Moment,
    day: i32,
    /// Its number, counted from 1.
    number: u32,
}

/// How far the facts went at some time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Mark {
    length: usize,
    newest: Newest,
}

impl PackedFacts {
    /// No facts yet, and the organisation of the case.
    pub(super) fn of_organisation(organisation: &str) -> Self {
        let mut facts = Self::default();
        facts.push_text(organisation.as_bytes());
        facts
    }

    /// Number of facts.
    pub(super) fn len(&self) -> u32 {
        self.newest.number
    }

    /// The position of the newest fact.
    pub(super) fn last_position(&self) -> Option<u64> {
        (self.newest.number > 0).then_some(self.newest.position)
    }

    /// When the newest fact was recorded.
    pub(super) fn last_recorded_at(&self) -> Moment {
        self.newest.recorded_at
    }

    /// The facts in the order recorded.
    pub(super) fn iter(&self) -> Iter<'_> {
        self.iter_from(Mark::default())
    }

    /// The facts that were added since the mark.
    pub(super) fn iter_from(&self, mark: Mark) -> Iter<'_> {
        Iter {
            rest: Reader(self.bytes.get(mark.length..).unwrap_or_default()),
            newest: mark.newest,
        }
    }

    /// The organisation that opened the case.
    pub(super) fn organisation(&self) -> &str {
        std::str::from_utf8(bytes_at(&self.bytes, 0)).unwrap_or_default()
    }

    /// The text at a place; empty for none.
    pub(super) fn text(&self, place: Option<TextPlace>) -> &str {
        place.map_or("", |place| {
            std::str::from_utf8(self.kept(place)).unwrap_or_default()
        })
    }

    /// The bytes at a place.
    pub(super) fn kept(&self, place: TextPlace) -> &[u8] {
        let place = usize::try_from(place.get()).unwrap_or(usize::MAX);
        bytes_at(&self.bytes, place)
    }

    /// The place of a text, which is added unless it is at one of the places `known`; none for an
    /// empty one.
    pub(super) fn intern(
        &mut self,
        text: &str,
        known: impl IntoIterator<Item = TextPlace>,
    ) -> Option<TextPlace> {
        if text.is_empty() {
            return None;
        }
        known
            .into_iter()
            .find(|place| self.text(Some(*place)) == text)
            .or_else(|| self.keep(text.as_bytes()))
    }

    /// Adds bytes, and tells their place.
    pub(super) fn keep(&mut self, bytes: &[u8]) -> Option<TextPlace> {
        let place = u32::try_from(self.bytes.len()).ok();
        self.push_text(bytes);
        place.and_then(NonZeroU32::new)
    }

    /// Adds a fact.
    pub(super) fn push(&mut self, fact: &Fact) {
        let mut buffer = Buffer::default();
        buffer.put(code_of(fact.event_type));
        let (effect, argument, second) = effect_parts(fact.effect);
        let district = fact.district.map(TextPlace::get);
        let uncertain_days = fact.day.0.abs_diff(fact.earliest.0);
        let mut flags = (fact.credibility as u8) & 0b111;
        for (follows, bit) in [
            (district.is_some(), TELLS_DISTRICT),
            (effect != 0, HAS_EFFECT),
            (uncertain_days != 0, IS_UNCERTAIN),
            (fact.corrects.is_some(), CORRECTS),
        ] {
            if follows {
                flags |= bit;
            }
        }
        buffer.put(flags);
        buffer.put_all(fact.event_id.as_bytes());
        buffer.put_difference(fact.position.wrapping_sub(self.newest.position));
        let micros = fact.recorded_at.0.wrapping_sub(self.newest.recorded_at.0);
        buffer.put_difference(micros.cast_unsigned());
        let days = i64::from(fact.day.0) - i64::from(self.newest.day);
        buffer.put_difference(days.cast_unsigned());
        if uncertain_days != 0 {
            buffer.put_number(u64::from(uncertain_days));
        }
        if claim_is_told(fact.event_type) {
            let claim = fact.claim.map_or(0, |claim| claim as i32 + 1);
            buffer.put_number(u64::from(claim.cast_unsigned()));
        }
        let effect = (effect != 0).then_some(u32::from(effect));
        for number in [district, fact.corrects, effect, argument, second]
            .into_iter()
            .flatten()
        {
            buffer.put_number(u64::from(number));
        }
        self.extend(buffer.filled());
        self.newest = self.newest.followed_by(fact);
    }

    /// The facts whose position is lower than this one, as they were packed when they were all.
    pub(super) fn before(&self, position: u64) -> Self {
        let mut iter = self.iter();
        let mut next = iter.clone();
        while next.next().is_some_and(|fact| fact.position < position) {
            iter = next.clone();
        }
        let length = self.bytes.len().saturating_sub(iter.rest.0.len());
        Self {
            bytes: self.bytes.get(..length).unwrap_or_default().to_vec(),
            newest: iter.newest,
        }
    }

    /// How far the facts go now, for [`PackedFacts::truncate`].
    pub(super) fn mark(&self) -> Mark {
        Mark {
            length: self.bytes.len(),
            newest: self.newest,
        }
    }

    /// Takes out again what was added since the mark.
    pub(super) fn truncate(&mut self, mark: Mark) {
        self.bytes.truncate(mark.length);
        self.newest = mark.newest;
    }

    fn push_text(&mut self, text: &[u8]) {
        let mut buffer = Buffer::default();
        buffer.put(TEXT);
        buffer.put_number(text.len() as u64);
        self.extend(buffer.filled());
        self.extend(text);
    }

    /// Adds bytes. Room for more is made sparingly: most cases are short, and there are many.
    fn extend(&mut self, bytes: &[u8]) {
        if self.bytes.capacity() - self.bytes.len() < bytes.len() {
            self.bytes
                .reserve_exact(bytes.len() + self.bytes.len() / 16);
        }
        self.bytes.extend_from_slice(bytes);
    }
}

impl Newest {
    fn followed_by(self, fact: &Fact) -> Self {
        Self {
            position: fact.position,
            recorded_at: fact.recorded_at,
            day: fact.day.0,
            number: self.number.saturating_add(1),
        }
    }
}

impl fmt::Debug for PackedFacts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.iter()).finish()
    }
}

/// The facts of a case, one by one.
#[derive(Clone)]
pub(super) struct Iter<'a> {
    rest: Reader<'a>,
    newest: Newest,
}

impl Iterator for Iter<'_> {
    type Item = Fact;

    fn next(&mut self) -> Option<Fact> {
        let mut code = self.rest.byte()?;
        while code == TEXT {
            self.rest.bytes()?;
            code = self.rest.byte()?;
        }
        let event_type = event_type_of(code);
        let flags = self.rest.byte()?;
        let event_id = Uuid::from_bytes(*self.rest.array()?);
        let position = self.newest.position.wrapping_add(self.rest.difference()?);
        let micros = self.rest.difference()?.cast_signed();
        let recorded_at = Moment(self.newest.recorded_at.0.wrapping_add(micros));
        let days = self.rest.difference()?.cast_signed();
        let day = i32::try_from(i64::from(self.newest.day).checked_add(days)?).ok()?;
        let earliest = if flags & IS_UNCERTAIN == 0 {
            day
        } else {
            day.wrapping_sub_unsigned(self.rest.small()?)
        };
        let claim = if claim_is_told(event_type) {
            let claim = i32::try_from(self.rest.number()?).ok()?;
            CaseStatus::try_from(claim.wrapping_sub(1)).ok()
        } else {
            lifecycle::row(event_type).and_then(|row| lifecycle::claimed_status(row, None))
        };
        let district = if flags & TELLS_DISTRICT == 0 {
            None
        } else {
            NonZeroU32::new(self.rest.small()?)
        };
        let corrects = if flags & CORRECTS == 0 {
            None
        } else {
            Some(self.rest.small()?)
        };
        let effect = if flags & HAS_EFFECT == 0 {
            Effect::None
        } else {
            self.rest.effect()?
        };
        let fact = Fact {
            position,
            event_id,
            recorded_at,
            day: Day(day),
            earliest: Day(earliest),
            event_type,
            credibility: Credibility::try_from(i32::from(flags & 0b111)).unwrap_or_default(),
            claim,
            district,
            effect,
            corrects,
        };
        self.newest = self.newest.followed_by(&fact);
        Some(fact)
    }
}

/// Whether the lifecycle leaves the claim of an event to its payload.
fn claim_is_told(event_type: EventType) -> bool {
    lifecycle::row(event_type).is_some_and(|row| matches!(row.result, Outcome::AsSaid(_)))
}

/// A byte for an event type: where its hundred begins and its number in it.
fn code_of(event_type: EventType) -> u8 {
    let number = event_type as i32;
    let hundred = usize::try_from(number / 100 - 1).ok();
    let begin = hundred.and_then(|hundred| CODES.get(hundred).copied());
    // A test holds every event type to a code of its own.
    let code = begin.and_then(|begin| u8::try_from(begin + number % 100).ok());
    code.unwrap_or_default()
}

fn event_type_of(code: u8) -> EventType {
    let code = i32::from(code);
    let hundreds = (1..).zip(CODES).take_while(|(_, begin)| *begin <= code);
    let number = hundreds
        .last()
        .map(|(hundred, begin)| hundred * 100 + code - begin);
    EventType::try_from(number.unwrap_or_default()).unwrap_or_default()
}

/// The number of an effect, and what it has beside it.
fn effect_parts(effect: Effect) -> (u8, Option<u32>, Option<u32>) {
    let enumeration = |number: i32| Some(number.cast_unsigned());
    match effect {
        Effect::None => (0, None, None),
        Effect::Category(category) => (1, enumeration(category as i32), None),
        Effect::ReleaseHold(hold) => (2, Some(u32::from(hold)), None),
        Effect::Wishes(outcome) => (3, enumeration(outcome as i32), None),
        Effect::Label(place) => (4, Some(place.get()), None),
        Effect::Custodian(place) => (5, Some(place.get()), None),
        Effect::MinimumNumberOfIndividuals(number) => (6, Some(number), None),
        Effect::HouseholdSize(size) => (7, Some(size), None),
        Effect::HouseholdSplit(members) => (8, Some(members), None),
        Effect::MembersReturned(members) => (9, Some(members), None),
        Effect::Verify(fact, credibility) => (10, Some(fact), enumeration(credibility as i32)),
        Effect::Dispute(fact) => (11, Some(fact), None),
        Effect::Resolve(fact) => (12, Some(fact), None),
        Effect::Void(fact) => (13, Some(fact), None),
        Effect::Close => (14, None, None),
        Effect::Unresolved => (15, None, None),
        Effect::Retract(fact) => (16, Some(fact), None),
        Effect::Kept(place) => (17, Some(place.get()), None),
        Effect::MergedInto(place) => (18, Some(place.get()), None),
        Effect::Unmerged(place) => (19, Some(place.get()), None),
    }
}

fn bytes_at(bytes: &[u8], place: usize) -> &[u8] {
    let mut reader = Reader(bytes.get(place..).unwrap_or_default());
    match reader.byte() {
        Some(TEXT) => reader.bytes().unwrap_or_default(),
        _ => &[],
    }
}

/// Bytes that are read from the front. None where they end too early.
#[derive(Clone)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(array)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn small(&mut self) -> Option<u32> {
        u32::try_from(self.number()?).ok()
    }

    /// A signed difference, with its sign in the lowest bit.
    fn difference(&mut self) -> Option<u64> {
        let number = self.number()?;
        Some((number >> 1) ^ (number & 1).wrapping_neg())
    }

    /// The bytes of a text.
    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn effect(&mut self) -> Option<Effect> {
        Some(match self.small()? {
            1 => Effect::Category(LegalCategory::try_from(self.enumeration()?).ok()?),
            2 => Effect::ReleaseHold(self.small()? != 0),
            3 => Effect::Wishes(WishesOutcome::try_from(self.enumeration()?).ok()?),
            4 => Effect::Label(NonZeroU32::new(self.small()?)?),
            5 => Effect::Custodian(NonZeroU32::new(self.small()?)?),
            6 => Effect::MinimumNumberOfIndividuals(self.small()?),
            7 => Effect::HouseholdSize(self.small()?),
            8 => Effect::HouseholdSplit(self.small()?),
            9 => Effect::MembersReturned(self.small()?),
            10 => {
                let fact = self.small()?;
                Effect::Verify(fact, Credibility::try_from(self.enumeration()?).ok()?)
            }
            11 => Effect::Dispute(self.small()?),
            12 => Effect::Resolve(self.small()?),
            13 => Effect::Void(self.small()?),
            14 => Effect::Close,
            16 => Effect::Retract(self.small()?),
            17 => Effect::Kept(NonZeroU32::new(self.small()?)?),
            18 => Effect::MergedInto(NonZeroU32::new(self.small()?)?),
            19 => Effect::Unmerged(NonZeroU32::new(self.small()?)?),
            _ => Effect::Unresolved,
        })
    }

    fn enumeration(&mut self) -> Option<i32> {
        i32::try_from(self.number()?).ok()
    }
}

/// The largest fact: 2 bytes, the event_id, and at most 10 numbers of at most 10 bytes.
const FACT_BYTES_MAX: usize = 2 + 16 + 10 * 10;

/// The bytes of one fact, put together before they are added.
struct Buffer {
    bytes: [u8; FACT_BYTES_MAX],
    length: usize,
}

impl Default for Buffer {
    fn default() -> Self {
        Self {
            bytes: [0; FACT_BYTES_MAX],
            length: 0,
        }
    }
}

impl Buffer {
    fn put(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
    }

    fn put_all(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        if let Some(place) = self.bytes.get_mut(self.length..end) {
            place.copy_from_slice(bytes);
            self.length = end;
        }
    }

    fn put_number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.put(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        self.put(number.to_le_bytes()[0]);
    }

    fn put_difference(&mut self, difference: u64) {
        let sign = (difference >> 63).wrapping_neg();
        self.put_number((difference << 1) ^ sign);
    }

    fn filled(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl Serialize for PackedFacts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.newest, Bytes(&self.bytes)).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PackedFacts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (newest, Bytes(bytes)) = Deserialize::deserialize(deserializer)?;
        Ok(Self {
            bytes: bytes.to_vec(),
            newest,
        })
    }
}

/// Bytes that are serialized as a whole, and not one by one.
struct Bytes<'a>(&'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(BytesVisitor).map(Bytes)
    }
}

struct BytesVisitor;

impl<'de> Visitor<'de> for BytesVisitor {
    type Value = &'de [u8];

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("borrowed bytes")
    }

    fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<&'de [u8], E> {
        Ok(bytes)
    }
}

#[cfg(test)]
#[path = "packed_tests.rs"]
mod tests;
