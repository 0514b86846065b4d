//! Authority: what a caller may see, and what they may record. It is data that the table of roles
//! fills in (`access::table`), judged here over cases and events alone.
//!
//! Invariants:
//! - A user account is no case: only the authority over accounts sees one, and that sees no case.
//! - What may not be recorded may not be recorded by a detour either: a replacement is judged as
//!   itself, and verifying an event as recording it with that credibility, but where
//!   [`Writes::AllBut::verifies`] says otherwise.

use uuid::Uuid;

use super::lifecycle;
use super::state::CaseState;
use super::ties::Ties;
use super::two_persons::TwoPersons;
use crate::wire::v1::{CaseKind, Credibility, Event, EventType, event::Payload};

/// What a caller may see and record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// Which cases there are for the caller.
    pub sight: Sight,
    /// Which events they may record in those, and in new ones.
    pub writes: Writes,
    /// Which acts are not theirs alone.
    pub two_persons: TwoPersons,
}

/// Which cases there are for a caller. One out of sight is answered as one that does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    /// All cases.
    All,
    /// Those of an organisation: opened by it, transferred to it, or referred to it by a referral
    /// that is offered or accepted.
    Organisation {
        /// The organisation.
        organisation: String,
        /// Of these kinds alone; of all where there are none.
        kinds: &'static [CaseKind],
    },
    /// The user accounts, and no case.
    UserAccounts,
    /// Nothing.
    Nothing,
}

/// Which events a caller may record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writes {
    /// All events of cases.
    All,
    /// All events of cases but some.
    AllBut {
        /// Events that they may not record at all, in groups.
        never: &'static [&'static [EventType]],
        /// Events that they may record as allegations only.
        unconfirmed_only: &'static [EventType],
        /// Events that they may verify all the same, once others have recorded them.
        verifies: &'static [EventType],
    },
    /// These, in groups.
    Only(&'static [&'static [EventType]]),
}

impl Authority {
    /// That of a caller who may do everything with cases: the one of a server without accounts.
    pub const fn over_all_cases() -> Self {
        Self {
            sight: Sight::All,
            writes: Writes::All,
            two_persons: TwoPersons::NOWHERE,
        }
    }

    /// That by which accounts are kept.
    pub const fn over_user_accounts() -> Self {
        Self {
            sight: Sight::UserAccounts,
            writes: Writes::Only(&[&[
                EventType::UserAccountCreated,
                EventType::TokenIssued,
                EventType::CertificateEnrolled,
                EventType::GrantRevoked,
                EventType::UnsealingGranted,
                EventType::UserAccountClosed,
            ]]),
            two_persons: TwoPersons::NOWHERE,
        }
    }

    /// Whether an event may be recorded, as far as it tells itself: it, and the replacement that it
    /// brings.
    pub fn may_record(&self, event: &Event) -> bool {
        let of = |event: &Event| {
            event.payload.as_ref().is_none_or(|payload| {
                self.writes.include(
                    crate::wire::event_type::of_payload(payload),
                    event.credibility(),
                )
            })
        };
        let replacement = match &event.payload {
            Some(Payload::EventCorrected(correction)) => correction.replacement.as_deref(),
            _ => None,
        };
        of(event) && replacement.is_none_or(of)
    }

    /// Whether an event may be recorded in a case: a verification counts as its target.
    pub fn may_record_in(&self, case: &CaseState, event: &Event) -> bool {
        let Some(Payload::VerificationChanged(change)) = &event.payload else {
            return true;
        };
        let Ok(target_id) = Uuid::try_parse(&change.target_event_id) else {
            return true;
        };
        let facts = case.facts();
        let target = facts.iter().find(|fact| fact.event_id == target_id);
        target.is_none_or(|target| {
            let (event, credibility) = (target.event_type, change.credibility());
            self.writes.include(event, credibility) || self.writes.verify(event)
        })
    }
}

impl Writes {
    /// Whether an event of this type and credibility is one of them.
    pub fn include(self, event: EventType, credibility: Credibility) -> bool {
        let is_of_a_case = lifecycle::kind_of(event) != Some(CaseKind::UserAccount);
        match self {
            Self::All => is_of_a_case,
            Self::AllBut {
                never,
                unconfirmed_only,
                verifies: _,
            } => {
                let as_allegation_only = unconfirmed_only.contains(&event);
                is_of_a_case
                    && !holds(never, event)
                    && !(as_allegation_only && credibility == Credibility::Confirmed)
            }
            Self::Only(events) => holds(events, event),
        }
    }

    /// Whether events of this type are verified though they may not be recorded.
    fn verify(self, event: EventType) -> bool {
        matches!(self, Self::AllBut { verifies, .. } if verifies.contains(&event))
    }
}

fn holds(groups: &[&[EventType]], event: EventType) -> bool {
    groups.iter().any(|group| group.contains(&event))
}

impl Sight {
    /// Whether there is this case for the caller. One without facts is there for nobody.
    pub fn includes(&self, case: &CaseState) -> bool {
        let is_account = case.kind() == CaseKind::UserAccount;
        match self {
            Self::All => !is_account,
            Self::Organisation {
                organisation,
                kinds,
            } => {
                !is_account
                    && (kinds.is_empty() || kinds.contains(&case.kind()))
                    && (case.organisation() == organisation
                        || case.keeps_payloads() && Ties::of(case).concern(organisation))
            }
            Self::UserAccounts => is_account,
            Self::Nothing => false,
        }
    }

    /// The organisation whose cases alone there are; none where there is no such bound.
    pub fn organisation(&self) -> Option<&str> {
        match self {
            Self::Organisation { organisation, .. } => Some(organisation),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_death_is_recorded_as_an_allegation_only_by_whoever_may_not_confirm_one() {
        let writes = Writes::AllBut {
            never: &[&[EventType::CaseClosed]],
            unconfirmed_only: &[EventType::DiedInCustody],
            verifies: &[],
        };
        assert!(writes.include(EventType::DiedInCustody, Credibility::Likely));
        assert!(!writes.include(EventType::DiedInCustody, Credibility::Confirmed));
        assert!(!writes.include(EventType::CaseClosed, Credibility::Likely));
        assert!(writes.include(EventType::Released, Credibility::Confirmed));
    }

    #[test]
    fn the_events_of_accounts_are_for_the_authority_over_accounts_alone() {
        let accounts = Authority::over_user_accounts();
        let cases = Authority::over_all_cases();
        for event in crate::wire::event_type::ALL {
            let is_of_accounts = lifecycle::kind_of(*event) == Some(CaseKind::UserAccount);
            let confirmed = Credibility::Confirmed;
            assert_eq!(accounts.writes.include(*event, confirmed), is_of_accounts);
            assert_eq!(cases.writes.include(*event, confirmed), !is_of_accounts);
        }
    }
}
