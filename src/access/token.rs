//! Tokens: 256 random bits that are shown once, and kept as their SHA-256.
//!
//! A token begins with a word of its own, so that scanners for secrets find one that went astray. As
//! it is all chance, a plain hash keeps it as well as a slow one would.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// What every token begins with.
pub(super) const PREFIX: &str = "casetrail_";

/// The system gives no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRandomness;

impl fmt::Display for NoRandomness {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the system gives no random bytes")
    }
}

impl std::error::Error for NoRandomness {}

/// A new token.
pub(super) fn new_token() -> Result<String, NoRandomness> {
    Ok(format!(
        "{PREFIX}{}",
        URL_SAFE_NO_PAD.encode(random::<32>()?)
    ))
}

/// A new identifier, a UUID of version 4.
pub(super) fn new_identifier() -> Result<Uuid, NoRandomness> {
    Ok(uuid::Builder::from_random_bytes(random()?).into_uuid())
}

/// The SHA-256 of a token, as 64 hexadecimal digits.
pub(super) fn sha256_of(token: &str) -> String {
    hexadecimal(&Sha256::digest(token).into())
}

/// A SHA-256 as 64 hexadecimal digits in lower case.
pub(super) fn hexadecimal(sha256: &[u8; 32]) -> String {
    sha256.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What [`hexadecimal`] gave; none for another text.
pub(super) fn from_hexadecimal(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 {
        return None;
    }
    let digits: Vec<u8> = text
        .chars()
        .map(|digit| u8::try_from(digit.to_digit(16)?).ok())
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
        .collect();
    bytes.try_into().ok()
}

/// So many random bytes.
pub(super) fn random<const BYTES: usize>() -> Result<[u8; BYTES], NoRandomness> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_recognised_and_holds_256_bits_that_differ() {
        let [one, other] = [new_token().unwrap(), new_token().unwrap()];
        assert_ne!(one, other);
        let bits = one.strip_prefix(PREFIX).unwrap();
        assert_eq!(URL_SAFE_NO_PAD.decode(bits).unwrap().len(), 32);
    }

    #[test]
    fn a_hash_reads_back_and_nothing_else_does() {
        let sha256 = sha256_of("casetrail_x");
        let bytes = from_hexadecimal(&sha256).unwrap();
        assert_eq!(hexadecimal(&bytes), sha256);
        for other in ["", "5e", &sha256[1..], &format!("{sha256}0"), "g"] {
            assert_eq!(from_hexadecimal(other), None, "{other}");
        }
    }
}
