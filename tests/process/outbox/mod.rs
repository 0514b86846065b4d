//! `casetrail outbox`: kept while there is no server, sent once there is one; killed at any moment,
//! sent twice, refused, interrupted, and met by a second command.

mod appending;
mod damage;
mod sending;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use casetrail::cli::sample::Sample;
use casetrail::wire::json;
use casetrail::wire::v1::{SubmitEventsRequest, SubmitEventsResponse};
use serde_json::Value;
use tempfile::TempDir;

use super::load::Submitted;
use super::verify::verify;
use crate::support::server::{Process, Server, casetrail};

const SEED: u64 = 20_261_124;
/// How often a command is killed, where `CASETRAIL_TEST_KILLS` does not say another number.
const KILLS: u64 = 12;

fn kills() -> u64 {
    let kills = std::env::var("CASETRAIL_TEST_KILLS");
    kills.map_or(KILLS, |number| number.parse().unwrap())
}

/// A queue file in a folder of its own, and a server's data beside it.
struct Outbox(TempDir);

impl Outbox {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn queue(&self) -> PathBuf {
        self.0.path().join("outbox.queue")
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    /// Writes submissions to a file, one a line.
    fn file(&self, submissions: &[SubmitEventsRequest]) -> PathBuf {
        let path = self.0.path().join("submissions.jsonl");
        let lines = submissions.iter().map(|each| json::to_json(each).unwrap());
        fs::write(&path, lines.map(|line| line + "\n").collect::<String>()).unwrap();
        path
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = casetrail(&["outbox"]);
        command.args(arguments).arg("--queue").arg(self.queue());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn append(&self, submissions: &[SubmitEventsRequest]) -> Output {
        self.run(&["append", self.file(submissions).to_str().unwrap()])
    }

    fn send_to(&self, url: &str, more: &[&str]) -> Command {
        let mut command = self.command(&["send", "--server", url]);
        command.args(more).stdout(Stdio::null());
        command
    }

    /// Sends, and how it ended.
    async fn send(&self, server: &Server, more: &[&str]) -> (Option<i32>, String) {
        let ended = Process::start(self.send_to(&server.url(), more))
            .ended()
            .await;
        (ended.code, ended.stderr)
    }

    /// What is in the queue, in its order.
    fn list(&self) -> Vec<Value> {
        let listed = self.run(&["list", "--json"]);
        assert_eq!(listed.status.code(), Some(0), "{}", stderr(&listed));
        let lines = String::from_utf8(listed.stdout).unwrap();
        lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// How the submissions stand, in their order.
    fn states(&self) -> Vec<String> {
        let listed = self.list();
        let states = listed.iter().map(|each| each["state"].as_str().unwrap());
        states.map(str::to_owned).collect()
    }

    /// The answers that the queue has kept, by request_id.
    fn answers(&self) -> HashMap<String, SubmitEventsResponse> {
        let listed = self.list();
        let recorded = listed.iter().filter(|each| each["state"] == "recorded");
        recorded
            .map(|each| {
                let answer = json::from_json(&each["recorded"].to_string()).unwrap();
                (each["requestId"].as_str().unwrap().to_owned(), answer)
            })
            .collect()
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn sample(cases: u64) -> Vec<SubmitEventsRequest> {
    Sample::new(cases, SEED).collect()
}

fn request_ids(submissions: &[SubmitEventsRequest]) -> Vec<&str> {
    submissions
        .iter()
        .map(|each| each.request_id.as_str())
        .collect()
}

/// Every submission is stored once, and stands in the queue with the answer that the server gave.
async fn assert_all_recorded(
    outbox: &Outbox,
    server: &Server,
    submissions: &[SubmitEventsRequest],
) {
    let answers = outbox.answers();
    assert_eq!(answers.len(), submissions.len());
    let submitted: Vec<_> = submissions
        .iter()
        .map(|request| Submitted {
            request: request.clone(),
            answer: Some(answers[&request.request_id].clone()),
        })
        .collect();
    let records = verify(&server.connect().await, &submitted).await;
    let changes = submissions.iter().flat_map(|each| &each.changes);
    let events: usize = changes.map(|change| change.events.len()).sum();
    assert_eq!(records.len(), events);
}

fn ids(listed: &[Value]) -> Vec<&str> {
    let ids = listed
        .iter()
        .map(|each| each["requestId"].as_str().unwrap());
    ids.collect()
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).unwrap().len()
}
