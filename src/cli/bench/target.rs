//! The server that is measured: a running one, or one that is started in a fresh folder for it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use tempfile::TempDir;

use super::figures::Figures;
use super::usage;
use crate::cli::connection::{Connection, ServerArguments};
use crate::cli::failure::Failure;
use crate::cli::server_process::{Program, Server};

/// Which server is measured, and how it is reported.
#[derive(Debug, Clone, Args)]
pub(super) struct TargetArguments {
    /// A running server, instead of one that is started for this: what is submitted stays in it
    #[arg(long, value_name = "URL")]
    pub(super) server: Option<String>,
    /// Folder in which the server's own folder is made, which says which disk is measured. It is
    /// removed at the end
    #[arg(long, value_name = "DIR", conflicts_with = "server")]
    pub(super) folder: Option<PathBuf>,
}

/// A server that is measured.
pub(super) struct Target {
    /// Its address.
    pub(super) url: String,
    own: Option<Own>,
}

/// A server of our own, and its folder.
struct Own {
    // Dropped first, so that the process is gone before its folder.
    server: Server,
    folder: PathBuf,
    _fresh: Option<TempDir>,
}

/// What a server of our own has used, to tell what it uses from here on.
pub(super) struct UsageBefore {
    server: Option<Duration>,
    client: Option<Duration>,
}

impl Target {
    /// The running server that is named, or one of our own in a fresh folder.
    ///
    /// # Errors
    /// A server that does not start.
    pub(super) async fn start(arguments: &TargetArguments) -> Result<Self, Failure> {
        match &arguments.server {
            Some(url) => Ok(Self {
                url: url.clone(),
                own: None,
            }),
            None => {
                let fresh = fresh_folder(arguments.folder.as_deref())?;
                let folder = fresh.path().to_owned();
                let program = Program::serve(&folder);
                Self::start_own(program, folder, Some(fresh)).await
            }
        }
    }

    /// The same services that store nothing, as a process of their own.
    ///
    /// # Errors
    /// A server that does not start.
    pub(super) async fn start_storing_nothing() -> Result<Self, Failure> {
        let fresh = fresh_folder(None)?;
        let folder = fresh.path().to_owned();
        let arguments = ["bench".into(), "nothing".into()];
        let program = Program::new(arguments, folder.join("server.log"));
        Self::start_own(program, folder, Some(fresh)).await
    }

    /// A server of our own on the data of a folder that is kept.
    ///
    /// # Errors
    /// A server that does not start.
    pub(super) async fn start_in(folder: &Path) -> Result<Self, Failure> {
        Self::start_own(Program::serve(folder), folder.to_owned(), None).await
    }

    async fn start_own(
        program: Program,
        folder: PathBuf,
        fresh: Option<TempDir>,
    ) -> Result<Self, Failure> {
        let server = Server::start(program, false).await?;
        Ok(Self {
            url: server.url(),
            own: Some(Own {
                server,
                folder,
                _fresh: fresh,
            }),
        })
    }

    /// Connects as any client does.
    ///
    /// # Errors
    /// Those of connecting.
    pub(super) async fn connect(&self) -> Result<Connection, Failure> {
        let server = self.url.clone();
        ServerArguments::at(server).connect().await
    }

    /// The process, where it is ours.
    pub(super) fn process_id(&self) -> Option<u32> {
        self.own.as_ref().and_then(|own| own.server.process_id())
    }

    /// The data folder, where the server is ours.
    pub(super) fn data_folder(&self) -> Option<PathBuf> {
        self.own.as_ref().map(|own| own.folder.join("data"))
    }

    /// The process, to kill, stop and start it again.
    ///
    /// # Errors
    /// The server is not ours.
    pub(super) fn own_server(&mut self) -> Result<&mut Server, Failure> {
        let own = self.own.as_mut().map(|own| &mut own.server);
        own.ok_or_else(|| {
            Failure::Usage("This needs a server of its own: leave --server out.".to_owned())
        })
    }

    /// What is used so far.
    pub(super) fn usage(&self) -> UsageBefore {
        if let Some(process) = self.process_id() {
            usage::forget_memory_peak(process);
        }
        UsageBefore {
            server: self.process_id().and_then(usage::cpu_time),
            client: usage::cpu_time(std::process::id()),
        }
    }

    /// What was used since: CPU time of both sides, and the peak of the server's memory.
    pub(super) fn usage_since(&self, before: &UsageBefore) -> Figures {
        let mut figures = Figures::default();
        let since = |now: Option<Duration>, before: Option<Duration>| now?.checked_sub(before?);
        let server = self.process_id().and_then(usage::cpu_time);
        let client = usage::cpu_time(std::process::id());
        figures.seconds("server_cpu_seconds", since(server, before.server));
        figures.seconds("client_cpu_seconds", since(client, before.client));
        let peak = self.process_id().and_then(usage::memory_peak);
        figures.known("server_memory_peak_bytes", peak);
        figures
    }

    /// The failure with the end of the server's log, where it is ours.
    pub(super) fn explain(&self, failure: Failure) -> Failure {
        match (&self.own, failure) {
            (_, failure @ (Failure::OutputClosed | Failure::Usage(_))) => failure,
            (None, failure) => failure,
            (Some(own), failure) => Failure::Failed(format!(
                "{failure}\nThe server's log ends with:\n{}",
                own.server.log_tail()
            )),
        }
    }
}

/// A fresh folder, on the disk of `parent` or where temporary files go.
///
/// # Errors
/// It can't be made.
pub(super) fn fresh_folder(parent: Option<&Path>) -> Result<TempDir, Failure> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("casetrail-bench-");
    match parent {
        Some(parent) => builder.tempdir_in(parent),
        None => builder.tempdir(),
    }
    .map_err(|error| Failure::local("making a folder for the benchmark failed", &error))
}
