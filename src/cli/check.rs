//! `casetrail check`: whether a log is sound, that of a stopped server's folder or of a running
//! server.

mod report;
mod server;

use std::path::{Path, PathBuf};

use clap::Args;

use self::report::Report;
use super::backup::progress_bar;
use super::connection::{CredentialArguments, DEFAULT_ADDRESS, ServerArguments};
use super::failure::Failure;
use crate::ledger::check::{Checked, check_folder};

/// What to check.
#[derive(Debug, Args)]
#[command(after_help = "\
Verifies checksums, positions, the versions of each case, that submissions are whole and recorded
once, times of recording, the sizes of blocks, what each record says of how its case stands, and
that the views are what the log says; of a folder also its snapshot and its high-water mark.

A folder is checked in a copy, which is removed afterwards, because opening a log writes to it: the
copy needs as much room as the folder, in --scratch. With --in-place there is none, and the log is
opened as a start of the server does. A running server is asked for all of its records. Records that
are damaged are told, and what comes behind them is still looked at.

With --json there is one object a line: {\"kind\":\"..\",\"position\":\"..\",\"what\":\"..\"}, where
kind is damage, missing, order, block, record, personal, recorded_at, submission, request_id,
event_id, version, standing, views, snapshot or folder; the last one has the kind sound or unsound.
The exit code is 0 where all is sound and 1 where it is not.

Examples:
  casetrail check --data /var/lib/casetrail
  casetrail check --data ./data --scratch /mnt/large --json
  casetrail check --server http://127.0.0.1:7611")]
pub(super) struct CheckArguments {
    /// Folder of the data of a stopped server
    #[arg(long, value_name = "DIR", required_unless_present = "server")]
    data: Option<PathBuf>,
    /// Address of a running server
    #[arg(long, value_name = "URL", conflicts_with = "data")]
    server: Option<String>,
    /// Where the copy is made; by default in the system's folder for temporary files
    #[arg(
        long,
        value_name = "DIR",
        requires = "data",
        conflicts_with_all = ["in_place", "server"]
    )]
    scratch: Option<PathBuf>,
    /// Open the log in the folder itself, which writes to it
    #[arg(long, requires = "data", conflicts_with = "server")]
    in_place: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// How many findings are shown; all are counted
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u64,
    #[command(flatten)]
    credentials: CredentialArguments,
}

pub(super) async fn run(arguments: &CheckArguments) -> Result<(), Failure> {
    let mut report = Report::new(arguments.json, arguments.limit);
    let checked = match (&arguments.data, &arguments.server) {
        (Some(data), _) => folder(arguments, data, &mut report)?,
        (None, Some(server)) => {
            let server = ServerArguments {
                server: server.clone(),
                credentials: arguments.credentials.clone(),
            };
            self::server::check(&server, &mut report).await?
        }
        (None, None) => {
            return Err(Failure::Usage(format!(
                "name what to check: --data DIR or --server http://{DEFAULT_ADDRESS}"
            )));
        }
    };
    report.end(&checked)
}

fn folder(
    arguments: &CheckArguments,
    data: &Path,
    report: &mut Report,
) -> Result<Checked, Failure> {
    let scratch = if arguments.in_place {
        None
    } else {
        let mut builder = tempfile::Builder::new();
        builder.prefix("casetrail-check-");
        let made = match &arguments.scratch {
            Some(folder) => builder.tempdir_in(folder),
            None => builder.tempdir(),
        };
        Some(made.map_err(|error| Failure::local("making a folder for the copy failed", &error))?)
    };
    let bar = progress_bar(0);
    let copy = scratch.as_ref().map(tempfile::TempDir::path);
    let checked = check_folder(
        data,
        copy,
        &mut |finding| bar.suspend(|| report.tell(&finding)),
        &mut |position, head| {
            bar.set_length(head);
            bar.set_position(position);
        },
    );
    bar.finish_and_clear();
    checked.map_err(|error| Failure::Failed(format!("{} was not checked: {error}", data.display())))
}
