//! How an agent is doing, for whoever looks after it: what it counts of itself, and the form in which it tells so.

use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How an agent is doing, as `GET /status` tells it in JSON. Counts begin with its start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its client identifier, `--id`.
    pub agent: String,
    /// Its version.
    pub version: String,
    /// Seconds since it started.
    pub uptime: u64,
    /// Whether it listens at its broker.
    pub connected: bool,
    /// Messages that it heard.
    pub heard: u64,
    /// Questions of engines that it answered with yes, and with no.
    pub allowed: u64,
    /// See `allowed`.
    pub denied: u64,
    /// Where it keeps the rooms.
    pub store: StoreStatus,
}

/// How a store is doing, as one agent sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreStatus {
    /// `memory` or `redis`.
    pub kind: String,
    /// Whether it answered when it was asked last; an agent asks at least once a second, while it is connected.
    pub answers: bool,
    /// Requests that it was asked.
    pub requests: u64,
    /// Those of them that it did not answer.
    pub failures: u64,
    /// Microseconds that all of them took together.
    pub micros: u64,
}

/// What an agent counts of itself. Shared by whoever counts and whoever tells.
#[derive(Debug)]
pub struct Pulse {
    agent: String,
    store: &'static str,
    started: Instant,
    connected: AtomicBool,
    heard: AtomicU64,
    is_store_away: AtomicBool,
    requests: AtomicU64,
    failures: AtomicU64,
    micros: AtomicU64,
}

impl Pulse {
    /// That of the agent with this client identifier, which begins now; `is_shared` if its rooms are not in its memory.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "when the agent started")]
    pub fn new(agent: &str, is_shared: bool) -> Arc<Self> {
        Arc::new(Self {
            agent: agent.into(),
            store: if is_shared { "redis" } else { "memory" },
            started: Instant::now(),
            connected: AtomicBool::new(false),
            heard: AtomicU64::new(0),
            is_store_away: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            micros: AtomicU64::new(0),
        })
    }

    /// Whether the agent listens at its broker.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connected.load(Relaxed)
    }

    /// It does now, or no longer.
    pub fn connected(&self, is: bool) {
        self.connected.store(is, Relaxed);
    }

    /// A message was heard.
    pub fn heard(&self) {
        self.heard.fetch_add(1, Relaxed);
    }

    /// The store was asked something, and answered or did not.
    pub fn asked(&self, took: Duration, answered: bool) {
        self.requests.fetch_add(1, Relaxed);
        self.failures.fetch_add(u64::from(!answered), Relaxed);
        self.micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
        self.is_store_away.store(!answered, Relaxed);
    }

    /// How the agent is doing now.
    #[must_use]
    pub fn status(&self, allowed: u64, denied: u64) -> Status {
        Status {
            agent: self.agent.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            uptime: self.started.elapsed().as_secs(),
            connected: self.is_connected(),
            heard: self.heard.load(Relaxed),
            allowed,
            denied,
            store: StoreStatus {
                kind: self.store.into(),
                answers: !self.is_store_away.load(Relaxed),
                requests: self.requests.load(Relaxed),
                failures: self.failures.load(Relaxed),
                micros: self.micros.load(Relaxed),
            },
        }
    }
}
