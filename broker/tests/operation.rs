//! What an operator of the broker does: starts and stops it, configures it, watches it.

mod support;

use serde_json::json;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;
use support::client::{BOTH, Client, Hello, V3, V5};
use support::{Broker, scratch_folder};

fn run(flags: &[&str]) -> (Option<i32>, String, String) {
    let folder = scratch_folder();
    let output = Command::new(env!("CARGO_BIN_EXE_broker")).args(flags).current_dir(&folder).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_wrong_configuration_is_said_before_anything_is_bound() {
    let (code, out, err) = run(&["--mqtt", "127.0.0.1:0", "--grace", "soon"]);
    assert_eq!((code, &*out), (Some(2), ""));
    assert!(err.starts_with("error: grace = \"soon\" (from --grace): ") && err.contains("allowed is a time"), "{err}");
    let (code, _, err) = run(&["--gracious"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("--grace"), "{err}");
    let (code, out, err) = run(&["--http", "0.0.0.0:0"]);
    assert_eq!((code, &*out), (Some(2), ""));
    assert!(err.contains("--allow-anonymous"), "{err}");
}

#[test]
fn the_effective_values_are_shown_with_where_they_come_from() {
    let (code, out, _) = run(&["--print-config", "--grace=3s"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("grace = \"3s\"  # from --grace\n"), "{out}");
    assert!(out.contains("http = \"127.0.0.1:8080\"  # default\n"), "{out}");
}

#[test]
fn a_port_in_use_is_said() {
    let broker = Broker::start();
    let taken = broker.mqtt.to_string();
    let state = broker.folder.to_string_lossy().into_owned();
    let (code, _, err) = run(&["--mqtt", &taken, "--http", "127.0.0.1:0", "--state-dir", &state]);
    assert_eq!(code, Some(1));
    assert!(err.contains(&format!("cannot listen on {taken}: Address already in use")), "{err}");
}

#[test]
fn it_runs_though_nobody_reads_where_it_listens() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut child = Command::new(env!("CARGO_BIN_EXE_broker"))
        .args(["--mqtt", "127.0.0.1:0", "--http", "127.0.0.1:0", "--state-dir", "."])
        .current_dir(scratch_folder())
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(log.any(|line| line.contains("nobody reads on stdout: mqtt listening on 127.0.0.1:")));
    let kill = Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(kill.success() && child.wait().unwrap().success());
}

#[test]
fn it_stops_when_asked_and_tells_everybody() {
    for signal in ["TERM", "INT"] {
        let mut broker = Broker::with(&[], "[[access.topics]]\nfilter = \"gone/#\"\n");
        let mut heir = Client::connect(&broker, V5, "heir");
        heir.subscribe("gone/+", 1);
        let mut hello = Hello::new(V5, "mortal");
        hello.will = Some(("gone/mortal".into(), "bye".into()));
        let (mut mortal, _) = Client::hello(&broker, &hello);
        let mut old = Client::peer(&broker, V3, "old");
        let waiting: Vec<_> = (0..20).map(|_| std::net::TcpStream::connect(broker.mqtt).unwrap()).collect();
        let (status, took) = broker.signal(signal);
        assert_eq!(status.code(), Some(0));
        assert!(took < Duration::from_secs(2), "{took:?}");
        assert_eq!(heir.message().payload, b"bye", "wills are sent");
        assert_eq!((heir.ends(), mortal.ends(), old.ends()), (Some(0x8B), Some(0x8B), None));
        drop(waiting);
    }
}

#[test]
fn an_operator_sees_rooms_events_and_flow_and_gives_orders() {
    let broker = Broker::start();
    for version in BOTH {
        let room = if version == V5 { "현관" } else { "lobby" };
        let mut alice = Client::peer(&broker, version, "alice");
        alice.join(room);
        let mut operator = Client::operator(&broker, version, "rooms/#");
        let state = operator.message();
        assert!(state.retain && state.topic == format!("rooms/{room}"), "{state:?}");
        assert_eq!(state.json()["peers"][0]["id"], "alice");
        let mut bob = Client::peer(&broker, version, "bob");
        bob.join(room);
        alice.expect(&["arrived"]);
        bob.signal(room, "alice", &json!({"type": "ready"}));
        alice.expect(&["ready"]);
        let mut seen = Vec::new();
        while !seen.contains(&format!("rooms/{room}/alice/bob ready")) {
            let message = operator.message();
            let json = message.json();
            seen.push(format!("{} {}", message.topic, json["type"].as_str().unwrap_or("state")));
        }
        for expected in ["agent/bob join", "bob/agent joined", "alice/agent arrived", "events joined"] {
            assert!(seen.contains(&format!("rooms/{room}/{expected}")), "{expected} in {seen:?}");
        }
        operator.publish(&format!("control/{room}"), r#"{"type":"remove","peer":"bob"}"#, 1);
        assert_eq!(bob.expect(&["closed"])["reason"], "removed");
        assert_eq!(alice.expect(&["left"])["reason"], "removed");
        operator.publish(&format!("control/{room}"), r#"{"type":"close"}"#, 1);
        assert_eq!(alice.expect(&["closed"])["reason"], "room-closed");
        loop {
            let message = operator.message();
            if message.topic == format!("rooms/{room}") && message.payload.is_empty() {
                break; // the retained state is gone with the room
            }
        }
        operator.disconnect();
        let mut operator = Client::operator(&broker, version, "rooms/+");
        operator.ping();
        assert!(operator.is_quiet());
        for client in [alice, bob, operator] {
            client.disconnect();
        }
    }
}

#[test]
fn the_usual_figures_are_under_sys() {
    let broker = Broker::with(&["--sys-interval", "50ms"], "");
    let _alice = Client::peer(&broker, V3, "alice");
    let mut operator = Client::operator(&broker, V5, "$SYS/broker/#");
    let mut seen = std::collections::BTreeMap::new();
    while seen.get("$SYS/broker/clients/connected").is_none_or(|value| value != "2") {
        let message = operator.message();
        seen.insert(message.topic, String::from_utf8(message.payload).unwrap());
    }
    while seen.len() < 40 {
        let message = operator.message();
        seen.insert(message.topic, String::from_utf8(message.payload).unwrap());
    }
    for name in [
        "version",
        "uptime",
        "messages/received",
        "messages/sent",
        "bytes/received",
        "load/messages/sent/15min",
        "publish/messages/dropped",
        "retained messages/count",
        "clients/maximum",
    ] {
        assert!(seen.contains_key(&format!("$SYS/broker/{name}")), "{name} in {seen:?}");
    }
    let metrics = broker.operator_get("/metrics");
    assert!(metrics.contains("\nduet_clients_connected 2\n"), "{metrics}");
}

#[test]
fn the_page_comes_with_strict_headers() {
    let broker = Broker::start();
    let page = broker.get("/");
    let (head, body) = page.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    let head = head.to_lowercase();
    for header in [
        "content-security-policy: default-src 'none'; script-src 'self';",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
        "content-type: text/html; charset=utf-8",
        "cache-control: no-cache",
    ] {
        assert!(head.contains(header), "{header} in {head}");
    }
    assert!(!body.contains("<script>") && !body.contains("style="), "nothing inline");
    let etag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
    let again =
        broker.http(&format!("GET / HTTP/1.1\r\nHost: x\r\nIf-None-Match: {etag}\r\nConnection: close\r\n\r\n"));
    assert!(again.starts_with("HTTP/1.1 304"), "{again}");
    let module = broker.get("/duet.js").to_lowercase();
    assert!(module.starts_with("http/1.1 200") && module.contains("access-control-allow-origin: *"));
    assert!(broker.get("/healthz").ends_with("ok\n"));
    assert!(broker.get("/nothing").starts_with("HTTP/1.1 404"));
    assert!(broker.get("/../Cargo.toml").starts_with("HTTP/1.1 404"));
    let post = broker.http("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    assert!(post.starts_with("HTTP/1.1 405"), "{post}");
}

#[test]
fn secrets_are_not_logged() {
    let mut broker = Broker::with(&["--log", "trace"], "");
    let mut alice = Client::peer(&broker, V5, "alice");
    let mut bob = Client::peer(&broker, V3, "bob");
    alice.join("lobby");
    bob.join("lobby");
    alice.expect(&["arrived"]);
    alice.signal("lobby", "bob", &json!({"type": "offer", "sdp": "a=ice-pwd:verysecretpassword"}));
    bob.expect(&["offer"]);
    let operator = Client::operator(&broker, V5, "rooms/#");
    operator.disconnect();
    let token = broker.token();
    broker.signal("TERM");
    let log = broker.logged();
    assert!(log.contains("alice"), "it does log: {log}");
    for secret in ["verysecretpassword", &token] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}
