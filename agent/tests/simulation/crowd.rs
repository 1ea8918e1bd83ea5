//! A crowd at agents that share a store, more than one machine holds: the agents, the store's records and the history that is
//! checked are those of [`crate::copies`], but peers are many, time passes by events, and everything takes its time: networks,
//! the store's one thread, each agent's. So it also tells how many joins there can be in a second, and what a room asks of
//! the store.
//!
//! Messages overtake each other, come twice and get lost with those who had them; agents are killed, cut off from the
//! store or from the engine, and their lines stall; requests to the store and its answers get lost or take longer than an agent
//! may speak; peers leave, vanish with a will and without, and go where two are already.

mod checks;
mod figures;
mod members;
mod trouble;

use crate::copies::agents::{Agent, Common, Shared, Wait};
use crate::peer::View;
use crate::{GRACE, START, Tally};
use agent::ice::Ice;
use agent::store::turn::{Heard, Terms};
use agent::store::{Publication, SPEAK};
use fastrand::Rng;
use figures::{Figures, Phase};
use protocol::{PeerId, RoomId, Topic};
use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

const LEAVE: &str = r#"{"type":"leave"}"#;
/// A second, as time is counted here: in microseconds since the beginning.
const SECOND: u64 = 1_000_000;
/// What an agent works on at once, and how often it asks at most what is due.
const AT_WORK: usize = 1024;
/// The same, where there is nothing but what can wait.
const AT_WORK_LATER: usize = 64;
const PACE: u64 = SECOND / 10;

/// How large, how long, and what things cost.
#[derive(Debug, Clone)]
pub struct Plan {
    pub peers: usize,
    pub agents: usize,
    pub lease: Duration,
    /// Joins that are under way at most when everybody comes at once.
    pub at_once: usize,
    /// Calls of a peer in an hour, while some come and others go.
    pub calls: u64,
    /// For how long they do.
    pub steady: Duration,
    /// How often in a minute something happens to an agent.
    pub troubles: u64,
    /// What a script takes of the store's time, in microseconds.
    pub script: u64,
    /// What a request to the store takes of an agent's, and a message that it hears or says.
    pub request: u64,
    pub message: u64,
}

/// A moment's thing to do.
#[derive(Debug)]
enum What {
    /// A peer does what it does next, unless something has happened since.
    Act {
        peer: u32,
        epoch: u32,
    },
    /// Something said to the agents reaches one of them.
    ForAgent(Message),
    Go {
        agent: usize,
        run: u32,
        room: u32,
    },
    /// The engine has something that an agent said.
    Taken {
        agent: usize,
        run: u32,
        publication: Publication,
    },
    Hear {
        peer: u32,
        room: u32,
        message: Rc<str>,
    },
    Sweep {
        agent: usize,
        run: u32,
    },
    Disturb,
    Heal {
        agent: usize,
    },
}

#[derive(Debug, Clone, Copy)]
struct Message {
    room: u32,
    from: u32,
    payload: &'static str,
}

struct Peer {
    id: PeerId,
    view: View,
    room: u32,
    state: State,
    epoch: u32,
    /// When it has the last thing that the engine has for it: what goes over one connection stays in order.
    told: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Out,
    Wants {
        since: u64,
    },
    Inside {
        until: u64,
    },
    /// For good.
    Gone,
}

struct Host {
    agent: Agent,
    run: u32,
    inbox: VecDeque<(u32, Heard, Option<u64>)>,
    /// What it is shown, which waits behind what it is told.
    later: VecDeque<(u32, Heard)>,
    /// Until when its thread has something to do, and when the engine has the last thing that it has said.
    busy: u64,
    said: u64,
    is_silent: bool,
}

pub struct World {
    plan: Plan,
    dice: Rng,
    common: Shared,
    terms: Terms,
    now: u64,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    things: HashMap<u64, What>,
    number: u64,
    rooms: Vec<RoomId>,
    peers: Vec<Peer>,
    hosts: Vec<Host>,
    runs: u32,
    under_way: BTreeMap<(usize, u64), Message>,
    heard: u64,
    retained: HashMap<u32, Box<str>>,
    store_busy: u64,
    /// Peers that have not come yet, while everybody comes at once.
    coming: std::ops::Range<u32>,
    waiting: usize,
    /// Nobody goes, and nothing fails.
    is_calm: bool,
    tally: Tally,
    figures: Figures,
}

