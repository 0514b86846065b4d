//! Connections: taken as long as there is a place, and given up where the peer says nothing at all.
//!
//! HTTP/2 asks a peer for a sign of life only once it has begun to speak; who opens a connection and
//! never does would hold it for ever.
//!
//! What of the peer is known with the connection, its address and its certificate, goes with every
//! request that comes over it.
//!
//! It deliberately does not know HTTP/2, but for the length of the words with which it begins.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};
use tonic::transport::server::Connected;

/// How long the server waits where the system refuses it a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Length of what a client of HTTP/2 says first (RFC 9113, section 3.4).
const PREFACE_BYTES: usize = 24;

/// The connections that a listener accepts. One for which there is no place is closed at once, so that
/// its client learns of it. Where the system refuses one, for example since the process has no file descriptor left, it is told, and tried
/// again a little later.
pub(super) fn accepted(
    listener: TcpListener,
    connections_max: usize,
) -> impl Stream<Item = io::Result<Connection>> {
    let places = Arc::new(Semaphore::new(connections_max));
    futures_util::stream::unfold((listener, places), move |(listener, places)| async move {
        loop {
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
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
                address: peer.ip(),
                place,
            });
            return Some((ready, (listener, places)));
        }
    })
}

/// A connection that was accepted, with its place among all.
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) address: IpAddr,
    pub(super) place: OwnedSemaphorePermit,
}

/// What is known of a peer: every request that comes over its connection has it in its extensions.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) address: IpAddr,
    /// SHA-256 of its certificate, which was verified; none where it showed none.
    pub(super) certificate: Option<Arc<[u8; 32]>>,
}

/// A connection that has to begin to speak in time.
pub(super) struct Speaking<S> {
    stream: S,
    peer: Peer,
    /// Bytes of the preface that are yet to come.
    preface_missing: usize,
    /// When the preface has to be there; none once it is.
    deadline: Option<Pin<Box<Sleep>>>,
    _place: OwnedSemaphorePermit,
}

impl Speaking<TcpStream> {
    /// A connection in plain text, whose peer has so long to begin.
    pub(super) fn plainly(connection: Connection, silence_max: Duration) -> Self {
        let peer = Peer {
            address: connection.address,
            certificate: None,
        };
        Self::new(connection.stream, peer, connection.place, silence_max)
    }
}

impl<S> Speaking<S> {
    /// What the peer is to speak through, and how long it has to begin.
    pub(super) fn new(
        stream: S,
        peer: Peer,
        place: OwnedSemaphorePermit,
        silence_max: Duration,
    ) -> Self {
        Self {
            stream,
            peer,
            preface_missing: PREFACE_BYTES,
            deadline: Some(Box::pin(sleep(silence_max))),
            _place: place,
        }
    }
}

impl<S> Connected for Speaking<S> {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Speaking<S> {
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

impl<S: AsyncWrite + Unpin> AsyncWrite for Speaking<S> {
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
