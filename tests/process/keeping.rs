//! The high-water mark and the snapshot of the views, where they can't be written: that is told in
//! the server's log, the old ones stay as they are, and nothing else suffers. And a start that
//! can't write what it must.

use std::fs;
use std::path::Path;

use super::failing::start_failing;
use super::inject::{Injection, can_inject};
use super::load::open_cases;
use super::verify::verify;
use crate::support::server::Server;
use crate::support::until;

/// What fails, and how, where a file is written aside, synced and put in the place of the old one.
const FAILURES: [(&str, &str); 4] = [
    ("openat", "error=ENOSPC"),
    ("write", "error=ENOSPC"),
    ("fsync", "error=EIO"),
    ("rename", "error=EIO"),
];

#[tokio::test]
async fn a_mark_that_can_not_be_written_leaves_the_old_one_and_writing_goes_on() {
    if !can_inject() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let client = server.connect().await;
    let mark = folder.path().join("mark");
    let mut submitted = open_cases(&client, 3).await;
    until(async || read(&mark).starts_with("records 3 ")).await;
    let old = read(&mark);
    let aside = folder.path().join("mark.new");
    for (calls, failure) in FAILURES {
        let injection = Injection::begin(&server, calls, &aside, failure);
        let told = warnings(&server);
        submitted.extend(open_cases(&client, 2).await);
        until(async || warnings(&server) > told).await;
        assert!(injection.end() > 0);
        assert_eq!(read(&mark), old, "{calls}");
    }
    submitted.extend(open_cases(&client, 2).await);
    let head = submitted.len();
    until(async || read(&mark).starts_with(&format!("records {head} "))).await;
    assert_eq!(client.status().await.writing_ended, "");
    verify(&client, &submitted).await;
    server.kill();
    let server = Server::start(folder.path());
    verify(&server.connect().await, &submitted).await;
}

fn warnings(server: &Server) -> usize {
    let log = server.process.stderr();
    assert!(!log.contains("panicked") && !log.contains("ERROR"), "{log}");
    log.matches("the high-water mark was not recorded").count()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[tokio::test]
async fn a_snapshot_that_can_not_be_written_leaves_the_old_one_and_the_end_is_in_good_order() {
    if !can_inject() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let mut submitted = open_cases(&server.connect().await, 3).await;
    assert_eq!(server.stop().await.code, Some(0));
    let snapshot = folder.path().join("views/snapshot");
    let aside = folder.path().join("views/snapshot.new");
    let old = fs::read(&snapshot).unwrap();
    for (calls, failure) in FAILURES {
        let server = Server::start(folder.path());
        let client = server.connect().await;
        assert_eq!(client.status().await.snapshot_position, 3);
        verify(&client, &submitted).await;
        submitted.extend(open_cases(&client, 2).await);
        let injection = Injection::begin(&server, calls, &aside, failure);
        let ended = server.stop().await;
        assert!(injection.end() > 0, "{calls}");
        assert_eq!(ended.code, Some(0), "{calls}: {}", ended.stderr);
        let told = "no snapshot of the views was written";
        assert!(ended.stderr.contains(told), "{calls}: {}", ended.stderr);
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
        assert!(fs::read(&snapshot).unwrap() == old, "{calls}");
        assert!(!aside.exists(), "{calls}: what was half written stays");
    }
    let server = Server::start(folder.path());
    verify(&server.connect().await, &submitted).await;
    assert_eq!(server.stop().await.code, Some(0));
    assert!(fs::read(&snapshot).unwrap() != old);
}

/// A start that can't make durable what it builds on says so, and the next one finds all.
#[tokio::test]
async fn a_start_that_can_not_write_is_refused_and_loses_nothing() {
    if !can_inject() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let mut submitted = open_cases(&server.connect().await, 3).await;
    server.kill();
    let mut refused = 0;
    for nth in 1..=12 {
        let injection = format!("error=EIO:when={nth}");
        match start_failing(folder.path(), "fsync", &injection) {
            Err(ended) => {
                refused += 1;
                assert_eq!(ended.code, Some(1), "{}", ended.stderr);
                assert!(
                    ended.stderr.contains("Input/output error"),
                    "{}",
                    ended.stderr
                );
                assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
            }
            // A start has fewer syncs than that.
            Ok(server) => server.kill(),
        }
        let server = Server::start(folder.path());
        let client = server.connect().await;
        submitted.extend(open_cases(&client, 1).await);
        verify(&client, &submitted).await;
        server.kill();
    }
    assert!(refused > 5, "{refused}");
}
