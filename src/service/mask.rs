//! What a monitor is told: changes under pseudonyms, and counts in which nobody is singled out.
//!
//! Invariants:
//! - No identifier of a case and no organisation goes out, and a district only where at least
//!   [`SMALL_CELL`] cases of the kind were known at the last publication.
//! - Counts are those of the beginning of the day (UTC), rounded down to multiples of [`SMALL_CELL`];
//!   what would be less is left out. There is no total but the sum of what is shown, so that nothing
//!   can be told of what is left out by subtracting; and nothing of one person by subtracting two
//!   days.
//! - What would cut a count smaller or ask for another time is refused.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

use super::as_of::{self, Time};
use super::call::{blocking, violation};
use super::status::Failure;
use super::summary::summarise;
use super::{Seeing, Shared};
use crate::access::{Identity, Pseudonyms};
use crate::domain::Sight;
use crate::wire::edtf::Day;
use crate::wire::limits::SMALL_CELL;
use crate::wire::v1::{
    self, AsOf, CaseFilter, GetSummaryResponse, Standing, StatusChange, SummaryRow,
};
use crate::wire::validate;

/// The districts of which a kind has enough cases to be named, by what was known at the beginning of a
/// day: for all monitors.
#[derive(Default)]
pub(super) struct LargeDistricts {
    kept: Mutex<Option<(Day, Arc<Districts>)>>,
}

/// Kind and district.
pub(super) type Districts = HashSet<(i32, String)>;

/// How the stream of one monitor is masked.
pub(super) struct Mask {
    pseudonyms: Pseudonyms,
    shared: Arc<Shared>,
}

impl Mask {
    /// The mask for who calls; none for a caller who sees cases as they are.
    ///
    /// # Errors
    /// There is no key for pseudonyms, which is a fault of the server.
    pub(super) fn of(shared: &Arc<Shared>, caller: &Identity) -> Result<Option<Self>, Failure> {
        if !caller.is_masked() {
            return Ok(None);
        }
        let access = shared.access.as_ref();
        let pseudonyms = access.map(|access| access.pseudonyms(caller.account()));
        let pseudonyms =
            pseudonyms.ok_or_else(|| Failure::internal("a monitor without accounts"))?;
        Ok(Some(Self {
            pseudonyms,
            shared: Arc::clone(shared),
        }))
    }

    /// The districts that may be named. It may pass over all cases, once a day.
    ///
    /// # Errors
    /// The log can't be read.
    pub(super) fn large_districts(&self) -> Result<Arc<Districts>, Failure> {
        self.shared.large_districts.on(&self.shared)
    }

    /// A change as the monitor is told it.
    pub(super) fn change(&self, large: &Districts, mut change: StatusChange) -> StatusChange {
        change.case_id = self.pseudonym(&change.case_id);
        let standings = [&mut change.standing, &mut change.previous_standing];
        for standing in standings.into_iter().flatten() {
            self.standing(large, standing);
        }
        change
    }

    /// A case of a snapshot as the monitor is told it.
    pub(super) fn snapshot(
        &self,
        large: &Districts,
        mut snapshot: v1::CaseSnapshot,
    ) -> v1::CaseSnapshot {
        snapshot.case_id = self.pseudonym(&snapshot.case_id);
        if let Some(standing) = &mut snapshot.standing {
            self.standing(large, standing);
        }
        snapshot
    }

    fn standing(&self, large: &Districts, standing: &mut Standing) {
        standing.organisation.clear();
        if !standing.merged_into.is_empty() {
            standing.merged_into = self.pseudonym(&standing.merged_into);
        }
        let cell = (standing.kind, std::mem::take(&mut standing.district));
        if large.contains(&cell) {
            standing.district = cell.1;
        }
    }

    fn pseudonym(&self, case_id: &str) -> String {
        // A record whose case_id is no UUID was never taken in.
        Uuid::try_parse(case_id)
            .map(|case_id| self.pseudonyms.of(case_id).to_string())
            .unwrap_or_default()
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Mask").finish_non_exhaustive()
    }
}

