#![allow(clippy::unwrap_used)]

use super::*;
use crate::log::MemoryLog;
use crate::wire::block::BlockBuilder;

/// A log whose commits have so many records of so many bytes.
fn log(commits: &[(u64, usize)]) -> Arc<dyn Log> {
    let log = MemoryLog::new();
    for (records, bytes) in commits {
        let mut builder = BlockBuilder::new();
        for _ in 0..*records {
            let record = bytes::Bytes::from(vec![0; *bytes]);
            builder.push_encoded(&record).unwrap();
        }
        log.append(log.head(), &builder.finish(log.head())).unwrap();
    }
    Arc::new(log)
}

/// Reads ahead from `from` to the head, as a replay does, and checks that it comes by every record.
async fn read_through(log: &Arc<dyn Log>, from: u64) {
    let mut ahead = ReadAhead::new(Reader {
        log: Arc::clone(log),
        heads: log.subscribe(),
    });
    let mut position = from;
    let mut for_nothing = 0;
    while position < log.head() {
        let blocks = ahead.next(position, u64::MAX).await.unwrap();
        for_nothing += u32::from(blocks.is_empty());
        assert!(for_nothing < 100, "it stands still at {position}");
        for block in blocks {
            assert!(
                block.first_position() <= position && position < block.end_position(),
                "{position} is not in {block:?}"
            );
            position = block.end_position();
        }
        assert!(ahead.under_way.len() <= READS_AHEAD);
    }
    assert!(ahead.next(position, u64::MAX).await.unwrap().is_empty());
}

#[tokio::test]
async fn each_record_is_read_once_however_much_the_sizes_of_records_change() {
    let even = [(100, 300); 80];
    let smaller_and_smaller: Vec<_> = (1..40)
        .map(|n| (20 * n, 8_000 / usize::try_from(n).unwrap()))
        .collect();
    let larger_and_larger: Vec<_> = smaller_and_smaller.iter().rev().copied().collect();
    let turns: Vec<_> = (0..60)
        .map(|n| if n % 2 == 0 { (5, 60_000) } else { (900, 20) })
        .collect();
    for commits in [&even[..], &smaller_and_smaller, &larger_and_larger, &turns] {
        let log = log(commits);
        for from in (0..log.head()).step_by(971) {
            read_through(&log, from).await;
        }
    }
}

#[tokio::test]
async fn what_follows_the_end_is_not_read_ahead() {
    let log = log(&[(100, 3_000); 80]);
    let mut ahead = ReadAhead::new(Reader {
        log: Arc::clone(&log),
        heads: log.subscribe(),
    });
    let blocks = ahead.next(0, 10).await.unwrap();
    assert!(blocks.last().unwrap().end_position() >= 10);
    assert!(ahead.under_way.is_empty());
}

#[test]
fn who_reads_takes_no_place_that_is_kept_for_who_records() {
    let places = StreamPlaces::new(2, 1);
    let reading = [places.take(), places.take()];
    assert!(reading.iter().all(Option::is_some) && places.take().is_none());
    let recording = places.take_to_submit();
    assert!(recording.is_some() && places.take_to_submit().is_none());
    drop(reading);
    assert!(places.take_to_submit().is_some() && places.take().is_some());
}
