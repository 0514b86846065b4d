//! Clients that send rubbish: random bytes, frames of HTTP/2 that make no sense, wrong content types,
//! headers without end, calls that are reset as soon as they are made. The server goes on serving
//! others, neither panics nor grows, and records nothing.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use casetrail::wire::v1::EventType as E;

use super::load::{Chance, Submitted, submit};
use super::verify::verify;
use crate::support::http2::{Connection, framed};
use crate::support::server::{Client, Server};
use crate::support::{submission_of, valid_event};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// What rubbish may cost the server at most, over all that is sent here.
const BYTES_MAX: u64 = 96 * 1024 * 1024;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A text of HPACK, not compressed.
fn text(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    match u8::try_from(bytes.len()) {
        Ok(length @ 0..0x7f) => text.push(length),
        _ => {
            text.push(0x7f);
            let mut rest = bytes.len() - 0x7f;
            while rest >= 0x80 {
                text.push((rest % 0x80) as u8 | 0x80);
                rest /= 0x80;
            }
            text.push(rest as u8);
        }
    }
    text.extend(bytes);
    text
}

/// A header, its name spelt out.
fn header(name: &str, value: &[u8]) -> Vec<u8> {
    [vec![0], text(name.as_bytes()), text(value)].concat()
}

/// The headers of a call.
fn head(path: &str) -> Vec<u8> {
    // POST and http stand in the table of HPACK.
    let mut head = vec![0x83, 0x86];
    head.extend(header(":path", path.as_bytes()));
    head.extend(header(":authority", b"localhost"));
    head.extend(header("content-type", b"application/grpc"));
    head
}

/// Sends the bytes for as long as the server takes them, and reads what it answers until it closes
/// the connection, or says nothing for a moment.
fn send(server: &Server, parts: impl IntoIterator<Item = Vec<u8>>) {
    let mut stream = TcpStream::connect(server.address).unwrap();
    let moment = Some(Duration::from_millis(200));
    stream.set_write_timeout(moment).unwrap();
    stream.set_read_timeout(moment).unwrap();
    for part in parts {
        if stream.write_all(&part).is_err() {
            return;
        }
    }
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = [0; 4096];
    for _ in 0..64 {
        if !stream.read(&mut answer).is_ok_and(|count| count > 0) {
            return;
        }
    }
}

/// The server still serves, has not grown and has not panicked.
async fn assert_serves(server: &Server, client: &Client, submitted: &mut Vec<Submitted>) {
    for client in [client, &server.connect().await] {
        let request = submission_of(vec![valid_event(E::DetentionAlleged)]);
        submitted.push(submit(client, request).await.unwrap());
    }
    let bytes = server.process.resident_bytes_max();
    assert!(bytes < BYTES_MAX, "{bytes}");
    let log = server.process.stderr();
    assert!(!log.contains("panicked"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rubbish_on_connections_harms_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let client = server.connect().await;
    let mut submitted = Vec::new();
    let mut chance = Chance::new(41);
    let mut random =
        |length: u64| -> Vec<u8> { (0..length).map(|_| chance.below(256) as u8).collect() };
    let hello = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();

    // Random bytes, and other protocols.
    for length in [1, 9, 24, 100, 5_000, 1 << 20] {
        send(&server, [random(length)]);
        send(&server, [PREFACE.to_vec(), random(length)]);
        send(&server, [hello.clone(), random(length)]);
    }
    send(
        &server,
        [b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()],
    );
    send(
        &server,
        [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()],
    );
    assert_serves(&server, &client, &mut submitted).await;

    // Frames of every kind, on streams that are there and that are not, with random content.
    for kind in 0..=12 {
        for stream in [0, 1, 2, 7, u32::MAX >> 1] {
            let flags = random(1)[0];
            let frames = (0..20).map(|at| frame(kind, flags, stream, &random(at * 3)));
            let frames: Vec<_> = frames.collect();
            let call = frame(
                HEADERS,
                END_HEADERS,
                1,
                &head("/casetrail.v1.CaseService/GetCase"),
            );
            send(&server, [hello.clone(), call].into_iter().chain(frames));
        }
    }
    assert_serves(&server, &client, &mut submitted).await;

    // Headers without end: one that is very long, very many, and continued for ever.
    let path = "/casetrail.v1.CaseService/SubmitEvents";
    let long = [head(path), header("casetrail-actor", &vec![b'a'; 12_000])].concat();
    send(
        &server,
        [hello.clone(), frame(HEADERS, END_HEADERS, 1, &long)],
    );
    let many: Vec<u8> = (0..200)
        .flat_map(|at| header(&format!("x-{at}"), b"value"))
        .collect();
    let many = [head(path), many].concat();
    let calls = (0..50).map(|at| frame(HEADERS, END_HEADERS, 2 * at + 1, &many));
    send(&server, std::iter::once(hello.clone()).chain(calls));
    let endless = header("x", &vec![b'a'; 16_000]);
    let continued = (0..2_000).map(|_| frame(CONTINUATION, 0, 1, &endless));
    let begin = [hello.clone(), frame(HEADERS, 0, 1, &head(path))];
    send(&server, begin.into_iter().chain(continued));
    assert_serves(&server, &client, &mut submitted).await;

    // Floods: calls that are reset at once, pings, settings.
    let resets = (0..20_000).map(|at| {
        let stream = 2 * at + 1;
        let call = frame(HEADERS, END_HEADERS, stream, &head(path));
        [call, frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
    });
    send(&server, std::iter::once(hello.clone()).chain(resets));
    for kind in [PING, SETTINGS] {
        let payload = if kind == PING { vec![7; 8] } else { Vec::new() };
        let frames = (0..100).map(|_| frame(kind, 0, 0, &payload).repeat(1_000));
        send(&server, std::iter::once(hello.clone()).chain(frames));
    }
    assert_serves(&server, &client, &mut submitted).await;
    // Nothing of it all was recorded.
    verify(&client, &submitted).await;
    assert_eq!(server.stop().await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_are_none_are_refused_and_record_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let client = server.connect().await;
    let mut connection = Connection::open(server.address).await;
    let request = submission_of(vec![valid_event(E::DetentionAlleged)]);
    let (mut answered, mut refused) = (0, 0);
    for method in [
        "casetrail.v1.CaseService/SubmitEvents",
        "casetrail.v1.CaseService/NoSuchMethod",
        "casetrail.v1.NoSuchService/SubmitEvents",
        "",
        "..//..",
    ] {
        for content_type in [
            "application/grpc",
            "application/grpc+json",
            "text/plain",
            "x",
        ] {
            let known = method.ends_with("CaseService/SubmitEvents");
            let mut call = connection.call_as(method, content_type).await;
            // An answer may be there before the request is.
            let mut sent = framed(&request).to_vec();
            if known {
                // No message: a compressed one without a compression, with rubbish in it.
                sent[0] = 1;
            }
            call.send(sent.into()).await;
            let head = call.begins().await;
            let status = head
                .get("grpc-status")
                .map(|status| status.to_str().unwrap().to_owned());
            match status.as_deref() {
                Some("0") => answered += 1,
                _ => refused += 1,
            }
        }
    }
    assert_eq!((answered, refused), (0, 20));
    assert_eq!(client.status().await.head, 0);
    submit(&client, request).await.unwrap();
    assert!(!server.process.stderr().contains("panicked"));
}
