//! The messages that hold personal data or a secret. Their Debug shows that there is something, never what:
//! build.rs leaves the derived one out, so that no message around them can print it either. And what
//! a value held is overwritten in memory when it is dropped, wherever that happens.

use std::fmt;

use zeroize::Zeroize;

use super::v1::{self, personal_value::Value};

impl Drop for v1::PersonalValue {
    fn drop(&mut self) {
        self.field.zeroize();
        match &mut self.value {
            Some(Value::Name(name)) => {
                for part in &mut name.parts {
                    part.text.zeroize();
                    part.language.zeroize();
                    part.romanisation.zeroize();
                }
            }
            Some(Value::Identifier(identifier)) => {
                identifier.scheme.zeroize();
                identifier.issuer.zeroize();
                identifier.value.zeroize();
            }
            Some(Value::Coordinates(point)) => {
                point.latitude.zeroize();
                point.longitude.zeroize();
                point.radius_metres.zeroize();
                point.method.zeroize();
            }
            Some(Value::Text(text)) => text.zeroize(),
            None => {}
        }
    }
}

impl Drop for v1::SearchByNameRequest {
    fn drop(&mut self) {
        self.name_parts.zeroize();
    }
}

/// Writes Debug impls that print the type's name alone.
macro_rules! opaque {
    ($($message:ty => $name:literal),* $(,)?) => {$(
        impl fmt::Debug for $message {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(concat!($name, "(withheld)"))
            }
        }
    )*};
}

opaque! {
    v1::PersonalValue => "PersonalValue",
    v1::personal_value::Value => "personal_value::Value",
    v1::PersonName => "PersonName",
    v1::PersonNamePart => "PersonNamePart",
    v1::PersonIdentifier => "PersonIdentifier",
    v1::Coordinates => "Coordinates",
    v1::CreateTokenResponse => "CreateTokenResponse",
    v1::SearchByNameRequest => "SearchByNameRequest",
}
