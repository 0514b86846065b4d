//! Which clauses of which agreements have cases outstanding, by what is known at a position. Counted
//! once over all cases, and from then on by the cases that changed.
//!
//! It counts as `coverage` does: a case that is merged into another one is counted as that one, and
//! each case once a clause. Clauses without a due date are left out.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use uuid::Uuid;

use crate::domain::{CaseState, Ties};
use crate::service::as_of::Time;
use crate::service::coverage::survivor;
use crate::view::CaseList;
use crate::wire::v1::{CaseKind, Clause, case::Detail};

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

#[derive(Debug, Clone, PartialEq)]
struct Counted {
    clause: Clause,
    outstanding: u64,
}

/// A case before and after a step; none where it was not known.
pub(super) struct Turn {
    pub(super) case_id: Uuid,
    pub(super) before: Option<Arc<CaseState>>,
    pub(super) after: Option<Arc<CaseState>>,
}

impl Clauses {
    /// Counts over all cases as known at a position.
    pub(super) fn count(cases: &CaseList, position: u64) -> Self {
        let mut clauses = Self::default();
        for case in known(cases, position) {
            for (id, clause) in dated_clauses(&case) {
                let outstanding = 0;
                clauses.counted.insert(
                    id,
                    Counted {
                        clause,
                        outstanding,
                    },
                );
            }
        }
        // Without any, none of the rest is asked for, and an agreement that comes counts anew.
        if clauses.counted.is_empty() {
            return clauses;
        }
        for case in known(cases, position) {
            clauses.note_merge(case.case_id(), merged_into(&case));
        }
        let mut groups = HashMap::new();
        for case in known(cases, position) {
            if clauses.is_in_group(case.case_id()) {
                groups.insert(case.case_id(), case);
            } else if is_outstanding(&case) {
                clauses.add(&|clause| is_under(&case, clause), 1);
            }
        }
        let find = |case_id: Uuid| groups.get(&case_id).cloned();
        for root in groups.keys() {
            clauses.add_group(*root, &find, 1);
        }
        clauses
    }

    /// Whether a case under a clause is outstanding.
    pub(super) fn is_outstanding(&self, agreement: Uuid, reference: &str) -> bool {
        let counted = self.counted.get(&(agreement, reference.to_owned()));
        counted.is_some_and(|counted| counted.outstanding > 0)
    }

    /// The agreements that have a clause with cases outstanding.
    pub(super) fn with_outstanding(&self) -> BTreeSet<ClauseId> {
        let counted = self.counted.iter();
        counted
            .filter(|(_, counted)| counted.outstanding > 0)
            .map(|(id, _)| id.clone())
            .collect()
    }

    /// Goes on by the cases that changed between two positions. `find` gives a case as it was at the
    /// first (false) or is at the second (true). False where it has to be counted anew, since the
    /// clauses themselves changed.
    #[must_use]
    pub(super) fn take(
        &mut self,
        turns: &[Turn],
        find: &dyn Fn(Uuid, bool) -> Option<Arc<CaseState>>,
    ) -> bool {
        let clauses_of = |case: &Option<Arc<CaseState>>| case.as_deref().map(dated_clauses);
        if turns.iter().any(|turn| {
            clauses_of(&turn.before).unwrap_or_default()
                != clauses_of(&turn.after).unwrap_or_default()
        }) {
            return false;
        }
        if self.counted.is_empty() {
            return true;
        }
        let merges = |turn: &Turn| turn.after.as_deref().and_then(merged_into);
        let roots = |clauses: &Self| {
            let cases = turns.iter().map(|turn| turn.case_id);
            cases
                .map(|case_id| survivor(&clauses.merged, case_id))
                .collect::<BTreeSet<_>>()
        };
        let earlier: Vec<_> = turns
            .iter()
            .map(|turn| (turn.case_id, self.merged.get(&turn.case_id).copied()))
            .collect();
        let mut affected = roots(self);
        for turn in turns {
            self.note_merge(turn.case_id, merges(turn));
        }
        affected.extend(roots(self));
        for (case_id, into) in earlier {
            self.note_merge(case_id, into);
        }
        for root in &affected {
            self.add_group(*root, &|case_id| find(case_id, false), -1);
        }
        for turn in turns {
            self.note_merge(turn.case_id, merges(turn));
        }
        for root in &affected {
            self.add_group(*root, &|case_id| find(case_id, true), 1);
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
    fn add_group(&mut self, root: Uuid, find: &dyn Fn(Uuid) -> Option<Arc<CaseState>>, sign: i64) {
        let is_root = survivor(&self.merged, root) == root;
        if !is_root || !find(root).is_some_and(|case| is_outstanding(&case)) {
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
        let is_under = |clause: &Under<'_>| group.iter().any(|case| is_under(case, clause));
        self.add(&is_under, sign);
    }

    fn add(&mut self, is_under: &dyn Fn(&Under<'_>) -> bool, sign: i64) {
        for ((agreement, _), counted) in &mut self.counted {
            let under = Under {
                agreement: *agreement,
                clause: &counted.clause,
            };
            if is_under(&under) {
                counted.outstanding = counted.outstanding.saturating_add_signed(sign);
            }
        }
    }
}

/// A clause under which a case may be.
struct Under<'a> {
    agreement: Uuid,
    clause: &'a Clause,
}

/// The cases known at a position, as they were known.
fn known(cases: &CaseList, position: u64) -> impl Iterator<Item = Arc<CaseState>> {
    let first = move |case: &&Arc<CaseState>| case.first_position() < Some(position);
    let known = cases.iter().take_while(first);
    known.filter_map(move |case| known_at(case, position))
}

/// A case as it was known at a position.
pub(super) fn known_at(case: &Arc<CaseState>, position: u64) -> Option<Arc<CaseState>> {
    if case.last_position()? < position {
        return Some(Arc::clone(case));
    }
    let time = Time {
        position,
        true_at: None,
    };
    time.known(case).map(|known| Arc::new(known.into_owned()))
}

fn merged_into(case: &CaseState) -> Option<Uuid> {
    Uuid::try_parse(&case.merged_into()).ok()
}

fn dated_clauses(case: &CaseState) -> Vec<(ClauseId, Clause)> {
    if case.kind() != CaseKind::Agreement {
        return Vec::new();
    }
    let Some(Detail::AgreementDetail(detail)) = case.detail() else {
        return Vec::new();
    };
    let dated = detail.clauses.into_iter().filter(|it| !it.due.is_empty());
    dated
        .map(|clause| {
            let id = (case.case_id(), clause.reference.clone());
            (id, clause)
        })
        .collect()
}

fn is_outstanding(case: &CaseState) -> bool {
    let obligation = case.obligation();
    !obligation.is_confirmed && obligation.exclusion.is_none()
}

fn is_under(case: &CaseState, under: &Under<'_>) -> bool {
    let mut rules = under.clause.rules.iter();
    rules.any(|rule| case.is_covered_by(rule)) || is_put(case, under)
}

/// Whether a case was put under a clause one by one.
fn is_put(case: &CaseState, under: &Under<'_>) -> bool {
    if !case.may_mention() {
        return false;
    }
    let agreement = under.agreement.to_string();
    let coverages = Ties::of(case).coverages();
    coverages.iter().any(|it| {
        it.agreement_case_id == agreement && it.clause_reference == under.clause.reference
    })
}
