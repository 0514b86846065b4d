//! One stream of submissions, with so many under way.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::Bytes;
use futures_util::Stream;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Request, Status};

use super::answer::{explain_item, is_item_recorded};
use super::{Budget, Client, Connection, Tally};
use crate::cli::bench::raw::{self, RawCodec};
use crate::cli::bench::template::{Digits, Lane, Templates};
use crate::cli::failure::Failure;

const METHOD: &str = "/casetrail.v1.CaseService/SubmitStream";

pub(super) async fn run(
    mut client: Client,
    templates: Arc<Templates>,
    budget: Budget,
) -> Result<(Client, Tally), Failure> {
    let window = Arc::new(Mutex::new(Window {
        free: std::mem::take(&mut client.lanes).into(),
        under_way: VecDeque::new(),
        waker: None,
    }));
    let items = Items {
        window: Arc::clone(&window),
        templates,
        budget,
        spent: false,
    };
    let failure = |status: &Status| Failure::of_call(&client.server, status);
    let Connection::Stream(channel) = &client.connection else {
        return Ok((client, Tally::default()));
    };
    let mut grpc = raw::client(channel);
    let ready = grpc.ready().await;
    ready.map_err(|error| failure(&Status::from_error(Box::new(error))))?;
    let path = PathAndQuery::from_static(METHOD);
    let mut request = Request::new(items);
    if let Some(authorization) = &client.authorization {
        let metadata = request.metadata_mut();
        metadata.insert("authorization", authorization.clone());
    }
    let answers = grpc.streaming(request, path, RawCodec).await;
    let mut answers = answers.map_err(|status| failure(&status))?.into_inner();
    let mut tally = Tally::default();
    let mut index = 0;
    while let Some(answer) = answers.message().await.map_err(|status| failure(&status))? {
        let Some(item) = lock(&window).under_way.pop_front() else {
            return Err(Failure::Failed(format!(
                "The server answered item {index}, which was not sent."
            )));
        };
        let mut lane = item.lane;
        if is_item_recorded(&answer, index, &item.request) {
            tally.answered(item.sent_at);
        } else {
            tally.refused(|| explain_item(&answer));
            lane.begin_anew();
        }
        index += 1;
        lock(&window).give_back(lane);
    }
    let window = std::mem::take(&mut *lock(&window));
    if !window.under_way.is_empty() {
        return Err(Failure::Failed(format!(
            "The server ended the stream with {} items unanswered.",
            window.under_way.len()
        )));
    }
    client.lanes = window.free.into();
    Ok((client, tally))
}

/// What is under way, in the order sent, and who may send next.
#[derive(Default)]
struct Window {
    free: VecDeque<Lane>,
    under_way: VecDeque<Item>,
    /// Wakes the sender, where it waits for a free lane.
    waker: Option<Waker>,
}

/// A submission under way.
struct Item {
    lane: Lane,
    request: Digits,
    sent_at: Instant,
}

impl Window {
    fn give_back(&mut self, lane: Lane) {
        self.free.push_back(lane);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// The submissions of the stream: each as soon as a lane is free, until the budget is spent. A pace
/// is not kept.
struct Items {
    window: Arc<Mutex<Window>>,
    templates: Arc<Templates>,
    budget: Budget,
    spent: bool,
}

impl Stream for Items {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.spent {
            return Poll::Ready(None);
        }
        let this = &mut *self;
        let mut window = lock(&this.window);
        let Some(mut lane) = window.free.pop_front() else {
            window.waker = Some(context.waker().clone());
            return Poll::Pending;
        };
        let Some(sent_at) = this.budget.take() else {
            this.spent = true;
            window.free.push_front(lane);
            return Poll::Ready(None);
        };
        let prepared = this.templates.next(&mut lane);
        window.under_way.push_back(Item {
            lane,
            request: prepared.request,
            sent_at,
        });
        Poll::Ready(Some(prepared.bytes))
    }
}

fn lock(window: &Mutex<Window>) -> MutexGuard<'_, Window> {
    window.lock().unwrap_or_else(PoisonError::into_inner)
}
