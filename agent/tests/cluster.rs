//! Rooms over three nodes of RMQTT, which ask three agents who may do what, with the files that are shipped for it. Needs
//! the node's program (`agent/cluster`) and Debian's Redis, so it runs by `make test-cluster` only.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on ends")]
#![allow(clippy::disallowed_methods, reason = "real programs need real deadlines")]

#[path = "support/cluster.rs"]
mod cluster;
#[path = "support/mosquitto.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod mosquitto;
#[path = "support/redis.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod redis;

use cluster::{Cluster, JWT_SECRET, News};
use mosquitto::{Client, PASSWORD, PATIENCE};
use rumqttc::{ConnectionError, Event, LastWill, MqttOptions, Packet, QoS};
use serde_json::Value;
use std::process::Command;
use std::time::{Duration, Instant};

const USERS: [&str; 5] = ["alice", "bob", "carol", "dave", "mallory"];
/// A join that is not answered by then is said again.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How long a seat is kept here.
const GRACE: Duration = Duration::from_secs(1);
/// By then newcomers negotiate after a node was killed.
const CONNECTED_WITHIN: Duration = Duration::from_secs(15);
const JOIN: &[u8] = br#"{"type":"join"}"#;

/// A client with its inbox subscribed.
struct Peer {
    client: Client,
    name: &'static str,
}

impl Peer {
    fn connect(port: u16, name: &'static str) -> Self {
        let mut client = Client::connect(port, name, None);
        assert!(client.subscribe(&format!("rooms/+/{name}/+")), "{name}'s own inbox");
        Self { client, name }
    }

