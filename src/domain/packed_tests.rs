#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::prelude::*;

use super::*;
use crate::wire::event_type;

fn event_type() -> impl Strategy<Value = EventType> {
    prop_oneof![
        Just(EventType::Unspecified),
        proptest::sample::select(event_type::ALL),
    ]
}

fn place() -> impl Strategy<Value = TextPlace> {
    any::<NonZeroU32>()
}

fn credibility() -> impl Strategy<Value = Credibility> {
    (0..6).prop_map(|number| Credibility::try_from(number).unwrap_or_default())
}

fn effect() -> impl Strategy<Value = Effect> {
    prop_oneof![
        Just(Effect::None),
        (0..6).prop_map(|number| Effect::Category(LegalCategory::try_from(number).unwrap())),
        any::<bool>().prop_map(Effect::ReleaseHold),
        (0..4).prop_map(|number| Effect::Wishes(WishesOutcome::try_from(number).unwrap())),
        place().prop_map(Effect::Label),
        place().prop_map(Effect::Custodian),
        any::<u32>().prop_map(Effect::MinimumNumberOfIndividuals),
        any::<u32>().prop_map(Effect::HouseholdSize),
        any::<u32>().prop_map(Effect::HouseholdSplit),
        any::<u32>().prop_map(Effect::MembersReturned),
        (any::<u32>(), credibility()).prop_map(|(fact, now)| Effect::Verify(fact, now)),
        any::<u32>().prop_map(Effect::Dispute),
        any::<u32>().prop_map(Effect::Resolve),
        any::<u32>().prop_map(Effect::Void),
        any::<u32>().prop_map(Effect::Retract),
        Just(Effect::Close),
        Just(Effect::Unresolved),
        place().prop_map(Effect::Kept),
        place().prop_map(Effect::MergedInto),
        place().prop_map(Effect::Unmerged),
    ]
}

prop_compose! {
    fn fact()(
        (position, event_id, day) in (any::<u64>(), any::<u128>(), any::<i32>()),
        (recorded_at, days) in (any::<i64>(), prop_oneof![Just(0), any::<u32>()]),
        corrects in proptest::option::of(any::<u32>()),
        (event_type, credibility, said) in (event_type(), credibility(), any::<bool>()),
        district in proptest::option::of(place()),
        effect in effect(),
    ) -> Fact {
        let row = lifecycle::row(event_type);
        let claim = match row.map(|row| row.result) {
            Some(Outcome::AsSaid(claims)) => claims.iter().copied().find(|_| said),
            _ => row.and_then(|row| lifecycle::claimed_status(row, None)),
        };
        Fact {
            position,
            event_id: Uuid::from_u128(event_id),
            recorded_at: Moment(recorded_at),
            day: Day(day),
            earliest: Day(day.saturating_sub_unsigned(days)),
            event_type,
            credibility,
            claim,
            district,
            effect,
            corrects,
        }
    }
}

proptest! {
    #[test]
    fn facts_come_out_as_they_went_in(
        items in prop::collection::vec((fact(), "\\PC{0,9}"), 0..20),
        kept in any::<prop::sample::Index>(),
    ) {
        let mut packed = PackedFacts::of_organisation("organisation");
        let mut places = Vec::new();
        let mut marks = vec![packed.mark()];
        for (fact, text) in &items {
            places.push(packed.intern(text, places.iter().flatten().copied().collect::<Vec<_>>()));
            packed.push(fact);
            marks.push(packed.mark());
        }
        let facts: Vec<_> = items.iter().map(|(fact, _)| *fact).collect();
        prop_assert_eq!(packed.iter().collect::<Vec<_>>(), facts.clone());
        prop_assert_eq!(packed.len() as usize, facts.len());
        prop_assert_eq!(packed.last_position(), facts.last().map(|fact| fact.position));
        prop_assert_eq!(packed.organisation(), "organisation");
        for ((_, text), place) in items.iter().zip(&places) {
            prop_assert_eq!(packed.text(*place), text);
        }

        let bytes = postcard::to_stdvec(&packed).unwrap();
        prop_assert_eq!(&postcard::from_bytes::<PackedFacts>(&bytes).unwrap(), &packed);

        let kept = kept.index(marks.len());
        packed.truncate(marks[kept]);
        prop_assert_eq!(packed.iter().collect::<Vec<_>>(), &facts[..kept]);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let packed = PackedFacts { bytes, ..PackedFacts::default() };
        prop_assert!(packed.iter().count() <= packed.bytes.len());
        packed.organisation();
        packed.text(NonZeroU32::new(7));
    }
}

#[test]
fn every_event_type_has_a_code_of_its_own() {
    for event_type in event_type::ALL {
        assert_ne!(code_of(*event_type), TEXT);
        assert_ne!(code_of(*event_type), 0);
        assert_eq!(event_type_of(code_of(*event_type)), *event_type);
    }
    assert_eq!(
        event_type_of(code_of(EventType::Unspecified)),
        EventType::Unspecified
    );
}

#[test]
fn a_text_that_the_case_tells_already_is_kept_once() {
    let mut packed = PackedFacts::of_organisation("organisation");
    let place = packed.intern("XA01", []);
    let length = packed.bytes.len();
    assert_eq!(packed.intern("XA01", place), place);
    assert_eq!(packed.intern("", place), None);
    assert_eq!(packed.bytes.len(), length);
    assert_ne!(packed.intern("XA02", place), place);
}

#[test]
fn a_case_is_small() {
    assert!(
        size_of::<crate::domain::CaseState>() <= 168,
        "{}",
        size_of::<crate::domain::CaseState>()
    );
}
