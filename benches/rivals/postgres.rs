//! PostgreSQL as an event store: a table whose constraint (stream and version are unique) refuses a
//! stale writer, and a sequence that numbers events.
//!
//! Commits go to `events`; reads take `history`, of the same make, which is filled once. Every
//! statement is prepared once and is a transaction of its own. Several statements in flight on one
//! connection are pipelined by tokio-postgres: sent without waiting, each with a Sync of its own,
//! so that each commits by itself.

use std::pin::pin;
use std::time::Instant;

use futures_util::{StreamExt, TryStreamExt, future};
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls, Statement};
use uuid::Uuid;

use crate::measure::{EVENT_BYTES, Payloads, Tally, Window, print_commits, print_reads};
use crate::{Failure, number};

/// Where single events are inserted, a stream gets this many before the next one begins.
const EVENTS_PER_STREAM: i32 = 20;

/// What is left of an event for its payload, besides stream and version.
const PAYLOAD_BYTES: usize = EVENT_BYTES - 16 - 4;

const COLUMNS: [Type; 3] = [Type::UUID, Type::INT4, Type::BYTEA];

pub async fn run(words: &[&str]) -> Result<(), Failure> {
    match *words {
        ["create", connection, rows] => create(connection, number(rows)?).await,
        ["empty", connection] => empty(connection).await,
        [
            "insert",
            connection,
            connections,
            in_flight_each,
            events_each,
            seconds,
        ] => {
            let shape = Shape {
                connections: number(connections)?,
                in_flight_each: number(in_flight_each)?,
                events_each: number(events_each)?,
            };
            insert(connection, shape, number(seconds)?).await
        }
        ["copy", connection, connections, events_each, seconds] => {
            let shape = Shape {
                connections: number(connections)?,
                in_flight_each: 1,
                events_each: number(events_each)?,
            };
            copy(connection, shape, number(seconds)?).await
        }
        ["read-copy", connection, seconds] => read_copy(connection, number(seconds)?).await,
        ["read-rows", connection, seconds] => read_rows(connection, number(seconds)?).await,
        _ => Err(crate::USAGE.into()),
    }
}

/// How a load is spread.
#[derive(Clone, Copy)]
struct Shape {
    connections: usize,
    in_flight_each: usize,
    events_each: usize,
}

async fn connect(connection: &str) -> Result<Client, Failure> {
    let (client, driver) = tokio_postgres::connect(connection, NoTls).await?;
    tokio::spawn(driver);
    Ok(client)
}

async fn create(connection: &str, rows: usize) -> Result<(), Failure> {
    let client = connect(connection).await?;
    for table in ["events", "history"] {
        let columns = "position bigserial primary key, stream_id uuid not null, \
                       version int not null, payload bytea not null, unique (stream_id, version)";
        client
            .batch_execute(&format!("create table {table} ({columns})"))
            .await?;
    }
    let mut payloads = Payloads::new(PAYLOAD_BYTES, 0);
    copy_in(&client, "history", rows, &mut payloads).await?;
    client
        .batch_execute("vacuum (freeze, analyze) history")
        .await?;
    client.batch_execute("checkpoint").await?;
    Ok(())
}

async fn empty(connection: &str) -> Result<(), Failure> {
    let client = connect(connection).await?;
    client
        .batch_execute("truncate events restart identity")
        .await?;
    client.batch_execute("checkpoint").await?;
    Ok(())
}

/// One event or many a transaction, by one statement: `events_each` rows go in as three arrays.
async fn insert(connection: &str, shape: Shape, seconds: f64) -> Result<(), Failure> {
    let mut clients = Vec::new();
    for _ in 0..shape.connections {
        let client = connect(connection).await?;
        let statement = client
            .prepare(if shape.events_each == 1 {
                "insert into events (stream_id, version, payload) values ($1, $2, $3) \
                 returning position"
            } else {
                "insert into events (stream_id, version, payload) \
                 select * from unnest($1::uuid[], $2::int4[], $3::bytea[])"
            })
            .await?;
        clients.push((client, statement));
    }
    let window = Window::new(seconds);
    let workers = (0..)
        .zip(clients.iter())
        .flat_map(|(seed, (client, statement))| {
            (0..shape.in_flight_each).map(move |worker| async move {
                let payloads = Payloads::new(PAYLOAD_BYTES, seed * 1000 + worker as u64);
                if shape.events_each == 1 {
                    insert_singly(client, statement, payloads, window).await
                } else {
                    insert_batches(client, statement, payloads, window, shape.events_each).await
                }
            })
        });
    print_commits(future::try_join_all(workers).await?, shape.events_each)
}

