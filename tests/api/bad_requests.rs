//! Bad requests other than submissions: bytes of any kind on the wire, metadata, pages, filters and
//! positions.

use bytes::Bytes;
use casetrail::wire::limits;
use casetrail::wire::v1::{
    self, EventType as E, ListCasesRequest, ReplayEventsRequest, ReplayFilter, SubmitEventsRequest,
    SubmitStreamRequest, WatchStatusRequest, replay_events_request,
    submit_stream_response::Outcome, watch_status_request,
};
use prost::Message;
use tonic::metadata::MetadataValue;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use crate::bad_input::{MARKER, check_nothing_repeated, check_status};
use crate::harness::{Client, Process};
use crate::raw;
use crate::support::{fresh_uuid, submission_of, valid_event};

const SUBMIT: &str = "casetrail.v1.CaseService/SubmitEvents";
const SUBMIT_STREAM: &str = "casetrail.v1.CaseService/SubmitStream";

/// A message of one field with these bytes, put together by hand.
fn field(number: u32, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    prost::encoding::encode_key(
        number,
        prost::encoding::WireType::LengthDelimited,
        &mut bytes,
    );
    prost::encoding::encode_varint(content.len() as u64, &mut bytes);
    bytes.extend_from_slice(content);
    bytes
}

/// A good submission whose event has this field too, which no message of this version has.
fn with_unknown_field(number: u32) -> Vec<u8> {
    let mut submission = submission_of(vec![]);
    let mut event = valid_event(E::DetentionAlleged).encode_to_vec();
    event.extend(field(number, MARKER.as_bytes()));
    let mut change = submission.changes.remove(0).encode_to_vec();
    change.extend(field(5, &event));
    let mut bytes = submission.encode_to_vec();
    bytes.extend(field(2, &change));
    bytes
}

fn fields_of(status: &Status) -> Vec<String> {
    let details = status.get_error_details();
    let violations = details.bad_request().map(|bad| &bad.field_violations);
    violations
        .into_iter()
        .flatten()
        .map(|violation| violation.field.clone())
        .collect()
}

