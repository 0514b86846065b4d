//! Keys beside the log: what a start tells the key store, how far the store repeats the log, and what
//! is recorded of disclosures.
//!
//! Which key is whose stands in the records, which a power cut can't take while it leaves their values:
//! they are one commit. The store repeats it up to its mark. A start reads the records behind the mark,
//! so that whatever the store was not told before a crash is told now; also that a subject's data was
//! erased.

use std::collections::HashMap;
use std::path::PathBuf;

use prost::Message;
use uuid::Uuid;

use super::batch::Verdict;
use super::disclosures::Disclosures;
use super::erasure::{self, ErasurePolicy};
use super::error::OpenError;
use super::recovery;
use super::writer::Pending;
use crate::log::Log;
use crate::seal::{KeyStore, Keyring, Mark, MasterKeySource};
use crate::wire::outline::KeysOutline;
use crate::wire::v1::{EventType, Record};

/// How many bytes of blocks are read at a time.
const READ_BYTES: usize = 4 * 1024 * 1024;

/// What a ledger needs to take personal values and to disclose them.
pub struct Persons {
    /// The keys of the log's subjects; none where there are none yet, so that they are made.
    pub store: Option<KeyStore>,
    /// The folder in which they are made.
    pub keys: PathBuf,
    /// Under which master key they are made.
    pub master_key: MasterKeySource,
    /// The file in which disclosures are recorded.
    pub disclosures: PathBuf,
    /// Whether the log may hold values whose keys the store never had, which can then not be read.
    pub accept_missing_keys: bool,
    /// Whether disclosures may be lost that the file does not have, or has damaged.
    pub accept_missing_disclosures: bool,
    /// What has to come between a request for an erasure and its execution.
    pub erasure: ErasurePolicy,
}

/// The same, once the ledger is open.
pub(super) struct OpenPersons {
    pub(super) keyring: Keyring,
    pub(super) disclosures: Disclosures,
}

impl Persons {
    /// Tells the store what the log says, and makes it ready.
    pub(super) fn open(self, log: &dyn Log) -> Result<OpenPersons, OpenError> {
        let Self {
            store,
            keys,
            master_key,
            disclosures,
            accept_missing_keys,
            accept_missing_disclosures,
            erasure: _,
        } = self;
        let refuse = |missing: Missing| match missing.total() {
            Some((values, position)) if !accept_missing_keys => {
                Err(OpenError::MissingKeys { values, position })
            }
            missing => Ok(missing),
        };
        let mut store = match store {
            Some(store) => store,
            None => {
                // No store is made beside keys that are elsewhere, and to be put back.
                if !accept_missing_keys {
                    refuse(catch_up(log, None)?)?;
                }
                KeyStore::make(&keys, &master_key)?
            }
        };
        if let Some((values, _)) = refuse(catch_up(log, Some(&mut store))?)? {
            tracing::warn!(
                values,
                "the log holds values that no key of this store opens"
            );
        }
        store.set_mark(mark(log, log.head())?)?;
        tracing::info!(subjects = store.subjects(), "the keys are ready");
        let disclosures = Disclosures::open(&disclosures, accept_missing_disclosures);
        Ok(OpenPersons {
            keyring: Keyring::start(store)?,
            disclosures: disclosures.map_err(OpenError::Disclosures)?,
        })
    }
}

impl OpenPersons {
    /// Tells the keyring which keys the submissions named that are durable now.
    pub(super) fn recorded(&self, pending: &[Pending]) {
        let recorded = pending
            .iter()
            .filter(|waiting| matches!(waiting.verdict, Verdict::Recorded(_)));
        self.keyring
            .recorded(recorded.map(|waiting| &waiting.new_keys));
    }
}

/// Values that were sealed under keys which the store does not have: of each subject how many, and the
/// position of the first.
#[derive(Default)]
struct Missing(HashMap<Uuid, (u64, u64)>);

impl Missing {
    fn add(&mut self, position: u64, subject: Uuid, values: usize) {
        let (count, _) = self.0.entry(subject).or_insert((0, position));
        *count = count.saturating_add(values as u64);
    }

    /// Nobody misses what was erased.
    fn forget(&mut self, erased: Uuid) {
        self.0.remove(&erased);
    }

    /// How many in all, and the position of the first; none where there are none.
    fn total(&self) -> Option<(u64, u64)> {
        let values = self.0.values().map(|(count, _)| count).sum();
        let first = self.0.values().map(|(_, first)| *first).min()?;
        Some((values, first))
    }
}

/// Tells the store what the log says behind its mark; without one all of it is missing.
fn catch_up(log: &dyn Log, mut store: Option<&mut KeyStore>) -> Result<Missing, OpenError> {
    let known = store.as_ref().map(|store| store.mark()).unwrap_or_default();
    let head = log.head();
    // All is read where the store was damaged, and where the log is shorter or another one, as a restored
    // one is.
    let is_ours = known.position <= head && mark(log, known.position)? == known;
    let mut position = if is_ours { known.position } else { 0 };
    let mut missing = Missing::default();
    while position < head {
        for block in log.read(position, READ_BYTES)? {
            for (at, bytes) in block.records().filter(|(at, _)| *at >= position) {
                let outline = KeysOutline::read(&bytes);
                let outline = outline.map_err(|_| OpenError::Decode { position: at })?;
                for sealed in &outline.sealed {
                    let subject = subject(at, &sealed.subject_id)?;
                    let is_here = match &mut store {
                        Some(store) => store.note_sealed(subject, sealed.key_id)?,
                        None => false,
                    };
                    if !is_here {
                        missing.add(at, subject, sealed.values.len());
                    }
                }
                if outline.event_type == EventType::ErasureExecuted {
                    let record = Record::decode(bytes);
                    let record = record.map_err(|_| OpenError::Decode { position: at })?;
                    if let Some(erased) = record.event.as_ref().and_then(erasure::subject_of) {
                        if let Some(store) = &mut store {
                            store.note_erased(erased)?;
                        }
                        missing.forget(erased);
                    }
                }
            }
            position = block.end_position();
        }
    }
    Ok(missing)
}

/// The mark at a position of the log.
pub(super) fn mark(log: &dyn Log, position: u64) -> Result<Mark, OpenError> {
    Ok(Mark {
        position,
        anchor: recovery::anchor(log, position)?,
    })
}

fn subject(position: u64, text: &str) -> Result<Uuid, OpenError> {
    Uuid::try_parse(text).map_err(|_| OpenError::Decode { position })
}
