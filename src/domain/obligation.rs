//! What a case is to a clause that covers it: the duty is met in it, or it is out of the count for a
//! reason, or neither yet.
//!
//! A case is judged by itself alone. No case counts because another one does.

use super::fold::Image;
use super::lifecycle;
use super::state::CaseState;
use crate::wire::edtf::{self, Day, OccurredDays};
use crate::wire::v1::{
    CaseKind, CaseStatus, CoverageRule, ExclusionReason, LegalCategory, WishesOutcome,
};

/// What a case is to a clause that covers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Obligation {
    /// The duty is met, by confirmed events.
    pub is_confirmed: bool,
    /// The duty is met, by all that is told.
    pub is_reported: bool,
    /// Why the case is out of the count, where it is and the duty is not met.
    pub exclusion: Option<ExclusionReason>,
}

impl Obligation {
    /// Whether the duty is still to be met: neither met by confirmed events nor out of the count.
    pub fn is_outstanding(&self) -> bool {
        !self.is_confirmed && self.exclusion.is_none()
    }
}

impl CaseState {
    /// What the case is to a clause that covers it.
    pub fn obligation(&self) -> Obligation {
        let image = self.image();
        let is_confirmed = is_met(image, image.confirmed);
        let declined = self.kind() == CaseKind::Detention
            && image.wishes == WishesOutcome::Decline
            && !lifecycle::is_end(image.confirmed);
        let exclusion = if declined {
            Some(ExclusionReason::Declined)
        } else {
            exclusion(image.confirmed)
        };
        Obligation {
            is_confirmed,
            is_reported: is_met(image, image.reported),
            exclusion: exclusion.filter(|_| !is_confirmed),
        }
    }

    /// Whether all that a rule says holds for the case. A date holds where the first event can only
    /// have happened on days within it.
    pub fn is_covered_by(&self, rule: &CoverageRule) -> bool {
        if rule.kind() != self.kind() {
            return false;
        }
        let any_category = rule.category() == LegalCategory::Unspecified;
        if !any_category && self.image().category.value() != Some(rule.category()) {
            return false;
        }
        if !rule.district.is_empty() && self.standing().district != rule.district {
            return false;
        }
        rule.date.is_empty()
            || edtf::days(&rule.date).is_ok_and(|days| {
                self.first_occurred().is_some_and(|first| {
                    days.earliest <= first.earliest && first.latest <= days.latest
                })
            })
    }

    /// The days on which the first event that counts can have happened.
    fn first_occurred(&self) -> Option<OccurredDays> {
        let (_, fact, _) = *self.in_order().first()?;
        Some(OccurredDays {
            earliest: fact.earliest,
            latest: fact.day,
        })
    }

    /// The day since which the duty is met by confirmed events, the latest that their dates allow;
    /// none where it is not met.
    pub fn obligation_met_on(&self) -> Option<Day> {
        let (mut image, mut met_on) = (Image::default(), None);
        for (index, fact, credibility) in self.in_order() {
            // Whether the sequence is broken is no matter here.
            let _ = image.step(self.kind(), index, &fact, credibility);
            let met = is_met(&image, image.confirmed);
            met_on = met.then(|| met_on.unwrap_or(fact.day));
        }
        met_on
    }
}

/// Whether the duty is met in this status. A return that did not hold was one: the household had
/// arrived.
fn is_met(image: &Image, status: CaseStatus) -> bool {
    match status {
        CaseStatus::DetentionReleased
        | CaseStatus::DetentionRepatriated
        | CaseStatus::DetentionReturnedToResidence
        | CaseStatus::DetentionAccommodatedElsewhere
        | CaseStatus::RemainsReturnedToParty
        | CaseStatus::RemainsHandedOver
        | CaseStatus::RemainsFinalDisposition
        | CaseStatus::ReturnReturned
        | CaseStatus::ReturnSolutionAchieved
        | CaseStatus::SiteExhausted
        | CaseStatus::SiteNoRemainsFound
        | CaseStatus::InquiryContactRestored
        | CaseStatus::InquiryFateClarified
        | CaseStatus::ConsultationHeld => true,
        CaseStatus::ReturnReDisplaced => image.members_returned > 0,
        _ => false,
    }
}

/// Why a case in this status is out of the count.
fn exclusion(status: CaseStatus) -> Option<ExclusionReason> {
    match status {
        CaseStatus::DetentionDiedInCustody | CaseStatus::ReturnDeceased => {
            Some(ExclusionReason::Died)
        }
        CaseStatus::DetentionUnfounded | CaseStatus::RemainsNonHuman => {
            Some(ExclusionReason::Unfounded)
        }
        CaseStatus::ReturnWithdrawn => Some(ExclusionReason::Declined),
        CaseStatus::DetentionEscaped => Some(ExclusionReason::Escaped),
        CaseStatus::RemainsReassociated => Some(ExclusionReason::Reassociated),
        _ => None,
    }
}
