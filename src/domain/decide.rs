//! The decision: whether an event may be recorded in a case.
//!
//! A confirmed event is judged in its place in the order of occurrence: the lifecycle must allow it
//! there, and must still allow every confirmed event after it that it allowed before. Where several
//! events come in one submission, their places are judged as a whole (`domain::together`). An allegation
//! is accepted wherever the case was open. Events that concern the record (closing, reopening,
//! verification, disputes, retractions) are judged by what they name.
//!
//! A retraction of what counts is always accepted, and a correction where its replacement is allowed
//! in its place: that a later confirmed event then stands where it is not allowed is a matter of the
//! world, and contests the case.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::fact::{Effect, Fact, FactIndex, Happening, Surroundings, TextPlace, fact_of};
use super::fold::{Image, Obstacle};
use super::folded::{Placed, Successor, root};
use super::lifecycle::{self, Allowed};
use super::rejection::Rejection;
use super::state::CaseState;
use crate::wire::edtf::Day;
use crate::wire::moment::Moment;
use crate::wire::v1::{CaseKind, CaseStatus, Credibility, EventType, event::Payload};
use crate::wire::validate::ValidEvent;

/// A case that an event is judged against: a decision needs no texts.
struct Judged<'a>(&'a CaseState);

impl Surroundings for Judged<'_> {
    fn resolve(&self, event_id: &str) -> Option<FactIndex> {
        self.0.index_of(event_id)
    }

    fn first_recorded_on(&self, index: FactIndex) -> Day {
        self.0.first_recorded_on(index)
    }

    fn intern(&mut self, _: &str) -> Option<TextPlace> {
        None
    }

    fn keep(&mut self, _: &Payload) -> Option<TextPlace> {
        None
    }
}

impl CaseState {
    /// Whether `event` may be recorded in this case on the day `recorded_on`.
    ///
    /// # Errors
    /// The rejection names the status where the event would stand and those that would allow it.
    pub fn decide(&self, event: &ValidEvent, recorded_on: Day) -> Result<(), Rejection> {
        self.decide_among(event, recorded_on, true).map(|_| ())
    }

    /// [`CaseState::decide`] for an event that may come with others of its submission: where it is
    /// not alone, and nothing but its place in the order of occurrence speaks against a confirmed
    /// event, that is what is returned, since the others may yet make room for it.
    ///
    /// # Errors
    /// Whatever speaks against it besides.
    pub(super) fn decide_among(
        &self,
        event: &ValidEvent,
        recorded_on: Day,
        is_alone: bool,
    ) -> Result<Option<Rejection>, Rejection> {
        let event_type = event.event_type();
        let candidate = fact_of(
            Happening {
                position: 0,
                event_id: event.event_id(),
                days: event.days(),
                recorded_at: Moment::at_start_of(recorded_on),
                credibility: event.credibility(),
                payload: event.event().payload.as_ref(),
            },
            Judged(self),
        );
        let kind = lifecycle::kind_of(event_type);
        if self.version() == 0 && (kind.is_none() || candidate.opens_no_case()) {
            return Err(Rejection::CaseNotFound { event: event_type });
        }
        let kind = kind.unwrap_or(self.kind());
        if self.version() > 0 && self.kind() != kind {
            return Err(Rejection::WrongKind {
                event: event_type,
                kind: self.kind(),
            });
        }
        if self.merge_place().is_some() && !lifecycle::is_common(event_type) {
            return Err(Rejection::Merged {
                event: event_type,
                survivor: self.merged_into(),
            });
        }
        if let Some(target) = candidate.corrects {
            self.decide_correction(&candidate, target)?;
            self.decide_matter(event, Some(target))?;
            return Ok(None);
        }
        let mut out_of_place = None;
        match candidate.effect {
            Effect::Retract(target) => self.decide_retraction(event_type, target),
            Effect::Void(target) => self.decide_reopening(target),
            Effect::Verify(target, credibility) => {
                self.decide_verification(event_type, target, credibility)
            }
            Effect::Dispute(target) => self.applicable(event_type, target).map(|_| ()),
            Effect::Resolve(dispute) => {
                let open = self.open_disputes().contains(&dispute);
                open.then_some(()).ok_or(Rejection::DisputeNotOpen)
            }
            Effect::Unresolved => Err(Rejection::TargetNotFound {
                event: event_type,
                target: target_of(event),
            }),
            _ => match self.decide_in_place(kind, &candidate) {
                Err(rejection) if !is_alone && candidate.credibility == Credibility::Confirmed => {
                    out_of_place = Some(rejection);
                    Ok(())
                }
                decided => decided,
            },
        }?;
        self.decide_matter(event, None)?;
        self.decide_tie(event, recorded_on)?;
        Ok(out_of_place)
    }

