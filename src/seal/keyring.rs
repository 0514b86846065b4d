//! The keyring: the keys of subjects while the service runs.
//!
//! Of each subject it knows which slot of the store holds the key; the keys themselves are unwrapped
//! when they are used, and only the last ones used are kept in memory.

use std::collections::HashMap;
use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use hmac::Mac;
use sha2::{Digest, Sha256};
use tokio::sync::Notify;
use uuid::Uuid;

use super::error::{KeyError, SealError};
use super::key::SubjectKey;
use super::maker::{self, BATCH, Places, Spare};
use super::slot::{SLOT_BYTES, Slot, State as SlotState};
use super::store::{Entry, KeyStore, Mark, SLOTS_AT_ONCE, StoreFile};
use super::value::{self, Bond};
use crate::wire::v1::{PersonalValue, SealedPersonal, SealedValue};
use crate::wire::validate::{Personal, Submission};

/// How many unwrapped keys each of two generations holds: those that were not used for as long as it
/// took to use as many others are dropped.
const GENERATION_MAX: usize = 16 * 1024;

/// The keys of subjects.
pub struct Keyring {
    shared: Arc<Shared>,
    maker: Mutex<Option<JoinHandle<()>>>,
}

/// Why a sealed value can't be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unopened {
    /// Its subject's data was erased.
    Erased,
    /// The key store never had its key, or the key is damaged there.
    KeyNotHere,
    /// Its key does not open it: it was changed, or moved to where it does not belong.
    Damaged,
    /// The key store can't be read.
    Unavailable {
        /// Why.
        cause: String,
    },
}

/// What the keyring and the maker share.
pub(super) struct Shared {
    pub(super) file: StoreFile,
    /// Which slots of the file were damaged when it was opened, as its header notes it.
    damage: u32,
    state: Mutex<State>,
    /// Told when keys are wanted, or nothing more will be.
    wanted: Condvar,
    /// Told when there are spare keys again, or will be none.
    filled: Notify,
    /// Held while slots that are somebody's are written. Taken before `state`.
    writing: Mutex<()>,
}

struct State {
    index: HashMap<Uuid, Entry>,
    young: HashMap<u32, Arc<SubjectKey>>,
    old: HashMap<u32, Arc<SubjectKey>>,
    spares: Vec<Spare>,
    /// Whether spare keys are to be kept in stock: not before the first one is asked for.
    stocked: bool,
    /// Slots of spare keys of an earlier run. Such a key may have sealed what was never recorded, and
    /// becomes nobody else's.
    reusable: Vec<u32>,
    /// Number of slots in the file.
    slots: u32,
    /// Whose a slot's key became since the store was last told, and what records call it.
    unwritten: Vec<Binding>,
    /// Why the store can't be written, once that is so.
    broken: Option<String>,
    stopping: bool,
}

/// Whose the key in a slot became.
struct Binding {
    slot: u32,
    key_id: u64,
    subject: Uuid,
}

