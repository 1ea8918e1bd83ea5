//! The agent beside another broker: `agent::service::exchange` with a broker that knows nothing of
//! rooms, passes messages at least once, keeps what is retained and what the agent misses, and sends
//! wills. The agent's connection is cut and made again, agent and broker are killed, clocks are set.

use crate::peer::{Channel, Peer};
use crate::{GRACE, PEERS, ROOMS, START, Tally, choose};
use agent::ice::Ice;
use agent::service::exchange::{Exchange, Heard, Publication};
use agent::{Config, Output};
use fastrand::Rng;
use protocol::{AgentMessage, Said, Timestamp, Topic};
use std::collections::{BTreeMap, VecDeque};

const JOIN: &str = r#"{"type":"join"}"#;
const LEAVE: &str = r#"{"type":"leave"}"#;
const LOST: &str = r#"{"type":"leave","reason":"lost"}"#;

/// A peer's connection, as the broker has it.
#[derive(Debug, Default)]
struct Connection {
    up: VecDeque<Up>,
    down: VecDeque<Publication>,
    /// The one room that the will is for.
    room: usize,
    is_dead: bool,
}

#[derive(Debug)]
enum Up {
    Say { room: usize, payload: &'static str },
    Disconnect,
    Cut,
}

pub struct World {
    dice: Rng,
    trace: bool,
    now: u64,
    /// What the agent's clock is ahead of time; negative after it was set back.
    skew: i64,
    peers: Vec<Peer>,
    connections: Vec<Option<Connection>>,
    exchange: Exchange,
    /// Whether the agent has a connection.
    is_linked: bool,
    /// What the broker keeps for the agent until it is acknowledged.
    for_agent: VecDeque<(String, Vec<u8>)>,
    /// Of that, what has been sent on this connection.
    sent: usize,
    /// What the agent has to say, until it is acknowledged.
    from_agent: VecDeque<Publication>,
    /// Of that, what the broker has taken on this connection.
    taken: usize,
    retained: BTreeMap<String, Vec<u8>>,
    /// The broker has lost what it kept; the agent will hear so when it is connected.
    has_forgotten: bool,
    /// The last `rev` told in each room, by any run of the agent.
    revs: [u64; ROOMS.len()],
    tally: Tally,
}

impl World {
    fn wall(&self) -> Timestamp {
        Timestamp::from_millis(self.now.saturating_add_signed(self.skew))
    }

    fn new_exchange(now: Timestamp) -> Exchange {
        Exchange::new(Config { grace: GRACE, ice: Ice::default() }, now)
    }

