//! The ledger over the reference engine: what is answered, what is refused, and what a restart
//! finds after each fault.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::async_yields_async,
    missing_docs,
    unreachable_pub
)]

mod support;

use std::sync::Arc;

use casetrail::domain::Rejection;
use casetrail::ledger::{Answer, Channel, Ledger, OpenError, Recorder, SubmitError};
use casetrail::log::{AppendError, Fault, Log, MemoryLog, ReadError};
use casetrail::view::{SnapshotFile, Views};
use casetrail::wire::block::RecordBlock;
use casetrail::wire::v1::{
    CaseChange, Event, EventType as E, Record, SubmitEventsRequest, SubmitEventsResponse,
    case_change::Expected,
};
use casetrail::wire::validate;
use prost::Message;
use support::{fresh_uuid, submission_of, valid_event};
use uuid::Uuid;

fn open(log: &Arc<MemoryLog>) -> Ledger {
    Ledger::open(Arc::clone(log) as Arc<dyn Log>, None).unwrap()
}

fn recorder() -> Recorder {
    Recorder {
        actor: "worker-1".into(),
        organisation: "org-1".into(),
        authority: casetrail::domain::Authority::over_all_cases(),
    }
}

async fn submit(
    ledger: &Ledger,
    request: &SubmitEventsRequest,
) -> Result<SubmitEventsResponse, SubmitError> {
    let submission = validate::submission(request.clone(), ledger.today()).unwrap();
    ledger.try_submit(submission, recorder()).await
}

/// Puts submissions into a channel one behind the other, the first with the index `first`.
async fn put_all(
    ledger: &Ledger,
    channel: &Channel<'_>,
    first: u64,
    requests: &[SubmitEventsRequest],
) {
    for (index, request) in (first..).zip(requests) {
        let submission = validate::submission(request.clone(), ledger.today()).unwrap();
        channel.put(index, submission).await.unwrap();
    }
}

/// The answers to all that was put into a channel, by their index.
async fn answers(
    channel: &Channel<'_>,
    count: usize,
) -> Vec<Result<SubmitEventsResponse, SubmitError>> {
    let mut answers = std::collections::BTreeMap::new();
    while answers.len() < count {
        for (index, answer) in channel.answers().await {
            let answer = match answer {
                Answer::Told(answer) => answer,
                Answer::Stored(stored) => stored.await,
            };
            assert!(answers.insert(index, answer).is_none(), "answered twice");
        }
    }
    answers.into_values().collect()
}

fn change(case_id: &str, expected: Expected, events: Vec<Event>) -> CaseChange {
    CaseChange {
        case_id: case_id.into(),
        expected: Some(expected),
        events,
    }
}

fn request(changes: Vec<CaseChange>) -> SubmitEventsRequest {
    SubmitEventsRequest {
        request_id: fresh_uuid().to_string(),
        changes,
    }
}

fn digest(ledger: &Ledger) -> [u8; 32] {
    ledger.views().frozen().digest()
}

fn records(log: &dyn Log) -> Vec<(u64, Record)> {
    let mut records = Vec::new();
    while (records.len() as u64) < log.head() {
        for block in log.read(records.len() as u64, 1 << 20).unwrap() {
            records.extend(
                block
                    .records()
                    .map(|(at, bytes)| (at, Record::decode(bytes).unwrap())),
            );
        }
    }
    records
}

fn folded(log: &dyn Log) -> [u8; 32] {
    let mut views = Views::default();
    for (position, record) in records(log) {
        views.fold(position, &record).unwrap();
    }
    views.frozen().digest()
}

#[tokio::test]
async fn what_is_answered_is_in_the_log_and_in_the_views() {
    let log = Arc::new(MemoryLog::new());
    let ledger = open(&log);
    let request = submission_of(vec![
        valid_event(E::DetentionAlleged),
        valid_event(E::DetentionAcknowledged),
    ]);
    let response = submit(&ledger, &request).await.unwrap();
    assert!(!response.replayed);
    assert_eq!(response.results[0].positions, [0, 1]);
    assert_eq!(response.results[0].version, 2);
    let case_id = Uuid::parse_str(&request.changes[0].case_id).unwrap();
    let case = ledger.views().case(case_id).cloned().unwrap();
    assert_eq!(Some(case.standing()), response.results[0].standing);

    let records = records(log.as_ref());
    assert_eq!(records.len(), 2);
    for (index, (_, record)) in records.iter().enumerate() {
        assert_eq!(
            record.event.as_ref(),
            Some(&request.changes[0].events[index])
        );
        assert_eq!(record.request_id, request.request_id);
        assert_eq!(
            (record.submission_index as usize, record.submission_size),
            (index, 2)
        );
        assert_eq!(
            (record.actor.as_str(), record.organisation.as_str()),
            ("worker-1", "org-1")
        );
    }
    assert_eq!(records[0].1.previous_standing, None);
    assert_eq!(records[1].1.previous_standing, records[0].1.standing);
    assert_eq!(digest(&ledger), folded(log.as_ref()));
}

