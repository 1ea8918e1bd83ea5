//! Messages of each QoS, in both directions; redelivery, order, flow control, expiry.

use super::wire::Wire;
use super::{lasting, lasting_client, open, options};
use crate::support::Broker;
use crate::support::client::{BOTH, Client, Hello, V3, V5};
use mqtt_protocol_core::mqtt::packet::{
    GenericPacket, MaximumPacketSize, MessageExpiryInterval, Packet, PayloadFormatIndicator, Property, ReceiveMaximum,
    UserProperty, v5_0,
};

#[test]
fn each_qos_is_answered_by_its_own_packet_with_its_identifier() {
    let broker = open();
    for version in BOTH {
        let mut reader = Client::connect(&broker, version, "reader");
        reader.subscribe("a", 0);
        let mut sender = Wire::new(&broker, version, "sender");
        sender.publish(0x02, 700, b'1');
        sender.expect(0x40, 700);
        sender.publish(0x04, 701, b'2');
        sender.expect(0x50, 701);
        assert_eq!((reader.message().payload, reader.message().payload), (b"1".to_vec(), b"2".to_vec()));
        sender.acknowledge(0x62, 701);
        sender.expect(0x70, 701);
        // QoS 0 has no identifier and no answer.
        sender.send(if version == V5 { b"\x30\x05\x00\x01a\x003" } else { b"\x30\x04\x00\x01a3" });
        assert_eq!(reader.message().payload, b"3");
        assert!(sender.is_quiet());
        reader.disconnect();
    }
}

#[test]
fn an_identifier_is_new_after_its_handshake_and_not_before() {
    let broker = open();
    for version in BOTH {
        let mut reader = Client::connect(&broker, version, "reader");
        reader.subscribe("a", 2);
        let mut sender = Wire::new(&broker, version, "sender");
        for _ in 0..2 {
            sender.publish(0x0A, 7, b'1');
            sender.expect(0x40, 7);
            assert_eq!(reader.message().payload, b"1", "QoS 1 with the flag of a repetition is a message of its own");
        }
        for flags in [0x04, 0x0C] {
            sender.publish(flags, 8, b'2');
            sender.expect(0x50, 8);
        }
        assert_eq!(reader.message().payload, b"2");
        reader.nothing();
        sender.acknowledge(0x62, 8);
        sender.expect(0x70, 8);
        sender.publish(0x04, 8, b'3');
        assert_eq!(reader.message().payload, b"3");
        reader.disconnect();
    }
}

#[test]
fn an_identifier_that_was_refused_is_new() {
    let broker = open();
    let mut sender = Wire::new(&broker, V5, "sender");
    for _ in 0..2 {
        // QoS 2 to a topic that is not open: 0x87 in PUBREC, and no PUBREL is waited for.
        sender.send(b"\x34\x0d\x00\x07rooms/x\x00\x09\x00x");
        let pubrec = sender.packet().unwrap();
        assert_eq!((pubrec[0], &pubrec[2..5]), (0x50, &[0, 9, 0x87][..]));
    }
    sender.publish(0x04, 9, b'x');
    assert_eq!(sender.packet().unwrap()[..4], [0x50, 2, 0, 9]);
}

#[test]
fn a_handshake_that_was_broken_off_goes_on_in_the_same_session() {
    let broker = open();
    for version in BOTH {
        let mut reader = Client::connect(&broker, version, "reader");
        reader.subscribe("a", 2);
        lasting_client(&broker, version, "sender").disconnect();
        let mut sender = Wire::connect(&broker, &lasting(version, "sender"));
        sender.publish(0x04, 9, b'x');
        sender.expect(0x50, 9);
        assert_eq!(reader.message().payload, b"x");
        drop(sender);
        // On the next connection a repetition is no new message, until PUBREL.
        let mut sender = Wire::connect(&broker, &lasting(version, "sender"));
        sender.publish(0x0C, 9, b'x');
        sender.expect(0x50, 9);
        sender.acknowledge(0x62, 9);
        sender.expect(0x70, 9);
        reader.nothing();
        reader.disconnect();
    }
}

