//! Opens what a power cut left by the ordinary start-up, in a process of its own, and holds it
//! against what was submitted and what had been told.

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use casetrail::view::Views;
use casetrail::wire::v1::{
    DisclosurePurpose, EventType, GetPersonalRequest, Record, ReplayEventsRequest,
    SubmitEventsResponse, personal_value::Value, replay_events_response::Item,
};
use prost::Message;

use super::disk::Image;
use super::load::{Submitted, as_stored, submit};
use crate::support::server::{Client, Ended, Server, content, serve};
use crate::support::{submission_of, valid_event};

/// How many of the submissions that had been told are sent again.
const SENT_AGAIN: usize = 3;

/// What must hold of an image.
pub struct Expected {
    /// All that was ever submitted, by request_id.
    pub submitted: Arc<HashMap<String, Submitted>>,
    /// The request_ids that had been told before the cut.
    pub told: HashSet<String>,
}

/// What is wrong with an image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// It is refused, with this message and with nothing changed.
    Refused(String),
    /// Submissions that were told are not there.
    Lost(String),
    /// A submission is there in part.
    Half(String),
    /// Anything else.
    Wrong(String),
}

/// Writes an image into a folder, which must be empty or missing.
pub fn write_image(image: &Image, folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    // A folder comes before what is in it.
    for (path, content) in image {
        let path = folder.join(path);
        match content {
            None => std::fs::create_dir(path).unwrap(),
            Some(content) => {
                std::fs::write(&path, &**content).unwrap();
                // An image has no modes, and a master key that others may read is refused.
                let owner_alone = std::fs::Permissions::from_mode(0o600);
                std::fs::set_permissions(path, owner_alone).unwrap();
            }
        }
    }
}

/// The content of a folder as an image.
pub fn read_image(folder: &Path) -> Image {
    let mut image = Image::new();
    for (path, bytes) in content(folder) {
        let name = path.strip_prefix(folder).unwrap();
        let content = (!path.is_dir()).then(|| Arc::new(bytes));
        image.insert(name.to_str().unwrap().to_owned(), content);
    }
    image
}

/// Writes the image into the folder, and opens and checks it there.
pub async fn check(image: &Image, folder: &Path, expected: &Expected) -> Result<(), Fault> {
    write_image(image, folder);
    let server = match Server::try_start(serve(&[], &folder.join("data"), "127.0.0.1:0")) {
        Ok(server) => server,
        Err(ended) => return Err(refusal(&ended, image, folder)),
    };
    let checked = check_served(&server, expected).await;
    let told = server.process.stderr();
    server.kill();
    checked?;
    if told.contains("panicked") {
        return Err(Fault::Wrong(format!("a panic while it served:\n{told}")));
    }
    Ok(())
}

/// A refusal is one only if it says why and has changed nothing.
fn refusal(ended: &Ended, image: &Image, folder: &Path) -> Fault {
    let message = ended.stderr.trim().to_owned();
    if ended.code.is_none() || message.is_empty() || message.contains("panicked") {
        return Fault::Wrong(format!("the server did not come up: {ended:?}"));
    }
    let mut left = read_image(folder);
    // Taking the lock makes its file.
    if !image.contains_key("data/LOCK") {
        left.remove("data/LOCK");
    }
    if left == *image {
        Fault::Refused(message)
    } else {
        Fault::Wrong(format!(
            "it is refused, but was written to before: {message}"
        ))
    }
}

async fn check_served(server: &Server, expected: &Expected) -> Result<(), Fault> {
    let client = server.connect().await;
    let (records, digest) = replay(&client).await?;
    check_order(&records)?;
    let stored = submissions(&records)?;
    let lost = expected
        .told
        .iter()
        .filter(|id| !stored.contains_key(id.as_str()));
    let lost = lost.count();
    if lost > 0 {
        let told = expected.told.len();
        let message = format!(
            "{lost} of {told} that were told; {} are there",
            stored.len()
        );
        return Err(Fault::Lost(message));
    }
    for (request_id, records) in &stored {
        let Some(submitted) = expected.submitted.get(*request_id) else {
            return wrong(format!("{request_id} was never submitted"));
        };
        check_submission(records, submitted)?;
    }
    let status = client.status().await;
    let count = records.len() as u64;
    if (status.head, status.view_position) != (count, count) || status.digest != digest {
        return wrong(format!(
            "{count} records, but the views are others: {status:?}"
        ));
    }
    send_again(&client, expected, &stored).await?;
    open_personal(&client, &records).await?;
    // And it goes on.
    let request = submission_of(vec![valid_event(EventType::DetentionAlleged)]);
    match submit(&client, request)
        .await
        .map(|submitted| submitted.answer.unwrap())
    {
        Ok(answer) if answer.results[0].positions[0] >= count && !answer.replayed => Ok(()),
        other => wrong(format!("a new submission: {other:?}")),
    }
}

fn wrong<T>(message: String) -> Result<T, Fault> {
    Err(Fault::Wrong(message))
}

/// All records, and the digest of the views that follow from them.
async fn replay(client: &Client) -> Result<(Vec<Record>, Vec<u8>), Fault> {
    let failed = |status: tonic::Status| Fault::Wrong(format!("the replay failed: {status}"));
    let answers = client
        .audit()
        .replay_events(ReplayEventsRequest::default())
        .await;
    let mut answers = answers.map_err(failed)?.into_inner();
    let mut records = Vec::new();
    let mut views = Views::default();
    while let Some(answer) = answers.message().await.map_err(failed)? {
        let Some(Item::Block(block)) = answer.item else {
            continue;
        };
        let block = block
            .verified()
            .map_err(|cause| Fault::Wrong(format!("a block: {cause}")))?;
        for (position, bytes) in block.records() {
            if position != records.len() as u64 {
                return wrong(format!(
                    "position {position} after {} records",
                    records.len()
                ));
            }
            let record = Record::decode(bytes).unwrap();
            views.fold(position, &record).unwrap();
            records.push(record);
        }
    }
    Ok((records, views.frozen().digest().to_vec()))
}

