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

mod accounts;
mod bench;
mod crowd;
mod cut;
mod failing;
mod folder;
mod inject;
mod keeping;
mod kill;
mod load;
mod outbox;
mod read_only;
mod reading;
mod rubbish;
mod slow;
mod stop;
mod stopped_reader;
mod submit;
mod tour;
mod trace;
mod verify;
