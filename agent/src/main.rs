//! The program `agent`: the room agent beside an MQTT broker of any make.

mod cli;

use agent::service::{self, ServiceError};
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};

/// Exit codes; a wrong command line is clap's 2.
mod exit {
    /// The broker refuses the agent, or TLS cannot be set up.
    pub(super) const FAILED: u8 = 1;
    /// The command line, the environment or a file that they name is wrong.
    pub(super) const USAGE: u8 = 2;
}

fn main() -> ExitCode {
    let settings = match cli::Settings::read() {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("agent: {error:#}");
            return ExitCode::from(exit::USAGE);
        }
    };
    tracing_subscriber::fmt()
        .with_env_filter(settings.log)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        // What cannot be written would be said on stderr, by a macro that panics where that cannot be written.
        .log_internal_errors(false)
        .init();
    match run(settings.service) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!("{error:#}");
            ExitCode::from(exit::FAILED)
        }
    }
}

fn run(options: service::Options) -> anyhow::Result<()> {
    // One thread is enough: an agent waits for the broker most of its time.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result: Result<(), ServiceError> = runtime.block_on(async {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let stop = async move {
            tokio::select! {
                _ = interrupt.recv() => info!("interrupted, stopping"),
                _ = terminate.recv() => info!("terminated, stopping"),
            }
        };
        anyhow::Ok(service::run(options, |broker| announce(&broker.to_string()), stop).await)
    })?;
    Ok(result?)
}

/// For whoever waits for the agent. A closed stdout is their choice.
fn announce(broker: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "agent connected to {broker}").and_then(|()| stdout.flush());
}
