//! The second table of roles, tried: which role sees which kind, opens which class of personal data, and
//! records which event, confirmed or alleged, in cases of its own organisation and in those of others.

use std::collections::BTreeSet;

use casetrail::access::table::{self, ROLES};
use casetrail::domain::TwoPersons;
use casetrail::wire::event_type;
use casetrail::wire::v1::{
    CaseKind, Credibility, Event, EventType as E, PersonalClass as Class, Role, SubmitEventsRequest,
};
use tonic::Code;

use super::personal::{personal, value};
use super::referral::of_referral;
use super::scope::{offered_to, opened, record};
use super::world::{Caller, World, reason};
use crate::practice::words::{an, clause, signed};
use crate::support::fresh_uuid;
use crate::together::{change, in_both, submission};

/// Which events are recorded: a letter for a case worker, a supervisor and a forensic account, each of
/// the own organisation, then for the organisation that accepted a referral and for that to which one is
/// offered, as far as the role lets: y for recorded, a as an allegation alone, - for neither.
#[rustfmt::skip] // A table is read by its columns.
const EXPECTED: &[(&str, &[E])] = &[
    ("-y---", &[
        E::CaseClosed, E::CaseReopened, E::EventRetracted, E::CasesMerged, E::CasesUnmerged,
        E::ErasureExecuted, E::ErasureRefused,
    ]),
    ("yy---", &[
        E::ClosureProposed, E::ReferralOffered, E::ReferralRevoked, E::CaseTransferred,
        E::ConsentRecorded, E::ConsentWithdrawn, E::CaseCovered, E::CaseUncovered,
        E::ErasureRequested,
    ]),
    ("yy-yy", &[
        E::ReferralAccepted, E::ReferralRejected,
    ]),
    ("yyyy-", &[
        E::VerificationChanged,
    ]),
    ("--yy-", &[
        E::ExaminationStarted, E::PostMortemCompleted, E::FoundNonHuman, E::SampleTaken,
        E::SampleResultReceived, E::MatchHypothesised, E::MatchExcluded,
        E::IdentificationEstablished, E::IdentificationRevoked,
    ]),
    ("ay-a-", &[
        E::DiedInCustody, E::LastMemberDied,
    ]),
    ("-----", &[
        E::UserAccountCreated, E::TokenIssued, E::CertificateEnrolled, E::GrantRevoked,
        E::UserAccountClosed, E::UnsealingGranted,
    ]),
    ("yy-y-", &[
        E::EventDisputed, E::DisputeResolved, E::EventCorrected, E::NoteRecorded, E::CasesLinked,
        E::CasesUnlinked, E::DuplicateSuspected, E::NotADuplicate, E::ReferralCompleted,
        E::AccessRequested, E::AccessGranted, E::AccessDenied, E::FollowUpScheduled,
        E::FollowUpRescheduled, E::FollowUpCompleted, E::FollowUpCancelled, E::DataDisclosed,
        E::DetentionAlleged, E::ProofOfLifeReceived, E::DetentionAcknowledged, E::DetentionDenied,
        E::VisitedAndRegistered, E::LegalCategoryAsserted, E::PlaceTransferred,
        E::HospitalAdmitted, E::WhereaboutsLost, E::ProceedingsNotified, E::ProceedingsEnded,
        E::ReleaseListed, E::WishesRecorded, E::HandoverScheduled, E::HandoverPostponed,
        E::PersonNotPresented, E::HandoverCancelled, E::HandoverStarted, E::Released, E::Arrived,
        E::Escaped, E::AllegationDisproved, E::AttestationIssued, E::FamilyContactRestored,
        E::RemainsReported, E::RemainsRecovered, E::CustodyTransferred, E::RemainsSplit,
        E::RemainsReassociated, E::FamilyInformed, E::FamilyWishesRecorded, E::ReturnedToParty,
        E::HandedOverToFamily, E::BuriedUnidentified, E::FinalDispositionRecorded,
        E::DisplacementRegistered, E::IntentionRecorded, E::InformationProvided,
        E::GoAndSeeVisitHeld, E::ConditionsAssessed, E::VoluntarinessConfirmed,
        E::ReturnScheduled, E::ReturnPostponed, E::ReturnCancelled, E::Departed, E::TurnedBack,
        E::ReturnArrived, E::SpontaneousReturn, E::ReturnMonitored, E::ReDisplaced,
        E::SolutionAssessed, E::HouseholdSplit, E::ReturnWithdrawn, E::SiteReported,
        E::SiteAccessRequested, E::SiteAccessGranted, E::SiteAccessRefused, E::SiteCleared,
        E::SiteSurveyed, E::RecoveryStarted, E::RecoverySuspended, E::RecoveryResumed,
        E::SiteExhausted, E::NoRemainsFound, E::InquiryOpened, E::TracingStarted,
        E::PotentialMatchFound, E::MatchVerified, E::MatchRejected, E::InquiryContactRestored,
        E::FateClarified, E::InquiryClosedUnresolved, E::AgreementSigned,
        E::AgreementEnteredIntoForce, E::AgreementSuspended, E::AgreementResumed,
        E::AgreementEnded, E::ClauseAdded, E::ClauseDueDateChanged, E::ConsultationPlanned,
        E::ConsultationMoved, E::ConsultationHeld, E::ConsultationCancelled,
    ]),
];

