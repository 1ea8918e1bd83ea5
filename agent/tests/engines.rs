//! The program `agent` with authorisation hooks, as an engine meets it: what it answers follows what peers say to it, be
//! the rooms in its memory or in a Redis that it shares with another one.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]
#![allow(clippy::disallowed_methods, reason = "real programs need real deadlines")]

#[path = "support/mosquitto.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod mosquitto;
#[path = "support/redis.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod redis;

use agent::service::status::Status;
use mosquitto::{Client, Mosquitto, PATIENCE, Process};
use redis::Redis;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

const USERS: &str = "[alice]\nrooms = [\"*\"]\n[bob]\nrooms = [\"*\"]\n[carol]\nrooms = [\"*\"]\n";

/// Where an agent's hooks listen.
fn hooks(agent: &Process) -> SocketAddr {
    let output = agent.output();
    let line = output.lines().find_map(|line| line.strip_prefix("hooks listening on "));
    line.unwrap_or_else(|| panic!("no hooks in:\n{output}")).parse().unwrap()
}

fn ask(hooks: SocketAddr, what: &str, body: &Value) -> bool {
    let (body, mut answer) = (body.to_string(), String::new());
    let mut socket = TcpStream::connect(hooks).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    let head = format!(
        "POST /hooks/emqx/{what} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n"
    );
    socket.write_all((head + &body).as_bytes()).unwrap();
    socket.read_to_string(&mut answer).unwrap();
    answer.ends_with("{\"result\":\"allow\"}")
}

/// Whether `from` may signal `to` in the lobby.
fn may_signal(hooks: SocketAddr, from: &str, to: &str) -> bool {
    let topic = format!("rooms/lobby/{to}/{from}");
    ask(hooks, "authorize", &json!({"clientid": from, "username": from, "action": "publish", "topic": topic}))
}

fn gone(hooks: SocketAddr, peer: &str, reason: &str) {
    assert!(ask(hooks, "event", &json!({"event": "client.disconnected", "clientid": peer, "reason": reason})));
}

fn peer(mosquitto: &Mosquitto, id: &str) -> Client {
    let mut client = Client::connect(mosquitto.port, id, None);
    assert!(client.subscribe(&format!("rooms/+/{id}/+")));
    client
}

fn get(hooks: SocketAddr, path: &str) -> String {
    let mut answer = String::new();
    let mut socket = TcpStream::connect(hooks).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

/// How an agent says that it is doing.
fn status(hooks: SocketAddr) -> Status {
    serde_json::from_str(get(hooks, "/status").rsplit("\r\n").next().unwrap()).unwrap()
}

/// The next message of this type, with what came before it passed over.
fn hear(client: &mut Client, kind: &str) -> Value {
    loop {
        let (_, payload) = client.next(PATIENCE).unwrap_or_else(|| panic!("no {kind}"));
        let message: Value = serde_json::from_slice(&payload).unwrap();
        if message["type"] == kind {
            return message;
        }
    }
}

/// What is said over the broker is what all agents answer by, and what one of them is told happens over the broker.
fn answers_follow_the_rooms(mosquitto: &Mosquitto, agents: &[SocketAddr]) {
    let join = br#"{"type":"join"}"#;
    let (mut alice, mut bob) = (peer(mosquitto, "alice"), peer(mosquitto, "bob"));
    for hooks in agents {
        assert!(!may_signal(*hooks, "alice", "bob"), "nobody is in the lobby");
    }
    alice.publish("rooms/lobby/agent/alice", false, join);
    hear(&mut alice, "created");
    bob.publish("rooms/lobby/agent/bob", false, join);
    hear(&mut bob, "joined");
    for hooks in agents {
        assert!(may_signal(*hooks, "alice", "bob") && may_signal(*hooks, "bob", "alice"));
        assert!(!may_signal(*hooks, "carol", "bob") && !may_signal(*hooks, "alice", "carol"));
    }
    // Away keeps the seat, for the grace time.
    gone(agents[0], "alice", "keepalive_timeout");
    assert_eq!(hear(&mut bob, "left")["reason"], "lost");
    for hooks in agents {
        assert!(!may_signal(*hooks, "bob", "alice"), "alice is lost");
    }
    alice.publish("rooms/lobby/agent/alice", false, join);
    hear(&mut alice, "joined");
    gone(agents[agents.len() - 1], "bob", "normal");
    assert_eq!(hear(&mut alice, "left")["reason"], "left");
    for hooks in agents {
        assert!(!may_signal(*hooks, "alice", "bob"), "bob has left");
    }
}

#[test]
fn an_agent_alone_answers_by_its_rooms() {
    let mosquitto = Mosquitto::start();
    let users = mosquitto.keep("users.toml", USERS);
    let agent = mosquitto.agent_at_work(&["--http", "127.0.0.1:0", "--users", &users, "--grace", "1s"]);
    answers_follow_the_rooms(&mosquitto, &[hooks(&agent)]);
}

#[test]
fn agents_that_share_a_store_answer_by_its_rooms() {
    let (mosquitto, redis) = (Mosquitto::start_for(&[]), Redis::start());
    let users = mosquitto.keep("users.toml", USERS);
    let flags = ["--http", "127.0.0.1:0", "--users", &users, "--grace", "1s", "--store", &redis.url()];
    let agents = ["agent-0", "agent-1"].map(|id| {
        let agent = mosquitto::copy(mosquitto.port, id, &flags.map(str::to_owned));
        agent.wait_for("agent connected").unwrap();
        agent
    });
    answers_follow_the_rooms(&mosquitto, &agents.each_ref().map(hooks));
}

#[test]
fn an_agent_says_when_its_store_or_its_broker_is_away_and_when_it_is_back() {
    let (mut mosquitto, mut redis) = (Mosquitto::start_for(&[]), Redis::start());
    let flags = ["--http", "127.0.0.1:0", "--store", &redis.url()];
    let agent = mosquitto::copy(mosquitto.port, "agent-0", &flags.map(str::to_owned));
    agent.wait_for("agent connected").unwrap();
    let at = hooks(&agent);
    let mut alice = peer(&mosquitto, "alice");
    alice.publish("rooms/lobby/agent/alice", false, br#"{"type":"join"}"#);
    hear(&mut alice, "created");
    let well = status(at);
    assert_eq!((well.agent.as_str(), well.connected, well.heard), ("agent-0", true, 1));
    assert_eq!((well.store.kind.as_str(), well.store.answers, well.store.failures), ("redis", true, 0));
    assert!(well.store.requests >= 3 && well.store.micros > 0, "a look, a write, a word said: {well:?}");

    redis.kill();
    agent.wait_for("the store does not answer").unwrap();
    let away = status(at);
    assert!(away.connected && !away.store.answers && away.store.failures > 0, "{away:?}");
    redis.run();
    agent.wait_for("the store answers again").unwrap();
    assert!(status(at).store.answers);

    mosquitto.kill();
    agent.wait_for("connection lost").unwrap();
    assert!(!status(at).connected);
    assert!(get(at, "/readyz").starts_with("HTTP/1.1 503 "));
    mosquitto.run().unwrap();
    agent.wait_for(" connected broker").unwrap();
    assert!(status(at).connected);
}