#[tokio::test]
async fn a_submission_sent_again_gets_its_stored_answer_also_after_a_restart() {
    let log = Arc::new(MemoryLog::new());
    let ledger = open(&log);
    let request = submission_of(vec![valid_event(E::DetentionAlleged)]);
    let first = submit(&ledger, &request).await.unwrap();
    submit(
        &ledger,
        &submission_of(vec![valid_event(E::RemainsReported)]),
    )
    .await
    .unwrap();
    let again = submit(&ledger, &request).await.unwrap();
    assert_eq!(
        again,
        SubmitEventsResponse {
            replayed: true,
            ..first.clone()
        }
    );
    drop(ledger);
    let log = Arc::new(log.reopen());
    let ledger = open(&log);
    let again = submit(&ledger, &request).await.unwrap();
    assert_eq!(
        again,
        SubmitEventsResponse {
            replayed: true,
            ..first
        }
    );
    assert_eq!(log.head(), 2);
}

#[tokio::test]
async fn the_same_submission_many_times_at_once_is_stored_once() {
    let log = Arc::new(MemoryLog::new());
    let ledger = Arc::new(open(&log));
    let request = submission_of(vec![valid_event(E::DetentionAlleged)]);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (ledger, request) = (Arc::clone(&ledger), request.clone());
        tasks.spawn(async move { submit(&ledger, &request).await.unwrap() });
    }
    let answers = tasks.join_all().await;
    assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1);
    assert!(
        answers
            .iter()
            .all(|answer| answer.results == answers[0].results)
    );
    assert_eq!(log.head(), 1);
}

#[tokio::test]
async fn an_id_reused_with_other_content_is_refused() {
    let log = Arc::new(MemoryLog::new());
    let ledger = open(&log);
    let first = submission_of(vec![valid_event(E::DetentionAlleged)]);
    submit(&ledger, &first).await.unwrap();

    let mut other = submission_of(vec![valid_event(E::DetentionAlleged)]);
    other.request_id.clone_from(&first.request_id);
    let refused = submit(&ledger, &other).await;
    assert!(matches!(
        refused,
        Err(SubmitError::RequestIdReused {
            position: Some(0),
            ..
        })
    ));

    let mut event = valid_event(E::RemainsReported);
    event
        .event_id
        .clone_from(&first.changes[0].events[0].event_id);
    let refused = submit(&ledger, &submission_of(vec![event])).await;
    assert!(matches!(
        refused,
        Err(SubmitError::EventIdReused {
            change: 0,
            event: 0,
            ..
        })
    ));
    assert_eq!(log.head(), 1);
}

#[tokio::test]
async fn an_expected_version_is_held_to() {
    let log = Arc::new(MemoryLog::new());
    let ledger = open(&log);
    let case = fresh_uuid().to_string();
    let opening = |expected| request(vec![change(&case, expected, vec![valid_event(E::Escaped)])]);
    let stale = submit(&ledger, &opening(Expected::ExactVersion(3))).await;
    assert!(matches!(
        stale,
        Err(SubmitError::StaleVersion {
            expected: 3,
            current: 0,
            ..
        })
    ));

    let opening = vec![valid_event(E::DetentionAlleged)];
    submit(
        &ledger,
        &request(vec![change(&case, Expected::NoCase(true), opening)]),
    )
    .await
    .unwrap();
    let next = |expected| {
        request(vec![change(
            &case,
            expected,
            vec![valid_event(E::ProofOfLifeReceived)],
        )])
    };
    let stale = submit(&ledger, &next(Expected::NoCase(true))).await;
    assert!(matches!(
        stale,
        Err(SubmitError::StaleVersion {
            expected: 0,
            current: 1,
            ..
        })
    ));
    submit(&ledger, &next(Expected::ExactVersion(1)))
        .await
        .unwrap();
    let stale = submit(&ledger, &next(Expected::ExactVersion(1))).await;
    assert!(matches!(
        stale,
        Err(SubmitError::StaleVersion {
            expected: 1,
            current: 2,
            ..
        })
    ));
    assert_eq!(log.head(), 2);
}

