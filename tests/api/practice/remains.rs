//! Cases 1 to 3 and 13: labels and persons, reassociation, an identity disproved, a search that finds
//! nothing.

use casetrail::wire::v1::{
    self, Case, CaseKind, CaseStatus as S, Event, EventType as E, ExclusionReason, LinkType,
    RemainsDetail, case::Detail, event::Payload,
};

use super::words::{
    Office, Telling, an, change, confirmed, contested, counts, excluded, fact, linked, reopened,
    reported, submission,
};
use crate::clocks;
use crate::support::{fresh_uuid, place};

fn recovered(label: &str, completeness: v1::Completeness) -> Event {
    fact(Payload::RemainsRecovered(v1::RemainsRecovered {
        label: label.to_owned(),
        site: place(),
        recovering_team: "team-1".to_owned(),
        completeness: completeness.into(),
    }))
    .on("2024-03-02")
}

fn examined(minimum_number_of_individuals: u32) -> Event {
    fact(Payload::PostMortemCompleted(v1::PostMortemCompleted {
        examiner: "examiner-1".to_owned(),
        form_reference: "form-1".to_owned(),
        minimum_number_of_individuals,
    }))
    .on("2024-03-10")
}

fn detail(case: &Case) -> RemainsDetail {
    match case.detail.clone().unwrap() {
        Detail::RemainsDetail(detail) => detail,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_01_one_grave_at_least_three_persons_eleven_labels() {
    let office = Office::open().await;
    // Given a grave from which commingled remains were recovered under one label; the examination
    // finds at least three persons,
    let whole = office
        .new_case(vec![
            recovered("grave-1/1", v1::Completeness::Commingled),
            examined(3),
        ])
        .await;
    // when they are split into ten further labels, in one submission,
    let labels: Vec<_> = (2..=11).map(|number| format!("grave-1/{number}")).collect();
    let split = fact(Payload::RemainsSplit(v1::RemainsSplit {
        labels: labels.clone(),
        basis: v1::IdentificationMethod::Dna.into(),
    }))
    .on("2024-03-11");
    let mut changes = vec![change(&whole, vec![split])];
    let expected = v1::case_change::Expected::ExactVersion(2);
    changes[0].expected = Some(expected);
    for label in &labels {
        let part = vec![
            recovered(label, v1::Completeness::Partial),
            linked(&whole, LinkType::SplitFrom),
        ];
        let mut part = change(&fresh_uuid().to_string(), part);
        part.expected = Some(v1::case_change::Expected::NoCase(true));
        changes.push(part);
    }
    office.submit(submission(changes)).await;

    // then there are eleven labels, each a case of its own, bound to the one they come from,
    let cases = office.cases_of(CaseKind::Remains).await;
    let mut found: Vec<_> = cases.iter().map(|case| detail(case).label).collect();
    found.sort_by_key(|label| label.len());
    let all = [vec!["grave-1/1".to_owned()], labels].concat();
    assert_eq!(found, all);
    let counted = clocks::summary(office.client(), None).await;
    assert_eq!(counted.cases, 11);
    let parts = office.case(&whole).await.links;
    assert_eq!(parts.len(), 10);
    let split_from = |link: &v1::CaseLink| link.inverse && link.link_type() == LinkType::SplitFrom;
    assert!(parts.iter().all(split_from));
    // and at least three persons: labels that were split off add none.
    let persons = |cases: &[Case]| -> u32 {
        let whole = cases.iter().filter(|case| case.links.is_empty());
        whole
            .map(|case| detail(case).minimum_number_of_individuals)
            .sum()
    };
    assert_eq!(persons(&cases), 3);
    office.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_02_two_labels_with_one_dna_profile() {
    let office = Office::open().await;
    // Given two labels under a clause on the return of remains,
    let mut labels = Vec::new();
    for label in ["a", "b"] {
        let part = vec![recovered(label, v1::Completeness::Partial), examined(1)];
        labels.push(office.new_case(part).await);
    }
    let agreement = office.agreement_about(&labels).await;
    assert_eq!(counts(&office.clause_of(&agreement).await), [2, 0, 0, 2]);
    // when the samples of both give one profile, and the second is reassociated with the first,
    for label in &labels {
        office
            .record(label, an(E::SampleTaken).on("2024-03-12"))
            .await;
        let result = an(E::SampleResultReceived).on("2024-03-20");
        office.record(label, result).await;
    }
    let reassociated = fact(Payload::RemainsReassociated(v1::RemainsReassociated {
        into_case_id: labels[0].clone(),
        basis: v1::IdentificationMethod::Dna.into(),
    }));
    office
        .record(&labels[1], reassociated.on("2024-03-21"))
        .await;
    // then one person is counted, the second label has ended,
    assert_eq!(
        confirmed(&office.case(&labels[1]).await),
        S::RemainsReassociated
    );
    let met = office.clause_of(&agreement).await;
    assert_eq!(counts(&met), [2, 0, 0, 1]);
    assert_eq!(excluded(&met), [(ExclusionReason::Reassociated, 1)]);
    let counted = clocks::summary(office.client(), None).await;
    let by_status = |status: S| -> u64 {
        let rows = counted.rows.iter().filter(|row| row.status() == status);
        rows.map(|row| row.confirmed).sum()
    };
    assert_eq!(by_status(S::RemainsUnidentified), 1);
    assert_eq!(by_status(S::RemainsReassociated), 1);
    // and once the person is identified and handed over, the clause is met with one.
    for (event, day) in [
        (E::IdentificationEstablished, "2024-04-01"),
        (E::HandedOverToFamily, "2024-04-09"),
    ] {
        office.record(&labels[0], an(event).on(day)).await;
    }
    assert_eq!(counts(&office.clause_of(&agreement).await), [2, 1, 1, 0]);
    office.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_03_an_identity_disproved_after_burial() {
    let office = Office::open().await;
    // Given remains that were identified, handed over and buried, and the family's inquiry, which
    // was answered by it,
    let remains = office
        .new_case(vec![
            recovered("c", v1::Completeness::Complete),
            examined(1),
            an(E::IdentificationEstablished).on("2024-03-20"),
            an(E::FamilyInformed).on("2024-03-21"),
            an(E::HandedOverToFamily).on("2024-04-01"),
            an(E::FinalDispositionRecorded).on("2024-04-02"),
        ])
        .await;
    let inquiry = office
        .new_case(vec![
            an(E::InquiryOpened).on("2023-11-01"),
            an(E::TracingStarted).on("2023-11-02"),
            linked(&remains, LinkType::EvidenceFor),
        ])
        .await;
    let answer = office
        .record(&inquiry, an(E::FateClarified).on("2024-04-03"))
        .await;
    let before = office.position().await;
    assert_eq!(
        confirmed(&office.case(&remains).await),
        S::RemainsFinalDisposition
    );
    assert_eq!(
        confirmed(&office.case(&inquiry).await),
        S::InquiryFateClarified
    );

    // when the identity is disproved,
    let revoked = an(E::IdentificationRevoked).on("2024-05-20");
    office.record(&remains, revoked).await;
    // then the remains are unidentified again; that nothing else fits any more is no contest,
    let case = office.case(&remains).await;
    assert_eq!(confirmed(&case), S::RemainsUnidentified);
    assert_eq!(reported(&case), S::RemainsUnidentified);
    assert_eq!(contested(&case), []);
    assert_eq!(case.closing_event_id, "");
    // and the inquiry, whose answer was wrong, is reopened where it stood before the answer.
    office.record(&inquiry, reopened(&answer)).await;
    let case = office.case(&inquiry).await;
    assert_eq!(confirmed(&case), S::InquiryTracing);
    assert_eq!(case.closing_event_id, "");
    office
        .record(&inquiry, an(E::PotentialMatchFound).on("2024-05-31"))
        .await;

    // The old view stays reproducible, in every respect,
    for (case_id, status) in [
        (&remains, S::RemainsFinalDisposition),
        (&inquiry, S::InquiryFateClarified),
    ] {
        let then = office.case_known_at(case_id, before).await;
        assert_eq!(confirmed(&then), status);
        assert_ne!(then.closing_event_id, "");
    }
    let counted = clocks::summary(office.client(), clocks::known_at(before)).await;
    let statuses: Vec<_> = counted.rows.iter().map(|row| row.status()).collect();
    assert_eq!(
        statuses,
        [S::RemainsFinalDisposition, S::InquiryFateClarified]
    );
    // as it is what was so on the day of the burial, of the remains: they were laid to rest under
    // that name.
    let then = office.case_true_at(&remains, "2024-04-02").await;
    assert_eq!(confirmed(&then), S::RemainsFinalDisposition);
    // Nothing was erased: all that happened still counts, and the answer is there as taken back.
    assert_eq!(office.happened(&remains).await.len(), 7);
    let history = office.history(&inquiry).await;
    let voided: Vec<_> = history.iter().filter(|entry| entry.voided).collect();
    assert_eq!(voided.len(), 1);
    let removal = voided[0].removal.as_ref().unwrap();
    assert_eq!(removal.kind(), v1::RemovalKind::Reopened);
    office.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_13_an_exhumation_that_finds_nothing() {
    let office = Office::open().await;
    // Given an allegation of remains at a site,
    let alleged = office
        .new_case(vec![an(E::RemainsReported).rumoured().on("2024-01-10")])
        .await;
    let site = office
        .new_case(vec![
            an(E::SiteReported).on("2024-01-11"),
            an(E::SiteAccessGranted).on("2024-02-01"),
            an(E::SiteSurveyed).on("2024-02-10"),
            an(E::RecoveryStarted).on("2024-02-11"),
            linked(&alleged, LinkType::EvidenceFor),
        ])
        .await;
    let before = office.case(&alleged).await;
    // when the exhumation finds nothing,
    office
        .record(&site, an(E::NoRemainsFound).on("2024-02-20"))
        .await;
    // then the search has ended,
    assert_eq!(confirmed(&office.case(&site).await), S::SiteNoRemainsFound);
    let refused = office
        .refused(&site, an(E::RecoveryStarted).on("2024-03-01"))
        .await;
    assert_eq!(refused.reason, "EVENT_NOT_ALLOWED");
    // and the allegation stays as it was, and open: somewhere else they may still be found.
    assert_eq!(office.case(&alleged).await, before);
    assert_eq!(reported(&before), S::RemainsReported);
    let found = recovered("d", v1::Completeness::Complete);
    office.record(&alleged, found).await;
    assert_eq!(confirmed(&office.case(&alleged).await), S::RemainsRecovered);
    office.close().await;
}
