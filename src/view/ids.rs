//! Which identifiers are in use: some 11 bytes for each event, 16 for each submission.
//!
//! Neither table holds identifiers. An entry of [`PlaceTable`] leads to a case, which knows its own
//! identifier and those of its events: who looks asks it, so that the answer is exact. An entry of
//! [`RequestTable`] is a fingerprint and the position of the submission's first record, which only
//! the log can confirm. The log is asked by whoever reads the stored answer, and never by the
//! writer: where it shows another submission there, [`RequestTable::note_absent`] keeps that. And
//! where two submissions that are recorded have one fingerprint, the second is kept in full. So it
//! is exact too, at the price that a fresh request_id is told to try again once in some 10^12.

use std::collections::HashMap;

use uuid::Uuid;

use super::table::{Entry, Table};

/// How many entries' places in memory are loaded before they are looked at: so many that they load
/// side by side, few enough that the first are still at hand.
const WARM_AT_ONCE: usize = 32;

/// A table from identifiers to places of cases.
#[derive(Default)]
pub(super) struct PlaceTable(Table<PlaceEntry>);

/// 32 bits of the hash above, the place and one below; 0 is empty.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct PlaceEntry(u64);

impl PlaceTable {
    /// The place of an identifier with this hash. `is_at` says whether it is the one at a place.
    pub(super) fn get(&self, hash: u64, is_at: impl Fn(usize) -> bool) -> Option<usize> {
        let bits = low_bits(hash);
        self.0
            .find(hash, bits, |entry| {
                entry.hash_bits() == bits && entry.place().is_some_and(&is_at)
            })
            .and_then(PlaceEntry::place)
    }

    /// Adds an identifier of the case at this place. One that is there already changes nothing.
    pub(super) fn insert(&mut self, hash: u64, place: usize) {
        let bits = low_bits(hash);
        // So many cases find no room in memory.
        let place = u32::try_from(place).unwrap_or(u32::MAX).saturating_add(1);
        let entry = PlaceEntry(u64::from(bits) << u32::BITS | u64::from(place));
        if self.0.find(hash, bits, |known| *known == entry).is_none() {
            self.0.insert(hash, entry);
        }
    }

    /// Adds identifiers by their hashes, each with the place of its case.
    pub(super) fn insert_all(&mut self, added: &[(u64, usize)]) {
        for some in added.chunks(WARM_AT_ONCE) {
            for (hash, _) in some {
                self.0.warm(*hash, low_bits(*hash));
            }
            for (hash, place) in some {
                self.insert(*hash, *place);
            }
        }
    }

    /// Makes room for so many identifiers.
    pub(super) fn reserve(&mut self, identifiers: usize) {
        self.0.reserve(identifiers);
    }

    pub(super) fn table(&self) -> &Table<PlaceEntry> {
        &self.0
    }

    pub(super) fn table_mut(&mut self) -> &mut Table<PlaceEntry> {
        &mut self.0
    }

    pub(super) fn into_table(self) -> Table<PlaceEntry> {
        self.0
    }
}

impl PlaceEntry {
    fn place(self) -> Option<usize> {
        usize::try_from(low_bits(self.0)).ok()?.checked_sub(1)
    }
}

impl Entry for PlaceEntry {
    const BYTES: usize = 8;

    fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn hash_bits(self) -> u32 {
        low_bits(self.0 >> u32::BITS)
    }

    fn put(self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.0.to_le_bytes());
    }

    fn get(bytes: &[u8]) -> Option<Self> {
        Some(Self(u64::from_le_bytes(*bytes.first_chunk()?)))
    }
}

/// A table from request_ids to the position of the first record of each.
#[derive(Default)]
pub(super) struct RequestTable {
    table: Table<RequestEntry>,
    /// Those that their fingerprint does not tell apart, with their position; none where one is
    /// known not to be recorded.
    exact: HashMap<Uuid, Option<u64>>,
}

/// 32 bits of the hash, 24 more and the highest 8 of the position and one, its lowest 32; all 0 is
/// empty.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct RequestEntry([u32; 3]);

/// How many bits of a position an entry holds: enough for a million million records.
const POSITION_BITS: u32 = 40;

