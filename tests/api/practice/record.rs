//! Cases 5 to 9 and 18: what is said against what is confirmed, two workers, order, repetition, two
//! clocks, and a merge found wrong.

use casetrail::wire::v1::{
    self, AsOf, CaseStatus as S, ContestedCause, EventType as E, MergeRole, as_of::KnownAt,
    event::Payload,
};
use tonic::Code;

use super::words::{
    Office, Telling, an, change, confirmed, contested, corrected, fact, in_both, merge, reported,
    resolved, retracted, submission,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_05_a_rumour_of_release_against_a_visit() {
    let office = Office::open().await;
    // Given a person whom a visit saw held on 20 March,
    let person = office
        .new_case(vec![
            an(E::DetentionAlleged).on("2024-03-01"),
            an(E::VisitedAndRegistered).on("2024-03-20"),
        ])
        .await;
    // when a rumour says that they were released on 12 March,
    let rumour = office
        .record(&person, an(E::Released).rumoured().on("2024-03-12"))
        .await;
    // then confirmed stays Registered, the visit is also the last that is reported, and the case is
    // contested, since the rumour claims more than a confirmed event of a later day shows.
    let case = office.case(&person).await;
    assert_eq!(confirmed(&case), S::DetentionRegistered);
    assert_eq!(reported(&case), S::DetentionRegistered);
    assert_eq!(contested(&case), [ContestedCause::ContradictedAllegation]);
    // By what is known now, on 15 March they were reported released, and confirmed no more than
    // alleged.
    let case = office.case_true_at(&person, "2024-03-15").await;
    assert_eq!(reported(&case), S::DetentionReleased);
    assert_eq!(confirmed(&case), S::DetentionAlleged);

    // When the source withdraws, then nothing is contested.
    office.record(&person, retracted(&rumour)).await;
    assert_eq!(contested(&office.case(&person).await), []);

    // When another rumour tells of a release after the visit, then the two statuses differ, and
    // nothing confirmed speaks against it,
    let later = an(E::Released).rumoured().on("2024-04-02");
    office.record(&person, later).await;
    let case = office.case(&person).await;
    assert_eq!(confirmed(&case), S::DetentionRegistered);
    assert_eq!(reported(&case), S::DetentionReleased);
    assert_eq!(contested(&case), []);
    // until the next visit sees the person held on the day of the rumour.
    let visit = an(E::VisitedAndRegistered).on("2024-04-02");
    office.record(&person, visit).await;
    let case = office.case(&person).await;
    assert_eq!(confirmed(&case), S::DetentionRegistered);
    assert_eq!(reported(&case), S::DetentionRegistered);
    assert_eq!(contested(&case), [ContestedCause::ContradictedAllegation]);
    office.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_06_two_offline_workers_record_different_release_dates() {
    let office = Office::open().await;
    // Given a person who is registered,
    let person = office
        .new_case(vec![
            an(E::DetentionAcknowledged).on("2024-03-01"),
            an(E::VisitedAndRegistered).on("2024-03-02"),
        ])
        .await;
    // when two workers come back and record a release, confirmed: the one on 14 March, the other on
    // 12 March,
    let fourteenth = office
        .record(&person, an(E::Released).on("2024-03-14"))
        .await;
    let twelfth = office
        .record(&person, an(E::Released).on("2024-03-12"))
        .await;
    // then both are kept, the person is released, and a dispute is open between the two.
    let case = office.case(&person).await;
    assert_eq!(confirmed(&case), S::DetentionReleased);
    assert_eq!(contested(&case), [ContestedCause::OpenDispute]);
    assert_eq!(case.open_disputes, [fourteenth.as_str()]);
    let released = |happened: Vec<E>| happened.iter().filter(|it| **it == E::Released).count();
    assert_eq!(released(office.happened(&person).await), 2);
    let before = office.position().await;

    // When it turns out that the 14th was the day on which the list came, then it is corrected, and
    // both tell of one day.
    let correction = corrected(&fourteenth, an(E::Released).on("2024-03-12"));
    office.record(&person, correction).await;
    let case = office.case(&person).await;
    assert_eq!(contested(&case), []);
    assert_eq!(case.open_disputes, Vec::<String>::new());
    // Nothing is overwritten: the history names what was said first, and the old view stays.
    let history = office.history(&person).await;
    assert_eq!(history.len(), 5);
    assert_eq!(
        history[2]
            .record
            .as_ref()
            .unwrap()
            .event
            .as_ref()
            .unwrap()
            .occurred,
        "2024-03-14"
    );
    assert!(history[2].voided && !history[3].voided);
    let then = office.case_known_at(&person, before).await;
    assert_eq!(contested(&then), [ContestedCause::OpenDispute]);

    // When a third worker tells of the 20th, then a dispute is open again, and is resolved by those
    // who looked into it.
    let third = office
        .record(&person, an(E::Released).on("2024-03-20"))
        .await;
    let case = office.case(&person).await;
    assert_eq!(case.open_disputes, [third.as_str()]);
    assert_eq!(
        office.refused(&person, resolved(&twelfth)).await.reason,
        "DISPUTE_NOT_OPEN"
    );
    office.record(&person, resolved(&third)).await;
    let office = office.restarted().await;
    let case = office.case(&person).await;
    assert_eq!(confirmed(&case), S::DetentionReleased);
    assert_eq!(contested(&case), []);
    office.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_07_offline_events_that_arrive_out_of_order() {
    let office = Office::open().await;
    // Given what happened to a person,
    let history = || {
        [
            an(E::DetentionAlleged).on("2024-03-01"),
            an(E::DetentionAcknowledged).on("2024-03-02"),
            an(E::ProceedingsNotified).on("2024-03-03"),
            an(E::VisitedAndRegistered).on("2024-03-04"),
            an(E::Escaped).rumoured().on("2024-03-05"),
            an(E::PlaceTransferred).on("2024-03-06"),
            an(E::ProceedingsEnded).on("2024-03-07"),
            an(E::ReleaseListed).on("2024-03-08"),
        ]
    };
    let mut told = Vec::new();
    // when it arrives as it happened, or as the workers come back into coverage,
    for order in [
        [0, 1, 2, 3, 4, 5, 6, 7],
        [0, 3, 1, 5, 2, 6, 4, 7],
        [1, 7, 0, 5, 3, 4, 2, 6],
    ] {
        let events = history();
        let person = office.new_case(vec![events[order[0]].clone()]).await;
        for index in &order[1..] {
            office.record(&person, events[*index].clone()).await;
        }
        told.push(office.case(&person).await);
    }
    // then the case stands alike.
    for case in &told {
        assert_eq!(confirmed(case), S::DetentionReleasePending);
        assert_eq!(case.standing, told[0].standing);
        assert_eq!(case.detail, told[0].detail);
        assert_eq!(contested(case), [ContestedCause::ContradictedAllegation]);
    }
    office.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_07_late_events_that_only_fit_together() {
    let office = Office::open().await;
    // Given a person who was acknowledged on the 1st and moved to another place on the 4th,
    let person = office
        .new_case(vec![
            an(E::DetentionAcknowledged).on("2024-03-01"),
            an(E::PlaceTransferred).on("2024-03-04"),
        ])
        .await;
    // when a worker brings that they were lost on the 2nd and acknowledged anew on the 3rd, then
    // either alone is refused, and the refusal says what can be done:
    let lost = an(E::WhereaboutsLost).on("2024-03-02");
    let found = an(E::DetentionAcknowledged).on("2024-03-03");
    for (event, reason) in [(&lost, "SEQUENCE_BROKEN"), (&found, "EVENT_NOT_ALLOWED")] {
        let refused = office.refused(&person, event.clone()).await;
        assert_eq!(
            (refused.code, &*refused.reason),
            (Code::FailedPrecondition, reason)
        );
        assert_eq!(
            refused.facts["options"],
            "SUBMIT_TOGETHER,CORRECT_OR_RETRACT,RECORD_AS_ALLEGATION"
        );
        assert!(refused.message.contains("submit it together with"));
    }
    // submitted together they are recorded, in whatever order,
    let both = submission(vec![change(&person, vec![found, lost])]);
    office.submit(both).await;
    // and the case ends as it would have in order.
    let case = office.case(&person).await;
    assert_eq!(confirmed(&case), S::DetentionAcknowledged);
    assert_eq!(contested(&case), []);
    let then = office.case_true_at(&person, "2024-03-02").await;
    assert_eq!(confirmed(&then), S::DetentionWhereaboutsUnknown);

    // What the tables don't allow at all can be recorded as an allegation,
    let escape = an(E::Escaped).on("2024-03-03");
    assert_eq!(
        office.refused(&person, escape.clone()).await.reason,
        "SEQUENCE_BROKEN"
    );
    let rumour = an(E::Escaped).rumoured().on("2024-03-03");
    office.record(&person, rumour).await;
    // or with a resolution: what stands against it is retracted in the same submission.
    let transfer = office.history(&person).await[1].record.clone().unwrap();
    let transfer = transfer.event.unwrap().event_id;
    let events = vec![escape, retracted(&transfer)];
    office
        .submit(submission(vec![change(&person, events)]))
        .await;
    assert_eq!(confirmed(&office.case(&person).await), S::DetentionEscaped);
    office.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_08_the_same_submission_sent_twice_also_after_a_restart() {
    let mut office = Office::open().await;
    // Given a submission that was recorded,
    let request = submission(vec![change(
        &crate::support::fresh_uuid().to_string(),
        vec![an(E::DetentionAcknowledged), an(E::VisitedAndRegistered)],
    )]);
    let first = office.submit(request.clone()).await;
    assert!(!first.replayed);
    // when it is sent again, and once more after a restart,
    for _ in 0..2 {
        let again = office.submit(request.clone()).await;
        // then it is stored once, and the answer is the same.
        assert!(again.replayed);
        let as_first = v1::SubmitEventsResponse {
            replayed: false,
            ..again
        };
        assert_eq!(as_first, first);
        assert_eq!(office.position().await, 2);
        office = office.restarted().await;
    }
    // With another content its identifier is refused.
    let mut other = request.clone();
    other.changes[0].events.pop();
    assert_eq!(
        office.refused_whole(other).await.reason,
        "REQUEST_ID_REUSED"
    );
    office.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_09_recorded_today_about_two_years_ago() {
    let office = Office::open().await;
    // Given a person of whom an allegation was all that was known when the last report was made,
    let person = office
        .new_case(vec![an(E::DetentionAlleged).rumoured().on("2022-01-10")])
        .await;
    let report = office.position().await;
    let reported_at = office.case(&person).await.updated_at.unwrap();
    // when a visit of two years ago is recorded today,
    let visit = an(E::VisitedAndRegistered).on("2022-03-01");
    office.record(&person, visit).await;
    // then today's answer shows it, also for that time,
    assert_eq!(
        confirmed(&office.case(&person).await),
        S::DetentionRegistered
    );
    for (day, status) in [
        ("2022-02-01", S::DetentionAlleged),
        ("2022-03-01", S::DetentionRegistered),
    ] {
        assert_eq!(confirmed(&office.case_true_at(&person, day).await), status);
    }
    // and as it was known at the last report the old status still shows, also for that time.
    for known_at in [KnownAt::Position(report), KnownAt::RecordedAt(reported_at)] {
        for true_at in ["", "2022-03-01", "2024-01-01"] {
            let as_of = AsOf {
                known_at: Some(known_at),
                true_at: true_at.to_owned(),
            };
            let (case, possible) = office.case_as_of(&person, Some(as_of)).await;
            assert_eq!(confirmed(&case), S::DetentionAlleged);
            assert_eq!((case.version, possible), (1, None));
        }
    }
    office.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_18_a_merge_found_wrong_thirty_events_later() {
    let office = Office::open().await;
    // Given two cases that were taken for one person, and merged,
    let survivor = office
        .new_case(vec![an(E::DetentionAcknowledged).on("2024-02-01")])
        .await;
    let other = office
        .new_case(vec![an(E::DetentionAlleged).on("2024-01-15")])
        .await;
    office.submit(merge(&survivor, &other)).await;
    let merged = office.position().await;
    // and thirty events recorded since in the one that goes on, a third of them about the other
    // person,
    let (mut staying, mut going) = (Vec::new(), Vec::new());
    for day in 1..=30 {
        let event = an(E::ProofOfLifeReceived).on(&format!("2024-03-{day:02}"));
        let event_id = office.record(&survivor, event.clone()).await;
        if day % 3 == 0 {
            going.push((event_id, event));
        } else {
            staying.push(event_id);
        }
    }
    // when the merge is found wrong, then it is undone only once each of them is assigned:
    let undone = |staying_event_ids: Vec<String>| {
        let unmerged = v1::CasesUnmerged {
            other_case_id: other.clone(),
            role: MergeRole::Survivor.into(),
            staying_event_ids,
        };
        in_both(
            &survivor,
            fact(Payload::CasesUnmerged(unmerged)).on("2024-05-30"),
        )
    };
    let refused = office.refused_whole(undone(staying.clone())).await;
    assert_eq!(refused.reason, "EVENTS_NOT_ASSIGNED");
    assert!(going.iter().any(|(id, _)| refused.message.contains(id)));
    // those of the other person are retracted here, and the rest is named as staying.
    for (event_id, _) in &going {
        office.record(&survivor, retracted(event_id)).await;
    }
    office.submit(undone(staying.clone())).await;
    for (_, event) in &going {
        let anew = fact(event.payload.clone().unwrap()).on(&event.occurred);
        office.record(&other, anew).await;
    }
    // Then both stand for themselves, each with its own events,
    let cases = [office.case(&survivor).await, office.case(&other).await];
    for case in &cases {
        assert_eq!(case.standing.as_ref().unwrap().merged_into, "");
        assert_eq!(case.merged_case_ids, Vec::<String>::new());
    }
    assert_eq!(confirmed(&cases[0]), S::DetentionAcknowledged);
    assert_eq!(confirmed(&cases[1]), S::DetentionAlleged);
    let proofs = |happened: Vec<E>| {
        let proofs = happened.into_iter();
        proofs.filter(|it| *it == E::ProofOfLifeReceived).count()
    };
    assert_eq!(proofs(office.happened(&survivor).await), 20);
    assert_eq!(proofs(office.happened(&other).await), 10);
    // and what was told while they were one is still told of that time.
    let then = office.case_known_at(&other, merged).await;
    assert_eq!(then.standing.unwrap().merged_into, survivor);
    office.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_18_cases_of_two_kinds_are_not_merged() {
    let office = Office::open().await;
    let detention = office.new_case(vec![an(E::DetentionAlleged)]).await;
    let remains = office.new_case(vec![an(E::RemainsReported)]).await;
    let refused = office.refused_whole(merge(&detention, &remains)).await;
    assert_eq!(refused.code, Code::FailedPrecondition);
    assert_eq!(refused.reason, "CASES_OF_TWO_KINDS");
    assert!(
        refused
            .message
            .contains("a detention case and the other a remains case")
    );
    assert_eq!(
        refused.facts["field"],
        "changes[0].events[0].cases_merged.other_case_id"
    );
    assert_eq!(office.position().await, 2, "nothing of it is recorded");
    office.close().await;
}
