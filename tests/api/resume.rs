//! A watcher that is cut off again and again, under load and at random, and resumes from
//! `next_position`, is told exactly what one is told that never was cut off.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use casetrail::cli::sample::Sample;
use casetrail::wire::v1::{
    CaseFilter, CaseKind, CaseStatus, Standing, StatusChange, SubmitStreamRequest,
    WatchStatusRequest, submit_stream_response::Outcome, watch_status_request::Start,
    watch_status_response::Item,
};
use futures_util::stream;
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};

use crate::harness::{Client, Random, Server};
use crate::{proxy, truth};

const CUTS: u64 = 50;
/// How many of them are in the middle of a snapshot, of a watcher who asks for one.
const SNAPSHOT_CUTS: u64 = 10;

/// Reads a watch until the head is final and reached, though it is cut off on the way.
struct CutWatcher {
    address: SocketAddr,
    filter: CaseFilter,
    snapshot: bool,
    random: Random,
    cuts_left: u64,
    /// Dropped once no cut is left: the load goes on as long as anybody has one.
    under_load: Option<mpsc::Sender<()>>,
    /// The final head, once there is one.
    end: watch::Receiver<Option<u64>>,
}

/// What a watcher was told.
#[derive(Default)]
struct Told {
    changes: Vec<StatusChange>,
    /// How many snapshots were cut off in their middle.
    snapshots_cut: u64,
    /// How the cases stood at the snapshot, where there was one.
    snapshot: BTreeMap<String, Standing>,
    cuts: u64,
    cuts_by_error: u64,
    answers: u64,
}

impl CutWatcher {
    async fn run(mut self) -> Told {
        let mut told = Told::default();
        let mut resume_from = None;
        loop {
            // The first snapshots are cut off in their middle, then one is let through.
            let snapshot_is_due = self.snapshot && resume_from.is_none();
            let cut_by_proxy = match () {
                () if self.cuts_left == 0 => false,
                () if snapshot_is_due => told.cuts % 2 == 1 && told.cuts < SNAPSHOT_CUTS,
                () => self.random.below(2) == 0,
            };
            let answers_max = match () {
                () if self.cuts_left == 0 || cut_by_proxy => u64::MAX,
                () if snapshot_is_due && told.cuts < SNAPSHOT_CUTS => 1 + self.random.below(5),
                () if snapshot_is_due => u64::MAX,
                () => self.below_one_of([20, 300]),
            };
            let address = match cut_by_proxy {
                true => {
                    let most = if snapshot_is_due { 800 } else { 60_000 };
                    let bytes = self.below_one_of([800, most]) as usize;
                    proxy::that_cuts_after(bytes, self.address).await
                }
                false => self.address,
            };
            let is_complete = self
                .watch(address, &mut resume_from, answers_max, &mut told)
                .await;
            match is_complete {
                Ok(true) => return told,
                Ok(false) => {}
                Err(()) => {
                    assert!(cut_by_proxy, "only the proxy breaks a connection");
                    told.cuts_by_error += 1;
                }
            }
            told.cuts += 1;
            self.cuts_left = self.cuts_left.saturating_sub(1);
            // Where a snapshot was not complete, a new one is asked for.
            if resume_from.is_none() {
                told.snapshots_cut += u64::from(!told.snapshot.is_empty());
                told.snapshot.clear();
            }
            if self.cuts_left == 0 {
                self.under_load = None;
            }
        }
    }

    /// So that some cuts come soon, in the middle of a snapshot, and others later.
    fn below_one_of(&mut self, limits: [u64; 2]) -> u64 {
        let limit = limits[self.random.below(2) as usize];
        self.random.below(limit)
    }

    /// Watches until so many answers have come, or all have (true), or the connection breaks.
    async fn watch(
        &mut self,
        address: SocketAddr,
        resume_from: &mut Option<u64>,
        answers_max: u64,
        told: &mut Told,
    ) -> Result<bool, ()> {
        let client = Client::connect(address).await.map_err(|_| ())?;
        let start = match *resume_from {
            Some(position) => Start::FromPosition(position),
            None if self.snapshot => Start::Snapshot(true),
            None => Start::FromPosition(0),
        };
        let request = WatchStatusRequest {
            start: Some(start),
            filter: Some(self.filter.clone()),
            ..Default::default()
        };
        let answers = client.monitor().watch_status(request).await;
        let mut answers = answers.map_err(|_| ())?.into_inner();
        let mut in_snapshot = matches!(start, Start::Snapshot(_));
        for _ in 0..answers_max {
            let at = resume_from.unwrap_or_default();
            if !in_snapshot && self.cuts_left == 0 && *self.end.borrow() == Some(at) {
                return Ok(true);
            }
            let answer = tokio::select! {
                answer = answers.message() => answer.map_err(|_| ())?.ok_or(())?,
                // The final head may become known after the last answer came.
                _ = self.end.changed() => continue,
            };
            told.answers += 1;
            match answer.item.unwrap() {
                Item::CaseSnapshot(case) => {
                    assert!(in_snapshot);
                    let before = told.snapshot.insert(case.case_id, case.standing.unwrap());
                    assert_eq!(before, None, "a snapshot tells each case once");
                }
                Item::SnapshotEnd(end) => {
                    assert!(in_snapshot);
                    assert_eq!(end.cases, told.snapshot.len() as u64);
                    in_snapshot = false;
                    if self.cuts_left > 0 {
                        *resume_from = Some(answer.next_position);
                        return Ok(false);
                    }
                }
                Item::StatusChange(change) => {
                    assert_eq!(answer.next_position, change.position + 1);
                    told.changes.push(change);
                }
                Item::CaughtUp(_) | Item::FellBehind(_) | Item::Progress(_) => {}
            }
            if in_snapshot {
                assert_eq!(answer.next_position, 0, "nobody resumes past a case");
            } else {
                assert!(answer.next_position >= at, "positions never go back");
                *resume_from = Some(answer.next_position);
            }
        }
        Ok(false)
    }
}

