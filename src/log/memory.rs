//! The log in memory: the reference that the contract is written against, and a log that fails on
//! demand. It keeps nothing; [`MemoryLog::reopen`] is its restart.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::watch;

use super::error::{AppendError, OpenError, ReadError};
use super::{Log, check_append, take_blocks};
use crate::wire::block::RecordBlock;

/// How the next append fails. It does so once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is reported as failed, and a restart doesn't find it.
    Lost,
    /// It is reported as failed, and a restart finds it.
    DoneButReportedLost,
    /// The disk is full.
    Full,
}

/// A log in memory.
pub struct MemoryLog {
    state: Mutex<State>,
    head: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    /// By first position the block's bytes, as a database would have them, and as they may be
    /// damaged.
    stored: BTreeMap<u64, Bytes>,
    fault: Option<Fault>,
    ended: Option<String>,
}

impl MemoryLog {
    /// An empty log.
    pub fn new() -> Self {
        Self::of(BTreeMap::new(), 0)
    }

    /// What a restart would see.
    pub fn reopen(&self) -> Self {
        let stored = self.state().stored.clone();
        let last = stored.last_key_value();
        let head = last.and_then(|(_, value)| RecordBlock::parse(value.clone()).ok());
        Self::of(stored, head.map_or(0, |block| block.end_position()))
    }

    /// Makes the next append fail.
    pub fn inject(&self, fault: Fault) {
        self.state().fault = Some(fault);
    }

    /// Damages the block that begins at this position, if there is one.
    pub fn damage(&self, first_position: u64) {
        if let Some(value) = self.state().stored.get_mut(&first_position) {
            *value = value.iter().rev().copied().collect();
        }
    }

    fn of(stored: BTreeMap<u64, Bytes>, head: u64) -> Self {
        let state = Mutex::new(State {
            stored,
            ..State::default()
        });
        Self {
            state,
            head: watch::Sender::new(head),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryLog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("MemoryLog")
            .field("head", &self.head())
            .field("ended", &self.ended())
            .finish_non_exhaustive()
    }
}

impl Default for MemoryLog {
    fn default() -> Self {
        Self::new()
    }
}

impl Log for MemoryLog {
    fn append(&self, expected_head: u64, blocks: &[RecordBlock]) -> Result<u64, AppendError> {
        let mut state = self.state();
        if let Some(cause) = state.ended.clone() {
            return Err(AppendError::Ended { cause });
        }
        let (new_head, bytes) = check_append(self.head(), expected_head, blocks)?;
        let fault = state.fault.take();
        if fault == Some(Fault::Full) {
            return Err(AppendError::Full {
                available: 0,
                needed: bytes as u64,
            });
        }
        if fault != Some(Fault::Lost) {
            for block in blocks {
                state
                    .stored
                    .insert(block.first_position(), block.as_bytes().clone());
            }
        }
        if fault.is_some() {
            let cause = "a fault was injected".to_owned();
            state.ended = Some(cause.clone());
            return Err(AppendError::OutcomeUnknown { cause });
        }
        // Told while the state is still held: another append has to meet the new head.
        self.head.send_replace(new_head);
        Ok(new_head)
    }

    fn read(&self, from: u64, bytes_max: usize) -> Result<Vec<RecordBlock>, ReadError> {
        let head = self.head();
        if from >= head {
            return Ok(Vec::new());
        }
        let state = self.state();
        let first = state
            .stored
            .range(..=from)
            .next_back()
            .map_or(from, |(key, _)| *key);
        let stored = state
            .stored
            .range(first..head)
            .map(|(key, value)| Ok((*key, value.clone())));
        take_blocks(stored, from, head, bytes_max)
    }

    fn recent(&self, _from: u64, _bytes_max: usize) -> Option<Vec<RecordBlock>> {
        // So that what is read is always what is stored, also where it was damaged.
        None
    }

    fn head(&self) -> u64 {
        *self.head.borrow()
    }

    fn subscribe(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }

    fn ended(&self) -> Option<String> {
        self.state().ended.clone()
    }

    fn record_mark(&self) -> Result<(), OpenError> {
        Ok(())
    }

    fn close(&self) -> Result<(), OpenError> {
        self.state()
            .ended
            .get_or_insert_with(|| "the log was closed".to_owned());
        Ok(())
    }
}
