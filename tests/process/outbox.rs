//! `casetrail outbox`: kept while there is no server, sent once there is one; killed at any moment,
//! sent twice, refused, and met by a second command.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::slice::from_ref;

use casetrail::cli::sample::Sample;
use casetrail::wire::json;
use casetrail::wire::v1::{EventType as E, SubmitEventsRequest, SubmitEventsResponse};
use serde_json::Value;
use tempfile::TempDir;

use super::load::{Chance, Submitted, submit};
use super::submit::head_beyond;
use super::trace::can_trace;
use super::verify::verify;
use crate::support::server::{Process, Server, casetrail, serve};
use crate::support::{submission_of, valid_event};

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

#[tokio::test]
async fn what_is_appended_without_a_server_is_sent_once_there_is_one() {
    let outbox = Outbox::new();
    let submissions = sample(6);
    let appended = outbox.append(&submissions);
    assert_eq!(appended.status.code(), Some(0), "{}", stderr(&appended));
    let told = stdout(&appended);
    let told = told
        .lines()
        .filter_map(|line| line.strip_prefix("appended  "));
    assert_eq!(told.collect::<Vec<_>>(), request_ids(&submissions));

    // Nobody listens: all wait.
    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let ended = Process::start(outbox.send_to(&format!("http://{nobody}"), &[])).wait();
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let advice = format!("{} submissions still wait", submissions.len());
    assert!(ended.stderr.contains(&advice), "{}", ended.stderr);
    assert_eq!(outbox.states(), vec!["waiting"; submissions.len()]);

    let server = Server::start(&outbox.data());
    assert_eq!(outbox.send(&server, &[]).await, (Some(0), String::new()));
    assert_all_recorded(&outbox, &server, &submissions).await;

    // Again: nothing is left to send, and appending the same file again changes nothing.
    assert_eq!(outbox.send(&server, &[]).await, (Some(0), String::new()));
    let before = fs::read(outbox.queue()).unwrap();
    let again = outbox.append(&submissions);
    assert_eq!(again.status.code(), Some(0));
    assert_eq!(
        stdout(&again).matches("is recorded").count(),
        submissions.len()
    );
    assert_eq!(fs::read(outbox.queue()).unwrap(), before);

    // A copy of the queue that was never sent is known, and answered as before.
    assert_eq!(outbox.run(&["prune"]).status.code(), Some(0));
    assert_eq!(outbox.list(), Vec::<Value>::new());
    assert_eq!(outbox.append(&submissions).status.code(), Some(0));
    assert_eq!(outbox.send(&server, &[]).await, (Some(0), String::new()));
    assert!(outbox.answers().values().all(|answer| answer.replayed));
    assert_all_recorded(&outbox, &server, &submissions).await;
}

