//! A server to test: in this process over a log on sled, or the real executable in a process of its
//! own. Both listen on a real socket, and clients reach them over nothing else.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Weak};

use casetrail::domain::AlertThresholds;
use casetrail::ledger::{Clock, ErasurePolicy, Ledger, Persons};
use casetrail::log::{DataFolder, Log, SledLog, SledOptions};
use casetrail::seal::{KeyStore, MASTER_KEY_FILE, MasterKeySource};
use casetrail::service::{self, PeerLimits};
use casetrail::view::SnapshotFile;
use casetrail::wire::v1::{
    self, SubmitEventsRequest, SubmitStreamRequest, SubmitStreamResponse,
    admin_service_client::AdminServiceClient, audit_service_client::AuditServiceClient,
    case_service_client::CaseServiceClient, monitor_service_client::MonitorServiceClient,
    submit_stream_response::Outcome,
};
use futures_util::stream;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::Request;
use tonic::transport::Channel;

/// A connection to a server.
#[derive(Clone)]
pub struct Client {
    pub channel: Channel,
}

impl Client {
    /// Connects with a small window for each stream, so that one that nobody reads soon holds the
    /// server back. That of the connection stays large: HTTP/2 libraries close a connection on which
    /// more small frames wait to be read than its window makes likely.
    pub async fn connect(address: SocketAddr) -> Result<Self, tonic::transport::Error> {
        let endpoint = Channel::from_shared(format!("http://{address}"))
            .unwrap()
            .initial_stream_window_size(65_535);
        Ok(Self {
            channel: endpoint.connect().await?,
        })
    }

    pub fn cases(&self) -> CaseServiceClient<Channel> {
        CaseServiceClient::new(self.channel.clone())
    }

    pub fn monitor(&self) -> MonitorServiceClient<Channel> {
        MonitorServiceClient::new(self.channel.clone())
    }

    pub fn audit(&self) -> AuditServiceClient<Channel> {
        AuditServiceClient::new(self.channel.clone())
    }

    pub fn admin(&self) -> AdminServiceClient<Channel> {
        AdminServiceClient::new(self.channel.clone())
    }

    pub async fn status(&self) -> v1::GetServerStatusResponse {
        let request = v1::GetServerStatusRequest { with_digest: true };
        let answer = self.admin().get_server_status(request).await;
        answer.unwrap().into_inner()
    }

    pub async fn submit(&self, request: SubmitEventsRequest) -> v1::SubmitEventsResponse {
        let answer = self.cases().submit_events(request).await;
        answer.unwrap().into_inner()
    }

    /// Submits all in one stream, in the name of an organisation, and returns the answers.
    pub async fn stream_as(
        &self,
        organisation: &'static str,
        submissions: impl IntoIterator<Item = SubmitEventsRequest>,
    ) -> Vec<SubmitStreamResponse> {
        let submissions: Vec<_> = submissions
            .into_iter()
            .map(|submission| SubmitStreamRequest {
                submission: Some(submission),
            })
            .collect();
        let mut request = Request::new(stream::iter(submissions));
        request.metadata_mut().insert(
            "casetrail-organisation",
            organisation.parse().expect("a reference"),
        );
        request.metadata_mut().insert(
            "casetrail-actor",
            format!("{organisation}-worker").parse().unwrap(),
        );
        let mut answers = self
            .cases()
            .submit_stream(request)
            .await
            .unwrap()
            .into_inner();
        let mut all = Vec::new();
        while let Some(answer) = answers.message().await.unwrap() {
            all.push(answer);
        }
        all
    }

    /// Submits all in one stream, each of which must be recorded.
    pub async fn record_as(
        &self,
        organisation: &'static str,
        submissions: impl IntoIterator<Item = SubmitEventsRequest>,
    ) {
        for answer in self.stream_as(organisation, submissions).await {
            assert!(
                matches!(answer.outcome, Some(Outcome::Recorded(_))),
                "{answer:?}"
            );
        }
    }

    /// All cases that match, by pages.
    pub async fn list(&self, filter: Option<v1::CaseFilter>) -> Vec<v1::Case> {
        let mut request = v1::ListCasesRequest {
            page_size: 1_000,
            filter,
            ..Default::default()
        };
        let mut cases = Vec::new();
        loop {
            let page = self.cases().list_cases(request.clone()).await.unwrap();
            let page = page.into_inner();
            cases.extend(page.cases);
            if page.next_page_token.is_empty() {
                return cases;
            }
            request.page_token = page.next_page_token;
        }
    }
}

/// A server in this process.
pub struct Server {
    pub address: SocketAddr,
    pub client: Client,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
    ledger: Arc<Ledger>,
    /// Gone once nobody uses the data any more.
    folder: Weak<DataFolder>,
}

