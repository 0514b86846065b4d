//! A backup as a file on a disk: written aside and renamed where it is new, and continued behind its
//! last end mark where it exists.
//!
//! A backup that was begun and not ended leaves nothing: what is new is removed, what exists is cut
//! back. A crash may leave a file `NAME.new`, which the next backup overwrites, or a torn end, which
//! it cuts off.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use memchr::memmem;

use super::super::files::{self, failed};
use super::marks::{END_BEGINS, EndMark, Header, TEXT_BYTES_MAX};
use super::{Anchor, BackupError, BackupReader, BackupWriter, Chain, Item};
use crate::wire::block::RecordBlock;

/// How many bytes are searched at a time.
const SEARCH_BYTES: u64 = 4 * 1024 * 1024;

/// A backup that is written.
#[derive(Debug)]
pub struct BackupFile {
    /// None once it was ended.
    writer: Option<BackupWriter<BufWriter<LockedFile>>>,
    path: PathBuf,
    start: Start,
}

/// How a backup that is written began.
#[derive(Debug)]
enum Start {
    /// Aside, in this file.
    Aside(PathBuf),
    /// Behind the so many bytes that are whole, in the file itself.
    Behind(u64),
}

/// A backup that exists and is whole up to an end mark.
#[derive(Debug)]
pub struct ExistingBackup {
    file: LockedFile,
    path: PathBuf,
    header: Header,
    whole: Whole,
    torn_bytes: u64,
}

/// What of a backup is whole: all before its last end mark, and this.
#[derive(Debug)]
struct Whole {
    position: u64,
    anchor: Anchor,
    chain: Chain,
    bytes: u64,
}

impl BackupFile {
    /// Begins a new backup, in a file that its owner alone may read.
    ///
    /// # Errors
    /// The file system's, and `InUse` where another backup writes the same file.
    pub fn create(path: &Path, header: &Header) -> Result<Self, BackupError> {
        let mut name = path.as_os_str().to_owned();
        name.push(".new");
        let aside = PathBuf::from(name);
        let opened = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&aside);
        let file = opened.map_err(failed("write", &aside))?;
        let file = LockedFile::lock(file, path)?;
        file.0.set_len(0).map_err(failed("write", &aside))?;
        let mut backup = Self {
            writer: None,
            path: path.to_path_buf(),
            start: Start::Aside(aside),
        };
        backup.writer = Some(BackupWriter::begin(BufWriter::new(file), header)?);
        Ok(backup)
    }

    /// Writes the next block.
    ///
    /// # Errors
    /// As [`BackupWriter::block`].
    pub fn block(&mut self, block: &RecordBlock) -> Result<(), BackupError> {
        self.writer
            .as_mut()
            .map_or(Ok(()), |writer| writer.block(block))
    }

    /// Ends the run and makes it durable; the length of the file in bytes.
    ///
    /// # Errors
    /// The file system's. The file is then as it was before.
    pub fn end(mut self, views_digest: [u8; 32], software: &str) -> Result<u64, BackupError> {
        let Some(writer) = self.writer.take() else {
            return Ok(0);
        };
        let file = writer.end(views_digest, software).and_then(|output| {
            let file = output
                .into_inner()
                .map_err(io::IntoInnerError::into_error)?;
            file.0.sync_all()?;
            Ok(file)
        });
        let file = file.inspect_err(|_| self.undo())?;
        let bytes = file.0.metadata()?.len();
        if let Start::Aside(aside) = &self.start {
            let renamed = fs::rename(aside, &self.path).map_err(failed("write", &self.path));
            renamed.inspect_err(|_| self.undo())?;
            files::sync_parent(&self.path)?;
        }
        Ok(bytes)
    }

    fn undo(&self) {
        // What can't be undone now is left to the next backup.
        let _ = match &self.start {
            Start::Aside(aside) => fs::remove_file(aside),
            Start::Behind(whole) => OpenOptions::new()
                .write(true)
                .open(&self.path)
                .and_then(|file| file.set_len(*whole).and_then(|()| file.sync_all())),
        };
    }
}

impl Drop for BackupFile {
    fn drop(&mut self) {
        // What is still in the buffer goes first, so that nothing is written after the cut.
        if self.writer.take().is_some() {
            self.undo();
        }
    }
}

