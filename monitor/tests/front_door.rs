//! The real monitor beside our real broker: what is said there is seen here, and whatever goes wrong is told in words.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod support;

use agent::service::status::Pulse;
use broker::commands::cert;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use support::broker::Broker;
use support::peer::{Peer, call};
use support::pty::Pty;
use support::recorded::SDP;
use support::{Monitor, command};

fn watch(broker: &Broker, args: &[&str]) -> Monitor {
    let (url, state) = (broker.url(), broker.state_dir());
    let mut monitor = Monitor::start(&[&["--broker", &url, "--state-dir", &state], args].concat());
    monitor.connected();
    monitor
}

/// The flow of a call, as `support::peer::call` makes it.
const FLOW: [(&str, &str, &str); 15] = [
    ("alice", "agent", "join"),
    ("agent", "alice", "created"),
    ("bob", "agent", "join"),
    ("agent", "alice", "arrived"),
    ("agent", "bob", "joined"),
    ("bob", "alice", "ready"),
    ("alice", "bob", "offer"),
    ("bob", "alice", "answer"),
    ("alice", "bob", "candidate"),
    ("bob", "alice", "candidate"),
    ("alice", "agent", "state"),
    ("bob", "agent", "state"),
    ("carol", "agent", "join"),
    ("agent", "carol", "full"),
    ("bob", "alice", "bye"),
];

#[test]
fn a_call_is_seen_message_by_message_in_log_and_json() {
    let broker = Broker::start();
    let mut json_lines = watch(&broker, &["--mode", "json"]);
    let mut log_lines = watch(&broker, &[]);
    let (_alice, bob) = call(broker.mqtt, "lobby");
    let carol = Peer::connect(broker.mqtt, "carol");
    assert_eq!(carol.join("lobby")["type"], "full");
    bob.signal("lobby", "alice", &json!({"type": "bye"}));
    for (from, to, kind) in FLOW {
        let line = json_lines.json(&json!({"event": "message", "from": from, "to": to, "type": kind}));
        assert_eq!((&line["room"], &line["retain"]), (&json!("lobby"), &json!(false)), "{line}");
        let words = format!("{from} → {to}");
        log_lines.line(&format!("{words} {kind}"), |line| line.contains(&words) && line.contains(kind));
    }
    for monitor in [json_lines, log_lines] {
        monitor.signal("TERM");
        let (status, output, errors) = monitor.wait();
        assert_eq!((status.code(), errors.as_str()), (Some(0), ""));
        // Private details, which nobody asked to see.
        for private in ["192.0.2.17", "bP+XJMM09aR8AiX1jdukzR6Y", "\x1b["] {
            assert!(!output.contains(private), "{private:?} in {output}");
        }
    }
}

#[test]
fn private_details_are_shown_to_who_asks_for_them() {
    let broker = Broker::start();
    let mut monitor = watch(&broker, &["--mode", "json", "--reveal"]);
    let _peers = call(broker.mqtt, "lobby");
    let offer = monitor.json(&json!({"event": "message", "type": "offer"}));
    assert_eq!(offer["payload"]["sdp"], SDP);
}

