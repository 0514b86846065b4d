//! What sealing holds by itself, without a log.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use hmac::Mac;
use tempfile::TempDir;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::key::SubjectKey;
use super::slot::Slot;
use super::value::{self, Bond};
use super::{KeyStore, Keyring, Mark, MasterKeySource, Unopened};
use crate::wire::v1::{PersonalClass as Class, PersonalValue, personal_value::Value};

fn text(text: &str) -> PersonalValue {
    PersonalValue {
        subject_id: String::new(),
        personal_class: 0,
        field: "note".to_owned(),
        value: Some(Value::Text(text.to_owned())),
    }
}

fn key(byte: u8) -> SubjectKey {
    SubjectKey::new(7, Zeroizing::new([byte; 32]))
}

fn bond() -> Bond {
    Bond {
        case_id: Uuid::from_u128(1),
        event_id: Uuid::from_u128(2),
        subject: Uuid::from_u128(3),
        class: Class::Health,
        place: 4,
    }
}

#[test]
fn a_value_opens_only_where_it_was_sealed_for_and_unchanged() {
    let key_of = key(1);
    let cipher = key_of.of_class(Class::Health).unwrap();
    let sealed = value::seal(cipher, &bond(), &text("as it is"), &mut key_of.marker()).unwrap();
    assert!(value::is_sealed_length(&sealed));
    assert!(value::open(cipher, &bond(), &sealed).unwrap() == text("as it is"));
    let other = Uuid::from_u128(9);
    for moved in [
        Bond {
            case_id: other,
            ..bond()
        },
        Bond {
            event_id: other,
            ..bond()
        },
        Bond {
            subject: other,
            ..bond()
        },
        Bond {
            class: Class::Identity,
            ..bond()
        },
        Bond { place: 5, ..bond() },
    ] {
        assert!(value::open(cipher, &moved, &sealed).is_none(), "{moved:?}");
    }
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert!(value::open(cipher, &bond(), &changed).is_none(), "{at}");
        assert!(
            value::open(cipher, &bond(), &sealed[..at]).is_none(),
            "{at}"
        );
    }
    for other in [
        key(2).of_class(Class::Health).unwrap(),
        key(1).of_class(Class::Identity).unwrap(),
    ] {
        assert!(value::open(other, &bond(), &sealed).is_none());
    }
    assert!(key_of.of_class(Class::Unspecified).is_none());
}

#[test]
fn a_mark_tells_values_places_and_keys_apart_and_not_their_sealing() {
    let mark = |key: &SubjectKey, bond: Bond, of: &str| {
        let mut marker = key.marker();
        let cipher = key.of_class(bond.class).unwrap();
        value::seal(cipher, &bond, &text(of), &mut marker).unwrap();
        marker.finalize().into_bytes()
    };
    let one = mark(&key(1), bond(), "one");
    assert_eq!(one, mark(&key(1), bond(), "one"));
    assert_ne!(one, mark(&key(1), bond(), "two"));
    assert_ne!(one, mark(&key(2), bond(), "one"));
    assert_ne!(one, mark(&key(1), Bond { place: 0, ..bond() }, "one"));
}

#[test]
fn random_bytes_that_come_again_make_equal_nonces_only_for_equal_values_in_equal_places() {
    let random = [3; 24];
    let nonce = |key: &SubjectKey, bond: Bond, of: &str| {
        let mut marker = key.marker();
        let cipher = key.of_class(bond.class).unwrap();
        value::seal(cipher, &bond, &text(of), &mut marker).unwrap();
        value::nonce(random, &marker)
    };
    let one = nonce(&key(1), bond(), "one");
    assert_eq!(one, nonce(&key(1), bond(), "one"));
    assert_ne!(one, nonce(&key(1), bond(), "two"));
    assert_ne!(one, nonce(&key(2), bond(), "one"));
    assert_ne!(one, nonce(&key(1), Bond { place: 0, ..bond() }, "one"));
    let marker = key(1).marker();
    assert_ne!(
        value::nonce([3; 24], &marker),
        value::nonce([4; 24], &marker)
    );
    // The stored bytes begin with it, and none comes twice.
    let key = key(1);
    let cipher = key.of_class(Class::Health).unwrap();
    let sealed = |_| value::seal(cipher, &bond(), &text("as it is"), &mut key.marker()).unwrap();
    let nonces: std::collections::HashSet<_> = (0..100)
        .map(|number| sealed(number)[..24].to_vec())
        .collect();
    assert_eq!(nonces.len(), 100);
}

