//! Debug of the messages that hold personal data or a secret: it shows that there is something, never what.
//!
//! build.rs leaves their derived Debug out, so that no message around them can print it either.

use std::fmt;

use super::v1;

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
}