impl Keyring {
    /// The keys of a store that was told what the log says.
    ///
    /// # Errors
    /// The thread that makes keys can't be started.
    pub fn start(store: KeyStore) -> Result<Self, KeyError> {
        let KeyStore {
            file,
            index,
            spares,
            slots,
            damaged,
            ..
        } = store;
        let shared = Arc::new(Shared {
            file,
            damage: damaged.fingerprint(),
            state: Mutex::new(State {
                index,
                young: HashMap::new(),
                old: HashMap::new(),
                spares: Vec::new(),
                stocked: false,
                reusable: spares.into_values().collect(),
                slots,
                unwritten: Vec::new(),
                broken: None,
                stopping: false,
            }),
            wanted: Condvar::new(),
            filled: Notify::new(),
            writing: Mutex::new(()),
        });
        let maker = std::thread::Builder::new()
            .name("key maker".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || maker::run(&shared)
            })
            .map_err(KeyError::Thread)?;
        Ok(Self {
            shared,
            maker: Mutex::new(Some(maker)),
        })
    }

    /// Seals the personal values of a submission, and makes its digest cover them by marks that nobody
    /// can make who has not the keys.
    ///
    /// # Errors
    /// A subject whose data was erased, or a store that can't be used. The submission is then no longer
    /// whole.
    pub async fn seal(&self, submission: &mut Submission) -> Result<(), SealError> {
        let mut digest = Sha256::new();
        digest.update(submission.digest);
        for change in &mut submission.changes {
            for event in &mut change.events {
                let values = event.take_personal();
                let mut groups: Vec<(Uuid, Vec<Personal>)> = Vec::new();
                for value in values {
                    match groups
                        .iter_mut()
                        .find(|(subject, _)| *subject == value.subject)
                    {
                        Some((_, group)) => group.push(value),
                        None => groups.push((value.subject, vec![value])),
                    }
                }
                for (subject, group) in groups {
                    let key = self.key_to_seal(subject).await?;
                    let (sealed, mark) =
                        seal_group(&key, change.case_id, event.event_id(), subject, group)?;
                    digest.update(mark);
                    event.add_sealed(sealed);
                }
            }
        }
        submission.digest = digest.finalize().into();
        Ok(())
    }

    /// Opens one value of those of a subject in an event.
    ///
    /// # Errors
    /// See [`Unopened`].
    pub fn open(
        &self,
        case_id: Uuid,
        event_id: Uuid,
        sealed: &SealedPersonal,
        place: usize,
    ) -> Result<PersonalValue, Unopened> {
        let subject = Uuid::try_parse(&sealed.subject_id).map_err(|_| Unopened::Damaged)?;
        let value = sealed.values.get(place).ok_or(Unopened::Damaged)?;
        let class = value.personal_class();
        let key = self.shared.key_to_open(subject, sealed.key_id)?;
        let cipher = key.cipher(class).ok_or(Unopened::Damaged)?;
        let bond = Bond {
            case_id,
            event_id,
            subject,
            class,
            place: u32::try_from(place).map_err(|_| Unopened::Damaged)?,
        };
        let mut opened = value::open(cipher, &bond, &value.sealed).ok_or(Unopened::Damaged)?;
        opened.subject_id.clone_from(&sealed.subject_id);
        opened.personal_class = class.into();
        Ok(opened)
    }

    /// Whether a subject's data was erased.
    pub fn is_erased(&self, subject: Uuid) -> bool {
        let state = self.shared.lock();
        state.index.get(&subject).is_some_and(|entry| entry.erased)
    }

    /// Destroys the keys of subjects, durably: in memory at once, then in the store. Blocks.
    ///
    /// # Errors
    /// The store can't be written. The keys are out of use all the same, and a restart destroys them,
    /// since the log says so.
    pub fn erase(&self, subjects: &[Uuid]) -> Result<(), KeyError> {
        self.shared.erase(subjects)
    }

    /// Repeats in the store whose the keys are, and then that it does so for every record before the
    /// mark: those are sealed already. Blocks.
    ///
    /// # Errors
    /// The store can't be written.
    pub fn record(&self, mark: Mark) -> Result<(), KeyError> {
        self.shared.record(mark)
    }

    /// Ends the making of keys. Blocks; may be called again.
    pub fn close(&self) {
        self.shared.lock().stopping = true;
        self.shared.wanted.notify_all();
        let maker = self.maker.lock();
        let maker = maker.unwrap_or_else(PoisonError::into_inner).take();
        if maker.is_some_and(|maker| maker.join().is_err()) {
            tracing::error!("the thread that makes keys ended in a panic");
        }
        self.shared.filled.notify_waiters();
    }

    /// The key under which values of a subject are sealed; a new one where it has none.
    async fn key_to_seal(&self, subject: Uuid) -> Result<Arc<SubjectKey>, SealError> {
        loop {
            let mut filled = pin!(self.shared.filled.notified());
            filled.as_mut().enable();
            if let Some(key) = self.shared.key_at_hand(subject)? {
                return Ok(key);
            }
            filled.await;
        }
    }
}

impl Drop for Keyring {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Keyring").finish_non_exhaustive()
    }
}

/// Seals the values of one subject in an event, and marks them.
fn seal_group(
    key: &SubjectKey,
    case_id: Uuid,
    event_id: Uuid,
    subject: Uuid,
    group: Vec<Personal>,
) -> Result<(SealedPersonal, [u8; 32]), SealError> {
    let mut marker = key.marker();
    let mut values = Vec::with_capacity(group.len());
    for (place, personal) in (0..).zip(group) {
        let class = personal.class;
        let bond = Bond {
            case_id,
            event_id,
            subject,
            class,
            place,
        };
        let cipher = key.cipher(class).ok_or_else(|| SealError::Unavailable {
            cause: "a value has no class".to_owned(),
        })?;
        let sealed = value::seal(cipher, &bond, &personal.value, &mut marker)?;
        values.push(SealedValue {
            personal_class: class.into(),
            sealed: sealed.into(),
        });
    }
    let sealed = SealedPersonal {
        subject_id: subject.to_string(),
        key_id: key.id(),
        values,
    };
    Ok((sealed, marker.finalize().into_bytes().into()))
}

