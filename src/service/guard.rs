//! The guard before every service: it identifies who calls, looks the method up in the table of
//! roles, and puts the [`Identity`] into the extensions of the request. No call goes past it.
//!
//! Invariants:
//! - On a server with accounts a call without an identity reaches no service, but a method that is
//!   for anyone. On one without accounts every call has the identity that it claims.
//! - Credentials that are not valid are answered alike and after the same time, whatever was wrong.
//! - A stream ends when the grant does by which it was opened.
//! - Refused calls are told to the log under the target `casetrail::refused`, with no credentials.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, Either, FutureExt};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, sleep, sleep_until};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::server::NamedService;

use super::call::{ACTOR_METADATA, ORGANISATION_METADATA};
use super::connection::Peer;
use super::status::Failure;
use crate::access::table::{self, Callers, Row};
use crate::access::{Access, Identity, Presented, Refused};
use crate::wire::limits::FAILURE_ANSWER;
use crate::wire::validate;

/// How often a stream looks whether the time of its grant is over.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// Who records where the metadata doesn't say, on a server without accounts.
const WITHOUT_NAME: &str = "local";

/// A service behind the guard.
#[derive(Debug, Clone)]
pub(super) struct Guarded<S> {
    pub(super) service: S,
    /// Who may call; none on a server without accounts.
    pub(super) access: Option<Arc<Access>>,
}

impl<S: NamedService> NamedService for Guarded<S> {
    const NAME: &'static str = S::NAME;
}

type Answer = Result<http::Response<Body>, Infallible>;

impl<S> Service<http::Request<Body>> for Guarded<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = Infallible;
    type Future = Either<S::Future, Either<Ready<Answer>, BoxFuture<'static, Answer>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let Some(access) = &self.access else {
            let identity = claimed(&request);
            request.extensions_mut().insert(identity);
            return Either::Left(self.service.call(request));
        };
        match admit(access, &request) {
            Ok(Admitted { row, identity }) => {
                if let Some(identity) = &identity {
                    request.extensions_mut().insert(identity.clone());
                }
                let answer = self.service.call(request);
                match identity.filter(|_| row.streams) {
                    None => Either::Left(answer),
                    Some(identity) => {
                        let access = Arc::clone(access);
                        let watched = answer.map(|answer| {
                            answer.map(|answer| answer.map(|body| watched(body, access, identity)))
                        });
                        Either::Right(Either::Right(watched.boxed()))
                    }
                }
            }
            Err(Denied::Credentials) => {
                let due = Instant::now() + FAILURE_ANSWER;
                let answer = async move {
                    sleep_until(due).await;
                    Ok(Failure::unauthenticated().into_status().into_http())
                };
                Either::Right(Either::Right(answer.boxed()))
            }
            Err(Denied::Told(failure)) => {
                let answer = Ok(failure.into_status().into_http());
                Either::Right(Either::Left(ready(answer)))
            }
        }
    }
}

/// A call that goes on.
struct Admitted {
    row: &'static Row,
    /// None for a method that is for anyone.
    identity: Option<Identity>,
}

/// A call that does not go on.
enum Denied {
    /// Its credentials are not valid.
    Credentials,
    /// Something that its caller is told.
    Told(Failure),
}

