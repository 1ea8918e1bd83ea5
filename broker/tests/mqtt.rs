//! MQTT itself, through the front door: QoS, sessions, wills, retained messages, and what 5.0 adds.

mod support;

use mqtt_protocol_core::mqtt::packet::{
    ContentType, CorrelationData, GenericPacket, MaximumPacketSize, MessageExpiryInterval, Property, Qos,
    ReceiveMaximum, ResponseTopic, RetainHandling, SessionExpiryInterval, SubOpts, SubscriptionIdentifier, TopicAlias,
    TopicAliasMaximum, UserProperty, WillDelayInterval, v5_0,
};
use support::Broker;
use support::client::{BOTH, Client, Hello, V3, V5};

const OPEN: &str = "[[access.topics]]\nfilter = \"#\"\n";

fn options(qos: u8) -> SubOpts {
    SubOpts::new().set_qos(Qos::try_from(qos).unwrap())
}

fn expiry(seconds: u32) -> Vec<Property> {
    vec![Property::SessionExpiryInterval(SessionExpiryInterval::new(seconds).unwrap())]
}

#[test]
fn the_lower_of_published_and_granted_qos_is_delivered() {
    let broker = Broker::with(&[], OPEN);
    for version in BOTH {
        let mut sender = Client::connect(&broker, version, "sender");
        for granted in 0..=2 {
            let mut receiver = Client::connect(&broker, version, "receiver");
            assert_eq!(receiver.subscribe("a/+", granted), granted);
            for published in 0..=2 {
                sender.publish("a/b", format!("{published}"), published);
                let message = receiver.message();
                assert_eq!(
                    (message.qos, &*message.payload),
                    (published.min(granted), format!("{published}").as_bytes())
                );
            }
            receiver.disconnect();
        }
        sender.disconnect();
    }
}

#[test]
fn qos_2_sent_twice_arrives_once() {
    let broker = Broker::with(&[], OPEN);
    let mut receiver = Client::connect(&broker, V3, "receiver");
    receiver.subscribe("a", 2);
    let mut sender = Client::connect(&broker, V3, "sender");
    sender.tolerant = true;
    let publish = [0x34, 6, 0, 1, b'a', 0, 7, b'x'];
    sender.raw(&publish);
    sender.raw(&[0x3C, 6, 0, 1, b'a', 0, 7, b'x']);
    sender.raw(&[0x62, 2, 0, 7]);
    sender.ping();
    assert_eq!(receiver.message().payload, b"x");
    receiver.nothing();
    sender.raw(&publish);
    assert_eq!(receiver.message().payload, b"x", "after PUBREL the packet id is free again");
}

#[test]
fn a_persistent_session_keeps_what_it_missed() {
    let broker = Broker::with(&[], OPEN);
    for version in BOTH {
        let mut hello = Hello::new(version, "sleeper");
        hello.clean = false;
        if version == V5 {
            hello.properties = expiry(60);
        }
        let (mut sleeper, connack) = Client::connack(&broker, &hello);
        assert!(!session_present(&connack));
        sleeper.subscribe("a", 1);
        sleeper.disconnect();
        let mut sender = Client::connect(&broker, version, "sender");
        for number in 0..150 {
            sender.publish("a", number.to_string(), 1);
        }
        sender.publish("a", "qos 0 is not kept", 0);
        sender.nothing();
        let (mut sleeper, connack) = Client::connack(&broker, &hello);
        assert!(session_present(&connack));
        for number in 0..100 {
            assert_eq!(sleeper.message().payload, number.to_string().into_bytes(), "bounded to 100");
        }
        sleeper.nothing();
        sleeper.disconnect();
        hello.clean = true;
        let (_, connack) = Client::connack(&broker, &hello);
        assert!(!session_present(&connack), "a clean start forgets");
    }
}

#[test]
fn what_was_not_acknowledged_comes_again() {
    let broker = Broker::with(&[], OPEN);
    for version in BOTH {
        for qos in [1, 2] {
            let mut hello = Hello::new(version, "sleeper");
            hello.clean = false;
            if version == V5 {
                hello.properties = expiry(60);
            }
            let (mut sleeper, _) = Client::connack(&broker, &hello);
            sleeper.subscribe("a", qos);
            sleeper.acknowledges = false;
            let mut sender = Client::connect(&broker, version, "sender");
            sender.publish("a", "x", qos);
            let first = sleeper.message();
            assert!(!first.dup);
            sleeper.lose();
            let (mut sleeper, connack) = Client::connack(&broker, &hello);
            assert!(session_present(&connack));
            let again = sleeper.message();
            assert!(again.dup && again.payload == first.payload, "{again:?}");
            sleeper.unsubscribe("a");
            sleeper.disconnect();
            let (sleeper, _) = Client::connack(&broker, &hello);
            sleeper.disconnect();
        }
    }
}