#[test]
fn a_filter_leaves_only_what_matches() {
    let broker = Broker::start();
    let monitor = watch(&broker, &["--mode", "json", "--filter", "type:offer"]);
    let (_alice, bob) = call(broker.mqtt, "lobby");
    bob.signal("lobby", "alice", &json!({"type": "offer", "sdp": SDP}));
    let mut monitor = monitor;
    for from in ["alice", "bob"] {
        monitor.json(&json!({"event": "message", "from": from, "type": "offer"}));
    }
    monitor.signal("INT");
    let (_, output, _) = monitor.wait();
    assert_eq!(output.matches(r#""event":"message""#).count(), 2, "{output}");
}

#[test]
fn a_summary_is_printed_when_the_time_is_over_or_somebody_asks_for_the_end() {
    let broker = Broker::start();
    let (_alice, _bob) = call(broker.mqtt, "lobby");
    let (url, state) = (broker.url(), broker.state_dir());
    let args = ["--broker", &url, "--state-dir", &state, "--mode", "summary"];
    let timed = Monitor::start(&[&args[..], &["--for", "1s"]].concat());
    let (status, output, _) = timed.wait();
    assert_eq!(status.code(), Some(0));
    assert!(output.contains("lobby  ") && output.contains("alice and bob") && output.contains("1 rooms"), "{output}");
}

#[test]
fn a_broker_that_goes_is_told_and_listened_to_again_when_it_comes_back() {
    let mut broker = Broker::start();
    let mut monitor = watch(&broker, &["--mode", "json"]);
    let (alice, bob) = call(broker.mqtt, "lobby");
    monitor.json(&json!({"event": "message", "type": "offer"}));
    broker.kill();
    drop((alice, bob));
    monitor.json(&json!({"event": "link", "link": "lost"}));
    let line = monitor.json(&json!({"event": "link", "link": "lost"}));
    assert!(line["why"].as_str().unwrap().starts_with("nobody listens at mqtt://"), "{line}");
    broker.run();
    monitor.json(&json!({"event": "link", "link": "connected"}));
    let _peers = call(broker.mqtt, "lobby");
    monitor.json(&json!({"event": "message", "type": "offer"}));
}

#[test]
fn the_screen_says_that_the_broker_has_gone_and_lives_again_when_it_comes_back() {
    let mut broker = Broker::start();
    let (_alice, _bob) = call(broker.mqtt, "lobby");
    let mut monitor = Pty::monitor(&["--broker", &broker.url(), "--state-dir", &broker.state_dir()]);
    monitor.wait_for("lobby");
    let mark = monitor.mark();
    broker.kill();
    monitor.wait_after(mark, "NO CONNECTION").wait_after(mark, "what is shown is old");
    let mark = monitor.mark();
    broker.run();
    monitor.wait_after(mark, "duet monitor");
    let _peers = call(broker.mqtt, "hall");
    monitor.wait_after(mark, "hall");
    assert_eq!(monitor.press("q").wait().exit_code(), 0);
}

#[test]
fn a_refused_login_says_why_and_in_which_way_it_was_tried() {
    let broker = Broker::start();
    let url = broker.url();
    let mut with_password = command();
    with_password.args(["--broker", &url]).env("DUET_MONITOR_PASSWORD", "s3cret");
    let (status, _, errors) = Monitor::spawn(&mut with_password).wait();
    assert_eq!(status.code(), Some(3), "{errors}");
    assert!(
        errors.contains("wrong user or password (as \"operator\" with the password of the environment"),
        "{errors}"
    );
    assert!(errors.contains("--password-file") && !errors.contains("s3cret"), "{errors}");

    let (status, _, errors) = Monitor::start(&["--broker", &url, "--token-file", "/no/such/token"]).wait();
    assert_eq!(status.code(), Some(1), "{errors}");
    assert!(errors.contains("/no/such/token"), "{errors}");

    let (status, _, errors) = Monitor::start(&["--broker", &url]).wait();
    assert_eq!(status.code(), Some(3), "{errors}");
    assert!(errors.contains("rooms/#") && errors.contains("operator role"), "{errors}");
    assert!(errors.contains("without a user"), "{errors}");
}

#[test]
fn a_peer_is_removed_and_a_room_closed_from_the_screen_unless_it_is_read_only() {
    let broker = Broker::start();
    let (alice, bob) = call(broker.mqtt, "lobby");
    let (url, state) = (broker.url(), broker.state_dir());
    let args = ["--broker", &url, "--state-dir", &state];
    let mut monitor = Pty::monitor(&args);
    monitor.wait_for("lobby");
    monitor.press("x").wait_for("alice");
    monitor.press("1").wait_for("ordered");
    let closed = alice.expect(&["closed"]);
    assert_eq!(closed["reason"], "removed");
    assert_eq!(bob.expect(&["left"])["reason"], "removed");
    let mark = monitor.mark();
    monitor.press("X").wait_after(mark, "lose"); // "Close" or "close"
    monitor.press("y");
    assert_eq!(bob.expect(&["closed"])["reason"], "room-closed");
    monitor.press("q").wait();

    assert_eq!(alice.join("hall")["type"], "created");
    let mut reader = Pty::monitor(&[&args[..], &["--read-only"]].concat());
    reader.wait_for("hall");
    reader.press("X").wait_for("read-only");
    reader.press("yq").wait();
    assert_eq!(alice.join("hall")["type"], "created", "nobody was put out");
}

#[test]
fn what_is_recorded_gives_the_same_lines_again() {
    let broker = Broker::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("call.ndjson");
    let file = path.to_str().unwrap();
    let mut live = watch(&broker, &["--mode", "json", "--record", file]);
    let (alice, bob) = call(broker.mqtt, "lobby");
    // Somebody who offers and is not answered, for as long as a rule needs to say so.
    let (carol, dave) = (Peer::connect(broker.mqtt, "carol"), Peer::connect(broker.mqtt, "dave"));
    carol.join("hall");
    dave.join("hall");
    dave.signal("hall", "carol", &json!({"type": "ready"}));
    carol.signal("hall", "dave", &json!({"type": "offer", "sdp": SDP}));
    live.json(&json!({"event": "finding", "rule": "offer-without-answer"}));
    drop((alice, bob));
    live.json(&json!({"event": "message", "from": "agent", "type": "left"}));
    live.signal("TERM");
    let (status, lived, _) = live.wait();
    assert_eq!(status.code(), Some(0));

    let (status, replayed, errors) = Monitor::start(&["--mode", "json", "--replay", file]).wait();
    assert_eq!((status.code(), errors.as_str()), (Some(0), ""));
    assert_eq!(lived, replayed);
    assert!(!std::fs::read_to_string(&path).unwrap().contains("bP+XJMM09aR8AiX1jdukzR6Y"), "passwords are masked");
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    let (status, _, errors) = Monitor::start(&["--broker", &broker.url(), "--record", file]).wait();
    assert_eq!(status.code(), Some(1));
    assert!(errors.contains("is there already"), "{errors}");
}

#[test]
fn names_and_words_of_peers_do_not_steer_whoever_reads_the_lines() {
    let broker = Broker::start();
    let mut log_lines = watch(&broker, &["--mode", "log"]);
    let mut json_lines = watch(&broker, &["--mode", "json"]);
    let room = "a\u{202e}b\u{200b}c";
    let alice = Peer::connect(broker.mqtt, "alice");
    assert_eq!(alice.join(room)["type"], "created");
    let detail = "\x1b]0;pwned\x07\u{9b}31m";
    alice.say(room, &json!({"type": "state", "connection": "failed", "detail": detail}));
    alice.publish(&format!("rooms/{room}/agent/alice"), "\x1b[2J no JSON");
    let long = "x".repeat(64 * 1024 - 100);
    alice.say(room, &json!({"type": "state", "connection": "failed", "detail": long}));
    let line = json_lines.json(&json!({"event": "message", "type": "state"}));
    assert_eq!((&line["room"], &line["payload"]["detail"]), (&json!(room), &json!(detail)));
    json_lines.json(&json!({"event": "message", "payload": {"type": "state", "connection": "failed", "detail": long}}));
    log_lines.line("the long one", |line| line.contains("xxxx"));
    for monitor in [json_lines, log_lines] {
        monitor.signal("TERM");
        let (_, output, _) = monitor.wait();
        let steers = |c: char| (c.is_control() && c != '\n') || "\u{202e}\u{200b}".contains(c);
        assert!(!output.contains(steers), "{:?}", output.chars().find(|c| steers(*c)));
    }
}

#[test]
fn tls_is_checked_against_the_certificates_that_were_named() {
    let broker = Broker::start();
    let folder = tempfile::tempdir().unwrap();
    let none = folder.path().join("ca.pem");
    std::fs::write(&none, "no certificate\n").unwrap();
    let url = broker.url().replace("mqtt:", "mqtts:");
    let (status, _, errors) = Monitor::start(&["--broker", &url, "--ca", none.to_str().unwrap()]).wait();
    assert_eq!(status.code(), Some(1));
    assert!(errors.contains("there is no certificate in it"), "{errors}");
}

#[test]
fn over_websocket_too() {
    let broker = Broker::start();
    let url = format!("ws://{}/mqtt", broker.http);
    let mut monitor = Monitor::start(&["--broker", &url, "--state-dir", &broker.state_dir(), "--mode", "json"]);
    monitor.connected();
    let alice = Peer::connect(broker.mqtt, "alice");
    alice.join("lobby");
    let line: Value = monitor.json(&json!({"event": "message", "type": "created"}));
    assert_eq!(line["to"], "alice");
}

#[test]
fn over_tls_and_websocket_over_tls_from_a_broker_that_is_trusted_by_its_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = folder.path().join("cert.pem");
    let ca = certificate.to_str().unwrap();
    let key = folder.path().join("key.pem");
    let flags = ["cert", "--host", "127.0.0.1", "--out", folder.path().to_str().unwrap()];
    cert::run(&cert::command().try_get_matches_from(flags).unwrap()).unwrap();
    let any = "127.0.0.1:0";
    let broker = Broker::with(&["--mqtts", any, "--https", any, "--certificate", ca, "--key", key.to_str().unwrap()]);
    let (mqtts, https) = (broker.door("mqtts"), broker.door("https"));
    for url in [format!("mqtts://{mqtts}"), format!("wss://{https}/mqtt")] {
        let args = ["--broker", &url, "--state-dir", &broker.state_dir(), "--mode", "json"];
        let mut monitor = Monitor::start(&[&args[..], &["--ca-file", ca]].concat());
        monitor.connected();
        let alice = Peer::connect(broker.mqtt, "alice");
        alice.join("lobby");
        let line = monitor.json(&json!({"event": "message", "type": "created"}));
        assert_eq!(line["to"], "alice", "{url}");
        // Without it nobody vouches for the broker.
        let mut distrustful = Monitor::start(&args);
        let line = distrustful.json(&json!({"event": "link", "link": "lost"}));
        assert!(line["why"].as_str().unwrap().contains("--ca-file"), "{url}: {line}");
    }
}

/// Tells everybody how an agent is doing, until it is dropped.
struct Agent {
    address: SocketAddr,
    pulse: Arc<Pulse>,
}

impl Agent {
    fn start(id: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, pulse) = (listener.local_addr().unwrap(), Pulse::new(id, true));
        let told = Arc::downgrade(&pulse);
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let Some(pulse) = told.upgrade() else { return };
                let (mut socket, mut request) = (socket.unwrap(), [0; 1024]);
                let _ = socket.read(&mut request);
                let status = serde_json::to_string(&pulse.status(0, 0)).unwrap();
                let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", status.len());
                let _ = socket.write_all((head + &status).as_bytes());
            }
        });
        Self { address, pulse }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.pulse = Pulse::new("gone", true);
        let _ = TcpStream::connect(self.address);
    }
}

