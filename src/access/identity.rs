//! Who is calling, and why a call is not identified.

use std::fmt;
use std::sync::Arc;

use crate::domain::{Authority, TwoPersons};
use crate::wire::moment::Moment;
use crate::wire::v1::{PersonalClass, Role};

use super::certificate::Certificate;
use super::table;

/// Who is calling. Every service finds it in the extensions of a request.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    who: Arc<Who>,
    basis: Basis,
    two_persons: TwoPersons,
}

/// As whom somebody calls: all who call by one grant share it.
#[derive(PartialEq, Eq)]
pub(super) struct Who {
    pub(super) account: Arc<str>,
    pub(super) organisation: Box<str>,
    /// None on a server without accounts.
    pub(super) role: Option<Role>,
}

/// What an identity rests on.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Basis {
    /// On nothing: the server has no accounts.
    Nothing,
    /// On a grant of an account, by the SHA-256 of the token.
    Token([u8; 32]),
    /// On a grant of an account, by a certificate.
    Certificate(Arc<Certificate>),
    /// On a signed statement that holds until this time, in microseconds since 1970.
    Until(i64),
}

impl Identity {
    /// Whoever reaches a server without accounts, by the name that they give themselves.
    pub fn without_account(account: &str, organisation: &str) -> Self {
        let who = Who {
            account: account.into(),
            organisation: organisation.into(),
            role: None,
        };
        Self {
            who: Arc::new(who),
            basis: Basis::Nothing,
            two_persons: TwoPersons::NOWHERE,
        }
    }

    pub(super) fn new(who: Arc<Who>, basis: Basis) -> Self {
        Self {
            who,
            basis,
            two_persons: TwoPersons::EVERYWHERE,
        }
    }

    /// The same where these acts take two persons.
    pub(super) fn under(self, two_persons: TwoPersons) -> Self {
        Self {
            two_persons,
            ..self
        }
    }

    /// Name of the account: the actor of what it records.
    pub fn account(&self) -> &str {
        &self.who.account
    }

    pub(super) fn shared_account(&self) -> &Arc<str> {
        &self.who.account
    }

    /// The organisation for which it acts.
    pub fn organisation(&self) -> &str {
        &self.who.organisation
    }

    /// The role; none on a server without accounts, where callers are not told apart.
    pub fn role(&self) -> Option<Role> {
        self.who.role
    }

    /// What it may see and record.
    pub fn authority(&self) -> Authority {
        match self.who.role {
            Some(role) => table::authority(role, &self.who.organisation, self.two_persons),
            None => Authority::over_all_cases(),
        }
    }

    /// The classes of personal data that it may read, in the cases that it sees.
    pub fn classes(&self) -> &'static [PersonalClass] {
        self.who.role.map_or(table::CLASSES, table::classes)
    }

    /// The classes of personal data that it may read to audit, while an admin lets it.
    pub fn classes_unsealed(&self) -> &'static [PersonalClass] {
        self.who.role.map_or(&[], table::classes_unsealed)
    }

    /// Whether it is told cases by pseudonyms, and counts as they are published.
    pub fn is_masked(&self) -> bool {
        self.who.role.is_some_and(table::is_masked)
    }

    /// Whether what it rests on holds at a moment as far as time goes, without looking closer.
    pub(super) fn is_in_time(&self, now: Moment) -> bool {
        match &self.basis {
            Basis::Nothing | Basis::Token(_) => true,
            Basis::Certificate(certificate) => certificate.is_verified(now),
            Basis::Until(expires) => now.0 < *expires,
        }
    }

    pub(super) fn basis(&self) -> &Basis {
        &self.basis
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Identity")
            .field("account", &self.who.account)
            .field("organisation", &self.who.organisation)
            .field("role", &self.who.role)
            .finish_non_exhaustive()
    }
}

/// What a caller presents.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    /// The authorization of the call: none where there is none, `Some(None)` where there are several.
    pub authorization: Option<Option<&'a [u8]>>,
    /// The client certificate of the connection.
    pub certificate: Option<&'a Arc<Certificate>>,
}

/// Why a call is not identified. It is logged and never told to the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// There is neither an authorization nor a client certificate.
    NoCredentials,
    /// The authorization is no bearer token, or there are several.
    Malformed,
    /// The token is no grant that holds.
    UnknownToken,
    /// The client certificate is no grant that holds.
    UnknownCertificate,
    /// The client certificate is no longer valid.
    InvalidCertificate,
    /// The JWT is malformed, or its header is not one that is taken.
    JwtHeader,
    /// The JWT names no key of the issuer, or another algorithm than its key has.
    JwtKey,
    /// The signature of the JWT is wrong.
    JwtSignature,
    /// The claims of the JWT are missing, malformed, of another issuer or for another audience.
    JwtClaims,
    /// The JWT has expired or does not hold yet.
    JwtTime,
    /// The account of the caller by JWT is closed.
    Barred,
    /// The address is locked out.
    LockedOut,
}

impl Refused {
    /// Its name, for logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoCredentials => "no credentials",
            Self::Malformed => "malformed authorization",
            Self::UnknownToken => "unknown token",
            Self::UnknownCertificate => "unknown certificate",
            Self::InvalidCertificate => "invalid certificate",
            Self::JwtHeader => "header of the JWT",
            Self::JwtKey => "key of the JWT",
            Self::JwtSignature => "signature of the JWT",
            Self::JwtClaims => "claims of the JWT",
            Self::JwtTime => "time of the JWT",
            Self::Barred => "closed account of a JWT",
            Self::LockedOut => "address locked out",
        }
    }
}
