//! The real server in processes of its own: killed under load, traced, ended in good order, and met
//! with every fault of its folder and its disk.
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

mod bench;
mod failing;
mod folder;
mod kill;
mod load;
mod stop;
mod submit;
mod trace;
mod verify;
