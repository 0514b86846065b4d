//! Samples that the tests share: for every event type a valid event, written by hand and not from
//! the tables in src.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod http2;
pub mod planted;
pub mod server;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use casetrail::wire::{day::Day, descriptor_pool, v1, v1::EventType as Type, v1::event::Payload};
use prost_reflect::DynamicMessage;
use uuid::Uuid;

/// What takes longer than this has failed. Nothing that is asserted hangs on how long anything takes.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until something holds that no answer tells of.
pub async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let waited = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waited).await;
    waited.expect("it comes to hold");
}

/// The day on which the samples arrive.
pub fn today() -> Day {
    Day::from_calendar(2024, 6, 1).unwrap()
}

/// A UUID that no other call in this process gives.
pub fn fresh_uuid() -> Uuid {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    Uuid::from_u128(0x018e_0b5c_7a40_7000_8000_0000_0000_0000 | u128::from(count))
}

/// A submission of one change of a fresh case, in any version.
/// A merge, and its end, stand in a change of the other case too.
pub fn submission_of(events: Vec<v1::Event>) -> v1::SubmitEventsRequest {
    let case_id = fresh_uuid().to_string();
    let change = |case_id: String, events| v1::CaseChange {
        case_id,
        expected: Some(v1::case_change::Expected::Any(true)),
        events,
    };
    let opposites = events.iter().filter_map(|event| opposite(&case_id, event));
    let opposites: Vec<_> = opposites
        .map(|(other, event)| change(other, vec![event]))
        .collect();
    let mut changes = vec![change(case_id, events)];
    changes.extend(opposites);
    v1::SubmitEventsRequest {
        request_id: fresh_uuid().to_string(),
        changes,
    }
}

/// The other end of a merge or of its undoing: the other case, and the event there.
pub fn opposite(case_id: &str, event: &v1::Event) -> Option<(String, v1::Event)> {
    let turned = |role: v1::MergeRole| match role {
        v1::MergeRole::Survivor => v1::MergeRole::Merged.into(),
        _ => v1::MergeRole::Survivor.into(),
    };
    let other_case_id = case_id.to_owned();
    let (other, payload) = match event.payload.clone()? {
        Payload::CasesMerged(merged) => {
            let role = turned(merged.role());
            let payload = v1::CasesMerged {
                other_case_id,
                role,
            };
            (merged.other_case_id, Payload::CasesMerged(payload))
        }
        Payload::CasesUnmerged(unmerged) => {
            let payload = v1::CasesUnmerged {
                other_case_id,
                role: turned(unmerged.role()),
                staying_event_ids: vec![],
            };
            (unmerged.other_case_id, Payload::CasesUnmerged(payload))
        }
        _ => return None,
    };
    Some((other, event_with(payload)))
}

/// The submission as a message whose fields can be walked by their descriptors.
pub fn dynamic(request: &v1::SubmitEventsRequest) -> DynamicMessage {
    let descriptor = descriptor_pool().get_message_by_name("casetrail.v1.SubmitEventsRequest");
    let mut dynamic = DynamicMessage::new(descriptor.unwrap());
    dynamic.transcode_from(request).unwrap();
    dynamic
}

/// A confirmed event of the type with a fresh event_id, every must-field and every optional field
/// but `personal`.
pub fn valid_event(event_type: Type) -> v1::Event {
    event_with(valid_payload(event_type))
}

/// A confirmed event with the payload and a fresh event_id.
pub fn event_with(payload: Payload) -> v1::Event {
    v1::Event {
        event_id: fresh_uuid().to_string(),
        occurred: "2024-03-05".to_owned(),
        received_on: "2024-03-06".to_owned(),
        source: Some(v1::Source {
            reference: "source-17".to_owned(),
            connection: v1::SourceConnection::Witness.into(),
            reliability: v1::SourceReliability::LikelyReliable.into(),
        }),
        credibility: v1::Credibility::Confirmed.into(),
        causation_id: fresh_uuid().to_string(),
        personal: vec![],
        payload: Some(payload),
    }
}

