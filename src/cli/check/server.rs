//! The check of a running server: all of its records are replayed and audited here, and its views
//! compared with those that the records add up to.

use std::num::ParseIntError;

use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::super::backup::progress_bar;
use super::super::connection::{Connection, ServerArguments};
use super::super::failure::Failure;
use super::Report;
use crate::ledger::audit::{Audit, Finding, FindingKind};
use crate::ledger::check::Checked;
use crate::wire::block::RecordBlock;
use crate::wire::v1::replay_events_request::{End, Start};
use crate::wire::v1::replay_events_response::Item;
use crate::wire::v1::{GetServerStatusRequest, GetServerStatusResponse, ReplayEventsRequest};

/// How many times in a row a replay is begun anew behind a position that can't be read.
const ATTEMPTS_MAX: u32 = 1_000;

pub(super) async fn check(
    server: &ServerArguments,
    report: &mut Report,
) -> Result<Checked, Failure> {
    let connection = server.connect().await?;
    let request = GetServerStatusRequest { with_digest: true };
    let status = connection.admin().get_server_status(request).await;
    let status = status
        .map_err(|status| connection.failure(&status))?
        .into_inner();
    let mut audit = Audit::new();
    replay_all(&connection, status.view_position, &mut audit, report).await?;
    audit.finish(&mut |finding| report.tell(&finding));
    let views_digest = audit.views().map(|views| views.frozen().digest());
    let mut notes = Vec::new();
    compare_views(&status, views_digest, report, &mut notes);
    Ok(Checked {
        records: audit.records(),
        cases: audit.cases(),
        views_digest,
        notes,
    })
}

/// Audits what the server has before `end`, and goes on behind what it can't read.
async fn replay_all(
    connection: &Connection,
    end: u64,
    audit: &mut Audit,
    report: &mut Report,
) -> Result<(), Failure> {
    let bar = progress_bar(end);
    let mut from = 0;
    let mut attempts = 0;
    let mut told = None;
    while from < end {
        let reached = audit.position();
        let Err(status) = replay(connection, from, end, audit, report).await else {
            break;
        };
        if status.code() != Code::DataLoss {
            return Err(connection.failure(&status));
        }
        let at = damaged_position(&status).unwrap_or(from);
        attempts = if audit.position() > reached {
            0
        } else {
            attempts + 1
        };
        // A block that is damaged is told once, however many records it holds.
        if told != Some(at) {
            let what = status.message().to_owned();
            report.tell(&Finding::new(FindingKind::Damage, at, what));
            told = Some(at);
        }
        from = from.max(audit.position()).max(at).saturating_add(1);
        if attempts > ATTEMPTS_MAX {
            let what = "nothing was looked at from here on";
            report.tell(&Finding::new(FindingKind::Missing, from, what));
            audit.skip_to(end);
            return Ok(());
        }
        bar.set_position(from);
    }
    if audit.position() < end {
        audit.skip_to(end);
    }
    bar.finish_and_clear();
    Ok(())
}

/// Audits what is sent from a position on. What is before it was told.
async fn replay(
    connection: &Connection,
    from: u64,
    end: u64,
    audit: &mut Audit,
    report: &mut Report,
) -> Result<(), Status> {
    let request = ReplayEventsRequest {
        start: Some(Start::FromPosition(from)),
        end: Some(End::UntilPosition(end)),
        filter: None,
    };
    let mut answers = connection
        .audit()
        .replay_events(request)
        .await?
        .into_inner();
    let mut is_first = true;
    while let Some(answer) = answers.message().await? {
        let Some(Item::Block(block)) = answer.item else {
            continue;
        };
        if std::mem::take(&mut is_first) {
            audit.skip_to(from);
        }
        let position = block.first_position();
        match RecordBlock::verified(block) {
            Ok(block) => audit.take(&block, &mut |finding| report.tell(&finding)),
            Err(error) => {
                let what = error.to_string();
                report.tell(&Finding::new(FindingKind::Damage, position, what));
                audit.skip_to(answer.next_position);
            }
        }
    }
    Ok(())
}

/// The position that the server names as damaged.
fn damaged_position(status: &Status) -> Option<u64> {
    let details = status.get_error_details();
    let position = details.error_info()?.metadata.get("position")?;
    let position: Result<u64, ParseIntError> = position.parse();
    position.ok()
}

fn compare_views(
    status: &GetServerStatusResponse,
    views_digest: Option<[u8; 32]>,
    report: &mut Report,
    notes: &mut Vec<String>,
) {
    let Some(views_digest) = views_digest else {
        return;
    };
    if views_digest == *status.digest {
        return;
    }
    if status.version == env!("CARGO_PKG_VERSION") {
        let what = "the views that run are not what the log says; casetrail rebuild mends them";
        report.tell(&Finding::new(
            FindingKind::Views,
            status.view_position,
            what,
        ));
    } else {
        notes.push(format!(
            "the server has version {} and folds other views than this version",
            status.version
        ));
    }
}
