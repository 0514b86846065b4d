//! Why an event is not allowed in a case.

use std::fmt;

use uuid::Uuid;

use super::lifecycle::document::{event_name as name, kind_name, status_name};
use super::matter::Matter;
use crate::wire::edtf::Day;
use crate::wire::v1::{CaseKind, CaseStatus, Credibility, EventType};

/// Why an event is not allowed in a case. Display says what was wrong and what would be right; it
/// names types, statuses, positions and ids, never content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejection {
    /// The case does not exist, and the event can't open one.
    CaseNotFound {
        /// The event.
        event: EventType,
    },
    /// The event belongs to another kind of case.
    WrongKind {
        /// The event.
        event: EventType,
        /// Kind of the case.
        kind: CaseKind,
    },
    /// The status does not allow the event.
    NotAllowed {
        /// The event.
        event: EventType,
        /// Status of the case where the event would stand; `New` where there is none yet.
        status: CaseStatus,
        /// Statuses that would allow it; `New` among them means a case without a confirmed status.
        allowed: &'static [CaseStatus],
        /// Whether others follow it in the order of occurrence.
        is_late: bool,
    },
    /// The case is closed.
    Closed {
        /// The event.
        event: EventType,
        /// Confirmed status of the case.
        status: CaseStatus,
    },
    /// The event would be allowed in its place, but a later one then would not be.
    SequenceBroken {
        /// The event.
        event: EventType,
        /// The recorded event that would no longer be allowed.
        broken_event: EventType,
        /// Its position.
        broken_position: u64,
        /// Status that the case would have there.
        status: CaseStatus,
        /// Statuses that allow the recorded event.
        allowed: &'static [CaseStatus],
        /// Whether the event itself arrives late; not so where another's credibility is raised.
        is_late: bool,
    },
    /// A handover needs the person's wishes on record.
    WishesMissing,
    /// The person declines.
    WishesDeclined,
    /// There are no proceedings to end.
    NoReleaseHold {
        /// Status of the case.
        status: CaseStatus,
    },
    /// The event names an event that the case does not have.
    TargetNotFound {
        /// The event.
        event: EventType,
        /// The event_id that it names.
        target: Uuid,
    },
    /// An event that concerns the record, or of another kind, can't be verified, disputed or
    /// corrected.
    TargetNotApplicable {
        /// The event.
        event: EventType,
        /// What it names.
        target: EventType,
    },
    /// The named event no longer counts: it was corrected, retracted, or a reopening named it.
    TargetNotStanding {
        /// The event.
        event: EventType,
        /// Whether another event stands in its place.
        stands: bool,
        /// The type of the event that stands in its place, or else that took it away.
        by: EventType,
        /// The event_id of that.
        by_event: Uuid,
    },
    /// The target already has this credibility.
    CredibilityUnchanged {
        /// The credibility.
        credibility: Credibility,
    },
    /// The named event did not open a dispute, or the dispute is resolved.
    DisputeNotOpen,
    /// The case is open, so that there is nothing to reopen.
    NotClosed {
        /// Status of the case.
        status: CaseStatus,
    },
    /// The named event is not the one that closed or ended the case.
    NotTheClosingEvent {
        /// The event_id of the closing event.
        closing_event: Uuid,
    },
    /// The case is merged into another one, where the event belongs.
    Merged {
        /// The event.
        event: EventType,
        /// The case into which it is merged.
        survivor: String,
    },
    /// Cases of two kinds can't be about the same.
    MergeOfKinds {
        /// Kind of the case.
        kind: CaseKind,
        /// Kind of the other case.
        other: CaseKind,
    },
    /// A merge, or its end, is held by two cases, and is not taken back in one of them.
    HeldByTwoCases {
        /// The event.
        event: EventType,
        /// What it names.
        target: EventType,
    },
    /// Of the events recorded since a merge not each is assigned.
    NotAssigned {
        /// The event that is named and does not count since the merge, or does and is not named.
        event_id: Uuid,
        /// Whether it is named.
        is_named: bool,
    },
    /// The request for an erasure names another subject.
    ErasureOfAnother,
    /// Who requested an erasure can't execute it.
    SecondPersonNeeded,
    /// It takes two persons, and so far there is one.
    TwoPersonsRequired {
        /// The event.
        event: EventType,
    },
    /// The holding time of an erasure is not over.
    ErasureHeld {
        /// The first day on which it may be executed.
        not_before: Day,
    },
    /// An erasure can't be taken back.
    ErasureIrrevocable,
    /// What the event would bring or end is there already, or is not there.
    Matter {
        /// The event.
        event: EventType,
        /// What it names.
        matter: Matter,
        /// Whether that is there.
        is_there: bool,
    },
}

