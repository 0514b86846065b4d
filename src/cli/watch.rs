//! `casetrail watch`: changes of how cases stand, as they happen.
//!
//! A lost connection is taken up again where it ended, by the position that every answer carries:
//! what is printed has no gap and no duplicate.

use std::ops::ControlFlow;

use clap::Args;
use tonic::Status;

use super::connection::{Connection, ServerArguments, backoff};
use super::failure::{Failure, cause_of, is_lost_connection};
use super::filter::FilterArguments;
use super::names;
use super::output::{Output, note};
use crate::wire::v1::watch_status_request::Start;
use crate::wire::v1::watch_status_response::Item;
use crate::wire::v1::{StatusChange, WatchMode, WatchStatusRequest, WatchStatusResponse};

/// What to watch.
#[derive(Debug, Args)]
#[command(after_help = "\
Ends when it is interrupted. A lost connection is resumed without gap and without duplicate.

Examples:
  casetrail watch
  casetrail watch --snapshot --kind detention --status ReleasePending
  casetrail watch --from 0 --until-caught-up --json
  casetrail watch --latest --district XA01")]
pub(super) struct WatchArguments {
    /// Begin with a snapshot of all cases that match
    #[arg(long, conflicts_with = "from")]
    snapshot: bool,
    /// Begin at a position of the log
    #[arg(long, value_name = "POSITION")]
    from: Option<u64>,
    /// Where the watcher has fallen behind, only the latest change of each case
    #[arg(long)]
    latest: bool,
    /// End at the head of the log
    #[arg(long)]
    until_caught_up: bool,
    /// One line of canonical protobuf JSON an answer
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    filter: FilterArguments,
    #[command(flatten)]
    server: ServerArguments,
}

pub(super) async fn run(arguments: &WatchArguments) -> Result<(), Failure> {
    let connection = arguments.server.connect().await?;
    let mode = if arguments.latest {
        WatchMode::LatestPerCase
    } else {
        WatchMode::EveryChange
    };
    let start = match arguments.from {
        Some(position) => Some(Start::FromPosition(position)),
        None => arguments.snapshot.then_some(Start::Snapshot(true)),
    };
    let request = WatchStatusRequest {
        filter: Some(arguments.filter.filter()),
        mode: mode.into(),
        start,
    };
    let mut output = Output::stdout();
    let show = |response: &WatchStatusResponse| {
        if arguments.json {
            output.json(response)?;
        } else if let Some(line) = line(response) {
            output.line(&line)?;
        }
        output.flush()?;
        let caught_up = matches!(response.item, Some(Item::CaughtUp(_)));
        Ok(if arguments.until_caught_up && caught_up {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    };
    tokio::select! {
        ended = follow(&connection, request, show, note) => ended,
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

/// Watches until `show` breaks, and resumes where the connection was lost; `lost` is told of that.
///
/// # Errors
/// `Refused` by the server, what `show` fails with, and `NoConnection` where the first attempt to
/// watch finds nobody.
pub(super) async fn follow(
    connection: &Connection,
    mut request: WatchStatusRequest,
    mut show: impl FnMut(&WatchStatusResponse) -> Result<ControlFlow<()>, Failure>,
    mut lost: impl FnMut(&str),
) -> Result<(), Failure> {
    let mut answered = false;
    let mut attempt = 0;
    loop {
        let mut received = false;
        let ended = watch_once(connection, &mut request, |response| {
            received = true;
            show(response)
        });
        let status = match ended.await? {
            ControlFlow::Break(()) => return Ok(()),
            ControlFlow::Continue(status) => status,
        };
        answered = answered || received;
        if !answered || !is_lost(&status) {
            return Err(connection.failure(&status));
        }
        if received {
            attempt = 0;
            let from = match request.start {
                Some(Start::FromPosition(position)) => format!("from position {position}"),
                _ => "with a new snapshot".to_owned(),
            };
            lost(&format!(
                "-- connection lost ({}); resuming {from}",
                cause_of(&status)
            ));
        }
        attempt += 1;
        tokio::time::sleep(backoff(attempt)).await;
    }
}

/// Watches until `show` breaks or the stream ends; keeps in `request` from where to go on.
async fn watch_once(
    connection: &Connection,
    request: &mut WatchStatusRequest,
    mut show: impl FnMut(&WatchStatusResponse) -> Result<ControlFlow<()>, Failure>,
) -> Result<ControlFlow<(), Status>, Failure> {
    let mut responses = match connection.monitor().watch_status(request.clone()).await {
        Ok(responses) => responses.into_inner(),
        Err(status) => return Ok(ControlFlow::Continue(status)),
    };
    loop {
        let response = match responses.message().await {
            Ok(Some(response)) => response,
            Ok(None) => {
                let status = Status::unavailable("the server ended the stream");
                return Ok(ControlFlow::Continue(status));
            }
            Err(status) => return Ok(ControlFlow::Continue(status)),
        };
        // A snapshot that was cut off can't be continued: it begins anew.
        let in_snapshot = matches!(response.item, Some(Item::CaseSnapshot(_)))
            || (matches!(request.start, Some(Start::Snapshot(_)))
                && !matches!(response.item, Some(Item::SnapshotEnd(_))));
        if !in_snapshot {
            request.start = Some(Start::FromPosition(response.next_position));
        }
        if show(&response)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
}

/// A server that shuts down says UNAVAILABLE with a reason; it is worth waiting for all the same.
pub(super) fn is_lost(status: &Status) -> bool {
    is_lost_connection(status) || status.code() == tonic::Code::Unavailable
}

/// An answer in one line; none where it only tells that the server is alive.
pub(super) fn line(response: &WatchStatusResponse) -> Option<String> {
    let position = response.next_position;
    match response.item.as_ref()? {
        Item::CaseSnapshot(case) => {
            let standing = case.standing.clone().unwrap_or_default();
            let kind = names::kind(standing.kind());
            let standing = names::standing(&standing);
            Some(format!(
                "{:>8}  {}  {kind:<9}  {standing}",
                "snapshot", case.case_id
            ))
        }
        Item::SnapshotEnd(end) => Some(format!(
            "-- {} cases in the snapshot, at position {position}",
            end.cases
        )),
        Item::StatusChange(change) => Some(change_line(change)),
        Item::CaughtUp(_) => Some(format!("-- at the head, position {position}")),
        Item::FellBehind(behind) => Some(format!(
            "-- behind: at position {position} of {}",
            behind.head
        )),
        Item::Progress(_) => None,
    }
}

/// A change in one line.
fn change_line(change: &StatusChange) -> String {
    let standing = change.standing.clone().unwrap_or_default();
    let before = change
        .previous_standing
        .as_ref()
        .map_or_else(|| "new".to_owned(), names::standing);
    let mut line = format!(
        "{:>8}  {}  {:<9}  {}: {before} -> {}",
        change.position,
        change.case_id,
        names::kind(standing.kind()),
        names::event_type(change.event_type()),
        names::standing(&standing),
    );
    if let Some(before) = &change.previous_standing {
        if before.category != standing.category {
            line.push_str(&format!(
                ", category {}",
                names::category(standing.category())
            ));
        }
        if before.district != standing.district {
            line.push_str(&format!(", district {}", standing.district));
        }
    }
    if change.skipped > 0 {
        line.push_str(&format!(" ({} changes skipped)", change.skipped));
    }
    line
}