#[tokio::test]
async fn a_submission_is_recorded_whole_or_not_at_all() {
    let log = Arc::new(MemoryLog::new());
    let ledger = open(&log);
    let (known, fresh) = (fresh_uuid().to_string(), fresh_uuid().to_string());
    let opening = vec![valid_event(E::DetentionAlleged)];
    submit(
        &ledger,
        &request(vec![change(&known, Expected::Any(true), opening)]),
    )
    .await
    .unwrap();
    let before = digest(&ledger);

    let good = vec![valid_event(E::DetentionAcknowledged)];
    let bad = vec![
        valid_event(E::RemainsReported),
        valid_event(E::HandedOverToFamily),
    ];
    let refused = submit(
        &ledger,
        &request(vec![
            change(&known, Expected::Any(true), good.clone()),
            change(&fresh, Expected::Any(true), bad),
        ]),
    )
    .await;
    let Err(SubmitError::Refused {
        change: at,
        event,
        version,
        rejection,
        ..
    }) = refused
    else {
        panic!("{refused:?}");
    };
    assert_eq!((at, event, version), (1, 1, 1));
    assert!(
        matches!(rejection, Rejection::NotAllowed { .. }),
        "{rejection}"
    );
    assert_eq!(log.head(), 1);
    assert_eq!(digest(&ledger), before);
    assert!(
        ledger
            .views()
            .case(Uuid::parse_str(&fresh).unwrap())
            .is_none()
    );

    // Its events are free to be sent in another submission.
    submit(
        &ledger,
        &request(vec![change(&known, Expected::Any(true), good)]),
    )
    .await
    .unwrap();
    assert_eq!(digest(&ledger), folded(log.as_ref()));
}

#[tokio::test]
async fn a_lost_write_ends_writing_and_a_restart_takes_the_submission_again() {
    doubtful_write(Fault::Lost, false).await;
}

#[tokio::test]
async fn a_write_reported_lost_but_done_ends_writing_and_a_restart_knows_the_submission() {
    doubtful_write(Fault::DoneButReportedLost, true).await;
}

async fn doubtful_write(fault: Fault, found: bool) {
    let log = Arc::new(MemoryLog::new());
    let ledger = open(&log);
    let before = submission_of(vec![valid_event(E::DetentionAlleged)]);
    submit(&ledger, &before).await.unwrap();
    let standing = digest(&ledger);

    log.inject(fault);
    let doubtful = submission_of(vec![valid_event(E::RemainsReported)]);
    let answer = submit(&ledger, &doubtful).await;
    assert!(
        matches!(answer, Err(SubmitError::OutcomeUnknown { .. })),
        "{answer:?}"
    );
    let next = submit(
        &ledger,
        &submission_of(vec![valid_event(E::RemainsReported)]),
    )
    .await;
    assert!(
        matches!(next, Err(SubmitError::WritingEnded { .. })),
        "{next:?}"
    );

    // Reading goes on, and shows nothing that was not answered.
    assert!(ledger.writing_has_ended().is_some());
    assert_eq!(digest(&ledger), standing);
    assert!(submit(&ledger, &before).await.unwrap().replayed);
    drop(ledger);

    let log = Arc::new(log.reopen());
    let ledger = open(&log);
    assert_eq!(submit(&ledger, &doubtful).await.unwrap().replayed, found);
    assert_eq!(log.head(), 2);
}

#[tokio::test]
async fn a_full_disk_refuses_and_goes_on_once_there_is_room() {
    let log = Arc::new(MemoryLog::new());
    let ledger = open(&log);
    let request = submission_of(vec![valid_event(E::DetentionAlleged)]);
    log.inject(Fault::Full);
    let refused = submit(&ledger, &request).await;
    assert!(
        matches!(refused, Err(SubmitError::DiskFull { .. })),
        "{refused:?}"
    );
    assert_eq!(log.head(), 0);
    assert!(!submit(&ledger, &request).await.unwrap().replayed);
    assert_eq!(digest(&ledger), folded(log.as_ref()));
}

