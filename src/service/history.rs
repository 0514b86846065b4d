//! The history of a case: its records, read from the log at the positions that the case's facts
//! name.

use prost::Message;

use super::call::PAGE_BYTES_MAX;
use super::status::Failure;
use crate::domain::CaseState;
use crate::log::{Log, ReadError};
use crate::wire::block::RecordBlock;
use crate::wire::v1::{Credibility, GetCaseHistoryResponse, HistoryEntry, Record};
use crate::wire::validate::PageScope;

/// The page of the records of a case from the fact at index `begin` on. It reads the disk.
///
/// # Errors
/// The log can't be read, or its records can't be.
pub(super) fn page(
    log: &dyn Log,
    case: &CaseState,
    begin: u64,
    size: usize,
) -> Result<GetCaseHistoryResponse, Failure> {
    let mut page = GetCaseHistoryResponse::default();
    let mut bytes: usize = 0;
    let mut block = None;
    let begin = u32::try_from(begin).unwrap_or(u32::MAX);
    let skipped = usize::try_from(begin).unwrap_or(usize::MAX);
    for (index, fact) in (begin..).zip(case.facts().iter().skip(skipped)) {
        if page.entries.len() >= size || bytes >= PAGE_BYTES_MAX {
            page.next_page_token = PageScope::of_case(case.case_id()).token(u64::from(index));
            break;
        }
        let record = record_at(log, fact.position, &mut block)?;
        bytes = bytes.saturating_add(record.encoded_len());
        let credibility_now = case.credibility_changed_to(index);
        page.entries.push(HistoryEntry {
            position: fact.position,
            record: Some(record),
            credibility_now: credibility_now.unwrap_or(Credibility::Unspecified).into(),
            voided: case.removed_by(index).is_some(),
        });
    }
    Ok(page)
}

/// The record at a position. Its block is kept, since the next record is often in it too.
fn record_at(
    log: &dyn Log,
    position: u64,
    kept: &mut Option<RecordBlock>,
) -> Result<Record, Failure> {
    let block = match kept.take() {
        Some(block) if (block.first_position()..block.end_position()).contains(&position) => block,
        _ => {
            let blocks = log.read(position, 1)?;
            blocks
                .into_iter()
                .next()
                .ok_or(ReadError::Missing { position })?
        }
    };
    let record = block.records().find(|(each, _)| *each == position);
    *kept = Some(block);
    let (_, record) = record.ok_or(ReadError::Missing { position })?;
    Record::decode(record).map_err(|error| Failure::unreadable_record(position, &error.to_string()))
}
