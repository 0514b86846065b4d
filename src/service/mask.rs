//! What a monitor is told: changes under pseudonyms, and counts in which nobody is singled out.
//!
//! Invariants:
//! - No identifier of a case and no organisation goes out, and no time but the day.
//! - A district and a category are told of a case as of the beginning of the day (UTC), and only in
//!   groups of [`SMALL_CELL`]: of the cases that share both, as many as are a multiple of it, the
//!   first opened ones; of the others of the kind and category the category alone, likewise. So what
//!   a stream tells of a district, counted, is a rounded count as well, and what comes to it comes
//!   with others.
//! - Counts are those of the beginning of the day, rounded down to multiples of [`SMALL_CELL`] in the
//!   smallest cells; what would be less is left out. A filter chooses among these cells and counts
//!   nothing anew, so that overlapping filters tell no more than none. There is no total but the sum
//!   of what is shown, so that nothing can be told of what is left out by subtracting.
//! - What would cut a count smaller or ask for another time is refused.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prost_types::Timestamp;
use uuid::Uuid;

use super::Shared;
use super::as_of::{self, Time};
use super::call::{blocking, violation};
use super::status::Failure;
use crate::access::{Identity, Pseudonyms};
use crate::domain::Sight;
use crate::wire::edtf::Day;
use crate::wire::limits::SMALL_CELL;
use crate::wire::moment::Moment;
use crate::wire::v1::{
    self, AsOf, CaseFilter, GetSummaryResponse, Standing, StatusChange, SummaryRow,
};
use crate::wire::validate;

/// What may be told of each case, by what was known at the beginning of a day: for all monitors.
#[derive(Default)]
pub(super) struct Publications {
    kept: Mutex<Option<(Day, Arc<Published>)>>,
}

/// What may be told of cases besides their kind and status.
#[derive(Debug, Default)]
pub(super) struct Published(HashMap<Uuid, Told>);

