//! The short names of the protocol's enumerations, as people read and type them.

use std::collections::BTreeMap;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use prost_types::Timestamp;
use tonic::Code;

use crate::domain::lifecycle::document::{event_name, status_name};
use crate::wire::v1::{
    AccessObject, AlertRule, CaseClosedReason, CaseKind, CaseReopenedReason, CaseStatus,
    ContestedCause, CorrectionReason, Credibility, DisclosurePurpose, ErasureGround, EventType,
    ExclusionReason, FollowUpTask, LegalCategory, NameMatchKind, PersonalClass, Record,
    RetractionReason, Service, Standing, UnsealingReason,
};

/// No enumeration of the protocol has numbers beyond this one.
const NUMBER_MAX: i32 = 1000;

/// Parses kinds of case by their short names.
pub(super) fn kind_parser() -> impl TypedValueParser<Value = i32> {
    parser(|number| {
        CaseKind::try_from(number)
            .ok()
            .map(|kind| self::kind(kind).to_lowercase())
    })
}

/// Parses why an auditor may open personal data, for example `complaint`.
pub(super) fn unsealing_reason_parser() -> impl TypedValueParser<Value = i32> {
    parser(|number| {
        let reason = UnsealingReason::try_from(number).ok()?;
        let name = reason.as_str_name().strip_prefix("UNSEALING_REASON_")?;
        let name = name.to_lowercase().replace('_', "-");
        (reason != UnsealingReason::Unspecified).then_some(name)
    })
}

/// Parses legal categories by their short names.
pub(super) fn category_parser() -> impl TypedValueParser<Value = i32> {
    parser(|number| LegalCategory::try_from(number).ok().map(category))
}

/// Parses statuses by their short names. Some kinds share a name: then it stands for the statuses of
/// all of them.
pub(super) fn status_parser() -> impl TypedValueParser<Value = Vec<i32>> {
    let mut named: BTreeMap<&'static str, Vec<i32>> = BTreeMap::new();
    for status in statuses() {
        named
            .entry(status_name(status))
            .or_default()
            .push(status.into());
    }
    PossibleValuesParser::new(named.keys().copied()).try_map(move |typed: String| {
        let mut names = named.iter();
        names
            .find(|(name, _)| name.eq_ignore_ascii_case(&typed))
            .map(|(_, statuses)| statuses.clone())
            .ok_or("no such name")
    })
}

fn statuses() -> impl Iterator<Item = CaseStatus> {
    (1..NUMBER_MAX).filter_map(|number| CaseStatus::try_from(number).ok())
}

/// Parses event types by their short names.
pub(super) fn event_type_parser() -> impl TypedValueParser<Value = i32> {
    parser(|number| {
        EventType::try_from(number)
            .ok()
            .map(|event| event_name(event).to_owned())
    })
}

/// Parses rules of alerts by their short names.
pub(super) fn alert_rule_parser() -> impl TypedValueParser<Value = i32> {
    parser(|number| AlertRule::try_from(number).ok().map(alert_rule))
}

/// The name of a rule of alerts, for example `NoVisit`.
pub(super) fn alert_rule(rule: AlertRule) -> String {
    camel(rule.as_str_name(), "ALERT_RULE_")
}

/// The name of a kind, for example `Detention`.
pub(super) fn kind(kind: CaseKind) -> String {
    camel(kind.as_str_name(), "CASE_KIND_")
}

/// The name of a status, for example `ReleasePending`; a dash where there is none.
pub(super) fn status(status: CaseStatus) -> &'static str {
    if status == CaseStatus::Unspecified {
        "-"
    } else {
        status_name(status)
    }
}

/// The name of an event type, for example `HandoverScheduled`.
pub(super) fn event_type(event_type: EventType) -> &'static str {
    // A record of a newer version is passed on as it is.
    if event_type == EventType::Unspecified {
        "(unknown)"
    } else {
        event_name(event_type)
    }
}

/// The name of a legal category, for example `PrisonerOfWar`.
pub(super) fn category(category: LegalCategory) -> String {
    camel(category.as_str_name(), "LEGAL_CATEGORY_")
}

/// The name of a credibility, for example `Likely`.
pub(super) fn credibility(credibility: Credibility) -> String {
    camel(credibility.as_str_name(), "CREDIBILITY_")
}

/// The name of a reason, for example `SourceCorrected`.
pub(super) fn correction_reason(reason: CorrectionReason) -> String {
    camel(reason.as_str_name(), "CORRECTION_REASON_")
}

/// The name of a reason, for example `RecordedTwice`.
pub(super) fn retraction_reason(reason: RetractionReason) -> String {
    camel(reason.as_str_name(), "RETRACTION_REASON_")
}

/// The name of a reason, for example `NewEvidence`.
pub(super) fn reopened_reason(reason: CaseReopenedReason) -> String {
    camel(reason.as_str_name(), "CASE_REOPENED_REASON_")
}

/// The name of a cause, for example `OpenDispute`.
pub(super) fn contested_cause(cause: ContestedCause) -> String {
    camel(cause.as_str_name(), "CONTESTED_CAUSE_")
}

/// The name of a class, for example `Identity`.
pub(super) fn personal_class(class: PersonalClass) -> String {
    camel(class.as_str_name(), "PERSONAL_CLASS_")
}

