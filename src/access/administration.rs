//! Changes of the accounts. Each is a submission like any other, recorded by the ledger in the name of
//! the admin who asked for it, and in force before it is answered.

use std::fmt;
use std::sync::Arc;

use prost::Message;
use uuid::Uuid;

use super::token::{NoRandomness, new_identifier, new_token, sha256_of};
use super::{Access, jwt};
use crate::domain::{Authority, UserAccount};
use crate::ledger::{Ledger, Recorder, SubmitError};
use crate::log::{Log, ReadError};
use crate::wire::block::RecordBlock;
use crate::wire::moment::Moment;
use crate::wire::v1::case_change::Expected;
use crate::wire::v1::{
    AccountSpecification, CaseChange, CertificateEnrolled, Credibility, Event, GrantKind,
    GrantRevoked, GrantUnsealingRequest, Record, Role, Source, SourceConnection, SourceReliability,
    SubmitEventsRequest, TokenIssued, UnsealingGranted, UnsealingReason, UserAccountClosed,
    UserAccountCreated, event::Payload,
};
use crate::wire::validate::{self, Invalid, Violation};

/// The account that the first start makes, and the organisation for which it acts.
const FIRST_ADMIN: (&str, &str) = ("admin", "server");

/// For how many minutes an auditor is let open personal data at most: 24 hours.
const UNSEALING_MINUTES_MAX: u32 = 24 * 60;

/// A minute, in microseconds.
const MINUTE: i64 = 60 * 1_000_000;

/// Why the accounts can't be changed as asked.
#[derive(Debug)]
pub enum AdministrationError {
    /// The request is malformed.
    Invalid(Invalid),
    /// The account has another role or organisation.
    OtherAccount,
    /// The certificate is enrolled already.
    CertificateEnrolled,
    /// There is no such grant that stands.
    NoGrant,
    /// There is no such account that is open.
    NoAccount,
    /// The account is no auditor's.
    NoAuditor,
    /// One admin would both unseal an auditor's account and hand out what is needed to use it.
    SecondAdminNeeded,
    /// Nobody could act as an admin any more.
    LastAdmin,
    /// The system gives no random bytes.
    NoRandomness,
    /// The token of the first admin can't be kept.
    NotKept(std::io::Error),
    /// The change was not recorded.
    Submit(SubmitError),
}

impl fmt::Display for AdministrationError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(error) => write!(formatter, "{error}"),
            Self::OtherAccount => write!(
                formatter,
                "there is an account of this name with another role or organisation: choose another \
                 name, or close that one first"
            ),
            Self::CertificateEnrolled => write!(
                formatter,
                "the certificate is enrolled already: revoke that first, or take another one"
            ),
            Self::NoGrant => write!(
                formatter,
                "there is no token, certificate or unsealing of this identifier that is not revoked; the list \
                 of accounts shows them"
            ),
            Self::NoAccount => write!(
                formatter,
                "there is no open account of this name; the list of accounts shows them"
            ),
            Self::NoAuditor => write!(
                formatter,
                "the account is no auditor's: other roles open personal data by their role, or not \
                 at all"
            ),
            Self::SecondAdminNeeded => write!(
                formatter,
                "it takes two admins to open personal data to an auditor: one who issued what the \
                 account is used by can't unseal it, nor the other way round; let another admin do this"
            ),
            Self::LastAdmin => write!(
                formatter,
                "nobody could act as an admin any more: make another admin's token first"
            ),
            Self::NoRandomness => write!(formatter, "{NoRandomness}"),
            Self::NotKept(error) => {
                write!(formatter, "the token of an admin can't be written: {error}")
            }
            Self::Submit(error) => write!(formatter, "{error}"),
        }
    }
}

impl std::error::Error for AdministrationError {}

impl From<Invalid> for AdministrationError {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl From<SubmitError> for AdministrationError {
    fn from(error: SubmitError) -> Self {
        Self::Submit(error)
    }
}

impl From<NoRandomness> for AdministrationError {
    fn from(_: NoRandomness) -> Self {
        Self::NoRandomness
    }
}

/// In whose name accounts are changed.
#[derive(Debug, Clone, Copy)]
pub struct Administrator<'a> {
    /// The account.
    pub account: &'a str,
    /// The organisation.
    pub organisation: &'a str,
}

