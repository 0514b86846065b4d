//! How a command fails: what the user reads, and the exit code.
//!
//! The facts of a refusal are the same whether a single call carries them in its error details or a
//! stream in an item; here both become a [`Refusal`].

use std::error::Error;
use std::fmt;

use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::names;
use crate::wire::v1::{FieldViolation, Refusal};

/// Why a command did not do what it was told.
#[derive(Debug)]
pub enum Failure {
    /// The server refused.
    Refused(Box<Refusal>),
    /// What was done is not what was asked for; the text says what and why.
    Failed(String),
    /// The command was used in a wrong way.
    Usage(String),
    /// There is no connection to the server.
    NoConnection {
        /// Where the server was looked for.
        server: String,
        /// What the transport said.
        cause: String,
        /// What the user may want to know besides; may be empty.
        advice: String,
    },
    /// Nobody reads the output any more.
    OutputClosed,
}

impl Failure {
    /// A failure on this side, with what the system said.
    pub(super) fn local(what: &str, cause: &dyn Error) -> Self {
        Self::Failed(format!("{what}: {}", chain(cause)))
    }

    /// The failure of a call.
    pub(super) fn of_call(server: &str, status: &Status) -> Self {
        if is_lost_connection(status) {
            Self::NoConnection {
                server: server.to_owned(),
                cause: cause_of(status),
                advice: String::new(),
            }
        } else {
            Self::Refused(Box::new(refusal(status)))
        }
    }

    /// The same failure with a piece of advice, where it is a lost connection.
    pub(super) fn with_advice(self, text: impl Into<String>) -> Self {
        match self {
            Self::NoConnection { server, cause, .. } => Self::NoConnection {
                server,
                cause,
                advice: text.into(),
            },
            other => other,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => formatter.write_str(&describe(refusal)),
            Self::Failed(text) | Self::Usage(text) => formatter.write_str(text),
            Self::NoConnection {
                server,
                cause,
                advice,
            } => {
                write!(formatter, "no connection to {server}: {cause}")?;
                if advice.is_empty() {
                    Ok(())
                } else {
                    write!(formatter, "\n{advice}")
                }
            }
            Self::OutputClosed => formatter.write_str("nobody reads the output"),
        }
    }
}

impl Error for Failure {}

/// The exit code of a failure, as `casetrail --help` documents it.
pub(super) fn exit_code(failure: &Failure) -> u8 {
    match failure {
        Failure::OutputClosed => 0,
        Failure::Refused(_) | Failure::Failed(_) => 1,
        Failure::Usage(_) => 2,
        Failure::NoConnection { .. } => 3,
    }
}

/// Whether a call failed on its way and not in the service. What the service refuses carries a
/// reason; what the transport makes up has none.
pub(super) fn is_lost_connection(status: &Status) -> bool {
    let made_by_transport = matches!(
        status.code(),
        Code::Unavailable | Code::Unknown | Code::Internal | Code::Cancelled
    );
    (made_by_transport || status.source().is_some()) && status.get_details_error_info().is_none()
}

/// What the transport, or a server that is shutting down, said.
pub(super) fn cause_of(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut source = status.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text = if text.is_empty() {
                more
            } else {
                format!("{text}: {more}")
            };
        }
        source = error.source();
    }
    text
}

/// The facts of a refused call.
pub(super) fn refusal(status: &Status) -> Refusal {
    let details = status.get_error_details();
    let info = details.error_info();
    let violations = details
        .bad_request()
        .map(|bad| bad.field_violations.as_slice());
    let retry_delay = details.retry_info().and_then(|retry| retry.retry_delay);
    Refusal {
        code: status.code().into(),
        reason: info.map(|info| info.reason.clone()).unwrap_or_default(),
        message: status.message().to_owned(),
        request_id: String::new(),
        field_violations: violations
            .unwrap_or_default()
            .iter()
            .map(|violation| FieldViolation {
                field: violation.field.clone(),
                description: violation.description.clone(),
            })
            .collect(),
        metadata: info.map(|info| info.metadata.clone()).unwrap_or_default(),
        retry_delay: retry_delay.and_then(|delay| prost_types::Duration::try_from(delay).ok()),
    }
}

/// A refusal in words: what was wrong, then one line each for its fields and its further facts.
pub(super) fn describe(refusal: &Refusal) -> String {
    let reason = if refusal.reason.is_empty() {
        names::code(Code::from_i32(refusal.code))
    } else {
        &refusal.reason
    };
    let mut text = format!("refused: {reason}: {}", refusal.message);
    for violation in &refusal.field_violations {
        text.push_str(&format!(
            "\n  {}: {}",
            violation.field, violation.description
        ));
    }
    let mut facts: Vec<_> = refusal.metadata.iter().collect();
    facts.sort();
    for (name, value) in facts {
        text.push_str(&format!("\n  {name}: {value}"));
    }
    text
}

/// An error with its causes, each once.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use tonic_types::{ErrorDetails, StatusExt};

    use super::*;

    #[test]
    fn a_refusal_with_a_reason_is_no_lost_connection() {
        let details = ErrorDetails::with_error_info("WRITING_ENDED", "casetrail", []);
        let status = Status::with_error_details(Code::Unavailable, "the disk is full", details);
        let failure = Failure::of_call("http://127.0.0.1:1", &status);
        assert_eq!(exit_code(&failure), 1);
        assert_eq!(
            failure.to_string(),
            "refused: WRITING_ENDED: the disk is full"
        );
    }

    #[test]
    fn a_refusal_tells_its_fields_and_facts() {
        let mut details = ErrorDetails::with_bad_request_violation("changes[0].case_id", "no UUID");
        details.set_error_info(
            "INVALID_FIELDS",
            "casetrail",
            [("b".into(), "2".into()), ("a".into(), "1".into())],
        );
        let status = Status::with_error_details(Code::InvalidArgument, "1 field is wrong", details);
        assert_eq!(
            describe(&refusal(&status)),
            "refused: INVALID_FIELDS: 1 field is wrong\n  changes[0].case_id: no UUID\n  a: 1\n  b: 2"
        );
    }

    #[test]
    fn a_transport_error_is_a_lost_connection() {
        let failure = Failure::of_call("http://h", &Status::unavailable("tcp connect error"));
        assert_eq!(exit_code(&failure), 3);
    }
}
