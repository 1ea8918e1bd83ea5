//! One arrow of a room's ladder: who said what to whom, as it was on the wire and as it was understood.

use super::weight;
use crate::sdp::{Candidate, Description};
use bytes::Bytes;
use protocol::ids::AGENT;
use protocol::{Connection, Control, Info, PeerId, Timestamp, Topic, What};
use std::fmt;
use std::sync::Arc;

/// Who stands at an end of an arrow.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Party {
    /// A peer, in the room or outside of it.
    Peer(PeerId),
    /// The room agent; also stands for the broker when it refuses something.
    Agent,
    /// Whoever gives orders on `control/{room}`.
    Operator,
}

impl Party {
    /// The peer, if it is one.
    pub fn peer(&self) -> Option<&PeerId> {
        match self {
            Party::Peer(peer) => Some(peer),
            Party::Agent | Party::Operator => None,
        }
    }

    /// Its name on the wire; operators have none there.
    pub fn name(&self) -> &str {
        match self {
            Party::Peer(peer) => peer.as_str(),
            Party::Agent => AGENT,
            Party::Operator => "operator",
        }
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What was said, as far as it could be read.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// A description that asks for an answer (RFC 3264).
    Offer(Arc<Description>),
    /// The answer to one.
    Answer(Arc<Description>),
    /// A way to reach the sender (RFC 8838).
    Candidate(Box<Candidate>),
    /// There are no more of them.
    EndOfCandidates,
    /// "You may offer."
    Ready,
    /// The call is over; both stay.
    Bye,
    /// A seat is wanted.
    Join {
        /// What the peer tells of itself.
        info: Option<Info>,
    },
    /// A seat is given up.
    Leave {
        /// Whether a will says so.
        lost: bool,
    },
    /// How the peer's call is doing.
    State {
        /// `RTCPeerConnection.connectionState`.
        connection: Connection,
        /// In its own words.
        detail: Option<Box<str>>,
    },
    /// The agent speaks.
    FromAgent(Box<protocol::Said>),
    /// An operator's order.
    Order(Control),
    /// Something that happened in the room without a message that shows it.
    Event(What),
    /// Somebody wanted what it may not; nobody received it.
    Refused {
        /// Why, in the broker's words.
        why: Box<str>,
    },
    /// A type that the contract does not name; passed on untouched.
    Other(Box<str>),
    /// It cannot be read as what it should be.
    Malformed {
        /// The type that it claims, if it has one.
        kind: Option<Box<str>>,
        /// What is wrong and what would be right.
        why: Box<str>,
    },
}

impl Said {
    /// The type as the wire, filters and tables name it.
    pub fn kind(&self) -> &str {
        use protocol::Said as Agent;
        match self {
            Said::Offer(_) => "offer",
            Said::Answer(_) => "answer",
            Said::Candidate(_) | Said::EndOfCandidates => "candidate",
            Said::Ready => "ready",
            Said::Bye => "bye",
            Said::Join { .. } => "join",
            Said::Leave { .. } => "leave",
            Said::State { .. } => "state",
            Said::FromAgent(said) => match **said {
                Agent::Created { .. } => "created",
                Agent::Joined { .. } => "joined",
                Agent::Full { .. } => "full",
                Agent::Arrived { .. } => "arrived",
                Agent::Left { .. } => "left",
                Agent::Closed { .. } => "closed",
                Agent::IceServers { .. } => "ice-servers",
                Agent::Error { .. } => "error",
            },
            Said::Order(Control::Remove { .. }) => "remove",
            Said::Order(Control::Close) => "close",
            Said::Event(what) => event_kind(what),
            Said::Refused { .. } => "refused",
            Said::Other(kind) => kind,
            Said::Malformed { .. } => "malformed",
        }
    }
}

/// The `type` of a room event.
pub fn event_kind(what: &What) -> &'static str {
    match what {
        What::Created { .. } => "created",
        What::Joined { .. } => "joined",
        What::Full { .. } => "full",
        What::Arrived { .. } => "arrived",
        What::Away { .. } => "away",
        What::Resumed { .. } => "resumed",
        What::Left { .. } => "left",
        What::Removed { .. } => "removed",
        What::Closed => "closed",
        What::State { .. } => "state",
        What::Refused { .. } => "refused",
        What::BadMessage { .. } => "bad-message",
    }
}

/// The peer that a room event is about, if it is about one.
pub fn event_peer(what: &What) -> Option<&PeerId> {
    match what {
        What::Created { peer }
        | What::Joined { peer }
        | What::Full { peer }
        | What::Arrived { peer, .. }
        | What::Away { peer }
        | What::Resumed { peer }
        | What::Left { peer, .. }
        | What::Removed { peer }
        | What::State { peer, .. }
        | What::Refused { peer, .. }
        | What::BadMessage { peer, .. } => Some(peer),
        What::Closed => None,
    }
}

/// One arrow of the ladder.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its place among everything that the model took; grows, with gaps, and is never used twice.
    pub seq: u64,
    /// When it came.
    pub at: Timestamp,
    /// Who said it.
    pub from: Party,
    /// To whom.
    pub to: Party,
    /// What.
    pub what: Said,
    /// The payload as it came, at most [`Entry::KEPT`] bytes of it.
    pub payload: Bytes,
    /// How many bytes the payload had.
    pub size: usize,
    /// Quality of service of the delivery to us.
    pub qos: u8,
    /// Whether the broker had it kept, so that it may be old.
    pub retain: bool,
}

impl Entry {
    /// How much of a payload is kept, in bytes: four times what the contract allows a message to have. What is
    /// longer can only come from a foreign broker, is cut here and judged malformed.
    pub const KEPT: usize = 256 * 1024;

    /// Whether all of the payload is kept.
    pub fn whole(&self) -> bool {
        self.payload.len() == self.size
    }

    /// The topic on which it stands in `room`.
    pub fn topic(&self, room: &str) -> String {
        match (&self.what, &self.from, &self.to) {
            (Said::Order(_), ..) => Topic::Control { room }.to_string(),
            (Said::Event(_) | Said::Refused { .. }, ..) => Topic::Events { room }.to_string(),
            (_, from, Party::Agent) => Topic::ToAgent { room, from: from.name() }.to_string(),
            (_, Party::Agent, to) => Topic::FromAgent { room, to: to.name() }.to_string(),
            (_, from, to) => Topic::Signal { room, to: to.name(), from: from.name() }.to_string(),
        }
    }

    /// Bytes that it holds in memory; never fewer than it does.
    pub fn bytes(&self) -> usize {
        weight::entry(self)
    }
}
