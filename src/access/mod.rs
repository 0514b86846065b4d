//! Access: who is calling, and what their role may do.
//!
//! A call is identified by a token, a client certificate or a JWT ([`Access::identify`]), and the
//! one table of methods and roles ([`table`]) says whether it may be made and what it sees. Accounts
//! and their grants are events in the log; what is kept here of them is a view.
//!
//! Invariants:
//! - A secret is never stored, logged or shown again: of a token there is its SHA-256.
//! - Whatever is wrong with credentials, the caller learns only that they are not valid.
//! - A grant that is revoked holds no longer from the answer to its revocation on, also for streams
//!   that were opened by it.
//!
//! It deliberately does not know gRPC.

mod accounts;
pub mod administration;
mod certificate;
mod identity;
mod jwt;
mod limits;
mod pseudonym;
pub mod table;
mod term;
mod token;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex, watch};

pub use accounts::Accounts;
pub use certificate::Certificate;
pub use identity::{Identity, Presented, Refused};
pub use jwt::{Issuer, IssuerError};
pub use limits::{CallLimits, Share};
pub(crate) use limits::{Shares, network};
pub use pseudonym::{PseudonymKey, Pseudonyms};
pub use term::{AccountsAt, Term};
pub use token::NoRandomness;

use crate::domain::TwoPersons;
use crate::ledger::{Clock, Ledger};
use crate::view::CaseList;
use crate::wire::moment::Moment;
use identity::Basis;
use limits::Limits;

/// The first words of an authorization by a bearer token (RFC 6750), in lower case.
const BEARER: &str = "bearer ";

/// The most bytes of an authorization that are looked at.
const AUTHORIZATION_BYTES_MAX: usize = 8 * 1024;

/// Whether the log holds accounts, open or closed.
pub fn are_accounts(ledger: &Ledger) -> bool {
    let cases = ledger.views().cases().clone();
    cases.iter().any(|case| case.user_account().is_some())
}

/// Who may call a server.
pub struct Access {
    accounts: ArcSwap<Accounts>,
    /// Counts the changes of the accounts.
    change_count: AtomicU64,
    /// Tells of each.
    changes: watch::Sender<()>,
    /// Held while accounts are changed, so that each change sees the one before.
    administration: Mutex<()>,
    issuer: Option<Issuer>,
    limits: Limits,
    pseudonym_key: PseudonymKey,
    two_persons: TwoPersons,
    clock: Clock,
}

impl Access {
    /// By the accounts that the ledger holds.
    pub fn new(
        ledger: &Ledger,
        issuer: Option<Issuer>,
        limits: CallLimits,
        pseudonym_key: PseudonymKey,
    ) -> Self {
        let access = Self {
            accounts: ArcSwap::default(),
            change_count: AtomicU64::new(0),
            changes: watch::Sender::new(()),
            administration: Mutex::new(()),
            issuer,
            limits: Limits::new(limits),
            pseudonym_key,
            two_persons: TwoPersons::EVERYWHERE,
            clock: ledger.clock().clone(),
        };
        let cases = ledger.views().cases().clone();
        access.take_in(&cases);
        access
    }

    /// The same where these acts take two persons; all of them unless it is said.
    pub fn with_two_persons(self, two_persons: TwoPersons) -> Self {
        Self {
            two_persons,
            ..self
        }
    }

    /// The time by which calls are judged.
    pub fn now(&self) -> Moment {
        self.clock.now()
    }

    /// Identifies a caller at a moment.
    ///
    /// # Errors
    /// Why not, for the log of the server alone.
    pub fn identify(&self, presented: &Presented<'_>, now: Moment) -> Result<Identity, Refused> {
        match presented.authorization {
            Some(Some(authorization)) => self.by_authorization(authorization, now),
            Some(None) => Err(Refused::Malformed),
            None => match presented.certificate {
                Some(certificate) if !certificate.is_valid(now) => Err(Refused::InvalidCertificate),
                Some(certificate) => self
                    .by_grant(Basis::Certificate(Arc::clone(certificate)), now)
                    .ok_or(Refused::UnknownCertificate),
                None => Err(Refused::NoCredentials),
            },
        }
    }

