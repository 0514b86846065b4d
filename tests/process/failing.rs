//! A disk that fails or is full while the server runs.

use std::path::Path;
use std::process::Command;

use casetrail::wire::v1::{
    EventType as E, GetCaseRequest, ReplayEventsRequest, SubmitEventsRequest, SubmitStreamRequest,
    WatchStatusRequest, replay_events_response::Item as Replayed, submit_stream_response::Outcome,
    watch_status_request::Start, watch_status_response::Item as Watched,
};
use tonic::{Code, Status};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_types::StatusExt as _;

use super::load::{Submitted, submit};
use super::trace::can_trace;
use super::verify::verify;
use crate::support::server::{Client, Ended, Server, serve};
use crate::support::{submission_of, valid_event};

const SERVING: i32 = 1;
const NOT_SERVING: i32 = 2;
const CASE_SERVICE: &str = "casetrail.v1.CaseService";

fn two_events() -> SubmitEventsRequest {
    submission_of(vec![
        valid_event(E::DetentionAlleged),
        valid_event(E::ProofOfLifeReceived),
    ])
}

fn reason(status: &Status) -> String {
    let details = status.get_error_details();
    details.error_info().unwrap().reason.clone()
}

/// Starts a server in which a system call fails; how it ended where it did not come to serve. It has no
/// keys, whose store has calls of its own.
pub fn start_failing(data: &Path, calls: &str, injection: &str) -> Result<Server, Ended> {
    let trace = format!("trace={calls}");
    let inject = format!("inject={calls}:{injection}");
    let wrapper = [
        "strace",
        "-D",
        "-f",
        "-o",
        "/dev/null",
        "-e",
        &trace,
        "-e",
        &inject,
    ];
    let mut command = serve(&wrapper, data, "127.0.0.1:0");
    command.arg("--without-keys");
    Server::try_start(command)
}

/// A failed sync ends writing: the submission is in doubt, later ones are refused, reading goes on,
/// and a restart knows what became of the one in doubt.
#[tokio::test]
async fn a_failed_sync_ends_writing_and_a_restart_recovers() {
    if !can_trace() {
        return;
    }
    for (nth, by_kill) in [(1, false), (4, false), (4, true), (9, true)] {
        let folder = tempfile::tempdir().unwrap();
        let injection = format!("error=EIO:when={nth}");
        let server = start_failing(folder.path(), "fdatasync", &injection).unwrap();
        let failed = submit_until_it_fails(&server).await;
        // Each submission of this test is a commit with one sync.
        assert_eq!(failed.acknowledged.len(), nth - 1);
        assert_reads_go_on(&failed.client, &failed.acknowledged).await;
        end(server, by_kill).await;
        recover(folder.path(), failed).await;
    }
}

/// The same where the write itself fails, so that the submission is lost. What the database then
/// still reads is another matter; the cases are told, and a restart recovers.
#[tokio::test]
async fn a_failed_write_ends_writing_and_a_restart_recovers() {
    if !can_trace() {
        return;
    }
    for (error, by_kill) in [("EIO", false), ("ENOSPC", true)] {
        let folder = tempfile::tempdir().unwrap();
        let injection = format!("error={error}:when=5+");
        let server = start_failing(folder.path(), "pwrite64", &injection).unwrap();
        let failed = submit_until_it_fails(&server).await;
        assert!(!failed.acknowledged.is_empty());
        assert_cases_are_told(&failed.client, &failed.acknowledged).await;
        end(server, by_kill).await;
        recover(folder.path(), failed).await;
    }
}

/// What was submitted to a server until its disk failed.
struct Failed {
    client: Client,
    acknowledged: Vec<Submitted>,
    in_doubt: SubmitEventsRequest,
    refused: SubmitEventsRequest,
}

