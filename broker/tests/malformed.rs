//! Bytes that are no MQTT, or MQTT at the wrong moment: each is answered as the standard says, and
//! nobody else notices.

mod support;

use mqtt_protocol_core::mqtt::prelude::GenericPacketTrait;
use proptest::prelude::*;
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use support::client::{BOTH, Client, Hello, V3, V5};
use support::{Broker, PATIENCE};

/// Two peers in a room who try whether they still hear each other.
struct Witnesses {
    alice: Client,
    bob: Client,
    said: u32,
}

impl Witnesses {
    fn new(broker: &Broker) -> Self {
        let mut alice = Client::peer(broker, V3, "alice");
        let mut bob = Client::peer(broker, V5, "bob");
        assert_eq!(alice.join("lobby")["type"], "created");
        assert_eq!(bob.join("lobby")["type"], "joined");
        alice.expect(&["arrived"]);
        Self { alice, bob, said: 0 }
    }

    fn are_undisturbed(&mut self) {
        self.said += 1;
        let message = json!({"type": "ring", "number": self.said});
        self.alice.signal("lobby", "bob", &message);
        assert_eq!(self.bob.message().json(), message);
        self.bob.signal("lobby", "alice", &message);
        assert_eq!(self.alice.message().json(), message);
    }
}

/// Sends bytes on a new connection; everything that comes until it is closed.
fn answer(broker: &Broker, bytes: &[u8]) -> Vec<u8> {
    let mut socket = TcpStream::connect(broker.mqtt).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let _ = socket.write_all(bytes);
    let mut answer = Vec::new();
    match socket.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{bytes:?}"),
    }
    answer
}

fn connect(hello: &Hello) -> Vec<u8> {
    hello.packet().to_continuous_buffer()
}

#[test]
fn what_is_no_connect_is_closed() {
    let broker = Broker::start();
    let mut witnesses = Witnesses::new(&broker);
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl/8 with a header that fills the packet\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello that goes on for quite a while 0123456789",
        b"\x00\x00",
        b"\xC0\x00",
        b"\x30\x03\x00\x01a",
        b"\x82\x06\x00\x01\x00\x01a\x00",
        b"\xE0\x00",
        b"\xF0\x00",
        b"\x10\x00",
        b"\x10\x06\x00\x04MQTT",
        b"\x10\xFF\xFF\xFF\xFF\x01",
        b"\x10\xFF\xFF\xFF\x7F",
        b"\x14\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01x\xE0\x00",
        b"\x14\x0e\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x01x\xE0\x00",
    ] {
        let answer = answer(&broker, bytes);
        assert!(answer.is_empty() || answer[0] == 0x20 && answer[3] != 0, "{bytes:?}: {answer:?}");
        witnesses.are_undisturbed();
    }
    let unknown_level = b"\x10\x0d\x00\x04MQTT\x09\x02\x00\x3c\x00\x01x";
    let told = answer(&broker, unknown_level);
    assert!(told.is_empty() || told[..2] == [0x20, 2] || told[0] == 0x20, "{told:?}");
    witnesses.are_undisturbed();
}

#[test]
fn a_packet_may_come_in_any_two_pieces() {
    let broker = Broker::start();
    for version in BOTH {
        let mut bytes = connect(&Hello::new(version, "cut"));
        let first = bytes.len();
        let filter = b"rooms/+/cut/+";
        bytes.extend([0x82, u8::try_from(filter.len() + if version == V5 { 6 } else { 5 }).unwrap(), 0, 1]);
        bytes.extend((version == V5).then_some(0));
        bytes.extend([0, u8::try_from(filter.len()).unwrap()]);
        bytes.extend(filter);
        bytes.push(1);
        for cut in 1..bytes.len() {
            let mut socket = TcpStream::connect(broker.mqtt).unwrap();
            socket.set_nodelay(true).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            socket.write_all(&bytes[..cut]).unwrap();
            if cut >= first {
                // The first packet is whole, so its answer shows that the first piece has been read.
                let mut byte = [0];
                socket.read_exact(&mut byte).unwrap();
                assert_eq!(byte[0], 0x20);
            }
            socket.write_all(&bytes[cut..]).unwrap();
            socket.write_all(&[0xE0, 0]).unwrap();
            let mut answer = Vec::new();
            socket.read_to_end(&mut answer).unwrap();
            let suback: &[u8] = if version == V5 { &[0x90, 4, 0, 1, 0, 1] } else { &[0x90, 3, 0, 1, 1] };
            assert!(answer.ends_with(suback), "cut at {cut}: {answer:?}");
        }
    }
}

