//! A writer that can't keep up: single calls are pushed back with a time to try again, streams wait,
//! and nothing that was taken is lost.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use casetrail::log::{AppendError, Log, MemoryLog, OpenError, ReadError};
use casetrail::wire::block::RecordBlock;
use casetrail::wire::limits::QUEUE_SUBMISSIONS_MAX;
use casetrail::wire::v1::{EventType as E, SubmitEventsRequest, submit_stream_response::Outcome};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;
use tonic::Code;
use tonic_types::StatusExt;

use crate::bad_input::check_status;
use crate::harness::{Client, Server};
use crate::support::{submission_of, valid_event};
use crate::truth;

/// A log whose appends wait until they are let through.
struct HeldLog {
    log: MemoryLog,
    held: Mutex<bool>,
    released: Condvar,
}

impl HeldLog {
    fn release(&self) {
        *self.held.lock().unwrap() = false;
        self.released.notify_all();
    }
}

impl Log for HeldLog {
    fn append(&self, expected_head: u64, blocks: &[RecordBlock]) -> Result<u64, AppendError> {
        let held = self.held.lock().unwrap();
        drop(self.released.wait_while(held, |held| *held).unwrap());
        self.log.append(expected_head, blocks)
    }

    fn read(&self, from: u64, bytes_max: usize) -> Result<Vec<RecordBlock>, ReadError> {
        self.log.read(from, bytes_max)
    }

    fn recent(&self, from: u64, bytes_max: usize) -> Option<Vec<RecordBlock>> {
        self.log.recent(from, bytes_max)
    }

    fn head(&self) -> u64 {
        self.log.head()
    }

    fn subscribe(&self) -> watch::Receiver<u64> {
        self.log.subscribe()
    }

    fn ended(&self) -> Option<String> {
        self.log.ended()
    }

    fn record_mark(&self) -> Result<(), OpenError> {
        self.log.record_mark()
    }

    fn close(&self) -> Result<(), OpenError> {
        self.log.close()
    }
}

fn opening() -> SubmitEventsRequest {
    submission_of(vec![valid_event(E::DetentionAlleged)])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_pushes_calls_back_while_streams_wait_and_nothing_taken_is_lost() {
    let log = Arc::new(HeldLog {
        log: MemoryLog::new(),
        held: Mutex::new(true),
        released: Condvar::new(),
    });
    let server = Server::over(Arc::clone(&log) as Arc<dyn Log>).await;

    // More calls at once than the queue and one commit hold: the first to be answered while nothing
    // can be recorded are those that are pushed back.
    let count = QUEUE_SUBMISSIONS_MAX + 2_000;
    let mut calls: FuturesUnordered<_> = (0..count)
        .map(|_| {
            let (mut cases, request) = (server.client.cases(), opening());
            async move { (request.clone(), cases.submit_events(request).await) }
        })
        .collect();
    let (refused_request, refused) = calls.next().await.unwrap();
    let refused = refused.unwrap_err();
    check_status("a call", &refused, Code::ResourceExhausted, "QUEUE_FULL");
    let delay = refused
        .get_error_details()
        .retry_info()
        .unwrap()
        .retry_delay;
    assert!(delay.is_some_and(|delay| delay > Duration::ZERO));

    // A stream is taken as it is: it waits for room. Its client is another one.
    let requests: Vec<_> = (0..600).map(|_| opening()).collect();
    let streaming = {
        let client = Client::connect(server.address).await.unwrap();
        let requests = requests.clone();
        tokio::spawn(async move { client.stream_as("relief", requests).await })
    };
    // Reading goes on, and calls are still pushed back.
    assert_eq!(server.client.status().await.head, 0);
    let again = server.client.cases().submit_events(opening()).await;
    check_status(
        "a call",
        &again.unwrap_err(),
        Code::ResourceExhausted,
        "QUEUE_FULL",
    );

    log.release();
    let (mut recorded, mut pushed_back) = (0, 1);
    while let Some((_, answer)) = calls.next().await {
        match answer {
            Ok(_) => recorded += 1,
            Err(status) => {
                check_status("a call", &status, Code::ResourceExhausted, "QUEUE_FULL");
                pushed_back += 1;
            }
        }
    }
    assert_eq!(recorded + pushed_back, count as u64);
    assert!(recorded >= QUEUE_SUBMISSIONS_MAX as u64, "{recorded}");
    for (index, (answer, request)) in streaming.await.unwrap().iter().zip(&requests).enumerate() {
        assert_eq!(answer.index, index as u64);
        let Some(Outcome::Recorded(response)) = &answer.outcome else {
            panic!("a stream is not pushed back: {answer:?}")
        };
        assert_eq!(response.request_id, request.request_id);
    }
    // What was pushed back is recorded when it is sent again.
    server.client.submit(refused_request).await;
    let records = truth::records(&server.client).await;
    assert_eq!(records.len() as u64, recorded + 600 + 1);
    println!("{recorded} recorded and {pushed_back} pushed back of {count} calls");
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_judged_and_recorded_in_its_order_whatever_else_is_submitted() {
    let log = Arc::new(MemoryLog::new());
    let server = Server::over(Arc::clone(&log) as Arc<dyn Log>).await;
    let mut streams = Vec::new();
    for _ in 0..4 {
        let client = Client::connect(server.address).await.unwrap();
        let requests: Vec<_> = (0..500).map(|_| opening()).collect();
        streams.push(tokio::spawn(async move {
            let answers = client.stream_as("relief", requests.clone()).await;
            (requests, answers)
        }));
    }
    for stream in streams {
        let (requests, answers) = stream.await.unwrap();
        let mut last = None;
        for (answer, request) in answers.iter().zip(&requests) {
            let Some(Outcome::Recorded(response)) = &answer.outcome else {
                panic!("{answer:?}")
            };
            assert_eq!(response.request_id, request.request_id);
            let position = response.results[0].positions[0];
            assert!(
                last < Some(position),
                "positions in the order of the stream"
            );
            last = Some(position);
        }
        assert_eq!(answers.len(), requests.len());
    }
    assert_eq!(server.client.status().await.head, 2_000);
    server.end().await;
}
