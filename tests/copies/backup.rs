//! Backups of a real server over a real socket, also while it records.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};

use casetrail::log::backup::{BackupReader, EndMark, Item};
use casetrail::wire::block::RecordBlock;
use casetrail::wire::v1::{
    EventType as E, Record, ReplayEventsRequest, SubmitEventsRequest, replay_events_request::End,
    replay_events_response::Item as Answer,
};
use prost::Message;

use super::making::{Ran, records, run, views_digest};
use crate::support::server::{Client, Process, Server, casetrail};
use crate::support::{submission_of, valid_event};

fn request() -> SubmitEventsRequest {
    submission_of(vec![
        valid_event(E::DetentionAlleged),
        valid_event(E::ProofOfLifeReceived),
        valid_event(E::DetentionAcknowledged),
    ])
}

async fn submit(client: &Client, count: usize) -> Vec<SubmitEventsRequest> {
    let mut requests = Vec::new();
    for _ in 0..count {
        let request = request();
        client.cases().submit_events(request.clone()).await.unwrap();
        requests.push(request);
    }
    requests
}

/// Runs the executable while this runtime goes on.
async fn command(arguments: &[&str]) -> Ran {
    let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
    tokio::task::spawn_blocking(move || {
        run(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    })
    .await
    .unwrap()
}

async fn backup(server: &Server, file: &Path) -> Ran {
    let (url, file) = (server.url(), file.display().to_string());
    command(&["backup", &file, "--server", &url]).await
}

/// The blocks of a backup and its end marks.
fn read(file: &Path) -> (Vec<RecordBlock>, Vec<EndMark>) {
    let bytes = fs::read(file).unwrap();
    let mut reader = BackupReader::open(&*bytes).unwrap();
    let (mut blocks, mut marks) = (Vec::new(), Vec::new());
    while let Some(item) = reader.next_item().unwrap() {
        match item {
            Item::Block { block, .. } => blocks.push(block),
            Item::End(mark) => marks.push(mark),
        }
    }
    (blocks, marks)
}

/// What a server replays up to a position.
async fn replay(client: &Client, until: u64) -> Vec<(u64, Record)> {
    let request = ReplayEventsRequest {
        end: Some(End::UntilPosition(until)),
        ..Default::default()
    };
    let answers = client.audit().replay_events(request).await.unwrap();
    let mut answers = answers.into_inner();
    let mut records = Vec::new();
    while let Some(answer) = answers.message().await.unwrap() {
        if let Some(Answer::Block(block)) = answer.item {
            let block = block.verified().unwrap();
            records.extend(
                block
                    .records()
                    .map(|(at, bytes)| (at, Record::decode(bytes).unwrap())),
            );
        }
    }
    records
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_restored_replays_to_the_same_digest_at_its_position() {
    let folder = Folder::new();
    let server = Server::start(&folder.path("data"));
    let client = server.connect().await;
    submit(&client, 20).await;
    let stop = std::sync::Arc::new(AtomicBool::new(false));
    let load: Vec<_> = (0..4)
        .map(|_| {
            let (client, stop) = (client.clone(), std::sync::Arc::clone(&stop));
            tokio::spawn(async move {
                let mut requests = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    requests.extend(submit(&client, 1).await);
                }
                requests
            })
        })
        .collect();
    let file = folder.path("backup");
    // Five runs, one continuing the other, while the load goes on.
    for _ in 0..5 {
        backup(&server, &file).await.is_well();
    }
    stop.store(true, Ordering::Relaxed);
    let mut requests = Vec::new();
    for each in load {
        requests.extend(each.await.unwrap());
    }
    let (blocks, marks) = read(&file);
    let position = blocks.last().unwrap().end_position();
    assert!((2..=5).contains(&marks.len()), "{}", marks.len());
    assert!(client.status().await.head > position, "the load went on");
    for mark in &marks {
        let until: Vec<_> = blocks
            .iter()
            .filter_map(|b| b.slice(0..mark.position))
            .collect();
        assert_eq!(views_digest(&until), mark.views_digest);
    }
    let recorded = replay(&client, position).await;
    assert!(records(&blocks) == recorded);

    let data = folder.path("restored");
    command(&["restore", text(&file), "--data", text(&data)])
        .await
        .is_well();
    command(&["check", "--data", text(&data)]).await.is_well();
    let restored = Server::start(&data);
    let other = restored.connect().await;
    let status = other.status().await;
    assert_eq!(status.head, position);
    assert_eq!(status.digest, marks.last().unwrap().views_digest.to_vec());
    assert!(replay(&other, position).await == recorded);

    // It goes on recording, and knows what was recorded.
    let known: std::collections::HashMap<_, _> = recorded
        .iter()
        .map(|(_, record)| (record.request_id.clone(), ()))
        .collect();
    let mut replayed = 0;
    for request in requests.iter().take(50) {
        let answer = other.cases().submit_events(request.clone()).await.unwrap();
        let is_known = known.contains_key(&request.request_id);
        assert_eq!(answer.into_inner().replayed, is_known);
        replayed += u32::from(is_known);
    }
    assert!(replayed > 0);
    submit(&other, 3).await;
    let url = restored.url();
    command(&["check", "--server", &url]).await.is_well();
    assert_eq!(restored.stop().await.code, Some(0));
    command(&["check", "--data", text(&data)]).await.is_well();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_continued_where_it_ended_and_a_torn_end_is_cut_off() {
    let folder = Folder::new();
    let file = folder.path("backup");
    let server = Server::start(&folder.path("data"));
    let client = server.connect().await;
    backup(&server, &file).await.is_well();
    assert!(read(&file).0.is_empty());
    submit(&client, 3).await;
    backup(&server, &file).await.is_well();
    let before = fs::read(&file).unwrap();
    let again = backup(&server, &file).await;
    assert!(again.is_well().stdout.contains("nothing new"), "{again:?}");
    assert_eq!(fs::read(&file).unwrap(), before);

    submit(&client, 3).await;
    backup(&server, &file).await.is_well();
    let whole = fs::read(&file).unwrap();
    for cut in [1, 100, 400, whole.len() - before.len() - 1] {
        fs::write(&file, &whole[..whole.len() - cut]).unwrap();
        let ran = backup(&server, &file).await;
        assert!(ran.is_well().stderr.contains("cut off"), "{ran:?}");
        assert_eq!(fs::read(&file).unwrap(), whole);
    }

    // A file of its own from there on, and both together.
    let position = read(&file).0.last().unwrap().end_position().to_string();
    submit(&client, 2).await;
    let second = folder.path("second");
    let url = server.url();
    command(&[
        "backup",
        text(&second),
        "--from",
        &position,
        "--server",
        &url,
    ])
    .await
    .is_well();
    submit(&client, 2).await;
    backup(&server, &second).await.is_well();
    let other = command(&["backup", text(&second), "--from", "1", "--server", &url]).await;
    other.fails(2, &["--from"]);
    let data = folder.path("restored");
    let arguments = ["restore", text(&file), text(&second), "--data", text(&data)];
    command(&arguments).await.is_well();
    let restored = Server::start(&data);
    let status = restored.connect().await.status().await;
    assert_eq!(
        (status.head, status.digest),
        (30, client.status().await.digest)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_a_backup_of_this_log_is_refused_and_not_changed() {
    let folder = Folder::new();
    let server = Server::start(&folder.path("data"));
    let other = Server::start(&folder.path("other"));
    submit(&server.connect().await, 3).await;
    submit(&other.connect().await, 4).await;
    let file = folder.path("backup");
    backup(&other, &file).await.is_well();
    let good = fs::read(&file).unwrap();
    // It is longer than this log, and then as long.
    for words in [["beyond", "another log"], ["another log", "differs"]] {
        backup(&server, &file).await.fails(1, &words);
        assert_eq!(fs::read(&file).unwrap(), good);
        submit(&server.connect().await, 1).await;
    }
    let mut damaged = good.clone();
    damaged[400] ^= 1;
    let mut newer = good.clone();
    newer[25] = b'7';
    let cases: [(Vec<u8>, &str); 4] = [
        (b"notes of mine".to_vec(), "not a casetrail backup"),
        (Vec::new(), "not a casetrail backup"),
        (newer, "format 7"),
        (damaged, "byte "),
    ];
    for (bytes, word) in cases {
        fs::write(&file, &bytes).unwrap();
        backup(&other, &file)
            .await
            .fails(1, &[word, "Nothing was changed"]);
        assert_eq!(fs::read(&file).unwrap(), bytes);
    }
    let url = server.url();
    let beyond = folder.path("beyond");
    let ran = command(&["backup", text(&beyond), "--from", "99", "--server", &url]).await;
    ran.fails(1, &["99"]);
    assert!(!beyond.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_goes_through_pipes() {
    let folder = Folder::new();
    let server = Server::start(&folder.path("data"));
    let client = server.connect().await;
    submit(&client, 5).await;
    let mut backup = casetrail(&["backup", "-", "--server", &server.url()]);
    let mut backup = backup.stdout(Stdio::piped()).spawn().unwrap();
    let data = folder.path("restored");
    let mut restore = casetrail(&["restore", "-", "--data", text(&data)]);
    restore
        .stdin(backup.stdout.take().unwrap())
        .stdout(Stdio::null());
    let restored = Process::start(restore).ended().await;
    assert_eq!(restored.code, Some(0), "{restored:?}");
    assert!(backup.wait().unwrap().success());
    let status = Server::start(&data).connect().await.status().await;
    assert_eq!(
        (status.head, status.digest),
        (15, client.status().await.digest)
    );
}

#[test]
fn a_backup_without_a_server_is_3() {
    let folder = Folder::new();
    let file = folder.path("backup");
    let ran = run(&["backup", text(&file), "--server", "http://127.0.0.1:1"]);
    ran.fails(3, &["no connection"]);
    assert_eq!(fs::read_dir(folder.0.path()).unwrap().count(), 0);
}
