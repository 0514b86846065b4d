//! Random histories, held against the model: events that fit and events that don't, of every
//! credibility, on days that go back and forth, verified, disputed, closed and reopened.

use std::collections::BTreeSet;

use casetrail::domain::{CaseState, Rejection};
use casetrail::wire::v1::{
    Case, CaseStatus, Credibility, DetentionDetail, Event, EventType as E, Standing, WishesOutcome,
    case::Detail,
};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use uuid::Uuid;

use super::case::{
    Telling, TestCase, alleged, confirmed, corrected, disputed, event_of, reopened, resolved,
    retracted, stored_and_restored, verified, wishes,
};
use super::catalogue::{
    AGREEMENT, CONSULTATION, Claim, DETENTION, INQUIRY, LIFECYCLES, Lifecycle, REMAINS, RETURN,
    SITE, lifecycle_of, row_of,
};
use super::history::{Attempt, Step, any_record, credibility, history};
use super::model::{Entry, Model, Refusal, Told};
use super::support::fresh_uuid;

const CASES: u32 = 300;

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: CASES,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_detention_is_what_the_model_says(history in history()) {
        Run::new(&DETENTION).decided(&history);
    }

    #[test]
    fn remains_are_what_the_model_says(history in history()) {
        Run::new(&REMAINS).decided(&history);
    }

    #[test]
    fn a_return_is_what_the_model_says(history in history()) {
        Run::new(&RETURN).decided(&history);
    }

    #[test]
    fn a_site_is_what_the_model_says(history in history()) {
        Run::new(&SITE).decided(&history);
    }

    #[test]
    fn an_inquiry_is_what_the_model_says(history in history()) {
        Run::new(&INQUIRY).decided(&history);
    }

    #[test]
    fn an_agreement_is_what_the_model_says(history in history()) {
        Run::new(&AGREEMENT).decided(&history);
    }

    #[test]
    fn a_consultation_is_what_the_model_says(history in history()) {
        Run::new(&CONSULTATION).decided(&history);
    }

    #[test]
    fn a_case_was_what_the_model_says_at_every_time_by_either_clock(
        kind in 0..LIFECYCLES.len(),
        history in history(),
        days in prop::collection::vec(-2..60i32, 1..6),
        forced in any::<bool>(),
    ) {
        let mut run = Run::new(LIFECYCLES[kind]);
        if forced {
            run.forced(&history);
        } else {
            run.decided(&history);
        }
        run.assert_stood_alike(&days);
    }

    #[test]
    fn alerts_are_what_the_model_says(kind in 0..2_usize, forced: bool, history in history()) {
        let mut run = Run::new(LIFECYCLES[kind]);
        if forced {
            run.forced(&history);
        } else {
            run.decided(&history);
        }
        if run.case.exists() {
            super::alerts::assert_alike(&run.model, &run.case.state);
        }
    }

    #[test]
    fn what_nobody_decided_folds_as_the_model_says(kind in 0..LIFECYCLES.len(), history in history()) {
        Run::new(LIFECYCLES[kind]).forced(&history);
    }

    #[test]
    fn any_order_of_arrival_folds_to_the_same_standing(
        kind in 0..LIFECYCLES.len(),
        choices in prop::collection::vec((any::<Index>(), credibility()), 1..12),
        amends in prop::collection::vec((any::<Index>(), 0..3u8, credibility()), 0..6),
        arrival in Just(()).prop_perturb(|(), mut random| random.next_u64()),
    ) {
        arrivals_fold_alike(LIFECYCLES[kind], &choices, &amends, arrival);
    }

    #[test]
    fn what_fits_in_its_order_of_occurrence_is_taken_at_once_in_any_order(
        kind in 0..LIFECYCLES.len(),
        choices in prop::collection::vec((any::<Index>(), any::<Index>()), 1..16),
        arrival in Just(()).prop_perturb(|(), mut random| random.next_u64()),
    ) {
        taken_at_once_alike(LIFECYCLES[kind], &choices, arrival);
    }

    #[test]
    fn folding_takes_any_record(records in prop::collection::vec(any_record(), 1..30)) {
        let mut case = CaseState::new(fresh_uuid());
        for (position, record) in (0..).zip(&records) {
            case.fold(position * 3, record);
            prop_assert_eq!(case.version(), position + 1);
            prop_assert_eq!(case.last_position(), Some(position * 3));
            prop_assert_eq!(&stored_and_restored(&case), &case);
        }
        let mut again = CaseState::new(case.case_id());
        for (position, record) in (0..).zip(&records) {
            again.fold(position * 3, record);
        }
        prop_assert_eq!(again.to_case(), case.to_case());
    }
}

