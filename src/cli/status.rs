//! `casetrail status`: how the server stands.

use clap::Args;

use super::connection::ServerArguments;
use super::failure::Failure;
use super::names;
use super::output::Output;
use crate::wire::v1::{GetServerStatusRequest, GetServerStatusResponse};

/// What to ask for.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  casetrail status
  casetrail status --with-digest --json")]
pub(super) struct StatusArguments {
    /// Also compute the digest of all cases
    #[arg(long)]
    with_digest: bool,
    /// As one line of canonical protobuf JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

pub(super) async fn run(arguments: &StatusArguments) -> Result<(), Failure> {
    let connection = arguments.server.connect().await?;
    let request = GetServerStatusRequest {
        with_digest: arguments.with_digest,
    };
    let status = connection.admin().get_server_status(request).await;
    let status = status
        .map_err(|status| connection.failure(&status))?
        .into_inner();
    let mut output = Output::stdout();
    if arguments.json {
        output.json(&status)?;
    } else {
        for (name, value) in facts(&status) {
            output.line(&format!("{name:<16}{value}"))?;
        }
    }
    output.flush()
}

fn facts(status: &GetServerStatusResponse) -> Vec<(&'static str, String)> {
    let writing = match status.writing_ended.as_str() {
        "" => "yes".to_owned(),
        cause => format!("ended: {cause}"),
    };
    let mut facts = vec![
        ("version", status.version.clone()),
        ("started", names::time(status.started_at.as_ref())),
        ("writing", writing),
        ("records", status.head.to_string()),
        ("cases", status.cases.to_string()),
        ("views at", status.view_position.to_string()),
        ("snapshot at", status.snapshot_position.to_string()),
        ("unknown records", status.unknown_records.to_string()),
    ];
    if !status.keys_unavailable.is_empty() {
        let cause = &status.keys_unavailable;
        facts.push((
            "new persons",
            format!("no personal values of them are taken: {cause}"),
        ));
    }
    if status.keys_to_destroy > 0 {
        let subjects = status.keys_to_destroy;
        let owed = format!("of {subjects} erased subjects: the key store can't be written");
        facts.push(("keys to destroy", owed));
    }
    if !status.digest.is_empty() {
        facts.push(("digest", names::hex(&status.digest)));
    }
    facts
}
