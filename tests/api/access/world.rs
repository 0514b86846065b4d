//! A server with TLS, accounts and an issuer of JWTs, and callers of every kind.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use casetrail::access::{Access, CallLimits, Issuer, PseudonymKey};
use casetrail::domain::TwoPersons;
use casetrail::ledger::{Clock, Ledger};
use casetrail::log::MemoryLog;
use casetrail::service::{self, PeerLimits, Protection, RetentionRule, TlsFiles};
use casetrail::wire::v1::{
    self, AccountSpecification, CreateTokenRequest, EnrolCertificateRequest, Role,
    SubmitEventsRequest, admin_service_client::AdminServiceClient,
    audit_service_client::AuditServiceClient, case_service_client::CaseServiceClient,
    monitor_service_client::MonitorServiceClient, personal_service_client::PersonalServiceClient,
};
use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, PKCS_ED25519, SigningKey,
};
use ring::hmac;
use rustls::client::WantsClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};
use tonic::{Request, Status};
use tonic_types::StatusExt;

use crate::harness::persons;
use crate::support::http2::PATIENCE;

pub const AUDIENCE: &str = "casetrail-test";
pub const ISSUER: &str = "https://issuer.example";

/// A root, with its key.
pub struct Root {
    params: CertificateParams,
    key: KeyPair,
    pub pem: String,
}

/// A certificate with its key, in PEM.
#[derive(Clone)]
pub struct Pair {
    pub certificate: String,
    pub key: String,
    pub sha256: String,
}

impl Root {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { params, key, pem }
    }

    /// Signs a certificate of these contents.
    pub fn sign(&self, params: &CertificateParams) -> Pair {
        let key = KeyPair::generate().unwrap();
        let issuer = rcgen::Issuer::from_params(&self.params, &self.key);
        let certificate = params.signed_by(&key, &issuer).unwrap();
        Pair {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            sha256: hex(&Sha256::digest(certificate.der())),
        }
    }

    pub fn server(&self) -> Pair {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(&params)
    }

    pub fn client(&self, name: &str) -> Pair {
        self.sign(&client_params(name))
    }
}

pub fn client_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A key of the issuer.
pub struct SignerKey {
    pub kid: String,
    key: KeyPair,
}

impl SignerKey {
    pub fn new(kid: &str) -> Self {
        Self {
            kid: kid.to_owned(),
            key: KeyPair::generate_for(&PKCS_ED25519).unwrap(),
        }
    }

    pub fn public(&self) -> Vec<u8> {
        rcgen::PublicKeyData::der_bytes(&self.key).to_vec()
    }

    pub fn jwk(&self) -> Value {
        json!({
            "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig",
            "kid": self.kid, "x": URL_SAFE_NO_PAD.encode(self.public()),
        })
    }

    pub fn header(&self) -> Value {
        json!({"alg": "EdDSA", "typ": "JWT", "kid": self.kid})
    }

    /// A token of this header and these claims, signed by the key whatever they say.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let signed = unsigned(header, claims);
        with_signature(&signed, &self.key.sign(signed.as_bytes()).unwrap())
    }
}

/// The first two parts of a token.
pub fn unsigned(header: &Value, claims: &Value) -> String {
    let [header, claims] =
        [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string().as_bytes()));
    format!("{header}.{claims}")
}

/// A token under HMAC-SHA-256 of a secret (RFC 7518, section 3.2), as one is forged where what is
/// public is taken for a secret.
pub fn by_shared_secret(secret: &[u8], kid: &str, claims: &Value) -> String {
    let signed = unsigned(&json!({"alg": "HS256", "kid": kid}), claims);
    let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
    with_signature(&signed, hmac::sign(&secret, signed.as_bytes()).as_ref())
}