impl World {
    pub fn new(seed: u64, plan: Plan) -> Self {
        let mut dice = Rng::with_seed(seed);
        let common = Rc::new(RefCell::new(Common::new(dice.fork(), START)));
        common.borrow_mut().is_rough = false;
        common.borrow_mut().one_in = 2_000;
        let rooms = plan.peers.div_ceil(2);
        let peer = |n: usize| Peer {
            id: format!("peer-{n}").parse().unwrap(),
            view: View::default(),
            room: (n / 2) as u32,
            state: State::Out,
            epoch: 0,
            told: 0,
        };
        let mut world = Self {
            terms: Terms { grace: GRACE, lease: Some(plan.lease), ice: Ice::default() },
            dice,
            common,
            now: 0,
            queue: BinaryHeap::new(),
            things: HashMap::new(),
            number: 0,
            rooms: (0..rooms).map(|n| format!("room-{n}").parse().unwrap()).collect(),
            peers: (0..plan.peers).map(peer).collect(),
            hosts: Vec::new(),
            runs: 0,
            under_way: BTreeMap::new(),
            heard: 0,
            retained: HashMap::new(),
            store_busy: 0,
            coming: 0..plan.peers as u32,
            waiting: 0,
            is_calm: true,
            tally: Tally::default(),
            figures: Figures::default(),
            plan,
        };
        for agent in 0..world.plan.agents {
            world.runs += 1;
            let run = world.runs;
            world.hosts.push(Host::new(run, &world.common));
            world.after(PACE * agent as u64 / world.plan.agents as u64, What::Sweep { agent, run });
        }
        world
    }

    /// Everybody comes at once, then some come and others go, then nobody does and the network is well, and all go.
    pub fn play(mut self) -> (Figures, Tally) {
        self.phase(Phase::Coming);
        self.come();
        self.until("everybody is in a room", 3_600 * SECOND, |world| world.are_all_inside());
        self.figures.state = self.state_bytes();

        self.phase(Phase::Steady);
        for peer in 0..self.peers.len() {
            let until = self.end_of_call();
            if let State::Inside { .. } = self.peers[peer].state {
                self.peers[peer].state = State::Inside { until };
                // The others look again when they renew their lease.
                if until - self.now < self.plan.lease.as_micros() as u64 / 3 {
                    self.act_after(peer as u32, until - self.now);
                }
            }
        }
        self.is_calm = false;
        self.common.borrow_mut().is_rough = true;
        self.after(SECOND / 2, What::Disturb);
        let end = self.now + self.plan.steady.as_micros() as u64;
        self.until("time passes", u64::MAX - self.now, |world| world.now >= end);

        self.phase(Phase::Calm);
        self.common.borrow_mut().is_rough = false;
        self.is_calm = true;
        for peer in 0..self.peers.len() as u32 {
            self.go_home(peer);
        }
        let patience = 3 * (self.plan.lease + GRACE).as_micros() as u64;
        self.until("whoever wants a room is in it", patience, |world| world.are_all_inside());
        // What has not heard of the last change hears of it when it joins again.
        let spread = 10 * SECOND + self.peers.len() as u64 * 250;
        for peer in 0..self.peers.len() as u32 {
            let late = self.dice.u64(0..spread);
            self.act_after(peer, late);
        }
        let end = self.now + spread;
        self.until("all join again", patience, |world| world.now >= end);
        self.until("nothing is under way", patience, |world| world.is_quiet());
        self.check_all_are_inside();

        self.phase(Phase::Going);
        for peer in 0..self.peers.len() as u32 {
            let late = self.dice.u64(SECOND..spread);
            let gone = &mut self.peers[peer as usize];
            (gone.state, gone.epoch) = (State::Gone, gone.epoch + 1);
            gone.view.leaves();
            let room = gone.room;
            self.after(late, What::ForAgent(Message { room, from: peer, payload: LEAVE }));
        }
        let end = self.now + spread + 5 * SECOND;
        self.until("all go", patience, |world| world.now >= end && world.is_quiet());
        self.check_nothing_is_left();
        self.phase(Phase::Over);
        (self.figures, self.tally)
    }

