//! The flight against a service that plays a part: what is pushed back, and what was not answered
//! when a connection was lost, is sent again in order.
#![allow(clippy::unwrap_used)]

use std::collections::HashSet;
use std::io::Cursor;
use std::sync::{Arc, Mutex};

use tokio::net::TcpListener;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

use super::super::lines;
use super::*;
use crate::cli::connection::ServerArguments;
use crate::wire::v1::case_service_server::{CaseService, CaseServiceServer};
use crate::wire::v1::{
    CompareCasesRequest, CompareCasesResponse, GetAgreementCoverageRequest,
    GetAgreementCoverageResponse, GetAgreementProgressRequest, GetAgreementProgressResponse,
    GetCaseHistoryRequest, GetCaseHistoryResponse, GetCaseRequest, GetCaseResponse,
    ListCasesRequest, ListCasesResponse, SubmitEventsRequest,
};

/// What the service does with a submission.
#[derive(Clone, Copy)]
enum Play {
    Record,
    Replay,
    PushBack,
    Unavailable,
    Refuse,
    /// It refuses, unless it has recorded this one.
    RefuseUnless(&'static str),
    /// It ends the stream without an answer.
    Break,
}

/// What the service does with each submission, by its request_id: one play each time it arrives,
/// and then it records it.
type Script = &'static [(&'static str, &'static [Play])];

struct Stage {
    script: Script,
    /// The request_ids in the order in which they arrived.
    arrived: Mutex<Vec<String>>,
    recorded: Mutex<HashSet<String>>,
}

impl Stage {
    /// The answer to a submission; none where the stream breaks instead.
    fn answer(&self, request_id: String) -> Option<Outcome> {
        let mut arrived = self.arrived.lock().unwrap();
        let times = arrived.iter().filter(|id| **id == request_id).count();
        let plays = self
            .script
            .iter()
            .find(|(id, _)| *id == request_id)
            .map(|(_, plays)| *plays);
        let play = plays
            .unwrap_or_default()
            .get(times)
            .copied()
            .unwrap_or(Play::Record);
        arrived.push(request_id.clone());
        let now = prost_types::Duration {
            seconds: 0,
            nanos: 1,
        };
        let refused = |code: Code, retry_delay| {
            Some(Outcome::Refused(Refusal {
                code: code.into(),
                retry_delay,
                ..Refusal::default()
            }))
        };
        let mut recorded = self.recorded.lock().unwrap();
        match play {
            Play::Break => return None,
            Play::PushBack => return refused(Code::ResourceExhausted, Some(now)),
            Play::Unavailable => return refused(Code::Unavailable, Some(now)),
            Play::Refuse => return refused(Code::FailedPrecondition, None),
            Play::RefuseUnless(other) if !recorded.contains(other) => {
                return refused(Code::FailedPrecondition, None);
            }
            Play::Record | Play::Replay | Play::RefuseUnless(_) => {}
        }
        recorded.insert(request_id);
        let replayed = matches!(play, Play::Replay);
        Some(Outcome::Recorded(SubmitEventsResponse {
            replayed,
            ..Default::default()
        }))
    }
}

struct Service(Arc<Stage>);

#[tonic::async_trait]
impl CaseService for Service {
    type SubmitStreamStream = ReceiverStream<Result<SubmitStreamResponse, Status>>;

