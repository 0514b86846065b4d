//! Random histories of cases that are bound together, through the API: events of their kind that
//! arrive late, corrections, retractions and verifications among links, suspicions, merges,
//! referrals, consents and follow-ups. What the server accepts, why it refuses, and how every case
//! stood at every position, by either clock, is what a naive model says that folds all from scratch.

mod model;

use std::collections::{BTreeMap, BTreeSet};

use casetrail::domain::AlertThresholds;
use casetrail::ledger::Clock;
use casetrail::wire::day::Day;
use casetrail::wire::moment::Moment;
use casetrail::wire::v1::{
    self, AsOf, Case, CaseKind, Credibility, Event, EventType as E, GetCaseRequest, LinkType,
    MergeRole, as_of::KnownAt, event::Payload,
};
use tempfile::TempDir;
use tokio::sync::watch;
use tonic::Code;
use tonic_types::StatusExt;
use uuid::Uuid;

use self::model::{Said, Tie, World};
use crate::case::{Telling, confirmed, corrected, event_of, retracted, verified};
use crate::catalogue::{Claim, DETENTION, Lifecycle, REMAINS, row_of};
use crate::harness::{Client, Random, Server};
use crate::history::When;
use crate::model::{Entry, Model, Told};
use crate::support::{fresh_uuid, opposite, today};
use crate::together::{change, submission};

const HISTORIES: u64 = 12;
const STEPS: usize = 120;
const KINDS: [&Lifecycle; 4] = [&DETENTION, &DETENTION, &DETENTION, &REMAINS];

/// A server, and the model beside it.
struct Run {
    random: Random,
    server: Server,
    hand: watch::Sender<Moment>,
    today: Day,
    ids: Vec<Uuid>,
    world: World,
    /// The position that the next record gets.
    next: u64,
    /// What was recorded, and why something was not.
    reached: BTreeSet<String>,
}

/// An event that somebody tries to record in a case.
struct Attempt {
    case: usize,
    event: Event,
    claim: Claim,
    said: Option<Said>,
}

impl Run {
    async fn new(seed: u64, folder: &TempDir) -> Self {
        let (hand, clock) = watch::channel(Moment::at_start_of(today()));
        let clock = Clock::set_by_hand(clock);
        let thresholds = AlertThresholds::default();
        let mut run = Self {
            random: Random(seed),
            server: Server::start_by(clock, folder.path(), thresholds).await,
            hand,
            today: today(),
            ids: KINDS.iter().map(|_| fresh_uuid()).collect(),
            world: World {
                cases: vec![Model::default(); KINDS.len()],
                ties: Vec::new(),
            },
            next: 0,
            reached: BTreeSet::new(),
        };
        for (case, lifecycle) in KINDS.iter().enumerate() {
            let claim = Claim::of(match lifecycle.kind {
                CaseKind::Detention => E::DetentionAcknowledged,
                _ => E::RemainsRecovered,
            });
            let attempt = Attempt {
                case,
                event: event_of(&claim),
                claim,
                said: None,
            };
            run.submit(attempt, When::DaysAgo(40)).await;
            assert_eq!(run.next, case as u64 + 1);
        }
        run
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        let count = all.len() as u64;
        &all[self.random.below(count) as usize]
    }

    async fn step(&mut self) {
        self.today = self.today.plus(self.random.below(2) as i32);
        self.hand.send(Moment::at_start_of(self.today)).unwrap();
        let case = self.random.below(KINDS.len() as u64) as usize;
        let (attempt, when) = match self.random.below(100) {
            0..30 => (self.of_the_kind(case), self.when()),
            30..36 => (self.correction(case), self.when()),
            36..46 => {
                let target = self.event_of(case);
                (self.common(case, retracted(target), None), When::Today)
            }
            46..50 => {
                let credibility = *self.one_of(&[Credibility::Confirmed, Credibility::Likely]);
                let target = self.event_of(case);
                let event = verified(target, credibility);
                (self.common(case, event, None), When::Today)
            }
            _ => {
                let said = self.said(case);
                let event = self.saying(&said);
                (self.common(case, event, Some(said)), When::Today)
            }
        };
        self.submit(attempt, when).await;
    }

