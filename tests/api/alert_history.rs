//! A random history of cases of all that alerts are about.

use casetrail::wire::v1::{self, CaseKind, EventType as E, event::Payload};

use crate::alert_world::{World, clause, day, of_case, on, signed};
use crate::harness::Random;
use crate::support::{fresh_uuid, valid_payload};

/// A history that goes on at random, and the days with it.
pub struct History {
    random: Random,
    cases: Vec<Known>,
    pub agreements: Vec<String>,
    today: i32,
    pub recorded: usize,
}

/// A case, with the events that later ones may name.
struct Known {
    case_id: String,
    kind: CaseKind,
    event_ids: Vec<String>,
    consents: Vec<String>,
    referrals: Vec<String>,
    follow_ups: Vec<String>,
}

const DETENTION: [E; 12] = [
    E::DetentionAcknowledged,
    E::VisitedAndRegistered,
    E::ReleaseListed,
    E::HandoverScheduled,
    E::HandoverPostponed,
    E::HandoverScheduled,
    E::HandoverPostponed,
    E::HandoverStarted,
    E::DetentionDenied,
    E::WhereaboutsLost,
    E::Released,
    E::VisitedAndRegistered,
];
const REMAINS: [E; 7] = [
    E::RemainsRecovered,
    E::PostMortemCompleted,
    E::IdentificationEstablished,
    E::FamilyInformed,
    E::IdentificationRevoked,
    E::IdentificationEstablished,
    E::ReturnedToParty,
];
const AGREEMENT: [E; 4] = [
    E::AgreementEnteredIntoForce,
    E::AgreementSuspended,
    E::AgreementResumed,
    E::AgreementEnded,
];

impl History {
    pub fn new(seed: u64) -> Self {
        Self {
            random: Random(seed),
            cases: Vec::new(),
            agreements: Vec::new(),
            today: day("2024-06-01").0,
            recorded: 0,
        }
    }

    fn below(&mut self, limit: usize) -> usize {
        self.random.below(limit as u64) as usize
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        let index = self.below(of.len());
        of[index]
    }

    fn some(&mut self, of: &[String]) -> Option<String> {
        (!of.is_empty()).then(|| of[self.below(of.len())].clone())
    }

    /// A day before or after today.
    fn around(&mut self, before: usize, after: usize) -> String {
        let ahead = self.below(before + after + 1) as i32 - before as i32;
        casetrail::wire::day::Day(self.today + ahead).to_string()
    }

    /// Opens a case, or records in one, or lets days pass. What is refused changes nothing.
    pub async fn step(&mut self, world: &World) {
        match self.below(10) {
            0 => {
                self.today += self.below(12) as i32;
                world.day_is(&casetrail::wire::day::Day(self.today).to_string());
            }
            1 | 2 if self.cases.len() < 40 + self.recorded / 20 => self.open(world).await,
            _ if self.cases.is_empty() => self.open(world).await,
            _ => {
                let index = self.below(self.cases.len());
                let occurred = self.around(60, 0);
                if let Some(payload) = self.payload(index) {
                    self.record(world, index, &occurred, payload).await;
                }
            }
        }
    }

    async fn open(&mut self, world: &World) {
        let kind = self.one(&[
            CaseKind::Detention,
            CaseKind::Detention,
            CaseKind::Detention,
            CaseKind::Remains,
            CaseKind::Agreement,
        ]);
        self.cases.push(Known {
            case_id: fresh_uuid().to_string(),
            kind,
            event_ids: Vec::new(),
            consents: Vec::new(),
            referrals: Vec::new(),
            follow_ups: Vec::new(),
        });
        let index = self.cases.len() - 1;
        let opening = match kind {
            CaseKind::Detention => {
                let event = self.one(&[E::DetentionAlleged, E::DetentionAcknowledged]);
                valid_payload(event)
            }
            CaseKind::Remains => valid_payload(E::RemainsRecovered),
            _ => {
                self.agreements.push(self.cases[index].case_id.clone());
                let basis = self.one(&[v1::ClauseBasis::Ihl, v1::ClauseBasis::Agreement]);
                let dues = [self.around(30, 90), self.around(30, 90)];
                signed(vec![
                    clause("1", &dues[0], basis, true),
                    clause("2", &dues[1], v1::ClauseBasis::Ihl, false),
                ])
            }
        };
        let occurred = self.around(100, 0);
        self.record(world, index, &occurred, opening).await;
        if kind == CaseKind::Detention && self.below(4) == 0 {
            for event in [
                E::ReleaseListed,
                E::HandoverScheduled,
                E::HandoverPostponed,
                E::HandoverScheduled,
            ] {
                self.record(world, index, &occurred, valid_payload(event))
                    .await;
            }
        }
    }

