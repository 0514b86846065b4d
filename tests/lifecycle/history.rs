//! Random histories: what somebody tries to record, and when it is said to have occurred.

use casetrail::wire::day::Day;
use casetrail::wire::event_type;
use casetrail::wire::moment::Moment;
use casetrail::wire::v1::{
    ArrivalDestination, CaseClosed, Credibility, Event, LegalCategory, Record, event::Payload,
};
use proptest::prelude::*;
use proptest::sample::Index;
use uuid::Uuid;

use super::case::{confirmed, first_day};

const HISTORY_MAX: usize = 40;

/// What somebody tries to record.
#[derive(Clone, Debug)]
pub enum Attempt {
    /// An event that the catalogue allows in the case's status.
    Fitting(Index, Credibility),
    /// An event that leads to one of the next statuses, so that histories get somewhere.
    Onward(Index, Credibility),
    /// Any event of the kind.
    Any(Index, Credibility),
    /// An event of any kind.
    Foreign(Index, Credibility),
    Wishes(Index, Credibility),
    Closed,
    ReopenedRightly,
    Reopened(Index),
    Verified(Index, Credibility),
    Disputed(Index),
    ResolvedRightly(Index),
    Resolved(Index),
    /// This event is replaced by that one of the kind.
    Corrected(Index, Index, Credibility),
    /// This event is replaced by one of its own type.
    Redated(Index),
    Retracted(Index),
}

/// When it is said to have occurred.
#[derive(Clone, Copy, Debug)]
pub enum When {
    Today,
    Tomorrow,
    DaysAgo(i32),
    /// Between so many days ago and so many days later than that.
    Between(i32, i32),
    SinceDaysAgo(i32),
}

impl When {
    /// Says it in an event, and tells the first and the last of the days that it means. Of a
    /// correction it is said of the replacement.
    pub fn say_in(self, event: &mut Event, today: Day) -> (Day, Day) {
        let ago = |days: i32| today.plus(-days);
        let on = |day: Day| (day.to_string(), day, day);
        let (words, earliest, latest) = match self {
            Self::Today => on(today),
            Self::Tomorrow => on(ago(-1)),
            Self::DaysAgo(days) => on(ago(days)),
            Self::Between(from, length) => {
                let (begin, end) = (ago(from), ago(from).plus(length));
                (format!("{begin}/{end}"), begin, end)
            }
            Self::SinceDaysAgo(days) => (format!("{}/..", ago(days)), ago(days), Day::MAX),
        };
        match &mut event.payload {
            Some(Payload::EventCorrected(corrected)) => {
                corrected.replacement.as_mut().unwrap().occurred = words;
                event.occurred = today.to_string();
            }
            _ => event.occurred = words,
        }
        (earliest, latest)
    }
}

#[derive(Clone, Debug)]
pub struct Step {
    pub attempt: Attempt,
    pub when: When,
    /// Days since the step before was recorded.
    pub days_later: i32,
}

pub fn credibility() -> impl Strategy<Value = Credibility> {
    prop_oneof![
        6 => Just(Credibility::Confirmed),
        1 => Just(Credibility::Likely),
        1 => Just(Credibility::Possible),
        1 => Just(Credibility::Unlikely),
        1 => Just(Credibility::Unknown),
    ]
}

fn attempt() -> impl Strategy<Value = Attempt> {
    let index = any::<Index>;
    prop_oneof![
        14 => (index(), credibility()).prop_map(|(i, c)| Attempt::Fitting(i, c)),
        10 => (index(), credibility()).prop_map(|(i, c)| Attempt::Onward(i, c)),
        6 => (index(), credibility()).prop_map(|(i, c)| Attempt::Any(i, c)),
        1 => (index(), credibility()).prop_map(|(i, c)| Attempt::Foreign(i, c)),
        5 => (index(), credibility()).prop_map(|(i, c)| Attempt::Wishes(i, c)),
        1 => Just(Attempt::Closed),
        3 => Just(Attempt::ReopenedRightly),
        1 => index().prop_map(Attempt::Reopened),
        5 => (index(), credibility()).prop_map(|(i, c)| Attempt::Verified(i, c)),
        1 => index().prop_map(Attempt::Disputed),
        1 => index().prop_map(Attempt::ResolvedRightly),
        1 => index().prop_map(Attempt::Resolved),
        1 => (index(), index(), credibility()).prop_map(|(t, i, c)| Attempt::Corrected(t, i, c)),
        2 => index().prop_map(Attempt::Redated),
        2 => index().prop_map(Attempt::Retracted),
    ]
}

fn when() -> impl Strategy<Value = When> {
    prop_oneof![
        10 => Just(When::Today),
        1 => Just(When::Tomorrow),
        6 => (0..25).prop_map(When::DaysAgo),
        2 => (0..25, 0..30).prop_map(|(from, length)| When::Between(from, length)),
        1 => (0..25).prop_map(When::SinceDaysAgo),
    ]
}

pub fn history() -> impl Strategy<Value = Vec<Step>> {
    let step = (attempt(), when(), 0..3);
    let step = step.prop_map(|(attempt, when, days_later)| Step {
        attempt,
        when,
        days_later,
    });
    prop::collection::vec(step, 1..HISTORY_MAX)
}

/// A record as no client could have submitted it.
pub fn any_record() -> impl Strategy<Value = Record> {
    let text = || {
        prop_oneof![
            Just(String::new()),
            Just("2024-13-45".to_owned()),
            Just("2024".to_owned()),
            (0..40i32).prop_map(|day| first_day().plus(day).to_string()),
        ]
    };
    // A few ids only, so that events name each other, themselves, and events to come.
    let id = || {
        prop_oneof![
            8 => (1..12u128).prop_map(|id| Uuid::from_u128(id).to_string()),
            1 => Just("no UUID".to_owned()),
        ]
    };
    let event = (any::<Index>(), id(), id(), text(), -1..9i32, any::<bool>());
    let event = event.prop_map(|(index, event_id, named, occurred, credibility, absent)| {
        let mut event = confirmed(*index.get(event_type::ALL));
        event.event_id = event_id;
        event.occurred = occurred;
        event.credibility = credibility;
        let payload = event.payload.as_mut().unwrap();
        match payload {
            Payload::CaseReopened(reopened) => reopened.closing_event_id = named,
            Payload::VerificationChanged(verified) => {
                verified.target_event_id = named;
                verified.credibility = credibility + 1;
            }
            Payload::EventDisputed(disputed) => disputed.target_event_id = named,
            Payload::DisputeResolved(resolved) => resolved.dispute_event_id = named,
            Payload::EventCorrected(corrected) => {
                corrected.target_event_id = named;
                if absent {
                    corrected.replacement = None;
                }
            }
            Payload::EventRetracted(retracted) => retracted.target_event_id = named,
            Payload::Arrived(arrived) => {
                arrived.destination = ArrivalDestination::Unspecified.into();
            }
            Payload::LegalCategoryAsserted(asserted) => {
                asserted.category = LegalCategory::Unspecified as i32 + credibility;
            }
            Payload::CaseClosed(closed) => *closed = CaseClosed::default(),
            _ if absent && credibility > 5 => event.payload = None,
            _ => {}
        }
        event
    });
    let moment = (-3..40i64).prop_map(|day| Moment(day * 86_400_000_000 * 500).into());
    let event = prop::option::weighted(0.95, event);
    (event, prop::option::weighted(0.9, moment)).prop_map(|(event, recorded_at)| Record {
        event,
        recorded_at,
        ..Record::default()
    })
}
