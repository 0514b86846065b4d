//! Personal values: what they have to say, so that they can be sealed under the right key, and read
//! again for what they are. No description repeats anything of a value.

use prost::Message;

use super::checker::Segment;
use super::{Checker, Personal};
use crate::wire::limits::{
    EVENT_PERSONAL_VALUES_MAX, NAME_PARTS_MAX, PERSONAL_FIELD_BYTES_MAX, PERSONAL_VALUE_BYTES_MAX,
};
use crate::wire::v1::{self, personal_value::Value};

impl Checker {
    /// The personal values of an event, which are taken out of it.
    pub(super) fn personal(&mut self, values: Vec<v1::PersonalValue>) -> Vec<Personal> {
        if values.len() > EVENT_PERSONAL_VALUES_MAX {
            let count = values.len();
            self.too_large(
                "personal",
                format!("holds {count} values; send at most {EVENT_PERSONAL_VALUES_MAX}"),
            );
            return Vec::new();
        }
        let mut checked = Vec::with_capacity(values.len());
        for (index, value) in values.into_iter().enumerate() {
            let segment = Segment::Element("personal", index);
            checked.extend(self.at(segment, |checker| checker.personal_value(value)));
        }
        checked
    }

    fn personal_value(&mut self, mut value: v1::PersonalValue) -> Option<Personal> {
        let bytes = value.encoded_len();
        if bytes > PERSONAL_VALUE_BYTES_MAX {
            let what = format!("has {bytes} bytes; send at most {PERSONAL_VALUE_BYTES_MAX}");
            self.too_large("", what);
            return None;
        }
        let mut subject_id = std::mem::take(&mut value.subject_id);
        let subject = self.identifier("subject_id", &mut subject_id);
        let class = self.choice(
            "personal_class",
            std::mem::take(&mut value.personal_class),
            v1::PersonalClass::as_str_name,
        );
        if !is_field(&value.field) {
            self.violation(
                "field",
                format!(
                    "is no name of a field; give 1 to {PERSONAL_FIELD_BYTES_MAX} small letters, \
                     digits and underscores, beginning with a letter, such as birth_date"
                ),
            );
        }
        match &value.value {
            None => self.violation(
                "value",
                "is missing; give exactly one of name, identifier, coordinates and text",
            ),
            Some(Value::Name(name)) => self.at("name", |checker| checker.name(name)),
            Some(Value::Identifier(identifier)) => {
                for (field, text) in [
                    ("identifier.scheme", &identifier.scheme),
                    ("identifier.value", &identifier.value),
                ] {
                    if text.is_empty() {
                        self.violation(field, "is missing");
                    }
                }
            }
            Some(Value::Coordinates(point)) => {
                self.at("coordinates", |checker| checker.coordinates(point));
            }
            Some(Value::Text(text)) if text.is_empty() => {
                self.violation("text", "is empty; leave the value out");
            }
            Some(Value::Text(_)) => {}
        }
        Some(Personal {
            subject: subject?,
            class: class?,
            value,
        })
    }

    fn name(&mut self, name: &v1::PersonName) {
        let count = name.parts.len();
        if !(1..=NAME_PARTS_MAX).contains(&count) {
            self.violation("parts", format!("are {count}; give 1 to {NAME_PARTS_MAX}"));
            return;
        }
        for (index, part) in name.parts.iter().enumerate() {
            self.at(Segment::Element("parts", index), |checker| {
                if part.text.is_empty() {
                    checker.violation("text", "is missing; leave the part out");
                }
                if v1::PersonNamePartKind::try_from(part.kind).is_err() {
                    let number = part.kind;
                    let what = format!("is {number}, which this server does not know");
                    checker.violation("kind", what);
                }
                if v1::Credibility::try_from(part.certainty).is_err() {
                    let number = part.certainty;
                    let what = format!("is {number}, which this server does not know");
                    checker.violation("certainty", what);
                }
            });
        }
    }

    fn coordinates(&mut self, point: &v1::Coordinates) {
        for (field, degrees, limit) in [
            ("latitude", point.latitude, 90.0),
            ("longitude", point.longitude, 180.0),
        ] {
            if !(-limit..=limit).contains(&degrees) {
                self.violation(field, format!("is not within -{limit} and {limit} degrees"));
            }
        }
        if !(0.0..=f64::MAX).contains(&point.radius_metres) {
            self.violation("radius_metres", "is no number of metres from 0 on");
        }
    }
}

fn is_field(text: &str) -> bool {
    (1..=PERSONAL_FIELD_BYTES_MAX).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}
