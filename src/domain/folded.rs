//! What the facts of a case add up to: its image, and what the facts do to each other.
//!
//! A fact counts unless another one has taken it away: a correction that replaces it, a retraction,
//! or a reopening that names it as the closing fact. What takes away is undone by a retraction of it
//! alone: a correction that is itself corrected still keeps its target away, so that a case never
//! falls back to an account that was found wrong twice.
//!
//! The next fact in the order of occurrence is one step; anything else folds all facts anew. Both
//! come to the same, which the tests of `tests/lifecycle` hold after every event.

use std::collections::{BTreeMap, BTreeSet};

use super::accounts::Accounts;
use super::fact::{Effect, Fact, FactIndex, TextPlace};
use super::fold::{Footing, Image};
use super::lifecycle::{self, Outcome};
use super::packed::PackedFacts;
use crate::wire::edtf::Day;
use crate::wire::v1::{CaseKind, Credibility};

/// A fact in the order of occurrence, with its index and the credibility that it has now.
pub(super) type Placed = (FactIndex, Fact, Credibility);

/// What is derived from the facts of a case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Folded {
    pub(super) image: Image,
    /// The day of the fact that comes last in the order of occurrence.
    last: Option<Day>,
    /// What few cases have; none where it is empty.
    rare: Option<Box<Rare>>,
    /// Which facts it took.
    pub(super) by: By,
}

/// Which facts a fold takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum By {
    /// All.
    #[default]
    All,
    /// Those that must have happened by the end of the day.
    Certainly(Day),
    /// Those that can have happened by then.
    Possibly(Day),
}

impl By {
    pub(super) fn holds(self, fact: &Fact) -> bool {
        match self {
            Self::All => true,
            Self::Certainly(day) => fact.day <= day,
            Self::Possibly(day) => fact.earliest <= day,
        }
    }
}

/// What few cases have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Rare {
    /// The credibilities that facts have now, where later facts changed them.
    verified: BTreeMap<FactIndex, Credibility>,
    /// Facts that no longer count, each with the fact that took it away.
    removed: BTreeMap<FactIndex, FactIndex>,
    /// Facts whose dispute is open, in the order recorded.
    disputes: Vec<FactIndex>,
    /// Confirmed facts in places that the lifecycle does not allow, in the order of occurrence.
    breaks: Vec<FactIndex>,
    /// Where the payload is kept by which the case is merged into another one, while it is.
    merged: Option<TextPlace>,
    /// Whether any fact has its payload kept whole, also one that no longer counts.
    keeps_payloads: bool,
}

impl Folded {
    /// Folds the facts anew.
    pub(super) fn of(kind: CaseKind, facts: &[Fact], texts: &PackedFacts) -> Self {
        Self::of_those(kind, facts, texts, By::All)
    }

    /// Folds those facts alone that `by` says. What concerns the record (corrections, retractions,
    /// verifications, reopenings, disputes) holds for them whenever it happened itself.
    pub(super) fn of_those(kind: CaseKind, facts: &[Fact], texts: &PackedFacts, by: By) -> Self {
        let happened = |fact: &Fact| by.holds(fact);
        let (removed, verified) = bearing_on_others(facts);
        let rare = Rare {
            verified,
            removed,
            keeps_payloads: facts.iter().any(Fact::keeps_payload),
            ..Rare::default()
        };
        let mut folded = Self {
            image: Image::default(),
            last: facts.iter().map(|fact| fact.day).max(),
            rare: Some(Box::new(rare)),
            by,
        };
        let mut accounts = Accounts::new(texts);
        for (index, fact, credibility) in folded.in_order(facts) {
            if happened(&fact) {
                let footing = folded.step(kind, index, &fact, credibility);
                accounts.take(index, &fact, credibility, footing);
            }
        }
        let disputes = folded.disputes(facts, &accounts.differing(), happened);
        folded.rare_mut().disputes = disputes;
        folded.note_merges(facts);
        folded.tidy();
        folded
    }

    /// Whether a fact of this day, recorded now, comes last in the order of occurrence.
    pub(super) fn is_last_in_order(&self, day: Day) -> bool {
        self.last.is_none_or(|last| day >= last)
    }

