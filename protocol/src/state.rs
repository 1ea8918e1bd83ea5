//! The retained state of a room, as operators read it on `rooms/{room}`.

use crate::ids::{PeerId, RoomId};
use crate::message::{Connection, Info};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Which of the two a peer is. The one that created the room (or is alone in it) is impolite in
/// the sense of perfect negotiation, the one that joined is polite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Was there first.
    Created,
    /// Came second.
    Joined,
}

/// One member of a room.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PeerState {
    /// Its name.
    pub id: PeerId,
    /// First or second.
    pub role: Role,
    /// When it took its seat.
    pub since: Timestamp,
    /// Whether its connection is lost and the grace time runs.
    pub away: bool,
    /// How its call is doing, as it said last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<Connection>,
    /// What it told of itself when it joined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<Info>,
}

/// The state of a room.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoomState {
    /// Its name.
    pub room: RoomId,
    /// When its first peer came.
    pub created_at: Timestamp,
    /// Who is in it; at most two.
    pub peers: Vec<PeerState>,
    /// Signals passed from peer to peer so far.
    pub messages: u64,
    /// Joins and signals refused so far.
    pub refused: u64,
    /// Grows with everything the agent says about the room.
    pub rev: u64,
}
