//! `casetrail outbox send`: killed, interrupted, refused, met by a second one; nothing is lost, and
//! nothing recorded twice.

use std::fs;
use std::io::Read as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;
use std::slice::from_ref;
use std::sync::mpsc;

use casetrail::wire::v1::{EventType as E, SubmitEventsRequest};
use serde_json::Value;

use super::{
    Outbox, SEED, assert_all_recorded, kills, length, request_ids, sample, stderr, stdout,
};
use crate::load::{Chance, submit};
use crate::submit::head_beyond;
use crate::support::server::{Process, Server, serve};
use crate::support::{submission_of, valid_event};

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

/// How much of a send arrives that is interrupted: several frames, each of some submissions.
const ARRIVING_BYTES: u64 = 64 * 1024;

/// A way to a server on which so many bytes of what is sent arrive and then no more, while it stays open
/// and all answers come back; and what tells once they have arrived. What is cut off is sent and not
/// answered: answers themselves would be cut within a frame that holds all of them.
fn way_that_ends_after(bytes: u64, server: SocketAddr) -> (SocketAddr, mpsc::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (arrived, have_arrived) = mpsc::channel();
    std::thread::spawn(move || {
        let (client, _) = listener.accept().unwrap();
        let mut onward = TcpStream::connect(server).unwrap();
        let (mut back, mut answers) = (onward.try_clone().unwrap(), client.try_clone().unwrap());
        let answering = std::thread::spawn(move || std::io::copy(&mut back, &mut answers));
        std::io::copy(&mut client.take(bytes), &mut onward).unwrap();
        arrived.send(()).unwrap();
        // Whoever comes again since nothing was heard for long hears nothing either.
        let others = std::thread::spawn(move || listener.incoming().collect::<Vec<_>>());
        let _ = (answering.join(), others.join());
    });
    (address, have_arrived)
}

#[tokio::test]
async fn a_send_that_is_interrupted_keeps_what_was_answered_and_the_rest_waits() {
    let outbox = Outbox::new();
    let submissions = sample(200);
    assert_eq!(outbox.append(&submissions).status.code(), Some(0));
    let server = Server::start(&outbox.data());
    // Given a server to which only the first submissions come through,
    let before = length(&outbox.queue());
    assert!(before > 4 * ARRIVING_BYTES, "{before}");
    let (address, have_arrived) = way_that_ends_after(ARRIVING_BYTES, server.address);
    let mut sending = Process::start(outbox.send_to(&format!("http://{address}"), &[]));
    have_arrived.recv().unwrap();
    while length(&outbox.queue()) == before && !sending.has_ended() {
        tokio::task::yield_now().await;
    }

    // when the sending is interrupted, then it says so, and what still waits;
    sending.signal("INT");
    let ended = sending.ended().await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let told = "What was not answered still waits. It is safe to send again.\ninterrupted\n";
    assert!(ended.stderr.ends_with(told), "{}", ended.stderr);
    let states = outbox.states();
    let count = |state: &str| states.iter().filter(|it| *it == state).count();
    assert!(count("recorded") > 0, "{states:?}");
    assert_eq!(count("waiting"), submissions.len() - count("recorded"));
    assert!(count("waiting") > 0, "{states:?}");

    // when it is sent again, then each is recorded once.
    assert_eq!(outbox.send(&server, &[]).await, (Some(0), String::new()));
    assert_all_recorded(&outbox, &server, &submissions).await;
}

#[tokio::test]
async fn a_send_of_which_nobody_reads_the_end_still_tells_of_refusals_by_its_exit_code() {
    let outbox = Outbox::new();
    let refused = submission_of(vec![valid_event(E::HandoverScheduled)]);
    assert_eq!(outbox.append(from_ref(&refused)).status.code(), Some(0));
    let server = Server::start(&outbox.data());
    let mut command = outbox.send_to(&server.url(), &[]);
    command.stdout(Stdio::piped());
    let mut sending = Process::start(command);
    drop(sending.stdout());
    assert_eq!(sending.ended().await.code, Some(1));
    assert_eq!(outbox.states(), ["refused"]);
}
