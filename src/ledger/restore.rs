//! Builds a data folder from backups.
//!
//! Invariants: every checksum, position and version is checked by the backup's reader and the audit
//! before a record is appended. The folder is built in a corner of itself and becomes one once
//! it is complete and durable ([`NewFolder`]), so that nothing half is ever taken for a good one. A
//! submission is never split over two commits.
//!
//! It deliberately does not know where the backups are read from.

mod error;

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

pub use self::error::RestoreError;
use super::audit::{Audit, Finding};
use crate::log::backup::{Anchor, BackupError, BackupReader, EndMark, Item};
use crate::log::{COMMIT_BYTES_MAX, DataFolder, Log, NewFolder, SledLog, SledOptions};
use crate::wire::block::RecordBlock;

/// A backup to restore from.
pub struct Source<'a> {
    /// What the user calls it.
    pub name: String,
    /// Its bytes, from the beginning.
    pub input: Box<dyn Read + 'a>,
}

/// What was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Number of records, which is the position reached.
    pub records: u64,
    /// Number of cases.
    pub cases: usize,
    /// The digest of the views at that position.
    pub views_digest: [u8; 32],
    /// What is remarkable and no reason not to restore.
    pub notes: Vec<String>,
}

/// Restores the backups, one continuing the other, into a folder that does not exist yet or is
/// empty, up to the end or up to before a position. `progress` is told the position reached.
///
/// # Errors
/// See [`RestoreError`]. There is then no folder that could be taken for a good one.
pub fn restore(
    sources: Vec<Source<'_>>,
    data: &Path,
    until: Option<u64>,
    progress: &mut dyn FnMut(u64),
) -> Result<Restored, RestoreError> {
    let new = NewFolder::create(data)?;
    let folder = Arc::new(DataFolder::open(new.building())?);
    // Nothing is read here, so that a cache would be of no use.
    let log = SledLog::open(folder, SledOptions::default())?;
    let mut restoring = Restoring {
        audit: Audit::new(),
        anchor: Anchor::default(),
        commits: Commits::new(&log),
        until: until.unwrap_or(u64::MAX),
        notes: Vec::new(),
        progress,
    };
    for source in sources {
        if restoring.audit.position() >= restoring.until {
            restoring.notes.push(format!(
                "{} is not needed and was not read: position {} was reached before it",
                source.name, restoring.until
            ));
            continue;
        }
        let name = source.name.clone();
        restoring.take(source).map_err(|fault| match fault {
            Fault::Backup(error) => RestoreError::Backup { name, error },
            Fault::Finding(offset, finding) => RestoreError::Finding {
                name,
                offset,
                finding,
            },
            Fault::Other(error) => error,
        })?;
    }
    let reached = restoring.audit.position();
    if let Some(until) = until.filter(|until| *until > reached) {
        return Err(RestoreError::EndsBefore { until, reached });
    }
    restoring.commits.finish()?;
    let Restoring { audit, notes, .. } = restoring;
    let views_digest = audit.views().map(|views| views.frozen().digest());
    log.close()?;
    // The folder is let go of before it takes its name.
    drop(log);
    new.finish()?;
    Ok(Restored {
        records: audit.records(),
        cases: audit.cases(),
        views_digest: views_digest.unwrap_or_default(),
        notes,
    })
}

/// A restore that is under way.
struct Restoring<'a> {
    audit: Audit,
    /// The record before the position that is next.
    anchor: Anchor,
    commits: Commits<'a>,
    until: u64,
    notes: Vec<String>,
    progress: &'a mut dyn FnMut(u64),
}

/// What is wrong with one backup.
enum Fault {
    Backup(BackupError),
    /// With the offset of its block in the file.
    Finding(u64, Finding),
    Other(RestoreError),
}

