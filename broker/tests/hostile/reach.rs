//! What somebody tries who is rightly there, and wants to hear or reach those to whom it does not belong.

use crate::scene::{CANARY, Door, Policy, Scene, Tally};
use crate::support::client::{Client, Hello, Received, V5};
use mqtt_protocol_core::mqtt::Version;
use mqtt_protocol_core::mqtt::packet::SubOpts;
use mqtt_protocol_core::mqtt::prelude::GenericPacketTrait;
use serde_json::Value;

/// Where Mallory stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// In no room.
    Stranger,
    /// In a room with somebody, but not that one.
    Elsewhere,
    /// Was in a room with Alice, and has left.
    Former,
}

impl Standing {
    pub const ALL: [Standing; 3] = [Standing::Stranger, Standing::Elsewhere, Standing::Former];

    fn name(self) -> &'static str {
        match self {
            Standing::Stranger => "a stranger",
            Standing::Elsewhere => "a member of another room",
            Standing::Former => "a former member",
        }
    }
}

/// Filters that would overhear somebody, and exactly one's own inbox among them not.
fn filters(room: &str) -> Vec<String> {
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
    filters.into_iter().map(|filter| filter.replace("lobby", room)).collect()
}

/// Topics by which one would reach somebody, or pretend to be somebody.
fn topics(room: &str) -> Vec<String> {
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
    topics.into_iter().map(|topic| topic.replace("lobby", room)).collect()
}

/// Names that look like `lobby`, or that somebody might take for it, or for a pattern.
const ODD_ROOMS: &[&str] = &[
    "lobby",
    "LOBBY",
    "lobby\u{301}",
    "lobby\u{200b}",
    "\u{feff}lobby",
    "\u{202e}ybbol",
    "ｌｏｂｂｙ",
    "lobby\u{ffff}",
    "lobby\u{10ffff}",
    "lobby\u{e0001}",
    "lobby ",
    " lobby",
    "lobby%00",
    "hall*",
    "hal?",
    "*",
    "?",
    "hall\\",
    "hall,lobby",
    "hall|lobby",
    "hall/../lobby",
    "hall%2F..%2Flobby",
    "$lobby",
    "-",
];

/// Bytes in the place of a name.
const BAD_UTF8: &[(&str, &[u8])] = &[
    ("U+0000", b"lobby\0"),
    ("a surrogate", b"\xed\xa0\x80"),
    ("a pair of surrogates", b"\xed\xa0\xbd\xed\xb8\x80"),
    ("an overlong slash", b"lobby\xc0\xafalice"),
    ("an overlong NUL", b"lobby\xc0\x80"),
    ("an overlong letter", b"\xe0\x81\xacobby"),
    ("beyond U+10FFFF", b"\xf4\x90\x80\x80"),
    ("a lone continuation", b"\x80lobby"),
    ("a cut sequence", b"lobby\xe2\x82"),
    ("no UTF-8 at all", b"\xff\xfe"),
];

/// Everything that Mallory tries through one door.
pub fn attack(scene: &mut Scene, door: Door, version: Version, standing: Standing, tally: &mut Tally) {
    let who = standing.name();
    let mut mallory = scene.mallory(door, version);
    let trent = (standing == Standing::Elsewhere).then(|| meet(scene, door, &mut mallory));
    if standing == Standing::Former {
        let answer = mallory.join("attic");
        assert_eq!(answer["type"], "joined");
        mallory.say("attic", &serde_json::json!({"type": "leave"}));
    }
    scene.settle();
    let room = if standing == Standing::Former { "attic" } else { "lobby" };
    let policy = scene.policy;
    let is_open = |name: &str| policy == Policy::Open && is_open(name);
    for filter in filters(room) {
        // No Local on a shared subscription would end the connection, whoever asks for it.
        let no_local = !filter.starts_with("$share/");
        let options = [SubOpts::new(), SubOpts::new().set_nl(no_local).set_rap(true)];
        for options in options.into_iter().take(if version == V5 { 2 } else { 1 }) {
            let code = mallory.subscribe_with(&filter, options, vec![]);
            tally.attempt(who, "subscribes", code < 0x80 && !is_open(&filter) && !is_own(&filter), &filter);
        }
    }
    tally.canaries(who, scene.disturbed());
    tally.canaries(who, leaks(&mut mallory));
    for topic in topics(room) {
        for (payload, retain) in [("{\"type\":\"offer\",\"sdp\":\"evil\"}", false), ("{\"type\":\"leave\"}", true)] {
            let code = mallory.publish_with(&topic, payload, 1, retain, vec![]);
            let how = if retain { "publishes, to be retained" } else { "publishes" };
            tally.attempt(who, how, version == V5 && code != Some(0x87) && !is_open(&topic), &topic);
        }
    }
    tally.canaries(who, leaks(&mut mallory));
    tally.canaries(who, scene.disturbed());
    mallory.disconnect();
    trent.into_iter().for_each(Client::disconnect);
    scene.settle();
    if standing == Standing::Stranger {
        wills(scene, door, version, tally);
        odd_names(scene, door, version, tally);
        bad_utf8(scene, door, version, tally);
        if version == V5 {
            aliases(scene, door, tally);
        }
        tally.canaries(who, scene.disturbed());
    }
}

