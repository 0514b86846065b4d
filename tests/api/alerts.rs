//! Alerts, rule by rule: when each is raised and when it is cleared, while the days go by on a clock
//! that is set by hand.

use casetrail::wire::v1::{self, Alert, AlertRule, CaseKind, EventType as E, event::Payload};
use tempfile::TempDir;

use crate::alert_world::{World, alert, clause, of_case, on, only, signed, told};
use crate::support::{fresh_uuid, valid_payload};

fn reason() -> i32 {
    match valid_payload(E::HandoverPostponed) {
        Payload::HandoverPostponed(postponed) => postponed.reason,
        _ => unreachable!(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_visited_for_so_many_days() {
    const RULE: AlertRule = AlertRule::NoVisit;
    let folder = TempDir::new().unwrap();
    // Given a detention that was acknowledged on 1 January,
    let world = World::on("2024-01-10", folder.path()).await;
    let (case, events) = world.open("2024-01-01", &[E::DetentionAcknowledged]).await;
    let mut watch = world.watch(RULE).await;
    assert_eq!(told(&mut watch).await.1, []);

    // when ninety days have passed without a visit, then that is pointed out, on that day.
    let first = alert(&case, RULE, "2024-03-31", &events[0]);
    assert_eq!(world.listed_on(RULE, "2024-03-30").await, []);
    assert_eq!(world.listed_on(RULE, "2024-03-31").await, only(&first));
    world.day_is("2024-03-30");
    world.day_is("2024-03-31");
    assert_eq!(told(&mut watch).await.1, only(&first));

    // When somebody tells of a visit, not confirmed, then it stands.
    let mut rumour = on("2024-03-30", valid_payload(E::VisitedAndRegistered));
    rumour.set_credibility(v1::Credibility::Likely);
    world.server.client.submit(of_case(&case, rumour)).await;
    assert_eq!(world.listed_on(RULE, "").await, only(&first));

    // When a visit in March is confirmed, then it is cleared, until ninety days after that.
    let payload = valid_payload(E::VisitedAndRegistered);
    let visit = world.record(&case, "2024-03-20", payload).await;
    let (cleared, raised, _) = told(&mut watch).await;
    assert_eq!((cleared, raised), (vec![first], vec![]));
    world.day_is("2024-06-18");
    let second = alert(&case, RULE, "2024-06-18", &visit);
    assert_eq!(told(&mut watch).await.1, only(&second));

    // When the person is listed for release it stands, since they are held; once they are released
    // it is cleared.
    world
        .record(&case, "2024-06-18", valid_payload(E::ReleaseListed))
        .await;
    assert_eq!(world.listed_on(RULE, "").await, only(&second));
    world
        .record(&case, "2024-06-18", valid_payload(E::Released))
        .await;
    assert_eq!(told(&mut watch).await.0, [second]);
    assert_eq!(world.listed_on(RULE, "2030-01-01").await, []);
    drop(watch);
    world.server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_and_not_registered() {
    const RULE: AlertRule = AlertRule::NotRegistered;
    let folder = TempDir::new().unwrap();
    let world = World::on("2024-01-10", folder.path()).await;
    let (case, events) = world.open("2024-01-01", &[E::DetentionAcknowledged]).await;
    let mut watch = world.watch(RULE).await;
    told(&mut watch).await;
    assert_eq!(world.listed_on(RULE, "2024-01-30").await, []);
    world.day_is("2024-01-31");
    let expected = alert(&case, RULE, "2024-01-31", &events[0]);
    assert_eq!(told(&mut watch).await.1, only(&expected));

    // A visit that registers the person clears it, and its retraction brings it back.
    let payload = valid_payload(E::VisitedAndRegistered);
    let visit = world.record(&case, "2024-01-30", payload).await;
    assert_eq!(told(&mut watch).await.0, only(&expected));
    let retraction = Payload::EventRetracted(v1::EventRetracted {
        target_event_id: visit,
        reason: v1::RetractionReason::RecordedTwice.into(),
    });
    world.record(&case, "2024-01-31", retraction).await;
    assert_eq!(told(&mut watch).await.1, only(&expected));

    // A case that is closed has no alerts.
    world
        .record(&case, "2024-01-31", valid_payload(E::CaseClosed))
        .await;
    assert_eq!(told(&mut watch).await.0, [expected]);
    drop(watch);
    world.server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handover_postponed_twice() {
    const RULE: AlertRule = AlertRule::HandoverPostponed;
    let folder = TempDir::new().unwrap();
    let world = World::on("2024-01-10", folder.path()).await;
    let events = [
        E::DetentionAcknowledged,
        E::ReleaseListed,
        E::HandoverScheduled,
        E::HandoverPostponed,
        E::HandoverScheduled,
    ];
    let (case, _) = world.open("2024-01-01", &events).await;
    let mut watch = world.watch(RULE).await;
    assert_eq!(told(&mut watch).await.1, []);
    let payload = valid_payload(E::HandoverPostponed);
    let second = world.record(&case, "2024-01-05", payload).await;
    let expected = alert(&case, RULE, "2024-01-05", &second);
    assert_eq!(told(&mut watch).await.1, only(&expected));

    // A third time changes nothing; the start of the handover clears it.
    for event in [
        E::HandoverScheduled,
        E::HandoverPostponed,
        E::HandoverScheduled,
    ] {
        world
            .record(&case, "2024-01-06", valid_payload(event))
            .await;
    }
    assert_eq!(world.listed_on(RULE, "").await, only(&expected));
    let wishes = Payload::WishesRecorded(v1::WishesRecorded {
        in_private: Some(true),
        outcome: v1::WishesOutcome::Return.into(),
    });
    world.record(&case, "2024-01-06", wishes).await;
    world
        .record(&case, "2024-01-07", valid_payload(E::HandoverStarted))
        .await;
    assert_eq!(told(&mut watch).await.0, [expected]);
    drop(watch);
    world.server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contested_for_so_many_days_from_the_recording_on() {
    const RULE: AlertRule = AlertRule::Contested;
    let folder = TempDir::new().unwrap();
    let world = World::on("2024-02-01", folder.path()).await;
    let (case, _) = world.open("2024-01-01", &[E::DetentionAcknowledged]).await;
    // A denial of early January becomes known on 1 February, and another event after it.
    let denial = world
        .record(&case, "2024-01-05", valid_payload(E::DetentionDenied))
        .await;
    world.day_is("2024-02-03");
    world
        .record(&case, "2024-02-03", valid_payload(E::ProofOfLifeReceived))
        .await;
    let mut watch = world.watch(RULE).await;
    told(&mut watch).await;
    assert_eq!(world.listed_on(RULE, "2024-02-14").await, []);
    world.day_is("2024-02-15");
    let expected = alert(&case, RULE, "2024-02-15", &denial);
    assert_eq!(told(&mut watch).await.1, only(&expected));

    let resolved = Payload::DisputeResolved(v1::DisputeResolved {
        dispute_event_id: denial,
        ..match valid_payload(E::DisputeResolved) {
            Payload::DisputeResolved(resolved) => resolved,
            _ => unreachable!(),
        }
    });
    world.record(&case, "2024-02-15", resolved).await;
    assert_eq!(told(&mut watch).await.0, [expected]);
    drop(watch);
    world.server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn identified_and_the_family_not_informed() {
    const RULE: AlertRule = AlertRule::FamilyNotInformed;
    let folder = TempDir::new().unwrap();
    let world = World::on("2024-02-01", folder.path()).await;
    let events = [
        E::RemainsRecovered,
        E::PostMortemCompleted,
        E::IdentificationEstablished,
    ];
    let (case, events) = world.open("2024-01-25", &events).await;
    let mut watch = world.watch(RULE).await;
    told(&mut watch).await;
    assert_eq!(world.listed_on(RULE, "2024-02-07").await, []);
    world.day_is("2024-02-08");
    let expected = Alert {
        kind: CaseKind::Remains.into(),
        ..alert(&case, RULE, "2024-02-08", &events[2])
    };
    assert_eq!(told(&mut watch).await.1, only(&expected));
    let payload = valid_payload(E::FamilyInformed);
    world.record(&case, "2024-02-08", payload).await;
    assert_eq!(told(&mut watch).await.0, [expected]);

    // Identified anew, the family is to be informed anew.
    for event in [E::IdentificationRevoked, E::IdentificationEstablished] {
        world
            .record(&case, "2024-02-08", valid_payload(event))
            .await;
    }
    world.day_is("2024-02-22");
    assert_eq!(told(&mut watch).await.1.len(), 1);
    drop(watch);
    world.server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consent_withdrawn_while_a_referral_goes_on() {
    const RULE: AlertRule = AlertRule::ConsentWithdrawn;
    let folder = TempDir::new().unwrap();
    let world = World::on("2024-02-01", folder.path()).await;
    let (case, _) = world.open("2024-01-25", &[E::DetentionAcknowledged]).await;
    let consent = world
        .record(&case, "2024-01-26", valid_payload(E::ConsentRecorded))
        .await;
    let offered = Payload::ReferralOffered(v1::ReferralOffered {
        consent_event_id: consent.clone(),
        ..match valid_payload(E::ReferralOffered) {
            Payload::ReferralOffered(offered) => offered,
            _ => unreachable!(),
        }
    });
    let referral = world.record(&case, "2024-01-27", offered).await;
    let mut watch = world.watch(RULE).await;
    told(&mut watch).await;
    let withdrawn = Payload::ConsentWithdrawn(v1::ConsentWithdrawn {
        consent_event_id: consent,
    });
    let withdrawal = world.record(&case, "2024-01-28", withdrawn).await;
    let expected = Alert {
        subject_event_id: referral.clone(),
        ..alert(&case, RULE, "2024-02-01", &withdrawal)
    };
    assert_eq!(told(&mut watch).await.1, only(&expected));
    let revoked = Payload::ReferralRevoked(v1::ReferralRevoked {
        referral_event_id: referral,
        ..match valid_payload(E::ReferralRevoked) {
            Payload::ReferralRevoked(revoked) => revoked,
            _ => unreachable!(),
        }
    });
    world.record(&case, "2024-02-01", revoked).await;
    assert_eq!(told(&mut watch).await.0, [expected]);
    drop(watch);
    world.server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follow_up_scheduled_moved_overdue_and_done() {
    const RULE: AlertRule = AlertRule::FollowUpOverdue;
    let folder = TempDir::new().unwrap();
    let world = World::on("2024-02-01", folder.path()).await;
    let (case, _) = world.open("2024-01-25", &[E::DetentionAcknowledged]).await;
    let scheduled = |due: &str| {
        Payload::FollowUpScheduled(v1::FollowUpScheduled {
            due: due.to_owned(),
            task: v1::FollowUpTask::Visit.into(),
        })
    };
    // In February some time, so not before March.
    let follow_up = world
        .record(&case, "2024-02-01", scheduled("2024-02"))
        .await;
    // Another one that is done in time, and one without an end.
    let other = world
        .record(&case, "2024-02-01", scheduled("2024-02-10"))
        .await;
    world
        .record(&case, "2024-02-01", scheduled("2024-02-01/.."))
        .await;
    let done = |id: &str| {
        Payload::FollowUpCompleted(v1::FollowUpCompleted {
            follow_up_event_id: id.to_owned(),
        })
    };
    world.record(&case, "2024-02-01", done(&other)).await;
    let mut watch = world.watch(RULE).await;
    assert_eq!(told(&mut watch).await.1, []);
    assert_eq!(world.listed_on(RULE, "2024-02-29").await, []);
    world.day_is("2024-03-01");
    let overdue = |since: &str, due: &str, cause: &str| Alert {
        due: due.to_owned(),
        subject_event_id: follow_up.clone(),
        ..alert(&case, RULE, since, cause)
    };
    let first = overdue("2024-03-01", "2024-02", &follow_up);
    assert_eq!(told(&mut watch).await.1, only(&first));

    // Moved to the tenth, it is overdue no more, until the day after.
    let moved = Payload::FollowUpRescheduled(v1::FollowUpRescheduled {
        follow_up_event_id: follow_up.clone(),
        due: "2024-03-10".to_owned(),
        reason: reason(),
    });
    let moved = world.record(&case, "2024-03-01", moved).await;
    assert_eq!(told(&mut watch).await.0, [first]);
    assert_eq!(world.listed_on(RULE, "2024-03-10").await, []);
    world.day_is("2024-03-11");
    let second = overdue("2024-03-11", "2024-03-10", &moved);
    assert_eq!(told(&mut watch).await.1, only(&second));
    world.record(&case, "2024-03-11", done(&follow_up)).await;
    assert_eq!(told(&mut watch).await.0, [second]);
    drop(watch);
    world.server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clause_due_while_cases_are_outstanding() {
    const RULE: AlertRule = AlertRule::ClauseDue;
    let folder = TempDir::new().unwrap();
    let world = World::on("2024-02-01", folder.path()).await;
    let clauses = vec![
        clause("ihl", "2024-04-30", v1::ClauseBasis::Ihl, true),
        clause("agreed", "2024-05-31", v1::ClauseBasis::Agreement, true),
        clause("listed", "2024-04-30", v1::ClauseBasis::Ihl, false),
        clause("undated", "", v1::ClauseBasis::Ihl, true),
    ];
    let agreement = fresh_uuid().to_string();
    let signed = world
        .record(&agreement, "2024-01-01", signed(clauses))
        .await;
    let expected = |reference: &str, since: &str, due: &str| Alert {
        kind: CaseKind::Agreement.into(),
        due: due.to_owned(),
        clause_reference: reference.to_owned(),
        ..alert(&agreement, RULE, since, &signed)
    };
    let ihl = expected("ihl", "2024-03-31", "2024-04-30");
    let agreed = expected("agreed", "2024-05-01", "2024-05-31");
    let mut watch = world.watch(RULE).await;
    told(&mut watch).await;

    // Nothing is outstanding while nobody is held; one who is held is, by the rule, from thirty days
    // before the due date on.
    assert_eq!(world.listed_on(RULE, "2025-01-01").await, []);
    let (case, _) = world.open("2024-01-25", &[E::DetentionAcknowledged]).await;
    assert_eq!(world.listed_on(RULE, "2024-03-30").await, []);
    world.day_is("2024-03-31");
    assert_eq!(told(&mut watch).await.1, only(&ihl));
    world.day_is("2024-05-01");
    assert_eq!(told(&mut watch).await.1, only(&agreed));

    // While the agreement is suspended, the duty that rests on it alone does, and the other doesn't.
    let agreement_events = [E::AgreementEnteredIntoForce, E::AgreementSuspended];
    for event in agreement_events {
        world
            .record(&agreement, "2024-05-01", valid_payload(event))
            .await;
    }
    assert_eq!(told(&mut watch).await.0, only(&agreed));
    world
        .record(&agreement, "2024-05-01", valid_payload(E::AgreementResumed))
        .await;
    assert_eq!(told(&mut watch).await.1, only(&agreed));

    // One who is merged into a released one is outstanding no more; another one put under the
    // clause one by one is.
    let events = [E::DetentionAcknowledged, E::Released];
    let (released, _) = world.open("2024-04-01", &events).await;
    let merged = Payload::CasesMerged(v1::CasesMerged {
        other_case_id: case.clone(),
        role: v1::MergeRole::Survivor.into(),
    });
    world.record(&released, "2024-05-01", merged).await;
    assert_eq!(told(&mut watch).await.0, [ihl, agreed]);
    let (remains, _) = world.open("2024-04-01", &[E::RemainsRecovered]).await;
    let covered = Payload::CaseCovered(v1::CaseCovered {
        agreement_case_id: agreement.clone(),
        clause_reference: "listed".to_owned(),
    });
    world.record(&remains, "2024-05-01", covered).await;
    let listed = expected("listed", "2024-03-31", "2024-04-30");
    assert_eq!(told(&mut watch).await.1, only(&listed));
    world
        .record(&remains, "2024-05-01", valid_payload(E::ReturnedToParty))
        .await;
    assert_eq!(told(&mut watch).await.0, [listed]);
    drop(watch);
    world.server.end().await;
}
