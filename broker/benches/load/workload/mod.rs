//! The workloads. Each is given a fresh server, and gives the figures of its phases.

pub mod churn;
pub mod cost;
pub mod idle;
pub mod negotiate;
pub mod overload;
pub mod relay;

use crate::common::peer::Site;
use crate::common::proc::{self, Cost, Moment};
use anyhow::{Result, ensure};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// How long to wait for anything that should come soon.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A server under load.
pub struct Load {
    pub site: Arc<Site>,
    /// Its processes.
    pub servers: Vec<u32>,
    /// How long a phase is measured.
    pub measured: Duration,
    /// Small numbers will do.
    pub is_quick: bool,
}

impl Load {
    pub fn moment(&self) -> Result<Moment> {
        Moment::now(&self.servers)
    }

    /// The server's resident memory in bytes.
    pub fn resident(&self) -> Result<u64> {
        self.servers.iter().map(|&server| proc::resident(server)).sum()
    }
}

/// The figure that tells whether rates and times can be believed.
pub const OTHER_CPUS: &str = "other CPUs";

/// What a phase of a workload has shown.
pub struct Phase {
    pub name: String,
    /// Each with its unit in its name.
    pub figures: Vec<(String, f64)>,
}

impl Phase {
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), figures: vec![] }
    }

    pub fn figure(&mut self, name: &str, value: f64) {
        self.figures.push((name.to_owned(), value));
    }

    /// How many CPUs did something else meanwhile.
    pub fn other_cpus(&self) -> f64 {
        self.figures.iter().find(|(name, _)| name == OTHER_CPUS).map_or(0.0, |(_, cpus)| *cpus)
    }

    /// What `count` times `unit` have cost.
    pub fn cost(&mut self, cost: &Cost, count: usize, unit: &str) {
        let each = count.max(1) as f64;
        self.figure(&format!("CPU µs/{unit}"), cost.server_us / each);
        self.figure("of it kernel", cost.kernel_share * cost.server_us / each);
        let ran: Vec<_> = cost.threads_us.iter().filter(|(_, us)| **us > 0.0).collect();
        if ran.len() > 1 {
            for (thread, us) in ran {
                self.figure(&format!("of it {thread}"), us / each);
            }
        }
        self.figure(&format!("sleeps/{unit}"), cost.sleeps / each);
        self.figure(&format!("{unit}s/s"), count as f64 / cost.seconds);
        let share = |us: f64| us / 1e6 / cost.seconds;
        self.figure("server CPUs", share(cost.server_us));
        self.figure("generator CPUs", share(cost.generator_us));
        self.figure(OTHER_CPUS, share(cost.others_us));
    }

    pub fn latency(&mut self, samples: &Samples) {
        self.times("", samples);
    }

    /// How long `what` took: half of them, and all but one in a hundred, at most so long.
    pub fn times(&mut self, what: &str, samples: &Samples) {
        let mut ns = std::mem::take(&mut *samples.0.lock());
        ns.sort_unstable();
        for (name, part) in [("p50 ms", 0.5), ("p99 ms", 0.99)] {
            if let Some(ns) = ns.get((ns.len() as f64 * part) as usize) {
                self.figure(format!("{what} {name}").trim(), *ns as f64 / 1e6);
            }
        }
    }
}

/// Durations in nanoseconds, one by one.
#[derive(Default)]
pub struct Samples(Mutex<Vec<u64>>);

impl Samples {
    pub fn add(&self, ns: u64) {
        self.0.lock().push(ns);
    }

    pub fn len(&self) -> usize {
        self.0.lock().len()
    }
}

/// What went wrong: how often, and how for the first time.
#[derive(Default)]
pub struct Failures(Mutex<(usize, Option<String>)>);

impl Failures {
    pub fn add(&self, error: &anyhow::Error) {
        let (count, first) = &mut *self.0.lock();
        *count += 1;
        first.get_or_insert_with(|| format!("{error:#}"));
    }

    pub fn count(&self) -> usize {
        self.0.lock().0
    }

    /// Nothing may have gone wrong.
    pub fn none(&self) -> Result<()> {
        let (count, first) = &*self.0.lock();
        ensure!(*count == 0, "{count} failed, the first: {}", first.as_deref().unwrap_or_default());
        Ok(())
    }
}

/// Does `work` with each number below `count`, so many at once.
pub async fn each<T, F>(count: usize, at_once: usize, work: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let next = AtomicUsize::new(0);
    let mut done = Vec::with_capacity(count);
    let mut tasks = tokio::task::JoinSet::new();
    loop {
        while tasks.len() < at_once {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                break;
            }
            tasks.spawn(work(number));
        }
        match tasks.join_next().await {
            Some(result) => done.push(result.expect("no task panics")),
            None => return done,
        }
    }
}

/// Whether samples count, and whether to go on.
#[derive(Default)]
pub struct Signals {
    pub measuring: AtomicBool,
    pub stop: AtomicBool,
}
