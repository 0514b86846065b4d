//! What a damaged log still gives: salvage brings back every whole block before the first gap, and
//! no flipped bit makes a wrong event or a panic.
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

mod command;
mod damaged;
mod fixture;
mod flipped;
mod left_behind;
mod safety_copy;
