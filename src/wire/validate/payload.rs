//! What each payload must hold: the comments of `event.proto` in code, one arm for each event.
//!
//! A test reads those comments from the descriptors and holds this table against them.

use std::collections::HashSet;

use uuid::Uuid;

use super::Checker;
use super::checker::Segment;
use crate::wire::{
    edtf::Day,
    limits::{
        CLAUSE_RULES_MAX, CLAUSES_MAX, PARTIES_MAX, PLAN_YEARS, SPLIT_LABELS_MAX,
        STAYING_EVENTS_MAX,
    },
    v1::{self, IdentificationMethod as Method, ReasonCode, event::Payload},
};

/// Checks a payload of an event of the case; the checker stands at the payload's field.
pub(super) fn check(c: &mut Checker, case_id: Option<Uuid>, payload: &mut Payload) {
    match payload {
        Payload::CaseClosed(p) => {
            c.choice("reason", p.reason, v1::CaseClosedReason::as_str_name);
            if !p.proposal_event_id.is_empty() {
                c.identifier("proposal_event_id", &mut p.proposal_event_id);
            }
        }
        Payload::CaseReopened(p) => {
            c.identifier("closing_event_id", &mut p.closing_event_id);
            c.choice("reason", p.reason, v1::CaseReopenedReason::as_str_name);
        }
        Payload::VerificationChanged(p) => {
            c.identifier("target_event_id", &mut p.target_event_id);
            c.choice("credibility", p.credibility, v1::Credibility::as_str_name);
        }
        Payload::EventDisputed(p) => {
            c.identifier("target_event_id", &mut p.target_event_id);
        }
        Payload::DisputeResolved(p) => {
            c.identifier("dispute_event_id", &mut p.dispute_event_id);
            c.choice("outcome", p.outcome, v1::DisputeOutcome::as_str_name);
        }
        Payload::EventCorrected(p) => {
            c.identifier("target_event_id", &mut p.target_event_id);
            c.replacement("replacement", case_id, p.replacement.as_deref_mut());
            c.choice("reason", p.reason, v1::CorrectionReason::as_str_name);
        }
        Payload::EventRetracted(p) => {
            c.identifier("target_event_id", &mut p.target_event_id);
            c.choice("reason", p.reason, v1::RetractionReason::as_str_name);
        }

        Payload::NoteRecorded(v1::NoteRecorded {}) => {}
        Payload::CasesLinked(p) => {
            other_case(c, "other_case_id", case_id, &mut p.other_case_id);
            c.choice("link_type", p.link_type, v1::LinkType::as_str_name);
        }
        Payload::CasesUnlinked(p) => {
            other_case(c, "other_case_id", case_id, &mut p.other_case_id);
            c.choice("link_type", p.link_type, v1::LinkType::as_str_name);
        }
        Payload::DuplicateSuspected(p) => {
            other_case(c, "other_case_id", case_id, &mut p.other_case_id);
        }
        Payload::NotADuplicate(p) => {
            other_case(c, "other_case_id", case_id, &mut p.other_case_id);
        }
        Payload::CasesMerged(p) => {
            other_case(c, "other_case_id", case_id, &mut p.other_case_id);
            c.choice("role", p.role, v1::MergeRole::as_str_name);
        }
        Payload::CasesUnmerged(p) => {
            other_case(c, "other_case_id", case_id, &mut p.other_case_id);
            let role = c.choice("role", p.role, v1::MergeRole::as_str_name);
            staying(c, role, &mut p.staying_event_ids);
        }
        Payload::ReferralOffered(p) => {
            c.reference("recipient", &p.recipient);
            c.choice("service", p.service, v1::Service::as_str_name);
            if !p.consent_event_id.is_empty() {
                c.identifier("consent_event_id", &mut p.consent_event_id);
            }
        }
        Payload::ReferralAccepted(p) => {
            c.identifier("referral_event_id", &mut p.referral_event_id);
        }
        Payload::ReferralRejected(p) => {
            c.identifier("referral_event_id", &mut p.referral_event_id);
            reason(c, p.reason);
        }
        Payload::ReferralCompleted(p) => {
            c.identifier("referral_event_id", &mut p.referral_event_id);
        }
        Payload::ReferralRevoked(p) => {
            c.identifier("referral_event_id", &mut p.referral_event_id);
            reason(c, p.reason);
        }
        Payload::CaseTransferred(p) => c.reference("to_organisation", &p.to_organisation),
        Payload::ConsentRecorded(p) => {
            c.choice("purpose", p.purpose, v1::Service::as_str_name);
            references(c, "recipients", &p.recipients, PARTIES_MAX);
            if !p.withheld_classes.is_empty() {
                let name = v1::PersonalClass::as_str_name;
                c.choices("withheld_classes", &p.withheld_classes, name);
            }
        }
        Payload::ConsentWithdrawn(p) => {
            c.identifier("consent_event_id", &mut p.consent_event_id);
        }
        Payload::AccessRequested(p) => {
            c.choice("object", p.object, v1::AccessObject::as_str_name);
            c.reference("authority", &p.authority);
        }
        Payload::AccessGranted(p) => {
            c.identifier("request_event_id", &mut p.request_event_id);
        }
        Payload::AccessDenied(p) => {
            c.identifier("request_event_id", &mut p.request_event_id);
            reason(c, p.reason);
        }
        Payload::FollowUpScheduled(p) => {
            c.planned_date("due", &p.due);
            c.choice("task", p.task, v1::FollowUpTask::as_str_name);
        }
        Payload::FollowUpRescheduled(p) => {
            c.identifier("follow_up_event_id", &mut p.follow_up_event_id);
            c.planned_date("due", &p.due);
            reason(c, p.reason);
        }
        Payload::FollowUpCompleted(p) => {
            c.identifier("follow_up_event_id", &mut p.follow_up_event_id);
        }
        Payload::FollowUpCancelled(p) => {
            c.identifier("follow_up_event_id", &mut p.follow_up_event_id);
            reason(c, p.reason);
        }
        Payload::CaseCovered(p) => {
            other_case(c, "agreement_case_id", case_id, &mut p.agreement_case_id);
            c.reference("clause_reference", &p.clause_reference);
        }
        Payload::ErasureRequested(p) => {
            c.identifier("subject_id", &mut p.subject_id);
            c.choice("ground", p.ground, v1::ErasureGround::as_str_name);
            c.by_server("requested_by", p.requested_by.is_empty());
            c.by_server("not_before", p.not_before.is_empty());
            c.by_server("second_person", !p.second_person);
        }
        Payload::ErasureExecuted(p) => {
            c.identifier("request_event_id", &mut p.request_event_id);
            c.identifier("subject_id", &mut p.subject_id);
            c.by_server("executed_by", p.executed_by.is_empty());
        }
        Payload::ErasureRefused(p) => {
            c.identifier("request_event_id", &mut p.request_event_id);
            let name = v1::ErasureRefusalReason::as_str_name;
            c.choice("reason", p.reason, name);
        }
        Payload::DataDisclosed(p) => {
            c.reference("recipient", &p.recipient);
            c.choices("classes", &p.classes, v1::PersonalClass::as_str_name);
        }
        Payload::ClosureProposed(p) => {
            c.choice("reason", p.reason, v1::CaseClosedReason::as_str_name);
            c.by_server("proposed_by", p.proposed_by.is_empty());
        }
        Payload::CaseUncovered(p) => {
            other_case(c, "agreement_case_id", case_id, &mut p.agreement_case_id);
            c.reference("clause_reference", &p.clause_reference);
        }

        Payload::DetentionAlleged(p) => {
            c.choice("category", p.category, v1::LegalCategory::as_str_name);
            c.place("place", p.place.as_ref());
        }
        Payload::ProofOfLifeReceived(p) => {
            c.past_date("date", &p.date);
            c.choice("medium", p.medium, v1::ProofOfLifeMedium::as_str_name);
        }
        Payload::DetentionAcknowledged(p) => {
            c.reference("authority", &p.authority);
            c.choice(
                "channel",
                p.channel,
                v1::AcknowledgementChannel::as_str_name,
            );
        }
        Payload::DetentionDenied(p) => c.reference("authority", &p.authority),
        Payload::VisitedAndRegistered(p) => {
            c.reference("visiting_organisation", &p.visiting_organisation);
            c.place("place", p.place.as_ref());
            c.answer("in_private", p.in_private);
        }
        Payload::LegalCategoryAsserted(p) => {
            c.choice("category", p.category, v1::LegalCategory::as_str_name);
            c.reference("asserter", &p.asserter);
            c.choice("basis", p.basis, v1::LegalCategoryBasis::as_str_name);
        }
        Payload::PlaceTransferred(p) => {
            c.place("from_place", p.from_place.as_ref());
            c.place("to_place", p.to_place.as_ref());
        }
        Payload::HospitalAdmitted(p) => c.place("place", p.place.as_ref()),
        Payload::WhereaboutsLost(p) => {
            c.place("last_confirmed_place", p.last_confirmed_place.as_ref());
        }
        Payload::ProceedingsNotified(p) => {
            c.reference("authority", &p.authority);
            c.choice("stage", p.stage, v1::ProceedingsStage::as_str_name);
        }
        Payload::ProceedingsEnded(p) => {
            c.reference("authority", &p.authority);
            c.choice("outcome", p.outcome, v1::ProceedingsOutcome::as_str_name);
        }
        Payload::ReleaseListed(p) => {
            c.choice("basis", p.basis, v1::ReleaseBasis::as_str_name);
            c.reference("list_reference", &p.list_reference);
        }
        Payload::WishesRecorded(p) => {
            c.answer("in_private", p.in_private);
            c.choice("outcome", p.outcome, v1::WishesOutcome::as_str_name);
        }
        Payload::HandoverScheduled(p) => {
            c.reference("operation", &p.operation);
            c.planned_date("date", &p.date);
            c.place("place", p.place.as_ref());
        }
        Payload::HandoverPostponed(p) => reason(c, p.reason),
        Payload::PersonNotPresented(p) => reason(c, p.reason),
        Payload::HandoverCancelled(p) => reason(c, p.reason),
        Payload::HandoverStarted(p) => {
            c.reference("operation", &p.operation);
            c.reference("releasing_body", &p.releasing_body);
            c.reference("receiving_body", &p.receiving_body);
        }
        Payload::Released(p) => {
            c.choice("mode", p.mode, v1::ReleaseMode::as_str_name);
        }
        Payload::Arrived(p) => {
            c.choice(
                "destination",
                p.destination,
                v1::ArrivalDestination::as_str_name,
            );
            c.place("place", p.place.as_ref());
        }
        Payload::Escaped(v1::Escaped {}) => {}
        Payload::DiedInCustody(p) => {
            c.place("place", p.place.as_ref());
            c.reference("certifying_body", &p.certifying_body);
        }
        Payload::AllegationDisproved(p) => c.reference("evidence_reference", &p.evidence_reference),
        Payload::AttestationIssued(p) => c.reference("issuer", &p.issuer),
        Payload::FamilyContactRestored(p) => {
            c.choice("channel", p.channel, v1::FamilyContactChannel::as_str_name);
        }

        Payload::RemainsReported(p) => c.place("site", p.site.as_ref()),
        Payload::RemainsRecovered(p) => {
            c.reference("label", &p.label);
            c.place("site", p.site.as_ref());
            c.reference("recovering_team", &p.recovering_team);
            c.choice(
                "completeness",
                p.completeness,
                v1::Completeness::as_str_name,
            );
        }
        Payload::CustodyTransferred(p) => {
            c.reference("from_custodian", &p.from_custodian);
            c.reference("to_custodian", &p.to_custodian);
            c.reference("seal", &p.seal);
            c.reference("receipt", &p.receipt);
        }
        Payload::ExaminationStarted(p) => c.reference("examiner", &p.examiner),
        Payload::PostMortemCompleted(p) => {
            c.reference("examiner", &p.examiner);
            c.reference("form_reference", &p.form_reference);
            if p.minimum_number_of_individuals == 0 {
                c.violation(
                    "minimum_number_of_individuals",
                    "is 0 or missing; give 1 or more",
                );
            }
        }
        Payload::FoundNonHuman(p) => c.reference("examiner", &p.examiner),
        Payload::SampleTaken(p) => c.reference("barcode", &p.barcode),
        Payload::SampleResultReceived(p) => {
            c.reference("barcode", &p.barcode);
            c.choice("result", p.result, v1::SampleResult::as_str_name);
        }
        Payload::MatchHypothesised(p) => {
            other_case(c, "candidate_case_id", case_id, &mut p.candidate_case_id);
            c.choice("method", p.method, Method::as_str_name);
        }
        Payload::MatchExcluded(p) => {
            c.choice("method", p.method, Method::as_str_name);
        }
        Payload::IdentificationEstablished(p) => {
            c.reference("authority", &p.authority);
            methods(c, p);
            c.reference("report_reference", &p.report_reference);
            c.by_server("recorded_by", p.recorded_by.is_empty());
        }
        Payload::IdentificationRevoked(p) => {
            c.reference("authority", &p.authority);
            c.choice("reason", p.reason, v1::RevocationReason::as_str_name);
            c.reference("evidence_reference", &p.evidence_reference);
        }
        Payload::RemainsSplit(p) => {
            references(c, "labels", &p.labels, SPLIT_LABELS_MAX);
            c.choice("basis", p.basis, Method::as_str_name);
        }
        Payload::RemainsReassociated(p) => {
            other_case(c, "into_case_id", case_id, &mut p.into_case_id);
            c.choice("basis", p.basis, Method::as_str_name);
        }
        Payload::FamilyInformed(p) => {
            c.past_date("date", &p.date);
        }
        Payload::FamilyWishesRecorded(p) => {
            let name = v1::LaterFindsWish::as_str_name;
            c.choice("wish_on_later_finds", p.wish_on_later_finds, name);
        }
        Payload::ReturnedToParty(p) => {
            c.reference("receiving_body", &p.receiving_body);
            c.reference("receipt", &p.receipt);
        }
        Payload::HandedOverToFamily(p) => c.reference("receipt", &p.receipt),
        Payload::BuriedUnidentified(p) => {
            c.reference("grave_reference", &p.grave_reference);
            c.reference("marker", &p.marker);
        }
        Payload::FinalDispositionRecorded(p) => c.reference("place_reference", &p.place_reference),

        Payload::DisplacementRegistered(p) => {
            c.place("origin", p.origin.as_ref());
            c.place("current_place", p.current_place.as_ref());
            c.members("household_size", p.household_size);
        }
        Payload::IntentionRecorded(p) => {
            c.choice("option", p.option, v1::IntentionOption::as_str_name);
        }
        Payload::InformationProvided(p) => c.place("place", p.place.as_ref()),
        Payload::GoAndSeeVisitHeld(p) => c.place("place", p.place.as_ref()),
        Payload::ConditionsAssessed(p) => {
            c.place("place", p.place.as_ref());
            scores(c, "scores", &p.scores);
        }
        Payload::VoluntarinessConfirmed(p) => {
            voluntary(c, "free", p.free);
            voluntary(c, "informed", p.informed);
            voluntary(c, "expressed", p.expressed);
        }
        Payload::ReturnScheduled(p) => {
            c.reference("movement", &p.movement);
            c.planned_date("date", &p.date);
        }
        Payload::ReturnPostponed(p) => reason(c, p.reason),
        Payload::ReturnCancelled(p) => reason(c, p.reason),
        Payload::Departed(p) => {
            c.reference("movement", &p.movement);
            c.members("members", p.members);
        }
        Payload::TurnedBack(p) => {
            c.place("place", p.place.as_ref());
            reason(c, p.reason);
        }
        Payload::ReturnArrived(p) => {
            c.place("place", p.place.as_ref());
            c.members("members", p.members);
        }
        Payload::SpontaneousReturn(p) => {
            c.place("place", p.place.as_ref());
            c.members("members", p.members);
        }
        Payload::ReturnMonitored(p) => scores(c, "criteria", &p.criteria),
        Payload::ReDisplaced(p) => {
            c.choices("drivers", &p.drivers, v1::DisplacementDriver::as_str_name);
        }
        Payload::SolutionAssessed(p) => {
            c.choice("method", p.method, v1::SolutionMethod::as_str_name);
            scores(c, "criteria", &p.criteria);
        }
        Payload::HouseholdSplit(p) => c.members("members", p.members),
        Payload::ReturnWithdrawn(p) => reason(c, p.reason),
        Payload::LastMemberDied(v1::LastMemberDied {}) => {}

        Payload::SiteReported(p) => c.place("site", p.site.as_ref()),
        Payload::SiteAccessRequested(p) => c.reference("authority", &p.authority),
        Payload::SiteAccessGranted(p) => c.reference("authority", &p.authority),
        Payload::SiteAccessRefused(p) => reason(c, p.reason),
        Payload::SiteCleared(p) => {
            c.reference("clearing_body", &p.clearing_body);
            c.reference("certificate", &p.certificate);
        }
        Payload::SiteSurveyed(p) => {
            c.reference("surveyor", &p.surveyor);
            c.choice("method", p.method, v1::SurveyMethod::as_str_name);
        }
        Payload::RecoveryStarted(p) => c.reference("recovering_team", &p.recovering_team),
        Payload::RecoverySuspended(p) => reason(c, p.reason),
        Payload::RecoveryResumed(p) => c.reference("recovering_team", &p.recovering_team),
        Payload::SiteExhausted(p) => c.reference("report_reference", &p.report_reference),
        Payload::NoRemainsFound(p) => c.reference("report_reference", &p.report_reference),

        Payload::InquiryOpened(p) => {
            c.reference("inquirer", &p.inquirer);
            c.place("last_known_place", p.last_known_place.as_ref());
        }
        Payload::TracingStarted(p) => {
            c.choice("method", p.method, v1::TracingMethod::as_str_name);
        }
        Payload::PotentialMatchFound(p) => {
            other_case(c, "candidate_case_id", case_id, &mut p.candidate_case_id);
        }
        Payload::MatchVerified(p) => {
            c.choice("basis", p.basis, v1::MatchBasis::as_str_name);
        }
        Payload::MatchRejected(p) => {
            c.choice("basis", p.basis, v1::MatchBasis::as_str_name);
        }
        Payload::InquiryContactRestored(p) => {
            c.choice("channel", p.channel, v1::FamilyContactChannel::as_str_name);
        }
        Payload::FateClarified(p) => {
            c.choice("outcome", p.outcome, v1::FateOutcome::as_str_name);
            c.reference("evidence_reference", &p.evidence_reference);
        }
        Payload::InquiryClosedUnresolved(p) => {
            c.choice("reason", p.reason, v1::InquiryClosedReason::as_str_name);
        }

        Payload::AgreementSigned(p) => {
            references(c, "parties", &p.parties, PARTIES_MAX);
            c.reference("text_reference", &p.text_reference);
            clauses(c, &p.clauses);
        }
        Payload::AgreementEnteredIntoForce(p) => {
            c.reference("notice_reference", &p.notice_reference);
        }
        Payload::AgreementSuspended(p) => c.reference("notice_reference", &p.notice_reference),
        Payload::AgreementResumed(p) => c.reference("notice_reference", &p.notice_reference),
        Payload::AgreementEnded(p) => {
            c.choice("mode", p.mode, v1::AgreementEndMode::as_str_name);
        }
        Payload::ClauseAdded(p) => match &p.clause {
            Some(added) => c.at("clause", |c| clause(c, added)),
            None => c.violation("clause", "is missing; give its reference and basis"),
        },
        Payload::ClauseDueDateChanged(p) => {
            c.reference("clause_reference", &p.clause_reference);
            date_or_none(c, "due", &p.due);
        }

        Payload::ConsultationPlanned(p) => {
            if !PLAN_YEARS.contains(&p.plan_year) {
                let (first, last) = (PLAN_YEARS.start(), PLAN_YEARS.end());
                let description = format!("is {}; give {first} to {last}", p.plan_year);
                c.violation("plan_year", description);
            }
            references(c, "parties", &p.parties, PARTIES_MAX);
            c.planned_date("date", &p.date);
        }
        Payload::ConsultationMoved(p) => {
            c.planned_date("date", &p.date);
            reason(c, p.reason);
        }
        Payload::ConsultationHeld(p) => c.reference("minutes_reference", &p.minutes_reference),
        Payload::ConsultationCancelled(p) => reason(c, p.reason),

        Payload::UserAccountCreated(p) => {
            c.reference("name", &p.name);
            c.choice("role", p.role, v1::Role::as_str_name);
            c.reference("organisation", &p.organisation);
        }
        Payload::TokenIssued(p) => {
            sha256(c, "token_sha256", &p.token_sha256);
            day_or_none(c, "expires_on", &p.expires_on);
        }
        Payload::CertificateEnrolled(p) => {
            sha256(c, "certificate_sha256", &p.certificate_sha256);
            day_or_none(c, "expires_on", &p.expires_on);
        }
        Payload::GrantRevoked(p) => {
            c.identifier("grant_event_id", &mut p.grant_event_id);
        }
        Payload::UserAccountClosed(_) => {}
        Payload::UnsealingGranted(p) => {
            c.choice("reason", p.reason, v1::UnsealingReason::as_str_name);
            c.reference("request_reference", &p.request_reference);
            if p.expires_at.is_none() {
                c.violation("expires_at", "is missing; give the time when it ends");
            }
        }
    }
}

