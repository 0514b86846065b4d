//! `casetrail serve`: the start of a server and its end in good order.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::builder::TypedValueParser;
use clap::{Args, ValueEnum};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

use super::connection::DEFAULT_ADDRESS;
use super::failure::Failure;
use super::output::Output;
use super::protection::ProtectionArguments;
use super::salvage::salvage_command;
use crate::domain::{AlertThresholds, TwoPersons};
use crate::ledger::{self, Clock, ErasurePolicy, Ledger, Persons};
use crate::log::{DataFolder, OpenError, SledLog, SledOptions};
use crate::seal::{KeyStore, MASTER_KEY_FILE, MasterKeySource};
use crate::service::{RetentionRule, Server};
use crate::view::SnapshotFile;

const MIB: u64 = 1024 * 1024;

/// How a server runs.
#[derive(Debug, Args)]
#[command(after_help = "\
Ends in good order on SIGTERM and SIGINT. CASETRAIL_LOG says what is logged, for example
CASETRAIL_LOG=debug or CASETRAIL_LOG=casetrail::ledger=trace,info.

With --safety-copy a start after a kill, a crash or a power cut first copies the log to
DIR/safety-copy, before the database opens and writes; only the newest copy is kept, and one of which
no start has succeeded is not replaced. A copy takes as much room as the log, and some 2 seconds a GiB
on an ordinary solid-state disk, by which the start is later; a file system that can share blocks
between files (Btrfs, XFS) makes it at once and without room. The copy is a data folder itself, to be
served or salvaged like any other.

The options --alert-... say from when on the rules of `casetrail alerts` hold.

With --accounts every call needs a token, an enrolled client certificate or a JWT, and `casetrail
roles` shows who may do what. The first start puts the token of an admin into DIR/admin-token, by which
`casetrail token create` makes others; take it away from there. Without --accounts whoever reaches the
server may do everything; a folder that holds accounts is then served with --without-accounts alone. Beyond the loopback interface it listens with --accounts and TLS alone.

Personal values are sealed under keys in --keys DIR, which no backup holds. Whoever has these keys and
the master key can read them; whoever loses either has lost them.

Examples:
  casetrail serve --data /var/lib/casetrail
  casetrail serve --data /var/lib/casetrail --alert-no-visit 60 --alert-clause-due 14
  casetrail serve --data /var/lib/casetrail --safety-copy
  casetrail serve --data ./data --listen 127.0.0.1:0 --log-format json
  casetrail serve --data ./data --accounts
  casetrail serve --data ./data --listen 0.0.0.0:7611 --accounts --tls-certificate server.pem --tls-key server.key
  casetrail serve --data /var/lib/casetrail --keys /srv/keys --master-key file:/run/keys/master
  casetrail serve --data ./data --retention detention=3650 --retention detention:health=5475")]
pub(super) struct ServeArguments {
    /// Folder of the data; created where it does not exist. One server a folder
    #[arg(long, value_name = "DIR")]
    pub(super) data: PathBuf,
    /// Address to listen on: loopback only, but with --accounts and TLS. Port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = DEFAULT_ADDRESS)]
    pub(super) listen: SocketAddr,
    /// Format of the log on standard error
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    log_format: LogFormat,
    /// Cache of the log, in MiB; it shows up as resident memory
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    pub(super) cache_mib: u64,
    #[command(flatten)]
    keys: KeyArguments,
    /// After a stop that was not in good order, copy the log aside before it is opened
    #[arg(long)]
    safety_copy: bool,
    #[command(flatten)]
    alerts: AlertArguments,
    #[command(flatten)]
    protection: ProtectionArguments,
    /// Acts that take two persons. Closing and identification do on a server with --accounts alone
    #[arg(
        long,
        value_name = "ACTS",
        value_delimiter = ',',
        default_value = "closing,identification,erasure",
        help_heading = "Protection"
    )]
    two_persons: Vec<ActOfTwo>,
}

/// An act that can take two persons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ActOfTwo {
    /// CaseClosed, on another account's ClosureProposed
    Closing,
    /// IdentificationEstablished as confirmed, which another account raises
    Identification,
    /// ErasureExecuted, by somebody else than who requested it
    Erasure,
    /// No act: one person is enough
    None,
}

/// Keys of personal data.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Personal data")]
struct KeyArguments {
    /// Folder of the keys; DATA/keys unless given. Keep it on another disk than the data, and out of
    /// the backups of the data
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
    /// Where the master key comes from: file:PATH, env:NAME or command:LINE. Unless given, it is the
    /// file master.key in the folder of the keys, made at the first start
    #[arg(
        long,
        value_name = "SOURCE",
        env = "CASETRAIL_MASTER_KEY",
        hide_env_values = true
    )]
    master_key: Option<MasterKeySource>,
    /// Run without keys: personal values are neither taken nor opened, all else works
    #[arg(long, conflicts_with_all = ["keys", "master_key"])]
    without_keys: bool,
    /// Go on where the log holds values whose keys are lost
    #[arg(long)]
    accept_missing_keys: bool,
    /// Go on where disclosures that were recorded are missing or damaged; the file as it is is kept
    /// aside
    #[arg(long)]
    accept_missing_disclosures: bool,
    /// How many days a request for an erasure waits before it may be executed
    #[arg(long, value_name = "DAYS", default_value_t = ErasurePolicy::default().holding_days, value_parser = days())]
    erasure_holding: u32,
    /// How long personal data is kept after a case ended or was closed, as KIND=DAYS or
    /// KIND:CLASS=DAYS, for example detention=3650; what no rule names is kept. A person's data is
    /// erased whole, once the last rule allows it: a rule for a class can make it wait longer, and a
    /// shorter one erases nothing earlier
    #[arg(long, value_name = "RULE")]
    retention: Vec<RetentionRule>,
}