async fn submit_until_it_fails(server: &Server) -> Failed {
    let client = server.connect().await;
    let mut acknowledged = Vec::new();
    let in_doubt = loop {
        let request = two_events();
        match submit(&client, request.clone()).await {
            Ok(submitted) => acknowledged.push(submitted),
            Err(status) => {
                assert_eq!(status.code(), Code::Unavailable, "{status:?}");
                assert_eq!(reason(&status), "OUTCOME_UNKNOWN");
                for word in ["may or may not", "same request_id", "restart"] {
                    assert!(status.message().contains(word), "{status:?}");
                }
                break request;
            }
        }
        assert!(acknowledged.len() < 1_000, "nothing fails");
    };
    let refused = two_events();
    let status = submit(&client, refused.clone()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert_eq!(reason(&status), "WRITING_ENDED");
    // The one in doubt is refused as well: only a restart can tell.
    let status = submit(&client, in_doubt.clone()).await.unwrap_err();
    assert_eq!(reason(&status), "WRITING_ENDED");
    let item = SubmitStreamRequest {
        submission: Some(refused.clone()),
    };
    let items = tokio_stream::iter([item]);
    let answers = client.cases().submit_stream(items).await;
    let mut answers = answers.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap();
    let Some(Outcome::Refused(refusal)) = answer.outcome else {
        panic!("{answer:?}");
    };
    assert_eq!(refusal.code, i32::from(Code::Unavailable));
    assert_eq!(refusal.reason, "WRITING_ENDED");
    wait_for_health(&client, CASE_SERVICE, NOT_SERVING).await;
    for service in [
        "",
        "casetrail.v1.MonitorService",
        "casetrail.v1.AuditService",
    ] {
        wait_for_health(&client, service, SERVING).await;
    }
    let status = client.status().await;
    assert_ne!(status.writing_ended, "");
    assert_eq!(status.head, acknowledged.len() as u64 * 2);
    let log = server.process.stderr();
    assert!(log.contains("writing has ended"), "{log}");
    Failed {
        client,
        acknowledged,
        in_doubt,
        refused,
    }
}

async fn wait_for_health(client: &Client, service: &str, wanted: i32) {
    let request = HealthCheckRequest {
        service: service.to_owned(),
    };
    let health = HealthClient::new(client.0.clone()).watch(request).await;
    let mut health = health.unwrap().into_inner();
    while health.message().await.unwrap().unwrap().status != wanted {}
}

async fn assert_cases_are_told(client: &Client, acknowledged: &[Submitted]) {
    for each in acknowledged {
        let case_id = each.case_id();
        let case = client
            .cases()
            .get_case(GetCaseRequest {
                case_id,
                as_of: None,
            })
            .await;
        assert_eq!(case.unwrap().into_inner().case.unwrap().version, 2);
    }
}

/// Cases, the changes and the history are told up to what was acknowledged, and nothing of the one
/// in doubt.
async fn assert_reads_go_on(client: &Client, acknowledged: &[Submitted]) {
    assert_cases_are_told(client, acknowledged).await;
    let head = acknowledged.len() as u64 * 2;

    let request = WatchStatusRequest {
        start: Some(Start::FromPosition(0)),
        ..Default::default()
    };
    let watched = client.monitor().watch_status(request).await.unwrap();
    let mut watched = watched.into_inner();
    let mut opened = Vec::new();
    loop {
        let answer = watched.message().await.unwrap().unwrap();
        match answer.item.unwrap() {
            Watched::StatusChange(change) => opened.push(change.case_id),
            Watched::CaughtUp(_) => {
                assert_eq!(answer.next_position, head);
                break;
            }
            _ => {}
        }
    }
    let cases: Vec<_> = acknowledged.iter().map(Submitted::case_id).collect();
    assert_eq!(opened, cases);

    let request = ReplayEventsRequest::default();
    let answers = client.audit().replay_events(request).await.unwrap();
    let mut answers = answers.into_inner();
    let mut read = 0;
    while let Some(answer) = answers.message().await.unwrap() {
        if let Some(Replayed::Block(block)) = answer.item {
            read += u64::from(block.verified().unwrap().count());
        }
    }
    assert_eq!(read, head);
}

async fn end(server: Server, by_kill: bool) {
    if by_kill {
        server.kill();
    } else {
        let ended = server.stop().await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
}

/// After a restart all that was acknowledged is there, the one in doubt is whole or not at all, and
/// what is sent again is stored once.
async fn recover(data: &Path, failed: Failed) {
    let server = Server::start(data);
    let client = server.connect().await;
    wait_for_health(&client, CASE_SERVICE, SERVING).await;
    let status = client.status().await;
    assert_eq!(status.writing_ended, "");
    let acknowledged = failed.acknowledged.len() as u64 * 2;
    let is_there = status.head > acknowledged;
    let expected = if is_there {
        acknowledged + 2
    } else {
        acknowledged
    };
    assert_eq!(status.head, expected);
    let mut submitted = failed.acknowledged;
    for _ in 0..2 {
        submit(&client, failed.in_doubt.clone()).await.unwrap();
    }
    let in_doubt = submit(&client, failed.in_doubt).await.unwrap();
    assert!(in_doubt.answer.as_ref().unwrap().replayed);
    submitted.push(in_doubt);
    let refused = submit(&client, failed.refused).await.unwrap();
    assert!(!refused.answer.as_ref().unwrap().replayed);
    submitted.push(refused);
    verify(&client, &submitted).await;
}

/// The size of the file system that is filled, and of what is written into it at a time.
const DISK: &str = "size=120m";
const FILLER_BYTES: usize = 1024 * 1024;

/// A server whose data folder is on a small disk of its own, as only it sees it.
fn start_on_small_disk(mount_point: &Path) -> Option<Server> {
    let mount_point = mount_point.to_str().unwrap();
    let mount = format!("mount -t tmpfs -o {DISK} tmpfs \"$0\"");
    let tried = Command::new("unshare")
        .args(["-rm", "sh", "-c", &mount, mount_point])
        .output();
    if !tried.as_ref().is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: no file system can be mounted here ({tried:?}); nothing was checked");
        return None;
    }
    let script = format!("{mount} && exec \"$@\"");
    let wrapper = ["unshare", "-rm", "sh", "-c", &script, mount_point];
    let data = Path::new(mount_point).join("data");
    Some(Server::try_start(serve(&wrapper, &data, "127.0.0.1:0")).unwrap())
}

#[tokio::test]
async fn a_full_disk_refuses_submissions_until_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = start_on_small_disk(folder.path()) else {
        return;
    };
    let client = server.connect().await;
    let mut submitted = Vec::new();
    for _ in 0..5 {
        submitted.push(submit(&client, two_events()).await.unwrap());
    }
    // The disk as the server sees it.
    let disk = format!(
        "/proc/{}/root{}",
        server.process.id(),
        folder.path().display()
    );
    let filler = Path::new(&disk).join("filler");
    for round in 0..3 {
        fill(&filler);
        let request = two_events();
        let status = submit(&client, request.clone()).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
        assert_eq!(reason(&status), "DISK_FULL");
        assert!(
            status
                .message()
                .contains("nothing of the submission is recorded")
        );
        let details = status.get_error_details();
        assert!(details.retry_info().unwrap().retry_delay.is_some());
        assert_reads_go_on(&client, &submitted).await;
        wait_for_health(&client, CASE_SERVICE, SERVING).await;
        assert_eq!(client.status().await.writing_ended, "");
        // What was recorded before is still answered.
        let known = submitted[round].request.clone();
        let known = submit(&client, known).await.unwrap();
        assert!(known.answer.unwrap().replayed);

        std::fs::remove_file(&filler).unwrap();
        let again = submit(&client, request).await.unwrap();
        assert!(!again.answer.as_ref().unwrap().replayed);
        submitted.push(again);
    }
    verify(&client, &submitted).await;
    // It ends in good order also while the disk is full, though it can't write its snapshot.
    fill(&filler);
    let ended = server.stop().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("bytes free"), "{}", ended.stderr);
}

/// Takes all room that there is.
fn fill(filler: &Path) {
    use std::io::Write as _;
    let mut file = std::fs::File::create(filler).unwrap();
    let zeros = vec![0; FILLER_BYTES];
    while file.write_all(&zeros).is_ok() {}
}
