//! Single calls of one method, straight on HTTP/2 (h2, which tonic stands on): a call through a
//! whole client costs the machine about as much as the server needs to answer it, and the two share
//! its cores.
//!
//! It is gRPC all the same: a message is framed as any client does, and the status is read from the
//! trailers.

use bytes::{Bytes, BytesMut};
use h2::client::SendRequest;
use tokio::net::TcpStream;
use tonic::Status;
use tonic::codegen::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, TE};
use tonic::codegen::http::{HeaderMap, Method, Request, Uri, Version};
use tonic::metadata::{Ascii, MetadataValue};

use super::raw::{CONNECT_TIMEOUT, CONNECTION_WINDOW_BYTES, FRAME_BYTES, STREAM_WINDOW_BYTES};
use crate::cli::failure::{Failure, chain};

/// Length of what stands before a message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;

/// Calls one method over one connection; clones share the connection.
#[derive(Clone)]
pub(super) struct Caller {
    server: String,
    requests: SendRequest<Bytes>,
    method: Uri,
    headers: HeaderMap,
}

/// Why a call has no answer.
pub(super) enum CallError {
    /// The server refused.
    Refused(Status),
    /// The connection is lost.
    Lost(Failure),
}

impl Caller {
    /// Connects to a server, to call the method at this path.
    ///
    /// # Errors
    /// `Usage` where the address is malformed, `NoConnection` where nobody answers.
    pub(super) async fn connect(server: &str, path: &str) -> Result<Self, Failure> {
        let malformed = || {
            Failure::Usage(format!(
                "--server: {server:?} is not the address of a server, such as http://127.0.0.1:7611"
            ))
        };
        let method: Uri = format!("{}{path}", server.trim_end_matches('/'))
            .parse()
            .map_err(|_| malformed())?;
        let host = method.host().ok_or_else(malformed)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = method.port_u16().unwrap_or(80);
        let lost = |cause: String| Failure::NoConnection {
            server: server.to_owned(),
            cause,
            advice: "Without --server, the benchmark starts a server of its own.".to_owned(),
        };
        let connecting = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect((host, port)));
        let stream = connecting.await.map_err(|error| lost(chain(&error)))?;
        let stream = stream.map_err(|error| lost(chain(&error)))?;
        stream
            .set_nodelay(true)
            .map_err(|error| lost(chain(&error)))?;
        let (requests, connection) = h2::client::Builder::new()
            .initial_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_frame_size(FRAME_BYTES)
            .handshake(stream)
            .await
            .map_err(|error| lost(chain(&error)))?;
        // It ends with the last caller; that it breaks, each call is told.
        tokio::spawn(connection);
        let headers = [
            (CONTENT_TYPE, HeaderValue::from_static("application/grpc")),
            (TE, HeaderValue::from_static("trailers")),
        ];
        Ok(Self {
            server: server.to_owned(),
            requests,
            method,
            headers: headers.into_iter().collect(),
        })
    }

    /// Shows this with each call.
    pub(super) fn authorize(&mut self, authorization: &MetadataValue<Ascii>) {
        if let Ok(mut value) = HeaderValue::from_bytes(authorization.as_encoded_bytes()) {
            value.set_sensitive(true);
            self.headers.insert(AUTHORIZATION, value);
        }
    }

    /// Calls with a message that stands behind its prefix (see [`framed`]), and returns the answer.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(super) async fn call(&mut self, message: Bytes) -> Result<Bytes, CallError> {
        let lost = |error: h2::Error| {
            CallError::Lost(Failure::NoConnection {
                server: self.server.clone(),
                cause: chain(&error),
                advice: String::new(),
            })
        };
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = self.method.clone();
        *request.headers_mut() = self.headers.clone();
        let mut requests = self.requests.clone().ready().await.map_err(lost)?;
        let (response, mut body) = requests.send_request(request, false).map_err(lost)?;
        body.send_data(message, true).map_err(lost)?;
        let response = response.await.map_err(lost)?;
        // A refusal without an answer has its status in the headers.
        if let Some(status) = Status::from_header_map(response.headers()) {
            return refused_unless_ok(status).and(Ok(Bytes::new()));
        }
        let mut body = response.into_body();
        let mut answer = Bytes::new();
        while let Some(data) = body.data().await {
            let data = data.map_err(lost)?;
            // Fails only where the connection is gone, which the next step tells.
            let _ = body.flow_control().release_capacity(data.len());
            answer = joined(answer, data);
        }
        let trailers = body.trailers().await.map_err(lost)?.unwrap_or_default();
        let missing = || Status::internal("the answer had no status");
        refused_unless_ok(Status::from_header_map(&trailers).unwrap_or_else(missing))?;
        let prefix = PREFIX_BYTES.min(answer.len());
        Ok(answer.split_off(prefix))
    }
}

/// A message behind the prefix that gRPC gives it.
pub(super) fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut framed = vec![0];
    framed.extend(length.to_be_bytes());
    framed.extend(message);
    framed
}

fn refused_unless_ok(status: Status) -> Result<(), CallError> {
    match status.code() {
        tonic::Code::Ok => Ok(()),
        _ => Err(CallError::Refused(status)),
    }
}

/// What came before and what came now; an answer mostly comes at once.
fn joined(before: Bytes, now: Bytes) -> Bytes {
    if before.is_empty() {
        return now;
    }
    let mut both = BytesMut::from(before);
    both.extend_from_slice(&now);
    both.freeze()
}