impl Shared {
    /// The key of a subject, or one that becomes its own; none where there is no spare one yet.
    fn key_at_hand(&self, subject: Uuid) -> Result<Option<Arc<SubjectKey>>, SealError> {
        let mut state = self.lock();
        if let Some(entry) = state.index.get(&subject).copied() {
            drop(state);
            return self.known_key(subject, entry).map(Some).map_err(|why| {
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
        if let Some(cause) = &state.broken {
            let cause = cause.clone();
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
        let erased = false;
        let entry = Entry {
            slot,
            key_id,
            erased,
        };
        state.index.insert(subject, entry);
        state.unwritten.push(Binding {
            slot,
            key_id,
            subject,
        });
        let evicted = state.keep(slot, &key);
        // Overwriting the keys that were dropped takes its time.
        drop(state);
        drop(evicted);
        Ok(Some(key))
    }

    /// The key by which a value of a subject is opened.
    fn key_to_open(&self, subject: Uuid, key_id: u64) -> Result<Arc<SubjectKey>, Unopened> {
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
    fn known_key(&self, subject: Uuid, entry: Entry) -> Result<Arc<SubjectKey>, Unopened> {
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

    fn erase(&self, subjects: &[Uuid]) -> Result<(), KeyError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut slots = Vec::with_capacity(subjects.len());
        let mut state = self.lock();
        for subject in subjects {
            let entry = match state.index.get(subject).copied() {
                Some(entry) => Entry {
                    erased: true,
                    ..entry
                },
                None => Entry {
                    slot: state.new_slot()?,
                    key_id: 0,
                    erased: true,
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
        let erased = written.and_then(|()| self.file.sync());
        self.note_broken(&erased);
        erased
    }

    fn record(&self, mark: Mark) -> Result<(), KeyError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.lock();
        if state.broken.is_some() {
            // What the log says is taken in at the next start, from the last mark on.
            return Ok(());
        }
        let mut unwritten = std::mem::take(&mut state.unwritten);
        drop(state);
        unwritten.sort_unstable_by_key(|binding| binding.slot);
        let neighbours = unwritten.chunk_by(|one, next| one.slot.checked_add(1) == Some(next.slot));
        let recorded = neighbours
            .flat_map(|run| run.chunks(SLOTS_AT_ONCE))
            .try_for_each(|run| self.bind(run))
            .and_then(|()| {
                if unwritten.is_empty() {
                    Ok(())
                } else {
                    self.file.sync()
                }
            })
            .and_then(|()| self.file.write_noted(mark, self.damage).map(|_| ()));
        self.note_broken(&recorded);
        recorded
    }

    /// Writes whose the keys in successive slots are.
    fn bind(&self, run: &[Binding]) -> Result<(), KeyError> {
        let Some(Binding { slot: first, .. }) = run.first() else {
            return Ok(());
        };
        let mut written = Vec::with_capacity(run.len() * SLOT_BYTES);
        let stored = self.file.slots_from(*first, run.len())?;
        for (binding, stored) in run.iter().zip(stored) {
            let slot = self.file.slot_in(&stored, binding.key_id);
            let slot = slot.filter(|slot| slot.state == SlotState::Spare);
            written.extend(slot.map_or(stored, |slot| slot.bound_to(binding.subject).encode()));
        }
        self.file.write_many(*first, &written)
    }

    /// Waits until keys are wanted, and tells where they go; none once nothing more is wanted.
    pub(super) fn wait_for_want(&self) -> Option<Places> {
        let mut state = self
            .wanted
            .wait_while(self.lock(), |state| !state.stopping && !state.wants())
            .unwrap_or_else(PoisonError::into_inner);
        if state.stopping {
            return None;
        }
        let kept = state.reusable.len().saturating_sub(BATCH);
        let reused = state.reusable.split_off(kept);
        let new = BATCH - reused.len();
        let first_new = state.slots;
        state.slots = state
            .slots
            .saturating_add(u32::try_from(new).unwrap_or(u32::MAX));
        Some(Places {
            reused,
            first_new,
            new,
        })
    }

    /// Takes in what was made.
    pub(super) fn fill(&self, made: Result<Vec<Spare>, KeyError>) {
        self.note_broken(&made);
        if let Ok(mut spares) = made {
            let mut state = self.lock();
            // Those made first are used last, so that successive subjects have successive slots.
            spares.append(&mut state.spares);
            state.spares = spares;
        }
        self.filled.notify_waiters();
    }

    fn note_broken<T>(&self, result: &Result<T, KeyError>) {
        if let Err(error) = result {
            tracing::error!(%error, "the key store can't be written; a restart takes up from the log");
            self.lock().broken.get_or_insert(error.to_string());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
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
