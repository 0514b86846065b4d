//! A process that is killed at any moment loses nothing that it acknowledged.

use std::io::{BufRead, BufReader};

use casetrail::log::Log;

use super::child::{COMMIT_RECORDS, command};
use super::support::{append, assert_whole, open};

#[test]
fn twenty_kills_lose_nothing_acknowledged_and_tear_no_commit() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for round in 0..20 {
        let mut child = command(&[], "append for ever", folder.path())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut told: Vec<u64> = Vec::new();
        // Killed at the opening at first, and then after more and more commits.
        while told.len() < round * 3 {
            let line = lines.next().expect("the child goes on").unwrap();
            told.extend(
                line.strip_prefix("acknowledged ")
                    .map(|head| head.parse::<u64>().unwrap()),
            );
        }
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines {
            told.extend(
                line.unwrap()
                    .strip_prefix("acknowledged ")
                    .and_then(|h| h.parse::<u64>().ok()),
            );
        }
        acknowledged = told.last().copied().unwrap_or(acknowledged);
        let log = open(folder.path()).unwrap();
        assert!(
            log.head() >= acknowledged,
            "{} of {acknowledged} are left",
            log.head()
        );
        assert_eq!(log.head() % COMMIT_RECORDS, 0, "a commit was torn");
        assert_whole(&log);
        log.record_mark().unwrap();
    }
    assert!(
        acknowledged > 500 * COMMIT_RECORDS,
        "only {acknowledged} records"
    );
    let log = open(folder.path()).unwrap();
    append(&log, 1);
    assert_whole(&log);
}
