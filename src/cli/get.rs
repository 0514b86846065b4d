//! `casetrail get`: one case as it stands, now or at another time.

use clap::Args;

use super::as_of::AsOfArguments;
use super::connection::ServerArguments;
use super::failure::Failure;
use super::names;
use super::output::{Output, note};
use crate::wire::v1::{
    Case, CaseLink, CaseStatus, Clause, ClauseBasis, GetCaseRequest, LegalCategory, LinkType,
    WishesOutcome, case::Detail,
};

/// Which case.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  casetrail get 018f3a5e-7c1b-7d11-9a41-5be1f0e0c001
  casetrail get 018f3a5e-7c1b-7d11-9a41-5be1f0e0c001 --json
  casetrail get 018f3a5e-7c1b-7d11-9a41-5be1f0e0c001 --known-at 2026-03-05
  casetrail get 018f3a5e-7c1b-7d11-9a41-5be1f0e0c001 --true-at 2025-12-31 --known-at 120000")]
pub(super) struct GetArguments {
    /// The case, a UUID
    #[arg(value_name = "CASE")]
    case_id: String,
    /// As canonical protobuf JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    as_of: AsOfArguments,
    #[command(flatten)]
    server: ServerArguments,
}

pub(super) async fn run(arguments: &GetArguments) -> Result<(), Failure> {
    let connection = arguments.server.connect().await?;
    let request = GetCaseRequest {
        case_id: arguments.case_id.clone(),
        as_of: arguments.as_of.as_of(),
    };
    let response = connection.cases().get_case(request).await;
    let response = response
        .map_err(|status| connection.failure(&status))?
        .into_inner();
    let (case, possible) = (response.case.unwrap_or_default(), response.possible_case);
    let mut output = Output::stdout();
    if arguments.json {
        output.json(&case)?;
        if let Some(possible) = &possible {
            note("The answer depends on an uncertain date; the second line is as it possibly was.");
            output.json(possible)?;
        }
    } else {
        for (name, value) in facts(&case) {
            output.line(&format!("{name:<14}{value}"))?;
        }
        if let Some(possible) = &possible {
            output.line("\nThat is certain. By an uncertain date it possibly stood so:")?;
            for (name, value) in differing(&case, possible) {
                output.line(&format!("{name:<14}{value}"))?;
            }
        }
    }
    output.flush()
}

/// What there is to say of a case that is not said of another, by name.
fn differing(case: &Case, possible: &Case) -> Vec<(&'static str, String)> {
    let known = facts(case);
    let mut differing = facts(possible);
    differing.retain(|fact| !known.contains(fact));
    differing
}

/// What there is to say of a case, by name.
fn facts(case: &Case) -> Vec<(&'static str, String)> {
    let standing = case.standing.clone().unwrap_or_default();
    let mut facts = vec![
        ("case", case.case_id.clone()),
        ("kind", names::kind(standing.kind())),
        ("confirmed", names::status(standing.confirmed()).to_owned()),
        ("reported", names::status(standing.reported()).to_owned()),
    ];
    if standing.confirmed() == CaseStatus::Unspecified {
        facts.push(("", "Nothing is confirmed yet.".to_owned()));
    }
    if standing.contested {
        let causes: Vec<_> = case
            .contested_causes()
            .map(names::contested_cause)
            .collect();
        facts.push(("contested", causes.join(", ")));
    }
    if !case.open_disputes.is_empty() {
        facts.push(("disputed", case.open_disputes.join(", ")));
    }
    if standing.closed {
        facts.push(("closed", "yes".to_owned()));
    }
    if !case.closing_event_id.is_empty() {
        facts.push(("ended by", case.closing_event_id.clone()));
    }
    if standing.category() != LegalCategory::Unspecified {
        facts.push(("category", names::category(standing.category())));
    }
    if !standing.district.is_empty() {
        facts.push(("district", standing.district.clone()));
    }
    facts.push(("opened by", standing.organisation.clone()));
    facts.push(("version", case.version.to_string()));
    facts.push(("opened", names::time(case.opened_at.as_ref())));
    facts.push(("updated", names::time(case.updated_at.as_ref())));
    facts.push((
        "positions",
        format!("{} to {}", case.first_position, case.last_position),
    ));
    facts.extend(detail(case.detail.as_ref()));
    facts.extend(ties(case));
    facts
}

