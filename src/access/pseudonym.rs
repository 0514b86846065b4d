//! Pseudonyms: what a monitor is told in the place of a case's identifier.
//!
//! Invariants:
//! - For one account a case has one pseudonym, also after a restart.
//! - Two accounts can't tell by their pseudonyms whether they speak of one case, and nobody can go back
//!   to the identifier, without the key of the server.

use ring::hmac;
use uuid::Uuid;

use super::token::{NoRandomness, from_hexadecimal, hexadecimal, random};

/// The key by which pseudonyms are made. Whoever has it can undo them by trying all identifiers.
#[derive(Clone)]
pub struct PseudonymKey(hmac::Key);

/// The pseudonyms of one account.
#[derive(Clone)]
pub struct Pseudonyms(hmac::Key);

impl PseudonymKey {
    /// A new one, and its text, which has to be kept over restarts.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn random() -> Result<(Self, String), NoRandomness> {
        let bytes = random()?;
        Ok((Self::new(&bytes), hexadecimal(&bytes)))
    }

    /// That of a text; none for one that is none.
    pub fn from_text(text: &str) -> Option<Self> {
        Some(Self::new(&from_hexadecimal(text)?))
    }

    /// By 32 bytes of chance.
    fn new(bytes: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// Those of an account, whose key is derived from what identifies it.
    pub fn of_account(&self, account: &[u8]) -> Pseudonyms {
        let derived = hmac::sign(&self.0, account);
        Pseudonyms(hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()))
    }
}

impl Pseudonyms {
    /// That of a case: a UUID of version 8 (RFC 9562).
    pub fn of(&self, case_id: Uuid) -> Uuid {
        let tag = hmac::sign(&self.0, case_id.as_bytes());
        let mut bytes = [0; 16];
        for (to, from) in bytes.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        uuid::Builder::from_custom_bytes(bytes).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pseudonym_is_the_same_for_one_account_and_another_for_any_other() {
        let key = PseudonymKey::new(&[7; 32]);
        let case = Uuid::from_u128(1);
        let one = key.of_account(b"monitor-1");
        assert_eq!(
            one.of(case),
            PseudonymKey::new(&[7; 32])
                .of_account(b"monitor-1")
                .of(case)
        );
        assert_eq!(one.of(case).get_version_num(), 8);
        assert_ne!(one.of(case), one.of(Uuid::from_u128(2)));
        assert_ne!(one.of(case), key.of_account(b"monitor-2").of(case));
        assert_ne!(
            one.of(case),
            PseudonymKey::new(&[8; 32])
                .of_account(b"monitor-1")
                .of(case)
        );
    }
}
