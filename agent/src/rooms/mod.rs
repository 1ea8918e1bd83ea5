//! All rooms: finds the room that something is about, keeps who is in which and when time next
//! changes something there, and forgets everything of a room that is gone.
//!
//! Pure like [`crate::room`]: the caller brings bytes, time and the news of ended connections,
//! and carries out what [`Rooms::handle`] gives it, in that order.

mod membership;

pub use membership::{Outside, Verdict};

use crate::ice::Ice;
use crate::room::{Effect, Event, Room, Rules, step};
use ahash::HashMap;
use protocol::{AgentMessage, Control, ErrorCode, PeerId, PeerMessage, RoomEvent, RoomId, RoomState, Said, Timestamp};
use smallvec::SmallVec;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What holds for every room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How long the seat of a lost peer is kept.
    pub grace: Duration,
    /// What peers are given for their `RTCPeerConnection`.
    pub ice: Ice,
}

impl Default for Config {
    /// Ten seconds of grace and no ICE servers.
    fn default() -> Self {
        Self { grace: Duration::from_secs(10), ice: Ice::default() }
    }
}

/// What comes in.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// A peer said something to the agent, on `rooms/{room}/agent/{from}`.
    Message {
        /// The room it is about.
        room: &'a str,
        /// Who.
        from: &'a PeerId,
        /// What, as it came.
        payload: &'a [u8],
        /// Whether the peer's rights let it be the first in an empty room.
        may_create: bool,
    },
    /// An operator ordered something, on `control/{room}`. What cannot be read is not followed;
    /// whoever wants to tell the operator so asks [`Control::decode`] first.
    Order {
        /// The room it is about.
        room: &'a str,
        /// What, as it came.
        payload: &'a [u8],
    },
    /// A peer's connection ended; it concerns every room that it is in.
    Ended {
        /// Whose.
        peer: &'a PeerId,
        /// Without a DISCONNECT, or because another took its place.
        lost: bool,
    },
    /// The broker refused something that a peer sent; [`Rooms::error`] makes what it is told.
    Refused {
        /// The room it was sent to or in.
        room: &'a str,
        /// Who.
        peer: &'a PeerId,
        /// Which rule.
        code: ErrorCode,
        /// In words.
        why: &'a str,
    },
    /// Time has passed; see [`Rooms::next_deadline`].
    Tick,
}

/// What follows, each with its room; see [`Effect`].
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// A message goes out, on `rooms/{room}/{to}/agent`.
    Tell {
        /// The room it is about.
        room: RoomId,
        /// To whom.
        to: PeerId,
        /// What.
        message: AgentMessage,
    },
    /// Operators read it on `rooms/{room}/events`.
    Happened {
        /// Where.
        room: RoomId,
        /// What.
        event: RoomEvent,
    },
    /// The retained state on `rooms/{room}` is out of date: [`Rooms::state`] has the new one.
    Changed {
        /// Which.
        room: RoomId,
    },
    /// A member is back and has its answer: what was kept for it follows now.
    Resume {
        /// In which room.
        room: RoomId,
        /// Who.
        peer: PeerId,
    },
    /// A seat is lost: what was kept for its peer in this room is dropped.
    Forget {
        /// In which room.
        room: RoomId,
        /// Whose.
        peer: PeerId,
    },
}

/// All rooms.
#[derive(Debug)]
pub struct Rooms {
    config: Config,
    /// Boxed: a growing table then moves pointers, and its empty slots cost 24 bytes, not 170.
    rooms: HashMap<RoomId, Box<Entry>>,
    /// In which rooms a peer is; most are in one.
    seats: HashMap<PeerId, SmallVec<[RoomId; 1]>>,
    /// When which room is due: its next grace time runs out, or credentials are to be renewed.
    deadlines: BTreeSet<(Timestamp, RoomId)>,
    /// Greater than every `rev` that a room had which is gone, and that was told to a peer about
    /// a room which never was. Not less than any time that was ever seen: what an earlier run of the
    /// program gave out was before this one's begin, also when the clock is set back afterwards.
    rev_floor: u64,
    /// The latest time seen since the clock was last set back.
    latest: Timestamp,
    effects: Vec<Effect>,
}

