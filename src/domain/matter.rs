//! Matters: what an event names besides events and statuses (a clause, a link, a referral), and what
//! is told where it is not there, or there already.

use crate::wire::v1::EventType;

/// What an event names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matter {
    /// A clause of the agreement.
    Clause,
    /// A link that is recorded in this case.
    Link,
    /// That this case suspects another one to be about the same.
    Suspicion,
    /// That this case says of another one that it is not about the same.
    Clearance,
    /// A merge with another case.
    Merge,
    /// A referral that is offered and not answered.
    OfferedReferral,
    /// A referral that is accepted and not completed.
    AcceptedReferral,
    /// A referral that is offered or accepted.
    LiveReferral,
    /// A consent that stands.
    Consent,
    /// A request for access without an answer.
    AccessRequest,
    /// A follow-up that is open.
    FollowUp,
    /// A clause of an agreement under which the case was put.
    Coverage,
    /// A request for an erasure that is neither executed nor refused.
    ErasureRequest,
    /// A proposal to close the case.
    ClosureProposal,
}

impl Matter {
    /// The reason of a refusal, in UPPER_SNAKE_CASE: where the matter is there already, and where
    /// it is not.
    pub(super) fn reason(self, is_there: bool) -> &'static str {
        match (self, is_there) {
            (Self::Clause, true) => "CLAUSE_STANDS",
            (Self::Clause, false) => "CLAUSE_NOT_FOUND",
            (Self::Link, true) => "LINK_STANDS",
            (Self::Link, false) => "LINK_NOT_STANDING",
            (Self::Suspicion | Self::Clearance, _) => "DUPLICATE_SAID_ALREADY",
            (Self::Merge, true) => "CASE_MERGED_ALREADY",
            (Self::Merge, false) => "MERGE_NOT_STANDING",
            (Self::OfferedReferral, _) => "REFERRAL_NOT_OFFERED",
            (Self::AcceptedReferral, _) => "REFERRAL_NOT_ACCEPTED",
            (Self::LiveReferral, _) => "REFERRAL_NOT_LIVE",
            (Self::Consent, _) => "CONSENT_NOT_STANDING",
            (Self::AccessRequest, _) => "ACCESS_REQUEST_NOT_OPEN",
            (Self::FollowUp, _) => "FOLLOW_UP_NOT_OPEN",
            (Self::Coverage, true) => "CASE_COVERED_ALREADY",
            (Self::Coverage, false) => "COVERAGE_NOT_STANDING",
            (Self::ErasureRequest, true) => "ERASURE_REQUESTED_ALREADY",
            (Self::ErasureRequest, false) => "ERASURE_REQUEST_NOT_OPEN",
            (Self::ClosureProposal, _) => "CLOSURE_PROPOSAL_NOT_STANDING",
        }
    }

    /// The field of the payload that names it.
    pub(super) fn field(self, event: EventType) -> &'static str {
        match event {
            EventType::EventCorrected => "event_corrected.replacement",
            EventType::VerificationChanged => "verification_changed.target_event_id",
            EventType::AgreementSigned => "agreement_signed.clauses",
            EventType::ClauseAdded => "clause_added.clause.reference",
            EventType::ClauseDueDateChanged => "clause_due_date_changed.clause_reference",
            EventType::CasesLinked => "cases_linked.other_case_id",
            EventType::CasesUnlinked => "cases_unlinked.other_case_id",
            EventType::DuplicateSuspected => "duplicate_suspected.other_case_id",
            EventType::NotADuplicate => "not_a_duplicate.other_case_id",
            EventType::CasesMerged => "cases_merged.other_case_id",
            EventType::CasesUnmerged => "cases_unmerged.other_case_id",
            EventType::ReferralOffered => "referral_offered.consent_event_id",
            EventType::ReferralAccepted => "referral_accepted.referral_event_id",
            EventType::ReferralRejected => "referral_rejected.referral_event_id",
            EventType::ReferralCompleted => "referral_completed.referral_event_id",
            EventType::ReferralRevoked => "referral_revoked.referral_event_id",
            EventType::ConsentWithdrawn => "consent_withdrawn.consent_event_id",
            EventType::AccessGranted => "access_granted.request_event_id",
            EventType::AccessDenied => "access_denied.request_event_id",
            EventType::FollowUpRescheduled => "follow_up_rescheduled.follow_up_event_id",
            EventType::FollowUpCompleted => "follow_up_completed.follow_up_event_id",
            EventType::FollowUpCancelled => "follow_up_cancelled.follow_up_event_id",
            EventType::CaseCovered => "case_covered.clause_reference",
            EventType::CaseUncovered => "case_uncovered.clause_reference",
            EventType::CaseClosed => "case_closed.proposal_event_id",
            EventType::ErasureRequested => "erasure_requested.subject_id",
            EventType::ErasureExecuted => "erasure_executed.request_event_id",
            EventType::ErasureRefused => "erasure_refused.request_event_id",
            _ => "payload",
        }
    }

    /// What is wrong, and what would be right.
    pub(super) fn words(self, is_there: bool) -> &'static str {
        match (self, is_there) {
            (Self::Clause, true) => {
                "the agreement has a clause of this reference: give another one"
            }
            (Self::Clause, false) => {
                "the agreement has no clause of this reference: add it by ClauseAdded first"
            }
            (Self::Link, true) => "this case holds that link with that case already",
            (Self::Link, false) => {
                "this case holds no such link with that case: take a link away in the case in \
                 which it was recorded"
            }
            (Self::Suspicion, _) => "this case suspects that case already",
            (Self::Clearance, _) => "this case says already that that case is not about the same",
            (Self::Merge, true) => {
                "the case is merged into another one, or with that case, already: undo that by \
                 CasesUnmerged first"
            }
            (Self::Merge, false) => "the case is not merged with that case in that role",
            (Self::OfferedReferral, _) => "name the offer of a referral that is not answered yet",
            (Self::AcceptedReferral, _) => {
                "name the offer of a referral that is accepted and not completed"
            }
            (Self::LiveReferral, _) => "name the offer of a referral that is offered or accepted",
            (Self::Consent, _) => "name a consent of this case that is not withdrawn",
            (Self::AccessRequest, _) => "name a request for access that is not answered yet",
            (Self::FollowUp, _) => "name a follow-up that is open",
            (Self::Coverage, true) => "the case was put under that clause already",
            (Self::Coverage, false) => {
                "the case was not put under that clause by CaseCovered; what a rule covers is \
                 covered by the rule"
            }
            (Self::ErasureRequest, true) => {
                "the erasure of this subject's data is requested in this case already"
            }
            (Self::ErasureRequest, false) => {
                "name a request for an erasure that is neither executed nor refused"
            }
            (Self::ClosureProposal, _) => {
                "name a ClosureProposed of this case that is not retracted and was recorded since the \
                 case was closed last"
            }
        }
    }
}
