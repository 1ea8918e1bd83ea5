//! The one place that reads the clock: a time that never runs backwards, and its whole seconds.

#![allow(clippy::disallowed_methods, reason = "sources are where the time comes from")]

use protocol::Timestamp;
use std::time::{Duration, Instant, SystemTime};

/// How far the wall clock may be ahead of the steady one before the machine must have slept, or been set.
const LEAP: Duration = Duration::from_secs(2);
/// Longest silence through which every second is told; of a longer one only its last, so that a recording with a
/// wrong year does not stop anybody for a century. No rule of the model waits as long.
const LONGEST_SILENCE: u64 = 60 * 60;

/// Times for what comes in: those of the wall clock, except that they never go back when it is set back.
#[derive(Debug)]
pub(super) struct Clock {
    started: Instant,
    anchor: Anchor,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self { started: Instant::now(), anchor: Anchor::new(SystemTime::now().into()) }
    }

    pub(super) fn now(&mut self) -> Timestamp {
        self.anchor.at(self.started.elapsed(), SystemTime::now().into())
    }
}

/// What ties the steady clock to the wall's.
#[derive(Debug)]
struct Anchor {
    wall: Timestamp,
    steady: Duration,
}

impl Anchor {
    fn new(wall: Timestamp) -> Self {
        Self { wall, steady: Duration::ZERO }
    }

    fn at(&mut self, steady: Duration, wall: Timestamp) -> Timestamp {
        let at = self.wall.plus(steady.saturating_sub(self.steady));
        if wall.since(at) < LEAP {
            return at;
        }
        *self = Self { wall, steady };
        wall
    }
}

/// The whole seconds of the wall clock, told between inputs. A live source and a recording tell the same ones, so
/// that whatever waits for time to pass comes between the same two messages in both.
#[derive(Debug, Default)]
pub struct Seconds {
    last: Option<u64>,
}

impl Seconds {
    /// Every whole second after the one told last, up to and with `now`; none at the first call.
    pub fn until(&mut self, now: Timestamp) -> impl Iterator<Item = Timestamp> + use<> {
        let now = now.as_millis() / 1000;
        let last = self.last.map_or(now, |last| last.max(now.saturating_sub(LONGEST_SILENCE)));
        self.last = Some(self.last.map_or(now, |told| told.max(now)));
        (last + 1..=now).map(|second| Timestamp::from_millis(second * 1000))
    }

    /// How long until the next one.
    pub(super) fn wait(now: Timestamp) -> Duration {
        Duration::from_millis(1000 - now.as_millis() % 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_follows_the_wall_clock_forwards_only() {
        let at = Timestamp::from_millis;
        let mut anchor = Anchor::new(at(100_000));
        let cases = [
            (1_000, 101_000, 101_000),
            (2_000, 101_500, 102_000), // a little behind
            (3_000, 5_000, 103_000),   // set back by a minute and a half
            (4_000, 500_000, 500_000), // slept
            (5_000, 501_000, 501_000),
        ];
        for (steady, wall, told) in cases {
            assert_eq!(anchor.at(Duration::from_millis(steady), at(wall)), at(told));
        }
    }

    #[test]
    fn every_second_is_told_once_whatever_lies_between() {
        let mut seconds = Seconds::default();
        let mut told = |millis| {
            let until: Vec<_> = seconds.until(Timestamp::from_millis(millis)).map(Timestamp::as_millis).collect();
            until
        };
        assert_eq!(told(10_500), [] as [u64; 0], "nothing was before the first");
        assert_eq!(told(10_900), [] as [u64; 0]);
        assert_eq!(told(12_000), [11_000, 12_000]);
        assert_eq!(told(12_999), [] as [u64; 0]);
        assert_eq!(told(5_000), [] as [u64; 0], "never backwards");
        assert_eq!(told(13_000), [13_000], "and none twice");
        let century = told(u64::MAX);
        assert_eq!(century.len(), 3600);
    }
}
