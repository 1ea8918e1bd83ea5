//! Every scenario of the room agent, played against the real broker: over TCP with both versions,
//! and over WebSocket with peers of both in the same rooms. An operator watches; what it reads
//! must agree with what the peers were told.

#[path = "support/relay.rs"]
mod relay;
#[path = "../../agent/tests/support/scenario.rs"]
mod scenario;
mod support;

use mqtt_protocol_core::mqtt::Version;
use protocol::Topic;
use scenario::{Need, Scenario, Step, World};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;
use support::client::{Client, Hello, Received, V3, V5};
use support::{Broker, identity};

/// Nobody is ever in it. Everything crosses the broker in one order, so what comes back from here
/// comes after all that was said before.
const BARRIER: &str = "barrier";
/// A scenario that lets more time pass than this needs a clock that can be moved.
const LONGEST_WAIT: Duration = Duration::from_millis(100);

struct Front {
    broker: Broker,
    /// Given to the peers in turn.
    versions: &'static [Version],
    may_not_create: Vec<String>,
    peers: BTreeMap<String, Peer>,
    seen: usize,
    operator: Client,
    states: BTreeMap<String, Value>,
    history: BTreeMap<String, VecDeque<Value>>,
    /// What the operator read of the flow, and what peers read of it.
    flow: HashSet<(String, Vec<u8>)>,
    heard: Vec<Received>,
    barriers: usize,
}

struct Peer {
    client: Client,
    rooms: HashSet<String>,
}

impl Front {
    fn new(broker: Broker, versions: &'static [Version], may_not_create: &[String]) -> Self {
        let mut operator = Client::operator(&broker, versions[0], "rooms/#");
        assert_eq!(operator.subscribe(&format!("control/{BARRIER}"), 1), 1);
        Self {
            broker,
            versions,
            may_not_create: may_not_create.to_vec(),
            peers: BTreeMap::new(),
            seen: 0,
            operator,
            states: BTreeMap::new(),
            history: BTreeMap::new(),
            flow: HashSet::new(),
            heard: Vec::new(),
            barriers: 0,
        }
    }

    fn peer(&mut self, name: &str) -> &mut Peer {
        let version = self.versions[self.seen % self.versions.len()];
        let (broker, seen, may_not_create) = (&self.broker, &mut self.seen, &self.may_not_create);
        self.peers.entry(name.into()).or_insert_with(|| {
            *seen += 1;
            let client = match may_not_create.iter().any(|other| other == name) {
                false => Client::peer(broker, version, name),
                true => identity::bearer(broker, version, name, &identity::token(name, &json!({"may": ["join"]}))),
            };
            Peer { client, rooms: HashSet::new() }
        })
    }

    fn say(&mut self, room: &str, from: &str, payload: &str) {
        let peer = self.peer(from);
        peer.rooms.insert(room.into());
        peer.client.publish(&Topic::ToAgent { room, from }.to_string(), payload, 1);
    }

    /// Takes in what the operator is sent next.
    fn read(&mut self) -> Option<Received> {
        let message = in_time(|| self.operator.message())?;
        match Topic::parse(&message.topic) {
            Ok(Topic::State { room }) => {
                let state = if message.payload.is_empty() { Value::Null } else { message.json() };
                self.states.insert(room.into(), state);
            }
            Ok(Topic::Events { room }) => {
                self.history.entry(room.into()).or_default().push_back(message.json());
            }
            _ => {
                self.flow.insert((message.topic.clone(), message.payload.clone()));
            }
        }
        Some(message)
    }

    /// Reads as the operator until everything is read that has happened so far.
    fn catch_up(&mut self) {
        self.barriers += 1;
        let (topic, payload) = (format!("control/{BARRIER}"), self.barriers.to_string());
        self.operator.publish(&topic, &payload, 1);
        loop {
            let message = self.read().expect("the operator hears its own word");
            if message.topic == topic && message.payload == payload.as_bytes() {
                return;
            }
        }
    }

