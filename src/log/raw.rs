//! A look at sled's file before sled opens it. Opening writes: where sled meets a damaged message
//! in what was written since it last opened, it overwrites the rest of that segment, whole blocks
//! in it too. So whether every record since then, up to the high-water mark, is still there is
//! looked at first, by the blocks' own magic and checksum (rules 6 and 7), while nothing has been
//! touched. Damage to what is older is met at reading, and everything else is still served.
//!
//! Whether it holds any block at all is asked where a database may never have come to serve.
//!
//! It reads the whole file once, and deliberately knows nothing of sled's format: a damaged block
//! of which sled keeps an older copy, or damage to what sled writes around blocks, is not seen here
//! and is left to the checks after the opening.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::error::OpenError;
use super::files::failed;
use crate::wire::block::{BLOCK_BYTES_MAX, find_blocks};

/// How many bytes are read at a time.
const READ_BYTES: u64 = 8 * 1024 * 1024;

/// The first position from `opened` on and before `mark` that no whole block in the file holds; none
/// where all are there.
pub(super) fn first_missing(db: &Path, opened: u64, mark: u64) -> Result<Option<u64>, OpenError> {
    if opened >= mark {
        return Ok(None);
    }
    let mut held: Vec<(u64, u64)> = Vec::new();
    search(db, |first, end| held.push((first, end)))?;
    held.sort_unstable();
    let mut next = opened;
    for (first, end) in held {
        if first > next {
            break;
        }
        next = next.max(end);
    }
    Ok((next < mark).then_some(next))
}

/// Whether the file holds any whole block; one that isn't there holds none.
pub(super) fn holds_any(db: &Path) -> Result<bool, OpenError> {
    let mut holds_any = false;
    if db.try_exists().map_err(failed("look for", db))? {
        search(db, |_, _| holds_any = true)?;
    }
    Ok(holds_any)
}

/// Tells the first position and the end of each whole block in the file, some more than once.
fn search(db: &Path, mut found: impl FnMut(u64, u64)) -> Result<(), OpenError> {
    let mut file = File::open(db).map_err(failed("open", db))?;
    let mut bytes = Vec::new();
    loop {
        let read = file.by_ref().take(READ_BYTES).read_to_end(&mut bytes);
        let count = read.map_err(failed("read", db))?;
        for (_, block) in find_blocks(&bytes) {
            found(block.first_position(), block.end_position());
        }
        if count == 0 {
            return Ok(());
        }
        // A block may begin in what was read and end in what comes next.
        let done = bytes.len().saturating_sub(BLOCK_BYTES_MAX);
        bytes.drain(..done);
    }
}
