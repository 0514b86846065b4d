//! UmaDB through its own client. Every append has a condition, as an event store needs it: nobody
//! else has added to the stream since the writer last looked.

use std::time::Instant;

use futures_util::future;
use umadb_client::{AsyncUmaDbClient, UmaDbClient};
use umadb_dcb::{DcbAppendCondition, DcbEvent, DcbEventStoreAsync, DcbQuery, DcbQueryItem};
use uuid::Uuid;

use crate::measure::{EVENT_BYTES, Payloads, Tally, Window, print_commits, print_reads};
use crate::{Failure, number};

/// Where single events are appended, a stream gets this many before the next one begins.
const EVENTS_PER_STREAM: usize = 20;

const EVENT_TYPE: &str = "Recorded";

/// What is left of an event for its data, besides its identifier, its tag (the stream's identifier
/// as text) and its type.
const DATA_BYTES: usize = EVENT_BYTES - 16 - 36 - EVENT_TYPE.len();

/// In flight at most on one connection.
const IN_FLIGHT_PER_CONNECTION: usize = 64;

/// Events in a message of a read: the most that the server sends.
const READ_BATCH: u32 = 4096;

pub async fn run(words: &[&str]) -> Result<(), Failure> {
    match *words {
        ["fill", url, events] => fill(url, number(events)?).await,
        ["append", url, in_flight, events_each, seconds] => {
            append(
                url,
                number(in_flight)?,
                number(events_each)?,
                number(seconds)?,
            )
            .await
        }
        ["read", url, seconds] => read(url, number(seconds)?).await,
        _ => Err(crate::USAGE.into()),
    }
}

async fn connect(url: &str) -> Result<AsyncUmaDbClient, Failure> {
    let client = UmaDbClient::new(url.to_owned()).batch_size(READ_BATCH);
    Ok(client.connect_async().await?)
}

async fn fill(url: &str, events: usize) -> Result<(), Failure> {
    let client = connect(url).await?;
    let mut payloads = Payloads::new(DATA_BYTES, 0);
    let mut left = events;
    while left > 0 {
        let batch = left.min(1000);
        append_to(
            &client,
            &Uuid::new_v4().to_string(),
            batch,
            None,
            &mut payloads,
        )
        .await?;
        left -= batch;
    }
    Ok(())
}

async fn append(
    url: &str,
    in_flight: usize,
    events_each: usize,
    seconds: f64,
) -> Result<(), Failure> {
    let mut clients = Vec::new();
    for _ in 0..in_flight.div_ceil(IN_FLIGHT_PER_CONNECTION) {
        clients.push(connect(url).await?);
    }
    let window = Window::new(seconds);
    let workers =
        (0..in_flight as u64)
            .zip(clients.iter().cycle())
            .map(|(seed, client)| async move {
                let mut payloads = Payloads::new(DATA_BYTES, seed);
                let mut tally = Tally::new(window);
                while window.is_open() {
                    let stream = Uuid::new_v4().to_string();
                    let mut last_position = None;
                    for _ in 0..EVENTS_PER_STREAM.div_ceil(events_each) {
                        let sent = Instant::now();
                        let position =
                            append_to(client, &stream, events_each, last_position, &mut payloads)
                                .await?;
                        tally.answered(sent);
                        last_position = Some(position);
                        if !window.is_open() {
                            break;
                        }
                    }
                }
                Ok::<_, Failure>(tally)
            });
    print_commits(future::try_join_all(workers).await?, events_each)
}

/// Appends to a stream whose last event is at `last_position`, if nobody else has.
async fn append_to(
    client: &AsyncUmaDbClient,
    stream: &str,
    events: usize,
    last_position: Option<u64>,
    payloads: &mut Payloads,
) -> Result<u64, Failure> {
    let events = (0..events).map(|_| {
        let event = DcbEvent::default().event_type(EVENT_TYPE).tags([stream]);
        event.data(payloads.next()).uuid(Uuid::new_v4())
    });
    let of_stream = DcbQuery::new().item(DcbQueryItem::new().tags([stream]));
    let condition = DcbAppendCondition::new(of_stream).after(last_position);
    Ok(client
        .append(events.collect(), Some(condition), None)
        .await?)
}

async fn read(url: &str, seconds: f64) -> Result<(), Failure> {
    let client = &connect(url).await?;
    let expected = client.head().await?.unwrap_or(0);
    print_reads(seconds, expected, || async move {
        let mut response = client.read(None, None, false, None).await?;
        let mut events = 0;
        loop {
            let batch = response.next_batch().await?;
            if batch.is_empty() {
                return Ok(events);
            }
            events += batch.len() as u64;
        }
    })
    .await
}
