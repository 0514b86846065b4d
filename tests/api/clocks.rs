//! Two clocks: what the service knew when its log ended at a position, held against the records up
//! to there and against a server that was restored from a backup cut there; and what was so on a
//! day, where dates are uncertain.

use std::process::Command;

use casetrail::cli::sample::Sample;
use casetrail::view::Views;
use casetrail::wire::v1::{
    self, AsOf, Case, CaseDifference, CaseFilter, CaseKind, CaseStatus as S, Credibility,
    EventType as E, GetCaseRequest, GetSummaryRequest, GetSummaryResponse, GetSummarySeriesRequest,
    ListCasesRequest, Record, SeriesClock, SubmitEventsRequest, as_of::KnownAt, event::Payload,
};
use tempfile::TempDir;
use tonic::Code;

use crate::harness::{Client, Server};
use crate::reading::counted;
use crate::support::{event_with, replacement, submission_of, valid_event};
use crate::truth;

fn known_at(position: u64) -> Option<AsOf> {
    Some(AsOf {
        known_at: Some(KnownAt::Position(position)),
        ..AsOf::default()
    })
}

fn true_at(day: &str) -> Option<AsOf> {
    Some(AsOf {
        true_at: day.to_owned(),
        ..AsOf::default()
    })
}

/// All cases at a time, by pages: certainly, and possibly where that differs.
async fn listed(
    client: &Client,
    as_of: Option<AsOf>,
    filter: Option<CaseFilter>,
) -> (Vec<Case>, Vec<Case>) {
    let (mut cases, mut possible) = (Vec::new(), Vec::new());
    let mut request = ListCasesRequest {
        page_size: 7,
        as_of,
        filter,
        ..Default::default()
    };
    loop {
        let page = client.cases().list_cases(request.clone()).await;
        let page = page.unwrap().into_inner();
        cases.extend(page.cases);
        possible.extend(page.possible_cases);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            return (cases, possible);
        }
    }
}

async fn summary(client: &Client, as_of: Option<AsOf>) -> GetSummaryResponse {
    let request = GetSummaryRequest {
        filter: None,
        as_of,
    };
    let summary = client.monitor().get_summary(request).await;
    summary.unwrap().into_inner()
}

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

