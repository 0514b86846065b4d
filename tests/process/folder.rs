//! A start on a folder or an address that is not as it should be: a clear message, the exit code,
//! and nothing changed.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use casetrail::wire::block::{RecordBlock, find_blocks};
use casetrail::wire::v1::{
    EventType as E, GetCaseRequest, RebuildViewsRequest, Record, ReplayEventsRequest,
    replay_events_request::End, replay_events_response::Item,
};
use prost::Message;
use tempfile::TempDir;
use tonic::Code;
use tonic_types::StatusExt as _;

use super::load::{Submitted, submit, submit_all};
use super::verify::{replay, verify};
use crate::support::server::{Client, Ended, Server, casetrail, content, copy, serve};
use crate::support::{submission_of, valid_event};

const FREE_PORT: &str = "127.0.0.1:0";

/// How a server ended that must not come to serve.
fn refused(data: &Path, listen: &str) -> Ended {
    match Server::try_start(serve(&[], data, listen)) {
        Err(ended) => ended,
        Ok(server) => panic!("it serves:\n{}", server.process.stderr()),
    }
}

/// Refused with exit code 1 and these words, with nothing changed in the folder.
fn assert_refused_untouched(data: &Path, words: &[&str]) {
    assert_refused_at_untouched(data, FREE_PORT, words);
}

fn assert_refused_at_untouched(data: &Path, listen: &str, words: &[&str]) {
    let before = content(data);
    let ended = refused(data, listen);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    for word in words {
        assert!(ended.stderr.contains(word), "{word}: {}", ended.stderr);
    }
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    assert_unchanged(&before, &content(data));
}

/// Nothing is changed, taken away or added, but for what the database does to its own files each
/// time it opens: it lengthens `log/db`, and writes its page table to `log/snap.*`; `opened` then
/// says how many records there were, and `clean` is gone, since the log was not closed again. The store
/// of keys gets keys that belong to nobody yet.
fn assert_unchanged(before: &[(PathBuf, Vec<u8>)], after: &[(PathBuf, Vec<u8>)]) {
    let is_page_table = |path: &Path| {
        let is_snapshot = path.to_str().unwrap().contains("/log/snap.");
        is_snapshot
            || path.ends_with("opened")
            || path.ends_with("clean")
            || path.ends_with("keys/subjects")
    };
    let kept = after.iter().filter(|(path, _)| !is_page_table(path));
    let mut kept = kept.collect::<Vec<_>>().into_iter();
    for (path, bytes) in before.iter().filter(|(path, _)| !is_page_table(path)) {
        let (same_path, now) = kept.next().unwrap_or_else(|| panic!("{path:?} is gone"));
        assert_eq!(path, same_path);
        let same = if path.ends_with("log/db") {
            now.starts_with(bytes)
        } else {
            now == bytes
        };
        assert!(same, "{} was changed", path.display());
    }
    assert_eq!(kept.next().map(|(path, _)| path), None);
}

/// Submits so many submissions of two events to a server of the folder, and ends it.
async fn fill(data: &Path, count: usize) -> Vec<Submitted> {
    let server = Server::start(data);
    let client = server.connect().await;
    let mut submitted = Vec::new();
    for _ in 0..count {
        submitted.push(submit(&client, two_events()).await.unwrap());
    }
    assert_eq!(server.stop().await.code, Some(0));
    submitted
}

fn two_events() -> casetrail::wire::v1::SubmitEventsRequest {
    submission_of(vec![
        valid_event(E::DetentionAlleged),
        valid_event(E::ProofOfLifeReceived),
    ])
}

#[tokio::test]
async fn a_folder_in_use_is_refused_and_its_server_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let words = [
        folder.path().to_str().unwrap(),
        "in use by another casetrail server",
    ];
    assert_refused_untouched(folder.path(), &words);
    let client = server.connect().await;
    submit(&client, two_events()).await.unwrap();
    server.kill();
    // The lock dies with the process.
    let server = Server::start(folder.path());
    assert_eq!(server.connect().await.status().await.head, 2);
}

