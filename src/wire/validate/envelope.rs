//! A submission around its payloads: sizes, identifiers, expectations, and what every event has.

use std::collections::HashMap;

use prost::Message;
use uuid::Uuid;

use super::checker::Segment;
use super::{Checker, Expected, Personal, ValidEvent, payload};
use crate::wire::{
    edtf::OccurredDays,
    event_type,
    limits::{
        EVENT_BYTES_MAX, SUBMISSION_BYTES_MAX, SUBMISSION_CASES_MAX, SUBMISSION_EVENTS_MAX,
        SUBMISSION_PERSONAL_VALUES_MAX,
    },
    v1::{self, case_change},
};

/// What stands in a submission already.
#[derive(Default)]
pub(super) struct Seen {
    /// The index of the change of each case.
    cases: HashMap<Uuid, usize>,
    /// The change of each event, and the place of the event in it.
    events: HashMap<Uuid, (usize, usize)>,
}

/// What checking a change has found beside its events.
pub(super) struct CheckedChange {
    pub(super) case_id: Uuid,
    pub(super) expected: Expected,
    /// For each event, what it is; None where it has a violation.
    pub(super) events: Vec<Option<EventFacts>>,
}

/// What checking an event has found.
pub(super) struct EventFacts {
    personal: Vec<Personal>,
    event_id: Uuid,
    event_type: v1::EventType,
    credibility: v1::Credibility,
    days: OccurredDays,
}

/// What an event tells beside its payload; None where that has a violation.
struct Account {
    days: Option<OccurredDays>,
    credibility: Option<v1::Credibility>,
    event_type: Option<v1::EventType>,
}

impl EventFacts {
    pub(super) fn of(self, event: v1::Event) -> ValidEvent {
        let Self {
            personal,
            event_id,
            event_type,
            credibility,
            days,
        } = self;
        ValidEvent {
            event,
            personal,
            sealed: Vec::new(),
            event_id,
            event_type,
            credibility,
            days,
        }
    }
}

impl Checker {
    /// The sizes of a submission, before anything else of it is looked at.
    pub(super) fn submission_size(&mut self, request: &v1::SubmitEventsRequest, bytes: usize) {
        let cases = request.changes.len();
        let events: usize = request
            .changes
            .iter()
            .map(|change| change.events.len())
            .sum();
        if bytes > SUBMISSION_BYTES_MAX {
            self.too_large(
                "changes",
                format!("make a submission of {bytes} bytes; send at most {SUBMISSION_BYTES_MAX}"),
            );
        }
        if cases > SUBMISSION_CASES_MAX {
            self.too_large(
                "changes",
                format!("are {cases}; send at most {SUBMISSION_CASES_MAX} in one submission"),
            );
        }
        if events > SUBMISSION_EVENTS_MAX {
            self.too_large(
                "changes",
                format!("hold {events} events; send at most {SUBMISSION_EVENTS_MAX}"),
            );
        }
        let events = request.changes.iter().flat_map(|change| &change.events);
        let values: usize = events.map(|event| event.personal.len()).sum();
        if values > SUBMISSION_PERSONAL_VALUES_MAX {
            self.too_large(
                "changes",
                format!(
                    "hold {values} personal values; send at most {SUBMISSION_PERSONAL_VALUES_MAX}"
                ),
            );
        }
        if cases == 0 {
            self.violation("changes", "are missing; send at least one");
        }
    }

    /// One change.
    pub(super) fn change(
        &mut self,
        index: usize,
        change: &mut v1::CaseChange,
        seen: &mut Seen,
    ) -> Option<CheckedChange> {
        let case_id = self.identifier("case_id", &mut change.case_id);
        if let Some(earlier) = case_id.and_then(|case_id| seen.cases.insert(case_id, index)) {
            self.violation(
                "case_id",
                format!("stands in changes[{earlier}] already; put its events into one change"),
            );
        }
        let expected = self.expected(&mut change.expected);
        if change.events.is_empty() {
            self.violation("events", "are missing; send at least one");
        }
        let mut events = Vec::with_capacity(change.events.len());
        for (event_index, event) in change.events.iter_mut().enumerate() {
            let place = (index, event_index);
            events.push(self.at(Segment::Element("events", event_index), |checker| {
                checker.event(case_id, place, event, seen)
            }));
        }
        Some(CheckedChange {
            case_id: case_id?,
            expected: expected?,
            events,
        })
    }

