//! What was refused, to whom and why: counted, logged, and told to operators on
//! `$SYS/broker/audit`.
//!
//! Everything that refuses calls [`Audit::refused`], also from within the switchboard: it takes no
//! lock but its own. Each refusal is counted; a flood of them is logged and published only up to a
//! rate, and the next one that is says how many were left out. Whoever calls keeps passwords,
//! tokens and SDP out of `why`.

use crate::hub::Hub;
use crate::sys::Counter;
use parking_lot::Mutex;
use protocol::Timestamp;
use serde::Serialize;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tracing::info;

/// Where operators read it; not retained.
pub const TOPIC: &str = "$SYS/broker/audit";
/// Refusals that are logged and published in one stretch of [`STRETCH`].
const MAX_TOLD: u32 = 100;
const STRETCH: Duration = Duration::from_secs(1);

/// What was refused. The names are the values of the label `what`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// A connection, before it said who it is: too many, too slow, no TLS, no CONNECT.
    Connection,
    /// A CONNECT: identifier, credentials, rights, or no place left.
    Connect,
    /// A client identifier that belongs to somebody else.
    Takeover,
    /// A connection whose token or certificate has run out.
    Expired,
    /// A will.
    Will,
    /// A message.
    Publish,
    /// A subscription.
    Subscribe,
    /// A seat in a room.
    Join,
    /// A packet or message beyond its size.
    TooLarge,
    /// Bytes that are no MQTT, or MQTT at the wrong moment.
    Malformed,
    /// More messages or bytes than a connection may send.
    Rate,
    /// A client that does not read what it is sent.
    Slow,
    /// An HTTP request: origin, credentials.
    Http,
}

impl What {
    /// All there are.
    pub const ALL: [What; 13] = [
        What::Connection,
        What::Connect,
        What::Takeover,
        What::Expired,
        What::Will,
        What::Publish,
        What::Subscribe,
        What::Join,
        What::TooLarge,
        What::Malformed,
        What::Rate,
        What::Slow,
        What::Http,
    ];

    /// Its name, as in the published JSON and the label of the metric.
    pub fn name(self) -> &'static str {
        match self {
            What::Connection => "connection",
            What::Connect => "connect",
            What::Takeover => "takeover",
            What::Expired => "expired",
            What::Will => "will",
            What::Publish => "publish",
            What::Subscribe => "subscribe",
            What::Join => "join",
            What::TooLarge => "too-large",
            What::Malformed => "malformed",
            What::Rate => "rate",
            What::Slow => "slow",
            What::Http => "http",
        }
    }
}

/// One refusal, as far as it is known who it concerns.
#[derive(Debug, Clone, Copy)]
pub struct Refused<'a> {
    /// What.
    pub what: What,
    /// In words, without secrets.
    pub why: &'a str,
    /// Client identifier, also one that is only claimed.
    pub client: Option<&'a str>,
    /// User name, also one that is only claimed.
    pub user: Option<&'a str>,
    /// Where it came from.
    pub address: Option<SocketAddr>,
}

impl Refused<'static> {
    /// A connection that had to give its place at the door to a newcomer.
    pub fn gave_way(address: SocketAddr) -> Self {
        let why = "too many connections had not sent their CONNECT, and this one was the oldest";
        Self { what: What::Connection, why, client: None, user: None, address: Some(address) }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Audit {
    counts: [Counter; What::ALL.len()],
    told: Mutex<Told>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Told {
    pace: Pace,
    waiting: VecDeque<Event>,
}

/// How many may be told now: a fixed number in each stretch of time.
#[derive(Debug, Default)]
struct Pace {
    stretch: Option<Instant>,
    told: u32,
    left_out: u64,
}

impl Pace {
    /// Whether one more may be told; if so, how many before it were not.
    fn may_tell(&mut self, now: Instant) -> Option<u64> {
        if self.stretch.is_none_or(|begin| now.saturating_duration_since(begin) >= STRETCH) {
            self.stretch = Some(now);
            self.told = 0;
        }
        if self.told >= MAX_TOLD {
            self.left_out += 1;
            return None;
        }
        self.told += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

/// A refusal as operators read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    time: Timestamp,
    what: What,
    why: String,
    client: Option<String>,
    user: Option<String>,
    address: Option<String>,
    /// Refusals before this one that were only counted, because they were too many to tell.
    #[serde(skip_serializing_if = "is_zero")]
    left_out: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Audit {
    /// Counts a refusal and, unless there are too many of them, tells of it.
    pub fn refused(&self, refused: Refused<'_>) {
        let Refused { what, why, client, user, address } = refused;
        self.counts[what as usize].add(1);
        let now = crate::hub::now();
        let mut told = self.told.lock();
        let Some(left_out) = told.pace.may_tell(now.instant) else { return };
        // Names come from outside: written as quoted literals, so that none looks like a line of its own.
        info!(target: "audit", what = what.name(), ?why, ?client, ?user, ?address, left_out, "refused");
        if told.waiting.len() < MAX_TOLD as usize {
            told.waiting.push_back(Event {
                time: now.wall,
                what,
                why: why.to_owned(),
                client: client.map(str::to_owned),
                user: user.map(str::to_owned),
                address: address.map(|address| address.to_string()),
                left_out,
            });
            self.news.notify_one();
        }
    }

    /// How many of each kind there have been.
    pub fn counts(&self) -> impl Iterator<Item = (What, u64)> {
        What::ALL.into_iter().map(|what| (what, self.counts[what as usize].get()))
    }

    /// Takes the news; waits for some. Cancel-safe.
    async fn next(&self) -> VecDeque<Event> {
        loop {
            self.news.notified().await;
            let waiting = std::mem::take(&mut self.told.lock().waiting);
            if !waiting.is_empty() {
                return waiting;
            }
        }
    }
}

/// Publishes refusals to operators who listen; for ever.
pub async fn publish(hub: std::sync::Arc<Hub>) {
    loop {
        let events = hub.audit.next().await;
        hub.switchboard.lock().publish_audit(&events, crate::hub::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_place_and_name() {
        for (at, what) in What::ALL.into_iter().enumerate() {
            assert_eq!(what as usize, at);
            assert_eq!(serde_json::to_value(what).unwrap(), what.name());
        }
    }

    #[test]
    fn a_flood_is_counted_whole_and_told_in_part() {
        let begin = Instant::now();
        let mut pace = Pace::default();
        let told = (0..1000).filter(|_| pace.may_tell(begin).is_some()).count();
        assert_eq!(told, MAX_TOLD as usize);
        let later = begin + STRETCH;
        assert_eq!(pace.may_tell(later), Some(1000 - u64::from(MAX_TOLD)), "the next one says what was left out");
        assert_eq!(pace.may_tell(later), Some(0));
    }

    #[test]
    fn names_are_escaped_and_absent_ones_are_null() {
        let audit = Audit::default();
        let why = "a \"quoted\"\nline";
        audit.refused(Refused { what: What::Publish, why, client: Some("a\u{7}"), user: None, address: None });
        let event = audit.told.lock().waiting.pop_front().unwrap();
        let json: serde_json::Value = serde_json::from_slice(&serde_json::to_vec(&event).unwrap()).unwrap();
        assert_eq!((&json["what"], &json["why"], &json["client"]), (&"publish".into(), &why.into(), &"a\u{7}".into()));
        assert!(json["user"].is_null() && json["address"].is_null() && json.get("left_out").is_none(), "{json}");
        assert_eq!(audit.counts().find(|(what, _)| *what == What::Publish), Some((What::Publish, 1)));
    }
}
