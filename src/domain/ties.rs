//! Ties: what stands of the events common to every kind that bind a case to other cases, to
//! organisations and to dates: links, suspicions, merges, referrals, consents, requests for access,
//! follow-ups, coverage.
//!
//! They are matters of the record and count in the order recorded. They are told from the payloads
//! that a case keeps, and only where somebody asks, since few cases have them. A case knows its own
//! end alone: what other cases say of it is the view's to find. None of them bears on the status.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::authority::Share;
use super::fact::{Effect, Fact, FactIndex};
use super::lifecycle;
use super::matter::Matter;
use super::rejection::Rejection;
use super::state::CaseState;
use super::two_persons::actor_of;
use crate::wire::edtf::Day;
use crate::wire::v1::{
    self, Case, CaseLink, ClosureProposal, Consent, Coverage, EventType, FollowUp, MergeRole,
    OpenAccessRequest, OpenErasureRequest, PersonalClass, Referral, event::Payload,
};
use crate::wire::validate::ValidEvent;

/// What stands, each kind in the order recorded.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ties {
    links: Vec<CaseLink>,
    said_of_duplicates: Vec<SaidOfDuplicate>,
    merges: Vec<Merge>,
    referrals: Vec<Referral>,
    consents: Vec<Consent>,
    access_requests: Vec<OpenAccessRequest>,
    follow_ups: Vec<OpenFollowUp>,
    /// Of each consent that was withdrawn, the withdrawal.
    withdrawals: BTreeMap<String, Fact>,
    coverages: Vec<Coverage>,
    erasure_requests: Vec<OpenErasureRequest>,
    closure_proposals: Vec<Proposal>,
    transferred_to: String,
}

/// A follow-up that is neither completed nor cancelled.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct OpenFollowUp {
    /// As it is shown.
    pub(super) shown: FollowUp,
    /// The event that set its due date last.
    pub(super) due_set_by: Uuid,
}

/// A proposal to close the case.
#[derive(Debug, Clone, PartialEq)]
struct Proposal {
    index: FactIndex,
    shown: ClosureProposal,
}

/// The newest that a case says of whether another one is about the same.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SaidOfDuplicate {
    other_case_id: String,
    position: u64,
    is_suspected: bool,
}

/// A merge that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Merge {
    other_case_id: String,
    role: MergeRole,
    index: FactIndex,
}

impl Ties {
    /// What stands in a case.
    pub fn of(case: &CaseState) -> Self {
        let mut ties = Self::default();
        for (index, fact, payload) in case.kept_in_order_recorded() {
            ties.take(index, &fact, payload);
        }
        if !ties.closure_proposals.is_empty() {
            // A closing uses up what was proposed before it, also where it is reopened.
            let closed = case.facts();
            let closed = closed.iter().rposition(|it| it.effect == Effect::Close);
            let closed = closed.map(|index| FactIndex::try_from(index).unwrap_or(FactIndex::MAX));
            ties.closure_proposals
                .retain(|it| closed.is_none_or(|closed| it.index > closed));
        }
        for referral in &mut ties.referrals {
            let consent = &referral.consent_event_id;
            referral.consent_withdrawn =
                !consent.is_empty() && !ties.consents.iter().any(|it| it.event_id == *consent);
        }
        ties
    }

    /// Takes in what another case says of the case `case_id`: its links with their inverse ends, and
    /// what it says of duplicates.
    pub fn take_inverse(&mut self, case_id: Uuid, other: &CaseState) {
        let (this, other_id) = (case_id.to_string(), other.case_id().to_string());
        let told = Self::of(other);
        let links = told.links.into_iter();
        self.links.extend(
            links
                .filter(|link| link.other_case_id == this)
                .map(|link| CaseLink {
                    other_case_id: other_id.clone(),
                    inverse: true,
                    ..link
                }),
        );
        let said = told.said_of_duplicates.into_iter();
        for said in said.filter(|said| said.other_case_id == this) {
            let known = self.said_of_duplicates.iter();
            // Of two that were said of one pair, the one recorded later counts.
            if known
                .filter(|known| known.other_case_id == other_id)
                .all(|known| known.position < said.position)
            {
                self.say_of_duplicate(&other_id, said.position, said.is_suspected);
            }
        }
        self.said_of_duplicates.sort_by_key(|said| said.position);
    }