    fn phase(&mut self, phase: Phase) {
        let scripts = self.common.borrow().asked;
        self.figures.turn(phase, self.now, scripts, self.tally.joined, self.hosts.len());
        self.tally.unheard = self.common.borrow().lost_answers;
        self.tally.lost = self.common.borrow().history.lost;
    }

    /// Lets things happen until it is so.
    fn until(&mut self, what: &str, patience: u64, is_so: impl Fn(&Self) -> bool) {
        let deadline = self.now.saturating_add(patience);
        // To look at everybody after each step would take for ever.
        let mut look_at = self.now;
        loop {
            if self.now >= look_at {
                if is_so(self) {
                    return;
                }
                look_at = self.now + SECOND / 10;
            }
            assert!(self.now < deadline, "{what}, it was hoped; after {} s: {}", patience / SECOND, self.why());
            let Reverse((at, number)) = self.queue.pop().expect("agents always have something to do");
            let thing = self.things.remove(&number).unwrap();
            self.now = at;
            self.common.borrow_mut().now = START + at / 1000;
            self.happen(thing);
        }
    }

    fn after(&mut self, wait: u64, what: What) {
        self.number += 1;
        self.queue.push(Reverse((self.now + wait, self.number)));
        self.things.insert(self.number, what);
    }

    /// How long something is under way.
    fn net(&mut self) -> u64 {
        self.dice.u64(50..500)
    }

    fn happen(&mut self, what: What) {
        match what {
            What::Act { peer, epoch } if self.peers[peer as usize].epoch == epoch => self.act(peer),
            What::ForAgent(message) => self.for_agent(message),
            What::Go { agent, run, room } if self.hosts[agent].run == run => self.go(agent, room),
            What::Taken { agent, run, publication } => self.taken(agent, run, &publication),
            What::Hear { peer, room, message } => self.hear(peer, room, &message),
            What::Sweep { agent, run } if self.hosts[agent].run == run => self.sweep(agent),
            What::Disturb if !self.is_calm => self.disturb(),
            What::Heal { agent } => self.heal(agent),
            What::Act { .. } | What::Go { .. } | What::Sweep { .. } | What::Disturb => {}
        }
    }

    fn for_agent(&mut self, message: Message) {
        let agent = self.dice.usize(0..self.hosts.len());
        if self.hosts[agent].is_silent {
            // The engine gives to those that it is connected to.
            return self.after(100, What::ForAgent(message));
        }
        self.heard += 1;
        self.figures.heard += 1;
        self.under_way.insert((agent, self.heard), message);
        let from = self.peers[message.from as usize].id.clone();
        let heard = Heard::Message { from, payload: message.payload.as_bytes().to_vec() };
        self.hosts[agent].inbox.push_back((message.room, heard, Some(self.heard)));
        self.begin(agent);
    }

    /// An agent takes from its line what it can work on.
    fn begin(&mut self, agent: usize) {
        while !self.hosts[agent].is_silent && self.hosts[agent].agent.at_work() < AT_WORK {
            let Some((room, heard, receipt)) = self.hosts[agent].inbox.pop_front() else { break };
            self.take(agent, room, heard, receipt);
        }
        while !self.hosts[agent].is_silent && self.hosts[agent].agent.at_work() < AT_WORK_LATER {
            let Some((room, heard)) = self.hosts[agent].later.pop_front() else { return };
            self.take(agent, room, heard, None);
        }
    }

    fn take(&mut self, agent: usize, room: u32, heard: Heard, receipt: Option<u64>) {
        let busy = self.work(agent, self.plan.message);
        let host = &mut self.hosts[agent];
        if host.agent.hear(&self.rooms[room as usize], heard, receipt, &self.terms) {
            let run = host.run;
            self.after(busy - self.now, What::Go { agent, run, room });
        }
    }

