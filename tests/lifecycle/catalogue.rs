//! The lifecycles as the domain's catalogue tells them, copied by hand: the cells keep its
//! words, and [`statuses_meant`] says what the words mean. Nothing here is read from src.

use std::sync::LazyLock;

use casetrail::wire::v1::{
    ArrivalDestination, CaseKind, CaseStatus, EventType, IntentionOption, WishesOutcome,
    event::Payload,
};

/// A case without a confirmed status.
pub const NEW: CaseStatus = CaseStatus::Unspecified;

/// The lifecycle of one kind.
pub struct Lifecycle {
    pub kind: CaseKind,
    prefix: &'static str,
    open: &'static [&'static str],
    ends: &'static [&'static str],
    /// What happens once, besides all that brings an end.
    once: &'static [&'static str],
    rows: &'static [(&'static str, &'static str, Cell)],
}

/// The column `result`.
#[derive(Clone, Copy)]
enum Cell {
    /// It leaves the status as it is.
    Stays,
    /// It leaves the status as it is, and the case is contested.
    Contested,
    /// It brings this status.
    To(&'static str),
    /// It brings the first status, unless the case is in one of the others.
    Unless(&'static str, &'static [&'static str]),
    /// It brings the status that its payload says: value of the payload's field, status.
    AsSaid(&'static [(&'static str, &'static str)]),
}

use Cell::{AsSaid, Contested, Stays, To, Unless};

#[rustfmt::skip] // A table is read by its rows.
pub static DETENTION: Lifecycle = Lifecycle {
    kind: CaseKind::Detention,
    prefix: "DETENTION",
    open: &["Alleged", "Acknowledged", "Registered", "ReleasePending", "HandoverScheduled", "InTransfer", "Released", "WhereaboutsUnknown"],
    ends: &["Repatriated", "ReturnedToResidence", "AccommodatedElsewhere", "Escaped", "DiedInCustody", "Unfounded"],
    once: &["Released"],
    rows: &[
        ("DetentionAlleged", "new", To("Alleged")),
        ("ProofOfLifeReceived", "before release", Stays),
        ("DetentionAcknowledged", "new, Alleged, WhereaboutsUnknown", To("Acknowledged")),
        ("DetentionDenied", "before release", Contested),
        ("VisitedAndRegistered", "before release", Unless("Registered", &["Registered", "ReleasePending", "HandoverScheduled", "InTransfer"])),
        ("LegalCategoryAsserted", "any", Stays),
        ("PlaceTransferred", "held", Stays),
        ("HospitalAdmitted", "held", Stays),
        ("WhereaboutsLost", "held", To("WhereaboutsUnknown")),
        ("ProceedingsNotified", "held", Stays),
        ("ProceedingsEnded", "held; release_hold", Stays),
        ("ReleaseListed", "held", To("ReleasePending")),
        ("WishesRecorded", "held and later, before an end", Stays),
        ("HandoverScheduled", "ReleasePending", To("HandoverScheduled")),
        ("HandoverPostponed", "HandoverScheduled, InTransfer", To("ReleasePending")),
        ("PersonNotPresented", "HandoverScheduled, InTransfer", To("ReleasePending")),
        ("HandoverCancelled", "HandoverScheduled, InTransfer", To("ReleasePending")),
        ("HandoverStarted", "HandoverScheduled; wishes on record and not declined", To("InTransfer")),
        ("Released", "before release", To("Released")),
        ("Arrived", "Released, InTransfer", AsSaid(&[("ARRIVAL_DESTINATION_OWN_COUNTRY", "Repatriated"), ("ARRIVAL_DESTINATION_RESIDENCE", "ReturnedToResidence"), ("ARRIVAL_DESTINATION_ELSEWHERE", "AccommodatedElsewhere")])),
        ("Escaped", "before release", To("Escaped")),
        ("DiedInCustody", "before release", To("DiedInCustody")),
        ("AllegationDisproved", "Alleged", To("Unfounded")),
        ("AttestationIssued", "Released and every end but Unfounded", Stays),
        ("FamilyContactRestored", "any", Stays),
    ],
};

#[rustfmt::skip] // A table is read by its rows.
pub static REMAINS: Lifecycle = Lifecycle {
    kind: CaseKind::Remains,
    prefix: "REMAINS",
    open: &["Reported", "Recovered", "InExamination", "Unidentified", "Presumed", "Identified", "ReturnedToParty", "InterredUnidentified"],
    ends: &["HandedOver", "FinalDisposition", "NonHuman", "Reassociated"],
    once: &["RemainsRecovered", "IdentificationEstablished"],
    rows: &[
        ("RemainsReported", "new", To("Reported")),
        ("RemainsRecovered", "new, Reported", To("Recovered")),
        ("CustodyTransferred", "Recovered and later", Stays),
        ("ExaminationStarted", "Recovered, Unidentified, InterredUnidentified", To("InExamination")),
        ("PostMortemCompleted", "Recovered, InExamination", To("Unidentified")),
        ("FoundNonHuman", "Recovered, InExamination", To("NonHuman")),
        ("SampleTaken", "Recovered and later, before an end", Stays),
        ("SampleResultReceived", "Recovered and later, before an end", Stays),
        ("MatchHypothesised", "Unidentified", To("Presumed")),
        ("MatchExcluded", "Presumed", To("Unidentified")),
        ("IdentificationEstablished", "Unidentified, Presumed", To("Identified")),
        ("IdentificationRevoked", "Identified and later, ends too", To("Unidentified")),
        ("RemainsSplit", "Recovered and later", Stays),
        ("RemainsReassociated", "Recovered and later", To("Reassociated")),
        ("FamilyInformed", "Identified and later", Stays),
        ("FamilyWishesRecorded", "Identified and later", Stays),
        ("ReturnedToParty", "Recovered and later, before an end", To("ReturnedToParty")),
        ("HandedOverToFamily", "Identified, ReturnedToParty", To("HandedOver")),
        ("BuriedUnidentified", "Unidentified, Presumed", To("InterredUnidentified")),
        ("FinalDispositionRecorded", "Identified, ReturnedToParty, HandedOver", To("FinalDisposition")),
    ],
};

#[rustfmt::skip] // A table is read by its rows.
pub static RETURN: Lifecycle = Lifecycle {
    kind: CaseKind::Return,
    prefix: "RETURN",
    open: &["Displaced", "Intending", "RegisteredForReturn", "Scheduled", "InTransit", "Returned", "LocallyIntegrating", "SettledElsewhere"],
    ends: &["SolutionAchieved", "Withdrawn", "Deceased", "ReDisplaced"],
    once: &["ReturnArrived", "SpontaneousReturn"],
    rows: &[
        ("DisplacementRegistered", "new", To("Displaced")),
        ("IntentionRecorded", "Displaced, Intending, LocallyIntegrating, SettledElsewhere", AsSaid(&[("INTENTION_OPTION_RETURN", "Intending"), ("INTENTION_OPTION_INTEGRATE_LOCALLY", "LocallyIntegrating"), ("INTENTION_OPTION_SETTLE_ELSEWHERE", "SettledElsewhere"), ("INTENTION_OPTION_UNDECIDED", "Displaced")])),
        ("InformationProvided", "Intending, RegisteredForReturn", Stays),
        ("GoAndSeeVisitHeld", "Intending, RegisteredForReturn", Stays),
        ("ConditionsAssessed", "any open", Stays),
        ("VoluntarinessConfirmed", "Intending", To("RegisteredForReturn")),
        ("ReturnScheduled", "RegisteredForReturn", To("Scheduled")),
        ("ReturnPostponed", "Scheduled", To("RegisteredForReturn")),
        ("ReturnCancelled", "Scheduled", To("RegisteredForReturn")),
        ("Departed", "Scheduled", To("InTransit")),
        ("TurnedBack", "InTransit", To("RegisteredForReturn")),
        ("ReturnArrived", "InTransit", To("Returned")),
        ("SpontaneousReturn", "Displaced, Intending, RegisteredForReturn, Scheduled", To("Returned")),
        ("ReturnMonitored", "Returned", Stays),
        ("ReDisplaced", "Returned, SettledElsewhere", To("ReDisplaced")),
        ("SolutionAssessed", "Returned, LocallyIntegrating, SettledElsewhere", To("SolutionAchieved")),
        ("HouseholdSplit", "any open", Stays),
        ("ReturnWithdrawn", "any open", To("Withdrawn")),
        ("LastMemberDied", "any open", To("Deceased")),
    ],
};

#[rustfmt::skip] // A table is read by its rows.
pub static SITE: Lifecycle = Lifecycle {
    kind: CaseKind::Site,
    prefix: "SITE",
    open: &["Reported", "AccessRequested", "AccessGranted", "Cleared", "Surveyed", "InRecovery", "Suspended"],
    ends: &["Exhausted", "NoRemainsFound"],
    once: &[],
    rows: &[
        ("SiteReported", "new", To("Reported")),
        ("SiteAccessRequested", "Reported, Suspended", To("AccessRequested")),
        ("SiteAccessGranted", "Reported, AccessRequested", To("AccessGranted")),
        ("SiteAccessRefused", "AccessRequested, AccessGranted, Cleared, Surveyed", To("Reported")),
        ("SiteCleared", "AccessGranted", To("Cleared")),
        ("SiteSurveyed", "AccessGranted, Cleared", To("Surveyed")),
        ("RecoveryStarted", "AccessGranted, Cleared, Surveyed", To("InRecovery")),
        ("RecoverySuspended", "InRecovery", To("Suspended")),
        ("RecoveryResumed", "Suspended", To("InRecovery")),
        ("SiteExhausted", "InRecovery", To("Exhausted")),
        ("NoRemainsFound", "Surveyed, InRecovery", To("NoRemainsFound")),
    ],
};

#[rustfmt::skip] // A table is read by its rows.
pub static INQUIRY: Lifecycle = Lifecycle {
    kind: CaseKind::Inquiry,
    prefix: "INQUIRY",
    open: &["Open", "Tracing", "PotentialMatch", "Verified"],
    ends: &["ContactRestored", "FateClarified", "ClosedUnresolved"],
    once: &[],
    rows: &[
        ("InquiryOpened", "new", To("Open")),
        ("TracingStarted", "Open", To("Tracing")),
        ("PotentialMatchFound", "Open, Tracing", To("PotentialMatch")),
        ("MatchVerified", "PotentialMatch", To("Verified")),
        ("MatchRejected", "PotentialMatch, Verified", To("Tracing")),
        ("InquiryContactRestored", "any open", To("ContactRestored")),
        ("FateClarified", "any open", To("FateClarified")),
        ("InquiryClosedUnresolved", "any open", To("ClosedUnresolved")),
    ],
};

#[rustfmt::skip] // A table is read by its rows.
pub static AGREEMENT: Lifecycle = Lifecycle {
    kind: CaseKind::Agreement,
    prefix: "AGREEMENT",
    open: &["Signed", "InForce", "Suspended"],
    ends: &["Ended"],
    once: &["AgreementEnteredIntoForce"],
    rows: &[
        ("AgreementSigned", "new", To("Signed")),
        ("AgreementEnteredIntoForce", "Signed", To("InForce")),
        ("AgreementSuspended", "InForce", To("Suspended")),
        ("AgreementResumed", "Suspended", To("InForce")),
        ("AgreementEnded", "any open", To("Ended")),
        ("ClauseAdded", "any open", Stays),
        ("ClauseDueDateChanged", "any open", Stays),
    ],
};

#[rustfmt::skip] // A table is read by its rows.
pub static CONSULTATION: Lifecycle = Lifecycle {
    kind: CaseKind::Consultation,
    prefix: "CONSULTATION",
    open: &["Planned", "Moved"],
    ends: &["Held", "Cancelled"],
    once: &[],
    rows: &[
        ("ConsultationPlanned", "new", To("Planned")),
        ("ConsultationMoved", "any open", To("Moved")),
        ("ConsultationHeld", "any open", To("Held")),
        ("ConsultationCancelled", "any open", To("Cancelled")),
    ],
};

#[rustfmt::skip] // A table is read by its rows.
pub static USER_ACCOUNT: Lifecycle = Lifecycle {
    kind: CaseKind::UserAccount,
    prefix: "USER_ACCOUNT",
    open: &["Active"],
    ends: &["Closed"],
    once: &[],
    rows: &[
        ("UserAccountCreated", "new", To("Active")),
        ("TokenIssued", "Active", Stays),
        ("CertificateEnrolled", "Active", Stays),
        ("GrantRevoked", "Active", Stays),
        ("UserAccountClosed", "Active", To("Closed")),
        ("UnsealingGranted", "Active", Stays),
    ],
};

pub static LIFECYCLES: [&Lifecycle; 8] = [
    &DETENTION,
    &REMAINS,
    &RETURN,
    &SITE,
    &INQUIRY,
    &AGREEMENT,
    &CONSULTATION,
    &USER_ACCOUNT,
];

/// The events that every kind has, as far as they are built.
pub const COMMON: [EventType; 36] = [
    EventType::CaseClosed,
    EventType::CaseReopened,
    EventType::VerificationChanged,
    EventType::EventDisputed,
    EventType::DisputeResolved,
    EventType::EventCorrected,
    EventType::EventRetracted,
    EventType::NoteRecorded,
    EventType::CasesLinked,
    EventType::CasesUnlinked,
    EventType::DuplicateSuspected,
    EventType::NotADuplicate,
    EventType::CasesMerged,
    EventType::CasesUnmerged,
    EventType::ReferralOffered,
    EventType::ReferralAccepted,
    EventType::ReferralRejected,
    EventType::ReferralCompleted,
    EventType::ReferralRevoked,
    EventType::CaseTransferred,
    EventType::ConsentRecorded,
    EventType::ConsentWithdrawn,
    EventType::AccessRequested,
    EventType::AccessGranted,
    EventType::AccessDenied,
    EventType::FollowUpScheduled,
    EventType::FollowUpRescheduled,
    EventType::FollowUpCompleted,
    EventType::FollowUpCancelled,
    EventType::CaseCovered,
    EventType::CaseUncovered,
    EventType::ErasureRequested,
    EventType::ErasureExecuted,
    EventType::ErasureRefused,
    EventType::DataDisclosed,
    EventType::ClosureProposed,
];

/// A row, read.
pub struct Row {
    pub event: EventType,
    /// None where the cell says "any".
    pub allowed: Option<Vec<CaseStatus>>,
    pub result: Result,
    pub guard: Guard,
    /// Whether it happens once, so that a second confirmed event tells of the same.
    pub once: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Result {
    Stays,
    Contested,
    To(CaseStatus),
    Unless(CaseStatus, Vec<CaseStatus>),
    AsSaid(Vec<(&'static str, CaseStatus)>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Guard {
    None,
    ReleaseHold,
    WishesNotDeclined,
}

/// What an event can say that matters to the status: the status claimed, and what its payload says
/// to claim it, where it must say something.
#[derive(Clone, Debug)]
pub struct Claim {
    pub event: EventType,
    pub said: Option<&'static str>,
    pub status: Option<CaseStatus>,
}

impl Lifecycle {
    pub fn open(&self) -> Vec<CaseStatus> {
        self.open.iter().map(|name| self.status(name)).collect()
    }

    pub fn ends(&self) -> Vec<CaseStatus> {
        self.ends.iter().map(|name| self.status(name)).collect()
    }

    /// The statuses in the order in which the catalogue lists them.
    pub fn statuses(&self) -> Vec<CaseStatus> {
        [self.open(), self.ends()].concat()
    }

    /// The name that the catalogue gives a status.
    pub fn name(&self, status: CaseStatus) -> &'static str {
        let mut names = self.open.iter().chain(self.ends);
        names
            .find(|name| self.status(name) == status)
            .copied()
            .unwrap_or("New")
    }

    pub fn rows(&self) -> Vec<Row> {
        self.rows.iter().map(|row| self.row(row)).collect()
    }

    /// Every event of the kind, once for each thing that it can say about the status.
    pub fn claims(&self) -> Vec<Claim> {
        let claims = self.rows().into_iter().flat_map(|row| claims_of(&row));
        claims.collect()
    }

    fn status(&self, name: &str) -> CaseStatus {
        let full = format!("CASE_STATUS_{}_{}", self.prefix, upper_snake(name));
        CaseStatus::from_str_name(&full).unwrap_or_else(|| panic!("no status is called {full}"))
    }

    fn row(&self, (event, allowed, result): &(&str, &str, Cell)) -> Row {
        let (statuses, guard) = allowed.split_once("; ").unwrap_or((allowed, ""));
        let status = |name: &&'static str| self.status(name);
        let is_end = |name: &&str| self.ends.contains(name);
        let ends = match *result {
            To(to) | Unless(to, _) => is_end(&to),
            AsSaid(said) => said.iter().all(|(_, to)| is_end(to)),
            Stays | Contested => false,
        };
        Row {
            once: ends || self.once.contains(event),
            event: event_named(event),
            allowed: self.statuses_meant(statuses),
            result: match *result {
                Stays => Result::Stays,
                Contested => Result::Contested,
                To(to) => Result::To(self.status(to)),
                Unless(to, further) => {
                    Result::Unless(self.status(to), further.iter().map(status).collect())
                }
                AsSaid(said) => Result::AsSaid(
                    said.iter()
                        .map(|(value, to)| (*value, self.status(to)))
                        .collect(),
                ),
            },
            guard: match guard {
                "" => Guard::None,
                "release_hold" => Guard::ReleaseHold,
                "wishes on record and not declined" => Guard::WishesNotDeclined,
                other => panic!("the catalogue knows no guard {other}"),
            },
        }
    }

    /// The statuses that the words of the column "allowed in" mean, in the order of the lifecycle;
    /// None for "any".
    fn statuses_meant(&self, words: &str) -> Option<Vec<CaseStatus>> {
        let from = |name: &str, statuses: Vec<CaseStatus>| {
            let first = self.status(name);
            let begin = statuses.iter().position(|status| *status == first).unwrap();
            statuses[begin..].to_vec()
        };
        let statuses = match words {
            "any" => return None,
            "any open" => self.open(),
            "held" => vec![self.status("Acknowledged"), self.status("Registered")],
            "held and later, before an end" => from("Acknowledged", self.open()),
            "before release" => {
                let released = self.status("Released");
                let mut statuses = self.open();
                statuses.retain(|status| *status != released);
                statuses
            }
            "Released and every end but Unfounded" => {
                let unfounded = self.status("Unfounded");
                let mut statuses = [vec![self.status("Released")], self.ends()].concat();
                statuses.retain(|status| *status != unfounded);
                statuses
            }
            _ => {
                if let Some(name) = words.strip_suffix(" and later, ends too") {
                    from(name, self.statuses())
                } else if let Some((name, _)) = words.split_once(" and later") {
                    from(name, self.open())
                } else {
                    let named = |name: &str| match name {
                        "new" => NEW,
                        name => self.status(name),
                    };
                    words.split(", ").map(named).collect()
                }
            }
        };
        Some(statuses)
    }
}

impl Row {
    /// Whether a confirmed event may follow in this status of an existing case.
    pub fn allows(&self, status: CaseStatus) -> bool {
        let allowed = self.allowed.as_ref();
        allowed.is_none_or(|allowed| allowed.contains(&status))
    }

    /// The statuses that the event can bring.
    pub fn brings(&self) -> Vec<CaseStatus> {
        match &self.result {
            Result::To(status) | Result::Unless(status, _) => vec![*status],
            Result::AsSaid(said) => said.iter().map(|(_, status)| *status).collect(),
            Result::Stays | Result::Contested => Vec::new(),
        }
    }

    /// The status after an event that claims this, in a case of that status.
    pub fn moved(&self, status: CaseStatus, claimed: Option<CaseStatus>) -> CaseStatus {
        match (&self.result, claimed) {
            (Result::Unless(_, further), _) if further.contains(&status) => status,
            (_, Some(claimed)) => claimed,
            (_, None) => status,
        }
    }
}

static ROWS: LazyLock<Vec<(&'static Lifecycle, Row)>> = LazyLock::new(|| {
    let rows_of = |lifecycle: &&'static Lifecycle| {
        let lifecycle = *lifecycle;
        lifecycle
            .rows()
            .into_iter()
            .map(move |row| (lifecycle, row))
    };
    LIFECYCLES.iter().flat_map(rows_of).collect()
});

/// The lifecycle that an event belongs to; none for a common event.
pub fn lifecycle_of(event: EventType) -> Option<&'static Lifecycle> {
    let mut rows = ROWS.iter();
    rows.find_map(|(lifecycle, row)| (row.event == event).then_some(*lifecycle))
}

pub fn row_of(event: EventType) -> Option<&'static Row> {
    let mut rows = ROWS.iter();
    rows.find_map(|(_, row)| (row.event == event).then_some(row))
}

/// Whether a status of any kind is an end.
pub fn is_end(status: CaseStatus) -> bool {
    static ENDS: LazyLock<Vec<CaseStatus>> = LazyLock::new(|| {
        let ends = LIFECYCLES.iter().flat_map(|lifecycle| lifecycle.ends());
        ends.collect()
    });
    ENDS.contains(&status)
}

/// Whether a claim of `claimed` goes further on than `shown`, both of one kind: it is listed after
/// it, or, where that is an end, it is another end.
pub fn is_further_on(claimed: CaseStatus, shown: CaseStatus) -> bool {
    static ORDER: LazyLock<Vec<CaseStatus>> = LazyLock::new(|| {
        let all = LIFECYCLES.iter().flat_map(|lifecycle| lifecycle.statuses());
        all.collect()
    });
    if is_end(shown) {
        return is_end(claimed) && claimed != shown;
    }
    let place = |status| ORDER.iter().position(|listed| *listed == status).unwrap();
    place(claimed) > place(shown)
}

/// Whether a status is listed before another one of its kind.
pub fn is_listed_before(status: CaseStatus, other: CaseStatus) -> bool {
    let lists = LIFECYCLES.iter().map(|lifecycle| lifecycle.statuses());
    let list = lists.flatten();
    list.clone().position(|it| it == status) < list.clone().position(|it| it == other)
}

fn claims_of(row: &Row) -> Vec<Claim> {
    let claim = |said, status| Claim {
        event: row.event,
        said,
        status,
    };
    match &row.result {
        Result::Stays | Result::Contested => vec![claim(None, None)],
        Result::To(status) | Result::Unless(status, _) => vec![claim(None, Some(*status))],
        Result::AsSaid(said) => said
            .iter()
            .map(|(value, status)| claim(Some(*value), Some(*status)))
            .collect(),
    }
}

impl Claim {
    /// An event that claims nothing, or of which it does not matter.
    pub fn of(event: EventType) -> Self {
        row_of(event).map_or(
            Self {
                event,
                said: None,
                status: None,
            },
            |row| claims_of(row).remove(0),
        )
    }

    /// Writes into a payload what it must say for this claim.
    pub fn say(&self, payload: &mut Payload) {
        let Some(said) = self.said else { return };
        match payload {
            Payload::Arrived(arrived) => {
                let destination = ArrivalDestination::from_str_name(said).unwrap();
                arrived.set_destination(destination);
            }
            Payload::IntentionRecorded(intention) => {
                intention.set_option(IntentionOption::from_str_name(said).unwrap());
            }
            _ => panic!("the payload has nothing to say of {said}"),
        }
    }
}

/// A way by confirmed events from a case that does not exist yet into `status`, and with the guard
/// held there; found by searching the catalogue itself, breadth first.
pub fn path_to(lifecycle: &Lifecycle, status: CaseStatus, guard: Guard) -> Vec<Claim> {
    #[derive(Clone, Copy, PartialEq)]
    struct Place {
        status: CaseStatus,
        hold: bool,
        wishes: bool,
    }
    let rows = lifecycle.rows();
    let row_of = |event| rows.iter().find(|row| row.event == event).unwrap();
    let start = Place {
        status: NEW,
        hold: false,
        wishes: false,
    };
    let mut seen = vec![start];
    let mut ways: Vec<(Place, Vec<Claim>)> = vec![(start, Vec::new())];
    while !ways.is_empty() {
        let mut next = Vec::new();
        for (place, way) in ways {
            let guarded = match guard {
                Guard::None => true,
                Guard::ReleaseHold => place.hold,
                Guard::WishesNotDeclined => place.wishes,
            };
            if place.status == status && guarded {
                return way;
            }
            for claim in lifecycle.claims() {
                let row = row_of(claim.event);
                let named = row.allowed.as_ref();
                let allowed = named.is_some_and(|allowed| allowed.contains(&place.status));
                let passes = match row.guard {
                    Guard::None => true,
                    Guard::ReleaseHold => place.hold,
                    Guard::WishesNotDeclined => place.wishes,
                };
                let after = Place {
                    status: row.moved(place.status, claim.status),
                    hold: (place.hold || claim.event == EventType::ProceedingsNotified)
                        && claim.event != EventType::ProceedingsEnded,
                    wishes: place.wishes || claim.event == EventType::WishesRecorded,
                };
                if allowed && passes && !seen.contains(&after) {
                    seen.push(after);
                    next.push((after, [way.clone(), vec![claim]].concat()));
                }
            }
        }
        ways = next;
    }
    panic!("no way leads to {status:?} with {guard:?}")
}

/// Wishes that let a handover start.
pub fn lets_handover_start(wishes: WishesOutcome) -> bool {
    matches!(
        wishes,
        WishesOutcome::Return | WishesOutcome::ReturnElsewhere
    )
}

/// The event that the catalogue calls by this name.
pub fn event_named(name: &str) -> EventType {
    let full = format!("EVENT_TYPE_{}", upper_snake(name));
    EventType::from_str_name(&full).unwrap_or_else(|| panic!("no event is called {full}"))
}

fn upper_snake(camel: &str) -> String {
    let mut snake = String::new();
    for letter in camel.chars() {
        if letter.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(letter.to_uppercase());
    }
    snake
}
