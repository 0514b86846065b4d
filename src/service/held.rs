//! Bodies that end when the term of their caller does, whoever reads or writes at the other end.
//!
//! The end is looked at before each frame, and waited for where none is there: a request is not passed
//! on because the caller was somebody when it began, nor an answer sent. What of a single request is
//! there when the caller is identified is passed on without another look.
//!
//! It deliberately does not know what the frames hold.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::HeaderMap;

use super::status::Failure;
use crate::access::Term;

/// The body of a single request of somebody who was just identified, of which nothing that comes later
/// is passed on once the term is over.
pub(super) fn request(body: Body, term: Term) -> Body {
    let held = Held::new(body, term, (), Err);
    Body::new(Held {
        looks: false,
        ..held
    })
}

/// The body of requests, of which none is passed on once the term is over.
pub(super) fn requests(body: Body, term: Term) -> Body {
    Body::new(Held::new(body, term, (), Err))
}

/// The body of an answer that ends with a status once the term is over. What is held `with` it is
/// dropped with it.
pub(super) fn answer<T: Send + Unpin + 'static>(body: Body, term: Term, with: T) -> Body {
    Body::new(Held::new(body, term, with, |status| {
        let mut trailers = HeaderMap::new();
        status.add_header(&mut trailers)?;
        Ok(Frame::trailers(trailers))
    }))
}

/// What a body ends with.
type LastFrame = fn(Status) -> Result<Frame<Bytes>, Status>;

struct Held<T> {
    body: Body,
    term: Term,
    /// Comes when the term is over; none until it is waited for.
    over: Option<BoxFuture<'static, ()>>,
    is_over: bool,
    /// Whether the end is looked at before the next frame.
    looks: bool,
    last: LastFrame,
    _with: T,
}

impl<T> Held<T> {
    fn new(body: Body, term: Term, with: T, last: LastFrame) -> Self {
        Self {
            body,
            term,
            over: None,
            is_over: false,
            looks: true,
            last,
            _with: with,
        }
    }

    fn end(&mut self) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.is_over = true;
        self.over = None;
        // Nothing reads what goes on to be sent.
        self.body = Body::empty();
        Poll::Ready(Some((self.last)(Failure::unauthenticated().into_status())))
    }
}

impl<T: Unpin> HttpBody for Held<T> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let held = self.get_mut();
        if held.is_over {
            return Poll::Ready(None);
        }
        if held.looks && held.term.is_over() {
            return held.end();
        }
        let polled = Pin::new(&mut held.body).poll_frame(context);
        if polled.is_ready() {
            return polled;
        }
        held.looks = true;
        let over = held.over.get_or_insert_with(|| {
            let term = held.term.clone();
            term.over().boxed()
        });
        if over.as_mut().poll(context).is_ready() {
            return held.end();
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.is_over || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