impl RequestTable {
    /// The position of the first record of a submission; of another one where only the log can tell
    /// the two apart.
    pub(super) fn get(&self, hash: u64, request_id: Uuid) -> Option<u64> {
        if !self.exact.is_empty()
            && let Some(known) = self.exact.get(&request_id)
        {
            return *known;
        }
        self.fingerprinted(hash)
    }

    /// Adds a submission that is recorded. One that is there already changes nothing.
    pub(super) fn insert(&mut self, hash: u64, request_id: Uuid, position: u64) {
        let known = self.fingerprinted(hash);
        if known == Some(position) {
            return;
        }
        match RequestEntry::new(hash, position) {
            Some(entry) if known.is_none() && !self.exact.contains_key(&request_id) => {
                self.table.insert(hash, entry);
            }
            _ => {
                self.exact.insert(request_id, Some(position));
            }
        }
    }

    /// Adds submissions that are recorded, each with its hash and its position.
    pub(super) fn insert_all(&mut self, added: &[(u64, Uuid, u64)]) {
        for some in added.chunks(WARM_AT_ONCE) {
            for (hash, ..) in some {
                self.table.warm(*hash, low_bits(*hash));
            }
            for (hash, request_id, position) in some {
                self.insert(*hash, *request_id, *position);
            }
        }
    }

    /// Keeps that a submission is not recorded, although its fingerprint is there: the log showed
    /// another one at its position.
    pub(super) fn note_absent(&mut self, request_id: Uuid) {
        self.exact.entry(request_id).or_insert(None);
    }

    /// Those that are kept in full.
    pub(super) fn exact(&self) -> &HashMap<Uuid, Option<u64>> {
        &self.exact
    }

    pub(super) fn exact_mut(&mut self) -> &mut HashMap<Uuid, Option<u64>> {
        &mut self.exact
    }

    pub(super) fn table(&self) -> &Table<RequestEntry> {
        &self.table
    }

    pub(super) fn table_mut(&mut self) -> &mut Table<RequestEntry> {
        &mut self.table
    }

    pub(super) fn into_table(self) -> Table<RequestEntry> {
        self.table
    }

    fn fingerprinted(&self, hash: u64) -> Option<u64> {
        let sought = RequestEntry::fingerprint(hash);
        self.table
            .find(hash, low_bits(hash), |entry| {
                entry.0[0] == sought[0] && entry.0[1] & FINGERPRINT_MASK == sought[1]
            })?
            .position()
    }
}

/// The bits of the second word that belong to the fingerprint.
const FINGERPRINT_MASK: u32 = 0x00ff_ffff;

impl RequestEntry {
    /// The 56 bits of the hash that are kept; 8 of the other 8 are those of the part.
    fn fingerprint(hash: u64) -> [u32; 2] {
        [
            low_bits(hash),
            low_bits(hash >> u32::BITS) & FINGERPRINT_MASK,
        ]
    }

    fn new(hash: u64, position: u64) -> Option<Self> {
        let position = position.checked_add(1)?;
        if position >> POSITION_BITS != 0 {
            return None;
        }
        let [first, second] = Self::fingerprint(hash);
        let high = low_bits(position >> u32::BITS) << FINGERPRINT_MASK.count_ones();
        Some(Self([first, second | high, low_bits(position)]))
    }

    fn position(self) -> Option<u64> {
        let Self([_, middle, low]) = self;
        let high = u64::from(middle >> FINGERPRINT_MASK.count_ones());
        (high << u32::BITS | u64::from(low)).checked_sub(1)
    }
}

impl Entry for RequestEntry {
    const BYTES: usize = 12;

    fn is_empty(self) -> bool {
        self.position().is_none()
    }

    fn hash_bits(self) -> u32 {
        self.0[0]
    }

    fn put(self, bytes: &mut Vec<u8>) {
        for word in self.0 {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
    }

    fn get(bytes: &[u8]) -> Option<Self> {
        let (words, _) = bytes.as_chunks::<4>();
        let [first, second, third] = *words.first_chunk::<3>()?;
        Some(Self([first, second, third].map(u32::from_le_bytes)))
    }
}

fn low_bits(number: u64) -> u32 {
    u32::try_from(number & u64::from(u32::MAX)).unwrap_or_default()
}

#[cfg(test)]
#[path = "ids_tests.rs"]
mod tests;
