//! A stream of submissions: many at work at once, one answer for each in the order sent.
//!
//! Invariants:
//! - Submissions reach the writer's queue in the order of the stream: each is in it before the next
//!   one is taken from the wire.
//! - What is at work or waits for the client to read its answer is bounded, in number and in bytes;
//!   beyond that nothing more is taken from the wire, which is how HTTP/2 holds the client back.
//! - What is at work goes on also while the client reads no answers, so that it never holds a place
//!   in the writer's queue for longer than the writer needs.

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use prost::Message;
use tonic::Streaming;

use super::call::violation;
use super::oversize::explained;
use super::status::Failure;
use super::stream::{Outlet, Stop};
use crate::ledger::{Ledger, Recorder, SubmitError};
use crate::wire::v1::submit_stream_response::Outcome;
use crate::wire::v1::{SubmitEventsResponse, SubmitStreamRequest, SubmitStreamResponse};
use crate::wire::validate;

/// How many submissions of one stream are at work or wait for their answer to be read.
const IN_FLIGHT_MAX: usize = 1_024;

/// The most bytes of the submissions of one stream that are at work; the one that reaches it is
/// still taken.
const IN_FLIGHT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Takes submissions until the client ends its side and all are answered, or something stops it.
pub(super) async fn run(
    outlet: &Outlet<SubmitStreamResponse>,
    ledger: &Ledger,
    recorder: &Recorder,
    mut requests: Streaming<SubmitStreamRequest>,
) -> Result<(), Stop> {
    // At most one at a time is on its way into the writer's queue, which is what keeps the order.
    let mut entering = FuturesOrdered::new();
    let mut at_work = FuturesOrdered::new();
    let mut answered = Vec::new();
    let mut bytes_at_work: usize = 0;
    let mut next_index: u64 = 0;
    let mut end: Option<Result<(), Stop>> = None;
    loop {
        let in_flight = entering.len() + at_work.len() + answered.len();
        let has_room = in_flight < IN_FLIGHT_MAX && bytes_at_work < IN_FLIGHT_BYTES_MAX;
        tokio::select! {
            biased;
            permit = outlet.reserve(), if !answered.is_empty() => {
                permit?.send(Ok(std::mem::take(&mut answered)));
            }
            Some((bytes, answer)) = at_work.next(), if !at_work.is_empty() => {
                bytes_at_work = bytes_at_work.saturating_sub(bytes);
                answered.push(answer);
            }
            Some((bytes, item, entered)) = entering.next(), if !entering.is_empty() => {
                at_work.push_back(async move { (bytes, answer(item, entered).await) });
            }
            () = outlet.shutdown(), if end.is_none() => end = Some(Err(Stop::ShuttingDown)),
            request = requests.message(), if end.is_none() && has_room && entering.is_empty() => {
                match request {
                    Ok(Some(request)) => {
                        let bytes = request.encoded_len();
                        let item = Item::of(next_index, &request);
                        bytes_at_work = bytes_at_work.saturating_add(bytes);
                        next_index = next_index.saturating_add(1);
                        entering.push_back(async move {
                            (bytes, item, enter(ledger, recorder, request).await)
                        });
                    }
                    Ok(None) => end = Some(Ok(())),
                    Err(status) => end = Some(Err(Stop::Broken(explained(status)))),
                }
            }
        }
        if entering.is_empty()
            && at_work.is_empty()
            && answered.is_empty()
            && let Some(end) = end.take()
        {
            return end;
        }
    }
}

/// What an answer repeats of the item that it answers. A request_id that is no UUID is not repeated:
/// it may be anything, also something personal.
struct Item {
    index: u64,
    request_id: String,
}

impl Item {
    fn of(index: u64, request: &SubmitStreamRequest) -> Self {
        let request_id = request
            .submission
            .as_ref()
            .map(|submission| submission.request_id.clone())
            .filter(|request_id| validate::uuid("request_id", request_id).is_ok());
        Self {
            index,
            request_id: request_id.unwrap_or_default(),
        }
    }
}

/// Checks a submission and puts it into the writer's queue, waiting for room.
async fn enter(
    ledger: &Ledger,
    recorder: &Recorder,
    request: SubmitStreamRequest,
) -> Result<impl Future<Output = Result<SubmitEventsResponse, SubmitError>>, Failure> {
    let submission = request
        .submission
        .ok_or_else(|| violation("submission", "is missing; give the submission"))?;
    let submission = validate::submission(submission, ledger.today())?;
    Ok(ledger.enqueue(submission, recorder.clone()).await?)
}

/// Waits for the writer's answer, unless the submission did not come as far as its queue.
async fn answer(
    item: Item,
    entered: Result<impl Future<Output = Result<SubmitEventsResponse, SubmitError>>, Failure>,
) -> SubmitStreamResponse {
    let result = match entered {
        Ok(answer) => answer.await.map_err(Failure::from),
        Err(failure) => Err(failure),
    };
    let outcome = match result {
        Ok(response) => Outcome::Recorded(response),
        Err(failure) => {
            let (code, cause) = (failure.code(), failure.cause());
            tracing::debug!(method = "SubmitStream", item.index, ?code, cause, "refused");
            Outcome::Refused(failure.into_refusal(item.request_id))
        }
    };
    SubmitStreamResponse {
        index: item.index,
        outcome: Some(outcome),
    }
}