#[tokio::test]
async fn a_key_whose_submission_was_not_recorded_stays_the_subjects_and_is_bound_to_nobody() {
    let folder = Folder(TempDir::new().unwrap());
    let keyring = Keyring::start(folder.open()).unwrap();
    let (refused, recorded) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let key_of = |submission: crate::wire::validate::Submission| {
        let change = submission.changes.into_iter().next().unwrap();
        let event = change.events.into_iter().next().unwrap();
        event.into_stored().1.remove(0).key_id
    };
    let mut keys = std::collections::HashSet::new();
    for _ in 0..3 {
        let mut submission = submission_about(refused);
        drop(keyring.seal(&mut submission).await.unwrap());
        keys.insert(key_of(submission));
    }
    assert_eq!(keys.len(), 1);
    let mut submission = submission_about(recorded);
    let new_keys = keyring.seal(&mut submission).await.unwrap();
    new_keys.accepted();
    keyring.recorded([&new_keys]);
    let again = keyring.seal(&mut submission_about(recorded)).await.unwrap();
    // It is known by now, and nothing more is to be told.
    keyring.recorded([&again, &new_keys]);
    let position = 1;
    let anchor = [1; 32];
    keyring.record(Mark { position, anchor }).unwrap();
    drop(keyring);
    let store = folder.open();
    assert_eq!(store.subjects(), 1);
    let bound = std::fs::read(folder.0.path().join("subjects")).unwrap();
    let bound: Vec<_> = bound[4096..]
        .chunks(128)
        .filter(|slot| slot[0] == 2)
        .collect();
    assert_eq!(bound.len(), 1);
    assert_eq!(bound[0][8..16], key_of(submission).to_be_bytes());
}

#[test]
fn a_slot_that_is_torn_beside_its_key_still_has_it_and_an_erased_one_has_none() {
    let master = XChaCha20Poly1305::new(&[5; 32].into());
    let key = Zeroizing::new([6; 32]);
    let slot = Slot::spare(&master, 11, [7; 24], &key).unwrap();
    let subject = Uuid::from_u128(12);
    let bound = slot.bound_to(subject).encode();
    assert_eq!(Slot::decode(&bound).unwrap().subject, subject);
    assert_eq!(
        Slot::decode(&bound).unwrap().key(&master),
        Some(key.clone())
    );
    // Wherever it is damaged but in the key, the record that names the key and its subject gets it back.
    for at in 0..128 {
        let mut torn = bound;
        torn[at] ^= 1;
        let holds_key = (32..104).contains(&at);
        let slot = Slot::decode(&torn).or_else(|| Slot::salvaged(&torn, 11, &master));
        let salvaged = slot.map(|slot| (slot.key_id, slot.key(&master)));
        let whole = Some((11, Some(key.clone())));
        assert_eq!(salvaged, whole.filter(|_| !holds_key), "{at}");
        assert!(Slot::salvaged(&torn, 12, &master).is_none(), "{at}");
    }
    let erased = Slot::erased(11, subject).encode();
    assert_eq!(erased[32..], [0; 96]);
    assert_eq!(Slot::decode(&erased).unwrap().key(&master), None);
    assert!(Slot::salvaged(&erased, 11, &master).is_none());
}

struct Folder(TempDir);

impl Folder {
    fn open(&self) -> KeyStore {
        let master = MasterKeySource::File(self.0.path().join("master.key"));
        match KeyStore::open(self.0.path(), &master).unwrap() {
            Some(store) => store,
            None => KeyStore::make(self.0.path(), &master).unwrap(),
        }
    }
}

#[test]
fn a_mark_that_is_torn_leaves_the_one_before() {
    let folder = Folder(TempDir::new().unwrap());
    let mark = |position: u8| Mark {
        position: position.into(),
        anchor: [position; 32],
    };
    let mut store = folder.open();
    for position in 1..=5 {
        store.set_mark(mark(position)).unwrap();
    }
    drop(store);
    assert_eq!(folder.open().mark(), mark(5));
    let path = folder.0.path().join("subjects");
    for (at, left) in [(512, 4), (1024, 5)] {
        // The fifth is in the first place, the fourth in the second.
        let whole = std::fs::read(&path).unwrap();
        let mut torn = whole.clone();
        torn[at + 20] ^= 1;
        std::fs::write(&path, torn).unwrap();
        assert_eq!(folder.open().mark(), mark(left));
        std::fs::write(&path, whole).unwrap();
    }
}

/// What a failed sync left is read as it was written until the power is cut, and then as it was before.
#[tokio::test]
async fn what_the_log_says_behind_the_mark_is_written_again_whatever_the_file_seems_to_hold() {
    let folder = Folder(TempDir::new().unwrap());
    let keyring = Keyring::start(folder.open()).unwrap();
    let (gone, stays) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let mut key_ids = Vec::new();
    for subject in [gone, stays] {
        let mut submission = submission_about(subject);
        let new_keys = keyring.seal(&mut submission).await.unwrap();
        keyring.recorded([&new_keys]);
        let event = submission.changes.remove(0).events.remove(0);
        key_ids.push(event.into_stored().1.remove(0).key_id);
    }
    let path = folder.0.path().join("subjects");
    let on_the_disk = std::fs::read(&path).unwrap();
    keyring.erase(&[gone]).unwrap();
    keyring.record(Mark::default()).unwrap();
    drop(keyring);
    let mut store = folder.open();
    std::fs::write(&path, &on_the_disk).unwrap();
    for _ in 0..2 {
        assert!(store.note_sealed(gone, key_ids[0]).unwrap());
        assert!(store.note_sealed(stays, key_ids[1]).unwrap());
    }
    store.note_erased(gone).unwrap();
    store.set_mark(Mark::default()).unwrap();
    drop(store);
    let held = std::fs::read(&path).unwrap();
    let slot_of = |subject: Uuid| {
        let mut slots = held[4096..].chunks(128);
        slots.find(|slot| slot[16..32] == *subject.as_bytes())
    };
    assert_eq!(slot_of(stays).unwrap()[0], 2);
    assert_eq!(slot_of(gone).unwrap()[32..], [0; 96]);
}

