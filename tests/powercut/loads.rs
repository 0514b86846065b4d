//! The loads under which the power is cut. Each tells what it is in its name.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use casetrail::wire::v1::{EventType, SubmitEventsRequest};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::disk::Image;
use super::load::{Chance, Load, Manner, Submitted, open_cases};
use super::rig::{Recorder, Recording, Rig};
use crate::support::server::{Client, Server};
use crate::support::{submission_of, valid_event};

/// How large the loads are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    Small,
    Large,
}

/// Submitting clients that outlive their servers.
struct Clients {
    connection: watch::Sender<Option<Client>>,
    enough: watch::Sender<bool>,
    answers: watch::Receiver<u64>,
    running: Vec<JoinHandle<Vec<Submitted>>>,
    submitted: Vec<Submitted>,
}

impl Clients {
    /// Opens cases that all share, and begins to submit.
    async fn begin(server: &Server, manners: &[Manner], seed: u64) -> Self {
        let client = server.connect().await;
        let submitted = open_cases(&client, 3).await;
        let shared_cases = submitted.iter().map(Submitted::case_id).collect();
        let (connection, connected) = watch::channel(Some(client));
        let (enough, is_enough) = watch::channel(false);
        let (answered, answers) = watch::channel(0);
        let load = Load {
            connection: connected,
            answered: Arc::new(answered),
            enough: is_enough,
            shared_cases: Arc::new(shared_cases),
        };
        let running = (seed..).zip(manners);
        let running = running.map(|(seed, manner)| tokio::spawn(load.clone().run(*manner, seed)));
        Self {
            connection,
            enough,
            answers,
            running: running.collect(),
            submitted,
        }
    }

    /// Waits for so many more answers.
    async fn answers(&mut self, more: u64) {
        let until = *self.answers.borrow() + more;
        self.answers
            .wait_for(|count| *count >= until)
            .await
            .unwrap();
    }

    /// Another server has taken the place of the one that was lost.
    async fn go_on(&self, server: &Server) {
        self.connection.send_replace(Some(server.connect().await));
    }

    /// All that was submitted, once everything is answered.
    async fn end(self) -> Vec<Submitted> {
        self.enough.send_replace(true);
        self.collect().await
    }

    /// All that was submitted, where no server will answer what is open any more.
    async fn give_up(mut self) -> Vec<Submitted> {
        drop(self.connection);
        self.connection = watch::channel(None).0;
        self.collect().await
    }

    async fn collect(self) -> Vec<Submitted> {
        let mut submitted = self.submitted;
        for client in self.running {
            submitted.extend(client.await.unwrap());
        }
        submitted
    }
}

/// One client that waits for each answer, from the making of the folder on.
pub async fn one_at_a_time(recorder: &Recorder, skip: Option<&'static str>) -> Recording {
    let rig = Rig::new(recorder, Image::new(), skip);
    let server = rig.start();
    let mut clients = Clients::begin(&server, &[Manner::Single], 10).await;
    clients.answers(150).await;
    let submitted = clients.end().await;
    rig.kill(server);
    rig.finish(submitted, HashSet::new())
}

/// Many submissions under way, over calls and over streams, killed amid them.
pub async fn many_in_flight(recorder: &Recorder, scale: Scale) -> Recording {
    let rig = Rig::new(recorder, Image::new(), None);
    let server = rig.start();
    let mut clients = Clients::begin(&server, &MANY, 20).await;
    clients
        .answers(if scale == Scale::Large { 2_500 } else { 1_000 })
        .await;
    rig.kill(server);
    let submitted = clients.give_up().await;
    rig.finish(submitted, HashSet::new())
}

const MANY: [Manner; 4] = [
    Manner::Single,
    Manner::Single,
    Manner::Stream,
    Manner::Stream,
];

