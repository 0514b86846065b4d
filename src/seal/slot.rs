//! A slot of the key store: 128 bytes that are overwritten in place, so that no older copy of a key
//! is left in the file.
//!
//! ```text
//!  0  state          u8   1 spare, 2 bound, 3 erased
//!  4  checksum       u32  CRC-32 of all that follows, and of the state
//!  8  key id         u64  what records call the key; 0 where none was ever used
//! 16  subject        16   whose key it is; zeros while it is spare
//! 32  nonce          24 \
//! 56  wrapped key    32  } the key, encrypted under the master key; zeros once it is erased
//! 88  tag            16 /
//! ```
//!
//! Numbers are big-endian. Four slots share the 512 bytes that a disk writes whole.

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::key::{KEY_BYTES, KeyBytes};
use super::value::{NONCE_BYTES, TAG_BYTES};

/// Length of a slot, in bytes.
pub(super) const SLOT_BYTES: usize = 128;

/// What a slot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Its key is nobody's yet.
    Spare,
    /// Its key is a subject's.
    Bound,
    /// Its key was destroyed; the subject stays.
    Erased,
}

/// A slot's content.
#[derive(Clone)]
pub(super) struct Slot {
    pub(super) state: State,
    pub(super) key_id: u64,
    pub(super) subject: Uuid,
    wrapped: Wrapped,
}

/// A key under the master key.
#[derive(Clone, Copy)]
struct Wrapped {
    nonce: [u8; NONCE_BYTES],
    key: [u8; KEY_BYTES],
    tag: [u8; TAG_BYTES],
}

impl Slot {
    /// A slot with a key that is nobody's yet. The nonce was never used before.
    pub(super) fn spare(
        master: &XChaCha20Poly1305,
        key_id: u64,
        nonce: [u8; NONCE_BYTES],
        key: &KeyBytes,
    ) -> Option<Self> {
        Some(Self {
            state: State::Spare,
            key_id,
            subject: Uuid::nil(),
            wrapped: Wrapped::wrap(master, key_id, nonce, key)?,
        })
    }

    /// The slot with its key as the subject's.
    pub(super) fn bound_to(self, subject: Uuid) -> Self {
        Self {
            state: State::Bound,
            subject,
            ..self
        }
    }

    /// A slot that tells that a subject's data was erased.
    pub(super) fn erased(key_id: u64, subject: Uuid) -> Self {
        Self {
            state: State::Erased,
            key_id,
            subject,
            wrapped: Wrapped {
                nonce: [0; NONCE_BYTES],
                key: [0; KEY_BYTES],
                tag: [0; TAG_BYTES],
            },
        }
    }

    /// The key; none where the master key is another one, or the slot was erased.
    pub(super) fn key(&self, master: &XChaCha20Poly1305) -> Option<KeyBytes> {
        match self.state {
            State::Erased => None,
            State::Spare | State::Bound => self.wrapped.unwrap(master, self.key_id),
        }
    }

    /// The slot with its key under another master key.
    pub(super) fn rewrapped(
        &self,
        from: &XChaCha20Poly1305,
        to: &XChaCha20Poly1305,
        nonce: [u8; NONCE_BYTES],
    ) -> Option<Self> {
        if self.state == State::Erased {
            return Some(self.clone());
        }
        let key = self.key(from)?;
        Some(Self {
            wrapped: Wrapped::wrap(to, self.key_id, nonce, &key)?,
            ..self.clone()
        })
    }

    pub(super) fn encode(&self) -> [u8; SLOT_BYTES] {
        let mut bytes = [0; SLOT_BYTES];
        let state = match self.state {
            State::Spare => 1,
            State::Bound => 2,
            State::Erased => 3,
        };
        let key_id = self.key_id.to_be_bytes();
        let Wrapped { nonce, key, tag } = &self.wrapped;
        let parts: [&[u8]; 6] = [
            &[state, 0, 0, 0, 0, 0, 0, 0],
            &key_id,
            self.subject.as_bytes(),
            nonce,
            key,
            tag,
        ];
        for (to, from) in bytes.iter_mut().zip(parts.into_iter().flatten()) {
            *to = *from;
        }
        let checksum = checksum(&bytes).to_be_bytes();
        for (to, from) in bytes.iter_mut().skip(CHECKSUM_AT).zip(checksum) {
            *to = from;
        }
        bytes
    }

