//! Snapshots of the views: files beside the log from which a start goes on. Deleting them loses
//! nothing.
//!
//! A snapshot is taken while the views go on: it names the position at which it began and holds the
//! cases as they stood there. The tables of identifiers are copied piece by piece, and may be further
//! on: what they have too much is folded once more and changes nothing. So no lock is held for longer
//! than it takes to copy a piece. The snapshot is written aside, synced and renamed. It names the
//! version of the software that folded it, since another one may fold otherwise; a snapshot of
//! another version, or a damaged one, is not used, and the views are folded from position 0.
//!
//! Layout: the line [`MAGIC`], then [`frames`]: a [`Header`], cases in portions, the parts of the
//! tables, and an [`End`]. The first byte of a frame says which of these it is. CaseList, header and end
//! are in postcard.

mod frames;

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use self::frames::{FrameReader, FrameWriter};
use super::hash::IdHasher;
use super::table::{Entry, Table};
use super::{CaseList, Views};
use crate::domain::CaseState;
use crate::wire::moment::Moment;

const MAGIC: &[u8] = b"casetrail views 4\n";

/// Number of cases in a frame.
const FRAME_CASES: usize = 1_024;

/// The size of a frame from which on no further part of a table is put into it.
const FRAME_TABLE_BYTES: usize = 512 * 1024;

/// The size of a snapshot from which on several threads read it.
const SHARED_BYTES_MIN: u64 = 4 * 1024 * 1024;

/// The most threads that read a snapshot.
const READERS_MAX: usize = 4;

/// What a frame holds; the byte at its beginning.
const HEADER: u8 = 1;
const CASES: u8 = 2;
const CASE_IDS: u8 = 3;
const EVENT_IDS: u8 = 4;
const REQUEST_IDS: u8 = 5;
const END: u8 = 6;

/// The snapshot file of a data folder.
#[derive(Debug, Clone)]
pub struct SnapshotFile {
    folder: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Header {
    software: String,
    position: u64,
    recorded_at: Moment,
    unknown_records: u64,
    /// SHA-256 of the record before the position: it ties the snapshot to its log.
    anchor: [u8; 32],
    cases: u64,
    hasher: IdHasher,
}

#[derive(Serialize, Deserialize)]
struct End {
    /// Number of frames before this one.
    frames: u64,
    /// The position that the views had reached when the last piece was taken.
    reached: u64,
    /// The request_ids that are kept in full.
    exact_request_ids: HashMap<Uuid, Option<u64>>,
}

/// A snapshot that was read.
pub struct Restored {
    /// The views.
    pub views: Views,
    /// Number of records that the log must have: some identifiers may be of records as far on as
    /// this.
    pub reached: u64,
    /// SHA-256 of the record before their position.
    pub anchor: [u8; 32],
}

impl SnapshotFile {
    /// The snapshot file in this folder, which need not exist.
    pub fn in_folder(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Where the file is.
    pub fn path(&self) -> PathBuf {
        self.folder.join("snapshot")
    }

    /// Writes a snapshot of views that go on meanwhile, and returns its position. `anchor` gives the
    /// SHA-256 of the record before a position.
    ///
    /// # Errors
    /// The file system's. The snapshot before it then still stands.
    pub fn write(
        &self,
        views: &RwLock<Views>,
        anchor: impl FnOnce(u64) -> io::Result<[u8; 32]>,
    ) -> io::Result<u64> {
        fs::create_dir_all(&self.folder)?;
        let aside = self.folder.join("snapshot.new");
        let written = write_aside(&aside, views, anchor)
            .and_then(|position| fs::rename(&aside, self.path()).map(|()| position));
        if written.is_err() {
            // A half-written file is of no use and takes up room.
            let _ = fs::remove_file(&aside);
        }
        File::open(&self.folder)?.sync_all()?;
        written
    }

    /// The position that the snapshot names; none where its beginning can't be read.
    pub fn position(&self) -> Option<u64> {
        let mut input = BufReader::new(File::open(self.path()).ok()?);
        let mut magic = [0; MAGIC.len()];
        input.read_exact(&mut magic).ok()?;
        let mut frames = FrameReader::new(input, 0, 1);
        let first = (magic == MAGIC).then(|| frames.next())?.ok()??;
        let mut share = Share::default();
        share.take(first)?;
        Some(share.header?.position)
    }

    /// Reads the snapshot; none where there is none.
    ///
    /// # Errors
    /// A snapshot that is damaged or of another version; it is of no use then.
    pub fn read(&self) -> Result<Option<Restored>, SnapshotError> {
        let file = match File::open(self.path()) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let readers = if file.metadata()?.len() < SHARED_BYTES_MIN {
            1
        } else {
            std::thread::available_parallelism().map_or(1, |count| count.get().min(READERS_MAX))
        };
        let path = self.path();
        let shares = std::thread::scope(|scope| {
            let read = |offset| Share::read(&path, offset, readers as u64);
            let others: Vec<_> = (1..readers as u64)
                .map(|offset| scope.spawn(move || read(offset)))
                .collect();
            let mut shares = vec![read(0)];
            for other in others {
                // A reader that panicked has read nothing of use.
                shares.push(other.join().unwrap_or(Err(SnapshotError::Damaged)));
            }
            shares.into_iter().collect::<Result<Vec<_>, _>>()
        })?;
        assemble(shares).map(Some)
    }
}

/// How many bytes of the file a reader asks for at a time.
const READ_BYTES: usize = 1024 * 1024;

/// What one of several readers has read.
#[derive(Default)]
struct Share {
    header: Option<Header>,
    /// Portions of the cases by the place of the first.
    cases: Vec<(u64, Vec<Arc<CaseState>>)>,
    views: Views,
    end: Option<End>,
    /// Number of frames in the file.
    frames: u64,
}

impl Share {
    fn read(path: &Path, offset: u64, stride: u64) -> Result<Self, SnapshotError> {
        let file = File::open(path)?;
        // The system is told that all of it is wanted, and may refuse to listen.
        let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::WillNeed);
        let mut input = BufReader::with_capacity(READ_BYTES, file);
        let mut magic = [0; MAGIC.len()];
        input.read_exact(&mut magic)?;
        if magic != MAGIC {
            return Err(SnapshotError::OtherVersion);
        }
        let mut share = Self::default();
        let mut frames = FrameReader::new(input, offset, stride);
        while let Some(frame) = frames.next()? {
            share.take(frame).ok_or(SnapshotError::Damaged)?;
            let header = share.header.as_ref();
            if header.is_some_and(|header| header.software != software()) {
                return Err(SnapshotError::OtherVersion);
            }
        }
        share.frames = frames.count();
        Ok(share)
    }