    fn when(&mut self) -> When {
        let days = self.random.below(30) as i32;
        match self.random.below(6) {
            0..3 => When::Today,
            3 => When::DaysAgo(days),
            4 => When::Between(days, self.random.below(20) as i32),
            _ => When::SinceDaysAgo(days),
        }
    }

    /// An event of the case's kind, mostly one that its status allows.
    fn of_the_kind(&mut self, case: usize) -> Attempt {
        let claim = self.claim(case);
        let event = event_of(&claim).held(self.credibility());
        Attempt {
            case,
            event,
            claim,
            said: None,
        }
    }

    fn correction(&mut self, case: usize) -> Attempt {
        let target = self.event_of(case);
        let claim = self.claim(case);
        let event = event_of(&claim).held(self.credibility());
        Attempt {
            case,
            event: corrected(target, event),
            claim,
            said: None,
        }
    }

    fn claim(&mut self, case: usize) -> Claim {
        let mut claims = KINDS[case].claims();
        if self.random.below(4) > 0 {
            let confirmed = self.world.cases[case].told().confirmed;
            let fits = |claim: &Claim| row_of(claim.event).unwrap().allows(confirmed);
            let fitting: Vec<_> = claims.iter().filter(|it| fits(it)).cloned().collect();
            if !fitting.is_empty() {
                claims = fitting;
            }
        }
        self.one_of(&claims).clone()
    }

    fn credibility(&mut self) -> Credibility {
        match self.random.below(4) {
            0 => Credibility::Possible,
            _ => Credibility::Confirmed,
        }
    }

    fn common(&self, case: usize, event: Event, said: Option<Said>) -> Attempt {
        let claim = Claim::of(event_type(&event));
        Attempt {
            case,
            event,
            claim,
            said,
        }
    }

    /// An event of the case, more often a new one, or one that it does not have.
    fn event_of(&mut self, case: usize) -> Uuid {
        let entries = &self.world.cases[case].entries;
        let mut ids: Vec<_> = entries.iter().map(|entry| entry.id).collect();
        if self.random.below(2) == 0 {
            ids.drain(..ids.len().saturating_sub(6));
        }
        if self.random.below(20) == 0 {
            ids.push(fresh_uuid());
        }
        *self.one_of(&ids)
    }

    /// What is said of an event that began something in the case, whether or not that goes on; where
    /// there is none, it begins.
    fn of_begun(&mut self, case: usize, beginning: Said, say: fn(Uuid) -> Said) -> Said {
        let same = std::mem::discriminant(&beginning);
        let ties = self.world.ties.iter().filter(|tie| tie.case == case);
        let begun = ties.filter(|tie| std::mem::discriminant(&tie.said) == same);
        let mut ids: Vec<_> = begun.map(|tie| tie.id).collect();
        ids.drain(..ids.len().saturating_sub(3));
        if ids.is_empty() {
            return beginning;
        }
        say(*self.one_of(&ids))
    }

    fn said(&mut self, case: usize) -> Said {
        let others: Vec<_> = (0..KINDS.len()).filter(|other| *other != case).collect();
        let other = *self.one_of(&others);
        // One that was there before, or a new one.
        let mut links = vec![(other, LinkType::Family), (other, LinkType::NextEpisode)];
        let ties = self.world.ties.iter().filter(|tie| tie.case == case);
        links.extend(ties.filter_map(|tie| match tie.said {
            Said::Linked(other, link) => Some((other, link)),
            _ => None,
        }));
        let (linked, link) = *self.one_of(&links);
        match self.random.below(27) {
            0..2 => Said::Linked(linked, link),
            2..5 => Said::Unlinked(linked, link),
            5 => Said::Suspected(other),
            6 => Said::Cleared(other),
            7..10 => {
                let roles = [MergeRole::Survivor, MergeRole::Merged];
                Said::Merged(other, *self.one_of(&roles))
            }
            10..13 => self.unmerged(case, other),
            13 => self.of_begun(case, Said::Consented, Said::Withdrawn),
            14..22 => self.of_a_referral(case),
            22..25 => self.of_a_follow_up(case),
            25 => Said::Consented,
            _ => Said::Transferred(format!("organisation-{}", self.random.below(5))),
        }
    }

