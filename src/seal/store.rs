//! The key store on disk: a folder with the file of wrapped keys, apart from the log.
//!
//! ```text
//! DIR/LOCK        locked by the process that uses the store
//! DIR/subjects    a header of 4 KiB, then slots of 128 bytes (`slot`)
//! DIR/master.key  the master key, unless it comes from elsewhere
//! ```
//!
//! The header holds, at fixed bytes, the name and version of the format (0), a slot by which a wrong
//! master key is told (128), and two places for what is noted of the store (512 and 1024), written in
//! turn: its [`Mark`], how many slots it had, and which were damaged.
//!
//! A slot that can't be read whole is nobody's: no key is written over it, since it may hold one that a
//! record names. Where other slots are damaged than was noted, the store has no mark, and all of the log
//! is told to it again: whose the keys are, those in damaged slots too ([`Damaged`]), and who was erased.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use chacha20poly1305::XChaCha20Poly1305;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::damage::Damaged;
use super::error::{KeyError, failed};
use super::key::{KEY_BYTES, KeyBytes};
use super::master::{MasterKeySource, replace, sync_folder_of};
use super::rotation;
use super::slot::{SLOT_BYTES, Slot, State};
use super::value::NONCE_BYTES;

/// The file in a key store's folder that holds the wrapped keys.
pub(super) const SUBJECTS: &str = "subjects";
const SUBJECTS_ASIDE: &str = "subjects.new";
const LOCK: &str = "LOCK";
const HEADER_BYTES: usize = 4096;
const FORMAT: &[u8; 17] = b"casetrail keys 1\n";
const CHECK_AT: usize = 128;
const CHECK_KEY_ID: u64 = u64::MAX;
const MARKS_AT: [u64; 2] = [512, 1024];
const NOTED_BYTES: usize = 60;
/// How many slots are read at a time.
pub(super) const SLOTS_AT_ONCE: usize = 8 * 1024;

/// Up to where the store repeats what the log's records say of keys: every record before the position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mark {
    /// The position.
    pub position: u64,
    /// SHA-256 of the record before it, by which another log is told; zeros at position 0.
    pub anchor: [u8; 32],
}

/// What the header says of the store.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Noted {
    pub(super) mark: Mark,
    /// Number of slots that it had at least.
    slots: u32,
    /// Which slots were damaged: see [`Damaged::fingerprint`].
    pub(super) damage: u32,
}

/// What is known of a subject.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub(super) slot: u32,
    pub(super) key_id: u64,
    pub(super) erased: bool,
}

/// An open key store that is made ready: the records behind its mark are to be told to it before it
/// becomes a [`super::Keyring`].
pub struct KeyStore {
    pub(super) file: StoreFile,
    pub(super) index: HashMap<Uuid, Entry>,
    /// Keys that were nobody's when the store was last written, by what records call them.
    pub(super) spares: HashMap<u64, u32>,
    /// Number of slots in the file.
    pub(super) slots: u32,
    pub(super) damaged: Damaged,
    pub(super) noted: Noted,
    /// Slots that were written since the store was opened to tell whose their key is.
    told: HashSet<u32>,
    unsynced: bool,
}

/// The file of wrapped keys. Reading and writing a slot are single calls of the system.
pub(super) struct StoreFile {
    file: File,
    path: PathBuf,
    pub(super) master: XChaCha20Poly1305,
    /// Held for as long as the store is open.
    _lock: File,
}

impl KeyStore {
    /// Opens the key store in a folder; none where there is none, and nothing is written then.
    ///
    /// # Errors
    /// A store that is in use, of another version or under another master key, and whatever the system
    /// says.
    pub fn open(folder: &Path, master: &MasterKeySource) -> Result<Option<Self>, KeyError> {
        if !rotation::holds_store(folder)? {
            return Ok(None);
        }
        let lock = lock(folder)?;
        rotation::finish(folder)?;
        Self::open_locked(folder, master.read()?, lock).map(Some)
    }

    /// Makes the key store in a folder where there is none, with a new master key where that belongs
    /// into a file that isn't there.
    ///
    /// # Errors
    /// A folder that is in use, and whatever the system says.
    pub fn make(folder: &Path, master: &MasterKeySource) -> Result<Self, KeyError> {
        create_folder(folder)?;
        let lock = lock(folder)?;
        rotation::finish(folder)?;
        let master = master.read_or_make()?;
        let header = header(&master)?;
        replace(
            &folder.join(SUBJECTS),
            &folder.join(SUBJECTS_ASIDE),
            &header,
        )?;
        Self::open_locked(folder, master, lock)
    }

