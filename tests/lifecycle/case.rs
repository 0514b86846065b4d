//! A case under test: events go in as the service takes them in (validated, decided, then taken),
//! and after each the case is held against itself folded anew.

use casetrail::domain::{Arrival, CaseState, OutOfPlace, Rejection, Together};
use casetrail::wire::day::Day;
use casetrail::wire::moment::Moment;
use casetrail::wire::v1::{
    Case, CaseStatus, ContestedCause, Credibility, DetentionDetail, Event, EventType, Record,
    WishesOutcome, case::Detail, event::Payload,
};
use casetrail::wire::validate::{self, ValidEvent};
use uuid::Uuid;

use super::catalogue::{Claim, Guard, Lifecycle, NEW, path_to};
use super::support::{fresh_uuid, submission_of, today, valid_event};

const ORGANISATION: &str = "organisation-1";

/// A case under test.
#[derive(Clone)]
pub struct TestCase {
    pub state: CaseState,
    records: Vec<(u64, Record)>,
    /// The day on which the next event is recorded.
    pub recorded_on: Day,
    next_position: u64,
}

impl TestCase {
    pub fn new() -> Self {
        Self {
            state: CaseState::new(fresh_uuid()),
            records: Vec::new(),
            recorded_on: today(),
            next_position: 1_000,
        }
    }

    /// A case brought into a status by confirmed events, one a day, with the guard held there.
    pub fn in_status(lifecycle: &Lifecycle, status: CaseStatus, guard: Guard) -> Self {
        let mut case = Self::new();
        for (day, claim) in (1..).zip(path_to(lifecycle, status, guard)) {
            case.record(event_of(&claim).on_day(day));
        }
        assert_eq!(case.confirmed(), status);
        case
    }

    /// Records an event that must be accepted.
    pub fn record(&mut self, event: Event) -> Uuid {
        self.submit(event)
            .unwrap_or_else(|rejection| panic!("{rejection}"))
    }

    /// Submits an event that must be refused; the refusal changes nothing.
    pub fn refused(&mut self, event: Event) -> Rejection {
        let before = self.state.clone();
        let rejection = self.submit(event).expect_err("the event should be refused");
        assert_eq!(self.state, before);
        rejection
    }

    /// Submits an event as the service does.
    pub fn submit(&mut self, event: Event) -> Result<Uuid, Rejection> {
        let event = valid(event, self.recorded_on);
        self.state.decide(&event, self.recorded_on)?;
        let event_id = event.event_id();
        self.take(&event);
        Ok(event_id)
    }

    /// Submits events in one submission, as the service does; a refusal changes nothing.
    pub fn submit_together(&mut self, events: Vec<Event>) -> Result<(), OutOfPlace> {
        let before = self.clone();
        let is_alone = events.len() == 1;
        let mut together = Together::before(&self.state);
        let events = events
            .into_iter()
            .map(|event| valid(event, self.recorded_on));
        let events: Vec<_> = events.collect();
        let mut taken = Ok(());
        for (index, event) in events.iter().enumerate() {
            taken = together
                .decide(&self.state, event, self.recorded_on, is_alone)
                .map_err(|rejection| OutOfPlace {
                    event: index,
                    event_type: event.event_type(),
                    version: self.state.version(),
                    rejection,
                });
            if taken.is_err() {
                break;
            }
            self.take(event);
            together.taken(&self.state);
        }
        let settled = taken.and_then(|()| together.settle(&self.state).map_err(|it| *it));
        if settled.is_err() {
            *self = before;
        }
        settled
    }

    /// Takes an event in that nobody decided.
    pub fn force(&mut self, event: Event) -> Uuid {
        let event = valid(event, self.recorded_on);
        self.take(&event);
        event.event_id()
    }

    fn take(&mut self, event: &ValidEvent) {
        let recorded_at = Moment(i64::from(self.recorded_on.0) * 86_400_000_000 + 7);
        let position = self.next_position;
        // The records of other cases stand between.
        self.next_position += 7;
        let (before, mark) = (self.state.clone(), self.state.before());
        self.state.take(Arrival {
            position,
            event: event.event(),
            event_id: event.event_id(),
            days: event.days(),
            recorded_at,
            organisation: ORGANISATION,
        });
        let record = Record {
            event: Some(event.event().clone()),
            recorded_at: Some(recorded_at.into()),
            organisation: ORGANISATION.to_owned(),
            standing: Some(self.state.standing()),
            ..Record::default()
        };
        self.records.push((position, record));
        self.assert_folds_to_itself();
        let mut taken_back = self.state.clone();
        taken_back.take_back_to(mark);
        assert_eq!(taken_back, before);
    }

    /// The case is what its records fold to, and what it is after it was stored and restored.
    fn assert_folds_to_itself(&self) {
        let mut folded = CaseState::new(self.state.case_id());
        for (position, record) in &self.records {
            folded.fold(*position, record);
        }
        assert_eq!(folded, self.state);
        assert_eq!(
            self.records.last().unwrap().1.standing,
            Some(folded.standing())
        );
        assert_eq!(stored_and_restored(&self.state), self.state);
        assert_eq!(self.state.version(), self.records.len() as u64);
    }

    pub fn case(&self) -> Case {
        self.state.to_case()
    }

    pub fn confirmed(&self) -> CaseStatus {
        self.state.standing().confirmed()
    }

    pub fn reported(&self) -> CaseStatus {
        self.state.standing().reported()
    }

    pub fn contested(&self) -> Vec<ContestedCause> {
        let causes: Vec<_> = self.case().contested_causes().collect();
        assert_eq!(self.state.standing().contested, !causes.is_empty());
        causes
    }

