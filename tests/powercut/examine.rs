//! Cuts the power in a recording, over and over, and checks what is left.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use super::check::{Expected, Fault, check};
use super::disk::{Disk, Image, Naming};
use super::fate::{Way, ways};
use super::load::Chance;
use super::moments::{Kind, Moments, choose, moments};
use super::rig::{Recording, quick_folder};
use super::told::told;
use super::trace::Happening;

/// How many ways of failing are tried at a moment.
const WAYS: usize = 3;

/// A recording is gone through at most so many times; fewer if that gives images enough.
const PASSES_MAX: usize = 40;

/// After the first pass of each model of names at least so many moments are looked at in one: images
/// that are not known yet are rare by then.
const MOMENTS_MIN: usize = 20;

/// What came of the images of a load.
#[derive(Default)]
pub struct Tally {
    pub images: usize,
    pub fine: usize,
    pub refused: usize,
    pub lost: usize,
    pub half: usize,
    pub wrong: usize,
    /// The number of images by what was going on.
    pub moments: BTreeMap<Kind, usize>,
    /// What was wrong, and with which image.
    pub faults: Vec<(String, Fault)>,
}

impl Tally {
    fn take(&mut self, kind: Kind, image: String, result: Result<(), Fault>) {
        self.images += 1;
        *self.moments.entry(kind).or_default() += 1;
        let Err(fault) = result else {
            self.fine += 1;
            return;
        };
        match fault {
            Fault::Refused(_) => self.refused += 1,
            Fault::Lost(_) => self.lost += 1,
            Fault::Half(_) => self.half += 1,
            Fault::Wrong(_) => self.wrong += 1,
        }
        self.faults.push((image, fault));
    }

    /// Adds another tally.
    pub fn add(&mut self, other: Self) {
        self.images += other.images;
        self.fine += other.fine;
        self.refused += other.refused;
        self.lost += other.lost;
        self.half += other.half;
        self.wrong += other.wrong;
        for (kind, images) in other.moments {
            *self.moments.entry(kind).or_default() += images;
        }
        self.faults.extend(other.faults);
    }
}

/// A recording with what is known of its moments.
pub struct Examined<'a> {
    recording: &'a Recording,
    /// The entry that told a submission first, by request_id.
    told: HashMap<String, usize>,
    moments: Moments,
}

/// An image to check.
struct Job {
    kind: Kind,
    name: String,
    image: Image,
    expected: Expected,
}

impl<'a> Examined<'a> {
    pub fn new(recording: &'a Recording) -> Self {
        let known: HashSet<String> = recording.submitted.keys().cloned().collect();
        let told: HashMap<String, usize> = told(&recording.trace, &known)
            .into_iter()
            .map(|(request_id, entry)| (request_id.to_owned(), entry))
            .collect();
        // What a client came to know was seen by the recorder.
        for (request_id, submitted) in recording.submitted.iter() {
            let is_told =
                told.contains_key(request_id) || recording.told_before.contains(request_id);
            assert!(
                submitted.answer.is_none() || is_told,
                "{request_id} was told unseen"
            );
        }
        let answers: BTreeSet<usize> = told.values().copied().collect();
        Self {
            recording,
            moments: moments(&recording.trace, &answers),
            told,
        }
    }

    /// What had been told before a moment.
    fn told_before(&self, moment: usize) -> HashSet<String> {
        let told = self.told.iter().filter(|(_, entry)| **entry < moment);
        let told = told.map(|(request_id, _)| request_id.clone());
        told.chain(self.recording.told_before.iter().cloned())
            .collect()
    }

    /// Says what was recorded, for people.
    pub fn describe(&self) -> String {
        let entries = &self.recording.trace.entries;
        let count = |is: fn(&Happening) -> bool| {
            entries.iter().filter(|entry| is(&entry.happening)).count()
        };
        format!(
            "{} processes, {} writes, {} syncs, {} names, {} submissions told, {} moments ({:?})",
            count(|happening| *happening == Happening::Start),
            count(|happening| matches!(happening, Happening::Write(..))),
            count(|happening| {
                use Happening::{Sync, SyncData, SyncFolder};
                matches!(happening, Sync | SyncData | SyncFolder)
            }),
            count(|happening| {
                use Happening::{Create, MakeFolder, Rename, Unlink};
                matches!(happening, Create | MakeFolder | Rename(_) | Unlink)
            }),
            self.told.len(),
            self.moments.values().map(BTreeSet::len).sum::<usize>(),
            self.moments_by_kind(),
        )
    }

    /// The number of moments of each kind.
    pub fn moments_by_kind(&self) -> BTreeMap<Kind, usize> {
        let moments = self.moments.iter();
        moments
            .map(|(kind, moments)| (*kind, moments.len()))
            .collect()
    }

