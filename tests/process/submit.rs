//! `casetrail submit` of a large file, interrupted and run again: each event is stored once.

use std::fs::File;
use std::path::Path;

use casetrail::cli::sample::Sample;
use casetrail::wire::v1::{ReplayEventsRequest, replay_events_request::End};

use super::load::{Chance, Submitted};
use super::verify::verify;
use crate::support::server::{Client, Ended, Process, Server, casetrail, serve};

/// The number of cases of the sample, with at least ten events each, where
/// `CASETRAIL_TEST_SAMPLE_CASES` does not say another.
const CASES: u64 = 1_000;
const SEED: u64 = 11;
const CLIENT_KILLS: u64 = 3;

#[tokio::test]
async fn a_sample_that_is_submitted_with_interruptions_is_stored_once() {
    let cases = std::env::var("CASETRAIL_TEST_SAMPLE_CASES");
    let cases = cases.map_or(CASES, |number| number.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (
        folder.path().join("data"),
        folder.path().join("sample.jsonl"),
    );
    let mut sample = casetrail(&["sample", "--cases", &cases.to_string()]);
    sample.args(["--seed", &SEED.to_string()]);
    sample.stdout(File::create(&file).unwrap());
    assert!(sample.status().unwrap().success());
    let submitted: Vec<_> = Sample::new(cases, SEED)
        .map(|request| Submitted {
            request,
            answer: None,
        })
        .collect();
    let changes = submitted.iter().flat_map(|each| &each.request.changes);
    let events: u64 = changes.map(|change| change.events.len() as u64).sum();
    assert!(events >= 10 * cases);

    // The client is killed, several times.
    let mut chance = Chance::new(SEED);
    let mut server = Server::start(&data);
    let client = server.connect().await;
    for kill in 1..=CLIENT_KILLS {
        let submitting = Process::start(submit(&file, &folder.path().join("out"), &server));
        let part = events / (CLIENT_KILLS + 2);
        head_beyond(&client, kill * part + chance.below(part)).await;
        submitting.kill();
    }
    // What the last one of them had sent is recorded or lost now, and not while the next one begins.
    server.kill();
    server = Server::start(&data);
    let client = server.connect().await;
    // The server is killed, and comes back where it was; the client goes on by itself.
    let out = folder.path().join("out");
    let submitting = Process::start(submit(&file, &out, &server));
    let part = events / (CLIENT_KILLS + 2);
    let head = client.status().await.head;
    head_beyond(&client, head + 1 + chance.below(part / 2)).await;
    let address = server.address.to_string();
    server.kill();
    server = Server::try_start(serve(&[], &data, &address)).unwrap();
    let ended = submitting.ended().await;
    assert_summary(&ended, &out, &submitted, None);
    assert!(ended.stderr.contains("connection lost"), "{}", ended.stderr);
    let head = server.connect().await.status().await.head;
    assert_eq!(head, events);

    // Once more: all is known, and nothing is recorded.
    let again = Process::start(submit(&file, &out, &server));
    let ended = again.ended().await;
    assert_summary(&ended, &out, &submitted, Some(0));

    let client = server.connect().await;
    let records = verify(&client, &submitted).await;
    assert_eq!(records.len() as u64, events);
    println!(
        "{} submissions with {events} events: {CLIENT_KILLS} kills of the client, 2 of the server",
        submitted.len()
    );
}

fn submit(file: &Path, out: &Path, server: &Server) -> std::process::Command {
    let mut command = casetrail(&["submit", "--server", &server.url()]);
    command.arg(file).stdout(File::create(out).unwrap());
    command
}

/// Waits until the log is longer than that.
pub async fn head_beyond(client: &Client, position: u64) {
    let request = ReplayEventsRequest {
        end: Some(End::UntilPosition(position + 1)),
        ..Default::default()
    };
    let answers = client.audit().replay_events(request).await.unwrap();
    let mut answers = answers.into_inner();
    while answers.message().await.unwrap().is_some() {}
}

/// Everything was answered, and so much of it recorded only now, where that is known.
fn assert_summary(ended: &Ended, out: &Path, submitted: &[Submitted], recorded: Option<usize>) {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let summary = std::fs::read_to_string(out).unwrap();
    let lines = submitted.len();
    assert!(
        summary.starts_with(&format!("{lines} lines: ")),
        "{summary}"
    );
    assert!(
        summary.trim_end().ends_with(" already recorded, 0 refused"),
        "{summary}"
    );
    if let Some(recorded) = recorded {
        let expected = format!(
            "{lines} lines: {recorded} recorded (0 events), {} already recorded, 0 refused",
            lines - recorded
        );
        assert_eq!(summary.trim_end(), expected);
    }
}
