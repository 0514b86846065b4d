//! Keys beside the log: what a start tells the key store, how far the store repeats the log, and what
//! is recorded of disclosures.
//!
//! Which key is whose stands in the records, which a power cut can't take while it leaves their values:
//! they are one commit. The store repeats it up to its mark. A start reads the records behind the mark,
//! so that whatever the store was not told before a crash is told now; also that a subject's data was
//! erased.

use std::path::PathBuf;

use prost::Message;
use uuid::Uuid;

use super::disclosures::Disclosures;
use super::erasure::{self, ErasurePolicy};
use super::error::OpenError;
use super::recovery;
use crate::log::Log;
use crate::seal::{KeyStore, Keyring, Mark};
use crate::wire::outline::KeysOutline;
use crate::wire::v1::{EventType, Record};

/// How many bytes of blocks are read at a time.
const READ_BYTES: usize = 4 * 1024 * 1024;

/// What a ledger needs to take personal values and to disclose them.
pub struct Persons {
    /// The keys of the log's subjects.
    pub store: KeyStore,
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
            mut store,
            disclosures,
            accept_missing_keys,
            accept_missing_disclosures,
            erasure: _,
        } = self;
        let missing = catch_up(log, &mut store)?;
        if let Some(position) = missing.first
            && !accept_missing_keys
        {
            return Err(OpenError::MissingKeys {
                values: missing.values,
                position,
            });
        }
        if missing.values > 0 {
            let values = missing.values;
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

/// Values that were sealed under keys which the store never had.
#[derive(Default)]
struct Missing {
    values: u64,
    /// Position of the first.
    first: Option<u64>,
}

fn catch_up(log: &dyn Log, store: &mut KeyStore) -> Result<Missing, OpenError> {
    let known = store.mark();
    let head = log.head();
    // A log that is shorter, or another one, was restored from a backup: all of it is read.
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
                    if !store.note_sealed(subject, sealed.key_id)? {
                        missing.values += sealed.values.len() as u64;
                        missing.first.get_or_insert(at);
                    }
                }
                if outline.event_type == EventType::ErasureExecuted {
                    let record = Record::decode(bytes);
                    let record = record.map_err(|_| OpenError::Decode { position: at })?;
                    if let Some(erased) = record.event.as_ref().and_then(erasure::subject_of) {
                        store.note_erased(erased)?;
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
