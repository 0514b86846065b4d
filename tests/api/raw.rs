//! Calls whose request is bytes, for what no generated client would send.

use bytes::{Buf, BufMut, Bytes};
use futures_util::stream;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Request, Status, Streaming};

use crate::harness::Client;

#[derive(Default)]
pub struct RawCodec;

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
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

/// Sends the messages to a method, `casetrail.v1.CaseService/GetCase` for example.
pub async fn call(
    client: &Client,
    method: &str,
    messages: Vec<Bytes>,
) -> Result<Streaming<Bytes>, Status> {
    let mut grpc = Grpc::new(client.channel.clone());
    grpc.ready().await.unwrap();
    let path = PathAndQuery::try_from(format!("/{method}")).unwrap();
    let request = Request::new(stream::iter(messages));
    let answer = grpc.streaming(request, path, RawCodec).await?;
    Ok(answer.into_inner())
}

/// The answers until the end, and how it ended.
pub async fn outcome(
    client: &Client,
    method: &str,
    messages: Vec<Bytes>,
) -> (Vec<Bytes>, Result<(), Status>) {
    let mut answers = Vec::new();
    match call(client, method, messages).await {
        Err(status) => (answers, Err(status)),
        Ok(mut stream) => loop {
            match stream.message().await {
                Ok(Some(answer)) => answers.push(answer),
                Ok(None) => return (answers, Ok(())),
                Err(status) => return (answers, Err(status)),
            }
        },
    }
}
