//! Erasure: requested, held, executed by a second person; then the key is nowhere, and no older copy
//! brings anything back.

use std::path::{Path, PathBuf};

use casetrail::wire::v1::{
    EventType as E, PersonalClass as Class, Record, SubmitEventsRequest, event::Payload,
};
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use prost::Message;
use tonic_types::StatusExt;

use super::office::{Office, one, subject, text, with_values};
use super::rotating::rotate;
use super::support::server::{casetrail, copy};
use super::support::{fresh_uuid, valid_event};

/// An office where nobody waits for an erasure, and a case with values of two subjects: "dark" of the
/// first, and "light" of the second.
pub(super) async fn of_two() -> (Office, String, [String; 2]) {
    let office = Office::open_with(&["--erasure-holding", "0"]).await;
    let subjects = [subject(), subject()];
    let case_id = office
        .case_with(vec![
            text(&subjects[0], Class::Identity, "dark"),
            text(&subjects[1], Class::Identity, "light"),
        ])
        .await;
    (office, case_id, subjects)
}

pub(super) fn requested(case_id: &str, subject: &str) -> (String, SubmitEventsRequest) {
    let mut event = valid_event(E::ErasureRequested);
    if let Some(Payload::ErasureRequested(payload)) = &mut event.payload {
        payload.subject_id = subject.to_owned();
    }
    (event.event_id.clone(), one(case_id, event))
}

pub(super) fn executed(case_id: &str, subject: &str, request: &str) -> SubmitEventsRequest {
    let mut event = valid_event(E::ErasureExecuted);
    if let Some(Payload::ErasureExecuted(payload)) = &mut event.payload {
        payload.subject_id = subject.to_owned();
        payload.request_event_id = request.to_owned();
    }
    one(case_id, event)
}

fn refused(case_id: &str, request: &str) -> SubmitEventsRequest {
    let mut event = valid_event(E::ErasureRefused);
    if let Some(Payload::ErasureRefused(payload)) = &mut event.payload {
        payload.request_event_id = request.to_owned();
    }
    one(case_id, event)
}

pub async fn reason(office: &Office, actor: &'static str, request: SubmitEventsRequest) -> String {
    let refused = office.submit_as(actor, request).await.unwrap_err();
    refused.get_details_error_info().unwrap().reason
}

pub(super) async fn erase(office: &Office, case_id: &str, subject: &str) {
    let (event, request) = requested(case_id, subject);
    office.submit(request).await.unwrap();
    let execution = executed(case_id, subject, &event);
    office.submit_as("supervisor-2", execution).await.unwrap();
}

/// The key of a subject in every form in which it is anywhere: its nonce, wrapped key and tag as they
/// stand in the store, and the key itself, unwrapped as the store's documentation says.
pub async fn key_of(office: &Office, subject: &str) -> Vec<Vec<u8>> {
    let records = office.records().await;
    let mut sealed = records.iter().flat_map(|record| &record.sealed);
    let key_id = sealed
        .find(|it| it.subject_id == subject)
        .unwrap()
        .key_id
        .to_be_bytes();
    let store = std::fs::read(office.keys().join("subjects")).unwrap();
    let mut slots = store[4096..].chunks_exact(128);
    let slot = slots.find(|slot| slot[8..16] == key_id).unwrap();
    let (nonce, wrapped, tag) = (&slot[32..56], &slot[56..88], &slot[88..104]);
    let master = std::fs::read_to_string(office.keys().join("master.key")).unwrap();
    let master: Vec<u8> = master
        .trim()
        .as_bytes()
        .chunks(2)
        .map(|digits| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap())
        .collect();
    let mut key = wrapped.to_vec();
    let cipher = XChaCha20Poly1305::new_from_slice(&master).unwrap();
    let bond = [b"casetrail key", &key_id[..]].concat();
    let nonce_of = <[u8; 24]>::try_from(nonce).unwrap();
    let tag_of = <[u8; 16]>::try_from(tag).unwrap();
    let buffer = key.as_mut_slice().into();
    let opened = cipher.decrypt_inout_detached(&nonce_of.into(), &bond, buffer, &tag_of.into());
    opened.unwrap();
    vec![nonce.to_vec(), wrapped.to_vec(), tag.to_vec(), key]
}

/// The files of a folder that have these bytes, also while a server writes there.
pub fn files_with(folder: &Path, bytes: &[u8]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, bytes));
            continue;
        }
        match std::fs::read(&path) {
            Ok(content) if memchr::memmem::find(&content, bytes).is_some() => found.push(path),
            Ok(_) => {}
            // It was put in another one's place meanwhile.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => panic!("{}: {error}", path.display()),
        }
    }
    found
}

