//! Connections: taken as long as there is a place, and given up where the peer says nothing at all, or
//! nothing that counts.
//!
//! HTTP/2 asks a peer for a sign of life only once it has begun to speak; who opens a connection and
//! never does would hold it for ever. So would who gives signs of life and makes no call: on a server
//! with accounts a connection is kept for calls of somebody ([`Bounds`]), and each address has a share
//! of the places.
//!
//! What of the peer is known with the connection, its address and its certificate, goes with every
//! request that comes over it.
//!
//! It deliberately does not know HTTP/2, but for the length of the words with which it begins.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tonic::transport::server::Connected;

use super::refusals::{self, Refusal};
use crate::access::{Certificate, Share, Shares, network};

/// How long the server waits where the system refuses it a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Length of what a client of HTTP/2 says first (RFC 9113, section 3.4).
const PREFACE_BYTES: usize = 24;

/// What a server with accounts asks of connections.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Number of connections of one address at once.
    pub(super) per_address: usize,
    /// How long a connection may take to its first call of somebody who is identified, from when it was
    /// accepted.
    pub(super) admission_max: Duration,
    /// How long after its last call began, or its last stream ended, a connection is closed at the
    /// earliest; after twice this at the latest.
    pub(super) idle_max: Duration,
}

/// The connections that a listener accepts. One for which there is no place is closed at once, so that
/// its client learns of it. Where the system refuses one, for example since the process has no file descriptor left, it is told, and tried
/// again a little later.
pub(super) fn accepted(
    listener: TcpListener,
    connections_max: usize,
    bounds: Option<Bounds>,
) -> impl Stream<Item = io::Result<Connection>> {
    let places = Places {
        all: Arc::new(Semaphore::new(connections_max)),
        networks: Shares::default(),
        per_network: bounds.map_or(connections_max, |bounds| bounds.per_address),
    };
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
            let place = match places.take(peer.ip()) {
                Ok(place) => place,
                Err(cause) => {
                    refusals::note(Refusal {
                        address: Some(peer.ip()),
                        cause,
                        ..Refusal::default()
                    });
                    continue;
                }
            };
            // Without it an answer can wait 40 ms for the acknowledgement of the one before.
            let ready = stream.set_nodelay(true).map(|()| Connection {
                stream,
                seat: Seat {
                    accepted_at: Instant::now(),
                    address: peer.ip(),
                    bounds,
                    _place: place,
                },
            });
            return Some((ready, (listener, places)));
        }
    })
}

/// The places of connections.
struct Places {
    all: Arc<Semaphore>,
    networks: Shares<IpAddr>,
    per_network: usize,
}

impl Places {
    /// A place for a connection from an address.
    ///
    /// # Errors
    /// Why not.
    fn take(&self, address: IpAddr) -> Result<Place, &'static str> {
        let all = Arc::clone(&self.all).try_acquire_owned();
        let all = all.map_err(|_| "no place for a connection")?;
        let of_network = self.networks.take(&network(address), self.per_network);
        let of_network = of_network.ok_or("too many connections of one address")?;
        Ok(Place {
            _of_network: of_network,
            _all: all,
        })
    }
}

/// The place of a connection, until this is dropped.
pub(super) struct Place {
    _of_network: Share<IpAddr>,
    _all: OwnedSemaphorePermit,
}

/// A connection that was accepted, with its place among all.
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) seat: Seat,
}

/// The place that a connection has, and what is asked of it.
pub(super) struct Seat {
    pub(super) accepted_at: Instant,
    pub(super) address: IpAddr,
    bounds: Option<Bounds>,
    _place: Place,
}

/// The calls of a connection whose caller was identified.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// How many have begun, and how many streams have ended.
    uses: AtomicU64,
    open_streams: AtomicUsize,
}

