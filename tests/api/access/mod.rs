//! Who is calling and what they may do: over TLS, with real tokens, certificates and JWTs.

mod alerts;
mod cases;
mod connections;
mod forged;
mod grants;
mod held;
mod limits;
mod monitor;
mod names;
mod personal;
mod planted;
mod records;
mod referral;
mod refusals;
mod scope;
mod table;
mod transport;
mod two_persons;
mod world;
