//! What a case tells besides its status: only what is confirmed counts, but for the category and the
//! district, of which an allegation is told while nothing is confirmed.

use casetrail::domain::CaseState;
use casetrail::wire::v1::{
    CaseStatus as S, Credibility, Event, EventType as E, LegalCategory, Place, RemainsDetail,
    ReturnDetail, case::Detail, event::Payload,
};

use super::case::{Telling, TestCase, alleged, confirmed, disputed, verified};
use super::catalogue::{DETENTION, Guard, RETURN};

/// The event, with the district that it tells.
fn in_district(mut event: Event, district: &str) -> Event {
    let told = Some(Place {
        place_id: "place-9".to_owned(),
        district: district.to_owned(),
        ..Place::default()
    });
    match event.payload.as_mut().unwrap() {
        Payload::DetentionAlleged(alleged) => alleged.place = told,
        Payload::VisitedAndRegistered(visit) => visit.place = told,
        Payload::PlaceTransferred(transfer) => transfer.to_place = told,
        other => panic!("{other:?} tells no district"),
    }
    event
}

fn of_category(category: LegalCategory) -> Event {
    let mut event = confirmed(E::LegalCategoryAsserted);
    if let Some(Payload::LegalCategoryAsserted(asserted)) = &mut event.payload {
        asserted.set_category(category);
    }
    event
}

fn custody_of(custodian: &str, day: i32) -> Event {
    let mut event = confirmed(E::CustodyTransferred).on_day(day);
    if let Some(Payload::CustodyTransferred(transfer)) = &mut event.payload {
        custodian.clone_into(&mut transfer.to_custodian);
    }
    event
}

fn district(case: &TestCase) -> String {
    case.state.standing().district
}

fn remains(state: &CaseState) -> RemainsDetail {
    match state.to_case().detail {
        Some(Detail::RemainsDetail(detail)) => detail,
        other => panic!("{other:?} is no detail of remains"),
    }
}

fn household(case: &TestCase) -> ReturnDetail {
    match case.case().detail {
        Some(Detail::ReturnDetail(detail)) => detail,
        other => panic!("{other:?} is no detail of a return"),
    }
}

#[test]
fn the_district_is_the_newest_confirmed_one_and_else_the_newest_alleged_one() {
    let mut case = TestCase::new();
    let claim = in_district(alleged(E::DetentionAlleged).on_day(1), "XA01");
    case.record(claim);
    assert_eq!(district(&case), "XA01");
    let visit = confirmed(E::VisitedAndRegistered).on_day(5);
    let visit = case.record(in_district(visit, "XA02"));
    case.record(in_district(alleged(E::PlaceTransferred).on_day(6), "XA03"));
    assert_eq!(district(&case), "XA02");
    // A transfer told late was before the visit.
    case.record(confirmed(E::DetentionAcknowledged).on_day(2));
    case.record(in_district(
        confirmed(E::PlaceTransferred).on_day(3),
        "XA04",
    ));
    assert_eq!(district(&case), "XA02");
    case.record(verified(visit, Credibility::Likely).on_day(7));
    assert_eq!(district(&case), "XA04");
}

#[test]
fn a_hostage_reassessed_as_a_prisoner_of_war_is_counted_as_one_and_the_assertions_stay() {
    let mut case = TestCase::in_status(&DETENTION, S::DetentionRegistered, Guard::None);
    let category = |case: &TestCase| case.state.standing().category();
    case.record(of_category(LegalCategory::Hostage).on_day(10));
    assert_eq!(category(&case), LegalCategory::Hostage);
    let hearsay = of_category(LegalCategory::CivilianInternee).held(Credibility::Likely);
    case.record(hearsay.on_day(11));
    assert_eq!(category(&case), LegalCategory::Hostage);
    let tribunal = case.record(of_category(LegalCategory::PrisonerOfWar).on_day(12));
    assert_eq!(category(&case), LegalCategory::PrisonerOfWar);
    case.record(verified(tribunal, Credibility::Unlikely).on_day(13));
    assert_eq!(category(&case), LegalCategory::Hostage);
}

#[test]
fn remains_tell_their_label_custodian_and_number_by_what_is_confirmed() {
    let mut case = TestCase::new();
    case.record(alleged(E::RemainsRecovered).on_day(1));
    assert_eq!(remains(&case.state), RemainsDetail::default());
    case.record(confirmed(E::RemainsRecovered).on_day(2));
    assert_eq!(remains(&case.state).label, "label:7/2024");
    case.record(custody_of("mortuary-1", 3));
    case.record(custody_of("mortuary-2", 5));
    case.record(custody_of("mortuary-3", 4));
    case.record(custody_of("mortuary-4", 6).held(Credibility::Possible));
    assert_eq!(remains(&case.state).custodian, "mortuary-2");
    assert_eq!(remains(&case.state).minimum_number_of_individuals, 0);
    case.record(confirmed(E::PostMortemCompleted).on_day(7));
    assert_eq!(remains(&case.state).minimum_number_of_individuals, 1);
}

#[test]
fn a_custodian_is_told_however_many_others_there_were() {
    let mut case = TestCase::new();
    case.record(confirmed(E::RemainsRecovered).on_day(0));
    for turn in 0..100 {
        // Some come back after many others, some after few.
        let custodian = format!("mortuary-{}", if turn % 2 == 0 { turn % 40 } else { turn });
        case.record(custody_of(&custodian, 1));
        assert_eq!(remains(&case.state).custodian, custodian);
    }
}

#[test]
fn a_household_of_six_of_whom_two_leave_and_four_arrive_is_told_right() {
    let mut case = TestCase::in_status(&RETURN, S::ReturnDisplaced, Guard::None);
    assert_eq!(household(&case).household_size, 6);
    case.record(alleged(E::HouseholdSplit).on_day(5));
    assert_eq!(household(&case).household_size, 6);
    case.record(confirmed(E::HouseholdSplit).on_day(6));
    case.record(confirmed(E::SpontaneousReturn).on_day(7));
    let detail = household(&case);
    assert_eq!((detail.household_size, detail.members_returned), (4, 4));
    case.record(confirmed(E::ReDisplaced).on_day(20));
    assert_eq!(household(&case).members_returned, 4);
}

#[test]
fn what_a_refused_submission_did_is_taken_back_whole() {
    let mut case = TestCase::new();
    case.record(confirmed(E::RemainsRecovered).on_day(0));
    case.record(custody_of("mortuary-1", 3));
    let (before, mark) = (case.state.clone(), case.state.before());
    assert_eq!(mark.version, 2);
    case.recorded_on = case.recorded_on.plus(2);
    let late = case.record(custody_of("mortuary-2", 2));
    case.record(disputed(late).on_day(4));
    case.record(verified(late, Credibility::Likely).on_day(4));
    case.record(confirmed(E::CaseClosed).on_day(5));
    let mut state = case.state;
    state.take_back_to(mark);
    assert_eq!(state, before);
    assert_eq!(state.to_case(), before.to_case());
    state.take_back_to(CaseState::new(state.case_id()).before());
    assert_eq!(state, CaseState::new(state.case_id()));
}
