//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03): a key of its own for each nonce by HChaCha20, and
//! under that ChaCha20-Poly1305 (RFC 8439) as `ring` computes it.
//!
//! Values are sealed on the path of every submission. The crate that does the whole of it, and wraps
//! the keys, takes nine times as long for a value of 200 bytes.

use chacha20::{R20, hchacha};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::error::Unspecified;
use zeroize::Zeroize;

use super::key::KeyBytes;
use super::value::{NONCE_BYTES, TAG_BYTES};

/// How many bytes of the nonce go into the key.
const NONCE_OF_KEY_BYTES: usize = 16;

/// Encrypts in place. Returns the tag. The nonce was never used under the key.
pub(super) fn encrypt(
    key: &KeyBytes,
    nonce: &[u8; NONCE_BYTES],
    bond: &[u8],
    plain: &mut [u8],
) -> Result<[u8; TAG_BYTES], Unspecified> {
    let (key, nonce) = of_nonce(key, nonce)?;
    let tag = key.seal_in_place_separate_tag(nonce, Aad::from(bond), plain)?;
    tag.as_ref().try_into().map_err(|_| Unspecified)
}

/// Decrypts in place what the tag and the bond belong to.
pub(super) fn decrypt(
    key: &KeyBytes,
    nonce: &[u8; NONCE_BYTES],
    bond: &[u8],
    sealed: &mut [u8],
    tag: [u8; TAG_BYTES],
) -> Result<(), Unspecified> {
    let (key, nonce) = of_nonce(key, nonce)?;
    let tag = tag.into();
    key.open_in_place_separate_tag(nonce, Aad::from(bond), tag, sealed, 0..)?;
    Ok(())
}

/// The key of a nonce, and the nonce that is left to use under it.
fn of_nonce(
    key: &KeyBytes,
    nonce: &[u8; NONCE_BYTES],
) -> Result<(LessSafeKey, Nonce), Unspecified> {
    let (of_key, left) = nonce.split_at(NONCE_OF_KEY_BYTES);
    let of_key: [u8; NONCE_OF_KEY_BYTES] = of_key.try_into().map_err(|_| Unspecified)?;
    let mut derived = hchacha::<R20>((&**key).into(), &of_key.into());
    let unbound = UnboundKey::new(&CHACHA20_POLY1305, &derived);
    derived.zeroize();
    let mut nonce = [0; 12];
    for (to, from) in nonce.iter_mut().skip(4).zip(left) {
        *to = *from;
    }
    Ok((
        LessSafeKey::new(unbound?),
        Nonce::assume_unique_for_key(nonce),
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use chacha20poly1305::aead::AeadInOut;
    use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
    use proptest::prelude::*;
    use zeroize::Zeroizing;

    use super::*;

    proptest! {
        #[test]
        fn it_computes_what_another_implementation_computes(
            key: [u8; 32],
            nonce: [u8; 24],
            bond in proptest::collection::vec(any::<u8>(), 0..100),
            plain in proptest::collection::vec(any::<u8>(), 0..700),
        ) {
            let other = XChaCha20Poly1305::new(&key.into());
            let key = Zeroizing::new(key);
            let mut ours = plain.clone();
            let tag = encrypt(&key, &nonce, &bond, &mut ours).unwrap();
            let mut theirs = plain.clone();
            let their_tag = other
                .encrypt_inout_detached(&XNonce::from(nonce), &bond, theirs.as_mut_slice().into());
            prop_assert_eq!(&ours, &theirs);
            prop_assert_eq!(&tag[..], &their_tag.unwrap()[..]);

            decrypt(&key, &nonce, &bond, &mut ours, tag).unwrap();
            prop_assert_eq!(&ours, &plain);
            let mut wrong = tag;
            wrong[0] ^= 1;
            prop_assert!(decrypt(&key, &nonce, &bond, &mut theirs, wrong).is_err());
        }
    }
}
