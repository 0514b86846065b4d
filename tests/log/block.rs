//! The record block: whole or refused, and the same bytes wherever it goes.

use bytes::{Buf, Bytes};
use casetrail::wire::block::{
    BLOCK_BYTES_MAX, BLOCK_BYTES_TARGET, BLOCK_RECORDS_MAX, BlockBuilder, BlockError,
    RECORD_BYTES_MAX, RecordBlock, find_blocks,
};
use proptest::prelude::*;
use prost::Message;

use super::support::{blocks_at, blocks_of};

/// The message as a client knows that was made from the proto files alone.
#[derive(Clone, PartialEq, Message)]
struct PlainBlock {
    #[prost(fixed32, tag = "1")]
    magic: u32,
    #[prost(fixed64, tag = "2")]
    first_position: u64,
    #[prost(fixed32, tag = "3")]
    count: u32,
    #[prost(fixed32, tag = "4")]
    records_length: u32,
    #[prost(fixed32, tag = "5")]
    checksum: u32,
    #[prost(bytes = "vec", repeated, tag = "6")]
    records: Vec<Vec<u8>>,
}

fn small_block() -> RecordBlock {
    blocks_of(
        7,
        &[b"one".to_vec(), Vec::new(), b"three, a longer one".to_vec()],
    )
    .remove(0)
}

fn records_of(blocks: &[RecordBlock]) -> Vec<(u64, Vec<u8>)> {
    blocks
        .iter()
        .flat_map(RecordBlock::records)
        .map(|(at, bytes)| (at, bytes.to_vec()))
        .collect()
}

fn parse(bytes: Vec<u8>) -> Result<RecordBlock, BlockError> {
    RecordBlock::parse(Bytes::from(bytes))
}

#[test]
fn the_stored_bytes_are_a_plain_protobuf_message() {
    let block = small_block();
    let plain = PlainBlock::decode(block.as_bytes().clone()).unwrap();
    assert_eq!(plain.magic.to_le_bytes(), *b"CTB1");
    assert_eq!((plain.first_position, plain.count), (7, 3));
    assert_eq!(plain.records_length as usize, block.as_bytes().len() - 29);
    assert_eq!(
        plain.records,
        [b"one".to_vec(), Vec::new(), b"three, a longer one".to_vec()]
    );
    assert_eq!(plain.encode_to_vec(), **block.as_bytes());
}

#[test]
fn encoding_writes_and_decoding_restores_the_stored_bytes() {
    let block = small_block();
    assert_eq!(block.encode_to_vec(), **block.as_bytes());
    let decoded = RecordBlock::decode(block.as_bytes().clone()).unwrap();
    assert_eq!(decoded.as_bytes(), block.as_bytes());
    assert_eq!(decoded.verified().unwrap(), block);
}

#[test]
fn a_zero_that_a_sender_left_out_and_a_field_from_the_future_change_nothing() {
    let block = blocks_of(0, &[b"first".to_vec()]).remove(0);
    let mut sent = PlainBlock::decode(block.as_bytes().clone())
        .unwrap()
        .encode_to_vec();
    assert!(
        sent.len() < block.as_bytes().len(),
        "the zero position was left out"
    );
    sent.extend([0x78, 0x01]); // Field 15, a varint.
    assert_eq!(
        RecordBlock::decode(&*sent).unwrap().verified().unwrap(),
        block
    );
}

#[test]
fn an_empty_message_is_neither_a_block_nor_an_error_to_decode() {
    let empty = RecordBlock::decode(Bytes::new()).unwrap();
    assert_eq!(empty, RecordBlock::default());
    assert!(empty.encode_to_vec().is_empty());
    assert_eq!((empty.count(), empty.records().count()), (0, 0));
    assert_eq!(empty.starting_at(0), None);
    assert!(empty.verified().is_err());
    assert!(BlockBuilder::new().finish(0).is_empty());
}

#[test]
fn every_flipped_bit_is_detected() {
    let bytes = small_block().as_bytes().to_vec();
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(parse(changed).is_err(), "bit {bit}");
    }
}

