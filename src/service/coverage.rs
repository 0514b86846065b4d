//! Counts what became of the cases under the clauses of an agreement. A pure function of the cases.
//!
//! A case is under a clause by a rule of the clause, or since it was put there. One that is merged
//! into another case is counted as that one, and each case once a clause.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use uuid::Uuid;

use super::as_of::Time;
use crate::domain::{CaseState, Ties};
use crate::view::CaseList;
use crate::wire::v1::{
    AgreementDetail, ClauseCoverage, CoveredCase, Exclusion, ExclusionReason,
    GetAgreementCoverageResponse, case::Detail,
};

/// The cases that a merge leads through at most: a chain that is longer is no chain but a ring.
const MERGES_MAX: usize = 16;

/// Counts the cases under each clause of `agreement`. `put` are those that were ever put under one of
/// them one by one; `cases_max` is how many cases are named for each clause.
pub(super) fn count(
    cases: &CaseList,
    time: Time,
    agreement: &CaseState,
    put: &HashSet<Uuid>,
    cases_max: usize,
) -> GetAgreementCoverageResponse {
    let agreement_id = agreement.case_id().to_string();
    let detail = match agreement.detail() {
        Some(Detail::AgreementDetail(detail)) => detail,
        _ => AgreementDetail::default(),
    };
    let mut under: Vec<BTreeSet<Uuid>> = vec![BTreeSet::new(); detail.clauses.len()];
    let mut merged: HashMap<Uuid, Uuid> = HashMap::new();
    let known = || {
        let first = |case: &&Arc<CaseState>| case.first_position() < Some(time.position);
        let known = cases.iter().take_while(first);
        known.filter_map(|case| time.known(case))
    };
    for case in known() {
        if let Ok(survivor) = Uuid::try_parse(&case.merged_into()) {
            merged.insert(case.case_id(), survivor);
        }
        let coverages = if put.contains(&case.case_id()) {
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
    let mut clauses: Vec<_> = detail.clauses.into_iter().map(coverage_of).collect();
    for case in known() {
        for (clause, under) in clauses.iter_mut().zip(&under) {
            if under.contains(&case.case_id()) {
                add(clause, &case, cases_max);
            }
        }
    }
    GetAgreementCoverageResponse {
        position: time.position,
        clauses,
    }
}

fn coverage_of(clause: crate::wire::v1::Clause) -> ClauseCoverage {
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
