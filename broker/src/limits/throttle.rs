//! A rate for each source. What has not been heard of for long enough is forgotten.

use super::pace::{Meter, Rate};
use agent::access::source::Source;
use std::collections::HashMap;

/// Least number of sources at which the forgotten are looked for.
const LEAST: usize = 64;

/// See the module.
#[derive(Debug)]
pub struct Throttle {
    rate: Rate,
    meters: HashMap<Source, Meter>,
    /// Number of sources at which those are forgotten that owe nothing.
    sweep_at: usize,
}

impl Throttle {
    /// Nobody has taken anything.
    pub fn new(rate: Rate) -> Self {
        Self { rate, meters: HashMap::new(), sweep_at: LEAST }
    }

    /// Takes one for a source, if there is one; `now` in nanoseconds of a [`super::pace::Clock`].
    pub fn try_take(&mut self, source: Source, now: u64) -> bool {
        if self.meters.len() >= self.sweep_at {
            self.meters.retain(|_, meter| !meter.is_full(now));
            self.sweep_at = (self.meters.len() * 2).max(LEAST);
        }
        self.meters.entry(source).or_default().try_take(&self.rate, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn source(number: u32) -> Source {
        Source::V4(number.into())
    }

    #[test]
    fn each_source_has_its_own() {
        let mut throttle = Throttle::new(Rate { per_period: 60, period: Duration::from_secs(60), burst: 1 });
        assert!(throttle.try_take(source(1), 0) && throttle.try_take(source(2), 0));
        assert!(!throttle.try_take(source(1), 999_999_999) && throttle.try_take(source(1), 1_000_000_000));
    }

    #[test]
    fn sources_that_owe_nothing_are_forgotten() {
        let mut throttle = Throttle::new(Rate::per_second(1, 1));
        for number in 0..10_000 {
            throttle.try_take(source(number), u64::from(number) * 1_000_000_000);
        }
        assert!(throttle.meters.len() <= LEAST, "{}", throttle.meters.len());
    }
}