#[test]
fn agents_beside_an_engine_are_asked_how_they_are_doing_and_a_recording_knows_it_too() {
    let broker = Broker::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("night.ndjson");
    let (one, two) = (Agent::start("agent-1"), Agent::start("agent-2"));
    one.pulse.connected(true);
    two.pulse.connected(true);
    let agents = format!("http://{},http://{}", one.address, two.address);
    let (broker_url, state) = (broker.url(), broker.state_dir());
    let record = file.to_str().unwrap();
    let args =
        ["--broker", &broker_url, "--state-dir", &state, "--mode", "json", "--agents", &agents, "--record", record];
    // Agents may have answered before the broker.
    let mut monitor = Monitor::start(&args);
    let url = format!("http://{}", one.address);
    let working = monitor.json(&json!({"event": "agent", "agent": "agent-1", "state": "working", "url": url}));
    assert_eq!(working["status"]["store"]["kind"], "redis");
    // One after the other: they are asked in no order.
    one.pulse.asked(Duration::from_millis(2_000), false);
    monitor.json(&json!({"event": "agent", "agent": "agent-1", "state": "store-away"}));
    two.pulse.connected(false);
    monitor.json(&json!({"event": "agent", "agent": "agent-2", "state": "disconnected"}));
    two.pulse.connected(true);
    monitor.json(&json!({"event": "agent", "agent": "agent-2", "state": "working"}));
    drop(one);
    let silent = monitor.json(&json!({"event": "agent", "agent": "agent-1", "state": "silent"}));
    assert_eq!(silent["why"], "nobody listens there");
    monitor.signal("TERM");
    assert_eq!(monitor.wait().0.code(), Some(0));

    let (status, output, errors) = Monitor::start(&["--replay", file.to_str().unwrap()]).wait();
    assert_eq!((status.code(), errors.as_str()), (Some(0), ""));
    for words in ["agent agent-1: its store does not answer", "agent agent-1: nobody listens there"] {
        assert!(output.contains(words), "{words}: {output}");
    }
}