    fn open_locked(folder: &Path, master: XChaCha20Poly1305, lock: File) -> Result<Self, KeyError> {
        let path = folder.join(SUBJECTS);
        let opened = OpenOptions::new().read(true).write(true).open(&path);
        let file = opened.map_err(failed("open", &path))?;
        // What a process that was killed had written is durable from here on, but for what it failed to
        // sync: that is read as it was written, and may not be on the disk. So what the records behind
        // the mark say is written again, whatever is read here.
        file.sync_all().map_err(failed("sync", &path))?;
        let file = StoreFile {
            file,
            path,
            master,
            _lock: lock,
        };
        let noted = file.check_header(folder)?;
        let mut store = Self {
            file,
            index: HashMap::new(),
            spares: HashMap::new(),
            slots: 0,
            damaged: Damaged::default(),
            noted,
            told: HashSet::new(),
            unsynced: false,
        };
        store.read_slots()?;
        if !store.is_as_noted() {
            tracing::warn!(
                damaged_slots = store.damaged.count(),
                cut_off_slots = noted.slots.saturating_sub(store.slots),
                "the key store is damaged: all of the log is read to mend what it tells"
            );
        }
        Ok(store)
    }

    /// Up to where the store knows what the records say: nothing of them, where it was damaged since.
    pub fn mark(&self) -> Mark {
        match self.is_as_noted() {
            true => self.noted.mark,
            false => Mark::default(),
        }
    }

    /// Whether no other slots are damaged or missing than when it was last told what the log says.
    pub(super) fn is_as_noted(&self) -> bool {
        self.noted.damage == self.damaged.fingerprint() && self.noted.slots <= self.slots
    }

    /// Number of slots that can't be read whole.
    pub fn damaged_slots(&self) -> usize {
        self.damaged.count()
    }

    /// Number of subjects whose key the store holds.
    pub fn subjects(&self) -> usize {
        self.index.values().filter(|entry| !entry.erased).count()
    }

    /// Takes in that a record holds values of a subject that are sealed under this key. False where
    /// the store neither has that key, nor knows that the subject was erased.
    ///
    /// # Errors
    /// The store can't be read or written.
    pub fn note_sealed(&mut self, subject: Uuid, key_id: u64) -> Result<bool, KeyError> {
        let known = self.index.get(&subject).copied();
        if let Some(entry) = known
            && (entry.erased || entry.key_id != key_id || self.told.contains(&entry.slot))
        {
            return Ok(entry.erased || entry.key_id == key_id);
        }
        let known = known.map(|entry| entry.slot);
        let slot = known.or_else(|| self.spares.get(&key_id).copied());
        let Some(slot) = slot.or_else(|| self.damaged.slot_of(subject, key_id)) else {
            return Ok(false);
        };
        let Some(content) = self.file.slot(slot, key_id)? else {
            self.damaged.is_of(slot, subject);
            return Ok(false);
        };
        self.file.write(slot, &content.bound_to(subject))?;
        self.told.insert(slot);
        self.unsynced = true;
        self.spares.remove(&key_id);
        self.damaged.mended(slot);
        let erased = false;
        let entry = Entry {
            slot,
            key_id,
            erased,
        };
        self.index.insert(subject, entry);
        Ok(true)
    }

    /// Takes in that a record says that a subject's data was erased: its key is destroyed, if it is
    /// still there.
    ///
    /// # Errors
    /// The store can't be written.
    pub fn note_erased(&mut self, subject: Uuid) -> Result<(), KeyError> {
        let (slot, key_id) = match self.index.get(&subject) {
            Some(entry) => (entry.slot, entry.key_id),
            // What is left of a key that can't be used goes too.
            None => (
                self.damaged.slot_claimed_by(subject).unwrap_or(self.slots),
                0,
            ),
        };
        self.file.write(slot, &Slot::erased(key_id, subject))?;
        self.damaged.mended(slot);
        self.slots = self.slots.max(slot.checked_add(1).ok_or(KeyError::Full)?);
        self.unsynced = true;
        let erased = true;
        let entry = Entry {
            slot,
            key_id,
            erased,
        };
        self.index.insert(subject, entry);
        Ok(())
    }

    /// Makes what was taken in durable, and then that it is there up to a position.
    ///
    /// # Errors
    /// The store can't be written.
    pub fn set_mark(&mut self, mark: Mark) -> Result<(), KeyError> {
        if self.unsynced {
            self.file.sync()?;
            self.unsynced = false;
        }
        self.noted = self.file.write_noted(mark, self.damaged.fingerprint())?;
        self.file.sync()
    }

