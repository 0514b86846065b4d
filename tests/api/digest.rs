//! All that is folded from the log agrees: the running views, those rebuilt, those of a restart from
//! a snapshot, from an old snapshot or from none, and what a test folds from a replay.

use std::fs;
use std::path::{Path, PathBuf};

use casetrail::cli::sample::Sample;
use casetrail::log::DataFolder;
use casetrail::view::{SnapshotFile, Views};
use casetrail::wire::json;
use casetrail::wire::json::to_json;
use casetrail::wire::v1::{EventType, RebuildViewsRequest};
use tempfile::TempDir;

use crate::harness::{Client, Server};
use crate::together::supporting_kinds_and_ties;
use crate::truth;

/// What the records fold to, by a fold of the test's own from a replay over the socket.
async fn digest_of_replay(client: &Client) -> Vec<u8> {
    let mut views = Views::default();
    for (position, record) in (0..).zip(truth::records(client).await) {
        views.fold(position, &record).unwrap();
    }
    views.frozen().digest().to_vec()
}

/// Checks that the running views, a replay and the rebuilt views agree, and returns the digest.
async fn agreed_digest(client: &Client) -> Vec<u8> {
    let status = client.status().await;
    assert_eq!(status.view_position, status.head);
    assert_eq!(digest_of_replay(client).await, status.digest);
    let rebuilt = client.admin().rebuild_views(RebuildViewsRequest {}).await;
    let rebuilt = rebuilt.unwrap().into_inner();
    assert!(rebuilt.equal);
    assert_eq!(rebuilt.position, status.head);
    assert_eq!(rebuilt.running_digest, status.digest);
    assert_eq!(rebuilt.rebuilt_digest, status.digest);
    assert_eq!(client.status().await.digest, status.digest);
    status.digest.to_vec()
}

/// Where the snapshot of a folder is.
fn snapshot_of(folder: &Path) -> PathBuf {
    let folder = DataFolder::open(folder).unwrap();
    SnapshotFile::in_folder(folder.views_path()).path()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_the_running_the_rebuilt_and_the_restarted_views_have_one_digest() {
    // As a user submits them: by way of their JSON.
    let sample: Vec<_> = Sample::new(330, 5)
        .map(|submission| json::from_json(&to_json(&submission).unwrap()).unwrap())
        .collect();
    let (first, second) = sample.split_at(sample.len() / 2);
    let folder = TempDir::new().unwrap();

    let server = Server::start(folder.path()).await;
    server.client.record_as("relief", first.to_vec()).await;
    let half = agreed_digest(&server.client).await;
    let half_head = server.client.status().await.head;
    server.end().await;
    let snapshot = snapshot_of(folder.path());
    let old_snapshot = fs::read(&snapshot).unwrap();

    let server = Server::start(folder.path()).await;
    let status = server.client.status().await;
    assert_eq!(
        (status.head, status.snapshot_position),
        (half_head, half_head)
    );
    assert_eq!(status.digest, half, "restarted from the snapshot");
    server.client.record_as("relief", second.to_vec()).await;
    // The sample is of the three main kinds.
    let others = supporting_kinds_and_ties();
    server.client.record_as("relief", others).await;
    let whole = agreed_digest(&server.client).await;
    let records = truth::records(&server.client).await;
    let whole_head = records.len() as u64;
    let has = |kind| records.iter().any(|record| record.event_type() == kind);
    assert!(whole_head > 3_000, "{whole_head}");
    assert!(
        // User accounts are no cases, and nobody submits their events.
        (1..900)
            .filter_map(|number| EventType::try_from(number).ok())
            .all(has),
        "every event type occurs"
    );
    assert_ne!(whole, half);
    server.end().await;

    let server = Server::start(folder.path()).await;
    assert_eq!(server.client.status().await.snapshot_position, whole_head);
    assert_eq!(agreed_digest(&server.client).await, whole);
    server.end().await;

    fs::write(&snapshot, old_snapshot).unwrap();
    let server = Server::start(folder.path()).await;
    assert_eq!(server.client.status().await.snapshot_position, half_head);
    assert_eq!(
        agreed_digest(&server.client).await,
        whole,
        "restarted from an old snapshot and the tail"
    );
    server.end().await;

    fs::remove_file(&snapshot).unwrap();
    let server = Server::start(folder.path()).await;
    assert_eq!(server.client.status().await.snapshot_position, 0);
    assert_eq!(
        agreed_digest(&server.client).await,
        whole,
        "restarted from the log alone"
    );
    server.end().await;

    let mut damaged = fs::read(&snapshot).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::write(&snapshot, damaged).unwrap();
    let server = Server::start(folder.path()).await;
    assert_eq!(server.client.status().await.snapshot_position, 0);
    assert_eq!(
        agreed_digest(&server.client).await,
        whole,
        "restarted beside a damaged snapshot"
    );
    server.end().await;
}
