//! A watcher of alerts that is cut off, comes back, and adds up what it is told.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use casetrail::wire::v1::{
    Alert, AlertCursor, AlertPoint, CaseFilter, WatchAlertsRequest, watch_alerts_response::Item,
};
use tokio::sync::mpsc;

use crate::harness::{Client, Random};
use crate::proxy;

/// What makes an alert another one, in an order.
pub type Key = (String, i32, String, String, String, String, String);

pub fn key(alert: &Alert) -> Key {
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

pub type Alerts = BTreeMap<Key, Alert>;

pub fn set(alerts: impl IntoIterator<Item = Alert>) -> Alerts {
    alerts.into_iter().map(|it| (key(&it), it)).collect()
}

/// A watcher that is cut off so many times, and adds up what it is told.
pub struct Watcher {
    address: SocketAddr,
    pub filter: CaseFilter,
    random: Random,
    pub cuts_left: u64,
    cursor: Option<AlertCursor>,
    pub alerts: Alerts,
    /// What it had when all was told, with the point.
    pub complete: Vec<(AlertPoint, Alerts)>,
    pub changes: u64,
    /// Dropped once no cut is left: the history goes on as long as anybody has one.
    under_load: Option<mpsc::Sender<()>>,
}

impl Watcher {
    pub fn new(
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
    pub async fn run(mut self, mut marker: tokio::sync::watch::Receiver<Option<String>>) -> Self {
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
