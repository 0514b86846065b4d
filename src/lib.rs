//! casetrail, an event-sourced tracker of humanitarian cases.
//!
//! Everything that happens in a case is recorded as an event in an append-only log; how a case
//! stands is folded from that log. One program is the gRPC service and its command line.
//!
//! The floors, from the lowest up; a module imports only from floors below it:
//!
//! | floor | module | what it is for |
//! |---|---|---|
//! | 0 | [`wire`] | the protocol's types, validation of what arrives, dates, record blocks |
//! | 1 | [`domain`] | the lifecycles as tables; cases, decisions and folds, pure |
//! | 1 | [`log`] | the append-only log: its contract, the engine on sled, a reference engine |
//! | 1 | [`names`] | what counts as the same name, and the index by which names are found |
//! | 1 | [`seal`] | keys of subjects: sealing of personal values, and erasure |
//! | 2 | [`view`] | what the log adds up to, in memory, and its snapshots |
//! | 3 | [`ledger`] | the writer: from submissions to durable records and answers |
//! | 4 | [`access`] | who is calling, and the table of methods and roles |
//! | 5 | [`service`] | the services over gRPC |
//! | 6 | [`cli`] | the command line |
//!
//! The rule for an event stands in one table, in one file a kind of case: [`domain::lifecycle`].
//! `ARCHITECTURE.md` holds the invariants, the decisions and what is deliberately absent.

pub mod access;
pub mod cli;
pub mod domain;
pub mod ledger;
pub mod log;
pub mod names;
pub mod seal;
pub mod service;
pub mod view;
pub mod wire;
