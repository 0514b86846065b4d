//! Search by name over restarts: the index is a view, and what it finds stands in the log.

use casetrail::wire::v1::{DisclosurePurpose, SearchByNameRequest};

use super::office::{Office, name, subject};

pub(super) async fn found(office: &Office, part: &str) -> Vec<String> {
    let request = SearchByNameRequest {
        name_parts: vec![part.to_owned()],
        birth_year: 0,
        purpose: DisclosurePurpose::Tracing.into(),
        purpose_reference: String::new(),
    };
    let answer = office.client.personal().search_by_name(request).await;
    let matches = answer.unwrap().into_inner().matches.into_iter();
    matches.map(|matching| matching.subject_id).collect()
}

#[tokio::test]
async fn names_are_found_again_after_a_restart_and_a_kill() {
    let mut office = Office::open().await;
    let (one, other) = (subject(), subject());
    office.case_with(vec![name(&one, "Зразкова")]).await;
    assert_eq!(found(&office, "Zrazkova").await, std::slice::from_ref(&one));
    office.stop().await;
    office.start().await;
    assert_eq!(found(&office, "Zrazkova").await, std::slice::from_ref(&one));
    // What is recorded after the first search is found at once.
    office.case_with(vec![name(&other, "Ostrowska")]).await;
    assert_eq!(
        found(&office, "Ostrovska").await,
        std::slice::from_ref(&other)
    );
    office.kill();
    office.start().await;
    assert_eq!(found(&office, "Ostrovska").await, [other]);
    assert_eq!(found(&office, "Zrazkova").await, [one]);
    office.stop().await;
}