impl Calls {
    /// Takes note of a call that begins.
    pub(super) fn begin(&self) {
        self.uses.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes note of a stream, which is open until what this returns is dropped.
    pub(super) fn open_stream(self: &Arc<Self>) -> OpenStream {
        self.open_streams.fetch_add(1, Ordering::Relaxed);
        OpenStream(Arc::clone(self))
    }
}

/// An open stream of a connection.
#[derive(Debug)]
pub(super) struct OpenStream(Arc<Calls>);

impl Drop for OpenStream {
    fn drop(&mut self) {
        // Its end is a use as well: the peer has the time for another one from then on.
        self.0.begin();
        self.0.open_streams.fetch_sub(1, Ordering::Release);
    }
}

/// What is known of a peer: every request that comes over its connection has it in its extensions.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) address: IpAddr,
    /// Its certificate; none where it showed none.
    pub(super) certificate: Option<Arc<Certificate>>,
    /// Its calls.
    pub(super) calls: Arc<Calls>,
}

/// A connection that has to begin to speak in time, and to be used.
pub(super) struct Speaking<S> {
    stream: S,
    peer: Peer,
    seat: Seat,
    /// What is waited for; none where nothing is any more.
    awaited: Option<(Awaited, Pin<Box<Sleep>>)>,
}

/// What a connection waits for.
enum Awaited {
    /// So many bytes of the preface.
    Preface(usize),
    /// A call of somebody.
    Admission,
    /// Another use than those that there had been.
    UseAfter(u64),
}

impl<S> Speaking<S> {
    /// What the peer is to speak through, with the certificate that it showed; it has so long to begin,
    /// from when the connection was accepted.
    pub(super) fn new(
        stream: S,
        seat: Seat,
        certificate: Option<Certificate>,
        silence_max: Duration,
    ) -> Self {
        let peer = Peer {
            address: seat.address,
            certificate: certificate.map(Arc::new),
            calls: Arc::default(),
        };
        let due = sleep_until(seat.accepted_at + silence_max);
        Self {
            stream,
            peer,
            seat,
            awaited: Some((Awaited::Preface(PREFACE_BYTES), Box::pin(due))),
        }
    }

    /// Waits for a call of somebody, from when the connection was accepted.
    fn expect_admission(&mut self) {
        let accepted_at = self.seat.accepted_at;
        self.awaited = self.seat.bounds.map(|bounds| {
            let due = sleep_until(accepted_at + bounds.admission_max);
            (Awaited::Admission, Box::pin(due))
        });
    }

    /// Waits for a use after these, from now on.
    fn expect_use(&mut self, after: u64) {
        self.awaited = self.seat.bounds.map(|bounds| {
            let due = sleep(bounds.idle_max);
            (Awaited::UseAfter(after), Box::pin(due))
        });
    }

    /// Nothing is there to be read: whether what is waited for is late.
    fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while let Some((awaited, deadline)) = &mut self.awaited {
            ready!(deadline.as_mut().poll(context));
            let calls = &self.peer.calls;
            // Before the uses, among which a stream counts before it is no longer open.
            let is_open = calls.open_streams.load(Ordering::Acquire) > 0;
            let uses = calls.uses.load(Ordering::Relaxed);
            let is_used = match awaited {
                Awaited::Preface(_) => false,
                Awaited::Admission => uses > 0,
                Awaited::UseAfter(before) => uses != *before || is_open,
            };
            if !is_used {
                return Poll::Ready(());
            }
            self.expect_use(uses);
        }
        Poll::Pending
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
        if read.is_pending() {
            return self
                .poll_late(context)
                .map(|()| Err(io::ErrorKind::TimedOut.into()));
        }
        if let Some((Awaited::Preface(missing), _)) = &mut self.awaited {
            let count = buffer.filled().len().saturating_sub(before);
            *missing = missing.saturating_sub(count);
            if *missing == 0 {
                self.expect_admission();
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_ends_leaves_its_connection_as_one_that_was_just_used() {
        let calls = Arc::new(Calls::default());
        let stream = calls.open_stream();
        assert_eq!(calls.open_streams.load(Ordering::Relaxed), 1);
        let before = calls.uses.load(Ordering::Relaxed);
        drop(stream);
        assert_eq!(calls.open_streams.load(Ordering::Relaxed), 0);
        assert!(calls.uses.load(Ordering::Relaxed) > before);
    }
}
