//! Connections on a server with accounts: each address has its share, and they are kept for calls.

use std::time::Duration;

use casetrail::service::PeerLimits;
use casetrail::wire::v1::{Role, WatchStatusRequest};

use super::world::{World, until};
use crate::support::http2::Connection;

const HEALTH: &str = "grpc.health.v1.Health/Check";
const WATCH: &str = "grpc.health.v1.Health/Watch";
const LIST: &str = "casetrail.v1.CaseService/ListCases";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_has_its_share_of_the_connections_and_others_have_theirs() {
    let world = World::with_peers(PeerLimits {
        connections_per_address: 3,
        ..PeerLimits::default()
    })
    .await;
    let elsewhere = [127, 0, 0, 2];
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(world.stream_from(elsewhere).await.unwrap());
    }
    assert!(world.stream_from(elsewhere).await.is_err());
    world.admin().await.is_known().await.unwrap();
    drop(held.pop());
    // Its place is free a moment after it was closed.
    until(async || world.stream_from(elsewhere).await.is_ok()).await;
    drop(held);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_without_a_call_of_somebody_is_closed_whatever_else_it_is_used_for() {
    let world = World::with_peers(PeerLimits {
        admission_max: Duration::from_secs(2),
        ..PeerLimits::default()
    })
    .await;
    let somebody = Connection::over(world.stream().await).await;
    let jwt = world.jwt("worker", Role::CaseWorker, "org-1");
    let mut somebody = somebody.by_token(&jwt);
    let mut call = somebody.call(LIST).await;
    call.complete();
    call.begins().await;
    let mut nobody = Connection::over(world.stream().await).await;
    let mut wrong = Connection::over(world.stream().await)
        .await
        .by_token("casetrail_wrong");
    for connection in [&mut nobody, &mut wrong] {
        for method in [HEALTH, LIST] {
            let mut call = connection.call(method).await;
            call.complete();
            call.begins().await;
        }
    }
    nobody.ends().await;
    wrong.ends().await;
    // The one that was used goes on.
    let mut call = somebody.call(LIST).await;
    call.complete();
    call.begins().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_connection_is_closed_and_clients_open_another_one_by_themselves() {
    let world = World::with_peers(PeerLimits {
        admission_max: Duration::from_secs(2),
        idle_max: Duration::from_millis(500),
        // Without signs of life meanwhile.
        silence_max: Duration::from_secs(60),
        ..PeerLimits::default()
    })
    .await;
    let caller = world.caller("worker-1", Role::CaseWorker, "org-1").await;
    caller.is_known().await.unwrap();
    let jwt = world.jwt("watcher", Role::CaseWorker, "org-1");
    let watching = world.by_token(&jwt).await;
    let mut monitor = watching.monitor();
    let opened = monitor.watch_status(WatchStatusRequest::default()).await;
    let mut answers = opened.unwrap().into_inner();
    // Together they are kept for longer than any one is.
    for _ in 0..3 {
        let idle = Connection::over(world.stream().await).await;
        let mut idle = idle.by_token(&world.admin_token);
        let mut call = idle.call(WATCH).await;
        call.complete();
        call.begins().await;
        drop(call);
        idle.ends().await;
    }
    caller.is_known().await.unwrap();
    // A connection with an open stream is not idle.
    for _ in 0..2 {
        assert!(answers.message().await.unwrap().is_some());
    }
    world.end().await;
}