    /// What the case is to an organisation that did not open it: its own where it was transferred to it,
    /// or referred to it by a referral that is offered or accepted.
    pub(super) fn share(&self, organisation: &str) -> Option<Share> {
        if self.transferred_to == organisation {
            return Some(Share::Own);
        }
        let referrals = self.referrals_to(organisation);
        let shares = referrals.map(|referral| match referral.accepted {
            true => Share::Accepted,
            false => Share::Offered,
        });
        shares.reduce(|one, other| match (one, other) {
            (Share::Offered, other) => other,
            (one, _) => one,
        })
    }

    /// All organisations of which [`Ties::share`] tells a share.
    pub(super) fn organisations(self) -> impl Iterator<Item = String> {
        let recipients = self.referrals.into_iter().map(|it| it.recipient);
        let holder = Some(self.transferred_to).filter(|holder| !holder.is_empty());
        recipients.chain(holder)
    }

    /// The organisation that is responsible for the case: that to which it was transferred last, or that
    /// which opened it.
    pub(super) fn holder<'a>(&'a self, case: &'a CaseState) -> &'a str {
        match self.transferred_to.as_str() {
            "" => case.organisation(),
            holder => holder,
        }
    }

    /// To whom a referral that is offered or accepted was offered.
    pub(super) fn recipient(&self, referral_event_id: &str) -> Option<&str> {
        let referral = self.referral(referral_event_id)?;
        Some(&referral.recipient)
    }

    /// Whether a referral to an organisation rests on a consent that stands, was given for the same
    /// service, names the organisation, and does not withhold a class of personal data.
    pub(super) fn consent_to(&self, organisation: &str, class: PersonalClass) -> bool {
        self.referrals_to(organisation).any(|referral| {
            let mut consents = self.consents.iter();
            let consent = consents.find(|it| it.event_id == referral.consent_event_id);
            consent.is_some_and(|consent| {
                consent.purpose == referral.service
                    && consent.recipients.iter().any(|it| it == organisation)
                    && !consent.withheld_classes().any(|withheld| withheld == class)
            })
        })
    }

    fn referrals_to(&self, organisation: &str) -> impl Iterator<Item = &Referral> {
        let referrals = self.referrals.iter();
        referrals.filter(move |referral| referral.recipient == organisation)
    }

    /// The clauses under which the case was put.
    pub fn coverages(self) -> Vec<Coverage> {
        self.coverages
    }

    /// Whether the erasure of a subject's data is requested, and neither executed nor refused.
    pub fn requests_erasure_of(&self, subject: Uuid) -> bool {
        let subject = subject.to_string();
        self.erasure_requests
            .iter()
            .any(|it| it.subject_id == subject)
    }

    /// The referrals that are offered or accepted.
    pub(super) fn referrals(&self) -> &[Referral] {
        &self.referrals
    }

    /// The follow-ups that are open.
    pub(super) fn follow_ups(&self) -> &[OpenFollowUp] {
        &self.follow_ups
    }

    /// The withdrawal of a consent, where it was withdrawn.
    pub(super) fn withdrawal(&self, consent_event_id: &str) -> Option<&Fact> {
        self.withdrawals.get(consent_event_id)
    }

    /// Writes what stands into the read model of the case.
    pub fn show_in(self, case: &mut Case) {
        let suspected = self.said_of_duplicates.into_iter();
        case.suspected_duplicates = suspected
            .filter(|said| said.is_suspected)
            .map(|said| said.other_case_id)
            .collect();
        let merges = self.merges.into_iter();
        case.merged_case_ids = merges
            .filter(|merge| merge.role == MergeRole::Survivor)
            .map(|merge| merge.other_case_id)
            .collect();
        case.links = self.links;
        case.referrals = self.referrals;
        case.consents = self.consents;
        case.open_access_requests = self.access_requests;
        let follow_ups = self.follow_ups.into_iter();
        case.follow_ups = follow_ups.map(|it| it.shown).collect();
        case.coverages = self.coverages;
        case.open_erasure_requests = self.erasure_requests;
        let proposals = self.closure_proposals.into_iter();
        case.closure_proposals = proposals.map(|it| it.shown).collect();
        case.transferred_to = self.transferred_to;
    }

