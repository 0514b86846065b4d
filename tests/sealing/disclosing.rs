//! Every disclosure is recorded: to whom, whose, of which class, how many, what for.

use std::os::unix::fs::PermissionsExt;

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

/// A case of which this many disclosures are recorded.
async fn disclosed(office: &Office, times: u64) -> String {
    let case_id = office
        .case_with(vec![text(&subject(), Class::Identity, "one")])
        .await;
    for number in 0..times {
        let answer = office.ask(asking(&[&case_id])).await.unwrap();
        assert_eq!(answer.disclosure, Some(number));
    }
    case_id
}

async fn numbers(office: &Office) -> Vec<u64> {
    let told = disclosures(office, "").await;
    told.iter().map(|it| it.number).collect()
}

/// What was put aside of the record of disclosures, each file for its owner alone.
fn put_aside(office: &Office) -> Vec<(String, Vec<u8>)> {
    let files = std::fs::read_dir(office.data()).unwrap();
    let files = files.filter_map(|file| {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let suffix = name.strip_prefix("disclosures.")?.to_owned();
        if suffix == "mark" {
            return None;
        }
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
        Some((suffix, std::fs::read(&path).unwrap()))
    });
    files.collect()
}

/// Places of the frames in a record of disclosures, and of its end.
fn frames(bytes: &[u8]) -> Vec<usize> {
    let mut places = vec!["casetrail disclosures 2\n".len()];
    while let Some(head) = bytes
        .get(*places.last().unwrap()..)
        .and_then(|it| it.get(..4))
    {
        let length = u32::from_be_bytes(head.try_into().unwrap());
        places.push(places.last().unwrap() + 16 + length as usize);
    }
    places
}

#[tokio::test]
async fn a_torn_end_of_the_record_of_disclosures_is_cut_and_kept_aside() {
    let mut office = Office::open().await;
    let case_id = disclosed(&office, 3).await;
    office.stop().await;
    // A crash tore a fourth and a fifth one, before either was durable and could be told.
    let file = office.data().join("disclosures");
    let whole = std::fs::read(&file).unwrap();
    let places = frames(&whole);
    let fourth = &whole[places[1]..places[2]];
    let torn = [&fourth[..fourth.len() - 3], b"\0\0\0", fourth].concat();
    std::fs::write(&file, [&whole[..], &torn].concat()).unwrap();
    office.start().await;
    assert_eq!(numbers(&office).await, [0, 1, 2]);
    let expected = (format!("torn-at-{}", whole.len()), torn);
    assert_eq!(put_aside(&office), [expected]);
    let next = office.ask(asking(&[&case_id])).await.unwrap();
    assert_eq!(next.disclosure, Some(3));
}

#[tokio::test]
async fn damage_in_the_record_of_disclosures_refuses_the_start_and_takes_no_others_along() {
    // Also where the server was killed and no mark tells how many there were.
    for (damaged, is_killed) in [(0, false), (2, false), (0, true), (4, true)] {
        let mut office = Office::open().await;
        let case_id = disclosed(&office, 6).await;
        if is_killed {
            office.kill();
        } else {
            office.stop().await;
        }
        let file = office.data().join("disclosures");
        let mut bytes = std::fs::read(&file).unwrap();
        let place = frames(&bytes)[damaged];
        bytes[place + 20] ^= 4;
        std::fs::write(&file, &bytes).unwrap();
        let data = office.data();
        for _ in 0..2 {
            let refused = office.try_start(&data, &[]).await.unwrap_err();
            assert_eq!(refused.code, Some(1));
            let told = &refused.stderr;
            assert!(told.contains(&format!("damaged at byte {place}")), "{told}");
            assert!(told.contains("--accept-missing-disclosures"), "{told}");
            assert_eq!(std::fs::read(&file).unwrap(), bytes, "nothing is changed");
        }
        let accepted = ["--accept-missing-disclosures"];
        office.try_start(&data, &accepted).await.unwrap();
        let kept: Vec<u64> = (0..6).filter(|number| *number != damaged as u64).collect();
        assert_eq!(numbers(&office).await, kept);
        assert_eq!(put_aside(&office), [(format!("damaged-at-{place}"), bytes)]);
        let next = office.ask(asking(&[&case_id])).await.unwrap();
        assert_eq!(next.disclosure, Some(6));
        // Accepted once, it is no question any more.
        office.stop().await;
        office.start().await;
        assert_eq!(numbers(&office).await, [kept, vec![6]].concat());
    }
}

#[tokio::test]
async fn a_record_of_disclosures_that_is_gone_or_shorter_refuses_the_start() {
    for left in [None, Some(0), Some(2)] {
        let mut office = Office::open().await;
        let case_id = disclosed(&office, 3).await;
        office.stop().await;
        let file = office.data().join("disclosures");
        match left {
            None => std::fs::remove_file(&file).unwrap(),
            Some(frame) => {
                let bytes = std::fs::read(&file).unwrap();
                std::fs::write(&file, &bytes[..frames(&bytes)[frame]]).unwrap();
            }
        }
        let data = office.data();
        let refused = office.try_start(&data, &[]).await.unwrap_err();
        assert_eq!(refused.code, Some(1));
        let told = &refused.stderr;
        assert!(
            told.contains("those before number 3 were once recorded"),
            "{told}"
        );
        assert!(told.contains("--accept-missing-disclosures"), "{told}");
        let accepted = ["--accept-missing-disclosures"];
        office.try_start(&data, &accepted).await.unwrap();
        let kept: Vec<u64> = (0..left.unwrap_or_default() as u64).collect();
        assert_eq!(numbers(&office).await, kept);
        // Accepted once, it is no question any more, also before anything else is disclosed.
        office.stop().await;
        office.start().await;
        assert_eq!(numbers(&office).await, kept);
        // No number is given a second time.
        let next = office.ask(asking(&[&case_id])).await.unwrap();
        assert_eq!(next.disclosure, Some(3));
        office.stop().await;
        office.start().await;
    }
}
