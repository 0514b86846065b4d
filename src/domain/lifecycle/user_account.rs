//! User account: who may call the service, with its grants. It is no case; it stands in the log beside
//! the cases so that whoever replays, copies or checks the log has both.

use super::{Allowed, NEW, Outcome, Row, once, rule as row};
use crate::wire::v1::{CaseStatus, EventType as E};
use Allowed::In;
use CaseStatus::{UserAccountActive as Active, UserAccountClosed as Closed};
use Outcome::{Stays, To};

pub(super) static STATUSES: [CaseStatus; 2] = [Active, Closed];

#[rustfmt::skip] // A table is read by its columns.
pub(super) static TABLE: [Row; 6] = [
    row(E::UserAccountCreated, In(&[NEW]), To(Active), "name, role, organisation", "practice"),
    row(E::TokenIssued, In(&[Active]), Stays, "SHA-256 of the token", "practice"),
    row(E::CertificateEnrolled, In(&[Active]), Stays, "SHA-256 of the certificate", "practice"),
    row(E::GrantRevoked, In(&[Active]), Stays, "grant", "practice"),
    once(row(E::UserAccountClosed, In(&[Active]), To(Closed), "", "practice")),
    row(E::UnsealingGranted, In(&[Active]), Stays, "reason, request, end", "practice"),
];
