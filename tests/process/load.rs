//! Load: clients that submit at random, over single calls and over streams, through connections
//! that break. What was not answered is sent again under the same request_id.

use std::collections::VecDeque;
use std::sync::Arc;

use casetrail::wire::v1::{
    self, CaseChange, EventType as E, SubmitEventsRequest, SubmitEventsResponse,
    SubmitStreamRequest, case_change::Expected, submit_stream_response::Outcome,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::support::server::Client;
use crate::support::{fresh_uuid, submission_of, valid_event};

/// How many submissions of a stream are under way.
const IN_FLIGHT: usize = 40;

/// What follows the opening of a case: allowed in any status before a release, however often.
const FOLLOWERS: [E; 5] = [
    E::ProofOfLifeReceived,
    E::VisitedAndRegistered,
    E::FamilyContactRestored,
    E::LegalCategoryAsserted,
    E::DetentionDenied,
];

/// Chance, the same for the same seed.
pub struct Chance(ChaCha8Rng);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A number from 0, below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0.next_u64() % end
    }
}

/// A submission with its answer, once it has one.
#[derive(Debug, Clone)]
pub struct Submitted {
    pub request: SubmitEventsRequest,
    pub answer: Option<SubmitEventsResponse>,
}

impl Submitted {
    /// The case that it first changes.
    pub fn case_id(&self) -> String {
        self.request.changes[0].case_id.clone()
    }
}

/// Submits by a single call.
pub async fn submit(client: &Client, request: SubmitEventsRequest) -> Result<Submitted, Status> {
    let answer = client.cases().submit_events(request.clone()).await?;
    let answer = Some(answer.into_inner());
    Ok(Submitted { request, answer })
}

/// Submits by one stream.
pub async fn submit_all(client: &Client, requests: Vec<SubmitEventsRequest>) -> Vec<Submitted> {
    let items = requests.iter().map(|request| SubmitStreamRequest {
        submission: Some(request.clone()),
    });
    let items = tokio_stream::iter(items.collect::<Vec<_>>());
    let answers = client.cases().submit_stream(items).await;
    let mut answers = answers.unwrap().into_inner();
    let mut submitted = Vec::new();
    for request in requests {
        let answer = answers.message().await.unwrap().unwrap();
        match answer.outcome.unwrap() {
            Outcome::Recorded(answer) => submitted.push(Submitted {
                request,
                answer: Some(answer),
            }),
            Outcome::Refused(refusal) => panic!("{refusal:?}"),
        }
    }
    submitted
}

/// Opens so many cases.
pub async fn open_cases(client: &Client, count: usize) -> Vec<Submitted> {
    let mut submitted = Vec::new();
    for _ in 0..count {
        let request = submission_of(vec![valid_event(E::DetentionAlleged)]);
        submitted.push(submit(client, request).await.unwrap());
    }
    submitted
}

/// What the clients of a load share.
#[derive(Clone)]
pub struct Load {
    /// The connection at this time; none while there is no server. The load ends when its sender
    /// is gone.
    pub connection: watch::Receiver<Option<Client>>,
    /// Number of answers that were received.
    pub answered: Arc<watch::Sender<u64>>,
    /// True once no new submission shall be begun.
    pub enough: watch::Receiver<bool>,
    /// Cases that all clients write to, each opened before.
    pub shared_cases: Arc<Vec<String>>,
}

/// How a client sends.
#[derive(Clone, Copy)]
pub enum Manner {
    Single,
    Stream,
}

