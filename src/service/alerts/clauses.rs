//! Which clauses of which agreements have cases outstanding, by what is known at a position. Counted
//! once over all cases, and from then on by the cases that changed.
//!
//! It counts as `coverage` does: a case that is merged into another one is counted as that one, and
//! each case once a clause; all cases together, and for each organisation those that it sees. Clauses
//! without a due date are left out.

use std::cell::LazyCell;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use uuid::Uuid;

use crate::domain::CaseState;
use crate::service::as_of::Time;
use crate::service::coverage::{Covered, survivor};
use crate::view::CaseList;
use crate::wire::v1::{CaseKind, CoverageRule, case::Detail};

/// A clause: its agreement's case, and its reference.
type ClauseId = (Uuid, String);

/// The counts at a position.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Clauses {
    counted: BTreeMap<ClauseId, Counted>,
    /// Of each case that is merged into another one, which.
    merged: HashMap<Uuid, Uuid>,
    /// Of each case into which others are merged, those.
    members: HashMap<Uuid, BTreeSet<Uuid>>,
}

/// Of some clauses of an agreement, by their references, the organisations that see a case outstanding.
pub(super) type OutstandingTo = BTreeMap<String, BTreeSet<String>>;

#[derive(Debug, Clone, Default, PartialEq)]
struct Counted {
    rules: Vec<CoverageRule>,
    outstanding: u64,
    /// Of the cases that an organisation sees, for each that sees any.
    outstanding_to: BTreeMap<String, u64>,
}

/// A case before and after a step; before none where it was not known.
pub(super) struct Turn {
    pub(super) before: Option<Arc<CaseState>>,
    pub(super) after: Arc<CaseState>,
}

/// How to find a case as it was at a position.
pub(super) type Find<'a> = &'a dyn Fn(Uuid) -> Option<Arc<CaseState>>;

impl Clauses {
    /// Counts over all cases as known at a position.
    pub(super) fn count(cases: &CaseList, position: u64) -> Self {
        let time = known_until(position);
        let mut clauses = Self::default();
        for case in time.known_of(cases) {
            let counted = dated_clauses(&case).into_iter().map(|(id, rules)| {
                let counted = Counted {
                    rules,
                    ..Counted::default()
                };
                (id, counted)
            });
            clauses.counted.extend(counted);
        }
        // Without any, none of the rest is asked for, and an agreement that comes counts anew.
        if clauses.counted.is_empty() {
            return clauses;
        }
        for case in time.known_of(cases) {
            clauses.note_merge(case.case_id(), case.survivor());
        }
        let mut groups = HashMap::new();
        for case in time.known_of(cases) {
            if clauses.is_in_group(case.case_id()) {
                groups.insert(case.case_id(), Arc::new(case.into_owned()));
            } else if case.obligation().is_outstanding() {
                clauses.add(&case, &[&*case], 1);
            }
        }
        for root in groups.keys() {
            clauses.add_group(*root, &|case_id| groups.get(&case_id).cloned(), 1);
        }
        clauses
    }

    /// Whether a case under a clause is outstanding.
    pub(super) fn is_outstanding(&self, agreement: Uuid, reference: &str) -> bool {
        let counted = self.counted.get(&(agreement, reference.to_owned()));
        counted.is_some_and(|counted| counted.outstanding > 0)
    }

    /// To whom cases are outstanding under the clauses of an agreement.
    pub(super) fn outstanding_to(&self, agreement: Uuid) -> OutstandingTo {
        let of_agreement = self.counted.range((agreement, String::new())..);
        of_agreement
            .take_while(|((id, _), _)| *id == agreement)
            .map(|((_, reference), counted)| (reference.clone(), counted.organisations()))
            .collect()
    }

    /// The clauses that have cases outstanding, and to whom.
    pub(super) fn with_outstanding(&self) -> BTreeMap<ClauseId, BTreeSet<String>> {
        let counted = self.counted.iter();
        counted
            .filter(|(_, counted)| counted.outstanding > 0)
            .map(|(id, counted)| (id.clone(), counted.organisations()))
            .collect()
    }

    /// Goes on by the cases that changed between two positions, which `before` and `after` find as
    /// they were there. False where it has to be counted anew, since other clauses have a date, or
    /// other rules.
    #[must_use]
    pub(super) fn take(
        &mut self,
        turns: &HashMap<Uuid, Turn>,
        before: Find<'_>,
        after: Find<'_>,
    ) -> bool {
        let clauses_before = |turn: &Turn| turn.before.as_deref().map(dated_clauses);
        if turns
            .values()
            .any(|turn| clauses_before(turn).unwrap_or_default() != dated_clauses(&turn.after))
        {
            return false;
        }
        if self.counted.is_empty() {
            return true;
        }
        // The groups that are touched are those of the cases that changed, and those into which
        // these now lead.
        let into = |turn: &Turn| turn.after.survivor();
        let cases = turns.keys().copied().chain(turns.values().filter_map(into));
        let mut roots: BTreeSet<_> = cases.map(|case| survivor(&self.merged, case)).collect();
        for root in &roots {
            self.add_group(*root, before, -1);
        }
        for (case_id, turn) in turns {
            self.note_merge(*case_id, into(turn));
        }
        roots.extend(turns.keys().map(|case| survivor(&self.merged, *case)));
        for root in &roots {
            self.add_group(*root, after, 1);
        }
        true
    }

