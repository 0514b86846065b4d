//! What the keyring and the maker share: whose the keys are, those in stock, and those used last.
//!
//! Of each subject it is known which slot of the store holds the key; the keys themselves are unwrapped
//! when they are used, and only the last ones used are kept in memory. A write that fails is tried again,
//! since it goes to a place that is known; only a sync that fails ends the writing, but for the destruction
//! of keys, until a restart.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use uuid::Uuid;

use super::error::{KeyError, SealError};
use super::key::SubjectKey;
use super::keyring::Unopened;
use super::maker::{BATCH, Spare};
use super::slot::{SLOT_BYTES, Slot, State as SlotState};
use super::store::{Entry, KeyStore, Mark, SLOTS_AT_ONCE, StoreFile};
use super::unrecorded::{NewKey, Unrecorded};

/// How many unwrapped keys each of two generations holds: those that were not used for as long as it
/// took to use as many others are dropped.
const GENERATION_MAX: usize = 16 * 1024;

/// How long the maker waits before it tries again where no keys could be made.
const PAUSE: Duration = Duration::from_secs(1);

/// What the keyring and the maker share.
pub(super) struct Shared {
    pub(super) file: StoreFile,
    /// Which slots of the file were damaged when it was opened, as its header notes it.
    damage: u32,
    state: Mutex<State>,
    /// Told when keys are wanted, or nothing more will be.
    wanted: Condvar,
    /// Told when there are spare keys again, or will be none for now.
    pub(super) filled: Notify,
    /// Held from a write to the end of its sync, since the system tells of a failed sync once, to whoever
    /// syncs first: that must be who wrote. Taken before `state`.
    writing: Mutex<()>,
}

/// A key for a subject.
pub(super) enum Handed {
    /// One that records name already.
    Known(Arc<SubjectKey>),
    New(Arc<NewKey>),
}

struct State {
    /// Subjects of whom there are records.
    index: HashMap<Uuid, Entry>,
    unrecorded: Unrecorded,
    young: HashMap<u32, Arc<SubjectKey>>,
    old: HashMap<u32, Arc<SubjectKey>>,
    spares: Vec<Spare>,
    /// Whether spare keys are to be kept in stock: not before the first one is asked for.
    stocked: bool,
    /// Slots of keys that no record names, nor will. Such a key may have sealed what was never recorded,
    /// and becomes nobody else's: another one takes its place.
    reusable: Vec<u32>,
    /// Number of slots in the file.
    slots: u32,
    /// Subjects whose slots don't tell yet whose the key is.
    unwritten: Vec<Uuid>,
    /// Why nothing more is written, but for the destruction of keys: a sync failed, and what of the file
    /// is on the disk is not known before a start writes again what the log says.
    broken: Option<String>,
    /// Why no keys could be made when that was last tried.
    failing: Option<String>,
    stopping: bool,
}

impl Shared {
    pub(super) fn new(store: KeyStore) -> Self {
        let KeyStore {
            file,
            index,
            spares,
            slots,
            damaged,
            ..
        } = store;
        Self {
            file,
            damage: damaged.fingerprint(),
            state: Mutex::new(State {
                index,
                unrecorded: Unrecorded::default(),
                young: HashMap::new(),
                old: HashMap::new(),
                spares: Vec::new(),
                stocked: false,
                reusable: spares.into_values().collect(),
                slots,
                unwritten: Vec::new(),
                broken: None,
                failing: None,
                stopping: false,
            }),
            wanted: Condvar::new(),
            filled: Notify::new(),
            writing: Mutex::new(()),
        }
    }

    pub(super) fn is_erased(&self, subject: Uuid) -> bool {
        let state = self.lock();
        state.index.get(&subject).is_some_and(|entry| entry.erased)
    }

    /// Why there are no keys for new subjects.
    pub(super) fn unavailable(&self) -> Option<String> {
        self.lock().unavailable()
    }

    /// Lets the maker end.
    pub(super) fn stop(&self) {
        self.lock().stopping = true;
        self.wanted.notify_all();
    }

