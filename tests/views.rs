//! The views: what they know, their snapshots, and (as a measurement, not run by default) what they
//! cost at the size that the server is made for.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    missing_docs,
    unreachable_pub
)]

#[path = "views/generator.rs"]
mod generator;
#[path = "views/going_on.rs"]
mod going_on;
#[path = "views/large.rs"]
mod large;
mod support;