#[tokio::test]
async fn data_and_copies_of_it_are_their_owners_alone() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let server = Server::start(&data);
    assert_eq!(mode(&data), 0o700);
    let backup = folder.path().join("backup.ctb");
    let address = format!("http://{}", server.address);
    let backed_up = casetrail(&["backup", backup.to_str().unwrap(), "--server", &address]).output();
    assert!(backed_up.unwrap().status.success());
    assert_eq!(mode(&backup), 0o600);
    assert_eq!(server.stop().await.code, Some(0));
    let restored = folder.path().join("restored");
    let (from, to) = (backup.to_str().unwrap(), restored.to_str().unwrap());
    let done = casetrail(&["restore", from, "--data", to])
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    assert_eq!(mode(&restored), 0o700);
    // As earlier versions made it.
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
    let server = Server::start(&data);
    assert_eq!(mode(&data), 0o700);
    assert_eq!(server.stop().await.code, Some(0));
}

#[test]
fn a_folder_of_something_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("notes.txt"), "not ours").unwrap();
    let words = ["not a casetrail data folder", "nothing in it was touched"];
    assert_refused_untouched(folder.path(), &words);
    // A file is no folder.
    let ended = refused(&folder.path().join("notes.txt"), FREE_PORT);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("notes.txt"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_folder_of_a_newer_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), 1).await;
    let format = folder.path().join("FORMAT");
    let text = fs::read_to_string(&format).unwrap();
    fs::write(&format, text.replace("format: 1", "format: 2")).unwrap();
    let words = [
        "has format 2",
        "knows formats up to 1",
        "nothing in it was touched",
    ];
    assert_refused_untouched(folder.path(), &words);
    fs::write(&format, "something else").unwrap();
    assert_refused_untouched(folder.path(), &["FORMAT", "restore"]);
}

#[tokio::test]
async fn a_log_that_is_shorter_than_its_mark_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let older = folder.path().join("older");
    let mut submitted = fill(&data, 3).await;
    copy(&data.join("log"), &older);
    submitted.extend(fill(&data, 2).await);
    let newer = folder.path().join("newer");
    fs::rename(data.join("log"), &newer).unwrap();
    copy(&older, &data.join("log"));
    let words = [
        "the log in",
        "10 records were once durable",
        "position 6",
        "nothing was changed",
        "backup",
    ];
    assert_refused_untouched(&data, &words);
    // Also without the views, which would tell it as well.
    let views = folder.path().join("views");
    fs::rename(data.join("views"), &views).unwrap();
    fs::create_dir(data.join("views")).unwrap();
    assert_refused_untouched(&data, &words);
    // Without any log at all.
    let removed = folder.path().join("removed");
    fs::rename(data.join("log"), &removed).unwrap();
    fs::create_dir(data.join("log")).unwrap();
    assert_refused_untouched(&data, &["has 0 records", "10 were once durable"]);
    // What the message says helps: the log from the backup.
    fs::remove_dir(data.join("log")).unwrap();
    fs::rename(&newer, data.join("log")).unwrap();
    let server = Server::start(&data);
    verify(&server.connect().await, &submitted).await;
}

#[tokio::test]
async fn views_that_are_newer_than_the_log_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let older = folder.path().join("older");
    let submitted = fill(&data, 3).await;
    copy(&data.join("log"), &older);
    fill(&data, 2).await;
    fs::remove_dir_all(data.join("log")).unwrap();
    copy(&older, &data.join("log"));
    fs::remove_file(data.join("mark")).unwrap();
    let words = [
        "the log has 6 records",
        "its snapshot was made of 10",
        "backup",
    ];
    assert_refused_untouched(&data, &words);
    // Who accepts the loss removes the views, and goes on with what is there.
    fs::remove_dir_all(data.join("views")).unwrap();
    let server = Server::start(&data);
    verify(&server.connect().await, &submitted).await;
}

