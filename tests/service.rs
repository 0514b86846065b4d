//! The services over a real socket and the reference engine: each method once, and how streams end.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs,
    unreachable_pub
)]

mod support;

use std::sync::Arc;

use casetrail::ledger::Ledger;
use casetrail::log::{Fault, Log, MemoryLog};
use casetrail::service::{BindError, Server};
use casetrail::wire::v1::{
    self, EventType as E, SubmitEventsRequest, SubmitStreamRequest, WatchStatusRequest,
    WatchStatusResponse, admin_service_client::AdminServiceClient,
    audit_service_client::AuditServiceClient, case_service_client::CaseServiceClient,
    monitor_service_client::MonitorServiceClient, submit_stream_response::Outcome,
    watch_status_request::Start, watch_status_response::Item,
};
use futures_util::stream;
use prost::Message;
use support::{submission_of, valid_event};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::transport::Channel;
use tonic::{Code, Streaming};
use tonic_types::StatusExt;

struct Running {
    log: Arc<MemoryLog>,
    channel: Channel,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
}

async fn start() -> Running {
    let log = Arc::new(MemoryLog::new());
    let ledger = Ledger::open(Arc::clone(&log) as Arc<dyn Log>, None).unwrap();
    let server = Server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = server.address();
    let (stop, stopped) = watch::channel(false);
    let server = tokio::spawn(async move { server.run(Arc::new(ledger), stopped).await.unwrap() });
    let endpoint = Channel::from_shared(format!("http://{address}"))
        .unwrap()
        // A small window, so that a stream that is not read soon holds the server back.
        .initial_stream_window_size(65_535);
    let channel = endpoint.connect().await.unwrap();
    Running {
        log,
        channel,
        stop,
        server,
    }
}

impl Running {
    fn cases(&self) -> CaseServiceClient<Channel> {
        CaseServiceClient::new(self.channel.clone())
    }

    fn monitor(&self) -> MonitorServiceClient<Channel> {
        MonitorServiceClient::new(self.channel.clone())
    }

    async fn submit(&self, count: usize) -> Vec<SubmitEventsRequest> {
        let requests: Vec<_> = (0..count)
            .map(|_| submission_of(vec![valid_event(E::DetentionAlleged)]))
            .collect();
        for request in &requests {
            self.cases().submit_events(request.clone()).await.unwrap();
        }
        requests
    }

    async fn watch(&self, start: Option<Start>) -> Streaming<WatchStatusResponse> {
        let request = WatchStatusRequest {
            start,
            ..Default::default()
        };
        self.monitor()
            .watch_status(request)
            .await
            .unwrap()
            .into_inner()
    }
}

async fn next(stream: &mut Streaming<WatchStatusResponse>) -> (Item, u64) {
    loop {
        let answer = stream.message().await.unwrap().unwrap();
        match answer.item.unwrap() {
            Item::Progress(_) => {}
            item => return (item, answer.next_position),
        }
    }
}

#[tokio::test]
async fn an_address_beyond_the_loopback_interface_is_refused() {
    let refused = Server::bind("0.0.0.0:0".parse().unwrap())
        .await
        .unwrap_err();
    assert!(matches!(refused, BindError::NotLoopback { .. }));
    assert!(refused.to_string().contains("127.0.0.1"), "{refused}");
}

#[tokio::test]
async fn what_is_submitted_is_read_listed_counted_and_in_the_history() {
    let server = start().await;
    let requests = server.submit(3).await;
    let case_id = requests[1].changes[0].case_id.clone();
    let mut cases = server.cases();

    let case = cases
        .get_case(v1::GetCaseRequest {
            case_id: case_id.clone(),
            as_of: None,
        })
        .await
        .unwrap();
    assert_eq!(case.get_ref().position, 3);
    assert_eq!(case.get_ref().case.as_ref().unwrap().first_position, 1);

    let mut list = v1::ListCasesRequest {
        page_size: 2,
        ..Default::default()
    };
    let page = cases.list_cases(list.clone()).await.unwrap().into_inner();
    assert_eq!(page.cases.len(), 2);
    list.page_token = page.next_page_token;
    let page = cases.list_cases(list).await.unwrap().into_inner();
    assert_eq!((page.cases.len(), page.next_page_token.as_str()), (1, ""));

    let history = v1::GetCaseHistoryRequest {
        case_id,
        ..Default::default()
    };
    let history = cases.get_case_history(history).await.unwrap().into_inner();
    assert_eq!(history.entries.len(), 1);
    let record = history.entries[0].record.as_ref().unwrap();
    assert_eq!(
        (history.entries[0].position, record.actor.as_str()),
        (1, "local")
    );

    let summary = server
        .monitor()
        .get_summary(v1::GetSummaryRequest::default())
        .await
        .unwrap();
    let summary = summary.into_inner();
    assert_eq!((summary.cases, summary.position), (3, 3));
    assert_eq!(summary.rows.iter().map(|row| row.confirmed).sum::<u64>(), 3);

    let mut admin = AdminServiceClient::new(server.channel.clone());
    let status = v1::GetServerStatusRequest { with_digest: true };
    let status = admin.get_server_status(status).await.unwrap().into_inner();
    assert_eq!((status.head, status.view_position, status.cases), (3, 3, 3));
    let rebuilt = admin
        .rebuild_views(v1::RebuildViewsRequest {})
        .await
        .unwrap()
        .into_inner();
    assert!(rebuilt.equal);
    assert_eq!(rebuilt.rebuilt_digest, status.digest);
}

