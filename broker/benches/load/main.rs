//! `cargo bench -p broker --bench load`: the real binary under load, and what it costs.
//!
//! The server has one CPU and the load another, if the machine has two. The figure to compare is the server's CPU
//! time for each unit of work: it hardly depends on what else runs. Rates and times mean something only where
//! "other CPUs" is near zero.

mod body;
mod connection;
mod instructions;
mod options;
mod peer;
mod proc;
mod report;
mod server;
mod wire;
mod workload;

use anyhow::{Context, Result};
use clap::Parser;
use options::{Case, Options, Workload};
use peer::Site;
use report::{Machine, Report, Row};
use server::{Server, Subject};
use std::sync::Arc;
use workload::{Load, Phase, idle, negotiate, relay};

/// Where the server runs, and where the load comes from.
const SERVER_CPUS: [usize; 1] = [0];
const GENERATOR_CPUS: [usize; 1] = [1];

fn main() -> Result<()> {
    let options = Options::parse();
    let subjects = options.subjects()?;
    rlimit::increase_nofile_limit(u64::MAX).context("the limit of open files stays as it is")?;
    let versions = subjects.iter().map(|subject| Ok((subject.name().to_owned(), subject.version()?)));
    let mut report = Report { machine: Machine::here(versions.collect::<Result<_>>()?), rows: vec![] };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for repetition in 1..=options.repeat() {
        for case in options.cases() {
            // Counted exactly: once is enough.
            if case.workload == Workload::Instructions && repetition > 1 {
                continue;
            }
            for subject in &subjects {
                let Case { workload, transport, qos } = case;
                let name = format!("{} {} QoS {qos}, {}", workload.name(), transport.name(), subject.name());
                eprintln!("{repetition}/{}: {name}", options.repeat());
                let phases = runtime.block_on(measure(&options, case, subject)).context(name)?;
                let row = |phase| Row::new(workload.name(), phase, subject.name(), transport, qos);
                report.rows.extend(phases.into_iter().map(row));
            }
        }
    }
    println!("{}", report.tables());
    if let Some(file) = &options.json {
        std::fs::write(file, serde_json::to_string_pretty(&report)? + "\n")
            .with_context(|| format!("{} cannot be written", file.display()))?;
    }
    Ok(())
}

async fn measure(options: &Options, case: Case, subject: &Subject) -> Result<Vec<Phase>> {
    let Case { workload, transport, qos } = case;
    if workload == Workload::Instructions {
        return instructions::run(subject, transport, qos, options.profiles.as_deref()).await;
    }
    let cpus = if options.all_cpus { (0..64).collect() } else { SERVER_CPUS.to_vec() };
    let server = Server::start(subject, &cpus, &[], &[])?;
    let site = Arc::new(Site::new(server.address(transport), transport, qos, subject.has_rooms()));
    let load = Load { site, server: server.pid(), measured: options.measured() };
    Ok(match workload {
        Workload::W1 => vec![negotiate::at_rate(&load, 200).await?, negotiate::max(&load).await?],
        Workload::W2 => relay::run(&load).await?,
        Workload::W3 if options.quick => idle::run(&load, &[2_000]).await?,
        Workload::W3 => idle::run(&load, &[2_000, 10_000, 18_000]).await?,
        Workload::Instructions => unreachable!("measured under Callgrind"),
    })
}