/// The case and the model, side by side.
struct Run {
    lifecycle: &'static Lifecycle,
    case: TestCase,
    model: Model,
}

impl Run {
    fn new(lifecycle: &'static Lifecycle) -> Self {
        Self {
            lifecycle,
            case: TestCase::new(),
            model: Model::default(),
        }
    }

    /// Submits every step: both decide alike, and stand alike.
    fn decided(&mut self, history: &[Step]) {
        for step in history {
            let (event, entry) = self.event(step);
            let refusal = self.model.judge(&entry);
            let before = (self.case.confirmed(), self.model.broken());
            let answer = self.case.submit(event);
            assert_eq!(
                answer.as_ref().err().map(as_refusal),
                refusal,
                "{entry:?} after {:#?}",
                self.model.entries
            );
            if answer.is_ok() {
                self.model.entries.push(entry.clone());
                self.assert_consequences(&entry, &before.1, before.0);
            }
            self.assert_stands_alike();
        }
    }

    /// Takes every step in without a decision, as the fold of a log does.
    fn forced(&mut self, history: &[Step]) {
        for step in history {
            let (event, entry) = self.event(step);
            let foreign = lifecycle_of(entry.event).map(|l| l.kind) != Some(self.lifecycle.kind);
            let refusal = self.model.judge(&entry);
            // What a common event means that nobody would have let through is nobody's business; a
            // replacement may stand anywhere.
            let of_a_place = refusal.as_ref().is_some_and(|it| it.status.is_some());
            let is_common = foreign || (entry.corrects.is_some() && !of_a_place);
            if is_common && refusal.is_some() {
                continue;
            }
            self.case.force(event);
            self.model.entries.push(entry);
            self.assert_stands_alike();
        }
    }

    /// What was accepted broke nothing, and moved the confirmed status only if it is confirmed.
    fn assert_consequences(&self, entry: &Entry, broken: &[u64], confirmed: CaseStatus) {
        if entry.corrects.is_some() || entry.event == E::EventRetracted {
            return;
        }
        let lowers = entry.event == E::VerificationChanged && entry.gives != Credibility::Confirmed;
        if !lowers && entry.event != E::CaseReopened {
            let now = self.model.broken();
            assert!(
                now.iter().all(|p| broken.contains(p)),
                "{entry:?} broke {now:?}"
            );
        }
        let by_nature = matches!(
            entry.event,
            E::DetentionAlleged | E::RemainsReported | E::SiteReported
        );
        if entry.credibility != Credibility::Confirmed && !by_nature {
            assert_eq!(self.case.confirmed(), confirmed);
        }
    }

    /// The case is what the model says as known at every position, as true at some days around its
    /// events and for all days.
    fn assert_stood_alike(&self, days: &[i32]) {
        let positions = self.model.entries.iter().map(|entry| entry.position + 1);
        for position in positions {
            let known = self.model.known_at(position);
            let state = self.case.state.known_at(position).unwrap();
            assert_eq!(state.known_at(position).unwrap(), state);
            self.assert_tells(&known.told(), &state.to_case());
            for day in days.iter().map(|day| self.case.recorded_on.plus(-day)) {
                let (certainly, possibly) = known.told_at(day.0);
                let (case, possible) = state.to_case_at(day);
                self.assert_tells(&certainly, &case);
                self.assert_tells(&possibly, possible.as_ref().unwrap_or(&case));
                let (standing, possible) = state.standing_at(day);
                assert_eq!(case.standing, Some(standing));
                if let Some(possible) = possible {
                    self.assert_standing(&possibly, &possible);
                }
            }
        }
        assert_eq!(self.case.state.known_at(1_000), None);
    }

    fn assert_stands_alike(&self) {
        if self.case.exists() {
            self.assert_tells(&self.model.told(), &self.case.case());
        }
    }

    fn assert_tells(&self, told: &Told, case: &Case) {
        let context = || format!("after {:#?}", self.model.entries);
        self.assert_standing(told, case.standing.as_ref().unwrap());
        let causes: Vec<_> = case.contested_causes().collect();
        assert_eq!(causes, told.causes, "{}", context());
        let closing = told.closing_event.map(|id| id.to_string());
        assert_eq!(case.closing_event_id, closing.unwrap_or_default());
        let disputes: Vec<_> = told.open_disputes.iter().map(Uuid::to_string).collect();
        assert_eq!(case.open_disputes, disputes, "{}", context());
        let detail = match case.detail {
            Some(Detail::DetentionDetail(detail)) => detail,
            _ => DetentionDetail::default(),
        };
        assert_eq!(detail.release_hold, told.release_hold, "{}", context());
        assert_eq!(detail.wishes(), told.wishes, "{}", context());
    }

