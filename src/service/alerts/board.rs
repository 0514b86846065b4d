//! The board: the point up to which alerts are known, and the newest steps to it, for all watchers
//! at the head. It is there once somebody watches, and goes on when somebody looks.
//!
//! Invariants:
//! - A step from one point to another holds all cases whose alerts differ between the two, or whose
//!   standing does while they have any, and no other ones, in the order in which they were opened:
//!   what [`difference`](super::difference) finds by a pass over all cases, in the same order.
//! - A step looks at the cases that were recorded in, at those of which something is due, and at the
//!   agreements of which a clause came to have cases outstanding or no longer has, be it to one
//!   organisation. It passes over all cases only to count anew, where clauses with a due date came, went or got other rules.
//! - The board is behind the views by a moment at most, and goes on once for all who watch.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prost::Message;
use tokio::time::Instant;
use uuid::Uuid;

use super::clauses::{Clauses, OutstandingTo, Turn, known_at};
use super::point::{CaseTurn, Point, Seen, has};
use crate::domain::{Alert, AlertThresholds, CaseState};
use crate::service::status::Failure;
use crate::service::stream::READ_BYTES_MAX;
use crate::service::{CasesAt, Shared};
use crate::wire::edtf::Day;
use crate::wire::v1::CaseKind;

/// How many records one step takes; beyond that a pass over all cases is quicker.
const STEP_RECORDS_MAX: u64 = 65_536;

/// How many alerts the steps hold that are kept: some 4 MiB.
const KEPT_ALERTS_MAX: usize = 16_384;

/// How long what is known is taken as known, whatever is recorded meanwhile: alerts count in days.
pub(super) const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// The point up to which alerts are known, with the steps to it.
#[derive(Default)]
pub(in crate::service) struct Board {
    state: Option<State>,
    advanced_at: Option<Instant>,
    steps: VecDeque<Arc<Step>>,
    kept_alerts: usize,
}

/// From one point to the next.
pub(super) struct Step {
    pub(super) from: Point,
    pub(super) to: Point,
    pub(super) turns: Vec<CaseTurn>,
}

/// All that the next step needs to know.
struct State {
    point: Point,
    /// The cases of which something is due on a day to come. One whose alert is no longer to come may
    /// still stand here: it is looked at in vain.
    due: BTreeMap<Day, Vec<usize>>,
    clauses: Clauses,
    /// The alerts of agreements, also those to come, since they hang on other cases, and to whom these
    /// are outstanding.
    agreements: BTreeMap<usize, (Vec<Alert>, OutstandingTo)>,
}

impl Board {
    /// Goes on to what is known now, or a moment ago, but not before `at_least`, a position of the
    /// views. Reads the log, and may pass over all cases.
    ///
    /// # Errors
    /// The log can't be read. The board is then as it was.
    pub(super) fn advance(&mut self, shared: &Shared, at_least: u64) -> Result<Point, Failure> {
        let today = shared.today();
        let was_lately = |at: Instant| at.elapsed() < LOOK_INTERVAL;
        if let Some(state) = &self.state
            && self.advanced_at.is_some_and(was_lately)
            && state.point.day == today
            && state.point.position >= at_least
        {
            // One of those who watch went on for all of them.
            return Ok(state.point);
        }
        let at = shared.cases();
        let now = Point {
            position: at.position,
            day: shared.today(),
            thresholds: shared.alert_thresholds,
        };
        self.advance_to(shared, now, &at)?;
        self.advanced_at = Some(Instant::now());
        Ok(now)
    }

    fn advance_to(&mut self, shared: &Shared, now: Point, at: &CasesAt) -> Result<(), Failure> {
        let Some(state) = &mut self.state else {
            self.state = Some(State::at(now, at));
            return Ok(());
        };
        if state.point == now {
            return Ok(());
        }
        if now.position.saturating_sub(state.point.position) > STEP_RECORDS_MAX {
            self.state = Some(State::at(now, at));
            self.forget();
            return Ok(());
        }
        let touched = touched(shared, state.point.position, now.position)?;
        let step = state.step(shared, now, at, &touched);
        self.keep(step);
        Ok(())
    }

