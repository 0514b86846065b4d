//! Two blocks for one position: what a commit left that failed and was lost at the restart, and what
//! was recorded in its place. Only the second may come back.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use casetrail::ledger::salvage::{End, Salvaged, salvage};
use casetrail::log::Log;
use casetrail::wire::block::RecordBlock;

use super::damaged::left_over;
use super::fixture::{Chance, Story, blocks_of, copy, folder, open, records_in};

/// Puts blocks into the file where the database knows nothing of them: into a segment at its end
/// whose header is damaged.
fn leave_behind(data: &Path, blocks: &[RecordBlock]) {
    let path = data.join("log/db");
    let length = fs::metadata(&path).unwrap().len();
    let segment = 8 * 1024 * 1024;
    let mut db = OpenOptions::new().append(true).open(&path).unwrap();
    db.write_all(&vec![
        0;
        (length.next_multiple_of(segment) - length) as usize
            + 500
    ])
    .unwrap();
    for block in blocks {
        db.write_all(block.as_bytes()).unwrap();
        db.write_all(&[0; 33]).unwrap();
    }
}

/// A log whose server was told to record `lost`, died on the way, and then recorded `kept`.
struct Case {
    data: tempfile::TempDir,
    before: Vec<Vec<u8>>,
    lost: Vec<RecordBlock>,
    kept: Vec<Vec<u8>>,
}

/// `lost` and `kept` say how many events the submissions of each have.
/// Where `again`, what is kept are the first of the lost submissions, sent once more.
fn case(lost: &[u32], kept: &[u32], again: bool) -> Case {
    let data = folder();
    let mut story = Story::new(5);
    let log = open(data.path()).unwrap();
    for _ in 0..5 {
        story.commit(&log);
    }
    log.close().unwrap();
    let head = log.head();
    drop(log);
    let before = story.records.clone();

    // What was lost is recorded in a copy, by the same history.
    let other = folder();
    copy(data.path(), other.path());
    let mut lost_story = Story::new(5);
    let discarded = folder();
    let log = open(discarded.path()).unwrap();
    for _ in 0..5 {
        lost_story.commit(&log);
    }
    drop(log);
    assert!(lost_story.records == before);
    let mut lost_records = Vec::new();
    for events in lost {
        lost_records.extend(lost_story.submission(*events, 100));
    }
    let log = open(other.path()).unwrap();
    let lost = blocks_of(head, &lost_records);
    log.append(head, &lost).unwrap();
    log.close().unwrap();

    // The clock went on before the server was started again.
    let log = open(data.path()).unwrap();
    if !again {
        story.chance = Chance(99);
    }
    story.wait(60);
    let mut kept_records = Vec::new();
    for events in kept {
        let records = story.submission(*events, 100);
        let head = log.head();
        log.append(head, &blocks_of(head, &records)).unwrap();
        kept_records.extend(records);
    }
    log.close().unwrap();
    drop(log);
    leave_behind(data.path(), &lost);
    Case {
        data,
        before,
        lost,
        kept: kept_records,
    }
}

fn salvaged(case: &Case) -> (Salvaged, Vec<Vec<u8>>, Vec<RecordBlock>) {
    let parent = folder();
    let into = parent.path().join("new");
    let salvaged = salvage(case.data.path(), &into).unwrap();
    (salvaged, records_in(&into), left_over(&into))
}

#[test]
fn what_was_recorded_in_its_place_comes_back_and_what_was_lost_is_put_beside() {
    // Of the same length, longer and shorter than what took its place, and with the same bounds
    // between blocks, so that each block of the one would fit behind the other's.
    for (lost, kept) in [
        (&[1][..], &[1][..]),
        (&[3], &[1, 1, 1, 2]),
        (&[1, 1, 1, 1], &[2, 2, 2]),
        (&[4, 4], &[4, 4, 4]),
        (&[20, 13], &[5, 16, 2]),
    ] {
        for again in [false, true] {
            let case = case(lost, kept, again);
            let (salvaged, records, left_over) = salvaged(&case);
            let all = [case.before.clone(), case.kept.clone()].concat();
            assert!(records == all, "{lost:?} and {kept:?}");
            assert_eq!(salvaged.missing, 0);
            assert!(salvaged.is_complete());
            assert_eq!(left_over, case.lost, "{lost:?} and {kept:?}");
        }
    }
}

#[test]
fn what_was_lost_is_not_put_behind_what_was_recorded_in_its_place() {
    // The lost commit is longer, so that its last block begins where the log ends. By the versions of
    // the cases it would even follow where the same was sent again.
    for (again, reason) in [(false, "version"), (true, "recorded before")] {
        let case = case(&[1; 40], &[1; 16], again);
        assert!(case.lost.len() > 1);
        let all = [case.before.clone(), case.kept.clone()].concat();
        let (salvaged, records, left_over) = salvaged(&case);
        assert!(records == all);
        assert!(salvaged.is_complete());
        assert!(
            matches!(&salvaged.end, End::DoesNotFollow { position, cause }
                if *position == all.len() as u64 && cause.contains(reason)),
            "{:?}",
            salvaged.end
        );
        assert_eq!(left_over, case.lost);
    }
}

#[test]
fn a_log_that_ends_within_a_submission_comes_back_up_to_the_one_before() {
    let data = folder();
    let mut story = Story::new(6);
    let log = open(data.path()).unwrap();
    story.commit(&log);
    let whole = log.head();
    let half = blocks_of(whole, &story.submission(30, 300));
    assert!(half.len() > 1);
    log.append(whole, &half[..1]).unwrap();
    log.close().unwrap();
    drop(log);
    let parent = folder();
    let into = parent.path().join("new");
    let salvaged = salvage(data.path(), &into).unwrap();
    assert_eq!(
        salvaged.end,
        End::HalfSubmission {
            position: whole,
            until: half[0].end_position()
        }
    );
    assert!(records_in(&into) == story.records[..whole as usize]);
    assert_eq!(left_over(&into), half[..1]);
}

#[test]
fn records_that_do_not_follow_one_another_end_the_new_log() {
    // The moment, the version of a case, the submission, and what is no record at all.
    let wrong: [fn(&mut casetrail::wire::v1::Record); 5] = [
        |record| record.recorded_at = Some(prost_types::Timestamp::default()),
        |record| record.case_version += 1,
        |record| record.submission_index = 1,
        |record| record.case_id = "no uuid".to_owned(),
        |record| record.recorded_at = None,
    ];
    for (which, change) in wrong.iter().enumerate() {
        let data = folder();
        let mut story = Story::new(7);
        let log = open(data.path()).unwrap();
        story.commit(&log);
        let head = log.head();
        let mut records = story.submission(2, 100);
        let mut record: casetrail::wire::v1::Record = prost::Message::decode(&*records[0]).unwrap();
        change(&mut record);
        records[0] = prost::Message::encode_to_vec(&record);
        log.append(head, &blocks_of(head, &records)).unwrap();
        log.close().unwrap();
        drop(log);
        let parent = folder();
        let into = parent.path().join("new");
        let salvaged = salvage(data.path(), &into).unwrap();
        let end = salvaged.end.clone();
        assert!(
            matches!(end, End::DoesNotFollow { position, .. } if position == head),
            "{which}: {end:?}"
        );
        assert_eq!((salvaged.records, salvaged.missing), (head, 2));
        assert!(!salvaged.is_complete());
        assert_eq!(left_over(&into).len(), 1);
    }
}