    fn assert_standing(&self, told: &Told, standing: &Standing) {
        let context = || format!("after {:#?}", self.model.entries);
        assert_eq!(standing.kind(), self.lifecycle.kind);
        assert_eq!(standing.confirmed(), told.confirmed, "{}", context());
        assert_eq!(standing.reported(), told.reported, "{}", context());
        assert_eq!(standing.closed, told.closed, "{}", context());
        assert_eq!(standing.category(), told.category, "{}", context());
        assert_eq!(standing.contested, !told.causes.is_empty());
    }

    fn event(&mut self, step: &Step) -> (Event, Entry) {
        self.case.recorded_on = self.case.recorded_on.plus(step.days_later);
        let recorded_on = self.case.recorded_on;
        let (event, claim) = self.what(&step.attempt);
        let mut event = event;
        let days = step.when.say_in(&mut event, recorded_on);
        let position = self.case.next_position();
        let entry = self
            .model
            .entry(&event, &claim, position, recorded_on, days);
        (event, entry)
    }

    fn what(&self, attempt: &Attempt) -> (Event, Claim) {
        let common = |event: Event, event_type| (event, Claim::of(event_type));
        let told = self.model.told();
        match attempt {
            Attempt::Fitting(index, credibility) => {
                let fits = |claim: &Claim| {
                    let row = row_of(claim.event).unwrap();
                    row.allows(told.confirmed) && (self.case.exists() || row.allowed.is_some())
                };
                let claims: Vec<_> = self.lifecycle.claims().into_iter().filter(fits).collect();
                self.said(index, claims, *credibility)
            }
            Attempt::Onward(index, credibility) => {
                self.said(index, self.onward(told.confirmed), *credibility)
            }
            // A case stays of the kind that its first event gives it.
            Attempt::Foreign(index, credibility) if self.case.exists() => {
                let all = LIFECYCLES.iter().flat_map(|lifecycle| lifecycle.claims());
                self.said(index, all.collect(), *credibility)
            }
            Attempt::Any(index, credibility) | Attempt::Foreign(index, credibility) => {
                self.said(index, self.lifecycle.claims(), *credibility)
            }
            Attempt::Wishes(index, credibility) if self.lifecycle.kind == DETENTION.kind => {
                let outcomes = [
                    WishesOutcome::Return,
                    WishesOutcome::ReturnElsewhere,
                    WishesOutcome::Decline,
                ];
                let event = wishes(*index.get(&outcomes)).held(*credibility);
                common(event, E::WishesRecorded)
            }
            Attempt::Wishes(index, credibility) => {
                self.said(index, self.lifecycle.claims(), *credibility)
            }
            Attempt::Closed => common(confirmed(E::CaseClosed), E::CaseClosed),
            Attempt::ReopenedRightly => {
                let closing = told.closing_event.unwrap_or_else(fresh_uuid);
                common(reopened(closing), E::CaseReopened)
            }
            Attempt::Reopened(index) => common(reopened(self.named(index)), E::CaseReopened),
            Attempt::Verified(index, credibility) => common(
                verified(self.named(index), *credibility),
                E::VerificationChanged,
            ),
            Attempt::Disputed(index) => common(disputed(self.named(index)), E::EventDisputed),
            Attempt::Retracted(index) => common(retracted(self.named(index)), E::EventRetracted),
            Attempt::Corrected(target, index, credibility) => {
                let all = LIFECYCLES.iter().flat_map(|lifecycle| lifecycle.claims());
                let (by, claim) = if index.index(20) == 0 {
                    self.said(index, all.collect(), *credibility)
                } else {
                    self.said(index, self.lifecycle.claims(), *credibility)
                };
                (corrected(self.named(target), by), claim)
            }
            Attempt::Redated(target) => {
                let target = self.named(target);
                let entry = self.model.entries.iter().find(|entry| entry.id == target);
                let claims = self.lifecycle.claims();
                let same = |claim: &&Claim| {
                    entry.is_some_and(|it| (it.event, it.claim) == (claim.event, claim.status))
                };
                let claim = claims.iter().find(same).unwrap_or(&claims[0]).clone();
                (corrected(target, event_of(&claim)), claim)
            }
            Attempt::ResolvedRightly(index) if !told.open_disputes.is_empty() => {
                let dispute = *index.get(&told.open_disputes);
                common(resolved(dispute), E::DisputeResolved)
            }
            Attempt::ResolvedRightly(index) | Attempt::Resolved(index) => {
                common(resolved(self.named(index)), E::DisputeResolved)
            }
        }
    }