impl Load {
    /// Submits until it is enough and all is answered, or no connection will come any more.
    pub async fn run(mut self, manner: Manner, seed: u64) -> Vec<Submitted> {
        let mut author = Author::new(seed, Arc::clone(&self.shared_cases));
        let mut done = Vec::new();
        let mut unanswered = VecDeque::new();
        while let Some(client) = self.connected().await {
            let status = match manner {
                Manner::Single => {
                    self.submit_singly(&client, &mut author, &mut unanswered, &mut done)
                        .await
                }
                Manner::Stream => {
                    self.submit_in_a_stream(&client, &mut author, &mut unanswered, &mut done)
                        .await
                }
            };
            match status {
                Ok(()) => break,
                Err(status) => assert!(may_happen(&status), "{status:?}"),
            }
            if self.connection.changed().await.is_err() {
                break;
            }
        }
        done.extend(unanswered.into_iter().map(|request| Submitted {
            request,
            answer: None,
        }));
        done
    }

    async fn connected(&mut self) -> Option<Client> {
        let client = self.connection.wait_for(Option::is_some).await.ok()?;
        client.clone()
    }

    fn is_enough(&self) -> bool {
        *self.enough.borrow()
    }

    fn answer(
        &self,
        request: SubmitEventsRequest,
        answer: SubmitEventsResponse,
        done: &mut Vec<Submitted>,
    ) {
        assert_eq!(request.request_id, answer.request_id);
        done.push(Submitted {
            request,
            answer: Some(answer),
        });
        self.answered.send_modify(|count| *count += 1);
    }

    async fn submit_singly(
        &self,
        client: &Client,
        author: &mut Author,
        unanswered: &mut VecDeque<SubmitEventsRequest>,
        done: &mut Vec<Submitted>,
    ) -> Result<(), Status> {
        let mut cases = client.cases();
        loop {
            if unanswered.is_empty() {
                if self.is_enough() {
                    return Ok(());
                }
                unanswered.push_back(author.submission());
            }
            let answer = cases.submit_events(unanswered[0].clone()).await?;
            let request = unanswered.pop_front().unwrap();
            self.answer(request, answer.into_inner(), done);
        }
    }

    async fn submit_in_a_stream(
        &self,
        client: &Client,
        author: &mut Author,
        unanswered: &mut VecDeque<SubmitEventsRequest>,
        done: &mut Vec<Submitted>,
    ) -> Result<(), Status> {
        let (sender, receiver) = mpsc::channel(IN_FLIGHT);
        let mut sent = 0;
        let mut cases = client.cases();
        let requests = ReceiverStream::new(receiver);
        let mut answers = cases.submit_stream(requests).await?.into_inner();
        loop {
            while sent < IN_FLIGHT {
                if sent == unanswered.len() {
                    if self.is_enough() {
                        break;
                    }
                    unanswered.push_back(author.submission());
                }
                let submission = Some(unanswered[sent].clone());
                // The answers tell why the transport takes no more.
                if sender
                    .send(SubmitStreamRequest { submission })
                    .await
                    .is_err()
                {
                    break;
                }
                sent += 1;
            }
            if unanswered.is_empty() {
                return Ok(());
            }
            let ended = || Status::unavailable("the stream ended");
            let answer = answers.message().await?.ok_or_else(ended)?;
            match answer.outcome.unwrap() {
                Outcome::Recorded(answer) => {
                    let request = unanswered.pop_front().unwrap();
                    self.answer(request, answer, done);
                    sent -= 1;
                }
                Outcome::Refused(refusal) => {
                    let status = Status::new(Code::from_i32(refusal.code), refusal.message.clone());
                    assert!(may_happen(&status), "{refusal:?}");
                    return Err(status);
                }
            }
        }
    }
}

/// A personal value that names its event, so that it can be told whether it came back.
fn personal(event_id: &str, subject: Uuid) -> v1::PersonalValue {
    v1::PersonalValue {
        subject_id: subject.to_string(),
        personal_class: v1::PersonalClass::Narrative.into(),
        field: "account".to_owned(),
        value: Some(v1::personal_value::Value::Text(event_id.to_owned())),
    }
}

/// The event as it is stored: without its personal values.
pub fn as_stored(event: &v1::Event) -> v1::Event {
    v1::Event {
        personal: Vec::new(),
        ..event.clone()
    }
}

