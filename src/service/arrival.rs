//! Requests on their way: what has begun to arrive has to arrive in time, and what is there of
//! unfinished messages is bounded over all calls.
//!
//! Without it a client that sends half of a large message and then nothing holds the half in memory
//! for as long as its connection lives, and a few hundred such calls hold a gigabyte.
//!
//! Invariants:
//! - A message that arrives in one piece costs no timer and takes up nothing.
//! - A stream of requests may rest for ever between two messages, but not within one. A call with one
//!   request may not rest before it is complete.
//!
//! It deliberately does not know what the messages hold: only the length before each of them, as
//! gRPC frames them.

use std::collections::HashSet;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::server::NamedService;

use super::status::Failure;
use crate::wire::descriptor_pool;
use crate::wire::limits::ARRIVING_BYTES_MAX;

/// The unit in which the bytes of unfinished messages are counted.
const UNIT_BYTES: usize = 1024;

/// A compression flag and the length of the message, before each message (gRPC over HTTP/2).
const PREFIX_BYTES: usize = 5;

/// The one call of the services that are not ours that takes a stream of requests.
const REFLECTION: &str = "ServerReflectionInfo";

/// What all calls share about requests on their way.
#[derive(Debug)]
pub(super) struct Arrivals {
    /// How long a message, or a call with one request, may take to arrive.
    duration_max: Duration,
    /// Room for the bytes of unfinished messages.
    room: Arc<Semaphore>,
    /// The paths of our calls that take a stream of requests.
    client_streams: HashSet<String>,
}

impl Arrivals {
    /// Requests may take so long to arrive.
    pub(super) fn new(duration_max: Duration) -> Self {
        let services = descriptor_pool().services();
        let methods = services.flat_map(|service| service.methods().collect::<Vec<_>>());
        let client_streams = methods
            .filter(|method| method.is_client_streaming())
            .map(|method| {
                let service = method.parent_service().full_name().to_owned();
                format!("/{service}/{}", method.name())
            });
        Self {
            duration_max,
            room: Arc::new(Semaphore::new(ARRIVING_BYTES_MAX / UNIT_BYTES)),
            client_streams: client_streams.collect(),
        }
    }

    fn takes_a_stream(&self, path: &str) -> bool {
        self.client_streams.contains(path) || path.ends_with(REFLECTION)
    }
}

/// A service whose requests have to arrive in time.
#[derive(Debug, Clone)]
pub(super) struct InTime<S> {
    pub(super) service: S,
    pub(super) arrivals: Arc<Arrivals>,
}

impl<S: NamedService> NamedService for InTime<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<Body>> for InTime<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
{
    type Response = S::Response;
    type Error = Infallible;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let may_rest = self.arrivals.takes_a_stream(request.uri().path());
        let arrivals = Arc::clone(&self.arrivals);
        self.service.call(request.map(|body| {
            Body::new(Arriving {
                body,
                arrivals,
                may_rest,
                framing: Framing::default(),
                room: None,
                deadline: None,
            })
        }))
    }
}

/// The body of a request on its way.
struct Arriving {
    body: Body,
    arrivals: Arc<Arrivals>,
    /// Whether nothing need come between two messages.
    may_rest: bool,
    framing: Framing,
    /// The room that the unfinished message takes up.
    room: Option<OwnedSemaphorePermit>,
    /// When what is waited for has to be there; none until it has to be waited for.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Arriving {
    /// Takes note of the bytes that arrived.
    fn take(&mut self, data: &[u8]) -> Result<(), Status> {
        let unfinished = self.framing.take(data);
        if unfinished == 0 {
            self.room = None;
            if self.may_rest {
                self.deadline = None;
            }
            return Ok(());
        }
        let held = self
            .room
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        let needed = unfinished.div_ceil(UNIT_BYTES).saturating_sub(held);
        let needed = u32::try_from(needed).unwrap_or(u32::MAX);
        let more = Arc::clone(&self.arrivals.room)
            .try_acquire_many_owned(needed)
            .map_err(|_| Failure::too_much_arriving(ARRIVING_BYTES_MAX).into_status())?;
        match &mut self.room {
            Some(room) => room.merge(more),
            None => self.room = Some(more),
        }
        Ok(())
    }

