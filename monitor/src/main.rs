//! The program `monitor`: reads what it is told, follows a broker or a recording, and says how it went.

mod cli;
mod exit;
mod follow;
mod recorder;
mod tui;

use anyhow::Context;
use cli::{Mode, Origin, Settings};
use exit::Exit;
use follow::Follow;
use monitor::app::{self, App, Orders, Ui};
use monitor::model::Model;
use monitor::output::{News, Style};
use monitor::recording::{Pace, Reader};
use monitor::redact::Redaction;
use monitor::source::{Source, SourceError};
use monitor::view::{Depth, Glyphs, Theme};
use recorder::Recorder;
use std::fs::OpenOptions;
use std::io::{self, IsTerminal};
use std::os::unix::fs::OpenOptionsExt;
use std::process::ExitCode;
use std::time::SystemTime;
use tui::Tui;

fn main() -> ExitCode {
    let settings = match Settings::read() {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("monitor: {error:#}");
            return Exit::Usage.into();
        }
    };
    let ended = match run(settings) {
        Ok(()) => Exit::Asked,
        Err(error) => {
            let exit = judge(&error);
            if exit != Exit::Asked {
                eprintln!("monitor: {error:#}");
            }
            exit
        }
    };
    ended.into()
}

/// What an error means for whoever started the program.
fn judge(error: &anyhow::Error) -> Exit {
    let is_closed_pipe = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref().map(io::Error::kind) == Some(io::ErrorKind::BrokenPipe)
    };
    match error.downcast_ref() {
        Some(SourceError::Refused { .. } | SourceError::Deaf { .. }) => Exit::Refused,
        // Whoever read our output has seen enough.
        _ if error.chain().any(is_closed_pipe) => Exit::Asked,
        _ => Exit::Failed,
    }
}

fn run(settings: Settings) -> anyhow::Result<()> {
    log(&settings)?;
    let colour = colours();
    let redaction = Redaction { reveal: settings.reveal };
    let style = Style { redaction, colour: colour != Depth::None && io::stdout().is_terminal(), ascii: settings.ascii };
    let model = Model::new(settings.bounds);
    let (source, broker, origin) = match settings.origin {
        Origin::Live(options) => {
            let broker = options.broker.to_string();
            (Source::live(*options)?, broker.clone(), app::Origin::Broker { url: broker })
        }
        Origin::Replay { path, speed } => {
            let reader = Reader::open(&path)?;
            let broker = reader.header().broker.clone();
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let pace = Pace { speed, paused: false };
            (Source::replay(reader, pace)?, broker, app::Origin::Recording { file, pace })
        }
    };
    let recorder = match &settings.record {
        Some(path) => {
            #[expect(clippy::disallowed_methods, reason = "the head of a recording says when it was begun")]
            let begun = SystemTime::now().into();
            Some(Recorder::create(path, begun, &broker, settings.reveal)?)
        }
        None => None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        if settings.mode != Mode::Tui {
            let (mode, filter, news) = (settings.mode, settings.filter, News::default());
            return Follow { model, recorder, mode, filter, style, news }.run(source, settings.time).await;
        }
        let mut ui = Ui::new(origin);
        ui.theme = Theme::new(settings.palette, colour);
        ui.glyphs = if settings.ascii || !speaks_unicode() { Glyphs::ASCII } else { Glyphs::UNICODE };
        ui.redaction = redaction;
        ui.recording = settings.record.map(|path| path.display().to_string());
        if settings.read_only && ui.orders == Orders::Allowed {
            ui.orders = Orders::ReadOnly;
        }
        ui.sift(&settings.filter_text)?;
        Tui { app: App::new(model, ui), source, recorder, style, broker }.run(settings.time).await
    })
}

/// How many colours the terminal has, and the user wants (<https://no-color.org>).
fn colours() -> Depth {
    let variable = |name| std::env::var(name).unwrap_or_default();
    let (term, colorterm) = (variable("TERM"), variable("COLORTERM"));
    if !variable("NO_COLOR").is_empty() || matches!(term.as_str(), "dumb" | "vt100" | "vt220") {
        Depth::None
    } else if term.contains("256color") || !colorterm.is_empty() || term.contains("kitty") {
        Depth::Many
    } else {
        Depth::Sixteen
    }
}

/// Whether the locale is one of UTF-8 (POSIX: `LC_ALL` before `LC_CTYPE` before `LANG`). One that says nothing is taken
/// for one: containers have none, and terminals draw UTF-8.
fn speaks_unicode() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|locale| !locale.is_empty())
        .unwrap_or_default()
        .to_lowercase();
    locale.is_empty() || locale.contains("utf-8") || locale.contains("utf8") || matches!(locale.as_str(), "c" | "posix")
}

/// Where the program's own words go. Not over a full screen: there only to a file.
fn log(settings: &Settings) -> anyhow::Result<()> {
    // What cannot be written would be said on stderr, by a macro that panics where that cannot be written.
    let subscriber = tracing_subscriber::fmt().with_env_filter(settings.log_filter.clone()).log_internal_errors(false);
    match &settings.log {
        Some(path) => {
            let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
            let file = file.with_context(|| format!("--log {}", path.display()))?;
            subscriber.with_ansi(false).with_writer(file).init();
        }
        None if settings.mode == Mode::Tui => {}
        None => subscriber.with_ansi(io::stderr().is_terminal()).with_writer(io::stderr).init(),
    }
    Ok(())
}
