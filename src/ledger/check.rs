//! The check of a stopped server's data folder: the audit of its log, and whether its snapshot, its
//! high-water mark and its other files agree with it.
//!
//! It looks at a copy, since opening the log writes to it, unless it is told to open the folder
//! itself. It goes on behind what is wrong as far as it can, and judges nothing by the software that
//! decided: see [`super::audit`].

use std::path::Path;
use std::sync::Arc;

use super::audit::{Audit, Finding, FindingKind};
use super::recovery;
use crate::log::{
    DataFolder, HighWaterMark, Log, OpenError, ReadError, SledLog, SledOptions, StoppedFolder,
};
use crate::view::{SnapshotError, SnapshotFile, Views};

/// How many bytes of blocks are read at a time.
const READ_BYTES: usize = 4 * 1024 * 1024;

/// How many positions in a row are tried behind one that can't be read. A block that is damaged
/// holds few records; where so many are gone, the database itself is.
const HOLE_MAX: u64 = 100_000;

/// What a check looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Number of records that were looked at.
    pub records: u64,
    /// Number of cases that were seen.
    pub cases: usize,
    /// Digest of the views that the log adds up to; none where records are missing.
    pub views_digest: Option<[u8; 32]>,
    /// What is remarkable and not wrong.
    pub notes: Vec<String>,
}

