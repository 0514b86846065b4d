//! Failures put into the system calls of a running server, by strace, for as long as a test wants
//! them.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use tempfile::NamedTempFile;

use crate::support::server::{Process, Server};

/// Whether strace can be put onto a process that runs; says so if it can't.
pub fn can_inject() -> bool {
    static CAN: OnceLock<bool> = OnceLock::new();
    *CAN.get_or_init(|| {
        let mut sleeper = Command::new("sleep");
        sleeper.arg("600").stdin(Stdio::null());
        let sleeper = Process::start(sleeper);
        let can = attach(sleeper.id(), "/dev/null", &["-e", "trace=none"]).is_some();
        if !can {
            eprintln!("SKIPPED: strace is not installed or may not attach; nothing was checked");
        }
        can
    })
}

/// A failure of a running server's system calls. It ends when this is dropped, and the calls are
/// again what they were.
pub struct Injection {
    strace: Option<Process>,
    calls: NamedTempFile,
}

impl Injection {
    /// Makes the calls (`pread64` for example) on this file fail, or wait, as strace's option
    /// `inject` says (`error=EIO` for example).
    pub fn begin(server: &Server, calls: &str, file: &Path, injection: &str) -> Self {
        let trace = format!("trace={calls}");
        let inject = format!("inject={calls}:{injection}");
        let file = file.to_str().unwrap();
        let options = ["-P", file, "-e", &trace, "-e", &inject];
        let calls = NamedTempFile::new().unwrap();
        let strace = attach(
            server.process.id(),
            calls.path().to_str().unwrap(),
            &options,
        );
        Self {
            strace: Some(strace.expect("strace attaches, as it did before")),
            calls,
        }
    }

    /// Ends it. Returns how many calls were made to fail.
    pub fn end(mut self) -> usize {
        self.detach();
        let calls = std::fs::read_to_string(self.calls.path()).unwrap();
        calls.matches("(INJECTED)").count()
    }

    fn detach(&mut self) {
        if let Some(strace) = self.strace.take() {
            strace.signal("TERM");
            strace.wait();
        }
    }
}

impl Drop for Injection {
    fn drop(&mut self) {
        self.detach();
    }
}

/// Puts strace onto a process and waits until it is; none where it may not.
fn attach(process: u32, calls: &str, options: &[&str]) -> Option<Process> {
    Command::new("strace").arg("-V").output().ok()?;
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-o", calls, "-p", &process.to_string()])
        .args(options)
        .stdin(Stdio::null());
    let mut strace = Process::start(strace);
    while !strace.stderr().contains("attached") {
        if strace.has_ended() {
            return None;
        }
        std::thread::yield_now();
    }
    Some(strace)
}
