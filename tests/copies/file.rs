//! The backup file by itself: what was written is read, and nothing else ever is.

use casetrail::log::backup::{
    BackupError, BackupFile, BackupReader, BackupWriter, EndMark, ExistingBackup, Header, Item,
};
use casetrail::wire::block::{BlockBuilder, RecordBlock};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::sample::Index;
use proptest::test_runner::Config;

use super::making::{FROM_THE_BEGINNING, SOFTWARE, backup_of, read_backup, small_blocks};

/// Blocks of records that are short and tell nothing.
fn plain_blocks(first_position: u64, count: usize) -> Vec<RecordBlock> {
    let mut blocks = Vec::new();
    let mut position = first_position;
    for number in 0..count {
        let mut builder = BlockBuilder::new();
        for record in 0..=number % 3 {
            builder.push_encoded(&vec![number as u8; record]).unwrap();
        }
        blocks.extend(builder.finish(position));
        position = blocks.last().unwrap().end_position();
    }
    blocks
}

/// The last position of blocks.
fn end(blocks: &[RecordBlock]) -> u64 {
    blocks.last().unwrap().end_position()
}

#[test]
fn what_was_written_is_read() {
    let header = Header {
        first_position: 70,
        anchor: [9; 32],
    };
    let blocks = plain_blocks(70, 7);
    let mut writer = BackupWriter::begin(Vec::new(), &header).unwrap();
    for block in &blocks {
        writer.block(block).unwrap();
    }
    let bytes = writer.end([7; 32], "9.9.9").unwrap();
    let mut reader = BackupReader::open(&*bytes).unwrap();
    assert_eq!(*reader.header(), header);
    for expected in &blocks {
        match reader.next_item().unwrap() {
            Some(Item::Block { offset, block }) => {
                assert_eq!(block, *expected);
                assert!(bytes[offset as usize..].starts_with(block.as_bytes()));
            }
            other => panic!("{other:?}"),
        }
    }
    match reader.next_item().unwrap() {
        Some(Item::End(EndMark {
            position,
            views_digest,
            software,
            ..
        })) => {
            assert_eq!((position, views_digest), (end(&blocks), [7; 32]));
            assert_eq!(software, "9.9.9");
        }
        other => panic!("{other:?}"),
    }
    assert!(reader.next_item().unwrap().is_none());
}

#[test]
fn a_block_that_does_not_follow_is_not_written() {
    let mut writer = BackupWriter::begin(Vec::new(), &FROM_THE_BEGINNING).unwrap();
    let refused = writer.block(&plain_blocks(3, 1)[0]);
    assert!(matches!(
        refused,
        Err(BackupError::NotNext {
            expected: 0,
            actual: 3
        })
    ));
}