    fn of_a_referral(&mut self, case: usize) -> Said {
        let offer = self.of_begun(case, Said::Consented, Said::Offered);
        if !matches!(offer, Said::Offered(_)) || self.random.below(4) == 0 {
            return offer;
        }
        let say = [
            Said::Accepted,
            Said::Accepted,
            Said::Rejected,
            Said::Completed,
            Said::Revoked,
        ];
        let say = *self.one_of(&say);
        self.of_begun(case, offer, say)
    }

    fn of_a_follow_up(&mut self, case: usize) -> Said {
        let say = [Said::Moved, Said::Moved, Said::Done, Said::Cancelled];
        let say = *self.one_of(&say);
        match self.random.below(4) {
            0 => Said::Scheduled,
            _ => self.of_begun(case, Said::Scheduled, say),
        }
    }

    /// The end of a merge of the case, told in the survivor with what stays there, mostly rightly.
    fn unmerged(&mut self, case: usize, other: usize) -> Said {
        let held = self.world.merged(case);
        if held.is_empty() {
            let survivor = self.world.merged_into(case).unwrap_or(other);
            return Said::Unmerged(survivor, MergeRole::Merged, BTreeSet::new());
        }
        let other = *self.one_of(&held);
        let mut staying = self.world.to_assign(case, other);
        match self.random.below(5) {
            0 => {
                staying.pop_last();
            }
            1 => {
                staying.insert(self.event_of(case));
            }
            _ => {}
        }
        Said::Unmerged(other, MergeRole::Survivor, staying)
    }

    fn saying(&self, said: &Said) -> Event {
        let mut event = confirmed(type_of(said));
        let other = |case: &usize| self.ids[*case].to_string();
        let id = Uuid::to_string;
        match (event.payload.as_mut().unwrap(), said) {
            (Payload::CasesLinked(p), Said::Linked(case, link)) => {
                p.other_case_id = other(case);
                p.set_link_type(*link);
            }
            (Payload::CasesUnlinked(p), Said::Unlinked(case, link)) => {
                p.other_case_id = other(case);
                p.set_link_type(*link);
            }
            (Payload::DuplicateSuspected(p), Said::Suspected(case)) => {
                p.other_case_id = other(case);
            }
            (Payload::NotADuplicate(p), Said::Cleared(case)) => p.other_case_id = other(case),
            (Payload::CasesMerged(p), Said::Merged(case, role)) => {
                p.other_case_id = other(case);
                p.set_role(*role);
            }
            (Payload::CasesUnmerged(p), Said::Unmerged(case, role, staying)) => {
                p.other_case_id = other(case);
                p.set_role(*role);
                p.staying_event_ids = staying.iter().map(id).collect();
            }
            (Payload::ConsentWithdrawn(p), Said::Withdrawn(it)) => p.consent_event_id = id(it),
            (Payload::ReferralOffered(p), Said::Offered(it)) => p.consent_event_id = id(it),
            (Payload::ReferralAccepted(p), Said::Accepted(it)) => p.referral_event_id = id(it),
            (Payload::ReferralRejected(p), Said::Rejected(it)) => p.referral_event_id = id(it),
            (Payload::ReferralCompleted(p), Said::Completed(it)) => p.referral_event_id = id(it),
            (Payload::ReferralRevoked(p), Said::Revoked(it)) => p.referral_event_id = id(it),
            (Payload::FollowUpRescheduled(p), Said::Moved(it)) => p.follow_up_event_id = id(it),
            (Payload::FollowUpCompleted(p), Said::Done(it)) => p.follow_up_event_id = id(it),
            (Payload::FollowUpCancelled(p), Said::Cancelled(it)) => p.follow_up_event_id = id(it),
            (Payload::CaseTransferred(p), Said::Transferred(organisation)) => {
                p.to_organisation.clone_from(organisation);
            }
            (Payload::ConsentRecorded(_), Said::Consented)
            | (Payload::FollowUpScheduled(_), Said::Scheduled) => {}
            other => panic!("{other:?}"),
        }
        event
    }