    /// The key of a subject, or one that becomes its own; none where there is no spare one yet.
    pub(super) fn key_at_hand(&self, subject: Uuid) -> Result<Option<Handed>, SealError> {
        let mut state = self.lock();
        if let Some(entry) = state.index.get(&subject).copied() {
            drop(state);
            let key = self.known_key(subject, entry);
            return key.map(|key| Some(Handed::Known(key))).map_err(|why| {
                let cause = match why {
                    Unopened::Erased => return SealError::Erased { subject },
                    Unopened::Unavailable { cause } => cause,
                    Unopened::KeyNotHere | Unopened::Damaged => {
                        format!("the key of subject {subject} is damaged in it")
                    }
                };
                SealError::Unavailable { cause }
            });
        }
        if let Some(new) = state.unrecorded.get(subject) {
            return Ok(Some(Handed::New(new)));
        }
        if let Some(cause) = state.unavailable() {
            return Err(SealError::Unavailable { cause });
        }
        if state.stopping {
            let cause = "the server is shutting down".to_owned();
            return Err(SealError::Unavailable { cause });
        }
        let spare = state.spares.pop();
        state.stocked = true;
        if state.wants() {
            self.wanted.notify_one();
        }
        let Some(Spare { slot, key_id, key }) = spare else {
            return Ok(None);
        };
        let key = Arc::new(SubjectKey::new(key_id, key));
        let new = Arc::new(NewKey::new(slot, key));
        let forgotten = state.unrecorded.insert(subject, Arc::clone(&new));
        let nobodys = forgotten.iter().filter(|key| key.is_nobodys());
        state.reusable.extend(nobodys.map(|key| key.slot));
        // Overwriting the keys that were dropped takes its time.
        drop(state);
        drop(forgotten);
        Ok(Some(Handed::New(new)))
    }

