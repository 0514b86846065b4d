//! MonitorService: what happens to cases as it happens, and how many there are.
//!
//! The task of a watch is thin: it takes changes, from the feed that all watchers at the head share
//! or from the log, and passes them through a [`Watch`], which decides what is sent.

use std::sync::Arc;

use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::alerts;
use super::as_of::{self, Time};
use super::call::{answer, blocking, caller, only_true, refuse, violation, who};
use super::changes::Changes;
use super::mask::{self, Mask};
use super::status::Failure;
use super::stream::{
    ANSWERS_AT_ONCE_MAX, Answers, Heartbeat, Outlet, READ_BYTES_MAX, Reader, Stop,
};
use super::summary::{summarise, summarise_each};
use super::watch::{Answer, Watch, Watcher};
use super::{CasesAt, Seeing, Shared};
use crate::access::Identity;
use crate::wire::encoded::Encoded;
use crate::wire::v1::monitor_service_server::MonitorService;
use crate::wire::v1::watch_status_request::Start;
use crate::wire::v1::{
    GetSummaryRequest, GetSummaryResponse, GetSummarySeriesRequest, GetSummarySeriesResponse,
    ListAlertsRequest, ListAlertsResponse, SeriesClock, SummaryPoint, WatchAlertsRequest,
    WatchAlertsResponse, WatchMode, WatchStatusRequest,
};
use crate::wire::validate::{self, CaseFilter};

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
    type WatchStatusStream = Answers<Encoded>;

    async fn watch_status(
        &self,
        request: Request<WatchStatusRequest>,
    ) -> Result<Response<Self::WatchStatusStream>, Status> {
        const METHOD: &str = "WatchStatus";
        let began_at = Instant::now();
        let who = who(&request);
        let shared = Arc::clone(&self.shared);
        let opened = async {
            let caller = caller(&request)?;
            open(&shared, &caller, request.into_inner()).await
        };
        let (task, answers) = opened
            .await
            .map_err(|failure| refuse(&self.shared, METHOD, who.as_ref(), began_at, failure))?;
        tracing::debug!(method = METHOD, position = task.watch.position(), "opened");
        tokio::spawn(async move {
            let WatchTask {
                mut outlet,
                reader,
                watch,
                snapshot,
                read_bytes_max,
            } = task;
            let source = Source {
                shared,
                reader,
                read_bytes_max,
            };
            let result = run(&mut outlet, source, watch, snapshot).await;
            outlet.finish(METHOD, result).await;
        });
        Ok(Response::new(answers))
    }

    type WatchAlertsStream = Answers<WatchAlertsResponse>;

    async fn watch_alerts(
        &self,
        request: Request<WatchAlertsRequest>,
    ) -> Result<Response<Self::WatchAlertsStream>, Status> {
        const METHOD: &str = "WatchAlerts";
        let began_at = Instant::now();
        let who = who(&request);
        let opened = caller(&request)
            .and_then(|caller| alerts::open(&self.shared, &caller, request.into_inner()));
        let (watch, answers) = opened
            .map_err(|failure| refuse(&self.shared, METHOD, who.as_ref(), began_at, failure))?;
        tracing::debug!(method = METHOD, "opened");
        tokio::spawn(watch.run(METHOD));
        Ok(Response::new(answers))
    }

    async fn list_alerts(
        &self,
        request: Request<ListAlertsRequest>,
    ) -> Result<Response<ListAlertsResponse>, Status> {
        let shared = Arc::clone(&self.shared);
        answer(&self.shared, "ListAlerts", who(&request), async move {
            let sight = caller(&request)?.authority().sight;
            alerts::list(shared, sight, request.into_inner()).await
        })
        .await
    }

    async fn get_summary(
        &self,
        request: Request<GetSummaryRequest>,
    ) -> Result<Response<GetSummaryResponse>, Status> {
        let shared = Arc::clone(&self.shared);
        answer(&self.shared, "GetSummary", who(&request), async move {
            let caller = caller(&request)?;
            let sight = caller.authority().sight;
            let GetSummaryRequest { filter, as_of } = request.into_inner();
            let is_masked = caller.is_masked();
            if is_masked {
                mask::check_asked(filter.as_ref(), as_of.as_ref())?;
            }
            let filter = validate::case_filter("filter", filter)?;
            let as_of = validate::as_of("as_of", as_of)?;
            let at = shared.cases();
            let time = if is_masked {
                mask::publication(&shared, at.position).await?
            } else {
                as_of::resolve(&shared, at.position, &as_of).await?
            };
            blocking(move || {
                let seen = Seeing {
                    cases: &at.cases,
                    sight: &sight,
                };
                let everything = CaseFilter::default();
                let counted = if is_masked { &everything } else { &filter };
                let mut summary = summarise(seen, time, counted);
                let recorded_at = if time.position == at.position {
                    at.recorded_at
                } else {
                    as_of::recorded_before(shared.ledger.log().as_ref(), time.position)?
                };
                summary.recorded_at = match recorded_at {
                    Some(at) if is_masked => Some(mask::day_of(at)),
                    told => told,
                };
                Ok(told(summary, &filter, is_masked))
            })
            .await?
        })
        .await
    }

    async fn get_summary_series(
        &self,
        request: Request<GetSummarySeriesRequest>,
    ) -> Result<Response<GetSummarySeriesResponse>, Status> {
        let shared = Arc::clone(&self.shared);
        answer(
            &self.shared,
            "GetSummarySeries",
            who(&request),
            async move {
                let caller = caller(&request)?;
                let sight = caller.authority().sight;
                let GetSummarySeriesRequest {
                    filter,
                    first_month,
                    last_month,
                    clock,
                    as_of,
                } = request.into_inner();
                if caller.is_masked() {
                    mask::check_asked(filter.as_ref(), as_of.as_ref())?;
                }
                let filter = validate::case_filter("filter", filter)?;
                let months = validate::months(&first_month, &last_month)?;
                let as_of = validate::as_of("as_of", as_of)?;
                let clock = SeriesClock::try_from(clock).unwrap_or_default();
                if as_of.true_at.is_some() {
                    let description = "is the end of each month; leave it out";
                    return Err(violation("as_of.true_at", description).into());
                }
                if clock == SeriesClock::Known && as_of.known_at.is_some() {
                    let description = "is the end of each month; leave it out";
                    return Err(violation("as_of", description).into());
                }
                let at = shared.cases();
                let is_masked = caller.is_masked();
                let now = if is_masked {
                    mask::publication(&shared, at.position).await?
                } else {
                    as_of::resolve(&shared, at.position, &as_of).await?
                };
                blocking(move || {
                    let times = months.iter().map(|month| match clock {
                        SeriesClock::Unspecified => {
                            let description =
                                "is missing; give SERIES_CLOCK_TRUE or SERIES_CLOCK_KNOWN";
                            Err(violation("clock", description).into())
                        }
                        SeriesClock::True => Ok(Time {
                            true_at: Some(month.last),
                            ..now
                        }),
                        SeriesClock::Known => {
                            let log = shared.ledger.log().as_ref();
                            let after = month.last.plus(1);
                            let position = as_of::first_recorded_on(log, at.position, after)?;
                            let position = position.min(now.position);
                            Ok(Time { position, ..now })
                        }
                    });
                    let times = times.collect::<Result<Vec<_>, Failure>>()?;
                    let seen = Seeing {
                        cases: &at.cases,
                        sight: &sight,
                    };
                    let everything = CaseFilter::default();
                    let counted = if is_masked { &everything } else { &filter };
                    let summaries = summarise_each(seen, &times, counted);
                    let points = months.iter().zip(summaries);
                    let points = points.map(|(month, summary)| SummaryPoint {
                        month: month.first.month(),
                        summary: Some(told(summary, &filter, is_masked)),
                    });
                    Ok(GetSummarySeriesResponse {
                        points: points.collect(),
                    })
                })
                .await?
            },
        )
        .await
    }
}