#[test]
fn a_second_connection_takes_the_place_of_the_first() {
    let broker = Broker::with(&[], OPEN);
    for version in BOTH {
        let mut first = Client::connect(&broker, version, "twin");
        let second = Client::connect(&broker, version, "twin");
        assert_eq!(first.ends(), (version == V5).then_some(0x8E));
        second.disconnect();
        let mut hello = Hello::new(version, "twin");
        hello.clean = false;
        hello.properties = if version == V5 { expiry(60) } else { vec![] };
        let (mut first, _) = Client::connack(&broker, &hello);
        first.subscribe("a", 1);
        let (mut second, connack) = Client::connack(&broker, &hello);
        assert!(session_present(&connack), "the session goes with the name");
        let mut sender = Client::connect(&broker, version, "sender");
        sender.publish("a", "x", 1);
        assert_eq!(second.message().payload, b"x");
        assert_eq!(first.ends(), (version == V5).then_some(0x8E));
        hello.clean = true;
        Client::connack(&broker, &hello).0.disconnect();
    }
}

#[test]
fn a_client_that_may_be_sent_nothing_can_be_taken_over() {
    let broker = Broker::with(&[], OPEN);
    let mut hello = Hello::new(V5, "twin");
    hello.properties = vec![Property::ReceiveMaximum(ReceiveMaximum::new(1).unwrap())];
    let (mut first, _) = Client::hello(&broker, &hello);
    first.subscribe("a", 1);
    first.acknowledges = false;
    let mut sender = Client::connect(&broker, V5, "sender");
    for _ in 0..3 {
        sender.publish("a", "x", 1);
    }
    sender.nothing();
    first.message();
    first.ping();
    let second = Client::connect(&broker, V5, "twin");
    assert_eq!(first.ends(), Some(0x8E));
    second.disconnect();
}

#[test]
fn a_client_gets_nothing_larger_than_it_accepts() {
    let broker = Broker::with(&[], OPEN);
    let mut hello = Hello::new(V5, "small");
    hello.properties = vec![
        Property::MaximumPacketSize(MaximumPacketSize::new(50).unwrap()),
        Property::ReceiveMaximum(ReceiveMaximum::new(1).unwrap()),
    ];
    let (mut small, _) = Client::hello(&broker, &hello);
    small.subscribe("a", 2);
    let mut sender = Client::connect(&broker, V5, "sender");
    for qos in 0..=2 {
        for _ in 0..100 {
            sender.publish("a", "x".repeat(100), qos);
        }
        sender.publish("a", "fits", qos);
        assert_eq!(small.message().payload, b"fits", "QoS {qos}");
    }
}

#[test]
fn wills_are_sent_unless_the_client_says_goodbye() {
    let broker = Broker::with(&[], OPEN);
    for version in BOTH {
        let mut heir = Client::connect(&broker, version, "heir");
        heir.subscribe("gone/+", 1);
        let mut hello = Hello::new(version, "mortal");
        hello.will = Some(("gone/mortal".into(), "bye".into()));
        Client::hello(&broker, &hello).0.disconnect();
        heir.nothing();
        Client::hello(&broker, &hello).0.lose();
        assert_eq!(heir.message().payload, b"bye");
        let (mut first, _) = Client::hello(&broker, &hello);
        let (second, _) = Client::hello(&broker, &hello);
        first.ends();
        assert_eq!(heir.message().payload, b"bye", "also of one that was taken over");
        second.disconnect();
        heir.nothing();
    }
    let mut heir = Client::connect(&broker, V5, "heir");
    heir.subscribe("gone/+", 1);
    let mut hello = Hello::new(V5, "mortal");
    hello.will = Some(("gone/mortal".into(), "bye".into()));
    let (mut mortal, _) = Client::hello(&broker, &hello);
    mortal.raw(&[0xE0, 1, 0x04]);
    assert_eq!(heir.message().payload, b"bye", "DISCONNECT with will");
}