fn reason(c: &mut Checker, number: i32) {
    c.choice("reason", number, ReasonCode::as_str_name);
}

fn voluntary(c: &mut Checker, field: &str, answer: Option<bool>) {
    if answer != Some(true) {
        c.violation(
            field,
            "is not true; a return is confirmed as voluntary only where the decision is free, \
             informed and expressed",
        );
    }
}

/// The identifier of another case than the event's own.
fn other_case(c: &mut Checker, field: &str, case_id: Option<Uuid>, text: &mut str) {
    let other = c.identifier(field, text);
    if other.is_some() && other == case_id {
        c.violation(field, "is the case of the event itself; give another case");
    }
}

/// Methods of an identification: a primary one, or two secondary ones with the document that
/// combines them (INTERPOL DVI). Visual recognition is secondary, so that it never identifies
/// alone.
fn methods(c: &mut Checker, identification: &v1::IdentificationEstablished) {
    let numbers = &identification.methods;
    c.choices("methods", numbers, Method::as_str_name);
    let reference = &identification.secondary_combination_reference;
    let primary = [Method::Fingerprint, Method::Dental, Method::Dna].map(i32::from);
    let has_primary = numbers.iter().any(|number| primary.contains(number));
    if !reference.is_empty() || (!has_primary && !numbers.is_empty()) {
        c.reference("secondary_combination_reference", reference);
    }
    let distinct: HashSet<_> = numbers.iter().collect();
    if !has_primary && distinct.len() == 1 {
        c.violation(
            "methods",
            "hold a single secondary method; give a primary one (fingerprint, dental, DNA), or \
             at least two secondary ones with secondary_combination_reference",
        );
    }
}

