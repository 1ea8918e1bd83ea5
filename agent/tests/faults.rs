//! What goes wrong around the program `agent`, beside Debian's Mosquitto; what is promised of it is in
//! `broker/tests/faults/faults.json`, and `make faults` makes RELIABILITY.md's table of it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]
#![allow(clippy::disallowed_methods, reason = "real programs need real deadlines")]

#[path = "../../broker/tests/support/isolated.rs"]
#[allow(dead_code, reason = "each test file uses its part")]
mod isolated;
#[path = "support/mosquitto.rs"]
#[allow(dead_code, reason = "each test file uses its part")]
mod mosquitto;
#[path = "../../broker/tests/support/promise.rs"]
mod promise;
#[path = "../../broker/tests/support/stuck.rs"]
#[allow(dead_code, reason = "each test file uses its part")]
mod stuck;

use isolated::Isolated;
use mosquitto::{Client, Mosquitto, PASSWORD, PATIENCE, Process};
use rumqttc::{LastWill, QoS};
use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::process::Command;
use std::time::{Duration, Instant};
use stuck::Pipe;

#[test]
fn a_broker_whose_name_is_not_found_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let Some(isolated) = Isolated::enter("a_broker_whose_name_is_not_found_is_waited_for", folder.path()) else {
        return;
    };
    let mosquitto = Mosquitto::start();
    let agent = Process::spawn(
        Command::new(env!("CARGO_BIN_EXE_agent"))
            .args(["--broker", &format!("mqtt://broker.example:{}", mosquitto.port), "--username", "agent"])
            .env("DUET_AGENT_PASSWORD", PASSWORD),
    );
    // Pauses double from a quarter of a second; the next would be of eight.
    for _ in 0..6 {
        agent.wait_for("no connection").unwrap();
    }
    assert!(agent.output().contains("failed to lookup address"), "{}", agent.output());
    isolated.name("broker.example");
    let found = Instant::now();
    agent.wait_for("agent connected to mqtt://broker.example").unwrap();
    promise::kept("agent-without-dns", found.elapsed());
}

#[test]
fn a_log_that_cannot_be_written_costs_its_lines_and_nothing_else() {
    works_and_ends_writing_to(&OpenOptions::new().append(true).open("/dev/full").unwrap());
}

#[test]
fn a_reader_that_is_stuck_costs_lines_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = Pipe::full(folder.path());
    works_and_ends_writing_to(&OpenOptions::new().append(true).open(&pipe.path).unwrap());
}

/// Log and standard output.
fn works_and_ends_writing_to(file: &File) {
    let mosquitto = Mosquitto::start();
    let broker = format!("mqtt://127.0.0.1:{}", mosquitto.port);
    let mut agent = Command::new(env!("CARGO_BIN_EXE_agent"))
        .args(["--broker", &broker, "--username", "agent", "--log", "trace"])
        .env("DUET_AGENT_PASSWORD", PASSWORD)
        .stdout(file.try_clone().unwrap())
        .stderr(file.try_clone().unwrap())
        .spawn()
        .unwrap();
    let mut alice = peer(&mosquitto, "alice");
    // The agent may not be there yet; what is said to it until then is said to nobody.
    let begin = Instant::now();
    let answer = loop {
        say(&mut alice, "alice", &json!({"type": "join"}));
        match alice.next(Duration::from_millis(200)) {
            Some(answer) => break answer,
            None => assert!(begin.elapsed() < PATIENCE, "nobody answers"),
        }
    };
    assert_eq!(read(answer)["type"], "created");
    let begin = Instant::now();
    assert!(Command::new("kill").arg(agent.id().to_string()).status().unwrap().success());
    while agent.try_wait().unwrap().is_none() {
        if begin.elapsed() > PATIENCE {
            agent.kill().unwrap();
            panic!("it does not end when it is asked to");
        }
        std::thread::yield_now();
    }
    assert!(agent.wait().unwrap().success());
}

fn peer(mosquitto: &Mosquitto, id: &str) -> Client {
    let will = LastWill::new(
        format!("rooms/lobby/agent/{id}"),
        r#"{"type":"leave","reason":"lost"}"#,
        QoS::AtLeastOnce,
        false,
    );
    let mut client = Client::connect(mosquitto.port, id, Some(will));
    assert!(client.subscribe(&format!("rooms/+/{id}/+")));
    client
}

fn say(client: &mut Client, id: &str, message: &Value) {
    client.publish(&format!("rooms/lobby/agent/{id}"), false, message.to_string().as_bytes());
}

/// What comes next to this one.
fn heard(client: &mut Client, id: &str) -> Value {
    read(client.next(PATIENCE).unwrap_or_else(|| panic!("{id} is told nothing")))
}

fn read((_, payload): (String, Vec<u8>)) -> Value {
    serde_json::from_slice(&payload).unwrap()
}

#[test]
fn an_agent_that_is_killed_alone_leaves_calls_alone_and_takes_joins_when_it_is_back() {
    let mosquitto = Mosquitto::start();
    let mut agent = mosquitto.agent_at_work(&[]);
    let (mut alice, mut bob) = (peer(&mosquitto, "alice"), peer(&mosquitto, "bob"));
    say(&mut alice, "alice", &json!({"type": "join"}));
    let before = heard(&mut alice, "alice");
    say(&mut bob, "bob", &json!({"type": "join"}));
    assert_eq!(heard(&mut bob, "bob")["type"], "joined");
    assert_eq!(heard(&mut alice, "alice")["type"], "arrived");
    agent.signal("KILL");
    agent.wait();
    // Signals go past it.
    alice.publish("rooms/lobby/bob/alice", false, br#"{"type":"ready"}"#);
    assert_eq!(heard(&mut bob, "bob")["type"], "ready");
    // Said to nobody, and kept for it.
    say(&mut alice, "alice", &json!({"type": "join"}));
    say(&mut bob, "bob", &json!({"type": "join"}));
    let begin = Instant::now();
    let _agent = mosquitto.agent_at_work(&[]);
    let after = heard(&mut alice, "alice");
    assert_eq!((&after["type"], &after["resumed"]), (&json!("created"), &json!(false)));
    assert!(after["rev"].as_u64() > before["rev"].as_u64(), "{after} after {before}");
    let joined = heard(&mut bob, "bob");
    assert_eq!((&joined["type"], &joined["peer"]["id"]), (&json!("joined"), &json!("alice")));
    promise::kept("agent-restarted", begin.elapsed());
    let mut carol = peer(&mosquitto, "carol");
    say(&mut carol, "carol", &json!({"type": "join"}));
    assert_eq!(heard(&mut carol, "carol")["type"], "full");
}
