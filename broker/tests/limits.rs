//! What the broker refuses and where it ends its patience: each limit through the front door, with
//! the answer that the client gets and what operators read of it.

mod support;

use mqtt_protocol_core::mqtt::Version;
use mqtt_protocol_core::mqtt::packet::{Property, TopicAlias, UserProperty};
use serde_json::{Value, json};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};
use support::client::{BOTH, Client, Hello, V3, V5};
use support::{Broker, PATIENCE, promise};

/// An operator who reads what was refused.
fn auditor(broker: &Broker) -> Client {
    Client::operator(broker, V5, "$SYS/broker/audit")
}

/// The next refusal of this kind.
fn refused(auditor: &mut Client, what: &str) -> Value {
    loop {
        let message = auditor.message();
        assert!(!message.retain, "an event is not retained: {message:?}");
        let event = message.json();
        if event["what"] == what {
            return event;
        }
    }
}

/// How many refusals of this kind there have been.
fn count(broker: &Broker, what: &str) -> u64 {
    let metrics = broker.operator_get("/metrics");
    let line = format!("duet_refused_total{{what=\"{what}\"}} ");
    let value = metrics.lines().find_map(|text| text.strip_prefix(&line));
    value.unwrap_or_else(|| panic!("{line} in {metrics}")).parse().unwrap()
}

#[test]
fn every_refusal_is_counted_logged_and_told_to_operators() {
    let broker = Broker::start();
    let mut auditor = auditor(&broker);
    for version in BOTH {
        let mut mallory = Client::peer(&broker, version, "mallory");
        mallory.publish("rooms/lobby/bob/alice", "{}", 1);
        assert_eq!(mallory.expect(&["error"])["code"], "forbidden");
        let event = refused(&mut auditor, "publish");
        assert_eq!(event["client"], "mallory", "{event}");
        assert!(event["why"].as_str().unwrap().contains("must be your own id"), "{event}");
        assert!(event["address"].as_str().unwrap().starts_with("127.0.0.1:"), "{event}");
        assert!(event["time"].as_str().unwrap().ends_with('Z') && event["user"].is_null(), "{event}");
        assert!(mallory.subscribe("rooms/#", 0) >= 0x80);
        assert!(refused(&mut auditor, "subscribe")["why"].as_str().unwrap().contains("rooms/#"));
        mallory.publish("rooms/lobby/agent/mallory", vec![b' '; 70_000], 1);
        assert_eq!(refused(&mut auditor, "too-large")["client"], "mallory");

        let mut hello = Hello::new(version, "eve");
        hello.user = Some(("operator".into(), "a guessed password".into()));
        let (_, code) = Client::hello(&broker, &hello);
        assert!(code.is_some_and(|code| code != 0));
        let event = refused(&mut auditor, "connect");
        assert_eq!((&event["client"], &event["user"]), (&"eve".into(), &"operator".into()));
        assert!(!event.to_string().contains("guessed"), "{event}");

        let mut hello = Hello::new(version, "eve");
        hello.will = Some(("rooms/lobby/alice/eve".into(), "gone".into()));
        let (_, code) = Client::hello(&broker, &hello);
        assert_eq!(code, Some(if version == V5 { 0x87 } else { 5 }));
        assert_eq!(refused(&mut auditor, "will")["client"], "eve");

        let mut noise = Client::connect(&broker, version, "noise");
        noise.raw(&[0xFF, 0xFF]);
        noise.ends();
        assert_eq!(refused(&mut auditor, "malformed")["client"], "noise");
        mallory.disconnect();
    }
    for (what, expected) in
        [("publish", 2), ("subscribe", 2), ("too-large", 2), ("connect", 2), ("will", 2), ("malformed", 2), ("rate", 0)]
    {
        assert_eq!(count(&broker, what), expected, "{what}");
    }
    let log = broker.logged();
    assert!(log.contains("audit: refused what=\"publish\"") && !log.contains("guessed"), "{log}");
}

#[test]
fn a_flood_of_refusals_is_told_in_part_and_counted_whole() {
    let broker = Broker::with(&["--message-burst=2000"], "");
    let mut auditor = auditor(&broker);
    let mut mallory = Client::connect(&broker, V3, "mallory");
    for _ in 0..1000 {
        mallory.publish("rooms/lobby/bob/alice", "{}", 0);
    }
    mallory.ping();
    assert_eq!(count(&broker, "publish"), 1000);
    for _ in 0..100 {
        assert_eq!(auditor.message().json()["client"], "mallory");
    }
    let mut more = 0;
    auditor.ping();
    while !auditor.is_quiet() {
        auditor.message();
        more += 1;
    }
    assert!(more <= 400, "{more} events after the first hundred");
}

