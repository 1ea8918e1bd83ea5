//! The program `agent`: the room agent beside an MQTT broker of any make.

mod cli;

use agent::hooks::Listening;
use agent::hooks::gate::Own;
use agent::hooks::seats::Seats;
use agent::login::watch::Watch;
use agent::service::{self, BrokerUrl, ServiceError};
use anyhow::Context;
use cli::HooksSettings;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};

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
    match run(settings.service, settings.hooks) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!("{error:#}");
            ExitCode::from(exit::FAILED)
        }
    }
}

fn run(options: service::Options, hooks: Option<(HooksSettings, Own)>) -> anyhow::Result<()> {
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
        let (seats, asked) = Seats::door();
        // Before the agent connects: its engine may ask about the agent itself.
        let listening = match hooks {
            Some((settings, own)) => Some(answer(settings, own, seats).await?),
            None => None,
        };
        let connected = move |broker: &BrokerUrl| {
            announce(&broker.to_string());
            listening.iter().for_each(Listening::set);
        };
        anyhow::Ok(service::run(options, connected, asked, stop).await)
    })?;
    Ok(result?)
}

/// Answers engines, and reads the files again that say who may come in.
async fn answer(settings: HooksSettings, own: Own, seats: Seats) -> anyhow::Result<Listening> {
    let address = settings.address;
    let (hooks, login) = settings.hooks(own, seats)?;
    let mut watch = Watch::new(login.files().cloned())?;
    let listener = TcpListener::bind(address).await.with_context(|| format!("--http {address}"))?;
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "hooks listening on {}", listener.local_addr()?).and_then(|()| stdout.flush());
    drop(stdout);
    let listening = hooks.listening();
    tokio::spawn(hooks.serve(listener));
    tokio::spawn(async move {
        loop {
            watch.changed().await;
            match login.reload() {
                Ok(()) => info!("users and keys are read again"),
                Err(error) => warn!(%error, "users and keys stay as they were"),
            }
        }
    });
    Ok(listening)
}

/// For whoever waits for the agent. A closed stdout is their choice.
fn announce(broker: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "agent connected to {broker}").and_then(|()| stdout.flush());
}
