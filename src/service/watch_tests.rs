#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use prost::Message;

use super::*;
use crate::wire::block::BlockBuilder;
use crate::wire::v1::{CaseFilter as Filter, CaseStatus, Record, Standing};
use crate::wire::validate;

const ALLEGED: CaseStatus = CaseStatus::DetentionAlleged;
const REGISTERED: CaseStatus = CaseStatus::DetentionRegistered;
const RELEASED: CaseStatus = CaseStatus::DetentionReleased;

fn standing(status: CaseStatus) -> Standing {
    Standing {
        reported: status.into(),
        confirmed: status.into(),
        ..Standing::default()
    }
}

/// The record of the event that made `version` of a case, and moved it so.
fn record(case: u128, version: u64, previous: Option<CaseStatus>, status: CaseStatus) -> Record {
    Record {
        case_id: Uuid::from_u128(case).to_string(),
        case_version: version,
        standing: Some(standing(status)),
        previous_standing: previous.map(standing),
        ..Record::default()
    }
}

/// Blocks of these records, one block each, from a position on.
fn blocks(first: u64, records: &[Record]) -> Vec<Arc<Changes>> {
    (first..)
        .zip(records)
        .map(|(position, record)| {
            let mut builder = BlockBuilder::new();
            builder.push(record).unwrap();
            Arc::new(Changes::read(&builder.finish(position)).unwrap())
        })
        .collect()
}

fn decoded(answer: &Answer) -> WatchStatusResponse {
    let decoded = WatchStatusResponse::decode(answer.encoded.as_bytes().clone()).unwrap();
    assert_eq!(decoded.next_position, answer.next_position);
    decoded
}

fn watch(mode: WatchMode, position: u64) -> Watch {
    Watch::new(CaseFilter::default(), mode, position)
}

fn filter(statuses: &[CaseStatus]) -> CaseFilter {
    let statuses = statuses.iter().map(|status| i32::from(*status)).collect();
    validate::case_filter(
        "filter",
        Some(Filter {
            statuses,
            ..Filter::default()
        }),
    )
    .unwrap()
}

/// What was sent, in short: changes as position and skipped, the rest by name.
fn told(answers: &[Answer]) -> Vec<String> {
    answers
        .iter()
        .map(decoded)
        .map(|answer| {
            let item = match answer.item.as_ref().unwrap() {
                Item::StatusChange(change) if change.skipped > 0 => {
                    format!("{} skipping {}", change.position, change.skipped)
                }
                Item::StatusChange(change) => change.position.to_string(),
                Item::CaughtUp(_) => "caught up".to_owned(),
                Item::FellBehind(behind) => format!("behind {}", behind.head),
                Item::Progress(progress) => format!("progress {}", progress.head),
                Item::SnapshotEnd(end) => format!("snapshot of {}", end.cases),
                Item::CaseSnapshot(case) => format!("case in version {}", case.version),
            };
            format!("{item} -> {}", answer.next_position)
        })
        .collect()
}

fn three_changes() -> Vec<Record> {
    vec![
        record(1, 1, None, ALLEGED),
        record(2, 1, None, ALLEGED),
        record(1, 2, Some(ALLEGED), REGISTERED),
    ]
}

#[test]
fn a_watch_at_the_head_is_told_so_once_and_then_changes_alone() {
    let mut watch = watch(WatchMode::EveryChange, 5);
    assert_eq!(told(&watch.take(&[], 5)), ["caught up -> 5"]);
    assert!(watch.take(&[], 5).is_empty());
    let answers = watch.take(&blocks(5, &three_changes()), 8);
    assert_eq!(told(&answers), ["5 -> 6", "6 -> 7", "7 -> 8"]);
    assert_eq!(watch.position(), 8);
}

#[test]
fn a_watch_that_a_read_does_not_bring_to_the_head_has_fallen_behind_until_one_does() {
    let mut watch = watch(WatchMode::EveryChange, 0);
    watch.take(&[], 0);
    let answers = watch.take(&blocks(0, &three_changes()[..1]), 3);
    assert_eq!(told(&answers), ["behind 3 -> 0", "0 -> 1"]);
    let answers = watch.take(&blocks(1, &three_changes()[1..]), 3);
    assert_eq!(told(&answers), ["1 -> 2", "2 -> 3", "caught up -> 3"]);
}

#[test]
fn a_watch_that_begins_in_the_past_is_behind_without_being_told_so() {
    let mut watch = watch(WatchMode::EveryChange, 0);
    let answers = watch.take(&blocks(0, &three_changes()[..2]), 3);
    assert_eq!(told(&answers), ["0 -> 1", "1 -> 2"]);
}