/// Mallory and Trent are in the hall.
fn meet(scene: &Scene, door: Door, mallory: &mut Client) -> Client {
    let mut trent = scene.trent(door);
    assert_eq!(trent.join("hall")["type"], "created");
    assert_eq!(mallory.join("hall")["type"], "joined");
    trent
}

/// What Mallory has heard besides what the agent answers to Mallory, and what Mallory said on topics
/// that are open to everybody.
fn leaks(mallory: &mut Client) -> Vec<String> {
    let is_leak = |message: &Received| {
        let json: Value = serde_json::from_slice(&message.payload).unwrap_or_default();
        let is_answer = message.topic.ends_with("/mallory/agent") && json["type"] == "error";
        !is_open(&message.topic) && !is_answer || String::from_utf8_lossy(&message.payload).contains(CANARY)
    };
    let (heard, is_there) = mallory.heard();
    assert!(is_there, "what is refused ends no connection");
    heard.into_iter().filter(is_leak).map(|message| format!("mallory hears {message:?}")).collect()
}

/// Whether a topic or filter is outside of what keeps its own rules.
fn is_open(name: &str) -> bool {
    let first = name.split('/').next().unwrap_or_default();
    !matches!(first, "rooms" | "control") && !first.starts_with('$')
}

fn is_own(filter: &str) -> bool {
    filter.split('/').nth(2) == Some("mallory") && filter.starts_with("rooms/")
}

fn wills(scene: &mut Scene, door: Door, version: Version, tally: &mut Tally) {
    let mut topics = topics("lobby");
    if scene.policy == Policy::Guarded {
        topics.push("rooms/lobby/agent/mallory".into());
    }
    for topic in topics {
        let will = Some((topic.clone(), "{\"type\":\"leave\"}".into()));
        let (client, code) = scene.knock(door, &Hello { will, ..scene.mallorys(version) });
        let is_open = scene.policy == Policy::Open && is_open(&topic);
        tally.attempt("a stranger", "leaves a will", code == Some(0) && !is_open, &topic);
        if code == Some(0) {
            client.lose();
        }
    }
}

