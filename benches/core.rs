//! What a submission costs on its way, step by step: validation, decision, encoding, the durable
//! commit, the fold. `cargo bench --bench core`; as a test each runs once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub
)]

use std::hint::black_box;
use std::sync::Arc;

use casetrail::access::administration::Administrator;
use casetrail::access::{Access, CallLimits, Presented, PseudonymKey, table};
use casetrail::cli::sample::Sample;
use casetrail::domain::{Arrival, CaseState};
use casetrail::ledger::{Ledger, Recorder};
use casetrail::log::{DataFolder, Log, MemoryLog, SledLog, SledOptions};
use casetrail::view::Views;
use casetrail::wire::block::{BlockBuilder, RecordBlock};
use casetrail::wire::edtf::Day;
use casetrail::wire::moment::Moment;
use casetrail::wire::v1::{self, Record, SubmitEventsRequest, event::Payload};
use casetrail::wire::validate::{self, ValidEvent};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use prost::Message;

/// Number of records that are encoded, folded or committed at once.
const RECORDS: usize = 256;

fn today() -> Day {
    Day::from_calendar(2026, 1, 1).unwrap()
}

/// Submissions of a sample of fictional cases.
fn submissions() -> Vec<SubmitEventsRequest> {
    Sample::new(60, 1).collect()
}

/// The records that a server makes of them.
fn records() -> Vec<Record> {
    let log = Arc::new(MemoryLog::new());
    let ledger = Ledger::open(Arc::clone(&log) as Arc<dyn Log>, None).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    for request in submissions() {
        let submission = validate::submission(request, ledger.today()).unwrap();
        let recorder = Recorder {
            actor: "worker-1".to_owned(),
            organisation: "org-1".to_owned(),
            authority: casetrail::domain::Authority::over_all_cases(),
        };
        runtime
            .block_on(ledger.try_submit(submission, recorder))
            .unwrap();
    }
    ledger.shut_down();
    let mut records = Vec::new();
    while records.len() < RECORDS {
        for block in log.read(records.len() as u64, 1 << 20).unwrap() {
            let decoded = block.records().map(|(_, bytes)| Record::decode(bytes));
            records.extend(decoded.map(Result::unwrap));
        }
    }
    records.truncate(RECORDS);
    records
}

fn blocks(records: &[Record], first_position: u64) -> Vec<RecordBlock> {
    let mut builder = BlockBuilder::new();
    for record in records {
        builder.push(record).unwrap();
    }
    builder.finish(first_position)
}

/// The events of the longest case of the sample that holds no event of another case.
fn story() -> Vec<ValidEvent> {
    let mut stories: Vec<(uuid::Uuid, Vec<ValidEvent>)> = Vec::new();
    for request in submissions() {
        for change in validate::submission(request, today()).unwrap().changes {
            let known = stories.iter_mut().find(|(case, _)| *case == change.case_id);
            match known {
                Some((_, events)) => events.extend(change.events),
                None => stories.push((change.case_id, change.events)),
            }
        }
    }
    let longest = stories.into_iter().max_by_key(|(_, events)| events.len());
    longest.unwrap().1
}

fn validate(criterion: &mut Criterion) {
    let submissions = submissions();
    let events = submissions
        .iter()
        .flat_map(|request| &request.changes)
        .map(|change| change.events.len() as u64)
        .sum();
    let mut group = criterion.benchmark_group("validate");
    group.throughput(Throughput::Elements(events));
    group.bench_function("a sample", |bencher| {
        bencher.iter_batched(
            || submissions.clone(),
            |submissions| {
                for request in submissions {
                    black_box(validate::submission(request, today()).unwrap());
                }
            },
            BatchSize::LargeInput,
        );
    });
}

fn decide(criterion: &mut Criterion) {
    let (case, next) = half_told();
    criterion.bench_function("decide/an event in a case", |bencher| {
        bencher.iter(|| black_box(&case).decide(black_box(&next), today()).unwrap());
    });
}

