//! Cases 4 and 10 to 12: detained again, reassessed, handed over one by one, unwilling to return.

use casetrail::wire::v1::{
    self, CaseKind, CaseStatus as S, CoverageRule, EventType as E, ExclusionReason, LegalCategory,
    LinkType, SummaryRow, WishesOutcome, case::Detail, event::Payload,
};

use super::words::{
    Office, Telling, an, clause, confirmed, counts, excluded, fact, linked, signed, wishes,
};
use crate::clocks;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_04_released_then_detained_again() {
    let office = Office::open().await;
    // Given an agreement whose clause covers those who were held before April,
    let held_before_april = CoverageRule {
        kind: CaseKind::Detention.into(),
        date: "../2024-03-31".to_owned(),
        ..Default::default()
    };
    let agreement = office
        .new_case(vec![signed(vec![clause("1", vec![held_before_april])])])
        .await;
    // and a person who was held then, and released,
    let first = office
        .new_case(vec![
            an(E::DetentionAcknowledged).on("2024-02-01"),
            an(E::Released).on("2024-04-10"),
        ])
        .await;
    assert_eq!(counts(&office.clause_of(&agreement).await), [1, 1, 1, 0]);

    // when they are detained again in May, then that is no event of the first case:
    let again = an(E::DetentionAlleged).on("2024-05-02");
    let refused = office.refused(&first, again.clone()).await;
    assert_eq!(refused.reason, "EVENT_NOT_ALLOWED");
    let closing = office.refused(&first, an(E::DetentionAcknowledged).on("2024-05-02"));
    assert_eq!(closing.await.reason, "EVENT_NOT_ALLOWED");
    // it is a new case, the next episode of the first,
    let second = office.new_case(vec![again]).await;
    office
        .record(&first, linked(&second, LinkType::NextEpisode))
        .await;
    let links = [
        office.case(&first).await.links.remove(0),
        office.case(&second).await.links.remove(0),
    ];
    assert_eq!(links[0].other_case_id, second);
    assert!(!links[0].inverse && links[1].inverse);
    assert_eq!(links[1].link_type(), LinkType::NextEpisode);
    // the first stays released, and the clause's count for it stays.
    assert_eq!(confirmed(&office.case(&first).await), S::DetentionReleased);
    assert_eq!(confirmed(&office.case(&second).await), S::DetentionAlleged);
    let met = office.clause_of(&agreement).await;
    assert_eq!(counts(&met), [1, 1, 1, 0]);
    assert_eq!(met.cases[0].case_id, first);
    office.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_10_a_hostage_reassessed_as_a_prisoner_of_war() {
    let office = Office::open().await;
    let category = |category: LegalCategory| {
        fact(Payload::LegalCategoryAsserted(v1::LegalCategoryAsserted {
            category: category.into(),
            asserter: "asserter-1".to_owned(),
            basis: v1::LegalCategoryBasis::Tribunal.into(),
        }))
    };
    // Given two persons who are counted as hostages,
    let mut persons = Vec::new();
    for _ in 0..2 {
        let person = vec![
            an(E::DetentionAlleged).on("2024-03-01"),
            category(LegalCategory::Hostage).on("2024-03-02"),
        ];
        persons.push(office.new_case(person).await);
    }
    let before = office.position().await;
    let by_category = |rows: &[SummaryRow]| {
        let rows = rows.iter().map(|row| (row.category(), row.confirmed));
        rows.collect::<Vec<_>>()
    };
    // when one of them is reassessed as a prisoner of war,
    let reassessed = category(LegalCategory::PrisonerOfWar).on("2024-04-01");
    office.record(&persons[0], reassessed).await;
    // then the counts move,
    let counted = clocks::summary(office.client(), None).await;
    assert_eq!(
        by_category(&counted.rows),
        [
            (LegalCategory::PrisonerOfWar, 1),
            (LegalCategory::Hostage, 1)
        ]
    );
    let standing = office.case(&persons[0]).await.standing.unwrap();
    assert_eq!(standing.category(), LegalCategory::PrisonerOfWar);
    assert_eq!(standing.confirmed(), S::DetentionAlleged);
    // and history stays: as it was known before, as it was before, and event by event.
    for as_of in [clocks::known_at(before), clocks::true_at("2024-03-31")] {
        let counted = clocks::summary(office.client(), as_of).await;
        assert_eq!(by_category(&counted.rows), [(LegalCategory::Hostage, 2)]);
    }
    let history = office.history(&persons[0]).await;
    assert_eq!(history.len(), 3);
    assert!(history.iter().all(|entry| !entry.voided));
    office.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_11_a_handover_postponed_twice_and_one_of_ten_not_presented() {
    let office = Office::open().await;
    // Given ten persons who are to be handed over under a clause, and want to return,
    let mut persons = Vec::new();
    for _ in 0..10 {
        let events = vec![
            an(E::VisitedAndRegistered).on("2024-03-01"),
            an(E::ReleaseListed).on("2024-03-02"),
            wishes(WishesOutcome::Return).on("2024-03-03"),
        ];
        let opening = an(E::DetentionAcknowledged).on("2024-02-20");
        persons.push(office.new_case([vec![opening], events].concat()).await);
    }
    let agreement = office.agreement_about(&persons).await;
    // when the handover is scheduled and postponed, for all of them, twice, and scheduled again,
    for (scheduled, postponed) in [("2024-03-10", "2024-03-12"), ("2024-03-14", "2024-03-16")] {
        let plan = || an(E::HandoverScheduled).on(scheduled);
        office.record_in_each(&persons, plan).await;
        let later = || an(E::HandoverPostponed).on(postponed);
        office.record_in_each(&persons, later).await;
    }
    let plan = || an(E::HandoverScheduled).on("2024-03-18");
    office.record_in_each(&persons, plan).await;
    // and on the day nine are presented and one is not,
    let (missing, present) = persons.split_last().unwrap();
    for (event, day) in [
        (E::HandoverStarted, "2024-03-20"),
        (E::Released, "2024-03-20"),
        (E::Arrived, "2024-03-21"),
    ] {
        office.record_in_each(present, || an(event).on(day)).await;
    }
    let not_presented = an(E::PersonNotPresented).on("2024-03-20");
    office.record(missing, not_presented).await;
    // then each has an outcome of its own:
    for person in present {
        assert_eq!(
            confirmed(&office.case(person).await),
            S::DetentionRepatriated
        );
    }
    let case = office.case(missing).await;
    assert_eq!(confirmed(&case), S::DetentionReleasePending);
    // the history tells of both postponements, in every case,
    for person in &persons {
        let happened = office.happened(person).await;
        let postponed = happened.iter().filter(|it| **it == E::HandoverPostponed);
        assert_eq!(postponed.count(), 2);
    }
    // nine of ten are counted, and the tenth can still be handed over.
    let met = office.clause_of(&agreement).await;
    assert_eq!(counts(&met), [10, 9, 9, 1]);
    let outstanding = met.cases.iter().filter(|case| !case.confirmed);
    let outstanding: Vec<_> = outstanding.map(|case| &case.case_id).collect();
    assert_eq!(outstanding, [missing]);
    let anew = an(E::HandoverScheduled).on("2024-03-25");
    office.record(missing, anew).await;
    office.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_12_a_prisoner_declines_repatriation() {
    let office = Office::open().await;
    // Given a prisoner whose handover is scheduled, and who says in private that they do not want
    // to return,
    let person = office
        .new_case(vec![
            an(E::DetentionAcknowledged).on("2024-03-01"),
            an(E::ReleaseListed).on("2024-03-02"),
            an(E::HandoverScheduled).on("2024-03-03"),
        ])
        .await;
    let agreement = office.agreement_about(std::slice::from_ref(&person)).await;
    // (without their wishes on record it does not start either)
    let start = || an(E::HandoverStarted).on("2024-03-10");
    assert_eq!(
        office.refused(&person, start()).await.reason,
        "WISHES_MISSING"
    );
    let declines = wishes(WishesOutcome::Decline).on("2024-03-04");
    office.record(&person, declines).await;
    // when the handover is to start, then it is refused,
    let refused = office.refused(&person, start()).await;
    assert_eq!(refused.reason, "WISHES_DECLINED");
    assert!(
        refused.message.contains("GC III 109"),
        "{}",
        refused.message
    );
    assert_eq!(
        confirmed(&office.case(&person).await),
        S::DetentionHandoverScheduled
    );
    // and the clause counts an exclusion, and nothing outstanding.
    let met = office.clause_of(&agreement).await;
    assert_eq!(counts(&met), [1, 0, 0, 0]);
    assert_eq!(excluded(&met), [(ExclusionReason::Declined, 1)]);

    // When they change their mind, then it starts, and they count as any other.
    let returns = wishes(WishesOutcome::Return).on("2024-03-09");
    office.record(&person, returns).await;
    office.record(&person, start()).await;
    let case = office.case(&person).await;
    assert_eq!(confirmed(&case), S::DetentionInTransfer);
    match case.detail.unwrap() {
        Detail::DetentionDetail(detail) => assert_eq!(detail.wishes(), WishesOutcome::Return),
        other => panic!("{other:?}"),
    }
    let met = office.clause_of(&agreement).await;
    assert_eq!((counts(&met), excluded(&met)), ([1, 0, 0, 1], vec![]));
    office.close().await;
}
