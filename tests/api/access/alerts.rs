//! Alerts of a clause that is due, by what each caller sees: an agreement of one's own tells nothing of
//! the cases of others.

use casetrail::wire::v1::{
    Alert, AlertRule, CaseKind, CoverageRule, Event, EventType as E, LegalCategory,
    ListAlertsRequest, Role, WatchAlertsRequest, WatchAlertsResponse, event::Payload,
};
use tonic::Streaming;

use super::referral::of_referral;
use super::scope::{offered_to, opened, record, transferred_to};
use super::world::{Caller, World};
use crate::alert_world::told;
use crate::practice::words::{Telling, an, clause, signed};

/// The clauses of alerts.
fn clauses(alerts: &[Alert]) -> Vec<&str> {
    let clauses = alerts.iter().map(|alert| alert.clause_reference.as_str());
    clauses.collect()
}

async fn listed(caller: &Caller) -> Vec<Alert> {
    let request = ListAlertsRequest {
        rules: vec![AlertRule::ClauseDue.into()],
        ..ListAlertsRequest::default()
    };
    let answer = caller.monitor().list_alerts(request).await.unwrap();
    answer.into_inner().alerts
}

async fn watch(caller: &Caller) -> Streaming<WatchAlertsResponse> {
    let request = WatchAlertsRequest {
        rules: vec![AlertRule::ClauseDue.into()],
        ..WatchAlertsRequest::default()
    };
    let answer = caller.monitor().watch_alerts(request).await;
    answer.unwrap().into_inner()
}

fn a_hostage() -> Event {
    let mut event = an(E::DetentionAlleged).on("2024-03-01");
    if let Some(Payload::DetentionAlleged(alleged)) = &mut event.payload {
        alleged.category = LegalCategory::Hostage.into();
    }
    event
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clause_is_due_by_the_cases_that_the_caller_sees() {
    let world = World::start().await;
    let owner = world.caller("owner", Role::Supervisor, "org-1").await;
    let other = world.caller("other", Role::CaseWorker, "org-2").await;
    let auditor = world.caller("auditor", Role::Auditor, "org-3").await;
    // A rule as fine as whoever writes it likes, in an agreement that anybody may open.
    let rule = CoverageRule {
        kind: CaseKind::Detention.into(),
        category: LegalCategory::Hostage.into(),
        ..CoverageRule::default()
    };
    opened(&other, signed(vec![clause("1", vec![rule])])).await;
    let mut watch = [watch(&other).await, watch(&auditor).await];
    for watch in &mut watch {
        assert_eq!(told(watch).await.1, []);
    }
    let [others, auditors] = &mut watch;
    let theirs = opened(&owner, a_hostage()).await;
    assert_eq!(clauses(&told(auditors).await.1), ["1"]);
    assert_eq!(listed(&auditor).await.len(), 1);
    assert_eq!(listed(&other).await, []);
    // It is raised by one's own case, and cleared once that is met, whatever is outstanding elsewhere.
    let own = opened(&other, a_hostage()).await;
    assert_eq!(clauses(&told(others).await.1), ["1"]);
    assert_eq!(listed(&other).await.len(), 1);
    record(&other, &own, an(E::Released).on("2024-03-02"))
        .await
        .unwrap();
    assert_eq!(clauses(&told(others).await.0), ["1"]);
    assert_eq!(listed(&other).await, []);
    // A case that comes into sight counts while it is,
    let offer = record(&owner, &theirs, offered_to("org-2")).await.unwrap();
    assert_eq!(clauses(&told(others).await.1), ["1"]);
    assert_eq!(listed(&other).await.len(), 1);
    record(&owner, &theirs, of_referral(E::ReferralRevoked, &offer))
        .await
        .unwrap();
    assert_eq!(clauses(&told(others).await.0), ["1"]);
    assert_eq!(listed(&other).await, []);
    // also for who comes back, or asks what was known then.
    record(&owner, &theirs, transferred_to("org-2"))
        .await
        .unwrap();
    assert_eq!(clauses(&told(others).await.1), ["1"]);
    let mut again = self::watch(&other).await;
    assert_eq!(clauses(&told(&mut again).await.1), ["1"]);
    // One that is merged counts as the one that goes on.
    let own = opened(&other, a_hostage()).await;
    let merging = crate::together::merge(&own, &theirs);
    let supervisor = world.caller("super", Role::Supervisor, "org-2").await;
    supervisor.submit(merging).await.unwrap();
    assert_eq!(listed(&other).await.len(), 1);
    record(&other, &own, an(E::Released).on("2024-03-02"))
        .await
        .unwrap();
    assert_eq!(clauses(&told(others).await.0), ["1"]);
    assert_eq!(listed(&auditor).await, []);
    // Where the one that goes on is out of sight, nothing is outstanding.
    let given = opened(&other, a_hostage()).await;
    assert_eq!(clauses(&told(others).await.1), ["1"]);
    record(&other, &given, transferred_to("org-1"))
        .await
        .unwrap();
    let survivor = opened(&owner, a_hostage()).await;
    let merging = crate::together::merge(&survivor, &given);
    owner.submit(merging).await.unwrap();
    assert_eq!(clauses(&told(others).await.0), ["1"]);
    assert_eq!(listed(&other).await, []);
    assert_eq!(listed(&auditor).await.len(), 1);
    drop((watch, again));
    world.end().await;
}
