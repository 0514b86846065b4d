//! A case: its facts in the order recorded, and the image folded from them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::fact::{Effect, Fact, FactIndex, Texts, fact_of};
use super::fold::Image;
use super::lifecycle::{self, Outcome};
use crate::wire::edtf::{self, Day, OccurredDays};
use crate::wire::moment::Moment;
use crate::wire::v1::{
    self, Case, CaseKind, ContestedCause, Credibility, LegalCategory, Record, Standing,
    case::Detail,
};

/// A case, folded from its records.
///
/// What is serialized are the facts; the rest is folded again from them by [`CaseState::restored`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseState {
    case_id: Uuid,
    kind: CaseKind,
    organisation: Box<str>,
    opened_at: Moment,
    updated_at: Moment,
    facts: Vec<Fact>,
    texts: Texts,
    #[serde(skip)]
    folded: Folded,
}

/// What is derived from the facts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Folded {
    pub(super) image: Image,
    /// The fact that comes last in the order of occurrence, with its day.
    last: Option<(Day, FactIndex)>,
    /// The credibilities that facts have now, where later facts changed them.
    verified: BTreeMap<FactIndex, Credibility>,
    /// Facts that no longer count, since a reopening named them.
    voided: BTreeSet<FactIndex>,
    /// Facts whose dispute is open, in the order recorded.
    disputes: Vec<FactIndex>,
}

/// The days of an event whose date this version can't read.
const ALWAYS: OccurredDays = OccurredDays {
    earliest: Day::MIN,
    latest: Day::MAX,
};

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
    updated_at: Moment,
    texts: usize,
}

impl CaseState {
    /// A case of which nothing is recorded yet.
    pub fn new(case_id: Uuid) -> Self {
        Self {
            case_id,
            kind: CaseKind::Unspecified,
            organisation: "".into(),
            opened_at: Moment::default(),
            updated_at: Moment::default(),
            facts: Vec::new(),
            texts: Texts::default(),
            folded: Folded::default(),
        }
    }

    /// A case as it was serialized, folded anew from its facts.
    pub fn restored(mut self) -> Self {
        self.refold();
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
        self.facts.len() as u64
    }

    /// The facts in the order recorded.
    pub fn facts(&self) -> &[Fact] {
        &self.facts
    }

    /// Position of the record that opened the case.
    pub fn first_position(&self) -> Option<u64> {
        self.facts.first().map(|fact| fact.position)
    }

    /// Position of the newest record that is folded in.
    pub fn last_position(&self) -> Option<u64> {
        self.facts.last().map(|fact| fact.position)
    }

    /// The image that the facts add up to.
    pub fn image(&self) -> &Image {
        &self.folded.image
    }

    /// Takes in a record of this case at its position. Never fails: a record that this version does
    /// not understand counts as an event and changes nothing else.
    pub fn fold(&mut self, position: u64, record: &Record) {
        let absent = v1::Event::default();
        let event = record.event.as_ref().unwrap_or(&absent);
        self.take(Arrival {
            position,
            event,
            event_id: Uuid::try_parse(&event.event_id).unwrap_or_default(),
            days: edtf::days(&event.occurred).unwrap_or(ALWAYS),
            recorded_at: record.recorded_at.map(Moment::from).unwrap_or_default(),
            organisation: &record.organisation,
        });
    }

    /// Takes in an event that was decided.
    pub fn take(&mut self, arrival: Arrival<'_>) {
        let Arrival {
            position,
            event,
            event_id,
            days,
            recorded_at,
            organisation,
        } = arrival;
        let Self { facts, texts, .. } = self;
        let fact = fact_of(
            event,
            event_id,
            days,
            position,
            recorded_at.day(),
            |target| index_of(facts, target),
            |text| texts.intern(text),
        );
        if self.facts.is_empty() {
            self.opened_at = recorded_at;
            self.organisation = organisation.into();
        }
        if self.kind == CaseKind::Unspecified {
            self.kind = lifecycle::kind_of(fact.event_type).unwrap_or_default();
        }
        self.updated_at = recorded_at;
        let index = self.next_index();
        let last_in_order = self.is_last_in_order(fact.day);
        let refolds = matches!(fact.effect, Effect::Verify(..) | Effect::Void(_));
        if !refolds && last_in_order {
            self.folded
                .note_dispute(index, &fact, Some(fact.credibility));
            self.folded.last = Some((fact.day, index));
            self.folded
                .image
                .step(self.kind, index, &fact, fact.credibility);
            self.facts.push(fact);
        } else {
            self.facts.push(fact);
            self.refold();
        }
    }