/// The events that stay after a merge is undone: only the surviving case has any.
fn staying(c: &mut Checker, role: Option<v1::MergeRole>, event_ids: &mut [String]) {
    let field = "staying_event_ids";
    let count = event_ids.len();
    if count > STAYING_EVENTS_MAX {
        let description = format!("are {count}; name at most {STAYING_EVENTS_MAX}");
        return c.violation(field, description);
    }
    if role == Some(v1::MergeRole::Merged) && count > 0 {
        let description = "are named in the case that was merged; name them in the surviving one";
        return c.violation(field, description);
    }
    let mut seen = HashSet::new();
    for (index, event_id) in event_ids.iter_mut().enumerate() {
        let element = format!("{field}[{index}]");
        if let Some(event_id) = c.identifier(&element, event_id)
            && !seen.insert(event_id)
        {
            c.violation(element, "stands in the list already; name each event once");
        }
    }
}

/// References, at least one, each once.
fn references(c: &mut Checker, field: &str, references: &[String], most: usize) {
    if references.is_empty() || references.len() > most {
        let count = references.len();
        return c.violation(field, format!("are {count}; give 1 to {most}"));
    }
    let mut seen = HashSet::new();
    for (index, reference) in references.iter().enumerate() {
        let element = format_args!("{field}[{index}]");
        c.reference(element, reference);
        if !seen.insert(reference) {
            c.violation(element, "stands in the list already; give each once");
        }
    }
}

