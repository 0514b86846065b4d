//! Limits on callers: how often an account may call, how many streams it may have open, and how often
//! credentials from one address may be wrong.
//!
//! What is held of calls and failures is only who called lately, and a bounded number of those: where
//! there are more, the oldest are forgotten. Streams are counted as long as they are open.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::wire::limits::{
    CALLS_BURST, CALLS_PER_SECOND, FAILURES_MAX, LOCK_OUT, STREAMS_PER_ACCOUNT_MAX,
};
use crate::wire::moment::Moment;

/// How many accounts or addresses are held at once.
const HELD_MAX: usize = 10_000;

/// How often an account may call, and an address be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallLimits {
    /// Calls a second, over time. A stream is one call, however long.
    pub per_second: u32,
    /// Calls at once after a rest.
    pub burst: u32,
    /// Calls from one address with credentials that are not valid, after which it is locked out.
    pub failures_max: u32,
    /// Streams of one account that are open at once.
    pub streams_max: u32,
}

impl Default for CallLimits {
    fn default() -> Self {
        Self {
            per_second: CALLS_PER_SECOND,
            burst: CALLS_BURST,
            failures_max: FAILURES_MAX,
            streams_max: STREAMS_PER_ACCOUNT_MAX,
        }
    }
}

/// Who called lately.
pub(super) struct Limits {
    calls: CallLimits,
    accounts: Mutex<HashMap<Box<str>, Bucket>>,
    addresses: Mutex<HashMap<IpAddr, Failures>>,
    /// Until when failures count, in microseconds since 1970: later no call waits for others to look.
    failures_until: AtomicI64,
    streams: Shares<Arc<str>>,
}

/// How many of something that is there for all each has now.
pub(crate) struct Shares<K>(Counts<K>);

type Counts<K> = Arc<Mutex<HashMap<K, usize>>>;

/// One of those that somebody has, until this is dropped.
pub struct Share<K: Eq + Hash> {
    whose: K,
    counts: Counts<K>,
}

impl<K> Default for Shares<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Clone + Eq + Hash> Shares<K> {
    /// One more for somebody; none where they have so many.
    pub(crate) fn take(&self, whose: &K, max: usize) -> Option<Share<K>> {
        let mut counts = lock(&self.0);
        let count = counts.get(whose).copied().unwrap_or_default();
        if count >= max {
            return None;
        }
        counts.insert(whose.clone(), count.saturating_add(1));
        Some(Share {
            whose: whose.clone(),
            counts: Arc::clone(&self.0),
        })
    }
}

impl<K: Eq + Hash> Drop for Share<K> {
    fn drop(&mut self) {
        let mut counts = lock(&self.counts);
        if let Some(count) = counts.get_mut(&self.whose) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.whose);
            }
        }
    }
}

/// Calls that may be made, as a bucket that fills over time. It counts in microseconds: a call takes
/// as many out as a second has by the calls of a second.
struct Bucket {
    /// When it would have been empty, had it filled since then.
    empty_at: i64,
}

/// Failures of an address.
struct Failures {
    /// When the first of those counted was.
    since: i64,
    count: u32,
}

impl Limits {
    pub(super) fn new(calls: CallLimits) -> Self {
        Self {
            calls,
            accounts: Mutex::default(),
            addresses: Mutex::default(),
            failures_until: AtomicI64::new(i64::MIN),
            streams: Shares::default(),
        }
    }

    /// Takes in a stream of an account.
    ///
    /// # Errors
    /// The number of streams that it may have open, and has.
    pub(super) fn open_stream(&self, account: &Arc<str>) -> Result<Share<Arc<str>>, u32> {
        let max = self.calls.streams_max;
        let share = self
            .streams
            .take(account, usize::try_from(max).unwrap_or(usize::MAX));
        share.ok_or(max)
    }

    /// Takes a call in; after how many milliseconds to try again where there is no room for it.
    pub(super) fn admit(&self, account: &str, now: Moment) -> Result<(), u64> {
        let a_call = 1_000_000 / i64::from(self.calls.per_second.max(1));
        let full = a_call.saturating_mul(self.calls.burst.max(1).into());
        let mut accounts = lock(&self.accounts);
        let fresh = now.0.saturating_sub(full);
        if let Some(bucket) = accounts.get_mut(account) {
            // Where the clock went back, it has rested: nobody is shut out by a clock.
            let empty_at = match bucket.empty_at {
                ahead if ahead > now.0 => fresh,
                empty_at => empty_at.max(fresh),
            };
            let after = empty_at.saturating_add(a_call);
            if after > now.0 {
                let wait = after.saturating_sub(now.0);
                return Err(u64::try_from(wait / 1_000).unwrap_or_default() + 1);
            }
            bucket.empty_at = after;
            return Ok(());
        }
        make_room(&mut accounts, |bucket| bucket.empty_at);
        let empty_at = fresh.saturating_add(a_call);
        accounts.insert(account.into(), Bucket { empty_at });
        Ok(())
    }

    /// Whether an address has failed too often lately.
    pub(super) fn is_locked_out(&self, address: IpAddr, now: Moment) -> bool {
        if now.0 >= self.failures_until.load(Ordering::Acquire) {
            return false;
        }
        let addresses = lock(&self.addresses);
        let failures = addresses.get(&network(address));
        failures.is_some_and(|it| it.count >= self.calls.failures_max && !it.is_over(now))
    }