    /// Whether the next fact recorded is but one step on: it comes last in the order of occurrence
    /// and changes nothing of those before it. A further account of a happening is held against the
    /// others.
    pub(super) fn takes_as_next(&self, kind: CaseKind, fact: &Fact) -> bool {
        !fact.concerns_others()
            && self.is_last_in_order(fact.day)
            && self.image.stand(kind, fact, fact.credibility) != Ok(Footing::Again)
    }

    /// Takes such a fact.
    pub(super) fn take_next(&mut self, kind: CaseKind, index: FactIndex, fact: &Fact) {
        if contests(fact, fact.credibility) {
            self.rare_mut().disputes.push(index);
        }
        self.note_merge(fact);
        if fact.keeps_payload() {
            self.rare_mut().keeps_payloads = true;
        }
        self.last = Some(fact.day);
        let _ = self.step(kind, index, fact, fact.credibility);
        self.tidy();
    }

    /// The facts that count, in the order of occurrence, each with its credibility now.
    pub(super) fn in_order(&self, facts: &[Fact]) -> Vec<Placed> {
        let mut order: Vec<_> = (0..)
            .zip(facts)
            .filter_map(|(index, fact)| Some((index, *fact, self.credibility(index, fact)?)))
            .collect();
        order.sort_by_key(|(index, fact, _)| (fact.day, root(facts, *index)));
        order
    }

    /// The credibility that a fact has now, where a later fact changed it.
    pub(super) fn credibility_changed_to(&self, fact: FactIndex) -> Option<Credibility> {
        self.rare.as_ref()?.verified.get(&fact).copied()
    }

    /// The fact that took this one away.
    pub(super) fn removed_by(&self, fact: FactIndex) -> Option<FactIndex> {
        self.rare.as_ref()?.removed.get(&fact).copied()
    }

    /// The fact that now stands in the place of this one, or else the one that took it away last.
    pub(super) fn successor(&self, facts: &[Fact], fact: FactIndex) -> Successor {
        let mut current = fact;
        while let Some(remover) = self.removed_by(current) {
            if place_of(facts, remover).and_then(|fact| fact.corrects) != Some(current) {
                return Successor::TakenAwayBy(remover);
            }
            current = remover;
        }
        Successor::Stands(current)
    }

