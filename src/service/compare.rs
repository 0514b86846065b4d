//! What differs between two reports, case by case, and through which events.

use prost::Message;

use super::Seeing;
use super::as_of::{Seen, Time};
use super::call::PAGE_BYTES_MAX;
use crate::domain::CaseState;
use crate::wire::limits::COMPARED_EVENTS_MAX;
use crate::wire::v1::{CaseDifference, CompareCasesResponse, EventReference};
use crate::wire::validate::{CaseFilter, PageScope};

/// The page of the cases that stand otherwise, from the place `begin` in the order of opening on.
pub(super) fn page(
    seen: Seeing<'_>,
    (from, to): (Time, Time),
    filter: &CaseFilter,
    scope: PageScope,
    begin: u64,
    size: usize,
) -> CompareCasesResponse {
    let mut page = CompareCasesResponse {
        from_position: from.position,
        to_position: to.position,
        ..CompareCasesResponse::default()
    };
    let mut bytes: usize = 0;
    let first = usize::try_from(begin).unwrap_or(usize::MAX);
    for (place, case) in (begin..).zip(seen.cases.iter().skip(first)) {
        if !seen.sight.includes(case) {
            continue;
        }
        let Some(difference) = difference(case, from, to, filter) else {
            continue;
        };
        if page.differences.len() >= size || bytes >= PAGE_BYTES_MAX {
            page.next_page_token = scope.token(place);
            break;
        }
        bytes = bytes.saturating_add(difference.encoded_len());
        page.differences.push(difference);
    }
    page
}

/// How a case differs; none where it does not, or does not match.
fn difference(
    case: &CaseState,
    from: Time,
    to: Time,
    filter: &CaseFilter,
) -> Option<CaseDifference> {
    if from.true_at == to.true_at && case.last_position() < Some(from.position) {
        return None;
    }
    let (before, after) = (from.see(case), to.see(case));
    let seen = || [&before, &after].into_iter().flatten();
    let matches = seen()
        .flat_map(Seen::standings)
        .any(|standing| filter.matches(case.case_id(), standing));
    let told = |seen: &Option<Seen<'_>>| {
        let seen = seen.as_ref()?;
        Some((seen.standing.clone(), seen.possible.clone()))
    };
    let (before, after) = (told(&before), told(&after));
    if !matches || before == after {
        return None;
    }
    let facts = case.facts();
    let between = facts
        .iter()
        .rev()
        .filter(|fact| (from.position..to.position).contains(&fact.position))
        .take(COMPARED_EVENTS_MAX);
    let mut events: Vec<_> = between
        .map(|fact| EventReference {
            position: fact.position,
            event_id: fact.event_id.to_string(),
            event_type: fact.recorded_type().into(),
            recorded_at: Some(fact.recorded_at.into()),
        })
        .collect();
    events.reverse();
    let (from_standing, from_possible_standing) = before.unzip();
    let (to_standing, to_possible_standing) = after.unzip();
    Some(CaseDifference {
        case_id: case.case_id().to_string(),
        from_standing,
        to_standing,
        from_possible_standing: from_possible_standing.flatten(),
        to_possible_standing: to_possible_standing.flatten(),
        events,
    })
}
