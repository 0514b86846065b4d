//! Lists, histories and counts: pages over cases that change meanwhile, what a history says of an
//! event now, counts against a count of the test's own, and reading what one has just written.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use casetrail::cli::sample::Sample;
use casetrail::wire::v1::{
    self, Case, CaseFilter, CaseKind, CaseStatus, Credibility, EventType as E,
    GetCaseHistoryRequest, GetSummaryRequest, HistoryEntry, ListCasesRequest, SummaryRow,
    event::Payload,
};
use tempfile::TempDir;

use crate::harness::{Client, Server};
use crate::support::{event_with, replacement, submission_of, valid_event};
use crate::truth;

fn submission_to(case_id: &str, events: Vec<v1::Event>) -> v1::SubmitEventsRequest {
    let mut submission = submission_of(events);
    submission.changes[0].case_id = case_id.to_owned();
    submission
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_over_changing_cases_tell_none_twice_and_miss_none_that_was_there() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path()).await;
    server.client.record_as("relief", Sample::new(300, 1)).await;
    let detentions = CaseFilter {
        kinds: vec![CaseKind::Detention.into()],
        ..Default::default()
    };
    let alleged = CaseFilter {
        statuses: vec![CaseStatus::DetentionAlleged.into()],
        ..Default::default()
    };
    for (filter, page_size) in [(None, 37), (Some(detentions), 7), (Some(alleged), 3)] {
        let before = server.client.list(filter.clone()).await;
        let mut request = ListCasesRequest {
            page_size,
            filter: filter.clone(),
            ..Default::default()
        };
        let (mut listed, mut pages, mut position): (Vec<Case>, usize, u64) = Default::default();
        loop {
            let page = server.client.cases().list_cases(request.clone()).await;
            let page = page.unwrap().into_inner();
            assert!(page.cases.len() <= page_size as usize);
            assert!(page.position >= position, "positions never go back");
            (position, pages) = (page.position, pages + 1);
            let last = page.next_page_token.is_empty();
            assert!(last || page.cases.len() == page_size as usize);
            listed.extend(page.cases);
            // Meanwhile cases change that were listed and that were not, and new ones open; not
            // without end, since what opens behind the page is listed too.
            if pages < 10 {
                for case in [&listed[0], &before[before.len() - 1]] {
                    let changed = valid_event(E::CaseClosed);
                    let changed = submission_to(&case.case_id, vec![changed]);
                    server.client.cases().submit_events(changed).await.ok();
                }
                let opening = submission_of(vec![valid_event(E::DetentionAlleged)]);
                server.client.submit(opening).await;
            }
            if last {
                break;
            }
            request.page_token = page.next_page_token;
        }
        let ids: HashSet<_> = listed.iter().map(|case| &case.case_id).collect();
        assert_eq!(ids.len(), listed.len(), "none twice");
        assert!(
            before.iter().all(|case| ids.contains(&case.case_id)),
            "none missed"
        );
        assert!(listed.is_sorted_by_key(|case| case.first_position));
        assert!(pages > 5 && listed.len() > before.len());
    }
    server.end().await;
}

