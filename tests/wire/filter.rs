//! Filters and pages.

use casetrail::wire::{
    header::RecordHeader,
    limits, v1,
    validate::{self, PageScope, case_filter, page_size, page_token, replay_filter},
};
use uuid::Uuid;

fn standing() -> v1::Standing {
    v1::Standing {
        kind: v1::CaseKind::Detention.into(),
        reported: v1::CaseStatus::DetentionReleased.into(),
        confirmed: v1::CaseStatus::DetentionRegistered.into(),
        contested: true,
        closed: false,
        category: v1::LegalCategory::Hostage.into(),
        district: "XA01".to_owned(),
        organisation: "org-1".to_owned(),
        merged_into: String::new(),
    }
}

#[test]
fn lists_of_a_case_filter_are_ors_joined_by_and() {
    let case_id = Uuid::from_u128(7);
    let matches = |filter: v1::CaseFilter, standing: &v1::Standing| {
        case_filter("filter", Some(filter))
            .unwrap()
            .matches(case_id, standing)
    };
    let standing = standing();
    assert!(
        case_filter("filter", None)
            .unwrap()
            .matches(case_id, &standing)
    );
    let full = v1::CaseFilter {
        kinds: vec![v1::CaseKind::Remains.into(), v1::CaseKind::Detention.into()],
        categories: vec![v1::LegalCategory::Hostage.into()],
        statuses: vec![v1::CaseStatus::DetentionRegistered.into()],
        districts: vec!["XB02".to_owned(), "XA01".to_owned()],
        organisations: vec!["org-1".to_owned()],
        case_ids: vec![case_id.to_string().to_uppercase()],
        contested: true,
    };
    assert!(matches(full.clone(), &standing));
    let reported = vec![v1::CaseStatus::DetentionReleased.into()];
    assert!(matches(
        v1::CaseFilter {
            statuses: reported,
            ..full.clone()
        },
        &standing
    ));
    let others: [fn(&mut v1::CaseFilter); 6] = [
        |filter| filter.kinds = vec![v1::CaseKind::Return.into()],
        |filter| filter.categories = vec![v1::LegalCategory::PrisonerOfWar.into()],
        |filter| filter.statuses = vec![v1::CaseStatus::DetentionAlleged.into()],
        |filter| filter.districts = vec!["XA02".to_owned()],
        |filter| filter.organisations = vec!["org-2".to_owned()],
        |filter| filter.case_ids = vec![Uuid::from_u128(8).to_string()],
    ];
    for alter in others {
        let mut other = full.clone();
        alter(&mut other);
        assert!(!matches(other, &standing));
    }
    assert!(!matches(
        full,
        &v1::Standing {
            contested: false,
            ..standing
        }
    ));
}

#[test]
fn malformed_filters_are_refused_with_paths_and_without_their_texts() {
    let filter = v1::CaseFilter {
        kinds: vec![0],
        categories: vec![99],
        statuses: vec![v1::CaseStatus::RemainsReported.into(), 7],
        districts: vec!["secret place".to_owned()],
        organisations: vec![String::new()],
        case_ids: vec!["secret".to_owned()],
        contested: false,
    };
    let invalid = case_filter("filter", Some(filter)).unwrap_err();
    let fields: Vec<_> = invalid
        .violations
        .iter()
        .map(|it| it.field.as_str())
        .collect();
    assert_eq!(
        fields,
        [
            "filter.kinds[0]",
            "filter.categories[0]",
            "filter.statuses[1]",
            "filter.districts[0]",
            "filter.organisations[0]",
            "filter.case_ids[0]"
        ]
    );
    assert!(!invalid.to_string().contains("secret"));

    let case_ids = vec![Uuid::from_u128(9).to_string(); limits::FILTER_VALUES_MAX + 1];
    let filter = v1::ReplayFilter {
        case_ids,
        ..Default::default()
    };
    let invalid = replay_filter("filter", Some(filter)).unwrap_err();
    assert_eq!(invalid.reason, validate::TOO_LARGE);
}

#[test]
fn a_replay_filter_works_on_headers() {
    let header = RecordHeader {
        case_id: Uuid::from_u128(7).to_string(),
        event_type: v1::EventType::Released.into(),
        actor: "actor-1".to_owned(),
        standing: Some(standing()),
        ..Default::default()
    };
    let all = replay_filter("filter", None).unwrap();
    assert!(all.matches_all() && all.matches(&header));
    let full = v1::ReplayFilter {
        case_ids: vec![header.case_id.clone()],
        kinds: vec![v1::CaseKind::Detention.into()],
        event_types: vec![v1::EventType::Released.into()],
        actors: vec!["actor-1".to_owned()],
    };
    let matches = |filter: v1::ReplayFilter| {
        let filter = replay_filter("filter", Some(filter)).unwrap();
        assert!(!filter.matches_all());
        filter.matches(&header)
    };
    assert!(matches(full.clone()));
    let case_ids = vec![Uuid::from_u128(8).to_string()];
    assert!(!matches(v1::ReplayFilter {
        case_ids,
        ..full.clone()
    }));
    let kinds = vec![v1::CaseKind::Remains.into()];
    assert!(!matches(v1::ReplayFilter {
        kinds,
        ..full.clone()
    }));
    let event_types = vec![v1::EventType::Arrived.into()];
    assert!(!matches(v1::ReplayFilter {
        event_types,
        ..full.clone()
    }));
    assert!(!matches(v1::ReplayFilter {
        actors: vec!["actor-2".to_owned()],
        ..full
    }));
}

#[test]
fn page_sizes_have_a_default_and_a_cap() {
    assert_eq!(page_size("page_size", 0), Ok(limits::PAGE_SIZE_DEFAULT));
    assert_eq!(page_size("page_size", 1), Ok(1));
    assert_eq!(page_size("page_size", 1_000), Ok(1_000));
    assert_eq!(page_size("page_size", 1_001), Ok(1_000));
    assert_eq!(
        page_size("page_size", -1).unwrap_err().violations[0].field,
        "page_size"
    );
}

#[test]
fn a_page_token_belongs_to_its_list() {
    let scope = |filter: v1::CaseFilter| case_filter("filter", Some(filter)).unwrap().page_scope();
    let contested = scope(v1::CaseFilter {
        contested: true,
        ..Default::default()
    });
    let all = scope(v1::CaseFilter::default());
    for begin in [0, 1, 12_345, u64::MAX] {
        let token = contested.token(begin);
        // It tells nothing of where it begins, also to who holds two of them.
        let again = contested.token(begin);
        assert!(again != token && again.len() == contested.token(0).len());
        assert_eq!(page_token("page_token", &token, contested), Ok(begin));
        let invalid = page_token("page_token", &token, all).unwrap_err();
        assert!(invalid.to_string().contains("another list"), "{invalid}");
    }
    assert_eq!(case_filter("filter", None).unwrap().page_scope(), all);
    assert_eq!(page_token("page_token", "", all), Ok(0));
    let case = PageScope::of_case(Uuid::from_u128(1));
    assert!(
        page_token(
            "page_token",
            &case.token(3),
            PageScope::of_case(Uuid::from_u128(2))
        )
        .is_err()
    );
    for text in [
        "x",
        "+0000000000000010000000000000000",
        &"0".repeat(33),
        &"é".repeat(16),
    ] {
        let invalid = page_token("page_token", text, all).unwrap_err();
        assert!(invalid.to_string().contains("no page token"), "{invalid}");
    }
}
