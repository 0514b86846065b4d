//! Watches of alerts over random histories, while days go by: whatever is recorded, however often a
//! watcher is cut off and wherever, what it was told adds up to what holds.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use casetrail::domain::AlertThresholds;
use casetrail::wire::v1::{
    self, Alert, AlertCursor, AlertPoint, AlertRule, AsOf, CaseFilter, CaseKind, EventType as E,
    ListAlertsRequest, ListAlertsResponse, WatchAlertsRequest, as_of::KnownAt, event::Payload,
    watch_alerts_response::Item,
};
use tempfile::TempDir;
use tokio::sync::mpsc::{self, error::TryRecvError};
use tokio::time::timeout;
use tonic::Code;

use crate::alerts::{PATIENCE, World, clause, day, of_case, on, signed, told, watch_from};
use crate::bad_input::check_status;
use crate::harness::{Client, Random};
use crate::proxy;
use crate::support::{fresh_uuid, valid_payload};

/// How often a watcher is cut off in a history.
const CUTS: u64 = 12;

/// At how many points it is held against the list.
const CHECKED_MAX: usize = 40;

/// What makes an alert another one, in an order.
type Key = (String, i32, String, String, String, String, String);

fn key(alert: &Alert) -> Key {
    (
        alert.case_id.clone(),
        alert.rule,
        alert.since.clone(),
        alert.due.clone(),
        alert.cause_event_id.clone(),
        alert.subject_event_id.clone(),
        alert.clause_reference.clone(),
    )
}

type Alerts = BTreeMap<Key, Alert>;

fn set(alerts: impl IntoIterator<Item = Alert>) -> Alerts {
    alerts.into_iter().map(|it| (key(&it), it)).collect()
}

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

/// A history that goes on at random, and the days with it.
struct History {
    random: Random,
    cases: Vec<Known>,
    agreements: Vec<String>,
    today: i32,
    recorded: usize,
}

/// A case, with the events that later ones may name.
struct Known {
    case_id: String,
    kind: CaseKind,
    event_ids: Vec<String>,
    consents: Vec<String>,
    referrals: Vec<String>,
    follow_ups: Vec<String>,
}

const DETENTION: [E; 12] = [
    E::DetentionAcknowledged,
    E::VisitedAndRegistered,
    E::ReleaseListed,
    E::HandoverScheduled,
    E::HandoverPostponed,
    E::HandoverScheduled,
    E::HandoverPostponed,
    E::HandoverStarted,
    E::DetentionDenied,
    E::WhereaboutsLost,
    E::Released,
    E::VisitedAndRegistered,
];
const REMAINS: [E; 7] = [
    E::RemainsRecovered,
    E::PostMortemCompleted,
    E::IdentificationEstablished,
    E::FamilyInformed,
    E::IdentificationRevoked,
    E::IdentificationEstablished,
    E::ReturnedToParty,
];
const AGREEMENT: [E; 4] = [
    E::AgreementEnteredIntoForce,
    E::AgreementSuspended,
    E::AgreementResumed,
    E::AgreementEnded,
];

impl History {
    fn new(seed: u64) -> Self {
        Self {
            random: Random(seed),
            cases: Vec::new(),
            agreements: Vec::new(),
            today: day("2024-06-01").0,
            recorded: 0,
        }
    }

    fn below(&mut self, limit: usize) -> usize {
        self.random.below(limit as u64) as usize
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        let index = self.below(of.len());
        of[index]
    }

    fn some(&mut self, of: &[String]) -> Option<String> {
        (!of.is_empty()).then(|| of[self.below(of.len())].clone())
    }

    /// A day before or after today.
    fn around(&mut self, before: usize, after: usize) -> String {
        let ahead = self.below(before + after + 1) as i32 - before as i32;
        casetrail::wire::day::Day(self.today + ahead).to_string()
    }

    /// Opens a case, or records in one, or lets days pass. What is refused changes nothing.
    async fn step(&mut self, world: &World) {
        match self.below(10) {
            0 => {
                self.today += self.below(12) as i32;
                world.day_is(&casetrail::wire::day::Day(self.today).to_string());
            }
            1 | 2 if self.cases.len() < 40 + self.recorded / 20 => self.open(world).await,
            _ if self.cases.is_empty() => self.open(world).await,
            _ => {
                let index = self.below(self.cases.len());
                let occurred = self.around(60, 0);
                if let Some(payload) = self.payload(index) {
                    self.record(world, index, &occurred, payload).await;
                }
            }
        }
    }

