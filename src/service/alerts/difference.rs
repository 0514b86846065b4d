//! What differs between two points, by a pass over all cases, bit by bit: for a watcher who comes
//! back, or is behind, and for lists.
//!
//! Nothing is held between two bits but the counts of clauses, once an agreement asked for them: a
//! case keeps its facts, so that it is folded as it was at either point whenever its turn comes.

use std::sync::{Arc, OnceLock};

use super::clauses::{Clauses, known_at};
use super::point::{CaseTurn, Point, Seen};
use crate::domain::CaseState;
use crate::service::Shared;

/// How many cases are looked at in one bit.
const BIT_CASES: usize = 2_048;

/// The way through all cases, from nothing or from one point to another.
pub(super) struct Difference {
    shared: Arc<Shared>,
    from: Option<Place>,
    to: Place,
    next: usize,
}

/// A point with its counts, once they are asked for.
struct Place {
    point: Point,
    clauses: OnceLock<Arc<Clauses>>,
}

impl Place {
    fn at(point: Point) -> Self {
        let clauses = OnceLock::new();
        Self { point, clauses }
    }

    fn see(&self, shared: &Shared, case: &Arc<CaseState>) -> Seen {
        let Some(known) = known_at(case, self.point.position) else {
            return Seen::default();
        };
        let count = || shared.alert_passes.clauses_at(shared, self.point.position);
        let alerts = known.alerts(&self.point.thresholds, |reference| {
            let clauses = self.clauses.get_or_init(count);
            clauses.is_outstanding(known.case_id(), reference)
        });
        let counted = self.clauses.get();
        let outstanding_to = counted.map(|clauses| clauses.outstanding_to(known.case_id()));
        Seen::on(
            self.point.day,
            &known,
            alerts,
            outstanding_to.unwrap_or_default(),
        )
    }
}

impl Difference {
    /// The way from nothing or a point to another one, from the case at a place on.
    pub(super) fn new(shared: Arc<Shared>, from: Option<Point>, to: Point, next: usize) -> Self {
        Self {
            shared,
            from: from.map(Place::at),
            to: Place::at(to),
            next,
        }
    }

    /// The next cases that differ, each with its place; none once all cases were looked at. May pass
    /// over all cases for the clauses.
    pub(super) fn next_bit(&mut self) -> Option<Vec<(usize, CaseTurn)>> {
        let cases = self
            .shared
            .ledger
            .views()
            .cases()
            .part(self.next, BIT_CASES);
        let (mut turns, begin) = (Vec::new(), self.next);
        for case in cases {
            let before = self.from.as_ref().map(|from| from.see(&self.shared, &case));
            let turn = CaseTurn {
                case_id: case.case_id(),
                kind: case.kind(),
                before: before.unwrap_or_default(),
                after: self.to.see(&self.shared, &case),
            };
            if turn.before != turn.after {
                turns.push((self.next, turn));
            }
            self.next = self.next.saturating_add(1);
        }
        (self.next > begin).then_some(turns)
    }
}