impl Restoring<'_> {
    /// Takes in a backup, which goes on where the one before it ended.
    fn take(&mut self, source: Source<'_>) -> Result<(), Fault> {
        let mut reader = BackupReader::open(source.input)?;
        let header = *reader.header();
        if header.first_position != self.audit.position() {
            return Err(Fault::Other(RestoreError::DoesNotFollow {
                name: source.name,
                expected: self.audit.position(),
                actual: header.first_position,
            }));
        }
        if header.anchor != self.anchor {
            return Err(Fault::Other(RestoreError::OtherLog {
                name: source.name,
                position: header.first_position,
            }));
        }
        let mut last_mark = None;
        while let Some(item) = reader.next_item()? {
            match item {
                Item::Block { offset, block } => {
                    let end = block.end_position();
                    self.take_block(offset, block)?;
                    if end >= self.until {
                        self.look_ahead(&mut reader, &source.name)?;
                        return Ok(());
                    }
                }
                Item::End(mark) => last_mark = Some(mark),
            }
        }
        self.anchor = reader.anchor();
        match last_mark {
            Some(mark) => self.compare_views(&mark, &source.name),
            None => Ok(()),
        }
    }

    fn take_block(&mut self, offset: u64, block: RecordBlock) -> Result<(), Fault> {
        let Some(block) = block.slice(0..self.until) else {
            return Ok(());
        };
        let mut refusal = None;
        let notes = &mut self.notes;
        self.audit.take(&block, &mut |finding| {
            if finding.kind.concerns_records() {
                refusal.get_or_insert(finding);
            } else if notes.len() < NOTES_MAX {
                notes.push(finding.to_string());
            }
        });
        if refusal.is_none() && block.end_position() == self.until {
            // Only the end of a submission is a state in which the log ever was.
            self.audit
                .finish(&mut |finding| refusal = refusal.take().or(Some(finding)));
        }
        if let Some(finding) = refusal {
            return Err(Fault::Finding(offset, finding));
        }
        let ends_submission = self.audit.is_between_submissions();
        self.commits
            .push(block, ends_submission)
            .map_err(Fault::Other)?;
        (self.progress)(self.audit.position());
        Ok(())
    }

    /// Reads on to the next end mark, whose digest covers the records that were taken. What is
    /// damaged behind them does no harm.
    fn look_ahead(
        &mut self,
        reader: &mut BackupReader<Box<dyn Read + '_>>,
        name: &str,
    ) -> Result<(), Fault> {
        loop {
            match reader.next_item() {
                Ok(Some(Item::Block { .. })) => {}
                Ok(Some(Item::End(mark))) if mark.position == self.until => {
                    return self.compare_views(&mark, name);
                }
                Ok(_) => return Ok(()),
                Err(error @ BackupError::Digest { .. }) => return Err(error.into()),
                Err(error) => {
                    self.notes.push(format!(
                        "{name} is damaged behind position {}, which does no harm: {error}",
                        self.until
                    ));
                    return Ok(());
                }
            }
        }
    }

    /// The views that the records add up to are those that the server had.
    fn compare_views(&mut self, mark: &EndMark, name: &str) -> Result<(), Fault> {
        let digest = self.audit.views().map(|views| views.frozen().digest());
        if digest == Some(mark.views_digest) {
            return Ok(());
        }
        if mark.software == env!("CARGO_PKG_VERSION") {
            return Err(Fault::Other(RestoreError::OtherViews {
                name: name.to_owned(),
                position: mark.position,
            }));
        }
        self.notes.push(format!(
            "the views at position {} are others than those of the server that was backed up, which \
             had version {}",
            mark.position, mark.software
        ));
        Ok(())
    }
}

/// How many notes are kept.
const NOTES_MAX: usize = 100;

/// Blocks on their way into the log: as many as fit in a commit, up to the end of a submission.
struct Commits<'a> {
    log: &'a dyn Log,
    blocks: Vec<RecordBlock>,
    bytes: usize,
    /// How many of the blocks end with a submission.
    complete: usize,
}

impl<'a> Commits<'a> {
    fn new(log: &'a dyn Log) -> Self {
        Self {
            log,
            blocks: Vec::new(),
            bytes: 0,
            complete: 0,
        }
    }

    fn push(&mut self, block: RecordBlock, ends_submission: bool) -> Result<(), RestoreError> {
        let bytes = block.as_bytes().len();
        if self.bytes.saturating_add(bytes) > COMMIT_BYTES_MAX {
            self.append()?;
        }
        self.bytes = self.bytes.saturating_add(bytes);
        self.blocks.push(block);
        if ends_submission {
            self.complete = self.blocks.len();
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), RestoreError> {
        self.append()
    }

    /// Appends the blocks up to the end of the last whole submission.
    fn append(&mut self) -> Result<(), RestoreError> {
        let rest = self.blocks.split_off(self.complete);
        self.log.append(self.log.head(), &self.blocks)?;
        self.bytes = rest.iter().map(|block| block.as_bytes().len()).sum();
        self.blocks = rest;
        self.complete = 0;
        Ok(())
    }
}

impl From<BackupError> for Fault {
    fn from(error: BackupError) -> Self {
        Self::Backup(error)
    }
}

impl fmt::Debug for Source<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Source")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "restore_tests.rs"]
mod tests;
