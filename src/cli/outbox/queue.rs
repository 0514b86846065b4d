//! The queue file: opened, locked and written so that a crash at any byte loses nothing that was told
//! as done.
//!
//! Invariants:
//! - One command writes the file at a time; a lock held by the system ends with its process. Who only
//!   looks takes none, and keeps nobody from writing.
//! - Once a command has opened the file, all in it is whole, durable and sealed: a torn tail is cut
//!   off, and the last seal and whole lines behind it are written once more, since a failed sync may
//!   have left them in the system's memory alone.
//! - A failed write ends writing.
//! - The file is made for its owner alone (0600): what it holds can be personal. No error shows any of
//!   it.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::entries::{Entries, Entry, State};
use super::format::{self, Content, Fault, HEADER, Record};
use crate::cli::failure::Failure;
use crate::cli::salvage::shell_word;

/// The permissions of the file: its owner reads and writes it.
const MODE: u32 = 0o600;
/// Up to which size a queue is appended to, in bytes. It is read as a whole; a worker who writes for a
/// year stays far below. One that is larger is listed, sent and pruned all the same, and takes answers.
const QUEUE_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// How often a look is taken at a file that is written meanwhile.
const LOOKS_MAX: usize = 16;
/// How many names are tried for a file that takes the place of another one.
const NAMES_MAX: u32 = 16;

/// A queue that is open for writing; nobody else writes it meanwhile.
#[derive(Debug)]
pub(super) struct Queue {
    file: File,
    path: PathBuf,
    /// The length of the file, in bytes: everything before it is durable and sealed.
    end: u64,
    entries: Entries,
    torn_bytes: u64,
    has_failed: bool,
    bytes_max: u64,
}

/// What a queue holds, as one looks at it.
#[derive(Debug)]
pub(super) struct Look {
    /// The submissions.
    pub(super) entries: Entries,
    /// How many bytes at the end are not whole: another command is writing them, or was interrupted.
    pub(super) torn_bytes: u64,
}

/// Whether a file that isn't there is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// It is made.
    Make,
    /// It is an error.
    Refuse,
}

