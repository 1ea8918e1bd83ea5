//! Guessing takes time: failures are counted, and make those who fail wait longer and longer.
//!
//! Two counts. One for an address (IPv4, or IPv6's /64), however many names are tried from it, and
//! one for an address and a user name together. There is none for a user name alone: a stranger
//! elsewhere could then lock a user out by failing in its name. Addresses that are exempt, because
//! a proxy there stands for many, have only the second, and it turns nobody away: stranger and user
//! come from the same address there.
//!
//! After a few failures for free each next one doubles the time within which nothing more is
//! checked for that count, up to a minute: what comes shortly before its time is held until then,
//! what comes sooner is turned away unchecked, and not counted. So neither patience nor many
//! connections at once give more than one guess a minute, and whoever knows the password is never
//! further than a minute from getting in. Half an hour without a failure forgets them, and so does
//! a success, of its own count of name and address. Memory is bounded: what failed longest ago goes.

use crate::access::source::Source;
use lru::LruCache;
use std::time::{Duration, Instant};

/// Failures before a name at an address has to wait.
const FREE_FOR_NAME: u32 = 3;
/// Failures before an address has to wait; many may share one.
const FREE_FOR_ADDRESS: u32 = 20;
/// The first wait.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How long a connection is held rather than turned away; twice as long, and a check besides, is
/// within the time that a CONNECT has.
const LONGEST_HOLD: Duration = Duration::from_secs(2);
/// How long a failure counts.
const MEMORY: Duration = Duration::from_secs(30 * 60);
/// Counts that are kept.
const MAX_COUNTS: usize = 16 * 1024;
/// Longer names are no user's, and count as one.
const MAX_NAME: usize = 64;

/// Who tries.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// From where.
    pub address: Source,
    /// Whether the address stands for many, and has no count of its own.
    pub is_exempt: bool,
    /// In whose name; none for a token.
    pub user: Option<&'a str>,
}

/// Whether an attempt is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Now.
    Now,
    /// It may ask again after this time.
    Hold(Duration),
    /// Not; it may come back after this time.
    TurnedAway(Duration),
}

/// The counts.
#[derive(Debug)]
pub struct Throttle {
    /// The one that failed last first.
    counts: LruCache<Key, Count>,
    max: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    address: Source,
    user: Option<Box<str>>,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    failures: u32,
    last: Instant,
}

impl Default for Throttle {
    fn default() -> Self {
        Self { counts: LruCache::unbounded(), max: MAX_COUNTS }
    }
}

impl Throttle {
    /// Whether something may be checked at the time `now`.
    pub fn ask(&self, attempt: Attempt<'_>, now: Instant) -> Verdict {
        let left = |key: Key| {
            let count = self.counts.peek(&key)?;
            let wait = wait_after(count.failures, key.free(), longest(attempt));
            let passed = now.saturating_duration_since(count.last);
            wait.checked_sub(passed).filter(|left| !left.is_zero() && passed < MEMORY)
        };
        match keys(attempt).filter_map(left).max() {
            None => Verdict::Now,
            Some(left) if left <= LONGEST_HOLD => Verdict::Hold(left),
            Some(left) => Verdict::TurnedAway(left),
        }
    }

    /// Counts a failure; the time for which its answer is to be held.
    pub fn failed(&mut self, attempt: Attempt<'_>, now: Instant) -> Duration {
        while self.counts.peek_lru().is_some_and(|(_, count)| now.saturating_duration_since(count.last) >= MEMORY) {
            self.counts.pop_lru();
        }
        let mut hold = Duration::ZERO;
        for key in keys(attempt) {
            let free = key.free();
            let count = self.counts.get_or_insert_mut(key, || Count { failures: 0, last: now });
            count.failures = count.failures.saturating_add(1);
            count.last = now;
            hold = hold.max(wait_after(count.failures, free, LONGEST_HOLD));
        }
        while self.counts.len() > self.max {
            self.counts.pop_lru();
        }
        hold
    }

    /// Forgets the failures in a name at an address. Those of the address stay: whoever has one
    /// password must not win guesses at others by it.
    pub fn succeeded(&mut self, attempt: Attempt<'_>) {
        for key in keys(attempt).filter(|key| key.user.is_some()) {
            self.counts.pop(&key);
        }
    }
}

impl Key {
    fn free(&self) -> u32 {
        if self.user.is_some() { FREE_FOR_NAME } else { FREE_FOR_ADDRESS }
    }
}

fn keys(attempt: Attempt<'_>) -> impl Iterator<Item = Key> {
    let address = attempt.address;
    let of_address = (!attempt.is_exempt).then_some(Key { address, user: None });
    let of_name = attempt.user.map(|user| {
        let user = if user.len() > MAX_NAME { "" } else { user };
        Key { address, user: Some(user.into()) }
    });
    of_address.into_iter().chain(of_name)
}

/// The longest wait for whoever comes from there.
fn longest(attempt: Attempt<'_>) -> Duration {
    if attempt.is_exempt { LONGEST_HOLD } else { LONGEST_WAIT }
}

