//! The views at the size that the server is made for: bytes a case and an event, records folded a
//! second, and the time that a snapshot takes to write and to read.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub
)]

#[path = "views/large.rs"]
mod large;
mod support;
