//! How much a load sends: for a time, at a pace for a time, or a number of submissions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::cli::bench::figures::ratio;

/// What the lanes of a load may still send, all together.
#[derive(Debug, Clone)]
pub(in crate::cli::bench) struct Budget(Kind);

#[derive(Debug, Clone)]
enum Kind {
    /// As fast as it goes until then.
    Until(Instant),
    /// So many submissions.
    Submissions(Arc<AtomicU64>),
    /// One submission each `interval` until then; `sent` are sent so far.
    Paced {
        began_at: Instant,
        interval: Duration,
        until: Instant,
        sent: Arc<AtomicU64>,
    },
}

impl Budget {
    /// As fast as it goes for this long, from now on.
    pub(in crate::cli::bench) fn time(duration: Duration) -> Self {
        Self(Kind::Until(Instant::now() + duration))
    }

    /// So many submissions, as fast as it goes.
    pub(in crate::cli::bench) fn submissions(number: u64) -> Self {
        Self(Kind::Submissions(Arc::new(AtomicU64::new(number))))
    }

    /// So many submissions a second for this long, from now on, as far as answers come in time.
    pub(in crate::cli::bench) fn paced(per_second: u64, duration: Duration) -> Self {
        let began_at = Instant::now();
        Self(Kind::Paced {
            began_at,
            interval: Duration::from_secs(1).div_f64(ratio(per_second, 1)),
            until: began_at + duration,
            sent: Arc::new(AtomicU64::new(0)),
        })
    }

    /// Takes one submission out of the budget: when it is to be sent, now or later; none where the
    /// budget is spent.
    pub(super) fn take(&self) -> Option<Instant> {
        let now = Instant::now();
        match &self.0 {
            Kind::Until(until) => (now < *until).then_some(now),
            Kind::Submissions(left) => {
                let fewer = |left: u64| left.checked_sub(1);
                let taken = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer);
                taken.is_ok().then_some(now)
            }
            Kind::Paced {
                began_at,
                interval,
                until,
                sent,
            } => {
                let number = sent.fetch_add(1, Ordering::Relaxed);
                let wait = interval.mul_f64(ratio(number, 1));
                let at = *began_at + wait;
                (at < *until).then_some(at.max(now))
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_submissions_is_spent_once_by_all_lanes_together() {
        let budget = Budget::submissions(3);
        let other_lane = budget.clone();
        let taken = [&budget, &other_lane, &budget, &other_lane].map(|lane| lane.take().is_some());
        assert_eq!(taken, [true, true, true, false]);
    }

    #[test]
    fn a_pace_spreads_submissions_over_the_time_and_ends_with_it() {
        let budget = Budget::paced(4, Duration::from_secs(3_600));
        let first = budget.take().unwrap();
        let [_, _, _, fifth] = [(); 4].map(|()| budget.take().unwrap());
        assert!(fifth.duration_since(first) <= Duration::from_secs(1));
        assert!(fifth.duration_since(first) > Duration::from_millis(500));
        let rest = (5..20_000).filter_map(|_| budget.take()).count();
        assert_eq!(rest, 4 * 3_600 - 5);
    }

    #[test]
    fn no_time_is_no_submission() {
        assert_eq!(Budget::time(Duration::ZERO).take(), None);
    }
}
