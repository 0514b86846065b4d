//! Peers that open something and then do nothing, or are too many: the server gives up what it holds
//! for them, after as long as it is told to wait, and serves all others.

use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use casetrail::log::MemoryLog;
use casetrail::service::PeerLimits;
use casetrail::wire::v1::{EventType as E, GetServerStatusRequest, SubmitStreamRequest};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tonic::Code;

use crate::harness::{Client, Server};
use crate::support::http2::{Connection, PATIENCE, framed, framed_as};
use crate::support::{submission_of, valid_event};

const SUBMIT: &str = "casetrail.v1.CaseService/SubmitEvents";
const SUBMIT_STREAM: &str = "casetrail.v1.CaseService/SubmitStream";
const WATCH: &str = "casetrail.v1.MonitorService/WatchStatus";

/// Short for those who shall be given up, with room for the others on a busy machine; and out of the
/// way of what is not under test.
const SHORT: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(600);

async fn server(silence_max: Duration, arrival_max: Duration) -> Server {
    let limits = PeerLimits {
        silence_max,
        arrival_max,
        ..PeerLimits::default()
    };
    Server::over_with(Arc::new(MemoryLog::new()), limits).await
}

fn submission() -> casetrail::wire::v1::SubmitEventsRequest {
    submission_of(vec![valid_event(E::DetentionAlleged)])
}

