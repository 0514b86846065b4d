//! Maps what went wrong to gRPC: the one place that knows which cause has which status code,
//! reason and error details (AIP-193), and the same facts as a [`v1::Refusal`] for an item of a
//! stream.
//!
//! Invariants: what the client is told is in English, names the cause and what would be right, and
//! holds no personal data. What concerns only those who run the server (an engine's own words)
//! stays in [`Failure::cause`], which is logged and never sent.
//!
//! It deliberately does not know which method failed.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::access::administration::AdministrationError;
use crate::access::table::role_name;
use crate::domain::{Rejection, RejectionKind};
use crate::ledger::{OpenError, RebuildError, SubmitError};
use crate::log::ReadError;
use crate::seal::SealError;
use crate::wire::v1::{self, CaseStatus, Role};
use crate::wire::validate::{Invalid, TOO_LARGE, Violation};

/// The domain of every reason (AIP-193).
pub(super) const ERROR_DOMAIN: &str = "casetrail";

/// Why a call, or one item of a stream, failed: everything that the client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    code: Code,
    reason: &'static str,
    message: String,
    violations: Box<[Violation]>,
    /// Further facts by name.
    metadata: BTreeMap<String, String>,
    retry_delay: Option<Duration>,
    /// Whether the caller tried what is not theirs to do.
    of_authority: bool,
    /// For the log of the server only.
    cause: Option<Box<str>>,
}

impl Failure {
    /// The gRPC status code.
    pub(super) fn code(&self) -> Code {
        self.code
    }

