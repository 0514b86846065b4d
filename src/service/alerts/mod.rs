//! Alerts over gRPC: a list at a point, and a watch from point to point.
//!
//! What alerts there are is a function of the log before a position, a day and the thresholds
//! ([`point`]). It is found for all cases by a pass over them ([`difference`]), of which few are under
//! way at once ([`passes`]), and from then on by what changed ([`board`]), which does no work while
//! nobody watches, and none in the writer.

mod board;
mod clauses;
mod difference;
mod passes;
mod point;
mod watch;

use std::sync::Arc;

pub(super) use self::board::Board;
use self::difference::Difference;
pub(super) use self::passes::Passes;
use self::point::{Cursor, Point, Selection};
use self::watch::AlertWatch;
use super::Shared;
use super::as_of;
use super::call::{blocking, violation};
use super::status::Failure;
use super::stream::{Answers, Outlet};
use crate::access::Identity;
use crate::domain::Sight;
use crate::wire::v1::{
    ListAlertsRequest, ListAlertsResponse, WatchAlertsRequest, WatchAlertsResponse,
};
use crate::wire::validate::{self, PageScope};

/// Opens a watch.
pub(super) fn open(
    shared: &Arc<Shared>,
    caller: &Identity,
    request: WatchAlertsRequest,
) -> Result<(AlertWatch, Answers<WatchAlertsResponse>), Failure> {
    let sight = caller.authority().sight;
    let selection = Selection::check(request.filter, &request.rules)?.seeing(sight);
    let cursor = Cursor::check("cursor", request.cursor)?;
    let (outlet, answers) = Outlet::open(shared, caller)?;
    let head = *shared.heads().borrow();
    if cursor.position_max() > head {
        return Err(Failure::beyond_head(cursor.position_max(), head));
    }
    let watch = AlertWatch::new(Arc::clone(shared), outlet, selection, cursor);
    Ok((watch, answers))
}

/// Lists the alerts that hold at a point. A page may end within the alerts of a case, so that no
/// message grows with what one case has.
pub(super) async fn list(
    shared: Arc<Shared>,
    sight: Sight,
    request: ListAlertsRequest,
) -> Result<ListAlertsResponse, Failure> {
    let selection = Selection::check(request.filter, &request.rules)?.seeing(sight);
    let size = validate::page_size("page_size", request.page_size)?;
    let as_of = validate::as_of("as_of", request.as_of)?;
    if as_of.true_at.is_some() {
        let description = "is not told of alerts, which are by what was known; leave it out";
        return Err(violation("as_of.true_at", description).into());
    }
    let day = validate::day("day", &request.day)?;
    let scope = selection.page_scope(&as_of.encoded, &request.day);
    let begin = validate::page_token("page_token", &request.page_token, scope)?;
    let head = *shared.heads().borrow();
    let time = as_of::resolve(&shared, head, &as_of).await?;
    let place = shared.alert_passes.place().await;
    let asked = Arc::clone(&shared);
    let page = blocking(move || {
        let shared = asked;
        let day = day.map_or_else(|| as_of::day_of(&shared, &as_of), Ok)?;
        let point = Point {
            position: time.position,
            day,
            thresholds: shared.alert_thresholds,
        };
        Ok(page(
            shared,
            &selection,
            point,
            Place::of(begin),
            scope,
            size,
        ))
    });
    let page = page.await?;
    drop(place);
    page
}

/// The page of the alerts that hold at a point, from one of them on.
fn page(
    shared: Arc<Shared>,
    selection: &Selection,
    point: Point,
    begin: Place,
    scope: PageScope,
    size: usize,
) -> ListAlertsResponse {
    let mut page = ListAlertsResponse {
        point: Some(point.to_message()),
        ..ListAlertsResponse::default()
    };
    let mut way = Difference::new(Arc::clone(&shared), None, point, begin.case);
    while let Some(bit) = way.next_bit() {
        for (case, turn) in bit {
            if !selection.sees(&shared, turn.case_id) {
                continue;
            }
            let told = if case == begin.case { begin.alert } else { 0 };
            let alerts = selection.of(turn.case_id, &turn.after).into_iter();
            for (alert, holding) in alerts.enumerate().skip(told) {
                if page.alerts.len() >= size {
                    page.next_page_token = scope.token(Place { case, alert }.packed());
                    return page;
                }
                page.alerts
                    .push(holding.to_message(turn.case_id, turn.kind));
            }
        }
    }
    page
}

/// The place of an alert: that of its case in the order of opening, and its own among those of the
/// case.
#[derive(Debug, Clone, Copy)]
struct Place {
    case: usize,
    alert: usize,
}

impl Place {
    fn of(packed: u64) -> Self {
        let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        Self {
            case: number(packed >> 32),
            alert: number(packed & u64::from(u32::MAX)),
        }
    }

    fn packed(self) -> u64 {
        let number = |number: usize| u64::from(u32::try_from(number).unwrap_or(u32::MAX));
        number(self.case) << 32 | number(self.alert)
    }
}
