//! Changing the master key: every key is wrapped anew into a new file, which takes the place of the old
//! one, and the old one is overwritten. The log is not touched, and no subject's key changes.
//!
//! An interruption at any point leaves one whole file: the old one until the new one is durable, the
//! new one from then on. [`finish`] does what an interruption left undone, before the store is opened.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use chacha20poly1305::XChaCha20Poly1305;

use super::error::{KeyError, failed};
use super::master::{MASTER_KEY_FILE, MasterKeySource, aside, make, sync_folder_of};
use super::slot::Slot;
use super::store::{CHECKED_BYTES, KeyStore, SLOTS_AT_ONCE, SUBJECTS, check_of, header, note_into};
use super::value::NONCE_BYTES;

/// The rotated store while it is written.
const NEW: &str = "subjects.rotated";
/// The store under the old master key, once the new one is durable.
const OLD: &str = "subjects.old";
/// The store's own new master key, until it takes the place of the old one.
const MASTER_NEW: &str = "master.key.new";

/// Wraps every key of a store under another master key, and destroys the old wrappings. Without `to`
/// the master key is the store's own file, which gets a new key. Nobody may use the store meanwhile.
/// Returns of how many persons there are keys.
///
/// # Errors
/// As [`KeyStore::open`], a store that was damaged since the log was last told to it, and a source that
/// gives another key when it is asked again. The store is then whole, under the one master key or the
/// other.
pub fn rotate(
    folder: &Path,
    from: &MasterKeySource,
    to: Option<&MasterKeySource>,
) -> Result<usize, KeyError> {
    let store = KeyStore::open(folder, from)?.ok_or_else(|| KeyError::NoStore {
        folder: folder.to_path_buf(),
    })?;
    if !store.is_as_noted() {
        // A key in a damaged slot may be one that the log can tell, and is lost once it isn't wrapped anew.
        return Err(KeyError::Damaged {
            folder: folder.to_path_buf(),
            slots: store.damaged_slots(),
        });
    }
    if let Err(error) = prepare(&store, folder, to) {
        // Of what was made nothing counts yet; what can't be removed now is by the next start.
        let _ = finish(folder);
        return Err(error);
    }
    let current = folder.join(SUBJECTS);
    fs::rename(&current, folder.join(OLD)).map_err(failed("put aside", &current))?;
    sync_folder_of(&current)?;
    finish(folder)?;
    Ok(store.subjects())
}

/// Makes the store under the other master key, beside the present one.
fn prepare(store: &KeyStore, folder: &Path, to: Option<&MasterKeySource>) -> Result<(), KeyError> {
    let own = MasterKeySource::File(folder.join(MASTER_NEW));
    if to.is_none() {
        destroy(&folder.join(MASTER_NEW))?;
        make(&folder.join(MASTER_NEW))?;
    }
    let to = to.unwrap_or(&own);
    rewrap(store, folder, &to.read()?)?;
    // What the source gave may be nothing that it ever gives again.
    let new = folder.join(NEW);
    let mut header = [0; CHECKED_BYTES];
    let again = to.read()?;
    let read = File::open(&new).and_then(|mut file| file.read_exact(&mut header));
    read.map_err(failed("read", &new))?;
    if check_of(&header).is_none_or(|check| check.key(&again).is_none()) {
        return Err(to.fault(
            "is another one when it is asked for again, and would be lost: nothing was changed; \
             give a source that stays the same",
        ));
    }
    Ok(())
}

/// Finishes what a rotation that was interrupted left: once the old store stands aside, the new one is
/// durable and takes its place.
pub(super) fn finish(folder: &Path) -> Result<(), KeyError> {
    let (old, new) = (folder.join(OLD), folder.join(NEW));
    let (master, master_new) = (folder.join(MASTER_KEY_FILE), folder.join(MASTER_NEW));
    for half_made in [&master, &master_new].map(|path| aside(path)) {
        destroy(&half_made)?;
    }
    if !is_there(&old)? {
        // It was interrupted before the new one counted.
        destroy(&new)?;
        return destroy(&master_new);
    }
    if is_there(&new)? {
        let current = folder.join(SUBJECTS);
        fs::rename(&new, &current).map_err(failed("put in place", &current))?;
        sync_folder_of(&current)?;
    }
    if is_there(&master_new)? {
        // The new name stands for the old key no longer than for a moment; what it held is overwritten.
        overwrite(&master)?;
        fs::rename(&master_new, &master).map_err(failed("put in place", &master))?;
        sync_folder_of(&master)?;
    }
    destroy(&old)
}

fn rewrap(store: &KeyStore, folder: &Path, master: &XChaCha20Poly1305) -> Result<(), KeyError> {
    let path = folder.join(NEW);
    let file = &store.file;
    let mut content = header(master)?;
    note_into(&mut content, store.noted);
    let mut written = OpenOptions::new();
    let written = written.write(true).create(true).truncate(true).mode(0o600);
    let mut written = written.open(&path).map_err(failed("make", &path))?;
    let mut first = 0_u32;
    loop {
        let slots = file.slots_from(first, SLOTS_AT_ONCE)?;
        for bytes in &slots {
            // What is damaged is nothing that the log names, or no key any more; it stays as it is.
            let Some(slot) = Slot::decode(bytes) else {
                content.extend_from_slice(bytes);
                continue;
            };
            let mut nonce = [0; NONCE_BYTES];
            getrandom::fill(&mut nonce).map_err(|error| KeyError::Random {
                cause: error.to_string(),
            })?;
            let slot = slot.rewrapped(&file.master, master, nonce);
            let slot = slot.ok_or_else(|| KeyError::WrongMasterKey {
                folder: folder.to_path_buf(),
            })?;
            content.extend_from_slice(&slot.encode());
        }
        written
            .write_all(&content)
            .map_err(failed("write", &path))?;
        content.clear();
        if slots.len() < SLOTS_AT_ONCE {
            break;
        }
        first = first.saturating_add(u32::try_from(slots.len()).unwrap_or(u32::MAX));
    }
    written.sync_all().map_err(failed("sync", &path))?;
    sync_folder_of(&path)
}

/// Whether a folder holds a key store, be it one whose rotation is to be finished.
pub(super) fn holds_store(folder: &Path) -> Result<bool, KeyError> {
    Ok(is_there(&folder.join(SUBJECTS))? || is_there(&folder.join(OLD))?)
}

fn is_there(path: &Path) -> Result<bool, KeyError> {
    path.try_exists().map_err(failed("find", path))
}

/// Overwrites a file, if it is there, and removes it.
fn destroy(path: &Path) -> Result<(), KeyError> {
    if !is_there(path)? {
        return Ok(());
    }
    overwrite(path)?;
    fs::remove_file(path).map_err(failed("remove", path))?;
    sync_folder_of(path)
}

/// Overwrites a file with zeros, durably: what was in it is not in its blocks any more, as far as the
/// file system writes in place.
fn overwrite(path: &Path) -> Result<(), KeyError> {
    let opened = OpenOptions::new().read(true).write(true).open(path);
    let overwritten = opened.and_then(|mut file| {
        let length = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(0))?;
        io::copy(&mut io::repeat(0).take(length), &mut file)?;
        file.sync_all()
    });
    overwritten.map_err(failed("overwrite", path))
}
