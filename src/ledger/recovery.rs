//! What a start does: takes the views from the newest snapshot and folds the records after it.

use std::sync::mpsc::{self, SyncSender};
use std::time::Instant;

use prost::Message;
use sha2::{Digest, Sha256};

use super::error::OpenError;
use crate::log::{Log, ReadError};
use crate::view::{SnapshotFile, Views};
use crate::wire::block::RecordBlock;
use crate::wire::outline::RecordOutline;
use crate::wire::v1::Record;

/// How many bytes of blocks are read at a time.
const READ_BYTES: usize = 4 * 1024 * 1024;

/// What was read at a time.
type Portion = Result<Vec<RecordBlock>, ReadError>;

/// The views as they are at the head of the log.
pub(super) struct Recovered {
    pub(super) views: Views,
    /// Position of the snapshot that was used; 0 where there was none.
    pub(super) snapshot_position: u64,
}

pub(super) fn recover(
    log: &dyn Log,
    snapshot: Option<&SnapshotFile>,
) -> Result<Recovered, OpenError> {
    let began = Instant::now();
    let mut views = match snapshot {
        Some(file) => from_snapshot(log, file)?,
        None => Views::with_room_for(log.head()),
    };
    let snapshot_position = views.position();
    fold_up_to(log, &mut views, log.head())?;
    check_end(log)?;
    tracing::info!(
        records = views.position(),
        cases = views.cases().len(),
        from_snapshot = snapshot_position,
        milliseconds = began.elapsed().as_millis(),
        "the views are folded"
    );
    if views.unknown_records() > 0 {
        tracing::warn!(
            records = views.unknown_records(),
            "records of a newer version are kept and passed on, but not understood"
        );
    }
    Ok(Recovered {
        views,
        snapshot_position,
    })
}

/// Folds the records of the log into the views up to a position, reading ahead meanwhile.
pub(super) fn fold_up_to(log: &dyn Log, views: &mut Views, until: u64) -> Result<(), OpenError> {
    let from = views.position();
    if from >= until {
        return Ok(());
    }
    std::thread::scope(|scope| {
        let (sender, portions) = mpsc::sync_channel(1);
        std::thread::Builder::new()
            .name("reader".to_owned())
            .spawn_scoped(scope, move || read_up_to(log, from, until, &sender))
            .map_err(OpenError::Thread)?;
        for blocks in portions {
            let blocks = blocks?;
            views.fold_many(|folding| {
                let records = blocks.iter().flat_map(RecordBlock::records);
                for (position, bytes) in records {
                    if (from..until).contains(&position) {
                        let record = RecordOutline::read(&bytes)
                            .map_err(|_| OpenError::Decode { position })?;
                        folding.fold(position, &record)?;
                    }
                }
                Ok::<_, OpenError>(())
            })?;
        }
        Ok(())
    })
}

/// Reads portions of blocks until the one that reaches `until`, or until nobody takes them.
fn read_up_to(log: &dyn Log, from: u64, until: u64, portions: &SyncSender<Portion>) {
    let mut position = from;
    while position < until {
        let portion = log.read(position, READ_BYTES).and_then(|blocks| {
            position = blocks
                .last()
                .map(RecordBlock::end_position)
                .ok_or_else(|| {
                    let cause = "there is no block".to_owned();
                    ReadError::Corrupt { position, cause }
                })?;
            Ok(blocks)
        });
        let failed = portion.is_err();
        if portions.send(portion).is_err() || failed {
            return;
        }
    }
}

/// SHA-256 of the record before a position; zeros at position 0.
pub(super) fn anchor(log: &dyn Log, position: u64) -> Result<[u8; 32], OpenError> {
    match last_record_before(log, position)? {
        Some(bytes) => Ok(Sha256::digest(&bytes).into()),
        None => Ok([0; 32]),
    }
}

fn from_snapshot(log: &dyn Log, file: &SnapshotFile) -> Result<Views, OpenError> {
    let restored = match file.read() {
        Ok(Some(restored)) => restored,
        Ok(None) => return Ok(Views::with_room_for(log.head())),
        Err(error) => {
            tracing::warn!(%error, "the snapshot of the views is not used; all is folded anew");
            return Ok(Views::with_room_for(log.head()));
        }
    };
    let position = restored.views.position();
    if restored.reached > log.head() {
        return Err(OpenError::ShorterThanSnapshot {
            head: log.head(),
            snapshot: restored.reached,
        });
    }
    if anchor(log, position)? != restored.anchor {
        return Err(OpenError::OtherLog { position });
    }
    Ok(restored.views)
}

/// A commit is whole or not there, so that the newest record is the last of its submission.
fn check_end(log: &dyn Log) -> Result<(), OpenError> {
    let head = log.head();
    let Some(bytes) = last_record_before(log, head)? else {
        return Ok(());
    };
    let position = head.saturating_sub(1);
    let record = Record::decode(bytes).map_err(|_| OpenError::Decode { position })?;
    let missing = record
        .submission_size
        .saturating_sub(record.submission_index.saturating_add(1));
    if missing > 0 {
        return Err(OpenError::TornSubmission { head, missing });
    }
    Ok(())
}

fn last_record_before(log: &dyn Log, position: u64) -> Result<Option<bytes::Bytes>, OpenError> {
    let Some(last) = position.checked_sub(1) else {
        return Ok(None);
    };
    let blocks = log.read(last, 1)?;
    Ok(blocks
        .iter()
        .flat_map(|block| block.records())
        .find(|(at, _)| *at == last)
        .map(|(_, b)| b))
}