/// Submissions of 100 events, many under way: commits as large as they come, over several segments
/// of sled's file.
pub async fn large_submissions(
    recorder: &Recorder,
    scale: Scale,
    skip: Option<&'static str>,
) -> Recording {
    let rig = Rig::new(recorder, Image::new(), skip);
    let server = rig.start();
    let client = server.connect().await;
    let mut submitted = Vec::new();
    let segments = if scale == Scale::Large { 4 } else { 2 };
    while std::fs::metadata(rig.data().join("log/db")).unwrap().len() < segments * SEGMENT_BYTES {
        let requests = (0..30).map(|_| large_submission()).collect();
        submitted.extend(super::load::submit_all(&client, requests).await);
    }
    rig.kill(server);
    rig.finish(submitted, HashSet::new())
}

const SEGMENT_BYTES: u64 = super::moments::SEGMENT_BYTES;

fn large_submission() -> SubmitEventsRequest {
    let mut events = vec![valid_event(EventType::DetentionAlleged)];
    events.extend((1..100).map(|_| valid_event(EventType::VisitedAndRegistered)));
    submission_of(events)
}

/// The mark is recorded while commits go on; in the large one a snapshot of the views is written as
/// well, which takes 50,000 records.
pub async fn mark_and_snapshot(recorder: &Recorder, scale: Scale) -> Recording {
    let rig = Rig::new(recorder, Image::new(), None);
    let server = rig.start();
    let client = server.connect().await;
    let mut submitted = Vec::new();
    if scale == Scale::Large {
        for _ in 0..17 {
            let requests = (0..30).map(|_| large_submission()).collect();
            submitted.extend(super::load::submit_all(&client, requests).await);
        }
    }
    let awaited = match scale {
        Scale::Small => rig.data().join("mark"),
        Scale::Large => rig.data().join("views/snapshot"),
    };
    while !awaited.exists() {
        submitted.extend(open_cases(&client, 1).await);
        // Only so that there are not too many of them until then.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    submitted.extend(open_cases(&client, 20).await);
    rig.kill(server);
    rig.finish(submitted, HashSet::new())
}

/// A server ends in good order under load, writing a snapshot and the mark; the next one begins with
/// them.
pub async fn end_in_good_order(recorder: &Recorder) -> Recording {
    let rig = Rig::new(recorder, Image::new(), None);
    let server = rig.start();
    let mut clients = Clients::begin(&server, &MANY, 30).await;
    for _ in 0..2 {
        clients.answers(200).await;
    }
    clients.connection.send_replace(None);
    let ended = server.stop().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let server = rig.start();
    clients.go_on(&server).await;
    clients.answers(150).await;
    let submitted = clients.end().await;
    rig.kill(server);
    rig.finish(submitted, HashSet::new())
}

/// Servers that are killed under load and while they start, one after the other. The page cache
/// outlives them, and so does not what a power cut takes.
pub async fn starts_after_kills(recorder: &Recorder, seed: u64) -> Recording {
    let mut chance = Chance::new(seed);
    let rig = Rig::new(recorder, Image::new(), None);
    let server = rig.start();
    let mut clients = Clients::begin(&server, &MANY, seed).await;
    clients.answers(100).await;
    clients.connection.send_replace(None);
    rig.kill(server);
    for _ in 0..6 {
        // A start makes some 30 entries. What is killed later has come to serve.
        let kill_at = 1 + chance.below(60);
        if let Ok(server) = rig.try_start(Some(kill_at)) {
            clients.go_on(&server).await;
            server.process.ended().await;
            clients.connection.send_replace(None);
        }
    }
    let server = rig.start();
    clients.go_on(&server).await;
    clients.answers(50).await;
    let submitted = clients.end().await;
    rig.kill(server);
    rig.finish(submitted, HashSet::new())
}

/// A server starts with what a power cut has left, and writes on.
pub async fn on_what_was_left(
    recorder: &Recorder,
    left: Image,
    before: &Recording,
    told_before: HashSet<String>,
    seed: u64,
) -> Recording {
    let rig = Rig::new(recorder, left, None);
    let server = rig.start();
    let mut clients = Clients::begin(&server, &MANY, seed).await;
    clients.answers(60).await;
    rig.kill(server);
    let mut submitted = clients.give_up().await;
    for mut earlier in before.submitted.values().cloned() {
        // What was told after the cut was never told.
        if !told_before.contains(&earlier.request.request_id) {
            earlier.answer = None;
        }
        submitted.push(earlier);
    }
    rig.finish(submitted, told_before)
}