    fn act(&mut self) {
        let peer = self.dice.usize(0..PEERS);
        if self.connections[peer].as_ref().is_none_or(|connection| connection.is_dead) {
            let room = self.dice.usize(0..ROOMS.len());
            if self.connections[peer].is_some() {
                self.tally.taken_over += 1;
                self.end(peer, true);
            }
            self.connections[peer] = Some(Connection { room, ..Connection::default() });
            self.say(peer, JOIN);
            return;
        }
        match choose(&mut self.dice, &[(6, 'j'), (2, 'l'), (1, 's'), (2, 'c'), (1, 'd')]) {
            'j' => self.say(peer, JOIN),
            'l' => self.say(peer, LEAVE),
            's' => self.say(peer, r#"{"type":"state","connection":"connected"}"#),
            'c' => self.give_up(peer, Up::Cut),
            _ => {
                self.say(peer, LEAVE);
                self.give_up(peer, Up::Disconnect);
            }
        }
    }

    fn say(&mut self, peer: usize, payload: &'static str) {
        let Some(connection) = &mut self.connections[peer] else { return };
        let room = connection.room;
        connection.up.push_back(Up::Say { room, payload });
        match payload {
            JOIN => self.peers[peer].joins(room),
            LEAVE => self.peers[peer].leaves(room),
            _ => {}
        }
    }

    fn give_up(&mut self, peer: usize, how: Up) {
        let Some(connection) = &mut self.connections[peer] else { return };
        self.tally.cut += u64::from(matches!(how, Up::Cut));
        connection.up.push_back(how);
        connection.is_dead = true;
        self.peers[peer].forget();
    }

    /// The broker reads what a peer says.
    fn read(&mut self, peer: usize) {
        let Some(up) = self.connections[peer].as_mut().and_then(|connection| connection.up.pop_front()) else { return };
        match up {
            Up::Say { room, payload } => self.tell_agent(room, peer, payload),
            Up::Disconnect => self.connections[peer] = None,
            Up::Cut => self.end(peer, true),
        }
    }

    fn tell_agent(&mut self, room: usize, peer: usize, payload: &str) {
        let topic = format!("rooms/{}/agent/{}", ROOMS[room], self.peers[peer].id);
        self.for_agent.push_back((topic, payload.into()));
    }

    /// A connection is gone, and its will is sent.
    fn end(&mut self, peer: usize, with_will: bool) {
        let Some(connection) = self.connections[peer].take() else { return };
        if with_will {
            self.tell_agent(connection.room, peer, LOST);
        }
    }

    /// The agent hears the next message; whether its acknowledgement arrives shows later.
    fn agent_hears(&mut self) {
        if !self.is_linked {
            return;
        }
        let Some((topic, payload)) = self.for_agent.get(self.sent).cloned() else { return };
        self.sent += 1;
        self.hear(&topic, &payload, false);
    }

    fn hear(&mut self, topic: &str, payload: &[u8], retain: bool) {
        let mut out = Vec::new();
        let heard = Heard { topic, payload, retain };
        if let Err(error) = self.exchange.hear(self.wall(), heard, &mut out) {
            panic!("{topic} is not heard: {error}");
        }
        self.publish(out);
    }

    fn publish(&mut self, out: Vec<Output>) {
        for output in out {
            let rev = match &output {
                Output::Tell { room, message, .. } => Some((room, message.rev)),
                Output::Happened { room, event } => Some((room, event.rev)),
                _ => None,
            };
            if let Some((room, rev)) = rev {
                let last = &mut self.revs[ROOMS.iter().position(|name| room == *name).unwrap()];
                assert!(*last < rev, "rev {rev} after {last} in {room}: {output:?}");
                *last = rev;
            }
            self.from_agent.extend(self.exchange.publication(&output));
        }
    }

    /// The broker takes the agent's next message.
    fn agent_says(&mut self) {
        if !self.is_linked {
            return;
        }
        let Some(publication) = self.from_agent.get(self.taken).cloned() else { return };
        self.taken += 1;
        if publication.retain {
            if publication.payload.is_empty() {
                self.retained.remove(&publication.topic);
            } else {
                self.retained.insert(publication.topic.clone(), publication.payload.clone());
            }
        }
        if let Ok(Topic::FromAgent { to, .. }) = Topic::parse(&publication.topic) {
            let peer = self.peers.iter().position(|peer| peer.id == *to).unwrap();
            if let Some(connection) = &mut self.connections[peer] {
                connection.down.push_back(publication);
            }
        }
    }

    /// Acknowledgements arrive, of some of what is under way.
    fn acknowledge(&mut self) {
        if self.is_linked {
            let (heard, said) = (self.dice.usize(0..=self.sent), self.dice.usize(0..=self.taken));
            self.for_agent.drain(..heard);
            self.from_agent.drain(..said);
            (self.sent, self.taken) = (self.sent - heard, self.taken - said);
        }
    }

    /// The agent's connection is cut, or made again: both sides then say again what was not acknowledged.
    fn cut_or_link(&mut self) {
        self.is_linked = !self.is_linked;
        (self.sent, self.taken) = (0, 0);
        if self.is_linked {
            for (topic, payload) in self.retained.clone() {
                self.hear(&topic, &payload, true);
            }
            if std::mem::take(&mut self.has_forgotten) {
                let mut out = Vec::new();
                self.exchange.forgotten(self.wall(), &mut out);
                self.publish(out);
                self.from_agent.extend(self.exchange.every_room());
            }
        }
    }

    /// The agent is killed and comes back.
    fn restart_agent(&mut self) {
        self.tally.restarted += 1;
        if self.is_linked {
            self.cut_or_link();
        }
        self.from_agent.clear();
        self.now += 100;
        // Nobody can see a clock that is set back while there is no agent: it is later than all that was told.
        let told = self.revs.iter().max().copied().unwrap_or_default();
        self.skew = self.skew.max(0).max((told + 1).saturating_sub(self.now).cast_signed());
        self.exchange = Self::new_exchange(self.wall());
        // What peers believe, nobody stands for any more.
        self.peers.iter_mut().for_each(Peer::forget);
    }

    /// The broker is killed and comes back; it has kept nothing.
    fn restart_broker(&mut self) {
        self.tally.restarted += 1;
        if self.is_linked {
            self.cut_or_link();
        }
        self.has_forgotten = true;
        self.for_agent.clear();
        self.retained.clear();
        for peer in 0..PEERS {
            self.connections[peer] = None;
            self.peers[peer].forget();
        }
    }

    /// A peer hears what came for it.
    fn peer_hears(&mut self, peer: usize) {
        let Some(connection) = self.connections[peer].as_mut().filter(|connection| !connection.is_dead) else { return };
        let Some(publication) = connection.down.pop_front() else { return };
        let message: AgentMessage = serde_json::from_slice(&publication.payload).unwrap();
        let Ok(Topic::FromAgent { room, .. }) = Topic::parse(&publication.topic) else { unreachable!() };
        let room = ROOMS.iter().position(|name| *name == room).unwrap();
        self.peers[peer].hear(room, &message, &mut self.tally);
        if let Said::Error { .. } = message.said {
            self.tally.refused += 1;
        }
    }

    fn pass(&mut self, milliseconds: u64) {
        self.now += milliseconds;
        let mut out = Vec::new();
        self.exchange.tick(self.wall(), &mut out);
        self.publish(out);
    }

    fn drain(&mut self) {
        if !self.is_linked {
            self.cut_or_link();
        }
        let is_busy = |world: &Self| {
            world.sent < world.for_agent.len()
                || world.taken < world.from_agent.len()
                || world.connections.iter().flatten().any(|c| !c.up.is_empty() || !c.is_dead && !c.down.is_empty())
        };
        while is_busy(self) {
            self.agent_hears();
            self.agent_says();
            for peer in 0..PEERS {
                self.read(peer);
                self.peer_hears(peer);
            }
        }
        (self.sent, self.taken) = (0, 0);
        self.for_agent.clear();
        self.from_agent.clear();
    }

    fn check_retained(&self) {
        let kept: Vec<_> = self.retained.iter().map(|(topic, payload)| (topic.clone(), payload.clone())).collect();
        let mut shown: Vec<_> = self.exchange.every_room().map(|p| (p.topic, p.payload)).collect();
        shown.sort();
        let names = |list: &[(String, Vec<u8>)]| list.iter().map(|(topic, _)| topic.clone()).collect::<Vec<_>>();
        assert_eq!(names(&kept), names(&shown), "the broker shows the rooms that there are");
        for ((topic, kept), (_, shown)) in kept.iter().zip(&shown) {
            let parse = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).unwrap();
            assert_eq!(parse(kept)["peers"], parse(shown)["peers"], "{topic} is shown as it is");
        }
    }
}

impl crate::World for World {
    fn new(dice: Rng, trace: bool) -> Self {
        Self {
            dice,
            trace,
            now: START,
            skew: 0,
            peers: (0..PEERS).map(|number| Peer::new(number, Channel::Repeating)).collect(),
            connections: (0..PEERS).map(|_| None).collect(),
            exchange: Self::new_exchange(Timestamp::from_millis(START)),
            is_linked: true,
            for_agent: VecDeque::new(),
            sent: 0,
            from_agent: VecDeque::new(),
            taken: 0,
            retained: BTreeMap::new(),
            has_forgotten: false,
            revs: [0; ROOMS.len()],
            tally: Tally::default(),
        }
    }

