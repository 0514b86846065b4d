//! Calls that are under way when what identified their caller ends: whatever the client reads or
//! sends, nothing of them is recorded any more.

use std::sync::Arc;

use bytes::Bytes;
use casetrail::ledger::Clock;
use casetrail::wire::moment::Moment;
use casetrail::wire::v1::{
    CloseAccountRequest, EventType as E, GetServerStatusRequest, RevokeGrantRequest, Role,
    SubmitEventsRequest, SubmitStreamRequest, WatchStatusRequest,
};
use rustls::HandshakeKind;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsConnector;
use tonic::Code;

use super::world::{Caller, World, claims, client_params, until};
use crate::support::http2::{Connection, framed};
use crate::support::{submission_of, valid_event};

const SUBMIT: &str = "casetrail.v1.CaseService/SubmitEvents";
const SUBMIT_STREAM: &str = "casetrail.v1.CaseService/SubmitStream";
const LIST: &str = "casetrail.v1.CaseService/ListCases";

/// How many submissions are sent after the end.
const LATE: usize = 300;

fn submission() -> SubmitEventsRequest {
    submission_of(vec![valid_event(E::DetentionAlleged)])
}

fn submissions(count: usize) -> Bytes {
    let all = (0..count).map(|_| {
        framed(&SubmitStreamRequest {
            submission: Some(submission()),
        })
    });
    all.collect::<Vec<_>>().concat().into()
}

/// The number of records.
async fn head(admin: &Caller) -> u64 {
    let mut admin = admin.admin();
    let status = admin.get_server_status(GetServerStatusRequest::default());
    status.await.unwrap().into_inner().head
}

/// What ends what a caller rests on.
#[derive(Debug, Clone, Copy)]
enum End {
    Revocation,
    Closing,
}

async fn end(admin: &Caller, how: End, name: &str, grant_id: &str) {
    match how {
        End::Revocation => {
            let grant_id = grant_id.to_owned();
            let revocation = RevokeGrantRequest { grant_id };
            admin.admin().revoke_grant(revocation).await.unwrap();
        }
        End::Closing => {
            let name = name.to_owned();
            let closing = CloseAccountRequest { name };
            admin.admin().close_account(closing).await.unwrap();
        }
    }
}