/// The whole history of a case, by pages of this size.
async fn history(client: &Client, case_id: &str, page_size: i32) -> Vec<HistoryEntry> {
    let mut request = GetCaseHistoryRequest {
        case_id: case_id.to_owned(),
        page_size,
        ..Default::default()
    };
    let mut entries = Vec::new();
    loop {
        let page = client.cases().get_case_history(request.clone()).await;
        let page = page.unwrap().into_inner();
        entries.extend(page.entries);
        if page.next_page_token.is_empty() {
            return entries;
        }
        request.page_token = page.next_page_token;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_are_the_records_of_the_case_whatever_the_size_of_the_pages() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path()).await;
    server.client.record_as("relief", Sample::new(80, 1)).await;
    let records = truth::records(&server.client).await;
    let mut by_case: BTreeMap<&str, Vec<(u64, &v1::Record)>> = BTreeMap::new();
    for (position, record) in (0..).zip(&records) {
        by_case
            .entry(&record.case_id)
            .or_default()
            .push((position, record));
    }
    let (mut changed, mut voided) = (0, 0);
    for (case_id, expected) in by_case {
        let entries = history(&server.client, case_id, 0).await;
        let told: Vec<_> = entries
            .iter()
            .map(|entry| (entry.position, entry.record.as_ref().unwrap()))
            .collect();
        assert_eq!(told, expected);
        assert_eq!(history(&server.client, case_id, 3).await, entries);
        // What a verification, a reopening, a correction or a retraction names is marked so, and nothing else is.
        let mut credibilities = BTreeMap::new();
        let mut voids = BTreeSet::new();
        for (_, record) in &expected {
            match record.event.as_ref().unwrap().payload.as_ref().unwrap() {
                Payload::VerificationChanged(it) => {
                    credibilities.insert(it.target_event_id.clone(), it.credibility);
                }
                Payload::CaseReopened(it) => {
                    voids.insert(it.closing_event_id.clone());
                }
                Payload::EventCorrected(it) => {
                    voids.insert(it.target_event_id.clone());
                }
                Payload::EventRetracted(it) => {
                    voids.insert(it.target_event_id.clone());
                }
                _ => {}
            }
        }
        for entry in &entries {
            let event_id = &entry
                .record
                .as_ref()
                .unwrap()
                .event
                .as_ref()
                .unwrap()
                .event_id;
            let credibility = credibilities.get(event_id).copied().unwrap_or_default();
            assert_eq!(entry.credibility_now, credibility);
            assert_eq!(entry.voided, voids.contains(event_id));
            changed += u64::from(credibility != 0);
            voided += u64::from(entry.voided);
        }
    }
    assert!(
        changed > 0 && voided > 0,
        "{changed} changed, {voided} voided"
    );
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_tells_what_later_events_made_of_an_event() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path()).await;
    let mut released = valid_event(E::Released);
    released.credibility = Credibility::Possible.into();
    let closing = valid_event(E::CaseClosed);
    let reopening = event_with(Payload::CaseReopened(v1::CaseReopened {
        closing_event_id: closing.event_id.clone(),
        reason: v1::CaseReopenedReason::WrongCase.into(),
    }));
    let verify = |credibility: Credibility| {
        event_with(Payload::VerificationChanged(v1::VerificationChanged {
            target_event_id: released.event_id.clone(),
            credibility: credibility.into(),
        }))
    };
    let events = vec![
        valid_event(E::DetentionAlleged),
        released.clone(),
        closing,
        reopening,
        verify(Credibility::Confirmed),
        verify(Credibility::Unlikely),
    ];
    let submission = submission_of(events);
    let case_id = submission.changes[0].case_id.clone();
    server.client.submit(submission).await;
    let entries = history(&server.client, &case_id, 2).await;
    let unspecified = Credibility::Unspecified;
    let told: Vec<_> = entries
        .iter()
        .map(|entry| (entry.credibility_now(), entry.voided))
        .collect();
    assert_eq!(
        told,
        [
            (unspecified, false),
            (Credibility::Unlikely, false),
            (unspecified, true),
            (unspecified, false),
            (unspecified, false),
            (unspecified, false),
        ]
    );
    // The record itself stays as it was.
    let event = entries[1].record.as_ref().unwrap().event.as_ref().unwrap();
    assert_eq!(*event, released);
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_tells_what_took_an_event_away_why_by_whom_and_what_stands_in_its_place() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path()).await;
    let (alleged, rumour) = (valid_event(E::DetentionAlleged), valid_event(E::Released));
    let correct = |target: &v1::Event, event: v1::Event| {
        event_with(Payload::EventCorrected(Box::new(v1::EventCorrected {
            target_event_id: target.event_id.clone(),
            replacement: Some(Box::new(replacement(event))),
            reason: v1::CorrectionReason::SourceCorrected.into(),
        })))
    };
    let retract = |target: &v1::Event| {
        event_with(Payload::EventRetracted(v1::EventRetracted {
            target_event_id: target.event_id.clone(),
            reason: v1::RetractionReason::SourceWithdrew.into(),
        }))
    };
    let first = correct(&alleged, valid_event(E::DetentionAcknowledged));
    let second = correct(&first, valid_event(E::DetentionAlleged));
    let retraction = retract(&rumour);
    let events = [&alleged, &rumour, &first, &second, &retraction];
    let submission = submission_of(events.into_iter().cloned().collect());
    let case_id = submission.changes[0].case_id.clone();
    server.client.record_as("relief", [submission]).await;
    let entries = history(&server.client, &case_id, 2).await;
    let told: Vec<_> = entries
        .iter()
        .map(|entry| {
            assert_eq!(entry.voided, entry.removal.is_some());
            let removal = entry.removal.as_ref()?;
            let by = entries.iter().find(|by| by.position == removal.position);
            let by = by.unwrap().record.as_ref().unwrap();
            assert_eq!(removal.event_id, by.event.as_ref().unwrap().event_id);
            assert_eq!(removal.actor, by.actor);
            assert_eq!(removal.organisation, "relief");
            assert_eq!(removal.recorded_at, by.recorded_at);
            let standing = &removal.standing_event_id;
            Some((removal.kind(), removal.reason.unwrap(), standing.as_str()))
        })
        .collect();
    let corrected = (
        v1::RemovalKind::Corrected,
        v1::removal::Reason::CorrectionReason(v1::CorrectionReason::SourceCorrected.into()),
        second.event_id.as_str(),
    );
    let retracted = (
        v1::RemovalKind::Retracted,
        v1::removal::Reason::RetractionReason(v1::RetractionReason::SourceWithdrew.into()),
        "",
    );
    assert_eq!(
        told,
        [
            Some(corrected),
            Some(retracted),
            Some(corrected),
            None,
            None
        ]
    );
    server.end().await;
}

