//! Damage to the key store: whose a key is, and who was erased, comes back from the log; what can't come
//! back is told, and costs nobody else anything.

use std::os::unix::fs::FileExt;

use casetrail::wire::v1::PersonalClass as Class;
use tonic_types::StatusExt;

use super::erasing::erase;
use super::names::found;
use super::office::{Office, name, subject, text, with_values};
use super::rotating::rotate;
use super::support::until;

/// The bytes of a slot, and where it begins in the file.
fn slot_of(office: &Office, subject: &str) -> (u64, Vec<u8>) {
    let subject = uuid::Uuid::try_parse(subject).unwrap();
    let store = store(office);
    let mut slots = (0_u64..).zip(store[4096..].chunks_exact(128));
    let (number, slot) = slots
        .find(|(_, slot)| slot[16..32] == *subject.as_bytes())
        .unwrap();
    (4096 + number * 128, slot.to_vec())
}

fn store(office: &Office) -> Vec<u8> {
    std::fs::read(office.keys().join("subjects")).unwrap()
}

/// Flips a bit of the file, in place.
fn flip(office: &Office, at: u64) {
    let path = office.keys().join("subjects");
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
}

/// Waits until the server has logged something, which comes by another way than its answers.
async fn logged(office: &Office, what: &str) {
    until(async || office.log().contains(what)).await;
}

const DAMAGED: &str = "the key store is damaged";

#[tokio::test]
async fn a_slot_that_is_damaged_beside_its_key_gets_back_from_the_log_whose_it_is() {
    let mut office = Office::open().await;
    let mut persons = Vec::new();
    for number in 0..4 {
        let (subject, value) = (subject(), format!("value {number}"));
        let case_id = office
            .case_with(vec![text(&subject, Class::Identity, &value)])
            .await;
        persons.push((subject, case_id, value));
    }
    office.stop().await;
    let whole: Vec<_> = persons.iter().map(|it| slot_of(&office, &it.0)).collect();
    // The state, the checksum, what records call the key, and whose it is.
    for ((at, _), byte) in whole.iter().zip([0, 5, 11, 20]) {
        flip(&office, at + byte);
    }
    office.start().await;
    logged(&office, DAMAGED).await;
    // Persons who come new get none of those keys.
    for _ in 0..50 {
        let values = (0..50).map(|_| text(&subject(), Class::Health, "new"));
        office.case_with(values.collect()).await;
    }
    for (subject, case_id, value) in &persons {
        assert_eq!(office.texts(case_id).await, [value.as_str()]);
        let more = office.case_with(vec![text(subject, Class::Identity, "more")]);
        let more = more.await;
        assert_eq!(office.texts(&more).await, ["more"]);
    }
    office.stop().await;
    for ((at, slot), (subject, ..)) in whole.iter().zip(&persons) {
        assert_eq!(slot_of(&office, subject), (*at, slot.clone()));
    }
    office.start().await;
    for (_, case_id, value) in &persons {
        assert_eq!(office.texts(case_id).await, [value.as_str()]);
    }
    let log = office.stop().await;
    assert!(!log.contains(DAMAGED), "{log}");
}