#[test]
fn pubrel_is_repeated_and_its_message_is_not() {
    let broker = open();
    for version in BOTH {
        lasting_client(&broker, version, "reader").disconnect();
        let mut reader = Wire::connect(&broker, &lasting(version, "reader"));
        assert_eq!(reader.ask(0x82, 1, &[("a", 2)]), [2]);
        let mut sender = Client::connect(&broker, version, "sender");
        sender.publish("a", "x", 2);
        let publish = reader.packet().unwrap();
        let id = u16::from_be_bytes([publish[5], publish[6]]);
        assert_eq!((publish[0], id > 0), (0x34, true));
        reader.acknowledge(0x50, id);
        reader.expect(0x62, id);
        drop(reader);
        let mut reader = Wire::connect(&broker, &lasting(version, "reader"));
        reader.expect(0x62, id);
        assert!(reader.is_quiet(), "no PUBLISH again");
        reader.acknowledge(0x70, id);
        drop(reader);
        let mut reader = Wire::connect(&broker, &lasting(version, "reader"));
        assert!(reader.is_quiet(), "nor PUBREL, when it is answered");
    }
}

#[test]
fn what_is_sent_again_has_its_flag_its_identifier_and_its_order() {
    let broker = open();
    for version in BOTH {
        let mut reader = lasting_client(&broker, version, "reader");
        reader.subscribe("a", 2);
        reader.acknowledges = false;
        let mut sender = Client::connect(&broker, version, "sender");
        for number in 0..6_u8 {
            sender.publish("a", [number], 1 + number % 2);
        }
        for number in 0..6 {
            let first = reader.message();
            assert_eq!((first.payload, first.dup), (vec![number], false));
        }
        reader.lose();
        sender.publish("a", [6], 1);
        let (mut reader, _) = Client::hello(&broker, &lasting(version, "reader"));
        for number in 0..7 {
            let again = reader.message();
            assert_eq!((again.payload, again.dup), (vec![number], number < 6), "{version:?}");
        }
        reader.ping();
        assert!(reader.is_quiet());
        reader.disconnect();
        let (mut reader, _) = Client::hello(&broker, &lasting(version, "reader"));
        reader.ping();
        assert!(reader.is_quiet(), "what was acknowledged does not come again");
        reader.disconnect();
    }
}

#[test]
fn the_flag_of_a_repetition_is_not_passed_on() {
    let broker = open();
    for version in BOTH {
        let mut reader = Client::connect(&broker, version, "reader");
        reader.subscribe("a", 1);
        Wire::new(&broker, version, "sender").publish(0x0A, 7, b'x');
        assert!(!reader.message().dup);
        reader.disconnect();
    }
}

#[test]
fn messages_come_in_the_order_in_which_they_were_sent() {
    let broker = open();
    for version in BOTH {
        for qos in 0..=2 {
            let mut reader = Client::connect(&broker, version, "reader");
            reader.subscribe("#", qos);
            let mut sender = Client::connect(&broker, version, "sender");
            for number in 0..100_u8 {
                sender.publish(["a", "a/b", "c"][usize::from(number) % 3], [number], qos);
            }
            for number in 0..100 {
                let message = reader.message();
                assert_eq!((message.payload, message.qos), (vec![number], qos));
            }
            reader.disconnect();
            sender.disconnect();
        }
    }
}

#[test]
fn a_client_that_is_sent_too_much_at_once_by_its_own_rule_is_not() {
    let broker = open();
    for qos in [1, 2] {
        let mut hello = Hello::new(V5, "slow");
        hello.properties = vec![Property::ReceiveMaximum(ReceiveMaximum::new(3).unwrap())];
        let (mut slow, _) = Client::hello(&broker, &hello);
        slow.subscribe("a", 2);
        slow.acknowledges = false;
        let mut sender = Client::connect(&broker, V5, "sender");
        for number in 0..5_u8 {
            sender.publish("a", [number], qos);
        }
        for number in 0..3 {
            assert_eq!(slow.message().payload, [number]);
        }
        slow.ping();
        assert!(slow.is_quiet());
        // A refusal ends the handshake as well as an acknowledgement, and is no reason to send it again.
        let refusal: Packet = match qos {
            1 => {
                let code = mqtt_protocol_core::mqtt::result_code::PubackReasonCode::QuotaExceeded;
                v5_0::Puback::builder().packet_id(1).reason_code(code).build().unwrap().into()
            }
            _ => {
                let code = mqtt_protocol_core::mqtt::result_code::PubrecReasonCode::QuotaExceeded;
                v5_0::Pubrec::builder().packet_id(1).reason_code(code).build().unwrap().into()
            }
        };
        slow.send(refusal);
        assert_eq!(slow.message().payload, [3]);
        slow.ping();
        assert!(slow.is_quiet());
        slow.lose();
    }
}

#[test]
fn who_sends_more_at_once_than_the_broker_takes_is_told() {
    let broker = open();
    let mut eager = Wire::new(&broker, V5, "eager");
    // QoS 2, never released.
    for id in 1..=256 {
        eager.publish(0x04, id, b'x');
        eager.expect(0x50, id);
    }
    eager.publish(0x04, 257, b'x');
    assert_eq!(eager.ends(), Some(0x93));
}