/// As where the erasure could not be written, and the server ended before it was tried again.
#[tokio::test]
async fn a_key_that_is_still_to_be_destroyed_is_found_by_a_start_that_reads_of_the_erasure_alone() {
    let folder = Folder(TempDir::new().unwrap());
    let keyring = Keyring::start(folder.open()).unwrap();
    let gone = Uuid::from_u128(1);
    let new_keys = keyring.seal(&mut submission_about(gone)).await.unwrap();
    keyring.recorded([&new_keys]);
    let path = folder.0.path().join("subjects");
    let before = std::fs::read(&path).unwrap();
    keyring.erase(&[gone]).unwrap();
    let after = std::fs::read(&path).unwrap();
    let mut slots = before[4096..].chunks(128).zip(after[4096..].chunks(128));
    let key = slots.find(|(before, after)| before != after).unwrap().0;
    std::fs::write(&path, &before).unwrap();
    keyring.record(Mark::default()).unwrap();
    drop(keyring);
    let mut store = folder.open();
    store.note_erased(gone).unwrap();
    let left = std::fs::read(&path).unwrap();
    assert!(memchr::memmem::find(&left, &key[32..104]).is_none());
}

#[tokio::test]
async fn a_key_that_is_erased_while_it_is_looked_up_is_not_told_as_damaged() {
    let folder = Folder(TempDir::new().unwrap());
    let keyring = Keyring::start(folder.open()).unwrap();
    let gone = Uuid::from_u128(1);
    let new_keys = keyring.seal(&mut submission_about(gone)).await.unwrap();
    keyring.recorded([&new_keys]);
    keyring.record(Mark::default()).unwrap();
    drop(keyring);
    let store = folder.open();
    let looked_up = store.index[&gone];
    let shared = super::shared::Shared::new(store);
    shared.erase(&[gone]).unwrap();
    let told = shared.known_key(gone, looked_up);
    assert!(matches!(told, Err(Unopened::Erased)));
}

#[tokio::test]
async fn a_key_that_was_in_use_is_of_no_use_once_it_is_erased() {
    let folder = Folder(TempDir::new().unwrap());
    let keyring = Keyring::start(folder.open()).unwrap();
    let (gone, stays) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let mut sealed = Vec::new();
    for subject in [gone, stays] {
        let mut submission = submission_about(subject);
        let new_keys = keyring.seal(&mut submission).await.unwrap();
        keyring.recorded([&new_keys]);
        let change = submission.changes.remove(0);
        let event = change.events.into_iter().next().unwrap();
        let event_id = event.event_id();
        sealed.push((change.case_id, event_id, event.into_stored().1.remove(0)));
    }
    let opened = |index: usize| {
        let (case_id, event_id, sealed) = &sealed[index];
        keyring
            .open(*case_id, *event_id, sealed, 0)
            .map(|value| value.value.clone())
    };
    let is = Ok(Some(Value::Text("as it is".to_owned())));
    assert!(opened(0) == is && opened(1) == is);
    keyring.erase(&[gone]).unwrap();
    assert!(opened(0) == Err(Unopened::Erased));
    assert!(opened(1) == is);
    assert!(keyring.seal(&mut submission_about(gone)).await.is_err());
    // A key by another name is not here.
    let (case_id, event_id, mut other) = sealed[1].clone();
    other.key_id ^= 1;
    let unknown = keyring.open(case_id, event_id, &other, 0);
    assert!(unknown == Err(Unopened::KeyNotHere));
}

fn submission_about(subject: Uuid) -> crate::wire::validate::Submission {
    use crate::wire::v1::{self, event::Payload};
    let mut personal = text("as it is");
    personal.subject_id = subject.to_string();
    personal.personal_class = Class::Health.into();
    let event = v1::Event {
        event_id: Uuid::from_u128(subject.as_u128() + 100).to_string(),
        occurred: "2024-03-05".to_owned(),
        source: Some(v1::Source {
            reference: "visit-1".to_owned(),
            connection: v1::SourceConnection::OwnStaff.into(),
            reliability: v1::SourceReliability::HighlyReliable.into(),
        }),
        credibility: v1::Credibility::Confirmed.into(),
        personal: vec![personal],
        payload: Some(Payload::Escaped(v1::Escaped {})),
        ..v1::Event::default()
    };
    let request = v1::SubmitEventsRequest {
        request_id: Uuid::from_u128(subject.as_u128() + 200).to_string(),
        changes: vec![v1::CaseChange {
            case_id: Uuid::from_u128(subject.as_u128() + 300).to_string(),
            expected: None,
            events: vec![event],
        }],
    };
    crate::wire::validate::submission(request, crate::wire::edtf::Day::MAX).unwrap()
}
