//! Disks that fail under the keys and under the record of disclosures while the server runs.

use casetrail::wire::v1::{PersonalClass as Class, SubmitEventsRequest};
use tonic::Code;
use tonic_types::StatusExt;

use super::erasing::{executed, files_with, key_of, of_two, requested};
use super::inject::{Injection, can_inject};
use super::office::{Office, asking, subject, text};
use super::support::until;

/// The execution of an erasure that can't destroy the key: it says so, however often it is sent.
async fn assert_not_destroyed(office: &Office, execution: &SubmitEventsRequest) {
    for _ in 0..3 {
        let told = office.submit_as("supervisor-2", execution.clone()).await;
        let told = told.unwrap_err();
        // Not UNAVAILABLE, at which clients send again by themselves.
        assert_eq!(told.code(), Code::Internal, "{told:?}");
        let info = told.get_details_error_info().unwrap();
        assert_eq!(info.reason, "KEYS_NOT_DESTROYED");
        assert_eq!(office.client.status().await.keys_to_destroy, 1);
    }
}

/// An erasure whose key can't be overwritten, or whose overwriting can't be synced.
#[tokio::test]
async fn an_erasure_is_told_as_done_only_once_its_key_is_destroyed() {
    if !can_inject() {
        return;
    }
    for (calls, by) in [
        ("pwrite64", Done::SendingAgain),
        ("pwrite64", Done::Itself),
        ("pwrite64", Done::Restart),
        ("fdatasync", Done::SendingAgain),
    ] {
        let (mut office, case_id, [gone, stays]) = of_two().await;
        let key = key_of(&office, &gone).await;
        let (event, request) = requested(&case_id, &gone);
        office.submit(request).await.unwrap();
        let execution = executed(&case_id, &gone, &event);
        let store = office.keys().join("subjects");
        let injection = Injection::begin(office.server(), calls, &store, "error=EIO");
        assert_not_destroyed(&office, &execution).await;
        // It is out of use all the same, and all else goes on.
        assert_eq!(office.opened(&case_id).await.erased, 1);
        assert_eq!(office.texts(&case_id).await, ["light"]);
        let more = vec![text(&stays, Class::Identity, "more")];
        let more = office.case_with(more).await;
        assert_eq!(office.texts(&more).await, ["more"]);
        if calls == "pwrite64" {
            assert_eq!(
                files_with(&office.keys(), &key[1]),
                std::slice::from_ref(&store)
            );
        }
        match by {
            Done::SendingAgain => assert!(injection.end() >= 3),
            Done::Itself => {
                assert!(injection.end() >= 3);
                until(async || office.client.status().await.keys_to_destroy == 0).await;
                assert!(office.log().contains("are destroyed"));
            }
            Done::Restart => {
                office.kill();
                drop(injection);
                office.start().await;
            }
        }
        let told = office.submit_as("supervisor-2", execution).await.unwrap();
        assert!(told.replayed);
        assert_eq!(office.client.status().await.keys_to_destroy, 0);
        for part in &key {
            assert!(files_with(&office.keys(), part).is_empty());
        }
        // A start that comes later finds nothing to do.
        office.stop().await;
        office.start().await;
        assert_eq!(office.opened(&case_id).await.erased, 1);
    }
}

/// How the key comes to be destroyed once the store can be written again.
#[derive(Clone, Copy)]
enum Done {
    SendingAgain,
    Itself,
    Restart,
}

/// No value is told whose disclosure can't be recorded. A write that failed is over with its cause; a
/// sync that failed ends disclosing until a restart.
#[tokio::test]
async fn nothing_is_disclosed_that_is_not_recorded() {
    if !can_inject() {
        return;
    }
    for (calls, error) in [
        ("pwrite64", "ENOSPC"),
        ("pwrite64", "EIO"),
        ("fdatasync", "EIO"),
    ] {
        let mut office = Office::open().await;
        let case_id = office
            .case_with(vec![text(&subject(), Class::Identity, "one")])
            .await;
        assert_eq!(office.opened(&case_id).await.disclosure, Some(0));
        let file = office.data().join("disclosures");
        let refused = async |office: &Office| {
            let told = office.ask(asking(&[&case_id])).await.unwrap_err();
            assert_eq!(told.code(), Code::Unavailable, "{told:?}");
            let info = told.get_details_error_info().unwrap();
            assert_eq!(info.reason, "DISCLOSURES_UNAVAILABLE");
        };
        let injection = Injection::begin(office.server(), calls, &file, &format!("error={error}"));
        for _ in 0..3 {
            refused(&office).await;
        }
        assert!(injection.end() > 0);
        let goes_on_by_itself = calls == "pwrite64";
        if !goes_on_by_itself {
            refused(&office).await;
            office.stop().await;
            office.start().await;
        }
        let number = office.opened(&case_id).await.disclosure.unwrap();
        // One whose sync failed is in the file, and may or may not be on the disk.
        assert_eq!(number, if goes_on_by_itself { 1 } else { 2 });
        office.stop().await;
        office.start().await;
        assert_eq!(office.opened(&case_id).await.disclosure, Some(number + 1));
    }
}
