//! Who sits in a room, as far as the wire shows it: from the room's retained state, or from what was said.

use super::read::cut;
use super::weight;
use protocol::{Connection, Info, PeerId, Role, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value};

/// A member of a room.
#[derive(Debug, Clone, PartialEq)]
pub struct Seat {
    /// Who.
    pub peer: PeerId,
    /// First or second; unknown when only signals were seen.
    pub role: Option<Role>,
    /// Since when, as the agent states it, else when it was first seen.
    pub since: Timestamp,
    /// Whether its connection is lost and the grace time runs.
    pub away: bool,
    /// How its call with the present other member is doing, as it said last.
    pub connection: Option<Connection>,
    /// What it told of itself, as compact JSON.
    pub info: Option<Box<str>>,
    /// The `kind` that it told: `camera`, `browser` and the like.
    pub kind: Option<Box<str>>,
    /// When `connection` last changed, as a place in the sequence of inputs.
    pub(super) said: u64,
    /// `connection` in the last state that the agent published. It may be of an earlier call: only a change counts.
    pub(super) stated: Option<Connection>,
}

impl Seat {
    pub(super) fn new(peer: PeerId, role: Option<Role>, since: Timestamp) -> Self {
        Self { peer, role, since, away: false, connection: None, info: None, kind: None, said: 0, stated: None }
    }

    /// Takes what the peer tells of itself.
    pub(super) fn tell(&mut self, info: Option<&Map<String, Value>>) {
        const MAX_KIND: usize = 64;
        self.kind = info.and_then(|i| i.get("kind")).and_then(Value::as_str).map(|kind| cut(kind, MAX_KIND).into());
        self.info = info
            .and_then(|info| serde_json::to_string(info).ok())
            .filter(|text| text.len() <= Info::MAX_BYTES)
            .map(Into::into);
    }

    /// Takes how the peer says that its call is doing.
    pub(super) fn say(&mut self, connection: Connection, seq: u64) {
        if self.connection != Some(connection) {
            self.connection = Some(connection);
            self.said = seq;
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let optional = |text: &Option<Box<str>>| text.as_ref().map_or(0, |t| weight::text(t.len()));
        2 * size_of::<Self>() + weight::peer(&self.peer) + optional(&self.info) + optional(&self.kind)
    }
}

/// The retained state of a room, read leniently: what a newer agent adds or names otherwise must not hide the rest.
#[derive(Debug, Deserialize)]
pub(super) struct Stated {
    pub created_at: Option<Timestamp>,
    pub peers: Vec<StatedPeer>,
    #[serde(default)]
    pub messages: u64,
    #[serde(default)]
    pub refused: u64,
    pub rev: Option<u64>,
}

/// One member in it.
#[derive(Debug, Deserialize)]
pub(super) struct StatedPeer {
    pub id: PeerId,
    role: Option<Value>,
    pub since: Option<Timestamp>,
    #[serde(default)]
    pub away: bool,
    connection: Option<Value>,
    pub info: Option<Map<String, Value>>,
}

impl StatedPeer {
    pub fn role(&self) -> Option<Role> {
        self.role.as_ref().and_then(|role| Role::deserialize(role).ok())
    }

    pub fn connection(&self) -> Option<Connection> {
        self.connection.as_ref().and_then(|connection| Connection::deserialize(connection).ok())
    }
}
