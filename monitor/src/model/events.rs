//! What happens in the whole system, as one stream: in rooms, at the broker, and to our own connection.

use super::agents::AgentState;
use super::weight;
use crate::wire::Link;
use protocol::{PeerId, RoomId, Timestamp, What};
use serde::Deserialize;
use std::collections::VecDeque;

/// One line of the stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Happening {
    /// Its place among everything that the model took.
    pub seq: u64,
    /// When it came.
    pub at: Timestamp,
    /// In which room, if in one.
    pub room: Option<RoomId>,
    /// What.
    pub what: Happened,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Happened {
    /// In a room, as the agent says.
    Room(What),
    /// A room is gone that had not been heard of again since the connection came back.
    Gone,
    /// At the broker, as its audit says.
    Audit(Box<Audit>),
    /// Our connection changed.
    Link(Link),
    /// The broker is another one than before: its uptime began anew.
    Restarted,
    /// An agent is not as it was.
    Agent {
        /// What it is called.
        name: Box<str>,
        /// How it is now.
        state: AgentState,
    },
    /// Messages were dropped unread.
    Lost {
        /// How many.
        messages: u64,
    },
    /// Something could not be read.
    Unread {
        /// The topic, cut to a bearable length; empty for a line of a recording.
        topic: Box<str>,
        /// What is wrong with it.
        why: Box<str>,
    },
}

/// A line of the broker's audit, `$SYS/broker/audit`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Audit {
    /// When, by the broker's clock.
    pub time: Option<Timestamp>,
    /// What happened: one word.
    pub what: String,
    /// Why, in words.
    pub why: Option<String>,
    /// Client identifier.
    pub client: Option<String>,
    /// User name.
    pub user: Option<String>,
    /// Where from: address and port.
    pub address: Option<String>,
}

impl Audit {
    /// Longest field that is kept, in bytes.
    const MAX_FIELD: usize = 256;

    /// Reads a line of the audit.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn decode(payload: &[u8]) -> Result<Self, serde_json::Error> {
        let mut audit: Self = serde_json::from_slice(payload)?;
        let fields = [&mut audit.why, &mut audit.client, &mut audit.user, &mut audit.address];
        for field in fields.into_iter().flatten().chain([&mut audit.what]) {
            *field = super::read::cut(field, Self::MAX_FIELD).to_owned();
        }
        Ok(audit)
    }

    fn bytes(&self) -> usize {
        let optional = |text: &Option<String>| text.as_ref().map_or(0, |t| weight::text(t.capacity()));
        size_of::<Self>()
            + weight::text(self.what.capacity())
            + optional(&self.why)
            + optional(&self.client)
            + optional(&self.user)
            + optional(&self.address)
    }
}

impl Happening {
    /// Its type, as filters and tables name it.
    pub fn kind(&self) -> &str {
        match &self.what {
            Happened::Room(what) => super::entry::event_kind(what),
            Happened::Gone => "gone",
            Happened::Audit(audit) => &audit.what,
            Happened::Link(Link::Connecting) => "connecting",
            Happened::Link(Link::Connected) => "connected",
            Happened::Link(Link::Lost { .. }) => "disconnected",
            Happened::Link(Link::Refused { .. }) => "login-refused",
            Happened::Restarted => "restarted",
            Happened::Agent { .. } => "agent",
            Happened::Lost { .. } => "lost",
            Happened::Unread { .. } => "unread",
        }
    }

    /// The peer (or, in the audit, the client) that it is about.
    pub fn peer(&self) -> Option<&str> {
        match &self.what {
            Happened::Room(what) => super::entry::event_peer(what).map(PeerId::as_str),
            Happened::Audit(audit) => audit.client.as_deref(),
            Happened::Agent { name, .. } => Some(name),
            _ => None,
        }
    }

    /// Why it happened or what was said, if there are words for it.
    pub fn words(&self) -> Option<&str> {
        match &self.what {
            Happened::Room(What::Refused { why, .. } | What::BadMessage { why, .. }) => Some(why),
            Happened::Room(What::State { detail, .. }) => detail.as_deref(),
            Happened::Audit(audit) => audit.why.as_deref(),
            Happened::Link(Link::Lost { why } | Link::Refused { why }) => Some(why),
            Happened::Agent { state, .. } => Some(state.words()),
            Happened::Unread { why, .. } => Some(why),
            _ => None,
        }
    }

    /// Bytes that it holds in memory; never fewer than it does.
    fn bytes(&self) -> usize {
        2 * size_of::<Self>()
            + self.room.as_ref().map_or(0, |room| weight::text(room.as_str().len() + 24))
            + match &self.what {
                Happened::Room(what) => weight::event(what),
                Happened::Audit(audit) => audit.bytes(),
                Happened::Link(Link::Lost { why } | Link::Refused { why }) => weight::text(why.capacity()),
                Happened::Agent { name, state } => weight::text(name.len()) + weight::text(state.words().len()),
                Happened::Unread { topic, why } => weight::text(topic.len()) + weight::text(why.len()),
                Happened::Gone
                | Happened::Link(Link::Connecting | Link::Connected)
                | Happened::Restarted
                | Happened::Lost { .. } => 0,
            }
    }
}

/// The stream, oldest first.
#[derive(Debug, Default)]
pub struct EventLog {
    lines: VecDeque<Happening>,
    bytes: usize,
    evicted: u64,
}

impl EventLog {
    /// Its lines, oldest first.
    pub fn lines(&self) -> &VecDeque<Happening> {
        &self.lines
    }

    /// Where the first line with that number or a later one stands.
    pub fn index(&self, seq: u64) -> usize {
        self.lines.partition_point(|line| line.seq < seq)
    }

    /// Lines that were let go of to stay within the bounds.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn push(&mut self, line: Happening) {
        self.bytes += line.bytes();
        self.lines.push_back(line);
    }

    /// Lets the oldest go until there are at most so many lines and bytes; the bytes that went.
    pub(super) fn keep_within(&mut self, lines: usize, bytes: usize) -> u64 {
        let before = self.bytes;
        while self.lines.len() > lines || self.bytes > bytes {
            let Some(line) = self.lines.pop_front() else { break };
            self.bytes -= line.bytes();
            self.evicted += 1;
        }
        (before - self.bytes) as u64
    }
}
