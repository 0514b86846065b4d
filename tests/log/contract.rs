//! The log's contract, held against every engine.

use casetrail::log::{AppendError, COMMIT_BYTES_MAX, Log, MemoryLog, SledLog};
use casetrail::wire::block::{BlockError, RecordBlock};
use proptest::prelude::*;
use prost::Message;

use super::support::{append, assert_whole, blocks_at, blocks_of, open, read_all, record_at};

/// An engine under test, with a log in it that is opened again.
trait Engine: Sized {
    fn start() -> Self;
    fn log(&self) -> &dyn Log;
    fn reopen(self) -> Self;
}

impl Engine for MemoryLog {
    fn start() -> Self {
        Self::new()
    }

    fn log(&self) -> &dyn Log {
        self
    }

    fn reopen(self) -> Self {
        MemoryLog::reopen(&self)
    }
}

struct SledEngine {
    log: SledLog,
    folder: tempfile::TempDir,
}

impl Engine for SledEngine {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            log: open(folder.path()).unwrap(),
            folder,
        }
    }

    fn log(&self) -> &dyn Log {
        &self.log
    }

    fn reopen(self) -> Self {
        let Self { log, folder } = self;
        drop(log);
        Self {
            log: open(folder.path()).unwrap(),
            folder,
        }
    }
}

fn a_new_log_is_empty<E: Engine>() {
    let engine = E::start();
    assert_eq!(engine.log().head(), 0);
    assert_eq!(engine.log().read(0, 1).unwrap(), []);
    assert_eq!(engine.log().ended(), None);
    assert_eq!(engine.reopen().log().head(), 0);
}

fn what_is_appended_is_read_in_order_without_a_gap<E: Engine>() {
    let engine = E::start();
    let mut head = 0;
    for count in [1, 3, 40, 1, 200, 16, 17] {
        assert_eq!(append(engine.log(), count), head + count);
        head += count;
        assert_eq!(engine.log().head(), head);
    }
    assert_whole(engine.log());
}

fn no_blocks_at_all_change_nothing<E: Engine>() {
    let engine = E::start();
    append(engine.log(), 3);
    assert_eq!(engine.log().append(3, &[]), Ok(3));
    assert_eq!(engine.log().head(), 3);
}

fn another_head_is_a_conflict<E: Engine>() {
    let engine = E::start();
    append(engine.log(), 5);
    for expected in [0, 4, 6] {
        let refused = Err(AppendError::Conflict {
            expected,
            actual: 5,
        });
        assert_eq!(
            engine.log().append(expected, &blocks_at(expected, 2)),
            refused
        );
    }
    assert_eq!(engine.log().head(), 5);
    assert_whole(engine.log());
}

fn of_many_writers_at_one_head_one_wins<E: Engine>() {
    let engine = E::start();
    let log = engine.log();
    for head in 0..20 {
        let won: usize = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| log.append(head, &blocks_at(head, 1)).is_ok()))
                .collect();
            writers
                .into_iter()
                .map(|w| usize::from(w.join().unwrap()))
                .sum()
        });
        assert_eq!(won, 1);
    }
    assert_whole(log);
}

fn a_commit_over_the_limit_is_refused<E: Engine>() {
    let engine = E::start();
    let record = vec![7; 60 * 1024];
    let too_many = vec![record.clone(); 18];
    let blocks = blocks_of(0, &too_many);
    let bytes = blocks.iter().map(|block| block.as_bytes().len()).sum();
    let refused = Err(AppendError::TooLarge {
        bytes,
        limit: COMMIT_BYTES_MAX,
    });
    assert_eq!(engine.log().append(0, &blocks), refused);
    assert_eq!(engine.log().head(), 0);
    assert_eq!(
        engine.log().append(0, &blocks_of(0, &too_many[..17])),
        Ok(17)
    );
}

