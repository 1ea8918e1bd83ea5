//! How much memory the process may have, and how near to that it is. Whoever asks for memory that is not there is killed,
//! by the kernel or by itself, and with it everybody's calls; so nobody comes in any more while there is still some.
//!
//! What it may have, a setting says, and what surrounds the process: a cgroup (as containers and systemd make them), `ulimit
//! -v`, and the machine itself. Memory that the allocator keeps for reuse is free, though the kernel counts it as used:
//! what is in use, the allocator's own count says.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};
use tikv_jemalloc_ctl::{epoch, stats};
use tikv_jemallocator::Jemalloc;
use tokio::sync::Notify;

/// It knows what it has given out without counting at each allocation, reserves few addresses, and gives back what lies idle.
#[global_allocator]
static HEAP: Jemalloc = Jemalloc;

/// Least that is kept free, unless that is more than half: what may come in between two looks.
const LEAST_RESERVE: u64 = 16 << 20;

/// What a newcomer takes at most: what it says, its buffers and its session.
const MOST_OF_ONE: u64 = 256 << 10;

/// So many may come in between two looks however near the limit is: the reserve holds them, and a look takes longer than
/// letting somebody in.
const LEAST_BETWEEN_LOOKS: u64 = 16;

/// How it stands with memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// There is enough.
    Ample,
    /// A fifth is left: nobody comes in but operators, and sessions without a connection make room.
    Tight,
    /// A tenth is left: who does not read what waits for it makes room.
    Critical,
}

/// What was found at a look: bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    /// As whoever enforces the limit counts.
    measured: u64,
    /// Of these, what the allocator keeps for reuse.
    kept: u64,
    limit: u64,
}

impl Look {
    /// Of what is kept for reuse a quarter is taken to lie in pieces too small for what is asked for.
    fn used(self) -> u64 {
        self.measured.saturating_sub(self.kept / 4 * 3)
    }

    /// What is kept free.
    fn reserve(self) -> u64 {
        (self.limit / 5).max(LEAST_RESERVE).min(self.limit / 2)
    }

    /// The level, after it was `before`; on its way back it has to go a little further.
    fn level(self, before: Level) -> Level {
        let reserve = self.reserve();
        let at_most = |level, left: u64| {
            let left = if before >= level { left + reserve / 4 } else { left };
            self.used() < self.limit.saturating_sub(left)
        };
        match (at_most(Level::Tight, reserve), at_most(Level::Critical, reserve / 2)) {
            (true, _) => Level::Ample,
            (false, true) => Level::Tight,
            (false, false) => Level::Critical,
        }
    }

    fn share(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "to compare, roughly")]
        let [used, limit] = [self.used(), self.limit].map(|bytes| bytes as f64);
        used / limit.max(1.0)
    }
}

/// Whose limit it is, and what counts against it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Count {
    /// What the process has in memory: the setting's, the machine's.
    Resident,
    /// What it has of addresses: `ulimit -v`.
    Addresses,
    /// What its cgroup uses, without the cache of files that is given up first.
    Cgroup { folder: PathBuf, version: Version },
}

/// Of control groups; their files differ (cgroups(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl Version {
    fn limit(self) -> &'static str {
        if self == Self::One { "memory.limit_in_bytes" } else { "memory.max" }
    }

    fn usage(self) -> &'static str {
        if self == Self::One { "memory.usage_in_bytes" } else { "memory.current" }
    }

    /// The field of `memory.stat` with the cache of files that is given up first.
    fn cache(self) -> &'static str {
        if self == Self::One { "total_inactive_file " } else { "inactive_file " }
    }
}

/// Where the kernel tells of the process and of what is around it: `/proc` and `/sys/fs/cgroup`.
#[derive(Debug, Clone)]
struct Kernel {
    proc: PathBuf,
    cgroup: PathBuf,
}

