//! The record of disclosures: to whom personal data was disclosed, whose, of which classes, how many
//! values, and what for. It holds no personal value.
//!
//! A file of its own, since a disclosure changes no case: a line of text that names the format, then
//! frames of a length (4 bytes, big-endian), a CRC-32 of length and content (4 bytes), and an encoded
//! `casetrail.v1.Disclosure`.
//!
//! Invariants: a disclosure is durable before anything of it is sent. The file is only appended to;
//! what a crash tore off its end was never told, and is kept aside. A write that fails ends disclosing.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use prost::Message;
use uuid::Uuid;

use crate::wire::v1::Disclosure;

const FORMAT: &[u8] = b"casetrail disclosures 1\n";
const FRAME_BYTES: usize = 8;
/// A frame is no longer: it names at most what one page discloses.
const CONTENT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How many bytes behind the last whole frame a crash can have torn: appends that were not synced.
const TORN_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// The open record of disclosures.
pub(super) struct Disclosures {
    file: File,
    end: Mutex<End>,
    /// Up to where the file is durable. Held during a sync, so that those who wait for one share it.
    synced: Mutex<u64>,
}

struct End {
    at: u64,
    next_number: u64,
    broken: bool,
}

impl Disclosures {
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path);
        let file = opened?;
        let length = file.metadata()?.len();
        // Before anything is recorded, a power cut can leave the first line in any state.
        let is_new = length <= FORMAT.len() as u64;
        if is_new {
            file.write_all_at(FORMAT, 0)?;
        } else {
            let mut format = vec![0; FORMAT.len()];
            file.read_exact_at(&mut format, 0)?;
            if format != FORMAT {
                let what = format!("{} is no record of disclosures", path.display());
                return Err(io::Error::other(what));
            }
        }
        let mut end = End {
            at: FORMAT.len() as u64,
            next_number: 0,
            broken: false,
        };
        while let Some((disclosure, next)) = read(&file, end.at)? {
            end.next_number = disclosure.number.saturating_add(1);
            end.at = next;
        }
        if length > end.at {
            cut(&path, &file, end.at, length)?;
        }
        file.sync_all()?;
        if let Some(folder) = path.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok(Self {
            synced: Mutex::new(end.at),
            file,
            end: Mutex::new(end),
        })
    }

    /// Records a disclosure under the next number, which it returns, durably. Blocks.
    pub(super) fn record(&self, mut disclosure: Disclosure) -> io::Result<u64> {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        if end.broken {
            return Err(io::Error::other("an earlier write failed"));
        }
        let number = end.next_number;
        disclosure.number = number;
        let content = disclosure.encode_to_vec();
        let length = u32::try_from(content.len()).map_err(io::Error::other)?;
        let mut frame = Vec::with_capacity(FRAME_BYTES + content.len());
        frame.extend_from_slice(&length.to_be_bytes());
        frame.extend_from_slice(&checksum(length, &content).to_be_bytes());
        frame.extend_from_slice(&content);
        if let Err(error) = self.file.write_all_at(&frame, end.at) {
            end.broken = true;
            return Err(error);
        }
        end.at = end.at.saturating_add(frame.len() as u64);
        end.next_number = number.saturating_add(1);
        let own_end = end.at;
        drop(end);
        self.sync_to(own_end)?;
        Ok(number)
    }

    /// Disclosures from a place in the file on, at most so many, of one subject or of all, and the place
    /// of the next one where there is one. `is_told` leaves out of one what is not told of it, and says
    /// whether anything is. Blocks.
    pub(super) fn list(
        &self,
        from: u64,
        subject: Option<Uuid>,
        count: usize,
        is_told: impl Fn(&mut Disclosure) -> bool,
    ) -> io::Result<(Vec<Disclosure>, Option<u64>)> {
        let until = *self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        let subject = subject.map(|subject| subject.to_string());
        let mut at = from.max(FORMAT.len() as u64);
        let mut listed = Vec::new();
        while at < until {
            let damaged = || io::Error::other("the record of disclosures is damaged");
            let (mut disclosure, next) = read(&self.file, at)?.ok_or_else(damaged)?;
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
            at = next;
        }
        Ok((listed, None))
    }

    fn sync_to(&self, own_end: u64) -> io::Result<()> {
        let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        if *synced >= own_end {
            return Ok(());
        }
        let written = {
            let end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
            if end.broken {
                return Err(io::Error::other("an earlier write failed"));
            }
            end.at
        };
        match self.file.sync_data() {
            Ok(()) => {
                *synced = written;
                Ok(())
            }
            Err(error) => {
                self.end
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .broken = true;
                Err(error)
            }
        }
    }
}

/// The disclosure at a place, and where the next one begins; none where there is no whole one.
fn read(file: &File, at: u64) -> io::Result<Option<(Disclosure, u64)>> {
    let mut head = [0; FRAME_BYTES];
    if !read_whole(file, &mut head, at)? {
        return Ok(None);
    }
    let [a, b, c, d, e, f, g, h] = head;
    let length = u32::from_be_bytes([a, b, c, d]);
    let content_length = usize::try_from(length).unwrap_or(usize::MAX);
    if content_length > CONTENT_BYTES_MAX {
        return Ok(None);
    }
    let mut content = vec![0; content_length];
    let at = at.saturating_add(FRAME_BYTES as u64);
    let is_whole = read_whole(file, &mut content, at)?
        && checksum(length, &content) == u32::from_be_bytes([e, f, g, h]);
    if !is_whole {
        return Ok(None);
    }
    let disclosure = Disclosure::decode(content.as_slice()).map_err(io::Error::other)?;
    Ok(Some((disclosure, at.saturating_add(u64::from(length)))))
}

/// False where the file ends before.
fn read_whole(file: &File, buffer: &mut [u8], at: u64) -> io::Result<bool> {
    match file.read_exact_at(buffer, at) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Puts aside what a crash left behind the last whole frame, and cuts it off.
fn cut(path: &Path, file: &File, end: u64, length: u64) -> io::Result<()> {
    let torn = length.saturating_sub(end);
    if torn > TORN_BYTES_MAX {
        return Err(io::Error::other(format!(
            "{} is damaged at byte {end}: {torn} bytes behind it can't be read; keep a copy, and cut it \
             there to go on without them",
            path.display()
        )));
    }
    let mut bytes = vec![0; usize::try_from(torn).unwrap_or_default()];
    file.read_exact_at(&mut bytes, end)?;
    let aside = path.with_extension(format!("torn-at-{end}"));
    fs::write(&aside, &bytes)?;
    File::open(&aside)?.sync_all()?;
    tracing::warn!(
        bytes = torn,
        "the record of disclosures ended in a torn entry, which is put aside"
    );
    file.set_len(end)
}

fn checksum(length: u32, content: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length.to_be_bytes());
    hasher.update(content);
    hasher.finalize()
}
