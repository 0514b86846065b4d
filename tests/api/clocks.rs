//! What the service knew when its log ended at a position, held against the records up to there, and
//! against a server that was restored from a backup cut there.

use std::collections::BTreeSet;
use std::process::Command;

use casetrail::cli::sample::Sample;
use casetrail::view::Views;
use casetrail::wire::v1::{
    AsOf, Case, CaseFilter, CaseKind, GetCaseRequest, GetSummaryRequest, GetSummaryResponse,
    ListCasesRequest, Record, as_of::KnownAt,
};
use tempfile::TempDir;
use tonic::Code;

use crate::harness::{Client, Server};
use crate::reading::counted;
use crate::reports::uncertain;
use crate::truth;

pub fn known_at(position: u64) -> Option<AsOf> {
    Some(AsOf {
        known_at: Some(KnownAt::Position(position)),
        ..AsOf::default()
    })
}

pub fn true_at(day: &str) -> Option<AsOf> {
    Some(AsOf {
        true_at: day.to_owned(),
        ..AsOf::default()
    })
}

/// All cases at a time, by pages: certainly, and possibly where that differs.
pub async fn listed(
    client: &Client,
    as_of: Option<AsOf>,
    filter: Option<CaseFilter>,
) -> (Vec<Case>, Vec<Case>) {
    let (mut cases, mut possible) = (Vec::new(), Vec::new());
    let mut request = ListCasesRequest {
        page_size: 7,
        as_of,
        filter,
        ..Default::default()
    };
    loop {
        let page = client.cases().list_cases(request.clone()).await;
        let page = page.unwrap().into_inner();
        cases.extend(page.cases);
        possible.extend(page.possible_cases);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            return (cases, possible);
        }
    }
}

pub async fn summary(client: &Client, as_of: Option<AsOf>) -> GetSummaryResponse {
    let request = GetSummaryRequest {
        filter: None,
        as_of,
    };
    let summary = client.monitor().get_summary(request).await;
    summary.unwrap().into_inner()
}

/// The cases that the records before a position add up to.
pub fn folded(records: &[Record], position: usize) -> Vec<Case> {
    let mut views = Views::default();
    for (position, record) in (0..).zip(&records[..position]) {
        views.fold(position, record).unwrap();
    }
    views.cases().iter().map(|case| case.to_case()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_known_at_every_position_is_what_the_records_before_it_add_up_to() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path()).await;
    server.client.record_as("relief", Sample::new(24, 5)).await;
    let records = truth::records(&server.client).await;
    let mut views = Views::default();
    for position in 0..=records.len() {
        let expected: Vec<_> = views.cases().iter().map(|case| case.to_case()).collect();
        let at = known_at(position as u64);
        let (cases, possible) = listed(&server.client, at.clone(), None).await;
        assert_eq!((&cases, possible.len()), (&expected, 0), "{position}");
        let summary = summary(&server.client, at.clone()).await;
        let contested = |case: &&Case| case.standing.as_ref().unwrap().contested;
        assert_eq!(summary.rows, counted(&expected));
        assert_eq!(summary.cases, expected.len() as u64);
        assert_eq!(
            summary.contested,
            expected.iter().filter(contested).count() as u64
        );
        assert_eq!(summary.position, position as u64);
        let before = position.checked_sub(1).map(|last| &records[last]);
        assert_eq!(
            summary.recorded_at,
            before.and_then(|record| record.recorded_at)
        );
        if let Some(newest) = before {
            let get = GetCaseRequest {
                case_id: newest.case_id.clone(),
                as_of: at,
            };
            let answer = server.client.cases().get_case(get).await;
            let answer = answer.unwrap().into_inner();
            let case = answer.case.unwrap();
            assert!(expected.contains(&case));
            assert_eq!(answer.position, position as u64);
            assert_eq!(case.standing, newest.standing);
        }
        if let Some(record) = records.get(position) {
            views.fold(position as u64, record).unwrap();
        }
    }
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_known_at_a_time_is_what_was_recorded_by_then() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path()).await;
    for submission in Sample::new(8, 3) {
        server.client.submit(submission).await;
    }
    let records = truth::records(&server.client).await;
    let first = records[0].recorded_at.unwrap();
    let earlier = prost_types::Timestamp {
        seconds: first.seconds - 1,
        ..first
    };
    let times = records.iter().map(|record| record.recorded_at.unwrap());
    for time in times.chain([earlier]) {
        let order = |time: prost_types::Timestamp| (time.seconds, time.nanos);
        let by_then = |record: &&Record| order(record.recorded_at.unwrap()) <= order(time);
        let position = records.iter().filter(by_then).count();
        let at = Some(AsOf {
            known_at: Some(KnownAt::RecordedAt(time)),
            ..AsOf::default()
        });
        assert_eq!(
            summary(&server.client, at.clone()).await.position,
            position as u64
        );
        let (cases, _) = listed(&server.client, at, None).await;
        assert_eq!(cases, folded(&records, position));
    }
    server.end().await;
}