impl Access {
    /// Makes a token for an account, and the account where there is none of the name. Returns the
    /// token, which is kept nowhere, and the identifier of the grant.
    ///
    /// # Errors
    /// See [`AdministrationError`]; nothing is recorded then, but where the outcome is unknown.
    pub async fn create_token(
        &self,
        ledger: &Ledger,
        by: Administrator<'_>,
        account: AccountSpecification,
        expires_on: String,
    ) -> Result<(String, Uuid), AdministrationError> {
        let token = new_token()?;
        let issued = Payload::TokenIssued(TokenIssued {
            token_sha256: sha256_of(&token),
            expires_on,
        });
        let _held = self.administration.lock().await;
        let grant_id = self.grant(ledger, by, account, issued).await?;
        Ok((token, grant_id))
    }

    /// Takes a certificate for an account, which is made where there is none of the name. Returns the
    /// identifier of the grant.
    ///
    /// # Errors
    /// As [`Access::create_token`].
    pub async fn enrol_certificate(
        &self,
        ledger: &Ledger,
        by: Administrator<'_>,
        account: AccountSpecification,
        enrolled: CertificateEnrolled,
    ) -> Result<Uuid, AdministrationError> {
        let _held = self.administration.lock().await;
        let sha256 = &enrolled.certificate_sha256;
        if self.accounts().has_grant(GrantKind::Certificate, sha256) {
            return Err(AdministrationError::CertificateEnrolled);
        }
        let enrolled = Payload::CertificateEnrolled(enrolled);
        self.grant(ledger, by, account, enrolled).await
    }

    /// Lets an auditor open personal data for a while. Returns the identifier of the grant, and when it
    /// ends.
    ///
    /// # Errors
    /// As [`Access::create_token`]; the account has to be an auditor's, and no token or certificate of it
    /// that holds may be by the same admin.
    pub async fn grant_unsealing(
        &self,
        ledger: &Ledger,
        by: Administrator<'_>,
        request: GrantUnsealingRequest,
    ) -> Result<(Uuid, Moment), AdministrationError> {
        let minutes = request.minutes;
        if !(1..=UNSEALING_MINUTES_MAX).contains(&minutes) {
            let description = format!("is {minutes}; give 1 to {UNSEALING_MINUTES_MAX} minutes");
            return Err(Invalid::from(Violation {
                field: "minutes".to_owned(),
                description,
            })
            .into());
        }
        validate::reference("request_reference", &request.request_reference)
            .map_err(Invalid::from)?;
        if request.reason() == UnsealingReason::Unspecified {
            let description = "is missing or unknown; give one that the protocol lists";
            return Err(Invalid::from(Violation {
                field: "reason".to_owned(),
                description: description.to_owned(),
            })
            .into());
        }
        let _held = self.administration.lock().await;
        let accounts = self.accounts();
        let account = accounts
            .open(&request.account)
            .ok_or(AdministrationError::NoAccount)?;
        if account.role != Role::Auditor {
            return Err(AdministrationError::NoAuditor);
        }
        let until = Moment(
            self.clock
                .now()
                .0
                .saturating_add(i64::from(minutes) * MINUTE),
        );
        let granted = Payload::UnsealingGranted(UnsealingGranted {
            reason: request.reason,
            request_reference: request.request_reference,
            expires_at: Some(until.into()),
        });
        let account_id = account.account_id;
        let today = ledger.today();
        let holding = account.grants.iter();
        let holding = holding.filter(|it| it.until.is_none() && account.is_granted(it, today));
        let holding = holding.map(|grant| grant.position).collect();
        refuse_own(ledger, by, holding).await?;
        let recorded = self.record(ledger, by, account_id, vec![granted]).await?;
        let grant_id = recorded.last().copied();
        Ok((grant_id.ok_or(AdministrationError::NoGrant)?, until))
    }

    /// Revokes a grant. What was opened by it ends.
    ///
    /// # Errors
    /// As [`Access::create_token`]; the last grant of the last admin stays.
    pub async fn revoke_grant(
        &self,
        ledger: &Ledger,
        by: Administrator<'_>,
        grant_id: &str,
    ) -> Result<(), AdministrationError> {
        let grant_id = validate::uuid("grant_id", grant_id).map_err(Invalid::from)?;
        let _held = self.administration.lock().await;
        let accounts = self.accounts();
        let (account, _) = accounts
            .of_grant(grant_id)
            .filter(|(account, grant)| !grant.is_revoked && !account.is_closed)
            .ok_or(AdministrationError::NoGrant)?;
        self.check_last_admin(|of, grant| of == account.account_id && grant == grant_id)?;
        let revoked = Payload::GrantRevoked(GrantRevoked {
            grant_event_id: grant_id.to_string(),
        });
        self.record(ledger, by, account.account_id, vec![revoked])
            .await?;
        Ok(())
    }

