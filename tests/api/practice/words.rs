//! The words in which the stories are told: an office with its server, and events as its workers
//! write them down.

use std::collections::HashMap;

use casetrail::wire::v1::{
    self, AsOf, Case, CaseKind, CaseStatus, Clause, ClauseBasis, ClauseCoverage, ContestedCause,
    Credibility, Event, EventType, ExclusionReason, HistoryEntry, LinkType, SubmitEventsRequest,
    SubmitEventsResponse, event::Payload,
};
use tempfile::TempDir;
use tonic::Code;
use tonic_types::StatusExt;

use crate::clocks;
use crate::harness::{Client, Server};
use crate::support::{event_with, fresh_uuid, replacement, valid_event};
pub use crate::together::{change, in_both, merge, submission};

/// An office: a server with a data folder of its own.
pub struct Office {
    folder: TempDir,
    server: Server,
}

/// Why an event was refused.
pub struct Refused {
    pub code: Code,
    pub reason: String,
    pub message: String,
    pub facts: HashMap<String, String>,
}

impl Office {
    pub async fn open() -> Self {
        let folder = TempDir::new().unwrap();
        let server = Server::start(folder.path()).await;
        Self { folder, server }
    }

    /// The server is stopped and started again over the same data.
    pub async fn restarted(self) -> Self {
        self.server.end().await;
        let server = Server::start(self.folder.path()).await;
        Self { server, ..self }
    }

    pub async fn close(self) {
        self.server.end().await;
    }

    pub fn client(&self) -> &Client {
        &self.server.client
    }

    /// A case that begins with these events.
    pub async fn new_case(&self, events: Vec<Event>) -> String {
        let case_id = fresh_uuid().to_string();
        let opening = submission(vec![change(&case_id, events)]);
        self.client().submit(opening).await;
        case_id
    }

    /// Records an event in a case, and tells its event_id.
    pub async fn record(&self, case_id: &str, event: Event) -> String {
        let event_id = event.event_id.clone();
        let recorded = submission(vec![change(case_id, vec![event])]);
        self.client().submit(recorded).await;
        event_id
    }

    pub async fn submit(&self, request: SubmitEventsRequest) -> SubmitEventsResponse {
        self.client().submit(request).await
    }

    /// Records one event in each of several cases, all or none.
    pub async fn record_in_each(&self, cases: &[String], event: impl Fn() -> Event) {
        let changes = cases.iter().map(|case_id| change(case_id, vec![event()]));
        self.client().submit(submission(changes.collect())).await;
    }

    /// Tries to record an event that must be refused.
    pub async fn refused(&self, case_id: &str, event: Event) -> Refused {
        self.refused_whole(submission(vec![change(case_id, vec![event])]))
            .await
    }

    pub async fn refused_whole(&self, request: SubmitEventsRequest) -> Refused {
        let answer = self.client().cases().submit_events(request).await;
        let status = answer.expect_err("it should be refused");
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        Refused {
            code: status.code(),
            reason: info.reason.clone(),
            message: status.message().to_owned(),
            facts: info.metadata.clone(),
        }
    }

    pub async fn case(&self, case_id: &str) -> Case {
        self.case_as_of(case_id, None).await.0
    }

    /// A case as it was known, or as it was, then: certainly, and possibly where that differs.
    pub async fn case_as_of(&self, case_id: &str, as_of: Option<AsOf>) -> (Case, Option<Case>) {
        let request = v1::GetCaseRequest {
            case_id: case_id.to_owned(),
            as_of,
        };
        let answer = self.client().cases().get_case(request).await.unwrap();
        let answer = answer.into_inner();
        (answer.case.unwrap(), answer.possible_case)
    }

    /// The case as the service told it when its log ended at this position.
    pub async fn case_known_at(&self, case_id: &str, position: u64) -> Case {
        self.case_as_of(case_id, clocks::known_at(position)).await.0
    }

    /// The case as it was at the end of this day, by what is known now.
    pub async fn case_true_at(&self, case_id: &str, day: &str) -> Case {
        self.case_as_of(case_id, clocks::true_at(day)).await.0
    }

    /// Where the log ends now.
    pub async fn position(&self) -> u64 {
        self.client().status().await.head
    }

    pub async fn history(&self, case_id: &str) -> Vec<HistoryEntry> {
        let request = v1::GetCaseHistoryRequest {
            case_id: case_id.to_owned(),
            page_size: 1_000,
            ..Default::default()
        };
        let answer = self.client().cases().get_case_history(request).await;
        answer.unwrap().into_inner().entries
    }

    /// What the history of a case says happened, type by type; what no longer counts is left out.
    pub async fn happened(&self, case_id: &str) -> Vec<EventType> {
        let entries = self.history(case_id).await.into_iter();
        let counting = entries.filter(|entry| !entry.voided);
        counting
            .map(|entry| entry.record.unwrap().event_type())
            .collect()
    }

