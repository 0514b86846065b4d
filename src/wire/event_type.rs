//! What an event is: the one list of payloads in src, with their fields' names in `Event`.
//!
//! A test holds it against the descriptors, so that a payload that is missing here is noticed.

use super::v1::{EventType, event::Payload};

/// Writes the functions from one list of `Payload variant: field name`.
macro_rules! payloads {
    ($($variant:ident: $field:ident),* $(,)?) => {
        /// The type of an event with this payload.
        pub fn of_payload(payload: &Payload) -> EventType {
            match payload { $(Payload::$variant(_) => EventType::$variant,)* }
        }

        /// The name of the payload's message, for example `DetentionAlleged`.
        pub fn message_name(event_type: EventType) -> &'static str {
            match event_type {
                EventType::Unspecified => "Unspecified",
                $(EventType::$variant => stringify!($variant),)*
            }
        }

        /// The name of the payload's field in `Event`, for example `detention_alleged`.
        pub fn field_name(event_type: EventType) -> &'static str {
            match event_type {
                EventType::Unspecified => "payload",
                $(EventType::$variant => stringify!($field),)*
            }
        }

        /// Every event type that there is, in the order of their numbers.
        pub const ALL: &[EventType] = &[$(EventType::$variant),*];
    };
}

payloads! {
    CaseClosed: case_closed,
    CaseReopened: case_reopened,
    VerificationChanged: verification_changed,
    EventDisputed: event_disputed,
    DisputeResolved: dispute_resolved,
    EventCorrected: event_corrected,
    EventRetracted: event_retracted,
    NoteRecorded: note_recorded,
    CasesLinked: cases_linked,
    CasesUnlinked: cases_unlinked,
    DuplicateSuspected: duplicate_suspected,
    NotADuplicate: not_a_duplicate,
    CasesMerged: cases_merged,
    CasesUnmerged: cases_unmerged,
    ReferralOffered: referral_offered,
    ReferralAccepted: referral_accepted,
    ReferralRejected: referral_rejected,
    ReferralCompleted: referral_completed,
    ReferralRevoked: referral_revoked,
    CaseTransferred: case_transferred,
    ConsentRecorded: consent_recorded,
    ConsentWithdrawn: consent_withdrawn,
    AccessRequested: access_requested,
    AccessGranted: access_granted,
    AccessDenied: access_denied,
    FollowUpScheduled: follow_up_scheduled,
    FollowUpRescheduled: follow_up_rescheduled,
    FollowUpCompleted: follow_up_completed,
    FollowUpCancelled: follow_up_cancelled,
    CaseCovered: case_covered,
    CaseUncovered: case_uncovered,
    ErasureRequested: erasure_requested,
    ErasureExecuted: erasure_executed,
    ErasureRefused: erasure_refused,
    DataDisclosed: data_disclosed,
    ClosureProposed: closure_proposed,
    DetentionAlleged: detention_alleged,
    ProofOfLifeReceived: proof_of_life_received,
    DetentionAcknowledged: detention_acknowledged,
    DetentionDenied: detention_denied,
    VisitedAndRegistered: visited_and_registered,
    LegalCategoryAsserted: legal_category_asserted,
    PlaceTransferred: place_transferred,
    HospitalAdmitted: hospital_admitted,
    WhereaboutsLost: whereabouts_lost,
    ProceedingsNotified: proceedings_notified,
    ProceedingsEnded: proceedings_ended,
    ReleaseListed: release_listed,
    WishesRecorded: wishes_recorded,
    HandoverScheduled: handover_scheduled,
    HandoverPostponed: handover_postponed,
    PersonNotPresented: person_not_presented,
    HandoverCancelled: handover_cancelled,
    HandoverStarted: handover_started,
    Released: released,
    Arrived: arrived,
    Escaped: escaped,
    DiedInCustody: died_in_custody,
    AllegationDisproved: allegation_disproved,
    AttestationIssued: attestation_issued,
    FamilyContactRestored: family_contact_restored,
    RemainsReported: remains_reported,
    RemainsRecovered: remains_recovered,
    CustodyTransferred: custody_transferred,
    ExaminationStarted: examination_started,
    PostMortemCompleted: post_mortem_completed,
    FoundNonHuman: found_non_human,
    SampleTaken: sample_taken,
    SampleResultReceived: sample_result_received,
    MatchHypothesised: match_hypothesised,
    MatchExcluded: match_excluded,
    IdentificationEstablished: identification_established,
    IdentificationRevoked: identification_revoked,
    RemainsSplit: remains_split,
    RemainsReassociated: remains_reassociated,
    FamilyInformed: family_informed,
    FamilyWishesRecorded: family_wishes_recorded,
    ReturnedToParty: returned_to_party,
    HandedOverToFamily: handed_over_to_family,
    BuriedUnidentified: buried_unidentified,
    FinalDispositionRecorded: final_disposition_recorded,
    DisplacementRegistered: displacement_registered,
    IntentionRecorded: intention_recorded,
    InformationProvided: information_provided,
    GoAndSeeVisitHeld: go_and_see_visit_held,
    ConditionsAssessed: conditions_assessed,
    VoluntarinessConfirmed: voluntariness_confirmed,
    ReturnScheduled: return_scheduled,
    ReturnPostponed: return_postponed,
    ReturnCancelled: return_cancelled,
    Departed: departed,
    TurnedBack: turned_back,
    ReturnArrived: return_arrived,
    SpontaneousReturn: spontaneous_return,
    ReturnMonitored: return_monitored,
    ReDisplaced: re_displaced,
    SolutionAssessed: solution_assessed,
    HouseholdSplit: household_split,
    ReturnWithdrawn: return_withdrawn,
    LastMemberDied: last_member_died,
    SiteReported: site_reported,
    SiteAccessRequested: site_access_requested,
    SiteAccessGranted: site_access_granted,
    SiteAccessRefused: site_access_refused,
    SiteCleared: site_cleared,
    SiteSurveyed: site_surveyed,
    RecoveryStarted: recovery_started,
    RecoverySuspended: recovery_suspended,
    RecoveryResumed: recovery_resumed,
    SiteExhausted: site_exhausted,
    NoRemainsFound: no_remains_found,
    InquiryOpened: inquiry_opened,
    TracingStarted: tracing_started,
    PotentialMatchFound: potential_match_found,
    MatchVerified: match_verified,
    MatchRejected: match_rejected,
    InquiryContactRestored: inquiry_contact_restored,
    FateClarified: fate_clarified,
    InquiryClosedUnresolved: inquiry_closed_unresolved,
    AgreementSigned: agreement_signed,
    AgreementEnteredIntoForce: agreement_entered_into_force,
    AgreementSuspended: agreement_suspended,
    AgreementResumed: agreement_resumed,
    AgreementEnded: agreement_ended,
    ClauseAdded: clause_added,
    ClauseDueDateChanged: clause_due_date_changed,
    ConsultationPlanned: consultation_planned,
    ConsultationMoved: consultation_moved,
    ConsultationHeld: consultation_held,
    ConsultationCancelled: consultation_cancelled,
    UserAccountCreated: user_account_created,
    TokenIssued: token_issued,
    CertificateEnrolled: certificate_enrolled,
    GrantRevoked: grant_revoked,
    UserAccountClosed: user_account_closed,
    UnsealingGranted: unsealing_granted,
}