#[test]
fn a_delayed_will_waits_for_the_client_to_come_back() {
    let broker = Broker::with(&[], OPEN);
    let mut heir = Client::connect(&broker, V5, "heir");
    heir.subscribe("gone/+", 1);
    let mut hello = Hello::new(V5, "mortal");
    hello.will = Some(("gone/mortal".into(), "bye".into()));
    hello.properties = expiry(30);
    hello.clean = false;
    let delay = |seconds| vec![Property::WillDelayInterval(WillDelayInterval::new(seconds).unwrap())];
    hello.will_properties = delay(20);
    Client::hello(&broker, &hello).0.lose();
    hello.will_properties = delay(1);
    let (mortal, _) = Client::hello(&broker, &hello);
    heir.nothing();
    mortal.lose();
    heir.nothing();
    assert_eq!(heir.message().payload, b"bye", "after its second");
    hello.will_properties = delay(20);
    hello.properties = expiry(1);
    Client::hello(&broker, &hello).0.lose();
    assert_eq!(heir.message().payload, b"bye", "when the session ends, at the latest");
}

#[test]
fn retained_messages_greet_new_subscriptions() {
    let broker = Broker::with(&[], OPEN);
    for version in BOTH {
        let mut sender = Client::connect(&broker, version, "sender");
        sender.publish_with("lamp/1", "on", 1, true, vec![]);
        sender.publish_with("lamp/2", "off", 1, true, vec![]);
        sender.nothing(); // both have crossed the backbone
        let mut reader = Client::connect(&broker, version, "reader");
        reader.subscribe("lamp/+", 1);
        let mut seen = [reader.message(), reader.message()];
        seen.sort_by(|a, b| a.topic.cmp(&b.topic));
        assert!(seen.iter().all(|message| message.retain));
        assert_eq!((&*seen[0].payload, &*seen[1].payload), (&b"on"[..], &b"off"[..]));
        sender.publish_with("lamp/1", "dim", 1, true, vec![]);
        let live = reader.message();
        assert!(!live.retain && live.payload == b"dim", "{live:?}");
        sender.publish_with("lamp/1", "", 1, true, vec![]);
        sender.publish_with("lamp/2", "", 1, true, vec![]);
        assert_eq!((reader.message().payload.len(), reader.message().payload.len()), (0, 0));
        reader.subscribe("lamp/#", 1);
        reader.nothing();
        reader.disconnect();
        sender.disconnect();
    }
}

#[test]
fn all_that_waits_at_once_comes_and_nothing_else_has_to_happen_first() {
    let broker = Broker::with(&[], OPEN);
    let mut sender = Client::connect(&broker, V5, "sender");
    for number in 0..90 {
        sender.publish_with(&format!("a/{number}"), "x".repeat(10_000), 1, true, vec![]);
    }
    for version in BOTH {
        let mut late = Client::connect(&broker, version, "late");
        // More than is written in one go, to a socket that takes all of it.
        assert_eq!(late.subscribe("a/+", 0), 0);
        for _ in 0..90 {
            assert_eq!(late.message().payload.len(), 10_000);
        }
    }
}

