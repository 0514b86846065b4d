//! A message that was encoded before it is sent: encoded once, it goes to many readers.
//!
//! The server's side of an RPC that answers with it is generated with this type in the place of the
//! message (`build.rs`), so that a client decodes the message as ever.

use std::fmt;

use bytes::{Buf, BufMut, Bytes};
use prost::encoding::{DecodeContext, WireType};
use prost::{DecodeError, Message};

/// An encoded message. Cloning it copies no bytes.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Encoded {
    bytes: Bytes,
}

impl Encoded {
    /// Encodes a message.
    pub fn of(message: &impl Message) -> Self {
        Self {
            bytes: message.encode_to_vec().into(),
        }
    }

    /// The message's bytes.
    pub fn as_bytes(&self) -> &Bytes {
        &self.bytes
    }
}

impl fmt::Debug for Encoded {
    /// Says how large it is; never what is in it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Encoded")
            .field("length", &self.bytes.len())
            .finish()
    }
}

/// Is only ever written: whoever reads reads the message itself.
impl Message for Encoded {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        buf.put_slice(&self.bytes);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        prost::encoding::skip_field(wire_type, tag, buf, ctx)
    }

    fn encoded_len(&self) -> usize {
        self.bytes.len()
    }

    fn clear(&mut self) {
        self.bytes = Bytes::new();
    }
}
