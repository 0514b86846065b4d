//! Slots of the key store that can't be read whole, until the log tells whose key each of them holds.

use std::collections::{BTreeSet, HashMap};

use uuid::Uuid;

use super::slot::{SLOT_BYTES, Slot};

/// The damaged slots. A record names a key and its subject; one of the two finds the slot, whichever of
/// them is damaged in it, and whether the key is whole is seen by unwrapping it.
#[derive(Default)]
pub(super) struct Damaged {
    slots: BTreeSet<u32>,
    by_key_id: HashMap<u64, u32>,
    by_subject: HashMap<Uuid, u32>,
}

impl Damaged {
    pub(super) fn take(&mut self, slot: u32, bytes: &[u8; SLOT_BYTES]) {
        self.slots.insert(slot);
        if let Some((key_id, subject)) = Slot::claimed(bytes) {
            self.by_key_id.insert(key_id, slot);
            self.by_subject.insert(subject, slot);
        }
    }

    pub(super) fn count(&self) -> usize {
        self.slots.len()
    }

    /// Tells which slots are damaged from others: a CRC-32 over their numbers, 0 where there are none.
    pub(super) fn fingerprint(&self) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        for slot in &self.slots {
            hasher.update(&slot.to_be_bytes());
        }
        hasher.finalize()
    }

    /// The slot that may hold a key of which a record tells the name and the subject.
    pub(super) fn slot_of(&self, subject: Uuid, key_id: u64) -> Option<u32> {
        let slot = self.by_key_id.get(&key_id).copied();
        slot.filter(|slot| self.slots.contains(slot))
            .or_else(|| self.slot_claimed_by(subject))
    }

    /// The slot that says that its key is the subject's, or of which a record did.
    pub(super) fn slot_claimed_by(&self, subject: Uuid) -> Option<u32> {
        let slot = self.by_subject.get(&subject).copied();
        slot.filter(|slot| self.slots.contains(slot))
    }

    /// Takes in that a record tells whose the key in a slot was, which is of no use any more.
    pub(super) fn is_of(&mut self, slot: u32, subject: Uuid) {
        self.by_subject.insert(subject, slot);
    }

    /// Takes in that a slot was written anew.
    pub(super) fn mended(&mut self, slot: u32) {
        self.slots.remove(&slot);
    }
}
