//! What a replay sends: from a position or a time, to any end, by each filter, and up to a block
//! that is damaged.

use std::sync::Arc;

use casetrail::cli::sample::Sample;
use casetrail::log::{Log, MemoryLog};
use casetrail::wire::v1::{
    CaseKind, EventType as E, GetCaseHistoryRequest, Record, ReplayEventsRequest,
    ReplayEventsResponse, ReplayFilter, WatchStatusRequest, replay_events_request::End,
    replay_events_request::Start, replay_events_response::Item, watch_status_request,
};
use prost::Message;
use prost_types::Timestamp;
use tempfile::TempDir;
use tonic::{Code, Streaming};

use crate::bad_input::check_status;
use crate::harness::{Client, Server};
use crate::support::{submission_of, valid_event};
use crate::truth;

fn numbered(records: &[Record]) -> Vec<(u64, Record)> {
    (0..).zip(records.iter().cloned()).collect()
}

async fn open(client: &Client, request: ReplayEventsRequest) -> Streaming<ReplayEventsResponse> {
    client
        .audit()
        .replay_events(request)
        .await
        .unwrap()
        .into_inner()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_begins_and_ends_where_it_is_told_to() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path()).await;
    for seed in 1..=6 {
        server
            .client
            .record_as("relief", Sample::new(15, seed))
            .await;
    }
    let records = truth::records(&server.client).await;
    let all = numbered(&records);
    let head = records.len() as u64;
    for (from, until) in [
        (0, 1),
        (1, 17),
        (15, 16),
        (100, 333),
        (head - 1, head),
        (head, head),
    ] {
        let request = ReplayEventsRequest {
            start: Some(Start::FromPosition(from)),
            end: Some(End::UntilPosition(until)),
            filter: None,
        };
        let replayed = truth::replayed(&server.client, request).await;
        assert_eq!(
            replayed,
            all[from as usize..until as usize],
            "{from} to {until}"
        );
    }
    // An end before the start is reached at once.
    let request = ReplayEventsRequest {
        start: Some(Start::FromPosition(20)),
        end: Some(End::UntilPosition(10)),
        filter: None,
    };
    let mut replay = open(&server.client, request).await;
    let only = replay.message().await.unwrap().unwrap();
    assert_eq!(only.next_position, 20);
    assert!(matches!(only.item, Some(Item::Progress(progress)) if progress.head == head));
    assert!(replay.message().await.unwrap().is_none());
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_from_a_time_begins_at_the_first_record_of_that_time_or_later() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path()).await;
    for seed in 1..=6 {
        server
            .client
            .record_as("relief", Sample::new(15, seed))
            .await;
    }
    let records = truth::records(&server.client).await;
    let key = |time: &Timestamp| (time.seconds, time.nanos);
    let times: Vec<_> = records.iter().map(|it| it.recorded_at.unwrap()).collect();
    assert!(times.is_sorted_by_key(key));
    let mut distinct: Vec<_> = times.iter().map(key).collect();
    distinct.dedup();
    assert!(distinct.len() > 5, "{} commits", distinct.len());
    let mut tried = vec![(0, 0), (i64::MAX, 0), (-1, 999_999_999), (i64::MIN, 0)];
    for (seconds, nanos) in distinct {
        tried.push((seconds, nanos));
        tried.push((seconds, nanos + 1));
        tried.push(if nanos > 0 {
            (seconds, nanos - 1)
        } else {
            (seconds - 1, 999_999_999)
        });
    }
    for (seconds, nanos) in tried {
        let request = ReplayEventsRequest {
            start: Some(Start::FromRecordedAt(Timestamp { seconds, nanos })),
            ..Default::default()
        };
        let mut replay = open(&server.client, request).await;
        let first = replay.message().await.unwrap().unwrap();
        let first = match first.item.unwrap() {
            Item::Block(block) => block.first_position(),
            Item::Progress(_) => first.next_position,
        };
        let expected = times.partition_point(|time| key(time) < (seconds, nanos));
        assert_eq!(first, expected as u64, "{seconds} s {nanos} ns");
    }
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_to_a_position_yet_to_come_waits_for_it_and_one_without_end_goes_on() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path()).await;
    server.client.record_as("relief", Sample::new(20, 1)).await;
    let head = server.client.status().await.head;
    let until = |end| ReplayEventsRequest {
        start: Some(Start::FromPosition(head - 1)),
        end: Some(end),
        filter: None,
    };
    let mut endless = open(&server.client, until(End::WithoutEnd(true))).await;
    let waiting = {
        let (client, request) = (server.client.clone(), until(End::UntilPosition(head + 3)));
        tokio::spawn(async move { truth::replayed(&client, request).await })
    };
    // Both have sent what is there before more comes.
    let first = endless.message().await.unwrap().unwrap();
    assert_eq!(first.next_position, head);
    for _ in 0..5 {
        let opening = submission_of(vec![valid_event(E::DetentionAlleged)]);
        server.client.submit(opening).await;
    }
    let all = numbered(&truth::records(&server.client).await);
    let begin = head as usize - 1;
    assert_eq!(waiting.await.unwrap(), all[begin..begin + 4]);
    let mut next = head;
    while next < head + 5 {
        let answer = endless.message().await.unwrap().unwrap();
        if let Some(Item::Block(block)) = answer.item {
            assert_eq!(block.first_position(), next);
        }
        next = answer.next_position;
    }
    // Without an end named, it ends at the head as it was at the opening.
    assert_eq!(all.len() as u64, head + 5);
    drop(endless);
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filtered_replay_sends_the_records_that_match_and_no_others() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path()).await;
    server.client.record_as("relief", Sample::new(80, 1)).await;
    server.client.record_as("mission", Sample::new(70, 2)).await;
    let records = truth::records(&server.client).await;
    let all = numbered(&records);
    let case_ids = vec![
        records[0].case_id.clone(),
        records[300].case_id.to_uppercase(),
    ];
    let (alleged, remains) = (E::DetentionAlleged.into(), CaseKind::Remains.into());
    let types = vec![alleged, E::CaseClosed.into(), E::SampleTaken.into()];
    let none = ReplayFilter::default;
    type Matches<'a> = Box<dyn Fn(&Record) -> bool + 'a>;
    let filters: Vec<(ReplayFilter, Matches<'_>)> = vec![
        (
            ReplayFilter {
                case_ids: case_ids.clone(),
                ..none()
            },
            Box::new(|it| {
                case_ids
                    .iter()
                    .any(|id| id.eq_ignore_ascii_case(&it.case_id))
            }),
        ),
        (
            ReplayFilter {
                kinds: vec![remains],
                ..none()
            },
            Box::new(|it| it.standing.as_ref().unwrap().kind == remains),
        ),
        (
            ReplayFilter {
                event_types: types.clone(),
                ..none()
            },
            Box::new(|it| types.contains(&it.event_type)),
        ),
        (
            ReplayFilter {
                actors: vec!["mission-worker".to_owned()],
                ..none()
            },
            Box::new(|it| it.actor == "mission-worker"),
        ),
        (
            ReplayFilter {
                kinds: vec![remains],
                event_types: types.clone(),
                actors: vec!["mission-worker".to_owned()],
                ..none()
            },
            Box::new(|it| {
                it.standing.as_ref().unwrap().kind == remains
                    && types.contains(&it.event_type)
                    && it.actor == "mission-worker"
            }),
        ),
    ];
    for (filter, matches) in filters {
        let request = ReplayEventsRequest {
            filter: Some(filter.clone()),
            ..Default::default()
        };
        let replayed = truth::replayed(&server.client, request).await;
        let expected: Vec<_> = all.iter().filter(|(_, it)| matches(it)).cloned().collect();
        assert!(
            !expected.is_empty() && expected.len() < all.len(),
            "{filter:?}"
        );
        assert!(replayed == expected, "{filter:?}");
    }
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lies_before_a_damaged_block_is_still_read_and_then_comes_data_loss() {
    let log = Arc::new(MemoryLog::new());
    let server = Server::over(Arc::clone(&log) as Arc<dyn Log>).await;
    server.client.record_as("relief", Sample::new(40, 1)).await;
    let blocks = log.read(0, usize::MAX).unwrap();
    assert!(blocks.iter().any(|block| block.count() > 1));
    let damaged = blocks[blocks.len() / 2].clone();
    let last = blocks[blocks.len() - 1].clone();
    let position = damaged.first_position();
    log.damage(position);

    let mut replay = open(&server.client, ReplayEventsRequest::default()).await;
    let mut next = 0;
    let status = loop {
        match replay.message().await {
            Ok(answer) => next = answer.unwrap().next_position,
            Err(status) => break status,
        }
    };
    assert_eq!(next, position);
    check_status("a replay", &status, Code::DataLoss, "LOG_DAMAGED");
    let watch = WatchStatusRequest {
        start: Some(watch_status_request::Start::FromPosition(0)),
        ..Default::default()
    };
    let watch = server.client.monitor().watch_status(watch).await;
    let mut watch = watch.unwrap().into_inner();
    let mut next = 0;
    let status = loop {
        match watch.message().await {
            Ok(answer) => next = answer.unwrap().next_position,
            Err(status) => break status,
        }
    };
    assert!(next <= position);
    check_status("a watch", &status, Code::DataLoss, "LOG_DAMAGED");

    let record = Record::decode(damaged.records().next().unwrap().1).unwrap();
    let history = |case_id| GetCaseHistoryRequest {
        case_id,
        ..Default::default()
    };
    let refused = server
        .client
        .cases()
        .get_case_history(history(record.case_id))
        .await;
    check_status(
        "a history",
        &refused.unwrap_err(),
        Code::DataLoss,
        "LOG_DAMAGED",
    );
    // What lies behind the damage is read by who begins there, and new events are recorded.
    let behind = ReplayEventsRequest {
        start: Some(Start::FromPosition(last.first_position())),
        ..Default::default()
    };
    let replayed = truth::replayed(&server.client, behind).await;
    assert_eq!(replayed.len(), last.count() as usize);
    server
        .client
        .submit(submission_of(vec![valid_event(E::DetentionAlleged)]))
        .await;
    server.end().await;
}
