//! Alerts over gRPC: a list at a point, and a watch from point to point.
//!
//! What alerts there are is a function of the log before a position, a day and the thresholds
//! ([`point`]). It is found for all cases by a pass over them ([`difference`]), and from then on by
//! what changed ([`board`]), which does no work while nobody watches, and none in the writer.

mod board;
mod clauses;
mod difference;
mod point;
mod watch;

use std::sync::Arc;

pub(super) use self::board::Board;
use self::difference::Difference;
use self::point::{Cursor, Point, Selection};
use self::watch::AlertWatch;
use super::Shared;
use super::as_of;
use super::call::{blocking, violation};
use super::status::Failure;
use super::stream::{Answers, Outlet};
use crate::domain::Sight;
use crate::wire::edtf::Day;
use crate::wire::v1::watch_alerts_response::Item;
use crate::wire::v1::{
    ListAlertsRequest, ListAlertsResponse, WatchAlertsRequest, WatchAlertsResponse,
};
use crate::wire::validate;

/// Opens a watch.
pub(super) fn open(
    shared: &Arc<Shared>,
    sight: Sight,
    request: WatchAlertsRequest,
) -> Result<(AlertWatch, Answers<WatchAlertsResponse>), Failure> {
    let selection = Selection::check(request.filter, &request.rules)?.seeing(sight);
    let cursor = Cursor::check("cursor", request.cursor)?;
    let (outlet, answers) = Outlet::open(shared)?;
    let head = *shared.heads().borrow();
    if cursor.position_max() > head {
        return Err(Failure::beyond_head(cursor.position_max(), head));
    }
    let watch = AlertWatch::new(Arc::clone(shared), outlet, selection, cursor);
    Ok((watch, answers))
}

/// Lists the alerts that hold at a point.
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
    let day = Day::parse(&request.day);
    if day.is_none() && !request.day.is_empty() {
        let description = "is no day; give one as YYYY-MM-DD, or leave it out";
        return Err(violation("day", description).into());
    }
    let scope = selection.page_scope(&as_of.encoded, &request.day);
    let begin = validate::page_token("page_token", &request.page_token, scope)?;
    let head = *shared.heads().borrow();
    let time = as_of::resolve(&shared, head, &as_of).await?;
    blocking(move || {
        let day = day.map_or_else(|| as_of::day_of(&shared, &as_of), Ok)?;
        let point = Point {
            position: time.position,
            day,
            thresholds: shared.alert_thresholds,
        };
        let begin = usize::try_from(begin).unwrap_or(usize::MAX);
        let mut page = ListAlertsResponse {
            point: Some(point.to_message()),
            ..ListAlertsResponse::default()
        };
        let mut way = Difference::new(&shared, None, point).beginning_at(begin);
        while let Some(bit) = way.next_bit(&shared) {
            for (place, turn) in bit {
                let alerts = turn.changes(&shared, &selection).into_iter();
                let alerts: Vec<_> = alerts
                    .filter_map(|item| match item {
                        Item::Raised(alert) => Some(alert),
                        _ => None,
                    })
                    .collect();
                if page.alerts.len() >= size && !alerts.is_empty() {
                    let place = u64::try_from(place).unwrap_or(u64::MAX);
                    page.next_page_token = scope.token(place);
                    return Ok(page);
                }
                page.alerts.extend(alerts);
            }
        }
        Ok(page)
    })
    .await?
}
