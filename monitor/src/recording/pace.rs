//! How fast a recording plays.

use std::ops::RangeInclusive;

/// What a person would call a speed, in times as fast as it happened.
pub const SPEEDS: RangeInclusive<f64> = 0.01..=1000.0;

/// How fast a recording plays.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// How many times as fast as it happened; `None`: as fast as it is taken.
    pub speed: Option<f64>,
    /// Whether it stands still.
    pub paused: bool,
}

impl Pace {
    /// So many times as fast as now, within [`SPEEDS`].
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        let within = |speed: f64| speed.clamp(*SPEEDS.start(), *SPEEDS.end());
        Self { speed: self.speed.map(|speed| within(speed * factor)), ..self }
    }
}
