//! The program `agent` beside Debian's Mosquitto with the shipped rules: the scenarios again,
//! over real connections, and what only a program between two others can get wrong.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]
#![allow(clippy::disallowed_methods, reason = "real programs need real deadlines")]

#[path = "support/mosquitto.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod mosquitto;
#[path = "support/scenario.rs"]
mod scenario;

use mosquitto::{Client, Mosquitto, PATIENCE, Process};
use protocol::Topic;
use rumqttc::{LastWill, QoS};
use scenario::{Need, Scenario, Step, World};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::time::{Duration, Instant};

/// Nobody is in it, so what the agent answers about it comes after everything it said before.
const BARRIER: &str = "barrier";
const PROBER: &str = "dave";

struct Outside {
    peers: BTreeMap<String, Peer>,
    operator: Client,
    /// Is in no room, and asks the agent something whose answer the operator sees: what the
    /// operator has read by then is not older than the question.
    prober: Client,
    states: BTreeMap<String, Value>,
    history: BTreeMap<String, VecDeque<Value>>,
    agent: Process,
    mosquitto: Mosquitto,
}

struct Peer {
    client: Client,
    will_room: String,
}

impl Outside {
    fn new(grace: &str) -> Self {
        Self::with_relay(grace, None)
    }

    fn with_relay(grace: &str, ttl: Option<Duration>) -> Self {
        let mosquitto = Mosquitto::start();
        let mut flags = vec!["--grace".to_owned(), grace.to_owned()];
        if let Some(ttl) = ttl {
            let secret = mosquitto.keep("turn.secret", scenario::RELAY_SECRET);
            let ttl = format!("{}s", ttl.as_secs());
            flags.extend(
                ["--turn", scenario::RELAY, "--turn-ttl", &ttl, "--turn-secret-file", &secret].map(str::to_owned),
            );
        }
        let agent = mosquitto.agent_at_work(&flags.iter().map(String::as_str).collect::<Vec<_>>());
        let mut operator = Client::connect(mosquitto.port, "operator", None);
        assert!(operator.subscribe("rooms/#"));
        let prober = Client::connect(mosquitto.port, PROBER, None);
        let (states, history) = (BTreeMap::new(), BTreeMap::new());
        Self { peers: BTreeMap::new(), operator, prober, states, history, agent, mosquitto }
    }

    fn peer(&mut self, peer: &str, room: &str) -> &mut Client {
        let port = self.mosquitto.port;
        let connect = || Peer { client: connect(port, peer, room), will_room: room.into() };
        &mut self.peers.entry(peer.into()).or_insert_with(connect).client
    }

    fn say(&mut self, room: &str, from: &str, payload: &str) {
        let topic = Topic::ToAgent { room, from }.to_string();
        self.peer(from, room).publish(&topic, false, payload.as_bytes());
    }

    /// Reads on until the operator has seen what followed from everything done so far.
    fn catch_up(&mut self) {
        let topic = Topic::ToAgent { room: BARRIER, from: PROBER }.to_string();
        self.prober.publish(&topic, false, b"what came before this?");
        let answered = Topic::FromAgent { room: BARRIER, to: PROBER }.to_string();
        while self.read(PATIENCE).expect("the agent answers") != answered {}
    }

    /// Reads one message; gives its topic, if one came in time.
    fn read(&mut self, patience: Duration) -> Option<String> {
        let (topic, payload) = self.operator.next(patience)?;
        let payload = || serde_json::from_slice(&payload).unwrap_or_default();
        match Topic::parse(&topic) {
            Ok(Topic::State { room }) => {
                self.states.insert(room.into(), payload());
            }
            Ok(Topic::Events { room }) => self.history.entry(room.into()).or_default().push_back(payload()),
            _ => {}
        }
        Some(topic)
    }
}

