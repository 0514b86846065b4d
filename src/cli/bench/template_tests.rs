#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::{HashMap, HashSet};

use super::*;
use crate::wire::edtf::Day;
use crate::wire::validate::{self, Expected as Version, Submission};

const TODAY: Day = Day::MAX;

fn shape(events: u64, case_events: u64, plot: Plot, stream_items: bool) -> Shape {
    Shape {
        events,
        case_events,
        plot,
        stream_items,
        padding: Shape::padding(events),
        personal: PersonalShape::default(),
    }
}

fn request(prepared: &Prepared, shape: Shape) -> SubmitEventsRequest {
    let bytes = prepared.bytes.clone();
    let request = if shape.stream_items {
        let item = SubmitStreamRequest::decode(bytes.clone()).unwrap();
        assert_eq!(item.encode_to_vec(), bytes);
        item.submission.unwrap()
    } else {
        let request = SubmitEventsRequest::decode(bytes.slice(5..)).unwrap();
        assert_eq!(framed(&request.encode_to_vec()), bytes);
        request
    };
    assert!(request.request_id.as_bytes().ends_with(&prepared.request));
    request
}

/// The submissions of some lanes, which take turns.
fn submissions(shape: Shape, lanes: u16, each: usize) -> Vec<Submission> {
    let templates = Templates::new(shape);
    let mut lanes: Vec<_> = (0..lanes).map(Lane::new).collect();
    let mut submissions = Vec::new();
    for _ in 0..each {
        for lane in &mut lanes {
            let request = request(&templates.next(lane), shape);
            submissions.push(validate::submission(request, TODAY).unwrap());
        }
    }
    submissions
}

#[test]
fn every_submission_is_valid_and_no_identifier_is_used_twice() {
    for stream_items in [false, true] {
        for (events, case_events) in [(1, 10), (3, 10), (64, 10), (100, 10), (7, 1), (1, 1)] {
            let shape = shape(events, case_events, Plot::Usual, stream_items);
            let mut identifiers = HashSet::new();
            for submission in submissions(shape, 3, 25) {
                assert!(identifiers.insert(submission.request_id));
                let mut count = 0;
                for change in submission.changes {
                    for event in change.events {
                        assert!(identifiers.insert(event.event_id()));
                        count += 1;
                    }
                }
                assert_eq!(count, events);
            }
        }
    }
}

#[test]
fn a_case_goes_through_its_story_from_version_to_version() {
    for (events, case_events) in [(1, 10), (3, 10), (64, 10), (10, 4)] {
        let shape = shape(events, case_events, Plot::Changes, true);
        let mut versions: HashMap<Uuid, u64> = HashMap::new();
        for submission in submissions(shape, 2, 40) {
            for change in submission.changes {
                let version = versions.entry(change.case_id).or_default();
                let expected = match change.expected {
                    Version::NoCase => 0,
                    Version::Version(version) => version,
                    Version::Any => u64::MAX,
                };
                assert_eq!(expected, *version);
                *version += u64::try_from(change.events.len()).unwrap();
                assert!(*version <= case_events);
            }
        }
        let whole = versions.values().filter(|version| **version == case_events);
        // The last case of each lane may be under way.
        assert!(whole.count() >= versions.len() - 2);
    }
}

#[test]
fn a_lane_that_begins_anew_opens_another_case() {
    let shape = shape(1, 10, Plot::Usual, false);
    let templates = Templates::new(shape);
    let mut lane = Lane::new(0);
    let first = request(&templates.next(&mut lane), shape);
    lane.begin_anew();
    let second = request(&templates.next(&mut lane), shape);
    assert_ne!(first.changes[0].case_id, second.changes[0].case_id);
    assert_eq!(second.changes[0].expected, Some(Expected::NoCase(true)));
}

#[test]
fn two_loads_share_no_identifier() {
    let shape = shape(1, 10, Plot::Usual, false);
    let first = |_| submissions(shape, 1, 1)[0].request_id;
    let [one, other] = [(), ()].map(first);
    assert_ne!(one, other);
}

#[test]
fn scrambling_keeps_numbers_apart() {
    let numbers: HashSet<_> = (0..100_000).map(scramble).collect();
    assert_eq!(numbers.len(), 100_000);
    assert!(numbers.iter().all(|number| *number < 1 << 48));
}
