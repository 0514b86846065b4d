//! The lifecycles as documents: the table as text and the diagram as Mermaid, from the same rows
//! that decide.

use std::fmt::Write;

use super::{Allowed, Guard, KINDS, NEW, Outcome, Row, common_table, is_end, statuses, table};
use crate::wire::event_type;
use crate::wire::v1::{CaseKind, CaseStatus, EventType};

/// The name of a kind, in lower case.
pub fn kind_name(kind: CaseKind) -> &'static str {
    match kind {
        CaseKind::Detention => "detention",
        CaseKind::Remains => "remains",
        CaseKind::Return => "return",
        CaseKind::Site => "site",
        CaseKind::Inquiry => "inquiry",
        CaseKind::Agreement => "agreement",
        CaseKind::Consultation => "consultation",
        CaseKind::UserAccount => "user-account",
        CaseKind::Unspecified => "unspecified",
    }
}

/// The kind of a name, as [`kind_name`] gives it.
pub fn kind_named(name: &str) -> Option<CaseKind> {
    KINDS.into_iter().find(|kind| kind_name(*kind) == name)
}

/// The name of an event, for example `DetentionAlleged`.
pub fn event_name(event: EventType) -> &'static str {
    event_type::message_name(event)
}

/// The name of a status without its kind, for example `ReleasePending`.
pub fn status_name(status: CaseStatus) -> &'static str {
    match status {
        NEW => "New",
        CaseStatus::DetentionAlleged => "Alleged",
        CaseStatus::DetentionAcknowledged => "Acknowledged",
        CaseStatus::DetentionRegistered => "Registered",
        CaseStatus::DetentionReleasePending => "ReleasePending",
        CaseStatus::DetentionHandoverScheduled => "HandoverScheduled",
        CaseStatus::DetentionInTransfer => "InTransfer",
        CaseStatus::DetentionReleased => "Released",
        CaseStatus::DetentionWhereaboutsUnknown => "WhereaboutsUnknown",
        CaseStatus::DetentionRepatriated => "Repatriated",
        CaseStatus::DetentionReturnedToResidence => "ReturnedToResidence",
        CaseStatus::DetentionAccommodatedElsewhere => "AccommodatedElsewhere",
        CaseStatus::DetentionEscaped => "Escaped",
        CaseStatus::DetentionDiedInCustody => "DiedInCustody",
        CaseStatus::DetentionUnfounded => "Unfounded",
        CaseStatus::RemainsReported => "Reported",
        CaseStatus::RemainsRecovered => "Recovered",
        CaseStatus::RemainsInExamination => "InExamination",
        CaseStatus::RemainsUnidentified => "Unidentified",
        CaseStatus::RemainsPresumed => "Presumed",
        CaseStatus::RemainsIdentified => "Identified",
        CaseStatus::RemainsReturnedToParty => "ReturnedToParty",
        CaseStatus::RemainsInterredUnidentified => "InterredUnidentified",
        CaseStatus::RemainsHandedOver => "HandedOver",
        CaseStatus::RemainsFinalDisposition => "FinalDisposition",
        CaseStatus::RemainsNonHuman => "NonHuman",
        CaseStatus::RemainsReassociated => "Reassociated",
        CaseStatus::ReturnDisplaced => "Displaced",
        CaseStatus::ReturnIntending => "Intending",
        CaseStatus::ReturnRegisteredForReturn => "RegisteredForReturn",
        CaseStatus::ReturnScheduled => "Scheduled",
        CaseStatus::ReturnInTransit => "InTransit",
        CaseStatus::ReturnReturned => "Returned",
        CaseStatus::ReturnLocallyIntegrating => "LocallyIntegrating",
        CaseStatus::ReturnSettledElsewhere => "SettledElsewhere",
        CaseStatus::ReturnSolutionAchieved => "SolutionAchieved",
        CaseStatus::ReturnWithdrawn => "Withdrawn",
        CaseStatus::ReturnDeceased => "Deceased",
        CaseStatus::ReturnReDisplaced => "ReDisplaced",
        CaseStatus::SiteReported => "Reported",
        CaseStatus::SiteAccessRequested => "AccessRequested",
        CaseStatus::SiteAccessGranted => "AccessGranted",
        CaseStatus::SiteCleared => "Cleared",
        CaseStatus::SiteSurveyed => "Surveyed",
        CaseStatus::SiteInRecovery => "InRecovery",
        CaseStatus::SiteSuspended => "Suspended",
        CaseStatus::SiteExhausted => "Exhausted",
        CaseStatus::SiteNoRemainsFound => "NoRemainsFound",
        CaseStatus::InquiryOpen => "Open",
        CaseStatus::InquiryTracing => "Tracing",
        CaseStatus::InquiryPotentialMatch => "PotentialMatch",
        CaseStatus::InquiryVerified => "Verified",
        CaseStatus::InquiryContactRestored => "ContactRestored",
        CaseStatus::InquiryFateClarified => "FateClarified",
        CaseStatus::InquiryClosedUnresolved => "ClosedUnresolved",
        CaseStatus::AgreementSigned => "Signed",
        CaseStatus::AgreementInForce => "InForce",
        CaseStatus::AgreementSuspended => "Suspended",
        CaseStatus::AgreementEnded => "Ended",
        CaseStatus::ConsultationPlanned => "Planned",
        CaseStatus::ConsultationMoved => "Moved",
        CaseStatus::ConsultationHeld => "Held",
        CaseStatus::ConsultationCancelled => "Cancelled",
        CaseStatus::UserAccountActive => "Active",
        CaseStatus::UserAccountClosed => "Closed",
    }
}