fn wait_after(failures: u32, free: u32, longest: Duration) -> Duration {
    match failures.checked_sub(free) {
        None | Some(0) => Duration::ZERO,
        Some(n) => FIRST_WAIT.saturating_mul(2_u32.saturating_pow(n - 1)).min(longest),
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a time to begin with")]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::IpAddr;

    fn attempt<'a>(address: &str, user: &'a str) -> Attempt<'a> {
        Attempt { address: address.parse::<IpAddr>().unwrap().into(), is_exempt: false, user: Some(user) }
    }

    #[test]
    fn waits_double_up_to_a_minute() {
        let waits: Vec<u128> = (0..16).map(|failures| wait_after(failures, 3, LONGEST_WAIT).as_millis()).collect();
        let doubling = [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000];
        assert_eq!(waits, [&[0; 4][..], &doubling].concat());
        assert_eq!(wait_after(u32::MAX, 3, LONGEST_WAIT), LONGEST_WAIT);
    }

    #[test]
    fn who_fails_waits_and_is_then_turned_away() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        let alice = attempt("192.0.2.1", "alice");
        for _ in 0..3 {
            assert_eq!(throttle.ask(alice, start), Verdict::Now);
            assert_eq!(throttle.failed(alice, start), Duration::ZERO);
        }
        assert_eq!(throttle.failed(alice, start), Duration::from_millis(100));
        assert_eq!(throttle.ask(alice, start), Verdict::Hold(Duration::from_millis(100)));
        assert_eq!(throttle.ask(alice, start + Duration::from_millis(100)), Verdict::Now);
        for _ in 0..5 {
            throttle.failed(alice, start);
        }
        assert_eq!(throttle.ask(alice, start), Verdict::TurnedAway(Duration::from_millis(3200)));
        assert_eq!(throttle.failed(alice, start), LONGEST_HOLD, "an answer is held no longer");
        assert_eq!(throttle.ask(alice, start + MEMORY), Verdict::Now);
    }

    #[test]
    fn a_stranger_does_not_lock_a_user_out() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        for n in 0..10_000_u32 {
            let address = IpAddr::from(n.to_be_bytes()).into();
            throttle.failed(Attempt { address, is_exempt: false, user: Some("alice") }, now);
        }
        assert_eq!(throttle.ask(attempt("192.0.2.1", "alice"), now), Verdict::Now);
        // Nor where both come through the same proxy.
        let proxied = Attempt { is_exempt: true, ..attempt("127.0.0.1", "alice") };
        for _ in 0..1000 {
            throttle.failed(proxied, now);
        }
        assert_eq!(throttle.ask(proxied, now), Verdict::Hold(LONGEST_HOLD));
    }

    #[test]
    fn names_and_addresses_count_for_themselves() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        for _ in 0..8 {
            throttle.failed(attempt("192.0.2.1", "alice"), now);
        }
        assert_eq!(throttle.ask(attempt("192.0.2.1", "bob"), now), Verdict::Now);
        assert_eq!(throttle.ask(attempt("192.0.2.2", "alice"), now), Verdict::Now);
        for n in 0..17 {
            throttle.failed(attempt("192.0.2.1", &format!("guess-{n}")), now);
        }
        assert!(matches!(throttle.ask(attempt("192.0.2.1", "bob"), now), Verdict::Hold(_)), "the address has failed");
        let exempt = Attempt { is_exempt: true, ..attempt("192.0.2.1", "bob") };
        assert_eq!(throttle.ask(exempt, now), Verdict::Now);
        let token = Attempt { user: None, ..attempt("192.0.2.1", "") };
        assert!(matches!(throttle.ask(token, now), Verdict::Hold(_)));
        throttle.succeeded(attempt("192.0.2.1", "alice"));
        let alice = Attempt { is_exempt: true, ..attempt("192.0.2.1", "alice") };
        assert_eq!(throttle.ask(alice, now), Verdict::Now);
        assert!(matches!(throttle.ask(token, now), Verdict::Hold(_)), "the address has still failed");
    }

    #[test]
    fn memory_is_bounded_and_given_back() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        for n in 0..50_000_u32 {
            throttle.failed(
                Attempt { address: IpAddr::from(n.to_be_bytes()).into(), is_exempt: false, user: Some("x") },
                now,
            );
        }
        assert_eq!(throttle.counts.len(), MAX_COUNTS);
        throttle.failed(attempt("192.0.2.1", &"x".repeat(60_000)), now + MEMORY);
        assert_eq!(throttle.counts.len(), 2);
        assert!(throttle.counts.iter().all(|(key, _)| key.user.as_ref().is_none_or(|user| user.len() <= MAX_NAME)));
    }

    proptest! {
        /// Whatever a guesser does, and by however many connections: what is checked in a time stays
        /// within what is free and one more for each doubling and each minute.
        #[test]
        fn guesses_are_few(pauses in prop::collection::vec(0..5_000_u64, 1..400)) {
            let (mut throttle, start) = (Throttle::default(), Instant::now());
            let (mut now, mut guesses) = (start, 0_u64);
            let alice = attempt("192.0.2.1", "alice");
            for pause in pauses {
                now += Duration::from_millis(pause);
                if throttle.ask(alice, now) == Verdict::Now {
                    guesses += 1;
                    throttle.failed(alice, now);
                }
            }
            prop_assert!(guesses <= 3 + 11 + (now - start).as_secs() / 60);
        }
    }
}
