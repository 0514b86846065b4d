//! AdminService: how the server stands. It shows no case content.

use std::sync::Arc;

use bytes::Bytes;
use tonic::{Request, Response, Status};

use super::Shared;
use super::call::{answer, blocking};
use crate::wire::v1::admin_service_server::AdminService;
use crate::wire::v1::{
    GetServerStatusRequest, GetServerStatusResponse, RebuildViewsRequest, RebuildViewsResponse,
};

/// The service; all its state is shared with the others.
#[derive(Debug)]
pub(super) struct Admin {
    pub(super) shared: Arc<Shared>,
}

#[tonic::async_trait]
impl AdminService for Admin {
    async fn get_server_status(
        &self,
        request: Request<GetServerStatusRequest>,
    ) -> Result<Response<GetServerStatusResponse>, Status> {
        let with_digest = request.into_inner().with_digest;
        let shared = Arc::clone(&self.shared);
        answer(
            "GetServerStatus",
            blocking(move || server_status(&shared, with_digest)),
        )
        .await
    }

    async fn rebuild_views(
        &self,
        _request: Request<RebuildViewsRequest>,
    ) -> Result<Response<RebuildViewsResponse>, Status> {
        answer("RebuildViews", async {
            let rebuilt = self.shared.ledger.rebuild().await?;
            let equal = rebuilt.running_digest == rebuilt.rebuilt_digest;
            if !equal {
                let position = rebuilt.position;
                tracing::error!(position, "the views that ran differ from those folded anew");
            }
            Ok(RebuildViewsResponse {
                position: rebuilt.position,
                running_digest: rebuilt.running_digest.to_vec().into(),
                rebuilt_digest: rebuilt.rebuilt_digest.to_vec().into(),
                equal,
                cases: u64::try_from(rebuilt.cases).unwrap_or(u64::MAX),
            })
        })
        .await
    }
}

fn server_status(shared: &Shared, with_digest: bool) -> GetServerStatusResponse {
    let ledger = &shared.ledger;
    let (views, unknown_records) = {
        let views = ledger.views();
        (views.frozen(), views.unknown_records())
    };
    GetServerStatusResponse {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        // Read after the views, so that it is never less than their position.
        head: *shared.heads().borrow(),
        view_position: views.position(),
        snapshot_position: ledger.snapshot_position(),
        cases: u64::try_from(views.cases().len()).unwrap_or(u64::MAX),
        unknown_records,
        writing_ended: ledger.writing_has_ended().unwrap_or_default(),
        started_at: Some(ledger.started_at().into()),
        digest: if with_digest {
            views.digest().to_vec().into()
        } else {
            Bytes::new()
        },
    }
}