    pub fn detention(&self) -> DetentionDetail {
        match self.case().detail {
            Some(Detail::DetentionDetail(detail)) => detail,
            _ => DetentionDetail::default(),
        }
    }

    /// The position of the event.
    pub fn position(&self, event_id: Uuid) -> u64 {
        let mut facts = self.state.facts().into_iter();
        facts
            .find(|fact| fact.event_id == event_id)
            .unwrap()
            .position
    }

    pub fn next_position(&self) -> u64 {
        self.next_position
    }

    /// Whether it has an event of the type.
    pub fn has(&self, event: EventType) -> bool {
        let mut facts = self.state.facts().into_iter();
        facts.any(|fact| fact.event_type == event)
    }

    pub fn exists(&self) -> bool {
        self.state.version() > 0
    }
}

/// The refusal is that of a status: it names the status, and the statuses that would allow the
/// event and no others, in the fields and in the words.
pub fn assert_names(
    rejection: &Rejection,
    lifecycle: &Lifecycle,
    status: CaseStatus,
    allowed: &[CaseStatus],
) {
    assert_eq!(rejection.reason(), "EVENT_NOT_ALLOWED", "{rejection}");
    assert_eq!(rejection.status(), Some(status), "{rejection}");
    assert_eq!(rejection.allowed(), allowed, "{rejection}");
    let names: Vec<_> = allowed.iter().map(|s| lifecycle.name(*s)).collect();
    let status = lifecycle.name(status);
    let words = format!(
        "is not allowed in status {status}; it is allowed in {}",
        names.join(", ")
    );
    assert!(rejection.to_string().ends_with(&words), "{rejection}");
}

pub fn stored_and_restored(state: &CaseState) -> CaseState {
    let bytes = postcard::to_stdvec(state).unwrap();
    postcard::from_bytes::<CaseState>(&bytes)
        .unwrap()
        .restored()
}

pub fn valid(event: Event, today: Day) -> ValidEvent {
    let submission = validate::submission(submission_of(vec![event]), today).unwrap();
    submission
        .changes
        .into_iter()
        .next()
        .unwrap()
        .events
        .remove(0)
}

/// The first of the days on which the tests let things happen.
pub fn first_day() -> Day {
    Day::from_calendar(2024, 3, 1).unwrap()
}

/// A confirmed event with this claim.
pub fn event_of(claim: &Claim) -> Event {
    let mut event = valid_event(claim.event);
    claim.say(event.payload.as_mut().unwrap());
    event
}

pub fn confirmed(event: EventType) -> Event {
    event_of(&Claim::of(event))
}

/// An unconfirmed event.
pub fn alleged(event: EventType) -> Event {
    confirmed(event).held(Credibility::Likely)
}

pub fn wishes(outcome: WishesOutcome) -> Event {
    let mut event = confirmed(EventType::WishesRecorded);
    if let Some(Payload::WishesRecorded(wishes)) = &mut event.payload {
        wishes.set_outcome(outcome);
    }
    event
}

pub fn reopened(closing: Uuid) -> Event {
    let mut event = confirmed(EventType::CaseReopened);
    if let Some(Payload::CaseReopened(reopened)) = &mut event.payload {
        reopened.closing_event_id = closing.to_string();
    }
    event
}

pub fn verified(target: Uuid, credibility: Credibility) -> Event {
    let mut event = confirmed(EventType::VerificationChanged);
    if let Some(Payload::VerificationChanged(verified)) = &mut event.payload {
        verified.target_event_id = target.to_string();
        verified.set_credibility(credibility);
    }
    event
}

pub fn disputed(target: Uuid) -> Event {
    let mut event = confirmed(EventType::EventDisputed);
    if let Some(Payload::EventDisputed(disputed)) = &mut event.payload {
        disputed.target_event_id = target.to_string();
    }
    event
}

pub fn resolved(dispute: Uuid) -> Event {
    let mut event = confirmed(EventType::DisputeResolved);
    if let Some(Payload::DisputeResolved(resolved)) = &mut event.payload {
        resolved.dispute_event_id = dispute.to_string();
    }
    event
}

pub fn corrected(target: Uuid, replacement: Event) -> Event {
    let mut event = confirmed(EventType::EventCorrected);
    if let Some(Payload::EventCorrected(corrected)) = &mut event.payload {
        corrected.target_event_id = target.to_string();
        corrected.replacement = Some(Box::new(super::support::replacement(replacement)));
    }
    event
}

pub fn retracted(target: Uuid) -> Event {
    let mut event = confirmed(EventType::EventRetracted);
    if let Some(Payload::EventRetracted(retracted)) = &mut event.payload {
        retracted.target_event_id = target.to_string();
    }
    event
}

/// What a test says of an event.
pub trait Telling {
    /// It occurred then, in EDTF.
    fn on(self, occurred: &str) -> Self;
    /// It occurred on this day, counted from the first.
    fn on_day(self, day: i32) -> Self;
    /// It is held to be that credible.
    fn held(self, credibility: Credibility) -> Self;
}

impl Telling for Event {
    fn on(mut self, occurred: &str) -> Self {
        occurred.clone_into(&mut self.occurred);
        self
    }

    fn on_day(self, day: i32) -> Self {
        let occurred = first_day().plus(day).to_string();
        self.on(&occurred)
    }

    fn held(mut self, credibility: Credibility) -> Self {
        self.set_credibility(credibility);
        self
    }
}

/// A case that holds a single allegation, which claims a status and confirms none.
pub fn opened_by_hearsay(lifecycle: &Lifecycle) -> TestCase {
    let event = lifecycle.rows()[1].event;
    let mut case = TestCase::new();
    case.record(alleged(event).on_day(0));
    assert_eq!(case.confirmed(), NEW);
    case
}