/// The token of these first two parts and this signature.
pub fn with_signature(signed: &str, signature: &[u8]) -> String {
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

pub fn seconds_now() -> i64 {
    Clock::wall().now().0 / 1_000_000
}

/// Claims that are taken.
pub fn claims(name: &str, role: Role, organisation: &str) -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": name,
        "exp": seconds_now() + 3_600, "nbf": seconds_now() - 10,
        "casetrail_role": casetrail::access::table::role_name(role),
        "casetrail_organisation": organisation,
    })
}

/// A server, with all that its callers need.
pub struct World {
    pub address: SocketAddr,
    pub server_root: Root,
    pub client_root: Root,
    pub signer: SignerKey,
    pub admin_token: String,
    pub access: Arc<Access>,
    pub folder: TempDir,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

/// By what a world goes.
pub struct Rules {
    pub clock: Clock,
    pub limits: CallLimits,
    pub two_persons: TwoPersons,
    /// Whether somebody else than who requested an erasure has to execute it.
    pub erasure_by_two: bool,
    pub retention: Vec<RetentionRule>,
    pub peers: PeerLimits,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            clock: Clock::wall(),
            limits: CallLimits::default(),
            two_persons: TwoPersons::EVERYWHERE,
            erasure_by_two: false,
            retention: Vec::new(),
            peers: PeerLimits::default(),
        }
    }
}

impl World {
    pub async fn start() -> Self {
        Self::with_limits(CallLimits::default()).await
    }

    /// Without a lock-out, for who fails on purpose.
    pub async fn without_lock_out() -> Self {
        let limits = CallLimits {
            failures_max: u32::MAX,
            ..CallLimits::default()
        };
        Self::with_limits(limits).await
    }

    pub async fn with_limits(limits: CallLimits) -> Self {
        Self::under(Rules {
            limits,
            ..Rules::default()
        })
        .await
    }

    /// By a clock of its own.
    pub async fn by_clock(clock: Clock) -> Self {
        Self::under(Rules {
            clock,
            ..Rules::default()
        })
        .await
    }

    /// Where these acts take two persons.
    pub async fn with_two_persons(two_persons: TwoPersons) -> Self {
        Self::under(Rules {
            two_persons,
            ..Rules::default()
        })
        .await
    }

    /// With other limits of peers.
    pub async fn with_peers(peers: PeerLimits) -> Self {
        Self::under(Rules {
            peers,
            ..Rules::default()
        })
        .await
    }

    pub async fn under(rules: Rules) -> Self {
        let Rules {
            clock,
            limits,
            two_persons,
            erasure_by_two,
            retention,
            peers,
        } = rules;
        let folder = TempDir::new().unwrap();
        let (server_root, client_root) = (Root::new("server root"), Root::new("client root"));
        let server = server_root.server();
        let file = |name: &str, content: &str| write(folder.path(), name, content);
        let files = TlsFiles {
            certificate: file("server.pem", &server.certificate),
            key: file("server.key", &server.key),
            client_roots: Some(file("clients.pem", &client_root.pem)),
            client_certificate_required: false,
        };
        let signer = SignerKey::new("key-1");
        let keys = file("keys.json", &json!({"keys": [signer.jwk()]}).to_string());
        let names = (
            "casetrail_role".to_owned(),
            "casetrail_organisation".to_owned(),
        );
        let issuer = Issuer::new(ISSUER.to_owned(), AUDIENCE.to_owned(), names, keys).unwrap();

        let mut persons = persons(folder.path(), &folder.path().join("keys"));
        persons.erasure.second_person = erasure_by_two;
        let ledger = Ledger::open_by(clock, Arc::new(MemoryLog::new()), None, Some(persons));
        let ledger = Arc::new(ledger.unwrap());
        let key = PseudonymKey::random().unwrap().0;
        let access = Access::new(&ledger, Some(issuer), limits, key);
        let access = Arc::new(access.with_two_persons(two_persons));
        let admin_token = Mutex::new(String::new());
        let keep = |token: &str| {
            token.clone_into(&mut admin_token.lock().unwrap());
            Ok(())
        };
        assert!(access.admin_at_start(&ledger, false, keep).await.unwrap());
        let protection = Protection {
            tls: Some(files),
            access: Some(Arc::clone(&access)),
        };
        let bound = service::Server::bind_protected("127.0.0.1:0".parse().unwrap(), protection);
        let server = bound.await.unwrap();
        let server = server.with_limits(peers).with_retention(retention);
        let address = server.address();
        let (stop, stopped) = watch::channel(false);
        let serving = tokio::spawn(async move { server.run(ledger, stopped).await.unwrap() });
        Self {
            address,
            server_root,
            client_root,
            signer,
            admin_token: admin_token.into_inner().unwrap(),
            access,
            folder,
            stop,
            serving,
        }
    }