impl KeyArguments {
    fn open(&self, data: &Path, second_person: bool) -> Result<Option<Persons>, Failure> {
        if self.without_keys {
            return Ok(None);
        }
        let folder = self.keys.clone().unwrap_or_else(|| data.join(KEYS_FOLDER));
        let own = || MasterKeySource::File(folder.join(MASTER_KEY_FILE));
        let master_key = self.master_key.clone().unwrap_or_else(own);
        let store = KeyStore::open(&folder, &master_key)
            .map_err(|error| Failure::Failed(error.to_string()))?;
        Ok(Some(Persons {
            store,
            keys: folder,
            master_key,
            disclosures: data.join(DISCLOSURES_FILE),
            accept_missing_keys: self.accept_missing_keys,
            accept_missing_disclosures: self.accept_missing_disclosures,
            erasure: ErasurePolicy {
                holding_days: self.erasure_holding,
                second_person,
            },
        }))
    }
}

/// The folder of the keys in that of the data, unless it is elsewhere.
pub(super) const KEYS_FOLDER: &str = "keys";
/// The record of disclosures in the folder of the data.
const DISCLOSURES_FILE: &str = "disclosures";

/// From when on the rules of alerts hold.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Alerts")]
struct AlertArguments {
    /// A person in detention was not visited for so many days
    #[arg(long, value_name = "DAYS", default_value_t = AlertThresholds::default().no_visit_days, value_parser = days())]
    alert_no_visit: u32,
    /// A detention is acknowledged and the person not registered for so many days
    #[arg(long, value_name = "DAYS", default_value_t = AlertThresholds::default().not_registered_days, value_parser = days())]
    alert_not_registered: u32,
    /// A handover was postponed so many times
    #[arg(long, value_name = "TIMES", default_value_t = AlertThresholds::default().handover_postponements, value_parser = clap::value_parser!(u32).range(1..=100))]
    alert_postponed: u32,
    /// A case is contested for so many days
    #[arg(long, value_name = "DAYS", default_value_t = AlertThresholds::default().contested_days, value_parser = days())]
    alert_contested: u32,
    /// Remains are identified and the family is not informed for so many days
    #[arg(long, value_name = "DAYS", default_value_t = AlertThresholds::default().family_not_informed_days, value_parser = days())]
    alert_family_not_informed: u32,
    /// A clause with outstanding cases is due in so many days, or was
    #[arg(long, value_name = "DAYS", default_value_t = AlertThresholds::default().clause_due_days, value_parser = days())]
    alert_clause_due: u32,
}

/// Parses a number of days, of up to ten years.
fn days() -> impl TypedValueParser<Value = u32> {
    clap::value_parser!(u32).range(0..=3_653)
}

impl AlertArguments {
    fn thresholds(&self) -> AlertThresholds {
        AlertThresholds {
            no_visit_days: self.alert_no_visit,
            not_registered_days: self.alert_not_registered,
            handover_postponements: self.alert_postponed,
            contested_days: self.alert_contested,
            family_not_informed_days: self.alert_family_not_informed,
            clause_due_days: self.alert_clause_due,
        }
    }
}

/// Format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people
    Human,
    /// One JSON object a line
    Json,
}

pub(super) fn run(arguments: &ServeArguments) -> Result<(), Failure> {
    if !arguments.listen.ip().is_loopback() && !arguments.protection.is_whole() {
        return Err(Failure::Usage(format!(
            "--listen: {} is not a loopback address. Beyond that a server listens with TLS and \
             authentication alone: add --accounts, --tls-certificate and --tls-key, or listen on \
             127.0.0.1 or [::1].",
            arguments.listen
        )));
    }
    start_logging(arguments.log_format)?;
    raise_open_files();
    dump_nothing();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::local("starting the server failed", &error))?;
    runtime.block_on(async {
        let stop = stop_signal()?;
        let (address, serving) = start(arguments, stop).await?;
        announce(address)?;
        serving.await
    })
}