fn connect(port: u16, peer: &str, room: &str) -> Client {
    let topic = Topic::ToAgent { room, from: peer }.to_string();
    let will = LastWill::new(topic, r#"{"type":"leave","reason":"lost"}"#, QoS::AtLeastOnce, false);
    let mut client = Client::connect(port, peer, Some(will));
    assert!(client.subscribe(&format!("rooms/+/{peer}/+")));
    client
}

fn addressed((topic, payload): (String, Vec<u8>)) -> Value {
    let mut message: Value = serde_json::from_slice(&payload).unwrap();
    let (room, from) = match Topic::parse(&topic) {
        Ok(Topic::FromAgent { room, .. }) => (room, "agent"),
        Ok(Topic::Signal { room, from, .. }) => (room, from),
        other => panic!("{topic}: {other:?}"),
    };
    message["@room"] = json!(room);
    message["@from"] = json!(from);
    message
}

impl World for Outside {
    fn act(&mut self, step: &Step) {
        match step {
            Step::Connect(peer) => {
                self.peer(peer, "lobby");
            }
            Step::Join { peer, room, info, v } => self.say(room, peer, &scenario::join(info.as_ref(), v.as_ref())),
            Step::Leave { peer, room } => self.say(room, peer, r#"{"type":"leave"}"#),
            Step::Send { peer, room, payload } => self.say(room, peer, payload),
            Step::Signal { from, to, room, message } => {
                let topic = Topic::Signal { room, to, from }.to_string();
                self.peer(from, room).publish(&topic, false, message.to_string().as_bytes());
            }
            Step::Lose(name) => {
                let peer = self.peers.remove(name).unwrap();
                self.catch_up();
                peer.client.lose();
                let gone = |state: &Value| {
                    let peers = state["peers"].as_array().cloned().unwrap_or_default();
                    peers.iter().all(|peer| peer["id"] != json!(name) || peer["away"] == json!(true))
                };
                self.room_is(&peer.will_room, &gone).unwrap();
            }
            Step::Disconnect(name) => self.peers.remove(name).unwrap().client.disconnect(),
            Step::Order { room, order } => {
                let topic = Topic::Control { room }.to_string();
                self.operator.publish(&topic, false, scenario::order(order).as_bytes());
            }
            Step::GraceRunsOut => {}
            Step::AdvanceMs(ms) => panic!("time cannot be advanced by {ms} ms here"),
            Step::Expect(_) | Step::ExpectNothing(_) | Step::Room { .. } | Step::History { .. } => unreachable!(),
        }
    }

    fn next(&mut self, peer: &str) -> Option<Value> {
        self.peers.get_mut(peer)?.client.next(PATIENCE).map(addressed)
    }

    fn stray(&mut self, peer: &str) -> Option<Value> {
        let client = &mut self.peers.get_mut(peer)?.client;
        let topic = Topic::ToAgent { room: BARRIER, from: peer }.to_string();
        client.publish(&topic, false, b"what came before this?");
        let message = addressed(client.next(PATIENCE).expect("the agent answers"));
        (message["@room"] != BARRIER).then_some(message)
    }

    fn room_is(&mut self, room: &str, wanted: &dyn Fn(&Value) -> bool) -> Result<(), Value> {
        self.catch_up();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let state = self.states.get(room).unwrap_or(&Value::Null);
            if wanted(state) {
                return Ok(());
            }
            if self.read(deadline.saturating_duration_since(Instant::now())).is_none() {
                return Err(self.states.get(room).cloned().unwrap_or_default());
            }
        }
    }

    fn next_event(&mut self, room: &str) -> Option<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(event) = self.history.get_mut(room).and_then(VecDeque::pop_front) {
                return Some(event);
            }
            self.read(deadline.saturating_duration_since(Instant::now()))?;
        }
    }
}

#[test]
fn the_scenarios_go_as_written_except_where_only_our_own_broker_can_know() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let all = Scenario::all(&folder);
    let (elsewhere, here): (Vec<_>, Vec<_>) = all.iter().partition(|scenario| !scenario.needs.is_empty());
    let mut failures = Vec::new();
    for scenario in &here {
        let grace = if scenario.waits_for_grace() { "400ms" } else { "1h" };
        let mut world = Outside::with_relay(grace, scenario.relay_ttl);
        if let Err(failure) = scenario.play(&mut world) {
            failures.push(format!("{failure}\n{}\n{}", world.agent.output(), world.mosquitto.output()));
        }
    }
    assert!(failures.is_empty(), "{} of {} fail\n{}", failures.len(), here.len(), failures.join("\n"));
    let because = |need| elsewhere.iter().filter(|scenario| scenario.needs.contains(&need)).count();
    println!(
        "{} played; not here: {} need a virtual clock, {} the end of connections, {} refused signals, {} held signals, \
         {} rights",
        here.len(),
        because(Need::VirtualClock),
        because(Need::Presence),
        because(Need::Membership),
        because(Need::HeldSignals),
        because(Need::Rights),
    );
}

