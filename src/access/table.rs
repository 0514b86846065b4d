//! The table: which role may call which method, what it sees there, and what it may record. Every
//! call is looked up here, and one that is not in it is refused.
//!
//! README shows it as [`document`] prints it.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::LazyLock;

use crate::domain::{Authority, Referred, Sight, TwoPersons, Writes};
use crate::wire::event_type;
use crate::wire::v1::{CaseKind, EventType as E, PersonalClass, Role};
use Role::{Admin, Auditor, CaseWorker, Forensic, Monitor, Supervisor};

/// The roles, in the order in which they are documented.
pub const ROLES: [Role; 6] = [CaseWorker, Supervisor, Forensic, Monitor, Auditor, Admin];

/// Who may call a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Callers {
    /// Everybody, also without credentials.
    Anyone,
    /// These roles.
    Roles(&'static [Role]),
}

/// A method with its callers.
#[derive(Debug)]
pub struct Row {
    /// The path of the method, `/package.Service/Method`.
    pub path: &'static str,
    /// Who may call it.
    pub callers: Callers,
    /// Whether it answers with a stream, which ends when its caller's grant does.
    pub streams: bool,
}

const fn call(path: &'static str, roles: &'static [Role]) -> Row {
    Row {
        path,
        callers: Callers::Roles(roles),
        streams: false,
    }
}

const fn stream(path: &'static str, roles: &'static [Role]) -> Row {
    Row {
        streams: true,
        ..call(path, roles)
    }
}

const WRITERS: &[Role] = &[CaseWorker, Supervisor, Forensic];
const READERS: &[Role] = &[CaseWorker, Supervisor, Forensic, Auditor];
const AGREEMENT_READERS: &[Role] = &[CaseWorker, Supervisor, Auditor];
const COUNTERS: &[Role] = &[CaseWorker, Supervisor, Forensic, Monitor, Auditor];

/// All methods of the server.
#[rustfmt::skip] // A table is read by its columns.
pub static ROWS: [Row; 30] = [
    call("/casetrail.v1.CaseService/SubmitEvents", WRITERS),
    stream("/casetrail.v1.CaseService/SubmitStream", WRITERS),
    call("/casetrail.v1.CaseService/GetCase", READERS),
    call("/casetrail.v1.CaseService/ListCases", READERS),
    call("/casetrail.v1.CaseService/CompareCases", READERS),
    call("/casetrail.v1.CaseService/GetCaseHistory", READERS),
    call("/casetrail.v1.CaseService/GetAgreementCoverage", AGREEMENT_READERS),
    call("/casetrail.v1.CaseService/GetAgreementProgress", AGREEMENT_READERS),
    stream("/casetrail.v1.MonitorService/WatchStatus", COUNTERS),
    call("/casetrail.v1.MonitorService/GetSummary", COUNTERS),
    call("/casetrail.v1.MonitorService/GetSummarySeries", COUNTERS),
    call("/casetrail.v1.MonitorService/ListAlerts", READERS),
    stream("/casetrail.v1.MonitorService/WatchAlerts", READERS),
    stream("/casetrail.v1.AuditService/ReplayEvents", &[Auditor]),
    call("/casetrail.v1.PersonalService/GetPersonal", READERS),
    call("/casetrail.v1.PersonalService/SearchByName", WRITERS),
    call("/casetrail.v1.PersonalService/ListDisclosures", &[Supervisor, Auditor]),
    call("/casetrail.v1.PersonalService/ListRetentionDue", &[Supervisor]),
    call("/casetrail.v1.AdminService/GetServerStatus", &[Auditor, Admin]),
    call("/casetrail.v1.AdminService/RebuildViews", &[Admin]),
    call("/casetrail.v1.AdminService/CreateToken", &[Admin]),
    call("/casetrail.v1.AdminService/EnrolCertificate", &[Admin]),
    call("/casetrail.v1.AdminService/GrantUnsealing", &[Admin]),
    call("/casetrail.v1.AdminService/RevokeGrant", &[Admin]),
    call("/casetrail.v1.AdminService/CloseAccount", &[Admin]),
    call("/casetrail.v1.AdminService/ListAccounts", &[Admin]),
    Row { path: "/grpc.health.v1.Health/Check", callers: Callers::Anyone, streams: false },
    stream("/grpc.health.v1.Health/Watch", &ROLES),
    stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", &ROLES),
    stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", &ROLES),
];

/// What a forensic account sees.
const FORENSIC_KINDS: &[CaseKind] = &[CaseKind::Remains, CaseKind::Site, CaseKind::Inquiry];

