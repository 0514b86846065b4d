//! The queue file against what a crash leaves of it: cut at every byte, torn; and against a second
//! command.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "damage_tests.rs"]
mod damage;

use std::os::unix::fs::symlink;

use tempfile::TempDir;
use uuid::Uuid;

use super::super::entries::Counts;
use super::*;
use crate::cli::sample::Sample;
use crate::wire::day::Day;
use crate::wire::v1::{Refusal, SubmitEventsRequest, SubmitEventsResponse};

/// A queue file that was written in several steps.
struct Written {
    folder: TempDir,
    bytes: Vec<u8>,
    records: Vec<Record>,
    /// After each step: the length of the file and how many records were told as done.
    steps: Vec<(usize, usize)>,
}

impl Written {
    fn path(&self) -> PathBuf {
        self.folder.path().join("queue")
    }

    /// How many records were told as done once the file had so many bytes.
    fn done_at(&self, length: usize) -> usize {
        let steps = self.steps.iter().rev();
        steps
            .filter(|(end, _)| *end <= length)
            .map(|(_, done)| *done)
            .next()
            .unwrap_or(0)
    }
}

fn submissions() -> Vec<SubmitEventsRequest> {
    Sample::new(3, 5).take(6).collect()
}

fn appended(submission: &SubmitEventsRequest) -> Record {
    Record::Appended {
        on: Day::from_calendar(2026, 11, 24).unwrap(),
        submission: submission.clone(),
    }
}

fn request_id(submission: &SubmitEventsRequest) -> Uuid {
    submission.request_id.parse().unwrap()
}

fn recorded(submission: &SubmitEventsRequest) -> Record {
    Record::Recorded {
        request_id: request_id(submission),
        answer: SubmitEventsResponse {
            request_id: submission.request_id.clone(),
            ..Default::default()
        },
    }
}

fn refused(submission: &SubmitEventsRequest) -> Record {
    Record::Refused {
        request_id: request_id(submission),
        refusal: Refusal {
            code: 9,
            reason: "EVENT_NOT_ALLOWED".into(),
            message: "not \"sealed 17\" in status Alleged".into(),
            ..Default::default()
        },
    }
}

