//! `casetrail watch`: changes of how cases stand, as they happen.
//!
//! A lost connection is taken up again where it ended, by the position that every answer carries:
//! what is printed has no gap and no duplicate.

use std::ops::ControlFlow;

use clap::Args;
use tonic::{Response, Status, Streaming};

use super::connection::{Connection, ServerArguments};
use super::failure::Failure;
use super::filter::FilterArguments;
use super::follow::{Resumable, follow};
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

impl Resumable for WatchStatusRequest {
    type Answer = WatchStatusResponse;

    async fn open(
        &self,
        connection: &Connection,
    ) -> Result<Streaming<WatchStatusResponse>, Status> {
        let answers = connection.monitor().watch_status(self.clone()).await;
        answers.map(Response::into_inner)
    }

    fn received(&mut self, answer: &WatchStatusResponse) {
        // A snapshot that was cut off can't be continued: it begins anew.
        let in_snapshot = matches!(answer.item, Some(Item::CaseSnapshot(_)))
            || (matches!(self.start, Some(Start::Snapshot(_)))
                && !matches!(answer.item, Some(Item::SnapshotEnd(_))));
        if !in_snapshot {
            self.start = Some(Start::FromPosition(answer.next_position));
        }
    }

    fn resumes(&self) -> String {
        match self.start {
            Some(Start::FromPosition(position)) => format!("from position {position}"),
            _ => "with a new snapshot".to_owned(),
        }
    }
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
