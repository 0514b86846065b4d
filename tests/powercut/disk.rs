//! The disk: what of the recorded changes is durable at a moment, and what a power cut at that moment
//! may or may not leave. It knows files and folders, nothing of casetrail or of sled.
//!
//! The content of a file is durable by a sync of that file alone. Until then each change of it may
//! be there or not, independently of the others, down to single sectors of 512 bytes; the length of a
//! file is as far as what is there reaches.
//!
//! For names (files made, renamed, removed, and folders) there are two models, since file systems
//! differ: see [`Naming`].

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::trace::{Entry, Happening, Trace};

/// What a disk writes whole or not at all.
pub const SECTOR_BYTES: usize = 512;

/// When names become durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// As a journal has it (ext4, XFS): in order, so that the first of them are there and the rest
    /// are not. A sync of any folder, or of a file that is new or has another length, makes all that
    /// came before it durable.
    InOrder,
    /// No more than POSIX promises: only by a sync of the folder that they are in, and until then
    /// any of them may be there.
    ByFolder,
}

/// The files of a disk with their content; folders have none.
pub type Image = BTreeMap<String, Option<Arc<Vec<u8>>>>;

/// What becomes of the changes that are not durable.
pub trait Fate {
    /// Whether this sector of a change of a file is there.
    fn keeps(&self, sector: &Sector) -> bool;
    /// Whether this change of names is there; for [`Naming::InOrder`] it is, if all before it are.
    fn keeps_name(&self, index: usize, count: usize) -> bool;
    /// Whether each file has the length that it had for its writers, with zeros where nothing came.
    fn keeps_length(&self) -> bool;
}

/// A part of a change that is not durable yet.
#[derive(Debug)]
pub struct Sector {
    /// The how manyth of all pending changes of files at this moment.
    pub change: usize,
    /// Where the sector begins in its file; none for a truncation, which has none.
    pub offset: Option<u64>,
    /// Whether it lies beyond the durable length of the file.
    pub is_beyond: bool,
}

#[derive(Clone, Default)]
struct File {
    durable: Arc<Vec<u8>>,
    pending: Vec<(usize, Change)>,
    /// Its length as its writers see it.
    length: u64,
}

#[derive(Clone)]
enum Change {
    Write(u64, Range<usize>),
    /// A new length, shorter or longer.
    Length(u64),
}

#[derive(Clone, Debug)]
enum Name {
    Create(String, usize),
    Rename(String, String, usize),
    Unlink(String, usize),
    MakeFolder(String),
}

/// Names of files and folders.
#[derive(Clone, Default)]
struct Names {
    files: BTreeMap<String, usize>,
    folders: BTreeSet<String>,
}

/// The disk at a moment of a trace.
pub struct Disk {
    trace: Trace,
    naming: Naming,
    files: Vec<File>,
    /// As its users see it.
    current: Names,
    durable: Names,
    pending: Vec<Name>,
    /// How many entries of the trace have happened.
    position: usize,
}

impl Disk {
    /// A disk on which this is durable and nothing of the trace has happened.
    pub fn new(base: &Image, trace: &Trace, naming: Naming) -> Self {
        let mut files = Vec::new();
        let mut names = Names::default();
        for (path, content) in base {
            match content {
                None => {
                    names.folders.insert(path.clone());
                }
                Some(content) => {
                    names.files.insert(path.clone(), files.len());
                    files.push(File {
                        durable: Arc::clone(content),
                        pending: Vec::new(),
                        length: content.len() as u64,
                    });
                }
            }
        }
        Self {
            trace: trace.clone(),
            naming,
            files,
            current: names.clone(),
            durable: names,
            pending: Vec::new(),
            position: 0,
        }
    }

    /// Lets happen what comes before this entry of the trace.
    pub fn advance(&mut self, until: usize) {
        while self.position < until {
            let entry = self.trace.entries[self.position].clone();
            self.happen(entry);
            self.position += 1;
        }
    }

    /// The number of changes of files that are not durable.
    pub fn pending_changes(&self) -> usize {
        self.files.iter().map(|file| file.pending.len()).sum()
    }

    /// The number of changes of names that are not durable.
    pub fn pending_names(&self) -> usize {
        self.pending.len()
    }

    fn happen(&mut self, entry: Entry) {
        let path = entry.path;
        match entry.happening {
            Happening::Start | Happening::Send(_) | Happening::SyncRange => {}
            Happening::Create => {
                self.files.push(File::default());
                self.name(Name::Create(path, self.files.len() - 1));
            }
            Happening::MakeFolder => self.name(Name::MakeFolder(path)),
            Happening::Rename(to) => {
                let file = self.current.files[&path];
                self.name(Name::Rename(path, to, file));
            }
            Happening::Unlink => {
                let file = self.current.files[&path];
                self.name(Name::Unlink(path, file));
            }
            Happening::Write(offset, data) => {
                let end = offset + data.len() as u64;
                self.change(&path, Change::Write(offset, data), |length| length.max(end));
            }
            Happening::Truncate(length) => {
                self.change(&path, Change::Length(length), |_| length);
            }
            Happening::Allocate(end) => {
                let length = self.files[self.current.files[&path]].length.max(end);
                self.change(&path, Change::Length(length), |_| length);
            }
            Happening::Sync | Happening::SyncData => self.sync(self.current.files[&path]),
            Happening::SyncFolder => self.sync_folder(&path),
        }
    }

    fn name(&mut self, name: Name) {
        self.current.apply(&name);
        self.pending.push(name);
    }

