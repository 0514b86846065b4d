//! MonitorService: what happens to cases as it happens, and how many there are.
//!
//! The task of a watch is thin: it reads blocks and passes them through a [`Watch`], which decides
//! what is sent. It deliberately shares nothing with other watches but the log.

use std::sync::Arc;

use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::call::{answer, blocking, only_true, refuse, violation};
use super::status::Failure;
use super::stream::{Answers, Heartbeat, Outlet, READ_BYTES_MAX, Reader, Stop};
use super::summary::summarise;
use super::watch::Watch;
use super::{CasesAt, Shared};
use crate::wire::v1::monitor_service_server::MonitorService;
use crate::wire::v1::watch_status_request::Start;
use crate::wire::v1::{
    GetSummaryRequest, GetSummaryResponse, WatchMode, WatchStatusRequest, WatchStatusResponse,
};
use crate::wire::validate;

/// The most bytes of blocks that a watcher reads at once who wants only the latest change of each
/// case: the more it reads, the more it may leave out.
const LATEST_READ_BYTES_MAX: usize = 1024 * 1024;

/// How many cases of a snapshot are looked at before other tasks get their turn.
const SNAPSHOT_TURN: usize = 256;

/// The service; all its state is shared with the others.
#[derive(Debug)]
pub(super) struct Monitor {
    pub(super) shared: Arc<Shared>,
}

#[tonic::async_trait]
impl MonitorService for Monitor {
    type WatchStatusStream = Answers<WatchStatusResponse>;

    async fn watch_status(
        &self,
        request: Request<WatchStatusRequest>,
    ) -> Result<Response<Self::WatchStatusStream>, Status> {
        const METHOD: &str = "WatchStatus";
        let began_at = Instant::now();
        let opened = open(&self.shared, request.into_inner()).await;
        let (task, answers) = opened.map_err(|failure| refuse(METHOD, began_at, failure))?;
        tracing::debug!(method = METHOD, position = task.watch.position(), "opened");
        tokio::spawn(async move {
            let WatchTask {
                mut outlet,
                reader,
                watch,
                snapshot,
                read_bytes_max,
            } = task;
            let result = run(&mut outlet, reader, watch, snapshot, read_bytes_max).await;
            outlet.finish(METHOD, result).await;
        });
        Ok(Response::new(answers))
    }

    async fn get_summary(
        &self,
        request: Request<GetSummaryRequest>,
    ) -> Result<Response<GetSummaryResponse>, Status> {
        let shared = Arc::clone(&self.shared);
        answer("GetSummary", async move {
            let filter = validate::case_filter("filter", request.into_inner().filter)?;
            blocking(move || summarise(shared.cases(), &filter)).await
        })
        .await
    }
}

/// All that the task of a watch takes with it.
struct WatchTask {
    outlet: Outlet<WatchStatusResponse>,
    reader: Reader,
    watch: Watch,
    snapshot: Option<CasesAt>,
    read_bytes_max: usize,
}

async fn open(
    shared: &Arc<Shared>,
    request: WatchStatusRequest,
) -> Result<(WatchTask, Answers<WatchStatusResponse>), Failure> {
    let mode = WatchMode::try_from(request.mode).map_err(|_| {
        violation(
            "mode",
            "is not a mode that this server knows; 0, 1 and 2 are",
        )
    })?;
    let filter = validate::case_filter("filter", request.filter)?;
    let (mut outlet, answers) = Outlet::open(shared)?;
    let reader = Reader::new(shared);
    let head = reader.head();
    let mut snapshot = None;
    let watch = match request.start {
        None => Watch::new(filter, mode, head),
        Some(Start::FromPosition(position)) if position > head => {
            return Err(Failure::beyond_head(position, head));
        }
        Some(Start::FromPosition(position)) => Watch::new(filter, mode, position),
        Some(Start::Snapshot(value)) => {
            only_true("snapshot", value)?;
            let shared = Arc::clone(shared);
            let cases = blocking(move || shared.cases()).await?;
            Watch::with_snapshot(filter, mode, snapshot.insert(cases).position)
        }
    };
    outlet.resume_from(watch.next_position());
    let read_bytes_max = match mode {
        WatchMode::LatestPerCase => LATEST_READ_BYTES_MAX,
        WatchMode::EveryChange | WatchMode::Unspecified => READ_BYTES_MAX,
    };
    Ok((
        WatchTask {
            outlet,
            reader,
            watch,
            snapshot,
            read_bytes_max,
        },
        answers,
    ))
}

/// Sends the snapshot, if there is one, and then what is read from the log, until something stops
/// it.
async fn run(
    outlet: &mut Outlet<WatchStatusResponse>,
    mut reader: Reader,
    mut watch: Watch,
    snapshot: Option<CasesAt>,
    read_bytes_max: usize,
) -> Result<(), Stop> {
    let mut heartbeat = Heartbeat::new();
    if let Some(snapshot) = snapshot {
        send_snapshot(outlet, &reader, &mut watch, snapshot, &mut heartbeat).await?;
    }
    loop {
        let head = reader.head();
        let blocks = reader.read(watch.position(), head, read_bytes_max).await?;
        for answer in watch.take(&blocks, head)? {
            send(outlet, answer).await?;
        }
        if heartbeat.beats() {
            send(outlet, watch.progress(reader.head())).await?;
        }
        outlet
            .wait(reader.heads(), watch.position(), heartbeat.due())
            .await?;
    }
}

async fn send_snapshot(
    outlet: &mut Outlet<WatchStatusResponse>,
    reader: &Reader,
    watch: &mut Watch,
    snapshot: CasesAt,
    heartbeat: &mut Heartbeat,
) -> Result<(), Stop> {
    let mut sent: u64 = 0;
    // Each case is let go as soon as it is sent, so that a slow reader holds fewer and fewer.
    for (index, case) in snapshot.cases.into_iter().enumerate() {
        if let Some(answer) = watch.case_snapshot(&case) {
            send(outlet, answer).await?;
            sent = sent.saturating_add(1);
        }
        if heartbeat.beats() {
            send(outlet, watch.progress(reader.head())).await?;
        }
        if index % SNAPSHOT_TURN == 0 {
            tokio::task::yield_now().await;
        }
    }
    send(outlet, watch.snapshot_end(sent)).await
}

async fn send(
    outlet: &mut Outlet<WatchStatusResponse>,
    answer: WatchStatusResponse,
) -> Result<(), Stop> {
    let next_position = answer.next_position;
    outlet.send(answer, next_position).await
}
