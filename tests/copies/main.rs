//! Copies of a log and whether they are sound: the backup file, the audit, backup and restore against
//! a real server over a real socket, and the check of folders and servers.
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

mod audit;
mod backup;
mod check;
mod file;
mod making;
mod restore;
