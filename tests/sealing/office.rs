//! An office that records personal data: a server with its data and its keys in two folders, and the
//! words of the tests.

use std::path::PathBuf;

use casetrail::wire::v1::{
    self, CaseChange, DisclosurePurpose, EventType as E, GetPersonalRequest, GetPersonalResponse,
    PersonName, PersonNamePart, PersonalClass as Class, PersonalValue, Record, ReplayEventsRequest,
    SubmitEventsRequest, SubmitEventsResponse, personal_value::Value, replay_events_response::Item,
};
use prost::Message;
use tempfile::TempDir;
use tonic::{Request, Status};

use crate::support::server::{Client, Ended, Server, serve};
use crate::support::{fresh_uuid, valid_event};

pub struct Office {
    pub folder: TempDir,
    server: Option<Server>,
    pub client: Client,
    options: Vec<String>,
}

impl Office {
    pub async fn open() -> Self {
        Self::open_with(&[]).await
    }

    /// The same, with options of `serve`.
    pub async fn open_with(options: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let options: Vec<String> = options.iter().map(|it| (*it).to_owned()).collect();
        let data = folder.path().join("data");
        let server = start(&folder, &data, &options).unwrap();
        let client = server.connect().await;
        Self {
            folder,
            server: Some(server),
            client,
            options,
        }
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn keys(&self) -> PathBuf {
        self.folder.path().join("keys")
    }

    /// The server while it runs.
    pub fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    pub fn url(&self) -> String {
        self.server().url()
    }

    /// Everything that the server logged so far.
    pub fn log(&self) -> String {
        self.server.as_ref().unwrap().process.stderr()
    }

    /// Ends the server in good order; what it logged.
    pub async fn stop(&mut self) -> String {
        let ended = self.server.take().unwrap().stop().await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended.stderr
    }

    pub fn kill(&mut self) {
        self.server.take().unwrap().kill();
    }

    /// Serves again what is in the folder `data`.
    pub async fn start(&mut self) {
        let data = self.data();
        self.try_start(&data, &[]).await.unwrap();
    }

    /// Serves another data folder with the same keys, and further options.
    pub async fn try_start(&mut self, data: &std::path::Path, more: &[&str]) -> Result<(), Ended> {
        let mut options = self.options.clone();
        options.extend(more.iter().map(|it| (*it).to_owned()));
        let server = start(&self.folder, data, &options)?;
        self.client = server.connect().await;
        self.server = Some(server);
        Ok(())
    }

    pub async fn submit(
        &self,
        request: SubmitEventsRequest,
    ) -> Result<SubmitEventsResponse, Status> {
        self.submit_as("worker-1", request).await
    }

    pub async fn submit_as(
        &self,
        actor: &'static str,
        request: SubmitEventsRequest,
    ) -> Result<SubmitEventsResponse, Status> {
        let mut request = Request::new(request);
        let metadata = request.metadata_mut();
        metadata.insert("casetrail-actor", actor.parse().unwrap());
        metadata.insert("casetrail-organisation", "org-1".parse().unwrap());
        let answer = self.client.cases().submit_events(request).await;
        answer.map(tonic::Response::into_inner)
    }

    /// Opens a case by an event with these values; its case_id.
    pub async fn case_with(&self, values: Vec<PersonalValue>) -> String {
        let request = with_values(values);
        let case_id = request.changes[0].case_id.clone();
        self.submit(request).await.unwrap();
        case_id
    }

    pub async fn ask(&self, request: GetPersonalRequest) -> Result<GetPersonalResponse, Status> {
        let mut request = Request::new(request);
        let metadata = request.metadata_mut();
        metadata.insert("casetrail-actor", "reader-7".parse().unwrap());
        metadata.insert("casetrail-organisation", "org-1".parse().unwrap());
        let answer = self.client.personal().get_personal(request).await;
        answer.map(tonic::Response::into_inner)
    }

    /// All that is opened of a case.
    pub async fn opened(&self, case_id: &str) -> GetPersonalResponse {
        self.ask(asking(&[case_id])).await.unwrap()
    }

    /// The texts that are opened of a case.
    pub async fn texts(&self, case_id: &str) -> Vec<String> {
        let answer = self.opened(case_id).await;
        let values = answer
            .entries
            .iter()
            .map(|entry| text_of(entry.value.as_ref().unwrap()));
        values.collect()
    }

    /// Every record with its encoding.
    pub async fn records(&self) -> Vec<Record> {
        let request = ReplayEventsRequest::default();
        let mut answers = self
            .client
            .audit()
            .replay_events(request)
            .await
            .unwrap()
            .into_inner();
        let mut records = Vec::new();
        while let Some(answer) = answers.message().await.unwrap() {
            if let Some(Item::Block(block)) = answer.item {
                let block = block.verified().unwrap();
                records.extend(
                    block
                        .records()
                        .map(|(_, bytes)| Record::decode(bytes).unwrap()),
                );
            }
        }
        records
    }
}

/// A variable of the server's environment that holds a master key, and that key.
pub const MASTER_KEY_VARIABLE: &str = "MASTER_KEY_OF_A_TEST";
pub const MASTER_KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";

fn start(folder: &TempDir, data: &std::path::Path, options: &[String]) -> Result<Server, Ended> {
    let mut command = serve(&[], data, "127.0.0.1:0");
    command.env("CASETRAIL_LOG", "casetrail=trace,info");
    command.args(["--cache-mib", "8"]);
    command.env(MASTER_KEY_VARIABLE, MASTER_KEY);
    if !options.iter().any(|option| option == "--without-keys") {
        command.arg("--keys").arg(folder.path().join("keys"));
    }
    command.args(options);
    Server::try_start(command)
}

/// A text about a subject.
pub fn text(subject: &str, class: Class, text: &str) -> PersonalValue {
    PersonalValue {
        subject_id: subject.to_owned(),
        personal_class: class.into(),
        field: "note".to_owned(),
        value: Some(Value::Text(text.to_owned())),
    }
}

/// A name of one part.
pub fn name(subject: &str, part: &str) -> PersonalValue {
    let part = PersonNamePart {
        text: part.to_owned(),
        ..PersonNamePart::default()
    };
    PersonalValue {
        subject_id: subject.to_owned(),
        personal_class: Class::Identity.into(),
        field: "name".to_owned(),
        value: Some(Value::Name(PersonName { parts: vec![part] })),
    }
}

pub fn text_of(value: &PersonalValue) -> String {
    match &value.value {
        Some(Value::Text(text)) => text.clone(),
        other => panic!("{other:?}"),
    }
}

pub fn subject() -> String {
    fresh_uuid().to_string()
}

/// A submission that opens a case by an event with these values.
pub fn with_values(values: Vec<PersonalValue>) -> SubmitEventsRequest {
    let mut event = valid_event(E::DetentionAcknowledged);
    event.personal = values;
    one(&fresh_uuid().to_string(), event)
}

/// A submission of one event to a case.
pub fn one(case_id: &str, event: v1::Event) -> SubmitEventsRequest {
    SubmitEventsRequest {
        request_id: fresh_uuid().to_string(),
        changes: vec![CaseChange {
            case_id: case_id.to_owned(),
            expected: None,
            events: vec![event],
        }],
    }
}

pub fn asking(case_ids: &[&str]) -> GetPersonalRequest {
    GetPersonalRequest {
        case_ids: case_ids.iter().map(|it| (*it).to_owned()).collect(),
        purpose: DisclosurePurpose::CaseWork.into(),
        purpose_reference: "visit-88".to_owned(),
        ..GetPersonalRequest::default()
    }
}
