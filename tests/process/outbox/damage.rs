//! The queue file torn, damaged, or something else; and a disk that fails.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use casetrail::wire::v1::EventType as E;

use super::{Outbox, assert_all_recorded, sample, stderr, stdout};
use crate::support::server::Server;
use crate::support::{submission_of, valid_event};
use crate::trace::can_trace;

/// The limit on the size of files ends the process in the middle of a write.
#[test]
fn a_torn_write_is_named_and_cut_off_and_nothing_told_before_is_lost() {
    let outbox = Outbox::new();
    let first = sample(6);
    assert_eq!(outbox.append(&first).status.code(), Some(0));
    let whole = fs::read(outbox.queue()).unwrap();
    // One long line, in which the limit lies.
    let mut events = vec![valid_event(E::DetentionAlleged)];
    events.extend((0..20).map(|_| valid_event(E::ProofOfLifeReceived)));
    let long = [submission_of(events)];
    let file = outbox.file(&long);
    let blocks = whole.len() / 512 + 1;
    let mut torn = Command::new("sh");
    torn.arg("-c")
        .arg(format!("ulimit -f {blocks}; ulimit -c 0; exec \"$@\""))
        .arg("sh");
    let append = outbox.command(&["append", file.to_str().unwrap()]);
    torn.arg(append.get_program())
        .args(append.get_args())
        .stdin(Stdio::null());
    let torn = torn.output().unwrap();
    assert_ne!(torn.status.code(), Some(0));
    assert!(!stdout(&torn).contains("appended"), "{}", stdout(&torn));
    let left = fs::read(outbox.queue()).unwrap();
    assert!(left.starts_with(&whole) && left.len() > whole.len());

    let listed = outbox.run(&["list"]);
    assert!(
        stderr(&listed).contains("left unfinished"),
        "{}",
        stderr(&listed)
    );
    assert_eq!(outbox.list().len(), first.len());
    let appended = outbox.append(&long);
    assert_eq!(appended.status.code(), Some(0));
    assert!(
        stderr(&appended).contains("it is cut off"),
        "{}",
        stderr(&appended)
    );
    assert_eq!(outbox.list().len(), first.len() + 1);
    assert_eq!(stderr(&outbox.run(&["list"])), "");
}

/// Where the sync of the data or of the seal fails, nothing is told as appended.
#[test]
fn nothing_is_told_as_appended_whose_sync_failed() {
    if !can_trace() {
        return;
    }
    let submissions = sample(2);
    for nth in [1, 2] {
        let outbox = Outbox::new();
        assert_eq!(outbox.append(&[]).status.code(), Some(0));
        let file = outbox.file(&submissions);
        let append = outbox.command(&["append", file.to_str().unwrap()]);
        let mut failing = Command::new("strace");
        failing.args(["-f", "-o", "/dev/null", "-e", "trace=fdatasync", "-e"]);
        failing.arg(format!("inject=fdatasync:error=EIO:when={nth}"));
        failing.arg(append.get_program()).args(append.get_args());
        let failed = failing.stdin(Stdio::null()).output().unwrap();
        assert_eq!(failed.status.code(), Some(1), "{}", stderr(&failed));
        assert!(
            stderr(&failed).contains("Input/output error"),
            "{}",
            stderr(&failed)
        );
        assert_eq!(stdout(&failed), "");
        // The next command puts the file in order.
        assert_eq!(outbox.append(&submissions).status.code(), Some(0));
        assert_eq!(outbox.list().len(), submissions.len());
    }
}

