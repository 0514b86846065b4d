//! What only the server knows of an event, written into it before it is judged: who acts where it takes
//! two persons, and until when an erasure waits. So the decision stays a function of the case, the
//! event and the day.

use super::Recorder;
use super::erasure::ErasurePolicy;
use crate::wire::edtf::Day;
use crate::wire::v1::event::Payload;
use crate::wire::validate::ValidEvent;

/// Writes it into an event.
pub(super) fn complete(
    event: &mut ValidEvent,
    recorder: &Recorder,
    day: Day,
    policy: ErasurePolicy,
) {
    let identified_by_two = recorder.authority.two_persons.identification;
    event.complete(|payload| match payload {
        Payload::ErasureRequested(requested) => {
            let days = i32::try_from(policy.holding_days).unwrap_or(i32::MAX);
            requested.requested_by = recorder.name();
            requested.not_before = day.plus(days).to_string();
            requested.second_person = policy.second_person;
        }
        Payload::ErasureExecuted(executed) => executed.executed_by = recorder.name(),
        Payload::ClosureProposed(proposed) => proposed.proposed_by = recorder.name(),
        Payload::IdentificationEstablished(established) if identified_by_two => {
            established.recorded_by = recorder.name();
        }
        Payload::EventCorrected(corrected) if identified_by_two => {
            let replacement = corrected.replacement.as_mut();
            if let Some(Payload::IdentificationEstablished(established)) =
                replacement.and_then(|it| it.payload.as_mut())
            {
                established.recorded_by = recorder.name();
            }
        }
        _ => {}
    });
}
