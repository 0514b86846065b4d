//! A client that knows nothing of casetrail but what the server's reflection tells: Python, with the
//! tools of gRPC, as README shows it.

use std::path::Path;
use std::process::Stdio;

use casetrail::wire::json::to_json;
use casetrail::wire::v1::EventType as E;
use serde_json::Value;
use tokio::process::Command;

use crate::harness::Process;
use crate::support::{submission_of, valid_event};

/// Names a Python that has grpcio and grpcio-reflection; then they must be there.
const PYTHON: &str = "CASETRAIL_TEST_PYTHON";

/// The Python to use; none where it lacks the modules.
async fn python() -> Option<String> {
    let chosen = std::env::var(PYTHON).ok();
    let python = chosen.clone().unwrap_or_else(|| "python3".to_owned());
    let found = Command::new(&python)
        .args(["-c", "import grpc, grpc_reflection, google.protobuf"])
        .stderr(Stdio::null())
        .status()
        .await
        .is_ok_and(|status| status.success());
    if found {
        return Some(python);
    }
    assert!(
        chosen.is_none(),
        "{PYTHON} names {python}, which lacks grpcio-reflection"
    );
    eprintln!(
        "skipped: {python} has no grpcio and grpcio-reflection. Install them with pip, or name a \
         Python that has them by {PYTHON}"
    );
    None
}

/// Calls a method; the answers, or what was said on standard error where the exit code is 1.
async fn call(
    python: &str,
    server: &Process,
    method: &str,
    arguments: &[&str],
) -> Result<Vec<Value>, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reflection/call.py");
    let output = Command::new(python)
        .arg(script)
        .arg(server.address.to_string())
        .arg(format!("casetrail.v1.{method}"))
        .args(arguments)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    match output.status.code() {
        Some(0) => {
            let answers = String::from_utf8(output.stdout).unwrap();
            let answers = answers.lines().map(serde_json::from_str);
            Ok(answers.collect::<Result<_, _>>().unwrap())
        }
        Some(1) => Err(said),
        other => panic!("{method}: {other:?}: {said}"),
    }
}

#[tokio::test]
async fn a_client_made_from_reflection_alone_submits_gets_watches_and_replays() {
    let Some(python) = python().await else { return };
    let server = Process::start();
    let submission = submission_of(vec![
        valid_event(E::DetentionAlleged),
        valid_event(E::DetentionAcknowledged),
    ]);
    let case_id = submission.changes[0].case_id.as_str();
    let (once, python) = (to_json(&submission).unwrap(), python.as_str());

    let recorded = call(python, &server, "CaseService/SubmitEvents", &[&once]).await;
    let recorded = recorded.unwrap().remove(0);
    assert_eq!(recorded["requestId"], submission.request_id.as_str());
    assert_eq!(recorded["results"][0]["version"], "2");
    let again = call(python, &server, "CaseService/SubmitEvents", &[&once]).await;
    assert_eq!(again.unwrap()[0]["replayed"], true);
    let items: Vec<_> = (0..3)
        .map(|_| {
            let opening = to_json(&submission_of(vec![valid_event(E::RemainsReported)])).unwrap();
            format!(r#"{{"submission": {opening}}}"#)
        })
        .collect();
    let items: Vec<_> = items.iter().map(String::as_str).collect();
    let answers = call(python, &server, "CaseService/SubmitStream", &items).await;
    let answers = answers.unwrap();
    assert_eq!(answers.len(), 3);
    assert!(answers.iter().all(|answer| answer["recorded"].is_object()));

    let get = format!(r#"{{"case_id": "{case_id}"}}"#);
    let case = call(python, &server, "CaseService/GetCase", &[&get]).await;
    let case = case.unwrap().remove(0);
    assert_eq!(
        case["case"]["standing"]["confirmed"],
        "CASE_STATUS_DETENTION_ACKNOWLEDGED"
    );
    assert_eq!(case["position"], "5");

    let watch = [r#"{"snapshot": true}"#, "--messages", "6"];
    let watched = call(python, &server, "MonitorService/WatchStatus", &watch).await;
    let watched = watched.unwrap();
    assert_eq!(watched[0]["caseSnapshot"]["caseId"], case_id);
    assert_eq!(watched[4]["snapshotEnd"]["cases"], "4");
    assert!(watched[5]["caughtUp"].is_object());
    let watch = [r#"{"from_position": "1"}"#, "--messages", "1"];
    let watched = call(python, &server, "MonitorService/WatchStatus", &watch).await;
    let change = &watched.unwrap()[0]["statusChange"];
    assert_eq!(
        change["previousStanding"]["confirmed"],
        "CASE_STATUS_DETENTION_ALLEGED"
    );

    let replayed = call(python, &server, "AuditService/ReplayEvents", &["{}"]).await;
    let replayed = replayed.unwrap();
    let records: Vec<&Value> = replayed
        .iter()
        .filter_map(|answer| answer["block"]["records"].as_array())
        .flatten()
        .collect();
    assert_eq!(records.len(), 5);
    assert_eq!(records[1]["eventType"], "EVENT_TYPE_DETENTION_ACKNOWLEDGED");
    assert_eq!(replayed.last().unwrap()["progress"]["head"], "5");

    let stale = once.replacen(
        &submission.request_id,
        &crate::support::fresh_uuid().to_string(),
        1,
    );
    for (method, request, code) in [
        ("CaseService/SubmitEvents", stale.as_str(), "ALREADY_EXISTS"),
        ("CaseService/SubmitEvents", "{}", "INVALID_ARGUMENT"),
        (
            "CaseService/GetCase",
            r#"{"case_id": "none"}"#,
            "INVALID_ARGUMENT",
        ),
        (
            "MonitorService/WatchStatus",
            r#"{"from_position": 99}"#,
            "OUT_OF_RANGE",
        ),
    ] {
        let said = call(python, &server, method, &[request]).await.unwrap_err();
        assert!(said.starts_with(code), "{method}: {said}");
    }
}
