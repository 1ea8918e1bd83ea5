//! `cargo bench -p broker --bench soak`: the real binary and a crowd that comes and goes, calls and misbehaves, for an
//! hour; whether anything of it stays.
//!
//! What each place of the crowd does, and in which order, one number decides; when it happens is the machine's affair.

mod call;
mod chart;
#[path = "../common/mod.rs"]
mod common;
mod misdeed;
mod operator;
mod options;
mod report;
mod sample;
mod verdict;
mod world;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use common::server::{Server, Subject};
use options::Options;
use report::Report;
use sample::{Figure, Sample, Sampler};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use world::{Actor, World};

/// For so many peers that call, there is one that misbehaves.
const MISBEHAVING: u32 = 5;
const OPERATORS: u32 = 3;
/// Everybody begins in this part of the time, which is less than what does not count.
const ARRIVING: f64 = 0.1;
/// Until then, calls have come to their ends.
const LEAVING: Duration = Duration::from_secs(120);
/// Until then, everything has to be gone: seats are kept for 10 s, sessions for 20 s, and a socket on which nobody takes
/// anything for a minute; what is half open is noticed when its keep-alive has run out one and a half times.
const GONE: Duration = Duration::from_secs(150);

/// As somebody has it who runs a broker for more than themselves; only that sessions without a connection are not kept
/// for longer than this waits for their end, and credentials for the relay run out while calls are on.
const CONFIGURATION: &str = r##"allow_anonymous = true
log = "info"
session_expiry = "20s"

[limits]
exempt = []

[access]
jwt_secret = "FOLDER/soak.secret"

[[access.topics]]
filter = "telemetry/#"

[ice]
stun = ["stun:stun.example.org:3478"]
turn = ["turn:turn.example.org:3478?transport=udp", "turns:turn.example.org:5349?transport=tcp"]
turn_secret_file = "FOLDER/turn.secret"
turn_ttl = "60s"
"##;
const SECRET: &[u8] = b"of no worth to anybody but this program";

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let report = match &options.from {
        Some(file) => Report::read(file)?,
        None => {
            rlimit::increase_nofile_limit(u64::MAX).context("the limit of open files stays as it is")?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(soak(options))?
        }
    };
    println!("{}\nWhat was done: {}.\n", report.table(), report.deeds());
    options.json.as_ref().map_or(Ok(()), |file| report.write(file))?;
    options.csv.as_ref().map_or(Ok(()), |file| report.csv(file))?;
    options.svg.as_ref().map_or(Ok(()), |file| report.svg(file))?;
    if options.document {
        let top = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        report.document(&top.join("RELIABILITY.md"), &top.join("docs/soak.svg"))?;
    }
    let complaints = report.complaints();
    ensure!(complaints.is_empty(), "{}", complaints.join("\nerror: "));
    println!("everything is flat, and nothing is left");
    Ok(())
}

async fn soak(options: &Options) -> Result<Report> {
    let folder = tempfile::tempdir().context("no folder for the broker")?;
    let (config, log) = (folder.path().join("duet.toml"), folder.path().join("log"));
    std::fs::write(&config, CONFIGURATION.replace("FOLDER", &folder.path().to_string_lossy()))?;
    std::fs::write(folder.path().join("soak.secret"), SECRET)?;
    std::fs::write(folder.path().join("turn.secret"), SECRET)?;
    let subject = options
        .broker
        .as_ref()
        .map_or_else(|| Ok(Subject::this_build()), |path| Subject::rival(&path.to_string_lossy()))?;
    let flags = ["--config", config.to_str().context("a path that is no UTF-8")?];
    let server = Server::start(&subject, &[], &flags, File::create(&log)?.into())?;
    let admin = server.admin().context("the broker has no port for administration")?;
    let world = Arc::new(World::new(&server, SECRET, server.folder())?);
    let mut sampler = Sampler::new(server.pid(), admin)?;

    // The first calls are part of what it needs, not of what it keeps: memory of a program that nobody has used says little.
    let before = rest(&mut sampler, &world).await?;
    let mut report = Report {
        what: format!("{}, {} peers, seed {}", subject.version()?, options.peers, options.seed),
        date: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        minutes: options.minutes,
        samples: vec![],
        lines: vec![],
        deeds: Default::default(),
        surprises: Default::default(),
        panics: vec![],
    };
    let mut crowd = gather(options, &world);
    let end = Instant::now() + options.time();
    let mut clock = interval(options.interval());
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    clock.tick().await;
    while Instant::now() < end {
        clock.tick().await;
        let sample = sampler.take(&mut world.seen.lock())?;
        if report.samples.len().is_multiple_of(12) {
            progress(&sample);
        }
        report.samples.push(sample);
    }

    world.end();
    let everybody = async { while crowd.calls.join_next().await.is_some() {} };
    if timeout(LEAVING, everybody).await.is_err() {
        bail!("{} calls do not come to an end", crowd.calls.len());
    }
    crowd.others.shutdown().await;
    let deadline = Instant::now() + GONE;
    let after = loop {
        let sample = sampler.take(&mut world.seen.lock())?;
        if verdict::has_gone(&before, &sample) || Instant::now() > deadline {
            break sample;
        }
        sleep(Duration::from_secs(1)).await;
    };
    progress(&after);
    report.saw(&world.seen.lock());
    report.lines = verdict::judge(&before, &report.samples, &after);
    let lines = BufReader::new(File::open(&log)?).lines();
    report.panics = lines.map_while(Result::ok).filter(|line| line.contains("panicked")).take(10).collect();
    Ok(report)
}

/// Those who take part. Calls are let come to their ends.
struct Crowd {
    calls: JoinSet<()>,
    others: JoinSet<()>,
}

fn gather(options: &Options, world: &Arc<World>) -> Crowd {
    let mut crowd = Crowd { calls: JoinSet::new(), others: JoinSet::new() };
    let misbehaving = options.peers / MISBEHAVING;
    let calls = options.peers / 2;
    let all = calls + misbehaving + OPERATORS;
    for number in 0..all {
        let actor = Actor::new(options.seed, number);
        // Spread evenly, by the golden ratio.
        let begin = options.time().mul_f64(ARRIVING * (f64::from(number) * 0.618_034).fract());
        let world = world.clone();
        match number {
            number if number < calls => drop(crowd.calls.spawn(call::run(world, actor, begin))),
            number if number < calls + misbehaving => drop(crowd.others.spawn(misdeed::run(world, actor, begin))),
            _ => drop(crowd.others.spawn(operator::run(world, actor, begin))),
        }
    }
    crowd
}

/// The broker when nobody is there: the second of two samples, so that the connection that asked for the first has gone.
async fn rest(sampler: &mut Sampler, world: &World) -> Result<Sample> {
    sampler.take(&mut world.seen.lock())?;
    sleep(Duration::from_secs(2)).await;
    sampler.take(&mut world.seen.lock())
}

fn progress(sample: &Sample) {
    let figures = [Figure::Clients, Figure::Rooms, Figure::Resident, Figure::Descriptors, Figure::Tasks, Figure::Cpu];
    let more = [Figure::Signals, Figure::SignalP50, Figure::SignalP99];
    let each: Vec<_> = figures
        .into_iter()
        .chain(more)
        .map(|figure| format!("{} {}", report::number(sample.get(figure)), figure.name()))
        .collect();
    eprintln!("{:.0} s: {}", sample.at, each.join("; "));
}
