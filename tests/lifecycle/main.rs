//! The rules of the lifecycles: what may be recorded in a case, and what it makes of it.
//!
//! [`catalogue`] and [`model`] say what is right, written from the words of the domain and not from
//! src; the other modules hold src to them.

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
mod alerts;
mod allegations;
mod case;
mod catalogue;
mod detail;
mod guards;
mod history;
mod lateness;
mod model;
mod practice;
mod properties;
mod record;
mod supporting;
mod ties;
mod together;
mod transitions;
mod truth;
