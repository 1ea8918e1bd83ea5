//! Who may come in, and what they may: through the front door, over TCP and WebSocket, with 3.1.1
//! and 5.0.

#[path = "support/relay.rs"]
mod relay;
mod support;

use mqtt_protocol_core::mqtt::Version;
use mqtt_protocol_core::mqtt::packet::{GenericPacket, Property, SessionExpiryInterval};
use mqtt_protocol_core::mqtt::prelude::GenericPacketTrait;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use support::client::{BOTH, Client, Hello, V3, V5};
use support::identity::{PASSWORD, SECRET, bearer, hello, member, now, token, user};
use support::{Broker, PATIENCE, scratch_folder};

/// What a CONNECT is refused with: wrong credentials, and not authorised.
fn wrong(version: Version) -> Option<u8> {
    Some(if version == V5 { 0x86 } else { 4 })
}

fn not_authorised(version: Version) -> Option<u8> {
    Some(if version == V5 { 0x87 } else { 5 })
}

fn people() -> String {
    [
        user("alice", "rooms = [\"lobby\", \"현*\"]"),
        user("bob", "rooms = [\"*\"]\nmay = [\"join\"]"),
        user("olga", "role = \"operator\""),
    ]
    .concat()
}

fn folder(users: &str) -> PathBuf {
    let folder = scratch_folder();
    std::fs::write(folder.join("users.toml"), users).unwrap();
    std::fs::write(folder.join("secret"), format!("{SECRET}\n")).unwrap();
    folder
}

/// With users and tokens.
fn guarded(flags: &[&str]) -> Broker {
    let ways = ["--users", "users.toml", "--jwt-secret", "secret", "--jwt-leeway", "0s"];
    Broker::in_folder(folder(&people()), &[&ways[..], flags].concat(), "")
}

fn write_users(broker: &Broker, text: &str) {
    let draft = broker.folder.join("users.new");
    std::fs::write(&draft, text).unwrap();
    std::fs::rename(draft, broker.folder.join("users.toml")).unwrap();
}

#[test]
fn each_way_in_by_both_doors() {
    for over_websocket in [false, true] {
        let mut broker = guarded(&[]);
        if over_websocket {
            broker.mqtt = relay::start(broker.http);
        }
        let good = token("cam-42", &json!({"rooms": ["front-door"]}));
        let expired = token("cam-42", &json!({"exp": now() - 1}));
        let elsewhere = token("cam-42", &json!({"aud": "other"}));
        let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", good.split('.').nth(1).unwrap());
        for version in BOTH {
            for (id, user, password, code) in [
                ("alice", "alice", PASSWORD, Some(0)),
                ("alice:phone", "alice", PASSWORD, Some(0)),
                ("alice", "alice", "wrong horse", wrong(version)),
                ("dave", "dave", PASSWORD, wrong(version)),
                ("dave", "alice", PASSWORD, not_authorised(version)),
                ("olga", "olga", PASSWORD, Some(0)),
                ("cam-42", "", &good, Some(0)),
                ("cam-42", "cam-42", &good, Some(0)),
                ("alice", "alice", &good, not_authorised(version)),
                ("cam-42", "", &*expired, wrong(version)),
                ("cam-42", "", &*elsewhere, wrong(version)),
                ("cam-42", "", &*unsigned, wrong(version)),
                // The operator's token is none any more, and there is none.
                ("operator", "operator", "0000000000000000", wrong(version)),
            ] {
                let (client, found) = Client::hello(&broker, &hello(version, id, user, password));
                assert_eq!(found, code, "{version:?} {id} as {user}");
                if code == Some(0) {
                    client.disconnect();
                }
            }
            let (_, code) = Client::hello(&broker, &Hello::new(version, "stranger"));
            assert_eq!(code, not_authorised(version), "nobody comes in without a word");
        }
        assert!(!broker.folder.join("operator.token").exists());
    }
}

#[test]
fn a_client_without_an_id_is_given_its_own() {
    let broker = guarded(&["--allow-anonymous"]);
    let good = token("cam-42", &json!({}));
    for (user, password, wanted) in [("alice", PASSWORD, "alice:"), ("", &*good, "cam-42"), ("", "", "peer-")] {
        let (_client, connack) = Client::connack(&broker, &hello(V5, "", user, password));
        let GenericPacket::V5_0Connack(connack) = connack else { panic!("{connack:?}") };
        let assigned = connack.props().iter().find_map(|property| match property {
            Property::AssignedClientIdentifier(id) => Some(id.val().to_owned()),
            _ => None,
        });
        assert!(assigned.as_ref().is_some_and(|id| id.starts_with(wanted)), "{assigned:?} for {wanted}");
    }
}