    /// What the operator has read must be all that there was, and what a latecomer is given.
    fn check_the_operators_view(&mut self) -> Result<(), String> {
        self.catch_up();
        if let Some(unseen) = self.heard.iter().find(|m| !self.flow.contains(&(m.topic.clone(), m.payload.clone()))) {
            return Err(format!("the operator has not seen {} {}", unseen.topic, unseen.json()));
        }
        let mut hello = Hello::new(self.versions[0], "latecomer");
        hello.user = Some(("operator".into(), self.broker.token()));
        let (mut latecomer, code) = Client::hello(&self.broker, &hello);
        assert_eq!(code, Some(0));
        assert_eq!(latecomer.subscribe("rooms/+", 1), 1);
        let live: BTreeMap<String, Value> = self
            .states
            .iter()
            .filter(|(_, state)| !state.is_null())
            .map(|(room, state)| (room.clone(), lasting(state.clone())))
            .collect();
        let mut retained = BTreeMap::new();
        for _ in &live {
            let message = in_time(|| latecomer.message()).ok_or_else(|| format!("{live:?} should be retained"))?;
            let Ok(Topic::State { room }) = Topic::parse(&message.topic) else { panic!("{message:?} is no state") };
            assert!(message.retain, "{message:?}");
            retained.insert(room.to_owned(), lasting(message.json()));
        }
        latecomer.nothing();
        if retained == live { Ok(()) } else { Err(format!("retained is {retained:?}, last said was {live:?}")) }
    }
}

/// A state without what changes in it and is not told at once: signals are counted without a word,
/// and an `error` to one peer is no change of the room.
fn lasting(mut state: Value) -> Value {
    for field in ["messages", "rev"] {
        state[field].take();
    }
    state
}

/// What the client waits for; `None` if it waited in vain.
fn in_time<T>(wait: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(wait)).ok()
}

fn addressed(message: &Received) -> Value {
    let mut json = message.json();
    let (room, from) = match Topic::parse(&message.topic) {
        Ok(Topic::FromAgent { room, .. }) => (room, "agent"),
        Ok(Topic::Signal { room, from, .. }) => (room, from),
        other => panic!("{}: {other:?}", message.topic),
    };
    json["@room"] = json!(room);
    json["@from"] = json!(from);
    json
}

