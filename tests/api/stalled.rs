//! Readers that read nothing for a while: the writer goes on, the server's memory does not grow with
//! what they have yet to read, and they miss nothing.

use std::collections::HashMap;

use casetrail::wire::v1::{
    EventType as E, ReplayEventsRequest, ReplayEventsResponse, StatusChange, SubmitEventsRequest,
    WatchMode, WatchStatusRequest, WatchStatusResponse, replay_events_request::End,
    replay_events_response, watch_status_request::Start, watch_status_response::Item,
};
use tempfile::TempDir;
use tonic::Streaming;

use crate::harness::{Client, Process, Server};
use crate::support::{submission_of, valid_event};
use crate::truth;

/// Events of one submission, each of which changes how its case stands.
const EVENTS: [E; 10] = [
    E::DetentionAlleged,
    E::DetentionAcknowledged,
    E::VisitedAndRegistered,
    E::ReleaseListed,
    E::HandoverScheduled,
    E::HandoverPostponed,
    E::HandoverScheduled,
    E::PersonNotPresented,
    E::HandoverScheduled,
    E::HandoverCancelled,
];
const SUBMISSIONS: usize = 5_200;
const RECORDS: u64 = (SUBMISSIONS * EVENTS.len()) as u64;

/// How many streams of each sort are stalled.
const WATCHES: usize = 12;
const LATEST_WATCHES: usize = 4;
const REPLAYS: usize = 4;

/// What a stream that nobody reads costs the server at most, whatever it has yet to send: the blocks
/// of one read (256 KiB, or 1 MiB in the mode latest per case) with the changes made of them, 32
/// answers, and what HTTP/2 holds on its way.
const STALLED_STREAM_BYTES_MAX: u64 = 2 * 1024 * 1024;

fn busy_case() -> SubmitEventsRequest {
    submission_of(EVENTS.map(valid_event).to_vec())
}

/// Records everything, by four clients at once.
async fn load(process: &Process) {
    let mut clients = Vec::new();
    for _ in 0..4 {
        let client = Client::connect(process.address).await.unwrap();
        clients.push(tokio::spawn(async move {
            for _ in 0..13 {
                let batch = (0..SUBMISSIONS / 4 / 13).map(|_| busy_case());
                client.record_as("relief", batch).await;
            }
        }));
    }
    for client in clients {
        client.await.unwrap();
    }
}

async fn watch(
    client: &Client,
    start: Option<Start>,
    mode: WatchMode,
) -> Streaming<WatchStatusResponse> {
    let request = WatchStatusRequest {
        start,
        mode: mode.into(),
        filter: None,
    };
    let answer = client.monitor().watch_status(request).await;
    answer.unwrap().into_inner()
}

/// A watch that has been told that it is at the head, and of which nothing further is read.
async fn stalled_watch(process: &Process, mode: WatchMode) -> Streaming<WatchStatusResponse> {
    let client = Client::connect(process.address).await.unwrap();
    let mut watch = watch(&client, Some(Start::FromPosition(0)), mode).await;
    let first = watch.message().await.unwrap().unwrap();
    assert_eq!(first.next_position, 0);
    assert!(matches!(first.item, Some(Item::CaughtUp(_))));
    watch
}

async fn stalled_replay(process: &Process) -> Streaming<ReplayEventsResponse> {
    let client = Client::connect(process.address).await.unwrap();
    let request = ReplayEventsRequest {
        end: Some(End::UntilPosition(RECORDS)),
        ..Default::default()
    };
    let answer = client.audit().replay_events(request).await;
    answer.unwrap().into_inner()
}

/// Reads until the watch is at the head again; the changes that it was told. It has to have fallen
/// behind before, once each time that it catches up.
async fn catch_up(watch: &mut Streaming<WatchStatusResponse>) -> Vec<StatusChange> {
    let (mut changes, mut at_head, mut fell_behind) = (Vec::new(), true, 0);
    loop {
        let answer = watch.message().await.unwrap().unwrap();
        match answer.item.unwrap() {
            Item::StatusChange(change) => {
                assert_eq!(answer.next_position, change.position + 1);
                changes.push(change);
            }
            Item::FellBehind(behind) => {
                assert!(at_head, "it falls behind from the head");
                assert!(behind.head > answer.next_position && behind.head <= RECORDS);
                (at_head, fell_behind) = (false, fell_behind + 1);
            }
            Item::CaughtUp(_) => {
                assert!(!at_head, "it catches up after it fell behind");
                at_head = true;
                if answer.next_position == RECORDS {
                    break;
                }
            }
            Item::Progress(progress) => assert!(progress.head <= RECORDS),
            other => panic!("{other:?}"),
        }
    }
    assert!(fell_behind > 0);
    changes
}

