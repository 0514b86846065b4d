//! Traces of the system calls of a child process, and failures put into them.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Output};

use super::child::command;

/// A finished system call: the lines of the trace at which it began and ended.
#[derive(Clone, Debug)]
pub struct Call {
    pub began: usize,
    pub ended: usize,
    pub text: String,
}

impl Call {
    pub fn is(&self, name: &str, of: &str) -> bool {
        self.text.starts_with(&format!("{name}(")) && self.text.contains(of)
    }

    pub fn succeeded(&self) -> bool {
        self.text
            .rsplit("= ")
            .next()
            .is_some_and(|result| !result.starts_with('-'))
    }
}

/// Whether processes can be traced here; says so if they can't.
pub fn can_trace() -> bool {
    let tried = Command::new("strace")
        .args(["-f", "-o", "/dev/null", "true"])
        .status();
    let can = tried.is_ok_and(|status| status.success());
    if !can {
        eprintln!("SKIPPED: strace is not installed or may not trace; nothing was checked here");
    }
    can
}

/// Runs a task in a child under strace and returns its calls by the order of their ends.
pub fn traced(task: &str, folder: &Path) -> Vec<Call> {
    let trace = tempfile::NamedTempFile::new().unwrap();
    let calls = "trace=write,pwrite64,pwritev,fsync,fdatasync,rename,unlink,unlinkat,ftruncate";
    let path = trace.path().to_str().unwrap();
    let wrapper = ["strace", "-f", "-y", "-s", "40", "-e", calls, "-o", path].map(str::to_owned);
    let output = command(&wrapper, task, folder).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    calls_of(&std::fs::read_to_string(trace.path()).unwrap())
}

/// Runs a task in a child in which a system call fails from its n-th time on.
pub fn with_failing(call: &str, error: &str, from: u32, task: &str, folder: &Path) -> Output {
    let trace = format!("trace={call}");
    let inject = format!("inject={call}:error={error}:when={from}+");
    let wrapper = [
        "strace",
        "-f",
        "-e",
        &trace,
        "-e",
        &inject,
        "-o",
        "/dev/null",
    ];
    command(&wrapper.map(str::to_owned), task, folder)
        .output()
        .unwrap()
}

fn calls_of(trace: &str) -> Vec<Call> {
    let mut begun: HashMap<&str, (usize, String)> = HashMap::new();
    let mut calls = Vec::new();
    for (at, line) in trace.lines().enumerate() {
        let Some((process, text)) = line.split_once(' ') else {
            continue;
        };
        let text = text.trim_start();
        if let Some(first) = text.strip_suffix(" <unfinished ...>") {
            begun.insert(process, (at, first.to_owned()));
        } else if let Some((_, rest)) = text
            .strip_prefix("<... ")
            .and_then(|resumed| resumed.split_once("resumed>"))
        {
            let (began, first) = begun.remove(process).expect("a call that began");
            calls.push(Call {
                began,
                ended: at,
                text: format!("{first}{rest}"),
            });
        } else if !text.starts_with("+++") && !text.starts_with("---") {
            calls.push(Call {
                began: at,
                ended: at,
                text: text.to_owned(),
            });
        }
    }
    calls
}
