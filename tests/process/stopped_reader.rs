//! Readers in processes of their own that are stopped (SIGSTOP) while much is recorded: the writer
//! goes on, the server's memory does not grow with what they have yet to read, and once they go on
//! (SIGCONT) they get everything in order.

use std::io::{BufRead as _, BufReader};
use std::ops::Range;
use std::process::{ChildStdout, Stdio};

use casetrail::wire::json::from_json;
use casetrail::wire::v1::watch_status_response::Item;
use casetrail::wire::v1::{EventType as E, SubmitEventsRequest, WatchStatusResponse};

use super::load::submit_all;
use crate::support::server::{Process, Server, casetrail, serve};
use crate::support::{submission_of, valid_event};

/// Events of one submission, each of which changes how its case stands.
const EVENTS: [E; 10] = [
    E::DetentionAlleged,
    E::DetentionAcknowledged,
    E::VisitedAndRegistered,
    E::ReleaseListed,
    E::HandoverScheduled,
    E::HandoverPostponed,
    E::HandoverScheduled,
    E::PersonNotPresented,
    E::HandoverScheduled,
    E::HandoverCancelled,
];
/// How many events are recorded meanwhile, where `CASETRAIL_TEST_STOPPED_READER_EVENTS` does not say
/// another number.
const RECORDS: u64 = 20_000;
/// The events of the first case, which readers are told before they are stopped.
const FIRST: u64 = EVENTS.len() as u64;
const WATCHERS: usize = 2;
const REPLAYS: usize = 2;

/// What a reader that reads nothing costs the server at most, whatever it has yet to send.
const READER_BYTES_MAX: u64 = 2 * 1024 * 1024;

/// A reader, by a command of the command line.
struct Reader {
    process: Process,
    lines: BufReader<ChildStdout>,
}

impl Reader {
    fn start(server: &Server, arguments: &[&str]) -> Self {
        let mut command = casetrail(arguments);
        command.args(["--json", "--server", &server.url()]);
        command.stdout(Stdio::piped());
        let mut process = Process::start(command);
        let lines = process.stdout();
        Self { process, lines }
    }

    /// The next line; none at the end.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        (self.lines.read_line(&mut line).unwrap() > 0).then_some(line)
    }

    /// A watch gets the changes at these positions. Where it was stopped for longer than the server
    /// waits for a sign of life, its connection was closed, and it goes on by itself.
    fn assert_gets_changes(&mut self, positions: Range<u64>) {
        let mut next = positions.start;
        while next < positions.end {
            let answer: WatchStatusResponse = from_json(&self.line().unwrap()).unwrap();
            if let Some(Item::StatusChange(change)) = answer.item {
                assert_eq!(change.position, next, "a gap or a duplicate");
                next += 1;
            }
        }
    }

    /// A replay gets the records at these positions. Where its connection was closed, it ends, and
    /// another one goes on.
    fn assert_gets_records(&mut self, positions: Range<u64>, server: &Server) {
        let mut next = positions.start;
        while next < positions.end {
            let Some(line) = self.line() else {
                let from = next.to_string();
                *self = Self::start(server, &["replay", "--follow", "--from", &from]);
                continue;
            };
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!(line["position"], next.to_string(), "a gap or a duplicate");
            next += 1;
        }
    }
}

fn start_server(data: &std::path::Path) -> Server {
    let mut command = serve(&[], data, "127.0.0.1:0");
    command.args(["--cache-mib", "8"]);
    Server::try_start(command).unwrap()
}

fn busy_cases(count: u64) -> Vec<SubmitEventsRequest> {
    let request = |_| submission_of(EVENTS.map(valid_event).to_vec());
    (0..count).map(request).collect()
}

/// Records so many events, by four clients at once, after those of the first case.
async fn load(server: &Server, records: u64) {
    let mut clients = Vec::new();
    for _ in 0..4 {
        let client = server.connect().await;
        clients.push(tokio::spawn(async move {
            for _ in 0..10 {
                submit_all(&client, busy_cases(records / 40 / FIRST)).await;
            }
        }));
    }
    for client in clients {
        client.await.unwrap();
    }
    let head = server.connect().await.status().await.head;
    assert_eq!(head, FIRST + records);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_readers_hold_up_nobody_cost_little_memory_and_get_all_once_they_go_on() {
    let records = std::env::var("CASETRAIL_TEST_STOPPED_READER_EVENTS");
    let records = records.map_or(RECORDS, |number| number.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let alone = start_server(&folder.path().join("alone"));
    submit_all(&alone.connect().await, busy_cases(1)).await;
    load(&alone, records).await;
    let bytes_alone = alone.process.resident_bytes_max();
    alone.kill();

    let server = start_server(&folder.path().join("data"));
    submit_all(&server.connect().await, busy_cases(1)).await;
    let mut watchers: Vec<_> = (0..WATCHERS)
        .map(|_| Reader::start(&server, &["watch", "--from", "0"]))
        .collect();
    for watcher in &mut watchers {
        watcher.assert_gets_changes(0..FIRST);
        watcher.process.signal("STOP");
    }
    let mut replays: Vec<_> = (0..REPLAYS)
        .map(|_| Reader::start(&server, &["replay", "--follow"]))
        .collect();
    for replay in &mut replays {
        replay.assert_gets_records(0..FIRST, &server);
        replay.process.signal("STOP");
    }
    // It comes to its end while nobody reads: this is the claim.
    load(&server, records).await;
    let bytes = server.process.resident_bytes_max();

    let rest = FIRST..FIRST + records;
    for watcher in &mut watchers {
        watcher.process.signal("CONT");
        watcher.assert_gets_changes(rest.clone());
    }
    for replay in &mut replays {
        replay.process.signal("CONT");
        replay.assert_gets_records(rest.clone(), &server);
    }
    let readers = (WATCHERS + REPLAYS) as u64;
    let by_reader = bytes.saturating_sub(bytes_alone) / readers;
    println!(
        "{records} events: {} KiB resident at most without stopped readers, {} KiB with {readers}: \
         {} KiB each",
        bytes_alone / 1024,
        bytes / 1024,
        by_reader / 1024
    );
    assert!(by_reader <= READER_BYTES_MAX, "{by_reader} bytes");
    assert!(!server.process.stderr().contains("panicked"));
}
