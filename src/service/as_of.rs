//! The time of an answer: cases as they were known at a position, and as they were on a day.
//!
//! A case keeps its facts with their positions and their days, so that both are folded from the case
//! alone. One that has not changed since the position is taken as it stands. The log is read only
//! where a time of recording has to be turned into a position: some twenty blocks.

use std::borrow::Cow;
use std::sync::Arc;

use prost_types::Timestamp;

use super::Shared;
use super::audit::first_recorded_from;
use super::call::blocking;
use super::replay::recorded_at;
use super::status::Failure;
use crate::domain::{CaseState, Fact};
use crate::log::Log;
use crate::wire::edtf::Day;
use crate::wire::v1::{Case, CaseStatus, Standing};
use crate::wire::validate::{AsOf, KnownAt};

/// The time of an answer, with its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Time {
    /// Where the log ended.
    pub(super) position: u64,
    /// At the end of which day; none for all that is known.
    pub(super) true_at: Option<Day>,
}

/// A case at a time.
pub(super) struct Seen<'a> {
    known: Cow<'a, CaseState>,
    true_at: Option<Day>,
    /// How it certainly stood.
    pub(super) standing: Standing,
    /// How it possibly stood, where that differs.
    pub(super) possible: Option<Standing>,
}

/// The time that was asked for. `head` is the position of the views.
///
/// # Errors
/// A position beyond the head, and a log that can't be read.
pub(super) async fn resolve(shared: &Shared, head: u64, as_of: &AsOf) -> Result<Time, Failure> {
    let position = match as_of.known_at {
        None => head,
        Some(KnownAt::Position(position)) if position > head => {
            return Err(Failure::beyond_head(position, head));
        }
        Some(KnownAt::Position(position)) => position,
        Some(KnownAt::RecordedAt(time)) => {
            let log = Arc::clone(shared.ledger.log());
            blocking(move || recorded_until(log.as_ref(), head, time)).await??
        }
    };
    Ok(Time {
        position,
        true_at: as_of.true_at,
    })
}

/// The position after the last record that was recorded up to this moment, or before.
fn recorded_until(log: &dyn Log, head: u64, time: Timestamp) -> Result<u64, Failure> {
    // Moments of recording are whole microseconds, so that nothing lies between.
    let after = Timestamp {
        nanos: time.nanos.saturating_add(1),
        ..time
    };
    first_recorded_from(log, head, after)
}

/// The position of the first record that was recorded on a day or later.
///
/// # Errors
/// The log can't be read.
pub(super) fn first_recorded_on(log: &dyn Log, head: u64, day: Day) -> Result<u64, Failure> {
    let begin = crate::wire::moment::Moment::at_start_of(day);
    first_recorded_from(log, head, begin.into())
}

/// The day on which something was known: today for what is known now, else that of the moment, or of
/// the recording of the record before the position.
///
/// # Errors
/// The log can't be read.
pub(super) fn day_of(shared: &Shared, as_of: &AsOf) -> Result<Day, Failure> {
    let moment = match as_of.known_at {
        None => None,
        Some(KnownAt::RecordedAt(moment)) => Some(moment),
        Some(KnownAt::Position(position)) => {
            recorded_before(shared.ledger.log().as_ref(), position)?
        }
    };
    Ok(moment.map_or_else(|| shared.today(), |moment| Day::from_timestamp(&moment)))
}

/// When the record before a position was recorded; none at the beginning of the log.
///
/// # Errors
/// The log can't be read.
pub(super) fn recorded_before(log: &dyn Log, position: u64) -> Result<Option<Timestamp>, Failure> {
    let Some(last) = position.checked_sub(1) else {
        return Ok(None);
    };
    let blocks = log.read(last, 1)?;
    let Some(block) = blocks.first() else {
        return Ok(None);
    };
    recorded_at(block, last).map(|(at, _)| Some(at))
}

impl Time {
    /// How many of a case's facts were known, had certainly happened, and had possibly happened:
    /// between two times at which these are the same, the case is the same.
    pub(super) fn reached(&self, facts: &[Fact]) -> [usize; 3] {
        let count = |holds: &dyn Fn(&Fact) -> bool| facts.iter().filter(|fact| holds(fact)).count();
        let day = self.true_at.unwrap_or(Day::MAX);
        [
            count(&|fact| fact.position < self.position),
            count(&|fact| fact.day <= day),
            count(&|fact| fact.earliest <= day),
        ]
    }

    /// The case as it was known; none where it was not.
    pub(super) fn known<'a>(&self, case: &'a CaseState) -> Option<Cow<'a, CaseState>> {
        if case.last_position()? < self.position {
            return Some(Cow::Borrowed(case));
        }
        case.known_at(self.position).map(Cow::Owned)
    }

    /// Those of the cases that were known, as they were known; they come in the order in which they
    /// were opened.
    pub(super) fn known_of<'a>(
        self,
        cases: impl IntoIterator<Item = &'a Arc<CaseState>>,
    ) -> impl Iterator<Item = Cow<'a, CaseState>> {
        let is_known = move |case: &&Arc<CaseState>| case.first_position() < Some(self.position);
        let known = cases.into_iter().take_while(is_known);
        known.filter_map(move |case| self.known(case))
    }

    /// The case as it was; none where it was not known, or nothing that gives it a status can have
    /// happened by the day.
    pub(super) fn see<'a>(&self, case: &'a CaseState) -> Option<Seen<'a>> {
        let known = self.known(case)?;
        let (standing, possible) = match self.true_at {
            None => (known.standing(), None),
            Some(day) => known.standing_at(day),
        };
        let was = self.true_at.is_none()
            || has_status(&standing)
            || possible.as_ref().is_some_and(has_status);
        was.then_some(Seen {
            known,
            true_at: self.true_at,
            standing,
            possible,
        })
    }
}

/// Whether anything gives the case a status.
pub(super) fn has_status(standing: &Standing) -> bool {
    standing.reported() != CaseStatus::Unspecified
        || standing.confirmed() != CaseStatus::Unspecified
}

impl Seen<'_> {
    /// How it certainly or possibly stood.
    pub(super) fn standings(&self) -> impl Iterator<Item = &Standing> {
        std::iter::once(&self.standing).chain(&self.possible)
    }

    /// The case as the read model shows it, certainly and possibly.
    pub(super) fn to_case(&self) -> (Case, Option<Case>) {
        to_case(&self.known, self.true_at)
    }
}

/// The case as the read model shows it, certainly, and possibly where that differs.
pub(super) fn to_case(known: &CaseState, true_at: Option<Day>) -> (Case, Option<Case>) {
    match true_at {
        None => (known.to_case(), None),
        Some(day) => known.to_case_at(day),
    }
}