/// Examinations, samples, identifications.
const FORENSIC_EVENTS: &[E] = &[
    E::ExaminationStarted,
    E::PostMortemCompleted,
    E::FoundNonHuman,
    E::SampleTaken,
    E::SampleResultReceived,
    E::MatchHypothesised,
    E::MatchExcluded,
    E::IdentificationEstablished,
    E::IdentificationRevoked,
];

/// What supervisors confirm, and case workers only allege.
const DEATHS: &[E] = &[E::DiedInCustody, E::LastMemberDied];

/// What of the common events case workers leave to supervisors.
const SUPERVISED: &[E] = &[
    E::CaseClosed,
    E::CaseReopened,
    E::EventRetracted,
    E::CasesMerged,
    E::CasesUnmerged,
    E::ErasureExecuted,
    E::ErasureRefused,
];

/// What of what its role records an account may record in a case that is only referred to its
/// organisation: the answer while it is offered, and once it is accepted what the service takes. The
/// rest is for those whose case it is.
pub const REFERRED: Referred = Referred {
    offered: Writes::Only(&[&[E::ReferralAccepted, E::ReferralRejected]]),
    accepted: Writes::AllBut {
        never: &[&[
            E::CaseClosed,
            E::CaseReopened,
            E::ClosureProposed,
            E::EventRetracted,
            E::CasesMerged,
            E::CasesUnmerged,
            E::ReferralOffered,
            E::ReferralRevoked,
            E::CaseTransferred,
            E::ConsentRecorded,
            E::ConsentWithdrawn,
            E::CaseCovered,
            E::CaseUncovered,
            E::ErasureRequested,
            E::ErasureExecuted,
            E::ErasureRefused,
        ]],
        unconfirmed_only: DEATHS,
        verifies: &[],
    },
};

/// What an account of a role sees and records, where these acts take two persons.
pub fn authority(role: Role, organisation: &str, two_persons: TwoPersons) -> Authority {
    let own = |kinds| Sight::Organisation {
        organisation: organisation.to_owned(),
        kinds,
    };
    let (sight, writes) = match role {
        CaseWorker => (
            own(&[]),
            Writes::AllBut {
                never: &[SUPERVISED, FORENSIC_EVENTS],
                unconfirmed_only: DEATHS,
                verifies: &[],
            },
        ),
        Supervisor => (
            own(&[]),
            Writes::AllBut {
                never: &[FORENSIC_EVENTS],
                unconfirmed_only: &[],
                // Also as the second person of an identification.
                verifies: FORENSIC_EVENTS,
            },
        ),
        Forensic => (
            own(FORENSIC_KINDS),
            Writes::Only(&[FORENSIC_EVENTS, &[E::VerificationChanged]]),
        ),
        Monitor | Auditor => (Sight::All, Writes::Only(&[])),
        Admin | Role::Unspecified => (Sight::Nothing, Writes::Only(&[])),
    };
    Authority {
        sight,
        writes,
        referred: &REFERRED,
        two_persons,
    }
}

/// All classes of personal data.
pub const CLASSES: &[PersonalClass] = &[
    PersonalClass::Identity,
    PersonalClass::Identifiers,
    PersonalClass::Health,
    PersonalClass::Wishes,
    PersonalClass::Place,
    PersonalClass::Narrative,
];

/// What it takes to tell whose remains they are.
const FORENSIC_CLASSES: &[PersonalClass] = &[
    PersonalClass::Identity,
    PersonalClass::Identifiers,
    PersonalClass::Health,
    PersonalClass::Place,
];

/// The classes of personal data that an account of a role may read, in the cases that it sees.
pub fn classes(role: Role) -> &'static [PersonalClass] {
    match role {
        CaseWorker | Supervisor => CLASSES,
        Forensic => FORENSIC_CLASSES,
        Monitor | Auditor | Admin | Role::Unspecified => &[],
    }
}

/// The classes of personal data that an account of a role may read for the purpose audit, while an admin
/// lets it (UnsealingGranted).
pub fn classes_unsealed(role: Role) -> &'static [PersonalClass] {
    match role {
        Auditor => CLASSES,
        CaseWorker | Supervisor | Forensic | Monitor | Admin | Role::Unspecified => &[],
    }
}

/// Whether a role is told cases by pseudonyms, and counts as they are published.
pub fn is_masked(role: Role) -> bool {
    role == Monitor
}

/// The row of a method; none for a path that is none.
pub fn row(path: &str) -> Option<&'static Row> {
    static BY_PATH: LazyLock<HashMap<&str, &Row>> =
        LazyLock::new(|| ROWS.iter().map(|row| (row.path, row)).collect());
    BY_PATH.get(path).copied()
}

impl Row {
    /// The name of the method alone.
    pub fn method(&self) -> &'static str {
        self.path.rsplit('/').next().unwrap_or(self.path)
    }

    /// Whether a role may call the method.
    pub fn allows(&self, role: Role) -> bool {
        match self.callers {
            Callers::Anyone => true,
            Callers::Roles(roles) => roles.contains(&role),
        }
    }
}