    /// The same, tried until it works: nodes that look for a leader let nobody in.
    fn connect_in_the_end(port: u16, name: &'static str) -> Self {
        let deadline = Instant::now() + CONNECTED_WITHIN;
        loop {
            if let Some(mut client) = Client::try_connect(port, name, None)
                && let Some(is_granted) = client.try_subscribe(&format!("rooms/+/{name}/+"))
            {
                assert!(is_granted, "{name}'s own inbox");
                return Self { client, name };
            }
            assert!(Instant::now() < deadline, "{name} does not come in");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn say(&self, room: &str, to: &str, kind: &str) {
        let message = format!(r#"{{"type":"{kind}"}}"#);
        self.client.post(&format!("rooms/{room}/{to}/{}", self.name), false, message.as_bytes());
    }

    /// The next message in the room, from anybody.
    fn next(&mut self, room: &str, patience: Duration) -> Option<(String, String)> {
        let deadline = Instant::now() + patience;
        loop {
            let (topic, payload) = self.client.next(deadline.saturating_duration_since(Instant::now()))?;
            let Some(from) = topic.strip_prefix(&format!("rooms/{room}/{}/", self.name)) else { continue };
            let message: Value = serde_json::from_slice(&payload).unwrap();
            return Some((from.to_owned(), message["type"].as_str().unwrap().to_owned()));
        }
    }

    fn hear(&mut self, room: &str, from: &str, kind: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let heard = self.next(room, deadline.saturating_duration_since(Instant::now()));
            let heard = heard.unwrap_or_else(|| panic!("{} hears no {kind} from {from} in {room}", self.name));
            if (&*heard.0, &*heard.1) == (from, kind) {
                return;
            }
            assert_eq!(heard.0, "agent", "{} hears {heard:?} and waits for {kind} from {from}", self.name);
        }
    }

    /// Asks until it is told that it is in.
    fn join(&mut self, room: &str) {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            self.client.post(&format!("rooms/{room}/agent/{}", self.name), false, JOIN);
            let again = Instant::now() + ANSWER_WITHIN;
            while let Some((_, kind)) = self.next(room, again.saturating_duration_since(Instant::now())) {
                match kind.as_str() {
                    "created" | "joined" => return,
                    "full" => panic!("{room} is full for {}", self.name),
                    _ => {}
                }
            }
        }
        panic!("{} is not answered in {room}", self.name);
    }

    /// Joins with another one, and negotiates.
    fn meet(&mut self, other: &mut Self, room: &str) {
        self.join(room);
        other.join(room);
        other.say(room, self.name, "ready");
        self.hear(room, other.name, "ready");
        self.say(room, other.name, "offer");
        other.hear(room, self.name, "offer");
        other.say(room, self.name, "answer");
        self.hear(room, other.name, "answer");
    }
}

/// Whether a node turns somebody away.
fn is_refused(port: u16, id: &str, user: &str, password: &str, will: Option<(&str, bool)>) -> bool {
    let mut options = MqttOptions::new(id, "127.0.0.1", port);
    options.set_credentials(user, password);
    if let Some((topic, retain)) = will {
        options.set_last_will(LastWill::new(topic, r#"{"type":"bye"}"#, QoS::AtLeastOnce, retain));
    }
    let (_client, mut connection) = rumqttc::Client::new(options, 16);
    loop {
        match connection.recv_timeout(PATIENCE).expect("an answer in time") {
            Ok(Event::Incoming(Packet::ConnAck(_))) => return false,
            Ok(_) => {}
            Err(ConnectionError::ConnectionRefused(_)) => return true,
            Err(error) => panic!("{id} as {user}: {error}"),
        }
    }
}

#[test]
#[ignore = "needs the node's program; make test-cluster"]
fn peers_on_different_nodes_meet_and_whoever_attacks_them_reaches_nobody() {
    let cluster = Cluster::start(&USERS, News::Hook);
    let mut alice = Peer::connect(cluster.mqtt(0), "alice");
    let mut bob = Peer::connect(cluster.mqtt(1), "bob");
    alice.meet(&mut bob, "lobby");

    for n in 0..3 {
        let port = cluster.mqtt(n);
        for (id, user, password) in [
            ("mallory", "mallory", "wrong"),
            ("alice", "mallory", PASSWORD),
            ("agent", "mallory", PASSWORD),
            ("agent-0", "mallory", PASSWORD),
            ("agent-0", "agent", PASSWORD),
            ("operator", "operator", PASSWORD),
            ("nobody", "", ""),
            ("cam%A", "mallory", PASSWORD),
            ("mallory", "%c", PASSWORD),
            ("+", "mallory", PASSWORD),
            ("a/b", "mallory", PASSWORD),
        ] {
            assert!(is_refused(port, id, user, password, None), "{id} as {user}");
        }
        for topic in ["rooms/lobby/alice/bob", "rooms/lobby/alice/agent", "rooms/lobby/agent/bob", "control/mallory"] {
            assert!(is_refused(port, "mallory", "mallory", PASSWORD, Some((topic, false))), "a will to {topic}");
        }
        let own = "rooms/den/agent/mallory";
        assert!(is_refused(port, "mallory", "mallory", PASSWORD, Some((own, true))), "a will that is kept");
        assert!(!is_refused(port, "mallory", "mallory", PASSWORD, Some((own, false))), "one's own will");
    }

    for n in 0..3 {
        let mut mallory = Peer::connect(cluster.mqtt(n), "mallory");
        for filter in [
            "#",
            "+/+/+/+",
            "rooms/#",
            "rooms/+",
            "rooms/lobby",
            "rooms/+/events",
            "rooms/+/+/+",
            "rooms/+/alice/+",
            "rooms/lobby/alice/bob",
            "rooms/+/agent/+",
            "control/+",
            "$share/duet/rooms/+/agent/+",
            "$share/duet/control/+",
            "$share/any/rooms/+/alice/+",
            "$share/any/#",
            "$SYS/#",
            "$SYS/brokers/+/clients/+/disconnected",
        ] {
            assert!(!mallory.client.subscribe(filter), "{filter} at node {n}");
        }
        for retain in [false, true] {
            for topic in [
                "rooms/lobby/alice/mallory",
                "rooms/lobby/alice/bob",
                "rooms/lobby/alice/agent",
                "rooms/lobby/bob/alice",
                "rooms/lobby/agent/bob",
                "rooms/lobby/events",
                "rooms/lobby",
                "control/mallory",
                "control/operator",
                "$SYS/brokers/1/clients/bob/disconnected",
                "$share/duet/rooms/lobby/agent/bob",
            ] {
                mallory.client.post(topic, retain, br#"{"type":"leave","reason":"lost"}"#);
            }
        }
        // What it says last is answered when all before has been judged.
        mallory.join("den");
        mallory.say("den", "agent", "leave");
        mallory.client.disconnect();
    }

    // Nothing of it has arrived, nor waits for who comes later.
    bob.say("lobby", "alice", "offer");
    assert_eq!(alice.next("lobby", PATIENCE), Some(("bob".into(), "offer".into())));
    alice.say("lobby", "bob", "answer");
    assert_eq!(bob.next("lobby", PATIENCE), Some(("alice".into(), "answer".into())));
    bob.client.disconnect();
    // Else the notice that it has gone could follow its next join.
    alice.hear("lobby", "agent", "left");
    let mut bob = Peer::connect(cluster.mqtt(2), "bob");
    alice.meet(&mut bob, "lobby");
}

#[test]
#[ignore = "needs the node's program; make test-cluster"]
fn whoever_loses_its_connection_is_known_to_have_gone_by_the_notice_of_its_node() {
    for news in [News::Hook, News::Sys] {
        let cluster = Cluster::start(&USERS, news);
        let mut alice = Peer::connect(cluster.mqtt(0), "alice");
        let mut bob = Peer::connect(cluster.mqtt(1), "bob");
        alice.meet(&mut bob, "lobby");
        // Without a will, and long before its lease ends.
        let begun = Instant::now();
        bob.client.lose();
        alice.hear("lobby", "agent", "left");
        assert!(begun.elapsed() < Duration::from_secs(10), "after {:?}", begun.elapsed());

        // Another connection under the same name, at another node, takes its place, and keeps it.
        let mut bob = Peer::connect(cluster.mqtt(1), "bob");
        alice.meet(&mut bob, "lobby");
        let mut again = Peer::connect(cluster.mqtt(2), "bob");
        again.join("lobby");
        again.say("lobby", "alice", "offer");
        alice.hear("lobby", "bob", "offer");
        assert_eq!(alice.next("lobby", GRACE * 3), None, "bob is there");
    }
}

#[test]
#[ignore = "needs the node's program; make test-cluster"]
fn two_pages_at_different_nodes_are_in_a_call() {
    let cluster = Cluster::start(&USERS, News::Hook);
    let status = Command::new("node")
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../web"))
        .arg("e2e/across.mjs")
        .env("NODES", [cluster.ws(0), cluster.ws(1)].join(","))
        .env("JWT_SECRET", JWT_SECRET)
        .status()
        .expect("node runs");
    assert!(status.success(), "{status}");
}

#[test]
#[ignore = "needs the node's program; make test-cluster"]
fn signals_pass_between_nodes() {
    const SIGNALS: usize = 2000;
    let cluster = Cluster::start(&USERS, News::Hook);
    println!("| a signal at QoS 1, one at a time | p50 ms | p99 ms |\n|---|---:|---:|");
    for (at, what) in [(0, "both at one node"), (1, "at two nodes")] {
        let room = format!("room-{at}");
        let mut alice = Peer::connect(cluster.mqtt(0), "alice");
        let mut bob = Peer::connect(cluster.mqtt(at), "bob");
        alice.meet(&mut bob, &room);
        let mut took: Vec<Duration> = (0..SIGNALS)
            .map(|_| {
                let begun = Instant::now();
                bob.say(&room, "alice", "candidate");
                alice.hear(&room, "bob", "candidate");
                begun.elapsed()
            })
            .collect();
        took.sort_unstable();
        let ms = |part: usize| took[SIGNALS * part / 100].as_secs_f64() * 1e3;
        println!("| {what} | {:.2} | {:.2} |", ms(50), ms(99));
        alice.client.disconnect();
        bob.client.disconnect();
    }
}

#[test]
#[ignore = "needs the node's program; make test-cluster"]
fn newcomers_meet_while_a_node_is_dead_and_it_takes_part_when_it_is_back() {
    let mut cluster = Cluster::start(&USERS, News::Hook);
    for dead in [2, 0] {
        let (one, other) = ((dead + 1) % 3, (dead + 2) % 3);
        cluster.kill_node(dead);
        let begun = Instant::now();
        let mut alice = Peer::connect_in_the_end(cluster.mqtt(one), "alice");
        let mut bob = Peer::connect_in_the_end(cluster.mqtt(other), "bob");
        alice.meet(&mut bob, &format!("without-{dead}"));
        let took = begun.elapsed();
        println!("node {} killed: newcomers connected, joined and negotiated within {took:.1?}", dead + 1);
        assert!(took < CONNECTED_WITHIN, "{took:?}");

        cluster.start_node(dead);
        cluster.wait_for_node(dead);
        cluster.wait_for_agent(dead);
        let mut carol = Peer::connect(cluster.mqtt(dead), "carol");
        let mut dave = Peer::connect(cluster.mqtt(one), "dave");
        carol.meet(&mut dave, &format!("with-{dead}"));
    }
}

#[test]
#[ignore = "needs the node's program; make test-cluster"]
fn joins_are_answered_while_an_agent_is_dead_and_when_it_is_back_under_its_id() {
    let mut cluster = Cluster::start(&USERS, News::Hook);
    // Its node asks it alone, so its clients have come in before.
    let mut alice = Peer::connect(cluster.mqtt(0), "alice");
    let mut bob = Peer::connect(cluster.mqtt(1), "bob");
    cluster.kill_agent(2);
    for n in 0..10 {
        let room = format!("room-{n}");
        alice.meet(&mut bob, &room);
    }
    cluster.start_agent(2);
    cluster.wait_for_agent(2);
    let mut carol = Peer::connect(cluster.mqtt(2), "carol");
    for n in 10..20 {
        let room = format!("room-{n}");
        alice.meet(&mut carol, &room);
    }
}
