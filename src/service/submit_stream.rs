//! A stream of submissions: many at work at once, one answer for each in the order sent.
//!
//! Invariants:
//! - Submissions reach the writer's queue in the order of the stream: each is in it before the next
//!   one is taken from the wire.
//! - What is at work or waits for the client to read its answer is bounded, in number and in bytes;
//!   beyond that nothing more is taken from the wire, which is how HTTP/2 holds the client back.
//! - What is at work goes on also while the client reads no answers, so that it never holds a place
//!   in the writer's queue for longer than the writer needs.

use std::collections::VecDeque;
use std::pin::pin;

use futures_util::future::{BoxFuture, Fuse, FusedFuture, FutureExt};
use tonic::Streaming;

use super::call::{note_refused, violation};
use super::oversize::explained;
use super::status::Failure;
use super::stream::{Outlet, Stop};
use crate::ledger::{Answer, Ledger, Recorder, SubmitError};
use crate::wire::edtf::Day;
use crate::wire::v1::submit_stream_response::Outcome;
use crate::wire::v1::{SubmitEventsResponse, SubmitStreamRequest, SubmitStreamResponse};
use crate::wire::validate::{self, Submission};

/// How many submissions of one stream are at work or wait for their answer to be read.
const IN_FLIGHT_MAX: usize = 1_024;

/// The most bytes of the submissions of one stream that are at work; the one that reaches it is
/// still taken.
const IN_FLIGHT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Takes submissions until the client ends its side and all are answered, or something stops it.
pub(super) async fn run(
    outlet: &Outlet<SubmitStreamResponse>,
    ledger: &Ledger,
    recorder: Recorder,
    mut requests: Streaming<SubmitStreamRequest>,
) -> Result<(), Stop> {
    let channel = ledger.channel(recorder.clone());
    let mut shutdown = pin!(outlet.shutdown());
    let mut term = outlet.term();
    let mut over = pin!(outlet.term().over());
    // At most one at a time is on its way into the writer's queue, which is what keeps the order.
    let mut entering = pin!(Fuse::terminated());
    let mut at_work = AtWork::default();
    let mut answered = Vec::new();
    let mut end: Option<Result<(), Stop>> = None;
    loop {
        at_work.drain_settled(ledger, &recorder, &mut answered);
        if at_work.items.is_empty()
            && answered.is_empty()
            && let Some(end) = end.take()
        {
            return end;
        }
        let in_flight = at_work.items.len() + answered.len();
        let has_room = in_flight < IN_FLIGHT_MAX && at_work.bytes < IN_FLIGHT_BYTES_MAX;
        tokio::select! {
            biased;
            // What is not in the writer's queue by now does not get there.
            () = &mut over => return Err(Stop::TermOver),
            permit = outlet.reserve(), if !answered.is_empty() => {
                permit?.send(Ok(std::mem::take(&mut answered)));
            }
            answers = channel.answers(), if !at_work.items.is_empty() => {
                for (index, answer) in answers {
                    at_work.settle(index, match answer {
                        Answer::Told(result) => State::Settled(result.map_err(Failure::from)),
                        Answer::Stored(stored) => State::Stored(stored),
                    });
                }
            }
            () = at_work.read_first(), if at_work.first_is_stored() => {}
            entered = &mut entering => {
                if let Err((index, error)) = entered {
                    at_work.settle(index, State::Settled(Err(Failure::from(error))));
                }
            }
            () = &mut shutdown, if end.is_none() => end = Some(Err(Stop::ShuttingDown)),
            request = requests.message(), if end.is_none() && has_room && entering.is_terminated() => {
                match request {
                    // Several requests arrive together.
                    Ok(Some(_)) if term.is_over() => return Err(Stop::TermOver),
                    Ok(Some(request)) => {
                        let (index, submission) = at_work.take(request, ledger.today());
                        if let Some(submission) = submission {
                            let put = channel.put(index, submission);
                            let put = put.map(move |put| put.map_err(|error| (index, error)));
                            entering.set(put.fuse());
                        }
                    }
                    Ok(None) => end = Some(Ok(())),
                    Err(status) => end = Some(Err(Stop::Broken(explained(status)))),
                }
            }
        }
    }
}

