//! Alerts by the words of their rules, worked out from the model of a case each time.

use casetrail::domain::{AlertThresholds, CaseState};
use casetrail::wire::day::Day;
use casetrail::wire::v1::{AlertRule as Rule, CaseStatus as S, EventType as E};
use uuid::Uuid;

use super::case::{Telling, TestCase, confirmed, corrected, retracted, verified};
use super::model::{Entry, Model};
use casetrail::wire::v1::Credibility;

/// So small that random histories reach all of them.
pub const THRESHOLDS: AlertThresholds = AlertThresholds {
    no_visit_days: 3,
    not_registered_days: 2,
    handover_postponements: 1,
    contested_days: 1,
    family_not_informed_days: 4,
    clause_due_days: 30,
};

type Told = Vec<(Rule, Day, Uuid)>;

/// The alerts of a case that hang on no other matter, now or to come.
fn told(state: &CaseState) -> Told {
    let alerts = state.alerts(&THRESHOLDS, |_| false).into_iter();
    alerts.map(|it| (it.rule, it.since, it.cause)).collect()
}

/// A case has the alerts that the model says; of which rules they are.
pub fn assert_alike(model: &Model, state: &CaseState) -> Vec<Rule> {
    let mut expected = expected(model);
    expected.sort();
    assert_eq!(told(state), expected, "after {:#?}", model.entries);
    expected.iter().map(|(rule, ..)| *rule).collect()
}

fn expected(model: &Model) -> Told {
    let now = model.told();
    if now.closed {
        return Vec::new();
    }
    let events = model.confirmed_in_order();
    let newest = |event: E| events.iter().rposition(|it| it.event == event);
    let alert = |rule, entry: &Entry, days: i32| (rule, Day(entry.day + days), entry.id);
    let mut alerts = Vec::new();
    let held = [
        S::DetentionAcknowledged,
        S::DetentionRegistered,
        S::DetentionReleasePending,
        S::DetentionHandoverScheduled,
    ];
    if held.contains(&now.confirmed) {
        // The acknowledgement that the person is held; a word of mouth is none, whoever vouches for it.
        let held = |it: &&Entry| it.claim.is_some_and(|claim| held.contains(&claim));
        let first = events.iter().position(held);
        let ground = newest(E::VisitedAndRegistered).or(first).unwrap();
        alerts.push(alert(Rule::NoVisit, events[ground], 3));
    }
    if now.confirmed == S::DetentionAcknowledged {
        let ground = newest(E::DetentionAcknowledged).unwrap();
        alerts.push(alert(Rule::NotRegistered, events[ground], 2));
    }
    if held[2..].contains(&now.confirmed) {
        let listed = newest(E::ReleaseListed).map_or(0, |at| at + 1);
        let postponed = |it: &&&Entry| it.event == E::HandoverPostponed;
        if let Some(first) = events[listed..].iter().find(postponed) {
            alerts.push(alert(Rule::HandoverPostponed, first, 0));
        }
    }
    // What was identified since the last revocation, however many tell of it, is one identification.
    let standing = &events[newest(E::IdentificationRevoked).map_or(0, |at| at + 1)..];
    let is = |event: E| move |it: &&Entry| it.event == event;
    if [S::RemainsIdentified, S::RemainsReturnedToParty].contains(&now.confirmed)
        && let Some(first) = standing.iter().position(is(E::IdentificationEstablished))
        && !standing[first..]
            .iter()
            .any(|it| it.event == E::FamilyInformed)
    {
        alerts.push(alert(Rule::FamilyNotInformed, standing[first], 4));
    }
    // Contested now, and after each event that was recorded since this one.
    let mut since = None;
    for entry in model.entries.iter().rev() {
        if model.known_at(entry.position + 1).told().causes.is_empty() {
            break;
        }
        since = Some(entry);
    }
    if let Some(entry) = since {
        alerts.push((Rule::Contested, Day(entry.recorded_on + 1), entry.id));
    }
    alerts
}

