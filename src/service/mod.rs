//! The services over gRPC: assembly, serving and ending. One file a service, one file
//! (`status`) that maps what went wrong to gRPC.
//!
//! Invariants:
//! - Beyond the loopback interface it listens with TLS and accounts alone.
//! - Every call passes the guard, which says who makes it; a case that the caller may not see is
//!   answered as one that does not exist.
//! - What waits or stays open has a limit: connections and how long they may be silent or idle, messages and
//!   how long they may take to arrive, streams, answers on their way to a slow client, and the wait
//!   at the end.
//! - A reader never slows the writer: the views are held only to take references out of them, and
//!   streams read from the log at their own pace.
//!
//! It deliberately does not know the rules of the lifecycles, nor how records are stored.

mod admin;
mod alerts;
mod arrival;
mod as_of;
mod audit;
mod call;
mod case;
mod changes;
mod compare;
mod connection;
mod coverage;
mod guard;
mod held;
mod history;
mod mask;
mod monitor;
mod name_search;
mod oversize;
mod personal;
mod refusals;
mod replay;
mod retention;
mod status;
mod stream;
mod submit_stream;
mod summary;
mod tls;
mod watch;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use prost_types::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch as signal};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::transport::server::Connected;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use uuid::Uuid;

use self::admin::Admin;
use self::alerts::{Board, Passes};
use self::arrival::{Arrivals, InTime};
use self::audit::Audit;
use self::case::Cases;
use self::changes::{Change, Feed};
use self::connection::{Bounds, Connection, Speaking};
use self::guard::Guarded;
use self::mask::Publications;
use self::monitor::Monitor;
use self::name_search::NameSearch;
use self::oversize::Explained;
use self::personal::Personal;
use self::retention::Retention;
pub use self::retention::RetentionRule;
use self::stream::StreamPlaces;
use self::tls::Tls;
pub use self::tls::{TlsError, TlsFiles};
use crate::access::Access;
use crate::domain::{AlertThresholds, Sight};
use crate::ledger::Ledger;
use crate::seal::Keyring;
use crate::view::CaseList;
use crate::wire::FILE_DESCRIPTOR_SET;
use crate::wire::edtf::Day;
use crate::wire::limits::{
    CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS_MAX, OPEN_STREAMS_MAX, REQUEST_MESSAGE_BYTES_MAX,
    SUBMIT_STREAMS_KEPT,
};
use crate::wire::moment::Moment;
use crate::wire::v1::admin_service_server::AdminServiceServer;
use crate::wire::v1::audit_service_server::AuditServiceServer;
use crate::wire::v1::case_service_server::CaseServiceServer;
use crate::wire::v1::monitor_service_server::MonitorServiceServer;
use crate::wire::v1::personal_service_server::PersonalServiceServer;

/// The most bytes of metadata of a request.
const METADATA_BYTES_MAX: u32 = 16 * 1024;

/// How long the end waits at most for connections to close.
const SHUTDOWN_WAIT_MAX: Duration = Duration::from_secs(10);

/// How often it is looked whether writing has ended.
const HEALTH_INTERVAL: Duration = Duration::from_secs(1);

/// How many peers the server takes, and how long it waits for them.
#[derive(Debug, Clone, Copy)]
pub struct PeerLimits {
    /// Number of connections at once; one beyond it is closed.
    pub connections_max: usize,
    /// How long a new connection may take to begin to speak, its handshake included; after how long
    /// without a sign of it a connection is asked for one; and how long the answer may take. A peer that
    /// vanished holds its streams no longer than twice this.
    pub silence_max: Duration,
    /// How long a message of a request may take to arrive once it has begun.
    pub arrival_max: Duration,
    /// On a server with accounts: number of connections of one address (or of one network of IPv6, /64)
    /// at once; one beyond it is closed.
    pub connections_per_address: usize,
    /// On a server with accounts: how long a connection may take to its first call of somebody who is
    /// identified, from when it is accepted.
    pub admission_max: Duration,
    /// On a server with accounts: how long after its last call began, or its last stream ended, a
    /// connection is closed at the earliest; after twice this at the latest. A single call that takes
    /// longer is cut off with it.
    pub idle_max: Duration,
}