    /// Anything that counts can be retracted, but for one end of what two cases hold, which is undone in
    /// both at once by CasesUnmerged, and for an erasure, which can't be undone.
    fn decide_retraction(&self, event: EventType, target: FactIndex) -> Result<(), Rejection> {
        let fact = self.counting(event, target)?;
        match fact.event_type {
            target @ (EventType::CasesMerged | EventType::CasesUnmerged) => {
                Err(Rejection::HeldByTwoCases { event, target })
            }
            EventType::ErasureExecuted => Err(Rejection::ErasureIrrevocable),
            _ => Ok(()),
        }
    }

    /// Whether an event that bears on the status is allowed in its place.
    fn decide_in_place(&self, kind: CaseKind, candidate: &Fact) -> Result<(), Rejection> {
        if self.is_last_in_order(candidate.day) {
            return match self
                .image()
                .obstacle(kind, candidate, candidate.credibility)
            {
                Some(obstacle) => Err(rejection(
                    self.image(),
                    kind,
                    candidate.event_type,
                    obstacle,
                    false,
                )),
                None => Ok(()),
            };
        }
        let mut order = self.in_order();
        // On the same day the one recorded later comes later, and the candidate is the latest.
        let place = order.partition_point(|(_, fact, _)| fact.day <= candidate.day);
        order.insert(
            place,
            (self.next_index(), *candidate, candidate.credibility),
        );
        self.decide_sequence(kind, self.next_index(), candidate.event_type, &order, true)
    }

    /// Whether a replacement is allowed in its place. Where its target was not, it need not be.
    fn decide_correction(&self, candidate: &Fact, target: FactIndex) -> Result<(), Rejection> {
        let kind = self.kind();
        self.applicable(EventType::EventCorrected, target)?;
        if lifecycle::kind_of(candidate.event_type) != Some(kind) {
            return Err(Rejection::WrongKind {
                event: candidate.event_type,
                kind,
            });
        }
        let facts = self.facts();
        let mut image = Image::default();
        let mut was_obstructed = false;
        let mut rest = Vec::new();
        for (index, fact, credibility) in self.in_order() {
            if index == target {
                let confirms = candidate.credibility == Credibility::Confirmed
                    && credibility != Credibility::Confirmed;
                was_obstructed = !confirms && image.obstacle(kind, &fact, credibility).is_some();
            } else {
                rest.push((index, fact, credibility));
            }
            // Only the places matter here.
            let _ = image.step(kind, index, &fact, credibility);
        }
        let place = (candidate.day, root(&facts, target));
        let mut image = Image::default();
        for (index, fact, credibility) in &rest {
            if (fact.day, root(&facts, *index)) > place {
                break;
            }
            let _ = image.step(kind, *index, fact, *credibility);
        }
        match image.obstacle(kind, candidate, candidate.credibility) {
            Some(obstacle) if !was_obstructed => Err(rejection(
                &image,
                kind,
                candidate.event_type,
                obstacle,
                false,
            )),
            _ => Ok(()),
        }
    }

    /// Only the event that closed the case, or brought it to its end, can be named: a case is
    /// reopened where the closing fact was wrong, and only there.
    fn decide_reopening(&self, target: FactIndex) -> Result<(), Rejection> {
        let named = self.fact(target).map(|fact| fact.position);
        match self.closing_fact() {
            None => Err(Rejection::NotClosed {
                status: self.image().confirmed,
            }),
            Some(closing) if Some(closing.position) != named => {
                Err(Rejection::NotTheClosingEvent {
                    closing_event: closing.event_id,
                })
            }
            Some(_) => Ok(()),
        }
    }

    /// Raising an event to confirmed must keep the sequence; lowering one never fails.
    fn decide_verification(
        &self,
        event_type: EventType,
        target: FactIndex,
        credibility: Credibility,
    ) -> Result<(), Rejection> {
        let fact = self.applicable(event_type, target)?;
        let now = self
            .credibility_changed_to(target)
            .unwrap_or(fact.credibility);
        if now == credibility {
            return Err(Rejection::CredibilityUnchanged { credibility });
        }
        if credibility != Credibility::Confirmed {
            return Ok(());
        }
        let mut order = self.in_order();
        for (index, _, credibility) in &mut order {
            if *index == target {
                *credibility = Credibility::Confirmed;
            }
        }
        self.decide_sequence(self.kind(), target, fact.event_type, &order, false)?;
        self.decide_raised_matter(&fact)
    }

