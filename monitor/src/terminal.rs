//! The terminal: taken over at the start and given back as it was, however the program ends.
//!
//! Only what is the same for every screen: modes, keys coming in, frames and copies going out. What is drawn is the
//! views' business.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use crossterm::event::{DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture, Event};
use crossterm::style::ResetColor;
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use crossterm::{cursor, execute};
use ratatui::Frame;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Size;
use std::io::{self, Stdout, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc;

/// Whether the terminal is ours at present.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// Keys, clicks and sizes that wait to be handled.
const EVENTS: usize = 1024;
/// The longest text, encoded, that terminals agree to put into the clipboard (xterm's default limit).
const LONGEST_COPY: usize = 74_994;

/// The terminal while it is ours; given back when dropped.
pub struct Terminal {
    screen: ratatui::Terminal<CrosstermBackend<Stdout>>,
}

impl Terminal {
    /// Takes the terminal over: raw mode, alternate screen, mouse, bracketed paste. A panic gives it back before
    /// it is told, in whatever thread it happens.
    ///
    /// # Errors
    /// If there is none, or it does not do as it is told.
    pub fn take() -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let told = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                restore();
                told(panic);
            }));
        });
        enable_raw_mode()?;
        TAKEN.store(true, Ordering::SeqCst);
        let taken =
            execute!(io::stdout(), EnterAlternateScreen, EnableMouseCapture, EnableBracketedPaste, cursor::Hide)
                .and_then(|()| ratatui::Terminal::new(CrosstermBackend::new(io::stdout())));
        match taken {
            Ok(screen) => Ok(Self { screen }),
            Err(error) => {
                restore();
                Err(error)
            }
        }
    }

    /// Draws a frame; only what differs from the last one is written.
    ///
    /// # Errors
    /// If the terminal has gone, or was given back because something panicked.
    pub fn draw(&mut self, view: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.check()?;
        self.screen.draw(view).map(|_| ())
    }

    /// Columns and rows.
    ///
    /// # Errors
    /// If the terminal has gone.
    pub fn size(&self) -> io::Result<Size> {
        self.screen.size()
    }

    /// Puts a text into the clipboard, also through SSH (OSC 52); terminals may ignore it.
    ///
    /// # Errors
    /// If it is longer than terminals take, or the terminal has gone.
    pub fn copy(&mut self, text: &str) -> io::Result<()> {
        self.check()?;
        let encoded = BASE64_STANDARD.encode(text);
        if encoded.len() > LONGEST_COPY {
            let most = LONGEST_COPY / 4 * 3;
            return Err(io::Error::other(format!("{} bytes are more than the {most} that terminals take", text.len())));
        }
        let mut out = io::stdout();
        write!(out, "\x1b]52;c;{encoded}\x07")?;
        out.flush()
    }

    /// Whether the terminal is still there. When it is hung up, reading keys neither ends nor fails.
    ///
    /// # Errors
    /// If it has gone.
    pub fn check(&self) -> io::Result<()> {
        if !TAKEN.load(Ordering::SeqCst) {
            return Err(io::Error::other("the screen was given back after a failure"));
        }
        rustix::termios::tcgetattr(io::stdin())?;
        rustix::termios::tcgetattr(io::stdout())?;
        Ok(())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives the terminal back. Each step is tried, also when one before it failed; with the terminal gone none matters.
fn restore() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut out = io::stdout();
    let _ = execute!(out, DisableBracketedPaste, DisableMouseCapture);
    let _ = execute!(out, ResetColor, LeaveAlternateScreen, cursor::Show);
    let _ = disable_raw_mode();
}

/// Keys, clicks, pastes and sizes, read in a thread of their own that ends with the process: nothing makes a
/// blocking read of a terminal return.
///
/// # Errors
/// If no thread can be started.
pub fn events() -> io::Result<mpsc::Receiver<io::Result<Event>>> {
    let (sender, events) = mpsc::channel(EVENTS);
    std::thread::Builder::new().name("terminal".into()).spawn(move || {
        loop {
            let event = crossterm::event::read();
            let ended = event.is_err();
            if sender.blocking_send(event).is_err() || ended {
                return;
            }
        }
    })?;
    Ok(events)
}
