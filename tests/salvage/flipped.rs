//! Flipped bits, anywhere in the files of a database: harmless, or told. Never a wrong record, a log
//! that ends early, or a panic that escapes.

use std::fs;
use std::path::Path;

use casetrail::log::Log;
use casetrail::wire::block::find_blocks;

use super::fixture::{Chance, Story, copy, folder, open, records};

/// How many bits are flipped in all.
fn flips() -> u64 {
    let wanted = std::env::var("CASETRAIL_TEST_FLIPS").ok();
    wanted.map_or(1_000, |wanted| wanted.parse().unwrap())
}

/// A log as a server left it.
struct Left {
    what: &'static str,
    folder: tempfile::TempDir,
    records: Vec<Vec<u8>>,
}

/// Three logs: one closed, one whose server was killed after it had recorded more, and one of more
/// than a segment.
fn left() -> Vec<Left> {
    let small = |openings: usize, commits: usize, seed: u64| {
        let folder = folder();
        let mut story = Story::new(seed);
        for _ in 0..openings {
            let log = open(folder.path()).unwrap();
            for _ in 0..commits {
                story.commit(&log);
            }
            log.close().unwrap();
        }
        (folder, story)
    };
    let (closed, closed_story) = small(3, 10, 2);
    let (running, mut running_story) = small(2, 10, 3);
    let log = open(running.path()).unwrap();
    for _ in 0..10 {
        running_story.commit(&log);
    }
    log.record_mark().unwrap();
    let killed = folder();
    copy(running.path(), killed.path());
    drop(log);
    let (large, large_story) = small(3, 70, 4);
    let db = fs::metadata(large.path().join("log/db")).unwrap();
    assert!(db.len() > 8 * 1024 * 1024);
    let all = [
        ("closed", closed, closed_story),
        ("killed", killed, running_story),
        ("large", large, large_story),
    ];
    let left = all.map(|(what, folder, story)| Left {
        what,
        folder,
        records: story.records,
    });
    left.into()
}

#[test]
fn a_flipped_bit_at_any_of_1000_random_offsets_is_harmless_or_told() {
    let left = left();
    let counts = std::thread::scope(|scope| {
        let halves = [0, 1].map(|half| {
            let left = &left;
            scope.spawn(move || {
                let mut counts = [0; 3];
                for seed in (0..flips()).filter(|seed| seed % 2 == half) {
                    let log = &left[seed as usize / 2 % left.len()];
                    counts[flip(log, seed) as usize] += 1;
                }
                counts
            })
        });
        halves.map(|half| half.join().unwrap())
    });
    let [harmless, refused, at_reading] = [0, 1, 2].map(|kind| counts[0][kind] + counts[1][kind]);
    eprintln!("{harmless} harmless, {refused} refused at the start, {at_reading} told at reading");
    // Chance has to have hit everything, or the test shows nothing.
    let few = flips() / 50;
    assert!(harmless > few && refused > few && at_reading > few);
}

#[derive(Clone, Copy)]
enum Effect {
    Harmless,
    Refused,
    AtReading,
}

/// Flips a bit in a copy of the log, and opens and reads it as a server does.
fn flip(left: &Left, seed: u64) -> Effect {
    let mut chance = Chance(7_919 * (seed + 1));
    let copied = folder();
    copy(left.folder.path(), copied.path());
    let (file, byte) = choose(copied.path(), &mut chance);
    let path = copied.path().join("log").join(&file);
    let mut bytes = fs::read(&path).unwrap();
    bytes[byte] ^= 1 << chance.below(8);
    fs::write(&path, &bytes).unwrap();
    let what = format!("flip {seed}: {} log, byte {byte} of {file}", left.what);

    let log = match open(copied.path()) {
        Ok(log) => log,
        Err(error) => {
            let text = error.to_string();
            assert!(
                text.contains(copied.path().to_str().unwrap()),
                "{what}: {text}"
            );
            return Effect::Refused;
        }
    };
    let all = left.records.len() as u64;
    assert_eq!(log.head(), all, "{what}: a log of another length");
    let mut effect = Effect::Harmless;
    let mut next = 0;
    while next < all {
        match log.read(next, 64 * 1024) {
            Ok(blocks) => {
                let first = blocks
                    .first()
                    .expect("a block before the head")
                    .first_position();
                let read = records(&blocks);
                let from = (next - first) as usize;
                let until = first + read.len() as u64;
                let truth = &left.records[next as usize..until as usize];
                assert!(
                    read[from..] == *truth,
                    "{what}: another record from {next} on"
                );
                next = until;
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                effect = Effect::AtReading;
                next += 1;
            }
        }
    }
    effect
}

/// A byte of one of the database's files: nine of ten in the large one, and there one of two where
/// something is written.
fn choose(folder: &Path, chance: &mut Chance) -> (String, usize) {
    let log = folder.join("log");
    let names = fs::read_dir(&log).unwrap().map(|entry| entry.unwrap());
    let mut names: Vec<String> = names
        .filter(|entry| entry.file_type().unwrap().is_file())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    let name = match chance.below(10) {
        0 => names[chance.below(names.len() as u64) as usize].clone(),
        _ => "db".to_owned(),
    };
    let bytes = fs::read(log.join(&name)).unwrap();
    if name != "db" || chance.below(2) == 0 {
        return (name, chance.below(bytes.len() as u64) as usize);
    }
    // Within a block or shortly before it, where sled's own header, keys and lengths are.
    let found: Vec<_> = find_blocks(&bytes).collect();
    let (at, block) = &found[chance.below(found.len() as u64) as usize];
    let from = at.saturating_sub(40);
    let length = if chance.below(2) == 0 {
        40
    } else {
        40 + block.as_bytes().len()
    };
    (name, from + chance.below(length as u64) as usize)
}