    /// The claims that lead from a status to one of the next two open ones that it can lead to.
    fn onward(&self, status: CaseStatus) -> Vec<Claim> {
        let open = self.lifecycle.open();
        let place = |status| open.iter().position(|listed| *listed == status);
        let leads = |claim: &Claim| {
            let row = row_of(claim.event).unwrap();
            let to = place(claim.status?)?;
            let allowed = row.allowed.as_ref()?.contains(&status);
            (allowed && place(status).is_none_or(|from| from < to)).then_some(to)
        };
        let mut claims = self.lifecycle.claims();
        claims.retain(|claim| leads(claim).is_some());
        claims.sort_by_key(leads);
        claims.truncate(2);
        claims
    }

    fn said(&self, index: &Index, claims: Vec<Claim>, credibility: Credibility) -> (Event, Claim) {
        // Nothing fits at some ends: then anything will do.
        let claims = if claims.is_empty() {
            self.lifecycle.claims()
        } else {
            claims
        };
        let claim = index.get(&claims).clone();
        (event_of(&claim).held(credibility), claim)
    }

    /// An event of the case, or one that it does not have.
    fn named(&self, index: &Index) -> Uuid {
        let mut known: Vec<_> = self.model.entries.iter().map(|entry| entry.id).collect();
        known.push(fresh_uuid());
        *index.get(&known)
    }
}

fn as_refusal(rejection: &Rejection) -> Refusal {
    let breaks_at = match rejection {
        Rejection::SequenceBroken {
            broken_position, ..
        } => Some(*broken_position),
        _ => None,
    };
    let of_a_place = matches!(
        rejection.reason(),
        "EVENT_NOT_ALLOWED"
            | "CASE_CLOSED"
            | "SEQUENCE_BROKEN"
            | "NO_RELEASE_HOLD"
            | "WISHES_MISSING"
            | "WISHES_DECLINED"
    );
    Refusal {
        reason: rejection.reason(),
        status: rejection.status().filter(|_| of_a_place),
        breaks_at,
    }
}

/// The same events, each on a day of its own, fold to the same standing in the order in which they
/// occurred and in a shuffled one; also once some were corrected, retracted or verified.
fn arrivals_fold_alike(
    lifecycle: &Lifecycle,
    choices: &[(Index, Credibility)],
    amends: &[(Index, u8, Credibility)],
    seed: u64,
) {
    let claims = lifecycle.claims();
    let events: Vec<_> = (0..)
        .zip(choices)
        .map(|(day, (index, credibility))| {
            let event = event_of(index.get(&claims)).held(*credibility);
            event.on_day(day)
        })
        .collect();
    let mut shuffled = events.clone();
    shuffle(&mut shuffled, seed);
    let mut ids: Vec<_> = events.iter().map(|event| event.event_id.clone()).collect();
    let amends: Vec<_> = amends
        .iter()
        .map(|(index, what, credibility)| {
            let target = index.get(&ids).parse().unwrap();
            let event = match what {
                0 => retracted(target),
                1 => verified(target, *credibility),
                _ => {
                    // Neither a day nor a place that another event has.
                    let day = i32::try_from(ids.len()).unwrap() + 20;
                    let told = event_of(index.get(&claims)).held(*credibility);
                    corrected(target, told.on_day(day))
                }
            };
            ids.push(event.event_id.clone());
            event
        })
        .collect();
    let folded = |events: Vec<Event>| {
        let mut case = TestCase::new();
        for event in events.into_iter().chain(amends.clone()) {
            case.force(event);
        }
        (case.state.standing(), case.contested(), case.case().detail)
    };
    assert_eq!(folded(events), folded(shuffled));
}

fn shuffle(events: &mut [Event], mut state: u64) {
    for index in (1..events.len()).rev() {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        events.swap(index, (state >> 33) as usize % (index + 1));
    }
}

