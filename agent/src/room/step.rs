//! The rules of a room: what happens to it, and what follows.
//!
//! Whoever is already inside is told first: a newcomer's `ready` can then never reach somebody
//! who has not heard of the newcomer. A member that is away has no connection and is told
//! nothing; when it comes back its answer shows the room as it is then.

use super::{Presence, Room, Rules, Seat};
use protocol::{
    AgentMessage, ClosedReason, Connection, ErrorCode, Info, MessageError, PeerId, Reason, RoomEvent, Said, Timestamp,
    VERSION, What,
};
use serde::Serialize;
use smallvec::SmallVec;
use std::fmt;

/// What happens to a room.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A peer wants in, or wants its answer again.
    Join {
        /// Who.
        peer: PeerId,
        /// What the other one shall be shown of it; `None` leaves what it said before.
        info: Option<Info>,
        /// Whether its rights let it be the first in an empty room.
        may_create: bool,
    },
    /// A peer says that it leaves, or its will says that it is lost.
    Leave {
        /// Who.
        peer: PeerId,
        /// Whether it is a will that speaks: the seat is kept for the grace time.
        lost: bool,
    },
    /// A peer's connection ended.
    Ended {
        /// Whose.
        peer: PeerId,
        /// Without a DISCONNECT: the seat is kept for the grace time.
        lost: bool,
    },
    /// A peer says how its call is doing.
    State {
        /// Who.
        peer: PeerId,
        /// `RTCPeerConnection.connectionState`.
        connection: Connection,
        /// In its own words.
        detail: Option<String>,
    },
    /// An operator puts a peer out; nothing happens if it is not inside.
    Remove {
        /// Whom.
        peer: PeerId,
    },
    /// An operator puts everybody out.
    Close,
    /// The broker refused something that a peer sent to or in this room, and told it so.
    Refused {
        /// Who.
        peer: PeerId,
        /// Which rule.
        code: ErrorCode,
        /// In words.
        why: String,
    },
    /// A peer sent what cannot be read.
    Bad {
        /// Who.
        peer: PeerId,
        /// What is wrong with it.
        error: MessageError,
    },
    /// Time has passed; see [`Room::deadline`].
    Tick,
}

/// What follows from an event, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// A message goes out.
    Tell {
        /// To whom.
        to: PeerId,
        /// What.
        message: AgentMessage,
    },
    /// Operators read it in the room's history.
    Happened(RoomEvent),
    /// A member is back and has its answer: what was kept for it follows now.
    Resume {
        /// Who.
        peer: PeerId,
    },
    /// A seat is lost: what was kept for its peer is dropped.
    Forget {
        /// Whose.
        peer: PeerId,
    },
    /// The room's state is another than before, or the room is new or gone.
    Changed,
}

/// Lets `event` happen to `room` at the time `now`; what follows is appended to `effects`.
///
/// `None` is a room that does not exist. Revisions grow by one with every message and every
/// event, from [`Rules::rev_floor`] or the time in milliseconds for a new room, whichever is
/// greater. Time may go back: no grace time, and no life of credentials, then lasts longer than from
/// the new time on.
pub fn step(room: &mut Option<Room>, event: Event, now: Timestamp, rules: &Rules<'_>, effects: &mut Vec<Effect>) {
    #[cfg(debug_assertions)]
    let (before, happened, start) = (room.clone(), event.clone(), effects.len());

    let rev = match room {
        Some(room) => room.rev,
        None => now.as_millis().max(rules.rev_floor).saturating_sub(1),
    };
    let mut turn = Turn { room, rev, now, rules, effects, changed: false };
    turn.forgive_the_clock();
    turn.take(event);
    turn.end();

    #[cfg(debug_assertions)]
    {
        let effects = &effects[start..];
        let step = super::invariant::Step {
            before: before.as_ref(),
            event: &happened,
            after: room.as_ref(),
            effects,
            now,
            rules,
        };
        assert_eq!(super::invariant::broken(&step), None, "{step:?}");
    }
}

/// One call of [`step`].
struct Turn<'a> {
    room: &'a mut Option<Room>,
    /// Given out last.
    rev: u64,
    now: Timestamp,
    rules: &'a Rules<'a>,
    effects: &'a mut Vec<Effect>,
    changed: bool,
}

