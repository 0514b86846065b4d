//! Counts cases. A pure function of the cases and the filter.

use std::collections::BTreeMap;

use super::CasesAt;
use crate::wire::v1::{CaseStatus, GetSummaryResponse, Standing, SummaryRow};
use crate::wire::validate::CaseFilter;

/// What rows are ordered by: kind, category, district, status.
type RowKey = (i32, i32, String, i32);

/// Number of cases by reported and by confirmed status.
type Counts = (u64, u64);

/// Counts the cases that match. A case without a confirmed status counts in no row as confirmed.
pub(super) fn summarise(at: CasesAt, filter: &CaseFilter) -> GetSummaryResponse {
    let mut counts: BTreeMap<RowKey, Counts> = BTreeMap::new();
    let mut summary = GetSummaryResponse {
        position: at.position,
        recorded_at: at.recorded_at,
        ..GetSummaryResponse::default()
    };
    for case in at.cases {
        let standing = case.standing();
        // What is merged into another case is counted there.
        if standing.merged_into.is_empty() && filter.matches(case.case_id(), &standing) {
            summary.cases = summary.cases.saturating_add(1);
            summary.contested = summary
                .contested
                .saturating_add(u64::from(standing.contested));
            let (reported, confirmed) = (standing.reported, standing.confirmed);
            let (_, by_confirmed) = counts.entry(key(&standing, confirmed)).or_default();
            *by_confirmed = by_confirmed.saturating_add(1);
            let (by_reported, _) = counts.entry(key(&standing, reported)).or_default();
            *by_reported = by_reported.saturating_add(1);
        }
    }
    summary.rows = counts
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
        .collect();
    summary
}

fn key(standing: &Standing, status: i32) -> RowKey {
    (
        standing.kind,
        standing.category,
        standing.district.clone(),
        status,
    )
}
