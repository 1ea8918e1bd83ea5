//! Everything the monitor knows, from what was on the wire and nothing else. Opens nothing, reads no clock: time comes
//! with the inputs, so that a recording gives what was there when it was made.
//!
//! ```text
//! Input ─▶ Model::take ─▶ rooms   (state, events and flow, within bounds)   ─▶ views, outputs
//!                         events  (the whole system's stream)
//!                         broker  ($SYS)
//!                         agents  (asked by themselves)
//! ```

mod agents;
mod bounds;
mod broker;
mod column;
mod entry;
mod events;
mod phase;
mod presence;
mod read;
mod room;
mod seat;
mod store;
mod weight;

pub use agents::{Agent, AgentState};
pub use bounds::{Bounds, Evicted, Figures};
pub use broker::{BrokerFigures, Rate, Received};
pub use column::Column;
pub use entry::{Entry, Party, Said, event_kind, event_peer};
pub use events::{Audit, EventLog, Happened, Happening};
pub use phase::{GIVEN_UP, Phase, SETTLED};
pub use room::{Last, Room};
pub use seat::Seat;

use crate::wire::{Input, Link, Message};
use bytes::Bytes;
use presence::Moment;
use protocol::{RoomEvent, RoomId, Timestamp, Topic, TopicError, What};
use std::time::Duration;
use store::Store;

/// How long after a change a room's diagnosis may be old, so that a flood into one room is not judged message by
/// message. A tick judges at once.
const JUDGE_EVERY: Duration = Duration::from_millis(100);
/// When, after the connection came back, no retained state has come for this long, the rooms without one are gone.
const ALL_STATES: Duration = Duration::from_secs(3);
/// How much of a topic that cannot be read is kept, in bytes.
const MAX_TOPIC: usize = 256;

/// The model.
#[derive(Debug, Default)]
pub struct Model {
    bounds: Bounds,
    now: Timestamp,
    seq: u64,
    generation: u64,
    rooms: Store,
    events: EventLog,
    broker: BrokerFigures,
    agents: agents::Agents,
    figures: Figures,
    flow: Rate,
    /// Messages that peers and operators published.
    published: u64,
    link: Link,
    /// Counts the connections to the broker: what was heard on an earlier one may be old.
    connection: u64,
    /// Counts the times at which something was missed.
    gaps: u64,
    /// When it may be said that every retained state has come on this connection.
    all_states: Option<Timestamp>,
    /// Rooms to be judged.
    dirty: Vec<RoomId>,
    judged_at: Timestamp,
}