impl Kernel {
    /// A field of a file such as `/proc/self/status`, in bytes (proc(5)).
    fn field(&self, file: &str, name: &str) -> Option<u64> {
        let text = std::fs::read_to_string(self.proc.join(file)).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib << 10)
    }

    fn resident(&self) -> Option<u64> {
        self.field("self/status", "VmRSS")
    }

    fn measure(&self, count: &Count) -> Option<u64> {
        match count {
            Count::Resident => self.resident(),
            Count::Addresses => self.field("self/status", "VmSize"),
            Count::Cgroup { folder, version } => {
                let cache = std::fs::read_to_string(folder.join("memory.stat")).ok()?;
                let cache = cache.lines().find_map(|line| line.strip_prefix(version.cache())?.trim().parse().ok());
                Some(number(&folder.join(version.usage()))?.saturating_sub(cache.unwrap_or(0)))
            }
        }
    }

    /// The limits of the process' cgroup and of those that it is in (cgroups(7)). In a container its own may be all that
    /// is shown, at the top.
    fn cgroups(&self) -> Vec<(Count, u64)> {
        let text = std::fs::read_to_string(self.proc.join("self/cgroup")).unwrap_or_default();
        let places = text.lines().filter_map(|line| {
            let (_, line) = line.split_once(':')?;
            let (controllers, path) = line.split_once(':')?;
            let (version, top) = match controllers {
                "" => (Version::Two, self.cgroup.clone()),
                all if all.split(',').any(|one| one == "memory") => (Version::One, self.cgroup.join("memory")),
                _ => return None,
            };
            Some((version, top, path.trim_start_matches('/').to_owned()))
        });
        let mut limits = Vec::new();
        for (version, top, path) in places {
            for folder in Path::new(&path).ancestors().map(|ancestor| top.join(ancestor)) {
                // Where there is none, it is "max", or more than anything has.
                if let Some(limit) = number(&folder.join(version.limit())).filter(|limit| *limit < 1 << 62) {
                    limits.push((Count::Cgroup { folder, version }, limit));
                }
            }
        }
        limits
    }
}

fn number(file: &Path) -> Option<u64> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// See the module.
#[derive(Debug)]
pub struct Memory {
    kernel: Kernel,
    limits: Vec<(Count, u64)>,
    /// What the process has besides what the allocator gives out.
    base: u64,
    level: AtomicU8,
    used: AtomicU64,
    limit: AtomicU64,
    /// How many more may come in before somebody has to look: a crowd comes in faster than the next look by itself.
    enough_for: AtomicI64,
    /// A newcomer has found it short.
    noticed: Notify,
}

impl Memory {
    /// With what surrounds the process, and at most `configured` bytes.
    pub fn new(configured: Option<u64>) -> Self {
        let kernel = Kernel { proc: "/proc".into(), cgroup: "/sys/fs/cgroup".into() };
        let addresses = rlimit::getrlimit(rlimit::Resource::AS).map_or(u64::MAX, |(soft, _)| soft);
        Self::within(kernel, configured, addresses, live())
    }

    fn within(kernel: Kernel, configured: Option<u64>, addresses: u64, live: u64) -> Self {
        let machine = kernel.field("meminfo", "MemTotal");
        let mut limits = kernel.cgroups();
        limits.extend(configured.into_iter().chain(machine).min().map(|limit| (Count::Resident, limit)));
        limits.extend((addresses < 1 << 62).then_some((Count::Addresses, addresses)));
        let base = kernel.resident().unwrap_or_default().saturating_sub(live);
        let (level, used, limit) = (AtomicU8::new(0), AtomicU64::new(0), AtomicU64::new(u64::MAX));
        let memory = Self {
            kernel,
            limits,
            base,
            level,
            used,
            limit,
            enough_for: AtomicI64::new(i64::MAX),
            noticed: Notify::new(),
        };
        memory.look_at(live);
        memory
    }

    /// Looks how it stands now.
    pub fn look(&self) -> Level {
        self.look_at(live())
    }

