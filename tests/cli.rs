//! The command line without a server: exit codes, and what needs none.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub
)]

use std::io::Read;
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

fn casetrail(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_casetrail"));
    command.args(arguments).stdin(Stdio::null());
    for name in [
        "CASETRAIL_SERVER",
        "CASETRAIL_ACTOR",
        "CASETRAIL_ORGANISATION",
    ] {
        command.env_remove(name);
    }
    command
}

fn run(arguments: &[&str]) -> Output {
    casetrail(arguments).output().unwrap()
}

fn code(arguments: &[&str]) -> i32 {
    run(arguments).status.code().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The URL of a port on which nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

const CASE: &str = "018f3a5e-7c1b-7d11-9a41-5be1f0e0c001";

const COMMANDS: [&str; 19] = [
    "serve",
    "submit",
    "outbox",
    "get",
    "list",
    "history",
    "watch",
    "alerts",
    "summary",
    "replay",
    "backup",
    "restore",
    "check",
    "status",
    "rebuild",
    "lifecycle",
    "sample",
    "demo",
    "completions",
];

#[test]
fn help_is_no_failure_documents_the_exit_codes_and_gives_examples() {
    let help = run(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    for exit in [
        "0  done",
        "1  refused",
        "2  wrong usage",
        "3  no connection",
    ] {
        assert!(stdout(&help).contains(exit), "{exit}");
    }
    for command in COMMANDS {
        let help = run(&[command, "--help"]);
        assert_eq!(help.status.code(), Some(0), "{command}");
        let example = format!("Examples:\n  casetrail {command}");
        let text = stdout(&help);
        // An example may begin with what is piped into the command.
        assert!(
            text.contains("Examples:") && text.contains(&example[10..]),
            "{command}: {text}"
        );
    }
}

#[test]
fn wrong_usage_is_2() {
    for arguments in [
        &[][..],
        &["nothing"],
        &["get"],
        &["list", "--status", "Nowhere"],
        &["watch", "--snapshot", "--from", "3"],
        &["replay", "--since", "yesterday"],
        &["replay", "--from", "-1"],
        &["lifecycle", "voyage"],
        &["list", "--server", "nonsense"],
        &["list", "--server", "https://127.0.0.1:7611"],
        &["submit", "/no/such/file.jsonl"],
        &["submit", "/"],
        &["serve"],
        &["restore", "--data", "/tmp/unused"],
        &["restore", "/no/such/backup", "--data", "/tmp/unused"],
        &["backup"],
        &["check"],
        &[
            "check",
            "--data",
            "/tmp/unused",
            "--server",
            "http://127.0.0.1:1",
        ],
        &["check", "--server", "http://127.0.0.1:1", "--in-place"],
        &[
            "check",
            "--server",
            "http://127.0.0.1:1",
            "--scratch",
            "/tmp",
        ],
        &["serve", "--data", "/tmp/unused", "--listen", "everywhere"],
        &["serve", "--data", "/tmp/unused", "--listen", "0.0.0.0:7611"],
        &["serve", "--data", "/tmp/unused", "--listen", "[::]:7611"],
    ] {
        assert_eq!(code(arguments), 2, "{arguments:?}");
    }
}

#[test]
fn a_server_beyond_loopback_is_refused_in_words() {
    let refused = run(&[
        "serve",
        "--data",
        "/tmp/unused",
        "--listen",
        "192.0.2.1:7611",
    ]);
    assert!(stderr(&refused).contains("192.0.2.1:7611") && stderr(&refused).contains("loopback"));
}

#[test]
fn no_connection_is_3() {
    let server = nobody();
    for arguments in [
        &["get", CASE][..],
        &["list"],
        &["history", CASE],
        &["watch"],
        &["summary"],
        &["replay"],
        &["status"],
        &["rebuild"],
        &["submit", "-"],
        &["backup", "/tmp/unused-backup"],
        &["check"],
    ] {
        let arguments = [arguments, &["--server", &server]].concat();
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(3), "{arguments:?}");
        let text = stderr(&output);
        assert!(
            text.contains(&format!("no connection to {server}")),
            "{text}"
        );
        assert!(stdout(&output).is_empty());
    }
}

#[test]
fn the_server_is_taken_from_the_environment() {
    let server = nobody();
    let output = casetrail(&["status"])
        .env("CASETRAIL_SERVER", &server)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains(&server));
}

#[test]
fn an_actor_that_is_no_reference_is_wrong_usage() {
    let arguments = ["submit", "-", "--server", &nobody(), "--actor", "two words"];
    let output = run(&arguments);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--actor") && !stderr(&output).contains("two words"));
}

#[test]
fn a_sample_is_the_same_for_the_same_seed() {
    let sample = |seed| stdout(&run(&["sample", "--cases", "40", "--seed", seed]));
    assert_eq!(sample("7"), sample("7"));
    assert_ne!(sample("7"), sample("8"));
    assert!(
        sample("7")
            .lines()
            .all(|line| line.starts_with("{\"requestId\":\""))
    );
}

#[test]
fn a_reader_that_leaves_early_ends_the_command_quietly() {
    let mut child = casetrail(&["sample", "--cases", "2000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 64];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty(), "{}", stderr(&output));
}

#[test]
fn a_lifecycle_is_printed_as_a_table_and_a_diagram() {
    for kind in ["detention", "Remains", "RETURN"] {
        let both = stdout(&run(&["lifecycle", kind]));
        let diagram = stdout(&run(&["lifecycle", kind, "--mermaid"]));
        assert!(diagram.starts_with("stateDiagram-v2\n"), "{kind}");
        assert!(
            both.ends_with(&diagram) && both.len() > diagram.len(),
            "{kind}"
        );
    }
    assert!(stdout(&run(&["lifecycle", "detention"])).contains("HandoverStarted"));
}

#[test]
fn completions_name_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let script = stdout(&run(&["completions", shell]));
        for command in COMMANDS {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
}
