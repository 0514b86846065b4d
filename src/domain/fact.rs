//! A fact: what the fold needs of one event, in a few bytes. A case keeps all its facts, so that it
//! can be folded anew without reading the log.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::lifecycle::{self, Allowed};
use crate::wire::edtf::{Day, OccurredDays};
use crate::wire::event_type;
use crate::wire::v1::{
    self, CaseStatus, Credibility, EventType, LegalCategory, WishesOutcome, event::Payload,
};

/// What the fold needs of one recorded event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// Position of its record in the log.
    pub position: u64,
    /// Its event_id.
    pub event_id: Uuid,
    /// The day that orders it: the latest on which it can have happened, never later than the day
    /// of its recording.
    pub day: Day,
    /// What it is; unspecified for an event that this version does not know.
    pub event_type: EventType,
    /// Its credibility as recorded.
    pub credibility: Credibility,
    /// The status that it claims, where it claims one.
    pub claim: Option<CaseStatus>,
    /// The district that it tells.
    pub(super) district: Option<TextIndex>,
    /// What else it does.
    pub(super) effect: Effect,
}

impl Fact {
    /// Whether it needs an existing case: a confirmed event that is allowed in any status.
    pub(super) fn opens_no_case(&self) -> bool {
        self.credibility == Credibility::Confirmed
            && lifecycle::row(self.event_type).is_none_or(|row| row.allowed == Allowed::Any)
    }
}

/// What an event does besides claiming a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Effect {
    None,
    Category(LegalCategory),
    ReleaseHold(bool),
    Wishes(WishesOutcome),
    Label(TextIndex),
    Custodian(TextIndex),
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
    /// The fact at this index no longer counts.
    Void(FactIndex),
    Close,
    /// It names an event that the case does not have: only a record of another version can.
    Unresolved,
}

/// Place of a fact in its case, in the order recorded.
pub(super) type FactIndex = u32;

/// Place of a text in the texts of its case, so that a fact stays small.
pub(super) type TextIndex = u32;

/// How many texts a new one is compared with, so that a long case with ever new texts stays cheap.
const TEXTS_COMPARED_MAX: usize = 32;

/// The texts of a case that its facts refer to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Texts(Vec<Box<str>>);

impl Texts {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    pub(super) fn get(&self, index: Option<TextIndex>) -> &str {
        index
            .and_then(|index| self.0.get(usize::try_from(index).ok()?))
            .map_or("", |text| text.as_ref())
    }

    /// The index of a text, which is added where it is not among the newest; none for an empty one.
    pub(super) fn intern(&mut self, text: &str) -> Option<TextIndex> {
        if text.is_empty() {
            return None;
        }
        let newest = self.0.len().saturating_sub(TEXTS_COMPARED_MAX);
        let index = (newest..)
            .zip(self.0.iter().skip(newest))
            .find_map(|(index, known)| (known.as_ref() == text).then_some(index))
            .unwrap_or_else(|| {
                self.0.push(text.into());
                self.0.len() - 1
            });
        TextIndex::try_from(index).ok()
    }
}

/// Makes the fact of an event. `resolve` finds an earlier fact of the case by its event_id,
/// `intern` gives a text its index (a decision needs none, and gives none).
pub(super) fn fact_of(
    event: &v1::Event,
    event_id: Uuid,
    days: OccurredDays,
    position: u64,
    recorded_on: Day,
    resolve: impl Fn(&str) -> Option<FactIndex>,
    mut intern: impl FnMut(&str) -> Option<TextIndex>,
) -> Fact {
    let payload = event.payload.as_ref();
    let event_type = payload.map_or(EventType::Unspecified, event_type::of_payload);
    Fact {
        position,
        event_id,
        day: days.latest.min(recorded_on),
        event_type,
        credibility: event.credibility(),
        claim: lifecycle::row(event_type).and_then(|row| lifecycle::claimed_status(row, payload)),
        district: payload
            .and_then(place_of)
            .and_then(|place| intern(&place.district)),
        effect: payload.map_or(Effect::None, |payload| effect_of(payload, resolve, intern)),
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
        _ => None,
    }
}

fn effect_of(
    payload: &Payload,
    resolve: impl Fn(&str) -> Option<FactIndex>,
    mut intern: impl FnMut(&str) -> Option<TextIndex>,
) -> Effect {
    let target = |event_id: &str, effect: &dyn Fn(FactIndex) -> Effect| {
        resolve(event_id).map_or(Effect::Unresolved, effect)
    };
    match payload {
        Payload::CaseClosed(_) => Effect::Close,
        Payload::CaseReopened(event) => target(&event.closing_event_id, &Effect::Void),
        Payload::VerificationChanged(event) => target(&event.target_event_id, &|index| {
            Effect::Verify(index, event.credibility())
        }),
        Payload::EventDisputed(event) => target(&event.target_event_id, &Effect::Dispute),
        Payload::DisputeResolved(event) => target(&event.dispute_event_id, &Effect::Resolve),
        Payload::DetentionAlleged(event) => Effect::Category(event.category()),
        Payload::LegalCategoryAsserted(event) => Effect::Category(event.category()),
        Payload::ProceedingsNotified(_) => Effect::ReleaseHold(true),
        Payload::ProceedingsEnded(_) => Effect::ReleaseHold(false),
        Payload::WishesRecorded(event) => Effect::Wishes(event.outcome()),
        Payload::RemainsRecovered(event) => {
            intern(&event.label).map_or(Effect::None, Effect::Label)
        }
        Payload::CustodyTransferred(event) => {
            intern(&event.to_custodian).map_or(Effect::None, Effect::Custodian)
        }
        Payload::PostMortemCompleted(event) => {
            Effect::MinimumNumberOfIndividuals(event.minimum_number_of_individuals)
        }
        Payload::DisplacementRegistered(event) => Effect::HouseholdSize(event.household_size),
        Payload::HouseholdSplit(event) => Effect::HouseholdSplit(event.members),
        Payload::ReturnArrived(event) => Effect::MembersReturned(event.members),
        Payload::SpontaneousReturn(event) => Effect::MembersReturned(event.members),
        _ => Effect::None,
    }
}
