//! Filters of cases and of records. Every list is an or, an empty one matches all; the lists are
//! joined by and.

use std::{collections::HashSet, fmt};

use prost::Message;
use uuid::Uuid;

use super::{Checker, Invalid, PageScope};
use crate::wire::{header::RecordHeader, limits::FILTER_VALUES_MAX, v1};

/// Which cases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaseFilter {
    kinds: Vec<i32>,
    categories: Vec<i32>,
    statuses: Vec<i32>,
    districts: Vec<String>,
    organisations: Vec<String>,
    case_ids: HashSet<Uuid>,
    contested: bool,
    scope: PageScope,
}

impl CaseFilter {
    /// Whether a case that stands so is among them.
    pub fn matches(&self, case_id: Uuid, standing: &v1::Standing) -> bool {
        (!self.contested || standing.contested)
            && any_or_empty(&self.kinds, &standing.kind)
            && any_or_empty(&self.categories, &standing.category)
            && (self.statuses.is_empty()
                || self.statuses.contains(&standing.reported)
                || self.statuses.contains(&standing.confirmed))
            && any_or_empty(&self.districts, &standing.district)
            && any_or_empty(&self.organisations, &standing.organisation)
            && (self.case_ids.is_empty() || self.case_ids.contains(&case_id))
    }

    /// Whether it leaves no case out, however it stands.
    pub fn is_everything(&self) -> bool {
        !self.contested
            && self.kinds.is_empty()
            && self.categories.is_empty()
            && self.statuses.is_empty()
            && self.districts.is_empty()
            && self.organisations.is_empty()
            && self.case_ids.is_empty()
    }

    /// To which list of cases page tokens belong.
    pub fn page_scope(&self) -> PageScope {
        self.scope
    }
}

/// Which records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplayFilter {
    case_ids: HashSet<Uuid>,
    kinds: Vec<i32>,
    event_types: Vec<i32>,
    actors: Vec<String>,
}

impl ReplayFilter {
    /// Whether the record is among them.
    pub fn matches(&self, header: &RecordHeader) -> bool {
        let kind = header.standing.as_ref().map_or(0, |standing| standing.kind);
        any_or_empty(&self.event_types, &header.event_type)
            && any_or_empty(&self.kinds, &kind)
            && any_or_empty(&self.actors, &header.actor)
            && (self.case_ids.is_empty()
                || Uuid::try_parse(&header.case_id).is_ok_and(|id| self.case_ids.contains(&id)))
    }

    /// Whether every record is among them, so that blocks can be passed on whole.
    pub fn matches_all(&self) -> bool {
        self.case_ids.is_empty()
            && self.kinds.is_empty()
            && self.event_types.is_empty()
            && self.actors.is_empty()
    }
}

/// Checks a filter of cases; none matches all. The field is its path in the request.
///
/// # Errors
/// Tells all values that are wrong, up to a limit.
pub fn case_filter(
    field: &'static str,
    filter: Option<v1::CaseFilter>,
) -> Result<CaseFilter, Invalid> {
    let filter = filter.unwrap_or_default();
    let scope = PageScope::of_filter(&filter.encode_to_vec());
    let mut checker = Checker::without_day();
    let case_ids = checker.at(field, |checker| {
        checker.values("kinds", &filter.kinds, v1::CaseKind::as_str_name);
        checker.values(
            "categories",
            &filter.categories,
            v1::LegalCategory::as_str_name,
        );
        checker.values("statuses", &filter.statuses, v1::CaseStatus::as_str_name);
        checker.each("districts", &filter.districts, |c, path, text| {
            c.district(path, text)
        });
        checker.each("organisations", &filter.organisations, |c, path, text| {
            c.reference(path, text);
        });
        checker.case_ids(&filter.case_ids)
    });
    checker.finish()?;
    let v1::CaseFilter {
        kinds,
        categories,
        statuses,
        districts,
        organisations,
        contested,
        ..
    } = filter;
    Ok(CaseFilter {
        kinds,
        categories,
        statuses,
        districts,
        organisations,
        case_ids,
        contested,
        scope,
    })
}

/// Checks a filter of records; none matches all. The field is its path in the request.
///
/// # Errors
/// Tells all values that are wrong, up to a limit.
pub fn replay_filter(
    field: &'static str,
    filter: Option<v1::ReplayFilter>,
) -> Result<ReplayFilter, Invalid> {
    let filter = filter.unwrap_or_default();
    let mut checker = Checker::without_day();
    let case_ids = checker.at(field, |checker| {
        checker.values("kinds", &filter.kinds, v1::CaseKind::as_str_name);
        checker.values(
            "event_types",
            &filter.event_types,
            v1::EventType::as_str_name,
        );
        checker.each("actors", &filter.actors, |c, path, text| {
            c.reference(path, text)
        });
        checker.case_ids(&filter.case_ids)
    });
    checker.finish()?;
    let v1::ReplayFilter {
        kinds,
        event_types,
        actors,
        ..
    } = filter;
    Ok(ReplayFilter {
        case_ids,
        kinds,
        event_types,
        actors,
    })
}

/// Checks the rules of alerts that are asked for; none asks for all.
///
/// # Errors
/// Tells all values that are wrong, up to a limit.
pub fn alert_rules(field: &'static str, rules: &[i32]) -> Result<(), Invalid> {
    let mut checker = Checker::without_day();
    checker.values(field, rules, v1::AlertRule::as_str_name);
    checker.finish()
}

fn any_or_empty<T: PartialEq>(values: &[T], value: &T) -> bool {
    values.is_empty() || values.contains(value)
}

impl Checker {
    /// A list of a filter, value by value with its path.
    fn each<T>(
        &mut self,
        field: &str,
        values: &[T],
        check: impl Fn(&mut Self, fmt::Arguments<'_>, &T),
    ) {
        if values.len() > FILTER_VALUES_MAX {
            let count = values.len();
            return self.too_large(
                field,
                format!("holds {count} values; give at most {FILTER_VALUES_MAX}"),
            );
        }
        for (index, value) in values.iter().enumerate() {
            check(self, format_args!("{field}[{index}]"), value);
        }
    }

    fn values<E: TryFrom<i32>>(
        &mut self,
        field: &str,
        numbers: &[i32],
        name: fn(&E) -> &'static str,
    ) {
        self.each(field, numbers, |checker, path, &number| {
            checker.choice(path, number, name);
        });
    }

    fn case_ids(&mut self, texts: &[String]) -> HashSet<Uuid> {
        self.each("case_ids", texts, |checker, path, text| {
            checker.identifier(&path.to_string(), &mut text.clone());
        });
        texts
            .iter()
            .filter_map(|text| Uuid::try_parse(text).ok())
            .collect()
    }
}
