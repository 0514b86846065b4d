//! The history of a case: its records, read from the log at the positions that the case's facts
//! name.

use prost::Message;
use uuid::Uuid;

use super::call::PAGE_BYTES_MAX;
use super::status::Failure;
use crate::domain::CaseState;
use crate::log::{Log, ReadError};
use crate::wire::block::RecordBlock;
use crate::wire::v1::{
    Credibility, GetCaseHistoryResponse, HistoryEntry, Record, Removal, RemovalKind,
    event::Payload, removal::Reason,
};
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
    let (mut block, mut removal_block) = (None, None);
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
        let removal = match case.removed_by(index) {
            Some(remover) => Some(removal(
                remover.position,
                record_at(log, remover.position, &mut removal_block)?,
                case.standing_instead_of(index).map(|fact| fact.event_id),
            )),
            None => None,
        };
        page.entries.push(HistoryEntry {
            position: fact.position,
            record: Some(record),
            credibility_now: credibility_now.unwrap_or(Credibility::Unspecified).into(),
            voided: removal.is_some(),
            removal,
        });
    }
    Ok(page)
}

/// What took an event away, from the record that did.
fn removal(position: u64, record: Record, standing: Option<Uuid>) -> Removal {
    let event = record.event.unwrap_or_default();
    let (kind, reason) = match &event.payload {
        Some(Payload::EventCorrected(event)) => (
            RemovalKind::Corrected,
            Some(Reason::CorrectionReason(event.reason)),
        ),
        Some(Payload::EventRetracted(event)) => (
            RemovalKind::Retracted,
            Some(Reason::RetractionReason(event.reason)),
        ),
        Some(Payload::CaseReopened(event)) => (
            RemovalKind::Reopened,
            Some(Reason::ReopenedReason(event.reason)),
        ),
        _ => (RemovalKind::Unspecified, None),
    };
    Removal {
        kind: kind.into(),
        position,
        event_id: event.event_id,
        recorded_at: record.recorded_at,
        actor: record.actor,
        organisation: record.organisation,
        reason,
        standing_event_id: standing.map(|id| id.to_string()).unwrap_or_default(),
    }
}

/// The record at a position. Its block is kept, since the next record is often in it too.
pub(super) fn record_at(
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
