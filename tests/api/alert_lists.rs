//! Lists of alerts: filtered, by pages, as known then, on any day.

use casetrail::wire::day::Day;
use casetrail::wire::v1::{
    self, AlertRule, AsOf, CaseFilter, EventType as E, ListAlertsRequest, event::Payload,
};
use tempfile::TempDir;
use tonic::Code;

use crate::alert_world::{World, alert, day, of_case, on, only, told, watch_from};
use crate::bad_input::check_status;
use crate::support::valid_payload;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_case_that_leaves_the_filter_takes_its_alerts_along() {
    let folder = TempDir::new().unwrap();
    let world = World::on("2024-06-01", folder.path()).await;
    let (case, events) = world.open("2024-01-25", &[E::DetentionAcknowledged]).await;
    let filter = CaseFilter {
        statuses: vec![v1::CaseStatus::DetentionAcknowledged.into()],
        ..Default::default()
    };
    let client = &world.server.client;
    let rules = [AlertRule::NoVisit];
    let mut watch = watch_from(client, None, Some(filter), &rules).await;
    let expected = alert(&case, AlertRule::NoVisit, "2024-04-24", &events[0]);
    assert_eq!(told(&mut watch).await.1, only(&expected));
    world
        .record(&case, "2024-05-31", valid_payload(E::ReleaseListed))
        .await;
    assert_eq!(told(&mut watch).await.0, only(&expected));
    assert_eq!(world.listed_on(AlertRule::NoVisit, "").await, [expected]);
    drop(watch);
    world.server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_come_by_pages_as_known_then_and_on_any_day() {
    let folder = TempDir::new().unwrap();
    let world = World::on("2024-02-01", folder.path()).await;
    for _ in 0..7 {
        world.open("2024-01-01", &[E::DetentionAcknowledged]).await;
    }
    let request = |page_token: String, position: u64, day: &str| ListAlertsRequest {
        page_size: 2,
        page_token,
        rules: vec![AlertRule::NotRegistered.into(), AlertRule::NoVisit.into()],
        as_of: Some(AsOf {
            known_at: Some(v1::as_of::KnownAt::Position(position)),
            ..Default::default()
        }),
        day: day.to_owned(),
        ..Default::default()
    };
    for (position, day, expected) in [
        (7, "2024-01-30", 0),
        (7, "2024-01-31", 7),
        (3, "2024-01-31", 3),
        (3, "2024-03-31", 6),
        (7, "", 7),
    ] {
        let (mut alerts, mut page_token, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let request = request(page_token, position, day);
            let page = world.server.client.monitor().list_alerts(request).await;
            let page = page.unwrap().into_inner();
            assert_eq!(page.point.unwrap().position, position);
            alerts.extend(page.alerts);
            pages += 1;
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(alerts.len(), expected, "{position} {day}");
        assert_eq!(pages, expected.div_ceil(2).max(1));
    }
    let client = world.server.client.monitor();
    let mut unknown = request(String::new(), 7, "");
    unknown.rules.push(999);
    let mut other_list = request(String::new(), 7, "2024-01-31");
    other_list.page_token = {
        let page = client.clone().list_alerts(other_list.clone()).await;
        page.unwrap().into_inner().next_page_token
    };
    other_list.day = "2024-02-01".to_owned();
    let mut true_at = request(String::new(), 7, "");
    true_at.as_of.as_mut().unwrap().true_at = "2024-01-01".to_owned();
    for (name, request) in [
        ("a rule that is none", unknown),
        ("a token of another list", other_list),
        ("no day", request(String::new(), 7, "2024-1-1")),
        ("true at", true_at),
    ] {
        let refused = client.clone().list_alerts(request).await.unwrap_err();
        check_status(name, &refused, Code::InvalidArgument, "INVALID_FIELDS");
    }
    let beyond = client
        .clone()
        .list_alerts(request(String::new(), 8, ""))
        .await;
    let beyond = beyond.unwrap_err();
    check_status("beyond", &beyond, Code::OutOfRange, "POSITION_BEYOND_HEAD");
    world.server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_ends_within_a_case_that_has_more_alerts_than_it_holds() {
    let folder = TempDir::new().unwrap();
    let world = World::on("2024-02-01", folder.path()).await;
    // Given a case with a hundred follow-ups that are overdue, and one before and behind it with one,
    let follow_up = |index: usize| {
        let due = Day(day("2024-01-01").0 + index as i32).to_string();
        let task = v1::FollowUpTask::Visit.into();
        let scheduled = v1::FollowUpScheduled { due, task };
        on("2024-01-01", Payload::FollowUpScheduled(scheduled))
    };
    let mut expected = Vec::new();
    for count in [1, 100, 1] {
        let (case, _) = world.open("2024-01-01", &[E::DetentionAcknowledged]).await;
        let mut submission = of_case(&case, follow_up(0));
        let events = &mut submission.changes[0].events;
        events.extend((1..count).map(follow_up));
        expected.extend(events.iter().map(|event| event.event_id.clone()));
        world.server.client.submit(submission).await;
    }
    // when they are listed by pages of thirty-two, then each page but the last is full, and each alert
    // is there once, in order.
    let (mut found, mut sizes, mut page_token) = (Vec::new(), Vec::new(), String::new());
    loop {
        let request = ListAlertsRequest {
            page_size: 32,
            page_token,
            rules: vec![AlertRule::FollowUpOverdue.into()],
            day: "2025-01-01".to_owned(),
            ..Default::default()
        };
        let page = world.server.client.monitor().list_alerts(request).await;
        let page = page.unwrap().into_inner();
        sizes.push(page.alerts.len());
        found.extend(page.alerts.into_iter().map(|it| it.subject_event_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(sizes, [32, 32, 32, 6]);
    assert_eq!(found, expected);
    world.server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_today_is_by_the_day_that_watchers_are_told() {
    const RULE: AlertRule = AlertRule::NotRegistered;
    let folder = TempDir::new().unwrap();
    let world = World::on("2024-01-10", folder.path()).await;
    let (case, events) = world.open("2024-01-01", &[E::DetentionAcknowledged]).await;
    let expected = alert(&case, RULE, "2024-01-31", &events[0]);
    let mut watch = world.watch(RULE).await;
    assert_eq!(told(&mut watch).await.1, []);
    world.day_is("2024-01-31");
    assert_eq!(told(&mut watch).await.1, only(&expected));
    // A clock that is set back takes no alert away, neither from a watcher nor from a list.
    world.day_is("2024-01-10");
    assert_eq!(world.listed_on(RULE, "").await, only(&expected));
    let mut late = world.watch(RULE).await;
    assert_eq!(told(&mut late).await.1, [expected]);
    drop((watch, late));
    world.server.end().await;
}
