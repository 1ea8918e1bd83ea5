//! `broker`: reads the whole configuration, runs until it is asked to stop, and says how it went.

use agent::log::Lines;
use broker::config::{self, Config, Layers};
use broker::server::Broker;
use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use tracing::warn;

/// A wrong flag, variable or file, as of clap.
const BAD_CONFIGURATION: u8 = 2;

fn main() -> ExitCode {
    let flags = config::command().get_matches();
    if let Some(result) = broker::commands::run(&flags) {
        return exit(result);
    }
    let judged = Layers::gather(&flags, config::environment()).and_then(|layers| Ok((layers.judge()?, layers)));
    let (config, layers) = match judged {
        Ok(judged) => judged,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(BAD_CONFIGURATION);
        }
    };
    if flags.get_flag("print-config") {
        // A closed pipe is no error: somebody has seen enough.
        let _ = write!(std::io::stdout(), "{layers}");
        return ExitCode::SUCCESS;
    }
    let log = match broker::log::begin(&config.log) {
        Ok(log) => log,
        Err(error) => return exit(Err(error.into())),
    };
    match run(&config, &log.lines()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log.lines().complain(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn exit(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(config: &Config, lines: &Lines) -> anyhow::Result<()> {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        warn!(%error, "the limit of open files stays as it is");
    }
    // One thread carries many thousand sessions, and needs no locks against itself.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut broker = Broker::start(config).await?;
        announce(&broker, lines);
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            error = broker.failed() => return Err(error.into()),
        }
        broker.stop().await;
        Ok(())
    })
}

fn announce(broker: &Broker, lines: &Lines) {
    for (name, address) in &broker.doors {
        lines.say(&format!("{name} listening on {address}"));
    }
    let door = |wanted: &str| broker.doors.iter().find(|(name, _)| *name == wanted).map(|(_, address)| *address);
    if let Some((scheme, mut page)) = door("https").map(|at| ("https", at)).or_else(|| Some(("http", door("http")?))) {
        // Over plain HTTP a browser gives out cameras only to the machine itself.
        if page.ip().is_unspecified() {
            page.set_ip(if page.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
        }
        lines.say(&format!("open {scheme}://{page}/ in two windows and join the same room"));
    }
}
