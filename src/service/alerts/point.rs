//! A point: what alerts there are is a function of it. And what is asked for of alerts, checked.

use prost::Message;
use uuid::Uuid;

use super::clauses::OutstandingTo;
use crate::domain::{Alert, AlertThresholds, CaseState, Sight};
use crate::service::Shared;
use crate::service::call::violation;
use crate::wire::edtf::Day;
use crate::wire::v1::watch_alerts_response::Item;
use crate::wire::v1::{self, AlertRule, CaseKind, Standing};
use crate::wire::validate::{self, CaseFilter, Invalid, PageScope};

/// The log before a position, a day, and the thresholds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) position: u64,
    pub(super) day: Day,
    pub(super) thresholds: AlertThresholds,
}

/// How far a watcher was told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Up to which point everything; none where it was told nothing.
    pub(super) from: Option<Point>,
    /// Up to which point it is being told.
    pub(super) to: Option<Point>,
    /// How many changes between the two it was told.
    pub(super) told: u64,
}

/// How a watcher is told, change by change. What it was told before it was cut off stays counted in
/// its cursor, so that it may be cut off again before anything new.
#[derive(Debug)]
pub(super) struct Telling {
    cursor: Cursor,
    /// How many of the changes to come it was told before.
    skips: u64,
}

/// Which alerts.
#[derive(Debug, Clone)]
pub(super) struct Selection {
    filter: CaseFilter,
    rules: Vec<i32>,
    /// Of which cases: those that there are for the caller.
    sight: Sight,
}

impl Point {
    pub(super) fn to_message(self) -> v1::AlertPoint {
        let AlertThresholds {
            no_visit_days,
            not_registered_days,
            handover_postponements,
            contested_days,
            family_not_informed_days,
            clause_due_days,
        } = self.thresholds;
        v1::AlertPoint {
            position: self.position,
            day: self.day.to_string(),
            thresholds: Some(v1::AlertThresholds {
                no_visit_days,
                not_registered_days,
                handover_postponements,
                contested_days,
                family_not_informed_days,
                clause_due_days,
            }),
        }
    }

    fn check(field: &str, point: &v1::AlertPoint) -> Result<Self, Invalid> {
        let missing = |name: &str, description: &str| {
            Invalid::from(violation(&format!("{field}.{name}"), description))
        };
        let day = Day::parse(&point.day)
            .ok_or_else(|| missing("day", "is no day; give a cursor back as it came"))?;
        let thresholds = point
            .thresholds
            .ok_or_else(|| missing("thresholds", "is missing; give a cursor back as it came"))?;
        Ok(Self {
            position: point.position,
            day,
            thresholds: AlertThresholds {
                no_visit_days: thresholds.no_visit_days,
                not_registered_days: thresholds.not_registered_days,
                handover_postponements: thresholds.handover_postponements,
                contested_days: thresholds.contested_days,
                family_not_informed_days: thresholds.family_not_informed_days,
                clause_due_days: thresholds.clause_due_days,
            },
        })
    }
}

impl Cursor {
    pub(super) fn to_message(self) -> v1::AlertCursor {
        v1::AlertCursor {
            from: self.from.map(Point::to_message),
            to: self.to.map(Point::to_message),
            told: self.told,
        }
    }

    /// Checks a cursor that is given back; none is that of a watcher who was told nothing.
    pub(super) fn check(field: &str, cursor: Option<v1::AlertCursor>) -> Result<Self, Invalid> {
        let cursor = cursor.unwrap_or_default();
        let point = |name: &str, point: Option<v1::AlertPoint>| {
            let field = format!("{field}.{name}");
            point.map(|point| Point::check(&field, &point)).transpose()
        };
        Ok(Self {
            from: point("from", cursor.from)?,
            to: point("to", cursor.to)?,
            told: cursor.told,
        })
    }

    /// The positions that the log has to reach.
    pub(super) fn position_max(&self) -> u64 {
        let points = [self.from, self.to];
        let positions = points.iter().flatten().map(|point| point.position);
        positions.max().unwrap_or_default()
    }
}

impl Telling {
    /// Goes on where a watcher was.
    pub(super) fn resumed(cursor: Cursor) -> Self {
        let skips = cursor.to.map_or(0, |_| cursor.told);
        let cursor = Cursor {
            told: skips,
            ..cursor
        };
        Self { cursor, skips }
    }

    /// How far it was told.
    pub(super) fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// Goes to another point.
    pub(super) fn begin(&mut self, to: Point) {
        self.cursor.to = Some(to);
    }

