//! A case: its facts in the order recorded, and the image folded from them.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::fact::{Fact, FactIndex, Happening, Surroundings, TextPlace, fact_of};
use super::fold::{FactNumber, Image, number_of};
use super::folded::{By, Folded, Placed, Successor, root};
use super::kept;
use super::lifecycle;
use super::packed::{Mark, PackedFacts};
use super::ties::Ties;
use crate::wire::edtf::{self, Day, OccurredDays};
use crate::wire::moment::Moment;
use crate::wire::outline::RecordOutline;
use crate::wire::v1::{
    self, Case, CaseKind, ContestedCause, Credibility, LegalCategory, Record, Standing,
    case::Detail, event::Payload,
};

/// A case, folded from its records.
///
/// What is serialized are the facts; the rest is folded again from them by [`CaseState::restored`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseState {
    case_id: Uuid,
    kind: CaseKind,
    facts: PackedFacts,
    #[serde(skip)]
    folded: Folded,
    /// The fact since whose recording the case is contested without a break, while it is.
    #[serde(skip)]
    contested_since: Option<FactNumber>,
}

/// An event about to be taken into a case.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// Its position in the log.
    pub position: u64,
    /// The event.
    pub event: &'a v1::Event,
    /// Its event_id.
    pub event_id: Uuid,
    /// The days on which it can have happened.
    pub days: OccurredDays,
    /// When it is recorded.
    pub recorded_at: Moment,
    /// The organisation that records it.
    pub organisation: &'a str,
}

/// A case before something was taken in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Before {
    /// Its version.
    pub version: u64,
    facts: Mark,
    contested_since: Option<FactNumber>,
}

impl CaseState {
    /// A case of which nothing is recorded yet.
    pub fn new(case_id: Uuid) -> Self {
        Self {
            case_id,
            kind: CaseKind::Unspecified,
            facts: PackedFacts::default(),
            folded: Folded::default(),
            contested_since: None,
        }
    }

    /// A case as it was serialized, folded anew from its facts.
    pub fn restored(self) -> Self {
        self.restored_contested_since(None)
    }

    /// The same of a case of which it may be known since when it is contested, if it is.
    fn restored_contested_since(mut self, known: Option<FactNumber>) -> Self {
        let (mut folded, mut since) = (Folded::default(), None);
        for (index, fact) in (0..).zip(self.facts.iter()) {
            if !folded.takes_as_next(self.kind, &fact) {
                self.refold();
                self.contested_since = known.or_else(|| self.find_contested_since());
                return self;
            }
            folded.take_next(self.kind, index, &fact);
            since = still_contested(&folded, since, index);
        }
        self.folded = folded;
        self.contested_since = since;
        self
    }

    /// The case's identifier.
    pub fn case_id(&self) -> Uuid {
        self.case_id
    }

    /// The kind of the case; unspecified while nothing is recorded.
    pub fn kind(&self) -> CaseKind {
        self.kind
    }

    /// Number of events recorded: 0 for a case that does not exist yet.
    pub fn version(&self) -> u64 {
        u64::from(self.facts.len())
    }

    /// The facts in the order recorded, unpacked.
    pub fn facts(&self) -> Vec<Fact> {
        self.facts.iter().collect()
    }