    pub async fn end(self) {
        self.stop.send(true).unwrap();
        self.serving.await.unwrap();
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn tls(&self) -> ClientTlsConfig {
        ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&self.server_root.pem))
            .domain_name("localhost")
    }

    /// A connection that shows no certificate.
    pub async fn channel(&self) -> Channel {
        self.connect(self.tls()).await.unwrap()
    }

    pub async fn connect(&self, tls: ClientTlsConfig) -> Result<Channel, tonic::transport::Error> {
        Channel::from_shared(format!("https://{}", self.address))
            .unwrap()
            .tls_config(tls)?
            .connect()
            .await
    }

    /// A connection that shows a certificate.
    pub async fn channel_of(&self, pair: &Pair) -> Result<Channel, tonic::transport::Error> {
        let identity = Identity::from_pem(&pair.certificate, &pair.key);
        self.connect(self.tls().identity(identity)).await
    }

    /// A connection for calls piece by piece, secured, which shows no certificate.
    pub async fn stream(&self) -> TlsStream<TcpStream> {
        self.stream_from([127, 0, 0, 1]).await.unwrap()
    }

    /// The same from an address of the loopback interface, where there is a place for it.
    pub async fn stream_from(&self, address: [u8; 4]) -> io::Result<TlsStream<TcpStream>> {
        let mut config = self.client_builder().with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let socket = TcpSocket::new_v4()?;
        socket.bind((address, 0).into())?;
        let stream = socket.connect(self.address).await?;
        let name = "localhost".try_into().unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        connector.connect(name, stream).await
    }

    /// What a client secures its connections by that shows a certificate.
    pub fn client_config_of(&self, pair: &Pair) -> ClientConfig {
        let chain = CertificateDer::from_pem_slice(pair.certificate.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes());
        let builder = self.client_builder();
        let mut config = builder
            .with_client_auth_cert(vec![chain.unwrap()], key.unwrap())
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        config
    }

    fn client_builder(&self) -> rustls::ConfigBuilder<ClientConfig, WantsClientCert> {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(self.server_root.pem.as_bytes());
        roots.add(root.unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
    }

    /// A caller by a token, or a JWT.
    pub async fn by_token(&self, token: &str) -> Caller {
        Caller::new(self.channel().await, Some(token))
    }

    pub async fn admin(&self) -> Caller {
        self.by_token(&self.admin_token).await
    }

    /// A caller by a new token of a new account.
    pub async fn caller(&self, name: &str, role: Role, organisation: &str) -> Caller {
        let token = self.token(name, role, organisation).await.token;
        self.by_token(&token).await
    }

    pub async fn token(
        &self,
        name: &str,
        role: Role,
        organisation: &str,
    ) -> v1::CreateTokenResponse {
        let request = CreateTokenRequest {
            account: Some(specification(name, role, organisation)),
            expires_on: String::new(),
        };
        let created = self.admin().await.admin().create_token(request).await;
        created.unwrap().into_inner()
    }

    /// Enrols a certificate; returns the grant.
    pub async fn enrol(&self, pair: &Pair, name: &str, role: Role, organisation: &str) -> String {
        let request = EnrolCertificateRequest {
            account: Some(specification(name, role, organisation)),
            certificate_sha256: pair.sha256.clone(),
            expires_on: String::new(),
        };
        let enrolled = self.admin().await.admin().enrol_certificate(request).await;
        enrolled.unwrap().into_inner().grant_id
    }

    /// A JWT that is taken.
    pub fn jwt(&self, name: &str, role: Role, organisation: &str) -> String {
        let claims = claims(name, role, organisation);
        self.signer.sign(&self.signer.header(), &claims)
    }
}

