//! Payloads that a case keeps whole beside its facts, since more of them is asked for than a fact
//! holds: few cases have them, and they are read only where somebody asks.

use prost::encoding::{DecodeContext, decode_key};
use uuid::Uuid;

use super::fact::{Effect, Fact, FactIndex};
use super::folded::Folded;
use super::state::CaseState;
use crate::wire::v1::{Credibility, event::Payload};

/// Whether the payloads of this event are kept whole.
pub(super) fn is_kept(payload: &Payload) -> bool {
    matches!(
        payload,
        Payload::CasesLinked(_)
            | Payload::CasesUnlinked(_)
            | Payload::DuplicateSuspected(_)
            | Payload::NotADuplicate(_)
            | Payload::CasesMerged(_)
            | Payload::CasesUnmerged(_)
            | Payload::ReferralOffered(_)
            | Payload::ReferralAccepted(_)
            | Payload::ReferralRejected(_)
            | Payload::ReferralCompleted(_)
            | Payload::ReferralRevoked(_)
            | Payload::CaseTransferred(_)
            | Payload::ConsentRecorded(_)
            | Payload::ConsentWithdrawn(_)
            | Payload::AccessRequested(_)
            | Payload::AccessGranted(_)
            | Payload::AccessDenied(_)
            | Payload::FollowUpScheduled(_)
            | Payload::FollowUpRescheduled(_)
            | Payload::FollowUpCompleted(_)
            | Payload::FollowUpCancelled(_)
            | Payload::CaseCovered(_)
            | Payload::CaseUncovered(_)
            | Payload::ErasureRequested(_)
            | Payload::ErasureExecuted(_)
            | Payload::ErasureRefused(_)
            | Payload::ClosureProposed(_)
            | Payload::IdentificationEstablished(_)
            | Payload::PotentialMatchFound(_)
            | Payload::AgreementSigned(_)
            | Payload::ClauseAdded(_)
            | Payload::ClauseDueDateChanged(_)
            | Payload::ConsultationPlanned(_)
            | Payload::ConsultationMoved(_)
            | Payload::UserAccountCreated(_)
            | Payload::TokenIssued(_)
            | Payload::CertificateEnrolled(_)
            | Payload::GrantRevoked(_)
            | Payload::UnsealingGranted(_)
    )
}

/// A payload as it is kept: its field as an event has it.
pub(super) fn encoded(payload: &Payload) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(payload.encoded_len());
    payload.encode(&mut bytes);
    bytes
}

/// What [`encoded`] gave; none for other bytes.
pub(super) fn decoded(mut bytes: &[u8]) -> Option<Payload> {
    let (tag, wire_type) = decode_key(&mut bytes).ok()?;
    let mut payload = None;
    let context = DecodeContext::default();
    Payload::merge(&mut payload, tag, wire_type, &mut bytes, context).ok()?;
    payload
}

impl CaseState {
    /// The payload of a fact, where it is kept whole.
    pub(super) fn kept_payload(&self, fact: &Fact) -> Option<Payload> {
        match fact.effect {
            Effect::Kept(place) | Effect::MergedInto(place) | Effect::Unmerged(place) => {
                decoded(self.kept_bytes(place))
            }
            _ => None,
        }
    }

    /// The facts that count and whose payloads are kept whole, in the order recorded.
    pub(super) fn kept_in_order_recorded(
        &self,
    ) -> impl Iterator<Item = (FactIndex, Fact, Payload)> {
        self.counting_facts()
            .filter_map(|(index, fact)| Some((index, fact, self.kept_payload(&fact)?)))
    }

    /// The case into which this one is merged; empty while it stands for itself.
    pub fn merged_into(&self) -> String {
        let payload = self
            .merge_place()
            .and_then(|place| decoded(self.kept_bytes(place)));
        match payload {
            Some(Payload::CasesMerged(merged)) => merged.other_case_id,
            _ => String::new(),
        }
    }

    /// The identifier of the case into which this one is merged, while it is.
    pub fn survivor(&self) -> Option<Uuid> {
        Uuid::try_parse(&self.merged_into()).ok()
    }

    /// The confirmed facts that a fold took, in the order of occurrence, each with its payload where
    /// that is kept whole.
    pub(super) fn confirmed_with_payloads(
        &self,
        folded: &Folded,
    ) -> Vec<(FactIndex, Fact, Option<Payload>)> {
        let order = folded.in_order(&self.facts()).into_iter();
        order
            .filter(|(_, fact, credibility)| {
                *credibility == Credibility::Confirmed && folded.by.holds(fact)
            })
            .map(|(index, fact, _)| (index, fact, self.kept_payload(&fact)))
            .collect()
    }
}