#[derive(Debug)]
struct Entry {
    /// `None` only within [`Rooms::step`]: an entry goes with its room.
    room: Option<Room>,
    /// Signals passed; counted by whoever passes them, under a shared lock.
    messages: AtomicU64,
}

impl Rooms {
    /// No rooms yet.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            rooms: HashMap::default(),
            seats: HashMap::default(),
            deadlines: BTreeSet::new(),
            rev_floor: 0,
            latest: Timestamp::default(),
            effects: Vec::new(),
        }
    }

    /// Takes in what happened; what follows is appended to `out`, to be done in that order.
    ///
    /// A room name that is not allowed is nothing that happened: the topic grammar keeps it out.
    pub fn handle(&mut self, now: Timestamp, input: Input<'_>, out: &mut Vec<Output>) {
        self.watch_the_clock(now, out);
        match input {
            Input::Message { room, from, payload, may_create } => {
                let peer = from.clone();
                let event = match PeerMessage::decode(payload) {
                    Ok(PeerMessage::Join { info }) => Event::Join { peer, info, may_create },
                    Ok(PeerMessage::Leave { lost }) => Event::Leave { peer, lost },
                    Ok(PeerMessage::State { connection, detail }) => Event::State { peer, connection, detail },
                    Err(error) => Event::Bad { peer, error },
                };
                self.step(room, event, now, out);
            }
            Input::Order { room, payload } => match Control::decode(payload) {
                Ok(Control::Remove { peer }) => self.step(room, Event::Remove { peer }, now, out),
                Ok(Control::Close) => self.step(room, Event::Close, now, out),
                Err(_) => {}
            },
            Input::Ended { peer, lost } => {
                for room in self.seats.get(peer).cloned().unwrap_or_default() {
                    self.step(room.as_str(), Event::Ended { peer: peer.clone(), lost }, now, out);
                }
            }
            Input::Refused { room, peer, code, why } if self.rooms.contains_key(room) => {
                self.step(room, Event::Refused { peer: peer.clone(), code, why: why.to_owned() }, now, out);
            }
            Input::Refused { .. } => {}
            Input::Tick => {
                while let Some((deadline, room)) = self.deadlines.first().cloned()
                    && deadline <= now
                {
                    self.deadlines.pop_first();
                    self.step(room.as_str(), Event::Tick, now, out);
                }
            }
        }
    }

    /// When [`Input::Tick`] is due.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// A room as operators read it; `None` if there is no such room.
    pub fn state(&self, room: &str) -> Option<RoomState> {
        let (name, entry) = self.rooms.get_key_value(room)?;
        entry.state(name)
    }

    /// All rooms as operators read them, in no particular order.
    pub fn states(&self) -> impl Iterator<Item = RoomState> {
        self.rooms.iter().filter_map(|(name, entry)| entry.state(name))
    }

    /// How many rooms there are.
    pub fn len(&self) -> usize {
        self.rooms.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rooms.is_empty()
    }

    /// An `error` for a peer whose message was refused before it came here, with the next `rev`
    /// of the room, or, where there is no such room, of all rooms that are to come.
    pub fn error(&mut self, room: &str, code: ErrorCode, message: impl Into<String>, now: Timestamp) -> AgentMessage {
        let rev = match self.rooms.get_mut(room).and_then(|entry| entry.room.as_mut()) {
            Some(room) => room.next_rev(),
            None => {
                let rev = now.as_millis().max(self.rev_floor);
                self.rev_floor = rev + 1;
                rev
            }
        };
        AgentMessage { said: Said::Error { code, message: message.into() }, rev }
    }

    /// A clock that was set back far would keep lost peers' seats, and credentials, as long: their
    /// times then begin anew. The slack lets callers on several threads be out of step.
    fn watch_the_clock(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        let shortest = self.config.ice.renewal().map_or(self.config.grace, |renewal| renewal.min(self.config.grace));
        if self.latest.since(now) > shortest.max(Duration::from_secs(1)) {
            let waiting: Vec<RoomId> = self.deadlines.iter().map(|(_, room)| room.clone()).collect();
            for room in waiting {
                self.step(room.as_str(), Event::Tick, now, out);
            }
            self.latest = now;
        }
        self.latest = self.latest.max(now);
        self.rev_floor = self.rev_floor.max(now.as_millis());
    }

    /// One event in one room, and everything that is kept about rooms brought up to date.
    fn step(&mut self, room: &str, event: Event, now: Timestamp, out: &mut Vec<Output>) {
        let name = match self.rooms.get_key_value(room) {
            Some((name, _)) => name.clone(),
            None => match RoomId::new(room) {
                Ok(name) => name,
                Err(_) => return,
            },
        };
        let Config { grace, ice } = &self.config;
        let rules = Rules { room: &name, grace: *grace, lease: None, rev_floor: self.rev_floor, ice };
        let mut fresh = None;
        let state = match self.rooms.get_mut(room) {
            Some(entry) => &mut entry.room,
            None => &mut fresh,
        };
        let before = Standing::of(state.as_ref(), &rules);
        step(state, event, now, &rules, &mut self.effects);
        let after = Standing::of(state.as_ref(), &rules);

        let existed = !before.members.is_empty();
        let exists = state.is_some();
        if !exists {
            self.rooms.remove(room);
            let last = self.effects.iter().filter_map(rev_of).max();
            self.rev_floor = self.rev_floor.max(last.map_or(0, |rev| rev + 1));
        } else if !existed {
            self.rooms.insert(name.clone(), Box::new(Entry { room: fresh, messages: AtomicU64::new(0) }));
        }
        self.keep_standing(&name, &before, &after);
        out.extend(self.effects.drain(..).map(|effect| effect.in_room(&name)));
    }

    fn keep_standing(&mut self, room: &RoomId, before: &Standing, after: &Standing) {
        for gone in before.members.iter().filter(|peer| !after.members.contains(peer)) {
            if let Some(rooms) = self.seats.get_mut(gone) {
                rooms.retain(|other| other != room);
                if rooms.is_empty() {
                    self.seats.remove(gone);
                }
            }
        }
        for come in after.members.iter().filter(|peer| !before.members.contains(peer)) {
            self.seats.entry(come.clone()).or_default().push(room.clone());
        }
        if before.deadline != after.deadline {
            if let Some(deadline) = before.deadline {
                self.deadlines.remove(&(deadline, room.clone()));
            }
            if let Some(deadline) = after.deadline {
                self.deadlines.insert((deadline, room.clone()));
            }
        }
    }
}

