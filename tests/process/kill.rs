//! A server that is killed at any moment under load loses nothing that it acknowledged, stores
//! nothing twice and tears no submission.

use std::sync::Arc;

use tokio::sync::watch;

use super::load::{Chance, Load, Manner, open_cases};
use super::verify::verify;
use crate::support::server::{Process, Server, serve};

/// How often it is killed, where `CASETRAIL_TEST_KILLS` does not say another number.
const KILLS: u64 = 24;
/// Every so many kills the server ends in good order instead, once more, and so leaves a snapshot.
const KILLS_PER_STOP: u64 = 5;
/// After every so many kills the next server is killed before it serves.
const KILLS_PER_EARLY_KILL: u64 = 6;
/// A server is killed after at most so many answers.
const ANSWERS_MAX: u64 = 300;
const SEED: u64 = 20_240_601;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_under_load_lose_nothing_store_nothing_twice_and_tear_nothing() {
    let kills = std::env::var("CASETRAIL_TEST_KILLS");
    let kills = kills.map_or(KILLS, |number| number.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut chance = Chance::new(SEED);
    let mut server = Server::start(&data);
    let client = server.connect().await;
    let mut submitted = open_cases(&client, 3).await;
    let shared_cases = submitted.iter().map(|each| each.case_id()).collect();

    let (connection, connected) = watch::channel(Some(client));
    let (enough, is_enough) = watch::channel(false);
    let (answered, mut answers) = watch::channel(0);
    let load = Load {
        connection: connected,
        answered: Arc::new(answered),
        enough: is_enough,
        shared_cases: Arc::new(shared_cases),
    };
    let manners = [
        Manner::Single,
        Manner::Single,
        Manner::Single,
        Manner::Stream,
        Manner::Stream,
    ];
    let clients: Vec<_> = (0..)
        .zip(manners)
        .map(|(seed, manner)| tokio::spawn(load.clone().run(manner, SEED + seed)))
        .collect();
    // Only the clients tell of answers now: were they all gone, waiting for answers would fail.
    drop(load);

    let (mut stops, mut early_kills, mut snapshot_position) = (0, 0, 0);
    for kill in 1..=kills {
        some_answers(&mut answers, &mut chance).await;
        connection.send_replace(None);
        server.kill();
        if kill % KILLS_PER_EARLY_KILL == 0 {
            early_kills += 1;
            kill_while_it_starts(&data, &mut chance);
        }
        server = Server::start(&data);
        let client = server.connect().await;
        // A start after a kill goes on from the newest snapshot that there is.
        assert_eq!(client.status().await.snapshot_position, snapshot_position);
        connection.send_replace(Some(client));
        if kill % KILLS_PER_STOP == 0 {
            stops += 1;
            some_answers(&mut answers, &mut chance).await;
            connection.send_replace(None);
            let ended = server.stop().await;
            assert_eq!(ended.code, Some(0), "{}", ended.stderr);
            server = Server::start(&data);
            let client = server.connect().await;
            let status = client.status().await;
            assert!(status.snapshot_position > snapshot_position);
            assert_eq!(status.snapshot_position, status.head);
            snapshot_position = status.snapshot_position;
            connection.send_replace(Some(client));
        }
    }
    some_answers(&mut answers, &mut chance).await;
    enough.send_replace(true);
    for client in clients {
        submitted.extend(client.await.unwrap());
    }

    assert!(submitted.iter().all(|each| each.answer.is_some()));
    let replayed = submitted
        .iter()
        .filter(|each| each.answer.as_ref().is_some_and(|answer| answer.replayed));
    let replayed = replayed.count();
    let records = verify(&server.connect().await, &submitted).await;
    server.kill();
    let server = Server::start(&data);
    let again = verify(&server.connect().await, &submitted).await;
    assert!(again == records, "the last kill changed the records");
    // Among so many kills some fall between a commit and its answer.
    assert!(replayed > 0);
    println!(
        "{kills} kills under load and {early_kills} while starting, {stops} ends in good order; \
         {} submissions with {} events, 0 lost, 0 stored twice, 0 torn; {replayed} of them recorded \
         before the kill and answered after it",
        submitted.len(),
        records.len()
    );
}

/// Waits for some answers more, and then a moment that differs.
async fn some_answers(answers: &mut watch::Receiver<u64>, chance: &mut Chance) {
    let until = *answers.borrow() + 1 + chance.below(ANSWERS_MAX);
    answers.wait_for(|count| *count >= until).await.unwrap();
    for _ in 0..chance.below(400) {
        tokio::task::yield_now().await;
    }
}

/// Starts a server and kills it at once, or once it has said something, which is when it has opened
/// the log.
fn kill_while_it_starts(data: &std::path::Path, chance: &mut Chance) {
    let mut command = serve(&[], data, "127.0.0.1:0");
    command.stdout(std::process::Stdio::null());
    let mut process = Process::start(command);
    if chance.below(2) == 0 {
        while process.stderr().is_empty() && !process.has_ended() {
            std::thread::yield_now();
        }
    }
    process.kill();
}
