//! Sends submissions over SubmitStream and takes their answers, across lost connections.
//!
//! Invariants: submissions are sent in the order of the input. What was not answered when a
//! connection was lost is sent again, in order, before anything else; that is safe, since each has
//! its request_id. What the server pushes back is sent again after the delay that it names, and with
//! it whatever it refused after that, which may only have been refused for that reason. What is
//! under way is bounded in number and bytes.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

use super::lines::Line;
use crate::cli::connection::{Connection, backoff};
use crate::cli::failure::{Failure, cause_of, describe, is_lost_connection};
use crate::wire::v1::submit_stream_response::Outcome;
use crate::wire::v1::{Refusal, SubmitEventsResponse, SubmitStreamRequest, SubmitStreamResponse};

/// How many submissions may be under way.
const IN_FLIGHT_MAX: usize = 1024;
/// How many bytes of submissions may be under way.
const IN_FLIGHT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How many submissions wait for the transport.
const SEND_BUFFER: usize = 64;
/// How many times in a row a connection, or a submission that was pushed back, is tried without
/// anything being answered.
const ATTEMPTS_MAX: u32 = 10;
/// How long to wait after a push-back that names no delay, and at most.
const RETRY_DELAY: Duration = Duration::from_secs(1);
const RETRY_DELAY_MAX: Duration = Duration::from_secs(30);

/// What there is to report of a line, or of the connection.
pub(crate) enum Report<'a> {
    /// A line's submission is recorded, now or earlier.
    Recorded(u64, &'a SubmitEventsResponse),
    /// A line's submission is refused.
    Refused(u64, &'a Refusal),
    /// A line is malformed and was not sent.
    Malformed(u64, &'a str),
    /// The connection was lost, for this cause.
    Lost(&'a str),
}

/// What became of the lines.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Lines that are not blank.
    pub(crate) lines: u64,
    /// Submissions recorded now.
    pub(crate) recorded: u64,
    /// Events recorded now.
    pub(crate) events: u64,
    /// Submissions that were recorded earlier.
    pub(crate) already_recorded: u64,
    /// Submissions that were refused.
    pub(crate) refused: u64,
    /// Lines that were malformed.
    pub(crate) malformed: u64,
    /// Bytes of the input up to the last line that is dealt with.
    pub(crate) bytes_done: u64,
}

/// Submissions under way.
pub(super) struct Flight<'a> {
    connection: &'a Connection,
    input: mpsc::Receiver<io::Result<Line>>,
    report: &'a mut (dyn FnMut(Report<'_>, &Tally) + Send),
    /// End at the first line that is refused or malformed.
    stop_on_refusal: bool,
    input_ended: bool,
    /// Whether the server has ever taken up the stream: only then it is worth waiting for.
    taken_up: bool,
    to_send: VecDeque<Line>,
    in_flight: VecDeque<Line>,
    in_flight_bytes: usize,
    /// What was pushed back, and what was refused after it.
    pushed_back: VecDeque<Line>,
    retry_delay: Duration,
    /// How many times in a row nothing was recorded or refused for good.
    attempts: u32,
    tally: Tally,
}

