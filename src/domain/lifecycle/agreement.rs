//! Agreement: a signed statement with clauses. Its clauses count cases that are put under them; no
//! case waits for one, and none for another.

use super::{Allowed, NEW, Outcome, Row, once, rule as row};
use crate::wire::v1::{CaseStatus, EventType as E};
use Allowed::In;
use CaseStatus::{
    AgreementEnded as Ended, AgreementInForce as InForce, AgreementSigned as Signed,
    AgreementSuspended as Suspended,
};
use Outcome::{Stays, To};

pub(super) static STATUSES: [CaseStatus; 4] = [Signed, InForce, Suspended, Ended];

const ANY_OPEN: Allowed = In(&[Signed, InForce, Suspended]);

#[rustfmt::skip] // A table is read by its columns.
pub(super) static TABLE: [Row; 7] = [
    row(E::AgreementSigned, In(&[NEW]), To(Signed), "parties, text reference, clauses (reference, basis)", "GC III 6; GC IV 7"),
    once(row(E::AgreementEnteredIntoForce, In(&[Signed]), To(InForce), "notice reference", "practice")),
    row(E::AgreementSuspended, In(&[InForce]), To(Suspended), "notice reference", "practice"),
    row(E::AgreementResumed, In(&[Suspended]), To(InForce), "notice reference", "practice"),
    once(row(E::AgreementEnded, ANY_OPEN, To(Ended), "mode", "practice")),
    row(E::ClauseAdded, ANY_OPEN, Stays, "clause (reference, basis)", "practice"),
    row(E::ClauseDueDateChanged, ANY_OPEN, Stays, "clause reference", "practice"),
];