async fn insert_singly(
    client: &Client,
    statement: &Statement,
    mut payloads: Payloads,
    window: Window,
) -> Result<Tally, Failure> {
    let mut tally = Tally::new(window);
    while window.is_open() {
        let stream_id = Uuid::new_v4();
        for version in 0..EVENTS_PER_STREAM {
            let payload = payloads.next();
            let sent = Instant::now();
            let row = client
                .query_one(statement, &[&stream_id, &version, &payload])
                .await?;
            let _position: i64 = row.try_get(0)?;
            tally.answered(sent);
            if !window.is_open() {
                break;
            }
        }
    }
    Ok(tally)
}

async fn insert_batches(
    client: &Client,
    statement: &Statement,
    mut payloads: Payloads,
    window: Window,
    events_each: usize,
) -> Result<Tally, Failure> {
    let mut tally = Tally::new(window);
    let versions: Vec<i32> = (0..).take(events_each).collect();
    while window.is_open() {
        let stream_ids = vec![Uuid::new_v4(); events_each];
        let batch: Vec<Vec<u8>> = (0..events_each).map(|_| payloads.next().to_vec()).collect();
        let sent = Instant::now();
        client
            .execute(statement, &[&stream_ids, &versions, &batch])
            .await?;
        tally.answered(sent);
    }
    Ok(tally)
}

/// Many events a transaction, each transaction one COPY in binary format.
async fn copy(connection: &str, shape: Shape, seconds: f64) -> Result<(), Failure> {
    let mut clients = Vec::new();
    for _ in 0..shape.connections {
        clients.push(connect(connection).await?);
    }
    let window = Window::new(seconds);
    let workers = (0..).zip(clients.iter()).map(|(seed, client)| async move {
        let mut payloads = Payloads::new(PAYLOAD_BYTES, seed);
        let mut tally = Tally::new(window);
        while window.is_open() {
            let sent = Instant::now();
            copy_in(client, "events", shape.events_each, &mut payloads).await?;
            tally.answered(sent);
        }
        Ok::<_, Failure>(tally)
    });
    print_commits(future::try_join_all(workers).await?, shape.events_each)
}

/// Copies `rows` events into `table` in one transaction, 1000 a stream.
async fn copy_in(
    client: &Client,
    table: &str,
    rows: usize,
    payloads: &mut Payloads,
) -> Result<(), Failure> {
    let statement =
        format!("copy {table} (stream_id, version, payload) from stdin (format binary)");
    let sink = client.copy_in(&statement).await?;
    let mut writer = pin!(BinaryCopyInWriter::new(sink, &COLUMNS));
    let mut stream_id = Uuid::new_v4();
    for (row, version) in (0..rows).zip((0..1000_i32).cycle()) {
        if version == 0 && row > 0 {
            stream_id = Uuid::new_v4();
        }
        writer
            .as_mut()
            .write(&[&stream_id, &version, &payloads.next()])
            .await?;
    }
    writer.finish().await?;
    Ok(())
}

const HISTORY: &str = "select position, stream_id, version, payload from history order by position";

async fn count(client: &Client) -> Result<u64, Failure> {
    let row = client
        .query_one("select count(*) from history", &[])
        .await?;
    Ok(u64::try_from(row.try_get::<_, i64>(0)?)?)
}

/// Takes the rows as COPY sends them, in binary format, and only counts them.
async fn read_copy(connection: &str, seconds: f64) -> Result<(), Failure> {
    let client = &connect(connection).await?;
    let statement = &format!("copy ({HISTORY}) to stdout (format binary)");
    print_reads(seconds, count(client).await?, || async move {
        let mut rows = pin!(client.copy_out(statement.as_str()).await?);
        let mut messages = 0;
        while rows.try_next().await?.is_some() {
            messages += 1;
        }
        // The server sends a message for each row and one that ends them.
        Ok(messages - 1)
    })
    .await
}

/// Takes the rows from a prepared query as they come, and looks at each column.
async fn read_rows(connection: &str, seconds: f64) -> Result<(), Failure> {
    let client = &connect(connection).await?;
    let statement = &client.prepare(HISTORY).await?;
    print_reads(seconds, count(client).await?, || async move {
        let mut rows = pin!(client.query_raw(statement, Vec::<i32>::new()).await?);
        let mut events = 0;
        while let Some(row) = rows.next().await {
            let row = row?;
            let (_position, _stream): (i64, Uuid) = (row.try_get(0)?, row.try_get(1)?);
            let (_version, _payload): (i32, &[u8]) = (row.try_get(2)?, row.try_get(3)?);
            events += 1;
        }
        Ok(events)
    })
    .await
}
