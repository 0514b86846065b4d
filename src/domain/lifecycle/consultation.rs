//! Consultation: a meeting that a plan of a year foresees between its parties.

use super::{Allowed, NEW, Outcome, Row, once, rule as row};
use crate::wire::v1::{CaseStatus, EventType as E};
use Allowed::In;
use CaseStatus::{
    ConsultationCancelled as Cancelled, ConsultationHeld as Held, ConsultationMoved as Moved,
    ConsultationPlanned as Planned,
};
use Outcome::To;

pub(super) static STATUSES: [CaseStatus; 4] = [Planned, Moved, Held, Cancelled];

const ANY_OPEN: Allowed = In(&[Planned, Moved]);

#[rustfmt::skip] // A table is read by its columns.
pub(super) static TABLE: [Row; 4] = [
    row(E::ConsultationPlanned, In(&[NEW]), To(Planned), "plan year, parties, date", "practice"),
    row(E::ConsultationMoved, ANY_OPEN, To(Moved), "date, reason code", "practice"),
    once(row(E::ConsultationHeld, ANY_OPEN, To(Held), "minutes reference", "practice")),
    once(row(E::ConsultationCancelled, ANY_OPEN, To(Cancelled), "reason code", "practice")),
];
