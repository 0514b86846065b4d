//! Events of one case that come in one submission: their places in the order of occurrence are judged
//! as a whole.
//!
//! Somebody who was offline may bring two events that only fit together, such as a loss of whereabouts
//! and the acknowledgement after it, both before what others have recorded since. One by one, in
//! whatever order, each would break the sequence. So a confirmed event with nothing against it but its
//! place waits for the others, and once all are taken in every confirmed event of the case must stand
//! where the lifecycle allows it, but for those that stood out of place before, and those that a
//! correction or a retraction of the same submission left without ground. What concerns the record
//! (corrections, verifications, disputes, closings) and what needs another event to name is judged
//! in the order in which it was sent.
//!
//! It knows one case alone: no event waits for one of another case.

use std::collections::BTreeSet;

use super::decide::{broken_by, rejection};
use super::fact::FactIndex;
use super::fold::Image;
use super::lifecycle;
use super::rejection::Rejection;
use super::state::CaseState;
use crate::wire::edtf::Day;
use crate::wire::v1::{Credibility, EventType};
use crate::wire::validate::ValidEvent;

/// What the events of a submission to one case have come to so far.
#[derive(Debug)]
pub struct Together {
    /// The index of the fact of the first of them.
    first: FactIndex,
    waiting: Option<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    /// The first event that is out of place by itself.
    event: FactIndex,
    /// Confirmed facts that may stand out of place.
    excused: BTreeSet<FactIndex>,
    /// Those that stood out of place before the last event that concerns the record.
    before: BTreeSet<FactIndex>,
}

/// An event that does not fit where it occurred, nor makes the others fit.
#[derive(Debug, PartialEq, Eq)]
pub struct OutOfPlace {
    /// Its index among the events of the submission to the case.
    pub event: usize,
    /// Its type.
    pub event_type: EventType,
    /// The version of the case before it.
    pub version: u64,
    /// Why it is refused.
    pub rejection: Rejection,
}

impl Together {
    /// Before the first event of the submission to this case.
    pub fn before(case: &CaseState) -> Self {
        Self {
            first: case.next_index(),
            waiting: None,
        }
    }

    /// Whether the next event may be taken in for now; `is_alone` says that no other comes to this
    /// case.
    ///
    /// # Errors
    /// What speaks against it, whatever else comes.
    pub fn decide(
        &mut self,
        case: &CaseState,
        event: &ValidEvent,
        recorded_on: Day,
        is_alone: bool,
    ) -> Result<(), Rejection> {
        let out_of_place = case.decide_among(event, recorded_on, is_alone)?;
        if out_of_place.is_some() {
            self.waiting.get_or_insert_with(|| Waiting {
                event: case.next_index(),
                excused: broken(case),
                before: BTreeSet::new(),
            });
        }
        if let Some(waiting) = &mut self.waiting
            && lifecycle::is_common(event.event_type())
        {
            waiting.before = broken(case);
        }
        Ok(())
    }

    /// After the case took in the event that was decided last.
    pub fn taken(&mut self, case: &CaseState) {
        let Some(waiting) = &mut self.waiting else {
            return;
        };
        let newest = case.next_index().checked_sub(1);
        let newest = newest.and_then(|index| case.fact(index));
        if newest.is_some_and(|fact| fact.concerns_others()) {
            let without_ground = broken(case);
            let without_ground = without_ground.difference(&waiting.before);
            waiting.excused.extend(without_ground);
        }
    }

    /// Whether all that was taken in fits together.
    ///
    /// # Errors
    /// The first in the order of occurrence that does not fit: an event of the submission, or a
    /// recorded one for which the submission leaves no place.
    pub fn settle(&self, case: &CaseState) -> Result<(), Box<OutOfPlace>> {
        let Some(waiting) = &self.waiting else {
            return Ok(());
        };
        let kind = case.kind();
        let mut image = Image::default();
        let order = case.in_order();
        let last = order.last().map(|(index, ..)| *index);
        for (index, fact, credibility) in order {
            let obstacle = image.obstacle(kind, &fact, credibility);
            if let Some(obstacle) = obstacle
                && credibility == Credibility::Confirmed
                && !waiting.excused.contains(&index)
            {
                let is_new = index >= self.first;
                let event = if is_new { index } else { waiting.event };
                let refused = case.fact(event).unwrap_or(fact);
                return Err(Box::new(OutOfPlace {
                    event: usize::try_from(event - self.first.min(event)).unwrap_or_default(),
                    event_type: refused.recorded_type(),
                    version: u64::from(event),
                    rejection: if is_new {
                        rejection(&image, kind, fact.event_type, obstacle, Some(index) != last)
                    } else {
                        broken_by(refused.event_type, &image, kind, &fact, true)
                    },
                }));
            }
            // What breaks the sequence is excused, or told above.
            let _ = image.step(kind, index, &fact, credibility);
        }
        Ok(())
    }
}

fn broken(case: &CaseState) -> BTreeSet<FactIndex> {
    case.breaks().iter().copied().collect()
}