impl Entry {
    fn state(&self, name: &RoomId) -> Option<RoomState> {
        let messages = self.messages.load(Ordering::Relaxed);
        self.room.as_ref().map(|room| room.state(name.clone(), messages))
    }
}

/// What the registry keeps of a room besides the room itself.
struct Standing {
    members: SmallVec<[PeerId; 2]>,
    deadline: Option<Timestamp>,
}

impl Standing {
    fn of(room: Option<&Room>, rules: &Rules<'_>) -> Self {
        Self {
            members: room.into_iter().flat_map(Room::seats).map(|(_, seat)| seat.peer().clone()).collect(),
            deadline: room.and_then(|room| room.deadline(rules.grace, rules.ice.renewal())),
        }
    }
}

fn rev_of(effect: &Effect) -> Option<u64> {
    match effect {
        Effect::Tell { message, .. } => Some(message.rev),
        Effect::Happened(event) => Some(event.rev),
        _ => None,
    }
}

impl Effect {
    fn in_room(self, room: &RoomId) -> Output {
        let room = room.clone();
        match self {
            Effect::Tell { to, message } => Output::Tell { room, to, message },
            Effect::Happened(event) => Output::Happened { room, event },
            Effect::Changed => Output::Changed { room },
            Effect::Resume { peer } => Output::Resume { room, peer },
            Effect::Forget { peer } => Output::Forget { room, peer },
        }
    }
}

#[cfg(test)]
mod tests;
