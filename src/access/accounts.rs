//! The accounts with their grants: a view of the log's user accounts, made anew when one changes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::identity::{Basis, Identity, Who};
use super::jwt::ACCOUNT_PREFIX;
use super::token::from_hexadecimal;
use crate::domain::{Grant, UserAccount};
use crate::view::CaseList;
use crate::wire::edtf::Day;
use crate::wire::v1::{GrantKind, Role};

/// All accounts.
#[derive(Default)]
pub struct Accounts {
    accounts: Vec<UserAccount>,
    /// The grants by the first half of their SHA-256, which is not secret: nobody finds a token by it.
    grants: HashMap<[u8; 16], Vec<Held>>,
    /// The names of callers by JWT that are closed.
    barred: HashSet<String>,
}

/// A grant, by its place.
struct Held {
    account: usize,
    grant: usize,
    sha256: [u8; 32],
    /// Whose it is.
    who: Arc<Who>,
}

impl Accounts {
    /// Those among all cases and accounts of the log.
    pub(super) fn of(cases: &CaseList) -> Self {
        let accounts: Vec<_> = cases.iter().filter_map(|it| it.user_account()).collect();
        let mut grants: HashMap<_, Vec<_>> = HashMap::new();
        for (account, each) in accounts.iter().enumerate() {
            let who = Arc::new(Who {
                account: each.name.as_str().into(),
                organisation: each.organisation.as_str().into(),
                role: Some(each.role),
            });
            for (grant, it) in each.grants.iter().enumerate() {
                if let Some(sha256) = from_hexadecimal(&it.sha256) {
                    let held = Held {
                        account,
                        grant,
                        sha256,
                        who: Arc::clone(&who),
                    };
                    grants.entry(half(&sha256)).or_default().push(held);
                }
            }
        }
        let by_jwt = accounts
            .iter()
            .filter(|it| it.name.starts_with(ACCOUNT_PREFIX));
        let barred = by_jwt.map(|it| it.name.clone()).collect();
        Self {
            accounts,
            grants,
            barred,
        }
    }

    /// The accounts in the order in which they were made.
    pub fn all(&self) -> &[UserAccount] {
        &self.accounts
    }

    /// The account of a name that is not closed.
    pub fn open(&self, name: &str) -> Option<&UserAccount> {
        let mut accounts = self.accounts.iter();
        accounts.find(|account| account.name == name && !account.is_closed)
    }

    /// Whether a caller by JWT is shut out. An account of such a name is never open.
    pub fn is_barred(&self, name: &str) -> bool {
        self.barred.contains(name)
    }

    /// The account of a grant.
    pub fn of_grant(&self, grant_id: Uuid) -> Option<(&UserAccount, &Grant)> {
        self.accounts.iter().find_map(|account| {
            let mut grants = account.grants.iter();
            Some((account, grants.find(|grant| grant.grant_id == grant_id)?))
        })
    }

    /// Whether anybody can act as an admin on a day.
    pub fn have_admin(&self, today: Day) -> bool {
        self.accounts.iter().any(|account| {
            let mut grants = account.grants.iter();
            account.role == Role::Admin && grants.any(|grant| account.is_granted(grant, today))
        })
    }

    /// Whether a grant of this kind and SHA-256 stands, whoever's it is.
    pub fn has_grant(&self, kind: GrantKind, sha256: &str) -> bool {
        self.accounts.iter().any(|account| {
            let mut grants = account.grants.iter();
            !account.is_closed
                && grants.any(|it| it.kind == kind && it.sha256 == sha256 && !it.is_revoked)
        })
    }

    /// Who calls by a token or a certificate, where its grant holds on a day. It is compared in constant
    /// time.
    pub(super) fn identity(&self, basis: Basis, today: Day) -> Option<Identity> {
        let (kind, sha256) = match &basis {
            Basis::Token(sha256) => (GrantKind::Token, sha256),
            Basis::Certificate(certificate) => (GrantKind::Certificate, certificate.sha256()),
            Basis::Nothing | Basis::Until(_) => return None,
        };
        let held = self
            .grants
            .get(&half(sha256))
            .map_or(&[][..], Vec::as_slice);
        let mut found = None;
        for held in held {
            let is_equal = bool::from(held.sha256.ct_eq(sha256));
            let account = self.accounts.get(held.account)?;
            let grant = account.grants.get(held.grant)?;
            if is_equal && grant.kind == kind && account.is_granted(grant, today) {
                found = Some(Identity::new(Arc::clone(&held.who), basis.clone()));
            }
        }
        found
    }
}

fn half(sha256: &[u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    for (to, from) in half.iter_mut().zip(sha256) {
        *to = *from;
    }
    half
}
