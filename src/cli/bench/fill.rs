//! Gives a server a history: as many cases and events as are asked for, in large submissions.

use std::time::Duration;

use clap::Args;

use super::figures::Figures;
use super::load::{Budget, Load, Mode};
use super::story::Plot;
use super::target::Target;
use super::template::{PersonalShape, Shape};
use crate::cli::failure::Failure;
use crate::wire::v1::{GetServerStatusRequest, GetServerStatusResponse};

/// How large a history is made.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct HistoryArguments {
    /// Number of events to submit before anything is measured, at least; 0 with --server measures
    /// what is there
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(0..=1_000_000_000))]
    pub(super) events: u64,
    /// Number of cases, among which the events are spread evenly; a tenth of the events unless given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub(super) cases: Option<u64>,
}

/// Submits the history, and tells how fast.
///
/// # Errors
/// A submission that is refused, a connection that is lost, more cases than events.
pub(super) async fn fill(target: &Target, history: HistoryArguments) -> Result<Figures, Failure> {
    let mut figures = Figures::default();
    if history.events == 0 {
        return Ok(figures);
    }
    let cases = history.cases.unwrap_or((history.events / 10).max(1));
    let case_events = history.events / cases;
    if case_events == 0 {
        return Err(Failure::Usage(format!(
            "--cases: {cases} cases have at least as many events; --events is {}",
            history.events
        )));
    }
    let events = Shape::events_max(case_events);
    let shape = Shape {
        events,
        case_events,
        plot: Plot::Usual,
        stream_items: true,
        padding: Shape::padding(events),
        personal: PersonalShape::default(),
    };
    let mut load = Load::connect(&target.url, Mode::Stream, 2, 16, shape).await?;
    let submissions = history.events.div_ceil(events);
    let tally = load.spend(&Budget::submissions(submissions)).await?;
    tally.check()?;
    let filled: Duration = tally.elapsed;
    figures.seconds("fill_seconds", Some(filled));
    Ok(figures)
}

/// How a server stands.
///
/// # Errors
/// A call that fails.
pub(super) async fn status(target: &Target) -> Result<GetServerStatusResponse, Failure> {
    let connection = target.connect().await?;
    let request = GetServerStatusRequest { with_digest: false };
    let status = connection.admin().get_server_status(request).await;
    let status = status.map_err(|status| connection.failure(&status))?;
    Ok(status.into_inner())
}