fn assert_nowhere(folder: &Path, key: &[Vec<u8>]) {
    for part in key {
        assert_eq!(files_with(folder, part), [] as [PathBuf; 0]);
    }
}

/// Makes a backup of what a server has.
pub async fn back_up(office: &Office, backup: &Path) {
    let mut command = casetrail(&[
        "backup",
        backup.to_str().unwrap(),
        "--server",
        &office.url(),
    ]);
    let made = tokio::task::spawn_blocking(move || command.output().unwrap()).await;
    let made = made.unwrap();
    assert!(made.status.success(), "{made:?}");
}

/// Makes a data folder of a backup.
pub fn restore(backup: &Path, data: &Path) {
    let [backup, data] = [backup, data].map(|path| path.to_str().unwrap());
    let restored = { casetrail(&["restore", backup, "--data", data]) }
        .output()
        .unwrap();
    assert!(restored.status.success(), "{restored:?}");
}

fn encoded(records: &[Record]) -> Vec<Vec<u8>> {
    records.iter().map(Message::encode_to_vec).collect()
}

#[tokio::test]
async fn an_erasure_waits_for_its_holding_time_and_for_a_second_person() {
    let office = Office::open().await;
    let (subject, other) = (subject(), subject());
    let case_id = office
        .case_with(vec![text(&subject, Class::Identity, "one")])
        .await;
    let (event, request) = requested(&case_id, &subject);
    office.submit(request).await.unwrap();
    let (_, again) = requested(&case_id, &subject);
    assert_eq!(
        reason(&office, "worker-1", again).await,
        "ERASURE_REQUESTED_ALREADY"
    );
    let execution = || executed(&case_id, &subject, &event);
    assert_eq!(
        reason(&office, "worker-1", execution()).await,
        "SECOND_PERSON_NEEDED"
    );
    assert_eq!(
        reason(&office, "supervisor-2", execution()).await,
        "ERASURE_HELD"
    );
    let of_another = executed(&case_id, &other, &event);
    assert_eq!(
        reason(&office, "supervisor-2", of_another).await,
        "ERASURE_OF_ANOTHER_SUBJECT"
    );
    let unknown = executed(&case_id, &subject, &fresh_uuid().to_string());
    assert_eq!(
        reason(&office, "supervisor-2", unknown).await,
        "ERASURE_REQUEST_NOT_OPEN"
    );
    let Some(Payload::ErasureRequested(stored)) =
        office.records().await[1].event.clone().unwrap().payload
    else {
        panic!()
    };
    assert_eq!(stored.requested_by, "worker-1@org-1");
    assert!(stored.second_person);
    let today = casetrail::ledger::today();
    let not_before = casetrail::wire::edtf::Day::parse(&stored.not_before).unwrap();
    assert!(not_before == today.plus(7) || not_before == today.plus(6));
    assert_eq!(office.texts(&case_id).await, ["one"]);

    // It is refused, with a reason that stays, and is no longer open.
    office
        .submit_as("supervisor-2", refused(&case_id, &event))
        .await
        .unwrap();
    assert_eq!(
        reason(&office, "supervisor-2", execution()).await,
        "ERASURE_REQUEST_NOT_OPEN"
    );
    assert_eq!(office.texts(&case_id).await, ["one"]);
}

