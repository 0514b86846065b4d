//! A hash table for very many small entries that are only ever added.
//!
//! It is in parts, by the highest bits of the hash, each an array with linear probing that grows by
//! a quarter: so growing never takes longer than a small part does, and between a fifth and a third
//! of the room is free. What an entry means, and whether it is the one that is looked for, is for
//! others to say: here an entry is a few bytes with 32 bits of the hash among them.

/// Number of parts, a power of two.
const PARTS: usize = 1 << PART_BITS;
const PART_BITS: u32 = 10;

/// The fewest slots of a part that has any.
const SLOTS_MIN: usize = 4;

/// A few bytes; the default is the empty slot.
pub(super) trait Entry: Copy + Default + PartialEq {
    /// Bytes of an encoded entry.
    const BYTES: usize;

    /// Whether this is an empty slot.
    fn is_empty(self) -> bool;

    /// The 32 bits of the hash by which it finds its place in its part.
    fn hash_bits(self) -> u32;

    /// Adds the encoded entry.
    fn put(self, bytes: &mut Vec<u8>);

    /// Reads an encoded entry of [`Entry::BYTES`] bytes.
    fn get(bytes: &[u8]) -> Option<Self>;
}

/// A table of entries.
pub(super) struct Table<E> {
    /// None while it is empty.
    parts: Vec<Part<E>>,
}

#[derive(Clone)]
struct Part<E> {
    slots: Box<[E]>,
    len: usize,
}

impl<E: Entry> Default for Table<E> {
    fn default() -> Self {
        Self { parts: Vec::new() }
    }
}

impl<E: Entry> Table<E> {
    /// Number of entries.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.len).sum()
    }

    /// The first entry that matches among those that begin at the place of `hash_bits`.
    pub(super) fn find(
        &self,
        hash: u64,
        hash_bits: u32,
        matches: impl FnMut(&E) -> bool,
    ) -> Option<E> {
        self.parts.get(part_of(hash))?.find(hash_bits, matches)
    }

    /// Adds an entry.
    pub(super) fn insert(&mut self, hash: u64, entry: E) {
        if let Some(part) = self.part_mut(part_of(hash)) {
            part.make_room(part.len + 1);
            part.insert(entry);
        }
    }

    /// Makes room for so many entries, which are spread evenly.
    pub(super) fn reserve(&mut self, entries: usize) {
        for number in 0..PARTS {
            if let Some(part) = self.part_mut(number) {
                // Hashes spread by chance: few parts get more than three deviations beyond the mean.
                let mean = entries / PARTS;
                part.make_room(part.len + mean + 3 * mean.isqrt());
            }
        }
    }

    /// Loads the place at which entries with this hash begin, so that a lookup soon after doesn't
    /// wait for memory. Several in a row are loaded side by side.
    pub(super) fn warm(&self, hash: u64, hash_bits: u32) {
        let part = self.parts.get(part_of(hash));
        let slot = part.and_then(|part| part.slots.get(part.home(hash_bits)));
        std::hint::black_box(slot.is_some_and(|slot| slot.is_empty()));
    }

    /// Number of parts that may hold entries.
    pub(super) fn parts(&self) -> usize {
        self.parts.len()
    }

    /// Adds the encoded part: its number, how many entries it has, and the entries. Nothing for an
    /// empty one.
    pub(super) fn put_part(&self, number: usize, bytes: &mut Vec<u8>) {
        let Some(part) = self.parts.get(number).filter(|part| part.len > 0) else {
            return;
        };
        for number in [number, part.len] {
            bytes.extend_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
        }
        bytes.reserve(part.len * E::BYTES);
        for entry in part.slots.iter().filter(|entry| !entry.is_empty()) {
            entry.put(bytes);
        }
    }

    /// Takes in encoded parts. None where they are not what [`Table::put_part`] writes.
    pub(super) fn get_parts(&mut self, mut bytes: &[u8]) -> Option<()> {
        while !bytes.is_empty() {
            let (number, rest) = u32_of(bytes)?;
            let (count, rest) = u32_of(rest)?;
            let count = usize::try_from(count).ok()?;
            let (entries, rest) = rest.split_at_checked(count.checked_mul(E::BYTES)?)?;
            let part = self.part_mut(usize::try_from(number).ok()?)?;
            part.make_room(part.len.checked_add(count)?);
            for entry in entries.chunks_exact(E::BYTES) {
                part.insert(E::get(entry).filter(|entry| !entry.is_empty())?);
            }
            bytes = rest;
        }
        Some(())
    }

    /// Takes the parts of another table in; each part is in one of the two.
    pub(super) fn merge(&mut self, other: Self) {
        for (number, part) in other.parts.into_iter().enumerate() {
            if part.len > 0
                && let Some(place) = self.part_mut(number)
            {
                *place = part;
            }
        }
    }

    /// Number of slots.
    #[cfg(test)]
    pub(super) fn slots(&self) -> usize {
        self.parts.iter().map(|part| part.slots.len()).sum()
    }

    fn part_mut(&mut self, number: usize) -> Option<&mut Part<E>> {
        if self.parts.is_empty() {
            let empty = Part {
                slots: Box::default(),
                len: 0,
            };
            self.parts = vec![empty; PARTS];
        }
        self.parts.get_mut(number)
    }
}

impl<E: Entry> Part<E> {
    fn find(&self, hash_bits: u32, mut matches: impl FnMut(&E) -> bool) -> Option<E> {
        let (before, from) = self.slots.split_at_checked(self.home(hash_bits))?;
        from.iter()
            .chain(before)
            .take_while(|entry| !entry.is_empty())
            .find(|entry| matches(entry))
            .copied()
    }

    /// Grows so that `len` entries leave a fifth of the slots empty.
    fn make_room(&mut self, len: usize) {
        if len * 5 <= self.slots.len() * 4 {
            return;
        }
        let slots = (len * 5 / 4 + 1)
            .max(self.slots.len() * 5 / 4)
            .max(SLOTS_MIN);
        let old = std::mem::replace(
            &mut self.slots,
            vec![E::default(); slots].into_boxed_slice(),
        );
        self.len = 0;
        for entry in old.iter().filter(|entry| !entry.is_empty()) {
            self.insert(*entry);
        }
    }

    /// Puts an entry into the next empty slot, of which there is one.
    fn insert(&mut self, entry: E) {
        let home = self.home(entry.hash_bits());
        let Some((before, from)) = self.slots.split_at_mut_checked(home) else {
            return;
        };
        let mut slots = from.iter_mut().chain(before);
        if let Some(slot) = slots.find(|slot| slot.is_empty()) {
            *slot = entry;
            self.len += 1;
        }
    }

    /// The slot at which entries with these bits begin: the bits as a share of all slots.
    fn home(&self, hash_bits: u32) -> usize {
        let share = u64::from(hash_bits).wrapping_mul(self.slots.len() as u64) >> u32::BITS;
        usize::try_from(share).unwrap_or_default()
    }
}

fn part_of(hash: u64) -> usize {
    usize::try_from(hash >> (u64::BITS - PART_BITS)).unwrap_or_default()
}

fn u32_of(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u32::from_le_bytes(*number), rest))
}