#[test]
fn broken_packets_end_their_own_connection_only() {
    let broker = Broker::start();
    let mut witnesses = Witnesses::new(&broker);
    for version in BOTH {
        let (nul_in_subscribe, nul_in_unsubscribe): (&[u8], &[u8]) = match version {
            V5 => (b"\x82\x09\x00\x01\x00\x00\x03a/\x00\x00", b"\xA2\x08\x00\x01\x00\x00\x03a/\x00"),
            _ => (b"\x82\x08\x00\x01\x00\x03a/\x00\x00", b"\xA2\x07\x00\x01\x00\x03a/\x00"),
        };
        for (bytes, why) in [
            (&connect(&Hello::new(version, "clumsy"))[..], "a second CONNECT"),
            (b"\x00\x00", "packet type 0"),
            (b"\x20\x02\x00\x00", "CONNACK from a client"),
            (b"\x90\x03\x00\x01\x00", "SUBACK from a client"),
            (b"\x40\x02\x00\x09", "PUBACK for nothing"),
            (b"\x50\x02\x00\x09", "PUBREC for nothing"),
            (b"\x70\x02\x00\x09", "PUBCOMP for nothing"),
            (b"\x36\x05\x00\x01a\x00\x01", "QoS 3"),
            (b"\x32\x03\x00\x01a", "QoS 1 without a packet id"),
            (b"\x30\x04\x00\x02\xFF\xFE", "a topic that is no UTF-8"),
            (b"\x30\x05\x00\x03a\x00b", "a topic with NUL"),
            (b"\x30\x02\x00\x00", "an empty topic"),
            (b"\x30\x03\x00\x01+", "a wildcard in a topic"),
            (b"\x30\x03\x00\x01#", "a wildcard in a topic"),
            (b"\x30\x03\x00\x09a", "a topic longer than its packet"),
            (b"\x82\x02\x00\x01", "SUBSCRIBE without a filter"),
            (b"\x80\x06\x00\x01\x00\x01a\x00", "SUBSCRIBE with wrong flags"),
            (b"\x82\x06\x00\x00\x00\x01a\x00", "SUBSCRIBE with packet id 0"),
            (b"\x32\x05\x00\x01a\x00\x00", "PUBLISH with packet id 0"),
            (b"\xA2\x02\x00\x01", "UNSUBSCRIBE without a filter"),
            (nul_in_subscribe, "SUBSCRIBE with NUL in its filter"),
            (nul_in_unsubscribe, "UNSUBSCRIBE with NUL in its filter"),
            (b"\xC0\xFF\xFF\xFF\xFF\x00", "a remaining length of five bytes"),
            (b"\x30\xFF\xFF\xFF\x7F", "a remaining length of 256 MiB"),
        ] {
            let mut clumsy = Client::connect(&broker, version, "clumsy");
            clumsy.tolerant = true;
            clumsy.raw(bytes);
            let code = clumsy.ends();
            if version == V3 {
                assert_eq!(code, None, "{why}");
            }
            witnesses.are_undisturbed();
        }
    }
}