impl World for Front {
    fn act(&mut self, step: &Step) {
        match step {
            Step::Connect(peer) => {
                self.peer(peer);
            }
            Step::Join { peer, room, info, v } => self.say(room, peer, &scenario::join(info.as_ref(), v.as_ref())),
            Step::Leave { peer, room } => self.say(room, peer, r#"{"type":"leave"}"#),
            Step::Send { peer, room, payload } => self.say(room, peer, payload),
            Step::Signal { from, to, room, message } => {
                self.peer(from).client.signal(room, to, message);
            }
            Step::Lose(name) => {
                let Peer { client, rooms } = self.peers.remove(name).unwrap();
                client.lose();
                let gone = |state: &Value| {
                    let mut peers = state["peers"].as_array().into_iter().flatten();
                    peers.all(|peer| peer["id"] != json!(name) || peer["away"] == json!(true))
                };
                for room in rooms {
                    self.room_is(&room, &gone).unwrap();
                }
            }
            Step::Disconnect(name) => self.peers.remove(name).unwrap().client.disconnect(),
            Step::Order { room, order } => {
                let topic = Topic::Control { room }.to_string();
                self.operator.publish(&topic, scenario::order(order), 1);
            }
            Step::GraceRunsOut => {}
            // Not to wait for anything: the passing of time is what happens here.
            Step::AdvanceMs(ms) => std::thread::sleep(Duration::from_millis(*ms)),
            Step::Expect(_) | Step::ExpectNothing(_) | Step::Room { .. } | Step::History { .. } => unreachable!(),
        }
    }

    fn next(&mut self, peer: &str) -> Option<Value> {
        let client = &mut self.peers.get_mut(peer)?.client;
        let message = in_time(|| client.message())?;
        let json = addressed(&message);
        self.heard.push(message);
        Some(json)
    }

    fn stray(&mut self, peer: &str) -> Option<Value> {
        let client = &mut self.peers.get_mut(peer)?.client;
        client.publish(&Topic::ToAgent { room: BARRIER, from: peer }.to_string(), "what came before this?", 1);
        let message = addressed(&in_time(|| client.message()).expect("the agent answers"));
        (message["@room"] != BARRIER).then_some(message)
    }

    fn room_is(&mut self, room: &str, wanted: &dyn Fn(&Value) -> bool) -> Result<(), Value> {
        self.catch_up();
        while !wanted(self.states.get(room).unwrap_or(&Value::Null)) {
            if self.read().is_none() {
                return Err(self.states.get(room).cloned().unwrap_or_default());
            }
        }
        Ok(())
    }

    fn next_event(&mut self, room: &str) -> Option<Value> {
        loop {
            if let Some(event) = self.history.get_mut(room).and_then(VecDeque::pop_front) {
                return Some(event);
            }
            self.read()?;
        }
    }
}

/// Whether a real clock will do.
fn is_playable(scenario: &Scenario) -> bool {
    let waits = scenario.steps.iter().map(|(_, step)| if let Step::AdvanceMs(ms) = step { *ms } else { 0 });
    Duration::from_millis(waits.sum()) <= LONGEST_WAIT
}

fn play(scenario: &Scenario, versions: &'static [Version], over_websocket: bool) -> Result<(), String> {
    let folder = support::scratch_folder();
    std::fs::write(folder.join("turn.secret"), scenario::RELAY_SECRET).unwrap();
    std::fs::write(folder.join("secret"), identity::SECRET).unwrap();
    let file = scenario.relay_ttl.map_or_else(String::new, |ttl| {
        let (relay, ttl) = (scenario::RELAY, ttl.as_secs());
        format!("[ice]\nturn = [{{urls = [\"{relay}\"], ttl = \"{ttl}s\", secret_file = \"turn.secret\"}}]")
    });
    let grace = ["--grace", if scenario.waits_for_grace() { "400ms" } else { "1h" }];
    let rights: &[&str] =
        if scenario.may_not_create.is_empty() { &[] } else { &["--jwt-secret", "secret", "--allow-anonymous"] };
    let mut broker = Broker::in_folder(folder, &[&grace[..], rights].concat(), &file);
    if over_websocket {
        broker.mqtt = relay::start(broker.http);
    }
    let mut front = Front::new(broker, versions, &scenario.may_not_create);
    scenario.play(&mut front).and_then(|()| {
        front.check_the_operators_view().map_err(|e| format!("{}, as operators see it: {e}", scenario.name))
    })
}

fn play_all(versions: &'static [Version], over_websocket: bool) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../agent/tests/scenarios");
    let all = Scenario::all(&folder);
    let (here, elsewhere): (Vec<_>, Vec<_>) = all.iter().partition(|scenario| is_playable(scenario));
    let failures: Vec<String> = here
        .iter()
        .filter_map(|scenario| {
            let played = catch_unwind(|| play(scenario, versions, over_websocket));
            played.unwrap_or_else(|_| Err(format!("{} panics", scenario.name))).err()
        })
        .collect();
    assert!(failures.is_empty(), "{} of {} fail\n{}", failures.len(), here.len(), failures.join("\n"));
    let because = |need| here.iter().filter(|scenario| scenario.needs.contains(&need)).count();
    println!(
        "{} played, of which {} need the end of connections, {} refused signals, {} held signals, \
         {} rights, {} a clock of which a moment will do",
        here.len(),
        because(Need::Presence),
        because(Need::Membership),
        because(Need::HeldSignals),
        because(Need::Rights),
        because(Need::VirtualClock),
    );
    for scenario in &elsewhere {
        println!("not played: {}, which needs a clock that can be moved by more than {LONGEST_WAIT:?}", scenario.name);
    }
    assert!(elsewhere.len() <= 2, "what cannot be played here stays the exception");
}

#[test]
fn with_3_1_1_over_tcp() {
    play_all(&[V3], false);
}

#[test]
fn with_5_0_over_tcp() {
    play_all(&[V5], false);
}

#[test]
fn with_both_over_websocket() {
    play_all(&[V5, V3], true);
}
