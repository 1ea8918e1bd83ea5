//! Who a client is and what it may do. Decides; never does I/O.

pub mod authenticate;
pub mod authorize;

use protocol::PeerId;

/// What a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Meets others in rooms.
    Peer,
    /// Reads everything; may close a room or remove a peer.
    Operator,
}

/// A client whose claim to its id has been accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its MQTT client identifier.
    pub id: PeerId,
    /// Its role.
    pub role: Role,
}
