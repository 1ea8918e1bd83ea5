//! The broker with the rooms in its process, as far as order and loss are concerned: each connection
//! keeps the order of what goes through it and may be cut at any point; what is said crosses one
//! backbone, and so does the notice of a connection's end.

use crate::peer::{Channel, Peer};
use crate::{GRACE, PEERS, ROOMS, START, Tally, choose};
use agent::ice::Ice;
use agent::rooms::Verdict;
use agent::{Config, Input, Output, Rooms};
use fastrand::Rng;
use protocol::{AgentMessage, ErrorCode, PeerId, Timestamp};
use std::collections::{BTreeMap, VecDeque};

/// Signals that a seat keeps.
const HELD: usize = 4;

#[derive(Debug, Clone)]
enum Up {
    Connect,
    Say { room: usize, what: Say },
    Signal(Signal),
    Disconnect,
    Cut,
}

#[derive(Debug, Clone, Copy)]
enum Say {
    Join { may_create: bool },
    Leave,
    State,
    Nonsense,
}

#[derive(Debug, Clone)]
struct Signal {
    room: usize,
    from: PeerId,
    to: PeerId,
    number: u64,
}

#[derive(Debug)]
enum Down {
    Agent { room: usize, message: AgentMessage },
    Signal(Signal),
}

#[derive(Debug)]
enum Frame {
    Say { room: usize, from: PeerId, what: Say },
    Signal(Signal),
    Refused { room: usize, peer: PeerId },
    Ended { peer: PeerId, lost: bool },
    Order { room: usize, payload: String },
}

/// One connection of a peer.
#[derive(Debug, Default)]
struct Connection {
    up: VecDeque<Up>,
    down: VecDeque<Down>,
    /// The peer has given it up; the broker may not know yet.
    is_dead: bool,
}

/// What became of signals; every one of them is in one place.
#[derive(Debug, Default)]
struct Fates {
    delivered: u64,
    refused: u64,
    dropped: u64,
    /// Sent into a connection that was cut before the broker had read them.
    unread: u64,
}

pub struct World {
    dice: Rng,
    trace: bool,
    now: u64,
    rooms: Rooms,
    peers: Vec<Peer>,
    /// By peer: those that the broker has not seen the end of, oldest first; the last is the peer's present one.
    connections: Vec<VecDeque<Connection>>,
    /// Whether the broker has accepted the first of them.
    accepted: Vec<bool>,
    backbone: VecDeque<Frame>,
    held: BTreeMap<(usize, PeerId), VecDeque<Signal>>,
    /// Signals to peers whose connection has ended, of which the agent has not heard yet.
    stranded: BTreeMap<PeerId, VecDeque<Signal>>,
    /// Notices of ends in the backbone.
    ending: BTreeMap<PeerId, u32>,
    sent: u64,
    fates: Fates,
    tally: Tally,
}

impl World {
    fn wall(&self) -> Timestamp {
        Timestamp::from_millis(self.now)
    }

    fn rooms_of_a_new_broker() -> Rooms {
        Rooms::new(Config { grace: GRACE, ice: Ice::default() })
    }

    fn number(peer: &PeerId) -> usize {
        peer.as_str().trim_start_matches("peer-").parse().unwrap()
    }

    /// The peer's connection as the peer sees it.
    fn alive(&mut self, peer: usize) -> Option<&mut Connection> {
        self.connections[peer].back_mut().filter(|connection| !connection.is_dead)
    }

