//! How much of an agreement's clauses was met over time, and by the due dates.

use casetrail::wire::v1::{
    self, AsOf, ClauseBasis, EventType as E, GetAgreementProgressRequest,
    GetAgreementProgressResponse, as_of::KnownAt, event::Payload,
};
use tempfile::TempDir;
use tonic::Code;

use crate::alert_world::{World, clause, on, signed};
use crate::bad_input::check_status;
use crate::support::{fresh_uuid, replacement, valid_payload};

async fn progress(
    world: &World,
    agreement: &str,
    position: Option<u64>,
) -> GetAgreementProgressResponse {
    let request = GetAgreementProgressRequest {
        agreement_case_id: agreement.to_owned(),
        first_month: "2024-01".to_owned(),
        last_month: "2024-04".to_owned(),
        as_of: position.map(|position| AsOf {
            known_at: Some(KnownAt::Position(position)),
            ..AsOf::default()
        }),
    };
    let mut cases = world.server.client.cases();
    let answer = cases.get_agreement_progress(request).await;
    answer.unwrap().into_inner()
}

/// Covered, met by the due date, met late, outstanding, overdue, excluded; and met by each month.
fn numbers(clause: &v1::ClauseProgress) -> ([u64; 6], Vec<u64>) {
    let counts = [
        clause.covered,
        clause.met_by_due,
        clause.met_late,
        clause.outstanding,
        clause.overdue,
        clause.excluded,
    ];
    (
        counts,
        clause.months.iter().map(|month| month.met).collect(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clause_is_met_in_time_late_or_not_yet() {
    let folder = TempDir::new().unwrap();
    let world = World::on("2024-03-20", folder.path()).await;
    // Given an agreement with a clause due by the end of February, one without a date, and one under
    // which cases are put one by one,
    let agreement = fresh_uuid().to_string();
    let clauses = vec![
        clause("dated", "2024-02", ClauseBasis::Ihl, true),
        clause("undated", "", ClauseBasis::Ihl, true),
        clause("listed", "2024-02", ClauseBasis::Ihl, false),
    ];
    world
        .record(&agreement, "2024-01-01", signed(clauses))
        .await;

    // when of six persons one is released in January, one on the last day of February and one in
    // March, one dies, and two are held,
    let mut held = Vec::new();
    for released in ["2024-01-20", "2024-02-29", "2024-03-02", "", "", "died"] {
        let (case, _) = world.open("2024-01-02", &[E::DetentionAcknowledged]).await;
        match released {
            "" => held.push(case),
            "died" => {
                let payload = valid_payload(E::DiedInCustody);
                world.record(&case, "2024-02-01", payload).await;
            }
            day => {
                world.record(&case, day, valid_payload(E::Released)).await;
            }
        }
    }
    let covered = Payload::CaseCovered(v1::CaseCovered {
        agreement_case_id: agreement.clone(),
        clause_reference: "listed".to_owned(),
    });
    world.record(&held[0], "2024-03-20", covered).await;

    // then two were in time and one late, and two are overdue, where there is a date.
    let now = progress(&world, &agreement, None).await;
    assert_eq!((now.day.as_str(), now.position), ("2024-03-20", 12));
    assert_eq!(
        numbers(&now.clauses[0]),
        ([6, 2, 1, 2, 2, 1], vec![1, 2, 3, 3])
    );
    assert_eq!(
        numbers(&now.clauses[1]),
        ([6, 3, 0, 2, 0, 1], vec![1, 2, 3, 3])
    );
    assert_eq!(numbers(&now.clauses[2]), ([1, 0, 0, 1, 1, 0], vec![0; 4]));
    let months: Vec<_> = now.clauses[0]
        .months
        .iter()
        .map(|it| it.month.as_str())
        .collect();
    assert_eq!(months, ["2024-01", "2024-02", "2024-03", "2024-04"]);

    // As it was known when two were released, the rest was outstanding.
    let then = progress(&world, &agreement, Some(5)).await;
    assert_eq!(
        numbers(&then.clauses[0]),
        ([2, 2, 0, 0, 0, 0], vec![1, 2, 2, 2])
    );

    // When one of the held turns out to have been released in February, then that was in time,
    // though it is recorded later; and one more day passes, which changes nothing.
    let late = valid_payload(E::Released);
    let release = world.record(&held[0], "2024-02-10", late).await;
    world.day_is("2024-03-21");
    let now = progress(&world, &agreement, None).await;
    assert_eq!(
        numbers(&now.clauses[0]),
        ([6, 3, 1, 1, 1, 1], vec![1, 3, 4, 4])
    );
    assert_eq!(
        numbers(&now.clauses[2]),
        ([1, 1, 0, 0, 0, 0], vec![0, 1, 1, 1])
    );

    // When that is corrected to March, then it was late.
    let in_march = on("2024-03-10", valid_payload(E::Released));
    let correction = Payload::EventCorrected(Box::new(v1::EventCorrected {
        target_event_id: release,
        replacement: Some(Box::new(replacement(in_march))),
        reason: v1::CorrectionReason::SourceCorrected.into(),
    }));
    world.record(&held[0], "2024-03-21", correction).await;
    let now = progress(&world, &agreement, None).await;
    assert_eq!(
        numbers(&now.clauses[0]),
        ([6, 2, 2, 1, 1, 1], vec![1, 2, 4, 4])
    );

    // The totals are those of the coverage.
    let request = v1::GetAgreementCoverageRequest {
        agreement_case_id: agreement.clone(),
        ..Default::default()
    };
    let mut cases = world.server.client.cases();
    let coverage = cases.get_agreement_coverage(request).await;
    for (covered, told) in coverage
        .unwrap()
        .into_inner()
        .clauses
        .iter()
        .zip(&now.clauses)
    {
        assert_eq!(covered.covered, told.covered);
        assert_eq!(covered.confirmed, told.met_by_due + told.met_late);
        assert_eq!(covered.outstanding, told.outstanding);
    }

    for (name, agreement_case_id, last_month, code) in [
        ("no agreement", &held[0], "2024-04", Code::InvalidArgument),
        ("no month", &agreement, "2024-13", Code::InvalidArgument),
        (
            "nothing",
            &fresh_uuid().to_string(),
            "2024-04",
            Code::NotFound,
        ),
    ] {
        let request = GetAgreementProgressRequest {
            agreement_case_id: agreement_case_id.clone(),
            first_month: "2024-01".to_owned(),
            last_month: last_month.to_owned(),
            as_of: None,
        };
        let refused = world
            .server
            .client
            .cases()
            .get_agreement_progress(request)
            .await;
        let reason = if code == Code::NotFound {
            "CASE_NOT_FOUND"
        } else {
            "INVALID_FIELDS"
        };
        check_status(name, &refused.unwrap_err(), code, reason);
    }
    world.server.end().await;
}
