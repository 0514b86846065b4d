//! What the recorder wrote down: every change of the files, every sync and every send, in the order
//! in which they took effect.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// The length of what comes before an entry's path: two u32 and three u64, little-endian.
const HEAD_BYTES: usize = 32;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A process began.
    Start,
    /// A file was made, empty.
    Create,
    MakeFolder,
    /// Where in the file, and where in the trace what was written is.
    Write(u64, Range<usize>),
    /// The file has this length now.
    Truncate(u64),
    /// The file reaches at least up to here.
    Allocate(u64),
    /// Its new path.
    Rename(String),
    Unlink,
    /// `fsync` of a file.
    Sync,
    /// `fdatasync` of a file.
    SyncData,
    SyncFolder,
    /// `sync_file_range`, which makes nothing durable.
    SyncRange,
    /// A send through a socket, and where in the trace what was sent is.
    Send(Range<usize>),
}

/// One entry. The path is below the recorded folder; a send has the socket's name instead.
#[derive(Clone, Debug)]
pub struct Entry {
    pub path: String,
    pub happening: Happening,
}

/// A trace, in the order of its entries.
#[derive(Clone)]
pub struct Trace {
    bytes: Arc<Vec<u8>>,
    pub entries: Vec<Entry>,
}

impl Trace {
    pub fn read(path: &Path) -> Self {
        let bytes = Arc::new(std::fs::read(path).unwrap());
        let mut entries = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let (entry, end) = entry_at(&bytes, at);
            entries.push(entry);
            at = end;
        }
        Self { bytes, entries }
    }

    /// What was written or sent.
    pub fn data(&self, range: &Range<usize>) -> &[u8] {
        &self.bytes[range.clone()]
    }
}

/// The entry that begins here, and where it ends.
fn entry_at(bytes: &[u8], at: usize) -> (Entry, usize) {
    let kind = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let path_bytes = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap());
    let number = |index: usize| {
        let from = at + 8 + index * 8;
        u64::from_le_bytes(bytes[from..from + 8].try_into().unwrap())
    };
    let (offset, length, data_bytes) = (number(0), number(1), number(2));
    let path_end = at + HEAD_BYTES + path_bytes as usize;
    let data = path_end..path_end + data_bytes as usize;
    let text = |range: Range<usize>| String::from_utf8(bytes[range].to_vec()).unwrap();
    let end = data.end;
    // As `enum kind` in recorder.c.
    let happening = match kind {
        1 => Happening::Start,
        2 => Happening::Create,
        3 => Happening::MakeFolder,
        4 => Happening::Write(offset, data),
        5 => Happening::Truncate(length),
        6 => Happening::Allocate(offset + length),
        7 => Happening::Rename(text(data)),
        8 => Happening::Unlink,
        9 => Happening::Sync,
        10 => Happening::SyncData,
        11 => Happening::SyncFolder,
        12 => Happening::SyncRange,
        13 => Happening::Send(data),
        kind => panic!("the trace has an entry of kind {kind} at byte {at}"),
    };
    let path = text(at + HEAD_BYTES..path_end);
    (Entry { path, happening }, end)
}
