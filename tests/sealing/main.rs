//! Personal data through the real server: what is sealed comes back to who may read it and is in no
//! byte of anything else, each disclosure is recorded, and what was erased stays erased.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs,
    unreachable_pub
)]

#[path = "../support/mod.rs"]
mod support;

mod commands;
mod crash;
mod damaged;
mod disclosing;
mod erasing;
mod failing;
#[path = "../process/inject.rs"]
mod inject;
mod key_store_failing;
mod moved;
mod names;
mod office;
mod planted;
mod refused;
mod retaining;
mod rotating;
mod sealing;
