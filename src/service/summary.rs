//! Counts cases. A pure function of the cases and the filter.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::Seeing;
use super::as_of::{Time, has_status};
use crate::wire::v1::{CaseStatus, GetSummaryResponse, Standing, SummaryRow};
use crate::wire::validate::CaseFilter;

/// What rows are ordered by: kind, category, district, status.
type RowKey = (i32, i32, String, i32);

/// Number of cases by reported and by confirmed status.
type Counts = (u64, u64);

/// How a case certainly stood, and possibly, where that differs.
type Certainty = (Standing, Option<Standing>);

/// Counts of one answer.
#[derive(Default)]
struct Tally {
    counts: BTreeMap<RowKey, Counts>,
    cases: u64,
    contested: u64,
}

/// The counts of a time, as far as the cases were counted.
#[derive(Default)]
struct Counter {
    certainly: Tally,
    possibly: Tally,
    uncertain: u64,
}

/// Counts the cases that match as they were at a time.
pub(super) fn summarise(seen: Seeing<'_>, time: Time, filter: &CaseFilter) -> GetSummaryResponse {
    let mut counter = Counter::default();
    for case in seen.cases {
        if case.first_position() >= Some(time.position) {
            break;
        }
        if !seen.sight.includes(case) {
            continue;
        }
        if let Some(seen) = time.see(case) {
            counter.count(
                case.case_id(),
                &seen.standing,
                seen.possible.as_ref(),
                filter,
            );
        }
    }
    counter.into_summary(time)
}

/// Counts the cases that match at each of several times, in one pass: a case is folded anew only
/// where one of its events lies between a time and the one before.
pub(super) fn summarise_each(
    seen: Seeing<'_>,
    times: &[Time],
    filter: &CaseFilter,
) -> Vec<GetSummaryResponse> {
    let mut counters: Vec<_> = times.iter().map(|_| Counter::default()).collect();
    for case in seen.cases.iter().filter(|case| seen.sight.includes(case)) {
        let facts = case.facts();
        let mut before: Option<([usize; 3], Option<Certainty>)> = None;
        for (time, counter) in times.iter().zip(&mut counters) {
            let reached = time.reached(&facts);
            let seen = match before.take() {
                Some((same, seen)) if same == reached => seen,
                _ => time.see(case).map(|seen| (seen.standing, seen.possible)),
            };
            if let Some((standing, possible)) = &seen {
                counter.count(case.case_id(), standing, possible.as_ref(), filter);
            }
            before = Some((reached, seen));
        }
    }
    let counted = counters.into_iter().zip(times);
    counted
        .map(|(counter, time)| counter.into_summary(*time))
        .collect()
}

impl Counter {
    fn count(
        &mut self,
        case_id: Uuid,
        standing: &Standing,
        possible: Option<&Standing>,
        filter: &CaseFilter,
    ) {
        // What is merged into another case is counted there.
        if !standing.merged_into.is_empty() {
            return;
        }
        // Of a case that is only possibly there, nothing gives it a status for certain.
        let is_there = possible.is_none() || has_status(standing);
        let certainly = is_there && filter.matches(case_id, standing);
        let possibly = possible.map_or(certainly, |possible| {
            has_status(possible) && filter.matches(case_id, possible)
        });
        if certainly {
            self.certainly.count(standing);
        }
        if possibly {
            self.possibly.count(possible.unwrap_or(standing));
        }
        if possible.is_some() && (certainly || possibly) {
            self.uncertain = self.uncertain.saturating_add(1);
        }
    }

    fn into_summary(self, time: Time) -> GetSummaryResponse {
        let possible_rows = if self.uncertain == 0 {
            Vec::new()
        } else {
            self.possibly.into_rows()
        };
        GetSummaryResponse {
            position: time.position,
            recorded_at: None,
            cases: self.certainly.cases,
            contested: self.certainly.contested,
            rows: self.certainly.into_rows(),
            possible_rows,
            uncertain: self.uncertain,
            rounded_to: 0,
        }
    }
}

impl Tally {
    /// A case without a confirmed status counts in no row as confirmed.
    fn count(&mut self, standing: &Standing) {
        let (reported, confirmed) = (standing.reported, standing.confirmed);
        self.cases = self.cases.saturating_add(1);
        self.contested = self.contested.saturating_add(u64::from(standing.contested));
        let (_, by_confirmed) = self.counts.entry(key(standing, confirmed)).or_default();
        *by_confirmed = by_confirmed.saturating_add(1);
        let (by_reported, _) = self.counts.entry(key(standing, reported)).or_default();
        *by_reported = by_reported.saturating_add(1);
    }

    fn into_rows(self) -> Vec<SummaryRow> {
        self.counts
            .into_iter()
            .filter(|((.., status), _)| *status != i32::from(CaseStatus::Unspecified))
            .map(
                |((kind, category, district, status), (reported, confirmed))| SummaryRow {
                    kind,
                    category,
                    district,
                    status,
                    reported,
                    confirmed,
                },
            )
            .collect()
    }
}

fn key(standing: &Standing, status: i32) -> RowKey {
    (
        standing.kind,
        standing.category,
        standing.district.clone(),
        status,
    )
}
