//! Figures of the broker: counted where things happen, published under `$SYS/broker/` with the
//! names that Mosquitto made usual. [`crate::metrics`] has them for Prometheus.

use crate::switchboard::Census;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds.
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// Its value now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Adds.
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// Takes away what was added.
    pub fn sub(&self, amount: u64) {
        self.0.fetch_sub(amount, Ordering::Relaxed);
    }

    /// Its value now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Everything that is counted as it happens.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections accepted by a listener.
    pub sockets: Counter,
    /// Connections that could not be accepted.
    pub failed_accepts: Counter,
    /// CONNECTs accepted.
    pub connections: Counter,
    /// Bytes read from sockets.
    pub bytes_received: Counter,
    /// Bytes written to sockets.
    pub bytes_sent: Counter,
    /// MQTT packets read.
    pub packets_received: Counter,
    /// MQTT packets written.
    pub packets_sent: Counter,
    /// PUBLISH packets read.
    pub publishes_received: Counter,
    /// PUBLISH packets written.
    pub publishes_sent: Counter,
    /// Messages that were taken on, each once for each receiver; see [`Counters::delivered`].
    pub accepted: Counter,
    /// Messages that reached whom they were for: written to a receiver's connection, heard by the agent,
    /// kept as retained, or, for an open topic, handed on to those who want it, each of which is a message
    /// of its own. Whatever was accepted is delivered, [refused](Self::refused), [dropped](Self::dropped)
    /// or waits ([`Census::waiting`], [`Self::under_way`]); nothing is lost without being counted.
    pub delivered: Counter,
    /// Messages that access refused, when they came or, since a room may change meanwhile, on their way.
    pub refused: Counter,
    /// Messages in the backbone.
    pub under_way: Gauge,
    /// Times that a connection was held back.
    pub held_back: Counter,
    /// Connections that are held back.
    pub held_back_now: Gauge,
    /// Messages dropped by a rule: a bound was reached, they expired, are larger than the receiver takes, or
    /// nobody waits for them any more.
    pub dropped: Counter,
}

/// Means over 1, 5 and 15 minutes of amounts a minute, exponentially weighted.
#[derive(Debug, Default, Clone, Copy)]
struct Load {
    last: u64,
    means: [f64; 3],
}

const WINDOWS: [(&str, f64); 3] = [("1min", 60.0), ("5min", 300.0), ("15min", 900.0)];

impl Load {
    fn update(&mut self, total: u64, passed: Duration) {
        let seconds = passed.as_secs_f64().max(0.001);
        #[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 53 bits")]
        let per_minute = total.saturating_sub(self.last) as f64 * 60.0 / seconds;
        self.last = total;
        for (mean, (_, window)) in self.means.iter_mut().zip(WINDOWS) {
            let weight = (-seconds / window).exp();
            *mean = per_minute + (*mean - per_minute) * weight;
        }
    }
}

/// The figures as they are published; keeps what means and maxima need.
#[derive(Debug, Default)]
pub struct Figures {
    loads: [Load; 8],
    maximum: usize,
}

impl Figures {
    /// Every topic below `$SYS/broker/` with its value, `passed` after the time before.
    pub fn update(
        &mut self,
        counters: &Counters,
        census: Census,
        uptime: Duration,
        passed: Duration,
    ) -> Vec<(String, String)> {
        self.maximum = self.maximum.max(census.connected);
        let mut figures: Vec<(String, String)> = [
            ("version", format!("duet version {}", env!("CARGO_PKG_VERSION"))),
            ("uptime", format!("{} seconds", uptime.as_secs())),
            ("clients/connected", census.connected.to_string()),
            ("clients/active", census.connected.to_string()),
            ("clients/disconnected", census.disconnected.to_string()),
            ("clients/inactive", census.disconnected.to_string()),
            ("clients/total", (census.connected + census.disconnected).to_string()),
            ("clients/maximum", self.maximum.to_string()),
            ("subscriptions/count", census.subscriptions.to_string()),
            ("retained messages/count", census.retained.to_string()),
            ("store/messages/count", census.retained.to_string()),
            ("store/messages/bytes", census.retained_bytes.to_string()),
            ("rooms/count", census.rooms.to_string()),
            ("messages/received", counters.packets_received.get().to_string()),
            ("messages/sent", counters.packets_sent.get().to_string()),
            ("publish/messages/received", counters.publishes_received.get().to_string()),
            ("publish/messages/sent", counters.publishes_sent.get().to_string()),
            ("publish/messages/accepted", counters.accepted.get().to_string()),
            ("publish/messages/delivered", counters.delivered.get().to_string()),
            ("publish/messages/waiting", (census.waiting + counters.under_way.get()).to_string()),
            ("publish/messages/dropped", counters.dropped.get().to_string()),
            ("publish/messages/refused", counters.refused.get().to_string()),
            ("bytes/received", counters.bytes_received.get().to_string()),
            ("bytes/sent", counters.bytes_sent.get().to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        let totals = [
            ("messages/received", &counters.packets_received),
            ("messages/sent", &counters.packets_sent),
            ("publish/received", &counters.publishes_received),
            ("publish/sent", &counters.publishes_sent),
            ("bytes/received", &counters.bytes_received),
            ("bytes/sent", &counters.bytes_sent),
            ("sockets", &counters.sockets),
            ("connections", &counters.connections),
        ];
        for (load, (name, counter)) in self.loads.iter_mut().zip(totals) {
            load.update(counter.get(), passed);
            for (mean, (window, _)) in load.means.iter().zip(WINDOWS) {
                figures.push((format!("load/{name}/{window}"), format!("{mean:.2}")));
            }
        }
        for (name, _) in &mut figures {
            name.insert_str(0, "$SYS/broker/");
        }
        figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_rate_becomes_its_mean() {
        let mut load = Load::default();
        for second in 1..=1200 {
            load.update(second * 10, Duration::from_secs(1));
        }
        assert!((load.means[0] - 600.0).abs() < 0.01, "{:?}", load.means);
        assert!(load.means[2] < load.means[1] && load.means[1] < load.means[0]);
    }

    #[test]
    fn the_usual_names_are_there() {
        let counters = Counters::default();
        counters.bytes_received.add(7);
        let census = Census { connected: 3, ..Census::default() };
        let figures = Figures::default().update(&counters, census, Duration::from_secs(61), Duration::from_secs(1));
        let value = |name: &str| figures.iter().find(|(topic, _)| topic == name).map(|(_, value)| &**value);
        assert_eq!(value("$SYS/broker/clients/connected"), Some("3"));
        assert_eq!(value("$SYS/broker/bytes/received"), Some("7"));
        assert_eq!(value("$SYS/broker/uptime"), Some("61 seconds"));
        assert_eq!(value("$SYS/broker/load/bytes/received/1min"), Some("6.94"));
    }
}
