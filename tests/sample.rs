//! The sample: what `casetrail sample` prints is accepted by the domain in the order printed, and
//! shows every event type, for any seed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub
)]

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use casetrail::cli::sample::{COVERING_CASES, Sample};
use casetrail::ledger::{Ledger, Recorder};
use casetrail::log::{Log, MemoryLog};
use casetrail::wire::json::to_json;
use casetrail::wire::v1::{EventType, SubmitEventsRequest};
use casetrail::wire::{event_type, json, validate};

fn events(sample: &[SubmitEventsRequest]) -> impl Iterator<Item = &casetrail::wire::v1::Event> {
    sample
        .iter()
        .flat_map(|submission| &submission.changes)
        .flat_map(|change| &change.events)
}

fn types(sample: &[SubmitEventsRequest]) -> BTreeMap<EventType, usize> {
    let mut types = BTreeMap::new();
    for event in events(sample) {
        *types
            .entry(event_type::of_payload(event.payload.as_ref().unwrap()))
            .or_default() += 1;
    }
    types
}

/// Those of the three main kinds, and those about the record of a case. Cases of the supporting kinds,
/// and what binds cases together, are not in the sample.
fn every_type() -> BTreeSet<EventType> {
    let about_the_record = 101..EventType::NoteRecorded.into();
    about_the_record
        .chain(200..500)
        .filter_map(|number| EventType::try_from(number).ok())
        .collect()
}

/// Submits a sample to a ledger of its own, and returns how many cases are contested at the end.
async fn submit(sample: Vec<SubmitEventsRequest>, seed: u64) -> usize {
    let ledger = Ledger::open(Arc::new(MemoryLog::new()) as Arc<dyn Log>, None).unwrap();
    for (number, request) in sample.into_iter().enumerate() {
        let text = to_json(&request).unwrap();
        let submission = validate::submission(request, ledger.today())
            .unwrap_or_else(|invalid| panic!("seed {seed}, line {number}: {invalid:?}\n{text}"));
        let recorder = Recorder {
            actor: "worker-1".into(),
            organisation: "org-1".into(),
            authority: casetrail::domain::Authority::over_all_cases(),
        };
        if let Err(error) = ledger.try_submit(submission, recorder).await {
            panic!("seed {seed}, line {number}: {error:?}\n{text}");
        }
    }
    let contested = ledger
        .views()
        .cases()
        .iter()
        .filter(|case| case.standing().contested)
        .count();
    ledger.shut_down();
    contested
}

#[tokio::test]
async fn every_submission_is_accepted_in_order() {
    for seed in [1, 2, 3, 41, u64::MAX] {
        let contested = submit(Sample::new(300, seed).collect(), seed).await;
        assert!(
            (10..150).contains(&contested),
            "seed {seed}: {contested} contested"
        );
    }
}

#[tokio::test]
async fn small_samples_are_accepted_too() {
    for cases in 0..COVERING_CASES {
        submit(Sample::new(cases, cases).collect(), cases).await;
    }
}

#[test]
fn every_event_of_the_three_main_kinds_occurs_and_there_are_ten_events_a_case() {
    for seed in 0..40 {
        for cases in [COVERING_CASES, 300] {
            let sample: Vec<_> = Sample::new(cases, seed).collect();
            let types = types(&sample);
            let found: BTreeSet<_> = types.keys().copied().collect();
            assert_eq!(found, every_type(), "seed {seed}, {cases} cases");
            let events: usize = types.values().sum();
            let cases = usize::try_from(cases).unwrap();
            assert!(
                (10 * cases..16 * cases).contains(&events),
                "seed {seed}: {events}"
            );
        }
    }
}

#[test]
fn it_has_as_many_cases_as_asked_for_and_no_identifier_twice() {
    let sample: Vec<_> = Sample::new(500, 9).collect();
    let cases: HashSet<_> = sample
        .iter()
        .flat_map(|s| &s.changes)
        .map(|change| &change.case_id)
        .collect();
    assert_eq!(cases.len(), 500);
    let requests: HashSet<_> = sample.iter().map(|s| &s.request_id).collect();
    assert_eq!(requests.len(), sample.len());
    let event_ids: HashSet<_> = events(&sample).map(|event| &event.event_id).collect();
    assert_eq!(event_ids.len(), events(&sample).count());
}

#[test]
fn the_same_seed_gives_the_same_lines_and_another_one_gives_others() {
    let lines = |seed| Sample::new(100, seed).map(|submission| to_json(&submission).unwrap());
    assert!(lines(5).eq(lines(5)));
    assert!(!lines(5).eq(lines(6)));
}

#[test]
fn a_line_reads_back_as_its_submission() {
    for submission in Sample::new(100, 3) {
        let read: SubmitEventsRequest = json::from_json(&to_json(&submission).unwrap()).unwrap();
        assert_eq!(read, submission);
    }
}

#[test]
fn it_holds_several_scripts_uncertain_dates_and_submissions_of_two_cases() {
    let sample: Vec<_> = Sample::new(300, 1).collect();
    let text: String = sample.iter().map(|it| to_json(it).unwrap()).collect();
    for script in ['A', 'Α', 'А', 'س', '名', 'अ'] {
        assert!(text.contains(script), "{script}");
    }
    let occurred: Vec<_> = events(&sample)
        .map(|event| event.occurred.as_str())
        .collect();
    for mark in ["?", "~", "-XX", "/", "T"] {
        assert!(occurred.iter().any(|date| date.contains(mark)), "{mark}");
    }
    assert!(
        occurred
            .iter()
            .any(|date| date.len() == 7 && date.ends_with("-XX"))
    );
    assert!(
        sample
            .iter()
            .any(|submission| submission.changes.len() == 2)
    );
}