    fn take(&mut self, index: FactIndex, fact: &Fact, payload: Payload) {
        let event_id = fact.event_id.to_string();
        match payload {
            Payload::CasesLinked(linked) => self.links.push(CaseLink {
                other_case_id: linked.other_case_id,
                link_type: linked.link_type,
                inverse: false,
                event_id,
            }),
            Payload::CasesUnlinked(unlinked) => self.links.retain(|link| {
                (&link.other_case_id, link.link_type)
                    != (&unlinked.other_case_id, unlinked.link_type)
            }),
            Payload::DuplicateSuspected(said) => {
                self.say_of_duplicate(&said.other_case_id, fact.position, true);
            }
            Payload::NotADuplicate(said) => {
                self.say_of_duplicate(&said.other_case_id, fact.position, false);
            }
            Payload::CasesMerged(merged) => self.merges.push(Merge {
                role: merged.role(),
                other_case_id: merged.other_case_id,
                index,
            }),
            Payload::CasesUnmerged(unmerged) => {
                let other = &unmerged.other_case_id;
                self.merges.retain(|merge| merge.other_case_id != *other);
            }
            Payload::CaseTransferred(transferred) => {
                self.transferred_to = transferred.to_organisation;
            }
            Payload::CaseCovered(covered) => self.coverages.push(Coverage {
                agreement_case_id: covered.agreement_case_id,
                clause_reference: covered.clause_reference,
                event_id,
            }),
            Payload::CaseUncovered(uncovered) => self.coverages.retain(|it| {
                (&it.agreement_case_id, &it.clause_reference)
                    != (&uncovered.agreement_case_id, &uncovered.clause_reference)
            }),
            Payload::ClosureProposed(proposed) => self.closure_proposals.push(Proposal {
                index,
                shown: ClosureProposal {
                    event_id,
                    reason: proposed.reason,
                    proposed_by: proposed.proposed_by,
                },
            }),
            other => self.take_sharing(fact, event_id, other),
        }
    }

    /// Referrals, consents, requests for access and for erasures, and follow-ups.
    fn take_sharing(&mut self, fact: &Fact, event_id: String, payload: Payload) {
        match payload {
            Payload::ReferralOffered(offered) => self.referrals.push(Referral {
                event_id,
                recipient: offered.recipient,
                service: offered.service,
                accepted: false,
                consent_event_id: offered.consent_event_id,
                consent_withdrawn: false,
            }),
            Payload::ReferralAccepted(accepted) => {
                let mut referrals = self.referrals.iter_mut();
                if let Some(referral) =
                    referrals.find(|it| it.event_id == accepted.referral_event_id)
                {
                    referral.accepted = true;
                }
            }
            Payload::ReferralRejected(ended) => self.end_referral(&ended.referral_event_id),
            Payload::ReferralCompleted(ended) => self.end_referral(&ended.referral_event_id),
            Payload::ReferralRevoked(ended) => self.end_referral(&ended.referral_event_id),
            Payload::ConsentRecorded(consent) => self.consents.push(Consent {
                event_id,
                purpose: consent.purpose,
                recipients: consent.recipients,
                withheld_classes: consent.withheld_classes,
            }),
            Payload::ConsentWithdrawn(ended) => {
                self.consents
                    .retain(|it| it.event_id != ended.consent_event_id);
                self.withdrawals.insert(ended.consent_event_id, *fact);
            }
            Payload::AccessRequested(requested) => self.access_requests.push(OpenAccessRequest {
                event_id,
                object: requested.object,
                authority: requested.authority,
            }),
            Payload::AccessGranted(ended) => self.end_access_request(&ended.request_event_id),
            Payload::AccessDenied(ended) => self.end_access_request(&ended.request_event_id),
            Payload::FollowUpScheduled(scheduled) => self.follow_ups.push(OpenFollowUp {
                shown: FollowUp {
                    event_id,
                    task: scheduled.task,
                    due: scheduled.due,
                    times_rescheduled: 0,
                },
                due_set_by: fact.event_id,
            }),
            Payload::FollowUpRescheduled(moved) => {
                let mut follow_ups = self.follow_ups.iter_mut();
                if let Some(OpenFollowUp { shown, due_set_by }) =
                    follow_ups.find(|it| it.shown.event_id == moved.follow_up_event_id)
                {
                    shown.due = moved.due;
                    shown.times_rescheduled = shown.times_rescheduled.saturating_add(1);
                    *due_set_by = fact.event_id;
                }
            }
            Payload::ErasureRequested(requested) => {
                self.erasure_requests.push(OpenErasureRequest {
                    event_id,
                    subject_id: requested.subject_id,
                    ground: requested.ground,
                    requested_by: requested.requested_by,
                    not_before: requested.not_before,
                    second_person: requested.second_person,
                });
            }
            Payload::ErasureExecuted(ended) => self.end_erasure_request(&ended.request_event_id),
            Payload::ErasureRefused(ended) => self.end_erasure_request(&ended.request_event_id),
            Payload::FollowUpCompleted(ended) => self.end_follow_up(&ended.follow_up_event_id),
            Payload::FollowUpCancelled(ended) => self.end_follow_up(&ended.follow_up_event_id),
            _ => {}
        }
    }