#[test]
fn anonymous_clients_come_in_where_that_is_said_and_not_under_a_users_name() {
    let broker = guarded(&["--allow-anonymous"]);
    broker.logs("whoever can reach this broker comes in");
    for version in BOTH {
        let mut zoe = Client::peer(&broker, version, "zoe");
        assert_eq!(zoe.join("anywhere")["type"], "created");
        for taken in ["alice", "alice:phone", "olga"] {
            let (_, code) = Client::hello(&broker, &Hello::new(version, taken));
            assert_eq!(code, not_authorised(version), "{taken}");
        }
        let (_, code) = Client::hello(&broker, &hello(version, "zoe2", "zoe", "whatever it is"));
        assert_eq!(code, wrong(version), "who says a name is not taken for anonymous");
        zoe.disconnect();
    }
}

#[test]
fn rights_open_rooms_and_close_the_others() {
    let broker = guarded(&[]);
    for version in BOTH {
        let mut alice = member(&broker, version, "alice", "alice");
        let mut cam = bearer(&broker, version, "cam-42", &token("cam-42", &json!({"rooms": ["현관"]})));
        for (peer, open, closed, opens) in
            [(&mut alice, "lobby", "hall", "lobby, 현*"), (&mut cam, "현관", "lobby", "현관")]
        {
            let error = peer.join(closed);
            assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!("forbidden")));
            assert_eq!(error["message"], format!("your rights do not open {closed}; they open {opens}"));
            for what in [json!({"type": "leave"}), json!({"type": "state", "connection": "failed"})] {
                peer.say(closed, &what);
                assert_eq!(peer.expect(&["error"])["code"], "forbidden", "{what}");
            }
            assert_eq!(peer.join(open)["type"], "created");
            peer.say(open, &json!({"type": "leave"}));
        }
        let will = |room: &str| Hello {
            will: Some((format!("rooms/{room}/agent/alice:tab"), json!({"type": "join"}).to_string())),
            ..hello(version, "alice:tab", "alice", PASSWORD)
        };
        assert_eq!(Client::hello(&broker, &will("hall")).1, not_authorised(version), "nor by a will");
        let (good, code) = Client::hello(&broker, &will("lobby"));
        assert_eq!(code, Some(0));
        good.disconnect();
        alice.disconnect();
        cam.disconnect();
    }
}

#[test]
fn who_may_join_but_not_create_waits_for_somebody() {
    let broker = guarded(&[]);
    for version in BOTH {
        let mut bob = member(&broker, version, "bob", "bob");
        let error = bob.join("lobby");
        assert_eq!(error["message"], "the room is empty and your rights let you join, not create");
        // Nor by a will, which is said when nobody can be asked any more.
        let mut alice = member(&broker, version, "alice", "alice");
        alice.join("lobby");
        assert_eq!(bob.join("lobby")["type"], "joined");
        alice.expect(&["arrived"]);
        bob.signal("lobby", "alice", &json!({"type": "ready"}));
        alice.expect(&["ready"]);
        bob.disconnect();
        alice.expect(&["left"]);
        alice.disconnect();
    }
}

#[test]
fn nobody_takes_anothers_client_id() {
    let broker = guarded(&["--allow-anonymous", "--grace", "1h", "--session-expiry", "1h"]);
    let stolen = token("zoe", &json!({}));
    let (mut olga, _) = Client::hello(&broker, &hello(V5, "olga", "olga", PASSWORD));
    olga.subscribe("rooms/+", 1);
    for version in BOTH {
        let refused = |why: &str| {
            let (_, code) = Client::hello(&broker, &hello(version, "zoe", "", &stolen));
            assert_eq!(code, not_authorised(version), "{why}");
        };
        let mut zoe = Client::peer(&broker, version, "zoe");
        refused("a connection");
        zoe.ping();
        // The same principal may: MQTT's own rule.
        let mut again = Client::peer(&broker, version, "zoe");
        assert_eq!(zoe.ends(), (version == V5).then_some(0x8E));
        again.join("lobby");
        again.lose();
        while !olga.message().json()["peers"][0]["away"].as_bool().unwrap_or(false) {}
        refused("a seat that is away");
        let mut back = Client::peer(&broker, version, "zoe");
        assert_eq!(back.join("lobby")["resumed"], true);
        back.disconnect();
        while !olga.message().payload.is_empty() {}
        // Nothing is left: the id is free.
        let (free, code) = Client::hello(&broker, &hello(version, "zoe", "", &stolen));
        assert_eq!(code, Some(0));
        free.disconnect();

        let mut waits = Hello { clean: false, ..Hello::new(version, "zoe") };
        if version == V5 {
            waits.properties = vec![Property::SessionExpiryInterval(SessionExpiryInterval::new(3600).unwrap())];
        }
        let (zoe, code) = Client::hello(&broker, &waits);
        assert_eq!(code, Some(0));
        zoe.disconnect();
        refused("a session that waits");
        let (zoe, code) = Client::hello(&broker, &Hello::new(version, "zoe"));
        assert_eq!(code, Some(0));
        zoe.disconnect();
    }
}

