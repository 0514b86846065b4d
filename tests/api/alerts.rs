//! Alerts, rule by rule: when each is raised and when it is cleared, while the days go by on a clock
//! that is set by hand.

use std::path::Path;
use std::time::Duration;

use casetrail::domain::AlertThresholds;
use casetrail::ledger::Clock;
use casetrail::wire::day::Day;
use casetrail::wire::moment::Moment;
use casetrail::wire::v1::{
    self, Alert, AlertCursor, AlertRule, AsOf, CaseFilter, CaseKind, EventType as E,
    ListAlertsRequest, WatchAlertsRequest, WatchAlertsResponse, event::Payload,
    watch_alerts_response::Item,
};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::timeout;
use tonic::{Code, Streaming};

use crate::bad_input::check_status;
use crate::harness::{Client, Server};
use crate::support::{event_with, fresh_uuid, opposite, valid_payload};

/// A test that waits longer than this for an answer has failed. Nothing that is asserted hangs on
/// how long anything takes.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A server whose clock is set by hand.
pub struct World {
    pub server: Server,
    hand: watch::Sender<Moment>,
}

pub fn day(text: &str) -> Day {
    Day::parse(text).unwrap()
}

impl World {
    pub async fn on(today: &str, folder: &Path) -> Self {
        Self::with(today, folder, AlertThresholds::default()).await
    }

    pub async fn with(today: &str, folder: &Path, thresholds: AlertThresholds) -> Self {
        let (hand, clock) = watch::channel(Moment::at_start_of(day(today)));
        let server = Server::start_by(Clock::set_by_hand(clock), folder, thresholds).await;
        Self { server, hand }
    }

    /// Lets it be another day.
    pub fn day_is(&self, today: &str) {
        self.hand
            .send(Moment::at_start_of(day(today)))
            .expect("the server runs");
    }

    /// Records an event that happened on a day, and gives its event_id.
    pub async fn record(&self, case_id: &str, occurred: &str, payload: Payload) -> String {
        let event = on(occurred, payload);
        let event_id = event.event_id.clone();
        self.server.client.submit(of_case(case_id, event)).await;
        event_id
    }

    /// Opens a case by events of one day, and gives its id and the event_ids.
    pub async fn open(&self, occurred: &str, events: &[E]) -> (String, Vec<String>) {
        let (case_id, mut event_ids) = (fresh_uuid().to_string(), Vec::new());
        for event in events {
            let payload = valid_payload(*event);
            event_ids.push(self.record(&case_id, occurred, payload).await);
        }
        (case_id, event_ids)
    }

    /// The alerts of a rule that hold on a day, by what is known now.
    pub async fn listed_on(&self, rule: AlertRule, day: &str) -> Vec<Alert> {
        let request = ListAlertsRequest {
            rules: vec![rule.into()],
            day: day.to_owned(),
            ..Default::default()
        };
        let list = self.server.client.monitor().list_alerts(request).await;
        list.unwrap().into_inner().alerts
    }

    pub async fn watch(&self, rule: AlertRule) -> Streaming<WatchAlertsResponse> {
        watch_from(&self.server.client, None, None, &[rule]).await
    }
}

pub fn on(occurred: &str, payload: Payload) -> v1::Event {
    v1::Event {
        occurred: occurred.to_owned(),
        received_on: String::new(),
        ..event_with(payload)
    }
}

pub fn of_case(case_id: &str, event: v1::Event) -> v1::SubmitEventsRequest {
    let change = |case_id: &str, event| v1::CaseChange {
        case_id: case_id.to_owned(),
        expected: None,
        events: vec![event],
    };
    let other = opposite(case_id, &event);
    let mut changes = vec![change(case_id, event)];
    changes.extend(other.map(|(case_id, event)| change(&case_id, event)));
    v1::SubmitEventsRequest {
        request_id: fresh_uuid().to_string(),
        changes,
    }
}

pub async fn watch_from(
    client: &Client,
    cursor: Option<AlertCursor>,
    filter: Option<CaseFilter>,
    rules: &[AlertRule],
) -> Streaming<WatchAlertsResponse> {
    let request = WatchAlertsRequest {
        cursor,
        filter,
        rules: rules.iter().map(|rule| i32::from(*rule)).collect(),
    };
    let answer = client.monitor().watch_alerts(request).await;
    answer.unwrap().into_inner()
}