    /// Whether any fact has its payload kept whole, also one that no longer counts.
    pub(super) fn keeps_payloads(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.keeps_payloads)
    }

    /// Facts whose dispute is open, in the order recorded.
    pub(super) fn open_disputes(&self) -> &[FactIndex] {
        let rare = self.rare.as_deref();
        rare.map_or(&[], |rare| &rare.disputes)
    }

    /// Confirmed facts in places that the lifecycle does not allow.
    pub(super) fn breaks(&self) -> &[FactIndex] {
        let rare = self.rare.as_deref();
        rare.map_or(&[], |rare| &rare.breaks)
    }

    fn step(
        &mut self,
        kind: CaseKind,
        index: FactIndex,
        fact: &Fact,
        credibility: Credibility,
    ) -> Footing {
        let footing = self.image.step(kind, index, fact, credibility);
        if footing == Footing::Breaks {
            self.rare_mut().breaks.push(index);
        }
        footing
    }

    /// The credibility that a fact has now; none where it no longer counts.
    fn credibility(&self, index: FactIndex, fact: &Fact) -> Option<Credibility> {
        if self.removed_by(index).is_some() {
            return None;
        }
        Some(
            self.credibility_changed_to(index)
                .unwrap_or(fact.credibility),
        )
    }

    /// The disputes that are open: what disputes an event, what contests by itself, and the accounts of
    /// one happening that differ from one before them. One lapses where the event that it is about was taken away; where
    /// that was corrected, it is about the replacement. A replacement of what opened a dispute keeps
    /// that open or resolved.
    fn disputes(
        &self,
        facts: &[Fact],
        differing: &BTreeSet<FactIndex>,
        happened: impl Fn(&Fact) -> bool,
    ) -> Vec<FactIndex> {
        let counting = (0..)
            .zip(facts)
            .filter_map(|(index, fact)| Some((index, fact, self.credibility(index, fact)?)));
        let resolved: BTreeSet<_> = counting
            .clone()
            .filter_map(|(_, fact, _)| match fact.effect {
                Effect::Resolve(dispute) => Some(root(facts, dispute)),
                _ => None,
            })
            .collect();
        let is_open = |(index, fact, credibility): &(FactIndex, &Fact, Credibility)| {
            let disputed = match fact.effect {
                Effect::Dispute(target) => match self.successor(facts, target) {
                    Successor::Stands(current) => place_of(facts, current),
                    Successor::TakenAwayBy(_) => None,
                },
                _ => (contests(fact, *credibility) || differing.contains(index)).then_some(*fact),
            };
            disputed.is_some_and(&happened) && !resolved.contains(&root(facts, *index))
        };
        counting.filter(is_open).map(|(index, ..)| index).collect()
    }

    /// Merges are matters of the record: they begin and end in the order recorded.
    fn note_merges(&mut self, facts: &[Fact]) {
        for (index, fact) in (0..).zip(facts) {
            if self.removed_by(index).is_none() {
                self.note_merge(fact);
            }
        }
    }

    fn note_merge(&mut self, fact: &Fact) {
        match fact.effect {
            Effect::MergedInto(place) => self.rare_mut().merged = Some(place),
            Effect::Unmerged(_) => self.rare_mut().merged = None,
            _ => {}
        }
    }

    /// Where the payload is kept by which the case is merged into another one, while it is.
    pub(super) fn merged(&self) -> Option<TextPlace> {
        self.rare.as_deref()?.merged
    }

    fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// Gives back what holds nothing, so that equal cases are equal.
    fn tidy(&mut self) {
        if self.rare.as_deref() == Some(&Rare::default()) {
            self.rare = None;
        }
    }
}

/// What became of a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Successor {
    /// This fact now stands in its place: itself, or its replacement.
    Stands(FactIndex),
    /// Nothing stands in its place, since this fact took it, or its replacement, away.
    TakenAwayBy(FactIndex),
}

/// The fact whose place among those of its day this one has: itself, or for a correction what was
/// corrected first.
pub(super) fn root(facts: &[Fact], mut index: FactIndex) -> FactIndex {
    // What is corrected was recorded before, so that this ends.
    while let Some(target) = place_of(facts, index).and_then(|fact| fact.corrects)
        && target < index
    {
        index = target;
    }
    index
}

/// Which facts no longer count, with what took each away; and the credibilities that were changed.
fn bearing_on_others(
    facts: &[Fact],
) -> (
    BTreeMap<FactIndex, FactIndex>,
    BTreeMap<FactIndex, Credibility>,
) {
    let mut removed = BTreeMap::new();
    let mut verified = BTreeMap::new();
    let mut retracted = BTreeSet::new();
    // A fact bears on earlier ones alone: from the newest on, each is met when all that bears on it
    // is known. Where two bear alike on one, the newer counts.
    let count = FactIndex::try_from(facts.len()).unwrap_or(FactIndex::MAX);
    for (index, fact) in (0..count).zip(facts).rev() {
        if !fact.concerns_others() || retracted.contains(&index) {
            continue;
        }
        if let Effect::Verify(target, credibility) = fact.effect {
            verified.entry(target).or_insert(credibility);
        }
        if let Some(target) = fact.removes() {
            removed.entry(target).or_insert(index);
        }
        if let Effect::Retract(target) = fact.effect {
            retracted.insert(target);
        }
    }
    (removed, verified)
}

/// Whether a fact by itself opens a dispute.
fn contests(fact: &Fact, credibility: Credibility) -> bool {
    let by_row = lifecycle::row(fact.event_type).is_some_and(|row| row.result == Outcome::Contests);
    by_row && credibility == Credibility::Confirmed
}

fn place_of(facts: &[Fact], index: FactIndex) -> Option<&Fact> {
    facts.get(usize::try_from(index).ok()?)
}