    fn read_slots(&mut self) -> Result<(), KeyError> {
        let mut first: u32 = 0;
        loop {
            let read = self.file.slots_from(first, SLOTS_AT_ONCE)?;
            for (number, bytes) in (first..).zip(&read) {
                match Slot::decode(bytes) {
                    Some(slot) => self.take(number, &slot),
                    None => self.damaged.take(number, bytes),
                }
            }
            let count = u32::try_from(read.len()).map_err(|_| KeyError::Full)?;
            first = first.checked_add(count).ok_or(KeyError::Full)?;
            if read.len() < SLOTS_AT_ONCE {
                self.slots = first;
                return Ok(());
            }
        }
    }

    fn take(&mut self, number: u32, slot: &Slot) {
        if slot.state == State::Spare {
            self.spares.insert(slot.key_id, number);
            return;
        }
        let entry = Entry {
            slot: number,
            key_id: slot.key_id,
            erased: slot.state == State::Erased,
        };
        let known = self.index.entry(slot.subject).or_insert(entry);
        // That data was erased outlasts whatever else the store says.
        if entry.erased {
            *known = entry;
        }
    }
}

impl StoreFile {
    /// The slot with a key that records call so; none where it isn't there whole.
    pub(super) fn slot(&self, number: u32, key_id: u64) -> Result<Option<Slot>, KeyError> {
        let mut bytes = [0; SLOT_BYTES];
        let read = self.file.read_exact_at(&mut bytes, place_of(number));
        read.map_err(failed("read", &self.path))?;
        Ok(self.slot_in(&bytes, key_id))
    }

    /// The slot in bytes that were read, damaged or not.
    pub(super) fn slot_in(&self, bytes: &[u8; SLOT_BYTES], key_id: u64) -> Option<Slot> {
        let whole = Slot::decode(bytes).filter(|slot| slot.key_id == key_id);
        whole.or_else(|| Slot::salvaged(bytes, key_id, &self.master))
    }

    /// The key in a slot, if it is the one that records call so.
    pub(super) fn key(&self, entry: Entry) -> Result<Option<KeyBytes>, KeyError> {
        let slot = self.slot(entry.slot, entry.key_id)?;
        Ok(slot.and_then(|slot| slot.key(&self.master)))
    }

    /// So many slots, or fewer at the end of the file.
    pub(super) fn slots_from(
        &self,
        first: u32,
        count: usize,
    ) -> Result<Vec<[u8; SLOT_BYTES]>, KeyError> {
        let there = self.slots_there()?.saturating_sub(first) as usize;
        let mut bytes = vec![0; count.min(there).saturating_mul(SLOT_BYTES)];
        let read = self.file.read_exact_at(&mut bytes, place_of(first));
        read.map_err(failed("read", &self.path))?;
        let (slots, _) = bytes.as_chunks::<SLOT_BYTES>();
        Ok(slots.to_vec())
    }

    /// How many whole slots the file has.
    fn slots_there(&self) -> Result<u32, KeyError> {
        let file = self.file.metadata().map_err(failed("read", &self.path))?;
        let slots = file.len().saturating_sub(HEADER_BYTES as u64) / SLOT_BYTES as u64;
        Ok(u32::try_from(slots).unwrap_or(u32::MAX))
    }

    pub(super) fn write(&self, number: u32, slot: &Slot) -> Result<(), KeyError> {
        self.write_many(number, &slot.encode())
    }

    /// Writes successive slots.
    pub(super) fn write_many(&self, first: u32, slots: &[u8]) -> Result<(), KeyError> {
        let written = self.file.write_all_at(slots, place_of(first));
        written.map_err(failed("write", &self.path))
    }

    pub(super) fn sync(&self) -> Result<(), KeyError> {
        self.file.sync_data().map_err(failed("sync", &self.path))
    }

    /// Notes a mark and which slots are damaged in the place of what is older. It counts once
    /// it is synced.
    pub(super) fn write_noted(&self, mark: Mark, damage: u32) -> Result<Noted, KeyError> {
        let noted = Noted {
            mark,
            slots: self.slots_there()?,
            damage,
        };
        let kept = MARKS_AT.map(|at| self.noted_at(at));
        let newest = kept.iter().flatten().map(|(turn, _)| *turn).max();
        let turn = newest.unwrap_or_default().wrapping_add(1);
        let at = match kept {
            [Some((first, _)), Some((second, _))] if first > second => MARKS_AT[1],
            [Some(_), None] => MARKS_AT[1],
            _ => MARKS_AT[0],
        };
        let written = self.file.write_all_at(&noted.encoded(turn), at);
        written.map_err(failed("write", &self.path))?;
        Ok(noted)
    }

