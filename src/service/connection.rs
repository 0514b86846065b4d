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

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};
use tonic::transport::server::Connected;

use super::refusals::{self, Refusal};
use crate::access::{Certificate, network};

/// How long the server waits where the system refuses it a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Length of what a client of HTTP/2 says first (RFC 9113, section 3.4).
const PREFACE_BYTES: usize = 24;

/// What a server with accounts asks of connections.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Number of connections of one address at once.
    pub(super) per_address: usize,
    /// How long a connection may take to its first call of somebody who is identified.
    pub(super) admission_max: Duration,
    /// After how long without a call and without an open stream a connection is closed, at the earliest;
    /// after twice this at the latest.
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
        networks: Arc::default(),
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
                address: peer.ip(),
                bounds,
                place,
            });
            return Some((ready, (listener, places)));
        }
    })
}

/// How many connections each network has.
type Networks = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// The places of connections.
struct Places {
    all: Arc<Semaphore>,
    networks: Networks,
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
        let network = network(address);
        let mut networks = lock(&self.networks);
        let count = networks.entry(network).or_default();
        if *count >= self.per_network {
            return Err("too many connections of one address");
        }
        *count += 1;
        drop(networks);
        Ok(Place {
            network,
            networks: Arc::clone(&self.networks),
            _all: all,
        })
    }
}

/// The place of a connection, until this is dropped.
pub(super) struct Place {
    network: IpAddr,
    networks: Networks,
    _all: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut networks = lock(&self.networks);
        if let Some(count) = networks.get_mut(&self.network) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                networks.remove(&self.network);
            }
        }
    }
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection that was accepted, with its place among all.
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) address: IpAddr,
    pub(super) bounds: Option<Bounds>,
    pub(super) place: Place,
}

/// The calls of a connection whose caller was identified.
#[derive(Debug, Default)]
pub(super) struct Calls {
    begun: AtomicU64,
    open_streams: AtomicUsize,
}

impl Calls {
    /// Takes note of a call.
    pub(super) fn begin(&self) {
        self.begun.fetch_add(1, Ordering::Relaxed);
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
        self.0.open_streams.fetch_sub(1, Ordering::Relaxed);
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
    bounds: Option<Bounds>,
    /// What is waited for; none where nothing is any more.
    awaited: Option<(Awaited, Pin<Box<Sleep>>)>,
    _place: Place,
}

/// What a connection waits for.
enum Awaited {
    /// So many bytes of the preface.
    Preface(usize),
    /// A call of somebody.
    Admission,
    /// Another call than those that had begun.
    CallAfter(u64),
}

impl Speaking<TcpStream> {
    /// A connection in plain text, whose peer has so long to begin.
    pub(super) fn plainly(connection: Connection, silence_max: Duration) -> Self {
        let Connection {
            stream,
            address,
            bounds,
            place,
        } = connection;
        let peer = Peer {
            address,
            certificate: None,
            calls: Arc::default(),
        };
        Self::new(stream, peer, bounds, place, silence_max)
    }
}

impl<S> Speaking<S> {
    /// What the peer is to speak through, and how long it has to begin.
    pub(super) fn new(
        stream: S,
        peer: Peer,
        bounds: Option<Bounds>,
        place: Place,
        silence_max: Duration,
    ) -> Self {
        let awaited = Awaited::Preface(PREFACE_BYTES);
        Self {
            stream,
            peer,
            bounds,
            awaited: Some((awaited, Box::pin(sleep(silence_max)))),
            _place: place,
        }
    }

    /// Waits for what comes next, from now on.
    fn expect(&mut self, next: Awaited) {
        self.awaited = self.bounds.map(|bounds| {
            let duration_max = match next {
                Awaited::Preface(_) | Awaited::Admission => bounds.admission_max,
                Awaited::CallAfter(_) => bounds.idle_max,
            };
            (next, Box::pin(sleep(duration_max)))
        });
    }

    /// Nothing is there to be read: whether what is waited for is late.
    fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while let Some((awaited, deadline)) = &mut self.awaited {
            ready!(deadline.as_mut().poll(context));
            let calls = &self.peer.calls;
            let begun = calls.begun.load(Ordering::Relaxed);
            let is_used = match awaited {
                Awaited::Preface(_) => false,
                Awaited::Admission => begun > 0,
                Awaited::CallAfter(before) => {
                    begun != *before || calls.open_streams.load(Ordering::Relaxed) > 0
                }
            };
            if !is_used {
                return Poll::Ready(());
            }
            self.expect(Awaited::CallAfter(begun));
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
                self.expect(Awaited::Admission);
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
