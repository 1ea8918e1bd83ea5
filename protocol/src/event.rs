//! What happens in a room, as operators read it on `rooms/{room}/events`.

use crate::ids::PeerId;
use crate::message::{Connection, Reason};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomEvent {
    /// When.
    pub time: Timestamp,
    /// Its place in the room's history; see [`crate::message`].
    pub rev: u64,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happened, and to whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum What {
    /// A first peer came into the empty room.
    Created {
        /// Who.
        peer: PeerId,
    },
    /// A second peer came in.
    Joined {
        /// Who.
        peer: PeerId,
    },
    /// A third was turned away.
    Full {
        /// Who.
        peer: PeerId,
    },
    /// The one who was there has been told of the second.
    Arrived {
        /// Who came.
        peer: PeerId,
        /// Who was told.
        to: PeerId,
    },
    /// A member's connection is lost; the grace time runs.
    Away {
        /// Who.
        peer: PeerId,
    },
    /// A member joined again and has its seat as before.
    Resumed {
        /// Who.
        peer: PeerId,
    },
    /// A member is out.
    Left {
        /// Who.
        peer: PeerId,
        /// By its own will, lost, or removed.
        reason: Reason,
    },
    /// An operator removed a member.
    Removed {
        /// Who.
        peer: PeerId,
    },
    /// An operator closed the room.
    Closed,
    /// A member said how its call is doing.
    State {
        /// Who.
        peer: PeerId,
        /// What it said.
        connection: Connection,
        /// In its own words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    /// Somebody wanted what it may not.
    Refused {
        /// Who.
        peer: PeerId,
        /// Why not.
        why: String,
    },
    /// The agent could not read a message.
    BadMessage {
        /// Who sent it.
        peer: PeerId,
        /// What is wrong with it.
        why: String,
    },
}
