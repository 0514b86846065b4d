//! Pages of a list (AIP-158): their size, and the tokens that continue them.
//!
//! A token holds where the next page begins and a digest of the list to which it belongs, so that
//! one that is used with another filter or case is refused. It is sealed under a key that each process
//! makes for itself: where a page begins among all cases, or in a file, tells how much there is that the
//! caller does not see. So one from before a restart is no token.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Invalid, Violation};
use crate::wire::limits::{PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX};

const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;

/// Stands for a token where the system has no randomness to seal one: it is refused, so that nobody takes
/// a page for the last one.
const NO_TOKEN: &str = "-";

/// What seals the tokens of this process; none where the system has no randomness.
static SEALING: LazyLock<Option<XChaCha20Poly1305>> =
    LazyLock::new(|| Some(XChaCha20Poly1305::new(&random::<32>()?.into())));

fn random<const BYTES: usize>() -> Option<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).ok()?;
    Some(bytes)
}

/// The list to which page tokens belong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageScope(u64);

impl PageScope {
    /// The list of the records of a case.
    pub fn of_case(case_id: Uuid) -> Self {
        Self::of(b"case", case_id.as_bytes())
    }

    /// The list of the cases that a filter matches, by its encoding as sent.
    pub(super) fn of_filter(encoded: &[u8]) -> Self {
        Self::of(b"filter", encoded)
    }

    /// The same list at another time: who asks with what else.
    #[must_use]
    pub fn and(self, asked: &[u8]) -> Self {
        Self::of(&self.0.to_be_bytes(), asked)
    }

    /// The token of the page that begins at an index or position.
    pub fn token(self, begin: u64) -> String {
        self.sealed(begin).unwrap_or_else(|| NO_TOKEN.to_owned())
    }

    fn sealed(self, begin: u64) -> Option<String> {
        let mut place = [begin.to_be_bytes(), self.0.to_be_bytes()].concat();
        let nonce = random::<NONCE_BYTES>()?;
        let sealing = SEALING.as_ref()?;
        let in_place = place.as_mut_slice().into();
        let tag = sealing.encrypt_inout_detached(&XNonce::from(nonce), &[], in_place);
        let tag = tag.ok()?;
        Some(URL_SAFE_NO_PAD.encode([&nonce, place.as_slice(), &tag].concat()))
    }

    fn of(list: &[u8], content: &[u8]) -> Self {
        let digest = Sha256::new()
            .chain_update(list)
            .chain_update(content)
            .finalize();
        Self(
            digest
                .iter()
                .take(8)
                .fold(0, |number, &byte| (number << 8) | u64::from(byte)),
        )
    }
}

/// How many items a page has: the default for 0, the limit for more than that.
///
/// # Errors
/// A negative size is refused.
pub fn page_size(field: &str, page_size: i32) -> Result<usize, Invalid> {
    match usize::try_from(page_size) {
        Ok(0) => Ok(PAGE_SIZE_DEFAULT),
        Ok(size) => Ok(size.min(PAGE_SIZE_MAX)),
        Err(_) => Err(invalid(
            field,
            format!("is {page_size}; give 0 to {PAGE_SIZE_MAX}"),
        )),
    }
}

/// Where the page of a token begins; 0 for the empty token.
///
/// # Errors
/// A text that is no token, and a token of another list.
pub fn page_token(field: &str, token: &str, scope: PageScope) -> Result<u64, Invalid> {
    if token.is_empty() {
        return Ok(0);
    }
    match opened(token) {
        Some((begin, of)) if of == scope.0 => Ok(begin),
        Some(_) => Err(invalid(
            field,
            "belongs to another list; repeat the request that gave it with nothing else changed, \
             or leave the token out"
                .to_owned(),
        )),
        None => Err(invalid(
            field,
            "is no page token that this server gave since it was started; give next_page_token of \
             the answer before, or leave it out"
                .to_owned(),
        )),
    }
}

/// Where the page of a token begins, and in which list.
fn opened(token: &str) -> Option<(u64, u64)> {
    let token = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (nonce, sealed) = token.split_first_chunk::<NONCE_BYTES>()?;
    let (place, tag) = sealed.split_last_chunk::<TAG_BYTES>()?;
    let mut place = <[u8; 16]>::try_from(place).ok()?;
    let in_place = place.as_mut_slice().into();
    let sealing = SEALING.as_ref()?;
    sealing
        .decrypt_inout_detached(&XNonce::from(*nonce), &[], in_place, &(*tag).into())
        .ok()?;
    let (high, low) = place.split_first_chunk::<8>()?;
    let low = <[u8; 8]>::try_from(low).ok()?;
    Some((u64::from_be_bytes(*high), u64::from_be_bytes(low)))
}

fn invalid(field: &str, description: String) -> Invalid {
    Violation {
        field: field.to_owned(),
        description,
    }
    .into()
}