    /// What [`CaseState::take_back_to`] needs to undo what comes next.
    pub fn before(&self) -> Before {
        Before {
            version: self.version(),
            updated_at: self.updated_at,
            texts: self.texts.len(),
        }
    }

    /// Takes out again what was taken in since `before`, for a submission that is refused.
    pub fn take_back_to(&mut self, before: Before) {
        let Ok(version) = usize::try_from(before.version) else {
            return;
        };
        if version >= self.facts.len() {
            return;
        }
        self.updated_at = before.updated_at;
        self.facts.truncate(version);
        self.texts.truncate(before.texts);
        if version == 0 {
            *self = Self::new(self.case_id);
        }
        self.refold();
    }

    /// How the case stands.
    pub fn standing(&self) -> Standing {
        let image = &self.folded.image;
        let category = image.category.value().unwrap_or(LegalCategory::Unspecified);
        Standing {
            kind: self.kind.into(),
            reported: image.reported.into(),
            confirmed: image.confirmed.into(),
            contested: self.contested_causes().next().is_some(),
            closed: image.closed_by.is_some(),
            category: category.into(),
            district: self.texts.get(image.district.value()).to_owned(),
            organisation: self.organisation.to_string(),
        }
    }

    /// The case as the read model shows it.
    pub fn to_case(&self) -> Case {
        let image = &self.folded.image;
        let closing = self.closing_fact();
        Case {
            case_id: self.case_id.to_string(),
            version: self.version(),
            standing: Some(self.standing()),
            opened_at: Some(self.opened_at.into()),
            updated_at: Some(self.updated_at.into()),
            first_position: self.first_position().unwrap_or_default(),
            last_position: self.last_position().unwrap_or_default(),
            open_disputes: self
                .folded
                .disputes
                .iter()
                .filter_map(|index| Some(self.fact(*index)?.event_id.to_string()))
                .collect(),
            closing_event_id: closing
                .map(|fact| fact.event_id.to_string())
                .unwrap_or_default(),
            contested_causes: self.contested_causes().map(i32::from).collect(),
            detail: match self.kind {
                CaseKind::Detention => Some(Detail::DetentionDetail(v1::DetentionDetail {
                    release_hold: image.release_hold,
                    wishes: image.wishes.into(),
                })),
                CaseKind::Remains => Some(Detail::RemainsDetail(v1::RemainsDetail {
                    label: self.texts.get(image.label).to_owned(),
                    custodian: self.texts.get(image.custodian).to_owned(),
                    minimum_number_of_individuals: image.minimum_number_of_individuals,
                })),
                CaseKind::Return => Some(Detail::ReturnDetail(v1::ReturnDetail {
                    household_size: image.household_size,
                    members_returned: image.members_returned,
                })),
                CaseKind::Unspecified => None,
            },
        }
    }

    /// The credibility that a fact has now, where a later event changed it.
    pub fn credibility_changed_to(&self, fact: FactIndex) -> Option<Credibility> {
        self.folded.credibility_changed_to(fact)
    }

    /// Whether a fact no longer counts, since a reopening named it.
    pub fn is_voided(&self, fact: FactIndex) -> bool {
        self.folded.voided.contains(&fact)
    }

    /// The fact at an index.
    pub(super) fn fact(&self, index: FactIndex) -> Option<&Fact> {
        self.facts.get(usize::try_from(index).ok()?)
    }