#[test]
fn too_large_is_said_and_not_just_cut_off() {
    let broker = Broker::start();
    let limit = 64 * 1024;
    for version in BOTH {
        let mut alice = Client::peer(&broker, version, "alice");
        let mut bob = Client::peer(&broker, version, "bob");
        alice.join("lobby");
        bob.join("lobby");
        alice.expect(&["arrived"]);
        let message = |bytes: usize| format!(r#"{{"type":"{}"}}"#, "x".repeat(bytes - 11));
        assert_eq!(alice.publish("rooms/lobby/bob/alice", message(limit), 1), (version == V5).then_some(0));
        assert_eq!(bob.message().payload.len(), limit);
        assert_eq!(alice.publish("rooms/lobby/bob/alice", message(limit + 1), 1), (version == V5).then_some(0x97));
        let error = alice.expect(&["error"]);
        assert_eq!(error["code"], "too-large");
        assert_eq!(error["message"], "a message has at most 65536 bytes, this one has 65537");
        bob.nothing();
        // Beyond what the broker reads at all.
        alice.raw(&[0x30, 0x80, 0x80, 0x10]);
        assert_eq!(alice.expect(&["error"])["code"], "too-large");
        assert_eq!(alice.ends(), (version == V5).then_some(0x95));
        bob.disconnect();
    }
}

#[test]
fn a_silent_connection_disturbs_nobody_and_is_closed() {
    let broker = Broker::with(&["--connect-timeout", "1s"], "");
    let silent: Vec<TcpStream> = (0..50)
        .flat_map(|_| [TcpStream::connect(broker.mqtt).unwrap(), TcpStream::connect(broker.http).unwrap()])
        .collect();
    let begin = Instant::now();
    let mut witnesses = Witnesses::new(&broker);
    witnesses.are_undisturbed();
    assert!(broker.get("/healthz").starts_with("HTTP/1.1 200"));
    assert!(begin.elapsed() < Duration::from_secs(1), "they did not wait for the silent ones: {:?}", begin.elapsed());
    let mut halfway = TcpStream::connect(broker.mqtt).unwrap();
    halfway.write_all(&connect(&Hello::new(V3, "halfway"))[..9]).unwrap();
    for mut socket in silent.into_iter().chain([halfway]) {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut rest = Vec::new();
        let _ = socket.read_to_end(&mut rest);
    }
    witnesses.are_undisturbed();
}

#[test]
fn json_that_is_none_is_answered_with_what_would_be_right() {
    let broker = Broker::start();
    let mut witnesses = Witnesses::new(&broker);
    for version in BOTH {
        let mut clumsy = Client::peer(&broker, version, "clumsy");
        for (payload, code, said) in [
            ("", "bad-message", "no JSON object"),
            ("hello", "bad-message", "no JSON object"),
            ("{}", "bad-message", "the message has no `type`; known are join, leave and state"),
            (r#"{"type":"dance"}"#, "bad-message", "the type \"dance\" is unknown"),
            (r#"{"type":"join","type":"leave"}"#, "bad-message", "duplicate field"),
            (r#"{"type":"join","v":2}"#, "unsupported-version", "this agent speaks version 1"),
            (r#"{"type":"join","info":7}"#, "bad-message", "info must be a JSON object"),
            (r#"{"type":"leave"}"#, "not-a-member", "lobby"),
            (r#"{"type":"state","connection":"connected"}"#, "not-a-member", "lobby"),
            ("\u{feff}{\"type\":\"join\"}", "bad-message", "no JSON object"),
        ] {
            clumsy.publish("rooms/lobby/agent/clumsy", payload, 1);
            let error = clumsy.expect(&["error"]);
            assert_eq!(error["code"], code, "{payload}");
            assert!(error["message"].as_str().unwrap().contains(said), "{payload}: {error}");
        }
        clumsy.publish("rooms/lobby/agent/clumsy", "{\"type\":\"join\u{0}\"}", 1);
        assert_eq!(clumsy.expect(&["error"])["code"], "bad-message");
        clumsy.publish("rooms/lobby/agent/clumsy", [0xFF, 0xFE, 0x00], 1);
        assert_eq!(clumsy.expect(&["error"])["code"], "bad-message");
        let deep = format!(r#"{{"type":"join","info":{}1{}}}"#, r#"{"a":"#.repeat(9_000), "}".repeat(9_000));
        clumsy.publish("rooms/lobby/agent/clumsy", deep, 1);
        assert_eq!(clumsy.expect(&["error"])["code"], "bad-message");
        for room in [" lobby", "lobby ", "$lobby", &"x".repeat(129), "\u{85}"] {
            clumsy.publish(&format!("rooms/{room}/agent/clumsy"), r#"{"type":"join"}"#, 1);
            let error = clumsy.expect(&["error"]);
            assert_eq!(error["code"], "bad-message", "{room:?}");
            assert!(error["message"].as_str().unwrap().contains("a room name"), "{error}");
        }
        witnesses.are_undisturbed();
        clumsy.disconnect();
    }
}

/// A stopping point for bytes made at random: the broker closes, or answers the DISCONNECT.
fn survives(broker: &Broker, prefix: &[u8], noise: &[u8]) {
    let mut socket = TcpStream::connect(broker.mqtt).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let _ = socket.write_all(prefix);
    let _ = socket.write_all(noise);
    let _ = socket.shutdown(std::net::Shutdown::Write);
    let mut rest = Vec::new();
    let _ = socket.read_to_end(&mut rest);
}

#[test]
fn noise_is_survived() {
    let broker = Broker::start();
    let mut witnesses = Witnesses::new(&broker);
    let packet = (0..=255_u8, prop::collection::vec(any::<u8>(), 0..60)).prop_map(|(kind, body)| {
        let mut packet = vec![kind, u8::try_from(body.len()).unwrap()];
        packet.extend(body);
        packet
    });
    let strategy = (0..3_usize, prop::collection::vec(packet, 1..4).prop_map(|packets| packets.concat()));
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 1000,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let prefixes = [Vec::new(), connect(&Hello::new(V3, "noisy")), connect(&Hello::new(V5, "noisy"))];
    runner
        .run(&strategy, |(prefix, noise)| {
            survives(&broker, &prefixes[prefix], &noise);
            Ok(())
        })
        .unwrap();
    witnesses.are_undisturbed();
    assert!(!broker.logged().contains("panicked"));
}
