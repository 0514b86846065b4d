//! The record of disclosures: to whom personal data was disclosed, whose, of which classes, how many
//! values, and what for. It holds no personal value.
//!
//! A file of its own, since a disclosure changes no case: a line of text that names the format, then
//! one frame behind the other (`frames`). Beside it, a small mark says how many disclosures were once
//! durable in it, as a lower bound.
//!
//! Invariants: a disclosure is durable before anything of it is sent. No number is given twice, and
//! none that was told is lost without a word: what a crash tore off the end was never told and is kept
//! aside; whatever else is missing or damaged refuses the start. A sync that fails ends disclosing.

mod frames;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::log::HighWaterMark;
use crate::wire::v1::Disclosure;

const FORMAT: &[u8] = b"casetrail disclosures 2\n";
/// How many bytes behind the last whole frame a crash can have torn: appends that were not synced.
const TORN_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// A page of a list looks through no more bytes of the file: where there is more, the next one goes on.
const LISTED_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The open record of disclosures.
pub(super) struct Disclosures {
    file: File,
    end: Mutex<End>,
    /// Held during a sync, so that those who wait for one share it.
    syncing: Mutex<()>,
    mark: HighWaterMark,
    /// What the mark says.
    marked: AtomicU64,
}

#[derive(Clone, Copy)]
struct End {
    at: u64,
    next_number: u64,
    /// Up to where the file is durable.
    durable: u64,
    /// The first number that is not durable.
    durable_number: u64,
    broken: bool,
}

impl Disclosures {
    /// Opens the record, or begins one. `accept_missing` says that what is missing or damaged in it may
    /// be lost; what can be read is then kept, the file as it was is put aside, and no number is given
    /// again as far as it is known.
    pub(super) fn open(path: &Path, accept_missing: bool) -> io::Result<Self> {
        let mark = HighWaterMark::at(path.with_extension("mark"));
        let marked = mark.read().map_err(io::Error::other)?;
        let mut file = open_file(path)?;
        let mut found = Found::in_file(&file, path)?;
        if found.is_damaged || found.next_number < marked {
            let fault = found.fault(path, marked);
            if !accept_missing {
                return Err(io::Error::other(format!(
                    "{fault}: put a whole copy of the file back, or, if there is none, start once with \
                     --accept-missing-disclosures, which keeps the file as it is aside and goes on with \
                     what can be read"
                )));
            }
            tracing::warn!(%fault, "disclosures are lost, as was accepted");
        }
        if found.is_damaged {
            lift(path, &file, found.end)?;
            file = open_file(path)?;
            found = Found::in_file(&file, path)?;
        } else if found.length > found.end {
            cut(path, &file, &found)?;
        }
        if let Some(last) = marked
            .checked_sub(1)
            .filter(|last| *last >= found.next_number)
        {
            // An entry of nobody, of which no list tells, carries the numbers on behind those that are
            // missing: that they are was accepted, and is not asked again.
            let carries_on = Disclosure {
                number: last,
                ..Disclosure::default()
            };
            let frame = frames::encode(&carries_on, found.end)?;
            file.write_all_at(&frame, found.end)?;
            found.end = found.end.saturating_add(frame.len() as u64);
            found.next_number = marked;
        }
        file.sync_all()?;
        sync_folder_of(path)?;
        let next_number = found.next_number;
        Ok(Self {
            file,
            end: Mutex::new(End {
                at: found.end,
                next_number,
                durable: found.end,
                durable_number: next_number,
                broken: false,
            }),
            syncing: Mutex::new(()),
            mark,
            marked: AtomicU64::new(marked),
        })
    }

    /// Records a disclosure under the next number, which it returns, durably. Blocks.
    ///
    /// # Errors
    /// It can't be written, and the next one may be; or it can't be synced, which ends disclosing.
    pub(super) fn record(&self, mut disclosure: Disclosure) -> io::Result<u64> {
        let mut end = self.end();
        if end.broken {
            return Err(io::Error::other("an earlier write or sync failed"));
        }
        let number = end.next_number;
        disclosure.number = number;
        let frame = frames::encode(&disclosure, end.durable)?;
        if let Err(error) = self.file.write_all_at(&frame, end.at) {
            // What was written of it is behind the end, and goes.
            end.broken = self.file.set_len(end.at).is_err();
            return Err(error);
        }
        end.at = end.at.saturating_add(frame.len() as u64);
        end.next_number = number.saturating_add(1);
        let own_end = end.at;
        drop(end);
        self.sync_to(own_end)?;
        Ok(number)
    }