#[tokio::test]
async fn views_rebuilt_and_views_restored_from_a_snapshot_are_the_views_that_ran() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = || Some(SnapshotFile::in_folder(folder.path().to_owned()));
    let log = Arc::new(MemoryLog::new());
    let ledger = Ledger::open(Arc::clone(&log) as Arc<dyn Log>, snapshot()).unwrap();
    let mut cases = Vec::new();
    for _ in 0..200 {
        let request = submission_of(vec![
            valid_event(E::DetentionAlleged),
            valid_event(E::VisitedAndRegistered),
        ]);
        submit(&ledger, &request).await.unwrap();
        cases.push(request.changes[0].case_id.clone());
    }
    let running = digest(&ledger);
    let rebuilt = ledger.rebuild().await.unwrap();
    assert_eq!(
        (rebuilt.running_digest, rebuilt.rebuilt_digest),
        (running, running)
    );
    assert_eq!((rebuilt.position, rebuilt.cases), (400, 200));
    assert_eq!(digest(&ledger), running);

    // Shutting down writes a snapshot; more is recorded by a server that does not write one.
    drop(ledger);
    let log = Arc::new(log.reopen());
    let ledger = open(&log);
    for case in cases.iter().take(50) {
        let events = vec![valid_event(E::ReleaseListed)];
        submit(
            &ledger,
            &request(vec![change(case, Expected::ExactVersion(2), events)]),
        )
        .await
        .unwrap();
    }
    let running = digest(&ledger);
    drop(ledger);
    let log = Arc::new(log.reopen());
    let ledger = Ledger::open(Arc::clone(&log) as Arc<dyn Log>, snapshot()).unwrap();
    assert_eq!(ledger.snapshot_position(), 400);
    assert_eq!(digest(&ledger), running);
    assert_eq!(folded(log.as_ref()), running);
}

#[tokio::test]
async fn a_damaged_snapshot_is_not_used_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = SnapshotFile::in_folder(folder.path().to_owned());
    let log = Arc::new(MemoryLog::new());
    let ledger = Ledger::open(Arc::clone(&log) as Arc<dyn Log>, Some(file.clone())).unwrap();
    submit(
        &ledger,
        &submission_of(vec![valid_event(E::DetentionAlleged)]),
    )
    .await
    .unwrap();
    let running = digest(&ledger);
    drop(ledger);
    let whole = std::fs::read(file.path()).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        std::fs::write(file.path(), &bytes).unwrap();
        assert!(file.read().is_err(), "byte {at}");
    }
    for length in 0..whole.len() {
        std::fs::write(file.path(), &whole[..length]).unwrap();
        assert!(file.read().is_err(), "length {length}");
    }
    let ledger = Ledger::open(Arc::new(log.reopen()), Some(file)).unwrap();
    assert_eq!(ledger.snapshot_position(), 0);
    assert_eq!(digest(&ledger), running);
}

#[tokio::test]
async fn a_log_that_is_shorter_than_its_snapshot_or_another_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = SnapshotFile::in_folder(folder.path().to_owned());
    let log = Arc::new(MemoryLog::new());
    let ledger = Ledger::open(Arc::clone(&log) as Arc<dyn Log>, Some(file.clone())).unwrap();
    submit(
        &ledger,
        &submission_of(vec![valid_event(E::DetentionAlleged)]),
    )
    .await
    .unwrap();
    drop(ledger);

    let empty: Arc<dyn Log> = Arc::new(MemoryLog::new());
    let refused = Ledger::open(Arc::clone(&empty), Some(file.clone()))
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(
        refused,
        OpenError::ShorterThanSnapshot {
            head: 0,
            snapshot: 1
        }
    ));

    let other = Arc::new(MemoryLog::new());
    let ledger = open(&other);
    submit(
        &ledger,
        &submission_of(vec![valid_event(E::DetentionAlleged)]),
    )
    .await
    .unwrap();
    drop(ledger);
    let refused = Ledger::open(Arc::new(other.reopen()), Some(file))
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(refused, OpenError::OtherLog { position: 1 }));
}