    /// Whether what an identity rests on holds at a moment.
    fn holds(&self, identity: &Identity, now: Moment) -> bool {
        match identity.basis() {
            Basis::Nothing => true,
            Basis::Certificate(certificate) if !certificate.is_valid(now) => false,
            basis @ (Basis::Token(_) | Basis::Certificate(_)) => {
                self.by_grant(basis.clone(), now).as_ref() == Some(identity)
            }
            Basis::Until(expires) => {
                now.0 < *expires && !self.accounts.load().is_barred(identity.account())
            }
        }
    }

    /// Tells of changes of the accounts.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// How the accounts are, at a moment that is now. Who is identified later is so by these, or newer
    /// ones.
    pub fn look(&self, now: Moment) -> AccountsAt {
        AccountsAt {
            changes: self.change_count.load(Ordering::Acquire),
            day: now.day(),
        }
    }

    /// The accounts as they stand.
    pub fn accounts(&self) -> Arc<Accounts> {
        self.accounts.load_full()
    }

    /// Whether an account is an auditor's who may open personal data now.
    pub fn is_unsealed(&self, identity: &Identity) -> bool {
        let accounts = self.accounts();
        let account = accounts.open(identity.account());
        account.is_some_and(|account| account.is_unsealed(self.clock.now()))
    }

    /// The pseudonyms by which an account is told cases: those of the account itself, not of its name,
    /// which another one may have later. The subject of an issuer has no account but its name.
    pub fn pseudonyms(&self, name: &str) -> Pseudonyms {
        let accounts = self.accounts();
        match accounts.open(name) {
            Some(account) => self.pseudonym_key.of_account(account.account_id.as_bytes()),
            None => self.pseudonym_key.of_account(name.as_bytes()),
        }
    }

    /// Takes a call of an account at a moment into its rate; after how many milliseconds to try again where it
    /// calls too often.
    ///
    /// # Errors
    /// The milliseconds to wait.
    pub fn admit(&self, identity: &Identity, now: Moment) -> Result<(), u64> {
        self.limits.admit(identity.account(), now)
    }

    /// Takes in a stream of an account, which is open until what this returns is dropped.
    ///
    /// # Errors
    /// The number of streams that the account may have open, and has.
    pub fn open_stream(&self, identity: &Identity) -> Result<Share<Arc<str>>, u32> {
        self.limits.open_stream(identity.shared_account())
    }

    /// Whether calls from an address are not looked at at a moment, since too many failed.
    pub fn is_locked_out(&self, address: IpAddr, now: Moment) -> bool {
        self.limits.is_locked_out(address, now)
    }

    /// Counts a call from an address whose credentials were not valid at a moment.
    pub fn note_failure(&self, address: IpAddr, now: Moment) {
        self.limits.note_failure(address, now);
    }

    fn by_authorization(&self, authorization: &[u8], now: Moment) -> Result<Identity, Refused> {
        if authorization.len() > AUTHORIZATION_BYTES_MAX {
            return Err(Refused::Malformed);
        }
        let text = std::str::from_utf8(authorization).map_err(|_| Refused::Malformed)?;
        let (scheme, bearer) = text
            .split_at_checked(BEARER.len())
            .ok_or(Refused::Malformed)?;
        if !scheme.eq_ignore_ascii_case(BEARER) {
            return Err(Refused::Malformed);
        }
        match &self.issuer {
            Some(issuer) if bearer.contains('.') => {
                let identity = issuer.identify(bearer, now)?;
                if self.accounts.load().is_barred(identity.account()) {
                    return Err(Refused::Barred);
                }
                Ok(identity.under(self.two_persons))
            }
            _ => self
                .by_grant(Basis::Token(Sha256::digest(bearer).into()), now)
                .ok_or(Refused::UnknownToken),
        }
    }

    fn by_grant(&self, basis: Basis, now: Moment) -> Option<Identity> {
        let identity = self.accounts.load().identity(basis, now.day())?;
        Some(identity.under(self.two_persons))
    }

    /// Takes in the accounts as the views hold them.
    fn take_in(&self, cases: &CaseList) {
        self.accounts.store(Arc::new(Accounts::of(cases)));
        self.change_count.fetch_add(1, Ordering::Release);
        self.changes.send_replace(());
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Access").finish_non_exhaustive()
    }
}
