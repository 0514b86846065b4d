//! Which cases mention which: where to look for what other cases say of a case.
//!
//! An entry says that a case mentioned another one at some time. Whether that still stands is for the
//! mentioning case to tell, so that entries are only ever added. Few cases mention others.

use std::collections::HashMap;

use uuid::Uuid;

use crate::domain::{CaseState, Fact, Mention};

/// The places of the cases that mention a case, in the order in which they first did.
#[derive(Debug, Default)]
pub(super) struct Mentions {
    linked: HashMap<Uuid, Vec<usize>>,
    covered: HashMap<Uuid, Vec<usize>>,
}

impl Mentions {
    /// Takes in a fact of the case at a place.
    pub(super) fn note(&mut self, place: usize, case: &CaseState, fact: &Fact) {
        let (places, mentioned) = match case.mention(fact) {
            Some(Mention::Case(other)) => (&mut self.linked, other),
            Some(Mention::Agreement(agreement)) => (&mut self.covered, agreement),
            None => return,
        };
        let places = places.entry(mentioned).or_default();
        if !places.contains(&place) {
            places.push(place);
        }
    }

    /// The cases that are linked with a case, or said something of whether they are about the same.
    pub(super) fn linked(&self, case_id: Uuid) -> &[usize] {
        self.linked.get(&case_id).map_or(&[], Vec::as_slice)
    }

    /// The cases that were put under a clause of an agreement one by one.
    pub(super) fn covered(&self, agreement: Uuid) -> &[usize] {
        self.covered.get(&agreement).map_or(&[], Vec::as_slice)
    }
}
