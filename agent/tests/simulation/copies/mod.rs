//! Several agents that share a store, at a broker that knows nothing of rooms: it gives what is said to the agents to
//! any of them, to another one or to nobody when that one dies, and sometimes to two. Agents are killed between any two
//! of their steps, requests to the store and its answers are lost, its clock is set, it loses everything; peers lose
//! their connections, and their wills are sent or are not.

pub mod agents;
pub mod history;

use crate::peer::{Channel, Peer};
use crate::{GRACE, PEERS, ROOMS, START, Tally, choose};
use agent::ice::Ice;
use agent::store::Publication;
use agent::store::turn::{Heard, Terms};
use agents::{Agent, Common, Shared};
use fastrand::Rng;
use protocol::{AgentMessage, PeerState, RoomId, RoomState, Said, Topic};
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

const JOIN: &str = r#"{"type":"join"}"#;
const LEAVE: &str = r#"{"type":"leave"}"#;
const LOST: &str = r#"{"type":"leave","reason":"lost"}"#;
const LEASE: Duration = Duration::from_secs(30);

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
    Say { payload: &'static str },
    Disconnect,
    Cut,
}

/// What is said to the agents.
#[derive(Debug, Clone)]
struct Message {
    room: usize,
    from: usize,
    payload: &'static str,
}

pub struct World {
    dice: Rng,
    trace: bool,
    common: Shared,
    terms: Terms,
    rooms: Vec<RoomId>,
    peers: Vec<Peer>,
    connections: Vec<Option<Connection>>,
    agents: Vec<Agent>,
    /// How many agents there have been.
    runs: u32,
    for_agents: VecDeque<Message>,
    /// What agents have heard and not acknowledged: by agent and number.
    under_way: BTreeMap<(usize, u64), Message>,
    heard: u64,
    retained: BTreeMap<String, String>,
    tally: Tally,
}

