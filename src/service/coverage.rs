//! Counts what became of the cases under the clauses of an agreement. A pure function of the cases.
//!
//! A case is under a clause by a rule of the clause, or since it was put there. One that is merged
//! into another case is counted as that one, and each case once a clause.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use uuid::Uuid;

use super::as_of::Time;
use crate::domain::{CaseState, Sight, Ties};
use crate::view::CaseList;
use crate::wire::edtf::{self, Day};
use crate::wire::v1::{
    AgreementDetail, Clause, ClauseCoverage, ClauseProgress, CoveredCase, Exclusion,
    ExclusionReason, GetAgreementCoverageResponse, GetAgreementProgressResponse, MetByMonth,
    case::Detail,
};
use crate::wire::validate::Month;

/// The cases that a merge leads through at most: a chain that is longer is no chain but a ring.
const MERGES_MAX: usize = 16;

/// An agreement as it was known at a time, with what it takes to find the cases under its clauses.
pub(super) struct Agreement {
    pub(super) cases: CaseList,
    /// Which of the cases are counted: those that there are for the caller.
    pub(super) sight: Sight,
    pub(super) time: Time,
    pub(super) known: CaseState,
    /// The cases that were ever put under one of its clauses one by one.
    pub(super) put: HashSet<Uuid>,
}

/// The cases under the clauses of an agreement.
struct UnderClauses<'a> {
    agreement: &'a Agreement,
    clauses: Vec<Clause>,
    /// For each clause, in their order.
    under: Vec<BTreeSet<Uuid>>,
}

/// Counts the cases under each clause; `cases_max` is how many cases are named for each.
pub(super) fn count(agreement: &Agreement, cases_max: usize) -> GetAgreementCoverageResponse {
    let found = UnderClauses::find(agreement);
    let mut clauses: Vec<_> = found.clauses.iter().cloned().map(coverage_of).collect();
    found.for_each(|index, case| {
        if let Some(clause) = clauses.get_mut(index) {
            add(clause, case, cases_max);
        }
    });
    GetAgreementCoverageResponse {
        position: agreement.time.position,
        clauses,
    }
}

/// Counts in how many cases the duty was met by the end of each month, and by the due date. Whether
/// that has passed is judged on `day`.
pub(super) fn progress(
    agreement: &Agreement,
    months: &[Month],
    day: Day,
) -> GetAgreementProgressResponse {
    let found = UnderClauses::find(agreement);
    let mut clauses: Vec<_> = found
        .clauses
        .iter()
        .map(|clause| progress_of(clause.clone(), months))
        .collect();
    let last_days: Vec<_> = found.clauses.iter().map(last_day).collect();
    found.for_each(|index, case| {
        if let (Some(clause), Some(last_day)) = (clauses.get_mut(index), last_days.get(index)) {
            add_progress(clause, *last_day, case, months, day);
        }
    });
    GetAgreementProgressResponse {
        position: agreement.time.position,
        day: day.to_string(),
        clauses,
    }
}

impl<'a> UnderClauses<'a> {
    fn find(agreement: &'a Agreement) -> Self {
        let agreement_id = agreement.known.case_id().to_string();
        let detail = match agreement.known.detail() {
            Some(Detail::AgreementDetail(detail)) => detail,
            _ => AgreementDetail::default(),
        };
        let mut under: Vec<BTreeSet<Uuid>> = vec![BTreeSet::new(); detail.clauses.len()];
        let mut merged: HashMap<Uuid, Uuid> = HashMap::new();
        for case in agreement.known_cases() {
            if let Ok(survivor) = Uuid::try_parse(&case.merged_into()) {
                merged.insert(case.case_id(), survivor);
            }
            let coverages = if agreement.put.contains(&case.case_id()) {
                Ties::of(&case).coverages()
            } else {
                Vec::new()
            };
            for (clause, under) in detail.clauses.iter().zip(&mut under) {
                let is_put = coverages.iter().any(|it| {
                    it.agreement_case_id == agreement_id && it.clause_reference == clause.reference
                });
                if is_put || clause.rules.iter().any(|rule| case.is_covered_by(rule)) {
                    under.insert(case.case_id());
                }
            }
        }
        for under in &mut under {
            *under = under.iter().map(|case| survivor(&merged, *case)).collect();
        }
        Self {
            agreement,
            clauses: detail.clauses,
            under,
        }
    }

