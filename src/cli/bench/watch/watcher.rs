//! One watcher: it checks that it is told of every position, one after the other, from the bytes of
//! the answers. Decoding them would cost more than receiving them.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use prost::Message;
use prost::encoding::decode_varint;
use tokio::sync::mpsc::UnboundedSender;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::cli::bench::raw::RawCodec;
use crate::cli::failure::Failure;
use crate::wire::v1::WatchStatusRequest;
use crate::wire::v1::watch_status_request::Start;

const METHOD: &str = "/casetrail.v1.MonitorService/WatchStatus";

/// The fields of WatchStatusResponse by their keys: `next_position`, `status_change`, `caught_up`.
const NEXT_POSITION_KEY: u8 = 0x08;
const STATUS_CHANGE_KEY: u8 = 0x22;
const CAUGHT_UP_KEY: u8 = 0x2a;
/// The field `position` of StatusChange.
const POSITION_KEY: u8 = 0x08;

/// Why a watch ended.
pub(super) enum WatchError {
    Call(Status),
    /// A change was missing, doubled or out of order.
    OutOfOrder {
        expected: u64,
        actual: u64,
    },
}

impl WatchError {
    pub(super) fn into_failure(self, server: &str) -> Failure {
        match self {
            Self::Call(status) => Failure::of_call(server, &status),
            Self::OutOfOrder { expected, actual } => Failure::Failed(format!(
                "A watcher was told of the change at position {actual} where the one at \
                 {expected} was due."
            )),
        }
    }
}

impl From<Status> for WatchError {
    fn from(status: Status) -> Self {
        Self::Call(status)
    }
}

/// What an answer tells of.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    /// A change at this position.
    Change(u64),
    CaughtUp,
    /// Anything else, such as a sign of life.
    Other,
}

/// Watches from `first` on, where every record is a change. Tells `at_head` once it is at the head,
/// and keeps in `position` how far it is. It ends only where the watch breaks.
pub(super) async fn watch(
    mut grpc: Grpc<Channel>,
    first: u64,
    position: &AtomicU64,
    at_head: UnboundedSender<()>,
) -> Result<(), WatchError> {
    let request = WatchStatusRequest {
        start: Some(Start::FromPosition(first)),
        ..WatchStatusRequest::default()
    };
    let ready = grpc.ready().await;
    ready.map_err(|error| Status::from_error(Box::new(error)))?;
    let request = Request::new(Bytes::from(request.encode_to_vec()));
    let path = PathAndQuery::from_static(METHOD);
    let answers = grpc.server_streaming(request, path, RawCodec).await?;
    let mut answers = answers.into_inner();
    let mut at_head = Some(at_head);
    let mut expected = first;
    while let Some(answer) = answers.message().await? {
        match told(&answer) {
            Told::Change(actual) if actual == expected => {
                expected = actual.saturating_add(1);
                position.store(expected, Ordering::Relaxed);
            }
            Told::Change(actual) => return Err(WatchError::OutOfOrder { expected, actual }),
            Told::CaughtUp => {
                if let Some(at_head) = at_head.take() {
                    // Whoever waits for it is still there, or nobody needs it any more.
                    let _ = at_head.send(());
                }
            }
            Told::Other => {}
        }
    }
    Ok(())
}

fn told(answer: &[u8]) -> Told {
    read(answer).unwrap_or(Told::Other)
}

fn read(answer: &[u8]) -> Option<Told> {
    let mut rest = answer;
    if let Some((&NEXT_POSITION_KEY, after)) = rest.split_first() {
        rest = after;
        decode_varint(&mut rest).ok()?;
    }
    match rest.split_first()? {
        (&STATUS_CHANGE_KEY, after) => {
            rest = after;
            decode_varint(&mut rest).ok()?;
            match rest.split_first()? {
                (&POSITION_KEY, after) => {
                    rest = after;
                    Some(Told::Change(decode_varint(&mut rest).ok()?))
                }
                // The position 0 is left out.
                _ => Some(Told::Change(0)),
            }
        }
        (&CAUGHT_UP_KEY, _) => Some(Told::CaughtUp),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::v1::watch_status_response::Item;
    use crate::wire::v1::{CaughtUp, Progress, StatusChange, WatchStatusResponse};

    fn answer(next_position: u64, item: Item) -> Vec<u8> {
        let item = Some(item);
        WatchStatusResponse {
            next_position,
            item,
        }
        .encode_to_vec()
    }

    #[test]
    fn a_change_is_told_by_its_position() {
        for position in [0, 1, 127, 128, 1 << 40] {
            let change = StatusChange {
                position,
                case_id: "case".to_owned(),
                ..StatusChange::default()
            };
            let answer = answer(position + 1, Item::StatusChange(change));
            assert_eq!(told(&answer), Told::Change(position));
        }
    }

    #[test]
    fn the_head_and_signs_of_life_are_no_changes() {
        let caught_up = answer(7, Item::CaughtUp(CaughtUp {}));
        assert_eq!(told(&caught_up), Told::CaughtUp);
        let caught_up_at_0 = answer(0, Item::CaughtUp(CaughtUp {}));
        assert_eq!(told(&caught_up_at_0), Told::CaughtUp);
        let progress = answer(7, Item::Progress(Progress { head: 9 }));
        assert_eq!(told(&progress), Told::Other);
        assert_eq!(told(b""), Told::Other);
    }
}
