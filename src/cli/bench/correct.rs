//! `casetrail bench correct`: what it costs to take back an event of a long case among very many
//! cases, and to ask how such a case stood as it was known earlier.
//!
//! Calls go one at a time, so that the difference between a retraction and an ordinary event of the
//! same case is what the writer takes for folding the case anew.

use std::time::Instant;

use clap::Args;
use hdrhistogram::Histogram;
use uuid::Uuid;

use super::figures::{Figures, Report};
use super::fill::{HistoryArguments, fill, status};
use super::load::{histogram, took};
use super::story::{self, Plot};
use super::target::{Target, TargetArguments};
use super::{RoundArguments, milliseconds_at as at};
use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::wire::v1::as_of::KnownAt;
use crate::wire::v1::case_change::Expected;
use crate::wire::v1::event::Payload;
use crate::wire::v1::{
    AsOf, CaseChange, Event, EventRetracted, GetCaseRequest, GetSummaryRequest, RetractionReason,
    SubmitEventsRequest,
};

/// Among how many cases, and in how long ones.
#[derive(Debug, Args)]
#[command(after_help = "\
Beside the history, cases of --case-events events are opened, and in each one event more is recorded,
one in its middle taken back, and the case asked for as it was known before.

Examples:
  casetrail bench correct
  casetrail bench correct --events 1000000 --cases 1000000 --case-events 50 --rounds 5 --json")]
pub(super) struct CorrectArguments {
    /// Number of events of a case in which one is taken back
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(3..=100))]
    case_events: u64,
    /// Number of such cases in each round
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    corrected: u32,
    #[command(flatten)]
    history: HistoryArguments,
    #[command(flatten)]
    target: TargetArguments,
    #[command(flatten)]
    rounds: RoundArguments,
}

/// How long the calls of each sort took, in nanoseconds.
struct Latencies {
    event: Histogram<u64>,
    retraction: Histogram<u64>,
    known_at: Histogram<u64>,
}

pub(super) async fn run(arguments: &CorrectArguments) -> Result<(), Failure> {
    let target = Target::start(&arguments.target).await?;
    let measured = measure(arguments, &target).await;
    measured.map_err(|failure| target.explain(failure))
}

async fn measure(arguments: &CorrectArguments, target: &Target) -> Result<(), Failure> {
    fill(target, arguments.history).await?;
    let mut report = Report::new(arguments.rounds.json);
    for _ in 0..arguments.rounds.rounds {
        report.round(round(arguments, target).await?)?;
    }
    report.finish()?;
    Ok(())
}

async fn round(arguments: &CorrectArguments, target: &Target) -> Result<Figures, Failure> {
    let connection = target.connect().await?;
    let mut latencies = Latencies {
        event: histogram(),
        retraction: histogram(),
        known_at: histogram(),
    };
    for _ in 0..arguments.corrected {
        correct(arguments.case_events, &connection, &mut latencies).await?;
    }
    let head = status(target).await?.head;
    let began_at = Instant::now();
    let summary = GetSummaryRequest {
        as_of: known_at(head / 2),
        ..GetSummaryRequest::default()
    };
    let answered = connection.monitor().get_summary(summary).await;
    answered.map_err(|status| connection.failure(&status))?;
    let summarised = began_at.elapsed();

    let mut figures = Figures::of("correct");
    figures.count("cases", status(target).await?.cases);
    figures.count("case_events", arguments.case_events);
    let (event, retraction) = (at(&latencies.event, 0.5), at(&latencies.retraction, 0.5));
    figures.number("event_p50_ms", event);
    figures.number("event_p99_ms", at(&latencies.event, 0.99));
    figures.number("retraction_p50_ms", retraction);
    figures.number("retraction_p99_ms", at(&latencies.retraction, 0.99));
    figures.number("retraction_more_ms", retraction - event);
    figures.number("known_at_p50_ms", at(&latencies.known_at, 0.5));
    figures.number("known_at_p99_ms", at(&latencies.known_at, 0.99));
    figures.seconds("summary_known_at_seconds", Some(summarised));
    Ok(figures)
}

/// Opens a case, records an event in it, takes back one in its middle, and asks for it as it was
/// known before.
async fn correct(
    case_events: u64,
    connection: &Connection,
    latencies: &mut Latencies,
) -> Result<(), Failure> {
    let case_id = fresh_id();
    let story: Vec<Event> = (0..case_events).map(of_the_story).collect();
    let middle = usize::try_from(case_events / 2).unwrap_or_default();
    let target = story.get(middle).map(|event| event.event_id.clone());
    let retraction = Event {
        payload: Some(Payload::EventRetracted(EventRetracted {
            target_event_id: target.unwrap_or_default(),
            reason: RetractionReason::SourceWithdrew.into(),
        })),
        ..of_the_story(case_events)
    };
    let opened = submit(connection, case_id, story, &mut histogram()).await?;
    let next = vec![of_the_story(case_events)];
    submit(connection, case_id, next, &mut latencies.event).await?;
    let retraction = vec![retraction];
    submit(connection, case_id, retraction, &mut latencies.retraction).await?;
    let request = GetCaseRequest {
        case_id: case_id.to_string(),
        as_of: known_at(opened),
    };
    let began_at = Instant::now();
    let answered = connection.cases().get_case(request).await;
    answered.map_err(|status| connection.failure(&status))?;
    took(began_at, &mut latencies.known_at);
    Ok(())
}

/// Submits the events of a case, and returns the position after them.
async fn submit(
    connection: &Connection,
    case_id: Uuid,
    events: Vec<Event>,
    latencies: &mut Histogram<u64>,
) -> Result<u64, Failure> {
    let request = SubmitEventsRequest {
        request_id: fresh_id().to_string(),
        changes: vec![CaseChange {
            case_id: case_id.to_string(),
            expected: Some(Expected::Any(true)),
            events,
        }],
    };
    let began_at = Instant::now();
    let answered = connection.cases().submit_events(request).await;
    let answer = answered.map_err(|status| connection.failure(&status))?;
    took(began_at, latencies);
    let results = answer.into_inner().results;
    let last = results.last().and_then(|result| result.positions.last());
    Ok(last.map_or(0, |last| last.saturating_add(1)))
}

fn of_the_story(place: u64) -> Event {
    Event {
        event_id: fresh_id().to_string(),
        ..story::event(Plot::Usual, place, 0)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a client chooses its identifiers, and two loads may not share any"
)]
fn fresh_id() -> Uuid {
    Uuid::new_v4()
}

fn known_at(position: u64) -> Option<AsOf> {
    Some(AsOf {
        known_at: Some(KnownAt::Position(position)),
        ..AsOf::default()
    })
}
