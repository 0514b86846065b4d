//! What a monitor learns: cases by pseudonyms of its own, and counts in which nobody is singled out
//! (case 20 of the catalogue).

use std::collections::{BTreeMap, BTreeSet};

use casetrail::ledger::Clock;
use casetrail::wire::moment::Moment;
use casetrail::wire::v1::{
    self, EventType as E, GetSummaryRequest, GetSummaryResponse, LegalCategory, Role, SeriesClock,
    StatusChange, WatchStatusRequest, event::Payload, watch_status_request::Start,
    watch_status_response::Item,
};
use tokio::sync::watch;
use tonic::Code;
use tonic_types::StatusExt;
use uuid::Uuid;

use super::world::{Caller, World};
use crate::practice::words::{Telling, an};
use crate::support::fresh_uuid;
use crate::together::{change, submission};

const DAY: i64 = 86_400 * 1_000_000;

/// A clock that stands at noon of a day after 1 June 2024.
fn noon(day: i64) -> Moment {
    Moment(1_717_200_000 * 1_000_000 + day * DAY + DAY / 2)
}

/// A detention in a district.
async fn detained(caller: &Caller, district: &str) -> String {
    let mut alleged = an(E::DetentionAlleged).on("2024-03-01");
    if let Some(Payload::DetentionAlleged(alleged)) = &mut alleged.payload {
        district.clone_into(&mut alleged.place.as_mut().unwrap().district);
    }
    let case_id = fresh_uuid().to_string();
    let opening = submission(vec![change(&case_id, vec![alleged])]);
    caller.submit(opening).await.unwrap();
    case_id
}

async fn summary(caller: &Caller) -> GetSummaryResponse {
    let answer = caller
        .monitor()
        .get_summary(GetSummaryRequest::default())
        .await;
    let answer = answer.unwrap().into_inner();
    if let (Some(at), 1..) = (answer.recorded_at, answer.rounded_to) {
        assert_eq!(
            (at.seconds % 86_400, at.nanos),
            (0, 0),
            "it tells the day alone"
        );
    }
    answer
}

/// The changes, or the cases of the snapshot as if they were changes, until the stream has caught up.
async fn watched(caller: &Caller, request: WatchStatusRequest) -> Vec<StatusChange> {
    let mut answers = caller
        .monitor()
        .watch_status(request)
        .await
        .unwrap()
        .into_inner();
    let mut changes = Vec::new();
    loop {
        match answers.message().await.unwrap().unwrap().item.unwrap() {
            Item::CaseSnapshot(case) => changes.push(StatusChange {
                case_id: case.case_id,
                standing: case.standing,
                ..StatusChange::default()
            }),
            Item::StatusChange(change) => changes.push(change),
            Item::CaughtUp(_) => return changes,
            _ => {}
        }
    }
}

fn from(start: Start) -> WatchStatusRequest {
    WatchStatusRequest {
        start: Some(start),
        ..WatchStatusRequest::default()
    }
}