#[test]
fn who_wants_a_part_of_its_inbox_gets_that_part() {
    let broker = Broker::with(&[], "");
    for version in BOTH {
        let [mut alice, mut bob] = ["alice", "bob"].map(|name| Client::connect(&broker, version, name));
        alice.subscribe("rooms/lobby/alice/agent", 1);
        bob.subscribe("rooms/+/bob/alice", 1);
        alice.publish("rooms/lobby/agent/alice", r#"{"type":"join"}"#, 1);
        bob.publish("rooms/lobby/agent/bob", r#"{"type":"join"}"#, 1);
        for answer in ["created", "arrived"] {
            let payload = String::from_utf8(alice.message().payload).unwrap();
            assert!(payload.contains(&format!(r#""type":"{answer}""#)), "{payload}");
        }
        bob.publish("rooms/lobby/alice/bob", r#"{"type":"ready"}"#, 1);
        alice.publish("rooms/lobby/bob/alice", r#"{"type":"offer"}"#, 1);
        assert_eq!(bob.message().topic, "rooms/lobby/bob/alice", "and nothing of the agent's before");
        alice.nothing();
        for client in [alice, bob] {
            client.disconnect();
        }
    }
}

#[test]
fn retain_handling_and_retain_as_published() {
    let broker = Broker::with(&[], OPEN);
    let mut sender = Client::connect(&broker, V5, "sender");
    sender.publish_with("a", "1", 1, true, vec![]);
    sender.nothing();
    let mut reader = Client::connect(&broker, V5, "reader");
    reader.subscribe_with("a", options(1).set_rh(RetainHandling::DoNotSendRetained), vec![]);
    reader.nothing();
    reader.unsubscribe("a");
    let if_new = options(1).set_rh(RetainHandling::SendRetainedIfNotExists).set_rap(true);
    reader.subscribe_with("a", if_new, vec![]);
    assert_eq!(reader.message().payload, b"1");
    reader.subscribe_with("a", if_new, vec![]);
    reader.nothing();
    sender.publish_with("a", "2", 1, true, vec![]);
    assert!(reader.message().retain, "as published");
    sender.publish_with("a", "3", 1, false, vec![]);
    assert!(!reader.message().retain);
}

#[test]
fn properties_pass_through() {
    let broker = Broker::with(&[], OPEN);
    let sent = vec![
        Property::ContentType(ContentType::new("text/plain").unwrap()),
        Property::ResponseTopic(ResponseTopic::new("answers/1").unwrap()),
        Property::CorrelationData(CorrelationData::new(vec![0, 1]).unwrap()),
        Property::UserProperty(UserProperty::new("k", "v1").unwrap()),
        Property::UserProperty(UserProperty::new("k", "v2").unwrap()),
        Property::MessageExpiryInterval(MessageExpiryInterval::new(100).unwrap()),
    ];
    for qos in 0..=2 {
        let mut reader = Client::connect(&broker, V5, "reader");
        let id = Property::SubscriptionIdentifier(SubscriptionIdentifier::new(7).unwrap());
        reader.subscribe_with("a/#", options(2), vec![id.clone()]);
        let other = Property::SubscriptionIdentifier(SubscriptionIdentifier::new(9).unwrap());
        reader.subscribe_with("a/+", options(0), vec![other.clone()]);
        let mut old = Client::connect(&broker, V3, "old");
        old.subscribe("a/b", 2);
        let mut sender = Client::connect(&broker, V5, "sender");
        sender.publish_with("a/b", "x", qos, false, sent.clone());
        let message = reader.message();
        assert_eq!(message.qos, qos, "the higher of the two subscriptions");
        for property in sent.iter().chain([&id, &other]) {
            assert!(message.properties.contains(property), "{property:?} in {:?}", message.properties);
        }
        reader.nothing();
        assert_eq!(old.message().payload, b"x");
    }
}

#[test]
fn an_expired_message_is_not_delivered() {
    let broker = Broker::with(&[], OPEN);
    let mut hello = Hello::new(V5, "sleeper");
    hello.clean = false;
    hello.properties = expiry(60);
    let (mut sleeper, _) = Client::connack(&broker, &hello);
    sleeper.subscribe("a", 1);
    sleeper.disconnect();
    let mut sender = Client::connect(&broker, V5, "sender");
    let lasts = |seconds| vec![Property::MessageExpiryInterval(MessageExpiryInterval::new(seconds).unwrap())];
    sender.publish_with("a", "short", 1, false, lasts(1));
    sender.publish_with("a", "long", 1, false, lasts(100));
    sender.nothing();
    // The clock that counts is the broker's: another client sees a delayed will after two seconds.
    let mut heir = Client::connect(&broker, V5, "heir");
    heir.subscribe("gone", 1);
    let mut mortal = Hello::new(V5, "mortal");
    mortal.will = Some(("gone".into(), "bye".into()));
    mortal.properties = expiry(2);
    mortal.will_properties = vec![Property::WillDelayInterval(WillDelayInterval::new(2).unwrap())];
    Client::hello(&broker, &mortal).0.lose();
    heir.message();
    let (mut sleeper, _) = Client::connack(&broker, &hello);
    let message = sleeper.message();
    assert_eq!(message.payload, b"long");
    let left = message.properties.iter().find_map(|property| match property {
        Property::MessageExpiryInterval(interval) => Some(interval.val()),
        _ => None,
    });
    assert!(left.is_some_and(|left| (90..=98).contains(&left)), "{left:?}");
    sleeper.nothing();
}

#[test]
fn no_local_and_unsubscribe() {
    let broker = Broker::with(&[], OPEN);
    let mut client = Client::connect(&broker, V5, "client");
    client.subscribe_with("a", options(1).set_nl(true), vec![]);
    client.publish("a", "mine", 1);
    client.nothing();
    let mut other = Client::connect(&broker, V5, "other");
    other.publish("a", "theirs", 1);
    assert_eq!(client.message().payload, b"theirs");
    assert_eq!(client.unsubscribe("a"), Some(0));
    assert_eq!(client.unsubscribe("a"), Some(0x11), "no subscription existed");
    other.publish("a", "late", 1);
    client.nothing();
}

#[test]
fn topic_aliases_stand_for_topics() {
    let broker = Broker::with(&[], OPEN);
    let mut reader = Client::connect(&broker, V5, "reader");
    reader.subscribe("a/b", 0);
    let mut sender = Client::connect(&broker, V5, "sender");
    let alias = |number| vec![Property::TopicAlias(TopicAlias::new(number).unwrap())];
    sender.publish_with("a/b", "1", 0, false, alias(3));
    sender.raw(&[0x30, 7, 0, 0, 3, 0x23, 0, 3, b'2']);
    assert_eq!((reader.message().payload, reader.message().payload), (b"1".to_vec(), b"2".to_vec()));
    sender.raw(&[0x30, 7, 0, 0, 3, 0x23, 0, 4, b'2']);
    assert_eq!(sender.ends(), Some(0x94), "an alias that was never set");
}

#[test]
fn a_client_gets_no_more_at_once_than_it_asked_for() {
    let broker = Broker::with(&[], OPEN);
    let mut hello = Hello::new(V5, "slow");
    hello.properties = vec![Property::ReceiveMaximum(ReceiveMaximum::new(2).unwrap())];
    let (mut slow, _) = Client::hello(&broker, &hello);
    slow.subscribe("a", 1);
    slow.acknowledges = false;
    let mut sender = Client::connect(&broker, V5, "sender");
    for number in 0..5 {
        sender.publish("a", number.to_string(), 1);
    }
    sender.nothing(); // all five have crossed
    assert_eq!((slow.message().payload, slow.message().payload), (b"0".to_vec(), b"1".to_vec()));
    slow.ping();
    assert!(slow.is_quiet());
    slow.send(v5_0::Puback::builder().packet_id(1).build().unwrap().into());
    assert_eq!(slow.message().payload, b"2");
    slow.ping();
    assert!(slow.is_quiet());
}

#[test]
fn ids_are_assigned_checked_and_refused() {
    let broker = Broker::start();
    let (_, connack) = Client::connack(&broker, &Hello::new(V5, ""));
    let GenericPacket::V5_0Connack(connack) = connack else { panic!("{connack:?}") };
    let assigned = connack.props().iter().find_map(|property| match property {
        Property::AssignedClientIdentifier(id) => Some(id.val().to_owned()),
        _ => None,
    });
    assert!(assigned.is_some_and(|id| id.starts_with("peer-") && id.len() > 20));
    assert_eq!(Client::hello(&broker, &Hello::new(V3, "")).1, Some(2));
    for id in ["agent", "a/b", "a b", "a+", "#", "$x", "가", &"x".repeat(65)] {
        assert_eq!(Client::hello(&broker, &Hello::new(V3, id)).1, Some(2), "{id}");
        let (mut client, code) = Client::hello(&broker, &Hello::new(V5, id));
        assert_eq!(code, Some(0x85), "{id}");
        client.ends();
    }
    for (version, code) in [(V3, 4), (V5, 0x86)] {
        for (user, password) in [("operator", "guess"), ("somebody", "")] {
            let mut hello = Hello::new(version, "x");
            hello.user = Some((user.into(), password.into()));
            assert_eq!(Client::hello(&broker, &hello).1, Some(code), "{user}");
        }
    }
}

#[test]
fn keep_alive_is_kept_and_may_be_off() {
    let broker = Broker::with(&[], OPEN);
    let mut heir = Client::connect(&broker, V5, "heir");
    heir.subscribe("gone/+", 1);
    for version in BOTH {
        let mut hello = Hello::new(version, "quiet");
        hello.keep_alive = 1;
        hello.will = Some(("gone/quiet".into(), "bye".into()));
        let (mut quiet, _) = Client::hello(&broker, &hello);
        let mut patient = Hello::new(version, "patient");
        patient.keep_alive = 0;
        let (mut patient, _) = Client::hello(&broker, &patient);
        assert_eq!(quiet.ends(), (version == V5).then_some(0x8D));
        assert_eq!(heir.message().payload, b"bye");
        patient.ping();
    }
}

fn session_present(connack: &mqtt_protocol_core::mqtt::packet::Packet) -> bool {
    match connack {
        GenericPacket::V3_1_1Connack(p) => p.session_present(),
        GenericPacket::V5_0Connack(p) => p.session_present(),
        other => panic!("{other:?} in place of CONNACK"),
    }
}

#[test]
fn a_client_that_accepts_no_topic_aliases_is_let_in() {
    let broker = Broker::start();
    let none = Property::TopicAliasMaximum(TopicAliasMaximum::new(0).unwrap());
    let (mut client, code) = Client::hello(&broker, &Hello { properties: vec![none], ..Hello::new(V5, "plain") });
    assert_eq!(code, Some(0));
    assert_eq!(client.subscribe("rooms/+/plain/+", 1), 1);
    assert_eq!(client.join("lobby")["type"], "created");
}
