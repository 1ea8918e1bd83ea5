//! What Linux tells of processes: their CPU time, by thread, and their memory; and which CPU they may use.

use anyhow::{Context, Result};
use rustix::thread::{CpuSet, sched_setaffinity};
use std::collections::BTreeMap;
use std::fs;
use std::ops::AddAssign;
use std::time::Instant;

/// Counters of one moment; two of them make a [`Cost`].
pub struct Moment {
    /// The server's processes.
    servers: Vec<u32>,
    at: Instant,
    /// By thread id: its name, and how long it has run, in nanoseconds.
    server: BTreeMap<u32, (String, u64)>,
    generator: BTreeMap<u32, (String, u64)>,
    machine_ns: u64,
    switches: u64,
    ticks: Ticks,
}

/// What was spent between two moments.
pub struct Cost {
    pub seconds: f64,
    pub server_us: f64,
    pub generator_us: f64,
    /// Everything else on the machine: noise, and the kernel's network work outside of both processes.
    pub others_us: f64,
    /// The server's, by the name of the thread.
    pub threads_us: BTreeMap<String, f64>,
    /// What of the server's time it was in the kernel, sending and receiving above all; between 0 and 1.
    pub kernel_share: f64,
    /// How often a thread of the server went to sleep.
    pub sleeps: f64,
}

/// Time on a CPU in ticks of 10 ms: too coarse for how long, good enough for where.
#[derive(Default)]
struct Ticks {
    user: u64,
    kernel: u64,
}

impl AddAssign for Ticks {
    fn add_assign(&mut self, other: Self) {
        self.user += other.user;
        self.kernel += other.kernel;
    }
}

impl Moment {
    pub fn now(servers: &[u32]) -> Result<Self> {
        let mut moment = Self {
            servers: servers.to_vec(),
            at: Instant::now(),
            server: BTreeMap::new(),
            generator: threads(std::process::id())?,
            machine_ns: machine()?,
            switches: 0,
            ticks: Ticks::default(),
        };
        for &server in servers {
            moment.server.extend(threads(server)?);
            moment.switches += sleeps(server)?;
            moment.ticks += Ticks::of(server)?;
        }
        Ok(moment)
    }

    pub fn until_now(&self) -> Result<Cost> {
        let now = Self::now(&self.servers)?;
        let mut threads_us = BTreeMap::new();
        for (id, (name, ns)) in &now.server {
            let before = self.server.get(id).map_or(0, |(_, ns)| *ns);
            *threads_us.entry(name.clone()).or_default() += (ns - before) as f64 / 1e3;
        }
        let ran = |before: &BTreeMap<u32, (String, u64)>, after: &BTreeMap<u32, (String, u64)>| -> f64 {
            after.iter().map(|(id, (_, ns))| (ns - before.get(id).map_or(0, |(_, ns)| *ns)) as f64 / 1e3).sum()
        };
        let (server_us, generator_us) = (ran(&self.server, &now.server), ran(&self.generator, &now.generator));
        let (user, kernel) = (now.ticks.user - self.ticks.user, now.ticks.kernel - self.ticks.kernel);
        let machine_us = now.machine_ns.saturating_sub(self.machine_ns) as f64 / 1e3;
        Ok(Cost {
            seconds: (now.at - self.at).as_secs_f64(),
            server_us,
            generator_us,
            others_us: (machine_us - server_us - generator_us).max(0.0),
            threads_us,
            kernel_share: kernel as f64 / ((user + kernel) as f64).max(1.0),
            sleeps: now.switches.saturating_sub(self.switches) as f64,
        })
    }
}

impl Ticks {
    /// Of all threads, those that have ended too (proc(5), stat: utime and stime).
    fn of(pid: u32) -> Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("the server has ended")?;
        // The second field is a name in parentheses, which may hold spaces.
        let mut fields = stat.rsplit_once(')').context("stat has no name")?.1.split_whitespace().skip(11);
        let mut next = || anyhow::Ok(fields.next().context("stat is too short")?.parse()?);
        Ok(Self { user: next()?, kernel: next()? })
    }
}

/// Time on a CPU of each thread, from `schedstat`: nanoseconds, where `stat` counts ticks of 10 ms.
fn threads(pid: u32) -> Result<BTreeMap<u32, (String, u64)>> {
    let folder = format!("/proc/{pid}/task");
    let mut threads = BTreeMap::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("{folder} cannot be read"))? {
        let entry = entry?;
        // A thread that has ended meanwhile is no error.
        let (Ok(name), Ok(schedstat)) =
            (fs::read_to_string(entry.path().join("comm")), fs::read_to_string(entry.path().join("schedstat")))
        else {
            continue;
        };
        let ran = schedstat.split_whitespace().next().context("schedstat is empty")?.parse()?;
        let id = entry.file_name().to_str().context("a thread without a number")?.parse()?;
        threads.insert(id, (name.trim().to_owned(), ran));
    }
    Ok(threads)
}

/// Voluntary context switches of all threads.
fn sleeps(pid: u32) -> Result<u64> {
    let mut total = 0;
    for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
        let Ok(status) = fs::read_to_string(entry?.path().join("status")) else { continue };
        total += field(&status, "voluntary_ctxt_switches:")?;
    }
    Ok(total)
}

/// Busy time of all CPUs in nanoseconds (proc(5): user nice system idle iowait irq softirq steal, in ticks of 10 ms).
fn machine() -> Result<u64> {
    let stat = fs::read_to_string("/proc/stat")?;
    let line = stat.lines().next().context("/proc/stat is empty")?;
    let ticks = line.split_whitespace().skip(1).take(8).map(str::parse::<u64>).collect::<Result<Vec<_>, _>>()?;
    Ok(ticks.iter().enumerate().filter(|(at, _)| ![3, 4].contains(at)).map(|(_, ticks)| ticks * 10_000_000).sum())
}

/// Resident memory in bytes.
pub fn resident(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("the server has ended")?;
    Ok(field(&status, "VmRSS:")? * 1024)
}

/// Memory in bytes (proc(5), smaps_rollup): what is resident, and the share of it that is this process's own.
pub fn memory(pid: u32) -> Result<(u64, u64)> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).context("the server has ended")?;
    Ok((field(&rollup, "Rss:")? * 1024, field(&rollup, "Pss:")? * 1024))
}

/// Descriptors that are open.
pub fn descriptors(pid: u32) -> Result<usize> {
    Ok(fs::read_dir(format!("/proc/{pid}/fd")).context("the server has ended")?.count())
}

/// How many threads there are, and how long all of them have run, in nanoseconds.
pub fn running(pid: u32) -> Result<(usize, u64)> {
    let threads = threads(pid)?;
    Ok((threads.len(), threads.values().map(|(_, ns)| ns).sum()))
}

fn field(status: &str, name: &str) -> Result<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
    Ok(line.split_whitespace().next().context("no number")?.parse()?)
}

/// Lets this thread, and what it starts from now on, run on these CPUs only. A machine that has fewer, or forbids
/// it, measures without; the columns of shares show what came of it.
pub fn run_on(cpus: &[usize]) {
    let mut set = CpuSet::new();
    cpus.iter().for_each(|cpu| set.set(*cpu));
    if let Err(error) = sched_setaffinity(None, &set) {
        eprintln!("cannot run on CPU {cpus:?} alone: {error}");
    }
}