/// What is told of a case.
#[derive(Debug)]
struct Told {
    category: i32,
    /// Empty where it is not told.
    district: Arc<str>,
}

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

    /// What may be told today. It may pass over all cases, once a day.
    ///
    /// # Errors
    /// The log can't be read.
    pub(super) fn published(&self) -> Result<Arc<Published>, Failure> {
        self.shared.publications.on(&self.shared)
    }

    /// A change as the monitor is told it.
    pub(super) fn change(&self, published: &Published, mut change: StatusChange) -> StatusChange {
        let told = published.told(&change.case_id);
        change.case_id = self.pseudonym(&change.case_id);
        change.recorded_at = change.recorded_at.map(day_of);
        let standings = [&mut change.standing, &mut change.previous_standing];
        for standing in standings.into_iter().flatten() {
            self.standing(told, standing);
        }
        change
    }

    /// A case of a snapshot as the monitor is told it.
    pub(super) fn snapshot(
        &self,
        published: &Published,
        mut snapshot: v1::CaseSnapshot,
    ) -> v1::CaseSnapshot {
        let told = published.told(&snapshot.case_id);
        snapshot.case_id = self.pseudonym(&snapshot.case_id);
        if let Some(standing) = &mut snapshot.standing {
            self.standing(told, standing);
        }
        snapshot
    }

    fn standing(&self, told: Option<&Told>, standing: &mut Standing) {
        standing.organisation.clear();
        if !standing.merged_into.is_empty() {
            standing.merged_into = self.pseudonym(&standing.merged_into);
        }
        standing.category = told.map_or_else(i32::default, |told| told.category);
        standing.district = told
            .map(|told| told.district.to_string())
            .unwrap_or_default();
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

impl Publications {
    fn on(&self, shared: &Shared) -> Result<Arc<Published>, Failure> {
        let today = shared.ledger.today();
        // Held while they are made, so that they are made once.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((day, published)) = kept.as_ref()
            && *day == today
        {
            return Ok(Arc::clone(published));
        }
        let at = shared.cases();
        let time = publication_before(shared, at.position)?;
        let cases = at
            .cases
            .iter()
            .take_while(|case| case.first_position() < Some(time.position))
            .filter(|case| Sight::All.includes(case))
            .filter_map(|case| Some((case.case_id(), time.see(case)?.standing)));
        let published = Arc::new(Published::of(cases));
        *kept = Some((today, Arc::clone(&published)));
        Ok(published)
    }
}

impl Published {
    /// By how cases stand, in the order in which they were opened.
    fn of(cases: impl Iterator<Item = (Uuid, Standing)>) -> Self {
        let mut cells: BTreeMap<(i32, i32, String), Vec<(usize, Uuid)>> = BTreeMap::new();
        for (place, (case_id, standing)) in cases.enumerate() {
            // What is merged into another case is counted there.
            if standing.merged_into.is_empty() {
                let cell = (standing.kind, standing.category, standing.district);
                cells.entry(cell).or_default().push((place, case_id));
            }
        }
        let mut told = HashMap::new();
        let mut rest: BTreeMap<(i32, i32), Vec<(usize, Uuid)>> = BTreeMap::new();
        for ((kind, category, district), mut cases) in cells {
            let district: Arc<str> = district.into();
            let others = cases.split_off(whole_groups(cases.len()));
            rest.entry((kind, category)).or_default().extend(others);
            told.extend(cases.into_iter().map(|(_, case_id)| {
                let district = Arc::clone(&district);
                (case_id, Told { category, district })
            }));
        }
        for ((_, category), mut cases) in rest {
            cases.sort_unstable();
            cases.truncate(whole_groups(cases.len()));
            told.extend(cases.into_iter().map(|(_, case_id)| {
                let district = Arc::default();
                (case_id, Told { category, district })
            }));
        }
        Self(told)
    }

    /// What is told of a case; nothing of one that was not there yet.
    fn told(&self, case_id: &str) -> Option<&Told> {
        self.0.get(&Uuid::try_parse(case_id).ok()?)
    }
}

/// The day of a time, as its beginning.
pub(super) fn day_of(time: Timestamp) -> Timestamp {
    Moment::at_start_of(Moment::from(time).day()).into()
}

/// How many of a number of cases make up groups in which nobody is singled out.
fn whole_groups(count: usize) -> usize {
    let group = usize::try_from(SMALL_CELL).unwrap_or(usize::MAX);
    count - count % group
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

/// Counts of all cases as a monitor is told them who asks for those of a filter. It chooses among the
/// rows. What is in no row is told to who asks for all alone.
pub(super) fn told(
    summary: GetSummaryResponse,
    filter: &validate::CaseFilter,
) -> GetSummaryResponse {
    let chosen = |rows: Vec<SummaryRow>| -> Vec<_> {
        rows.into_iter()
            .filter(|row| is_chosen(row, filter))
            .collect()
    };
    let (rows, mut possible_rows) = (chosen(summary.rows), chosen(summary.possible_rows));
    if rounded(summary.uncertain) == 0 {
        // That there are any would tell of the few that make the difference.
        possible_rows.clear();
    }
    let of_whole = |count| {
        if filter.is_everything() {
            rounded(count)
        } else {
            0
        }
    };
    let rows = published_rows(rows);
    GetSummaryResponse {
        position: summary.position,
        recorded_at: summary.recorded_at,
        cases: rows.iter().map(|row| row.reported).sum(),
        contested: of_whole(summary.contested),
        rows,
        possible_rows: published_rows(possible_rows),
        uncertain: of_whole(summary.uncertain),
        rounded_to: SMALL_CELL,
    }
}

fn is_chosen(row: &SummaryRow, filter: &validate::CaseFilter) -> bool {
    let standing = Standing {
        kind: row.kind,
        reported: row.status,
        confirmed: row.status,
        category: row.category,
        district: row.district.clone(),
        ..Standing::default()
    };
    filter.matches(Uuid::nil(), &standing)
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
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
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

    fn filter(filter: v1::CaseFilter) -> validate::CaseFilter {
        validate::case_filter("filter", Some(filter)).unwrap()
    }

    #[test]
    fn a_filter_chooses_among_the_rows_and_counts_nothing_anew() {
        let exact = GetSummaryResponse {
            rows: vec![row("XA01", 12, 9), row("XA02", 13, 9), row("XA03", 1, 1)],
            cases: 26,
            contested: 7,
            uncertain: 6,
            ..GetSummaryResponse::default()
        };
        let of = |districts: &[&str]| {
            let districts = districts.iter().map(|it| (*it).to_owned()).collect();
            let districts = v1::CaseFilter {
                districts,
                ..v1::CaseFilter::default()
            };
            super::told(exact.clone(), &filter(districts))
        };
        let all = of(&[]);
        assert_eq!((all.cases, all.contested, all.uncertain), (20, 5, 5));
        assert_eq!(all.rows, [row("XA01", 10, 5), row("XA02", 10, 5)]);
        // 12 and 13 are 25: a filter that takes both in tells no more than each of them.
        assert_eq!(of(&["XA01", "XA02"]).rows, all.rows);
        assert_eq!(of(&["XA01", "XA03"]).rows, all.rows[..1]);
        // What has no rows is not cut into pieces that could be subtracted.
        let some = of(&["XA01"]);
        assert_eq!((some.cases, some.contested, some.uncertain), (10, 0, 0));
    }

    #[test]
    fn a_district_and_a_category_are_told_in_groups_alone() {
        let standing = |category: i32, district: &str| Standing {
            kind: 1,
            category,
            district: district.to_owned(),
            ..Standing::default()
        };
        let cases = |standings: Vec<Standing>| {
            let ids = (1..).map(Uuid::from_u128);
            Published::of(ids.zip(standings))
        };
        let told = |published: &Published, number: u128| {
            let told = published.told(&Uuid::from_u128(number).to_string());
            told.map(|told| (told.category, told.district.to_string()))
        };
        // Seven of a category in one district, four in another, and one of another category there.
        let mut standings = vec![standing(2, "XA01"); 7];
        standings.extend(vec![standing(2, "XA02"); 4]);
        standings.push(standing(3, "XA01"));
        let published = cases(standings.clone());
        assert_eq!(told(&published, 1), Some((2, "XA01".to_owned())));
        assert_eq!(told(&published, 5), Some((2, "XA01".to_owned())));
        // What is left of both districts is a group by the category, but for one.
        let of_group = (6..=10).map(|number| told(&published, number));
        assert!(of_group.clone().all(|it| it == Some((2, String::new()))));
        assert_eq!(told(&published, 11), None);
        assert_eq!(told(&published, 12), None);
        // One more of the large cell moves nobody.
        standings.push(standing(2, "XA01"));
        let after = cases(standings);
        for number in 1..=5 {
            assert_eq!(told(&after, number), told(&published, number));
        }
        assert_eq!(told(&after, 13), None);
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
            super::told(exact, &filter(v1::CaseFilter::default()))
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