    /// The other end of what two cases hold.
    fn opposite(&self, attempt: &Attempt) -> Option<Attempt> {
        let case_id = self.ids[attempt.case].to_string();
        let (_, event) = opposite(&case_id, &attempt.event)?;
        let turned = |role: MergeRole| match role {
            MergeRole::Survivor => MergeRole::Merged,
            _ => MergeRole::Survivor,
        };
        let (case, said) = match attempt.said.as_ref()? {
            Said::Merged(other, role) => (*other, Said::Merged(attempt.case, turned(*role))),
            Said::Unmerged(other, role, _) => (
                *other,
                Said::Unmerged(attempt.case, turned(*role), BTreeSet::new()),
            ),
            _ => return None,
        };
        Some(self.common(case, event, Some(said)))
    }

    /// Submits the event, at both ends where two cases hold it: the server answers what the model says.
    async fn submit(&mut self, attempt: Attempt, when: When) {
        let mut attempts: Vec<_> = self.opposite(&attempt).into_iter().collect();
        attempts.insert(0, attempt);
        let mut entries: Vec<Entry> = Vec::new();
        for (position, attempt) in (self.next..).zip(&mut attempts) {
            let days = when.say_in(&mut attempt.event, self.today);
            let model = &self.world.cases[attempt.case];
            let (event, claim) = (&attempt.event, &attempt.claim);
            entries.push(model.entry(event, claim, position, self.today, days));
        }
        let ends = attempts.iter().zip(&entries);
        let mut refusals = ends.filter_map(|(attempt, entry)| {
            let said = attempt.said.as_ref();
            self.world.refusal(attempt.case, entry, said)
        });
        let expected = refusals.next().or_else(|| {
            let merges = |it: &Attempt| matches!(it.said, Some(Said::Merged(..)));
            let kinds: Vec<_> = attempts.iter().map(|it| KINDS[it.case].kind).collect();
            (merges(&attempts[0]) && kinds[0] != kinds[1]).then_some("CASES_OF_TWO_KINDS")
        });
        let changes = attempts.iter().map(|attempt| {
            let case_id = self.ids[attempt.case].to_string();
            change(&case_id, vec![attempt.event.clone()])
        });
        let request = submission(changes.collect());
        let answer = self.server.client.cases().submit_events(request).await;
        let refusal = answer.as_ref().err().map(|status| {
            let details = status.get_error_details();
            details.error_info().unwrap().reason.clone()
        });
        assert_eq!(
            refusal.as_deref(),
            expected,
            "{entries:?} {answer:?} {:#?}",
            self.world
        );
        let what = event_type(&attempts[0].event).as_str_name();
        let what = refusal.unwrap_or_else(|| what.to_owned());
        self.reached.insert(what);
        if expected.is_some() {
            return;
        }
        self.next += attempts.len() as u64;
        for (attempt, entry) in attempts.into_iter().zip(entries) {
            let case = attempt.case;
            self.world.ties.extend(attempt.said.map(|said| Tie {
                case,
                position: entry.position,
                id: entry.id,
                said,
            }));
            self.world.cases[case].entries.push(entry);
        }
    }

