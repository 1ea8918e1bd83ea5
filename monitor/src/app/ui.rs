//! What the screen shows, apart from what there is to show.

use super::action::View;
use super::diagnosis::FindingList;
use super::events::EventList;
use super::keys::Focus;
use super::ladder::Ladder;
use super::prompt::Prompt;
use super::rooms::{Facts, RoomList, Row};
use crate::diagnosis::Finding;
use crate::filter::{Filter, FilterError};
use crate::model::{Agent, Model, Room};
use crate::recording::Pace;
use crate::redact::Redaction;
use crate::view::{Depth, Glyphs, Palette, Theme};
use protocol::{PeerId, Timestamp};
use std::collections::HashMap;

/// Where the messages come from, in words for the header.
#[derive(Debug, Clone, PartialEq)]
pub enum Origin {
    /// A broker.
    Broker {
        /// Its address, without user and password.
        url: String,
    },
    /// A recording.
    Recording {
        /// Name of the file.
        file: String,
        /// How fast it plays.
        pace: Pace,
    },
}

/// Whether orders may be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Orders {
    /// Yes.
    Allowed,
    /// No: the monitor was started to look only.
    ReadOnly,
    /// No: what is shown has long been.
    Replay,
}

impl Orders {
    /// Why none may be given, in words.
    pub fn forbidden(self) -> Option<&'static str> {
        match self {
            Orders::Allowed => None,
            Orders::ReadOnly => {
                Some("started with --read-only: nobody is removed and no room is closed; start without it to do so")
            }
            Orders::Replay => Some("this is a recording: there is nobody to remove and no room to close"),
        }
    }
}

/// What is asked over everything else.
#[derive(Debug, Clone)]
pub enum Over {
    /// All keys; the first line that is shown.
    Help(usize),
    /// The filter that is being written.
    Prompt(Prompt),
    /// In which form to export this room's ladder.
    Export(Box<str>),
    /// Which of these to remove from the room.
    Remove(Box<str>, Vec<PeerId>),
    /// Whether to close the room with these in it.
    Close(Box<str>, Vec<PeerId>),
}

/// Something to tell, for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// In words.
    pub text: String,
    /// Whether it says that something did not work.
    pub fault: bool,
    /// When it goes, by the model's time.
    pub until: Timestamp,
}

/// The screen as it stood when it was frozen. Messages stay in the model and are cut off at a number; what else
/// changes is kept as rows.
#[derive(Debug, Clone)]
pub struct Frozen {
    /// The last message that is shown.
    pub seq: u64,
    /// The time that is shown.
    pub at: Timestamp,
    /// Messages that the model had taken.
    pub messages: u64,
    rooms: HashMap<Box<str>, (Row, Vec<Finding>)>,
    agents: Vec<Agent>,
}

impl Frozen {
    pub(super) fn facts(&self, room: &str) -> Option<Facts<'_>> {
        self.rooms.get(room).map(|(row, findings)| Facts::of_row(row, findings))
    }
}

/// The filter in use.
#[derive(Debug, Clone, Default)]
pub struct Sieve {
    /// As it was written.
    pub text: String,
    /// As it is used.
    pub filter: Filter,
    /// Grows with every change, so that lists know when to sieve anew.
    pub number: u64,
}

/// What the screen shows, apart from what there is to show.
#[derive(Debug, Clone)]
pub struct Ui {
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    /// What is looked at.
    pub view: View,
    /// The rooms view.
    pub rooms: RoomList,
    /// The ladder view.
    pub ladder: Ladder,
    /// The diagnosis view.
    pub diagnosis: FindingList,
    /// The events view.
    pub events: EventList,
    /// The first line of the agents view that is on the screen.
    pub agents_top: usize,
    /// Whether there are agents to be shown.
    pub(super) has_agents: bool,
    /// What is asked over everything else.
    pub over: Option<Over>,
    /// The filter of all views.
    pub sieve: Sieve,
    /// The frozen screen, if it is.
    pub paused: Option<Frozen>,
    /// What was told last.
    pub notice: Option<Notice>,
    /// The file to which everything is recorded.
    pub recording: Option<String>,
    /// Where it comes from.
    pub origin: Origin,
    /// Whether orders may be given.
    pub orders: Orders,
    /// Address of the page, for "no rooms yet".
    pub page: Option<String>,
    /// What is kept from people who look over a shoulder.
    pub redaction: Redaction,
    /// Styles.
    pub theme: Theme,
    /// Characters.
    pub glyphs: Glyphs,
}

