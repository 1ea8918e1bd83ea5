//! Instructions of the server for each unit of work, counted by Callgrind: a figure that nothing else on the machine
//! changes. What the kernel does is not in it; the sleeps in the other tables stand for that.

use crate::common::connection::Transport;
use crate::common::peer::{Peer, Side, Site};
use crate::common::server::{Server, Subject};
use crate::workload::{Phase, negotiate, relay};
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

/// Under Callgrind a server is fifty times as slow; this many make a fair mean nevertheless.
const CONNECTS: usize = 50;
const ROOMS: usize = 20;
const ROUNDS: usize = 20;
const CROWD: usize = 50;

/// The phases, each counted on its own.
pub async fn run(subject: &Subject, transport: Transport, qos: u8, keep: Option<&Path>) -> Result<Vec<Phase>> {
    let folder = tempfile::tempdir()?;
    let out = format!("--callgrind-out-file={}/profile", folder.path().display());
    // A function is otherwise named in the first profile that has it, and is a number in all later ones.
    let names = "--compress-strings=no";
    let before = ["valgrind", "--quiet", "--tool=callgrind", "--fair-sched=try", names, "--dump-instr=no", &out];
    // One connection may say more in a second than a client has to.
    let flags =
        ["--message-rate", "1000000", "--message-burst", "1000000", "--byte-rate", "1GiB", "--byte-burst", "1GiB"];
    let server = Server::start(subject, &before.map(str::to_owned), &flags, Stdio::inherit())
        .context("Callgrind is needed (apt install valgrind)")?;
    let site = Arc::new(Site::new(vec![server.address(transport)], transport, qos, subject.dialect()));
    let counter = Counter { pid: server.pid(), folder: folder.path(), keep, dumps: 0.into() };
    let mut phases = Vec::new();
    let mut counted = |name: &str, count: usize, unit: &str| -> Result<()> {
        let instructions = counter.since_last(name)?;
        let mut phase = Phase::new(name);
        phase.figure(&format!("instructions/{unit}"), (instructions / count as f64).round());
        phases.push(phase);
        Ok(())
    };

    negotiate::negotiate(&site, "warm-up").await?;
    counter.since_last("start")?;
    for number in 0..CONNECTS {
        Peer::join(&site, &format!("connect-{number}"), Side::A).await?.leave().await?;
    }
    counted("connect, subscribe, join, leave", CONNECTS, "unit")?;
    for number in 0..ROOMS {
        negotiate::negotiate(&site, &format!("room-{number}")).await?;
    }
    counted("room negotiated (W1)", ROOMS, "unit")?;

    let mut pairs = relay::pairs(&site, CROWD).await?;
    counter.since_last("pairs")?;
    for _ in 0..ROUNDS {
        for pair in &mut pairs {
            pair.there_and_back(&site).await?;
        }
    }
    counted("message relayed, alone (W2 open)", 2 * ROUNDS * CROWD, "unit")?;
    let mut tasks = tokio::task::JoinSet::new();
    for mut pair in pairs {
        let site = site.clone();
        tasks.spawn(async move {
            for _ in 0..ROUNDS {
                pair.there_and_back(&site).await?;
            }
            anyhow::Ok(pair)
        });
    }
    let mut pairs = Vec::new();
    while let Some(pair) = tasks.join_next().await {
        pairs.push(pair.expect("no task panics")?);
    }
    counted("message relayed, among others (W2 closed)", 2 * ROUNDS * CROWD, "unit")?;
    Ok(phases)
}

struct Counter<'a> {
    pid: u32,
    folder: &'a Path,
    /// Where the profiles go, for callgrind_annotate.
    keep: Option<&'a Path>,
    dumps: std::cell::Cell<usize>,
}

impl Counter<'_> {
    /// Instructions since this was last asked.
    fn since_last(&self, name: &str) -> Result<f64> {
        let pid = self.pid.to_string();
        let output = Command::new("callgrind_control").args(["--dump", &pid]).output()?;
        ensure!(output.status.success(), "callgrind_control: {}", String::from_utf8_lossy(&output.stderr));
        self.dumps.set(self.dumps.get() + 1);
        let file = self.folder.join(format!("profile.{}", self.dumps.get()));
        let text = std::fs::read_to_string(&file).with_context(|| {
            format!(
                "{} is not there; callgrind_control said {}",
                file.display(),
                String::from_utf8_lossy(&output.stdout)
            )
        })?;
        if let Some(folder) = self.keep {
            std::fs::create_dir_all(folder)?;
            let name: String = name.chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).collect();
            let file = folder.join(PathBuf::from(format!("callgrind.{name}")));
            std::fs::write(&file, &text).with_context(|| format!("{} cannot be written", file.display()))?;
        }
        let total =
            text.lines().rev().find_map(|line| line.strip_prefix("totals: ").or(line.strip_prefix("summary: ")));
        Ok(total.context("a profile without a total")?.split_whitespace().next().context("an empty total")?.parse()?)
    }
}