/// The name of a role, as commands take it and tokens claim it, for example `case_worker`.
pub fn role_name(role: Role) -> String {
    let name = role.as_str_name();
    name.strip_prefix("ROLE_")
        .unwrap_or(name)
        .to_ascii_lowercase()
}

/// The role of a name, as [`role_name`] gives it.
pub fn role_named(name: &str) -> Option<Role> {
    ROLES.into_iter().find(|role| role_name(*role) == name)
}

/// The table as Markdown.
pub fn document() -> String {
    let mut out = String::from("| method |");
    for role in ROLES {
        let _ = write!(out, " {} |", role_name(role));
    }
    out.push_str("\n|---|");
    out.push_str(&"---|".repeat(ROLES.len()));
    for row in &ROWS {
        let path = row.path.trim_start_matches('/');
        let note = match row.callers {
            Callers::Anyone => ", also without credentials",
            Callers::Roles(_) => "",
        };
        let _ = write!(out, "\n| `{path}`{note} |");
        for role in ROLES {
            out.push_str(if row.allows(role) { " yes |" } else { " - |" });
        }
    }
    out.push_str("\n\n| role | sees | opens personal data of | records |\n|---|---|---|---|");
    for role in ROLES {
        let Authority { sight, writes, .. } = authority(role, "", TwoPersons::EVERYWHERE);
        let name = role_name(role);
        let masked = if is_masked(role) {
            ", under pseudonyms; counts as published"
        } else {
            ""
        };
        let (seen, mut opened) = (seen(&sight), opened(classes(role)));
        if !classes_unsealed(role).is_empty() {
            let unsealed = self::opened(classes_unsealed(role));
            opened = format!("{opened}; while an admin grants it, to audit: {unsealed}");
        }
        let recorded = recorded(writes);
        let _ = write!(out, "\n| {name} | {seen}{masked} | {opened} | {recorded} |");
    }
    out.push_str(
        "\n\n| a case of | lets its organisation record, of what the role does |\n|---|---|",
    );
    let (offered, accepted) = (recorded(REFERRED.offered), recorded(REFERRED.accepted));
    for (share, recorded) in [
        (
            "the own organisation: opened by it, or transferred to it last",
            "everything; CaseTransferred unless it was transferred on; ReferralAccepted and \
             ReferralRejected of a referral to itself alone",
        ),
        (
            "another one, referred and accepted",
            &format!("{accepted}; ReferralCompleted of a referral to itself alone"),
        ),
        (
            "another one, offered",
            &format!("{offered}, of a referral to itself alone"),
        ),
    ] {
        let _ = write!(out, "\n| {share} | {recorded} |");
    }
    out.push('\n');
    out
}

fn opened(classes: &[PersonalClass]) -> String {
    if classes.is_empty() {
        return "no class".to_owned();
    }
    let names = classes.iter().map(|class| {
        let name = class.as_str_name();
        let name = name.strip_prefix("PERSONAL_CLASS_").unwrap_or(name);
        name.to_ascii_lowercase()
    });
    names.collect::<Vec<_>>().join(", ")
}

fn seen(sight: &Sight) -> String {
    match sight {
        Sight::All => "all cases".to_owned(),
        Sight::Organisation { kinds: [], .. } => {
            "cases of the own organisation, or referred or transferred to it".to_owned()
        }
        Sight::Organisation { kinds, .. } => {
            let kinds: Vec<_> = kinds
                .iter()
                .map(|kind| crate::domain::lifecycle::document::kind_name(*kind))
                .collect();
            format!("the same, of these kinds: {}", kinds.join(", "))
        }
        Sight::UserAccounts => "accounts".to_owned(),
        Sight::Nothing => "no case".to_owned(),
    }
}

fn recorded(writes: Writes) -> String {
    match writes {
        Writes::All => "everything".to_owned(),
        Writes::AllBut {
            never,
            unconfirmed_only,
            verifies,
        } => {
            let mut text = format!("all but: {}", names(never));
            if !unconfirmed_only.is_empty() {
                let _ = write!(text, "; not as confirmed: {}", names(&[unconfirmed_only]));
            }
            if !verifies.is_empty() {
                let verified = names(&[verifies]);
                let _ = write!(text, "; verifies what others recorded of: {verified}");
            }
            text
        }
        Writes::Only([]) => "nothing".to_owned(),
        Writes::Only(events) => names(events),
    }
}

fn names(groups: &[&[E]]) -> String {
    let events = groups.iter().copied().flatten();
    let names: Vec<_> = events
        .map(|event| event_type::message_name(*event))
        .collect();
    names.join(", ")
}