    /// The reason, in UPPER_SNAKE_CASE (AIP-193).
    pub(super) fn reason(&self) -> &'static str {
        self.reason
    }

    /// The case that it names.
    pub(super) fn case_id(&self) -> Option<uuid::Uuid> {
        let case_id = self.metadata.get("case_id")?;
        uuid::Uuid::try_parse(case_id).ok()
    }

    /// Whether the caller tried what is not theirs to do.
    pub(super) fn is_of_authority(&self) -> bool {
        self.of_authority
    }

    /// What the log of the server says of it, where that is more than the client is told.
    pub(super) fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// A case that does not exist.
    pub(super) fn case_not_found(case_id: uuid::Uuid) -> Self {
        Self::new(
            Code::NotFound,
            "CASE_NOT_FOUND",
            format!("there is no case {case_id}"),
        )
        .with("case_id", case_id)
    }

    /// A position beyond the head.
    pub(super) fn beyond_head(position: u64, head: u64) -> Self {
        let message = format!(
            "position {position} lies beyond the head of the log, {head}; the last position to \
             begin at is the head itself"
        );
        Self::new(Code::OutOfRange, "POSITION_BEYOND_HEAD", message)
            .with("position", position)
            .with("head", head)
    }

    /// A request message that is over the limit, in bytes.
    pub(super) fn message_too_large(limit: usize) -> Self {
        let message =
            format!("the request message is larger than {limit} bytes; send less at once");
        Self::new(Code::InvalidArgument, TOO_LARGE, message).with("limit", limit)
    }

    /// More bytes of unfinished messages than the server holds at once.
    pub(super) fn too_much_arriving(limit: usize) -> Self {
        let message = format!(
            "the server holds {limit} bytes of messages that have not arrived whole; try again later"
        );
        Self::new(PUSH_BACK, "TOO_MUCH_ARRIVING", message)
            .retry_after(RETRY_STREAM)
            .with("limit", limit)
    }

    /// A request that did not arrive whole in time.
    pub(super) fn arriving_too_slowly(duration_max: Duration) -> Self {
        let message = format!(
            "the request did not arrive whole within {} seconds; send it again",
            duration_max.as_secs()
        );
        Self::new(Code::DeadlineExceeded, "ARRIVING_TOO_SLOWLY", message)
    }

    /// Credentials that are not valid, whatever is wrong with them.
    pub(super) fn unauthenticated() -> Self {
        let message = "the call carries no valid credentials: give a token as `authorization: Bearer \
                       TOKEN`, or connect with an enrolled client certificate";
        Self::new(Code::Unauthenticated, "UNAUTHENTICATED", message.to_owned())
    }

    /// A method that the caller's role may not call.
    pub(super) fn not_permitted(role: Option<Role>) -> Self {
        let role = role.map(role_name).unwrap_or_default();
        let message = format!(
            "an account of the role {role} may not make this call; the table of roles tells which \
             may"
        );
        Self::new(Code::PermissionDenied, "NOT_PERMITTED", message).with("role", role)
    }

    /// An auditor who would open personal data for something else than an audit.
    pub(super) fn purpose_not_permitted() -> Self {
        let message = "an auditor opens personal data to audit alone, and while an admin grants it: \
                       give DISCLOSURE_PURPOSE_AUDIT";
        Self::new(Code::PermissionDenied, "NOT_PERMITTED", message.to_owned())
    }

    /// An auditor whom no admin lets open personal data now.
    pub(super) fn unsealing_not_granted() -> Self {
        let message = "no unsealing is granted to this account, or it is over: ask an admin for one, \
                       with the reason (AdminService.GrantUnsealing)";
        let reason = "UNSEALING_NOT_GRANTED";
        Self::new(Code::PermissionDenied, reason, message.to_owned())
    }

    /// A server without accounts is asked for them.
    pub(super) fn no_accounts() -> Self {
        let message = "the server has no accounts: start it with --accounts".to_owned();
        Self::new(Code::FailedPrecondition, "NO_ACCOUNTS", message)
    }

    /// A claim of who records that is not who calls.
    pub(super) fn recorder_differs(metadata: &str, identity: &str) -> Self {
        let message =
            format!("{metadata} is not that of the account that calls, {identity}: leave it out");
        Self::new(Code::PermissionDenied, "RECORDER_DIFFERS", message).with("metadata", metadata)
    }

    /// An account that calls too often.
    pub(super) fn called_too_often(wait: Duration) -> Self {
        let message = "the account calls too often; try again later".to_owned();
        Self::new(PUSH_BACK, "CALLED_TOO_OFTEN", message).retry_after(wait)
    }

    /// More streams than the server holds open.
    pub(super) fn too_many_streams(limit: usize) -> Self {
        let message = format!("the server holds its {limit} streams open; try again later");
        Self::new(PUSH_BACK, "TOO_MANY_STREAMS", message)
            .retry_after(RETRY_STREAM)
            .with("limit", limit)
    }

    /// More streams than an account may have open.
    pub(super) fn too_many_streams_of_account(limit: u32) -> Self {
        let message = format!(
            "the account has {limit} streams open, which is as many as one may have; end one of them, \
             or use another account"
        );
        Self::new(PUSH_BACK, "TOO_MANY_STREAMS_OF_ACCOUNT", message)
            .retry_after(RETRY_STREAM)
            .with("limit", limit)
    }

    /// The server ends. A stream of records or changes is told where to resume.
    pub(super) fn shutting_down(next_position: Option<u64>) -> Self {
        let failure = Self::new(Code::Unavailable, "SHUTTING_DOWN", SHUTTING_DOWN.to_owned());
        match next_position {
            Some(position) => Self {
                message: format!("{SHUTTING_DOWN}; resume from position {position}"),
                ..failure
            }
            .with("next_position", position),
            None => failure,
        }
    }

    /// A record that was stored whole and yet can't be read as one.
    pub(super) fn unreadable_record(position: u64, cause: &str) -> Self {
        let message = format!("the record at position {position} can't be decoded");
        Self::new(Code::DataLoss, LOG_DAMAGED, message)
            .with("position", position)
            .caused_by(cause)
    }

    /// A fault of the server itself.
    pub(super) fn internal(cause: impl ToString) -> Self {
        let message = "the server failed; its log tells why".to_owned();
        Self::new(Code::Internal, "INTERNAL", message).caused_by(cause)
    }

    /// The server runs without keys.
    pub(super) fn no_keys() -> Self {
        let message = "the server runs without keys: it neither takes nor opens personal values";
        Self::new(Code::FailedPrecondition, NO_KEYS, message.to_owned())
    }

    /// The key store can't be read.
    pub(super) fn keys_unavailable(cause: impl ToString) -> Self {
        let message = "the server's key store can't be read; its log tells why".to_owned();
        Self::new(Code::Unavailable, "KEYS_UNAVAILABLE", message).caused_by(cause)
    }

    /// Not every name in the log was read yet.
    pub(super) fn names_not_ready(position: u64, head: u64) -> Self {
        let message = format!(
            "the names in the log are still being read, up to position {position} of {head}: search \
             again in a few seconds"
        );
        Self::new(Code::Unavailable, "NAMES_NOT_READY", message)
            .retry_after(RETRY_STREAM)
            .with("position", position)
            .with("head", head)
    }

    /// The names in the log can't be read; the log of the server was told why.
    pub(super) fn names_unavailable() -> Self {
        let message = "the names in the log can't be read; the server's log tells why";
        Self::new(Code::Unavailable, "NAMES_UNAVAILABLE", message.to_owned())
    }

    /// The record of disclosures can't be written or read, so that nothing is disclosed.
    pub(super) fn disclosures_unavailable(cause: impl ToString) -> Self {
        let message = "the record of disclosures can't be used, and nothing is disclosed without it; \
                       the server's log tells why";
        Self::new(
            Code::Unavailable,
            "DISCLOSURES_UNAVAILABLE",
            message.to_owned(),
        )
        .caused_by(cause)
    }

    /// A sealed value that was changed, or does not stand where it was sealed for.
    pub(super) fn sealed_value_damaged(position: u64) -> Self {
        let message = format!(
            "a sealed value of the record at position {position} was changed, or belongs elsewhere"
        );
        Self::new(Code::DataLoss, "SEALED_VALUE_DAMAGED", message).with("position", position)
    }

    /// The status of a call, with its error details.
    pub(super) fn into_status(self) -> Status {
        let metadata: HashMap<String, String> = self
            .metadata
            .iter()
            .map(|(name, fact)| (name.clone(), fact.clone()))
            .collect();
        let mut details = ErrorDetails::new();
        details.set_error_info(self.reason, ERROR_DOMAIN, metadata);
        for violation in &self.violations {
            details.add_bad_request_violation(&violation.field, &violation.description);
        }
        if self.code == Code::FailedPrecondition {
            let subject = self.metadata.get("case_id").cloned().unwrap_or_default();
            details.add_precondition_failure_violation(self.reason, subject, &self.message);
        }
        if self.retry_delay.is_some() {
            details.set_retry_info(self.retry_delay);
        }
        Status::with_error_details(self.code, self.message, details)
    }

    /// The same facts, for one item of a stream of submissions.
    pub(super) fn into_refusal(self, request_id: String) -> v1::Refusal {
        v1::Refusal {
            code: self.code.into(),
            reason: self.reason.to_owned(),
            message: self.message,
            request_id,
            field_violations: self
                .violations
                .into_iter()
                .map(|Violation { field, description }| v1::FieldViolation { field, description })
                .collect(),
            metadata: self.metadata.into_iter().collect(),
            retry_delay: self.retry_delay.and_then(|delay| delay.try_into().ok()),
        }
    }

    fn new(code: Code, reason: &'static str, message: String) -> Self {
        Self {
            code,
            reason,
            message,
            violations: Box::default(),
            metadata: BTreeMap::new(),
            retry_delay: None,
            of_authority: code == Code::PermissionDenied,
            cause: None,
        }
    }

    fn with(mut self, name: &str, fact: impl ToString) -> Self {
        self.metadata.insert(name.to_owned(), fact.to_string());
        self
    }

    fn retry_after(self, delay: Duration) -> Self {
        Self {
            retry_delay: Some(delay),
            ..self
        }
    }

    fn caused_by(self, cause: impl ToString) -> Self {
        Self {
            cause: Some(cause.to_string().into()),
            ..self
        }
    }
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        let message = match invalid.violations.as_slice() {
            [] => "the request is not valid".to_owned(),
            [only] => only.to_string(),
            [first, others @ ..] => format!("{first}; and {} more", others.len()),
        };
        Self {
            violations: invalid.violations.into(),
            ..Self::new(Code::InvalidArgument, invalid.reason, message)
        }
    }
}