/// How a stream ended before its time.
enum Broken {
    Lost(Status),
    Failed(Failure),
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl<'a> Flight<'a> {
    pub(super) fn new(
        connection: &'a Connection,
        input: mpsc::Receiver<io::Result<Line>>,
        stop_on_refusal: bool,
        report: &'a mut (dyn FnMut(Report<'_>, &Tally) + Send),
    ) -> Self {
        Self {
            connection,
            input,
            report,
            stop_on_refusal,
            input_ended: false,
            taken_up: false,
            to_send: VecDeque::new(),
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
            pushed_back: VecDeque::new(),
            retry_delay: RETRY_DELAY,
            attempts: 0,
            tally: Tally::default(),
        }
    }

    /// Submits the whole input.
    ///
    /// # Errors
    /// `NoConnection` where the server can't be reached any more, `Refused` where it takes nothing
    /// any more, `Failed` where the input can't be read. What was answered until then is recorded,
    /// and running the same input again is safe.
    pub(super) async fn submit_all(&mut self) -> Result<Tally, Failure> {
        loop {
            let status = match self.converse().await {
                Ok(()) => return Ok(self.tally),
                Err(Broken::Failed(failure)) => return Err(failure),
                Err(Broken::Lost(status)) => status,
            };
            // A server that shuts down says UNAVAILABLE with a reason; another may come up.
            let lost = is_lost_connection(&status) || status.code() == Code::Unavailable;
            if !lost || !self.taken_up || self.attempts >= ATTEMPTS_MAX {
                return Err(self.connection.failure(&status));
            }
            if self.attempts == 0 {
                (self.report)(Report::Lost(&cause_of(&status)), &self.tally);
            }
            self.attempts += 1;
            tokio::time::sleep(backoff(self.attempts)).await;
            self.send_again();
        }
    }

    /// Sends and takes answers over one stream, until everything is answered or the stream breaks.
    async fn converse(&mut self) -> Result<(), Broken> {
        let (sender, receiver) = mpsc::channel(SEND_BUFFER);
        let mut cases = self.connection.cases();
        let answers = cases.submit_stream(ReceiverStream::new(receiver)).await;
        let mut answers = answers.map_err(Broken::Lost)?.into_inner();
        self.taken_up = true;
        let mut transport_takes = true;
        let mut next_index = 0;
        while !self.is_done() {
            if self.in_flight.is_empty() && !self.pushed_back.is_empty() {
                tokio::time::sleep(self.retry_delay).await;
                self.send_again();
            }
            tokio::select! {
                answer = answers.message() => {
                    let ended = || Status::unavailable("the server ended the stream");
                    let answer = answer.map_err(Broken::Lost)?;
                    self.answered(answer.ok_or_else(ended).map_err(Broken::Lost)?, next_index)?;
                    next_index += 1;
                }
                permit = sender.reserve(), if transport_takes && !self.to_send.is_empty() => {
                    match permit {
                        Ok(permit) => self.send(permit),
                        // The answers tell why the transport takes no more.
                        Err(_) => transport_takes = false,
                    }
                }
                line = self.input.recv(), if self.may_read() => self.read(line)?,
            }
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.input_ended
            && self.to_send.is_empty()
            && self.in_flight.is_empty()
            && self.pushed_back.is_empty()
    }

    /// Whether another line may be read: nothing waits to be sent, and there is room.
    fn may_read(&self) -> bool {
        !self.input_ended
            && self.to_send.is_empty()
            && self.pushed_back.is_empty()
            && self.in_flight.len() < IN_FLIGHT_MAX
            && self.in_flight_bytes < IN_FLIGHT_BYTES_MAX
    }

    fn read(&mut self, line: Option<io::Result<Line>>) -> Result<(), Failure> {
        let Some(line) = line else {
            self.input_ended = true;
            return Ok(());
        };
        let line = line.map_err(|error| Failure::local("reading the input failed", &error))?;
        self.tally.lines += 1;
        if let Err(problem) = &line.submission {
            self.tally.malformed += 1;
            (self.report)(Report::Malformed(line.number, problem), &self.tally);
            self.stop_if_told();
        } else {
            self.to_send.push_back(line);
        }
        Ok(())
    }

    fn send(&mut self, permit: mpsc::Permit<'_, SubmitStreamRequest>) {
        let Some(line) = self.to_send.pop_front() else {
            return;
        };
        let submission = line.submission.clone().ok();
        self.in_flight_bytes = self.in_flight_bytes.saturating_add(line.size());
        self.in_flight.push_back(line);
        permit.send(SubmitStreamRequest { submission });
    }

    /// Takes the answer to the oldest submission under way.
    fn answered(&mut self, answer: SubmitStreamResponse, index: u64) -> Result<(), Failure> {
        let line = self.in_flight.pop_front().filter(|_| answer.index == index);
        let (Some(line), Some(outcome)) = (line, answer.outcome) else {
            return Err(Failure::Failed(format!(
                "The server answered item {} where the answer to item {index} was due.",
                answer.index
            )));
        };
        self.in_flight_bytes = self.in_flight_bytes.saturating_sub(line.size());
        match outcome {
            Outcome::Recorded(response) => self.recorded(&line, &response),
            Outcome::Refused(refusal) => return self.refused(line, refusal),
        }
        Ok(())
    }

    fn recorded(&mut self, line: &Line, response: &SubmitEventsResponse) {
        self.attempts = 0;
        self.tally.bytes_done = self.tally.bytes_done.max(line.end);
        if response.replayed {
            self.tally.already_recorded += 1;
        } else {
            self.tally.recorded += 1;
            let events: usize = response
                .results
                .iter()
                .map(|result| result.positions.len())
                .sum();
            self.tally.events += u64::try_from(events).unwrap_or(u64::MAX);
        }
        (self.report)(Report::Recorded(line.number, response), &self.tally);
    }

    fn refused(&mut self, line: Line, refusal: Refusal) -> Result<(), Failure> {
        if is_push_back(&refusal) {
            // Counted once for all that is pushed back together.
            if self.pushed_back.is_empty() {
                self.attempts += 1;
                self.retry_delay = retry_delay(&refusal);
            }
            if self.attempts > ATTEMPTS_MAX {
                return Err(Failure::Failed(format!(
                    "The server takes nothing any more ({} attempts): {}",
                    ATTEMPTS_MAX,
                    describe(&refusal)
                )));
            }
            self.pushed_back.push_back(line);
        } else if self.pushed_back.is_empty() {
            self.attempts = 0;
            self.tally.refused += 1;
            self.tally.bytes_done = self.tally.bytes_done.max(line.end);
            (self.report)(Report::Refused(line.number, &refusal), &self.tally);
            self.stop_if_told();
        } else {
            self.pushed_back.push_back(line);
        }
        Ok(())
    }

    /// Ends the input at a refusal, where that is asked for. What is under way is still answered.
    fn stop_if_told(&mut self) {
        if self.stop_on_refusal {
            self.input_ended = true;
            self.to_send.clear();
        }
    }

    /// Puts what was pushed back, or sent and not answered, before what is to be sent, in order:
    /// what was pushed back is older than what is under way.
    fn send_again(&mut self) {
        let mut again = std::mem::take(&mut self.pushed_back);
        again.append(&mut self.in_flight);
        again.append(&mut self.to_send);
        self.to_send = again;
        self.in_flight_bytes = 0;
    }
}

/// Whether the server could not take a submission now, and says that it may later.
fn is_push_back(refusal: &Refusal) -> bool {
    match Code::from_i32(refusal.code) {
        Code::Unavailable => true,
        Code::ResourceExhausted => refusal.retry_delay.is_some(),
        _ => false,
    }
}

fn retry_delay(refusal: &Refusal) -> Duration {
    let named = refusal
        .retry_delay
        .and_then(|delay| Duration::try_from(delay).ok());
    named.unwrap_or(RETRY_DELAY).min(RETRY_DELAY_MAX)
}

#[cfg(test)]
#[path = "flight_tests.rs"]
mod tests;
