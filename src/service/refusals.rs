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
    let told = held().note(refusal, Instant::now());
    told.iter().for_each(Told::tell);
}

/// Tells what was summed up, as long as it runs.
pub(super) async fn tell_sums() {
    let mut ticks = interval(SUMMING);
    loop {
        ticks.tick().await;
        tell_due(Instant::now());
    }
}

/// Tells what was summed up and not told yet.
pub(super) fn tell_rest() {
    tell_due(Instant::now() + SUMMING);
}

fn tell_due(now: Instant) {
    let told = held().flush(now);
    told.iter().for_each(Told::tell);
}

fn held() -> MutexGuard<'static, Refusals> {
    static HELD: LazyLock<Mutex<Refusals>> = LazyLock::new(Mutex::default);
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What one line tells. It is written once nothing is locked any more.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    /// The latest of them.
    refusal: Refusal,
    times: u64,
}

impl Told {
    fn tell(&self) {
        let refusal = &self.refusal;
        tracing::warn!(
            target: "casetrail::refused",
            address = refusal.address.map(tracing::field::display),
            account = refusal.account,
            organisation = refusal.organisation,
            method = refusal.method,
            cause = refusal.cause,
            times = self.times,
            "refused"
        );
    }
}

/// The sorts of refusals that were lately told.
#[derive(Default)]
struct Refusals(HashMap<Refusal, Sum>);

struct Sum {
    told_at: Instant,
    untold: Option<Told>,
}

impl Refusals {
    /// Takes a refusal in; what is to be told now.
    fn note(&mut self, refusal: Refusal, now: Instant) -> Option<Told> {
        let mut sort = refusal.sort();
        if self.0.len() >= HELD_MAX && !self.0.contains_key(&sort) {
            // Of no account and no address: of all that find no room.
            sort = Refusal::default();
        }
        match self.0.get_mut(&sort) {
            Some(sum) => {
                let before = sum.untold.as_ref().map_or(0, |untold| untold.times);
                let times = before.saturating_add(1);
                sum.untold = Some(Told { refusal, times });
                sum.take_due(now)
            }
            None => {
                let sum = Sum {
                    told_at: now,
                    untold: None,
                };
                self.0.insert(sort, sum);
                Some(Told { refusal, times: 1 })
            }
        }
    }

    /// What is to be told now; forgets what there was no more of.
    fn flush(&mut self, now: Instant) -> Vec<Told> {
        let mut told = Vec::new();
        self.0.retain(|_, sum| {
            let is_quiet = sum.untold.is_none() && sum.is_due(now);
            told.extend(sum.take_due(now));
            !is_quiet
        });
        told
    }
}

impl Sum {
    fn is_due(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.told_at) >= SUMMING
    }

    fn take_due(&mut self, now: Instant) -> Option<Told> {
        if !self.is_due(now) {
            return None;
        }
        let told = self.untold.take()?;
        self.told_at = now;
        Some(told)
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
        for millis in 0..2_500 {
            let now = began_at + Duration::from_millis(millis);
            told.extend(refusals.note(of_address(7, "one"), now));
            if millis == 10 {
                told.extend(refusals.note(of_address(7, "another"), now));
            }
        }
        let end = began_at + Duration::from_secs(4);
        told.extend(refusals.flush(end));
        told.extend(refusals.flush(end + SUMMING));
        let told: Vec<_> = told.iter().map(|it| (it.refusal.cause, it.times)).collect();
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
        let mut told = Vec::new();
        for number in 0..5_000_u32 {
            let refusal = Refusal {
                account: Some(format!("account-{number}")),
                cause: "one",
                ..Refusal::default()
            };
            told.extend(refusals.note(refusal, now));
            assert!(refusals.0.len() <= HELD_MAX + 1);
        }
        told.extend(refusals.flush(now + SUMMING));
        let times: u64 = told.iter().map(|it| it.times).sum();
        assert_eq!(times, 5_000);
    }
}
