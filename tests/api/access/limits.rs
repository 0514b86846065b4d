//! Limits on callers: their rate, the lock-out of who guesses, and what the log is told of refusals.

use casetrail::access::CallLimits;
use casetrail::wire::v1::{ListAccountsRequest, Role, WatchStatusRequest};
use tonic::Code;
use tonic_types::StatusExt;

use super::world::{World, until};
use crate::support::http2::{Connection, framed};

#[tokio::test]
async fn an_account_that_calls_too_often_is_told_when_to_try_again_and_others_go_on() {
    let world = World::with_limits(CallLimits {
        per_second: 1,
        burst: 3,
        ..CallLimits::default()
    })
    .await;
    let eager = world
        .by_token(&world.jwt("eager", Role::CaseWorker, "org-1"))
        .await;
    let calm = world
        .by_token(&world.jwt("calm", Role::CaseWorker, "org-1"))
        .await;
    let mut refused = None;
    for _ in 0..50 {
        if let Err(status) = eager.is_known().await {
            refused = Some(status);
            break;
        }
    }
    let refused = refused.expect("a limit");
    assert_eq!(refused.code(), Code::ResourceExhausted);
    let details = refused.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "CALLED_TOO_OFTEN");
    let delay = details.retry_info().unwrap().retry_delay.unwrap();
    assert!(!delay.is_zero() && delay.as_secs() <= 1, "{delay:?}");
    calm.is_known().await.unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_has_all_its_streams_open_is_told_so_and_others_go_on() {
    let world = World::with_limits(CallLimits {
        streams_max: 2,
        ..CallLimits::default()
    })
    .await;
    let jwt = |name| world.jwt(name, Role::CaseWorker, "org-1");
    let eager = world.by_token(&jwt("eager")).await;
    let watch = || {
        let mut monitor = eager.monitor();
        async move { monitor.watch_status(WatchStatusRequest::default()).await }
    };
    let open = [watch().await.unwrap(), watch().await.unwrap()];
    // It counts over all connections and all methods.
    let elsewhere = world.by_token(&jwt("eager")).await;
    for status in [
        watch().await.unwrap_err(),
        elsewhere.is_known().await.unwrap_err(),
    ] {
        assert_eq!(status.code(), Code::ResourceExhausted);
        let info = status.get_details_error_info().unwrap();
        assert_eq!(info.reason, "TOO_MANY_STREAMS_OF_ACCOUNT");
        assert_eq!(info.metadata["limit"], "2");
    }
    eager.listed().await;
    let calm = world.by_token(&jwt("calm")).await;
    calm.is_known().await.unwrap();
    drop(open);
    // A place is free a moment after its stream was ended.
    until(async || watch().await.is_ok()).await;
    world.end().await;
}

#[tokio::test]
async fn calls_that_a_role_may_not_make_count_as_any() {
    let world = World::with_limits(CallLimits {
        per_second: 1,
        burst: 3,
        ..CallLimits::default()
    })
    .await;
    let jwt = world.jwt("monitor", Role::Monitor, "org-1");
    let monitor = world.by_token(&jwt).await;
    let mut codes = Vec::new();
    for _ in 0..50 {
        codes.push(
            monitor
                .get("0190a000-0000-7000-8000-00000000000d")
                .await
                .unwrap_err()
                .code(),
        );
    }
    assert_eq!(codes[0], Code::PermissionDenied);
    assert!(codes.contains(&Code::ResourceExhausted), "{codes:?}");
    world.end().await;
}

#[tokio::test]
async fn who_guesses_is_locked_out_with_whatever_they_have() {
    let world = World::with_limits(CallLimits {
        failures_max: 5,
        ..CallLimits::default()
    })
    .await;
    let right = world.by_token(&world.admin_token).await;
    right.is_known().await.unwrap();
    let nobody = super::world::Caller::new(world.channel().await, None);
    for _ in 0..10 {
        // Who presents nothing guesses nothing.
        assert!(nobody.is_known().await.is_err());
    }
    right.is_known().await.unwrap();
    for guess in 0..5 {
        right.is_known().await.unwrap();
        let guessing = world.by_token(&format!("casetrail_guess-{guess}")).await;
        assert!(guessing.is_known().await.is_err());
    }
    // Who is elsewhere goes on.
    let elsewhere = world.stream_from([127, 0, 0, 2]).await.unwrap();
    let elsewhere = Connection::over(elsewhere).await;
    let mut elsewhere = elsewhere.by_token(&world.admin_token);
    let mut call = elsewhere
        .call("casetrail.v1.AdminService/ListAccounts")
        .await;
    call.send(framed(&ListAccountsRequest {})).await;
    call.complete();
    assert_eq!(call.status().await.0, Code::Ok as i32);
    // What they would learn by a right guess is what any wrong one told.
    let locked = right.is_known().await.unwrap_err();
    assert_eq!(locked.code(), Code::Unauthenticated);
    assert_eq!(
        locked.details(),
        nobody.is_known().await.unwrap_err().details()
    );
    world.end().await;
}
