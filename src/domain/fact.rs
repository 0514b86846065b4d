//! A fact: what the fold needs of one event. A case keeps all its facts (packed, see
//! `domain::packed`), so that it can be folded anew without reading the log, also as it was known
//! or as it was at an earlier time.
//!
//! The fact of a correction is that of its replacement, under the correction's event_id: it is
//! folded, verified and disputed like any other of its type, and besides takes its target away.

use std::num::NonZeroU32;

use uuid::Uuid;

use super::kept;
use super::lifecycle::{self, Allowed};
use crate::wire::edtf::{self, Day, OccurredDays};
use crate::wire::event_type;
use crate::wire::moment::Moment;
use crate::wire::v1::{
    self, CaseStatus, Credibility, EventType, LegalCategory, MergeRole, WishesOutcome,
    event::Payload,
};

/// What the fold needs of one recorded event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fact {
    /// Position of its record in the log.
    pub position: u64,
    /// Its event_id.
    pub event_id: Uuid,
    /// When it was recorded.
    pub recorded_at: Moment,
    /// The day that orders it: the latest on which it can have happened, never later than the day
    /// of its recording.
    pub day: Day,
    /// The earliest day on which it can have happened, never later than `day`.
    pub earliest: Day,
    /// What it is; that of the replacement for a correction, unspecified for an event that this
    /// version does not know.
    pub event_type: EventType,
    /// Its credibility as recorded.
    pub credibility: Credibility,
    /// The status that it claims, where it claims one.
    pub claim: Option<CaseStatus>,
    /// The district that it tells.
    pub(super) district: Option<TextPlace>,
    /// What else it does.
    pub(super) effect: Effect,
    /// The fact that it replaces, for a correction.
    pub(super) corrects: Option<FactIndex>,
}

impl Fact {
    /// The type of the recorded event, which is not that of the replacement.
    pub fn recorded_type(&self) -> EventType {
        if self.corrects.is_some() {
            EventType::EventCorrected
        } else {
            self.event_type
        }
    }

    /// Whether it concerns the record of the case: it bears on what other facts count for, and not
    /// by its place in the order of occurrence.
    pub(super) fn concerns_others(&self) -> bool {
        self.corrects.is_some()
            || matches!(
                self.effect,
                Effect::Verify(..)
                    | Effect::Dispute(_)
                    | Effect::Resolve(_)
                    | Effect::Void(_)
                    | Effect::Retract(_)
            )
    }

    /// Whether its payload is kept whole.
    pub(super) fn keeps_payload(&self) -> bool {
        matches!(
            self.effect,
            Effect::Kept(_) | Effect::MergedInto(_) | Effect::Unmerged(_)
        )
    }

    /// The fact that it takes away, where it does.
    pub(super) fn removes(&self) -> Option<FactIndex> {
        match self.effect {
            Effect::Void(target) | Effect::Retract(target) => Some(target),
            _ => self.corrects,
        }
    }

    /// Whether it needs an existing case: a confirmed event that is allowed in any status.
    pub(super) fn opens_no_case(&self) -> bool {
        self.credibility == Credibility::Confirmed
            && lifecycle::row(self.event_type).is_none_or(|row| row.allowed == Allowed::Any)
    }
}

/// What an event does besides claiming a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    None,
    Category(LegalCategory),
    ReleaseHold(bool),
    Wishes(WishesOutcome),
    Label(TextPlace),
    Custodian(TextPlace),
    MinimumNumberOfIndividuals(u32),
    HouseholdSize(u32),
    HouseholdSplit(u32),
    MembersReturned(u32),
    /// The credibility of the fact at this index is this from now on.
    Verify(FactIndex, Credibility),
    /// The fact at this index is disputed.
    Dispute(FactIndex),
    /// The dispute that the fact at this index opened is resolved.
    Resolve(FactIndex),
    /// The fact at this index no longer counts, since the closing that it brought was wrong.
    Void(FactIndex),
    /// The fact at this index no longer counts, and what it took away counts again.
    Retract(FactIndex),
    Close,
    /// Its payload is kept whole at this place.
    Kept(TextPlace),
    /// The case is merged into the one that the payload kept at this place names.
    MergedInto(TextPlace),
    /// The case is no longer merged into another one; its payload is kept at this place.
    Unmerged(TextPlace),
    /// It names an event that the case does not have: only a record of another version can.
    Unresolved,
}

/// Place of a fact in its case, in the order recorded.
pub(super) type FactIndex = u32;

/// Place of a text among the facts of its case, so that a fact stays small.
pub(super) type TextPlace = NonZeroU32;

/// What a fact is made from, however its record was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Happening<'a> {
    pub(super) position: u64,
    pub(super) event_id: Uuid,
    pub(super) days: OccurredDays,
    pub(super) recorded_at: Moment,
    pub(super) credibility: Credibility,
    pub(super) payload: Option<&'a Payload>,
}

/// The case that an event comes to, as far as its fact refers to what is there.
pub(super) trait Surroundings {
    /// The index of the fact of an event.
    fn resolve(&self, event_id: &str) -> Option<FactIndex>;

    /// The day on which the event was recorded whose place the fact at this index has: its own, or
    /// for a correction that of what it replaces.
    fn first_recorded_on(&self, index: FactIndex) -> Day;

    /// The place of a text among the facts; none for an empty one.
    fn intern(&mut self, text: &str) -> Option<TextPlace>;