    fn act(&mut self) {
        let peer = self.dice.usize(0..PEERS);
        let room = self.dice.usize(0..ROOMS.len());
        if self.alive(peer).is_none() {
            self.connections[peer].push_back(Connection { up: [Up::Connect].into(), ..Connection::default() });
            // As clients do: what it was in, it joins again; mostly.
            if self.dice.bool() {
                self.say(peer, room, Say::Join { may_create: true });
            }
            return;
        }
        match choose(&mut self.dice, &[(8, 'j'), (2, 'l'), (12, 's'), (1, 't'), (1, 'n'), (2, 'c'), (1, 'd'), (1, 'r')])
        {
            'j' => {
                let may_create = self.dice.u32(0..5) > 0;
                self.say(peer, room, Say::Join { may_create });
            }
            'l' => self.say(peer, room, Say::Leave),
            't' => self.say(peer, room, Say::State),
            'n' => self.say(peer, room, Say::Nonsense),
            's' => {
                // Mostly to whom it knows.
                let known = self.peers[peer].views[room].inside.as_ref().and_then(|inside| inside.other.clone());
                let to = known.filter(|_| self.dice.u32(0..8) > 0);
                let to = to.unwrap_or_else(|| self.peers[self.dice.usize(0..PEERS)].id.clone());
                (self.sent, self.tally.signals) = (self.sent + 1, self.tally.signals + 1);
                let signal = Signal { room, from: self.peers[peer].id.clone(), to, number: self.sent };
                self.alive(peer).unwrap().up.push_back(Up::Signal(signal));
            }
            'd' => self.give_up(peer, Up::Disconnect),
            // A cut; the broker may still read some of what was on its way, and hears of the end late.
            'c' | 'r' => {
                let dice = self.dice.usize(0..6);
                let connection = self.alive(peer).unwrap();
                // A connection that the broker hears nothing of is none.
                let least = usize::from(matches!(connection.up.front(), Some(Up::Connect)));
                let keep = connection.up.len().saturating_sub(dice).max(least);
                let unread = connection.up.split_off(keep);
                self.fates.unread += unread.iter().filter(|up| matches!(up, Up::Signal(_))).count() as u64;
                self.give_up(peer, Up::Cut);
                self.tally.cut += 1;
            }
            _ => unreachable!(),
        }
    }

    fn say(&mut self, peer: usize, room: usize, what: Say) {
        match what {
            Say::Join { .. } => self.peers[peer].joins(room),
            Say::Leave => self.peers[peer].leaves(room),
            Say::State | Say::Nonsense => {}
        }
        self.alive(peer).unwrap().up.push_back(Up::Say { room, what });
    }

    fn give_up(&mut self, peer: usize, how: Up) {
        let connection = self.alive(peer).unwrap();
        connection.up.push_back(how);
        connection.is_dead = true;
        self.peers[peer].forget();
    }

    /// The broker reads from a peer's connections: from the one that it has accepted, or the next one's CONNECT.
    fn read(&mut self, peer: usize) {
        let next = self.connections[peer].get(1).is_some_and(|next| self.accepted[peer] && !next.up.is_empty());
        let is_quiet = self.connections[peer].front().is_none_or(|first| first.up.is_empty());
        let at = usize::from(next && (is_quiet || self.dice.bool()));
        let Some(up) = self.connections[peer].get_mut(at).and_then(|connection| connection.up.pop_front()) else {
            return;
        };
        let id = self.peers[peer].id.clone();
        match up {
            Up::Connect => {
                if at > 0 {
                    self.tally.taken_over += 1;
                    self.end(peer, true);
                }
                self.accepted[peer] = true;
            }
            Up::Say { room, what } => self.backbone.push_back(Frame::Say { room, from: id, what }),
            Up::Signal(signal) => match self.rooms.may_signal(ROOMS[signal.room], id.as_str(), signal.to.as_str()) {
                Verdict::NotAMember(_) => {
                    self.fates.refused += 1;
                    self.backbone.push_back(Frame::Refused { room: signal.room, peer: id });
                }
                _ => self.backbone.push_back(Frame::Signal(signal)),
            },
            Up::Disconnect => self.end(peer, false),
            Up::Cut => self.end(peer, true),
        }
    }

    /// The broker is done with the connection that it has accepted.
    fn end(&mut self, peer: usize, lost: bool) {
        let id = self.peers[peer].id.clone();
        let Some(connection) = self.connections[peer].pop_front() else { return };
        self.fates.unread += connection.up.iter().filter(|up| matches!(up, Up::Signal(_))).count() as u64;
        for down in connection.down {
            if let Down::Signal(signal) = down {
                self.stranded.entry(id.clone()).or_default().push_back(signal);
            }
        }
        self.accepted[peer] = false;
        *self.ending.entry(id.clone()).or_default() += 1;
        self.backbone.push_back(Frame::Ended { peer: id, lost });
    }