    /// The steps from a point to the newest one, where they are kept.
    pub(super) fn steps_from(&self, point: &Point) -> Option<Vec<Arc<Step>>> {
        let begin = self.steps.iter().position(|step| step.from == *point)?;
        Some(self.steps.range(begin..).cloned().collect())
    }

    fn keep(&mut self, step: Step) {
        if weight(&step) > KEPT_ALERTS_MAX {
            // Each watcher finds the difference by itself, bit by bit.
            self.forget();
            return;
        }
        self.kept_alerts = self.kept_alerts.saturating_add(weight(&step));
        self.steps.push_back(Arc::new(step));
        while self.kept_alerts > KEPT_ALERTS_MAX
            && let Some(oldest) = self.steps.pop_front()
        {
            self.kept_alerts = self.kept_alerts.saturating_sub(weight(&oldest));
        }
    }

    fn forget(&mut self) {
        self.steps.clear();
        self.kept_alerts = 0;
    }
}

/// Its alerts. A case takes the room of one besides, and so does a step without any.
fn weight(step: &Step) -> usize {
    let alerts = |turn: &CaseTurn| turn.before.alerts.len() + turn.after.alerts.len();
    let turns = step.turns.iter().map(|turn| alerts(turn).saturating_add(1));
    turns.fold(1, usize::saturating_add)
}

impl State {
    /// Looks at all cases.
    fn at(now: Point, at: &CasesAt) -> Self {
        let mut state = Self {
            point: now,
            due: BTreeMap::new(),
            clauses: Clauses::count(&at.cases, now.position),
            agreements: BTreeMap::new(),
        };
        for (place, case) in at.cases.iter().enumerate() {
            let alerts = alerts(case, &now.thresholds, &state.clauses);
            state.await_days(place, &alerts, &[]);
            state.keep_of_agreement(place, case, &alerts);
        }
        state
    }

    fn step(&mut self, shared: &Shared, now: Point, at: &CasesAt, touched: &HashSet<Uuid>) -> Step {
        let from = std::mem::replace(&mut self.point, now);
        let place_of = |case_id: Uuid| shared.ledger.views().place_of(case_id);
        let turn_at = |place: usize| {
            let after = Arc::clone(at.cases.get(place)?);
            let before = known_at(&after, from.position);
            Some((after.case_id(), (place, Turn { before, after })))
        };
        let found = touched
            .iter()
            .filter_map(|case_id| turn_at(place_of(*case_id)?));
        let (mut places, mut turns) = (BTreeMap::new(), HashMap::new());
        for (case_id, (place, turn)) in found {
            places.insert(place, case_id);
            turns.insert(case_id, turn);
        }
        let untouched = |case_id: Uuid| at.cases.get(place_of(case_id)?).cloned();
        let before = |case_id: Uuid| match turns.get(&case_id) {
            Some(turn) => turn.before.clone(),
            None => untouched(case_id),
        };
        let after = |case_id: Uuid| match turns.get(&case_id) {
            Some(turn) => Some(Arc::clone(&turn.after)),
            None => untouched(case_id),
        };
        let outstanding = self.clauses.with_outstanding();
        if !self.clauses.take(&turns, &before, &after) {
            self.clauses = Clauses::count(&at.cases, now.position);
        }
        let outstanding_now = self.clauses.with_outstanding();
        let clauses = outstanding.keys().chain(outstanding_now.keys());
        let changed = clauses.filter(|id| outstanding.get(*id) != outstanding_now.get(*id));
        let agreements = changed.filter_map(|(agreement, _)| place_of(*agreement));
        let later = self.due.split_off(&now.day.plus(1));
        let due = std::mem::replace(&mut self.due, later);
        for place in agreements.chain(due.into_values().flatten()) {
            if let Some((case_id, (_, turn))) = turn_at(place)
                && places.insert(place, case_id).is_none()
            {
                turns.insert(case_id, turn);
            }
        }
        let turns = places.into_iter().filter_map(|(place, case_id)| {
            let turn = turns.remove(&case_id)?;
            Some(self.turn(place, turn, &from, &now))
        });
        let turns: Vec<_> = turns.filter(|turn| turn.before != turn.after).collect();
        Step {
            from,
            to: now,
            turns,
        }
    }