impl Queue {
    /// Opens a queue file, and puts in order what an interrupted command left.
    ///
    /// # Errors
    /// `Usage` where there is no such file, or it is something else; `Failed` where another command
    /// works with it, where it is damaged, and what the file system says.
    pub(super) fn open(path: &Path, missing: Missing) -> Result<Self, Failure> {
        refuse_what_is_no_file(path)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        options.create(missing == Missing::Make).mode(MODE);
        let file = loop {
            let file = options.open(path).map_err(not_opened(path))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(in_use(path)),
                Err(TryLockError::Error(cause)) => return Err(failed("locking", path)(cause)),
            }
            // It may have been replaced by a pruned one between opening and locking.
            if is_at(&file, path) {
                break file;
            }
        };
        let bytes = read_all(&file, path)?;
        let content = format::read(&bytes).map_err(not_a_queue(path))?;
        let mut queue = Self {
            file,
            path: path.to_path_buf(),
            end: 0,
            entries: Entries::default(),
            torn_bytes: 0,
            has_failed: false,
            bytes_max: QUEUE_BYTES_MAX,
        };
        let settled = queue.settle(&bytes, &content);
        settled.map_err(failed("writing", path))?;
        queue.entries = content.records.into_iter().collect();
        Ok(queue)
    }

    /// Makes all that is whole durable and sealed, and cuts off the rest.
    fn settle(&mut self, bytes: &[u8], content: &Content) -> io::Result<()> {
        let Content {
            whole_bytes,
            seal_begins,
            sealed_bytes,
            ..
        } = *content;
        if whole_bytes == 0 {
            self.file.set_permissions(Permissions::from_mode(MODE))?;
            self.file.write_all_at(HEADER, 0)?;
            self.end = length(HEADER);
        } else {
            let doubtful = bytes.get(seal_begins..whole_bytes).unwrap_or_default();
            let whole = bytes.get(..whole_bytes).unwrap_or_default();
            self.file
                .write_all_at(doubtful, length(whole) - length(doubtful))?;
            self.end = length(whole);
            self.torn_bytes = length(bytes) - self.end;
        }
        self.file.set_len(self.end)?;
        self.file.sync_all()?;
        sync_folder(&self.path)?;
        if whole_bytes > sealed_bytes {
            self.seal()?;
        }
        Ok(())
    }

    /// How many bytes of a torn tail were cut off when it was opened.
    pub(super) fn torn_bytes(&self) -> u64 {
        self.torn_bytes
    }

    /// What is in the queue.
    pub(super) fn entries(&self) -> &Entries {
        &self.entries
    }

    /// Appends submissions, as [`Queue::write`] writes.
    ///
    /// # Errors
    /// As [`Queue::write`], and `Failed` where the queue would grow beyond its limit; nothing is
    /// written then.
    pub(super) fn append(&mut self, records: Vec<Record>) -> Result<(), Failure> {
        let lines = render(&records)?;
        if self.end.saturating_add(length(lines.as_bytes())) > self.bytes_max {
            return Err(too_large(&self.path, self.bytes_max));
        }
        self.write_lines(records, &lines)
    }

    /// Writes records. Once it returns they are durable, and in the queue.
    ///
    /// # Errors
    /// What the file system says: then it is not known what of it was written, and nothing more can
    /// be.
    pub(super) fn write(&mut self, records: Vec<Record>) -> Result<(), Failure> {
        let lines = render(&records)?;
        self.write_lines(records, &lines)
    }

    fn write_lines(&mut self, records: Vec<Record>, lines: &str) -> Result<(), Failure> {
        let path = self.path.clone();
        if self.has_failed {
            let text = format!("{}: an earlier write failed", path.display());
            return Err(Failure::Failed(text));
        }
        self.has_failed = true;
        let written = self.put(lines.as_bytes()).and_then(|()| self.seal());
        written.map_err(failed("writing", &path))?;
        self.has_failed = false;
        records.into_iter().for_each(|each| self.entries.take(each));
        Ok(())
    }

    /// Appends a seal: everything before it is durable.
    fn seal(&mut self) -> io::Result<()> {
        self.put(format::seal(self.end).as_bytes())
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.end)?;
        self.file.sync_data()?;
        self.end += length(bytes);
        Ok(())
    }

    /// Replaces the file by one without what is recorded or removed.
    ///
    /// # Errors
    /// What the file system says; the file is then as it was.
    pub(super) fn prune(self) -> Result<(), Failure> {
        // Through a link the file itself is replaced.
        let path = fs::canonicalize(&self.path).map_err(failed("reading", &self.path))?;
        let is_recorded = |entry: &Entry| matches!(entry.state, State::Recorded(_));
        let records = self.entries.records(|entry| !is_recorded(entry));
        let mut content = HEADER.to_vec();
        content.extend_from_slice(render(&records)?.as_bytes());
        let seal = format::seal(length(&content));
        content.extend_from_slice(seal.as_bytes());
        let (aside, file) = create_beside(&path).map_err(failed("replacing", &path))?;
        let written = file
            .write_all_at(&content, 0)
            .and_then(|()| file.sync_all());
        let replaced = written.and_then(|()| fs::rename(&aside, &path));
        replaced.map_err(|cause| {
            // The old one is as it was, and this one's content is in it.
            let _ = fs::remove_file(&aside);
            failed("replacing", &path)(cause)
        })?;
        sync_folder(&path).map_err(failed("syncing the folder of", &path))
    }
}