impl Default for PeerLimits {
    /// 20 seconds of silence; a minute for a message, in which the largest submission comes through
    /// 40 kbit/s; 30 seconds to a call of somebody, and 10 minutes between two.
    fn default() -> Self {
        Self {
            connections_max: CONNECTIONS_MAX,
            silence_max: Duration::from_secs(20),
            arrival_max: Duration::from_secs(60),
            connections_per_address: CONNECTIONS_PER_ADDRESS_MAX,
            admission_max: Duration::from_secs(30),
            idle_max: Duration::from_secs(600),
        }
    }
}

/// What stands between a server and whoever reaches it.
#[derive(Debug, Clone, Default)]
pub struct Protection {
    /// TLS by these files; plain text without them.
    pub tls: Option<TlsFiles>,
    /// Who may call. Without it whoever reaches the server may do everything, in any name.
    pub access: Option<Arc<Access>>,
}

/// A server that is bound to its address and does not serve yet.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<Tls>>,
    access: Option<Arc<Access>>,
    limits: PeerLimits,
    alert_thresholds: AlertThresholds,
    retention: Vec<RetentionRule>,
}

impl Server {
    /// Binds to an address of the loopback interface, in plain text and without accounts; port 0
    /// takes a free port. Connections wait until [`Server::run`] serves them.
    ///
    /// # Errors
    /// An address that is not on the loopback interface, or that can't be had.
    pub async fn bind(address: SocketAddr) -> Result<Self, BindError> {
        Self::bind_protected(address, Protection::default()).await
    }

