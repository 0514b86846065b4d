//! `casetrail completions`.

use clap::Args;
use clap_complete::Shell;

use super::failure::Failure;
use super::output::Output;

/// For which shell.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  casetrail completions bash > /etc/bash_completion.d/casetrail
  casetrail completions fish > ~/.config/fish/completions/casetrail.fish")]
pub(super) struct CompletionsArguments {
    /// The shell
    shell: Shell,
}

pub(super) fn run(arguments: &CompletionsArguments) -> Result<(), Failure> {
    // Written to memory first: clap panics where its writer fails, as at a closed output.
    let mut script = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut super::definition(),
        "casetrail",
        &mut script,
    );
    let mut output = Output::stdout();
    output.bytes(&script)?;
    output.flush()
}