/// Waits until something holds, however long the machine takes within reason.
pub async fn until(holds: impl AsyncFn() -> bool) {
    let waited = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waited).await;
    waited.expect("it comes to hold");
}

/// The reason of a refusal.
pub fn reason(status: &Status) -> String {
    status.get_details_error_info().unwrap().reason
}

pub fn specification(name: &str, role: Role, organisation: &str) -> AccountSpecification {
    AccountSpecification {
        name: name.to_owned(),
        role: role.into(),
        organisation: organisation.to_owned(),
    }
}

pub fn write(folder: &Path, name: &str, content: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, content).unwrap();
    path
}

/// Adds an authorization to each call.
#[derive(Clone)]
pub struct Bearer(Option<MetadataValue<tonic::metadata::Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request
                .metadata_mut()
                .insert("authorization", value.clone());
        }
        Ok(request)
    }
}

pub type Service = InterceptedService<Channel, Bearer>;

/// Somebody who calls.
#[derive(Clone)]
pub struct Caller {
    pub service: Service,
}

impl Caller {
    pub fn new(channel: Channel, token: Option<&str>) -> Self {
        let bearer = token.map(|token| format!("Bearer {token}").parse().unwrap());
        Self {
            service: InterceptedService::new(channel, Bearer(bearer)),
        }
    }

    pub fn cases(&self) -> CaseServiceClient<Service> {
        CaseServiceClient::new(self.service.clone())
    }

    pub fn monitor(&self) -> MonitorServiceClient<Service> {
        MonitorServiceClient::new(self.service.clone())
    }

    pub fn audit(&self) -> AuditServiceClient<Service> {
        AuditServiceClient::new(self.service.clone())
    }

    pub fn personal(&self) -> PersonalServiceClient<Service> {
        PersonalServiceClient::new(self.service.clone())
    }

    pub fn admin(&self) -> AdminServiceClient<Service> {
        AdminServiceClient::new(self.service.clone())
    }

    pub async fn submit(
        &self,
        request: SubmitEventsRequest,
    ) -> Result<v1::SubmitEventsResponse, Status> {
        let answer = self.cases().submit_events(request).await;
        answer.map(tonic::Response::into_inner)
    }

    pub async fn get(&self, case_id: &str) -> Result<v1::Case, Status> {
        let request = v1::GetCaseRequest {
            case_id: case_id.to_owned(),
            as_of: None,
        };
        let answer = self.cases().get_case(request).await?;
        Ok(answer.into_inner().case.unwrap())
    }

    /// The identifiers of all cases that there are for the caller.
    pub async fn listed(&self) -> Vec<String> {
        let request = v1::ListCasesRequest {
            page_size: 1_000,
            ..v1::ListCasesRequest::default()
        };
        let page = self.cases().list_cases(request).await.unwrap().into_inner();
        assert!(page.next_page_token.is_empty());
        page.cases.into_iter().map(|case| case.case_id).collect()
    }

    /// Whether the caller is taken for somebody, and may make any call at all.
    pub async fn is_known(&self) -> Result<(), Status> {
        let request = tonic_health::pb::HealthCheckRequest::default();
        let mut health = tonic_health::pb::health_client::HealthClient::new(self.service.clone());
        let mut answers = health.watch(request).await?.into_inner();
        answers.message().await.map(drop)
    }
}
