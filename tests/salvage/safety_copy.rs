//! The safety copy: made after a stop that was not in good order and only then, and not replaced
//! while no start has succeeded.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use casetrail::log::{DataFolder, Log, OpenError, SledLog, SledOptions};

use super::fixture::{Story, copy, folder, records_in};
use crate::support::server::{Server, serve};

fn open_with_copy(data: &Path) -> Result<(SledLog, Arc<DataFolder>), OpenError> {
    let folder = Arc::new(DataFolder::open(data)?);
    let options = SledOptions {
        safety_copy: true,
        reserve_bytes: 0,
        ..SledOptions::default()
    };
    Ok((SledLog::open(Arc::clone(&folder), options)?, folder))
}

fn serves(data: &Path, work: impl FnOnce(&SledLog)) {
    let (log, folder) = open_with_copy(data).unwrap();
    folder.safety_copy().start_succeeded().unwrap();
    work(&log);
}

#[test]
fn only_a_stop_that_was_not_in_good_order_makes_a_copy_and_only_the_newest_stays() {
    let data = folder();
    let copied = data.path().join("safety-copy");
    let mut story = Story::new(8);
    serves(data.path(), |log| {
        story.commit(log);
        log.close().unwrap();
    });
    serves(data.path(), |log| {
        story.commit(log);
        log.close().unwrap();
    });
    assert!(!copied.exists(), "every stop was in good order");
    // Not closed: as after a kill.
    serves(data.path(), |log| story.commit(log));
    let first = story.records.clone();
    let before = fs::read(data.path().join("log/db")).unwrap();
    serves(data.path(), |log| story.commit(log));
    assert!(
        fs::read(copied.join("log/db")).unwrap() == before,
        "as it was before the opening"
    );
    assert!(records_in(&copied) == first, "it is a data folder itself");
    serves(data.path(), |log| log.close().unwrap());
    assert!(
        records_in(&copied) == story.records,
        "only the newest stays"
    );
    let names = fs::read_dir(data.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    assert_eq!(
        names
            .filter(|name| name.to_string_lossy().contains("safety"))
            .count(),
        1
    );
    serves(data.path(), |log| log.close().unwrap());
    assert!(records_in(data.path()) == story.records);
}

#[test]
fn a_copy_is_not_replaced_while_no_start_has_succeeded() {
    let data = folder();
    let copied = data.path().join("safety-copy/log/db");
    let mut story = Story::new(9);
    serves(data.path(), |log| {
        story.commit(log);
        log.record_mark().unwrap();
    });
    let before = fs::read(data.path().join("log/db")).unwrap();
    // Opened, but never came to serve.
    drop(open_with_copy(data.path()).unwrap());
    assert!(fs::read(&copied).unwrap() == before);
    let (log, _) = open_with_copy(data.path()).unwrap();
    story.commit(&log);
    drop(log);
    drop(open_with_copy(data.path()).unwrap());
    assert!(fs::read(&copied).unwrap() == before, "it was replaced");
    // Once one has, the next stop that is not in good order makes a new one.
    serves(data.path(), |_| ());
    let now = fs::read(data.path().join("log/db")).unwrap();
    serves(data.path(), |_| ());
    assert!(fs::read(&copied).unwrap() == now, "it was not replaced");
}

#[test]
fn what_a_crash_leaves_of_a_copy_is_no_copy() {
    let data = folder();
    let mut story = Story::new(10);
    serves(data.path(), |log| story.commit(log));
    let left = data.path().join("safety-copy.new");
    copy(&data.path().join("log"), &left.join("log"));
    serves(data.path(), |_| ());
    assert!(!left.exists());
    assert!(records_in(&data.path().join("safety-copy")) == story.records);
}

#[tokio::test]
async fn a_server_makes_the_copy_after_a_kill_and_not_after_a_stop() {
    let parent = folder();
    let data = parent.path().join("data");
    let start = || {
        let mut command = serve(&[], &data, "127.0.0.1:0");
        command.arg("--safety-copy");
        Server::try_start(command).unwrap()
    };
    assert_eq!(start().stop().await.code, Some(0));
    start().kill();
    let copied = data.join("safety-copy");
    assert!(!copied.exists(), "the stop was in good order");
    let server = start();
    assert!(copied.join("a-start-has-succeeded").exists());
    let ended = server.stop().await;
    assert_eq!(ended.code, Some(0));
    assert!(
        ended.stderr.contains("the log is copied aside"),
        "{}",
        ended.stderr
    );
    Server::start(&copied).kill();
}
