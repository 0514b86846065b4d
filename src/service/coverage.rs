//! Counts what became of the cases under the clauses of an agreement. A pure function of the cases.
//!
//! A case is under a clause by a rule of the clause, or since it was put there. One that is merged
//! into another case is counted as that one, and each case once a clause.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use uuid::Uuid;

use super::as_of::Time;
use crate::domain::{CaseState, Obligation, Sight, Ties};
use crate::view::CaseList;
use crate::wire::edtf::{self, Day};
use crate::wire::v1::{
    AgreementDetail, Clause, ClauseCoverage, ClauseProgress, Coverage, CoverageRule, CoveredCase,
    Exclusion, ExclusionReason, GetAgreementCoverageResponse, GetAgreementProgressResponse,
    MetByMonth, Standing, case::Detail,
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
    found.for_each(|case, indexes| {
        let (obligation, standing) = (case.obligation(), case.standing());
        for index in indexes {
            if let Some(clause) = clauses.get_mut(*index) {
                add(clause, case, obligation, &standing, cases_max);
            }
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
    let last_days = found
        .clauses
        .iter()
        .map(|clause| edtf::last_day(&clause.due));
    let last_days: Vec<_> = last_days.map(|day| day.unwrap_or(Day::MAX)).collect();
    found.for_each(|case, indexes| {
        let (met_on, obligation) = (case.obligation_met_on(), case.obligation());
        for index in indexes {
            if let (Some(clause), Some(last)) = (clauses.get_mut(*index), last_days.get(*index)) {
                add_progress(clause, *last, met_on, obligation, months, day);
            }
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
            merged.extend(case.survivor().map(|survivor| (case.case_id(), survivor)));
            let put = agreement.put.contains(&case.case_id());
            let covered = Covered::new(&case, put);
            for (clause, under) in detail.clauses.iter().zip(&mut under) {
                if covered.is_under(&agreement_id, &clause.reference, &clause.rules) {
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

    /// Tells each case that is under any clause, with the indexes of those clauses.
    fn for_each(&self, mut tell: impl FnMut(&CaseState, &[usize])) {
        let mut indexes = Vec::new();
        for case in self.agreement.known_cases() {
            indexes.clear();
            let under = self.under.iter().enumerate();
            let holding = under.filter(|(_, under)| under.contains(&case.case_id()));
            indexes.extend(holding.map(|(index, _)| index));
            if !indexes.is_empty() {
                tell(&case, &indexes);
            }
        }
    }
}

impl Agreement {
    /// All cases that were known at the time, and that there are for the caller, as they were known.
    fn known_cases(&self) -> impl Iterator<Item = Cow<'_, CaseState>> {
        let seen = self.cases.iter().filter(|case| self.sight.includes(case));
        self.time.known_of(seen)
    }
}

/// A case, with the clauses under which it was put one by one.
pub(super) struct Covered<'a> {
    case: &'a CaseState,
    put: Vec<Coverage>,
}

impl<'a> Covered<'a> {
    /// `may_be_put` is whether it may have been put under any.
    pub(super) fn new(case: &'a CaseState, may_be_put: bool) -> Self {
        let put = if may_be_put {
            Ties::of(case).coverages()
        } else {
            Vec::new()
        };
        Self { case, put }
    }

    /// Whether it is under a clause, by one of its rules or since it was put there.
    pub(super) fn is_under(&self, agreement: &str, clause: &str, rules: &[CoverageRule]) -> bool {
        let is_put = self
            .put
            .iter()
            .any(|it| it.agreement_case_id == agreement && it.clause_reference == clause);
        is_put || rules.iter().any(|rule| self.case.is_covered_by(rule))
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

fn add_progress(
    clause: &mut ClauseProgress,
    last_day: Day,
    met_on: Option<Day>,
    obligation: Obligation,
    months: &[Month],
    day: Day,
) {
    let one_more = |count: &mut u64| *count = count.saturating_add(1);
    one_more(&mut clause.covered);
    let Some(met_on) = met_on else {
        if !obligation.is_outstanding() {
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

fn add(
    clause: &mut ClauseCoverage,
    case: &CaseState,
    obligation: Obligation,
    standing: &Standing,
    cases_max: usize,
) {
    let one = |holds: bool| u64::from(holds);
    clause.covered = clause.covered.saturating_add(1);
    clause.confirmed = clause
        .confirmed
        .saturating_add(one(obligation.is_confirmed));
    clause.reported = clause.reported.saturating_add(one(obligation.is_reported));
    clause.disputed = clause.disputed.saturating_add(one(standing.contested));
    clause.outstanding = clause
        .outstanding
        .saturating_add(one(obligation.is_outstanding()));
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
            standing: Some(standing.clone()),
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