/// The name of a purpose, for example `CaseWork`.
pub(super) fn disclosure_purpose(purpose: DisclosurePurpose) -> String {
    camel(purpose.as_str_name(), "DISCLOSURE_PURPOSE_")
}

/// How a name matches, for example `approximate`.
pub(super) fn name_match_kind(kind: NameMatchKind) -> String {
    camel(kind.as_str_name(), "NAME_MATCH_KIND_").to_lowercase()
}

/// The name of a ground, for example `SubjectRequest`.
pub(super) fn erasure_ground(ground: ErasureGround) -> String {
    camel(ground.as_str_name(), "ERASURE_GROUND_")
}

/// Why a case is closed, for example `Completed`.
pub(super) fn case_closed_reason(reason: CaseClosedReason) -> String {
    camel(reason.as_str_name(), "CASE_CLOSED_REASON_")
}

/// What a case is referred for, for example `FamilyContact`.
pub(super) fn service(service: Service) -> String {
    camel(service.as_str_name(), "SERVICE_")
}

/// To what access is requested, for example `place`.
pub(super) fn access_object(object: AccessObject) -> String {
    camel(object.as_str_name(), "ACCESS_OBJECT_").to_lowercase()
}

/// Why a case is out of the count of a clause, for example `died`.
pub(super) fn exclusion(reason: ExclusionReason) -> String {
    camel(reason.as_str_name(), "EXCLUSION_REASON_").to_lowercase()
}

/// What is to be done, for example `InformFamily`.
pub(super) fn follow_up_task(task: FollowUpTask) -> String {
    camel(task.as_str_name(), "FOLLOW_UP_TASK_")
}

/// How a case stands in a few words: the confirmed status, the reported one where it differs, and
/// what else is remarkable.
pub(super) fn standing(standing: &Standing) -> String {
    let (confirmed, reported) = (standing.confirmed(), standing.reported());
    let mut text = status(confirmed).to_owned();
    if reported != confirmed {
        text.push_str(&format!(" (reported {})", status(reported)));
    }
    if standing.contested {
        text.push_str(", contested");
    }
    if standing.closed {
        text.push_str(", closed");
    }
    if !standing.merged_into.is_empty() {
        text.push_str(", merged");
    }
    text
}

/// Who recorded an event for which organisation, and on which source: `actor@organisation < source`.
pub(super) fn provenance(record: &Record) -> String {
    let source = record
        .event
        .as_ref()
        .and_then(|event| event.source.as_ref());
    let source = source.map_or("", |source| source.reference.as_str());
    format!("{}@{} < {source}", record.actor, record.organisation)
}

/// A time to the second, in UTC; a dash where there is none.
pub(super) fn time(timestamp: Option<&Timestamp>) -> String {
    timestamp.map_or_else(
        || "-".to_owned(),
        |time| {
            Timestamp {
                seconds: time.seconds,
                nanos: 0,
            }
            .to_string()
        },
    )
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The name of a status code, as gRPC writes it.
pub(super) fn code(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// Parses the names that `name` gives to numbers above 0, in any case of letters.
fn parser(name: impl Fn(i32) -> Option<String>) -> impl TypedValueParser<Value = i32> {
    let named: Vec<(String, i32)> = (1..NUMBER_MAX)
        .filter_map(|number| Some((name(number)?, number)))
        .collect();
    PossibleValuesParser::new(named.iter().map(|(name, _)| name.clone())).try_map(
        move |typed: String| {
            named
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(&typed))
                .map(|(_, number)| *number)
                .ok_or("no such name")
        },
    )
}

/// `CASE_KIND_DETENTION` without its prefix, as `Detention`.
fn camel(name: &str, prefix: &str) -> String {
    let words = name.strip_prefix(prefix).unwrap_or(name).split('_');
    words
        .flat_map(|word| {
            let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
            [first.to_owned(), rest.to_lowercase()]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_of_statuses_differ_within_a_kind() {
        let mut names: Vec<_> = statuses()
            .map(|status| (status as i32 / 100, status_name(status)))
            .collect();
        let count = names.len();
        assert_eq!(count, 64);
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn a_name_that_kinds_share_stands_for_the_statuses_of_all() {
        let command = clap::Command::new("list").arg(
            clap::Arg::new("status")
                .value_parser(status_parser())
                .ignore_case(true),
        );
        let parsed = |name| {
            let matches = command.clone().try_get_matches_from(["list", name]);
            matches.ok()?.get_one::<Vec<i32>>("status").cloned()
        };
        let of = |statuses: &[CaseStatus]| Some(statuses.iter().map(|s| *s as i32).collect());
        assert_eq!(
            parsed("suspended"),
            of(&[CaseStatus::SiteSuspended, CaseStatus::AgreementSuspended])
        );
        assert_eq!(parsed("Registered"), of(&[CaseStatus::DetentionRegistered]));
    }

    #[test]
    fn a_standing_tells_what_is_remarkable() {
        let standing = Standing {
            confirmed: CaseStatus::DetentionRegistered.into(),
            reported: CaseStatus::DetentionReleased.into(),
            contested: true,
            ..Standing::default()
        };
        assert_eq!(
            super::standing(&standing),
            "Registered (reported Released), contested"
        );
    }
}