/// The cases that the records before a position add up to.
fn folded(records: &[Record], position: usize) -> Vec<Case> {
    let mut views = Views::default();
    for (position, record) in (0..).zip(&records[..position]) {
        views.fold(position, record).unwrap();
    }
    views.cases().iter().map(|case| case.to_case()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_known_at_every_position_is_what_the_records_before_it_add_up_to() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path()).await;
    server.client.record_as("relief", Sample::new(24, 5)).await;
    let records = truth::records(&server.client).await;
    let mut views = Views::default();
    for position in 0..=records.len() {
        let expected: Vec<_> = views.cases().iter().map(|case| case.to_case()).collect();
        let at = known_at(position as u64);
        let (cases, possible) = listed(&server.client, at.clone(), None).await;
        assert_eq!((&cases, possible.len()), (&expected, 0), "{position}");
        let summary = summary(&server.client, at.clone()).await;
        let contested = |case: &&Case| case.standing.as_ref().unwrap().contested;
        assert_eq!(summary.rows, counted(&expected));
        assert_eq!(summary.cases, expected.len() as u64);
        assert_eq!(
            summary.contested,
            expected.iter().filter(contested).count() as u64
        );
        assert_eq!(summary.position, position as u64);
        let before = position.checked_sub(1).map(|last| &records[last]);
        assert_eq!(
            summary.recorded_at,
            before.and_then(|record| record.recorded_at)
        );
        if let Some(newest) = before {
            let get = GetCaseRequest {
                case_id: newest.case_id.clone(),
                as_of: at,
            };
            let answer = server.client.cases().get_case(get).await;
            let answer = answer.unwrap().into_inner();
            let case = answer.case.unwrap();
            assert!(expected.contains(&case));
            assert_eq!(answer.position, position as u64);
            assert_eq!(case.standing, newest.standing);
        }
        if let Some(record) = records.get(position) {
            views.fold(position as u64, record).unwrap();
        }
    }
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_known_at_a_time_is_what_was_recorded_by_then() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path()).await;
    for submission in Sample::new(8, 3) {
        server.client.submit(submission).await;
    }
    let records = truth::records(&server.client).await;
    let first = records[0].recorded_at.unwrap();
    let earlier = prost_types::Timestamp {
        seconds: first.seconds - 1,
        ..first
    };
    let times = records.iter().map(|record| record.recorded_at.unwrap());
    for time in times.chain([earlier]) {
        let order = |time: prost_types::Timestamp| (time.seconds, time.nanos);
        let by_then = |record: &&Record| order(record.recorded_at.unwrap()) <= order(time);
        let position = records.iter().filter(by_then).count();
        let at = Some(AsOf {
            known_at: Some(KnownAt::RecordedAt(time)),
            ..AsOf::default()
        });
        assert_eq!(
            summary(&server.client, at.clone()).await.position,
            position as u64
        );
        let (cases, _) = listed(&server.client, at, None).await;
        assert_eq!(cases, folded(&records, position));
    }
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_restored_from_a_cut_backup_answers_what_was_known_at_the_cut() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(&folder.path().join("data")).await;
    server.client.record_as("relief", Sample::new(30, 9)).await;
    let records = truth::records(&server.client).await;
    let backup = folder.path().join("backup.ctb");
    let address = format!("http://{}", server.address);
    run(&["backup", backup.to_str().unwrap(), "--server", &address]).await;
    let begins = |at: &usize| records.get(*at).is_none_or(|it| it.submission_index == 0);
    let cuts: Vec<_> = (1..=records.len()).filter(begins).collect();
    for cut in [cuts[0], cuts[cuts.len() / 3], cuts[cuts.len() - 2]] {
        let data = folder.path().join(format!("restored-{cut}"));
        let until = cut.to_string();
        let (backup, to) = (backup.to_str().unwrap(), data.to_str().unwrap());
        run(&["restore", backup, "--data", to, "--until", &until]).await;
        let restored = Server::start(&data).await;
        let at = known_at(cut as u64);
        assert_eq!(
            listed(&server.client, at.clone(), None).await,
            listed(&restored.client, None, None).await
        );
        assert_eq!(
            summary(&server.client, at).await,
            summary(&restored.client, None).await
        );
        restored.end().await;
    }
    server.end().await;
}

/// What the command prints.
async fn run(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_casetrail"));
    command.args(arguments);
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = output.await.unwrap().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A detention that is acknowledged and released: the release in spring, it is not known when.
fn uncertain() -> SubmitEventsRequest {
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
async fn times_that_nobody_can_answer_for_are_refused() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path()).await;
    let client = &server.client;
    client.submit(uncertain()).await;
    let second = uncertain();
    let case_id = second.changes[0].case_id.clone();
    client.submit(second).await;
    let code = |as_of| {
        let request = GetCaseRequest {
            case_id: case_id.clone(),
            as_of,
        };
        async {
            let answer = client.cases().get_case(request).await;
            answer.map_or_else(|status| status.code(), |_| Code::Ok)
        }
    };
    assert_eq!(code(known_at(5)).await, Code::OutOfRange);
    assert_eq!(code(known_at(4)).await, Code::Ok);
    assert_eq!(code(known_at(3)).await, Code::Ok);
    assert_eq!(code(known_at(2)).await, Code::NotFound);
    assert_eq!(code(true_at("2023-02-30")).await, Code::InvalidArgument);
    assert_eq!(code(true_at("2023")).await, Code::InvalidArgument);
    let odd = Some(AsOf {
        known_at: Some(KnownAt::RecordedAt(prost_types::Timestamp {
            seconds: 1,
            nanos: -1,
        })),
        ..AsOf::default()
    });
    assert_eq!(code(odd).await, Code::InvalidArgument);
    // A page belongs to its time.
    let list = |as_of, page_token| ListCasesRequest {
        page_size: 1,
        page_token,
        as_of,
        filter: Some(CaseFilter {
            kinds: vec![CaseKind::Detention.into()],
            ..Default::default()
        }),
    };
    let mut cases = client.cases();
    let page = cases.list_cases(list(known_at(4), String::new()));
    let token = page.await.unwrap().into_inner().next_page_token;
    let other = client.cases().list_cases(list(known_at(3), token)).await;
    assert_eq!(other.unwrap_err().code(), Code::InvalidArgument);
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