/// Confirmed events that are accepted one by one as they occurred, some of them further accounts of
/// one happening, are accepted in one submission in any order behind the first, and end alike.
fn taken_at_once_alike(lifecycle: &Lifecycle, choices: &[(Index, Index)], seed: u64) {
    let mut in_order = TestCase::new();
    let mut events: Vec<Event> = Vec::new();
    for (day, (index, other)) in (0..).zip(choices) {
        // Of two that come to mind the first that is allowed.
        for index in [index, other] {
            let event = event_of(index.get(&lifecycle.claims())).on_day(day);
            if in_order.submit(event.clone()).is_ok() {
                events.push(event);
                break;
            }
        }
    }
    if let Some((_, rest)) = events.split_first_mut() {
        shuffle(rest, seed);
        let mut at_once = TestCase::new();
        at_once.submit_together(events).unwrap();
        assert_eq!(at_once.state.standing(), in_order.state.standing());
        assert_eq!(at_once.contested(), in_order.contested());
        assert_eq!(at_once.case().detail, in_order.case().detail);
    }
}

#[test]
fn the_random_histories_reach_every_refusal_every_cause_and_every_event() {
    let mut random = TestRunner::deterministic();
    let mut reached = BTreeSet::new();
    for lifecycle in LIFECYCLES {
        for _ in 0..CASES {
            let history = history().new_tree(&mut random).unwrap().current();
            let mut run = Run::new(lifecycle);
            for step in &history {
                let (event, entry) = run.event(step);
                match run.case.submit(event) {
                    Err(rejection) => {
                        reached.insert(rejection.reason().to_owned());
                    }
                    Ok(_) => {
                        let corrects = entry.corrects.map(|_| E::EventCorrected);
                        let event = corrects.unwrap_or(entry.event);
                        reached.insert(event.as_str_name().to_owned());
                        reached.insert(run.case.confirmed().as_str_name().to_owned());
                        run.model.entries.push(entry);
                    }
                }
                let causes = run.case.contested().into_iter();
                reached.extend(causes.map(|cause| cause.as_str_name().to_owned()));
            }
        }
    }
    let statuses = LIFECYCLES.iter().flat_map(|lifecycle| lifecycle.statuses());
    // What binds cases together bears on no status, and is told in `ties`.
    let bears_on_status = |event: &&E| row_of(**event).is_some() || **event < E::NoteRecorded;
    let events = casetrail::wire::event_type::ALL.iter();
    let events = events.filter(bears_on_status);
    let reasons = [
        "CASE_CLOSED",
        "CLAUSE_NOT_FOUND",
        "CLAUSE_STANDS",
        "CASE_KIND_MISMATCH",
        "CASE_NOT_CLOSED",
        "CASE_NOT_FOUND",
        "CREDIBILITY_UNCHANGED",
        "DISPUTE_NOT_OPEN",
        "EVENT_NOT_ALLOWED",
        "NOT_THE_CLOSING_EVENT",
        "NO_RELEASE_HOLD",
        "SEQUENCE_BROKEN",
        "TARGET_EVENT_NOT_APPLICABLE",
        "TARGET_EVENT_NOT_FOUND",
        "TARGET_EVENT_NOT_STANDING",
        "WISHES_DECLINED",
        "WISHES_MISSING",
        "CONTESTED_CAUSE_OPEN_DISPUTE",
        "CONTESTED_CAUSE_CONTRADICTED_ALLEGATION",
        "CONTESTED_CAUSE_BROKEN_SEQUENCE",
    ];
    let expected = reasons.into_iter();
    let expected = expected.chain(statuses.map(|status| status.as_str_name()));
    let expected = expected.chain(events.map(|event| event.as_str_name()));
    let missed: Vec<_> = expected.filter(|name| !reached.contains(*name)).collect();
    assert_eq!(missed, Vec::<&str>::new());
}

#[test]
fn the_random_histories_reach_every_rule_that_hangs_on_the_case_alone() {
    let mut random = TestRunner::deterministic();
    let mut reached = BTreeSet::new();
    for (kind, rules) in [(&DETENTION, 4), (&REMAINS, 5)] {
        for _ in 0..CASES {
            let history = history().new_tree(&mut random).unwrap().current();
            let mut run = Run::new(kind);
            run.decided(&history);
            reached.extend(super::alerts::assert_alike(&run.model, &run.case.state));
            if reached.len() == rules {
                break;
            }
        }
    }
    assert_eq!(reached.len(), 5, "{reached:?}");
}

#[test]
fn a_record_of_another_kind_folds_to_nothing() {
    let mut case = TestCase::new();
    case.record(confirmed(E::DetentionAlleged));
    let standing = case.state.standing();
    case.force(alleged(E::RemainsRecovered));
    assert_eq!(case.state.standing(), standing);
}