    fn look_at(&self, live: u64) -> Level {
        let before = self.level();
        let kept = self.kernel.resident().unwrap_or_default().saturating_sub(live + self.base);
        let looks = self.limits.iter().filter_map(|(count, limit)| {
            let measured = self.kernel.measure(count)?;
            Some(Look { measured, kept, limit: *limit })
        });
        let worst = looks.max_by(|a, b| a.level(before).cmp(&b.level(before)).then(a.share().total_cmp(&b.share())));
        let Some(worst) = worst else { return before };
        let level = worst.level(before);
        self.used.store(worst.used(), Ordering::Relaxed);
        self.limit.store(worst.limit, Ordering::Relaxed);
        self.level.store(level as u8, Ordering::Relaxed);
        let until_tight = worst.limit.saturating_sub(worst.reserve()).saturating_sub(worst.used());
        let enough_for = (until_tight / MOST_OF_ONE).max(LEAST_BETWEEN_LOOKS);
        self.enough_for.store(i64::try_from(enough_for).unwrap_or(i64::MAX), Ordering::Relaxed);
        level
    }

    /// How it stands now that somebody wants to come in.
    pub fn for_newcomer(&self) -> Level {
        match self.level() {
            Level::Ample if self.enough_for.fetch_sub(1, Ordering::Relaxed) <= 0 => {
                let level = self.look();
                if level != Level::Ample {
                    self.noticed.notify_one();
                }
                level
            }
            level => level,
        }
    }

    /// Waits until a newcomer finds it short.
    pub async fn noticed(&self) {
        self.noticed.notified().await;
    }

    /// How it stood at the last look.
    pub fn level(&self) -> Level {
        match self.level.load(Ordering::Relaxed) {
            0 => Level::Ample,
            1 => Level::Tight,
            _ => Level::Critical,
        }
    }

    /// Bytes used at the last look, of the limit that was nearest.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// The limit that was nearest at the last look, in bytes.
    pub fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }
}

