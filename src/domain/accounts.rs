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
use crate::wire::v1::{Credibility, EventType};

/// The accounts that a fold has met so far.
pub(super) struct Accounts<'a> {
    texts: &'a PackedFacts,
    of: BTreeMap<EventType, Vec<Fact>>,
    differing: BTreeSet<FactIndex>,
}

impl<'a> Accounts<'a> {
    /// None yet. `texts` are those that the facts name.
    pub(super) fn new(texts: &'a PackedFacts) -> Self {
        Self {
            texts,
            of: BTreeMap::new(),
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
        let accounts = self.of.entry(fact.event_type).or_default();
        if footing != Footing::Again {
            accounts.clear();
        }
        if accounts.iter().any(|it| differ(it, fact, self.texts)) {
            self.differing.insert(index);
        }
        accounts.push(*fact);
    }

    /// The accounts that differ from one before them.
    pub(super) fn differing(self) -> BTreeSet<FactIndex> {
        self.differing
    }
}

fn differ(one: &Fact, other: &Fact, texts: &PackedFacts) -> bool {
    let differ =
        |one: TextPlace, other: TextPlace| texts.text(Some(one)) != texts.text(Some(other));
    let have_no_day_in_common = one.day < other.earliest || other.day < one.earliest;
    have_no_day_in_common
        || one.claim != other.claim
        || matches!((one.district, other.district), (Some(one), Some(other)) if differ(one, other))
        || match (one.effect, other.effect) {
            (Effect::MembersReturned(one), Effect::MembersReturned(other)) => one != other,
            (Effect::Label(one), Effect::Label(other)) => differ(one, other),
            _ => false,
        }
}