/// What a watch tells until all is told: what is cleared, and what is raised; and where it is then.
pub async fn told(
    watch: &mut Streaming<WatchAlertsResponse>,
) -> (Vec<Alert>, Vec<Alert>, AlertCursor) {
    timeout(PATIENCE, told_at_length(watch))
        .await
        .expect("something is told")
}

async fn told_at_length(
    watch: &mut Streaming<WatchAlertsResponse>,
) -> (Vec<Alert>, Vec<Alert>, AlertCursor) {
    let (mut cleared, mut raised) = (Vec::new(), Vec::new());
    loop {
        let answer = watch.message().await.unwrap().unwrap();
        match answer.item.unwrap() {
            Item::Cleared(alert) => cleared.push(alert),
            Item::Raised(alert) => raised.push(alert),
            Item::Progress(_) => {}
            Item::Complete(_) => return (cleared, raised, answer.cursor.unwrap()),
        }
    }
}

/// An alert of a detention without anything but these.
fn alert(case_id: &str, rule: AlertRule, since: &str, cause: &str) -> Alert {
    Alert {
        case_id: case_id.to_owned(),
        kind: CaseKind::Detention.into(),
        rule: rule.into(),
        since: since.to_owned(),
        cause_event_id: cause.to_owned(),
        ..Default::default()
    }
}

fn only(alert: &Alert) -> Vec<Alert> {
    vec![alert.clone()]
}

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

pub fn signed(clauses: Vec<v1::Clause>) -> Payload {
    Payload::AgreementSigned(v1::AgreementSigned {
        parties: vec!["party-a".to_owned(), "party-b".to_owned()],
        text_reference: "text-1".to_owned(),
        clauses,
    })
}