impl From<Violation> for Failure {
    fn from(violation: Violation) -> Self {
        Invalid::from(violation).into()
    }
}

impl From<SubmitError> for Failure {
    fn from(error: SubmitError) -> Self {
        let message = error.to_string();
        match error {
            SubmitError::QueueFull => {
                Self::new(PUSH_BACK, "QUEUE_FULL", message).retry_after(RETRY_QUEUE)
            }
            SubmitError::RequestIdConfused => {
                Self::new(PUSH_BACK, "REQUEST_ID_CONFUSED", message).retry_after(RETRY_QUEUE)
            }
            SubmitError::DiskFull { cause } => {
                Self::new(PUSH_BACK, "DISK_FULL", DISK_FULL.to_owned())
                    .retry_after(RETRY_DISK)
                    .caused_by(cause)
            }
            SubmitError::StaleVersion {
                change,
                case_id,
                expected,
                current,
            } => Self::new(Code::Aborted, "STALE_VERSION", message)
                .with("field", format!("changes[{change}].expected"))
                .with("case_id", case_id)
                .with("expected_version", expected)
                .with("current_version", current),
            SubmitError::Refused {
                change,
                event,
                payload,
                case_id,
                version,
                rejection,
            } => rejected(&rejection, message)
                .with("field", {
                    let field = rejection.field().unwrap_or(payload);
                    format!("changes[{change}].events[{event}].{field}")
                })
                .with("case_id", case_id)
                .with("current_version", version),
            SubmitError::EventIdReused {
                change,
                event,
                event_id,
            } => Self::new(Code::AlreadyExists, "EVENT_ID_REUSED", message)
                .with(
                    "field",
                    format!("changes[{change}].events[{event}].event_id"),
                )
                .with("event_id", event_id),
            SubmitError::RequestIdReused {
                request_id,
                position,
            } => {
                let failure = Self::new(Code::AlreadyExists, "REQUEST_ID_REUSED", message)
                    .with("field", "request_id")
                    .with("request_id", request_id);
                match position {
                    Some(position) => failure.with("position", position),
                    None => failure,
                }
            }
            SubmitError::NotPermitted {
                change,
                event,
                payload,
            } => Self::new(Code::PermissionDenied, "EVENT_NOT_PERMITTED", message).with(
                "field",
                format!("changes[{change}].events[{event}].{payload}"),
            ),
            SubmitError::CaseIdTaken { change, case_id } => {
                Self::new(Code::AlreadyExists, "CASE_ID_TAKEN", message)
                    .with("field", format!("changes[{change}].case_id"))
                    .with("case_id", case_id)
            }
            SubmitError::TooLarge { bytes, limit } => {
                Self::new(Code::InvalidArgument, TOO_LARGE, message)
                    .with("bytes", bytes)
                    .with("limit", limit)
            }
            SubmitError::WritingEnded { cause } => {
                Self::new(Code::Unavailable, "WRITING_ENDED", WRITING_ENDED.to_owned())
                    .caused_by(cause)
            }
            SubmitError::OutcomeUnknown { cause } => Self::new(
                Code::Unavailable,
                "OUTCOME_UNKNOWN",
                OUTCOME_UNKNOWN.to_owned(),
            )
            .caused_by(cause),
            SubmitError::Unreadable(error) => error.into(),
            SubmitError::NoKeys => Self::new(Code::FailedPrecondition, NO_KEYS, message),
            SubmitError::Unsealed(SealError::Erased { subject }) => {
                Self::new(Code::FailedPrecondition, "SUBJECT_ERASED", message)
                    .with("subject_id", subject)
            }
            SubmitError::Unsealed(SealError::Unavailable { cause }) => Self::new(
                Code::Unavailable,
                "KEYS_UNAVAILABLE",
                KEYS_UNAVAILABLE.to_owned(),
            )
            .caused_by(cause),
            SubmitError::KeysNotDestroyed { cause } => {
                // Not UNAVAILABLE, which clients try again by themselves: someone has to look after it.
                let told = "the erasure is recorded and the keys are out of use, but they are not \
                            destroyed yet, since the server's key store can't be written: it goes on \
                            trying; mend its disk, and send this again to learn whether it is done";
                Self::new(Code::Internal, "KEYS_NOT_DESTROYED", told.to_owned()).caused_by(cause)
            }
        }
    }
}

