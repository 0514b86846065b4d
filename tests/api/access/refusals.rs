//! What the log is told of refusals: who, which method, and why.

use std::io;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use casetrail::wire::v1::{EventType as E, Role};
use serde_json::Value;
use tonic::Request;

use super::world::{Caller, World};
use crate::practice::words::{Telling, an};
use crate::support::fresh_uuid;
use crate::together::{change, submission};

/// What was told in this process, as the server writes it.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<u8>>>);

impl io::Write for Told {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Listens from the first time on that it is asked for.
fn told() -> &'static Told {
    static TOLD: LazyLock<Told> = LazyLock::new(|| {
        let told = Told::default();
        let writer = told.clone();
        tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_max_level(tracing::Level::WARN)
            .with_writer(move || writer.clone())
            .init();
        told
    });
    &TOLD
}

impl Told {
    /// The refusals so far.
    fn refusals(&self) -> Vec<Value> {
        let bytes = self.0.lock().unwrap().clone();
        let lines = String::from_utf8(bytes).unwrap();
        let lines = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        lines
            .filter(|line: &Value| line["target"] == "casetrail::refused")
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_refusal_is_told_with_who_what_and_why() {
    let told = told();
    let world = World::start().await;
    let worker = world.caller("audited-1", Role::CaseWorker, "org-1").await;
    let stranger = world.caller("audited-2", Role::CaseWorker, "org-2").await;
    let supervisor = world.caller("audited-3", Role::Supervisor, "org-1").await;
    let monitor = world.caller("audited-4", Role::Monitor, "org-1").await;
    let case = fresh_uuid().to_string();
    let opening = || submission(vec![change(&case, vec![an(E::DetentionAcknowledged)])]);
    worker.submit(opening()).await.unwrap();
    let adding = |event| submission(vec![change(&case, vec![an(event).on("2024-03-02")])]);

    let mut as_another = Request::new(opening());
    let name = "somebody-else".parse().unwrap();
    as_another.metadata_mut().insert("casetrail-actor", name);
    worker.cases().submit_events(as_another).await.unwrap_err();
    worker.submit(adding(E::CaseClosed)).await.unwrap_err();
    stranger.get(&case).await.unwrap_err();
    stranger
        .submit(adding(E::VisitedAndRegistered))
        .await
        .unwrap_err();
    supervisor.submit(adding(E::CaseClosed)).await.unwrap_err();
    monitor.get(&case).await.unwrap_err();
    let nobody = Caller::new(world.channel().await, None);
    nobody.is_known().await.unwrap_err();
    // A case that is not there is nobody's secret.
    stranger.get(&fresh_uuid().to_string()).await.unwrap_err();

    let expected = [
        ("audited-1", "SubmitEvents", "RECORDER_DIFFERS"),
        ("audited-1", "SubmitEvents", "EVENT_NOT_PERMITTED"),
        ("audited-2", "GetCase", "CASE_OUT_OF_SIGHT"),
        ("audited-2", "SubmitEvents", "CASE_OUT_OF_SIGHT"),
        ("audited-3", "SubmitEvents", "TWO_PERSONS_REQUIRED"),
        ("audited-4", "GetCase", "NOT_PERMITTED"),
    ];
    let of_accounts = told.refusals();
    let of_accounts: Vec<_> = of_accounts
        .iter()
        .filter_map(|line| {
            let account = line["account"].as_str()?;
            let said = |name: &str| line[name].as_str().unwrap_or_default();
            let row = (account, said("method"), said("cause"));
            account.starts_with("audited-").then_some(row)
        })
        .collect();
    assert_eq!(of_accounts, expected);
    // Others of the same address may have been summed up with this one.
    let of_nobody = |line: &Value| {
        line["address"] == "127.0.0.1"
            && line["cause"] == "no credentials"
            && line["times"].is_u64()
    };
    let told_of_nobody = async {
        while !told.refusals().iter().any(of_nobody) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(crate::support::http2::PATIENCE, told_of_nobody).await;
    waited.expect("it is told");
    world.end().await;
}
