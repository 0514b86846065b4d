//! Every kind of bad submission against the real executable, by a single call and in a stream: the
//! code, the reason and the details of the answer; the log as it was; and nothing that might be
//! personal repeated, neither to the client nor in the log of the server.

use casetrail::wire::v1::{
    self, EventType as E, SubmitEventsRequest, event::Payload, submit_stream_response::Outcome,
};
use prost::Message;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::harness::{Client, Process};
use crate::malformed::{event, malformed, oversize, personal_value};
use crate::refused::{not_allowed, set_up, stale_or_reused, submission_to};
use crate::support::{event_with, submission_of, valid_event};

/// What stands wherever a client may write what it wants. It has the characters of a reference.
pub const MARKER: &str = "Nadia-Zeugin-7731";

/// Checks that an answer is as errors are by AIP-193, and holds nothing of the marker.
pub fn check_status(name: &str, status: &Status, code: Code, reason: &str) {
    assert_eq!(status.code(), code, "{name}: {status:?}");
    let details = status.get_error_details();
    let info = details
        .error_info()
        .unwrap_or_else(|| panic!("{name}: no ErrorInfo: {status:?}"));
    assert_eq!(
        (info.reason.as_str(), info.domain.as_str()),
        (reason, "casetrail"),
        "{name}"
    );
    assert_eq!(
        status
            .check_error_details_vec()
            .unwrap()
            .iter()
            .filter(|detail| { matches!(detail, tonic_types::ErrorDetail::ErrorInfo(_)) })
            .count(),
        1,
        "{name}: one ErrorInfo"
    );
    assert!(!status.message().is_empty(), "{name}");
    check_nothing_repeated(name, format!("{status:?}").as_bytes());
    check_nothing_repeated(name, status.details());
}

pub fn check_nothing_repeated(name: &str, bytes: &[u8]) {
    let repeated = bytes
        .windows(5)
        .any(|window| window == b"Nadia" || window == b"Zeugi");
    assert!(
        !repeated,
        "{name} repeats what was sent: {}",
        String::from_utf8_lossy(bytes)
    );
}

