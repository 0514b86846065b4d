//! What two cases hold together: a merge, and its end, stand in the changes of both cases of one
//! submission, with opposite roles, so that neither case ever holds half of it.

use uuid::Uuid;

use super::Checker;
use crate::wire::{
    event_type,
    v1::{self, MergeRole, event::Payload},
};

/// One end of a merge or of its undoing.
#[derive(Clone, Copy, PartialEq, Eq)]
struct End {
    event_type: v1::EventType,
    case_id: Uuid,
    other_case_id: Uuid,
    role: MergeRole,
}

impl End {
    fn of(case_id: &str, event: &v1::Event) -> Option<Self> {
        let payload = event.payload.as_ref()?;
        let (other_case_id, role) = match payload {
            Payload::CasesMerged(merged) => (&merged.other_case_id, merged.role()),
            Payload::CasesUnmerged(unmerged) => (&unmerged.other_case_id, unmerged.role()),
            _ => return None,
        };
        Some(Self {
            event_type: event_type::of_payload(payload),
            case_id: Uuid::try_parse(case_id).ok()?,
            other_case_id: Uuid::try_parse(other_case_id).ok()?,
            role,
        })
    }

    fn opposite(self) -> Self {
        Self {
            event_type: self.event_type,
            case_id: self.other_case_id,
            other_case_id: self.case_id,
            role: match self.role {
                MergeRole::Survivor => MergeRole::Merged,
                _ => MergeRole::Survivor,
            },
        }
    }
}

/// Checks that each end has its opposite in the submission.
pub(super) fn check(checker: &mut Checker, changes: &[v1::CaseChange]) {
    let ends: Vec<_> = changes
        .iter()
        .flat_map(|change| change.events.iter().map(|it| End::of(&change.case_id, it)))
        .flatten()
        .collect();
    if ends.is_empty() {
        return;
    }
    for (change_index, change) in changes.iter().enumerate() {
        for (event_index, event) in change.events.iter().enumerate() {
            let Some(end) = End::of(&change.case_id, event) else {
                continue;
            };
            if !ends.contains(&end.opposite()) {
                let name = event_type::field_name(end.event_type);
                checker.violation(
                    format_args!("changes[{change_index}].events[{event_index}].{name}"),
                    "stands in one case alone; record it in the other case too, in the same \
                     submission and with the opposite role",
                );
            }
        }
    }
}
