//! `casetrail erasure`: requests, executes and refuses the erasure of a subject's personal data. Each is
//! an event of a case, submitted as any other.

use clap::{Args, Subcommand, ValueEnum};
use uuid::Uuid;

use super::connection::{RecorderArguments, ServerArguments};
use super::failure::Failure;
use super::names;
use super::output::{Output, note};
use crate::ledger::today;
use crate::wire::v1::{
    CaseChange, Credibility, ErasureExecuted, ErasureGround, ErasureRefusalReason, ErasureRefused,
    ErasureRequested, Event, ListRetentionDueRequest, RetentionDue, Source, SourceConnection,
    SourceReliability, SubmitEventsRequest, event::Payload,
};

/// What to do about an erasure.
#[derive(Debug, Args)]
#[command(after_help = "\
An erasure is requested in a case, waits for the holding time of the server, and is executed by
somebody else than who requested it. Then the subject's key is destroyed, and no value about them can
be read again, in whatever case it stands; no record is changed. `casetrail get CASE` shows what is
requested. A request is withdrawn by a retraction.

Examples:
  casetrail erasure request 018f3a5e-7c1b-7d11-9a41-5be1f0e0c001 --subject 018f3a5e-7c1b-7d11-9a41-5be1f0e05001 --ground subject-request --source letter-12
  casetrail erasure execute 018f3a5e-7c1b-7d11-9a41-5be1f0e0c001 --subject 018f3a5e-7c1b-7d11-9a41-5be1f0e05001 --request 018f3a5e-7c1b-7d11-9a41-5be1f0e0e001 --source decision-3
  casetrail erasure refuse 018f3a5e-7c1b-7d11-9a41-5be1f0e0c001 --request 018f3a5e-7c1b-7d11-9a41-5be1f0e0e001 --reason fate-unknown --source decision-3
  casetrail erasure due --request retention-2026")]
pub(super) struct ErasureArguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Request that the personal data of a subject be erased
    Request(RequestArguments),
    /// Erase the personal data of a subject, for good
    Execute(ExecuteArguments),
    /// Refuse an erasure that was requested
    Refuse(RefuseArguments),
    /// List the subjects whose data is past its retention time, and request their erasure
    Due(DueArguments),
}

/// Whether to request it.
#[derive(Debug, Args)]
struct DueArguments {
    /// Request the erasure of each, on the paper of this reference; somebody else executes it
    #[arg(long, value_name = "REFERENCE")]
    request: Option<String>,
    #[command(flatten)]
    server: ServerArguments,
    #[command(flatten)]
    recorder: RecorderArguments,
}

/// Where it is recorded, and on which paper it rests.
#[derive(Debug, Args)]
struct Recorded {
    /// The case, a UUID
    #[arg(value_name = "CASE")]
    case_id: String,
    /// Reference of the letter or decision on which it rests, without spaces
    #[arg(long, value_name = "REFERENCE")]
    source: String,
    #[command(flatten)]
    server: ServerArguments,
    #[command(flatten)]
    recorder: RecorderArguments,
}

#[derive(Debug, Args)]
struct RequestArguments {
    /// Whose personal data, a UUID
    #[arg(long, value_name = "SUBJECT")]
    subject: String,
    /// On what ground
    #[arg(long, value_name = "GROUND")]
    ground: Ground,
    #[command(flatten)]
    recorded: Recorded,
}

#[derive(Debug, Args)]
struct ExecuteArguments {
    /// Whose personal data, a UUID
    #[arg(long, value_name = "SUBJECT")]
    subject: String,
    /// The event that requested it, a UUID
    #[arg(long, value_name = "EVENT")]
    request: String,
    #[command(flatten)]
    recorded: Recorded,
}

#[derive(Debug, Args)]
struct RefuseArguments {
    /// The event that requested it, a UUID
    #[arg(long, value_name = "EVENT")]
    request: String,
    /// Why
    #[arg(long, value_name = "REASON")]
    reason: Reason,
    #[command(flatten)]
    recorded: Recorded,
}

/// On what ground data is erased.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Ground {
    /// The person, or who may speak for them, asked for it
    SubjectRequest,
    /// A consent was withdrawn
    ConsentWithdrawn,
    /// A retention time is over
    Retention,
    /// The data puts the person at risk
    Risk,
    /// The data was recorded in error
    RecordedInError,
    /// A legal obligation
    LegalObligation,
}

/// Why an erasure is refused.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Reason {
    /// Who asked could not show that they may
    NotEntitled,
    /// The data is needed to find out the fate of a missing person
    FateUnknown,
    /// The data protects somebody's vital interests
    VitalInterest,
    /// A legal obligation to keep it
    LegalObligation,
    /// The request was made in error
    RequestedInError,
    /// Another reason
    Other,
}

