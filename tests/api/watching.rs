//! What a watcher is told: by each field of the filter, from any position, with a snapshot, in the
//! mode latest per case, and while nothing happens.

use std::collections::BTreeMap;

use casetrail::cli::sample::Sample;
use casetrail::wire::v1::{
    CaseFilter, CaseKind, CaseStatus, EventType as E, LegalCategory, Progress, Record,
    ReplayEventsRequest, ReplayFilter, Standing, StatusChange, WatchMode, WatchStatusRequest,
    WatchStatusResponse, replay_events_request::End, replay_events_response,
    watch_status_request::Start, watch_status_response::Item,
};
use tempfile::TempDir;
use tonic::{Code, Streaming};

use crate::bad_input::check_status;
use crate::harness::{Client, Server};
use crate::support::{submission_of, valid_event};
use crate::truth;

async fn open(
    client: &Client,
    start: Option<Start>,
    filter: &CaseFilter,
    mode: WatchMode,
) -> Streaming<WatchStatusResponse> {
    let request = WatchStatusRequest {
        start,
        filter: Some(filter.clone()),
        mode: mode.into(),
    };
    let answer = client.monitor().watch_status(request).await;
    answer.unwrap().into_inner()
}

/// What a watch was told until it was at the head, and the position there.
struct Told {
    snapshot: BTreeMap<String, Standing>,
    changes: Vec<StatusChange>,
    position: u64,
}

