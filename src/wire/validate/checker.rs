//! Collects violations with their paths, and checks values of one field.
//!
//! Each check has the name of what the field must be. A check leaves a violation and goes on, so
//! that a client is told everything at once.

use std::{collections::HashSet, fmt};

use uuid::Uuid;

use super::{
    INVALID_FIELDS, Invalid, PERSONAL_DATA_NOT_ACCEPTED, TOO_LARGE, Violation,
    marks::is_combining_mark,
};
use crate::wire::{
    edtf::{self, Day, OccurredDays},
    limits, v1,
};

/// What has been found wrong so far, and where checking stands.
pub(super) struct Checker {
    /// The parts of the message that are being checked, the innermost last. Most messages have
    /// nothing wrong, so that a path is written out only where something is.
    path: Vec<Segment>,
    violations: Vec<Violation>,
    too_large: bool,
    personal: bool,
    /// The last day on which anything can have happened: today with the slack of a day.
    last_day: Day,
}

/// A part of a message: a field, or an element of a list.
#[derive(Debug, Clone, Copy)]
pub(super) enum Segment {
    Field(&'static str),
    Element(&'static str, usize),
}

impl fmt::Display for Segment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(field) => formatter.write_str(field),
            Self::Element(field, index) => write!(formatter, "{field}[{index}]"),
        }
    }
}

impl From<&'static str> for Segment {
    fn from(field: &'static str) -> Self {
        Self::Field(field)
    }
}

impl Checker {
    pub(super) fn new(today: Day) -> Self {
        Self {
            path: Vec::new(),
            violations: Vec::new(),
            too_large: false,
            personal: false,
            last_day: today.plus(limits::DAYS_AHEAD_MAX),
        }
    }

    /// A checker of fields that are no dates of the past.
    pub(super) fn without_day() -> Self {
        Self::new(Day::MAX)
    }

    /// Ok where nothing was wrong.
    pub(super) fn finish(self) -> Result<(), Invalid> {
        if self.violations.is_empty() {
            return Ok(());
        }
        let reason = if self.personal {
            PERSONAL_DATA_NOT_ACCEPTED
        } else if self.too_large {
            TOO_LARGE
        } else {
            INVALID_FIELDS
        };
        Err(Invalid {
            reason,
            violations: self.violations,
        })
    }

    /// Checks the fields of a part of the message; their paths begin with its segment.
    pub(super) fn at<T>(
        &mut self,
        segment: impl Into<Segment>,
        check: impl FnOnce(&mut Self) -> T,
    ) -> T {
        self.path.push(segment.into());
        let result = check(self);
        self.path.pop();
        result
    }

    /// The path of a field of the part that is being checked; of the part itself for no field.
    pub(super) fn path(&self, field: impl fmt::Display) -> String {
        let segments = self.path.iter().map(Segment::to_string);
        let mut path: Vec<_> = segments.chain([field.to_string()]).collect();
        path.retain(|segment| !segment.is_empty());
        path.join(".")
    }

    pub(super) fn violation(&mut self, field: impl fmt::Display, description: impl Into<String>) {
        if self.violations.len() < limits::VIOLATIONS_MAX {
            let field = self.path(field);
            self.violations.push(Violation {
                field,
                description: description.into(),
            });
        }
    }

    pub(super) fn too_large(&mut self, field: &str, description: String) {
        self.too_large = true;
        self.violation(field, description);
    }

    /// Personal values where none belong; nothing of them is repeated.
    pub(super) fn no_personal_values(&mut self, field: &str, values: &[v1::PersonalValue]) {
        if !values.is_empty() {
            self.personal = true;
            self.violation(
                field,
                format!(
                    "holds {} personal values, which are not taken here: send them with the \
                     correction itself, in its own field personal. Nothing of them is stored",
                    values.len()
                ),
            );
        }
    }

    /// A UUID; it is normalised to lower case in place.
    pub(super) fn identifier(&mut self, field: &str, text: &mut str) -> Option<Uuid> {
        match super::uuid(field, text) {
            Ok(uuid) => {
                text.make_ascii_lowercase();
                Some(uuid)
            }
            Err(violation) => {
                self.violation(field, violation.description);
                None
            }
        }
    }

    /// A list of UUIDs, each once.
    pub(super) fn identifiers(
        &mut self,
        field: &'static str,
        texts: &mut [String],
        count_min: usize,
        count_max: usize,
    ) -> Vec<Uuid> {
        let count = texts.len();
        if !(count_min..=count_max).contains(&count) {
            self.violation(
                field,
                format!("are {count}; give {count_min} to {count_max}"),
            );
            return Vec::new();
        }
        let mut seen = HashSet::new();
        let mut identifiers = Vec::with_capacity(count);
        for (index, text) in texts.iter_mut().enumerate() {
            let element = Segment::Element(field, index);
            if let Some(uuid) = self.at(element, |checker| checker.identifier("", text)) {
                if !seen.insert(uuid) {
                    self.violation(
                        format_args!("{field}[{index}]"),
                        "stands in the list already; give each once",
                    );
                }
                identifiers.push(uuid);
            }
        }
        identifiers
    }

    pub(super) fn reference(&mut self, field: impl fmt::Display, text: &str) {
        if let Some(description) = reference_fault(text) {
            self.violation(field, description);
        }
    }

    /// A value of an enum, known and not unspecified.
    pub(super) fn choice<E: TryFrom<i32>>(
        &mut self,
        field: impl fmt::Display,
        number: i32,
        name: fn(&E) -> &'static str,
    ) -> Option<E> {
        match E::try_from(number) {
            Ok(value) if number != 0 => Some(value),
            _ => {
                let fault = match number {
                    0 => "is missing".to_owned(),
                    _ => format!("is {number}, which this server does not know"),
                };
                self.violation(field, format!("{fault}; give {}", allowed_values(name)));
                None
            }
        }
    }