fn blocks_that_do_not_follow_one_another_are_refused<E: Engine>() {
    let engine = E::start();
    append(engine.log(), 2);
    let gap = Err(AppendError::NotContiguous {
        expected: 2,
        actual: 3,
    });
    assert_eq!(engine.log().append(2, &blocks_at(3, 1)), gap);
    let twice = [blocks_at(2, 1), blocks_at(2, 1)].concat();
    let overlap = Err(AppendError::NotContiguous {
        expected: 3,
        actual: 2,
    });
    assert_eq!(engine.log().append(2, &twice), overlap);
    assert_eq!(engine.log().head(), 2);
    assert_whole(engine.log());
}

fn a_block_that_is_not_whole_is_refused<E: Engine>() {
    let engine = E::start();
    let mut bytes = blocks_at(0, 1).remove(0).as_bytes().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    let decoded = RecordBlock::decode(&*bytes).unwrap();
    let refused = engine.log().append(0, &[decoded]).unwrap_err();
    let AppendError::InvalidBlock { position: 0, cause } = refused else {
        panic!("{refused}")
    };
    assert!(matches!(cause, BlockError::Checksum { .. }));
    assert_eq!(engine.log().head(), 0);
}

fn a_read_begins_with_the_block_that_holds_the_position<E: Engine>() {
    let engine = E::start();
    let blocks: Vec<RecordBlock> = (0..5).flat_map(|n| blocks_at(n * 10, 10)).collect();
    engine.log().append(0, &blocks).unwrap();
    for from in 0..50 {
        let read = engine.log().read(from, usize::MAX).unwrap();
        let at = blocks
            .iter()
            .position(|block| block.end_position() > from)
            .unwrap();
        assert_eq!(read, blocks[at..], "from {from}");
    }
    assert_eq!(engine.log().read(50, usize::MAX).unwrap(), []);
    assert_eq!(engine.log().read(u64::MAX, usize::MAX).unwrap(), []);
}

fn a_read_keeps_to_its_bytes_but_gives_a_block<E: Engine>() {
    let engine = E::start();
    let blocks = blocks_at(0, 200);
    engine.log().append(0, &blocks).unwrap();
    let first = blocks[0].as_bytes().len();
    let second = blocks[1].as_bytes().len();
    for (bytes_max, expected) in [
        (0, 1),
        (1, 1),
        (first, 1),
        (first + second - 1, 1),
        (first + second, 2),
    ] {
        assert_eq!(engine.log().read(0, bytes_max).unwrap(), blocks[..expected]);
    }
    assert_eq!(read_all(engine.log(), 0, 0).0.len(), 200);
}

fn the_head_can_be_waited_for<E: Engine>() {
    let engine = E::start();
    let log = engine.log();
    let mut head = log.subscribe();
    assert_eq!(*head.borrow_and_update(), 0);
    append(log, 2);
    assert!(head.has_changed().unwrap());
    assert_eq!(*head.borrow_and_update(), 2);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| (0..10).for_each(|_| assert!(append(log, 1) > 2)));
        runtime.block_on(async {
            let reached = *head.wait_for(|head| *head >= 12).await.unwrap();
            assert_eq!(reached, 12);
            assert_eq!(
                log.read(11, 1).unwrap().len(),
                1,
                "what the head tells can be read"
            );
        });
    });
}

fn readers_beside_a_writer_see_no_gap<E: Engine>() {
    let engine = E::start();
    let log = engine.log();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut next = 0;
                while next < 600 {
                    let (records, error) = read_all(log, next, 10_000);
                    assert_eq!(error, None);
                    for record in records {
                        assert!(record == record_at(next));
                        next += 1;
                    }
                }
            });
        }
        for _ in 0..60 {
            append(log, 10);
        }
    });
}

fn a_restart_keeps_everything<E: Engine>() {
    let mut engine = E::start();
    for round in 1..5 {
        for _ in 0..round {
            append(engine.log(), 33);
        }
        let head = engine.log().head();
        engine = engine.reopen();
        assert_eq!(engine.log().head(), head);
        assert_whole(engine.log());
    }
}

