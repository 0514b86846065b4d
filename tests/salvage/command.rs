//! `casetrail salvage` as a person types it, after a server refused to start and said so.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use casetrail::log::Log;
use casetrail::wire::v1::EventType as E;

use super::fixture::{Story, copy, folder, open, records_in};
use crate::support::server::{Client, Server, binary, casetrail, content, serve};
use crate::support::{submission_of, valid_event};

const FREE_PORT: &str = "127.0.0.1:0";

fn salvage(data: &Path, into: &Path, more: &[&str]) -> Output {
    let mut command = casetrail(&["salvage", "--data"]);
    command.arg(data).arg("--into").arg(into).args(more);
    command.output().unwrap()
}

async fn submit(client: &Client) {
    let events = vec![
        valid_event(E::DetentionAlleged),
        valid_event(E::ProofOfLifeReceived),
    ];
    client
        .cases()
        .submit_events(submission_of(events))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_refused_start_says_what_to_type_and_that_brings_back_what_is_whole() {
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("it's data");
    let server = Server::start(&data);
    let client = server.connect().await;
    for _ in 0..20 {
        submit(&client).await;
    }
    let before = client.status().await;
    assert_eq!(server.stop().await.code, Some(0));
    let server = Server::start(&data);
    let client = server.connect().await;
    for _ in 0..20 {
        submit(&client).await;
    }
    assert_eq!(server.stop().await.code, Some(0));
    let log = open(&data).unwrap();
    let last = log.read(0, usize::MAX).unwrap().pop().unwrap();
    let all = log.head();
    drop(log);
    // As if it had not been opened since.
    fs::write(data.join("opened"), opened_at(40)).unwrap();
    let mut bytes = fs::read(data.join("log/db")).unwrap();
    for at in memchr::memmem::find_iter(&bytes.clone(), last.as_bytes()) {
        bytes[at + 40] ^= 4;
    }
    fs::write(data.join("log/db"), bytes).unwrap();

    let untouched = content(&data);
    let Err(refused) = Server::try_start(serve(&[], &data, FREE_PORT)) else {
        panic!("it serves");
    };
    assert_eq!(refused.code, Some(1));
    assert!(
        content(&data) == untouched,
        "the refused start changed something"
    );
    let told = refused
        .stderr
        .lines()
        .find(|line| line.contains("casetrail salvage"));
    let told = told.unwrap_or_else(|| panic!("{}", refused.stderr)).trim();

    // Typed as it was told.
    let path = std::env::join_paths([binary().parent().unwrap()]).unwrap();
    let output = Command::new("/bin/sh")
        .args(["-c", told])
        .env("PATH", path)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.contains("2 records are missing, from position 78 on"),
        "{stderr}"
    );
    assert!(content(&data) == untouched, "salvage changed something");

    let salvaged = parent.path().join("it's data-salvaged");
    let server = Server::start(&salvaged);
    let client = server.connect().await;
    let status = client.status().await;
    assert_eq!((status.head, all), (78, 80));
    submit(&client).await;
    assert!(client.status().await.head == 80 && before.head == 40);
    assert_eq!(server.stop().await.code, Some(0));
}

/// What the file `opened` says of so many records.
fn opened_at(records: u64) -> String {
    let checksum = crc32fast::hash(&records.to_le_bytes());
    format!("records {records} checksum {checksum:08x}\n")
}

