//! A message's encoding that is only looked at: it is written where the one before was, so that no
//! request allocates for it, and overwritten afterwards, since requests hold personal values.

use std::cell::RefCell;

use prost::Message;

/// Room beyond this is given back: few messages need it.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// Looks at the encoding of a message.
pub(super) fn encoded<T>(message: &impl Message, look: impl FnOnce(&[u8]) -> T) -> T {
    thread_local! {
        static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    let mut bytes = SCRATCH.take();
    bytes.reserve(message.encoded_len());
    message.encode_raw(&mut bytes);
    let found = look(&bytes);
    bytes.fill(0);
    zeroize::optimization_barrier(bytes.as_slice());
    bytes.clear();
    if bytes.capacity() <= KEPT_BYTES_MAX {
        SCRATCH.set(bytes);
    }
    found
}
