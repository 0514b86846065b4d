//! Accounts: several confirmed events that tell of one happening, such as two workers' records of one
//! release.
//!
//! Some events happen once only in a case (their rows say so): a release, an arrival, an
//! identification until it is revoked, and whatever else brings a case to an end. A further
//! confirmed event of such a type, in a status that does not allow it a second time, is kept like
//! the first, and where the two differ it opens a dispute, in its own name, until one of them is
//! retracted, corrected or lowered, or the dispute is resolved. So of two accounts that contradict
//! each other neither is overwritten.
//!
//! Two accounts differ where they have no day in common, or where they name another result, another
//! district, another label or another number of members. What a case keeps no fact of (receipts,
//! bodies, modes) is not compared. The order is that of occurrence: which account arrived first does
//! not matter.

use std::collections::{BTreeMap, BTreeSet};

use super::fact::{Effect, Fact, FactIndex, TextPlace};
use super::fold::Footing;
use super::lifecycle;
use super::packed::PackedFacts;
use crate::wire::edtf::Day;
use crate::wire::v1::{CaseStatus, Credibility, EventType};

/// The accounts that a fold has met so far.
pub(super) struct Accounts<'a> {
    texts: &'a PackedFacts,
    told: BTreeMap<EventType, Told<'a>>,
    differing: BTreeSet<FactIndex>,
}

/// What the accounts of one happening have told so far: enough to say whether a further one differs
/// from any of them.
#[derive(Default)]
struct Told<'a> {
    /// The earliest of their latest days, and the latest of their earliest ones.
    days: Option<(Day, Day)>,
    result: Said<Option<CaseStatus>>,
    district: Said<&'a str>,
    label: Said<&'a str>,
    members: Said<u32>,
}

/// What was said of one thing.
#[derive(Default)]
enum Said<T> {
    #[default]
    Nothing,
    Always(T),
    DifferentThings,
}

impl<'a> Accounts<'a> {
    /// None yet. `texts` are those that the facts name.
    pub(super) fn new(texts: &'a PackedFacts) -> Self {
        Self {
            texts,
            told: BTreeMap::new(),
            differing: BTreeSet::new(),
        }
    }

    /// Takes the next fact in the order of occurrence, which stands so in its place.
    pub(super) fn take(
        &mut self,
        index: FactIndex,
        fact: &Fact,
        credibility: Credibility,
        footing: Footing,
    ) {
        let once = lifecycle::row(fact.event_type).is_some_and(|row| row.once);
        if !once || credibility != Credibility::Confirmed {
            return;
        }
        let told = self.told.entry(fact.event_type).or_default();
        if footing != Footing::Again {
            *told = Told::default();
        }
        if told.differs(fact, self.texts) {
            self.differing.insert(index);
        }
    }

    /// The accounts that differ from one before them.
    pub(super) fn differing(self) -> BTreeSet<FactIndex> {
        self.differing
    }
}

impl<'a> Told<'a> {
    /// Takes an account in, and tells whether it differs from one before it.
    fn differs(&mut self, fact: &Fact, texts: &'a PackedFacts) -> bool {
        let text = |place: TextPlace| texts.text(Some(place));
        let (label, members) = match fact.effect {
            Effect::Label(label) => (Some(text(label)), None),
            Effect::MembersReturned(members) => (None, Some(members)),
            _ => (None, None),
        };
        let (first, last) = self.days.unwrap_or((fact.day, fact.earliest));
        self.days = Some((first.min(fact.day), last.max(fact.earliest)));
        let has_a_day_of_its_own = fact.earliest > first || fact.day < last;
        // Each takes in what the account says, whatever the others find.
        let differ = [
            has_a_day_of_its_own,
            self.result.differs(Some(fact.claim)),
            self.district.differs(fact.district.map(text)),
            self.label.differs(label),
            self.members.differs(members),
        ];
        differ.contains(&true)
    }
}

impl<T: PartialEq> Said<T> {
    /// Takes in what an account says, and tells whether something else was said before.
    fn differs(&mut self, said: Option<T>) -> bool {
        let Some(said) = said else { return false };
        match self {
            Self::Nothing => *self = Self::Always(said),
            Self::Always(known) if *known != said => *self = Self::DifferentThings,
            Self::Always(_) | Self::DifferentThings => {}
        }
        matches!(self, Self::DifferentThings)
    }
}