fn a_closed_log_is_read_but_not_written<E: Engine>() {
    let engine = E::start();
    append(engine.log(), 4);
    engine.log().close().unwrap();
    engine.log().close().unwrap();
    assert!(engine.log().ended().is_some());
    let refused = engine.log().append(4, &blocks_at(4, 1)).unwrap_err();
    assert!(matches!(refused, AppendError::Ended { .. }));
    assert_whole(engine.log());
    let engine = engine.reopen();
    assert_eq!(append(engine.log(), 1), 5);
}

#[derive(Clone, Debug)]
enum Step {
    Append { count: u64, expected_off: i8 },
    Read { from: u64, bytes_max: usize },
    Mark,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1_u64..60, prop_oneof![8 => Just(0_i8), 1 => Just(-1), 1 => Just(1)])
            .prop_map(|(count, expected_off)| Step::Append { count, expected_off }),
        6 => (0_u64..400, 0_usize..40_000)
            .prop_map(|(from, bytes_max)| Step::Read { from, bytes_max }),
        1 => Just(Step::Mark),
        1 => Just(Step::Reopen),
    ]
}

/// Does the steps on the engine and on a model that is no more than a count of records.
fn agrees_with_the_model<E: Engine>(steps: Vec<Step>) {
    let mut engine = E::start();
    let mut model: u64 = 0;
    for step in steps {
        match step {
            Step::Append {
                count,
                expected_off,
            } => {
                let expected = model.saturating_add_signed(i64::from(expected_off));
                let result = engine.log().append(expected, &blocks_at(expected, count));
                if expected == model {
                    model += count;
                    assert_eq!(result, Ok(model));
                } else {
                    assert_eq!(
                        result,
                        Err(AppendError::Conflict {
                            expected,
                            actual: model
                        })
                    );
                }
            }
            Step::Read { from, bytes_max } => {
                let (records, error) = read_all(engine.log(), from, bytes_max);
                assert_eq!(error, None);
                assert_eq!(records, (from..model).map(record_at).collect::<Vec<_>>());
            }
            Step::Mark => engine.log().record_mark().unwrap(),
            Step::Reopen => engine = engine.reopen(),
        }
        assert_eq!(engine.log().head(), model);
    }
    assert_whole(engine.reopen().log());
}

/// The suite for one engine.
macro_rules! holds {
    ($name:ident, $engine:ty, $cases:literal, [$($claim:ident),* $(,)?]) => {
        mod $name {
            use super::*;

            $(#[test]
            fn $claim() {
                super::$claim::<$engine>();
            })*

            proptest! {
                #![proptest_config(ProptestConfig { cases: $cases, ..ProptestConfig::default() })]

                #[test]
                fn any_steps_agree_with_the_model(
                    steps in prop::collection::vec(step(), 1..25)
                ) {
                    agrees_with_the_model::<$engine>(steps);
                }
            }
        }
    };
}

macro_rules! contract {
    ($name:ident, $engine:ty, $cases:literal) => {
        holds!(
            $name,
            $engine,
            $cases,
            [
                a_new_log_is_empty,
                what_is_appended_is_read_in_order_without_a_gap,
                no_blocks_at_all_change_nothing,
                another_head_is_a_conflict,
                of_many_writers_at_one_head_one_wins,
                a_commit_over_the_limit_is_refused,
                blocks_that_do_not_follow_one_another_are_refused,
                a_block_that_is_not_whole_is_refused,
                a_read_begins_with_the_block_that_holds_the_position,
                a_read_keeps_to_its_bytes_but_gives_a_block,
                the_head_can_be_waited_for,
                readers_beside_a_writer_see_no_gap,
                a_restart_keeps_everything,
                a_closed_log_is_read_but_not_written,
            ]
        );
    };
}

contract!(memory, MemoryLog, 100);
contract!(sled, SledEngine, 12);
