//! Matters: what an event names besides events and statuses (a clause, a link, a referral), and what
//! is told where it is not there, or there already.

use crate::wire::v1::EventType;

/// What an event names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matter {
    /// A clause of the agreement.
    Clause,
}

impl Matter {
    /// The reason of a refusal, in UPPER_SNAKE_CASE: where the matter is there already, and where
    /// it is not.
    pub(super) fn reason(self, is_there: bool) -> &'static str {
        match (self, is_there) {
            (Self::Clause, true) => "CLAUSE_STANDS",
            (Self::Clause, false) => "CLAUSE_NOT_FOUND",
        }
    }

    /// The field of the payload that names it.
    pub(super) fn field(self, event: EventType) -> &'static str {
        match self {
            Self::Clause if event == EventType::ClauseAdded => "clause_added.clause.reference",
            Self::Clause => "clause_due_date_changed.clause_reference",
        }
    }

    /// What is wrong, and what would be right.
    pub(super) fn words(self, is_there: bool) -> &'static str {
        match (self, is_there) {
            (Self::Clause, true) => {
                "the agreement has a clause of this reference: give another one"
            }
            (Self::Clause, false) => {
                "the agreement has no clause of this reference: add it by ClauseAdded first"
            }
        }
    }
}