/// The clauses of an agreement, at least one, each with a reference of its own.
fn clauses(c: &mut Checker, clauses: &[v1::Clause]) {
    if clauses.is_empty() || clauses.len() > CLAUSES_MAX {
        let count = clauses.len();
        return c.violation("clauses", format!("are {count}; give 1 to {CLAUSES_MAX}"));
    }
    let mut seen = HashSet::new();
    for (index, each) in clauses.iter().enumerate() {
        c.at(Segment::Element("clauses", index), |c| {
            clause(c, each);
            if !seen.insert(&each.reference) && !each.reference.is_empty() {
                let description = "is that of another clause; give each its own";
                c.violation("reference", description);
            }
        });
    }
}

fn clause(c: &mut Checker, clause: &v1::Clause) {
    c.reference("reference", &clause.reference);
    c.choice("basis", clause.basis, v1::ClauseBasis::as_str_name);
    date_or_none(c, "due", &clause.due);
    if clause.rules.len() > CLAUSE_RULES_MAX {
        let count = clause.rules.len();
        return c.violation(
            "rules",
            format!("are {count}; give at most {CLAUSE_RULES_MAX}"),
        );
    }
    for (index, rule) in clause.rules.iter().enumerate() {
        c.at(Segment::Element("rules", index), |c| coverage_rule(c, rule));
    }
}