    /// Makes the mark say how many disclosures are durable by now. Blocks.
    ///
    /// # Errors
    /// The mark can't be written; the old one stays.
    pub(super) fn record_mark(&self) -> io::Result<()> {
        let durable = self.end().durable_number;
        if durable > self.marked.load(Ordering::Relaxed) {
            self.mark.record(durable).map_err(io::Error::other)?;
            self.marked.store(durable, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Disclosures from a place in the file on, at most so many, of one subject or of all, and the place
    /// of the next one where there is one, or to go on from: it looks through a bounded part of the file.
    /// `is_told` leaves out of one what is not told of it, and says whether anything is. Blocks.
    ///
    /// # Errors
    /// They can't be read.
    pub(super) fn list(
        &self,
        from: u64,
        subject: Option<Uuid>,
        count: usize,
        is_told: impl Fn(&mut Disclosure) -> bool,
    ) -> io::Result<(Vec<Disclosure>, Option<u64>)> {
        let until = self.end().durable;
        let subject = subject.map(|subject| subject.to_string());
        let begin = from.max(FORMAT.len() as u64);
        let mut at = begin;
        let mut listed = Vec::new();
        while at < until {
            if at.saturating_sub(begin) >= LISTED_BYTES_MAX {
                return Ok((listed, Some(at)));
            }
            let damaged = || io::Error::other("the record of disclosures is damaged");
            let frame = frames::read(&self.file, at)?.ok_or_else(damaged)?;
            let mut disclosure = frame.disclosure;
            if let Some(subject) = &subject {
                disclosure
                    .values
                    .retain(|values| values.subject_id == *subject);
            }
            // A search by name that found nobody concerns no subject.
            let of_nobody = disclosure.name_search && subject.is_none();
            if (of_nobody || !disclosure.values.is_empty()) && is_told(&mut disclosure) {
                if listed.len() >= count {
                    return Ok((listed, Some(at)));
                }
                listed.push(disclosure);
            }
            at = frame.next;
        }
        Ok((listed, None))
    }

    fn sync_to(&self, own_end: u64) -> io::Result<()> {
        let _syncing = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        let written = *self.end();
        if written.durable >= own_end {
            return Ok(());
        }
        if written.broken {
            return Err(io::Error::other("an earlier write or sync failed"));
        }
        let synced = self.file.sync_data();
        let mut end = self.end();
        match &synced {
            Ok(()) => (end.durable, end.durable_number) = (written.at, written.next_number),
            Err(_) => end.broken = true,
        }
        synced
    }

    fn end(&self) -> MutexGuard<'_, End> {
        // Nothing panics while it is held.
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is in the file.
struct Found {
    length: u64,
    /// Behind the whole frames from the beginning on.
    end: u64,
    next_number: u64,
    /// Whether what is behind the end is no crash's work.
    is_damaged: bool,
}

impl Found {
    fn in_file(file: &File, path: &Path) -> io::Result<Self> {
        let mut length = file.metadata()?.len();
        // Before anything is recorded, a power cut can leave the first line in any state.
        if length <= FORMAT.len() as u64 {
            file.write_all_at(FORMAT, 0)?;
            length = FORMAT.len() as u64;
        }
        let mut format = [0; FORMAT.len()];
        file.read_exact_at(&mut format, 0)?;
        if format != FORMAT {
            let what = format!(
                "{} is no record of disclosures of this version of casetrail",
                path.display()
            );
            return Err(io::Error::other(what));
        }
        let mut found = Self {
            length,
            end: FORMAT.len() as u64,
            next_number: 0,
            is_damaged: false,
        };
        while let Some(frame) = frames::read(file, found.end)? {
            found.next_number = frame.disclosure.number.saturating_add(1);
            found.end = frame.next;
        }
        found.is_damaged = length.saturating_sub(found.end) > TORN_BYTES_MAX;
        let mut behind = found.end;
        while !found.is_damaged
            && behind < length
            && let Some(frame) = frames::find(file, behind)?
        {
            found.is_damaged = frame.durable > found.end;
            behind = frame.next;
        }
        Ok(found)
    }

    fn fault(&self, path: &Path, marked: u64) -> String {
        let file = path.display();
        if self.is_damaged || self.length > self.end {
            return format!("{file} is damaged at byte {}", self.end);
        }
        format!(
            "{file} holds disclosures up to number {} alone, and those before number {marked} were once \
             recorded",
            self.next_number
        )
    }
}

/// Makes a file of what can be read of a damaged one, in its place, and puts that one aside.
fn lift(path: &Path, file: &File, first_damage: u64) -> io::Result<()> {
    let new = path.with_extension("lifted");
    let mut lifted = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    lifted.write_all(FORMAT)?;
    let mut at = FORMAT.len() as u64;
    let mut written = at;
    while let Some(frame) = frames::find(file, at)? {
        let bytes = frames::encode(&frame.disclosure, written)?;
        lifted.write_all(&bytes)?;
        written = written.saturating_add(bytes.len() as u64);
        at = frame.next;
    }
    lifted.sync_all()?;
    let aside = path.with_extension(format!("damaged-at-{first_damage}"));
    match fs::hard_link(path, &aside) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => sync_folder_of(path)?,
    }
    fs::rename(&new, path)
}

/// Puts aside what a crash left behind the last whole frame, and cuts it off.
fn cut(path: &Path, file: &File, found: &Found) -> io::Result<()> {
    let torn = found.length.saturating_sub(found.end);
    let mut bytes = vec![0; usize::try_from(torn).unwrap_or_default()];
    file.read_exact_at(&mut bytes, found.end)?;
    let aside = path.with_extension(format!("torn-at-{}", found.end));
    let mut kept = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&aside)?;
    kept.write_all(&bytes)?;
    kept.sync_all()?;
    tracing::warn!(
        bytes = torn,
        "the record of disclosures ended in a torn entry, which is put aside"
    );
    file.set_len(found.end)
}

fn open_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

fn sync_folder_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}