impl LargeDistricts {
    fn on(&self, shared: &Shared) -> Result<Arc<Districts>, Failure> {
        let today = shared.ledger.today();
        // Held while they are counted, so that they are counted once.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((day, districts)) = kept.as_ref()
            && *day == today
        {
            return Ok(Arc::clone(districts));
        }
        let at = shared.cases();
        let time = publication_before(shared, at.position)?;
        let seen = Seeing {
            cases: &at.cases,
            sight: &Sight::All,
        };
        let everything = validate::case_filter("filter", None)?;
        let mut cases: BTreeMap<(i32, String), u64> = BTreeMap::new();
        for row in summarise(seen, time, &everything).rows {
            let count = cases.entry((row.kind, row.district)).or_default();
            *count = count.saturating_add(row.reported);
        }
        let large = cases.into_iter().filter(|(_, count)| *count >= SMALL_CELL);
        let districts = Arc::new(large.map(|(cell, _)| cell).collect());
        *kept = Some((today, Arc::clone(&districts)));
        Ok(districts)
    }
}

/// Refuses what would cut a monitor's counts or stream smaller than they may be, and another time than
/// that of the publication.
///
/// # Errors
/// The field that is not for monitors.
pub(super) fn check_asked(
    filter: Option<&CaseFilter>,
    as_of: Option<&AsOf>,
) -> Result<(), Failure> {
    let filter = filter.cloned().unwrap_or_default();
    let fields = [
        ("filter.case_ids", !filter.case_ids.is_empty()),
        ("filter.organisations", !filter.organisations.is_empty()),
        ("filter.contested", filter.contested),
        ("as_of", as_of.is_some()),
    ];
    match fields.iter().find(|(_, is_set)| *is_set) {
        Some((field, _)) => {
            let description = "is not for monitors, who are told counts as published; leave it out";
            Err(violation(field, description).into())
        }
        None => Ok(()),
    }
}

/// The time of the publication that is in force: the beginning of this day.
///
/// # Errors
/// The log can't be read.
pub(super) async fn publication(shared: &Arc<Shared>, head: u64) -> Result<Time, Failure> {
    let shared = Arc::clone(shared);
    blocking(move || publication_before(&shared, head)).await?
}

fn publication_before(shared: &Shared, head: u64) -> Result<Time, Failure> {
    let today = shared.ledger.today();
    let position = as_of::first_recorded_on(shared.ledger.log().as_ref(), head, today)?;
    Ok(Time {
        position,
        true_at: None,
    })
}

/// Counts as they are told: to a monitor as they are published.
pub(super) fn told(summary: GetSummaryResponse, is_masked: bool) -> GetSummaryResponse {
    if !is_masked {
        return summary;
    }
    let rows = published_rows(summary.rows);
    GetSummaryResponse {
        position: summary.position,
        recorded_at: summary.recorded_at,
        cases: rows.iter().map(|row| row.reported).sum(),
        contested: rounded(summary.contested),
        rows,
        possible_rows: published_rows(summary.possible_rows),
        uncertain: rounded(summary.uncertain),
        rounded_to: SMALL_CELL,
    }
}

fn published_rows(rows: Vec<SummaryRow>) -> Vec<SummaryRow> {
    let rows = rows.into_iter().map(|row| SummaryRow {
        reported: rounded(row.reported),
        confirmed: rounded(row.confirmed),
        ..row
    });
    rows.filter(|row| row.reported > 0 || row.confirmed > 0)
        .collect()
}

fn rounded(count: u64) -> u64 {
    count - count % SMALL_CELL
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(district: &str, reported: u64, confirmed: u64) -> SummaryRow {
        SummaryRow {
            district: district.to_owned(),
            reported,
            confirmed,
            ..SummaryRow::default()
        }
    }

    #[test]
    fn small_counts_are_left_out_and_no_total_tells_of_them() {
        let told = |small: u64| {
            let exact = GetSummaryResponse {
                rows: vec![row("XA01", 12, 9), row("XA02", small, small)],
                cases: 12 + small,
                contested: small,
                ..GetSummaryResponse::default()
            };
            super::told(exact, true)
        };
        let none = told(0);
        assert_eq!(none.rows, [row("XA01", 10, 5)]);
        assert_eq!((none.cases, none.contested, none.rounded_to), (10, 0, 5));
        for small in 1..SMALL_CELL {
            assert_eq!(told(small), none);
        }
        assert_ne!(told(SMALL_CELL), none);
    }
}