fn coverage_rule(c: &mut Checker, rule: &v1::CoverageRule) {
    c.choice("kind", rule.kind, v1::CaseKind::as_str_name);
    if rule.category != 0 {
        c.choice("category", rule.category, v1::LegalCategory::as_str_name);
    }
    date_or_none(c, "date", &rule.date);
    if !rule.district.is_empty() {
        c.district("district", &rule.district);
    }
}

/// A SHA-256, as 64 hexadecimal digits in lower case.
fn sha256(c: &mut Checker, field: &str, text: &str) {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() != 64 || !text.bytes().all(is_digit) {
        c.violation(
            field,
            "is no SHA-256; give 64 hexadecimal digits in lower case",
        );
    }
}

/// A day of any time as YYYY-MM-DD, or none.
fn day_or_none(c: &mut Checker, field: &str, text: &str) {
    if !text.is_empty() && Day::parse(text).is_none() {
        c.violation(field, "is no date; give one as YYYY-MM-DD");
    }
}

/// A date of any time, or none.
fn date_or_none(c: &mut Checker, field: &str, text: &str) {
    if !text.is_empty() {
        c.planned_date(field, text);
    }
}

/// Scores of the eight criteria of a durable solution, at least one, each criterion once.
fn scores(c: &mut Checker, field: &'static str, scores: &[v1::CriterionScore]) {
    if scores.is_empty() {
        return c.violation(field, "are missing; give at least one score");
    }
    let mut seen = HashSet::new();
    for (index, score) in scores.iter().enumerate() {
        c.at(Segment::Element(field, index), |c| {
            let name = v1::DurableSolutionCriterion::as_str_name;
            let criterion = c.choice("criterion", score.criterion, name);
            if criterion.is_some() && !seen.insert(score.criterion) {
                c.violation(
                    "criterion",
                    "stands in the list already; give each criterion once",
                );
            }
            c.choice("rating", score.rating, v1::CriterionRating::as_str_name);
        });
    }
}
