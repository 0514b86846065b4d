//! What the log is told of refusals, under the target `casetrail::refused`: who, which method and why,
//! never with credentials.
//!
//! Anybody can be refused as often as they like, so that refusals of one sort are summed up: the first
//! is told at once, and what follows in one line a second. Sorts are told apart by who was refused (an
//! account, or an address where nobody was identified) and the cause, for accounts also by the method. A
//! bounded number of them is held; what goes beyond is summed up together.
//!
//! There is one for the whole process, as there is one log.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, interval};

/// How long what follows a line of one sort is summed up.
const SUMMING: Duration = Duration::from_secs(1);

/// How many sorts of refusals are held.
const HELD_MAX: usize = 1_000;

/// A refusal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Refusal {
    /// Where it was sent from.
    pub(super) address: Option<IpAddr>,
    /// The account that was refused; none where nobody was identified.
    pub(super) account: Option<String>,
    /// The organisation of the account.
    pub(super) organisation: Option<String>,
    /// The method; none where it came to no call.
    pub(super) method: Option<&'static str>,
    /// Why.
    pub(super) cause: &'static str,
}

impl Refusal {
    /// By what it is told apart from others.
    fn sort(&self) -> Self {
        match &self.account {
            Some(_) => Self {
                address: None,
                ..self.clone()
            },
            None => Self {
                address: self.address,
                cause: self.cause,
                ..Self::default()
            },
        }
    }
}

/// Takes note of a refusal: it is told now or within a second.
pub(super) fn note(refusal: Refusal) {
    held().note(refusal, Instant::now(), &mut tell);
}

/// Tells what was summed up, as long as it runs.
pub(super) async fn tell_sums() {
    let mut ticks = interval(SUMMING);
    loop {
        ticks.tick().await;
        held().flush(Instant::now(), &mut tell);
    }
}

/// Tells what was summed up and not told yet.
pub(super) fn tell_rest() {
    held().flush(Instant::now() + SUMMING, &mut tell);
}

fn tell(refusal: &Refusal, times: u64) {
    tracing::warn!(
        target: "casetrail::refused",
        address = refusal.address.map(tracing::field::display),
        account = refusal.account,
        organisation = refusal.organisation,
        method = refusal.method,
        cause = refusal.cause,
        times,
        "refused"
    );
}

fn held() -> MutexGuard<'static, Refusals> {
    static HELD: LazyLock<Mutex<Refusals>> = LazyLock::new(Mutex::default);
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The sorts of refusals that were lately told.
#[derive(Default)]
struct Refusals(HashMap<Refusal, Sum>);

struct Sum {
    told_at: Instant,
    /// The latest that is not told yet, and how many are not.
    latest: Refusal,
    untold: u64,
}

impl Refusals {
    fn note(&mut self, refusal: Refusal, now: Instant, tell: &mut impl FnMut(&Refusal, u64)) {
        let mut sort = refusal.sort();
        if self.0.len() >= HELD_MAX && !self.0.contains_key(&sort) {
            // Of no account and no address: of all that find no room.
            sort = Refusal::default();
        }
        match self.0.get_mut(&sort) {
            Some(sum) => {
                sum.untold = sum.untold.saturating_add(1);
                sum.latest = refusal;
                sum.tell_if_due(now, tell);
            }
            None => {
                tell(&refusal, 1);
                let sum = Sum {
                    told_at: now,
                    latest: refusal,
                    untold: 0,
                };
                self.0.insert(sort, sum);
            }
        }
    }

    fn flush(&mut self, now: Instant, tell: &mut impl FnMut(&Refusal, u64)) {
        self.0.retain(|_, sum| {
            let is_quiet = sum.untold == 0 && sum.is_due(now);
            sum.tell_if_due(now, tell);
            !is_quiet
        });
    }
}

impl Sum {
    fn is_due(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.told_at) >= SUMMING
    }

    fn tell_if_due(&mut self, now: Instant, tell: &mut impl FnMut(&Refusal, u64)) {
        if self.untold > 0 && self.is_due(now) {
            tell(&self.latest, self.untold);
            self.untold = 0;
            self.told_at = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_address(last: u8, cause: &'static str) -> Refusal {
        Refusal {
            address: Some(IpAddr::from([192, 0, 2, last])),
            method: Some("/a/B"),
            cause,
            ..Refusal::default()
        }
    }

    #[test]
    fn the_first_of_a_sort_is_told_at_once_and_the_others_once_a_second() {
        let (mut refusals, began_at) = (Refusals::default(), Instant::now());
        let mut told = Vec::new();
        let mut tell = |refusal: &Refusal, times| told.push((refusal.cause, times));
        for millis in 0..2_500 {
            let now = began_at + Duration::from_millis(millis);
            refusals.note(of_address(7, "one"), now, &mut tell);
            if millis == 10 {
                refusals.note(of_address(7, "another"), now, &mut tell);
            }
        }
        let end = began_at + Duration::from_secs(4);
        refusals.flush(end, &mut tell);
        refusals.flush(end + SUMMING, &mut tell);
        let sums = [
            ("one", 1),
            ("another", 1),
            ("one", 1_000),
            ("one", 1_000),
            ("one", 499),
        ];
        assert_eq!(told, sums);
        assert!(refusals.0.is_empty());
    }

    #[test]
    fn what_is_held_is_bounded_and_nothing_goes_uncounted() {
        let (mut refusals, now) = (Refusals::default(), Instant::now());
        let mut times_told = 0;
        let mut tell = |_: &Refusal, times| times_told += times;
        for number in 0..5_000_u32 {
            let refusal = Refusal {
                account: Some(format!("account-{number}")),
                cause: "one",
                ..Refusal::default()
            };
            refusals.note(refusal, now, &mut tell);
            assert!(refusals.0.len() <= HELD_MAX + 1);
        }
        refusals.flush(now + SUMMING, &mut tell);
        assert_eq!(times_told, 5_000);
    }
}
