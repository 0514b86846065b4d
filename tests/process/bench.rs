//! `casetrail bench` on servers of its own: what it tells agrees with itself, and it leaves nothing
//! behind.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::server::casetrail;

/// The benchmark with its folders in `folder`.
fn bench(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = casetrail(&["bench"]);
    command.args(arguments).arg("--json").env("TMPDIR", folder);
    command
}

/// Runs a benchmark, which has to succeed and to leave its folder empty, and returns its figures.
fn figures(arguments: &[&str]) -> Vec<Value> {
    let folder = TempDir::new().unwrap();
    let output = bench(folder.path(), arguments).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    let stdout = String::from_utf8(output.stdout).unwrap();
    let lines = stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn count(figures: &Value, name: &str) -> u64 {
    let figure = figures[name].as_u64();
    figure.unwrap_or_else(|| panic!("{name} in {figures}"))
}

fn number(figures: &Value, name: &str) -> f64 {
    let figure = figures[name].as_f64();
    figure.unwrap_or_else(|| panic!("{name} in {figures}"))
}

#[test]
fn commit_tells_what_was_recorded_by_calls() {
    let lines = figures(&[
        "commit",
        "--clients=2",
        "--in-flight=4",
        "--seconds=1",
        "--warm-up=0",
        "--compare=disk",
        "--compare=nothing",
    ]);
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["mode"], "unary");
    assert!(count(&lines[0], "submissions") > 0);
    assert_eq!(count(&lines[0], "events"), count(&lines[0], "submissions"));
    assert_eq!(count(&lines[0], "refused"), 0);
    assert!(number(&lines[0], "of_disk") > 0.0);
    assert!(number(&lines[0], "of_nothing") > 0.0);
    let stored = number(&lines[0], "stored_bytes_per_event");
    assert!((270.0..330.0).contains(&stored), "{stored}");
    assert!(number(&lines[0], "p999_ms") <= number(&lines[0], "max_ms"));
}

#[test]
fn commit_tells_what_was_recorded_by_streams_and_the_median_of_rounds() {
    let lines = figures(&[
        "commit",
        "--mode=stream",
        "--clients=2",
        "--in-flight=2",
        "--events=64",
        "--seconds=1",
        "--warm-up=0",
        "--rounds=2",
    ]);
    assert_eq!(lines.len(), 3);
    for line in &lines[..2] {
        assert!(count(line, "submissions") > 0);
        assert_eq!(count(line, "events"), 64 * count(line, "submissions"));
        assert_eq!(count(line, "refused"), 0);
        let stored = number(line, "stored_bytes_per_event");
        assert!((270.0..330.0).contains(&stored), "{stored}");
    }
    assert_eq!(count(&lines[2], "median_of_rounds"), 2);
}

#[test]
fn replay_receives_every_record_however_far_it_decodes() {
    for decode in ["none", "blocks", "records"] {
        let decode = format!("--decode={decode}");
        let lines = figures(&["replay", "--events=2000", &decode, "--cold"]);
        assert_eq!(count(&lines[0], "events"), 2000);
        assert_eq!(lines[0]["page_cache"], "cold");
    }
}

#[test]
fn every_watcher_is_told_of_every_change() {
    let lines = figures(&[
        "watch",
        "--watchers=30",
        "--connections=4",
        "--rate=200",
        "--seconds=1",
    ]);
    let changes = count(&lines[0], "changes");
    assert!(changes > 0);
    assert_eq!(count(&lines[0], "delivered"), 30 * changes);
}

#[test]
fn rebuild_folds_every_record() {
    let lines = figures(&["rebuild", "--events=2000", "--cases=100"]);
    assert_eq!(count(&lines[0], "events"), 2000);
    assert_eq!(count(&lines[0], "cases"), 100);
}

#[test]
fn start_goes_on_with_a_history_that_was_kept() {
    let kept = TempDir::new().unwrap();
    let keep = format!("--keep={}", kept.path().display());
    let lines = figures(&["start", "--events=2000", &keep, "--seconds=1"]);
    assert_eq!(count(&lines[0], "events"), 2000);
    assert_eq!(count(&lines[0], "cases"), 200);
    let at_kill = count(&lines[0], "events_at_kill");
    let lines = figures(&["start", "--events=0", &keep, "--seconds=1"]);
    assert!(count(&lines[0], "events") >= at_kill);
}

#[test]
fn space_stores_a_generated_sample() {
    let lines = figures(&["space", "--cases=60"]);
    assert_eq!(count(&lines[0], "cases"), 60);
    assert!(count(&lines[0], "events") >= 600);
    let (logical, database) = ("logical_bytes", "database_bytes");
    assert!(count(&lines[0], logical) < count(&lines[0], database));
}

#[test]
fn an_interrupted_benchmark_leaves_neither_folder_nor_server_behind() {
    let folder = TempDir::new().unwrap();
    let arguments = ["commit", "--seconds=1", "--warm-up=0", "--rounds=1000"];
    let mut child = bench(folder.path(), &arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // It is in its second round now.
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    let process = Pid::from_raw(child.id() as i32).unwrap();
    kill_process(process, Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
