//! The truth that answers are held against, made by the tests themselves from a replay of the log,
//! not from what the server says of itself.

use std::collections::HashMap;

use casetrail::wire::v1::{
    self, CaseFilter, Record, ReplayEventsRequest, Standing, StatusChange,
    replay_events_response::Item,
};
use prost::Message;

use crate::harness::Client;

/// Every record of the log up to its head, in order; position is place.
pub async fn records(client: &Client) -> Vec<Record> {
    replayed(client, ReplayEventsRequest::default())
        .await
        .into_iter()
        .enumerate()
        .map(|(place, (position, record))| {
            assert_eq!(position, place as u64, "a replay has no gap");
            record
        })
        .collect()
}

/// What a replay sends until it ends.
pub async fn replayed(client: &Client, request: ReplayEventsRequest) -> Vec<(u64, Record)> {
    let mut replay = client
        .audit()
        .replay_events(request)
        .await
        .unwrap()
        .into_inner();
    let mut records = Vec::new();
    while let Some(answer) = replay.message().await.unwrap() {
        if let Some(Item::Block(block)) = answer.item {
            let block = block.verified().unwrap();
            assert_eq!(answer.next_position, block.end_position());
            for (position, bytes) in block.records() {
                records.push((position, Record::decode(bytes).unwrap()));
            }
        }
    }
    records
}

/// The changes that the records made, as a watcher who wants every one is to be told them: by how
/// each case stood before, kept here, and not by what the record says of it.
pub fn changes(records: &[Record]) -> Vec<StatusChange> {
    let mut standings: HashMap<&str, &Standing> = HashMap::new();
    let mut changes = Vec::new();
    for (position, record) in (0..).zip(records) {
        let standing = record.standing.as_ref().unwrap();
        let before = standings.insert(&record.case_id, standing);
        if before == Some(standing) {
            continue;
        }
        changes.push(StatusChange {
            position,
            case_id: record.case_id.clone(),
            version: record.case_version,
            event_type: record.event_type,
            recorded_at: record.recorded_at,
            standing: Some(standing.clone()),
            previous_standing: before.cloned(),
            skipped: 0,
        });
    }
    changes
}

/// Those of the changes whose case matches before or after.
pub fn matching(changes: &[StatusChange], filter: &CaseFilter) -> Vec<StatusChange> {
    changes
        .iter()
        .filter(|change| {
            [&change.standing, &change.previous_standing]
                .into_iter()
                .flatten()
                .any(|standing| matches(filter, &change.case_id, standing))
        })
        .cloned()
        .collect()
}

/// Whether a case that stands so matches: a second transcription of what the protocol says.
pub fn matches(filter: &CaseFilter, case_id: &str, standing: &Standing) -> bool {
    fn holds<T: PartialEq>(list: &[T], value: &T) -> bool {
        list.is_empty() || list.contains(value)
    }
    let v1::CaseFilter {
        kinds,
        categories,
        statuses,
        districts,
        organisations,
        case_ids,
        contested,
    } = filter;
    holds(kinds, &standing.kind)
        && holds(categories, &standing.category)
        && (holds(statuses, &standing.reported) || holds(statuses, &standing.confirmed))
        && holds(districts, &standing.district)
        && holds(organisations, &standing.organisation)
        && holds(case_ids, &case_id.to_owned())
        && (!contested || standing.contested)
}
