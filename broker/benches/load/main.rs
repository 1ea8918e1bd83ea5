//! `cargo bench -p broker --bench load`: the real binary under load, and what it costs.
//!
//! The server has one CPU and the load another, if the machine has two. The figure to compare is the server's CPU
//! time for each unit of work: it hardly depends on what else runs. Rates and times mean something only where
//! "other CPUs" is near zero.

#[path = "../common/mod.rs"]
mod common;
mod document;
mod instructions;
mod model;
mod options;
mod report;
mod workload;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use common::metrics;
use common::peer::Site;
use common::server::{Server, Subject};
use options::{Case, Options, Workload};
use report::{Machine, Report, Row};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use workload::idle::Seating;
use workload::{Load, Phase, churn, cost, idle, negotiate, overload, relay};

/// How often a turn is taken at most until it is quiet.
const TURNS: usize = 10;

fn main() -> Result<()> {
    let options = Options::parse();
    let report = if options.from.is_empty() { measure_all(&options)? } else { read_again(&options)? };
    println!("{}\n{}", report.tables(), model::describe(&report));
    if options.document {
        document::fill(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../BENCHMARKS.md")), &report)?;
    }
    ensure!(report.failures.is_empty(), "not everything could be measured:\n{}", report.failures.join("\n"));
    Ok(())
}

/// What was measured earlier, in one file if one is asked for.
fn read_again(options: &Options) -> Result<Report> {
    let report = Report::read(&options.from)?;
    options.json.as_ref().map_or(Ok(()), |file| report.write(file))?;
    Ok(report)
}

/// Every server in turn, so that what else happens on the machine meets all of them.
fn measure_all(options: &Options) -> Result<Report> {
    let subjects = options.subjects()?;
    rlimit::increase_nofile_limit(u64::MAX).context("the limit of open files stays as it is")?;
    let versions = subjects.iter().map(|subject| Ok((subject.name().to_owned(), subject.version()?)));
    let mut report = Report::new(Machine::here(versions.collect::<Result<_>>()?));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for repetition in 1..=options.repeat() {
        for case in options.cases() {
            // Counted exactly: once is enough.
            if case.workload == Workload::Instructions && repetition > 1 {
                continue;
            }
            for subject in subjects.iter().filter(|subject| case.suits(subject)) {
                let Case { workload, transport, qos } = case;
                let name = format!("{} {} QoS {qos}, {}", workload.name(), transport.name(), subject.name());
                eprintln!("{repetition}/{}: {name}", options.repeat());
                match runtime.block_on(measure_in_quiet(options, case, subject)) {
                    Ok(phases) => {
                        let row = |phase| Row::new(workload.name(), phase, subject.name(), transport, qos);
                        report.rows.extend(phases.into_iter().map(row));
                    }
                    // The others are worth having nevertheless.
                    Err(error) => {
                        eprintln!("{name}: {error:#}");
                        report.failures.push(format!("{name}: {error:#}"));
                    }
                }
                // Each time, so that a run that is broken off has measured something.
                if let Some(file) = &options.json {
                    report.write(file)?;
                }
            }
        }
    }
    Ok(report)
}

/// Measures again while others had more of the machine than is allowed; the quietest time counts if all were too loud.
async fn measure_in_quiet(options: &Options, case: Case, subject: &Subject) -> Result<Vec<Phase>> {
    let mut quietest = (f64::INFINITY, vec![]);
    for _ in 0..TURNS {
        let phases = measure(options, case, subject).await?;
        let others = phases.iter().map(Phase::other_cpus).fold(0.0, f64::max);
        if others < quietest.0 {
            quietest = (others, phases);
        }
        if options.quiet.is_none_or(|limit| others <= limit) {
            break;
        }
        eprintln!("others had {others:.2} CPUs meanwhile");
    }
    Ok(quietest.1)
}

async fn measure(options: &Options, case: Case, subject: &Subject) -> Result<Vec<Phase>> {
    let Case { workload, transport, qos } = case;
    if workload == Workload::Instructions {
        return instructions::run(subject, transport, qos, options.profiles.as_deref()).await;
    }
    let (mut servers, mut load) = start(options, case, subject)?;
    let phases = match workload {
        Workload::W1 => vec![negotiate::at_rate(&load, 200).await?, negotiate::max(&load).await?],
        Workload::W2 => relay::run(&load).await?,
        Workload::W3 => idle::run(&load).await?,
        Workload::W4 => churn::run(&load).await?,
        Workload::Overload => overload::run(&load).await?,
        Workload::Cost => {
            let mut phases = cost::relaying(&load).await?;
            for seating in Seating::ALL {
                check_accounts(&servers)?;
                drop(servers); // what they have kept of the last peers would be taken for these
                (servers, load) = start(options, case, subject)?;
                phases.extend(cost::sitting(&load, seating).await?);
            }
            phases
        }
        Workload::Instructions => unreachable!("measured under Callgrind"),
    };
    check_accounts(&servers)?;
    Ok(phases)
}

/// Of those who give one: other servers, and earlier builds of ours, do not.
fn check_accounts(servers: &[Server]) -> Result<()> {
    servers.iter().filter_map(Server::admin).try_for_each(metrics::check_account)
}

fn start(options: &Options, case: Case, subject: &Subject) -> Result<(Vec<Server>, Load)> {
    let Case { workload, transport, qos } = case;
    let process = |_| Server::start(subject, &[], workload.flags(), Stdio::inherit());
    let servers = (0..subject.processes()).map(process).collect::<Result<Vec<_>>>()?;
    let addresses = servers.iter().map(|server| server.address(transport)).collect();
    let site = Arc::new(Site::new(addresses, transport, qos, subject.dialect()));
    let load = Load {
        site,
        servers: servers.iter().map(Server::pid).collect(),
        measured: options.measured(),
        is_quick: options.quick,
    };
    Ok((servers, load))
}
