//! The task of a watch of alerts: it goes from point to point, by the steps that all watchers at the
//! head share or by the difference between two points, and tells each change once.
//!
//! Invariants:
//! - A cursor goes on where it was: the changes between two points are the same ones in the same
//!   order, however they are found, so that their number tells which were told.
//! - What a watcher holds while its client is slow is bounded: some steps that all share, or the
//!   changes of some cases.

use std::sync::Arc;

use tokio::time::{Instant, sleep_until};

use super::board::{LOOK_INTERVAL, Step};
use super::difference::Difference;
use super::point::{Cursor, Point, Selection, Telling};
use crate::service::Shared;
use crate::service::call::blocking;
use crate::service::status::Failure;
use crate::service::stream::{ANSWERS_AT_ONCE_MAX, Heartbeat, Outlet, Stop};
use crate::wire::v1::watch_alerts_response::Item;
use crate::wire::v1::{AlertsComplete, AlertsProgress, WatchAlertsResponse};

/// One watch of alerts.
pub(in crate::service) struct AlertWatch {
    shared: Arc<Shared>,
    outlet: Outlet<WatchAlertsResponse>,
    selection: Selection,
    telling: Telling,
    /// Up to which position there were records when it began: it is told of all of them.
    head: u64,
    heartbeat: Heartbeat,
    /// Whether the watcher was told that all was told, and nothing since.
    is_complete: bool,
    portion: Vec<WatchAlertsResponse>,
}

impl AlertWatch {
    pub(super) fn new(
        shared: Arc<Shared>,
        outlet: Outlet<WatchAlertsResponse>,
        selection: Selection,
        cursor: Cursor,
    ) -> Self {
        let head = *shared.heads().borrow();
        Self {
            shared,
            outlet,
            selection,
            head,
            telling: Telling::resumed(cursor),
            heartbeat: Heartbeat::new(),
            is_complete: false,
            portion: Vec::new(),
        }
    }

    /// Tells until something stops it, and says so to the client.
    pub(in crate::service) async fn run(mut self, method: &'static str) {
        let result = self.tell().await;
        self.outlet.finish(method, result).await;
    }

    async fn tell(&mut self) -> Result<(), Stop> {
        let mut heads = self.shared.heads();
        let mut clock = self.shared.ledger.clock().clone();
        if let Some(to) = self.telling.cursor().to {
            self.tell_difference(to).await?;
        }
        loop {
            let looked_at = Instant::now();
            let (now, steps) = self.look().await?;
            match steps {
                _ if self.telling.cursor().from == Some(now) => {}
                Some(steps) => {
                    for step in steps {
                        self.tell_step(&step).await?;
                    }
                }
                None => self.tell_difference(now).await?,
            }
            if !self.is_complete {
                self.is_complete = true;
                self.push(Item::Complete(AlertsComplete {}));
            }
            self.flush().await?;
            self.live().await?;
            let due = self.heartbeat.due();
            tokio::select! {
                waited = self.outlet.wait(&mut heads, now.position, due) => waited?,
                () = clock.was_set() => {}
            }
            sleep_until((looked_at + LOOK_INTERVAL).min(due)).await;
        }
    }

    /// Looks at the board: what is known now, and the steps to it where they are kept.
    async fn look(&mut self) -> Result<(Point, Option<Vec<Arc<Step>>>), Stop> {
        let (shared, from) = (Arc::clone(&self.shared), self.telling.cursor().from);
        let head = self.head;
        // In a task of its own: one that waits for the board has to take it when its turn comes, also
        // while a slow client is waited for here.
        let looking = tokio::spawn(async move {
            let mut board = Arc::clone(&shared.alert_board).lock_owned().await;
            blocking(move || {
                let now = board.advance(&shared, head)?;
                Ok((now, from.and_then(|from| board.steps_from(&from))))
            })
            .await?
        });
        self.alive_until(looking).await
    }

    async fn tell_step(&mut self, step: &Step) -> Result<(), Stop> {
        self.telling.begin(step.to);
        for turn in &step.turns {
            let changes = turn.changes(&self.shared, &self.selection);
            self.tell_changes(changes).await?;
        }
        self.telling.arrive(step.to);
        Ok(())
    }

    async fn tell_difference(&mut self, to: Point) -> Result<(), Stop> {
        self.telling.begin(to);
        let (shared, from) = (Arc::clone(&self.shared), self.telling.cursor().from);
        let mut way = Difference::new(shared, from, to, 0);
        loop {
            let shared = Arc::clone(&self.shared);
            let looking = tokio::spawn(async move {
                let _place = shared.alert_passes.place().await;
                blocking(move || (way.next_bit(), way)).await
            });
            let (bit, rest) = self.alive_until(looking).await?;
            way = rest;
            let Some(bit) = bit else { break };
            for (_, turn) in bit {
                let changes = turn.changes(&self.shared, &self.selection);
                self.tell_changes(changes).await?;
            }
            self.live().await?;
        }
        self.telling.arrive(to);
        Ok(())
    }

    async fn tell_changes(&mut self, changes: Vec<Item>) -> Result<(), Stop> {
        for change in changes {
            if self.telling.is_to_tell() {
                self.is_complete = false;
                self.push(change);
            }
            if self.portion.len() >= ANSWERS_AT_ONCE_MAX {
                self.flush().await?;
            }
        }
        Ok(())
    }

    fn push(&mut self, item: Item) {
        self.portion.push(WatchAlertsResponse {
            cursor: Some(self.telling.cursor().to_message()),
            item: Some(item),
        });
    }

    async fn flush(&mut self) -> Result<(), Stop> {
        if self.portion.is_empty() {
            return Ok(());
        }
        self.outlet.send_on(std::mem::take(&mut self.portion)).await
    }

    /// Gives a sign of life where one is due.
    async fn live(&mut self) -> Result<(), Stop> {
        if self.heartbeat.beats() {
            let head = *self.shared.heads().borrow();
            self.push(Item::Progress(AlertsProgress { head }));
            self.flush().await?;
        }
        Ok(())
    }

    /// Waits for work that may take long, and gives signs of life meanwhile.
    async fn alive_until<T>(
        &mut self,
        mut work: tokio::task::JoinHandle<Result<T, Failure>>,
    ) -> Result<T, Stop> {
        loop {
            tokio::select! {
                done = &mut work => return Ok(done.map_err(Failure::internal)??),
                () = sleep_until(self.heartbeat.due()) => self.live().await?,
            }
        }
    }
}
