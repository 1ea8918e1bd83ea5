//! A third client tries everything to hear two others or to reach them, on every listener rule
//! there is: it must hear nothing and reach nobody. Attempts and leaks are counted.

mod support;

use mqtt_protocol_core::mqtt::Version;
use mqtt_protocol_core::mqtt::packet::{Property, SessionExpiryInterval, SubOpts};
use serde_json::{Value, json};
use support::Broker;
use support::client::{BOTH, Client, Hello, V5};

const SECRET: &str = "candidate:1 1 udp 2122260223 192.0.2.7 54321 typ host";

struct Room {
    alice: Client,
    bob: Client,
}

impl Room {
    fn new(broker: &Broker) -> Self {
        let mut alice = Client::peer(broker, V5, "alice");
        let mut bob = Client::peer(broker, V5, "bob");
        alice.join("lobby");
        bob.join("lobby");
        alice.expect(&["arrived"]);
        Self { alice, bob }
    }

    /// They talk in secret; both hear each other and nothing else.
    fn talk(&mut self) {
        let secret = json!({"type": "candidate", "candidate": {"candidate": SECRET}});
        self.alice.signal("lobby", "bob", &secret);
        self.bob.signal("lobby", "alice", &secret);
        assert_eq!(self.bob.message().json(), secret);
        assert_eq!(self.alice.message().json(), secret);
        self.alice.say("lobby", &json!({"type": "state", "connection": "connected", "detail": SECRET}));
        self.alice.nothing();
        self.bob.nothing();
    }
}

/// Filters that would overhear somebody, and exactly one's own inbox among them not.
fn filters() -> Vec<String> {
    let mut filters: Vec<String> = [
        "#",
        "+/#",
        "+/+/#",
        "+/+/+/#",
        "+/+/+/+",
        "+/+/+",
        "+/+",
        "+",
        "rooms",
        "rooms/#",
        "rooms/+",
        "rooms/+/#",
        "rooms/+/+",
        "rooms/+/+/#",
        "rooms/+/+/+",
        "rooms/+/+/mallory",
        "rooms/+/+/agent",
        "rooms/+/agent/+",
        "rooms/+/agent/#",
        "rooms/+/agent/alice",
        "rooms/+/events",
        "rooms/+/events/#",
        "rooms/+/events/+",
        "control/#",
        "control/+",
        "control/lobby",
        "$SYS/#",
        "$SYS/broker/clients/connected",
        "$SYS/+/uptime",
        "$share/g/#",
        "$share/g/rooms/#",
        "$share/g/rooms/+/alice/+",
        "$share/g/rooms/+/mallory/+",
        "$share/g/+/+/+/+",
        "$queue/#",
        "/rooms/#",
        "//#",
        "Rooms/#",
        "rooms//#",
        "rooms/lobby",
        "rooms/lobby/#",
        "rooms/lobby/+",
        "rooms/lobby/+/+",
        "rooms/lobby/+/alice",
        "rooms/lobby/events",
        "rooms/+/mallory",
        "rooms/+/mallory/+/+",
        "+/+/mallory/+",
        "+/lobby/alice/+",
        "rooms/+/mallory/bob/#",
        "#/alice",
        "rooms/#/alice",
        "rooms/lobby/alice+/+",
        "%c",
        "rooms/+/%c/+",
        "rooms/+/*/+",
        "rooms/+/mallory,alice/+",
        "rooms/+/MALLORY/+",
        "",
    ]
    .map(str::to_owned)
    .into();
    for peer in ["alice", "bob", "agent", "Alice", "alice ", "al%69ce"] {
        for shape in
            ["rooms/+/{}/+", "rooms/lobby/{}/+", "rooms/+/{}/#", "rooms/lobby/{}/alice", "rooms/lobby/{}", "+/+/{}/#"]
        {
            filters.push(shape.replace("{}", peer));
        }
    }
    filters
}