/// What may become of a submission while servers come and go: no answer, or none any more.
fn may_happen(status: &Status) -> bool {
    use std::error::Error as _;
    status.code() == Code::Unavailable
        || status.source().is_some()
        || (status.code() == Code::Unknown && status.message().contains("transport"))
        || (status.code() == Code::Internal && status.message().contains("h2"))
        || (status.code() == Code::Cancelled)
}

/// Writes submissions that the lifecycle allows, to cases of its own and to the shared ones.
struct Author {
    chance: Chance,
    /// Its own cases with the version that each will have.
    own_cases: Vec<(String, u64)>,
    shared_cases: Arc<Vec<String>>,
}

impl Author {
    fn new(seed: u64, shared_cases: Arc<Vec<String>>) -> Self {
        Self {
            chance: Chance::new(seed),
            own_cases: Vec::new(),
            shared_cases,
        }
    }

    fn submission(&mut self) -> SubmitEventsRequest {
        let count = 1 + self.chance.below(3);
        let mut changes: Vec<CaseChange> = Vec::new();
        for _ in 0..count {
            let change = match self.chance.below(6) {
                0 => self.change_of_shared_case(),
                1 | 2 => self.opening(),
                _ => self.change_of_own_case(),
            };
            // A case has one change in a submission.
            if changes.iter().all(|each| each.case_id != change.0.case_id) {
                let (change, own) = change;
                if let Some(own) = own {
                    self.own_cases[own].1 += change.events.len() as u64;
                }
                changes.push(change);
            }
        }
        SubmitEventsRequest {
            request_id: fresh_uuid().to_string(),
            changes,
        }
    }

    fn opening(&mut self) -> (CaseChange, Option<usize>) {
        let mut events = vec![valid_event(E::DetentionAlleged)];
        events.extend(self.followers(0, 3));
        let case_id = fresh_uuid().to_string();
        self.own_cases.push((case_id.clone(), 0));
        let expected = Some(Expected::NoCase(true));
        let change = CaseChange {
            case_id,
            expected,
            events,
        };
        (change, Some(self.own_cases.len() - 1))
    }

    fn change_of_own_case(&mut self) -> (CaseChange, Option<usize>) {
        if self.own_cases.is_empty() {
            return self.opening();
        }
        // One of the newest, so that cases stay of a reasonable length.
        let recent = self.own_cases.len().min(20) as u64;
        let own = self.own_cases.len() - 1 - self.chance.below(recent) as usize;
        let (case_id, version) = self.own_cases[own].clone();
        if version == 0 {
            // Its opening was left out of its submission.
            return self.opening();
        }
        let expected = match self.chance.below(2) {
            0 => Expected::ExactVersion(version),
            _ => Expected::Any(true),
        };
        let change = CaseChange {
            case_id,
            expected: Some(expected),
            events: self.followers(1, 5),
        };
        (change, Some(own))
    }

    fn change_of_shared_case(&mut self) -> (CaseChange, Option<usize>) {
        let index = self.chance.below(self.shared_cases.len() as u64) as usize;
        let change = CaseChange {
            case_id: self.shared_cases[index].clone(),
            expected: Some(Expected::Any(true)),
            events: self.followers(1, 2),
        };
        (change, None)
    }

    fn followers(&mut self, least: u64, most: u64) -> Vec<casetrail::wire::v1::Event> {
        let count = least + self.chance.below(most - least + 1);
        let event = |_| {
            let index = self.chance.below(FOLLOWERS.len() as u64) as usize;
            let mut event = valid_event(FOLLOWERS[index]);
            // About a person who is new, or about one of a few who are not.
            match self.chance.below(4) {
                0 => event.personal = vec![personal(&event.event_id, fresh_uuid())],
                1 => {
                    let known = Uuid::from_u128(1 + u128::from(self.chance.below(20)));
                    event.personal = vec![personal(&event.event_id, known)];
                }
                _ => {}
            }
            event
        };
        (0..count).map(event).collect()
    }
}
