//! The WebSocket door, frame by frame: what MQTT 6 and RFC 6455 ask for, and what a client may do
//! to the bytes of MQTT on their way.

mod support;

use mqtt_protocol_core::mqtt::Version;
use mqtt_protocol_core::mqtt::packet::{Packet, Qos, SubEntry, SubOpts, v3_1_1, v5_0};
use mqtt_protocol_core::mqtt::prelude::GenericPacketTrait;
use serde_json::Value;
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use support::client::{BOTH, Client, Hello, V3, V5};
use support::{Broker, PATIENCE};
use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;
use tungstenite::protocol::Role;
use tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tungstenite::protocol::frame::{CloseFrame, Frame};
use tungstenite::{Error, Message, WebSocket};

/// Payload and what may be around it, as the broker takes it by default.
const LARGEST_FRAME: usize = (64 + 16) * 1024;

/// A WebSocket at `/mqtt` whose bytes are looked at one packet at a time.
struct Door {
    socket: WebSocket<TcpStream>,
    bytes: VecDeque<u8>,
}

impl Door {
    fn open(broker: &Broker) -> Self {
        let (door, _) = Self::offer(broker, "mqtt").unwrap();
        door
    }

    /// Offers subprotocols; the one that is chosen, or the broker's answer.
    fn offer(broker: &Broker, subprotocols: &'static str) -> Result<(Self, Option<String>), String> {
        let stream = TcpStream::connect(broker.http).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut request = format!("ws://{}/mqtt", broker.http).into_client_request().unwrap();
        if !subprotocols.is_empty() {
            request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static(subprotocols));
        }
        match tungstenite::client(request, stream) {
            Ok((socket, response)) => {
                let chosen = response.headers().get("Sec-WebSocket-Protocol").map(|v| v.to_str().unwrap().to_owned());
                Ok((Self { socket, bytes: VecDeque::new() }, chosen))
            }
            Err(refused) => Err(refused.to_string()),
        }
    }

    /// Opens, and is let in as a peer with its inbox.
    fn peer(broker: &Broker, version: Version, id: &str) -> Self {
        let mut door = Self::open(broker);
        door.send(&[hello(version, id), subscribe(version, id)].concat());
        door.is_in();
        door
    }

    /// The next two packets let it in and grant its inbox.
    fn is_in(&mut self) {
        let connack = self.packet();
        assert_eq!((connack[0], connack[3]), (0x20, 0), "{connack:?}");
        let suback = self.packet();
        assert_eq!((suback[0], suback.last()), (0x90, Some(&1)), "{suback:?}");
    }

    fn send(&mut self, bytes: &[u8]) {
        self.socket.send(Message::binary(bytes.to_vec())).unwrap();
    }

    /// One frame; a message may have several.
    fn frame(&mut self, bytes: &[u8], opcode: Data, is_final: bool) {
        let frame = Frame::message(bytes.to_vec(), OpCode::Data(opcode), is_final);
        self.socket.send(Message::Frame(frame)).unwrap();
    }

    /// Bytes below the WebSocket.
    fn raw(&mut self, bytes: &[u8]) {
        self.socket.get_mut().write_all(bytes).unwrap();
    }

    /// The next MQTT packet, however the broker cut it.
    fn packet(&mut self) -> Vec<u8> {
        loop {
            if let Some(packet) = self.take_packet() {
                return packet;
            }
            match self.socket.read().unwrap() {
                Message::Binary(bytes) => self.bytes.extend(bytes),
                other => panic!("{other:?} in place of MQTT"),
            }
        }
    }

    fn take_packet(&mut self) -> Option<Vec<u8>> {
        let (mut length, mut at) = (0, 1);
        loop {
            let byte = *self.bytes.get(at)?;
            length |= usize::from(byte & 0x7F) << (7 * (at - 1));
            at += 1;
            if byte < 0x80 {
                break;
            }
        }
        (self.bytes.len() >= at + length).then(|| self.bytes.drain(..at + length).collect())
    }

    /// The agent's next message, whatever acknowledgements come before it.
    fn told(&mut self) -> Value {
        loop {
            let packet = self.packet();
            if packet[0] >> 4 == 3 {
                let json = packet.iter().position(|&byte| byte == b'{').unwrap();
                return serde_json::from_slice(&packet[json..]).unwrap();
            }
        }
    }

    fn ping(&mut self) {
        self.send(&[0xC0, 0]);
        assert_eq!(self.packet(), [0xD0, 0]);
    }

    /// How the broker closes: its code, if it gives one; and it does close.
    fn closes(&mut self) -> Option<CloseCode> {
        let mut code = None;
        loop {
            match self.socket.read() {
                Ok(Message::Close(frame)) => code = frame.map(|frame| frame.code),
                Ok(_) => {}
                Err(Error::ConnectionClosed) => break,
                Err(Error::Protocol(_)) => return code,
                Err(Error::Io(error)) if !matches!(error.kind(), std::io::ErrorKind::WouldBlock) => return code,
                Err(error) => panic!("{error} in place of the end"),
            }
        }
        let mut rest = [0; 16];
        assert!(matches!(self.socket.get_mut().read(&mut rest), Ok(0) | Err(_)), "TCP ends, too");
        code
    }
}

