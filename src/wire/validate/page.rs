//! Pages of a list (AIP-158): their size, and the tokens that continue them.
//!
//! A token holds where the next page begins and a digest of the list to which it belongs, so that
//! one that is used with another filter or case is refused. It is no secret and needs no key: who
//! alters one reads another page of what they may read anyway.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Invalid, Violation};
use crate::wire::limits::{PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX};

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
        format!("{begin:016x}{:016x}", self.0)
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
    let hexadecimal = token
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let halves = token
        .split_at_checked(16)
        .filter(|_| token.len() == 32 && hexadecimal);
    let numbers = halves.and_then(|(begin, scope)| {
        Some((
            u64::from_str_radix(begin, 16).ok()?,
            u64::from_str_radix(scope, 16).ok()?,
        ))
    });
    match numbers {
        Some((begin, of)) if of == scope.0 => Ok(begin),
        Some(_) => Err(invalid(
            field,
            "belongs to another list; repeat the request that gave it with nothing else changed, \
             or leave the token out"
                .to_owned(),
        )),
        None => Err(invalid(
            field,
            "is no page token; give next_page_token of the answer before, or leave it out"
                .to_owned(),
        )),
    }
}

fn invalid(field: &str, description: String) -> Invalid {
    Violation {
        field: field.to_owned(),
        description,
    }
    .into()
}
