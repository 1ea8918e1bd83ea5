//! The program `camera`: shows a picture to whoever comes into its room.

mod cli;

use agent::log::Log;
use camera::{Camera, CameraError, Device, DeviceError, Source};
use cli::Settings;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};

/// Exit codes; a wrong command line is clap's 2.
mod exit {
    /// The camera cannot go on, for another reason than those below.
    pub(super) const FAILED: u8 = 1;
    /// The command line, the environment or a file that they name is wrong.
    pub(super) const USAGE: u8 = 2;
    /// The broker refuses the camera, or an operator has removed it.
    pub(super) const REFUSED: u8 = 3;
    /// The source gives no picture, or none any more.
    pub(super) const SOURCE: u8 = 4;
}

fn main() -> ExitCode {
    let settings = match Settings::read() {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("camera: {error:#}");
            return ExitCode::from(exit::USAGE);
        }
    };
    let _log = match Log::begin(settings.log.clone()) {
        Ok(log) => log,
        Err(error) => {
            eprintln!("camera: {error}");
            return ExitCode::from(exit::FAILED);
        }
    };
    match run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!("{error:#}");
            ExitCode::from(judge(&error))
        }
    }
}

/// What an error means for whoever started the program.
fn judge(error: &anyhow::Error) -> u8 {
    match error.downcast_ref() {
        Some(CameraError::Device(DeviceError::Tls(_))) => exit::USAGE,
        Some(CameraError::Device(_) | CameraError::Removed) => exit::REFUSED,
        Some(CameraError::Source(_)) => exit::SOURCE,
        None => exit::FAILED,
    }
}

fn run(settings: Settings) -> anyhow::Result<()> {
    // One thread beside the source's own: a camera waits most of its time.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let stop = async move {
            tokio::select! {
                _ = interrupt.recv() => info!("interrupted, stopping"),
                _ = terminate.recv() => info!("terminated, stopping"),
            }
        };
        tokio::pin!(stop);
        // Before the broker hears of it: a camera without a picture is none.
        let source = tokio::select! {
            source = Source::open(settings.source, settings.format, settings.caption) => {
                source.map_err(CameraError::from)?
            }
            () = &mut stop => return Ok(()),
        };
        let device = Device::connect(settings.device).map_err(CameraError::from)?;
        Ok(Camera::new(device, source, settings.camera).run(stop).await?)
    })
}