/// The counts of these cases, by a count of the test's own.
pub fn counted(cases: &[Case]) -> Vec<SummaryRow> {
    let mut rows: BTreeMap<(i32, i32, String, i32), (u64, u64)> = BTreeMap::new();
    for case in cases {
        let standing = case.standing.as_ref().unwrap();
        let row = |status| {
            let district = standing.district.clone();
            (standing.kind, standing.category, district, status)
        };
        rows.entry(row(standing.reported)).or_default().0 += 1;
        if standing.confirmed != 0 {
            rows.entry(row(standing.confirmed)).or_default().1 += 1;
        }
    }
    rows.into_iter()
        .map(
            |((kind, category, district, status), (reported, confirmed))| SummaryRow {
                kind,
                category,
                district,
                status,
                reported,
                confirmed,
            },
        )
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_summary_counts_what_the_list_lists() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path()).await;
    server.client.record_as("relief", Sample::new(200, 1)).await;
    let records = truth::records(&server.client).await;
    for filter in [
        CaseFilter::default(),
        CaseFilter {
            kinds: vec![CaseKind::Return.into()],
            ..Default::default()
        },
        CaseFilter {
            contested: true,
            ..Default::default()
        },
    ] {
        let cases = server.client.list(Some(filter.clone())).await;
        let request = GetSummaryRequest {
            filter: Some(filter),
            as_of: None,
        };
        let summary = server.client.monitor().get_summary(request).await;
        let summary = summary.unwrap().into_inner();
        assert!(!cases.is_empty());
        assert_eq!(summary.cases, cases.len() as u64);
        let contested = |case: &&Case| case.standing.as_ref().unwrap().contested;
        assert_eq!(
            summary.contested,
            cases.iter().filter(contested).count() as u64
        );
        assert_eq!(summary.rows, counted(&cases));
        assert_eq!(summary.position, records.len() as u64);
        assert_eq!(summary.recorded_at, records.last().unwrap().recorded_at);
    }
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_answered_reads_what_they_wrote_also_over_another_connection() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path()).await;
    let mut writers = Vec::new();
    for _ in 0..4 {
        let writer = Client::connect(server.address).await.unwrap();
        let reader = Client::connect(server.address).await.unwrap();
        writers.push(tokio::spawn(async move {
            for _ in 0..50 {
                let opening = submission_of(vec![valid_event(E::DetentionAlleged)]);
                let case_id = opening.changes[0].case_id.clone();
                for version in 1..=3 {
                    let request = match version {
                        1 => opening.clone(),
                        _ => submission_to(&case_id, vec![valid_event(E::ProofOfLifeReceived)]),
                    };
                    let result = writer.submit(request).await.results.remove(0);
                    assert_eq!(result.version, version);
                    let position = result.positions[0];
                    let get = v1::GetCaseRequest {
                        case_id: case_id.clone(),
                        as_of: None,
                    };
                    let read = reader.cases().get_case(get).await.unwrap().into_inner();
                    let case = read.case.unwrap();
                    assert_eq!((case.version, case.last_position), (version, position));
                    assert_eq!(case.standing, result.standing);
                    assert!(read.position > position);
                    let entries = history(&reader, &case_id, 0).await;
                    assert_eq!(entries.last().unwrap().position, position);
                }
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(server.client.status().await.head, 4 * 50 * 3);
    server.end().await;
}
