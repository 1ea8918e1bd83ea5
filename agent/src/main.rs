//! The program `agent`: the room agent beside an MQTT broker of any make.

mod cli;

use agent::hooks::gate::Own;
use agent::hooks::seats::Seats;
use agent::log::{Lines, Log};
use agent::login::watch::Watch;
use agent::service::status::Pulse;
use agent::service::{self, BrokerUrl, ServiceError};
use anyhow::Context;
use cli::HooksSettings;
use std::process::ExitCode;
use std::sync::Arc;
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
    let log = match Log::begin(settings.log) {
        Ok(log) => log,
        Err(error) => {
            eprintln!("agent: {error}");
            return ExitCode::from(exit::FAILED);
        }
    };
    match run(settings.service, settings.hooks, log.lines()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!("{error:#}");
            ExitCode::from(exit::FAILED)
        }
    }
}

fn run(options: service::Options, hooks: Option<(HooksSettings, Own)>, lines: Lines) -> anyhow::Result<()> {
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
        let pulse = Pulse::new(&options.client_id, options.store.is_some());
        if let Some((settings, own)) = hooks {
            answer(settings, own, seats, pulse.clone(), &lines).await?;
        }
        let connected = move |broker: &BrokerUrl| lines.say(&format!("agent connected to {broker}"));
        anyhow::Ok(service::run(options, pulse, connected, asked, stop).await)
    })?;
    Ok(result?)
}

/// Answers engines, and reads the files again that say who may come in.
async fn answer(
    settings: HooksSettings,
    own: Own,
    seats: Seats,
    pulse: Arc<Pulse>,
    lines: &Lines,
) -> anyhow::Result<()> {
    let address = settings.address;
    let (hooks, login) = settings.hooks(own, seats, pulse)?;
    let mut watch = Watch::new(login.files().cloned())?;
    let listener = TcpListener::bind(address).await.with_context(|| format!("--http {address}"))?;
    lines.say(&format!("hooks listening on {}", listener.local_addr()?));
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
    Ok(())
}
