//! The lifecycles as tables: for each event the statuses that allow it, what it makes of the case,
//! its guard, its mandatory fields and its source in the norms.
//!
//! One file a kind holds its table; nothing else in the crate knows which event may follow which.
//! The decision (`domain::decide`), the fold (`domain::fold`), the documentation
//! and the diagrams ([`document`]) all read the same rows.
//!
//! Conventions of the tables: [`NEW`] stands for a case without a confirmed status. "And later"
//! means the statuses listed from there on, without the ends, unless the row names an end: an end
//! status takes only common events, events that are allowed in any status, and events that name it.

mod agreement;
mod common;
mod consultation;
mod detention;
pub mod document;
mod inquiry;
mod remains;
mod return_home;
mod site;
mod user_account;

use crate::wire::v1::{CaseKind, CaseStatus, EventType, event::Payload};

/// A case without a confirmed status: it does not exist yet, or holds allegations alone.
pub const NEW: CaseStatus = CaseStatus::Unspecified;

/// One row of a lifecycle: the rule of one event.
#[derive(Debug)]
pub struct Row {
    /// The event.
    pub event: EventType,
    /// In what statuses a confirmed event of this type is allowed.
    pub allowed: Allowed,
    /// What it makes of the status.
    pub result: Outcome,
    /// What must hold besides the status.
    pub guard: Guard,
    /// Whether it happens once only, so that a further confirmed event of the type is a second
    /// account of it (see `domain::accounts`).
    pub once: bool,
    /// Its mandatory fields, for the documentation; `wire::validate` demands them.
    pub must: &'static str,
    /// The source of the rule.
    pub basis: &'static str,
}

/// A row without a guard.
const fn rule(
    event: EventType,
    allowed: Allowed,
    result: Outcome,
    must: &'static str,
    basis: &'static str,
) -> Row {
    Row {
        event,
        allowed,
        result,
        guard: Guard::None,
        once: false,
        must,
        basis,
    }
}

/// The row of an event that happens once only.
const fn once(row: Row) -> Row {
    Row { once: true, ..row }
}

impl Row {
    /// The statuses to which the event can bring a case.
    pub fn brings(&self) -> &[CaseStatus] {
        match &self.result {
            Outcome::To(status) | Outcome::ToUnless(status, _) => std::slice::from_ref(status),
            Outcome::AsSaid(statuses) => statuses,
            Outcome::Stays | Outcome::Contests => &[],
        }
    }
}

/// In what statuses an event is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowed {
    /// In every status of an existing case, ends and closed cases included.
    Any,
    /// In these; [`NEW`] among them allows the event to open a case.
    In(&'static [CaseStatus]),
}

impl Allowed {
    /// Whether a confirmed event may be recorded in `status`.
    pub fn contains(self, status: CaseStatus) -> bool {
        match self {
            Self::Any => status != NEW,
            Self::In(statuses) => statuses.contains(&status),
        }
    }
}

/// What an event makes of the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It leaves the status as it is.
    Stays,
    /// It moves the case to this status.
    To(CaseStatus),
    /// It moves the case to the first status, unless the case is in one of those listed, which are
    /// further on.
    ToUnless(CaseStatus, &'static [CaseStatus]),
    /// It moves the case to the one of these that its payload says.
    AsSaid(&'static [CaseStatus]),
    /// It leaves the status as it is and opens a dispute.
    Contests,
}

/// What must hold besides the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// Nothing.
    None,
    /// Judicial proceedings are notified and not ended.
    ReleaseHold,
    /// The person's wishes are on record and not a refusal (GC III 109).
    WishesNotDeclined,
}

/// The kinds of case, in the order in which they are documented.
pub const KINDS: [CaseKind; 8] = [
    CaseKind::Detention,
    CaseKind::Remains,
    CaseKind::Return,
    CaseKind::Site,
    CaseKind::Inquiry,
    CaseKind::Agreement,
    CaseKind::Consultation,
    CaseKind::UserAccount,
];

/// The lifecycle of a kind, row by row; empty for an unspecified kind.
pub fn table(kind: CaseKind) -> &'static [Row] {
    match kind {
        CaseKind::Detention => &detention::TABLE,
        CaseKind::Remains => &remains::TABLE,
        CaseKind::Return => &return_home::TABLE,
        CaseKind::Site => &site::TABLE,
        CaseKind::Inquiry => &inquiry::TABLE,
        CaseKind::Agreement => &agreement::TABLE,
        CaseKind::Consultation => &consultation::TABLE,
        CaseKind::UserAccount => &user_account::TABLE,
        CaseKind::Unspecified => &[],
    }
}

