//! The watcher of the demonstration: it sees every change, and prints some.

use std::collections::HashSet;
use std::ops::ControlFlow;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::follow::follow;
use crate::cli::output::Output;
use crate::cli::watch::line;
use crate::wire::v1::watch_status_request::Start;
use crate::wire::v1::watch_status_response::Item;
use crate::wire::v1::{StatusChange, WatchStatusRequest, WatchStatusResponse};

/// How many of the first changes are printed, and then each of how many.
const FIRST_SHOWN: u64 = 15;
const SHOWN_EACH: u64 = 250;
/// How many cases that become contested are printed.
const CONTESTED_SHOWN: usize = 6;

/// What the watcher has seen.
#[derive(Debug, Default, Clone)]
pub(super) struct Seen {
    /// The position from which it would resume.
    pub(super) position: u64,
    /// Number of changes.
    pub(super) changes: u64,
    /// Positions of changes that were told twice: there are none.
    pub(super) duplicates: u64,
}

/// A watcher that runs beside the load.
pub(super) struct Watcher {
    seen: watch::Receiver<Seen>,
    task: JoinHandle<Result<(), Failure>>,
}

impl Watcher {
    /// Watches every change from the beginning of the log.
    pub(super) fn start(connection: Connection) -> Self {
        let (sender, seen) = watch::channel(Seen::default());
        let task = tokio::spawn(async move {
            let mut printed = Printed::new();
            let request = WatchStatusRequest {
                start: Some(Start::FromPosition(0)),
                ..WatchStatusRequest::default()
            };
            let show = |response: &WatchStatusResponse| {
                sender.send_modify(|seen| {
                    seen.position = response.next_position;
                    if let Some(Item::StatusChange(change)) = &response.item {
                        seen.changes += 1;
                        seen.duplicates += u64::from(!printed.positions.insert(change.position));
                        printed.print(change, seen.changes, response);
                    }
                });
                Ok(ControlFlow::Continue(()))
            };
            follow(&connection, request, show, |text| {
                say(&mut Output::stdout(), text)
            })
            .await
        });
        Self { seen, task }
    }

    /// What was seen once the watcher has come to this position.
    ///
    /// # Errors
    /// Where the watcher ended before.
    pub(super) async fn seen_up_to(mut self, position: u64) -> Result<Seen, Failure> {
        let seen = self.seen.wait_for(|seen| seen.position >= position).await;
        let seen = seen.map(|seen| seen.clone());
        match seen {
            Ok(seen) => {
                self.task.abort();
                Ok(seen)
            }
            Err(_) => match self.task.await {
                Ok(Err(failure)) => Err(failure),
                _ => Err(Failure::Failed(
                    "The watcher ended before its time.".to_owned(),
                )),
            },
        }
    }
}

struct Printed {
    output: Output,
    positions: HashSet<u64>,
    contested: HashSet<String>,
}

impl Printed {
    fn new() -> Self {
        Self {
            output: Output::stdout(),
            positions: HashSet::new(),
            contested: HashSet::new(),
        }
    }

    fn print(&mut self, change: &StatusChange, number: u64, response: &WatchStatusResponse) {
        let contested = change
            .standing
            .as_ref()
            .is_some_and(|standing| standing.contested)
            && self.contested.len() < CONTESTED_SHOWN
            && self.contested.insert(change.case_id.clone());
        if !contested && number > FIRST_SHOWN && !number.is_multiple_of(SHOWN_EACH) {
            return;
        }
        if let Some(line) = line(response) {
            say(&mut self.output, &line);
        }
        if number == FIRST_SHOWN {
            say(
                &mut self.output,
                &format!("... from now on each {SHOWN_EACH}th, and some that are contested"),
            );
        }
    }
}

/// Prints a line beside the story. Where nobody reads it, the story's own next line tells.
fn say(output: &mut Output, text: &str) {
    let _ = output
        .line(&format!("      watcher: {text}"))
        .and_then(|()| output.flush());
}
