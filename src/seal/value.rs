//! One personal value, sealed and opened.
//!
//! What is sealed is the value's message without its subject and class, with its length before it and
//! zeros behind it up to a multiple of 32 bytes, so that its length tells little. The associated data
//! binds it to its case, event, subject, class and place: moved anywhere else it does not open. The
//! stored bytes are the nonce, the sealed bytes and the tag.

use std::cell::RefCell;

use hmac::Mac;
use prost::Message;
use prost::encoding::{encode_varint, encoded_len_varint};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use uuid::Uuid;
use zeroize::{Zeroize, Zeroizing};

use super::cipher;
use super::error::SealError;
use super::key::{KeyBytes, Marker};
use crate::wire::v1::{PersonalClass, PersonalValue};

/// Sealed values are padded to a multiple of so many bytes.
const PADDED_BYTES: usize = 32;
pub(super) const NONCE_BYTES: usize = 24;
pub(super) const TAG_BYTES: usize = 16;

/// Where a value stands, which it is bound to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bond {
    pub(super) case_id: Uuid,
    pub(super) event_id: Uuid,
    pub(super) subject: Uuid,
    pub(super) class: PersonalClass,
    /// Its place among the values of the event and the subject, from 0.
    pub(super) place: u32,
}

impl Bond {
    /// The associated data of the encryption.
    fn encoded(&self) -> [u8; BOND_BYTES] {
        let mut bytes = [0; BOND_BYTES];
        bytes[..15].copy_from_slice(b"casetrail value");
        bytes[15..31].copy_from_slice(self.case_id.as_bytes());
        bytes[31..47].copy_from_slice(self.event_id.as_bytes());
        bytes[47..63].copy_from_slice(self.subject.as_bytes());
        bytes[63..67].copy_from_slice(&i32::from(self.class).to_be_bytes());
        bytes[67..].copy_from_slice(&self.place.to_be_bytes());
        bytes
    }
}

const BOND_BYTES: usize = 15 + 3 * 16 + 2 * 4;

/// Seals a value, and takes it into the mark of its submission.
pub(super) fn seal(
    key: &KeyBytes,
    bond: &Bond,
    value: &PersonalValue,
    marker: &mut Marker,
) -> Result<Vec<u8>, SealError> {
    let length = value.encoded_len();
    let padded = (encoded_len_varint(length as u64) + length).next_multiple_of(PADDED_BYTES);
    let mut sealed = Vec::with_capacity(NONCE_BYTES + padded + TAG_BYTES);
    sealed.resize(NONCE_BYTES, 0);
    encode_varint(length as u64, &mut sealed);
    value.encode_raw(&mut sealed);
    sealed.resize(NONCE_BYTES + padded, 0);
    let bond = bond.encoded();
    let plain = sealed.get_mut(NONCE_BYTES..).unwrap_or_default();
    marker.update(&bond);
    marker.update(plain);
    let nonce = nonce(fresh_bytes()?, marker);
    let Ok(tag) = cipher::encrypt(key, &nonce, &bond, plain) else {
        sealed.zeroize();
        let cause = "the cipher takes no value of this length".to_owned();
        return Err(SealError::Unavailable { cause });
    };
    for (to, from) in sealed.iter_mut().zip(nonce) {
        *to = from;
    }
    sealed.extend_from_slice(&tag);
    Ok(sealed)
}

/// Opens a sealed value; none where it was sealed under another key, or bound to another place, or
/// changed since.
pub(super) fn open(key: &KeyBytes, bond: &Bond, sealed: &[u8]) -> Option<PersonalValue> {
    let (nonce, rest) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    let (body, tag) = rest.split_last_chunk::<TAG_BYTES>()?;
    let mut plain = Zeroizing::new(body.to_vec());
    cipher::decrypt(key, nonce, &bond.encoded(), &mut plain, *tag).ok()?;
    PersonalValue::decode_length_delimited(plain.as_slice()).ok()
}

/// Whether bytes are as long as those of a sealed value.
pub fn is_sealed_length(sealed: &[u8]) -> bool {
    let body = sealed.len().checked_sub(NONCE_BYTES + TAG_BYTES);
    body.is_some_and(|body| body > 0 && body.is_multiple_of(PADDED_BYTES))
}

/// A nonce that was never used: random bytes, hedged by the mark over what is sealed and where. So also
/// where a machine goes on from a copy of its memory, and the same random bytes come again, two nonces
/// are equal only where what is sealed is, and tells nothing new. Without the key nobody can make the mark.
pub(super) fn nonce(mut random: [u8; NONCE_BYTES], marker: &Marker) -> [u8; NONCE_BYTES] {
    let mark = marker.clone().finalize().into_bytes();
    for (byte, of_mark) in random.iter_mut().zip(mark) {
        *byte ^= of_mark;
    }
    random
}

/// 24 random bytes, of a generator that each thread seeds from the system once. Twice the same ones under
/// one key are less likely than any fault of the machine.
fn fresh_bytes() -> Result<[u8; NONCE_BYTES], SealError> {
    thread_local! {
        static GENERATOR: RefCell<Option<ChaCha20Rng>> = const { RefCell::new(None) };
    }
    GENERATOR.with_borrow_mut(|generator| {
        let generator = match generator {
            Some(generator) => generator,
            None => {
                let mut seed = Zeroizing::new([0; 32]);
                getrandom::fill(&mut seed[..]).map_err(|error| SealError::Unavailable {
                    cause: format!("the system gives no random bytes: {error}"),
                })?;
                generator.insert(ChaCha20Rng::from_seed(*seed))
            }
        };
        let mut bytes = [0; NONCE_BYTES];
        generator.fill_bytes(&mut bytes);
        Ok(bytes)
    })
}
