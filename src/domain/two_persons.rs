//! Acts for which it takes two persons: a closing, which follows another account's proposal, and an
//! identification, which one account records unconfirmed and another one confirms.
//!
//! An account is told by its actor alone: who acts for two organisations is one person all the same.
//!
//! Nothing waits outside the log: the first person's act is an event like any other, which says who
//! recorded it, and the second person's is judged by it.

use super::rejection::Rejection;
use super::state::CaseState;
use super::ties::Ties;
use crate::wire::v1::{Credibility, Event, EventType, event::Payload};

/// Which acts take two persons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TwoPersons {
    /// CaseClosed.
    pub closing: bool,
    /// IdentificationEstablished, as confirmed.
    pub identification: bool,
}

impl TwoPersons {
    /// One person is enough for all of them.
    pub const NOWHERE: Self = Self {
        closing: false,
        identification: false,
    };

    /// All of them take two.
    pub const EVERYWHERE: Self = Self {
        closing: true,
        identification: true,
    };
}

impl CaseState {
    /// Whether an event may be recorded in this case as far as it takes two persons; `actor` is the
    /// second one.
    ///
    /// # Errors
    /// [`Rejection::TwoPersonsRequired`].
    pub fn decide_persons(
        &self,
        event: &Event,
        rule: TwoPersons,
        actor: &str,
    ) -> Result<(), Rejection> {
        let (event_type, is_by_two) = match &event.payload {
            Some(Payload::CaseClosed(closed)) if rule.closing => {
                let ties = Ties::of(self);
                let proposal = ties.closure_proposal(&closed.proposal_event_id);
                let is_by_two = proposal.is_some_and(|proposal| {
                    proposal.reason == closed.reason && is_another(&proposal.proposed_by, actor)
                });
                (EventType::CaseClosed, is_by_two)
            }
            Some(Payload::IdentificationEstablished(_)) if rule.identification => {
                let is_confirmed = event.credibility() == Credibility::Confirmed;
                (EventType::IdentificationEstablished, !is_confirmed)
            }
            Some(Payload::EventCorrected(corrected)) if rule.identification => {
                let confirms = corrected.replacement.as_ref().is_some_and(|it| {
                    it.credibility() == Credibility::Confirmed
                        && matches!(it.payload, Some(Payload::IdentificationEstablished(_)))
                });
                (EventType::EventCorrected, !confirms)
            }
            Some(Payload::VerificationChanged(changed))
                if rule.identification && changed.credibility() == Credibility::Confirmed =>
            {
                let recorded_by = self.identification_recorded_by(&changed.target_event_id);
                let is_by_two = recorded_by.is_none_or(|by| is_another(&by, actor));
                (EventType::VerificationChanged, is_by_two)
            }
            _ => return Ok(()),
        };
        if is_by_two {
            return Ok(());
        }
        Err(Rejection::TwoPersonsRequired { event: event_type })
    }

    /// Who recorded an event that establishes an identification, empty where that is not known; none
    /// for another event.
    fn identification_recorded_by(&self, event_id: &str) -> Option<String> {
        let fact = self.fact(self.index_of(event_id)?)?;
        if fact.event_type != EventType::IdentificationEstablished {
            return None;
        }
        match self.kept_payload(&fact) {
            Some(Payload::IdentificationEstablished(established)) => Some(established.recorded_by),
            _ => Some(String::new()),
        }
    }
}

/// Whether who recorded something, as actor@organisation, is known, and another one than an actor. The
/// organisation does not tell persons apart: one may act for two.
pub(super) fn is_another(recorded_by: &str, actor: &str) -> bool {
    !recorded_by.is_empty() && actor_of(recorded_by) != actor
}

/// The actor of actor@organisation. Neither has an @ of its own.
pub(super) fn actor_of(name: &str) -> &str {
    name.split_once('@').map_or(name, |(actor, _)| actor)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::wire::v1::{EventCorrected, IdentificationEstablished};

    #[test]
    fn who_acts_for_two_organisations_is_one_person() {
        assert!(!is_another("oidc:one@org-a", "oidc:one"));
        assert!(is_another("oidc:one@org-a", "oidc:other"));
        assert!(!is_another("", "oidc:one"));
    }

    #[test]
    fn a_confirmed_identification_in_the_place_of_another_event_takes_two_persons_too() {
        let corrected = |credibility: Credibility| Event {
            credibility: Credibility::Confirmed.into(),
            payload: Some(Payload::EventCorrected(Box::new(EventCorrected {
                replacement: Some(Box::new(Event {
                    credibility: credibility.into(),
                    payload: Some(Payload::IdentificationEstablished(
                        IdentificationEstablished::default(),
                    )),
                    ..Event::default()
                })),
                ..EventCorrected::default()
            }))),
            ..Event::default()
        };
        let decide = |event: &Event, rule| {
            let case = CaseState::new(Uuid::from_u128(1));
            case.decide_persons(event, rule, "worker-1")
        };
        let event = EventType::EventCorrected;
        let confirmed = corrected(Credibility::Confirmed);
        assert_eq!(
            decide(&confirmed, TwoPersons::EVERYWHERE),
            Err(Rejection::TwoPersonsRequired { event })
        );
        assert_eq!(decide(&confirmed, TwoPersons::NOWHERE), Ok(()));
        let likely = corrected(Credibility::Likely);
        assert_eq!(decide(&likely, TwoPersons::EVERYWHERE), Ok(()));
    }
}