    fn change(&mut self, path: &str, change: Change, length: impl FnOnce(u64) -> u64) {
        let file = &mut self.files[self.current.files[path]];
        file.length = length(file.length);
        file.pending.push((self.position, change));
    }

    fn sync(&mut self, index: usize) {
        let file = &mut self.files[index];
        let is_resized = file.length != file.durable.len() as u64;
        if !file.pending.is_empty() {
            let durable = Arc::make_mut(&mut file.durable);
            for (_, change) in file.pending.drain(..) {
                apply(durable, &change, &self.trace);
            }
        }
        let is_new = |name: &Name| matches!(name, Name::Create(_, file) | Name::Rename(_, _, file) if *file == index);
        if self.naming == Naming::InOrder && (is_resized || self.pending.iter().any(is_new)) {
            self.make_durable(|_| true);
        }
    }

    fn sync_folder(&mut self, folder: &str) {
        let in_order = self.naming == Naming::InOrder;
        self.make_durable(|name| in_order || name.folder() == folder);
    }

    fn make_durable(&mut self, which: impl Fn(&Name) -> bool) {
        for name in std::mem::take(&mut self.pending) {
            if which(&name) {
                self.durable.apply(&name);
            } else {
                self.pending.push(name);
            }
        }
    }

    /// What a power cut at this moment leaves.
    pub fn cut(&self, fate: &dyn Fate) -> Image {
        let mut names = self.durable.clone();
        for (index, name) in self.pending.iter().enumerate() {
            if fate.keeps_name(index, self.pending.len()) {
                names.apply(name);
            } else if self.naming == Naming::InOrder {
                break;
            }
        }
        // All pending changes in the order in which they were made.
        let order = self.files.iter().flat_map(|file| &file.pending);
        let mut order: Vec<usize> = order.map(|(at, _)| *at).collect();
        order.sort_unstable();
        let mut image: Image = names
            .folders
            .iter()
            .map(|path| (path.clone(), None))
            .collect();
        for (path, file) in &names.files {
            let content = self.content(&self.files[*file], &order, fate);
            image.insert(path.clone(), Some(content));
        }
        // What lies in a folder that isn't there isn't there either.
        let is_there = |path: &str| {
            let mut folders = Path::new(path).ancestors().skip(1);
            folders.all(|folder| {
                let folder = folder.to_str().unwrap();
                folder.is_empty() || names.folders.contains(folder)
            })
        };
        image.retain(|path, _| is_there(path));
        image
    }

    fn content(&self, file: &File, order: &[usize], fate: &dyn Fate) -> Arc<Vec<u8>> {
        if file.pending.is_empty() {
            return Arc::clone(&file.durable);
        }
        let durable_length = file.durable.len() as u64;
        let mut left = (*file.durable).clone();
        // What the system holds in memory: a sector goes to the disk as it is there.
        let mut held = left.clone();
        for (at, change) in &file.pending {
            let number = order.binary_search(at).unwrap();
            apply(&mut held, change, &self.trace);
            match change {
                Change::Length(length) => {
                    let sector = Sector {
                        change: number,
                        offset: None,
                        is_beyond: *length > durable_length,
                    };
                    if fate.keeps(&sector) {
                        left.resize(*length as usize, 0);
                    }
                }
                Change::Write(offset, data) => {
                    let end = *offset as usize + data.len();
                    let mut from = *offset as usize / SECTOR_BYTES * SECTOR_BYTES;
                    while from < end {
                        let to = (from + SECTOR_BYTES).min(held.len());
                        let sector = Sector {
                            change: number,
                            offset: Some(from as u64),
                            is_beyond: to as u64 > durable_length,
                        };
                        if fate.keeps(&sector) {
                            if left.len() < to {
                                left.resize(to, 0);
                            }
                            left[from..to].copy_from_slice(&held[from..to]);
                        }
                        from += SECTOR_BYTES;
                    }
                }
            }
        }
        if fate.keeps_length() {
            left.resize(held.len(), 0);
        }
        Arc::new(left)
    }
}

impl Names {
    fn apply(&mut self, name: &Name) {
        match name {
            Name::Create(path, file) => {
                self.files.insert(path.clone(), *file);
            }
            Name::Rename(from, to, file) => {
                self.remove(from, *file);
                self.files.insert(to.clone(), *file);
            }
            Name::Unlink(path, file) => self.remove(path, *file),
            Name::MakeFolder(path) => {
                self.folders.insert(path.clone());
            }
        }
    }

    /// Where a change of names before it got lost, another file may have the name.
    fn remove(&mut self, path: &str, file: usize) {
        if self.files.get(path) == Some(&file) {
            self.files.remove(path);
        }
    }
}

impl Name {
    /// The folder that the name is in.
    fn folder(&self) -> &str {
        let (Self::Create(path, _)
        | Self::Rename(_, path, _)
        | Self::Unlink(path, _)
        | Self::MakeFolder(path)) = self;
        path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }
}

fn apply(content: &mut Vec<u8>, change: &Change, trace: &Trace) {
    match change {
        Change::Write(offset, data) => {
            let (from, to) = (*offset as usize, *offset as usize + data.len());
            if content.len() < to {
                content.resize(to, 0);
            }
            content[from..to].copy_from_slice(trace.data(data));
        }
        Change::Length(length) => content.resize(*length as usize, 0),
    }
}

/// Everything is there: the state that the processes saw.
pub struct AllKept;

impl Fate for AllKept {
    fn keeps(&self, _: &Sector) -> bool {
        true
    }

    fn keeps_name(&self, _: usize, _: usize) -> bool {
        true
    }

    fn keeps_length(&self) -> bool {
        true
    }
}
