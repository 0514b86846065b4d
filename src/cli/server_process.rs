//! A server that a command starts for itself: a process of this same executable, which is killed
//! when it is dropped, whatever happens. The demonstration and the benchmarks have one each.
//!
//! It deliberately does not know what the server serves: any subcommand that takes `--listen` and
//! prints `listening on ADDRESS` will do.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::failure::Failure;

/// How long a server may take to start, to recover a long history too.
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a server may take to end in good order, the snapshot of a long history included.
const STOP_TIMEOUT: Duration = Duration::from_secs(120);
/// How often it is looked whether a server has ended.
const STOP_POLL: Duration = Duration::from_millis(10);
/// How much of a server's log is shown where something fails, in lines.
const LOG_LINES: usize = 15;

/// What to start: a subcommand, and where its process logs to.
#[derive(Debug, Clone)]
pub(super) struct Program {
    /// The subcommand and its arguments, without `--listen`.
    arguments: Vec<OsString>,
    /// The file to which standard error goes.
    log: PathBuf,
}

impl Program {
    /// A server of the data in `folder/data`, which logs to `folder/server.log`.
    pub(super) fn serve(folder: &Path) -> Self {
        let data = folder.join("data");
        Self::new(
            ["serve".into(), "--data".into(), data.into()],
            folder.join("server.log"),
        )
    }

    /// Any subcommand that serves.
    pub(super) fn new(arguments: impl IntoIterator<Item = OsString>, log: PathBuf) -> Self {
        Self {
            arguments: arguments.into_iter().collect(),
            log,
        }
    }
}

/// A server process.
pub(super) struct Server {
    program: Program,
    process: Process,
    /// Where the server listens; after a restart again.
    pub(super) address: SocketAddr,
    /// Held open, so that the server never writes to a closed output.
    stdout: Option<BufReader<ChildStdout>>,
    /// Whether it lives on after this process, and so hears none of this terminal's signals.
    lives_on: bool,
}

/// The process of a server, which can be killed from anywhere, at once.
#[derive(Clone)]
pub(super) struct Process(Arc<Mutex<Option<Child>>>);

impl Server {
    /// Starts a server on a free port.
    pub(super) async fn start(program: Program, lives_on: bool) -> Result<Self, Failure> {
        let mut server = Self {
            program,
            process: Process(Arc::new(Mutex::new(None))),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            stdout: None,
            lives_on,
        };
        server.restart().await?;
        Ok(server)
    }

    /// Starts the server again on the address that it had, after it was killed.
    pub(super) async fn restart(&mut self) -> Result<(), Failure> {
        self.process.kill();
        let mut child = self
            .command()?
            .spawn()
            .map_err(|error| Failure::local("starting the server process failed", &error))?;
        let stdout = child.stdout.take();
        self.process.put(child);
        let mut stdout = stdout.map(BufReader::new).ok_or_else(|| self.silent())?;
        let reading = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            let read = stdout.read_line(&mut line);
            read.map(|_| (line, stdout))
        });
        let read = tokio::time::timeout(START_TIMEOUT, reading).await;
        let Ok(Ok(Ok((line, stdout)))) = read else {
            return Err(self.silent());
        };
        let address = line
            .trim()
            .strip_prefix("listening on ")
            .and_then(|text| text.parse().ok());
        self.address = address.ok_or_else(|| self.silent())?;
        self.stdout = Some(stdout);
        Ok(())
    }

    /// The process, to kill it from elsewhere.
    pub(super) fn process(&self) -> Process {
        self.process.clone()
    }

    /// Kills the server with SIGKILL: it has no chance to put anything in order.
    pub(super) fn kill(&self) {
        self.process.kill();
    }

    /// Tells the server to end in good order (SIGTERM), and waits until its process is gone.
    ///
    /// # Errors
    /// A server that does not end in time, or not in good order.
    pub(super) async fn stop(&self) -> Result<(), Failure> {
        let Some(mut child) = self.process.take() else {
            return Ok(());
        };
        let ended = tokio::task::spawn_blocking(move || {
            if let Some(pid) = Pid::from_raw(i32::try_from(child.id()).unwrap_or_default()) {
                let _ = kill_process(pid, Signal::TERM);
            }
            let deadline = Instant::now() + STOP_TIMEOUT;
            loop {
                match child.try_wait() {
                    Ok(None) if Instant::now() < deadline => std::thread::sleep(STOP_POLL),
                    Ok(Some(status)) => return Some(status),
                    _ => {
                        let _ = child.kill();
                        let _ = child.wait();
                        return None;
                    }
                }
            }
        });
        match ended.await {
            Ok(Some(status)) if status.success() => Ok(()),
            _ => Err(Failure::Failed(format!(
                "The server did not end in good order. Its log ends with:\n{}",
                self.log_tail()
            ))),
        }
    }

    /// The number of the process, as long as it runs.
    pub(super) fn process_id(&self) -> Option<u32> {
        self.process.id()
    }

    /// The server's URL.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Leaves the server running, and returns the number of its process.
    pub(super) fn leave(self) -> Option<u32> {
        self.process.take().map(|child| child.id())
    }

    /// The last lines of the server's log, for a failure's sake.
    pub(super) fn log_tail(&self) -> String {
        log_tail(&self.program.log)
    }

    fn command(&self) -> Result<Command, Failure> {
        let failed = |error| Failure::local("preparing the server process failed", &error);
        let executable = std::env::current_exe().map_err(failed)?;
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&self.program.log);
        let mut command = Command::new(executable);
        command
            .args(&self.program.arguments)
            .args(["--listen", &self.address.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.map_err(failed)?);
        if self.lives_on {
            command.process_group(0);
        }
        Ok(command)
    }

    fn silent(&self) -> Failure {
        Failure::Failed(format!(
            "The server did not start. Its log ends with:\n{}",
            self.log_tail()
        ))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill();
    }
}

impl Process {
    /// Kills the process and waits until it is gone. Nothing happens where it is gone already.
    pub(super) fn kill(&self) {
        if let Some(mut child) = self.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn id(&self) -> Option<u32> {
        let child = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        child.as_ref().map(Child::id)
    }

    fn take(&self) -> Option<Child> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, child: Child) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
    }
}

fn log_tail(path: &Path) -> String {
    let log = std::fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<_> = log.lines().collect();
    let tail = lines.iter().skip(lines.len().saturating_sub(LOG_LINES));
    tail.map(|line| format!("  {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}
