//! Inquiry: a tracing request, from the question to its answer. An answer that proves wrong (an
//! identification revoked) reopens the inquiry by CaseReopened, which names the event that ended it.

use super::{Allowed, NEW, Outcome, Row, once, rule as row};
use crate::wire::v1::{CaseStatus, EventType as E};
use Allowed::In;
use CaseStatus::{
    InquiryClosedUnresolved as ClosedUnresolved, InquiryContactRestored as ContactRestored,
    InquiryFateClarified as FateClarified, InquiryOpen as Open,
    InquiryPotentialMatch as PotentialMatch, InquiryTracing as Tracing,
    InquiryVerified as Verified,
};
use Outcome::To;

pub(super) static STATUSES: [CaseStatus; 7] = [
    Open,
    Tracing,
    PotentialMatch,
    Verified,
    ContactRestored,
    FateClarified,
    ClosedUnresolved,
];

const ANY_OPEN: Allowed = In(&[Open, Tracing, PotentialMatch, Verified]);

#[rustfmt::skip] // A table is read by its columns.
pub(super) static TABLE: [Row; 8] = [
    row(E::InquiryOpened, In(&[NEW]), To(Open), "inquirer, last known place or unknown", "AP I 32-33; GC IV 26; CIHL 117"),
    row(E::TracingStarted, In(&[Open]), To(Tracing), "method", "AP I 33"),
    row(E::PotentialMatchFound, In(&[Open, Tracing]), To(PotentialMatch), "candidate case", "practice"),
    row(E::MatchVerified, In(&[PotentialMatch]), To(Verified), "basis", "practice"),
    row(E::MatchRejected, In(&[PotentialMatch, Verified]), To(Tracing), "basis", "practice"),
    once(row(E::InquiryContactRestored, ANY_OPEN, To(ContactRestored), "channel", "GC IV 25-26")),
    once(row(E::FateClarified, ANY_OPEN, To(FateClarified), "outcome, evidence reference", "AP I 32; CIHL 117; ICPPED 24")),
    once(row(E::InquiryClosedUnresolved, ANY_OPEN, To(ClosedUnresolved), "reason", "practice")),
];
