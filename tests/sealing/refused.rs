//! Submissions that are refused: what they hold is sealed before they are judged, and leaves nothing of
//! the persons whom they name.

use casetrail::wire::v1::{PersonalClass as Class, SubmitEventsRequest, case_change::Expected};
use tonic_types::StatusExt;

use super::office::{Office, subject, text, with_values};

/// A submission about persons, to a case in a version that it hasn't.
fn stale(subjects: &[String]) -> SubmitEventsRequest {
    let values = subjects
        .iter()
        .map(|subject| text(subject, Class::Identity, "refused"));
    let mut request = with_values(values.collect());
    request.changes[0].expected = Some(Expected::ExactVersion(7));
    request
}

async fn refuse(office: &Office, subjects: &[String]) {
    let refused = office.submit(stale(subjects)).await.unwrap_err();
    let reason = refused.get_details_error_info().unwrap().reason;
    assert_eq!(reason, "STALE_VERSION");
}

/// How many slots of the store are somebody's, and how many there are.
fn slots(office: &Office) -> (usize, usize) {
    let store = std::fs::read(office.keys().join("subjects")).unwrap();
    let slots = store[4096..].chunks_exact(128);
    (
        slots.clone().filter(|slot| slot[0] == 2).count(),
        slots.len(),
    )
}

#[tokio::test]
async fn a_refused_submission_binds_no_key_and_its_persons_can_be_recorded_later() {
    let mut office = Office::open().await;
    let persons: Vec<String> = (0..3).map(|_| subject()).collect();
    let mut cases = Vec::new();
    let mut sizes = Vec::new();
    for (round, person) in persons.iter().enumerate() {
        for _ in 0..50 {
            let subjects: Vec<_> = (0..60).map(|_| subject()).collect();
            refuse(&office, &subjects).await;
        }
        // Refused before they are recorded, and after.
        refuse(&office, &persons).await;
        let value = format!("value {round}");
        let values = vec![text(person, Class::Identity, &value)];
        cases.push((office.case_with(values).await, value));
        refuse(&office, &persons).await;
        if round == 0 {
            office.kill();
        } else {
            office.stop().await;
            assert_eq!(slots(&office).0, round + 1);
        }
        sizes.push(slots(&office).1);
        office.start().await;
        for (case_id, value) in &cases {
            assert_eq!(office.texts(case_id).await, [value.as_str()]);
        }
    }
    // What was refused before a start takes no room of its own after it: what grows is what is in use.
    let growth = sizes.last().unwrap() - sizes.first().unwrap();
    assert!(growth <= persons.len(), "{sizes:?}");
}
