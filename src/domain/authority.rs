//! Authority: what a caller may see, and what they may record. It is data that the table of roles
//! fills in (`access::table`), judged here over cases and events alone.
//!
//! Invariants:
//! - A user account is no case: only the authority over accounts sees one, and that sees no case.
//! - What may not be recorded may not be recorded by a detour either: a replacement is judged as
//!   itself, and who corrects or verifies an event has to be one who may record it, as it stands and as
//!   it becomes, but where [`Writes::AllBut::verifies`] says otherwise.
//! - Whom a case is only referred to records less in it than those whose it is, and opens of its
//!   personal data what the consent to the referral lets them.

use std::collections::BTreeSet;

use super::lifecycle;
use super::state::CaseState;
use super::ties::Ties;
use super::two_persons::TwoPersons;
use crate::wire::event_type;
use crate::wire::v1::{CaseKind, Credibility, Event, EventType, PersonalClass, event::Payload};

/// What a caller may see and record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// Which cases there are for the caller.
    pub sight: Sight,
    /// Which events they may record in those, and in new ones.
    pub writes: Writes,
    /// Which of them they may record in a case that is only referred to their organisation.
    pub referred: &'static Referred,
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

/// What a case is to an organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// Its own: opened by it, or transferred to it last.
    Own,
    /// Referred to it, and accepted.
    Accepted,
    /// Offered to it.
    Offered,
}

/// Which events may be recorded in a case by an organisation to which it is only referred, of those
/// that the role may record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Referred {
    /// While it is offered.
    pub offered: Writes,
    /// Once it is accepted.
    pub accepted: Writes,
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
            referred: &Referred::NOTHING,
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
            referred: &Referred::NOTHING,
            two_persons: TwoPersons::NOWHERE,
        }
    }

    /// Whether an event may be recorded, as far as it tells itself: it, and the replacement that it
    /// brings.
    pub fn may_record(&self, event: &Event) -> bool {
        told_by(event).all(|(event, credibility)| self.writes.include(event, credibility))
    }

    /// Whether an event may be recorded in a case, once [`Authority::may_record`] says that it may be at
    /// all: by what the case is to the caller's organisation, by whose the event is to record, and by
    /// what it changes.
    pub fn may_record_in(&self, case: &CaseState, event: &Event) -> bool {
        // What is not opened yet is theirs who open it.
        let share = match case.version() {
            0 => Some(Share::Own),
            _ => self.sight.share(case),
        };
        let Some(share) = share else {
            return false;
        };
        let is_within = |(event, credibility)| match share {
            Share::Own => true,
            Share::Accepted => self.referred.accepted.include(event, credibility),
            Share::Offered => self.referred.offered.include(event, credibility),
        };
        told_by(event).all(is_within)
            && self.may_change(case, event, is_within)
            && self.is_party(case, share, event)
    }

    /// Whether what an event corrects or verifies is the caller's to record.
    fn may_change(
        &self,
        case: &CaseState,
        event: &Event,
        is_within: impl Fn((EventType, Credibility)) -> bool,
    ) -> bool {
        let (target, becomes) = match &event.payload {
            Some(Payload::EventCorrected(it)) => (&it.target_event_id, None),
            Some(Payload::VerificationChanged(it)) => (&it.target_event_id, Some(it.credibility())),
            _ => return true,
        };
        let found = case
            .index_of(target)
            .and_then(|index| Some((index, case.fact(index)?)));
        // Where there is none, the decision says so.
        found.is_none_or(|(index, target)| {
            let now = case.credibility_changed_to(index);
            let now = now.unwrap_or(target.credibility);
            let is_verified = becomes.is_some() && self.writes.verify(target.event_type);
            [now, becomes.unwrap_or(now)]
                .into_iter()
                .all(|credibility| {
                    (is_verified || self.writes.include(target.event_type, credibility))
                        && is_within((target.event_type, credibility))
                })
        })
    }

    /// Whether an event is for the caller's organisation to record, of those that share the case: the
    /// answer to a referral is the recipient's, its end the recipient's too, and a transfer is for whom
    /// the case was transferred to last.
    fn is_party(&self, case: &CaseState, share: Share, event: &Event) -> bool {
        let Some(organisation) = self.sight.organisation() else {
            return true;
        };
        let is_recipient = |referral: &str| {
            let ties = Ties::of(case);
            let recipient = ties.recipient(referral);
            recipient.is_none_or(|recipient| recipient == organisation)
        };
        match &event.payload {
            Some(Payload::ReferralAccepted(it)) => is_recipient(&it.referral_event_id),
            Some(Payload::ReferralRejected(it)) => is_recipient(&it.referral_event_id),
            Some(Payload::ReferralCompleted(it)) => {
                share == Share::Own || is_recipient(&it.referral_event_id)
            }
            Some(Payload::CaseTransferred(_)) if case.version() > 0 => {
                Ties::of(case).holder(case) == organisation
            }
            _ => true,
        }
    }
}

/// The types of the events that an event brings, each with its credibility: its own, and that of the
/// replacement in it.
fn told_by(event: &Event) -> impl Iterator<Item = (EventType, Credibility)> {
    let replacement = match &event.payload {
        Some(Payload::EventCorrected(correction)) => correction.replacement.as_deref(),
        _ => None,
    };
    [Some(event), replacement]
        .into_iter()
        .flatten()
        .filter_map(|event| {
            let event_type = event_type::of_payload(event.payload.as_ref()?);
            Some((event_type, event.credibility()))
        })
}

impl Referred {
    /// Nothing at all.
    pub const NOTHING: Self = Self {
        offered: Writes::Only(&[]),
        accepted: Writes::Only(&[]),
    };
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
        self.share(case).is_some()
    }

    /// What a case is to the caller's organisation; none where there is no such case for the caller.
    pub fn share(&self, case: &CaseState) -> Option<Share> {
        let is_account = case.kind() == CaseKind::UserAccount;
        match self {
            Self::All => (!is_account).then_some(Share::Own),
            Self::Organisation {
                organisation,
                kinds,
            } => {
                if is_account || !(kinds.is_empty() || kinds.contains(&case.kind())) {
                    None
                } else if case.organisation() == organisation {
                    Some(Share::Own)
                } else if case.keeps_payloads() {
                    Ties::of(case).share(organisation)
                } else {
                    None
                }
            }
            Self::UserAccounts => is_account.then_some(Share::Own),
            Self::Nothing => None,
        }
    }

    /// Those of the classes of personal data that the caller may open in a case: all in one of the own
    /// organisation, and in one that is only referred to it those to which the consent extends.
    pub fn opened(&self, case: &CaseState, classes: &[PersonalClass]) -> Vec<PersonalClass> {
        match (self.share(case), self.organisation()) {
            (None, _) => Vec::new(),
            (Some(Share::Own), _) | (Some(_), None) => classes.to_vec(),
            (Some(Share::Accepted | Share::Offered), Some(organisation)) => {
                let ties = Ties::of(case);
                let classes = classes.iter().copied();
                classes
                    .filter(|class| ties.consent_to(organisation, *class))
                    .collect()
            }
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

impl CaseState {
    /// The organisations for which there is the case, if they see its kind: [`Sight::share`] is for these.
    pub fn organisations(&self) -> BTreeSet<String> {
        let mut organisations = BTreeSet::from([self.organisation().to_owned()]);
        if self.keeps_payloads() {
            organisations.extend(Ties::of(self).organisations());
        }
        organisations
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
