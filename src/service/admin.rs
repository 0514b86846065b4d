//! AdminService: how the server stands, and who may call it. It shows no case content.

use std::sync::Arc;

use bytes::Bytes;
use tonic::{Request, Response, Status};

use super::Shared;
use super::call::{answer, blocking, caller, violation, who};
use super::status::Failure;
use crate::access::administration::{AdministrationError, Administrator};
use crate::access::{Access, Identity};
use crate::domain::{CaseState, Sight, UserAccount};
use crate::ledger::Ledger;
use crate::seal::Keyring;
use crate::wire::edtf::Day;
use crate::wire::v1::admin_service_server::AdminService;
use crate::wire::v1::{
    self, AccountSpecification, CertificateEnrolled, CloseAccountRequest, CloseAccountResponse,
    CreateTokenRequest, CreateTokenResponse, EnrolCertificateRequest, EnrolCertificateResponse,
    GetServerStatusRequest, GetServerStatusResponse, GrantUnsealingRequest, GrantUnsealingResponse,
    ListAccountsRequest, ListAccountsResponse, RebuildViewsRequest, RebuildViewsResponse,
    RevokeGrantRequest, RevokeGrantResponse,
};

/// The service; all its state is shared with the others.
#[derive(Debug)]
pub(super) struct Admin {
    pub(super) shared: Arc<Shared>,
}

#[tonic::async_trait]
impl AdminService for Admin {
    async fn get_server_status(
        &self,
        request: Request<GetServerStatusRequest>,
    ) -> Result<Response<GetServerStatusResponse>, Status> {
        let who = who(&request);
        let with_digest = request.into_inner().with_digest;
        let shared = Arc::clone(&self.shared);
        answer(
            &self.shared,
            "GetServerStatus",
            who,
            blocking(move || server_status(&shared, with_digest)),
        )
        .await
    }

    async fn rebuild_views(
        &self,
        request: Request<RebuildViewsRequest>,
    ) -> Result<Response<RebuildViewsResponse>, Status> {
        answer(&self.shared, "RebuildViews", who(&request), async {
            let rebuilt = self.shared.ledger.rebuild().await?;
            let equal = rebuilt.running_digest == rebuilt.rebuilt_digest;
            if !equal {
                let position = rebuilt.position;
                tracing::error!(position, "the views that ran differ from those folded anew");
            }
            Ok(RebuildViewsResponse {
                position: rebuilt.position,
                running_digest: rebuilt.running_digest.to_vec().into(),
                rebuilt_digest: rebuilt.rebuilt_digest.to_vec().into(),
                equal,
                cases: u64::try_from(rebuilt.cases).unwrap_or(u64::MAX),
            })
        })
        .await
    }

    async fn create_token(
        &self,
        request: Request<CreateTokenRequest>,
    ) -> Result<Response<CreateTokenResponse>, Status> {
        answer(&self.shared, "CreateToken", who(&request), async {
            let change = self.change(&request)?;
            let CreateTokenRequest {
                account,
                expires_on,
            } = request.into_inner();
            let account = account_of(account)?;
            check_day(&expires_on)?;
            let (token, grant_id) = to_its_end(async move {
                let (ledger, by) = (change.ledger(), change.by());
                let access = &change.access;
                access.create_token(ledger, by, account, expires_on).await
            })
            .await?;
            let grant_id = grant_id.to_string();
            Ok(CreateTokenResponse { token, grant_id })
        })
        .await
    }

    async fn enrol_certificate(
        &self,
        request: Request<EnrolCertificateRequest>,
    ) -> Result<Response<EnrolCertificateResponse>, Status> {
        answer(&self.shared, "EnrolCertificate", who(&request), async {
            let change = self.change(&request)?;
            let EnrolCertificateRequest {
                account,
                certificate_sha256,
                expires_on,
            } = request.into_inner();
            let account = account_of(account)?;
            check_day(&expires_on)?;
            let enrolled = CertificateEnrolled {
                certificate_sha256,
                expires_on,
            };
            let grant_id = to_its_end(async move {
                let (ledger, by) = (change.ledger(), change.by());
                let access = &change.access;
                access
                    .enrol_certificate(ledger, by, account, enrolled)
                    .await
            })
            .await?;
            let grant_id = grant_id.to_string();
            Ok(EnrolCertificateResponse { grant_id })
        })
        .await
    }

    async fn grant_unsealing(
        &self,
        request: Request<GrantUnsealingRequest>,
    ) -> Result<Response<GrantUnsealingResponse>, Status> {
        answer(&self.shared, "GrantUnsealing", who(&request), async {
            let change = self.change(&request)?;
            let request = request.into_inner();
            let (grant_id, until) = to_its_end(async move {
                let (ledger, by) = (change.ledger(), change.by());
                change.access.grant_unsealing(ledger, by, request).await
            })
            .await?;
            Ok(GrantUnsealingResponse {
                grant_id: grant_id.to_string(),
                until: Some(until.into()),
            })
        })
        .await
    }

