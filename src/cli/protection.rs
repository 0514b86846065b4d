//! What stands between a server and whoever reaches it: the arguments of `casetrail serve`, and the
//! token of the first admin.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use clap::builder::TypedValueParser;

use super::failure::Failure;
use crate::access::{self, Access, CallLimits, Issuer, PseudonymKey};
use crate::domain::TwoPersons;
use crate::ledger::Ledger;
use crate::service::{PeerLimits, Protection, TlsFiles};

/// The file in the data folder that holds the token of the first admin.
const ADMIN_TOKEN: &str = "admin-token";

/// The file in the data folder that holds the key of the monitors' pseudonyms.
const PSEUDONYM_KEY: &str = "pseudonym-key";

/// How a server is protected.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Protection")]
pub(super) struct ProtectionArguments {
    /// Take calls from accounts alone
    #[arg(long)]
    accounts: bool,
    /// Let whoever reaches the server do everything, also where the data folder holds accounts
    #[arg(long, conflicts_with = "accounts")]
    without_accounts: bool,
    /// Make another token of an admin at this start, where all are lost
    #[arg(long, requires = "accounts")]
    new_admin_token: bool,
    /// Certificate of the server in PEM, with those between it and its root; read again on change
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// Key of the certificate in PEM
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// Roots of the certificates of clients in PEM: a client may show one
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    client_roots: Option<PathBuf>,
    /// Refuse connections of clients that show no certificate
    #[arg(long, requires = "client_roots")]
    require_client_certificate: bool,
    /// Issuer of JWTs that are taken as tokens: what their claim `iss` is
    #[arg(long, value_name = "NAME", requires_all = ["accounts", "jwt_audience", "jwt_keys"])]
    jwt_issuer: Option<String>,
    /// What the claim `aud` of a JWT has to name
    #[arg(long, value_name = "NAME", requires = "jwt_issuer")]
    jwt_audience: Option<String>,
    /// The issuer's keys, a JWKS; read again on change
    #[arg(long, value_name = "FILE", requires = "jwt_issuer")]
    jwt_keys: Option<PathBuf>,
    /// The claim of a JWT that tells the role, for example case_worker
    #[arg(long, value_name = "CLAIM", default_value = "casetrail_role")]
    jwt_role_claim: String,
    /// The claim of a JWT that tells the organisation
    #[arg(long, value_name = "CLAIM", default_value = "casetrail_organisation")]
    jwt_organisation_claim: String,
    /// How many hours a JWT may hold from the time on at which it is taken
    #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=8_784))]
    jwt_lifetime: u32,
    /// Calls that an account may make a second, over time
    #[arg(long, value_name = "N", default_value_t = CallLimits::default().per_second, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    calls_per_second: u32,
    /// Calls that an account may make at once after a rest
    #[arg(long, value_name = "N", default_value_t = CallLimits::default().burst, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    calls_burst: u32,
    /// Streams that an account may have open at once
    #[arg(long, value_name = "N", default_value_t = CallLimits::default().streams_max, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    streams_per_account: u32,
    /// Connections that one address may have at once, with --accounts: as many as there are, 10000,
    /// behind a proxy from which all come
    #[arg(long, value_name = "N", default_value_t = PeerLimits::default().connections_per_address, value_parser = connections())]
    connections_per_address: usize,
}

/// Parses a number of connections.
fn connections() -> impl TypedValueParser<Value = usize> {
    clap::value_parser!(u32)
        .range(1..=10_000)
        .map(|number| usize::try_from(number).unwrap_or(usize::MAX))
}

impl ProtectionArguments {
    /// Whether the server may be reached from elsewhere.
    pub(super) fn is_whole(&self) -> bool {
        self.accounts && self.tls_certificate.is_some()
    }

    /// How many peers there may be.
    pub(super) fn peers(&self) -> PeerLimits {
        PeerLimits {
            connections_per_address: self.connections_per_address,
            ..PeerLimits::default()
        }
    }

    /// The protection that is asked for. Where nobody can act as an admin, a token for one is made
    /// and put into the data folder.
    ///
    /// # Errors
    /// The issuer's keys can't be read, the token can't be made or written, or there are accounts and
    /// calls would be taken from anybody.
    pub(super) async fn protection(
        &self,
        data: &Path,
        ledger: &Ledger,
        two_persons: TwoPersons,
    ) -> Result<Protection, Failure> {
        let files = self.tls_certificate.clone().zip(self.tls_key.clone());
        let tls = files.map(|(certificate, key)| TlsFiles {
            certificate,
            key,
            client_roots: self.client_roots.clone(),
            client_certificate_required: self.require_client_certificate,
        });
        if !self.accounts {
            if !self.without_accounts && access::are_accounts(ledger) {
                return Err(Failure::Usage(format!(
                    "{} holds accounts, and without --accounts whoever reaches the server may do \
                     everything: add --accounts, or say --without-accounts to serve it so",
                    data.display()
                )));
            }
            return Ok(Protection { tls, access: None });
        }
        let limits = CallLimits {
            per_second: self.calls_per_second,
            burst: self.calls_burst,
            streams_max: self.streams_per_account,
            ..CallLimits::default()
        };
        let key = pseudonym_key(&data.join(PSEUDONYM_KEY))?;
        let access = Access::new(ledger, self.issuer()?, limits, key);
        let access = access.with_two_persons(two_persons);
        let failed = |error: &dyn std::error::Error| Failure::Failed(error.to_string());
        let file = data.join(ADMIN_TOKEN);
        let keep = |token: &str| write_secret(&file, token);
        let made = access
            .admin_at_start(ledger, self.new_admin_token, keep)
            .await;
        if made.map_err(|error| failed(&error))? {
            tracing::warn!(
                file = %file.display(),
                "the token of an admin is in the file: move it to a safe place"
            );
        }
        let access = Some(Arc::new(access));
        Ok(Protection { tls, access })
    }

    fn issuer(&self) -> Result<Option<Issuer>, Failure> {
        let (Some(issuer), Some(audience), Some(keys)) =
            (&self.jwt_issuer, &self.jwt_audience, &self.jwt_keys)
        else {
            return Ok(None);
        };
        let claims = (
            self.jwt_role_claim.clone(),
            self.jwt_organisation_claim.clone(),
        );
        let issuer = Issuer::new(issuer.clone(), audience.clone(), claims, keys.clone());
        let lifetime_max = Duration::from_secs(u64::from(self.jwt_lifetime) * 3_600);
        issuer
            .map(|issuer| Some(issuer.with_lifetime_max(lifetime_max)))
            .map_err(|error| Failure::Usage(format!("--jwt-keys: {error}")))
    }
}

/// The key of the pseudonyms, which the first start makes.
fn pseudonym_key(file: &Path) -> Result<PseudonymKey, Failure> {
    let local = |error: &dyn std::error::Error| {
        Failure::local(&format!("the key {} can't be had", file.display()), error)
    };
    match fs::read_to_string(file) {
        Ok(text) => PseudonymKey::from_text(text.trim()).ok_or_else(|| {
            Failure::Failed(format!(
                "{} holds no key; restore it from a copy, or remove it, by which every monitor gets \
                 new pseudonyms",
                file.display()
            ))
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let (key, text) = PseudonymKey::random().map_err(|error| local(&error))?;
            write_secret(file, &text).map_err(|error| local(&error))?;
            Ok(key)
        }
        Err(error) => Err(local(&error)),
    }
}

/// Writes a file that its owner alone may read, in the place of one that is there.
fn write_secret(file: &Path, secret: &str) -> std::io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut created = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)?;
    writeln!(created, "{secret}")?;
    created.sync_all()
}