/// A queue with all kinds of records: one waits, one is recorded, one refused, one removed.
fn written() -> Written {
    let each = submissions();
    let steps = [
        vec![appended(&each[0])],
        vec![appended(&each[1]), appended(&each[2]), appended(&each[3])],
        vec![recorded(&each[0]), refused(&each[1])],
        vec![Record::Removed {
            request_id: request_id(&each[2]),
        }],
        vec![appended(&each[4]), appended(&each[5])],
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue");
    let mut queue = Queue::open(&path, Missing::Make).unwrap();
    let mut written = Written {
        bytes: Vec::new(),
        records: Vec::new(),
        steps: Vec::new(),
        folder,
    };
    for records in steps {
        written.records.extend(records.iter().cloned());
        queue.write(records).unwrap();
        let length = usize::try_from(queue.end).unwrap();
        written.steps.push((length, written.records.len()));
    }
    drop(queue);
    written.bytes = fs::read(&path).unwrap();
    written
}

#[test]
fn what_is_written_is_read_again() {
    let written = written();
    let look = look(&written.path()).unwrap();
    let expected: Entries = written.records.iter().cloned().collect();
    assert_eq!(look.entries, expected);
    assert_eq!(look.torn_bytes, 0);
    let (waiting, recorded, refused) = (3, 1, 1);
    let expected = Counts {
        waiting,
        recorded,
        refused,
    };
    assert_eq!(look.entries.counts(), expected);
    assert!(matches!(
        look.entries.iter().next().unwrap().state,
        State::Recorded(_)
    ));
}

#[test]
fn cut_at_any_byte_nothing_is_lost_that_was_told_as_done_and_appending_goes_on() {
    let written = written();
    let path = written.path();
    let further = appended(&Sample::new(9, 8).last().unwrap());
    for length in 0..=written.bytes.len() {
        let bytes = &written.bytes[..length];
        // All records up to some one are there, and those that were told among them.
        let content = format::read(bytes).unwrap();
        let count = content.records.len();
        assert!(count >= written.done_at(length), "cut at {length}");
        assert_eq!(content.records, written.records[..count]);
        // A file takes several syncs: one is made around the ends of lines, and of some in between.
        let around = &written.bytes[length.saturating_sub(2)..written.bytes.len().min(length + 2)];
        if length % 29 != 0 && !around.contains(&b'\n') {
            continue;
        }
        fs::write(&path, bytes).unwrap();
        let mut queue = Queue::open(&path, Missing::Refuse).unwrap();
        let prefix: Entries = content.records.into_iter().collect();
        assert_eq!(queue.entries, prefix);
        assert_eq!(queue.torn_bytes(), length_of_torn(bytes));
        queue.write(vec![further.clone()]).unwrap();
        let look = look(&path).unwrap();
        assert_eq!(look.entries, queue.entries, "cut at {length}");
        assert_eq!(look.torn_bytes, 0);
    }
}

#[test]
fn a_torn_tail_longer_than_what_comes_next_is_gone_for_good() {
    let written = written();
    let mut bytes = written.bytes.clone();
    bytes.extend_from_slice(&vec![b'x'; 64 * 1024]);
    fs::write(written.path(), &bytes).unwrap();
    drop(Queue::open(&written.path(), Missing::Refuse).unwrap());
    assert_eq!(fs::read(written.path()).unwrap(), written.bytes);
}

/// How much of a cut file is no whole line.
fn length_of_torn(bytes: &[u8]) -> u64 {
    match bytes.iter().rposition(|byte| *byte == b'\n') {
        Some(end) => length(&bytes[end + 1..]),
        None => 0,
    }
}

#[test]
fn whatever_of_the_last_write_reached_the_disk_nothing_before_it_is_lost() {
    const SECTOR: usize = 64;
    let written = written();
    let mut begin = HEADER.len();
    let mut done = 0;
    for (end, done_then) in &written.steps {
        // The seal is only written once all before it is durable.
        let content = format::read(&written.bytes[..*end]).unwrap();
        assert_eq!(content.sealed_bytes, *end);
        let step = &written.bytes[begin..*end];
        let seal = step[..step.len() - 1].iter().rposition(|b| *b == b'\n');
        let unsealed = begin + seal.unwrap() + 1;
        for seed in 0..64_usize {
            let mut bytes = written.bytes[..unsealed].to_vec();
            for (index, sector) in bytes[begin..].chunks_mut(SECTOR).enumerate() {
                match (seed * 7 + index * (seed + 3)) % 3 {
                    0 => sector.fill(0),
                    1 => sector.reverse(),
                    _ => {}
                }
            }
            let content = format::read(&bytes).unwrap();
            let count = content.records.len();
            assert!(count >= done, "step to {end}, seed {seed}");
            assert_eq!(content.records, written.records[..count]);
        }
        (begin, done) = (*end, *done_then);
    }
}

#[test]
fn at_its_limit_a_queue_takes_answers_and_no_further_submission() {
    let written = written();
    let mut queue = Queue::open(&written.path(), Missing::Refuse).unwrap();
    queue.bytes_max = queue.end;
    let further = appended(&Sample::new(9, 8).last().unwrap());
    let failure = queue.append(vec![further]).unwrap_err().to_string();
    assert!(
        failure.contains("casetrail outbox prune --queue "),
        "{failure}"
    );
    assert_eq!(fs::read(written.path()).unwrap(), written.bytes);
    let answered = recorded(&submissions()[3]);
    queue.write(vec![answered.clone()]).unwrap();
    let records = written.records.into_iter().chain([answered]);
    assert_eq!(queue.entries, records.collect());
}

#[test]
fn what_an_interrupted_command_left_whole_is_sealed_by_the_next_one() {
    let written = written();
    let path = written.path();
    let content = format::read(&written.bytes).unwrap();
    assert_eq!(content.sealed_bytes, written.bytes.len());
    // Without its last seal, and with a part of it.
    let unsealed = written.bytes[..written.bytes.len() - 1]
        .iter()
        .rposition(|b| *b == b'\n')
        .unwrap()
        + 1;
    for length in [unsealed, unsealed + 5] {
        fs::write(&path, &written.bytes[..length]).unwrap();
        drop(Queue::open(&path, Missing::Refuse).unwrap());
        assert_eq!(fs::read(&path).unwrap(), written.bytes);
    }
}

#[test]
fn a_file_begun_and_nothing_more_is_begun_again_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue");
    for content in [&b""[..], b"caset", HEADER, &[0; 12]] {
        fs::write(&path, content).unwrap();
        drop(Queue::open(&path, Missing::Refuse).unwrap());
        assert_eq!(fs::read(&path).unwrap(), HEADER);
    }
    fs::remove_file(&path).unwrap();
    drop(Queue::open(&path, Missing::Make).unwrap());
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn a_second_command_is_told_that_another_is_at_work() {
    let written = written();
    let queue = Queue::open(&written.path(), Missing::Refuse).unwrap();
    let failure = Queue::open(&written.path(), Missing::Refuse).unwrap_err();
    assert!(
        failure
            .to_string()
            .contains("another casetrail outbox command is at work")
    );
    // Who only looks may look meanwhile.
    let expected: Entries = written.records.iter().cloned().collect();
    assert_eq!(look(&written.path()).unwrap().entries, expected);
    drop(queue);
    Queue::open(&written.path(), Missing::Refuse).unwrap();
}

#[test]
fn pruning_keeps_what_waits_and_what_is_refused_and_nothing_else() {
    let written = written();
    let link = written.folder.path().join("link");
    symlink(written.path(), &link).unwrap();
    let before = look(&link).unwrap().entries;
    let queue = Queue::open(&link, Missing::Refuse).unwrap();
    // One who opened the old file before takes note that it is no longer there.
    let old = File::open(written.path()).unwrap();
    assert!(is_at(&old, &written.path()));
    // What somebody else has beside it under a like name stays.
    let beside = written.folder.path().join("queue.new");
    fs::write(&beside, b"another file").unwrap();
    queue.prune().unwrap();
    assert!(!is_at(&old, &written.path()));
    assert_eq!(fs::read(&beside).unwrap(), b"another file");
    assert_eq!(fs::read_dir(written.folder.path()).unwrap().count(), 3);
    let is_recorded = |entry: &&Entry| matches!(entry.state, State::Recorded(_));
    let kept: Vec<_> = before.iter().filter(|entry| !is_recorded(entry)).collect();
    assert_eq!(kept.len(), 4);
    let look = look(&link).unwrap();
    assert_eq!(look.entries.iter().collect::<Vec<_>>(), kept);
    assert_eq!(look.torn_bytes, 0);
    let content = fs::read_to_string(written.path()).unwrap();
    for gone in [0, 2] {
        assert!(!content.contains(&submissions()[gone].request_id));
    }
    let metadata = fs::symlink_metadata(written.path()).unwrap();
    assert_eq!(metadata.mode() & 0o777, 0o600);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
}

#[test]
fn after_a_failed_write_nothing_more_is_written() {
    let written = written();
    let mut queue = Queue::open(&written.path(), Missing::Refuse).unwrap();
    // A file that is only read can't be written.
    let mut read_only = File::open(written.path()).unwrap();
    std::mem::swap(&mut queue.file, &mut read_only);
    let record = appended(&Sample::new(9, 8).last().unwrap());
    queue.write(vec![record.clone()]).unwrap_err();
    std::mem::swap(&mut queue.file, &mut read_only);
    queue.write(vec![record]).unwrap_err();
    let expected: Entries = written.records.into_iter().collect();
    assert_eq!(queue.entries, expected);
}
