//! The API end to end: real sockets, real clients, and a log on sled. How streams go on after a cut,
//! what slow readers cost, what bad input is answered, and that all views of the log agree.
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

// The catalogue, the naive model of a case and the words of a history, as the tests of the lifecycle
// have them.
#[allow(dead_code)]
#[path = "../lifecycle/case.rs"]
mod case;
#[allow(dead_code)]
#[path = "../lifecycle/catalogue.rs"]
mod catalogue;
#[allow(dead_code)]
#[path = "../lifecycle/history.rs"]
mod history;
#[allow(dead_code)]
#[path = "../lifecycle/model.rs"]
mod model;

mod access;
mod alert_history;
mod alert_lists;
mod alert_watch;
mod alert_watcher;
mod alert_world;
mod alerts;
mod bad_input;
mod bad_requests;
mod bound;
mod clocks;
mod digest;
mod harness;
mod malformed;
mod practice;
mod progress;
mod proxy;
mod push_back;
mod raw;
mod reading;
mod reflection;
mod refused;
mod replaying;
mod reports;
mod resume;
mod silent;
mod stalled;
mod together;
mod truth;
mod watching;
