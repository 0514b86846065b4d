//! The board: the point up to which alerts are known, and the newest steps to it, for all watchers
//! at the head. It is there once somebody watches, and goes on when somebody looks.
//!
//! Invariants:
//! - A step from one point to another holds all cases whose alerts differ between the two, and no
//!   other ones, in the order in which they were opened: what [`difference`](super::difference) finds
//!   by a pass over all cases, in the same order.
//! - A step looks at the cases that were recorded in, and at those of which something is due: never
//!   at all of them.
//! - Days never go back here, whatever the clock does.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::fmt;
use std::sync::Arc;

use prost::Message;
use uuid::Uuid;

use super::clauses::{Clauses, Turn, known_at};
use super::point::{CaseTurn, Point, Seen};
use crate::domain::{Alert, AlertThresholds, CaseState};
use crate::service::status::Failure;
use crate::service::stream::READ_BYTES_MAX;
use crate::service::{CasesAt, Shared};
use crate::wire::edtf::Day;
use crate::wire::moment::Moment;
use crate::wire::v1::CaseKind;

/// How many records one step takes; beyond that a pass over all cases is quicker.
const STEP_RECORDS_MAX: u64 = 65_536;

/// How many cases the steps hold that are kept.
const KEPT_CASES_MAX: usize = 4_096;

/// The point up to which alerts are known, with the steps to it.
#[derive(Default)]
pub(in crate::service) struct Board {
    state: Option<State>,
    steps: VecDeque<Arc<Step>>,
    kept_cases: usize,
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
    /// The alerts of agreements, also those to come, since they hang on other cases.
    agreements: BTreeMap<usize, Vec<Alert>>,
}

impl Board {
    /// Goes on to what is known now. Reads the log, and may pass over all cases.
    ///
    /// # Errors
    /// The log can't be read. The board is then as it was.
    pub(super) fn advance(&mut self, shared: &Shared) -> Result<Point, Failure> {
        let at = shared.cases();
        let recorded_on = at.recorded_at.map(|at| Moment::from(at).day());
        let today = shared.ledger.today().max(recorded_on.unwrap_or(Day::MIN));
        let known = self.state.as_ref().map(|state| state.point);
        let now = Point {
            position: at.position,
            day: known.map_or(today, |known| known.day.max(today)),
            thresholds: shared.alert_thresholds,
        };
        let Some(state) = &mut self.state else {
            self.state = Some(State::at(now, &at));
            return Ok(now);
        };
        if state.point == now {
            return Ok(now);
        }
        if now.position.saturating_sub(state.point.position) > STEP_RECORDS_MAX {
            self.state = Some(State::at(now, &at));
            self.forget();
            return Ok(now);
        }
        let touched = touched(shared, state.point.position, now.position)?;
        let step = state.step(shared, now, &at, &touched);
        self.keep(step);
        Ok(now)
    }

    /// The steps from a point to the newest one, where they are kept.
    pub(super) fn steps_from(&self, point: &Point) -> Option<Vec<Arc<Step>>> {
        let begin = self.steps.iter().position(|step| step.from == *point)?;
        Some(self.steps.range(begin..).cloned().collect())
    }

    fn keep(&mut self, step: Step) {
        if step.turns.len() > KEPT_CASES_MAX {
            // Each watcher finds the difference by itself, bit by bit.
            self.forget();
            return;
        }
        self.kept_cases = self.kept_cases.saturating_add(weight(&step));
        self.steps.push_back(Arc::new(step));
        while self.kept_cases > KEPT_CASES_MAX
            && self.steps.len() > 1
            && let Some(oldest) = self.steps.pop_front()
        {
            self.kept_cases = self.kept_cases.saturating_sub(weight(&oldest));
        }
    }

    fn forget(&mut self) {
        self.steps.clear();
        self.kept_cases = 0;
    }
}

/// Steps without cases take room as well.
fn weight(step: &Step) -> usize {
    step.turns.len().saturating_add(1)
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
        let find = |case_id: Uuid, after: bool| {
            let case = at.cases.get(place_of(case_id)?)?;
            known_at(case, if after { now.position } else { from.position })
        };
        let turns: Vec<_> = touched
            .iter()
            .map(|case_id| Turn {
                case_id: *case_id,
                before: find(*case_id, false),
                after: find(*case_id, true),
            })
            .collect();
        let outstanding = self.clauses.with_outstanding();
        if !self.clauses.take(&turns, &find) {
            self.clauses = Clauses::count(&at.cases, now.position);
        }
        let outstanding_now = self.clauses.with_outstanding();
        let agreements = outstanding.symmetric_difference(&outstanding_now);
        let later = self.due.split_off(&now.day.plus(1));
        let due = std::mem::replace(&mut self.due, later);

        let touched = touched.iter().copied();
        let touched = touched.chain(agreements.map(|(agreement, _)| *agreement));
        let mut places: BTreeSet<_> = touched.filter_map(place_of).collect();
        places.extend(due.into_values().flatten());
        let turns = places.into_iter().filter_map(|place| {
            let case = at.cases.get(place)?;
            Some(self.turn(place, case, &from, &now))
        });
        let turns: Vec<_> = turns.filter(|turn| turn.before != turn.after).collect();
        Step {
            from,
            to: now,
            turns,
        }
    }

    /// What became of a case.
    fn turn(&mut self, place: usize, case: &Arc<CaseState>, from: &Point, now: &Point) -> CaseTurn {
        let earlier = known_at(case, from.position);
        let alerts_now = alerts(case, &now.thresholds, &self.clauses);
        let alerts_before = match &earlier {
            Some(_) if case.kind() == CaseKind::Agreement => {
                self.agreements.get(&place).cloned().unwrap_or_default()
            }
            Some(earlier) => alerts(earlier, &from.thresholds, &self.clauses),
            None => Vec::new(),
        };
        self.await_days(place, &alerts_now, &alerts_before);
        self.keep_of_agreement(place, case, &alerts_now);
        CaseTurn {
            case_id: case.case_id(),
            kind: case.kind(),
            before: earlier.map_or_else(Seen::default, |earlier| {
                Seen::on(from.day, &earlier, alerts_before)
            }),
            after: Seen::on(now.day, case, alerts_now),
        }
    }

    /// Notes on which days to look at a case, beyond those on which that was known before.
    fn await_days(&mut self, place: usize, alerts: &[Alert], before: &[Alert]) {
        let to_come = alerts.iter().filter(|alert| alert.since > self.point.day);
        for alert in to_come.filter(|alert| !before.contains(alert)) {
            self.due.entry(alert.since).or_default().push(place);
        }
    }

    fn keep_of_agreement(&mut self, place: usize, case: &CaseState, alerts: &[Alert]) {
        if case.kind() == CaseKind::Agreement {
            self.agreements.insert(place, alerts.to_vec());
        }
    }
}

/// The alerts of a case, also those to come.
pub(super) fn alerts(
    case: &CaseState,
    thresholds: &AlertThresholds,
    clauses: &Clauses,
) -> Vec<Alert> {
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
