//! A codec for messages that are encoded already, and connections to send them over. Answers are
//! decoded no further than their bytes.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use tonic::Status;
use tonic::client::Grpc;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};

use crate::cli::failure::{Failure, chain};

/// How long connecting may take.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// What a peer may send ahead of what was read, on a stream and on the whole connection, in bytes:
/// more than is ever under way, so that no window is waited for.
pub(super) const STREAM_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
pub(super) const CONNECTION_WINDOW_BYTES: u32 = 64 * 1024 * 1024;
/// How much is read from the connection at once, in bytes.
pub(super) const FRAME_BYTES: u32 = 64 * 1024;
/// How much room a message is given before it is encoded, in bytes. tonic's own 8 KiB cost a call
/// more than its message does.
const BUFFER_BYTES: usize = 512;
/// From how many bytes on what was encoded is passed on to the connection.
const YIELD_BYTES: usize = 32 * 1024;

/// Connects to a server.
///
/// # Errors
/// `Usage` where the address is malformed, `NoConnection` where nobody answers.
pub(super) async fn connect(server: &str) -> Result<Channel, Failure> {
    let endpoint = Endpoint::from_shared(server.to_owned()).map_err(|error| {
        Failure::Usage(format!(
            "--server: {server:?} is no URL, such as http://127.0.0.1:7611: {}",
            chain(&error)
        ))
    })?;
    let endpoint = endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES);
    endpoint
        .connect()
        .await
        .map_err(|error| Failure::NoConnection {
            server: server.to_owned(),
            cause: chain(&error),
            advice: "Without --server, the benchmark starts a server of its own.".to_owned(),
        })
}

/// A client over this connection.
pub(super) fn client(channel: &Channel) -> Grpc<Channel> {
    Grpc::new(channel.clone())
}

/// Passes bytes on as they are.
#[derive(Debug, Clone, Copy)]
pub(super) struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
    }
}
