//! The read view: may X signal Y in room R now? Asked for every signal, by many at once, so it
//! takes `&self` and one look-up.

use super::Rooms;
use crate::room::{Room, Seat};
use protocol::PeerId;
use std::sync::atomic::Ordering;

/// Whether a signal may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Both are in the room.
    Allowed,
    /// Both are, but the receiver's connection is lost: what is sent waits for its return.
    ToAway,
    /// It may not.
    NotAMember(Outside),
}

/// Why two peers are not in a room together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outside {
    /// The sender is not in the room. Whether the receiver is is then none of its business.
    Sender,
    /// The receiver is not in the room.
    Receiver,
    /// Both are the same peer.
    Oneself,
}

impl Outside {
    /// What the sender is told: what is wrong, and what would be right.
    pub fn explain(self, room: &str, from: &str, to: &str) -> String {
        match self {
            Outside::Sender => format!("{from} is not in {room}: join it before you signal {to}"),
            Outside::Receiver => format!("{to} is not in {room} with you"),
            Outside::Oneself => format!("a signal goes to the other member of {room}, not to {to} itself"),
        }
    }
}

impl Rooms {
    /// Whether `from` may signal `to` in `room` now. A sender whose own connection was lost and
    /// is back, but which has not joined again yet, is still a member.
    pub fn may_signal(&self, room: &str, from: &str, to: &str) -> Verdict {
        judge(self.room(room), from, to)
    }

    /// The same for a signal that is about to pass, which is counted if it may; see
    /// [`protocol::RoomState::messages`].
    pub fn pass_signal(&self, room: &str, from: &str, to: &str) -> Verdict {
        let entry = self.rooms.get(room);
        let verdict = judge(entry.and_then(|entry| entry.room.as_ref()), from, to);
        if let (Some(entry), Verdict::Allowed | Verdict::ToAway) = (entry, verdict) {
            entry.messages.fetch_add(1, Ordering::Relaxed);
        }
        verdict
    }

    /// Whether there is a room of this name.
    pub fn exists(&self, room: &str) -> bool {
        self.rooms.contains_key(room)
    }

    /// In how many rooms a peer is, present or away.
    pub fn seats_of(&self, peer: &str) -> usize {
        self.seats.get(peer).map_or(0, |rooms| rooms.len())
    }

    /// Whether `peer` is a member of `room`, present or away.
    pub fn is_member(&self, room: &str, peer: &str) -> bool {
        self.room(room).is_some_and(|room| room.seat(peer).is_some())
    }

    /// Who is in a room, present or away; nobody if there is no such room.
    pub fn members(&self, room: &str) -> impl Iterator<Item = &PeerId> {
        self.room(room).into_iter().flat_map(Room::seats).map(|(_, seat)| seat.peer())
    }

    /// Whether `peer` is a member of any room, present or away.
    pub fn has_seat(&self, peer: &str) -> bool {
        self.seats.contains_key(peer)
    }

    /// Whether `peer` is a member of `room` whose connection is lost.
    pub fn is_away(&self, room: &str, peer: &str) -> bool {
        self.room(room).and_then(|room| room.seat(peer)).is_some_and(Seat::is_away)
    }

    fn room(&self, room: &str) -> Option<&Room> {
        self.rooms.get(room)?.room.as_ref()
    }
}

fn judge(room: Option<&Room>, from: &str, to: &str) -> Verdict {
    let seat = |peer| room.and_then(|room| room.seat(peer));
    match (seat(from), seat(to)) {
        (None, _) => Verdict::NotAMember(Outside::Sender),
        (Some(_), _) if from == to => Verdict::NotAMember(Outside::Oneself),
        (Some(_), None) => Verdict::NotAMember(Outside::Receiver),
        (Some(_), Some(to)) if to.is_away() => Verdict::ToAway,
        (Some(_), Some(_)) => Verdict::Allowed,
    }
}