#[tokio::test]
async fn a_damaged_record_refuses_the_start_and_leaves_the_log() {
    let log = Arc::new(MemoryLog::new());
    let ledger = open(&log);
    for _ in 0..3 {
        submit(
            &ledger,
            &submission_of(vec![valid_event(E::DetentionAlleged)]),
        )
        .await
        .unwrap();
    }
    drop(ledger);
    log.damage(1);
    let refused = Ledger::open(Arc::new(log.reopen()), None)
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(refused, OpenError::Read(_)), "{refused}");
}

#[tokio::test]
async fn recording_never_runs_backwards() {
    let log = Arc::new(MemoryLog::new());
    let ledger = Arc::new(open(&log));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let ledger = Arc::clone(&ledger);
        tasks.spawn(async move {
            submit(
                &ledger,
                &submission_of(vec![valid_event(E::DetentionAlleged)]),
            )
            .await
            .unwrap();
        });
    }
    tasks.join_all().await;
    let times: Vec<_> = records(log.as_ref())
        .into_iter()
        .map(|(_, record)| record.recorded_at.map(|at| (at.seconds, at.nanos)))
        .collect();
    assert!(times.is_sorted());
    assert_eq!(digest(&ledger), folded(log.as_ref()));
}

#[tokio::test]
async fn cases_stand_in_the_order_in_which_the_log_opens_them() {
    let log = Arc::new(MemoryLog::new());
    let ledger = open(&log);
    for _ in 0..100 {
        let [a, b] = [fresh_uuid().to_string(), fresh_uuid().to_string()];
        let opening = |case: &str, event| {
            request(vec![change(
                case,
                Expected::Any(true),
                vec![valid_event(event)],
            )])
        };
        // Judged one behind the other, mostly in one commit: A is named first, and B opened first.
        let channel = ledger.channel(recorder());
        let requests = [
            opening(&a, E::HandedOverToFamily),
            opening(&b, E::RemainsReported),
            opening(&a, E::RemainsReported),
        ];
        put_all(&ledger, &channel, 0, &requests).await;
        let answers = answers(&channel, requests.len()).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 2);
    }
    let order: Vec<_> = ledger
        .views()
        .cases()
        .iter()
        .map(|case| case.first_position())
        .collect();
    assert!(order.is_sorted());
    assert_eq!(digest(&ledger), folded(log.as_ref()));
}

#[tokio::test]
async fn no_refusal_rests_on_what_was_never_recorded() {
    let log = Arc::new(MemoryLog::new());
    let ledger = open(&log);
    for _ in 0..100 {
        let case = fresh_uuid().to_string();
        let opening = || {
            let events = vec![valid_event(E::DetentionAlleged)];
            request(vec![change(&case, Expected::NoCase(true), events)])
        };
        log.inject(Fault::Full);
        let channel = ledger.channel(recorder());
        put_all(&ledger, &channel, 0, &[opening(), opening(), opening()]).await;
        let answers = answers(&channel, 3).await;
        // The disk was full for one commit: whoever was not in it comes to an empty case.
        let recorded = answers.iter().filter(|answer| answer.is_ok()).count();
        let stale = answers
            .iter()
            .filter(|answer| matches!(answer, Err(SubmitError::StaleVersion { .. })))
            .count();
        assert!(recorded == 1 || stale == 0, "{answers:?}");
    }
}

/// A log whose appends wait until they are let through, one by one.
struct Gated {
    log: Arc<MemoryLog>,
    entered: std::sync::mpsc::Sender<()>,
    let_through: std::sync::Mutex<std::sync::mpsc::Receiver<()>>,
}

