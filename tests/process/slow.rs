//! A disk that takes its time: answers come late and none is lost; who submits more than waits is
//! pushed back with a time to try again; reading goes on meanwhile.

use std::time::Duration;

use casetrail::wire::limits::QUEUE_SUBMISSIONS_MAX;
use casetrail::wire::v1::{
    EventType as E, GetCaseRequest, SubmitEventsRequest, SubmitEventsResponse,
};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::inject::{Injection, can_inject};
use super::load::{Submitted, open_cases, submit, submit_all};
use super::verify::{replay, verify};
use crate::support::server::{Client, Server};
use crate::support::{submission_of, valid_event};

/// How long each sync of the log takes, in microseconds: longer than all calls need to arrive.
const SYNC: &str = "delay_enter=60000000";

/// More calls than wait and are in a commit together.
const CALLS: usize = QUEUE_SUBMISSIONS_MAX + 1_200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_disk_makes_answers_late_and_pushes_back_and_loses_nothing() {
    if !can_inject() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let client = server.connect().await;
    let mut submitted = open_cases(&client, 5).await;
    let before = replay(&client).await.records.len();
    let db = folder.path().join("log/db");
    let injection = Injection::begin(&server, "fdatasync", &db, SYNC);

    let mut calls: FuturesUnordered<_> = (0..CALLS)
        .map(|_| call(client.clone(), opening()))
        .collect();
    // The first to be answered are those that are pushed back: the disk is still at its first sync.
    let (mut pushed_back, mut answered) = (Vec::new(), 0);
    let (request, answer) = calls.next().await.unwrap();
    assert_is_pushed_back(&answer.unwrap_err());
    pushed_back.push(request);

    // Reading goes on, and tells nothing of what is not on the disk yet.
    let reader = server.connect().await;
    assert_eq!(reader.status().await.head, before as u64);
    assert_eq!(replay(&reader).await.records.len(), before);
    let case_id = submitted[0].case_id();
    let case = reader
        .cases()
        .get_case(GetCaseRequest {
            case_id,
            as_of: None,
        })
        .await;
    assert_eq!(case.unwrap().into_inner().case.unwrap().version, 1);
    // A stream waits for room instead.
    let streaming = tokio::spawn({
        let client = server.connect().await;
        async move { submit_all(&client, (0..300).map(|_| opening()).collect()).await }
    });

    // The disk is as quick as before.
    injection.end();
    while let Some((request, answer)) = calls.next().await {
        match answer {
            Ok(answer) => {
                answered += 1;
                submitted.push(Submitted {
                    request,
                    answer: Some(answer),
                });
            }
            Err(status) => {
                assert_is_pushed_back(&status);
                pushed_back.push(request);
            }
        }
    }
    assert!(answered >= QUEUE_SUBMISSIONS_MAX, "{answered}");
    submitted.extend(streaming.await.unwrap());
    println!(
        "{answered} answered late, {} pushed back",
        pushed_back.len()
    );
    // What was pushed back was not recorded, and is when it is sent again.
    for request in pushed_back {
        let again = submit(&client, request).await.unwrap();
        assert!(!again.answer.as_ref().unwrap().replayed);
        submitted.push(again);
    }
    verify(&client, &submitted).await;
    assert!(!server.process.stderr().contains("panicked"));
}

fn opening() -> SubmitEventsRequest {
    submission_of(vec![valid_event(E::DetentionAlleged)])
}

async fn call(
    client: Client,
    request: SubmitEventsRequest,
) -> (SubmitEventsRequest, Result<SubmitEventsResponse, Status>) {
    let answer = client.cases().submit_events(request.clone()).await;
    (request, answer.map(|answer| answer.into_inner()))
}

fn assert_is_pushed_back(status: &Status) {
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "QUEUE_FULL");
    let delay = details.retry_info().unwrap().retry_delay;
    assert!(delay.is_some_and(|delay| delay > Duration::ZERO));
}
