//! A call for each submission, one after the other on each lane.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Request, Status};

use super::answer::{explain, is_recorded};
use super::{Budget, Client, Shared, Tally};
use crate::cli::bench::raw::{self, RawCodec};
use crate::cli::bench::template::{Lane, Templates};
use crate::cli::failure::{Failure, describe, is_lost_connection, refusal};

const METHOD: &str = "/casetrail.v1.CaseService/SubmitEvents";

pub(super) async fn run(
    mut client: Client,
    templates: Arc<Templates>,
    budget: Budget,
) -> Result<(Client, Tally), Failure> {
    let tally = Arc::new(Shared::new());
    let tasks: Vec<_> = std::mem::take(&mut client.lanes)
        .into_iter()
        .map(|lane| {
            let grpc = raw::client(&client.channel);
            let (templates, tally) = (Arc::clone(&templates), Arc::clone(&tally));
            tokio::spawn(run_lane(grpc, templates, lane, budget.clone(), tally))
        })
        .collect();
    for task in tasks {
        let ended = task
            .await
            .map_err(|error| Failure::local("a lane of the load ended early", &error))?;
        let lane = ended.map_err(|status| Failure::of_call(&client.server, &status))?;
        client.lanes.push(lane);
    }
    Ok((client, tally.take()))
}

/// Calls until the budget is spent.
///
/// # Errors
/// The connection is lost.
async fn run_lane(
    mut grpc: Grpc<Channel>,
    templates: Arc<Templates>,
    mut lane: Lane,
    budget: Budget,
    tally: Arc<Shared>,
) -> Result<Lane, Status> {
    let path = PathAndQuery::from_static(METHOD);
    while let Some(sent_at) = budget.take() {
        if sent_at > Instant::now() {
            tokio::time::sleep_until(sent_at.into()).await;
        }
        let prepared = templates.next(&mut lane);
        match call(&mut grpc, prepared.bytes, path.clone()).await {
            Ok(answer) if is_recorded(&answer, &prepared.request) => {
                tally.with(|tally| tally.answered(sent_at));
            }
            Ok(answer) => {
                tally.with(|tally| tally.refused(|| explain(&answer)));
                lane.begin_anew();
            }
            Err(status) if is_lost_connection(&status) => return Err(status),
            Err(status) => {
                tally.with(|tally| tally.refused(|| describe(&refusal(&status))));
                lane.begin_anew();
            }
        }
    }
    Ok(lane)
}

async fn call(grpc: &mut Grpc<Channel>, bytes: Bytes, path: PathAndQuery) -> Result<Bytes, Status> {
    grpc.ready()
        .await
        .map_err(|error| Status::from_error(Box::new(error)))?;
    let answer = grpc.unary(Request::new(bytes), path, RawCodec).await?;
    Ok(answer.into_inner())
}
