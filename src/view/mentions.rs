//! Which cases mention which: where to look for what other cases say of a case.
//!
//! An entry says that a case mentioned another one at some time. Whether that still stands is for the
//! mentioning case to tell, so that entries are only ever added. Few cases mention others.

use std::collections::{BTreeSet, HashMap};

use uuid::Uuid;

use crate::domain::{CaseState, Fact, Mention};

/// The places of the cases that mention a case: in the order in which they were opened, whenever they
/// did.
#[derive(Debug, Default)]
pub(super) struct Mentions {
    linked: HashMap<Uuid, BTreeSet<usize>>,
    covered: HashMap<Uuid, BTreeSet<usize>>,
}

impl Mentions {
    /// Takes in a fact of the case at a place.
    pub(super) fn note(&mut self, place: usize, case: &CaseState, fact: &Fact) {
        let (places, mentioned) = match case.mention(fact) {
            Some(Mention::Case(other)) => (&mut self.linked, other),
            Some(Mention::Agreement(agreement)) => (&mut self.covered, agreement),
            None => return,
        };
        places.entry(mentioned).or_default().insert(place);
    }

    /// The cases that are linked with a case, or said something of whether they are about the same.
    pub(super) fn linked(&self, case_id: Uuid) -> impl Iterator<Item = usize> {
        self.linked.get(&case_id).into_iter().flatten().copied()
    }

    /// The cases that were put under a clause of an agreement one by one.
    pub(super) fn covered(&self, agreement: Uuid) -> impl Iterator<Item = usize> {
        self.covered.get(&agreement).into_iter().flatten().copied()
    }
}