pub(super) async fn run(arguments: &ErasureArguments) -> Result<(), Failure> {
    match &arguments.command {
        Command::Request(arguments) => {
            let ground = match arguments.ground {
                Ground::SubjectRequest => ErasureGround::SubjectRequest,
                Ground::ConsentWithdrawn => ErasureGround::ConsentWithdrawn,
                Ground::Retention => ErasureGround::Retention,
                Ground::Risk => ErasureGround::Risk,
                Ground::RecordedInError => ErasureGround::RecordedInError,
                Ground::LegalObligation => ErasureGround::LegalObligation,
            };
            let payload = Payload::ErasureRequested(ErasureRequested {
                subject_id: arguments.subject.clone(),
                ground: ground.into(),
                ..ErasureRequested::default()
            });
            submit(&arguments.recorded, payload, "requested").await
        }
        Command::Execute(arguments) => {
            let payload = Payload::ErasureExecuted(ErasureExecuted {
                request_event_id: arguments.request.clone(),
                subject_id: arguments.subject.clone(),
                executed_by: String::new(),
            });
            submit(&arguments.recorded, payload, "erased").await
        }
        Command::Refuse(arguments) => {
            let reason = match arguments.reason {
                Reason::NotEntitled => ErasureRefusalReason::NotEntitled,
                Reason::FateUnknown => ErasureRefusalReason::FateUnknown,
                Reason::VitalInterest => ErasureRefusalReason::VitalInterest,
                Reason::LegalObligation => ErasureRefusalReason::LegalObligation,
                Reason::RequestedInError => ErasureRefusalReason::RequestedInError,
                Reason::Other => ErasureRefusalReason::Other,
            };
            let payload = Payload::ErasureRefused(ErasureRefused {
                request_event_id: arguments.request.clone(),
                reason: reason.into(),
            });
            submit(&arguments.recorded, payload, "refused").await
        }
        Command::Due(arguments) => due(arguments).await,
    }
}

/// Lists who is due, and requests their erasure where that is wanted, until nobody is left.
async fn due(arguments: &DueArguments) -> Result<(), Failure> {
    let connection = arguments.server.connect_as(&arguments.recorder).await?;
    let mut output = Output::stdout();
    loop {
        let mut personal = connection.personal();
        let answer = personal
            .list_retention_due(ListRetentionDueRequest {})
            .await;
        let answer = answer
            .map_err(|status| connection.failure(&status))?
            .into_inner();
        for due in &answer.due {
            let RetentionDue {
                subject_id,
                case_id,
                due_since,
            } = due;
            output.line(&format!("{due_since}  {subject_id}  case {case_id}"))?;
            if let Some(source) = &arguments.request {
                let recorded = Recorded {
                    case_id: case_id.clone(),
                    source: source.clone(),
                    server: arguments.server.clone(),
                    recorder: arguments.recorder.clone(),
                };
                let payload = Payload::ErasureRequested(ErasureRequested {
                    subject_id: subject_id.clone(),
                    ground: ErasureGround::Retention.into(),
                    ..ErasureRequested::default()
                });
                submit(&recorded, payload, "requested").await?;
            }
        }
        output.flush()?;
        if arguments.request.is_none() || answer.more == 0 {
            note(&format!(
                "{} more are due, of {} others an erasure is requested",
                answer.more, answer.requested
            ));
            return Ok(());
        }
    }
}

/// Submits one event of today, and tells where it is recorded.
async fn submit(recorded: &Recorded, payload: Payload, done: &str) -> Result<(), Failure> {
    let connection = recorded.server.connect_as(&recorded.recorder).await?;
    let event_id = fresh_id();
    let request = SubmitEventsRequest {
        request_id: fresh_id(),
        changes: vec![CaseChange {
            case_id: recorded.case_id.clone(),
            expected: None,
            events: vec![Event {
                event_id: event_id.clone(),
                occurred: today().to_string(),
                source: Some(Source {
                    reference: recorded.source.clone(),
                    connection: SourceConnection::OwnStaff.into(),
                    reliability: SourceReliability::HighlyReliable.into(),
                }),
                credibility: Credibility::Confirmed.into(),
                payload: Some(payload),
                ..Event::default()
            }],
        }],
    };
    let answer = connection.cases().submit_events(request).await;
    let answer = answer
        .map_err(|status| connection.failure(&status))?
        .into_inner();
    let positions = answer.results.first().map(|result| &result.positions);
    let position = positions.and_then(|positions| positions.first());
    let mut output = Output::stdout();
    output.line(&format!(
        "{done:<9}  event {event_id}, position {}, {}",
        position.copied().unwrap_or_default(),
        names::time(answer.recorded_at.as_ref())
    ))?;
    output.flush()
}

fn fresh_id() -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "a client chooses its identifiers"
    )]
    Uuid::now_v7().to_string()
}
