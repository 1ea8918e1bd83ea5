//! The full screen: inputs, keys and time go into the app, frames and effects come out.
//!
//! What waits is taken first; then a frame is drawn, if something changed, and thirty times a second at most.

#![allow(clippy::disallowed_methods, reason = "frames are paced by the clock; nothing that is shown depends on it")]

use crate::recorder::Recorder;
use anyhow::Context;
use crossterm::event::Event;
use monitor::app::{Action, App, Effect, Focus};
use monitor::output::{Style, export};
use monitor::signals::Signals;
use monitor::source::{Given, Order, Source};
use monitor::terminal::{self, Terminal};
use monitor::view;
use monitor::wire::Input;
use ratatui::layout::Size;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};

/// Time between two frames.
const FRAME: Duration = Duration::from_millis(33);
/// Longest time that inputs are taken before keys are looked at again.
const TURN: Duration = Duration::from_millis(15);
/// How often it is looked whether the terminal is still there.
const LOOK: Duration = Duration::from_secs(1);
/// Characters of a pasted text that are taken; a filter has no more.
const LONGEST_PASTE: usize = 1000;

/// The screen and what it is connected to.
pub(crate) struct Tui {
    pub(crate) app: App,
    pub(crate) source: Source,
    pub(crate) recorder: Option<Recorder>,
    pub(crate) style: Style,
    /// The broker's address, for recordings.
    pub(crate) broker: String,
}

impl Tui {
    /// Runs until it is asked to end, by a key, a signal or the time.
    ///
    /// # Errors
    /// If the source ends, or the terminal does.
    pub(crate) async fn run(mut self, time: Option<Duration>) -> anyhow::Result<()> {
        let mut signals = Signals::new()?;
        let mut terminal = Terminal::take().context("the terminal")?;
        let shown = self.show(&mut terminal, &mut signals, time).await;
        drop(terminal);
        let recorded = match self.recorder.take() {
            Some(recorder) => recorder.end(self.app.model.now()).map(drop),
            None => Ok(()),
        };
        // A source that failed explains everything after it.
        self.source.end().await?;
        shown.and(recorded)
    }