    fn say_of_duplicate(&mut self, other_case_id: &str, position: u64, is_suspected: bool) {
        self.said_of_duplicates
            .retain(|said| said.other_case_id != other_case_id);
        self.said_of_duplicates.push(SaidOfDuplicate {
            other_case_id: other_case_id.to_owned(),
            position,
            is_suspected,
        });
    }

    fn end_referral(&mut self, event_id: &str) {
        self.referrals.retain(|it| it.event_id != event_id);
    }

    fn end_access_request(&mut self, event_id: &str) {
        self.access_requests.retain(|it| it.event_id != event_id);
    }

    fn end_follow_up(&mut self, event_id: &str) {
        self.follow_ups.retain(|it| it.shown.event_id != event_id);
    }

    fn end_erasure_request(&mut self, event_id: &str) {
        self.erasure_requests.retain(|it| it.event_id != event_id);
    }

    fn erasure_request(&self, event_id: &str) -> Option<&OpenErasureRequest> {
        let mut requests = self.erasure_requests.iter();
        requests.find(|it| it.event_id == event_id)
    }

    fn says_of_duplicate(&self, other_case_id: &str) -> Option<bool> {
        let mut said = self.said_of_duplicates.iter();
        said.find(|said| said.other_case_id == other_case_id)
            .map(|said| said.is_suspected)
    }

    fn has_link(&self, other_case_id: &str, link_type: i32) -> bool {
        let mut links = self.links.iter();
        links.any(|it| it.other_case_id == other_case_id && it.link_type == link_type)
    }

    fn referral(&self, event_id: &str) -> Option<&Referral> {
        self.referrals.iter().find(|it| it.event_id == event_id)
    }

    /// The proposal to close the case that an event made, where it stands.
    pub(super) fn closure_proposal(&self, event_id: &str) -> Option<&ClosureProposal> {
        let mut proposals = self.closure_proposals.iter();
        let found = proposals.find(|it| it.shown.event_id == event_id)?;
        Some(&found.shown)
    }

    fn has_consent(&self, event_id: &str) -> bool {
        self.consents.iter().any(|it| it.event_id == event_id)
    }

    fn has_access_request(&self, event_id: &str) -> bool {
        self.access_requests
            .iter()
            .any(|it| it.event_id == event_id)
    }

    fn has_follow_up(&self, event_id: &str) -> bool {
        let mut follow_ups = self.follow_ups.iter();
        follow_ups.any(|it| it.shown.event_id == event_id)
    }

    fn has_coverage(&self, agreement: &str, clause: &str) -> bool {
        let mut coverages = self.coverages.iter();
        coverages.any(|it| it.agreement_case_id == agreement && it.clause_reference == clause)
    }

    fn merge_with(&self, other_case_id: &str, role: MergeRole) -> Option<&Merge> {
        let mut merges = self.merges.iter();
        merges.find(|it| it.other_case_id == other_case_id && it.role == role)
    }

