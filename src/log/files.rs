//! Small files and folders, made durable. A file is durable once it and its folder are synced.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use super::error::OpenError;

/// Syncs a file or a folder: on Linux a folder's entries are synced through the folder itself.
pub(super) fn sync(path: &Path) -> Result<(), OpenError> {
    let synced = File::open(path).and_then(|file| file.sync_all());
    synced.map_err(failed("sync", path))
}

/// Syncs a file if it is there.
pub(super) fn sync_if_there(path: &Path) -> Result<(), OpenError> {
    match File::open(path) {
        Ok(file) => file.sync_all().map_err(failed("sync", path)),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(cause) => Err(failed("open", path)(cause)),
    }
}

/// Syncs the folder that a file or folder is in.
pub(super) fn sync_parent(path: &Path) -> Result<(), OpenError> {
    match path.parent() {
        // The parent of a relative name is the empty path, which means the working folder.
        Some(parent) if parent.as_os_str().is_empty() => sync(Path::new(".")),
        Some(parent) => sync(parent),
        None => Ok(()),
    }
}

/// Replaces a file as a whole: after a power cut there is the old content or the new one. The
/// new content is written to `aside` first, a file in the same folder.
pub(super) fn replace(path: &Path, aside: &Path, content: &[u8]) -> Result<(), OpenError> {
    let written = File::create(aside).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    written.map_err(failed("write", aside))?;
    fs::rename(aside, path).map_err(failed("replace", path))?;
    sync_parent(path)
}

/// Removes a file; one that isn't there is fine.
pub(super) fn remove_if_there(path: &Path) -> Result<(), OpenError> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(cause)),
        _ => Ok(()),
    }
}

/// The content of a file; none if there is no such file.
pub(super) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, OpenError> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(failed("read", path)(cause)),
    }
}

/// Makes the error of what was tried with a file or folder.
pub(super) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    move |cause| OpenError::Io {
        action,
        path: path.to_path_buf(),
        cause,
    }
}
