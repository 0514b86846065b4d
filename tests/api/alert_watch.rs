//! Watches of alerts over random histories, while days go by: whatever is recorded, however often a
//! watcher is cut off and wherever, what it was told adds up to what holds.

use std::collections::BTreeSet;

use casetrail::domain::AlertThresholds;
use casetrail::wire::v1::{
    self, AlertPoint, AlertRule, AsOf, CaseFilter, CaseKind, EventType as E, ListAlertsRequest,
    ListAlertsResponse, WatchAlertsRequest, as_of::KnownAt, event::Payload,
    watch_alerts_response::Item,
};
use tempfile::TempDir;
use tokio::sync::mpsc::{self, error::TryRecvError};
use tokio::time::timeout;
use tonic::Code;

use crate::alert_history::History;
use crate::alert_watcher::{Alerts, Watcher, key, set};
use crate::alert_world::{PATIENCE, World, day, of_case, on, told, watch_from};
use crate::bad_input::check_status;
use crate::harness::Client;
use crate::support::{fresh_uuid, valid_payload};

/// How often a watcher is cut off in a history.
const CUTS: u64 = 12;

/// At how many points it is held against the list.
const CHECKED_MAX: usize = 40;

/// All alerts that hold, by pages.
async fn listed(client: &Client, filter: &CaseFilter, at: Option<&AlertPoint>) -> Alerts {
    let mut request = ListAlertsRequest {
        page_size: 1_000,
        filter: Some(filter.clone()),
        as_of: at.map(|at| AsOf {
            known_at: Some(KnownAt::Position(at.position)),
            ..AsOf::default()
        }),
        day: at.map(|at| at.day.clone()).unwrap_or_default(),
        ..Default::default()
    };
    let mut alerts = Vec::new();
    loop {
        let page = client.monitor().list_alerts(request.clone()).await;
        let ListAlertsResponse {
            alerts: more,
            next_page_token,
            ..
        } = page.unwrap().into_inner();
        alerts.extend(more);
        request.page_token = next_page_token;
        if request.page_token.is_empty() {
            return set(alerts);
        }
    }
}

/// The clauses, each with its agreement, that are due with cases outstanding once all due dates have
/// passed: by the counts of the agreements, and by how these stand.
async fn due_clauses(client: &Client, agreements: &[String]) -> BTreeSet<(String, String)> {
    let mut due = BTreeSet::new();
    for agreement in agreements {
        let request = v1::GetCaseRequest {
            case_id: agreement.clone(),
            ..Default::default()
        };
        // What was refused at its opening is no case.
        let Ok(case) = client.cases().get_case(request).await else {
            continue;
        };
        let standing = case.into_inner().case.unwrap().standing.unwrap();
        if standing.closed || !standing.merged_into.is_empty() {
            continue;
        }
        let rests = [
            v1::CaseStatus::AgreementSuspended,
            v1::CaseStatus::AgreementEnded,
        ]
        .contains(&standing.confirmed());
        let request = v1::GetAgreementCoverageRequest {
            agreement_case_id: agreement.clone(),
            ..Default::default()
        };
        let coverage = client.cases().get_agreement_coverage(request).await;
        for counted in coverage.unwrap().into_inner().clauses {
            let clause = counted.clause.unwrap();
            let in_force = clause.basis() == v1::ClauseBasis::Ihl || !rests;
            if counted.outstanding > 0 && in_force {
                due.insert((agreement.clone(), clause.reference));
            }
        }
    }
    due
}

