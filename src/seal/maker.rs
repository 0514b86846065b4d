//! The maker: one thread that keeps keys in stock which are durable and nobody's yet, many to a sync,
//! so that a subject's first value waits for none.

use zeroize::Zeroizing;

use super::error::KeyError;
use super::key::{KEY_BYTES, KeyBytes};
use super::keyring::Shared;
use super::slot::{SLOT_BYTES, Slot};
use super::value::NONCE_BYTES;

/// How many keys are made at a time; more are made once half of them are gone.
pub(super) const BATCH: usize = 2_048;

/// Where a key is to be written.
pub(super) struct Places {
    /// Slots that hold keys of an earlier run which never became anybody's: they are overwritten.
    pub(super) reused: Vec<u32>,
    /// The first of the slots behind the end of the file that are to be filled.
    pub(super) first_new: u32,
    pub(super) new: usize,
}

/// A key that is durable and nobody's.
pub(super) struct Spare {
    pub(super) slot: u32,
    pub(super) key_id: u64,
    pub(super) key: KeyBytes,
}

/// Runs until the keyring is closed, or the store can't be written.
pub(super) fn run(shared: &Shared) {
    while let Some(places) = shared.wait_for_want() {
        let made = make(shared, &places);
        let failed = made.is_err();
        shared.fill(made);
        if failed {
            return;
        }
    }
}

fn make(shared: &Shared, places: &Places) -> Result<Vec<Spare>, KeyError> {
    let file = &shared.file;
    let count = places.reused.len() + places.new;
    let mut random = Zeroizing::new(vec![0; count * RANDOM_BYTES]);
    getrandom::fill(&mut random).map_err(|error| KeyError::Random {
        cause: error.to_string(),
    })?;
    let (random, _) = random.as_chunks::<RANDOM_BYTES>();
    let new = (places.first_new..).take(places.new);
    let slots = places.reused.iter().copied().chain(new);
    let mut spares = Vec::with_capacity(count);
    let mut appended = Vec::with_capacity(places.new * SLOT_BYTES);
    for (index, (slot, random)) in slots.zip(random).enumerate() {
        let (key, rest) = random.split_at(KEY_BYTES);
        let (nonce, key_id) = rest.split_at(NONCE_BYTES);
        let mut spare = Spare {
            slot,
            key_id: key_id
                .try_into()
                .map(u64::from_be_bytes)
                .unwrap_or_default(),
            key: Zeroizing::new([0; KEY_BYTES]),
        };
        spare.key.copy_from_slice(key);
        let nonce = nonce.try_into().unwrap_or_default();
        let content = Slot::spare(&file.master, spare.key_id, nonce, &spare.key);
        let content = content.ok_or(KeyError::Full)?;
        if index < places.reused.len() {
            file.write(slot, &content)?;
        } else {
            appended.extend_from_slice(&content.encode());
        }
        spares.push(spare);
    }
    file.write_many(places.first_new, &appended)?;
    file.sync()?;
    Ok(spares)
}

/// What is random of a key: itself, the nonce under which it is wrapped, and what records call it.
const RANDOM_BYTES: usize = KEY_BYTES + NONCE_BYTES + 8;
