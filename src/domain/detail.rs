//! What is particular to a case of the supporting kinds, told from the payloads that it keeps, by its
//! standing confirmed events in the order of occurrence; and whether an event names what is there.

use uuid::Uuid;

use super::fact::{Fact, FactIndex};
use super::folded::Folded;
use super::matter::Matter;
use super::rejection::Rejection;
use super::state::CaseState;
use crate::wire::v1::{
    AgreementDetail, ConsultationDetail, Credibility, EventType, InquiryDetail, event::Payload,
};
use crate::wire::validate::ValidEvent;

impl CaseState {
    /// Whether what a confirmed event, or its replacement of the fact `corrected`, names besides
    /// events and statuses is there, or not there yet, as it has to be.
    pub(super) fn decide_matter(
        &self,
        event: &ValidEvent,
        corrected: Option<FactIndex>,
    ) -> Result<(), Rejection> {
        let told = match event.event().payload.as_ref() {
            Some(Payload::EventCorrected(correction)) => correction.replacement.as_deref(),
            _ => Some(event.event()),
        };
        match told {
            Some(told) if told.credibility() == Credibility::Confirmed => {
                self.decide_clauses(event.event_type(), told.payload.as_ref(), corrected)
            }
            _ => Ok(()),
        }
    }

    /// [`CaseState::decide_matter`] for a fact that is raised to confirmed.
    pub(super) fn decide_raised_matter(&self, fact: &Fact) -> Result<(), Rejection> {
        let payload = self.kept_payload(fact);
        self.decide_clauses(EventType::VerificationChanged, payload.as_ref(), None)
    }

    fn decide_clauses(
        &self,
        event: EventType,
        payload: Option<&Payload>,
        corrected: Option<FactIndex>,
    ) -> Result<(), Rejection> {
        let (named, has_to_be): (Vec<&str>, bool) = match payload {
            Some(Payload::AgreementSigned(signed)) => {
                let clauses = signed.clauses.iter();
                (clauses.map(|it| it.reference.as_str()).collect(), false)
            }
            Some(Payload::ClauseAdded(added)) => {
                let clause = added.clause.iter();
                (clause.map(|it| it.reference.as_str()).collect(), false)
            }
            Some(Payload::ClauseDueDateChanged(changed)) => {
                (vec![changed.clause_reference.as_str()], true)
            }
            _ => return Ok(()),
        };
        let (AgreementDetail { clauses, .. }, _) = self.agreement_terms(self.folded(), corrected);
        let is_there = |named: &&str| clauses.iter().any(|clause| clause.reference == **named);
        if named.iter().all(|named| is_there(named) == has_to_be) {
            return Ok(());
        }
        Err(Rejection::Matter {
            event,
            matter: Matter::Clause,
            is_there: !has_to_be,
        })
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
        self.agreement_terms(folded, None).0
    }

    /// What an agreement says, and for each of its clauses the event that set the due date last.
    pub(super) fn agreement_terms(
        &self,
        folded: &Folded,
        left_out: Option<FactIndex>,
    ) -> (AgreementDetail, Vec<Uuid>) {
        let (mut detail, mut due_set_by) = (AgreementDetail::default(), Vec::new());
        for (index, fact, payload) in self.confirmed_with_payloads(folded) {
            if Some(index) == left_out {
                continue;
            }
            match payload {
                Some(Payload::AgreementSigned(signed)) => {
                    due_set_by = vec![fact.event_id; signed.clauses.len()];
                    detail.parties = signed.parties;
                    detail.text_reference = signed.text_reference;
                    detail.clauses = signed.clauses;
                }
                Some(Payload::ClauseAdded(added)) => {
                    due_set_by.extend(added.clause.iter().map(|_| fact.event_id));
                    detail.clauses.extend(added.clause);
                }
                Some(Payload::ClauseDueDateChanged(changed)) => {
                    let mut clauses = detail.clauses.iter_mut().zip(&mut due_set_by);
                    // A clause of an event that no longer counts is not there.
                    if let Some((clause, set_by)) =
                        clauses.find(|(clause, _)| clause.reference == changed.clause_reference)
                    {
                        clause.due = changed.due;
                        *set_by = fact.event_id;
                    }
                }
                _ => {}
            }
        }
        (detail, due_set_by)
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