fn bytes(packet: Packet) -> Vec<u8> {
    packet.to_continuous_buffer()
}

fn hello(version: Version, id: &str) -> Vec<u8> {
    bytes(Hello::new(version, id).packet())
}

fn subscribe(version: Version, id: &str) -> Vec<u8> {
    let inbox = SubEntry::new(format!("rooms/+/{id}/+"), SubOpts::new().set_qos(Qos::AtLeastOnce)).unwrap();
    bytes(match version {
        V5 => v5_0::Subscribe::builder().packet_id(1).entries(vec![inbox]).build().unwrap().into(),
        _ => v3_1_1::Subscribe::builder().packet_id(1).entries(vec![inbox]).build().unwrap().into(),
    })
}

fn publish(version: Version, topic: &str, payload: &[u8]) -> Vec<u8> {
    let qos = Qos::AtMostOnce;
    bytes(match version {
        V5 => v5_0::Publish::builder().topic_name(topic).unwrap().qos(qos).payload(payload).build().unwrap().into(),
        _ => v3_1_1::Publish::builder().topic_name(topic).unwrap().qos(qos).payload(payload).build().unwrap().into(),
    })
}

fn join(version: Version, id: &str) -> Vec<u8> {
    publish(version, &format!("rooms/lobby/agent/{id}"), br#"{"type":"join"}"#)
}

/// CONNECT, SUBSCRIBE, a join and a ping, all that a peer says to get in.
fn everything(version: Version, id: &str) -> Vec<u8> {
    [hello(version, id), subscribe(version, id), join(version, id), vec![0xC0, 0]].concat()
}

/// What follows from it; leaves the room again.
fn everything_is_answered(door: &mut Door, version: Version, id: &str) {
    door.is_in();
    let answers = [door.packet(), door.packet()];
    assert!(answers.contains(&vec![0xD0, 0]), "{answers:?}");
    let created = answers.iter().find(|packet| packet[0] >> 4 == 3).expect("an answer to the join");
    assert!(String::from_utf8_lossy(created).contains(r#""type":"created""#));
    door.send(&publish(version, &format!("rooms/lobby/agent/{id}"), br#"{"type":"leave"}"#));
    door.send(&[0xE0, 0]);
    assert_eq!(door.closes(), Some(CloseCode::Normal));
}

fn has_header(answer: &str, wanted: &str) -> bool {
    answer.lines().take_while(|line| !line.is_empty()).any(|line| line.eq_ignore_ascii_case(wanted))
}

#[test]
fn the_subprotocol_must_be_mqtt() {
    let broker = Broker::start();
    for offered in ["mqtt", "foo, mqtt", "mqtt, foo"] {
        let (_, chosen) = Door::offer(&broker, offered).unwrap();
        assert_eq!(chosen.as_deref(), Some("mqtt"), "{offered}");
    }
    for offered in ["", "mqttv3.1", "MQTT", "foo, bar", "mqtt2"] {
        let answer = Door::offer(&broker, offered).map(|(_, chosen)| chosen).unwrap_err();
        assert!(answer.contains("400"), "{offered}: {answer}");
    }
    let none = "GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let answer = broker.http(none);
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("Sec-WebSocket-Protocol: mqtt"), "it says what would be right: {answer}");
}

#[test]
fn without_an_upgrade_there_is_a_word_of_help() {
    let broker = Broker::start();
    let answer = broker.get("/mqtt");
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    assert!(answer.contains("subprotocol mqtt"), "{answer}");
    assert!(has_header(&answer, "upgrade: websocket"), "RFC 9110 §15.5.22: {answer}");
    let answer =
        broker.http("POST /mqtt HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    let old = "GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n\
               Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 8\r\n\
               Sec-WebSocket-Protocol: mqtt\r\n\r\n";
    let answer = broker.http(old);
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    assert!(has_header(&answer, "sec-websocket-version: 13"), "RFC 6455 §4.4: {answer}");
    assert!(broker.get("/healthz").ends_with("ok\n"), "nothing else is disturbed");
}

#[test]
fn both_versions_work_here_and_meet_those_of_tcp() {
    let broker = Broker::start();
    for version in BOTH {
        let mut alice = Client::peer(&broker, version, "alice");
        assert_eq!(alice.join("lobby")["type"], "created");
        let mut bob = Door::peer(&broker, version, "bob");
        bob.send(&join(version, "bob"));
        assert_eq!(bob.told()["type"], "joined");
        alice.expect(&["arrived"]);
        bob.send(&publish(version, "rooms/lobby/alice/bob", br#"{"type":"ready"}"#));
        alice.expect(&["ready"]);
        let offer = format!(r#"{{"type":"offer","sdp":"{}"}}"#, "v".repeat(20_000));
        alice.publish("rooms/lobby/bob/alice", &offer, 1);
        assert_eq!(bob.told()["sdp"].as_str().unwrap().len(), 20_000);
        bob.send(&[0xE0, 0]);
        assert_eq!(bob.closes(), Some(CloseCode::Normal), "DISCONNECT is a normal end");
        assert_eq!(alice.expect(&["left"])["reason"], "left");
        alice.disconnect();
    }
}

#[test]
fn text_is_refused_with_1003() {
    let broker = Broker::with(&["--grace", "1h"], "");
    let mut operator = Client::operator(&broker, V5, "rooms/+/events");
    for version in BOTH {
        let mut early = Door::open(&broker);
        early.socket.send(Message::text("hello")).unwrap();
        assert_eq!(early.closes(), Some(CloseCode::Unsupported), "before CONNECT");

        let id = if version == V5 { "five" } else { "three" };
        let mut late = Door::peer(&broker, version, id);
        late.send(&join(version, id));
        late.told();
        // In two frames, and as binary data it would be a PUBLISH that is no protocol error.
        let packet = publish(V3, &format!("rooms/lobby/agent/{id}"), b"hello");
        late.frame(&packet[..3], Data::Text, false);
        late.frame(&packet[3..], Data::Continue, true);
        assert_eq!(late.closes(), Some(CloseCode::Unsupported), "within a session");
        operator.expect(&["created", "joined"]);
        assert_eq!(operator.expect(&["away"])["peer"], *id, "it is lost, not gone");
    }
}

#[test]
fn packets_may_be_cut_at_every_byte() {
    let broker = Broker::start();
    for version in BOTH {
        let all = everything(version, "alice");
        for at in 1..all.len() {
            let mut door = Door::open(&broker);
            door.send(&all[..at]);
            door.send(&all[at..]);
            everything_is_answered(&mut door, version, "alice");
        }
    }
}

#[test]
fn packets_may_come_byte_by_byte_or_all_at_once() {
    let broker = Broker::start();
    for version in BOTH {
        let all = everything(version, "alice");
        let mut door = Door::open(&broker);
        door.send(&all);
        everything_is_answered(&mut door, version, "alice");

        let mut door = Door::open(&broker);
        for byte in &all {
            door.send(&[]);
            door.send(&[*byte]);
        }
        everything_is_answered(&mut door, version, "alice");

        // One message in as many frames as it has bytes, with a ping of the WebSocket in between.
        let mut door = Door::open(&broker);
        door.frame(&[], Data::Binary, false);
        for (number, byte) in all.iter().enumerate() {
            door.frame(&[*byte], Data::Continue, number + 1 == all.len());
            if number == 10 {
                door.socket.send(Message::Ping(b"between".to_vec().into())).unwrap();
            }
        }
        assert!(matches!(door.socket.read().unwrap(), Message::Pong(payload) if payload == b"between"[..]));
        everything_is_answered(&mut door, version, "alice");
    }
}

/// A frame of a client, with a mask that changes nothing.
fn masked(payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).ok().filter(|length| *length < 126).unwrap();
    [&[0x82, 0x80 | length, 0, 0, 0, 0], payload].concat()
}

#[test]
fn frames_may_come_in_any_segments() {
    let broker = Broker::with(&["--message-burst=10000"], "");
    for version in BOTH {
        let said = [hello(version, "alice"), subscribe(version, "alice"), join(version, "alice"), vec![0xC0, 0]];
        let frames = said.map(|packet| masked(&packet)).concat();
        for at in 1..frames.len() {
            let mut door = Door::open(&broker);
            door.raw(&frames[..at]);
            door.raw(&frames[at..]);
            everything_is_answered(&mut door, version, "alice");
        }
        // More than is read at once.
        let mut door = Door::peer(&broker, version, "alice");
        door.raw(&masked(&[0xC0, 0]).repeat(3000));
        for _ in 0..3000 {
            assert_eq!(door.packet(), [0xD0, 0]);
        }
    }
}

/// The head of an answer.
fn head(mut stream: &TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

#[test]
fn the_request_may_come_in_any_segments_and_need_not_be_waited_for() {
    let broker = Broker::with(&["--message-burst=10000"], "");
    let request = |target: &str| {
        format!(
            "GET {target} HTTP/1.1\r\nhost: localhost\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Protocol: other\r\nSec-WebSocket-Protocol: v1, mqtt\r\n\r\n"
        )
    };
    let said = [hello(V5, "alice"), subscribe(V5, "alice")].map(|packet| masked(&packet)).concat();
    let open = |before: &str, segments: &[&[u8]]| {
        let mut stream = TcpStream::connect(broker.http).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        if !before.is_empty() {
            stream.write_all(before.as_bytes()).unwrap();
            assert!(head(&stream).starts_with("HTTP/1.1 404 "), "there is no such page");
        }
        segments.iter().for_each(|segment| stream.write_all(segment).unwrap());
        let answer = head(&stream);
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        for wanted in [
            "upgrade: websocket",
            "connection: upgrade",
            "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", // RFC 6455 §1.3
            "sec-websocket-protocol: mqtt",
        ] {
            assert!(has_header(&answer, wanted), "{wanted}: {answer}");
        }
        let mut door = Door { socket: WebSocket::from_raw_socket(stream, Role::Client, None), bytes: VecDeque::new() };
        door.is_in();
        door.ping();
    };
    let page = "HEAD /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for (before, target) in [("", "/mqtt"), ("", "/mqtt?room=lobby"), (page, "/mqtt")] {
        let request = request(target);
        open(before, &[request.as_bytes(), &said]);
        let all = [request.as_bytes(), &said].concat();
        open(before, &[&all]);
        for at in (1..all.len()).step_by(7) {
            open(before, &[&all[..at], &all[at..]]);
        }
    }
}

#[test]
fn a_frame_above_the_limit_ends_the_connection_and_no_other() {
    let broker = Broker::start();
    for version in BOTH {
        let mut bystander = Door::peer(&broker, version, "bystander");
        let mut largest = Door::peer(&broker, version, "largest");
        let topic = "rooms/lobby/agent/largest";
        largest.send(&publish(version, topic, &[b' '; 64 * 1024]));
        assert_eq!(largest.told()["code"], "bad-message", "64 KiB are no message, and not too large for one");
        largest.send(&publish(version, topic, &[b' '; 64 * 1024 + 1]));
        assert_eq!(largest.told()["code"], "too-large");
        largest.ping();

        let one_frame = vec![0xC0; LARGEST_FRAME + 1];
        largest.socket.send(Message::binary(one_frame)).unwrap();
        let code = largest.closes();
        assert!(matches!(code, None | Some(CloseCode::Size)), "{code:?}");

        let mut in_parts = Door::peer(&broker, version, "in-parts");
        let part = publish(version, "rooms/lobby/agent/in-parts", &[b' '; 16 * 1024]);
        in_parts.frame(&part, Data::Binary, false);
        let sent = (0..5).try_for_each(|number| {
            let frame = Frame::message(part.clone(), OpCode::Data(Data::Continue), number == 4);
            in_parts.socket.send(Message::Frame(frame))
        });
        let code = if sent.is_ok() { in_parts.closes() } else { None };
        assert!(matches!(code, None | Some(CloseCode::Size)), "{code:?}");

        // A header that promises 2^62 bytes: nobody waits for them.
        let mut liar = Door::peer(&broker, version, "liar");
        liar.raw(&[0x82, 0xFF, 0x40, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]);
        let code = liar.closes();
        assert!(matches!(code, None | Some(CloseCode::Size)), "{code:?}");
        bystander.ping();
    }
}

#[test]
fn pings_are_answered_and_pongs_are_not() {
    let broker = Broker::start();
    let mut early = Door::open(&broker);
    early.socket.send(Message::Ping(b"before CONNECT".to_vec().into())).unwrap();
    assert!(matches!(early.socket.read().unwrap(), Message::Pong(payload) if payload == b"before CONNECT"[..]));
    for version in BOTH {
        let mut door = Door::peer(&broker, version, "alice");
        for length in [0, 1, 125] {
            let sent = vec![7; length];
            door.socket.send(Message::Ping(sent.clone().into())).unwrap();
            assert!(matches!(door.socket.read().unwrap(), Message::Pong(payload) if payload == sent));
        }
        door.socket.send(Message::Pong(b"nobody asked".to_vec().into())).unwrap();
        door.ping();
    }
}

#[test]
fn a_close_is_answered_and_leaves_the_seat_away() {
    let broker = Broker::with(&["--grace", "1h"], "");
    let mut operator = Client::operator(&broker, V5, "rooms/+/events");
    for version in BOTH {
        let id = if version == V5 { "five" } else { "three" };
        let mut door = Door::peer(&broker, version, id);
        door.send(&join(version, id));
        door.told();
        operator.expect(&["created", "joined"]);
        let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        door.socket.close(Some(frame)).unwrap();
        assert_eq!(door.closes(), Some(CloseCode::Normal), "the same code comes back (RFC 6455 §5.5.1)");
        assert_eq!(operator.expect(&["away"])["peer"], *id, "without DISCONNECT the connection is lost");
    }
    let mut early = Door::open(&broker);
    early.socket.close(None).unwrap();
    early.closes();
    let mut abrupt = Door::open(&broker);
    abrupt.socket.get_mut().shutdown(Shutdown::Both).unwrap();
    assert!(broker.get("/healthz").ends_with("ok\n"));
}

#[test]
fn what_is_no_websocket_frame_ends_the_connection_and_no_other() {
    let broker = Broker::start();
    let mut bystander = Door::peer(&broker, V3, "bystander");
    let mut long_ping = vec![0x89, 0xFE, 0, 126, 0, 0, 0, 0];
    long_ping.extend([0; 126]);
    for (what, bytes) in [
        ("a frame without a mask", &[0x82, 2, 0xC0, 0][..]),
        ("reserved bits", &[0xC2, 0x82, 0, 0, 0, 0, 0xC0, 0]),
        ("an opcode that means nothing", &[0x83, 0x80, 0, 0, 0, 0]),
        ("a continuation of nothing", &[0x80, 0x82, 0, 0, 0, 0, 0xC0, 0]),
        ("a new message within another", &[0x02, 0x80, 0, 0, 0, 0, 0x82, 0x80, 0, 0, 0, 0]),
        ("a ping that is too long", &long_ping),
        ("text that is no UTF-8", &[0x81, 0x81, 0, 0, 0, 0, 0xFF]),
        ("MQTT without WebSocket", &[0x10, 0x0C, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 60, 0, 0]),
    ] {
        for version in BOTH {
            let mut door = Door::peer(&broker, version, "intruder");
            door.raw(bytes);
            let code = door.closes();
            assert_ne!(code, Some(CloseCode::Normal), "{what} is no normal end");
            bystander.ping();
        }
    }
}

#[test]
fn who_says_nothing_is_not_waited_for() {
    let broker = Broker::with(&["--connect-timeout", "300ms"], "");
    let mut silent = Door::open(&broker);
    let mut half = Door::open(&broker);
    half.send(&hello(V5, "half")[..5]);
    silent.closes();
    half.closes();
    let mut talking = TcpStream::connect(broker.http).unwrap();
    talking.set_read_timeout(Some(PATIENCE)).unwrap();
    talking.write_all(b"GET /mqtt HTTP/1.1\r\nHost: loc").unwrap();
    let mut rest = Vec::new();
    talking.read_to_end(&mut rest).unwrap();
}