fn admit(access: &Access, request: &http::Request<Body>) -> Result<Admitted, Denied> {
    let path = request.uri().path();
    let row = table::row(path);
    if let Some(row) = row
        && row.callers == Callers::Anyone
    {
        return Ok(Admitted {
            row,
            identity: None,
        });
    }
    let peer = request.extensions().get::<Peer>();
    let address = peer.map(|peer| peer.address);
    let refused = |refused: Refused| {
        tracing::warn!(
            target: "casetrail::refused",
            path = row.map_or("unknown", |row| row.path),
            address = address.map(tracing::field::display),
            cause = refused.name(),
            "a call was refused: its credentials are not valid"
        );
        Denied::Credentials
    };
    if address.is_some_and(|address| access.is_locked_out(address)) {
        return Err(refused(Refused::LockedOut));
    }
    let presented = presented(request, peer);
    let identity = access.identify(&presented).map_err(|cause| {
        note_failure(access, address, cause);
        refused(cause)
    })?;
    let role = identity.role();
    match row.zip(role) {
        Some((row, role)) if row.allows(role) => {}
        _ => {
            tracing::warn!(
                target: "casetrail::refused",
                path = row.map_or("unknown", |row| row.path),
                account = identity.account(),
                organisation = identity.organisation(),
                role = role.map(table::role_name),
                "a call was refused: the role may not make it"
            );
            return Err(Denied::Told(Failure::not_permitted(role)));
        }
    }
    if let Err(wait_ms) = access.admit(&identity) {
        tracing::warn!(
            target: "casetrail::refused",
            path,
            account = identity.account(),
            "a call was refused: the account calls too often"
        );
        let failure = Failure::called_too_often(Duration::from_millis(wait_ms));
        return Err(Denied::Told(failure));
    }
    row.map_or(Err(Denied::Told(Failure::not_permitted(role))), |row| {
        Ok(Admitted {
            row,
            identity: Some(identity),
        })
    })
}

/// Counts a failure of an address. Who presents nothing guesses nothing.
fn note_failure(access: &Access, address: Option<IpAddr>, cause: Refused) {
    if let Some(address) = address.filter(|_| cause != Refused::NoCredentials) {
        access.note_failure(address);
    }
}

fn presented<'a>(request: &'a http::Request<Body>, peer: Option<&'a Peer>) -> Presented<'a> {
    let mut authorizations = request
        .headers()
        .get_all(http::header::AUTHORIZATION)
        .iter();
    let authorization = authorizations.next().map(|first| {
        let is_only = authorizations.next().is_none();
        is_only.then(|| first.as_bytes())
    });
    Presented {
        authorization,
        certificate: peer.and_then(|peer| peer.certificate.as_deref()),
    }
}

/// The name that a caller gives themselves on a server without accounts.
fn claimed(request: &http::Request<Body>) -> Identity {
    let claim = |name: &str| {
        let value = request.headers().get(name)?;
        let text = std::str::from_utf8(value.as_bytes()).ok()?;
        // One that is malformed is refused where it counts: by what records.
        validate::reference(name, text).ok().map(|()| text)
    };
    Identity::without_account(
        claim(ACTOR_METADATA).unwrap_or(WITHOUT_NAME),
        claim(ORGANISATION_METADATA).unwrap_or(WITHOUT_NAME),
    )
}

/// The body of an answer that ends when the grant does by which its caller was identified.
fn watched(body: Body, access: Arc<Access>, identity: Identity) -> Body {
    let over = async move {
        let mut changes = access.changes();
        loop {
            // Marked as seen before it is looked, so that no change is missed.
            changes.mark_unchanged();
            if !access.holds(&identity) {
                return;
            }
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = sleep(LOOK_INTERVAL) => {}
            }
        }
    };
    Body::new(Watched {
        body,
        over: Some(over.boxed()),
    })
}

struct Watched {
    body: Body,
    /// Comes when the grant is over; none once it has.
    over: Option<BoxFuture<'static, ()>>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(over) = &mut self.over else {
            return Poll::Ready(None);
        };
        if over.as_mut().poll(context).is_ready() {
            self.over = None;
            // Nothing reads what the service goes on to send.
            self.body = Body::empty();
            let status = Failure::unauthenticated().into_status();
            let mut trailers = http::HeaderMap::new();
            return Poll::Ready(match status.add_header(&mut trailers) {
                Ok(()) => Some(Ok(Frame::trailers(trailers))),
                Err(status) => Some(Err(status)),
            });
        }
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.over.is_none() || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
