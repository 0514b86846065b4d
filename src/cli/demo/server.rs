//! A server of the demonstration: a process of this same executable, which is killed when it is
//! dropped, whatever happens.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::cli::failure::Failure;

/// How long a server may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// How much of a server's log is shown where something fails, in lines.
const LOG_LINES: usize = 15;

/// A server process and its folder.
pub(super) struct Server {
    folder: PathBuf,
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
    /// Starts a server with its data in `folder`, on a free port.
    pub(super) async fn start(folder: &Path, lives_on: bool) -> Result<Self, Failure> {
        let mut server = Self {
            folder: folder.to_owned(),
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
        log_tail(&self.log_path())
    }

    fn command(&self) -> Result<Command, Failure> {
        let failed = |error| Failure::local("preparing the server process failed", &error);
        let executable = std::env::current_exe().map_err(failed)?;
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.log_path());
        let mut command = Command::new(executable);
        command
            .args(["serve", "--listen", &self.address.to_string(), "--data"])
            .arg(self.folder.join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.map_err(failed)?);
        if self.lives_on {
            command.process_group(0);
        }
        Ok(command)
    }

    fn log_path(&self) -> PathBuf {
        self.folder.join("server.log")
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
