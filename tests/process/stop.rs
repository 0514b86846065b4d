//! The end in good order: nothing that was answered is lost, streams are told where to resume, and
//! the next start goes on from a snapshot.

use std::sync::Arc;

use casetrail::wire::v1::{
    EventType as E, ReplayEventsRequest, ReplayEventsResponse, SubmitStreamRequest,
    WatchStatusRequest, WatchStatusResponse, replay_events_request::End,
    replay_events_request::Start as ReplayFrom, replay_events_response::Item,
    watch_status_request::Start as WatchFrom,
};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt as _;

use super::load::{Load, Manner, open_cases};
use super::verify::verify;
use crate::support::server::Server;
use crate::support::{submission_of, valid_event};

const ANSWERS: u64 = 400;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_under_load_ends_in_good_order() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::start(&data);
    let client = server.connect().await;
    let mut submitted = open_cases(&client, 3).await;
    let (connection, connected) = watch::channel(Some(client.clone()));
    let (_, enough) = watch::channel(false);
    let (answered, mut answers) = watch::channel(0);
    let load = Load {
        connection: connected,
        answered: Arc::new(answered),
        enough,
        shared_cases: Arc::new(submitted.iter().map(|each| each.case_id()).collect()),
    };
    let manners = [
        Manner::Single,
        Manner::Single,
        Manner::Stream,
        Manner::Stream,
    ];
    let clients = (7..).zip(manners);
    let clients: Vec<_> = clients
        .map(|(seed, manner)| tokio::spawn(load.clone().run(manner, seed)))
        .collect();

    let request = WatchStatusRequest {
        start: Some(WatchFrom::FromPosition(0)),
        ..Default::default()
    };
    let changes = client.monitor().watch_status(request).await.unwrap();
    let changes = tokio::spawn(last_of_watch(changes.into_inner()));
    let request = ReplayEventsRequest {
        end: Some(End::WithoutEnd(true)),
        ..Default::default()
    };
    let replayed = client.audit().replay_events(request).await.unwrap();
    let replayed = tokio::spawn(last_of_replay(replayed.into_inner()));
    // A stream of submissions on which nothing is under way when the end comes.
    let (_quiet_sender, quiet) = mpsc::channel::<SubmitStreamRequest>(1);
    let quiet = client
        .cases()
        .submit_stream(ReceiverStream::new(quiet))
        .await;
    let mut quiet = quiet.unwrap().into_inner();

    answers.wait_for(|count| *count >= ANSWERS).await.unwrap();
    let ended = server.stop().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for told in ["shutting down", "a snapshot of the views is written"] {
        assert!(ended.stderr.contains(told), "{told}:\n{}", ended.stderr);
    }
    for problem in ["WARN", "ERROR", "panicked"] {
        assert!(!ended.stderr.contains(problem), "{}", ended.stderr);
    }

    let status = quiet.message().await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status.message(), "the server is shutting down");
    let (position, status) = changes.await.unwrap();
    assert_tells_where_to_resume(&status, position);
    let (replayed, status) = replayed.await.unwrap();
    assert_tells_where_to_resume(&status, replayed.len() as u64);
    drop(connection);
    for client in clients {
        submitted.extend(client.await.unwrap());
    }

    let server = Server::start(&data);
    let client = server.connect().await;
    let status = client.status().await;
    assert_eq!(status.snapshot_position, status.head);
    let started_from = format!("from_snapshot={}", status.head);
    let log = server.process.stderr();
    assert!(log.contains(&started_from), "{log}");
    let mark = std::fs::read_to_string(data.join("mark")).unwrap();
    assert!(
        mark.starts_with(&format!("records {} ", status.head)),
        "{mark}"
    );
    let records = verify(&client, &submitted).await;

    // Who resumes from where the replay ended misses nothing and has nothing twice.
    let request = ReplayEventsRequest {
        start: Some(ReplayFrom::FromPosition(replayed.len() as u64)),
        ..Default::default()
    };
    let rest = client.audit().replay_events(request).await.unwrap();
    let mut all = replayed;
    let (rest, status) = last_of_replay(rest.into_inner()).await;
    assert_eq!(status.code(), Code::Ok);
    all.extend(rest);
    assert_eq!(all, (0..records.len() as u64).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_stop_by_sigint_and_a_stop_of_an_empty_server_end_in_good_order() {
    for signal in ["INT", "TERM"] {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(folder.path());
        let client = server.connect().await;
        assert_eq!(client.status().await.head, 0);
        server.process.signal(signal);
        let ended = server.process.ended().await;
        assert_eq!(ended.code, Some(0), "{signal}: {}", ended.stderr);
        let server = Server::start(folder.path());
        let request = submission_of(vec![valid_event(E::DetentionAlleged)]);
        let client = server.connect().await;
        client.cases().submit_events(request).await.unwrap();
    }
}

fn assert_tells_where_to_resume(status: &Status, position: u64) {
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    let words = format!("the server is shutting down; resume from position {position}");
    assert_eq!(status.message(), words);
    let details = status.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!(info.reason, "SHUTTING_DOWN");
    assert_eq!(info.metadata["next_position"], position.to_string());
}

/// Reads a watch to its end: the position that it last told, and how it ended.
async fn last_of_watch(mut stream: Streaming<WatchStatusResponse>) -> (u64, Status) {
    let mut position = 0;
    loop {
        match stream.message().await {
            Ok(Some(answer)) => position = answer.next_position,
            Ok(None) => return (position, Status::ok("")),
            Err(status) => return (position, status),
        }
    }
}

/// Reads a replay to its end: the positions that it told, and how it ended.
async fn last_of_replay(mut stream: Streaming<ReplayEventsResponse>) -> (Vec<u64>, Status) {
    let mut positions = Vec::new();
    loop {
        match stream.message().await {
            Ok(Some(answer)) => {
                if let Some(Item::Block(block)) = answer.item {
                    positions.extend(block.first_position()..block.end_position());
                }
            }
            Ok(None) => return (positions, Status::ok("")),
            Err(status) => return (positions, status),
        }
    }
}
