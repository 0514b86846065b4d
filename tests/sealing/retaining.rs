//! Retention: who is due, and that nobody is erased by it alone.

use casetrail::wire::v1::{EventType as E, ListRetentionDueRequest, PersonalClass as Class};

use super::office::{Office, one, subject, text};
use super::support::server::casetrail;
use super::support::valid_event;

/// The subjects that are due, and how many are requested.
async fn due(office: &Office) -> (Vec<String>, u64) {
    let answer = office
        .client
        .personal()
        .list_retention_due(ListRetentionDueRequest {})
        .await;
    let answer = answer.unwrap().into_inner();
    let mut due: Vec<_> = answer.due.into_iter().map(|it| it.subject_id).collect();
    due.sort();
    (due, answer.requested)
}

async fn close(office: &Office, case_id: &str) {
    office
        .submit(one(case_id, valid_event(E::CaseClosed)))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_subject_is_due_once_every_value_about_them_is_past_its_time() {
    let rules = [
        "--retention",
        "detention=0",
        "--retention",
        "detention:health=30",
        "--erasure-holding",
        "0",
    ];
    let mut office = Office::open_with(&rules).await;
    let (plain, ill, elsewhere, other_kind) = (subject(), subject(), subject(), subject());
    let closed = office
        .case_with(vec![
            text(&plain, Class::Identity, "one"),
            text(&ill, Class::Identity, "two"),
            text(&ill, Class::Health, "three"),
            text(&elsewhere, Class::Identity, "four"),
        ])
        .await;
    assert_eq!(due(&office).await, (vec![], 0));
    // Somebody about whom an open case says something, and one in a case of a kind without a rule.
    let open = office
        .case_with(vec![text(&elsewhere, Class::Identity, "five")])
        .await;
    let mut reported = valid_event(E::RemainsReported);
    reported.personal = vec![text(&other_kind, Class::Identity, "six")];
    let remains = super::support::fresh_uuid().to_string();
    office.submit(one(&remains, reported)).await.unwrap();
    close(&office, &remains).await;
    close(&office, &closed).await;
    assert_eq!(due(&office).await, (vec![plain.clone()], 0));
    close(&office, &open).await;
    let mut expected = vec![plain.clone(), elsewhere.clone()];
    expected.sort();
    assert_eq!(due(&office).await, (expected, 0));

    // It is requested by one and executed by another; until then nothing is erased.
    let mut command = casetrail(&["erasure", "due", "--request", "retention-2026", "--server"]);
    command.arg(office.url());
    let ran = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    assert!(ran.status.success(), "{ran:?}");
    assert_eq!(due(&office).await, (vec![], 2));
    assert_eq!(office.texts(&closed).await, ["one", "two", "three", "four"]);
    office.stop().await;
}

#[tokio::test]
async fn without_rules_nobody_is_due_and_a_malformed_rule_is_refused() {
    let mut office = Office::open().await;
    let case_id = office
        .case_with(vec![text(&subject(), Class::Identity, "one")])
        .await;
    close(&office, &case_id).await;
    assert_eq!(due(&office).await, (vec![], 0));
    office.stop().await;
    let data = office.data();
    for rule in [
        "detention",
        "detention=x",
        "nothing=3",
        "detention:all=3",
        "detention=99999999",
    ] {
        let refused = office
            .try_start(&data, &["--retention", rule])
            .await
            .unwrap_err();
        assert_eq!(refused.code, Some(2), "{rule}");
    }
}
