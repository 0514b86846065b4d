//! What is particular to a case of the supporting kinds, told from the payloads that it keeps, by its
//! standing confirmed events in the order of occurrence; and whether an event names what is there.

use super::folded::Folded;
use super::matter::Matter;
use super::rejection::Rejection;
use super::state::CaseState;
use crate::wire::v1::{
    AgreementDetail, ConsultationDetail, Credibility, EventType, InquiryDetail, event::Payload,
};
use crate::wire::validate::ValidEvent;

impl CaseState {
    /// Whether what a confirmed event names besides events and statuses is there, or not there yet,
    /// as it has to be.
    pub(super) fn decide_matter(&self, event: &ValidEvent) -> Result<(), Rejection> {
        if event.credibility() != Credibility::Confirmed {
            return Ok(());
        }
        let (matter, is_there, has_to_be) = match event.event().payload.as_ref() {
            Some(Payload::ClauseAdded(added)) => {
                let reference = added
                    .clause
                    .as_ref()
                    .map(|clause| clause.reference.as_str());
                (Matter::Clause, self.has_clause(reference), false)
            }
            Some(Payload::ClauseDueDateChanged(changed)) => {
                let reference = Some(changed.clause_reference.as_str());
                (Matter::Clause, self.has_clause(reference), true)
            }
            _ => return Ok(()),
        };
        if is_there == has_to_be {
            return Ok(());
        }
        Err(Rejection::Matter {
            event: event.event_type(),
            matter,
            is_there,
        })
    }

    fn has_clause(&self, reference: Option<&str>) -> bool {
        let clauses = self.agreement_detail(self.folded()).clauses;
        let mut references = clauses.iter().map(|clause| clause.reference.as_str());
        references.any(|known| Some(known) == reference)
    }

    pub(super) fn inquiry_detail(&self, folded: &Folded) -> InquiryDetail {
        let mut detail = InquiryDetail::default();
        for (_, fact, payload) in self.confirmed_with_payloads(folded) {
            if let Some(Payload::PotentialMatchFound(found)) = payload {
                detail.candidate_case_id = found.candidate_case_id;
            } else if fact.event_type == EventType::MatchRejected {
                detail.candidate_case_id.clear();
            }
        }
        detail
    }

    pub(super) fn agreement_detail(&self, folded: &Folded) -> AgreementDetail {
        let mut detail = AgreementDetail::default();
        for (.., payload) in self.confirmed_with_payloads(folded) {
            match payload {
                Some(Payload::AgreementSigned(signed)) => {
                    detail.parties = signed.parties;
                    detail.text_reference = signed.text_reference;
                    detail.clauses = signed.clauses;
                }
                Some(Payload::ClauseAdded(added)) => detail.clauses.extend(added.clause),
                Some(Payload::ClauseDueDateChanged(changed)) => {
                    let mut clauses = detail.clauses.iter_mut();
                    // A clause of an event that no longer counts is not there.
                    if let Some(clause) =
                        clauses.find(|clause| clause.reference == changed.clause_reference)
                    {
                        clause.due = changed.due;
                    }
                }
                _ => {}
            }
        }
        detail
    }

    pub(super) fn consultation_detail(&self, folded: &Folded) -> ConsultationDetail {
        let mut detail = ConsultationDetail::default();
        for (.., payload) in self.confirmed_with_payloads(folded) {
            match payload {
                Some(Payload::ConsultationPlanned(planned)) => {
                    detail.plan_year = planned.plan_year;
                    detail.parties = planned.parties;
                    detail.date = planned.date;
                }
                Some(Payload::ConsultationMoved(moved)) => detail.date = moved.date,
                _ => {}
            }
        }
        detail
    }
}