impl Turn<'_> {
    /// Nobody is away since a time that has not come yet, or was given anything then.
    fn forgive_the_clock(&mut self) {
        for seat in self.room.iter_mut().flat_map(Room::seats_mut) {
            let (Presence::Here { served: since } | Presence::Away { since }) = &mut seat.presence;
            *since = (*since).min(self.now);
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Join { peer, info, may_create } => self.join(peer, info, may_create),
            Event::Leave { peer, lost } | Event::Ended { peer, lost } if self.is_member(&peer) => {
                if lost {
                    self.lose(&peer);
                } else {
                    self.vacate(&peer, Reason::Left);
                }
            }
            Event::Leave { peer, lost: false } => self.turn_away(&peer, "leave"),
            // A will of somebody who had left already, or a connection that had nothing to do
            // with this room: nobody waits for an answer.
            Event::Leave { .. } | Event::Ended { .. } => {}
            Event::State { peer, connection, detail } => self.note(peer, connection, detail),
            Event::Remove { peer } => self.remove(&peer),
            Event::Close => self.close(),
            Event::Refused { peer, code, why } => self.refuse(&peer, code, &why),
            Event::Bad { peer, error } => self.bad(peer, &error),
            Event::Tick => self.tick(),
        }
    }

    fn end(self) {
        if let Some(room) = self.room {
            room.rev = self.rev;
        }
        if self.changed {
            self.effects.push(Effect::Changed);
        }
    }

    fn is_member(&self, peer: &PeerId) -> bool {
        self.room.as_ref().is_some_and(|room| room.seat(peer.as_str()).is_some())
    }

    fn next_rev(&mut self) -> u64 {
        self.rev += 1;
        self.rev
    }

    fn tell(&mut self, to: &PeerId, said: Said) {
        let message = AgentMessage { said, rev: self.next_rev() };
        self.effects.push(Effect::Tell { to: to.clone(), message });
    }

    fn happened(&mut self, what: What) {
        let event = RoomEvent { time: self.now, rev: self.next_rev(), what };
        self.effects.push(Effect::Happened(event));
    }

    fn join(&mut self, peer: PeerId, info: Option<Info>, may_create: bool) {
        if self.is_member(&peer) {
            return self.join_again(&peer, info);
        }
        if self.room.is_none() && !may_create {
            let message = "the room is empty and your rights let you join, not create".into();
            return self.tell(&peer, Said::Error { code: ErrorCode::Forbidden, message });
        }
        let taken = self.room.as_ref().is_some_and(|room| room.joined.is_some());
        let ghost = self.room.as_ref().and_then(Room::longest_away).map(|seat| seat.peer.clone());
        match (taken, ghost) {
            (false, _) => {}
            // The ghost is not told that it is `replaced`: it has no connection to be told on.
            (true, Some(ghost)) => self.vacate(&ghost, Reason::Lost),
            (true, None) => return self.full(&peer),
        }
        let seat = Seat::new(peer.clone(), info, self.now);
        let newcomer = seat.shown();
        self.changed = true;
        let Some(room) = &mut *self.room else {
            *self.room = Some(Room::new(seat, self.now));
            self.answer(&peer, false);
            return self.happened(What::Created { peer });
        };
        room.joined = Some(seat);
        let host = (!room.created.is_away()).then(|| room.created.peer.clone());
        if let Some(host) = &host {
            self.tell(host, Said::Arrived { peer: newcomer });
        }
        self.answer(&peer, false);
        self.happened(What::Joined { peer: peer.clone() });
        if let Some(to) = host {
            self.happened(What::Arrived { peer, to });
        }
    }

    fn join_again(&mut self, peer: &PeerId, info: Option<Info>) {
        let Some(seat) = self.room.as_mut().and_then(|room| room.seat_mut(peer.as_str())) else { return };
        let resumed = seat.is_away();
        seat.presence = Presence::Here { served: self.now };
        let news = info.is_some() && info.as_ref() != seat.info();
        if news {
            seat.info = info.map(Box::new);
        }
        self.changed |= resumed || news;
        self.answer(peer, resumed);
        if resumed {
            self.effects.push(Effect::Resume { peer: peer.clone() });
            self.happened(What::Resumed { peer: peer.clone() });
        }
    }

    /// `created` or `joined`, as the room is now.
    fn answer(&mut self, peer: &PeerId, resumed: bool) {
        let Some(room) = &*self.room else { return };
        let other = room.beside(peer.as_str()).map(Seat::shown);
        let is_second = room.joined.as_ref().is_some_and(|seat| seat.peer == *peer);
        let (v, you) = (VERSION, peer.clone());
        let lease = self.rules.lease.map(|lease| lease.as_secs().max(1));
        let (room, ice_servers) = (self.rules.room.to_string(), self.rules.ice.servers(peer, self.now));
        let said = match other {
            Some(peer) if is_second => Said::Joined { v, room, you, peer, ice_servers, resumed, lease },
            peer => Said::Created { v, room, you, peer, ice_servers, resumed, lease },
        };
        self.tell(peer, said);
    }

    fn full(&mut self, peer: &PeerId) {
        self.tell(peer, Said::Full { room: self.rules.room.to_string() });
        if let Some(room) = self.room {
            room.refused += 1;
        }
        self.changed = true;
        self.happened(What::Full { peer: peer.clone() });
    }

    fn lose(&mut self, peer: &PeerId) {
        let Some(seat) = self.room.as_mut().and_then(|room| room.seat_mut(peer.as_str())) else { return };
        if seat.is_away() {
            return;
        }
        seat.presence = Presence::Away { since: self.now };
        self.changed = true;
        self.happened(What::Away { peer: peer.clone() });
    }

    /// A member is out. The one who stays is the first from now on: the next to come is polite
    /// again, as perfect negotiation wants it of exactly one of them.
    fn vacate(&mut self, peer: &PeerId, reason: Reason) {
        let Some(room) = &mut *self.room else { return };
        if room.created.peer == *peer {
            match room.joined.take() {
                Some(stays) => room.created = stays,
                None => *self.room = None,
            }
        } else {
            room.joined = None;
        }
        self.changed = true;
        self.effects.push(Effect::Forget { peer: peer.clone() });
        let stays = self.room.as_ref().filter(|room| !room.created.is_away()).map(|room| room.created.peer.clone());
        if let Some(stays) = stays {
            self.tell(&stays, Said::Left { peer: peer.clone(), reason });
        }
        self.happened(What::Left { peer: peer.clone(), reason });
    }

    fn note(&mut self, peer: PeerId, connection: Connection, detail: Option<String>) {
        let Some(seat) = self.room.as_mut().and_then(|room| room.seat_mut(peer.as_str())) else {
            return self.turn_away(&peer, "tell the state of your call");
        };
        self.changed |= seat.connection != Some(connection);
        seat.connection = Some(connection);
        self.happened(What::State { peer, connection, detail });
    }

    fn remove(&mut self, peer: &PeerId) {
        let Some(seat) = self.room.as_ref().and_then(|room| room.seat(peer.as_str())) else { return };
        if !seat.is_away() {
            self.tell(peer, Said::Closed { reason: ClosedReason::Removed });
        }
        self.happened(What::Removed { peer: peer.clone() });
        self.vacate(peer, Reason::Removed);
    }

    fn close(&mut self) {
        let Some(room) = self.room.take() else { return };
        for (_, seat) in room.seats() {
            if !seat.is_away() {
                self.tell(&seat.peer, Said::Closed { reason: ClosedReason::RoomClosed });
            }
            self.effects.push(Effect::Forget { peer: seat.peer.clone() });
        }
        self.happened(What::Closed);
        self.changed = true;
    }

    /// Something that only members may.
    fn turn_away(&mut self, peer: &PeerId, what: &str) {
        let code = ErrorCode::NotAMember;
        let message = format!("{peer} is not in {}: join it before you {what}", self.rules.room);
        self.tell(peer, Said::Error { code, message: message.clone() });
        self.refuse(peer, code, &message);
    }

    fn refuse(&mut self, peer: &PeerId, code: ErrorCode, why: &str) {
        let Some(room) = self.room else { return };
        room.refused += 1;
        self.changed = true;
        self.happened(What::Refused { peer: peer.clone(), why: format!("{}: {why}", AsOnTheWire(code)) });
    }

    fn bad(&mut self, peer: PeerId, error: &MessageError) {
        self.tell(&peer, Said::Error { code: error.code(), message: error.to_string() });
        if self.room.is_some() {
            self.happened(What::BadMessage { peer, why: error.to_string() });
        }
    }

    fn tick(&mut self) {
        while let Some(seat) = self.room.as_ref().and_then(Room::longest_away)
            && seat.away_since().is_some_and(|since| since.plus(self.rules.grace) <= self.now)
        {
            let peer = seat.peer.clone();
            self.vacate(&peer, Reason::Lost);
        }
        self.renew();
    }

    /// Members whose credentials have lived long enough get new ones. Operators hear nothing of
    /// it: the room is as before.
    fn renew(&mut self) {
        let (now, Some(renewal)) = (self.now, self.rules.ice.renewal()) else { return };
        let mut due = SmallVec::<[PeerId; 2]>::new();
        for seat in self.room.iter_mut().flat_map(Room::seats_mut) {
            if seat.served().is_some_and(|served| served.plus(renewal) <= now) {
                seat.presence = Presence::Here { served: now };
                due.push(seat.peer.clone());
            }
        }
        for peer in due {
            let ice_servers = self.rules.ice.servers(&peer, now);
            self.tell(&peer, Said::IceServers { ice_servers });
        }
    }
}

/// An error code as its message spells it.
struct AsOnTheWire(ErrorCode);

impl fmt::Display for AsOnTheWire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.serialize(f)
    }
}