#[tokio::test]
async fn views_of_another_log_are_refused_and_damaged_ones_are_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let (data, other) = (folder.path().join("data"), folder.path().join("other"));
    let submitted = fill(&data, 3).await;
    fill(&other, 3).await;
    let snapshot = data.join("views/snapshot");
    let own = fs::read(&snapshot).unwrap();
    fs::copy(other.join("views/snapshot"), &snapshot).unwrap();
    let words = [
        "made of another log",
        "position 6",
        "remove the folder `views`",
    ];
    assert_refused_untouched(&data, &words);

    for at in [3, own.len() / 2, own.len() - 1] {
        let mut damaged = own.clone();
        damaged[at] ^= 1;
        fs::write(&snapshot, damaged).unwrap();
        let server = Server::start(&data);
        let client = server.connect().await;
        assert_eq!(client.status().await.snapshot_position, 0);
        assert!(server.process.stderr().contains("is not used"));
        verify(&client, &submitted).await;
    }
}

#[tokio::test]
async fn a_damaged_mark_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), 1).await;
    fs::write(folder.path().join("mark"), "records 1 checksum 00000000\n").unwrap();
    assert_refused_untouched(folder.path(), &["mark", "is damaged", "delete this file"]);
}

#[tokio::test]
async fn a_damaged_block_in_what_the_database_opens_with_refuses_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let original = folder.path().join("original");
    fill(&original, 60).await;
    let raw = fs::read(original.join("log/db")).unwrap();
    let blocks: Vec<_> = find_blocks(&raw).collect();
    for part in [0, 1, 2, 3] {
        let (_, block) = &blocks[(blocks.len() - 1) * part / 3];
        let data = folder.path().join(format!("damaged-{part}"));
        copy(&original, &data);
        // All copies of the block: where the database keeps another one, it may do without this.
        for (offset, _) in blocks.iter().filter(|(_, other)| other == block) {
            flip(&data, offset + block.as_bytes().len() / 2);
        }
        let place = format!("position {}", block.first_position());
        // It is seen before the database opens and cuts off what it can't read: whoever restores or
        // salvages finds every byte.
        let before = content(&data);
        for _ in 0..2 {
            let ended = refused(&data, FREE_PORT);
            assert_eq!(ended.code, Some(1), "{}", ended.stderr);
            for word in [place.as_str(), "nothing was changed", "backup"] {
                assert!(ended.stderr.contains(word), "{word}: {}", ended.stderr);
            }
            assert_eq!(content(&data), before);
        }
    }
}

/// Damage in what was written long ago: the database does not look at it when it opens.
#[tokio::test]
async fn a_damaged_old_block_ends_reading_with_data_loss_after_all_that_is_before_it() {
    const PARTS: usize = 5;
    let folder = tempfile::tempdir().unwrap();
    let original = folder.path().join("original");
    let submitted = fill_segments(&original).await;
    // The database writes its page table when it opens.
    let server = Server::start(&original);
    let records = replay(&server.connect().await).await.records;
    assert_eq!(server.stop().await.code, Some(0));
    let raw = fs::read(original.join("log/db")).unwrap();
    let blocks: Vec<_> = find_blocks(&raw).collect();
    let mut tally = Tally::default();
    for part in 0..PARTS {
        let data = folder.path().join("damaged");
        copy(&original, &data);
        // The database writes a block again now and then: all copies are damaged.
        let position = (records.len() * part / PARTS) as u64;
        let holds = |block: &RecordBlock| {
            (block.first_position()..block.end_position()).contains(&position)
        };
        for (offset, block) in blocks.iter().filter(|(_, block)| holds(block)) {
            flip(&data, offset + block.as_bytes().len() / 2);
        }
        match Server::try_start(serve(&[], &data, FREE_PORT)) {
            Err(ended) => {
                tally.refused += 1;
                assert_eq!(ended.code, Some(1), "{}", ended.stderr);
                assert!(ended.stderr.contains("backup"), "{}", ended.stderr);
            }
            Ok(server) => match read_until_refused(&server.connect().await, &records).await {
                None => panic!("the damage at {position} was not told"),
                Some(position) => {
                    tally.told += 1;
                    assert_serves_the_rest(server, &submitted, &records, position).await;
                    assert_refused_without_views(&data);
                }
            },
        }
        fs::remove_dir_all(&data).unwrap();
    }
    println!("{tally:?}");
    assert!(tally.told > 0, "{tally:?}");
}

