//! `casetrail personal`: personal data, and to whom it was disclosed.

use std::fmt;

use clap::{Args, Subcommand, ValueEnum};

use super::connection::{RecorderArguments, ServerArguments};
use super::failure::Failure;
use super::names;
use super::output::{Output, note};
use crate::wire::v1::{
    Disclosure, DisclosurePurpose, GetPersonalRequest, ListDisclosuresRequest, PersonalClass,
    PersonalEntry, PersonalValue, SearchByNameRequest, personal_value::Value,
};

/// The largest page that a server gives.
const PAGE_SIZE: i32 = 1000;

/// What to do with personal data.
#[derive(Debug, Args)]
#[command(after_help = "\
Each reading is recorded before anything is shown: who, for whom, whose data, of which classes, how
many values, and what for.

Examples:
  casetrail personal get 018f3a5e-7c1b-7d11-9a41-5be1f0e0c001 --purpose case-work
  casetrail personal get 018f3a5e-7c1b-7d11-9a41-5be1f0e0c001 --purpose tracing --class identity --json
  casetrail personal search Petrov Ivan --birth-year 1991 --purpose tracing
  casetrail personal disclosures --subject 018f3a5e-7c1b-7d11-9a41-5be1f0e05001")]
pub(super) struct PersonalArguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the personal values of cases
    Get(GetArguments),
    /// Find persons by their name, in any order and script
    Search(SearchArguments),
    /// List to whom personal data was disclosed
    Disclosures(DisclosuresArguments),
}

/// Which values, and what for.
#[derive(Debug, Args)]
struct GetArguments {
    /// The cases, UUIDs
    #[arg(value_name = "CASE", required = true, num_args = 1..=100)]
    case_ids: Vec<String>,
    /// What the data is for
    #[arg(long, value_name = "PURPOSE")]
    purpose: Purpose,
    /// What it is for more closely: a reference without spaces, never a name
    #[arg(long, value_name = "REFERENCE", default_value = "")]
    purpose_reference: String,
    /// Only values about this subject, a UUID
    #[arg(long, value_name = "SUBJECT")]
    subject: Vec<String>,
    /// Only values of this class
    #[arg(long, value_name = "CLASS")]
    class: Vec<Class>,
    /// One line of canonical protobuf JSON a value
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
    #[command(flatten)]
    recorder: RecorderArguments,
}

/// Which name, and what for.
#[derive(Args)]
struct SearchArguments {
    /// Parts of the name, in any order and script
    #[arg(value_name = "PART", required = true, num_args = 1..=8)]
    name_parts: Vec<String>,
    /// Only persons whose recorded birth date can be in this year
    #[arg(
        long,
        value_name = "YEAR",
        default_value_t = 0,
        hide_default_value = true
    )]
    birth_year: i32,
    /// What the answer is for
    #[arg(long, value_name = "PURPOSE")]
    purpose: Purpose,
    /// What it is for more closely: a reference without spaces, never a name
    #[arg(long, value_name = "REFERENCE", default_value = "")]
    purpose_reference: String,
    /// One line of canonical protobuf JSON a match
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
    #[command(flatten)]
    recorder: RecorderArguments,
}

impl fmt::Debug for SearchArguments {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SearchArguments(withheld)")
    }
}

/// Of whom.
#[derive(Debug, Args)]
struct DisclosuresArguments {
    /// Only what was disclosed about this subject, a UUID
    #[arg(long, value_name = "SUBJECT", default_value = "")]
    subject: String,
    /// One line of canonical protobuf JSON a disclosure
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

/// What personal data is for.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Purpose {
    /// Work on the case
    CaseWork,
    /// Tracing of a person
    Tracing,
    /// Identification of a person or of remains
    Identification,
    /// Preparation of a release, handover or return
    Operation,
    /// Protection of a person's life or health
    Protection,
    /// A request of the person whom the data is about
    SubjectRequest,
    /// An audit, for a stated reason
    Audit,
    /// A legal obligation
    LegalObligation,
}

impl Purpose {
    fn of_protocol(self) -> DisclosurePurpose {
        match self {
            Self::CaseWork => DisclosurePurpose::CaseWork,
            Self::Tracing => DisclosurePurpose::Tracing,
            Self::Identification => DisclosurePurpose::Identification,
            Self::Operation => DisclosurePurpose::Operation,
            Self::Protection => DisclosurePurpose::Protection,
            Self::SubjectRequest => DisclosurePurpose::SubjectRequest,
            Self::Audit => DisclosurePurpose::Audit,
            Self::LegalObligation => DisclosurePurpose::LegalObligation,
        }
    }
}

/// Class of a personal value.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Class {
    /// Names, birth date and place, sex, nationality, rank, next of kin, address
    Identity,
    /// Numbers of cards, registrations and documents
    Identifiers,
    /// Health state, examination results
    Health,
    /// What the person said they want
    Wishes,
    /// Precise coordinates, places of detention, graves, addresses
    Place,
    /// Free text
    Narrative,
}

impl Class {
    fn of_protocol(self) -> PersonalClass {
        match self {
            Self::Identity => PersonalClass::Identity,
            Self::Identifiers => PersonalClass::Identifiers,
            Self::Health => PersonalClass::Health,
            Self::Wishes => PersonalClass::Wishes,
            Self::Place => PersonalClass::Place,
            Self::Narrative => PersonalClass::Narrative,
        }
    }
}

pub(super) async fn run(arguments: &PersonalArguments) -> Result<(), Failure> {
    match &arguments.command {
        Command::Get(arguments) => get(arguments).await,
        Command::Search(arguments) => search(arguments).await,
        Command::Disclosures(arguments) => disclosures(arguments).await,
    }
}