/// A bad submission and what it is answered.
pub struct Bad {
    pub name: &'static str,
    pub request: SubmitEventsRequest,
    pub code: Code,
    pub reason: &'static str,
    /// Paths of the fields that are wrong, all of them (BadRequest).
    pub fields: Vec<&'static str>,
    /// Facts of the ErrorInfo, some of them.
    pub facts: Vec<(&'static str, String)>,
}

impl Bad {
    pub fn invalid(
        name: &'static str,
        request: SubmitEventsRequest,
        fields: &[&'static str],
    ) -> Self {
        let (code, reason) = (Code::InvalidArgument, "INVALID_FIELDS");
        Self {
            name,
            request,
            code,
            reason,
            fields: fields.to_vec(),
            facts: vec![],
        }
    }

    pub fn too_large(
        name: &'static str,
        request: SubmitEventsRequest,
        field: &'static str,
    ) -> Self {
        Self {
            reason: "TOO_LARGE",
            ..Self::invalid(name, request, &[field])
        }
    }

    pub fn refused(
        name: &'static str,
        request: SubmitEventsRequest,
        code: Code,
        reason: &'static str,
        facts: &[(&'static str, &str)],
    ) -> Self {
        let facts = facts
            .iter()
            .map(|(name, fact)| (*name, (*fact).to_owned()))
            .collect();
        Self {
            name,
            request,
            code,
            reason,
            fields: vec![],
            facts,
        }
    }

    async fn is_refused_by_a_call(&self, client: &Client) {
        let name = self.name;
        let answer = client.cases().submit_events(self.request.clone()).await;
        let status = answer.expect_err(name);
        check_status(name, &status, self.code, self.reason);
        let details = status.get_error_details();
        let fields: Vec<_> = details
            .bad_request()
            .map(|bad| {
                bad.field_violations
                    .iter()
                    .map(|it| it.field.as_str())
                    .collect()
            })
            .unwrap_or_default();
        assert_eq!(fields, self.fields, "{name}: {status:?}");
        let metadata = &details.error_info().unwrap().metadata;
        for (key, fact) in &self.facts {
            assert_eq!(
                metadata.get(*key),
                Some(fact),
                "{name}: {key} of {status:?}"
            );
        }
        let failed = details
            .precondition_failure()
            .map(|failure| &failure.violations);
        if self.code == Code::FailedPrecondition {
            let violation = &failed.expect(name)[0];
            assert_eq!(violation.r#type, self.reason, "{name}");
            assert_eq!(Some(&violation.subject), metadata.get("case_id"), "{name}");
            assert_eq!(violation.description, status.message(), "{name}");
        } else {
            assert!(failed.is_none(), "{name}");
        }
        assert!(
            details.retry_info().is_none(),
            "{name}: trying again won't help"
        );
    }

    fn check_refusal(&self, refusal: &v1::Refusal) {
        let name = self.name;
        assert_eq!(
            Code::from_i32(refusal.code),
            self.code,
            "{name}: {refusal:?}"
        );
        assert_eq!(refusal.reason, self.reason, "{name}");
        let fields = refusal.field_violations.iter().map(|it| it.field.as_str());
        assert_eq!(fields.collect::<Vec<_>>(), self.fields, "{name}");
        for (key, fact) in &self.facts {
            assert_eq!(
                refusal.metadata.get(*key),
                Some(fact),
                "{name}: {key} of {refusal:?}"
            );
        }
        let request_id = &self.request.request_id;
        assert!(
            refusal.request_id.is_empty() || refusal.request_id == *request_id,
            "{name}"
        );
        check_nothing_repeated(name, format!("{refusal:?}").as_bytes());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_bad_submission_is_answered_why_and_leaves_the_log_as_it_was() {
    let server = Process::start();
    let client = Client::connect(server.address).await.unwrap();
    let scene = set_up(&client).await;
    let not_the_closing = {
        let mut reopening = event(E::CaseReopened);
        reopening.payload = Some(Payload::CaseReopened(v1::CaseReopened {
            closing_event_id: scene.recorded.changes[0].events[0].event_id.clone(),
            reason: v1::CaseReopenedReason::WrongCase.into(),
        }));
        submission_to(&scene.closed, vec![reopening])
    };
    let mut table = malformed();
    table.extend(oversize());
    table.extend(stale_or_reused(&scene));
    table.extend(not_allowed(&scene));
    table.push(Bad::refused(
        "another case's event named",
        not_the_closing,
        Code::FailedPrecondition,
        "TARGET_EVENT_NOT_FOUND",
        &[(
            "field",
            "changes[0].events[0].case_reopened.closing_event_id",
        )],
    ));

    let before = client.status().await;
    for bad in &table {
        bad.is_refused_by_a_call(&client).await;
        let after = client.status().await;
        assert_eq!(
            (after.head, &after.digest),
            (before.head, &before.digest),
            "{}",
            bad.name
        );
    }

    // All in one stream, in one with a good submission after each.
    let requests = table.iter().flat_map(|bad| {
        [
            bad.request.clone(),
            submission_of(vec![valid_event(E::DetentionAlleged)]),
        ]
    });
    let answers = client.stream_as("relief", requests).await;
    assert_eq!(answers.len(), 2 * table.len());
    for (index, (bad, answers)) in table.iter().zip(answers.chunks(2)).enumerate() {
        assert_eq!(answers[0].index, 2 * index as u64);
        match &answers[0].outcome {
            Some(Outcome::Refused(refusal)) => bad.check_refusal(refusal),
            other => panic!("{}: {other:?}", bad.name),
        }
        assert!(
            matches!(answers[1].outcome, Some(Outcome::Recorded(_))),
            "{}",
            bad.name
        );
    }
    let after = client.status().await;
    assert_eq!(
        after.head,
        before.head + table.len() as u64,
        "only the good ones are recorded"
    );

    let log = server.log();
    assert!(
        log.contains("SubmitEvents"),
        "the server logs its calls: {log}"
    );
    check_nothing_repeated("the log of the server", log.as_bytes());
    println!("{} kinds of bad submissions", table.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_submission_sent_again_is_answered_as_before_and_not_stored_again() {
    let server = Process::start();
    let client = Client::connect(server.address).await.unwrap();
    let scene = set_up(&client).await;
    let before = client.status().await;
    let again = client.submit(scene.recorded.clone()).await;
    assert!(again.replayed);
    let mut upper = scene.recorded.clone();
    upper.request_id.make_ascii_uppercase();
    upper.changes[0].case_id.make_ascii_uppercase();
    let answers = client
        .stream_as("relief", [scene.recorded.clone(), upper])
        .await;
    for answer in answers {
        let Some(Outcome::Recorded(recorded)) = answer.outcome else {
            panic!("{answer:?}")
        };
        assert_eq!(recorded, again);
    }
    assert_eq!(again.results[0].positions, [0, 1]);
    let after = client.status().await;
    assert_eq!((after.head, after.digest), (before.head, before.digest));
}

#[tokio::test]
async fn a_personal_value_is_nowhere_in_what_a_refused_event_leaves_behind() {
    let server = Process::start();
    let client = Client::connect(server.address).await.unwrap();
    let mut event = event_with(crate::support::valid_payload(E::DetentionAlleged));
    event.personal.push(personal_value());
    let request = submission_of(vec![event]);
    assert!(
        request
            .encode_to_vec()
            .windows(MARKER.len())
            .any(|it| it == MARKER.as_bytes())
    );
    let refused = client.cases().submit_events(request).await.unwrap_err();
    check_status(
        "personal",
        &refused,
        Code::InvalidArgument,
        "INVALID_FIELDS",
    );
    // Something good after it, so that all that was to be written is.
    client
        .submit(submission_of(vec![valid_event(E::DetentionAlleged)]))
        .await;
    assert!(
        server.files_with(b"source-17") > 0,
        "the good one is found where it is stored"
    );
    assert_eq!(server.files_with(MARKER.as_bytes()), 0);
}