    /// Every case stood at every position as the model says, and on some days as known then.
    async fn assert_stood_alike(&mut self) {
        for position in 1..=self.next {
            let known = self.world.known_at(position);
            let day = self.today.plus(-(self.random.below(60) as i32));
            for case in 0..KINDS.len() {
                let now = get(&self.server.client, self.ids[case], position, None).await;
                let then = get(&self.server.client, self.ids[case], position, Some(day)).await;
                if known.cases[case].entries.is_empty() {
                    assert_eq!((now, then), (None, None));
                    continue;
                }
                let ((now, None), (then, possible)) = (now.unwrap(), then.unwrap()) else {
                    panic!("what is known now has one answer");
                };
                self.assert_alike(&known, case, &now, &known.cases[case].told());
                let (certainly, possibly) = known.cases[case].told_at(day.0);
                self.assert_alike(&known, case, &then, &certainly);
                let possible = possible.as_ref().unwrap_or(&then);
                self.assert_alike(&known, case, possible, &possibly);
            }
        }
    }

    fn assert_alike(&self, known: &World, case: usize, shown: &Case, told: &Told) {
        let why = || format!("case {case} of {known:#?}");
        let id = |case: usize| self.ids[case].to_string();
        let standing = shown.standing.as_ref().unwrap();
        assert_eq!(standing.confirmed(), told.confirmed, "{}", why());
        assert_eq!(standing.reported(), told.reported, "{}", why());
        assert_eq!(standing.closed, told.closed, "{}", why());
        assert_eq!(standing.category(), told.category, "{}", why());
        let causes: Vec<_> = shown.contested_causes().collect();
        assert_eq!(causes, told.causes, "{}", why());
        let disputes: Vec<_> = told.open_disputes.iter().map(Uuid::to_string).collect();
        assert_eq!(shown.open_disputes, disputes, "{}", why());

        let merged_into = known.merged_into(case).map(id).unwrap_or_default();
        assert_eq!(standing.merged_into, merged_into, "{}", why());
        let merged: Vec<_> = known.merged(case).into_iter().map(id).collect();
        assert_eq!(shown.merged_case_ids, merged, "{}", why());
        let links = known.links(case).into_iter();
        let links: Vec<_> = links
            .map(|(other, link_type, inverse, event_id)| v1::CaseLink {
                other_case_id: id(other),
                link_type: link_type.into(),
                inverse,
                event_id: event_id.to_string(),
            })
            .collect();
        let mut shown_links = shown.links.clone();
        shown_links.sort_by(|a, b| a.event_id.cmp(&b.event_id));
        assert_eq!(shown_links, links, "{}", why());
        let suspected: BTreeSet<_> = known.suspected(case).into_iter().map(id).collect();
        let shown_suspected = shown.suspected_duplicates.iter().cloned();
        assert_eq!(
            shown_suspected.collect::<BTreeSet<_>>(),
            suspected,
            "{}",
            why()
        );
        assert_eq!(shown.suspected_duplicates.len(), suspected.len());

        let consents: Vec<_> = known.consents(case).iter().map(Uuid::to_string).collect();
        let shown_consents = shown.consents.iter().map(|it| it.event_id.clone());
        assert_eq!(shown_consents.collect::<Vec<_>>(), consents, "{}", why());
        let referrals = shown.referrals.iter().map(|it| model::Referral {
            id: it.event_id.parse().unwrap(),
            accepted: it.accepted,
            consent_withdrawn: it.consent_withdrawn,
        });
        assert_eq!(
            referrals.collect::<Vec<_>>(),
            known.referrals(case),
            "{}",
            why()
        );
        let follow_ups = shown.follow_ups.iter();
        let follow_ups = follow_ups.map(|it| {
            let event_id = it.event_id.parse().unwrap();
            (event_id, it.times_rescheduled as usize)
        });
        assert_eq!(
            follow_ups.collect::<BTreeMap<_, _>>(),
            known.follow_ups(case),
            "{}",
            why()
        );
        assert_eq!(
            shown.transferred_to,
            known.transferred_to(case),
            "{}",
            why()
        );
    }
}

fn event_type(event: &Event) -> E {
    casetrail::wire::event_type::of_payload(event.payload.as_ref().unwrap())
}