impl From<AdministrationError> for Failure {
    fn from(error: AdministrationError) -> Self {
        let message = error.to_string();
        match error {
            AdministrationError::Invalid(invalid) => invalid.into(),
            AdministrationError::Submit(error) => error.into(),
            AdministrationError::OtherAccount => {
                Self::new(Code::AlreadyExists, "OTHER_ACCOUNT", message)
            }
            AdministrationError::CertificateEnrolled => {
                Self::new(Code::AlreadyExists, "CERTIFICATE_ENROLLED", message)
            }
            AdministrationError::NoGrant => Self::new(Code::NotFound, "GRANT_NOT_FOUND", message),
            AdministrationError::NoAccount => {
                Self::new(Code::NotFound, "ACCOUNT_NOT_FOUND", message)
            }
            AdministrationError::NoAuditor => {
                Self::new(Code::FailedPrecondition, "NO_AUDITOR", message)
            }
            AdministrationError::SecondAdminNeeded => {
                let failure = Self::new(Code::FailedPrecondition, "SECOND_ADMIN_NEEDED", message);
                Self {
                    of_authority: true,
                    ..failure
                }
            }
            AdministrationError::LastAdmin => {
                Self::new(Code::FailedPrecondition, "LAST_ADMIN", message)
            }
            AdministrationError::NoRandomness | AdministrationError::NotKept(_) => {
                Self::internal(message)
            }
        }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        let damaged = |position: u64, message: String| {
            Self::new(Code::DataLoss, LOG_DAMAGED, message).with("position", position)
        };
        match error {
            ReadError::Corrupt { position, cause } => damaged(
                position,
                format!("the checksum of the block at position {position} is wrong"),
            )
            .caused_by(cause),
            ReadError::Missing { position } => damaged(
                position,
                format!("the block at position {position} is missing"),
            ),
            ReadError::Io { cause } => {
                let message = "the log can't be read; the server's log tells why".to_owned();
                Self::new(Code::Unavailable, "LOG_UNREADABLE", message).caused_by(cause)
            }
        }
    }
}