fn positions(changes: &[StatusChange]) -> Vec<u64> {
    changes.iter().map(|change| change.position).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watchers_that_read_nothing_hold_up_nobody_cost_little_memory_and_miss_nothing() {
    let alone = Process::start();
    load(&alone).await;
    let resident_alone = alone.resident_bytes_max();
    drop(alone);

    let process = Process::start();
    let (mut watches, mut latest_watches, mut replays) = (vec![], vec![], vec![]);
    for _ in 0..WATCHES {
        watches.push(stalled_watch(&process, WatchMode::EveryChange).await);
    }
    for _ in 0..LATEST_WATCHES {
        latest_watches.push(stalled_watch(&process, WatchMode::LatestPerCase).await);
    }
    for _ in 0..REPLAYS {
        replays.push(stalled_replay(&process).await);
    }
    // It comes to its end while nobody reads: this is the claim.
    load(&process).await;
    let client = Client::connect(process.address).await.unwrap();
    assert_eq!(client.status().await.head, RECORDS);

    for watch in watches.iter_mut().take(3) {
        let changes = catch_up(watch).await;
        assert_eq!(positions(&changes), (0..RECORDS).collect::<Vec<_>>());
    }
    let latest = catch_up(&mut latest_watches[0]).await;
    assert_is_latest_of_each_case(&client, &latest).await;
    let mut next = 0;
    while let Some(answer) = replays[0].message().await.unwrap() {
        if let Some(replay_events_response::Item::Block(block)) = answer.item {
            let block = block.verified().unwrap();
            assert_eq!(block.first_position(), next);
            next = block.end_position();
        }
    }
    assert_eq!(next, RECORDS);

    let resident = process.resident_bytes_max();
    let streams = (WATCHES + LATEST_WATCHES + REPLAYS) as u64;
    let by_stream = resident.saturating_sub(resident_alone) / streams;
    println!(
        "{RECORDS} events: {} KiB resident at most without stalled streams, {} KiB with {streams}: \
         {} KiB each",
        resident_alone / 1024,
        resident / 1024,
        by_stream / 1024
    );
    assert!(by_stream <= STALLED_STREAM_BYTES_MAX, "{by_stream} bytes");
}

/// What is told of a case goes on to its last change, and what is not told is counted.
async fn assert_is_latest_of_each_case(client: &Client, latest: &[StatusChange]) {
    let positions = positions(latest);
    assert!(positions.is_sorted());
    assert!(
        latest.len() < RECORDS as usize / 2,
        "{} changes told",
        latest.len()
    );
    let skipped: u64 = latest.iter().map(|change| change.skipped).sum();
    assert_eq!(skipped + latest.len() as u64, RECORDS);
    let last: HashMap<_, _> = latest
        .iter()
        .map(|change| (change.case_id.clone(), change.standing.clone().unwrap()))
        .collect();
    let listed = client.list(None).await.into_iter();
    let listed: HashMap<_, _> = listed
        .map(|case| (case.case_id, case.standing.unwrap()))
        .collect();
    assert_eq!(last, listed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_watchers_at_the_head_are_told_each_change_as_it_happens() {
    const WATCHERS: usize = 300;
    const CHANGES: usize = 20;
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path()).await;
    server.client.record_as("relief", [busy_case()]).await;
    let begin = EVENTS.len() as u64;
    let mut watchers = Vec::new();
    for index in 0..WATCHERS {
        // A hundred share a connection.
        if index % 100 == 0 {
            watchers.push((Client::connect(server.address).await.unwrap(), Vec::new()));
        }
        let (client, watches) = watchers.last_mut().unwrap();
        let mut watch = watch(client, None, WatchMode::Unspecified).await;
        let first = watch.message().await.unwrap().unwrap();
        assert!(matches!(first.item, Some(Item::CaughtUp(_))));
        assert_eq!(first.next_position, begin);
        watches.push(watch);
    }
    for _ in 0..CHANGES {
        let opening = submission_of(vec![valid_event(E::DetentionAlleged)]);
        server.client.submit(opening).await;
    }
    let records = truth::records(&server.client).await;
    let expected = truth::changes(&records).split_off(EVENTS.len());
    assert_eq!(expected.len(), CHANGES);
    for watch in watchers.iter_mut().flat_map(|(_, watches)| watches) {
        let mut changes = Vec::new();
        while changes.len() < CHANGES {
            let answer = watch.message().await.unwrap().unwrap();
            match answer.item.unwrap() {
                Item::StatusChange(change) => changes.push(change),
                Item::Progress(_) => {}
                other => panic!("who keeps up is told changes alone: {other:?}"),
            }
        }
        assert_eq!(changes, expected);
    }
    drop(watchers);
    server.end().await;
}
