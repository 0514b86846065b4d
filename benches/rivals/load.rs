//! The load program of `benches/rivals/run`: drives PostgreSQL or UmaDB, one measurement a run, and
//! prints it as one JSON object.
//!
//! It is no part of the crate: the script beside it writes a manifest for it under
//! `target/rivals/`, so that casetrail itself depends on no rival's client. A rival that is not
//! installed is left out by a feature. It doesn't know casetrail, which is driven by its own
//! `casetrail bench`.

mod measure;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "umadb")]
mod umadb;

use std::error::Error;
use std::process::ExitCode;
use std::str::FromStr;

/// What went wrong, for the person who runs the script.
pub type Failure = Box<dyn Error + Send + Sync>;

const USAGE: &str = "\
Usage:
  rivals-load postgres create CONNECTION ROWS             makes both tables, fills `history`
  rivals-load postgres empty CONNECTION                   empties `events`
  rivals-load postgres insert CONNECTION CONNECTIONS IN_FLIGHT_EACH EVENTS_EACH SECONDS
  rivals-load postgres copy CONNECTION CONNECTIONS EVENTS_EACH SECONDS
  rivals-load postgres read-copy CONNECTION SECONDS
  rivals-load postgres read-rows CONNECTION SECONDS
  rivals-load umadb fill URL EVENTS
  rivals-load umadb append URL IN_FLIGHT EVENTS_EACH SECONDS
  rivals-load umadb read URL SECONDS";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("rivals-load {}: {failure}", words.join(" "));
            let mut source = failure.source();
            while let Some(cause) = source {
                eprintln!("  because: {cause}");
                source = cause.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[String]) -> Result<(), Failure> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        #[cfg(feature = "postgres")]
        ["postgres", rest @ ..] => runtime()?.block_on(postgres::run(rest)),
        #[cfg(feature = "umadb")]
        ["umadb", rest @ ..] => runtime()?.block_on(umadb::run(rest)),
        _ => Err(USAGE.into()),
    }
}

/// One thread drives all clients: on two cores the other one is the server's.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

/// The number that `word` is.
pub fn number<T: FromStr>(word: &str) -> Result<T, Failure> {
    word.parse()
        .map_err(|_| format!("`{word}` is not a number that fits here\n{USAGE}").into())
}
