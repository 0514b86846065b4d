//! `casetrail history`: what was recorded in a case, in that order.

use clap::Args;

use super::connection::ServerArguments;
use super::failure::Failure;
use super::names;
use super::output::Output;
use crate::wire::event_type;
use crate::wire::v1::{
    CaseReopenedReason, CorrectionReason, Credibility, Event, GetCaseHistoryRequest, HistoryEntry,
    Removal, RetractionReason, event::Payload, removal::Reason,
};

/// The largest page that a server gives.
const PAGE_SIZE: i32 = 1000;

/// Which case.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  casetrail history 018f3a5e-7c1b-7d11-9a41-5be1f0e0c001
  casetrail history 018f3a5e-7c1b-7d11-9a41-5be1f0e0c001 --json | jq .record.event.occurred")]
pub(super) struct HistoryArguments {
    /// The case, a UUID
    #[arg(value_name = "CASE")]
    case_id: String,
    /// One line of canonical protobuf JSON an entry
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

pub(super) async fn run(arguments: &HistoryArguments) -> Result<(), Failure> {
    let connection = arguments.server.connect().await?;
    let mut cases = connection.cases();
    let mut output = Output::stdout();
    let mut page_token = String::new();
    loop {
        let request = GetCaseHistoryRequest {
            case_id: arguments.case_id.clone(),
            page_size: PAGE_SIZE,
            page_token,
        };
        let page = cases.get_case_history(request).await;
        let page = page
            .map_err(|status| connection.failure(&status))?
            .into_inner();
        for entry in &page.entries {
            if arguments.json {
                output.json(entry)?;
            } else {
                output.line(&line(entry))?;
            }
        }
        output.flush()?;
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(());
        }
    }
}

/// What a correction says instead.
fn says(event: &Event) -> Option<String> {
    let Some(Payload::EventCorrected(correction)) = &event.payload else {
        return None;
    };
    let replacement = correction.replacement.as_ref()?;
    let event_type = event_type::of_payload(replacement.payload.as_ref()?);
    Some(format!(
        "  [says {} {}, {}]",
        names::event_type(event_type),
        replacement.occurred,
        names::credibility(replacement.credibility())
    ))
}

/// What took the event away, by whom and why, and what stands in its place.
fn removal(removal: &Removal) -> String {
    let (kind, reason) = match removal.reason {
        Some(Reason::CorrectionReason(reason)) => (
            "corrected",
            CorrectionReason::try_from(reason).map(names::correction_reason),
        ),
        Some(Reason::RetractionReason(reason)) => (
            "retracted",
            RetractionReason::try_from(reason).map(names::retraction_reason),
        ),
        Some(Reason::ReopenedReason(reason)) => (
            "reopened",
            CaseReopenedReason::try_from(reason).map(names::reopened_reason),
        ),
        None => return "  [no longer counts]".to_owned(),
    };
    let instead = if removal.standing_event_id.is_empty() {
        String::new()
    } else {
        format!(", now {}", removal.standing_event_id)
    };
    format!(
        "  [{kind} at {} by {}@{}: {}{instead}]",
        removal.position,
        removal.actor,
        removal.organisation,
        reason.unwrap_or_else(|_| "(unknown)".to_owned()),
    )
}

/// An entry in one line: where, when and by whom it was recorded, what happened and when, on which
/// source, how the case stood afterwards, where that changed, and what took the event away.
fn line(entry: &HistoryEntry) -> String {
    let record = entry.record.clone().unwrap_or_default();
    let event = record.event.clone().unwrap_or_default();
    let mut held_true = names::credibility(event.credibility());
    if entry.credibility_now() != Credibility::Unspecified {
        held_true = format!(
            "{held_true}, now {}",
            names::credibility(entry.credibility_now())
        );
    }
    let version = format!("v{}", record.case_version);
    let opens = record.case_version == 1;
    let changed = opens || record.previous_standing.is_some();
    let standing = record.standing.as_ref().filter(|_| changed);
    let outcome = standing
        .map(|now| format!("-> {}", names::standing(now)))
        .unwrap_or_default();
    let removal = entry.removal.as_ref().map(removal).unwrap_or_default();
    let says = says(&event).unwrap_or_default();
    format!(
        "{:>8}  {}  {version:<5}  {:<25}  {:<26}  {held_true:<10}  {outcome:<26}  {}{says}{removal}",
        entry.position,
        names::time(record.recorded_at.as_ref()),
        event.occurred,
        names::event_type(record.event_type()),
        names::provenance(&record),
    )
}