    fn expected(&mut self, expected: &mut Option<case_change::Expected>) -> Option<Expected> {
        let only_true = "is false; only true has a meaning";
        match expected {
            None => Some(Expected::Any),
            Some(case_change::Expected::Any(true)) => {
                // It means the same as none, so both have one digest.
                *expected = None;
                Some(Expected::Any)
            }
            Some(case_change::Expected::NoCase(true)) => Some(Expected::NoCase),
            Some(case_change::Expected::ExactVersion(0)) => {
                let description = "is 0, which no case has; give 1 or more, or no_case: true";
                self.violation("exact_version", description);
                None
            }
            Some(case_change::Expected::ExactVersion(version)) => Some(Expected::Version(*version)),
            Some(case_change::Expected::Any(false)) => {
                self.violation("any", only_true);
                None
            }
            Some(case_change::Expected::NoCase(false)) => {
                self.violation("no_case", only_true);
                None
            }
        }
    }

    fn event(
        &mut self,
        case_id: Option<Uuid>,
        place: (usize, usize),
        event: &mut v1::Event,
        seen: &mut Seen,
    ) -> Option<EventFacts> {
        let bytes = event.encoded_len();
        if bytes > EVENT_BYTES_MAX {
            // The empty name stands for the event itself.
            self.too_large(
                "",
                format!("has {bytes} bytes; send at most {EVENT_BYTES_MAX}"),
            );
            return None;
        }
        let personal = self.personal(std::mem::take(&mut event.personal));
        let event_id = self.event_id(place, event, seen);
        if !event.causation_id.is_empty() {
            self.identifier("causation_id", &mut event.causation_id);
        }
        let Account {
            days,
            credibility,
            event_type,
        } = self.account(event);
        let (Some(payload), Some(event_type)) = (&mut event.payload, event_type) else {
            return None;
        };
        if is_common(event_type) && credibility.is_some_and(|it| it != v1::Credibility::Confirmed) {
            self.violation(
                "credibility",
                "is not confirmed, but the event concerns the record of the case; give \
                 CREDIBILITY_CONFIRMED",
            );
        }
        self.at(event_type::field_name(event_type), |checker| {
            payload::check(checker, case_id, payload);
        });
        Some(EventFacts {
            personal,
            event_id: event_id?,
            event_type,
            credibility: credibility?,
            days: days?,
        })
    }

    /// What a correction puts in the place of an event: an event of a kind, without what belongs to
    /// the recording alone.
    pub(super) fn replacement(
        &mut self,
        field: &'static str,
        case_id: Option<Uuid>,
        event: Option<&mut v1::Event>,
    ) {
        let Some(event) = event else {
            let description = "is missing; give the event as it should have been";
            return self.violation(field, description);
        };
        self.at(field, |checker| {
            checker.no_personal_values("personal", &event.personal);
            for (field, text) in [
                ("event_id", &event.event_id),
                ("causation_id", &event.causation_id),
            ] {
                if !text.is_empty() {
                    let description = "belongs to the correction, which names the replacement by \
                                       its own event_id; leave it out";
                    checker.violation(field, description);
                }
            }
            let account = checker.account(event);
            let (Some(payload), Some(event_type)) = (&mut event.payload, account.event_type) else {
                return;
            };
            let field = event_type::field_name(event_type);
            if is_common(event_type) {
                let description = "concerns the record of the case; only an event of a kind can \
                                   stand in the place of another";
                return checker.violation(field, description);
            }
            checker.at(field, |checker| payload::check(checker, case_id, payload));
        });
    }

    /// What an event and a replacement have in common.
    fn account(&mut self, event: &v1::Event) -> Account {
        let days = self.past_date("occurred", &event.occurred);
        if !event.received_on.is_empty() {
            self.past_day("received_on", &event.received_on);
        }
        self.source(event.source.as_ref());
        let credibility = self.choice(
            "credibility",
            event.credibility,
            v1::Credibility::as_str_name,
        );
        if event.payload.is_none() {
            let description = "is missing; give exactly one of the event types of this protocol";
            self.violation("payload", description);
        }
        Account {
            days,
            credibility,
            event_type: event.payload.as_ref().map(event_type::of_payload),
        }
    }

    fn event_id(
        &mut self,
        place: (usize, usize),
        event: &mut v1::Event,
        seen: &mut Seen,
    ) -> Option<Uuid> {
        let event_id = self.identifier("event_id", &mut event.event_id)?;
        if let Some((change, event)) = seen.events.insert(event_id, place) {
            self.violation(
                "event_id",
                format!(
                    "is that of changes[{change}].events[{event}].event_id too; give each its own"
                ),
            );
        }
        Some(event_id)
    }

    fn source(&mut self, source: Option<&v1::Source>) {
        let Some(source) = source else {
            let description = "is missing; give its reference, connection and reliability";
            return self.violation("source", description);
        };
        self.at("source", |checker| {
            checker.reference("reference", &source.reference);
            let name = v1::SourceConnection::as_str_name;
            checker.choice("connection", source.connection, name);
            let name = v1::SourceReliability::as_str_name;
            checker.choice("reliability", source.reliability, name);
        });
    }
}

/// Whether the event is one of the common group, which concern the record of a case.
fn is_common(event_type: v1::EventType) -> bool {
    (101..200).contains(&i32::from(event_type))
}