    async fn open(&mut self, world: &World) {
        let kind = self.one(&[
            CaseKind::Detention,
            CaseKind::Detention,
            CaseKind::Detention,
            CaseKind::Remains,
            CaseKind::Agreement,
        ]);
        self.cases.push(Known {
            case_id: fresh_uuid().to_string(),
            kind,
            event_ids: Vec::new(),
            consents: Vec::new(),
            referrals: Vec::new(),
            follow_ups: Vec::new(),
        });
        let index = self.cases.len() - 1;
        let opening = match kind {
            CaseKind::Detention => {
                let event = self.one(&[E::DetentionAlleged, E::DetentionAcknowledged]);
                valid_payload(event)
            }
            CaseKind::Remains => valid_payload(E::RemainsRecovered),
            _ => {
                self.agreements.push(self.cases[index].case_id.clone());
                let basis = self.one(&[v1::ClauseBasis::Ihl, v1::ClauseBasis::Agreement]);
                let dues = [self.around(30, 90), self.around(30, 90)];
                signed(vec![
                    clause("1", &dues[0], basis, true),
                    clause("2", &dues[1], v1::ClauseBasis::Ihl, false),
                ])
            }
        };
        let occurred = self.around(100, 0);
        self.record(world, index, &occurred, opening).await;
        if kind == CaseKind::Detention && self.below(4) == 0 {
            for event in [
                E::ReleaseListed,
                E::HandoverScheduled,
                E::HandoverPostponed,
                E::HandoverScheduled,
            ] {
                self.record(world, index, &occurred, valid_payload(event))
                    .await;
            }
        }
    }

    async fn record(&mut self, world: &World, index: usize, occurred: &str, payload: Payload) {
        let mut event = on(occurred, payload);
        if self.below(8) == 0 {
            event.set_credibility(v1::Credibility::Possible);
        }
        let event_id = event.event_id.clone();
        let payload = event.payload.clone();
        let submission = of_case(&self.cases[index].case_id, event);
        let mut cases = world.server.client.cases();
        if cases.submit_events(submission).await.is_err() {
            return;
        }
        self.recorded += 1;
        let known = &mut self.cases[index];
        match payload {
            Some(Payload::ConsentRecorded(_)) => known.consents.push(event_id.clone()),
            Some(Payload::ReferralOffered(_)) => known.referrals.push(event_id.clone()),
            Some(Payload::FollowUpScheduled(_)) => known.follow_ups.push(event_id.clone()),
            _ => {}
        }
        known.event_ids.push(event_id);
    }

    fn payload(&mut self, index: usize) -> Option<Payload> {
        if self.below(2) == 0 {
            let events: &[E] = match self.cases[index].kind {
                CaseKind::Detention => &DETENTION,
                CaseKind::Remains => &REMAINS,
                _ => &AGREEMENT,
            };
            return Some(valid_payload(self.one(events)));
        }
        let Known {
            event_ids,
            consents,
            referrals,
            follow_ups,
            ..
        } = &self.cases[index];
        let [event_ids, consents, referrals, follow_ups] =
            [event_ids, consents, referrals, follow_ups].map(Clone::clone);
        let event_id = self.some(&event_ids);
        let due = self.around(20, 30);
        let mut payload = valid_payload(self.one(&[
            E::FollowUpScheduled,
            E::FollowUpScheduled,
            E::FollowUpRescheduled,
            E::FollowUpCompleted,
            E::ConsentRecorded,
            E::ReferralOffered,
            E::ConsentWithdrawn,
            E::ReferralRevoked,
            E::EventRetracted,
            E::EventDisputed,
            E::VerificationChanged,
            E::CaseCovered,
            E::CaseUncovered,
            E::CasesMerged,
            E::CasesUnmerged,
            E::ClauseDueDateChanged,
            E::CaseClosed,
        ]));
        match &mut payload {
            Payload::FollowUpScheduled(it) => it.due = due,
            Payload::FollowUpRescheduled(it) => {
                it.follow_up_event_id = self.some(&follow_ups)?;
                it.due = due;
            }
            Payload::FollowUpCompleted(it) => it.follow_up_event_id = self.some(&follow_ups)?,
            Payload::ReferralOffered(it) => it.consent_event_id = self.some(&consents)?,
            Payload::ConsentWithdrawn(it) => it.consent_event_id = self.some(&consents)?,
            Payload::ReferralRevoked(it) => it.referral_event_id = self.some(&referrals)?,
            Payload::EventRetracted(it) => it.target_event_id = event_id?,
            Payload::EventDisputed(it) => it.target_event_id = event_id?,
            Payload::VerificationChanged(it) => it.target_event_id = event_id?,
            Payload::CaseCovered(it) => {
                it.agreement_case_id = self.some(&self.agreements.clone())?;
                it.clause_reference = "2".to_owned();
            }
            Payload::CaseUncovered(it) => {
                it.agreement_case_id = self.some(&self.agreements.clone())?;
                it.clause_reference = "2".to_owned();
            }
            Payload::CasesMerged(it) => it.other_case_id = self.other(index)?,
            Payload::CasesUnmerged(it) => {
                it.other_case_id = self.other(index)?;
                it.staying_event_ids.clear();
            }
            Payload::ClauseDueDateChanged(it) => {
                it.clause_reference = "1".to_owned();
                it.due = self.around(30, 60);
            }
            Payload::CaseClosed(_) if self.below(4) > 0 => return None,
            _ => {}
        }
        Some(payload)
    }

