//! A server under the recorder.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use tempfile::TempDir;

use super::check::{read_image, write_image};
use super::disk::{AllKept, Disk, Image, Naming};
use super::load::Submitted;
use super::trace::Trace;
use crate::support::server::{Ended, Server, serve};

/// A memory file system, where there is one: what a cut leaves is built from the trace, so that
/// nothing has to reach a disk here.
const MEMORY: &str = "/dev/shm";

/// A folder for temporary files that is as quick as there is.
pub fn quick_folder() -> TempDir {
    tempfile::tempdir_in(MEMORY).unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

/// The compiled recorder.
#[derive(Clone)]
pub struct Recorder {
    library: PathBuf,
    _folder: Arc<TempDir>,
}

impl Recorder {
    /// Compiles the recorder; none where that can't be, which is said.
    pub fn compile() -> Option<Self> {
        if !cfg!(target_os = "linux") {
            eprintln!("SKIPPED: the recorder is made for Linux; no power was cut");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("recorder.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/powercut/recorder.c");
        let mut command = Command::new("cc");
        command.args([
            "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o",
        ]);
        let compiled = command.arg(&library).arg(source).arg("-lpthread").output();
        match compiled {
            Err(cause) => {
                eprintln!("SKIPPED: there is no C compiler `cc` ({cause}); no power was cut");
                None
            }
            Ok(output) => {
                assert!(output.status.success(), "{output:?}");
                let folder = Arc::new(folder);
                Some(Self {
                    library,
                    _folder: folder,
                })
            }
        }
    }
}

/// What was recorded under a load.
pub struct Recording {
    /// What was durable before.
    pub base: Image,
    pub trace: Trace,
    /// All that was ever submitted, by request_id.
    pub submitted: Arc<HashMap<String, Submitted>>,
    /// The request_ids that had been told before the trace began.
    pub told_before: HashSet<String>,
}

/// One folder that servers use one after the other, all recorded into one trace.
pub struct Rig {
    recorder: Recorder,
    folder: TempDir,
    base: Image,
    /// The call that does nothing and says that it did.
    skip: Option<&'static str>,
}

impl Rig {
    /// A rig with this image on its disk, durable.
    pub fn new(recorder: &Recorder, base: Image, skip: Option<&'static str>) -> Self {
        let rig = Self {
            recorder: recorder.clone(),
            folder: quick_folder(),
            base,
            skip,
        };
        write_image(&rig.base, &rig.root());
        rig
    }

    /// What is recorded; it holds the data folder.
    fn root(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join("disk")
    }

    pub fn data(&self) -> PathBuf {
        self.root().join("data")
    }

    fn trace(&self) -> PathBuf {
        self.folder.path().join("trace")
    }

    /// The command of a server, which is killed after so many entries about files, if that is said.
    fn command(&self, kill_at: Option<u64>) -> Command {
        let mut command = serve(&[], &self.data(), "127.0.0.1:0");
        command
            .env("LD_PRELOAD", &self.recorder.library)
            .env("RECORDER_TRACE", self.trace())
            .env("RECORDER_FOLDER", self.root());
        if let Some(skip) = self.skip {
            command.env("RECORDER_SKIP", skip);
        }
        if let Some(kill_at) = kill_at {
            command.env("RECORDER_KILL_AT", kill_at.to_string());
        }
        command
    }

    /// Starts a server; how it ended where it did not come to serve.
    pub fn try_start(&self, kill_at: Option<u64>) -> Result<Server, Ended> {
        Server::try_start(self.command(kill_at))
    }

    pub fn start(&self) -> Server {
        self.try_start(None)
            .unwrap_or_else(|ended| panic!("{ended:?}"))
    }

    /// Kills a server between two entries: never after a call and before its entry.
    pub fn kill(&self, server: Server) {
        let trace = File::open(self.trace()).unwrap();
        trace.lock().unwrap();
        server.kill();
        trace.unlock().unwrap();
    }

    /// Reads the trace, once no server runs any more, and makes sure that it misses nothing: carried
    /// out, it gives the files as they are.
    pub fn finish(
        self,
        submitted: impl IntoIterator<Item = Submitted>,
        told_before: HashSet<String>,
    ) -> Recording {
        let trace = Trace::read(&self.trace());
        let mut disk = Disk::new(&self.base, &trace, Naming::InOrder);
        disk.advance(trace.entries.len());
        let (recorded, found) = (disk.cut(&AllKept), read_image(&self.root()));
        let names = |image: &Image| image.keys().cloned().collect::<Vec<_>>();
        assert_eq!(
            names(&recorded),
            names(&found),
            "the recorder misses something"
        );
        for (path, content) in &found {
            assert!(
                recorded[path] == *content,
                "the recorder misses changes of {path}"
            );
        }
        let submitted = submitted.into_iter();
        let submitted = submitted.map(|each| (each.request.request_id.clone(), each));
        Recording {
            base: self.base,
            trace,
            submitted: Arc::new(submitted.collect()),
            told_before,
        }
    }
}
