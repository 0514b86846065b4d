//! AuditService: replays the history as it is stored.
//!
//! The task of a replay is thin: it reads blocks and passes them through a [`Replay`], which
//! decides what is sent.

use std::sync::Arc;

use prost_types::Timestamp;
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::Shared;
use super::call::{blocking, caller, only_true, refuse, violation, who};
use super::replay::{Replay, recorded_at};
use super::status::Failure;
use super::stream::{Answers, Heartbeat, Outlet, ReadAhead, Reader, Stop};
use crate::access::Identity;
use crate::log::Log;
use crate::wire::v1::audit_service_server::AuditService;
use crate::wire::v1::replay_events_request::{End, Start};
use crate::wire::v1::{ReplayEventsRequest, ReplayEventsResponse};
use crate::wire::validate;

/// A portion of answers goes to the wire once its blocks have so many bytes.
const PORTION_BYTES_MAX: usize = 64 * 1024;

/// The service; all its state is shared with the others.
#[derive(Debug)]
pub(super) struct Audit {
    pub(super) shared: Arc<Shared>,
}

#[tonic::async_trait]
impl AuditService for Audit {
    type ReplayEventsStream = Answers<ReplayEventsResponse>;

    async fn replay_events(
        &self,
        request: Request<ReplayEventsRequest>,
    ) -> Result<Response<Self::ReplayEventsStream>, Status> {
        const METHOD: &str = "ReplayEvents";
        let began_at = Instant::now();
        let who = who(&request);
        let opened = async {
            let caller = caller(&request)?;
            open(&self.shared, &caller, request.into_inner()).await
        };
        let opened = opened.await;
        let (mut outlet, reader, replay, answers) = opened
            .map_err(|failure| refuse(&self.shared, METHOD, who.as_ref(), began_at, failure))?;
        tracing::debug!(method = METHOD, position = replay.position(), "opened");
        tokio::spawn(async move {
            let result = run(&mut outlet, reader, replay).await;
            outlet.finish(METHOD, result).await;
        });
        Ok(Response::new(answers))
    }
}

type Opened = (
    Outlet<ReplayEventsResponse>,
    Reader,
    Replay,
    Answers<ReplayEventsResponse>,
);

async fn open(
    shared: &Shared,
    caller: &Identity,
    request: ReplayEventsRequest,
) -> Result<Opened, Failure> {
    let reader = Reader::new(shared);
    let head = reader.head();
    let end = match request.end {
        None => Some(head),
        Some(End::UntilPosition(position)) => Some(position),
        Some(End::WithoutEnd(value)) => {
            only_true("without_end", value)?;
            None
        }
    };
    let filter = validate::replay_filter("filter", request.filter)?;
    let (mut outlet, answers) = Outlet::open(shared, caller)?;
    let position = match request.start {
        None => 0,
        Some(Start::FromPosition(position)) if position > head => {
            return Err(Failure::beyond_head(position, head));
        }
        Some(Start::FromPosition(position)) => position,
        Some(Start::FromRecordedAt(time)) => {
            if !(0..1_000_000_000).contains(&time.nanos) {
                return Err(violation("from_recorded_at.nanos", "is not 0 to 999,999,999").into());
            }
            let log = Arc::clone(shared.ledger.log());
            blocking(move || first_recorded_from(log.as_ref(), head, time)).await??
        }
    };
    outlet.resume_from(position);
    Ok((outlet, reader, Replay::new(filter, position, end), answers))
}

/// Sends what is read from the log until the replay is complete, or something stops it.
async fn run(
    outlet: &mut Outlet<ReplayEventsResponse>,
    reader: Reader,
    mut replay: Replay,
) -> Result<(), Stop> {
    let mut heartbeat = Heartbeat::new();
    let mut ahead = ReadAhead::new(reader);
    while !replay.is_complete() {
        let blocks = ahead.next(replay.position(), replay.end()).await?;
        let mut portion = Vec::new();
        let mut bytes: usize = 0;
        for block in blocks {
            bytes = bytes.saturating_add(block.as_bytes().len());
            portion.extend(replay.take(&block)?);
            if bytes >= PORTION_BYTES_MAX {
                send(outlet, std::mem::take(&mut portion)).await?;
                bytes = 0;
            }
        }
        send(outlet, portion).await?;
        if replay.is_complete() {
            break;
        }
        if heartbeat.beats() {
            send(outlet, vec![replay.progress(ahead.reader().head())]).await?;
        }
        outlet
            .wait(ahead.reader().heads(), replay.position(), heartbeat.due())
            .await?;
    }
    send(outlet, vec![replay.progress(ahead.reader().head())]).await
}

async fn send(
    outlet: &mut Outlet<ReplayEventsResponse>,
    portion: Vec<ReplayEventsResponse>,
) -> Result<(), Stop> {
    match portion.last().map(|answer| answer.next_position) {
        Some(next_position) => outlet.send(portion, next_position).await,
        None => Ok(()),
    }
}

/// The position of the first record that was recorded at or after `time`; the head where there is
/// none. The times of recording never run backwards, so that halving finds it.
pub(super) fn first_recorded_from(
    log: &dyn Log,
    head: u64,
    time: Timestamp,
) -> Result<u64, Failure> {
    let (mut from, mut until) = (0, head);
    while from < until {
        let middle = from.midpoint(until);
        let blocks = log.read(middle, 1)?;
        let Some(block) = blocks.first() else { break };
        let (at_middle, at_last) = recorded_at(block, middle)?;
        if is_before(at_last, time) {
            from = block.end_position();
        } else if is_before(at_middle, time) {
            from = middle.saturating_add(1);
        } else {
            until = middle;
        }
    }
    Ok(from.min(head))
}

fn is_before(left: Timestamp, right: Timestamp) -> bool {
    (left.seconds, left.nanos) < (right.seconds, right.nanos)
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
