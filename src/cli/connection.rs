//! The connection to a server: where it is, and in whose name the calls are made.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status};

use super::failure::{Failure, chain};
use crate::wire::v1::admin_service_client::AdminServiceClient;
use crate::wire::v1::audit_service_client::AuditServiceClient;
use crate::wire::v1::case_service_client::CaseServiceClient;
use crate::wire::v1::monitor_service_client::MonitorServiceClient;
use crate::wire::v1::personal_service_client::PersonalServiceClient;

/// Where a server listens unless told otherwise.
pub(super) const DEFAULT_ADDRESS: &str = "127.0.0.1:7611";

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a quiet connection is tried, and how long the answer may take, so that a server that
/// is gone without a word is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// The most bytes of a stream that wait to be read here, for example while a pager shows a page of a
/// watch. The HTTP/2 library closes a connection on which it counts more than 2.5 MiB of overhead by
/// small frames that wait, at most 256 bytes a frame: with its own window of 2 MiB, some 20,000
/// changes that came one by one would do.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// The largest answer that is taken, in bytes: a page of the longest histories.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Where the server is.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Connection")]
pub(super) struct ServerArguments {
    /// Address of the server
    #[arg(
        long,
        value_name = "URL",
        env = "CASETRAIL_SERVER",
        default_value = "http://127.0.0.1:7611"
    )]
    pub(super) server: String,
    #[command(flatten)]
    pub(super) credentials: CredentialArguments,
}

/// How a client shows who it is, and knows the server.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Connection")]
pub(super) struct CredentialArguments {
    /// Roots of the server's certificate in PEM; with https alone
    #[arg(long, value_name = "FILE", env = "CASETRAIL_CA")]
    ca: Option<PathBuf>,
    /// File that holds a token, or a JWT, and nothing else
    #[arg(long, value_name = "FILE", env = "CASETRAIL_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// Certificate of the client in PEM
    #[arg(
        long,
        value_name = "FILE",
        env = "CASETRAIL_CLIENT_CERTIFICATE",
        requires = "client_key"
    )]
    client_certificate: Option<PathBuf>,
    /// Key of the client's certificate in PEM
    #[arg(
        long,
        value_name = "FILE",
        env = "CASETRAIL_CLIENT_KEY",
        requires = "client_certificate"
    )]
    client_key: Option<PathBuf>,
}

/// In whose name events are recorded. Only what records needs it.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Connection")]
pub(super) struct RecorderArguments {
    /// Who records the events, a reference without spaces
    #[arg(long, value_name = "REFERENCE", env = "CASETRAIL_ACTOR")]
    pub(super) actor: Option<String>,
    /// For which organisation the events are recorded, a reference without spaces
    #[arg(long, value_name = "REFERENCE", env = "CASETRAIL_ORGANISATION")]
    pub(super) organisation: Option<String>,
}

/// A connection to a server. It comes back by itself: each call after a loss connects anew.
#[derive(Clone)]
pub(super) struct Connection {
    /// Where the server is.
    pub(super) server: String,
    channel: Channel,
    claims: Claims,
}

/// What the client claims about who calls.
#[derive(Clone)]
pub(super) struct Claims {
    authorization: Option<MetadataValue<Ascii>>,
    actor: Option<MetadataValue<Ascii>>,
    organisation: Option<MetadataValue<Ascii>>,
}

type Service = InterceptedService<Channel, Claims>;

impl ServerArguments {
    /// A server in plain text and without accounts.
    pub(super) fn at(server: String) -> Self {
        Self {
            server,
            credentials: CredentialArguments::default(),
        }
    }

    /// Connects to the server, to read.
    ///
    /// # Errors
    /// `Usage` where an argument is malformed, `NoConnection` where nobody answers.
    pub(super) async fn connect(&self) -> Result<Connection, Failure> {
        self.connect_as(&RecorderArguments::default()).await
    }