    pub async fn cases_of(&self, kind: CaseKind) -> Vec<Case> {
        let filter = v1::CaseFilter {
            kinds: vec![kind.into()],
            ..Default::default()
        };
        self.client().list(Some(filter)).await
    }

    /// An agreement with one clause, under which these cases are put.
    pub async fn agreement_about(&self, cases: &[String]) -> String {
        let agreement = self.new_case(vec![signed(vec![clause("1", vec![])])]).await;
        let covered = || {
            fact(Payload::CaseCovered(v1::CaseCovered {
                agreement_case_id: agreement.clone(),
                clause_reference: "1".to_owned(),
            }))
        };
        for cases in cases.chunks(10) {
            self.record_in_each(cases, covered).await;
        }
        agreement
    }

    /// How much of the first clause of an agreement is met.
    pub async fn clause_of(&self, agreement: &str) -> ClauseCoverage {
        let request = v1::GetAgreementCoverageRequest {
            agreement_case_id: agreement.to_owned(),
            with_cases: true,
            as_of: None,
        };
        let answer = self.client().cases().get_agreement_coverage(request).await;
        answer.unwrap().into_inner().clauses.remove(0)
    }
}

/// What a test says of an event.
pub trait Telling {
    /// It happened then, in EDTF.
    fn on(self, occurred: &str) -> Self;
    /// It is hearsay.
    fn rumoured(self) -> Self;
}

impl Telling for Event {
    fn on(mut self, occurred: &str) -> Self {
        occurred.clone_into(&mut self.occurred);
        self
    }

    fn rumoured(mut self) -> Self {
        self.set_credibility(Credibility::Possible);
        self
    }
}

/// A confirmed event of the type.
pub fn an(event: EventType) -> Event {
    valid_event(event)
}

/// A confirmed event that says this.
pub fn fact(payload: Payload) -> Event {
    event_with(payload)
}

pub fn corrected(target: &str, by: Event) -> Event {
    fact(Payload::EventCorrected(Box::new(v1::EventCorrected {
        target_event_id: target.to_owned(),
        replacement: Some(Box::new(replacement(by))),
        reason: v1::CorrectionReason::SourceCorrected.into(),
    })))
    .on("2024-05-30")
}

pub fn retracted(target: &str) -> Event {
    fact(Payload::EventRetracted(v1::EventRetracted {
        target_event_id: target.to_owned(),
        reason: v1::RetractionReason::EnteredByMistake.into(),
    }))
    .on("2024-05-30")
}

pub fn resolved(dispute: &str) -> Event {
    fact(Payload::DisputeResolved(v1::DisputeResolved {
        dispute_event_id: dispute.to_owned(),
        outcome: v1::DisputeOutcome::Overturned.into(),
    }))
    .on("2024-05-30")
}

pub fn reopened(closing: &str) -> Event {
    fact(Payload::CaseReopened(v1::CaseReopened {
        closing_event_id: closing.to_owned(),
        reason: v1::CaseReopenedReason::NewEvidence.into(),
    }))
    .on("2024-05-30")
}

pub fn linked(other: &str, link_type: LinkType) -> Event {
    fact(Payload::CasesLinked(v1::CasesLinked {
        other_case_id: other.to_owned(),
        link_type: link_type.into(),
    }))
    .on("2024-05-30")
}

pub fn wishes(outcome: v1::WishesOutcome) -> Event {
    fact(Payload::WishesRecorded(v1::WishesRecorded {
        in_private: Some(true),
        outcome: outcome.into(),
    }))
}

pub fn signed(clauses: Vec<Clause>) -> Event {
    fact(Payload::AgreementSigned(v1::AgreementSigned {
        parties: vec!["party-a".to_owned(), "party-b".to_owned()],
        text_reference: "text-1".to_owned(),
        clauses,
    }))
    .on("2024-01-01")
}

pub fn clause(reference: &str, rules: Vec<v1::CoverageRule>) -> Clause {
    Clause {
        reference: reference.to_owned(),
        basis: ClauseBasis::Ihl.into(),
        due: "2024-12-31".to_owned(),
        rules,
    }
}

/// The status by confirmed events.
pub fn confirmed(case: &Case) -> CaseStatus {
    case.standing.as_ref().unwrap().confirmed()
}

/// The status by all that is told.
pub fn reported(case: &Case) -> CaseStatus {
    case.standing.as_ref().unwrap().reported()
}

pub fn contested(case: &Case) -> Vec<ContestedCause> {
    let causes: Vec<_> = case.contested_causes().collect();
    assert_eq!(
        case.standing.as_ref().unwrap().contested,
        !causes.is_empty()
    );
    causes
}

/// Covered, confirmed, reported, outstanding.
pub fn counts(clause: &ClauseCoverage) -> [u64; 4] {
    [
        clause.covered,
        clause.confirmed,
        clause.reported,
        clause.outstanding,
    ]
}

pub fn excluded(clause: &ClauseCoverage) -> Vec<(ExclusionReason, u64)> {
    let exclusions = clause.exclusions.iter();
    exclusions.map(|it| (it.reason(), it.cases)).collect()
}
