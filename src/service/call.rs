//! What all calls share: who records, what is logged, and work that may not run on the async
//! threads.
//!
//! Invariant: the log of the server is told the method, the code, positions and durations; never
//! what a request or an answer holds.

use std::time::Duration;

use tokio::time::Instant;
use tonic::metadata::MetadataMap;
use tonic::{Code, Request, Response, Status};

use super::Shared;
use super::refusals::{self, Refusal};
use super::status::Failure;
use crate::access::Identity;
use crate::domain::Sight;
use crate::ledger::{Ledger, Recorder};
use crate::wire::validate::{self, Violation};

/// The most bytes of a page, whatever its size: it has to pass a client's limit for a message,
/// 4 MiB unless set otherwise. One item may go beyond it, and is far smaller than the rest.
pub(super) const PAGE_BYTES_MAX: usize = 2 * 1024 * 1024;

/// The metadata that names who records.
pub(super) const ACTOR_METADATA: &str = "casetrail-actor";
/// The metadata that names the organisation for which they record.
pub(super) const ORGANISATION_METADATA: &str = "casetrail-organisation";

/// Answers a call with one answer, and logs how it ended. `caller` is who made it.
pub(super) async fn answer<T>(
    shared: &Shared,
    method: &'static str,
    caller: Option<Identity>,
    call: impl Future<Output = Result<T, Failure>>,
) -> Result<Response<T>, Status> {
    let began_at = Instant::now();
    match call.await {
        Ok(answer) => {
            log_end(method, began_at, Code::Ok, None, None);
            Ok(Response::new(answer))
        }
        Err(failure) => Err(refuse(shared, method, caller.as_ref(), began_at, failure)),
    }
}

/// Logs a call or the opening of a stream that failed, and makes its status.
pub(super) fn refuse(
    shared: &Shared,
    method: &'static str,
    caller: Option<&Identity>,
    began_at: Instant,
    failure: Failure,
) -> Status {
    if let Some(caller) = caller {
        let (account, organisation) = (caller.account(), caller.organisation());
        let sight = caller.authority().sight;
        note_refused(
            &shared.ledger,
            method,
            account,
            organisation,
            &sight,
            &failure,
        );
    }
    log_end(method, began_at, failure.code(), failure.cause(), None);
    failure.into_status()
}

/// Logs how a call or a stream ended.
pub(super) fn log_end(
    method: &'static str,
    began_at: Instant,
    code: Code,
    cause: Option<&str>,
    next_position: Option<u64>,
) {
    let duration: Duration = began_at.elapsed();
    match code {
        Code::Internal | Code::DataLoss => {
            tracing::error!(method, ?code, ?duration, next_position, cause, "failed");
        }
        Code::Unavailable if cause.is_some() => {
            tracing::error!(method, ?code, ?duration, next_position, cause, "failed");
        }
        _ => tracing::debug!(method, ?code, ?duration, next_position, "ended"),
    }
}

/// Who calls, where that is known.
pub(super) fn who<T>(request: &Request<T>) -> Option<Identity> {
    request.extensions().get::<Identity>().cloned()
}

/// Who calls: the guard before the service has put it there.
///
/// # Errors
/// There is none, which is a fault of the server.
pub(super) fn caller<T>(request: &Request<T>) -> Result<Identity, Failure> {
    who(request).ok_or_else(|| Failure::internal("a call has come past the guard"))
}

/// Who records: the account that calls, and what the metadata says of it has to agree. On a server
/// without accounts it is who the metadata says.
pub(super) fn recorder<T>(request: &Request<T>) -> Result<Recorder, Failure> {
    let identity = caller(request)?;
    let metadata = request.metadata();
    let named = |name, of_account: &str| match (reference(metadata, name)?, identity.role()) {
        (Some(claimed), Some(_)) if claimed != of_account => {
            Err(Failure::recorder_differs(name, of_account))
        }
        (Some(claimed), None) => Ok(claimed),
        _ => Ok(of_account.to_owned()),
    };
    Ok(Recorder {
        actor: named(ACTOR_METADATA, identity.account())?,
        organisation: named(ORGANISATION_METADATA, identity.organisation())?,
        authority: identity.authority(),
    })
}

