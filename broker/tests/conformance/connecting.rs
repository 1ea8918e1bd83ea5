//! CONNECT and CONNACK, sessions and keep-alive.

use super::wire::Wire;
use super::{lasting, lasting_client, open};
use crate::support::Broker;
use crate::support::client::{BOTH, Client, Hello, V3, V5};
use mqtt_protocol_core::mqtt::packet::{
    GenericPacket, MaximumPacketSize, Property, RequestProblemInformation, RequestResponseInformation,
    SessionExpiryInterval,
};

fn properties(broker: &Broker, hello: &Hello) -> Vec<Property> {
    match Client::connack(broker, hello).1 {
        GenericPacket::V5_0Connack(connack) => connack.props().clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn connack_says_what_the_broker_takes() {
    let broker = open();
    let found = properties(&broker, &Hello::new(V5, "curious"));
    let has = |wanted: fn(&Property) -> bool| found.iter().any(wanted);
    assert!(has(|p| matches!(p, Property::ReceiveMaximum(v) if v.val() == 256)), "{found:?}");
    assert!(has(|p| matches!(p, Property::MaximumPacketSize(v) if v.val() > 65_536)), "{found:?}");
    assert!(has(|p| matches!(p, Property::TopicAliasMaximum(v) if v.val() > 0)), "{found:?}");
    // What is not there is as the specification has it: QoS 2, retained messages, wildcards and subscription
    // identifiers are offered; the keep-alive is the client's.
    let absent = |p: &Property| {
        matches!(
            p,
            Property::MaximumQos(_)
                | Property::RetainAvailable(_)
                | Property::WildcardSubscriptionAvailable(_)
                | Property::SubscriptionIdentifierAvailable(_)
                | Property::ServerKeepAlive(_)
                | Property::ResponseInformation(_)
                | Property::AuthenticationMethod(_)
                | Property::AssignedClientIdentifier(_)
        )
    };
    assert!(!found.iter().any(absent), "{found:?}");
}

#[test]
fn connack_comes_first_and_once() {
    let broker = open();
    for version in BOTH {
        let mut client = lasting_client(&broker, version, "sleeper");
        client.subscribe("a", 1);
        client.lose();
        Client::connect(&broker, version, "sender").publish("a", "waits", 1);
        // What waits is sent after CONNACK; `hello` takes nothing else for the first packet.
        let (mut client, code) = Client::hello(&broker, &lasting(version, "sleeper"));
        assert_eq!((code, client.session_present), (Some(0), true));
        assert_eq!(client.message().payload, b"waits");
        client.ping();
        client.disconnect();
    }
}

#[test]
fn session_present_is_said_when_it_is_so() {
    let broker = open();
    for version in BOTH {
        let mut client = lasting_client(&broker, version, "sleeper");
        client.subscribe("a", 1);
        client.disconnect();
        let (client, _) = Client::hello(&broker, &lasting(version, "sleeper"));
        assert!(client.session_present);
        client.disconnect();
        let mut clean = lasting(version, "sleeper");
        clean.clean = true;
        let (mut client, _) = Client::hello(&broker, &clean);
        assert!(!client.session_present, "a clean start has none");
        Client::connect(&broker, version, "sender").publish("a", "x", 1);
        client.nothing();
        client.disconnect();
        let (client, code) = Client::hello(&broker, &Hello::new(version, "a/b"));
        assert!(code.unwrap() > 0 && !client.session_present, "nor has a refusal");
    }
}

#[test]
fn a_session_ends_with_its_connection_or_when_its_time_has_passed() {
    let broker = Broker::with(&["--session-expiry=1s"], super::OPEN);
    for version in BOTH {
        let mut client = lasting_client(&broker, version, "sleeper");
        client.subscribe("a", 1);
        client.disconnect();
        // Another's delayed will comes when its session has ended, which has the same length and begins later.
        let mut heir = Client::connect(&broker, V5, "heir");
        heir.subscribe("gone", 0);
        let mut mortal = Hello::new(V5, "mortal");
        mortal.will = Some(("gone".into(), String::new()));
        mortal.properties = vec![Property::SessionExpiryInterval(SessionExpiryInterval::new(60).unwrap())];
        let delay = mqtt_protocol_core::mqtt::packet::WillDelayInterval::new(60).unwrap();
        mortal.will_properties = vec![Property::WillDelayInterval(delay)];
        Client::hello(&broker, &mortal).0.lose();
        heir.message();
        let (client, _) = Client::hello(&broker, &lasting(version, "sleeper"));
        assert!(!client.session_present, "its time has passed");
        client.disconnect();
        heir.disconnect();
    }
    let (mut client, _) = Client::hello(&broker, &Hello { clean: true, ..lasting(V5, "sleeper") });
    client.subscribe("a", 1);
    client.raw(&[0xE0, 7, 0, 5, 0x11, 0, 0, 0, 0]);
    client.ends();
    let (client, _) = Client::hello(&broker, &lasting(V5, "sleeper"));
    assert!(!client.session_present, "DISCONNECT has set its time to nothing");
    client.disconnect();
    let mut client = Client::connect(&broker, V5, "brief");
    client.raw(&[0xE0, 7, 0, 5, 0x11, 0, 0, 0, 60]);
    assert_eq!(client.ends(), Some(0x82), "nor from nothing to something");
}

#[test]
fn retained_messages_outlive_the_session() {
    let broker = open();
    for version in BOTH {
        let mut sender = Client::connect(&broker, version, "sender");
        sender.publish_with("kept", "x", 1, true, vec![]);
        sender.disconnect();
        let mut reader = Client::connect(&broker, version, "reader");
        reader.subscribe("kept", 1);
        assert_eq!(reader.message().payload, b"x");
    }
}

#[test]
fn a_client_identifier_may_have_the_characters_that_every_broker_takes() {
    let broker = open();
    for version in BOTH {
        for id in ["0123456789abcdefghijklm", "nopqrstuvwxyzABCDEFGHIJ", "KLMNOPQRSTUVWXYZ"] {
            Client::connect(&broker, version, id).disconnect();
        }
    }
}

#[test]
fn a_zero_length_identifier_is_refused_by_3_1_1_with_2_and_assigned_by_5_0() {
    let broker = open();
    for clean in [true, false] {
        let mut hello = Hello::new(V3, "");
        hello.clean = clean;
        assert_eq!(Client::hello(&broker, &hello).1, Some(2));
    }
    let assigned = |found: &[Property]| {
        found.iter().find_map(|property| match property {
            Property::AssignedClientIdentifier(id) => Some(id.val().to_owned()),
            _ => None,
        })
    };
    let (first, second) = (properties(&broker, &Hello::new(V5, "")), properties(&broker, &Hello::new(V5, "")));
    let (first, second) = (assigned(&first).unwrap(), assigned(&second).unwrap());
    assert_ne!(first, second);
    // It is the client's own from then on.
    Client::connect(&broker, V5, &first).disconnect();
}

#[test]
fn nothing_more_is_told_than_was_asked_for() {
    let broker = open();
    let mut hello = Hello::new(V5, "quiet");
    hello.properties = vec![
        Property::RequestProblemInformation(RequestProblemInformation::new(0).unwrap()),
        Property::RequestResponseInformation(RequestResponseInformation::new(0).unwrap()),
    ];
    let found = properties(&broker, &hello);
    assert!(!found.iter().any(|p| matches!(p, Property::ResponseInformation(_))));
    // SUBACK with a refusal has no property, whatever there would be to say.
    let mut quiet = Wire::connect(&broker, &hello);
    quiet.send(b"\x82\x0d\x00\x07\x00\x00\x07rooms/#\x01");
    assert_eq!(quiet.packet().unwrap(), [0x90, 4, 0, 7, 0, 0x87]);
}

#[test]
fn a_refusal_fits_into_what_the_client_takes() {
    let broker = open();
    let mut hello = Hello::new(V5, "a/b");
    hello.properties = vec![Property::MaximumPacketSize(MaximumPacketSize::new(20).unwrap())];
    let (_, connack) = Client::connack(&broker, &hello);
    let GenericPacket::V5_0Connack(connack) = connack else { panic!("{connack:?}") };
    assert_eq!(connack.reason_code() as u8, 0x85);
    assert!(connack.size() <= 20, "{connack:?}");
}

#[test]
fn an_authentication_exchange_is_refused() {
    let broker = open();
    let mut hello = Hello::new(V5, "prover");
    let method = mqtt_protocol_core::mqtt::packet::AuthenticationMethod::new("SCRAM-SHA-256").unwrap();
    hello.properties = vec![Property::AuthenticationMethod(method)];
    let (mut client, code) = Client::hello(&broker, &hello);
    assert_eq!(code, Some(0x8C));
    client.ends();
}

#[test]
fn ping_is_answered_while_messages_wait_to_be_acknowledged() {
    let broker = open();
    let mut hello = Hello::new(V5, "slow");
    let one = mqtt_protocol_core::mqtt::packet::ReceiveMaximum::new(1).unwrap();
    hello.properties = vec![Property::ReceiveMaximum(one)];
    let (mut slow, _) = Client::hello(&broker, &hello);
    slow.acknowledges = false;
    slow.subscribe("a", 1);
    let mut sender = Client::connect(&broker, V5, "sender");
    for _ in 0..3 {
        sender.publish("a", "x", 1);
    }
    slow.message();
    slow.ping();
    assert_eq!(slow.subscribe("b", 0), 0, "other packets are answered too");
    sender.publish("b", "QoS 0", 0);
    slow.ping();
}
