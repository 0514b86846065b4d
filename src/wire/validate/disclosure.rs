//! Requests for personal data.

use std::collections::HashSet;

use prost::Message;
use uuid::Uuid;

use super::{Checker, Invalid, PageScope, page_size, page_token};
use crate::wire::edtf::Day;
use crate::wire::limits::{
    FILTER_VALUES_MAX, PERSONAL_CASES_MAX, SEARCH_PART_BYTES_MAX, SEARCH_PARTS_MAX,
};
use crate::wire::v1;

/// Which personal values are asked for, and what for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonalQuery {
    /// The cases, 1 to 100, each once.
    pub cases: Vec<Uuid>,
    /// The subjects; empty for all.
    pub subjects: HashSet<Uuid>,
    /// The classes; empty for all.
    pub classes: Vec<v1::PersonalClass>,
    /// What the data is for.
    pub purpose: v1::DisclosurePurpose,
    /// What it is for more closely; may be empty.
    pub purpose_reference: String,
    /// Number of events that a page looks at.
    pub page_size: usize,
    /// Where the page begins.
    pub begin: PersonalPlace,
    scope: PageScope,
}

/// An event of one of the cases that are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PersonalPlace {
    /// Place of the case among those asked for.
    pub case: u32,
    /// Place of the event among those of the case, in the order recorded.
    pub event: u32,
}

impl PersonalQuery {
    /// The token of the page that begins at a place.
    pub fn token(&self, place: PersonalPlace) -> String {
        self.scope
            .token((u64::from(place.case) << 32) | u64::from(place.event))
    }

    /// Whether a value of this class about this subject is asked for.
    pub fn asks_for(&self, subject: Uuid, class: v1::PersonalClass) -> bool {
        (self.subjects.is_empty() || self.subjects.contains(&subject))
            && (self.classes.is_empty() || self.classes.contains(&class))
    }
}

/// Checks a request for personal values.
///
/// # Errors
/// Tells all fields that are wrong.
pub fn personal_query(mut request: v1::GetPersonalRequest) -> Result<PersonalQuery, Invalid> {
    let size = page_size("page_size", request.page_size)?;
    let token = std::mem::take(&mut request.page_token);
    request.page_size = 0;
    let scope = PageScope::of_filter(b"personal").and(&request.encode_to_vec());
    let begin = page_token("page_token", &token, scope)?;
    let mut checker = Checker::without_day();
    let cases = checker.identifiers("case_ids", &mut request.case_ids, 1, PERSONAL_CASES_MAX);
    let subjects = checker.identifiers(
        "subject_ids",
        &mut request.subject_ids,
        0,
        FILTER_VALUES_MAX,
    );
    if !request.classes.is_empty() {
        checker.choices("classes", &request.classes, v1::PersonalClass::as_str_name);
    }
    let purpose = checker.choice(
        "purpose",
        request.purpose,
        v1::DisclosurePurpose::as_str_name,
    );
    if !request.purpose_reference.is_empty() {
        checker.reference("purpose_reference", &request.purpose_reference);
    }
    checker.finish()?;
    Ok(PersonalQuery {
        cases,
        subjects: subjects.into_iter().collect(),
        classes: request.classes().collect(),
        purpose: purpose.unwrap_or_default(),
        purpose_reference: request.purpose_reference,
        page_size: size,
        begin: PersonalPlace {
            case: u32::try_from(begin >> 32).unwrap_or(u32::MAX),
            event: u32::try_from(begin & u64::from(u32::MAX)).unwrap_or(u32::MAX),
        },
        scope,
    })
}

/// Checks a request for who has a name; what it searches for stays in it.
///
/// # Errors
/// Tells all fields that are wrong, and nothing of the name.
pub fn name_search(request: &v1::SearchByNameRequest) -> Result<(), Invalid> {
    let mut checker = Checker::without_day();
    let count = request.name_parts.len();
    if !(1..=SEARCH_PARTS_MAX).contains(&count) {
        let what = format!("are {count}; give 1 to {SEARCH_PARTS_MAX}");
        checker.violation("name_parts", what);
    }
    for (place, part) in request.name_parts.iter().enumerate() {
        if part.len() > SEARCH_PART_BYTES_MAX || !part.chars().any(char::is_alphanumeric) {
            checker.violation(
                format_args!("name_parts[{place}]"),
                format!(
                    "is no part of a name; give a word of at most {SEARCH_PART_BYTES_MAX} bytes that \
                     has a letter"
                ),
            );
        }
    }
    let is_year = |year| Day::from_calendar(year, 1, 1).is_some();
    if request.birth_year != 0 && !u16::try_from(request.birth_year).is_ok_and(is_year) {
        checker.violation("birth_year", "is no year; give 1 to 9999, or leave it out");
    }
    checker.choice(
        "purpose",
        request.purpose,
        v1::DisclosurePurpose::as_str_name,
    );
    if !request.purpose_reference.is_empty() {
        checker.reference("purpose_reference", &request.purpose_reference);
    }
    checker.finish()
}

/// Of whom the disclosures are asked for, if not of all; how many; and from which place on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisclosureQuery {
    /// The subject.
    pub subject: Option<Uuid>,
    /// Number of disclosures of a page.
    pub page_size: usize,
    /// Where the page begins.
    pub begin: u64,
    scope: PageScope,
}

impl DisclosureQuery {
    /// The token of the page that begins at a place.
    pub fn token(&self, place: u64) -> String {
        self.scope.token(place)
    }
}

/// Checks a request for disclosures.
///
/// # Errors
/// Tells what is wrong.
pub fn disclosure_query(
    mut request: v1::ListDisclosuresRequest,
) -> Result<DisclosureQuery, Invalid> {
    let page_size = page_size("page_size", request.page_size)?;
    let mut checker = Checker::without_day();
    let subject = match request.subject_id.is_empty() {
        true => None,
        false => checker.identifier("subject_id", &mut request.subject_id),
    };
    checker.finish()?;
    let scope = PageScope::of_filter(b"disclosures").and(request.subject_id.as_bytes());
    let begin = page_token("page_token", &request.page_token, scope)?;
    Ok(DisclosureQuery {
        subject,
        page_size,
        begin,
        scope,
    })
}
