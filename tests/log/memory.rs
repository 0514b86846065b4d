//! The faults of the log in memory: each is tried lost, and done but reported as lost.

use casetrail::log::{AppendError, Fault, Log, MemoryLog, ReadError};

use super::support::{append, assert_whole, blocks_at, read_all};

fn after_a_failed_append(fault: Fault) -> MemoryLog {
    let log = MemoryLog::new();
    append(&log, 20);
    log.inject(fault);
    let failed = log.append(20, &blocks_at(20, 5)).unwrap_err();
    assert!(matches!(failed, AppendError::OutcomeUnknown { .. }));
    let refused = log.append(20, &blocks_at(20, 5)).unwrap_err();
    assert!(matches!(refused, AppendError::Ended { .. }));
    assert!(log.ended().is_some());
    assert_eq!(log.head(), 20);
    assert_whole(&log);
    log
}

#[test]
fn a_lost_append_ends_writing_and_is_gone_after_a_restart() {
    let log = after_a_failed_append(Fault::Lost).reopen();
    assert_eq!(log.head(), 20);
    assert_eq!(append(&log, 5), 25);
    assert_whole(&log);
}

#[test]
fn an_append_done_but_reported_lost_ends_writing_and_is_there_after_a_restart() {
    let log = after_a_failed_append(Fault::DoneButReportedLost).reopen();
    assert_eq!(log.head(), 25);
    assert_eq!(append(&log, 5), 30);
    assert_whole(&log);
}

#[test]
fn a_full_disk_writes_nothing_and_may_be_tried_again() {
    let log = MemoryLog::new();
    log.inject(Fault::Full);
    assert!(matches!(
        log.append(0, &blocks_at(0, 1)),
        Err(AppendError::Full { .. })
    ));
    assert_eq!((log.head(), log.ended()), (0, None));
    assert_eq!(append(&log, 1), 1);
}

#[test]
fn a_damaged_block_is_told_and_what_comes_before_is_read() {
    let log = MemoryLog::new();
    for _ in 0..4 {
        append(&log, 4);
    }
    log.damage(8);
    let (records, error) = read_all(&log, 0, usize::MAX);
    assert_eq!(records.len(), 8);
    assert!(matches!(
        error,
        Some(ReadError::Corrupt { position: 8, .. })
    ));
    assert!(matches!(
        log.read(10, 1),
        Err(ReadError::Corrupt { position: 8, .. })
    ));
    assert_eq!(read_all(&log, 12, usize::MAX).0.len(), 4);
}
