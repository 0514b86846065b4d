//! Sealing: each personal value is encrypted before it reaches the log, under a key of its subject and
//! class, and an erasure destroys the subject's key.
//!
//! Invariants:
//! - A key is durable in the key store before the first value is sealed under it.
//! - The key store is no part of the log, nor of its backups. What is stored in the log never needs a
//!   key to be read, copied, checked or folded, and no key changes it.
//! - Which key is whose stands in the records that were sealed under it, so that a subject's first
//!   value needs no sync but that of its commit. The store repeats it, up to a [`Mark`].
//! - A key becomes a subject's for good by a durable record alone, and nobody else's while one may name
//!   it.
//! - A key that was destroyed is nowhere in the store's bytes, and its subject never gets another one.
//! - Keys and plain values are overwritten in memory once they are no longer used.
//!
//! It deliberately does not know who may read what (`service::personal`), when an erasure is allowed
//! (`domain`), or how records are stored (`log`).

mod cipher;
mod damage;
mod error;
mod key;
mod keyring;
mod maker;
mod master;
mod rotation;
mod shared;
mod slot;
mod store;
mod unrecorded;
mod value;

pub use error::{KeyError, SealError};
pub use keyring::{Keyring, Unopened};
pub use master::{MASTER_KEY_FILE, MasterKeySource};
pub use rotation::rotate;
pub use store::{KeyStore, Mark};
pub use unrecorded::NewKeys;
pub use value::is_sealed_length;

#[cfg(test)]
mod tests;
