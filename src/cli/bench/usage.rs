//! What a process and a folder use of the machine, as Linux tells it. Elsewhere nothing is told.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// The unit in which the file system counts blocks, in bytes, whatever its own blocks are.
const BLOCK_BYTES: u64 = 512;
/// The unit in which Linux tells CPU time (USER_HZ), on every architecture that casetrail runs on.
const TICKS_PER_SECOND: u32 = 100;

/// The CPU time that a process has used so far, all threads together.
pub(super) fn cpu_time(process: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, which may hold anything, stands in brackets; utime and stime are the 12th and the
    // 13th field after it.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut times = fields.split(' ').skip(11);
    let user: u32 = times.next()?.parse().ok()?;
    let system: u32 = times.next()?.parse().ok()?;
    let second = Duration::from_secs(1);
    Some(second.checked_mul(user.checked_add(system)?)? / TICKS_PER_SECOND)
}

/// The resident memory of a process now, in bytes.
pub(super) fn memory(process: u32) -> Option<u64> {
    status_bytes(process, "VmRSS:")
}

/// The most resident memory that a process has had, in bytes, since it began or since
/// [`forget_memory_peak`].
pub(super) fn memory_peak(process: u32) -> Option<u64> {
    status_bytes(process, "VmHWM:")
}

/// Lets the peak of a process's memory begin anew. Where that is not allowed the old one stays.
pub(super) fn forget_memory_peak(process: u32) {
    let _ = fs::write(format!("/proc/{process}/clear_refs"), "5");
}

fn status_bytes(process: u32, field: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// What the files of a folder take on the disk, in bytes, those of the folders in it included.
pub(super) fn disk_bytes(folder: &Path) -> u64 {
    let mut bytes: u64 = 0;
    for_each_file(folder, &mut |path| {
        if let Ok(metadata) = fs::metadata(path) {
            bytes = bytes.saturating_add(metadata.blocks().saturating_mul(BLOCK_BYTES));
        }
    });
    bytes
}

/// Lets the system forget what it keeps in memory of a folder's files: they are read from the disk
/// again. What is not written yet is written first, since it can't be forgotten.
///
/// # Errors
/// A file that can't be opened, or where the system refuses.
pub(super) fn drop_page_cache(folder: &Path) -> std::io::Result<()> {
    let mut result = Ok(());
    for_each_file(folder, &mut |path| {
        let dropped = File::open(path).and_then(|file| {
            file.sync_all()?;
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
            Ok(())
        });
        if let (Ok(()), Err(error)) = (&result, dropped) {
            result = Err(error);
        }
    });
    result
}

fn for_each_file(folder: &Path, look: &mut dyn FnMut(&Path)) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => for_each_file(&path, look),
            Ok(kind) if kind.is_file() => look(&path),
            _ => {}
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_memory_and_time() {
        if !cfg!(target_os = "linux") {
            return;
        }
        let process = std::process::id();
        assert!(memory(process).unwrap() > 0);
        assert!(memory_peak(process).unwrap() > 0);
        assert!(cpu_time(process).is_some());
        assert_eq!(cpu_time(u32::MAX), None);
    }

    #[test]
    fn the_files_in_folders_of_a_folder_count_too() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("inner")).unwrap();
        let file = folder.path().join("inner/file");
        File::create(&file).unwrap().sync_all().unwrap();
        assert_eq!(disk_bytes(folder.path()), 0);
        fs::write(&file, [1; 100_000]).unwrap();
        drop_page_cache(folder.path()).unwrap();
        assert!(disk_bytes(folder.path()) >= 100_000);
    }
}