    /// The index of the fact of an event.
    pub(super) fn index_of(&self, event_id: &str) -> Option<FactIndex> {
        index_of(&self.facts, event_id)
    }

    pub(super) fn next_index(&self) -> FactIndex {
        FactIndex::try_from(self.facts.len()).unwrap_or(FactIndex::MAX)
    }

    /// The fact that closed the case or brought it to its end, while it did.
    pub(super) fn closing_fact(&self) -> Option<&Fact> {
        let image = &self.folded.image;
        self.fact(image.closed_by.or(image.ended_by)?)
    }

    pub(super) fn open_disputes(&self) -> &[FactIndex] {
        &self.folded.disputes
    }

    /// Whether a fact of this day, recorded now, comes last in the order of occurrence.
    pub(super) fn is_last_in_order(&self, day: Day) -> bool {
        self.folded.last.is_none_or(|(last, _)| day >= last)
    }

    /// The standing facts in the order of occurrence, each with its credibility now.
    pub(super) fn in_order(&self) -> Vec<(FactIndex, &Fact, Credibility)> {
        let mut order: Vec<_> = (0..)
            .zip(&self.facts)
            .filter_map(|(index, fact)| Some((index, fact, self.folded.credibility(index, fact)?)))
            .collect();
        order.sort_by_key(|(index, fact, _)| (fact.day, *index));
        order
    }

    fn refold(&mut self) {
        let mut folded = Folded::default();
        for (index, fact) in (0..).zip(&self.facts) {
            match fact.effect {
                Effect::Verify(target, credibility) => {
                    folded.verified.insert(target, credibility);
                }
                Effect::Void(target) => {
                    folded.voided.insert(target);
                }
                _ => {}
            }
            folded.last = folded.last.max(Some((fact.day, index)));
        }
        self.folded = folded;
        let mut image = Image::default();
        for (index, fact, credibility) in self.in_order() {
            image.step(self.kind, index, fact, credibility);
        }
        self.folded.image = image;
        // Disputes are matters of the record: they open and end in the order recorded.
        for (index, fact) in (0..).zip(&self.facts) {
            let credibility = self.folded.credibility(index, fact);
            self.folded.note_dispute(index, fact, credibility);
        }
    }

    fn contested_causes(&self) -> impl Iterator<Item = ContestedCause> {
        let Folded {
            image, disputes, ..
        } = &self.folded;
        [
            (!disputes.is_empty(), ContestedCause::OpenDispute),
            (image.contradicted, ContestedCause::ContradictedAllegation),
            (!image.breaks.is_empty(), ContestedCause::BrokenSequence),
        ]
        .into_iter()
        .filter_map(|(holds, cause)| holds.then_some(cause))
    }
}

impl Folded {
    fn credibility_changed_to(&self, fact: FactIndex) -> Option<Credibility> {
        self.verified.get(&fact).copied()
    }

    /// The credibility that a fact has now; none where it no longer counts.
    fn credibility(&self, index: FactIndex, fact: &Fact) -> Option<Credibility> {
        if self.voided.contains(&index) {
            return None;
        }
        Some(
            self.credibility_changed_to(index)
                .unwrap_or(fact.credibility),
        )
    }

    fn note_dispute(&mut self, index: FactIndex, fact: &Fact, credibility: Option<Credibility>) {
        match fact.effect {
            Effect::Dispute(_) => self.disputes.push(index),
            Effect::Resolve(dispute) => self.disputes.retain(|open| *open != dispute),
            _ => {
                let contests = lifecycle::row(fact.event_type)
                    .is_some_and(|row| row.result == Outcome::Contests);
                if contests && credibility == Some(Credibility::Confirmed) {
                    self.disputes.push(index);
                }
            }
        }
    }
}

fn index_of(facts: &[Fact], event_id: &str) -> Option<FactIndex> {
    let event_id = Uuid::try_parse(event_id).ok()?;
    let index = facts.iter().rposition(|fact| fact.event_id == event_id)?;
    FactIndex::try_from(index).ok()
}