#[test]
fn an_expired_token_ends_its_connection() {
    let broker = guarded(&[]);
    for version in BOTH {
        let expiry = now() + 2;
        let mut cam = bearer(&broker, version, "cam-42", &token("cam-42", &json!({"exp": expiry})));
        let mut idle = member(&broker, version, "alice", "alice");
        let error = cam.expect(&["error"]);
        assert_eq!(error["code"], "forbidden");
        assert_eq!(error["message"], "your token has expired; connect again with a new one");
        assert_eq!(cam.ends(), (version == V5).then_some(0xA0));
        assert!(now() >= expiry);
        idle.ping();
        idle.disconnect();
    }
}

#[test]
fn nobody_outlasts_its_token_by_never_falling_silent() {
    let broker = guarded(&[]);
    let expiry = now() + 2;
    let connect = hello(V3, "cam-42", "", &token("cam-42", &json!({"exp": expiry}))).packet().to_continuous_buffer();
    let mut socket = TcpStream::connect(broker.mqtt).unwrap();
    socket.write_all(&connect).unwrap();
    let mut talks = socket.try_clone().unwrap();
    let pings = [0xC0, 0].repeat(16 * 1024);
    let talking = std::thread::spawn(move || while now() < expiry + 10 && talks.write_all(&pings).is_ok() {});
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut heard = vec![0; 64 * 1024];
    while socket.read(&mut heard).is_ok_and(|length| length > 0) {}
    assert!((expiry..expiry + 5).contains(&now()), "{} s after its end", now() - expiry);
    talking.join().unwrap();
}

#[test]
fn a_changed_users_file_ends_those_it_concerns_and_nobody_else() {
    for version in BOTH {
        let mut broker = guarded(&[]);
        let [alice, bob] = ["alice", "bob"];
        let mut removed = member(&broker, version, bob, bob);
        let mut changed = member(&broker, version, alice, alice);
        let (mut olga, _) = Client::hello(&broker, &hello(version, "olga", "olga", PASSWORD));
        let mut cam = bearer(&broker, version, "cam-42", &token("cam-42", &json!({})));
        let text = std::fs::read_to_string(broker.folder.join("users.toml")).unwrap();
        let kept = text.split("[olga]").nth(1).unwrap();

        write_users(&broker, "[alice\n");
        broker.logs("users and keys stay as they were");
        for client in [&mut removed, &mut changed, &mut olga, &mut cam] {
            client.ping();
        }
        write_users(&broker, &format!("{}[olga]{kept}", user(alice, "rooms = [\"hall\"]")));
        for client in [&mut removed, &mut changed] {
            assert_eq!(client.expect(&["error"])["code"], "forbidden");
            assert_eq!(client.ends(), (version == V5).then_some(0x87));
        }
        olga.ping();
        cam.ping();
        assert_eq!(Client::hello(&broker, &hello(version, bob, bob, PASSWORD)).1, wrong(version));
        let mut changed = member(&broker, version, alice, alice);
        assert_eq!(changed.join("lobby")["code"], "forbidden");
        assert_eq!(changed.join("hall")["type"], "created");
        // By a signal, at once.
        write_users(&broker, &format!("[olga]{kept}"));
        let pid = broker.pid().to_string();
        assert!(std::process::Command::new("kill").args(["-s", "HUP", &pid]).status().unwrap().success());
        assert_eq!(changed.expect(&["error"])["code"], "forbidden");
        olga.ping();
        assert!(broker.signal("TERM").0.success());
    }
}

#[test]
fn a_broken_or_missing_users_file_is_said_and_nobody_is_let_in_instead() {
    for (users, said) in [
        (Some("[alice]\nroom = []\n"), "line 2: user \"alice\": unknown field \"room\""),
        (None, "does not exist; `broker user add"),
    ] {
        let folder = scratch_folder();
        if let Some(users) = users {
            std::fs::write(folder.join("users.toml"), users).unwrap();
        }
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_broker"))
            .args(["--mqtt", "127.0.0.1:0", "--http", "127.0.0.1:0", "--state-dir", ".", "--users", "users.toml"])
            .current_dir(&folder)
            .output()
            .unwrap();
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && err.contains(said) && output.stdout.is_empty(), "{err}");
    }
}