/// An event of a type, in a case, as it is submitted.
fn submitting(case_id: &str, event: E, credibility: Credibility) -> SubmitEventsRequest {
    let mut event: Event = an(event);
    event.set_credibility(credibility);
    // What two cases hold is recorded in both.
    match event_type::of_payload(event.payload.as_ref().unwrap()) {
        E::CasesMerged | E::CasesUnmerged => in_both(case_id, event),
        _ => submission(vec![change(case_id, vec![event])]),
    }
}

/// Whether a caller may record an event in a case, whatever else may speak against it there; none for an
/// allegation of what concerns the record, which there is not.
async fn may(caller: &Caller, case_id: &str, event: E, credibility: Credibility) -> Option<bool> {
    match caller.submit(submitting(case_id, event, credibility)).await {
        Ok(_) => Some(true),
        Err(status) if reason(&status) == "INVALID_FIELDS" => {
            assert_ne!(credibility, Credibility::Confirmed, "{event:?}: {status:?}");
            assert!(
                status.message().contains("credibility"),
                "{event:?}: {status:?}"
            );
            None
        }
        Err(status) => Some(reason(&status) != "EVENT_NOT_PERMITTED"),
    }
}

fn is_of(letter: u8, credibility: Credibility) -> bool {
    letter == b'y' || letter == b'a' && credibility != Credibility::Confirmed
}

const CREDIBILITIES: [Credibility; 2] = [Credibility::Confirmed, Credibility::Likely];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_event_is_recorded_by_those_who_may_and_by_nobody_else() {
    let expected: BTreeSet<_> = EXPECTED.iter().flat_map(|(_, events)| *events).collect();
    let count = EXPECTED.iter().map(|(_, events)| events.len());
    assert_eq!(expected.len(), event_type::ALL.len());
    assert_eq!(count.sum::<usize>(), expected.len());
    let world = World::start().await;
    let owner = world.caller("owner", Role::CaseWorker, "org-1").await;
    let partner = world.caller("partner", Role::Supervisor, "org-2").await;
    let [accepted, offered] = {
        let case = || opened(&owner, an(E::DetentionAcknowledged));
        [case().await, case().await]
    };
    for case in [&accepted, &offered] {
        let offer = record(&owner, case, offered_to("org-2")).await.unwrap();
        if case == &accepted {
            let answer = of_referral(E::ReferralAccepted, &offer);
            record(&partner, case, answer).await.unwrap();
        }
    }
    let by_role = [Role::CaseWorker, Role::Supervisor, Role::Forensic];
    let mut cells = 0;
    for (place, role) in by_role.into_iter().enumerate() {
        let caller = world.caller(&table::role_name(role), role, "org-1").await;
        for (letters, events) in EXPECTED {
            for (event, credibility) in cells_of(events) {
                // A case that is not opened yet is as much of the own organisation as one can be.
                let case_id = fresh_uuid().to_string();
                let expected = is_of(letters.as_bytes()[place], credibility);
                if let Some(told) = may(&caller, &case_id, event, credibility).await {
                    assert_eq!(told, expected, "{event:?}, {credibility:?} by {role:?}");
                    cells += 1;
                }
                let writes = table::authority(role, "org-1", TwoPersons::EVERYWHERE).writes;
                assert_eq!(writes.include(event, credibility), expected, "{event:?}");
            }
        }
    }
    for (place, case) in [(3, &accepted), (4, &offered)] {
        for (letters, events) in EXPECTED {
            for (event, credibility) in cells_of(events) {
                let letters = letters.as_bytes();
                let expected = is_of(letters[place], credibility);
                if let Some(told) = may(&partner, case, event, credibility).await {
                    let expected = expected && is_of(letters[1], credibility);
                    assert_eq!(
                        told, expected,
                        "{event:?}, {credibility:?} in column {place}"
                    );
                    cells += 1;
                }
                let referred = match place {
                    3 => table::REFERRED.accepted,
                    _ => table::REFERRED.offered,
                };
                let expected = is_of(letters[place], credibility);
                let told = referred.include(event, credibility);
                assert_eq!(
                    told, expected,
                    "{event:?}, {credibility:?} in column {place}"
                );
                cells += 1;
            }
        }
    }
    // Each as confirmed, and as an allegation whatever can be one.
    assert!(cells > event_type::ALL.len() * 5 * 3 / 2, "{cells}");
    world.end().await;
}