#[test]
fn a_watch_resumed_inside_a_block_is_not_told_twice() {
    let mut builder = BlockBuilder::new();
    for record in three_changes() {
        builder.push(&record).unwrap();
    }
    let block = builder.finish(10);
    assert_eq!(block.len(), 1);
    let mut watch = watch(WatchMode::EveryChange, 12);
    let changes = Arc::new(Changes::read(&block).unwrap());
    let answers = watch.take(&[changes], 13);
    assert_eq!(told(&answers), ["12 -> 13", "caught up -> 13"]);
}

#[test]
fn cut_off_after_any_answer_a_watch_resumes_without_gap_or_duplicate() {
    let log = blocks(0, &three_changes());
    let whole = watch(WatchMode::EveryChange, 0).take(&log, 3);
    for cut in 0..whole.len() {
        let position = cut
            .checked_sub(1)
            .map_or(0, |last| whole[last].next_position);
        let index = usize::try_from(position).unwrap();
        let rest = watch(WatchMode::EveryChange, position).take(&log[index..], 3);
        let changes = |answers: &[Answer]| {
            answers
                .iter()
                .map(decoded)
                .filter(|answer| matches!(answer.item, Some(Item::StatusChange(_))))
                .collect::<Vec<_>>()
        };
        let resumed = [changes(&whole[..cut]), changes(&rest)].concat();
        assert_eq!(resumed, changes(&whole), "cut after {cut} answers");
    }
}

#[test]
fn an_event_that_changed_no_standing_is_not_told_and_is_passed() {
    let mut watch = watch(WatchMode::EveryChange, 0);
    let answers = watch.take(&blocks(0, &[record(1, 2, None, ALLEGED)]), 1);
    assert_eq!(told(&answers), ["caught up -> 1"]);
}

#[test]
fn a_case_that_enters_or_leaves_the_filter_is_told_and_one_that_stays_outside_is_not() {
    let mut watch = Watch::new(filter(&[REGISTERED]), WatchMode::EveryChange, 0);
    let records = [
        record(1, 1, None, ALLEGED),
        record(1, 2, Some(ALLEGED), REGISTERED),
        record(1, 3, Some(REGISTERED), RELEASED),
    ];
    let answers = watch.take(&blocks(0, &records), 3);
    assert_eq!(told(&answers), ["1 -> 2", "2 -> 3", "caught up -> 3"]);
}

#[test]
fn latest_per_case_leaves_out_what_is_superseded_while_behind_and_counts_it() {
    let mut watch = watch(WatchMode::LatestPerCase, 0);
    let mut records = three_changes();
    records.push(record(1, 3, Some(REGISTERED), RELEASED));
    let answers = watch.take(&blocks(0, &records), 4);
    assert_eq!(
        told(&answers),
        ["1 -> 2", "3 skipping 2 -> 4", "caught up -> 4"]
    );
    let Some(Item::StatusChange(change)) = &decoded(&answers[1]).item else {
        unreachable!()
    };
    assert_eq!(change.previous_standing, Some(standing(REGISTERED)));
}

#[test]
fn latest_per_case_tells_every_change_at_the_head() {
    let mut watch = watch(WatchMode::LatestPerCase, 0);
    watch.take(&[], 0);
    let answers = watch.take(&blocks(0, &three_changes()), 3);
    assert_eq!(told(&answers), ["0 -> 1", "1 -> 2", "2 -> 3"]);
}

#[test]
fn no_answer_before_the_end_of_a_snapshot_lets_a_watch_resume_past_a_case() {
    let filter = CaseFilter::default();
    let mut watch = Watch::with_snapshot(filter, WatchMode::EveryChange, 9);
    let case = CaseState::new(Uuid::from_u128(1));
    let answers = [
        watch.case_snapshot(&case).unwrap(),
        watch.progress(9),
        watch.snapshot_end(1),
        watch.progress(9),
    ];
    assert_eq!(
        told(&answers),
        [
            "case in version 0 -> 0",
            "progress 9 -> 0",
            "snapshot of 1 -> 9",
            "progress 9 -> 9"
        ]
    );
}

#[test]
fn a_record_that_can_not_be_decoded_is_data_loss() {
    let mut builder = BlockBuilder::new();
    builder.push_encoded(&[0xff]).unwrap();
    let failure = Changes::read(&builder.finish(0)).unwrap_err();
    assert_eq!(failure.code(), tonic::Code::DataLoss);
}
