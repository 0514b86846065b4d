//! Calls over HTTP/2 piece by piece, as no generated client would make them.

use std::net::SocketAddr;

use bytes::{BufMut, Bytes, BytesMut};
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Method, Request};
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub use super::PATIENCE;

/// A connection whose task answers what the protocol asks for, until it falls silent.
pub struct Connection {
    requests: SendRequest<Bytes>,
    fall_silent: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
    authorization: Option<String>,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        Self::over(stream).await
    }

    pub async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        Self::with_window(stream, 65_535).await
    }

    /// The same with room for so many bytes of an answer until some are read.
    pub async fn with_window(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        window: u32,
    ) -> Self {
        let mut builder = h2::client::Builder::new();
        let handshake = builder.initial_window_size(window).handshake(stream);
        let (requests, connection) = handshake.await.unwrap();
        let (fall_silent, silent) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut connection = std::pin::pin!(connection);
            let falls_silent = tokio::select! {
                _ = &mut connection => false,
                told = silent => told.is_ok(),
            };
            if falls_silent {
                // It stays open and does nothing any more.
                std::future::pending::<()>().await;
            }
            connection.await.ok();
        });
        Self {
            requests,
            fall_silent: Some(fall_silent),
            task,
            authorization: None,
        }
    }

    /// The same for who calls by a token.
    pub fn by_token(self, token: &str) -> Self {
        Self {
            authorization: Some(format!("Bearer {token}")),
            ..self
        }
    }

    /// From now on nothing is read, written or answered; the connection stays open.
    pub fn fall_silent(&mut self) {
        self.fall_silent.take().unwrap().send(()).unwrap();
    }

    /// Waits until the server closes the connection.
    pub async fn ends(self) {
        let ended = tokio::time::timeout(PATIENCE, self.task).await;
        ended.expect("the connection is closed").unwrap();
        drop(self.requests);
    }

    /// Begins a call of a method, `casetrail.v1.CaseService/GetCase` for example.
    pub async fn call(&mut self, method: &str) -> Call {
        self.call_as(method, "application/grpc").await
    }

    pub async fn call_as(&mut self, method: &str, content_type: &str) -> Call {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(format!("http://localhost/{method}"))
            .header("content-type", content_type)
            .header("te", "trailers")
            .body(())
            .unwrap();
        if let Some(authorization) = &self.authorization {
            let value = authorization.parse().unwrap();
            request.headers_mut().insert("authorization", value);
        }
        let mut requests = self.requests.clone().ready().await.unwrap();
        let (answer, body) = requests.send_request(request, false).unwrap();
        Call {
            answer: Some(answer),
            answers: None,
            body,
        }
    }
}

/// A call that has begun.
pub struct Call {
    answer: Option<ResponseFuture>,
    answers: Option<RecvStream>,
    body: SendStream<Bytes>,
}

impl Call {
    /// Sends bytes of the request, waiting for room on the way. False where the server has ended the
    /// call.
    pub async fn send(&mut self, mut bytes: Bytes) -> bool {
        while !bytes.is_empty() {
            self.body.reserve_capacity(bytes.len());
            let capacity = std::future::poll_fn(|context| self.body.poll_capacity(context));
            let Some(Ok(capacity)) = capacity.await else {
                return false;
            };
            let part = bytes.split_to(capacity.min(bytes.len()));
            if self.body.send_data(part, false).is_err() {
                return false;
            }
        }
        true
    }

    /// Says that the request is complete.
    pub fn complete(&mut self) {
        self.body.send_data(Bytes::new(), true).unwrap();
    }

    /// Waits until the server begins to answer.
    pub async fn begins(&mut self) -> HeaderMap {
        let answer = self.answer.take().unwrap().await.unwrap();
        let (head, answers) = answer.into_parts();
        self.answers = Some(answers);
        head.headers
    }

    /// The next bytes of the answers; none at the end.
    pub async fn next(&mut self) -> Option<Bytes> {
        let answers = self.answers.as_mut().unwrap();
        let bytes = answers.data().await?.unwrap();
        answers
            .flow_control()
            .release_capacity(bytes.len())
            .unwrap();
        Some(bytes)
    }

    /// Waits for the end: the status with its message, as gRPC tells it.
    pub async fn status(self) -> (i32, String) {
        let status = tokio::time::timeout(PATIENCE, self.status_at_end()).await;
        status.expect("the call ends")
    }

    async fn status_at_end(mut self) -> (i32, String) {
        let mut headers = match self.answers {
            None => self.begins().await,
            Some(_) => HeaderMap::new(),
        };
        if !headers.contains_key("grpc-status") {
            while self.next().await.is_some() {}
            let trailers = self.answers.as_mut().unwrap().trailers().await;
            headers = trailers.unwrap().expect("a status at the end");
        }
        let text = |name| {
            headers
                .get(name)
                .map_or("", |value| value.to_str().unwrap())
        };
        let message = text("grpc-message").replace("%20", " ");
        (text("grpc-status").parse().unwrap(), message)
    }
}

/// A message as gRPC frames it.
pub fn framed(message: &impl Message) -> Bytes {
    let encoded = message.encode_to_vec();
    framed_as(encoded.len(), &encoded)
}

/// The same with another length told before it.
pub fn framed_as(length: usize, bytes: &[u8]) -> Bytes {
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(u32::try_from(length).unwrap());
    framed.put_slice(bytes);
    framed.freeze()
}
