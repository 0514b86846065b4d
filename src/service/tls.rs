//! TLS: the certificate of the server, and those of clients.
//!
//! The files are read again when they have changed, at the next connection: certificates are renewed
//! without a restart. What can't be read, or does not belong together, leaves the old ones in force.
//!
//! Invariant: a client certificate is verified at every connection (no session is resumed where there
//! are any) and again while the connection is used ([`Certificate`]).

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::{Stream, StreamExt};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout_at;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::connection::{Connection, Speaking};
use super::refusals::{self, Refusal};
use crate::access::Certificate;

/// How many connections wait at most to be served, once they are secured.
const SECURED_WAITING_MAX: usize = 64;

/// The files of TLS, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate of the server, with those between it and the root.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The roots of the clients' certificates; without them clients show none.
    pub client_roots: Option<PathBuf>,
    /// Whether a client has to show a certificate.
    pub client_certificate_required: bool,
}

/// Why TLS can't be had from the files.
#[derive(Debug)]
pub enum TlsError {
    /// A file can't be read, or holds nothing of what is looked for.
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// The files don't go together, or what they hold can't be used.
    Unusable {
        /// What is wrong.
        cause: String,
    },
}

impl fmt::Display for TlsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, cause } => write!(formatter, "{}: {cause}", file.display()),
            Self::Unusable { cause } => write!(
                formatter,
                "the certificate and the key can't be used together: {cause}"
            ),
        }
    }
}

impl std::error::Error for TlsError {}

/// By what a change of the files is told.
type Stamps = Vec<Option<(SystemTime, u64)>>;

/// TLS by the files as they are.
pub(super) struct Tls {
    files: TlsFiles,
    state: Mutex<(Stamps, Secrets)>,
}

/// What connections are secured by.
#[derive(Clone)]
struct Secrets {
    config: Arc<ServerConfig>,
    /// What verifies the certificates of clients; none where they show none.
    verifier: Option<Arc<dyn ClientCertVerifier>>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// They can't be read, or can't be used.
    pub(super) fn new(files: TlsFiles) -> Result<Self, TlsError> {
        let stamps = files.stamps();
        let secrets = files.read()?;
        Ok(Self {
            files,
            state: Mutex::new((stamps, secrets)),
        })
    }

    /// What the next connection is secured by.
    fn secrets(&self) -> Secrets {
        let stamps = self.files.stamps();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.0 != stamps {
            state.0 = stamps;
            match self.files.read() {
                Ok(secrets) => {
                    state.1 = secrets;
                    tracing::info!("the certificates were read again");
                }
                Err(error) => tracing::warn!(%error, "the certificates stay as they are"),
            }
        }
        state.1.clone()
    }
}

impl TlsFiles {
    fn stamps(&self) -> Stamps {
        let stamp = |file: &PathBuf| {
            let metadata = std::fs::metadata(file).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        };
        let files = [&self.certificate, &self.key].into_iter();
        files.chain(&self.client_roots).map(stamp).collect()
    }

    fn read(&self) -> Result<Secrets, TlsError> {
        let unusable = |cause: &dyn fmt::Display| TlsError::Unusable {
            cause: cause.to_string(),
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&error))?;
        let verifier = match &self.client_roots {
            None => None,
            Some(file) => {
                let mut roots = RootCertStore::empty();
                for root in certificates(file)? {
                    roots.add(root).map_err(|error| unusable(&error))?;
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = if self.client_certificate_required {
                    verifier
                } else {
                    verifier.allow_unauthenticated()
                };
                Some(verifier.build().map_err(|error| unusable(&error))?)
            }
        };
        let builder = match &verifier {
            None => builder.with_no_client_auth(),
            Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier)),
        };
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|error| TlsError::File {
            file: self.key.clone(),
            cause: format!("holds no private key in PEM: {error}"),
        })?;
        let mut config = builder
            .with_single_cert(certificates(&self.certificate)?, key)
            .map_err(|error| unusable(&error))?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        if verifier.is_some() {
            // A session that is resumed is not verified again.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(Secrets {
            config: Arc::new(config),
            verifier,
        })
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |cause: String| TlsError::File {
        file: file.to_owned(),
        cause,
    };
    let read = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong(format!("holds no certificates in PEM: {error}")))?;
    if read.is_empty() {
        return Err(wrong("holds no certificate in PEM".to_owned()));
    }
    Ok(read)
}

/// Secures connections, several at a time. One that does not come to an end of the handshake in time
/// is closed; it has its place among the connections until then.
pub(super) fn secured(
    connections: impl Stream<Item = io::Result<Connection>> + Send + 'static,
    tls: Arc<Tls>,
    silence_max: Duration,
) -> impl Stream<Item = io::Result<Secured>> {
    let (sender, receiver) = mpsc::channel(SECURED_WAITING_MAX);
    tokio::spawn(async move {
        let mut connections = std::pin::pin!(connections);
        loop {
            let connection = tokio::select! {
                () = sender.closed() => return,
                connection = connections.next() => connection,
            };
            let Some(connection) = connection else { return };
            let (sender, tls) = (sender.clone(), Arc::clone(&tls));
            tokio::spawn(async move {
                let Ok(connection) = connection else { return };
                let address = connection.seat.address;
                match secure(connection, &tls, silence_max).await {
                    // Nobody takes it once the server ends.
                    Ok(secured) => drop(sender.send(Ok(secured)).await),
                    Err(error) => {
                        tracing::debug!(%error, "a connection was not secured");
                        refusals::note(Refusal {
                            address: Some(address),
                            cause: cause(&error),
                            ..Refusal::default()
                        });
                    }
                }
            });
        }
    });
    tokio_stream::wrappers::ReceiverStream::new(receiver)
}

/// Why a connection was not secured, in words of our own: those of the library can hold what the peer
/// sent.
fn cause(error: &io::Error) -> &'static str {
    use rustls::{CertificateError, Error};
    let by_tls = error.get_ref().and_then(|it| it.downcast_ref::<Error>());
    match by_tls {
        Some(Error::NoCertificatesPresented) => "TLS: no client certificate",
        Some(Error::InvalidCertificate(CertificateError::Expired)) => {
            "TLS: expired client certificate"
        }
        Some(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            "TLS: client certificate of another root"
        }
        Some(Error::InvalidCertificate(_)) => "TLS: client certificate that is not valid",
        Some(Error::AlertReceived(_)) => "TLS: the client does not go on",
        Some(_) => "TLS: no handshake that is taken",
        None if error.kind() == io::ErrorKind::TimedOut => "TLS: no handshake in time",
        None => "TLS: the connection broke off",
    }
}

/// A connection that is secured.
type Secured = Speaking<TlsStream<TcpStream>>;

async fn secure(connection: Connection, tls: &Tls, silence_max: Duration) -> io::Result<Secured> {
    let Connection { stream, seat } = connection;
    let Secrets { config, verifier } = tls.secrets();
    let accepting = TlsAcceptor::from(config).accept(stream);
    let stream = timeout_at(seat.accepted_at + silence_max, accepting)
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let (_, session) = stream.get_ref();
    let certificate = session
        .peer_certificates()
        .zip(verifier)
        .and_then(|(chain, verifier)| Certificate::of_chain(chain, verifier));
    Ok(Speaking::new(stream, seat, certificate, silence_max))
}
