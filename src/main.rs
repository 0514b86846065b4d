//! The `casetrail` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    casetrail::cli::main()
}