    /// A list of enum values, at least one, each once.
    pub(super) fn choices<E: TryFrom<i32>>(
        &mut self,
        field: &str,
        numbers: &[i32],
        name: fn(&E) -> &'static str,
    ) {
        if numbers.is_empty() {
            return self.violation(field, format!("is empty; give {}", allowed_values(name)));
        }
        let mut seen = HashSet::new();
        for (index, &number) in numbers.iter().enumerate() {
            let element = format_args!("{field}[{index}]");
            if self.choice(element, number, name).is_some() && !seen.insert(number) {
                self.violation(element, "stands in the list already; give each value once");
            }
        }
    }

    /// A place: its identifier, or that it is unknown.
    pub(super) fn place(&mut self, field: &'static str, place: Option<&v1::Place>) {
        let Some(place) = place else {
            return self.violation(field, "is missing; give its place_id, or unknown: true");
        };
        self.at(field, |checker| {
            if place.unknown {
                let named = [&place.place_id, &place.country, &place.district];
                if named.iter().any(|text| !text.is_empty()) {
                    checker.violation(
                        "unknown",
                        "is true beside other fields; leave them out, or unknown",
                    );
                }
                return;
            }
            if place.place_id.is_empty() {
                checker.violation("place_id", "is missing; give it, or unknown: true");
            } else {
                checker.reference("place_id", &place.place_id);
            }
            if !place.country.is_empty() && !is_country(&place.country) {
                checker.violation(
                    "country",
                    "is no ISO 3166-1 alpha-2 code; give two capital letters such as XA",
                );
            }
            if !place.district.is_empty() {
                checker.district("district", &place.district);
            }
        });
    }

    pub(super) fn district(&mut self, field: impl fmt::Display, text: &str) {
        let within =
            (limits::DISTRICT_LENGTH_MIN..=limits::DISTRICT_LENGTH_MAX).contains(&text.len());
        let letters = text
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        if !within || !letters {
            self.violation(
                field,
                format!(
                    "is no P-code; give {} to {} capital letters A to Z and digits, such as XA01",
                    limits::DISTRICT_LENGTH_MIN,
                    limits::DISTRICT_LENGTH_MAX
                ),
            );
        }
    }

    /// An EDTF date of any time.
    pub(super) fn planned_date(&mut self, field: &str, text: &str) -> Option<OccurredDays> {
        match edtf::days(text) {
            Ok(days) => Some(days),
            Err(error) => {
                self.violation(field, error.to_string());
                None
            }
        }
    }

    /// An EDTF date that begins no later than a day after today.
    pub(super) fn past_date(&mut self, field: &str, text: &str) -> Option<OccurredDays> {
        let days = self.planned_date(field, text)?;
        if days.earliest > self.last_day {
            self.ahead(field);
            return None;
        }
        Some(days)
    }

    /// A day as YYYY-MM-DD, no later than a day after today.
    pub(super) fn past_day(&mut self, field: &str, text: &str) {
        match Day::parse(text) {
            None => self.violation(field, "is no date; give one as YYYY-MM-DD"),
            Some(day) if day > self.last_day => self.ahead(field),
            Some(_) => {}
        }
    }

    /// A number of members of a household.
    pub(super) fn members(&mut self, field: &str, number: u32) {
        if !(1..=limits::HOUSEHOLD_MEMBERS_MAX).contains(&number) {
            self.violation(
                field,
                format!("is {number}; give 1 to {}", limits::HOUSEHOLD_MEMBERS_MAX),
            );
        }
    }

    /// A field that only the server writes.
    pub(super) fn by_server(&mut self, field: &str, is_left_out: bool) {
        if !is_left_out {
            self.violation(field, "is written by the server; leave it out");
        }
    }

    /// An answer, yes or no.
    pub(super) fn answer(&mut self, field: &str, answer: Option<bool>) {
        if answer.is_none() {
            self.violation(field, "is missing; give true or false");
        }
    }

    fn ahead(&mut self, field: &str) {
        let last_day = self.last_day;
        self.violation(
            field,
            format!("lies ahead; give a date no later than {last_day} (UTC)"),
        );
    }
}

/// What is wrong with a reference, if anything.
pub(super) fn reference_fault(text: &str) -> Option<String> {
    let limit = limits::REFERENCE_BYTES_MAX;
    if text.is_empty() {
        return Some(format!(
            "is missing; give a reference of 1 to {limit} bytes"
        ));
    }
    if text.len() > limit {
        let length = text.len();
        return Some(format!(
            "has {length} bytes of UTF-8; give a reference of 1 to {limit}"
        ));
    }
    let position = text
        .chars()
        .position(|character| !is_of_reference(character))?;
    Some(format!(
        "has a character that references don't have, at place {}; give letters and digits of any \
         script and -_.:/#+, without spaces",
        position + 1
    ))
}

fn is_of_reference(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_alphanumeric() || "-_.:/#+".contains(character);
    }
    character.is_alphanumeric() || is_combining_mark(character)
}

fn is_country(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// The names of an enum's values without the unspecified one. All numbers of the protocol lie
/// below 1,000; a long list is cut, since the protocol tells the rest.
fn allowed_values<E: TryFrom<i32>>(name: fn(&E) -> &'static str) -> String {
    const SHOWN: usize = 16;
    let values = (1..1_000).filter_map(|number| E::try_from(number).ok());
    let mut names: Vec<_> = values.map(|value| name(&value)).take(SHOWN + 1).collect();
    if names.len() > SHOWN {
        names.truncate(3);
        return format!(
            "one of {} and so on, as the protocol lists them",
            names.join(", ")
        );
    }
    format!("one of {}", names.join(", "))
}