#[test]
fn a_packet_beyond_the_brokers_maximum_ends_the_connection() {
    let broker = Broker::with(&["--max-message=1KiB"], super::OPEN);
    let (_, connack) = Client::connack(&broker, &Hello::new(V5, "large"));
    let GenericPacket::V5_0Connack(connack) = connack else { panic!("{connack:?}") };
    let maximum = connack.props().iter().find_map(|property| match property {
        Property::MaximumPacketSize(v) => Some(v.val() as usize),
        _ => None,
    });
    let maximum = maximum.expect("the broker says what it takes");
    let mut large = Wire::new(&broker, V5, "large");
    let mut bytes = vec![0x30];
    let mut rest = maximum + 1;
    while rest > 0x7F {
        bytes.push((rest & 0x7F) as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes.extend(vec![0; maximum + 1]);
    large.send(&bytes);
    assert_eq!(large.ends(), Some(0x95));
}

#[test]
fn what_is_too_large_for_a_client_counts_as_delivered_to_it() {
    let broker = open();
    let mut hello = lasting(V5, "small");
    hello.clean = true;
    hello.properties.push(Property::MaximumPacketSize(MaximumPacketSize::new(40).unwrap()));
    let (mut small, _) = Client::hello(&broker, &hello);
    small.subscribe("a", 2);
    let mut sender = Client::connect(&broker, V5, "sender");
    for qos in 0..=2 {
        sender.publish("a", "x".repeat(50), qos);
    }
    sender.publish("a", "y", 2);
    assert_eq!(small.message().payload, b"y");
    small.lose();
    hello.clean = false;
    let (mut small, _) = Client::hello(&broker, &hello);
    small.ping();
    assert!(small.is_quiet(), "nor is it tried again");
    small.disconnect();
}

#[test]
fn properties_go_on_unaltered_and_in_order() {
    let broker = open();
    let mut reader = Client::connect(&broker, V5, "reader");
    reader.subscribe("a", 1);
    let user = |key: &str, value: &str| Property::UserProperty(UserProperty::new(key, value).unwrap());
    let sent = vec![
        Property::PayloadFormatIndicator(
            PayloadFormatIndicator::new(mqtt_protocol_core::mqtt::packet::PayloadFormat::String).unwrap(),
        ),
        user("b", "1"),
        user("a", "2"),
        user("b", "\u{FEFF}3"),
        user("b", "1"),
    ];
    let mut sender = Client::connect(&broker, V5, "sender");
    sender.publish_with("a", "x", 1, false, sent.clone());
    assert_eq!(reader.message().properties, sent);
}

#[test]
fn expiry_is_passed_on_less_the_time_that_was_waited() {
    let broker = open();
    let mut reader = Client::connect(&broker, V5, "reader");
    reader.subscribe("a", 1);
    let lasts = |seconds| vec![Property::MessageExpiryInterval(MessageExpiryInterval::new(seconds).unwrap())];
    let mut sender = Client::connect(&broker, V5, "sender");
    sender.publish_with("a", "x", 1, false, lasts(100));
    let found = reader.message().properties;
    assert!(
        matches!(&found[..], [Property::MessageExpiryInterval(left)] if (99..=100).contains(&left.val())),
        "{found:?}"
    );
    sender.publish_with("kept", "x", 1, true, lasts(1));
    let mut early = Client::connect(&broker, V5, "early");
    early.subscribe("kept", 1);
    early.message();
    // A second later by the broker's own clock, which another client's will shows.
    let mut hello = Hello::new(V5, "mortal");
    hello.will = Some(("a".into(), "later".into()));
    hello.properties = lasting(V5, "mortal").properties;
    let delay = mqtt_protocol_core::mqtt::packet::WillDelayInterval::new(1).unwrap();
    hello.will_properties = vec![Property::WillDelayInterval(delay)];
    Client::hello(&broker, &hello).0.lose();
    assert_eq!(reader.message().payload, b"later");
    let mut late = Client::connect(&broker, V5, "late");
    late.subscribe("kept", 1);
    late.nothing();
}

#[test]
fn a_message_of_one_version_is_one_of_the_other() {
    let broker = open();
    for (from, to) in [(V3, V5), (V5, V3)] {
        let mut reader = Client::connect(&broker, to, "reader");
        reader.subscribe_with("a", options(2), vec![]);
        let mut sender = Client::connect(&broker, from, "sender");
        for qos in 0..=2 {
            sender.publish("a", "x", qos);
            assert_eq!((reader.message().qos, reader.is_quiet()), (qos, true));
        }
        reader.disconnect();
    }
}