async fn search(arguments: &SearchArguments) -> Result<(), Failure> {
    let connection = arguments.server.connect_as(&arguments.recorder).await?;
    let request = SearchByNameRequest {
        name_parts: arguments.name_parts.clone(),
        birth_year: arguments.birth_year,
        purpose: arguments.purpose.of_protocol().into(),
        purpose_reference: arguments.purpose_reference.clone(),
    };
    let answer = connection.personal().search_by_name(request).await;
    let answer = answer
        .map_err(|status| connection.failure(&status))?
        .into_inner();
    let mut output = Output::stdout();
    for matching in &answer.matches {
        if arguments.json {
            output.json(matching)?;
        } else {
            let kind = names::name_match_kind(matching.kind());
            let (case_id, subject_id) = (&matching.case_id, &matching.subject_id);
            output.line(&format!("{kind:<11}  case {case_id}  subject {subject_id}"))?;
        }
    }
    output.flush()?;
    match answer.matches.len() {
        0 => note("nobody was found"),
        _ if answer.more => {
            note("there are more: give a further part of the name, or a birth year")
        }
        _ => {}
    }
    Ok(())
}

async fn get(arguments: &GetArguments) -> Result<(), Failure> {
    let connection = arguments.server.connect_as(&arguments.recorder).await?;
    let mut personal = connection.personal();
    let mut output = Output::stdout();
    let (mut erased, mut withheld, mut without_key) = (0_u64, 0_u64, 0_u64);
    let mut page_token = String::new();
    loop {
        let request = GetPersonalRequest {
            case_ids: arguments.case_ids.clone(),
            subject_ids: arguments.subject.clone(),
            classes: arguments
                .class
                .iter()
                .map(|class| class.of_protocol().into())
                .collect(),
            purpose: arguments.purpose.of_protocol().into(),
            purpose_reference: arguments.purpose_reference.clone(),
            page_size: PAGE_SIZE,
            page_token,
        };
        let page = personal.get_personal(request).await;
        let page = page
            .map_err(|status| connection.failure(&status))?
            .into_inner();
        for entry in &page.entries {
            if arguments.json {
                output.json(entry)?;
            } else {
                output.line(&line(entry))?;
            }
        }
        output.flush()?;
        erased += u64::from(page.erased);
        withheld += u64::from(page.withheld);
        without_key += u64::from(page.without_key);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    for (count, what) in [
        (erased, "were erased"),
        (withheld, "are withheld from you"),
        (without_key, "have no key here"),
    ] {
        if count > 0 {
            note(&format!("{count} values {what}"));
        }
    }
    Ok(())
}

async fn disclosures(arguments: &DisclosuresArguments) -> Result<(), Failure> {
    let connection = arguments.server.connect().await?;
    let mut personal = connection.personal();
    let mut output = Output::stdout();
    let mut page_token = String::new();
    loop {
        let request = ListDisclosuresRequest {
            subject_id: arguments.subject.clone(),
            page_size: PAGE_SIZE,
            page_token,
        };
        let page = personal.list_disclosures(request).await;
        let page = page
            .map_err(|status| connection.failure(&status))?
            .into_inner();
        for disclosure in &page.disclosures {
            if arguments.json {
                output.json(disclosure)?;
            } else {
                for line in told(disclosure) {
                    output.line(&line)?;
                }
            }
        }
        output.flush()?;
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(());
        }
    }
}

fn line(entry: &PersonalEntry) -> String {
    let value = entry.value.clone().unwrap_or_default();
    let voided = if entry.voided {
        "  [no longer counts]"
    } else {
        ""
    };
    format!(
        "{:>8}  {}  {:<11}  {:<18}  {}{voided}",
        entry.position,
        value.subject_id,
        names::personal_class(value.personal_class()),
        value.field,
        shown(&value),
    )
}

/// A value in one line.
fn shown(value: &PersonalValue) -> String {
    match &value.value {
        Some(Value::Name(name)) => {
            let parts = name.parts.iter().map(|part| part.text.as_str());
            parts.collect::<Vec<_>>().join(" ")
        }
        Some(Value::Identifier(identifier)) => {
            let issuer = match identifier.issuer.as_str() {
                "" => String::new(),
                issuer => format!(" of {issuer}"),
            };
            format!("{}{issuer}: {}", identifier.scheme, identifier.value)
        }
        Some(Value::Coordinates(point)) => format!(
            "{}, {} within {} m",
            point.latitude, point.longitude, point.radius_metres
        ),
        Some(Value::Text(text)) => text.clone(),
        None => String::new(),
    }
}

/// A disclosure, a line for each case, subject and class.
fn told(disclosure: &Disclosure) -> Vec<String> {
    let by = format!("{}@{}", disclosure.actor, disclosure.organisation);
    let reference = match disclosure.purpose_reference.as_str() {
        "" => String::new(),
        reference => format!(" ({reference})"),
    };
    if disclosure.name_search && disclosure.values.is_empty() {
        return vec![format!(
            "{:>8}  {}  {by:<20}  {}{reference}: a search by name that found nobody",
            disclosure.number,
            names::time(disclosure.recorded_at.as_ref()),
            names::disclosure_purpose(disclosure.purpose()),
        )];
    }
    let how = if disclosure.name_search {
        ", found by name"
    } else {
        ""
    };
    let values = disclosure.values.iter();
    values
        .map(|values| {
            format!(
                "{:>8}  {}  {by:<20}  {}{reference}: {} of {} about {} in case {}{how}",
                disclosure.number,
                names::time(disclosure.recorded_at.as_ref()),
                names::disclosure_purpose(disclosure.purpose()),
                values.count,
                names::personal_class(values.personal_class()),
                values.subject_id,
                values.case_id,
            )
        })
        .collect()
}