    /// Keeps a payload whole; none for a case that is only judged.
    fn keep(&mut self, payload: &Payload) -> Option<TextPlace>;
}

/// Makes the fact of an event.
pub(super) fn fact_of(mut happening: Happening<'_>, mut case: impl Surroundings) -> Fact {
    let mut known_on = happening.recorded_at.day();
    let mut corrects = None;
    if let Some(Payload::EventCorrected(correction)) = happening.payload
        && let Some(target) = case.resolve(&correction.target_event_id)
        && let Some(replacement) = &correction.replacement
    {
        corrects = Some(target);
        happening.days = edtf::days(&replacement.occurred).unwrap_or(OccurredDays::ALWAYS);
        happening.credibility = replacement.credibility();
        happening.payload = replacement.payload.as_ref();
        // Where the replacement can have happened before its target was recorded, it had: a date
        // without an end does not move to the day of the correction.
        let first_known_on = case.first_recorded_on(target);
        if happening.days.earliest <= first_known_on {
            known_on = first_known_on;
        }
    }
    let Happening {
        position,
        event_id,
        days,
        recorded_at,
        credibility,
        payload,
    } = happening;
    let event_type = payload.map_or(EventType::Unspecified, event_type::of_payload);
    let day = days.latest.min(known_on);
    Fact {
        position,
        event_id,
        recorded_at,
        day,
        earliest: days.earliest.min(day),
        event_type,
        credibility,
        claim: lifecycle::row(event_type).and_then(|row| lifecycle::claimed_status(row, payload)),
        district: payload
            .and_then(place_of)
            .and_then(|place| case.intern(&place.district)),
        effect: payload.map_or(Effect::None, |payload| effect_of(payload, &mut case)),
        corrects,
    }
}

/// The place that says where the person, the remains or the household now are.
fn place_of(payload: &Payload) -> Option<&v1::Place> {
    match payload {
        Payload::DetentionAlleged(event) => event.place.as_ref(),
        Payload::VisitedAndRegistered(event) => event.place.as_ref(),
        Payload::PlaceTransferred(event) => event.to_place.as_ref(),
        Payload::HospitalAdmitted(event) => event.place.as_ref(),
        Payload::Arrived(event) => event.place.as_ref(),
        Payload::DiedInCustody(event) => event.place.as_ref(),
        Payload::RemainsReported(event) => event.site.as_ref(),
        Payload::RemainsRecovered(event) => event.site.as_ref(),
        Payload::DisplacementRegistered(event) => event.current_place.as_ref(),
        Payload::TurnedBack(event) => event.place.as_ref(),
        Payload::ReturnArrived(event) => event.place.as_ref(),
        Payload::SpontaneousReturn(event) => event.place.as_ref(),
        Payload::SiteReported(event) => event.site.as_ref(),
        Payload::InquiryOpened(event) => event.last_known_place.as_ref(),
        _ => None,
    }
}

fn effect_of(payload: &Payload, case: &mut impl Surroundings) -> Effect {
    let target = |event_id: &str, effect: &dyn Fn(FactIndex) -> Effect| {
        case.resolve(event_id).map_or(Effect::Unresolved, effect)
    };
    match payload {
        Payload::CaseClosed(_) => Effect::Close,
        Payload::CaseReopened(event) => target(&event.closing_event_id, &Effect::Void),
        Payload::VerificationChanged(event) => target(&event.target_event_id, &|index| {
            Effect::Verify(index, event.credibility())
        }),
        Payload::EventDisputed(event) => target(&event.target_event_id, &Effect::Dispute),
        Payload::DisputeResolved(event) => target(&event.dispute_event_id, &Effect::Resolve),
        Payload::EventRetracted(event) => target(&event.target_event_id, &Effect::Retract),
        // Its target is not there, or it replaces it by nothing.
        Payload::EventCorrected(_) => Effect::Unresolved,
        Payload::DetentionAlleged(event) => Effect::Category(event.category()),
        Payload::LegalCategoryAsserted(event) => Effect::Category(event.category()),
        Payload::ProceedingsNotified(_) => Effect::ReleaseHold(true),
        Payload::ProceedingsEnded(_) => Effect::ReleaseHold(false),
        Payload::WishesRecorded(event) => Effect::Wishes(event.outcome()),
        Payload::RemainsRecovered(event) => case
            .intern(&event.label)
            .map_or(Effect::None, Effect::Label),
        Payload::CustodyTransferred(event) => {
            let custodian = case.intern(&event.to_custodian);
            custodian.map_or(Effect::None, Effect::Custodian)
        }
        Payload::PostMortemCompleted(event) => {
            Effect::MinimumNumberOfIndividuals(event.minimum_number_of_individuals)
        }
        Payload::DisplacementRegistered(event) => Effect::HouseholdSize(event.household_size),
        Payload::HouseholdSplit(event) => Effect::HouseholdSplit(event.members),
        Payload::ReturnArrived(event) => Effect::MembersReturned(event.members),
        Payload::SpontaneousReturn(event) => Effect::MembersReturned(event.members),
        kept if kept::is_kept(kept) => {
            let effect = match kept {
                Payload::CasesMerged(event) if event.role() == MergeRole::Merged => {
                    Effect::MergedInto
                }
                Payload::CasesUnmerged(event) if event.role() == MergeRole::Merged => {
                    Effect::Unmerged
                }
                _ => Effect::Kept,
            };
            case.keep(kept).map_or(Effect::None, effect)
        }
        _ => Effect::None,
    }
}