#[test]
fn a_correction_a_retraction_and_a_doubt_move_what_a_rule_counts_from() {
    // Given a person who was acknowledged on 1 March and visited on 10 and 20 March,
    let mut case = TestCase::new();
    let acknowledged = case.record(confirmed(E::DetentionAcknowledged).on("2024-03-01"));
    let first = case.record(confirmed(E::VisitedAndRegistered).on("2024-03-10"));
    let second = case.record(confirmed(E::VisitedAndRegistered).on("2024-03-20"));
    let of = |rule: Rule, day: &str, cause| (rule, Day::parse(day).unwrap(), cause);
    assert_eq!(told(&case.state), [of(Rule::NoVisit, "2024-03-23", second)]);

    // when the second visit is corrected to the fifteenth, the rule counts from there;
    let replacement = confirmed(E::VisitedAndRegistered).on("2024-03-15");
    let correction = case.record(corrected(second, replacement).on("2024-03-25"));
    assert_eq!(
        told(&case.state),
        [of(Rule::NoVisit, "2024-03-18", correction)]
    );

    // when it is doubted, from the first;
    let doubt = verified(correction, Credibility::Unlikely).on("2024-03-26");
    case.record(doubt);
    assert_eq!(told(&case.state), [of(Rule::NoVisit, "2024-03-13", first)]);

    // when the first is retracted too, from the acknowledgement, and nobody registered them.
    case.record(retracted(first).on("2024-03-27"));
    let alerts = told(&case.state);
    assert_eq!(alerts[0], of(Rule::NoVisit, "2024-03-04", acknowledged));
    assert_eq!(
        alerts[1],
        of(Rule::NotRegistered, "2024-03-03", acknowledged)
    );
}

#[test]
fn days_without_a_visit_count_from_the_acknowledgement_and_not_from_an_allegation_before_it() {
    // Given a detention that an own observer alleges to have begun in January, and that the authority
    // acknowledges on 1 March,
    let mut case = TestCase::new();
    case.record(confirmed(E::DetentionAlleged).on("2024-01-01"));
    assert_eq!(told(&case.state), []);
    let acknowledged = case.record(confirmed(E::DetentionAcknowledged).on("2024-03-01"));
    let since = Day::parse("2024-03-04").unwrap();
    let no_visit = (Rule::NoVisit, since, acknowledged);
    assert!(told(&case.state).contains(&no_visit));

    // when a second account of the acknowledgement comes late, then the earlier of them counts.
    case.record(confirmed(E::WhereaboutsLost).on("2024-03-05"));
    case.record(confirmed(E::DetentionAcknowledged).on("2024-03-20"));
    assert!(told(&case.state).contains(&no_visit));
}

#[test]
fn a_second_account_of_an_identification_asks_for_no_second_telling() {
    // Given remains that were identified on 10 March, and the family informed on the eleventh,
    let mut case = TestCase::new();
    case.record(confirmed(E::RemainsRecovered).on("2024-03-01"));
    case.record(confirmed(E::PostMortemCompleted).on("2024-03-02"));
    let first = case.record(confirmed(E::IdentificationEstablished).on("2024-03-10"));
    let informed = case.record(confirmed(E::FamilyInformed).on("2024-03-11"));

    // when another laboratory tells of the same identification on the twelfth, then nothing is due;
    case.record(confirmed(E::IdentificationEstablished).on("2024-03-12"));
    let of_family = |case: &TestCase| {
        let mut alerts = told(&case.state).into_iter();
        alerts.find(|(rule, ..)| *rule == Rule::FamilyNotInformed)
    };
    assert_eq!(of_family(&case), None);

    // when it turns out that the family was not informed, then it is due since the first account;
    case.record(retracted(informed).on("2024-03-13"));
    let since = Day::parse("2024-03-14").unwrap();
    assert_eq!(
        of_family(&case),
        Some((Rule::FamilyNotInformed, since, first))
    );

    // when the identification is revoked and established anew, then since that one.
    case.record(confirmed(E::FamilyInformed).on("2024-03-13"));
    case.record(confirmed(E::IdentificationRevoked).on("2024-03-14"));
    let anew = case.record(confirmed(E::IdentificationEstablished).on("2024-03-15"));
    let since = Day::parse("2024-03-19").unwrap();
    assert_eq!(
        of_family(&case),
        Some((Rule::FamilyNotInformed, since, anew))
    );
}

#[test]
fn a_day_that_is_not_known_counts_from_the_latest_that_it_can_be() {
    let mut case = TestCase::new();
    case.record(confirmed(E::DetentionAcknowledged).on("2024-01"));
    let visit = case.record(confirmed(E::VisitedAndRegistered).on("2024-02"));
    let since = Day::parse("2024-03-03").unwrap();
    assert_eq!(told(&case.state), [(Rule::NoVisit, since, visit)]);
}

#[test]
fn the_alerts_of_a_case_know_no_other_case_and_no_day() {
    // An alert of a clause alone asks about other cases, and of them nothing but whether any is
    // outstanding: no rule can make one case wait for another.
    let mut case = TestCase::new();
    case.record(confirmed(E::AgreementSigned).on("2024-03-01"));
    let alerts = case.state.alerts(&THRESHOLDS, |_| true);
    assert_eq!(alerts.len(), 1);
    assert_eq!(alerts[0].rule, Rule::ClauseDue);
    assert_eq!(alerts[0].since, Day::parse("2024-08-31").unwrap());
    assert_eq!(case.state.alerts(&THRESHOLDS, |_| false), []);
}
