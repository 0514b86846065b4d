//! What differs between two points, by a pass over all cases, bit by bit: for a watcher who comes
//! back, or is behind, and for lists.
//!
//! Nothing is held between two bits but the counts of clauses: a case keeps its facts, so that it is
//! folded as it was at either point whenever its turn comes.

use super::board::alerts;
use super::clauses::{Clauses, known_at};
use super::point::{CaseTurn, Point, Seen};
use crate::domain::CaseState;
use crate::service::Shared;
use crate::view::CaseList;

/// How many cases are looked at in one bit.
const BIT_CASES: usize = 2_048;

/// The way through all cases, from nothing or from one point to another.
pub(super) struct Difference {
    from: Option<Place>,
    to: Place,
    next: usize,
}

/// A point with its counts.
struct Place {
    point: Point,
    clauses: Clauses,
}

impl Place {
    fn at(cases: &CaseList, point: Point) -> Self {
        let clauses = Clauses::count(cases, point.position);
        Self { point, clauses }
    }

    fn see(&self, case: &std::sync::Arc<CaseState>) -> Seen {
        let Some(known) = known_at(case, self.point.position) else {
            return Seen::default();
        };
        let alerts = alerts(&known, &self.point.thresholds, &self.clauses);
        Seen::on(self.point.day, &known, alerts)
    }
}

impl Difference {
    /// The way from nothing or a point to another one. Passes over all cases for the clauses.
    pub(super) fn new(shared: &Shared, from: Option<Point>, to: Point) -> Self {
        let at = shared.cases();
        Self {
            from: from.map(|from| Place::at(&at.cases, from)),
            to: Place::at(&at.cases, to),
            next: 0,
        }
    }

    /// The same from the case at a place on.
    pub(super) fn beginning_at(self, next: usize) -> Self {
        Self { next, ..self }
    }

    /// The next cases that differ, each with its place; none once all cases were looked at.
    pub(super) fn next_bit(&mut self, shared: &Shared) -> Option<Vec<(usize, CaseTurn)>> {
        let at = shared.cases();
        let end = self.next.saturating_add(BIT_CASES).min(at.cases.len());
        if self.next >= end {
            return None;
        }
        let mut turns = Vec::new();
        for (place, case) in (self.next..end).zip(at.cases.iter().skip(self.next)) {
            let turn = CaseTurn {
                case_id: case.case_id(),
                kind: case.kind(),
                before: self
                    .from
                    .as_ref()
                    .map(|from| from.see(case))
                    .unwrap_or_default(),
                after: self.to.see(case),
            };
            if turn.before != turn.after {
                turns.push((place, turn));
            }
        }
        self.next = end;
        Some(turns)
    }
}
