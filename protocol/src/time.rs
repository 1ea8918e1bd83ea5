//! Points in time as the wire shows them: RFC 3339, UTC, milliseconds.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01T00:00:00Z. Written as `2026-11-22T07:25:00.000Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// Last point in time that RFC 3339 can write: the end of the year 9999.
    const MAX_MILLIS: u64 = 253_402_300_799_999;

    /// From milliseconds since the epoch; what lies after the year 9999 becomes its end.
    pub const fn from_millis(millis: u64) -> Self {
        Self(if millis > Self::MAX_MILLIS { Self::MAX_MILLIS } else { millis })
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// This point in time and `later`.
    pub fn plus(self, later: Duration) -> Self {
        Self::from_millis(self.0.saturating_add(u64::try_from(later.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long before this point `earlier` was; zero if it was not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl From<SystemTime> for Timestamp {
    /// A clock that stands before 1970 gives the epoch itself.
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(self.0)).fmt(f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        humantime::parse_rfc3339(&text).map(Self::from).map_err(|e| {
            serde::de::Error::custom(format_args!("{text:?} is no RFC 3339 time like 2026-01-31T12:00:00.000Z: {e}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for millis in [0, 1, 1_790_000_000_123, u64::MAX] {
            let time = Timestamp::from_millis(millis);
            let json = serde_json::to_string(&time).unwrap();
            assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), time, "{json}");
        }
        assert_eq!(Timestamp::from_millis(1_790_000_000_123).to_string(), "2026-09-21T14:13:20.123Z");
    }

    #[test]
    fn arithmetic_saturates() {
        let time = Timestamp::from_millis(5);
        assert_eq!(time.since(Timestamp::from_millis(9)), Duration::ZERO);
        assert_eq!(time.plus(Duration::MAX), Timestamp::from_millis(u64::MAX));
    }
}