    async fn revoke_grant(
        &self,
        request: Request<RevokeGrantRequest>,
    ) -> Result<Response<RevokeGrantResponse>, Status> {
        answer(&self.shared, "RevokeGrant", who(&request), async {
            let change = self.change(&request)?;
            let grant_id = request.into_inner().grant_id;
            to_its_end(async move {
                let (ledger, by) = (change.ledger(), change.by());
                change.access.revoke_grant(ledger, by, &grant_id).await
            })
            .await?;
            Ok(RevokeGrantResponse {})
        })
        .await
    }

    async fn close_account(
        &self,
        request: Request<CloseAccountRequest>,
    ) -> Result<Response<CloseAccountResponse>, Status> {
        answer(&self.shared, "CloseAccount", who(&request), async {
            let change = self.change(&request)?;
            let name = request.into_inner().name;
            to_its_end(async move {
                let (ledger, by) = (change.ledger(), change.by());
                change.access.close_account(ledger, by, &name).await
            })
            .await?;
            Ok(CloseAccountResponse {})
        })
        .await
    }

    async fn list_accounts(
        &self,
        request: Request<ListAccountsRequest>,
    ) -> Result<Response<ListAccountsResponse>, Status> {
        answer(&self.shared, "ListAccounts", who(&request), async {
            let accounts = self.access()?.accounts();
            Ok(ListAccountsResponse {
                accounts: accounts.all().iter().map(to_message).collect(),
            })
        })
        .await
    }
}

impl Admin {
    fn access(&self) -> Result<&Arc<Access>, Failure> {
        let access = self.shared.access.as_ref();
        access.ok_or_else(Failure::no_accounts)
    }

    /// A change of the accounts in the name of who calls.
    fn change<T>(&self, request: &Request<T>) -> Result<Change, Failure> {
        Ok(Change {
            shared: Arc::clone(&self.shared),
            access: Arc::clone(self.access()?),
            by: caller(request)?,
        })
    }
}

/// A change of the accounts.
struct Change {
    shared: Arc<Shared>,
    access: Arc<Access>,
    by: Identity,
}

impl Change {
    fn ledger(&self) -> &Ledger {
        &self.shared.ledger
    }

    fn by(&self) -> Administrator<'_> {
        Administrator {
            account: self.by.account(),
            organisation: self.by.organisation(),
        }
    }
}

/// Makes a change in a task of its own: once it is recorded it has to come into force, also where the
/// caller does not wait for it.
async fn to_its_end<T: Send + 'static>(
    change: impl Future<Output = Result<T, AdministrationError>> + Send + 'static,
) -> Result<T, Failure> {
    Ok(tokio::spawn(change).await.map_err(Failure::internal)??)
}

fn account_of(account: Option<AccountSpecification>) -> Result<AccountSpecification, Failure> {
    let missing = || {
        violation(
            "account",
            "is missing; give its name, role and organisation",
        )
    };
    Ok(account.ok_or_else(missing)?)
}

/// Checks the last day of a grant, which may be empty.
fn check_day(text: &str) -> Result<(), Failure> {
    if !text.is_empty() && Day::parse(text).is_none() {
        let description = "is no date; give one as YYYY-MM-DD, or leave it out";
        return Err(violation("expires_on", description).into());
    }
    Ok(())
}

fn to_message(account: &UserAccount) -> v1::UserAccount {
    let grants = account.grants.iter().map(|grant| v1::Grant {
        grant_id: grant.grant_id.to_string(),
        kind: grant.kind.into(),
        expires_on: grant
            .expires_on
            .map(|day| day.to_string())
            .unwrap_or_default(),
        revoked: grant.is_revoked || account.is_closed,
        until: grant.until.map(Into::into),
    });
    v1::UserAccount {
        account_id: account.account_id.to_string(),
        name: account.name.clone(),
        role: account.role.into(),
        organisation: account.organisation.clone(),
        closed: account.is_closed,
        grants: grants.collect(),
    }
}

fn server_status(shared: &Shared, with_digest: bool) -> GetServerStatusResponse {
    let ledger = &shared.ledger;
    let (views, unknown_records) = {
        let views = ledger.views();
        (views.frozen(), views.unknown_records())
    };
    // The accounts stand among the cases, and are none.
    let is_case = |case: &&Arc<CaseState>| Sight::All.includes(case);
    let cases = views.cases().iter().filter(is_case).count();
    GetServerStatusResponse {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        // Read after the views, so that it is never less than their position.
        head: *shared.heads().borrow(),
        view_position: views.position(),
        snapshot_position: ledger.snapshot_position(),
        cases: u64::try_from(cases).unwrap_or(u64::MAX),
        unknown_records,
        writing_ended: ledger.writing_has_ended().unwrap_or_default(),
        started_at: Some(ledger.started_at().into()),
        keys_unavailable: ledger
            .keyring()
            .and_then(Keyring::unavailable)
            .unwrap_or_default(),
        keys_to_destroy: ledger.keys_to_destroy() as u64,
        digest: if with_digest {
            views.digest().to_vec().into()
        } else {
            Bytes::new()
        },
    }
}