    /// Closes an account with all its grants. A caller by JWT has none: an account of their name is
    /// recorded as closed, which shuts them out for good.
    ///
    /// # Errors
    /// As [`Access::revoke_grant`].
    pub async fn close_account(
        &self,
        ledger: &Ledger,
        by: Administrator<'_>,
        name: &str,
    ) -> Result<(), AdministrationError> {
        let _held = self.administration.lock().await;
        let accounts = self.accounts();
        let closed = Payload::UserAccountClosed(UserAccountClosed {});
        if name.starts_with(jwt::ACCOUNT_PREFIX) && !accounts.is_barred(name) {
            validate::reference("name", name).map_err(Invalid::from)?;
            let created = Payload::UserAccountCreated(UserAccountCreated {
                name: name.to_owned(),
                // What their JWTs say is not known here; this one opens the least.
                role: Role::Monitor.into(),
                organisation: by.organisation.to_owned(),
            });
            let account_id = new_identifier()?;
            self.record(ledger, by, account_id, vec![created, closed])
                .await?;
            return Ok(());
        }
        let account = accounts.open(name).ok_or(AdministrationError::NoAccount)?;
        self.check_last_admin(|of, _| of == account.account_id)?;
        self.record(ledger, by, account.account_id, vec![closed])
            .await?;
        Ok(())
    }

    /// Makes a token of an admin at a start, where nobody can act as one or `anew` says so. It is
    /// handed to `keep` before it is recorded, so that none is in force that nobody has. Whether it was
    /// made.
    ///
    /// # Errors
    /// As [`Access::create_token`], and what `keep` says.
    pub async fn admin_at_start(
        &self,
        ledger: &Ledger,
        anew: bool,
        keep: impl FnOnce(&str) -> std::io::Result<()>,
    ) -> Result<bool, AdministrationError> {
        if !anew && self.accounts().have_admin(ledger.today()) {
            return Ok(false);
        }
        let (account, organisation) = FIRST_ADMIN;
        let by = Administrator {
            account,
            organisation,
        };
        // An account of the name that is no admin's is left as it is.
        let is_taken = |name: &str| {
            let accounts = self.accounts();
            let open = accounts.open(name);
            open.is_some_and(|it| it.role != Role::Admin || it.organisation != organisation)
        };
        let names = (1..).map(|number| match number {
            1 => account.to_owned(),
            _ => format!("{account}-{number}"),
        });
        let name = names.into_iter().find(|name| !is_taken(name));
        let specification = AccountSpecification {
            name: name.unwrap_or_default(),
            role: Role::Admin.into(),
            organisation: organisation.to_owned(),
        };
        let token = new_token()?;
        keep(&token).map_err(AdministrationError::NotKept)?;
        let issued = Payload::TokenIssued(TokenIssued {
            token_sha256: sha256_of(&token),
            expires_on: String::new(),
        });
        self.grant(ledger, by, specification, issued).await?;
        Ok(true)
    }

    /// Adds a grant to the account that is meant, which is made first where there is none.
    async fn grant(
        &self,
        ledger: &Ledger,
        by: Administrator<'_>,
        account: AccountSpecification,
        grant: Payload,
    ) -> Result<Uuid, AdministrationError> {
        check(&account)?;
        let accounts = self.accounts();
        let (account_id, payloads) = match accounts.open(&account.name) {
            Some(known) if is_meant(known, &account) => {
                let unsealings = known.unsealings(self.clock.now());
                refuse_own(ledger, by, unsealings.map(|it| it.position).collect()).await?;
                (known.account_id, vec![grant])
            }
            Some(_) => return Err(AdministrationError::OtherAccount),
            None => {
                let created = Payload::UserAccountCreated(UserAccountCreated {
                    name: account.name,
                    role: account.role,
                    organisation: account.organisation,
                });
                (new_identifier()?, vec![created, grant])
            }
        };
        let recorded = self.record(ledger, by, account_id, payloads).await?;
        recorded.last().copied().ok_or(AdministrationError::NoGrant)
    }

    /// Whether somebody can act as an admin without the grants that are to end.
    fn check_last_admin(
        &self,
        ends: impl Fn(Uuid, Uuid) -> bool,
    ) -> Result<(), AdministrationError> {
        let today = self.clock.now().day();
        let accounts = self.accounts();
        let stays = accounts.all().iter().any(|account| {
            account.role == Role::Admin
                && account.grants.iter().any(|grant| {
                    account.is_granted(grant, today) && !ends(account.account_id, grant.grant_id)
                })
        });
        let ends_admin = accounts.all().iter().any(|account| {
            account.role == Role::Admin
                && account.grants.iter().any(|grant| {
                    account.is_granted(grant, today) && ends(account.account_id, grant.grant_id)
                })
        });
        if ends_admin && !stays {
            return Err(AdministrationError::LastAdmin);
        }
        Ok(())
    }