/// The submissions of a stream that are not answered yet, in the order sent.
#[derive(Default)]
struct AtWork {
    items: VecDeque<Item>,
    /// Index of the first one.
    first_index: u64,
    /// Length of them all.
    bytes: usize,
}

struct Item {
    /// What its answer repeats. A request_id that is no UUID is not repeated: it may be anything,
    /// also something personal.
    request_id: String,
    bytes: usize,
    state: State,
}

enum State {
    /// It is in the writer's queue, or on its way into it.
    AtWork,
    /// It was recorded before; what it was told then is being read.
    Stored(BoxFuture<'static, Result<SubmitEventsResponse, SubmitError>>),
    Settled(Result<SubmitEventsResponse, Failure>),
}

impl AtWork {
    /// Takes the next submission and checks it. None where it is refused at once.
    fn take(&mut self, request: SubmitStreamRequest, today: Day) -> (u64, Option<Submission>) {
        let index = self.first_index.saturating_add(self.items.len() as u64);
        let sent = request.submission;
        let request_id = sent
            .as_ref()
            .map(|submission| submission.request_id.clone())
            .filter(|request_id| validate::uuid("request_id", request_id).is_ok())
            .unwrap_or_default();
        let checked = sent
            .ok_or_else(|| {
                Failure::from(violation("submission", "is missing; give the submission"))
            })
            .and_then(|sent| Ok(validate::submission(sent, today)?));
        let (submission, state) = match checked {
            Ok(submission) => (Some(submission), State::AtWork),
            Err(failure) => (None, State::Settled(Err(failure))),
        };
        let bytes = submission
            .as_ref()
            .map_or(0, |submission| submission.encoded_len);
        self.bytes = self.bytes.saturating_add(bytes);
        self.items.push_back(Item {
            request_id,
            bytes,
            state,
        });
        (index, submission)
    }

    /// Keeps how a submission stands.
    fn settle(&mut self, index: u64, state: State) {
        let place = usize::try_from(index.wrapping_sub(self.first_index)).ok();
        if let Some(item) = place.and_then(|place| self.items.get_mut(place)) {
            item.state = state;
        }
    }

    /// Moves the answers from the front on over that are there.
    fn drain_settled(
        &mut self,
        ledger: &Ledger,
        recorder: &Recorder,
        answered: &mut Vec<SubmitStreamResponse>,
    ) {
        let is_settled = |item: &Item| matches!(item.state, State::Settled(_));
        while self.items.front().is_some_and(is_settled)
            && let Some(item) = self.items.pop_front()
        {
            let index = self.first_index;
            self.first_index = index.saturating_add(1);
            self.bytes = self.bytes.saturating_sub(item.bytes);
            if let State::Settled(result) = item.state {
                answered.push(answer(ledger, recorder, index, item.request_id, result));
            }
        }
    }

    fn first_is_stored(&self) -> bool {
        let first = self.items.front();
        first.is_some_and(|item| matches!(item.state, State::Stored(_)))
    }

    /// Waits until what the first one was told is read, where it is one that was recorded before.
    async fn read_first(&mut self) {
        if let Some(Item { state, .. }) = self.items.front_mut()
            && let State::Stored(stored) = state
        {
            *state = State::Settled(stored.await.map_err(Failure::from));
        }
    }
}

fn answer(
    ledger: &Ledger,
    recorder: &Recorder,
    index: u64,
    request_id: String,
    result: Result<SubmitEventsResponse, Failure>,
) -> SubmitStreamResponse {
    let outcome = match result {
        Ok(response) => Outcome::Recorded(response),
        Err(failure) => {
            let Recorder {
                actor,
                organisation,
                authority,
            } = recorder;
            let sight = &authority.sight;
            note_refused(ledger, "SubmitStream", actor, organisation, sight, &failure);
            let (code, cause) = (failure.code(), failure.cause());
            tracing::debug!(method = "SubmitStream", index, ?code, cause, "refused");
            Outcome::Refused(failure.into_refusal(request_id))
        }
    };
    SubmitStreamResponse {
        index,
        outcome: Some(outcome),
    }
}
