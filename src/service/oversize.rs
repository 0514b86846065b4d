//! What a request message that is over the limit is answered. tonic refuses it before the codec sees
//! it, as OUT_OF_RANGE and without details; here it gets the code and the details of any other
//! request that is too large.

use std::convert::Infallible;
use std::task::{Context, Poll};

use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::NamedService;
use tonic::{Code, Status};

use super::status::Failure;
use crate::wire::limits::REQUEST_MESSAGE_BYTES_MAX;

/// A service whose refusals of messages over the limit are explained.
#[derive(Debug, Clone)]
pub(super) struct Explained<S>(pub(super) S);

impl<S: NamedService> NamedService for Explained<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<Body>> for Explained<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let answer = self.0.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            // A call that is refused at once has its status among the headers.
            let refused = Status::from_header_map(answer.headers());
            Ok(match refused.as_ref().is_some_and(is_of_tonic) {
                true => too_large().into_http(),
                false => answer,
            })
        })
    }
}

/// The status with which a stream broke off, explained where it broke off at such a message.
pub(super) fn explained(status: Status) -> Status {
    match is_of_tonic(&status) {
        true => too_large(),
        false => status,
    }
}

/// Whether it is tonic's refusal of a message over the limit: our own have details.
fn is_of_tonic(status: &Status) -> bool {
    status.code() == Code::OutOfRange && status.details().is_empty()
}

fn too_large() -> Status {
    Failure::message_too_large(REQUEST_MESSAGE_BYTES_MAX).into_status()
}
