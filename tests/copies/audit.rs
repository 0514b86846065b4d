//! The audit: what a ledger recorded is sound, and each way in which it could not be is found.

use casetrail::ledger::audit::{Audit, Finding, FindingKind as K};
use casetrail::wire::block::{BlockBuilder, RecordBlock};
use casetrail::wire::v1::{PersonalValue, Record};
use proptest::prelude::{any, proptest};
use proptest::sample::Index;
use proptest::test_runner::Config;
use prost::Message as _;

use super::making::{blocks_of, records, sample_blocks, views_digest};

/// What an audit of blocks finds.
fn audit(blocks: &[RecordBlock]) -> (Audit, Vec<Finding>) {
    let mut audit = Audit::new();
    let mut findings = Vec::new();
    for block in blocks {
        audit.take(block, &mut |finding| findings.push(finding));
    }
    audit.finish(&mut |finding| findings.push(finding));
    (audit, findings)
}

/// The kinds and positions that are found in a log of records one of which was altered.
fn altered(position: usize, alter: impl FnOnce(&mut Record)) -> Vec<(K, u64)> {
    let mut records: Vec<Record> = records(sample_blocks())
        .into_iter()
        .map(|(_, r)| r)
        .collect();
    alter(&mut records[position]);
    let (_, findings) = audit(&blocks_of(&records));
    findings.iter().map(|f| (f.kind, f.position)).collect()
}

/// The first record behind position 20 that meets a condition, with its position.
fn find(condition: impl Fn(&Record) -> bool) -> usize {
    let records = records(sample_blocks());
    let found = records
        .iter()
        .skip(20)
        .find(|(_, record)| condition(record));
    found.unwrap().0 as usize
}

#[test]
fn what_a_ledger_recorded_is_sound() {
    let blocks = sample_blocks();
    let (audit, findings) = audit(blocks);
    assert_eq!(findings, []);
    assert_eq!(audit.position(), blocks.last().unwrap().end_position());
    assert_eq!(audit.records(), audit.position());
    assert!(audit.is_between_submissions());
    let views = audit.views().unwrap();
    assert_eq!(views.frozen().digest(), views_digest(blocks));
    assert_eq!(views.cases().len(), audit.cases());
}

#[test]
fn each_thing_that_a_record_must_have_is_missed() {
    let at = find(|record| record.submission_index == 0 && record.submission_size > 1);
    let here = |kind| vec![(kind, at as u64)];
    assert_eq!(altered(at, |r| r.case_version += 1)[0], here(K::Version)[0]);
    assert_eq!(
        altered(at, |r| r.submission_digest.clear()),
        here(K::Record)
    );
    assert_eq!(
        altered(at + 1, |r| r.submission_digest = vec![1; 32].into()).len(),
        1
    );
    assert_eq!(
        altered(at, |r| r.submission_size += 1)[0],
        (K::Submission, at as u64 + 1)
    );
    assert_eq!(altered(at, |r| r.event_type = 0)[0].0, K::Record);
    assert_eq!(altered(at, |r| r.recorded_at = None)[0], here(K::Record)[0]);
    let personal = |r: &mut Record| {
        r.event.as_mut().unwrap().personal = vec![PersonalValue::default()];
    };
    assert_eq!(altered(at, personal)[0], here(K::Personal)[0]);
    let later = |r: &mut Record| r.recorded_at.as_mut().unwrap().seconds += 1_000_000;
    let found = altered(at, later);
    assert!(
        found[0].0 == K::RecordedAt && found[0].1 == at as u64 + 1,
        "{found:?}"
    );
    for upper in [true, false] {
        let found = altered(at, |r| {
            let id = if upper {
                "018E0B5C-7A40-7000-8000-00000000ABCD"
            } else {
                "none"
            };
            r.request_id = id.to_owned();
        });
        assert_eq!(found[0], here(K::Record)[0]);
    }
}

#[test]
fn an_identifier_that_was_recorded_before_is_found() {
    let all = records(sample_blocks());
    let first = &all[0].1;
    let at = find(|record| record.submission_index == 0 && record.submission_size == 1);
    let found = altered(at, |r| r.request_id.clone_from(&first.request_id));
    assert_eq!(found, [(K::RequestId, at as u64)]);
    let event_id = first.event.clone().unwrap().event_id;
    let found = altered(at, |r| r.event.as_mut().unwrap().event_id = event_id);
    assert_eq!(found[0], (K::EventId, at as u64));
}

#[test]
fn a_standing_that_the_events_do_not_add_up_to_is_found_and_does_not_concern_the_records() {
    let at = find(|record| record.previous_standing.is_some());
    let found = altered(at, |r| r.standing.as_mut().unwrap().contested ^= true);
    assert_eq!(found, [(K::Standing, at as u64)]);
    let found = altered(at, |r| r.previous_standing = None);
    assert_eq!(found, [(K::Standing, at as u64)]);
    assert!(!K::Standing.concerns_records());
}

