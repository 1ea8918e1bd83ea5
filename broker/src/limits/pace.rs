//! How fast somebody may go: a token bucket with a burst, kept as one number (the generic cell rate
//! algorithm, ITU-T I.371 annex A): the time at which everything that was taken is paid for.

use std::time::{Duration, Instant};

/// So much in a period of time, and so much at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many in each period.
    pub per_period: u32,
    /// The period.
    pub period: Duration,
    /// How many at once, after a pause.
    pub burst: u32,
}

impl Rate {
    /// So many a second.
    pub const fn per_second(per_period: u32, burst: u32) -> Self {
        Self { per_period, period: Duration::from_secs(1), burst }
    }

    /// The time in which `amount` is paid for, in nanoseconds.
    fn cost(&self, amount: u64) -> u64 {
        let period = u64::try_from(self.period.as_nanos()).unwrap_or(u64::MAX);
        amount.saturating_mul(period) / u64::from(self.per_period.max(1))
    }
}

/// What one has taken of a [`Rate`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Meter {
    /// When it is paid for, in nanoseconds of [`Clock`].
    paid_at: u64,
}

impl Meter {
    /// Takes `amount` in any case. If that was more than there is, says how long it takes until
    /// nothing is owed.
    pub fn take(&mut self, amount: u64, rate: &Rate, now: u64) -> Option<Duration> {
        self.paid_at = self.paid_at.max(now).saturating_add(rate.cost(amount));
        let owed = (self.paid_at - now).saturating_sub(rate.cost(rate.burst.into()));
        (owed > 0).then(|| Duration::from_nanos(owed))
    }

    /// Takes one if there is one.
    pub fn try_take(&mut self, rate: &Rate, now: u64) -> bool {
        let before = *self;
        let taken = self.take(1, rate, now).is_none();
        if !taken {
            *self = before;
        }
        taken
    }

    /// Whether it is as if nothing had ever been taken.
    pub fn is_full(&self, now: u64) -> bool {
        self.paid_at <= now
    }
}

/// The clock of meters: nanoseconds since it was made, in 8 bytes instead of an instant's 16.
#[derive(Debug, Clone, Copy)]
pub struct Clock(Instant);

impl Clock {
    /// Begins at `begin`.
    pub fn new(begin: Instant) -> Self {
        Self(begin)
    }

    /// A moment on it; saturates after 584 years.
    pub fn nanos(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.0).as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_burst_then_the_rate_then_what_is_owed() {
        let rate = Rate::per_second(10, 5);
        let mut meter = Meter::default();
        for (at, amount, owed_ms) in [
            (0, 5, 0),           // the burst
            (0, 1, 100),         // one more is owed for a tenth of a second
            (SECOND / 10, 0, 0), // which passes
            (SECOND / 10, 1, 100),
            (2 * SECOND, 5, 0), // after a pause the burst is there again, and no more than it
            (2 * SECOND, 10, 1000),
        ] {
            let owed = meter.take(amount, &rate, at).unwrap_or_default().as_millis();
            assert_eq!(owed, owed_ms, "{amount} at {at}");
        }
    }

    #[test]
    fn what_is_not_there_is_not_taken() {
        let rate = Rate { per_period: 60, period: Duration::from_secs(60), burst: 2 };
        let mut meter = Meter::default();
        let taken: Vec<bool> =
            [0, 0, 0, SECOND / 2, SECOND, SECOND, 5 * SECOND].into_iter().map(|at| meter.try_take(&rate, at)).collect();
        assert_eq!(taken, [true, true, false, false, true, false, true]);
        assert!(!meter.is_full(5 * SECOND) && meter.is_full(7 * SECOND));
    }

    proptest! {
        #[test]
        fn nobody_gets_more_than_burst_and_rate(
            per_second in 1..1000_u32, burst in 1..100_u32, steps in prop::collection::vec(0..SECOND / 4, 1..300)
        ) {
            let rate = Rate::per_second(per_second, burst);
            let (mut meter, mut now, mut taken) = (Meter::default(), 0, 0_u64);
            for step in steps {
                now += step;
                taken += u64::from(meter.try_take(&rate, now));
            }
            // One more for each rounding of a cost to whole nanoseconds would be far too generous.
            let allowed = u64::from(burst) + now * u64::from(per_second) / SECOND + 1;
            prop_assert!(taken <= allowed, "{taken} of {allowed}");
        }
    }
}