#[test]
fn guessing_takes_longer_and_longer_and_hurts_nobody_else() {
    let broker = guarded(&[]);
    let begin = Instant::now();
    let guess = || Client::hello(&broker, &hello(V5, "alice", "alice", "wrong horse")).1;
    for n in 0..7 {
        assert_eq!(guess(), wrong(V5), "guess {n}");
    }
    // 3 for free, then 0.1 s and twice as much each time: the answers alone take 1.5 s.
    assert!(begin.elapsed() >= Duration::from_millis(1500), "{:?}", begin.elapsed());
    let begin = Instant::now();
    let (bob, code) = Client::hello(&broker, &hello(V5, "bob", "bob", PASSWORD));
    assert_eq!(code, Some(0));
    assert!(begin.elapsed() < Duration::from_millis(500), "bob has nothing to do with it: {:?}", begin.elapsed());
    bob.disconnect();
    let (_alice, code) = Client::hello(&broker, &hello(V5, "alice", "alice", PASSWORD));
    assert_eq!(code, Some(0), "who knows the password is not locked out");
    let begin = Instant::now();
    assert_eq!(guess(), wrong(V5));
    assert!(begin.elapsed() < Duration::from_millis(500), "and what was counted is forgotten");
}

#[test]
fn no_credential_is_ever_logged() {
    let mut broker = guarded(&["--log", "trace"]);
    let good = token("cam-42", &json!({}));
    let forged = format!("{}x", token("cam-42", &json!({"rooms": ["forged"]})));
    let over_websocket = relay::start(broker.http);
    for address in [broker.mqtt, over_websocket] {
        broker.mqtt = address;
        for version in BOTH {
            for (id, user, password) in [
                ("alice", "alice", PASSWORD),
                ("alice", "alice", "a wrong password"),
                ("cam-42", "", &*good),
                ("cam-42", "", &*forged),
                ("cam-42", &*good, "token as user name"),
            ] {
                let (client, code) = Client::hello(&broker, &hello(version, id, user, password));
                assert!(code.is_some());
                drop(client);
            }
        }
    }
    for credentials in ["Basic b2xnYTpjb3JyZWN0IGhvcnNl", &format!("Bearer {good}")] {
        broker.http(&format!(
            "GET /metrics HTTP/1.1\r\nHost: {}\r\nAuthorization: {credentials}\r\nConnection: close\r\n\r\n",
            broker.http
        ));
    }
    broker.signal("TERM");
    let log = broker.logged();
    assert!(log.contains("cam-42"), "it does log: {log}");
    let hash = std::fs::read_to_string(broker.folder.join("users.toml")).unwrap();
    let hash = hash.split('$').nth(5).unwrap().trim_matches(['"', '\n']).to_owned();
    for secret in
        [PASSWORD, "a wrong password", &*good, &*forged, "b2xnYTpjb3JyZWN0IGhvcnNl", SECRET, hash.get(..20).unwrap()]
    {
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        let decimal = format!("{:?}", secret.as_bytes());
        let decimal = decimal.trim_matches(['[', ']']);
        let tail = secret.rsplit('.').next().unwrap();
        for shown in [secret, &hex, decimal, tail] {
            let found = log.lines().find(|line| line.contains(shown));
            assert!(found.is_none(), "{secret} in {found:?}");
        }
    }
}

#[test]
fn operators_of_the_users_file_order_and_ask_by_http() {
    let broker = guarded(&[]);
    let (mut olga, _) = Client::hello(&broker, &hello(V3, "olga", "olga", PASSWORD));
    let mut alice = member(&broker, V5, "alice", "alice");
    alice.join("lobby");
    olga.publish("control/lobby", r#"{"type":"close"}"#, 1);
    alice.expect(&["closed"]);
    let boss = token("boss", &json!({"role": "operator", "rooms": Value::Null}));
    let peer = token("peer", &json!({}));
    let ask = |credentials: &str| {
        broker.http(&format!(
            "GET /api/rooms HTTP/1.1\r\nHost: {}\r\nAuthorization: {credentials}\r\nConnection: close\r\n\r\n",
            broker.http
        ))
    };
    // olga:correct horse, and alice's
    for (credentials, status) in [
        ("Basic b2xnYTpjb3JyZWN0IGhvcnNl".to_owned(), "200"),
        ("Basic YWxpY2U6Y29ycmVjdCBob3JzZQ==".to_owned(), "401"),
        (format!("Bearer {boss}"), "200"),
        (format!("Bearer {peer}"), "401"),
    ] {
        let answer = ask(&credentials);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{credentials}: {answer}");
    }
}
