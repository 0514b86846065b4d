//! A codec that refuses a request with fields that this server does not know.
//!
//! prost drops unknown fields silently. A newer client's field, dropped, would alter its event or
//! widen its filter without anybody noticing; so a request with any is refused. An answer is read
//! as ever, since a newer server may add to it. All RPCs of the protocol take a message whose name
//! ends in `Request` (buf lint RPC_REQUEST_STANDARD_NAME), which is how requests are told here.

use std::marker::PhantomData;

use bytes::{Buf, BufMut, Bytes};
use prost::{
    Message, Name,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field},
};
use prost_reflect::{Kind, MessageDescriptor};
use tonic::{
    Code, Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};
use tonic_types::{ErrorDetails, StatusExt};

use super::limits::REQUEST_FIELDS_MAX;
use super::scratch;
use super::validate::TOO_LARGE;

/// Reason of a refusal: fields that this server does not know.
pub const UNKNOWN_FIELDS: &str = "UNKNOWN_FIELDS";
/// Reason of a refusal: bytes that are no message of the protocol.
pub const MALFORMED_MESSAGE: &str = "MALFORMED_MESSAGE";

/// How many messages within one another are looked into: as many as prost decodes. An event can hold
/// a replacement, which is an event again, so that the protocol alone sets no bound.
const DEPTH_MAX: u32 = 100;

/// A request of more bytes has its fields counted before it is decoded.
const COUNTED_BYTES_MIN: usize = 16 * 1024;

/// Encodes as prost does, and decodes requests strictly.
#[derive(Debug, Clone)]
pub struct StrictCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for StrictCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for StrictCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Name + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = RoomyEncoder<T>;
    type Decoder = StrictDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        RoomyEncoder(PhantomData)
    }

    fn decoder(&mut self) -> Self::Decoder {
        StrictDecoder(PhantomData)
    }
}

/// A message of so many bytes or more comes with others like it, and room for them all is made at
/// once: tonic's buffer would grow by doubling, and copy what it holds each time.
const LARGE_BYTES_MIN: usize = 2 * 1024;

/// The room that is made, in bytes: what tonic gathers before it passes it on, and one more message.
const ROOM_BYTES: usize = 48 * 1024;

/// Encodes a message as prost does.
#[derive(Debug, Clone)]
pub struct RoomyEncoder<T>(PhantomData<T>);

impl<T: Message> Encoder for RoomyEncoder<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, message: T, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        let length = message.encoded_len();
        if length >= LARGE_BYTES_MIN && buffer.chunk_mut().len() < length {
            buffer.reserve(length.max(ROOM_BYTES));
        }
        // The room of an EncodeBuf is as large as it has to be.
        message.encode_raw(buffer);
        Ok(())
    }
}

/// Decodes a message, strictly where it is a request.
#[derive(Debug, Clone)]
pub struct StrictDecoder<U>(PhantomData<U>);

impl<U: Message + Name + Default> Decoder for StrictDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        decode(buffer.copy_to_bytes(buffer.remaining())).map(Some)
    }
}

/// Decodes a message from the bytes that arrived.
///
/// # Errors
/// INVALID_ARGUMENT for a request that is malformed or has unknown fields, INTERNAL for an answer
/// that is malformed.
pub fn decode<U: Message + Name + Default>(bytes: Bytes) -> Result<U, Status> {
    let is_request = U::NAME.ends_with("Request");
    if is_request && bytes.len() > COUNTED_BYTES_MIN {
        refuse_too_many_fields::<U>(&bytes)?;
    }
    let message = U::decode(bytes.clone()).map_err(|error| match is_request {
        true => refusal(
            MALFORMED_MESSAGE,
            format!("{} cannot be decoded: {error}", U::NAME),
        ),
        false => Status::internal(format!("{} cannot be decoded: {error}", U::NAME)),
    })?;
    // What encodes to the same bytes lost nothing. Where they differ, the sender may as well have
    // encoded in another, lawful way (a default written out, a list not packed).
    if !is_request || scratch::encoded(&message, |encoded| encoded == bytes) {
        return Ok(message);
    }
    let descriptor = super::descriptor_pool().get_message_by_name(&U::full_name());
    match descriptor.and_then(|descriptor| unknown_field(&descriptor, bytes)) {
        None => Ok(message),
        Some((number, name)) => Err(refusal(
            UNKNOWN_FIELDS,
            format!(
                "the message holds fields that this server does not know, the first one number \
                 {number} of {name}; it may come from a newer client. Nothing of it was recorded"
            ),
        )),
    }
}

/// Refuses a large request of very many small fields before it is decoded: two bytes on the wire
/// can be some hundreds in memory.
fn refuse_too_many_fields<U: Name>(bytes: &Bytes) -> Result<(), Status> {
    let descriptor = super::descriptor_pool().get_message_by_name(&U::full_name());
    let mut left = REQUEST_FIELDS_MAX;
    let is_within =
        |descriptor: MessageDescriptor| within(&descriptor, bytes.clone(), &mut left, DEPTH_MAX);
    match descriptor.is_none_or(is_within) {
        true => Ok(()),
        false => Err(refusal(
            TOO_LARGE,
            format!(
                "the message has more than {REQUEST_FIELDS_MAX} fields; send it in several. Nothing \
                 of it was recorded"
            ),
        )),
    }
}

/// Whether an encoded message has at most `left` fields, those of the messages in it included, down
/// to `depth`. Where the bytes are malformed or deeper, which decoding will tell, there are no more.
fn within(descriptor: &MessageDescriptor, mut bytes: Bytes, left: &mut usize, depth: u32) -> bool {
    let Some(depth) = depth.checked_sub(1) else {
        return true;
    };
    while bytes.has_remaining() {
        let Some(fewer) = left.checked_sub(1) else {
            return false;
        };
        *left = fewer;
        let Ok((number, wire_type)) = decode_key(&mut bytes) else {
            return true;
        };
        let inner = descriptor.get_field(number).map(|field| field.kind());
        if let (Some(Kind::Message(inner)), WireType::LengthDelimited) = (inner, wire_type) {
            let length = decode_varint(&mut bytes).map(usize::try_from);
            match length {
                Ok(Ok(length)) if length <= bytes.len() => {
                    if !within(&inner, bytes.split_to(length), left, depth) {
                        return false;
                    }
                }
                _ => return true,
            }
        } else if skip_field(wire_type, number, &mut bytes, DecodeContext::default()).is_err() {
            return true;
        }
    }
    true
}

fn refusal(reason: &str, message: String) -> Status {
    let details = ErrorDetails::with_error_info(reason, "casetrail", []);
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// The first field in an encoded message, or in the messages in it, that its descriptor does not
/// know: its number, and the full name of the message that holds it.
fn unknown_field(descriptor: &MessageDescriptor, mut bytes: Bytes) -> Option<(u32, String)> {
    while bytes.has_remaining() {
        // The bytes were decoded before, so that they are well formed; else there is no telling.
        let (number, wire_type) = decode_key(&mut bytes).ok()?;
        let Some(field) = descriptor.get_field(number) else {
            return Some((number, descriptor.full_name().to_owned()));
        };
        match field.kind() {
            Kind::Message(inner) if wire_type == WireType::LengthDelimited => {
                let length = usize::try_from(decode_varint(&mut bytes).ok()?).ok()?;
                if length > bytes.len() {
                    return None;
                }
                let unknown = unknown_field(&inner, bytes.split_to(length));
                if unknown.is_some() {
                    return unknown;
                }
            }
            _ => skip_field(wire_type, number, &mut bytes, DecodeContext::default()).ok()?,
        }
    }
    None
}