fn check_invalid(name: &str, status: &Status, fields: &[&str]) {
    check_status(name, status, Code::InvalidArgument, "INVALID_FIELDS");
    assert_eq!(fields_of(status), fields, "{name}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_no_request_of_this_version_are_refused_and_nothing_is_recorded() {
    let server = Process::start();
    let client = Client::connect(server.address).await.unwrap();
    let good = submission_of(vec![valid_event(E::DetentionAlleged)]);
    client.submit(good.clone()).await;
    let before = client.status().await;

    let mut not_utf8 = good.clone().encode_to_vec();
    let source = not_utf8
        .windows(9)
        .position(|window| window == b"source-17")
        .unwrap();
    not_utf8[source] = 0xff;
    let truncated = good.encode_to_vec();
    let truncated = truncated[..truncated.len() - 3].to_vec();
    let mut top_level = good.encode_to_vec();
    top_level.extend(field(99, MARKER.as_bytes()));
    let table = [
        (
            "an event of an unknown kind",
            with_unknown_field(777),
            "UNKNOWN_FIELDS",
        ),
        (
            "an unknown field of the event",
            with_unknown_field(42),
            "UNKNOWN_FIELDS",
        ),
        (
            "an unknown field of the submission",
            top_level,
            "UNKNOWN_FIELDS",
        ),
        ("text that is not UTF-8", not_utf8, "MALFORMED_MESSAGE"),
        ("a message cut short", truncated, "MALFORMED_MESSAGE"),
        ("a text", MARKER.as_bytes().to_vec(), "MALFORMED_MESSAGE"),
    ];
    for (name, bytes, reason) in &table {
        let (_, ended) = raw::outcome(&client, SUBMIT, vec![bytes.clone().into()]).await;
        check_status(name, &ended.unwrap_err(), Code::InvalidArgument, reason);
        let after = client.status().await;
        assert_eq!(
            (after.head, &after.digest),
            (before.head, &before.digest),
            "{name}"
        );

        // In a stream, what came before it is answered, and then the stream ends: what can't be
        // decoded can't be told from what follows.
        let first = SubmitStreamRequest {
            submission: Some(good.clone()),
        };
        let messages: Vec<Bytes> = vec![first.encode_to_vec().into(), field(1, bytes).into()];
        let (answers, ended) = raw::outcome(&client, SUBMIT_STREAM, messages).await;
        check_status(name, &ended.unwrap_err(), Code::InvalidArgument, reason);
        assert_eq!(answers.len(), 1, "{name}");
        let answer = v1::SubmitStreamResponse::decode(answers[0].clone()).unwrap();
        assert!(matches!(answer.outcome, Some(Outcome::Recorded(it)) if it.replayed));
    }
    // A request that holds nothing but what is unknown, to each other method.
    for method in [
        "CaseService/GetCase",
        "CaseService/ListCases",
        "CaseService/GetCaseHistory",
        "MonitorService/WatchStatus",
        "MonitorService/GetSummary",
        "MonitorService/WatchAlerts",
        "MonitorService/ListAlerts",
        "AuditService/ReplayEvents",
        "AdminService/GetServerStatus",
        "AdminService/RebuildViews",
        "PersonalService/GetPersonal",
        "PersonalService/SearchByName",
        "PersonalService/ListDisclosures",
        "PersonalService/ListRetentionDue",
    ] {
        let method = format!("casetrail.v1.{method}");
        let bytes = field(900, MARKER.as_bytes()).into();
        let (answers, ended) = raw::outcome(&client, &method, vec![bytes]).await;
        check_status(
            &method,
            &ended.unwrap_err(),
            Code::InvalidArgument,
            "UNKNOWN_FIELDS",
        );
        assert!(answers.is_empty());
    }
    // What is lawful and merely unusual is taken: a default written out.
    let mut unusual = good.encode_to_vec();
    unusual.extend(field(1, good.request_id.as_bytes()));
    let (answers, ended) = raw::outcome(&client, SUBMIT, vec![unusual.into()]).await;
    ended.unwrap();
    let answer = v1::SubmitEventsResponse::decode(answers[0].clone()).unwrap();
    assert!(answer.replayed);

    let after = client.status().await;
    assert_eq!((after.head, after.digest), (before.head, before.digest));
    check_nothing_repeated("the log of the server", server.log().as_bytes());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_over_four_mebibytes_is_refused_and_the_server_goes_on() {
    let server = Process::start();
    let client = Client::connect(server.address).await.unwrap();
    let mut request = submission_of(vec![valid_event(E::DetentionAlleged)]);
    request.changes[0].events[0].occurred = MARKER.repeat(limits::REQUEST_MESSAGE_BYTES_MAX / 16);
    assert!(request.encoded_len() > limits::REQUEST_MESSAGE_BYTES_MAX);
    let refused = client
        .cases()
        .submit_events(request.clone())
        .await
        .unwrap_err();
    check_status("a call", &refused, Code::InvalidArgument, "TOO_LARGE");
    let good = SubmitStreamRequest {
        submission: Some(submission_of(vec![valid_event(E::DetentionAlleged)])),
    };
    let bad = SubmitStreamRequest {
        submission: Some(request),
    };
    let messages = vec![good.encode_to_vec().into(), bad.encode_to_vec().into()];
    let (answers, ended) = raw::outcome(&client, SUBMIT_STREAM, messages).await;
    check_status(
        "a stream",
        &ended.unwrap_err(),
        Code::InvalidArgument,
        "TOO_LARGE",
    );
    assert_eq!(answers.len(), 1, "what came before it is answered");
    assert_eq!(client.status().await.head, 1);
    check_nothing_repeated("the log of the server", server.log().as_bytes());
}

#[tokio::test]
async fn a_malformed_or_repeated_claim_of_who_records_is_refused() {
    let server = Process::start();
    let client = Client::connect(server.address).await.unwrap();
    let spaces = format!("{MARKER} and others");
    let long = MARKER.repeat(10);
    for name in ["casetrail-actor", "casetrail-organisation"] {
        let values: [(&str, Vec<&[u8]>); 5] = [
            ("spaces", vec![spaces.as_bytes()]),
            ("too long", vec![long.as_bytes()]),
            ("empty", vec![b""]),
            ("not UTF-8", vec![&[b'N', 0xff]]),
            ("twice", vec![MARKER.as_bytes(), MARKER.as_bytes()]),
        ];
        for (fault, values) in values {
            let submission = submission_of(vec![valid_event(E::DetentionAlleged)]);
            let fault = format!("{name}: {fault}");
            let mut call = Request::new(submission.clone());
            let item = SubmitStreamRequest {
                submission: Some(submission),
            };
            let mut stream = Request::new(futures_util::stream::iter([item]));
            for value in values {
                let value = MetadataValue::try_from(value).unwrap();
                call.metadata_mut().append(name, value.clone());
                stream.metadata_mut().append(name, value);
            }
            let refused = client.cases().submit_events(call).await.unwrap_err();
            check_invalid(&fault, &refused, &[name]);
            let refused = client.cases().submit_stream(stream).await.unwrap_err();
            check_invalid(&fault, &refused, &[name]);
        }
    }
    assert_eq!(client.status().await.head, 0);
    check_nothing_repeated("the log of the server", server.log().as_bytes());
}

#[tokio::test]
async fn a_bad_page_is_refused_with_its_field() {
    let server = Process::start();
    let client = Client::connect(server.address).await.unwrap();
    let mut case_ids = Vec::new();
    for _ in 0..2 {
        let request = submission_of(vec![
            valid_event(E::DetentionAlleged),
            valid_event(E::ProofOfLifeReceived),
        ]);
        case_ids.push(request.changes[0].case_id.clone());
        client.submit(request).await;
    }
    let list = |page_size, page_token: &str, filter| ListCasesRequest {
        page_size,
        page_token: page_token.to_owned(),
        filter,
        as_of: None,
    };
    let history = |case_id: &str, page_size, page_token: &str| v1::GetCaseHistoryRequest {
        case_id: case_id.to_owned(),
        page_size,
        page_token: page_token.to_owned(),
    };
    let detentions = Some(v1::CaseFilter {
        kinds: vec![v1::CaseKind::Detention.into()],
        ..Default::default()
    });
    let mut cases = client.cases();
    let page = cases.list_cases(list(1, "", None)).await.unwrap();
    let token = page.into_inner().next_page_token;
    let page = cases.get_case_history(history(&case_ids[0], 1, "")).await;
    let history_token = page.unwrap().into_inner().next_page_token;
    assert!(!token.is_empty() && !history_token.is_empty());

    let mut altered = token.clone();
    let other = if altered.starts_with('A') { "B" } else { "A" };
    altered.replace_range(0..1, other);
    for (name, request, field) in [
        ("a negative size", list(-1, "", None), "page_size"),
        ("no token", list(1, MARKER, None), "page_token"),
        ("half a token", list(1, &token[..16], None), "page_token"),
        ("an altered token", list(1, &altered, None), "page_token"),
        (
            "a token of another filter",
            list(1, &token, detentions),
            "page_token",
        ),
        (
            "a token of a history",
            list(1, &history_token, None),
            "page_token",
        ),
    ] {
        let refused = cases.list_cases(request).await.unwrap_err();
        check_invalid(name, &refused, &[field]);
    }
    for (name, request, field) in [
        (
            "a negative size",
            history(&case_ids[0], -1, ""),
            "page_size",
        ),
        ("no token", history(&case_ids[0], 1, MARKER), "page_token"),
        (
            "a token of another case",
            history(&case_ids[1], 1, &history_token),
            "page_token",
        ),
        (
            "a token of a list",
            history(&case_ids[0], 1, &token),
            "page_token",
        ),
        ("no UUID", history(MARKER, 1, ""), "case_id"),
        ("no case", history("", 1, ""), "case_id"),
    ] {
        let refused = cases.get_case_history(request).await.unwrap_err();
        check_invalid(name, &refused, &[field]);
    }
    let get = |case_id: &str| v1::GetCaseRequest {
        case_id: case_id.to_owned(),
        as_of: None,
    };
    let refused = cases.get_case(get(MARKER)).await.unwrap_err();
    check_invalid("no UUID", &refused, &["case_id"]);
    let nobody = fresh_uuid().to_string();
    let refused = [
        cases.get_case(get(&nobody)).await.unwrap_err(),
        cases
            .get_case_history(history(&nobody, 1, ""))
            .await
            .unwrap_err(),
    ];
    for refused in refused {
        check_status("no such case", &refused, Code::NotFound, "CASE_NOT_FOUND");
        let details = refused.get_error_details();
        assert_eq!(details.error_info().unwrap().metadata["case_id"], nobody);
    }
    // A size over the limit is taken as the limit (AIP-158).
    let page = cases.list_cases(list(i32::MAX, "", None)).await.unwrap();
    assert_eq!(page.into_inner().cases.len(), 2);
    check_nothing_repeated("the log of the server", server.log().as_bytes());
}

#[tokio::test]
async fn a_bad_filter_start_or_mode_is_refused_with_its_field() {
    let server = Process::start();
    let client = Client::connect(server.address).await.unwrap();
    let text = || vec![MARKER.to_owned()];
    let filter = v1::CaseFilter {
        kinds: vec![1, 99],
        categories: vec![0],
        statuses: vec![-1],
        districts: text(),
        organisations: vec![format!("{MARKER} {MARKER}")],
        case_ids: text(),
        contested: true,
    };
    let fields = [
        "filter.kinds[1]",
        "filter.categories[0]",
        "filter.statuses[0]",
        "filter.districts[0]",
        "filter.organisations[0]",
        "filter.case_ids[0]",
    ];
    let filter = Some(filter);
    let list = ListCasesRequest {
        filter: filter.clone(),
        ..Default::default()
    };
    let refused = client.cases().list_cases(list).await.unwrap_err();
    check_invalid("ListCases", &refused, &fields);
    let summary = v1::GetSummaryRequest {
        filter: filter.clone(),
        as_of: None,
    };
    let refused = client.monitor().get_summary(summary).await.unwrap_err();
    check_invalid("GetSummary", &refused, &fields);
    let watch = WatchStatusRequest {
        filter,
        ..Default::default()
    };
    let refused = client.monitor().watch_status(watch).await.unwrap_err();
    check_invalid("WatchStatus", &refused, &fields);
    let many = v1::CaseFilter {
        case_ids: (0..=limits::FILTER_VALUES_MAX)
            .map(|_| fresh_uuid().to_string())
            .collect(),
        ..Default::default()
    };
    let list = ListCasesRequest {
        filter: Some(many),
        ..Default::default()
    };
    let refused = client.cases().list_cases(list).await.unwrap_err();
    check_status(
        "a long filter",
        &refused,
        Code::InvalidArgument,
        "TOO_LARGE",
    );
    assert_eq!(fields_of(&refused), ["filter.case_ids"]);

    let replay = |start, end, filter| ReplayEventsRequest { start, end, filter };
    let filter = Some(ReplayFilter {
        case_ids: text(),
        kinds: vec![99],
        event_types: vec![3],
        actors: vec![String::new()],
    });
    let time = prost_types::Timestamp {
        seconds: 0,
        nanos: -1,
    };
    let start = |start| Some(start);
    for (name, request, fields) in [
        (
            "a filter",
            replay(None, None, filter),
            &[
                "filter.kinds[0]",
                "filter.event_types[0]",
                "filter.actors[0]",
                "filter.case_ids[0]",
            ][..],
        ),
        (
            "an end that is false",
            replay(
                None,
                Some(replay_events_request::End::WithoutEnd(false)),
                None,
            ),
            &["without_end"],
        ),
        (
            "a time that is none",
            replay(
                start(replay_events_request::Start::FromRecordedAt(time)),
                None,
                None,
            ),
            &["from_recorded_at.nanos"],
        ),
    ] {
        let refused = client.audit().replay_events(request).await.unwrap_err();
        check_invalid(name, &refused, fields);
    }
    let beyond = replay(
        start(replay_events_request::Start::FromPosition(1)),
        None,
        None,
    );
    let refused = client.audit().replay_events(beyond).await.unwrap_err();
    check_status(
        "a replay",
        &refused,
        Code::OutOfRange,
        "POSITION_BEYOND_HEAD",
    );

    let watch = |start, mode| WatchStatusRequest {
        start,
        mode,
        ..Default::default()
    };
    let refused = client
        .monitor()
        .watch_status(watch(None, 3))
        .await
        .unwrap_err();
    check_invalid("a mode", &refused, &["mode"]);
    let no_snapshot = watch(Some(watch_status_request::Start::Snapshot(false)), 0);
    let refused = client
        .monitor()
        .watch_status(no_snapshot)
        .await
        .unwrap_err();
    check_invalid("no snapshot", &refused, &["snapshot"]);
    let beyond = watch(Some(watch_status_request::Start::FromPosition(1)), 0);
    let refused = client.monitor().watch_status(beyond).await.unwrap_err();
    check_status(
        "a watch",
        &refused,
        Code::OutOfRange,
        "POSITION_BEYOND_HEAD",
    );
    check_nothing_repeated("the log of the server", server.log().as_bytes());

    let nothing = raw::outcome(&client, SUBMIT, vec![]).await;
    assert!(nothing.1.is_err(), "a call without its message is refused");
    let nothing = raw::outcome(&client, SUBMIT_STREAM, vec![Bytes::new()]).await;
    let answer = v1::SubmitStreamResponse::decode(nothing.0[0].clone()).unwrap();
    let Some(Outcome::Refused(refusal)) = answer.outcome else {
        panic!("{answer:?}")
    };
    assert_eq!(refusal.field_violations[0].field, "submission");
    let empty = SubmitEventsRequest::default();
    let refused = client.cases().submit_events(empty).await.unwrap_err();
    check_invalid("an empty submission", &refused, &["changes"]);
}
