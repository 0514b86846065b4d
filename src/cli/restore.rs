//! `casetrail restore`: a data folder from backups. It needs no server.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::failure::Failure;
use super::names;
use super::output::{Output, note};
use crate::ledger::restore::{Source, restore};

/// What to restore, and where to.
#[derive(Debug, Args)]
#[command(after_help = "\
Every checksum, position and version is checked, that submissions are whole and recorded once, and
that the records add up to the views that the server had. Where anything is torn or was changed,
its byte and its position are named, and there is no new folder.

The folder is built in DIR/restoring and complete once that is gone; no server takes it before.

Examples:
  casetrail restore /mnt/backup/casetrail.ctb --data /var/lib/casetrail
  casetrail restore first.ctb second.ctb --data ./data
  casetrail restore casetrail.ctb --data ./data-before --until 120000")]
pub(super) struct RestoreArguments {
    /// The backups in order, each going on where the one before it ended; - for standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Folder of the data to make: one that does not exist, or is empty
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// End before this position, which must be the end of a submission
    #[arg(long, value_name = "POSITION")]
    until: Option<u64>,
}

pub(super) fn run(arguments: &RestoreArguments) -> Result<(), Failure> {
    let sources = arguments.files.iter().map(|path| open(path));
    let sources = sources.collect::<Result<Vec<_>, _>>()?;
    let spinner = spinner();
    let restored = restore(sources, &arguments.data, arguments.until, &mut |position| {
        spinner.set_position(position)
    });
    spinner.finish_and_clear();
    let restored = restored.map_err(|error| {
        Failure::Failed(format!(
            "{error}\nNothing was restored to {}.",
            arguments.data.display()
        ))
    })?;
    for each in &restored.notes {
        note(&format!("note: {each}"));
    }
    let mut output = Output::stdout();
    output.line(&format!(
        "{} records of {} cases are restored to {}",
        restored.records,
        restored.cases,
        arguments.data.display()
    ))?;
    output.line(&format!("views {}", names::hex(&restored.views_digest)))?;
    output.flush()
}

fn open(path: &Path) -> Result<Source<'static>, Failure> {
    if path == Path::new("-") {
        return Ok(Source {
            name: "standard input".to_owned(),
            input: Box::new(io::stdin()),
        });
    }
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| Failure::Usage(format!("{name}: {error}")))?;
    Ok(Source {
        name,
        input: Box::new(file),
    })
}

/// A count of records on a terminal; nothing elsewhere.
fn spinner() -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{human_pos} records, {per_sec}");
    ProgressBar::no_length().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}
