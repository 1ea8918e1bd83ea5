//! What the broker says of itself under `$SYS/broker/`, with the names that Mosquitto made usual.

use protocol::Timestamp;
use std::collections::VecDeque;

/// Figures of the broker. What it does not publish (or does not let us read) is `None`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BrokerFigures {
    /// Name and version.
    pub version: Option<Box<str>>,
    /// Seconds since it started.
    pub uptime: Option<u64>,
    /// Clients with a connection.
    pub clients: Option<u64>,
    /// Rooms with a member in them; only our broker counts them.
    pub rooms: Option<u64>,
    /// Messages dropped at a bound.
    pub dropped: Option<u64>,
    /// Messages that access refused; only our broker counts them.
    pub refused: Option<u64>,
    /// Messages that clients publish.
    pub messages: Received,
    /// Bytes that clients publish.
    pub bytes: Received,
    /// When it last said anything of itself.
    pub at: Option<Timestamp>,
}

/// What comes in from clients. What goes out is not asked for: on a quiet broker that is these very figures, on their
/// way to whoever watches.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Received {
    /// In messages that were published.
    published: Rate,
    /// In packets of any kind, keep-alives and acknowledgements, too.
    any: Rate,
}

impl Received {
    /// What was published, if the broker counts it; else everything that came in; `None` if it counts neither.
    pub fn rate(&self) -> Option<&Rate> {
        [&self.published, &self.any].into_iter().find(|rate| rate.total().is_some())
    }
}

/// A counter's growth over time.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rate {
    total: Option<(Timestamp, u64)>,
    history: VecDeque<f64>,
}

impl Rate {
    /// How many values are remembered: with a value a second, two minutes.
    pub const HISTORY: usize = 120;
    /// Between two values of a counter there is at least this much, in milliseconds; closer ones are taken together,
    /// since jitter would make peaks of them.
    const LEAST: u64 = 500;

    /// What the counter stood at last.
    pub fn total(&self) -> Option<u64> {
        self.total.map(|(_, total)| total)
    }

    /// Amount a second between the last two values.
    pub fn now(&self) -> Option<f64> {
        self.history.back().copied()
    }

    /// Amounts a second, oldest first; at most [`Rate::HISTORY`].
    pub fn history(&self) -> impl ExactSizeIterator<Item = f64> + '_ {
        self.history.iter().copied()
    }

    /// Takes the counter's value. One that is smaller than before begins anew: the broker was restarted.
    pub(super) fn take(&mut self, total: u64, at: Timestamp) {
        let Some((since, before)) = self.total else {
            self.total = Some((at, total));
            return;
        };
        if total < before || at < since {
            self.total = Some((at, total));
            return;
        }
        let millis = at.since(since).as_millis() as u64;
        if millis < Self::LEAST {
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 53 bits")]
        let rate = (total - before) as f64 * 1000.0 / millis as f64;
        if self.history.len() == Self::HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(rate);
        self.total = Some((at, total));
    }
}

impl BrokerFigures {
    /// Takes a figure; `name` is what follows `$SYS/broker/`. Whether the broker was restarted since the last time.
    pub(super) fn take(&mut self, name: &str, payload: &[u8], at: Timestamp) -> bool {
        const MAX_VERSION: usize = 64;
        let Ok(value) = std::str::from_utf8(payload) else { return false };
        // "61 seconds"; plain counters are a number alone. Some brokers write loads as "1.50".
        let number = || value.split_ascii_whitespace().next().and_then(|word| word.parse::<u64>().ok());
        let mut restarted = false;
        match name {
            "version" => self.version = Some(super::read::cut(value.trim(), MAX_VERSION).into()),
            "uptime" => {
                let uptime = number();
                restarted = matches!((self.uptime, uptime), (Some(before), Some(now)) if now < before);
                self.uptime = uptime;
            }
            "clients/connected" => self.clients = number(),
            "rooms/count" => self.rooms = number(),
            "publish/messages/dropped" => self.dropped = number(),
            "publish/messages/refused" => self.refused = number(),
            "publish/messages/received" => take(&mut self.messages.published, number(), at),
            "publish/bytes/received" => take(&mut self.bytes.published, number(), at),
            "messages/received" => take(&mut self.messages.any, number(), at),
            "bytes/received" => take(&mut self.bytes.any, number(), at),
            _ => return false,
        }
        self.at = Some(at);
        restarted
    }
}

fn take(rate: &mut Rate, total: Option<u64>, at: Timestamp) {
    if let Some(total) = total {
        rate.take(total, at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(1_790_000_000_000 + millis)
    }

    #[test]
    fn counters_become_rates() {
        let mut broker = BrokerFigures::default();
        for (second, total) in [(0, "100"), (1, "150"), (2, "150"), (4, "250")] {
            broker.take("messages/received", total.as_bytes(), at(second * 1000));
        }
        let rate = broker.messages.rate().unwrap();
        assert_eq!(rate.history().collect::<Vec<_>>(), [50.0, 0.0, 50.0]);
        assert_eq!(rate.total(), Some(250));
    }

    #[test]
    fn what_is_published_counts_and_neither_keep_alives_nor_what_is_sent() {
        let mut broker = BrokerFigures::default();
        assert_eq!((broker.messages.rate(), broker.bytes.rate()), (None, None));
        for second in 0..3u64 {
            let mut take = |name: &str, total: u64| broker.take(name, total.to_string().as_bytes(), at(second * 1000));
            take("messages/sent", second * 180);
            take("bytes/sent", second * 20_000);
            take("messages/received", second * 7);
            take("bytes/received", second * 300);
            take("publish/messages/received", second * 2);
        }
        let now = |received: &Received| received.rate().and_then(Rate::now);
        assert_eq!((now(&broker.messages), now(&broker.bytes)), (Some(2.0), Some(300.0)));
        for second in 3..5u64 {
            broker.take("publish/bytes/received", (second * 100).to_string().as_bytes(), at(second * 1000));
        }
        assert_eq!(now(&broker.bytes), Some(100.0));
    }

    #[test]
    fn values_that_come_together_make_no_peak() {
        let mut rate = Rate::default();
        for (millis, total) in [(0, 0), (1000, 10), (1001, 20), (2000, 30)] {
            rate.take(total, at(millis));
        }
        assert_eq!(rate.history().collect::<Vec<_>>(), [10.0, 20.0]);
    }

    #[test]
    fn a_restart_is_noticed_and_makes_no_negative_rate() {
        let mut broker = BrokerFigures::default();
        assert!(!broker.take("uptime", b"61 seconds", at(0)));
        broker.take("bytes/received", b"5000", at(0));
        assert!(broker.take("uptime", b"1 seconds", at(5000)));
        broker.take("bytes/received", b"10", at(5000));
        let rate = broker.bytes.rate().unwrap();
        assert_eq!((broker.uptime, rate.now(), rate.total()), (Some(1), None, Some(10)));
    }

    #[test]
    fn the_history_is_bounded_and_foreign_values_are_passed_over() {
        let mut rate = Rate::default();
        for second in 0..1000 {
            rate.take(second, at(second * 1000));
        }
        assert_eq!(rate.history().len(), Rate::HISTORY);
        let mut broker = BrokerFigures::default();
        for value in [&b"\xff"[..], b"", b"many", b"-1", b"99999999999999999999999"] {
            broker.take("clients/connected", value, at(0));
            assert_eq!(broker.clients, None);
        }
        broker.take("version", "é".repeat(1000).as_bytes(), at(0));
        assert_eq!(broker.version.as_deref().map(str::len), Some(64));
    }
}