/// The lifecycle of a kind as plain text: the statuses, then a row an event.
pub fn text(kind: CaseKind) -> String {
    let names: Vec<_> = statuses(kind)
        .iter()
        .map(|status| marked(*status))
        .collect();
    let mut out = format!(
        "{}: {}\n* marks an end. What happens once may be told by several confirmed events: all are \
         kept, and those\nthat differ open a dispute.\n\n",
        kind_name(kind),
        names.join(", ")
    );
    let rows: Vec<_> = table(kind)
        .iter()
        .chain(common_table())
        .map(cells)
        .collect();
    let header = ["event", "allowed in", "result", "must", "basis"].map(str::to_owned);
    let mut width = [0; 5];
    for row in std::iter::once(&header).chain(&rows) {
        for (width, cell) in width.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for row in std::iter::once(&header).chain(&rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(width) {
            // Writing to a String does not fail.
            let _ = write!(line, "{cell:width$}  ");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// The lifecycle of a kind as a Mermaid state diagram. Events that leave the status as it is are
/// not drawn.
pub fn mermaid(kind: CaseKind) -> String {
    let mut out = String::from("stateDiagram-v2\n");
    for row in table(kind) {
        let Allowed::In(allowed) = row.allowed else {
            continue;
        };
        for from in allowed {
            for to in targets(row, *from) {
                let source = if *from == NEW {
                    "[*]"
                } else {
                    status_name(*from)
                };
                let event = event_name(row.event);
                let _ = writeln!(out, "    {source} --> {}: {event}", status_name(to));
            }
        }
    }
    for status in statuses(kind).iter().filter(|status| is_end(**status)) {
        let _ = writeln!(out, "    {} --> [*]", status_name(*status));
    }
    out
}

/// The statuses to which a row can move a case that is in `from`.
fn targets(row: &Row, from: CaseStatus) -> Vec<CaseStatus> {
    let to = match row.result {
        Outcome::To(to) => vec![to],
        Outcome::ToUnless(to, further) if !further.contains(&from) => vec![to],
        Outcome::AsSaid(to) => to.to_vec(),
        Outcome::ToUnless(..) | Outcome::Stays | Outcome::Contests => Vec::new(),
    };
    to.into_iter().filter(|to| *to != from).collect()
}

fn cells(row: &Row) -> [String; 5] {
    let mut allowed = match row.allowed {
        Allowed::Any => "any".to_owned(),
        Allowed::In(allowed) => joined(allowed),
    };
    match row.guard {
        Guard::None => {}
        Guard::ReleaseHold => allowed.push_str("; release_hold"),
        Guard::WishesNotDeclined => allowed.push_str("; wishes on record and not declined"),
    }
    let mut result = match row.result {
        Outcome::Stays => String::new(),
        Outcome::To(to) => marked(to),
        Outcome::ToUnless(to, _) => format!("{}, unless further on already", marked(to)),
        Outcome::AsSaid(to) => {
            let names: Vec<_> = to.iter().map(|status| marked(*status)).collect();
            format!("{}, as it says", names.join(" or "))
        }
        Outcome::Contests => "contested".to_owned(),
    };
    if row.once {
        result.push_str("; once");
    }
    [
        event_name(row.event).to_owned(),
        allowed,
        result,
        row.must.to_owned(),
        row.basis.to_owned(),
    ]
}

fn joined(statuses: &[CaseStatus]) -> String {
    statuses
        .iter()
        .map(|status| marked(*status))
        .collect::<Vec<_>>()
        .join(", ")
}

fn marked(status: CaseStatus) -> String {
    match status {
        NEW => "new".to_owned(),
        end if is_end(end) => format!("{}*", status_name(end)),
        open => status_name(open).to_owned(),
    }
}