/// A whole block of any number of records, which no builder makes.
fn raw_block(first_position: u64, records: &[Vec<u8>]) -> RecordBlock {
    let mut frames = Vec::new();
    for record in records {
        frames.push(0x32);
        prost::encoding::encode_varint(record.len() as u64, &mut frames);
        frames.extend(record);
    }
    let mut bytes = vec![0x0d];
    bytes.extend(b"CTB1\x11");
    bytes.extend(first_position.to_le_bytes());
    bytes.push(0x1d);
    bytes.extend((records.len() as u32).to_le_bytes());
    bytes.push(0x25);
    bytes.extend((frames.len() as u32).to_le_bytes());
    let checksum = crc32fast::hash(&[&bytes[..], &frames].concat());
    bytes.push(0x2d);
    bytes.extend(checksum.to_le_bytes());
    bytes.extend(frames);
    RecordBlock::parse(bytes.into()).unwrap()
}

#[test]
fn blocks_of_wrong_sizes_are_found() {
    let all: Vec<Vec<u8>> = records(sample_blocks())
        .iter()
        .map(|(_, record)| record.encode_to_vec())
        .collect();
    let whole_submission = |index: &usize| {
        let (_, record) = &records(sample_blocks())[*index - 1];
        record.submission_index + 1 == record.submission_size
    };
    // Seventeen records and more in a block, and a few that are too large together.
    let many = (17..30).find(whole_submission).unwrap();
    let (_, findings) = audit(&[raw_block(0, &all[..many])]);
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!((findings[0].kind, findings[0].position), (K::Block, 0));
    let few = (14..=16).rev().find(whole_submission).unwrap();
    let bytes: usize = all[..few].iter().map(Vec::len).sum();
    let (_, findings) = audit(&[raw_block(0, &all[..few])]);
    let expected = if bytes > 6_000 { 1 } else { 0 };
    assert_eq!(findings.len(), expected, "{bytes} bytes: {findings:?}");
}

#[test]
fn behind_records_that_are_missing_the_rest_is_looked_at_without_noise() {
    let blocks = sample_blocks();
    for gap in [1, blocks.len() / 2] {
        let mut rest = blocks.to_vec();
        let missing = rest.remove(gap);
        let (audit, findings) = audit(&rest);
        assert_eq!(findings.len(), 1, "{findings:?}");
        let missed = (K::Missing, missing.first_position());
        assert_eq!((findings[0].kind, findings[0].position), missed);
        assert!(!audit.is_gapless() && audit.views().is_none());
        let all = blocks.last().unwrap().end_position();
        assert_eq!(audit.records(), all - u64::from(missing.count()));
    }
}

#[test]
fn a_fault_behind_a_gap_is_still_found() {
    let mut all: Vec<Record> = records(sample_blocks())
        .into_iter()
        .map(|(_, r)| r)
        .collect();
    let last = all.len() - 1;
    let event_id = all[0].event.clone().unwrap().event_id;
    all[last].event.as_mut().unwrap().event_id = event_id;
    let mut blocks = blocks_of(&all);
    blocks.remove(blocks.len() / 2);
    let (_, findings) = audit(&blocks);
    let kinds: Vec<_> = findings.iter().map(|f| f.kind).collect();
    assert_eq!(kinds, [K::Missing, K::EventId]);
}

#[test]
fn a_block_twice_and_blocks_in_another_order_are_found() {
    let blocks = sample_blocks();
    let twice = [&blocks[..5], &blocks[4..]].concat();
    let (at_end, findings) = audit(&twice);
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].kind, K::Order);
    assert!(at_end.is_gapless());
    let mut swapped = blocks.to_vec();
    swapped.swap(4, 5);
    let (_, findings) = audit(&swapped);
    assert_eq!(findings[0].kind, K::Missing);
    assert!(findings.iter().any(|f| f.kind == K::Order));
}

#[test]
fn a_log_that_ends_in_the_middle_of_a_submission_is_found() {
    let at = find(|record| record.submission_index == 0 && record.submission_size > 1) as u64;
    let blocks = sample_blocks();
    let cut: Vec<_> = blocks
        .iter()
        .filter_map(|block| block.slice(0..at + 1))
        .collect();
    let (audit, findings) = audit(&cut);
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(
        (findings[0].kind, findings[0].position),
        (K::Submission, at + 1)
    );
    assert!(!audit.is_between_submissions());
}

proptest! {
    #![proptest_config(Config::with_cases(32))]

    #[test]
    fn a_record_that_was_left_out_is_found_but_for_a_whole_submission_at_the_end_of_its_case(
        at in any::<Index>(),
    ) {
        let mut all: Vec<Record> = records(sample_blocks())
            .into_iter()
            .map(|(_, record)| record)
            .collect();
        let at = at.index(all.len());
        let removed = all.remove(at);
        // The positions close up, as if somebody had made the blocks anew: only an end mark's digest
        // tells then that the last of a case is gone.
        let is_last = all[at..].iter().all(|record| record.case_id != removed.case_id);
        let (_, findings) = audit(&blocks_of(&all));
        assert_eq!(findings.is_empty(), removed.submission_size == 1 && is_last);
    }

    #[test]
    fn the_audit_does_not_hang_on_how_records_are_cut_into_blocks(
        cuts in proptest::collection::vec(1_usize..20, 1..8),
    ) {
        let all = records(sample_blocks());
        let mut blocks = Vec::new();
        let mut cuts = cuts.iter().cycle();
        let mut rest = &all[..];
        while !rest.is_empty() {
            let (part, left) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
            let mut builder = BlockBuilder::new();
            for (_, record) in part {
                builder.push(record).unwrap();
            }
            blocks.extend(builder.finish(part[0].0));
            rest = left;
        }
        assert_eq!(audit(&blocks).1, []);
    }
}
