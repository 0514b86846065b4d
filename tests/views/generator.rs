//! Records of made-up cases, the same for the same position.

use casetrail::wire::v1::{EventType as E, Record};
use prost::Message;
use uuid::Uuid;

use super::support::valid_event;

/// A story of ten events, as most cases of persons detained go.
const STORY: [E; 10] = [
    E::DetentionAlleged,
    E::DetentionAcknowledged,
    E::VisitedAndRegistered,
    E::LegalCategoryAsserted,
    E::PlaceTransferred,
    E::WishesRecorded,
    E::ReleaseListed,
    E::HandoverScheduled,
    E::HandoverStarted,
    E::Released,
];

/// A UUID of version 4, the same for the same number.
pub fn id(kind: u64, number: u64) -> Uuid {
    let mixed = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ kind.rotate_left(40));
    let high = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let low = (high ^ (high >> 32)).wrapping_mul(0x94d0_49bb_1331_11eb) ^ number;
    uuid::Builder::from_random_bytes((u128::from(high) << 64 | u128::from(low)).to_be_bytes())
        .into_uuid()
}

/// Histories of so many cases, of which `together` are told beside one another.
pub struct Generator {
    templates: Vec<Record>,
    pub cases: u64,
    together: u64,
}

impl Generator {
    pub fn new(cases: u64, together: u64) -> Self {
        let templates = STORY
            .iter()
            .enumerate()
            .map(|(index, event_type)| {
                let mut event = valid_event(*event_type);
                event.occurred = format!("2024-03-{:02}", 2 * index + 1);
                Record {
                    case_version: index as u64 + 1,
                    event_type: (*event_type).into(),
                    actor: "worker-1".into(),
                    organisation: "organisation-1".into(),
                    submission_size: 1,
                    submission_digest: vec![7; 32].into(),
                    event: Some(event),
                    standing: Some(Default::default()),
                    ..Record::default()
                }
            })
            .collect();
        Self {
            templates,
            cases,
            together,
        }
    }

    /// Number of records.
    pub fn records(&self) -> u64 {
        self.cases * STORY.len() as u64
    }

    /// Adds the encoded record of a position.
    pub fn record(&self, position: u64, buffer: &mut Vec<u8>) {
        let wave = self.together * STORY.len() as u64;
        let (wave, within) = (position / wave, position % wave);
        let (step, place) = (within / self.together, within % self.together);
        // Within a wave the cases take their turns in an order that no cache foresees.
        let shuffled = if step == 0 {
            place
        } else {
            place * 7_919 % self.together
        };
        let case = wave * self.together + shuffled;
        let mut record = self.templates[step as usize].clone();
        record.case_id = id(1, case).to_string();
        record.request_id = id(2, position).to_string();
        record.event.as_mut().unwrap().event_id = id(3, position).to_string();
        record.recorded_at = Some(prost_types::Timestamp {
            seconds: 1_712_000_000 + position as i64 / 10,
            nanos: 123_000,
        });
        record.encode(buffer).unwrap();
    }
}