/// Submits a sample without end, one half of the clients in a stream and one by one the others,
/// until it is told to stop.
async fn submit_until(stop: watch::Receiver<bool>, client: Client, seed: u64, streaming: bool) {
    let mut sample = Sample::new(1_000_000, seed);
    if streaming {
        while !*stop.borrow() {
            let batch: Vec<_> = sample.by_ref().take(200).collect();
            let requests = batch.into_iter().map(|submission| SubmitStreamRequest {
                submission: Some(submission),
            });
            let requests = stream::iter(requests.collect::<Vec<_>>());
            let answers = client.cases().submit_stream(requests).await;
            let mut answers = answers.unwrap().into_inner();
            while let Some(answer) = answers.message().await.unwrap() {
                assert!(
                    matches!(answer.outcome, Some(Outcome::Recorded(_))),
                    "{answer:?}"
                );
            }
        }
    } else {
        while !*stop.borrow() {
            client.submit(sample.next().unwrap()).await;
        }
    }
}

/// The cases as a watcher has them who took the snapshot and each change after it.
fn state_of(told: &Told, filter: &CaseFilter) -> BTreeMap<String, Standing> {
    let mut state = told.snapshot.clone();
    for change in &told.changes {
        let standing = change.standing.clone().unwrap();
        if truth::matches(filter, &change.case_id, &standing) {
            state.insert(change.case_id.clone(), standing);
        } else {
            state.remove(&change.case_id);
        }
    }
    state
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watcher_cut_off_fifty_times_under_load_is_told_what_one_is_told_that_never_was() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path()).await;
    // So many cases that no snapshot has come before it is cut off.
    server.client.record_as("relief", Sample::new(400, 9)).await;
    let everything = CaseFilter::default();
    let some = CaseFilter {
        kinds: vec![CaseKind::Detention.into(), CaseKind::Return.into()],
        statuses: vec![
            CaseStatus::DetentionRegistered.into(),
            CaseStatus::DetentionReleasePending.into(),
            CaseStatus::ReturnIntending.into(),
        ],
        ..Default::default()
    };
    let (final_head, end) = watch::channel(None);
    let (stop, stopped) = watch::channel(false);

    // Which filter, whether it begins with a snapshot, and how often it is cut off.
    let kinds = [
        (&everything, false, 0),
        (&everything, false, CUTS),
        (&some, false, CUTS),
        (&everything, true, CUTS),
        (&some, true, CUTS),
    ];
    let (under_load, mut cuts_to_come) = mpsc::channel(1);
    let watchers: Vec<_> = (1..)
        .zip(kinds)
        .map(|(seed, (filter, snapshot, cuts_left))| {
            let watcher = CutWatcher {
                address: server.address,
                filter: filter.clone(),
                snapshot,
                random: Random(seed),
                cuts_left,
                under_load: (cuts_left > 0).then(|| under_load.clone()),
                end: end.clone(),
            };
            tokio::spawn(watcher.run())
        })
        .collect();
    let mut submitters = Vec::new();
    for seed in 1..=4 {
        let client = Client::connect(server.address).await.unwrap();
        let submitting = submit_until(stopped.clone(), client, seed, seed <= 2);
        submitters.push(tokio::spawn(submitting));
    }

    drop(under_load);
    assert!(cuts_to_come.recv().await.is_none());
    stop.send(true).unwrap();
    for submitter in submitters {
        submitter.await.unwrap();
    }
    let head = server.client.status().await.head;
    final_head.send(Some(head)).unwrap();
    let mut told = Vec::new();
    for watcher in watchers {
        told.push(watcher.await.unwrap());
    }

    let truth = truth::changes(&truth::records(&server.client).await);
    let [uncut, cut, filtered, snapshot, filtered_snapshot] = told.as_slice() else {
        unreachable!()
    };
    for (told, (.., cuts)) in told.iter().zip(kinds) {
        assert_eq!(told.cuts, cuts);
        assert!(
            cuts == 0 || told.cuts_by_error > 0,
            "some were cut by the proxy"
        );
    }
    assert!(truth.len() > 1_000, "a load worth the name");
    assert_eq!(uncut.changes, truth);
    assert_eq!(cut.changes, uncut.changes);
    let expected = truth::matching(&truth, &some);
    assert!(!expected.is_empty() && expected.len() < truth.len() / 2);
    assert_eq!(filtered.changes, expected);

    for (told, filter) in [(snapshot, &everything), (filtered_snapshot, &some)] {
        let listed: BTreeMap<_, _> = server
            .client
            .list(Some(filter.clone()))
            .await
            .into_iter()
            .map(|case| (case.case_id, case.standing.unwrap()))
            .collect();
        assert_eq!(state_of(told, filter), listed);
        // Those of the cuts that came by the number of answers, at least.
        assert!(told.snapshots_cut >= 3 && told.snapshot.len() > 8);
        let first = told.changes.first().map(|change| change.position);
        let expected = truth::matching(&truth, filter);
        let since = expected.partition_point(|change| Some(change.position) < first);
        assert_eq!(told.changes, expected[since..]);
    }
    println!(
        "{head} events, {} changes; answers and cuts: {:?}",
        truth.len(),
        told.iter()
            .map(|told| (
                told.answers,
                told.cuts,
                told.cuts_by_error,
                told.snapshots_cut
            ))
            .collect::<Vec<_>>()
    );
    server.end().await;
}
