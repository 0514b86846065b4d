//! What all measurements share: the events, the clock, and the line that is printed.
//!
//! The first second of a measurement of commits is not counted.

use std::time::{Duration, Instant};

/// Bytes of an event with its identifiers, the same for every rival; `casetrail bench` records
/// events of this size.
pub const EVENT_BYTES: usize = 300;

const WARM_UP: Duration = Duration::from_secs(1);

/// Payloads to take from, made beforehand: a third of each is random, the rest words, much like an
/// event with identifiers and text.
pub struct Payloads {
    payloads: Vec<Vec<u8>>,
    next: usize,
}

impl Payloads {
    /// Payloads of `bytes` bytes, different ones for each seed.
    pub fn new(bytes: usize, seed: u64) -> Self {
        let payloads = (0..64).map(|index| payload(bytes, (seed << 32) | index));
        Self {
            payloads: payloads.collect(),
            next: 0,
        }
    }

    /// The next payload.
    pub fn next(&mut self) -> &[u8] {
        self.next = (self.next + 1) % self.payloads.len();
        &self.payloads[self.next]
    }
}

fn payload(length: usize, seed: u64) -> Vec<u8> {
    const WORDS: [&[u8]; 8] = [
        b"case ", b"visit ", b"listed ", b"place ", b"source ", b"report ", b"party ", b"date ",
    ];
    let mut random = seed;
    let mut next = || {
        // SplitMix64.
        random = random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    };
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length / 3 {
        bytes.extend_from_slice(&next().to_le_bytes());
    }
    while bytes.len() < length {
        bytes.extend_from_slice(WORDS[(next() % 8) as usize]);
    }
    bytes.truncate(length);
    bytes
}

/// The time in which commits are counted: after a warm-up, for a number of seconds.
#[derive(Clone, Copy)]
pub struct Window {
    opens: Instant,
    closes: Instant,
}

impl Window {
    /// A window that opens after the warm-up.
    pub fn new(seconds: f64) -> Self {
        let opens = Instant::now() + WARM_UP;
        Self {
            opens,
            closes: opens + Duration::from_secs_f64(seconds),
        }
    }

    /// Whether another commit is to be sent.
    pub fn is_open(&self) -> bool {
        Instant::now() < self.closes
    }
}

/// The commits that one client saw answered.
pub struct Tally {
    window: Window,
    latencies: Vec<Duration>,
}

impl Tally {
    /// None so far.
    pub fn new(window: Window) -> Self {
        Self {
            window,
            latencies: Vec::new(),
        }
    }

    /// Counts a commit that was sent at `sent` and is answered now, if now is in the window.
    pub fn answered(&mut self, sent: Instant) {
        let now = Instant::now();
        if now >= self.window.opens && now < self.window.closes {
            self.latencies.push(now - sent);
        }
    }
}

/// Prints the rate and the latencies of all clients' commits, each of `events_each` events.
pub fn print_commits(tallies: Vec<Tally>, events_each: usize) -> Result<(), crate::Failure> {
    let window = tallies.first().ok_or("no client ran")?.window;
    let mut latencies: Vec<Duration> = tallies.into_iter().flat_map(|t| t.latencies).collect();
    latencies.sort_unstable();
    let at = |part: f64| {
        let index = (latencies.len().saturating_sub(1)) as f64 * part;
        latencies
            .get(index as usize)
            .ok_or("no commit was answered in the time given")
    };
    let events = latencies.len() * events_each;
    let seconds = (window.closes - window.opens).as_secs_f64();
    println!(
        "{{\"events_per_s\":{:.0},\"p50_ms\":{:.3},\"p99_ms\":{:.3},\"events\":{events}}}",
        events as f64 / seconds,
        at(0.5)?.as_secs_f64() * 1000.0,
        at(0.99)?.as_secs_f64() * 1000.0,
    );
    Ok(())
}

/// Reads all events again and again for `seconds`, at least twice, and prints the median rate of
/// the passes but the first, which warms caches. A pass that meets other than `expected` events
/// fails.
pub async fn print_reads<F>(
    seconds: f64,
    expected: u64,
    mut pass: impl FnMut() -> F,
) -> Result<(), crate::Failure>
where
    F: Future<Output = Result<u64, crate::Failure>>,
{
    let mut rates = Vec::new();
    let mut is_warm = false;
    let mut started = Instant::now();
    while rates.is_empty() || started.elapsed().as_secs_f64() < seconds {
        let pass_started = Instant::now();
        let events = pass().await?;
        if events != expected {
            return Err(format!("read {events} events where {expected} are stored").into());
        }
        if is_warm {
            rates.push(events as f64 / pass_started.elapsed().as_secs_f64());
        } else {
            is_warm = true;
            started = Instant::now();
        }
    }
    rates.sort_unstable_by(f64::total_cmp);
    println!(
        "{{\"events_per_s\":{:.0},\"events\":{expected},\"passes\":{}}}",
        rates[rates.len() / 2],
        rates.len()
    );
    Ok(())
}