#[test]
fn every_single_flipped_bit_is_told_with_its_place() {
    let original = backup_of(&small_blocks()[..2]);
    let header_bytes = original.windows(2).position(|two| two == b"\n\n").unwrap() + 2;
    for bit in 0..original.len() * 8 {
        let at = (bit / 8) as u64;
        let mut bytes = original.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let error = read_backup(&bytes).expect_err("a flipped bit was not told");
        match error {
            BackupError::Damaged { offset, .. }
            | BackupError::Torn { offset, .. }
            | BackupError::Digest { offset, .. } => assert!(offset <= at, "{error:?}"),
            BackupError::NotABackup | BackupError::NewerFormat { .. } => {
                assert!(at < header_bytes as u64, "{error:?} for byte {at}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_file_that_ends_anywhere_too_early_is_told() {
    let blocks = small_blocks();
    let original = backup_of(&blocks);
    for length in 0..original.len() {
        match read_backup(&original[..length]) {
            Err(BackupError::Torn { position, .. }) => assert!(position <= end(&blocks)),
            Err(BackupError::NotABackup) => assert_eq!(length, 0),
            other => panic!("{length}: {other:?}"),
        }
    }
}

#[test]
fn blocks_that_are_missing_doubled_swapped_or_of_another_backup_are_told() {
    let blocks = plain_blocks(0, 6);
    let original = backup_of_plain(&blocks);
    let place = |index: usize| {
        let before: usize = blocks[..index].iter().map(|b| b.as_bytes().len()).sum();
        let start = original.windows(2).position(|two| two == b"\n\n").unwrap() + 2;
        start + before
    };
    for index in 0..blocks.len() {
        let (from, to) = (place(index), place(index) + blocks[index].as_bytes().len());
        let missing = [&original[..from], &original[to..]].concat();
        assert!(read_backup(&missing).is_err(), "without block {index}");
        let doubled = [&original[..to], &original[from..]].concat();
        assert!(read_backup(&doubled).is_err(), "with block {index} twice");
        if index + 1 < blocks.len() {
            let next = to + blocks[index + 1].as_bytes().len();
            let swapped = [
                &original[..from],
                &original[to..next],
                &original[from..to],
                &original[next..],
            ];
            assert!(read_backup(&swapped.concat()).is_err(), "swapped {index}");
        }
        // A block that is whole, fits, and is of another log: only the end mark tells.
        let mut builder = BlockBuilder::new();
        for _ in 0..blocks[index].count() {
            builder.push_encoded(b"other").unwrap();
        }
        let other = builder.finish(blocks[index].first_position());
        let mixed = [&original[..from], other[0].as_bytes(), &original[to..]].concat();
        assert!(
            matches!(read_backup(&mixed), Err(BackupError::Digest { .. })),
            "another block {index}"
        );
    }
    let mark = &original[place(blocks.len())..];
    assert!(
        read_backup(&[&original, mark].concat()).is_err(),
        "a mark twice"
    );
    let header = Header {
        first_position: 0,
        anchor: [1; 32],
    };
    let mut other = BackupWriter::begin(Vec::new(), &header).unwrap();
    for block in &blocks {
        other.block(block).unwrap();
    }
    let other = other.end([0; 32], SOFTWARE).unwrap();
    let start = other.windows(2).position(|two| two == b"\n\n").unwrap() + 2;
    let mixed = [&other[..start], &original[place(0)..]].concat();
    assert!(matches!(
        read_backup(&mixed),
        Err(BackupError::Digest { .. })
    ));
}

fn backup_of_plain(blocks: &[RecordBlock]) -> Vec<u8> {
    let mut writer = BackupWriter::begin(Vec::new(), &FROM_THE_BEGINNING).unwrap();
    for block in blocks {
        writer.block(block).unwrap();
    }
    writer.end([0; 32], SOFTWARE).unwrap()
}

#[test]
fn a_backup_that_is_given_up_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("backup");
    let blocks = plain_blocks(0, 3);
    let mut backup = BackupFile::create(&path, &FROM_THE_BEGINNING).unwrap();
    backup.block(&blocks[0]).unwrap();
    // Nobody else writes the same file meanwhile.
    let second = BackupFile::create(&path, &FROM_THE_BEGINNING);
    assert!(
        matches!(second, Err(BackupError::InUse { .. })),
        "{second:?}"
    );
    drop(backup);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);

    std::fs::write(&path, backup_of_plain(&blocks[..1])).unwrap();
    let before = std::fs::read(&path).unwrap();
    let existing = ExistingBackup::open(&path).unwrap();
    let mut backup = existing.go_on().unwrap();
    backup.block(&blocks[1]).unwrap();
    drop(backup);
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_backup_goes_on_behind_a_torn_end_wherever_the_run_was_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("backup");
    let blocks = plain_blocks(0, 6);
    let first = backup_of_plain(&blocks[..3]);
    std::fs::write(&path, &first).unwrap();
    go_on(&path, &blocks[3..]);
    let both = std::fs::read(&path).unwrap();
    assert_eq!(read_backup(&both).unwrap(), blocks);
    for length in first.len()..both.len() {
        // A power cut can also leave zeros where something was to be written.
        for zeros in [0, 40] {
            let torn = [&both[..length], &vec![0; zeros]].concat();
            std::fs::write(&path, &torn).unwrap();
            let existing = ExistingBackup::open(&path).unwrap();
            assert_eq!(existing.position(), end(&blocks[..3]));
            assert_eq!(existing.torn_bytes(), (torn.len() - first.len()) as u64);
            drop(existing);
            // To look at it changes nothing.
            assert_eq!(std::fs::read(&path).unwrap(), torn);
            go_on(&path, &blocks[3..]);
            assert_eq!(std::fs::read(&path).unwrap(), both);
        }
    }
}

fn go_on(path: &std::path::Path, blocks: &[RecordBlock]) {
    let mut backup = ExistingBackup::open(path).unwrap().go_on().unwrap();
    for block in blocks {
        backup.block(block).unwrap();
    }
    backup.end([0; 32], SOFTWARE).unwrap();
}

#[test]
fn a_backup_that_was_damaged_before_its_last_end_mark_is_not_cut_off_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("backup");
    let blocks = plain_blocks(0, 6);
    let first = backup_of_plain(&blocks[..3]);
    std::fs::write(&path, &first).unwrap();
    go_on(&path, &blocks[3..]);
    let both = std::fs::read(&path).unwrap();
    let second_mark = both
        .windows(14)
        .rposition(|w| w == b"\nend position ")
        .unwrap();
    for at in 0..second_mark {
        let mut bytes = both.clone();
        bytes[at] ^= 0x10;
        std::fs::write(&path, &bytes).unwrap();
        let refused = ExistingBackup::open(&path);
        assert!(refused.is_err(), "byte {at}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "byte {at}");
    }
}

/// A way to alter bytes.
#[derive(Debug, Clone)]
enum Mutation {
    Flip(Index, u8),
    Cut(Index, Index),
    Repeat(Index, Index),
    Insert(Index, Vec<u8>),
    End(Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        (any::<Index>(), 1_u8..).prop_map(|(at, bits)| Mutation::Flip(at, bits)),
        (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Mutation::Cut(a, b)),
        (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Mutation::Repeat(a, b)),
        (any::<Index>(), vec(any::<u8>(), 1..40)).prop_map(|(at, b)| Mutation::Insert(at, b)),
        any::<Index>().prop_map(Mutation::End),
    ]
}

fn mutate(bytes: &mut Vec<u8>, mutation: &Mutation) {
    if bytes.is_empty() {
        return;
    }
    let length = bytes.len();
    let range = |a: &Index, b: &Index| {
        let (a, b) = (a.index(length), b.index(length));
        a.min(b)..a.max(b)
    };
    match mutation {
        Mutation::Flip(at, bits) => bytes[at.index(length)] ^= bits,
        Mutation::Cut(a, b) => drop(bytes.drain(range(a, b))),
        Mutation::Repeat(a, b) => {
            let range = range(a, b);
            let copy = bytes[range.clone()].to_vec();
            bytes.splice(range.end..range.end, copy);
        }
        Mutation::Insert(at, inserted) => {
            let at = at.index(length);
            bytes.splice(at..at, inserted.iter().copied());
        }
        Mutation::End(at) => bytes.truncate(at.index(length)),
    }
}

/// How many cases the properties try.
fn cases() -> u32 {
    let wanted = std::env::var("CASETRAIL_TEST_FUZZ_CASES").ok();
    wanted.map_or(2_000, |wanted| wanted.parse().unwrap())
}

proptest! {
    #![proptest_config(Config::with_cases(cases()))]

    #[test]
    fn arbitrary_bytes_are_refused_without_a_panic(
        begins in prop_oneof![
            Just(Vec::new()),
            Just(b"casetrail backup\n".to_vec()),
            Just(backup_of_plain(&plain_blocks(0, 1))),
        ],
        bytes in vec(any::<u8>(), 1..400),
    ) {
        let result = read_backup(&[begins, bytes].concat());
        assert!(result.is_err());
    }

    #[test]
    fn a_backup_that_was_altered_never_gives_other_blocks(
        mutations in vec(mutation(), 1..4),
    ) {
        let blocks = plain_blocks(0, 6);
        let original = backup_of_plain(&blocks);
        let mut bytes = original.clone();
        for mutation in &mutations {
            mutate(&mut bytes, mutation);
        }
        if let Ok(read) = read_backup(&bytes) {
            assert_eq!(read, blocks);
            assert_eq!(bytes, original);
        }
    }
}