fn pseudonyms(changes: &[StatusChange]) -> Vec<String> {
    changes
        .iter()
        .map(|change| change.case_id.clone())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_monitor_is_told_cases_by_pseudonyms_that_are_its_own() {
    let world = World::start().await;
    let worker = world.caller("worker-1", Role::CaseWorker, "org-1").await;
    let one = world.caller("monitor-1", Role::Monitor, "press-1").await;
    let other = world.caller("monitor-2", Role::Monitor, "press-2").await;
    let mut cases = Vec::new();
    for _ in 0..3 {
        cases.push(detained(&worker, "XA01").await);
    }
    let visit = submission(vec![change(
        &cases[0],
        vec![an(E::VisitedAndRegistered).on("2024-03-02")],
    )]);
    worker.submit(visit).await.unwrap();
    let told = watched(&one, from(Start::FromPosition(0))).await;
    let names = pseudonyms(&told);
    assert_eq!(names.len(), 4);
    // Stable: the change of a case is told of the case that was opened, also in another stream.
    assert_eq!(names[3], names[0]);
    let again = watched(&one, from(Start::Snapshot(true))).await;
    assert_eq!(pseudonyms(&again), names[..3]);
    // Of its own: nothing in common with another monitor's, nor with the cases themselves.
    let others = pseudonyms(&watched(&other, from(Start::FromPosition(0))).await);
    let all: BTreeSet<_> = [&names[..3], &others[..3], &cases[..]]
        .concat()
        .into_iter()
        .collect();
    assert_eq!(all.len(), 9);
    for change in told.iter().chain(&again) {
        let standing = change.standing.as_ref().unwrap();
        assert_eq!(
            (standing.organisation.as_str(), standing.district.as_str()),
            ("", "")
        );
        assert_eq!(
            Uuid::parse_str(&change.case_id).unwrap().get_version_num(),
            8
        );
    }
    // An account that takes the name of a closed one is told cases by pseudonyms of its own too.
    let close = v1::CloseAccountRequest {
        name: "monitor-2".to_owned(),
    };
    world
        .admin()
        .await
        .admin()
        .close_account(close)
        .await
        .unwrap();
    let later = world.caller("monitor-2", Role::Monitor, "press-3").await;
    let later = pseudonyms(&watched(&later, from(Start::Snapshot(true))).await);
    assert!(later.iter().all(|it| !all.contains(it)));
    // What would find a case out is refused.
    let filters = [
        v1::CaseFilter {
            case_ids: vec![cases[0].clone()],
            ..v1::CaseFilter::default()
        },
        v1::CaseFilter {
            organisations: vec!["org-1".to_owned()],
            ..v1::CaseFilter::default()
        },
        v1::CaseFilter {
            contested: true,
            ..v1::CaseFilter::default()
        },
    ];
    for filter in filters {
        let request = WatchStatusRequest {
            filter: Some(filter.clone()),
            ..WatchStatusRequest::default()
        };
        let status = one.monitor().watch_status(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        let request = GetSummaryRequest {
            filter: Some(filter),
            as_of: None,
        };
        let status = one.monitor().get_summary(request).await.unwrap_err();
        let bad = status.get_details_bad_request().unwrap();
        assert!(bad.field_violations[0].field.starts_with("filter."));
    }
    // Nor does a filter by district find what the district is not told of.
    let by_district = WatchStatusRequest {
        filter: Some(v1::CaseFilter {
            districts: vec!["XA01".to_owned()],
            ..v1::CaseFilter::default()
        }),
        ..from(Start::FromPosition(0))
    };
    assert_eq!(watched(&one, by_district).await, []);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_20_a_monitor_who_subtracts_successive_counts_learns_nothing_of_one_person() {
    let (hands, clock) = watch::channel(noon(0));
    let world = World::by_clock(Clock::set_by_hand(clock)).await;
    let worker = world.caller("worker-1", Role::CaseWorker, "org-1").await;
    let monitor = world.caller("monitor-1", Role::Monitor, "press-1").await;
    // Given a large district and a small one, published on the next day,
    for _ in 0..12 {
        detained(&worker, "XA01").await;
    }
    for _ in 0..3 {
        detained(&worker, "XA02").await;
    }
    assert_eq!(summary(&monitor).await.rows, [], "nothing of today");
    hands.send(noon(1)).unwrap();
    let before = summary(&monitor).await;
    let districts: Vec<_> = before
        .rows
        .iter()
        .map(|row| row.district.as_str())
        .collect();
    assert_eq!(districts, ["XA01"]);
    assert_eq!(
        (before.rows[0].reported, before.cases, before.rounded_to),
        (10, 10, 5)
    );
    // when one person more comes to either, then nothing differs: neither on the same day,
    detained(&worker, "XA01").await;
    let one = detained(&worker, "XA02").await;
    assert_eq!(summary(&monitor).await, before);
    // nor on the next, whatever the monitor subtracts, in whatever filter or series.
    hands.send(noon(2)).unwrap();
    let after = summary(&monitor).await;
    assert_eq!((&after.rows, after.cases), (&before.rows, before.cases));
    let by_district = |district: &str| {
        let mut client = monitor.monitor();
        let filter = v1::CaseFilter {
            districts: vec![district.to_owned()],
            ..v1::CaseFilter::default()
        };
        async move {
            let request = GetSummaryRequest {
                filter: Some(filter),
                as_of: None,
            };
            client.get_summary(request).await.unwrap().into_inner()
        }
    };
    assert_eq!(by_district("XA02").await.cases, 0);
    assert_eq!(by_district("XA01").await.cases, 10);
    for clock in [SeriesClock::True, SeriesClock::Known] {
        let request = v1::GetSummarySeriesRequest {
            first_month: "2024-03".to_owned(),
            last_month: "2024-06".to_owned(),
            clock: clock.into(),
            ..v1::GetSummarySeriesRequest::default()
        };
        let series = monitor.monitor().get_summary_series(request).await.unwrap();
        for point in series.into_inner().points {
            let summary = point.summary.unwrap();
            assert!(summary.rows.iter().all(|row| row.district == "XA01"));
            assert!([0, 10].contains(&summary.cases), "{clock:?}: {summary:?}");
        }
    }
    // Another time, by which two counts could be laid side by side, is not for the asking.
    let request = GetSummaryRequest {
        filter: None,
        as_of: Some(v1::AsOf::default()),
    };
    let status = monitor.monitor().get_summary(request).await.unwrap_err();
    assert_eq!(
        status.get_details_bad_request().unwrap().field_violations[0].field,
        "as_of"
    );
    // The stream names the large district, and not the small one.
    let told = watched(&monitor, from(Start::FromPosition(0))).await;
    let districts: BTreeSet<_> = told
        .iter()
        .map(|change| change.standing.as_ref().unwrap().district.as_str())
        .collect();
    assert_eq!(districts, BTreeSet::from(["", "XA01"]));
    // Who may see it sees it exactly.
    assert_eq!(summary(&worker).await.cases, 17);
    assert_eq!(
        worker.get(&one).await.unwrap().standing.unwrap().district,
        "XA02"
    );
    world.end().await;
}

/// A detention of this category in a district.
async fn detained_as(caller: &Caller, district: &str, category: LegalCategory) -> String {
    let mut alleged = an(E::DetentionAlleged).on("2024-03-01");
    if let Some(Payload::DetentionAlleged(alleged)) = &mut alleged.payload {
        district.clone_into(&mut alleged.place.as_mut().unwrap().district);
        alleged.set_category(category);
    }
    let case_id = fresh_uuid().to_string();
    let opening = submission(vec![change(&case_id, vec![alleged])]);
    caller.submit(opening).await.unwrap();
    case_id
}

/// How many cases of a snapshot are told of each district and category; neither is told of the rest.
fn told_cells(cases: &[StatusChange]) -> BTreeMap<(String, i32), usize> {
    let mut cells = BTreeMap::new();
    for case in cases {
        let standing = case.standing.as_ref().unwrap();
        let cell = (standing.district.clone(), standing.category);
        *cells.entry(cell).or_default() += 1;
    }
    cells
}

fn filtered(filter: v1::CaseFilter) -> WatchStatusRequest {
    WatchStatusRequest {
        filter: Some(filter),
        ..from(Start::Snapshot(true))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_20_what_a_stream_tells_of_a_district_counts_up_in_groups_alone() {
    use LegalCategory::{CivilianInternee, Hostage};
    let (hands, clock) = watch::channel(noon(0));
    let world = World::by_clock(Clock::set_by_hand(clock)).await;
    let worker = world.caller("worker-1", Role::CaseWorker, "org-1").await;
    let monitor = world.caller("monitor-1", Role::Monitor, "press-1").await;
    // Given a district with many of one category and one of another,
    for _ in 0..7 {
        detained_as(&worker, "XA01", CivilianInternee).await;
    }
    let lone = detained_as(&worker, "XA01", Hostage).await;
    // a case that came today is told without either,
    let today = watched(&monitor, from(Start::FromPosition(0))).await;
    let neither = (String::new(), 0);
    assert_eq!(told_cells(&today), BTreeMap::from([(neither.clone(), 8)]));
    // and on the next day in a group alone: the filters find no more than that.
    hands.send(noon(1)).unwrap();
    let group = ("XA01".to_owned(), i32::from(CivilianInternee));
    let cells = BTreeMap::from([(group.clone(), 5), (neither.clone(), 3)]);
    let before = watched(&monitor, from(Start::Snapshot(true))).await;
    assert_eq!(told_cells(&before), cells);
    for category in [Hostage, CivilianInternee] {
        for districts in [vec![], vec!["XA01".to_owned()]] {
            let filter = v1::CaseFilter {
                categories: vec![category.into()],
                districts,
                ..v1::CaseFilter::default()
            };
            let found = watched(&monitor, filtered(filter)).await.len();
            assert_eq!(found, if category == Hostage { 0 } else { 5 });
        }
    }
    // When the lone one is freed and another one comes, then nobody comes to a district, nor leaves
    // one, on that day or the next: neither in the stream nor in a snapshot.
    let acknowledged = submission(vec![change(
        &lone,
        vec![an(E::DetentionAcknowledged).on("2024-03-02")],
    )]);
    worker.submit(acknowledged).await.unwrap();
    detained_as(&worker, "XA01", CivilianInternee).await;
    for day in [1, 2] {
        hands.send(noon(day)).unwrap();
        let after = watched(&monitor, from(Start::Snapshot(true))).await;
        assert_eq!(told_cells(&after)[&group], 5);
        let in_group = |cases: &[StatusChange]| -> BTreeSet<String> {
            let cases = cases.iter();
            let told = cases.filter(|it| it.standing.as_ref().unwrap().district == "XA01");
            told.map(|it| it.case_id.clone()).collect()
        };
        assert_eq!(in_group(&after), in_group(&before));
    }
    let changes = watched(&monitor, from(Start::FromPosition(0))).await;
    for change in &changes {
        // A change tells where a case was no more than where it is, and the day alone.
        if let Some(previous) = &change.previous_standing {
            let standing = change.standing.as_ref().unwrap();
            assert_eq!(previous.district, standing.district);
            assert_eq!(previous.category, standing.category);
        }
        let recorded_at = change.recorded_at.unwrap();
        assert_eq!((recorded_at.seconds % 86_400, recorded_at.nanos), (0, 0));
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_20_overlapping_filters_tell_no_more_than_the_rows_that_they_choose() {
    use LegalCategory::{CivilianInternee, Hostage, PrisonerOfWar};
    let (hands, clock) = watch::channel(noon(0));
    let world = World::by_clock(Clock::set_by_hand(clock)).await;
    let worker = world.caller("worker-1", Role::CaseWorker, "org-1").await;
    let monitor = world.caller("monitor-1", Role::Monitor, "press-1").await;
    // 8 and 7 are 15, and 8 and 2 are 10: sums that would give the parts away.
    let categories = [(PrisonerOfWar, 8), (CivilianInternee, 7), (Hostage, 2)];
    for (category, count) in categories {
        for _ in 0..count {
            detained_as(&worker, "XA01", category).await;
        }
    }
    hands.send(noon(1)).unwrap();
    let whole = summary(&monitor).await;
    assert_eq!((whole.rows.len(), whole.cases), (2, 10));
    for chosen in 1..8_u8 {
        let categories = categories.iter().enumerate();
        let categories: Vec<i32> = categories
            .filter(|(place, _)| chosen & (1 << place) != 0)
            .map(|(_, (category, _))| i32::from(*category))
            .collect();
        let request = GetSummaryRequest {
            filter: Some(v1::CaseFilter {
                categories: categories.clone(),
                ..v1::CaseFilter::default()
            }),
            as_of: None,
        };
        let told = monitor.monitor().get_summary(request).await.unwrap();
        let told = told.into_inner();
        let mut rows = whole.rows.clone();
        rows.retain(|row| categories.contains(&row.category));
        assert_eq!(told.cases, rows.iter().map(|row| row.reported).sum::<u64>());
        assert_eq!(told.rows, rows);
    }
    world.end().await;
}