#[test]
fn nobody_speaks_as_another_or_reads_what_is_anothers() {
    let mut world = Outside::new("1h");
    world.act(&Step::Join { peer: "alice".into(), room: "lobby".into(), info: None, v: None });
    assert_eq!(world.next("alice").unwrap()["type"], "created");

    let port = world.mosquitto.port;
    let mut mallory = connect(port, "mallory", "lobby");
    for filter in ["#", "rooms/#", "rooms/+/+/+", "rooms/+/alice/+", "rooms/+/agent/+", "rooms/lobby", "control/#"] {
        mallory.subscribe(filter);
    }
    for topic in
        ["rooms/lobby/alice/agent", "rooms/lobby/alice/bob", "rooms/lobby/agent/alice", "rooms/lobby/agent/bob"]
    {
        mallory.publish(topic, false, br#"{"type":"leave"}"#);
    }
    for topic in ["rooms/lobby", "rooms/lobby/events", "control/lobby"] {
        mallory.publish(topic, true, br#"{"type":"close"}"#);
    }
    world.act(&Step::Join { peer: "bob".into(), room: "lobby".into(), info: None, v: None });
    assert_eq!(world.next("bob").unwrap()["type"], "joined");
    assert_eq!(world.next("alice").unwrap()["type"], "arrived");
    assert!(world.stray("alice").is_none());
    mallory.publish("rooms/barrier/agent/mallory", false, b"what came before this?");
    let (topic, _) = mallory.next(PATIENCE).unwrap();
    assert_eq!(topic, "rooms/barrier/mallory/agent", "mallory has heard something");
    let happened: Vec<Value> = (0..3).map(|_| world.next_event("lobby").unwrap()["type"].clone()).collect();
    assert_eq!(happened, ["created", "joined", "arrived"]);
}

#[test]
fn what_peers_retain_does_not_come_back_with_the_agent() {
    let mut world = Outside::new("1h");
    let mut alice = connect(world.mosquitto.port, "alice", "lobby");
    alice.publish("rooms/lobby/agent/alice", true, br#"{"type":"join"}"#);
    assert!(alice.next(PATIENCE).is_some());
    alice.publish("rooms/lobby/agent/alice", false, br#"{"type":"leave"}"#);
    world.room_is("lobby", &Value::is_null).unwrap();
    world.agent.signal("KILL");
    world.agent.wait();
    world.agent = world.mosquitto.agent_at_work(&[]);
    alice.publish("rooms/barrier/agent/alice", false, b"what came before this?");
    let (topic, _) = alice.next(PATIENCE).unwrap();
    assert_eq!(topic, "rooms/barrier/alice/agent", "the retained join was taken for a new one");
}

#[test]
fn a_broker_that_goes_and_comes_back_finds_the_same_rooms() {
    let mut mosquitto = Mosquitto::prepare();
    let agent = mosquitto.agent(&["--grace", "1h"]);
    agent.wait_for("no connection").unwrap();
    mosquitto.run().unwrap();
    agent.wait_for("agent connected").unwrap();
    let mut alice = connect(mosquitto.port, "alice", "lobby");
    alice.publish("rooms/lobby/agent/alice", false, br#"{"type":"join"}"#);
    assert_eq!(addressed(alice.next(PATIENCE).unwrap())["type"], "created");

    mosquitto.kill();
    agent.wait_for("connection lost").unwrap();
    mosquitto.run().unwrap();
    agent.wait_for("agent connected").unwrap();
    let mut operator = Client::connect(mosquitto.port, "operator", None);
    operator.subscribe("rooms/+");
    let (topic, state) = operator.next(PATIENCE).expect("a broker without persistence is told every room again");
    assert_eq!(topic, "rooms/lobby");
    assert_eq!(serde_json::from_slice::<Value>(&state).unwrap()["peers"][0]["id"], "alice");
    let mut bob = connect(mosquitto.port, "bob", "lobby");
    bob.publish("rooms/lobby/agent/bob", false, br#"{"type":"join"}"#);
    let answer = addressed(bob.next(PATIENCE).unwrap());
    assert_eq!((&answer["type"], &answer["peer"]["id"]), (&json!("joined"), &json!("alice")));
}

#[test]
fn rooms_of_an_earlier_run_are_cleared_away_and_what_was_said_meanwhile_is_answered() {
    let mut world = Outside::new("1h");
    world.act(&Step::Join { peer: "alice".into(), room: "lobby".into(), info: None, v: None });
    let first = world.next("alice").unwrap();
    world.room_is("lobby", &Value::is_object).unwrap();
    world.agent.signal("KILL");
    world.agent.wait();
    // Nobody listens now; the broker keeps it for the agent's session.
    world.act(&Step::Join { peer: "alice".into(), room: "hall".into(), info: None, v: None });
    world.agent = world.mosquitto.agent_at_work(&[]);
    world.room_is("lobby", &Value::is_null).unwrap();
    let answer = world.next("alice").unwrap();
    assert_eq!((&answer["type"], &answer["@room"]), (&json!("created"), &json!("hall")));
    world.room_is("hall", &Value::is_object).unwrap();
    world.act(&Step::Join { peer: "alice".into(), room: "lobby".into(), info: None, v: None });
    let again = world.next("alice").unwrap();
    assert_eq!(again["resumed"], json!(false));
    assert!(again["rev"].as_u64() > first["rev"].as_u64(), "rev grows across restarts");
}

#[test]
fn a_flood_is_answered_to_its_end() {
    const MESSAGES: usize = 5000;
    let world = Outside::new("1h");
    let mut mallory = connect(world.mosquitto.port, "mallory", "lobby");
    for _ in 0..MESSAGES {
        mallory.post("rooms/lobby/agent/mallory", false, b"flood");
    }
    let mut last = 0;
    for n in 0..MESSAGES {
        let answer = addressed(mallory.next(PATIENCE).unwrap_or_else(|| panic!("only {n} answers")));
        let rev = answer["rev"].as_u64().unwrap();
        assert!(rev > last, "{answer}");
        last = rev;
    }
    mallory.publish("rooms/lobby/agent/mallory", false, &vec![b' '; 65 * 1024]);
    mallory.publish("rooms/lobby/agent/mallory", false, br#"{"type":"join"}"#);
    let answer = addressed(mallory.next(PATIENCE).unwrap());
    assert_eq!(answer["type"], "created", "what is too large was dropped by the broker: {answer}");
}

#[test]
fn it_stops_when_told_to() {
    for signal in ["TERM", "INT"] {
        let mosquitto = Mosquitto::start();
        let mut agent = mosquitto.agent_at_work(&[]);
        let asked = Instant::now();
        agent.signal(signal);
        assert_eq!(agent.wait().code(), Some(0), "{}", agent.output());
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
        drop(mosquitto);
    }
    let nowhere = Mosquitto::prepare();
    let mut agent = nowhere.agent(&[]);
    agent.wait_for("no connection").unwrap();
    agent.signal("TERM");
    assert_eq!(agent.wait().code(), Some(0), "also without a broker");
}

#[test]
fn it_says_why_it_cannot_start() {
    let mosquitto = Mosquitto::start();
    let mut wrong_user = mosquitto.agent(&["--username", "nobody"]);
    // clap takes the flag once only.
    assert_eq!(wrong_user.wait().code(), Some(2));
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "hunter2\n").unwrap();
    let mut wrong_password = mosquitto.agent(&["--password-file", password.to_str().unwrap()]);
    assert_eq!(wrong_password.wait().code(), Some(1));
    let output = wrong_password.output();
    assert!(output.contains("refuses the agent") && output.contains("--password-file"), "{output}");
    assert!(!output.contains("hunter2"), "{output}");
    let mut bad_grace = mosquitto.agent(&["--grace", "soon"]);
    assert_eq!(bad_grace.wait().code(), Some(2));
}