    /// What is noted in one of the places, with its turn.
    fn noted_at(&self, at: u64) -> Option<(u64, Noted)> {
        let mut bytes = [0; NOTED_BYTES];
        self.file.read_exact_at(&mut bytes, at).ok()?;
        let (body, checksum) = bytes.split_last_chunk::<4>()?;
        if u32::from_be_bytes(*checksum) != crc32fast::hash(body) {
            return None;
        }
        let (turn, rest) = body.split_first_chunk::<8>()?;
        let (position, rest) = rest.split_first_chunk::<8>()?;
        let (anchor, rest) = rest.split_first_chunk::<32>()?;
        let (slots, damage) = rest.split_first_chunk::<4>()?;
        let noted = Noted {
            mark: Mark {
                position: u64::from_be_bytes(*position),
                anchor: *anchor,
            },
            slots: u32::from_be_bytes(*slots),
            damage: u32::from_be_bytes(damage.try_into().ok()?),
        };
        Some((u64::from_be_bytes(*turn), noted))
    }

    /// Refuses what is no store, or one under another master key; returns what is noted.
    fn check_header(&self, folder: &Path) -> Result<Noted, KeyError> {
        let not_ours = || KeyError::NotAKeyStore {
            path: self.path.clone(),
        };
        let mut header = [0; CHECKED_BYTES];
        let read = self.file.read_exact_at(&mut header, 0);
        read.map_err(|_| not_ours())?;
        let check = check_of(&header);
        if !header.starts_with(FORMAT) {
            return Err(not_ours());
        }
        if check.ok_or_else(not_ours)?.key(&self.master).is_none() {
            return Err(KeyError::WrongMasterKey {
                folder: folder.to_path_buf(),
            });
        }
        let marks = MARKS_AT.iter().filter_map(|at| self.noted_at(*at));
        let newest = marks.max_by_key(|(turn, _)| *turn);
        Ok(newest.map(|(_, noted)| noted).unwrap_or_default())
    }
}

fn place_of(number: u32) -> u64 {
    HEADER_BYTES as u64 + u64::from(number) * SLOT_BYTES as u64
}

/// So many bytes of the header tell whether the master key is the right one.
pub(super) const CHECKED_BYTES: usize = CHECK_AT + SLOT_BYTES;

/// The slot in the header by which that is told.
pub(super) fn check_of(header: &[u8; CHECKED_BYTES]) -> Option<Slot> {
    let (_, check) = header.split_last_chunk::<SLOT_BYTES>()?;
    Slot::decode(check)
}

/// The header of a new store, or of one under a new master key. It has no mark.
pub(super) fn header(master: &XChaCha20Poly1305) -> Result<Vec<u8>, KeyError> {
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce).map_err(|error| KeyError::Random {
        cause: error.to_string(),
    })?;
    let known = Zeroizing::new([0; KEY_BYTES]);
    let check = Slot::spare(master, CHECK_KEY_ID, nonce, &known).ok_or(KeyError::Full)?;
    let mut header = FORMAT.to_vec();
    header.resize(CHECK_AT, 0);
    header.extend_from_slice(&check.encode());
    header.resize(HEADER_BYTES, 0);
    Ok(header)
}

/// Writes what is noted into the header of a new store.
pub(super) fn note_into(header: &mut [u8], noted: Noted) {
    let at = usize::try_from(MARKS_AT[0]).unwrap_or_default();
    let places = header.iter_mut().skip(at);
    for (to, from) in places.zip(noted.encoded(1)) {
        *to = from;
    }
}

impl Noted {
    fn encoded(&self, turn: u64) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(NOTED_BYTES);
        bytes.extend_from_slice(&turn.to_be_bytes());
        bytes.extend_from_slice(&self.mark.position.to_be_bytes());
        bytes.extend_from_slice(&self.mark.anchor);
        bytes.extend_from_slice(&self.slots.to_be_bytes());
        bytes.extend_from_slice(&self.damage.to_be_bytes());
        let checksum = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&checksum.to_be_bytes());
        bytes
    }
}

/// Makes the folder, for its owner alone, durably.
fn create_folder(folder: &Path) -> Result<(), KeyError> {
    if folder.is_dir() {
        return Ok(());
    }
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder);
    made.map_err(failed("make", folder))?;
    sync_folder_of(folder)
}

/// Locks a store for one process.
pub(super) fn lock(folder: &Path) -> Result<File, KeyError> {
    let path = folder.join(LOCK);
    let opened = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path);
    let file = opened.map_err(failed("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(KeyError::Locked {
            folder: folder.to_path_buf(),
        }),
        Err(TryLockError::Error(cause)) => Err(failed("lock", &path)(cause)),
    }
}