    /// Takes the next change on the way there, and says whether it is still to be told.
    pub(super) fn is_to_tell(&mut self) -> bool {
        if let Some(left) = self.skips.checked_sub(1) {
            self.skips = left;
            return false;
        }
        self.cursor.told = self.cursor.told.saturating_add(1);
        true
    }

    /// All up to a point is told.
    pub(super) fn arrive(&mut self, point: Point) {
        *self = Self::resumed(Cursor {
            from: Some(point),
            to: None,
            told: 0,
        });
    }
}

impl Selection {
    pub(super) fn check(filter: Option<v1::CaseFilter>, rules: &[i32]) -> Result<Self, Invalid> {
        let filter = validate::case_filter("filter", filter)?;
        validate::alert_rules("rules", rules)?;
        Ok(Self {
            filter,
            rules: rules.to_vec(),
            sight: Sight::All,
        })
    }

    /// The same, of the cases that there are for a caller.
    pub(super) fn seeing(self, sight: Sight) -> Self {
        Self { sight, ..self }
    }

    /// Whether there is a case for the caller.
    pub(super) fn sees(&self, shared: &Shared, case_id: Uuid) -> bool {
        self.sight == Sight::All || shared.sees(&self.sight, case_id)
    }

    /// To which list page tokens belong.
    pub(super) fn page_scope(&self, as_of: &[u8], day: &str) -> PageScope {
        let asked = v1::ListAlertsRequest {
            rules: self.rules.clone(),
            day: day.to_owned(),
            ..v1::ListAlertsRequest::default()
        };
        let scope = self.filter.page_scope().and(as_of);
        scope.and(&asked.encode_to_vec())
    }

    /// Those of a case's alerts that are asked for.
    pub(super) fn of(&self, case_id: Uuid, seen: &Seen) -> Vec<Alert> {
        if seen.alerts.is_empty() || !self.filter.matches(case_id, &seen.standing) {
            return Vec::new();
        }
        let wanted =
            |alert: &&Alert| self.rules.is_empty() || self.rules.contains(&i32::from(alert.rule));
        // That a case is outstanding which the caller does not see is not told.
        let is_seen = |alert: &&Alert| match self.sight.organisation() {
            Some(organisation) if alert.rule == AlertRule::ClauseDue => {
                let seeing = seen.outstanding_to.get(&alert.clause);
                seeing.is_some_and(|seeing| seeing.contains(organisation))
            }
            _ => true,
        };
        let alerts = seen.alerts.iter().filter(wanted).filter(is_seen);
        alerts.cloned().collect()
    }
}

/// The alerts of a case that hold at a point, and how the case stands there where there are any.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Seen {
    standing: Standing,
    /// In order.
    pub(super) alerts: Vec<Alert>,
    /// Of the clauses that are alerted of.
    outstanding_to: OutstandingTo,
}

impl Seen {
    /// A case, with its alerts, of which those are kept that hold on a day. Under an agreement's clauses
    /// cases are outstanding to these organisations.
    pub(super) fn on(
        day: Day,
        case: &CaseState,
        mut alerts: Vec<Alert>,
        mut outstanding_to: OutstandingTo,
    ) -> Self {
        alerts.retain(|alert| alert.since <= day);
        if alerts.is_empty() {
            return Self::default();
        }
        outstanding_to.retain(|clause, _| alerts.iter().any(|alert| alert.clause == *clause));
        Self {
            standing: case.standing(),
            alerts,
            outstanding_to,
        }
    }
}

/// Whether an alert is among those of a case, which are in order.
pub(super) fn has(alerts: &[Alert], alert: &Alert) -> bool {
    alerts.binary_search(alert).is_ok()
}

/// What became of the alerts of one case between two points.
#[derive(Debug, Clone)]
pub(super) struct CaseTurn {
    pub(super) case_id: Uuid,
    pub(super) kind: CaseKind,
    pub(super) before: Seen,
    pub(super) after: Seen,
}

impl CaseTurn {
    /// What is told of it: first what is cleared, then what is raised, each in order.
    pub(super) fn changes(&self, shared: &Shared, selection: &Selection) -> Vec<Item> {
        if !selection.sees(shared, self.case_id) {
            return Vec::new();
        }
        let before = selection.of(self.case_id, &self.before);
        let after = selection.of(self.case_id, &self.after);
        let told = |alert: &Alert| alert.to_message(self.case_id, self.kind);
        let cleared = before.iter().filter(|alert| !has(&after, alert));
        let raised = after.iter().filter(|alert| !has(&before, alert));
        let cleared = cleared.map(|alert| Item::Cleared(told(alert)));
        cleared
            .chain(raised.map(|alert| Item::Raised(told(alert))))
            .collect()
    }
}

#[cfg(test)]
#[path = "point_tests.rs"]
mod tests;
