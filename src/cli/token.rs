//! `casetrail token`: who may call a server with accounts.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use sha2::{Digest, Sha256};

use super::connection::ServerArguments;
use super::failure::Failure;
use super::names;
use super::output::{Output, Table, note};
use crate::access::table;
use crate::wire::v1::{
    AccountSpecification, CloseAccountRequest, CreateTokenRequest, EnrolCertificateRequest,
    GrantKind, GrantUnsealingRequest, ListAccountsRequest, RevokeGrantRequest, Role,
};

/// What to do.
#[derive(Debug, Args)]
#[command(after_help = "\
They need the token of an admin. An account is made with its first token or certificate; its name is the
actor of what it records. `casetrail roles` shows what each role may do.

Examples:
  casetrail token create --name worker-3 --role case_worker --organisation org-1 --expires 2027-01-31
  casetrail token enrol --name worker-4 --role case_worker --organisation org-1 client.pem
  casetrail token list
  casetrail token unseal auditor-1 --reason complaint --request letter-12 --minutes 60
  casetrail token revoke 0190a000-0000-7000-8000-000000000001
  casetrail token close worker-3")]
pub(super) struct TokenArguments {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make a token; it is printed this once
    Create {
        #[command(flatten)]
        account: AccountArguments,
        #[command(flatten)]
        server: ServerArguments,
    },
    /// Take a client certificate for an account
    Enrol {
        /// The certificate in PEM
        #[arg(value_name = "FILE")]
        certificate: PathBuf,
        #[command(flatten)]
        account: AccountArguments,
        #[command(flatten)]
        server: ServerArguments,
    },
    /// List all accounts with their tokens and certificates
    List {
        /// As one line of canonical protobuf JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        server: ServerArguments,
    },
    /// Let an auditor open personal data for a while
    Unseal {
        /// Name of the auditor's account
        #[arg(value_name = "NAME")]
        name: String,
        /// Why
        #[arg(long, value_parser = names::unsealing_reason_parser())]
        reason: i32,
        /// Reference of the auditor's request, without spaces
        #[arg(long, value_name = "REFERENCE")]
        request: String,
        /// For how many minutes
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_440))]
        minutes: u32,
        #[command(flatten)]
        server: ServerArguments,
    },
    /// Revoke a token, a certificate or an unsealing at once
    Revoke {
        /// Its identifier, as the list has it
        #[arg(value_name = "GRANT")]
        grant_id: String,
        #[command(flatten)]
        server: ServerArguments,
    },
    /// Close an account, with all its tokens and certificates, at once
    Close {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        server: ServerArguments,
    },
}

/// For whom a token is.
#[derive(Debug, Clone, Args)]
struct AccountArguments {
    /// Name of the account, a reference without spaces
    #[arg(long, value_name = "REFERENCE")]
    name: String,
    /// What it may do
    #[arg(long, value_parser = role_parser())]
    role: Role,
    /// The organisation for which it acts, a reference without spaces
    #[arg(long, value_name = "REFERENCE")]
    organisation: String,
    /// The last day, in UTC, on which it is valid; without end where it is left out
    #[arg(long, value_name = "YYYY-MM-DD")]
    expires: Option<String>,
}

/// Parses a role by its name.
fn role_parser() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(table::ROLES.map(table::role_name))
        .map(|name| table::role_named(&name).unwrap_or_default())
}

impl AccountArguments {
    fn specification(&self) -> AccountSpecification {
        AccountSpecification {
            name: self.name.clone(),
            role: self.role.into(),
            organisation: self.organisation.clone(),
        }
    }

    fn expires_on(&self) -> String {
        self.expires.clone().unwrap_or_default()
    }
}

