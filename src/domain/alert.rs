//! Alerts: what rules over a case and the days point out.
//!
//! Invariants:
//! - The alerts of a case are a function of the case, the day and the thresholds, apart from whether
//!   cases under a clause are outstanding, which the caller is asked.
//! - A day alone never clears one: each holds from its first day on, as long as the case is as it is.
//!   So what a case's alerts will be on any day is known from what is recorded by now.
//! - An alert bears on nothing: no decision and no fold reads one.
//!
//! It knows no clock, and no other case.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::fact::{Fact, FactIndex};
use super::lifecycle;
use super::state::CaseState;
use super::ties::Ties;
use crate::wire::edtf::{self, Day};
use crate::wire::v1::{self, AlertRule, CaseKind, CaseStatus, ClauseBasis, Credibility, EventType};

/// From when on the rules hold; see `casetrail.v1.AlertThresholds`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlertThresholds {
    /// Days without a visit.
    pub no_visit_days: u32,
    /// Days from the acknowledgement on without a registration.
    pub not_registered_days: u32,
    /// Number of postponements of a handover; at least 1.
    pub handover_postponements: u32,
    /// Days for which a case is contested.
    pub contested_days: u32,
    /// Days from the identification on in which the family is not informed.
    pub family_not_informed_days: u32,
    /// Days before the due date of a clause.
    pub clause_due_days: u32,
}

impl Default for AlertThresholds {
    /// Visits are repeated every few months; a capture card is due within a week (GC III 70) and
    /// leaves three more to be registered; the rest is what a weekly meeting can follow.
    fn default() -> Self {
        Self {
            no_visit_days: 90,
            not_registered_days: 30,
            handover_postponements: 2,
            contested_days: 14,
            family_not_informed_days: 14,
            clause_due_days: 30,
        }
    }
}

/// That a rule holds for a case from a day on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Alert {
    /// The rule.
    pub rule: AlertRule,
    /// The first day on which it holds.
    pub since: Day,
    /// When the follow-up or the clause is due, EDTF level 1; empty for other rules.
    pub due: String,
    /// The event from which the rule counts.
    pub cause: Uuid,
    /// The event that began the follow-up or the referral; none for other rules.
    pub subject: Option<Uuid>,
    /// The clause; empty for other rules.
    pub clause: String,
}

impl Alert {
    /// The alert of a case as it is told.
    pub fn to_message(&self, case_id: Uuid, kind: CaseKind) -> v1::Alert {
        v1::Alert {
            case_id: case_id.to_string(),
            kind: kind.into(),
            rule: self.rule.into(),
            since: self.since.to_string(),
            due: self.due.clone(),
            cause_event_id: self.cause.to_string(),
            subject_event_id: self.subject.map(|id| id.to_string()).unwrap_or_default(),
            clause_reference: self.clause.clone(),
        }
    }

    fn of(rule: AlertRule, since: Day, cause: Uuid) -> Self {
        Self {
            rule,
            since,
            due: String::new(),
            cause,
            subject: None,
            clause: String::new(),
        }
    }
}

impl CaseState {
    /// The alerts that hold by now, and those that will by the passing of days alone, in order.
    /// `is_outstanding` tells whether any case under a clause of this agreement is outstanding.
    pub fn alerts(
        &self,
        thresholds: &AlertThresholds,
        is_outstanding: impl Fn(&str) -> bool,
    ) -> Vec<Alert> {
        if self.image().is_closed() || self.merge_place().is_some() {
            return Vec::new();
        }
        let mut alerts = Vec::new();
        match self.kind() {
            CaseKind::Detention => self.alert_of_detention(thresholds, &mut alerts),
            CaseKind::Remains => self.alert_of_remains(thresholds, &mut alerts),
            CaseKind::Agreement => self.alert_of_clauses(thresholds, is_outstanding, &mut alerts),
            _ => {}
        }
        if let Some(fact) = self.contested_since() {
            let since = after(fact.recorded_at.day(), thresholds.contested_days);
            alerts.push(Alert::of(AlertRule::Contested, since, fact.event_id));
        }
        if self.keeps_payloads() {
            self.alert_of_ties(&mut alerts);
        }
        alerts.sort_unstable();
        alerts
    }

    fn alert_of_detention(&self, thresholds: &AlertThresholds, alerts: &mut Vec<Alert>) {
        use CaseStatus::{
            DetentionAcknowledged as Acknowledged, DetentionHandoverScheduled as HandoverScheduled,
            DetentionRegistered as Registered, DetentionReleasePending as ReleasePending,
        };
        let is_held = |status| {
            matches!(
                status,
                Acknowledged | Registered | ReleasePending | HandoverScheduled
            )
        };
        let status = self.image().confirmed;
        if !is_held(status) {
            return;
        }
        let facts = self.confirmed_in_order();
        let newest = |holds: &dyn Fn(&Fact) -> bool| facts.iter().rev().find(|fact| holds(fact));
        let visit = newest(&|fact| fact.event_type == EventType::VisitedAndRegistered);
        // An allegation, though it be confirmed, is not the acknowledgement that the person is held.
        let acknowledgement = || facts.iter().find(|fact| fact.claim.is_some_and(is_held));
        if let Some(ground) = visit.or_else(acknowledgement) {
            let since = after(ground.day, thresholds.no_visit_days);
            alerts.push(Alert::of(AlertRule::NoVisit, since, ground.event_id));
        }
        if status == Acknowledged
            && let Some(ground) = newest(&|fact| fact.claim == Some(Acknowledged))
        {
            let since = after(ground.day, thresholds.not_registered_days);
            alerts.push(Alert::of(AlertRule::NotRegistered, since, ground.event_id));
        }
        if matches!(status, ReleasePending | HandoverScheduled) {
            let since_listed = facts.iter().rev();
            let mut postponements: Vec<_> = since_listed
                .take_while(|fact| fact.event_type != EventType::ReleaseListed)
                .filter(|fact| fact.event_type == EventType::HandoverPostponed)
                .collect();
            postponements.reverse();
            let last_borne = thresholds.handover_postponements.saturating_sub(1);
            let last_borne = usize::try_from(last_borne).unwrap_or(usize::MAX);
            if let Some(ground) = postponements.get(last_borne) {
                let rule = AlertRule::HandoverPostponed;
                alerts.push(Alert::of(rule, ground.day, ground.event_id));
            }
        }
    }