    /// What a payload names, whether that is there, and whether it has to be; none for one that
    /// names nothing.
    fn named(&self, payload: &Payload) -> Option<(Matter, bool, bool)> {
        use Matter::{
            AcceptedReferral, AccessRequest, Clearance, ClosureProposal, Consent, Coverage,
            ErasureRequest, FollowUp, Link, LiveReferral, Merge, OfferedReferral, Suspicion,
        };
        let offered = |id| self.referral(id).is_some_and(|it| !it.accepted);
        Some(match payload {
            Payload::CasesLinked(p) => (Link, self.has_link(&p.other_case_id, p.link_type), false),
            Payload::CasesUnlinked(p) => (Link, self.has_link(&p.other_case_id, p.link_type), true),
            Payload::DuplicateSuspected(p) => {
                let said = self.says_of_duplicate(&p.other_case_id);
                (Suspicion, said == Some(true), false)
            }
            Payload::NotADuplicate(p) => {
                let said = self.says_of_duplicate(&p.other_case_id);
                (Clearance, said == Some(false), false)
            }
            Payload::CasesMerged(p) => {
                let is_merged = self.merges.iter().any(|merge| {
                    merge.role == MergeRole::Merged || merge.other_case_id == p.other_case_id
                });
                (Merge, is_merged, false)
            }
            Payload::CasesUnmerged(p) => {
                let merge = self.merge_with(&p.other_case_id, p.role());
                (Merge, merge.is_some(), true)
            }
            Payload::ReferralOffered(p) if p.consent_event_id.is_empty() => return None,
            Payload::ReferralOffered(p) => (Consent, self.has_consent(&p.consent_event_id), true),
            Payload::ReferralAccepted(p) => (OfferedReferral, offered(&p.referral_event_id), true),
            Payload::ReferralRejected(p) => (OfferedReferral, offered(&p.referral_event_id), true),
            Payload::ReferralCompleted(p) => {
                let referral = self.referral(&p.referral_event_id);
                (
                    AcceptedReferral,
                    referral.is_some_and(|it| it.accepted),
                    true,
                )
            }
            Payload::ReferralRevoked(p) => {
                let referral = self.referral(&p.referral_event_id);
                (LiveReferral, referral.is_some(), true)
            }
            Payload::ConsentWithdrawn(p) => (Consent, self.has_consent(&p.consent_event_id), true),
            Payload::AccessGranted(p) => (
                AccessRequest,
                self.has_access_request(&p.request_event_id),
                true,
            ),
            Payload::AccessDenied(p) => (
                AccessRequest,
                self.has_access_request(&p.request_event_id),
                true,
            ),
            Payload::FollowUpRescheduled(p) => {
                (FollowUp, self.has_follow_up(&p.follow_up_event_id), true)
            }
            Payload::FollowUpCompleted(p) => {
                (FollowUp, self.has_follow_up(&p.follow_up_event_id), true)
            }
            Payload::FollowUpCancelled(p) => {
                (FollowUp, self.has_follow_up(&p.follow_up_event_id), true)
            }
            Payload::CaseCovered(p) => {
                let covered = self.has_coverage(&p.agreement_case_id, &p.clause_reference);
                (Coverage, covered, false)
            }
            Payload::CaseUncovered(p) => {
                let covered = self.has_coverage(&p.agreement_case_id, &p.clause_reference);
                (Coverage, covered, true)
            }
            Payload::ErasureRequested(p) => {
                let mut requests = self.erasure_requests.iter();
                let is_there = requests.any(|it| it.subject_id == p.subject_id);
                (ErasureRequest, is_there, false)
            }
            Payload::ErasureExecuted(p) => {
                let request = self.erasure_request(&p.request_event_id);
                (ErasureRequest, request.is_some(), true)
            }
            Payload::ErasureRefused(p) => {
                let request = self.erasure_request(&p.request_event_id);
                (ErasureRequest, request.is_some(), true)
            }
            Payload::CaseClosed(p) if p.proposal_event_id.is_empty() => return None,
            Payload::CaseClosed(p) => {
                let proposal = self.closure_proposal(&p.proposal_event_id);
                (ClosureProposal, proposal.is_some(), true)
            }
            _ => return None,
        })
    }
}

