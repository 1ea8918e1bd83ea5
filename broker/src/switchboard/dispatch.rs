//! What happens to a frame that comes out of the backbone.

use super::{Bounds, Client, Delivery, Line, NO_ROOM, Switchboard};
use crate::audit::{self, Refused, What};
use crate::frame::{Frame, Message, Qos};
use agent::access::Role;
use agent::rooms::{Input, Output, Verdict};
use protocol::{ErrorCode, PeerId, PeerMessage, RoomId, Timestamp, Topic, filter};
use serde::Serialize;
use std::collections::HashMap;
use std::time::Instant;

/// The moment at which something is handled, on both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// For intervals.
    pub instant: Instant,
    /// For the wire.
    pub wall: Timestamp,
}

impl Switchboard {
    /// Handles one frame.
    pub fn handle(&mut self, frame: Frame, now: Now) {
        match frame {
            Frame::Publish(message) => {
                self.counters.under_way.sub(1);
                self.publish(message, now);
            }
            Frame::Ended { client, lost } => {
                self.agent(Input::Ended { peer: &client, lost }, now);
                self.owners.ended(&client);
                self.hold_stranded(&client);
                self.forget_owner(&client);
            }
            Frame::Refused { client, room, code, why } => self.refuse(&client, room.as_deref(), code, &why, now),
        }
    }