pub fn clause(reference: &str, due: &str, basis: v1::ClauseBasis, by_rule: bool) -> v1::Clause {
    let rule = v1::CoverageRule {
        kind: CaseKind::Detention.into(),
        ..Default::default()
    };
    v1::Clause {
        reference: reference.to_owned(),
        basis: basis.into(),
        due: due.to_owned(),
        rules: by_rule.then_some(rule).into_iter().collect(),
    }
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_case_that_leaves_the_filter_takes_its_alerts_along() {
    let folder = TempDir::new().unwrap();
    let world = World::on("2024-06-01", folder.path()).await;
    let (case, events) = world.open("2024-01-25", &[E::DetentionAcknowledged]).await;
    let filter = CaseFilter {
        statuses: vec![v1::CaseStatus::DetentionAcknowledged.into()],
        ..Default::default()
    };
    let client = &world.server.client;
    let rules = [AlertRule::NoVisit];
    let mut watch = watch_from(client, None, Some(filter), &rules).await;
    let expected = alert(&case, AlertRule::NoVisit, "2024-04-24", &events[0]);
    assert_eq!(told(&mut watch).await.1, only(&expected));
    world
        .record(&case, "2024-05-31", valid_payload(E::ReleaseListed))
        .await;
    assert_eq!(told(&mut watch).await.0, only(&expected));
    assert_eq!(world.listed_on(AlertRule::NoVisit, "").await, [expected]);
    drop(watch);
    world.server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_come_by_pages_as_known_then_and_on_any_day() {
    let folder = TempDir::new().unwrap();
    let world = World::on("2024-02-01", folder.path()).await;
    for _ in 0..7 {
        world.open("2024-01-01", &[E::DetentionAcknowledged]).await;
    }
    let request = |page_token: String, position: u64, day: &str| ListAlertsRequest {
        page_size: 2,
        page_token,
        rules: vec![AlertRule::NotRegistered.into(), AlertRule::NoVisit.into()],
        as_of: Some(AsOf {
            known_at: Some(v1::as_of::KnownAt::Position(position)),
            ..Default::default()
        }),
        day: day.to_owned(),
        ..Default::default()
    };
    for (position, day, expected) in [
        (7, "2024-01-30", 0),
        (7, "2024-01-31", 7),
        (3, "2024-01-31", 3),
        (3, "2024-03-31", 6),
        (7, "", 7),
    ] {
        let (mut alerts, mut page_token, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let request = request(page_token, position, day);
            let page = world.server.client.monitor().list_alerts(request).await;
            let page = page.unwrap().into_inner();
            assert_eq!(page.point.unwrap().position, position);
            alerts.extend(page.alerts);
            pages += 1;
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(alerts.len(), expected, "{position} {day}");
        assert_eq!(pages, expected.div_ceil(2).max(1));
    }
    let client = world.server.client.monitor();
    let mut unknown = request(String::new(), 7, "");
    unknown.rules.push(999);
    let mut other_list = request(String::new(), 7, "2024-01-31");
    other_list.page_token = {
        let page = client.clone().list_alerts(other_list.clone()).await;
        page.unwrap().into_inner().next_page_token
    };
    other_list.day = "2024-02-01".to_owned();
    let mut true_at = request(String::new(), 7, "");
    true_at.as_of.as_mut().unwrap().true_at = "2024-01-01".to_owned();
    for (name, request) in [
        ("a rule that is none", unknown),
        ("a token of another list", other_list),
        ("no day", request(String::new(), 7, "2024-1-1")),
        ("true at", true_at),
    ] {
        let refused = client.clone().list_alerts(request).await.unwrap_err();
        check_status(name, &refused, Code::InvalidArgument, "INVALID_FIELDS");
    }
    let beyond = client
        .clone()
        .list_alerts(request(String::new(), 8, ""))
        .await;
    let beyond = beyond.unwrap_err();
    check_status("beyond", &beyond, Code::OutOfRange, "POSITION_BEYOND_HEAD");
    world.server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_ends_within_a_case_that_has_more_alerts_than_it_holds() {
    let folder = TempDir::new().unwrap();
    let world = World::on("2024-02-01", folder.path()).await;
    // Given a case with a hundred follow-ups that are overdue, and one before and behind it with one,
    let follow_up = |index: usize| {
        let due = Day(day("2024-01-01").0 + index as i32).to_string();
        let task = v1::FollowUpTask::Visit.into();
        let scheduled = v1::FollowUpScheduled { due, task };
        on("2024-01-01", Payload::FollowUpScheduled(scheduled))
    };
    let mut expected = Vec::new();
    for count in [1, 100, 1] {
        let (case, _) = world.open("2024-01-01", &[E::DetentionAcknowledged]).await;
        let mut submission = of_case(&case, follow_up(0));
        let events = &mut submission.changes[0].events;
        events.extend((1..count).map(follow_up));
        expected.extend(events.iter().map(|event| event.event_id.clone()));
        world.server.client.submit(submission).await;
    }
    // when they are listed by pages of thirty-two, then each page but the last is full, and each alert
    // is there once, in order.
    let (mut found, mut sizes, mut page_token) = (Vec::new(), Vec::new(), String::new());
    loop {
        let request = ListAlertsRequest {
            page_size: 32,
            page_token,
            rules: vec![AlertRule::FollowUpOverdue.into()],
            day: "2025-01-01".to_owned(),
            ..Default::default()
        };
        let page = world.server.client.monitor().list_alerts(request).await;
        let page = page.unwrap().into_inner();
        sizes.push(page.alerts.len());
        found.extend(page.alerts.into_iter().map(|it| it.subject_event_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(sizes, [32, 32, 32, 6]);
    assert_eq!(found, expected);
    world.server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_today_is_by_the_day_that_watchers_are_told() {
    const RULE: AlertRule = AlertRule::NotRegistered;
    let folder = TempDir::new().unwrap();
    let world = World::on("2024-01-31", folder.path()).await;
    let (case, events) = world.open("2024-01-01", &[E::DetentionAcknowledged]).await;
    let expected = alert(&case, RULE, "2024-01-31", &events[0]);
    let mut watch = world.watch(RULE).await;
    assert_eq!(told(&mut watch).await.1, only(&expected));
    // A clock that is set back takes no alert away, neither from a watcher nor from a list.
    world.day_is("2024-01-10");
    assert_eq!(world.listed_on(RULE, "").await, only(&expected));
    let mut late = world.watch(RULE).await;
    assert_eq!(told(&mut late).await.1, [expected]);
    drop((watch, late));
    world.server.end().await;
}
