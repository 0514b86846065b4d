//! The record block, the log's contract over every engine, and the discipline that carries the log
//! in sled through a power cut.
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

mod log {
    mod block;
    mod child;
    mod contract;
    mod damage;
    mod discipline;
    mod folder;
    mod kill;
    mod memory;
    mod support;
    mod trace;
}