/// Reads what the server still sends until it closes the connection. This is the claim: it does.
async fn assert_is_closed(mut stream: std::net::TcpStream) {
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let read = tokio::task::spawn_blocking(move || stream.read_to_end(&mut Vec::new()));
    // Closed in good order or not: both free what the server holds.
    if let Err(error) = read.await.unwrap() {
        assert_ne!(error.kind(), ErrorKind::WouldBlock, "it stays open");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_on_which_nothing_or_half_of_something_comes_is_closed() {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    // The head of a frame with headers of 100 bytes, of which none follows.
    const HALF_FRAME: &[u8] = &[0, 0, 100, 1, 4, 0, 0, 0, 1];
    let server = server(SHORT, LONG).await;
    for said in [
        Vec::new(),
        PREFACE[..10].to_vec(),
        PREFACE.to_vec(),
        [PREFACE, SETTINGS].concat(),
        [PREFACE, SETTINGS, HALF_FRAME].concat(),
    ] {
        let mut stream = std::net::TcpStream::connect(server.address).unwrap();
        stream.write_all(&said).unwrap();
        assert_is_closed(stream).await;
    }
    server.client.submit(submission()).await;
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_beyond_the_limit_is_closed_at_once_and_leaves_the_others_alone() {
    let limits = PeerLimits {
        connections_max: 3,
        silence_max: LONG,
        arrival_max: LONG,
        ..PeerLimits::default()
    };
    let server = Server::over_with(Arc::new(MemoryLog::new()), limits).await;
    // One is the client's of the server itself.
    let there = [(); 2].map(|()| std::net::TcpStream::connect(server.address).unwrap());
    for _ in 0..5 {
        assert_is_closed(std::net::TcpStream::connect(server.address).unwrap()).await;
    }
    server.client.submit(submission()).await;
    drop(there);
    // A place is free a moment after its connection was closed.
    let client = loop {
        if let Ok(client) = Client::connect(server.address).await {
            let request = GetServerStatusRequest { with_digest: false };
            if client.admin().get_server_status(request).await.is_ok() {
                break client;
            }
        }
    };
    client.submit(submission()).await;
    drop(client);
    server.end().await;
}

/// A peer that vanished answers no sign of life, and its connection is never ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watcher_that_vanished_is_given_up_and_one_that_is_there_is_not() {
    let server = server(3 * SHORT, LONG).await;
    let mut open = Vec::new();
    for _ in 0..2 {
        let stream = std::net::TcpStream::connect(server.address).unwrap();
        stream.set_nonblocking(true).unwrap();
        let other_handle = stream.try_clone().unwrap();
        let stream = tokio::net::TcpStream::from_std(stream).unwrap();
        let mut connection = Connection::over(stream).await;
        let mut watch = connection.call(WATCH).await;
        watch.send(framed_as(0, &[])).await;
        watch.complete();
        watch.begins().await;
        watch.next().await.unwrap();
        open.push((connection, watch, other_handle));
    }
    let (mut vanished, _watch, other_handle) = open.remove(0);
    vanished.fall_silent();
    assert_is_closed(other_handle).await;
    // The other one was as quiet and answered: it is still told what happens.
    let (_connection, mut watch, _) = open.remove(0);
    server.client.submit(submission()).await;
    assert!(!watch.next().await.unwrap().is_empty());
    drop((watch, _watch, vanished));
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_does_not_arrive_whole_is_given_up() {
    let server = server(LONG, SHORT).await;
    let mut connection = Connection::open(server.address).await;
    // A stream of submissions may rest between two of them, for as long as its client likes.
    let mut resting = connection.call(SUBMIT_STREAM).await;
    let first = SubmitStreamRequest {
        submission: Some(submission()),
    };
    resting.send(framed(&first)).await;
    resting.begins().await;
    resting.next().await.unwrap();

    let whole = framed(&submission());
    let half = whole.slice(..whole.len() / 2);
    for (method, sent) in [
        (SUBMIT, whole.slice(..0)),
        (SUBMIT, whole.slice(..3)),
        (SUBMIT, half.clone()),
        // Whole, but it is not said that nothing more comes.
        (SUBMIT, whole.clone()),
        (WATCH, whole.slice(..3)),
        (SUBMIT_STREAM, half.clone()),
        (
            SUBMIT_STREAM,
            [framed(&first), half.clone()].concat().into(),
        ),
    ] {
        let mut call = connection.call(method).await;
        assert!(call.send(sent.clone()).await);
        let (code, message) = call.status().await;
        assert_eq!(
            code,
            i32::from(Code::DeadlineExceeded),
            "{method} {message}"
        );
        assert!(message.contains("did not arrive whole"), "{message}");
    }
    let head = server.client.status().await.head;
    // Nothing of what was given up is recorded, but the whole item of the stream, which was known.
    assert_eq!(head, 1);
    let second = SubmitStreamRequest {
        submission: Some(submission()),
    };
    resting.send(framed(&second)).await;
    resting.next().await.unwrap();
    assert_eq!(server.client.status().await.head, 2);
    drop((resting, connection));
    server.end().await;
}

/// Unfinished messages take up what they may and no more; who sends less is served meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unfinished_messages_are_bounded_over_all_calls() {
    use casetrail::wire::limits::{ARRIVING_BYTES_MAX, REQUEST_MESSAGE_BYTES_MAX};
    let server = server(LONG, LONG).await;
    let length = REQUEST_MESSAGE_BYTES_MAX - 1;
    let most_of_it = framed_as(length, &vec![0x12; length - 1]);
    let enough = ARRIVING_BYTES_MAX / most_of_it.len();
    let mut unfinished: FuturesUnordered<_> = (0..2 * enough)
        .map(|_| {
            let (address, most_of_it) = (server.address, most_of_it.clone());
            async move {
                let mut connection = Connection::open(address).await;
                let mut call = connection.call(SUBMIT).await;
                call.send(most_of_it).await;
                call.status().await
            }
        })
        .collect();
    // None can be answered but those for which there is no room.
    for _ in 0..enough / 2 {
        let (code, message) = unfinished.next().await.unwrap();
        assert_eq!(code, i32::from(Code::ResourceExhausted), "{message}");
        assert!(message.contains("have not arrived whole"), "{message}");
    }
    for _ in 0..100 {
        server.client.submit(submission()).await;
    }
    // Once they are gone there is room again: a message is refused for its content alone.
    drop(unfinished);
    loop {
        let mut connection = Connection::open(server.address).await;
        let mut call = connection.call(SUBMIT).await;
        let is_sent = call.send(framed_as(length, &vec![0x12; length])).await;
        if is_sent {
            call.complete();
        }
        let (code, _) = call.status().await;
        if code == i32::from(Code::InvalidArgument) {
            break;
        }
        assert_eq!(code, i32::from(Code::ResourceExhausted));
    }
    server.end().await;
}
