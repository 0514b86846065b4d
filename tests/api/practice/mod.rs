//! What a practitioner would try: the twenty cases of the catalogue's last section, each played
//! through gRPC against a real server, told as given, when, then. Sixteen of them are here. What a
//! monitor may learn (20), and 6 and 7 once more with two organisations, are in `access`; those about
//! erasure, backups after an erasure and search (16, 17, 19) need what does not exist yet.
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
