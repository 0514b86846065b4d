//! What is said over the wire: dates, validation, encodings.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    missing_docs,
    unreachable_pub
)]

#[path = "../support/mod.rs"]
mod support;

mod edtf;
mod encoding;
mod filter;
mod must;
mod outline;
mod privacy;
mod random_requests;
mod validate;
