//! `casetrail alerts`: what rules over cases and days point out, now, as known then, or as it comes.

use std::ops::ControlFlow;

use clap::Args;
use tonic::{Response, Status, Streaming};

use super::as_of::{as_of, known_at, true_at};
use super::connection::{Connection, ServerArguments};
use super::failure::Failure;
use super::filter::FilterArguments;
use super::follow::{Resumable, follow};
use super::names;
use super::output::{Output, Table, note};
use crate::wire::day::Day;
use crate::wire::json::from_json;
use crate::wire::v1::as_of::KnownAt;
use crate::wire::v1::watch_alerts_response::Item;
use crate::wire::v1::{
    Alert, AlertCursor, AlertPoint, ListAlertsRequest, WatchAlertsRequest, WatchAlertsResponse,
};

/// Number of alerts asked for at once.
const PAGE_SIZE: i32 = 1_000;

/// Which alerts, when, and how.
#[derive(Debug, Args)]
#[command(after_help = "\
An alert asks somebody to look; no case waits for one. From when on the rules hold is set by
`casetrail serve --alert-...`.

With --follow, all present alerts are told as raised, then what is raised and cleared, until it is
interrupted; a lost connection is resumed, and each change is told once. With --json besides, each
answer carries its cursor, with which a later --follow --resume goes on.

Examples:
  casetrail alerts
  casetrail alerts --rule FollowUpOverdue --on 2026-12-31
  casetrail alerts --kind detention --known-at 2026-03-31
  casetrail alerts --follow --rule NoVisit --rule NotRegistered
  casetrail alerts --follow --json > alerts.jsonl")]
pub(super) struct AlertsArguments {
    /// Only alerts of this rule
    #[arg(long = "rule", value_name = "RULE", value_parser = names::alert_rule_parser(), ignore_case = true)]
    rules: Vec<i32>,
    /// On another day, YYYY-MM-DD; one to come tells what will hold if nothing happens until then
    #[arg(long, value_name = "DAY", value_parser = true_at)]
    on: Option<Day>,
    /// As the service knew it then: a position of the log, a day (its end, UTC), or a time
    #[arg(long, value_name = "WHEN", value_parser = known_at)]
    known_at: Option<KnownAt>,
    /// Go on telling what is raised and cleared
    #[arg(long, conflicts_with_all = ["on", "known_at"])]
    follow: bool,
    /// Go on after this cursor, as JSON, under the same rules and filter
    #[arg(long, value_name = "CURSOR", requires = "follow", value_parser = cursor)]
    resume: Option<AlertCursor>,
    /// One line of canonical protobuf JSON an alert, or an answer
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    filter: FilterArguments,
    #[command(flatten)]
    server: ServerArguments,
}

pub(super) async fn run(arguments: &AlertsArguments) -> Result<(), Failure> {
    let connection = arguments.server.connect().await?;
    if !arguments.follow {
        return list(arguments, &connection).await;
    }
    tokio::select! {
        ended = watch(arguments, &connection) => ended,
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

async fn list(arguments: &AlertsArguments, connection: &Connection) -> Result<(), Failure> {
    let mut request = ListAlertsRequest {
        page_size: PAGE_SIZE,
        filter: Some(arguments.filter.filter()),
        rules: arguments.rules.clone(),
        as_of: as_of(arguments.known_at, None),
        day: arguments.on.map(|day| day.to_string()).unwrap_or_default(),
        ..ListAlertsRequest::default()
    };
    let mut output = Output::stdout();
    let mut table = Table::new(["since", "rule", "kind", "case", "due", "of"]);
    let (mut count, mut point) = (0_u64, None);
    loop {
        let page = connection.monitor().list_alerts(request.clone()).await;
        let page = page.map_err(|status| connection.failure(&status))?;
        let page = page.into_inner();
        for alert in &page.alerts {
            count = count.saturating_add(1);
            if arguments.json {
                output.json(alert)?;
            } else {
                table.row(cells(alert));
            }
        }
        point = page.point.or(point);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    if !arguments.json {
        if count > 0 {
            table.print(&mut output)?;
            output.line("")?;
        }
        output.line(&format!("{count} alerts {}", at(point.as_ref())))?;
    }
    output.flush()
}

/// Tells what is raised and cleared.
async fn watch(arguments: &AlertsArguments, connection: &Connection) -> Result<(), Failure> {
    let request = WatchAlertsRequest {
        cursor: arguments.resume.clone(),
        filter: Some(arguments.filter.filter()),
        rules: arguments.rules.clone(),
    };
    let mut output = Output::stdout();
    let show = |response: &WatchAlertsResponse| {
        if arguments.json {
            output.json(response)?;
        } else if let Some(line) = line(response) {
            output.line(&line)?;
        }
        output.flush()?;
        Ok(ControlFlow::Continue(()))
    };
    follow(connection, request, show, note).await
}

impl Resumable for WatchAlertsRequest {
    type Answer = WatchAlertsResponse;

    async fn open(
        &self,
        connection: &Connection,
    ) -> Result<Streaming<WatchAlertsResponse>, Status> {
        let answers = connection.monitor().watch_alerts(self.clone()).await;
        answers.map(Response::into_inner)
    }

    fn received(&mut self, answer: &WatchAlertsResponse) {
        self.cursor.clone_from(&answer.cursor);
    }

    fn resumes(&self) -> String {
        String::new()
    }
}

/// An answer in one line; none where it only tells that the server is alive.
fn line(response: &WatchAlertsResponse) -> Option<String> {
    let point = response
        .cursor
        .as_ref()
        .and_then(|cursor| cursor.from.as_ref());
    match response.item.as_ref()? {
        Item::Raised(alert) => Some(format!("raised   {}", cells(alert).join("  ").trim_end())),
        Item::Cleared(alert) => Some(format!("cleared  {}", cells(alert).join("  ").trim_end())),
        Item::Complete(_) => Some(format!("-- all is told {}", at(point))),
        Item::Progress(_) => None,
    }
}

fn at(point: Option<&AlertPoint>) -> String {
    let point = point.cloned().unwrap_or_default();
    format!("on {}, at position {}", point.day, point.position)
}

fn cells(alert: &Alert) -> [String; 6] {
    let of = if alert.clause_reference.is_empty() {
        alert.cause_event_id.clone()
    } else {
        format!("clause {}", alert.clause_reference)
    };
    [
        alert.since.clone(),
        names::alert_rule(alert.rule()),
        names::kind(alert.kind()),
        alert.case_id.clone(),
        if alert.due.is_empty() {
            "-".to_owned()
        } else {
            alert.due.clone()
        },
        of,
    ]
}

/// Reads a cursor as an answer carried it.
fn cursor(text: &str) -> Result<AlertCursor, String> {
    from_json(text).map_err(|error| error.to_string())
}
