//! What a practitioner would try: the twenty cases of the catalogue's last section, each played
//! through gRPC against a real server, told as given, when, then. Sixteen of them are here; those
//! about erasure, backups after an erasure, search and what a monitor may learn (16, 17, 19, 20)
//! need what does not exist yet.
//!
//! The words of the stories are in [`words`]. Besides them stand what holds of every story: that the
//! names of parties change nothing ([`neutral`]), and that no case waits for another
//! ([`no_exchange`]).

mod detention;
mod displacement;
mod neutral;
mod no_exchange;
mod record;
mod remains;
pub mod words;