#[tokio::test]
async fn a_key_that_is_damaged_is_told_once_and_costs_its_own_values_alone() {
    let mut office = Office::open().await;
    let (lost, kept) = (subject(), subject());
    let of_lost = office.case_with(vec![name(&lost, "Lostova")]).await;
    let of_kept = office.case_with(vec![name(&kept, "Keptova")]).await;
    office.stop().await;
    let (at, _) = slot_of(&office, &lost);
    flip(&office, at + 60);
    let damaged = store(&office)[usize::try_from(at).unwrap()..][..128].to_vec();
    let is_kept = |office: &Office| {
        assert!(store(office)[usize::try_from(at).unwrap()..][..128] == damaged);
    };
    // Nothing is lost by wrapping anew what could come back: that is left to a start with the log.
    let before = store(&office);
    let refused = rotate(&office, &[]);
    assert_eq!(refused.status.code(), Some(1));
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(told.contains("start the server with it once"), "{told}");
    assert!(store(&office) == before);

    let data = office.data();
    let refused = office.try_start(&data, &[]).await.unwrap_err();
    let told = &refused.stderr;
    assert!(told.contains("1 personal values"), "{told}");
    assert!(told.contains("it is damaged"), "{told}");
    office
        .try_start(&data, &["--accept-missing-keys"])
        .await
        .unwrap();
    for round in 0..3 {
        let opened = office.opened(&of_lost).await;
        assert_eq!((opened.entries.len(), opened.without_key), (0, 1));
        assert_eq!(office.opened(&of_kept).await.entries.len(), 1);
        assert_eq!(found(&office, "Lostova").await, Vec::<String>::new());
        assert_eq!(found(&office, "Keptova").await, std::slice::from_ref(&kept));
        for _ in 0..50 {
            let values = (0..50).map(|_| text(&subject(), Class::Health, "new"));
            office.case_with(values.collect()).await;
        }
        let log = office.stop().await;
        assert_eq!(log.contains(DAMAGED), round == 0, "{log}");
        is_kept(&office);
        // Accepted once, it is no question any more, and the master key can be changed.
        let rotated = rotate(&office, &[]);
        assert!(rotated.status.success(), "{rotated:?}");
        is_kept(&office);
        office.start().await;
    }
}

#[tokio::test]
async fn damage_to_an_erased_slot_or_a_store_that_is_cut_off_brings_nobody_back() {
    let mut office = Office::open_with(&["--erasure-holding", "0"]).await;
    let (gone, stays) = (subject(), subject());
    let of_gone = office
        .case_with(vec![text(&gone, Class::Identity, "dark")])
        .await;
    let of_stays = office
        .case_with(vec![text(&stays, Class::Identity, "light")])
        .await;
    erase(&office, &of_gone, &gone).await;
    office.stop().await;
    for round in 0..2 {
        let (at, _) = slot_of(&office, &gone);
        if round == 0 {
            flip(&office, at + 17);
        } else {
            // Only what stands behind the first person's slot is gone, the erasure among it.
            let path = office.keys().join("subjects");
            let file = std::fs::File::options().write(true).open(path).unwrap();
            file.set_len(at).unwrap();
        }
        office.start().await;
        logged(&office, DAMAGED).await;
        let again = office
            .submit(with_values(vec![text(&gone, Class::Identity, "again")]))
            .await;
        let reason = again.unwrap_err().get_details_error_info().unwrap().reason;
        assert_eq!(reason, "SUBJECT_ERASED");
        let opened = office.opened(&of_gone).await;
        assert_eq!((opened.entries.len(), opened.erased), (0, 1));
        assert_eq!(office.texts(&of_stays).await, ["light"]);
        office.stop().await;
        office.start().await;
        let log = office.stop().await;
        assert!(!log.contains(DAMAGED), "{log}");
    }
}

#[tokio::test]
async fn a_key_that_is_damaged_while_the_server_runs_leaves_every_other_name_to_be_found() {
    let mut office = Office::open().await;
    let (lost, kept) = (subject(), subject());
    let of_lost = office.case_with(vec![name(&lost, "Lostova")]).await;
    office.case_with(vec![name(&kept, "Keptova")]).await;
    office.stop().await;
    let (at, _) = slot_of(&office, &lost);
    office.start().await;
    flip(&office, at + 60);
    assert_eq!(found(&office, "Keptova").await, std::slice::from_ref(&kept));
    assert_eq!(found(&office, "Lostova").await, Vec::<String>::new());
    let opened = office.opened(&of_lost).await;
    assert_eq!((opened.entries.len(), opened.without_key), (0, 1));
    logged(&office, "a key in the key store is damaged").await;
    // They get no second key.
    let more = office
        .submit(with_values(vec![text(&lost, Class::Identity, "more")]))
        .await;
    let reason = more.unwrap_err().get_details_error_info().unwrap().reason;
    assert_eq!(reason, "KEYS_UNAVAILABLE");
    // The key is whole again, as from a copy.
    flip(&office, at + 60);
    flip(&office, at + 20);
    assert_eq!(office.opened(&of_lost).await.entries.len(), 1);
}