fn cells_of(events: &[E]) -> impl Iterator<Item = (E, Credibility)> {
    let events = events.iter().copied();
    events.flat_map(|event| CREDIBILITIES.map(|credibility| (event, credibility)))
}

/// In the order of the roles: case worker, supervisor, forensic, monitor, auditor, admin.
const SEEN: &[(CaseKind, E, &str)] = &[
    (CaseKind::Detention, E::DetentionAcknowledged, "WS--A-"),
    (CaseKind::Remains, E::RemainsRecovered, "WSF-A-"),
    (CaseKind::Return, E::DisplacementRegistered, "WS--A-"),
    (CaseKind::Site, E::SiteReported, "WSF-A-"),
    (CaseKind::Inquiry, E::InquiryOpened, "WSF-A-"),
    (CaseKind::Agreement, E::AgreementSigned, "WS--A-"),
    (CaseKind::Consultation, E::ConsultationPlanned, "WS--A-"),
];

/// Likewise. What an auditor opens while an admin lets it is told elsewhere.
const OPENED: &[(Class, &str)] = &[
    (Class::Identity, "WSF---"),
    (Class::Identifiers, "WSF---"),
    (Class::Health, "WSF---"),
    (Class::Wishes, "WS----"),
    (Class::Place, "WSF---"),
    (Class::Narrative, "WS----"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_is_seen_and_each_class_opened_by_those_who_may_and_by_nobody_else() {
    let world = World::start().await;
    let worker = world.caller("worker-1", Role::CaseWorker, "org-1").await;
    let mut cases = Vec::new();
    for (kind, opening, letters) in SEEN {
        let opening = match opening {
            E::AgreementSigned => signed(vec![clause("1", vec![])]),
            event => an(*event),
        };
        let case = opened(&worker, opening).await;
        let standing = worker.get(&case).await.unwrap().standing.unwrap();
        assert_eq!(standing.kind(), *kind);
        cases.push((case, *kind, letters));
    }
    // All kinds and all classes that there are, but the kind of accounts.
    assert_eq!(SEEN.len(), 7);
    assert!(CaseKind::try_from(9).is_err() && Class::try_from(7).is_err());
    let subject = fresh_uuid().to_string();
    let mut about = an(E::RemainsRecovered);
    let values = OPENED
        .iter()
        .map(|(class, _)| value(&subject, *class, "noted", "text"));
    about.personal = values.collect();
    let about = opened(&worker, about).await;
    for (place, role) in ROLES.into_iter().enumerate() {
        let name = table::role_name(role);
        let caller = world.caller(&format!("{name}-1"), role, "org-1").await;
        for (case, kind, letters) in &cases {
            let is_seen = letters.as_bytes()[place] != b'-';
            let told = caller.get(case).await;
            assert_eq!(told.is_ok(), is_seen, "{kind:?} by {name}: {told:?}");
        }
        let told = personal(&caller, &about).await;
        let told = match told {
            Ok(told) => told,
            Err(status) => {
                assert_eq!(status.code(), Code::PermissionDenied, "{name}: {status:?}");
                Default::default()
            }
        };
        let opened: BTreeSet<_> = told
            .entries
            .iter()
            .map(|entry| entry.value.as_ref().unwrap().personal_class())
            .collect();
        let expected = OPENED
            .iter()
            .filter(|(_, letters)| letters.as_bytes()[place] != b'-');
        let expected: BTreeSet<_> = expected.map(|(class, _)| *class).collect();
        assert_eq!(opened, expected, "{name}");
    }
    world.end().await;
}