    /// The slot in these bytes; none where they are damaged, or were never written. Where a record names
    /// the key, it may be whole all the same: [`Slot::salvaged`].
    pub(super) fn decode(bytes: &[u8; SLOT_BYTES]) -> Option<Self> {
        let [state, _, _, _, a, b, c, d, ..] = *bytes;
        let state = match state {
            1 => State::Spare,
            2 => State::Bound,
            3 => State::Erased,
            _ => return None,
        };
        let slot = Self::parts(bytes, state)?;
        (u32::from_be_bytes([a, b, c, d]) == checksum(bytes)).then_some(slot)
    }

    /// The slot in damaged bytes as a spare one, where its key is whole by the name that records call it.
    pub(super) fn salvaged(
        bytes: &[u8; SLOT_BYTES],
        key_id: u64,
        master: &XChaCha20Poly1305,
    ) -> Option<Self> {
        let slot = Self {
            key_id,
            subject: Uuid::nil(),
            ..Self::parts(bytes, State::Spare)?
        };
        slot.key(master).map(|_| slot)
    }

    /// What damaged bytes call their key, and whose it is; either may be what is damaged.
    pub(super) fn claimed(bytes: &[u8; SLOT_BYTES]) -> Option<(u64, Uuid)> {
        let slot = Self::parts(bytes, State::Spare)?;
        Some((slot.key_id, slot.subject))
    }

    fn parts(bytes: &[u8; SLOT_BYTES], state: State) -> Option<Self> {
        let (_, rest) = bytes.split_first_chunk::<8>()?;
        let (key_id, rest) = rest.split_first_chunk::<8>()?;
        let (subject, rest) = rest.split_first_chunk::<16>()?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE_BYTES>()?;
        let (key, rest) = rest.split_first_chunk::<KEY_BYTES>()?;
        let (tag, _) = rest.split_first_chunk::<TAG_BYTES>()?;
        Some(Self {
            state,
            key_id: u64::from_be_bytes(*key_id),
            subject: Uuid::from_bytes(*subject),
            wrapped: Wrapped {
                nonce: *nonce,
                key: *key,
                tag: *tag,
            },
        })
    }
}

impl Wrapped {
    fn wrap(
        master: &XChaCha20Poly1305,
        key_id: u64,
        nonce: [u8; NONCE_BYTES],
        key: &KeyBytes,
    ) -> Option<Self> {
        let mut wrapped = **key;
        let bond = bond(key_id);
        let buffer = wrapped.as_mut_slice().into();
        let tag = master.encrypt_inout_detached(&XNonce::from(nonce), &bond, buffer);
        Some(Self {
            nonce,
            key: wrapped,
            tag: tag.ok()?.into(),
        })
    }

    fn unwrap(&self, master: &XChaCha20Poly1305, key_id: u64) -> Option<KeyBytes> {
        let mut key = Zeroizing::new(self.key);
        let opened = master.decrypt_inout_detached(
            &XNonce::from(self.nonce),
            &bond(key_id),
            key.as_mut_slice().into(),
            &self.tag.into(),
        );
        opened.ok().map(|()| key)
    }
}

/// Byte at which the checksum stands.
const CHECKSUM_AT: usize = 4;

/// What a wrapped key is bound to.
fn bond(key_id: u64) -> [u8; 21] {
    let mut bytes = *b"casetrail key........";
    for (to, from) in bytes.iter_mut().skip(13).zip(key_id.to_be_bytes()) {
        *to = from;
    }
    bytes
}

fn checksum(bytes: &[u8; SLOT_BYTES]) -> u32 {
    let (head, rest) = bytes.split_at(CHECKSUM_AT);
    let (_, rest) = rest.split_at(4);
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(head);
    hasher.update(rest);
    hasher.finalize()
}