#[tokio::test]
async fn a_damaged_queue_is_refused_and_what_is_whole_of_it_lifted_and_sent() {
    let outbox = Outbox::new();
    let submissions = sample(4);
    assert_eq!(outbox.append(&submissions).status.code(), Some(0));
    let server = Server::start(&outbox.data());
    assert_eq!(outbox.send(&server, &[]).await.0, Some(0));
    let mut bytes = fs::read(outbox.queue()).unwrap();
    let request_id = submissions[1].request_id.as_bytes();
    let place = bytes
        .windows(request_id.len())
        .position(|found| found == request_id);
    bytes[place.unwrap()] ^= 1;
    fs::write(outbox.queue(), &bytes).unwrap();
    for command in [&["list"][..], &["send"], &["append", "-"], &["prune"]] {
        let refused = outbox.run(command);
        assert_eq!(refused.status.code(), Some(1), "{command:?}");
        assert!(
            stderr(&refused).contains("casetrail outbox salvage "),
            "{command:?}"
        );
    }
    assert_eq!(fs::read(outbox.queue()).unwrap(), bytes);

    let lifted = Outbox::new();
    let salvaged = lifted.run(&["salvage", outbox.queue().to_str().unwrap()]);
    assert_eq!(salvaged.status.code(), Some(1));
    assert!(
        stderr(&salvaged).starts_with("not whole: 1 lines, the first being "),
        "{}",
        stderr(&salvaged)
    );
    assert_eq!(lifted.list().len(), submissions.len() - 1);
    assert_eq!(lifted.append(&submissions).status.code(), Some(0));
    assert_eq!(lifted.send(&server, &[]).await, (Some(0), String::new()));
    assert_all_recorded(&lifted, &server, &submissions).await;
    assert_eq!(mode(&lifted.queue()), 0o600);
}

/// A seal whose sync failed may be in the system's memory alone, and a later one may not come to rest
/// on it.
#[test]
fn the_last_seal_is_written_once_more_by_the_next_command() {
    if !can_trace() {
        return;
    }
    let outbox = Outbox::new();
    assert_eq!(outbox.append(&sample(1)).status.code(), Some(0));
    let file = fs::read_to_string(outbox.queue()).unwrap();
    let seal = file.lines().last().unwrap();
    let trace = outbox.0.path().join("trace");
    let remove = outbox.command(&["remove", "0190a000-0000-7000-8000-000000000004"]);
    let mut traced = Command::new("strace");
    traced.args([
        "-f",
        "-s",
        "100000",
        "-e",
        "trace=pwrite64,fsync,fdatasync",
        "-o",
    ]);
    traced
        .arg(&trace)
        .arg(remove.get_program())
        .args(remove.get_args());
    assert_eq!(traced.output().unwrap().status.code(), Some(1));
    let trace = fs::read_to_string(trace).unwrap();
    let written = trace.find(seal).expect("the seal is written");
    assert!(trace[written..].contains("sync("), "{trace}");
    assert_eq!(fs::read_to_string(outbox.queue()).unwrap(), file);
}

#[test]
fn who_lists_takes_no_lock_that_would_keep_others_from_writing() {
    if !can_trace() {
        return;
    }
    let outbox = Outbox::new();
    assert_eq!(outbox.append(&sample(1)).status.code(), Some(0));
    let trace = outbox.0.path().join("trace");
    for (arguments, locks) in [(&["list"][..], false), (&["prune"], true)] {
        let command = outbox.command(arguments);
        let mut traced = Command::new("strace");
        traced
            .args(["-f", "-e", "trace=flock,fcntl", "-o"])
            .arg(&trace);
        traced.arg(command.get_program()).args(command.get_args());
        assert_eq!(traced.output().unwrap().status.code(), Some(0));
        let trace = fs::read_to_string(&trace).unwrap();
        let takes = trace.contains("LOCK_") || trace.contains("SETLK");
        assert_eq!(takes, locks, "{arguments:?}: {trace}");
    }
}

#[test]
fn a_pipe_is_refused_as_a_queue_and_not_waited_for() {
    let outbox = Outbox::new();
    let made = Command::new("mkfifo").arg(outbox.queue()).status();
    assert!(made.unwrap().success());
    let file = outbox.file(&sample(1));
    let append = ["append", file.to_str().unwrap()];
    for command in [&["list"][..], &["send"], &["prune"], &append] {
        let refused = outbox.run(command);
        assert_eq!(refused.status.code(), Some(2), "{command:?}");
        assert!(stderr(&refused).contains("is no file"), "{command:?}");
    }
    let pipe = outbox.queue();
    let new = Outbox::new();
    let refused = new.run(&["salvage", pipe.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(!new.queue().exists());
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    File::open(path)
        .unwrap()
        .metadata()
        .unwrap()
        .permissions()
        .mode()
        & 0o777
}
