//! A thousand clients at once, more connections than the process may have, and many calls that are
//! never finished: all are answered or pushed back, nothing is lost, and the server neither panics
//! nor grows without bound.

use std::error::Error as _;
use std::net::TcpStream;
use std::time::Duration;

use casetrail::wire::limits::REQUEST_MESSAGE_BYTES_MAX;
use casetrail::wire::v1::{
    CaseFilter, EventType as E, StatusChange, SubmitEventsRequest, WatchStatusRequest,
    watch_status_request::Start, watch_status_response::Item,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::load::{Submitted, submit};
use super::verify::verify;
use crate::support::http2::{Connection, framed_as};
use crate::support::server::{Client, Server, serve};
use crate::support::{submission_of, valid_event};

const CLIENTS: usize = 1_000;
const SUBMISSIONS: usize = 1;

fn opening() -> SubmitEventsRequest {
    submission_of(vec![valid_event(E::DetentionAlleged)])
}

/// Takes as many file descriptors as there may be; false, with a line, where that is too few.
fn may_open(files: usize) -> bool {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).unwrap();
    let may = limit.maximum.is_none_or(|maximum| maximum >= files as u64);
    if !may {
        eprintln!("SKIPPED: {files} files may not be open at once here; nothing was checked");
    }
    may
}

/// A client that goes on after a lost connection, as every client has to: one that gets no processor
/// for long enough is taken for one that vanished.
#[derive(Clone)]
struct Persistent {
    url: String,
    client: Client,
}

impl Persistent {
    async fn connect(url: String) -> Self {
        let client = connect(&url).await;
        Self { url, client }
    }

    async fn after(&mut self, status: &Status) {
        assert!(status.source().is_some(), "{status:?}");
        self.client = connect(&self.url).await;
    }

    /// Submits until it is recorded, as often as it is pushed back; how often it was.
    async fn submit(&mut self, request: SubmitEventsRequest) -> (Submitted, usize) {
        let mut pushed_back = 0;
        loop {
            let status = match submit(&self.client, request.clone()).await {
                Ok(submitted) => return (submitted, pushed_back),
                Err(status) => status,
            };
            if status.code() == Code::ResourceExhausted {
                let details = status.get_error_details();
                let delay = details.retry_info().unwrap().retry_delay.unwrap();
                tokio::time::sleep(delay).await;
                pushed_back += 1;
            } else {
                self.after(&status).await;
            }
        }
    }

    /// The changes of these cases, each of which is opened sooner or later and then left alone.
    async fn changes(mut self, case_ids: Vec<String>) -> Vec<StatusChange> {
        let mut request = WatchStatusRequest {
            filter: Some(CaseFilter {
                case_ids: case_ids.clone(),
                ..Default::default()
            }),
            start: Some(Start::FromPosition(0)),
            ..Default::default()
        };
        let mut told = Vec::new();
        while told.len() < case_ids.len() {
            let ended = watch_once(&self.client, &mut request, case_ids.len(), &mut told).await;
            if let Err(status) = ended {
                self.after(&status).await;
            }
        }
        told
    }
}

async fn connect(url: &str) -> Client {
    loop {
        let endpoint = Channel::from_shared(url.to_owned()).unwrap();
        if let Ok(channel) = endpoint.connect().await {
            return Client(channel);
        }
    }
}

