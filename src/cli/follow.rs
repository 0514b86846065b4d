//! A stream of answers that is taken up again where a lost connection ended it: what is shown has
//! no gap and no duplicate.

use std::ops::ControlFlow;

use tonic::{Code, Status, Streaming};

use super::connection::{Connection, backoff};
use super::failure::{Failure, cause_of, is_lost_connection};

/// A request for a stream, which keeps from where to go on.
pub(super) trait Resumable {
    /// What the stream carries.
    type Answer;

    /// Opens the stream.
    async fn open(&self, connection: &Connection) -> Result<Streaming<Self::Answer>, Status>;

    /// Keeps from where to go on after this answer.
    fn received(&mut self, answer: &Self::Answer);

    /// From where it goes on, in words; nothing where that says nothing to people.
    fn resumes(&self) -> String;
}

/// Follows the stream until `show` breaks, and resumes where the connection was lost; `lost` is told
/// of that.
///
/// # Errors
/// `Refused` by the server, what `show` fails with, and `NoConnection` where the first attempt finds
/// nobody.
pub(super) async fn follow<R: Resumable>(
    connection: &Connection,
    mut request: R,
    mut show: impl FnMut(&R::Answer) -> Result<ControlFlow<()>, Failure>,
    mut lost: impl FnMut(&str),
) -> Result<(), Failure> {
    let mut answered = false;
    let mut attempt = 0;
    loop {
        let mut received = false;
        let ended = follow_once(connection, &mut request, |answer| {
            received = true;
            show(answer)
        });
        let status = match ended.await? {
            ControlFlow::Break(()) => return Ok(()),
            ControlFlow::Continue(status) => status,
        };
        answered = answered || received;
        if !answered || !is_lost(&status) {
            return Err(connection.failure(&status));
        }
        if received {
            attempt = 0;
            let line = format!(
                "-- connection lost ({}); resuming {}",
                cause_of(&status),
                request.resumes()
            );
            lost(line.trim_end());
        }
        attempt += 1;
        tokio::time::sleep(backoff(attempt)).await;
    }
}

/// Follows until `show` breaks or the stream ends.
async fn follow_once<R: Resumable>(
    connection: &Connection,
    request: &mut R,
    mut show: impl FnMut(&R::Answer) -> Result<ControlFlow<()>, Failure>,
) -> Result<ControlFlow<(), Status>, Failure> {
    let mut answers = match request.open(connection).await {
        Ok(answers) => answers,
        Err(status) => return Ok(ControlFlow::Continue(status)),
    };
    loop {
        let answer = match answers.message().await {
            Ok(Some(answer)) => answer,
            Ok(None) => {
                let status = Status::unavailable("the server ended the stream");
                return Ok(ControlFlow::Continue(status));
            }
            Err(status) => return Ok(ControlFlow::Continue(status)),
        };
        request.received(&answer);
        if show(&answer)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
}

/// A server that shuts down says UNAVAILABLE with a reason; it is worth waiting for all the same.
fn is_lost(status: &Status) -> bool {
    is_lost_connection(status) || status.code() == Code::Unavailable
}