impl Ui {
    /// The first screen: all rooms, the worst on top.
    pub fn new(origin: Origin) -> Self {
        let orders = match origin {
            Origin::Broker { .. } => Orders::Allowed,
            Origin::Recording { .. } => Orders::Replay,
        };
        Self {
            size: (80, 24),
            view: View::Rooms,
            rooms: RoomList::default(),
            ladder: Ladder::default(),
            diagnosis: FindingList::default(),
            events: EventList::default(),
            agents_top: 0,
            has_agents: false,
            over: None,
            sieve: Sieve::default(),
            paused: None,
            notice: None,
            recording: None,
            origin,
            orders,
            page: None,
            redaction: Redaction::default(),
            theme: Theme::new(Palette::Dark, Depth::Many),
            glyphs: Glyphs::UNICODE,
        }
    }

    /// Uses a filter in all views.
    ///
    /// # Errors
    /// Those of the filter's grammar; then the one before stays.
    pub fn sift(&mut self, text: &str) -> Result<(), FilterError> {
        let filter = Filter::parse(text)?;
        self.sieve = Sieve { text: text.trim().to_owned(), filter, number: self.sieve.number + 1 };
        Ok(())
    }

    /// What has the keyboard.
    pub fn focus(&self) -> Focus {
        match (&self.over, self.view) {
            (Some(Over::Help(_)), _) => Focus::Help,
            (Some(Over::Prompt(_)), _) => Focus::Prompt,
            (Some(Over::Export(_)), _) => Focus::ExportMenu,
            (Some(Over::Remove(..)), _) => Focus::RemoveQuestion,
            (Some(Over::Close(..)), _) => Focus::CloseQuestion,
            (None, View::Rooms) => Focus::Rooms,
            (None, View::Ladder) if self.ladder.detail.is_some() => Focus::Detail,
            (None, View::Ladder) => Focus::Ladder,
            (None, View::Diagnosis) => Focus::Diagnosis,
            (None, View::Events) => Focus::Events,
            (None, View::Agents) => Focus::Agents,
        }
    }

    /// The time that is shown.
    pub fn now(&self, model: &Model) -> Timestamp {
        self.paused.as_ref().map_or_else(|| model.now(), |frozen| frozen.at)
    }

    /// Messages that came since the screen was frozen.
    pub fn waiting(&self, model: &Model) -> u64 {
        self.paused.as_ref().map_or(0, |frozen| model.figures().messages.saturating_sub(frozen.messages))
    }

    /// The room that what is done now is done to.
    pub fn room(&self) -> Option<&str> {
        match self.view {
            // A room that the filter hides is not what anybody means.
            View::Rooms => self.rooms.names().get(self.rooms.at()).map(|name| &**name),
            View::Ladder => self.ladder.room.as_deref(),
            View::Diagnosis => self.diagnosis.room(),
            View::Events => self.events.room(),
            View::Agents => None,
        }
    }

    /// A room's row as it is shown: as it stands, or as it stood when the screen was frozen.
    pub fn row(&self, model: &Model, name: &str) -> Option<Row> {
        match &self.paused {
            Some(frozen) => frozen.rooms.get(name).map(|(row, _)| row.clone()),
            None => model.room(name).map(Row::of),
        }
    }

    /// A room's findings as they are shown.
    pub fn findings<'a>(&'a self, model: &'a Model, name: &str) -> &'a [Finding] {
        match &self.paused {
            Some(frozen) => frozen.rooms.get(name).map_or(&[], |(_, findings)| findings),
            None => model.room(name).map_or(&[], Room::findings),
        }
    }

    /// The agents as they are shown.
    pub fn agents<'a>(&'a self, model: &'a Model) -> &'a [Agent] {
        self.paused.as_ref().map_or_else(|| model.agents(), |frozen| &frozen.agents)
    }

    /// The views that there are, in the order of their numbers: that of the agents only where any are asked.
    pub fn views(&self) -> &'static [View] {
        let all = &View::ALL[..];
        if self.has_agents { all } else { &all[..all.len() - 1] }
    }

    /// The view `steps` further than the one that is looked at, round and round.
    pub(super) fn walk(&self, steps: usize) -> View {
        let views = self.views();
        let at = views.iter().position(|&view| view == self.view).unwrap_or(0);
        views[(at + steps) % views.len()]
    }

    /// Freezes the screen.
    pub(super) fn freeze(&mut self, model: &Model) {
        let seen = |room: &Room| (room.name().into(), (Row::of(room), room.findings().to_vec()));
        self.paused = Some(Frozen {
            seq: model.seq(),
            at: model.now(),
            messages: model.figures().messages,
            rooms: model.rooms().map(seen).collect(),
            agents: model.agents().to_vec(),
        });
    }

    /// Tells something for some seconds.
    pub(super) fn tell(&mut self, now: Timestamp, text: impl Into<String>, fault: bool) {
        const SHOWN: std::time::Duration = std::time::Duration::from_secs(8);
        self.notice = Some(Notice { text: text.into(), fault, until: now.plus(SHOWN) });
    }

    /// Whether the ladder has a finding to show below it.
    pub fn finding_below(&self) -> bool {
        self.ladder.wrong
    }
}