/// Counts as they are told: to a monitor as they are published.
fn told(summary: GetSummaryResponse, filter: &CaseFilter, is_masked: bool) -> GetSummaryResponse {
    if is_masked {
        mask::told(summary, filter)
    } else {
        summary
    }
}

/// All that the task of a watch takes with it.
struct WatchTask {
    outlet: Outlet<Encoded>,
    reader: Reader,
    watch: Watch,
    snapshot: Option<CasesAt>,
    read_bytes_max: usize,
}

async fn open(
    shared: &Arc<Shared>,
    caller: &Identity,
    request: WatchStatusRequest,
) -> Result<(WatchTask, Answers<Encoded>), Failure> {
    let mode = WatchMode::try_from(request.mode).map_err(|_| {
        violation(
            "mode",
            "is not a mode that this server knows; 0, 1 and 2 are",
        )
    })?;
    let mask = Mask::of(shared, caller)?.map(Arc::new);
    if mask.is_some() {
        mask::check_asked(request.filter.as_ref(), None)?;
    }
    let filter = validate::case_filter("filter", request.filter)?;
    let (mut outlet, answers) = Outlet::open(shared, caller)?;
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
    let watch = watch.by(Watcher {
        shared: Arc::clone(shared),
        sight: caller.authority().sight,
        mask,
    });
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

/// Where a watch takes changes from.
struct Source {
    shared: Arc<Shared>,
    reader: Reader,
    read_bytes_max: usize,
}

impl Source {
    /// The changes from `position` on, up to `head` or less; none at the head.
    async fn changes(&self, position: u64, head: u64) -> Result<Vec<Arc<Changes>>, Failure> {
        if position >= head {
            return Ok(Vec::new());
        }
        let log = self.shared.ledger.log();
        if let Some(changes) = self.shared.feed.from(log.as_ref(), position, head) {
            return Ok(changes);
        }
        let blocks = self
            .reader
            .read(position, head, self.read_bytes_max)
            .await?;
        Ok(vec![Arc::new(Changes::read(&blocks)?)])
    }
}

/// Sends the snapshot, if there is one, and then the changes, until something stops it.
async fn run(
    outlet: &mut Outlet<Encoded>,
    mut source: Source,
    mut watch: Watch,
    snapshot: Option<CasesAt>,
) -> Result<(), Stop> {
    let mut heartbeat = Heartbeat::new();
    if let Some(snapshot) = snapshot {
        publish(&mut watch).await?;
        send_snapshot(outlet, &source.reader, &mut watch, snapshot, &mut heartbeat).await?;
    }
    loop {
        let head = source.reader.head();
        let changes = source.changes(watch.position(), head).await?;
        publish(&mut watch).await?;
        send_all(outlet, watch.take(&changes, head)).await?;
        if heartbeat.beats() {
            send(outlet, watch.progress(source.reader.head())).await?;
        }
        outlet
            .wait(source.reader.heads(), watch.position(), heartbeat.due())
            .await?;
    }
}

/// Looks what a monitor may be told of cases today.
async fn publish(watch: &mut Watch) -> Result<(), Failure> {
    if let Some(mask) = watch.mask().cloned() {
        watch.publish(blocking(move || mask.published()).await??);
    }
    Ok(())
}

async fn send_snapshot(
    outlet: &mut Outlet<Encoded>,
    reader: &Reader,
    watch: &mut Watch,
    snapshot: CasesAt,
    heartbeat: &mut Heartbeat,
) -> Result<(), Stop> {
    let mut sent: u64 = 0;
    let mut answers = Vec::new();
    // Each case is let go as soon as it is sent, so that a slow reader holds fewer and fewer.
    for (index, case) in snapshot.cases.into_iter().enumerate() {
        if let Some(answer) = watch.case_snapshot(&case) {
            answers.push(answer);
            sent = sent.saturating_add(1);
        }
        if answers.len() >= ANSWERS_AT_ONCE_MAX {
            send_all(outlet, std::mem::take(&mut answers)).await?;
        }
        if heartbeat.beats() {
            answers.push(watch.progress(reader.head()));
        }
        if index % SNAPSHOT_TURN == 0 {
            tokio::task::yield_now().await;
        }
    }
    answers.push(watch.snapshot_end(sent));
    send_all(outlet, answers).await
}

async fn send(outlet: &mut Outlet<Encoded>, answer: Answer) -> Result<(), Stop> {
    send_all(outlet, vec![answer]).await
}

/// Sends answers in portions, since a portion is what waits for a slow client.
async fn send_all(outlet: &mut Outlet<Encoded>, answers: Vec<Answer>) -> Result<(), Stop> {
    let mut answers = answers.into_iter().peekable();
    while answers.peek().is_some() {
        let mut next_position = 0;
        let portion = answers.by_ref().take(ANSWERS_AT_ONCE_MAX).map(|answer| {
            next_position = answer.next_position;
            answer.encoded
        });
        let portion = portion.collect();
        outlet.send(portion, next_position).await?;
    }
    Ok(())
}