    /// The facts that this case has beyond those of an earlier state of it.
    pub fn facts_since<'a>(
        &'a self,
        earlier: Option<&CaseState>,
    ) -> impl Iterator<Item = Fact> + use<'a> {
        let mark = earlier.map(|earlier| earlier.facts.mark());
        self.facts.iter_from(mark.unwrap_or_default())
    }

    /// Whether an event of this identifier is recorded in this case.
    pub fn has_event(&self, event_id: Uuid) -> bool {
        self.facts.iter().any(|fact| fact.event_id == event_id)
    }

    /// When the case was opened.
    fn opened_at(&self) -> Moment {
        let first = self.facts.iter().next();
        first.map(|fact| fact.recorded_at).unwrap_or_default()
    }

    /// Position of the record that opened the case.
    pub fn first_position(&self) -> Option<u64> {
        self.facts.iter().next().map(|fact| fact.position)
    }

    /// Position of the newest record that is folded in.
    pub fn last_position(&self) -> Option<u64> {
        self.facts.last_position()
    }

    /// The image that the facts add up to.
    pub fn image(&self) -> &Image {
        &self.folded.image
    }

    /// Takes in a record of this case at its position. Never fails: a record that this version does
    /// not understand counts as an event and changes nothing else.
    pub fn fold(&mut self, position: u64, record: &Record) {
        let outline = RecordOutline::of(record);
        let event_id = Uuid::try_parse(outline.event_id).unwrap_or_default();
        self.fold_outline(position, event_id, &outline);
    }

    /// [`CaseState::fold`] of what the fold needs of a record. `event_id` is its event's, parsed.
    pub fn fold_outline(&mut self, position: u64, event_id: Uuid, outline: &RecordOutline<'_>) {
        let happening = Happening {
            position,
            event_id,
            days: edtf::days(outline.occurred).unwrap_or(OccurredDays::ALWAYS),
            recorded_at: outline.recorded_at,
            credibility: outline.credibility,
            payload: outline.payload.as_deref(),
        };
        self.take_happening(happening, outline.organisation);
    }

    /// Takes in an event that was decided.
    pub fn take(&mut self, arrival: Arrival<'_>) {
        let happening = Happening {
            position: arrival.position,
            event_id: arrival.event_id,
            days: arrival.days,
            recorded_at: arrival.recorded_at,
            credibility: arrival.event.credibility(),
            payload: arrival.event.payload.as_ref(),
        };
        self.take_happening(happening, arrival.organisation);
    }

    fn take_happening(&mut self, happening: Happening<'_>, organisation: &str) {
        if self.facts.len() == 0 {
            self.facts = PackedFacts::of_organisation(organisation);
        }
        let known = self.folded.image;
        let fact = fact_of(
            happening,
            Taking {
                facts: &mut self.facts,
                known,
            },
        );
        if self.kind == CaseKind::Unspecified {
            self.kind = lifecycle::kind_of(fact.event_type).unwrap_or_default();
        }
        let index = self.next_index();
        self.facts.push(&fact);
        if self.folded.takes_as_next(self.kind, &fact) {
            self.folded.take_next(self.kind, index, &fact);
        } else {
            self.refold();
        }
        self.contested_since = still_contested(&self.folded, self.contested_since, index);
    }

    /// What [`CaseState::take_back_to`] needs to undo what comes next.
    pub fn before(&self) -> Before {
        Before {
            version: self.version(),
            facts: self.facts.mark(),
            contested_since: self.contested_since,
        }
    }

    /// Takes out again what was taken in since `before`, for a submission that is refused.
    pub fn take_back_to(&mut self, before: Before) {
        if before.version >= self.version() {
            return;
        }
        self.facts.truncate(before.facts);
        if before.version == 0 {
            *self = Self::new(self.case_id);
        }
        self.refold();
        self.contested_since = before.contested_since;
    }

    /// The case as it was when the log ended before `position`; none where it did not exist yet.
    pub fn known_at(&self, position: u64) -> Option<Self> {
        if self.last_position()? < position {
            return Some(self.clone());
        }
        let facts = self.facts.before(position);
        facts.last_position()?;
        let mut kinds = facts
            .iter()
            .filter_map(|fact| lifecycle::kind_of(fact.event_type));
        let known = Self {
            case_id: self.case_id,
            kind: kinds.next().unwrap_or_default(),
            facts,
            folded: Folded::default(),
            contested_since: None,
        };
        // What is contested now without a break since before then was so then.
        let since = self
            .contested_since
            .filter(|since| since.get() <= known.next_index());
        Some(known.restored_contested_since(since))
    }

    /// How the case stood at the end of a day, by what is known of it: certainly, by the events that
    /// must have happened by then; and possibly, by those that can have, where that differs.
    pub fn standing_at(&self, day: Day) -> (Standing, Option<Standing>) {
        self.told_at(day, Self::standing_by)
    }

    /// [`CaseState::standing_at`], as the read model shows the case.
    pub fn to_case_at(&self, day: Day) -> (Case, Option<Case>) {
        self.told_at(day, Self::to_case_by)
    }

    fn told_at<T: PartialEq>(
        &self,
        day: Day,
        told: impl Fn(&Self, &Folded) -> T,
    ) -> (T, Option<T>) {
        let facts = self.facts();
        if facts.iter().all(|fact| fact.day <= day) {
            return (told(self, &self.folded), None);
        }
        let certainly = Folded::of_those(self.kind, &facts, &self.facts, By::Certainly(day));
        let certainly = told(self, &certainly);
        let is_uncertain = |fact: &Fact| fact.earliest <= day && day < fact.day;
        if !facts.iter().any(is_uncertain) {
            return (certainly, None);
        }
        let possibly = Folded::of_those(self.kind, &facts, &self.facts, By::Possibly(day));
        let possibly = Some(told(self, &possibly)).filter(|possibly| *possibly != certainly);
        (certainly, possibly)
    }

    /// How the case stands.
    pub fn standing(&self) -> Standing {
        self.standing_by(&self.folded)
    }

    fn standing_by(&self, folded: &Folded) -> Standing {
        let image = &folded.image;
        let category = image.category.value().unwrap_or(LegalCategory::Unspecified);
        Standing {
            kind: self.kind.into(),
            reported: image.reported.into(),
            confirmed: image.confirmed.into(),
            contested: contested_causes(folded).next().is_some(),
            closed: image.is_closed(),
            category: category.into(),
            district: self.facts.text(image.district.value()).to_owned(),
            organisation: self.facts.organisation().to_owned(),
            merged_into: self.merged_into(),
        }
    }

    /// The organisation that opened the case; empty for a case without facts.
    pub fn organisation(&self) -> &str {
        self.facts.organisation()
    }

    /// The case as the read model shows it, as far as the case itself knows: what other cases say
    /// of it is added by [`Ties::take_inverse`].
    pub fn to_case(&self) -> Case {
        self.to_case_by(&self.folded)
    }

    /// Those ties that stand are told as they are known, whatever the day: they concern the record.
    fn to_case_by(&self, folded: &Folded) -> Case {
        let mut case = self.to_case_without_ties_by(folded);
        Ties::of(self).show_in(&mut case);
        case
    }

    /// What is particular to the case's kind.
    pub fn detail(&self) -> Option<Detail> {
        self.to_case_without_ties_by(&self.folded).detail
    }

    fn to_case_without_ties_by(&self, folded: &Folded) -> Case {
        let image = &folded.image;
        let closing = image.closing_fact().and_then(|index| self.fact(index));
        Case {
            case_id: self.case_id.to_string(),
            version: self.version(),
            standing: Some(self.standing_by(folded)),
            opened_at: Some(self.opened_at().into()),
            updated_at: Some(self.facts.last_recorded_at().into()),
            first_position: self.first_position().unwrap_or_default(),
            last_position: self.last_position().unwrap_or_default(),
            open_disputes: folded
                .open_disputes()
                .iter()
                .filter_map(|index| Some(self.fact(*index)?.event_id.to_string()))
                .collect(),
            closing_event_id: closing
                .map(|fact| fact.event_id.to_string())
                .unwrap_or_default(),
            contested_causes: contested_causes(folded).map(i32::from).collect(),
            detail: match self.kind {
                CaseKind::Detention => Some(Detail::DetentionDetail(v1::DetentionDetail {
                    release_hold: image.release_hold,
                    wishes: image.wishes.into(),
                })),
                CaseKind::Remains => Some(Detail::RemainsDetail(v1::RemainsDetail {
                    label: self.facts.text(image.label).to_owned(),
                    custodian: self.facts.text(image.custodian).to_owned(),
                    minimum_number_of_individuals: image.minimum_number_of_individuals,
                })),
                CaseKind::Return => Some(Detail::ReturnDetail(v1::ReturnDetail {
                    household_size: image.household_size,
                    members_returned: image.members_returned,
                })),
                CaseKind::Inquiry => Some(Detail::InquiryDetail(self.inquiry_detail(folded))),
                CaseKind::Agreement => Some(Detail::AgreementDetail(self.agreement_detail(folded))),
                CaseKind::Consultation => {
                    Some(Detail::ConsultationDetail(self.consultation_detail(folded)))
                }
                CaseKind::Site | CaseKind::UserAccount | CaseKind::Unspecified => None,
            },
            ..Case::default()
        }
    }

    /// The credibility that a fact has now, where a later event changed it.
    pub fn credibility_changed_to(&self, fact: FactIndex) -> Option<Credibility> {
        self.folded.credibility_changed_to(fact)
    }

    /// The fact that took this one away: a correction, a retraction or a reopening; none while it
    /// counts.
    pub fn removed_by(&self, fact: FactIndex) -> Option<Fact> {
        self.fact(self.folded.removed_by(fact)?)
    }

    /// The correction that stands in the place of a fact that no longer counts; none where nothing
    /// does, or where the fact counts itself.
    pub fn standing_instead_of(&self, fact: FactIndex) -> Option<Fact> {
        match self.successor(fact) {
            Successor::Stands(index) if index != fact => self.fact(index),
            _ => None,
        }
    }

    /// What stands in the place of a fact that no longer counts, or what took it away.
    pub(super) fn successor(&self, fact: FactIndex) -> Successor {
        self.folded.successor(&self.facts(), fact)
    }

    /// The facts that count, in the order recorded.
    pub(super) fn counting_facts(&self) -> impl Iterator<Item = (FactIndex, Fact)> {
        (0..)
            .zip(self.facts.iter())
            .filter(|(index, _)| self.folded.removed_by(*index).is_none())
    }

    /// What the facts add up to.
    pub(super) fn folded(&self) -> &Folded {
        &self.folded
    }

    /// Where the payload is kept by which the case is merged into another one, while it is.
    pub(super) fn merge_place(&self) -> Option<TextPlace> {
        self.folded.merged()
    }

    /// The payload that is kept at a place.
    pub(super) fn kept_bytes(&self, place: TextPlace) -> &[u8] {
        self.facts.kept(place)
    }

    /// The fact at an index.
    pub(super) fn fact(&self, index: FactIndex) -> Option<Fact> {
        self.facts.iter().nth(usize::try_from(index).ok()?)
    }

    /// The index of the fact of an event.
    pub(super) fn index_of(&self, event_id: &str) -> Option<FactIndex> {
        index_of(&self.facts, event_id)
    }

    pub(super) fn next_index(&self) -> FactIndex {
        self.facts.len()
    }

    /// The fact that closed the case or brought it to its end, while it did.
    /// The day on which it was recorded that the case ended or was closed, while it is.
    pub fn ended_on(&self) -> Option<Day> {
        self.closing_fact().map(|fact| fact.recorded_at.day())
    }

    pub(super) fn closing_fact(&self) -> Option<Fact> {
        self.fact(self.folded.image.closing_fact()?)
    }

    /// The fact since whose recording the case is contested without a break, while it is.
    pub(super) fn contested_since(&self) -> Option<Fact> {
        self.fact(self.contested_since?.get().checked_sub(1)?)
    }

    /// The same, found from the facts alone: where some came late, it takes as many folds.
    fn find_contested_since(&self) -> Option<FactNumber> {
        contested_causes(&self.folded).next()?;
        let facts = self.facts();
        let (mut folded, mut since) = (Folded::default(), None);
        for (index, (count, fact)) in (0..).zip((1..).zip(&facts)) {
            if folded.takes_as_next(self.kind, fact) {
                folded.take_next(self.kind, index, fact);
            } else {
                let known = facts.get(..count).unwrap_or(&facts);
                folded = Folded::of(self.kind, known, &self.facts);
            }
            since = still_contested(&folded, since, index);
        }
        since
    }

    pub(super) fn open_disputes(&self) -> &[FactIndex] {
        self.folded.open_disputes()
    }

    /// Confirmed facts in places that the lifecycle does not allow.
    pub(super) fn breaks(&self) -> &[FactIndex] {
        self.folded.breaks()
    }

    /// Whether a fact of this day, recorded now, comes last in the order of occurrence.
    pub(super) fn is_last_in_order(&self, day: Day) -> bool {
        self.folded.is_last_in_order(day)
    }

    /// The facts that count, in the order of occurrence, each with its credibility now.
    pub(super) fn in_order(&self) -> Vec<Placed> {
        self.folded.in_order(&self.facts())
    }

    /// The day on which the event was first recorded whose place a fact has.
    pub(super) fn first_recorded_on(&self, fact: FactIndex) -> Day {
        first_recorded_on(&self.facts, fact)
    }

    fn refold(&mut self) {
        self.folded = Folded::of(self.kind, &self.facts(), &self.facts);
    }
}