#[test]
fn what_append_told_survives_its_kill() {
    let mut outbox = Outbox::new();
    let submissions = sample(40);
    let lines = submissions.iter().map(|each| json::to_json(each).unwrap());
    let lines: Vec<_> = lines.map(|line| line + "\n").collect();
    let mut chance = Chance::new(SEED);
    let mut told = 0;
    let (mut midway, mut untold) = (0, 0);
    for _ in 0..kills() {
        let mut command = outbox.command(&["append", "-"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::start(command);
        let mut input = process.stdin();
        let lines = lines.clone();
        let writer = std::thread::spawn(move || {
            // It may be killed meanwhile. The pipe stays open, so that it never ends by itself.
            let _ = lines
                .iter()
                .try_for_each(|line| input.write_all(line.as_bytes()));
            input
        });
        let until = chance.below(submissions.len() as u64 + 1);
        let mut output = process.stdout();
        let mut told_now = 0;
        let mut line = String::new();
        while (told_now as u64) < until && output.read_line(&mut line).unwrap() > 0 {
            told_now += 1;
            line.clear();
        }
        let ended = process.kill();
        assert_eq!(ended.code, None, "it ended by itself: {}", ended.stderr);
        // What it told up to the kill counts as well, as far as the line is whole.
        while output.read_line(&mut line).unwrap() > 0 && line.ends_with('\n') {
            told_now += 1;
            line.clear();
        }
        drop(writer.join().unwrap());
        told = told.max(told_now);

        // In the order appended, none twice, and at least what was told.
        let kept = match outbox.queue().exists() {
            true => outbox.list(),
            false => Vec::new(),
        };
        let kept = ids(&kept);
        assert!(kept.len() >= told);
        assert_eq!(kept, request_ids(&submissions)[..kept.len()]);
        untold += usize::from(kept.len() > told);
        midway += usize::from(kept.len() < submissions.len());
        if kept.len() == submissions.len() {
            outbox = Outbox::new();
            told = 0;
        }
    }
    assert_eq!(outbox.append(&submissions).status.code(), Some(0));
    assert_eq!(ids(&outbox.list()), request_ids(&submissions));
    println!(
        "{} kills of append, {midway} midway, {untold} with more kept than was told",
        kills()
    );
}

fn ids(listed: &[Value]) -> Vec<&str> {
    let ids = listed
        .iter()
        .map(|each| each["requestId"].as_str().unwrap());
    ids.collect()
}

#[tokio::test]
async fn kills_of_send_and_of_the_server_lose_nothing_and_store_nothing_twice() {
    let outbox = Outbox::new();
    let submissions = sample(60);
    assert_eq!(outbox.append(&submissions).status.code(), Some(0));
    let mut chance = Chance::new(SEED);
    let mut server = Server::start(&outbox.data());
    let address = server.address.to_string();
    let changes = submissions.iter().flat_map(|each| &each.changes);
    let events: u64 = changes.map(|change| change.events.len() as u64).sum();
    let file = length(&outbox.queue());
    let mut recorded = 0;
    let mut steps = 0;
    let kills = kills();
    for kill in 0..kills {
        let mut sending = Process::start(outbox.send_to(&server.url(), &[]));
        let client = server.connect().await;
        if kill % 2 == 1 {
            // Once the server has recorded some more, as long as there is more.
            let head = client.status().await.head;
            head_beyond(
                &client,
                (head + chance.below(events / kills)).min(events - 1),
            )
            .await;
        } else {
            // Once some more answers are kept.
            let more = length(&outbox.queue()) + chance.below(file / kills);
            while length(&outbox.queue()) <= more && !sending.has_ended() {
                tokio::task::yield_now().await;
            }
        }
        for _ in 0..chance.below(400) {
            tokio::task::yield_now().await;
        }
        if kill % 3 == 2 {
            // The server is killed instead, and comes back where it was; the command goes on.
            server.kill();
            server = Server::try_start(serve(&[], &outbox.data(), &address)).unwrap();
        }
        sending.kill();
        let states = outbox.states();
        let now = states.iter().filter(|state| *state == "recorded").count();
        assert!(now >= recorded, "an answer that was kept is lost");
        steps += u64::from(now > recorded);
        recorded = now;
        assert!(!states.contains(&"refused".to_owned()));
        if recorded == submissions.len() {
            break;
        }
    }
    assert_eq!(outbox.send(&server, &[]).await, (Some(0), String::new()));
    assert_all_recorded(&outbox, &server, &submissions).await;
    let answers = outbox.answers();
    let known = answers.values().filter(|answer| answer.replayed).count();
    println!(
        "{kills} kills, after {steps} of them more answers were kept; {known} of {} submissions were \
         recorded before a kill and known after it",
        submissions.len()
    );
}

#[tokio::test]
async fn a_send_goes_on_after_the_server_was_killed_and_came_back() {
    let outbox = Outbox::new();
    let submissions = sample(60);
    assert_eq!(outbox.append(&submissions).status.code(), Some(0));
    let server = Server::start(&outbox.data());
    let address = server.address.to_string();
    let sending = Process::start(outbox.send_to(&server.url(), &[]));
    head_beyond(&server.connect().await, 30).await;
    server.kill();
    let server = Server::try_start(serve(&[], &outbox.data(), &address)).unwrap();
    let ended = sending.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_all_recorded(&outbox, &server, &submissions).await;
}

#[tokio::test]
async fn a_refusal_stays_with_its_reason_and_is_sent_again_only_when_told() {
    let outbox = Outbox::new();
    let opening = submission_of(vec![valid_event(E::DetentionAlleged)]);
    let mut following = submission_of(vec![valid_event(E::HandoverScheduled)]);
    following.changes[0].case_id = opening.changes[0].case_id.clone();
    let other = submission_of(vec![valid_event(E::DisplacementRegistered)]);
    let queued = [following.clone(), other.clone()];
    assert_eq!(outbox.append(&queued).status.code(), Some(0));
    let server = Server::start(&outbox.data());

    let (code, told) = outbox.send(&server, &[]).await;
    assert_eq!(code, Some(1));
    assert!(told.contains(&following.request_id), "{told}");
    assert_eq!(outbox.states(), ["refused", "recorded"]);
    let refusal = outbox.list()[0]["refused"].clone();
    assert_eq!(refusal["reason"], "EVENT_NOT_ALLOWED");
    let text = stdout(&outbox.run(&["list"]));
    assert!(text.contains("refused: EVENT_NOT_ALLOWED: "), "{text}");

    // It is not sent again by itself.
    let file = fs::read(outbox.queue()).unwrap();
    assert_eq!(outbox.send(&server, &[]).await, (Some(0), String::new()));
    assert_eq!(fs::read(outbox.queue()).unwrap(), file);

    // The reason changes once the case is there in another status, and goes once it is allowed.
    let client = server.connect().await;
    submit(&client, opening.clone()).await.unwrap();
    let (code, _) = outbox.send(&server, &["--retry-refused"]).await;
    assert_eq!(code, Some(1));
    let status = outbox.list()[0]["refused"]["metadata"]["status"].clone();
    assert_eq!(status, "CASE_STATUS_DETENTION_ALLEGED");
    assert_ne!(status, refusal["metadata"]["status"]);
    let mut between = submission_of(vec![
        valid_event(E::DetentionAcknowledged),
        valid_event(E::ReleaseListed),
    ]);
    between.changes[0].case_id = opening.changes[0].case_id.clone();
    submit(&client, between).await.unwrap();
    let sent = outbox.send(&server, &["--retry-refused"]).await;
    assert_eq!(sent, (Some(0), String::new()));
    assert_eq!(outbox.states(), ["recorded", "recorded"]);
}

#[tokio::test]
async fn what_is_removed_is_not_sent_and_can_be_corrected_under_the_same_request_id() {
    let outbox = Outbox::new();
    let wrong = submission_of(vec![valid_event(E::DetentionAlleged)]);
    let right = SubmitEventsRequest {
        request_id: wrong.request_id.clone(),
        ..submission_of(vec![valid_event(E::DetentionAcknowledged)])
    };
    assert_eq!(outbox.append(from_ref(&wrong)).status.code(), Some(0));
    let refused = outbox.append(from_ref(&right));
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("line 1: not appended: request_id is that of another"));
    let removed = outbox.run(&["remove", &wrong.request_id]);
    assert_eq!(removed.status.code(), Some(0), "{}", stderr(&removed));
    assert_eq!(
        outbox.run(&["remove", &wrong.request_id]).status.code(),
        Some(1)
    );
    assert_eq!(outbox.append(from_ref(&right)).status.code(), Some(0));

    let server = Server::start(&outbox.data());
    assert_eq!(outbox.send(&server, &[]).await, (Some(0), String::new()));
    assert_all_recorded(&outbox, &server, from_ref(&right)).await;
    // What is recorded is not taken out.
    assert_eq!(
        outbox.run(&["remove", &right.request_id]).status.code(),
        Some(1)
    );
    assert_eq!(outbox.states(), ["recorded"]);
}

#[test]
fn a_second_send_is_told_that_another_is_at_work() {
    let outbox = Outbox::new();
    assert_eq!(outbox.append(&sample(1)).status.code(), Some(0));
    // A server that takes the connection and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let first = Process::start(outbox.send_to(&url, &[]));
    let (_connection, _) = silent.accept().unwrap();
    for command in [&["send"][..], &["prune"], &["append", "-"]] {
        let second = outbox.run(command);
        assert_eq!(second.status.code(), Some(1), "{command:?}");
        let told = stderr(&second);
        assert!(
            told.contains("another casetrail outbox command is at work"),
            "{told}"
        );
    }
    // One may look meanwhile, and the lock ends with the process that is killed.
    assert!(outbox.states().iter().all(|state| state == "waiting"));
    first.kill();
    assert_eq!(outbox.run(&["append", "-"]).status.code(), Some(0));
}

#[test]
fn what_is_malformed_is_told_by_line_and_field_and_never_enters_or_is_repeated() {
    let outbox = Outbox::new();
    let good = submission_of(vec![valid_event(E::DetentionAlleged)]);
    let mut ahead = submission_of(vec![valid_event(E::DetentionAlleged)]);
    ahead.changes[0].events[0].occurred = "2924-03-05".to_owned();
    let mut named = submission_of(vec![valid_event(E::DetentionAlleged)]);
    named.changes[0].events[0]
        .source
        .as_mut()
        .unwrap()
        .reference = "Ivanka Secret".to_owned();
    let mut lines = fs::read_to_string(outbox.file(&[ahead, named, good.clone()])).unwrap();
    lines.insert_str(0, "{\"requestId\": \"Ivanka\", \"Secret\": 1}\n");
    let file = outbox.0.path().join("mixed.jsonl");
    fs::write(&file, lines).unwrap();

    let appended = outbox.run(&["append", file.to_str().unwrap()]);
    assert_eq!(appended.status.code(), Some(1));
    let told = stderr(&appended);
    for expected in [
        "line 1: not appended: column ",
        "the message has no field Secret",
        "line 2: not appended: INVALID_FIELDS\n  changes[0].events[0].occurred lies ahead",
        "line 3: not appended: INVALID_FIELDS\n  changes[0].events[0].source.reference ",
        "3 of 4 lines were not appended",
    ] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    assert!(!told.contains("Ivanka"), "{told}");
    let listed = outbox.list();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["requestId"], good.request_id);
    assert!(
        !fs::read_to_string(outbox.queue())
            .unwrap()
            .contains("Ivanka")
    );

    // Where the clock of the machine is wrong, one says what day it is.
    let early = outbox.0.path().join("early.jsonl");
    fs::write(
        &early,
        json::to_json(&submission_of(vec![valid_event(E::Escaped)])).unwrap(),
    )
    .unwrap();
    let early = early.to_str().unwrap();
    let refused = outbox.run(&["append", early, "--today", "2024-01-01"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("lies ahead; give a date no later than 2024-01-02"));
    assert_eq!(
        outbox
            .run(&["append", early, "--today", "2024-03-06"])
            .status
            .code(),
        Some(0)
    );
    assert_eq!(outbox.list()[1]["appendedOn"], "2024-03-06");
}

/// The limit on the size of files ends the process in the middle of a write.
#[test]
fn a_torn_write_is_named_and_cut_off_and_nothing_told_before_is_lost() {
    let outbox = Outbox::new();
    let first = sample(6);
    assert_eq!(outbox.append(&first).status.code(), Some(0));
    let whole = fs::read(outbox.queue()).unwrap();
    // One long line, in which the limit lies.
    let mut events = vec![valid_event(E::DetentionAlleged)];
    events.extend((0..20).map(|_| valid_event(E::ProofOfLifeReceived)));
    let long = [submission_of(events)];
    let file = outbox.file(&long);
    let blocks = whole.len() / 512 + 1;
    let mut torn = Command::new("sh");
    torn.arg("-c")
        .arg(format!("ulimit -f {blocks}; ulimit -c 0; exec \"$@\""))
        .arg("sh");
    let append = outbox.command(&["append", file.to_str().unwrap()]);
    torn.arg(append.get_program())
        .args(append.get_args())
        .stdin(Stdio::null());
    let torn = torn.output().unwrap();
    assert_ne!(torn.status.code(), Some(0));
    assert!(!stdout(&torn).contains("appended"), "{}", stdout(&torn));
    let left = fs::read(outbox.queue()).unwrap();
    assert!(left.starts_with(&whole) && left.len() > whole.len());

    let listed = outbox.run(&["list"]);
    assert!(
        stderr(&listed).contains("left unfinished"),
        "{}",
        stderr(&listed)
    );
    assert_eq!(outbox.list().len(), first.len());
    let appended = outbox.append(&long);
    assert_eq!(appended.status.code(), Some(0));
    assert!(
        stderr(&appended).contains("it is cut off"),
        "{}",
        stderr(&appended)
    );
    assert_eq!(outbox.list().len(), first.len() + 1);
    assert_eq!(stderr(&outbox.run(&["list"])), "");
}

/// Where the sync of the data or of the seal fails, nothing is told as appended.
#[test]
fn nothing_is_told_as_appended_whose_sync_failed() {
    if !can_trace() {
        return;
    }
    let submissions = sample(2);
    for nth in [1, 2] {
        let outbox = Outbox::new();
        assert_eq!(outbox.append(&[]).status.code(), Some(0));
        let file = outbox.file(&submissions);
        let append = outbox.command(&["append", file.to_str().unwrap()]);
        let mut failing = Command::new("strace");
        failing.args(["-f", "-o", "/dev/null", "-e", "trace=fdatasync", "-e"]);
        failing.arg(format!("inject=fdatasync:error=EIO:when={nth}"));
        failing.arg(append.get_program()).args(append.get_args());
        let failed = failing.stdin(Stdio::null()).output().unwrap();
        assert_eq!(failed.status.code(), Some(1), "{}", stderr(&failed));
        assert!(
            stderr(&failed).contains("Input/output error"),
            "{}",
            stderr(&failed)
        );
        assert_eq!(stdout(&failed), "");
        // The next command puts the file in order.
        assert_eq!(outbox.append(&submissions).status.code(), Some(0));
        assert_eq!(outbox.list().len(), submissions.len());
    }
}

#[tokio::test]
async fn a_damaged_queue_is_refused_and_what_is_whole_of_it_lifted_and_sent() {
    let outbox = Outbox::new();
    let submissions = sample(4);
    assert_eq!(outbox.append(&submissions).status.code(), Some(0));
    let server = Server::start(&outbox.data());
    assert_eq!(outbox.send(&server, &[]).await.0, Some(0));
    let mut bytes = fs::read(outbox.queue()).unwrap();
    let request_id = submissions[1].request_id.as_bytes();
    let place = bytes
        .windows(request_id.len())
        .position(|found| found == request_id);
    bytes[place.unwrap()] ^= 1;
    fs::write(outbox.queue(), &bytes).unwrap();
    for command in [&["list"][..], &["send"], &["append", "-"], &["prune"]] {
        let refused = outbox.run(command);
        assert_eq!(refused.status.code(), Some(1), "{command:?}");
        assert!(
            stderr(&refused).contains("casetrail outbox salvage "),
            "{command:?}"
        );
    }
    assert_eq!(fs::read(outbox.queue()).unwrap(), bytes);

    let lifted = Outbox::new();
    let salvaged = lifted.run(&["salvage", outbox.queue().to_str().unwrap()]);
    assert_eq!(salvaged.status.code(), Some(1));
    assert!(
        stderr(&salvaged).starts_with("not whole: 1 lines, the first being "),
        "{}",
        stderr(&salvaged)
    );
    assert_eq!(lifted.list().len(), submissions.len() - 1);
    assert_eq!(lifted.append(&submissions).status.code(), Some(0));
    assert_eq!(lifted.send(&server, &[]).await, (Some(0), String::new()));
    assert_all_recorded(&lifted, &server, &submissions).await;
    assert_eq!(mode(&lifted.queue()), 0o600);
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).unwrap().len()
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    File::open(path)
        .unwrap()
        .metadata()
        .unwrap()
        .permissions()
        .mode()
        & 0o777
}
