//! A server whose writing has ended serves everything else as before: cases, lists, histories,
//! counts, changes and replays with their signs of life, also to those who come only then.

use std::collections::HashMap;

use casetrail::wire::v1::{
    Case, GetCaseHistoryRequest, GetCaseRequest, GetSummaryRequest, ListCasesRequest,
    RebuildViewsRequest, Record, ReplayEventsRequest, WatchStatusRequest,
    replay_events_request::End, replay_events_response::Item as Replayed,
    watch_status_request::Start, watch_status_response::Item as Watched,
};

use super::failing::start_failing;
use super::load::{Submitted, open_cases, submit};
use super::trace::can_trace;
use super::verify::replay;
use crate::support::server::Client;
use crate::support::{submission_of, valid_event};
use casetrail::wire::v1::EventType as E;

const CASES: u64 = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_reading_goes_on_after_writing_has_ended() {
    if !can_trace() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let injection = format!("error=EIO:when={}", CASES + 1);
    let server = start_failing(folder.path(), "fdatasync", &injection).unwrap();
    let client = server.connect().await;
    // One watcher is there before, and stays.
    let mut watching = watch(&client, Start::FromPosition(0)).await;
    let submitted = open_cases(&client, CASES as usize).await;
    let lost = submission_of(vec![valid_event(E::DetentionAlleged)]);
    submit(&client, lost).await.unwrap_err();
    assert_ne!(client.status().await.writing_ended, "");

    let records = replay(&client).await.records;
    assert_eq!(records.len() as u64, CASES);
    let newcomer = server.connect().await;
    for client in [&client, &newcomer] {
        assert_cases_and_histories(client, &submitted, &records).await;
        let rebuilt = client.admin().rebuild_views(RebuildViewsRequest {}).await;
        assert!(rebuilt.unwrap().into_inner().equal);
    }
    let mut from_snapshot = watch(&newcomer, Start::Snapshot(true)).await;
    let mut snapshot = 0;
    loop {
        match from_snapshot.message().await.unwrap().unwrap().item {
            Some(Watched::CaseSnapshot(_)) => snapshot += 1,
            Some(Watched::SnapshotEnd(end)) => break assert_eq!(end.cases, snapshot),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(snapshot, CASES);
    // Each stream shows signs of life, with the head as it is.
    for watch in [&mut watching, &mut from_snapshot] {
        loop {
            let answer = watch.message().await.unwrap().unwrap();
            if let Some(Watched::Progress(progress)) = answer.item
                && answer.next_position == CASES
            {
                assert_eq!(progress.head, CASES);
                break;
            }
        }
    }
    assert_replay_shows_signs_of_life(&newcomer).await;
    let ended = server.stop().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

async fn watch(
    client: &Client,
    start: Start,
) -> tonic::Streaming<casetrail::wire::v1::WatchStatusResponse> {
    let request = WatchStatusRequest {
        start: Some(start),
        ..Default::default()
    };
    let changes = client.monitor().watch_status(request).await;
    changes.unwrap().into_inner()
}

async fn assert_cases_and_histories(client: &Client, submitted: &[Submitted], records: &[Record]) {
    let mut listed: HashMap<String, Case> = HashMap::new();
    let mut request = ListCasesRequest {
        page_size: 4,
        ..Default::default()
    };
    loop {
        let page = client.cases().list_cases(request.clone()).await;
        let page = page.unwrap().into_inner();
        let cases = page.cases.into_iter();
        listed.extend(cases.map(|case| (case.case_id.clone(), case)));
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    assert_eq!(listed.len() as u64, CASES);
    for (each, record) in submitted.iter().zip(records) {
        let case_id = each.case_id();
        let request = GetCaseRequest {
            case_id: case_id.clone(),
            as_of: None,
        };
        let case = client.cases().get_case(request).await;
        let case = case.unwrap().into_inner().case.unwrap();
        assert_eq!(Some(&case), listed.get(&case_id));
        let request = GetCaseHistoryRequest {
            case_id,
            ..Default::default()
        };
        let history = client.cases().get_case_history(request).await;
        let history = history.unwrap().into_inner().entries;
        let told: Vec<_> = history.iter().filter_map(|it| it.record.as_ref()).collect();
        assert_eq!(told, [record]);
    }
    let request = GetSummaryRequest::default();
    let summary = client.monitor().get_summary(request).await;
    assert_eq!(summary.unwrap().into_inner().position, CASES);
}

async fn assert_replay_shows_signs_of_life(client: &Client) {
    let request = ReplayEventsRequest {
        end: Some(End::WithoutEnd(true)),
        ..Default::default()
    };
    let answers = client.audit().replay_events(request).await.unwrap();
    let mut answers = answers.into_inner();
    let mut read = 0;
    loop {
        let answer = answers.message().await.unwrap().unwrap();
        match answer.item.unwrap() {
            Replayed::Block(block) => read += u64::from(block.verified().unwrap().count()),
            Replayed::Progress(progress) => {
                assert_eq!((progress.head, read), (CASES, CASES));
                break;
            }
        }
    }
}
