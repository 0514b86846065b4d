//! Connections: taken as long as there is a place, and given up where the peer says nothing at all.
//!
//! HTTP/2 asks a peer for a sign of life only once it has begun to speak; who opens a connection and
//! never does would hold it for ever.
//!
//! It deliberately does not know HTTP/2, but for the length of the words with which it begins.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};
use tonic::transport::server::{Connected, TcpConnectInfo};

use super::PeerLimits;

/// How long the server waits where the system refuses it a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Length of what a client of HTTP/2 says first (RFC 9113, section 3.4).
const PREFACE_BYTES: usize = 24;

/// The connections that a listener accepts; each has to begin to speak in time. One for which there
/// is no place is closed at once, so that its client learns of it. Where the system
/// refuses one, for example since the process has no file descriptor left, it is told, and tried
/// again a little later.
pub(super) fn accepted(
    listener: TcpListener,
    limits: PeerLimits,
) -> impl Stream<Item = io::Result<Connection>> {
    let PeerLimits {
        connections_max,
        silence_max,
        ..
    } = limits;
    let places = Arc::new(Semaphore::new(connections_max));
    futures_util::stream::unfold((listener, places), move |(listener, places)| async move {
        loop {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                tracing::warn!(
                    connections_max,
                    "a connection was closed: there is no place"
                );
                continue;
            };
            // Without it an answer can wait 40 ms for the acknowledgement of the one before.
            let ready = stream.set_nodelay(true).map(|()| Connection {
                stream,
                preface_missing: PREFACE_BYTES,
                deadline: Some(Box::pin(sleep(silence_max))),
                _place: place,
            });
            return Some((ready, (listener, places)));
        }
    })
}

/// A connection that has to begin to speak in time.
pub(super) struct Connection {
    stream: TcpStream,
    /// Bytes of the preface that are yet to come.
    preface_missing: usize,
    /// When the preface has to be there; none once it is.
    deadline: Option<Pin<Box<Sleep>>>,
    _place: OwnedSemaphorePermit,
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let Some(deadline) = &mut self.deadline else {
            return read;
        };
        if read.is_pending() {
            return deadline
                .as_mut()
                .poll(context)
                .map(|()| Err(io::ErrorKind::TimedOut.into()));
        }
        let count = buffer.filled().len().saturating_sub(before);
        self.preface_missing = self.preface_missing.saturating_sub(count);
        if self.preface_missing == 0 {
            self.deadline = None;
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