/// The event as it stands in a correction.
pub fn replacement(event: v1::Event) -> v1::Event {
    v1::Event {
        event_id: String::new(),
        causation_id: String::new(),
        ..event
    }
}

/// A place with all its fields.
pub fn place() -> Option<v1::Place> {
    Some(v1::Place {
        place_id: "place-3".to_owned(),
        country: "XA".to_owned(),
        district: "XA01".to_owned(),
        unknown: false,
    })
}

fn reference(name: &str) -> String {
    format!("{name}:7/2024")
}

/// A clause with a rule that says all that a rule can say.
fn clause(reference: &str) -> v1::Clause {
    v1::Clause {
        reference: reference.to_owned(),
        basis: v1::ClauseBasis::Ihl.into(),
        due: "2024-09".to_owned(),
        rules: vec![v1::CoverageRule {
            kind: v1::CaseKind::Detention.into(),
            category: v1::LegalCategory::PrisonerOfWar.into(),
            date: "../2024-03-01".to_owned(),
            district: "XA01".to_owned(),
        }],
    }
}

fn scores() -> Vec<v1::CriterionScore> {
    use v1::{CriterionRating as Rating, DurableSolutionCriterion as Criterion};
    [
        (Criterion::Safety, Rating::Met),
        (Criterion::Documentation, Rating::NotMet),
    ]
    .map(|(criterion, rating)| v1::CriterionScore {
        criterion: criterion.into(),
        rating: rating.into(),
    })
    .into()
}

