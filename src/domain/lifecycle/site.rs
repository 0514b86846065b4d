//! Site: a place of recovery, from the report to the last find. A search that finds nothing closes
//! the search, which is this case, and not the allegation, which is another one.

use super::{Allowed, NEW, Outcome, Row, once, rule as row};
use crate::wire::v1::{CaseStatus, EventType as E};
use Allowed::In;
use CaseStatus::{
    SiteAccessGranted as AccessGranted, SiteAccessRequested as AccessRequested,
    SiteCleared as Cleared, SiteExhausted as Exhausted, SiteInRecovery as InRecovery,
    SiteNoRemainsFound as NoRemainsFound, SiteReported as Reported, SiteSurveyed as Surveyed,
    SiteSuspended as Suspended,
};
use Outcome::To;

pub(super) static STATUSES: [CaseStatus; 9] = [
    Reported,
    AccessRequested,
    AccessGranted,
    Cleared,
    Surveyed,
    InRecovery,
    Suspended,
    Exhausted,
    NoRemainsFound,
];

/// Access that is lost once recovery has begun suspends it, and is asked for anew.
const BEFORE_RECOVERY: Allowed = In(&[AccessRequested, AccessGranted, Cleared, Surveyed]);

#[rustfmt::skip] // A table is read by its columns.
pub(super) static TABLE: [Row; 11] = [
    row(E::SiteReported, In(&[NEW]), To(Reported), "site or place", "CIHL 112; AP I 33"),
    row(E::SiteAccessRequested, In(&[Reported, Suspended]), To(AccessRequested), "authority", "AP I 34(2)"),
    row(E::SiteAccessGranted, In(&[Reported, AccessRequested]), To(AccessGranted), "authority", "AP I 34(2)"),
    row(E::SiteAccessRefused, BEFORE_RECOVERY, To(Reported), "reason code", "practice"),
    row(E::SiteCleared, In(&[AccessGranted]), To(Cleared), "clearing body, certificate", "CCW P V 3"),
    row(E::SiteSurveyed, In(&[AccessGranted, Cleared]), To(Surveyed), "surveyor, method", "Minnesota Protocol"),
    row(E::RecoveryStarted, In(&[AccessGranted, Cleared, Surveyed]), To(InRecovery), "recovering team", "CIHL 112"),
    row(E::RecoverySuspended, In(&[InRecovery]), To(Suspended), "reason code", "practice"),
    row(E::RecoveryResumed, In(&[Suspended]), To(InRecovery), "recovering team", "practice"),
    once(row(E::SiteExhausted, In(&[InRecovery]), To(Exhausted), "report reference", "practice")),
    once(row(E::NoRemainsFound, In(&[Surveyed, InRecovery]), To(NoRemainsFound), "report reference", "practice")),
];
