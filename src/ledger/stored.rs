//! The stored answer of a submission, made from its records: request identifiers never expire,
//! since they are in the log.

use prost::Message;
use uuid::Uuid;

use super::batch::{Content, Known};
use super::erasure;
use super::error::SubmitError;
use crate::log::{Log, ReadError};
use crate::wire::v1::{CaseChangeResult, Record, SubmitEventsResponse};

/// How many bytes of blocks are read at a time: a submission is seldom more.
const READ_BYTES: usize = 64 * 1024;

/// A submission that is recorded.
pub(super) struct Stored {
    /// The answer that it got when it was recorded.
    pub(super) answer: SubmitEventsResponse,
    /// Subjects whose data it erased.
    pub(super) erased: Vec<Uuid>,
}

/// The recorded submission, if its content was the same; none where another submission is recorded at
/// that position, with which the views confuse it.
///
/// The content of personal values can be compared only while they can be sealed. Where they can't any
/// more, the same events in the same cases are taken for the same submission: an event_id is one
/// event's alone.
pub(super) fn answer(log: &dyn Log, known: &Known) -> Result<Option<Stored>, SubmitError> {
    let Known {
        first_position,
        request_id,
        ref content,
        ref organisation,
    } = *known;
    let records = records(log, first_position).map_err(SubmitError::Unreadable)?;
    let is_other = records
        .first()
        .is_some_and(|(_, first)| Uuid::try_parse(&first.request_id) != Ok(request_id));
    if is_other {
        return Ok(None);
    }
    let first = records.first().map(|(_, first)| first);
    let is_theirs = first.is_some_and(|first| {
        let organisation = organisation.as_ref();
        organisation.is_none_or(|it| *it == first.organisation)
    });
    if !is_theirs || first.is_none_or(|first| !is_same(content, first, &records)) {
        return Err(SubmitError::RequestIdReused {
            request_id,
            position: is_theirs.then_some(first_position),
        });
    }
    let mut results: Vec<CaseChangeResult> = Vec::new();
    let mut recorded_at = None;
    let events = records.iter();
    let events = events.filter_map(|(_, record)| record.event.as_ref());
    let erased = events.filter_map(erasure::subject_of).collect();
    for (position, record) in records {
        recorded_at = record.recorded_at;
        let known = results
            .iter()
            .position(|result| result.case_id == record.case_id);
        let index = known.unwrap_or_else(|| {
            results.push(CaseChangeResult {
                case_id: record.case_id,
                ..Default::default()
            });
            results.len() - 1
        });
        if let Some(result) = results.get_mut(index) {
            result.version = record.case_version;
            result.standing = record.standing;
            result.positions.push(position);
        }
    }
    let answer = SubmitEventsResponse {
        request_id: request_id.to_string(),
        replayed: true,
        recorded_at,
        results,
    };
    Ok(Some(Stored { answer, erased }))
}

/// Whether what was submitted now is what is recorded, as far as it can be told.
fn is_same(content: &Content, first: &Record, records: &[(u64, Record)]) -> bool {
    match content {
        Content::Digest(digest) => first.submission_digest == digest[..],
        Content::Events(events) => {
            let recorded = records.iter().map(|(_, record)| {
                let event = record.event.as_ref();
                let event_id = event.and_then(|event| Uuid::try_parse(&event.event_id).ok());
                (Uuid::try_parse(&record.case_id).ok(), event_id)
            });
            let submitted = events.iter();
            recorded.eq(submitted.map(|(case_id, event_id)| (Some(*case_id), Some(*event_id))))
        }
    }
}

/// The records of the submission that begins at a position.
fn records(log: &dyn Log, first_position: u64) -> Result<Vec<(u64, Record)>, ReadError> {
    let mut records: Vec<(u64, Record)> = Vec::new();
    let mut next = first_position;
    loop {
        for block in log.read(next, READ_BYTES)? {
            for (position, bytes) in block.records().filter(|(position, _)| *position >= next) {
                let record = Record::decode(bytes).map_err(|_| ReadError::Corrupt {
                    position,
                    cause: "the record can't be decoded".to_owned(),
                })?;
                let is_last = record.submission_index.saturating_add(1) >= record.submission_size;
                records.push((position, record));
                if is_last {
                    return Ok(records);
                }
            }
            next = block.end_position();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::log::MemoryLog;
    use crate::wire::block::BlockBuilder;

    #[test]
    fn the_records_of_another_submission_are_nobody_elses_answer() {
        let [request_id, other] = [1, 2].map(Uuid::from_u128);
        let mut builder = BlockBuilder::new();
        let record = Record {
            request_id: request_id.to_string(),
            submission_size: 1,
            submission_digest: vec![7; 32].into(),
            ..Record::default()
        };
        builder.push(&record).unwrap();
        let log = MemoryLog::new();
        log.append(0, &builder.finish(0)).unwrap();

        let known = |request_id, digest| Known {
            first_position: 0,
            request_id,
            content: Content::Digest(digest),
            organisation: None,
        };
        let stored = answer(&log, &known(request_id, [7; 32])).unwrap();
        let stored = stored.unwrap().answer;
        assert_eq!(stored.request_id, request_id.to_string());
        assert!(stored.replayed);
        let reused = answer(&log, &known(request_id, [8; 32]));
        assert!(matches!(reused, Err(SubmitError::RequestIdReused { .. })));
        for digest in [[7; 32], [8; 32]] {
            assert!(answer(&log, &known(other, digest)).unwrap().is_none());
        }
    }
}
