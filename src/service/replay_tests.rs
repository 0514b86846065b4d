#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use crate::log::MemoryLog;
use crate::wire::block::{BlockBuilder, RecordBlock};
use crate::wire::v1::replay_events_response::Item;
use crate::wire::v1::{Record, ReplayFilter};

/// A block of records by these actors; each is recorded as many seconds after 1970 as its position
/// tens.
fn block(first: u64, actors: &[&str]) -> RecordBlock {
    let mut builder = BlockBuilder::new();
    for (position, actor) in (first..).zip(actors) {
        let seconds = i64::try_from(position / 10).unwrap();
        let recorded_at = Some(Timestamp { seconds, nanos: 0 });
        let actor = (*actor).to_owned();
        builder
            .push(&Record {
                actor,
                recorded_at,
                ..Record::default()
            })
            .unwrap();
    }
    let blocks = builder.finish(first);
    assert_eq!(blocks.len(), 1);
    blocks[0].clone()
}

fn by_actor(actor: &str) -> validate::ReplayFilter {
    let actors = vec![actor.to_owned()];
    let filter = ReplayFilter {
        actors,
        ..ReplayFilter::default()
    };
    validate::replay_filter("filter", Some(filter)).unwrap()
}

/// The positions in the blocks that are sent, block by block.
fn sent(answers: &[ReplayEventsResponse]) -> Vec<Vec<u64>> {
    answers
        .iter()
        .map(|answer| {
            let Some(Item::Block(block)) = &answer.item else {
                unreachable!()
            };
            assert_eq!(answer.next_position, block.end_position());
            block.records().map(|(position, _)| position).collect()
        })
        .collect()
}

#[test]
fn a_block_of_which_all_is_wanted_passes_through_as_it_is_stored() {
    let stored = block(4, &["a", "b"]);
    let mut replay = Replay::new(validate::ReplayFilter::default(), 4, Some(6));
    let answers = replay.take(&stored).unwrap();
    let Some(Item::Block(passed)) = &answers[0].item else {
        unreachable!()
    };
    assert_eq!(passed.as_bytes(), stored.as_bytes());
    assert!(replay.is_complete());
}

#[test]
fn blocks_are_cut_at_both_ends() {
    let mut replay = Replay::new(validate::ReplayFilter::default(), 1, Some(5));
    assert_eq!(sent(&replay.take(&block(0, &["a"; 3])).unwrap()), [[1, 2]]);
    assert!(!replay.is_complete());
    assert_eq!(sent(&replay.take(&block(3, &["a"; 3])).unwrap()), [[3, 4]]);
    assert!(replay.is_complete());
    assert!(replay.take(&block(6, &["a"; 3])).unwrap().is_empty());
    assert_eq!(replay.position(), 5);
}

#[test]
fn of_a_block_of_which_some_is_wanted_the_runs_are_sent() {
    let mut replay = Replay::new(by_actor("a"), 0, None);
    let answers = replay
        .take(&block(0, &["a", "b", "a", "a", "b", "a"]))
        .unwrap();
    assert_eq!(sent(&answers), [vec![0], vec![2, 3], vec![5]]);
    for answer in &answers {
        let Some(Item::Block(block)) = answer.item.clone() else {
            unreachable!()
        };
        block.verified().unwrap();
    }
    assert_eq!(replay.position(), 6);
}

#[test]
fn a_block_of_which_nothing_is_wanted_is_passed_over() {
    let mut replay = Replay::new(by_actor("a"), 0, None);
    assert!(replay.take(&block(0, &["b"; 4])).unwrap().is_empty());
    assert_eq!(replay.progress(9).next_position, 4);
}

#[test]
fn a_replay_that_ends_where_it_begins_is_complete() {
    assert!(Replay::new(validate::ReplayFilter::default(), 3, Some(3)).is_complete());
    assert!(Replay::new(validate::ReplayFilter::default(), 3, Some(0)).is_complete());
    assert!(!Replay::new(validate::ReplayFilter::default(), 3, None).is_complete());
}

#[test]
fn a_time_finds_the_first_record_that_was_recorded_at_or_after_it() {
    let log = MemoryLog::new();
    let mut head = 0;
    for length in [7, 1, 16, 3, 12, 9] {
        head = log
            .append(head, &[block(head, &vec!["a"; length])])
            .unwrap();
    }
    assert_eq!(head, 48);
    let find = |seconds, nanos| first_recorded_from(&log, head, Timestamp { seconds, nanos });
    assert_eq!(find(-1, 0).unwrap(), 0);
    for tens in 0..5 {
        assert_eq!(find(i64::try_from(tens).unwrap(), 0).unwrap(), tens * 10);
    }
    assert_eq!(find(1, 1).unwrap(), 20);
    assert_eq!(find(4, 1).unwrap(), 48);
    assert_eq!(
        first_recorded_from(&MemoryLog::new(), 0, Timestamp::default()).unwrap(),
        0
    );
}