#[tokio::test]
async fn a_stream_of_submissions_is_answered_in_order_and_goes_on_after_a_refusal() {
    let server = start().await;
    let count: usize = 1_500;
    let mut requests = Vec::new();
    for index in 0..count {
        let mut submission = submission_of(vec![valid_event(E::DetentionAlleged)]);
        if index % 100 == 7 {
            submission.changes[0].case_id = "no case".to_owned();
        }
        requests.push(SubmitStreamRequest {
            submission: Some(submission),
        });
    }
    let mut answers = server
        .cases()
        .submit_stream(stream::iter(requests))
        .await
        .unwrap()
        .into_inner();
    for index in 0..count {
        let answer = answers.message().await.unwrap().unwrap();
        assert_eq!(answer.index, index as u64);
        match answer.outcome.unwrap() {
            Outcome::Recorded(_) => assert_ne!(index % 100, 7),
            Outcome::Refused(refused) => {
                assert_eq!(index % 100, 7);
                assert_eq!(refused.code, i32::from(Code::InvalidArgument));
                assert_eq!(refused.field_violations[0].field, "changes[0].case_id");
            }
        }
    }
    assert!(answers.message().await.unwrap().is_none());
}

#[tokio::test]
async fn a_submission_depends_on_the_one_before_it_in_the_same_stream() {
    let server = start().await;
    let opening = submission_of(vec![valid_event(E::DetentionAlleged)]);
    let case_id = opening.changes[0].case_id.clone();
    let mut requests = vec![SubmitStreamRequest {
        submission: Some(opening),
    }];
    for version in 1..600 {
        let mut follower = submission_of(vec![valid_event(E::ProofOfLifeReceived)]);
        follower.changes[0].case_id.clone_from(&case_id);
        follower.changes[0].expected = Some(v1::case_change::Expected::ExactVersion(version));
        requests.push(SubmitStreamRequest {
            submission: Some(follower),
        });
    }
    let mut answers = server
        .cases()
        .submit_stream(stream::iter(requests))
        .await
        .unwrap()
        .into_inner();
    let mut recorded = 0;
    while let Some(answer) = answers.message().await.unwrap() {
        assert!(
            matches!(answer.outcome, Some(Outcome::Recorded(_))),
            "{answer:?}"
        );
        recorded += 1;
    }
    assert_eq!(recorded, 600);
}

#[tokio::test]
async fn a_snapshot_and_the_changes_after_it_tell_each_case_once() {
    let server = start().await;
    let mut expected: Vec<_> = server.submit(5).await;
    let mut watch = server.watch(Some(Start::Snapshot(true))).await;
    expected.extend(server.submit(5).await);
    let mut told = Vec::new();
    let mut ended = false;
    while told.len() < 10 {
        match next(&mut watch).await {
            (Item::CaseSnapshot(case), 0) => {
                assert!(!ended);
                told.push(case.case_id);
            }
            (Item::SnapshotEnd(end), position) => {
                assert_eq!(
                    (end.cases, position),
                    (told.len() as u64, told.len() as u64)
                );
                ended = true;
            }
            (Item::StatusChange(change), position) => {
                assert_eq!(position, change.position + 1);
                told.push(change.case_id);
            }
            (Item::CaughtUp(_) | Item::FellBehind(_), _) => {}
            other => panic!("{other:?}"),
        }
    }
    let expected: Vec<_> = expected
        .iter()
        .map(|each| each.changes[0].case_id.clone())
        .collect();
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_watch_from_beyond_the_head_is_out_of_range() {
    let server = start().await;
    server.submit(1).await;
    let start = Some(Start::FromPosition(2));
    let request = WatchStatusRequest {
        start,
        ..Default::default()
    };
    let status = server.monitor().watch_status(request).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange);
    assert_eq!(
        status.get_error_details().error_info().unwrap().metadata["head"],
        "1"
    );
}