/// Time never runs backwards, no event is there twice, versions count from 1 in each case.
fn check_order(records: &[Record]) -> Result<(), Fault> {
    let mut event_ids = HashSet::new();
    let mut versions: HashMap<&str, u64> = HashMap::new();
    let mut newest = (0, 0);
    for (position, record) in records.iter().enumerate() {
        let time = record.recorded_at.unwrap();
        let version = versions.entry(&record.case_id).or_default();
        *version += 1;
        let is_new = event_ids.insert(&record.event.as_ref().unwrap().event_id);
        if !is_new || record.case_version != *version || (time.seconds, time.nanos) < newest {
            return wrong(format!(
                "the record at {position} does not follow: {record:?}"
            ));
        }
        newest = (time.seconds, time.nanos);
    }
    Ok(())
}

/// The records of each submission, with its first position. Each is whole, in one piece and there
/// once.
fn submissions(records: &[Record]) -> Result<HashMap<&str, (usize, &[Record])>, Fault> {
    let mut submissions = HashMap::new();
    let mut first = 0;
    while first < records.len() {
        let request_id = records[first].request_id.as_str();
        let size = records[first].submission_size as usize;
        let is_whole = records.get(first..first + size).filter(|whole| {
            whole.iter().enumerate().all(|(index, record)| {
                record.request_id == request_id && record.submission_index as usize == index
            })
        });
        let Some(whole) = is_whole else {
            return Err(Fault::Half(format!(
                "{request_id} at {first}, of {size} records"
            )));
        };
        if submissions.insert(request_id, (first, whole)).is_some() {
            return wrong(format!("{request_id} is there twice"));
        }
        first += size;
    }
    Ok(submissions)
}

/// The records are the events that were submitted, and the answer, where there was one, told of them.
fn check_submission(
    (first, records): &(usize, &[Record]),
    submitted: &Submitted,
) -> Result<(), Fault> {
    let request = &submitted.request;
    let events = request.changes.iter().flat_map(|change| {
        let events = change.events.iter();
        events.map(|event| (change.case_id.as_str(), event))
    });
    let stored = records
        .iter()
        .map(|record| (record.case_id.as_str(), record.event.clone().unwrap()));
    let events = events.map(|(case_id, event)| (case_id, as_stored(event)));
    if !events.eq(stored) {
        return wrong(format!(
            "{} holds other events than submitted",
            request.request_id
        ));
    }
    let positions: Vec<u64> = (*first as u64..).take(records.len()).collect();
    match &submitted.answer {
        Some(answer) if positions_of(answer) != positions => wrong(format!(
            "{} is at {positions:?}, but was told to be elsewhere: {answer:?}",
            request.request_id
        )),
        _ => Ok(()),
    }
}

fn positions_of(answer: &SubmitEventsResponse) -> Vec<u64> {
    let results = answer.results.iter();
    results
        .flat_map(|result| result.positions.clone())
        .collect()
}

/// Every personal value that is there opens, and is the one that came with its event.
async fn open_personal(client: &Client, records: &[Record]) -> Result<(), Fault> {
    let sealed = records.iter().filter(|record| !record.sealed.is_empty());
    let mut cases: Vec<String> = sealed.clone().map(|it| it.case_id.clone()).collect();
    cases.sort();
    cases.dedup();
    let mut opened = 0;
    for case_ids in cases.chunks(100) {
        let mut request = GetPersonalRequest {
            case_ids: case_ids.to_vec(),
            purpose: DisclosurePurpose::Audit.into(),
            page_size: 1_000,
            ..GetPersonalRequest::default()
        };
        loop {
            let page = client.personal().get_personal(request.clone()).await;
            let page = page
                .map_err(|status| Fault::Wrong(format!("personal values: {status}")))?
                .into_inner();
            for entry in &page.entries {
                let value = entry.value.as_ref().and_then(|value| value.value.as_ref());
                if !matches!(value, Some(Value::Text(text)) if *text == entry.event_id) {
                    return wrong(format!("another value came with {}", entry.event_id));
                }
            }
            opened += page.entries.len();
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
    }
    let expected = sealed.count();
    if opened != expected {
        return Err(Fault::Lost(format!(
            "{opened} of {expected} personal values open"
        )));
    }
    Ok(())
}

/// A few that are there are sent again: they are known, and answered as before.
async fn send_again(
    client: &Client,
    expected: &Expected,
    stored: &HashMap<&str, (usize, &[Record])>,
) -> Result<(), Fault> {
    for request_id in expected.told.iter().take(SENT_AGAIN) {
        let (first, records) = stored[request_id.as_str()];
        let request = expected.submitted[request_id].request.clone();
        match submit(client, request)
            .await
            .map(|submitted| submitted.answer.unwrap())
        {
            Ok(answer)
                if answer.replayed
                    && positions_of(&answer)
                        == (first as u64..).take(records.len()).collect::<Vec<_>>() => {}
            other => return wrong(format!("{request_id} sent again: {other:?}")),
        }
    }
    Ok(())
}