    /// The broker handles what comes out of the backbone next.
    fn switch(&mut self) {
        let Some(frame) = self.backbone.pop_front() else { return };
        if self.trace {
            println!("    {frame:?}");
        }
        match frame {
            Frame::Say { room, from, what } => {
                let (payload, may_create): (&[u8], bool) = match what {
                    Say::Join { may_create } => (br#"{"type":"join","info":{"kind":"simulated"}}"#, may_create),
                    Say::Leave => (br#"{"type":"leave"}"#, true),
                    Say::State => (br#"{"type":"state","connection":"connected"}"#, true),
                    Say::Nonsense => (b"{\"type\":\"join\",\"v\":9}", true),
                };
                self.agent(Input::Message { room: ROOMS[room], from: &from, payload, may_create });
            }
            Frame::Order { room, payload } => {
                self.agent(Input::Order { room: ROOMS[room], payload: payload.as_bytes() });
            }
            Frame::Refused { room, peer } => self.refuse(room, &peer),
            Frame::Signal(signal) => {
                let (room, from, to) = (ROOMS[signal.room], signal.from.as_str(), signal.to.as_str());
                match self.rooms.may_signal(room, from, to) {
                    Verdict::NotAMember(_) => {
                        self.fates.refused += 1;
                        self.refuse(signal.room, &signal.from.clone());
                    }
                    Verdict::ToAway => self.hold(signal),
                    Verdict::Allowed if self.ending.contains_key(&signal.to) => {
                        self.stranded.entry(signal.to.clone()).or_default().push_back(signal);
                    }
                    Verdict::Allowed => self.deliver(Self::number(&signal.to.clone()), Down::Signal(signal)),
                }
            }
            Frame::Ended { peer, lost } => {
                self.agent(Input::Ended { peer: &peer, lost });
                for signal in self.stranded.remove(&peer).unwrap_or_default() {
                    let verdict = self.rooms.may_signal(ROOMS[signal.room], signal.from.as_str(), peer.as_str());
                    if verdict == Verdict::ToAway {
                        self.hold(signal);
                    } else {
                        self.fates.dropped += 1;
                    }
                }
                let left = self.ending.get_mut(&peer).unwrap();
                *left -= 1;
                if *left == 0 {
                    self.ending.remove(&peer);
                }
            }
        }
    }

    fn refuse(&mut self, room: usize, peer: &PeerId) {
        self.tally.refused += 1;
        let (code, why) = (ErrorCode::NotAMember, "not a member");
        self.agent(Input::Refused { room: ROOMS[room], peer, code, why });
        let message = self.rooms.error(ROOMS[room], code, why, self.wall());
        if self.ending.contains_key(peer) {
            return;
        }
        self.deliver(Self::number(peer), Down::Agent { room, message });
    }

    fn hold(&mut self, signal: Signal) {
        let held = self.held.entry((signal.room, signal.to.clone())).or_default();
        if held.len() >= HELD {
            self.fates.dropped += 1;
        } else {
            self.tally.held += 1;
            held.push_back(signal);
        }
    }

    fn deliver(&mut self, peer: usize, down: Down) {
        match self.connections[peer].front_mut().filter(|_| self.accepted[peer]) {
            Some(connection) => connection.down.push_back(down),
            None => self.fates.dropped += u64::from(matches!(down, Down::Signal(_))),
        }
    }

    fn agent(&mut self, input: Input<'_>) {
        let mut outputs = Vec::new();
        self.rooms.handle(self.wall(), input, &mut outputs);
        for output in outputs {
            let index = |room: &protocol::RoomId| ROOMS.iter().position(|name| room == *name).unwrap();
            match output {
                // What is said to a peer before the notice of its end is said to a connection that is gone.
                Output::Tell { to, .. } if self.ending.contains_key(&to) => {}
                Output::Tell { room, to, message } => {
                    self.deliver(Self::number(&to), Down::Agent { room: index(&room), message });
                }
                // It was asked for by a connection that is gone, too: all waits for the next one's own join.
                Output::Resume { room, peer } if self.ending.contains_key(&peer) => {
                    let held = self.held.remove(&(index(&room), peer.clone())).unwrap_or_default();
                    self.stranded.entry(peer).or_default().extend(held);
                }
                Output::Resume { room, peer } => {
                    for signal in self.held.remove(&(index(&room), peer.clone())).unwrap_or_default() {
                        self.deliver(Self::number(&peer), Down::Signal(signal));
                    }
                }
                Output::Forget { room, peer } => {
                    let held = self.held.remove(&(index(&room), peer.clone())).unwrap_or_default();
                    self.fates.dropped += held.len() as u64;
                    // Nor does anybody who stays want to hear who has gone.
                    let room = index(&room);
                    for (_, held) in self.held.iter_mut().filter(|((of, _), _)| *of == room) {
                        let before = held.len();
                        held.retain(|signal| signal.from != peer);
                        self.fates.dropped += (before - held.len()) as u64;
                    }
                }
                Output::Happened { .. } | Output::Changed { .. } => {}
            }
        }
    }

    /// The peer reads from its connection.
    fn hear(&mut self, peer: usize) {
        let Some(down) = self.alive(peer).and_then(|connection| connection.down.pop_front()) else { return };
        if self.trace {
            println!("    {down:?}");
        }
        match down {
            Down::Agent { room, message } => {
                self.peers[peer].hear(room, &message, &mut self.tally);
            }
            Down::Signal(signal) => {
                assert_eq!(signal.to, self.peers[peer].id, "a signal reaches whom it names");
                self.fates.delivered += 1;
                self.peers[peer].hear_signal(signal.room, &signal.from, signal.number);
            }
        }
    }

    fn order(&mut self) {
        let (room, peer) = (self.dice.usize(0..ROOMS.len()), self.dice.usize(0..PEERS));
        let payload = match self.dice.u32(0..4) {
            0 => r#"{"type":"close"}"#.to_owned(),
            _ => format!(r#"{{"type":"remove","peer":"peer-{peer}"}}"#),
        };
        self.backbone.push_back(Frame::Order { room, payload });
    }

    /// The broker is killed and comes back: everything that it knew is gone.
    fn restart(&mut self) {
        self.tally.restarted += 1;
        self.fates.dropped += self.in_flight();
        for peer in 0..PEERS {
            self.connections[peer].clear();
            self.peers[peer].forget();
        }
        self.accepted.fill(false);
        self.backbone.clear();
        self.held.clear();
        self.stranded.clear();
        self.ending.clear();
        self.rooms = Self::rooms_of_a_new_broker();
        self.now += 100;
    }

    fn in_flight(&self) -> u64 {
        let up = |connection: &Connection| connection.up.iter().filter(|up| matches!(up, Up::Signal(_))).count();
        let down = |connection: &Connection| connection.down.iter().filter(|d| matches!(d, Down::Signal(_))).count();
        let connections: usize = self.connections.iter().flatten().map(|c| up(c) + down(c)).sum();
        let backbone = self.backbone.iter().filter(|frame| matches!(frame, Frame::Signal(_))).count();
        let kept = self.held.values().chain(self.stranded.values()).map(VecDeque::len).sum::<usize>();
        (connections + backbone + kept) as u64
    }

    fn check(&self) {
        let Fates { delivered, refused, dropped, unread } = self.fates;
        let known = delivered + refused + dropped + unread + self.in_flight();
        assert_eq!(self.sent, known, "every signal is somewhere: {:?}", self.fates);
        for (room, peer) in self.held.keys() {
            assert!(self.rooms.is_away(ROOMS[*room], peer.as_str()), "signals are held for {peer}, who is not away");
        }
        let states: Vec<_> = self.rooms.states().collect();
        assert_eq!(states.len(), self.rooms.len(), "no empty room is kept");
        for peer in &self.peers {
            let seats = states.iter().flat_map(|state| &state.peers).filter(|seat| seat.id == peer.id).count();
            assert_eq!(self.rooms.seats_of(peer.id.as_str()), seats, "the seats of {} are counted", peer.id);
        }
        let is_due = states.iter().flat_map(|state| &state.peers).any(|seat| seat.away);
        assert_eq!(self.rooms.next_deadline().is_some(), is_due, "there is a deadline while somebody is away");
        if self.backbone.is_empty() {
            (0..PEERS).for_each(|peer| self.check_beliefs(peer));
        }
    }

    /// A peer to and from which nothing is on its way knows where it is.
    fn check_beliefs(&self, number: usize) {
        let Some(connection) = self.connections[number].front().filter(|_| self.connections[number].len() == 1) else {
            return;
        };
        let is_quiet = connection.up.is_empty() && connection.down.is_empty() && !connection.is_dead;
        if !is_quiet || !self.accepted[number] {
            return;
        }
        let peer = &self.peers[number];
        for (view, room) in peer.views.iter().zip(ROOMS) {
            assert_eq!(view.asked, 0, "{} has asked for {room} and is not answered", peer.id);
            let state = self.rooms.state(room);
            let seats = state.iter().flat_map(|state| &state.peers);
            let seat = seats.clone().find(|seat| seat.id == peer.id && !seat.away);
            let other = seats.clone().find(|seat| seat.id != peer.id).map(|seat| seat.id.clone());
            let is = seat.map(|seat| (seat.role, other));
            let believes = view.inside.clone().map(|inside| (inside.role, inside.other));
            assert_eq!(believes, is, "what {} believes of {room}, and what is", peer.id);
        }
    }

    /// Everything that is on its way arrives.
    fn drain(&mut self) {
        while !self.backbone.is_empty()
            || self.connections.iter().flatten().any(|c| !c.up.is_empty() || !c.is_dead && !c.down.is_empty())
        {
            self.switch();
            for peer in 0..PEERS {
                self.read(peer);
                self.hear(peer);
            }
            self.check();
        }
    }

    fn pass(&mut self, milliseconds: u64) {
        self.now += milliseconds;
        self.agent(Input::Tick);
    }
}

impl crate::World for World {
    fn new(dice: Rng, trace: bool) -> Self {
        Self {
            dice,
            trace,
            now: START,
            rooms: Self::rooms_of_a_new_broker(),
            peers: (0..PEERS).map(|number| Peer::new(number, Channel::Exact)).collect(),
            connections: (0..PEERS).map(|_| VecDeque::new()).collect(),
            accepted: vec![false; PEERS],
            backbone: VecDeque::new(),
            held: BTreeMap::new(),
            stranded: BTreeMap::new(),
            ending: BTreeMap::new(),
            sent: 0,
            fates: Fates::default(),
            tally: Tally::default(),
        }
    }

    fn step(&mut self) {
        let peer = self.dice.usize(0..PEERS);
        let what = choose(
            &mut self.dice,
            &[
                (300, "act"),
                (500, "read"),
                (600, "switch"),
                (500, "hear"),
                (200, "pass"),
                (10, "order"),
                (1, "restart"),
            ],
        );
        if self.trace {
            println!("{} {what} {peer}", self.now - START);
        }
        match what {
            "act" => self.act(),
            "read" => self.read(peer),
            "switch" => self.switch(),
            "hear" => self.hear(peer),
            "order" => self.order(),
            "restart" => self.restart(),
            _ => {
                let time = choose(&mut self.dice, &[(20, 50), (4, 2_000), (1, 11_000)]);
                let passed = self.dice.u64(0..time);
                self.pass(passed);
            }
        }
        self.check();
        if self.trace {
            crate::show(self.rooms.states());
        }
    }

    fn settle(&mut self) {
        self.drain();
        // Each wants one room, or has gone for ever.
        let wants: Vec<Option<usize>> =
            (0..PEERS).map(|_| self.dice.bool().then(|| self.dice.usize(0..ROOMS.len()))).collect();
        for (peer, wants) in wants.iter().enumerate() {
            if self.alive(peer).is_some() {
                self.give_up(peer, if wants.is_some() { Up::Disconnect } else { Up::Cut });
            }
        }
        self.drain();
        self.pass(GRACE.as_millis() as u64 + 1);
        assert!(self.rooms.is_empty(), "all have gone: {:?}", self.rooms.states().collect::<Vec<_>>());
        for (peer, room) in wants.iter().enumerate().filter_map(|(peer, room)| Some((peer, (*room)?))) {
            self.connections[peer].push_back(Connection { up: [Up::Connect].into(), ..Connection::default() });
            self.say(peer, room, Say::Join { may_create: true });
        }
        self.drain();
        for (room, name) in ROOMS.iter().enumerate() {
            let wanted = wants.iter().filter(|want| **want == Some(room)).count();
            let inside = self.peers.iter().filter(|peer| peer.views[room].inside.is_some()).count();
            assert_eq!(inside, wanted.min(2), "{wanted} want {name}");
        }
        for peer in 0..PEERS {
            if self.alive(peer).is_some() {
                self.give_up(peer, Up::Disconnect);
            }
        }
        self.drain();
        assert!(self.rooms.is_empty() && self.rooms.next_deadline().is_none(), "nothing is left");
        assert!(
            self.held.is_empty() && self.stranded.is_empty() && self.in_flight() == 0,
            "nothing is kept for nobody"
        );
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}
