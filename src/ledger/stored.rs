//! The stored answer of a submission, made from its records: request identifiers never expire,
//! since they are in the log.

use prost::Message;
use uuid::Uuid;

use super::batch::Known;
use super::error::SubmitError;
use crate::log::{Log, ReadError};
use crate::wire::v1::{CaseChangeResult, Record, SubmitEventsResponse};

/// How many bytes of blocks are read at a time: a submission is seldom more.
const READ_BYTES: usize = 64 * 1024;

/// The answer that a submission got when it was recorded, if its content was the same; none where
/// another submission is recorded at that position, with which the views confuse it.
pub(super) fn answer(
    log: &dyn Log,
    known: &Known,
) -> Result<Option<SubmitEventsResponse>, SubmitError> {
    let Known {
        first_position,
        request_id,
        digest,
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
    if !is_theirs || first.is_none_or(|first| first.submission_digest != digest[..]) {
        return Err(SubmitError::RequestIdReused {
            request_id,
            position: is_theirs.then_some(first_position),
        });
    }
    let mut results: Vec<CaseChangeResult> = Vec::new();
    let mut recorded_at = None;
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
    Ok(Some(SubmitEventsResponse {
        request_id: request_id.to_string(),
        replayed: true,
        recorded_at,
        results,
    }))
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
            digest,
            organisation: None,
        };
        let stored = answer(&log, &known(request_id, [7; 32])).unwrap().unwrap();
        assert_eq!(stored.request_id, request_id.to_string());
        assert!(stored.replayed);
        let reused = answer(&log, &known(request_id, [8; 32]));
        assert!(matches!(reused, Err(SubmitError::RequestIdReused { .. })));
        for digest in [[7; 32], [8; 32]] {
            assert!(answer(&log, &known(other, digest)).unwrap().is_none());
        }
    }
}