/// Tells the log where somebody tried what is not theirs to do, or named a case that they don't see:
/// they are told that there is none, and the log that there is.
pub(super) fn note_refused(
    ledger: &Ledger,
    method: &'static str,
    account: &str,
    organisation: &str,
    sight: &Sight,
    failure: &Failure,
) {
    let is_hidden = |case_id| {
        let case = ledger.views().case(case_id).cloned();
        case.is_some_and(|case| !sight.includes(&case))
    };
    let cause = match failure.case_id() {
        Some(case_id) if is_hidden(case_id) => "CASE_OUT_OF_SIGHT",
        _ if failure.is_of_authority() => failure.reason(),
        _ => return,
    };
    refusals::note(Refusal {
        address: None,
        account: Some(account.to_owned()),
        organisation: Some(organisation.to_owned()),
        method: Some(method),
        cause,
    });
}

/// Runs what reads the disk, or passes over all cases, apart from the async threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(Failure::internal)
}

/// A field that has to be true wherever it is set.
pub(super) fn only_true(field: &str, value: bool) -> Result<(), Violation> {
    if value {
        Ok(())
    } else {
        Err(violation(field, "only true has a meaning; leave it out"))
    }
}

/// A field that is wrong.
pub(super) fn violation(field: &str, description: &str) -> Violation {
    Violation {
        field: field.to_owned(),
        description: description.to_owned(),
    }
}

fn reference(metadata: &MetadataMap, name: &'static str) -> Result<Option<String>, Violation> {
    let mut values = metadata.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(violation(name, "is given more than once; give it once"));
    }
    let text = std::str::from_utf8(value.as_bytes())
        .map_err(|_| violation(name, "is not UTF-8; give a reference in UTF-8"))?;
    validate::reference(name, text)?;
    Ok(Some(text.to_owned()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A request with this metadata, on a server without accounts.
    fn request(metadata: MetadataMap) -> Request<()> {
        let identity = Identity::without_account("local", "local");
        let mut request = Request::new(());
        request.extensions_mut().insert(identity);
        *request.metadata_mut() = metadata;
        request
    }

    #[test]
    fn a_call_past_the_guard_records_nothing() {
        let failure = recorder(&Request::new(())).unwrap_err();
        assert_eq!(failure.code(), Code::Internal);
    }

    #[test]
    fn who_records_is_local_where_the_metadata_does_not_say() {
        let recorder = recorder(&request(MetadataMap::new())).unwrap();
        assert_eq!(
            (recorder.actor.as_str(), recorder.organisation.as_str()),
            ("local", "local")
        );
    }

    #[test]
    fn who_records_is_what_the_metadata_says_in_any_script() {
        let mut metadata = MetadataMap::new();
        metadata.insert(
            ACTOR_METADATA,
            tonic::metadata::MetadataValue::try_from("мария".as_bytes()).unwrap(),
        );
        assert_eq!(recorder(&request(metadata)).unwrap().actor, "мария");
    }

    #[test]
    fn a_malformed_or_repeated_recorder_is_refused() {
        let mut metadata = MetadataMap::new();
        metadata.insert(ACTOR_METADATA, "two words".parse().unwrap());
        assert_eq!(
            recorder(&request(metadata)).unwrap_err().code(),
            Code::InvalidArgument
        );
        let mut metadata = MetadataMap::new();
        metadata.append(ORGANISATION_METADATA, "one".parse().unwrap());
        metadata.append(ORGANISATION_METADATA, "two".parse().unwrap());
        assert_eq!(
            recorder(&request(metadata)).unwrap_err().code(),
            Code::InvalidArgument
        );
    }
}
