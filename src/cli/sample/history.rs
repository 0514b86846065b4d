//! The history of one case under way: its events in the order in which they happened, and the
//! submissions in which they are recorded.
//!
//! Invariant: the latest days of a case's confirmed events never decrease from one to the next, so
//! that the order of occurrence is that of recording, except for [`CaseHistory::late`].

use time::Date;

use super::world::{World, later, text};
use crate::wire::v1::case_change::Expected;
use crate::wire::v1::event::Payload;
use crate::wire::v1::{
    CaseChange, CaseClosed, CaseClosedReason, CaseReopened, CaseReopenedReason, CorrectionReason,
    Credibility, DisputeOutcome, DisputeResolved, Event, EventCorrected, EventDisputed,
    EventRetracted, Place, RetractionReason, SourceConnection, SubmitEventsRequest,
    VerificationChanged,
};

/// The most events that a case worker enters before submitting them.
const EVENTS_PER_SUBMISSION_MAX: usize = 6;

/// One case under way.
pub(super) struct CaseHistory {
    pub(super) case_id: String,
    /// Where the case is; what happens next happens near it.
    pub(super) place: Place,
    /// How many people the case is about; it counts for households.
    pub(super) members: u32,
    /// The first day and the day of the newest event: the latest on which each can have happened.
    first_day: Date,
    day: Date,
    /// The version of the case once what is submitted is recorded.
    version: u64,
    pending: Vec<Event>,
    /// What brought the case about, in another case.
    cause: Option<String>,
}

impl CaseHistory {
    /// A case that begins on a day of its own.
    pub(super) fn begin(world: &mut World) -> Self {
        world.cases_left = world.cases_left.saturating_sub(1);
        let first_day = world.first_day();
        let place = world.place();
        Self {
            case_id: world.uuid(first_day),
            place,
            members: 1 + world.below(9),
            first_day,
            day: first_day,
            version: 0,
            pending: Vec::new(),
            cause: None,
        }
    }

    /// A case that an event of this one brings about; none where the sample has enough cases.
    pub(super) fn begin_linked(&self, world: &mut World, cause: &str) -> Option<Self> {
        if world.cases_left == 0 {
            return None;
        }
        world.cases_left -= 1;
        Some(Self {
            case_id: world.uuid(self.day),
            place: self.place.clone(),
            members: self.members,
            first_day: self.day,
            day: self.day,
            version: 0,
            pending: Vec::new(),
            cause: Some(cause.to_owned()),
        })
    }

    /// A confirmed event, told by the organisation's staff or by an official.
    pub(super) fn confirmed(&mut self, world: &mut World, payload: Payload) -> String {
        let connection = world.pick([SourceConnection::OwnStaff, SourceConnection::Official]);
        self.happened(world, connection, Credibility::Confirmed, payload)
    }

    /// An allegation of somebody else.
    pub(super) fn alleged(&mut self, world: &mut World, payload: Payload) -> String {
        use SourceConnection as S;
        let connection = world.pick([
            S::DetaineeOrVictim,
            S::Witness,
            S::Relative,
            S::Relative,
            S::ThirdParty,
        ]);
        // Not Unlikely, so that a later VerificationChanged to Unlikely does change it.
        let credibility = world.pick([
            Credibility::Likely,
            Credibility::Possible,
            Credibility::Possible,
            Credibility::Unknown,
        ]);
        self.happened(world, connection, credibility, payload)
    }

    /// A confirmed event that is recorded long after it happened, or on an early day by chance. It
    /// must be allowed from the case's first day on.
    pub(super) fn late(&mut self, world: &mut World, payload: Payload) {
        let days = u32::try_from((self.day - self.first_day).whole_days()).unwrap_or(0);
        let date = later(self.first_day, world.below(days + 1));
        let event = self.event(
            world,
            SourceConnection::Relative,
            Credibility::Confirmed,
            (text(date), date),
            payload,
        );
        self.pending.push(event);
    }

    /// The organisation closes the case.
    pub(super) fn close(&mut self, world: &mut World, reason: CaseClosedReason) -> String {
        self.confirmed(
            world,
            Payload::CaseClosed(CaseClosed {
                reason: reason.into(),
                ..CaseClosed::default()
            }),
        )
    }

    /// The fact that closed or ended the case proves to be wrong.
    pub(super) fn reopen(&mut self, world: &mut World, closing_event_id: String) {
        use CaseReopenedReason as R;
        let reason = world
            .pick([
                R::WrongCase,
                R::SourceWrong,
                R::EnteredByMistake,
                R::NewEvidence,
            ])
            .into();
        self.confirmed(
            world,
            Payload::CaseReopened(CaseReopened {
                closing_event_id,
                reason,
            }),
        );
    }

    /// The credibility of an earlier event of the case is another from now on.
    pub(super) fn verify(&mut self, world: &mut World, target: String, credibility: Credibility) {
        let payload = VerificationChanged {
            target_event_id: target,
            credibility: credibility.into(),
        };
        self.confirmed(world, Payload::VerificationChanged(payload));
    }

    /// An earlier event is disputed; most often the dispute is resolved.
    pub(super) fn dispute(&mut self, world: &mut World, target_event_id: String) {
        let payload = Payload::EventDisputed(EventDisputed { target_event_id });
        let dispute = self.confirmed(world, payload);
        if world.sometimes(75) {
            self.resolve(world, dispute);
        }
    }

