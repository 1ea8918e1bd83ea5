//! What the operator does, and what the screen shows for it: actions change a [`Ui`], nothing else happens here.
//!
//! Keys and mouse become an [`Action`] ([`keys`], [`App::mouse`]), [`App::act`] changes the [`Ui`] and gives an
//! [`Effect`] if something is to be done outside: copy, export, record, order, quit. Inputs go to the model; before
//! a frame is drawn [`App::refresh`] brings both together.

mod action;
mod copy;
mod diagnosis;
mod events;
pub mod keys;
mod ladder;
pub mod lanes;
mod mouse;
pub mod payload;
mod prompt;
mod rooms;
mod ui;
mod update;

pub use action::{Action, Effect, Format, View};
pub use diagnosis::{FindingList, Item};
pub use events::EventList;
pub use keys::Focus;
pub use ladder::{Cursor, Detail, Ladder};
pub use prompt::Prompt;
pub use rooms::{Census, Column, RoomList, Row, Sorting, worst};
pub use ui::{Frozen, Notice, Orders, Origin, Over, Sieve, Ui};

use crate::model::Model;
use crate::view::layout::Screen;
use crate::wire::Input;
use crossterm::event::KeyEvent;

/// The model and the screen.
#[derive(Debug)]
pub struct App {
    /// What is known.
    pub model: Model,
    /// What is shown of it.
    pub ui: Ui,
    /// Something was done since the last frame.
    touched: bool,
    /// Generation and time (in whole seconds) of the model in the last frame.
    drawn: Option<(u64, u64)>,
    /// What the lists were last made from: generation of the model, number of the filter, whether paused.
    arranged: Option<(u64, u64, bool)>,
    /// The same of the findings, which are only listed while somebody looks at them.
    diagnosed: Option<(u64, u64, bool)>,
}

impl App {
    /// The first screen.
    pub fn new(model: Model, ui: Ui) -> Self {
        Self { model, ui, touched: true, drawn: None, arranged: None, diagnosed: None }
    }

    /// Gives the model an input.
    pub fn take(&mut self, input: Input) {
        self.model.take(input);
    }

    /// Does what a key asks for.
    pub fn key(&mut self, event: KeyEvent) -> Option<Effect> {
        keys::action(event, self.ui.focus()).and_then(|action| self.act(action))
    }

    /// Does something; gives what is to be done outside.
    pub fn act(&mut self, action: Action) -> Option<Effect> {
        self.touched = true;
        if !matches!(action, Action::Resize { .. }) {
            self.ui.notice = None;
        }
        // Keys come between frames: what they act on is what is there now.
        self.refresh();
        let effect = update::update(self, action);
        self.refresh();
        effect
    }

    /// Tells something in the footer for some seconds, as what became of an [`Effect`].
    pub fn tell(&mut self, text: impl Into<String>, fault: bool) {
        let now = self.model.now();
        self.ui.tell(now, text, fault);
        self.touched = true;
    }

    /// Says that everything is now recorded to this file, or no longer.
    pub fn record(&mut self, file: Option<String>) {
        self.ui.recording = file;
        self.touched = true;
    }

    /// Whether the next frame would look different from the last one; `true` once.
    pub fn changed(&mut self) -> bool {
        let seen = (self.model.generation(), self.model.now().as_millis() / 1000);
        let changed = self.touched || self.drawn != Some(seen);
        self.drawn = Some(seen);
        self.touched = false;
        changed
    }

    /// Brings the lists up to date with the model. Costs little if nothing changed; to be called before a frame.
    pub fn refresh(&mut self) {
        let Self { model, ui, .. } = self;
        if ui.notice.as_ref().is_some_and(|notice| notice.until < model.now()) {
            ui.notice = None;
        }
        let paused = ui.paused.is_some();
        let now = (model.generation(), ui.sieve.number, paused);
        let until = ui.paused.as_ref().map(|frozen| frozen.seq);
        // While paused, rows neither come nor go nor change places, unless somebody sorts or filters.
        let stale = match self.arranged {
            Some((_, number, was)) if was && paused => number != now.1,
            before => before != Some(now),
        };
        if stale || ui.rooms.unsorted() {
            let frozen = ui.paused.as_ref().map(|frozen| |room: &str| frozen.facts(room));
            ui.rooms.arrange(model, &ui.sieve, frozen);
            self.arranged = Some(now);
        }
        ui.has_agents = !ui.agents(model).is_empty();
        if ui.view == View::Diagnosis && self.diagnosed != self.arranged {
            diagnosis::arrange(ui, model);
            self.diagnosed = self.arranged;
        }
        ui.events.arrange(model, &ui.sieve.filter, ui.sieve.number, until);
        if ui.ladder.room.is_none()
            && let Some(room) = ui.rooms.selected().map(str::to_owned)
            && ui.view == View::Ladder
        {
            ui.ladder.open(&room);
        }
        let room = ui.ladder.room.clone();
        let wrong = room.as_deref().is_some_and(|room| !ui.findings(model, room).is_empty());
        let room = room.and_then(|room| model.room(&room));
        ui.ladder.wrong = wrong;
        ui.ladder.arrange(room, &ui.sieve.filter, ui.sieve.number, until);
        if let Some(screen) = Screen::of(ui) {
            let rows = screen.rows();
            match ui.view {
                View::Rooms => ui.rooms.scroll(rows),
                View::Ladder => ui.ladder.scroll(rows),
                View::Diagnosis => ui.diagnosis.scroll(rows),
                View::Events => ui.events.scroll(rows),
                View::Agents => {}
            }
        }
    }
}