/// Opens the folder, the log and the ledger, and binds the service. What it returns serves until
/// `stop` turns true, and then ends in good order.
async fn start(
    arguments: &ServeArguments,
    stop: watch::Receiver<bool>,
) -> Result<(SocketAddr, impl Future<Output = Result<(), Failure>>), Failure> {
    let data = arguments.data.clone();
    let options = SledOptions {
        cache_bytes: arguments.cache_mib * MIB,
        safety_copy: arguments.safety_copy,
        ..SledOptions::default()
    };
    let keys = arguments.keys.clone();
    let takes_two = |act| arguments.two_persons.contains(&act);
    let second_person = takes_two(ActOfTwo::Erasure);
    let opened =
        tokio::task::spawn_blocking(move || open(&data, options, &keys, second_person)).await;
    let ledger = opened.map_err(|error| Failure::local("opening the data failed", &error))??;
    let failed = |error: &dyn std::error::Error| Failure::Failed(error.to_string());
    let two_persons = TwoPersons {
        closing: takes_two(ActOfTwo::Closing),
        identification: takes_two(ActOfTwo::Identification),
    };
    let protection = arguments
        .protection
        .protection(&arguments.data, &ledger, two_persons);
    let server = Server::bind_protected(arguments.listen, protection.await?)
        .await
        .map_err(|error| failed(&error))?
        .with_limits(arguments.protection.peers())
        .with_alert_thresholds(arguments.alerts.thresholds())
        .with_retention(arguments.keys.retention.clone());
    let address = server.address();
    let serving = async move {
        let served = server.run(Arc::clone(&ledger), stop).await;
        // What is in the queue is finished, a snapshot written and the log closed.
        let closed = tokio::task::spawn_blocking(move || ledger.shut_down()).await;
        served.map_err(|error| failed(&error))?;
        closed.map_err(|error| Failure::local("closing the data failed", &error))
    };
    Ok((address, serving))
}

fn open(
    data: &Path,
    options: SledOptions,
    keys: &KeyArguments,
    second_person: bool,
) -> Result<Arc<Ledger>, Failure> {
    let opened = |error: OpenError| refused(data, &error, error.is_damage());
    let folder = Arc::new(DataFolder::open(data).map_err(opened)?);
    // Before the log, whose opening writes: a start without its keys changes nothing.
    let persons = keys.open(data, second_person)?;
    let log = SledLog::open(Arc::clone(&folder), options).map_err(opened)?;
    let snapshot = SnapshotFile::in_folder(folder.views_path());
    let ledger = Ledger::open_by(Clock::wall(), Arc::new(log), Some(snapshot), persons);
    let ledger = ledger.map_err(|error| refused(data, &error, is_damage(&error)))?;
    if let Err(error) = folder.safety_copy().start_succeeded() {
        tracing::warn!(%error, "the safety copy will not be replaced");
    }
    Ok(Arc::new(ledger))
}

/// The failure of a start, with what to type where the log is damaged.
fn refused(data: &Path, error: &dyn std::error::Error, is_damage: bool) -> Failure {
    if is_damage {
        let command = salvage_command(data);
        Failure::Failed(format!(
            "{error}\nTo lift what is whole into a new data folder, and leave this one as it is:\n  \
             {command}"
        ))
    } else {
        Failure::Failed(error.to_string())
    }
}

/// Whether records may be lost.
fn is_damage(error: &ledger::OpenError) -> bool {
    match error {
        ledger::OpenError::Read(_)
        | ledger::OpenError::Fold(_)
        | ledger::OpenError::Decode { .. }
        | ledger::OpenError::ShorterThanSnapshot { .. }
        | ledger::OpenError::TornSubmission { .. } => true,
        ledger::OpenError::OtherLog { .. }
        | ledger::OpenError::Thread(_)
        | ledger::OpenError::Keys(_)
        | ledger::OpenError::MissingKeys { .. }
        | ledger::OpenError::Disclosures(_) => false,
    }
}

/// Tells on standard output where the server listens, for people and for scripts that took port 0.
fn announce(address: SocketAddr) -> Result<(), Failure> {
    let mut output = Output::stdout();
    output.line(&format!("listening on {address}"))?;
    output.flush()
}

/// Takes as many file descriptors as the system allows: each connection needs one.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

/// Writes no core dump, which would hold keys and plain values.
fn dump_nothing() {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "a crash may leave a core dump, with keys and personal data in it");
    }
}

fn start_logging(format: LogFormat) -> Result<(), Failure> {
    let wanted = std::env::var("CASETRAIL_LOG").or_else(|_| std::env::var("RUST_LOG"));
    let filter = EnvFilter::try_new(wanted.as_deref().unwrap_or("info")).map_err(|error| {
        Failure::Usage(format!("CASETRAIL_LOG or RUST_LOG is malformed: {error}"))
    })?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let started = match format {
        LogFormat::Human => subscriber.try_init(),
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| Failure::local("starting the log of the server failed", error.as_ref()))
}

/// Turns true on the first SIGTERM or SIGINT. A second one ends the process at once: what was
/// acknowledged is on disk in any case.
fn stop_signal() -> Result<watch::Receiver<bool>, Failure> {
    let failed = |error| Failure::local("listening for signals failed", &error);
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        for times in 1.. {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if times > 1 {
                std::process::exit(1);
            }
            tracing::info!("shutting down; a second signal ends at once");
            sender.send_replace(true);
        }
    });
    Ok(receiver)
}
