//! `casetrail salvage`: lifts what is whole out of a damaged log into a new data folder.

use std::path::{Path, PathBuf};

use clap::Args;

use super::failure::Failure;
use super::output::Output;
use crate::ledger::salvage::{End, Salvaged, salvage};

/// What to lift, and where to.
#[derive(Debug, Args)]
#[command(after_help = "\
For a log that the server refuses: the records are lifted out of the database's file without the
database, checked, and written to a new data folder up to the first gap. The damaged folder is only
read, its server has to be stopped. Whole blocks that can't go into the new log, such as those behind
a gap, are put into the file left-over.blocks beside it, so that nothing is lost.

The exit code is 0 where everything up to the high-water mark and the snapshot is back, and 1 where
something is missing, or may be.

Examples:
  casetrail salvage --data /var/lib/casetrail --into /var/lib/casetrail-salvaged
  casetrail salvage --data ./data/safety-copy --into ./salvaged --json")]
pub(super) struct SalvageArguments {
    /// Data folder of the damaged log; nothing in it is changed
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Data folder to make; it must not exist, or be empty
    #[arg(long, value_name = "NEW_DIR")]
    into: PathBuf,
    /// As one line of JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &SalvageArguments) -> Result<(), Failure> {
    let salvaged = salvage(&arguments.data, &arguments.into)
        .map_err(|error| Failure::Failed(error.to_string()))?;
    let mut output = Output::stdout();
    if arguments.json {
        let line = serde_json::to_string(&salvaged);
        output.line(&line.map_err(|error| Failure::local("writing the report failed", &error))?)?;
    } else {
        for line in report(&salvaged, &arguments.into) {
            output.line(&line)?;
        }
    }
    output.flush()?;
    if salvaged.is_complete() {
        return Ok(());
    }
    Err(Failure::Failed(format!(
        "{}. Keep the damaged folder, and compare with your backups. To go on with what is back: {}",
        what_is_missing(&salvaged),
        serve_command(&arguments.into)
    )))
}

/// What to type to lift what is whole out of a folder.
pub(super) fn salvage_command(data: &Path) -> String {
    let mut into = data.components().as_path().as_os_str().to_owned();
    into.push("-salvaged");
    format!(
        "casetrail salvage --data {} --into {}",
        shell_word(data),
        shell_word(Path::new(&into))
    )
}

fn serve_command(data: &Path) -> String {
    format!("casetrail serve --data {}", shell_word(data))
}

/// A path as a word for the shell.
pub(super) fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

fn report(salvaged: &Salvaged, into: &Path) -> Vec<String> {
    let known = |number: Option<u64>, unknown: &str| {
        number.map_or_else(|| unknown.to_owned(), |number| number.to_string())
    };
    let mut lines = vec![
        format!(
            "found      {} whole blocks, in {} copies; {} bytes can't be read",
            salvaged.blocks_found, salvaged.copies_found, salvaged.unreadable_bytes
        ),
        format!(
            "written    {} records to {}",
            salvaged.records,
            into.display()
        ),
        format!("end        {}", end(&salvaged.end)),
        format!("mark       {}", known(salvaged.mark, "damaged")),
        format!("snapshot   {}", known(salvaged.snapshot, "none")),
        format!("missing    {} records", salvaged.missing),
    ];
    if let Some(file) = &salvaged.left_over_file {
        lines.push(format!(
            "left over  {} blocks with {} records, in {}",
            salvaged.left_over_blocks,
            salvaged.left_over_records,
            file.display()
        ));
    }
    lines
}

fn end(end: &End) -> String {
    match end {
        End::EndOfLog => "no whole block lies beyond".to_owned(),
        End::Gap { position, next } => {
            let next = next.map_or_else(String::new, |next| format!("; the next begins at {next}"));
            format!("no whole block begins at position {position}{next}")
        }
        End::DoesNotFollow { cause, .. } => cause.clone(),
        End::HalfSubmission { position, until } => {
            format!("the submission at position {position} is whole only up to position {until}")
        }
    }
}

fn what_is_missing(salvaged: &Salvaged) -> String {
    if salvaged.missing > 0 {
        format!(
            "{} records are missing, from position {} on",
            salvaged.missing, salvaged.records
        )
    } else if salvaged.mark.is_none() {
        "The high-water mark is damaged, so whether records are missing can't be told".to_owned()
    } else {
        format!(
            "Records are missing from position {} on; how many can't be told",
            salvaged.records
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_can_be_typed_as_it_is_told() {
        let plain = salvage_command(Path::new("/var/lib/casetrail/"));
        assert_eq!(
            plain,
            "casetrail salvage --data /var/lib/casetrail/ --into /var/lib/casetrail-salvaged"
        );
        let odd = salvage_command(Path::new("my 'data"));
        assert_eq!(
            odd,
            r"casetrail salvage --data 'my '\''data' --into 'my '\''data-salvaged'"
        );
    }
}
