//! Canonical protobuf JSON of every message of the protocol, on one line.
//!
//! Reading takes field names in lowerCamelCase and as the protocol writes them, and refuses what
//! canonical JSON leaves open and what would silently alter an event: unknown fields, unknown
//! names of enum values, and a field that stands twice. An error tells where, and never repeats a
//! value, since it might be personal.

use std::{collections::HashSet, fmt};

use prost::{Message, Name};
use prost_reflect::{DynamicMessage, MessageDescriptor};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

/// Why a text is no message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// The line on which reading ended, from 1.
    pub line: usize,
    /// The column, in bytes, at which reading ended, from 1; 0 at the start of a line.
    pub column: usize,
    /// What is wrong; it holds names of fields, never a value.
    pub message: String,
}

impl fmt::Display for JsonError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "line {}, column {}: {}",
            self.line, self.column, self.message
        )
    }
}

impl std::error::Error for JsonError {}

/// A message that canonical JSON has no form for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoJsonForm {
    /// What has no form; it never holds a value.
    pub message: String,
}

impl fmt::Display for NoJsonForm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "it has no JSON form: {}", self.message)
    }
}

impl std::error::Error for NoJsonForm {}

/// Writes a message as canonical protobuf JSON on one line.
///
/// # Errors
/// A time beyond the years 0001 to 9999, or a `RecordBlock`, whose records nobody has decoded yet.
pub fn to_json<T: Message + Name>(message: &T) -> Result<String, NoJsonForm> {
    let mut dynamic = DynamicMessage::new(descriptor::<T>());
    dynamic
        .transcode_from(message)
        .map_err(|error| NoJsonForm {
            message: error.to_string(),
        })?;
    serde_json::to_string(&dynamic).map_err(|error| NoJsonForm {
        message: error.to_string(),
    })
}

/// Reads a message from its JSON.
///
/// # Errors
/// Tells where the text is not JSON, or not that of the message.
#[expect(clippy::expect_used, reason = "the descriptor is that of the message")]
pub fn from_json<T: Message + Name + Default>(text: &str) -> Result<T, JsonError> {
    serde_json::from_str::<NoDuplicates>(text).map_err(|error| told(&error))?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let dynamic = DynamicMessage::deserialize(descriptor::<T>(), &mut deserializer)
        .and_then(|dynamic| deserializer.end().map(|()| dynamic))
        .map_err(|error| told(&error))?;
    Ok(dynamic
        .transcode_to()
        .expect("the name is that of the message"))
}

#[expect(
    clippy::expect_used,
    reason = "build.rs makes the pool and the types of one source"
)]
fn descriptor<T: Name>() -> MessageDescriptor {
    super::descriptor_pool()
        .get_message_by_name(&T::full_name())
        .expect("every message of the protocol is in the pool")
}

/// An error in words of ours, without the values that serde's messages repeat.
fn told(error: &serde_json::Error) -> JsonError {
    let text = error.to_string();
    let text = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(message, _position)| message);
    let message = match error.classify() {
        // Messages on syntax name characters of the grammar alone.
        Category::Syntax | Category::Eof | Category::Io => format!("this is no JSON: {text}"),
        Category::Data => told_of_data(text),
    };
    JsonError {
        line: error.line(),
        column: error.column(),
        message,
    }
}

fn told_of_data(text: &str) -> String {
    if let Some(name) = between(text, "unrecognized field name '", "'") {
        return match is_field_name(name) {
            true => format!("the message has no field {name}"),
            false => "the message has no such field".to_owned(),
        };
    }
    if let Some(name) = between(text, DUPLICATE, "") {
        return match is_field_name(name) {
            true => format!("the field {name} stands twice in one object"),
            false => "a field stands twice in one object".to_owned(),
        };
    }
    if let Some(oneof) = between(text, "multiple fields provided for oneof '", "'") {
        return format!("more than one field of {oneof} is given; give exactly one");
    }
    if text.starts_with("unrecognized enum value") {
        return "the enum has no value of this name".to_owned();
    }
    // What was expected is a text of the reader's own, and stands after the value.
    let is_typed = text.starts_with("invalid type: ") || text.starts_with("invalid value: ");
    match text.rsplit_once(", expected ") {
        Some((_value, expected)) if is_typed => format!("this value is not {expected}"),
        _ => "this value has not the form of its field".to_owned(),
    }
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    text.strip_prefix(start)?.strip_suffix(end)
}

/// Whether it can be a field's name; anything else might be a value in the wrong place.
fn is_field_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

const DUPLICATE: &str = "duplicate field name ";

/// Any JSON in which no object has a name twice, be it in lowerCamelCase or with underscores: the
/// reader of messages would keep the last one and drop the others.
struct NoDuplicates;

impl<'de> Deserialize<'de> for NoDuplicates {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for NoDuplicates {
    type Value = Self;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            let same_in_both_forms = name.replace('_', "").to_lowercase();
            if !names.insert(same_in_both_forms) {
                return Err(A::Error::custom(format_args!("{DUPLICATE}{name}")));
            }
            map.next_value::<Self>()?;
        }
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self, A::Error> {
        while elements.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }
}