/// A case in the middle of its story, and the event that comes next.
fn half_told() -> (CaseState, ValidEvent) {
    let story = story();
    let (told, rest) = story.split_at(story.len() / 2);
    let mut case = CaseState::new(uuid::Uuid::from_u128(1));
    for (position, event) in (0..).zip(told) {
        case.fold(position, &record_of(event));
    }
    (case, rest[0].clone())
}

/// A case of so many events of a long detention.
fn long_case(events: u64) -> CaseState {
    let acknowledged = Payload::DetentionAcknowledged(v1::DetentionAcknowledged::default());
    let seen = Payload::ProofOfLifeReceived(v1::ProofOfLifeReceived::default());
    let mut case = CaseState::new(uuid::Uuid::from_u128(1));
    for position in 0..events {
        let payload = if position == 0 { &acknowledged } else { &seen };
        let event = v1::Event {
            event_id: uuid::Uuid::from_u128(u128::from(position) + 2).to_string(),
            occurred: "2024-03".to_owned(),
            credibility: v1::Credibility::Confirmed.into(),
            payload: Some(payload.clone()),
            ..v1::Event::default()
        };
        let record = Record {
            event: Some(event),
            recorded_at: Some(prost_types::Timestamp {
                seconds: 1_767_225_600 + i64::try_from(position).unwrap() * 40_000,
                nanos: 0,
            }),
            ..Record::default()
        };
        case.fold(position * 1_000, &record);
    }
    case
}

/// What the writer does for the retraction of the first event of a case of 50.
fn retract(criterion: &mut Criterion) {
    let case = Arc::new(long_case(50));
    let retraction = v1::Event {
        event_id: uuid::Uuid::from_u128(1_000).to_string(),
        occurred: "2026-01-01".to_owned(),
        source: Some(v1::Source {
            reference: "source-1".to_owned(),
            connection: v1::SourceConnection::OwnStaff.into(),
            reliability: v1::SourceReliability::Unknown.into(),
        }),
        credibility: v1::Credibility::Confirmed.into(),
        payload: Some(Payload::EventRetracted(v1::EventRetracted {
            target_event_id: uuid::Uuid::from_u128(2).to_string(),
            reason: v1::RetractionReason::EnteredByMistake.into(),
        })),
        ..v1::Event::default()
    };
    let request = SubmitEventsRequest {
        request_id: uuid::Uuid::from_u128(2_000).to_string(),
        changes: vec![v1::CaseChange {
            case_id: uuid::Uuid::from_u128(1).to_string(),
            expected: None,
            events: vec![retraction],
        }],
    };
    let submission = validate::submission(request, today()).unwrap();
    let event = &submission.changes[0].events[0];
    criterion.bench_function("retract/the first of 50 events", |bencher| {
        bencher.iter(|| {
            let mut case = Arc::clone(black_box(&case));
            case.decide(event, today()).unwrap();
            Arc::make_mut(&mut case).take(Arrival {
                position: 1_000_000,
                event: event.event(),
                event_id: event.event_id(),
                days: event.days(),
                recorded_at: Moment::at_start_of(today()),
                organisation: "org-1",
            });
            case.standing()
        });
    });
}

/// A case of 50 events as it was known in the middle, and as it was on a day.
fn at_another_time(criterion: &mut Criterion) {
    let case = long_case(50);
    let day = Day::from_calendar(2024, 3, 15).unwrap();
    let mut group = criterion.benchmark_group("a case of 50 events");
    group.bench_function("known at a position", |bencher| {
        bencher.iter(|| black_box(&case).known_at(25_000).unwrap().standing());
    });
    group.bench_function("true at a day", |bencher| {
        bencher.iter(|| black_box(&case).standing_at(day));
    });
}

fn record_of(event: &ValidEvent) -> Record {
    Record {
        event_type: event.event_type().into(),
        event: Some(event.event().clone()),
        recorded_at: Some(prost_types::Timestamp {
            seconds: 1_767_225_600,
            nanos: 0,
        }),
        ..Record::default()
    }
}

