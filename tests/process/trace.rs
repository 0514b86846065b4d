//! The system calls of the real server for a submission: it is written, then synced, and only then
//! answered. And failures put into them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use casetrail::wire::v1::{
    DisclosurePurpose, EventType as E, GetPersonalRequest, PersonalClass, PersonalValue,
    SubmitStreamRequest, personal_value::Value,
};
use tokio_stream::StreamExt as _;

use crate::support::server::{Server, serve};
use crate::support::{fresh_uuid, submission_of, valid_event};

/// What writes to files and sockets, and what syncs.
const CALLS: &str = "trace=write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,sendmmsg,\
                     fsync,fdatasync,sync_file_range,msync,io_uring_enter";

/// A finished system call: the lines of the trace at which it began and ended.
#[derive(Debug)]
struct Call {
    began: usize,
    ended: usize,
    text: String,
}

impl Call {
    fn is_on(&self, names: &[&str], file: &str) -> bool {
        let (name, arguments) = self.text.split_once('(').unwrap_or_default();
        // The descriptor comes first: `9</tmp/data/log/db>` or `12<TCP:[...]>`.
        let of = arguments.split(", ").next().unwrap_or_default();
        names.contains(&name) && of.contains(file)
    }

    fn succeeded(&self) -> bool {
        let result = self.text.rsplit(" = ").next().unwrap_or("-");
        !result.starts_with('-') && !result.starts_with('?')
    }
}

/// Whether processes can be traced here; says so if they can't.
pub fn can_trace() -> bool {
    let tried = Command::new("strace")
        .args(["-D", "-f", "-o", "/dev/null", "true"])
        .status();
    let can = tried.is_ok_and(|status| status.success());
    if !can {
        eprintln!("SKIPPED: strace is not installed or may not trace; nothing was checked here");
    }
    can
}

/// A server whose calls are traced, and the file of the trace.
fn traced(folder: &Path) -> (Server, PathBuf) {
    let trace = folder.join("trace");
    // With -D the server is this process's child and strace is not, so that the guard holds the
    // server itself.
    let wrapper = [
        "strace", "-D", "-f", "-yy", "-s", "1000000", "-e", CALLS, "-o",
    ];
    let wrapper = [&wrapper[..], &[trace.to_str().unwrap()]].concat();
    let server = Server::try_start(serve(&wrapper, &folder.join("data"), "127.0.0.1:0"));
    (server.unwrap(), trace)
}

#[tokio::test]
async fn a_submission_is_written_then_synced_and_only_then_answered() {
    if !can_trace() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (server, trace) = traced(folder.path());
    let client = server.connect().await;

    let requests: Vec<_> = (0..10)
        .map(|_| submission_of(vec![valid_event(E::DetentionAlleged)]))
        .collect();
    for request in &requests[..5] {
        client.cases().submit_events(request.clone()).await.unwrap();
    }
    let streamed = requests[5..].iter().map(|request| SubmitStreamRequest {
        submission: Some(request.clone()),
    });
    let streamed = tokio_stream::iter(streamed.collect::<Vec<_>>());
    let answers = client.cases().submit_stream(streamed).await.unwrap();
    let answers: Vec<_> = answers.into_inner().collect().await;
    assert!(answers.len() == 5 && answers.iter().all(Result::is_ok));
    assert_eq!(server.stop().await.code, Some(0));

    let calls = calls_of(&trace);
    for request in &requests {
        assert_order(&calls, &request.request_id);
    }
}