    /// What became of a case.
    fn turn(&mut self, place: usize, turn: Turn, from: &Point, now: &Point) -> CaseTurn {
        let Turn { before, after } = turn;
        let alerts_now = alerts(&after, &now.thresholds, &self.clauses);
        let (alerts_before, outstanding_before) = match &before {
            Some(_) if after.kind() == CaseKind::Agreement => {
                self.agreements.get(&place).cloned().unwrap_or_default()
            }
            Some(before) => {
                let alerts = alerts(before, &from.thresholds, &self.clauses);
                (alerts, OutstandingTo::new())
            }
            None => Default::default(),
        };
        let outstanding_now = self.clauses.outstanding_to(after.case_id());
        self.await_days(place, &alerts_now, &alerts_before);
        self.keep_of_agreement(place, &after, &alerts_now);
        CaseTurn {
            case_id: after.case_id(),
            kind: after.kind(),
            before: before.map_or_else(Seen::default, |before| {
                Seen::on(from.day, &before, alerts_before, outstanding_before)
            }),
            after: Seen::on(now.day, &after, alerts_now, outstanding_now),
        }
    }

    /// Notes on which days to look at a case, beyond those on which that was known before.
    fn await_days(&mut self, place: usize, alerts: &[Alert], before: &[Alert]) {
        let to_come = alerts.iter().filter(|alert| alert.since > self.point.day);
        for alert in to_come.filter(|alert| !has(before, alert)) {
            self.due.entry(alert.since).or_default().push(place);
        }
    }

    fn keep_of_agreement(&mut self, place: usize, case: &CaseState, alerts: &[Alert]) {
        if case.kind() == CaseKind::Agreement {
            let outstanding_to = self.clauses.outstanding_to(case.case_id());
            self.agreements
                .insert(place, (alerts.to_vec(), outstanding_to));
        }
    }
}

/// The alerts of a case, also those to come.
fn alerts(case: &CaseState, thresholds: &AlertThresholds, clauses: &Clauses) -> Vec<Alert> {
    case.alerts(thresholds, |reference| {
        clauses.is_outstanding(case.case_id(), reference)
    })
}

/// Of a record its case alone.
#[derive(Clone, PartialEq, Message)]
struct CaseOfRecord {
    #[prost(string, tag = "1")]
    case_id: String,
}

/// The cases in which something was recorded between two positions.
fn touched(shared: &Shared, from: u64, until: u64) -> Result<HashSet<Uuid>, Failure> {
    let log = shared.ledger.log();
    let (mut touched, mut position) = (HashSet::new(), from);
    while position < until {
        let blocks = match log.recent(position, READ_BYTES_MAX) {
            Some(blocks) => blocks,
            None => log.read(position, READ_BYTES_MAX)?,
        };
        let Some(end) = blocks
            .last()
            .map(crate::wire::block::RecordBlock::end_position)
        else {
            break;
        };
        let records = blocks.iter().flat_map(|block| block.records());
        for (at, record) in records.filter(|(at, _)| (from..until).contains(at)) {
            let unreadable = |cause: &str| Failure::unreadable_record(at, cause);
            let record =
                CaseOfRecord::decode(record).map_err(|error| unreadable(&error.to_string()))?;
            let case_id = Uuid::try_parse(&record.case_id);
            touched.insert(case_id.map_err(|error| unreadable(&error.to_string()))?);
        }
        position = end;
    }
    Ok(touched)
}

impl fmt::Debug for Board {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Board").finish_non_exhaustive()
    }
}