    /// Counts a failure of an address.
    pub(super) fn note_failure(&self, address: IpAddr, now: Moment) {
        let mut addresses = lock(&self.addresses);
        let network = network(address);
        if !addresses.contains_key(&network) {
            make_room(&mut addresses, |failures| failures.since);
        }
        let failures = addresses.entry(network).or_insert(Failures {
            since: now.0,
            count: 0,
        });
        if failures.is_over(now) {
            *failures = Failures {
                since: now.0,
                count: 0,
            };
        }
        failures.count = failures.count.saturating_add(1);
        if failures.count == self.calls.failures_max {
            failures.since = now.0;
        }
        let until = failures.since.saturating_add(lock_out());
        self.failures_until.fetch_max(until, Ordering::Release);
    }
}

impl Failures {
    /// Whether they no longer count.
    fn is_over(&self, now: Moment) -> bool {
        !(0..lock_out()).contains(&now.0.saturating_sub(self.since))
    }
}

/// For how long failures count, in microseconds.
fn lock_out() -> i64 {
    i64::try_from(LOCK_OUT.as_micros()).unwrap_or(i64::MAX)
}

/// What counts as one address: a host by IPv4, a network by IPv6, in which one host has many.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from(network))
        }
        address => address,
    }
}

/// Forgets the older half where no further one may be held.
fn make_room<K: Eq + Hash, V>(held: &mut HashMap<K, V>, age: impl Fn(&V) -> i64) {
    if held.len() < HELD_MAX {
        return;
    }
    let mut ages: Vec<_> = held.values().map(&age).collect();
    let middle = ages.len() / 2;
    let (_, median, _) = ages.select_nth_unstable(middle);
    let median = *median;
    held.retain(|_, each| age(each) > median);
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    fn at(micros: i64) -> Moment {
        Moment(1_700_000_000 * SECOND + micros)
    }

    #[test]
    fn an_account_has_its_burst_and_then_its_rate_and_others_have_theirs() {
        let limits = Limits::new(CallLimits {
            per_second: 10,
            burst: 5,
            ..CallLimits::default()
        });
        for _ in 0..5 {
            assert_eq!(limits.admit("one", at(0)), Ok(()));
        }
        assert_eq!(limits.admit("one", at(0)), Err(101));
        assert_eq!(limits.admit("other", at(0)), Ok(()));
        assert_eq!(limits.admit("one", at(SECOND / 10)), Ok(()));
        assert!(limits.admit("one", at(SECOND / 10)).is_err());
        // After a rest, however long, the burst is what there is.
        for _ in 0..5 {
            assert_eq!(limits.admit("one", at(3_600 * SECOND)), Ok(()));
        }
        assert!(limits.admit("one", at(3_600 * SECOND)).is_err());
        assert_eq!(limits.admit("one", at(-86_400 * SECOND)), Ok(()));
    }

    #[test]
    fn an_account_has_so_many_streams_and_gets_their_places_back() {
        let limits = Limits::new(CallLimits {
            streams_max: 2,
            ..CallLimits::default()
        });
        let (one, other) = ("one".into(), "other".into());
        let first = limits.open_stream(&one).ok();
        let second = limits.open_stream(&one).ok();
        assert!(first.is_some() && second.is_some());
        assert_eq!(limits.open_stream(&one).err(), Some(2));
        assert!(limits.open_stream(&other).is_ok());
        drop(first);
        assert!(limits.open_stream(&one).is_ok());
        drop(second);
        assert!(lock(&limits.streams.0).is_empty());
    }

    #[test]
    fn an_address_is_locked_out_for_a_while_after_many_failures() {
        let limits = Limits::new(CallLimits::default());
        let address = IpAddr::from([192, 0, 2, 7]);
        for failure in 0..FAILURES_MAX {
            assert!(!limits.is_locked_out(address, at(0)), "after {failure}");
            limits.note_failure(address, at(0));
        }
        assert!(limits.is_locked_out(address, at(0)));
        assert!(!limits.is_locked_out(IpAddr::from([192, 0, 2, 8]), at(0)));
        assert!(limits.is_locked_out(address, at(lock_out() - 1)));
        assert!(!limits.is_locked_out(address, at(lock_out())));
    }

    #[test]
    fn the_addresses_of_one_network_of_ipv6_count_as_one() {
        let limits = Limits::new(CallLimits::default());
        for host in 0..FAILURES_MAX {
            let host = u128::from(host) | 0x2001_0db8_u128 << 96;
            limits.note_failure(IpAddr::V6(host.into()), at(0));
        }
        let address = |text: &str| text.parse().unwrap_or(IpAddr::from([0, 0, 0, 0]));
        assert!(limits.is_locked_out(address("2001:db8::ffff"), at(0)));
        assert!(!limits.is_locked_out(address("2001:db8:1::"), at(0)));
    }

    #[test]
    fn however_many_call_a_bounded_number_is_held() {
        let limits = Limits::new(CallLimits::default());
        for number in 0..3 * i64::try_from(HELD_MAX).unwrap_or_default() {
            let address = u32::try_from(number).unwrap_or_default().to_be_bytes();
            limits.note_failure(IpAddr::from(address), at(number));
        }
        assert!(lock(&limits.addresses).len() <= HELD_MAX);
    }
}
