//! The views against a model, and snapshots of views that go on while they are written.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, RwLock};

use casetrail::domain::CaseState;
use casetrail::view::{Committed, SnapshotFile, Views};
use casetrail::wire::moment::Moment;
use casetrail::wire::outline::RecordOutline;
use casetrail::wire::v1::Record;
use proptest::prelude::*;
use prost::Message;
use uuid::Uuid;

use super::generator::Generator;

fn records(generator: &Generator) -> Vec<Vec<u8>> {
    (0..generator.records())
        .map(|position| {
            let mut bytes = Vec::new();
            generator.record(position, &mut bytes);
            bytes
        })
        .collect()
}

fn fold(views: &mut Views, records: &[Vec<u8>], until: usize) {
    for position in views.position()..until as u64 {
        let outline = RecordOutline::read(&records[position as usize]).unwrap();
        views
            .fold_many(|folding| folding.fold(position, &outline))
            .unwrap();
    }
}

/// Whether the views know exactly what is in the records before their position.
fn know(views: &Views, records: &[Vec<u8>]) {
    let mut events = HashSet::new();
    let mut requests = HashMap::new();
    let mut cases = HashSet::new();
    for (position, record) in (0..views.position()).zip(records) {
        let record = Record::decode(record.as_slice()).unwrap();
        let id = |text: &str| Uuid::try_parse(text).unwrap();
        events.insert(id(&record.event.unwrap().event_id));
        requests.insert(id(&record.request_id), position);
        cases.insert(id(&record.case_id));
    }
    for record in records {
        let record = Record::decode(record.as_slice()).unwrap();
        let id = |text: &str| Uuid::try_parse(text).unwrap();
        let event_id = id(&record.event.unwrap().event_id);
        assert_eq!(views.has_event(event_id), events.contains(&event_id));
        let request_id = id(&record.request_id);
        assert_eq!(
            views.request(request_id),
            requests.get(&request_id).copied()
        );
        let case_id = id(&record.case_id);
        assert_eq!(views.case(case_id).is_some(), cases.contains(&case_id));
        // An identifier of one kind is none of another.
        assert!(!views.has_event(request_id) && views.request(event_id).is_none());
    }
    assert_eq!(views.cases().len(), cases.len());
}

/// Takes the records up to a position in as one commit, as the writer does.
fn install(views: &mut Views, records: &[Vec<u8>], until: usize) {
    let mut committed = Committed {
        position: until as u64,
        ..Committed::default()
    };
    let mut cases: Vec<CaseState> = Vec::new();
    for position in views.position()..until as u64 {
        let record = Record::decode(records[position as usize].as_slice()).unwrap();
        let case_id = Uuid::try_parse(&record.case_id).unwrap();
        let at = cases.iter().position(|case| case.case_id() == case_id);
        let at = at.unwrap_or_else(|| {
            let known = views.case(case_id).map(|case| case.as_ref().clone());
            cases.push(known.unwrap_or_else(|| CaseState::new(case_id)));
            cases.len() - 1
        });
        cases[at].fold(position, &record);
        let request_id = Uuid::try_parse(&record.request_id).unwrap();
        committed.request_ids.insert(request_id, position);
        committed.recorded_at = record.recorded_at.map(Moment::from).unwrap();
    }
    cases.sort_by_key(CaseState::first_position);
    committed.cases = cases.into_iter().map(Arc::new).collect();
    views.install(&committed);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn views_know_what_is_recorded_and_nothing_else(
        together in 1..40_u64,
        steps in prop::collection::vec((any::<bool>(), 1..60_usize), 1..12),
    ) {
        let records = records(&Generator::new(40, together));
        let mut views = Views::default();
        let mut folded = Views::default();
        for (as_commit, count) in steps {
            let until = (views.position() as usize + count).min(records.len());
            if as_commit {
                install(&mut views, &records, until);
            } else {
                fold(&mut views, &records, until);
            }
            fold(&mut folded, &records, until);
            know(&views, &records);
            prop_assert_eq!(views.frozen().digest(), folded.frozen().digest());
        }
    }
}

#[test]
fn a_snapshot_of_views_that_go_on_is_gone_on_with_from_where_it_began() {
    let records = records(&Generator::new(3_000, 2_500));
    let (began, reached) = (12_345, 23_456);
    let mut views = Views::default();
    fold(&mut views, &records, began);
    let digest = views.frozen().digest();
    let views = RwLock::new(views);
    let folder = tempfile::tempdir().unwrap();
    let file = SnapshotFile::in_folder(folder.path().to_owned());
    let written = file.write(&views, |position| {
        assert_eq!(position, began as u64);
        // The cases are taken by now, and the identifiers are not.
        fold(&mut views.write().unwrap(), &records, reached);
        Ok([7; 32])
    });
    assert_eq!(written.unwrap(), began as u64);
    let restored = file.read().unwrap().unwrap();
    assert_eq!(restored.anchor, [7; 32]);
    assert_eq!(restored.reached, reached as u64);
    let mut again = restored.views;
    assert_eq!(again.position(), began as u64);
    assert_eq!(again.frozen().digest(), digest);
    for until in [reached, records.len()] {
        fold(&mut again, &records, until);
        know(&again, &records);
        fold(&mut views.write().unwrap(), &records, until);
        let running = views.read().unwrap().frozen().digest();
        assert_eq!(again.frozen().digest(), running);
    }
    // What was folded twice is not there twice: the next snapshot is as large as one of views that
    // were folded once.
    let size = |views: &RwLock<Views>| {
        file.write(views, |_| Ok([7; 32])).unwrap();
        std::fs::metadata(file.path()).unwrap().len()
    };
    assert_eq!(size(&RwLock::new(again)), size(&views));
}