fn detail(detail: Option<&Detail>) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    match detail {
        Some(Detail::DetentionDetail(detention)) => {
            if detention.release_hold {
                facts.push((
                    "release hold",
                    "proceedings are notified and not ended".to_owned(),
                ));
            }
            let wishes = match detention.wishes() {
                WishesOutcome::Unspecified => return facts,
                WishesOutcome::Return => "return",
                WishesOutcome::ReturnElsewhere => "return elsewhere",
                WishesOutcome::Decline => "declines",
            };
            facts.push(("wishes", wishes.to_owned()));
        }
        Some(Detail::RemainsDetail(remains)) => {
            if !remains.label.is_empty() {
                facts.push(("label", remains.label.clone()));
            }
            if !remains.custodian.is_empty() {
                facts.push(("custodian", remains.custodian.clone()));
            }
            if remains.minimum_number_of_individuals > 0 {
                facts.push((
                    "individuals",
                    format!("at least {}", remains.minimum_number_of_individuals),
                ));
            }
        }
        Some(Detail::ReturnDetail(household)) => {
            facts.push(("members", household.household_size.to_string()));
            if household.members_returned > 0 {
                facts.push(("returned", household.members_returned.to_string()));
            }
        }
        Some(Detail::InquiryDetail(inquiry)) if inquiry.candidate_case_id.is_empty() => {}
        Some(Detail::InquiryDetail(inquiry)) => {
            facts.push(("candidate", inquiry.candidate_case_id.clone()));
        }
        Some(Detail::AgreementDetail(agreement)) => {
            facts.push(("parties", agreement.parties.join(", ")));
            facts.push(("text", agreement.text_reference.clone()));
            facts.extend(agreement.clauses.iter().map(|it| ("clause", clause(it))));
        }
        Some(Detail::ConsultationDetail(consultation)) => {
            facts.push(("plan", consultation.plan_year.to_string()));
            facts.push(("parties", consultation.parties.join(", ")));
            facts.push(("planned for", consultation.date.clone()));
        }
        None => {}
    }
    facts
}

/// A clause in a few words: `2, by humanitarian law, due 2024-06-01`.
fn clause(clause: &Clause) -> String {
    let basis = match clause.basis() {
        ClauseBasis::Ihl => "by humanitarian law",
        ClauseBasis::Agreement => "by agreement",
        ClauseBasis::Unspecified => "on no basis",
    };
    let due = match clause.due.as_str() {
        "" => "without a due date".to_owned(),
        due => format!("due {due}"),
    };
    format!("{}, {basis}, {due}", clause.reference)
}

/// What binds the case to others, by name.
fn ties(case: &Case) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    let standing = case.standing.clone().unwrap_or_default();
    if !standing.merged_into.is_empty() {
        facts.push(("merged into", standing.merged_into));
    }
    let merged = case.merged_case_ids.iter();
    facts.extend(merged.map(|other| ("merged", other.clone())));
    facts.extend(case.links.iter().map(|it| ("link", link(it))));
    let suspected = case.suspected_duplicates.iter();
    facts.extend(suspected.map(|other| ("duplicate?", other.clone())));
    if !case.transferred_to.is_empty() {
        facts.push(("transferred", format!("to {}", case.transferred_to)));
    }
    for consent in &case.consents {
        let service = names::service(consent.purpose());
        let recipients = consent.recipients.join(", ");
        let consent = format!("{}: {service}, to {recipients}", consent.event_id);
        facts.push(("consent", consent));
    }
    for referral in &case.referrals {
        let service = names::service(referral.service());
        let state = match (referral.accepted, referral.consent_withdrawn) {
            (false, false) => "offered",
            (true, false) => "accepted",
            (false, true) => "offered, consent withdrawn",
            (true, true) => "accepted, consent withdrawn",
        };
        let (event_id, recipient) = (&referral.event_id, &referral.recipient);
        let referral = format!("{event_id}: {service}, to {recipient}, {state}");
        facts.push(("referral", referral));
    }
    for request in &case.open_access_requests {
        let object = names::access_object(request.object());
        let (event_id, authority) = (&request.event_id, &request.authority);
        let request = format!("{event_id}: to a {object}, asked of {authority}");
        facts.push(("access", request));
    }
    for follow_up in &case.follow_ups {
        let task = names::follow_up_task(follow_up.task());
        let mut text = format!("{}: {task}, due {}", follow_up.event_id, follow_up.due);
        if follow_up.times_rescheduled > 0 {
            text.push_str(&format!(", moved {} times", follow_up.times_rescheduled));
        }
        facts.push(("follow-up", text));
    }
    for request in &case.open_erasure_requests {
        let ground = names::erasure_ground(request.ground());
        facts.push((
            "erasure",
            format!(
                "{}: of subject {}, {ground}, requested by {}, not before {}",
                request.event_id, request.subject_id, request.requested_by, request.not_before
            ),
        ));
    }
    for proposal in &case.closure_proposals {
        let reason = names::case_closed_reason(proposal.reason());
        let (event_id, by) = (&proposal.event_id, &proposal.proposed_by);
        let proposal = format!("{event_id}: {reason}, proposed by {by}");
        facts.push(("closing", proposal));
    }
    for coverage in &case.coverages {
        let (clause, agreement) = (&coverage.clause_reference, &coverage.agreement_case_id);
        facts.push(("clause", format!("{clause} of agreement {agreement}")));
    }
    facts
}

/// A link in a few words, as this case's end has it.
fn link(link: &CaseLink) -> String {
    let words = match (link.link_type(), link.inverse) {
        (LinkType::Family, _) => "of one family with",
        (LinkType::SameEpisode, _) => "of one episode with",
        (LinkType::NextEpisode, false) => "its next episode is",
        (LinkType::NextEpisode, true) => "is the next episode of",
        (LinkType::DiedInCustody, false) => "died in custody, the remains are",
        (LinkType::DiedInCustody, true) => "the remains of who died in custody in",
        (LinkType::SplitFrom, false) => "split from",
        (LinkType::SplitFrom, true) => "was split into",
        (LinkType::EvidenceFor, false) => "is evidence for",
        (LinkType::EvidenceFor, true) => "has evidence in",
        (LinkType::Unspecified, _) => "linked with",
    };
    format!("{words} {}", link.other_case_id)
}