fn fold(criterion: &mut Criterion) {
    let records = records();
    let encoded: Vec<Vec<u8>> = records.iter().map(Message::encode_to_vec).collect();
    let mut group = criterion.benchmark_group("fold");
    group.throughput(Throughput::Elements(records.len() as u64));
    group.bench_function("records into views", |bencher| {
        bencher.iter(|| {
            let mut views = Views::default();
            for (position, record) in (0..).zip(&records) {
                views.fold(position, record).unwrap();
            }
            views
        });
    });
    group.bench_function("decoding each", |bencher| {
        bencher.iter(|| {
            let mut views = Views::default();
            for (position, bytes) in (0..).zip(&encoded) {
                let record = Record::decode(bytes.as_slice()).unwrap();
                views.fold(position, &record).unwrap();
            }
            views
        });
    });
}

fn encode(criterion: &mut Criterion) {
    let records = records();
    let mut group = criterion.benchmark_group("encode");
    group.throughput(Throughput::Elements(records.len() as u64));
    group.bench_function("records into blocks", |bencher| {
        bencher.iter(|| blocks(black_box(&records), 0));
    });
}

fn append(criterion: &mut Criterion) {
    let records = records();
    for count in [1, RECORDS] {
        let records = &records[..count];
        let mut group = criterion.benchmark_group(format!("append/{count} records a commit"));
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function("in memory", |bencher| {
            let log = MemoryLog::new();
            commits(bencher, &log, records);
        });
        group.bench_function("sled, synced", |bencher| {
            let folder = tempfile::tempdir().unwrap();
            let data = Arc::new(DataFolder::open(&folder.path().join("data")).unwrap());
            let log = SledLog::open(data, SledOptions::default()).unwrap();
            commits(bencher, &log, records);
            log.close().unwrap();
        });
    }
}

/// Appends the records again and again, each time at the head.
fn commits(bencher: &mut criterion::Bencher<'_>, log: &dyn Log, records: &[Record]) {
    bencher.iter_batched(
        || blocks(records, log.head()),
        |blocks| log.append(log.head(), &blocks).unwrap(),
        BatchSize::PerIteration,
    );
}

/// What a server with accounts does for each call besides: it identifies the caller, looks the method up,
/// takes the call into the account's rate, and judges a case and an event by the caller's authority.
fn authorise(criterion: &mut Criterion) {
    let ledger = Ledger::open(Arc::new(MemoryLog::new()) as Arc<dyn Log>, None).unwrap();
    let limits = CallLimits {
        per_second: 1_000_000,
        burst: u32::MAX,
        ..CallLimits::default()
    };
    let key = PseudonymKey::random().unwrap().0;
    let access = Access::new(&ledger, None, limits, key);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let account = v1::AccountSpecification {
        name: "worker-1".to_owned(),
        role: v1::Role::CaseWorker.into(),
        organisation: "org-1".to_owned(),
    };
    let by = Administrator {
        account: "admin",
        organisation: "server",
    };
    let created = access.create_token(&ledger, by, account, String::new());
    let (token, _) = runtime.block_on(created).unwrap();
    let authorization = format!("Bearer {token}");
    let records = records();
    let mut case = CaseState::new(records[0].case_id.parse().unwrap());
    case.fold(0, &records[0]);
    let event = records[0].event.clone().unwrap();
    criterion.bench_function("authorise/a call by a token", |bencher| {
        bencher.iter(|| {
            let presented = Presented {
                authorization: Some(Some(black_box(authorization.as_bytes()))),
                certificate: None,
            };
            let now = access.now();
            let identity = access.identify(&presented, now).unwrap();
            let row = table::row(black_box("/casetrail.v1.CaseService/SubmitEvents")).unwrap();
            assert!(row.allows(identity.role().unwrap()));
            access.admit(&identity, now).unwrap();
            let authority = identity.authority();
            assert!(authority.may_record(&event) && authority.sight.includes(&case));
        });
    });
}

criterion_group! {
    name = core;
    config = Criterion::default().sample_size(20);
    targets = validate, decide, retract, at_another_time, encode, append, fold, authorise
}
criterion_main!(core);