/// Connections opened and left silent.
fn silent(broker: &Broker, number: usize) -> Vec<TcpStream> {
    (0..number).map(|_| TcpStream::connect(broker.mqtt).unwrap()).collect()
}

/// Whether the broker has closed a connection; waits for its word, which comes or does not at once
/// after somebody else has been answered.
fn is_closed(socket: &TcpStream) -> bool {
    socket.set_nonblocking(true).unwrap();
    match (&mut &*socket).read(&mut [0; 64]) {
        Ok(0) => true,
        Ok(_) => panic!("a silent connection is told something"),
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    }
}

fn try_connect(broker: &Broker, version: Version, id: &str) -> (Client, Option<u8>) {
    Client::hello(broker, &Hello::new(version, id))
}

#[test]
fn when_as_many_are_connected_as_may_be_only_operators_come_in() {
    let broker = Broker::with(&["--max-connections=2"], "");
    let inside = [Client::peer(&broker, V3, "alice"), Client::peer(&broker, V5, "bob")];
    assert_eq!(try_connect(&broker, V3, "carol").1, Some(3));
    assert_eq!(try_connect(&broker, V5, "carol").1, Some(0x89));
    let mut auditor = auditor(&broker);
    assert_eq!(try_connect(&broker, V5, "carol").1, Some(0x89));
    let event = refused(&mut auditor, "connect");
    assert!(event["client"] == "carol" && event["why"].as_str().unwrap().contains("try again later"), "{event}");
    auditor.disconnect();
    let [alice, _bob] = inside;
    alice.disconnect();
    let deadline = Instant::now() + PATIENCE;
    while try_connect(&broker, V5, "carol").1 != Some(0) {
        assert!(Instant::now() < deadline, "a place that is given up is never free");
    }
}

#[test]
fn one_address_has_so_many_connections_and_exempt_ones_any_number() {
    let broker = Broker::with(&["--max-connections-per-address=2", "--exempt="], "");
    let _inside = [Client::peer(&broker, V3, "alice"), Client::peer(&broker, V5, "bob")];
    assert_eq!(try_connect(&broker, V3, "carol").1, Some(3));
    assert_eq!(try_connect(&broker, V5, "carol").1, Some(0x97));
    let mut auditor = auditor(&broker);
    assert_eq!(try_connect(&broker, V5, "carol").1, Some(0x97));
    assert!(refused(&mut auditor, "connect")["why"].as_str().unwrap().contains("from this address"));
    let broker = Broker::with(&["--max-connections-per-address=2"], "");
    let _all: Vec<Client> = (0..5).map(|i| Client::connect(&broker, V5, &format!("c{i}"))).collect();
}

#[test]
fn the_longest_silent_give_way_at_a_crowded_door() {
    for flags in [&["--max-handshakes=4"][..], &["--max-handshakes-per-address=4", "--exempt="]] {
        let broker = Broker::with(flags, "");
        let mut auditor = auditor(&broker);
        let crowd = silent(&broker, 4);
        auditor.ping();
        assert!(!crowd.iter().any(is_closed), "there is room for four");
        let _alice = Client::peer(&broker, V3, "alice");
        let event = refused(&mut auditor, "connection");
        assert!(event["why"].as_str().unwrap().contains("was the oldest"), "{event}");
        assert_eq!(crowd.iter().map(is_closed).collect::<Vec<_>>(), [true, false, false, false]);
        // However many are silent, whoever speaks gets in; also at the other port.
        let _more = silent(&broker, 50);
        let _bob = Client::peer(&broker, V5, "bob");
        assert!(broker.get("/healthz").starts_with("HTTP/1.1 200"));
    }
}

#[test]
fn silence_ends_and_is_told() {
    let broker = Broker::with(&["--connect-timeout=200ms"], "");
    let mut auditor = auditor(&broker);
    let mut socket = silent(&broker, 1).remove(0);
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(socket.read(&mut [0; 8]).unwrap(), 0);
    assert_eq!(refused(&mut auditor, "connection")["why"], "no CONNECT within 200ms");
}

