//! A call for each submission, one after the other on each lane.

use std::sync::Arc;
use std::time::Instant;

use super::answer::{explain, is_recorded};
use super::{Budget, Client, Connection, Shared, Tally};
use crate::cli::bench::caller::{CallError, Caller};
use crate::cli::bench::template::{Lane, Templates};
use crate::cli::failure::{Failure, describe, refusal};

const METHOD: &str = "/casetrail.v1.CaseService/SubmitEvents";

pub(super) async fn connect(server: &str) -> Result<Caller, Failure> {
    Caller::connect(server, METHOD).await
}

pub(super) async fn run(
    mut client: Client,
    templates: Arc<Templates>,
    budget: Budget,
) -> Result<(Client, Tally), Failure> {
    let tally = Arc::new(Shared::new());
    if let Connection::Calls(caller) = &client.connection {
        let mut tasks = Vec::new();
        for lane in std::mem::take(&mut client.lanes) {
            let (mut caller, templates) = (caller.clone(), Arc::clone(&templates));
            if let Some(authorization) = &client.authorization {
                caller.authorize(authorization);
            }
            let (budget, tally) = (budget.clone(), Arc::clone(&tally));
            tasks.push(tokio::spawn(run_lane(
                caller, templates, lane, budget, tally,
            )));
        }
        for task in tasks {
            let ended = task
                .await
                .map_err(|error| Failure::local("a lane of the load ended early", &error))?;
            client.lanes.push(ended?);
        }
    }
    Ok((client, tally.take()))
}

/// Calls until the budget is spent.
///
/// # Errors
/// The connection is lost.
async fn run_lane(
    mut caller: Caller,
    templates: Arc<Templates>,
    mut lane: Lane,
    budget: Budget,
    tally: Arc<Shared>,
) -> Result<Lane, Failure> {
    while let Some(sent_at) = budget.take() {
        if sent_at > Instant::now() {
            tokio::time::sleep_until(sent_at.into()).await;
        }
        let prepared = templates.next(&mut lane);
        match caller.call(prepared.bytes).await {
            Ok(answer) if is_recorded(&answer, &prepared.request) => {
                tally.with(|tally| tally.answered(sent_at));
            }
            Ok(answer) => {
                tally.with(|tally| tally.refused(|| explain(&answer)));
                lane.begin_anew();
            }
            Err(CallError::Lost(failure)) => return Err(failure),
            Err(CallError::Refused(status)) => {
                tally.with(|tally| tally.refused(|| describe(&refusal(&status))));
                lane.begin_anew();
            }
        }
    }
    Ok(lane)
}