impl Log for Gated {
    fn append(&self, expected_head: u64, blocks: &[RecordBlock]) -> Result<u64, AppendError> {
        self.entered.send(()).unwrap();
        self.let_through.lock().unwrap().recv().unwrap();
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

    fn subscribe(&self) -> tokio::sync::watch::Receiver<u64> {
        self.log.subscribe()
    }

    fn ended(&self) -> Option<String> {
        self.log.ended()
    }

    fn record_mark(&self) -> Result<(), casetrail::log::OpenError> {
        self.log.record_mark()
    }

    fn close(&self) -> Result<(), casetrail::log::OpenError> {
        self.log.close()
    }
}

/// The answers of four submissions: the first is in a commit under way while the others are sent:
/// one that follows it in its case, the first once more, and one that expects the case not to exist.
async fn around_a_commit_under_way(
    fault: Option<Fault>,
) -> (
    Vec<Result<SubmitEventsResponse, SubmitError>>,
    Arc<MemoryLog>,
) {
    let log = Arc::new(MemoryLog::new());
    let (entered, entries) = std::sync::mpsc::channel();
    let (let_through, gate) = std::sync::mpsc::channel();
    let gated = Gated {
        log: Arc::clone(&log),
        entered,
        let_through: std::sync::Mutex::new(gate),
    };
    let ledger = Ledger::open(Arc::new(gated), None).unwrap();
    let case = fresh_uuid().to_string();
    let of = |expected, event| request(vec![change(&case, expected, vec![valid_event(event)])]);
    let first = of(Expected::NoCase(true), E::DetentionAlleged);
    let follows = of(Expected::ExactVersion(1), E::ProofOfLifeReceived);
    let stale = of(Expected::NoCase(true), E::DetentionAlleged);
    let channel = ledger.channel(recorder());
    put_all(&ledger, &channel, 0, std::slice::from_ref(&first)).await;
    entries.recv().unwrap();
    // A write that fails here ends writing, or not; the next one is not asked to.
    if let Some(fault) = fault {
        log.inject(fault);
    }
    put_all(&ledger, &channel, 1, &[follows, first, stale]).await;
    for _ in 0..4 {
        let_through.send(()).unwrap();
    }
    (answers(&channel, 4).await, log)
}

#[tokio::test]
async fn a_submission_is_judged_as_if_the_commit_under_way_were_there() {
    for _ in 0..50 {
        let (answers, log) = around_a_commit_under_way(None).await;
        let [first, follows, again, stale] = &answers[..] else {
            panic!("{answers:?}")
        };
        assert_eq!(first.as_ref().unwrap().results[0].positions, [0]);
        assert_eq!(follows.as_ref().unwrap().results[0].version, 2);
        assert_eq!(follows.as_ref().unwrap().results[0].positions, [1]);
        assert!(again.as_ref().unwrap().replayed);
        assert_eq!(
            again.as_ref().unwrap().results,
            first.as_ref().unwrap().results
        );
        assert!(
            matches!(stale, Err(SubmitError::StaleVersion { current: 1.., .. })),
            "{stale:?}"
        );
        assert_eq!(log.head(), 2);
    }
}

#[tokio::test]
async fn what_rests_on_a_commit_that_fails_is_not_recorded_and_not_answered_as_if_it_were() {
    for _ in 0..50 {
        let (answers, log) = around_a_commit_under_way(Some(Fault::Lost)).await;
        let [first, follows, again, stale] = &answers[..] else {
            panic!("{answers:?}")
        };
        assert!(
            matches!(first, Err(SubmitError::OutcomeUnknown { .. })),
            "{first:?}"
        );
        // Surely not recorded: it was to be written after the one that failed. Judged only after
        // the failure, it comes to a case that is not there.
        assert!(
            matches!(
                follows,
                Err(SubmitError::WritingEnded { .. } | SubmitError::StaleVersion { current: 0, .. })
            ),
            "{follows:?}"
        );
        // Judged before the failure it shares the first one's fate, afterwards it is not written.
        assert!(
            matches!(
                again,
                Err(SubmitError::OutcomeUnknown { .. } | SubmitError::WritingEnded { .. })
            ),
            "{again:?}"
        );
        assert!(
            matches!(stale, Err(SubmitError::WritingEnded { .. })),
            "{stale:?}"
        );
        assert_eq!(log.reopen().head(), 0);
    }
}

#[tokio::test]
async fn what_rests_on_a_commit_that_found_the_disk_full_is_refused_with_it() {
    for _ in 0..50 {
        let (answers, log) = around_a_commit_under_way(Some(Fault::Full)).await;
        assert!(
            matches!(answers[0], Err(SubmitError::DiskFull { .. })),
            "{answers:?}"
        );
        let recorded = answers.iter().filter(|answer| answer.is_ok()).count();
        // Whatever was judged after the failure was judged by an empty case: the first or the one
        // that expects no case may have been recorded then, and nothing else.
        assert!(recorded <= 1, "{answers:?}");
        assert!(answers[1].is_err(), "{answers:?}");
        assert_eq!(log.head(), u64::try_from(recorded).unwrap());
    }
}