    fn step(&mut self) {
        let peer = self.dice.usize(0..PEERS);
        let what = choose(
            &mut self.dice,
            &[
                (300, "act"),
                (400, "read"),
                (500, "agent hears"),
                (800, "agent says"),
                (500, "peer hears"),
                (300, "acknowledge"),
                (200, "pass"),
                (20, "cut or link"),
                (2, "set the clock"),
                (1, "restart agent"),
                (1, "restart broker"),
            ],
        );
        if self.trace {
            println!("{} {what} {peer}", self.now - START);
        }
        match what {
            "act" => self.act(),
            "read" => self.read(peer),
            "agent hears" => self.agent_hears(),
            "agent says" => self.agent_says(),
            "peer hears" => self.peer_hears(peer),
            "acknowledge" => self.acknowledge(),
            "cut or link" => self.cut_or_link(),
            "set the clock" => self.skew = self.dice.i64(-3_600_000..3_600_000),
            "restart agent" => self.restart_agent(),
            "restart broker" => self.restart_broker(),
            _ => {
                let time = choose(&mut self.dice, &[(20, 50), (4, 2_000), (1, 11_000)]);
                let passed = self.dice.u64(0..time);
                self.pass(passed);
            }
        }
        if self.trace {
            crate::show(self.exchange.rooms().states());
        }
    }