/// A value is sent only once its disclosure is written and synced.
#[tokio::test]
async fn a_disclosure_is_written_then_synced_and_only_then_is_the_value_sent() {
    if !can_trace() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (server, trace) = traced(folder.path());
    let client = server.connect().await;
    let mut readings = Vec::new();
    for number in 0..5 {
        let value = format!("to be disclosed {number}");
        let mut event = valid_event(E::DetentionAlleged);
        event.personal = vec![PersonalValue {
            subject_id: fresh_uuid().to_string(),
            personal_class: PersonalClass::Narrative.into(),
            field: "account".to_owned(),
            value: Some(Value::Text(value.clone())),
        }];
        let request = submission_of(vec![event]);
        let case_id = request.changes[0].case_id.clone();
        client.cases().submit_events(request).await.unwrap();
        let reference = format!("reading-{number}");
        let asked = GetPersonalRequest {
            case_ids: vec![case_id],
            purpose: DisclosurePurpose::CaseWork.into(),
            purpose_reference: reference.clone(),
            ..GetPersonalRequest::default()
        };
        let answer = client.personal().get_personal(asked).await.unwrap();
        assert_eq!(answer.into_inner().disclosure, Some(number));
        readings.push((reference, value));
    }
    assert_eq!(server.stop().await.code, Some(0));

    let calls = calls_of(&trace);
    for (reference, value) in readings {
        let holds = |call: &&Call, text: &str| call.text.contains(text);
        let mut writes = calls
            .iter()
            .filter(|call| call.is_on(&WRITES, "/disclosures>") && holds(call, &reference));
        let written = writes.next().expect("a disclosure that is written");
        assert!(written.succeeded());
        let mut syncs = calls.iter().filter(|call| {
            call.is_on(&["fdatasync"], "/disclosures>")
                && call.succeeded()
                && call.began > written.ended
        });
        let synced = syncs.next().expect("a disclosure that is synced");
        let mut sends = calls
            .iter()
            .filter(|call| call.is_on(&SENDS, "TCP") && holds(call, &value));
        let sent = sends.next().expect("a value that is sent");
        assert!(
            sent.began > synced.ended,
            "{reference} was sent at {} and synced only at {}",
            sent.began,
            synced.ended
        );
    }
}

const WRITES: [&str; 4] = ["write", "writev", "pwrite64", "pwritev"];
const SENDS: [&str; 5] = ["write", "writev", "sendto", "sendmsg", "sendmmsg"];

/// Each write, sync and answer is found by what it holds: the request_id.
fn assert_order(calls: &[Call], request_id: &str) {
    let holds = |call: &&Call| call.text.contains(request_id);
    let is_sync =
        |call: &&Call| call.is_on(&["fdatasync", "fsync"], "/log/db>") && call.succeeded();
    let shown = || {
        let near = calls.iter().filter(|call| holds(call) || is_sync(call));
        let lines = near.map(|call| {
            let head: String = call.text.chars().take(60).collect();
            format!("{}..{} {head}", call.began, call.ended)
        });
        lines.collect::<Vec<_>>().join("\n")
    };

    let mut writes = calls
        .iter()
        .filter(holds)
        .filter(|call| call.is_on(&WRITES, "/log/db>"));
    let written = writes
        .next()
        .unwrap_or_else(|| panic!("no write:\n{}", shown()));
    assert!(written.succeeded());
    let mut syncs = calls
        .iter()
        .filter(is_sync)
        .filter(|call| call.began > written.ended);
    let synced = syncs
        .next()
        .unwrap_or_else(|| panic!("no sync:\n{}", shown()));
    let mut sends = calls
        .iter()
        .filter(holds)
        .filter(|call| call.is_on(&SENDS, "TCP"));
    let sent = sends
        .next()
        .unwrap_or_else(|| panic!("no answer:\n{}", shown()));
    assert!(
        sent.began > synced.ended,
        "answered too early:\n{}",
        shown()
    );
    // Nothing but the log's file and the answer holds the submission.
    let elsewhere = calls
        .iter()
        .filter(holds)
        .find(|call| !call.is_on(&WRITES, "/log/db>") && !call.is_on(&SENDS, "TCP"));
    assert!(elsewhere.is_none(), "{elsewhere:?}");
}

fn calls_of(trace: &Path) -> Vec<Call> {
    let mut begun: HashMap<String, (usize, String)> = HashMap::new();
    let mut calls = Vec::new();
    let trace = std::fs::read_to_string(trace).unwrap();
    for (at, line) in trace.lines().enumerate() {
        let Some((process, text)) = line.split_once(' ') else {
            continue;
        };
        let text = text.trim_start();
        if let Some(first) = text.strip_suffix(" <unfinished ...>") {
            begun.insert(process.to_owned(), (at, first.to_owned()));
        } else if let Some((_, rest)) = text
            .strip_prefix("<... ")
            .and_then(|resumed| resumed.split_once("resumed>"))
        {
            let (began, first) = begun.remove(process).expect("a call that began");
            calls.push(Call {
                began,
                ended: at,
                text: format!("{first}{rest}"),
            });
        } else if !text.starts_with("+++") && !text.starts_with("---") {
            calls.push(Call {
                began: at,
                ended: at,
                text: text.to_owned(),
            });
        }
    }
    calls
}