    /// When [`Self::tick`] is due at the latest for the rooms' sake.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.rooms.read().next_deadline()
    }

    /// Lets time pass: grace times, delayed wills, expiry of sessions and retained messages, and
    /// the counts that operators see.
    pub fn tick(&mut self, now: Now) {
        self.agent(Input::Tick, now);
        let due: Vec<PeerId> =
            self.wills.iter().filter(|(_, (due, _))| *due <= now.instant).map(|(id, _)| id.clone()).collect();
        for id in due {
            if let Some((_, will)) = self.wills.remove(&id) {
                self.counters.accepted.add(1);
                self.publish(will, now);
            }
        }
        while self.expiries.first().is_some_and(|(expires, _)| *expires <= now.instant) {
            let Some((_, id)) = self.expiries.pop_first() else { break };
            self.remove(&id);
            self.forget_owner(&id); // its connection ended long ago
        }
        self.retained.sweep(now.instant);
        for room in std::mem::take(&mut self.stale) {
            self.show_state(&room, now);
        }
    }

    /// Publishes refusals to operators, if any listens.
    pub fn publish_audit<'a>(&mut self, events: impl IntoIterator<Item = &'a audit::Event>, now: Now) {
        let mut is_heard = !self.shared.is_empty();
        self.operators.matching(audit::TOPIC, &mut |_, _| is_heard = true);
        for event in events.into_iter().filter(|_| is_heard) {
            self.show(&Message::own(audit::TOPIC.into(), json(event), Qos::AtLeastOnce), now);
        }
    }

    /// Publishes a figure of `$SYS`.
    pub fn publish_figure(&mut self, topic: String, value: String, now: Now) {
        let message = Message::own(topic, value.into_bytes(), Qos::AtMostOnce);
        self.show(&message, now);
        if !self.retained.set(message, now.instant) {
            // One that is kept counts for nothing: nobody has sent it.
            self.counters.accepted.add(1);
            self.counters.dropped.add(1);
        }
    }

    /// Keeps a message as its topic's last; `false` if there is no room for it.
    fn retain(&mut self, message: Message, now: Now) -> bool {
        let is_kept = self.retained.set(message, now.instant);
        self.counters.accepted.add(1);
        if is_kept { &self.counters.delivered } else { &self.counters.dropped }.add(1);
        is_kept
    }

    fn publish(&mut self, message: Message, now: Now) {
        let topic = message.shared_topic();
        // Access has judged its names.
        match Topic::split(&topic) {
            Ok(Topic::ToAgent { room, from }) => {
                self.show(&message, now);
                let Ok(from) = PeerId::new(from) else { return };
                let Message { payload, may_create, .. } = &message;
                match self.may_come_in(room, &from, payload) {
                    Ok(()) => {
                        self.counters.delivered.add(1);
                        self.agent(Input::Message { room, from: &from, payload, may_create: *may_create }, now);
                    }
                    Err(why) => {
                        let client = Some(from.as_str());
                        self.audit.refused(Refused { what: What::Join, why: &why, client, user: None, address: None });
                        self.counters.refused.add(1);
                        self.refuse(&from, Some(room), ErrorCode::RateLimited, &why, now);
                    }
                }
            }
            Ok(Topic::Signal { room, to, from }) => self.signal(room, to, from, message, now),
            Ok(Topic::Control { room }) => {
                self.show(&message, now);
                self.counters.delivered.add(1);
                self.agent(Input::Order { room, payload: &message.payload }, now);
            }
            // No client may publish there.
            Ok(_) => self.counters.dropped.add(1),
            Err(_) => self.deliver_to_open(message, now),
        }
    }

    /// Whether this is no join that would make more rooms, or seats of its peer, than there may be.
    fn may_come_in(&self, room: &str, from: &PeerId, payload: &[u8]) -> Result<(), String> {
        let Bounds { rooms: most, rooms_per_peer: most_seats, .. } = self.bounds;
        let rooms = self.rooms.read();
        let (is_full, has_all) = (rooms.len() >= most, rooms.seats_of(from.as_str()) >= most_seats);
        if !(is_full || has_all) || !matches!(PeerMessage::decode(payload), Ok(PeerMessage::Join { .. })) {
            return Ok(());
        }
        if has_all && !rooms.is_member(room, from.as_str()) {
            return Err(format!("a peer is in at most {most_seats} rooms at once; leave one first"));
        }
        if is_full && !rooms.exists(room) {
            return Err(format!("there are {most} rooms, and no more may be made; try again later"));
        }
        Ok(())
    }

    fn signal(&mut self, room: &str, to: &str, from: &str, message: Message, now: Now) {
        let verdict = self.rooms.read().pass_signal(room, from, to);
        match verdict {
            Verdict::Allowed | Verdict::ToAway => {
                if self.is_watched() {
                    self.stale.insert(room.into());
                    self.show(&message, now);
                }
                if verdict == Verdict::Allowed && self.owners.is_ending(to) {
                    // Its connection is gone; another that is there already has not asked for its seat yet.
                    if let Ok(to) = PeerId::new(to) {
                        self.strand(&to, message);
                    }
                } else if verdict == Verdict::Allowed {
                    self.deliver_to_inbox(to, message, now);
                } else if let (Ok(room), Ok(to)) = (RoomId::new(room), PeerId::new(to))
                    && !self.held.put(room, to, message)
                {
                    self.counters.dropped.add(1);
                }
            }
            Verdict::NotAMember(reason) => {
                // It was allowed when it was sent, and one of the two has left since.
                let why = reason.explain(room, from, to);
                let client = Some(from);
                self.audit.refused(Refused { what: What::Publish, why: &why, client, user: None, address: None });
                self.counters.refused.add(1);
                if let Ok(from) = PeerId::new(from) {
                    self.refuse(&from, Some(room), ErrorCode::NotAMember, &why, now);
                }
            }
        }
    }

    /// Keeps a signal for a peer whose connection has ended, until the agent has heard of it; anything else is
    /// dropped, such as an operator's copy of somebody else's.
    pub(super) fn strand(&mut self, peer: &PeerId, message: Message) {
        let is_its_own = matches!(Topic::split(message.topic()), Ok(Topic::Signal { to, .. }) if to == peer.as_str());
        if !is_its_own || !self.held.strand(peer.clone(), message) {
            self.counters.dropped.add(1);
        }
    }

    /// The agent has heard of a connection's end: what was under way to it waits with the seat, if that is kept
    /// and who has sent it is still there.
    fn hold_stranded(&mut self, peer: &PeerId) {
        for message in self.held.take_stranded(peer) {
            let seat = match Topic::split(message.topic()) {
                Ok(Topic::Signal { room, to, from })
                    if self.rooms.read().may_signal(room, from, to) == Verdict::ToAway =>
                {
                    RoomId::new(room).ok()
                }
                _ => None,
            };
            if !seat.is_some_and(|room| self.held.put(room, peer.clone(), message)) {
                self.counters.dropped.add(1);
            }
        }
    }

    fn refuse(&mut self, client: &PeerId, room: Option<&str>, code: ErrorCode, why: &str, now: Now) {
        let named = room.and_then(|room| RoomId::new(room).ok());
        if let Some(room) = &named {
            self.agent(Input::Refused { room: room.as_str(), peer: client, code, why }, now);
        }
        let room = named.as_ref().map_or(NO_ROOM, RoomId::as_str);
        let topic = Topic::FromAgent { room, to: client.as_str() }.to_string();
        if !self.is_watched() && !self.listens(client, &topic) {
            return; // nobody hears it
        }
        let error = self.rooms.write().error(room, code, why, now.wall);
        self.tell(client.as_str(), Message::own(topic, json(&error), Qos::AtLeastOnce), now);
    }

    /// Lets the room agent handle something, and does what it says.
    fn agent(&mut self, input: Input<'_>, now: Now) {
        let mut outputs = Vec::new();
        self.rooms.write().handle(now.wall, input, &mut outputs);
        for output in outputs {
            match output {
                Output::Tell { room, to, message } => {
                    let topic = Topic::FromAgent { room: room.as_str(), to: to.as_str() }.to_string();
                    self.tell(to.as_str(), Message::own(topic, json(&message), Qos::AtLeastOnce), now);
                }
                Output::Happened { room, event } if self.is_watched() => {
                    let topic = Topic::Events { room: room.as_str() }.to_string();
                    self.show(&Message::own(topic, json(&event), Qos::AtLeastOnce), now);
                }
                Output::Changed { room } if self.is_watched() => self.show_state(room.as_str(), now),
                Output::Happened { .. } | Output::Changed { .. } => {}
                Output::Resume { room, peer } => {
                    // Asked for by a connection that has ended, it waits for the next one's own join.
                    let is_ending = self.owners.is_ending(peer.as_str());
                    for message in self.held.take(&room, &peer) {
                        if is_ending {
                            self.strand(&peer, message);
                        } else {
                            self.deliver_to_inbox(peer.as_str(), message, now);
                        }
                    }
                }
                Output::Forget { room, peer } => {
                    let mut lost = self.held.take(&room, &peer).len();
                    for stays in self.rooms.read().members(room.as_str()) {
                        lost += self.held.forget_from(&room, stays, &peer);
                    }
                    self.counters.dropped.add(lost as u64);
                    self.forget_owner(&peer);
                }
            }
        }
    }

    /// No id is kept for one who has no seat; a session keeps its own.
    pub(super) fn forget_owner(&mut self, id: &PeerId) {
        if self.clients.contains_key(id) || !self.rooms.read().has_seat(id.as_str()) {
            self.owners.forget(id);
        }
    }

    fn show_state(&mut self, room: &str, now: Now) {
        self.stale.remove(room);
        let payload = self.rooms.read().state(room).map(|state| json(&state)).unwrap_or_default();
        let mut message = Message::own(Topic::State { room }.to_string(), payload, Qos::AtLeastOnce);
        message.retain = true;
        self.show(&message, now);
    }

    fn tell(&mut self, to: &str, message: Message, now: Now) {
        self.show(&message, now);
        // What was asked by a connection that has ended is not answered on the next one.
        if !self.owners.is_ending(to) {
            self.counters.accepted.add(1);
            self.deliver_to_inbox(to, message, now);
        }
    }

    /// Delivers to the one client whose inbox the topic is in. What it does not listen to is dropped.
    fn deliver_to_inbox(&mut self, to: &str, message: Message, now: Now) {
        if !self.put_into_inbox(to, message, now) {
            self.counters.dropped.add(1);
        }
    }

    fn put_into_inbox(&mut self, to: &str, message: Message, now: Now) -> bool {
        let Some(client) = self.clients.get_mut(to).filter(|client| client.role == Role::Peer) else { return false };
        let mut qos = None;
        let mut subscriptions = Vec::new();
        let topic = message.topic();
        for own in client.subscriptions.iter().filter(|own| own.is_inbox || filter::matches(&own.filter, topic)) {
            qos = qos.max(Some(own.qos));
            subscriptions.extend(own.id);
        }
        let Some(granted) = qos else { return false };
        let qos = granted.min(message.qos);
        let delivery = Delivery { message, qos, retain: false, subscriptions, received: now.instant };
        client.put(delivery, self.bounds)
    }

    fn show(&mut self, message: &Message, now: Now) {
        if !self.is_watched() {
            return;
        }
        let mut receivers = Receivers::default();
        self.operators.matching(message.topic(), &mut |id, own| receivers.add(id, own, message));
        self.choose(&mut receivers, message);
        self.deliver(receivers, message, now);
    }

    /// One of each group that shares what matches; one that is there, if there is one.
    fn choose(&mut self, receivers: &mut Receivers, message: &Message) {
        let Self { shared, clients, .. } = self;
        let is_there = |id: &PeerId| clients.get(id).is_some_and(|client| matches!(client.line, Line::Connected(_)));
        shared.matching(message.topic(), is_there, |id, own| receivers.chosen.push((id.clone(), Granted::by(own))));
    }

    fn deliver_to_open(&mut self, message: Message, now: Now) {
        let mut receivers = Receivers::default();
        self.operators.matching(message.topic(), &mut |id, own| receivers.add(id, own, &message));
        self.opened.matching(message.topic(), &mut |id, own| receivers.add(id, own, &message));
        self.choose(&mut receivers, &message);
        self.deliver(receivers, &message, now);
        self.counters.delivered.add(1);
        if message.retain && !self.retain(message.clone(), now) {
            let (why, client) = ("no more retained messages are kept than there are", Some(message.from()));
            self.audit.refused(Refused { what: What::Publish, why, client, user: None, address: None });
        }
    }

    fn deliver(&mut self, receivers: Receivers, message: &Message, now: Now) {
        self.counters.accepted.add((receivers.each.len() + receivers.chosen.len()) as u64);
        for (id, granted) in receivers.each.into_iter().chain(receivers.chosen) {
            let delivery = Delivery {
                message: message.clone(),
                qos: granted.qos.min(message.qos),
                retain: message.retain && granted.retain_as_published,
                subscriptions: granted.ids,
                received: now.instant,
            };
            if !self.clients.get_mut(&id).is_some_and(|client| client.put(delivery, self.bounds)) {
                self.counters.dropped.add(1);
            }
        }
    }
}

