//! The pure core: what an event does to a case, and whether it may.
//!
//! - [`lifecycle`] holds the rules as tables, one file a kind.
//! - [`CaseState`] is a case: its facts in the order recorded, and the [`Image`] folded from them.
//! - [`decide`](CaseState::decide) judges an event against a case; [`fold`](CaseState::fold) takes a
//!   record in. Whatever was decided folds to what the decision said, and folding never fails.
//!
//! It knows no clock, no I/O, no async and no gRPC: time is a parameter.

mod accounts;
mod alert;
mod authority;
mod decide;
mod detail;
mod fact;
mod fold;
mod folded;
mod kept;
pub mod lifecycle;
mod matter;
mod obligation;
mod packed;
mod rejection;
mod state;
mod ties;
mod together;
mod two_persons;
mod user_account;

pub use alert::{Alert, AlertThresholds};
pub use authority::{Authority, Referred, Share, Sight, Writes};
pub use fact::Fact;
pub use fold::Image;
pub use matter::Matter;
pub use obligation::Obligation;
pub use rejection::{Rejection, RejectionKind};
pub use state::{Arrival, Before, CaseState};
pub use ties::{Mention, Ties};
pub use together::{OutOfPlace, Together};
pub use two_persons::TwoPersons;
pub use user_account::{Grant, UserAccount};