    async fn submit_stream(
        &self,
        request: Request<Streaming<SubmitStreamRequest>>,
    ) -> Result<Response<Self::SubmitStreamStream>, Status> {
        let mut requests = request.into_inner();
        let (sender, receiver) = mpsc::channel(16);
        let stage = Arc::clone(&self.0);
        tokio::spawn(async move {
            let mut index = 0;
            while let Some(Ok(request)) = requests.next().await {
                let request_id = request.submission.unwrap().request_id;
                let answer = match stage.answer(request_id) {
                    Some(outcome) => Ok(SubmitStreamResponse {
                        index,
                        outcome: Some(outcome),
                    }),
                    None => Err(Status::unavailable("gone")),
                };
                let broken = answer.is_err();
                if sender.send(answer).await.is_err() || broken {
                    return;
                }
                index += 1;
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn compare_cases(
        &self,
        _: Request<CompareCasesRequest>,
    ) -> Result<Response<CompareCasesResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn get_agreement_coverage(
        &self,
        _: Request<GetAgreementCoverageRequest>,
    ) -> Result<Response<GetAgreementCoverageResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn get_agreement_progress(
        &self,
        _: Request<GetAgreementProgressRequest>,
    ) -> Result<Response<GetAgreementProgressResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn submit_events(
        &self,
        _: Request<SubmitEventsRequest>,
    ) -> Result<Response<SubmitEventsResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn get_case(
        &self,
        _: Request<GetCaseRequest>,
    ) -> Result<Response<GetCaseResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn list_cases(
        &self,
        _: Request<ListCasesRequest>,
    ) -> Result<Response<ListCasesResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn get_case_history(
        &self,
        _: Request<GetCaseHistoryRequest>,
    ) -> Result<Response<GetCaseHistoryResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}

struct Played {
    result: Result<Tally, Failure>,
    arrived: String,
    refused: Vec<u64>,
    lost: usize,
}

/// Submits the lines a, b, c, d to a service that plays this script.
async fn play(script: Script, stop_on_refusal: bool) -> Played {
    let stage = Arc::new(Stage {
        script,
        arrived: Mutex::default(),
        recorded: Mutex::default(),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let service = CaseServiceServer::new(Service(Arc::clone(&stage)));
    let serving = Server::builder()
        .add_service(service)
        .serve_with_incoming(TcpListenerStream::new(listener));
    let serving = tokio::spawn(serving);
    let connection = ServerArguments::at(server).connect().await.unwrap();
    let text: String = ["a", "b", "c", "d"]
        .map(|id| format!("{{\"requestId\":\"{id}\"}}\n"))
        .concat();
    let (mut refused, mut lost) = (Vec::new(), 0);
    let mut report = |report: Report<'_>, _: &Tally| match report {
        Report::Refused(line, _) => refused.push(line),
        Report::Lost(_) => lost += 1,
        Report::Recorded(..) | Report::Malformed(..) => {}
    };
    let input = lines::read(Cursor::new(text));
    let result = Flight::new(&connection, input, stop_on_refusal, &mut report)
        .submit_all()
        .await;
    serving.abort();
    let arrived = stage.arrived.lock().unwrap().concat();
    Played {
        result,
        arrived,
        refused,
        lost,
    }
}

#[tokio::test]
async fn everything_is_answered_in_order() {
    let played = play(&[("b", &[Play::Replay]), ("c", &[Play::Refuse])], false).await;
    let tally = played.result.unwrap();
    assert_eq!(played.arrived, "abcd");
    assert_eq!(
        (tally.recorded, tally.already_recorded, tally.refused),
        (2, 1, 1)
    );
    assert_eq!(played.refused, [3]);
}

#[tokio::test]
async fn what_is_pushed_back_is_sent_again_with_what_was_refused_after_it() {
    const SCRIPT: Script = &[
        ("b", &[Play::PushBack]),
        ("c", &[Play::RefuseUnless("b"), Play::RefuseUnless("b")]),
    ];
    let played = play(SCRIPT, false).await;
    let tally = played.result.unwrap();
    assert_eq!(
        (tally.recorded, tally.refused),
        (4, 0),
        "{}",
        played.arrived
    );
    assert!(played.refused.is_empty());
}

#[tokio::test]
async fn what_is_refused_again_after_a_push_back_is_refused() {
    let played = play(&[("a", &[Play::PushBack, Play::Refuse])], false).await;
    let tally = played.result.unwrap();
    assert_eq!((tally.recorded, tally.refused), (3, 1));
    assert_eq!(played.refused, [1]);
}

#[tokio::test]
async fn what_was_not_answered_when_the_stream_broke_is_sent_again_first() {
    let played = play(&[("b", &[Play::Break])], false).await;
    let tally = played.result.unwrap();
    // b was sent and not answered; c and d may have been on their way.
    assert!(played.arrived.starts_with("ab"), "{}", played.arrived);
    assert!(played.arrived.ends_with("bcd"), "{}", played.arrived);
    assert_eq!((tally.recorded, played.lost), (4, 1));
}

#[tokio::test]
async fn a_server_that_takes_nothing_any_more_ends_it() {
    let played = play(&[("a", &[Play::Unavailable; 50])], false).await;
    let text = played.result.unwrap_err().to_string();
    assert!(text.contains("takes nothing any more"), "{text}");
}

#[tokio::test]
async fn it_stops_at_the_first_refusal_where_told() {
    let played = play(&[("b", &[Play::Refuse])], true).await;
    let tally = played.result.unwrap();
    assert_eq!((played.refused, tally.refused), (vec![2], 1));
}