    async fn record(&mut self, world: &World, index: usize, occurred: &str, payload: Payload) {
        let mut event = on(occurred, payload);
        if self.below(8) == 0 {
            event.set_credibility(v1::Credibility::Possible);
        }
        let event_id = event.event_id.clone();
        let payload = event.payload.clone();
        let submission = of_case(&self.cases[index].case_id, event);
        let mut cases = world.server.client.cases();
        if cases.submit_events(submission).await.is_err() {
            return;
        }
        self.recorded += 1;
        let known = &mut self.cases[index];
        match payload {
            Some(Payload::ConsentRecorded(_)) => known.consents.push(event_id.clone()),
            Some(Payload::ReferralOffered(_)) => known.referrals.push(event_id.clone()),
            Some(Payload::FollowUpScheduled(_)) => known.follow_ups.push(event_id.clone()),
            _ => {}
        }
        known.event_ids.push(event_id);
    }

    fn payload(&mut self, index: usize) -> Option<Payload> {
        if self.below(2) == 0 {
            let events: &[E] = match self.cases[index].kind {
                CaseKind::Detention => &DETENTION,
                CaseKind::Remains => &REMAINS,
                _ => &AGREEMENT,
            };
            return Some(valid_payload(self.one(events)));
        }
        let Known {
            event_ids,
            consents,
            referrals,
            follow_ups,
            ..
        } = &self.cases[index];
        let [event_ids, consents, referrals, follow_ups] =
            [event_ids, consents, referrals, follow_ups].map(Clone::clone);
        let event_id = self.some(&event_ids);
        let due = self.around(20, 30);
        let mut payload = valid_payload(self.one(&[
            E::FollowUpScheduled,
            E::FollowUpScheduled,
            E::FollowUpRescheduled,
            E::FollowUpCompleted,
            E::ConsentRecorded,
            E::ReferralOffered,
            E::ConsentWithdrawn,
            E::ReferralRevoked,
            E::EventRetracted,
            E::EventDisputed,
            E::VerificationChanged,
            E::CaseCovered,
            E::CaseUncovered,
            E::CasesMerged,
            E::CasesUnmerged,
            E::ClauseDueDateChanged,
            E::CaseClosed,
        ]));
        match &mut payload {
            Payload::FollowUpScheduled(it) => it.due = due,
            Payload::FollowUpRescheduled(it) => {
                it.follow_up_event_id = self.some(&follow_ups)?;
                it.due = due;
            }
            Payload::FollowUpCompleted(it) => it.follow_up_event_id = self.some(&follow_ups)?,
            Payload::ReferralOffered(it) => it.consent_event_id = self.some(&consents)?,
            Payload::ConsentWithdrawn(it) => it.consent_event_id = self.some(&consents)?,
            Payload::ReferralRevoked(it) => it.referral_event_id = self.some(&referrals)?,
            Payload::EventRetracted(it) => it.target_event_id = event_id?,
            Payload::EventDisputed(it) => it.target_event_id = event_id?,
            Payload::VerificationChanged(it) => it.target_event_id = event_id?,
            Payload::CaseCovered(it) => {
                it.agreement_case_id = self.some(&self.agreements.clone())?;
                it.clause_reference = "2".to_owned();
            }
            Payload::CaseUncovered(it) => {
                it.agreement_case_id = self.some(&self.agreements.clone())?;
                it.clause_reference = "2".to_owned();
            }
            Payload::CasesMerged(it) => it.other_case_id = self.other(index)?,
            Payload::CasesUnmerged(it) => {
                it.other_case_id = self.other(index)?;
                it.staying_event_ids.clear();
            }
            Payload::ClauseDueDateChanged(it) => {
                it.clause_reference = "1".to_owned();
                it.due = self.around(30, 60);
            }
            Payload::CaseClosed(_) if self.below(4) > 0 => return None,
            _ => {}
        }
        Some(payload)
    }

    /// A case of the same kind.
    fn other(&mut self, index: usize) -> Option<String> {
        let kind = self.cases[index].kind;
        let others = self.cases.iter().enumerate();
        let others = others.filter(|(at, it)| *at != index && it.kind == kind);
        let others: Vec<_> = others.map(|(_, it)| it.case_id.clone()).collect();
        self.some(&others)
    }

    /// Raises an alert of a detention that nothing before has, by which a watcher knows the end.
    pub async fn end(&mut self, world: &World) -> String {
        let case_id = fresh_uuid().to_string();
        let today = casetrail::wire::day::Day(self.today).to_string();
        let opening = valid_payload(E::DetentionAcknowledged);
        world.record(&case_id, &today, opening).await;
        let marker = Payload::FollowUpScheduled(v1::FollowUpScheduled {
            due: "2020-01-01".to_owned(),
            task: v1::FollowUpTask::Other.into(),
        });
        world.record(&case_id, &today, marker).await
    }
}