    fn alert_of_remains(&self, thresholds: &AlertThresholds, alerts: &mut Vec<Alert>) {
        if !matches!(
            self.image().confirmed,
            CaseStatus::RemainsIdentified | CaseStatus::RemainsReturnedToParty
        ) {
            return;
        }
        // Until it is revoked an identification is one, however many accounts tell of it.
        let (mut identified, mut is_informed) = (None, false);
        for fact in self.confirmed_in_order() {
            match fact.event_type {
                EventType::IdentificationEstablished => {
                    identified.get_or_insert(fact);
                }
                EventType::FamilyInformed => is_informed |= identified.is_some(),
                EventType::IdentificationRevoked => (identified, is_informed) = (None, false),
                _ => {}
            }
        }
        if let Some(ground) = identified.filter(|_| !is_informed) {
            let since = after(ground.day, thresholds.family_not_informed_days);
            let rule = AlertRule::FamilyNotInformed;
            alerts.push(Alert::of(rule, since, ground.event_id));
        }
    }

    fn alert_of_clauses(
        &self,
        thresholds: &AlertThresholds,
        is_outstanding: impl Fn(&str) -> bool,
        alerts: &mut Vec<Alert>,
    ) {
        let status = self.image().confirmed;
        let rests = status == CaseStatus::AgreementSuspended || lifecycle::is_end(status);
        let (detail, due_set_by) = self.agreement_terms(self.folded(), None);
        for (clause, cause) in detail.clauses.into_iter().zip(due_set_by) {
            let in_force = clause.basis() == ClauseBasis::Ihl || !rests;
            let Some(last) = edtf::last_day(&clause.due) else {
                continue;
            };
            if !in_force || !is_outstanding(&clause.reference) {
                continue;
            }
            let before = i32::try_from(thresholds.clause_due_days).unwrap_or(i32::MAX);
            alerts.push(Alert {
                due: clause.due,
                clause: clause.reference,
                ..Alert::of(AlertRule::ClauseDue, last.plus(-before), cause)
            });
        }
    }

    fn alert_of_ties(&self, alerts: &mut Vec<Alert>) {
        let ties = Ties::of(self);
        for follow_up in ties.follow_ups() {
            let Some(last) = edtf::last_day(&follow_up.shown.due) else {
                continue;
            };
            alerts.push(Alert {
                due: follow_up.shown.due.clone(),
                subject: Some(id_of(&follow_up.shown.event_id)),
                ..Alert::of(
                    AlertRule::FollowUpOverdue,
                    last.plus(1),
                    follow_up.due_set_by,
                )
            });
        }
        let referrals = ties.referrals().iter().filter(|it| it.consent_withdrawn);
        let mut referrals = referrals.peekable();
        if referrals.peek().is_none() {
            return;
        }
        let facts = self.facts();
        let places = (0..)
            .zip(&facts)
            .map(|(index, fact)| (fact.event_id, index));
        let places: BTreeMap<Uuid, FactIndex> = places.collect();
        let place_of = |event_id: &str| places.get(&id_of(event_id)).copied();
        for referral in referrals {
            let withdrawal = ties.withdrawal(&referral.consent_event_id);
            // Where nobody withdrew it, its record was taken away.
            let removal = || self.removed_by(place_of(&referral.consent_event_id)?);
            let Some(ground) = withdrawal.copied().or_else(removal) else {
                continue;
            };
            let (rule, since) = (AlertRule::ConsentWithdrawn, ground.recorded_at.day());
            alerts.push(Alert {
                subject: Some(id_of(&referral.event_id)),
                ..Alert::of(rule, since, ground.event_id)
            });
        }
    }

    /// The confirmed facts that count, in the order of occurrence.
    fn confirmed_in_order(&self) -> Vec<Fact> {
        let order = self.in_order().into_iter();
        order
            .filter(|(.., credibility)| *credibility == Credibility::Confirmed)
            .map(|(_, fact, _)| fact)
            .collect()
    }
}

/// The day on which so many days have passed since another one.
fn after(day: Day, days: u32) -> Day {
    day.plus(i32::try_from(days).unwrap_or(i32::MAX))
}

fn id_of(text: &str) -> Uuid {
    Uuid::try_parse(text).unwrap_or_default()
}
