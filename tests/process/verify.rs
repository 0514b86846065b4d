//! Holds what a server has recorded against what was submitted and acknowledged.

use std::collections::{HashMap, HashSet};

use casetrail::view::Views;
use casetrail::wire::v1::{
    RebuildViewsRequest, Record, ReplayEventsRequest, replay_events_response::Item,
};
use prost::Message;

use super::load::{Submitted, as_stored};
use crate::support::server::Client;

/// All records of a server, read by a replay.
pub struct Replayed {
    pub records: Vec<Record>,
    /// The digest of the views that this test folds from the records.
    pub digest: Vec<u8>,
}

/// Replays everything. Every block is checked by its checksum, and positions are gap-free from 0.
pub async fn replay(client: &Client) -> Replayed {
    let request = ReplayEventsRequest::default();
    let answers = client.audit().replay_events(request).await;
    let mut answers = answers.unwrap().into_inner();
    let mut records = Vec::new();
    let mut views = Views::default();
    while let Some(answer) = answers.message().await.unwrap() {
        let Some(Item::Block(block)) = answer.item else {
            continue;
        };
        for (position, bytes) in block.verified().unwrap().records() {
            assert_eq!(position, records.len() as u64, "a gap in the positions");
            let record = Record::decode(bytes).unwrap();
            views.fold(position, &record).unwrap();
            records.push(record);
        }
        assert_eq!(answer.next_position, records.len() as u64);
    }
    Replayed {
        records,
        digest: views.frozen().digest().to_vec(),
    }
}

/// Verifies everything that must hold of a log, whatever happened to its servers, and that nothing
/// acknowledged is lost. Returns the records.
pub async fn verify(client: &Client, submitted: &[Submitted]) -> Vec<Record> {
    let replayed = replay(client).await;
    let records = replayed.records;
    let status = client.status().await;
    assert_eq!(status.head, records.len() as u64);
    assert_eq!(status.view_position, status.head);
    assert_eq!(replayed.digest, status.digest, "the fold of the records");
    let rebuilt = client.admin().rebuild_views(RebuildViewsRequest {}).await;
    let rebuilt = rebuilt.unwrap().into_inner();
    assert!(rebuilt.equal);
    assert_eq!(rebuilt.rebuilt_digest, status.digest, "the rebuilt views");

    verify_order(&records);
    let stored = submissions_of(&records);
    let known: HashMap<_, _> = submitted
        .iter()
        .map(|each| (each.request.request_id.as_str(), each))
        .collect();
    assert_eq!(known.len(), submitted.len());
    for (request_id, positions) in &stored {
        let submitted = known.get(request_id.as_str()).expect("it was submitted");
        verify_submission(&records, positions.0, positions.1, submitted);
    }
    for each in submitted.iter().filter(|each| each.answer.is_some()) {
        let request_id = &each.request.request_id;
        assert!(stored.contains_key(request_id), "{request_id} is lost");
    }
    records
}

/// Times never run backwards, no event is there twice, and versions count from 1 in each case.
fn verify_order(records: &[Record]) {
    let mut event_ids = HashSet::new();
    let mut versions: HashMap<&str, u64> = HashMap::new();
    let mut newest = (0, 0);
    for record in records {
        let time = record.recorded_at.unwrap();
        assert!((time.seconds, time.nanos) >= newest, "time runs backwards");
        newest = (time.seconds, time.nanos);
        let event_id = &record.event.as_ref().unwrap().event_id;
        assert!(
            event_ids.insert(event_id),
            "event {event_id} is there twice"
        );
        let version = versions.entry(&record.case_id).or_default();
        *version += 1;
        assert_eq!(record.case_version, *version, "case {}", record.case_id);
    }
}

/// Where each submission is: its first position and its size. It is whole, in one piece and there
/// once.
fn submissions_of(records: &[Record]) -> HashMap<String, (usize, usize)> {
    let mut submissions = HashMap::new();
    let mut first = 0;
    while first < records.len() {
        let Record {
            request_id,
            submission_size,
            ..
        } = &records[first];
        let size = *submission_size as usize;
        let whole = records.get(first..first + size);
        let whole = whole.unwrap_or_else(|| panic!("the submission at {first} is not whole"));
        for (index, record) in whole.iter().enumerate() {
            assert_eq!(&record.request_id, request_id, "at {}", first + index);
            assert_eq!(record.submission_index as usize, index);
            assert_eq!(record.submission_size as usize, size);
            assert_eq!(record.submission_digest.is_empty(), index > 0);
        }
        let twice = submissions.insert(request_id.clone(), (first, size));
        assert!(twice.is_none(), "{request_id} is stored twice");
        first += size;
    }
    submissions
}

/// The records are exactly the events that were submitted, and the answer tells of them.
fn verify_submission(records: &[Record], first: usize, size: usize, submitted: &Submitted) {
    let events: Vec<_> = submitted
        .request
        .changes
        .iter()
        .flat_map(|change| change.events.iter().map(|event| (&change.case_id, event)))
        .collect();
    assert_eq!(events.len(), size);
    for (record, (case_id, event)) in records[first..].iter().zip(events) {
        assert_eq!(&record.case_id, case_id);
        assert_eq!(record.event, Some(as_stored(event)));
        assert_eq!(record.sealed.len(), event.personal.len());
    }
    let Some(answer) = &submitted.answer else {
        return;
    };
    let mut next = first;
    assert_eq!(answer.results.len(), submitted.request.changes.len());
    for (result, change) in answer.results.iter().zip(&submitted.request.changes) {
        assert_eq!(result.case_id, change.case_id);
        let end = next + change.events.len();
        let positions: Vec<_> = (next as u64..end as u64).collect();
        assert_eq!(result.positions, positions);
        let last = &records[end - 1];
        assert_eq!(result.version, last.case_version);
        assert_eq!(result.standing, last.standing);
        assert_eq!(answer.recorded_at, last.recorded_at);
        next = end;
    }
}