#[test]
fn a_connect_is_small() {
    let broker = Broker::start();
    let mut auditor = auditor(&broker);
    for (version, length, code) in
        [(V3, 8000, Some(4)), (V5, 8000, Some(0x86)), (V3, 8192, None), (V5, 8192, Some(0x95))]
    {
        let mut hello = Hello::new(version, "alice");
        hello.user = Some(("somebody".into(), "x".repeat(length)));
        assert_eq!(Client::hello(&broker, &hello).1, code, "{length} bytes");
    }
    for _ in 0..2 {
        assert_eq!(refused(&mut auditor, "too-large")["why"], "a CONNECT has at most 8192 bytes");
    }
    // It is judged by what it says of itself; the rest is never waited for.
    let mut socket = TcpStream::connect(broker.mqtt).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    for byte in b"\x10\xff\xff\xff\x7f\0\x04MQTT\x05" {
        socket.write_all(&[*byte]).unwrap();
    }
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    assert_eq!((answer[0], answer[3]), (0x20, 0x95), "{answer:?}");
}

#[test]
fn who_sends_too_much_is_slowed_down_then_told_then_ended() {
    let flags = ["--message-rate=50", "--message-burst=20", "--held-back-warning=300ms", "--held-back-limit=1s"];
    let broker = Broker::with(&flags, "[[access.topics]]\nfilter = \"open/#\"\n");
    let mut auditor = auditor(&broker);
    for version in BOTH {
        let mut witness = Client::connect(&broker, version, "witness");
        witness.subscribe("open/#", 0);
        let mut flood = Client::peer(&broker, version, "flood");
        flood.tolerant = true;
        let begin = Instant::now();
        for number in 0..200 {
            flood.publish("open/x", number.to_string(), 0);
        }
        let error = flood.expect(&["error"]);
        assert_eq!(error["code"], "rate-limited", "{error}");
        assert!(error["message"].as_str().unwrap().contains("50 messages"), "{error}");
        assert!(begin.elapsed() >= Duration::from_millis(300), "only after a while: {:?}", begin.elapsed());
        assert_eq!(flood.ends(), (version == V5).then_some(0x96));
        assert!(begin.elapsed() >= Duration::from_secs(1), "{:?}", begin.elapsed());
        for _ in 0..2 {
            assert_eq!(refused(&mut auditor, "rate")["client"], "flood");
        }
        // What was read before the end has arrived, in order; and no more than the rate allows.
        witness.ping();
        let mut heard = 0;
        while !witness.is_quiet() {
            assert_eq!(witness.message().payload, heard.to_string().as_bytes());
            heard += 1;
        }
        assert!((20..=150).contains(&heard), "{heard} messages in {:?}", begin.elapsed());
        witness.disconnect();
    }
}

#[test]
fn a_burst_is_slowed_down_and_nothing_is_lost() {
    let flags = ["--message-rate=500", "--message-burst=20", "--held-back-warning=20s", "--byte-rate=1MiB"];
    let broker = Broker::with(&flags, "[[access.topics]]\nfilter = \"open/#\"\n");
    for version in BOTH {
        let mut witness = Client::connect(&broker, version, "witness");
        witness.subscribe("open/#", 1);
        let mut eager = Client::peer(&broker, version, "eager");
        let begin = Instant::now();
        for number in 0..220 {
            eager.publish("open/x", number.to_string(), 0);
        }
        eager.ping();
        assert!(begin.elapsed() >= Duration::from_millis(350), "{:?}", begin.elapsed());
        for number in 0..220 {
            assert_eq!(witness.message().payload, number.to_string().as_bytes());
        }
        // The last of it may have to be paid for yet.
        let deadline = Instant::now() + PATIENCE;
        while !broker.operator_get("/metrics").contains("\nduet_connections_held_back 0\n") {
            assert!(Instant::now() < deadline, "it is held back for ever");
        }
        eager.disconnect();
        witness.disconnect();
    }
    let ledger = broker.settled();
    assert_eq!((ledger.accepted, ledger.dropped), (2 * (220 + 220), 0), "each arrived, and its one copy");
}

#[test]
fn who_asks_over_http_without_pause_waits_and_is_answered_all_the_same() {
    const REQUESTS: usize = 24;
    let broker = Broker::with(&["--exempt="], "");
    let mut socket = TcpStream::connect(broker.http).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let begin = Instant::now();
    let last = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let all = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(REQUESTS - 1) + last;
    socket.write_all(all.as_bytes()).unwrap();
    let mut answers = String::new();
    socket.read_to_string(&mut answers).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200").count(), REQUESTS);
    // Sixteen at once, ten a second from then on.
    assert!(begin.elapsed() >= Duration::from_millis(600), "{:?}", begin.elapsed());
}