    async fn show(
        &mut self,
        terminal: &mut Terminal,
        signals: &mut Signals,
        time: Option<Duration>,
    ) -> anyhow::Result<()> {
        let mut events = terminal::events()?;
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let over = async {
            match time {
                Some(time) => tokio::time::sleep(time).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(over);
        let mut next_frame = Instant::now();
        let mut stale = true;
        loop {
            stale |= self.app.changed();
            tokio::select! {
                biased;
                _ = signals.next() => return Ok(()),
                () = &mut over => return Ok(()),
                _ = look.tick() => {
                    terminal.check().context("the terminal has gone")?;
                    // Nothing tells of a change before keys are listened to.
                    self.fit(terminal.size()?);
                }
                event = events.recv() => {
                    let Some(event) = event else { anyhow::bail!("the terminal gives no keys any more") };
                    if self.event(event.context("the terminal gives no keys")?, terminal) {
                        return Ok(());
                    }
                }
                () = tokio::time::sleep_until(next_frame), if stale => {
                    self.app.refresh();
                    terminal.draw(|frame| {
                        self.fit(frame.area().as_size());
                        view::draw(frame, &self.app.model, &self.app.ui);
                    })?;
                    stale = false;
                    next_frame = Instant::now() + FRAME;
                }
                given = self.source.next() => match given {
                    Given::Notice(notice) => self.app.tell(notice.text, notice.fault),
                    Given::Input(input) => self.turn(input),
                    Given::End if self.source.pace().is_some() => self.app.tell("the recording ends here", false),
                    Given::End => return Ok(()), // why, the source tells at its end
                },
            }
        }
    }

    /// Takes the terminal's size over: what is drawn goes by what the terminal is now, not by what was told of it.
    fn fit(&mut self, Size { width, height }: Size) {
        if self.app.ui.size != (width, height) {
            self.app.act(Action::Resize { width, height });
        }
    }

    /// Takes everything that waits, as far as the time goes.
    fn turn(&mut self, first: Input) {
        let begin = Instant::now();
        let mut next = Some(first);
        while let Some(input) = next {
            self.take(input);
            next = if begin.elapsed() < TURN { self.source.try_next() } else { None };
        }
    }

    fn take(&mut self, input: Input) {
        if let Some(recorder) = &mut self.recorder
            && let Err(error) = recorder.keep(&input)
        {
            self.recorder = None;
            self.app.record(None);
            self.app.tell(format!("{error:#}; nothing more is recorded"), true);
        }
        self.app.take(input);
    }

    /// Does what was pressed, clicked or pasted; whether that was to end.
    fn event(&mut self, event: Event, terminal: &mut Terminal) -> bool {
        let effect = match event {
            Event::Key(key) => self.app.key(key),
            Event::Mouse(mouse) => self.app.mouse(mouse),
            Event::Resize(width, height) => {
                self.fit(Size { width, height });
                None
            }
            // Anywhere else a pasted text would be pressed keys.
            Event::Paste(text) if self.app.ui.focus() == Focus::Prompt => {
                for c in text.chars().filter(|c| !c.is_control()).take(LONGEST_PASTE) {
                    self.app.act(Action::Type(c));
                }
                None
            }
            Event::Paste(_) | Event::FocusGained | Event::FocusLost => None,
        };
        match effect {
            None => {}
            Some(Effect::Quit) => return true,
            Some(Effect::Copy(text)) => match terminal.copy(&text) {
                Ok(()) => self.app.tell(format!("copied {} characters", text.chars().count()), false),
                Err(error) => self.app.tell(format!("not copied: {error}"), true),
            },
            Some(Effect::Export { room, format }) => match self.export(&room, format) {
                Ok(path) => self.app.tell(format!("written to {}", path.display()), false),
                Err(error) => self.app.tell(format!("not written: {error:#}"), true),
            },
            Some(Effect::Record(true)) => match self.record() {
                Ok(path) => self.app.tell(format!("recording to {}", path.display()), false),
                Err(error) => self.app.tell(format!("not recorded: {error:#}"), true),
            },
            Some(Effect::Record(false)) => {
                self.app.record(None);
                match self.recorder.take().map(|recorder| recorder.end(self.app.model.now())) {
                    Some(Ok(path)) => self.app.tell(format!("recorded to {}", path.display()), false),
                    Some(Err(error)) => self.app.tell(format!("{error:#}"), true),
                    None => {}
                }
            }
            Some(Effect::Play(pace)) => {
                if let Some(playing) = self.source.pace() {
                    playing.send_replace(pace);
                }
            }
            Some(Effect::Order { room, control }) => {
                if let Err(error) = self.source.order(Order { room, control }) {
                    self.app.tell(error, true);
                }
            }
        }
        false
    }

    fn export(&self, room: &str, format: monitor::app::Format) -> anyhow::Result<PathBuf> {
        let model = &self.app.model;
        let room = model.room(room).context("the room is not there any more")?;
        let text = export::render(model, room, format, self.style);
        Ok(export::save(Path::new("."), model, room, format, &text)?)
    }

    /// Begins a recording in the present folder. What is retained is asked for again, so that it begins with the
    /// rooms as they are.
    fn record(&mut self) -> anyhow::Result<PathBuf> {
        let at = self.app.model.now();
        let path = PathBuf::from(format!("duet-{}.ndjson", export::file_time(at)));
        let mut recorder = Recorder::create(&path, at, &self.broker, self.style.redaction.reveal)?;
        recorder.keep(&Input::Link { at, link: self.app.model.link().clone() })?;
        self.recorder = Some(recorder);
        self.app.record(Some(path.display().to_string()));
        self.source.states_again();
        Ok(path)
    }
}