impl Server {
    /// Opens the data folder and serves it.
    pub async fn start(folder: &Path) -> Self {
        Self::start_by(Clock::wall(), folder, AlertThresholds::default()).await
    }

    /// The same by another clock, with these thresholds of alerts.
    pub async fn start_by(clock: Clock, folder: &Path, thresholds: AlertThresholds) -> Self {
        let folder = Arc::new(DataFolder::open(folder).unwrap());
        let persons = persons(folder.path(), &folder.path().join("keys"));
        let snapshot = SnapshotFile::in_folder(folder.views_path());
        let options = SledOptions {
            cache_bytes: 8 * 1024 * 1024,
            ..SledOptions::default()
        };
        let used = Arc::downgrade(&folder);
        let log = SledLog::open(folder, options).unwrap();
        let ledger = Ledger::open_by(clock, Arc::new(log), Some(snapshot), Some(persons)).unwrap();
        Self::serve(ledger, used, PeerLimits::default(), thresholds).await
    }

    /// Serves any log.
    pub async fn over(log: Arc<dyn Log>) -> Self {
        Self::over_with(log, PeerLimits::default()).await
    }

    /// Serves any log with other limits.
    pub async fn over_with(log: Arc<dyn Log>, limits: PeerLimits) -> Self {
        let ledger = Ledger::open(log, None).unwrap();
        Self::serve(ledger, Weak::new(), limits, AlertThresholds::default()).await
    }

    async fn serve(
        ledger: Ledger,
        folder: Weak<DataFolder>,
        limits: PeerLimits,
        thresholds: AlertThresholds,
    ) -> Self {
        let ledger = Arc::new(ledger);
        let server = service::Server::bind("127.0.0.1:0".parse().unwrap())
            .await
            .unwrap()
            .with_limits(limits)
            .with_alert_thresholds(thresholds);
        let address = server.address();
        let (stop, stopped) = watch::channel(false);
        let serving = tokio::spawn({
            let ledger = Arc::clone(&ledger);
            async move { server.run(ledger, stopped).await.unwrap() }
        });
        let client = Client::connect(address).await.unwrap();
        Self {
            address,
            client,
            stop,
            serving,
            ledger,
            folder,
        }
    }

    /// Ends in good order: the data folder is free afterwards.
    pub async fn end(self) {
        self.stop.send(true).unwrap();
        drop(self.client);
        self.serving.await.unwrap();
        let ledger = self.ledger;
        tokio::task::spawn_blocking(move || ledger.shut_down())
            .await
            .unwrap();
        // The task of a stream may live a little longer than its connection.
        while self.folder.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
    }
}

/// Keys in a folder, and disclosures in that of the data.
pub fn persons(data: &Path, keys: &Path) -> Persons {
    let master_key = MasterKeySource::File(keys.join(MASTER_KEY_FILE));
    Persons {
        store: KeyStore::open(keys, &master_key).unwrap(),
        keys: keys.to_path_buf(),
        master_key,
        disclosures: data.join("disclosures"),
        accept_missing_keys: false,
        accept_missing_disclosures: false,
        // So that every event can be recorded by one person on one day.
        erasure: ErasurePolicy {
            holding_days: 0,
            second_person: false,
        },
    }
}

/// The real executable, killed when this is dropped.
pub struct Process {
    pub address: SocketAddr,
    child: Child,
    folder: TempDir,
}

impl Process {
    /// Starts `casetrail serve` over a fresh folder, and logs all that it would ever log.
    pub fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let log = File::create(folder.path().join("log.txt")).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_casetrail"))
            .args(["serve", "--listen", "127.0.0.1:0", "--cache-mib", "8"])
            .arg("--data")
            .arg(folder.path().join("data"))
            .env("CASETRAIL_LOG", "casetrail=trace,info")
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line
            .trim()
            .strip_prefix("listening on ")
            .expect("the address that it listens on")
            .parse()
            .unwrap();
        Self {
            address,
            child,
            folder,
        }
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log.txt")).unwrap()
    }

    /// How many files of its data hold these bytes.
    pub fn files_with(&self, bytes: &[u8]) -> usize {
        let mut folders = vec![self.folder.path().join("data")];
        let mut count = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let content = std::fs::read(path).unwrap();
                    count += usize::from(content.windows(bytes.len()).any(|it| it == bytes));
                }
            }
        }
        count
    }

    /// The most memory that it had resident so far, in bytes.
    pub fn resident_bytes_max(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let kibibytes: u64 = line
            .and_then(|line| line.split_whitespace().nth(1))
            .unwrap()
            .parse()
            .unwrap();
        kibibytes * 1024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Numbers that look random and are the same for the same seed (SplitMix64).
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}
