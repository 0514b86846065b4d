//! Remains: recovery, identification, return. Keyed by recovery label (a body or a part), never by
//! a person. That visual recognition alone never identifies is a rule of the payload, and
//! `wire::validate` keeps it.

use super::{Allowed, NEW, Outcome, Row, once, rule as row};
use crate::wire::v1::{CaseStatus, EventType as E};
use Allowed::In;
use CaseStatus::{
    RemainsFinalDisposition as FinalDisposition, RemainsHandedOver as HandedOver,
    RemainsIdentified as Identified, RemainsInExamination as InExamination,
    RemainsInterredUnidentified as InterredUnidentified, RemainsNonHuman as NonHuman,
    RemainsPresumed as Presumed, RemainsReassociated as Reassociated,
    RemainsRecovered as Recovered, RemainsReported as Reported,
    RemainsReturnedToParty as ReturnedToParty, RemainsUnidentified as Unidentified,
};
use Outcome::{Stays, To};

pub(super) static STATUSES: [CaseStatus; 12] = [
    Reported,
    Recovered,
    InExamination,
    Unidentified,
    Presumed,
    Identified,
    ReturnedToParty,
    InterredUnidentified,
    HandedOver,
    FinalDisposition,
    NonHuman,
    Reassociated,
];

const RECOVERED_AND_LATER: Allowed = In(&[
    Recovered,
    InExamination,
    Unidentified,
    Presumed,
    Identified,
    ReturnedToParty,
    InterredUnidentified,
]);

const IDENTIFIED_AND_LATER: Allowed = In(&[Identified, ReturnedToParty, InterredUnidentified]);

const IDENTIFIED_AND_LATER_WITH_ENDS: Allowed = In(&[
    Identified,
    ReturnedToParty,
    InterredUnidentified,
    HandedOver,
    FinalDisposition,
    NonHuman,
    Reassociated,
]);

#[rustfmt::skip] // A table is read by its columns.
pub(super) static TABLE: [Row; 20] = [
    row(E::RemainsReported, In(&[NEW]), To(Reported), "site or place", "CIHL 112; AP I 33"),
    once(row(E::RemainsRecovered, In(&[NEW, Reported]), To(Recovered), "label, site, recovering team, completeness", "AP I 34")),
    row(E::CustodyTransferred, RECOVERED_AND_LATER, Stays, "from, to, seal, receipt", "INTERPOL DVI"),
    row(E::ExaminationStarted, In(&[Recovered, Unidentified, InterredUnidentified]), To(InExamination), "examiner", "Minnesota Protocol"),
    row(E::PostMortemCompleted, In(&[Recovered, InExamination]), To(Unidentified), "examiner, form reference, minimum number of individuals", "INTERPOL PM form"),
    once(row(E::FoundNonHuman, In(&[Recovered, InExamination]), To(NonHuman), "examiner", "practice")),
    row(E::SampleTaken, RECOVERED_AND_LATER, Stays, "barcode", "ICMP practice"),
    row(E::SampleResultReceived, RECOVERED_AND_LATER, Stays, "barcode, result", "ICMP practice"),
    row(E::MatchHypothesised, In(&[Unidentified]), To(Presumed), "candidate case, method", "practice"),
    row(E::MatchExcluded, In(&[Presumed]), To(Unidentified), "method", "practice"),
    once(row(E::IdentificationEstablished, In(&[Unidentified, Presumed]), To(Identified), "authority, methods, report reference", "INTERPOL DVI phase 4")),
    row(E::IdentificationRevoked, IDENTIFIED_AND_LATER_WITH_ENDS, To(Unidentified), "authority, reason, evidence reference", "practice"),
    row(E::RemainsSplit, RECOVERED_AND_LATER, Stays, "labels, basis", "commingling practice"),
    once(row(E::RemainsReassociated, RECOVERED_AND_LATER, To(Reassociated), "into which case, basis", "commingling practice")),
    row(E::FamilyInformed, IDENTIFIED_AND_LATER, Stays, "date", "CIHL 117"),
    row(E::FamilyWishesRecorded, IDENTIFIED_AND_LATER, Stays, "wish on later finds", "CIHL 117"),
    row(E::ReturnedToParty, RECOVERED_AND_LATER, To(ReturnedToParty), "receiving body, receipt", "CIHL 114; AP I 34(2)"),
    once(row(E::HandedOverToFamily, In(&[Identified, ReturnedToParty]), To(HandedOver), "receipt", "CIHL 114")),
    row(E::BuriedUnidentified, In(&[Unidentified, Presumed]), To(InterredUnidentified), "grave reference, marker", "CIHL 115-116"),
    once(row(E::FinalDispositionRecorded, In(&[Identified, ReturnedToParty, HandedOver]), To(FinalDisposition), "grave or place reference", "CIHL 115-116")),
];