    /// Binds to an address; only with TLS and accounts may it be beyond the loopback interface.
    ///
    /// # Errors
    /// An address that may not or can't be had, and files of TLS that can't be used.
    pub async fn bind_protected(
        address: SocketAddr,
        protection: Protection,
    ) -> Result<Self, BindError> {
        let Protection { tls, access } = protection;
        let is_protected = tls.is_some() && access.is_some();
        if !is_protected && !address.ip().to_canonical().is_loopback() {
            return Err(BindError::NotLoopback { address });
        }
        let tls = tls.map(|files| Tls::new(files).map(Arc::new));
        let tls = tls.transpose().map_err(BindError::Tls)?;
        let in_use = |cause| BindError::Io { address, cause };
        let listener = TcpListener::bind(address).await.map_err(in_use)?;
        let address = listener.local_addr().map_err(in_use)?;
        let limits = PeerLimits::default();
        Ok(Self {
            listener,
            address,
            tls,
            access,
            limits,
            alert_thresholds: AlertThresholds::default(),
            retention: Vec::new(),
        })
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(self, limits: PeerLimits) -> Self {
        Self { limits, ..self }
    }

    /// The same with other thresholds of alerts.
    #[must_use]
    pub fn with_alert_thresholds(self, alert_thresholds: AlertThresholds) -> Self {
        Self {
            alert_thresholds,
            ..self
        }
    }

    /// The same with rules for how long personal data is kept; without any nothing is ever due.
    #[must_use]
    pub fn with_retention(self, retention: Vec<RetentionRule>) -> Self {
        Self { retention, ..self }
    }

    /// The address that it is bound to, with the port that it has.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` holds true (or its sender is gone). Then no connection is taken any
    /// more, streams end with UNAVAILABLE and the position to resume from, single calls are
    /// finished, and it returns when all connections are closed, after 10 seconds at the latest.
    /// The ledger stays open.
    ///
    /// # Errors
    /// The services can't be put together, or serving failed.
    pub async fn run(
        self,
        ledger: Arc<Ledger>,
        shutdown: signal::Receiver<bool>,
    ) -> Result<(), RunError> {
        let stream_places = StreamPlaces::new(OPEN_STREAMS_MAX, SUBMIT_STREAMS_KEPT);
        let shared = Arc::new(Shared {
            ledger,
            shutdown: shutdown.clone(),
            stream_places,
            feed: Feed::default(),
            alert_thresholds: self.alert_thresholds,
            alert_board: Arc::default(),
            alert_passes: Passes::default(),
            latest_day: AtomicI32::new(Day::MIN.0),
            access: self.access.clone(),
            publications: Publications::default(),
            retention: Retention::new(self.retention),
            names: NameSearch::default(),
        });
        let silence_max = self.limits.silence_max;
        let arrivals = Arc::new(Arrivals::new(self.limits.arrival_max));
        let (health, routes) = services(&shared, &arrivals).await?;
        let health = tokio::spawn(report_health(health, Arc::clone(&shared)));
        let refusals = tokio::spawn(refusals::tell_sums());
        let bounds = self.access.as_ref().map(|_| Bounds {
            per_address: self.limits.connections_per_address,
            admission_max: self.limits.admission_max,
            idle_max: self.limits.idle_max,
        });
        let accepted = connection::accepted(self.listener, self.limits.connections_max, bounds);
        let served = match self.tls {
            Some(tls) => {
                let incoming = tls::secured(accepted, tls, silence_max);
                serve(incoming, routes, silence_max, shutdown).await
            }
            None => {
                let plainly = move |connection: io::Result<_>| {
                    let plain =
                        |it: Connection| Speaking::new(it.stream, it.seat, None, silence_max);
                    connection.map(plain)
                };
                serve(accepted.map(plainly), routes, silence_max, shutdown).await
            }
        };
        health.abort();
        refusals.abort();
        refusals::tell_rest();
        served
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Server")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// Serves connections until it is told to end.
async fn serve<C>(
    incoming: impl Stream<Item = io::Result<C>>,
    routes: Routes,
    silence_max: Duration,
    shutdown: signal::Receiver<bool>,
) -> Result<(), RunError>
where
    C: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    C::ConnectInfo: Clone + Send + Sync + 'static,
{
    let serving = tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(silence_max))
        .http2_keepalive_timeout(Some(silence_max))
        .http2_max_header_list_size(METADATA_BYTES_MAX)
        .max_concurrent_streams(u32::try_from(OPEN_STREAMS_MAX).ok())
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, stopped(shutdown.clone()));
    tokio::select! {
        served = serving => served.map_err(|error| RunError::Serving { cause: chain(&error) }),
        () = async { stopped(shutdown).await; sleep(SHUTDOWN_WAIT_MAX).await } => {
            tracing::warn!("connections were still open when the wait for them ended");
            Ok(())
        }
    }
}

/// Why a server can't be bound to an address.
#[derive(Debug)]
pub enum BindError {
    /// The address is not on the loopback interface, and TLS or accounts are missing.
    NotLoopback {
        /// The address.
        address: SocketAddr,
    },
    /// The address can't be had.
    Io {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        cause: std::io::Error,
    },
    /// TLS can't be had.
    Tls(TlsError),
}

impl fmt::Display for BindError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLoopback { address } => write!(
                formatter,
                "can't listen on {address}: without both TLS and accounts only the loopback \
                 interface is allowed, for example 127.0.0.1:{}",
                address.port()
            ),
            Self::Tls(error) => write!(formatter, "TLS can't be had: {error}"),
            Self::Io { address, cause } => write!(formatter, "can't listen on {address}: {cause}"),
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NotLoopback { .. } => None,
            Self::Tls(error) => Some(error),
            Self::Io { cause, .. } => Some(cause),
        }
    }
}

/// Why a server can't serve.
#[derive(Debug)]
pub enum RunError {
    /// The protocol's descriptors can't be served.
    Reflection {
        /// What is wrong with them.
        cause: String,
    },
    /// Serving failed.
    Serving {
        /// What failed.
        cause: String,
    },
}