/// How many rules' alerts were met.
async fn watched_through(seed: u64, steps: usize) -> [bool; 9] {
    let folder = TempDir::new().unwrap();
    let world = World::on("2024-06-01", folder.path()).await;
    let client = world.server.client.clone();
    let mut history = History::new(seed);
    let everything = CaseFilter::default();
    let detentions = CaseFilter {
        kinds: vec![CaseKind::Detention.into()],
        ..Default::default()
    };
    let held = CaseFilter {
        statuses: vec![v1::CaseStatus::DetentionAcknowledged.into()],
        ..Default::default()
    };
    let (end, marker) = tokio::sync::watch::channel(None);
    let watchers = [
        (&everything, 0),
        (&everything, CUTS),
        (&detentions, CUTS),
        (&held, CUTS),
    ];
    let (under_load, mut cuts_to_come) = mpsc::channel(1);
    let watchers: Vec<_> = (seed * 10..)
        .zip(watchers)
        .map(|(seed, (filter, cuts))| {
            let (filter, under_load) = (filter.clone(), under_load.clone());
            let watcher = Watcher::new(world.server.address, filter, seed, cuts, under_load);
            tokio::spawn(watcher.run(marker.clone()))
        })
        .collect();
    drop(under_load);
    let mut steps_left = steps;
    while steps_left > 0 || cuts_to_come.try_recv() != Err(TryRecvError::Disconnected) {
        history.step(&world).await;
        steps_left = steps_left.saturating_sub(1);
    }
    end.send(Some(history.end(&world).await)).unwrap();
    let mut met = [false; 9];
    for watcher in watchers {
        let watcher = timeout(PATIENCE, watcher).await;
        let watcher = watcher.expect("it is told the end").unwrap();
        assert_eq!(watcher.cuts_left, 0, "cut off as often as it should be");
        let holds = listed(&client, &watcher.filter, None).await;
        assert_eq!(watcher.alerts, holds, "seed {seed}");
        let every = watcher.complete.len() / CHECKED_MAX + 1;
        for (point, alerts) in watcher.complete.iter().step_by(every) {
            let held = listed(&client, &watcher.filter, Some(point)).await;
            assert_eq!(*alerts, held, "seed {seed} at {point:?}");
            for alert in alerts.values() {
                met[alert.rule as usize] = true;
            }
        }
        assert!(watcher.changes > 0);
    }
    // The counts of clauses that go on with each step are those of a pass over all cases.
    let far = ListAlertsRequest {
        rules: vec![AlertRule::ClauseDue.into()],
        day: "2030-01-01".to_owned(),
        page_size: 1_000,
        ..Default::default()
    };
    let raised = client
        .monitor()
        .list_alerts(far)
        .await
        .unwrap()
        .into_inner();
    let raised = raised.alerts.into_iter();
    let raised: BTreeSet<_> = raised.map(|it| (it.case_id, it.clause_reference)).collect();
    assert_eq!(raised, due_clauses(&client, &history.agreements).await);
    assert!(
        history.recorded > steps / 4,
        "{} recorded",
        history.recorded
    );
    world.server.end().await;
    met
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_watchers_were_told_adds_up_to_what_holds_however_often_they_were_cut_off() {
    let seeds = std::env::var("CASETRAIL_TEST_ALERT_SEEDS");
    let seeds = seeds.map_or(3, |seeds| seeds.parse().unwrap());
    let mut met = [false; 9];
    for seed in 1..=seeds {
        for (met, now) in met.iter_mut().zip(watched_through(seed, 300).await) {
            *met |= now;
        }
    }
    assert_eq!(met[1..], [true; 8], "every rule was met");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restart_with_other_thresholds_a_watcher_is_told_what_they_change() {
    let folder = TempDir::new().unwrap();
    let world = World::on("2024-06-01", folder.path()).await;
    let rules = [AlertRule::NotRegistered];
    for occurred in ["2024-04-01", "2024-05-10"] {
        world.open(occurred, &[E::DetentionAcknowledged]).await;
    }
    let mut watch = watch_from(&world.server.client, None, None, &rules).await;
    let (_, first, cursor) = told(&mut watch).await;
    assert_eq!(first.len(), 1);
    drop(watch);
    world.server.end().await;

    // A week is enough, and the clock is behind what it was.
    let thresholds = AlertThresholds {
        not_registered_days: 7,
        ..AlertThresholds::default()
    };
    let world = World::with("2024-05-30", folder.path(), thresholds).await;
    let client = &world.server.client;
    let mut watch = watch_from(client, Some(cursor.clone()), None, &rules).await;
    let (cleared, raised, after) = told(&mut watch).await;
    assert_eq!(cleared, first);
    let since: Vec<_> = raised.iter().map(|alert| alert.since.as_str()).collect();
    assert_eq!(since, ["2024-04-08", "2024-05-17"]);
    let thresholds = after.from.as_ref().unwrap().thresholds.unwrap();
    assert_eq!(thresholds.not_registered_days, 7);
    // The day of the newest record is the least that it can be.
    assert_eq!(after.from.unwrap().day, "2024-06-01");
    drop(watch);

    // What is cut off between is gone on with: the second of three changes, and the third.
    let mut mid = None;
    let mut watch = watch_from(client, Some(cursor.clone()), None, &rules).await;
    while mid.is_none() {
        let answer = watch.message().await.unwrap().unwrap();
        mid = matches!(answer.item, Some(Item::Cleared(_))).then(|| answer.cursor.unwrap());
    }
    assert_eq!(mid.as_ref().unwrap().told, 1);
    drop(watch);
    let mut watch = watch_from(client, mid, None, &rules).await;
    let (cleared, rest, _) = told(&mut watch).await;
    assert_eq!((cleared, rest), (vec![], raised));
    drop(watch);

    let mut beyond = cursor.clone();
    beyond.from.as_mut().unwrap().position = 1_000;
    let mut no_day = cursor;
    no_day.from.as_mut().unwrap().day = "yesterday".to_owned();
    for (cursor, code, reason) in [
        (beyond, Code::OutOfRange, "POSITION_BEYOND_HEAD"),
        (no_day, Code::InvalidArgument, "INVALID_FIELDS"),
    ] {
        let request = WatchAlertsRequest {
            cursor: Some(cursor),
            ..Default::default()
        };
        let refused = client.monitor().watch_alerts(request).await.unwrap_err();
        check_status(reason, &refused, code, reason);
    }
    world.server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watcher_who_reads_nothing_for_a_while_holds_nobody_up_and_misses_nothing() {
    const CASES: usize = 40;
    let folder = TempDir::new().unwrap();
    let world = World::on("2024-06-01", folder.path()).await;
    let client = &world.server.client;
    let rules = [AlertRule::FollowUpOverdue];
    let mut stalled = Vec::new();
    for _ in 0..3 {
        let mut watch = watch_from(client, None, None, &rules).await;
        assert_eq!(told(&mut watch).await.1, []);
        stalled.push(watch);
    }
    // Far more than is on its way to a client at once: a hundred follow-ups a case, of which each is
    // overdue on one of ten days.
    let scheduled = |index: usize| {
        let due = casetrail::wire::day::Day(day("2024-06-01").0 + (index % 10) as i32);
        let payload = Payload::FollowUpScheduled(v1::FollowUpScheduled {
            due: due.to_string(),
            task: v1::FollowUpTask::Visit.into(),
        });
        on("2024-06-01", payload)
    };
    for _ in 0..CASES {
        let case_id = fresh_uuid().to_string();
        world
            .record(
                &case_id,
                "2024-06-01",
                valid_payload(E::DetentionAcknowledged),
            )
            .await;
        let mut submission = of_case(&case_id, scheduled(0));
        let events = &mut submission.changes[0].events;
        events.extend((1..100).map(scheduled));
        client.submit(submission).await;
    }
    for today in 2..=11 {
        world.day_is(&format!("2024-06-{today:02}"));
        let (case_id, opening) = (fresh_uuid().to_string(), E::DetentionAcknowledged);
        world
            .record(&case_id, "2024-06-01", valid_payload(opening))
            .await;
    }
    let mut quick = watch_from(client, None, None, &rules).await;
    let all = set(told(&mut quick).await.1);
    assert_eq!(all.len(), CASES * 100);
    for mut watch in stalled {
        let mut alerts = Alerts::new();
        while alerts.len() < all.len() {
            let (cleared, raised, _) = told(&mut watch).await;
            assert_eq!(cleared, []);
            for alert in raised {
                let known = alerts.insert(key(&alert), alert);
                assert_eq!(known, None, "it was told already");
            }
        }
        assert_eq!(alerts, all);
    }
    drop(quick);
    world.server.end().await;
}
