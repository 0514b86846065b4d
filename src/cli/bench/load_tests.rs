//! A load on a service that refuses some of what it is sent.
#![allow(clippy::unwrap_used)]

use std::convert::Infallible;
use std::future::Ready;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use futures_util::{Stream, StreamExt};
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{Grpc, NamedService, StreamingService, UnaryService};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use super::*;
use crate::cli::bench::story::Plot;
use crate::cli::bench::template::PersonalShape;
use crate::wire::v1::submit_stream_response::Outcome;
use crate::wire::v1::{
    Refusal, SubmitEventsRequest, SubmitEventsResponse, SubmitStreamRequest, SubmitStreamResponse,
};

/// Refuses each third submission.
#[derive(Clone, Default)]
struct Refusing(Arc<AtomicU64>);

impl Refusing {
    fn answer(&self, submission: SubmitEventsRequest) -> Result<SubmitEventsResponse, Status> {
        if self.0.fetch_add(1, Ordering::Relaxed) % 3 == 2 {
            return Err(Status::failed_precondition("each third is refused"));
        }
        Ok(SubmitEventsResponse {
            request_id: submission.request_id,
            recorded_at: Some(prost_types::Timestamp::default()),
            ..SubmitEventsResponse::default()
        })
    }
}

impl NamedService for Refusing {
    const NAME: &'static str = "casetrail.v1.CaseService";
}

impl Service<http::Request<Body>> for Refusing {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move {
            Ok(if request.uri().path().ends_with("/SubmitStream") {
                let mut grpc = Grpc::new(ProstCodec::default());
                grpc.streaming(service, request).await
            } else {
                let mut grpc = Grpc::new(ProstCodec::default());
                grpc.unary(service, request).await
            })
        })
    }
}

impl UnaryService<SubmitEventsRequest> for Refusing {
    type Response = SubmitEventsResponse;
    type Future = Ready<Result<Response<SubmitEventsResponse>, Status>>;

    fn call(&mut self, request: Request<SubmitEventsRequest>) -> Self::Future {
        std::future::ready(self.answer(request.into_inner()).map(Response::new))
    }
}

impl StreamingService<SubmitStreamRequest> for Refusing {
    type Response = SubmitStreamResponse;
    type ResponseStream = Pin<Box<dyn Stream<Item = Result<SubmitStreamResponse, Status>> + Send>>;
    type Future = Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<SubmitStreamRequest>>) -> Self::Future {
        let service = self.clone();
        let numbered = tokio_stream::iter(0..).zip(request.into_inner());
        let items = numbered.map(move |(index, item)| {
            let submission = item?.submission.unwrap_or_default();
            let outcome = match service.answer(submission) {
                Ok(response) => Outcome::Recorded(response),
                Err(status) => Outcome::Refused(Refusal {
                    reason: "EACH_THIRD".to_owned(),
                    message: status.message().to_owned(),
                    ..Refusal::default()
                }),
            };
            let outcome = Some(outcome);
            Ok(SubmitStreamResponse { index, outcome })
        });
        let items: Self::ResponseStream = Box::pin(items);
        std::future::ready(Ok(Response::new(items)))
    }
}

async fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    let server = tonic::transport::Server::builder().add_service(Refusing::default());
    tokio::spawn(server.serve_with_incoming(incoming));
    address
}

async fn tally(mode: Mode) -> Tally {
    let shape = Shape {
        events: 1,
        case_events: 10,
        plot: Plot::Usual,
        stream_items: mode == Mode::Stream,
        padding: 0,
        personal: PersonalShape::default(),
    };
    let server = format!("http://{}", serve().await);
    let mut load = Load::connect(&server, mode, 2, 5, shape).await.unwrap();
    load.spend(&Budget::submissions(300)).await.unwrap()
}

#[tokio::test]
async fn what_a_call_is_refused_is_counted_and_told() {
    let tally = tally(Mode::Unary).await;
    assert_eq!((tally.recorded, tally.refused), (200, 100));
    assert_eq!(tally.latencies.len(), 200);
    let failure = tally.check().unwrap_err().to_string();
    assert!(failure.contains("100 of 300"), "{failure}");
    assert!(failure.contains("each third is refused"), "{failure}");
}

#[tokio::test]
async fn what_an_item_is_refused_is_counted_and_told() {
    let tally = tally(Mode::Stream).await;
    assert_eq!((tally.recorded, tally.refused), (200, 100));
    let failure = tally.check().unwrap_err().to_string();
    assert!(failure.contains("100 of 300"), "{failure}");
    assert!(failure.contains("EACH_THIRD"), "{failure}");
}