#[test]
fn bytes_count_as_well_and_a_topic_alias_for_what_it_stands_for() {
    let flags = ["--byte-rate=100KiB", "--byte-burst=100KiB", "--held-back-warning=20s"];
    let broker = Broker::with(&flags, "[[access.topics]]\nfilter = \"open/#\"\n");
    let mut heavy = Client::peer(&broker, V3, "heavy");
    let begin = Instant::now();
    for _ in 0..5 {
        heavy.publish("open/x", vec![b'x'; 60_000], 0);
    }
    heavy.ping();
    assert!(begin.elapsed() >= Duration::from_millis(1500), "{:?}", begin.elapsed());

    let mut light = Client::peer(&broker, V5, "light");
    let topic = format!("open/{}", "x".repeat(60_000));
    let alias = || vec![Property::TopicAlias(TopicAlias::new(1).unwrap())];
    light.publish_with(&topic, "", 0, false, alias());
    let begin = Instant::now();
    for _ in 0..4 {
        light.raw(b"\x30\x07\0\0\x03\x23\0\x01x");
    }
    light.ping();
    assert!(begin.elapsed() >= Duration::from_millis(1000), "{:?}", begin.elapsed());
}

#[test]
fn there_are_so_many_rooms() {
    let broker = Broker::with(&["--max-rooms=2"], "");
    let mut auditor = auditor(&broker);
    for version in BOTH {
        let mut alice = Client::peer(&broker, version, "alice");
        let mut bob = Client::peer(&broker, version, "bob");
        for room in ["one", "two"] {
            assert_eq!(alice.join(room)["type"], "created");
        }
        let error = bob.join("three");
        assert_eq!((&error["type"], &error["code"]), (&"error".into(), &"rate-limited".into()), "{error}");
        let event = refused(&mut auditor, "join");
        assert!(event["client"] == "bob" && event["why"].as_str().unwrap().contains("2 rooms"), "{event}");
        assert_eq!(bob.join("two")["type"], "joined", "a room that is there takes its second");
        alice.expect(&["arrived"]);
        alice.say("one", &json!({"type": "leave"}));
        assert_eq!(bob.join("three")["type"], "created", "a room that is gone makes place");
        alice.disconnect();
        bob.disconnect();
    }
}

#[test]
fn a_peer_is_in_so_many_rooms() {
    let broker = Broker::with(&["--max-rooms-per-peer=2"], "");
    let mut auditor = auditor(&broker);
    for version in BOTH {
        let mut alice = Client::peer(&broker, version, "alice");
        assert_eq!(alice.join("one")["type"], "created");
        assert_eq!(alice.join("two")["type"], "created");
        let error = alice.join("three");
        assert_eq!((&error["type"], &error["code"]), (&"error".into(), &"rate-limited".into()), "{error}");
        assert_eq!(refused(&mut auditor, "join")["client"], "alice");
        assert_eq!(alice.join("two")["type"], "created", "again from inside, the answer is repeated");
        alice.disconnect();
    }
}