impl CaseState {
    /// Whether what a common event names is there, or not there yet, as it has to be.
    pub(super) fn decide_tie(&self, event: &ValidEvent, recorded_on: Day) -> Result<(), Rejection> {
        let Some(payload) = &event.event().payload else {
            return Ok(());
        };
        if let Payload::ClosureProposed(_) = payload
            && self.closing_fact().is_some()
        {
            return Err(Rejection::Closed {
                event: event.event_type(),
                status: self.image().confirmed,
            });
        }
        // Most events name nothing that stands, and the payloads need not be read for them.
        if !lifecycle::is_common(event.event_type()) || Ties::default().named(payload).is_none() {
            return Ok(());
        }
        let ties = Ties::of(self);
        if let Some((matter, is_there, has_to_be)) = ties.named(payload)
            && is_there != has_to_be
        {
            return Err(Rejection::Matter {
                event: event.event_type(),
                matter,
                is_there,
            });
        }
        match payload {
            Payload::CasesUnmerged(unmerged) if unmerged.role() == MergeRole::Survivor => {
                let merge = ties.merge_with(&unmerged.other_case_id, MergeRole::Survivor);
                let since = merge.map_or(FactIndex::MAX, |merge| merge.index);
                self.decide_assignment(since, unmerged)
            }
            Payload::ErasureExecuted(executed) => {
                match ties.erasure_request(&executed.request_event_id) {
                    Some(request) => decide_erasure(request, executed, recorded_on),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// Whether this case may be merged with another one: both are of one kind.
    ///
    /// # Errors
    /// The rejection names both kinds.
    pub fn decide_merge_with(&self, other: &CaseState) -> Result<(), Rejection> {
        if self.kind() == other.kind() {
            return Ok(());
        }
        Err(Rejection::MergeOfKinds {
            kind: self.kind(),
            other: other.kind(),
        })
    }

    /// Whether each event that was recorded since a merge, and still counts, is named as staying,
    /// and no other one.
    fn decide_assignment(
        &self,
        since: FactIndex,
        unmerged: &v1::CasesUnmerged,
    ) -> Result<(), Rejection> {
        let later: BTreeSet<_> = self
            .in_order()
            .iter()
            .filter(|(index, fact, _)| *index > since && !lifecycle::is_common(fact.event_type))
            .map(|(_, fact, _)| fact.event_id)
            .collect();
        let named = unmerged.staying_event_ids.iter();
        let named: BTreeSet<_> = named.filter_map(|id| Uuid::try_parse(id).ok()).collect();
        match later.symmetric_difference(&named).next() {
            None => Ok(()),
            Some(event_id) => Err(Rejection::NotAssigned {
                event_id: *event_id,
                is_named: named.contains(event_id),
            }),
        }
    }

    /// The case that a fact names and that does not record it itself.
    pub fn mention(&self, fact: &Fact) -> Option<Mention> {
        if !may_mention(fact.event_type) {
            return None;
        }
        let case_id = |text: &str| Uuid::try_parse(text).ok();
        match self.kept_payload(fact)? {
            Payload::CasesLinked(event) => case_id(&event.other_case_id).map(Mention::Case),
            Payload::DuplicateSuspected(event) => case_id(&event.other_case_id).map(Mention::Case),
            Payload::NotADuplicate(event) => case_id(&event.other_case_id).map(Mention::Case),
            Payload::CaseCovered(event) => {
                case_id(&event.agreement_case_id).map(Mention::Agreement)
            }
            _ => None,
        }
    }

    /// Whether any of its facts has its payload kept whole, and so may bind it to something: most cases
    /// have none, and need not be unpacked to be sure.
    pub fn keeps_payloads(&self) -> bool {
        self.folded().keeps_payloads()
    }

    /// [`CaseState::mention`] of the newest fact, which is of this type.
    pub fn newest_that_mentions(&self, event_type: EventType) -> Option<Fact> {
        may_mention(event_type).then(|| self.facts().pop())?
    }
}

/// Whether a requested erasure may be executed: of the subject that was asked for, by a second person
/// where the request needs one, and not before its holding time is over.
fn decide_erasure(
    request: &OpenErasureRequest,
    executed: &v1::ErasureExecuted,
    recorded_on: Day,
) -> Result<(), Rejection> {
    if request.subject_id != executed.subject_id {
        return Err(Rejection::ErasureOfAnother);
    }
    if request.second_person && actor_of(&request.requested_by) == actor_of(&executed.executed_by) {
        return Err(Rejection::SecondPersonNeeded);
    }
    match Day::parse(&request.not_before) {
        Some(day) if recorded_on < day => Err(Rejection::ErasureHeld { not_before: day }),
        _ => Ok(()),
    }
}

/// A case that another one names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mention {
    /// In a link, or in a suspicion of a duplicate or its denial.
    Case(Uuid),
    /// As the agreement under one of whose clauses it was put.
    Agreement(Uuid),
}

fn may_mention(event_type: EventType) -> bool {
    matches!(
        event_type,
        EventType::CasesLinked
            | EventType::DuplicateSuspected
            | EventType::NotADuplicate
            | EventType::CaseCovered
    )
}
