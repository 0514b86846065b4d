//! Logs and backups to play with, made by a real ledger over the log in memory.

use std::process::Output;
use std::sync::{Arc, OnceLock};

use casetrail::cli::sample::Sample;
use casetrail::ledger::{Answer, Ledger, Recorder};
use casetrail::log::backup::{BackupError, BackupReader, BackupWriter, Header, Item};
use casetrail::log::{Log, MemoryLog};
use casetrail::view::Views;
use casetrail::wire::block::{BlockBuilder, RecordBlock};
use casetrail::wire::v1::Record;
use casetrail::wire::validate;
use prost::Message;

use crate::support::server::casetrail;

/// The version of the software under test.
pub const SOFTWARE: &str = env!("CARGO_PKG_VERSION");

/// The blocks of a log of a sample of 60 cases, which has every event of the three main kinds.
pub fn sample_blocks() -> &'static [RecordBlock] {
    static BLOCKS: OnceLock<Vec<RecordBlock>> = OnceLock::new();
    BLOCKS.get_or_init(|| {
        let blocks = recorded(60, 1);
        assert!(blocks.len() > 30);
        blocks
    })
}

/// The blocks of a small log.
pub fn small_blocks() -> Vec<RecordBlock> {
    sample_blocks()[..4].to_vec()
}

/// What a ledger records of a sample.
fn recorded(cases: u64, seed: u64) -> Vec<RecordBlock> {
    let log = Arc::new(MemoryLog::new());
    let ledger = Ledger::open(Arc::clone(&log) as Arc<dyn Log>, None).unwrap();
    let recorder = Recorder {
        actor: "worker-1".into(),
        organisation: "org-1".into(),
        authority: casetrail::domain::Authority::over_all_cases(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    // On a thread of its own, since a test may run on a runtime already.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            runtime.block_on(async {
                let channel = ledger.channel(recorder);
                let mut waiting = 0;
                for (index, request) in (0..).zip(Sample::new(cases, seed)) {
                    let submission = validate::submission(request, ledger.today()).unwrap();
                    channel.put(index, submission).await.unwrap();
                    waiting += 1;
                }
                while waiting > 0 {
                    for (_, answer) in channel.answers().await {
                        assert!(matches!(answer, Answer::Told(Ok(_))));
                        waiting -= 1;
                    }
                }
            });
        });
    });
    ledger.shut_down();
    read_log(log.as_ref())
}

/// All blocks of a log.
pub fn read_log(log: &dyn Log) -> Vec<RecordBlock> {
    let mut blocks: Vec<RecordBlock> = Vec::new();
    let mut position = 0;
    while position < log.head() {
        blocks.extend(log.read(position, 1 << 20).unwrap());
        position = blocks.last().unwrap().end_position();
    }
    blocks
}

/// The records of blocks, with their positions.
pub fn records(blocks: &[RecordBlock]) -> Vec<(u64, Record)> {
    let records = blocks.iter().flat_map(RecordBlock::records);
    records
        .map(|(position, bytes)| (position, Record::decode(bytes).unwrap()))
        .collect()
}

/// Blocks of records, from position 0 on.
pub fn blocks_of(records: &[Record]) -> Vec<RecordBlock> {
    let mut builder = BlockBuilder::new();
    for record in records {
        builder.push(record).unwrap();
    }
    builder.finish(0)
}

/// The digest of the views that blocks add up to, as far as they can be folded.
pub fn views_digest(blocks: &[RecordBlock]) -> [u8; 32] {
    let mut views = Views::default();
    for (position, record) in records(blocks) {
        let _ = views.fold(position, &record);
    }
    views.frozen().digest()
}

/// A backup of one run from position 0 on.
pub fn backup_of(blocks: &[RecordBlock]) -> Vec<u8> {
    let mut writer = BackupWriter::begin(Vec::new(), &FROM_THE_BEGINNING).unwrap();
    for block in blocks {
        writer.block(block).unwrap();
    }
    writer.end(views_digest(blocks), SOFTWARE).unwrap()
}

pub const FROM_THE_BEGINNING: Header = Header {
    first_position: 0,
    anchor: [0; 32],
};

/// Reads a backup to its end.
pub fn read_backup(bytes: &[u8]) -> Result<Vec<RecordBlock>, BackupError> {
    let mut reader = BackupReader::open(bytes)?;
    let mut blocks = Vec::new();
    while let Some(item) = reader.next_item()? {
        if let Item::Block { block, .. } = item {
            blocks.push(block);
        }
    }
    Ok(blocks)
}

/// Runs the executable to its end.
pub fn run(arguments: &[&str]) -> Ran {
    let Output {
        status,
        stdout,
        stderr,
    } = casetrail(arguments).output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    Ran {
        code: status.code(),
        stdout: String::from_utf8_lossy(&stdout).into_owned(),
        stderr,
    }
}

/// How the executable ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// It ended well.
    #[track_caller]
    pub fn is_well(&self) -> &Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }

    /// It failed with this code and said these words.
    #[track_caller]
    pub fn fails(&self, code: i32, words: &[&str]) -> &Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        for word in words {
            assert!(self.stderr.contains(word), "{word}: {self:?}");
        }
        self
    }
}
