//! A server whose clock is set by hand, with cases in it, and what it tells of alerts.

use std::path::Path;
use std::time::Duration;

use casetrail::domain::AlertThresholds;
use casetrail::ledger::Clock;
use casetrail::wire::day::Day;
use casetrail::wire::moment::Moment;
use casetrail::wire::v1::{
    self, Alert, AlertCursor, AlertRule, CaseFilter, CaseKind, EventType as E, ListAlertsRequest,
    WatchAlertsRequest, WatchAlertsResponse, event::Payload, watch_alerts_response::Item,
};
use tokio::sync::watch;
use tokio::time::timeout;
use tonic::Streaming;

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
pub fn alert(case_id: &str, rule: AlertRule, since: &str, cause: &str) -> Alert {
    Alert {
        case_id: case_id.to_owned(),
        kind: CaseKind::Detention.into(),
        rule: rule.into(),
        since: since.to_owned(),
        cause_event_id: cause.to_owned(),
        ..Default::default()
    }
}

pub fn only(alert: &Alert) -> Vec<Alert> {
    vec![alert.clone()]
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
