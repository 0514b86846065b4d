//! The real server as a process, and clients of it. A server is killed and reaped when its guard is
//! dropped, by the number of its process.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use casetrail::wire::v1::{
    GetServerStatusRequest, GetServerStatusResponse, admin_service_client::AdminServiceClient,
    audit_service_client::AuditServiceClient, case_service_client::CaseServiceClient,
    monitor_service_client::MonitorServiceClient, personal_service_client::PersonalServiceClient,
};
use tonic::transport::Channel;

use super::PATIENCE;

/// The executable under test: this build's, unless `CASETRAIL_TEST_BINARY` names another.
pub fn binary() -> PathBuf {
    std::env::var_os("CASETRAIL_TEST_BINARY")
        .map_or_else(|| env!("CARGO_BIN_EXE_casetrail").into(), PathBuf::from)
}

/// A command of the executable, which takes nothing from this environment.
pub fn casetrail(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(arguments);
    clean(&mut command);
    command
}

/// The command that serves a data folder, by way of the words of `wrapper`, if there are any.
pub fn serve(wrapper: &[&str], data: &Path, listen: &str) -> Command {
    let mut words = wrapper.iter().map(|word| (*word).into());
    let executable = binary();
    let mut command = Command::new(words.next().unwrap_or_else(|| executable.clone()));
    command.args(words);
    if !wrapper.is_empty() {
        command.arg(executable);
    }
    command
        .args(["serve", "--listen", listen, "--data"])
        .arg(data);
    clean(&mut command);
    command
}

fn clean(command: &mut Command) {
    for name in [
        "CASETRAIL_SERVER",
        "CASETRAIL_ACTOR",
        "CASETRAIL_ORGANISATION",
        "CASETRAIL_OUTBOX",
        "CASETRAIL_CA",
        "CASETRAIL_TOKEN_FILE",
        "CASETRAIL_CLIENT_CERTIFICATE",
        "CASETRAIL_CLIENT_KEY",
        "CASETRAIL_LOG",
        "CASETRAIL_MASTER_KEY",
        "RUST_LOG",
    ] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
}

/// How a process ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; none where a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard error.
    pub stderr: String,
}

/// A process that is killed and reaped when this is dropped.
pub struct Process {
    child: Child,
    stderr: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts a process and takes in what it writes to standard error.
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let stderr = Arc::new(Mutex::new(String::new()));
        let input = BufReader::new(child.stderr.take().unwrap());
        let reader = std::thread::spawn({
            let stderr = Arc::clone(&stderr);
            move || {
                for line in input.lines() {
                    let Ok(line) = line else { return };
                    let mut stderr = stderr.lock().unwrap();
                    stderr.push_str(&line);
                    stderr.push('\n');
                }
            }
        });
        Self {
            child,
            stderr,
            reader: Some(reader),
        }
    }

    /// The number of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to standard error by now.
    pub fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// What it reads from standard input, where its command was given a pipe for it.
    pub fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().unwrap()
    }

    /// What it writes to standard output, where its command was given a pipe for it.
    pub fn stdout(&mut self) -> BufReader<ChildStdout> {
        BufReader::new(self.child.stdout.take().unwrap())
    }

    /// The most memory that it had resident so far, in bytes.
    pub fn resident_bytes_max(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let kibibytes = line.and_then(|line| line.split_whitespace().nth(1));
        kibibytes.unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Sends it a signal by its name, for example TERM.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -{name} {}", self.child.id())])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Kills it, and waits until it is gone.
    pub fn kill(mut self) -> Ended {
        // It may have ended already.
        let _ = self.child.kill();
        self.wait()
    }

    /// Waits until it has ended, while tasks go on.
    pub async fn ended(self) -> Ended {
        tokio::task::spawn_blocking(|| self.wait()).await.unwrap()
    }

    /// Waits until it has ended.
    pub fn wait(mut self) -> Ended {
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "the process goes on:\n{}",
                self.stderr()
            );
            std::thread::sleep(Duration::from_millis(2));
        };
        self.reader.take().unwrap().join().unwrap();
        Ended {
            code: status.code(),
            stderr: self.stderr(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server that serves.
pub struct Server {
    pub process: Process,
    pub address: SocketAddr,
    /// Held open, so that the server never writes to a closed output.
    _stdout: BufReader<ChildStdout>,
}

impl Server {
    /// Starts a server of a data folder on a free port.
    pub fn start(data: &Path) -> Self {
        Self::try_start(serve(&[], data, "127.0.0.1:0")).unwrap_or_else(|ended| panic!("{ended:?}"))
    }

    /// Starts a server by a command of [`serve`]; how it ended where it did not come to serve.
    pub fn try_start(mut command: Command) -> Result<Self, Ended> {
        command.stdout(Stdio::piped());
        let mut process = Process::start(command);
        let mut stdout = BufReader::new(process.child.stdout.take().unwrap());
        let (sender, line) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            let _ = stdout.read_line(&mut line);
            let _ = sender.send((line, stdout));
        });
        let Ok((line, stdout)) = line.recv_timeout(PATIENCE) else {
            panic!("the server does not start:\n{}", process.stderr());
        };
        match line.trim_end().strip_prefix("listening on ") {
            Some(address) => Ok(Self {
                process,
                address: address.parse().unwrap(),
                _stdout: stdout,
            }),
            None => {
                assert_eq!(line, "");
                Err(process.wait())
            }
        }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Kills it as a power cut would, as far as the process sees it: without a chance to do anything.
    pub fn kill(self) {
        self.process.kill();
    }

    /// Ends it in good order. Connections to it go on meanwhile, as they have to in order to end.
    pub async fn stop(self) -> Ended {
        self.process.signal("TERM");
        self.process.ended().await
    }

    /// A new connection.
    pub async fn connect(&self) -> Client {
        let endpoint = Channel::from_shared(self.url()).unwrap();
        Client(endpoint.connect().await.unwrap())
    }
}

/// A connection to a server.
#[derive(Clone)]
pub struct Client(pub Channel);

impl Client {
    pub fn cases(&self) -> CaseServiceClient<Channel> {
        CaseServiceClient::new(self.0.clone())
    }

    pub fn monitor(&self) -> MonitorServiceClient<Channel> {
        MonitorServiceClient::new(self.0.clone())
    }

    pub fn audit(&self) -> AuditServiceClient<Channel> {
        AuditServiceClient::new(self.0.clone())
    }

    pub fn admin(&self) -> AdminServiceClient<Channel> {
        AdminServiceClient::new(self.0.clone())
    }

    pub fn personal(&self) -> PersonalServiceClient<Channel> {
        PersonalServiceClient::new(self.0.clone())
    }

    /// How the server stands, with the digest of its views.
    pub async fn status(&self) -> GetServerStatusResponse {
        let request = GetServerStatusRequest { with_digest: true };
        let status = self.admin().get_server_status(request).await;
        status.unwrap().into_inner()
    }
}

/// All files of a folder with their content, to tell whether anything changed.
pub fn content(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.push((path.clone(), Vec::new()));
            files.extend(content(&path));
        } else {
            let mut bytes = Vec::new();
            File::open(&path).unwrap().read_to_end(&mut bytes).unwrap();
            files.push((path, bytes));
        }
    }
    files.sort();
    files
}

/// Copies a folder with all that is in it.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