    fn note_merge(&mut self, case_id: Uuid, into: Option<Uuid>) {
        let before = match into {
            Some(into) => self.merged.insert(case_id, into),
            None => self.merged.remove(&case_id),
        };
        if before == into {
            return;
        }
        if let Some(before) = before
            && let Some(members) = self.members.get_mut(&before)
        {
            members.remove(&case_id);
            if members.is_empty() {
                self.members.remove(&before);
            }
        }
        if let Some(into) = into {
            self.members.entry(into).or_default().insert(case_id);
        }
    }

    fn is_in_group(&self, case_id: Uuid) -> bool {
        self.merged.contains_key(&case_id) || self.members.contains_key(&case_id)
    }

    /// Counts a case with those that are merged into it; nothing for one that is merged itself.
    fn add_group(&mut self, root: Uuid, find: Find<'_>, sign: i64) {
        let Some(case) = find(root).filter(|case| case.obligation().is_outstanding()) else {
            return;
        };
        if survivor(&self.merged, root) != root {
            return;
        }
        let mut group = BTreeSet::from([root]);
        let mut open = vec![root];
        while let Some(case_id) = open.pop() {
            for member in self.members.get(&case_id).into_iter().flatten() {
                if survivor(&self.merged, *member) == root && group.insert(*member) {
                    open.push(*member);
                }
            }
        }
        let group: Vec<_> = group.into_iter().filter_map(find).collect();
        let group: Vec<_> = group.iter().map(AsRef::as_ref).collect();
        self.add(&case, &group, sign);
    }

    /// Counts cases as one, their root, under each clause under which any of them is; and likewise for
    /// each organisation that sees the root, as far as it sees the others.
    fn add(&mut self, root: &CaseState, group: &[&CaseState], sign: i64) {
        let group: Vec<_> = group
            .iter()
            .map(|&case| (covered(case), LazyCell::new(move || case.organisations())))
            .collect();
        let seeing_root = LazyCell::new(|| root.organisations());
        for ((agreement, reference), counted) in &mut self.counted {
            let agreement = agreement.to_string();
            let under = group
                .iter()
                .filter(|(covered, _)| covered.is_under(&agreement, reference, &counted.rules));
            let under: Vec<_> = under.map(|(_, seeing)| seeing).collect();
            if under.is_empty() {
                continue;
            }
            counted.outstanding = counted.outstanding.saturating_add_signed(sign);
            for organisation in seeing_root.iter() {
                if under.iter().any(|seeing| seeing.contains(organisation)) {
                    counted.add_to(organisation.clone(), sign);
                }
            }
        }
    }
}

impl Counted {
    fn organisations(&self) -> BTreeSet<String> {
        self.outstanding_to.keys().cloned().collect()
    }

    fn add_to(&mut self, organisation: String, sign: i64) {
        match self.outstanding_to.entry(organisation) {
            Entry::Vacant(vacant) => {
                vacant.insert(0_u64.saturating_add_signed(sign));
            }
            Entry::Occupied(mut occupied) => {
                let count = occupied.get().saturating_add_signed(sign);
                if count == 0 {
                    occupied.remove();
                } else {
                    occupied.insert(count);
                }
            }
        }
    }
}

fn covered(case: &CaseState) -> Covered<'_> {
    Covered::new(case, case.keeps_payloads())
}

/// A case as it was known at a position.
pub(super) fn known_at(case: &Arc<CaseState>, position: u64) -> Option<Arc<CaseState>> {
    if case.last_position()? < position {
        return Some(Arc::clone(case));
    }
    case.known_at(position).map(Arc::new)
}

fn known_until(position: u64) -> Time {
    Time {
        position,
        true_at: None,
    }
}

/// The clauses of an agreement that have a due date, with their rules. Which date does not matter.
fn dated_clauses(case: &CaseState) -> BTreeMap<ClauseId, Vec<CoverageRule>> {
    if case.kind() != CaseKind::Agreement {
        return BTreeMap::new();
    }
    let Some(Detail::AgreementDetail(detail)) = case.detail() else {
        return BTreeMap::new();
    };
    let dated = detail.clauses.into_iter().filter(|it| !it.due.is_empty());
    dated
        .map(|clause| ((case.case_id(), clause.reference), clause.rules))
        .collect()
}
