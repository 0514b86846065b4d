//! The frames of a snapshot: the length of the body (u32, little-endian), the CRC-32 of the frame's
//! number (u64, little-endian) and its body (u32, little-endian), and the body. So each is checked
//! as it is read, whoever reads it, and none can stand in the place of another.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};

use super::SnapshotError;

/// The largest frame that is read: more is damage.
const FRAME_BYTES_MAX: u32 = 1 << 30;

/// After how many bytes what was written is synced: so much at most waits for the disk when the
/// log's next sync does.
const SYNC_BYTES: usize = 8 * 1024 * 1024;

/// Writes frames into a file.
pub(super) struct FrameWriter {
    out: BufWriter<File>,
    number: u64,
    unsynced: usize,
}

impl FrameWriter {
    /// Frames after what is in the file so far.
    pub(super) fn new(file: File) -> Self {
        Self {
            out: BufWriter::with_capacity(1 << 16, file),
            number: 0,
            unsynced: 0,
        }
    }

    /// Number of frames written.
    pub(super) fn count(&self) -> u64 {
        self.number
    }

    pub(super) fn write(&mut self, body: &[u8]) -> io::Result<()> {
        let length = u32::try_from(body.len()).map_err(io::Error::other)?;
        self.out.write_all(&length.to_le_bytes())?;
        self.out
            .write_all(&checksum(self.number, body).to_le_bytes())?;
        self.out.write_all(body)?;
        self.number += 1;
        self.unsynced += body.len();
        if self.unsynced >= SYNC_BYTES {
            self.out.flush()?;
            self.out.get_ref().sync_data()?;
            self.unsynced = 0;
        }
        Ok(())
    }

    /// Makes all that was written durable.
    pub(super) fn finish(self) -> io::Result<()> {
        let file = self
            .out
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        file.sync_all()
    }
}

/// Reads each so-manieth frame of a file, so that several can share the work.
pub(super) struct FrameReader {
    input: BufReader<File>,
    body: Vec<u8>,
    number: u64,
    stride: u64,
    offset: u64,
}

impl FrameReader {
    /// The frames from where the file stands on whose number leaves `offset` when divided by
    /// `stride`.
    pub(super) fn new(input: BufReader<File>, offset: u64, stride: u64) -> Self {
        Self {
            input,
            body: Vec::new(),
            number: 0,
            stride,
            offset,
        }
    }

    /// Number of frames passed so far.
    pub(super) fn count(&self) -> u64 {
        self.number
    }

    /// The next of these frames; none at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, SnapshotError> {
        loop {
            let mut head = [0; 8];
            if self.input.fill_buf()?.is_empty() {
                return Ok(None);
            }
            self.input.read_exact(&mut head)?;
            let number = self.number;
            self.number += 1;
            let [a, b, c, d, stored @ ..] = head;
            let length = u32::from_le_bytes([a, b, c, d]);
            if length > FRAME_BYTES_MAX {
                return Err(SnapshotError::Damaged);
            }
            if number % self.stride != self.offset {
                self.input.seek_relative(i64::from(length))?;
                continue;
            }
            self.body.clear();
            let read = self
                .input
                .by_ref()
                .take(u64::from(length))
                .read_to_end(&mut self.body)?;
            let whole = u32::try_from(read) == Ok(length);
            if !whole || checksum(number, &self.body) != u32::from_le_bytes(stored) {
                return Err(SnapshotError::Damaged);
            }
            return Ok(Some(&self.body));
        }
    }
}

fn checksum(number: u64, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&number.to_le_bytes());
    hasher.update(body);
    hasher.finalize()
}
