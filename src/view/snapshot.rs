//! Snapshots of the views: files beside the log from which a start goes on. Deleting them loses
//! nothing.
//!
//! A snapshot is taken piece by piece while the views go on: it names the position at which it
//! began, and a case in it may be further on. It is written aside, synced and renamed. It names the
//! version of the software that folded it, since another one may fold otherwise; a snapshot of
//! another version, or a damaged one, is not used, and the views are folded from position 0.
//!
//! Layout: the line [`MAGIC`], then frames of a length (u32, little-endian) and so many bytes in
//! postcard: a [`Header`], its number of cases, the request identifiers in frames of many, and the
//! position that the views had reached by then; then the CRC-32 of all before it (u32,
//! little-endian).

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{REQUEST_PARTS, Views};
use crate::domain::CaseState;
use crate::wire::moment::Moment;

const MAGIC: &[u8] = b"casetrail views 1\n";

/// Number of cases that are copied out of the views at a time: few enough that the writer does not
/// notice.
const CASES_PER_PIECE: usize = 4_096;

/// The largest frame that is read: more is damage.
const FRAME_BYTES_MAX: u32 = 1 << 30;

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
}

/// A snapshot that was read.
pub struct Restored {
    /// The views.
    pub views: Views,
    /// Number of records that the log must have: some cases may be as far on as this.
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

    /// The position of the snapshot; none where there is no whole one that this version can read.
    pub fn position(&self) -> Option<u64> {
        let file = File::open(self.path()).ok()?;
        check(&file).ok()?;
        let mut input = BufReader::new(File::open(self.path()).ok()?);
        let mut magic = [0; MAGIC.len()];
        input.read_exact(&mut magic).ok()?;
        let header = (magic == MAGIC).then(|| frame::<Header>(&mut input))?;
        Some(header.ok()?.position)
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
        check(&file)?;
        let mut input = BufReader::new(File::open(self.path())?);
        let mut magic = [0; MAGIC.len()];
        input.read_exact(&mut magic)?;
        if magic != MAGIC {
            return Err(SnapshotError::OtherVersion);
        }
        let header: Header = frame(&mut input)?;
        if header.software != software() {
            return Err(SnapshotError::OtherVersion);
        }
        let mut views = Views {
            position: header.position,
            recorded_at: header.recorded_at,
            unknown_records: header.unknown_records,
            ..Views::default()
        };
        for index in 0..header.cases {
            let case = frame::<CaseState>(&mut input)?.restored();
            views
                .event_ids
                .extend(case.facts().iter().map(|fact| fact.event_id));
            let index = usize::try_from(index).map_err(|_| SnapshotError::Damaged)?;
            views.case_index.insert(case.case_id(), index);
            views.cases.push(Arc::new(case));
        }
        for _ in 0..REQUEST_PARTS {
            for (request_id, position) in frame::<Vec<(Uuid, u64)>>(&mut input)? {
                views.request_ids.insert(request_id, position);
            }
        }
        let reached = frame(&mut input)?;
        Ok(Some(Restored {
            views,
            reached,
            anchor: header.anchor,
        }))
    }
}

/// Writes the snapshot into this file and syncs it.
fn write_aside(
    aside: &Path,
    views: &RwLock<Views>,
    anchor: impl FnOnce(u64) -> io::Result<[u8; 32]>,
) -> io::Result<u64> {
    let (position, recorded_at, unknown_records, cases) = {
        let views = read(views);
        (
            views.position,
            views.recorded_at,
            views.unknown_records,
            views.cases.len(),
        )
    };
    let mut out = Sink::new(BufWriter::new(File::create(aside)?));
    out.write_all(MAGIC)?;
    out.frame(&Header {
        software: software(),
        position,
        recorded_at,
        unknown_records,
        anchor: anchor(position)?,
        cases: cases as u64,
    })?;
    let mut from = 0;
    while from < cases {
        let to = (from + CASES_PER_PIECE).min(cases);
        let piece: Vec<Arc<CaseState>> =
            read(views).cases.get(from..to).unwrap_or_default().to_vec();
        for case in piece {
            out.frame(case.as_ref())?;
        }
        from = to;
    }
    for part in 0..REQUEST_PARTS {
        let piece: Vec<(Uuid, u64)> = read(views)
            .request_ids
            .0
            .get(part)
            .map(|part| part.iter().map(|(id, position)| (*id, *position)).collect())
            .unwrap_or_default();
        out.frame(&piece)?;
    }
    let reached = read(views).position;
    out.frame(&reached)?;
    let checksum = out.checksum.finalize();
    out.inner.write_all(&checksum.to_le_bytes())?;
    let file = out
        .inner
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    Ok(position)
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

/// Whether the file ends in the checksum of what is before it.
fn check(file: &File) -> Result<(), SnapshotError> {
    let length = file
        .metadata()?
        .len()
        .checked_sub(4)
        .ok_or(SnapshotError::Damaged)?;
    let mut input = BufReader::with_capacity(1 << 20, file);
    let mut checksum = crc32fast::Hasher::new();
    let mut body = input.by_ref().take(length);
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = body.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        checksum.update(buffer.get(..count).unwrap_or_default());
    }
    let mut stored = [0; 4];
    input.read_exact(&mut stored)?;
    if u32::from_le_bytes(stored) == checksum.finalize() {
        Ok(())
    } else {
        Err(SnapshotError::Damaged)
    }
}

fn frame<T: DeserializeOwned>(input: &mut impl Read) -> Result<T, SnapshotError> {
    let mut length = [0; 4];
    input.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length > FRAME_BYTES_MAX {
        return Err(SnapshotError::Damaged);
    }
    let mut bytes = Vec::new();
    input.take(u64::from(length)).read_to_end(&mut bytes)?;
    postcard::from_bytes(&bytes).map_err(|_| SnapshotError::Damaged)
}

/// A file being written, with the checksum of what was written.
struct Sink<W> {
    inner: W,
    checksum: crc32fast::Hasher,
    buffer: Vec<u8>,
}

impl<W: Write> Sink<W> {
    fn new(inner: W) -> Self {
        Self {
            inner,
            checksum: crc32fast::Hasher::new(),
            buffer: Vec::new(),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.checksum.update(bytes);
        self.inner.write_all(bytes)
    }

    fn frame(&mut self, value: &impl Serialize) -> io::Result<()> {
        let buffer = std::mem::take(&mut self.buffer);
        let mut buffer = postcard::to_extend(value, buffer).map_err(io::Error::other)?;
        let length = u32::try_from(buffer.len()).map_err(io::Error::other)?;
        self.write_all(&length.to_le_bytes())?;
        self.write_all(&buffer)?;
        buffer.clear();
        self.buffer = buffer;
        Ok(())
    }
}