    /// Takes in that durable records name these keys.
    pub(super) fn recorded<'a>(&self, keys: impl Iterator<Item = &'a (Uuid, Arc<NewKey>)>) {
        let mut keys = keys.peekable();
        if keys.peek().is_none() {
            return;
        }
        let mut evicted = Vec::new();
        let mut state = self.lock();
        for (subject, new) in keys {
            // One that is known was recorded by another submission meanwhile, or even erased.
            if state.unrecorded.remove(*subject).is_none() {
                continue;
            }
            let entry = Entry {
                slot: new.slot,
                key_id: new.key.id(),
                erased: false,
            };
            state.index.insert(*subject, entry);
            state.unwritten.push(*subject);
            evicted.extend(state.keep(new.slot, &new.key));
        }
        drop(state);
        drop(evicted);
    }

    /// The key by which a value of a subject is opened.
    pub(super) fn key_to_open(
        &self,
        subject: Uuid,
        key_id: u64,
    ) -> Result<Arc<SubjectKey>, Unopened> {
        let entry = self.lock().index.get(&subject).copied();
        let entry = entry.ok_or(Unopened::KeyNotHere)?;
        if entry.erased {
            return Err(Unopened::Erased);
        }
        if entry.key_id != key_id {
            return Err(Unopened::KeyNotHere);
        }
        self.known_key(subject, entry)
    }

    /// The key of a subject who has one.
    pub(super) fn known_key(
        &self,
        subject: Uuid,
        entry: Entry,
    ) -> Result<Arc<SubjectKey>, Unopened> {
        if entry.erased {
            return Err(Unopened::Erased);
        }
        if let Some(key) = self.lock().recent(entry.slot) {
            return Ok(key);
        }
        let bytes = self.file.key(entry).map_err(|error| {
            let cause = error.to_string();
            Unopened::Unavailable { cause }
        })?;
        let Some(bytes) = bytes else {
            // An erasure that is under way has destroyed it meanwhile.
            if self.is_erased(subject) {
                return Err(Unopened::Erased);
            }
            let slot = entry.slot;
            tracing::warn!(slot, "a key in the key store is damaged, and opens nothing");
            return Err(Unopened::KeyNotHere);
        };
        let key = Arc::new(SubjectKey::new(entry.key_id, bytes));
        let mut state = self.lock();
        // It may have been erased meanwhile.
        let known = state.index.get(&subject);
        if known.is_none_or(|entry| entry.erased) {
            return Err(Unopened::Erased);
        }
        let evicted = state.keep(entry.slot, &key);
        // Overwriting the keys that were dropped takes its time.
        drop(state);
        drop(evicted);
        Ok(key)
    }

    /// To be held from a write of slots to the end of their sync.
    pub(super) fn writing(&self) -> MutexGuard<'_, ()> {
        // Nothing panics while it is held.
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn erase(&self, subjects: &[Uuid]) -> Result<(), KeyError> {
        let _writing = self.writing();
        let mut slots = Vec::with_capacity(subjects.len());
        let mut state = self.lock();
        for subject in subjects {
            let entry = match state.index.get(subject).copied() {
                Some(entry) => Entry {
                    erased: true,
                    ..entry
                },
                None => match state.unrecorded.remove(*subject) {
                    Some(new) => Entry {
                        slot: new.slot,
                        key_id: new.key.id(),
                        erased: true,
                    },
                    None => Entry {
                        slot: state.new_slot()?,
                        key_id: 0,
                        erased: true,
                    },
                },
            };
            state.young.remove(&entry.slot);
            state.old.remove(&entry.slot);
            state.index.insert(*subject, entry);
            slots.push((entry.slot, Slot::erased(entry.key_id, *subject)));
        }
        drop(state);
        let written = slots
            .iter()
            .try_for_each(|(slot, content)| self.file.write(*slot, content));
        let erased = written.and_then(|()| self.sync());
        if let Err(error) = &erased {
            tracing::error!(%error, "keys of erased subjects are out of use, but not destroyed yet");
        }
        erased
    }

    pub(super) fn record(&self, mark: Mark) -> Result<(), KeyError> {
        let _writing = self.writing();
        let mut state = self.lock();
        if state.broken.is_some() {
            // What the log says is taken in at the next start, from the last mark on.
            return Ok(());
        }
        let unwritten = std::mem::take(&mut state.unwritten);
        let known = |subject: &Uuid| Some((*state.index.get(subject)?, *subject));
        let mut entries: Vec<_> = unwritten.iter().filter_map(known).collect();
        drop(state);
        entries.sort_unstable_by_key(|(entry, _)| entry.slot);
        let neighbours =
            entries.chunk_by(|(one, _), (next, _)| one.slot.checked_add(1) == Some(next.slot));
        let recorded = neighbours
            .flat_map(|run| run.chunks(SLOTS_AT_ONCE))
            .try_for_each(|run| self.tell(run))
            .and_then(|()| match entries.is_empty() {
                true => Ok(()),
                false => self.sync(),
            })
            .and_then(|()| self.file.write_noted(mark, self.damage))
            .and_then(|_| self.sync());
        if recorded.is_err() {
            self.lock().unwritten.extend(unwritten);
        }
        recorded
    }

    /// Writes into successive slots whose they are. Also where the subject was erased meanwhile and the
    /// key is still there: a restart that reads of the erasure behind the mark finds the key by its
    /// subject.
    fn tell(&self, run: &[(Entry, Uuid)]) -> Result<(), KeyError> {
        let Some((Entry { slot: first, .. }, _)) = run.first() else {
            return Ok(());
        };
        let mut written = Vec::with_capacity(run.len() * SLOT_BYTES);
        let stored = self.file.slots_from(*first, run.len())?;
        for (index, (entry, subject)) in run.iter().enumerate() {
            // One behind the end of the file has not been written yet.
            let stored = stored.get(index).copied().unwrap_or([0; SLOT_BYTES]);
            let slot = self
                .file
                .slot_in(&stored, entry.key_id)
                .filter(|slot| slot.state == SlotState::Spare)
                .map(|slot| slot.bound_to(*subject));
            written.extend(slot.map_or(stored, |slot| slot.encode()));
        }
        self.file.write_many(*first, &written)
    }

    /// Makes what was written durable. Where that fails, nothing is written any more, but for the
    /// destruction of keys.
    pub(super) fn sync(&self) -> Result<(), KeyError> {
        let synced = self.file.sync();
        if let Err(error) = &synced {
            tracing::error!(%error, "the key store can't be synced; a restart takes up from the log");
            self.lock().broken.get_or_insert(error.to_string());
            // No more keys come.
            self.filled.notify_waiters();
        }
        synced
    }

    /// Waits until keys are wanted, and tells into which slots, in their order; none once nothing more is
    /// wanted.
    pub(super) fn wait_for_want(&self) -> Option<Vec<u32>> {
        let mut state = self.lock();
        if state.failing.is_some() {
            let waited = self
                .wanted
                .wait_timeout_while(state, PAUSE, |state| !state.stopping);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let waited = self
            .wanted
            .wait_while(state, |state| !state.stopping && !state.wants());
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        if state.stopping {
            return None;
        }
        let kept = state.reusable.len().saturating_sub(BATCH);
        let mut slots = state.reusable.split_off(kept);
        let missing = u32::try_from(BATCH - slots.len()).unwrap_or_default();
        let end = state.slots.saturating_add(missing);
        slots.extend(state.slots..end);
        state.slots = end;
        slots.sort_unstable();
        Some(slots)
    }

    /// Takes in what was made in these slots.
    pub(super) fn fill(&self, slots: Vec<u32>, made: Result<Vec<Spare>, KeyError>) {
        let mut state = self.lock();
        let failed = made.as_ref().err().map(ToString::to_string);
        match made {
            Ok(mut spares) => {
                // Those made first are used last, so that successive subjects have successive slots.
                spares.append(&mut state.spares);
                state.spares = spares;
            }
            // What was written there, or half of it, is nobody's.
            Err(_) => state.reusable.extend(slots),
        }
        let failed_before = std::mem::replace(&mut state.failing, failed.clone());
        drop(state);
        self.filled.notify_waiters();
        match (failed, failed_before) {
            (Some(cause), None) => {
                tracing::error!(
                    cause,
                    "no keys can be made for new subjects; that is tried again"
                );
            }
            (None, Some(_)) => tracing::info!("keys can be made again"),
            _ => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Why there are no keys for new subjects.
    fn unavailable(&self) -> Option<String> {
        let failing = self.failing.as_ref().filter(|_| self.spares.is_empty());
        self.broken.as_ref().or(failing).cloned()
    }

    fn wants(&self) -> bool {
        self.stocked && self.broken.is_none() && self.spares.len() < BATCH / 2
    }

    fn new_slot(&mut self) -> Result<u32, KeyError> {
        let slot = self.slots;
        self.slots = slot.checked_add(1).ok_or(KeyError::Full)?;
        Ok(slot)
    }

    /// A key that was used lately.
    fn recent(&mut self, slot: u32) -> Option<Arc<SubjectKey>> {
        if let Some(key) = self.young.get(&slot) {
            return Some(Arc::clone(key));
        }
        let key = Arc::clone(self.old.get(&slot)?);
        // It stays in the old generation too, where it is dropped with the rest.
        if self.young.len() < GENERATION_MAX {
            self.young.insert(slot, Arc::clone(&key));
        }
        Some(key)
    }

    /// Keeps a key, and returns those that are not kept any more.
    #[must_use]
    fn keep(&mut self, slot: u32, key: &Arc<SubjectKey>) -> Option<HashMap<u32, Arc<SubjectKey>>> {
        let is_full = self.young.len() >= GENERATION_MAX;
        let evicted = is_full.then(|| {
            let young = std::mem::take(&mut self.young);
            std::mem::replace(&mut self.old, young)
        });
        self.young.insert(slot, Arc::clone(key));
        evicted
    }
}
