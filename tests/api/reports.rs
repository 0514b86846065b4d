//! What was so on a day, certainly and possibly; what differs between two reports; counts by month;
//! and the commands that tell it.

use casetrail::cli::sample::Sample;
use casetrail::wire::v1::{
    self, AsOf, Case, CaseDifference, CaseFilter, CaseStatus as S, Credibility, EventType as E,
    GetCaseRequest, GetSummaryResponse, GetSummarySeriesRequest, SeriesClock, SubmitEventsRequest,
    as_of::KnownAt, event::Payload,
};
use tempfile::TempDir;
use tonic::Code;

use crate::clocks::{folded, known_at, listed, run, summary, true_at};
use crate::harness::{Client, Server};
use crate::support::{event_with, replacement, submission_of, valid_event};
use crate::truth;

async fn differences(client: &Client, from: Option<AsOf>, to: Option<AsOf>) -> Vec<CaseDifference> {
    let mut all = Vec::new();
    let mut request = v1::CompareCasesRequest {
        from,
        to,
        page_size: 3,
        ..Default::default()
    };
    loop {
        let page = client.cases().compare_cases(request.clone()).await;
        let page = page.unwrap().into_inner();
        all.extend(page.differences);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            return all;
        }
    }
}

/// A detention that is acknowledged and released: the release in spring, it is not known when.
pub fn uncertain() -> SubmitEventsRequest {
    let on = |event_type, occurred: &str| {
        let mut event = valid_event(event_type);
        event.occurred = occurred.to_owned();
        event
    };
    submission_of(vec![
        on(E::DetentionAcknowledged, "2023-02-10"),
        on(E::Released, "2023-03/2023-05"),
    ])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_depends_on_an_uncertain_date_says_what_is_certain_and_what_is_possible() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path()).await;
    let client = &server.client;
    let submission = uncertain();
    let case_id = submission.changes[0].case_id.clone();
    client.submit(submission).await;
    let confirmed = |case: &Case| case.standing.as_ref().unwrap().confirmed();
    for (day, certain, possible) in [
        ("2023-02-09", S::Unspecified, None),
        ("2023-02-10", S::DetentionAcknowledged, None),
        ("2023-02-28", S::DetentionAcknowledged, None),
        (
            "2023-03-01",
            S::DetentionAcknowledged,
            Some(S::DetentionReleased),
        ),
        (
            "2023-05-30",
            S::DetentionAcknowledged,
            Some(S::DetentionReleased),
        ),
        ("2023-05-31", S::DetentionReleased, None),
    ] {
        let get = GetCaseRequest {
            case_id: case_id.clone(),
            as_of: true_at(day),
        };
        let answer = client.cases().get_case(get).await.unwrap().into_inner();
        assert_eq!(confirmed(&answer.case.unwrap()), certain, "{day}");
        assert_eq!(answer.possible_case.as_ref().map(confirmed), possible);
        let (cases, possibly) = listed(client, true_at(day), None).await;
        let there = usize::from(certain != S::Unspecified);
        assert_eq!(cases.len(), there, "{day}");
        assert_eq!(possibly.iter().map(confirmed).next(), possible);
        let counts = summary(client, true_at(day)).await;
        assert_eq!(counts.cases, there as u64);
        assert_eq!(counts.uncertain, u64::from(possible.is_some()));
        let statuses = |rows: &[v1::SummaryRow]| rows.iter().map(|row| row.status()).next();
        assert_eq!(statuses(&counts.possible_rows), possible);
    }
    // A filter takes what is only possibly so.
    let released = CaseFilter {
        statuses: vec![S::DetentionReleased.into()],
        ..Default::default()
    };
    let (cases, _) = listed(client, true_at("2023-04-01"), Some(released)).await;
    assert_eq!(cases.len(), 1);
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recorded_today_about_years_ago_leaves_last_reports_as_they_were() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path()).await;
    let client = &server.client;
    let mut opened = submission_of(vec![valid_event(E::DetentionAlleged)]);
    opened.changes[0].events[0].credibility = Credibility::Likely.into();
    opened.changes[0].events[0].occurred = "2021-01-01".to_owned();
    let case_id = opened.changes[0].case_id.clone();
    client.submit(opened.clone()).await;
    client.submit(uncertain()).await;
    let mut visit = valid_event(E::VisitedAndRegistered);
    visit.occurred = "2022-01-05".to_owned();
    let mut later = submission_of(vec![visit.clone()]);
    later.changes[0].case_id.clone_from(&case_id);
    client.submit(later).await;
    // Two years ago nothing of it was known; by today's knowledge it was so.
    let then = |position: Option<u64>| {
        Some(AsOf {
            known_at: position.map(KnownAt::Position),
            true_at: "2022-06-30".to_owned(),
        })
    };
    for (at, expected) in [
        (then(Some(1)), S::DetentionAlleged),
        (then(None), S::DetentionRegistered),
    ] {
        let (cases, _) = listed(client, at, None).await;
        let standing = cases[0].standing.as_ref().unwrap();
        assert_eq!((cases.len(), standing.confirmed()), (1, expected));
    }
    let changed = differences(client, then(Some(1)), then(None)).await;
    assert_eq!(changed.len(), 1);
    assert_eq!(changed[0].case_id, case_id);
    let events: Vec<_> = changed[0].events.iter().collect();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].event_id, visit.event_id);
    assert_eq!(events[0].event_type(), E::VisitedAndRegistered);
    assert_eq!(events[0].position, 3);
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_difference_of_two_reports_is_that_of_their_lists_with_the_events_between() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path()).await;
    let client = &server.client;
    client.record_as("relief", Sample::new(20, 2)).await;
    let records = truth::records(client).await;
    let head = records.len() as u64;
    for (from, to) in [(0, head), (head / 3, head / 2), (head / 2, head), (7, 7)] {
        let before = folded(&records, from as usize);
        let after = folded(&records, to as usize);
        let standing = |cases: &[Case], id: &str| {
            let case = cases.iter().find(|case| case.case_id == id)?;
            case.standing.clone()
        };
        let expected: Vec<_> = after
            .iter()
            .map(|case| &case.case_id)
            .filter(|id| standing(&before, id) != standing(&after, id))
            .collect();
        let told = differences(client, known_at(from), known_at(to)).await;
        let ids: Vec<_> = told.iter().map(|difference| &difference.case_id).collect();
        assert_eq!(ids, expected);
        for difference in &told {
            let id = &difference.case_id;
            assert_eq!(difference.from_standing, standing(&before, id));
            assert_eq!(difference.to_standing, standing(&after, id));
            let between = (from..).zip(&records[from as usize..to as usize]);
            let between: Vec<_> = between
                .filter(|(_, record)| record.case_id == *id)
                .map(|(at, record)| (at, record.event_type, record.recorded_at))
                .collect();
            let events = difference.events.iter();
            let events: Vec<_> = events
                .map(|event| (event.position, event.event_type, event.recorded_at))
                .collect();
            assert_eq!(events, between);
        }
    }
    let request = v1::CompareCasesRequest {
        from: known_at(5),
        to: known_at(4),
        ..Default::default()
    };
    let refused = client.cases().compare_cases(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_series_is_the_summaries_of_its_months() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path()).await;
    let client = &server.client;
    client.record_as("relief", Sample::new(60, 4)).await;
    // A correction moves an event over the end of a month.
    let submission = uncertain();
    let release = submission.changes[0].events[1].clone();
    let case_id = submission.changes[0].case_id.clone();
    client.submit(submission).await;
    let told = v1::Event {
        occurred: "2023-06-01".to_owned(),
        ..valid_event(E::Released)
    };
    let correction = event_with(Payload::EventCorrected(Box::new(v1::EventCorrected {
        target_event_id: release.event_id,
        replacement: Some(Box::new(replacement(told))),
        reason: v1::CorrectionReason::NewEvidence.into(),
    })));
    let mut correction = submission_of(vec![correction]);
    correction.changes[0].case_id = case_id;
    let uncorrected = client.status().await.head;
    client.submit(correction).await;
    let series = |clock: SeriesClock, as_of, first: &str, last: &str| GetSummarySeriesRequest {
        filter: None,
        first_month: first.to_owned(),
        last_month: last.to_owned(),
        clock: clock.into(),
        as_of,
    };
    for known in [None, Some(KnownAt::Position(uncorrected))] {
        let as_of = Some(AsOf {
            known_at: known,
            ..AsOf::default()
        });
        let request = series(SeriesClock::True, as_of, "2022-12", "2024-03");
        let points = client.monitor().get_summary_series(request).await;
        let points = points.unwrap().into_inner().points;
        assert_eq!(points.len(), 16);
        let ends = [
            "2022-12-31",
            "2023-01-31",
            "2023-02-28",
            "2023-03-31",
            "2023-04-30",
            "2023-05-31",
            "2023-06-30",
            "2023-07-31",
        ];
        for (point, end) in points.iter().zip(ends) {
            assert!(end.starts_with(&point.month), "{}", point.month);
            let at = Some(AsOf {
                known_at: known,
                true_at: end.to_owned(),
            });
            let alone = GetSummaryResponse {
                recorded_at: None,
                ..summary(client, at).await
            };
            assert_eq!(point.summary.as_ref(), Some(&alone), "{end}");
        }
        assert_eq!(points[15].month, "2024-03");
    }
    // Nothing was known before the log began, and all is known at its head.
    let request = series(SeriesClock::Known, None, "2020-01", "2020-02");
    let points = client.monitor().get_summary_series(request).await;
    for point in points.unwrap().into_inner().points {
        assert_eq!(point.summary.unwrap(), GetSummaryResponse::default());
    }
    let now = summary(client, None).await;
    let today = now.recorded_at.unwrap().to_string();
    let request = series(SeriesClock::Known, None, &today[..7], &today[..7]);
    let points = client.monitor().get_summary_series(request).await;
    let points = points.unwrap().into_inner().points;
    assert_eq!(points[0].summary.as_ref().unwrap().rows, now.rows);
    let at = known_at(3);
    for (request, field) in [
        (
            series(SeriesClock::Unspecified, None, "2023-01", "2023-02"),
            "clock",
        ),
        (
            series(SeriesClock::True, None, "2023-02", "2023-01"),
            "last_month",
        ),
        (
            series(SeriesClock::True, None, "2003-01", "2023-01"),
            "last_month",
        ),
        (
            series(SeriesClock::True, None, "2023-13", "2023-01"),
            "first_month",
        ),
        (
            series(
                SeriesClock::True,
                true_at("2023-01-01"),
                "2023-01",
                "2023-02",
            ),
            "true_at",
        ),
        (
            series(SeriesClock::Known, at, "2023-01", "2023-02"),
            "as_of",
        ),
    ] {
        let refused = client.monitor().get_summary_series(request).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{field}");
        assert!(refused.message().contains(field), "{}", refused.message());
    }
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_tells_what_was_known_what_was_so_what_changed_and_what_was_taken_away() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path()).await;
    let address = format!("http://{}", server.address);
    let opened = uncertain();
    let (case, release) = (
        opened.changes[0].case_id.clone(),
        opened.changes[0].events[1].event_id.clone(),
    );
    server.client.submit(opened).await;
    let retraction = event_with(Payload::EventRetracted(v1::EventRetracted {
        target_event_id: release,
        reason: v1::RetractionReason::SourceWithdrew.into(),
    }));
    let mut taken_back = submission_of(vec![retraction]);
    taken_back.changes[0].case_id.clone_from(&case);
    server.client.record_as("relief", [taken_back]).await;
    let told = async |arguments: &[&str]| {
        let mut arguments = arguments.to_vec();
        arguments.extend(["--server", &address]);
        run(&arguments).await
    };

    let now = told(&["get", &case]).await;
    assert!(now.contains("confirmed     Acknowledged"), "{now}");
    let then = told(&["get", &case, "--known-at", "2"]).await;
    assert!(then.contains("confirmed     Released"), "{then}");
    let at = ["--known-at", "2", "--true-at", "2023-04-01"];
    let maybe = told(&[["get", &case].as_slice(), &at].concat()).await;
    assert!(maybe.contains("confirmed     Acknowledged"), "{maybe}");
    assert!(maybe.contains("it possibly stood so:"), "{maybe}");
    assert!(maybe.ends_with("reported      Released\n"), "{maybe}");
    let list = told(&[["list"].as_slice(), &at].concat()).await;
    assert!(
        list.ends_with("Acknowledged; possibly Released\n"),
        "{list}"
    );
    let summary = told(&[["summary"].as_slice(), &at].concat()).await;
    assert!(
        summary.contains("1 cases depend on an uncertain date"),
        "{summary}"
    );
    let history = told(&["history", &case]).await;
    let lines: Vec<_> = history.lines().collect();
    assert!(
        lines[1].ends_with("[retracted at 2 by relief-worker@relief: SourceWithdrew]"),
        "{history}"
    );
    let diff = told(&["diff", "--known-at", "2"]).await;
    assert!(
        diff.contains(&format!("{case}  Released -> Acknowledged\n")),
        "{diff}"
    );
    assert!(diff.contains("EventRetracted"), "{diff}");
    assert!(
        diff.ends_with("1 cases stand otherwise at position 3 than at 2\n"),
        "{diff}"
    );
    let months = [
        "series",
        "--from",
        "2023-03",
        "--to",
        "2023-04",
        "--known-at",
        "2",
    ];
    let series = told(&months).await;
    assert!(
        series.contains("uncertain date: 1 in 2023-03, 1 in 2023-04"),
        "{series}"
    );
    server.end().await;
}