/// Bytes that the allocator has given out.
fn live() -> u64 {
    epoch::advance().and_then(|_| stats::allocated::read()).unwrap_or_default() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn level(measured: u64, kept: u64, limit: u64, before: Level) -> Level {
        Look { measured: measured * MIB, kept: kept * MIB, limit: limit * MIB }.level(before)
    }

    #[test]
    fn a_fifth_is_for_operators_and_what_is_kept_for_reuse_is_free() {
        use Level::{Ample, Critical, Tight};
        for (measured, kept, limit, before, expected) in [
            (799, 0, 1000, Ample, Ample),
            (801, 0, 1000, Ample, Tight),
            (899, 0, 1000, Ample, Tight),
            (901, 0, 1000, Ample, Critical),
            // On the way back.
            (860, 0, 1000, Critical, Critical),
            (840, 0, 1000, Critical, Tight),
            (760, 0, 1000, Tight, Tight),
            (740, 0, 1000, Tight, Ample),
            // After a crowd has gone.
            (940, 400, 1000, Tight, Ample),
            (1000, 400, 1000, Ample, Ample),
            (1000, 200, 1000, Ample, Tight),
            // Of little, more is kept free.
            (47, 0, 64, Ample, Ample),
            (49, 0, 64, Ample, Tight),
            (9, 0, 20, Ample, Ample),
            (11, 0, 20, Ample, Tight),
        ] {
            let found = level(measured, kept, limit, before);
            assert_eq!(found, expected, "{measured} with {kept} kept of {limit} MiB, after {before:?}");
        }
    }

    /// A kernel that tells what is in these files.
    fn kernel(files: &[(&str, &str)]) -> (tempfile::TempDir, Kernel) {
        let folder = tempfile::tempdir().unwrap();
        let status = ("proc/self/status", "Name:\tbroker\nVmSize:\t  204800 kB\nVmRSS:\t   51200 kB\n");
        for (name, text) in [status].iter().chain(files) {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let (proc, cgroup) = (folder.path().join("proc"), folder.path().join("sys"));
        (folder, Kernel { proc, cgroup })
    }

    #[test]
    fn the_nearest_of_all_limits_counts() {
        let machine = ("proc/meminfo", "MemTotal:       1048576 kB\nMemFree: 5 kB\n");
        let two = [
            ("proc/self/cgroup", "0::/system.slice/duet.service\n"),
            ("sys/system.slice/duet.service/memory.max", "max\n"),
            ("sys/system.slice/memory.max", "209715200\n"),
            ("sys/system.slice/memory.current", "157286400\n"),
            ("sys/system.slice/memory.stat", "anon 3\ninactive_file 52428800\n"),
        ];
        let one = [
            ("proc/self/cgroup", "5:cpu:/\n4:memory,pids:/docker/abc\n0::/\n"),
            ("sys/memory/memory.limit_in_bytes", "209715200\n"),
            ("sys/memory/memory.usage_in_bytes", "157286400\n"),
            ("sys/memory/memory.stat", "inactive_file 7\ntotal_inactive_file 52428800\n"),
        ];
        let none = [("proc/self/cgroup", "0::/\n"), ("sys/memory.max", "max\n")];
        for (files, configured, addresses, used, limit) in [
            (&two[..], None, u64::MAX, 100, 200),
            (&one, None, u64::MAX, 100, 200),
            (&none, None, u64::MAX, 50, 1024),
            (&none, Some(80), u64::MAX, 50, 80),
            (&two, Some(4096), u64::MAX, 100, 200),
            (&two, None, 210 * MIB, 200, 210),
            (&[], None, u64::MAX, 50, 1024),
        ] {
            let (_folder, kernel) = kernel(&[files, &[machine]].concat());
            let memory = Memory::within(kernel, configured.map(|mib: u64| mib * MIB), addresses, 30 * MIB);
            assert_eq!((memory.used() / MIB, memory.limit() / MIB), (used, limit), "{files:?} {configured:?}");
        }
    }

    #[test]
    fn what_the_allocator_keeps_counts_for_nothing() {
        let (folder, kernel) = kernel(&[("proc/meminfo", "MemTotal: 65536 kB\n")]);
        let status = |resident: u64| {
            let text = format!("VmSize: 99999 kB\nVmRSS: {} kB\n", resident << 10);
            std::fs::write(folder.path().join("proc/self/status"), text).unwrap();
        };
        // 50 MiB of 64 are resident, 20 of them given out.
        let memory = Memory::within(kernel, None, u64::MAX, 20 * MIB);
        assert_eq!((memory.used() / MIB, memory.level()), (50, Level::Tight));
        status(58);
        assert_eq!(memory.look_at(28 * MIB), Level::Critical);
        assert_eq!(memory.look_at(8 * MIB), Level::Ample);
        assert_eq!(memory.used() / MIB, 43);
    }

    #[test]
    fn a_crowd_is_looked_at_before_it_takes_what_is_left() {
        let (folder, kernel) = kernel(&[("proc/meminfo", "MemTotal: 65536 kB\n")]);
        let memory = Memory::within(kernel, None, u64::MAX, 0);
        assert_eq!((memory.level(), memory.used() / MIB), (Level::Tight, 50));
        std::fs::write(folder.path().join("proc/self/status"), "VmRSS: 20480 kB\n").unwrap();
        assert_eq!(memory.look_at(0), Level::Ample); // 28 MiB until it is tight
        std::fs::write(folder.path().join("proc/self/status"), "VmRSS: 409600 kB\n").unwrap();
        let let_in = (0..1000).take_while(|_| memory.for_newcomer() == Level::Ample).count() as u64;
        assert_eq!(let_in, 28 * MIB / MOST_OF_ONE);
    }

    #[test]
    fn without_proc_there_is_no_limit() {
        let folder = tempfile::tempdir().unwrap();
        let kernel = Kernel { proc: folder.path().join("proc"), cgroup: folder.path().join("sys") };
        let memory = Memory::within(kernel, None, u64::MAX, 1);
        assert_eq!((memory.look_at(1), memory.limit()), (Level::Ample, u64::MAX));
    }
}