    /// The fact that an event names, where it is one of the case's kind that still counts.
    fn applicable(&self, event: EventType, target: FactIndex) -> Result<Fact, Rejection> {
        let fact = self.counting(event, target)?;
        match lifecycle::kind_of(fact.event_type) {
            Some(kind) if kind == self.kind() => Ok(fact),
            _ => Err(Rejection::TargetNotApplicable {
                event,
                target: fact.event_type,
            }),
        }
    }

    /// The fact that an event names, where it still counts.
    fn counting(&self, event: EventType, target: FactIndex) -> Result<Fact, Rejection> {
        let not_found = Rejection::TargetNotFound {
            event,
            target: Uuid::nil(),
        };
        let Some(fact) = self.fact(target) else {
            return Err(not_found);
        };
        if self.removed_by(target).is_none() {
            return Ok(fact);
        }
        let (stands, index) = match self.successor(target) {
            Successor::Stands(index) => (true, index),
            Successor::TakenAwayBy(index) => (false, index),
        };
        let now = self.fact(index).ok_or(not_found)?;
        Err(Rejection::TargetNotStanding {
            event,
            stands,
            by: now.recorded_type(),
            by_event: now.event_id,
        })
    }

    /// Whether the lifecycle allows `candidate` in this sequence, and still allows every confirmed
    /// fact that it allowed before. `is_late` says that the candidate is what arrives.
    fn decide_sequence(
        &self,
        kind: CaseKind,
        candidate: FactIndex,
        event: EventType,
        order: &[Placed],
        is_late: bool,
    ) -> Result<(), Rejection> {
        let broken: BTreeSet<_> = self.breaks().iter().collect();
        let mut image = Image::default();
        for (index, fact, credibility) in order {
            if let Some(obstacle) = image.obstacle(kind, fact, *credibility) {
                if *index == candidate {
                    return Err(rejection(&image, kind, event, obstacle, is_late));
                }
                if *credibility == Credibility::Confirmed && !broken.contains(index) {
                    return Err(broken_by(event, &image, kind, fact, is_late));
                }
            }
            // What breaks the sequence now broke it before, or is told above.
            let _ = image.step(kind, *index, fact, *credibility);
        }
        Ok(())
    }
}

/// The refusal of an event that leaves no place for a recorded one.
pub(super) fn broken_by(
    event: EventType,
    image: &Image,
    kind: CaseKind,
    broken: &Fact,
    is_late: bool,
) -> Rejection {
    Rejection::SequenceBroken {
        event,
        broken_event: broken.event_type,
        broken_position: broken.position,
        status: image.confirmed,
        allowed: allowed_statuses(kind, broken.event_type),
        is_late,
    }
}

/// The refusal of an event that is not allowed after what the image shows. `is_late` says that others
/// follow it in the order of occurrence.
pub(super) fn rejection(
    image: &Image,
    kind: CaseKind,
    event: EventType,
    obstacle: Obstacle,
    is_late: bool,
) -> Rejection {
    let status = image.confirmed;
    match obstacle {
        Obstacle::Closed => Rejection::Closed { event, status },
        Obstacle::Status => Rejection::NotAllowed {
            event,
            status,
            allowed: allowed_statuses(kind, event),
            is_late,
        },
        Obstacle::WishesMissing => Rejection::WishesMissing,
        Obstacle::WishesDeclined => Rejection::WishesDeclined,
        Obstacle::NoReleaseHold => Rejection::NoReleaseHold { status },
    }
}

/// The statuses that allow an event; for CaseClosed those of an open case.
fn allowed_statuses(kind: CaseKind, event: EventType) -> &'static [CaseStatus] {
    match lifecycle::row(event).map(|row| row.allowed) {
        Some(Allowed::In(statuses)) => statuses,
        _ if lifecycle::is_common(event) => lifecycle::open_statuses(kind),
        _ => lifecycle::statuses(kind),
    }
}

fn target_of(event: &ValidEvent) -> Uuid {
    let target = match event.event().payload.as_ref() {
        Some(Payload::CaseReopened(event)) => &event.closing_event_id,
        Some(Payload::VerificationChanged(event)) => &event.target_event_id,
        Some(Payload::EventDisputed(event)) => &event.target_event_id,
        Some(Payload::DisputeResolved(event)) => &event.dispute_event_id,
        Some(Payload::EventCorrected(event)) => &event.target_event_id,
        Some(Payload::EventRetracted(event)) => &event.target_event_id,
        _ => return Uuid::nil(),
    };
    Uuid::try_parse(target).unwrap_or_default()
}