    /// An agent's thread has so much to do, and is through with it then.
    fn work(&mut self, agent: usize, time: u64) -> u64 {
        let host = &mut self.hosts[agent];
        host.busy = host.busy.max(self.now) + time;
        self.figures.agents_busy += time;
        host.busy
    }

    fn go(&mut self, agent: usize, room: u32) {
        let wait = self.hosts[agent].agent.go_on_in(&self.rooms[room as usize], &self.terms);
        for number in self.hosts[agent].agent.acknowledged() {
            self.under_way.remove(&(agent, number));
        }
        let mut taken = self.now;
        while let Some(publication) = self.hosts[agent].agent.says() {
            self.figures.said += 1;
            let sent = self.work(agent, self.plan.message) + self.net();
            let host = &mut self.hosts[agent];
            host.said = host.said.max(sent);
            taken = host.said;
            let run = host.run;
            self.after(taken - self.now, What::Taken { agent, run, publication });
        }
        let Some(wait) = wait else { return self.begin(agent) };
        let wait = match wait {
            Wait::Store => {
                let asked = self.work(agent, self.plan.request) + self.net();
                self.store_busy = self.store_busy.max(asked) + self.plan.script;
                self.figures.store_busy += self.plan.script;
                // One that is held up on its way holds up no other.
                self.store_busy + self.hiccup()
            }
            Wait::Answer => (self.now + self.net() + self.hiccup()).max(self.hosts[agent].busy),
            Wait::Broker => taken.max(self.hosts[agent].said) + self.net(),
            Wait::Trouble => self.now + self.dice.u64(50_000..SECOND),
        };
        let run = self.hosts[agent].run;
        self.after(wait - self.now, What::Go { agent, run, room });
    }

    /// Some requests take longer than an agent may speak.
    fn hiccup(&mut self) -> u64 {
        let is_one = self.common.borrow().is_rough && self.dice.u32(0..20_000) == 0;
        if is_one { self.dice.u64(0..3 * SECOND) } else { 0 }
    }

    fn sweep(&mut self, agent: usize) {
        let (name, run) = (self.hosts[agent].name(), self.hosts[agent].run);
        let is_cut_off = self.common.borrow().cut_off.contains(&name) || self.hosts[agent].is_silent;
        let mut next = SPEAK.as_micros() as u64;
        if !is_cut_off {
            let due = self.hosts[agent].agent.ask_due();
            self.figures.sweeps += 1;
            next = due.next.map_or(next, |due| due.as_micros() as u64).clamp(PACE, next);
            for room in due.rooms {
                let room = index(room.as_str());
                self.take(agent, room, Heard::Due, None);
            }
        }
        self.after(next, What::Sweep { agent, run });
    }

    fn taken(&mut self, agent: usize, run: u32, publication: &Publication) {
        // It was on its way when its agent was killed.
        if self.hosts[agent].run != run && self.dice.bool() {
            return;
        }
        self.common.borrow_mut().history.said(publication);
        match Topic::parse(&publication.topic) {
            Ok(Topic::State { room }) => {
                if publication.payload.is_empty() {
                    self.retained.remove(&index(room));
                } else {
                    self.retained.insert(index(room), publication.payload.as_str().into());
                }
            }
            Ok(Topic::FromAgent { to, room }) => {
                let (peer, room) = (index(to), index(room));
                let message: Rc<str> = publication.payload.as_str().into();
                let arrives = self.now + self.net();
                let told = &mut self.peers[peer as usize].told;
                *told = arrives.max(*told);
                let wait = *told - self.now;
                self.after(wait, What::Hear { peer, room, message: message.clone() });
                if self.common.borrow().is_rough && self.dice.u32(0..200) == 0 {
                    let wait = self.dice.u64(0..SECOND);
                    self.after(wait, What::Hear { peer, room, message });
                }
            }
            _ => {}
        }
    }
}

/// What comes after the dash.
fn index(name: &str) -> u32 {
    name.split_once('-').and_then(|(_, number)| number.parse().ok()).unwrap()
}