/// A payload of the type with every field that it must or may have.
pub fn valid_payload(event_type: Type) -> Payload {
    let id = || fresh_uuid().to_string();
    let date = || "2024-02?".to_owned();
    let planned = || "2025-01-15/2025-02".to_owned();
    let reason = v1::ReasonCode::Weather.into();
    let method = v1::IdentificationMethod::Dna.into();
    match event_type {
        Type::Unspecified => panic!("no event is of this type"),
        Type::CaseClosed => Payload::CaseClosed(v1::CaseClosed {
            reason: v1::CaseClosedReason::Completed.into(),
            ..Default::default()
        }),
        Type::CaseReopened => Payload::CaseReopened(v1::CaseReopened {
            closing_event_id: id(),
            reason: v1::CaseReopenedReason::WrongCase.into(),
        }),
        Type::VerificationChanged => Payload::VerificationChanged(v1::VerificationChanged {
            target_event_id: id(),
            credibility: v1::Credibility::Unlikely.into(),
        }),
        Type::EventDisputed => Payload::EventDisputed(v1::EventDisputed {
            target_event_id: id(),
        }),
        Type::DisputeResolved => Payload::DisputeResolved(v1::DisputeResolved {
            dispute_event_id: id(),
            outcome: v1::DisputeOutcome::Upheld.into(),
        }),
        Type::EventCorrected => Payload::EventCorrected(Box::new(v1::EventCorrected {
            target_event_id: id(),
            replacement: Some(Box::new(replacement(valid_event(Type::Released)))),
            reason: v1::CorrectionReason::SourceCorrected.into(),
        })),
        Type::EventRetracted => Payload::EventRetracted(v1::EventRetracted {
            target_event_id: id(),
            reason: v1::RetractionReason::RecordedTwice.into(),
        }),
        Type::NoteRecorded => Payload::NoteRecorded(v1::NoteRecorded {}),
        Type::CasesLinked => Payload::CasesLinked(v1::CasesLinked {
            other_case_id: id(),
            link_type: v1::LinkType::Family.into(),
        }),
        Type::CasesUnlinked => Payload::CasesUnlinked(v1::CasesUnlinked {
            other_case_id: id(),
            link_type: v1::LinkType::Family.into(),
        }),
        Type::DuplicateSuspected => Payload::DuplicateSuspected(v1::DuplicateSuspected {
            other_case_id: id(),
        }),
        Type::NotADuplicate => Payload::NotADuplicate(v1::NotADuplicate {
            other_case_id: id(),
        }),
        Type::CasesMerged => Payload::CasesMerged(v1::CasesMerged {
            other_case_id: id(),
            role: v1::MergeRole::Survivor.into(),
        }),
        Type::CasesUnmerged => Payload::CasesUnmerged(v1::CasesUnmerged {
            other_case_id: id(),
            role: v1::MergeRole::Survivor.into(),
            staying_event_ids: vec![id()],
        }),
        Type::ReferralOffered => Payload::ReferralOffered(v1::ReferralOffered {
            recipient: reference("organisation"),
            service: v1::Service::Health.into(),
            consent_event_id: id(),
        }),
        Type::ReferralAccepted => Payload::ReferralAccepted(v1::ReferralAccepted {
            referral_event_id: id(),
        }),
        Type::ReferralRejected => Payload::ReferralRejected(v1::ReferralRejected {
            referral_event_id: id(),
            reason,
        }),
        Type::ReferralCompleted => Payload::ReferralCompleted(v1::ReferralCompleted {
            referral_event_id: id(),
        }),
        Type::ReferralRevoked => Payload::ReferralRevoked(v1::ReferralRevoked {
            referral_event_id: id(),
            reason,
        }),
        Type::CaseTransferred => Payload::CaseTransferred(v1::CaseTransferred {
            to_organisation: reference("organisation"),
        }),
        Type::ConsentRecorded => Payload::ConsentRecorded(v1::ConsentRecorded {
            purpose: v1::Service::Health.into(),
            recipients: vec![reference("organisation")],
            withheld_classes: vec![v1::PersonalClass::Health.into()],
        }),
        Type::ConsentWithdrawn => Payload::ConsentWithdrawn(v1::ConsentWithdrawn {
            consent_event_id: id(),
        }),
        Type::AccessRequested => Payload::AccessRequested(v1::AccessRequested {
            object: v1::AccessObject::Person.into(),
            authority: reference("authority"),
        }),
        Type::AccessGranted => Payload::AccessGranted(v1::AccessGranted {
            request_event_id: id(),
        }),
        Type::AccessDenied => Payload::AccessDenied(v1::AccessDenied {
            request_event_id: id(),
            reason,
        }),
        Type::FollowUpScheduled => Payload::FollowUpScheduled(v1::FollowUpScheduled {
            due: planned(),
            task: v1::FollowUpTask::Visit.into(),
        }),
        Type::FollowUpRescheduled => Payload::FollowUpRescheduled(v1::FollowUpRescheduled {
            follow_up_event_id: id(),
            due: planned(),
            reason,
        }),
        Type::FollowUpCompleted => Payload::FollowUpCompleted(v1::FollowUpCompleted {
            follow_up_event_id: id(),
        }),
        Type::FollowUpCancelled => Payload::FollowUpCancelled(v1::FollowUpCancelled {
            follow_up_event_id: id(),
            reason,
        }),
        Type::CaseCovered => Payload::CaseCovered(v1::CaseCovered {
            agreement_case_id: id(),
            clause_reference: reference("clause"),
        }),
        Type::CaseUncovered => Payload::CaseUncovered(v1::CaseUncovered {
            agreement_case_id: id(),
            clause_reference: reference("clause"),
        }),
        Type::ErasureRequested => Payload::ErasureRequested(v1::ErasureRequested {
            subject_id: id(),
            ground: v1::ErasureGround::SubjectRequest.into(),
            ..Default::default()
        }),
        Type::ErasureExecuted => Payload::ErasureExecuted(v1::ErasureExecuted {
            request_event_id: id(),
            subject_id: id(),
            executed_by: String::new(),
        }),
        Type::ErasureRefused => Payload::ErasureRefused(v1::ErasureRefused {
            request_event_id: id(),
            reason: v1::ErasureRefusalReason::FateUnknown.into(),
        }),
        Type::ClosureProposed => Payload::ClosureProposed(v1::ClosureProposed {
            reason: v1::CaseClosedReason::Completed.into(),
            ..Default::default()
        }),
        Type::DataDisclosed => Payload::DataDisclosed(v1::DataDisclosed {
            recipient: reference("organisation"),
            classes: vec![v1::PersonalClass::Identity.into()],
        }),
        Type::DetentionAlleged => Payload::DetentionAlleged(v1::DetentionAlleged {
            category: v1::LegalCategory::Unknown.into(),
            place: place(),
        }),
        Type::ProofOfLifeReceived => Payload::ProofOfLifeReceived(v1::ProofOfLifeReceived {
            date: date(),
            medium: v1::ProofOfLifeMedium::Letter.into(),
        }),
        Type::DetentionAcknowledged => Payload::DetentionAcknowledged(v1::DetentionAcknowledged {
            authority: reference("authority"),
            channel: v1::AcknowledgementChannel::OfficialList.into(),
        }),
        Type::DetentionDenied => Payload::DetentionDenied(v1::DetentionDenied {
            authority: reference("authority"),
        }),
        Type::VisitedAndRegistered => Payload::VisitedAndRegistered(v1::VisitedAndRegistered {
            visiting_organisation: reference("organisation"),
            place: place(),
            in_private: Some(false),
        }),
        Type::LegalCategoryAsserted => Payload::LegalCategoryAsserted(v1::LegalCategoryAsserted {
            category: v1::LegalCategory::PrisonerOfWar.into(),
            asserter: reference("asserter"),
            basis: v1::LegalCategoryBasis::Tribunal.into(),
        }),
        Type::PlaceTransferred => Payload::PlaceTransferred(v1::PlaceTransferred {
            from_place: place(),
            to_place: place(),
        }),
        Type::HospitalAdmitted => {
            Payload::HospitalAdmitted(v1::HospitalAdmitted { place: place() })
        }
        Type::WhereaboutsLost => Payload::WhereaboutsLost(v1::WhereaboutsLost {
            last_confirmed_place: place(),
        }),
        Type::ProceedingsNotified => Payload::ProceedingsNotified(v1::ProceedingsNotified {
            authority: reference("court"),
            stage: v1::ProceedingsStage::Trial.into(),
        }),
        Type::ProceedingsEnded => Payload::ProceedingsEnded(v1::ProceedingsEnded {
            authority: reference("court"),
            outcome: v1::ProceedingsOutcome::Acquitted.into(),
        }),
        Type::ReleaseListed => Payload::ReleaseListed(v1::ReleaseListed {
            basis: v1::ReleaseBasis::EndOfHostilities.into(),
            list_reference: reference("list"),
        }),
        Type::WishesRecorded => Payload::WishesRecorded(v1::WishesRecorded {
            in_private: Some(true),
            outcome: v1::WishesOutcome::Return.into(),
        }),
        Type::HandoverScheduled => Payload::HandoverScheduled(v1::HandoverScheduled {
            operation: reference("operation"),
            date: planned(),
            place: place(),
        }),
        Type::HandoverPostponed => Payload::HandoverPostponed(v1::HandoverPostponed { reason }),
        Type::PersonNotPresented => Payload::PersonNotPresented(v1::PersonNotPresented { reason }),
        Type::HandoverCancelled => Payload::HandoverCancelled(v1::HandoverCancelled { reason }),
        Type::HandoverStarted => Payload::HandoverStarted(v1::HandoverStarted {
            operation: reference("operation"),
            releasing_body: reference("releasing"),
            receiving_body: reference("receiving"),
        }),
        Type::Released => Payload::Released(v1::Released {
            mode: v1::ReleaseMode::Handover.into(),
        }),
        Type::Arrived => Payload::Arrived(v1::Arrived {
            destination: v1::ArrivalDestination::OwnCountry.into(),
            place: place(),
        }),
        Type::Escaped => Payload::Escaped(v1::Escaped {}),
        Type::DiedInCustody => Payload::DiedInCustody(v1::DiedInCustody {
            place: place(),
            certifying_body: reference("certifier"),
        }),
        Type::AllegationDisproved => Payload::AllegationDisproved(v1::AllegationDisproved {
            evidence_reference: reference("evidence"),
        }),
        Type::AttestationIssued => Payload::AttestationIssued(v1::AttestationIssued {
            issuer: reference("issuer"),
        }),
        Type::FamilyContactRestored => Payload::FamilyContactRestored(v1::FamilyContactRestored {
            channel: v1::FamilyContactChannel::Call.into(),
        }),
        Type::RemainsReported => Payload::RemainsReported(v1::RemainsReported { site: place() }),
        Type::RemainsRecovered => Payload::RemainsRecovered(v1::RemainsRecovered {
            label: reference("label"),
            site: place(),
            recovering_team: reference("team"),
            completeness: v1::Completeness::Partial.into(),
        }),
        Type::CustodyTransferred => Payload::CustodyTransferred(v1::CustodyTransferred {
            from_custodian: reference("team"),
            to_custodian: reference("mortuary"),
            seal: reference("seal"),
            receipt: reference("receipt"),
        }),
        Type::ExaminationStarted => Payload::ExaminationStarted(v1::ExaminationStarted {
            examiner: reference("examiner"),
        }),
        Type::PostMortemCompleted => Payload::PostMortemCompleted(v1::PostMortemCompleted {
            examiner: reference("examiner"),
            form_reference: reference("form"),
            minimum_number_of_individuals: 1,
        }),
        Type::FoundNonHuman => Payload::FoundNonHuman(v1::FoundNonHuman {
            examiner: reference("examiner"),
        }),
        Type::SampleTaken => Payload::SampleTaken(v1::SampleTaken {
            barcode: reference("barcode"),
        }),
        Type::SampleResultReceived => Payload::SampleResultReceived(v1::SampleResultReceived {
            barcode: reference("barcode"),
            result: v1::SampleResult::Profile.into(),
        }),
        Type::MatchHypothesised => Payload::MatchHypothesised(v1::MatchHypothesised {
            candidate_case_id: id(),
            method,
        }),
        Type::MatchExcluded => Payload::MatchExcluded(v1::MatchExcluded { method }),
        Type::IdentificationEstablished => {
            Payload::IdentificationEstablished(v1::IdentificationEstablished {
                authority: reference("authority"),
                methods: vec![method, v1::IdentificationMethod::Visual.into()],
                secondary_combination_reference: reference("combination"),
                report_reference: reference("report"),
                ..Default::default()
            })
        }
        Type::IdentificationRevoked => Payload::IdentificationRevoked(v1::IdentificationRevoked {
            authority: reference("authority"),
            reason: v1::RevocationReason::SamplesConfused.into(),
            evidence_reference: reference("evidence"),
        }),
        Type::RemainsSplit => Payload::RemainsSplit(v1::RemainsSplit {
            labels: vec![reference("label-a"), reference("label-b")],
            basis: method,
        }),
        Type::RemainsReassociated => Payload::RemainsReassociated(v1::RemainsReassociated {
            into_case_id: id(),
            basis: method,
        }),
        Type::FamilyInformed => Payload::FamilyInformed(v1::FamilyInformed { date: date() }),
        Type::FamilyWishesRecorded => Payload::FamilyWishesRecorded(v1::FamilyWishesRecorded {
            wish_on_later_finds: v1::LaterFindsWish::TellAtEnd.into(),
        }),
        Type::ReturnedToParty => Payload::ReturnedToParty(v1::ReturnedToParty {
            receiving_body: reference("receiving"),
            receipt: reference("receipt"),
        }),
        Type::HandedOverToFamily => Payload::HandedOverToFamily(v1::HandedOverToFamily {
            receipt: reference("receipt"),
        }),
        Type::BuriedUnidentified => Payload::BuriedUnidentified(v1::BuriedUnidentified {
            grave_reference: reference("grave"),
            marker: reference("marker"),
        }),
        Type::FinalDispositionRecorded => {
            Payload::FinalDispositionRecorded(v1::FinalDispositionRecorded {
                place_reference: reference("grave"),
            })
        }
        Type::DisplacementRegistered => {
            Payload::DisplacementRegistered(v1::DisplacementRegistered {
                origin: place(),
                current_place: place(),
                household_size: 6,
            })
        }
        Type::IntentionRecorded => Payload::IntentionRecorded(v1::IntentionRecorded {
            option: v1::IntentionOption::Return.into(),
        }),
        Type::InformationProvided => {
            Payload::InformationProvided(v1::InformationProvided { place: place() })
        }
        Type::GoAndSeeVisitHeld => {
            Payload::GoAndSeeVisitHeld(v1::GoAndSeeVisitHeld { place: place() })
        }
        Type::ConditionsAssessed => Payload::ConditionsAssessed(v1::ConditionsAssessed {
            place: place(),
            scores: scores(),
        }),
        Type::VoluntarinessConfirmed => {
            Payload::VoluntarinessConfirmed(v1::VoluntarinessConfirmed {
                free: Some(true),
                informed: Some(true),
                expressed: Some(true),
            })
        }
        Type::ReturnScheduled => Payload::ReturnScheduled(v1::ReturnScheduled {
            movement: reference("movement"),
            date: planned(),
        }),
        Type::ReturnPostponed => Payload::ReturnPostponed(v1::ReturnPostponed { reason }),
        Type::ReturnCancelled => Payload::ReturnCancelled(v1::ReturnCancelled { reason }),
        Type::Departed => Payload::Departed(v1::Departed {
            movement: reference("movement"),
            members: 6,
        }),
        Type::TurnedBack => Payload::TurnedBack(v1::TurnedBack {
            place: place(),
            reason,
        }),
        Type::ReturnArrived => Payload::ReturnArrived(v1::ReturnArrived {
            place: place(),
            members: 4,
        }),
        Type::SpontaneousReturn => Payload::SpontaneousReturn(v1::SpontaneousReturn {
            place: place(),
            members: 4,
        }),
        Type::ReturnMonitored => {
            Payload::ReturnMonitored(v1::ReturnMonitored { criteria: scores() })
        }
        Type::ReDisplaced => Payload::ReDisplaced(v1::ReDisplaced {
            drivers: vec![
                v1::DisplacementDriver::Housing.into(),
                v1::DisplacementDriver::Disaster.into(),
            ],
        }),
        Type::SolutionAssessed => Payload::SolutionAssessed(v1::SolutionAssessed {
            method: v1::SolutionMethod::Interview.into(),
            criteria: scores(),
        }),
        Type::HouseholdSplit => Payload::HouseholdSplit(v1::HouseholdSplit { members: 2 }),
        Type::ReturnWithdrawn => Payload::ReturnWithdrawn(v1::ReturnWithdrawn { reason }),
        Type::LastMemberDied => Payload::LastMemberDied(v1::LastMemberDied {}),
        Type::SiteReported => Payload::SiteReported(v1::SiteReported { site: place() }),
        Type::SiteAccessRequested => Payload::SiteAccessRequested(v1::SiteAccessRequested {
            authority: reference("authority"),
        }),
        Type::SiteAccessGranted => Payload::SiteAccessGranted(v1::SiteAccessGranted {
            authority: reference("authority"),
        }),
        Type::SiteAccessRefused => Payload::SiteAccessRefused(v1::SiteAccessRefused { reason }),
        Type::SiteCleared => Payload::SiteCleared(v1::SiteCleared {
            clearing_body: reference("clearing"),
            certificate: reference("certificate"),
        }),
        Type::SiteSurveyed => Payload::SiteSurveyed(v1::SiteSurveyed {
            surveyor: reference("surveyor"),
            method: v1::SurveyMethod::Geophysical.into(),
        }),
        Type::RecoveryStarted => Payload::RecoveryStarted(v1::RecoveryStarted {
            recovering_team: reference("team"),
        }),
        Type::RecoverySuspended => Payload::RecoverySuspended(v1::RecoverySuspended { reason }),
        Type::RecoveryResumed => Payload::RecoveryResumed(v1::RecoveryResumed {
            recovering_team: reference("team"),
        }),
        Type::SiteExhausted => Payload::SiteExhausted(v1::SiteExhausted {
            report_reference: reference("report"),
        }),
        Type::NoRemainsFound => Payload::NoRemainsFound(v1::NoRemainsFound {
            report_reference: reference("report"),
        }),
        Type::InquiryOpened => Payload::InquiryOpened(v1::InquiryOpened {
            inquirer: reference("inquirer"),
            last_known_place: place(),
        }),
        Type::TracingStarted => Payload::TracingStarted(v1::TracingStarted {
            method: v1::TracingMethod::Registers.into(),
        }),
        Type::PotentialMatchFound => Payload::PotentialMatchFound(v1::PotentialMatchFound {
            candidate_case_id: id(),
        }),
        Type::MatchVerified => Payload::MatchVerified(v1::MatchVerified {
            basis: v1::MatchBasis::Documents.into(),
        }),
        Type::MatchRejected => Payload::MatchRejected(v1::MatchRejected {
            basis: v1::MatchBasis::Family.into(),
        }),
        Type::InquiryContactRestored => {
            Payload::InquiryContactRestored(v1::InquiryContactRestored {
                channel: v1::FamilyContactChannel::Call.into(),
            })
        }
        Type::FateClarified => Payload::FateClarified(v1::FateClarified {
            outcome: v1::FateOutcome::Alive.into(),
            evidence_reference: reference("evidence"),
        }),
        Type::InquiryClosedUnresolved => {
            Payload::InquiryClosedUnresolved(v1::InquiryClosedUnresolved {
                reason: v1::InquiryClosedReason::Withdrawn.into(),
            })
        }
        Type::AgreementSigned => Payload::AgreementSigned(v1::AgreementSigned {
            parties: vec![reference("party-a"), reference("party-b")],
            text_reference: reference("text"),
            clauses: vec![clause("clause:1")],
        }),
        Type::AgreementEnteredIntoForce => {
            Payload::AgreementEnteredIntoForce(v1::AgreementEnteredIntoForce {
                notice_reference: reference("notice"),
            })
        }
        Type::AgreementSuspended => Payload::AgreementSuspended(v1::AgreementSuspended {
            notice_reference: reference("notice"),
        }),
        Type::AgreementResumed => Payload::AgreementResumed(v1::AgreementResumed {
            notice_reference: reference("notice"),
        }),
        Type::AgreementEnded => Payload::AgreementEnded(v1::AgreementEnded {
            mode: v1::AgreementEndMode::CarriedOut.into(),
        }),
        // A reference of its own each time, so that any number can be added.
        Type::ClauseAdded => Payload::ClauseAdded(v1::ClauseAdded {
            clause: Some(clause(&id())),
        }),
        Type::ClauseDueDateChanged => Payload::ClauseDueDateChanged(v1::ClauseDueDateChanged {
            clause_reference: "clause:1".to_owned(),
            due: planned(),
        }),
        Type::ConsultationPlanned => Payload::ConsultationPlanned(v1::ConsultationPlanned {
            plan_year: 2024,
            parties: vec![reference("party-a"), reference("party-b")],
            date: planned(),
        }),
        Type::ConsultationMoved => Payload::ConsultationMoved(v1::ConsultationMoved {
            date: "2025-03".to_owned(),
            reason,
        }),
        Type::ConsultationHeld => Payload::ConsultationHeld(v1::ConsultationHeld {
            minutes_reference: reference("minutes"),
        }),
        Type::ConsultationCancelled => {
            Payload::ConsultationCancelled(v1::ConsultationCancelled { reason })
        }
        Type::UserAccountCreated => Payload::UserAccountCreated(v1::UserAccountCreated {
            name: reference("account"),
            role: v1::Role::CaseWorker.into(),
            organisation: reference("organisation"),
        }),
        Type::TokenIssued => Payload::TokenIssued(v1::TokenIssued {
            token_sha256: "5e".repeat(32),
            expires_on: "2025-01-31".to_owned(),
        }),
        Type::CertificateEnrolled => Payload::CertificateEnrolled(v1::CertificateEnrolled {
            certificate_sha256: "c0".repeat(32),
            expires_on: "2025-01-31".to_owned(),
        }),
        Type::GrantRevoked => Payload::GrantRevoked(v1::GrantRevoked {
            grant_event_id: id(),
        }),
        Type::UserAccountClosed => Payload::UserAccountClosed(v1::UserAccountClosed {}),
        Type::UnsealingGranted => Payload::UnsealingGranted(v1::UnsealingGranted {
            reason: v1::UnsealingReason::Complaint.into(),
            request_reference: reference("request"),
            expires_at: Some(Default::default()),
        }),
    }
}
