//! `casetrail outbox list`: what waits, what was recorded and where, what was refused and why.

use clap::Args;
use serde_json::{Value, json};

use super::QueueArguments;
use super::entries::{Entry, State};
use super::queue::{Look, look};
use crate::cli::failure::{Failure, describe};
use crate::cli::output::{Output, json_of, note};
use crate::wire::v1::SubmitEventsResponse;

/// Which queue to show.
#[derive(Debug, Args)]
#[command(after_help = "\
Changes nothing, keeps no other command from writing, and shows no event: only identifiers, days, and
the server's answers. The exit code is 1 where the output was closed before all was shown.

With --json there is one object a line: {\"requestId\":\"..\",\"state\":\"..\",\"appendedOn\":\"..\",
\"events\":N,\"caseIds\":[..]}, where state is waiting, recorded or refused; \"recorded\" then holds
the server's answer (SubmitEventsResponse) and \"refused\" its refusal (Refusal).

Examples:
  casetrail outbox list --queue outbox.queue
  casetrail outbox list --queue outbox.queue --json")]
pub(super) struct ListArguments {
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    queue: QueueArguments,
}

pub(super) fn run(arguments: &ListArguments) -> Result<(), Failure> {
    let look = look(&arguments.queue.queue)?;
    show(&look, arguments.json).map_err(|failure| match failure {
        Failure::OutputClosed => {
            Failure::Failed("the output was closed before all was shown".to_owned())
        }
        failure => failure,
    })?;
    if look.torn_bytes > 0 {
        note(&format!(
            "The last {} bytes of the file are what another command is writing, or what an interrupted \
             one left unfinished; nothing of it was told as done. The next command that writes cuts \
             off what is left.",
            look.torn_bytes
        ));
    }
    Ok(())
}

fn show(look: &Look, json: bool) -> Result<(), Failure> {
    let mut output = Output::stdout();
    for entry in look.entries.iter() {
        let text = if json {
            object(entry)?.to_string()
        } else {
            line(entry)
        };
        output.line(&text)?;
    }
    if !json {
        let counts = look.entries.counts();
        output.line(&format!(
            "{} wait, {} recorded, {} refused",
            counts.waiting, counts.recorded, counts.refused
        ))?;
    }
    output.flush()
}

fn line(entry: &Entry) -> String {
    let (state, answer) = match &entry.state {
        State::Waiting => ("waiting", String::new()),
        State::Recorded(answer) => ("recorded", format!("  {}", positions(answer))),
        State::Refused(refusal) => {
            let reason = describe(refusal).replace('\n', "\n  ");
            ("refused", format!("\n  {reason}"))
        }
    };
    let events = entry.events();
    let cases = match entry.submission.changes.as_slice() {
        [only] => format!("case {}", only.case_id),
        several => format!("{} cases", several.len()),
    };
    let plural = if events == 1 { "" } else { "s" };
    format!(
        "{state:<8}  {}  {}  {events} event{plural}, {cases}{answer}",
        entry.request_id, entry.appended_on
    )
}

/// Where a submission is in the log; its positions follow one another.
fn positions(answer: &SubmitEventsResponse) -> String {
    let positions = || answer.results.iter().flat_map(|result| &result.positions);
    match (positions().min(), positions().max()) {
        (Some(first), Some(last)) if first == last => format!("position {first}"),
        (Some(first), Some(last)) => format!("positions {first} to {last}"),
        _ => String::new(),
    }
}

fn object(entry: &Entry) -> Result<Value, Failure> {
    let case_ids = entry.submission.changes.iter();
    let case_ids: Vec<_> = case_ids.map(|change| change.case_id.as_str()).collect();
    let mut object = json!({
        "requestId": entry.request_id.to_string(),
        "state": "waiting",
        "appendedOn": entry.appended_on.to_string(),
        "events": entry.events(),
        "caseIds": case_ids,
    });
    let answer = match &entry.state {
        State::Waiting => None,
        State::Recorded(answer) => Some(("recorded", json_of(answer)?)),
        State::Refused(refusal) => Some(("refused", json_of(refusal)?)),
    };
    if let (Some((state, answer)), Value::Object(fields)) = (answer, &mut object) {
        let answer: Value = serde_json::from_str(&answer)
            .map_err(|error| Failure::local("the answer can't be printed", &error))?;
        fields.insert("state".to_owned(), state.into());
        fields.insert(state.to_owned(), answer);
    }
    Ok(object)
}