/// Topics by which one would reach somebody, or pretend to be somebody.
fn topics() -> Vec<String> {
    let mut topics: Vec<String> = [
        "rooms",
        "rooms/lobby",
        "rooms/lobby/events",
        "rooms/lobby/alice",
        "control/lobby",
        "control",
        "$SYS/broker/uptime",
        "$share/g/rooms/lobby/alice/mallory",
        "/rooms/lobby/alice/mallory",
        "rooms//alice/mallory",
        "rooms/lobby//mallory",
        "rooms/lobby/alice/",
        "rooms/lobby/alice/mallory/",
        "rooms/lobby/alice/mallory/x",
        "Rooms/lobby/alice/mallory",
        "rooms/lobby/agent/agent",
        "rooms/lobby/mallory/agent",
        "rooms/lobby/mallory/alice",
        "rooms/lobby/agent/alice",
        "rooms/lobby/agent/bob",
        "rooms/lobby/alice/mallory",
        "rooms/lobby/bob/mallory",
        "rooms/lobby/mallory/mallory",
        "rooms/hall/alice/mallory",
        "rooms/ lobby/alice/mallory",
        "rooms/LOBBY/alice/mallory",
        "rooms/lobby\u{0301}/alice/mallory",
        "rooms/lobby/alice/mallory\u{200b}",
        "rooms/lobby/carol/mallory",
        "rooms/lobby/events/mallory",
        "alice",
        "lobby/alice",
        "rooms/lobby/%c/mallory",
        "rooms/lobby/alice%2Fmallory",
        "rooms/lobby/alice/agent\u{200b}",
    ]
    .map(str::to_owned)
    .into();
    for to in ["alice", "bob"] {
        for from in ["alice", "bob", "agent", "mallory ", "Mallory", "operator"] {
            topics.push(format!("rooms/lobby/{to}/{from}"));
        }
    }
    topics
}

/// How much Mallory has heard besides what the agent answers to Mallory, and what Mallory said on
/// topics that are open to everybody.
fn leaks(mallory: &mut Client) -> usize {
    let mut leaks = 0;
    mallory.publish("$barrier", "done", 1);
    loop {
        let message = mallory.message();
        let json: Value = serde_json::from_slice(&message.payload).unwrap_or_default();
        let is_answer = message.topic.ends_with("/mallory/agent") && json["type"] == "error";
        let is_reserved = ["rooms", "control", "$"].iter().any(|first| message.topic.starts_with(first));
        if is_reserved && !is_answer || String::from_utf8_lossy(&message.payload).contains(SECRET) {
            eprintln!("leak: {message:?}");
            leaks += 1;
        }
        if message.topic == "rooms/-/mallory/agent"
            && json["message"].as_str().is_some_and(|m| m.contains("outside rooms"))
        {
            return leaks;
        }
    }
}

/// The attempts of one Mallory; how many there were, and how many leaks.
fn attack(broker: &Broker, version: Version, room: &mut Room, general: bool) -> (usize, usize) {
    let mut mallory = Client::peer(broker, version, "mallory");
    mallory.tolerant = true;
    let mut attempts = 0;
    let mut leaked = 0;
    for filter in filters() {
        for options in [SubOpts::new(), SubOpts::new().set_nl(true)] {
            let code = mallory.subscribe_with(&filter, options, vec![]);
            attempts += 1;
            // Where everything else is open, wide filters are granted; they must find nothing of ours.
            assert!(general || code >= 0x80 || !reaches_others(&filter), "{filter} is granted with {code}");
        }
    }
    room.talk();
    leaked += leaks(&mut mallory);
    for topic in topics() {
        for (payload, retain) in [("{\"type\":\"offer\",\"sdp\":\"evil\"}", false), ("{\"type\":\"leave\"}", true)] {
            let code = mallory.publish_with(&topic, payload, 1, retain, vec![]);
            attempts += 1;
            if version == V5 && !(general && is_open(&topic)) {
                assert_eq!(code, Some(0x87), "{topic}");
            }
        }
        leaked += leaks(&mut mallory);
    }
    room.talk();
    leaked += leaks(&mut mallory);
    mallory.disconnect();
    for topic in topics() {
        let mut hello = Hello::new(version, "mallory");
        hello.will = Some((topic.clone(), "{\"type\":\"leave\"}".into()));
        let (mut client, code) = Client::hello(broker, &hello);
        attempts += 1;
        if code == Some(0) {
            assert!(general && is_open(&topic), "a will for {topic} is accepted");
            client.lose();
        } else {
            assert_eq!(code, Some(if version == V5 { 0x87 } else { 5 }), "{topic}");
            client.ends();
        }
    }
    room.talk();
    (attempts, leaked)
}

