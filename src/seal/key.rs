//! The key of a subject, and what is derived from it: one key for each class of personal data, and one
//! for marks.
//!
//! Derivation is the one-step key derivation of NIST SP 800-56C revision 2 (section 4.1, option 1) with
//! SHA-256: a hash over a counter, the subject's key and what the derived key is for. Subjects' keys are
//! 32 random bytes, all of it fits one block of the hash, and no derived key tells another one.

use std::fmt;
use std::sync::OnceLock;

use hmac::{Hmac, KeyInit};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::wire::v1::PersonalClass;

/// Length of a key, in bytes.
pub(super) const KEY_BYTES: usize = 32;

/// 32 bytes that are overwritten once they are dropped.
pub(super) type KeyBytes = Zeroizing<[u8; KEY_BYTES]>;

/// What makes marks.
pub(super) type Marker = Hmac<Sha256>;

/// The highest number of a class of personal data.
const CLASSES: usize = PersonalClass::Narrative as usize;

/// What a derived key is for, behind the classes, which are counted from 1.
const FOR_MARKS: u8 = 0;

/// The key of one subject.
pub(super) struct SubjectKey {
    /// What records call it.
    id: u64,
    bytes: KeyBytes,
    /// Of each class, once it was asked for.
    classes: [OnceLock<KeyBytes>; CLASSES],
    marker: OnceLock<Marker>,
}

impl SubjectKey {
    pub(super) fn new(id: u64, bytes: KeyBytes) -> Self {
        Self {
            id,
            bytes,
            classes: Default::default(),
            marker: OnceLock::new(),
        }
    }

    /// What records call it.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// What seals and opens values of a class; none where the class is unspecified.
    pub(super) fn of_class(&self, class: PersonalClass) -> Option<&KeyBytes> {
        let number = u8::try_from(i32::from(class)).ok()?;
        let place = usize::from(number.checked_sub(1)?);
        let key = self.classes.get(place)?;
        Some(key.get_or_init(|| self.derive(number)))
    }

    /// What makes marks of the subject's values: who has no key can't try values against them.
    pub(super) fn marker(&self) -> Marker {
        let made = || <Marker as KeyInit>::new((&*self.padded_mark_key()).into());
        self.marker.get_or_init(made).clone()
    }

    /// A key of HMAC-SHA-256 as long as a block of the hash, which is what HMAC makes of a shorter one.
    fn padded_mark_key(&self) -> Zeroizing<[u8; 64]> {
        let mut padded = Zeroizing::new([0; 64]);
        if let Some(first) = padded.first_chunk_mut::<KEY_BYTES>() {
            *first = *self.derive(FOR_MARKS);
        }
        padded
    }

    fn derive(&self, purpose: u8) -> KeyBytes {
        let mut hash = Sha256::new();
        hash.update(1_u32.to_be_bytes());
        hash.update(&self.bytes[..]);
        hash.update(b"casetrail");
        hash.update([purpose]);
        Zeroizing::new(hash.finalize().into())
    }
}

impl fmt::Debug for SubjectKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SubjectKey(withheld)")
    }
}