/// What can be done about an event that arrives late and does not fit where it occurred.
const OPTIONS: &str = "; submit it together with the events that belong around it, or correct or \
                       retract what stands against it, or record it as an allegation, with \
                       another credibility than confirmed";

/// What a rejection means to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectionKind {
    /// The case does not exist.
    NotFound,
    /// The state of the case does not allow it.
    Precondition,
}

impl Rejection {
    /// What it means to the client.
    pub fn kind(&self) -> RejectionKind {
        match self {
            Self::CaseNotFound { .. } => RejectionKind::NotFound,
            _ => RejectionKind::Precondition,
        }
    }

    /// The reason, in UPPER_SNAKE_CASE (AIP-193).
    pub fn reason(&self) -> &'static str {
        match self {
            Self::CaseNotFound { .. } => "CASE_NOT_FOUND",
            Self::WrongKind { .. } => "CASE_KIND_MISMATCH",
            Self::NotAllowed { .. } => "EVENT_NOT_ALLOWED",
            Self::Closed { .. } => "CASE_CLOSED",
            Self::SequenceBroken { .. } => "SEQUENCE_BROKEN",
            Self::WishesMissing => "WISHES_MISSING",
            Self::WishesDeclined => "WISHES_DECLINED",
            Self::NoReleaseHold { .. } => "NO_RELEASE_HOLD",
            Self::TargetNotFound { .. } => "TARGET_EVENT_NOT_FOUND",
            Self::TargetNotApplicable { .. } => "TARGET_EVENT_NOT_APPLICABLE",
            Self::TargetNotStanding { .. } => "TARGET_EVENT_NOT_STANDING",
            Self::CredibilityUnchanged { .. } => "CREDIBILITY_UNCHANGED",
            Self::DisputeNotOpen => "DISPUTE_NOT_OPEN",
            Self::NotClosed { .. } => "CASE_NOT_CLOSED",
            Self::NotTheClosingEvent { .. } => "NOT_THE_CLOSING_EVENT",
            Self::Merged { .. } => "CASE_MERGED",
            Self::MergeOfKinds { .. } => "CASES_OF_TWO_KINDS",
            Self::HeldByTwoCases { .. } => "HELD_BY_TWO_CASES",
            Self::NotAssigned { .. } => "EVENTS_NOT_ASSIGNED",
            Self::ErasureOfAnother => "ERASURE_OF_ANOTHER_SUBJECT",
            Self::SecondPersonNeeded => "SECOND_PERSON_NEEDED",
            Self::TwoPersonsRequired { .. } => "TWO_PERSONS_REQUIRED",
            Self::ErasureHeld { .. } => "ERASURE_HELD",
            Self::ErasureIrrevocable => "ERASURE_IRREVOCABLE",
            Self::Matter {
                matter, is_there, ..
            } => matter.reason(*is_there),
        }
    }

    /// Whether the event is one that is not the recorder's to record, or not alone.
    pub fn is_of_authority(&self) -> bool {
        matches!(
            self,
            Self::ErasureOfAnother | Self::SecondPersonNeeded | Self::TwoPersonsRequired { .. }
        )
    }

    /// The field of the event's payload that is at fault, where it is one.
    pub fn field(&self) -> Option<&'static str> {
        match self {
            Self::TargetNotFound { event, .. }
            | Self::TargetNotApplicable { event, .. }
            | Self::TargetNotStanding { event, .. } => Some(match event {
                EventType::CaseReopened => "case_reopened.closing_event_id",
                EventType::DisputeResolved => "dispute_resolved.dispute_event_id",
                EventType::EventDisputed => "event_disputed.target_event_id",
                EventType::EventCorrected => "event_corrected.target_event_id",
                EventType::EventRetracted => "event_retracted.target_event_id",
                _ => "verification_changed.target_event_id",
            }),
            Self::CredibilityUnchanged { .. } => Some("verification_changed.credibility"),
            Self::DisputeNotOpen => Some("dispute_resolved.dispute_event_id"),
            Self::NotTheClosingEvent { .. } => Some("case_reopened.closing_event_id"),
            Self::Matter { event, matter, .. } => Some(matter.field(*event)),
            Self::MergeOfKinds { .. } => Some("cases_merged.other_case_id"),
            Self::HeldByTwoCases { .. } | Self::ErasureIrrevocable => {
                Some("event_retracted.target_event_id")
            }
            Self::ErasureOfAnother => Some("erasure_executed.subject_id"),
            Self::TwoPersonsRequired { event } => match event {
                EventType::CaseClosed => Some("case_closed.proposal_event_id"),
                EventType::EventCorrected => Some("event_corrected.replacement"),
                EventType::VerificationChanged => Some("verification_changed.target_event_id"),
                _ => None,
            },
            Self::NotAssigned { .. } => Some("cases_unmerged.staying_event_ids"),
            _ => None,
        }
    }

    /// The event that should be named instead, or that took the named one away, with the name of
    /// that fact.
    pub fn named_instead(&self) -> Option<(&'static str, Uuid)> {
        match self {
            Self::NotTheClosingEvent { closing_event } => {
                Some(("closing_event_id", *closing_event))
            }
            Self::TargetNotStanding {
                stands, by_event, ..
            } => {
                let name = if *stands {
                    "standing_event_id"
                } else {
                    "removed_by_event_id"
                };
                Some((name, *by_event))
            }
            _ => None,
        }
    }

    /// The status of the case where the event would stand, where the status decides.
    pub fn status(&self) -> Option<CaseStatus> {
        match self {
            Self::NotAllowed { status, .. }
            | Self::Closed { status, .. }
            | Self::SequenceBroken { status, .. }
            | Self::NoReleaseHold { status }
            | Self::NotClosed { status } => Some(*status),
            Self::WishesMissing | Self::WishesDeclined => {
                Some(CaseStatus::DetentionHandoverScheduled)
            }
            _ => None,
        }
    }

    /// What can be done about an event that arrives late and does not fit where it occurred; empty
    /// for other refusals.
    pub fn options(&self) -> &'static [&'static str] {
        match self {
            Self::SequenceBroken { is_late: true, .. } | Self::NotAllowed { is_late: true, .. } => {
                &[
                    "SUBMIT_TOGETHER",
                    "CORRECT_OR_RETRACT",
                    "RECORD_AS_ALLEGATION",
                ]
            }
            _ => &[],
        }
    }

    /// The statuses that would allow the event, where the status decides.
    pub fn allowed(&self) -> &'static [CaseStatus] {
        match self {
            Self::NotAllowed { allowed, .. } | Self::SequenceBroken { allowed, .. } => allowed,
            _ => &[],
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CaseNotFound { event } => write!(
                f,
                "the case does not exist, and {} can't open one: open it with an event of its kind",
                name(*event)
            ),
            Self::WrongKind { event, kind } => write!(
                f,
                "{} does not belong to a {} case",
                name(*event),
                kind_name(*kind)
            ),
            Self::NotAllowed {
                event,
                status,
                allowed,
                is_late,
            } => write!(
                f,
                "{} is not allowed in status {}; it is allowed in {}{}",
                name(*event),
                status_name(*status),
                status_names(allowed),
                if *is_late { OPTIONS } else { "" }
            ),
            Self::Closed { event, status } => write!(
                f,
                "{} is not allowed: the case is closed in status {}; where the closing was wrong, \
                 reopen the case first",
                name(*event),
                status_name(*status)
            ),
            Self::SequenceBroken {
                event,
                broken_event,
                broken_position,
                status,
                allowed,
                is_late,
            } => write!(
                f,
                "{} is not allowed where it occurred: {} at position {broken_position}, which \
                 follows it, would then stand in status {} and is allowed in {}{}",
                name(*event),
                name(*broken_event),
                status_name(*status),
                status_names(allowed),
                if *is_late { OPTIONS } else { "" }
            ),
            Self::WishesMissing => write!(
                f,
                "HandoverStarted needs the person's wishes on record: record WishesRecorded first \
                 (GC III 109)"
            ),
            Self::WishesDeclined => write!(
                f,
                "HandoverStarted is not allowed: the person declines by the wishes on record \
                 (GC III 109)"
            ),
            Self::NoReleaseHold { .. } => write!(
                f,
                "ProceedingsEnded needs proceedings that were notified and have not ended"
            ),
            Self::TargetNotFound { event, target } => {
                write!(
                    f,
                    "{} names event {target}, which the case does not have",
                    name(*event)
                )
            }
            Self::TargetNotApplicable { event, target } => {
                write!(
                    f,
                    "{} can't name an event of type {}, which concerns the record",
                    name(*event),
                    name(*target)
                )
            }
            Self::TargetNotStanding {
                event,
                stands: true,
                by_event,
                ..
            } => write!(
                f,
                "{} names an event that was corrected: {by_event} stands in its place, name that \
                 one",
                name(*event)
            ),
            Self::TargetNotStanding {
                event,
                by,
                by_event,
                ..
            } => write!(
                f,
                "{} names an event that no longer counts: {} {by_event} took it away; where that \
                 was wrong, retract that one first",
                name(*event),
                name(*by)
            ),
            Self::CredibilityUnchanged { credibility } => {
                write!(
                    f,
                    "the event already has the credibility {}",
                    credibility.as_str_name()
                )
            }
            Self::DisputeNotOpen => {
                write!(
                    f,
                    "the named event opened no dispute, or its dispute is resolved"
                )
            }
            Self::NotClosed { status } => write!(
                f,
                "the case is open in status {}: there is nothing to reopen",
                status_name(*status)
            ),
            Self::NotTheClosingEvent { closing_event } => {
                write!(
                    f,
                    "the event that closed the case is {closing_event}: name that one"
                )
            }
            Self::Merged { event, survivor } => write!(
                f,
                "{} is not allowed: the case is merged into case {survivor}; record it there",
                name(*event)
            ),
            Self::MergeOfKinds { kind, other } => write!(
                f,
                "CasesMerged is not allowed: the one case is a {} case and the other a {} case, \
                 which can't be about the same; link them by CasesLinked instead",
                kind_name(*kind),
                kind_name(*other)
            ),
            Self::HeldByTwoCases { event, target } => write!(
                f,
                "{} can't take back {}, which two cases hold: undo a merge by CasesUnmerged in \
                 both, and merge anew by CasesMerged",
                name(*event),
                name(*target)
            ),
            Self::NotAssigned {
                event_id,
                is_named: false,
            } => write!(
                f,
                "CasesUnmerged does not say where event {event_id} belongs, which was recorded \
                 since the merge: name it among those that stay, or retract it first and record \
                 it in the other case"
            ),
            Self::NotAssigned { event_id, .. } => write!(
                f,
                "CasesUnmerged names event {event_id}, which was not recorded here since the \
                 merge, or no longer counts: name those alone that were and do"
            ),
            Self::ErasureOfAnother => write!(
                f,
                "ErasureExecuted is not allowed: the request names another subject"
            ),
            Self::SecondPersonNeeded => write!(
                f,
                "ErasureExecuted is not allowed: somebody else than who requested the erasure has \
                 to execute it"
            ),
            Self::TwoPersonsRequired {
                event: EventType::CaseClosed,
            } => write!(
                f,
                "CaseClosed is not allowed by one person: name in proposal_event_id a \
                 ClosureProposed for the same reason that another account recorded in this case"
            ),
            Self::TwoPersonsRequired {
                event: EventType::VerificationChanged,
            } => write!(
                f,
                "VerificationChanged can't confirm an identification by the account that recorded \
                 it, or where that is not known: let another account raise it"
            ),
            Self::TwoPersonsRequired { event } => write!(
                f,
                "{} is not allowed to confirm an identification by one person: record it with \
                 another credibility than confirmed, and let another account raise it by \
                 VerificationChanged",
                name(*event)
            ),
            Self::ErasureHeld { not_before } => write!(
                f,
                "ErasureExecuted is not allowed before {not_before} (UTC): until then the erasure can \
                 be withdrawn or refused"
            ),
            Self::ErasureIrrevocable => write!(
                f,
                "EventRetracted can't take back ErasureExecuted: the key is destroyed"
            ),
            Self::Matter {
                event,
                matter,
                is_there,
            } => write!(
                f,
                "{} is not allowed: {}",
                name(*event),
                matter.words(*is_there)
            ),
        }
    }
}

impl std::error::Error for Rejection {}

fn status_names(statuses: &[CaseStatus]) -> String {
    statuses
        .iter()
        .map(|status| status_name(*status))
        .collect::<Vec<_>>()
        .join(", ")
}
