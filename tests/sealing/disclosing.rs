//! Every disclosure is recorded: to whom, whose, of which class, how many, what for.

use casetrail::wire::v1::{
    Disclosure, DisclosurePurpose, ListDisclosuresRequest, PersonalClass as Class,
};
use tonic::Code;

use super::office::{Office, asking, subject, text};

async fn disclosures(office: &Office, subject: &str) -> Vec<Disclosure> {
    let mut request = ListDisclosuresRequest {
        subject_id: subject.to_owned(),
        page_size: 2,
        page_token: String::new(),
    };
    let mut all = Vec::new();
    loop {
        let page = office
            .client
            .personal()
            .list_disclosures(request.clone())
            .await;
        let page = page.unwrap().into_inner();
        all.extend(page.disclosures);
        if page.next_page_token.is_empty() {
            return all;
        }
        request.page_token = page.next_page_token;
    }
}

#[tokio::test]
async fn a_subject_can_be_told_who_saw_what_and_what_for_also_after_a_kill() {
    let mut office = Office::open().await;
    let (seen, other, unread) = (subject(), subject(), subject());
    let first = office
        .case_with(vec![
            text(&seen, Class::Identity, "one"),
            text(&seen, Class::Identity, "two"),
            text(&seen, Class::Health, "three"),
            text(&other, Class::Identity, "four"),
        ])
        .await;
    let second = office
        .case_with(vec![text(&seen, Class::Place, "five")])
        .await;
    office
        .case_with(vec![text(&unread, Class::Identity, "six")])
        .await;
    let answer = office.ask(asking(&[&first, &second])).await.unwrap();
    assert_eq!((answer.entries.len(), answer.disclosure), (5, Some(0)));
    let mut again = asking(&[&second]);
    again.purpose = DisclosurePurpose::SubjectRequest.into();
    assert_eq!(office.ask(again).await.unwrap().disclosure, Some(1));
    // What discloses nothing is not recorded.
    let mut nothing = asking(&[&second]);
    nothing.classes = vec![Class::Wishes.into()];
    assert_eq!(office.ask(nothing).await.unwrap().disclosure, None);

    office.kill();
    office.start().await;
    let told = disclosures(&office, &seen).await;
    assert_eq!(told.iter().map(|it| it.number).collect::<Vec<_>>(), [0, 1]);
    let disclosure = &told[0];
    assert_eq!(
        (disclosure.actor.as_str(), disclosure.organisation.as_str()),
        ("reader-7", "org-1")
    );
    assert_eq!(disclosure.purpose(), DisclosurePurpose::CaseWork);
    assert_eq!(disclosure.purpose_reference, "visit-88");
    assert!(disclosure.recorded_at.is_some());
    let mut counts: Vec<_> = disclosure
        .values
        .iter()
        .map(|it| (it.case_id.as_str(), it.personal_class(), it.count))
        .collect();
    counts.sort();
    let mut expected = vec![
        (first.as_str(), Class::Identity, 2),
        (first.as_str(), Class::Health, 1),
        (second.as_str(), Class::Place, 1),
    ];
    expected.sort();
    assert_eq!(counts, expected);
    assert!(disclosure.values.iter().all(|it| it.subject_id == seen));
    assert_eq!(told[1].purpose(), DisclosurePurpose::SubjectRequest);

    assert_eq!(disclosures(&office, &other).await.len(), 1);
    assert_eq!(disclosures(&office, &unread).await, []);
    assert_eq!(disclosures(&office, "").await.len(), 2);
    // It goes on under the next number.
    assert_eq!(
        office.ask(asking(&[&first])).await.unwrap().disclosure,
        Some(2)
    );
}

#[tokio::test]
async fn nothing_is_disclosed_without_a_purpose() {
    let office = Office::open().await;
    let case_id = office
        .case_with(vec![text(&subject(), Class::Identity, "one")])
        .await;
    let mut request = asking(&[&case_id]);
    request.purpose = DisclosurePurpose::Unspecified.into();
    let refused = office.ask(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(disclosures(&office, "").await, []);
}

#[tokio::test]
async fn a_torn_end_of_the_record_of_disclosures_is_cut_and_kept_aside() {
    let mut office = Office::open().await;
    let case_id = office
        .case_with(vec![text(&subject(), Class::Identity, "one")])
        .await;
    for _ in 0..3 {
        office.ask(asking(&[&case_id])).await.unwrap();
    }
    office.stop().await;
    let file = office.data().join("disclosures");
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() - 3]).unwrap();
    office.start().await;
    assert_eq!(disclosures(&office, "").await.len(), 2);
    let aside = std::fs::read_dir(office.data()).unwrap();
    let aside = aside.filter(|it| {
        let name = it.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with("disclosures.torn-at-")
    });
    assert_eq!(aside.count(), 1);
    assert_eq!(
        office.ask(asking(&[&case_id])).await.unwrap().disclosure,
        Some(2)
    );
}
