//! Names as they are searched for: what counts as the same name in several orders, scripts and
//! romanisations, and an index of keyed tokens that holds no name.
//!
//! Invariants:
//! - The index holds tokens (HMAC-SHA-256 under a key that is made at random for each index and lives in
//!   its memory alone) and where they lead, and no letter of a name. Nothing of it is ever on a disk.
//! - What is forgotten of a subject leaves no token behind.
//!
//! It deliberately does not know who may search, which records still count, nor how values are opened.

mod approximate;
mod form;
mod index;

pub use form::{Part, parts};
pub use index::{Found, Hit, NameIndex, Named, NoRandomness, Sought, Tokens};