impl From<RebuildError> for Failure {
    fn from(error: RebuildError) -> Self {
        match error {
            RebuildError::Stopped => Self::shutting_down(None),
            RebuildError::Fold(OpenError::Read(error)) => error.into(),
            RebuildError::Fold(error) => {
                let message = "the log can't be folded anew; the views stay as they are".to_owned();
                Self::new(Code::DataLoss, LOG_DAMAGED, message).caused_by(error)
            }
        }
    }
}

const SHUTTING_DOWN: &str = "the server is shutting down";
const DISK_FULL: &str = "the server's disk is too full: nothing of the submission is recorded; \
                         send it again once there is room";
const WRITING_ENDED: &str = "the server does not write any more, reads go on: nothing of the \
                             submission is recorded; send it again after a restart";
const OUTCOME_UNKNOWN: &str = "writing failed: the submission may or may not be recorded; send it \
                               again under the same request_id after a restart";
const NO_KEYS: &str = "NO_KEYS";
const KEYS_UNAVAILABLE: &str = "the server's key store can't be used: nothing of the submission is \
                                recorded; its log tells why";
const LOG_DAMAGED: &str = "LOG_DAMAGED";
const PUSH_BACK: Code = Code::ResourceExhausted;
/// After how long to try a full queue again: the writer empties it several times in it.
const RETRY_QUEUE: Duration = Duration::from_millis(250);
/// After how long to try a stream again: others end at their own pace.
const RETRY_STREAM: Duration = Duration::from_secs(5);
/// After how long to try a full disk again: someone has to make room.
const RETRY_DISK: Duration = Duration::from_secs(60);

