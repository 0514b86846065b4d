//! The maker: one thread that keeps keys in stock which are durable and nobody's yet, many to a sync,
//! so that a subject's first value waits for none.

use zeroize::Zeroizing;

use super::error::KeyError;
use super::key::{KEY_BYTES, KeyBytes};
use super::shared::Shared;
use super::slot::{SLOT_BYTES, Slot};
use super::value::NONCE_BYTES;

/// How many keys are made at a time; more are made once half of them are gone.
pub(super) const BATCH: usize = 2_048;

/// A key that is durable and nobody's.
pub(super) struct Spare {
    pub(super) slot: u32,
    pub(super) key_id: u64,
    pub(super) key: KeyBytes,
}

/// Runs until the keyring is closed.
pub(super) fn run(shared: &Shared) {
    while let Some(slots) = shared.wait_for_want() {
        let made = make(shared, &slots);
        shared.fill(slots, made);
    }
}

fn make(shared: &Shared, slots: &[u32]) -> Result<Vec<Spare>, KeyError> {
    if slots.is_empty() {
        return Err(KeyError::Full);
    }
    let file = &shared.file;
    let mut random = Zeroizing::new(vec![0; slots.len() * RANDOM_BYTES]);
    getrandom::fill(&mut random).map_err(|error| KeyError::Random {
        cause: error.to_string(),
    })?;
    let (random, _) = random.as_chunks::<RANDOM_BYTES>();
    let mut random = random.iter();
    let mut spares = Vec::with_capacity(slots.len());
    let mut written = Vec::with_capacity(slots.len() * SLOT_BYTES);
    let _writing = shared.writing();
    for run in slots.chunk_by(|slot, next| slot.checked_add(1) == Some(*next)) {
        for (slot, random) in run.iter().zip(&mut random) {
            let (key, rest) = random.split_at(KEY_BYTES);
            let (nonce, key_id) = rest.split_at(NONCE_BYTES);
            let mut spare = Spare {
                slot: *slot,
                key_id: key_id
                    .try_into()
                    .map(u64::from_be_bytes)
                    .unwrap_or_default(),
                key: Zeroizing::new([0; KEY_BYTES]),
            };
            spare.key.copy_from_slice(key);
            let nonce = nonce.try_into().unwrap_or_default();
            let content = Slot::spare(&file.master, spare.key_id, nonce, &spare.key);
            written.extend_from_slice(&content.ok_or(KeyError::Full)?.encode());
            spares.push(spare);
        }
        if let Some(first) = run.first() {
            file.write_many(*first, &written)?;
        }
        written.clear();
    }
    shared.sync()?;
    Ok(spares)
}

/// What is random of a key: itself, the nonce under which it is wrapped, and what records call it.
const RANDOM_BYTES: usize = KEY_BYTES + NONCE_BYTES + 8;