    /// A case of the same kind.
    fn other(&mut self, index: usize) -> Option<String> {
        let kind = self.cases[index].kind;
        let others = self.cases.iter().enumerate();
        let others = others.filter(|(at, it)| *at != index && it.kind == kind);
        let others: Vec<_> = others.map(|(_, it)| it.case_id.clone()).collect();
        self.some(&others)
    }

    /// Raises an alert of a detention that nothing before has, by which a watcher knows the end.
    async fn end(&mut self, world: &World) -> String {
        let case_id = fresh_uuid().to_string();
        let today = casetrail::wire::day::Day(self.today).to_string();
        let opening = valid_payload(E::DetentionAcknowledged);
        world.record(&case_id, &today, opening).await;
        let marker = Payload::FollowUpScheduled(v1::FollowUpScheduled {
            due: "2020-01-01".to_owned(),
            task: v1::FollowUpTask::Other.into(),
        });
        world.record(&case_id, &today, marker).await
    }
}

/// A watcher that is cut off so many times, and adds up what it is told.
struct Watcher {
    address: SocketAddr,
    filter: CaseFilter,
    random: Random,
    cuts_left: u64,
    cursor: Option<AlertCursor>,
    alerts: Alerts,
    /// What it had when all was told, with the point.
    complete: Vec<(AlertPoint, Alerts)>,
    changes: u64,
    /// Dropped once no cut is left: the history goes on as long as anybody has one.
    under_load: Option<mpsc::Sender<()>>,
}

impl Watcher {
    fn new(
        address: SocketAddr,
        filter: CaseFilter,
        seed: u64,
        cuts_left: u64,
        under_load: mpsc::Sender<()>,
    ) -> Self {
        Self {
            under_load: Some(under_load),
            address,
            filter,
            random: Random(seed),
            cuts_left,
            cursor: None,
            alerts: Alerts::new(),
            complete: Vec::new(),
            changes: 0,
        }
    }

    /// Watches until it was told the marker.
    async fn run(mut self, mut marker: tokio::sync::watch::Receiver<Option<String>>) -> Self {
        loop {
            if self.cuts_left == 0 {
                self.under_load = None;
            }
            let by_proxy = self.cuts_left > 0 && self.random.below(3) == 0;
            let address = if by_proxy {
                let bytes = 700 + self.random.below(4_000) as usize;
                proxy::that_cuts_after(bytes, self.address).await
            } else {
                self.address
            };
            let answers_max = match self.cuts_left {
                0 => u64::MAX,
                _ if by_proxy => u64::MAX,
                _ => 1 + self.random.below(6),
            };
            if self.watch(address, answers_max, &mut marker).await == Ok(true) {
                return self;
            }
            self.cuts_left = self.cuts_left.saturating_sub(1);
        }
    }

    async fn watch(
        &mut self,
        address: SocketAddr,
        answers_max: u64,
        marker: &mut tokio::sync::watch::Receiver<Option<String>>,
    ) -> Result<bool, ()> {
        let client = Client::connect(address).await.map_err(|_| ())?;
        let request = WatchAlertsRequest {
            cursor: self.cursor.clone(),
            filter: Some(self.filter.clone()),
            rules: vec![],
        };
        let answers = client.monitor().watch_alerts(request).await;
        let mut answers = answers.map_err(|_| ())?.into_inner();
        let mut taken = 0;
        while taken < answers_max {
            let ends = |marker: &Option<String>| {
                let mut alerts = self.alerts.values();
                marker
                    .as_ref()
                    .is_some_and(|id| alerts.any(|it| it.cause_event_id == *id))
            };
            let at_rest = self.cursor.as_ref().is_some_and(|it| it.to.is_none());
            if at_rest && ends(&marker.borrow()) {
                return Ok(true);
            }
            let answer = tokio::select! {
                answer = answers.message() => answer.map_err(|_| ())?.ok_or(())?,
                changed = marker.changed() => { changed.unwrap(); continue }
            };
            taken += 1;
            let cursor = answer.cursor.unwrap();
            match answer.item.unwrap() {
                Item::Raised(alert) => {
                    self.changes += 1;
                    let known = self.alerts.insert(key(&alert), alert);
                    assert_eq!(known, None, "it was raised already");
                }
                Item::Cleared(alert) => {
                    self.changes += 1;
                    let known = self.alerts.remove(&key(&alert));
                    assert_eq!(known, Some(alert), "only what holds is cleared");
                }
                Item::Complete(_) => {
                    assert_eq!(cursor.to, None);
                    let point = cursor.from.clone().unwrap();
                    self.complete.push((point, self.alerts.clone()));
                }
                Item::Progress(_) => {}
            }
            self.cursor = Some(cursor);
        }
        Ok(false)
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