pub(super) async fn run(arguments: &TokenArguments) -> Result<(), Failure> {
    match &arguments.command {
        TokenCommand::Create { account, server } => create(account, server).await,
        TokenCommand::Enrol {
            certificate,
            account,
            server,
        } => enrol(certificate, account, server).await,
        TokenCommand::List { json, server } => list(*json, server).await,
        TokenCommand::Revoke { grant_id, server } => {
            let connection = server.connect().await?;
            let request = RevokeGrantRequest {
                grant_id: grant_id.clone(),
            };
            let revoked = connection.admin().revoke_grant(request).await;
            revoked.map_err(|status| connection.failure(&status))?;
            note(&format!("revoked {grant_id}"));
            Ok(())
        }
        TokenCommand::Unseal {
            name,
            reason,
            request,
            minutes,
            server,
        } => {
            let connection = server.connect().await?;
            let request = GrantUnsealingRequest {
                account: name.clone(),
                reason: *reason,
                request_reference: request.clone(),
                minutes: *minutes,
            };
            let granted = connection.admin().grant_unsealing(request).await;
            let granted = granted
                .map_err(|status| connection.failure(&status))?
                .into_inner();
            let until = names::time(granted.until.as_ref());
            note(&format!("grant {}, until {until}", granted.grant_id));
            Ok(())
        }
        TokenCommand::Close { name, server } => {
            let connection = server.connect().await?;
            let request = CloseAccountRequest { name: name.clone() };
            let closed = connection.admin().close_account(request).await;
            closed.map_err(|status| connection.failure(&status))?;
            note(&format!("closed {name}"));
            Ok(())
        }
    }
}

async fn create(account: &AccountArguments, server: &ServerArguments) -> Result<(), Failure> {
    let connection = server.connect().await?;
    let request = CreateTokenRequest {
        account: Some(account.specification()),
        expires_on: account.expires_on(),
    };
    let created = connection.admin().create_token(request).await;
    let created = created
        .map_err(|status| connection.failure(&status))?
        .into_inner();
    note(&format!(
        "grant {}; the token is shown this once",
        created.grant_id
    ));
    let mut output = Output::stdout();
    output.line(&created.token)?;
    output.flush()
}

async fn enrol(
    file: &PathBuf,
    account: &AccountArguments,
    server: &ServerArguments,
) -> Result<(), Failure> {
    let certificate = CertificateDer::from_pem_file(file).map_err(|error| {
        Failure::Usage(format!(
            "{} holds no certificate in PEM: {error}",
            file.display()
        ))
    })?;
    let connection = server.connect().await?;
    let request = EnrolCertificateRequest {
        account: Some(account.specification()),
        certificate_sha256: names::hex(&Sha256::digest(&certificate)),
        expires_on: account.expires_on(),
    };
    let enrolled = connection.admin().enrol_certificate(request).await;
    let enrolled = enrolled
        .map_err(|status| connection.failure(&status))?
        .into_inner();
    note(&format!("grant {}", enrolled.grant_id));
    Ok(())
}

async fn list(json: bool, server: &ServerArguments) -> Result<(), Failure> {
    let connection = server.connect().await?;
    let listed = connection
        .admin()
        .list_accounts(ListAccountsRequest {})
        .await;
    let listed = listed
        .map_err(|status| connection.failure(&status))?
        .into_inner();
    let mut output = Output::stdout();
    if json {
        output.json(&listed)?;
        return output.flush();
    }
    let mut rows = Table::new([
        "account",
        "role",
        "organisation",
        "grant",
        "kind",
        "expires",
        "state",
    ]);
    for account in &listed.accounts {
        for grant in &account.grants {
            let kind = match grant.kind() {
                GrantKind::Token => "token",
                GrantKind::Certificate => "certificate",
                GrantKind::Unsealing => "unsealing",
                GrantKind::Unspecified => "unknown",
            };
            let state = match (account.closed, grant.revoked) {
                (true, _) => "closed",
                (false, true) => "revoked",
                (false, false) => "in force",
            };
            rows.row([
                account.name.clone(),
                table::role_name(account.role()),
                account.organisation.clone(),
                grant.grant_id.clone(),
                kind.to_owned(),
                grant.until.as_ref().map_or_else(
                    || grant.expires_on.clone(),
                    |until| names::time(Some(until)),
                ),
                state.to_owned(),
            ]);
        }
    }
    rows.print(&mut output)?;
    output.flush()
}
