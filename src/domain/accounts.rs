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
//! The first of them moves the status. Where that leaves a later event without its place and another
//! account does not (a handover began on the 14th, and the release is told of the 12th and of the
//! 14th), it is the other one that moves it, and the earlier is kept beside it.
//!
//! Two accounts differ where they have no day in common, or where they name another result, another
//! district, another label or another number of members. What a case keeps no fact of (receipts,
//! bodies, modes) is not compared. The order is that of occurrence: which account arrived first does
//! not matter.

use std::collections::{BTreeMap, BTreeSet};

use super::fact::{Effect, Fact, FactIndex, TextPlace};
use super::fold::{Footing, Image, Obstacle};
use super::folded::Placed;
use super::lifecycle;
use super::packed::PackedFacts;
use crate::wire::v1::{CaseKind, Credibility, EventType};

/// The accounts that a fold has met so far.
pub(super) struct Accounts<'a> {
    texts: &'a PackedFacts,
    of: BTreeMap<EventType, Vec<Account>>,
    differing: BTreeSet<FactIndex>,
}

#[derive(Clone, Copy)]
struct Account {
    fact: Fact,
    /// Whether it is kept beside a later one that moves the status.
    is_early: bool,
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
        if !is_account(fact, credibility) {
            return;
        }
        let accounts = self.of.entry(fact.event_type).or_default();
        if footing != Footing::Again {
            accounts.retain(|it| it.is_early);
        }
        // From here on it is one of several alike.
        for account in &mut *accounts {
            account.is_early = false;
        }
        self.add(index, fact, false);
    }

    /// Takes an account that is kept beside a later one.
    pub(super) fn take_early(&mut self, index: FactIndex, fact: &Fact) {
        self.add(index, fact, true);
    }

    fn add(&mut self, index: FactIndex, fact: &Fact, is_early: bool) {
        let accounts = self.of.entry(fact.event_type).or_default();
        if accounts.iter().any(|it| differ(&it.fact, fact, self.texts)) {
            self.differing.insert(index);
        }
        accounts.push(Account {
            fact: *fact,
            is_early,
        });
    }

    /// The accounts that differ from one before them.
    pub(super) fn differing(self) -> BTreeSet<FactIndex> {
        self.differing
    }
}

/// Whether a fact tells of what happens once only.
pub(super) fn is_account(fact: &Fact, credibility: Credibility) -> bool {
    credibility == Credibility::Confirmed
        && lifecycle::row(fact.event_type).is_some_and(|row| row.once)
}

/// The accounts that are kept beside a later one of their type, since they would move the status
/// where fewer events stand in their place.
pub(super) fn early(kind: CaseKind, order: &[Placed]) -> BTreeSet<FactIndex> {
    let mut early = BTreeSet::new();
    let accounts = order
        .iter()
        .filter(|(_, fact, credibility)| is_account(fact, *credibility));
    let accounts: Vec<_> = accounts.collect();
    let has_later = |(place, (_, fact, _)): &(usize, &&Placed)| {
        let mut later = accounts.iter().skip(place.saturating_add(1));
        later.any(|(_, other, _)| other.event_type == fact.event_type)
    };
    let candidates: Vec<_> = accounts.iter().enumerate().filter(has_later).collect();
    if candidates.is_empty() {
        return early;
    }
    let mut breaks = count_breaks(kind, order, &early);
    for (_, (index, ..)) in candidates {
        if breaks == 0 {
            break;
        }
        early.insert(*index);
        let fewer = count_breaks(kind, order, &early);
        if fewer < breaks {
            breaks = fewer;
        } else {
            early.remove(index);
        }
    }
    early
}

fn count_breaks(kind: CaseKind, order: &[Placed], early: &BTreeSet<FactIndex>) -> usize {
    let mut image = Image::default();
    let footings = order.iter().map(|(index, fact, credibility)| {
        if early.contains(index) {
            image.step_early(kind, *index, fact)
        } else {
            image.step(kind, *index, fact, *credibility)
        }
    });
    footings
        .filter(|footing| *footing == Footing::Breaks)
        .count()
}

/// Goes through facts in the order of occurrence, and shows `visit` each with the image before it
/// and why it is not allowed there, where it is not.
///
/// # Errors
/// The first that `visit` returns.
pub(super) fn walk<E>(
    kind: CaseKind,
    order: &[Placed],
    mut visit: impl FnMut(&Image, &Placed, Option<Obstacle>) -> Result<(), E>,
) -> Result<(), E> {
    let early = early(kind, order);
    let mut image = Image::default();
    for placed in order {
        let (index, fact, credibility) = placed;
        // What breaks the sequence moves the status all the same: that is for `visit` to judge.
        if early.contains(index) {
            visit(&image, placed, None)?;
            let _ = image.step_early(kind, *index, fact);
        } else {
            visit(&image, placed, image.obstacle(kind, fact, *credibility))?;
            let _ = image.step(kind, *index, fact, *credibility);
        }
    }
    Ok(())
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