/// A refusal by the lifecycle, with the case's status and those that would allow the event by their
/// names in the protocol; the unspecified one stands for a case without a confirmed status.
fn rejected(rejection: &Rejection, message: String) -> Failure {
    let code = match rejection.kind() {
        RejectionKind::Precondition => Code::FailedPrecondition,
        RejectionKind::NotFound => Code::NotFound,
    };
    let mut failure = Failure::new(code, rejection.reason(), message);
    failure.of_authority = rejection.is_of_authority();
    if let Some(status) = rejection.status() {
        failure = failure.with("status", status.as_str_name());
    }
    if !rejection.allowed().is_empty() {
        let names: Vec<_> = rejection
            .allowed()
            .iter()
            .map(CaseStatus::as_str_name)
            .collect();
        failure = failure.with("allowed_statuses", names.join(","));
    }
    if !rejection.options().is_empty() {
        failure = failure.with("options", rejection.options().join(","));
    }
    if let Some((name, event_id)) = rejection.named_instead() {
        failure = failure.with(name, event_id);
    }
    failure
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::wire::v1::EventType;

    fn violation(field: &str) -> Violation {
        Violation {
            field: field.to_owned(),
            description: "is missing".to_owned(),
        }
    }

    #[test]
    fn invalid_input_names_the_paths_of_its_fields() {
        let invalid = Invalid {
            reason: "INVALID_FIELDS",
            violations: vec![violation("changes[0].case_id"), violation("request_id")],
        };
        let status = Failure::from(invalid).into_status();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(
            status.message(),
            "changes[0].case_id is missing; and 1 more"
        );
        let details = status.get_error_details();
        let fields: Vec<_> = details
            .bad_request()
            .unwrap()
            .field_violations
            .iter()
            .map(|each| each.field.as_str())
            .collect();
        assert_eq!(fields, ["changes[0].case_id", "request_id"]);
        let info = details.error_info().unwrap();
        assert_eq!(
            (info.reason.as_str(), info.domain.as_str()),
            ("INVALID_FIELDS", "casetrail")
        );
    }

    #[test]
    fn a_refusal_by_the_lifecycle_tells_the_status_and_those_that_would_allow_the_event() {
        let rejection = Rejection::NotAllowed {
            event: EventType::HandoverScheduled,
            status: CaseStatus::DetentionRegistered,
            allowed: &[CaseStatus::DetentionReleasePending],
            is_late: false,
        };
        let case_id = uuid::Uuid::from_u128(7);
        let payload = "handover_scheduled";
        let error = SubmitError::Refused {
            change: 1,
            event: 2,
            payload,
            case_id,
            version: 3,
            rejection,
        };
        let status = Failure::from(error).into_status();
        assert_eq!(status.code(), Code::FailedPrecondition);
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!(info.reason, "EVENT_NOT_ALLOWED");
        assert_eq!(info.metadata["status"], "CASE_STATUS_DETENTION_REGISTERED");
        assert_eq!(
            info.metadata["allowed_statuses"],
            "CASE_STATUS_DETENTION_RELEASE_PENDING"
        );
        assert_eq!(
            info.metadata["field"],
            "changes[1].events[2].handover_scheduled"
        );
        assert_eq!(info.metadata["current_version"], "3");
        let violation = &details.precondition_failure().unwrap().violations[0];
        assert_eq!(
            (violation.r#type.as_str(), violation.subject.as_str()),
            ("EVENT_NOT_ALLOWED", case_id.to_string().as_str())
        );
        assert!(
            violation.description.contains("Registered"),
            "{}",
            violation.description
        );
        assert!(
            violation.description.contains("ReleasePending"),
            "{}",
            violation.description
        );
    }

    #[test]
    fn a_stale_version_is_aborted_with_the_current_one() {
        let case_id = uuid::Uuid::from_u128(7);
        let error = SubmitError::StaleVersion {
            change: 0,
            case_id,
            expected: 2,
            current: 5,
        };
        let status = Failure::from(error).into_status();
        assert_eq!(status.code(), Code::Aborted);
        assert_eq!(
            status.get_error_details().error_info().unwrap().metadata["current_version"],
            "5"
        );
    }

    #[test]
    fn what_the_engine_says_is_for_the_log_of_the_server_alone() {
        let causes = |cause: &str| {
            let cause = cause.to_owned();
            [
                SubmitError::WritingEnded {
                    cause: cause.clone(),
                },
                SubmitError::OutcomeUnknown {
                    cause: cause.clone(),
                },
                SubmitError::DiskFull { cause },
            ]
        };
        for error in causes("/srv/data: EIO") {
            let failure = Failure::from(error);
            assert_eq!(failure.cause(), Some("/srv/data: EIO"));
            assert!(!format!("{:?}", failure.into_status()).contains("/srv"));
        }
    }

    #[test]
    fn push_back_tells_when_to_try_again() {
        let status = Failure::from(SubmitError::QueueFull).into_status();
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert_eq!(
            status.get_error_details().retry_info().unwrap().retry_delay,
            Some(RETRY_QUEUE)
        );
    }

    #[test]
    fn a_refusal_of_a_stream_tells_what_the_status_of_a_call_tells() {
        let failure = Failure::from(SubmitError::QueueFull);
        let refusal = failure.clone().into_refusal("r".to_owned());
        let status = failure.into_status();
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!(refusal.code, i32::from(status.code()));
        assert_eq!(refusal.message, status.message());
        assert_eq!(refusal.reason, info.reason);
        assert_eq!(refusal.metadata, info.metadata);
        assert_eq!(refusal.retry_delay.unwrap().nanos, 250_000_000);
        assert_eq!(refusal.request_id, "r");
    }

    #[test]
    fn a_damaged_block_is_data_loss_at_its_position_and_keeps_the_engines_words() {
        let failure = Failure::from(ReadError::Corrupt {
            position: 7,
            cause: "secret".to_owned(),
        });
        assert_eq!(failure.cause(), Some("secret"));
        let status = failure.into_status();
        assert_eq!(status.code(), Code::DataLoss);
        assert_eq!(
            status.get_error_details().error_info().unwrap().metadata["position"],
            "7"
        );
        assert!(!format!("{status:?}").contains("secret"));
    }

    #[test]
    fn a_shutdown_tells_where_to_resume() {
        let status = Failure::shutting_down(Some(41)).into_status();
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(
            status.message(),
            "the server is shutting down; resume from position 41"
        );
    }
}