impl ExistingBackup {
    /// Verifies a backup that is to be continued. Nothing is changed.
    ///
    /// # Errors
    /// What is not a backup, is of a newer format, or is damaged before its last end mark.
    pub fn open(path: &Path) -> Result<Self, BackupError> {
        let opened = OpenOptions::new().read(true).write(true).open(path);
        let file = opened.map_err(failed("open", path))?;
        let file = LockedFile::lock(file, path)?;
        let bytes = file.0.metadata().map_err(failed("look at", path))?.len();
        let mut reader = BackupReader::open(&file.0)?;
        let header = *reader.header();
        let mut whole = None;
        loop {
            match reader.next_item() {
                Ok(Some(Item::Block { .. })) => {}
                Ok(Some(Item::End(_))) => {
                    whole = Some(Whole {
                        position: reader.position(),
                        anchor: reader.anchor(),
                        chain: reader.chain().clone(),
                        bytes: reader.offset(),
                    });
                }
                Ok(None) => break,
                // A run that was cut off has no end mark; with one behind it, this is damage.
                Err(error) if error.is_in_content() && !holds_end_mark(&file.0, &reader)? => {
                    match whole {
                        Some(_) => break,
                        None => return Err(error),
                    }
                }
                Err(error) => return Err(error),
            }
        }
        let whole = whole.ok_or(BackupError::NotABackup)?;
        let torn_bytes = bytes.saturating_sub(whole.bytes);
        Ok(Self {
            path: path.to_path_buf(),
            header,
            whole,
            torn_bytes,
            file,
        })
    }

    /// What it begins with.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The position of its last end mark.
    pub fn position(&self) -> u64 {
        self.whole.position
    }

    /// The record before that position.
    pub fn anchor(&self) -> Anchor {
        self.whole.anchor
    }

    /// How many bytes a run that did not come to its end left behind the last end mark.
    pub fn torn_bytes(&self) -> u64 {
        self.torn_bytes
    }

    /// Cuts off what follows the last end mark, durably.
    ///
    /// # Errors
    /// The file system's.
    pub fn cut(&mut self) -> Result<(), BackupError> {
        if self.torn_bytes > 0 {
            let file = &self.file.0;
            let cut = file.set_len(self.whole.bytes);
            cut.and_then(|()| file.sync_all())
                .map_err(failed("shorten", &self.path))?;
            self.torn_bytes = 0;
        }
        Ok(())
    }

    /// Goes on behind the last end mark, once what follows it is cut off.
    ///
    /// # Errors
    /// As [`Self::cut`].
    pub fn go_on(mut self) -> Result<BackupFile, BackupError> {
        self.cut()?;
        let Whole {
            position,
            chain,
            bytes,
            ..
        } = self.whole;
        self.file.0.seek(SeekFrom::Start(bytes))?;
        let output = BufWriter::new(self.file);
        Ok(BackupFile {
            writer: Some(BackupWriter::go_on(output, position, chain)),
            path: self.path,
            start: Start::Behind(bytes),
        })
    }
}

/// A file that is locked, so that two backups don't write it at once.
#[derive(Debug)]
struct LockedFile(File);

impl LockedFile {
    fn lock(file: File, path: &Path) -> Result<Self, BackupError> {
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(BackupError::InUse {
                path: path.to_path_buf(),
            }),
            Err(TryLockError::Error(cause)) => Err(failed("lock", path)(cause).into()),
        }
    }
}

impl Write for LockedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Drop for LockedFile {
    /// Closing the file would not be enough while a process that was just forked still has it.
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// Whether a whole end mark stands anywhere behind what was read.
fn holds_end_mark(mut file: &File, reader: &BackupReader<&File>) -> Result<bool, BackupError> {
    file.seek(SeekFrom::Start(reader.offset()))?;
    let mut bytes = Vec::new();
    loop {
        let count = file.take(SEARCH_BYTES).read_to_end(&mut bytes)?;
        for offset in memmem::find_iter(&bytes, END_BEGINS) {
            let text = bytes.get(offset..).unwrap_or_default();
            let text = text.get(..TEXT_BYTES_MAX).unwrap_or(text);
            let end = memmem::find_iter(text, b"\n").nth(1);
            if end
                .and_then(|end| EndMark::parse(text.get(..=end)?))
                .is_some()
            {
                return Ok(true);
            }
        }
        if count == 0 {
            return Ok(false);
        }
        // One may begin in what was read and end in what comes next.
        let done = bytes.len().saturating_sub(TEXT_BYTES_MAX);
        bytes.drain(..done);
    }
}
