//! Files of a stopped server's folder that were cut short. A start either refuses in clear words
//! and changes nothing, or serves everything; it never serves less.

use std::fs;
use std::path::{Path, PathBuf};

use casetrail::wire::block::find_blocks;
use casetrail::wire::v1::EventType as E;

use super::load::{Submitted, submit_all};
use super::verify::verify;
use crate::support::server::{Ended, Server, content, copy, serve};
use crate::support::{submission_of, valid_event};

/// Where a file is cut, in parts of what it holds.
const PARTS: u64 = 16;

/// A stopped server's folder.
async fn stopped(data: &Path) -> Vec<Submitted> {
    let mut submitted = Vec::new();
    for _ in 0..2 {
        let server = Server::start(data);
        let requests = (0..150).map(|_| {
            let follower = |_| valid_event(E::ProofOfLifeReceived);
            let events = (0..10).map(follower);
            let opening = valid_event(E::DetentionAlleged);
            submission_of(std::iter::once(opening).chain(events).collect())
        });
        submitted.extend(submit_all(&server.connect().await, requests.collect()).await);
        assert_eq!(server.stop().await.code, Some(0));
    }
    submitted
}

/// What became of a start on a folder in which one file was cut.
enum Outcome {
    /// It serves, and nothing is missing.
    Whole,
    Refused {
        ended: Ended,
        /// Whether the folder is as it was.
        unchanged: bool,
    },
}

/// Starts on a copy of the folder in which a file was cut to so many bytes.
async fn start(original: &Path, file: &str, bytes: u64, submitted: &[Submitted]) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    copy(original, &data);
    let cut = fs::OpenOptions::new().write(true).open(data.join(file));
    cut.unwrap().set_len(bytes).unwrap();
    let before = content(&data);
    match Server::try_start(serve(&[], &data, "127.0.0.1:0")) {
        Ok(server) => {
            verify(&server.connect().await, submitted).await;
            assert!(!server.process.stderr().contains("panicked"));
            Outcome::Whole
        }
        Err(ended) => {
            assert_eq!(ended.code, Some(1), "{file}: {}", ended.stderr);
            assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
            Outcome::Refused {
                ended,
                unchanged: without_note(before) == without_note(content(&data)),
            }
        }
    }
}

/// A start that gets as far as opening the log takes the note of a clean stop away, and nothing else.
fn without_note(mut content: Vec<(PathBuf, Vec<u8>)>) -> Vec<(PathBuf, Vec<u8>)> {
    content.retain(|(path, _)| path.file_name() != Some("clean".as_ref()));
    content
}

#[tokio::test]
async fn a_log_that_was_cut_is_refused_with_nothing_changed_and_never_served_short() {
    let folder = tempfile::tempdir().unwrap();
    let submitted = stopped(folder.path()).await;
    let refused = assert_cuts_are_told(folder.path(), &submitted).await;
    assert!(refused >= PARTS, "{refused}");
    // The same after a start that recorded nothing.
    assert_eq!(Server::start(folder.path()).stop().await.code, Some(0));
    let refused = assert_cuts_are_told(folder.path(), &submitted).await;
    assert!(refused >= PARTS, "{refused}");
}

/// Cuts the log at many places. Returns how many starts were refused.
async fn assert_cuts_are_told(data: &Path, submitted: &[Submitted]) -> u64 {
    let db = fs::read(data.join("log/db")).unwrap();
    let end = find_blocks(&db).map(|(at, block)| at + block.as_bytes().len());
    let end = end.max().unwrap() as u64;
    let (mut whole, mut refused) = (0, 0);
    // Also at its last bytes, and within what the database writes after the last block.
    let cuts = (0..PARTS).map(|part| end * part / PARTS);
    for bytes in cuts.chain([end - 1, end, db.len() as u64 - 1]) {
        match start(data, "log/db", bytes, submitted).await {
            Outcome::Whole => whole += 1,
            Outcome::Refused { ended, unchanged } => {
                refused += 1;
                assert!(unchanged, "cut at {bytes}: {}", ended.stderr);
                for word in ["log", "backup"] {
                    assert!(ended.stderr.contains(word), "{bytes}: {}", ended.stderr);
                }
            }
        }
    }
    println!(
        "cut at {} places: {refused} refused, {whole} served whole",
        refused + whole
    );
    refused
}

#[tokio::test]
async fn every_other_file_that_was_cut_is_told_or_not_needed() {
    let folder = tempfile::tempdir().unwrap();
    let submitted = stopped(folder.path()).await;
    let root = folder.path();
    let files = content(root).into_iter().filter(|(path, bytes)| {
        let name = path.strip_prefix(root).unwrap();
        name != Path::new("log/db") && !bytes.is_empty()
    });
    let mut told = Vec::new();
    for (path, bytes) in files {
        let file = path.strip_prefix(root).unwrap().to_str().unwrap();
        let length = bytes.len() as u64;
        let (mut whole, mut refused) = (0, 0);
        for cut in [0, 1, length / 2, length - 1] {
            match start(root, file, cut, &submitted).await {
                Outcome::Whole => whole += 1,
                Outcome::Refused { ended, unchanged } => {
                    refused += 1;
                    assert!(unchanged, "{file} at {cut}: {}", ended.stderr);
                    // The message leads to the file, or to what is to be done about its folder.
                    let name = path.file_name().unwrap().to_str().unwrap();
                    let named = ended.stderr.contains(name) || ended.stderr.contains("backup");
                    assert!(named, "{file} at {cut}: {}", ended.stderr);
                }
            }
        }
        told.push(format!("{file}: {refused} refused, {whole} served whole"));
    }
    println!("{}", told.join("\n"));
    assert!(told.len() >= 5, "{told:?}");
}