fn type_of(said: &Said) -> E {
    match said {
        Said::Linked(..) => E::CasesLinked,
        Said::Unlinked(..) => E::CasesUnlinked,
        Said::Suspected(_) => E::DuplicateSuspected,
        Said::Cleared(_) => E::NotADuplicate,
        Said::Merged(..) => E::CasesMerged,
        Said::Unmerged(..) => E::CasesUnmerged,
        Said::Consented => E::ConsentRecorded,
        Said::Withdrawn(_) => E::ConsentWithdrawn,
        Said::Offered(_) => E::ReferralOffered,
        Said::Accepted(_) => E::ReferralAccepted,
        Said::Rejected(_) => E::ReferralRejected,
        Said::Completed(_) => E::ReferralCompleted,
        Said::Revoked(_) => E::ReferralRevoked,
        Said::Scheduled => E::FollowUpScheduled,
        Said::Moved(_) => E::FollowUpRescheduled,
        Said::Done(_) => E::FollowUpCompleted,
        Said::Cancelled(_) => E::FollowUpCancelled,
        Said::Transferred(_) => E::CaseTransferred,
    }
}

/// A case as known at a position, and as true on a day: certainly, and possibly where that differs.
async fn get(
    client: &Client,
    case_id: Uuid,
    position: u64,
    day: Option<Day>,
) -> Option<(Case, Option<Case>)> {
    let request = GetCaseRequest {
        case_id: case_id.to_string(),
        as_of: Some(AsOf {
            known_at: Some(KnownAt::Position(position)),
            true_at: day.map(|day| day.to_string()).unwrap_or_default(),
        }),
    };
    match client.cases().get_case(request).await {
        Ok(answer) => {
            let answer = answer.into_inner();
            Some((answer.case.unwrap(), answer.possible_case))
        }
        Err(status) => {
            assert_eq!(status.code(), Code::NotFound);
            None
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cases_that_belong_together_are_what_the_model_says_at_every_time() {
    let mut reached = BTreeSet::new();
    let histories = std::env::var("CASETRAIL_TEST_HISTORIES").ok();
    let histories = histories.map_or(HISTORIES, |histories| histories.parse().unwrap());
    for seed in 0..histories {
        let folder = TempDir::new().unwrap();
        let mut run = Run::new(seed, &folder).await;
        for _ in 0..STEPS {
            run.step().await;
        }
        run.assert_stood_alike().await;
        reached.append(&mut run.reached);
        run.server.end().await;
    }
    let reasons = [
        "CASES_OF_TWO_KINDS",
        "CASE_MERGED",
        "CASE_MERGED_ALREADY",
        "CONSENT_NOT_STANDING",
        "DUPLICATE_SAID_ALREADY",
        "EVENTS_NOT_ASSIGNED",
        "FOLLOW_UP_NOT_OPEN",
        "HELD_BY_TWO_CASES",
        "LINK_NOT_STANDING",
        "LINK_STANDS",
        "MERGE_NOT_STANDING",
        "REFERRAL_NOT_ACCEPTED",
        "REFERRAL_NOT_LIVE",
        "REFERRAL_NOT_OFFERED",
        "TARGET_EVENT_NOT_STANDING",
    ];
    let events = [
        E::CasesLinked,
        E::CasesUnlinked,
        E::DuplicateSuspected,
        E::NotADuplicate,
        E::CasesMerged,
        E::CasesUnmerged,
        E::ConsentRecorded,
        E::ConsentWithdrawn,
        E::ReferralOffered,
        E::ReferralAccepted,
        E::ReferralRejected,
        E::ReferralCompleted,
        E::ReferralRevoked,
        E::FollowUpScheduled,
        E::FollowUpRescheduled,
        E::FollowUpCompleted,
        E::FollowUpCancelled,
        E::CaseTransferred,
        E::EventCorrected,
        E::EventRetracted,
        E::VerificationChanged,
    ];
    let events = events.iter().map(E::as_str_name);
    let expected = reasons.into_iter().chain(events);
    let missed: Vec<_> = expected.filter(|it| !reached.contains(*it)).collect();
    assert_eq!(missed, Vec::<&str>::new());
}
