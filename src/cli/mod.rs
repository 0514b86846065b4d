//! The command line: one file a subcommand.
//!
//! All but `serve`, `restore`, `salvage`, `check --data`, `keys`, `outbox` (but for its `send`),
//! `sample`, `lifecycle`, `roles` and `completions` are clients that speak gRPC like anyone else; they
//! know nothing of the log, the views or the ledger but its clock.
//! What a command is told to print goes to standard output, everything else to standard error.

mod alerts;
mod as_of;
mod backup;
mod bench;
mod check;
mod completions;
mod connection;
mod coverage;
mod demo;
mod diff;
mod erasure;
mod failure;
mod filter;
mod follow;
mod get;
mod history;
mod keys;
mod lifecycle;
mod list;
mod names;
mod outbox;
mod output;
mod personal;
mod protection;
mod rebuild;
mod replay;
mod restore;
mod roles;
mod salvage;
pub mod sample;
mod series;
mod serve;
mod server_process;
mod status;
mod submit;
mod summary;
mod token;
mod watch;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use self::failure::{Failure, exit_code};

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  refused, by the server or because a line of the input is malformed
  2  wrong usage
  3  no connection to the server";

/// Tracks humanitarian cases: releases of prisoners and hostages, recoveries of remains, returns of
/// displaced people.
///
/// Every event is kept in an append-only log, from which the status of each case is told.
#[derive(Debug, Parser)]
#[command(name = "casetrail", version, after_help = EXIT_CODES, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a server
    Serve(serve::ServeArguments),
    /// Submit events from a file of JSON Lines
    Submit(submit::SubmitArguments),
    /// Keep submissions while there is no line, and send them later
    Outbox(outbox::OutboxArguments),
    /// Show a case
    Get(get::GetArguments),
    /// List cases
    List(list::ListArguments),
    /// Show the history of a case
    History(history::HistoryArguments),
    /// Show personal data, and to whom it was disclosed
    Personal(personal::PersonalArguments),
    /// Request, execute or refuse the erasure of a subject's personal data
    Erasure(erasure::ErasureArguments),
    /// Stream status changes
    Watch(watch::WatchArguments),
    /// Tell what rules over cases and days point out
    Alerts(alerts::AlertsArguments),
    /// Count cases by kind and status
    Summary(summary::SummaryArguments),
    /// Tell what became of the cases under an agreement's clauses
    Coverage(coverage::CoverageArguments),
    /// Count cases at the end of each of some months
    Series(series::SeriesArguments),
    /// Show what differs between two reports, and through which events
    Diff(diff::DiffArguments),
    /// Replay the log, verifying its checksums
    Replay(replay::ReplayArguments),
    /// Copy the log into a file while the server works, or continue such a file
    Backup(backup::BackupArguments),
    /// Make a data folder from backups
    Restore(restore::RestoreArguments),
    /// Check whether a log is sound
    Check(check::CheckArguments),
    /// Show how the server stands
    Status(status::StatusArguments),
    /// Rebuild the server's views from the log, and compare
    Rebuild(rebuild::RebuildArguments),
    /// Lift what is whole out of a damaged log into a new data folder
    Salvage(salvage::SalvageArguments),
    /// Make tokens and accounts, and take them away
    Token(token::TokenArguments),
    /// Print which role may do what
    Roles(roles::RolesArguments),
    /// Look after the keys of personal data while the server is stopped
    Keys(keys::KeysArguments),
    /// Print the lifecycle of a kind of case
    Lifecycle(lifecycle::LifecycleArguments),
    /// Print fictional submissions, for trying things out
    Sample(sample::SampleArguments),
    /// Show everything on a server of its own, with a crash in the middle
    Demo(demo::DemoArguments),
    /// Measure what a machine can do
    Bench(bench::BenchArguments),
    /// Print completions for a shell
    Completions(completions::CompletionsArguments),
}

/// Parses the arguments, runs the command, and tells how it went by the exit code.
pub fn main() -> ExitCode {
    // Parsing ends the process by itself for help (0) and for wrong usage (2).
    let result = run(Cli::parse().command);
    match result {
        // Whoever read the output has read enough, as in `casetrail replay | head`.
        Ok(()) | Err(Failure::OutputClosed) => ExitCode::SUCCESS,
        Err(failure) => {
            output::note(&failure.to_string());
            ExitCode::from(exit_code(&failure))
        }
    }
}

/// The command line's definition, for completions.
fn definition() -> clap::Command {
    Cli::command()
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Restore(arguments) => restore::run(&arguments),
        Command::Salvage(arguments) => salvage::run(&arguments),
        Command::Sample(arguments) => sample::run(&arguments),
        Command::Keys(arguments) => keys::run(&arguments),
        Command::Lifecycle(arguments) => lifecycle::run(&arguments),
        Command::Roles(arguments) => roles::run(&arguments),
        Command::Completions(arguments) => completions::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Outbox(arguments) => outbox::run(&arguments),
        client => runtime()?.block_on(run_client(client)),
    }
}

/// What a client runs on.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::local("starting the client failed", &error))
}

async fn run_client(command: Command) -> Result<(), Failure> {
    match command {
        Command::Submit(arguments) => submit::run(&arguments).await,
        Command::Get(arguments) => get::run(&arguments).await,
        Command::List(arguments) => list::run(&arguments).await,
        Command::History(arguments) => history::run(&arguments).await,
        Command::Erasure(arguments) => erasure::run(&arguments).await,
        Command::Personal(arguments) => personal::run(&arguments).await,
        Command::Watch(arguments) => watch::run(&arguments).await,
        Command::Alerts(arguments) => alerts::run(&arguments).await,
        Command::Summary(arguments) => summary::run(&arguments).await,
        Command::Coverage(arguments) => coverage::run(&arguments).await,
        Command::Series(arguments) => series::run(&arguments).await,
        Command::Diff(arguments) => diff::run(&arguments).await,
        Command::Replay(arguments) => replay::run(&arguments).await,
        Command::Backup(arguments) => backup::run(&arguments).await,
        Command::Check(arguments) => check::run(&arguments).await,
        Command::Status(arguments) => status::run(&arguments).await,
        Command::Rebuild(arguments) => rebuild::run(&arguments).await,
        Command::Demo(arguments) => demo::run(&arguments).await,
        Command::Token(arguments) => token::run(&arguments).await,
        Command::Serve(_)
        | Command::Restore(_)
        | Command::Salvage(_)
        | Command::Sample(_)
        | Command::Keys(_)
        | Command::Lifecycle(_)
        | Command::Roles(_)
        | Command::Bench(_)
        | Command::Outbox(_)
        | Command::Completions(_) => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use clap::Parser;

    use super::{Cli, definition};

    #[test]
    fn the_definition_holds_together() {
        definition().debug_assert();
    }

    #[test]
    fn every_command_but_few_has_examples_that_parse() {
        let mut examples = 0;
        for command in definition().get_subcommands() {
            let help = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(
                help.contains("Examples:"),
                "{} has no examples",
                command.get_name()
            );
            for line in help.lines().filter(|line| line.starts_with("  ")) {
                for part in line
                    .split('|')
                    .map(str::trim)
                    .filter(|p| p.starts_with("casetrail "))
                {
                    let words = part
                        .split_whitespace()
                        .take_while(|word| !word.starts_with('>'));
                    Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{part}: {error}"));
                    examples += 1;
                }
            }
        }
        assert!(examples >= 14, "{examples} examples");
    }
}
