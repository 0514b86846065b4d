//! A disk that can't be read while the server runs: who reads is told so, after all that could be
//! read; nobody is ever told a wrong event; what is in memory is still told, and writing goes on.

use std::path::Path;

use casetrail::wire::v1::{
    EventType as E, GetCaseHistoryRequest, GetCaseRequest, ListCasesRequest, RebuildViewsRequest,
    Record, ReplayEventsRequest, WatchStatusRequest, replay_events_request::Start,
    replay_events_response::Item, watch_status_request::Start as WatchFrom,
};
use prost::Message;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::inject::{Injection, can_inject};
use super::load::{Submitted, open_cases, submit, submit_all};
use super::verify::{replay, verify};
use crate::support::server::{Client, Server, serve};
use crate::support::{submission_of, valid_event};

const SUBMISSIONS: usize = 200;
const EVENTS: usize = 40;

/// A server that has read little of its log since it started, with all that is in it.
async fn start_with_history(data: &Path) -> (Server, Vec<Submitted>, Vec<Record>) {
    let server = Server::start(data);
    let client = server.connect().await;
    let requests = (0..SUBMISSIONS).map(|_| {
        let mut events = vec![valid_event(E::DetentionAlleged)];
        events.extend((1..EVENTS).map(|_| valid_event(E::ProofOfLifeReceived)));
        submission_of(events)
    });
    let submitted = submit_all(&client, requests.collect()).await;
    let records = replay(&client).await.records;
    assert_eq!(server.stop().await.code, Some(0));
    let mut command = serve(&[], data, "127.0.0.1:0");
    command.args(["--cache-mib", "1"]);
    (Server::try_start(command).unwrap(), submitted, records)
}

/// Replays from a position until it ends or fails. All that is told is right.
async fn replay_from(client: &Client, from: u64, records: &[Record]) -> (u64, Result<(), Status>) {
    let request = ReplayEventsRequest {
        start: Some(Start::FromPosition(from)),
        ..Default::default()
    };
    let mut next = from;
    let answers = client.audit().replay_events(request).await;
    let mut answers = match answers {
        Ok(answers) => answers.into_inner(),
        Err(status) => return (next, Err(status)),
    };
    loop {
        match answers.message().await {
            Ok(Some(answer)) => {
                let Some(Item::Block(block)) = answer.item else {
                    continue;
                };
                for (position, bytes) in block.verified().unwrap().records() {
                    assert_eq!(position, next, "a gap or a duplicate");
                    let record = Record::decode(bytes).unwrap();
                    assert!(record == records[next as usize], "another event at {next}");
                    next += 1;
                }
            }
            Ok(None) => return (next, Ok(())),
            Err(status) => return (next, Err(status)),
        }
    }
}

/// The status says what is wrong and nothing of the server's inside.
fn assert_is_unreadable(status: &Status) {
    let details = status.get_error_details();
    let reason = details.error_info().unwrap().reason.as_str();
    match status.code() {
        Code::Unavailable => assert_eq!(reason, "LOG_UNREADABLE", "{status:?}"),
        Code::DataLoss => assert_eq!(reason, "LOG_DAMAGED", "{status:?}"),
        _ => panic!("{status:?}"),
    }
    assert!(!status.message().is_empty());
}