#[test]
fn a_block_cut_or_extended_anywhere_is_refused() {
    let bytes = small_block().as_bytes().to_vec();
    for length in 0..bytes.len() {
        assert!(parse(bytes[..length].to_vec()).is_err(), "{length} bytes");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    let expected = bytes.len() as u64;
    assert_eq!(
        parse(longer),
        Err(BlockError::Length {
            expected,
            actual: bytes.len() + 1
        })
    );
}

#[test]
fn a_block_is_cut_at_any_position_without_decoding() {
    let records: Vec<Vec<u8>> = (0..6).map(|n| vec![n; usize::from(n) * 50]).collect();
    let block = blocks_of(100, &records).remove(0);
    for first in 98..108 {
        for end in 98..108 {
            let kept: Vec<(u64, Vec<u8>)> = records_of(std::slice::from_ref(&block))
                .into_iter()
                .filter(|(position, _)| (first..end).contains(position))
                .collect();
            let cut = block.slice(first..end);
            assert_eq!(cut.is_none(), kept.is_empty(), "{first}..{end}");
            if let Some(cut) = cut {
                assert_eq!(records_of(&[cut.clone().verified().unwrap()]), kept);
            }
        }
        assert_eq!(block.starting_at(first), block.slice(first..106));
    }
}

#[test]
fn a_block_is_full_at_its_limits_and_a_large_record_stands_alone() {
    let small = blocks_of(0, &vec![b"x".to_vec(); 17]);
    assert_eq!(
        small.iter().map(RecordBlock::count).collect::<Vec<_>>(),
        [BLOCK_RECORDS_MAX, 1]
    );
    let mixed = [
        vec![1; 2_500],
        vec![2; 2_500],
        vec![3; 2_500],
        vec![4; 30_000],
        vec![5; 10],
    ];
    let mixed = blocks_of(0, &mixed);
    assert_eq!(
        mixed.iter().map(RecordBlock::count).collect::<Vec<_>>(),
        [2, 1, 1, 1]
    );
    assert!(mixed[0].as_bytes().len() <= BLOCK_BYTES_TARGET);
    let largest = blocks_of(0, &[vec![1; RECORD_BYTES_MAX]]);
    assert_eq!(largest[0].as_bytes().len(), BLOCK_BYTES_MAX);
    largest[0].clone().verified().unwrap();
}

#[test]
fn a_record_over_the_limit_is_refused_and_leaves_the_builder_as_it_was() {
    let mut builder = BlockBuilder::new();
    builder.push_encoded(b"before").unwrap();
    let bytes = builder.bytes_count();
    let length = RECORD_BYTES_MAX + 1;
    let refused = BlockError::RecordTooLarge {
        length,
        limit: RECORD_BYTES_MAX,
    };
    assert_eq!(builder.push_encoded(&vec![0; length]), Err(refused));
    assert_eq!((builder.bytes_count(), builder.record_count()), (bytes, 1));
    builder.push(&"after".to_owned()).unwrap();
    let blocks = builder.finish(3);
    assert_eq!(
        blocks[0].as_bytes().len(),
        bytes + 2 + 7,
        "a frame, and a string as field 1"
    );
    assert!(builder.is_empty());
}

#[test]
fn debug_output_shows_no_content() {
    let block = blocks_of(7, &[b"secret".to_vec()]).remove(0);
    let text = format!("{block:?}");
    assert_eq!(
        text,
        "RecordBlock { first_position: 7, count: 1, length: 37 }"
    );
}

#[test]
fn positions_that_run_over_are_refused() {
    let block = blocks_of(u64::MAX, &[b"last".to_vec()]).remove(0);
    let refused = BlockError::PositionOverflow {
        first_position: u64::MAX,
    };
    assert_eq!(block.verified(), Err(refused));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn blocks_hold_what_was_pushed(
        first in 0..u64::MAX / 2,
        sizes in prop::collection::vec(0_usize..3_000, 1..60),
    ) {
        let records: Vec<Vec<u8>> = sizes.iter().map(|size| vec![*size as u8; *size]).collect();
        let mut builder = BlockBuilder::new();
        for record in &records {
            builder.push_encoded(record).unwrap();
        }
        let bytes = builder.bytes_count();
        let blocks = builder.finish(first);
        prop_assert_eq!(bytes, blocks.iter().map(|block| block.as_bytes().len()).sum::<usize>());
        let mut next = first;
        for block in &blocks {
            prop_assert_eq!(&RecordBlock::parse(block.as_bytes().clone()).unwrap(), block);
            prop_assert_eq!(block.first_position(), next);
            next = block.end_position();
        }
        let expected: Vec<(u64, Vec<u8>)> = (first..).zip(records).collect();
        prop_assert_eq!(records_of(&blocks), expected);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(RecordBlock::parse(Bytes::from(bytes.clone())).is_err());
        prop_assert_eq!(find_blocks(&bytes).count(), 0);
        if let Ok(block) = RecordBlock::decode(&*bytes) {
            let _ = block.records().count();
            let _ = (block.starting_at(1), block.slice(0..u64::MAX), block.verified());
        }
    }

    #[test]
    fn a_header_with_an_arbitrary_tail_never_panics(
        header in prop::collection::vec(any::<u8>(), 24),
        tail in prop::collection::vec(any::<u8>(), 1..60),
    ) {
        let mut plain = PlainBlock {
            magic: u32::from_le_bytes(*b"CTB1"),
            first_position: u64::from_le_bytes(header[..8].try_into().unwrap()),
            count: u32::from(header[8] % 4),
            records_length: tail.len() as u32,
            checksum: 1,
            records: Vec::new(),
        };
        plain.first_position = plain.first_position.max(1);
        plain.count = plain.count.max(1);
        let mut bytes = plain.encode_to_vec();
        bytes.extend(&tail);
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&bytes[..24]);
        hasher.update(&tail);
        bytes[25..29].copy_from_slice(&hasher.finalize().to_le_bytes());
        if let Ok(block) = parse(bytes) {
            prop_assert_eq!(block.records().count(), block.count() as usize);
        }
    }

    #[test]
    fn blocks_are_found_in_arbitrary_bytes(
        gaps in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 4),
        count in 20_u64..80,
    ) {
        let blocks = blocks_at(5, count);
        let mut raw = Vec::new();
        for (at, block) in blocks.iter().enumerate() {
            raw.extend(&gaps[at % gaps.len()]);
            raw.extend(b"\x0dCTB1\x0dCTB"); // What looks like a beginning is not a block.
            raw.extend(block.as_bytes());
        }
        let found: Vec<RecordBlock> = find_blocks(&raw).map(|(_, block)| block).collect();
        prop_assert_eq!(found, blocks);
    }

    #[test]
    fn of_changed_bytes_only_blocks_that_were_encoded_are_found(
        count in 1_u64..60,
        changes in prop::collection::vec((any::<prop::sample::Index>(), change()), 1..8),
    ) {
        let blocks = blocks_at(5, count);
        let mut raw: Vec<u8> = blocks.iter().flat_map(|block| block.as_bytes().to_vec()).collect();
        for (at, change) in changes {
            change.make(&mut raw, at);
        }
        let mut end = 0;
        for (at, block) in find_blocks(&raw) {
            prop_assert!(at >= end, "blocks overlap");
            end = at + block.as_bytes().len();
            prop_assert_eq!(&raw[at..end], &**block.as_bytes());
            prop_assert!(blocks.contains(&block), "{:?} was never encoded", block);
        }
    }

    #[test]
    fn a_changed_block_is_refused_however_it_arrives(
        count in 1_u64..17,
        changes in prop::collection::vec((any::<prop::sample::Index>(), change()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let block = blocks_at(90, count).remove(0);
        let mut bytes = block.as_bytes().to_vec();
        for (at, change) in changes {
            change.make(&mut bytes, at);
        }
        let same = bytes == **block.as_bytes();
        prop_assert_eq!(parse(bytes.clone()).is_ok(), same);
        // In two pieces, as it may come over the wire.
        let (front, back) = bytes.split_at(cut.index(bytes.len() + 1));
        if let Ok(decoded) = RecordBlock::decode(Buf::chain(front, back)) {
            // What decodes to a whole block says the same, in whatever order it was sent.
            let _ = (decoded.records().count(), decoded.slice(91..95), decoded.starting_at(92));
            if let Ok(whole) = decoded.verified() {
                prop_assert_eq!(whole, block);
            }
        }
    }
}

/// A change of bytes at some place.
#[derive(Clone, Debug)]
enum Change {
    Flip(u8),
    Overwrite(Vec<u8>),
    Insert(Vec<u8>),
    Remove(usize),
    Repeat(usize),
}

fn change() -> impl Strategy<Value = Change> {
    let some = || prop::collection::vec(any::<u8>(), 1..40);
    prop_oneof![
        (0_u8..8).prop_map(Change::Flip),
        some().prop_map(Change::Overwrite),
        some().prop_map(Change::Insert),
        (1_usize..200).prop_map(Change::Remove),
        (1_usize..9_000).prop_map(Change::Repeat),
    ]
}

impl Change {
    fn make(self, bytes: &mut Vec<u8>, at: prop::sample::Index) {
        if bytes.is_empty() {
            return;
        }
        let at = at.index(bytes.len());
        let until = |length: usize| (at + length).min(bytes.len());
        match self {
            Self::Flip(bit) => bytes[at] ^= 1 << bit,
            Self::Overwrite(with) => {
                let until = until(with.len());
                bytes[at..until].copy_from_slice(&with[..until - at]);
            }
            Self::Insert(more) => drop(bytes.splice(at..at, more)),
            Self::Remove(length) => drop(bytes.drain(at..until(length))),
            Self::Repeat(length) => {
                let again = bytes[at..until(length)].to_vec();
                drop(bytes.splice(at..at, again));
            }
        }
    }
}