    /// Nothing is there: whether what is waited for is late.
    fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<Status> {
        if self.may_rest && self.framing.unfinished() == 0 {
            return Poll::Pending;
        }
        let duration_max = self.arrivals.duration_max;
        let deadline = self
            .deadline
            .get_or_insert_with(|| Box::pin(sleep(duration_max)));
        deadline
            .as_mut()
            .poll(context)
            .map(|()| Failure::arriving_too_slowly(duration_max).into_status())
    }
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                let noted = frame.data_ref().map_or(Ok(()), |data| self.take(data));
                Poll::Ready(Some(noted.map(|()| frame)))
            }
            Poll::Pending => self.poll_late(context).map(|late| Some(Err(late))),
            ended => ended,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Where in the frames of gRPC a body is.
#[derive(Debug, Default)]
struct Framing {
    /// Bytes of the prefix that are there.
    prefix: usize,
    /// The length of the message, as far as the prefix is there: the flag is shifted out of it.
    length: u32,
    /// Bytes of the message that are there.
    there: usize,
}

impl Framing {
    /// Goes on by these bytes. Returns how many bytes of an unfinished message are there, its prefix
    /// included; 0 between two messages.
    fn take(&mut self, mut data: &[u8]) -> usize {
        while let Some((first, rest)) = data.split_first() {
            if self.prefix < PREFIX_BYTES {
                self.prefix += 1;
                self.length = (self.length << 8) | u32::from(*first);
                data = rest;
            } else {
                let count = self.missing().min(data.len());
                self.there += count;
                data = data.get(count..).unwrap_or_default();
            }
            if self.prefix == PREFIX_BYTES && self.missing() == 0 {
                *self = Self::default();
            }
        }
        self.unfinished()
    }

    fn unfinished(&self) -> usize {
        self.prefix + self.there
    }

    /// Bytes of the message that are yet to come, once its prefix is there.
    fn missing(&self) -> usize {
        let length = usize::try_from(self.length).unwrap_or(usize::MAX);
        length.saturating_sub(self.there)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn message(length: u8) -> Vec<u8> {
        let mut bytes = vec![0, 0, 0, 0, length];
        bytes.resize(PREFIX_BYTES + usize::from(length), 0xff);
        bytes
    }

    #[test]
    fn messages_are_told_apart_however_they_are_cut() {
        let lengths = [3, 0, 200, 1, 0, 0, 7];
        let bytes: Vec<u8> = lengths.iter().flat_map(|length| message(*length)).collect();
        let mut ends = vec![0];
        for length in lengths {
            ends.push(ends[ends.len() - 1] + PREFIX_BYTES + usize::from(length));
        }
        for piece in 1..bytes.len() {
            let mut framing = Framing::default();
            let mut at = 0;
            for part in bytes.chunks(piece) {
                let unfinished = framing.take(part);
                at += part.len();
                let begin = ends.iter().rev().find(|end| **end <= at).unwrap();
                assert_eq!(
                    unfinished,
                    at - begin,
                    "after {at} bytes in pieces of {piece}"
                );
            }
        }
    }

    #[test]
    fn calls_that_take_a_stream_of_requests_are_known_from_the_protocol() {
        let arrivals = Arrivals::new(Duration::ZERO);
        assert!(arrivals.takes_a_stream("/casetrail.v1.CaseService/SubmitStream"));
        assert!(
            arrivals.takes_a_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
        );
        for path in [
            "/casetrail.v1.CaseService/SubmitEvents",
            "/casetrail.v1.MonitorService/WatchStatus",
            "/grpc.health.v1.Health/Watch",
        ] {
            assert!(!arrivals.takes_a_stream(path), "{path}");
        }
    }
}