    /// A dispute is resolved.
    pub(super) fn resolve(&mut self, world: &mut World, dispute_event_id: String) {
        use DisputeOutcome as O;
        let outcome = world.pick([O::Upheld, O::Overturned, O::Lapsed]).into();
        let payload = DisputeResolved {
            dispute_event_id,
            outcome,
        };
        self.confirmed(world, Payload::DisputeResolved(payload));
    }

    /// An event proves to have been told wrongly: what is put in its place happened on the same day,
    /// which is that of the newest event.
    pub(super) fn correct(
        &mut self,
        world: &mut World,
        target_event_id: String,
        payload: Payload,
    ) -> String {
        use CorrectionReason as R;
        let replacement = Event {
            occurred: text(self.day),
            source: Some(world.source(SourceConnection::OwnStaff)),
            credibility: Credibility::Confirmed.into(),
            payload: Some(payload),
            ..Event::default()
        };
        let reasons = [R::EnteredByMistake, R::SourceCorrected, R::Misunderstood];
        let correction = EventCorrected {
            target_event_id,
            replacement: Some(Box::new(replacement)),
            reason: world.pick(reasons).into(),
        };
        self.confirmed(world, Payload::EventCorrected(Box::new(correction)))
    }

    /// An event is taken back.
    pub(super) fn retract(&mut self, world: &mut World, target_event_id: String) {
        let payload = EventRetracted {
            target_event_id,
            reason: RetractionReason::RecordedTwice.into(),
        };
        self.confirmed(world, Payload::EventRetracted(payload));
    }

    /// A day in the future of the newest event, for plans.
    pub(super) fn planned(&self, world: &mut World) -> String {
        let mut date = text(
            self.day
                .saturating_add(time::Duration::days(i64::from(3 + world.below(40)))),
        );
        if world.by_chance(10) {
            date.push('?');
        }
        date
    }

    /// The day of the newest event.
    pub(super) fn today(&self) -> String {
        text(self.day)
    }

    /// Submits what is not submitted yet.
    pub(super) fn submit(&mut self, world: &mut World) {
        if let Some(change) = self.change(world) {
            submit(world, self.day, vec![change]);
        }
    }

    /// Submits what is not submitted yet of this case and of one that it brought about, together.
    pub(super) fn submit_with(&mut self, world: &mut World, linked: &mut Self) {
        let changes = [self.change(world), linked.change(world)]
            .into_iter()
            .flatten()
            .collect();
        submit(world, self.day, changes);
    }

    /// The case's first event.
    pub(super) fn opened(
        &mut self,
        world: &mut World,
        connection: SourceConnection,
        credibility: Credibility,
        payload: Payload,
    ) -> String {
        let began = if self.cause.is_some() {
            (text(self.day), self.day)
        } else {
            world.began(self.first_day)
        };
        self.first_day = began.1;
        self.day = began.1;
        let event = self.event(world, connection, credibility, began, payload);
        self.push(event)
    }

    fn happened(
        &mut self,
        world: &mut World,
        connection: SourceConnection,
        credibility: Credibility,
        payload: Payload,
    ) -> String {
        let full = self.pending.len() >= EVENTS_PER_SUBMISSION_MAX;
        if full || (!self.pending.is_empty() && world.by_chance(60)) {
            self.submit(world);
        }
        let occurred = world.occurred(self.day);
        self.day = occurred.1;
        let event = self.event(world, connection, credibility, occurred, payload);
        self.push(event)
    }

    fn push(&mut self, event: Event) -> String {
        let event_id = event.event_id.clone();
        self.pending.push(event);
        event_id
    }

    fn event(
        &mut self,
        world: &mut World,
        connection: SourceConnection,
        credibility: Credibility,
        (occurred, latest): (String, Date),
        payload: Payload,
    ) -> Event {
        world.events += 1;
        let received_on = if world.by_chance(30) {
            text(later(latest, world.below(10)))
        } else {
            String::new()
        };
        Event {
            event_id: world.uuid(latest),
            occurred,
            received_on,
            source: Some(world.source(connection)),
            credibility: credibility.into(),
            causation_id: self.cause.take().unwrap_or_default(),
            personal: Vec::new(),
            payload: Some(payload),
        }
    }

    fn change(&mut self, world: &mut World) -> Option<CaseChange> {
        if self.pending.is_empty() {
            return None;
        }
        let events = std::mem::take(&mut self.pending);
        let expected = match (self.version, world.below(4)) {
            (0, _) => Some(Expected::NoCase(true)),
            (version, 0..2) => Some(Expected::ExactVersion(version)),
            (_, 2) => Some(Expected::Any(true)),
            _ => None,
        };
        self.version += u64::try_from(events.len()).unwrap_or(0);
        Some(CaseChange {
            case_id: self.case_id.clone(),
            expected,
            events,
        })
    }
}

fn submit(world: &mut World, date: Date, changes: Vec<CaseChange>) {
    let request_id = world.uuid(date);
    world.submissions.push((
        date,
        SubmitEventsRequest {
            request_id,
            changes,
        },
    ));
}