impl fmt::Display for RunError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reflection { cause } => {
                write!(
                    formatter,
                    "the protocol's descriptors can't be served: {cause}"
                )
            }
            Self::Serving { cause } => write!(formatter, "serving failed: {cause}"),
        }
    }
}

impl std::error::Error for RunError {}

/// What the services share.
struct Shared {
    ledger: Arc<Ledger>,
    shutdown: signal::Receiver<bool>,
    stream_places: StreamPlaces,
    /// The newest changes, for all watchers at the head.
    feed: Feed,
    alert_thresholds: AlertThresholds,
    alert_board: Arc<Mutex<Board>>,
    alert_passes: Passes,
    /// The latest day that it was, as days since 1970-01-01.
    latest_day: AtomicI32,
    /// Who may call; none on a server without accounts.
    access: Option<Arc<Access>>,
    /// For monitors.
    publications: Publications,
    retention: Retention,
    names: NameSearch,
}

impl Shared {
    /// The heads that readers may see, to read and to wait for: what lies before one is durable and
    /// in the views, so that who is told of a change finds it in the case.
    fn heads(&self) -> signal::Receiver<u64> {
        self.ledger.subscribe()
    }

    /// The day by which alerts and due dates are judged: today, in UTC, and never before the day of
    /// the newest record or before what it was already, whatever the clock does.
    fn today(&self) -> Day {
        let recorded_at = self.ledger.views().recorded_at();
        let recorded_on = recorded_at.map_or(Day::MIN, Moment::day);
        let today = self.ledger.today().max(recorded_on);
        let latest = self.latest_day.fetch_max(today.0, Ordering::Relaxed);
        today.max(Day(latest))
    }

    /// Whether there is a case for a caller.
    fn sees(&self, sight: &Sight, case_id: Uuid) -> bool {
        let case = self.ledger.views().case(case_id).cloned();
        case.is_some_and(|case| sight.includes(&case))
    }

    /// Whether there is the case of a change for a caller, by how it stands now. The views are asked
    /// only where the change itself does not tell.
    fn sees_change(&self, sight: &Sight, change: &Change) -> bool {
        match sight {
            Sight::All => !change.is_of_account(),
            Sight::Organisation { .. } => self.sees(sight, change.case_id),
            Sight::UserAccounts | Sight::Nothing => false,
        }
    }