/// Checks a data folder that no server uses, and tells what is wrong with it. The log is opened in
/// `copy`, an empty folder, or where there is none in the data folder itself. `progress` is told the
/// position reached, and the head.
///
/// # Errors
/// What is no data folder, is in use, or can't be copied. Whatever is wrong in it is a finding.
pub fn check_folder(
    data: &Path,
    copy: Option<&Path>,
    report: &mut dyn FnMut(Finding),
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Checked, OpenError> {
    let stopped = StoppedFolder::open(data)?;
    let opened = read_mark(&stopped.opened(), report)?;
    let stopped = match copy {
        Some(copy) => {
            stopped.copy_into(copy)?;
            Some(stopped)
        }
        // It is opened itself, which takes the lock again.
        None => {
            drop(stopped);
            None
        }
    };
    let place = copy.unwrap_or(data);
    // What was opened is a copy, and what is told is about the folder.
    let told = |error: &OpenError| {
        let copy = place.to_string_lossy();
        error.to_string().replace(&*copy, &data.to_string_lossy())
    };
    let folder = Arc::new(DataFolder::open(place)?);
    let log = match open_log(&folder, copy.is_some(), report) {
        Ok(log) => log,
        Err(error @ OpenError::Io { .. }) => return Err(error),
        Err(error) => {
            let (kind, position) = match &error {
                OpenError::RecordMissing { position, .. } => (FindingKind::Missing, *position),
                OpenError::ShorterThanMark { head, .. } => (FindingKind::Missing, *head),
                _ => (FindingKind::Folder, 0),
            };
            report(Finding::new(kind, position, told(&error)));
            let mut checked = Checked::default();
            if let Some(stopped) = stopped {
                let whole = stopped.whole_records()?;
                let known = opened.max(stopped.mark().read().unwrap_or_default());
                if kind == FindingKind::Folder && whole < known {
                    let what = "no whole block in the log's file holds the record";
                    report(Finding::new(FindingKind::Missing, whole, what));
                }
                checked.notes.push(format!(
                    "the log was not opened; its file holds the first {whole} records in whole \
                     blocks"
                ));
            }
            return Ok(checked);
        }
    };
    if opened > log.head() {
        let what = format!("the log had {opened} records when it was last opened: some are lost");
        report(Finding::new(FindingKind::Missing, log.head(), what));
    }
    let mut notes = Vec::new();
    let snapshot = SnapshotFile::in_folder(folder.views_path());
    let snapshot = read_snapshot(&log, &snapshot, report, &mut notes);
    let mut checked = check_log(&log, snapshot, report, progress);
    checked.notes = notes;
    Ok(checked)
}

/// The log, and in a copy also without its mark where that is damaged.
fn open_log(
    folder: &Arc<DataFolder>,
    is_copy: bool,
    report: &mut dyn FnMut(Finding),
) -> Result<SledLog, OpenError> {
    let options = SledOptions::default();
    match SledLog::open(Arc::clone(folder), options) {
        Err(OpenError::MarkDamaged { path }) if is_copy => {
            report(mark_damaged(&path));
            std::fs::remove_file(&path).map_err(|cause| OpenError::Io {
                action: "remove",
                path,
                cause,
            })?;
            SledLog::open(Arc::clone(folder), options)
        }
        opened => opened,
    }
}

fn read_mark(mark: &HighWaterMark, report: &mut dyn FnMut(Finding)) -> Result<u64, OpenError> {
    match mark.read() {
        Err(OpenError::MarkDamaged { path }) => {
            report(mark_damaged(&path));
            Ok(0)
        }
        read => read,
    }
}

fn mark_damaged(path: &Path) -> Finding {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Finding::new(
        FindingKind::Folder,
        0,
        format!("the file {name} is damaged"),
    )
}

/// The views of the snapshot, folded on to the head; none where there is none, or it is of no use.
fn read_snapshot(
    log: &dyn Log,
    file: &SnapshotFile,
    report: &mut dyn FnMut(Finding),
    notes: &mut Vec<String>,
) -> Option<Views> {
    let mut tell = |position, what: String| {
        report(Finding::new(FindingKind::Snapshot, position, what));
    };
    let restored = match file.read() {
        Ok(restored) => restored?,
        Err(error @ SnapshotError::OtherVersion) => {
            notes.push(format!("the snapshot of the views is not used: {error}"));
            return None;
        }
        Err(error) => {
            tell(
                0,
                format!("the snapshot of the views is of no use: {error}"),
            );
            return None;
        }
    };
    let position = restored.views.position();
    if restored.reached > log.head() {
        tell(
            position,
            format!(
                "the snapshot was made of {} records, and the log has {}",
                restored.reached,
                log.head()
            ),
        );
        return None;
    }
    // Where the log can't be read, the audit tells it.
    if recovery::anchor(log, position).ok()? != restored.anchor {
        tell(
            position,
            "the snapshot was made of another log: the record before it differs".to_owned(),
        );
        return None;
    }
    let mut views = restored.views;
    recovery::fold_up_to(log, &mut views, log.head()).ok()?;
    Some(views)
}

/// Audits a log from position 0 to its head, and holds the views of its snapshot, folded on to the
/// head, against it.
pub fn check_log(
    log: &dyn Log,
    snapshot: Option<Views>,
    report: &mut dyn FnMut(Finding),
    progress: &mut dyn FnMut(u64, u64),
) -> Checked {
    let snapshot_digest = snapshot.as_ref().map(|views| views.frozen().digest());
    let mut audit = Audit::against(snapshot);
    audit_log(log, &mut audit, report, progress);
    audit.finish(report);
    let views_digest = audit.views().map(|views| views.frozen().digest());
    if let (Some(snapshot), Some(log_says)) = (snapshot_digest, views_digest)
        && snapshot != log_says
    {
        let what = "the views of the snapshot are not what the log says";
        report(Finding::new(FindingKind::Snapshot, audit.position(), what));
    }
    Checked {
        records: audit.records(),
        cases: audit.cases(),
        views_digest,
        notes: Vec::new(),
    }
}

fn audit_log(
    log: &dyn Log,
    audit: &mut Audit,
    report: &mut dyn FnMut(Finding),
    progress: &mut dyn FnMut(u64, u64),
) {
    let head = log.head();
    let mut position = 0;
    let mut hole: Option<Hole> = None;
    while position < head {
        match log.read(position, READ_BYTES) {
            Ok(blocks) => {
                if hole.take().is_some() {
                    audit.skip_to(position);
                }
                for block in blocks {
                    if let Some(block) = block.slice(position..head) {
                        audit.take(&block, report);
                        position = block.end_position();
                    }
                }
            }
            Err(error) => {
                let hole = hole.get_or_insert_default();
                if let Some(finding) = hole.finding(position, &error) {
                    report(finding);
                }
                position = position.saturating_add(1);
                hole.length = hole.length.saturating_add(1);
                if hole.length > HOLE_MAX || matches!(error, ReadError::Io { .. }) {
                    let what = "nothing was looked at from here on";
                    report(Finding::new(FindingKind::Missing, position, what));
                    audit.skip_to(head);
                    return;
                }
            }
        }
        progress(position, head);
    }
    if hole.is_some() {
        audit.skip_to(head);
    }
}

/// Successive positions that can't be read.
#[derive(Default)]
struct Hole {
    length: u64,
    /// What was last met in it, and where.
    last: Option<(u64, String)>,
}

impl Hole {
    /// What there is to tell of a position that can't be read: once for each damaged block, and once
    /// for records that are missing.
    fn finding(&mut self, position: u64, error: &ReadError) -> Option<Finding> {
        let (kind, at, what) = match error {
            ReadError::Corrupt { position, cause } => {
                (FindingKind::Damage, *position, cause.clone())
            }
            ReadError::Missing { position } => (
                FindingKind::Missing,
                *position,
                "no block holds the record".to_owned(),
            ),
            ReadError::Io { cause } => (
                FindingKind::Damage,
                position,
                format!("the log can't be read: {cause}"),
            ),
        };
        let is_new = match &self.last {
            None => true,
            // The database itself says the same of each position.
            Some((last, told)) => at == position && (at != last.saturating_add(1) || what != *told),
        };
        self.last = Some((at, what.clone()));
        is_new.then(|| Finding::new(kind, at, what))
    }
}