#[tokio::test]
async fn a_disk_that_can_not_be_read_is_told_and_all_else_goes_on() {
    if !can_inject() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (server, mut submitted, records) = start_with_history(folder.path()).await;
    let client = server.connect().await;
    let digest = client.status().await.digest;
    // An error, the end of the file where there is none, and bytes that are not those of the disk.
    for failure in ["error=EIO", "retval=0", "retval=128"] {
        let db = folder.path().join("log/db");
        let injection = Injection::begin(&server, "pread64", &db, failure);
        let (next, ended) = replay_from(&client, 0, &records).await;
        assert!(next < records.len() as u64, "{failure}: nothing failed");
        assert_is_unreadable(&ended.unwrap_err());
        assert_history_and_changes_are_right(&client, &submitted[..SUBMISSIONS], &records).await;
        let rebuilt = client.admin().rebuild_views(RebuildViewsRequest {}).await;
        assert_is_unreadable(&rebuilt.unwrap_err());
        // The answers to what was recorded are in the log.
        for known in submitted[..SUBMISSIONS].iter().step_by(10) {
            match submit(&client, known.request.clone()).await {
                Ok(again) => assert!(again.answer.unwrap().replayed),
                Err(status) => assert_is_unreadable(&status),
            }
        }
        assert_cases_are_told(&client, &submitted[..SUBMISSIONS]).await;
        if failure == "error=EIO" {
            assert_eq!(client.status().await.digest, digest);
        }
        submitted.extend(open_cases(&client, 20).await);
        assert!(injection.end() > 0);
    }
    assert_eq!(client.status().await.writing_ended, "");
    // The disk can be read again, and so can all of the log.
    let all = verify(&client, &submitted).await;
    assert!(all.starts_with(&records));
    let log = server.process.stderr();
    assert!(!log.contains("panicked"), "{log}");
    server.kill();
    let server = Server::start(folder.path());
    assert!(verify(&server.connect().await, &submitted).await == all);
}

/// Where a case's history or a watch fails, what came before was right.
async fn assert_history_and_changes_are_right(
    client: &Client,
    submitted: &[Submitted],
    records: &[Record],
) {
    let mut failed = 0;
    for (index, each) in submitted.iter().enumerate().step_by(7) {
        let request = GetCaseHistoryRequest {
            case_id: each.case_id(),
            page_size: 1_000,
            ..Default::default()
        };
        match client.cases().get_case_history(request).await {
            Ok(page) => {
                let told = page.into_inner().entries.into_iter();
                let told: Vec<_> = told.filter_map(|entry| entry.record).collect();
                assert!(told == records[index * EVENTS..(index + 1) * EVENTS]);
            }
            Err(status) => {
                assert_is_unreadable(&status);
                failed += 1;
            }
        }
    }
    assert!(failed > 0, "no history failed");
    let request = WatchStatusRequest {
        start: Some(WatchFrom::FromPosition(0)),
        ..Default::default()
    };
    let mut changes = match client.monitor().watch_status(request).await {
        Ok(changes) => changes.into_inner(),
        Err(status) => return assert_is_unreadable(&status),
    };
    let mut next = 0;
    let status = loop {
        match changes.message().await {
            Ok(answer) => {
                let answer = answer.expect("a watch has no end");
                assert!(answer.next_position >= next);
                next = answer.next_position;
            }
            Err(status) => break status,
        }
    };
    assert_is_unreadable(&status);
}

async fn assert_cases_are_told(client: &Client, submitted: &[Submitted]) {
    for each in submitted.iter().step_by(20) {
        let case_id = each.case_id();
        let case = client
            .cases()
            .get_case(GetCaseRequest {
                case_id,
                as_of: None,
            })
            .await;
        let case = case.unwrap().into_inner().case.unwrap();
        assert_eq!(case.version, EVENTS as u64);
    }
    let request = ListCasesRequest {
        page_size: 1_000,
        ..Default::default()
    };
    let listed = client.cases().list_cases(request).await.unwrap();
    assert!(listed.into_inner().cases.len() >= submitted.len());
}

/// Who goes on from where the replay failed has everything in the end, and nothing wrong.
#[tokio::test]
async fn a_disk_that_fails_now_and_then_is_read_whole_by_going_on() {
    if !can_inject() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (server, _, records) = start_with_history(folder.path()).await;
    let client = server.connect().await;
    let db = folder.path().join("log/db");
    // Calls are counted by thread: the first of each fails, and every 40th after it.
    let injection = Injection::begin(&server, "pread64", &db, "error=EIO:when=1+40");
    let (mut next, mut failures) = (0, 0);
    loop {
        let (read, ended) = replay_from(&client, next, &records).await;
        next = read;
        match ended {
            Ok(()) => break,
            Err(status) => assert_is_unreadable(&status),
        }
        failures += 1;
        assert!(failures < 1_000, "it does not come to an end");
    }
    assert_eq!(next, records.len() as u64);
    // A read that fails after others is made again without being told.
    let failed_calls = injection.end();
    assert!(failed_calls > 0);
    println!(
        "{} records read, {failed_calls} calls failed and {failures} replays",
        records.len()
    );
}
