//! Retained messages of topics that the configuration opens, and of `$SYS`. Room states are not
//! here: they are read from the rooms when somebody subscribes.

use crate::frame::Message;
use crate::limits;
use crate::properties;
use protocol::filter;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::{Duration, Instant};

/// The last retained message of each topic.
#[derive(Debug)]
pub struct Retained {
    bound: limits::Bound,
    topics: BTreeMap<Box<str>, (Message, Instant)>,
    bytes: usize,
}

impl Retained {
    /// With a bound for all of them together.
    pub fn new(bound: limits::Bound) -> Self {
        Self { bound, topics: BTreeMap::new(), bytes: 0 }
    }

    /// How many topics have one.
    pub fn len(&self) -> usize {
        self.topics.len()
    }

    /// Bytes that they hold.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Keeps a message as its topic's last, or forgets the topic if the payload is empty
    /// (MQTT-3.3.1-6). `false` if there is no room for a further one.
    #[must_use]
    pub fn set(&mut self, message: Message, now: Instant) -> bool {
        if let Some((old, _)) = self.topics.remove(message.topic()) {
            self.bytes -= old.size();
        }
        if message.payload.is_empty() {
            return true;
        }
        if self.topics.len() >= self.bound.number || self.bytes + message.size() > self.bound.bytes {
            return false;
        }
        self.bytes += message.size();
        self.topics.insert(message.topic().into(), (message, now));
        true
    }

    /// What a new subscription to `wanted` is sent, with the time at which it came.
    pub fn matching<'a>(&'a self, wanted: &'a str, now: Instant) -> impl Iterator<Item = &'a (Message, Instant)> {
        let (first, _) = wanted.split_once(['+', '#']).unwrap_or((wanted, ""));
        let first = first.strip_suffix('/').unwrap_or(first); // a/# matches a (MQTT 4.7.1.2)
        self.topics
            .range::<str, _>((Bound::Included(first), Bound::Unbounded))
            .take_while(move |(topic, _)| topic.starts_with(first))
            .map(|(_, kept)| kept)
            .filter(move |(message, at)| filter::matches(wanted, message.topic()) && !is_expired(message, *at, now))
    }

    /// Forgets what has expired (MQTT-3.3.2-5).
    pub fn sweep(&mut self, now: Instant) {
        let bytes = &mut self.bytes;
        self.topics.retain(|_, (message, at)| {
            let keep = !is_expired(message, *at, now);
            if !keep {
                *bytes -= message.size();
            }
            keep
        });
    }
}

fn is_expired(message: &Message, at: Instant, now: Instant) -> bool {
    properties::expiry(&message.properties)
        .is_some_and(|seconds| now.saturating_duration_since(at) >= Duration::from_secs(seconds.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Qos;

    const MAX_MESSAGES: usize = 100;
    const BOUND: limits::Bound = limits::Bound { number: MAX_MESSAGES, bytes: 1000 };

    fn message(topic: &str, payload: &str) -> Message {
        Message::own(topic.into(), payload.into(), Qos::AtMostOnce)
    }

    #[test]
    fn the_last_one_counts_and_an_empty_one_forgets() {
        let now = Instant::now();
        let mut retained = Retained::new(BOUND);
        assert!(retained.set(message("a/b", "1"), now) && retained.set(message("a/b", "22"), now));
        assert_eq!((retained.len(), retained.bytes()), (1, 5));
        let found: Vec<_> = retained.matching("a/+", now).map(|(m, _)| m.payload.clone()).collect();
        assert_eq!(found, ["22"]);
        assert!(retained.set(message("a/b", ""), now));
        assert_eq!((retained.len(), retained.bytes()), (0, 0));
    }

    #[test]
    fn whatever_a_filter_matches_is_found() {
        let now = Instant::now();
        let mut retained = Retained::new(BOUND);
        let topics = ["/", "/a", "a", "a/", "a/b", "a/b/c", "ab", "a+", "b", "$SYS/a", "\u{10FFFF}"];
        assert!(topics.iter().all(|topic| retained.set(message(topic, "1"), now)));
        for wanted in ["#", "+", "+/+", "/#", "/+", "a", "a/#", "a/+", "a/+/c", "a/b/#", "+/b", "$SYS/#", "$SYS/a", "x"]
        {
            let mut found: Vec<_> = retained.matching(wanted, now).map(|(message, _)| message.topic()).collect();
            let mut expected: Vec<_> = topics.into_iter().filter(|topic| filter::matches(wanted, topic)).collect();
            found.sort_unstable();
            expected.sort_unstable();
            assert_eq!(found, expected, "{wanted}");
        }
    }

    #[test]
    fn there_is_a_bound() {
        let now = Instant::now();
        let mut retained = Retained::new(BOUND);
        let kept = (0..MAX_MESSAGES + 5).filter(|i| retained.set(message(&i.to_string(), "x"), now)).count();
        assert_eq!(kept, MAX_MESSAGES);
        assert!(retained.set(message("0", "y"), now), "a topic that is there may change");
    }

    #[test]
    fn what_expires_goes() {
        let now = Instant::now();
        let mut retained = Retained::new(BOUND);
        let mut expiring = message("a", "1");
        expiring.properties = [2, 0, 0, 0, 5].to_vec().into();
        assert!(retained.set(expiring, now));
        assert_eq!(retained.matching("a", now + Duration::from_secs(4)).count(), 1);
        assert_eq!(retained.matching("a", now + Duration::from_secs(5)).count(), 0);
        retained.sweep(now + Duration::from_secs(5));
        assert_eq!((retained.len(), retained.bytes()), (0, 0));
    }
}
