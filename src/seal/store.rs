//! The key store on disk: a folder with the file of wrapped keys, apart from the log.
//!
//! ```text
//! DIR/LOCK        locked by the process that uses the store
//! DIR/subjects    a header of 4 KiB, then slots of 128 bytes (`slot`)
//! DIR/master.key  the master key, unless it comes from elsewhere
//! ```
//!
//! The header holds, at fixed bytes, the name and version of the format (0), a slot by which a wrong
//! master key is told (128), and two places for the [`Mark`] (512 and 1024), written in turn.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use chacha20poly1305::XChaCha20Poly1305;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::error::{KeyError, failed};
use super::key::{KEY_BYTES, KeyBytes};
use super::master::{MasterKeySource, replace, sync_folder_of};
use super::rotation;
use super::slot::{SLOT_BYTES, Slot, State};
use super::value::NONCE_BYTES;

/// The file in a key store's folder that holds the wrapped keys.
pub const SUBJECTS: &str = "subjects";
const SUBJECTS_ASIDE: &str = "subjects.new";
const LOCK: &str = "LOCK";
const HEADER_BYTES: usize = 4096;
const FORMAT: &[u8; 17] = b"casetrail keys 1\n";
const CHECK_AT: usize = 128;
const CHECK_KEY_ID: u64 = u64::MAX;
const MARKS_AT: [u64; 2] = [512, 1024];
const MARK_BYTES: usize = 52;
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
    pub(super) mark: Mark,
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
    /// Opens the key store in a folder, or makes one, with a new master key where that belongs into a
    /// file that isn't there.
    ///
    /// # Errors
    /// A store that is in use, of another version or under another master key, and whatever the system
    /// says.
    pub fn open(folder: &Path, master: &MasterKeySource) -> Result<Self, KeyError> {
        create_folder(folder)?;
        let lock = lock(folder)?;
        rotation::finish(folder)?;
        let path = folder.join(SUBJECTS);
        let exists = path.try_exists().map_err(failed("find", &path))?;
        let master = if exists {
            master.read()?
        } else {
            let master = master.read_or_make()?;
            let header = header(&master)?;
            replace(&path, &folder.join(SUBJECTS_ASIDE), &header)?;
            master
        };
        let opened = OpenOptions::new().read(true).write(true).open(&path);
        let file = opened.map_err(failed("open", &path))?;
        // What a process that was killed had written is taken for durable from here on.
        file.sync_all().map_err(failed("sync", &path))?;
        let file = StoreFile {
            file,
            path,
            master,
            _lock: lock,
        };
        let mark = file.check_header(folder)?;
        let mut store = Self {
            file,
            index: HashMap::new(),
            spares: HashMap::new(),
            slots: 0,
            mark,
            unsynced: false,
        };
        store.read_slots()?;
        Ok(store)
    }

    /// Up to where the store knows what the records say.
    pub fn mark(&self) -> Mark {
        self.mark
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
        if let Some(entry) = self.index.get(&subject) {
            return Ok(entry.erased || entry.key_id == key_id);
        }
        let Some(slot) = self.spares.remove(&key_id) else {
            return Ok(false);
        };
        let content = self.file.slot(slot)?;
        if let Some(content) = content {
            self.file.write(slot, &content.bound_to(subject))?;
            self.unsynced = true;
        }
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
        let known = self.index.get(&subject).copied();
        if known.is_some_and(|entry| entry.erased) {
            return Ok(());
        }
        let (slot, key_id) = match known {
            Some(entry) => (entry.slot, entry.key_id),
            None => (self.slots, 0),
        };
        self.file.write(slot, &Slot::erased(key_id, subject))?;
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
        if mark != self.mark {
            self.file.write_mark(mark)?;
            self.mark = mark;
        }
        Ok(())
    }

    fn read_slots(&mut self) -> Result<(), KeyError> {
        let mut first: u32 = 0;
        loop {
            let read = self.file.slots_from(first, SLOTS_AT_ONCE)?;
            for (number, bytes) in (first..).zip(&read) {
                let whole = Slot::decode(bytes);
                let slot = whole.or_else(|| Slot::salvaged(bytes, &self.file.master));
                let Some(slot) = slot else { continue };
                self.take(number, &slot);
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
    /// A slot; none where it is damaged.
    pub(super) fn slot(&self, number: u32) -> Result<Option<Slot>, KeyError> {
        let mut bytes = [0; SLOT_BYTES];
        let read = self.file.read_exact_at(&mut bytes, place_of(number));
        read.map_err(failed("read", &self.path))?;
        Ok(Slot::decode(&bytes))
    }

    /// The key in a slot, if it is the one that records call so.
    pub(super) fn key(&self, entry: Entry) -> Result<Option<KeyBytes>, KeyError> {
        let slot = self.slot(entry.slot)?;
        let slot = slot.filter(|slot| slot.key_id == entry.key_id);
        Ok(slot.and_then(|slot| slot.key(&self.master)))
    }

    /// So many slots, or fewer at the end of the file.
    pub(super) fn slots_from(
        &self,
        first: u32,
        count: usize,
    ) -> Result<Vec<[u8; SLOT_BYTES]>, KeyError> {
        let mut bytes = vec![0; count.saturating_mul(SLOT_BYTES)];
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let at = place_of(first).saturating_add(filled as u64);
            match self.file.read_at(rest, at) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(failed("read", &self.path)(cause)),
            }
        }
        bytes.truncate(filled);
        let (slots, _) = bytes.as_chunks::<SLOT_BYTES>();
        Ok(slots.to_vec())
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

    /// Writes the mark in the place of the older one, durably.
    pub(super) fn write_mark(&self, mark: Mark) -> Result<(), KeyError> {
        let kept = MARKS_AT.map(|at| self.mark_at(at));
        let newest = kept.iter().flatten().map(|(turn, _)| *turn).max();
        let turn = newest.unwrap_or_default().wrapping_add(1);
        let at = match kept {
            [Some((first, _)), Some((second, _))] if first > second => MARKS_AT[1],
            [Some(_), None] => MARKS_AT[1],
            _ => MARKS_AT[0],
        };
        let written = self.file.write_all_at(&encoded_mark(turn, mark), at);
        written.map_err(failed("write", &self.path))?;
        self.sync()
    }

    /// The mark in one of its places, with its turn.
    fn mark_at(&self, at: u64) -> Option<(u64, Mark)> {
        let mut bytes = [0; MARK_BYTES];
        self.file.read_exact_at(&mut bytes, at).ok()?;
        let (body, checksum) = bytes.split_last_chunk::<4>()?;
        if u32::from_be_bytes(*checksum) != crc32fast::hash(body) {
            return None;
        }
        let (turn, rest) = body.split_first_chunk::<8>()?;
        let (position, anchor) = rest.split_first_chunk::<8>()?;
        let mark = Mark {
            position: u64::from_be_bytes(*position),
            anchor: anchor.try_into().ok()?,
        };
        Some((u64::from_be_bytes(*turn), mark))
    }

    /// Refuses what is no store, or one under another master key; returns the mark.
    fn check_header(&self, folder: &Path) -> Result<Mark, KeyError> {
        let not_ours = || KeyError::NotAKeyStore {
            path: self.path.clone(),
        };
        let mut header = [0; CHECK_AT + SLOT_BYTES];
        let read = self.file.read_exact_at(&mut header, 0);
        read.map_err(|_| not_ours())?;
        let check = header.split_last_chunk::<SLOT_BYTES>();
        let check = check.and_then(|(_, check)| Slot::decode(check));
        if !header.starts_with(FORMAT) {
            return Err(not_ours());
        }
        if check.ok_or_else(not_ours)?.key(&self.master).is_none() {
            return Err(KeyError::WrongMasterKey {
                folder: folder.to_path_buf(),
            });
        }
        let marks = MARKS_AT.iter().filter_map(|at| self.mark_at(*at));
        let newest = marks.max_by_key(|(turn, _)| *turn);
        Ok(newest.map(|(_, mark)| mark).unwrap_or_default())
    }
}

fn place_of(number: u32) -> u64 {
    HEADER_BYTES as u64 + u64::from(number) * SLOT_BYTES as u64
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

/// Writes a mark into the header of a new store.
pub(super) fn write_mark_into(header: &mut [u8], mark: Mark) {
    let at = usize::try_from(MARKS_AT[0]).unwrap_or_default();
    let places = header.iter_mut().skip(at);
    for (to, from) in places.zip(encoded_mark(1, mark)) {
        *to = from;
    }
}

fn encoded_mark(turn: u64, mark: Mark) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(MARK_BYTES);
    bytes.extend_from_slice(&turn.to_be_bytes());
    bytes.extend_from_slice(&mark.position.to_be_bytes());
    bytes.extend_from_slice(&mark.anchor);
    let checksum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&checksum.to_be_bytes());
    bytes
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