    /// Tells each case under each clause, by the clause's index.
    fn for_each(&self, mut tell: impl FnMut(usize, &CaseState)) {
        for case in self.agreement.known_cases() {
            for (index, under) in self.under.iter().enumerate() {
                if under.contains(&case.case_id()) {
                    tell(index, &case);
                }
            }
        }
    }
}

impl Agreement {
    /// All cases that were known at the time, and that there are for the caller, as they were known.
    fn known_cases(&self) -> impl Iterator<Item = Cow<'_, CaseState>> {
        let time = self.time;
        let first = move |case: &&Arc<CaseState>| case.first_position() < Some(time.position);
        let known = self.cases.iter().take_while(first);
        let known = known.filter(|case| self.sight.includes(case));
        known.filter_map(move |case| time.known(case))
    }
}

fn progress_of(clause: Clause, months: &[Month]) -> ClauseProgress {
    let months = months.iter().map(|month| MetByMonth {
        month: month.first.month(),
        met: 0,
    });
    ClauseProgress {
        clause: Some(clause),
        months: months.collect(),
        ..ClauseProgress::default()
    }
}

/// The last day of a clause's due date; the last of all where it has none.
fn last_day(clause: &Clause) -> Day {
    edtf::days(&clause.due).map_or(Day::MAX, |days| days.latest)
}

fn add_progress(
    clause: &mut ClauseProgress,
    last_day: Day,
    case: &CaseState,
    months: &[Month],
    day: Day,
) {
    let one_more = |count: &mut u64| *count = count.saturating_add(1);
    one_more(&mut clause.covered);
    let Some(met_on) = case.obligation_met_on() else {
        if case.obligation().exclusion.is_some() {
            one_more(&mut clause.excluded);
            return;
        }
        one_more(&mut clause.outstanding);
        if last_day < day {
            one_more(&mut clause.overdue);
        }
        return;
    };
    if met_on <= last_day {
        one_more(&mut clause.met_by_due);
    } else {
        one_more(&mut clause.met_late);
    }
    for (counted, month) in clause.months.iter_mut().zip(months) {
        if met_on <= month.last {
            one_more(&mut counted.met);
        }
    }
}

fn coverage_of(clause: Clause) -> ClauseCoverage {
    ClauseCoverage {
        clause: Some(clause),
        ..ClauseCoverage::default()
    }
}

fn add(clause: &mut ClauseCoverage, case: &CaseState, cases_max: usize) {
    let (obligation, standing) = (case.obligation(), case.standing());
    let one = |holds: bool| u64::from(holds);
    clause.covered = clause.covered.saturating_add(1);
    clause.confirmed = clause
        .confirmed
        .saturating_add(one(obligation.is_confirmed));
    clause.reported = clause.reported.saturating_add(one(obligation.is_reported));
    clause.disputed = clause.disputed.saturating_add(one(standing.contested));
    let is_outstanding = !obligation.is_confirmed && obligation.exclusion.is_none();
    clause.outstanding = clause.outstanding.saturating_add(one(is_outstanding));
    if let Some(reason) = obligation.exclusion {
        exclude(&mut clause.exclusions, reason);
    }
    if clause.cases.len() < cases_max {
        let exclusion = obligation.exclusion.unwrap_or_default();
        clause.cases.push(CoveredCase {
            case_id: case.case_id().to_string(),
            confirmed: obligation.is_confirmed,
            reported: obligation.is_reported,
            exclusion: exclusion.into(),
            standing: Some(standing),
        });
    }
}

/// Counts an exclusion; reasons stand in the order of their numbers.
fn exclude(exclusions: &mut Vec<Exclusion>, reason: ExclusionReason) {
    let counts = exclusions.drain(..).map(|it| (it.reason, it.cases));
    let mut counts: BTreeMap<i32, u64> = counts.collect();
    let count = counts.entry(reason.into()).or_default();
    *count = count.saturating_add(1);
    exclusions.extend(
        counts
            .into_iter()
            .map(|(reason, cases)| Exclusion { reason, cases }),
    );
}

/// The case as which a case is counted.
pub(super) fn survivor(merged: &HashMap<Uuid, Uuid>, mut case: Uuid) -> Uuid {
    for _ in 0..MERGES_MAX {
        match merged.get(&case) {
            Some(survivor) => case = *survivor,
            None => break,
        }
    }
    case
}