impl World {
    fn new_agent(runs: &mut u32, common: &Shared) -> Agent {
        *runs += 1;
        Agent::new(format!("agent/{runs}"), common.clone())
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
        match choose(&mut self.dice, &[(6, 'j'), (2, 'l'), (1, 's'), (1, 'n'), (2, 'c'), (1, 'd')]) {
            'j' => self.say(peer, JOIN),
            'l' => self.say(peer, LEAVE),
            's' => self.say(peer, r#"{"type":"state","connection":"connected"}"#),
            'n' => self.say(peer, r#"{"type":"join","v":9}"#),
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
        connection.up.push_back(Up::Say { payload });
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
        let Some(connection) = self.connections[peer].as_mut() else { return };
        let (room, up) = (connection.room, connection.up.pop_front());
        match up {
            Some(Up::Say { payload }) => self.for_agents.push_back(Message { room, from: peer, payload }),
            Some(Up::Disconnect) => self.connections[peer] = None,
            // The will of a client on a node that dies is never sent.
            Some(Up::Cut) => {
                let with_will = self.dice.u32(0..4) > 0;
                self.end(peer, with_will);
            }
            None => {}
        }
    }

    fn end(&mut self, peer: usize, with_will: bool) {
        let Some(connection) = self.connections[peer].take() else { return };
        if with_will {
            self.for_agents.push_back(Message { room: connection.room, from: peer, payload: LOST });
        }
    }

    /// An agent hears something, the next or one that was said a little later.
    fn agent_hears(&mut self, agent: usize) {
        let Some(most) = self.for_agents.len().min(3).checked_sub(1) else { return };
        let at = if self.common.borrow().is_rough { self.dice.usize(0..=most) } else { 0 };
        let message = self.for_agents.remove(at).unwrap();
        if self.common.borrow().is_rough && self.dice.u32(0..50) == 0 {
            self.for_agents.push_back(message.clone());
        }
        self.heard += 1;
        self.under_way.insert((agent, self.heard), message.clone());
        let heard =
            Heard::Message { from: self.peers[message.from].id.clone(), payload: message.payload.as_bytes().to_vec() };
        self.agents[agent].hear(&self.rooms[message.room], heard, Some(self.heard), &self.terms);
    }

    /// An agent goes on with something.
    fn agent_goes_on(&mut self, agent: usize) {
        let dice = self.dice.usize(0..1000);
        self.agents[agent].go_on(dice, &self.terms);
        for number in self.agents[agent].acknowledged() {
            self.under_way.remove(&(agent, number));
        }
    }

    /// The broker takes what an agent says next.
    fn agent_says(&mut self, agent: usize) {
        let Some(publication) = self.agents[agent].says() else { return };
        self.common.borrow_mut().history.said(&publication);
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

    /// An agent is killed, and another run of it begins. Some of what it said is still taken.
    fn kill(&mut self, agent: usize) {
        self.tally.restarted += 1;
        for _ in 0..self.dice.usize(0..4) {
            self.agent_says(agent);
        }
        self.agents[agent] = Self::new_agent(&mut self.runs, &self.common);
        let lost: Vec<_> = self.under_way.keys().filter(|(of, _)| *of == agent).copied().collect();
        for key in lost {
            let message = self.under_way.remove(&key).unwrap();
            if self.dice.bool() {
                self.for_agents.push_back(message);
            }
        }
        self.connect(agent);
    }

    /// The agent is connected: the broker shows it what it keeps.
    fn connect(&mut self, agent: usize) {
        for (topic, payload) in self.retained.clone() {
            let Ok(Topic::State { room }) = Topic::parse(&topic) else { unreachable!() };
            let room = room.parse().unwrap();
            self.agents[agent].hear(&room, Heard::Shown(payload.into_bytes()), None, &self.terms);
        }
        let rooms = self.common.borrow().records.rooms();
        for room in rooms.iter().filter(|room| !self.retained.contains_key(&format!("rooms/{room}"))) {
            self.agents[agent].hear(room, Heard::Show, None, &self.terms);
        }
    }

    /// The agent's connection is cut and made again.
    fn cut(&mut self, agent: usize) {
        self.agents[agent].cut();
        let lost: Vec<_> = self.under_way.keys().filter(|(of, _)| *of == agent).copied().collect();
        for key in lost {
            let message = self.under_way.remove(&key).unwrap();
            if self.dice.bool() {
                self.for_agents.push_back(message);
            }
        }
        self.connect(agent);
    }

    /// The store comes back and has kept nothing. Its clock is not behind what it has told.
    fn restart_store(&mut self) {
        self.tally.restarted += 1;
        let mut common = self.common.borrow_mut();
        // It takes some time: a version that was given out before does not come again by that.
        common.now += 100;
        common.records = Default::default();
        common.history.forget();
        let ahead = (common.history.rev() + 1).saturating_sub(common.now).cast_signed();
        common.skew = common.skew.max(ahead).max(0);
        common.history.set_at = common.history.set_at.max(common.time());
        // Some agent asks what is due before anything else happens to the clock.
        let now = common.time();
        common.records.due(now);
    }

    fn set_clock(&mut self) {
        let skew = self.dice.i64(-3_600_000..3_600_000);
        let mut common = self.common.borrow_mut();
        let before = common.time();
        common.skew = skew;
        common.history.set_at = common.history.set_at.max(before).max(common.time());
    }

    /// A peer hears what came for it.
    fn peer_hears(&mut self, peer: usize) {
        let Some(connection) = self.connections[peer].as_mut().filter(|connection| !connection.is_dead) else { return };
        let Some(publication) = connection.down.pop_front() else { return };
        let message: AgentMessage = serde_json::from_str(&publication.payload).unwrap();
        let Ok(Topic::FromAgent { room, .. }) = Topic::parse(&publication.topic) else { unreachable!() };
        let room = ROOMS.iter().position(|name| *name == room).unwrap();
        self.peers[peer].hear(room, &message, &mut self.tally);
        self.tally.refused += u64::from(matches!(message.said, Said::Error { .. }));
    }

    fn pass(&mut self, milliseconds: u64) {
        self.common.borrow_mut().now += milliseconds;
    }

    /// Everything that can happen without time passing happens.
    fn drain(&mut self) {
        loop {
            for agent in 0..self.agents.len() {
                self.agent_hears(agent);
                for _ in 0..4 {
                    self.agent_goes_on(agent);
                    self.agent_says(agent);
                }
            }
            for peer in 0..PEERS {
                self.read(peer);
                self.peer_hears(peer);
            }
            let quiet = |c: &Connection| c.up.is_empty() && (c.is_dead || c.down.is_empty());
            if self.for_agents.is_empty()
                && self.agents.iter().all(Agent::is_idle)
                && self.connections.iter().flatten().all(quiet)
            {
                return;
            }
        }
    }

    fn sweep(&mut self, agent: usize) {
        if self.agents[agent].sweep(&self.terms) {
            self.connect(agent);
        }
    }

    /// So much time passes, and the agents see to what is due.
    fn wait(&mut self, time: Duration) {
        let mut left = u64::try_from(time.as_millis()).unwrap();
        while left > 0 {
            let now = left.min(500);
            self.pass(now);
            left -= now;
            let agent = self.dice.usize(0..self.agents.len());
            self.sweep(agent);
            self.drain();
        }
    }

    fn seats(&self, room: usize) -> Vec<PeerState> {
        let common = self.common.borrow();
        let kept = common.records.kept(&self.rooms[room]);
        kept.map(|kept| kept.room.state(self.rooms[room].clone(), 0).peers).unwrap_or_default()
    }

    fn check_retained(&self) {
        for (room, name) in ROOMS.iter().enumerate() {
            let shown = self.retained.get(&format!("rooms/{name}"));
            let shown = shown.map(|payload| serde_json::from_str::<RoomState>(payload).unwrap().peers);
            assert_eq!(shown.unwrap_or_default(), self.seats(room), "{name} is shown as it is");
        }
    }
}

impl crate::World for World {
    fn new(mut dice: Rng, trace: bool) -> Self {
        let common = Rc::new(RefCell::new(Common::new(dice.fork(), START)));
        let mut runs = 0;
        let agents = (0..dice.usize(1..=4)).map(|_| Self::new_agent(&mut runs, &common)).collect();
        Self {
            dice,
            trace,
            common,
            terms: Terms { grace: GRACE, lease: Some(LEASE), ice: Ice::default() },
            rooms: ROOMS.iter().map(|name| name.parse().unwrap()).collect(),
            peers: (0..PEERS).map(|number| Peer::new(number, Channel::Repeating)).collect(),
            connections: (0..PEERS).map(|_| None).collect(),
            agents,
            runs,
            for_agents: VecDeque::new(),
            under_way: BTreeMap::new(),
            heard: 0,
            retained: BTreeMap::new(),
            tally: Tally::default(),
        }
    }

    fn step(&mut self) {
        let (peer, agent) = (self.dice.usize(0..PEERS), self.dice.usize(0..self.agents.len()));
        let what = choose(
            &mut self.dice,
            &[
                (200, "act"),
                (250, "read"),
                (250, "agent hears"),
                (1500, "agent goes on"),
                (600, "agent says"),
                (300, "peer hears"),
                (100, "pass"),
                (100, "sweep"),
                (10, "kill"),
                (10, "cut"),
                (2, "set the clock"),
                (1, "restart the store"),
            ],
        );
        if self.trace {
            println!("{} {what} peer {peer}, agent {agent}", self.common.borrow().now - START);
        }
        match what {
            "act" => self.act(),
            "read" => self.read(peer),
            "agent hears" => self.agent_hears(agent),
            "agent goes on" => self.agent_goes_on(agent),
            "agent says" => self.agent_says(agent),
            "peer hears" => self.peer_hears(peer),
            "sweep" => self.sweep(agent),
            "kill" => self.kill(agent),
            "cut" => self.cut(agent),
            "set the clock" => self.set_clock(),
            "restart the store" => self.restart_store(),
            _ => {
                let time = choose(&mut self.dice, &[(20, 50), (4, 2_000), (1, 11_000)]);
                let passed = self.dice.u64(0..time);
                self.pass(passed);
            }
        }
        if self.trace {
            crate::show(self.rooms.iter().filter_map(|room| {
                let common = self.common.borrow();
                common.records.kept(room).map(|kept| kept.room.state(room.clone(), 0))
            }));
        }
    }

    fn settle(&mut self) {
        self.common.borrow_mut().is_rough = false;
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
        // Ghosts go when their time has run out; what was lost with an agent is no matter then.
        self.wait((LEASE + GRACE) * 2);
        self.common.borrow().history.check_all_is_said();
        let mut wanted = [0; ROOMS.len()];
        for peer in (0..PEERS).filter(|peer| is_there[*peer]) {
            let room = self.dice.usize(0..ROOMS.len());
            wanted[self.connections[peer].get_or_insert_with(|| Connection { room, ..Connection::default() }).room] +=
                1;
        }
        // What was lost with an agent is never answered.
        self.peers.iter_mut().for_each(Peer::forget);
        // A join is said again by whoever is not answered in time, or not so that it heard of it.
        for _ in 0..2 {
            (0..PEERS).filter(|peer| is_there[*peer]).for_each(|peer| self.say(peer, JOIN));
            self.drain();
        }
        for room in 0..ROOMS.len() {
            let (seats, name) = (self.seats(room), ROOMS[room]);
            assert_eq!(
                seats.len(),
                wanted[room].min(2),
                "{} want {name} at {}: {:?}",
                wanted[room],
                self.common.borrow().time(),
                self.common.borrow().records.kept(&self.rooms[room])
            );
            assert!(seats.iter().all(|seat| !seat.away), "nobody is away in {name}");
            for peer in &self.peers {
                let seat = seats.iter().find(|seat| seat.id == peer.id);
                let other = seats.iter().find(|seat| seat.id != peer.id).map(|seat| seat.id.clone());
                let believes = peer.views[room].inside.clone().map(|inside| (inside.role, inside.other));
                let is_here = self.connections.iter().zip(&self.peers).any(|(connection, other)| {
                    other.id == peer.id && connection.as_ref().is_some_and(|connection| connection.room == room)
                });
                if is_here {
                    assert_eq!(believes, seat.map(|seat| (seat.role, other)), "what {} believes of {name}", peer.id);
                }
            }
        }
        self.check_retained();
        for (peer, _) in is_there.iter().enumerate().filter(|(_, is_there)| **is_there) {
            self.say(peer, LEAVE);
            self.give_up(peer, Up::Disconnect);
        }
        self.wait(Duration::from_secs(2));
        let common = self.common.borrow();
        common.history.check_all_is_said();
        assert!(common.records.is_empty(), "nothing is left: {:?}", common.records);
        assert!(self.retained.is_empty(), "nothing is shown: {:?}", self.retained.keys());
    }

    fn tally(&self) -> Tally {
        let common = self.common.borrow();
        Tally { lost: common.history.lost, unheard: common.lost_answers, ..self.tally }
    }
}