#[test]
fn a_whole_log_comes_back_whole_with_exit_code_0() {
    let parent = folder();
    let data = parent.path().join("data");
    let mut story = Story::new(11);
    let log = open(&data).unwrap();
    for _ in 0..5 {
        story.commit(&log);
    }
    log.close().unwrap();
    drop(log);
    let untouched = content(&data);
    let into = parent.path().join("new");
    fs::create_dir(&into).unwrap();
    let output = salvage(&data, &into, &["--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let records = story.records.len() as u64;
    assert_eq!(report["records"], records);
    assert_eq!(report["mark"], records);
    assert_eq!(report["missing"], 0);
    assert_eq!(report["end"]["reason"], "end_of_log");
    assert_eq!(report["left_over_file"], serde_json::Value::Null);
    assert!(content(&data) == untouched);
    assert!(records_in(&into) == story.records);

    // For people.
    let output = salvage(&data, &parent.path().join("newer"), &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains(&format!("written    {records} records to ")),
        "{text}"
    );
    assert!(text.contains("missing    0 records"), "{text}");
}

#[test]
fn nothing_is_written_over_and_a_running_server_is_left_alone() {
    let parent = folder();
    let data = parent.path().join("data");
    let mut story = Story::new(12);
    let log = open(&data).unwrap();
    story.commit(&log);
    let refused = |into: &Path, words: &str| {
        let before = content(parent.path());
        let output = salvage(&data, into, &[]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains(words), "{stderr}");
        assert!(content(parent.path()) == before, "{words}");
    };
    let into = parent.path().join("new");
    refused(&into, "in use by another casetrail server");
    log.close().unwrap();
    drop(log);
    refused(&data.join("within"), "is within");
    refused(&data, "not empty");
    copy(&data, &parent.path().join("taken"));
    refused(&parent.path().join("taken"), "not empty");
    fs::write(parent.path().join("file"), "").unwrap();
    refused(&parent.path().join("file"), "not empty");
    fs::create_dir(parent.path().join("new.unfinished")).unwrap();
    refused(&into, "a salvage that was not finished");
    fs::remove_dir(parent.path().join("new.unfinished")).unwrap();
    refused(&parent.path().join("no/such/parent"), "can't find");
    fs::write(data.join("FORMAT"), "casetrail data folder\nformat: 2\n").unwrap();
    refused(&into, "has format 2");
    // A damaged FORMAT, mark, conf, or none at all, keeps nothing back.
    fs::write(data.join("FORMAT"), "casetr").unwrap();
    fs::write(data.join("mark"), "rec").unwrap();
    fs::remove_file(data.join("LOCK")).unwrap();
    fs::remove_file(data.join("log/conf")).unwrap();
    let output = salvage(&data, &into, &[]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("The high-water mark is damaged"),
        "{stderr}"
    );
    assert!(records_in(&into) == story.records);
    fs::write(data.join("log/db"), vec![7; 10_000]).unwrap();
    refused(&parent.path().join("newer"), "no whole block");
}

#[test]
fn a_disk_that_fails_in_places_is_read_around_them() {
    let tried = Command::new("strace")
        .args(["-f", "-o", "/dev/null", "true"])
        .status();
    if !tried.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: strace is not installed or may not trace; nothing was checked here");
        return;
    }
    let parent = folder();
    let data = parent.path().join("data");
    let mut story = Story::new(13);
    let log = open(&data).unwrap();
    for _ in 0..10 {
        story.commit(&log);
    }
    log.close().unwrap();
    drop(log);
    let db = data.join("log/db");
    let into = parent.path().join("new");
    // The first read is of the segment's header, the second of all of it, and then one a sector.
    let mut command = Command::new("strace");
    command
        .args(["-f", "-o", "/dev/null", "-P"])
        .arg(&db)
        .args([
            "-e",
            "trace=pread64",
            "-e",
            "inject=pread64:error=EIO:when=2..3",
        ])
        .arg(binary())
        .args(["salvage", "--json", "--data"])
        .arg(&data)
        .arg("--into")
        .arg(&into);
    let output = command.output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["unreadable_bytes"], 4096, "{report}");
    let records = report["records"].as_u64().unwrap();
    let left_over = report["left_over_records"].as_u64().unwrap();
    assert!(
        records + left_over > story.records.len() as u64 / 2,
        "{report}"
    );
    assert!(records_in(&into) == story.records[..records as usize]);
}
