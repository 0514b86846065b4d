//! Detention: prisoners of war, hostages, civilian detainees. One lifecycle; the legal category is
//! an assertion (GC III 4-5).

use super::{Allowed, Guard, NEW, Outcome, Row, once, rule as row};
use crate::wire::v1::{ArrivalDestination, CaseStatus, EventType as E};
use Allowed::{Any, In};
use CaseStatus::{
    DetentionAccommodatedElsewhere as AccommodatedElsewhere, DetentionAcknowledged as Acknowledged,
    DetentionAlleged as Alleged, DetentionDiedInCustody as DiedInCustody,
    DetentionEscaped as Escaped, DetentionHandoverScheduled as HandoverScheduled,
    DetentionInTransfer as InTransfer, DetentionRegistered as Registered,
    DetentionReleasePending as ReleasePending, DetentionReleased as Released,
    DetentionRepatriated as Repatriated, DetentionReturnedToResidence as ReturnedToResidence,
    DetentionUnfounded as Unfounded, DetentionWhereaboutsUnknown as WhereaboutsUnknown,
};
use Outcome::{AsSaid, Contests, Stays, To, ToUnless};

pub(super) static STATUSES: [CaseStatus; 14] = [
    Alleged,
    Acknowledged,
    Registered,
    ReleasePending,
    HandoverScheduled,
    InTransfer,
    Released,
    WhereaboutsUnknown,
    Repatriated,
    ReturnedToResidence,
    AccommodatedElsewhere,
    Escaped,
    DiedInCustody,
    Unfounded,
];

const HELD: Allowed = In(&[Acknowledged, Registered]);

const BEFORE_RELEASE: Allowed = In(&[
    Alleged,
    Acknowledged,
    Registered,
    ReleasePending,
    HandoverScheduled,
    InTransfer,
    WhereaboutsUnknown,
]);

const HELD_AND_LATER: Allowed = In(&[
    Acknowledged,
    Registered,
    ReleasePending,
    HandoverScheduled,
    InTransfer,
    Released,
    WhereaboutsUnknown,
]);

const RELEASED_AND_ENDS: Allowed = In(&[
    Released,
    Repatriated,
    ReturnedToResidence,
    AccommodatedElsewhere,
    Escaped,
    DiedInCustody,
]);

/// Statuses in which a visit changes nothing, since the case is registered or further on. A person
/// whose whereabouts were unknown is found by a visit, so that status is not among them.
const REGISTERED_OR_FURTHER: &[CaseStatus] =
    &[Registered, ReleasePending, HandoverScheduled, InTransfer];

const fn guarded(row: Row, guard: Guard) -> Row {
    Row { guard, ..row }
}

#[rustfmt::skip] // A table is read by its columns.
pub(super) static TABLE: [Row; 25] = [
    row(E::DetentionAlleged, In(&[NEW]), To(Alleged), "category, place or unknown", "CIHL 117, 123"),
    row(E::ProofOfLifeReceived, BEFORE_RELEASE, Stays, "date, medium", "practice"),
    row(E::DetentionAcknowledged, In(&[NEW, Alleged, WhereaboutsUnknown]), To(Acknowledged), "authority, channel", "GC III 70, 122; GC IV 106, 136-138"),
    row(E::DetentionDenied, BEFORE_RELEASE, Contests, "authority", "practice"),
    row(E::VisitedAndRegistered, BEFORE_RELEASE, ToUnless(Registered, REGISTERED_OR_FURTHER), "visiting organisation, place, in_private", "CIHL 124"),
    row(E::LegalCategoryAsserted, Any, Stays, "category, asserter, basis", "GC III 4-5"),
    row(E::PlaceTransferred, HELD, Stays, "from, to", "GC III 46-48, 122"),
    row(E::HospitalAdmitted, HELD, Stays, "place", "GC III 122"),
    row(E::WhereaboutsLost, HELD, To(WhereaboutsUnknown), "last confirmed place", "CIHL 117"),
    row(E::ProceedingsNotified, HELD, Stays, "authority, stage", "GC III 115, 119"),
    guarded(row(E::ProceedingsEnded, HELD, Stays, "authority, outcome", "GC III 115, 119"), Guard::ReleaseHold),
    row(E::ReleaseListed, HELD, To(ReleasePending), "basis, list reference", "GC III 109-118; GC IV 132"),
    row(E::WishesRecorded, HELD_AND_LATER, Stays, "in_private, outcome", "GC III 109; GC IV 45, 135"),
    row(E::HandoverScheduled, In(&[ReleasePending]), To(HandoverScheduled), "operation, date, place", "GC III 118"),
    row(E::HandoverPostponed, In(&[HandoverScheduled, InTransfer]), To(ReleasePending), "reason code", "practice"),
    row(E::PersonNotPresented, In(&[HandoverScheduled, InTransfer]), To(ReleasePending), "reason code", "practice"),
    row(E::HandoverCancelled, In(&[HandoverScheduled, InTransfer]), To(ReleasePending), "reason code", "practice"),
    guarded(row(E::HandoverStarted, In(&[HandoverScheduled]), To(InTransfer), "operation, releasing body, receiving body", "neutral-intermediary practice"), Guard::WishesNotDeclined),
    once(row(E::Released, BEFORE_RELEASE, To(Released), "mode", "CIHL 128")),
    once(row(E::Arrived, In(&[Released, InTransfer]), AsSaid(&[Repatriated, ReturnedToResidence, AccommodatedElsewhere]), "destination, place", "GC III 118; GC IV 134-135")),
    once(row(E::Escaped, BEFORE_RELEASE, To(Escaped), "", "GC III 91-93, 122")),
    once(row(E::DiedInCustody, BEFORE_RELEASE, To(DiedInCustody), "place, certifying body", "GC III 120-121")),
    once(row(E::AllegationDisproved, In(&[Alleged]), To(Unfounded), "evidence reference", "practice")),
    row(E::AttestationIssued, RELEASED_AND_ENDS, Stays, "issuer", "ICRC practice"),
    row(E::FamilyContactRestored, Any, Stays, "channel", "practice"),
];

/// The end status that the destination of an arrival says.
pub(super) fn arrival_status(destination: ArrivalDestination) -> Option<CaseStatus> {
    match destination {
        ArrivalDestination::OwnCountry => Some(Repatriated),
        ArrivalDestination::Residence => Some(ReturnedToResidence),
        ArrivalDestination::Elsewhere => Some(AccommodatedElsewhere),
        ArrivalDestination::Unspecified => None,
    }
}
