//! The `casetrail` command.

use std::process::ExitCode;

/// The system's allocator takes a third of the server's time under load: what one thread decodes
/// another one stores and a third one answers.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    casetrail::cli::main()
}