    /// Records events of an account, and takes them in. Returns their identifiers.
    async fn record(
        &self,
        ledger: &Ledger,
        by: Administrator<'_>,
        account_id: Uuid,
        payloads: Vec<Payload>,
    ) -> Result<Vec<Uuid>, AdministrationError> {
        let today = ledger.today();
        let mut event_ids = Vec::with_capacity(payloads.len());
        let mut events = Vec::with_capacity(payloads.len());
        for payload in payloads {
            let event_id = new_identifier()?;
            event_ids.push(event_id);
            events.push(Event {
                event_id: event_id.to_string(),
                occurred: today.to_string(),
                source: Some(Source {
                    reference: by.account.to_owned(),
                    connection: SourceConnection::OwnStaff.into(),
                    reliability: SourceReliability::HighlyReliable.into(),
                }),
                credibility: Credibility::Confirmed.into(),
                payload: Some(payload),
                ..Event::default()
            });
        }
        let request = SubmitEventsRequest {
            request_id: new_identifier()?.to_string(),
            changes: vec![CaseChange {
                case_id: account_id.to_string(),
                expected: Some(Expected::Any(true)),
                events,
            }],
        };
        let submission = validate::submission(request, today)?;
        let recorder = Recorder {
            actor: by.account.to_owned(),
            organisation: by.organisation.to_owned(),
            authority: Authority::over_user_accounts(),
        };
        let recorded = ledger.try_submit(submission, recorder).await;
        // Also where the outcome is unknown: it may have been recorded.
        let cases = ledger.views().cases().clone();
        self.take_in(&cases);
        recorded?;
        Ok(event_ids)
    }
}

/// Refuses what an admin would do beside grants of their own: who made each is read from its record.
async fn refuse_own(
    ledger: &Ledger,
    by: Administrator<'_>,
    positions: Vec<u64>,
) -> Result<(), AdministrationError> {
    if positions.is_empty() {
        return Ok(());
    }
    let log = Arc::clone(ledger.log());
    let read = tokio::task::spawn_blocking(move || {
        let positions = positions.into_iter();
        let actors = positions.map(|position| actor_at(log.as_ref(), position));
        actors.collect::<Result<Vec<_>, _>>()
    });
    // One that can't be told may be their own.
    let Ok(actors) = read.await else {
        return Err(AdministrationError::SecondAdminNeeded);
    };
    let actors = actors.map_err(SubmitError::Unreadable)?;
    let is_own = |actor: &Option<String>| actor.as_ref().is_none_or(|it| it == by.account);
    if actors.iter().any(is_own) {
        return Err(AdministrationError::SecondAdminNeeded);
    }
    Ok(())
}

/// Who recorded the record at a position; none where it can't be decoded.
fn actor_at(log: &dyn Log, position: u64) -> Result<Option<String>, ReadError> {
    let blocks = log.read(position, 1)?;
    let mut records = blocks.iter().flat_map(RecordBlock::records);
    let record = records.find(|(each, _)| *each == position);
    let record = record.and_then(|(_, record)| Record::decode(record).ok());
    Ok(record.map(|record| record.actor))
}

fn is_meant(known: &UserAccount, account: &AccountSpecification) -> bool {
    known.role == account.role() && known.organisation == account.organisation
}

/// Checks for whom a grant is to be.
fn check(account: &AccountSpecification) -> Result<(), Invalid> {
    let named = |name: &str| format!("account.{name}");
    let mut violations: Vec<_> = [
        validate::reference(&named("name"), &account.name),
        validate::reference(&named("organisation"), &account.organisation),
    ]
    .into_iter()
    .filter_map(Result::err)
    .collect();
    if account.name.starts_with(jwt::ACCOUNT_PREFIX) {
        violations.push(Violation {
            field: named("name"),
            description: format!(
                "begins with {}, as those of callers by JWT do; give another one",
                jwt::ACCOUNT_PREFIX
            ),
        });
    }
    if account.role() == Role::Unspecified {
        violations.push(Violation {
            field: named("role"),
            description: "is missing or unknown; give one that the protocol lists".to_owned(),
        });
    }
    if violations.is_empty() {
        return Ok(());
    }
    Err(Invalid {
        reason: validate::INVALID_FIELDS,
        violations,
    })
}
