//! A load of submissions: so many connections, so many submissions under way on each, as calls or
//! as items of a stream.
//!
//! Invariants: every answer is checked to say that its own submission is recorded, and not as one
//! that was known before; one that says otherwise is counted as refused and shown. What is under
//! way when the time is over is waited for.

mod answer;
mod budget;
mod stream;
mod unary;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use hdrhistogram::Histogram;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;

pub(super) use self::budget::Budget;
use super::caller::Caller;
use super::raw;
use super::template::{Lane, Shape, Templates};
use crate::cli::failure::Failure;

/// How submissions are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Mode {
    /// Each by a call of its own (SubmitEvents)
    Unary,
    /// As items of one stream a connection (SubmitStream)
    Stream,
}

/// A load, and where its cases stand.
pub(super) struct Load {
    templates: Arc<Templates>,
    clients: Vec<Client>,
}

/// A connection and what goes over it.
struct Client {
    server: String,
    connection: Connection,
    /// By what it shows who calls.
    authorization: Option<MetadataValue<Ascii>>,
    lanes: Vec<Lane>,
}

/// A connection, by what it is for.
enum Connection {
    Calls(Caller),
    Stream(Channel),
}

/// What became of the submissions.
#[derive(Debug)]
pub(super) struct Tally {
    /// Number of submissions that were answered as recorded.
    pub(super) recorded: u64,
    /// Number of submissions that were not.
    pub(super) refused: u64,
    /// What the first refusal said.
    pub(super) first_refusal: Option<String>,
    /// From sending to the answer, in nanoseconds.
    pub(super) latencies: Histogram<u64>,
    /// From the first submission to the last answer.
    pub(super) elapsed: Duration,
}

impl Load {
    /// Connects, and encodes what will be sent.
    ///
    /// # Errors
    /// Those of connecting.
    pub(super) async fn connect(
        server: &str,
        mode: Mode,
        clients: u16,
        in_flight: u16,
        shape: Shape,
    ) -> Result<Self, Failure> {
        let mut load = Self {
            templates: Arc::new(Templates::new(shape)),
            clients: Vec::new(),
        };
        let mut numbers = 0..=u16::MAX;
        for _ in 0..clients {
            let lanes = numbers.by_ref().take(usize::from(in_flight));
            load.clients.push(Client {
                server: server.to_owned(),
                connection: match mode {
                    Mode::Unary => Connection::Calls(unary::connect(server).await?),
                    Mode::Stream => Connection::Stream(raw::connect(server).await?),
                },
                authorization: None,
                lanes: lanes.map(Lane::new).collect(),
            });
        }
        Ok(load)
    }

    /// Shows this with each call and stream.
    pub(super) fn authorize(&mut self, authorization: &MetadataValue<Ascii>) {
        for client in &mut self.clients {
            client.authorization = Some(authorization.clone());
        }
    }

    /// Average length of the encoded submissions, in bytes.
    pub(super) fn bytes_average(&self) -> usize {
        self.templates.bytes_average()
    }

    /// Sends for this long, and waits for the last answer.
    ///
    /// # Errors
    /// A connection that is lost, a stream that breaks.
    pub(super) async fn run(&mut self, duration: Duration) -> Result<Tally, Failure> {
        self.spend(&Budget::time(duration)).await
    }

    /// Sends as much as the budget allows, and waits for the last answer.
    ///
    /// # Errors
    /// As [`Load::run`].
    pub(super) async fn spend(&mut self, budget: &Budget) -> Result<Tally, Failure> {
        let began_at = Instant::now();
        let tasks: Vec<_> = std::mem::take(&mut self.clients)
            .into_iter()
            .map(|client| {
                let (templates, budget) = (Arc::clone(&self.templates), budget.clone());
                tokio::spawn(async move {
                    match client.connection {
                        Connection::Calls(_) => unary::run(client, templates, budget).await,
                        Connection::Stream(_) => stream::run(client, templates, budget).await,
                    }
                })
            })
            .collect();
        let mut sum = Tally::default();
        for task in tasks {
            let ended = task
                .await
                .map_err(|error| Failure::local("a client of the load ended early", &error))?;
            let (client, tally) = ended?;
            sum.add(tally);
            self.clients.push(client);
        }
        sum.elapsed = began_at.elapsed();
        Ok(sum)
    }
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            recorded: 0,
            refused: 0,
            first_refusal: None,
            latencies: histogram(),
            elapsed: Duration::ZERO,
        }
    }
}

impl Tally {
    pub(super) fn answered(&mut self, sent_at: Instant) {
        self.recorded += 1;
        took(sent_at, &mut self.latencies);
    }

    fn refused(&mut self, why: impl FnOnce() -> String) {
        self.refused += 1;
        self.first_refusal.get_or_insert_with(why);
    }

    fn add(&mut self, other: Self) {
        self.recorded += other.recorded;
        self.refused += other.refused;
        self.first_refusal = self.first_refusal.take().or(other.first_refusal);
        // Both take any value, so that adding never fails.
        let _ = self.latencies.add(other.latencies);
    }

    /// # Errors
    /// `Failed` where anything was refused, with what the first refusal said.
    pub(super) fn check(&self) -> Result<(), Failure> {
        match &self.first_refusal {
            None => Ok(()),
            Some(first) => Err(Failure::Failed(format!(
                "{} of {} submissions were not recorded; the first: {first}",
                self.refused,
                self.refused + self.recorded
            ))),
        }
    }
}

/// Notes how long an answer took that is there now.
pub(super) fn took(sent_at: Instant, latencies: &mut Histogram<u64>) {
    let nanoseconds = u64::try_from(sent_at.elapsed().as_nanos()).unwrap_or(u64::MAX);
    latencies.saturating_record(nanoseconds);
}

/// Latencies in nanoseconds up to a minute, to a thousandth.
pub(super) fn histogram() -> Histogram<u64> {
    const MINUTE: u64 = 60_000_000_000;
    #[expect(
        clippy::expect_used,
        reason = "bounds from 1 and 3 figures are within what a histogram allows"
    )]
    Histogram::new_with_bounds(1, MINUTE, 3).expect("the bounds are allowed")
}

/// What the lanes of one connection count together.
struct Shared(Mutex<Tally>);

impl Shared {
    fn new() -> Self {
        Self(Mutex::new(Tally::default()))
    }

    fn with(&self, count: impl FnOnce(&mut Tally)) {
        count(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn take(&self) -> Tally {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