/// Comes through the server on the way that all calls of a connection take, behind what was sent on
/// it before.
async fn passes_through(connection: &mut Connection) {
    let mut call = connection.call(LIST).await;
    call.complete();
    call.begins().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_submissions_ends_with_the_grant_whether_or_not_its_answers_are_read() {
    let world = World::start().await;
    let admin = world.admin().await;
    let other = world.caller("other", Role::CaseWorker, "org-1").await;
    for window in [0, 65_535] {
        for how in [End::Revocation, End::Closing] {
            let name = format!("worker-{window}-{how:?}");
            let token = world.token(&name, Role::CaseWorker, "org-1").await;
            let connection = Connection::with_window(world.stream().await, window).await;
            let mut connection = connection.by_token(&token.token);
            let mut call = connection.call(SUBMIT_STREAM).await;
            let before = head(&admin).await;
            assert!(call.send(submissions(1)).await);
            until(async || head(&admin).await != before).await;
            end(&admin, how, &name, &token.grant_id).await;
            let ended = head(&admin).await;
            // Sent on whatever the server says: it may have ended the call by now.
            call.send(submissions(LATE)).await;
            passes_through(&mut connection).await;
            for _ in 0..20 {
                other.submit(submission()).await.unwrap();
            }
            assert_eq!(head(&admin).await, ended + 20, "{window} {how:?}");
            if window > 0 {
                let (status, _) = call.status().await;
                assert_eq!(status, Code::Unauthenticated as i32, "{how:?}");
            }
        }
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_whose_request_comes_late_ends_with_the_grant() {
    let world = World::start().await;
    let admin = world.admin().await;
    for how in [End::Revocation, End::Closing] {
        let name = format!("worker-{how:?}");
        let token = world.token(&name, Role::CaseWorker, "org-1").await;
        let connection = Connection::over(world.stream().await).await;
        let mut connection = connection.by_token(&token.token);
        let request = framed(&submission());
        let (mut waiting, mut late) =
            (connection.call(SUBMIT).await, connection.call(SUBMIT).await);
        assert!(waiting.send(request.slice(..request.len() / 2)).await);
        assert!(late.send(request.slice(..3)).await);
        // Both are under way.
        passes_through(&mut connection).await;
        end(&admin, how, &name, &token.grant_id).await;
        let ended = head(&admin).await;
        late.send(request.slice(3..)).await;
        // The one ends though nothing more of it comes.
        for call in [waiting, late] {
            let (status, _) = call.status().await;
            assert_eq!(status, Code::Unauthenticated as i32, "{how:?}");
        }
        assert_eq!(head(&admin).await, ended, "{how:?}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_submissions_ends_with_the_time_of_its_jwt() {
    let (hands, clock) = watch::channel(Clock::wall().now());
    let world = World::by_clock(Clock::set_by_hand(clock)).await;
    let admin = world.admin().await;
    for window in [0, 65_535] {
        let claims = claims("worker", Role::CaseWorker, "org-1");
        let expires = Moment(claims["exp"].as_i64().unwrap() * 1_000_000);
        hands.send_replace(Clock::wall().now());
        let jwt = world.signer.sign(&world.signer.header(), &claims);
        let connection = Connection::with_window(world.stream().await, window).await;
        let mut connection = connection.by_token(&jwt);
        let mut call = connection.call(SUBMIT_STREAM).await;
        let before = head(&admin).await;
        assert!(call.send(submissions(1)).await);
        until(async || head(&admin).await != before).await;
        hands.send_replace(expires);
        call.send(submissions(LATE)).await;
        passes_through(&mut connection).await;
        let name = format!("other-{window}");
        let other = world.caller(&name, Role::CaseWorker, "org-1").await;
        let ended = head(&admin).await;
        other.submit(submission()).await.unwrap();
        assert_eq!(head(&admin).await, ended + 1);
        // The account of the other one and its grant are all that came.
        assert_eq!(ended, before + 3);
        if window > 0 {
            let (status, _) = call.status().await;
            assert_eq!(status, Code::Unauthenticated as i32);
        }
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_ends_with_its_time_also_on_connections_that_stand() {
    let (hands, clock) = watch::channel(Clock::wall().now());
    let world = World::by_clock(Clock::set_by_hand(clock)).await;
    let mut params = client_params("worker");
    // Until then the wall clock, by which connections are made, does not come.
    params.not_after = rcgen::date_time_ymd(2399, 1, 1);
    let pair = world.client_root.sign(&params);
    world
        .enrol(&pair, "worker", Role::CaseWorker, "org-1")
        .await;
    let caller = Caller::new(world.channel_of(&pair).await.unwrap(), None);
    let mut monitor = caller.monitor();
    let opened = monitor.watch_status(WatchStatusRequest::default()).await;
    let mut answers = opened.unwrap().into_inner();
    answers.message().await.unwrap();
    caller.submit(submission()).await.unwrap();
    let not_after = Moment(params.not_after.unix_timestamp() * 1_000_000);
    hands.send_replace(Moment(not_after.0 - 1_000_000));
    caller.submit(submission()).await.unwrap();
    hands.send_replace(Moment(not_after.0 + 2_000_000));
    hands.send_replace(Moment(not_after.0 + 10_000_000));
    let refused = caller.submit(submission()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let ended = loop {
        match answers.message().await {
            Ok(Some(_)) => {}
            ended => break ended,
        }
    };
    assert_eq!(ended.unwrap_err().code(), Code::Unauthenticated);
    world.end().await;
}

#[tokio::test]
async fn no_session_is_resumed_where_clients_show_certificates() {
    let world = World::start().await;
    let pair = world.client_root.client("worker");
    let connector = TlsConnector::from(Arc::new(world.client_config_of(&pair)));
    for _ in 0..3 {
        let stream = TcpStream::connect(world.address).await.unwrap();
        let name = "localhost".try_into().unwrap();
        let mut stream = connector.connect(name, stream).await.unwrap();
        // What the server says first comes after the tickets, had there been any.
        stream.read_u8().await.unwrap();
        let handshake = stream.get_ref().1.handshake_kind();
        assert_eq!(handshake, Some(HandshakeKind::Full));
    }
    world.end().await;
}