    fn take(&mut self, frame: &[u8]) -> Option<()> {
        let (kind, body) = frame.split_first()?;
        match *kind {
            HEADER => self.header = Some(postcard::from_bytes(body).ok()?),
            CASES => {
                let (first, mut rest) = postcard::take_from_bytes(body).ok()?;
                let mut cases = Vec::with_capacity(FRAME_CASES);
                while !rest.is_empty() {
                    let (case, after) = postcard::take_from_bytes::<CaseState>(rest).ok()?;
                    cases.push(Arc::new(case.restored()));
                    rest = after;
                }
                self.cases.push((first, cases));
            }
            CASE_IDS => self.views.case_ids.table_mut().get_parts(body)?,
            EVENT_IDS => self.views.event_ids.table_mut().get_parts(body)?,
            REQUEST_IDS => self.views.request_ids.table_mut().get_parts(body)?,
            END => self.end = Some(postcard::from_bytes(body).ok()?),
            _ => return None,
        }
        Some(())
    }
}

/// Puts together what was read. Each frame was checked; here it is whether all are there.
fn assemble(shares: Vec<Share>) -> Result<Restored, SnapshotError> {
    let mut header = None;
    let mut end = None;
    let mut cases = Vec::new();
    let mut views = Views::default();
    let frames = shares.first().map_or(0, |share| share.frames);
    for share in shares {
        header = header.or(share.header);
        end = end.or(share.end);
        cases.extend(share.cases);
        let other = share.views;
        views
            .case_ids
            .table_mut()
            .merge(other.case_ids.into_table());
        views
            .event_ids
            .table_mut()
            .merge(other.event_ids.into_table());
        views
            .request_ids
            .table_mut()
            .merge(other.request_ids.into_table());
    }
    let (Some(header), Some(end)) = (header, end) else {
        return Err(SnapshotError::Damaged);
    };
    cases.sort_unstable_by_key(|(first, _)| *first);
    for (first, portion) in cases {
        if first != views.cases.len() as u64 {
            return Err(SnapshotError::Damaged);
        }
        for case in portion {
            views.cases.push(case);
        }
    }
    if end.frames.checked_add(1) != Some(frames) || views.cases.len() as u64 != header.cases {
        return Err(SnapshotError::Damaged);
    }
    views.find_mentions();
    views.position = header.position;
    views.recorded_at = header.recorded_at;
    views.unknown_records = header.unknown_records;
    views.hasher = header.hasher;
    *views.request_ids.exact_mut() = end.exact_request_ids;
    Ok(Restored {
        views,
        reached: end.reached,
        anchor: header.anchor,
    })
}

/// Writes the snapshot into this file and syncs it.
fn write_aside(
    aside: &Path,
    views: &RwLock<Views>,
    anchor: impl FnOnce(u64) -> io::Result<[u8; 32]>,
) -> io::Result<u64> {
    let mut file = File::create(aside)?;
    file.write_all(MAGIC)?;
    let mut out = FrameWriter::new(file);
    let (mut header, cases) = {
        let views = read(views);
        let header = Header {
            software: software(),
            position: views.position,
            recorded_at: views.recorded_at,
            unknown_records: views.unknown_records,
            anchor: [0; 32],
            cases: views.cases.len() as u64,
            hasher: views.hasher,
        };
        (header, views.cases.clone())
    };
    header.anchor = anchor(header.position)?;
    out.write(&encoded(HEADER, &header, Vec::new())?)?;
    write_cases(&mut out, cases)?;
    write_table(&mut out, CASE_IDS, views, |views| views.case_ids.table())?;
    write_table(&mut out, EVENT_IDS, views, |views| views.event_ids.table())?;
    write_table(&mut out, REQUEST_IDS, views, |views| {
        views.request_ids.table()
    })?;
    let end = {
        let views = read(views);
        End {
            frames: out.count(),
            reached: views.position,
            exact_request_ids: views.request_ids.exact().clone(),
        }
    };
    out.write(&encoded(END, &end, Vec::new())?)?;
    out.finish()?;
    Ok(header.position)
}

/// Writes the cases; each portion is let go once it is written.
fn write_cases(out: &mut FrameWriter, cases: CaseList) -> io::Result<()> {
    let mut cases = cases.into_iter().peekable();
    let mut first: u64 = 0;
    let mut body = Vec::new();
    while cases.peek().is_some() {
        body.clear();
        body = encoded(CASES, &first, body)?;
        for case in cases.by_ref().take(FRAME_CASES) {
            body = postcard::to_extend(case.as_ref(), body).map_err(io::Error::other)?;
            first += 1;
        }
        out.write(&body)?;
    }
    Ok(())
}

/// Writes the parts of a table, each copied under a lock of its own.
fn write_table<E: Entry>(
    out: &mut FrameWriter,
    kind: u8,
    views: &RwLock<Views>,
    table: impl Fn(&Views) -> &Table<E>,
) -> io::Result<()> {
    let parts = table(&read(views)).parts();
    let mut body = vec![kind];
    for part in 0..parts {
        // Room is made before the lock is taken, so that no memory is asked for under it.
        body.reserve(FRAME_TABLE_BYTES);
        table(&read(views)).put_part(part, &mut body);
        if body.len() >= FRAME_TABLE_BYTES {
            out.write(&body)?;
            body.truncate(1);
        }
    }
    if body.len() > 1 {
        out.write(&body)?;
    }
    Ok(())
}

/// A frame's beginning: the byte that says what it holds, and a value.
fn encoded(kind: u8, value: &impl Serialize, mut body: Vec<u8>) -> io::Result<Vec<u8>> {
    body.push(kind);
    postcard::to_extend(value, body).map_err(io::Error::other)
}

/// Why a snapshot is of no use.
#[derive(Debug)]
pub enum SnapshotError {
    /// Another version of the software wrote it.
    OtherVersion,
    /// Its checksum or its content is wrong.
    Damaged,
    /// It can't be read.
    Io(io::Error),
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherVersion => write!(f, "another version of the software wrote it"),
            Self::Damaged => write!(f, "its checksum or its content is wrong"),
            Self::Io(error) => write!(f, "it can't be read: {error}"),
        }
    }
}

impl std::error::Error for SnapshotError {}

impl From<io::Error> for SnapshotError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            Self::Damaged
        } else {
            Self::Io(error)
        }
    }
}

/// The version that folds: another one may fold otherwise.
fn software() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

fn read(views: &RwLock<Views>) -> std::sync::RwLockReadGuard<'_, Views> {
    // A poisoned lock means that a fold panicked, which folding never does.
    views
        .read()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