    /// All cases as they stand at one position. It only takes references, so that the views are
    /// held for a moment.
    fn cases(&self) -> CasesAt {
        let views = self.ledger.views();
        CasesAt {
            position: views.position(),
            recorded_at: views.recorded_at().map(Timestamp::from),
            cases: views.cases().clone(),
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// All cases as they stand at one position, in the order in which they were opened.
struct CasesAt {
    position: u64,
    /// When the record before the position was recorded.
    recorded_at: Option<Timestamp>,
    cases: CaseList,
}

/// Cases, and which of them there are for the caller.
#[derive(Clone, Copy)]
struct Seeing<'a> {
    cases: &'a CaseList,
    sight: &'a Sight,
}

/// Waits until the server is told to end.
async fn stopped(mut shutdown: signal::Receiver<bool>) {
    // Where the sender is gone nobody could end the server any more, so it ends now.
    shutdown.wait_for(|stopped| *stopped).await.ok();
}

/// Puts the services together.
async fn services(
    shared: &Arc<Shared>,
    arrivals: &Arc<Arrivals>,
) -> Result<(HealthReporter, Routes), RunError> {
    let (health, health_service) = tonic_health::server::health_reporter();
    for name in SERVICES {
        health
            .set_service_status(name, ServingStatus::Serving)
            .await;
    }
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let broken = |error: tonic_reflection::server::Error| RunError::Reflection {
        cause: error.to_string(),
    };
    let cases = Cases {
        shared: Arc::clone(shared),
    };
    let monitor = Monitor {
        shared: Arc::clone(shared),
    };
    let audit = Audit {
        shared: Arc::clone(shared),
    };
    let admin = Admin {
        shared: Arc::clone(shared),
    };
    let personal = Personal {
        shared: Arc::clone(shared),
    };
    let limit = REQUEST_MESSAGE_BYTES_MAX;
    let cases = CaseServiceServer::new(cases).max_decoding_message_size(limit);
    let monitor = MonitorServiceServer::new(monitor).max_decoding_message_size(limit);
    let audit = AuditServiceServer::new(audit).max_decoding_message_size(limit);
    let admin = AdminServiceServer::new(admin).max_decoding_message_size(limit);
    let personal = PersonalServiceServer::new(personal).max_decoding_message_size(limit);
    let doors = Doors {
        access: shared.access.as_ref(),
        arrivals,
    };
    let routes = Routes::new(doors.before(Explained(cases)))
        .add_service(doors.before(Explained(monitor)))
        .add_service(doors.before(Explained(audit)))
        .add_service(doors.before(Explained(admin)))
        .add_service(doors.before(Explained(personal)))
        .add_service(doors.before(health_service))
        .add_service(doors.before(reflection().build_v1().map_err(broken)?))
        .add_service(doors.before(reflection().build_v1alpha().map_err(broken)?));
    Ok((health, routes))
}

/// What every call passes before it reaches a service.
struct Doors<'a> {
    access: Option<&'a Arc<Access>>,
    arrivals: &'a Arc<Arrivals>,
}

impl Doors<'_> {
    fn before<S>(&self, service: S) -> Guarded<InTime<S>> {
        let arrivals = Arc::clone(self.arrivals);
        Guarded {
            service: InTime { service, arrivals },
            access: self.access.cloned(),
        }
    }
}

/// The names of the services under which their health is asked for, apart from the server's own.
const SERVICES: [&str; 5] = [
    CASE_SERVICE,
    <MonitorServiceServer<Monitor> as NamedService>::NAME,
    <AuditServiceServer<Audit> as NamedService>::NAME,
    <AdminServiceServer<Admin> as NamedService>::NAME,
    PERSONAL_SERVICE,
];
const CASE_SERVICE: &str = <CaseServiceServer<Cases> as NamedService>::NAME;
const PERSONAL_SERVICE: &str = <PersonalServiceServer<Personal> as NamedService>::NAME;

/// Reports that CaseService no longer serves once writing has ended, PersonalService while values of new
/// subjects can't be taken, and nothing once the server ends; the server as a whole serves as long as it can read.
async fn report_health(mut health: HealthReporter, shared: Arc<Shared>) {
    let mut ticks = interval(HEALTH_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let reporting = async {
        let (mut writes, mut takes_persons) = (true, true);
        loop {
            ticks.tick().await;
            if writes && shared.ledger.writing_has_ended().is_some() {
                tracing::error!("writing has ended; reads go on, and a restart recovers");
                writes = false;
                health
                    .set_service_status(CASE_SERVICE, ServingStatus::NotServing)
                    .await;
            }
            let keyring = shared.ledger.keyring();
            let takes = keyring.and_then(Keyring::unavailable).is_none();
            if takes != takes_persons {
                takes_persons = takes;
                let status = match takes {
                    true => ServingStatus::Serving,
                    false => ServingStatus::NotServing,
                };
                health.set_service_status(PERSONAL_SERVICE, status).await;
            }
        }
    };
    tokio::select! {
        () = reporting => {}
        () = stopped(shared.shutdown.clone()) => {}
    }
    for name in [""].into_iter().chain(SERVICES) {
        health
            .set_service_status(name, ServingStatus::NotServing)
            .await;
        // Those who watch are told so, and their streams end.
        health.clear_service_status(name).await;
    }
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