impl Model {
    /// An empty one.
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, ..Self::default() }
    }

    /// The time of the last input.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Place of the last thing that came; see [`Entry::seq`].
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Every room, ordered by name.
    pub fn rooms(&self) -> impl ExactSizeIterator<Item = &Room> {
        self.rooms.iter()
    }

    /// The room of that name.
    pub fn room(&self, name: &str) -> Option<&Room> {
        self.rooms.get(name)
    }

    /// Whether what is shown of `room` may be old: the connection is gone, or nothing was heard of the room since it
    /// came back.
    pub fn stale(&self, room: &Room) -> bool {
        room.ended_at.is_none() && (self.cut_off() || room.heard_on != self.connection)
    }

    /// Whether the connection is gone, or was refused. A recording may tell of no connection at all; then there is
    /// none to be gone.
    pub fn cut_off(&self) -> bool {
        match self.link {
            Link::Connected => false,
            Link::Connecting => self.connection > 0,
            Link::Lost { .. } | Link::Refused { .. } => true,
        }
    }

    /// What the broker says of itself.
    pub fn broker(&self) -> &BrokerFigures {
        &self.broker
    }

    /// The agents that are asked how they are doing, by their addresses.
    pub fn agents(&self) -> &[Agent] {
        self.agents.all()
    }

    /// What happened in the whole system.
    pub fn events(&self) -> &EventLog {
        &self.events
    }

    /// What the monitor itself has seen.
    pub fn figures(&self) -> &Figures {
        &self.figures
    }

    /// What the monitor itself saw of peers and operators, in messages a second; there also on brokers without figures.
    pub fn flow(&self) -> &Rate {
        &self.flow
    }

    /// The connection to the broker.
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// The bounds.
    pub fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// Grows with every change that can be seen; time passing is one once a second, since ages are shown in seconds.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Takes an input.
    pub fn take(&mut self, input: Input) {
        let before = self.now;
        self.now = input.at();
        let tick = matches!(input, Input::Tick(_));
        match input {
            Input::Message(message) => self.message(message),
            Input::Link { link, .. } => self.link_changed(link),
            Input::Lost { messages, .. } => {
                self.figures.lost = self.figures.lost.saturating_add(messages);
                self.missed();
                self.happened(None, Happened::Lost { messages });
            }
            Input::Agent { url, said, .. } => {
                if let Some(agent) = self.agents.take(&url, *said, self.now) {
                    let happened = Happened::Agent { name: agent.name().into(), state: agent.state.clone() };
                    self.happened(None, happened);
                }
            }
            Input::Unread { why, .. } => {
                self.missed();
                self.unread("", &why);
            }
            Input::Tick(_) => {}
        }
        self.wake();
        // A clock that stands still or goes back must not let the queue grow without end.
        let many = self.dirty.len() > self.bounds.rooms;
        if tick || many || self.judged_at > self.now || self.now.since(self.judged_at) >= JUDGE_EVERY {
            self.judge();
        }
        if !tick || before.as_millis() / 1000 != self.now.as_millis() / 1000 {
            self.flow.take(self.published, self.now);
            self.generation += 1;
        }
        self.keep_within_bounds();
    }

    fn next(&mut self) -> Moment {
        self.seq += 1;
        Moment { at: self.now, seq: self.seq }
    }

    fn happened(&mut self, room: Option<&str>, what: Happened) {
        let Moment { at, seq } = self.next();
        let room =
            room.and_then(|room| self.rooms.get(room).map(|r| r.name.clone()).or_else(|| RoomId::new(room).ok()));
        self.events.push(Happening { seq, at, room, what });
    }

    /// Something was not heard: no room may be judged as if all of it were known. Rooms learn of it when they are
    /// next looked at, since there may be many, and gaps come in floods.
    fn missed(&mut self) {
        self.gaps += 1;
    }

    fn unread(&mut self, topic: &str, why: &str) {
        self.figures.malformed += 1;
        let (topic, why) = (read::cut(topic, MAX_TOPIC).into(), read::cut(why, MAX_TOPIC).into());
        self.happened(None, Happened::Unread { topic, why });
    }

    fn link_changed(&mut self, link: Link) {
        let link = match link {
            Link::Lost { why } => Link::Lost { why: read::cut(&why, MAX_TOPIC).to_owned() },
            Link::Refused { why } => Link::Refused { why: read::cut(&why, MAX_TOPIC).to_owned() },
            other => other,
        };
        if link == Link::Connected && self.link != Link::Connected {
            self.connection += 1;
            self.missed();
            self.all_states = (self.connection > 1).then(|| self.now.plus(ALL_STATES));
        }
        // Attempts that fail for the same reason are one line.
        let news = link != self.link && link != Link::Connecting;
        self.link = link.clone();
        if news {
            self.happened(None, Happened::Link(link));
        }
    }

    fn message(&mut self, message: Message) {
        self.figures.messages += 1;
        self.figures.bytes += (message.topic.len() + message.payload.len()) as u64;
        if let Some(name) = message.topic.strip_prefix("$SYS/broker/") {
            return self.system(name, &message);
        }
        match Topic::parse(&message.topic) {
            Ok(Topic::State { room }) => self.state(room, &message),
            Ok(Topic::Events { room }) => self.event(room, &message),
            Ok(topic) => self.said(topic, &message),
            // Not ours: other parts of $SYS, or what a configuration opens.
            Err(TopicError::Foreign) => {}
            Err(error @ (TopicError::Shape | TopicError::Name(_))) => self.unread(&message.topic, &error.to_string()),
        }
    }

    fn system(&mut self, name: &str, message: &Message) {
        if name == "audit" {
            match Audit::decode(&message.payload) {
                Ok(audit) => self.happened(None, Happened::Audit(Box::new(audit))),
                Err(error) => self.unread(&message.topic, &error.to_string()),
            }
        } else if self.broker.take(name, &message.payload, self.now) {
            self.happened(None, Happened::Restarted);
        }
    }

    /// The retained state of a room.
    fn state(&mut self, name: &str, message: &Message) {
        if message.retain && self.all_states.is_some() {
            self.all_states = Some(self.now.plus(ALL_STATES));
        }
        let now = self.next();
        if message.payload.is_empty() {
            self.change(name, now, |room| room.end(now));
            return;
        }
        match serde_json::from_slice(&message.payload) {
            Ok(stated) => {
                self.ensure(name, now);
                self.change(name, now, |room| room.state(stated, now));
            }
            Err(error) => self.unread(&message.topic, &format!("no state of a room: {error}")),
        }
    }

    fn event(&mut self, name: &str, message: &Message) {
        let event: RoomEvent = match serde_json::from_slice(&message.payload) {
            Ok(event) => event,
            Err(error) => return self.unread(&message.topic, &format!("no event of a room: {error}")),
        };
        let now = self.next();
        let new = self.ensure(name, now);
        self.change(name, now, |room| {
            let shown = room.event(&event, now);
            room.case.clock(now.seq, event.rev, event.time);
            if new && room.seats.is_empty() {
                room.end(now);
            }
            if shown {
                let (from, to) = ends(&event.what);
                let what = match &event.what {
                    What::Refused { why, .. } => Said::Refused { why: why.as_str().into() },
                    other => Said::Event(other.clone()),
                };
                room.push(entry(now, from, to, what, message));
            } else {
                room.last = Some(Last {
                    at: now.at,
                    kind: event_kind(&event.what).into(),
                    peer: event_peer(&event.what).cloned(),
                });
            }
        });
        let room = self.rooms.get(name).map(|room| room.name.clone());
        self.events.push(Happening { seq: now.seq, at: now.at, room, what: Happened::Room(event.what) });
    }

    /// A peer, the agent or an operator speaks.
    fn said(&mut self, topic: Topic<'_>, message: &Message) {
        let peer = |name: &str| protocol::PeerId::new(name).ok().map(Party::Peer);
        let ends = match topic {
            Topic::ToAgent { from, .. } => peer(from).zip(Some(Party::Agent)),
            Topic::FromAgent { to, .. } => Some(Party::Agent).zip(peer(to)),
            Topic::Signal { to, from, .. } => peer(from).zip(peer(to)),
            Topic::Control { .. } => Some((Party::Operator, Party::Agent)),
            Topic::State { .. } | Topic::Events { .. } => None,
        };
        let Some((from, to)) = ends else { return };
        self.published += u64::from(from != Party::Agent);
        let (said, rev) = if message.payload.len() > Entry::KEPT {
            let why =
                format!("{} bytes; the contract allows 65536, and {} are kept", message.payload.len(), Entry::KEPT);
            (read::malformed(None, &why), None)
        } else {
            match topic {
                Topic::ToAgent { .. } => (read::to_agent(&message.payload), None),
                Topic::FromAgent { .. } => read::from_agent(&message.payload),
                Topic::Control { .. } => (read::order(&message.payload), None),
                _ => (read::signal(&message.payload), None),
            }
        };
        if matches!(said, Said::Malformed { .. }) {
            self.figures.malformed += 1;
        }
        let now = self.next();
        let name = topic.room();
        let new = self.ensure(name, now);
        self.change(name, now, |room| {
            room.hear(&from, &to, &said, rev, now);
            // Nobody came in by this: somebody knocked at a room that is none.
            if new && room.seats.is_empty() && !matches!(said, Said::Join { .. }) {
                room.end(now);
            }
            room.push(entry(now, from, to, said, message));
        });
    }

    /// Makes the room if there is none; whether it did.
    fn ensure(&mut self, name: &str, now: Moment) -> bool {
        if self.rooms.get(name).is_some() {
            return false;
        }
        let Ok(id) = RoomId::new(name) else { return false };
        self.rooms.add(Room { gaps: self.gaps, ..Room::new(id, now.at, now.seq) });
        true
    }

    /// Changes a room and all that follows from it.
    fn change(&mut self, name: &str, now: Moment, change: impl FnOnce(&mut Room)) {
        let (connection, gaps, most) = (self.connection, self.gaps, self.bounds.messages_per_room);
        let mut freed = (0, 0);
        let dirty = self.rooms.change(name, |room| {
            room.missed(gaps);
            change(room);
            room.touched = now.seq;
            room.heard_on = connection;
            while room.ladder.len() > most {
                freed = (freed.0 + 1, freed.1 + room.pop().unwrap_or_default() as u64);
            }
            room.settle(now.at);
            (!std::mem::replace(&mut room.dirty, true)).then(|| room.name.clone())
        });
        self.figures.evicted.messages += freed.0;
        self.figures.evicted.bytes += freed.1;
        self.dirty.extend(dirty.flatten());
    }

    /// Rooms whose time has come are to be judged, and those that are gone are ended.
    fn wake(&mut self) {
        while let Some(name) = self.rooms.due(self.now) {
            let new = self.rooms.change(name.as_str(), |room| {
                room.due = None;
                !std::mem::replace(&mut room.dirty, true)
            });
            if new == Some(true) {
                self.dirty.push(name);
            }
        }
        if self.all_states.is_some_and(|at| at <= self.now) && self.link == Link::Connected {
            self.all_states = None;
            let connection = self.connection;
            let gone = |room: &&Room| room.ended_at.is_none() && room.stated && room.heard_on != connection;
            let gone: Vec<RoomId> = self.rooms.iter().filter(gone).map(|room| room.name.clone()).collect();
            for name in gone {
                let now = self.next();
                self.change(name.as_str(), now, |room| room.end(now));
                self.happened(Some(name.as_str()), Happened::Gone);
            }
        }
    }

    /// Works out phase and findings of every room that changed or whose time has come.
    fn judge(&mut self) {
        self.judged_at = self.now;
        let (now, gaps) = (self.now, self.gaps);
        for name in std::mem::take(&mut self.dirty) {
            self.rooms.change(name.as_str(), |room| {
                room.dirty = false;
                room.missed(gaps);
                let (phase_due, finding_due) = (room.settle(now), room.diagnose(now));
                room.due = phase_due.into_iter().chain(finding_due).filter(|at| *at > now).min();
            });
            self.generation += 1;
        }
    }

    fn keep_within_bounds(&mut self) {
        let lines = self.events.lines().len();
        let freed = self.events.keep_within(self.bounds.events, self.bounds.event_bytes());
        self.figures.evicted.events += (lines - self.events.lines().len()) as u64;
        self.figures.evicted.bytes += freed;
        let bytes = self.bounds.bytes.saturating_sub(self.events.bytes());
        self.rooms.keep_within(&self.bounds, bytes, &mut self.figures.evicted);
        self.figures.held = self.rooms.bytes() + self.events.bytes();
        self.figures.open = self.rooms.open();
    }
}

/// Between whom an event stands on the ladder.
fn ends(what: &What) -> (Party, Party) {
    match what {
        What::Removed { peer } => (Party::Operator, Party::Peer(peer.clone())),
        What::Closed => (Party::Operator, Party::Agent),
        other => (event_peer(other).cloned().map_or(Party::Agent, Party::Peer), Party::Agent),
    }
}

/// The payload is copied: a slice would hold all of the buffer that it was read into, and what a room holds could not
/// be counted.
fn entry(now: Moment, from: Party, to: Party, what: Said, message: &Message) -> Entry {
    let kept = message.payload.len().min(Entry::KEPT);
    Entry {
        seq: now.seq,
        at: now.at,
        from,
        to,
        what,
        payload: Bytes::copy_from_slice(&message.payload[..kept]),
        size: message.payload.len(),
        qos: message.qos,
        retain: message.retain,
    }
}

#[cfg(test)]
mod tests;
