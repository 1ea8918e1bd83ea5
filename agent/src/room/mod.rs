//! One room: its state, and [`step`], the only function that changes it.
//!
//! A room exists while at least one peer has a seat in it, so "no room" is `None` and every
//! [`Room`] has a first member. There are two places and no third: that no more than two are
//! inside is a matter of the type, not of a check.

pub mod invariant;
mod step;

pub use step::{Effect, Event, step};

use crate::ice::Ice;
use protocol::{Connection, Info, Other, PeerId, PeerState, Role, RoomId, RoomState, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What holds for every step of a room and comes from outside it.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// The room's name, for the answers that carry it.
    pub room: &'a RoomId,
    /// How long the seat of a lost peer is kept.
    pub grace: Duration,
    /// How long a member is taken to be there that says nothing, as answers tell it; whoever drives the room sees to it.
    pub lease: Option<Duration>,
    /// Least `rev` of a room that does not exist yet: one more than any room of that name had.
    pub rev_floor: u64,
    /// What peers are given for their `RTCPeerConnection`.
    pub ice: &'a Ice,
}

/// One room, at least one peer in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Room {
    created_at: Timestamp,
    rev: u64,
    refused: u64,
    created: Seat,
    joined: Option<Seat>,
}

/// One member's place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Seat {
    peer: PeerId,
    since: Timestamp,
    presence: Presence,
    connection: Option<Connection>,
    /// Boxed, since most peers say nothing of themselves and there is one for every peer.
    info: Option<Box<Info>>,
}

/// Whether a member has a connection. In one value, since nobody who is away is given anything.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Presence {
    /// It has; and it was given ICE servers then.
    Here { served: Timestamp },
    /// It is lost since then.
    Away { since: Timestamp },
}

impl Seat {
    fn new(peer: PeerId, info: Option<Info>, now: Timestamp) -> Self {
        let presence = Presence::Here { served: now };
        Self { peer, since: now, presence, connection: None, info: info.map(Box::new) }
    }

    /// Whose it is.
    pub fn peer(&self) -> &PeerId {
        &self.peer
    }

    /// When it was taken.
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// Since when the peer's connection is lost, if it is.
    pub fn away_since(&self) -> Option<Timestamp> {
        match self.presence {
            Presence::Away { since } => Some(since),
            Presence::Here { .. } => None,
        }
    }

    /// When the peer was given ICE servers last; `None` while it is away, and needs none.
    pub fn served(&self) -> Option<Timestamp> {
        match self.presence {
            Presence::Here { served } => Some(served),
            Presence::Away { .. } => None,
        }
    }

    /// Whether the peer's connection is lost and the grace time runs.
    pub fn is_away(&self) -> bool {
        matches!(self.presence, Presence::Away { .. })
    }

    /// How the peer's call is doing, as it said last.
    pub fn connection(&self) -> Option<Connection> {
        self.connection
    }

    /// What the peer told of itself.
    pub fn info(&self) -> Option<&Info> {
        self.info.as_deref()
    }

    /// The peer as the other one is shown it.
    fn shown(&self) -> Other {
        Other { id: self.peer.clone(), info: self.info().cloned() }
    }

    fn state(&self, role: Role) -> PeerState {
        PeerState {
            id: self.peer.clone(),
            role,
            since: self.since,
            away: self.is_away(),
            connection: self.connection,
            info: self.info().cloned(),
        }
    }
}

impl Room {
    fn new(first: Seat, now: Timestamp) -> Self {
        Self { created_at: now, rev: 0, refused: 0, created: first, joined: None }
    }

    /// The seats that are taken, the first peer's first.
    pub fn seats(&self) -> impl Iterator<Item = (Role, &Seat)> {
        std::iter::once((Role::Created, &self.created)).chain(self.joined.iter().map(|seat| (Role::Joined, seat)))
    }

    fn seats_mut(&mut self) -> impl Iterator<Item = &mut Seat> {
        std::iter::once(&mut self.created).chain(self.joined.as_mut())
    }

    /// The seat of `peer`, if it is a member.
    pub fn seat(&self, peer: &str) -> Option<&Seat> {
        self.seats().map(|(_, seat)| seat).find(|seat| seat.peer == *peer)
    }

    fn seat_mut(&mut self, peer: &str) -> Option<&mut Seat> {
        self.seats_mut().find(|seat| seat.peer == *peer)
    }

    /// The seat of the one who is in the room with `peer`.
    fn beside(&self, peer: &str) -> Option<&Seat> {
        self.seats().map(|(_, seat)| seat).find(|seat| seat.peer != *peer)
    }

    /// Who has been away longest; among equals the one who was there first.
    fn longest_away(&self) -> Option<&Seat> {
        self.seats().map(|(_, seat)| seat).filter(|seat| seat.is_away()).min_by_key(|seat| seat.away_since())
    }

    /// When [`Event::Tick`] is due next: a grace time runs out, or a member's ICE servers are to be
    /// renewed, which is `renewal` after it was given them ([`Ice::renewal`]).
    pub fn deadline(&self, grace: Duration, renewal: Option<Duration>) -> Option<Timestamp> {
        let due = |seat: &Seat| match seat.presence {
            Presence::Away { since } => Some(since.plus(grace)),
            Presence::Here { served } => renewal.map(|renewal| served.plus(renewal)),
        };
        self.seats().filter_map(|(_, seat)| due(seat)).min()
    }

    /// When the first peer came.
    pub fn created_at(&self) -> Timestamp {
        self.created_at
    }

    /// The `rev` that was given out last.
    pub fn rev(&self) -> u64 {
        self.rev
    }

    /// Gives out the next `rev`, for what is said about the room outside [`step`].
    pub(crate) fn next_rev(&mut self) -> u64 {
        self.rev += 1;
        self.rev
    }

    /// Joins and signals refused so far.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// The state as operators read it; `messages` are counted where they pass, not here.
    pub fn state(&self, room: RoomId, messages: u64) -> RoomState {
        RoomState {
            room,
            created_at: self.created_at,
            peers: self.seats().map(|(role, seat)| seat.state(role)).collect(),
            messages,
            refused: self.refused,
            rev: self.rev,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_is_small_and_survives_serialisation() {
        assert!(size_of::<Room>() <= 144, "{} bytes", size_of::<Room>());
        let now = Timestamp::from_millis(7);
        let mut room = Room::new(Seat::new(PeerId::new("alice").unwrap(), None, now), now);
        room.joined =
            Some(Seat { presence: Presence::Away { since: now }, ..Seat::new(PeerId::new("bob").unwrap(), None, now) });
        let json = serde_json::to_string(&room).unwrap();
        assert_eq!(serde_json::from_str::<Room>(&json).unwrap(), room);
    }
}