/// Since which fact a case is contested without a break, once a further one was taken in; none where it
/// is not.
fn still_contested(
    folded: &Folded,
    since: Option<FactNumber>,
    newest: FactIndex,
) -> Option<FactNumber> {
    contested_causes(folded).next()?;
    since.or_else(|| number_of(newest))
}

fn contested_causes(folded: &Folded) -> impl Iterator<Item = ContestedCause> {
    [
        (
            !folded.open_disputes().is_empty(),
            ContestedCause::OpenDispute,
        ),
        (
            folded.image.contradicted,
            ContestedCause::ContradictedAllegation,
        ),
        (!folded.breaks().is_empty(), ContestedCause::BrokenSequence),
    ]
    .into_iter()
    .filter_map(|(holds, cause)| holds.then_some(cause))
}

/// A case that takes an event in.
struct Taking<'a> {
    facts: &'a mut PackedFacts,
    /// What the case tells so far: its texts are seldom other ones than those.
    known: Image,
}

impl Surroundings for Taking<'_> {
    fn resolve(&self, event_id: &str) -> Option<FactIndex> {
        index_of(self.facts, event_id)
    }

    fn first_recorded_on(&self, index: FactIndex) -> Day {
        first_recorded_on(self.facts, index)
    }

    fn intern(&mut self, text: &str) -> Option<TextPlace> {
        self.facts.intern(text, self.known.texts())
    }

    fn keep(&mut self, payload: &Payload) -> Option<TextPlace> {
        self.facts.keep(&kept::encoded(payload))
    }
}

fn index_of(facts: &PackedFacts, event_id: &str) -> Option<FactIndex> {
    let event_id = Uuid::try_parse(event_id).ok()?;
    // Where an identifier were there twice, the newest fact would count.
    (0..)
        .zip(facts.iter())
        .filter_map(|(index, fact)| (fact.event_id == event_id).then_some(index))
        .last()
}

fn first_recorded_on(facts: &PackedFacts, fact: FactIndex) -> Day {
    let facts: Vec<_> = facts.iter().collect();
    let first = usize::try_from(root(&facts, fact)).ok();
    let first = first.and_then(|first| facts.get(first));
    first.map_or(Day::MAX, |first| first.recorded_at.day())
}