/// Where rights name rooms, nothing that looks alike is opened; elsewhere nobody is met in a room that only looks alike.
fn odd_names(scene: &mut Scene, door: Door, version: Version, tally: &mut Tally) {
    let is_guarded = scene.policy == Policy::Guarded;
    let mut mallory = scene.mallory(door, version);
    for room in ODD_ROOMS.iter().filter(|room| is_guarded || **room != "lobby") {
        for (how, words) in [
            ("joins by an odd name", r#"{"type":"join"}"#),
            ("leaves by an odd name", r#"{"type":"leave"}"#),
            ("reports by an odd name", r#"{"type":"state","connection":"failed"}"#),
        ] {
            mallory.publish(&format!("rooms/{room}/agent/mallory"), words, 1);
            let (heard, is_there) = mallory.heard();
            assert!(is_there, "{room:?}");
            let types: Vec<String> = heard.iter().map(|m| m.json()["type"].to_string()).collect();
            let worked = |word: &String| match word.as_str() {
                "\"error\"" => false,
                "\"created\"" => is_guarded,
                _ => true,
            };
            tally.attempt("a stranger", how, types.iter().any(worked), (room, &types));
        }
        for to in ["alice", "bob"] {
            let code = mallory.publish(&format!("rooms/{room}/{to}/mallory"), r#"{"type":"offer","sdp":"evil"}"#, 1);
            tally.attempt("a stranger", "signals by an odd name", version == V5 && code != Some(0x87), room);
        }
        tally.canaries("a stranger", leaks(&mut mallory));
    }
    mallory.disconnect();
}

/// A string that is none ends the connection on which it comes (MQTT-1.5.4-1, MQTT-1.5.4-2).
fn bad_utf8(scene: &mut Scene, door: Door, version: Version, tally: &mut Tally) {
    for (what, name) in BAD_UTF8 {
        let around = |before: &str, after: &str| [before.as_bytes(), name, after.as_bytes()].concat();
        for (how, packet) in [
            ("publishes, not in UTF-8", publish(version, &around("rooms/", "/agent/mallory"), &[], b"{}")),
            ("publishes, not in UTF-8", publish(version, &around("rooms/lobby/alice", "/mallory"), &[], b"{}")),
            ("subscribes, not in UTF-8", subscribe(version, &around("rooms/", "/mallory/+"))),
            ("subscribes, not in UTF-8", subscribe(version, &around("rooms/+/alice", "/+"))),
        ] {
            let hello = scene.mallorys(version).packet().to_continuous_buffer();
            let answer = scene.answer(door, &[hello, packet].concat());
            // After CONNACK comes DISCONNECT (5.0) or nothing.
            let next = answer.as_ref().and_then(|answer| answer.get(2 + usize::from(*answer.get(1)?)));
            tally.attempt("a stranger", how, answer.is_none() || next.is_some_and(|first| *first != 0xE0), what);
        }
        let will = around("rooms/", "/agent/mallory");
        for (how, packet) in [
            ("has a client id, not in UTF-8", connect(version, name, None, None)),
            ("has a user name, not in UTF-8", connect(version, b"mallory", None, Some(name))),
            ("leaves a will, not in UTF-8", connect(version, b"mallory", Some(&will), None)),
        ] {
            tally.attempt("a stranger", how, scene.is_let_in(door, &packet), what);
        }
    }
}

/// Client ids that are none; whether they would be another's or anybody's.
const BAD_IDS: &[&str] =
    &["agent", "+", "#", "$SYS", "alice/", "alice ", " alice", "alice\u{200b}", "аlice", "al\u{ef}ce", "\u{7f}"];

pub fn ids(scene: &mut Scene, door: Door, version: Version, tally: &mut Tally) {
    let long = "a".repeat(65);
    for id in BAD_IDS.iter().copied().chain([&*long, &*"a".repeat(7000)]) {
        tally.attempt(
            "a stranger",
            "has an odd client id",
            scene.is_let_in(door, &connect(version, id.as_bytes(), None, None)),
            id,
        );
    }
}

/// Topic aliases (5.0): a number in place of a topic must not get by what the topic would not.
fn aliases(scene: &mut Scene, door: Door, tally: &mut Tally) {
    let say = |topic: &str, alias: u16| {
        let [high, low] = alias.to_be_bytes();
        publish(V5, topic.as_bytes(), &[0x23, high, low], br#"{"type":"offer","sdp":"evil"}"#)
    };
    let (own, alices) = ("rooms/-/agent/mallory", "rooms/lobby/alice/mallory");
    for (what, packets) in [
        ("of a refused topic", vec![say(alices, 1), say("", 1)]),
        ("of another's name", vec![say("rooms/lobby/alice/bob", 1), say("", 1)]),
        ("of the agent's name", vec![say("rooms/lobby/alice/agent", 1), say("", 1)]),
        ("of an order", vec![say("control/lobby", 1), say("", 1)]),
        ("set anew to a refused topic", vec![say(own, 1), say(alices, 1), say("", 1)]),
        ("never set", vec![say("", 2)]),
        ("0", vec![say(alices, 0), say("", 0)]),
        ("above the maximum", vec![say(alices, 17), say("", 17)]),
        ("the highest", vec![say(alices, 65_535), say("", 65_535)]),
        ("of the connection before", vec![say("", 1)]),
    ] {
        let mut mallory = scene.mallory(door, V5);
        packets.iter().for_each(|packet| mallory.raw(packet));
        // Refused with an error for each, or the connection is ended; nothing else can be heard.
        let (heard, _) = mallory.heard();
        let is_error = |message: &Received| message.json()["type"] == "error";
        tally.attempt("a stranger", "uses a topic alias", !heard.iter().all(is_error), what);
        tally.canaries("a stranger", scene.disturbed());
    }
}

fn text(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let (mut length, mut bytes) = (body.len(), vec![first]);
    loop {
        let digit = u8::try_from(length % 128).unwrap();
        length /= 128;
        bytes.push(if length > 0 { digit | 0x80 } else { digit });
        if length == 0 {
            return [bytes, body.to_vec()].concat();
        }
    }
}

/// Properties with their length, which 3.1.1 does not have.
fn with_length(version: Version, properties: &[u8]) -> Vec<u8> {
    if version == V5 { [&[u8::try_from(properties.len()).unwrap()], properties].concat() } else { vec![] }
}

fn publish(version: Version, topic: &[u8], properties: &[u8], payload: &[u8]) -> Vec<u8> {
    packet(0x30, &[text(topic), with_length(version, properties), payload.to_vec()].concat())
}

fn subscribe(version: Version, filter: &[u8]) -> Vec<u8> {
    packet(0x82, &[vec![0, 9], with_length(version, &[]), text(filter), vec![0]].concat())
}

fn connect(version: Version, id: &[u8], will: Option<&[u8]>, user: Option<&[u8]>) -> Vec<u8> {
    let flags = 0x02 | if will.is_some() { 0x04 } else { 0 } | if user.is_some() { 0x80 } else { 0 };
    let mut body = [&b"\0\x04MQTT"[..], &[if version == V5 { 5 } else { 4 }, flags, 0, 60]].concat();
    body.extend(with_length(version, &[]));
    body.extend(text(id));
    if let Some(will) = will {
        body.extend(with_length(version, &[]));
        body.extend(text(will));
        body.extend(text(b"{}"));
    }
    user.into_iter().for_each(|user| body.extend(text(user)));
    packet(0x10, &body)
}
