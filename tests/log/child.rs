//! The log in a process of its own, to be killed or traced: this test binary, started again.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use casetrail::log::{AppendError, Log};

use super::support::{append, blocks_at, open, read_all, record_at};

const TASK: &str = "CASETRAIL_TEST_TASK";
const FOLDER: &str = "CASETRAIL_TEST_FOLDER";

/// Records of a commit that the child makes: several blocks.
pub const COMMIT_RECORDS: u64 = 40;

/// A command that runs a task in a child process, by way of `wrapper` if it isn't empty.
pub fn command(wrapper: &[String], task: &str, folder: &Path) -> Command {
    let this = std::env::current_exe()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    let arguments = ["log::child::child", "--exact", "--nocapture", "--quiet"].map(str::to_owned);
    let words: Vec<String> = wrapper
        .iter()
        .cloned()
        .chain([this])
        .chain(arguments)
        .collect();
    let mut command = Command::new(&words[0]);
    command
        .args(&words[1..])
        .env(TASK, task)
        .env(FOLDER, folder);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Not a test of its own: what the child process does. It does nothing otherwise.
#[test]
fn child() {
    let (Ok(task), Ok(folder)) = (std::env::var(TASK), std::env::var(FOLDER)) else {
        return;
    };
    let log = open(Path::new(&folder)).unwrap();
    tell(&format!("opened {}", log.head()));
    match task.as_str() {
        "append ten" => (0..10).for_each(|_| append_and_tell(&log)),
        "append for ever" => loop {
            append_and_tell(&log);
        },
        "append until a sync fails" => append_until_it_fails(&log, true),
        "append until a write fails" => append_until_it_fails(&log, false),
        _ => panic!("an unknown task: {task}"),
    }
}

fn append_and_tell(log: &dyn Log) {
    tell(&format!("acknowledged {}", append(log, COMMIT_RECORDS)));
}

/// The contract's claims about a failed append, with a real failure. Where the engine itself
/// failed it may no longer read everything, but what it reads is right.
fn append_until_it_fails(log: &dyn Log, reads_all: bool) {
    let error = loop {
        let head = log.head();
        match log.append(head, &blocks_at(head, COMMIT_RECORDS)) {
            Ok(head) => tell(&format!("acknowledged {head}")),
            Err(error) => break error,
        }
        assert!(log.head() < 10_000, "no append fails");
    };
    assert!(
        matches!(error, AppendError::OutcomeUnknown { .. }),
        "{error}"
    );
    let head = log.head();
    let again = log.append(head, &blocks_at(head, 1)).unwrap_err();
    assert!(matches!(again, AppendError::Ended { .. }), "{again}");
    assert!(log.ended().is_some());
    assert_eq!(log.head(), head);
    let (records, unread) = read_all(log, 0, 1);
    assert!(
        records
            .iter()
            .zip(0..head)
            .all(|(record, position)| *record == record_at(position))
    );
    assert!(unread.is_none() || !reads_all, "{unread:?}");
    assert!(unread.is_some() || records.len() as u64 == head);
    tell(&format!("failed {error}"));
}

/// One write of one line, which a trace then shows.
fn tell(line: &str) {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(format!("{line}\n").as_bytes()).unwrap();
    stdout.flush().unwrap();
}
