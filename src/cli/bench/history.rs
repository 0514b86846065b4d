//! What a server's log holds, measured by replaying it: the size of its records as they are stored.

use std::time::{Duration, Instant};

use bytes::Bytes;
use prost::Message;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Request, Status};

use super::raw::{self, RawCodec};
use crate::cli::failure::Failure;
use crate::wire::v1::replay_events_response::Item;
use crate::wire::v1::{Record, ReplayEventsRequest, ReplayEventsResponse};

const METHOD: &str = "/casetrail.v1.AuditService/ReplayEvents";

/// How far a reader decodes what it receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Decode {
    /// Every record into a message of its own
    Records,
    /// Every block, with each record in it told apart, as it is stored and sent; the records
    /// themselves are not decoded
    Blocks,
    /// Nothing: the bytes of each answer are counted, and its place in the log taken from its end
    None,
}

/// What a reader has received.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Received {
    /// Number of records.
    pub(super) records: u64,
    /// Length of the records as they are stored, without what frames them in a block; 0 where
    /// nothing is decoded.
    pub(super) record_bytes: u64,
    /// Length of all answers.
    pub(super) message_bytes: u64,
    /// From the call to the end of the answers.
    pub(super) elapsed: Duration,
}

/// Replays from `from` to the head.
///
/// # Errors
/// A call that fails, a position that is missing, a record that can't be read.
pub(super) async fn replay(server: &str, from: u64, decode: Decode) -> Result<Received, Failure> {
    let failure = |status: Status| Failure::of_call(server, &status);
    let channel = raw::connect(server).await?;
    let mut grpc = raw::client(&channel);
    let ready = grpc.ready().await;
    ready.map_err(|error| failure(Status::from_error(Box::new(error))))?;
    let request = ReplayEventsRequest {
        start: Some(crate::wire::v1::replay_events_request::Start::FromPosition(
            from,
        )),
        ..ReplayEventsRequest::default()
    };
    let began_at = Instant::now();
    let request = Request::new(Bytes::from(request.encode_to_vec()));
    let path = PathAndQuery::from_static(METHOD);
    let answers = grpc.server_streaming(request, path, RawCodec).await;
    let mut answers = answers.map_err(failure)?.into_inner();
    let mut received = Received::default();
    let mut position = from;
    while let Some(answer) = answers.message().await.map_err(failure)? {
        let length = u64::try_from(answer.len()).unwrap_or_default();
        received.message_bytes = received.message_bytes.saturating_add(length);
        position = match decode {
            Decode::None => next_position(&answer).unwrap_or(position),
            Decode::Blocks | Decode::Records => take(answer, position, decode, &mut received)?,
        };
    }
    received.records = position.saturating_sub(from);
    received.elapsed = began_at.elapsed();
    Ok(received)
}

/// Takes the records of an answer, and returns the position after them.
fn take(
    answer: Bytes,
    position: u64,
    decode: Decode,
    received: &mut Received,
) -> Result<u64, Failure> {
    let malformed = |error: prost::DecodeError| {
        Failure::Failed(format!(
            "What follows position {position} is malformed: {error}"
        ))
    };
    let answer = ReplayEventsResponse::decode(answer).map_err(malformed)?;
    let Some(Item::Block(block)) = answer.item else {
        return Ok(position);
    };
    if block.first_position() != position {
        return Err(Failure::Failed(format!(
            "The record at position {position} is missing: the next one that the server sent is at {}.",
            block.first_position()
        )));
    }
    let mut end = position;
    for (at, record) in block.records() {
        let length = u64::try_from(record.len()).unwrap_or_default();
        received.record_bytes = received.record_bytes.saturating_add(length);
        if decode == Decode::Records {
            std::hint::black_box(Record::decode(record).map_err(malformed)?);
        }
        end = at.saturating_add(1);
    }
    if end != block.end_position() {
        return Err(Failure::Failed(format!(
            "The block at position {position} has fewer records than it says."
        )));
    }
    Ok(end)
}

/// The field `next_position` of an encoded answer, which comes first.
fn next_position(answer: &[u8]) -> Option<u64> {
    const KEY: u8 = 0x08;
    let (&KEY, mut rest) = answer.split_first()? else {
        return None;
    };
    prost::encoding::decode_varint(&mut rest).ok()
}
