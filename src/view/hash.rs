//! The hash of an identifier: SipHash-1-3 under a key that nobody outside knows.
//!
//! Clients choose identifiers, and may choose them badly or with ill intent: the hash takes all 128
//! bits, and who doesn't know the key can't make identifiers that collide. The key stays with the
//! tables that are made by it, also in a snapshot.

use std::hash::{BuildHasher, RandomState};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A keyed hash of identifiers.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct IdHasher {
    keys: (u64, u64),
}

impl Default for IdHasher {
    /// A hasher with a key of its own.
    fn default() -> Self {
        let random = RandomState::new();
        Self {
            keys: (random.hash_one(0), random.hash_one(1)),
        }
    }
}

impl IdHasher {
    /// The hash of an identifier.
    pub(super) fn hash(self, id: Uuid) -> u64 {
        let (low, high) = self.keys;
        let mut state = [
            low ^ 0x736f_6d65_7073_6575,
            high ^ 0x646f_7261_6e64_6f6d,
            low ^ 0x6c79_6765_6e65_7261,
            high ^ 0x7465_6462_7974_6573,
        ];
        let (first, second) = id.as_u64_pair();
        // The last word of SipHash is the length of the input, here always 16, in its highest byte.
        for word in [first.swap_bytes(), second.swap_bytes(), 16 << 56] {
            state[3] ^= word;
            round(&mut state);
            state[0] ^= word;
        }
        state[2] ^= 0xff;
        for _ in 0..3 {
            round(&mut state);
        }
        state[0] ^ state[1] ^ state[2] ^ state[3]
    }
}

#[inline]
fn round(state: &mut [u64; 4]) {
    let [mut a, mut b, mut c, mut d] = *state;
    a = a.wrapping_add(b);
    b = b.rotate_left(13) ^ a;
    a = a.rotate_left(32);
    c = c.wrapping_add(d);
    d = d.rotate_left(16) ^ c;
    a = a.wrapping_add(d);
    d = d.rotate_left(21) ^ a;
    c = c.wrapping_add(b);
    b = b.rotate_left(17) ^ c;
    c = c.rotate_left(32);
    *state = [a, b, c, d];
}

#[cfg(test)]
mod tests {
    use std::hash::Hasher;

    use super::*;

    #[test]
    fn without_a_key_it_is_the_hash_of_the_standard_library() {
        let unkeyed = IdHasher { keys: (0, 0) };
        for number in 0..1_000_u128 {
            let id =
                Uuid::from_u128(number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
            let mut hasher = std::hash::DefaultHasher::new();
            hasher.write(id.as_bytes());
            assert_eq!(unkeyed.hash(id), hasher.finish());
        }
    }

    #[test]
    fn two_keys_give_two_hashes() {
        let id = Uuid::from_u128(1);
        let hashes: std::collections::HashSet<_> =
            (0..100).map(|_| IdHasher::default().hash(id)).collect();
        assert_eq!(hashes.len(), 100);
    }
}