async fn told(mut watch: Streaming<WatchStatusResponse>) -> Told {
    let (mut snapshot, mut changes, mut snapshot_cases) = (BTreeMap::new(), Vec::new(), None);
    loop {
        let answer = watch.message().await.unwrap().unwrap();
        match answer.item.unwrap() {
            Item::CaseSnapshot(case) => {
                assert_eq!(snapshot_cases, None);
                snapshot.insert(case.case_id, case.standing.unwrap());
            }
            Item::SnapshotEnd(end) => snapshot_cases = Some(end.cases),
            Item::StatusChange(change) => changes.push(change),
            Item::CaughtUp(_) => {
                assert_eq!(snapshot_cases.unwrap_or_default(), snapshot.len() as u64);
                return Told {
                    snapshot,
                    changes,
                    position: answer.next_position,
                };
            }
            Item::Progress(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// A filter for each field, and some that join fields; each with cases that match and that don't.
fn filters(records: &[Record]) -> Vec<(&'static str, CaseFilter)> {
    let standings = || {
        records
            .iter()
            .map(|record| record.standing.as_ref().unwrap())
    };
    let district = standings().find(|it| !it.district.is_empty()).unwrap();
    let districts = vec![district.district.clone()];
    let case_ids: Vec<_> = records[..5]
        .iter()
        .map(|record| record.case_id.clone())
        .collect();
    let none = CaseFilter::default;
    vec![
        (
            "kinds",
            CaseFilter {
                kinds: vec![CaseKind::Remains.into()],
                ..none()
            },
        ),
        (
            "two kinds",
            CaseFilter {
                kinds: vec![CaseKind::Remains.into(), CaseKind::Return.into()],
                ..none()
            },
        ),
        (
            "categories",
            CaseFilter {
                categories: vec![LegalCategory::PrisonerOfWar.into()],
                ..none()
            },
        ),
        (
            "statuses",
            CaseFilter {
                statuses: vec![
                    CaseStatus::DetentionRegistered.into(),
                    CaseStatus::RemainsIdentified.into(),
                ],
                ..none()
            },
        ),
        (
            "districts",
            CaseFilter {
                districts: districts.clone(),
                ..none()
            },
        ),
        (
            "organisations",
            CaseFilter {
                organisations: vec!["relief".to_owned()],
                ..none()
            },
        ),
        ("case_ids", CaseFilter { case_ids, ..none() }),
        (
            "contested",
            CaseFilter {
                contested: true,
                ..none()
            },
        ),
        (
            "all together",
            CaseFilter {
                kinds: vec![CaseKind::Detention.into(), CaseKind::Return.into()],
                organisations: vec!["relief".to_owned(), "mission".to_owned()],
                districts,
                ..none()
            },
        ),
    ]
}

/// A server with a sample of two organisations.
async fn with_sample(folder: &TempDir) -> Server {
    let server = Server::start(folder.path()).await;
    server.client.record_as("relief", Sample::new(110, 3)).await;
    server.client.record_as("mission", Sample::new(90, 4)).await;
    server
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_field_of_the_filter_decides_what_is_watched_listed_and_counted() {
    let folder = TempDir::new().unwrap();
    let server = with_sample(&folder).await;
    let client = &server.client;
    let records = truth::records(client).await;
    let head = records.len() as u64;
    let changes = truth::changes(&records);
    let mut standings = BTreeMap::new();
    for record in &records {
        standings.insert(record.case_id.clone(), record.standing.clone().unwrap());
    }
    for (name, filter) in filters(&records) {
        let watch = open(
            client,
            Some(Start::FromPosition(0)),
            &filter,
            WatchMode::Unspecified,
        );
        let watched = told(watch.await).await;
        let expected = truth::matching(&changes, &filter);
        assert!(
            !expected.is_empty() && expected.len() < changes.len(),
            "{name} tells apart"
        );
        assert_eq!(watched.changes, expected, "{name}");
        assert_eq!(watched.position, head);

        let matching: BTreeMap<_, _> = standings
            .iter()
            .filter(|(case_id, standing)| truth::matches(&filter, case_id, standing))
            .map(|(case_id, standing)| (case_id.clone(), standing.clone()))
            .collect();
        assert!(
            !matching.is_empty() && matching.len() < standings.len(),
            "{name}"
        );
        let watch = open(
            client,
            Some(Start::Snapshot(true)),
            &filter,
            WatchMode::Unspecified,
        );
        let watched = told(watch.await).await;
        assert_eq!(watched.snapshot, matching, "{name}");
        assert!(watched.changes.is_empty());
        assert_eq!(watched.position, head);
        let listed = client.list(Some(filter.clone())).await.into_iter();
        let listed: BTreeMap<_, _> = listed
            .map(|case| (case.case_id, case.standing.unwrap()))
            .collect();
        assert_eq!(listed, matching, "{name}");
    }
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_any_position_exactly_the_changes_from_there_on_are_told() {
    let folder = TempDir::new().unwrap();
    let server = with_sample(&folder).await;
    let records = truth::records(&server.client).await;
    let changes = truth::changes(&records);
    let head = records.len() as u64;
    let everything = CaseFilter::default();
    for position in (0..head).step_by(97).chain([1, 15, 16, 17, head - 1, head]) {
        let start = Some(Start::FromPosition(position));
        let watch = open(&server.client, start, &everything, WatchMode::EveryChange).await;
        let told = told(watch).await;
        let since = changes.partition_point(|change| change.position < position);
        assert_eq!(told.changes, changes[since..], "from {position}");
        assert_eq!(told.position, head);
    }
    let beyond = WatchStatusRequest {
        start: Some(Start::FromPosition(head + 1)),
        ..Default::default()
    };
    let refused = server.client.monitor().watch_status(beyond).await;
    let refused = refused.unwrap_err();
    check_status(
        "beyond the head",
        &refused,
        Code::OutOfRange,
        "POSITION_BEYOND_HEAD",
    );
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn latest_per_case_ends_with_the_latest_and_counts_what_it_leaves_out() {
    let folder = TempDir::new().unwrap();
    let server = with_sample(&folder).await;
    let changes = truth::changes(&truth::records(&server.client).await);
    let everything = CaseFilter::default();
    let start = Some(Start::FromPosition(0));
    let watch = open(&server.client, start, &everything, WatchMode::LatestPerCase).await;
    let told = told(watch).await.changes;
    assert!(
        told.len() < changes.len() / 2,
        "{} of {}",
        told.len(),
        changes.len()
    );
    assert!(told.is_sorted_by_key(|change| change.position));
    let by_case = |changes: &[StatusChange]| {
        let mut by_case: BTreeMap<String, Vec<StatusChange>> = BTreeMap::new();
        for change in changes {
            let case = by_case.entry(change.case_id.clone()).or_default();
            case.push(change.clone());
        }
        by_case
    };
    let (told, truth) = (by_case(&told), by_case(&changes));
    assert_eq!(told.len(), truth.len());
    for (case_id, truth) in truth {
        let mut truth = truth.into_iter();
        for change in &told[&case_id] {
            let skipped = truth.by_ref().take(change.skipped as usize).count();
            assert_eq!(skipped as u64, change.skipped);
            let expected = truth.next().map(|expected| StatusChange {
                skipped: change.skipped,
                ..expected
            });
            assert_eq!(expected.as_ref(), Some(change));
        }
        assert_eq!(truth.next(), None, "the last one told is the latest");
    }
    server.end().await;
}

#[tokio::test]
async fn a_case_that_leaves_a_filter_is_seen_to_leave_and_then_no_more() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path()).await;
    let filter = CaseFilter {
        statuses: vec![CaseStatus::DetentionAcknowledged.into()],
        ..Default::default()
    };
    let start = Some(Start::Snapshot(true));
    let mut watch = open(&server.client, start, &filter, WatchMode::Unspecified).await;
    let events = [
        E::DetentionAlleged,
        E::DetentionAcknowledged,
        E::ProofOfLifeReceived,
        E::VisitedAndRegistered,
        E::ReleaseListed,
        E::WhereaboutsLost,
    ];
    // It can't be lost once it is listed; the last one is refused, and the others are recorded.
    let mut submission = submission_of(events.map(valid_event).to_vec());
    submission.changes[0].events.pop();
    server.client.submit(submission).await;
    let marker = submission_of(vec![
        valid_event(E::DetentionAlleged),
        valid_event(E::DetentionAcknowledged),
    ]);
    let marker_case = marker.changes[0].case_id.clone();
    server.client.submit(marker).await;
    let mut changes = Vec::new();
    loop {
        match watch.message().await.unwrap().unwrap().item.unwrap() {
            Item::StatusChange(change) if change.case_id == marker_case => break,
            Item::StatusChange(change) => changes.push(change),
            _ => {}
        }
    }
    let statuses: Vec<_> = changes
        .iter()
        .map(|change| {
            let before = change.previous_standing.as_ref().unwrap();
            (
                before.confirmed(),
                change.standing.as_ref().unwrap().confirmed(),
            )
        })
        .collect();
    assert_eq!(
        statuses,
        [
            (
                CaseStatus::DetentionAlleged,
                CaseStatus::DetentionAcknowledged
            ),
            (
                CaseStatus::DetentionAcknowledged,
                CaseStatus::DetentionRegistered
            ),
        ]
    );
    drop(watch);
    server.end().await;
}

async fn progress_of(watch: &mut Streaming<WatchStatusResponse>) -> (Progress, u64) {
    loop {
        let answer = watch.message().await.unwrap().unwrap();
        if let Some(Item::Progress(progress)) = answer.item {
            return (progress, answer.next_position);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signs_of_life_come_while_nothing_matches_and_lead_past_what_does_not() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path()).await;
    let client = &server.client;
    let nothing = CaseFilter {
        organisations: vec!["nobody".to_owned()],
        ..Default::default()
    };
    let everything = CaseFilter::default();
    let mut quiet = open(client, None, &nothing, WatchMode::Unspecified).await;
    let mut told = open(client, None, &everything, WatchMode::LatestPerCase).await;
    let replay = ReplayEventsRequest {
        end: Some(End::WithoutEnd(true)),
        filter: Some(ReplayFilter {
            actors: vec!["nobody".to_owned()],
            ..Default::default()
        }),
        ..Default::default()
    };
    let replay = client.audit().replay_events(replay).await;
    let mut replay = replay.unwrap().into_inner();
    client.record_as("relief", Sample::new(20, 8)).await;
    let head = client.status().await.head;

    // Nothing else is waited for than the sign itself, each some seconds away.
    let (quiet_sign, told_sign, replay_sign) = tokio::join!(
        progress_of(&mut quiet),
        progress_of(&mut told),
        replay.message()
    );
    for (progress, next_position) in [quiet_sign, told_sign] {
        assert_eq!((progress.head, next_position), (head, head));
    }
    let answer = replay_sign.unwrap().unwrap();
    assert_eq!(answer.next_position, head);
    assert_eq!(
        answer.item,
        Some(replay_events_response::Item::Progress(Progress { head }))
    );
    drop((quiet, told, replay));
    server.end().await;
}