impl Drop for Queue {
    /// Closing the file would not be enough while a process that was just forked still has it.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

/// Looks at a queue without changing anything.
///
/// # Errors
/// As [`Queue::open`]; one that is written all the time can't be looked at.
pub(super) fn look(path: &Path) -> Result<Look, Failure> {
    let mut before = None;
    for _ in 0..LOOKS_MAX {
        let bytes = read_file(path)?;
        match format::read(&bytes) {
            Ok(content) => {
                let whole = bytes.get(..content.whole_bytes).unwrap_or_default();
                return Ok(Look {
                    torn_bytes: length(&bytes) - length(whole),
                    entries: content.records.into_iter().collect(),
                });
            }
            Err(fault) if before.as_ref() == Some(&bytes) => return Err(not_a_queue(path)(fault)),
            // It was perhaps read while a tail was cut off and written anew.
            Err(_) => before = Some(bytes),
        }
    }
    Err(in_use(path))
}

/// What is whole of a damaged queue, and the numbers of the lines that are not.
///
/// # Errors
/// Where the file can't be read, or nothing in it is of a queue.
pub(super) fn read_damaged(path: &Path) -> Result<(Entries, Vec<u64>), Failure> {
    let bytes = read_file(path)?;
    let (records, others) = format::read_whole_lines(&bytes);
    if records.is_empty() && format::read(&bytes) == Err(Fault::NotAnOutbox) {
        return Err(not_a_queue(path)(Fault::NotAnOutbox));
    }
    Ok((records.into_iter().collect(), others))
}

fn render(records: &[Record]) -> Result<String, Failure> {
    let lines: Result<String, _> = records.iter().map(format::render).collect();
    lines.map_err(|error| Failure::local("a submission or its answer can't be kept", &error))
}

/// Makes a file beside another one, under a name that nothing had: what is there is never written
/// over.
fn create_beside(path: &Path) -> io::Result<(PathBuf, File)> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(MODE);
    let mut number = 1;
    loop {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".pruned-{}-{number}", std::process::id()));
        let aside = PathBuf::from(name);
        match options.open(&aside) {
            Ok(file) => {
                file.set_permissions(Permissions::from_mode(MODE))?;
                return Ok((aside, file));
            }
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists && number < NAMES_MAX => {
                number += 1;
            }
            Err(cause) => return Err(cause),
        }
    }
}

/// A pipe or a device is no queue, and the opening of one may wait for ever.
fn refuse_what_is_no_file(path: &Path) -> Result<(), Failure> {
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => {
            let text = format!("{}: is no file; name a queue file", path.display());
            Err(Failure::Usage(text))
        }
        // That it is not there is for the opening to tell.
        _ => Ok(()),
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    refuse_what_is_no_file(path)?;
    read_all(&File::open(path).map_err(not_opened(path))?, path)
}

fn read_all(file: &File, path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let mut reader = file;
    reader
        .read_to_end(&mut bytes)
        .map_err(failed("reading", path))?;
    Ok(bytes)
}

/// Whether this file still has this name.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(ours), Ok(named)) => (ours.dev(), ours.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

/// Syncs the folder that a file is in, so that the file keeps its name.
fn sync_folder(path: &Path) -> io::Result<()> {
    // Through a link, and of a relative name, it is another folder than the name says.
    let path = fs::canonicalize(path)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    File::open(folder)?.sync_all()
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn not_opened(path: &Path) -> impl Fn(io::Error) -> Failure {
    move |cause| {
        let advice = match cause.kind() {
            io::ErrorKind::NotFound => "; casetrail outbox append makes a queue file",
            _ => "",
        };
        Failure::Usage(format!("{}: {cause}{advice}", path.display()))
    }
}

fn not_a_queue(path: &Path) -> impl Fn(Fault) -> Failure {
    move |fault| match fault {
        Fault::NotAnOutbox => Failure::Usage(format!("{}: {fault}", path.display())),
        Fault::Damaged { .. } => Failure::Failed(format!(
            "{}: {fault}\nTo lift what is whole into a new file, and leave this one as it is:\n  {}",
            path.display(),
            salvage_command(path)
        )),
        _ => Failure::Failed(format!("{}: {fault}", path.display())),
    }
}

/// What to type to lift what is whole out of a file.
fn salvage_command(path: &Path) -> String {
    let mut salvaged = path.as_os_str().to_owned();
    salvaged.push(".salvaged");
    format!(
        "casetrail outbox salvage {} --queue {}",
        shell_word(path),
        shell_word(Path::new(&salvaged))
    )
}

fn in_use(path: &Path) -> Failure {
    Failure::Failed(format!(
        "{}: another casetrail outbox command is at work with this file; try again once it has ended",
        path.display()
    ))
}

fn too_large(path: &Path, bytes_max: u64) -> Failure {
    Failure::Failed(format!(
        "{}: a queue is appended to up to {} MiB. Send what waits, then leave out what is recorded:\n  \
         casetrail outbox prune --queue {}",
        path.display(),
        bytes_max / 1024 / 1024,
        shell_word(path)
    ))
}

fn failed(what: &str, path: &Path) -> impl Fn(io::Error) -> Failure {
    move |cause| Failure::Failed(format!("{what} {} failed: {cause}", path.display()))
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