#[test]
fn an_address_joins_so_often_in_a_minute() {
    let broker = Broker::with(&["--joins-per-minute=3", "--exempt="], "");
    let mut auditor = auditor(&broker);
    let mut alice = Client::peer(&broker, V3, "alice");
    for _ in 0..3 {
        assert_eq!(alice.join("lobby")["type"], "created");
    }
    let error = alice.join("lobby");
    assert_eq!((&error["type"], &error["code"]), (&"error".into(), &"rate-limited".into()), "{error}");
    let mut bob = Client::peer(&broker, V5, "bob");
    let topic = "rooms/lobby/agent/bob";
    assert_eq!(bob.publish(topic, r#"{"type":"\u006aoin"}"#, 1), Some(0x97), "however it is written");
    assert_eq!(bob.expect(&["error"])["code"], "rate-limited");
    assert_eq!(bob.publish(topic, r#"{"type":"leave"}"#, 1), Some(0), "only joins are counted");
    assert_eq!(bob.expect(&["error"])["code"], "not-a-member");
    assert!(refused(&mut auditor, "join")["address"].as_str().unwrap().starts_with("127.0.0.1:"));
}

#[test]
fn a_client_has_so_many_subscriptions() {
    let broker = Broker::with(&["--max-subscriptions=2"], "");
    let mut auditor = auditor(&broker);
    for version in BOTH {
        let mut alice = Client::connect(&broker, version, "alice");
        assert_eq!(alice.subscribe("rooms/one/alice/+", 1), 1);
        assert_eq!(alice.subscribe("rooms/two/alice/+", 1), 1);
        assert_eq!(alice.subscribe("rooms/three/alice/+", 1), if version == V5 { 0x97 } else { 0x80 });
        assert!(refused(&mut auditor, "subscribe")["why"].as_str().unwrap().contains("as many subscriptions"));
        alice.disconnect();
    }
}

#[test]
fn a_slow_reader_loses_qos_0_and_is_ended_above() {
    let broker = Broker::with(&["--queue-messages=10", "--message-burst=1000"], "[[access.topics]]\nfilter = \"#\"\n");
    let mut auditor = auditor(&broker);
    let mut slow = Client::connect(&broker, V5, "slow");
    slow.acknowledges = false;
    slow.subscribe("news", 1);
    let mut fast = Client::connect(&broker, V5, "fast");
    for _ in 0..100 {
        fast.publish("news", "x", 1);
    }
    assert_eq!(slow.ends(), Some(0x97));
    assert_eq!(refused(&mut auditor, "slow")["client"], "slow");
    assert!(broker.settled().dropped > 0);
}

#[test]
fn a_session_without_a_connection_keeps_so_much() {
    let broker = Broker::with(&["--session-queue-messages=3"], "[[access.topics]]\nfilter = \"#\"\n");
    let mut hello = Hello::new(V3, "away");
    hello.clean = false;
    let (mut away, _) = Client::hello(&broker, &hello);
    away.subscribe("news", 1);
    away.disconnect();
    let mut fast = Client::connect(&broker, V5, "fast");
    for number in 0..5 {
        fast.publish("news", number.to_string(), 1);
    }
    fast.subscribe("echo", 0);
    fast.publish("echo", "", 0);
    fast.message(); // the others have crossed the backbone before it
    let (mut away, _) = Client::hello(&broker, &hello);
    for number in 0..3 {
        assert_eq!(away.message().payload, number.to_string().as_bytes());
    }
    away.ping();
    assert!(away.is_quiet());
    assert_eq!(broker.settled().dropped, 2);
}

#[test]
fn wills_and_user_properties_have_their_size() {
    let broker = Broker::with(&["--max-will=1KiB", "--max-user-properties=2", "--max-user-property-bytes=1KiB"], "");
    let mut auditor = auditor(&broker);
    let user = |value: &str| Property::UserProperty(UserProperty::new("k", value).unwrap());
    for version in BOTH {
        let mut hello = Hello::new(version, "alice");
        hello.will = Some(("rooms/lobby/agent/alice".into(), "x".repeat(1024)));
        assert_eq!(Client::hello(&broker, &hello).1, Some(0));
        hello.will = Some(("rooms/lobby/agent/alice".into(), "x".repeat(1025)));
        assert_eq!(Client::hello(&broker, &hello).1, Some(if version == V5 { 0x95 } else { 5 }));
        assert_eq!(refused(&mut auditor, "too-large")["why"], "a will has at most 1024 bytes");
    }
    let mut hello = Hello::new(V5, "alice");
    hello.will = Some(("rooms/lobby/agent/alice".into(), "{}".into()));
    hello.will_properties = vec![user(""); 3];
    assert_eq!(Client::hello(&broker, &hello).1, Some(0x97));
    assert_eq!(refused(&mut auditor, "connect")["client"], "alice");
    let mut alice = Client::peer(&broker, V5, "alice");
    let join = r#"{"type":"join"}"#;
    let large = "x".repeat(1024);
    for (properties, code) in
        [(vec![user("a"), user("b")], 0), (vec![user("a"), user("b"), user("c")], 0x97), (vec![user(&large)], 0x97)]
    {
        let topic = "rooms/lobby/agent/alice";
        assert_eq!(alice.publish_with(topic, join, 1, false, properties), Some(code));
        let answer = alice.expect(&["created", "error"]);
        assert_eq!(answer["type"] == "error", code != 0, "{answer}");
        if code != 0 {
            assert_eq!(answer["code"], "too-large", "{answer}");
        }
    }
}

#[test]
fn topic_aliases_and_retained_messages_are_as_many_as_is_said() {
    let flags = ["--max-topic-aliases=2", "--max-retained=500", "--message-burst=1000"];
    let broker = Broker::with(&flags, "[[access.topics]]\nfilter = \"open/#\"\n");
    let mut auditor = auditor(&broker);
    let mut alice = Client::connect(&broker, V5, "alice");
    alice.tolerant = true;
    alice.raw(b"\x30\x0b\0\x04open\x03\x23\0\x02x");
    alice.ping();
    alice.raw(b"\x30\x0b\0\x04open\x03\x23\0\x03x");
    assert_eq!(alice.ends(), Some(0x94));
    assert_eq!(refused(&mut auditor, "malformed")["client"], "alice");
    let mut bob = Client::connect(&broker, V5, "bob");
    for number in 0..600 {
        bob.publish_with(&format!("open/{number}"), "x", 0, true, vec![]);
    }
    let event = refused(&mut auditor, "publish");
    assert!(event["client"] == "bob" && event["why"].as_str().unwrap().contains("retained"), "{event}");
}

/// Waits until the broker has logged something; everything that it has logged since the last look.
fn logs(broker: &Broker, text: &str) -> String {
    let deadline = Instant::now() + PATIENCE;
    let mut log = String::new();
    while !log.contains(text) {
        assert!(Instant::now() < deadline, "{text:?} in {log}");
        log += &broker.logged();
        std::thread::sleep(Duration::from_millis(5));
    }
    log
}

#[test]
fn without_file_descriptors_those_inside_go_on_and_newcomers_come_in_when_there_are_some() {
    let broker = Broker::start();
    let pid = i32::try_from(broker.pid()).unwrap();
    let limit = |soft: Option<u64>| {
        let (mut now, mut hard) = (0, 0);
        rlimit::prlimit(pid, rlimit::Resource::NOFILE, None, Some((&mut now, &mut hard))).unwrap();
        rlimit::prlimit(pid, rlimit::Resource::NOFILE, Some((soft.unwrap_or(hard), hard)), None).unwrap();
    };
    // The limit is one of the numbers, the lowest free of which is taken.
    let lowest_free = || (0..).find(|number| !Path::new(&format!("/proc/{pid}/fd/{number}")).is_symlink()).unwrap();
    let mut alice = Client::peer(&broker, V3, "alice");
    let mut bob = Client::peer(&broker, V5, "bob");
    alice.join("lobby");
    bob.join("lobby");
    alice.expect(&["arrived"]);
    let mut relay = |number: usize| {
        alice.signal("lobby", "bob", &json!({"type": "ring", "number": number}));
        assert_eq!(bob.expect(&["ring"])["number"], number);
    };
    let before = lowest_free();
    // One at the door gives its descriptor up for a newcomer.
    let early = silent(&broker, 1);
    let deadline = Instant::now() + PATIENCE;
    while lowest_free() == before {
        assert!(Instant::now() < deadline, "it is not accepted");
    }
    limit(Some(lowest_free()));
    let [slow]: [TcpStream; 1] = silent(&broker, 1).try_into().unwrap();
    let deadline = Instant::now() + PATIENCE;
    while !is_closed(&early[0]) {
        assert!(Instant::now() < deadline, "the silent one does not give way");
    }
    // Nobody waits now: whatever time the newcomer takes, it need not go for anybody.
    let takes_its_time = Instant::now() + Duration::from_millis(300);
    while Instant::now() < takes_its_time {
        relay(0);
    }
    let (carol, code) = Client::over(slow, &Hello::new(V5, "carol"));
    assert_eq!(code, Some(0), "carol is let in");
    // Nobody is at the door, and there is nothing to be had.
    let waiting = silent(&broker, 20);
    (0..50).for_each(&mut relay);
    let mut log = logs(&broker, "no connection can be accepted for now; those that are open go on");
    drop(waiting);
    limit(None);
    let there = Instant::now();
    let dave = Client::peer(&broker, V3, "dave");
    promise::kept("descriptors", there.elapsed());
    let deadline = Instant::now() + PATIENCE;
    while !log.contains("connections are accepted again") {
        assert!(Instant::now() < deadline, "{log}");
        drop(silent(&broker, 1));
        log += &broker.logged();
        std::thread::sleep(Duration::from_millis(20));
    }
    let said = log.matches("no connection can be accepted for now").count();
    assert_eq!(said, 1, "once: {log}");
    (50..60).for_each(&mut relay);
    carol.disconnect();
    dave.disconnect();
}