/// The common events, for every kind.
pub fn common_table() -> &'static [Row] {
    &common::TABLE
}

/// The statuses of a kind in the order of the lifecycle, ends last.
pub fn statuses(kind: CaseKind) -> &'static [CaseStatus] {
    match kind {
        CaseKind::Detention => &detention::STATUSES,
        CaseKind::Remains => &remains::STATUSES,
        CaseKind::Return => &return_home::STATUSES,
        CaseKind::Site => &site::STATUSES,
        CaseKind::Inquiry => &inquiry::STATUSES,
        CaseKind::Agreement => &agreement::STATUSES,
        CaseKind::Consultation => &consultation::STATUSES,
        CaseKind::UserAccount => &user_account::STATUSES,
        CaseKind::Unspecified => &[],
    }
}

/// The statuses of a kind without its ends.
pub fn open_statuses(kind: CaseKind) -> &'static [CaseStatus] {
    let all = statuses(kind);
    let ends_from = all.partition_point(|status| !is_end(*status));
    all.split_at(ends_from).0
}

/// Whether a status is an end.
pub fn is_end(status: CaseStatus) -> bool {
    // The protocol numbers the ends of each kind from 51 of its hundred on.
    status as i32 % 100 > 50
}

/// The row of an event; none for a type that this version does not know.
///
/// The number of an event type is that of its payload's field, counted from 1 within the hundred of
/// its kind, and the tables list the events in that order (a test holds them to it).
pub fn row(event: EventType) -> Option<&'static Row> {
    let number = event as i32;
    let index = usize::try_from(number % 100).ok()?.checked_sub(1)?;
    let rows = if number < 200 {
        common_table()
    } else {
        table(kind_of(event)?)
    };
    rows.get(index)
}

/// The kind of case that an event belongs to; none for common and unknown events.
pub fn kind_of(event: EventType) -> Option<CaseKind> {
    match event as i32 / 100 {
        2 => Some(CaseKind::Detention),
        3 => Some(CaseKind::Remains),
        4 => Some(CaseKind::Return),
        5 => Some(CaseKind::Site),
        6 => Some(CaseKind::Inquiry),
        7 => Some(CaseKind::Agreement),
        8 => Some(CaseKind::Consultation),
        9 => Some(CaseKind::UserAccount),
        _ => None,
    }
}

/// Whether an event is one of the common ones.
pub fn is_common(event: EventType) -> bool {
    event as i32 / 100 == 1
}

/// The status that an event claims by its row and payload, where it claims one.
pub fn claimed_status(row: &Row, payload: Option<&Payload>) -> Option<CaseStatus> {
    match row.result {
        Outcome::To(status) | Outcome::ToUnless(status, _) => Some(status),
        Outcome::AsSaid(_) => payload.and_then(said_status),
        Outcome::Stays | Outcome::Contests => None,
    }
}

/// Whether an event is an allegation by nature: where a case has no confirmed status yet, it sets
/// both statuses, whatever its credibility.
pub fn is_allegation_by_nature(event: EventType) -> bool {
    matches!(
        event,
        EventType::DetentionAlleged | EventType::RemainsReported | EventType::SiteReported
    )
}

fn said_status(payload: &Payload) -> Option<CaseStatus> {
    match payload {
        Payload::Arrived(arrived) => detention::arrival_status(arrived.destination()),
        Payload::IntentionRecorded(intention) => return_home::intention_status(intention.option()),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_event_type_stands_at_its_number() {
        for kind in KINDS {
            for row in table(kind) {
                assert!(
                    std::ptr::eq(super::row(row.event).unwrap(), row),
                    "{:?}",
                    row.event
                );
                assert_eq!(kind_of(row.event), Some(kind));
            }
        }
        for row in common_table() {
            assert!(
                std::ptr::eq(super::row(row.event).unwrap(), row),
                "{:?}",
                row.event
            );
            assert!(is_common(row.event));
        }
    }

    #[test]
    fn every_event_type_of_the_protocol_has_a_row() {
        let known = (100..1_000).filter_map(|number| EventType::try_from(number).ok());
        for event in known {
            assert!(row(event).is_some(), "{event:?}");
        }
    }

    #[test]
    fn rows_name_statuses_of_their_own_kind_only() {
        for kind in KINDS {
            for row in table(kind) {
                if let Allowed::In(allowed) = row.allowed {
                    assert!(
                        allowed
                            .iter()
                            .all(|s| *s == NEW || statuses(kind).contains(s)),
                        "{:?}",
                        row.event
                    );
                }
            }
        }
    }
}
