//! Return: displaced persons going home, one case a household. Returned is not an end: a return
//! must hold. That a return is voluntary only if it is free, informed and expressed is a rule of
//! the payload, and `wire::validate` keeps it.

use super::{Allowed, NEW, Outcome, Row, once, rule as row};
use crate::wire::v1::{CaseStatus, EventType as E, IntentionOption};
use Allowed::In;
use CaseStatus::{
    ReturnDeceased as Deceased, ReturnDisplaced as Displaced, ReturnInTransit as InTransit,
    ReturnIntending as Intending, ReturnLocallyIntegrating as LocallyIntegrating,
    ReturnReDisplaced as ReDisplaced, ReturnRegisteredForReturn as RegisteredForReturn,
    ReturnReturned as Returned, ReturnScheduled as Scheduled,
    ReturnSettledElsewhere as SettledElsewhere, ReturnSolutionAchieved as SolutionAchieved,
    ReturnWithdrawn as Withdrawn,
};
use Outcome::{AsSaid, Stays, To};

pub(super) static STATUSES: [CaseStatus; 12] = [
    Displaced,
    Intending,
    RegisteredForReturn,
    Scheduled,
    InTransit,
    Returned,
    LocallyIntegrating,
    SettledElsewhere,
    SolutionAchieved,
    Withdrawn,
    Deceased,
    ReDisplaced,
];

const ANY_OPEN: Allowed = In(&[
    Displaced,
    Intending,
    RegisteredForReturn,
    Scheduled,
    InTransit,
    Returned,
    LocallyIntegrating,
    SettledElsewhere,
]);

#[rustfmt::skip] // A table is read by its columns.
pub(super) static TABLE: [Row; 19] = [
    row(E::DisplacementRegistered, In(&[NEW]), To(Displaced), "origin, current place, household size", "IRIS"),
    row(E::IntentionRecorded, In(&[Displaced, Intending, LocallyIntegrating, SettledElsewhere]), AsSaid(&[Intending, LocallyIntegrating, SettledElsewhere, Displaced]), "option", "intention surveys"),
    row(E::InformationProvided, In(&[Intending, RegisteredForReturn]), Stays, "place", "IASC informed decision"),
    row(E::GoAndSeeVisitHeld, In(&[Intending, RegisteredForReturn]), Stays, "place", "IASC informed decision"),
    row(E::ConditionsAssessed, ANY_OPEN, Stays, "place, criteria scores", "IASC eight criteria"),
    row(E::VoluntarinessConfirmed, In(&[Intending]), To(RegisteredForReturn), "free, informed, expressed (all three true)", "UNHCR voluntary repatriation"),
    row(E::ReturnScheduled, In(&[RegisteredForReturn]), To(Scheduled), "movement, date", "practice"),
    row(E::ReturnPostponed, In(&[Scheduled]), To(RegisteredForReturn), "reason code", "practice"),
    row(E::ReturnCancelled, In(&[Scheduled]), To(RegisteredForReturn), "reason code", "practice"),
    row(E::Departed, In(&[Scheduled]), To(InTransit), "movement, members", "practice"),
    row(E::TurnedBack, In(&[InTransit]), To(RegisteredForReturn), "place, reason code", "practice"),
    once(row(E::ReturnArrived, In(&[InTransit]), To(Returned), "place, members", "practice")),
    once(row(E::SpontaneousReturn, In(&[Displaced, Intending, RegisteredForReturn, Scheduled]), To(Returned), "place, members", "UNHCR organised / spontaneous")),
    row(E::ReturnMonitored, In(&[Returned]), Stays, "criteria met", "returnee monitoring"),
    once(row(E::ReDisplaced, In(&[Returned, SettledElsewhere]), To(ReDisplaced), "drivers", "practice")),
    once(row(E::SolutionAssessed, In(&[Returned, LocallyIntegrating, SettledElsewhere]), To(SolutionAchieved), "method, criteria", "IASC framework")),
    row(E::HouseholdSplit, ANY_OPEN, Stays, "members", "practice"),
    once(row(E::ReturnWithdrawn, ANY_OPEN, To(Withdrawn), "reason code", "practice")),
    once(row(E::LastMemberDied, ANY_OPEN, To(Deceased), "", "practice")),
];

/// The status that a household's intention says.
pub(super) fn intention_status(option: IntentionOption) -> Option<CaseStatus> {
    match option {
        IntentionOption::Return => Some(Intending),
        IntentionOption::IntegrateLocally => Some(LocallyIntegrating),
        IntentionOption::SettleElsewhere => Some(SettledElsewhere),
        IntentionOption::Undecided => Some(Displaced),
        IntentionOption::Unspecified => None,
    }
}
