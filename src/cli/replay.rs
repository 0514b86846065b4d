//! `casetrail replay`: the records of the log as they were stored.
//!
//! Each block's checksum is verified on this side, and without a filter also that no position is
//! missing: what ends in 0 was whole.

use clap::Args;
use prost::Message;
use prost_types::Timestamp;

use super::connection::{Connection, ServerArguments};
use super::failure::{Failure, chain};
use super::names;
use super::output::{Output, json_of, note};
use crate::wire::block::RecordBlock;
use crate::wire::v1::replay_events_request::{End, Start};
use crate::wire::v1::replay_events_response::Item;
use crate::wire::v1::{Record, ReplayEventsRequest, ReplayFilter};

/// What to replay.
#[derive(Debug, Args)]
#[command(after_help = "\
Without --until and --follow it ends at the head of the log as it is at the beginning. The exit
code is 1 where a checksum is wrong, on either side, or where a position is missing.

Examples:
  casetrail replay
  casetrail replay --from 1000 --until 2000 --json
  casetrail replay --since 2026-01-31T00:00:00Z --event-type Released --follow
  casetrail replay --case 018f3a5e-7c1b-7d11-9a41-5be1f0e0c001 --json | jq .record.event")]
pub(super) struct ReplayArguments {
    /// Begin at this position instead of 0
    #[arg(long, value_name = "POSITION", conflicts_with = "since")]
    from: Option<u64>,
    /// Begin with the first record that was recorded at or after this time, in RFC 3339
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// End before this position; waits for it
    #[arg(long, value_name = "POSITION", conflicts_with = "follow")]
    until: Option<u64>,
    /// Go on with what is recorded, without end
    #[arg(long)]
    follow: bool,
    /// One line of JSON a record: {"position":"..","record":{..}}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    filter: ReplayFilterArguments,
    #[command(flatten)]
    server: ServerArguments,
}

/// Which records.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Which records")]
struct ReplayFilterArguments {
    /// A case, as a UUID
    #[arg(long = "case", value_name = "UUID")]
    case_ids: Vec<String>,
    /// Kind of case
    #[arg(long = "kind", value_name = "KIND", value_parser = names::kind_parser(), ignore_case = true)]
    kinds: Vec<i32>,
    /// Event type, for example DetentionAlleged
    #[arg(long = "event-type", value_name = "TYPE", value_parser = names::event_type_parser(), ignore_case = true, hide_possible_values = true)]
    event_types: Vec<i32>,
    /// Who recorded them
    #[arg(long = "actor", value_name = "REFERENCE")]
    actors: Vec<String>,
}

/// What a replay has shown so far.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Replayed {
    /// Number of records.
    pub(super) records: u64,
    /// Position from which to go on.
    pub(super) next_position: u64,
}

pub(super) async fn run(arguments: &ReplayArguments) -> Result<(), Failure> {
    let connection = arguments.server.connect().await?;
    let mut output = Output::stdout();
    let mut replayed = Replayed::default();
    let ended = replay(&connection, request(arguments), &mut replayed, |batch| {
        for (position, record) in batch {
            output.line(&if arguments.json {
                json_line(*position, record)?
            } else {
                line(*position, record)
            })?;
        }
        output.flush()
    });
    let ended = tokio::select! {
        ended = ended => ended,
        _ = tokio::signal::ctrl_c() => Ok(()),
    };
    let next_position = replayed.next_position;
    ended.map_err(|failure| failure.with_advice(format!("Go on with --from {next_position}.")))?;
    if !arguments.json {
        note(&format!(
            "{} records up to position {next_position}, every checksum verified",
            replayed.records
        ));
    }
    Ok(())
}

/// Replays, verifies every block, and shows the records of each.
///
/// # Errors
/// `Refused` by the server, `Failed` where a checksum is wrong or a position missing, and what
/// `show` fails with.
pub(super) async fn replay(
    connection: &Connection,
    request: ReplayEventsRequest,
    replayed: &mut Replayed,
    mut show: impl FnMut(&[(u64, Record)]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let filter = request.filter.clone().unwrap_or_default();
    let filtered = filter != ReplayFilter::default();
    // From a time on, the first block tells the first position.
    let mut expected = match request.start {
        Some(Start::FromRecordedAt(_)) => None,
        Some(Start::FromPosition(position)) => Some(position),
        None => Some(0),
    };
    let responses = connection.audit().replay_events(request).await;
    let mut responses = responses
        .map_err(|status| connection.failure(&status))?
        .into_inner();
    while let Some(response) = responses
        .message()
        .await
        .map_err(|status| connection.failure(&status))?
    {
        if let Some(Item::Block(block)) = response.item {
            let block = verified(block)?;
            if let Some(position) = expected.filter(|_| !filtered)
                && block.first_position() != position
            {
                return Err(Failure::Failed(format!(
                    "The record at position {position} is missing: the next one that the server \
                     sent is at {}.",
                    block.first_position()
                )));
            }
            expected = Some(block.end_position());
            let records = decoded(&block)?;
            replayed.records = replayed.records.saturating_add(u64::from(block.count()));
            show(&records)?;
        }
        replayed.next_position = response.next_position;
    }
    Ok(())
}

/// The block, if it is whole.
///
/// # Errors
/// `Failed` where it is not.
pub(super) fn verified(block: RecordBlock) -> Result<RecordBlock, Failure> {
    let position = block.first_position();
    block.verified().map_err(|error| {
        Failure::Failed(format!(
            "The block at position {position} is damaged: {}",
            chain(&error)
        ))
    })
}

fn decoded(block: &RecordBlock) -> Result<Vec<(u64, Record)>, Failure> {
    block
        .records()
        .map(|(position, bytes)| match Record::decode(bytes) {
            Ok(record) => Ok((position, record)),
            Err(error) => Err(Failure::Failed(format!(
                "The record at position {position} cannot be read: {error}"
            ))),
        })
        .collect()
}

fn request(arguments: &ReplayArguments) -> ReplayEventsRequest {
    let start = arguments
        .since
        .map(Start::FromRecordedAt)
        .or_else(|| arguments.from.map(Start::FromPosition));
    let end = arguments
        .until
        .map(End::UntilPosition)
        .or_else(|| arguments.follow.then_some(End::WithoutEnd(true)));
    let filter = &arguments.filter;
    let filter = ReplayFilter {
        case_ids: filter.case_ids.clone(),
        kinds: filter.kinds.clone(),
        event_types: filter.event_types.clone(),
        actors: filter.actors.clone(),
    };
    ReplayEventsRequest {
        start,
        end,
        filter: Some(filter),
    }
}

/// A record in one line.
fn line(position: u64, record: &Record) -> String {
    let event = record.event.clone().unwrap_or_default();
    let version = format!("v{}", record.case_version);
    format!(
        "{position:>8}  {}  {}  {version:<5}  {:<26}  {:<25}  {:<10}  {}",
        names::time(record.recorded_at.as_ref()),
        record.case_id,
        names::event_type(record.event_type()),
        event.occurred,
        names::credibility(event.credibility()),
        names::provenance(record),
    )
}

/// A record with its position, which canonical JSON writes as a string, being 64 bits wide.
fn json_line(position: u64, record: &Record) -> Result<String, Failure> {
    let record = json_of(record)?;
    Ok(format!(
        "{{\"position\":\"{position}\",\"record\":{record}}}"
    ))
}