/// Watches until so many changes are told, and keeps in the request from where to go on.
async fn watch_once(
    client: &Client,
    request: &mut WatchStatusRequest,
    count: usize,
    told: &mut Vec<StatusChange>,
) -> Result<(), Status> {
    let answers = client.monitor().watch_status(request.clone()).await;
    let mut answers = answers?.into_inner();
    while told.len() < count {
        let answer = answers.message().await?.expect("a watch has no end");
        request.start = Some(Start::FromPosition(answer.next_position));
        if let Some(Item::StatusChange(change)) = answer.item {
            told.push(change);
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_clients_at_once_are_all_answered_and_told_what_they_watch() {
    if !may_open(CLIENTS + 200) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(Persistent::connect(server.url()).await);
    }
    let working: Vec<_> = clients
        .into_iter()
        .map(|client| tokio::spawn(submit_and_watch(client)))
        .collect();
    let (mut submitted, mut pushed_back) = (Vec::new(), 0);
    for client in working {
        let (each, times) = client.await.unwrap();
        submitted.extend(each);
        pushed_back += times;
    }
    assert_eq!(submitted.len(), CLIENTS * SUBMISSIONS);
    println!(
        "{CLIENTS} clients: {} recorded, {pushed_back} pushed back",
        submitted.len()
    );
    verify(&server.connect().await, &submitted).await;
    assert!(!server.process.stderr().contains("panicked"));
}

/// Submits while it watches its own cases; they are told in the order in which they were recorded.
async fn submit_and_watch(mut client: Persistent) -> (Vec<Submitted>, usize) {
    let requests: Vec<_> = (0..SUBMISSIONS).map(|_| opening()).collect();
    let cases = requests.iter().map(|each| each.changes[0].case_id.clone());
    let watching = tokio::spawn(client.clone().changes(cases.collect()));
    let (mut submitted, mut pushed_back) = (Vec::new(), 0);
    for request in requests {
        let (each, times) = client.submit(request).await;
        submitted.push(each);
        pushed_back += times;
    }
    let changes = watching.await.unwrap();
    assert_eq!(changes.len(), submitted.len());
    for (change, each) in changes.iter().zip(&submitted) {
        assert_eq!(change.case_id, each.case_id());
        let answer = each.answer.as_ref().unwrap();
        assert_eq!(change.position, answer.results[0].positions[0]);
    }
    (submitted, pushed_back)
}

/// The process has few file descriptors: who comes when there is none left waits until another goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_file_descriptors_takes_connections_again_once_it_has_some() {
    const FILES: usize = 64;
    let folder = tempfile::tempdir().unwrap();
    let script = format!("ulimit -n {FILES} && exec \"$@\"");
    let wrapper = ["sh", "-c", &script, "sh"];
    let server = Server::try_start(serve(&wrapper, folder.path(), "127.0.0.1:0")).unwrap();
    let client = server.connect().await;
    let mut submitted = vec![submit(&client, opening()).await.unwrap()];
    let crowd: Vec<_> = (0..2 * FILES)
        .map(|_| TcpStream::connect(server.address).unwrap())
        .collect();
    while !server.process.stderr().contains("was not accepted") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Who is there already is served: the log needs no further file.
    for _ in 0..20 {
        submitted.push(submit(&client, opening()).await.unwrap());
    }
    drop(crowd);
    let another = server.connect().await;
    submitted.push(submit(&another, opening()).await.unwrap());
    verify(&another, &submitted).await;
    assert!(!server.process.stderr().contains("panicked"));
    assert_eq!(server.stop().await.code, Some(0));
}

/// Hundreds of calls, each with nearly all of the largest message and then nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_are_never_finished_take_up_bounded_memory() {
    const CALLS: usize = 100;
    const BYTES_MAX: u64 = 256 * 1024 * 1024;
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let client = server.connect().await;
    let length = REQUEST_MESSAGE_BYTES_MAX - 1;
    let most_of_it = framed_as(length, &vec![0x12; length - 1]);
    let (mut unfinished, mut refused) = (Vec::new(), 0);
    for _ in 0..CALLS {
        let mut connection = Connection::open(server.address).await;
        let mut call = connection
            .call("casetrail.v1.CaseService/SubmitEvents")
            .await;
        if call.send(most_of_it.clone()).await {
            unfinished.push((connection, call));
        } else {
            refused += 1;
        }
    }
    let bytes = server.process.resident_bytes_max();
    println!(
        "{CALLS} calls of {length} bytes: {refused} refused, {} KiB resident at most",
        bytes / 1024
    );
    assert!(bytes < BYTES_MAX, "{bytes}");
    submit(&client, opening()).await.unwrap();
}
