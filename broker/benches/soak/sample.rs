//! What is seen of the broker at one moment, from outside: by Linux, by its own figures, and by those who call.

use crate::common::metrics::Metrics;
use crate::common::proc;
use crate::world::Seen;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::time::Instant;

const MIB: f64 = 1_048_576.0;

/// Everything that is measured, in the order of a sample's values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub enum Figure {
    Resident,
    Own,
    Descriptors,
    Threads,
    Tasks,
    Cpu,
    Clients,
    Sessions,
    Subscriptions,
    Retained,
    Handshakes,
    Rooms,
    Waiting,
    Missing,
    Accepted,
    Signals,
    Calls,
    SignalP50,
    SignalP99,
    SetUpP50,
    SetUpP99,
}

impl Figure {
    pub const ALL: [Self; 21] = [
        Self::Resident,
        Self::Own,
        Self::Descriptors,
        Self::Threads,
        Self::Tasks,
        Self::Cpu,
        Self::Clients,
        Self::Sessions,
        Self::Subscriptions,
        Self::Retained,
        Self::Handshakes,
        Self::Rooms,
        Self::Waiting,
        Self::Missing,
        Self::Accepted,
        Self::Signals,
        Self::Calls,
        Self::SignalP50,
        Self::SignalP99,
        Self::SetUpP50,
        Self::SetUpP99,
    ];

    /// With its unit.
    pub fn name(self) -> &'static str {
        match self {
            Self::Resident => "resident memory, MiB",
            Self::Own => "its own share of it (PSS), MiB",
            Self::Descriptors => "descriptors",
            Self::Threads => "threads",
            Self::Tasks => "tasks",
            Self::Cpu => "CPUs",
            Self::Clients => "clients",
            Self::Sessions => "sessions without a connection",
            Self::Subscriptions => "subscriptions",
            Self::Retained => "retained messages",
            Self::Handshakes => "connections before their CONNECT",
            Self::Rooms => "rooms",
            Self::Waiting => "messages waiting",
            Self::Missing => "messages not accounted for",
            Self::Accepted => "messages accepted a second",
            Self::Signals => "signals of calls a second",
            Self::Calls => "calls set up a second",
            Self::SignalP50 => "a signal, ms, half of them at most",
            Self::SignalP99 => "a signal, ms, 99 of 100 at most",
            Self::SetUpP50 => "a call set up, ms, half of them at most",
            Self::SetUpP99 => "a call set up, ms, 99 of 100 at most",
        }
    }
}

/// One value for each [`Figure`], and when, in seconds from the beginning.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sample {
    pub at: f64,
    pub values: Vec<f64>,
}

impl Sample {
    pub fn get(&self, figure: Figure) -> f64 {
        self.values.get(figure as usize).copied().unwrap_or(f64::NAN)
    }
}

/// Takes samples; those that are rates count from the last.
pub struct Sampler {
    pid: u32,
    admin: SocketAddr,
    begin: Instant,
    last: Instant,
    ran_ns: u64,
    accepted: f64,
}

impl Sampler {
    pub fn new(pid: u32, admin: SocketAddr) -> Result<Self> {
        let (_, ran_ns) = proc::running(pid)?;
        let accepted = Metrics::read(admin)?.get("messages_accepted_total")?;
        let now = Instant::now();
        Ok(Self { pid, admin, begin: now, last: now, ran_ns, accepted })
    }

    /// The broker as it is now. `seen` is what those who call have seen since the last time.
    pub fn take(&mut self, seen: &mut Seen) -> Result<Sample> {
        let metrics = Metrics::read(self.admin)?;
        let (resident, own) = proc::memory(self.pid)?;
        let (threads, ran_ns) = proc::running(self.pid)?;
        let now = Instant::now();
        let passed = (now - self.last).as_secs_f64();
        let signals = std::mem::take(&mut seen.signals);
        let negotiations = std::mem::take(&mut seen.negotiations);
        let accepted = metrics.get("messages_accepted_total")?;
        let (signals_each, calls_each) = (signals.len() as f64 / passed, negotiations.len() as f64 / passed);
        let [signal_p50, signal_p99] = percentiles(signals);
        let [set_up_p50, set_up_p99] = percentiles(negotiations);
        let value = |figure| -> Result<f64> {
            Ok(match figure {
                Figure::Resident => resident as f64 / MIB,
                Figure::Own => own as f64 / MIB,
                Figure::Descriptors => proc::descriptors(self.pid)? as f64,
                Figure::Threads => threads as f64,
                Figure::Tasks => metrics.get("tasks")?,
                Figure::Cpu => ran_ns.saturating_sub(self.ran_ns) as f64 / 1e9 / passed,
                Figure::Clients => metrics.get("clients_connected")?,
                Figure::Sessions => metrics.get("sessions_disconnected")?,
                Figure::Subscriptions => metrics.get("subscriptions")?,
                Figure::Retained => metrics.get("retained_messages")?,
                Figure::Handshakes => metrics.get("handshakes")?,
                Figure::Rooms => metrics.get("rooms")?,
                Figure::Waiting => metrics.get("messages_waiting")?,
                Figure::Missing => metrics.missing()?,
                Figure::Accepted => (accepted - self.accepted) / passed,
                Figure::Signals => signals_each,
                Figure::Calls => calls_each,
                Figure::SignalP50 => signal_p50,
                Figure::SignalP99 => signal_p99,
                Figure::SetUpP50 => set_up_p50,
                Figure::SetUpP99 => set_up_p99,
            })
        };
        let values = Figure::ALL.into_iter().map(value).collect::<Result<_>>()?;
        (self.last, self.ran_ns, self.accepted) = (now, ran_ns, accepted);
        Ok(Sample { at: (now - self.begin).as_secs_f64(), values })
    }
}

/// In milliseconds; zero if there is nothing.
fn percentiles(mut ns: Vec<u64>) -> [f64; 2] {
    ns.sort_unstable();
    [0.5, 0.99].map(|part| ns.get((ns.len() as f64 * part) as usize).map_or(0.0, |ns| *ns as f64 / 1e6))
}