    /// One image of many that are possible, and what had been told by then.
    pub fn one_image(&self, chance: &mut Chance) -> (Image, HashSet<String>) {
        let kinds: Vec<_> = self.moments.values().collect();
        let moments = kinds[chance.below(kinds.len() as u64) as usize];
        let index = chance.below(moments.len() as u64) as usize;
        let moment = moments.iter().nth(index).unwrap();
        let naming = [Naming::InOrder, Naming::ByFolder][chance.below(2) as usize];
        let mut disk = Disk::new(&self.recording.base, &self.recording.trace, naming);
        disk.advance(*moment);
        let ways = ways(disk.pending_changes(), disk.pending_names(), 1, chance);
        (disk.cut(&ways[0]), self.told_before(*moment))
    }

    /// Checks so many images, each another one; fewer only if there are not so many.
    pub fn check(&self, count: usize, seed: u64) -> Tally {
        check_all(|jobs| {
            let mut chance = Chance::new(seed);
            let mut seen = HashSet::new();
            for pass in 0..PASSES_MAX {
                let left = count - seen.len();
                if left == 0 {
                    break;
                }
                let naming = [Naming::InOrder, Naming::ByFolder][pass % 2];
                let wanted = if pass == 0 { left.div_ceil(2) } else { left };
                let moments_min = if pass < 2 { 0 } else { MOMENTS_MIN };
                let moments = wanted.div_ceil(WAYS).max(moments_min);
                let chosen = choose(&self.moments, moments, &mut chance);
                self.pass(naming, chosen, wanted, &mut seen, &mut chance, jobs);
            }
        })
    }

    /// Checks what is durable right after answers, so many of them.
    pub fn check_what_is_durable(&self, count: usize) -> Tally {
        check_all(|jobs| {
            let answers = self.moments.get(&Kind::Answering).into_iter().flatten();
            let answers: Vec<_> = answers.copied().collect();
            let step = answers.len().div_ceil(count).max(1);
            let mut disk = Disk::new(&self.recording.base, &self.recording.trace, Naming::InOrder);
            for moment in answers.into_iter().step_by(step) {
                disk.advance(moment);
                let job = self.job(
                    Kind::Answering,
                    format!("what is durable at {moment}"),
                    disk.cut(&Way::DURABLE),
                    self.told_before(moment),
                );
                jobs.send(job).unwrap();
            }
        })
    }

    fn job(&self, kind: Kind, name: String, image: Image, told: HashSet<String>) -> Job {
        let submitted = Arc::clone(&self.recording.submitted);
        Job {
            kind,
            name,
            image,
            expected: Expected { submitted, told },
        }
    }

    /// Goes through the recording once and sends off so many images that were not seen before.
    fn pass(
        &self,
        naming: Naming,
        chosen: BTreeMap<usize, Kind>,
        wanted: usize,
        seen: &mut HashSet<u64>,
        chance: &mut Chance,
        jobs: &mpsc::SyncSender<Job>,
    ) {
        let until = seen.len() + wanted;
        let mut disk = Disk::new(&self.recording.base, &self.recording.trace, naming);
        for (moment, kind) in chosen {
            disk.advance(moment);
            let expected = self.told_before(moment);
            for way in ways(disk.pending_changes(), disk.pending_names(), WAYS, chance) {
                let image = disk.cut(&way);
                if seen.len() == until {
                    return;
                }
                if seen.insert(fingerprint(&image, expected.len())) {
                    let name = format!("{kind:?} at {moment}, {naming:?}, {way:?}");
                    let job = self.job(kind, name, image, expected.clone());
                    jobs.send(job).unwrap();
                }
            }
        }
    }
}

/// Checks the images that are sent off, on all cores.
fn check_all(send: impl FnOnce(&mpsc::SyncSender<Job>)) -> Tally {
    let tally = Mutex::new(Tally::default());
    let (jobs, taken) = mpsc::sync_channel::<Job>(2);
    let taken = Mutex::new(taken);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| check_jobs(&taken, &tally));
        }
        send(&jobs);
        drop(jobs);
    });
    tally.into_inner().unwrap()
}

fn check_jobs(jobs: &Mutex<mpsc::Receiver<Job>>, tally: &Mutex<Tally>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    loop {
        let job = jobs.lock().unwrap().recv();
        let Ok(job) = job else { return };
        let folder = quick_folder();
        let disk = folder.path().join("disk");
        let result = runtime.block_on(check(&job.image, &disk, &job.expected));
        tally.lock().unwrap().take(job.kind, job.name, result);
    }
}

/// Tells images apart, and the same image where more had been told.
fn fingerprint(image: &Image, told: usize) -> u64 {
    let mut hasher = DefaultHasher::new();
    told.hash(&mut hasher);
    for (path, content) in image {
        path.hash(&mut hasher);
        if let Some(content) = content {
            (content.len(), crc32fast::hash(content)).hash(&mut hasher);
        }
    }
    hasher.finish()
}
