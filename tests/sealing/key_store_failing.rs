//! A key store that can't be written: what needs no write of it goes on, what does is refused and told,
//! and where only a write failed it goes on by itself.

use casetrail::wire::v1::PersonalClass as Class;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_types::StatusExt;

use super::inject::{Injection, can_inject};
use super::office::{Office, subject, text, with_values};
use super::support::until;

async fn reason(office: &Office, subject: &str) -> String {
    let request = with_values(vec![text(subject, Class::Identity, "refused")]);
    let refused = office.submit(request).await.unwrap_err();
    refused.get_details_error_info().unwrap().reason
}

async fn personal_serves(office: &Office) -> bool {
    let service = "casetrail.v1.PersonalService".to_owned();
    let mut health = HealthClient::new(office.client.0.clone());
    let checked = health.check(HealthCheckRequest { service }).await.unwrap();
    checked.into_inner().status() == ServingStatus::Serving
}

/// A failure of calls on the file of keys.
fn failing(office: &Office, calls: &str, failure: &str) -> Injection {
    let file = office.keys().join("subjects");
    Injection::begin(office.server(), calls, &file, failure)
}

#[tokio::test]
async fn on_a_full_disk_values_of_new_persons_wait_until_there_is_room() {
    if !can_inject() {
        return;
    }
    let mut office = Office::open().await;
    let known = subject();
    office
        .case_with(vec![text(&known, Class::Identity, "known")])
        .await;
    office.stop().await;
    office.start().await;
    let full = failing(&office, "pwrite64", "error=ENOSPC");
    let new = subject();
    for _ in 0..2 {
        assert_eq!(reason(&office, &new).await, "KEYS_UNAVAILABLE");
    }
    let status = office.client.status().await;
    assert!(status.keys_unavailable.contains("No space left"));
    assert_eq!(status.writing_ended, "");
    until(async || !personal_serves(&office).await).await;
    // Whoever has a key, and what needs none, is taken.
    let more = office.case_with(vec![text(&known, Class::Identity, "more")]);
    let more = more.await;
    assert_eq!(office.texts(&more).await, ["more"]);
    office.case_with(vec![]).await;
    assert!(full.end() > 0);
    until(async || office.client.status().await.keys_unavailable.is_empty()).await;
    let then = office
        .case_with(vec![text(&new, Class::Identity, "then")])
        .await;
    until(async || personal_serves(&office).await).await;
    office.kill();
    office.start().await;
    assert_eq!(office.texts(&then).await, ["then"]);
    assert_eq!(office.texts(&more).await, ["more"]);
    let log = office.stop().await;
    assert!(
        !log.contains("damaged") && !log.contains("panicked"),
        "{log}"
    );
}

#[tokio::test]
async fn whose_keys_are_is_written_once_it_can_be() {
    if !can_inject() {
        return;
    }
    let mut office = Office::open().await;
    // Keys are in stock before it fails.
    office
        .case_with(vec![text(&subject(), Class::Identity, "known")])
        .await;
    let broken = failing(&office, "pwrite64", "error=EIO");
    let new = subject();
    let of_new = office
        .case_with(vec![text(&new, Class::Identity, "new")])
        .await;
    until(async || office.log().contains("the key store was not told")).await;
    assert_eq!(state_of(&office, &new), None);
    assert!(broken.end() > 0);
    until(async || state_of(&office, &new).is_some()).await;
    office.kill();
    assert_eq!(state_of(&office, &new), Some(2));
    office.start().await;
    assert_eq!(office.texts(&of_new).await, ["new"]);
}

/// The state of the slot that tells of a subject; none where none does.
fn state_of(office: &Office, subject: &str) -> Option<u8> {
    let subject = uuid::Uuid::try_parse(subject).unwrap();
    let store = std::fs::read(office.keys().join("subjects")).unwrap();
    let mut slots = store[4096..].chunks_exact(128);
    let slot = slots.find(|slot| slot[16..32] == *subject.as_bytes());
    slot.map(|slot| slot[0])
}

#[tokio::test]
async fn a_sync_that_fails_ends_new_persons_until_a_restart_and_nothing_else() {
    if !can_inject() {
        return;
    }
    let mut office = Office::open().await;
    let known = subject();
    let of_known = office
        .case_with(vec![text(&known, Class::Identity, "known")])
        .await;
    office.stop().await;
    office.start().await;
    let broken = failing(&office, "fdatasync", "error=EIO");
    let new = subject();
    assert_eq!(reason(&office, &new).await, "KEYS_UNAVAILABLE");
    assert!(broken.end() > 0);
    until(async || !personal_serves(&office).await).await;
    // Also once a write that failed would have been tried again.
    let begin = std::time::Instant::now();
    while begin.elapsed() < std::time::Duration::from_secs(3) {
        assert_eq!(reason(&office, &new).await, "KEYS_UNAVAILABLE");
    }
    assert!(
        office
            .client
            .status()
            .await
            .keys_unavailable
            .contains("sync")
    );
    let more = office.case_with(vec![text(&known, Class::Identity, "more")]);
    let more = more.await;
    assert_eq!(office.texts(&of_known).await, ["known"]);
    office.stop().await;
    office.start().await;
    assert_eq!(office.texts(&more).await, ["more"]);
    let then = office
        .case_with(vec![text(&new, Class::Identity, "then")])
        .await;
    assert_eq!(office.texts(&then).await, ["then"]);
}
