//! `casetrail bench nothing`: CaseService without a server behind it, the limit of what can be
//! reached over gRPC.
//!
//! It receives and decodes every submission as a server of this protocol has to, and answers at once
//! with an answer of the same size, that it is recorded. Nothing is checked, judged or stored. It
//! is hidden from the help, since whoever submitted to it would lose what they submitted; the load
//! starts it by itself.

use std::convert::Infallible;
use std::future::Ready;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use clap::Args;
use futures_util::{Stream, StreamExt};
use prost_types::Timestamp;
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::codegen::http;
use tonic::codegen::{BoxFuture, Service};
use tonic::server::{Grpc, NamedService, StreamingService, UnaryService};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::wire::v1::submit_stream_response::Outcome;
use crate::wire::v1::{
    CaseChangeResult, CaseKind, CaseStatus, Standing, SubmitEventsRequest, SubmitEventsResponse,
    SubmitStreamRequest, SubmitStreamResponse,
};

/// How many streams may be open on a connection.
const STREAMS_MAX: u32 = 10_000;

/// Where it listens.
#[derive(Debug, Args)]
pub(super) struct NothingArguments {
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

pub(super) fn run(arguments: &NothingArguments) -> Result<(), Failure> {
    let failed = |error: &dyn std::error::Error| Failure::local("storing nothing failed", error);
    if !arguments.listen.ip().is_loopback() {
        return Err(Failure::Usage(format!(
            "--listen: {} is not a loopback address, such as 127.0.0.1:0",
            arguments.listen
        )));
    }
    // As `casetrail serve` does.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| failed(&error))?;
    runtime.block_on(async {
        let listener = TcpListener::bind(arguments.listen).await;
        let listener = listener.map_err(|error| failed(&error))?;
        let address = listener.local_addr().map_err(|error| failed(&error))?;
        let mut output = Output::stdout();
        output.line(&format!("listening on {address}"))?;
        output.flush()?;
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        let incoming = incoming.inspect(|connection| {
            if let Ok(connection) = connection {
                let _ = connection.set_nodelay(true);
            }
        });
        tonic::transport::Server::builder()
            .max_concurrent_streams(STREAMS_MAX)
            .add_service(Nothing)
            .serve_with_incoming(incoming)
            .await
            .map_err(|error| failed(&error))
    })
}

/// A service that stores nothing.
#[derive(Debug, Clone, Copy)]
struct Nothing;

impl NamedService for Nothing {
    const NAME: &'static str = "casetrail.v1.CaseService";
}

impl Service<http::Request<Body>> for Nothing {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let is_stream = request.uri().path().ends_with("/SubmitStream");
        Box::pin(async move {
            Ok(if is_stream {
                let mut grpc = Grpc::new(ProstCodec::default());
                grpc.streaming(Self, request).await
            } else {
                let mut grpc = Grpc::new(ProstCodec::default());
                grpc.unary(Self, request).await
            })
        })
    }
}

impl UnaryService<SubmitEventsRequest> for Nothing {
    type Response = SubmitEventsResponse;
    type Future = Ready<Result<Response<SubmitEventsResponse>, Status>>;

    fn call(&mut self, request: Request<SubmitEventsRequest>) -> Self::Future {
        std::future::ready(Ok(Response::new(answer(request.into_inner()))))
    }
}

impl StreamingService<SubmitStreamRequest> for Nothing {
    type Response = SubmitStreamResponse;
    type ResponseStream = Pin<Box<dyn Stream<Item = Result<SubmitStreamResponse, Status>> + Send>>;
    type Future = Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<SubmitStreamRequest>>) -> Self::Future {
        let items = request.into_inner().enumerate().map(|(index, item)| {
            let submission = item?.submission.unwrap_or_default();
            Ok(SubmitStreamResponse {
                index: u64::try_from(index).unwrap_or(u64::MAX),
                outcome: Some(Outcome::Recorded(answer(submission))),
            })
        });
        let items: Self::ResponseStream = Box::pin(items);
        std::future::ready(Ok(Response::new(items)))
    }
}

/// An answer that is as large as that of a server.
fn answer(submission: SubmitEventsRequest) -> SubmitEventsResponse {
    let results = submission.changes.into_iter().map(|change| {
        let events = u64::try_from(change.events.len()).unwrap_or_default();
        CaseChangeResult {
            case_id: change.case_id,
            version: events,
            standing: Some(Standing {
                kind: CaseKind::Detention.into(),
                reported: CaseStatus::DetentionRegistered.into(),
                confirmed: CaseStatus::DetentionRegistered.into(),
                district: "XA03".to_owned(),
                organisation: "local".to_owned(),
                ..Standing::default()
            }),
            positions: (1_000_000..).take(change.events.len()).collect(),
        }
    });
    SubmitEventsResponse {
        request_id: submission.request_id,
        replayed: false,
        recorded_at: Some(Timestamp {
            seconds: 1_800_000_000,
            nanos: 999_999_999,
        }),
        results: results.collect(),
    }
}