/// Whether a topic is outside of what keeps its own rules.
fn is_open(topic: &str) -> bool {
    let first = topic.split('/').next().unwrap_or_default();
    !matches!(first, "rooms" | "control") && !first.starts_with('$')
}

fn reaches_others(filter: &str) -> bool {
    let own = filter.split('/').nth(2) == Some("mallory") && filter.starts_with("rooms/");
    !own
}

#[test]
fn an_intruder_hears_nothing_and_reaches_nobody() {
    let (mut attempts, mut leaked) = (0, 0);
    for configuration in ["", "[[access.topics]]\nfilter = \"#\"\n", "[[access.topics]]\nfilter = \"telemetry/%c/#\"\n"]
    {
        let broker = Broker::with(&[], configuration);
        // With an operator there is a flow that could be overheard.
        let _operator = Client::operator(&broker, V5, "#");
        let mut room = Room::new(&broker);
        for version in BOTH {
            let (more, leaks) = attack(&broker, version, &mut room, configuration.contains("\"#\""));
            attempts += more;
            leaked += leaks;
        }
    }
    println!("attempts: {attempts}, leaks: {leaked}");
    assert!(attempts >= 100);
    assert_eq!(leaked, 0);
}

#[test]
fn an_operators_session_is_not_inherited() {
    for version in BOTH {
        let broker = Broker::start();
        let mut room = Room::new(&broker);
        let mut hello = Hello::new(version, "watcher");
        hello.user = Some(("operator".into(), broker.token()));
        hello.clean = false;
        if version == V5 {
            hello.properties = vec![Property::SessionExpiryInterval(SessionExpiryInterval::new(60).unwrap())];
        }
        let (mut operator, _) = Client::hello(&broker, &hello);
        assert!(operator.subscribe("rooms/#", 1) <= 2);
        let mut thief = hello.clone();
        thief.user = None;
        let (_, code) = Client::hello(&broker, &thief);
        assert_eq!(code, Some(if version == V5 { 0x87 } else { 5 }), "not while the operator is there");
        operator.ping();
        operator.disconnect();
        let (_, code) = Client::hello(&broker, &thief);
        assert_eq!(code, Some(if version == V5 { 0x87 } else { 5 }), "nor while the session waits");
        let (operator, _) = Client::hello(&broker, &Hello { clean: true, properties: vec![], ..hello });
        operator.disconnect();
        let (mut thief, code) = Client::hello(&broker, &thief);
        assert_eq!(code, Some(0), "the id is free when nothing is left");
        room.talk();
        thief.nothing();
        thief.disconnect();
    }
}

#[test]
fn a_signal_is_never_kept_by_its_retain_flag() {
    let broker = Broker::start();
    let mut room = Room::new(&broker);
    room.alice.publish_with("rooms/lobby/bob/alice", r#"{"type":"ring"}"#, 1, true, vec![]);
    let live = room.bob.message();
    assert!(!live.retain);
    room.bob.subscribe("rooms/lobby/bob/+", 1);
    room.bob.nothing();
    let mut operator = Client::operator(&broker, V5, "rooms/+/bob/+");
    operator.ping();
    assert!(operator.is_quiet());
}