impl Client {
    /// `false` if there is no room for it.
    fn put(&mut self, delivery: Delivery, bounds: Bounds) -> bool {
        match &mut self.line {
            Line::Connected(outbox) => outbox.put(delivery, bounds.queue) == crate::session::outbox::Put::Queued,
            Line::Disconnected(_) if delivery.qos == Qos::AtMostOnce => false,
            Line::Disconnected(session) => {
                let size = delivery.message.size();
                let fits = session.queue.len() < bounds.session_queue.number
                    && session.share.bytes() + size <= bounds.session_queue.bytes
                    && session.share.has_room(size);
                if fits {
                    session.share.add(size);
                    session.queue.push_back(delivery);
                }
                fits
            }
        }
    }
}

/// Who gets a message.
#[derive(Default)]
struct Receivers {
    /// Each once with the best of its subscriptions (MQTT-3.3.5-1).
    each: HashMap<PeerId, Granted>,
    /// For its group, which is a subscription of its own.
    chosen: Vec<(PeerId, Granted)>,
}

struct Granted {
    qos: Qos,
    retain_as_published: bool,
    ids: Vec<u32>,
}

impl Granted {
    fn by(own: &super::Subscription) -> Self {
        Self { qos: own.qos, retain_as_published: own.retain_as_published, ids: own.id.into_iter().collect() }
    }
}

impl Receivers {
    fn add(&mut self, id: &PeerId, own: &super::Subscription, message: &Message) {
        if own.no_local && message.from() == id.as_str() {
            return;
        }
        let nothing = Granted { qos: Qos::AtMostOnce, retain_as_published: false, ids: Vec::new() };
        let granted = self.each.entry(id.clone()).or_insert(nothing);
        granted.qos = granted.qos.max(own.qos);
        granted.retain_as_published |= own.retain_as_published;
        granted.ids.extend(own.id);
    }
}

/// Our own messages always serialise: their maps have text for keys.
pub fn json(message: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(message).unwrap_or_default()
}