    fn settle(&mut self) {
        self.drain();
        let is_there: Vec<bool> = (0..PEERS).map(|_| self.dice.bool()).collect();
        for (peer, is_there) in is_there.iter().enumerate() {
            match &self.connections[peer] {
                Some(connection) if !is_there && !connection.is_dead => self.give_up(peer, Up::Cut),
                Some(connection) if *is_there && connection.is_dead => self.end(peer, true),
                _ => {}
            }
        }
        self.drain();
        let mut wanted = [0; ROOMS.len()];
        for peer in (0..PEERS).filter(|peer| is_there[*peer]) {
            let room = self.dice.usize(0..ROOMS.len());
            let room = self.connections[peer].get_or_insert_with(|| Connection { room, ..Connection::default() }).room;
            self.say(peer, JOIN);
            wanted[room] += 1;
        }
        self.drain();
        // Ghosts go when their time has run out; then whoever was told that the room is full asks again.
        self.pass(2 * GRACE.as_millis() as u64);
        self.drain();
        (0..PEERS).filter(|peer| is_there[*peer]).for_each(|peer| self.say(peer, JOIN));
        self.drain();
        for (room, name) in ROOMS.iter().enumerate() {
            let state = self.exchange.rooms().state(name);
            let seats: Vec<_> = state.iter().flat_map(|state| &state.peers).collect();
            assert_eq!(seats.len(), wanted[room].min(2), "{} want {name}: {state:?}", wanted[room]);
            assert!(seats.iter().all(|seat| !seat.away), "nobody is away in {name}");
            for peer in &self.peers {
                let seat = seats.iter().find(|seat| seat.id == peer.id);
                let other = seats.iter().find(|seat| seat.id != peer.id).map(|seat| seat.id.clone());
                let believes = peer.views[room].inside.clone().map(|inside| (inside.role, inside.other));
                assert_eq!(believes, seat.map(|seat| (seat.role, other)), "what {} believes of {name}", peer.id);
            }
        }
        self.check_retained();
        for (peer, _) in is_there.iter().enumerate().filter(|(_, is_there)| **is_there) {
            self.say(peer, LEAVE);
            self.give_up(peer, Up::Disconnect);
        }
        self.drain();
        assert!(self.exchange.rooms().is_empty(), "nothing is left");
        assert_eq!(self.exchange.rooms().next_deadline(), None);
        assert!(self.retained.is_empty(), "nothing is shown: {:?}", self.retained.keys());
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}