    /// Connects to the server, to record in somebody's name.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub(super) async fn connect_as(
        &self,
        recorder: &RecorderArguments,
    ) -> Result<Connection, Failure> {
        let claims = Claims {
            authorization: self.credentials.authorization()?,
            actor: claim("--actor", recorder.actor.as_deref())?,
            organisation: claim("--organisation", recorder.organisation.as_deref())?,
        };
        let is_secure = self.server.starts_with("https://");
        if !is_secure && !self.server.starts_with("http://") {
            return Err(Failure::Usage(format!(
                "--server: {:?} is not the address of a server: it begins with http:// or https://, \
                 as in http://{DEFAULT_ADDRESS}",
                self.server
            )));
        }
        let endpoint = Endpoint::from_shared(self.server.clone())
            .map_err(|error| {
                Failure::Usage(format!(
                    "--server: {:?} is no URL: {}",
                    self.server,
                    chain(&error)
                ))
            })?
            .connect_timeout(CONNECT_TIMEOUT)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .keep_alive_while_idle(true);
        let endpoint = if is_secure {
            let secured = endpoint.tls_config(self.credentials.tls()?);
            secured.map_err(|error| Failure::local("TLS can't be had", &error))?
        } else {
            endpoint
        };
        let channel = endpoint
            .connect()
            .await
            .map_err(|error| Failure::NoConnection {
                server: self.server.clone(),
                cause: chain(&error),
                advice: "Start one with: casetrail serve --data DIR".to_owned(),
            })?;
        Ok(Connection {
            server: self.server.clone(),
            channel,
            claims,
        })
    }
}

impl CredentialArguments {
    fn authorization(&self) -> Result<Option<MetadataValue<Ascii>>, Failure> {
        self.token_file.as_deref().map(authorization).transpose()
    }

    fn tls(&self) -> Result<ClientTlsConfig, Failure> {
        let mut tls = ClientTlsConfig::new();
        match &self.ca {
            Some(file) => tls = tls.ca_certificate(Certificate::from_pem(read("--ca", file)?)),
            None => {
                return Err(Failure::Usage(
                    "--ca: a server over https is known by the roots of its certificate; name their \
                     file"
                        .to_owned(),
                ));
            }
        }
        if let (Some(certificate), Some(key)) = (&self.client_certificate, &self.client_key) {
            let certificate = read("--client-certificate", certificate)?;
            tls = tls.identity(Identity::from_pem(certificate, read("--client-key", key)?));
        }
        Ok(tls)
    }
}

/// What shows the token of a file.
///
/// # Errors
/// `Usage` where the file can't be read, or holds something else.
pub(super) fn authorization(token_file: &Path) -> Result<MetadataValue<Ascii>, Failure> {
    let token = read("--token-file", token_file)?;
    // What is wrong with it is not told by repeating it.
    let value = MetadataValue::try_from(format!("Bearer {}", token.trim()));
    let mut value = value
        .map_err(|_| Failure::Usage("--token-file: the file holds more than a token".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

fn read(option: &str, file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file).map_err(|error| {
        Failure::Usage(format!(
            "{option}: {} can't be read: {error}",
            file.display()
        ))
    })
}

impl Connection {
    pub(super) fn cases(&self) -> CaseServiceClient<Service> {
        CaseServiceClient::with_interceptor(self.channel.clone(), self.claims.clone())
            .max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    pub(super) fn monitor(&self) -> MonitorServiceClient<Service> {
        MonitorServiceClient::with_interceptor(self.channel.clone(), self.claims.clone())
            .max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    pub(super) fn audit(&self) -> AuditServiceClient<Service> {
        AuditServiceClient::with_interceptor(self.channel.clone(), self.claims.clone())
            .max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    pub(super) fn admin(&self) -> AdminServiceClient<Service> {
        AdminServiceClient::with_interceptor(self.channel.clone(), self.claims.clone())
    }

    pub(super) fn personal(&self) -> PersonalServiceClient<Service> {
        PersonalServiceClient::with_interceptor(self.channel.clone(), self.claims.clone())
            .max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    /// The failure of a call over this connection.
    pub(super) fn failure(&self, status: &Status) -> Failure {
        Failure::of_call(&self.server, status)
    }
}

impl Interceptor for Claims {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata_mut();
        if let Some(authorization) = &self.authorization {
            metadata.insert("authorization", authorization.clone());
        }
        if let Some(actor) = &self.actor {
            metadata.insert("casetrail-actor", actor.clone());
        }
        if let Some(organisation) = &self.organisation {
            metadata.insert("casetrail-organisation", organisation.clone());
        }
        Ok(request)
    }
}

/// How long to wait before the next of several attempts to connect, the first being number 1.
pub(super) fn backoff(attempt: u32) -> Duration {
    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(5);
    FIRST
        .saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1)))
        .min(LONGEST)
}

fn claim(option: &str, value: Option<&str>) -> Result<Option<MetadataValue<Ascii>>, Failure> {
    let Some(value) = value else { return Ok(None) };
    let graphic = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic());
    match MetadataValue::try_from(value) {
        Ok(value) if graphic => Ok(Some(value)),
        _ => Err(Failure::Usage(format!(
            "{option}: a reference of ASCII letters, digits and -_.:/#+ is needed, without spaces"
        ))),
    }
}
