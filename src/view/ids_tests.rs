#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

/// A hash so weak that most identifiers have the hash of others.
fn weak(id: u128) -> u64 {
    let low = u64::try_from(id % 5).unwrap();
    (low << 54) | (low << 32) | (low % 2)
}

/// A table as it comes out of a snapshot.
fn stored_and_read<E: Entry>(table: &Table<E>) -> Table<E> {
    let mut read = Table::default();
    for odd in [0, 1] {
        let mut bytes = Vec::new();
        for part in (0..table.parts()).filter(|part| part % 2 == odd) {
            table.put_part(part, &mut bytes);
        }
        let mut half = Table::default();
        half.get_parts(&bytes).unwrap();
        read.merge(half);
    }
    assert_eq!(read.len(), table.len());
    read
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Insert(u128, usize),
    Store,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        60 => (0..40_u128, 0..8_usize).prop_map(|(id, place)| Step::Insert(id, place)),
        1 => Just(Step::Store),
    ];
    prop::collection::vec(step, 0..120)
}

proptest! {
    #[test]
    fn places_are_those_of_a_model_also_where_hashes_collide(steps in steps()) {
        let mut model: HashMap<u128, usize> = HashMap::new();
        let mut table = PlaceTable::default();
        for step in steps {
            match step {
                Step::Insert(id, place) => {
                    let place = *model.entry(id).or_insert(place);
                    table.insert(weak(id), place);
                }
                Step::Store => table = PlaceTable(stored_and_read(&table.0)),
            }
            for id in 0..40 {
                let found = table.get(weak(id), |place| model.get(&id) == Some(&place));
                prop_assert_eq!(found, model.get(&id).copied());
            }
        }
    }

    #[test]
    fn requests_are_those_of_a_model_also_where_hashes_collide(steps in steps()) {
        let mut model: HashMap<u128, u64> = HashMap::new();
        let mut table = RequestTable::default();
        for (position, step) in (0_u64..).zip(steps) {
            match step {
                Step::Insert(id, _) => {
                    // The writer asks first, and who reads the log tells where it was misled.
                    let mut told = table.get(weak(id), Uuid::from_u128(id));
                    if told.is_some() && told != model.get(&id).copied() {
                        let misled = model.iter().any(|(_, known)| Some(*known) == told);
                        prop_assert!(misled, "a position that nobody has");
                        table.note_absent(Uuid::from_u128(id));
                        told = table.get(weak(id), Uuid::from_u128(id));
                    }
                    prop_assert_eq!(told, model.get(&id).copied());
                    let position = *model.entry(id).or_insert(position);
                    // What a snapshot holds already is folded again.
                    table.insert(weak(id), Uuid::from_u128(id), position);
                    table.insert(weak(id), Uuid::from_u128(id), position);
                }
                Step::Store => table.table = stored_and_read(&table.table),
            }
            for (id, position) in &model {
                prop_assert_eq!(table.get(weak(*id), Uuid::from_u128(*id)), Some(*position));
            }
        }
    }

    #[test]
    fn an_entry_keeps_its_fingerprint_and_its_position(
        hash in any::<u64>(),
        position in 0..(1_u64 << POSITION_BITS) - 1,
    ) {
        let entry = RequestEntry::new(hash, position).unwrap();
        prop_assert_eq!(entry.position(), Some(position));
        prop_assert!(!entry.is_empty());
        let mut bytes = Vec::new();
        entry.put(&mut bytes);
        prop_assert_eq!(bytes.len(), RequestEntry::BYTES);
        prop_assert_eq!(<RequestEntry as Entry>::get(&bytes), Some(entry));
        let mut table = RequestTable::default();
        table.insert(hash, Uuid::nil(), position);
        prop_assert_eq!(table.fingerprinted(hash), Some(position));
        // Any one bit of the hash that differs tells another submission.
        for bit in 0..64 {
            let other = table.fingerprinted(hash ^ (1 << bit));
            prop_assert_eq!(other, None, "bit {}", bit);
        }
    }
}

#[test]
fn a_position_too_large_for_an_entry_is_kept_in_full() {
    let mut table = RequestTable::default();
    let far = 1 << POSITION_BITS;
    table.insert(7, Uuid::from_u128(7), far);
    assert_eq!(table.get(7, Uuid::from_u128(7)), Some(far));
    assert_eq!(table.get(7, Uuid::from_u128(8)), None);
    assert_eq!(table.table.len(), 0);
}

#[test]
fn a_large_table_is_at_most_a_third_empty() {
    let mut table = PlaceTable::default();
    let hasher = crate::view::hash::IdHasher::default();
    for number in 0..200_000 {
        table.insert(hasher.hash(Uuid::from_u128(number)), 3);
    }
    assert_eq!(table.table().len(), 200_000);
    assert!(table.table().slots() < 300_000, "{}", table.table().slots());
}