#[tokio::test]
async fn a_request_says_nothing_that_only_the_server_knows() {
    let office = Office::open().await;
    let case_id = office.case_with(vec![]).await;
    let (_, mut request) = requested(&case_id, &subject());
    if let Some(Payload::ErasureRequested(payload)) = &mut request.changes[0].events[0].payload {
        payload.requested_by = "somebody@else".to_owned();
        payload.not_before = "2024-01-01".to_owned();
    }
    let refused = office.submit(request).await.unwrap_err();
    assert!(
        refused
            .message()
            .contains("requested_by is written by the server"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn an_erased_subject_is_dark_in_every_case_and_everybody_else_is_not() {
    let mut office = Office::open_with(&["--erasure-holding", "0"]).await;
    let (gone, stays) = (subject(), subject());
    let own = office
        .case_with(vec![
            text(&gone, Class::Identity, "dark"),
            text(&gone, Class::Health, "dark"),
        ])
        .await;
    let shared = office
        .case_with(vec![
            text(&stays, Class::Identity, "light"),
            text(&gone, Class::Narrative, "dark"),
            text(&stays, Class::Wishes, "light"),
        ])
        .await;
    // Opened once, so that its key is in the server's memory.
    assert_eq!(office.texts(&own).await, ["dark", "dark"]);
    let before = encoded(&office.records().await);
    let key = key_of(&office, &gone).await;
    for part in &key[..3] {
        assert_eq!(files_with(office.folder.path(), part).len(), 1);
    }
    erase(&office, &own, &gone).await;

    for _ in 0..2 {
        let opened = office.opened(&own).await;
        assert_eq!(
            (opened.entries.len(), opened.erased, opened.disclosure),
            (0, 2, None)
        );
        let opened = office.opened(&shared).await;
        assert_eq!((opened.entries.len(), opened.erased), (2, 1));
        assert_eq!(office.texts(&shared).await, ["light", "light"]);
        let after = encoded(&office.records().await);
        assert!(
            after[..before.len()] == before[..],
            "no record changes by a bit"
        );
        assert_eq!(after.len(), before.len() + 2);
        // No further value is taken under the subject's name, also not in a new case.
        let more = with_values(vec![text(&gone, Class::Identity, "again")]);
        assert_eq!(reason(&office, "worker-1", more).await, "SUBJECT_ERASED");
        office.stop().await;
        assert_nowhere(office.folder.path(), &key);
        let checked = casetrail(&["check", "--data", office.data().to_str().unwrap()]);
        let checked = { checked }.output().unwrap();
        assert!(checked.status.success(), "{checked:?}");
        office.start().await;
    }
    // It can't be taken back.
    let receipt = office.records().await.pop().unwrap().event.unwrap();
    let Some(Payload::ErasureExecuted(stored)) = &receipt.payload else {
        panic!()
    };
    assert_eq!(stored.executed_by, "supervisor-2@org-1");
    let mut taken_back = valid_event(E::EventRetracted);
    if let Some(Payload::EventRetracted(payload)) = &mut taken_back.payload {
        payload.target_event_id = receipt.event_id;
    }
    let taken_back = one(&own, taken_back);
    assert_eq!(
        reason(&office, "worker-1", taken_back).await,
        "ERASURE_IRREVOCABLE"
    );
}

#[tokio::test]
async fn no_older_backup_brings_back_what_was_erased() {
    let (mut office, case_id, [gone, stays]) = of_two().await;
    let backup = office.folder.path().join("older.ctb");
    back_up(&office, &backup).await;
    erase(&office, &case_id, &gone).await;
    office.stop().await;

    let restored = office.folder.path().join("restored");
    restore(&backup, &restored);
    for data in [restored, office.data()] {
        office.try_start(&data, &[]).await.unwrap();
        let opened = office.opened(&case_id).await;
        assert_eq!((opened.entries.len(), opened.erased), (1, 1));
        assert_eq!(office.texts(&case_id).await, ["light"]);
        // Values of others can be taken there as ever.
        let new = office
            .case_with(vec![text(&stays, Class::Identity, "more")])
            .await;
        assert_eq!(office.texts(&new).await, ["more"]);
        let more = with_values(vec![text(&gone, Class::Identity, "again")]);
        assert_eq!(reason(&office, "worker-1", more).await, "SUBJECT_ERASED");
        office.stop().await;
    }
}

#[tokio::test]
async fn an_older_copy_of_the_keys_loses_at_the_start_what_the_log_says_is_erased() {
    let mut office = Office::open_with(&["--erasure-holding", "0"]).await;
    let gone = subject();
    let case_id = office
        .case_with(vec![text(&gone, Class::Identity, "dark")])
        .await;
    office.stop().await;
    let older = office.folder.path().join("older");
    copy(&office.keys(), &older);
    office.start().await;
    let key = key_of(&office, &gone).await;
    erase(&office, &case_id, &gone).await;
    office.stop().await;
    // A crash between the log's commit and the store's write leaves it like this too.
    std::fs::remove_dir_all(office.keys()).unwrap();
    std::fs::rename(&older, office.keys()).unwrap();
    assert!(!files_with(&office.keys(), &key[1]).is_empty());
    office.start().await;
    assert_eq!(office.opened(&case_id).await.erased, 1);
    assert!(files_with(&office.keys(), &key[1]).is_empty());
}

#[tokio::test]
async fn a_subject_of_whom_nothing_was_sealed_can_be_erased_and_stays_so() {
    let mut office = Office::open_with(&[
        "--erasure-holding",
        "0",
        "--two-persons",
        "closing,identification",
    ])
    .await;
    let (gone, unknown) = (subject(), subject());
    let case_id = office
        .case_with(vec![text(&gone, Class::Identity, "dark")])
        .await;
    let (event, request) = requested(&case_id, &unknown);
    office.submit(request).await.unwrap();
    office
        .submit(executed(&case_id, &unknown, &event))
        .await
        .unwrap();
    for _ in 0..2 {
        let more = with_values(vec![text(&unknown, Class::Identity, "first")]);
        assert_eq!(reason(&office, "worker-1", more).await, "SUBJECT_ERASED");
        assert_eq!(office.texts(&case_id).await, ["dark"]);
        office.kill();
        office.start().await;
    }
}

/// Values are sealed before they wait for the writer, which is where an erasure can overtake them.
#[tokio::test]
async fn nothing_about_an_erased_subject_is_recorded_behind_the_erasure() {
    const UNDER_WAY: usize = 64;
    let office = Office::open_with(&["--erasure-holding", "0"]).await;
    for _ in 0..5 {
        let gone = subject();
        let case_id = office
            .case_with(vec![text(&gone, Class::Identity, "dark")])
            .await;
        let (event, request) = requested(&case_id, &gone);
        office.submit(request).await.unwrap();
        // Each submits one after the other until it is told that the subject is erased.
        let submit_until_erased = || async {
            loop {
                let more = with_values(vec![text(&gone, Class::Identity, "dark")]);
                match office.submit(more).await {
                    Ok(_) => {}
                    Err(refused) => {
                        let told = refused.get_details_error_info().unwrap().reason;
                        assert_eq!(told, "SUBJECT_ERASED", "{refused:?}");
                        return;
                    }
                }
            }
        };
        let submitters = (0..UNDER_WAY).map(|_| submit_until_erased());
        let execution = executed(&case_id, &gone, &event);
        // They would go on for ever where it is refused.
        let execute = async || {
            let told = office.submit_as("supervisor-2", execution).await;
            told.unwrap().results[0].positions[0]
        };
        let (_, executed) = tokio::join!(futures_util::future::join_all(submitters), execute());
        let records = office.records().await;
        let behind = records.iter().skip(usize::try_from(executed).unwrap());
        let sealed = behind.flat_map(|record| &record.sealed);
        assert_eq!(sealed.filter(|sealed| sealed.subject_id == gone).count(), 0);
    }
}

#[tokio::test]
async fn what_was_recorded_before_an_erasure_is_known_when_it_is_sent_again() {
    let mut office = Office::open_with(&["--erasure-holding", "0"]).await;
    let gone = subject();
    let recorded = with_values(vec![text(&gone, Class::Identity, "dark")]);
    let told = office.submit(recorded.clone()).await.unwrap();
    let case_id = recorded.changes[0].case_id.clone();
    erase(&office, &case_id, &gone).await;
    for _ in 0..2 {
        let again = office.submit(recorded.clone()).await.unwrap();
        assert!(again.replayed);
        assert_eq!(
            (again.results, again.recorded_at),
            (told.results.clone(), told.recorded_at)
        );
        let mut other = recorded.clone();
        other.changes[0].events[0].event_id = fresh_uuid().to_string();
        assert_eq!(
            reason(&office, "worker-1", other).await,
            "REQUEST_ID_REUSED"
        );
        let mut elsewhere = recorded.clone();
        elsewhere.changes[0].case_id = fresh_uuid().to_string();
        assert_eq!(
            reason(&office, "worker-1", elsewhere).await,
            "REQUEST_ID_REUSED"
        );
        let mut new = recorded.clone();
        new.request_id = fresh_uuid().to_string();
        assert_eq!(reason(&office, "worker-1", new).await, "SUBJECT_ERASED");
        office.kill();
        office.start().await;
    }
}

/// What is left of the key at each moment from the answer on, and not only after an end in good order.
#[tokio::test]
async fn the_key_is_nowhere_once_the_erasure_is_answered_whatever_comes_then() {
    for is_killed in [false, true] {
        let (mut office, case_id, [gone, _]) = of_two().await;
        assert_eq!(office.texts(&case_id).await, ["dark", "light"]);
        let backup = office.folder.path().join("older.ctb");
        back_up(&office, &backup).await;
        let key = key_of(&office, &gone).await;
        erase(&office, &case_id, &gone).await;
        // The server runs, and was not given a moment to tidy up.
        assert_nowhere(office.folder.path(), &key);
        if is_killed {
            office.kill();
        } else {
            office.stop().await;
        }
        assert_nowhere(office.folder.path(), &key);
        if is_killed {
            office.start().await;
            assert_nowhere(office.folder.path(), &key);
            assert_eq!(office.opened(&case_id).await.erased, 1);
            office.stop().await;
        }

        let rotated = rotate(&office, &[]);
        assert!(rotated.status.success(), "{rotated:?}");
        assert_nowhere(office.folder.path(), &key);
        let restored = office.folder.path().join("restored");
        restore(&backup, &restored);
        for data in [restored, office.data()] {
            office.try_start(&data, &[]).await.unwrap();
            let opened = office.opened(&case_id).await;
            assert_eq!((opened.entries.len(), opened.erased), (1, 1));
            assert_eq!(office.texts(&case_id).await, ["light"]);
            assert_nowhere(office.folder.path(), &key);
            office.stop().await;
        }
    }
}