#[tokio::test]
async fn a_watcher_that_reads_nothing_holds_up_neither_the_writer_nor_others() {
    const COUNT: usize = 8_000;
    let server = start().await;
    let mut slow = server.watch(Some(Start::FromPosition(0))).await;
    let mut quick = server.watch(Some(Start::FromPosition(0))).await;
    let requests = (0..COUNT).map(|_| SubmitStreamRequest {
        submission: Some(submission_of(vec![valid_event(E::DetentionAlleged)])),
    });
    let mut answers = server
        .cases()
        .submit_stream(stream::iter(requests.collect::<Vec<_>>()))
        .await
        .unwrap()
        .into_inner();
    let submitting = async { while answers.message().await.unwrap().is_some() {} };
    let watching = async { while next(&mut quick).await.1 < COUNT as u64 {} };
    tokio::join!(submitting, watching);
    let mut positions = Vec::new();
    let mut fell_behind = false;
    while positions.len() < COUNT {
        match next(&mut slow).await.0 {
            Item::StatusChange(change) => positions.push(change.position),
            Item::FellBehind(_) => fell_behind = true,
            _ => {}
        }
    }
    assert_eq!(positions, (0..COUNT as u64).collect::<Vec<_>>());
    assert!(fell_behind);
}

#[tokio::test]
async fn a_replay_sends_the_blocks_as_they_are_stored_and_ends_with_progress() {
    let server = start().await;
    server.submit(20).await;
    let stored = server.log.read(0, usize::MAX).unwrap();
    let mut audit = AuditServiceClient::new(server.channel.clone());
    let mut replay = audit
        .replay_events(v1::ReplayEventsRequest::default())
        .await
        .unwrap()
        .into_inner();
    let mut blocks = Vec::new();
    let mut last = None;
    while let Some(answer) = replay.message().await.unwrap() {
        if let Some(v1::replay_events_response::Item::Block(block)) = &answer.item {
            blocks.push(block.clone().verified().unwrap());
        }
        last = Some(answer);
    }
    assert_eq!(blocks, stored);
    let last = last.unwrap();
    assert_eq!(last.next_position, 20);
    assert!(matches!(
        last.item,
        Some(v1::replay_events_response::Item::Progress(_))
    ));
    v1::Record::decode(blocks[3].records().next().unwrap().1).unwrap();
}

#[tokio::test]
async fn a_damaged_block_ends_a_replay_with_data_loss_after_all_blocks_before_it() {
    let server = start().await;
    server.submit(10).await;
    server.log.damage(6);
    let mut audit = AuditServiceClient::new(server.channel.clone());
    let mut replay = audit
        .replay_events(v1::ReplayEventsRequest::default())
        .await
        .unwrap()
        .into_inner();
    let mut position = 0;
    let status = loop {
        match replay.message().await {
            Ok(answer) => position = answer.unwrap().next_position,
            Err(status) => break status,
        }
    };
    assert_eq!((status.code(), position), (Code::DataLoss, 6));
    assert_eq!(
        status.get_error_details().error_info().unwrap().metadata["position"],
        "6"
    );
}

#[tokio::test]
async fn a_shutdown_ends_streams_with_the_position_to_resume_from() {
    let server = start().await;
    server.submit(4).await;
    let mut watch = server.watch(None).await;
    assert!(matches!(next(&mut watch).await, (Item::CaughtUp(_), 4)));
    server.stop.send(true).unwrap();
    let status = watch.message().await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(
        status.message(),
        "the server is shutting down; resume from position 4"
    );
    server.server.await.unwrap();
}

#[tokio::test]
async fn once_writing_has_ended_submissions_are_unavailable_and_reads_go_on() {
    let server = start().await;
    let requests = server.submit(1).await;
    server.log.inject(Fault::Lost);
    for reason in ["OUTCOME_UNKNOWN", "WRITING_ENDED"] {
        let request = submission_of(vec![valid_event(E::DetentionAlleged)]);
        let status = server.cases().submit_events(request).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(
            status.get_error_details().error_info().unwrap().reason,
            reason
        );
    }
    let case_id = requests[0].changes[0].case_id.clone();
    server
        .cases()
        .get_case(v1::GetCaseRequest {
            case_id,
            as_of: None,
        })
        .await
        .unwrap();
    let mut health = tonic_health::pb::health_client::HealthClient::new(server.channel.clone());
    let request = |service: &str| tonic_health::pb::HealthCheckRequest {
        service: service.into(),
    };
    let mut watch = health
        .watch(request("casetrail.v1.CaseService"))
        .await
        .unwrap()
        .into_inner();
    while watch.message().await.unwrap().unwrap().status != 2 {}
    assert_eq!(health.check(request("")).await.unwrap().get_ref().status, 1);
}
