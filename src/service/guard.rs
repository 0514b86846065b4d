//! The guard before every service: it identifies who calls, looks the method up in the table of
//! roles, and puts the [`Identity`] into the extensions of the request. No call goes past it.
//!
//! Invariants:
//! - On a server with accounts a call without an identity reaches no service, but a method that is
//!   for anyone. On one without accounts every call has the identity that it claims.
//! - Credentials that are not valid are answered alike and after the same time, whatever was wrong.
//! - A call goes no further once what identified its caller no longer holds: no frame of the request
//!   is passed on, and a stream of answers ends ([`super::held`]).
//! - Refused calls are told to the log ([`super::refusals`]), with no credentials.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::{BoxFuture, Either, FutureExt};
use tokio::time::{Instant, sleep_until};
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::server::NamedService;

use super::call::{ACTOR_METADATA, ORGANISATION_METADATA};
use super::connection::{Calls, Peer};
use super::held;
use super::refusals::{self, Refusal};
use super::status::Failure;
use crate::access::table::{self, Callers, Row};
use crate::access::{Access, Identity, Presented, Refused, Term};
use crate::wire::limits::FAILURE_ANSWER;
use crate::wire::moment::Moment;
use crate::wire::validate;

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

/// The answer of a service, one that is there, or one that is to come.
type Answered<F> = Either<F, Either<Ready<Answer>, BoxFuture<'static, Answer>>>;

impl<S> Service<http::Request<Body>> for Guarded<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = Infallible;
    type Future = Answered<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let Some(access) = &self.access else {
            let identity = claimed(&request);
            request.extensions_mut().insert(identity);
            return Either::Left(self.service.call(request));
        };
        // From its arrival on, so that the time it takes to look at credentials is not told.
        let due = Instant::now() + FAILURE_ANSWER;
        let now = access.now();
        let looked_at = access.look(now);
        match admit(access, &request, now) {
            Ok(None) => Either::Left(self.service.call(request)),
            Ok(Some((row, identity))) => {
                let stream = row.streams.then(|| access.open_stream(&identity));
                let stream = match stream.transpose() {
                    Ok(stream) => stream,
                    Err(limit) => return told(Failure::too_many_streams_of_account(limit)),
                };
                let term = Term::since(access, &identity, looked_at);
                let calls = request.extensions().get().map(|peer: &Peer| &peer.calls);
                if let Some(calls) = calls {
                    calls.begin();
                }
                let open = stream.map(|stream| (stream, calls.map(Calls::open_stream)));
                request.extensions_mut().insert(identity);
                let Some(open) = open else {
                    let request = request.map(|body| held::request(body, term));
                    return Either::Left(self.service.call(request));
                };
                let request = request.map(|body| held::requests(body, term.clone()));
                let answer = self.service.call(request);
                let answer = answer.map(|answer| {
                    answer.map(|answer| answer.map(|body| held::answer(body, term, open)))
                });
                Either::Right(Either::Right(answer.boxed()))
            }
            Err(Denied::Credentials) => {
                let answer = async move {
                    sleep_until(due).await;
                    Ok(Failure::unauthenticated().into_status().into_http())
                };
                Either::Right(Either::Right(answer.boxed()))
            }
            Err(Denied::Told(failure)) => told(failure),
        }
    }
}

/// The answer to a call that does not go on.
fn told<F>(failure: Failure) -> Answered<F> {
    Either::Right(Either::Left(ready(Ok(failure.into_status().into_http()))))
}

/// A call that does not go on.
enum Denied {
    /// Its credentials are not valid.
    Credentials,
    /// Something that its caller is told.
    Told(Failure),
}

/// By whom a call that goes on is made, and its method; none where that is for anyone.
fn admit(
    access: &Access,
    request: &http::Request<Body>,
    now: Moment,
) -> Result<Option<(&'static Row, Identity)>, Denied> {
    let row = table::row(request.uri().path());
    if row.is_some_and(|row| row.callers == Callers::Anyone) {
        return Ok(None);
    }
    let peer = request.extensions().get::<Peer>();
    let address = peer.map(|peer| peer.address);
    let refused = |refused: Refused| {
        refusals::note(Refusal {
            address,
            method: row.map(Row::method),
            cause: refused.name(),
            ..Refusal::default()
        });
        Denied::Credentials
    };
    let told = |identity: &Identity, failure: Failure| {
        refusals::note(Refusal {
            address,
            method: row.map(Row::method),
            account: Some(identity.account().to_owned()),
            organisation: Some(identity.organisation().to_owned()),
            cause: failure.reason(),
        });
        Denied::Told(failure)
    };
    if address.is_some_and(|address| access.is_locked_out(address, now)) {
        return Err(refused(Refused::LockedOut));
    }
    let presented = presented(request, peer);
    let identity = access.identify(&presented, now).map_err(|cause| {
        // Who presents nothing guesses nothing.
        if let Some(address) = address.filter(|_| cause != Refused::NoCredentials) {
            access.note_failure(address, now);
        }
        refused(cause)
    })?;
    // Also of calls that are refused below.
    if let Err(wait_ms) = access.admit(&identity, now) {
        let failure = Failure::called_too_often(Duration::from_millis(wait_ms));
        return Err(told(&identity, failure));
    }
    let role = identity.role();
    match row.zip(role) {
        Some((row, role)) if row.allows(role) => Ok(Some((row, identity))),
        _ => Err(told(&identity, Failure::not_permitted(role))),
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
        certificate: peer.and_then(|peer| peer.certificate.as_ref()),
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
