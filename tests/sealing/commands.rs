//! The command line's way with personal data.

use std::path::Path;
use std::process::Output;

use super::office::{Office, subject};
use super::support::fresh_uuid;
use super::support::server::casetrail;

async fn run(office: &Office, arguments: &[&str]) -> Output {
    let mut command = casetrail(arguments);
    command.args(["--server", &office.url()]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    output
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn write(path: &Path, lines: &str) -> String {
    std::fs::write(path, lines).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn values_are_submitted_as_json_read_for_a_purpose_and_erased() {
    let mut office = Office::open_with(&["--erasure-holding", "0"]).await;
    let (case_id, event_id, subject) = (fresh_uuid(), fresh_uuid(), subject());
    let line = format!(
        r#"{{"requestId":"{}","changes":[{{"caseId":"{case_id}","noCase":true,"events":[{{"eventId":"{event_id}","occurred":"2024-03?","source":{{"reference":"w-1","connection":"SOURCE_CONNECTION_RELATIVE","reliability":"SOURCE_RELIABILITY_UNSURE"}},"credibility":"CREDIBILITY_LIKELY","personal":[{{"subjectId":"{subject}","personalClass":"PERSONAL_CLASS_IDENTITY","field":"name","name":{{"parts":[{{"text":"Марія","language":"uk-Cyrl","kind":"PERSON_NAME_PART_KIND_GIVEN"}},{{"text":"Зразок","kind":"PERSON_NAME_PART_KIND_FAMILY"}}]}}}}],"detentionAlleged":{{"category":"LEGAL_CATEGORY_UNKNOWN","place":{{"unknown":true}}}}}}]}}]}}"#,
        fresh_uuid()
    );
    let file = write(&office.folder.path().join("case.jsonl"), &line);
    let case_id = case_id.to_string();
    run(&office, &["submit", &file]).await;
    let shown = run(
        &office,
        &[
            "personal",
            "get",
            &case_id,
            "--purpose",
            "tracing",
            "--actor",
            "worker-3",
        ],
    )
    .await;
    assert!(
        text(&shown).contains("Identity     name                Марія Зразок"),
        "{}",
        text(&shown)
    );
    let shown = run(&office, &["personal", "disclosures", "--subject", &subject]).await;
    assert!(text(&shown).contains("worker-3@local"), "{}", text(&shown));
    assert!(
        text(&shown).contains("Tracing: 1 of Identity about"),
        "{}",
        text(&shown)
    );

    let requested = run(
        &office,
        &[
            "erasure",
            "request",
            &case_id,
            "--subject",
            &subject,
            "--ground",
            "subject-request",
            "--source",
            "letter-12",
            "--actor",
            "worker-3",
        ],
    )
    .await;
    let requested = text(&requested);
    let request = requested
        .split_whitespace()
        .nth(2)
        .unwrap()
        .trim_end_matches(',')
        .to_owned();
    let shown = text(&run(&office, &["get", &case_id]).await);
    assert!(shown.contains(&format!("erasure       {request}: of subject {subject}, SubjectRequest, requested by worker-3@local")), "{shown}");
    run(
        &office,
        &[
            "erasure",
            "execute",
            &case_id,
            "--subject",
            &subject,
            "--request",
            &request,
            "--source",
            "decision-3",
            "--actor",
            "supervisor-1",
        ],
    )
    .await;
    let shown = run(
        &office,
        &["personal", "get", &case_id, "--purpose", "tracing"],
    )
    .await;
    assert_eq!(text(&shown), "");
    assert_eq!(
        String::from_utf8(shown.stderr).unwrap(),
        "1 values were erased\n"
    );
    let shown = text(&run(&office, &["get", &case_id]).await);
    assert!(!shown.contains("erasure"), "{shown}");
    office.stop().await;
}
