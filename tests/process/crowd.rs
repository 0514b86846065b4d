//! A thousand clients at once, more connections than the process may have, and many calls that are
//! never finished: all are answered or pushed back, nothing is lost, and the server neither panics
//! nor grows without bound.

use std::net::TcpStream;
use std::time::Duration;

use casetrail::wire::limits::REQUEST_MESSAGE_BYTES_MAX;
use casetrail::wire::v1::{
    CaseFilter, EventType as E, SubmitEventsRequest, WatchStatusRequest, WatchStatusResponse,
    watch_status_request::Start, watch_status_response::Item,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tonic::{Code, Streaming};
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

/// Submits until it is recorded, as often as it is pushed back.
async fn submit_patiently(client: &Client, request: SubmitEventsRequest) -> (Submitted, usize) {
    let mut pushed_back = 0;
    loop {
        match submit(client, request.clone()).await {
            Ok(submitted) => return (submitted, pushed_back),
            Err(status) => {
                assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
                let details = status.get_error_details();
                let delay = details.retry_info().unwrap().retry_delay.unwrap();
                tokio::time::sleep(delay).await;
                pushed_back += 1;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_clients_at_once_are_all_answered_and_told_everything() {
    if !may_open(CLIENTS + 200) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(server.connect().await);
    }
    let working: Vec<_> = clients
        .into_iter()
        .map(|client| {
            tokio::spawn(async move {
                let requests: Vec<_> = (0..SUBMISSIONS).map(|_| opening()).collect();
                let changes = watch(&client, &requests).await;
                let (mut submitted, mut pushed_back) = (Vec::new(), 0);
                for request in requests {
                    let (each, times) = submit_patiently(&client, request).await;
                    submitted.push(each);
                    pushed_back += times;
                }
                assert_are_told(changes, &submitted).await;
                (submitted, pushed_back)
            })
        })
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

/// A watch of the cases that these submissions will open.
async fn watch(
    client: &Client,
    requests: &[SubmitEventsRequest],
) -> Streaming<WatchStatusResponse> {
    let cases = requests.iter().map(|each| each.changes[0].case_id.clone());
    let request = WatchStatusRequest {
        filter: Some(CaseFilter {
            case_ids: cases.collect(),
            ..Default::default()
        }),
        start: Some(Start::FromPosition(0)),
        ..Default::default()
    };
    let changes = client.monitor().watch_status(request).await;
    changes.unwrap().into_inner()
}

/// The watch tells exactly what was recorded, in its order.
async fn assert_are_told(mut changes: Streaming<WatchStatusResponse>, submitted: &[Submitted]) {
    for each in submitted {
        let change = loop {
            let answer = changes.message().await.unwrap().unwrap();
            if let Some(Item::StatusChange(change)) = answer.item {
                break change;
            }
        };
        assert_eq!(change.case_id, each.case_id());
        let answer = each.answer.as_ref().unwrap();
        assert_eq!(change.position, answer.results[0].positions[0]);
    }
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
