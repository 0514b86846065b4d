//! A user account as its events tell it: who may call the service, and by what.

use uuid::Uuid;

use super::state::CaseState;
use crate::wire::edtf::Day;
use crate::wire::moment::Moment;
use crate::wire::v1::{CaseKind, CaseStatus, GrantKind, Role, event::Payload};

/// A user account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserAccount {
    /// Its identifier.
    pub account_id: Uuid,
    /// Its name, a reference.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// Its organisation, a reference.
    pub organisation: String,
    /// Whether it is closed.
    pub is_closed: bool,
    /// Its grants, in the order in which they were made.
    pub grants: Vec<Grant>,
}

/// What lets a caller act for an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The event that made it.
    pub grant_id: Uuid,
    /// The position of that event's record, which tells who made it.
    pub position: u64,
    /// What it is.
    pub kind: GrantKind,
    /// SHA-256 of the token or the certificate, 64 hexadecimal digits; empty for an unsealing.
    pub sha256: String,
    /// The last day on which it is valid, in UTC; none where it has no end.
    pub expires_on: Option<Day>,
    /// For an unsealing, when it ends.
    pub until: Option<Moment>,
    /// Whether it is revoked.
    pub is_revoked: bool,
}

impl CaseState {
    /// The account that this is; none for a case.
    pub fn user_account(&self) -> Option<UserAccount> {
        if self.kind() != CaseKind::UserAccount {
            return None;
        }
        let mut account = UserAccount {
            account_id: self.case_id(),
            name: String::new(),
            role: Role::Unspecified,
            organisation: String::new(),
            is_closed: self.standing().confirmed() == CaseStatus::UserAccountClosed,
            grants: Vec::new(),
        };
        for (_, fact, payload) in self.kept_in_order_recorded() {
            let mut grant = |kind, sha256, expires_on: &str, until: Option<Moment>| {
                account.grants.push(Grant {
                    grant_id: fact.event_id,
                    position: fact.position,
                    kind,
                    sha256,
                    expires_on: Day::parse(expires_on),
                    until,
                    is_revoked: false,
                });
            };
            match payload {
                Payload::UserAccountCreated(created) => {
                    account.role = created.role();
                    account.name = created.name;
                    account.organisation = created.organisation;
                }
                Payload::TokenIssued(issued) => {
                    grant(
                        GrantKind::Token,
                        issued.token_sha256,
                        &issued.expires_on,
                        None,
                    );
                }
                Payload::CertificateEnrolled(enrolled) => {
                    let sha256 = enrolled.certificate_sha256;
                    grant(GrantKind::Certificate, sha256, &enrolled.expires_on, None);
                }
                Payload::UnsealingGranted(granted) => {
                    let until = granted.expires_at.map(Moment::from).unwrap_or_default();
                    grant(GrantKind::Unsealing, String::new(), "", Some(until));
                }
                Payload::GrantRevoked(revoked) => {
                    let revoked = Uuid::try_parse(&revoked.grant_event_id).ok();
                    let mut grants = account.grants.iter_mut();
                    if let Some(grant) = grants.find(|it| Some(it.grant_id) == revoked) {
                        grant.is_revoked = true;
                    }
                }
                _ => {}
            }
        }
        Some(account)
    }
}

impl UserAccount {
    /// Whether it is an auditor's who may open personal data at a time.
    pub fn is_unsealed(&self, now: Moment) -> bool {
        self.unsealings(now).next().is_some()
    }

    /// The grants by which it may open personal data at a time; none where it is no auditor's.
    pub fn unsealings(&self, now: Moment) -> impl Iterator<Item = &Grant> {
        let may_be = !self.is_closed && self.role == Role::Auditor;
        let grants = self.grants.iter().filter(move |_| may_be);
        grants.filter(move |grant| !grant.is_revoked && grant.until.is_some_and(|it| now < it))
    }

    /// Whether a grant of it holds on a day.
    pub fn is_granted(&self, grant: &Grant, today: Day) -> bool {
        let has_expired = grant.expires_on.is_some_and(|last| last < today);
        !self.is_closed && !grant.is_revoked && !has_expired
    }
}