/// A backup can be cut wherever a submission ends: what the server says as known there, a server says
/// that is restored up to there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_restored_from_a_backup_cut_anywhere_answers_what_was_known_at_the_cut() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(&folder.path().join("data")).await;
    server.client.record_as("relief", Sample::new(4, 9)).await;
    let records = truth::records(&server.client).await;
    let backup = folder.path().join("backup.ctb");
    let address = format!("http://{}", server.address);
    run(&["backup", backup.to_str().unwrap(), "--server", &address]).await;
    let begins = |at: &usize| records.get(*at).is_none_or(|it| it.submission_index == 0);
    let cuts: Vec<_> = (1..=records.len()).filter(begins).collect();
    assert!(cuts.len() > 20, "{cuts:?}");
    for cut in cuts {
        let data = folder.path().join(format!("restored-{cut}"));
        let until = cut.to_string();
        let (backup, to) = (backup.to_str().unwrap(), data.to_str().unwrap());
        run(&["restore", backup, "--data", to, "--until", &until]).await;
        let restored = Server::start(&data).await;
        let at = known_at(cut as u64);
        assert_eq!(
            listed(&server.client, at.clone(), None).await,
            listed(&restored.client, None, None).await
        );
        assert_eq!(
            summary(&server.client, at.clone()).await,
            summary(&restored.client, None).await
        );
        // What is told of a case alone: its ties, and its history.
        for case_id in known_cases(&records[..cut]) {
            let get = |as_of| GetCaseRequest {
                case_id: case_id.clone(),
                as_of,
            };
            let then = server.client.cases().get_case(get(at.clone())).await;
            let now = restored.client.cases().get_case(get(None)).await;
            assert_eq!(then.unwrap().into_inner(), now.unwrap().into_inner());
        }
        restored.end().await;
        std::fs::remove_dir_all(data).unwrap();
    }
    server.end().await;
}

fn known_cases(records: &[Record]) -> BTreeSet<String> {
    let cases = records.iter().map(|record| record.case_id.clone());
    cases.collect()
}

/// What the command prints.
pub async fn run(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_casetrail"));
    command.args(arguments);
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = output.await.unwrap().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn times_that_nobody_can_answer_for_are_refused() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path()).await;
    let client = &server.client;
    client.submit(uncertain()).await;
    let second = uncertain();
    let case_id = second.changes[0].case_id.clone();
    client.submit(second).await;
    let code = |as_of| {
        let request = GetCaseRequest {
            case_id: case_id.clone(),
            as_of,
        };
        async {
            let answer = client.cases().get_case(request).await;
            answer.map_or_else(|status| status.code(), |_| Code::Ok)
        }
    };
    assert_eq!(code(known_at(5)).await, Code::OutOfRange);
    assert_eq!(code(known_at(4)).await, Code::Ok);
    assert_eq!(code(known_at(3)).await, Code::Ok);
    assert_eq!(code(known_at(2)).await, Code::NotFound);
    assert_eq!(code(true_at("2023-02-30")).await, Code::InvalidArgument);
    assert_eq!(code(true_at("2023")).await, Code::InvalidArgument);
    let odd = Some(AsOf {
        known_at: Some(KnownAt::RecordedAt(prost_types::Timestamp {
            seconds: 1,
            nanos: -1,
        })),
        ..AsOf::default()
    });
    assert_eq!(code(odd).await, Code::InvalidArgument);
    // A page belongs to its time.
    let list = |as_of, page_token| ListCasesRequest {
        page_size: 1,
        page_token,
        as_of,
        filter: Some(CaseFilter {
            kinds: vec![CaseKind::Detention.into()],
            ..Default::default()
        }),
    };
    let mut cases = client.cases();
    let page = cases.list_cases(list(known_at(4), String::new()));
    let token = page.await.unwrap().into_inner().next_page_token;
    let other = client.cases().list_cases(list(known_at(3), token)).await;
    assert_eq!(other.unwrap_err().code(), Code::InvalidArgument);
    server.end().await;
}