/// How a server took to a damaged block.
#[derive(Debug, Default)]
struct Tally {
    /// It did not start: the database looks at what it wrote last.
    refused: u32,
    /// Reading ended there.
    told: u32,
}

/// The cases were folded before, are still told, and take submissions.
async fn assert_serves_the_rest(
    server: Server,
    submitted: &[Submitted],
    records: &[Record],
    position: usize,
) {
    let client = server.connect().await;
    let case_id = submitted[0].case_id();
    let case = client
        .cases()
        .get_case(GetCaseRequest {
            case_id,
            as_of: None,
        })
        .await;
    assert_eq!(case.unwrap().into_inner().case.unwrap().version, 100);
    submit(&client, two_events()).await.unwrap();
    assert_eq!(read_until_refused(&client, records).await, Some(position));
    let rebuilt = client.admin().rebuild_views(RebuildViewsRequest {}).await;
    assert_eq!(rebuilt.unwrap_err().code(), Code::DataLoss);
    server.kill();
}

/// A start without the views has to read all.
fn assert_refused_without_views(data: &Path) {
    fs::remove_dir_all(data.join("views")).unwrap();
    let ended = refused(data, FREE_PORT);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    for word in ["the log can't be read", "position", "is damaged"] {
        assert!(ended.stderr.contains(word), "{}", ended.stderr);
    }
}

/// Fills more than two segments of the database.
async fn fill_segments(data: &Path) -> Vec<Submitted> {
    let server = Server::start(data);
    let client = server.connect().await;
    let requests: Vec<_> = (0..500)
        .map(|_| {
            let mut events = vec![valid_event(E::DetentionAlleged)];
            events.extend((1..100).map(|_| valid_event(E::ProofOfLifeReceived)));
            submission_of(events)
        })
        .collect();
    let submitted = submit_all(&client, requests).await;
    assert_eq!(server.stop().await.code, Some(0));
    submitted
}

/// Flips a bit of the database's file.
fn flip(data: &Path, at: usize) {
    let db = data.join("log/db");
    let mut bytes = fs::read(&db).unwrap();
    bytes[at] ^= 0x20;
    fs::write(db, bytes).unwrap();
}

/// Replays as far as that goes; what is read is right. The position at which it was told that the
/// log is damaged, after all records before it.
async fn read_until_refused(client: &Client, records: &[Record]) -> Option<usize> {
    let request = ReplayEventsRequest {
        end: Some(End::UntilPosition(records.len() as u64)),
        ..Default::default()
    };
    let answers = client.audit().replay_events(request).await.unwrap();
    let mut answers = answers.into_inner();
    let mut read = 0;
    let status = loop {
        match answers.message().await {
            Ok(Some(answer)) => {
                let Some(Item::Block(block)) = answer.item else {
                    continue;
                };
                for (position, bytes) in block.verified().unwrap().records() {
                    assert_eq!(position, read as u64);
                    assert!(Record::decode(bytes).unwrap() == records[read]);
                    read += 1;
                }
            }
            Ok(None) => {
                assert_eq!(read, records.len());
                return None;
            }
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::DataLoss, "{status:?}");
    let details = status.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!(info.reason, "LOG_DAMAGED");
    assert_eq!(info.metadata["position"], read.to_string(), "{status:?}");
    Some(read)
}

#[test]
fn an_address_beyond_the_loopback_interface_is_wrong_usage() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:7611"] {
        let ended = refused(&data, address);
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        for word in ["loopback", "authentication", "127.0.0.1"] {
            assert!(ended.stderr.contains(word), "{}", ended.stderr);
        }
        assert!(!data.exists());
    }
}

#[tokio::test]
async fn a_port_in_use_is_refused() {
    let listener = TcpListener::bind(FREE_PORT).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), 1).await;
    let words = ["can't listen on", &address, "in use"];
    assert_refused_at_untouched(folder.path(), &address, &words);
}
